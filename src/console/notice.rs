//! What a page says of the step before it.
//!
//! It travels in the query as one of a few words and a number, so that nothing anybody wrote, and
//! no secret, is in an address.

use super::texts::Texts;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Notice {
    Saved,
    Suspended,
    Resumed,
    Revoked(u32),
}

impl Notice {
    pub(super) fn parse(text: &str) -> Option<Self> {
        match text {
            "saved" => Some(Self::Saved),
            "suspended" => Some(Self::Suspended),
            "resumed" => Some(Self::Resumed),
            _ => text.strip_prefix("revoked-")?.parse().ok().map(Self::Revoked),
        }
    }

    /// As it stands in a query.
    pub(super) fn query(self) -> String {
        match self {
            Self::Saved => "notice=saved".to_owned(),
            Self::Suspended => "notice=suspended".to_owned(),
            Self::Resumed => "notice=resumed".to_owned(),
            Self::Revoked(count) => format!("notice=revoked-{count}"),
        }
    }

    pub(super) fn text(self, t: &Texts) -> String {
        match self {
            Self::Saved => t.notice_saved.to_string(),
            Self::Suspended => t.notice_suspended.to_string(),
            Self::Resumed => t.notice_resumed.to_string(),
            Self::Revoked(count) => t.count(&t.notice_revoked, count.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_known_notices_are_read() {
        for notice in [Notice::Saved, Notice::Suspended, Notice::Resumed, Notice::Revoked(3)] {
            let query = notice.query();
            assert_eq!(Notice::parse(query.strip_prefix("notice=").unwrap()), Some(notice));
        }
        for text in ["", "Saved", "revoked-", "revoked--1", "revoked-99999999999", "<b>"] {
            assert_eq!(Notice::parse(text), None, "{text}");
        }
    }
}
