//! The tables, and how a database gets them.

use std::fmt::Write as _;

use deadpool_postgres::Object;
use tokio_postgres::Client;
use tokio_postgres::error::SqlState;

use super::error::StepError;
use super::sql::quoted;
use crate::store::StoreError;

/// Every migration in order. One that was released never changes; the next is appended.
const MIGRATIONS: [&str; 1] = [include_str!("migrations/1_tokens.sql")];

/// The table that tells which migrations a database has.
const VERSION_TABLE: &str = "CREATE TABLE hallpass_schema (version BIGINT NOT NULL PRIMARY KEY);
INSERT INTO hallpass_schema (version) VALUES (0);";

/// How often a migration may be overtaken by another node's before this one gives up.
const ATTEMPTS: usize = 20;

/// Brings a database to the current schema. When several nodes do so at once, each migration is
/// run by one of them: it first writes the row with the version, or makes the table it is in, and
/// the others wait for that and then see it done. That needs no advisory lock.
pub(super) async fn migrate(client: &mut Object, schema: Option<&str>) -> Result<(), StepError> {
    for _ in 0..ATTEMPTS {
        let version = version(client, schema).await?;
        let Some(migration) = known(version)? else {
            return Ok(());
        };
        match run(client, schema, version, migration).await {
            Ok(()) => {}
            Err(error) if error.is_worth_repeating() || was_made_by_another(&error) => {}
            Err(error) => return Err(error),
        }
    }
    Err(StepError::Overtaken)
}

/// Refuses a database whose schema is not the current one, without changing it.
pub(super) async fn check(client: &Client, schema: Option<&str>) -> Result<(), StepError> {
    let version = version(client, schema).await?;
    if known(version)?.is_none() {
        return Ok(());
    }
    let number = version.unwrap_or(0);
    let text = format!("the database has schema {number} and is not to be migrated");
    Err(StoreError::Schema(text).into())
}

/// The migrations as one SQL script.
pub(super) fn script(schema: Option<&str>) -> Result<String, StoreError> {
    let mut script = String::new();
    let place = place(schema)?;
    for (number, migration) in (1..).zip(MIGRATIONS) {
        let first = if number == 1 { format!("{VERSION_TABLE}\n") } else { String::new() };
        // Writing into a string cannot fail.
        let _ = write!(
            script,
            "-- Schema {number}\nBEGIN;\n{place}{first}\n{migration}\n\
             UPDATE hallpass_schema SET version = {number};\nCOMMIT;\n"
        );
    }
    Ok(script)
}

/// What makes a schema and has the rest of a transaction find its tables there.
fn place(schema: Option<&str>) -> Result<String, StoreError> {
    let Some(schema) = schema else {
        return Ok(String::new());
    };
    let schema = quoted(schema)?;
    Ok(format!("CREATE SCHEMA IF NOT EXISTS {schema};\nSET LOCAL search_path TO {schema};\n"))
}

/// The version of a database; none if it has no tables yet.
async fn version(client: &Client, schema: Option<&str>) -> Result<Option<i64>, StepError> {
    let prefix = match schema {
        Some(schema) => format!("{}.", quoted(schema)?),
        None => String::new(),
    };
    let select = format!("SELECT max(version) FROM {prefix}hallpass_schema");
    let rows = match client.query_typed(&select, &[]).await {
        Ok(rows) => rows,
        Err(error)
            if error.code().is_some_and(|code| {
                *code == SqlState::UNDEFINED_TABLE || *code == SqlState::INVALID_SCHEMA_NAME
            }) =>
        {
            return Ok(None);
        }
        Err(error) => return Err(error.into()),
    };
    let version = rows.first().map(|row| row.try_get::<_, Option<i64>>(0)).transpose()?.flatten();
    let unreadable = || StoreError::Schema("the database does not tell its schema".to_owned());
    Ok(Some(version.ok_or_else(unreadable)?))
}

/// The migration that a database needs next, if it needs one.
fn known(version: Option<i64>) -> Result<Option<(i64, &'static str)>, StoreError> {
    let done = version.unwrap_or(0);
    let next = usize::try_from(done).ok().filter(|done| *done <= MIGRATIONS.len());
    let Some(next) = next else {
        let most = MIGRATIONS.len();
        let text = format!("the database has schema {done}, this version knows up to {most}");
        return Err(StoreError::Schema(text));
    };
    Ok(MIGRATIONS.get(next).map(|migration| (done + 1, *migration)))
}

async fn run(
    client: &mut Object,
    schema: Option<&str>,
    version: Option<i64>,
    (number, migration): (i64, &str),
) -> Result<(), StepError> {
    let transaction = client.transaction().await?;
    transaction.batch_execute("SET LOCAL statement_timeout = 0").await?;
    transaction.batch_execute(&place(schema)?).await?;
    match version {
        None => transaction.batch_execute(VERSION_TABLE).await?,
        Some(version) => {
            let write =
                format!("UPDATE hallpass_schema SET version = {version} WHERE version = {version}");
            if transaction.execute_typed(&write, &[]).await? != 1 {
                return Err(StepError::Overtaken);
            }
        }
    }
    transaction.batch_execute(migration).await?;
    transaction.batch_execute(&format!("UPDATE hallpass_schema SET version = {number}")).await?;
    Ok(transaction.commit().await?)
}

/// Whether another node made the schema or the table at the same time.
fn was_made_by_another(error: &StepError) -> bool {
    error.code().is_some_and(|code| {
        [
            SqlState::DUPLICATE_TABLE,
            SqlState::DUPLICATE_SCHEMA,
            // The type of the table's rows, which is made before the table.
            SqlState::DUPLICATE_OBJECT,
            SqlState::UNIQUE_VIOLATION,
        ]
        .contains(code)
    })
}
