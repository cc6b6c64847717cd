//! JWTs at the HTTP boundary of the app that issued them: R34, C90 to C104 on the way of a request.
//! The corpus itself is in `jwt`, which asks [`lets_in`] about each text.

use chrono::TimeDelta;
use hallpass::credential::Problem;
use hallpass::{
    Boundary, DenialReason, Event, Exchange, Kind, Requirement, RevocationReason, Sources, Verified,
};
use http::Request;
use http::request::Builder;
use serde_json::json;

use crate::http_support::{Answer, H5, basic, get};
use crate::jwt::{Mint, replaced};
use crate::world::{Fault, Step, ci, run};

fn boundary(mint: &Mint, sources: Sources) -> Boundary {
    let builder = Boundary::builder(mint.world.hallpass.clone()).realm("acme").sources(sources);
    builder.jwt(mint.issuer.clone()).build().unwrap()
}

fn ask(
    boundary: &Boundary,
    request: Builder,
    requirement: Requirement,
) -> Result<Verified, Box<Answer>> {
    let requirement = boundary.compile(requirement).unwrap();
    let (mut head, ()) = request.body(()).unwrap().into_parts();
    match run(boundary.admit(&mut head, Some(&requirement), None)) {
        Ok(admitted) => Ok(admitted.into_parts().0),
        Err(rejection) => {
            assert!(!format!("{rejection:?}").contains("ey"), "a token is shown");
            Err(Box::new(Answer::from(rejection.into_response())))
        }
    }
}

fn bearer(text: &str) -> Builder {
    get().header("authorization", format!("Bearer {text}"))
}

fn for_us() -> Requirement {
    Requirement::any_token().audience("us")
}

/// Whether the boundary lets a token for `us` in; if not, the answer is the constant one. `None`
/// if the text is none that can be sent as a bearer token (H3, H10).
pub(crate) fn lets_in(mint: &Mint, text: &str) -> Option<bool> {
    let body = text.trim_end_matches('=');
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte);
    if body.is_empty() || text.len() > 8000 || !body.bytes().all(allowed) {
        return None;
    }
    match ask(&boundary(mint, Sources::bearer()), bearer(text), for_us()) {
        Ok(_) => Some(true),
        Err(answer) => {
            assert_eq!(answer.text, H5);
            Some(false)
        }
    }
}

fn is_h5(answer: Result<Verified, Box<Answer>>) {
    assert_eq!(answer.unwrap_err().text, H5);
}

#[test]
fn a_jwt_means_what_the_opaque_token_would() {
    let mint = Mint::new();
    let parent = mint.world.issue(ci("parent").scopes(["repo:write"]).on(["org/*"]));
    let text = mint.exchange(&parent, Exchange::new()).unwrap();
    let boundary = boundary(&mint, Sources::bearer());
    let verified = ask(&boundary, bearer(&text), Requirement::scope("repo:read")).unwrap();
    assert_eq!((verified.owner().as_str(), verified.kind()), ("u1", Kind::Access));
    assert_eq!(verified.parent(), Some(parent.token.id));
    assert!(verified.grants("repo:write") && verified.audience().is_empty());
    assert!(verified.on("org/x").is_ok() && verified.on("elsewhere").is_err());

    let opaque = run(mint.world.hallpass.exchange(
        parent.plain.expose(),
        &hallpass::Context::default(),
        Exchange::new(),
    ));
    let opaque = opaque.unwrap();
    let lacking =
        |text: &str| ask(&boundary, bearer(text), Requirement::scope("hooks")).unwrap_err();
    let answer = lacking(&text);
    assert_eq!((answer.status, &answer.text), (403, &lacking(opaque.plain.expose()).text));
    is_h5(ask(&boundary, bearer(&text), Requirement::any_token().kinds([Kind::Personal])));

    // Its use is noted, and what the owner lost it has lost.
    mint.world.advance(TimeDelta::seconds(90));
    run(mint.world.hallpass.maintain()).unwrap();
    assert!(run(mint.world.hallpass.get(verified.id())).unwrap().unwrap().last_use.is_some());
    mint.world.owners.limit("u1", &["repo:read"]);
    assert_eq!(
        ask(&boundary, bearer(&text), Requirement::scope("repo:write")).unwrap_err().status,
        403
    );
}

#[test]
fn none_is_let_in_unless_the_builder_says_so() {
    let (mint, other) = (Mint::new(), Mint::new());
    let text = mint.exchange(&mint.world.token("ci"), Exchange::new()).unwrap();
    let plain = Boundary::builder(mint.world.hallpass.clone()).realm("acme").build().unwrap();
    is_h5(ask(&plain, bearer(&text), Requirement::any_token()));
    assert!(!plain.recognises(&text));
    is_h5(ask(&boundary(&other, Sources::bearer()), bearer(&text), Requirement::any_token()));
    let own = boundary(&mint, Sources::bearer());
    assert!(ask(&own, bearer(&text), Requirement::any_token()).is_ok() && own.recognises(&text));
    // Nor is one without a declared requirement.
    let (mut head, ()) = bearer(&text).body(()).unwrap().into_parts();
    let rejection = run(own.admit(&mut head, None, None)).unwrap_err();
    assert_eq!(rejection.problem(), Problem::NoRequirement);
}

#[test]
fn c90_it_is_refused_from_the_moment_that_something_above_it_ends() {
    type Harm = fn(&Mint, &hallpass::Issued);
    let harms: [(Harm, DenialReason); 4] = [
        (
            |mint, parent| {
                let reason = RevocationReason::Requested;
                run(mint.world.hallpass.revoke(&parent.token.id, reason)).unwrap();
            },
            DenialReason::Revoked,
        ),
        (
            |mint, parent| {
                run(mint.world.hallpass.suspend(&parent.token.id)).unwrap();
            },
            DenialReason::ParentEnded,
        ),
        (
            |mint, _| mint.world.owners.facts("u1", |facts| facts.active = false),
            DenialReason::OwnerInactive,
        ),
        (|mint, _| mint.world.advance(TimeDelta::minutes(10)), DenialReason::Expired),
    ];
    for (harm, reason) in harms {
        let mint = Mint::new();
        let (parent, text) = mint.jwt();
        assert_eq!(lets_in(&mint, &text), Some(true));
        mint.world.events.take();
        harm(&mint, &parent);
        assert_eq!(lets_in(&mint, &text), Some(false), "{reason:?}");
        let told = mint.world.events.take();
        let told = told.iter().any(|event| {
            matches!(event, Event::Denied { reason: why, id: Some(_), .. } if *why == reason)
        });
        assert!(told, "{reason:?} is not reported");
    }
}

#[test]
fn sessions_finish_where_policy_lets_them() {
    for (reason, finishes) in
        [(RevocationReason::Requested, true), (RevocationReason::Leaked, false)]
    {
        let mint = Mint::with(|policy| policy.let_sessions_finish = true);
        let (parent, text) = mint.jwt();
        run(mint.world.hallpass.revoke(&parent.token.id, reason)).unwrap();
        assert_eq!(lets_in(&mint, &text), Some(finishes));
        mint.world.advance(TimeDelta::minutes(10));
        assert_eq!(lets_in(&mint, &text), Some(false));
    }
}

#[test]
fn an_outage_is_no_refusal() {
    let mint = Mint::new();
    let (_, text) = mint.jwt();
    mint.world.store.cool();
    mint.world.store.breaks(Step::Find, Fault::Fails);
    let answer = ask(&boundary(&mint, Sources::bearer()), bearer(&text), for_us()).unwrap_err();
    assert_eq!(answer.status, 503);
    assert!(answer.text.contains("retry-after: 5\n"), "{}", answer.text);
}

#[test]
fn every_transport_takes_it_and_none_takes_two() {
    let mint = Mint::new();
    let text = mint.exchange(&mint.world.token("ci"), Exchange::new()).unwrap();
    let sources = Sources::bearer().scheme("token").basic().header("private-token");
    let boundary = boundary(&mint, sources.danger_query("access_token"));
    let header = |value: String| get().header("authorization", value);
    for (request, accepted) in [
        (bearer(&text), true),
        (header(format!("token {text}")), true),
        (header(basic(format!("anybody:{text}"))), true),
        (header(basic(format!("{text}:"))), true),
        (header(basic(format!("{text}:x-oauth-basic"))), true),
        (header(basic(format!("{text}:{text}"))), false),
        (get().header("private-token", &text), true),
        (Request::get(format!("/repos?access_token={text}")), true),
        (bearer(&text).header("private-token", &text), false),
        (Request::post(format!("/repos?access_token={text}")), false),
    ] {
        match ask(&boundary, request, Requirement::scope("repo:read")) {
            Ok(verified) => assert!(accepted && verified.owner().as_str() == "u1"),
            Err(answer) => assert_eq!((accepted, answer.status), (false, 400), "{}", answer.text),
        }
    }
    // Stored by a browser and sent for another site.
    let cross = Request::post("/repos")
        .header("authorization", basic(format!("x:{text}")))
        .header("sec-fetch-site", "cross-site");
    assert_eq!(ask(&boundary, cross, Requirement::any_token()).unwrap_err().status, 403);
}

#[test]
fn it_is_for_whom_its_claims_and_its_record_say() {
    let mint = Mint::new();
    let boundary = boundary(&mint, Sources::bearer());
    let (_, for_us_text) = mint.jwt();
    let own = mint.exchange(&mint.world.token("own"), Exchange::new()).unwrap();
    for (text, audience, accepted) in [
        (&for_us_text, Some("us"), true),
        (&for_us_text, Some("them"), false),
        (&for_us_text, None, false),
        (&own, None, true),
        (&own, Some("us"), false),
        (&own, Some("https://acme.example"), false),
    ] {
        let any = Requirement::any_token();
        let requirement = audience.map_or(any.clone(), |audience| any.audience(audience));
        match ask(&boundary, bearer(text), requirement) {
            Ok(_) => assert!(accepted, "{audience:?}"),
            Err(answer) => assert!(!accepted && answer.text == H5, "{audience:?}"),
        }
    }
    // Claims that say something else than the record, by whoever has the key.
    for (claim, value) in [
        ("aud", json!("them")),
        ("aud", json!("https://acme.example")),
        ("sub", json!("u2")),
        ("tenant", json!("other")),
        ("jti", json!("0000000000000009")),
        ("jti", json!("../../x")),
    ] {
        let claims = replaced(mint.claims(), claim, value).to_string();
        let text = mint.signed(&mint.header().to_string(), &claims);
        is_h5(ask(&boundary, bearer(&text), for_us()));
        is_h5(ask(&boundary, bearer(&text), Requirement::any_token().audience("them")));
        is_h5(ask(&boundary, bearer(&text), Requirement::any_token()));
    }
}

#[test]
fn clocks_may_differ_at_its_start_and_not_at_its_end() {
    let mint = Mint::new();
    let now = mint.world.now().as_micros() / 1_000_000;
    for (claim, value, accepted) in [
        ("iat", now + 30, true),
        ("iat", now + 31, false),
        ("nbf", now + 30, true),
        ("nbf", now + 31, false),
        ("exp", now + 1, true),
    ] {
        let claims = replaced(mint.claims(), claim, json!(value)).to_string();
        let text = mint.signed(&mint.header().to_string(), &claims);
        assert_eq!(lets_in(&mint, &text), Some(accepted), "{claim} {value}");
    }
    let claims = replaced(mint.claims(), "iat", json!(now - 60));
    let claims = replaced(claims, "exp", json!(now)).to_string();
    assert_eq!(lets_in(&mint, &mint.signed(&mint.header().to_string(), &claims)), Some(false));
}

#[test]
fn a_signature_over_the_id_of_another_kind_is_worth_nothing() {
    let mint = Mint::new();
    let personal = mint.world.token("personal");
    let claims = replaced(mint.claims(), "jti", json!(personal.token.id));
    let claims = replaced(claims, "aud", json!("https://acme.example")).to_string();
    let text = mint.signed(&mint.header().to_string(), &claims);
    is_h5(ask(&boundary(&mint, Sources::bearer()), bearer(&text), Requirement::any_token()));
    assert!(run(mint.issuer.introspect(&mint.world.hallpass, &text)).unwrap().is_none());
}
