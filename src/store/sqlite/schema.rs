//! The tables, and how an older file gets them.

use std::fmt::Write as _;

use rusqlite::Connection;
use rusqlite_migration::{Error, HookError, M, MigrationDefinitionError, Migrations};

use super::error::StepError;
use crate::store::StoreError;

/// Every migration in order. One that was released never changes; the next is appended.
const MIGRATIONS: [&str; 1] = [include_str!("migrations/1_tokens.sql")];

/// What SQLite's `application_id` is in a file of this store: `hall` in ASCII.
const APPLICATION_ID: i64 = 0x6861_6c6c;

/// Brings a file to the current schema. When several processes do so at once, one of them does the
/// work and the others see it done.
pub(super) fn migrate(connection: &mut Connection) -> Result<(), StepError> {
    let migrations = migrations();
    loop {
        let before = check_file(connection)?;
        let error = match migrations.to_latest(connection) {
            Ok(()) => return Ok(()),
            Err(error) => error,
        };
        // The version was read before the write lock was taken: another process may have been
        // faster, and then its work made this one's fail.
        if check_file(connection)? == before {
            return Err(failed(error));
        }
    }
}

/// Refuses a file that is not this store's, or of a later version. Returns its version; an empty
/// file has 0.
pub(super) fn check_file(connection: &Connection) -> Result<usize, StepError> {
    let (application, version, tables): (i64, i64, i64) = connection.query_row(
        "SELECT (SELECT application_id FROM pragma_application_id), \
                (SELECT user_version FROM pragma_user_version), \
                (SELECT count(*) FROM sqlite_schema)",
        [],
        |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
    )?;
    let empty = application == 0 && version == 0 && tables == 0;
    if !empty && application != APPLICATION_ID {
        let text = "the file is the database of another application".to_owned();
        return Err(StoreError::Schema(text).into());
    }
    match usize::try_from(version) {
        Ok(version) if version <= MIGRATIONS.len() => Ok(version),
        _ => Err(newer(version)),
    }
}

/// Refuses a file whose schema is not the current one, without changing it.
pub(super) fn check_current(connection: &Connection) -> Result<(), StepError> {
    let version = check_file(connection)?;
    if version == MIGRATIONS.len() {
        return Ok(());
    }
    let known = MIGRATIONS.len();
    let text = format!("the file has schema {version}, and this version works on {known}");
    Err(StoreError::Schema(text).into())
}

/// The migrations as one SQL script.
pub(super) fn sql() -> String {
    let mut script = String::new();
    for (number, migration) in (1..).zip(MIGRATIONS) {
        // Writing into a string cannot fail.
        let _ = write!(
            script,
            "-- Schema {number}\nBEGIN IMMEDIATE;\n\n{migration}\nPRAGMA user_version = {number};\nCOMMIT;\n"
        );
    }
    script
}

fn migrations() -> Migrations<'static> {
    let numbered = (1..).zip(MIGRATIONS);
    Migrations::from_iter(numbered.map(|(number, sql)| {
        // Under the write lock: no migration runs twice.
        M::up_with_hook(sql, move |transaction: &rusqlite::Transaction<'_>| {
            let version: i64 =
                transaction.query_row("PRAGMA user_version", [], |row| row.get(0))?;
            if version < number {
                return Ok(());
            }
            Err(HookError::Hook("the migration was run by another process".to_owned()))
        })
    }))
}

fn newer(version: i64) -> StepError {
    let known = MIGRATIONS.len();
    let text = format!("the file has schema {version}, this version knows up to {known}");
    StoreError::Schema(text).into()
}

fn failed(error: Error) -> StepError {
    match error {
        Error::RusqliteError { err, .. } => err.into(),
        Error::MigrationDefinition(MigrationDefinitionError::DatabaseTooFarAhead) => {
            StoreError::Schema("the file was written by a later version".to_owned()).into()
        }
        other => StoreError::unavailable(other).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(connection: &Connection) -> i64 {
        connection.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap()
    }

    #[test]
    fn the_printed_script_makes_the_same_schema() {
        let mut migrated = Connection::open_in_memory().unwrap();
        migrate(&mut migrated).unwrap();
        let scripted = Connection::open_in_memory().unwrap();
        scripted.execute_batch(&sql()).unwrap();
        check_current(&scripted).unwrap();
        let dump = |connection: &Connection| -> Vec<(String, Option<String>)> {
            let mut statement =
                connection.prepare("SELECT name, sql FROM sqlite_schema ORDER BY name").unwrap();
            let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
            rows.map(Result::unwrap).collect()
        };
        assert_eq!(dump(&migrated), dump(&scripted));
        assert_eq!(version(&migrated), version(&scripted));
    }

    #[test]
    fn files_of_others_and_of_later_versions_are_refused() {
        for script in
            ["CREATE TABLE users (id)", "PRAGMA user_version = 1", "PRAGMA application_id = 7"]
        {
            let mut other = Connection::open_in_memory().unwrap();
            other.execute_batch(script).unwrap();
            let error = StoreError::from(migrate(&mut other).unwrap_err());
            assert!(matches!(error, StoreError::Schema(_)), "{script}: {error:?}");
        }
        let mut later = Connection::open_in_memory().unwrap();
        migrate(&mut later).unwrap();
        later.execute_batch("PRAGMA user_version = 1000").unwrap();
        let error = StoreError::from(migrate(&mut later).unwrap_err());
        assert!(matches!(error, StoreError::Schema(_)), "{error:?}");
    }
}
