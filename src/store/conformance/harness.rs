//! How a backend is put through the cases.

use std::any::Any;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use crate::store::TokenStore;

/// The store a case is about.
pub type Store = Arc<dyn TokenStore>;

/// What a case needs of a backend: an empty store that nobody else uses meanwhile.
///
/// Any store is one. Some also need something kept until the case is over, and some backends can
/// give a second store on the same data, as another node would have it.
pub struct Fixture {
    store: Store,
    second: Option<Store>,
    guard: Option<Box<dyn Any + Send>>,
}

impl Fixture {
    /// A store, which must be empty.
    #[must_use]
    pub fn new(store: impl TokenStore) -> Self {
        Self { store: Arc::new(store), second: None, guard: None }
    }

    /// Adds a store of its own on the same data: another pool, another cache.
    #[must_use]
    pub fn with_second(mut self, store: impl TokenStore) -> Self {
        self.second = Some(Arc::new(store));
        self
    }

    /// Adds what must not be dropped before the case is over: a directory, a server.
    #[must_use]
    pub fn with_guard(mut self, guard: impl Any + Send) -> Self {
        self.guard = Some(Box::new(guard));
        self
    }
}

impl fmt::Debug for Fixture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fixture")
            .field("store", &self.store)
            .field("second", &self.second)
            .finish_non_exhaustive()
    }
}

impl<S: TokenStore> From<S> for Fixture {
    fn from(store: S) -> Self {
        Self::new(store)
    }
}

/// Something that makes empty stores, one for each case. Every `async fn()` that returns a store or
/// a [`Fixture`] is one.
pub trait Backend {
    /// An empty store that nobody else uses meanwhile: a database, a schema or a key prefix of its
    /// own. It fails by panicking.
    fn fresh(&self) -> impl Future<Output = Fixture>;
}

impl<B, F> Backend for B
where
    B: Fn() -> F,
    F: Future<Output: Into<Fixture>>,
{
    async fn fresh(&self) -> Fixture {
        self().await.into()
    }
}

type Running = Pin<Box<dyn Future<Output = ()> + Send>>;

/// One rule of the store contract, as a test.
#[derive(Clone, Copy)]
pub struct Case {
    name: &'static str,
    subject: &'static str,
    steps: fn(Store, Store) -> Running,
}

impl Case {
    /// The case's name, unique: that of its function.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// What the case is about: the name of its function's module.
    #[must_use]
    pub const fn subject(&self) -> &'static str {
        self.subject
    }

    /// Puts a store through the case, on the Tokio runtime this is awaited on. Panics with the
    /// broken rule.
    pub async fn run(&self, fixture: impl Into<Fixture>) {
        let Fixture { store, second, guard } = fixture.into();
        let second = second.unwrap_or_else(|| store.clone());
        (self.steps)(store, second).await;
        drop(guard);
    }
}

impl fmt::Debug for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}::{}", self.subject, self.name)
    }
}

/// Runs the case of this name on a store of this backend, on a Tokio runtime of its own with two
/// threads. Panics with the broken rule: it is the body of the tests that
/// [`conformance_tests!`](crate::conformance_tests) makes.
pub fn run(case: &str, backend: &impl Backend) {
    let known = CASES.iter().find(|known| known.name == case);
    let case = known.unwrap_or_else(|| panic!("there is no case `{case}`"));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a Tokio runtime can be made");
    runtime.block_on(async {
        let fixture = backend.fresh().await;
        case.run(fixture).await;
    });
}

/// Makes one `#[test]` for each conformance case and each backend.
///
/// A backend is an `async fn` of this name, in the same module, that returns an empty store or a
/// [`Fixture`](crate::store::conformance::Fixture). Its tests are in a module of the same name.
///
/// ```
/// use hallpass::MemoryStore;
/// use hallpass::conformance::Fixture;
///
/// async fn memory() -> MemoryStore {
///     MemoryStore::new()
/// }
///
/// # #[cfg(feature = "sqlite")]
/// async fn sqlite() -> Fixture {
///     let directory = tempfile::tempdir().unwrap();
///     let path = directory.path().join("tokens");
///     let open = || hallpass::SqliteStore::open(&path).unwrap();
///     Fixture::new(open()).with_second(open()).with_guard(directory)
/// }
///
/// hallpass::conformance_tests! {
///     memory,
///     #[cfg(feature = "sqlite")]
///     sqlite,
/// }
/// # fn main() {}
/// ```
#[macro_export]
macro_rules! conformance_tests {
    ($($(#[$attribute:meta])* $backend:ident),+ $(,)?) => {
        $($crate::__conformance!(tests $(#[$attribute])* $backend);)+
    };
}

/// The one list of all cases. Those behind `alone` take a store, those behind `together` two.
#[doc(hidden)]
#[macro_export]
macro_rules! __conformance {
    (@cases [] $(alone $lone:ident { $($case:ident,)* })* $(together $both:ident { $($pair:ident,)* })*) => {
        &[
            $($(Case {
                name: stringify!($case),
                subject: stringify!($lone),
                steps: |store, _| Box::pin(super::$lone::$case(store)),
            },)*)*
            $($(Case {
                name: stringify!($pair),
                subject: stringify!($both),
                steps: |first, second| Box::pin(super::$both::$pair(first, second)),
            },)*)*
        ]
    };
    (@tests [$(#[$attribute:meta])* $backend:ident] $($kind:ident $subject:ident { $($case:ident,)* })*) => {
        $(#[$attribute])*
        mod $backend {
            $($(
                #[test]
                fn $case() {
                    $crate::store::conformance::run(stringify!($case), &super::$backend);
                }
            )*)*
        }
    };
    ($how:ident $($given:tt)*) => {
        $crate::__conformance! {
            @$how [$($given)*]
            alone insert {
                every_field_comes_back,
                conflicts_are_told_in_order,
                ended_tokens_free_their_names_and_places,
            }
            alone find {
                absence_is_no_error,
                ids_are_compared_byte_by_byte,
            }
            alone hostile {
                hostile_text_is_only_text,
                hostile_text_is_only_text_in_changes,
                text_is_searched_literally,
            }
            alone update {
                an_update_changes_what_it_names,
                every_field_of_a_change_arrives,
                stale_and_late_updates_are_refused,
                a_new_name_must_be_free_if_asked_for,
            }
            alone revoke {
                revocation_reaches_what_it_names,
                the_first_revocation_is_kept,
                every_revocation_is_counted,
                no_later_step_changes_a_revoked_record,
            }
            alone touch {
                uses_only_move_forward,
                uses_of_revoked_tokens_are_passed_over,
                a_large_batch_of_uses_is_noted_whole,
            }
            alone list {
                lists_admit_what_the_filter_admits,
                pages_hold_while_records_come_and_go,
                the_filter_decides_at_the_instant_it_is_given,
            }
            alone purge {
                purge_removes_what_ended_long_ago,
                purge_keeps_parents,
                a_purge_has_a_limit,
                nothing_of_a_purged_record_is_left,
            }
            alone races {
                a_hundred_inserts_at_once_respect_the_quota,
                one_of_many_at_once_gets_a_name,
                one_of_many_at_once_gets_an_idempotency_key,
                one_of_many_renames_at_once_gets_the_name,
                one_of_many_rotations_at_once_succeeds,
                no_update_undoes_a_revocation,
                a_bulk_revocation_beside_inserts_takes_all_that_came_before,
                a_use_beside_a_revocation_changes_nothing_afterwards,
                uses_at_once_only_move_forward,
                a_purge_beside_a_revocation_removes_each_record_once,
                readers_see_no_half_of_a_change,
            }
            alone cancel {
                a_dropped_insert_is_all_or_nothing,
                a_dropped_update_is_all_or_nothing,
                a_dropped_revocation_is_all_or_nothing,
                a_dropped_touch_can_be_taken_again,
                a_dropped_purge_can_be_taken_again,
                a_dropped_read_disturbs_nothing,
            }
            alone resident {
                a_change_is_resident_before_its_step_returns,
                a_change_is_resident_whoever_reads_meanwhile,
                resident_scopes_are_those_of_the_attached_catalog,
            }
            alone changes {
                the_first_notice_is_a_gap,
                what_is_committed_is_told,
                a_dropped_wait_loses_no_notice,
                a_quiet_channel_says_that_it_is_alive,
            }
            alone transfer {
                records_move_in_and_out_unchanged,
                an_import_overwrites_nothing,
            }
            alone model {
                random_steps_do_what_the_model_does,
            }
            together nodes {
                two_stores_share_their_data,
                two_stores_respect_one_quota,
                one_rotation_at_once_succeeds_on_two_stores,
                a_revocation_binds_every_store,
                changes_are_told_to_the_other_store,
            }
        }
    };
}

/// Every case, by subject.
pub const CASES: &[Case] = __conformance!(cases);
