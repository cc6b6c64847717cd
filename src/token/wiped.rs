//! Secret bytes that do not outlive their use.

use zeroize::optimization_barrier;

/// Bytes that are wiped when dropped: all at once, where `zeroize` writes byte by byte.
pub(super) struct Wiped<const N: usize>(pub(super) [u8; N]);

impl<const N: usize> Drop for Wiped<N> {
    fn drop(&mut self) {
        wipe(&mut self.0);
    }
}

/// Writes zeros that the compiler may not leave out.
pub(super) fn wipe(bytes: &mut [u8]) {
    bytes.fill(0);
    optimization_barrier(bytes);
}
