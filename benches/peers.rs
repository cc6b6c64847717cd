//! The same work done by others, side by side: is this text good, and whose is it?
//!
//! The keys and signed tokens in `support/` were made for this bench; the private keys are gone.

#![expect(clippy::expect_used, reason = "a bench that cannot be set up must stop")]

#[expect(dead_code, reason = "each bench uses its part")]
mod support;

use std::hint::black_box;
use std::sync::{Arc, RwLock};

use criterion::{Criterion, criterion_group, criterion_main};
use foldhash::fast::RandomState;
use hallpass::{Context, Issue, Record, TokenId};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, encode};
use prefixed_api_key::PrefixedApiKeyController;
use serde::{Deserialize, Serialize};

use support::{FastMap, Floor, Text, digest, populated, ready, record, rows, same};

criterion_group!(benches, verify, issue);
criterion_main!(benches);

#[derive(Debug, Serialize, Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    aud: String,
    exp: u64,
    iat: u64,
    jti: String,
    scope: String,
}

fn verify(c: &mut Criterion) {
    let count = rows(1000);
    let mut text = Text::new();
    let text = text.of(7);
    let mut group = c.benchmark_group("peers verify");

    let floor = Floor::of(count);
    group.bench_function("floor", |b| b.iter(|| floor.verify(black_box(text)).expect("good")));

    let hallpass = populated(count);
    group.bench_function("hallpass", |b| {
        let context = Context::default();
        b.iter(|| ready(hallpass.verify(black_box(text), &context)).expect("good"));
    });

    let key = support::key();
    let records = || (0..count).map(|number| record(&key, number)).map(Stored::from);
    let locked: RwLock<FastMap<TokenId, Arc<Stored>>> =
        RwLock::new(records().map(|stored| (stored.record.token.id, Arc::new(stored))).collect());
    group.bench_function("floor, RwLock and Arc", |b| {
        b.iter(|| {
            let text = black_box(text);
            let digest = digest(&key, text.as_bytes());
            let id: TokenId = text[9..25].parse().expect("an id");
            let found = locked.read().expect("no panic").get(&id).cloned().expect("known");
            same(&digest, &found.digest).then_some(found).expect("good")
        });
    });
    let lock_free: papaya::HashMap<TokenId, Arc<Stored>, RandomState> =
        records().map(|stored| (stored.record.token.id, Arc::new(stored))).collect();
    group.bench_function("floor, papaya and Arc", |b| {
        b.iter(|| {
            let text = black_box(text);
            let digest = digest(&key, text.as_bytes());
            let id: TokenId = text[9..25].parse().expect("an id");
            let found = lock_free.pin().get(&id).cloned().expect("known");
            same(&digest, &found.digest).then_some(found).expect("good")
        });
    });

    // Its Debug and its generator's errors say little, but parsing and checking are what they are.
    let controller = PrefixedApiKeyController::configure()
        .prefix("acme".to_owned())
        .seam_defaults()
        .finalize()
        .expect("a controller");
    let (api_key, hash) = controller.generate_key_and_hash();
    let api_key = api_key.to_string();
    let hashes: FastMap<String, String> =
        FastMap::from_iter([(api_key.split('_').nth(1).expect("three parts").to_owned(), hash)]);
    group.bench_function("prefixed-api-key and a map", |b| {
        b.iter(|| {
            let key: prefixed_api_key::PrefixedApiKey =
                black_box(api_key.as_str()).try_into().expect("a key");
            let hash = hashes.get(key.short_token()).expect("known");
            assert!(controller.check_hash(&key, hash));
        });
    });

    let secret = [7; 32];
    let claims = Claims {
        iss: "https://acme.example".to_owned(),
        sub: "user:000000001".to_owned(),
        aud: "https://api.acme.example".to_owned(),
        exp: 4_102_444_800,
        iat: 1_795_338_000,
        jti: "ABCDEFGHIJKLMNOP".to_owned(),
        scope: "repo:read issue:read".to_owned(),
    };
    let shared = encode(&Header::default(), &claims, &EncodingKey::from_secret(&secret));
    let shared = shared.expect("a token");
    let signed = |text: &'static str| text.trim().to_owned();
    let tokens = [
        ("HS256", Algorithm::HS256, DecodingKey::from_secret(&secret), shared),
        (
            "RS256",
            Algorithm::RS256,
            DecodingKey::from_rsa_pem(include_bytes!("support/rs256.pem")).expect("a key"),
            signed(include_str!("support/rs256.jwt")),
        ),
        (
            "EdDSA",
            Algorithm::EdDSA,
            DecodingKey::from_ed_pem(include_bytes!("support/eddsa.pem")).expect("a key"),
            signed(include_str!("support/eddsa.jwt")),
        ),
        (
            "ES256",
            Algorithm::ES256,
            DecodingKey::from_ec_pem(include_bytes!("support/es256.pem")).expect("a key"),
            signed(include_str!("support/es256.jwt")),
        ),
    ];
    for (name, algorithm, key, token) in tokens {
        let mut validation = Validation::new(algorithm);
        validation.set_audience(&["https://api.acme.example"]);
        validation.set_issuer(&["https://acme.example"]);
        group.bench_function(format!("jsonwebtoken {name}"), |b| {
            b.iter(|| {
                decode::<Claims>(black_box(token.as_str()), &key, &validation).expect("good")
            });
        });
    }
}

/// A record beside its digest's bytes, as an app would keep it.
struct Stored {
    digest: [u8; 32],
    record: Record,
}

impl From<Record> for Stored {
    fn from(record: Record) -> Self {
        use base64::Engine as _;
        use base64::engine::general_purpose::URL_SAFE_NO_PAD;

        let stored = record.digest.to_stored();
        let digest = stored.rsplit('$').next().expect("a digest");
        let digest = URL_SAFE_NO_PAD.decode(digest).expect("base64url");
        Self { digest: digest.try_into().expect("32 bytes"), record }
    }
}

fn issue(c: &mut Criterion) {
    let mut group = c.benchmark_group("peers issue");
    group.bench_function("hallpass", |b| {
        support::in_batches(
            b,
            || populated(0),
            |hallpass, (owner, name)| {
                let issue = Issue::new(name).owner(owner).scopes(["repo:read", "issue:read"]);
                ready(hallpass.issue(issue)).expect("issued")
            },
        );
    });
    group.bench_function("prefixed-api-key and a map", |b| {
        let fresh = || {
            let controller = PrefixedApiKeyController::configure()
                .prefix("acme".to_owned())
                .seam_defaults()
                .finalize()
                .expect("a controller");
            (controller, FastMap::<String, String>::default())
        };
        support::in_batches(b, fresh, |(controller, map), _| {
            let (key, hash) = controller.generate_key_and_hash();
            map.insert(key.short_token().to_owned(), hash);
            key.to_string()
        });
    });
}
