//! Which store, and how it is opened.

use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;

use hallpass::cli::{Class, Failure};
use hallpass::store::SqliteOptions;
use hallpass::{SqliteStore, StoreError, TokenStore};

/// Where the tokens are.
pub(crate) enum Database {
    Sqlite(PathBuf),
    #[cfg(feature = "postgres")]
    Postgres(String),
    #[cfg(feature = "redis")]
    Redis(String),
}

/// What the store is opened for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Use {
    Look,
    Change,
}

impl Database {
    pub(crate) fn parse(url: Option<&str>) -> Result<Self, Failure> {
        const FORMS: &str = "write sqlite:PATH, postgres://... or redis://...";
        let usage = |message: &str| Failure::new(Class::Usage, message);
        let url = url.filter(|url| !url.is_empty()).ok_or_else(|| {
            usage("there is no database").with_hint("add --database, or set HALLPASS_DATABASE")
        })?;
        match url.split_once(':') {
            Some(("sqlite", path)) if !path.is_empty() => Ok(Self::Sqlite(path.into())),
            #[cfg(feature = "postgres")]
            Some(("postgres" | "postgresql", _)) => Ok(Self::Postgres(url.to_owned())),
            #[cfg(not(feature = "postgres"))]
            Some(("postgres" | "postgresql", _)) => Err(usage("this was built without PostgreSQL")
                .with_hint("build it with the feature postgres")),
            #[cfg(feature = "redis")]
            Some(("redis" | "rediss", _)) => Ok(Self::Redis(url.to_owned())),
            #[cfg(not(feature = "redis"))]
            Some(("redis" | "rediss", _)) => {
                Err(usage("this was built without Redis")
                    .with_hint("build it with the feature redis"))
            }
            // A URL may hold a password, so it is not repeated.
            _ => Err(usage("this is no database").with_hint(FORMS)),
        }
    }

    /// Opens the store as it is: nothing is created or migrated.
    pub(crate) async fn open(&self, wanted: Use) -> Result<Arc<dyn TokenStore>, Failure> {
        match self {
            Self::Sqlite(path) => {
                if !path.exists() {
                    let message = format!("there is no file {}", path.display());
                    return Err(Failure::new(Class::NotFound, message)
                        .with_hint("`hallpass_admin migrate` makes one"));
                }
                if path.is_dir() {
                    let message = format!("{} is a folder", path.display());
                    return Err(Failure::new(Class::Usage, message));
                }
                let options = match wanted {
                    Use::Look => SqliteOptions::new().read_only(),
                    Use::Change => SqliteOptions::new().without_migrations(),
                };
                options
                    .open(path)
                    .map(|store| Arc::new(store) as _)
                    .map_err(|error| of_store(&error))
            }
            #[cfg(feature = "postgres")]
            Self::Postgres(url) => {
                let options = hallpass::PostgresOptions::new().without_migrations();
                options
                    .connect(url)
                    .await
                    .map(|store| Arc::new(store) as _)
                    .map_err(|error| of_store(&error))
            }
            #[cfg(feature = "redis")]
            Self::Redis(url) => hallpass::RedisStore::connect(url.as_str())
                .await
                .map(|store| Arc::new(store) as _)
                .map_err(|error| of_store(&error)),
        }
    }

    /// Brings the tables up to date.
    pub(crate) async fn migrate(&self) -> Result<&'static str, Failure> {
        const DONE: &str = "The tables are those of this version.";
        match self {
            Self::Sqlite(path) => {
                SqliteStore::open(path).map(|_| DONE).map_err(|error| of_store(&error))
            }
            #[cfg(feature = "postgres")]
            Self::Postgres(url) => hallpass::PostgresStore::connect(url)
                .await
                .map(|_| DONE)
                .map_err(|error| of_store(&error)),
            #[cfg(feature = "redis")]
            Self::Redis(_) => Ok("Redis has no tables."),
        }
    }

    /// The migrations as SQL.
    pub(crate) fn script(&self) -> String {
        match self {
            Self::Sqlite(_) => SqliteStore::schema_sql(),
            #[cfg(feature = "postgres")]
            Self::Postgres(_) => hallpass::PostgresStore::schema_sql(),
            #[cfg(feature = "redis")]
            Self::Redis(_) => "-- Redis has no tables.\n".to_owned(),
        }
    }
}

/// What a store says, with the deepest of its causes, which says most.
pub(crate) fn of_store(error: &StoreError) -> Failure {
    let mut message = error.to_string();
    let mut cause = error.source();
    while let Some(deeper) = cause {
        cause = deeper.source();
        if cause.is_none() {
            message = format!("{message}: {deeper}");
        }
    }
    match error {
        StoreError::Unavailable(_) => Failure::new(Class::Unavailable, message),
        StoreError::Schema(_) => Failure::new(Class::Other, message)
            .with_hint("`hallpass_admin migrate` brings an older one up to date"),
        StoreError::Conflict(_) => Failure::new(Class::Conflict, message),
        _ => Failure::new(Class::Other, message),
    }
}
