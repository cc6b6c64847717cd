//! Tables for people.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};
use unicode_width::UnicodeWidthStr as _;

use super::backend::Pat;
use super::span::{ago, day};
use crate::client::harmless;
use crate::clock::Timestamp;

/// Tokens as a table, with colours that whoever writes it takes out where they do not belong.
pub(super) fn of_pats(pats: &[Pat], now: Timestamp) -> String {
    let header = ["NAME", "ID", "SCOPES", "CREATED", "EXPIRES", "LAST USED", "STATUS"];
    let rows = pats.iter().map(|pat| {
        let created =
            pat.created_at.map_or(String::new(), |at| at.to_utc().format("%Y-%m-%d").to_string());
        let expires = pat.expires_at.map_or("never".to_owned(), |at| day(at, now));
        let used = pat.last_used_at.map_or("never".to_owned(), |at| ago(at, now));
        [
            harmless(&pat.name),
            harmless(&pat.id),
            harmless(&pat.scopes.join(" ")),
            created,
            expires,
            used,
            harmless(&pat.status),
        ]
    });
    let rows: Vec<_> = std::iter::once(header.map(str::to_owned)).chain(rows).collect();
    let mut widths = [0; 7];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.width().max(*width);
        }
    }
    let mut text = String::new();
    for (number, row) in rows.iter().enumerate() {
        let mut line = String::new();
        for (column, (cell, width)) in row.iter().zip(widths).enumerate() {
            let style = match (number, column, cell.as_str()) {
                (0, ..) => Style::new().bold(),
                (_, 6, "active") => AnsiColor::Green.on_default(),
                (_, 6, "expired" | "revoked") => AnsiColor::Red.on_default(),
                (_, 6, _) => AnsiColor::Yellow.on_default(),
                _ => Style::new(),
            };
            // Nothing is behind the last column, so nothing fills it up.
            let fill = if column == 6 { 0 } else { width - cell.width() + 2 };
            // Writing to a string never fails.
            let _ = write!(line, "{style}{cell}{style:#}{:fill$}", "");
        }
        text.push_str(&line);
        text.push('\n');
    }
    text
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
