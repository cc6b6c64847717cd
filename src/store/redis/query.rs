//! Filters and pages as the scripts take them. What comes from a caller is an argument, never part
//! of a script's text.

use super::pack::{Packed, pack};
use super::record::digits;
use crate::scope::Scope;
use crate::store::{Filter, PageRequest, Position, Reach, SortKey, SortValue};
use crate::token::{Kind, KindSet, TokenId, fold};

/// The last instant of an order, which no record has.
const NEVER: &str = "999999999999999999";

/// A filter, as `lua/filter.lua` reads it.
pub(super) fn filter(filter: &Filter) -> Vec<u8> {
    let (reach, tenant, owner, root) = match &filter.reach {
        Reach::All => ("all", None, None, None),
        Reach::Tenant(tenant) => ("tenant", Some(tenant.as_str()), None, None),
        Reach::Owner(tenant, owner) => ("owner", Some(tenant.as_str()), Some(owner.as_str()), None),
        Reach::Family(root) => ("family", None, None, Some(root.as_str())),
    };
    let kinds =
        (filter.kinds != KindSet::ALL).then(|| words(filter.kinds.iter().map(Kind::as_str)));
    let statuses =
        filter.statuses.as_ref().map(|some| words(some.iter().map(|status| status.as_str())));
    pack(&[
        Packed::text(reach),
        Packed::optional(tenant),
        Packed::optional(owner),
        Packed::optional(root),
        Packed::optional(kinds),
        Packed::optional(statuses),
        Packed::optional(filter.text.as_deref().map(fold)),
        Packed::optional(filter.scope.as_ref().map(Scope::as_str)),
        Packed::optional(filter.created_before.map(digits)),
        Packed::optional(filter.expires_from.map(digits)),
        Packed::optional(filter.expires_before.map(digits)),
        Packed::optional(filter.unused_since.map(digits)),
        Packed::optional(filter.client.as_deref()),
    ])
}

fn words<'a>(words: impl Iterator<Item = &'a str>) -> String {
    words.collect::<Vec<_>>().join(" ")
}

/// Some ids, packed.
pub(super) fn ids(ids: impl IntoIterator<Item = TokenId>) -> Vec<u8> {
    let ids: Vec<Packed> = ids.into_iter().map(|id| Packed::text(*id.as_bytes())).collect();
    pack(&ids)
}

/// A stretch of an index, from its beginning on.
#[derive(Debug, Clone)]
pub(super) struct Stretch {
    pub(super) index: &'static str,
    pub(super) from: Vec<u8>,
    pub(super) to: Vec<u8>,
    pub(super) descending: bool,
}

impl Stretch {
    /// The part of the order in which a page lies, no more of it than a filter admits.
    pub(super) fn of_page(page: &PageRequest, filter: &Filter) -> Self {
        let mut stretch = Self::whole(index(page.sort), page.descending);
        let (low, high) = bounds(page.sort, filter);
        let (from, to) = if page.descending { (high, low) } else { (low, high) };
        if let Some(bound) = from {
            stretch.from = bound;
        }
        if let Some(bound) = to {
            stretch.to = bound;
        }
        if let Some(after) = &page.after {
            let place = [b"(", member(after).as_slice()].concat();
            // A page never starts before the filter's own bound.
            let beyond = |bound: &Vec<u8>| {
                let key = bound.get(1..).unwrap_or_default();
                let end = matches!(bound.as_slice(), b"-" | b"+");
                let (inner, new) = (key, place.get(1..).unwrap_or_default());
                end || if page.descending { new < inner } else { new > inner }
            };
            if beyond(&stretch.from) {
                stretch.from = place;
            }
        }
        stretch
    }

    /// The part of an order, the narrowest there is, in which all lies that a filter admits.
    pub(super) fn of_filter(filter: &Filter) -> Self {
        let sort = if filter.unused_since.is_some() {
            SortKey::LastUsedAt
        } else if filter.expires_before.is_some() || filter.expires_from.is_some() {
            SortKey::ExpiresAt
        } else {
            SortKey::CreatedAt
        };
        let mut stretch = Self::whole(index(sort), false);
        let (low, high) = bounds(sort, filter);
        if let Some(low) = low {
            stretch.from = low;
        }
        if let Some(high) = high {
            stretch.to = high;
        }
        stretch
    }

    fn whole(index: &'static str, descending: bool) -> Self {
        let (from, to) = if descending { ("+", "-") } else { ("-", "+") };
        Self { index, from: from.into(), to: to.into(), descending }
    }

    /// Goes on behind a member of the index.
    pub(super) fn advance(&mut self, member: &[u8]) {
        self.from = [b"(", member].concat();
    }
}

fn index(sort: SortKey) -> &'static str {
    match sort {
        SortKey::CreatedAt => "created",
        SortKey::Name => "name",
        SortKey::ExpiresAt => "expires",
        SortKey::LastUsedAt => "used",
    }
}

/// The lower and upper bound that a filter sets to what a list is sorted by.
fn bounds(sort: SortKey, filter: &Filter) -> (Option<Vec<u8>>, Option<Vec<u8>>) {
    let from = |instant| format!("[{}", digits(instant)).into_bytes();
    let before = |instant| format!("({}", digits(instant)).into_bytes();
    match sort {
        SortKey::CreatedAt => (None, filter.created_before.map(before)),
        SortKey::ExpiresAt => (filter.expires_from.map(from), filter.expires_before.map(before)),
        SortKey::LastUsedAt => (None, filter.unused_since.map(before)),
        SortKey::Name => (None, None),
    }
}

/// The place of a record in the index of its order.
fn member(position: &Position) -> Vec<u8> {
    let mut member = match &position.value {
        SortValue::Number(i64::MAX) => NEVER.to_owned().into_bytes(),
        SortValue::Number(number) => format!("{:018}", (*number).max(0)).into_bytes(),
        SortValue::Text(key) => format!("{key}\0").into_bytes(),
    };
    member.extend_from_slice(position.id.as_bytes());
    member
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;

    #[test]
    fn a_page_starts_where_the_last_one_ended_and_no_earlier_than_the_filter() {
        let micros = |micros| Timestamp::from_micros(micros).unwrap();
        let mut filter = Filter::new(Reach::All);
        filter.expires_from = Some(micros(20));
        filter.expires_before = Some(micros(30));
        let id: TokenId = "0000000000000001".parse().unwrap();
        let page = |descending, after: Option<i64>| PageRequest {
            sort: SortKey::ExpiresAt,
            descending,
            after: after.map(|number| Position { value: SortValue::Number(number), id }),
            limit: 1,
        };
        let (low, high) = ("[000000000000000020", "(000000000000000030");
        let place = |number: i64| format!("({number:018}{id}");
        for (descending, after, from, to) in [
            (false, None, low.to_owned(), high),
            (false, Some(10), low.to_owned(), high),
            (false, Some(25), place(25), high),
            (true, None, high.to_owned(), low),
            (true, Some(40), high.to_owned(), low),
            (true, Some(25), place(25), low),
        ] {
            let stretch = Stretch::of_page(&page(descending, after), &filter);
            assert_eq!(String::from_utf8(stretch.from).unwrap(), from);
            assert_eq!(stretch.to, to.as_bytes());
        }
        let everything = Stretch::of_page(&page(true, Some(i64::MAX)), &Filter::new(Reach::All));
        assert_eq!(everything.from, format!("({NEVER}{id}").as_bytes());
    }
}
