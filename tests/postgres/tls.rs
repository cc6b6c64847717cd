//! Connections by TLS.

use std::fs;

use hallpass::{PostgresOptions, StoreError, TokenStore};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

use crate::HOME;
use crate::server::Server;
use hallpass::conformance::support::{anything, id, record};

pub(crate) const CASES: &[(&str, fn())] =
    &[("a_server_must_prove_who_it_is", a_server_must_prove_who_it_is)];

fn authority() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

fn a_server_must_prove_who_it_is() {
    let trusted = authority();
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let certificate = params.signed_by(&key, &trusted).unwrap();
    let server = Server::start_with(&["ssl=on", "fsync=off"], |data| {
        fs::write(data.join("server.crt"), certificate.pem()).unwrap();
        fs::write(data.join("server.key"), key.serialize_pem()).unwrap();
        let only_its_own = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        fs::set_permissions(data.join("server.key"), only_its_own).unwrap();
        // Only TLS is let in.
        fs::write(data.join("pg_hba.conf"), "hostssl all all 127.0.0.1/32 trust\n").unwrap();
    });
    let named = format!("postgres://hallpass@localhost:{}/postgres", server.port);
    let hostaddr = "&hostaddr=127.0.0.1";
    let with = |roots: String| PostgresOptions::new().with_tls_roots(roots);
    HOME.block_on(async {
        for mode in ["require", "verify-full", "prefer"] {
            let url = format!("{named}?sslmode={mode}{hostaddr}");
            let store = with(trusted.pem()).connect(&url).await.unwrap();
            if mode == "require" {
                store.insert(&record(1), &anything()).await.unwrap();
            }
            assert_eq!(store.find(&id(1)).await.unwrap(), Some(record(1)));
            let mut changes = store.changes().await.unwrap().unwrap();
            changes.next().await.unwrap();
        }
        let require = format!("{named}?sslmode=require{hostaddr}");
        let refused = [
            (with(authority().pem()), require.clone()),
            (PostgresOptions::new(), require),
            // Not the name in the certificate.
            (with(trusted.pem()), server.url("postgres") + "?sslmode=require"),
            (with(trusted.pem()), format!("{named}?sslmode=disable{hostaddr}")),
            (with("no certificate".to_owned()), named),
        ];
        for (options, url) in refused {
            let error = options.connect(&url).await.unwrap_err();
            assert!(matches!(error, StoreError::Unavailable(_)), "{url}: {error:?}");
        }
    });
}
