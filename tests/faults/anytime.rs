//! Nodes, and servers, that are killed at any moment of much work, and what must then be true of
//! everything that the nodes said before.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use hallpass::store::{Filter, Reach};
use hallpass::{
    Context, Exchange, ExchangeError, Hallpass, Issue, IssueError, Issued, Policy,
    RevocationReason, RevokeError, Rotate, RotateError, Status, StoreError, Token, TokenId,
    VerifyError,
};

use crate::place::{
    Backend, Place, Verdict, assert_rights, builder, everything, open, start, verdict,
};
use crate::process::{Process, say};
use crate::{Test, on_each, run};

pub(crate) fn tests() -> Vec<Test> {
    let mut tests = on_each("f01_to_f06_nodes_killed_at_any_moment", Backend::ALL, nodes_killed);
    tests.extend(on_each("f10_a_server_killed_at_any_moment", Backend::SERVERS, server_killed));
    tests
}

/// How many live tokens an owner may have; the nodes try for more.
const QUOTA: u32 = 12;

/// Policy of the nodes that work: names do not keep requests apart here, only their keys do.
pub(crate) fn policy() -> Policy {
    Policy { quota: Some(QUOTA), unique_names: false, ..Policy::default() }
}

/// Works until it is killed, with others on the same owners, and says what it tries and what was
/// acknowledged. What failed as an outage is asked for again.
pub(crate) async fn work(hallpass: &Hallpass, seed: u64) {
    let mut mine: Vec<Issued> = Vec::new();
    for count in 0_u64.. {
        // Not random, but of no period that the steps have.
        let dice = (count * 7 + seed * 3 + count * count % 11) % 10;
        let place = usize::try_from(count * 13 + seed).unwrap() % mine.len().max(1);
        match (dice, mine.get_mut(place)) {
            (0..4, _) | (_, None) => match issue(hallpass, &format!("{seed}-{count}")).await {
                Some(issued) => mine.push(issued),
                // Somebody else has them all.
                None if mine.is_empty() => tokio::time::sleep(Duration::from_millis(1)).await,
                None => {
                    let oldest = mine.remove(0);
                    revoke(hallpass, &oldest.token.id).await;
                }
            },
            (4 | 5, Some(token)) => rotate(hallpass, token).await,
            (6 | 7, Some(token)) => exchange(hallpass, token).await,
            (8, Some(token)) => check(hallpass, token).await,
            (_, Some(_)) => {
                let token = mine.remove(place);
                revoke(hallpass, &token.token.id).await;
            }
        }
    }
}

/// A token with this key; none if the owner has as many as it may have.
async fn issue(hallpass: &Hallpass, key: &str) -> Option<Issued> {
    let wanted = || Issue::new(key).owner("crowd").scopes(["repo:read"]).idempotency_key(key);
    loop {
        match hallpass.issue(wanted()).await {
            Ok(issued) => {
                say(format_args!("issued {key} {} {}", issued.token.id, issued.plain.expose()));
                return Some(issued);
            }
            Err(IssueError::Replayed(token)) => {
                say(format_args!("replayed {key} {}", token.id));
                revoke(hallpass, &token.id).await;
                return None;
            }
            Err(IssueError::QuotaFull { .. }) => return None,
            Err(IssueError::Store(StoreError::Unavailable(_))) => pause().await,
            Err(error) => say(format_args!("wrong: {error:?}")),
        }
    }
}

async fn rotate(hallpass: &Hallpass, token: &mut Issued) {
    let id = token.token.id;
    say(format_args!("rotating {id}"));
    loop {
        match hallpass.rotate(&id, Rotate::new()).await {
            Ok(rotated) => {
                say(format_args!("rotated {id} {}", rotated.plain.expose()));
                *token = rotated;
                return;
            }
            Err(RotateError::Store(StoreError::Unavailable(_))) => pause().await,
            Err(error) => say(format_args!("wrong: {error:?}")),
        }
    }
}

async fn exchange(hallpass: &Hallpass, token: &Issued) {
    let (parent, text) = (token.token.id, token.plain.expose());
    loop {
        match hallpass.exchange(text, &Context::default(), Exchange::new()).await {
            Ok(session) => {
                let (id, text) = (session.token.id, session.plain.expose());
                return say(format_args!("session {parent} {id} {text}"));
            }
            Err(ExchangeError::QuotaFull { .. }) => return,
            Err(ExchangeError::Unavailable(_)) => pause().await,
            Err(error) => say(format_args!("wrong: {error:?}")),
        }
    }
}

/// Nobody but this node revokes its tokens, so a good one may be doubted and never denied.
async fn check(hallpass: &Hallpass, token: &Issued) {
    match hallpass.verify(token.plain.expose(), &Context::default()).await {
        Ok(verified) => assert_rights(&verified),
        Err(VerifyError::Unavailable(_)) => pause().await,
        Err(error) => say(format_args!("wrong: {error:?}")),
    }
}

async fn revoke(hallpass: &Hallpass, id: &TokenId) {
    say(format_args!("revoking {id}"));
    loop {
        match hallpass.revoke(id, RevocationReason::Requested).await {
            Ok(_) => return say(format_args!("revoked {id}")),
            Err(RevokeError::Store(StoreError::Unavailable(_))) => pause().await,
            Err(error) => say(format_args!("wrong: {error:?}")),
        }
    }
}

async fn pause() {
    tokio::time::sleep(Duration::from_millis(2)).await;
}

/// All that nodes said.
#[derive(Default)]
struct Journal {
    /// The texts of each token that somebody got, the newest last.
    texts: HashMap<TokenId, Vec<String>>,
    sessions: Vec<(TokenId, TokenId, String)>,
    keys: BTreeMap<String, HashSet<TokenId>>,
    rotating: HashSet<TokenId>,
    revoking: HashSet<TokenId>,
    revoked: HashSet<TokenId>,
    lines: usize,
}

impl Journal {
    fn note(&mut self, line: &str) {
        let words: Vec<&str> = line.split(' ').collect();
        let id = |place: usize| words[place].parse::<TokenId>().unwrap();
        self.lines += 1;
        match words[0] {
            "issued" => {
                assert!(self.keys.entry(words[1].to_owned()).or_default().insert(id(2)));
                self.texts.entry(id(2)).or_default().push(words[3].to_owned());
            }
            "replayed" => drop(self.keys.entry(words[1].to_owned()).or_default().insert(id(2))),
            "rotating" => drop(self.rotating.insert(id(1))),
            "rotated" => {
                self.rotating.remove(&id(1));
                self.texts.get_mut(&id(1)).unwrap().push(words[2].to_owned());
            }
            "session" => self.sessions.push((id(1), id(2), words[3].to_owned())),
            "revoking" => drop(self.revoking.insert(id(1))),
            "revoked" => drop(self.revoked.insert(id(1))),
            _ => panic!("{line}"),
        }
    }

    /// Whether everything that was said is true at the place, and nothing else is there.
    async fn check(&self, place: &Place) -> Hallpass {
        let hallpass = builder(open(&place.url()).await).policy(policy()).build().unwrap();
        let there: HashMap<TokenId, Token> =
            everything(&hallpass).await.into_iter().map(|token| (token.id, token)).collect();
        let live = |id: &TokenId| Status::at(&there[id], start()) == Status::Active;
        for (key, ids) in &self.keys {
            assert_eq!(ids.len(), 1, "{key} gave {ids:?}");
            let named = there.values().filter(|token| token.parent.is_none());
            let named = named.filter(|token| token.name.as_str() == key);
            assert_eq!(named.count(), 1, "{key}");
        }
        for id in &self.revoked {
            assert!(!live(id), "{id} was revoked");
        }
        for (id, texts) in &self.texts {
            let mut told = Vec::new();
            for text in texts {
                told.push(verdict(&hallpass, text).await);
            }
            let accepted = |told: &Verdict| *told == Verdict::Accepted;
            if self.revoked.contains(id) {
                assert!(!told.iter().any(accepted), "{id}: {told:?}");
            } else if self.rotating.contains(id) && !self.revoking.contains(id) {
                // The last rotation may have replaced a secret that was never used, but then the
                // one before that is good.
                assert!(told.iter().any(accepted), "{id}: {told:?}");
            } else if !self.revoking.contains(id) {
                assert!(told.last().is_some_and(accepted), "{id}: {told:?}");
            }
        }
        for (parent, id, text) in &self.sessions {
            let told = verdict(&hallpass, text).await;
            assert_eq!(told == Verdict::Accepted, live(parent), "{id} of {parent}: {told:?}");
        }
        for token in there.values() {
            // The cascade is complete, of what was acknowledged and of what was not.
            let parent = token.parent.filter(|parent| !live(parent));
            assert!(parent.is_none() || !live(&token.id), "{token:?}");
        }
        let personal = there.values().filter(|token| token.parent.is_none() && live(&token.id));
        assert!(personal.count() <= QUOTA as usize);
        let texts = self.texts.values().flatten().map(String::as_str);
        place.assert_nowhere(texts.chain(self.sessions.iter().map(|(.., text)| text.as_str())));
        hallpass
    }
}

/// Two nodes work and are killed, three times. I1, I4, I5, I6, I8, and the quota.
fn nodes_killed(backend: Backend) {
    run(async {
        let place = Place::new(backend).await;
        let mut journal = Journal::default();
        for round in 0..3 {
            let mut nodes: Vec<Process> = (0..2).map(|_| Process::start(&place.url())).collect();
            for (number, node) in nodes.iter_mut().enumerate() {
                node.tell(&format!("work {}", round * 2 + number));
            }
            for line in nodes.iter().flat_map(|node| (0..60).map(|_| node.hear())) {
                journal.note(&line);
            }
            for line in nodes.into_iter().flat_map(Process::kill) {
                journal.note(&line);
            }
            let hallpass = journal.check(&place).await;
            // The next nodes have room.
            for id in hallpass
                .revoke_matching(Filter::new(Reach::All), RevocationReason::Requested)
                .await
                .unwrap()
            {
                journal.note(&format!("revoking {id}"));
                journal.note(&format!("revoked {id}"));
            }
        }
        assert!(journal.revoked.len() >= 10 && journal.sessions.len() >= 10);
    });
}

/// The server is killed and started again twice while two nodes work, which are killed in the end.
/// I1, I4, I5, I6, I7, I8, and the quota.
fn server_killed(backend: Backend) {
    run(async {
        let mut place = Place::to_kill(backend);
        let mut journal = Journal::default();
        let mut nodes: Vec<Process> = (0..2).map(|_| Process::start(&place.url())).collect();
        for (number, node) in nodes.iter_mut().enumerate() {
            node.tell(&format!("work {number}"));
        }
        for outage in 0..3 {
            for line in nodes.iter().flat_map(|node| (0..50).map(|_| node.hear())) {
                journal.note(&line);
            }
            if outage < 2 {
                place.kill();
                place.restart();
            }
        }
        for line in nodes.into_iter().flat_map(Process::kill) {
            journal.note(&line);
        }
        journal.check(&place).await;
    });
}
