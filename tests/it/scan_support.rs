//! What the tests of reports of leaked tokens share: a partner, and the endpoint for it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use hallpass::fetch::{Fetch, FetchError};
use hallpass::scan::{Leaks, PartnerKeys};
use http::request::Builder;
use http::{Request, Response};
use serde_json::{Value, json};

use crate::http_support::written;
use crate::world::{World, run};

/// The answer to whatever nobody known signed.
pub(crate) const H23: &str = "400
cache-control: no-store
content-type: application/problem+json

{\"type\":\"urn:hallpass:problem:unverified-report\",\"title\":\"Unverified report\",\
\"status\":400,\"detail\":\"The report is not signed by a key that is known here\"}";

/// The answer if something could not be dealt with.
pub(crate) const UNAVAILABLE: &str = "503
cache-control: no-store
content-type: application/problem+json
retry-after: 5

{\"type\":\"urn:hallpass:problem:unavailable\",\"title\":\"Unavailable\",\"status\":503,\
\"detail\":\"Not every match could be dealt with; send the report again\"}";

/// Somebody who signs reports.
pub(crate) struct Partner {
    pub(crate) id: String,
    pkcs8: Vec<u8>,
}

impl Partner {
    pub(crate) fn new(id: &str) -> Self {
        let algorithm = &ECDSA_P256_SHA256_ASN1_SIGNING;
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(algorithm, &SystemRandom::new()).unwrap();
        Self { id: id.to_owned(), pkcs8: pkcs8.as_ref().to_vec() }
    }

    fn pair(&self) -> EcdsaKeyPair {
        EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &self.pkcs8).unwrap()
    }

    /// The public key in PEM, put together from its parts (RFC 5480 section 2).
    pub(crate) fn pem(&self) -> String {
        let mut der = vec![
            0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06,
            0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
        ];
        der.extend_from_slice(self.pair().public_key().as_ref());
        format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", STANDARD.encode(der))
    }

    pub(crate) fn published(&self) -> Value {
        json!({"key_identifier": self.id, "key": self.pem(), "is_current": true})
    }

    /// A signature in DER.
    pub(crate) fn der(&self, body: &[u8]) -> Vec<u8> {
        self.pair().sign(&SystemRandom::new(), body).unwrap().as_ref().to_vec()
    }

    /// A signature as two numbers of 32 bytes.
    pub(crate) fn numbers(&self, body: &[u8]) -> Vec<u8> {
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &self.pkcs8);
        pair.unwrap().sign(&SystemRandom::new(), body).unwrap().as_ref().to_vec()
    }

    /// The head of a request with a signature of this body.
    pub(crate) fn signs(&self, body: &[u8]) -> Builder {
        self.says(&STANDARD.encode(self.der(body)))
    }

    /// The head of a request with this in place of a signature.
    pub(crate) fn says(&self, signature: &str) -> Builder {
        Request::post("/leaks")
            .header("content-type", "application/json")
            .header("github-public-key-identifier", &self.id)
            .header("github-public-key-signature", signature)
    }
}

pub(crate) fn document(partners: &[&Partner]) -> Vec<u8> {
    let keys: Vec<_> = partners.iter().map(|partner| partner.published()).collect();
    json!({"public_keys": keys}).to_string().into_bytes()
}

/// Where a partner publishes its keys.
#[derive(Debug, Default)]
pub(crate) struct Board {
    /// Nothing if it cannot be reached.
    document: Mutex<Option<Vec<u8>>>,
    asked: AtomicUsize,
}

impl Board {
    pub(crate) fn shows(&self, document: impl Into<Option<Vec<u8>>>) {
        *self.document.lock().unwrap() = document.into();
    }

    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl Fetch for Board {
    async fn fetch(&self) -> Result<Vec<u8>, FetchError> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        // Others come meanwhile.
        tokio::task::yield_now().await;
        let document = self.document.lock().unwrap().clone();
        document.ok_or_else(|| FetchError::other("nobody is there"))
    }
}

/// The endpoint on a world of its own, for a partner whose keys are on a board.
pub(crate) struct Desk {
    pub(crate) world: World,
    pub(crate) leaks: Leaks,
    pub(crate) partner: Partner,
    pub(crate) board: Arc<Board>,
}

impl Desk {
    pub(crate) fn new() -> Self {
        Self::on(World::new())
    }

    pub(crate) fn on(world: World) -> Self {
        let partner = Partner::new("k1");
        let board = Arc::new(Board::default());
        board.shows(document(&[&partner]));
        let keys = PartnerKeys::fetched(Arc::clone(&board));
        let leaks = Leaks::new(world.hallpass.clone(), "github", keys).unwrap();
        Self { world, leaks, partner, board }
    }

    pub(crate) fn send(&self, request: Builder, body: &[u8]) -> Response<Bytes> {
        let (head, ()) = request.body(()).unwrap().into_parts();
        run(self.leaks.report(&head, body))
    }

    /// A whole answer, as text.
    pub(crate) fn answer(&self, request: Builder, body: &[u8]) -> String {
        written(&self.send(request, body))
    }

    /// The answer to a signed body.
    pub(crate) fn signed(&self, body: &[u8]) -> String {
        self.answer(self.partner.signs(body), body)
    }

    /// The labels that a report of these tokens gets.
    pub(crate) fn labels(&self, tokens: &[&str]) -> Vec<String> {
        labels(&self.signed(&report(tokens)))
    }
}

pub(crate) fn report(tokens: &[&str]) -> Vec<u8> {
    let found = |token: &&str| {
        json!({"token": token, "type": "acme_token", "url": "https://github.com/a/b",
            "source": "content"})
    };
    Value::from_iter(tokens.iter().map(found)).to_string().into_bytes()
}

pub(crate) fn labels(answer: &str) -> Vec<String> {
    let body =
        answer.strip_prefix("200\ncache-control: no-store\ncontent-type: application/json\n\n");
    let list: Vec<Value> =
        serde_json::from_str(body.unwrap_or_else(|| panic!("{answer}"))).unwrap();
    list.iter().map(|label| label["label"].as_str().unwrap().to_owned()).collect()
}
