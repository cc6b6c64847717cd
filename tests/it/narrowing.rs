//! What was exchanged is never more than what it was exchanged from: rules as properties, for
//! opaque tokens and, with the feature `jwt`, for JWTs.

use chrono::TimeDelta;
use hallpass::{
    Context, Edit, Exchange, ExchangeError, Expiry, ExpiryError, Hallpass, Issue, IssueError,
    Issued, KindSet, Policy, Refresh, RefreshError, Resources, RevocationReason, Rotate,
    RotateError, Status, Timestamp, Token, UpdateError,
};
use proptest::prelude::*;

use crate::world::{World, ci, micro, run};

const US: &str = "us";
const REASONS: [RevocationReason; 6] = [
    RevocationReason::Requested,
    RevocationReason::PasswordChanged,
    RevocationReason::OwnerDeleted,
    RevocationReason::Idle,
    RevocationReason::Reused,
    RevocationReason::Leaked,
];

/// How an exchanged token is written.
trait Form {
    /// Its lifetime unless another one is asked for, and the longest.
    fn lifetimes(policy: &Policy) -> [TimeDelta; 2];
    fn exchange(
        &self,
        hallpass: &Hallpass,
        text: &str,
        wish: Exchange,
    ) -> Result<(String, Token), ExchangeError>;
    fn is_accepted(&self, hallpass: &Hallpass, text: &str) -> bool;
    fn is_active(&self, hallpass: &Hallpass, text: &str) -> bool;
}

struct Opaque;

impl Form for Opaque {
    fn lifetimes(policy: &Policy) -> [TimeDelta; 2] {
        [policy.exchange_lifetime, policy.max_exchange_lifetime]
    }

    fn exchange(
        &self,
        hallpass: &Hallpass,
        text: &str,
        wish: Exchange,
    ) -> Result<(String, Token), ExchangeError> {
        let Issued { plain, token, .. } = run(hallpass.exchange(text, &context(), wish))?;
        Ok((plain.expose().to_owned(), token))
    }

    fn is_accepted(&self, hallpass: &Hallpass, text: &str) -> bool {
        run(hallpass.verify(text, &context())).is_ok()
    }

    fn is_active(&self, hallpass: &Hallpass, text: &str) -> bool {
        run(hallpass.introspect(text)).unwrap().is_some()
    }
}

#[cfg(feature = "jwt")]
struct Jwt(hallpass::jwt::JwtIssuer);

#[cfg(feature = "jwt")]
impl Jwt {
    fn new() -> Self {
        use hallpass::jwt::{Algorithm, JwtIssuer, KeyRing, SigningKey};

        let key = SigningKey::generate(Algorithm::EdDsa).unwrap().0;
        Self(JwtIssuer::new("https://acme.example", KeyRing::new(key)))
    }
}

#[cfg(feature = "jwt")]
impl Form for Jwt {
    fn lifetimes(policy: &Policy) -> [TimeDelta; 2] {
        let most = policy.max_exchange_lifetime.min(TimeDelta::minutes(60));
        [TimeDelta::minutes(10).min(policy.max_exchange_lifetime), most]
    }

    fn exchange(
        &self,
        hallpass: &Hallpass,
        text: &str,
        wish: Exchange,
    ) -> Result<(String, Token), ExchangeError> {
        let issued = run(self.0.exchange(hallpass, text, &context(), wish))?;
        Ok((issued.plain.expose().to_owned(), issued.token))
    }

    fn is_accepted(&self, hallpass: &Hallpass, text: &str) -> bool {
        run(self.0.verify(hallpass, text, &context())).is_ok()
    }

    fn is_active(&self, hallpass: &Hallpass, text: &str) -> bool {
        run(self.0.introspect(hallpass, text)).unwrap().is_some()
    }
}

fn context() -> Context<'static> {
    Context { audience: Some(US), ..Context::default() }
}

fn world(let_sessions_finish: bool) -> World {
    World::with(|policy| policy.let_sessions_finish = let_sessions_finish)
}

fn parent(name: &str) -> Issue {
    ci(name).audience([US, "them"])
}

/// What happens to a token, to its owner, or to what was exchanged from it.
#[derive(Debug, Clone)]
enum Deed {
    Exchange(i64),
    Wait(i64),
    Revoke(usize),
    RevokeChild(prop::sample::Index),
    Suspend,
    Resume,
    Rotate,
    EndIn(i64),
    Owner(bool),
}

fn deeds() -> impl Strategy<Value = Vec<Deed>> {
    let deed = prop_oneof![
        4 => (1_i64..4000).prop_map(Deed::Exchange),
        3 => (1_i64..1200).prop_map(Deed::Wait),
        1 => (0..REASONS.len()).prop_map(Deed::Revoke),
        1 => any::<prop::sample::Index>().prop_map(Deed::RevokeChild),
        1 => Just(Deed::Suspend),
        1 => Just(Deed::Resume),
        1 => Just(Deed::Rotate),
        1 => (1_i64..4000).prop_map(Deed::EndIn),
        1 => any::<bool>().prop_map(Deed::Owner),
    ];
    prop::collection::vec(deed, 1..24)
}

/// Does all that, and after each deed looks at everything that was exchanged: it is good exactly
/// as long as it, its owner and its parent are, and never looks better to who asks.
fn descent(form: &impl Form, finish: bool, deeds: Vec<Deed>) -> Result<(), TestCaseError> {
    let world = world(finish);
    let hallpass = &world.hallpass;
    let issued = world.issue(parent("ci"));
    let id = issued.token.id;
    let mut text = issued.plain.expose().to_owned();
    let mut children: Vec<(String, Token, bool)> = Vec::new();
    let mut owner_active = true;
    for deed in deeds {
        match deed {
            Deed::Exchange(seconds) => {
                let before = run(hallpass.get(&id)).unwrap().unwrap();
                let (now, life) = (world.now(), TimeDelta::seconds(seconds));
                let wish = Exchange::new().audience([US]).lifetime(life);
                let exchanged = form.exchange(hallpass, &text, wish);
                let good = owner_active && Status::at(&before, now) == Status::Active;
                if good && let Some(end) = expected(&before, life, now) {
                    let (text, token) = exchanged.unwrap();
                    prop_assert_eq!(token.expires_at, Some(end));
                    children.push((text, token, false));
                } else {
                    prop_assert!(exchanged.is_err());
                }
            }
            Deed::Wait(seconds) => world.advance(TimeDelta::seconds(seconds)),
            Deed::Revoke(reason) => {
                let reason = REASONS[reason];
                run(hallpass.revoke(&id, reason)).unwrap();
                let spared = hallpass.policy().spares_children(reason);
                children.iter_mut().for_each(|child| child.2 |= !spared);
            }
            Deed::RevokeChild(which) => {
                if !children.is_empty() {
                    let child = which.index(children.len());
                    let child = &mut children[child];
                    run(hallpass.revoke(&child.1.id, RevocationReason::Requested)).unwrap();
                    child.2 = true;
                }
            }
            // What these may not do any more they leave undone; the record tells.
            Deed::Suspend => drop(run(hallpass.suspend(&id))),
            Deed::Resume => drop(run(hallpass.resume(&id))),
            Deed::Rotate => {
                if let Ok(rotated) = run(hallpass.rotate(&id, Rotate::new())) {
                    text = rotated.plain.expose().to_owned();
                }
            }
            Deed::EndIn(seconds) => {
                let expiry = Expiry::In(TimeDelta::seconds(seconds));
                drop(run(hallpass.update(&id, Edit::new().expiry(expiry))));
            }
            Deed::Owner(active) => {
                owner_active = active;
                world.owners.facts("u1", |facts| facts.active = active);
            }
        }
        let above = run(hallpass.get(&id)).unwrap().unwrap();
        let now = world.now();
        let lets_live = match Status::at(&above, now) {
            Status::Active => true,
            Status::Revoked => {
                let revocation = above.revocation.as_ref().unwrap();
                let mut unrevoked = above.clone();
                unrevoked.revocation = None;
                hallpass.policy().spares_children(revocation.reason)
                    && Status::at(&unrevoked, now) == Status::Active
            }
            _ => false,
        };
        for (text, child, revoked) in &children {
            let ended = child.expires_at.is_none_or(|end| end <= now);
            let good = owner_active && lets_live && !revoked && !ended;
            prop_assert_eq!(form.is_accepted(hallpass, text), good);
            prop_assert_eq!(form.is_active(hallpass, text), good);
        }
    }
    Ok(())
}

/// When a token that is asked for with this lifetime ends, if it is given at all.
fn expected(parent: &Token, life: TimeDelta, now: Timestamp) -> Option<Timestamp> {
    let least = TimeDelta::seconds(5);
    if life < least || life > TimeDelta::hours(1) {
        return None;
    }
    let end = parent.expires_at.unwrap().min(now.saturating_add(life));
    (end.since(now) >= least).then_some(end)
}

/// The end of a token is the earliest of what was asked for, what policy allows, and the end of
/// its parent.
fn lifetime<F: Form>(
    form: &F,
    (usual, longest): (i64, i64),
    left: i64,
    asked: Option<i64>,
) -> Result<(), TestCaseError> {
    let seconds = TimeDelta::seconds;
    let world = World::with(|policy| {
        policy.exchange_lifetime = seconds(usual);
        policy.max_exchange_lifetime = seconds(longest.max(usual));
    });
    let issued = world.issue(parent("ci").expiry(Expiry::In(seconds(left))));
    let [usual, longest] = F::lifetimes(world.hallpass.policy());
    let mut wish = Exchange::new().audience([US]);
    if let Some(asked) = asked {
        wish = wish.lifetime(seconds(asked));
    }
    let life = asked.map_or(usual, seconds);
    match form.exchange(&world.hallpass, issued.plain.expose(), wish) {
        Ok((text, token)) => {
            let given = life.min(seconds(left));
            let end = world.now().saturating_add(given);
            prop_assert_eq!(token.expires_at, Some(end));
            prop_assert!(given <= longest && given >= seconds(5));
            prop_assert!(life <= world.hallpass.policy().max_exchange_lifetime);
            world.clock.set(end.saturating_sub(micro()));
            prop_assert!(form.is_accepted(&world.hallpass, &text));
            world.clock.set(end);
            prop_assert!(!form.is_accepted(&world.hallpass, &text));
        }
        // The lifetime of a JWT is checked against its own bound once the parent's end counts.
        Err(ExchangeError::Expiry(ExpiryError::TooLong)) => prop_assert!(life > longest),
        Err(ExchangeError::Expiry(ExpiryError::TooShort)) => {
            prop_assert!(life.min(seconds(left)) < seconds(5));
        }
        Err(other) => return Err(TestCaseError::fail(format!("{other:?}"))),
    }
    Ok(())
}

/// What was exchanged calls, and does nothing else.
fn end_of_the_line(form: &impl Form, scopes: &[&str]) -> Result<(), TestCaseError> {
    let world = world(false);
    let hallpass = &world.hallpass;
    let issued = world.issue(parent("ci").scopes(scopes.iter().copied()).on(["org/*"]));
    let wish = Exchange::new().audience([US]);
    let (text, token) = form.exchange(hallpass, issued.plain.expose(), wish).unwrap();
    prop_assert!(form.is_accepted(hallpass, &text));
    let count = world.all().len();
    let any = Context { kinds: KindSet::ALL, ..context() };
    let again = run(hallpass.exchange(&text, &any, Exchange::new()));
    prop_assert!(matches!(again, Err(ExchangeError::Denied(_))), "{:?}", again);
    let refreshed = run(hallpass.refresh(&text, &any, Refresh::new("c")));
    prop_assert!(matches!(refreshed, Err(RefreshError::Denied(_))));
    let rotated = run(hallpass.rotate_presented(&text, &any, Rotate::new()));
    prop_assert!(matches!(rotated, Err(RotateError::Denied(_))));
    // Not even its owner makes more of it.
    let owner = hallpass.on_behalf_of(world.caller("u1"));
    let rotated = run(owner.rotate(&token.id, Rotate::new()));
    prop_assert!(matches!(rotated, Err(RotateError::Kind(_))));
    let later = Edit::new().expiry(Expiry::In(TimeDelta::days(1)));
    for edit in [later, Edit::new().scopes(["repo:admin"]), Edit::new().name("x")] {
        prop_assert!(matches!(run(owner.update(&token.id, edit)), Err(UpdateError::Exchanged)));
    }
    let copied = run(owner.duplicate(&token.id, "copy"));
    prop_assert!(matches!(copied, Err(IssueError::NotFound)));
    prop_assert_eq!(world.all().len(), count);
    prop_assert_eq!(run(hallpass.get(&token.id)).unwrap().unwrap().scopes, token.scopes);
    Ok(())
}

const SCOPES: [&str; 4] = ["repo:read", "repo:write", "repo:admin", "hooks"];
const NAMES: [&str; 4] = ["a", "b", "c", "d"];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn an_opaque_child_lives_as_long_as_all_above_it(finish in any::<bool>(), deeds in deeds()) {
        descent(&Opaque, finish, deeds)?;
    }

    #[test]
    fn an_opaque_child_has_one_lifetime(
        policy in (5_i64..4000, 5_i64..4000),
        left in 1_i64..8000,
        asked in prop::option::of(-10_i64..8000),
    ) {
        lifetime(&Opaque, policy, left, asked)?;
    }

    #[test]
    fn an_opaque_child_is_the_end_of_the_line(
        scopes in prop::sample::subsequence(&SCOPES[..], 1..=4),
    ) {
        end_of_the_line(&Opaque, &scopes)?;
    }

    /// An audience is one of the parent's own, or one that policy names if it has none; exactly
    /// what was asked for, or the parent's own.
    #[test]
    fn audiences_only_narrow(
        own in prop::sample::subsequence(&NAMES[..], 0..=3),
        listed in prop::sample::subsequence(&NAMES[..], 0..=3),
        asked in prop::sample::subsequence(&NAMES[..], 0..=3),
    ) {
        let world = World::with(|policy| {
            policy.exchange_audiences = listed.iter().map(ToString::to_string).collect();
        });
        let issued = world.issue(ci("ci").audience(own.iter().copied()));
        let context = Context { audience: own.first().copied(), ..Context::default() };
        let wish = Exchange::new().audience(asked.iter().copied());
        let exchanged = run(world.hallpass.exchange(issued.plain.expose(), &context, wish));
        let allowed = if own.is_empty() { &listed } else { &own };
        if asked.iter().all(|one| allowed.contains(one)) {
            let expected = if asked.is_empty() { &own } else { &asked };
            prop_assert_eq!(&exchanged.unwrap().token.audience, expected);
        } else {
            prop_assert!(matches!(exchanged, Err(ExchangeError::Audience)));
        }
    }

    /// Whatever the child reaches, the parent reaches.
    #[test]
    fn resources_only_narrow(
        own in prop::collection::vec("[ab]{1,2}\\*?", 0..3),
        asked in prop::collection::vec("[ab]{1,2}\\*?", 0..3),
        reached in prop::collection::vec("[abc]{1,3}", 1..20),
    ) {
        let world = World::new();
        let issued = world.issue(ci("ci").on(&own));
        let wish = Exchange::new().resources(Resources::listed(&asked).unwrap());
        let text = issued.plain.expose();
        if let Ok(child) = run(world.hallpass.exchange(text, &Context::default(), wish)) {
            let (above, below) =
                (world.verify(text).unwrap(), world.verify(child.plain.expose()).unwrap());
            for name in reached {
                prop_assert!(above.on(&name).is_ok() || below.on(&name).is_err(), "{}", name);
            }
        }
    }
}

#[cfg(feature = "jwt")]
proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_jwt_lives_as_long_as_all_above_it(finish in any::<bool>(), deeds in deeds()) {
        descent(&Jwt::new(), finish, deeds)?;
    }

    #[test]
    fn a_jwt_has_one_lifetime(
        policy in (5_i64..4000, 5_i64..4000),
        left in 1_i64..8000,
        asked in prop::option::of(-10_i64..8000),
    ) {
        lifetime(&Jwt::new(), policy, left, asked)?;
    }

    #[test]
    fn a_jwt_is_the_end_of_the_line(scopes in prop::sample::subsequence(&SCOPES[..], 1..=4)) {
        end_of_the_line(&Jwt::new(), &scopes)?;
    }
}
