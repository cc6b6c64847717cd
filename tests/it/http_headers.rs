//! Headers and transports from the bad-input corpus.

use hallpass::{Event, Requirement, Sources};
use http::request::Builder;
use http::{HeaderMap, HeaderValue, Request};

use crate::http_support::{World, basic, get};

fn everything() -> Sources {
    Sources::bearer()
        .scheme("token")
        .basic()
        .header("x-release-personal-token")
        .header("PRIVATE-TOKEN")
        .danger_query("access_token")
}

async fn statuses(world: &World, requests: impl IntoIterator<Item = Builder>) -> Vec<u16> {
    let mut statuses = Vec::new();
    for request in requests {
        statuses.push(world.send(request).await.status);
    }
    statuses
}

#[tokio::test]
async fn scheme_words_are_read_in_any_case() {
    // C30
    let world = World::with(everything());
    let ok = world.ok().await;
    for word in ["Bearer", "bearer", "BEARER", "token", "Token"] {
        assert_eq!(world.authorization(format!("{word} {ok}")).await, 200, "{word}");
    }
}

#[tokio::test]
async fn one_space_and_one_token_follow_the_scheme() {
    // C31, C33
    let world = World::with(everything());
    let ok = world.ok().await;
    for word in ["Bearer", "token"] {
        for value in [
            format!("{word}  {ok}"),
            format!("{word}\t{ok}"),
            word.to_owned(),
            format!("{word} "),
            format!("{word} {ok} "),
            format!("{word} {ok} extra"),
            format!("{word} {ok},{word} {ok}"),
            format!("{word} {ok}, "),
            format!("{word} token=\"{ok}\""),
            format!("{word}={ok}"),
            format!(" {word} {ok}"),
        ] {
            assert_eq!(world.authorization(&value).await, 400, "{value:?}");
        }
    }
    assert_eq!(world.authorization("").await, 400);
}

#[tokio::test]
async fn repeated_authorization_lines_are_several_credentials() {
    // C34
    for sources in [Sources::bearer(), everything()] {
        let world = World::with(sources);
        let ok = format!("Bearer {}", world.ok().await);
        let foreign = "Digest x".to_owned();
        let with_basic = basic(format!(":{}", &ok[7..]));
        for (first, second) in [
            (&ok, &ok),
            (&ok, &"Bearer null".to_owned()),
            (&"Bearer null".to_owned(), &ok),
            (&ok, &with_basic),
            (&ok, &foreign),
            (&foreign, &ok),
            (&ok, &String::new()),
        ] {
            let request = get().header("authorization", first).header("authorization", second);
            assert_eq!(world.send(request).await.status, 400, "{first} {second}");
        }
    }
}

#[tokio::test]
async fn custom_headers_hold_one_bare_token() {
    // C35, C36, C37
    let world = World::with(everything());
    let ok = world.ok().await;
    let bearer = format!("Bearer {ok}");
    let found = statuses(
        &world,
        [
            get().header("private-token", &ok),
            get().header("x-release-personal-token", &ok),
            get().header("private-token", &ok).header("authorization", &bearer),
            get().header("private-token", &ok).header("private-token", &ok),
            get().header("private-token", &ok).header("x-release-personal-token", &ok),
            get().header("private-token", ""),
            get().header("private-token", "").header("x-release-personal-token", &ok),
            get().header("authorization", "").header("private-token", &ok),
            get().header("private-token", &bearer),
            get().header("private-token", format!(" {ok}")),
        ],
    )
    .await;
    assert_eq!(found, [200, 200, 400, 400, 400, 400, 400, 400, 400, 400]);
    let unconfigured = World::new();
    let ok = unconfigured.ok().await;
    assert_eq!(unconfigured.send(get().header("private-token", ok)).await.status, 401);
}

#[tokio::test]
async fn nothing_else_is_read() {
    // C38
    let world = World::with(everything());
    let ok = world.ok().await;
    let bearer = format!("Bearer {ok}");
    for (name, value) in [
        ("proxy-authorization", &bearer),
        ("cookie", &format!("access_token={ok}")),
        ("trailer", &"authorization".to_owned()),
        ("sec-websocket-protocol", &ok),
        ("x-api-key", &ok),
        ("x-forwarded-authorization", &bearer),
    ] {
        let answer = world.send(get().header(name, value)).await;
        assert_eq!(answer.status, 401, "{name}");
        assert!(!answer.text.contains("error="), "{name}");
    }
}

#[tokio::test]
async fn bytes_beyond_ascii_are_not_converted() {
    // C39
    let world = World::new();
    let ok = world.ok().await;
    for tail in [&b"\xff"[..], "é".as_bytes(), b"\t", b"\x80"] {
        assert_eq!(world.authorization([b"Bearer ", ok.as_bytes(), tail].concat()).await, 400);
    }
    assert_eq!(world.authorization(b"\xffBearer x").await, 400);
}

#[tokio::test]
async fn a_query_parameter_is_nothing_unless_it_is_turned_on() {
    // C40
    let world = World::new();
    let ok = world.ok().await;
    let answer = world.send(Request::get(format!("/r?access_token={ok}"))).await;
    assert_eq!(answer.status, 401);
    assert!(!answer.text.contains("error="));
    assert!(!format!("{:?}", world.events.taken()).contains(&ok));
}

#[tokio::test]
async fn a_query_parameter_is_read_from_get_and_head_only() {
    // C41, C42
    let world = World::with(everything());
    let ok = world.ok().await;
    let escaped = ok.replace('_', "%5F");
    let uri = |rest: String| format!("/r{rest}");
    let one = uri(format!("?access_token={ok}"));
    let found = statuses(
        &world,
        [
            Request::get(&one),
            Request::head(&one),
            Request::post(&one),
            Request::options(&one),
            Request::get(format!("{one}&access_token={ok}")),
            Request::get(format!("{one}&access_token=")),
            Request::get("/r?access_token="),
            Request::get("/r?access_token"),
            Request::get(uri(format!("?Access_Token={ok}"))),
            Request::get(uri(format!("?access%5Ftoken={ok}"))),
            Request::get(uri(format!("?access_token={escaped}"))),
            Request::get(uri(format!("?access_token={ok}%20"))),
            Request::get(&one).header("authorization", format!("Bearer {ok}")),
            Request::get(uri(format!("?a=1;access_token={ok}"))),
            Request::get(uri(format!("#access_token={ok}"))),
            Request::get("/r?access_token=null"),
        ],
    )
    .await;
    let expected = [200, 200, 400, 400, 400, 400, 400, 400, 401, 401, 400, 400, 400, 401, 401, 401];
    assert_eq!(found, expected);
}

#[tokio::test]
async fn a_token_in_the_uri_is_taken_out_and_nothing_may_be_kept() {
    // R93, whether the request is let in or not.
    let world = World::with(everything());
    let ok = world.ok().await;
    for (scope, status) in [("repo:read", 200), ("repo:write", 403)] {
        let uri = format!("/r?a=%31&access_token={ok}&b");
        let (mut head, ()) = Request::get(uri).body(()).unwrap().into_parts();
        let answer = world.admit(&mut head, Some(Requirement::scope(scope))).await;
        assert_eq!(answer.status, status);
        assert_eq!(head.uri, "/r?a=%31&b");
        assert!(answer.text.contains("\ncache-control: private, no-store\n"), "{}", answer.text);
        assert!(answer.text.contains("\nreferrer-policy: no-referrer\n"), "{}", answer.text);
        assert_eq!(answer.text.matches("\nvary: ").count(), 1);
    }
    // A refusal of the method, and one for being one of two, hide it too.
    for request in [
        Request::post(format!("/r?access_token={ok}")),
        Request::get(format!("/r?access_token={ok}")).header("authorization", "Bearer x"),
    ] {
        let (mut head, ()) = request.body(()).unwrap().into_parts();
        assert_eq!(world.admit(&mut head, None).await.status, 400);
        assert_eq!(head.uri, "/r");
    }
}

#[tokio::test]
async fn basic_carries_the_token_as_password_or_as_user() {
    // C43, C44: nobody is taken for the user that was named.
    let world = World::with(everything());
    let ok = world.ok().await;
    for pair in [
        format!(":{ok}"),
        format!("{ok}:"),
        format!("{ok}:x-oauth-basic"),
        format!("anyuser:{ok}"),
        format!("admin:{ok}"),
    ] {
        let answer = world.basic(&pair).await;
        assert_eq!((answer.status, answer.owner()), (200, "u1"), "{pair}");
    }
    // C45
    assert_eq!(world.basic(format!("{ok}:{ok}")).await.status, 400);
}

#[tokio::test]
async fn a_failing_basic_credential_is_a_bad_token() {
    // C46, C47, C48, C49
    let world = World::with(everything());
    let ok = world.ok().await;
    for pair in [
        ok.clone().into_bytes(),
        format!(":{ok}:x").into_bytes(),
        format!(":{ok}\n").into_bytes(),
        format!(": {ok}").into_bytes(),
        format!("{ok}:password").into_bytes(),
        format!("{ok}\0:").into_bytes(),
        format!(":{ok}\0").into_bytes(),
        b"\xff\xfe:".to_vec(),
        Vec::new(),
        b"u1:login password".to_vec(),
    ] {
        assert_eq!(world.basic(&pair).await.status, 401, "{:?}", String::from_utf8_lossy(&pair));
    }
    let good = basic(format!(":{ok}"));
    let encoded = good.strip_prefix("Basic ").unwrap();
    assert!(encoded.ends_with('='));
    for value in [
        "Basic QR==".to_owned(),
        good.trim_end_matches('=').to_owned(),
        format!("{good}="),
        "Basic _-8=".to_owned(),
        format!("Basic  {encoded}"),
        format!("Basic\t{encoded}"),
        format!("{good} "),
        format!("{good},{good}"),
        "Basic".to_owned(),
    ] {
        assert_eq!(world.authorization(&value).await, 401, "{value:?}");
    }
    let events = format!("{:?}", world.events.taken());
    assert!(!events.contains("login password"));
}

#[tokio::test]
async fn headers_that_claim_another_method_path_or_user_change_nothing() {
    // C53
    let world = World::new();
    let request = get()
        .header("authorization", format!("Bearer {}", world.ok().await))
        .header("x-http-method-override", "DELETE")
        .header("x-original-url", "/admin")
        .header("x-forwarded-for", "198.51.100.1")
        .header("x-forwarded-user", "admin");
    let answer = world.send(request).await;
    assert_eq!((answer.status, answer.owner()), (200, "u1"));
}

#[tokio::test]
async fn the_address_is_the_one_that_was_passed_and_never_a_header() {
    let world = World::new();
    let issued = world
        .issue_as(|issue| issue.networks(["198.51.100.0/24".parse().unwrap()]), &["repo:read"])
        .await;
    let request = get()
        .header("authorization", format!("Bearer {}", issued.plain.expose()))
        .header("x-forwarded-for", "198.51.100.1")
        .header("forwarded", "for=198.51.100.1")
        .header("x-real-ip", "198.51.100.1");
    assert_eq!(world.send(request).await.status, 401);
}

#[tokio::test]
async fn stored_basic_credentials_do_not_act_for_another_site() {
    // C54, R91
    let world = World::with(everything());
    let issued = world.issue(&["repo:read"]).await;
    let ok = issued.plain.expose();
    world.events.taken();
    let value = basic(format!(":{ok}"));
    let from = |method: &str, site: &str| {
        Request::builder()
            .method(method)
            .uri("/repos")
            .header("authorization", &value)
            .header("sec-fetch-site", site)
    };
    for (method, site, status) in [
        ("POST", "cross-site", 403),
        ("DELETE", "same-site", 403),
        ("PATCH", "", 403),
        ("PUT", "Same-Origin", 403),
        ("POST", "same-origin", 200),
        ("POST", "none", 200),
        ("GET", "cross-site", 200),
        ("HEAD", "cross-site", 200),
    ] {
        assert_eq!(world.send(from(method, site)).await.status, status, "{method} {site}");
    }
    let twice = from("POST", "same-origin").header("sec-fetch-site", "cross-site");
    let answer = world.send(twice).await;
    assert_eq!(
        answer.text,
        "403
cache-control: no-store
content-type: application/problem+json
vary: Authorization, x-release-personal-token, private-token

{\"type\":\"urn:hallpass:problem:cross-site\",\"title\":\"Cross-site request\",\"status\":403,\
\"detail\":\"Stored credentials are not accepted on a request from another site\"}"
    );
    let reported = world.events.taken();
    assert_eq!(reported.len(), 5);
    assert!(reported.iter().all(
        |event| matches!(event, Event::Forbidden { token, .. } if token.id == issued.token.id)
    ));

    // A client that is no browser sends no such header, and a bearer token is never stored.
    assert_eq!(world.send(get().method("POST").header("authorization", &value)).await.status, 200);
    let bearer = get()
        .method("POST")
        .header("authorization", format!("Bearer {ok}"))
        .header("sec-fetch-site", "cross-site");
    assert_eq!(world.send(bearer).await.status, 200);
}

#[tokio::test]
async fn credentials_in_a_head_do_not_show_in_its_debug() {
    // R17, also after a refusal.
    let world = World::with(everything());
    let ok = world.ok().await;
    let mut headers = HeaderMap::new();
    for name in ["authorization", "private-token", "x-release-personal-token"] {
        headers.append(name, HeaderValue::try_from(&ok).unwrap());
        headers.append(name, HeaderValue::try_from(&ok).unwrap());
    }
    let uri = format!("/r?access_token={ok}");
    let (mut head, ()) = Request::get(uri).body(()).unwrap().into_parts();
    head.headers = headers;
    assert_eq!(world.admit(&mut head, None).await.status, 400);
    assert!(!format!("{head:?}").contains(&ok), "{head:?}");
    assert!(head.headers.values().all(HeaderValue::is_sensitive));

    let request = get().header("authorization", format!("Bearer {ok}"));
    let (mut head, ()) = request.body(()).unwrap().into_parts();
    let read = Some(Requirement::scope("repo:read"));
    assert_eq!(world.admit(&mut head, read).await.status, 200);
    assert!(!format!("{head:?}").contains(&ok));
    // The handler still finds it, unchanged.
    assert_eq!(head.headers["authorization"], format!("Bearer {ok}"));
}

#[tokio::test]
async fn the_agent_and_address_of_a_use_are_noted() {
    let world = World::new();
    let issued = world.issue(&["repo:read"]).await;
    let request = get()
        .header("authorization", format!("Bearer {}", issued.plain.expose()))
        .header("user-agent", "curl/8");
    assert_eq!(world.send(request).await.status, 200);
    world.hallpass.maintain().await.unwrap();
    let record = hallpass::TokenStore::find(&*world.store, &issued.token.id).await.unwrap();
    let last_use = record.unwrap().token.last_use.unwrap();
    assert_eq!(last_use.agent.as_deref(), Some("curl/8"));
    assert_eq!(last_use.ip, Some("192.0.2.7".parse().unwrap()));
}
