//! The boundary in front of a server that the crate does not know: hyper, bare. `App::answer` is
//! the whole adapter; `docs/WRITING-A-MIDDLEWARE.md` explains it.
//! `cargo run --example custom_middleware --features http`.

use std::collections::HashMap;
use std::convert::Infallible;
use std::error::Error;
use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use hallpass::credential::{CompiledRequirement, Rejection, RequirementError};
use hallpass::{
    Boundary, Forbidden, Hallpass, Issue, MemoryStore, Requirement, ScopeCatalog, Verified,
};
use http::request::Parts;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

type Handler = fn(&Parts, &Verified) -> Result<String, Forbidden>;

/// Routes by path, none without a requirement.
struct App {
    boundary: Boundary,
    routes: HashMap<&'static str, (CompiledRequirement, Handler)>,
}

impl App {
    fn new(boundary: Boundary) -> Self {
        Self { boundary, routes: HashMap::new() }
    }

    /// Adds a route, or tells at start what is wrong with its requirement.
    fn route(
        mut self,
        path: &'static str,
        requirement: Requirement,
        handler: Handler,
    ) -> Result<Self, RequirementError> {
        self.routes.insert(path, (self.boundary.compile(requirement)?, handler));
        Ok(self)
    }

    async fn answer<B>(&self, request: Request<B>, peer: IpAddr) -> Response<Full<Bytes>> {
        // 1. The head as it came, and the requirement of its route, if it has one.
        let (mut head, _) = request.into_parts();
        let route = self.routes.get(head.uri.path());
        let requirement = route.map(|(requirement, _)| requirement);
        // 2. The boundary decides. Afterwards the head shows no token any more.
        let admitted = match self.boundary.admit(&mut head, requirement, Some(peer)).await {
            Ok(admitted) => admitted,
            Err(rejection) => return rejection.into_response().map(Full::new),
        };
        let (token, duties) = admitted.into_parts();
        // 3. The handler is given the token, and may ask it for more.
        let handled = route.map(|(_, handler)| handler(&head, &token));
        let mut response = match handled {
            Some(Ok(text)) => Response::new(Full::from(text)),
            Some(Err(forbidden)) => Rejection::from(forbidden).into_response().map(Full::new),
            None => status(StatusCode::NOT_FOUND),
        };
        // 4. Whatever the handler answered, no cache gives it to somebody else.
        duties.apply(response.headers_mut());
        response
    }
}

fn status(status: StatusCode) -> Response<Full<Bytes>> {
    let mut response = Response::default();
    *response.status_mut() = status;
    response
}

/// Serves until the runtime ends.
async fn serve(listener: TcpListener, app: App) -> Result<(), std::io::Error> {
    let app = Arc::new(app);
    loop {
        let (stream, peer) = listener.accept().await?;
        let app = Arc::clone(&app);
        let service = service_fn(move |request| {
            let app = Arc::clone(&app);
            async move { Ok::<_, Infallible>(app.answer(request, peer.ip()).await) }
        });
        let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                eprintln!("{peer}: {error}");
            }
        });
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let catalog = ScopeCatalog::of(["repo:read", "repo:write"])?;
    let hallpass = Hallpass::builder(MemoryStore::new()).brand("acme").catalog(catalog).build()?;
    let issue = Issue::new("ci").owner("alice").scopes(["repo:read"]);
    let token = hallpass.issue(issue).await?.plain;
    let app = App::new(Boundary::builder(hallpass).build()?).route(
        "/",
        Requirement::scope("repo:read"),
        |_, token| Ok(format!("hello {}\n", token.owner())),
    )?;
    let listener = TcpListener::bind("127.0.0.1:3002").await?;
    println!("curl http://127.0.0.1:3002/ -H 'Authorization: Bearer {}'", token.expose());
    Ok(serve(listener, app).await?)
}

#[cfg(test)]
#[cfg(feature = "conformance")]
mod tests {
    use hallpass::credential::conformance::Matrix;

    use super::*;

    /// What the matrix asks of every app.
    fn app(boundary: &Boundary) -> App {
        let handler: Handler = |head, token| {
            if head.uri.path() == Matrix::RESOURCE {
                token.on("org/secret")?;
            }
            Ok(format!("{} {}", token.owner(), head.uri))
        };
        let routes = Matrix::routes().into_iter();
        let guarded = routes.filter_map(|(path, requirement)| Some((path, requirement?)));
        guarded.fold(App::new(boundary.clone()), |app, (path, requirement)| {
            app.route(path, requirement, handler).unwrap()
        })
    }

    #[tokio::test]
    async fn this_adapter_answers_as_the_boundary_does() {
        let matrix = Matrix::new().await;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(serve(listener, app(matrix.boundary())));
        matrix.ask(address, matrix.cases()).await;
    }
}
