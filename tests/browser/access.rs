//! Every page: well-formed, open to everybody, and on a phone.

use hallpass::RevocationReason;
use serde_json::{Value, json};

use crate::app::App;
use crate::browser::{Browser, Case, Look};
use crate::tools;

pub(crate) const PHONE: &[(&str, Case)] = &[("access::a_phone_shows_every_page", || {
    Box::pin(tour(Look { width: 360, height: 740, ..Look::default() }, Check::Width))
})];

pub(crate) const AXE: &[(&str, Case)] = &[
    ("access::axe_finds_nothing_in_the_light", || Box::pin(tour(Look::default(), Check::Axe))),
    ("access::axe_finds_nothing_in_the_dark", || {
        Box::pin(tour(Look { dark: true, ..Look::default() }, Check::Axe))
    }),
    ("access::axe_finds_nothing_on_a_phone", || {
        Box::pin(tour(Look { width: 360, height: 740, ..Look::default() }, Check::Axe))
    }),
];

pub(crate) const HTML: &[(&str, Case)] = &[("access::every_page_is_well_formed", || {
    Box::pin(tour(Look { script: false, ..Look::default() }, Check::Html))
})];

#[derive(Debug, Clone, Copy)]
enum Check {
    Axe,
    Html,
    Width,
}

impl Check {
    async fn look(self, browser: &Browser, name: &str) {
        match self {
            Self::Axe => axe(browser, name).await,
            Self::Html => {
                let said = tools::validate(&served(browser).await);
                assert!(said.is_empty(), "{name}\n{said}");
            }
            Self::Width => {
                let wide = "const page = document.documentElement; \
                            return page.scrollWidth - page.clientWidth";
                assert_eq!(browser.run(wide).await, 0, "{name} is wider than the screen");
                let small = "return [...document.querySelectorAll('.btn')].filter(button => \
                             button.offsetHeight > 0 && button.offsetHeight < 24).length";
                assert_eq!(browser.run(small).await, 0, "{name} has buttons that fingers miss");
            }
        }
    }
}

async fn axe(browser: &Browser, name: &str) {
    let script = tools::axe().unwrap();
    browser.client.execute(&script, Vec::new()).await.unwrap();
    let run = "const done = arguments[arguments.length - 1]; \
               axe.run(document, { resultTypes: ['violations'] }).then(found => \
               done(found.violations.map(one => [one.id, one.help, one.nodes.map(node => \
               node.html + ' ' + node.failureSummary)])))";
    let found = browser.client.execute_async(run, Vec::new()).await.unwrap();
    assert_eq!(found, json!([]), "{name}: {found:#}");
}

/// The page as it was served.
async fn served(browser: &Browser) -> String {
    let tree = browser.devtools("Page.getResourceTree", json!({})).await;
    let frame = &tree["frameTree"]["frame"];
    let of = json!({ "frameId": frame["id"], "url": frame["url"] });
    let content = browser.devtools("Page.getResourceContent", of).await;
    match &content["content"] {
        Value::String(text) => text.clone(),
        other => panic!("no page: {other}"),
    }
}

/// Goes to every page there is.
async fn tour(look: Look, check: Check) {
    let app = App::start().await;
    let browser = Browser::start(look).await;
    let see = async |name: &str| check.look(&browser, name).await;
    browser.go(&app.url("/as/alice")).await;
    see("an empty list").await;
    app.furnish().await;
    let long = app.token(&"Wide-as-a-house".repeat(6)).await;
    let words = "no place to break this ".repeat(4);
    app.token(words.trim()).await;
    browser.go(&app.tokens("")).await;
    see("a list").await;
    browser.go(&app.tokens("?q=nowhere")).await;
    see("a list without a match").await;
    browser.go(&app.tokens("?show=all&sort=-used&notice=revoked-2")).await;
    see("a list with a notice").await;
    browser.go(&app.tokens("/new")).await;
    browser.click("summary").await;
    browser.click("#expiry option[value=date]").await;
    browser.click("input[value=listed]").await;
    see("the form for a new token").await;
    browser.fill("#name", "made").await;
    browser.fill("#resources", "a b").await;
    browser.click(".form-end .btn-main").await;
    see("the form with mistakes").await;
    browser.fill("#resources", "a").await;
    browser.click("#expiry option[value=\"30\"]").await;
    browser.click("input[value=\"repo:read\"]").await;
    browser.click(".form-end .btn-main").await;
    see("the question who it is").await;
    browser.fill("#password", "wrong").await;
    browser.click(".btn-main").await;
    see("the question after a wrong answer").await;
    browser.fill("#password", "alice's").await;
    browser.click(".btn-main").await;
    see("the secret").await;
    browser.click("[data-leave]").await;
    let own = format!("/{}", long.token.id);
    browser.go(&app.tokens(&own)).await;
    see("a token").await;
    if look.script {
        browser.click("a[data-dialog]").await;
        see("the question in place").await;
    }
    for below in ["/regenerate", "/revoke"] {
        browser.go(&app.tokens(&format!("{own}{below}"))).await;
        see(below).await;
    }
    browser.go(&app.tokens(&format!("/new?copy_of={}", long.token.id))).await;
    see("the form for a copy").await;
    browser.go(&app.tokens("")).await;
    browser.click("tbody tr:nth-child(1) .pick").await;
    browser.click("tbody tr:nth-child(2) .pick").await;
    browser.click("[data-bulk]").await;
    see("the question about many").await;
    app.hallpass.revoke(&long.token.id, RevocationReason::Leaked).await.unwrap();
    browser.go(&app.tokens(&own)).await;
    see("a revoked token").await;
    browser.go(&app.tokens("/nowhere")).await;
    see("no page").await;
    browser.go(&app.url("/as/root")).await;
    browser.go(&app.tokens("/admin?show=all")).await;
    see("everybody's tokens").await;
    browser.go(&app.tokens(&format!("/admin{own}"))).await;
    see("somebody's token").await;
    browser.go(&app.tokens("/admin")).await;
    browser.fill("#whose", "nobody's").await;
    browser.click("form[action$=whose] .btn").await;
    see("nobody's token").await;
    browser.end().await;
}
