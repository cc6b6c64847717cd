//! Presenting tokens, and the short-lived ones they are exchanged for.

use std::sync::atomic::Ordering;

use chrono::TimeDelta;
use hallpass::RevocationReason;
use hallpass::client::{Client, ClientError, Presentation, TokenExchange};
use serde_json::{Value, json};

use crate::server::{App, credential};

async fn whoami(client: &Client) -> Result<Value, ClientError> {
    client.get("/whoami").send().await?.json()
}

#[tokio::test]
async fn a_server_finds_the_token_wherever_it_is_presented() {
    let app = App::start().await;
    let issued = app.issue("ci").await;
    for presentation in [
        Presentation::bearer(),
        Presentation::scheme("token").unwrap(),
        Presentation::basic_password("git").unwrap(),
        Presentation::basic_user(),
        Presentation::header("PRIVATE-TOKEN").unwrap(),
        Presentation::danger_query("session").unwrap(),
    ] {
        let place = format!("{presentation:?}");
        let client = app.client().token_as(credential(&issued), presentation).build().unwrap();
        let told = whoami(&client).await.unwrap();
        assert_eq!(told, json!({"owner": "alice", "kind": "other"}), "{place}");
    }
    let nobody = app.client().build().unwrap();
    let refused = whoami(&nobody).await.unwrap_err();
    assert_eq!(refused.refusal().unwrap().status, 401);
    assert_eq!(refused.refusal().unwrap().code.as_deref(), Some("credential-required"));
}

#[tokio::test]
async fn an_exchanged_token_is_presented_and_renewed_before_it_ends() {
    let app = App::start().await;
    let issued = app.issue("ci").await;
    let client = app.exchanging(&issued);
    for _ in 0..3 {
        let told = whoami(&client).await.unwrap();
        assert_eq!(told, json!({"owner": "alice", "kind": "access"}));
    }
    assert_eq!(app.exchanges.asked(), 1);
    // A quarter of an hour, less a minute.
    app.clock.advance(TimeDelta::seconds(839));
    whoami(&client).await.unwrap();
    assert_eq!(app.exchanges.asked(), 1);
    app.clock.advance(TimeDelta::seconds(1));
    whoami(&client).await.unwrap();
    assert_eq!(app.exchanges.asked(), 2);
    // Its new end is counted from the renewal.
    app.clock.advance(TimeDelta::seconds(800));
    whoami(&client).await.unwrap();
    assert_eq!(app.exchanges.asked(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_tasks_are_one_exchange() {
    let app = App::start().await;
    let issued = app.issue("ci").await;
    let client = app.exchanging(&issued);
    for round in 1..=3 {
        let tasks: Vec<_> = (0..64)
            .map(|_| {
                let client = client.clone();
                tokio::spawn(async move { client.token().await.unwrap().expose().to_owned() })
            })
            .collect();
        let mut tokens = Vec::new();
        for task in tasks {
            tokens.push(task.await.unwrap());
        }
        tokens.sort();
        tokens.dedup();
        assert_eq!(tokens.len(), 1);
        assert_eq!(app.exchanges.asked(), round);
        // Past its end, so that everybody needs the next one.
        app.clock.advance(TimeDelta::hours(1));
    }
}

#[tokio::test]
async fn the_token_endpoint_may_be_down_while_the_token_is_good() {
    let app = App::start().await;
    let issued = app.issue("ci").await;
    let client = app.exchanging(&issued);
    whoami(&client).await.unwrap();
    app.exchanges.is_down.store(true, Ordering::SeqCst);
    app.clock.advance(TimeDelta::seconds(870));
    for _ in 0..5 {
        whoami(&client).await.unwrap();
    }
    // The first request tried, and the others did not.
    assert_eq!(app.exchanges.asked(), 2);
    app.clock.advance(TimeDelta::seconds(30));
    let outage = whoami(&client).await.unwrap_err();
    assert_eq!(outage.to_string(), "Service Unavailable (503)");
    app.exchanges.is_down.store(false, Ordering::SeqCst);
    whoami(&client).await.unwrap();
}

#[tokio::test]
async fn a_short_lived_token_that_is_refused_is_renewed_once() {
    let app = App::start().await;
    let issued = app.issue("ci").await;
    let client = app.exchanging(&issued);
    let first = client.token().await.unwrap();
    let id = first.expose().split('_').nth(2).unwrap().parse().unwrap();
    app.hallpass.revoke(&id, RevocationReason::Requested).await.unwrap();
    whoami(&client).await.unwrap();
    assert_eq!(app.exchanges.asked(), 2);

    // With the long-lived token itself gone, the refusal is that of the server, and a while after
    // the last one that of the token endpoint.
    app.hallpass.revoke(&issued.token.id, RevocationReason::Leaked).await.unwrap();
    let refused = whoami(&client).await.unwrap_err();
    assert_eq!(refused.refusal().unwrap().status, 401);
    assert_eq!(app.exchanges.asked(), 2);
    app.clock.advance(TimeDelta::seconds(5));
    let refused = whoami(&client).await.unwrap_err();
    let refused = refused.refusal().unwrap();
    assert_eq!(refused.to_string(), "The subject token is invalid (400 invalid_request)");
    assert_eq!(app.exchanges.asked(), 3);
}

#[tokio::test]
async fn more_than_the_token_grants_is_refused() {
    let app = App::start().await;
    let issued = app.issue("ci").await;
    let exchange = |exchange| {
        let client = app.client().token(credential(&issued)).exchanged(exchange);
        client.build().unwrap()
    };
    assert!(whoami(&exchange(TokenExchange::new().scope("notes:read"))).await.is_ok());
    for (wider, code) in [
        (TokenExchange::new().scope("notes:write"), "invalid_scope"),
        (TokenExchange::new().audience("elsewhere"), "invalid_target"),
        (TokenExchange::new().resource("https://elsewhere.example"), "invalid_target"),
        (TokenExchange::new().jwt(), "invalid_request"),
    ] {
        let refused = whoami(&exchange(wider)).await.unwrap_err();
        assert_eq!(refused.refusal().unwrap().code.as_deref(), Some(code));
    }
}
