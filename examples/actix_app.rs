//! An actix-web app whose API takes personal access tokens:
//! `cargo run --example actix_app --features actix`.

use std::error::Error;

use actix_web::{App, HttpServer, web};
use hallpass::actix::GuardedRoutes;
use hallpass::credential::Rejection;
use hallpass::{
    Boundary, Hallpass, Issue, MemoryStore, Requirement, Resources, ScopeCatalog, Verified,
};

fn engine() -> Result<Hallpass, Box<dyn Error>> {
    let catalog = ScopeCatalog::of(["notes:read", "notes:write"])?;
    Ok(Hallpass::builder(MemoryStore::new()).brand("notes").catalog(catalog).build()?)
}

/// The routes, put together before the server starts. Each worker takes a clone.
fn routes(hallpass: Hallpass) -> Result<GuardedRoutes, Box<dyn Error>> {
    Ok(GuardedRoutes::new(Boundary::builder(hallpass).build()?)
        .route("/notes", Requirement::scope("notes:read"), || web::get().to(list))
        .route("/notes/{name}", Requirement::scope("notes:write"), || web::put().to(write))
        .build()?)
}

async fn list(token: Verified) -> String {
    format!("notes of {}\n", token.owner())
}

/// A token may reach some notes and not others.
async fn write(token: Verified, name: web::Path<String>) -> Result<String, Rejection> {
    token.on(&format!("notes/{name}"))?;
    Ok(format!("{} wrote {name}\n", token.owner()))
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let hallpass = engine()?;
    // In a real app a signed-in person does this; see `Hallpass::on_behalf_of`.
    let issue = Issue::new("ci").owner("alice").scopes(["notes:read", "notes:write"]);
    let issued = hallpass.issue(issue.resources(Resources::All)).await?;
    let token = issued.plain.expose();
    println!("curl http://127.0.0.1:3003/notes -H 'Authorization: Bearer {token}'");
    let routes = routes(hallpass)?;
    let app = move || App::new().service(routes.clone());
    HttpServer::new(app).bind(("127.0.0.1", 3003))?.run().await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use actix_web::test::{TestRequest, call_service, init_service, read_body};

    use super::*;

    #[tokio::test]
    async fn a_token_is_let_in_where_its_scopes_and_resources_reach() {
        let hallpass = engine().unwrap();
        let app = init_service(App::new().service(routes(hallpass.clone()).unwrap())).await;
        let issue = async |scope: &str| {
            let issue = Issue::new(scope).owner("alice").scopes([scope]).on(["notes/shopping"]);
            format!("Bearer {}", hallpass.issue(issue).await.unwrap().plain.expose())
        };
        let (reader, writer) = (issue("notes:read").await, issue("notes:write").await);
        for (request, authorization, status) in [
            (TestRequest::get().uri("/notes"), &*reader, 200),
            (TestRequest::get().uri("/notes"), &writer, 403),
            (TestRequest::get().uri("/notes"), "Bearer nonsense", 401),
            (TestRequest::put().uri("/notes/shopping"), &writer, 200),
            (TestRequest::put().uri("/notes/diary"), &writer, 403),
            (TestRequest::put().uri("/notes/shopping"), &reader, 403),
        ] {
            let request = request.insert_header(("authorization", authorization)).to_request();
            let response = call_service(&app, request).await;
            assert_eq!(response.status(), status);
            let is_problem = response.headers().get("content-type").unwrap();
            assert_eq!(is_problem == "application/problem+json", status != 200);
            assert!(!read_body(response).await.is_empty());
        }
    }
}
