//! The boundary in front of a framework that the crate does not know: `tiny_http`, which blocks
//! and has request and response types of its own.
//! `cargo run --example custom_middleware --features http`.

use std::error::Error;
use std::io::Cursor;
use std::net::SocketAddr;

use hallpass::credential::{CompiledRequirement, Rejection};
use hallpass::{Boundary, Hallpass, Issue, MemoryStore, Requirement, ScopeCatalog, Verified};
use http::HeaderMap;
use tiny_http::{Header, Request, Response, Server};
use tokio::runtime::Runtime;

type Answer = Result<Response<Cursor<Vec<u8>>>, Box<dyn Error>>;

/// A handler behind the boundary.
struct Guarded {
    boundary: Boundary,
    requirement: CompiledRequirement,
    handler: fn(&Request, &Verified) -> String,
    runtime: Runtime,
}

impl Guarded {
    /// Lets the request in and answers it, or answers what the boundary says.
    fn answer(&self, request: &Request) -> Answer {
        let mut head = head_of(request)?;
        let peer = request.remote_addr().map(SocketAddr::ip);
        let admitted = self.boundary.admit(&mut head, Some(&self.requirement), peer);
        match self.runtime.block_on(admitted) {
            Err(rejection) => refusal(rejection),
            Ok(admitted) => {
                let (token, duties) = admitted.into_parts();
                let mut headers = HeaderMap::new();
                let text = (self.handler)(request, &token);
                duties.apply(&mut headers);
                with_headers(Response::from_string(text), &headers)
            }
        }
    }
}

/// A request as the boundary sees it: every header line, in order, none joined or dropped.
fn head_of(request: &Request) -> Result<http::request::Parts, Box<dyn Error>> {
    let mut head = http::Request::builder().method(request.method().as_str()).uri(request.url());
    for header in request.headers() {
        head = head.header(header.field.as_str().as_str(), header.value.as_str());
    }
    Ok(head.body(())?.into_parts().0)
}

fn refusal(rejection: Rejection) -> Answer {
    let (head, body) = rejection.into_parts();
    with_headers(Response::from_data(body).with_status_code(head.status.as_u16()), &head.headers)
}

fn with_headers(mut response: Response<Cursor<Vec<u8>>>, headers: &HeaderMap) -> Answer {
    for (name, value) in headers {
        let header = Header::from_bytes(name.as_str(), value.as_bytes());
        response.add_header(header.map_err(|()| "a header that tiny_http cannot write")?);
    }
    Ok(response)
}

fn guarded() -> Result<Guarded, Box<dyn Error>> {
    let catalog = ScopeCatalog::of(["repo:read", "repo:write"])?;
    let hallpass = Hallpass::builder(MemoryStore::new()).brand("acme").catalog(catalog).build()?;
    let boundary = Boundary::builder(hallpass).build()?;
    let requirement = boundary.compile(Requirement::scope("repo:read"))?;
    let handler = |_: &Request, token: &Verified| format!("hello {}\n", token.owner());
    Ok(Guarded { boundary, requirement, handler, runtime: Runtime::new()? })
}

fn serve(server: &Server, guarded: &Guarded) -> Result<(), Box<dyn Error>> {
    for request in server.incoming_requests() {
        // What the `http` crate cannot represent is a bad request.
        let response = guarded.answer(&request).unwrap_or_else(|_| bad_request());
        request.respond(response)?;
    }
    Ok(())
}

fn bad_request() -> Response<Cursor<Vec<u8>>> {
    Response::from_string("").with_status_code(400)
}

fn main() -> Result<(), Box<dyn Error>> {
    let guarded = guarded()?;
    let issue = Issue::new("ci").owner("alice").scopes(["repo:read"]);
    let issued = guarded.runtime.block_on(guarded.boundary.hallpass().issue(issue))?;
    let server = Server::http("127.0.0.1:3002").map_err(|error| error.to_string())?;
    let token = issued.plain.expose();
    println!("curl http://127.0.0.1:3002/ -H 'Authorization: Bearer {token}'");
    serve(&server, &guarded)
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpStream;
    use std::sync::Arc;

    use super::*;

    fn ask(address: SocketAddr, authorization: &[&str]) -> String {
        let mut stream = TcpStream::connect(address).unwrap();
        let lines: String =
            authorization.iter().map(|value| format!("Authorization: {value}\r\n")).collect();
        write!(stream, "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{lines}\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    #[test]
    fn the_boundary_decides_over_a_real_socket() {
        let server = Arc::new(Server::http("127.0.0.1:0").unwrap());
        let address = server.server_addr().to_ip().unwrap();
        let guarded = guarded().unwrap();
        let hallpass = guarded.boundary.hallpass();
        let issue = |scope| {
            let issue = Issue::new(scope).owner("alice").scopes([scope]);
            let issued = guarded.runtime.block_on(hallpass.issue(issue)).unwrap();
            format!("Bearer {}", issued.plain.expose())
        };
        let (reader, writer) = (issue("repo:read"), issue("repo:write"));

        std::thread::scope(|scope| {
            scope.spawn(|| serve(&server, &guarded).unwrap());
            let good = ask(address, &[&reader]);
            assert!(good.starts_with("HTTP/1.1 200") && good.ends_with("hello alice\n"), "{good}");
            assert!(
                good.contains("Cache-Control: private\r\n")
                    || good.contains("cache-control: private\r\n")
            );
            assert!(ask(address, &[&writer]).starts_with("HTTP/1.1 403"));
            assert!(ask(address, &["Bearer nonsense"]).starts_with("HTTP/1.1 401"));
            assert!(ask(address, &[&reader, &reader]).starts_with("HTTP/1.1 400"));
            let none = ask(address, &[]);
            assert!(none.starts_with("HTTP/1.1 401"), "{none}");
            assert!(none.to_lowercase().contains("www-authenticate: bearer realm=\"acme\"\r\n"));
            server.unblock();
        });
    }
}
