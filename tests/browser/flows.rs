//! What people do with the console: each with the script, and without it.

use std::future::Future;
use std::pin::Pin;

use chrono::TimeDelta;
use hallpass::{Issue, RevocationReason, Scope};
use serde_json::json;

use crate::app::App;
use crate::browser::{Browser, Look};

/// A flow, told whether the browser runs scripts.
type Flow = fn(bool) -> Pin<Box<dyn Future<Output = ()>>>;

macro_rules! flows {
    ($($name:ident),* $(,)?) => {
        pub(crate) const CASES: &[(&str, Flow)] =
            &[$((stringify!($name), |script| Box::pin($name(script)))),*];
    };
}

flows![
    a_token_is_created_and_shown_once,
    going_back_or_reloading_shows_no_secret_and_makes_no_token,
    a_wrong_password_loses_nothing,
    mistakes_are_shown_at_their_fields,
    a_preset_fills_the_scopes,
    the_secret_is_copied_and_saved,
    settings_are_changed,
    a_token_is_copied,
    a_token_is_regenerated,
    a_token_is_suspended_and_resumed,
    a_token_is_revoked,
    many_tokens_are_revoked,
    the_list_is_searched_sorted_and_paged,
    two_tabs_do_not_undo_each_other,
    hostile_names_are_only_names,
    an_administrator_finds_and_revokes,
];

/// A browser in which somebody is signed in.
async fn signed_in(app: &App, name: &str, script: bool) -> Browser {
    let browser = Browser::start(Look { script, ..Look::default() }).await;
    browser.go(&app.url(&format!("/as/{name}"))).await;
    browser
}

/// Confirms where the page asks for it.
async fn confirm(browser: &Browser, name: &str) {
    browser.shows("h1", "Confirm it is you").await;
    browser.fill("#password", &format!("{name}'s")).await;
    browser.click(".btn-main").await;
}

/// Makes a token by hand; alice is asked for her password the first time.
async fn create(browser: &Browser, app: &App, name: &str) {
    app.clock.advance(TimeDelta::seconds(1));
    browser.go(&app.tokens("/new")).await;
    browser.fill("#name", name).await;
    browser.click("input[value=\"repo:read\"]").await;
    browser.click(".form-end .btn-main").await;
}

async fn a_token_is_created_and_shown_once(script: bool) {
    let app = App::start().await;
    let browser = signed_in(&app, "alice", script).await;
    browser.shows("main h2", "No tokens yet").await;
    browser.click("main .blank .btn").await;
    browser.fill("#name", "nightly build").await;
    browser.fill("#description", "two\nlines").await;
    browser.click("#expiry option[value=\"90\"]").await;
    browser.click("input[value=\"repo:write\"]").await;
    browser.click("summary").await;
    browser.click("input[value=\"listed\"]").await;
    browser.fill("#resources", "org/*\nother").await;
    browser.click(".form-end .btn-main").await;
    confirm(&browser, "alice").await;
    browser.shows("h1", "Token created").await;
    let secret = browser.text("#secret").await;
    assert!(app.accepts(&secret).await);
    assert!(!browser.url().await.contains(&secret));
    assert!(!browser.client.title().await.unwrap().contains(&secret));
    assert_eq!(browser.run("return document.cookie").await, "");
    let stored = browser.run("return localStorage.length + sessionStorage.length").await;
    assert_eq!(stored, 0);
    browser.click("[data-leave]").await;
    browser.shows_all(".c-name a", &["nightly build"]).await;
    assert!(!browser.source().await.contains(&secret));
    let token = app.all().await.pop().unwrap();
    assert_eq!(token.description.as_deref(), Some("two\nlines"));
    assert_eq!(token.expires_at.unwrap().to_string(), "2027-02-20T09:00:00Z");
    assert!(token.resources.reach("org/x") && !token.resources.reach("org"));
    browser.end().await;
}

async fn going_back_or_reloading_shows_no_secret_and_makes_no_token(script: bool) {
    let app = App::start().await;
    let browser = signed_in(&app, "alice", script).await;
    create(&browser, &app, "ci").await;
    confirm(&browser, "alice").await;
    let secret = browser.text("#secret").await;
    browser.client.refresh().await.unwrap();
    browser.shows("h1", "Created already").await;
    assert!(!browser.source().await.contains(&secret));
    browser.go(&app.tokens("")).await;
    create(&browser, &app, "second").await;
    let secret = browser.text("#secret").await;
    browser.click("[data-leave]").await;
    browser.client.back().await.unwrap();
    assert!(!browser.source().await.contains(&secret), "going back shows the secret");
    browser.client.back().await.unwrap();
    assert!(!browser.source().await.contains(&secret));
    browser.client.forward().await.unwrap();
    assert!(!browser.source().await.contains(&secret));
    assert_eq!(app.all().await.len(), 2);
    // Chromium says so itself where it does not send a form again.
    let complaints = browser.complaints().await;
    assert!(complaints.iter().all(|line| line.contains("ERR_CACHE_MISS")), "{complaints:#?}");
    browser.end().await;
}

async fn a_wrong_password_loses_nothing(script: bool) {
    let app = App::start().await;
    let browser = signed_in(&app, "alice", script).await;
    create(&browser, &app, "ünïcode \"quoted\"").await;
    browser.fill("#password", "wrong").await;
    browser.click(".btn-main").await;
    browser.shows("[role=alert]", "That is not right. Try again.").await;
    assert!(app.all().await.is_empty());
    confirm(&browser, "alice").await;
    browser.shows("h1", "Token created").await;
    assert_eq!(app.all().await[0].name.as_str(), "ünïcode \"quoted\"");
    // For five minutes nobody asks again.
    create(&browser, &app, "second").await;
    browser.shows("h1", "Token created").await;
    app.clock.advance(TimeDelta::minutes(6));
    create(&browser, &app, "third").await;
    confirm(&browser, "alice").await;
    browser.shows("h1", "Token created").await;
    assert_eq!(app.all().await.len(), 3);
    browser.end().await;
}

async fn mistakes_are_shown_at_their_fields(script: bool) {
    let app = App::start().await;
    app.token("taken").await;
    let browser = signed_in(&app, "alice", script).await;
    create(&browser, &app, "Taken").await;
    confirm(&browser, "alice").await;
    browser.shows("#name-error", "You have a token of this name.").await;
    assert!(browser.has("#name[aria-invalid=true][aria-describedby=name-error]").await);
    if script {
        let focused = browser.client.active_element().await.unwrap();
        assert_eq!(focused.attr("role").await.unwrap().as_deref(), Some("alert"));
    }
    browser.fill("#name", "free").await;
    browser.click("input[value=\"repo:read\"]").await;
    browser.click(".form-end .btn-main").await;
    browser.shows("#scope-error", "Choose at least one scope.").await;
    browser.click("input[value=\"repo:read\"]").await;
    browser.click("#expiry option[value=date]").await;
    browser.click(".form-end .btn-main").await;
    assert!(browser.text("#date-error").await.starts_with("Choose a day between 2026-11-22"));
    browser.click("#expiry option[value=\"7\"]").await;
    browser.click(".form-end .btn-main").await;
    browser.shows("h1", "Token created").await;
    browser.end().await;
}

async fn a_preset_fills_the_scopes(script: bool) {
    let app = App::start().await;
    let browser = signed_in(&app, "alice", script).await;
    browser.go(&app.tokens("/new")).await;
    browser.fill("#name", "ci").await;
    if script {
        assert!(browser.has(".picker-top input").await);
        browser.fill("[data-search]", "PACK down").await;
        browser.shows_all(".scope:not([hidden]) .scope-title", &["Download packages"]).await;
        browser.fill("[data-search]", "nothing of the sort").await;
        browser.shows("[data-nothing]", "No scope fits.").await;
        browser.fill("[data-search]", " ").await;
    }
    browser.click("button[value=CI]").await;
    browser.shows_all(".scope:has(:checked) code", &["repo:write", "packages:write"]).await;
    assert!(browser.has("#name").await);
    if script {
        browser.shows("[data-picked]", "2 selected").await;
    }
    browser.click(".form-end .btn-main").await;
    confirm(&browser, "alice").await;
    browser.shows("h1", "Token created").await;
    let token = app.all().await.pop().unwrap();
    assert_eq!(token.name.as_str(), "ci");
    assert_eq!(token.scopes.iter().count(), 2);
    browser.end().await;
}

async fn the_secret_is_copied_and_saved(script: bool) {
    let app = App::start().await;
    let browser = signed_in(&app, "alice", script).await;
    create(&browser, &app, "ci").await;
    confirm(&browser, "alice").await;
    let secret = browser.text("#secret").await;
    let warns = "const leaving = new Event('beforeunload', { cancelable: true }); \
                 dispatchEvent(leaving); return leaving.defaultPrevented";
    if script {
        assert_eq!(browser.run(warns).await, true, "leaving is not warned of");
        let permissions = json!({ "origin": app.url(""), "permissions":
            ["clipboardReadWrite", "clipboardSanitizedWrite"] });
        browser.devtools("Browser.grantPermissions", permissions).await;
        browser.click("[data-copy]").await;
        browser
            .client
            .wait()
            .for_element(fantoccini::Locator::Css("#live:not(:empty)"))
            .await
            .unwrap();
        browser.shows("[data-copy]", "Copied").await;
        let pasted = browser.run("return navigator.clipboard.readText()").await;
        assert_eq!(pasted, secret.as_str());
        assert_eq!(browser.run(warns).await, false, "leaving is warned of after copying");
    } else {
        // There is no button that does nothing.
        browser.shows("[data-copy]", "").await;
        assert_eq!(browser.run(warns).await, false);
    }
    browser.click("#download button").await;
    let (name, text) = browser.saved().await;
    let id = app.all().await[0].id;
    assert_eq!((name, text), (format!("token-{id}.txt"), format!("{secret}\n")));
    // Saving leaves the page as it is.
    browser.shows("#secret", &secret).await;
    browser.end().await;
}

async fn settings_are_changed(script: bool) {
    let app = App::start().await;
    let issue = Issue::new("ci").owner("alice").scopes(["repo:write", "metrics:read"]);
    app.hallpass.issue(issue).await.unwrap();
    let browser = signed_in(&app, "alice", script).await;
    browser.click(".c-name a").await;
    browser.fill("#name", "renamed").await;
    browser.click("input[value=\"metrics:read\"]").await;
    browser.click(".form-end .btn-main").await;
    // Narrowing needs no password.
    browser.shows(".toast div", "Changes saved.").await;
    browser.shows("h1", "renamed").await;
    if script {
        assert!(!browser.url().await.contains("notice"), "the notice stays in the address");
        browser.click("[data-dismiss]").await;
        assert!(!browser.has(".toast").await);
    }
    browser.click("input[value=\"deploy:write\"]").await;
    browser.click(".form-end .btn-main").await;
    confirm(&browser, "alice").await;
    browser.shows(".toast div", "Changes saved.").await;
    let token = app.all().await.pop().unwrap();
    let scopes: Vec<&str> = token.scopes.iter().map(Scope::as_str).collect();
    assert_eq!((token.name.as_str(), &*scopes), ("renamed", &["deploy:write", "repo:write"][..]));
    browser.end().await;
}

async fn a_token_is_copied(script: bool) {
    let app = App::start().await;
    let issue = Issue::new("ci").owner("alice").scopes(["deploy:write"]).on(["org/*"]);
    app.hallpass.issue(issue).await.unwrap();
    let browser = signed_in(&app, "alice", script).await;
    browser.click(".c-name a").await;
    browser.click("a[href*=copy_of]").await;
    browser.shows("h1", "Copy of ci").await;
    browser.click(".form-end .btn-main").await;
    confirm(&browser, "alice").await;
    assert!(app.accepts(&browser.text("#secret").await).await);
    let all = app.all().await;
    assert_eq!(all.len(), 2);
    assert!(all.iter().any(|token| token.name.as_str() == "ci (copy)"));
    assert!(all.iter().all(|token| token.resources.reach("org/x")));
    browser.end().await;
}

async fn a_token_is_regenerated(script: bool) {
    let app = App::start().await;
    let first = app.token("ci").await;
    let browser = signed_in(&app, "alice", script).await;
    browser.click(".c-name a").await;
    browser.click("a[href$=regenerate]").await;
    browser.click("input[name=overlap][value=\"0\"]").await;
    browser.click(".form-end .btn-main").await;
    confirm(&browser, "alice").await;
    browser.shows("h1", "New secret").await;
    let second = browser.text("#secret").await;
    assert!(app.accepts(&second).await && !app.accepts(first.plain.expose()).await);
    browser.client.refresh().await.unwrap();
    browser.shows("h1", "Regenerated already").await;
    assert!(app.accepts(&second).await, "reloading rotates again");
    browser.end().await;
}

async fn a_token_is_suspended_and_resumed(script: bool) {
    let app = App::start().await;
    let issued = app.token("ci").await;
    let browser = signed_in(&app, "alice", script).await;
    browser.click(".c-name a").await;
    browser.click("form[action$=suspend] button").await;
    browser.shows(".title-line .badge", "Suspended").await;
    assert!(!app.accepts(issued.plain.expose()).await);
    browser.click("form[action$=resume] button").await;
    confirm(&browser, "alice").await;
    browser.shows(".title-line .badge", "Active").await;
    assert!(app.accepts(issued.plain.expose()).await);
    browser.end().await;
}

async fn a_token_is_revoked(script: bool) {
    let app = App::start().await;
    let issued = app.token("ci").await;
    let browser = signed_in(&app, "alice", script).await;
    browser.click(".c-name a").await;
    let page = browser.url().await;
    browser.click("a[href$=revoke]").await;
    assert!(app.accepts(issued.plain.expose()).await, "revoked without a question");
    if script {
        // The question is asked in place.
        browser.comes_to(&page).await;
        browser.click("dialog [data-close]").await;
        browser.click("a[href$=revoke]").await;
        browser.click("dialog .btn-main").await;
    } else {
        browser.shows("h1", "Revoke ci?").await;
        browser.click(".form-end .btn-main").await;
    }
    browser.shows(".toast div", "1 token revoked.").await;
    assert!(!app.accepts(issued.plain.expose()).await);
    browser.go(&page).await;
    browser.shows(".title-line .badge", "Revoked").await;
    browser.end().await;
}

async fn many_tokens_are_revoked(script: bool) {
    let app = App::start().await;
    for name in ["a", "b", "c"] {
        app.token(name).await;
    }
    let browser = signed_in(&app, "alice", script).await;
    if script {
        assert!(browser.has("[data-bulk][disabled]").await, "there is nothing to revoke yet");
        browser.click("#pick-all").await;
        browser.shows("[data-bulk]", "Revoke 3 selected").await;
    } else {
        for row in 1..=3 {
            browser.click(&format!("tbody tr:nth-child({row}) .pick")).await;
        }
    }
    browser.click("tbody tr:nth-child(2) .pick").await;
    browser.click("[data-bulk]").await;
    browser.shows("h1", "Revoke 2 tokens?").await;
    browser.click(".form-end .btn-main").await;
    confirm(&browser, "alice").await;
    browser.shows(".toast div", "2 tokens revoked.").await;
    browser.shows_all(".c-name a", &["b"]).await;
    browser.end().await;
}

async fn the_list_is_searched_sorted_and_paged(script: bool) {
    let app = App::start().await;
    for number in 0..49 {
        app.token(&format!("job {number:02}")).await;
    }
    app.token("other").await;
    let gone = app.all().await.pop().unwrap();
    app.hallpass.revoke(&gone.id, RevocationReason::Requested).await.unwrap();
    app.token("another").await;
    let browser = signed_in(&app, "alice", script).await;
    browser.fill("#q", "OTHER").await;
    browser.click(".filters .btn").await;
    browser.shows_all(".c-name a", &["another", "other"]).await;
    if script {
        browser.click("#show option[value=ended]").await;
        let ended = fantoccini::Locator::Css("a.btn[href=\"/settings/tokens\"]");
        browser.client.wait().for_element(ended).await.unwrap();
    } else {
        browser.click("#show option[value=ended]").await;
        browser.click(".filters .btn").await;
    }
    browser.shows("main .blank h2", "Nothing matches").await;
    browser.click("main .blank .btn").await;
    browser.click("thead th:nth-child(2) a").await;
    browser.shows("th[aria-sort=ascending]", "Name ↑").await;
    let first = browser.texts(".c-name a").await;
    assert_eq!((first.len(), first[0].as_str()), (50, "another"));
    assert!(!browser.has("[rel=next]").await);
    app.hallpass.resume(&gone.id).await.unwrap_err();
    browser.go(&app.tokens("?show=all&sort=name")).await;
    browser.click("[rel=next]").await;
    browser.shows_all(".c-name a", &["other"]).await;
    browser.end().await;
}

async fn two_tabs_do_not_undo_each_other(script: bool) {
    let app = App::start().await;
    let issued = app.token("ci").await;
    let browser = signed_in(&app, "alice", script).await;
    let page = app.tokens(&format!("/{}", issued.token.id));
    browser.go(&page).await;
    let first = browser.client.window().await.unwrap();
    let second = browser.client.new_window(true).await.unwrap().handle;
    browser.client.switch_to_window(second).await.unwrap();
    browser.dress().await;
    browser.go(&page).await;
    browser.fill("#name", "from the second").await;
    browser.click(".form-end .btn-main").await;
    browser.shows("h1", "from the second").await;
    // Signing in as somebody else in one tab makes the other's form void.
    browser.go(&app.url("/as/bob")).await;
    browser.client.switch_to_window(first.clone()).await.unwrap();
    browser.fill("#name", "from the first").await;
    browser.click(".form-end .btn-main").await;
    browser.shows("h1", "Please try again").await;
    browser.go(&app.url("/as/alice")).await;
    browser.go(&page).await;
    browser.shows("h1", "from the second").await;
    app.hallpass.update(&issued.token.id, hallpass::Edit::new().name("meanwhile")).await.unwrap();
    browser.fill("#name", "from the first").await;
    browser.click(".form-end .btn-main").await;
    assert!(browser.text("[role=alert]").await.contains("changed in the meantime"));
    assert_eq!(app.all().await[0].name.as_str(), "meanwhile");
    browser.end().await;
}

async fn hostile_names_are_only_names(script: bool) {
    let app = App::start().await;
    let names = [
        "<script>alert(1)</script>",
        "\"><img src=x onerror=alert(1)>",
        "{{7*7}}",
        "${7*7}",
        "</title><script>alert(1)</script>",
        "javascript:alert(1)",
        "=cmd()",
    ];
    let browser = signed_in(&app, "alice", script).await;
    for (number, name) in names.into_iter().enumerate() {
        create(&browser, &app, name).await;
        if number == 0 {
            confirm(&browser, "alice").await;
        }
        browser.shows("h1", "Token created").await;
        browser.shows("dd bdi", name).await;
        browser.click("[data-leave]").await;
    }
    let newest_first: Vec<&str> = names.iter().rev().copied().collect();
    browser.shows_all(".c-name a", &newest_first).await;
    for token in app.all().await {
        browser.go(&app.tokens(&format!("/{}", token.id))).await;
        browser.shows("h1", token.name.as_str()).await;
        browser.click("a[href$=revoke]").await;
        let question = if script { "dialog h2" } else { "h1" };
        browser.shows(question, &format!("Revoke {}?", token.name)).await;
    }
    assert_eq!(browser.run("return document.images.length").await, 0);
    browser.end().await;
}

async fn an_administrator_finds_and_revokes(script: bool) {
    let app = App::start().await;
    let theirs = app.token("ci").await;
    let browser = signed_in(&app, "root", script).await;
    browser.click("nav a[href$=admin]").await;
    browser.shows_all(".c-name a", &["ci"]).await;
    browser.fill("#whose", theirs.plain.expose()).await;
    browser.click("form[action$=whose] .btn").await;
    assert!(!browser.url().await.contains(theirs.plain.expose()));
    assert!(!browser.source().await.contains(theirs.plain.expose()));
    assert!(browser.text("[role=note]").await.starts_with("The text is good"));
    browser.shows(".facts bdi", "alice").await;
    browser.click("a[href$=revoke]").await;
    browser.click(if script { "dialog .btn-main" } else { ".form-end .btn-main" }).await;
    browser.shows(".toast div", "1 token revoked.").await;
    assert!(!app.accepts(theirs.plain.expose()).await);
    browser.end().await;
}
