//! Tokens of every state.

use std::fmt;

use chrono::TimeDelta;

#[cfg(feature = "jwt")]
use super::forge::Forge;
use super::world::World;
use crate::engine::{Context, Exchange, Issue, Issued, Rotate};
use crate::policy::Expiry;
use crate::scope::Resources;
use crate::store::{Admission, TokenStore as _};
use crate::token::{Brands, Kind, PlainToken, RevocationReason, TokenDigest, TokenId, TokenText};

const HOUR: TimeDelta = TimeDelta::hours(1);

/// The text of a token, and what is special about it.
pub(super) type Named = (&'static str, String);

/// Texts of tokens.
pub(super) struct Tokens {
    /// Good, with `repo:read`.
    pub(super) good: String,
    /// Good, with everything.
    pub(super) wide: String,
    /// Good too, with `repo:read`.
    pub(super) others: Vec<Named>,
    /// Refused.
    pub(super) bad: Vec<Named>,
    /// Neither good nor bad as far as can be told.
    pub(super) unknown: Vec<Named>,
    #[cfg(feature = "jwt")]
    pub(super) forge: Forge,
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tokens")
    }
}

impl Tokens {
    pub(super) async fn issue(world: &World) -> Self {
        let desk = Desk(world);
        let good = desk.issue("good", |issue| issue).await;
        let wide = desk.issue("wide", |issue| {
            let issue = issue.scopes(["repo:write"]).resources(Resources::All);
            issue.networks([net("127.0.0.0/8")])
        });
        let mut tokens = Self {
            good: text(&good),
            wide: text(&wide.await),
            others: Vec::new(),
            bad: Vec::new(),
            unknown: Vec::new(),
            #[cfg(feature = "jwt")]
            forge: Forge::new(),
        };
        tokens.add_what_time_changes(&desk, &good).await;
        world.owners.change();
        world.clock.advance(HOUR * 2);
        tokens.add_what_was_done_to_it(&desk).await;
        tokens.add_what_was_made_from_it(&desk, &good).await;
        tokens.add_what_looks_right(&desk, &good).await;
        #[cfg(feature = "jwt")]
        tokens.forge.fill(world, &desk, &mut tokens.others, &mut tokens.bad).await;
        tokens
    }

    /// What ends, begins or changes while the clock goes on.
    async fn add_what_time_changes(&mut self, desk: &Desk<'_>, good: &Issued) {
        let expired = desk.issue("expired", |issue| issue.expiry(Expiry::In(HOUR)));
        self.bad.push(("expired", text(&expired.await)));
        let later = desk.0.hallpass.now().checked_add(HOUR * 24 * 20).unwrap().to_utc();
        let future = desk.issue("future", |issue| issue.not_before(later));
        self.bad.push(("not yet valid", text(&future.await)));
        let ended = desk.exchange(good, Exchange::new()).await;
        self.bad.push(("that was exchanged and expired", text(&ended)));
        for (what, owner) in [("of an inactive owner", "left"), ("of an owner who is gone", "gone")]
        {
            self.bad.push((what, text(&desk.issue(owner, |issue| issue.owner(owner)).await)));
        }
        let unsure = desk.issue("unsure", |issue| issue.owner("unsure"));
        self.unknown.push(("of an owner who cannot be looked up", text(&unsure.await)));
        let rotated = desk.issue("rotated", |issue| issue).await;
        let renewed = desk.rotate(&rotated, HOUR * 24).await;
        self.others.push(("superseded, within the overlap", text(&rotated)));
        self.others.push(("rotated", text(&renewed)));
        for (what, overlap) in [
            ("superseded, after the overlap", HOUR),
            ("superseded without overlap", TimeDelta::zero()),
        ] {
            let superseded = desk.issue(what, |issue| issue).await;
            desk.rotate(&superseded, overlap).await;
            self.bad.push((what, text(&superseded)));
        }
        #[cfg(feature = "jwt")]
        {
            let (_, expired) = self.forge.mint(desk.0, good, Exchange::new()).await;
            self.bad.push(("that is a JWT and expired", expired));
        }
    }

    /// What somebody limited or ended.
    async fn add_what_was_done_to_it(&mut self, desk: &Desk<'_>) {
        let third = desk.issue("third", |issue| issue.audience(["third"])).await;
        self.bad.push(("for another audience", text(&third)));
        let outside = desk.issue("outside", |issue| issue.networks([net("198.51.100.0/24")]));
        self.bad.push(("from another network", text(&outside.await)));
        let suspended = desk.issue("suspended", |issue| issue).await;
        desk.suspend(&suspended.token.id).await;
        self.bad.push(("suspended", text(&suspended)));
        let revoked = desk.issue("revoked", |issue| issue).await;
        desk.revoke(&revoked.token.id).await;
        self.bad.push(("revoked", text(&revoked)));
        let rotated = desk.issue("rotated and revoked", |issue| issue).await;
        desk.rotate(&rotated, HOUR).await;
        desk.revoke(&rotated.token.id).await;
        self.bad.push(("superseded and revoked within the overlap", text(&rotated)));
    }

    /// Access tokens, application tokens and refresh tokens.
    async fn add_what_was_made_from_it(&mut self, desk: &Desk<'_>, good: &Issued) {
        let exchanged = desk.exchange(good, Exchange::new()).await;
        self.others.push(("exchanged", text(&exchanged)));
        let kind = assembled(Kind::Personal, &text(&exchanged), &text(&exchanged));
        self.bad.push(("that was exchanged and says it is personal", kind));
        let revoked = desk.exchange(good, Exchange::new()).await;
        desk.revoke(&revoked.token.id).await;
        self.bad.push(("that was exchanged and revoked", text(&revoked)));
        let parent = desk.issue("ending", |issue| issue).await;
        let orphan = desk.exchange(&parent, Exchange::new()).await;
        desk.revoke(&parent.token.id).await;
        self.bad.push(("whose parent was revoked", text(&orphan)));
        let parent = desk.issue("pausing", |issue| issue).await;
        let orphan = desk.exchange(&parent, Exchange::new()).await;
        desk.suspend(&parent.token.id).await;
        self.bad.push(("whose parent is suspended", text(&orphan)));

        let grant = Issue::new("grant").owner("u1").scopes(["repo:read"]).for_client("app");
        let grant = desk.0.hallpass.issue_with_refresh(grant).await.unwrap();
        self.others.push(("of an application", text(&grant.access)));
        self.bad.push(("that refreshes", text(&grant.refresh)));
    }

    /// Texts with a right checksum that are not what was issued, and damaged ones.
    async fn add_what_looks_right(&mut self, desk: &Desk<'_>, good: &Issued) {
        let mixed = assembled(Kind::Personal, &self.good, &self.wide);
        self.bad.push(("with the secret of another", mixed));
        let odd = desk.with_digest(&good.token.id, 1, "v9$0$").await;
        self.bad.push(("with a digest of an unknown scheme", odd));
        let digest = format!("v1$7${}A", "a".repeat(42));
        let peppered = desk.with_digest(&good.token.id, 2, &digest).await;
        self.unknown.push(("whose pepper is missing", peppered));
        self.bad.extend(damaged(&self.good));
    }

    /// Every text that is accepted somewhere.
    pub(super) fn accepted(&self) -> impl Iterator<Item = &str> {
        let others = self.others.iter().map(|(_, text)| text);
        [&self.good, &self.wide].into_iter().chain(others).map(String::as_str)
    }
}

/// Issues what the tokens are made from.
pub(super) struct Desk<'a>(&'a World);

impl Desk<'_> {
    pub(super) async fn issue(&self, name: &str, configure: impl FnOnce(Issue) -> Issue) -> Issued {
        let issue = Issue::new(name).owner("u1").scopes(["repo:read"]);
        self.0.hallpass.issue(configure(issue)).await.unwrap()
    }

    async fn exchange(&self, parent: &Issued, exchange: Exchange) -> Issued {
        let text = parent.plain.expose();
        self.0.hallpass.exchange(text, &Context::default(), exchange).await.unwrap()
    }

    async fn rotate(&self, token: &Issued, overlap: TimeDelta) -> Issued {
        let rotate = Rotate::new().overlap(overlap);
        self.0.hallpass.rotate(&token.token.id, rotate).await.unwrap()
    }

    async fn suspend(&self, id: &TokenId) {
        self.0.hallpass.suspend(id).await.unwrap();
    }

    pub(super) async fn revoke(&self, id: &TokenId) {
        self.0.hallpass.revoke(id, RevocationReason::Requested).await.unwrap();
    }

    /// A token like this one, but for what is stored in place of its secret.
    async fn with_digest(&self, like: &TokenId, number: u32, digest: &str) -> String {
        let mut record = self.0.store.find(like).await.unwrap().unwrap();
        let id: TokenId = format!("{number:016}").parse().unwrap();
        record.token.id = id;
        record.token.name = id.as_str().parse().unwrap();
        record.digest = TokenDigest::from_stored(digest);
        let admission = Admission { now: self.0.hallpass.now(), quota: None, unique_name: false };
        self.0.store.insert(&record, &admission).await.unwrap();
        let secret = [b'a'; 43];
        PlainToken::assemble("acme", Kind::Personal, id.as_str(), &secret)
            .unwrap()
            .expose()
            .to_owned()
    }
}

fn text(issued: &Issued) -> String {
    issued.plain.expose().to_owned()
}

fn net(text: &str) -> ipnet::IpNet {
    text.parse().unwrap()
}

/// A token with the id of one, the secret of another, and the checksum that belongs to both.
fn assembled(kind: Kind, id: &str, secret: &str) -> String {
    let brands = Brands::new("acme".parse().unwrap());
    let id = TokenText::parse(id, &brands).unwrap();
    let secret = TokenText::parse(secret, &brands).unwrap();
    PlainToken::assemble("acme", kind, id.id().as_str(), secret.secret())
        .unwrap()
        .expose()
        .to_owned()
}

/// What is left of a good token when something happens to it, and what looks like one.
fn damaged(good: &str) -> Vec<Named> {
    let (all_but_one, last) = good.split_at(good.len() - 1);
    let (rest, check) = good.split_at(good.len() - 6);
    let id = good.split('_').nth(2).unwrap();
    let body = good.strip_prefix("acme_pat_").unwrap();
    vec![
        ("cut short", all_but_one.to_owned()),
        ("with one more character", format!("{good}0")),
        ("with a bad checksum", format!("{all_but_one}{}", if last == "0" { '1' } else { '0' })),
        ("with a checksum that is too large", format!("{rest}zzzzzz")),
        ("with a checksum of dashes", format!("{rest}------")),
        ("without checksum", rest.to_owned()),
        ("that is its own checksum", check.to_owned()),
        ("in upper case", good.to_ascii_uppercase()),
        ("in lower case", good.to_ascii_lowercase()),
        ("with a brand in another case", format!("Acme_pat_{body}")),
        ("with a kind that it was not made with", format!("acme_at_{body}")),
        ("with dashes", good.replace('_', "-")),
        ("with a separator too many", good.replacen("pat_", "pat__", 1)),
        ("that is an id", id.to_owned()),
        ("that is a word", "null".to_owned()),
        ("that is the scheme", "Bearer".to_owned()),
        ("of another maker", format!("ghp_{}", "a".repeat(36))),
        ("unknown", UNKNOWN.to_owned()),
        ("too long", "a".repeat(257)),
    ]
}

/// A well-formed token that nobody issued.
const UNKNOWN: &str = "acme_pat_ABCDEFGHIJKLMNOP_0123456789abcdefghijklmnopqrstuvwxyzABCDEFG4RAzs0";
