//! What routes ask for.

use hallpass::credential::RequirementError;
use hallpass::store::Change;
use hallpass::{
    Edit, Event, Hallpass, Kind, OwnerFacts, Requirement, Rights, ScopeCatalog, ScopeList,
    TokenStore,
};

use crate::http_support::{Answer, World, get};

impl World {
    async fn status(&self, text: &str, requirement: Requirement) -> u16 {
        self.try_route(text, Some(requirement)).await.status
    }

    async fn try_route(&self, text: &str, requirement: Option<Requirement>) -> Answer {
        self.ask(get().header("authorization", format!("Bearer {text}")), requirement).await
    }
}

#[tokio::test]
async fn a_scope_is_not_met_by_a_longer_or_shorter_name() {
    // C62
    let world = World::new();
    for held in ["repo:readonly", "repo"] {
        let text = world.issue(&[held]).await;
        assert_eq!(world.status(text.plain.expose(), Requirement::scope("repo:read")).await, 403);
    }
}

#[tokio::test]
async fn a_scope_that_implies_the_required_one_meets_it() {
    let world = World::new();
    let issued = world.issue(&["repo:write"]).await;
    let text = issued.plain.expose();
    assert_eq!(world.status(text, Requirement::scope("repo:read")).await, 200);
    // The right to write stays when the owner loses the right to read by itself.
    let only = world.hallpass.catalog().exactly(["repo:write"]).unwrap();
    world.owners.set(Some(Some(OwnerFacts::active(Rights::Only(only)))));
    assert_eq!(world.status(text, Requirement::scope("repo:write")).await, 200);
    assert_eq!(world.status(text, Requirement::scope("repo:read")).await, 403);
}

#[tokio::test]
async fn scopes_that_are_declared_no_more_grant_nothing() {
    // C63, C64
    let world = World::new();
    let issued = world.issue(&["repo:read"]).await;
    let text = issued.plain.expose();
    for (scopes, version) in [(&["gone"][..], 1), (&[], 2)] {
        let scopes = Some(ScopeList::parse(scopes).unwrap());
        let change = Change { scopes, ..Change::default() };
        let now = world.hallpass.now();
        let updated = world.store.update(&issued.token.id, version, &change, now).await.unwrap();
        assert!(updated.is_some());
        assert_eq!(world.status(text, Requirement::scope("repo:read")).await, 403);
        assert_eq!(world.status(text, Requirement::any_token()).await, 200);
    }
}

#[tokio::test]
async fn every_request_is_judged_by_its_own_route() {
    // C65
    let world = World::new();
    let ok = world.ok().await;
    for _ in 0..2 {
        assert_eq!(world.status(&ok, Requirement::scope("repo:read")).await, 200);
        assert_eq!(world.status(&ok, Requirement::scope("repo:write")).await, 403);
    }
}

#[tokio::test]
async fn narrowing_a_token_or_its_owner_is_effective_at_once() {
    // C67, C68
    let world = World::new();
    let issued = world.issue(&["repo:read", "org:read"]).await;
    let text = issued.plain.expose();
    let org = || Requirement::scope("org:read");
    assert_eq!(world.status(text, org()).await, 200);
    let narrowed = Edit::new().scopes(["repo:read"]);
    world.hallpass.update(&issued.token.id, narrowed).await.unwrap();
    assert_eq!(world.status(text, org()).await, 403);

    assert_eq!(world.status(text, Requirement::scope("repo:read")).await, 200);
    let only = world.hallpass.catalog().set(["org:read"]).unwrap();
    world.owners.set(Some(Some(OwnerFacts::active(Rights::Only(only)))));
    assert_eq!(world.status(text, Requirement::scope("repo:read")).await, 403);
}

#[tokio::test]
async fn all_of_and_any_of_add_up() {
    let world = World::new();
    let both = world.issue(&["repo:read", "org:read"]).await;
    let one = world.issue(&["repo:read"]).await;
    let (both, one) = (both.plain.expose(), one.plain.expose());
    let all = || Requirement::any_token().all_of(["repo:read", "org:read"]);
    let any = || Requirement::any_token().any_of(["org:read", "repo:write"]);
    let mixed = || Requirement::scope("repo:read").any_of(["org:read", "repo"]);
    let groups = || any().any_of(["repo:read", "repo"]);
    for (requirement, statuses) in [
        (all(), (200, 403)),
        (any(), (200, 403)),
        (mixed(), (200, 403)),
        (groups(), (200, 403)),
        (Requirement::any_token().any_of(["repo:read", "repo"]), (200, 200)),
        (Requirement::any_token(), (200, 200)),
    ] {
        let found = (
            world.status(both, requirement.clone()).await,
            world.status(one, requirement.clone()).await,
        );
        assert_eq!(found, statuses, "{requirement:?}");
    }
    let named = world.try_route(one, Some(mixed())).await;
    assert!(named.text.contains("scope=\"repo:read org:read repo\""), "{}", named.text);
}

#[tokio::test]
async fn a_token_for_an_audience_is_good_where_that_is_asked_for() {
    let world = World::new();
    let plain = world.ok().await;
    let meant =
        world.issue_as(|issue| issue.audience(["https://api.example"]), &["repo:read"]).await;
    let meant = meant.plain.expose();
    let here = || Requirement::any_token().audience("https://api.example");
    assert_eq!(world.status(meant, here()).await, 200);
    assert_eq!(world.status(&plain, here()).await, 401);
    assert_eq!(world.status(meant, Requirement::any_token()).await, 401);
    let elsewhere = Requirement::any_token().audience("https://api.example.org");
    assert_eq!(world.status(meant, elsewhere).await, 401);
}

#[test]
fn requirements_are_checked_at_start() {
    // C69
    let boundary = World::new().boundary;
    let error = |requirement| boundary.compile(requirement).unwrap_err();
    for name in ["repo:raed", "REPO:READ", "repo:*", "*", "", "a\"b", "repo:read repo:write"] {
        assert!(matches!(error(Requirement::scope(name)), RequirementError::Unknown(_)), "{name}");
        let any = Requirement::any_token().any_of(["repo:read", name]);
        assert!(matches!(error(any), RequirementError::Unknown(_)), "{name}");
    }
    let none: [&str; 0] = [];
    assert_eq!(error(Requirement::any_token().all_of(none)), RequirementError::Empty);
    assert_eq!(error(Requirement::scope("repo:read").any_of(none)), RequirementError::Empty);
    assert_eq!(error(Requirement::any_token().kinds([])), RequirementError::Kinds);
    assert_eq!(error(Requirement::any_token().kinds(Kind::ALL)), RequirementError::Kinds);
    assert!(boundary.compile(Requirement::any_token()).is_ok());
}

#[tokio::test]
async fn nobody_is_let_in_where_nothing_is_required() {
    // R31
    let world = World::new();
    let issued = world.issue(&["repo:read"]).await;
    world.events.taken();
    let answer = world.try_route(issued.plain.expose(), None).await;
    assert_eq!(
        answer.text,
        "403
cache-control: no-store
content-type: application/problem+json
vary: Authorization

{\"type\":\"urn:hallpass:problem:no-requirement\",\"title\":\"No requirement\",\"status\":403,\
\"detail\":\"This resource does not declare who may use it\"}"
    );
    assert!(matches!(&world.events.taken()[..], [Event::Forbidden { .. }]));
    assert_eq!(world.ask(get(), None).await.status, 401);
    world.try_route("null", None).await.is_h5();
}

#[tokio::test]
async fn a_requirement_of_another_catalog_is_not_met() {
    let world = World::new();
    let ok = world.ok().await;
    let other = Hallpass::builder(hallpass::MemoryStore::new())
        .brand("acme")
        .catalog(ScopeCatalog::of(["repo:read"]).unwrap())
        .build()
        .unwrap();
    let other = hallpass::Boundary::builder(other).build().unwrap();
    let foreign = other.compile(Requirement::scope("repo:read")).unwrap();
    let request = get().header("authorization", format!("Bearer {ok}"));
    let (mut head, ()) = request.body(()).unwrap().into_parts();
    let refused = world.boundary.admit(&mut head, Some(&foreign), None).await.unwrap_err();
    assert_eq!(refused.into_response().status(), 403);
}
