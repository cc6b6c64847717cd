//! What a list shows: read from the query, and written into links.

use super::fault::Fault;
use super::fields::Choice;
use super::form::{Form, escape};
use super::row::soon_before;
use super::texts::Texts;
use crate::clock::Timestamp;
use crate::engine::ListRequest;
use crate::host::Administers;
use crate::store::{Filter, Reach, SortKey};
use crate::token::{Kind, KindSet, Owner, Status, Tenant};

/// Tokens on a page.
const PAGE: u32 = 50;
/// Longest text to search for, in characters.
const MAX_TEXT: usize = 100;
const LIVE: [Status; 3] = [Status::Active, Status::NotYetValid, Status::Suspended];

/// Which tokens a list shows, and how; every field is what the query says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Query {
    pub(super) text: String,
    pub(super) owner: String,
    pub(super) tenant: String,
    show: String,
    pub(super) sort: String,
    cursor: Option<String>,
}

impl Query {
    /// Reads what lists know; a word nobody offers is refused, and so is a control character.
    pub(super) fn read(form: &Form) -> Result<Self, Fault> {
        let or = |name, default: &str| match form.text(name) {
            "" => default.to_owned(),
            text => text.to_owned(),
        };
        let query = Self {
            text: form.text("q").to_owned(),
            owner: form.text("owner").to_owned(),
            tenant: form.text("tenant").to_owned(),
            show: or("show", "live"),
            sort: or("sort", "-created"),
            cursor: form.get("cursor").map(str::to_owned),
        };
        let shows = ["live", "soon", "unused", "suspended", "ended", "all"];
        let clean = !query.text.chars().any(char::is_control);
        let short = query.text.chars().take(MAX_TEXT + 1).count() <= MAX_TEXT;
        let fits = shows.contains(&query.show.as_str()) && sort_key(&query.sort).is_some();
        if clean && short && fits { Ok(query) } else { Err(Fault::Bad) }
    }

    /// Whether nothing is searched for.
    pub(super) fn is_plain(&self) -> bool {
        let nothing = [&self.text, &self.owner, &self.tenant].iter().all(|text| text.is_empty());
        nothing && self.show == "live" && self.cursor.is_none()
    }

    /// Whether it is not the first page.
    pub(super) fn is_later(&self) -> bool {
        self.cursor.is_some()
    }

    /// The request to the engine.
    pub(super) fn request(
        &self,
        administered: Option<&Administers>,
        now: Timestamp,
    ) -> Result<ListRequest, Fault> {
        let mut filter = Filter::new(self.reach(administered)?);
        // Sessions that were exchanged come and go by themselves.
        filter.kinds = KindSet::only(Kind::Personal).with(Kind::Application);
        filter.text = (!self.text.is_empty()).then(|| self.text.clone());
        filter.statuses = match self.show.as_str() {
            "all" => None,
            "suspended" => Some(vec![Status::Suspended]),
            "ended" => Some(vec![Status::Expired, Status::Revoked]),
            _ => Some(LIVE.to_vec()),
        };
        if self.show == "soon" {
            filter.expires_before = Some(soon_before(now));
        }
        if self.show == "unused" {
            filter.unused_since = Some(Timestamp::MIN);
        }
        let (key, descending) = sort_key(&self.sort).ok_or(Fault::Bad)?;
        let mut request = ListRequest::new(filter).sort(key).limit(PAGE);
        if descending {
            request = request.descending();
        }
        Ok(match &self.cursor {
            Some(cursor) => request.after(cursor),
            None => request,
        })
    }

    fn reach(&self, administered: Option<&Administers>) -> Result<Reach, Fault> {
        let own = match administered {
            None => return Ok(Reach::All),
            Some(Administers::Tenant(tenant)) => Some(tenant.clone()),
            Some(_) => None,
        };
        let tenant = match self.tenant.as_str() {
            "" => own,
            tenant => Some(Tenant::parse(tenant).map_err(|_| Fault::Bad)?),
        };
        Ok(match (tenant, self.owner.as_str()) {
            (None, "") => Reach::All,
            (Some(tenant), "") => Reach::Tenant(tenant),
            (tenant, owner) => {
                let owner = Owner::parse(owner).map_err(|_| Fault::Bad)?;
                Reach::Owner(tenant.unwrap_or_default(), owner)
            }
        })
    }

    /// The same list from its first page.
    pub(super) fn first(&self, here: &str) -> String {
        Self { cursor: None, ..self.clone() }.url(here)
    }

    /// The same list from here on.
    pub(super) fn next(&self, here: &str, cursor: String) -> String {
        Self { cursor: Some(cursor), ..self.clone() }.url(here)
    }

    /// The same list in another order: in this one, or turned round if it is already.
    pub(super) fn sorted(&self, here: &str, by: &str) -> String {
        let sort = if self.sort == by { format!("-{by}") } else { by.to_owned() };
        Self { cursor: None, sort, ..self.clone() }.url(here)
    }

    /// How the list is sorted by this, if it is.
    pub(super) fn order(&self, by: &str) -> Option<&'static str> {
        match self.sort.strip_prefix('-') {
            Some(sort) if sort == by => Some("descending"),
            None if self.sort == by => Some("ascending"),
            _ => None,
        }
    }

    fn url(&self, here: &str) -> String {
        let mut url = here.to_owned();
        let cursor = self.cursor.clone().unwrap_or_default();
        for (name, value, usual) in [
            ("q", &self.text, ""),
            ("owner", &self.owner, ""),
            ("tenant", &self.tenant, ""),
            ("show", &self.show, "live"),
            ("sort", &self.sort, "-created"),
            ("cursor", &cursor, ""),
        ] {
            if value != usual {
                url.push(if url.contains('?') { '&' } else { '?' });
                url.push_str(&format!("{name}={}", escape(value)));
            }
        }
        url
    }

    pub(super) fn shows(&self, t: &Texts) -> Vec<Choice> {
        let all = [
            ("live", &t.show_live),
            ("soon", &t.show_soon),
            ("unused", &t.show_unused),
            ("suspended", &t.show_suspended),
            ("ended", &t.show_ended),
            ("all", &t.show_all),
        ];
        choices(&all, &self.show)
    }

    pub(super) fn sorts(&self, t: &Texts) -> Vec<Choice> {
        let all = [
            ("-created", &t.sort_newest),
            ("created", &t.sort_oldest),
            ("name", &t.sort_name),
            ("-name", &t.sort_name_down),
            ("expires", &t.sort_expiry),
            ("-expires", &t.sort_expiry_down),
            ("-used", &t.sort_used_down),
            ("used", &t.sort_used),
        ];
        choices(&all, &self.sort)
    }
}

fn choices(all: &[(&str, &std::borrow::Cow<'static, str>)], chosen: &str) -> Vec<Choice> {
    let choice = |(value, label): &(&str, &std::borrow::Cow<'static, str>)| Choice {
        value: (*value).to_owned(),
        label: label.to_string(),
        selected: *value == chosen,
    };
    all.iter().map(choice).collect()
}

/// What a list is sorted by, and whether backwards.
fn sort_key(text: &str) -> Option<(SortKey, bool)> {
    let (name, descending) = match text.strip_prefix('-') {
        Some(name) => (name, true),
        None => (text, false),
    };
    let key = match name {
        "created" => SortKey::CreatedAt,
        "name" => SortKey::Name,
        "expires" => SortKey::ExpiresAt,
        "used" => SortKey::LastUsedAt,
        _ => return None,
    };
    Some((key, descending))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(query: &str) -> Option<Query> {
        Query::read(&Form::parse(query.as_bytes()).unwrap()).ok()
    }

    #[test]
    fn a_query_is_written_as_it_was_read() {
        let query = read("q=a%26b&show=all&sort=name&utm_source=mail").unwrap();
        assert_eq!(query.first("/t"), "/t?q=a%26b&show=all&sort=name");
        assert_eq!(query.sorted("/t", "name"), "/t?q=a%26b&show=all&sort=-name");
        assert_eq!(query.next("/t", "c".to_owned()), "/t?q=a%26b&show=all&sort=name&cursor=c");
        assert_eq!(query.order("name"), Some("ascending"));
        assert_eq!(read("").unwrap().first("/t"), "/t");
        assert!(read("").unwrap().is_plain() && !query.is_plain());
    }

    #[test]
    fn words_nobody_offers_are_refused() {
        for query in ["show=x", "sort=digest", "sort=name%3Bdrop", "sort=--name", "q=a%00b"] {
            assert!(read(query).is_none(), "{query}");
        }
        assert!(read(&format!("q={}", "x".repeat(101))).is_none());
        assert!(read(&format!("q={}", "x".repeat(100))).is_some());
    }
}
