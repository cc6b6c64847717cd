//! The pictures of `docs/screenshots`.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use crate::app::App;
use crate::browser::{Browser, Look};

/// Takes them all anew.
pub(crate) async fn take() {
    let app = App::start().await;
    app.furnish().await;
    let light = Look { width: 1120, height: 700, ..Look::default() };
    let dark = Look { dark: true, ..light };
    let phone = Look { width: 390, height: 844, scale: 1.5, ..light };
    for (name, look) in [("list", light), ("list-dark", dark), ("list-phone", phone)] {
        let browser = Browser::start(look).await;
        browser.go(&app.url("/as/alice")).await;
        save(&browser, name).await;
        browser.end().await;
    }
    let browser = Browser::start(light).await;
    browser.go(&app.url("/as/alice")).await;
    browser.go(&app.tokens("/new")).await;
    browser.fill("#name", "preview deployments").await;
    browser.click("input[value=\"deploy:write\"]").await;
    browser.click("input[value=\"repo:read\"]").await;
    save(&browser, "create").await;
    browser.click(".form-end .btn-main").await;
    browser.fill("#password", "alice's").await;
    browser.click(".btn-main").await;
    save(&browser, "secret").await;
    browser.click("[data-leave]").await;
    browser.go(&app.url("/as/root")).await;
    browser.go(&app.tokens("/admin")).await;
    save(&browser, "admin").await;
    browser.end().await;
}

async fn save(browser: &Browser, name: &str) {
    let picture = json!({ "format": "png", "optimizeForSpeed": false });
    let taken = browser.devtools("Page.captureScreenshot", picture).await;
    let bytes = STANDARD.decode(taken["data"].as_str().unwrap()).unwrap();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/screenshots");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join(format!("{name}.png")), bytes).unwrap();
}
