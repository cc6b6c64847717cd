//! The web console in a fresh axum app: a session, a password, and the console.
//!
//! `cargo run --example console --features console`, then open
//! <http://localhost:3000/settings/tokens>.
//! The app signs everybody in as alice; her password is `correct horse`.

use std::error::Error;

use axum::Router;
use axum::http::request::Parts;
use axum::routing::get;
use hallpass::console::Console;
use hallpass::host::{
    CallerResolver, Host, HostOutage, PasswordCheck, RememberedConfirmation, SignedIn,
};
use hallpass::{Hallpass, MemoryStore, Owner, ScopeCatalog, ScopeDefinition, async_trait};

/// Looks the session up that the app's own cookie names. This app has just one.
#[derive(Debug)]
struct Sessions;

#[async_trait]
impl CallerResolver for Sessions {
    async fn signed_in(&self, _head: &Parts) -> Result<Option<SignedIn>, HostOutage> {
        let alice = Owner::parse("alice").map_err(HostOutage::new)?;
        Ok(Some(SignedIn::new(alice, "the session's secret id")))
    }
}

/// Checks the password of whoever is signed in. A real app asks its own accounts.
#[derive(Debug)]
struct Passwords;

#[async_trait]
impl PasswordCheck for Passwords {
    async fn is_right(&self, _who: &SignedIn, password: &str) -> Result<bool, HostOutage> {
        Ok(password == "correct horse")
    }
}

fn app(hallpass: Hallpass) -> Result<Router, Box<dyn Error>> {
    let host = Host::builder(hallpass, "http://localhost:3000", Sessions)
        .confirmation(RememberedConfirmation::new(Passwords))
        .build()?;
    let console = Console::builder(host).title("Acme").mounted_at("/settings/tokens").build()?;
    Ok(Router::new().route("/", get(async || "Acme\n")).merge(console.router()))
}

fn hallpass() -> Result<Hallpass, Box<dyn Error>> {
    let read = ScopeDefinition::new("notes:read").title("Read notes");
    let write = ScopeDefinition::new("notes:write").title("Write notes").implies(["notes:read"]);
    let catalog = ScopeCatalog::builder().scope(read).scope(write).build()?;
    Ok(Hallpass::builder(MemoryStore::new()).brand("acme").catalog(catalog).build()?)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let app = app(hallpass()?)?;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
    println!("open http://localhost:3000/settings/tokens");
    axum::serve(listener, app).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use axum::body::{Body, to_bytes};
    use http::Request;
    use http::header::CONTENT_TYPE;
    use tower::ServiceExt as _;

    use super::*;

    async fn ask(app: &Router, body: Option<&str>) -> (u16, String) {
        let request = match body {
            None => Request::get("/settings/tokens").body(Body::empty()),
            Some(body) => Request::post("/settings/tokens/new")
                .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
                .header("sec-fetch-site", "same-origin")
                .body(Body::from(body.to_owned())),
        };
        let response = app.clone().oneshot(request.unwrap()).await.unwrap();
        let status = response.status().as_u16();
        let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn a_token_is_made_after_the_password_is_given() {
        let hallpass = hallpass().unwrap();
        let app = app(hallpass.clone()).unwrap();
        let (status, page) = ask(&app, None).await;
        assert!(status == 200 && page.contains("No tokens yet"));
        let form = "name=ci&scope=notes:read&expiry=30&key=k";
        let (status, page) = ask(&app, Some(form)).await;
        assert!(status == 403 && page.contains("Confirm it is you"));
        let (status, _) = ask(&app, Some(&format!("{form}&password=battery+staple"))).await;
        assert_eq!(status, 403);
        let (status, page) = ask(&app, Some(&format!("{form}&password=correct+horse"))).await;
        assert!(status == 201 && page.contains("acme_pat_"));
        let (_, page) = ask(&app, None).await;
        assert!(page.contains(">ci<"));
    }
}
