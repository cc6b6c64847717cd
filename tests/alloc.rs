//! Verifying a hot token, and refusing what is no token, costs no allocation.
//!
//! This is a binary of its own because it counts every allocation of its threads.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test says so by failing")]

use std::future::Future;
use std::pin::pin;
use std::task::{Context as TaskContext, Poll, Waker};

use allocation_counter::measure;
use hallpass::{Context, Hallpass, Issue, MemoryStore, Policy, ScopeCatalog};

fn run<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut TaskContext::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("the memory store never waits"),
    }
}

fn engine() -> Hallpass {
    let catalog = ScopeCatalog::of(["repo:read", "repo:write"]).unwrap();
    Hallpass::builder(MemoryStore::new()).brand("acme").catalog(catalog).build().unwrap()
}

/// How many allocations a call makes once everything is warm.
fn allocations(mut call: impl FnMut()) -> u64 {
    for _ in 0..3 {
        call();
    }
    measure(|| (0..100).for_each(|_| call())).count_total
}

#[test]
fn a_hot_token_is_verified_without_allocation() {
    let hallpass = engine();
    let uuid = "123e4567-e89b-12d3-a456-426614174000";
    let context = Context {
        ip: Some("192.0.2.1".parse().unwrap()),
        agent: Some("curl/8.5.0"),
        ..Context::default()
    };
    for owner in ["u1", uuid] {
        let issue = Issue::new("ci").owner(owner).scopes(["repo:read"]).on(["org/*"]);
        for issue in [issue, Issue::new("bare").owner(owner).scopes(["repo:read"])] {
            let issued = run(hallpass.issue(issue)).unwrap();
            let count = allocations(|| {
                let verified = run(hallpass.verify(issued.plain.expose(), &context)).unwrap();
                assert!(verified.require("repo:read").is_ok());
            });
            assert_eq!(count, 0, "{owner}");
        }
    }
}

#[test]
fn what_is_no_token_is_refused_without_allocation() {
    let hallpass = engine();
    let issue = Issue::new("ci").owner("u1").scopes(["repo:read"]);
    let good = run(hallpass.issue(issue)).unwrap();
    let good = good.plain.expose();
    let huge = "a".repeat(1 << 20);
    let last = if good.ends_with('0') { "1" } else { "0" };
    let checksum = format!("{}{last}", &good[..good.len() - 1]);
    let foreign = good.replacen("acme", "emca", 1);
    for text in ["", "x", &huge, &checksum, &foreign] {
        let count = allocations(|| {
            assert!(run(hallpass.verify(text, &Context::default())).is_err());
        });
        assert_eq!(count, 0);
    }
}

#[test]
fn a_ceiling_costs_no_allocation() {
    let policy = Policy {
        ceiling: Some(std::sync::Arc::new(|_| hallpass::Rights::All)),
        ..Policy::default()
    };
    let catalog = ScopeCatalog::of(["repo:read"]).unwrap();
    let hallpass = Hallpass::builder(MemoryStore::new())
        .brand("acme")
        .catalog(catalog)
        .policy(policy)
        .build()
        .unwrap();
    let issue = Issue::new("ci").owner("u1").scopes(["repo:read"]);
    let issued = run(hallpass.issue(issue)).unwrap();
    let count = allocations(|| {
        assert!(run(hallpass.verify(issued.plain.expose(), &Context::default())).is_ok());
    });
    assert_eq!(count, 0);
}
