//! A Rocket app whose API takes personal access tokens:
//! `cargo run --example rocket_app --features rocket`.

use std::error::Error;

use hallpass::credential::Rejection;
use hallpass::rocket::GuardedRoutes;
use hallpass::{
    Boundary, Hallpass, Issue, MemoryStore, Requirement, Resources, ScopeCatalog, Verified,
};
use rocket::{Build, Config, Rocket, get, put, routes};

fn engine() -> Result<Hallpass, Box<dyn Error>> {
    let catalog = ScopeCatalog::of(["notes:read", "notes:write"])?;
    Ok(Hallpass::builder(MemoryStore::new()).brand("notes").catalog(catalog).build()?)
}

fn app(hallpass: Hallpass, config: Config) -> Result<Rocket<Build>, Box<dyn Error>> {
    let routes = GuardedRoutes::new(Boundary::builder(hallpass).build()?)
        .mount("/notes", Requirement::scope("notes:read"), routes![list])
        .mount("/notes", Requirement::scope("notes:write"), routes![write])
        .public("/", routes![health])
        .into_fairing()?;
    Ok(rocket::custom(config).attach(routes))
}

#[get("/")]
async fn list(token: Verified) -> String {
    format!("notes of {}\n", token.owner())
}

/// A token may reach some notes and not others.
#[put("/<name>")]
async fn write(token: Verified, name: &str) -> Result<String, Rejection> {
    token.on(&format!("notes/{name}"))?;
    Ok(format!("{} wrote {name}\n", token.owner()))
}

#[get("/health")]
fn health() -> &'static str {
    "fine\n"
}

#[rocket::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let hallpass = engine()?;
    // In a real app a signed-in person does this; see `Hallpass::on_behalf_of`.
    let issue = Issue::new("ci").owner("alice").scopes(["notes:read", "notes:write"]);
    let issued = hallpass.issue(issue.resources(Resources::All)).await?;
    let token = issued.plain.expose();
    println!("curl http://127.0.0.1:3004/notes -H 'Authorization: Bearer {token}'");
    let config = Config { port: 3004, ..Config::default() };
    let rocket = app(hallpass, config)?;
    rocket.launch().await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use rocket::config::LogLevel;
    use rocket::http::{Header, Method};
    use rocket::local::asynchronous::Client;

    use super::*;

    #[rocket::async_test]
    async fn a_token_is_let_in_where_its_scopes_and_resources_reach() {
        let hallpass = engine().unwrap();
        let config = Config { log_level: LogLevel::Off, ..Config::debug_default() };
        let app = app(hallpass.clone(), config).unwrap();
        let client = Client::untracked(app).await.unwrap();
        let issue = async |scope: &str| {
            let issue = Issue::new(scope).owner("alice").scopes([scope]).on(["notes/shopping"]);
            format!("Bearer {}", hallpass.issue(issue).await.unwrap().plain.expose())
        };
        let (reader, writer) = (issue("notes:read").await, issue("notes:write").await);
        for (method, path, authorization, status) in [
            (Method::Get, "/notes", &*reader, 200),
            (Method::Get, "/notes", &writer, 403),
            (Method::Get, "/notes", "Bearer nonsense", 401),
            (Method::Put, "/notes/shopping", &writer, 200),
            (Method::Put, "/notes/diary", &writer, 403),
            (Method::Put, "/notes/shopping", &reader, 403),
            (Method::Get, "/health", "Bearer nonsense", 200),
        ] {
            let header = Header::new("authorization", authorization.to_owned());
            let response = client.req(method, path).header(header).dispatch().await;
            assert_eq!(response.status().code, status, "{method} {path}");
        }
    }
}
