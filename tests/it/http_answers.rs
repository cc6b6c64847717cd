//! The normative answers H1 to H10, compared whole.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::atomic::Ordering;

use chrono::TimeDelta;
use hallpass::{
    Boundary, Event, Expiry, OwnerFacts, PepperRing, Requirement, RevocationReason, Rights, Rotate,
    Sources,
};
use http::Request;

use crate::http_support::{Answer, H5, V2, World, basic, get};

const H1: &str = "401
cache-control: no-store
content-type: application/problem+json
vary: Authorization
www-authenticate: Bearer realm=\"acme\"

{\"type\":\"urn:hallpass:problem:credential-required\",\"title\":\"Credential required\",\
\"status\":401,\"detail\":\"This resource needs an access token\"}";

const H3: &str = "400
cache-control: no-store
content-type: application/problem+json
vary: Authorization
www-authenticate: Bearer realm=\"acme\", error=\"invalid_request\", \
error_description=\"The credential is malformed\"

{\"type\":\"urn:hallpass:problem:malformed-credential\",\"title\":\"Malformed credential\",\
\"status\":400,\"detail\":\"The credential is malformed\"}";

const H4: &str = "400
cache-control: no-store
content-type: application/problem+json
vary: Authorization
www-authenticate: Bearer realm=\"acme\", error=\"invalid_request\", \
error_description=\"The request carries more than one credential\"

{\"type\":\"urn:hallpass:problem:several-credentials\",\"title\":\"Several credentials\",\
\"status\":400,\"detail\":\"The request carries more than one credential\"}";

const H6: &str = "403
cache-control: no-store
content-type: application/problem+json
vary: Authorization
www-authenticate: Bearer realm=\"acme\", error=\"insufficient_scope\", \
scope=\"repo:write org:read\"

{\"type\":\"urn:hallpass:problem:insufficient-scope\",\"title\":\"Insufficient scope\",\
\"status\":403,\"detail\":\"The access token lacks a scope that this resource needs\"}";

const H8: &str = "503
cache-control: no-store
content-type: application/problem+json
retry-after: 5
vary: Authorization

{\"type\":\"urn:hallpass:problem:unavailable\",\"title\":\"Unavailable\",\"status\":503,\
\"detail\":\"Access tokens cannot be verified right now\"}";

const H9: &str = "429
cache-control: no-store
content-type: application/problem+json
retry-after: 30
vary: Authorization

{\"type\":\"urn:hallpass:problem:too-many-requests\",\"title\":\"Too many requests\",\
\"status\":429,\"detail\":\"Try again later\"}";

const H10_HEADER: &str = "431
cache-control: no-store
content-type: application/problem+json
vary: Authorization

{\"type\":\"urn:hallpass:problem:header-too-large\",\"title\":\"Header too large\",\
\"status\":431,\"detail\":\"The header is too large\"}";

const H10_URI: &str = "414
cache-control: no-store
content-type: application/problem+json
vary: Authorization

{\"type\":\"urn:hallpass:problem:uri-too-long\",\"title\":\"URI too long\",\"status\":414,\
\"detail\":\"The URI is too long\"}";

#[tokio::test]
async fn a_request_without_credential_is_told_what_is_needed() {
    // H1, C52: the same for every method.
    let world = World::new();
    for method in ["HEAD", "GET", "POST", "DELETE"] {
        assert_eq!(world.send(get().method(method)).await.text, H1, "{method}");
    }
    assert!(world.events.taken().is_empty());
}

#[tokio::test]
async fn a_foreign_scheme_is_as_good_as_no_credential() {
    // H2, C32, C51
    let world = World::new();
    let ok = world.ok().await;
    for value in [
        format!("Digest username=\"{ok}\""),
        format!("DPoP {ok}"),
        format!("Negotiate {ok}"),
        format!("Bearer{ok}"),
        format!("Token {ok}"),
        format!("Basic {ok}"),
        ok.clone(),
    ] {
        assert_eq!(world.send(get().header("authorization", &value)).await.text, H1, "{value}");
    }
}

#[tokio::test]
async fn a_malformed_bearer_credential_is_a_bad_request() {
    // H3
    let world = World::new();
    let ok = world.ok().await;
    for value in ["Bearer".into(), format!("Bearer  {ok}"), format!("Bearer {ok},Bearer {ok}")] {
        assert_eq!(world.send(get().header("authorization", &value)).await.text, H3, "{value}");
    }
}

#[tokio::test]
async fn two_credentials_are_a_bad_request() {
    // H4
    let world = World::new();
    let bearer = format!("Bearer {}", world.ok().await);
    let answer =
        world.send(get().header("authorization", &bearer).header("authorization", &bearer)).await;
    assert_eq!(answer.text, H4);
}

#[tokio::test]
async fn eight_causes_of_refusal_look_the_same() {
    // H5, C56
    let world = World::new();
    let issue = |expiry| world.issue_as(move |issue| issue.expiry(expiry), &["repo:read"]);
    let long = Expiry::In(TimeDelta::days(90));
    let expired = issue(Expiry::In(TimeDelta::hours(1))).await;
    let early = world
        .issue_as(
            |issue| issue.expiry(long).not_before("2027-01-10T00:00:00Z".parse().unwrap()),
            &["repo:read"],
        )
        .await;
    let revoked = issue(long).await;
    let suspended = issue(long).await;
    let replaced = issue(long).await;
    let elsewhere = world
        .issue_as(|issue| issue.expiry(long).audience(["https://other.example"]), &["repo:read"])
        .await;
    let outside = world
        .issue_as(
            |issue| issue.expiry(long).networks(["198.51.100.0/24".parse().unwrap()]),
            &["repo:read"],
        )
        .await;
    let good = issue(long).await;
    world.hallpass.revoke(&revoked.token.id, RevocationReason::Requested).await.unwrap();
    world.hallpass.suspend(&suspended.token.id).await.unwrap();
    let rotate = Rotate::new().overlap(TimeDelta::zero());
    world.hallpass.rotate(&replaced.token.id, rotate).await.unwrap();
    world.clock.advance(TimeDelta::hours(1));

    let other = good.plain.expose().split('_').nth(3).unwrap().to_owned();
    let id = outside.token.id.as_str();
    let swapped = crate::http_support::text_of(&format!("acme_pat_{id}_{}", &other[..43]));
    let mut causes = vec![
        ("malformed", "null".to_owned()),
        ("checksum", format!("{}zzzzzz", &V2[..V2.len() - 6])),
        ("unknown", V2.to_owned()),
        ("wrong secret", swapped),
        ("too long", "a".repeat(300)),
    ];
    for (cause, issued) in [
        ("expired", &expired),
        ("not yet valid", &early),
        ("revoked", &revoked),
        ("suspended", &suspended),
        ("superseded", &replaced),
        ("wrong audience", &elsewhere),
        ("wrong network", &outside),
    ] {
        causes.push((cause, issued.plain.expose().to_owned()));
    }
    world.events.taken();
    for (cause, text) in &causes {
        assert_eq!(world.bearer(text).await.text, H5, "{cause}");
    }
    let denied =
        world.events.taken().iter().filter(|event| matches!(event, Event::Denied { .. })).count();
    assert_eq!(denied, causes.len());

    // The owner is the last cause, and concerns the token that was good until then.
    assert_eq!(world.bearer(good.plain.expose()).await.status, 200);
    world.owners.set(Some(Some(OwnerFacts { active: false, ..OwnerFacts::active(Rights::All) })));
    world.bearer(good.plain.expose()).await.is_h5();
    world.owners.set(Some(None));
    world.bearer(good.plain.expose()).await.is_h5();
}

#[tokio::test]
async fn a_missing_scope_names_what_the_route_needs_and_is_reported() {
    // H6, C66
    let world = World::new();
    let issued = world.issue(&["repo:read", "repo"]).await;
    world.events.taken();
    let bearer = format!("Bearer {}", issued.plain.expose());
    let requirement = Requirement::scope("repo:write").all_of(["org:read", "repo:write"]);
    let answer = world.ask(get().header("authorization", bearer), Some(requirement)).await;
    assert_eq!(answer.text, H6);
    let events = world.events.taken();
    assert!(
        matches!(&events[..], [Event::Forbidden { token, required }]
            if token.id == issued.token.id && required == "repo:write org:read"),
        "{events:?}"
    );
}

#[tokio::test]
async fn a_failing_basic_credential_gets_the_bearer_answer() {
    // H7 without Basic challenge
    let world = World::with(Sources::bearer().basic());
    for value in [basic("u1:password"), "Basic !".into(), basic(format!(":{V2}"))] {
        let answer = world.send(get().header("authorization", &value)).await;
        assert_eq!(answer.text, H5, "{value}");
    }
    let denied = world.events.taken();
    assert_eq!(denied.len(), 3, "{denied:?}");
    assert!(!format!("{denied:?}").contains("password"));
}

#[tokio::test]
async fn the_basic_challenge_is_a_line_of_its_own_where_it_is_on() {
    // H7 with Basic challenge
    const CHALLENGE: &str = "\nwww-authenticate: Basic realm=\"acme\", charset=\"UTF-8\"\n\n";
    let world = World::with(Sources::bearer().basic_with_challenge());
    let with_basic = |text: &str| text.replacen("\n\n", CHALLENGE, 1);
    let failing = world.basic("u1:password").await;
    assert_eq!(failing.text, with_basic(H5));
    assert_eq!(world.bearer(V2).await.text, with_basic(H5));
    assert_eq!(world.send(get()).await.text, with_basic(H1));
    assert_eq!(world.bearer("").await.text, H3);
}

#[tokio::test]
async fn outages_are_never_told_as_refusals() {
    // H8, C25
    let world = World::new();
    let ok = world.ok().await;
    world.store.broken.store(true, Ordering::Relaxed);
    assert_eq!(world.bearer(&ok).await.text, H8);
    assert_eq!(world.bearer(V2).await.text, H8);
    world.bearer("null").await.is_h5();
    world.store.broken.store(false, Ordering::Relaxed);
    world.owners.set(None);
    assert_eq!(world.bearer(&ok).await.text, H8);
    world.owners.set(Some(Some(OwnerFacts::active(Rights::All))));
    assert_eq!(world.bearer(&ok).await.status, 200);
}

#[tokio::test]
async fn the_cause_of_an_outage_is_for_the_app_alone() {
    let world = World::new();
    let ok = world.ok().await;
    world.store.broken.store(true, Ordering::Relaxed);
    let request = get().header("authorization", format!("Bearer {ok}"));
    let (mut head, ()) = request.body(()).unwrap().into_parts();
    let any = world.boundary.compile(Requirement::any_token()).unwrap();
    let rejection = world.boundary.admit(&mut head, Some(&any), None).await.unwrap_err();
    assert!(rejection.outage().is_some());
    assert!(std::error::Error::source(&rejection).is_some());
    assert!(!Answer::from(rejection.into_response()).text.contains("unplugged"));
}

#[tokio::test]
async fn a_missing_pepper_is_an_outage() {
    // H8, C29
    let pepper: Vec<u8> = (7..39).collect();
    let peppers = PepperRing::none().with_current(1, &pepper).unwrap();
    let world = World::built(Sources::bearer(), |builder| builder.peppers(peppers));
    let issued = world.issue(&["repo:read"]).await;
    let record = hallpass::TokenStore::find(&*world.store, &issued.token.id).await.unwrap();
    let stored = record.unwrap().digest.to_stored().replace("v1$1$", "v1$9$");
    retouch(&world, &issued, &stored).await;
    assert_eq!(world.bearer(issued.plain.expose()).await.text, H8);
    assert!(matches!(world.events.taken()[..], [.., Event::MissingPepper { .. }]));
}

#[tokio::test]
async fn an_unusable_digest_is_refused_and_alerted() {
    // C29
    let world = World::new();
    for stored in ["v1$0$AAAA", "v9$0$AAAA", ""] {
        let issued = world.issue(&["repo:read"]).await;
        retouch(&world, &issued, stored).await;
        world.events.taken();
        world.bearer(issued.plain.expose()).await.is_h5();
        assert!(matches!(world.events.taken()[..], [Event::UnusableDigest { .. }, ..]));
    }
}

async fn retouch(world: &World, issued: &hallpass::Issued, stored: &str) {
    let digest = Some(hallpass::TokenDigest::from_stored(stored));
    let change = hallpass::store::Change { digest, ..Default::default() };
    let (id, version) = (&issued.token.id, issued.token.version);
    let now = world.hallpass.now();
    hallpass::TokenStore::update(&*world.store, id, version, &change, now).await.unwrap();
}

#[tokio::test]
async fn layers_that_count_requests_have_an_answer() {
    // H9
    let world = World::new();
    let answer = Answer::from(world.boundary.too_many_requests(30).into_response());
    assert_eq!(answer.text, H9);
}

#[tokio::test]
async fn heads_beyond_the_limits_are_refused_unread() {
    // H10, C50
    let world = World::with(Sources::bearer().basic());
    let ok = world.ok().await;
    world.store.taken_finds();
    let long = basic(format!(":{}", "x".repeat(12 << 10)));
    assert_eq!(world.send(get().header("authorization", long)).await.text, H10_HEADER);

    let good = format!("Bearer {ok}");
    let many = (0..200).fold(get().header("authorization", &good), |request, index| {
        request.header(format!("x-{index}"), "x")
    });
    assert_eq!(world.send(many).await.text, H10_HEADER);

    // 70 KiB is more than the http crate's own bound; this is the longest it takes.
    let uri = format!("/?{}", "x".repeat(65_000));
    let request = Request::get(uri).header("authorization", &good);
    assert_eq!(world.send(request).await.text, H10_URI);
    assert_eq!(world.store.taken_finds(), 0);
}

#[tokio::test]
async fn heads_at_the_limits_are_read() {
    let world = World::new();
    let good = format!("Bearer {}", world.ok().await);
    let many = (0..99).fold(get().header("authorization", &good), |request, index| {
        request.header(format!("x-{index}"), "x")
    });
    assert_eq!(world.send(many).await.status, 200);
    let uri = format!("/?{}", "x".repeat(16 * 1024 - 2));
    assert_eq!(world.send(Request::get(uri).header("authorization", &good)).await.status, 200);
    let uri = format!("/?{}", "x".repeat(16 * 1024 - 1));
    assert_eq!(world.send(Request::get(uri).header("authorization", &good)).await.status, 414);
    let value = |len: usize| format!("Bearer {}", "a".repeat(len - "Bearer ".len()));
    assert_eq!(world.authorization(value(8 * 1024)).await, 401);
    assert_eq!(world.authorization(value(8 * 1024 + 1)).await, 431);
}

#[tokio::test]
async fn a_let_in_request_tells_caches_so() {
    // R94
    let world = World::with(Sources::bearer().header("PRIVATE-TOKEN"));
    let ok = world.ok().await;
    assert_eq!(
        world.bearer(&ok).await.text,
        "200\ncache-control: private\nvary: Authorization, private-token\n\n"
    );
}

#[test]
fn a_realm_is_checked_when_it_is_configured() {
    // C55
    let hallpass = World::new().hallpass;
    let build = |realm: &str| Boundary::builder(hallpass.clone()).realm(realm).build();
    assert!(build("a\"b\r\nX: y").is_err());
    assert!(build("").is_err());
    assert!(build("acme API").is_ok());
}
