//! The OAuth endpoints in an axum app.

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use hallpass::credential::Peer;
use http::Request;
use http_body_util::BodyExt;
use std::net::SocketAddr;
use tower::ServiceExt;

use crate::oauth_support::{FORM, Server, b_with, form};
use crate::world::{ci, run};

fn send(server: &Server, request: Request<Body>) -> (u16, String) {
    let app: Router = Router::new().merge(hallpass::axum::oauth(server.oauth.clone()));
    run(async {
        let response = app.oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(body.to_vec()).unwrap())
    })
}

fn post(path: &str, body: impl Into<Body>) -> Request<Body> {
    Request::post(path).header("content-type", FORM).body(body.into()).unwrap()
}

#[test]
fn every_endpoint_is_where_the_metadata_says() {
    let server = Server::new();
    let subject = server.ok();
    let (status, body) = send(&server, post("/oauth/token", b_with(&subject, &[])));
    assert_eq!(status, 200, "{body}");
    let token = form(&[("token", subject.plain.expose())]);
    assert_eq!(send(&server, post("/oauth/introspect", token.clone())).0, 401);
    assert_eq!(send(&server, post("/oauth/revoke", token)), (200, String::new()));
    assert!(!server.world.accepts(&subject));
    let path = "/.well-known/oauth-authorization-server";
    let (status, body) = send(&server, Request::get(path).body(Body::empty()).unwrap());
    assert!(status == 200 && body.contains("https://acme.example/oauth/token"));
    for path in ["/oauth/token", "/oauth/introspect", "/oauth/revoke"] {
        assert_eq!(send(&server, Request::get(path).body(Body::empty()).unwrap()).0, 405);
        assert_eq!(send(&server, post(path, "x".repeat(17 * 1024))).0, 413);
    }
}

#[test]
fn a_subject_bound_to_a_network_is_exchanged_from_there() {
    let server = Server::new();
    let near = server.world.issue(ci("near").networks(["192.0.2.0/24".parse().unwrap()]));
    let ask = |request| send(&server, request).0;
    let request = || post("/oauth/token", b_with(&near, &[]));
    assert_eq!(ask(request()), 400);
    let mut from = request();
    from.extensions_mut().insert(Peer("192.0.2.7".parse().unwrap()));
    assert_eq!(ask(from), 200);
    let mut from = request();
    from.extensions_mut().insert(ConnectInfo(SocketAddr::from(([192, 0, 3, 7], 1))));
    assert_eq!(ask(from), 400);
}
