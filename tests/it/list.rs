//! Finding tokens: filters, order, pages and cursors.

use std::collections::BTreeSet;

use chrono::TimeDelta;
use hallpass::store::{Filter, Reach, SortKey};
use hallpass::{
    Caller, Expiry, Issued, Kind, KindSet, ListError, ListRequest, OnBehalf, Page,
    RevocationReason, Status, Tenant, Token, TokenId,
};

use crate::world::{Fault, Step, World, ci, owner, run, tenant};

fn own() -> Filter {
    Filter::new(Reach::Owner(Tenant::DEFAULT, owner("u1")))
}

fn list(world: &World, request: &ListRequest) -> Result<Page, ListError> {
    run(world.hallpass.list(request))
}

fn names(tokens: &[Token]) -> Vec<&str> {
    tokens.iter().map(|token| token.name.as_str()).collect()
}

fn found(world: &World, filter: Filter) -> Vec<String> {
    let request = ListRequest::new(filter).sort(SortKey::Name).limit(100);
    let page = list(world, &request).unwrap();
    page.tokens.iter().map(|token| token.name.to_string()).collect()
}

/// Tokens `t00`, `t01` and so on, a second apart.
fn many(world: &World, count: usize) -> Vec<Issued> {
    (0..count)
        .map(|number| {
            world.advance(TimeDelta::seconds(1));
            world.token(&format!("t{number:02}"))
        })
        .collect()
}

/// Every page from the first to the last.
fn walk(them: &OnBehalf<'_>, request: &ListRequest) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut request = request.clone();
    loop {
        let page = run(them.list(&request)).unwrap();
        tokens.extend(page.tokens);
        match page.next {
            Some(cursor) => request = request.after(cursor),
            None => return tokens,
        }
        assert!(tokens.len() < 1000, "the list never ends");
    }
}

#[test]
fn the_newest_come_first_unless_another_order_is_asked_for() {
    let world = World::new();
    many(&world, 3);
    let by = |request: ListRequest| list(&world, &request).unwrap().tokens;
    assert_eq!(names(&by(ListRequest::new(own()))), ["t02", "t01", "t00"]);
    let by_name = ListRequest::new(own()).sort(SortKey::Name);
    assert_eq!(names(&by(by_name.clone())), ["t00", "t01", "t02"]);
    assert_eq!(names(&by(by_name.descending())), ["t02", "t01", "t00"]);
}

#[test]
fn tokens_without_the_sorted_value_have_their_place() {
    let world = World::with(|policy| policy.allow_never = true);
    world.issue(ci("never").expiry(Expiry::Never));
    let used = world.issue(ci("soon").expiry(Expiry::In(TimeDelta::days(1))));
    assert!(world.accepts(&used));
    run(world.hallpass.maintain()).unwrap();
    let by = |key| {
        let request = ListRequest::new(own()).sort(key);
        list(&world, &request).unwrap().tokens
    };
    assert_eq!(names(&by(SortKey::ExpiresAt)), ["soon", "never"]);
    assert_eq!(names(&by(SortKey::LastUsedAt)), ["never", "soon"]);
}

#[test]
fn pages_join_to_the_whole_list_in_every_order() {
    let world = World::with(|policy| policy.allow_never = true);
    many(&world, 11);
    // Values that are equal are told apart by id.
    for number in 0..9 {
        world.issue(ci(&format!("same {number}")).expiry(Expiry::Never));
    }
    let system = world.hallpass.on_behalf_of(Caller::system());
    for key in [SortKey::CreatedAt, SortKey::Name, SortKey::ExpiresAt, SortKey::LastUsedAt] {
        for limit in [1, 3, 20, 100] {
            let up = ListRequest::new(own()).sort(key).limit(limit);
            let rising = walk(&system, &up);
            let mut falling = walk(&system, &up.descending());
            falling.reverse();
            assert_eq!(rising.len(), 20);
            assert_eq!(rising, falling);
            let ids: BTreeSet<_> = rising.iter().map(|token| token.id).collect();
            assert_eq!(ids.len(), 20);
        }
    }
}

#[test]
fn what_comes_and_goes_between_pages_neither_repeats_nor_hides_the_rest() {
    let world = World::new();
    let tokens = many(&world, 20);
    let request = ListRequest::new(own()).sort(SortKey::Name).limit(5);
    let first = list(&world, &request).unwrap();
    assert_eq!(names(&first.tokens), ["t00", "t01", "t02", "t03", "t04"]);
    // The row the cursor stands on goes, one before it comes, one after it comes.
    let retention = TimeDelta::days(90);
    run(world.hallpass.revoke(&tokens[4].token.id, RevocationReason::Requested)).unwrap();
    world.token("a");
    world.token("t04b");
    let purge = hallpass::store::Purge {
        now: world.now().saturating_add(TimeDelta::days(1)),
        retention: TimeDelta::zero(),
        exchange_retention: retention,
        limit: 1000,
    };
    use hallpass::TokenStore as _;
    assert_eq!(run(world.store.purge(&purge)).unwrap(), 1);
    let system = world.hallpass.on_behalf_of(Caller::system());
    let rest = walk(&system, &request.after(first.next.unwrap()));
    let mut expected = vec!["t04b".to_owned()];
    expected.extend((5..20).map(|number| format!("t{number:02}")));
    assert_eq!(names(&rest), expected);
}

#[test]
fn filters_admit_what_they_say() {
    let world = World::new();
    let a = world.issue(ci("Alpha").description("100% _safe_").scopes(["hooks"]));
    world.advance(TimeDelta::hours(1));
    let b = world.issue(ci("beta").for_client("c1").expiry(Expiry::In(TimeDelta::days(2))));
    let c = world.token("gamma");
    run(world.hallpass.suspend(&c.token.id)).unwrap();
    world.issue(ci("foreign").owner("u2"));
    world.issue(ci("elsewhere").tenant(tenant("t2")));
    let with = |change: &dyn Fn(&mut Filter)| {
        let mut filter = own();
        change(&mut filter);
        found(&world, filter)
    };
    assert_eq!(with(&|_| {}), ["Alpha", "beta", "gamma"]);
    assert_eq!(with(&|f| f.kinds = KindSet::only(Kind::Application)), ["beta"]);
    assert_eq!(with(&|f| f.kinds = KindSet::NONE), Vec::<String>::new());
    assert_eq!(with(&|f| f.statuses = Some(vec![Status::Suspended])), ["gamma"]);
    assert_eq!(with(&|f| f.statuses = Some(vec![])), Vec::<String>::new());
    assert_eq!(with(&|f| f.text = Some("ALPH".into())), ["Alpha"]);
    for (text, hits) in [("%", 1), ("_safe_", 1), ("_", 1), ("%a", 0), ("\\", 0), ("a_p", 0)] {
        assert_eq!(with(&|f| f.text = Some(text.into())).len(), hits, "{text}");
    }
    let part = &a.token.id.as_str()[2..14];
    assert_eq!(with(&|f| f.text = Some(part.to_lowercase())), ["Alpha"]);
    assert_eq!(with(&|f| f.scope = Some("hooks".parse().unwrap())), ["Alpha"]);
    assert_eq!(with(&|f| f.client = Some("c1".into())), ["beta"]);
    assert_eq!(with(&|f| f.created_before = Some(world.now())), ["Alpha"]);
    let end = b.token.expires_at.unwrap();
    assert_eq!(with(&|f| f.expires_before = Some(end)), Vec::<String>::new());
    let micro = TimeDelta::microseconds(1);
    assert_eq!(with(&|f| f.expires_before = Some(end.saturating_add(micro))), ["beta"]);
    assert_eq!(with(&|f| f.expires_from = Some(end)).len(), 3);
    assert_eq!(with(&|f| f.unused_since = Some(world.now())).len(), 3);
    assert!(world.accepts(&a));
    run(world.hallpass.maintain()).unwrap();
    assert_eq!(with(&|f| f.unused_since = Some(world.now())), ["beta", "gamma"]);
    assert_eq!(with(&|f| f.ids = Some(vec![a.token.id, a.token.id])), ["Alpha"]);
}

#[test]
fn an_owner_lists_its_own_whatever_it_asks_for() {
    let world = World::new();
    world.token("mine");
    let theirs = world.issue(ci("theirs").owner("u2"));
    let me = world.hallpass.on_behalf_of(Caller::owner(owner("u1")));
    let asked = |filter: Filter| run(me.list(&ListRequest::new(filter)));
    assert_eq!(names(&asked(Filter::new(Reach::All)).unwrap().tokens), ["mine"]);
    let tenant = Filter::new(Reach::Tenant(Tenant::DEFAULT));
    assert_eq!(names(&asked(tenant).unwrap().tokens), ["mine"]);
    let mut ids = Filter::new(Reach::All);
    ids.ids = Some(vec![theirs.token.id]);
    assert!(asked(ids).unwrap().tokens.is_empty());
    for reach in [
        Reach::Owner(Tenant::DEFAULT, owner("u2")),
        Reach::Tenant(crate::world::tenant("t2")),
        Reach::Family(theirs.token.id),
    ] {
        assert!(matches!(asked(Filter::new(reach)), Err(ListError::NotFound)));
    }
}

#[test]
fn a_page_has_one_to_a_hundred_tokens() {
    let world = World::with(|policy| policy.quota = None);
    many(&world, 101);
    for limit in [0, 101, u32::MAX] {
        let answer = list(&world, &ListRequest::new(own()).limit(limit));
        assert!(matches!(answer, Err(ListError::Limit)));
    }
    for limit in [1, 100] {
        let page = list(&world, &ListRequest::new(own()).limit(limit)).unwrap();
        assert_eq!(page.tokens.len(), limit as usize);
        assert!(page.next.is_some());
    }
    let page = list(&world, &ListRequest::new(own())).unwrap();
    assert_eq!(page.tokens.len(), 25);
}

#[test]
fn the_last_page_has_no_next_even_if_it_is_full() {
    let world = World::new();
    many(&world, 4);
    let request = ListRequest::new(own()).limit(2);
    let first = list(&world, &request).unwrap();
    let second = list(&world, &request.after(first.next.unwrap())).unwrap();
    assert_eq!((second.tokens.len(), second.next), (2, None));
}

fn cursor(world: &World) -> (ListRequest, String) {
    many(world, 5);
    let request = ListRequest::new(own()).limit(2);
    let cursor = list(world, &request).unwrap().next.unwrap();
    (request, cursor)
}

fn refused(answer: Result<Page, ListError>) {
    assert!(matches!(answer, Err(ListError::Cursor)), "{answer:?}");
}

#[test]
fn a_damaged_cursor_is_refused() {
    let world = World::new();
    let (request, cursor) = cursor(&world);
    assert!(list(&world, &request.clone().after(&cursor)).is_ok());
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let value = |byte: u8| alphabet.iter().position(|known| *known == byte).unwrap();
    for place in 0..cursor.len() {
        for bit in 0..6 {
            let mut flipped = cursor.clone().into_bytes();
            flipped[place] = alphabet[value(flipped[place]) ^ 1 << bit];
            let flipped = String::from_utf8(flipped).unwrap();
            refused(list(&world, &request.clone().after(flipped)));
        }
        refused(list(&world, &request.clone().after(&cursor[..place])));
    }
    for junk in [
        String::new(),
        "=".to_owned(),
        format!("{cursor}="),
        format!("{cursor}A"),
        format!(" {cursor}"),
        "A".repeat(10 * 1024),
        "JyBPUiAxPTE7IC0t".to_owned(),
        "\0".to_owned(),
        "é".to_owned(),
    ] {
        refused(list(&world, &request.clone().after(junk)));
    }
}

#[test]
fn a_cursor_is_good_for_the_list_it_was_made_in_only() {
    let world = World::new();
    let (request, cursor) = cursor(&world);
    let other_owner = Filter::new(Reach::Owner(Tenant::DEFAULT, owner("u2")));
    let other_tenant = Filter::new(Reach::Owner(tenant("t2"), owner("u1")));
    let mut other_kind = own();
    other_kind.kinds = KindSet::only(Kind::Personal);
    let mut other_text = own();
    other_text.text = Some("t".into());
    for filter in [Filter::new(Reach::All), other_owner, other_tenant, other_kind, other_text] {
        refused(list(&world, &ListRequest::new(filter).after(&cursor)));
    }
    refused(list(&world, &request.clone().sort(SortKey::CreatedAt).after(&cursor)));
    refused(list(&world, &request.clone().sort(SortKey::Name).descending().after(&cursor)));
    let stranger = world.hallpass.on_behalf_of(Caller::owner(owner("u2")));
    let all = ListRequest::new(Filter::new(Reach::All)).after(&cursor);
    refused(run(stranger.list(&all)));
    // The limit may change, and the owner may list what it asked as "all".
    assert!(list(&world, &request.clone().limit(3).after(&cursor)).is_ok());
    let me = world.hallpass.on_behalf_of(Caller::owner(owner("u1")));
    assert!(run(me.list(&all)).is_ok());

    let same_key = world.again(|builder| builder);
    assert!(run(same_key.list(&request.clone().after(&cursor))).is_ok());
    let other_key = world.again(|builder| builder.cursor_key([8; 32]));
    refused(run(other_key.list(&request.after(&cursor))));
}

#[test]
fn engines_without_a_given_key_have_keys_of_their_own() {
    let bare = || {
        hallpass::Hallpass::builder(hallpass::MemoryStore::new())
            .brand("acme")
            .catalog(crate::world::catalog())
            .build()
            .unwrap()
    };
    let (one, two) = (bare(), bare());
    for number in 0..3 {
        for engine in [&one, &two] {
            run(engine.issue(ci(&format!("t{number}")))).unwrap();
        }
    }
    let request = ListRequest::new(own()).limit(1);
    let cursor = run(one.list(&request)).unwrap().next.unwrap();
    assert!(run(one.list(&request.clone().after(&cursor))).is_ok());
    refused(run(two.list(&request.after(&cursor))));
}

#[test]
fn a_cursor_lives_for_a_day() {
    let world = World::new();
    let (request, cursor) = cursor(&world);
    world.advance(TimeDelta::days(1));
    assert!(list(&world, &request.clone().after(&cursor)).is_ok());
    world.advance(TimeDelta::microseconds(1));
    refused(list(&world, &request.after(&cursor)));
}

#[test]
fn the_cursor_of_the_longest_name_is_accepted() {
    let world = World::new();
    // Each of these characters comes apart into three of four bytes, and stays so.
    for last in ["a", "b", "c"] {
        world.token(&format!("{}{last}", "\u{1d160}".repeat(99)));
    }
    let request = ListRequest::new(own()).sort(SortKey::Name).limit(1);
    let system = world.hallpass.on_behalf_of(Caller::system());
    assert_eq!(walk(&system, &request).len(), 3);
}

#[test]
fn a_store_that_fails_is_an_error_and_not_an_empty_list() {
    let world = World::new();
    let issued = world.token("ci");
    world.store.breaks(Step::List, Fault::Fails);
    assert!(matches!(list(&world, &ListRequest::new(own())), Err(ListError::Store(_))));
    world.store.breaks(Step::Find, Fault::Fails);
    assert!(run(world.hallpass.get(&issued.token.id)).is_err());
    world.store.heals();
    let nobody: TokenId = "0000000000000000".parse().unwrap();
    assert_eq!(run(world.hallpass.get(&nobody)).unwrap(), None);
}
