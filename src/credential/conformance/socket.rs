//! A client that sends what it is given, and nothing else.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use bytes::Bytes;
use http::header::TRANSFER_ENCODING;
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode};

/// After how long an answer is missing.
const PATIENCE: Duration = Duration::from_secs(30);

/// Sends a request over a connection of its own, and reads the answer.
pub(super) fn exchange(address: SocketAddr, request: &Request<Bytes>) -> Response<Bytes> {
    let mut bytes = format!(
        "{} {} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n",
        request.method(),
        request.uri()
    )
    .into_bytes();
    if request.method() == Method::POST && !request.headers().contains_key(TRANSFER_ENCODING) {
        let length = format!("content-length: {}\r\n", request.body().len());
        bytes.extend_from_slice(length.as_bytes());
    }
    for (name, value) in request.headers() {
        bytes.extend_from_slice(name.as_str().as_bytes());
        bytes.extend_from_slice(b": ");
        bytes.extend_from_slice(value.as_bytes());
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(b"\r\n");
    bytes.extend_from_slice(request.body());

    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(&bytes).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    parse(&answer)
}

/// An answer that ends with the connection.
fn parse(answer: &[u8]) -> Response<Bytes> {
    let shown = || String::from_utf8_lossy(answer).into_owned();
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n");
    let end = end.unwrap_or_else(|| panic!("not an HTTP answer: {:?}", shown()));
    let (head, rest) = answer.split_at(end);
    let mut lines =
        head.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let status = lines.next().and_then(|line| line.split(|byte| *byte == b' ').nth(1));
    let status = status.and_then(|status| StatusCode::from_bytes(status).ok());
    let mut response = Response::new(Bytes::copy_from_slice(&rest[4..]));
    *response.status_mut() = status.unwrap_or_else(|| panic!("no status: {:?}", shown()));
    for line in lines {
        let colon = line.iter().position(|byte| *byte == b':').unwrap();
        let (name, value) = line.split_at(colon);
        response.headers_mut().append(
            HeaderName::from_bytes(name).unwrap(),
            HeaderValue::from_bytes(value[1..].trim_ascii()).unwrap(),
        );
    }
    assert!(!response.headers().contains_key("transfer-encoding"), "{:?}", shown());
    response
}
