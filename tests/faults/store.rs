//! Stores that take no writes, engines that were set up wrongly, and versions side by side.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hallpass::store::{CacheOptions, Filter, Reach};
use hallpass::{
    DenialReason, Entropy, EntropyError, IssueError, RestoreGuard, RevocationReason, RevokeError,
    Rotate, RotateError, Status, StoreError,
};

use crate::place::{
    Backend, Place, REVOKED, Verdict, builder, engine, everything, is_changed, issue, open, revoke,
    start, try_open, until, verdict, wanted,
};
use crate::postgres::own;
use crate::process::{self, Process, ring};
use crate::proxy::{Fate, Proxy, When};
use crate::{Case, Test, on_each, run, test};

pub(crate) fn tests() -> Vec<Test> {
    let all: [Case; 5] = [
        ("f27_started_with_wrong_peppers", f27_started_with_wrong_peppers),
        ("f28_two_peppers_side_by_side", f28_two_peppers_side_by_side),
        ("f28_a_later_schema", f28_a_later_schema),
        ("f33_an_eviction_storm", f33_an_eviction_storm),
        ("f36_without_randomness", f36_without_randomness),
    ];
    let mut tests: Vec<Test> =
        all.into_iter().flat_map(|(name, run)| on_each(name, Backend::ALL, run)).collect();
    tests.extend(on_each("f14_no_more_writes", Backend::SERVERS, f14_no_more_writes));
    tests.extend(on_each("f27_started_without_a_store", Backend::SERVERS, f27_without_a_store));
    tests.push(test("f14_f35_a_full_disk", &[Backend::Sqlite], f14_f35_a_full_disk));
    tests.push(test("f29_a_count_that_may_not_last", &[], f29_a_count_that_may_not_last));
    tests.push(test("f35_a_deleted_log", &[Backend::Sqlite], f35_a_deleted_log));
    tests
}

/// The store answers and takes no writes. I5, I7: what is to be written is an outage, what is only
/// read goes on, last uses wait, and all is well afterwards.
fn f14_no_more_writes(backend: Backend) {
    run(async {
        let place = Place::to_kill(backend);
        let hallpass = engine(open(&place.url()).await);
        let token = issue(&hallpass, "ci").await;
        let writes = async |on: bool| match backend {
            Backend::Postgres => {
                let off = if on { "off" } else { "on" };
                let set = format!("ALTER SYSTEM SET default_transaction_read_only = {off}");
                place.sql(&set).await;
                place.sql("SELECT 'read' FROM pg_reload_conf()").await;
                let shown = "SHOW default_transaction_read_only";
                until("it is so", async || place.sql(shown).await == [off]).await;
            }
            _ => {
                let replicas = if on { "0" } else { "1" };
                place.redis(&["CONFIG", "SET", "min-replicas-to-write", replicas]);
            }
        };
        writes(false).await;
        // Connections that are there hear of it by and by.
        until("nothing is written", async || !is_changed(&hallpass, &token.token.id).await).await;
        let issued = hallpass.issue(wanted("more")).await;
        assert!(matches!(issued, Err(IssueError::Store(StoreError::Unavailable(_)))), "{issued:?}");
        let revoked = hallpass.revoke(&token.token.id, RevocationReason::Requested).await;
        let outage = matches!(revoked, Err(RevokeError::Store(StoreError::Unavailable(_))));
        assert!(outage, "{revoked:?}");
        for _ in 0..20 {
            assert_eq!(verdict(&hallpass, token.plain.expose()).await, Verdict::Accepted);
        }
        hallpass.maintain().await.unwrap_err();
        writes(true).await;
        until("it is written again", async || is_changed(&hallpass, &token.token.id).await).await;
        assert_eq!(hallpass.maintain().await.unwrap().uses, 1);
        assert_eq!(everything(&hallpass).await.len(), 1);
        revoke(&hallpass, &token.token.id).await;
        assert_eq!(verdict(&hallpass, token.plain.expose()).await, REVOKED);
    });
}

/// The file can grow no more. I5, I6, I7: what does not fit is an outage and leaves nothing, what
/// was acknowledged is there, tokens are verified, and others with room can write.
fn f14_f35_a_full_disk() {
    run(async {
        let place = Place::new(Backend::Sqlite).await;
        let hallpass = engine(open(&place.url()).await);
        let mut process = Process::start_with_room(&place.url(), 400);
        let mut issued = Vec::new();
        let outage = loop {
            let number = issued.len();
            let answer = process.ask(&format!("issue {number} {number}"));
            match answer.strip_prefix("issued ") {
                Some(rest) => issued.push(rest.split(' ').nth(1).unwrap().to_owned()),
                None => break answer,
            }
            assert!(number < 49, "it is never full");
            let rotating = format!("rotate {} 3600", answer.split(' ').nth(1).unwrap());
            let rotated = (0..12).map(|_| process.ask(&rotating)).last().unwrap();
            match rotated.strip_prefix("rotated ") {
                Some(text) => *issued.last_mut().unwrap() = text.to_owned(),
                None => break rotated,
            }
        };
        assert_eq!(outage, "unavailable");
        for text in issued.iter().take(issued.len() - 1) {
            assert_eq!(process.ask(&format!("verify {text}")), "accepted");
            assert_eq!(verdict(&hallpass, text).await, Verdict::Accepted);
        }
        let tokens = everything(&hallpass).await;
        assert!(tokens.len() == issued.len(), "{} {}", tokens.len(), issued.len());
        process.kill();
        for token in tokens {
            assert!(revoke(&hallpass, &token.id).await);
        }
        for text in &issued {
            assert!(matches!(verdict(&hallpass, text).await, Verdict::Denied(_)));
        }
    });
}

/// A process dies with a revocation in the write-ahead log, and the log is deleted before the next
/// one starts. With its log, the file has everything (I5). Without it, what was revoked is live in
/// the file: the guard notices by the count of revocations, and every token is an outage until that
/// is dealt with (I1, I7).
fn f35_a_deleted_log() {
    run(async {
        for deleted in [false, true] {
            let place = Place::new(Backend::Sqlite).await;
            let kept_apart = tempfile::tempdir().unwrap();
            let seen = kept_apart.path().join("generation");
            let mut process = Process::start(&place.url());
            let [kept, lost] = ["kept", "lost"].map(|name| {
                let answer = process.ask(&format!("issue {name} {name}"));
                let words: Vec<String> = answer.split(' ').map(str::to_owned).collect();
                words
            });
            let file = place.files().join("tokens");
            rusqlite::Connection::open(&file)
                .unwrap()
                .query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))
                .unwrap();
            let guard = RestoreGuard::open(open(&place.url()).await, &seen).await.unwrap();
            assert_eq!(process.ask(&format!("revoke {}", lost[1])), "revoked true");
            assert!(!guard.check().await.unwrap());
            // Whoever closes the file last moves the log into it: the process, which is killed.
            drop(guard);
            process.kill();
            assert!(fs::metadata(file.with_file_name("tokens-wal")).unwrap().len() > 0);
            if deleted {
                for name in ["tokens-wal", "tokens-shm"] {
                    fs::remove_file(file.with_file_name(name)).unwrap();
                }
            }
            let store = open(&place.url()).await;
            let guard = Arc::new(RestoreGuard::open(store, &seen).await.unwrap());
            assert_eq!(guard.is_behind(), deleted);
            let hallpass = engine(guard.clone());
            if deleted {
                for text in [&kept[2], &lost[2]] {
                    assert_eq!(verdict(&hallpass, text).await, Verdict::Unavailable);
                }
                let mut again = Filter::new(Reach::All);
                again.ids = Some(vec![lost[1].parse().unwrap()]);
                let revoked = hallpass.revoke_matching(again, RevocationReason::Requested).await;
                assert_eq!(revoked.unwrap().len(), 1);
                guard.accept().await.unwrap();
            }
            assert_eq!(verdict(&hallpass, &kept[2]).await, Verdict::Accepted);
            assert_eq!(verdict(&hallpass, &lost[2]).await, REVOKED);
            place.assert_nowhere([kept[2].as_str(), &lost[2]]);
        }
    });
}

/// What the guard keeps must last, or a power cut brings back an older count, with which a restored
/// database is not noticed (I1). Where that cannot be had, it says so.
fn f29_a_count_that_may_not_last() {
    for (mode, expected) in [(0o700, "guarded"), (0o300, "unavailable")] {
        let folder = tempfile::tempdir().unwrap();
        own(folder.path());
        // One in which files can be made and replaced, and that cannot be opened to be synced.
        fs::set_permissions(folder.path(), Permissions::from_mode(mode)).unwrap();
        assert_eq!(process::guard(&folder.path().join("generation")), expected);
        fs::set_permissions(folder.path(), Permissions::from_mode(0o700)).unwrap();
        let kept = fs::read_to_string(folder.path().join("generation")).unwrap();
        assert_eq!(kept, "0\n");
    }
}

/// A pepper is missing, another has its number, or none is left. I7: nothing is accepted, nothing
/// is called bad that may be good, and no record changes, whatever runs meanwhile.
fn f27_started_with_wrong_peppers(backend: Backend) {
    run(async {
        let place = Place::new(backend).await;
        let store = open(&place.url()).await;
        let right = builder(store.clone()).peppers(ring("1")).build().unwrap();
        let token = issue(&right, "ci").await;
        let before = everything(&right).await;
        for (peppers, expected) in
            [("2", Verdict::Unavailable), ("", Verdict::Unavailable), ("2,3", Verdict::Unavailable)]
        {
            let wrong = builder(store.clone()).peppers(ring(peppers)).build().unwrap();
            assert_eq!(verdict(&wrong, token.plain.expose()).await, expected);
            wrong.maintain().await.unwrap();
        }
        // This cannot be told from a wrong secret; the token is refused and not harmed.
        let other = hallpass::PepperRing::none().with_current(1, &(100..140).collect::<Vec<u8>>());
        let wrong = builder(store.clone()).peppers(other.unwrap()).build().unwrap();
        let told = verdict(&wrong, token.plain.expose()).await;
        assert_eq!(told, Verdict::Denied(DenialReason::WrongSecret));
        wrong.maintain().await.unwrap();
        assert!(builder(store).peppers(ring("").require()).build().is_err());
        assert_eq!(everything(&right).await, before);
        assert_eq!(verdict(&right, token.plain.expose()).await, Verdict::Accepted);
    });
}

/// There is no store at the start, or one that says nothing. I7: that is an error within the time
/// limit, and no engine.
fn f27_without_a_store(backend: Backend) {
    run(async {
        let place = Place::new(backend).await;
        let proxy = Proxy::before(place.port()).await;
        let url = place.url_by(proxy.port());
        let short = Duration::from_millis(300);
        for fate in [Fate::Cut, Fate::Hang] {
            proxy.fail(When::Always, fate);
            let error = try_open(&url, short).await.unwrap_err();
            assert!(matches!(error, StoreError::Unavailable(_)), "{fate:?}: {error:?}");
        }
        proxy.heal();
        let nobody = place.url_by(crate::postgres::free_port());
        let error = try_open(&nobody, short).await.unwrap_err();
        assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
        let hallpass = engine(open(&url).await);
        issue(&hallpass, "ci").await;
    });
}

/// Nodes with the old and the new pepper as their current one, as while a new one is rolled out. I7:
/// each verifies what the other issued and digested, time and again.
fn f28_two_peppers_side_by_side(backend: Backend) {
    run(async {
        let place = Place::new(backend).await;
        let store = open(&place.url()).await;
        let engines = ["1,2", "2,1"]
            .map(|numbers| builder(store.clone()).peppers(ring(numbers)).build().unwrap());
        let mut tokens = Vec::new();
        for (number, engine) in engines.iter().enumerate() {
            let token = issue(engine, &format!("ci {number}")).await;
            // Nobody writes under the new pepper before it is the current one there.
            let stored = store.find(&token.token.id).await.unwrap().unwrap();
            let pepper = stored.digest.pepper().map(hallpass::PepperId::number);
            assert_eq!(pepper, u32::try_from(number + 1).ok());
            tokens.push(token);
        }
        for _ in 0..3 {
            for engine in &engines {
                for token in &tokens {
                    assert_eq!(verdict(engine, token.plain.expose()).await, Verdict::Accepted);
                }
            }
        }
        // Both at once, too.
        let mut asked = Vec::new();
        for number in 0..40 {
            let engine = engines[number % 2].clone();
            let text = tokens[number / 2 % 2].plain.expose().to_owned();
            asked.push(tokio::spawn(async move { verdict(&engine, &text).await }));
        }
        for asked in asked {
            assert_eq!(asked.await.unwrap(), Verdict::Accepted);
        }
    });
}

/// A later version has made its tables while nodes of this one run: those go on, whoever wrote a
/// record, and keep what they do not know (I5, I7). A node of this version that starts now is refused,
/// and changes nothing.
fn f28_a_later_schema(backend: Backend) {
    run(async {
        let place = Place::new(backend).await;
        let hallpass = engine(open(&place.url()).await);
        let token = issue(&hallpass, "ci").await;
        let (id, text) = (token.token.id, token.plain.expose());
        // So that every statement was prepared before.
        assert!(is_changed(&hallpass, &id).await);
        assert_eq!(verdict(&hallpass, text).await, Verdict::Accepted);
        let key = format!("hallpass:{{0}}:token:{id}");
        let file = || rusqlite::Connection::open(place.files().join("tokens")).unwrap();
        match backend {
            Backend::Sqlite => {
                let later = "ALTER TABLE tokens ADD COLUMN later TEXT; \
                             UPDATE tokens SET later = 'kept'; PRAGMA user_version = 1000";
                file().execute_batch(later).unwrap();
            }
            Backend::Postgres => {
                place.sql("ALTER TABLE hallpass_tokens ADD COLUMN later TEXT").await;
                place.sql("UPDATE hallpass_tokens SET later = 'kept'").await;
                place.sql("UPDATE hallpass_schema SET version = 1000").await;
            }
            _ => {
                let script = "local record = cmsgpack.unpack(redis.call('GET', KEYS[1])) \
                              record[#record + 1] = 'kept' \
                              redis.call('SET', KEYS[1], cmsgpack.pack(record))";
                place.redis(&["EVAL", script, "1", &key]);
                place.redis(&["SET", "hallpass:schema", "1000 1"]);
            }
        }
        for _ in 0..2 {
            let refused = try_open(&place.url(), Duration::from_secs(20)).await;
            assert!(matches!(refused, Err(StoreError::Schema(_))), "{refused:?}");
        }
        assert_eq!(verdict(&hallpass, text).await, Verdict::Accepted);
        assert!(is_changed(&hallpass, &id).await);
        let next = hallpass.rotate(&id, Rotate::new()).await.unwrap();
        assert_eq!(verdict(&hallpass, next.plain.expose()).await, Verdict::Accepted);
        let other = issue(&hallpass, "other").await;
        assert_eq!(verdict(&hallpass, other.plain.expose()).await, Verdict::Accepted);
        assert_eq!(hallpass.maintain().await.unwrap().uses, 2);
        assert!(revoke(&hallpass, &id).await);
        assert_eq!(verdict(&hallpass, text).await, REVOKED);
        assert_eq!(everything(&hallpass).await.len(), 2);
        let kept = match backend {
            Backend::Sqlite => {
                let select = "SELECT later FROM tokens WHERE later IS NOT NULL";
                file().query_row(select, [], |row| row.get(0)).unwrap()
            }
            Backend::Postgres => {
                let select = "SELECT later FROM hallpass_tokens WHERE later IS NOT NULL";
                place.sql(select).await.remove(0)
            }
            _ => {
                let script = "local record = cmsgpack.unpack(redis.call('GET', KEYS[1])) \
                              return record[#record]";
                place.redis(&["EVAL", script, "1", &key]).trim().to_owned()
            }
        };
        assert_eq!(kept, "kept");
    });
}

/// A cache that holds far less than is asked of it, by many at once, while tokens are revoked. I1,
/// I7: what was revoked here is refused at once, what is good is accepted.
fn f33_an_eviction_storm(backend: Backend) {
    run(async {
        let place = Place::new(backend).await;
        let cache = CacheOptions::new().with_capacity(8).without_channel();
        let cache = cache.wrap(open(&place.url()).await);
        let hallpass = builder(Arc::new(cache)).build().unwrap();
        let mut tokens = Vec::new();
        for number in 0..45 {
            tokens.push((issue(&hallpass, &number.to_string()).await, AtomicBool::new(false)));
        }
        let tokens = Arc::new(tokens);
        let asking = (0..6).map(|task| {
            let (hallpass, tokens) = (hallpass.clone(), tokens.clone());
            tokio::spawn(async move {
                for count in 0..200 {
                    let (token, revoked) = &tokens[(count * 7 + task * 11) % tokens.len()];
                    let before = revoked.load(Ordering::SeqCst);
                    let told = verdict(&hallpass, token.plain.expose()).await;
                    assert!(told == REVOKED || told == Verdict::Accepted && !before, "{told:?}");
                }
            })
        });
        let asking: Vec<_> = asking.collect();
        for (token, revoked) in tokens.iter().step_by(3) {
            assert!(revoke(&hallpass, &token.token.id).await);
            revoked.store(true, Ordering::SeqCst);
        }
        for asking in asking {
            asking.await.unwrap();
        }
        for (token, revoked) in tokens.iter() {
            let expected = if revoked.load(Ordering::SeqCst) { REVOKED } else { Verdict::Accepted };
            assert_eq!(verdict(&hallpass, token.plain.expose()).await, expected);
        }
    });
}

/// The operating system gives no random bytes.
#[derive(Debug)]
struct Dry;

impl Entropy for Dry {
    fn fill(&self, _: &mut [u8]) -> Result<(), EntropyError> {
        Err(EntropyError)
    }
}

/// I6, I8: nothing is issued, rotated or stored, and what there is goes on.
fn f36_without_randomness(backend: Backend) {
    run(async {
        let place = Place::new(backend).await;
        let store = open(&place.url()).await;
        let hallpass = engine(store.clone());
        let token = issue(&hallpass, "ci").await;
        let dry = builder(store).danger_entropy(Dry).build().unwrap();
        let issued = dry.issue(wanted("more")).await;
        assert!(matches!(issued, Err(IssueError::Entropy(_))), "{issued:?}");
        let rotated = dry.rotate(&token.token.id, Rotate::new()).await;
        assert!(matches!(rotated, Err(RotateError::Entropy(_))), "{rotated:?}");
        let tokens = everything(&hallpass).await;
        assert_eq!((tokens.len(), tokens[0].version), (1, 1));
        assert_eq!(Status::at(&tokens[0], start()), Status::Active);
        assert_eq!(verdict(&dry, token.plain.expose()).await, Verdict::Accepted);
        assert!(revoke(&dry, &token.token.id).await);
    });
}
