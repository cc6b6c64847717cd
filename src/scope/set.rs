//! Some rights, compiled.

use std::fmt;

use super::catalog::Compiled;
use super::name::Scope;

/// Words of a set; 64 scopes each.
const WORDS: usize = 4;

/// Some of the scopes of one catalog: a bitmap with implications already followed, so that a
/// check is a few machine words.
///
/// Sets of the same catalog can be compared and intersected. Sets of different catalogs have
/// nothing in common.
#[derive(Clone, Copy)]
pub struct ScopeSet {
    bits: Bits,
    catalog: &'static Compiled,
}

impl ScopeSet {
    pub(super) fn new(bits: Bits, catalog: &'static Compiled) -> Self {
        Self { bits, catalog }
    }

    /// Whether the set grants this scope. A scope the catalog does not know is never granted.
    #[must_use]
    pub fn grants(&self, scope: &str) -> bool {
        self.catalog.index(scope).is_some_and(|index| self.bits.contains(index))
    }

    /// Whether everything in `other` is also in this set.
    #[must_use]
    pub fn contains(&self, other: &Self) -> bool {
        self.is_of(other.catalog) && other.bits.and(self.bits) == other.bits
    }

    /// What both sets grant; nothing, if they are of different catalogs.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        let bits =
            if self.is_of(other.catalog) { self.bits.and(other.bits) } else { Bits::default() };
        Self { bits, catalog: self.catalog }
    }

    /// Whether the set grants nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bits == Bits::default()
    }

    /// The first scope in `wanted` that this set does not grant.
    #[must_use]
    pub fn first_missing(&self, wanted: &Self) -> Option<&'static Scope> {
        if self.contains(wanted) {
            return None;
        }
        wanted.iter().find(|scope| !self.grants(scope.as_str()))
    }

    /// The scopes in the set, implied ones too, in the catalog's order.
    pub fn iter(&self) -> impl Iterator<Item = &'static Scope> + use<> {
        let bits = self.bits;
        self.catalog
            .scopes()
            .enumerate()
            .filter(move |(index, _)| bits.contains(*index))
            .map(|(_, scope)| scope)
    }

    pub(super) fn or(self, bits: Bits) -> Self {
        Self { bits: self.bits.or(bits), ..self }
    }

    pub(super) fn is_of(&self, catalog: &'static Compiled) -> bool {
        std::ptr::eq(self.catalog, catalog)
    }
}

impl PartialEq for ScopeSet {
    fn eq(&self, other: &Self) -> bool {
        self.is_of(other.catalog) && self.bits == other.bits
    }
}

impl Eq for ScopeSet {}

impl fmt::Debug for ScopeSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

/// Positions in a catalog.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(super) struct Bits([u64; WORDS]);

impl Bits {
    /// Positions there are.
    pub(super) const CAPACITY: usize = WORDS * 64;

    pub(super) fn insert(&mut self, index: usize) {
        if let Some(word) = self.0.get_mut(index / 64) {
            *word |= 1 << (index % 64);
        }
    }

    pub(super) fn contains(self, index: usize) -> bool {
        self.0.get(index / 64).is_some_and(|word| word & (1 << (index % 64)) != 0)
    }

    pub(super) fn and(self, other: Self) -> Self {
        let mut words = self.0;
        for (word, other) in words.iter_mut().zip(other.0) {
            *word &= other;
        }
        Self(words)
    }

    pub(super) fn or(self, other: Self) -> Self {
        let mut words = self.0;
        for (word, other) in words.iter_mut().zip(other.0) {
            *word |= other;
        }
        Self(words)
    }
}
