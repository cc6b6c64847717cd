//! What the demo bounds over all products: wrong passwords, and how many tokens somebody holds.

use serde_json::json;

use super::{AUTOMATION, Ask, DATA, Demo, HOSTING, PATS, RELEASE, text};

const LOGIN_PAGE: &str = "/login";
const CONSOLE: &str = "/settings/tokens";

/// What everybody who guesses too often is told.
fn assert_waits(ask: &Ask) {
    let told = ask.expect(429);
    assert_eq!(told.header("retry-after"), Some("300"), "{}", told.body);
}

#[test]
fn wrong_passwords_are_counted_wherever_they_are_sent() {
    for place in 0..5 {
        let demo = Demo::start();
        let guess = |password: &str| match place {
            0 => demo.get(PATS).basic("alice", password),
            1 => demo.get("/api/gateway/v1/applications/").basic("alice", password),
            2 => demo.post(RELEASE).basic("alice", password).json(&json!({})),
            3 => {
                let form = format!("login=alice&password={password}&ids=x");
                demo.post(&format!("{HOSTING}/removetokens")).form(&form)
            }
            _ => {
                let form = format!("name=alice&password={password}");
                demo.post(LOGIN_PAGE).header("Origin", "http://127.0.0.1:3000").form(&form)
            }
        };
        for number in 0..10 {
            let status = guess("wrong").send().status;
            assert!([401, 403].contains(&status), "place {place}: {status}");
            // A right password in between does not make up for wrong ones.
            if number < 9 {
                demo.get(DATA).user("bob").expect(200);
            }
        }
        assert_waits(&guess("alice's"));
        // Wherever they were sent, they count everywhere.
        assert_waits(&demo.get(AUTOMATION).user("bob"));
        // Whoever comes with a token guesses no password.
        demo.get("/healthz").expect(200);
    }
}

#[test]
fn tokens_of_applications_count_too() {
    let demo = Demo::start();
    let application = || {
        let body = json!({ "description": "app", "scope": "write", "application": 1 });
        demo.post(AUTOMATION).user("alice").json(&body)
    };
    let refresh = |token: &str| {
        let form = format!("grant_type=refresh_token&client_id=1&refresh_token={token}");
        demo.post("/oauth/token").form(&form).expect(200).json()
    };
    let first = application().expect(201).json();
    for number in 1..25 {
        demo.token("alice", DATA, &json!({ "name": format!("n{number}"), "scopes": ["openid"] }));
    }
    for _ in 25..49 {
        application().expect(201);
    }
    // Refreshing takes no room, and goes on where there is none.
    let renewed = refresh(text(&first, "refresh_token"));
    application().expect(201);
    assert_eq!(application().expect(409).json()["type"], "urn:demo:problem:quota-full");
    demo.post(PATS).user("alice").json(&json!({ "name": "over" })).expect(409);
    refresh(text(&renewed, "refresh_token"));
    let path = format!("{AUTOMATION}{}/", text(&first, "id"));
    demo.ask("DELETE", &path).user("alice").expect(204);
    application().expect(201);
    application().expect(409);
}

#[test]
fn tokens_made_in_the_console_count_too() {
    let demo = Demo::start();
    let (head, ()) = http::Request::get("/").body(()).unwrap().into_parts();
    let now = demo.app.hallpass.now();
    let who = ("alice", "alice's");
    let cookie = demo.runtime.block_on(demo.app.sessions.sign_in(&head, None, who, now)).unwrap();
    let cookie = cookie.split(';').next().unwrap();
    let ours = |ask: Ask| ask.header("Cookie", cookie).header("Sec-Fetch-Site", "same-origin");
    let api = |name: &str| {
        ours(demo.post("/api/pat/tokens")).json(&json!({ "name": name, "scopes": ["read"] }))
    };
    let console = |name: &str| {
        let form = format!("name={name}&scope=read&expiry=30&key={name}");
        ours(demo.post(&format!("{CONSOLE}/new"))).form(&form)
    };
    let first = api("first").expect(201).json();
    console("second").expect(201);
    for number in 2..49 {
        demo.token("alice", DATA, &json!({ "name": format!("n{number}"), "scopes": ["openid"] }));
    }
    console("last").expect(201);
    assert_eq!(api("over").expect(409).json()["code"], "quota-full");
    let full = console("over").expect(409);
    assert!(full.body.contains("You hold 50 tokens"), "{}", full.body);
    demo.post(PATS).user("alice").json(&json!({ "name": "over" })).expect(409);
    // What was made before is told again, and not that there is no room.
    console("last").expect(409);
    let path = format!("/api/pat/tokens/{}", text(&first["token"], "id"));
    ours(demo.ask("DELETE", &path)).expect(204);
    demo.post(PATS).user("alice").json(&json!({ "name": "fits" })).expect(201);
}
