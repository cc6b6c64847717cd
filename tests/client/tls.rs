//! HTTPS with certificates that the client trusts, and with others.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::Arc;

use hallpass::client::{Client, ClientError, Credential};
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// Answers every connection with an empty object; the address and the certificate.
fn serve() -> (String, String) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap();
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let connection = ServerConnection::new(config.clone()).unwrap();
            let mut stream = StreamOwned::new(connection, stream.unwrap());
            // A client that does not trust the certificate says so here.
            if stream.read(&mut [0; 4096]).is_ok_and(|read| read > 0) {
                let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}";
                stream.write_all(answer).unwrap();
                stream.conn.send_close_notify();
                let _ = stream.flush();
            }
        }
    });
    (format!("https://localhost:{port}"), made.cert.pem())
}

#[tokio::test]
async fn a_server_is_believed_by_its_certificate_only() {
    let (address, certificate) = serve();
    let builder = || {
        let token = Credential::from_text("acme_pat_x").unwrap();
        Client::builder(&address).token(token)
    };
    let trusting = builder().roots(certificate).build().unwrap();
    assert_eq!(trusting.get("/").send().await.unwrap().body().as_ref(), b"{}");
    let error = builder().build().unwrap().get("/").send().await.unwrap_err();
    assert!(matches!(error, ClientError::Unreachable { .. }), "{error}");
    assert_eq!(error.to_string(), format!("cannot reach {address}"));
    let other = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let error = builder().roots(other.cert.pem()).build().unwrap().get("/").send().await;
    assert!(matches!(error, Err(ClientError::Unreachable { .. })));
}
