//! Commands that move records and make tables.

use std::error::Error;
use std::fs::{File, OpenOptions};
use std::io::{BufReader, BufWriter, stdout};
use std::path::Path;

use hallpass::TokenStore;
use hallpass::cli::{Class, Failure, print, say};
use hallpass::transfer::{self, ExportError, ImportError, Tally};

use super::arguments::{Export, Import, Migrate};
use super::database::{Database, of_store};

pub(crate) async fn export(store: &dyn TokenStore, export: &Export) -> Result<(), Failure> {
    let brand = export.brand.as_ref();
    let written = match &export.file {
        None => transfer::export(store, brand, stdout()).await,
        Some(path) => {
            let file = create(path)?;
            let written = transfer::export(store, brand, BufWriter::new(&file)).await;
            let written = written.and_then(|tally| Ok(file.sync_all().map(|()| tally)?));
            if written.is_err() {
                // What is there is not whole.
                let _ = std::fs::remove_file(path);
            }
            written
        }
    };
    let tally = written.map_err(|error| match error {
        ExportError::Store(error) => of_store(&error),
        other => of_file(&other),
    })?;
    say(&format!("Exported {}.", count(&tally)));
    Ok(())
}

/// A new file for its owner only.
fn create(path: &Path) -> Result<File, Failure> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    options.open(path).map_err(|error| {
        let class = match error.kind() {
            std::io::ErrorKind::AlreadyExists => Class::Usage,
            _ => Class::Other,
        };
        Failure::new(class, format!("cannot make {}: {error}", path.display()))
    })
}

pub(crate) async fn import(store: &dyn TokenStore, import: &Import) -> Result<(), Failure> {
    let brand = import.brand.as_ref();
    let open = || {
        let path = &import.file;
        let message = |error| format!("cannot read {}: {error}", path.display());
        let file = File::open(path).map_err(|error| Failure::new(Class::Usage, message(error)))?;
        Ok::<_, Failure>(BufReader::new(file))
    };
    // The whole file is read first, so that a bad line is told before anything is written.
    let tally = transfer::check(brand, open()?).map_err(of_import)?;
    if import.dry_run {
        say(&format!("The file is good and holds {}. Nothing was changed.", count(&tally)));
        return Ok(());
    }
    let imported = transfer::import(store, brand, open()?).await.map_err(of_import)?;
    let (added, already) = (imported.added, imported.already);
    say(&format!("Imported {}: {added} new, {already} there already.", count(&tally)));
    Ok(())
}

fn of_import(error: ImportError) -> Failure {
    match error {
        ImportError::Store { line, error } => {
            let failure = of_store(&error);
            Failure::new(failure.class(), format!("at line {line}: {failure}"))
                .with_hint("run the import again; it goes on where it stopped")
        }
        ImportError::Clash { .. } => Failure::new(Class::Conflict, error.to_string()),
        ImportError::File(_) => of_file(&error),
        other => Failure::new(Class::Rejected, other.to_string()),
    }
}

fn of_file(error: &dyn Error) -> Failure {
    let cause = error.source().map_or(String::new(), |cause| format!(": {cause}"));
    Failure::new(Class::Other, format!("{error}{cause}"))
}

/// How many tokens, and which peppers whoever verifies them needs.
fn count(tally: &Tally) -> String {
    let peppers: Vec<_> = tally.peppers.keys().filter(|number| **number != 0).collect();
    let tokens = if tally.tokens == 1 { "token" } else { "tokens" };
    match peppers.as_slice() {
        [] => format!("{} {tokens}", tally.tokens),
        some => {
            let some: Vec<_> = some.iter().map(ToString::to_string).collect();
            format!("{} {tokens} (under pepper {})", tally.tokens, some.join(", "))
        }
    }
}

pub(crate) async fn migrate(database: &Database, migrate: &Migrate) -> Result<(), Failure> {
    if migrate.print {
        return print(&database.script());
    }
    say(database.migrate().await?);
    Ok(())
}
