//! The console without a mouse.

use fantoccini::key::Key;

use crate::app::App;
use crate::browser::{Browser, Case, Look};

pub(crate) const CASES: &[(&str, Case)] = &[
    ("keyboard::a_token_is_created_and_revoked", || Box::pin(a_token_is_created_and_revoked())),
    ("keyboard::a_question_keeps_the_focus_and_gives_it_back", || Box::pin(a_question())),
];

/// Presses Tab until the focus is on such an element, and sees to it that the focus can be seen
/// all the way.
async fn tab_to(browser: &Browser, css: &str) {
    for _ in 0..60 {
        browser.press(&String::from(char::from(Key::Tab))).await;
        let seen = "const at = document.activeElement; const style = getComputedStyle(at); \
                    return at.matches(':focus-visible') && style.outlineStyle !== 'none' \
                    && parseFloat(style.outlineWidth) >= 2 && at.getBoundingClientRect().width > 0";
        assert_eq!(browser.run(seen).await, true, "the focus cannot be seen before {css}");
        let there = format!("return document.activeElement.matches({css:?})");
        if browser.run(&there).await == true {
            return;
        }
    }
    panic!("{css} cannot be reached with Tab");
}

async fn enter(browser: &Browser) {
    browser.press(&String::from(char::from(Key::Enter))).await;
}

async fn a_token_is_created_and_revoked() {
    let app = App::start().await;
    let browser = Browser::start(Look::default()).await;
    browser.go(&app.url("/as/alice")).await;
    // The first stop leads past the bar.
    tab_to(&browser, ".skip").await;
    enter(&browser).await;
    tab_to(&browser, "a[href$='/new']").await;
    enter(&browser).await;
    tab_to(&browser, "#name").await;
    browser.press("by keyboard").await;
    tab_to(&browser, "[data-search]").await;
    browser.press("code").await;
    tab_to(&browser, "input[value='repo:read']").await;
    browser.press(" ").await;
    tab_to(&browser, ".form-end .btn-main").await;
    enter(&browser).await;
    // The password is where the focus is already.
    browser.press("alice's").await;
    enter(&browser).await;
    assert_eq!(browser.text("h1").await, "Token created");
    let secret = browser.text("#secret").await;
    tab_to(&browser, "[data-leave]").await;
    enter(&browser).await;
    assert!(app.accepts(&secret).await);
    tab_to(&browser, ".pick").await;
    browser.press(" ").await;
    tab_to(&browser, "[data-bulk]").await;
    enter(&browser).await;
    assert_eq!(browser.text("h1").await, "Revoke 1 token?");
    tab_to(&browser, ".form-end .btn-main").await;
    enter(&browser).await;
    assert_eq!(browser.text(".toast div").await, "1 token revoked.");
    assert!(!app.accepts(&secret).await);
    browser.end().await;
}

async fn a_question() {
    let app = App::start().await;
    let issued = app.token("ci").await;
    let browser = Browser::start(Look::default()).await;
    browser.go(&app.url("/as/alice")).await;
    browser.go(&app.tokens(&format!("/{}", issued.token.id))).await;
    tab_to(&browser, "a[data-dialog]").await;
    enter(&browser).await;
    let inside = "return document.activeElement.closest('dialog') !== null";
    for _ in 0..5 {
        assert_eq!(browser.run(inside).await, true, "the focus leaves the question");
        browser.press(&String::from(char::from(Key::Tab))).await;
        // Chromium's own stop between the last and the first.
        if browser.run("return document.activeElement === document.body").await == true {
            browser.press(&String::from(char::from(Key::Tab))).await;
        }
    }
    browser.press(&String::from(char::from(Key::Escape))).await;
    assert_eq!(browser.run("return document.querySelector('dialog').open").await, false);
    let back = "return document.activeElement.matches('a[data-dialog]')";
    assert_eq!(browser.run(back).await, true, "the focus is lost");
    assert!(app.accepts(issued.plain.expose()).await);
    browser.end().await;
}
