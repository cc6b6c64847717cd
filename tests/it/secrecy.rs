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
