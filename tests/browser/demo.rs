//! The demo: its page to sign in, its sessions, and the console in it.

#[path = "../../examples/demo/main.rs"]
#[expect(dead_code, unused_imports, reason = "the tests take the place of `main` and of its own")]
mod program;

use std::net::SocketAddr;

use argon2::{Argon2, Params};
use hallpass::MemoryStore;

use self::program::app::{App, Settings};
use crate::browser::{Browser, Case, Look};

pub(crate) const CASES: &[(&str, Case)] = &[
    ("demo::people_sign_in_work_and_sign_out", || Box::pin(people_sign_in(true))),
    ("demo::people_sign_in_without_a_script", || Box::pin(people_sign_in(false))),
];

async fn people_sign_in(script: bool) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let origin = format!("http://{}", listener.local_addr().unwrap());
    let settings = Settings {
        origin: origin.clone(),
        let_sessions_finish: false,
        data_lifetime: None,
        passwords: ["alice", "bob", "root", "carol"].map(|name| format!("{name}'s")),
        argon2: Argon2::from(Params::new(8, 1, 1, None).unwrap()),
        partner_keys: None,
    };
    let app = App::new(MemoryStore::new(), &settings).unwrap();
    let service = app.router().unwrap().into_make_service_with_connect_info::<SocketAddr>();
    tokio::spawn(async move { axum::serve(listener, service).await });
    let browser = Browser::start(Look { script, ..Look::default() }).await;
    let url = |path: &str| format!("{origin}{path}");

    browser.go(&url("/settings/tokens/new")).await;
    browser.shows("h1", "Sign in").await;
    browser.fill("#name", "alice").await;
    browser.fill("#password", "wrong").await;
    browser.click(".btn-main").await;
    assert!(browser.text("[role=alert]").await.contains("do not go together"));
    browser.fill("#name", "alice").await;
    browser.fill("#password", "alice's").await;
    browser.click(".btn-main").await;
    browser.comes_to(&url("/settings/tokens/new")).await;
    let cookie = browser.client.get_named_cookie("__Host-demo").await.unwrap();
    assert_eq!((cookie.secure(), cookie.http_only()), (Some(true), Some(true)));
    assert_eq!(cookie.path(), Some("/"));
    assert_eq!(cookie.same_site().map(|rule| rule.is_lax()), Some(true));

    // Whoever signed in just now is not asked again.
    browser.fill("#name", "from the browser").await;
    browser.click("input[value=\"write\"]").await;
    browser.click(".form-end .btn-main").await;
    let secret = browser.text("#secret").await;
    let verified = app.hallpass.verify(&secret, &hallpass::Context::default()).await.unwrap();
    assert_eq!(verified.tenant().as_str(), "automation");
    browser.click("[data-leave]").await;
    browser.shows_all(".c-name a", &["from the browser"]).await;

    browser.go(&url("/")).await;
    browser.click("form:has(input[value=hosting]) button").await;
    browser.comes_to(&url("/settings/tokens")).await;
    browser.shows("main h2", "No tokens yet").await;
    browser.go(&url("/")).await;
    browser.click("form[action=\"/logout\"] button").await;
    browser.comes_to(&url("/login")).await;
    assert!(browser.client.get_named_cookie("__Host-demo").await.is_err());
    browser.client.back().await.unwrap();
    // No page of a session that ended is shown.
    browser.shows("h1", "Sign in").await;

    // An address that leads away leads nowhere.
    browser.go(&url("/login?next=//evil.example")).await;
    browser.fill("#name", "carol").await;
    browser.fill("#password", "carol's").await;
    browser.click(".btn-main").await;
    browser.comes_to(&url("/settings/tokens")).await;
    browser.go(&url("/settings/tokens/new")).await;
    assert!(browser.text("[role=alert]").await.contains("Accounts like yours cannot hold tokens."));
    browser.end().await;
}
