//! What people do with the console, and what it answers.

use chrono::TimeDelta;
use hallpass::{Expiry, Issue, Resources, RevocationReason, Rights, Status};

use crate::console_support::{App, Ask, at, shared};
use crate::world::{World, micro, run, together};

/// The fields of the form for a new token.
fn new<'a>(name: &'a str, key: &'a str) -> Vec<(&'a str, &'a str)> {
    vec![
        ("name", name),
        ("description", ""),
        ("expiry", "30"),
        ("date", ""),
        ("scope", "repo:read"),
        ("reach", "none"),
        ("resources", ""),
        ("networks", ""),
        ("key", key),
    ]
}

#[test]
fn every_answer_carries_the_headers_to_the_byte() {
    let app = App::new();
    let token = app.token("u1", "ci");
    let one = at(&format!("/{}", token.id));
    let csp = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
               base-uri 'none'; form-action 'self'; frame-ancestors 'none'";
    for (path, status) in [
        (at(""), 200),
        (at("/new"), 200),
        (one.clone(), 200),
        (format!("{one}/regenerate"), 200),
        (format!("{one}/revoke"), 200),
        (at("/0000000000000001"), 404),
        (at("?sort=digest"), 400),
        (at("/download"), 405),
    ] {
        let answer = app.get(&path).session("u1-1").expect(&app, status);
        for (name, value) in [
            ("content-security-policy", csp),
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "no-referrer"),
            ("cross-origin-opener-policy", "same-origin"),
            ("cache-control", "no-store"),
            ("content-type", "text/html; charset=utf-8"),
        ] {
            assert_eq!(answer.header(name), Some(value), "{path} {name}");
        }
        assert_eq!(answer.header("set-cookie"), None);
        for inline in
            ["<style", "style=", "onclick=", "<script>", "javascript:", "http://", "https://"]
        {
            assert!(!answer.has(inline), "{path} holds {inline}");
        }
    }
}

#[test]
fn style_sheet_and_script_are_kept_by_browsers_for_good() {
    let app = App::build(World::new(), |console| console.css(":root{--hp-accent:#067a5b}"));
    let list = app.get(&at("")).session("u1-1").expect(&app, 200);
    for (start, media_type) in
        [("href=\"", "text/css; charset=utf-8"), ("src=\"", "text/javascript; charset=utf-8")]
    {
        let paths = list.body.split(start).skip(1).map(|rest| rest.split('"').next().unwrap());
        let path = paths.into_iter().find(|path| path.contains("/assets/")).unwrap();
        // They hold no secret, so nobody has to be signed in.
        let answer = app.get(path).expect(&app, 200);
        assert_eq!(answer.header("content-type"), Some(media_type));
        assert!(answer.header("cache-control").unwrap().contains("immutable"));
        assert_eq!(answer.has("--hp-accent:#067a5b"), start == "href=\"");
    }
}

#[test]
fn an_empty_list_says_how_to_begin() {
    let app = App::new();
    app.token("u2", "theirs");
    let list = app.get(&at("")).session("u1-1").expect(&app, 200);
    assert!(list.has("No tokens yet") && list.has(&at("/new")));
    assert!(!list.has("theirs"));
    let search = app.get(&at("?q=x")).session("u1-1").expect(&app, 200);
    assert!(search.has("Nothing matches") && !search.has("No tokens yet"));
    let idle = "is not used for";
    assert!(!list.has(idle));
    let app = App::with(|policy| policy.max_idle = Some(TimeDelta::days(90)));
    let list = app.get(&at("")).session("u1-1").expect(&app, 200);
    assert!(list.has(&format!("One that {idle} 90 days is revoked.")));
}

#[test]
fn the_list_shows_what_matters_and_marks_what_needs_care() {
    let app = App::new();
    let issued = app.world.issue(
        Issue::new("soon").owner("u1").scopes(["repo:read"]).expiry(Expiry::In(TimeDelta::days(3))),
    );
    app.token("u1", "later");
    let list = app.get(&at("")).session("u1-1").expect(&app, 200);
    let visible = format!("acme_pat_{}", issued.token.id);
    assert!(list.has(&visible) && !list.has(issued.plain.expose()));
    assert!(list.has("in 3 days") && list.has("Expires soon") && list.has("Never"));
    assert!(list.has("badge-active"));
    app.world.accepts(&issued);
    app.world.advance(TimeDelta::hours(2));
    let list = app.get(&at("")).session("u1-1").expect(&app, 200);
    assert!(list.has("2 hours ago"));
    let soon = app.get(&at("?show=soon")).session("u1-1").expect(&app, 200);
    assert!(soon.has(">soon<") && !soon.has(">later<"));
    let unused = app.get(&at("?show=unused")).session("u1-1").expect(&app, 200);
    assert!(unused.has(">later<"));
}

#[test]
fn what_expires_soon_has_pages_too() {
    let app = App::with(|policy| policy.quota = None);
    let soon = Expiry::In(TimeDelta::days(3));
    for number in 0..51 {
        let wanted = Issue::new(format!("t{number}")).owner("u1").scopes(["repo:read"]);
        app.world.issue(wanted.expiry(soon));
    }
    let list = app.get(&at("?show=soon")).session("u1-1").expect(&app, 200);
    assert_eq!(list.body.matches("<bdi>t").count(), 50);
    let cursor = list.body.split("cursor=").nth(1).unwrap().split('"').next().unwrap();
    app.world.advance(TimeDelta::minutes(5));
    let next = at(&format!("?show=soon&cursor={cursor}"));
    let rest = app.get(&next).session("u1-1").expect(&app, 200);
    assert_eq!(rest.body.matches("<bdi>t").count(), 1);
}

#[test]
fn ended_tokens_are_shown_when_asked_for() {
    let app = App::new();
    let gone = app.token("u1", "gone");
    run(app.world.hallpass.revoke(&gone.id, RevocationReason::Leaked)).unwrap();
    app.token("u1", "kept");
    let list = |query: &str| app.get(&at(query)).session("u1-1").expect(&app, 200);
    assert!(!list("").has(">gone<"));
    let ended = list("?show=ended");
    assert!(ended.has(">gone<") && ended.has("Revoked") && !ended.has(">kept<"));
    assert!(list("?show=all").has(">kept<"));
    let page = list(&format!("/{}", gone.id));
    assert!(page.has("It is revoked, for good") && page.has("the secret was found in public"));
    assert!(!page.has("Save changes") && !page.has("/regenerate"));
}

#[test]
fn lists_are_searched_sorted_and_paged() {
    let app = App::with(|policy| policy.quota = None);
    for number in 0..120 {
        app.token("u1", &format!("job {number:03}"));
    }
    app.token("u2", "job of another");
    let mut seen = Vec::new();
    let mut next = Some(at("?q=job&sort=name"));
    while let Some(url) = next {
        let page = app.get(&url).session("u1-1").expect(&app, 200);
        let names = page.body.split("<bdi>").skip(1).map(|rest| rest.split('<').next().unwrap());
        seen.extend(names.map(str::to_owned));
        let link = page.body.split("rel=\"next\" href=\"").nth(1);
        next = link.map(|rest| rest.split('"').next().unwrap().replace("&#38;", "&"));
    }
    let expected: Vec<String> = (0..120).map(|number| format!("job {number:03}")).collect();
    assert_eq!(seen, expected);
    let backwards = app.get(&at("?sort=-name")).session("u1-1").expect(&app, 200);
    assert!(backwards.has("job 119") && !backwards.has("job 001"));
    // These characters mean themselves.
    for text in ["%25", "_", "%5C"] {
        let none = app.get(&at(&format!("?q={text}"))).session("u1-1").expect(&app, 200);
        assert!(none.has("Nothing matches"), "{text}");
    }
}

#[test]
fn a_cursor_is_good_for_its_own_list_only() {
    let app = App::with(|policy| policy.quota = None);
    for number in 0..60 {
        app.token("u1", &format!("a{number}"));
        app.token("u2", &format!("b{number}"));
    }
    let list = app.get(&at("?sort=name")).session("u1-1").expect(&app, 200);
    let cursor = list.body.split("cursor=").nth(1).unwrap().split('"').next().unwrap();
    let url = |query: &str, cursor: &str| at(&format!("?{query}&cursor={cursor}"));
    app.get(&url("sort=name", cursor)).session("u1-1").expect(&app, 200);
    let flipped = format!("{}A", cursor.strip_suffix(char::is_alphanumeric).unwrap_or(cursor));
    let long = "A".repeat(10_000);
    for (session, url) in [
        ("u2-1", url("sort=name", cursor)),
        ("u1-1", url("sort=-name", cursor)),
        ("u1-1", url("sort=name&q=a", cursor)),
        ("u1-1", url("sort=name&show=all", cursor)),
        ("u1-1", url("sort=name", &flipped)),
        ("u1-1", url("sort=name", cursor.split_at(20).0)),
        ("u1-1", url("sort=name", "MSBPUiAxPTE")),
        ("u1-1", url("sort=name", &long)),
        ("u1-1", at("?cursor=")),
    ] {
        let refused = app.get(&url).session(session).expect(&app, 400);
        assert!(refused.has("Start again from the first page"), "{url}");
    }
}

#[test]
fn a_new_secret_is_in_the_answer_to_its_request_and_nowhere_else() {
    let app = App::new();
    app.confirm("u1-1");
    let form = app.get(&at("/new")).session("u1-1").expect(&app, 200);
    let key = form.hidden("key").to_owned();
    let created = app.post("u1-1", &at("/new"), &new("ci", &key)).expect(&app, 201);
    let secret = created.secret().to_owned();
    assert!(app.world.verify(&secret).is_ok());
    assert_eq!(created.header("location"), None);
    assert_eq!(created.header("set-cookie"), None);
    assert_eq!(created.header("cache-control"), Some("no-store"));
    let title = created.body.split("<title>").nth(1).unwrap().split('<').next().unwrap();
    assert!(!title.contains(&secret));
    assert_eq!(created.body.matches(&secret).count(), 2, "shown, and in the form to download it");
    let list = app.get(&at("")).session("u1-1").expect(&app, 200);
    assert!(!list.has(secret.rsplit('_').next().unwrap()));
    // Reloading sends the same form again.
    let again = app.post("u1-1", &at("/new"), &new("ci", &key)).expect(&app, 409);
    assert!(again.has("Created already") && !again.has(&secret));
    // A form that was used makes no other token either.
    let other = app.post("u1-1", &at("/new"), &new("other", &key)).expect(&app, 409);
    assert!(other.has("This form was used already"));
    assert_eq!(app.world.all().len(), 1);
}

#[test]
fn a_form_sent_twice_at_once_makes_one_token() {
    let app = shared();
    app.confirm("u1-1");
    let statuses = together(8, |_| {
        let ask = app.post("u1-1", &at("/new"), &new("ci", "one key"));
        app.send(&ask).head.status().as_u16()
    });
    assert_eq!(statuses.iter().filter(|status| **status == 201).count(), 1, "{statuses:?}");
    assert_eq!(statuses.iter().filter(|status| **status == 409).count(), 7);
}

#[test]
fn the_secret_can_be_saved_as_a_file() {
    let app = App::new();
    let issued = app.world.token("ci");
    let plain = issued.plain.expose();
    let file = app.post("u1-1", &at("/download"), &[("token", plain)]).expect(&app, 200);
    assert_eq!(file.body, format!("{plain}\n"));
    let name = format!("attachment; filename=\"token-{}.txt\"", issued.token.id);
    assert_eq!(file.header("content-disposition"), Some(name.as_str()));
    assert_eq!(file.header("content-type"), Some("text/plain; charset=utf-8"));
    assert_eq!(file.header("cache-control"), Some("no-store"));
    for text in ["", "<script>", "acme_pat_x", &plain.replace("_pat_", "_app_")] {
        app.post("u1-1", &at("/download"), &[("token", text)]).expect(&app, 400);
    }
}

#[test]
fn hostile_names_are_shown_as_they_are() {
    let app = App::new();
    app.confirm("u1-1");
    let names = [
        "<script>alert(1)</script>",
        "\"><img src=x onerror=1>",
        "{{7*7}}",
        "${7*7}",
        "=cmd()",
        "'&amp;",
    ];
    for (number, name) in names.into_iter().enumerate() {
        let key = format!("key {number}");
        let created = app.post("u1-1", &at("/new"), &new(name, &key)).expect(&app, 201);
        assert!(!created.has("<script>alert") && !created.has("<img"), "{name}");
    }
    let list = app.get(&at("")).session("u1-1").expect(&app, 200);
    assert!(list.has("&#60;script&#62;alert(1)&#60;/script&#62;"));
    assert!(list.has("{{7*7}}") && list.has("${7*7}") && list.has("=cmd()"));
    assert!(!list.has("<script>alert") && !list.has("<img"));
    for token in app.world.all() {
        let page = app.get(&at(&format!("/{}", token.id))).session("u1-1").expect(&app, 200);
        assert!(!page.has("<script>alert") && !page.has("<img"));
    }
}

#[test]
fn what_is_wrong_is_said_at_its_field_and_nothing_is_lost() {
    let app = App::new();
    app.confirm("u1-1");
    let long = "x".repeat(101);
    for name in
        ["a\r\nb", "a\0b", "\u{1b}[31m", "a\u{202e}b", "a\u{2066}b", "\u{200b}", &long, "", "   "]
    {
        let answer = app.post("u1-1", &at("/new"), &new(name, "k")).expect(&app, 400);
        assert!(answer.has("id=\"name-error\"") && answer.has("role=\"alert\""), "{name:?}");
    }
    let with = |change: &[(&'static str, &'static str)]| {
        let mut fields = new("ci", "k");
        for (name, value) in change {
            fields.retain(|(known, _)| known != name);
            if *value != "(none)" {
                fields.push((name, value));
            }
        }
        app.post("u1-1", &at("/new"), &fields).expect(&app, 400)
    };
    for (change, field) in [
        (vec![("scope", "(none)")], "scope-error"),
        (vec![("scope", "repo:none")], "scope-error"),
        (vec![("expiry", "date"), ("date", "")], "date-error"),
        (vec![("expiry", "date"), ("date", "2026-02-30")], "date-error"),
        (vec![("expiry", "date"), ("date", "2026-11-21")], "expiry-error"),
        (vec![("expiry", "date"), ("date", "9999-12-31")], "expiry-error"),
        (vec![("expiry", "0")], "expiry-error"),
        (vec![("expiry", "367")], "expiry-error"),
        (vec![("expiry", "99999")], "expiry-error"),
        (vec![("expiry", "never")], "expiry-error"),
        (vec![("reach", "listed"), ("resources", " \r\n")], "resources-error"),
        (vec![("reach", "listed"), ("resources", "a b")], "resources-error"),
        (vec![("networks", "10.0.0.0/33")], "networks-error"),
        (vec![("description", "\u{7}")], "description-error"),
    ] {
        let answer = with(&change);
        assert!(answer.has(&format!("id=\"{field}\"")), "{change:?}\n{}", answer.body);
        assert!(answer.has("value=\"ci\"") && answer.has("name=\"key\" value=\"k\""));
    }
    for change in [vec![("expiry", "soon")], vec![("expiry", "-1")], vec![("reach", "some")]] {
        with(&change);
    }
    assert_eq!(app.world.all().len(), 0);
    // The same form, put right, goes through.
    app.post("u1-1", &at("/new"), &new("ci", "k")).expect(&app, 201);
}

#[test]
fn a_taken_name_leads_to_the_token_that_has_it() {
    let app = App::new();
    app.confirm("u1-1");
    let token = app.token("u1", "Caf\u{e9}");
    let answer = app.post("u1-1", &at("/new"), &new("CAFE\u{301}", "k")).expect(&app, 409);
    assert!(answer.has(&at(&format!("/{}", token.id))) && answer.has("name-error"));
}

#[test]
fn a_full_owner_is_told_what_to_do() {
    let app = App::with(|policy| policy.quota = Some(1));
    app.confirm("u1-1");
    app.token("u1", "first");
    let answer = app.post("u1-1", &at("/new"), &new("second", "k")).expect(&app, 409);
    assert!(answer.has("You hold 1 token, the most allowed. Revoke one first."));
}

#[test]
fn only_what_the_owner_may_grant_is_offered() {
    let app = App::new();
    app.world.owners.limit("u1", &["repo:read"]);
    let form = app.get(&at("/new")).session("u1-1").expect(&app, 200);
    assert!(form.has("value=\"repo:read\"") && !form.has("value=\"repo:write\""));
    assert!(!form.has(">CI<"), "a preset is offered that cannot be granted");
    app.confirm("u1-1");
    let mut fields = new("ci", "k");
    fields.push(("scope", "hooks"));
    let answer = app.post("u1-1", &at("/new"), &fields).expect(&app, 400);
    assert!(answer.has("You do not have the scope hooks yourself."));
    app.world.owners.facts("u1", |facts| facts.active = false);
    let inactive = app.get(&at("/new")).session("u1-1").expect(&app, 400);
    assert!(inactive.has("Your account is not active."));
    app.world.owners.facts("u1", |facts| facts.rights = Rights::All);
}

#[test]
fn a_preset_is_taken_over_without_a_script() {
    let app = App::new();
    let mut fields = new("ci", "k");
    fields.push(("preset", "CI"));
    let form = app.post("u1-1", &at("/new"), &fields).expect(&app, 200);
    for (scope, checked) in [("repo:write", true), ("hooks", true), ("repo:read", false)] {
        let shown = format!("value=\"{scope}\"{}>", if checked { " checked" } else { "" });
        assert!(form.has(&shown), "{shown}");
    }
    assert!(form.has("value=\"ci\"") && form.hidden("key") == "k");
    assert_eq!(app.world.all().len(), 0);
}

#[test]
fn everything_that_can_be_set_is_set() {
    let app = App::new();
    app.confirm("u1-1");
    let mut fields = new("ci", "k");
    for (name, value) in [
        ("description", "for\r\nthe build"),
        ("expiry", "date"),
        ("date", "2026-12-24"),
        ("reach", "listed"),
        ("resources", "org/*\r\n\r\n other \r\n"),
        ("networks", "192.0.2.7\r\n2001:db8::/32"),
    ] {
        fields.retain(|(known, _)| *known != name);
        fields.push((name, value));
    }
    fields.push(("scope", "hooks"));
    app.post("u1-1", &at("/new"), &fields).expect(&app, 201);
    let token = app.world.all().pop().unwrap();
    assert_eq!(token.description.as_deref(), Some("for\nthe build"));
    assert_eq!(token.expires_at.unwrap().to_string(), "2026-12-24T23:59:59Z");
    assert_eq!(token.resources, Resources::listed(["org/*", "other"]).unwrap());
    assert!(token.networks.admit(Some("192.0.2.7".parse().unwrap())));
    assert!(!token.networks.admit(Some("192.0.2.8".parse().unwrap())));
    assert_eq!(token.scopes.iter().count(), 2);
    let page = app.get(&at(&format!("/{}", token.id))).session("u1-1").expect(&app, 200);
    for text in ["for\nthe build", "org/*\nother", "192.0.2.7/32", "Keep: 2026-12-24"] {
        assert!(page.has(text), "{text}");
    }
}

/// The fields of the form of a token.
fn edit<'a>(name: &'a str, version: &'a str, scopes: &[&'a str]) -> Vec<(&'a str, &'a str)> {
    let mut fields = vec![
        ("name", name),
        ("description", ""),
        ("expiry", "keep"),
        ("date", ""),
        ("reach", "none"),
        ("resources", ""),
        ("networks", ""),
        ("version", version),
    ];
    fields.extend(scopes.iter().map(|scope| ("scope", *scope)));
    fields
}

#[test]
fn narrowing_is_free_and_a_stale_page_undoes_nothing() {
    let app = App::new();
    let issue = Issue::new("ci").owner("u1").scopes(["repo:write", "hooks"]);
    let token = app.world.issue(issue).token;
    let own = at(&format!("/{}", token.id));
    let saved = app.post("u1-1", &own, &edit("renamed", "1", &["hooks"])).expect(&app, 303);
    assert_eq!(saved.header("location"), Some(format!("{own}?notice=saved").as_str()));
    let token = app.now(&token);
    assert_eq!((token.name.as_str(), token.scopes.iter().count()), ("renamed", 1));
    let page = app.get(&format!("{own}?notice=saved")).session("u1-1").expect(&app, 200);
    assert!(page.has("Changes saved.") && page.hidden("version") == "2");
    // Another tab still shows the first version.
    let stale = app.post("u1-1", &own, &edit("back", "1", &["hooks"])).expect(&app, 409);
    assert!(stale.has("changed in the meantime"));
    assert_eq!(app.now(&token).name.as_str(), "renamed");
    for query in ["notice=%3Cscript%3E", "notice=revoked-x"] {
        let page = app.get(&format!("{own}?{query}")).session("u1-1").expect(&app, 200);
        assert!(!page.has("toast"));
    }
}

#[test]
fn a_copy_has_the_settings_and_a_secret_of_its_own() {
    let app = App::new();
    app.confirm("u1-1");
    let issue = Issue::new("ci").owner("u1").scopes(["hooks"]).on(["org/*"]);
    let first = app.world.issue(issue.expiry(Expiry::In(TimeDelta::days(45))));
    let query = format!("/new?copy_of={}", first.token.id);
    let form = app.get(&at(&query)).session("u1-1").expect(&app, 200);
    assert!(form.has("value=\"ci (copy)\"") && form.has("value=\"hooks\" checked"));
    assert!(form.has("org/*") && form.has("<option value=\"45\" selected>"));
    let id = first.token.id.to_string();
    let mut fields = new("ci (copy)", "k");
    fields.push(("copy_of", &id));
    let created = app.post("u1-1", &at("/new"), &fields).expect(&app, 201);
    assert_ne!(created.secret(), first.plain.expose());
    app.get(&at(&query)).session("u2-1").expect(&app, 404);
    app.post("u2-1", &at("/new"), &fields).expect(&app, 404);
}

#[test]
fn a_token_is_regenerated_with_a_choice_of_overlap() {
    let app = App::new();
    app.confirm("u1-1");
    let first = app.world.token("ci");
    let url = at(&format!("/{}/regenerate", first.token.id));
    let form = app.get(&url).session("u1-1").expect(&app, 200);
    assert!(form.has("value=\"86400\" checked") && form.has("keeps working for 7 days"));
    let fields = [("version", "1"), ("overlap", "3600"), ("expiry", "keep"), ("date", "")];
    let done = app.post("u1-1", &url, &fields).expect(&app, 201);
    let second = done.secret().to_owned();
    assert!(done.has("works until 2026-11-22 10:00 UTC"));
    assert!(app.world.verify(&second).is_ok() && app.world.accepts(&first));
    app.world.advance(TimeDelta::hours(1) - micro());
    assert!(app.world.accepts(&first));
    app.world.advance(micro());
    assert!(!app.world.accepts(&first) && app.world.verify(&second).is_ok());
    // Reloading rotates nothing and shows nothing.
    app.confirm("u1-1");
    let again = app.post("u1-1", &url, &fields).expect(&app, 409);
    assert!(again.has("Regenerated already") && !again.has("id=\"secret\""));
    let version = app.now(&first.token).version.to_string();
    let at_once = [("version", &*version), ("overlap", "0"), ("expiry", "90"), ("date", "")];
    let done = app.post("u1-1", &url, &at_once).expect(&app, 201);
    assert!(done.has("does not work any more") && app.world.verify(&second).is_err());
    for (field, value) in
        [("overlap", "-1"), ("overlap", "x"), ("overlap", ""), ("version", "x"), ("expiry", "y")]
    {
        let mut fields = at_once.to_vec();
        fields.retain(|(known, _)| *known != field);
        fields.push((field, value));
        app.post("u1-1", &url, &fields).expect(&app, 400);
    }
    let long = [("version", "9"), ("overlap", "604801"), ("expiry", "keep"), ("date", "")];
    app.post("u1-1", &url, &long).expect(&app, 409);
}

#[test]
fn of_many_regenerations_at_once_one_goes_through() {
    let app = shared();
    app.confirm("u1-1");
    let token = app.token("u1", "ci");
    let url = at(&format!("/{}/regenerate", token.id));
    let fields = [("version", "1"), ("overlap", "0"), ("expiry", "keep"), ("date", "")];
    let statuses =
        together(16, |_| app.send(&app.post("u1-1", &url, &fields)).head.status().as_u16());
    assert_eq!(statuses.iter().filter(|status| **status == 201).count(), 1, "{statuses:?}");
    assert_eq!(statuses.iter().filter(|status| **status == 409).count(), 15);
}

#[test]
fn a_token_is_set_aside_and_taken_back() {
    let app = App::new();
    let issued = app.world.token("ci");
    let own = at(&format!("/{}", issued.token.id));
    let done = app.post("u1-1", &format!("{own}/suspend"), &[]).expect(&app, 303);
    assert_eq!(done.header("location"), Some(format!("{own}?notice=suspended").as_str()));
    assert!(!app.world.accepts(&issued));
    let page = app.get(&own).session("u1-1").expect(&app, 200);
    assert!(page.has("It is suspended") && page.has(&format!("{own}/resume")));
    // Taking it back gives access, so it is confirmed.
    let asked = app.post("u1-1", &format!("{own}/resume"), &[]).expect(&app, 403);
    assert!(asked.has("Confirm it is you"));
    let password = [("password", "u1's")];
    app.post("u1-1", &format!("{own}/resume"), &password).expect(&app, 303);
    assert!(app.world.accepts(&issued));
}

#[test]
fn revoking_is_asked_back_and_final() {
    let app = App::new();
    let issued = app.world.token("ci");
    let own = at(&format!("/{}", issued.token.id));
    let question = app.get(&format!("{own}/revoke")).session("u1-1").expect(&app, 200);
    assert!(question.has("Revoke ci?") && app.world.accepts(&issued));
    for _ in 0..2 {
        let done = app.post("u1-1", &format!("{own}/revoke"), &[]).expect(&app, 303);
        assert_eq!(done.header("location"), Some(at("?notice=revoked-1").as_str()));
    }
    assert!(!app.world.accepts(&issued));
    let list = app.get(&at("?notice=revoked-1")).session("u1-1").expect(&app, 200);
    assert!(list.has("1 token revoked."));
}

#[test]
fn many_are_revoked_after_a_question() {
    let app = App::new();
    let names = ["a", "b", "c"];
    let [a, b, c] = names.map(|name| app.token("u1", name));
    let theirs = app.token("u2", "theirs");
    let (one, two) = (a.id.to_string(), b.id.to_string());
    let picked = [("id", &*one), ("id", &*two)];
    let question = app.post("u1-1", &at("/revoke"), &picked).expect(&app, 200);
    assert!(question.has("Revoke 2 tokens?"));
    let sure = [("id", &*one), ("id", &*two), ("sure", "yes")];
    let asked = app.post("u1-1", &at("/revoke"), &sure).expect(&app, 403);
    assert!(asked.has("Confirm it is you") && app.now(&a).revocation.is_none());
    let mut carried = asked.carried();
    carried.push(("password".to_owned(), "u1's".to_owned()));
    let carried: Vec<(&str, &str)> = carried.iter().map(|(n, v)| (&**n, &**v)).collect();
    let done = app.post("u1-1", &at("/revoke"), &carried).expect(&app, 303);
    assert_eq!(done.header("location"), Some(at("?notice=revoked-2").as_str()));
    assert_eq!(Status::at(&app.now(&c), app.world.now()), Status::Active);
    // Nothing picked, nothing asked; another's is not there.
    app.post("u1-1", &at("/revoke"), &[]).expect(&app, 303);
    let foreign = theirs.id.to_string();
    app.post("u1-1", &at("/revoke"), &[("id", &foreign)]).expect(&app, 404);
    let sure = [("id", &*foreign), ("sure", "yes")];
    let done = app.post("u1-1", &at("/revoke"), &sure).expect(&app, 303);
    assert_eq!(done.header("location"), Some(at("?notice=revoked-0").as_str()));
    assert!(app.now(&theirs).revocation.is_none());
}

#[test]
fn an_administrator_looks_after_everybodys_tokens() {
    let app = App::new();
    let theirs = app.world.token("ci");
    let id = theirs.token.id.to_string();
    app.token("u2", "other");
    let list = app.get(&at("/admin")).session("root-1").expect(&app, 200);
    assert!(list.has(">ci<") && list.has(">other<") && list.has("aria-current=\"page\""));
    let one = app.get(&at("/admin?owner=u2")).session("root-1").expect(&app, 200);
    assert!(one.has(">other<") && !one.has(">ci<"));
    let own = at(&format!("/admin/{id}"));
    let page = app.get(&own).session("root-1").expect(&app, 200);
    assert!(page.has("u1") && !page.has("Save changes") && !page.has("/regenerate"));
    app.post("root-1", &format!("{own}/suspend"), &[]).expect(&app, 303);
    assert!(!app.world.accepts(&theirs));
    let password = [("password", "root's")];
    app.post("root-1", &format!("{own}/resume"), &password).expect(&app, 303);
    assert!(app.world.accepts(&theirs));
    app.get(&format!("{own}/revoke")).session("root-1").expect(&app, 200);
    let done = app.post("root-1", &format!("{own}/revoke"), &[]).expect(&app, 303);
    assert_eq!(done.header("location"), Some(at("/admin?notice=revoked-1").as_str()));
    let revocation = app.now(&theirs.token).revocation.unwrap();
    assert_eq!(revocation.by.to_string(), "admin:root");
    // Root's own list is root's own.
    assert!(app.get(&at("")).session("root-1").expect(&app, 200).has("No tokens yet"));
}

#[test]
fn an_administrator_says_which_tenant_and_enough_to_search_for() {
    let plain = App::new();
    let admin = |app: &App, query: &str| {
        app.get(&at(&format!("/admin{query}"))).session("root-1").expect(app, 200)
    };
    plain.token("u1", "alpha");
    // Without tenants an owner is enough, and nobody is asked for more.
    assert!(admin(&plain, "?owner=u1").has("alpha"));
    assert!(!admin(&plain, "").has("id=\"tenant\""));
    let app = App::build(World::new(), hallpass::console::ConsoleBuilder::with_tenants);
    for tenant in ["t1", "t2"] {
        let issue =
            Issue::new(format!("ci-{tenant}")).owner("u1").tenant(crate::world::tenant(tenant));
        app.world.issue(issue.scopes(["repo:read"]));
    }
    assert!(admin(&app, "").has("ci-t1") && admin(&app, "").has("ci-t2"));
    let unclear = admin(&app, "?owner=u1");
    assert!(
        unclear.has("In which tenant?") && unclear.has("id=\"tenant\"") && !unclear.has("ci-t")
    );
    let clear = admin(&app, "?owner=u1&tenant=t1");
    assert!(clear.has("ci-t1") && !clear.has("ci-t2") && clear.has("value=\"t1\""));
    assert!(admin(&app, "?tenant=t2").has("ci-t2"));
    app.get(&at("/admin?tenant=%00")).session("root-1").expect(&app, 400);
    // One letter is in nearly every token; of one owner's few, it tells enough.
    assert!(admin(&app, "?q=c").has("at least two characters"));
    assert!(admin(&app, "?q=ci-").has("ci-t1"));
    assert!(admin(&app, "?q=c&owner=u1&tenant=t1").has("ci-t1"));
    let own = app.token("u1", "\u{4eac}");
    let found = app.get(&at("?q=%E4%BA%AC")).session("u1-1").expect(&app, 200);
    assert!(found.has(own.id.as_str()));
}

#[test]
fn an_administrator_finds_out_whose_a_token_is() {
    let app = App::new();
    let issued = app.world.token("ci");
    let (plain, id) = (issued.plain.expose(), issued.token.id.to_string());
    let visible = format!("acme_pat_{id}");
    let ask = |text: &str| app.post("root-1", &at("/admin/whose"), &[("text", text)]);
    for text in [&*id, &visible] {
        let found = ask(text).expect(&app, 200);
        assert!(found.has("ci") && found.has("u1") && !found.has("The text is"));
    }
    let found = ask(&format!(" {plain}\n")).expect(&app, 200);
    assert!(found.has("The text is good") && !found.has(plain));
    run(app.world.hallpass.revoke(&issued.token.id, RevocationReason::Leaked)).unwrap();
    assert!(ask(plain).expect(&app, 200).has("The text is not good"));
    // What is left of a text in some log still names its token.
    assert!(ask(&plain.replace("acme_", "cme_")).expect(&app, 200).has("u1"));
    for text in ["", "x", "0000000000000001", "<b>", "acme_pat_0000000000000001"] {
        let none = ask(text).expect(&app, 404);
        assert!(none.has("No token found"), "{text}");
    }
    // Who is no administrator knows of no such page.
    for path in ["/admin", &format!("/admin/{id}"), &format!("/admin/{id}/revoke")] {
        app.get(&at(path)).session("u1-1").expect(&app, 404);
    }
    for path in ["/admin/whose", "/admin/revoke", &format!("/admin/{id}/suspend")] {
        let text = [("text", plain)];
        let fields = if path == "/admin/whose" { &text[..] } else { &[] };
        let status = app.send(&app.post("u1-1", &at(path), fields)).head.status().as_u16();
        assert!(status == 404 || (path == "/admin/revoke" && status == 303), "{path} {status}");
    }
}

#[test]
fn texts_title_and_links_are_the_hosts() {
    let mut texts = hallpass::console::Texts::english();
    texts.lang = "pl".into();
    texts.new_token = "Nowy token".into();
    let app = App::build(World::new(), |console| {
        let logo = "<svg viewBox=\"0 0 1 1\"><path d=\"M0 0h1v1z\"/></svg>";
        console.title("A & B").logo(logo).back("Home", "/home").texts(texts).without_resources()
    });
    let list = app.get(&at("")).session("u1-1").expect(&app, 200);
    assert!(list.has("lang=\"pl\"") && list.has("Nowy token"));
    assert!(list.has("A &#38; B") && list.has("M0 0h1v1z") && list.has("href=\"/home\""));
    let form = app.get(&at("/new")).session("u1-1").expect(&app, 200);
    assert!(!form.has("name=\"reach\""));
}

#[test]
fn the_console_can_be_the_whole_app() {
    let app = App::build(World::new(), |console| console.mounted_at(""));
    app.token("u1", "ci");
    assert!(app.get("/").session("u1-1").expect(&app, 200).has(">ci<"));
    assert!(app.get("/new").session("u1-1").expect(&app, 200).has("action=\"/new\""));
    assert_eq!(
        Ask::new("GET", "/new").expect(&app, 303).header("location"),
        Some("/login?next=%2Fnew")
    );
}
