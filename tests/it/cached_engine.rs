//! Tokens verified through the cache: only facts are kept, and time, owner and scopes are judged
//! anew.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use chrono::TimeDelta;
use hallpass::store::{CacheOptions, CachedStore, Notice};
use hallpass::{
    Context, DenialReason, Hallpass, Issue, Issued, Leak, ManualClock, Owner, OwnerDirectory,
    OwnerDirectoryError, OwnerFacts, RevocationReason, Rights, Rotate, ScopeCatalog, Tenant,
    TokenId, VerifyError,
};

use crate::cached_support::{Bed, Bus, HandClock, Point, Run, Scripted, now};
use hallpass::conformance::support::at;

/// Owners as the test has them at the moment.
#[derive(Debug)]
struct Owners(Mutex<Option<OwnerFacts>>);

#[async_trait]
impl OwnerDirectory for Owners {
    async fn find(
        &self,
        _tenant: &Tenant,
        _owner: &Owner,
    ) -> Result<Option<OwnerFacts>, OwnerDirectoryError> {
        Ok(*self.0.lock().unwrap())
    }

    fn resident(&self, _tenant: &Tenant, _owner: &Owner) -> Option<OwnerFacts> {
        *self.0.lock().unwrap()
    }
}

/// A node: an engine on a cache on the database that others share.
struct Node {
    hallpass: Hallpass,
    clock: Arc<ManualClock>,
    owners: Arc<Owners>,
    catalog: ScopeCatalog,
}

impl Node {
    fn on(store: &CachedStore<Scripted>) -> Self {
        let clock = Arc::new(ManualClock::at(at(0)));
        let owners = Arc::new(Owners(Mutex::new(Some(OwnerFacts::active(Rights::All)))));
        let catalog = ScopeCatalog::of(["repo:read", "repo:write"]).unwrap();
        let hallpass = Hallpass::builder(store.clone())
            .brand("acme")
            .catalog(catalog.clone())
            .clock(clock.clone())
            .owners(owners.clone())
            .build()
            .unwrap();
        Self { hallpass, clock, owners, catalog }
    }

    fn issue(&self) -> Issued {
        now(self.hallpass.issue(Issue::new("ci").owner("u1").scopes(["repo:read"]))).unwrap()
    }

    /// Why a token is refused, if it is.
    fn refuses(&self, issued: &Issued) -> Option<DenialReason> {
        match now(self.hallpass.verify(issued.plain.expose(), &Context::default())) {
            Ok(_) => None,
            Err(VerifyError::Denied(denial)) => Some(denial.reason()),
            Err(error) => panic!("{error:?}"),
        }
    }
}

#[test]
fn verdicts_are_not_kept() {
    let bed = Bed::new();
    let node = Node::on(&bed.store);
    let issued = node.issue();
    for _ in 0..3 {
        let verified =
            now(node.hallpass.verify(issued.plain.expose(), &Context::default())).unwrap();
        assert!(verified.require("repo:read").is_ok());
        assert!(verified.require("repo:write").is_err());
    }
    assert_eq!(bed.script.reads(), 1);
    // A wrong secret of a token that is kept.
    let text = issued.plain.expose();
    assert_eq!(node.refuses(&issued), None);
    let elsewhere = Context { audience: Some("https://other.example"), ..Context::default() };
    assert!(now(node.hallpass.verify(text, &elsewhere)).is_err());
    assert_eq!(bed.script.reads(), 1);
}

#[test]
fn an_owner_who_is_demoted_or_suspended_is_refused_at_once() {
    let bed = Bed::new();
    let node = Node::on(&bed.store);
    let issued = node.issue();
    assert_eq!(node.refuses(&issued), None);
    let rights = Rights::Only(node.catalog.set(["repo:write"]).unwrap());
    *node.owners.0.lock().unwrap() = Some(OwnerFacts::active(rights));
    let verified = now(node.hallpass.verify(issued.plain.expose(), &Context::default())).unwrap();
    assert!(verified.require("repo:read").is_err());
    *node.owners.0.lock().unwrap() =
        Some(OwnerFacts { active: false, ..OwnerFacts::active(Rights::All) });
    assert_eq!(node.refuses(&issued), Some(DenialReason::OwnerInactive));
    assert_eq!(bed.script.reads(), 1);
}

#[test]
fn a_kept_token_ends_at_its_expiry_on_every_node() {
    let script = Scripted::default();
    let beds: Vec<Bed> =
        (0..3).map(|_| Bed::on(script.clone(), CacheOptions::new().without_channel())).collect();
    let nodes: Vec<Node> = beds.iter().map(|bed| Node::on(&bed.store)).collect();
    let issued = nodes[0].issue();
    let end = issued.token.expires_at.unwrap();
    // The third node never saw it before.
    for node in &nodes[..2] {
        assert_eq!(node.refuses(&issued), None);
    }
    for node in &nodes {
        node.clock.set(end.saturating_sub(TimeDelta::milliseconds(1)));
        assert_eq!(node.refuses(&issued), None);
        node.clock.set(end);
        assert_eq!(node.refuses(&issued), Some(DenialReason::Expired));
        node.clock.set(end.saturating_add(TimeDelta::milliseconds(1)));
        assert_eq!(node.refuses(&issued), Some(DenialReason::Expired));
    }
}

#[test]
fn a_revoked_token_is_refused_after_a_cache_hit_even_without_a_database() {
    let bed = Bed::new();
    let node = Node::on(&bed.store);
    let issued = node.issue();
    assert_eq!(node.refuses(&issued), None);
    now(node.hallpass.revoke(&issued.token.id, RevocationReason::Leaked)).unwrap();
    // Were the store asked, it would not answer.
    bed.script.stop(Point::BeforeRead);
    assert_eq!(node.refuses(&issued), Some(DenialReason::Revoked));
}

#[test]
fn an_outage_is_no_denial_and_no_acceptance() {
    let bed = Bed::new();
    let node = Node::on(&bed.store);
    let issued = node.issue();
    let text = issued.plain.expose();
    bed.script.answer(Err(hallpass::StoreError::unavailable("down")));
    let error = now(node.hallpass.verify(text, &Context::default())).unwrap_err();
    assert!(matches!(error, VerifyError::Unavailable(_)), "{error:?}");
    assert_eq!(node.refuses(&issued), None);
    // Kept, it goes on being accepted while the store is away, but for no longer than the TTL.
    bed.script.stop(Point::BeforeRead);
    bed.clock.advance(9_999);
    assert_eq!(node.refuses(&issued), None);
    bed.clock.advance(1);
    assert!(Run::new(node.hallpass.verify(text, &Context::default())).poll().is_none());
}

#[test]
fn a_secret_made_on_another_node_works_here_at_once() {
    let script = Scripted::default();
    let beds = [(), ()].map(|()| Bed::on(script.clone(), CacheOptions::new().without_channel()));
    let [here, there] = [Node::on(&beds[0].store), Node::on(&beds[1].store)];
    let issued = here.issue();
    assert_eq!(there.refuses(&issued), None);
    let rotated = now(here.hallpass.rotate(&issued.token.id, Rotate::new())).unwrap();
    assert_eq!(there.refuses(&rotated), None);
    assert_eq!(there.refuses(&issued), None, "within the overlap");
    // Used for the first time there, it is known as that here.
    assert_eq!(here.refuses(&rotated), None);
    // A wrong secret is refused by what is stored, not by what is kept.
    let other = here.issue_named("other");
    let mut forged = issued.plain.expose().to_owned();
    let tail = other.plain.expose()[26..].to_owned();
    forged.replace_range(26.., &tail);
    assert!(now(there.hallpass.verify(&forged, &Context::default())).is_err());
}

#[test]
fn a_secret_made_on_another_node_ends_the_token_here() {
    let ways: [fn(&Hallpass, &str) -> Option<TokenId>; 2] = [
        |hallpass, text| now(hallpass.revoke_text(text, RevocationReason::Requested)).unwrap(),
        |hallpass, text| {
            let scanner = Owner::parse("github").unwrap();
            now(hallpass.report_leak(text, Leak::found_by(&scanner))).unwrap()
        },
    ];
    for end in ways {
        let script = Scripted::default();
        let beds =
            [(), ()].map(|()| Bed::on(script.clone(), CacheOptions::new().without_channel()));
        let [here, there] = [Node::on(&beds[0].store), Node::on(&beds[1].store)];
        let issued = here.issue();
        assert_eq!(there.refuses(&issued), None);
        let rotated = now(here.hallpass.rotate(&issued.token.id, Rotate::new())).unwrap();
        assert_eq!(end(&there.hallpass, rotated.plain.expose()), Some(issued.token.id));
        assert_eq!(there.refuses(&rotated), Some(DenialReason::Revoked));
    }
}

impl Node {
    fn issue_named(&self, name: &str) -> Issued {
        now(self.hallpass.issue(Issue::new(name).owner("u1").scopes(["repo:read"]))).unwrap()
    }
}

#[test]
fn two_nodes_agree_within_the_bound_whatever_is_lost() {
    for healthy in [true, false] {
        let bus = Bus::default();
        let script = Scripted::with_bus(&bus);
        let clock = HandClock::default();
        let store = || CacheOptions::new().with_clock(clock.clone()).wrap(script.clone());
        let (here, there) = (store(), store());
        let mut follow = Run::new(there.follow_with(|_| std::future::ready(())));
        let (here, there) = (Node::on(&here), Node::on(&there));
        let issued = here.issue();
        bus.say(Notice::Gap);
        follow.poll();
        assert_eq!(there.refuses(&issued), None);
        now(here.hallpass.revoke(&issued.token.id, RevocationReason::Requested)).unwrap();
        assert_eq!(here.refuses(&issued), Some(DenialReason::Revoked));
        if healthy {
            bus.say(Notice::Changed { id: issued.token.id, version: 2 });
            follow.poll();
        } else {
            assert_eq!(there.refuses(&issued), None);
            clock.advance(9_999);
            assert_eq!(there.refuses(&issued), None);
            clock.advance(1);
        }
        assert_eq!(there.refuses(&issued), Some(DenialReason::Revoked));
    }
}
