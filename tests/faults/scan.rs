//! Reports of leaked tokens: nodes that are killed while they deal with one.

use std::cell::RefCell;

use hallpass::{RevocationReason, Token};

use crate::place::{
    Backend, Place, REVOKED, Verdict, engine, everything, issue, open, until, verdict,
};
use crate::process::Process;
use crate::proxy::{Fate, Proxy, When};
use crate::{Test, on_each, run};

pub(crate) fn tests() -> Vec<Test> {
    let mut tests = on_each("f07_killed_in_a_report", Backend::ALL, f07_killed_in_a_report);
    tests.extend(on_each("f07_the_store_is_lost_in_a_report", Backend::SERVERS, f07_store_is_lost));
    tests
}

/// How many tokens are reported, and how many are dealt with at the same time.
const REPORTED: usize = 40;
const AT_ONCE: usize = 16;

/// What was revoked because it leaked; nothing was revoked otherwise.
fn ended(tokens: &[Token]) -> usize {
    let ended = tokens.iter().filter_map(|token| token.revocation.as_ref());
    ended.inspect(|mark| assert_eq!(mark.reason, RevocationReason::Leaked)).count()
}

/// The node dies at one of the matches. I5, I6: those before it are revoked, the rest is untouched,
/// and the same report again ends what is left and changes nothing else.
fn f07_killed_in_a_report(backend: Backend) {
    run(async {
        for (point, passed) in [("before revoke", 0), ("after revoke", 20), ("before revoke", 39)] {
            let place = Place::new(backend).await;
            let hallpass = engine(open(&place.url()).await);
            let mut texts = Vec::new();
            for number in 0..REPORTED {
                let token = issue(&hallpass, &format!("ci {number}")).await;
                texts.push(token.plain.expose().to_owned());
            }
            let order = format!("report {}", texts.join(","));
            let mut process = Process::start(&place.url());
            process.ask_until(&format!("{point} {passed}"), &order);
            assert!(process.kill().is_empty(), "nothing was said of any");
            let whole = passed / AT_ONCE * AT_ONCE;
            for (number, text) in texts.iter().enumerate() {
                let told = verdict(&hallpass, text).await;
                let possible = match number {
                    _ if number < whole => told == REVOKED,
                    _ if number >= whole + AT_ONCE => told == Verdict::Accepted,
                    _ => told == REVOKED || told == Verdict::Accepted,
                };
                assert!(possible, "{point} {passed}: {number} is {told:?}");
            }
            let before = everything(&hallpass).await;
            assert!((whole..REPORTED).contains(&ended(&before)));
            let mut process = Process::start(&place.url());
            for _ in 0..2 {
                let answer = process.ask(&order);
                assert!(answer.starts_with("labelled "), "{answer}");
                assert_eq!(answer.matches(r#""label":"true_positive""#).count(), REPORTED);
                let after = everything(&hallpass).await;
                assert_eq!(ended(&after), REPORTED);
                // The first revocation stands.
                for token in before.iter().filter(|token| token.revocation.is_some()) {
                    assert!(after.contains(token));
                }
            }
            place.assert_nowhere(texts.iter().map(String::as_str));
        }
    });
}

/// The store goes away at one of the matches, and its answer with it. I7: that is an outage and no
/// label, and the same report again ends everything.
fn f07_store_is_lost(backend: Backend) {
    run(async {
        let place = Place::new(backend).await;
        let hallpass = engine(open(&place.url()).await);
        let mut texts = Vec::new();
        for number in 0..REPORTED {
            let token = issue(&hallpass, &format!("ci {number}")).await;
            texts.push(token.plain.expose().to_owned());
        }
        let proxy = Proxy::before(place.port()).await;
        let order = format!("report {}", texts.join(","));
        let mut process = Process::start(&place.url_by(proxy.port()));
        process.ask_until("before revoke 20", &order);
        proxy.fail(When::Always, Fate::Cut);
        process.tell("go");
        assert_eq!(process.hear(), "unavailable");
        let part = ended(&everything(&hallpass).await);
        assert!((AT_ONCE..REPORTED).contains(&part), "{part}");
        proxy.heal();
        let process = RefCell::new(process);
        let is_labelled = async || process.borrow_mut().ask(&order).starts_with("labelled ");
        until("the store is found again", is_labelled).await;
        assert_eq!(ended(&everything(&hallpass).await), REPORTED);
    });
}
