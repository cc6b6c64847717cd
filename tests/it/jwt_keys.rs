//! Keys of JWTs: how they turn over, outlive a restart, and are fetched.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::TimeDelta;
use hallpass::Exchange;
use hallpass::fetch::{Fetch, FetchError};
use hallpass::jwt::{
    Algorithm, JwkSet, JwtError, JwtIssuer, JwtVerifier, KeyRing, KeysError, SigningKey,
};
use serde_json::{Value, json};

use crate::jwt::{ISSUER, Mint};
use crate::world::{micro, poll_once, run};

#[test]
fn keys_turn_over_without_a_gap() {
    let mint = Mint::new();
    let fetches = Fetcher::of(&mint);
    let verifier = JwtVerifier::fetching(ISSUER, "us", Arc::clone(&fetches))
        .clock(Arc::clone(&mint.world.clock));
    let parent = mint.world.token("ci");
    let long = || Exchange::new().audience(["us"]).lifetime(TimeDelta::minutes(60));
    let (next, _) = SigningKey::generate(Algorithm::EdDsa).unwrap();
    let now = mint.world.now();
    let turn = now.saturating_add(KeyRing::LEAD);
    mint.issuer.keys().publish(next, turn, now).unwrap();
    // A token every minute for three hours, each verified as long as it lives.
    let mut live: Vec<(String, hallpass::Timestamp)> = Vec::new();
    for _ in 0..180 {
        let end = mint.world.now().saturating_add(TimeDelta::minutes(60));
        live.push((mint.exchange(&parent, long()).unwrap(), end));
        live.retain(|(_, end)| *end > mint.world.now());
        for (text, _) in live.iter().step_by(7) {
            assert!(run(verifier.verify(text)).is_ok());
        }
        *fetches.json.lock().unwrap() = mint.issuer.keys().jwks(mint.world.now()).into_bytes();
        mint.world.advance(TimeDelta::minutes(1));
    }
    assert!(!mint.issuer.keys().jwks(mint.world.now()).contains(&mint.kid));
    assert!(fetches.count() <= 37, "every five minutes: {}", fetches.count());
}

#[test]
fn f09_a_published_key_survives_a_restart() {
    let mut mint = Mint::new();
    let parent = mint.world.token("ci");
    let [(first, kept_first), (next, kept_next)] =
        [(); 2].map(|()| SigningKey::generate(Algorithm::EdDsa).unwrap());
    let [first, next] = [first, next].map(|key| key.public().kid().to_owned());
    let turn = mint.world.now().saturating_add(KeyRing::LEAD);
    // What a process does that starts with the keys that the host kept.
    let restart = |mint: &mut Mint| {
        let read = |der: &[u8]| SigningKey::from_pkcs8(Algorithm::EdDsa, der).unwrap();
        let ring = KeyRing::new(read(&kept_first));
        ring.restore(read(&kept_next), turn).unwrap();
        mint.issuer = JwtIssuer::new(ISSUER, ring);
    };
    let signs = |mint: &Mint| {
        let text = mint.exchange(&parent, Exchange::new().audience(["us"])).unwrap();
        assert!(run(mint.offline().verify(&text)).is_ok());
        let header = URL_SAFE_NO_PAD.decode(text.split('.').next().unwrap()).unwrap();
        let header: Value = serde_json::from_slice(&header).unwrap();
        header["kid"].as_str().unwrap().to_owned()
    };
    restart(&mut mint);
    let published = mint.issuer.keys().jwks(mint.world.now());
    assert!(published.contains(&first) && published.contains(&next));
    mint.world.advance(KeyRing::LEAD - micro());
    assert_eq!(signs(&mint), first);
    restart(&mut mint);
    assert_eq!(signs(&mint), first);
    mint.world.advance(micro());
    restart(&mut mint);
    assert_eq!(signs(&mint), next);
}

/// What fetches an issuer's keys, and can be out of order.
#[derive(Debug)]
pub(crate) struct Fetcher {
    json: std::sync::Mutex<Vec<u8>>,
    broken: std::sync::atomic::AtomicBool,
    hangs: std::sync::atomic::AtomicBool,
    count: AtomicUsize,
}

impl Fetcher {
    pub(crate) fn of(mint: &Mint) -> Arc<Self> {
        let json = mint.issuer.keys().jwks(mint.world.now()).into_bytes();
        Arc::new(Self {
            json: std::sync::Mutex::new(json),
            broken: false.into(),
            hangs: false.into(),
            count: AtomicUsize::new(0),
        })
    }

    pub(crate) fn count(&self) -> usize {
        self.count.load(Ordering::SeqCst)
    }
}

#[async_trait]
impl Fetch for Fetcher {
    async fn fetch(&self) -> Result<Vec<u8>, FetchError> {
        self.count.fetch_add(1, Ordering::SeqCst);
        let hangs = || self.hangs.load(Ordering::SeqCst);
        std::future::poll_fn(|_| if hangs() { Poll::Pending } else { Poll::Ready(()) }).await;
        if self.broken.load(Ordering::SeqCst) {
            return Err(FetchError::other("unplugged"));
        }
        Ok(self.json.lock().unwrap().clone())
    }
}

#[test]
fn keys_are_cached_and_outlive_an_outage_for_a_day() {
    let mint = Mint::new();
    let fetcher = Fetcher::of(&mint);
    let verifier = JwtVerifier::fetching(ISSUER, "us", Arc::clone(&fetcher))
        .clock(Arc::clone(&mint.world.clock));
    let verify = || {
        let text = mint.signed(&mint.header().to_string(), &mint.claims().to_string());
        run(verifier.verify(&text))
    };
    fetcher.broken.store(true, Ordering::SeqCst);
    for _ in 0..100 {
        assert!(matches!(verify(), Err(JwtError::Keys(KeysError::Fetch(_)))));
    }
    assert_eq!(fetcher.count(), 1, "without any keys, a short one");
    mint.world.advance(TimeDelta::seconds(10));
    fetcher.broken.store(false, Ordering::SeqCst);
    assert!(verify().is_ok() && verify().is_ok());
    assert_eq!(fetcher.count(), 2);
    fetcher.broken.store(true, Ordering::SeqCst);
    mint.world.advance(TimeDelta::minutes(5));
    for _ in 0..100 {
        assert!(verify().is_ok());
    }
    assert_eq!(fetcher.count(), 3, "after a failure there is a pause");
    mint.world.advance(TimeDelta::hours(23));
    assert!(verify().is_ok());
    mint.world.advance(TimeDelta::hours(1));
    assert!(matches!(verify(), Err(JwtError::Keys(_))));
    // HTML, nothing, too much, and a key that was never to be shown.
    fetcher.broken.store(false, Ordering::SeqCst);
    for junk in ["<html>", "", "[]", "{\"keys\":{}}", &" ".repeat(65 * 1024)] {
        *fetcher.json.lock().unwrap() = junk.as_bytes().to_vec();
        mint.world.advance(TimeDelta::minutes(1));
        assert!(matches!(verify(), Err(JwtError::Keys(KeysError::Malformed))), "{junk:.20}");
    }
    let keys = mint.issuer.keys().jwks(mint.world.now());
    let private = keys.replace("\"kty\"", "\"d\":\"AA\",\"kty\"");
    *fetcher.json.lock().unwrap() = private.into_bytes();
    mint.world.advance(TimeDelta::minutes(1));
    assert!(matches!(verify(), Err(JwtError::Keys(KeysError::Private))));
    *fetcher.json.lock().unwrap() = keys.into_bytes();
    mint.world.advance(TimeDelta::minutes(1));
    assert!(verify().is_ok());
}

#[test]
fn a_set_without_a_usable_key_takes_the_old_ones_back() {
    let mint = Mint::new();
    let keys = mint.issuer.keys().jwks(mint.world.now());
    for (set, why) in [
        (r#"{"keys":[]}"#.to_owned(), "no key"),
        (r#"{"keys":[{"kty":"oct","kid":"a"}]}"#.to_owned(), "one of another kind"),
        (keys.replace("P-256", "P-384"), "one on another curve"),
    ] {
        let fetcher = Fetcher::of(&mint);
        let verifier = JwtVerifier::fetching(ISSUER, "us", Arc::clone(&fetcher))
            .clock(Arc::clone(&mint.world.clock));
        let verify = || {
            let text = mint.signed(&mint.header().to_string(), &mint.claims().to_string());
            run(verifier.verify(&text))
        };
        assert!(verify().is_ok());
        assert!(matches!(JwkSet::parse(set.as_bytes()), Err(KeysError::Empty)), "{why}");
        *fetcher.json.lock().unwrap() = set.into_bytes();
        mint.world.advance(TimeDelta::minutes(5));
        assert!(matches!(verify(), Err(JwtError::Keys(KeysError::Empty))), "{why}");
        // Nor does a failure bring them back.
        fetcher.broken.store(true, Ordering::SeqCst);
        for _ in 0..3 {
            assert!(matches!(verify(), Err(JwtError::Keys(_))), "{why}");
            mint.world.advance(TimeDelta::minutes(1));
        }
        fetcher.broken.store(false, Ordering::SeqCst);
        *fetcher.json.lock().unwrap() = keys.clone().into_bytes();
        mint.world.advance(TimeDelta::minutes(1));
        assert!(verify().is_ok(), "{why}");
    }
}

#[test]
fn keys_that_somebody_gave_up_to_fetch_are_fetched_by_the_next() {
    let mint = Mint::new();
    let fetcher = Fetcher::of(&mint);
    let verifier = JwtVerifier::fetching(ISSUER, "us", Arc::clone(&fetcher))
        .clock(Arc::clone(&mint.world.clock));
    for asked in [2, 4] {
        let text = mint.signed(&mint.header().to_string(), &mint.claims().to_string());
        fetcher.hangs.store(true, Ordering::SeqCst);
        let mut given_up = Box::pin(verifier.verify(&text));
        assert!(poll_once(&mut given_up).is_pending());
        drop(given_up);
        fetcher.hangs.store(false, Ordering::SeqCst);
        assert!(run(verifier.verify(&text)).is_ok());
        assert_eq!(fetcher.count(), asked);
        // The second time there are old ones.
        mint.world.advance(TimeDelta::minutes(5));
    }
}

/// A service that held the keys of another issuer when this one took over, what fetches for it, and
/// a text with this one's new key.
fn before_a_rotation(mint: &Mint) -> (JwtVerifier, Arc<Fetcher>, String) {
    let fetcher = Fetcher::of(&Mint::new());
    let verifier = JwtVerifier::fetching(ISSUER, "us", Arc::clone(&fetcher))
        .clock(Arc::clone(&mint.world.clock));
    let text = mint.signed(&mint.header().to_string(), &mint.claims().to_string());
    assert!(matches!(run(verifier.verify(&text)), Err(JwtError::Denied)), "not published");
    *fetcher.json.lock().unwrap() = mint.issuer.keys().jwks(mint.world.now()).into_bytes();
    // Fresh keys are all that there are.
    mint.world.advance(TimeDelta::minutes(5) - micro());
    assert!(matches!(run(verifier.verify(&text)), Err(JwtError::Denied)));
    assert_eq!(fetcher.count(), 1);
    mint.world.advance(micro());
    (verifier, fetcher, text)
}

#[test]
fn tokens_of_a_new_key_wait_together_for_the_keys() {
    let mint = Mint::new();
    let (verifier, fetcher, text) = before_a_rotation(&mint);
    let unknown = json!({"alg": "ES256", "typ": "at+jwt", "kid": "x"}).to_string();
    let unknown = mint.signed(&unknown, &mint.claims().to_string());
    fetcher.hangs.store(true, Ordering::SeqCst);
    let mut waiting = [&text, &text, &text].map(|text| Box::pin(verifier.verify(text)));
    let mut stranger = Box::pin(verifier.verify(&unknown));
    for one in &mut waiting {
        assert!(poll_once(one).is_pending());
    }
    assert!(poll_once(&mut stranger).is_pending());
    fetcher.hangs.store(false, Ordering::SeqCst);
    for one in waiting {
        assert!(run(one).is_ok());
    }
    assert!(matches!(run(stranger), Err(JwtError::Denied)), "the new keys lack it too");
    assert_eq!(fetcher.count(), 2);

    // If the one who fetches gives up, nobody who waits fetches instead.
    let (verifier, fetcher, text) = before_a_rotation(&mint);
    fetcher.hangs.store(true, Ordering::SeqCst);
    let mut first = Box::pin(verifier.verify(&text));
    let mut second = Box::pin(verifier.verify(&text));
    assert!(poll_once(&mut first).is_pending() && poll_once(&mut second).is_pending());
    drop(first);
    assert!(matches!(run(second), Err(JwtError::Keys(KeysError::Fetch(_)))));
    assert_eq!(fetcher.count(), 2);
    fetcher.hangs.store(false, Ordering::SeqCst);
    assert!(run(verifier.verify(&text)).is_ok());
    assert_eq!(fetcher.count(), 3);
}

#[test]
fn a_new_key_that_cannot_be_fetched_is_an_outage_and_no_denial() {
    let mint = Mint::new();
    let (verifier, fetcher, text) = before_a_rotation(&mint);
    fetcher.broken.store(true, Ordering::SeqCst);
    for _ in 0..100 {
        assert!(matches!(run(verifier.verify(&text)), Err(JwtError::Keys(KeysError::Fetch(_)))));
    }
    assert_eq!(fetcher.count(), 2, "none that the token causes");
    // What needs no key is denied as ever.
    assert!(matches!(run(verifier.verify("eyJhbGciOiJub25lIn0.e30.")), Err(JwtError::Denied)));
    fetcher.broken.store(false, Ordering::SeqCst);
    mint.world.advance(TimeDelta::minutes(1));
    assert!(run(verifier.verify(&text)).is_ok());

    // Those who waited for a failure are told the same as who fetched.
    let (verifier, fetcher, text) = before_a_rotation(&mint);
    fetcher.hangs.store(true, Ordering::SeqCst);
    fetcher.broken.store(true, Ordering::SeqCst);
    let mut waiting = [&text, &text].map(|text| Box::pin(verifier.verify(text)));
    for one in &mut waiting {
        assert!(poll_once(one).is_pending());
    }
    fetcher.hangs.store(false, Ordering::SeqCst);
    for one in waiting {
        assert!(matches!(run(one), Err(JwtError::Keys(KeysError::Fetch(_)))));
    }
    assert_eq!(fetcher.count(), 2);
}
