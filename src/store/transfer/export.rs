//! From a store into a file.

use std::io::{self, Write};

use super::line::{Head, Line, Tally};
use crate::clock::Timestamp;
use crate::store::{Filter, PageRequest, Position, Reach, SortKey, StoreError, TokenStore};
use crate::token::Brand;

/// How many records are read at a time.
const PAGE: u32 = 500;

/// Writes every record of a store, in the order in which they were issued. `brand` is kept in the
/// file, so that tokens of another app are not taken over by mistake.
///
/// Writing blocks; give a buffered writer.
///
/// # Errors
/// [`ExportError`] if the store cannot be read whole, a damaged row included, or the file cannot
/// be written. What is written then has no last line and is refused by [`import`](super::import).
pub async fn export(
    store: &dyn TokenStore,
    brand: Option<&Brand>,
    mut to: impl Write + Send,
) -> Result<Tally, ExportError> {
    let mut tally = Tally::default();
    write(&mut to, &Head::new(brand))?;
    let everything = Filter::new(Reach::All);
    let sort = SortKey::CreatedAt;
    let mut page = PageRequest { sort, descending: false, after: None, limit: PAGE };
    loop {
        // No condition of the filter depends on the instant.
        let records = store.list(&everything, &page, Timestamp::MIN).await?;
        for record in &records {
            write(&mut to, &Line::of(record))?;
            tally.count(record);
        }
        let Some(last) = records.last() else {
            break;
        };
        page.after = Some(Position { value: sort.value_of(last), id: last.token.id });
    }
    write(&mut to, &tally.end())?;
    to.flush()?;
    Ok(tally)
}

fn write(to: &mut impl Write, line: &impl serde::Serialize) -> io::Result<()> {
    let mut text = serde_json::to_vec(line)?;
    text.push(b'\n');
    to.write_all(&text)
}

/// Why an export failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExportError {
    /// The store could not be read whole.
    #[error("the store cannot be read whole")]
    Store(#[from] StoreError),
    /// The file could not be written.
    #[error("the file cannot be written")]
    File(#[from] io::Error),
}
