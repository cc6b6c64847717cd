//! Text is only text: whatever is in it, it is kept, found and means nothing.

use super::harness::Store;
use super::support::{
    all, at, fine, found, id, ids, mark, only, owner, page, put, record, record_with, updated,
};
use crate::scope::{Scope, ScopeList};
use crate::store::{Change, Filter, Reach, SortKey, Use};
use crate::token::{
    Actor, LastUse, Metadata, Owner, Record, Revocation, RevocationReason, Tenant, TokenName,
};

/// Texts that mean something to somebody: to SQL, to search patterns, to a shell, to a browser, to
/// JSON, to the protocols and key schemes of key-value stores, to scripts.
const HOSTILE: [&str; 22] = [
    "'; DROP TABLE tokens; --",
    "\" OR 1=1 --",
    "?1 :a @b $c $1",
    "%_\\",
    "<script>alert(1)</script>",
    "{{7*7}} ${7*7}",
    "żółw 🐢 👩‍💻",
    "null",
    "[\"a\"]",
    "=cmd|' /C calc'!A0",
    "a\u{1f}b\0c\r\n\u{7f}",
    "\u{202e}\u{feff}\u{fffd}",
    "E'\\x41' U&'\\0041' $$a$$",
    "*1\r\n$8\r\nFLUSHALL\r\n",
    "{a}:{b}:c",
    "]] redis.call('FLUSHALL') --[[",
    "../../etc/passwd",
    "a*?[a-z]",
    ",",
    "\\N",
    "0",
    "\u{1}\u{2}\\u0000",
];

/// A record with the text wherever it may be.
fn hostile(number: u32, text: &str) -> Record {
    record_with(number, |token| {
        if let Ok(name) = text.parse::<TokenName>() {
            token.name = name;
        }
        if let (Ok(owner), Ok(tenant)) = (Owner::parse(text), Tenant::parse(text)) {
            token.owner = owner;
            token.tenant = tenant;
            token.created_by = Actor::Admin(token.owner.clone());
        }
        if let Ok(scope) = text.parse::<Scope>() {
            token.scopes = ScopeList::parse([scope.as_str(), "a"]).unwrap();
        }
        token.description = Some(text.to_owned());
        token.audience = vec![text.to_owned(), String::new()];
        token.client = Some(text.to_owned());
        token.last_use = Some(LastUse { at: at(1), ip: None, agent: Some(text.into()) });
        let object = [(text.to_owned(), text.into())].into_iter().collect();
        token.metadata = Metadata::new(&object).unwrap();
    })
}

/// Records with hostile text, numbered from there on.
pub(super) fn records(first: u32) -> Vec<Record> {
    (first..).zip(HOSTILE).map(|(number, text)| hostile(number, text)).collect()
}

/// Hostile text in every field of a record is kept, filtered by and searched for as it is.
pub async fn hostile_text_is_only_text(store: Store) {
    for (number, text) in (1..).zip(HOSTILE) {
        let hostile = hostile(number, text);
        put(&store, &hostile).await;
        assert_eq!(found(&store, number).await, hostile, "text is kept as it is: {text:?}");
        let token = &hostile.token;
        let mut filter = Filter::new(Reach::Owner(token.tenant.clone(), token.owner.clone()));
        filter.client = Some(text.to_owned());
        filter.text = Some(text.to_owned());
        filter.scope = text.parse().ok();
        let listed = all(&*store, &filter, page(SortKey::Name, false, 10), at(0)).await;
        let rule = "a filter means text as it is";
        assert_eq!(listed, std::slice::from_ref(&hostile), "{rule}: {text:?}");
        let description = Some(Some(format!("{text}{text}")));
        let change = Change { description, ..Change::default() };
        let changed = updated(&store, number, 1, &change).await;
        let kept = changed.token.description;
        assert_eq!(kept, Some(format!("{text}{text}")), "an update keeps text as it is");
    }
    let everything = Filter::new(Reach::All);
    let listed = all(&*store, &everything, page(SortKey::Name, false, 100), at(0)).await;
    assert_eq!(listed.len(), HOSTILE.len(), "text does nothing to other records");
}

/// Hostile text in every field of a change, a use and a revocation is kept as it is.
pub async fn hostile_text_is_only_text_in_changes(store: Store) {
    for (number, text) in (1..).zip(HOSTILE) {
        put(&store, &record(number)).await;
        let wanted = hostile(number, text).token;
        let change = Change {
            name: Some((wanted.name, true)),
            description: Some(wanted.description),
            scopes: Some(wanted.scopes),
            metadata: Some(wanted.metadata),
            ..Change::default()
        };
        let mut expected = record(number);
        change.apply_to(&mut expected);
        let rule = "an update keeps text as it is";
        assert_eq!(updated(&store, number, 1, &change).await, expected, "{rule}: {text:?}");
        let last_use = wanted.last_use.unwrap();
        let noted = Use { id: id(number), last_use: last_use.clone() };
        fine("a touch", store.touch(&[noted]).await);
        expected.token.last_use = Some(last_use);
        assert_eq!(found(&store, number).await, expected, "a use keeps text as it is: {text:?}");
        if let Ok(admin) = Owner::parse(text) {
            let by = Actor::Admin(admin);
            let mark = Revocation { at: at(2), by, reason: RevocationReason::Leaked };
            fine("a revocation", store.revoke(&only([number]), &mark).await);
            expected.token.revocation = Some(mark);
            expected.token.version += 1;
            let kept = found(&store, number).await;
            assert_eq!(kept, expected, "a revocation keeps text as it is: {text:?}");
        }
        // Owners and tenants that were never heard of.
        if let (Ok(of), Ok(tenant)) = (Owner::parse(text), Tenant::parse(text)) {
            for reach in [Reach::Owner(tenant.clone(), of), Reach::Tenant(tenant)] {
                let reached =
                    fine("a revocation", store.revoke(&Filter::new(reach), &mark(3)).await);
                assert_eq!(reached, [], "a name in a filter reaches nobody else: {text:?}");
            }
        }
    }
}

/// A searched text is found in names, descriptions and ids, whatever its case and composition; no
/// character stands for others.
pub async fn text_is_searched_literally(store: Store) {
    let names = ["100%", "100x", "a_b", "aXb", "back\\slash", "Straße", "caf\u{e9}"];
    for (number, name) in (1..).zip(names) {
        put(&store, &record_with(number, |token| token.name = name.parse().unwrap())).await;
    }
    let described = record_with(8, |token| {
        token.owner = owner("u2");
        token.description = Some("É: 50%\nof_all".to_owned());
    });
    put(&store, &described).await;
    let letters = "abCDefghijklmnop".parse().unwrap();
    put(&store, &record_with(9, |token| token.id = letters)).await;
    let searches: [(&str, &[u32]); 11] = [
        ("%", &[1, 8]),
        ("_", &[3, 8]),
        ("\\", &[5]),
        ("A_B", &[3]),
        ("STRASSE", &[6]),
        ("CAFE\u{301}", &[7]),
        ("e\u{301}: 50%\nOF", &[8]),
        ("%_", &[]),
        ("' OR '1'='1", &[]),
        ("0000000008", &[8]),
        ("token 9\0", &[]),
    ];
    for (text, expected) in searches {
        let mut filter = Filter::new(Reach::All);
        filter.text = Some(text.to_owned());
        let listed = all(&*store, &filter, page(SortKey::CreatedAt, false, 3), at(0)).await;
        let expected: Vec<_> = expected.iter().copied().map(id).collect();
        assert_eq!(ids(&listed), expected, "`Filter::text` is literal and folded: {text:?}");
    }
    let mut filter = Filter::new(Reach::All);
    filter.text = Some("ABCDEFGHIJKLMNOP".to_owned());
    let listed = all(&*store, &filter, page(SortKey::Name, false, 3), at(0)).await;
    assert_eq!(ids(&listed), [letters], "`Filter::text` finds ids whatever the case");
}
