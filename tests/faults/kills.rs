//! Nodes that are killed between a step of the store and what they would have said of it, and
//! answers of the store that are lost on their way.

use hallpass::store::{Filter, Reach};
use hallpass::{Actor, Hallpass, Issued, Revocation, RevocationReason, Rotate, Status, TokenId};

use crate::place::{
    Backend, Node, Place, REVOKED, Verdict, builder, engine, everything, issue, open, revoke,
    start, until, verdict, wanted,
};
use crate::process::{Process, ring};
use crate::proxy::{Fate, Proxy, When};
use crate::{Case, Test, on_each, run};

pub(crate) fn tests() -> Vec<Test> {
    let all: [Case; 7] = [
        ("f01_killed_after_an_insert", f01_killed_after_an_insert),
        ("f03_killed_around_a_rotation", f03_killed_around_a_rotation),
        ("f04_killed_after_a_revocation", f04_killed_after_a_revocation),
        ("f05_killed_in_a_cascade", f05_killed_in_a_cascade),
        ("f06_killed_in_an_exchange", f06_killed_in_an_exchange),
        ("f08_killed_while_a_digest_is_renewed", f08_killed_while_a_digest_is_renewed),
        ("f26_restarted", f26_restarted),
    ];
    let servers: [Case; 6] = [
        ("f01_killed_while_an_insert_is_committed", f01_killed_while_an_insert_is_committed),
        ("f01_the_answer_to_an_insert_is_lost", f01_the_answer_to_an_insert_is_lost),
        ("f02_killed_while_a_rotation_is_written", f02_killed_while_a_rotation_is_written),
        ("f03_the_answer_to_a_rotation_is_lost", f03_the_answer_to_a_rotation_is_lost),
        ("f04_killed_while_a_revocation_is_committed", f04_killed_while_a_revocation_is_committed),
        ("f04_the_answer_to_a_revocation_is_lost", f04_the_answer_to_a_revocation_is_lost),
    ];
    let all = all.into_iter().flat_map(|(name, run)| on_each(name, Backend::ALL, run));
    let servers = servers.into_iter().flat_map(|(name, run)| on_each(name, Backend::SERVERS, run));
    all.chain(servers).collect()
}

/// What a node sends that makes a step happen.
fn decisive(backend: Backend, step: &str, named: &str) -> String {
    match (backend, step) {
        // With the end of the message: an isolation level is called that, too.
        (Backend::Postgres, "insert" | "revoke") => "COMMIT\0".to_owned(),
        _ => named.to_string(),
    }
}

/// A place, a proxy before it, an engine that goes around it, and a token.
struct Bench {
    place: Place,
    proxy: Proxy,
    hallpass: Hallpass,
    token: Issued,
}

impl Bench {
    async fn new(backend: Backend) -> Self {
        let place = Place::new(backend).await;
        let hallpass = engine(open(&place.url()).await);
        // So that Redis knows every script and PostgreSQL's tables are there.
        let warm = issue(&hallpass, "warm").await;
        hallpass.rotate(&warm.token.id, Rotate::new()).await.unwrap();
        revoke(&hallpass, &warm.token.id).await;
        let token = issue(&hallpass, "ci").await;
        let proxy = Proxy::before(place.port()).await;
        Self { place, proxy, hallpass, token }
    }

    fn process(&self) -> Process {
        Process::start(&self.place.url_by(self.proxy.port()))
    }

    async fn verdict(&self, text: &str) -> Verdict {
        verdict(&self.hallpass, text).await
    }

    /// Has a process take a step, and kills it once what decides it was sent and swallowed.
    async fn kill_at(&self, when: When, step: &str, order: &str) {
        let mut process = self.process();
        process.ask_until(&format!("before {step}"), order);
        self.proxy.fail(when, Fate::Lose);
        process.tell("go");
        until("the request is swallowed", async || self.proxy.struck()).await;
        assert!(process.kill().is_empty(), "nothing was acknowledged");
        self.proxy.heal();
    }

    /// Has a process take a step whose answer is lost, the connection with it.
    async fn lose_answer(&self, text: String, bytes: usize, step: &str, order: &str) -> Process {
        let mut process = self.process();
        process.ask_until(&format!("before {step}"), order);
        self.proxy.fail(When::Answered(text, bytes), Fate::Cut);
        assert_eq!(process.ask("go"), "unavailable");
        assert!(self.proxy.struck());
        self.proxy.heal();
        process
    }
}

/// The words after the first.
fn rest(answer: &str) -> Vec<&str> {
    answer.split(' ').skip(1).collect()
}

/// Nobody has the secret of this token: it was never used, can be revoked, and a repeated request
/// gives it and no second one (I6, I8).
async fn is_stored_once(hallpass: &Hallpass, name: &str, key: &str) -> TokenId {
    let again = hallpass.issue(wanted(name).idempotency_key(key)).await;
    let Err(hallpass::IssueError::Replayed(token)) = again else { panic!("{again:?}") };
    let named = everything(hallpass).await;
    let named: Vec<_> = named.iter().filter(|token| token.name.as_str() == name).collect();
    assert_eq!(named.len(), 1);
    assert_eq!(named[0].last_use, None);
    assert_eq!(Status::at(named[0], start()), Status::Active);
    let unnamed = hallpass.issue(wanted(name)).await;
    assert!(matches!(unnamed, Err(hallpass::IssueError::NameTaken { by }) if by == token.id));
    assert!(revoke(hallpass, &token.id).await);
    token.id
}

/// The node dies after the record is durable and before it gives the secret out. I6, I8.
fn f01_killed_after_an_insert(backend: Backend) {
    run(async {
        let place = Place::new(backend).await;
        let mut process = Process::start(&place.url());
        process.ask_until("after insert", "issue nightly key");
        assert!(process.kill().is_empty());
        let hallpass = engine(open(&place.url()).await);
        is_stored_once(&hallpass, "nightly", "key").await;
        // Before it was written, nothing is there.
        let mut process = Process::start(&place.url());
        process.ask_until("before insert", "issue weekly key2");
        assert!(process.kill().is_empty());
        let issued = hallpass.issue(wanted("weekly").idempotency_key("key2")).await.unwrap();
        assert_eq!(verdict(&hallpass, issued.plain.expose()).await, Verdict::Accepted);
        place.assert_nowhere([issued.plain.expose()]);
    });
}

/// The node dies with its commit on the wire, which never arrives. I6: nothing is left, no lock
/// either.
fn f01_killed_while_an_insert_is_committed(backend: Backend) {
    run(async {
        let bench = Bench::new(backend).await;
        let text = decisive(backend, "insert", "nightly");
        bench.kill_at(When::Asked(text), "insert", "issue nightly key").await;
        let issued = bench.hallpass.issue(wanted("nightly").idempotency_key("key")).await.unwrap();
        assert_eq!(bench.verdict(issued.plain.expose()).await, Verdict::Accepted);
    });
}

/// The commit arrives and its acknowledgement does not, or only a part of it. I6, I7, I8: the
/// request is answered as an outage, and repeating it gives the token without a second secret.
fn f01_the_answer_to_an_insert_is_lost(backend: Backend) {
    run(async {
        let bench = Bench::new(backend).await;
        for (bytes, name) in [(0, "nightly"), (3, "weekly")] {
            let text = decisive(backend, "insert", name);
            let order = format!("issue {name} {name}");
            let mut process = bench.lose_answer(text, bytes, "insert", &order).await;
            let again = process.ask(&order);
            assert!(again.starts_with("replayed "), "{again}");
            let id = is_stored_once(&bench.hallpass, name, name).await;
            assert_eq!(rest(&again), [id.as_str()]);
        }
    });
}

/// The node dies with the rotation on the wire, which never arrives. I4: the secret stays good and
/// can be replaced.
fn f02_killed_while_a_rotation_is_written(backend: Backend) {
    run(async {
        let bench = Bench::new(backend).await;
        let (id, plain) = (bench.token.token.id, bench.token.plain.expose());
        let text = decisive(backend, "update", &id.to_string());
        bench.kill_at(When::Asked(text), "update", &format!("rotate {id} 3600")).await;
        assert_eq!(bench.hallpass.get(&id).await.unwrap().unwrap().rotation, None);
        assert_eq!(bench.verdict(plain).await, Verdict::Accepted);
        let next = bench.hallpass.rotate(&id, Rotate::new()).await.unwrap();
        assert_eq!(bench.verdict(next.plain.expose()).await, Verdict::Accepted);
    });
}

/// What holds after a rotation whose new secret nobody got: the older one is good for the overlap,
/// rotating again replaces the lost one, and without an overlap the owner must rotate again.
async fn rotates_again(hallpass: &Hallpass, token: &Issued, overlap: bool) {
    let (id, plain) = (token.token.id, token.plain.expose());
    let lost = hallpass.get(&id).await.unwrap().unwrap();
    assert!(lost.rotation.is_some_and(|rotation| rotation.first_used_at.is_none()));
    assert_eq!(verdict(hallpass, plain).await == Verdict::Accepted, overlap);
    let next = hallpass.rotate(&id, Rotate::new()).await.unwrap();
    assert_eq!(verdict(hallpass, plain).await == Verdict::Accepted, overlap);
    assert_eq!(verdict(hallpass, next.plain.expose()).await, Verdict::Accepted);
    let named = everything(hallpass).await.into_iter().filter(|token| token.id == id);
    assert_eq!(named.count(), 1);
}

/// The node dies before the rotation is written, or after that and before it gives the new secret
/// out. I4: there is always one good secret that somebody has, unless the overlap was zero.
fn f03_killed_around_a_rotation(backend: Backend) {
    run(async {
        let place = Place::new(backend).await;
        let hallpass = engine(open(&place.url()).await);
        for overlap in [3600, 0] {
            let token = issue(&hallpass, &format!("overlap {overlap}")).await;
            let (id, plain) = (token.token.id, token.plain.expose());
            let order = format!("rotate {id} {overlap}");
            let mut process = Process::start(&place.url());
            process.ask_until("before update", &order);
            assert!(process.kill().is_empty());
            assert_eq!(verdict(&hallpass, plain).await, Verdict::Accepted);
            let mut process = Process::start(&place.url());
            process.ask_until("after update", &order);
            assert!(process.kill().is_empty());
            rotates_again(&hallpass, &token, overlap > 0).await;
        }
    });
}

/// The acknowledgement of a rotation is lost. I4, I7: the caller is told of an outage, the older
/// secret is good, and rotating again gives one that works.
fn f03_the_answer_to_a_rotation_is_lost(backend: Backend) {
    run(async {
        let bench = Bench::new(backend).await;
        let id = bench.token.token.id;
        let text = decisive(backend, "update", &id.to_string());
        let order = format!("rotate {id} 3600");
        let mut process = bench.lose_answer(text, 0, "update", &order).await;
        // The node that lost the answer does not go on with what it remembers either.
        let older = process.ask(&format!("verify {}", bench.token.plain.expose()));
        assert_eq!(older, "accepted");
        rotates_again(&bench.hallpass, &bench.token, true).await;
        let next = process.ask(&format!("rotate {id} 3600"));
        assert_eq!(process.ask(&format!("verify {}", rest(&next)[0])), "accepted");
    });
}

/// The node dies after a revocation is durable and before it tells anybody itself. I1, I5: other
/// nodes hear of it from the store.
fn f04_killed_after_a_revocation(backend: Backend) {
    run(async {
        let place = Place::new(backend).await;
        let node = Node::on(&place.url()).await;
        let token = issue(&node.hallpass, "ci").await;
        node.remembers(&token).await;
        let mut process = Process::start(&place.url());
        let order = format!("revoke {}", token.token.id);
        process.ask_until("after revoke", &order);
        assert!(process.kill().is_empty());
        refuses(&node, &token).await;
    });
}

async fn refuses(node: &Node, token: &Issued) {
    until("the node refuses", async || {
        let verdict = verdict(&node.hallpass, token.plain.expose()).await;
        assert_ne!(verdict, Verdict::Unavailable);
        verdict == REVOKED
    })
    .await;
}

/// The node dies with the commit of a revocation on the wire, which never arrives. I6: nothing was
/// revoked, nothing is locked, and it is revoked by whoever asks again.
fn f04_killed_while_a_revocation_is_committed(backend: Backend) {
    run(async {
        let bench = Bench::new(backend).await;
        let id = bench.token.token.id;
        let text = decisive(backend, "revoke", &id.to_string());
        bench.kill_at(When::Asked(text), "revoke", &format!("revoke {id}")).await;
        assert_eq!(bench.verdict(bench.token.plain.expose()).await, Verdict::Accepted);
        assert!(revoke(&bench.hallpass, &id).await);
        assert_eq!(bench.verdict(bench.token.plain.expose()).await, REVOKED);
    });
}

/// The acknowledgement of a revocation is lost. I1, I6: the caller is told of an outage; all nodes
/// refuse; asking again changes nothing.
fn f04_the_answer_to_a_revocation_is_lost(backend: Backend) {
    run(async {
        let bench = Bench::new(backend).await;
        let node = Node::on(&bench.place.url()).await;
        node.remembers(&bench.token).await;
        let id = bench.token.token.id;
        let text = decisive(backend, "revoke", &id.to_string());
        let order = format!("revoke {id}");
        let mut process = bench.lose_answer(text, 0, "revoke", &order).await;
        refuses(&node, &bench.token).await;
        let first = bench.hallpass.get(&id).await.unwrap().unwrap().revocation;
        assert_eq!(process.ask(&order), "revoked false");
        assert_eq!(bench.hallpass.get(&id).await.unwrap().unwrap().revocation, first);
        let text = bench.token.plain.expose();
        assert_eq!(process.ask(&format!("verify {text}")), "Revoked");
    });
}

/// The node dies before, in and after a cascade over 150 sessions. I1, I6: as soon as the parent
/// is revoked no session is accepted, swept or not, and revoking again sweeps the rest.
fn f05_killed_in_a_cascade(backend: Backend) {
    run(async {
        let place = Place::new(backend).await;
        let store = open(&place.url()).await;
        let hallpass = engine(store.clone());
        for (number, point) in ["before revoke", "between", "after revoke"].iter().enumerate() {
            let parent = issue(&hallpass, &format!("parent {number}")).await;
            let mut sessions = Vec::new();
            for _ in 0..50 {
                let here = hallpass::Context::default();
                let exchange = hallpass::Exchange::new();
                let session = hallpass.exchange(parent.plain.expose(), &here, exchange).await;
                sessions.push(session.unwrap());
            }
            let id = parent.token.id;
            if *point == "between" {
                // As a sweep leaves it that got no further than the parent.
                let mut only = Filter::new(Reach::Family(id));
                only.ids = Some(vec![id]);
                let reason = RevocationReason::Requested;
                let mark = Revocation { at: start(), by: Actor::System, reason };
                assert_eq!(store.revoke(&only, &mark).await.unwrap(), [id]);
            } else {
                let mut process = Process::start(&place.url());
                process.ask_until(point, &format!("revoke {id}"));
                assert!(process.kill().is_empty());
            }
            let live = *point == "before revoke";
            for session in &sessions {
                let told = verdict(&hallpass, session.plain.expose()).await;
                assert_eq!(told == Verdict::Accepted, live, "{point}: {told:?}");
                assert_ne!(told, Verdict::Unavailable);
            }
            // Asked again, it ends all of them, and the list says so.
            revoke(&hallpass, &id).await;
            let family = everything(&hallpass).await.into_iter();
            let family: Vec<_> = family.filter(|token| token.parent == Some(id)).collect();
            assert_eq!(family.len(), sessions.len());
            assert!(family.iter().all(|token| token.revocation.is_some()), "{point}");
        }
    });
}

/// The node dies before or after the record of an exchanged token is durable. I6, I8: nobody got a
/// text, opaque or signed, and a record that is left ends with its parent.
fn f06_killed_in_an_exchange(backend: Backend) {
    run(async {
        let place = Place::new(backend).await;
        let hallpass = engine(open(&place.url()).await);
        let parent = issue(&hallpass, "ci").await;
        let mut left = 0;
        for order in ["exchange", "sign"] {
            let order = format!("{order} {}", parent.plain.expose());
            for point in ["before insert", "after insert"] {
                let mut process = Process::start(&place.url());
                process.ask_until(point, &order);
                assert!(process.kill().is_empty(), "a text without its record");
                left += usize::from(point == "after insert");
                let tokens = everything(&hallpass).await;
                let sessions: Vec<_> =
                    tokens.iter().filter(|token| token.parent == Some(parent.token.id)).collect();
                assert_eq!(sessions.len(), left);
                assert!(sessions.iter().all(|session| session.last_use.is_none()));
            }
            // The parent is as good as before.
            let answer = Process::start(&place.url()).ask(&order);
            assert!(answer.starts_with("issued "), "{answer}");
            left += 1;
        }
        revoke(&hallpass, &parent.token.id).await;
        let tokens = everything(&hallpass).await;
        assert!(tokens.iter().all(|token| token.revocation.is_some()));
    });
}

/// The node dies while it writes a digest under the new pepper. I6, I7: one of the two digests is
/// stored and verifies, never neither, and who lacks its pepper says so.
fn f08_killed_while_a_digest_is_renewed(backend: Backend) {
    run(async {
        let place = Place::new(backend).await;
        let store = open(&place.url()).await;
        let before = builder(store.clone()).peppers(ring("1")).build().unwrap();
        let token = issue(&before, "ci").await;
        let text = token.plain.expose();
        for point in ["before update", "after update"] {
            let mut process = Process::start_with(&place.url(), "2,1");
            process.ask_until(point, &format!("verify {text}"));
            assert!(process.kill().is_empty());
            let both = builder(store.clone()).peppers(ring("3,2,1")).build().unwrap();
            let rotating = both.get(&token.token.id).await.unwrap().unwrap();
            assert_eq!(rotating.revocation, None);
            let now = builder(store.clone()).peppers(ring("2")).build().unwrap();
            let told = verdict(&now, text).await;
            if point == "before update" {
                // What is missing is the pepper, and the token may be good.
                assert_eq!(told, Verdict::Unavailable);
                assert_eq!(verdict(&before, text).await, Verdict::Accepted);
            } else {
                assert_eq!(told, Verdict::Accepted);
                assert_eq!(verdict(&before, text).await, Verdict::Unavailable);
            }
        }
    });
}

/// Every process is gone and others start. I1, I5: what was revoked is refused from the first
/// request on, and cursors of lists go on where the host kept their key.
fn f26_restarted(backend: Backend) {
    run(async {
        let place = Place::new(backend).await;
        let mut process = Process::start(&place.url());
        let mut texts = Vec::new();
        for number in 0..6 {
            let answer = process.ask(&format!("issue {number} {number}"));
            let [id, text] = rest(&answer)[..] else { panic!("{answer}") };
            if number % 2 == 0 {
                assert_eq!(process.ask(&format!("revoke {id}")), "revoked true");
            }
            texts.push(text.to_owned());
        }
        let cursor = {
            let hallpass = engine(open(&place.url()).await);
            let request = hallpass::ListRequest::new(Filter::new(Reach::All)).limit(2);
            hallpass.list(&request).await.unwrap().next.unwrap()
        };
        process.kill();
        let mut process = Process::start(&place.url());
        for (number, text) in texts.iter().enumerate() {
            let expected = if number % 2 == 0 { "Revoked" } else { "accepted" };
            assert_eq!(process.ask(&format!("verify {text}")), expected);
        }
        let store = open(&place.url()).await;
        let request = hallpass::ListRequest::new(Filter::new(Reach::All)).limit(2).after(cursor);
        let restarted = engine(store.clone());
        assert_eq!(restarted.list(&request).await.unwrap().tokens.len(), 2);
        let other = builder(store).cursor_key([8; 32]).build().unwrap();
        assert!(matches!(other.list(&request).await, Err(hallpass::ListError::Cursor)));
    });
}
