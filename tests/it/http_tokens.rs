//! Token texts from the bad-input corpus, sent as bearer tokens.

use chrono::TimeDelta;
use hallpass::{
    Context, Exchange, Expiry, Kind, OwnerFacts, Requirement, RevocationReason, Rights, Rotate,
    Verified,
};

use crate::http_support::{V2, V3, V4, World, get, text_of};

const BASE62: &str = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

#[tokio::test]
async fn a_good_token_is_let_in() {
    // C1
    let world = World::new();
    let answer = world.bearer(world.ok().await).await;
    assert_eq!((answer.status, answer.owner()), (200, "u1"));
    assert!(answer.verified.as_ref().is_some_and(|token: &Verified| token.grants("repo:read")));
}

#[tokio::test]
async fn a_good_token_whose_checksum_begins_with_a_zero_is_let_in() {
    // C1: one in five does.
    let world = World::new();
    for _ in 0..500 {
        let issued = world.issue(&["repo:read"]).await;
        let text = issued.plain.expose();
        if text[text.len() - 6..].starts_with('0') {
            assert_eq!(world.bearer(text).await.status, 200);
            return;
        }
        world.hallpass.revoke(&issued.token.id, RevocationReason::Requested).await.unwrap();
    }
    panic!("no checksum begins with a zero");
}

#[tokio::test]
async fn an_unknown_token_costs_one_look_up_and_a_typo_none() {
    // C2, C3, C8, C11, C12, C28
    let world = World::new();
    world.bearer(V2).await.is_h5();
    assert_eq!(world.store.taken_finds(), 1);
    let head = |text: &str| text[..text.len() - 6].to_owned();
    for text in [
        V2[..V2.len() - 1].to_owned(),
        format!("{V2}0"),
        format!("{V2}="),
        V3.replace("acme_at", "acme_pat"),
        format!("{}zzzzzz", head(V2)),
        format!("{}4gfFC4", head(V2)),
        format!("{}------", head(V2)),
        format!("{}0pS2y", head(V4)),
        format!("{}pS2y", head(V4)),
        format!("ghp_{}", "a".repeat(36)),
    ] {
        world.bearer(&text).await.is_h5();
        assert_eq!(world.store.taken_finds(), 0, "{text}");
    }
    assert!(!format!("{:?}", world.events.taken()).contains("ghp_"));
}

#[tokio::test]
async fn no_damaged_spelling_of_a_good_token_is_let_in() {
    // C4, C5, C6, C7, C15
    let world = World::new();
    let ok = world.ok().await;
    world.store.taken_finds();
    for cut in 1..ok.len() {
        world.bearer(&ok[..cut]).await.is_h5();
    }
    for place in 0..ok.len() {
        for byte in BASE62.bytes().chain([b'_']) {
            let mut text = ok.clone().into_bytes();
            if std::mem::replace(&mut text[place], byte) != byte {
                world.bearer(&text).await.is_h5();
            }
        }
        let mut text = ok.clone().into_bytes();
        if place + 1 < text.len() && text[place] != text[place + 1] {
            text.swap(place, place + 1);
            world.bearer(&text).await.is_h5();
        }
    }
    let (brand_kind_id, secret) = ok.rsplit_once('_').unwrap();
    for text in [
        format!("{secret}_{brand_kind_id}"),
        ok.to_uppercase(),
        ok.to_lowercase(),
        ok.replace("acme_pat", "Acme_pat"),
        ok.replace("_pat_", "_pat__"),
        ok.replace("_pat_", "_pat-"),
        format!("{brand_kind_id}{secret}"),
    ] {
        world.bearer(&text).await.is_h5();
    }
    assert_eq!(world.store.taken_finds(), 0);
}

#[tokio::test]
async fn a_token_of_one_kind_is_not_one_of_another() {
    // C9, C10
    let world = World::new();
    let ok = world.ok().await;
    let access = world.hallpass.exchange(&ok, &Context::default(), Exchange::new()).await.unwrap();
    let access = access.plain.expose();
    let relabelled = text_of(&access[..access.len() - 6].replace("acme_at_", "acme_pat_"));
    world.bearer(&relabelled).await.is_h5();

    let only = |kind| Requirement::scope("repo:read").kinds([kind]);
    for (text, kind, status) in [
        (access, Kind::Access, 200),
        (access, Kind::Personal, 401),
        (&ok, Kind::Personal, 200),
        (&ok, Kind::Access, 401),
    ] {
        let request = get().header("authorization", format!("Bearer {text}"));
        let answer = world.ask(request, Some(only(kind))).await;
        assert_eq!(answer.status, status, "{kind}");
        if status == 401 {
            answer.is_h5();
        }
    }
}

#[tokio::test]
async fn an_id_does_not_open_with_the_secret_of_another() {
    // C13
    let world = World::new();
    let (a, b) = (world.ok().await, world.ok().await);
    let secret = &b.rsplit_once('_').unwrap().1[..43];
    let mixed = text_of(&format!("{}_{secret}", a.rsplit_once('_').unwrap().0));
    world.store.taken_finds();
    world.bearer(&mixed).await.is_h5();
    assert_eq!(world.store.taken_finds(), 1);
}

#[tokio::test]
async fn guessing_neither_locks_nor_revokes_the_token() {
    // C14
    let world = World::new();
    let ok = world.ok().await;
    let guess = text_of(&format!("{}_{}", ok.rsplit_once('_').unwrap().0, "0".repeat(43)));
    for _ in 0..10_000 {
        world.bearer(&guess).await.is_h5();
    }
    assert_eq!(world.bearer(&ok).await.status, 200);
}

#[tokio::test]
async fn wrapped_escaped_and_look_alike_tokens_are_malformed() {
    // C16, C17, C18, C19, C20, C26, C27
    let world = World::new();
    let ok = world.ok().await;
    world.store.taken_finds();
    for text in [
        ok.replace('_', "%5F"),
        ok.replace('_', "\\x5f"),
        ok.replace('_', "&#95;"),
        format!("\"{ok}\""),
        format!("<{ok}>"),
        format!("'{ok}'"),
        format!("{{{ok}}}"),
        format!("secret-token:{ok}"),
        format!("{ok}\u{a0}"),
        format!("\u{a0}{ok}"),
        ok.replacen('_', "_\u{200b}", 1),
        format!("\u{feff}{ok}"),
        ok.replace("acme", "ａｃｍｅ"),
        ok.replace("pat", "рat"),
        "v1$0$AAAA".to_owned(),
        "[object Object]".to_owned(),
    ] {
        assert_eq!(world.bearer(&text).await.status, 400, "{text:?}");
    }
    for text in ["null", "undefined", "Bearer", "1", &ok[9..25], &"0f".repeat(32)] {
        world.bearer(text).await.is_h5();
    }
    assert_eq!(world.store.taken_finds(), 0);
}

#[tokio::test]
async fn a_token_is_good_from_its_first_to_before_its_last_instant() {
    // C23
    let world = World::new();
    let issued = world
        .issue_as(
            |issue| {
                issue
                    .expiry(Expiry::At("2026-11-22T09:00:20Z".parse().unwrap()))
                    .not_before("2026-11-22T09:00:10Z".parse().unwrap())
            },
            &["repo:read"],
        )
        .await;
    let text = issued.plain.expose();
    for (instant, status) in [
        ("2026-11-22T09:00:09Z", 401),
        ("2026-11-22T09:00:10Z", 200),
        ("2026-11-22T09:00:19.999999Z", 200),
        ("2026-11-22T09:00:20Z", 401),
        ("2026-11-22T09:00:21Z", 401),
    ] {
        world.clock.set(instant.parse().unwrap());
        assert_eq!(world.bearer(text).await.status, status, "{instant}");
    }
}

#[tokio::test]
async fn a_replaced_secret_is_good_during_the_overlap_unless_revoked() {
    // C24
    let world = World::new();
    let hour = TimeDelta::hours(1);
    let (old, ended) = (world.issue(&["repo:read"]).await, world.issue(&["repo:read"]).await);
    for issued in [&old, &ended] {
        let rotate = Rotate::new().overlap(hour);
        let newer = world.hallpass.rotate(&issued.token.id, rotate).await.unwrap();
        assert_eq!(world.bearer(newer.plain.expose()).await.status, 200);
        assert_eq!(world.bearer(issued.plain.expose()).await.status, 200);
    }
    world.hallpass.revoke(&ended.token.id, RevocationReason::Requested).await.unwrap();
    world.bearer(ended.plain.expose()).await.is_h5();
    assert_eq!(world.bearer(old.plain.expose()).await.status, 200);
    world.clock.advance(hour);
    world.bearer(old.plain.expose()).await.is_h5();
}

#[tokio::test]
async fn tokens_follow_their_owner() {
    // C25; the outage is with the answers
    let world = World::new();
    let ok = world.ok().await;
    let active = OwnerFacts::active(Rights::All);
    for (facts, status) in [
        (Some(active), 200),
        (Some(OwnerFacts { active: false, ..active }), 401),
        (None, 401),
        (Some(active), 200),
    ] {
        world.owners.set(Some(facts));
        assert_eq!(world.bearer(&ok).await.status, status, "{facts:?}");
    }
}
