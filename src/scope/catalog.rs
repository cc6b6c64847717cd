//! All rights an app declares.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use super::name::{ParseScopeError, Scope, ScopeList};
use super::set::{Bits, ScopeSet};
use crate::token::{Kind, KindSet};

/// One scope as the app declares it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ScopeDefinition {
    scope: String,
    title: String,
    description: String,
    group: String,
    implies: Vec<String>,
    kinds: KindSet,
}

impl ScopeDefinition {
    /// A scope with this name; its title is the name until [`title`](Self::title) sets another.
    #[must_use]
    pub fn new(scope: impl Into<String>) -> Self {
        let scope = scope.into();
        Self {
            title: scope.clone(),
            scope,
            description: String::new(),
            group: String::new(),
            implies: Vec::new(),
            kinds: KindSet::ALL,
        }
    }

    /// What people see in place of the name.
    #[must_use]
    pub fn title(mut self, title: impl Into<String>) -> Self {
        self.title = title.into();
        self
    }

    /// One sentence on what the scope allows.
    #[must_use]
    pub fn description(mut self, description: impl Into<String>) -> Self {
        self.description = description.into();
        self
    }

    /// The heading under which the scope is offered.
    #[must_use]
    pub fn group(mut self, group: impl Into<String>) -> Self {
        self.group = group.into();
        self
    }

    /// Scopes that this one includes: write implies read.
    #[must_use]
    pub fn implies<T: Into<String>>(mut self, scopes: impl IntoIterator<Item = T>) -> Self {
        self.implies.extend(scopes.into_iter().map(Into::into));
        self
    }

    /// The kinds of token that may be granted this scope; all unless set.
    #[must_use]
    pub fn kinds(mut self, kinds: impl IntoIterator<Item = Kind>) -> Self {
        self.kinds = kinds.into_iter().collect();
        self
    }
}

/// A named set of scopes offered as one choice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preset {
    name: String,
    scopes: ScopeList,
}

impl Preset {
    /// The preset's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The scopes it stands for.
    #[must_use]
    pub fn scopes(&self) -> &ScopeList {
        &self.scopes
    }
}

/// Collects an app's scopes; see [`ScopeCatalog::builder`].
#[derive(Debug, Clone, Default)]
pub struct ScopeCatalogBuilder {
    definitions: Vec<ScopeDefinition>,
    always: Vec<String>,
    presets: Vec<(String, Vec<String>)>,
}

impl ScopeCatalogBuilder {
    /// Declares a scope.
    #[must_use]
    pub fn scope(mut self, definition: ScopeDefinition) -> Self {
        self.definitions.push(definition);
        self
    }

    /// Adds these declared scopes to every token.
    #[must_use]
    pub fn always<T: Into<String>>(mut self, scopes: impl IntoIterator<Item = T>) -> Self {
        self.always.extend(scopes.into_iter().map(Into::into));
        self
    }

    /// Offers these declared scopes as one choice.
    #[must_use]
    pub fn preset<T: Into<String>>(
        mut self,
        name: impl Into<String>,
        scopes: impl IntoIterator<Item = T>,
    ) -> Self {
        self.presets.push((name.into(), scopes.into_iter().map(Into::into).collect()));
        self
    }

    /// Checks and compiles the catalog.
    ///
    /// # Errors
    /// [`CatalogError`] names the scope or preset that is malformed, declared twice, or not
    /// declared at all.
    pub fn build(self) -> Result<ScopeCatalog, CatalogError> {
        let compiled = Compiled::build(self.definitions, &self.always)?;
        let mut presets: Vec<Preset> = Vec::with_capacity(self.presets.len());
        for (name, scopes) in self.presets {
            if presets.iter().any(|known| known.name == name) {
                return Err(CatalogError::RepeatedPreset { preset: name });
            }
            if scopes.is_empty() {
                return Err(CatalogError::EmptyPreset { preset: name });
            }
            for scope in &scopes {
                compiled.require(scope)?;
            }
            let scopes = ScopeList::parse(&scopes)
                .map_err(|error| CatalogError::Malformed { scope: name.clone(), error })?;
            presets.push(Preset { name, scopes });
        }
        Ok(ScopeCatalog { compiled: intern(compiled), presets })
    }
}

/// All rights an app declares: a closed list, with descriptions, implications and presets.
///
/// A compiled catalog stays in memory for the life of the program, once for each different
/// content, so that a [`ScopeSet`] can refer to it for free. Build it at start, not per request.
///
/// ```
/// use hallpass::{ScopeCatalog, ScopeDefinition};
///
/// let catalog = ScopeCatalog::builder()
///     .scope(ScopeDefinition::new("repo:read").title("Read repositories"))
///     .scope(ScopeDefinition::new("repo:write").implies(["repo:read"]))
///     .preset("CI", ["repo:write"])
///     .build()?;
/// let set = catalog.set(["repo:write"])?;
/// assert!(set.grants("repo:read"));
/// assert!(!set.grants("repo"));
/// assert!(catalog.set(["repo:*"]).is_err());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct ScopeCatalog {
    compiled: &'static Compiled,
    presets: Vec<Preset>,
}

impl ScopeCatalog {
    /// Most scopes a catalog can declare.
    pub const MAX_SCOPES: usize = Bits::CAPACITY;

    /// Starts an empty catalog.
    #[must_use]
    pub fn builder() -> ScopeCatalogBuilder {
        ScopeCatalogBuilder::default()
    }

    /// A catalog of plain scopes without descriptions or implications.
    ///
    /// # Errors
    /// As [`ScopeCatalogBuilder::build`].
    pub fn of<T: Into<String>>(scopes: impl IntoIterator<Item = T>) -> Result<Self, CatalogError> {
        let builder = Self::builder();
        scopes
            .into_iter()
            .fold(builder, |builder, scope| builder.scope(ScopeDefinition::new(scope)))
            .build()
    }

    /// The declared scopes in order of declaration.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = DeclaredScope<'_>> {
        self.compiled.entries.iter().map(|entry| DeclaredScope { entry, catalog: self.compiled })
    }

    /// One declared scope.
    #[must_use]
    pub fn get(&self, scope: &str) -> Option<DeclaredScope<'_>> {
        let entry = self.compiled.entries.get(self.compiled.index(scope)?)?;
        Some(DeclaredScope { entry, catalog: self.compiled })
    }

    /// The presets in order of declaration.
    #[must_use]
    pub fn presets(&self) -> &[Preset] {
        &self.presets
    }

    /// The preset with this name.
    #[must_use]
    pub fn preset(&self, name: &str) -> Option<&Preset> {
        self.presets.iter().find(|preset| preset.name == name)
    }

    /// The scopes that every token has.
    pub fn always(&self) -> impl Iterator<Item = &Scope> {
        self.compiled
            .entries
            .iter()
            .enumerate()
            .filter(|(index, _)| self.compiled.always.contains(*index))
            .map(|(_, entry)| &entry.scope)
    }

    /// A set of this catalog's, and what every token has. The empty one stays empty.
    pub(crate) fn with_always(&self, set: ScopeSet) -> ScopeSet {
        if set.is_empty() { set } else { set.or(self.compiled.always) }
    }

    /// The set of these scopes and all they imply. Scopes given to every token are not added.
    ///
    /// # Errors
    /// [`UnknownScope`] for the first text that is not declared here.
    pub fn set<T: AsRef<str>>(
        &self,
        scopes: impl IntoIterator<Item = T>,
    ) -> Result<ScopeSet, UnknownScope> {
        let mut bits = Bits::default();
        for scope in scopes {
            let closure = self.compiled.closure(scope.as_ref());
            bits = bits.or(closure.ok_or_else(|| UnknownScope::of(scope.as_ref()))?);
        }
        Ok(ScopeSet::new(bits, self.compiled))
    }

    /// Just these scopes, without what they imply: what a check asks for, not what a token grants.
    ///
    /// # Errors
    /// [`UnknownScope`] for the first text that is not declared here.
    pub fn exactly<T: AsRef<str>>(
        &self,
        scopes: impl IntoIterator<Item = T>,
    ) -> Result<ScopeSet, UnknownScope> {
        let mut bits = Bits::default();
        for scope in scopes {
            let index = self.compiled.index(scope.as_ref());
            bits.insert(index.ok_or_else(|| UnknownScope::of(scope.as_ref()))?);
        }
        Ok(ScopeSet::new(bits, self.compiled))
    }

    /// Every declared scope.
    #[must_use]
    pub fn everything(&self) -> ScopeSet {
        let mut bits = Bits::default();
        (0..self.compiled.entries.len()).for_each(|index| bits.insert(index));
        ScopeSet::new(bits, self.compiled)
    }

    /// No scope.
    #[must_use]
    pub fn nothing(&self) -> ScopeSet {
        ScopeSet::new(Bits::default(), self.compiled)
    }

    /// What a token's stored scopes amount to: themselves, what they imply, and what every token
    /// has. A stored scope that is no longer declared grants nothing; see
    /// [`unknown`](Self::unknown). A list with no declared scope at all grants nothing.
    #[must_use]
    pub fn resolve(&self, list: &ScopeList) -> ScopeSet {
        let known = list.iter().filter_map(|scope| self.compiled.closure(scope.as_str()));
        let bits = known.fold(None, |bits: Option<Bits>, closure| {
            Some(bits.unwrap_or(self.compiled.always).or(closure))
        });
        ScopeSet::new(bits.unwrap_or_default(), self.compiled)
    }

    /// The fewest scopes that together amount to nothing outside the set: those whose
    /// implications are all in it, less those that another one of them implies.
    ///
    /// # Errors
    /// [`ParseScopeError::TooMany`] if more than 64 are left.
    pub(crate) fn list_of(&self, set: &ScopeSet) -> Result<ScopeList, ParseScopeError> {
        let mut kept: Vec<DeclaredScope<'_>> = Vec::new();
        for declared in self.iter().filter(|declared| set.contains(&declared.closure())) {
            if !kept.iter().any(|wider| wider.closure().contains(&declared.closure())) {
                kept.retain(|narrower| !declared.closure().contains(&narrower.closure()));
                kept.push(declared);
            }
        }
        ScopeList::new(kept.into_iter().map(|declared| declared.scope().clone()))
    }

    /// The stored scopes that are not declared any more.
    pub fn unknown<'a>(&self, list: &'a ScopeList) -> impl Iterator<Item = &'a Scope> {
        list.iter().filter(|scope| self.compiled.index(scope.as_str()).is_none())
    }

    /// Whether the set was made by this catalog or one of equal content.
    #[must_use]
    pub fn owns(&self, set: &ScopeSet) -> bool {
        set.is_of(self.compiled)
    }

    /// The declared scopes that a kind of token may be granted.
    #[must_use]
    pub fn grantable(&self, kind: Kind) -> ScopeSet {
        let mut bits = Bits::default();
        for (index, entry) in self.compiled.entries.iter().enumerate() {
            if entry.definition.kinds.contains(kind) {
                bits.insert(index);
            }
        }
        ScopeSet::new(bits, self.compiled)
    }
}

impl Default for ScopeCatalog {
    /// A catalog without scopes.
    fn default() -> Self {
        let empty =
            Compiled { entries: Vec::new(), index: HashMap::default(), always: Bits::default() };
        Self { compiled: intern(empty), presets: Vec::new() }
    }
}

impl fmt::Debug for ScopeCatalog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.compiled.scopes()).finish()
    }
}

/// A scope in its catalog.
#[derive(Clone, Copy)]
pub struct DeclaredScope<'a> {
    entry: &'a Entry,
    catalog: &'static Compiled,
}

impl<'a> DeclaredScope<'a> {
    /// The scope.
    #[must_use]
    pub fn scope(&self) -> &'a Scope {
        &self.entry.scope
    }

    /// What people see in place of the name.
    #[must_use]
    pub fn title(&self) -> &'a str {
        &self.entry.definition.title
    }

    /// One sentence on what the scope allows; may be empty.
    #[must_use]
    pub fn description(&self) -> &'a str {
        &self.entry.definition.description
    }

    /// The heading under which it is offered; may be empty.
    #[must_use]
    pub fn group(&self) -> &'a str {
        &self.entry.definition.group
    }

    /// The kinds of token that may be granted it.
    #[must_use]
    pub fn kinds(&self) -> KindSet {
        self.entry.definition.kinds
    }

    /// The scope and everything it implies.
    #[must_use]
    pub fn closure(&self) -> ScopeSet {
        ScopeSet::new(self.entry.closure, self.catalog)
    }
}

impl fmt::Debug for DeclaredScope<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.entry.definition, f)
    }
}

/// The scope is not declared in the catalog.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown scope `{scope}`")]
#[non_exhaustive]
pub struct UnknownScope {
    /// The text that was asked for, escaped and cut to 128 characters.
    pub scope: String,
}

impl UnknownScope {
    fn of(text: &str) -> Self {
        Self { scope: text.escape_debug().take(Scope::MAX_LEN).collect() }
    }
}

/// Why a catalog cannot be built.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CatalogError {
    /// A name is no scope, or a preset has too many.
    #[error("`{scope}` cannot be declared")]
    Malformed {
        /// The scope or preset.
        scope: String,
        /// What is wrong with it.
        #[source]
        error: ParseScopeError,
    },
    /// A scope is declared twice.
    #[error("scope `{scope}` is declared twice")]
    Repeated {
        /// The scope.
        scope: String,
    },
    /// An implication, preset or always-scope names a scope that is not declared.
    #[error("scope `{scope}` is named but not declared")]
    Undeclared {
        /// The scope.
        scope: String,
    },
    /// Two presets have the same name.
    #[error("preset `{preset}` is declared twice")]
    RepeatedPreset {
        /// The preset.
        preset: String,
    },
    /// A preset stands for nothing.
    #[error("preset `{preset}` has no scope")]
    EmptyPreset {
        /// The preset.
        preset: String,
    },
    /// More scopes than a catalog can hold.
    #[error("a catalog has at most {} scopes", ScopeCatalog::MAX_SCOPES)]
    TooMany,
}

struct Entry {
    scope: Scope,
    definition: ScopeDefinition,
    closure: Bits,
}

/// What checks need of a catalog. Lives for the rest of the program once interned.
pub(super) struct Compiled {
    entries: Vec<Entry>,
    index: HashMap<Scope, usize, foldhash::fast::RandomState>,
    always: Bits,
}

impl Compiled {
    fn build(definitions: Vec<ScopeDefinition>, always: &[String]) -> Result<Self, CatalogError> {
        if definitions.len() > ScopeCatalog::MAX_SCOPES {
            return Err(CatalogError::TooMany);
        }
        let mut compiled =
            Self { entries: Vec::new(), index: HashMap::default(), always: Bits::default() };
        for (index, definition) in definitions.into_iter().enumerate() {
            let scope: Scope = definition.scope.parse().map_err(|error| {
                CatalogError::Malformed { scope: definition.scope.escape_debug().collect(), error }
            })?;
            if compiled.index.insert(scope.clone(), index).is_some() {
                return Err(CatalogError::Repeated { scope: definition.scope });
            }
            compiled.entries.push(Entry { scope, definition, closure: Bits::default() });
        }
        compiled.close()?;
        for scope in always {
            let index = compiled.require(scope)?;
            compiled.always = compiled.always.or(compiled.closure_at(index));
        }
        Ok(compiled)
    }

    /// Follows implications until nothing new is reached; circles are harmless.
    fn close(&mut self) -> Result<(), CatalogError> {
        let mut edges = Vec::with_capacity(self.entries.len());
        for entry in &self.entries {
            let implied: Result<Vec<usize>, _> =
                entry.definition.implies.iter().map(|scope| self.require(scope)).collect();
            edges.push(implied?);
        }
        for (start, entry) in self.entries.iter_mut().enumerate() {
            let mut open = vec![start];
            while let Some(index) = open.pop() {
                if !entry.closure.contains(index) {
                    entry.closure.insert(index);
                    open.extend(edges.get(index).into_iter().flatten());
                }
            }
        }
        Ok(())
    }

    fn require(&self, scope: &str) -> Result<usize, CatalogError> {
        self.index(scope)
            .ok_or_else(|| CatalogError::Undeclared { scope: scope.escape_debug().collect() })
    }

    pub(super) fn index(&self, scope: &str) -> Option<usize> {
        self.index.get(scope).copied()
    }

    pub(super) fn scopes(&self) -> impl Iterator<Item = &Scope> {
        self.entries.iter().map(|entry| &entry.scope)
    }

    fn closure(&self, scope: &str) -> Option<Bits> {
        self.index(scope).map(|index| self.closure_at(index))
    }

    fn says_the_same(&self, other: &Self) -> bool {
        self.always == other.always
            && self.entries.len() == other.entries.len()
            && self.entries.iter().zip(&other.entries).all(|(a, b)| a.definition == b.definition)
    }

    fn closure_at(&self, index: usize) -> Bits {
        self.entries.get(index).map(|entry| entry.closure).unwrap_or_default()
    }
}

/// Compiled catalogs, one for each different content.
static INTERNED: Mutex<Vec<&'static Compiled>> = Mutex::new(Vec::new());

fn intern(compiled: Compiled) -> &'static Compiled {
    let mut interned = INTERNED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(known) = interned.iter().find(|known| known.says_the_same(&compiled)) {
        return known;
    }
    let compiled: &'static Compiled = Box::leak(Box::new(compiled));
    interned.push(compiled);
    compiled
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn repo() -> ScopeCatalogBuilder {
        ScopeCatalog::builder()
            .scope(ScopeDefinition::new("repo:read"))
            .scope(ScopeDefinition::new("repo:write").implies(["repo:read"]))
            .scope(ScopeDefinition::new("repo:admin").implies(["repo:write"]))
            .scope(ScopeDefinition::new("profile"))
    }

    fn list(scopes: &[&str]) -> ScopeList {
        ScopeList::parse(scopes).unwrap()
    }

    #[test]
    fn implications_are_followed_to_the_end_and_not_backwards() {
        let catalog = repo().build().unwrap();
        let admin = catalog.set(["repo:admin"]).unwrap();
        assert!(admin.grants("repo:read") && admin.grants("repo:write"));
        assert!(!catalog.set(["repo:read"]).unwrap().grants("repo:write"));
    }

    #[test]
    fn no_prefix_glob_or_case_variant_matches() {
        let catalog = repo().build().unwrap();
        for text in ["*", "repo:*", "repo", "all", "REPO:READ", "repo:read ", "repo:readonly", ""] {
            assert!(catalog.set([text]).is_err(), "{text:?}");
            assert!(!catalog.everything().grants(text), "{text:?}");
        }
    }

    #[test]
    fn circles_of_implications_are_equal_rights() {
        let catalog = ScopeCatalog::builder()
            .scope(ScopeDefinition::new("a").implies(["b"]))
            .scope(ScopeDefinition::new("b").implies(["a"]))
            .build()
            .unwrap();
        assert_eq!(catalog.set(["a"]).unwrap(), catalog.set(["b"]).unwrap());
    }

    #[test]
    fn always_scopes_join_tokens_that_have_a_live_scope() {
        let catalog = repo().always(["profile"]).build().unwrap();
        assert!(catalog.resolve(&list(&["repo:read"])).grants("profile"));
        assert!(catalog.resolve(&ScopeList::default()).is_empty());
        let gone = list(&["repo:gone"]);
        assert!(catalog.resolve(&gone).is_empty());
        assert_eq!(catalog.unknown(&gone).count(), 1);
    }

    #[test]
    fn equal_catalogs_share_their_sets_and_others_share_nothing() {
        let one = repo().build().unwrap();
        let same = repo().build().unwrap();
        let other = repo().always(["profile"]).build().unwrap();
        let read = one.set(["repo:read"]).unwrap();
        assert_eq!(read, same.set(["repo:read"]).unwrap());
        assert!(same.owns(&read) && !other.owns(&read));
        assert!(!other.everything().contains(&read));
        assert!(other.everything().and(&read).is_empty());
    }

    #[test]
    fn a_catalog_that_contradicts_itself_is_refused() {
        assert!(matches!(
            repo().scope(ScopeDefinition::new("profile")).build(),
            Err(CatalogError::Repeated { .. })
        ));
        assert!(matches!(
            repo().scope(ScopeDefinition::new("x").implies(["y"])).build(),
            Err(CatalogError::Undeclared { .. })
        ));
        assert!(matches!(
            repo().scope(ScopeDefinition::new("a b")).build(),
            Err(CatalogError::Malformed { .. })
        ));
        assert!(matches!(repo().always(["y"]).build(), Err(CatalogError::Undeclared { .. })));
        assert!(matches!(repo().preset("p", ["y"]).build(), Err(CatalogError::Undeclared { .. })));
        assert!(matches!(
            repo().preset("p", Vec::<String>::new()).build(),
            Err(CatalogError::EmptyPreset { .. })
        ));
        assert!(matches!(
            repo().preset("p", ["profile"]).preset("p", ["profile"]).build(),
            Err(CatalogError::RepeatedPreset { .. })
        ));
        let many = |count: usize| ScopeCatalog::of((0..count).map(|n| format!("s{n}")));
        assert!(many(ScopeCatalog::MAX_SCOPES).is_ok());
        assert_eq!(many(ScopeCatalog::MAX_SCOPES + 1).unwrap_err(), CatalogError::TooMany);
    }

    #[test]
    fn kinds_limit_what_can_be_granted() {
        let catalog = ScopeCatalog::builder()
            .scope(ScopeDefinition::new("read"))
            .scope(ScopeDefinition::new("admin").kinds([Kind::Personal]))
            .build()
            .unwrap();
        assert!(catalog.grantable(Kind::Personal).grants("admin"));
        assert!(!catalog.grantable(Kind::Access).grants("admin"));
    }

    proptest! {
        /// A closure is the set of scopes that a walk over the implications reaches.
        #[test]
        fn closures_are_reachability(edges in prop::collection::vec((0..12_usize, 0..12_usize), 0..30)) {
            let mut builder = ScopeCatalog::builder();
            for scope in 0..12 {
                let implied = edges.iter().filter(|(from, _)| *from == scope);
                builder = builder.scope(
                    ScopeDefinition::new(format!("s{scope}"))
                        .implies(implied.map(|(_, to)| format!("s{to}"))),
                );
            }
            let catalog = builder.build().unwrap();
            for start in 0..12 {
                let mut reached = std::collections::BTreeSet::from([start]);
                while let Some((_, to)) =
                    edges.iter().find(|(from, to)| reached.contains(from) && !reached.contains(to))
                {
                    reached.insert(*to);
                }
                let set = catalog.set([format!("s{start}")]).unwrap();
                for scope in 0..12 {
                    prop_assert_eq!(set.grants(&format!("s{scope}")), reached.contains(&scope));
                }
            }
        }

        /// `contains` is inclusion and `and` is intersection of what is granted.
        #[test]
        fn sets_behave_like_sets(left in any::<[bool; 70]>(), right in any::<[bool; 70]>()) {
            let catalog = ScopeCatalog::of((0..70).map(|n| format!("s{n}"))).unwrap();
            let set = |chosen: &[bool]| {
                let names = (0..70).filter(|n| chosen[*n]).map(|n| format!("s{n}"));
                catalog.set(names).unwrap()
            };
            let (a, b) = (set(&left), set(&right));
            let both = a.and(&b);
            prop_assert_eq!(a.contains(&b), (0..70).all(|n| left[n] || !right[n]));
            prop_assert!(a.contains(&both) && b.contains(&both));
            prop_assert_eq!(both.iter().count(), (0..70).filter(|n| left[*n] && right[*n]).count());
        }
    }
}
