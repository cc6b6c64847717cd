//! Servers that do not do what they should.

use std::io::{Read as _, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::{any, get};
use hallpass::client::{
    Client, ClientBuilder, ClientError, Credential, Presentation, TokenExchange,
};

use crate::server::serve;

const SECRET: &str = "acme_pat_ABCDEFGHIJKLMNOP_0123456789abcdefghijklmnopqrstuvwxyzABCDEFG4RAzs0";

fn client(address: &str) -> ClientBuilder {
    Client::builder(address).token(Credential::from_text(SECRET).unwrap())
}

/// Counts requests to any path and answers them so.
async fn counting<A, R>(answer: A) -> (String, Arc<AtomicUsize>)
where
    A: Fn(Request) -> R + Clone + Send + Sync + 'static,
    R: IntoResponse + 'static,
{
    let count = Arc::new(AtomicUsize::new(0));
    let counted = count.clone();
    let handler = any(async move |request: Request| {
        counted.fetch_add(1, Ordering::SeqCst);
        answer(request)
    });
    (serve(Router::new().fallback_service(handler)).await, count)
}

/// Nothing that people see of an error has the secret.
#[track_caller]
fn assert_silent(error: &ClientError) {
    let mut text = format!("{error:?} {error}");
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text.push_str(&format!(" {error:?} {error}"));
        cause = error.source();
    }
    assert!(!text.contains(SECRET) && !text.contains(&SECRET[9..]), "{text}");
}

#[tokio::test]
async fn no_redirect_is_followed_wherever_it_leads() {
    let (elsewhere, visits) = counting(|_| "caught").await;
    for status in [301, 302, 303, 307, 308] {
        let to = format!("{elsewhere}/path?session=x");
        let (address, asked) = counting(move |_| {
            (StatusCode::from_u16(status).unwrap(), [(header::LOCATION, to.clone())])
        })
        .await;
        let client = client(&address).build().unwrap();
        for request in [client.get("/a"), client.post("/a"), client.delete("/a")] {
            let error = request.send().await.unwrap_err();
            let said = format!(
                "{address} redirects to {elsewhere}; nothing was sent there, give that address if \
                 it is right"
            );
            assert_eq!(error.to_string(), said);
        }
        assert_eq!(asked.load(Ordering::SeqCst), 3);
    }
    assert_eq!(visits.load(Ordering::SeqCst), 0);

    let (address, asked) = counting(|_| (StatusCode::FOUND, [(header::LOCATION, "/b")])).await;
    let exchanging = client(&address).exchanged(TokenExchange::new()).build().unwrap();
    let error = exchanging.get("/a").send().await.unwrap_err();
    assert!(matches!(error, ClientError::Redirected { .. }), "{error}");
    assert_eq!(asked.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn an_answer_has_a_bound_whether_it_is_announced_or_not() {
    let announced = get(async || "x".repeat(1001));
    let streamed = get(async || {
        let chunks = (0..1001).map(|_| Ok::<_, std::io::Error>(Bytes::from_static(b"x")));
        Body::from_stream(futures_util::stream::iter(chunks))
    });
    let exact = get(async || "x".repeat(1000));
    let router = Router::new()
        .route("/announced", announced)
        .route("/streamed", streamed)
        .route("/exact", exact);
    let address = serve(router).await;
    let client = client(&address).max_answer(1000).build().unwrap();
    for path in ["/announced", "/streamed"] {
        let error = client.get(path).send().await.unwrap_err();
        assert_eq!(error.to_string(), format!("{address} answers with more than 1000 bytes"));
    }
    assert_eq!(client.get("/exact").send().await.unwrap().body().len(), 1000);
}

#[tokio::test]
async fn a_server_that_is_not_there_or_silent_is_named() {
    // Bound and never accepted from: connections are made and get no answer.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", silent.local_addr().unwrap());
    let error = client(&address).timeout(Duration::from_millis(100)).build().unwrap();
    let error = error.get("/a").send().await.unwrap_err();
    assert_eq!(error.to_string(), format!("{address} does not answer in time"));
    drop(silent);
    // One that begins to answer and stops.
    let stalls = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let stalled = format!("http://{}", stalls.local_addr().unwrap());
    let (hold, held) = std::sync::mpsc::channel::<()>();
    let server = std::thread::spawn(move || {
        let mut stream = stalls.accept().unwrap().0;
        // An answer that comes before its question is none.
        assert_ne!(stream.read(&mut [0; 1024]).unwrap(), 0);
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n12345").unwrap();
        let _ = held.recv();
    });
    let patient = client(&stalled).timeout(Duration::from_millis(100)).build().unwrap();
    let error = patient.get("/a").send().await.unwrap_err();
    assert_eq!(error.to_string(), format!("{stalled} does not answer in time"));
    drop(hold);
    server.join().unwrap();
    let error = client(&address).build().unwrap().get("/a").send().await.unwrap_err();
    assert_eq!(error.to_string(), format!("cannot reach {address}"));
    assert_silent(&error);
    let in_query = Presentation::danger_query("session").unwrap();
    let token = Credential::from_text(SECRET).unwrap();
    let client = Client::builder(&address).token_as(token, in_query).build().unwrap();
    assert_silent(&client.get("/a").send().await.unwrap_err());
}

#[tokio::test]
async fn a_busy_server_is_asked_again_only_what_can_be_repeated() {
    for status in [StatusCode::SERVICE_UNAVAILABLE, StatusCode::TOO_MANY_REQUESTS] {
        let (address, asked) = counting(move |_| (status, [(header::RETRY_AFTER, "0")])).await;
        let client = client(&address).build().unwrap();
        let count = async |request: hallpass::client::Request<'_>| {
            let error = request.send().await.unwrap_err();
            assert_eq!(error.refusal().unwrap().status, status.as_u16());
            asked.swap(0, Ordering::SeqCst)
        };
        assert_eq!(count(client.get("/a")).await, 3);
        assert_eq!(count(client.delete("/a")).await, 3);
        assert_eq!(count(client.post("/a")).await, 1);
        assert_eq!(count(client.post("/a").json(&1).idempotent()).await, 3);
    }
    let (address, asked) =
        counting(|_| (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, "11")])).await;
    // Longer than it waits: the caller learns how long.
    let error = client(&address).build().unwrap().get("/a").send().await.unwrap_err();
    assert_eq!(error.refusal().unwrap().retry_after, Some(Duration::from_secs(11)));
    assert_eq!(asked.load(Ordering::SeqCst), 1);
    for status in [400, 404, 500, 502] {
        let (address, asked) = counting(move |_| StatusCode::from_u16(status).unwrap()).await;
        client(&address).build().unwrap().get("/a").send().await.unwrap_err();
        assert_eq!(asked.load(Ordering::SeqCst), 1);
    }
}

#[tokio::test]
async fn a_server_that_echoes_the_secret_is_not_passed_on() {
    let echo = |request: Request| {
        let header = request.headers()[header::AUTHORIZATION].to_str().unwrap().to_owned();
        let problem =
            format!("{{\"title\":\"{header}\",\"detail\":\"no: {header}\",\"code\":\"{header}\"}}");
        (StatusCode::BAD_REQUEST, problem)
    };
    let (address, _) = counting(echo).await;
    let error = client(&address).build().unwrap().get("/a").send().await.unwrap_err();
    assert_eq!(error.to_string(), "no: Bearer [redacted] (400 Bearer [redacted])");
    assert_silent(&error);
    // Nor in the spelling that it was sent in.
    let basic = Presentation::basic_password("git").unwrap();
    let token = Credential::from_text(SECRET).unwrap();
    let user = Client::builder(&address).token_as(token, basic).build().unwrap();
    let person = Client::builder(&address).person("alice", "pa55word").build().unwrap();
    for client in [user, person] {
        let error = client.get("/a").send().await.unwrap_err();
        assert_eq!(error.to_string(), "no: Basic [redacted] (400 Basic [redacted])");
    }
    // An answer that is no JSON is not quoted.
    let (address, _) = counting(|_| format!("\"{SECRET}\"")).await;
    let answer = client(&address).build().unwrap().get("/a").send().await.unwrap();
    assert!(!format!("{answer:?}").contains(SECRET));
    let error = answer.json::<u8>().unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("{address} answers with something else than was asked for")
    );
    assert_silent(&error);
}

#[tokio::test]
async fn tokens_that_cannot_be_used_are_not_taken_for_tokens() {
    for body in [
        r#"{"access_token":"a b","token_type":"Bearer","expires_in":60}"#,
        r#"{"access_token":"","token_type":"Bearer","expires_in":60}"#,
        r#"{"access_token":"x","token_type":"DPoP","expires_in":60}"#,
        r#"{"access_token":"x","token_type":"Bearer","expires_in":0}"#,
        r#"{"access_token":"x","token_type":"Bearer","expires_in":-1}"#,
        r#"{"access_token":"x","token_type":"Bearer"}"#,
        r#"{"token_type":"Bearer","expires_in":60}"#,
        "<html>",
        "",
    ] {
        let (address, _) = counting(move |_| body).await;
        let client = client(&address).exchanged(TokenExchange::new()).build().unwrap();
        let error = client.get("/a").send().await.unwrap_err();
        assert!(matches!(error, ClientError::Unexpected { .. }), "{body}: {error}");
    }
}

#[tokio::test]
async fn paths_stay_below_the_address() {
    let path = |request: Request| request.uri().to_string();
    let (address, asked) = counting(path).await;
    let below = client(&format!("{address}/tools")).build().unwrap();
    let told = async |request: hallpass::client::Request<'_>| {
        String::from_utf8(request.send().await.unwrap().body().to_vec()).unwrap()
    };
    assert_eq!(told(below.get("/a/b?c=d")).await, "/tools/a/b?c=d");
    assert_eq!(told(below.get("//elsewhere.example/a")).await, "/tools/elsewhere.example/a");
    assert_eq!(
        told(below.get("http://elsewhere.example/")).await,
        "/tools/http://elsewhere.example/"
    );
    assert_eq!(
        told(below.get("pats").segment("a/b?c#d %é")).await,
        "/tools/pats/a%2Fb%3Fc%23d%20%25%C3%A9"
    );
    assert_eq!(told(below.get("pats/").query("q", "a&b")).await, "/tools/pats/?q=a%26b");
    asked.store(0, Ordering::SeqCst);
    for request in [
        below.get("../a"),
        below.get("/%2e%2e/a"),
        below.get("pats").segment(".."),
        below.get("pats").segment("."),
        below.get("pats").segment(""),
        below.get("a").header("x-note", "a\r\nb: c"),
    ] {
        let error = request.send().await.unwrap_err();
        assert!(matches!(error, ClientError::Request { .. }), "{error}");
    }
    assert_eq!(asked.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_person_comes_by_name_and_password() {
    let told = |request: Request| {
        let headers: &HeaderMap = request.headers();
        headers[header::AUTHORIZATION].to_str().unwrap().to_owned()
    };
    let (address, _) = counting(told).await;
    let client = Client::builder(&address).person("alice", "pä:55").build().unwrap();
    let answer = client.get("/a").send().await.unwrap();
    assert_eq!(answer.body(), &Bytes::from("Basic YWxpY2U6cMOkOjU1"));
}
