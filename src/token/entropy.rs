//! Where secret characters come from.

use std::cell::RefCell;
use std::fmt;

use rand::TryRng;
use rand::rngs::SysRng;

use super::wiped::{Wiped, wipe};

/// The base62 digits in the order of their values: 0-9, A-Z, a-z.
pub(crate) const BASE62: &[u8; 62] =
    b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// A source of uniform random bytes.
///
/// The engine uses [`OsEntropy`]. Another source can be given for tests only, through the
/// builder's `danger_entropy`.
pub trait Entropy: fmt::Debug + Send + Sync + 'static {
    /// Fills `bytes` with uniform random bytes.
    ///
    /// # Errors
    /// [`EntropyError`] if the source cannot deliver; what was written is not used then.
    fn fill(&self, bytes: &mut [u8]) -> Result<(), EntropyError>;
}

/// The random source failed, so nothing was generated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the random source is unavailable")]
pub struct EntropyError;

/// The operating system's generator, read in blocks of 1 KiB per thread.
///
/// Bytes are wiped from the block as they are handed out, and what is left when the thread ends.
#[derive(Debug, Clone, Copy, Default)]
pub struct OsEntropy;

const BLOCK: usize = 1024;

struct Block {
    bytes: Wiped<BLOCK>,
    used: usize,
}

thread_local! {
    static POOL: RefCell<Block> =
        const { RefCell::new(Block { bytes: Wiped([0; BLOCK]), used: BLOCK }) };
}

impl Entropy for OsEntropy {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), EntropyError> {
        if bytes.len() > BLOCK {
            return SysRng.try_fill_bytes(bytes).map_err(|_| EntropyError);
        }
        POOL.with_borrow_mut(|block| {
            if BLOCK - block.used < bytes.len() {
                block.used = BLOCK;
                SysRng.try_fill_bytes(&mut block.bytes.0).map_err(|_| EntropyError)?;
                block.used = 0;
            }
            let end = block.used + bytes.len();
            let fresh = block.bytes.0.get_mut(block.used..end).ok_or(EntropyError)?;
            bytes.copy_from_slice(fresh);
            wipe(fresh);
            block.used = end;
            Ok(())
        })
    }
}

/// Fills `digits` with uniform base62 digits.
///
/// Each digit takes the low six bits of a random byte and refuses the values 62 and 63, so that
/// every digit is equally likely. A source that delivers hardly anything else is broken.
pub(crate) fn fill_base62(entropy: &dyn Entropy, digits: &mut [u8]) -> Result<(), EntropyError> {
    let mut random = Wiped([0; 64]);
    let mut filled = 0;
    // Each round gives 62 digits or all that miss, bar the refused ones.
    for _ in 0..digits.len() / 32 + 16 {
        let missing = digits.len() - filled;
        if missing == 0 {
            return Ok(());
        }
        // One byte in 32 is refused; asking for a few more makes a second round rare.
        let wanted = (missing + missing / 16 + 2).min(random.0.len());
        let drawn = random.0.get_mut(..wanted).ok_or(EntropyError)?;
        entropy.fill(drawn)?;
        for byte in drawn.iter() {
            let Some(place) = digits.get_mut(filled) else {
                return Ok(());
            };
            // A refused value is written over by the next one: no branch depends on a secret.
            let value = usize::from(byte & 0x3f);
            *place = *BASE62.get(value).unwrap_or(&b'0');
            filled += usize::from(value < BASE62.len());
        }
    }
    if filled == digits.len() { Ok(()) } else { Err(EntropyError) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Delivers every byte value in turn.
    #[derive(Debug, Default)]
    struct Counting(std::sync::atomic::AtomicU8);

    impl Entropy for Counting {
        fn fill(&self, bytes: &mut [u8]) -> Result<(), EntropyError> {
            for byte in bytes {
                *byte = self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            }
            Ok(())
        }
    }

    #[test]
    fn every_digit_is_equally_likely() {
        let source = Counting::default();
        let mut counts = [0_u32; 256];
        // A whole number of turns through the 64 values gives every digit the same count.
        let mut digits = vec![0; 62 * 64];
        fill_base62(&source, &mut digits).unwrap();
        for digit in digits {
            counts[usize::from(digit)] += 1;
        }
        let seen: Vec<u32> = BASE62.iter().map(|digit| counts[usize::from(*digit)]).collect();
        assert!(seen.iter().all(|count| (60..=68).contains(count)), "{seen:?}");
        assert_eq!(seen.iter().sum::<u32>(), 62 * 64);
    }

    /// Delivers nothing but refused values.
    #[derive(Debug)]
    struct Refused;

    impl Entropy for Refused {
        fn fill(&self, bytes: &mut [u8]) -> Result<(), EntropyError> {
            bytes.fill(0xff);
            Ok(())
        }
    }

    #[test]
    fn a_source_without_usable_bytes_is_an_error_and_not_a_loop() {
        assert_eq!(fill_base62(&Refused, &mut [0; 43]), Err(EntropyError));
        assert_eq!(fill_base62(&Refused, &mut []), Ok(()));
    }

    #[test]
    fn the_operating_system_delivers_fresh_bytes() {
        let (mut first, mut second) = ([0; 43], [0; 43]);
        fill_base62(&OsEntropy, &mut first).unwrap();
        fill_base62(&OsEntropy, &mut second).unwrap();
        assert_ne!(first, second);
        let mut large = vec![0; BLOCK + 1];
        OsEntropy.fill(&mut large).unwrap();
        assert!(large.iter().any(|byte| *byte != 0));
    }

    #[test]
    fn handed_out_bytes_are_wiped_from_the_block() {
        let mut bytes = [0; 32];
        OsEntropy.fill(&mut bytes).unwrap();
        POOL.with_borrow(|block| {
            assert!(block.bytes.0[..block.used].iter().all(|byte| *byte == 0));
        });
    }
}
