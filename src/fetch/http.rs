//! How other servers are reached: by rustls, at the address that was given and at no other.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use reqwest::Url;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};

/// Why a server cannot be spoken to, whatever it would answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EndpointError {
    /// The address cannot be used.
    #[error("the server's address cannot be used: {reason}")]
    Address {
        /// Why not.
        reason: &'static str,
    },
    /// Everybody on the way could read along, and answer.
    #[error("http://{host} would send secrets in plain text; use https://")]
    PlainHttp {
        /// The server.
        host: String,
    },
    /// The credentials cannot be sent.
    #[error("a client has an id and a secret")]
    Credentials,
    /// The certificates are not PEM, or there are none.
    #[error("the trusted certificates are not PEM certificates")]
    Roots,
    /// TLS cannot be set up.
    #[error("TLS cannot be set up")]
    Tls(#[source] rustls::Error),
    /// The HTTP library cannot be set up.
    #[error("HTTP cannot be set up")]
    Http(#[source] reqwest::Error),
}

/// An address of a server: `https`, or `http` on this machine.
pub(crate) fn parse(address: &str, danger_plain_http: bool) -> Result<Url, EndpointError> {
    let wrong = |reason| EndpointError::Address { reason };
    let url = Url::parse(address).map_err(|_| wrong("it is no URL like https://acme.example"))?;
    if !matches!(url.scheme(), "https" | "http") {
        return Err(wrong("it begins with neither https:// nor http://"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(wrong("it holds a user or a password, which are given on their own"));
    }
    if url.fragment().is_some() {
        return Err(wrong("it has a fragment"));
    }
    let host = url.host_str().ok_or(wrong("it has no host"))?;
    if url.scheme() == "http" && !is_local(host) && !danger_plain_http {
        return Err(EndpointError::PlainHttp { host: host.to_owned() });
    }
    Ok(url)
}

/// A client that speaks to the server of this URL, with roots in PEM or those of the operating
/// system. It follows no redirect and repeats nothing.
pub(crate) fn client_to(
    url: &Url,
    timeout: Duration,
    roots: Option<&[u8]>,
) -> Result<reqwest::Client, EndpointError> {
    let host = url.host_str().unwrap_or_default();
    let is_plain = url.scheme() == "http";
    let mut http = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        .retry(reqwest::retry::never())
        .timeout(timeout)
        .connect_timeout(timeout.min(Duration::from_secs(10)))
        .user_agent(concat!("hallpass/", env!("CARGO_PKG_VERSION")))
        .https_only(!is_plain)
        .tls_backend_preconfigured(tls(roots, is_plain)?);
    if is_local(host) {
        // Whatever a name server or a proxy would make of it.
        let addresses: [IpAddr; 2] = [Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()];
        http = http.no_proxy();
        if host.parse::<IpAddr>().is_err() && !host.starts_with('[') {
            http = http.resolve_to_addrs(host, &addresses.map(|ip| SocketAddr::new(ip, 0)));
        }
    }
    http.build().map_err(|error| EndpointError::Http(error.without_url()))
}

/// The whole body, if it is no longer than that many bytes.
pub(crate) async fn read(
    response: &mut reqwest::Response,
    limit: usize,
) -> Result<Option<Vec<u8>>, reqwest::Error> {
    let announced = response.content_length().and_then(|length| usize::try_from(length).ok());
    if announced.is_some_and(|length| length > limit) {
        return Ok(None);
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if chunk.len() > limit - body.len() {
            return Ok(None);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Some(body))
}

/// Whether the host is this machine (RFC 6761 section 6.3 for the names).
fn is_local(host: &str) -> bool {
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    match bare.parse::<IpAddr>() {
        Ok(ip) => ip.to_canonical().is_loopback(),
        Err(_) => host == "localhost" || host.ends_with(".localhost"),
    }
}

fn tls(roots: Option<&[u8]>, is_plain: bool) -> Result<ClientConfig, EndpointError> {
    let mut store = RootCertStore::empty();
    match roots {
        Some(pem) => {
            for certificate in CertificateDer::pem_slice_iter(pem) {
                let added = certificate.ok().map(|certificate| store.add(certificate));
                if !matches!(added, Some(Ok(()))) {
                    return Err(EndpointError::Roots);
                }
            }
            if store.is_empty() {
                return Err(EndpointError::Roots);
            }
        }
        None if is_plain => {}
        // One that cannot be read is missed when a server needs it.
        None => {
            store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    // The host's choice of cryptography comes first.
    let provider = CryptoProvider::get_default()
        .cloned()
        .unwrap_or_else(|| Arc::new(rustls::crypto::ring::default_provider()));
    Ok(ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(EndpointError::Tls)?
        .with_root_certificates(store)
        .with_no_client_auth())
}
