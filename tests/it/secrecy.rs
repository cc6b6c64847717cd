//! No secret leaves but in the one reply that creates it.

use std::fmt::{Debug, Write as _};
use std::sync::Arc;

use chrono::TimeDelta;
use hallpass::store::{Facts, Filter, Reach};
use hallpass::{
    Context, Edit, Exchange, Hallpass, ListRequest, MemoryStore, PepperRing, RevocationReason,
    Rotate, TokenStore as _, TokenText,
};

use crate::world::{Fault, Step, World, catalog, ci, run, secret_of, text_of};

/// Everything that is formatted in the life of some tokens.
#[derive(Default)]
struct Output(String);

impl Output {
    fn show<T: Debug>(&mut self, value: &T) {
        write!(self.0, "{value:?}\n{value:#?}\n").unwrap();
    }

    fn show_error<T: Debug, E: std::error::Error>(&mut self, answer: Result<T, E>) {
        let error = answer.unwrap_err();
        self.show(&error);
        let mut cause: Option<&dyn std::error::Error> = Some(&error);
        while let Some(error) = cause {
            writeln!(self.0, "{error}").unwrap();
            cause = error.source();
        }
    }
}

#[test]
fn nothing_that_is_formatted_holds_a_secret_a_digest_or_a_pepper() {
    let pepper: Vec<u8> = (b'!'..b'!' + 64).collect();
    let other_pepper: Vec<u8> = (b'A'..b'A' + 40).collect();
    let ring = || {
        let ring = PepperRing::none().with_current(1, &pepper).unwrap();
        ring.with_retired(2, &other_pepper).unwrap()
    };
    let world = World::build(Arc::new(MemoryStore::new()), |builder| builder.peppers(ring()));
    let mut output = Output::default();
    let mut secrets = Vec::new();
    let mut digests = Vec::new();
    let context = Context::default();
    output.show(&ring());
    output.show(
        &Hallpass::builder(MemoryStore::new()).brand("acme").peppers(ring()).cursor_key([0x6b; 32]),
    );

    // A full life: issued, copied, used, exchanged, edited, rotated, reused, refused, revoked.
    let issued = world.issue(ci("ci").description("said").idempotency_key("k1-of-the-caller"));
    let copy = run(world.hallpass.duplicate(&issued.token.id, "copy")).unwrap();
    let text = issued.plain.expose();
    output.show(&run(world.hallpass.verify(text, &context)).unwrap());
    let child = run(world.hallpass.exchange(text, &context, Exchange::new())).unwrap();
    digests.push(world.record(&issued).digest);
    let rotate = Rotate::new().overlap(TimeDelta::zero());
    let rotated = run(world.hallpass.rotate(&issued.token.id, rotate)).unwrap();
    output.show_error(world.verify(text));
    output.show(&world.verify(rotated.plain.expose()).unwrap());
    let edit = Edit::new().name("new");
    output.show(&edit);
    output.show(&run(world.hallpass.update(&issued.token.id, edit)).unwrap());
    output.show(&run(world.hallpass.suspend(&copy.token.id)).unwrap());
    output.show_error(world.verify(copy.plain.expose()));
    for issued in [&issued, &copy, &child, &rotated] {
        output.show(issued);
        output.show(&issued.plain);
        secrets.push(issued.plain.expose().to_owned());
        let record = world.record(issued);
        output.show(&record);
        output.show(&Facts::of(&record, &catalog()));
        digests.push(record.digest);
        digests.extend(record.superseded);
    }
    let brands = hallpass::Brands::new("acme".parse().unwrap());
    output.show(&TokenText::parse(text, &brands).unwrap());

    let zeros = text_of("pat", issued.token.id.as_str(), &"q".repeat(43));
    secrets.push(zeros.clone());
    output.show_error(world.verify(&zeros));
    output.show_error(TokenText::parse(&format!("{text}!"), &brands));
    output.show_error(run(world.hallpass.rotate_presented(text, &context, rotate)));
    output.show_error(run(world.hallpass.exchange(text, &context, Exchange::new())));
    output.show_error(run(world.hallpass.issue(ci("ci").scopes(["*"]))));
    output.show_error(run(world
        .hallpass
        .issue(ci("ci").description("said").idempotency_key("k1-of-the-caller"))));
    let without = world.again(|builder| builder);
    output.show_error(run(without.verify(copy.plain.expose(), &context)));
    world.store.breaks(Step::Revoke, Fault::Fails);
    let reason = RevocationReason::Leaked;
    output.show_error(run(world.hallpass.revoke_text(copy.plain.expose(), reason)));
    world.store.heals();
    run(world.hallpass.revoke_text(copy.plain.expose(), reason)).unwrap();
    let request = ListRequest::new(Filter::new(Reach::All)).limit(1);
    let page = run(world.hallpass.list(&request)).unwrap();
    let listed = page.next.clone().unwrap();
    output.show(&page);
    output.show(&world.all());
    output.show(&run(world.hallpass.maintain()).unwrap());
    output.show(&world.hallpass);
    output.show(&world.hallpass.on_behalf_of(world.caller("u1")));
    output.show(&world);
    let events = world.events.take();
    assert!(events.len() > 10);
    output.show(&events);

    let shown = output.0 + &listed;
    for secret in &secrets {
        assert!(!shown.contains(secret_of(secret)), "a secret is shown");
    }
    assert!(digests.len() >= 6);
    for digest in digests {
        let stored = digest.to_stored();
        let code = stored.rsplit('$').next().unwrap();
        assert!(!shown.contains(code), "a digest is shown");
    }
    for pepper in [&pepper, &other_pepper] {
        let text = std::str::from_utf8(pepper).unwrap();
        let list = format!("{:?}", &pepper[..8]);
        assert!(!shown.contains(text) && !shown.contains(list.trim_matches(['[', ']'])));
    }
    assert!(!shown.contains("107, 107, 107"), "the cursor key is shown");
    // The search would have found something.
    assert!(shown.contains(issued.token.id.as_str()));
}

/// Where traces are written.
#[cfg(all(feature = "tracing", feature = "http"))]
#[derive(Debug, Clone, Default)]
struct Lines(Arc<std::sync::Mutex<Vec<u8>>>);

#[cfg(all(feature = "tracing", feature = "http"))]
impl std::io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[cfg(all(feature = "tracing", feature = "http"))]
#[test]
fn nothing_that_is_traced_at_any_level_holds_a_secret_or_a_digest() {
    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || writer.clone())
        .finish();
    let mut hidden = Vec::new();
    tracing::subscriber::with_default(subscriber, || {
        for store in crate::world::stores() {
            hidden.extend(traced_life(&World::build(store(), |builder| {
                builder.events(hallpass::TracingSink)
            })));
        }
    });
    let traced = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    for event in
        ["Issued", "Rotated", "Updated", "Revoked", "Denied", "Forbidden", "Reused", "Unavailable"]
    {
        assert!(traced.contains(event), "{event} was not traced");
    }
    for part in hidden {
        assert!(!traced.contains(&part), "a secret or a digest is traced");
    }
}

/// Lets some tokens live, and tells what nobody may read of them.
#[cfg(all(feature = "tracing", feature = "http"))]
fn traced_life(world: &World) -> Vec<String> {
    let issued = world.token("ci");
    let text = issued.plain.expose();
    let context = Context::default();
    let child = run(world.hallpass.exchange(text, &context, Exchange::new())).unwrap();
    let wrong = text_of("pat", issued.token.id.as_str(), &"q".repeat(43));
    for bad in [&wrong, &format!("{text}x"), &text_of("pat", "0000000000000000", &"q".repeat(43))] {
        assert!(world.verify(bad).is_err());
    }

    let sources = hallpass::Sources::bearer().basic().header("x-token").danger_query("key");
    let boundary = hallpass::Boundary::builder(world.hallpass.clone()).sources(sources);
    let boundary = boundary.build().unwrap();
    let hooks = boundary.compile(hallpass::Requirement::scope("hooks")).unwrap();
    for request in [
        http::Request::get("/").header("authorization", format!("Bearer {text}")),
        http::Request::get("/").header("authorization", format!("Bearer {text}x")),
        http::Request::get("/").header("authorization", format!("Bearer  {text}")),
        http::Request::get("/").header("x-token", text),
        http::Request::post(format!("/?key={text}")),
        http::Request::get(format!("/?key={text}")).header("x-token", text),
        http::Request::get(format!("/?key={text}")),
    ] {
        let (mut head, ()) = request.body(()).unwrap().into_parts();
        let rejection = run(boundary.admit(&mut head, Some(&hooks), None)).unwrap_err();
        tracing::trace!(?head, ?rejection, %rejection);
    }

    let rotate = Rotate::new().overlap(TimeDelta::zero());
    let rotated = run(world.hallpass.rotate(&issued.token.id, rotate)).unwrap();
    assert!(world.verify(text).is_err());
    assert!(world.accepts(&rotated));
    run(world.hallpass.update(&issued.token.id, Edit::new().name("a\nb"))).unwrap_err();
    run(world.hallpass.update(&issued.token.id, Edit::new().name("other"))).unwrap();
    world.store.cool();
    world.store.breaks(Step::Find, Fault::Fails);
    assert!(world.verify(rotated.plain.expose()).is_err());
    world.store.heals();
    let record = world.record(&issued);
    run(world.hallpass.revoke_text(rotated.plain.expose(), RevocationReason::Leaked)).unwrap();
    run(world.hallpass.maintain()).unwrap();

    let digests = [Some(record.digest), record.superseded];
    let codes = digests.into_iter().flatten().map(|digest| {
        let stored = digest.to_stored();
        stored.rsplit('$').next().unwrap().to_owned()
    });
    let texts = [text, rotated.plain.expose(), child.plain.expose(), &wrong];
    texts.map(secret_of).into_iter().map(str::to_owned).chain(codes).collect()
}

#[test]
fn a_secret_is_given_out_once() {
    let world = World::new();
    let issued = world.token("ci");
    let secret = secret_of(issued.plain.expose());
    let record = world.record(&issued);
    let stored = record.digest.to_stored();
    assert!(!stored.contains(secret));
    assert!(!format!("{:?}", world.get(&issued)).contains(secret));
    let found = run(world.store.find(&issued.token.id)).unwrap().unwrap();
    assert_eq!(found, record);
}
