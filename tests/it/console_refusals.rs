//! What the console refuses, and that nothing happened then.

use async_trait::async_trait;
use chrono::TimeDelta;
use hallpass::host::{Confirmation, HostOutage, SignedIn};
use hallpass::{Issue, Timestamp};
use http::request::Parts;

use crate::console_support::{App, Ask, at, escape};
use crate::world::{Fault, Step, World, micro};

fn fields() -> Vec<(&'static str, &'static str)> {
    vec![("name", "ci"), ("expiry", "30"), ("scope", "repo:read"), ("key", "k")]
}

/// Every request that changes something.
fn changes(app: &App) -> Vec<Ask> {
    let token = app.token("u1", "mine");
    let id = token.id.to_string();
    let own = at(&format!("/{id}"));
    let edit = [("name", "x"), ("expiry", "keep"), ("scope", "repo:read"), ("version", "1")];
    let rotate = [("version", "1"), ("overlap", "0"), ("expiry", "keep")];
    vec![
        app.post("u1-1", &at("/new"), &fields()),
        app.post("u1-1", &own, &edit),
        app.post("u1-1", &format!("{own}/regenerate"), &rotate),
        app.post("u1-1", &format!("{own}/suspend"), &[]),
        app.post("u1-1", &format!("{own}/resume"), &[]),
        app.post("u1-1", &format!("{own}/revoke"), &[]),
        app.post("u1-1", &at("/revoke"), &[("id", &id), ("sure", "yes")]),
    ]
}

/// Whether there is the one token of `changes`, as it was made.
fn untouched(app: &App) -> bool {
    let all = app.world.all();
    all.len() == 1 && all.iter().all(|token| token.version == 1 && token.revocation.is_none())
}

#[test]
fn what_other_sites_make_a_browser_send_does_nothing() {
    let app = App::new();
    app.confirm("u1-1");
    for ask in changes(&app) {
        let bare = ask.without("sec-fetch-site");
        for ask in [
            bare.clone().header("sec-fetch-site", "cross-site"),
            bare.clone().header("sec-fetch-site", "same-site"),
            bare.clone().header("sec-fetch-site", "none"),
            bare.clone().header("origin", "null"),
            bare.clone().header("origin", "https://evil.example"),
            bare.clone().header("origin", "http://acme.example"),
            bare.clone(),
        ] {
            let refused = ask.expect(&app, 403);
            assert!(refused.has("did not come from a page of your present session"));
        }
        assert!(untouched(&app));
    }
    let own = app.post("u1-1", &at("/new"), &fields()).without("sec-fetch-site");
    own.header("origin", "https://acme.example").expect(&app, 201);
}

#[test]
fn a_form_is_of_the_session_that_got_it() {
    let app = App::new();
    app.confirm("u1-1");
    let form = app.get(&at("/new")).session("u1-1").expect(&app, 200);
    let good = form.hidden("csrf").to_owned();
    let send = |csrf: &str| {
        let mut fields = fields();
        fields.push(("csrf", csrf));
        app.post("u1-1", &at("/new"), &fields)
    };
    let other = app.csrf("u1-2");
    for csrf in [&other, &app.csrf("u2-1"), good.split_at(63).0, "", "x"] {
        send(csrf).expect(&app, 403);
        // Not even where a browser vouches for it.
        send(csrf).without("sec-fetch-site").expect(&app, 403);
    }
    assert!(app.world.all().is_empty());
    // After signing out, the session is nobody's.
    let gone = send(&good).without("cookie").expect(&app, 401);
    assert!(gone.has("nothing was done") && gone.has("/login?next="));
    // A browser that sends neither header has the token.
    send(&good).without("sec-fetch-site").header("origin", "null").expect(&app, 201);
}

#[test]
fn without_a_recent_confirmation_the_form_is_kept_and_the_password_asked_for() {
    let app = App::new();
    let id = app.token("u1", "mine").id.to_string();
    let own = at(&format!("/{id}"));
    let wider = [("name", "x"), ("expiry", "keep"), ("scope", "repo:write"), ("version", "1")];
    let later = [("name", "x"), ("expiry", "90"), ("scope", "repo:read"), ("version", "1")];
    let rotate = [("version", "1"), ("overlap", "0"), ("expiry", "keep")];
    let many = [("id", &*id), ("sure", "yes")];
    for (path, fields) in [
        (at("/new"), &fields()[..]),
        (own.clone(), &wider),
        (own.clone(), &later),
        (format!("{own}/regenerate"), &rotate),
        (at("/revoke"), &many),
    ] {
        let asked = app.post("u1-1", &path, fields).expect(&app, 403);
        assert!(asked.has("Confirm it is you") && asked.has(&format!("action=\"{path}\"")));
        assert!(untouched(&app), "{path}");
    }
    let hostile = "\"><b>'&";
    let mut fields = fields();
    fields.retain(|(name, _)| *name != "name");
    fields.extend([("name", hostile), ("scope", "hooks"), ("description", "a\r\nb")]);
    let asked = app.post("u1-1", &at("/new"), &fields).expect(&app, 403);
    assert!(asked.has("type=\"password\"") && !asked.has("<b>"));
    let mut carried = asked.carried();
    assert_eq!(carried.len(), fields.len());
    let send = |app: &App, carried: &[(String, String)]| {
        let pairs: Vec<(&str, &str)> = carried.iter().map(|(n, v)| (&**n, &**v)).collect();
        app.post("u1-1", &at("/new"), &pairs)
    };
    carried.push(("password".to_owned(), "wrong".to_owned()));
    let wrong = send(&app, &carried).expect(&app, 403);
    assert!(wrong.has("That is not right") && !wrong.has("\"wrong\""));
    assert_eq!(wrong.carried().len(), fields.len());
    carried.pop();
    carried.push(("password".to_owned(), "u1's".to_owned()));
    send(&app, &carried).expect(&app, 201);
    let made = app.world.all().into_iter().find(|token| token.name.as_str() == hostile).unwrap();
    assert_eq!(made.scopes.iter().count(), 2);
    assert_eq!(made.description.as_deref(), Some("a\nb"));
}

/// Confirmation on a page of the host, where nobody has been yet.
#[derive(Debug)]
struct Elsewhere;

#[async_trait]
impl Confirmation for Elsewhere {
    async fn confirmed_at(&self, _: &Parts, _: &SignedIn) -> Result<Option<Timestamp>, HostOutage> {
        Ok(None)
    }

    async fn confirm(
        &self,
        _: &Parts,
        _: &SignedIn,
        _: &str,
        _: Timestamp,
    ) -> Result<bool, HostOutage> {
        Ok(false)
    }

    fn page(&self) -> Option<&str> {
        Some("/passkey")
    }
}

#[test]
fn whoever_goes_on_without_the_other_page_is_told_so() {
    let app = App::confirming(World::new(), Elsewhere, |console| console);
    let mut sent = fields();
    let asked = app.post("u1-1", &at("/new"), &sent).expect(&app, 403);
    assert!(asked.has("href=\"/passkey\"") && !asked.has("type=\"password\""));
    assert!(!asked.has("You have not confirmed yet"), "{}", asked.body);
    let carried = asked.carried();
    sent = carried.iter().map(|(name, value)| (&**name, &**value)).collect();
    let again = app.post("u1-1", &at("/new"), &sent).expect(&app, 403);
    assert!(again.has("You have not confirmed yet"), "{}", again.body);
    assert_eq!(again.carried(), carried);
    assert!(app.world.all().is_empty());
}

#[test]
fn what_is_plainly_wrong_is_said_before_the_password_is_asked_for() {
    let app = App::new();
    let token = app.token("u1", "mine");
    let edit = at(&format!("/{}", token.id));
    for (wrong, value, said) in [
        ("scope", None, "Choose at least one scope"),
        ("name", Some(""), "1 to 100 characters"),
        ("name", Some("a\u{202e}b"), "no control or direction character"),
    ] {
        let mut fields = fields();
        fields.retain(|(name, _)| *name != wrong);
        fields.extend(value.map(|value| (wrong, value)));
        let told = app.post("u1-1", &at("/new"), &fields).expect(&app, 400);
        assert!(told.has(said) && !told.has("type=\"password\""));
        fields.retain(|(name, _)| *name != "key");
        fields.push(("version", "1"));
        let told = app.post("u1-1", &edit, &fields).expect(&app, 400);
        assert!(told.has(said) && !told.has("type=\"password\""));
    }
    assert!(untouched(&app));
}

#[test]
fn a_confirmation_lasts_five_minutes_in_its_own_session() {
    let app = App::new();
    app.confirm("u1-1");
    let send = |session: &str, name: &'static str| {
        let mut fields = fields();
        fields.retain(|(field, _)| *field != "name" && *field != "key");
        fields.extend([("name", name), ("key", name)]);
        app.post(session, &at("/new"), &fields)
    };
    send("u1-2", "other session").expect(&app, 403);
    app.world.advance(TimeDelta::minutes(5));
    send("u1-1", "at the last moment").expect(&app, 201);
    app.world.advance(micro());
    send("u1-1", "too late").expect(&app, 403);
    assert_eq!(app.world.all().len(), 1);
}

#[test]
fn whoever_guesses_has_to_wait() {
    let app = App::new();
    let mut fields = fields();
    fields.push(("password", "guess"));
    for _ in 0..5 {
        app.post("u1-1", &at("/new"), &fields).expect(&app, 403);
    }
    let wait = app.post("u1-1", &at("/new"), &fields).expect(&app, 429);
    assert!(wait.has("Too many attempts. Wait 5 minutes."));
    assert_eq!(wait.header("retry-after"), Some("300"));
    fields.pop();
    fields.push(("password", "u1's"));
    app.post("u1-1", &at("/new"), &fields).expect(&app, 429);
    // Whoever guesses in one session locks the owner out of no other.
    app.post("u1-2", &at("/new"), &fields).expect(&app, 201);
    app.world.advance(TimeDelta::minutes(5));
    fields.retain(|(name, _)| *name != "name" && *name != "key");
    fields.extend([("name", "later"), ("key", "later")]);
    app.post("u1-1", &at("/new"), &fields).expect(&app, 201);
}

#[test]
fn a_token_is_no_password_and_no_session() {
    let app = App::new();
    let issued = app.world.issue(Issue::new("ci").owner("u1").scopes(["repo:admin"]));
    let plain = issued.plain.expose();
    let mut with = fields();
    with.push(("password", plain));
    app.post("u1-1", &at("/new"), &with).expect(&app, 403);
    app.confirm("u1-1");
    for (name, value) in [
        ("authorization", format!("Bearer {plain}")),
        ("authorization", format!("token {plain}")),
        ("private-token", plain.to_owned()),
        ("x-anything", plain.to_owned()),
    ] {
        for ask in [
            app.get(&at("")).session("u1-1"),
            app.get(&at("/new")),
            app.post("u1-1", &at("/new"), &fields()),
        ] {
            let refused = ask.header(name, value.clone()).expect(&app, 403);
            assert!(refused.has("Tokens do not manage tokens"), "{name}");
        }
    }
    app.get(&at(&format!("?q={plain}"))).session("u1-1").expect(&app, 403);
    assert_eq!(app.world.all().len(), 1);
}

#[test]
fn anothers_token_an_absent_one_and_no_id_are_the_same() {
    let app = App::new();
    let theirs = app.token("u2", "theirs");
    let absent = app.get(&at("/0000000000000001")).session("u1-1").expect(&app, 404);
    for id in
        [theirs.id.as_str(), "x", "0000000000000001%27", &"0".repeat(17), "%00", "%F0%9F%90%A2"]
    {
        for below in ["", "/regenerate", "/revoke"] {
            let answer = app.get(&at(&format!("/{id}{below}"))).session("u1-1").expect(&app, 404);
            assert_eq!(answer.body, absent.body, "{id}{below}");
        }
    }
    let id = theirs.id.as_str();
    let edit = [("name", "x"), ("expiry", "keep"), ("scope", "repo:read"), ("version", "1")];
    let rotate = [("version", "1"), ("overlap", "0"), ("expiry", "keep")];
    app.confirm("u1-1");
    for (below, fields) in [
        ("", &edit[..]),
        ("/regenerate", &rotate),
        ("/suspend", &[]),
        ("/resume", &[]),
        ("/revoke", &[]),
    ] {
        let url = at(&format!("/{id}{below}"));
        let answer = app.post("u1-1", &url, fields).expect(&app, 404);
        assert_eq!(answer.body, absent.body, "{below}");
    }
    assert_eq!(app.now(&theirs).version, 1);
}

#[test]
fn bodies_are_read_strictly() {
    let app = App::new();
    app.confirm("u1-1");
    let ask = app.post("u1-1", &at("/new"), &fields());
    for media_type in ["text/plain", "application/json", "multipart/form-data; boundary=x"] {
        let other = ask.clone().without("content-type").header("content-type", media_type);
        other.expect(&app, 415);
    }
    ask.clone().without("content-type").expect(&app, 415);
    let form = "application/x-www-form-urlencoded";
    ask.clone().header("content-type", form).expect(&app, 415);
    for body in [
        "name=a&name=b".to_owned(),
        "name=%".to_owned(),
        "name=%FF".to_owned(),
        "name=ci&scope=repo:read&expiry=30&key=k&owner=root".to_owned(),
        "name=ci&scope=repo:read&expiry=30&key=k&id=0000000000000001".to_owned(),
        "name=ci&scope=repo:read&expiry=30&key=k&_method=DELETE".to_owned(),
        "scope=x&".repeat(513),
    ] {
        ask.clone().body(body).expect(&app, 400);
    }
    let huge = format!("name={}", "x".repeat(64 * 1024));
    ask.clone().body(huge).expect(&app, 413);
    let key = format!("name=ci&scope=repo:read&expiry=30&key={}", "k".repeat(256));
    ask.clone().body(key).expect(&app, 409);
    ask.clone().body("name=ci&scope=repo:read&expiry=30").expect(&app, 409);
    assert!(app.world.all().is_empty());
    ask.clone().without("content-type").header("content-type", format!("{form}; charset=UTF-8"));
    ask.expect(&app, 201);
}

#[test]
fn nobody_is_led_to_sign_in_and_back() {
    let app = App::new();
    let path = at("/new?copy_of=0000000000000001");
    let led = app.get(&path).expect(&app, 303);
    let expected = "/login?next=%2Fsettings%2Ftokens%2Fnew%3Fcopy_of%3D0000000000000001";
    assert_eq!(led.header("location"), Some(expected));
    assert_eq!(led.header("cache-control"), Some("no-store"));
    let told = app.post("u1-1", &at("/new"), &fields()).without("cookie").expect(&app, 401);
    assert!(told.has("You are signed out, so nothing was done."));
    assert!(app.world.all().is_empty());
}

#[test]
fn an_outage_is_no_denial_and_loses_nothing() {
    let app = App::new();
    let broken = app.get(&at("")).session("broken").expect(&app, 503);
    assert_eq!(broken.header("retry-after"), Some("5"));
    app.confirm("u1-1");
    let token = app.token("u1", "kept");
    app.world.store.breaks(Step::List, Fault::Fails);
    let list = app.get(&at("")).session("u1-1").expect(&app, 503);
    assert_eq!(list.header("retry-after"), Some("5"));
    app.world.store.breaks(Step::Insert, Fault::Fails);
    let failed = app.post("u1-1", &at("/new"), &fields()).expect(&app, 503);
    assert!(failed.has("Nothing you entered is lost") && failed.has("value=\"ci\""));
    assert_eq!((failed.hidden("key"), failed.header("retry-after")), ("k", Some("5")));
    app.world.store.breaks(Step::Revoke, Fault::Fails);
    let url = at(&format!("/{}/revoke", token.id));
    let failed = app.post("u1-1", &url, &[]).expect(&app, 503);
    assert_eq!(failed.header("retry-after"), Some("5"));
    app.world.store.heals();
    // The answer is lost after the token was stored: nobody gets a second one.
    app.world.store.breaks(Step::Insert, Fault::Loses);
    app.post("u1-1", &at("/new"), &fields()).expect(&app, 503);
    app.world.store.heals();
    let again = app.post("u1-1", &at("/new"), &fields()).expect(&app, 409);
    assert!(again.has("Created already") && again.has("regenerate the token"));
    assert_eq!(app.world.all().len(), 2);
    let mut with = fields();
    with.push(("password", "outage"));
    let out = app.post("u1-2", &at("/new"), &with).expect(&app, 503);
    assert_eq!(out.header("retry-after"), Some("5"));
}

#[test]
fn a_token_is_ended_while_nobody_can_tell_of_confirmations() {
    let app = App::without_confirmations();
    let (one, other) = (app.token("u1", "one"), app.token("u1", "other"));
    let own = at(&format!("/{}", one.id));
    app.post("u1-1", &format!("{own}/suspend"), &[]).expect(&app, 303);
    for (path, fields) in [(format!("{own}/resume"), vec![]), (at("/new"), fields())] {
        let out = app.post("u1-1", &path, &fields).expect(&app, 503);
        assert_eq!(out.header("retry-after"), Some("5"));
    }
    app.post("u1-1", &format!("{own}/revoke"), &[]).expect(&app, 303);
    let any = at(&format!("/admin/{}", other.id));
    app.post("root-1", &format!("{any}/revoke"), &[]).expect(&app, 303);
    assert!(app.now(&one).revocation.is_some() && app.now(&other).revocation.is_some());
}

#[test]
fn an_owner_does_not_resume_what_an_administrator_suspended() {
    let app = App::new();
    app.confirm("u1-1");
    app.confirm("root-1");
    let token = app.token("u1", "ci");
    let own = at(&format!("/{}", token.id));
    let any = at(&format!("/admin/{}", token.id));
    let page = |session: &str, path: &str| app.get(path).session(session).expect(&app, 200);
    app.post("u1-1", &format!("{own}/suspend"), &[]).expect(&app, 303);
    let theirs = page("root-1", &any);
    assert!(theirs.has("by the owner") && theirs.has("Suspend as administrator"));
    app.post("root-1", &format!("{any}/suspend"), &[]).expect(&app, 303);
    let mine = page("u1-1", &own);
    assert!(mine.has("Suspended by an administrator") && mine.has("by administrator root"));
    assert!(!mine.has(&format!("{own}/resume")) && !mine.has(&format!("{own}/suspend")));
    let refused = app.post("u1-1", &format!("{own}/resume"), &[]).expect(&app, 403);
    assert!(refused.has("Only an administrator can resume it"));
    assert!(app.now(&token).suspension.is_some());
    assert!(!page("root-1", &any).has("Suspend as administrator"));
    app.post("root-1", &format!("{any}/resume"), &[]).expect(&app, 303);
    assert_eq!(app.now(&token).suspension, None);
}

#[test]
fn a_wrong_method_is_told_the_right_ones() {
    let app = App::new();
    let wrong = Ask::new("DELETE", &at("/new")).session("u1-1").expect(&app, 405);
    assert_eq!(wrong.header("allow"), Some("GET,HEAD,POST"));
    let head = Ask::new("HEAD", &at("")).session("u1-1").expect(&app, 200);
    assert!(head.body.is_empty());
    assert_eq!(escape("a"), "%61");
}
