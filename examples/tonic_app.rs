//! A gRPC server whose methods take personal access tokens, and a call to it:
//! `cargo run --example tonic_app --features tonic`.
//!
//! The service is written by hand, so that the example needs no `protoc`; one that `tonic-build`
//! generated is added to the server in the same way.

use std::convert::Infallible;
use std::error::Error;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use hallpass::tonic::{GuardedMethods, MethodLayer, verified};
use hallpass::{Boundary, Hallpass, Issue, MemoryStore, Requirement, ScopeCatalog};
use tonic::body::Body;
use tonic::server::{Grpc, NamedService};
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Channel, Server};
use tonic::{Code, Request, Response, Status};
use tonic_prost::ProstCodec;
use tower::{Service, service_fn};

fn engine() -> Result<Hallpass, Box<dyn Error>> {
    let catalog = ScopeCatalog::of(["notes:read", "notes:write"])?;
    Ok(Hallpass::builder(MemoryStore::new()).brand("notes").catalog(catalog).build()?)
}

/// What each method asks for. A method that is not named here is refused.
fn guard(hallpass: Hallpass) -> Result<MethodLayer, Box<dyn Error>> {
    Ok(GuardedMethods::new(Boundary::builder(hallpass).build()?)
        .method("/notes.v1.Notes/Read", Requirement::scope("notes:read"))
        .method("/notes.v1.Notes/Write", Requirement::scope("notes:write"))
        .into_layer()?)
}

/// The handler: the name of a note in, its text out.
async fn read(request: Request<String>) -> Result<Response<String>, Status> {
    let token = verified(&request)?;
    token.on(&format!("notes/{}", request.get_ref()))?;
    Ok(Response::new(format!("{} of {}", request.get_ref(), token.owner())))
}

#[derive(Clone)]
struct Notes;

impl NamedService for Notes {
    const NAME: &'static str = "notes.v1.Notes";
}

impl Service<http::Request<Body>> for Notes {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let mut grpc = Grpc::new(ProstCodec::<String, String>::default());
        Box::pin(async move {
            Ok(match request.uri().path() {
                "/notes.v1.Notes/Read" => grpc.unary(service_fn(read), request).await,
                _ => Status::new(Code::Unimplemented, "no such method").into_http(),
            })
        })
    }
}

/// Calls `Read`, the way a generated client would.
async fn call(channel: &Channel, method: &str, note: &str, token: &str) -> Result<String, Status> {
    let mut client = tonic::client::Grpc::new(channel.clone());
    client.ready().await.map_err(|error| Status::unavailable(error.to_string()))?;
    let mut request = Request::new(note.to_owned());
    let value = format!("Bearer {token}").parse();
    let value = value.map_err(|_| Status::invalid_argument("the token is no header value"))?;
    request.metadata_mut().insert("authorization", value);
    let path = http::uri::PathAndQuery::try_from(method);
    let path = path.map_err(|_| Status::invalid_argument("the method is no path"))?;
    let codec = ProstCodec::<String, String>::default();
    client.unary(request, path, codec).await.map(Response::into_inner)
}

async fn serve(hallpass: Hallpass) -> Result<Channel, Box<dyn Error>> {
    let incoming = TcpIncoming::bind(SocketAddr::from(([127, 0, 0, 1], 0)))?;
    let address = incoming.local_addr()?;
    let server = Server::builder().layer(guard(hallpass)?).add_service(Notes);
    tokio::spawn(server.serve_with_incoming(incoming));
    Ok(Channel::from_shared(format!("http://{address}"))?.connect().await?)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let hallpass = engine()?;
    let channel = serve(hallpass.clone()).await?;
    let issue = Issue::new("ci").owner("alice").scopes(["notes:read"]).on(["notes/shopping"]);
    let issued = hallpass.issue(issue).await?;
    for (note, token) in [
        ("shopping", issued.plain.expose()),
        ("diary", issued.plain.expose()),
        ("shopping", "nonsense"),
    ] {
        println!("{note}: {:?}", call(&channel, "/notes.v1.Notes/Read", note, token).await);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use tonic_types::StatusExt as _;

    use super::*;

    #[tokio::test]
    async fn a_token_is_let_in_where_its_scopes_and_resources_reach() {
        let hallpass = engine().unwrap();
        let channel = serve(hallpass.clone()).await.unwrap();
        let issue = async |scope: &str| {
            let issue = Issue::new(scope).owner("alice").scopes([scope]).on(["notes/shopping"]);
            hallpass.issue(issue).await.unwrap().plain.expose().to_owned()
        };
        let (reader, writer) = (issue("notes:read").await, issue("notes:write").await);
        let good = call(&channel, "/notes.v1.Notes/Read", "shopping", &reader).await;
        assert_eq!(good.unwrap(), "shopping of alice");
        for (method, note, token, code, reason) in [
            ("Read", "diary", &*reader, Code::PermissionDenied, "INSUFFICIENT_RESOURCE"),
            ("Read", "shopping", &writer, Code::PermissionDenied, "INSUFFICIENT_SCOPE"),
            ("Read", "shopping", "nonsense", Code::Unauthenticated, "INVALID_TOKEN"),
            ("Delete", "shopping", &reader, Code::PermissionDenied, "NO_REQUIREMENT"),
        ] {
            let path = format!("/notes.v1.Notes/{method}");
            let refused = call(&channel, &path, note, token).await.unwrap_err();
            assert_eq!(refused.code(), code, "{method} {note}");
            assert_eq!(refused.get_error_details().error_info().unwrap().reason, reason);
        }
        let unwritten = call(&channel, "/notes.v1.Notes/Write", "shopping", &writer).await;
        assert_eq!(unwritten.unwrap_err().code(), Code::Unimplemented);
    }
}
