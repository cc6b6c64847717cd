//! The typed client of the management API, on the API itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::{Method, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::IntoResponse;
use axum::routing::any;
use hallpass::client::{Client, ClientError, Management};
use hallpass::wire::{Check, Edit, Filter, ListQuery, NewToken, Revoke, Rotate, SecretMatch, Sort};
use hallpass::{Context, Status, SystemClock};

use crate::server::{App, PASSWORD, api, credential, engine, serve};

fn as_user(address: &str, session: &str) -> Management {
    let client = Client::builder(address).session_cookie("session", session).unwrap();
    client.build().unwrap().management("/api/pat/")
}

fn token(name: &str) -> NewToken {
    let scopes = Some(vec!["notes:read".to_owned()]);
    NewToken { name: name.to_owned(), scopes, ..NewToken::default() }
}

#[track_caller]
fn code(result: Result<impl std::fmt::Debug, ClientError>) -> String {
    let refusal = result.unwrap_err();
    refusal.refusal().unwrap().code.clone().unwrap()
}

#[tokio::test]
async fn tokens_are_managed_from_creation_to_revocation() {
    let app = App::start().await;
    let tokens = as_user(&app.address, "alice.1");
    let session = tokens.session().await.unwrap();
    assert_eq!((session.owner.as_str(), session.confirmed_until), ("alice", None));
    assert_eq!(tokens.scopes().await.unwrap().presets[0].name, "Everything");
    assert_eq!(tokens.policy().await.unwrap().brand, "acme");

    assert_eq!(code(tokens.create(&token("ci")).await), "confirmation-required");
    assert_eq!(code(tokens.confirm("wrong").await), "wrong-secret");
    tokens.confirm(PASSWORD).await.unwrap();
    let made = tokens.create(&token("ci")).await.unwrap();
    let (id, secret) = (made.token.id, made.secret.unwrap());
    assert!(app.hallpass.verify(secret.expose(), &Context::default()).await.is_ok());
    assert_eq!(code(tokens.create(&token("ci")).await), "name-taken");

    let edit = Edit { name: Some("nightly".to_owned()), ..Edit::default() };
    let edited = tokens.edit(&id, made.token.version, &edit).await.unwrap();
    assert_eq!((edited.name.as_str(), edited.version), ("nightly", made.token.version + 1));
    assert_eq!(code(tokens.edit(&id, made.token.version, &edit).await), "precondition-failed");

    let rotate = Rotate { overlap_seconds: Some(0), ..Rotate::default() };
    let rotated = tokens.rotate(&id, edited.version, &rotate).await.unwrap();
    let new = rotated.secret.unwrap();
    assert!(app.hallpass.verify(secret.expose(), &Context::default()).await.is_err());
    assert!(app.hallpass.verify(new.expose(), &Context::default()).await.is_ok());

    assert_eq!(tokens.suspend(&id).await.unwrap().status, Status::Suspended);
    assert!(app.hallpass.verify(new.expose(), &Context::default()).await.is_err());
    assert_eq!(tokens.resume(&id).await.unwrap().status, Status::Active);
    tokens.revoke(&id).await.unwrap();
    assert_eq!(tokens.read(&id).await.unwrap().status, Status::Revoked);
    assert!(app.hallpass.verify(new.expose(), &Context::default()).await.is_err());

    // Others see nothing of it.
    let bob = as_user(&app.address, "bob.1");
    assert_eq!(code(bob.read(&id).await), "not-found");
    let nobody = Client::builder(&app.address).build().unwrap().management("/api/pat");
    assert_eq!(code(nobody.list(&ListQuery::default()).await), "sign-in-required");
}

#[tokio::test]
async fn lists_are_read_to_their_end_and_filtered() {
    let app = App::start().await;
    for number in 0..30 {
        app.issue(&format!("token {number:02}")).await;
    }
    let tokens = as_user(&app.address, "alice.1");
    let query =
        ListQuery { sort: Some((Sort::Name, false)), limit: Some(7), ..ListQuery::default() };
    assert_eq!(tokens.list(&query).await.unwrap().tokens.len(), 7);
    let all = tokens.list_all(&query).await.unwrap();
    let names: Vec<&str> = all.iter().map(|token| token.name.as_str()).collect();
    let expected: Vec<String> = (0..30).map(|number| format!("token {number:02}")).collect();
    assert_eq!(names, expected);
    let filter = Filter { q: Some("N 07".to_owned()), ..Filter::default() };
    let found = tokens.list_all(&ListQuery { filter, ..ListQuery::default() }).await.unwrap();
    assert_eq!(found.len(), 1);

    tokens.confirm(PASSWORD).await.unwrap();
    let ids = Some(all.iter().take(2).map(|token| token.id).collect());
    let revoked = tokens.revoke_many(&Revoke { ids, ..Revoke::default() }).await.unwrap();
    assert_eq!(revoked.revoked.len(), 2);
    assert_eq!(tokens.list_all(&ListQuery::default()).await.unwrap().len(), 28);
}

#[tokio::test]
async fn administrators_look_after_everybody() {
    let app = App::start().await;
    let issued = app.issue("ci").await;
    let alice = as_user(&app.address, "alice.1").as_administrator();
    assert_eq!(code(alice.list(&ListQuery::default()).await), "administrator-required");
    let root = as_user(&app.address, "root.1").as_administrator();
    let filter = Filter { owner: Some("alice".to_owned()), ..Filter::default() };
    let found = root.list_all(&ListQuery { filter, ..ListQuery::default() }).await.unwrap();
    assert_eq!((found.len(), found[0].id), (1, issued.token.id));
    let whose = root.look_up(issued.plain.expose()).await.unwrap();
    assert_eq!((whose.token.owner.as_str(), whose.secret), ("alice", Some(SecretMatch::Current)));
    assert_eq!(code(root.look_up("0000000000000001").await), "not-found");
    root.suspend(&issued.token.id).await.unwrap();
    root.confirm(PASSWORD).await.unwrap();
    root.revoke(&issued.token.id).await.unwrap();
    assert_eq!(root.read(&issued.token.id).await.unwrap().status, Status::Revoked);
}

#[tokio::test]
async fn a_token_reaches_itself() {
    let app = App::start().await;
    let issued = app.issue("ci").await;
    let client = app.client().token(credential(&issued)).build().unwrap();
    let own = client.management("/api/pat");
    assert_eq!(own.own().await.unwrap().owner, "alice");
    let check = Check { scopes: Some(vec!["notes:write".to_owned()]), ..Check::default() };
    assert_eq!(own.check_own(&check).await.unwrap().missing_scopes, ["notes:write"]);
    assert_eq!(code(own.list(&ListQuery::default()).await), "token-not-accepted");
    let rotated = own.rotate_own(&Rotate::default()).await.unwrap().secret.unwrap();
    assert!(app.hallpass.verify(rotated.expose(), &Context::default()).await.is_ok());
    let renewed = hallpass::client::Credential::from_text(rotated.expose()).unwrap();
    let own = app.client().token(renewed).build().unwrap().management("/api/pat");
    own.revoke_own().await.unwrap();
    assert_eq!(own.own().await.unwrap_err().refusal().unwrap().status, 401);
}

#[tokio::test]
async fn a_csrf_token_that_is_no_longer_good_is_fetched_again() {
    let hallpass = engine(SystemClock);
    // The server is started anew with another key in between.
    let apis = [api(&hallpass, [1; 32]), api(&hallpass, [2; 32])];
    let age = Arc::new(AtomicUsize::new(0));
    let now = age.clone();
    let respond = any(async move |request: Request| {
        let (head, body) = request.into_parts();
        let body = to_bytes(body, 1 << 16).await.unwrap();
        apis[now.load(Ordering::SeqCst)].respond(head, &body, None).await.map(Body::from)
    });
    let address = serve(Router::new().fallback_service(respond)).await;
    let tokens = as_user(&address, "alice.1");
    tokens.confirm(PASSWORD).await.unwrap();
    let made = tokens.create(&token("ci")).await.unwrap();
    age.store(1, Ordering::SeqCst);
    tokens.suspend(&made.token.id).await.unwrap();
    // And there it is confirmed anew.
    assert_eq!(code(tokens.create(&token("other")).await), "confirmation-required");
}

#[tokio::test]
async fn a_token_is_made_once_however_often_a_busy_server_is_asked() {
    for is_reply_lost in [false, true] {
        let hallpass = engine(SystemClock);
        let asked = Arc::new(AtomicUsize::new(0));
        let count = asked.clone();
        let busy = middleware::from_fn(move |request: Request, next: Next| {
            let is_first = request.method() == Method::POST
                && request.uri().path().ends_with("/tokens")
                && count.fetch_add(1, Ordering::SeqCst) == 0;
            async move {
                if !is_first {
                    return next.run(request).await;
                }
                if is_reply_lost {
                    next.run(request).await;
                }
                (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, "0")]).into_response()
            }
        });
        let router = api(&hallpass, [1; 32]).into_router().layer(busy);
        let tokens = as_user(&serve(router).await, "alice.1");
        tokens.confirm(PASSWORD).await.unwrap();
        let made = tokens.create(&token("ci")).await.unwrap();
        assert_eq!(asked.load(Ordering::SeqCst), 2);
        // A secret that was shown to nobody is gone.
        assert_eq!(made.secret.is_none(), is_reply_lost);
        assert_eq!(tokens.list_all(&ListQuery::default()).await.unwrap().len(), 1);
    }
}

#[test]
fn cookies_that_cannot_be_are_refused() {
    let builder = || Client::builder("https://acme.example");
    assert!(builder().session_cookie("__Host-session", "8f3a==").is_ok());
    for (name, value) in
        [("", "x"), ("a b", "x"), ("a;", "x"), ("a", ""), ("a", "x;y"), ("a", "x\r\n")]
    {
        assert!(builder().session_cookie(name, value).is_err(), "{name:?}={value:?}");
    }
}
