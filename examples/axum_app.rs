//! An axum app whose API takes personal access tokens, kept in SQLite:
//! `cargo run --example axum_app --features sqlite,axum`.

use std::error::Error;

use axum::Router;
use axum::routing::get;
use hallpass::axum::GuardedRouter;
use hallpass::{Boundary, Hallpass, Issue, Requirement, ScopeCatalog, SqliteStore, Verified};

fn engine(store: SqliteStore) -> Result<Hallpass, Box<dyn Error>> {
    let catalog = ScopeCatalog::of(["notes:read", "notes:write"])?;
    Ok(Hallpass::builder(store).brand("notes").catalog(catalog).build()?)
}

fn app(hallpass: Hallpass) -> Result<Router, Box<dyn Error>> {
    let boundary = Boundary::builder(hallpass).build()?;
    Ok(GuardedRouter::new(boundary)
        .route("/notes", Requirement::scope("notes:read"), get(list))
        .into_router()?)
}

async fn list(token: Verified) -> String {
    format!("notes of {}\n", token.owner())
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let hallpass = engine(SqliteStore::open("notes.sqlite")?)?;
    // In a real app a signed-in person does this; see `Hallpass::on_behalf_of`.
    let name = format!("started {}", hallpass.now());
    let issued = hallpass.issue(Issue::new(name).owner("alice").scopes(["notes:read"])).await?;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:3001").await?;
    let token = issued.plain.expose();
    println!("curl http://127.0.0.1:3001/notes -H 'Authorization: Bearer {token}'");
    axum::serve(listener, app(hallpass)?).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use http::Request;
    use tower::ServiceExt as _;

    use super::*;

    #[tokio::test]
    async fn a_token_with_the_scope_is_let_in_and_no_other() {
        let hallpass = engine(SqliteStore::open_in_memory().unwrap()).unwrap();
        let app = app(hallpass.clone()).unwrap();
        let ask = async |authorization: &str| {
            let request = Request::get("/notes").header("authorization", authorization);
            let request = request.body(Body::empty()).unwrap();
            app.clone().oneshot(request).await.unwrap().status().as_u16()
        };
        for (scope, status) in [("notes:read", 200), ("notes:write", 403)] {
            let issue = Issue::new(scope).owner("alice").scopes([scope]);
            let issued = hallpass.issue(issue).await.unwrap();
            assert_eq!(ask(&format!("Bearer {}", issued.plain.expose())).await, status);
        }
        assert_eq!(ask("Bearer nonsense").await, 401);
    }
}
