//! Which tokens a list or a revocation is about.

use super::problem::{Failure, member, parameter};
use crate::caller::Caller;
use crate::clock::Timestamp;
use crate::credential::{is_clean, pairs};
use crate::engine::ListRequest;
use crate::store::{self, Reach, SortKey};
use crate::token::{Kind, KindSet, Owner, Status, Tenant};
use crate::wire::{FieldProblem, Filter, ListQuery, Sort};

/// Longest text and shortest text to search for, in characters.
const SEARCH: std::ops::RangeInclusive<usize> = 2..=100;

/// Most parameters of a query. There are fewer names.
const MAX_PARAMETERS: usize = 32;

/// Reads the query of a list. Unknown and repeated parameters are refused.
///
/// # Errors
/// The [`Failure`] names every parameter that is not as it must be.
pub(super) fn read(query: Option<&str>) -> Result<ListQuery, Failure> {
    let query = query.unwrap_or_default().as_bytes();
    if pairs(query).nth(MAX_PARAMETERS).is_some() {
        let detail = format!("a query has at most {MAX_PARAMETERS} parameters");
        return Err(Failure::query(vec![parameter("", "out-of-range", detail)]));
    }
    let mut asked = ListQuery::default();
    let mut errors = Vec::new();
    let mut seen = Vec::new();
    for pair in pairs(query) {
        let pair = pair.filter(|(name, value)| is_clean(name) && is_clean(value));
        let Some((name, value)) = pair else {
            errors.push(parameter("", "malformed", "the query is not percent-encoded UTF-8"));
            continue;
        };
        if seen.contains(&name) {
            errors.push(parameter(&name, "repeated", "the parameter is repeated"));
        } else if let Err((code, detail)) = take(&mut asked, &name, &value) {
            errors.push(parameter(&name, code, detail));
        }
        seen.push(name);
    }
    if errors.is_empty() { Ok(asked) } else { Err(Failure::query(errors)) }
}

type Wrong = (&'static str, String);

fn take(asked: &mut ListQuery, name: &str, value: &str) -> Result<(), Wrong> {
    let invalid = |detail: &str| ("invalid", detail.to_owned());
    let instant = || -> Result<Option<Timestamp>, Wrong> {
        value.parse().map(Some).map_err(|error| ("invalid", format!("{error}")))
    };
    let filter = &mut asked.filter;
    match name {
        "status" => {
            let word = |word| Status::ALL.into_iter().find(|status| status.as_str() == word);
            let words: Option<Vec<_>> = value.split(',').map(word).collect();
            let all = Status::ALL.map(Status::as_str).join(", ");
            filter.status = Some(words.ok_or_else(|| invalid(&format!("some of: {all}")))?);
        }
        "kind" => {
            let words: Option<Vec<_>> = value.split(',').map(Kind::from_text).collect();
            let all = Kind::ALL.map(Kind::as_str).join(", ");
            filter.kind = Some(words.ok_or_else(|| invalid(&format!("some of: {all}")))?);
        }
        "q" => filter.q = Some(value.to_owned()),
        "scope" => filter.scope = Some(value.to_owned()),
        "created_before" => filter.created_before = instant()?,
        "expires_from" => filter.expires_from = instant()?,
        "expires_before" => filter.expires_before = instant()?,
        "unused_since" => filter.unused_since = instant()?,
        "client" => filter.client = Some(value.to_owned()),
        "owner" => filter.owner = Some(value.to_owned()),
        "tenant" => filter.tenant = Some(value.to_owned()),
        "family" => {
            let id = value.parse().map_err(|error| ("invalid", format!("{error}")))?;
            filter.family = Some(id);
        }
        "sort" => {
            let (word, descending) = match value.strip_prefix('-') {
                Some(word) => (word, true),
                None => (value, false),
            };
            let sort = Sort::ALL.into_iter().find(|sort| sort.as_str() == word);
            let all = Sort::ALL.map(Sort::as_str).join(", ");
            let sort =
                sort.ok_or_else(|| invalid(&format!("one of: {all}; `-` turns it round")))?;
            asked.sort = Some((sort, descending));
        }
        "limit" => {
            // `parse` alone would take `+5`.
            let plain = value.bytes().all(|byte| byte.is_ascii_digit()) && !value.starts_with('0');
            let limit =
                value.parse().ok().filter(|limit| (1..=ListRequest::MAX_LIMIT).contains(limit));
            asked.limit =
                Some(limit.filter(|_| plain).ok_or_else(|| invalid("a page has 1 to 100 tokens"))?);
        }
        "cursor" => asked.cursor = Some(value.to_owned()),
        _ => return Err(("unknown", "there is no such parameter".to_owned())),
    }
    Ok(())
}

/// The list that is asked for.
///
/// # Errors
/// The [`Failure`] names every parameter that is not as it must be.
pub(super) fn list(asked: ListQuery, caller: &Caller) -> Result<ListRequest, Failure> {
    let statuses = Status::ALL.into_iter().filter(|status| *status != Status::Revoked);
    let filter = filter(asked.filter, caller, statuses.collect()).map_err(|wrong| {
        Failure::query(wrong.iter().map(|(n, d)| parameter(n, "invalid", d)).collect())
    })?;
    let mut request = ListRequest::new(filter);
    if let Some((sort, descending)) = asked.sort {
        request = request.sort(match sort {
            Sort::CreatedAt => SortKey::CreatedAt,
            Sort::Name => SortKey::Name,
            Sort::ExpiresAt => SortKey::ExpiresAt,
            Sort::LastUsedAt => SortKey::LastUsedAt,
        });
        if descending {
            request = request.descending();
        }
    }
    if let Some(limit) = asked.limit {
        request = request.limit(limit);
    }
    Ok(match asked.cursor {
        Some(cursor) => request.after(cursor),
        None => request,
    })
}

/// The tokens that a filter in a body admits: live ones, unless it says otherwise.
///
/// # Errors
/// The problems, each with its member.
pub(super) fn bulk(asked: Filter, caller: &Caller) -> Result<store::Filter, Vec<FieldProblem>> {
    let live = Status::ALL.into_iter().filter(|status| status.is_live());
    filter(asked, caller, live.collect()).map_err(|wrong| {
        wrong
            .iter()
            .map(|(name, detail)| member(&format!("/filter/{name}"), "invalid", detail))
            .collect()
    })
}

/// A filter as stores know it, or what is wrong with it by name.
fn filter(
    asked: Filter,
    caller: &Caller,
    statuses: Vec<Status>,
) -> Result<store::Filter, Vec<(&'static str, String)>> {
    let mut wrong = Vec::new();
    let mut check =
        |name: &'static str, text: Option<&String>, lengths: std::ops::RangeInclusive<usize>| {
            let bad = |text: &String| {
                !lengths.contains(&text.chars().count()) || text.chars().any(char::is_control)
            };
            if text.is_some_and(bad) {
                let (least, most) = (lengths.start(), lengths.end());
                wrong.push((
                    name,
                    format!("{least} to {most} characters, none of them a control character"),
                ));
            }
        };
    check("q", asked.q.as_ref(), SEARCH);
    check("client", asked.client.as_ref(), 1..=256);
    let scope = asked.scope.map(|scope| scope.parse()).transpose();
    let scope = scope.map_err(|error| wrong.push(("scope", format!("{error}"))));
    let owner = asked.owner.map(|owner| Owner::parse(&owner)).transpose();
    let owner = owner.map_err(|error| wrong.push(("owner", format!("{error}"))));
    let tenant = asked.tenant.map(|tenant| Tenant::parse(&tenant)).transpose();
    let tenant = tenant.map_err(|error| wrong.push(("tenant", format!("{error}"))));
    let (owner, tenant) = (owner.ok().flatten(), tenant.ok().flatten());
    if caller.bound_owner().is_some() {
        let named = [("owner", owner.is_some()), ("tenant", tenant.is_some())];
        for (name, _) in named.into_iter().filter(|(_, given)| *given) {
            wrong.push((name, "only administrators see other owners' tokens".to_owned()));
        }
    }
    if asked.family.is_some() && (owner.is_some() || tenant.is_some()) {
        wrong.push(("family", "a family has one owner already".to_owned()));
    }
    let own_tenant = || caller.bound_tenant().cloned().unwrap_or_default();
    let reach = match (asked.family, owner, tenant) {
        (Some(id), ..) => Reach::Family(id),
        (None, Some(owner), tenant) => Reach::Owner(tenant.unwrap_or_else(own_tenant), owner),
        (None, None, Some(tenant)) => Reach::Tenant(tenant),
        (None, None, None) => Reach::All,
    };
    if !wrong.is_empty() {
        return Err(wrong);
    }
    let mut filter = store::Filter::new(reach);
    let usual = KindSet::NONE.with(Kind::Personal).with(Kind::Application);
    filter.kinds = asked.kind.map_or(usual, |kinds| kinds.into_iter().collect());
    filter.statuses = Some(asked.status.unwrap_or(statuses));
    filter.text = asked.q;
    filter.scope = scope.ok().flatten();
    filter.created_before = asked.created_before;
    filter.expires_from = asked.expires_from;
    filter.expires_before = asked.expires_before;
    filter.unused_since = asked.unused_since;
    filter.client = asked.client;
    Ok(filter)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a client writes is what is read.
    #[test]
    fn the_pairs_of_a_query_are_read_back() {
        let at = |text: &str| Some(text.parse().unwrap());
        let asked = ListQuery {
            filter: Filter {
                status: Some(vec![Status::Active, Status::NotYetValid]),
                kind: Some(vec![Kind::Application]),
                q: Some("100% & żółw+=".to_owned()),
                scope: Some("repo:read".to_owned()),
                created_before: at("2026-11-22T09:00:00.000001Z"),
                expires_from: at("2026-11-22T09:00:00Z"),
                expires_before: at("2027-11-22T09:00:00Z"),
                unused_since: at("2026-01-01T00:00:00Z"),
                client: Some("phone".to_owned()),
                owner: Some("u 1".to_owned()),
                tenant: Some("t2".to_owned()),
                family: Some("ABCDEFGHIJKLMNOP".parse().unwrap()),
            },
            sort: Some((Sort::ExpiresAt, true)),
            limit: Some(7),
            cursor: Some("abc".to_owned()),
        };
        let encoded =
            |text: &str| -> String { text.bytes().map(|byte| format!("%{byte:02X}")).collect() };
        let pairs = asked.pairs();
        assert_eq!(pairs.len(), 15);
        let query: Vec<String> =
            pairs.iter().map(|(name, value)| format!("{name}={}", encoded(value))).collect();
        assert_eq!(read(Some(&query.join("&"))).unwrap(), asked);
        assert_eq!(read(None).unwrap(), ListQuery::default());
    }
}
