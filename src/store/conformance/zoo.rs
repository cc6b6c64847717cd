//! Tokens of every sort, and filters for them.

use super::support::{at, digest, id, mark, only, owner, record_with, suspension, used};
use crate::clock::Timestamp;
use crate::scope::ScopeList;
use crate::store::{Filter, Reach};
use crate::token::{Kind, KindSet, Record, Status, Tenant};

/// Tokens of two tenants and three owners, of every kind and in every status.
pub(super) fn zoo() -> Vec<Record> {
    (0..72)
        .map(|number| {
            let mut record = record_with(number, |token| {
                let place = i64::from(number);
                token.kind = Kind::ALL[number as usize % 4];
                token.owner = owner(["u1", "u2", "u10"][number as usize % 3]);
                if number % 5 == 0 {
                    token.tenant = Tenant::parse("acme").unwrap();
                }
                token.name = ["alpha", "Beta", "żółw", "BETA", "%x", "a_b"][number as usize % 6]
                    .parse()
                    .unwrap();
                token.description = (number % 7 == 0).then(|| format!("Nightly No. {number}"));
                token.created_at = at(place / 3);
                token.expires_at = (number % 4 != 1).then(|| at(40 + place % 30));
                token.not_before = (number % 9 == 0).then(|| at(40 + place % 20));
                token.suspension = (number % 8 == 3).then(|| suspension(1));
                token.revocation = (number % 11 == 0).then(|| mark(place));
                token.last_use = (number % 3 != 0).then(|| used(number, place / 4).last_use);
                token.parent = (number % 10 == 9).then(|| id(number / 10));
                token.client = (number % 6 == 0).then(|| format!("client{}", number % 4));
                token.scopes = ScopeList::parse(match number % 4 {
                    0 => &["repo:read", "repo:write"][..],
                    1 => &["repo", "a,"],
                    2 => &[",", "read"],
                    _ => &[],
                })
                .unwrap();
            });
            record.superseded = (number % 13 == 0).then(|| digest(number + 1000));
            record
        })
        .collect()
}

/// Filters for them: every condition alone, and some together.
pub(super) fn filters() -> Vec<Filter> {
    let everything = || Filter::new(Reach::All);
    let of = |tenant: &str, name: &str| {
        Filter::new(Reach::Owner(Tenant::parse(tenant).unwrap(), owner(name)))
    };
    // What is looked for, and then ended, because nobody uses it.
    let idle = || {
        let mut filter = only(0..60);
        filter.kinds = KindSet::only(Kind::Personal).with(Kind::Application);
        filter.statuses = Some(vec![Status::Active, Status::NotYetValid, Status::Suspended]);
        filter.unused_since = Some(at(12));
        filter.created_before = Some(at(18));
        filter
    };
    let mut filters = vec![
        idle(),
        everything(),
        Filter::new(Reach::Tenant(Tenant::DEFAULT)),
        Filter::new(Reach::Tenant(Tenant::parse("acme").unwrap())),
        Filter::new(Reach::Tenant(Tenant::parse("nobody").unwrap())),
        of("default", "u1"),
        of("acme", "u1"),
        of("default", "u"),
        Filter::new(Reach::Family(id(1))),
        Filter::new(Reach::Family(id(19))),
        Filter::new(Reach::Family(id(5000))),
        only([1, 2, 2, 70, 900]),
        only([]),
    ];
    let mut with = |change: &dyn Fn(&mut Filter)| {
        for mut filter in [everything(), of("default", "u1")] {
            change(&mut filter);
            filters.push(filter);
        }
    };
    for status in Status::ALL {
        with(&|filter| filter.statuses = Some(vec![status]));
    }
    with(&|filter| filter.statuses = Some(vec![]));
    with(&|filter| filter.statuses = Some(vec![Status::Expired, Status::Active, Status::Revoked]));
    with(&|filter| filter.kinds = KindSet::NONE);
    with(&|filter| filter.kinds = KindSet::CALLING);
    with(&|filter| filter.kinds = KindSet::only(Kind::Refresh));
    with(&|filter| filter.ids = Some((0..30).map(id).collect()));
    for text in ["", "ALPHA", "beta", "ŻÓŁW", "%", "_", "nightly no. 7", "0000042", "\\", "\0"] {
        with(&|filter| filter.text = Some(text.to_owned()));
    }
    for scope in ["repo:read", "repo", ",", "read", "Repo", "a,"] {
        with(&|filter| filter.scope = Some(scope.parse().unwrap()));
    }
    with(&|filter| filter.created_before = Some(at(10)));
    with(&|filter| filter.expires_from = Some(at(50)));
    with(&|filter| filter.expires_before = Some(at(50)));
    with(&|filter| filter.expires_before = Some(Timestamp::MAX));
    with(&|filter| filter.expires_from = Some(Timestamp::MIN));
    with(&|filter| {
        filter.expires_from = Some(at(45));
        filter.expires_before = Some(at(50));
    });
    with(&|filter| filter.unused_since = Some(at(10)));
    with(&|filter| filter.client = Some("client2".to_owned()));
    with(&|filter| filter.client = Some("Client2".to_owned()));
    filters
}
