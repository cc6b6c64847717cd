//! Tables for people.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};
use unicode_width::UnicodeWidthStr as _;

use super::backend::Pat;
use super::span::{ago, day};
use crate::client::harmless;
use crate::clock::Timestamp;

/// A table for people: columns lined up, the header bold, and in the last column a status in its
/// colour. [`print`](super::print) takes colours out where they do not belong.
///
/// Whatever a terminal would obey in a cell is replaced. Rows have as many cells as the header.
#[must_use]
pub fn table(header: &[&str], rows: &[Vec<String>]) -> String {
    let header: Vec<String> = header.iter().map(|&cell| cell.to_owned()).collect();
    let rows: Vec<Vec<String>> = std::iter::once(&header)
        .chain(rows)
        .map(|row| row.iter().map(|cell| harmless(cell)).collect())
        .collect();
    let mut widths = vec![0; header.len()];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.width().max(*width);
        }
    }
    let mut text = String::new();
    for (number, row) in rows.iter().enumerate() {
        for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
            let is_last = column + 1 == header.len();
            let style = if number == 0 { Style::new().bold() } else { colour(cell, is_last) };
            // Nothing is behind the last column, so nothing fills it up.
            let fill = if is_last { 0 } else { width - cell.width() + 2 };
            // Writing to a string never fails.
            let _ = write!(text, "{style}{cell}{style:#}{:fill$}", "");
        }
        text.push('\n');
    }
    text
}

fn colour(cell: &str, is_status: bool) -> Style {
    match cell {
        _ if !is_status => Style::new(),
        "active" => AnsiColor::Green.on_default(),
        "expired" | "revoked" => AnsiColor::Red.on_default(),
        _ => AnsiColor::Yellow.on_default(),
    }
}

/// Tokens as a table.
pub(super) fn of_pats(pats: &[Pat], now: Timestamp) -> String {
    let header = ["NAME", "ID", "SCOPES", "CREATED", "EXPIRES", "LAST USED", "STATUS"];
    let rows: Vec<_> = pats
        .iter()
        .map(|pat| {
            vec![
                pat.name.clone(),
                pat.id.clone(),
                pat.scopes.join(" "),
                pat.created_at
                    .map_or(String::new(), |at| at.to_utc().format("%Y-%m-%d").to_string()),
                pat.expires_at.map_or("never".to_owned(), |at| day(at, now)),
                pat.last_used_at.map_or("never".to_owned(), |at| ago(at, now)),
                pat.status.clone(),
            ]
        })
        .collect();
    table(&header, &rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_whatever_is_in_them() {
        let now = "2026-11-22T09:00:00Z".parse().unwrap();
        let mut plain = Pat::new("0000000000000001", "ci");
        plain.scopes = ["a", "b"].map(str::to_owned).to_vec();
        plain.created_at = Some("2026-11-20T09:00:00Z".parse().unwrap());
        plain.last_used_at = Some("2026-11-22T08:00:00Z".parse().unwrap());
        let mut wide = Pat::new("0000000000000002", "東京\u{1b}[2J");
        wide.expires_at = Some("2026-11-21T09:00:00Z".parse().unwrap());
        wide.status = "expired".to_owned();
        let text = of_pats(&[plain, wide], now);
        let plain = anstream::adapter::strip_str(&text).to_string();
        assert_eq!(
            plain,
            "\
NAME      ID                SCOPES  CREATED     EXPIRES                 LAST USED   STATUS
ci        0000000000000001  a b     2026-11-20  never                   1 hour ago  active
東京\u{fffd}[2J  0000000000000002                      2026-11-21 (1 day ago)  never       expired
"
        );
    }
}
