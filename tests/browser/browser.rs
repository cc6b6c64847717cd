//! Chromium and its driver.

use std::future::Future;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;

use fantoccini::wd::WebDriverCompatibleCommand;
use fantoccini::{Client, ClientBuilder, Locator};
use http::Method;
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use tempfile::TempDir;
use url::{ParseError, Url};

use crate::DRIVER;

/// A test: a future that is made when the test runs.
pub(crate) type Case = fn() -> Pin<Box<dyn Future<Output = ()>>>;

/// A running `chromedriver`.
pub(crate) struct Driver {
    url: String,
    process: Mutex<Child>,
}

impl Driver {
    /// What is not installed, if anything.
    pub(crate) fn missing() -> Option<&'static str> {
        if chromium().is_none() {
            return Some("chromium");
        }
        found("chromedriver").is_none().then_some("chromedriver")
    }

    /// Starts the driver on a port of its choice.
    pub(crate) fn start() -> Self {
        let mut command = Command::new(found("chromedriver").unwrap());
        command.arg("--port=0").stdout(Stdio::piped()).stderr(Stdio::null());
        let mut process = command.spawn().unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let said = "was started successfully on port ";
        let port = lines.find_map(|line| {
            let line = line.unwrap();
            line.split_once(said).map(|(_, port)| port.trim_end_matches('.').to_owned())
        });
        let url = format!("http://127.0.0.1:{}", port.expect("the driver does not tell its port"));
        Self { url, process: Mutex::new(process) }
    }

    pub(crate) fn stop(&self) {
        let mut process = self.process.lock().unwrap();
        process.kill().unwrap();
        process.wait().unwrap();
    }
}

fn chromium() -> Option<PathBuf> {
    ["chromium", "chromium-browser", "google-chrome"].into_iter().find_map(found)
}

/// Where a program is, as the shell would find it.
pub(crate) fn found(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(|file| file.is_file())
}

/// What a browser of a test is like.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Look {
    pub(crate) script: bool,
    pub(crate) dark: bool,
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) scale: f64,
}

impl Default for Look {
    fn default() -> Self {
        Self { script: true, dark: false, width: 1280, height: 900, scale: 1.0 }
    }
}

/// A browser with one tab. Nothing of it is left when it is closed.
pub(crate) struct Browser {
    pub(crate) client: Client,
    pub(crate) downloads: TempDir,
    look: Look,
    _profile: TempDir,
}

impl Browser {
    pub(crate) async fn start(look: Look) -> Self {
        let profile = tempfile::tempdir().unwrap();
        let downloads = tempfile::tempdir().unwrap();
        let arguments = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--disable-dev-shm-usage",
            &format!("--user-data-dir={}", profile.path().display()),
        ];
        let capabilities = json!({
            "goog:chromeOptions": { "binary": chromium().unwrap(), "args": arguments },
            "goog:loggingPrefs": { "browser": "ALL" },
            "unhandledPromptBehavior": "ignore",
        });
        let Value::Object(capabilities) = capabilities else { unreachable!() };
        let client = ClientBuilder::new(HttpConnector::new())
            .capabilities(capabilities.into_iter().collect())
            .connect(&DRIVER.url)
            .await
            .unwrap();
        let browser = Self { client, downloads, look, _profile: profile };
        browser.dress().await;
        browser
    }

    /// Makes the present tab look as it should.
    pub(crate) async fn dress(&self) {
        let Look { script, dark, width, height, scale } = self.look;
        let scheme = if dark { "dark" } else { "light" };
        let folder = self.downloads.path();
        for (command, parameters) in [
            (
                "Emulation.setDeviceMetricsOverride",
                json!({
                    "width": width, "height": height, "deviceScaleFactor": scale,
                    "mobile": width < 600,
                }),
            ),
            (
                "Emulation.setEmulatedMedia",
                json!({ "features": [
                    { "name": "prefers-color-scheme", "value": scheme },
                    { "name": "prefers-reduced-motion", "value": "reduce" },
                ] }),
            ),
            ("Emulation.setScriptExecutionDisabled", json!({ "value": !script })),
            (
                "Browser.setDownloadBehavior",
                json!({ "behavior": "allow", "downloadPath": folder, "eventsEnabled": false }),
            ),
        ] {
            self.devtools(command, parameters).await;
        }
    }

    pub(crate) async fn go(&self, url: &str) {
        self.client.goto(url).await.unwrap();
    }

    pub(crate) async fn url(&self) -> String {
        self.client.current_url().await.unwrap().to_string()
    }

    #[track_caller]
    pub(crate) fn click<'a>(&'a self, css: &'a str) -> impl Future<Output = ()> + 'a {
        async move {
            let found = self.client.find(Locator::Css(css)).await;
            found.unwrap_or_else(|error| panic!("{css}: {error}")).click().await.unwrap();
        }
    }

    /// Puts a text into a field in place of what is there.
    pub(crate) async fn fill(&self, css: &str, text: &str) {
        let field = self.client.find(Locator::Css(css)).await;
        let field = field.unwrap_or_else(|error| panic!("{css}: {error}"));
        field.clear().await.unwrap();
        field.send_keys(text).await.unwrap();
    }

    /// Presses keys where the focus is.
    pub(crate) async fn press(&self, keys: &str) {
        self.client.active_element().await.unwrap().send_keys(keys).await.unwrap();
    }

    /// The visible text of an element.
    pub(crate) async fn text(&self, css: &str) -> String {
        let found = self.client.find(Locator::Css(css)).await;
        found.unwrap_or_else(|error| panic!("{css}: {error}")).text().await.unwrap()
    }

    /// The visible texts of all such elements.
    pub(crate) async fn texts(&self, css: &str) -> Vec<String> {
        let mut texts = Vec::new();
        for element in self.client.find_all(Locator::Css(css)).await.unwrap() {
            texts.push(element.text().await.unwrap());
        }
        texts
    }

    pub(crate) async fn has(&self, css: &str) -> bool {
        !self.client.find_all(Locator::Css(css)).await.unwrap().is_empty()
    }

    pub(crate) async fn source(&self) -> String {
        self.client.source().await.unwrap()
    }

    /// What a script returns.
    pub(crate) async fn run(&self, script: &str) -> Value {
        self.client.execute(script, Vec::new()).await.unwrap()
    }

    /// A command of Chromium's own.
    pub(crate) async fn devtools(&self, command: &str, parameters: Value) -> Value {
        let body = json!({ "cmd": command, "params": parameters });
        let command = Own { path: "goog/cdp/execute", body };
        self.client.issue_cmd(command).await.unwrap()
    }

    /// What Chromium complained of since it was asked last: violations of the content security
    /// policy, errors of scripts, files that could not be loaded. That a page answered with an
    /// error, which the test expects, is no complaint.
    pub(crate) async fn complaints(&self) -> Vec<String> {
        let command = Own { path: "se/log", body: json!({ "type": "browser" }) };
        let log = self.client.issue_cmd(command).await.unwrap();
        let lines = log.as_array().unwrap().iter().map(|line| line["message"].to_string());
        lines.filter(|line| !line.contains("the server responded with a status of 4")).collect()
    }

    /// The one file that was saved, once it is there.
    pub(crate) async fn saved(&self) -> (String, String) {
        for _ in 0..1000 {
            let files = std::fs::read_dir(self.downloads.path()).unwrap();
            let mut files = files.map(|file| file.unwrap().path());
            let whole = |file: &PathBuf| file.extension().is_some_and(|kind| kind == "txt");
            if let Some(file) = files.find(whole) {
                return (name(&file), std::fs::read_to_string(&file).unwrap());
            }
            // Asking the browser something gives it the time to save.
            self.url().await;
        }
        panic!("nothing was saved");
    }

    pub(crate) async fn end(self) {
        let complaints = self.complaints().await;
        self.client.close().await.unwrap();
        assert!(complaints.is_empty(), "{complaints:#?}");
    }
}

fn name(file: &Path) -> String {
    file.file_name().unwrap().to_str().unwrap().to_owned()
}

/// A command that only Chromium's driver has.
#[derive(Debug)]
struct Own {
    path: &'static str,
    body: Value,
}

impl WebDriverCompatibleCommand for Own {
    fn endpoint(&self, base: &Url, session: Option<&str>) -> Result<Url, ParseError> {
        base.join(&format!("session/{}/{}", session.unwrap_or_default(), self.path))
    }

    fn method_and_body(&self, _: &Url) -> (Method, Option<String>) {
        (Method::POST, Some(self.body.to_string()))
    }
}
