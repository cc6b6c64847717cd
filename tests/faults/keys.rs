//! The keys that sign JWTs, in a node that is killed between publishing one and signing with it.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::TimeDelta;
use hallpass::jwt::{Algorithm, JwtIssuer, KeyRing, SigningKey};
use hallpass::{Clock as _, Context, Exchange, Hallpass, ManualClock, Timestamp};

use crate::place::{Backend, Place, engine, issue, open};
use crate::process::{Gate, Process};
use crate::{Test, on_each, run};

pub(crate) fn tests() -> Vec<Test> {
    let name = "f09_killed_between_publishing_a_key_and_signing_with_it";
    on_each(name, &[Backend::Sqlite], f09_killed_around_a_new_key)
}

/// The keys of a node, in a folder that the host keeps.
pub(crate) struct Keys {
    folder: PathBuf,
    ring: KeyRing,
    clock: Arc<ManualClock>,
}

impl Keys {
    /// What a host does at the start: it takes the keys it kept, or makes the first one.
    pub(crate) fn load(folder: &Path, clock: Arc<ManualClock>) -> Self {
        let read = |name: &str| {
            let der = fs::read(folder.join(name)).ok()?;
            Some(SigningKey::from_pkcs8(Algorithm::EdDsa, &der).unwrap())
        };
        let first = read("first").unwrap_or_else(|| {
            let (key, der) = SigningKey::generate(Algorithm::EdDsa).unwrap();
            fs::write(folder.join("first"), &*der).unwrap();
            key
        });
        let ring = KeyRing::new(first);
        if let Some(next) = read("next") {
            let from = fs::read_to_string(folder.join("from")).unwrap();
            ring.restore(next, Timestamp::from_micros(from.parse().unwrap()).unwrap()).unwrap();
        }
        Self { folder: folder.to_owned(), ring, clock }
    }

    /// Publishes a key and keeps it, in this order: one that nobody has seen never signs.
    async fn publish(&self, gate: &Gate) {
        let (key, der) = SigningKey::generate(Algorithm::EdDsa).unwrap();
        let now = self.clock.now();
        let from = now.saturating_add(KeyRing::LEAD);
        self.ring.publish(key, from, now).unwrap();
        gate.pass("after publish").await;
        fs::write(self.folder.join("from"), from.as_micros().to_string()).unwrap();
        fs::write(self.folder.join("next"), &*der).unwrap();
        gate.pass("after keeping").await;
    }

    /// Does what it is told about keys.
    pub(crate) async fn obey(&self, words: &[&str], hallpass: &Hallpass, gate: &Gate) -> String {
        match *words {
            ["publish"] => {
                self.publish(gate).await;
                "published".to_owned()
            }
            ["advance", seconds] => {
                self.clock.advance(TimeDelta::seconds(seconds.parse().unwrap()));
                "advanced".to_owned()
            }
            ["published"] => self.ring.jwks(self.clock.now()),
            ["signs", text] => {
                let issuer = JwtIssuer::new("https://issuer.example", self.ring.clone());
                let here = Context::default();
                let signed = issuer.exchange(hallpass, text, &here, Exchange::new()).await;
                let signed = signed.unwrap();
                let head = signed.plain.expose().split('.').next().unwrap();
                let head: serde_json::Value =
                    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(head).unwrap()).unwrap();
                head["kid"].as_str().unwrap().to_owned()
            }
            _ => panic!("{words:?}"),
        }
    }
}

/// A node dies after it published a key and before the host kept it, or after that. A key that was
/// not kept never signs, and the old one goes on. One that was kept is published from the first
/// request on and signs from its instant on, not before. What was signed is durable before (I5, I6).
fn f09_killed_around_a_new_key(backend: Backend) {
    run(async {
        for (point, kept) in [("after publish", false), ("after keeping", true)] {
            let place = Place::new(backend).await;
            let keys = tempfile::tempdir().unwrap();
            let start = || Process::start_with_keys(&place.url(), keys.path());
            let parent = issue(&engine(open(&place.url()).await), "ci").await;
            let sign = format!("keys signs {}", parent.plain.expose());
            let mut process = start();
            let first = process.ask(&sign);
            process.ask_until(point, "keys publish");
            assert!(process.kill().is_empty());

            let mut process = start();
            let published = process.ask("keys published");
            assert!(published.contains(&first));
            assert_eq!(published.matches("\"kid\"").count(), if kept { 2 } else { 1 });
            let lead = KeyRing::LEAD.num_seconds();
            process.ask(&format!("keys advance {}", lead - 1));
            assert_eq!(process.ask(&sign), first);
            process.ask("keys advance 1");
            let next = process.ask(&sign);
            assert_eq!(next != first, kept);
            assert!(published.contains(&next), "it was published before it signed");
            // Those who were given a token of the first key can go on verifying it.
            assert!(process.ask("keys published").contains(&first));
            place.assert_nowhere([parent.plain.expose()]);
        }
    });
}
