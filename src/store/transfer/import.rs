//! From a file into a store.

use std::future::poll_fn;
use std::io::{self, BufRead, Read as _};
use std::pin::Pin;
use std::task::Poll;

use super::line::{END, End, FORMAT, Head, Line, Tally, problem};
use crate::store::{Admission, Conflict, StoreError, TokenStore, Use};
use crate::token::{Brand, Record, TokenId};

/// How many records are on their way into the store at a time.
const AT_ONCE: usize = 32;
/// Longest line, in bytes; no record comes near it.
const MAX_LINE: u64 = 1 << 20;

/// Puts the records of a file into a store, as they are: neither quotas nor names are checked.
///
/// It can be repeated. A record that is already there is left as it is, but for a later last use;
/// one that is there with other contents is an error, and is never overwritten. So an import that
/// failed in the middle is finished by running it again. [`check`] the file first to learn of bad
/// lines before anything is written.
///
/// Where `brand` is given, a file of another brand is refused. Reading blocks.
///
/// # Errors
/// [`ImportError`] with the number of the line. What stood before it may be in the store.
pub async fn import(
    store: &dyn TokenStore,
    brand: Option<&Brand>,
    from: impl BufRead + Send,
) -> Result<Imported, ImportError> {
    let mut lines = Lines::open(brand, from)?;
    let mut added = 0;
    loop {
        let some = lines.some(AT_ONCE)?;
        if some.is_empty() {
            let already = lines.tally.tokens - added;
            return Ok(Imported { added, already, tally: lines.tally });
        }
        let puts = some.iter().map(|(line, record)| put(store, *line, record));
        for put in all(puts).await {
            added += u64::from(put?);
        }
    }
}

/// Reads a whole file as [`import`] does, and tells what is in it.
///
/// # Errors
/// [`ImportError`], but for its clashes and outages.
pub fn check(brand: Option<&Brand>, from: impl BufRead) -> Result<Tally, ImportError> {
    let mut lines = Lines::open(brand, from)?;
    while !lines.some(AT_ONCE)?.is_empty() {}
    Ok(lines.tally)
}

/// What an import did.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Imported {
    /// How many records were put into the store.
    pub added: u64,
    /// How many were there already.
    pub already: u64,
    /// What is in the file.
    pub tally: Tally,
}

/// Why an import failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// The store failed.
    #[error("the store failed at line {line}; run the import again")]
    Store {
        /// The line of the record that may not be in the store.
        line: u64,
        /// What went wrong.
        #[source]
        error: StoreError,
    },
    /// The file could not be read.
    #[error("the file cannot be read")]
    File(#[from] io::Error),
    /// A line is not one of an export.
    #[error("line {line} is no line of an export: {problem}")]
    Line {
        /// The line, from 1.
        line: u64,
        /// What is wrong with it, without its values.
        problem: String,
    },
    /// The file is of another version.
    #[error("the file has format {found}, this version reads format {FORMAT}")]
    Format {
        /// The file's version.
        found: u32,
    },
    /// The file is of another brand, or of none.
    #[error("the file holds tokens of the brand `{found}`")]
    Brand {
        /// The file's brand; empty if it tells none.
        found: String,
    },
    /// The file has no last line: it was cut, or its export failed.
    #[error("the file ends at line {line} without its last line: it was cut")]
    Cut {
        /// The last line there is.
        line: u64,
    },
    /// The last line tells of other tokens than the file holds.
    #[error("the file holds {found} tokens, its last line tells of {told} or of other peppers")]
    Count {
        /// How many tokens the file holds.
        found: u64,
        /// How many there should be.
        told: u64,
    },
    /// The store has another record with this id, or another with the idempotency key of this one.
    /// Nothing was overwritten.
    #[error("line {line}: the store has another record in place of token {id}")]
    Clash {
        /// The line of the record.
        line: u64,
        /// The record's id.
        id: TokenId,
    },
}

/// The records of a file, in order.
struct Lines<R> {
    from: R,
    /// How many lines were read.
    line: u64,
    tally: Tally,
    ended: bool,
}

impl<R: BufRead> Lines<R> {
    fn open(brand: Option<&Brand>, from: R) -> Result<Self, ImportError> {
        let mut lines = Self { from, line: 0, tally: Tally::default(), ended: false };
        let text = lines.next()?.ok_or(ImportError::Cut { line: 0 })?;
        // The version decides what else may be in the line.
        let format = serde_json::from_str::<serde_json::Value>(&text).ok();
        let format = format.as_ref().and_then(|head| head.get("format")?.as_u64());
        if let Some(found) = format.and_then(|format| u32::try_from(format).ok())
            && found != FORMAT
        {
            return Err(ImportError::Format { found });
        }
        let head: Head = lines.read(&text)?;
        if let Some(brand) = brand
            && head.brand.as_deref() != Some(brand.as_str())
        {
            return Err(ImportError::Brand { found: head.brand.unwrap_or_default() });
        }
        Ok(lines)
    }

    /// The next records with their lines; none at the end of the file.
    fn some(&mut self, most: usize) -> Result<Vec<(u64, Record)>, ImportError> {
        let mut some = Vec::with_capacity(most);
        while !self.ended && some.len() < most {
            let text = self.next()?.ok_or(ImportError::Cut { line: self.line })?;
            if text.starts_with(END) {
                let end: End = self.read(&text)?;
                self.close(&end)?;
                break;
            }
            let record = self.read::<Line>(&text)?.into_record();
            let record = record.map_err(|problem| self.wrong(problem))?;
            self.tally.count(&record);
            some.push((self.line, record));
        }
        Ok(some)
    }

    /// Compares the last line with what was read, and that it is the last.
    fn close(&mut self, end: &End) -> Result<(), ImportError> {
        let Tally { tokens, peppers } = &self.tally;
        if (*tokens, peppers) != (end.tokens, &end.peppers) {
            return Err(ImportError::Count { found: *tokens, told: end.tokens });
        }
        if self.next()?.is_some() {
            return Err(self.wrong("it comes after the last line".to_owned()));
        }
        self.ended = true;
        Ok(())
    }

    fn next(&mut self) -> Result<Option<String>, ImportError> {
        let mut text = Vec::new();
        (&mut self.from).take(MAX_LINE).read_until(b'\n', &mut text)?;
        if text.is_empty() {
            return Ok(None);
        }
        self.line += 1;
        if text.pop_if(|last| *last == b'\n').is_none() {
            // The last line has an end too, unless it was cut.
            return Err(if text.len() as u64 == MAX_LINE {
                self.wrong("it is too long".to_owned())
            } else {
                ImportError::Cut { line: self.line }
            });
        }
        String::from_utf8(text).map(Some).map_err(|_| self.wrong("it is not UTF-8".to_owned()))
    }

    fn read<T: serde::de::DeserializeOwned>(&self, text: &str) -> Result<T, ImportError> {
        serde_json::from_str(text).map_err(|error| self.wrong(problem(&error)))
    }

    fn wrong(&self, problem: String) -> ImportError {
        ImportError::Line { line: self.line, problem }
    }
}

/// Puts a record into the store. Tells whether it was not there.
async fn put(store: &dyn TokenStore, line: u64, record: &Record) -> Result<bool, ImportError> {
    let id = record.token.id;
    let failed = |error| ImportError::Store { line, error };
    let admission = Admission { now: record.token.created_at, quota: None, unique_name: false };
    match store.insert(record, &admission).await {
        Ok(()) => return Ok(true),
        Err(StoreError::Conflict(Conflict::IdTaken | Conflict::Replayed { .. })) => {}
        Err(error) => return Err(failed(error)),
    }
    let Some(mut there) = store.find(&id).await.map_err(failed)? else {
        return Err(ImportError::Clash { line, id });
    };
    there.token.last_use.clone_from(&record.token.last_use);
    if there != *record {
        return Err(ImportError::Clash { line, id });
    }
    if let Some(last_use) = record.token.last_use.clone() {
        store.touch(&[Use { id, last_use }]).await.map_err(failed)?;
    }
    Ok(false)
}

/// What some futures give that run at once, in their order.
async fn all<T>(futures: impl Iterator<Item = impl Future<Output = T>>) -> Vec<T> {
    enum Running<F, T> {
        Yes(Pin<Box<F>>),
        No(T),
    }
    let mut running: Vec<_> = futures.map(|future| Running::Yes(Box::pin(future))).collect();
    poll_fn(|context| {
        let mut pending = false;
        for one in &mut running {
            if let Running::Yes(future) = one {
                match future.as_mut().poll(context) {
                    Poll::Ready(output) => *one = Running::No(output),
                    Poll::Pending => pending = true,
                }
            }
        }
        if pending { Poll::Pending } else { Poll::Ready(()) }
    })
    .await;
    let output = |one| match one {
        Running::No(output) => Some(output),
        Running::Yes(_) => None,
    };
    running.into_iter().filter_map(output).collect()
}
