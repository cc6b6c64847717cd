//! TLS by rustls.

use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::store::StoreError;

pub(super) type MakeTls = MakeRustlsConnect;

/// Verifies servers against these roots in PEM, or against those of the operating system.
pub(super) fn make(roots: Option<&[u8]>) -> Result<MakeTls, StoreError> {
    let mut store = RootCertStore::empty();
    match roots {
        Some(pem) => {
            for certificate in CertificateDer::pem_slice_iter(pem) {
                let certificate = certificate.map_err(StoreError::unavailable)?;
                store.add(certificate).map_err(StoreError::unavailable)?;
            }
            if store.is_empty() {
                return Err(StoreError::unavailable("the roots hold no certificate"));
            }
        }
        // One that cannot be read is missed when a server needs it.
        None => {
            store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    // The host's choice of cryptography comes first.
    let provider = CryptoProvider::get_default()
        .cloned()
        .unwrap_or_else(|| Arc::new(rustls::crypto::ring::default_provider()));
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(StoreError::unavailable)?
        .with_root_certificates(store)
        .with_no_client_auth();
    Ok(MakeRustlsConnect::new(config))
}
