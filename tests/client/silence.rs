//! Nothing of a secret is in a log or in what is formatted.

use std::sync::Mutex;

use hallpass::client::{Client, Presentation, TokenExchange};

use crate::server::{App, PASSWORD, credential};

/// Everything that any library under the client logs.
struct Logged(Mutex<String>);

static LOGGED: Logged = Logged(Mutex::new(String::new()));

impl log::Log for Logged {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        let line = format!("{} {}\n", record.target(), record.args());
        self.0.lock().unwrap().push_str(&line);
    }

    fn flush(&self) {}
}

#[tokio::test]
async fn nothing_of_a_secret_is_logged_or_formatted() {
    log::set_logger(&LOGGED).unwrap();
    log::set_max_level(log::LevelFilter::Trace);
    let app = App::start().await;
    let issued = app.issue("ci").await;
    let mut formatted = String::new();
    for presentation in [
        Presentation::bearer(),
        Presentation::basic_user(),
        Presentation::header("private-token").unwrap(),
        Presentation::danger_query("session").unwrap(),
    ] {
        let builder = app.client().token_as(credential(&issued), presentation);
        formatted.push_str(&format!("{builder:?}"));
        let client = builder.build().unwrap();
        formatted.push_str(&format!("{client:?} {:?}", client.get("/whoami")));
        formatted.push_str(&format!("{:?}", client.get("/whoami").send().await.unwrap()));
        formatted.push_str(&format!("{:?}", client.post("/nothing").send().await.unwrap_err()));
    }
    let exchanging = app.exchanging(&issued);
    let short = exchanging.token().await.unwrap();
    formatted.push_str(&format!("{exchanging:?} {short:?} {:?}", TokenExchange::new()));
    exchanging.get("/whoami").send().await.unwrap();
    let session = Client::builder(&app.address).session_cookie("session", "alice.5ecret").unwrap();
    let tokens = session.build().unwrap().management("/api/pat");
    tokens.confirm(PASSWORD).await.unwrap();
    formatted.push_str(&format!("{tokens:?}"));
    let (bearer, brief) = (issued.plain.expose(), short.expose());
    let logged = LOGGED.0.lock().unwrap();
    assert!(logged.contains("reqwest"), "nothing is logged at all");
    for secret in [bearer, brief, &bearer[26..], &brief[25..], "5ecret"] {
        assert!(!formatted.contains(secret), "{formatted}");
        assert!(!logged.contains(secret), "{logged}");
    }
}
