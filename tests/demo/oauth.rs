//! The OAuth endpoints of the demo, as clients see them.

use std::process::Command;

use serde_json::{Value, json};

use super::{
    AUTOMATION, Answer, Ask, DATA, Demo, PATS, Program, RELEASE, TOKEN_EXCHANGE, has_curl, text,
};

const TOKEN: &str = "/oauth/token";
const JWT: &str = "requested_token_type=urn:ietf:params:oauth:token-type:jwt";

impl Demo {
    fn exchange(&self, token: &str, more: &str) -> Ask {
        self.post(TOKEN).form(&format!("{TOKEN_EXCHANGE}&subject_token={token}{more}"))
    }

    fn refresh(&self, client: &str, refresh_token: &str) -> Ask {
        let form = format!("grant_type=refresh_token&refresh_token={refresh_token}");
        match client {
            "1" => self.post(TOKEN).form(&format!("{form}&client_id=1")),
            id => self.post(TOKEN).basic(id, self.secret_of(id)).form(&form),
        }
    }

    fn secret_of(&self, client: &str) -> &str {
        let registered = &self.app.endpoints.registered;
        match client {
            "gateway" => registered.gateway.expose(),
            "2" => registered.nightly.expose(),
            other => panic!("{other} has no secret"),
        }
    }

    fn introspect(&self, client: &str, token: &str) -> Value {
        let ask = self.post("/oauth/introspect").basic(client, self.secret_of(client));
        ask.form(&format!("token={token}")).expect(200).json()
    }

    fn application(&self, id: u32) -> Value {
        let body = json!({"description": "app", "scope": "write", "application": id});
        self.token("alice", AUTOMATION, &body)
    }
}

/// The refusal of every bad token.
fn refused(demo: &Demo, token: &str) -> Answer {
    let answer = demo.get("/me").bearer(token).expect(401);
    let same = demo.get("/me").bearer("demo_pat_x").expect(401);
    assert_eq!(answer.constant(), same.constant());
    answer
}

#[test]
fn what_is_exchanged_speaks_for_the_same_person_until_its_token_ends() {
    let demo = Demo::start();
    for (product, made, path, scope) in [
        (
            "automation",
            demo.token("alice", AUTOMATION, &json!({"description": "x", "scope": "write"})),
            AUTOMATION,
            "read",
        ),
        (
            "release",
            demo.token("alice", RELEASE, &json!({"name": "x", "scopes": ["webhook"]})),
            RELEASE,
            "webhook",
        ),
        (
            "data",
            demo.token("alice", DATA, &json!({"name": "x", "scopes": ["openid"]})),
            DATA,
            "openid",
        ),
    ] {
        let token = text(&made, "token");
        let mut exchanged = Vec::new();
        for (more, start) in [("", "demo_at_"), (&*format!("&{JWT}"), "ey")] {
            let answer = demo.exchange(token, &format!("{more}&scope={scope}")).expect(200);
            assert_eq!(answer.header("cache-control"), Some("no-store"));
            assert_eq!(answer.header("pragma"), Some("no-cache"));
            let answer = answer.json();
            assert_eq!((text(&answer, "scope"), text(&answer, "token_type")), (scope, "Bearer"));
            let access = text(&answer, "access_token").to_owned();
            assert!(access.starts_with(start), "{access}");
            let me = demo.get("/me").bearer(&access).expect(200).json();
            assert_eq!((text(&me, "user"), text(&me, "product")), ("alice", product));
            assert_eq!((&me["scopes"], text(&me, "kind")), (&json!([scope]), "at"));
            // Whatever the way it comes.
            for other in [
                demo.get("/me").basic("x", &access),
                demo.get("/me").basic(&access, ""),
                demo.get("/me").basic(&access, "x-oauth-basic"),
                demo.get("/me").header("x-release-personal-token", &access),
            ] {
                assert_eq!(other.expect(200).json(), me);
            }
            demo.get("/me").basic(&access, &access).expect(400);
            // It is no subject, and manages nothing.
            let again = demo.exchange(&access, "").expect(400).json();
            assert_eq!(again["error"], "invalid_request");
            demo.post(PATS).bearer(&access).json(&json!({"name": "y"})).expect(403);
            demo.post(PATS).basic("alice", &access).json(&json!({"name": "y"})).expect(403);
            exchanged.push(access);
        }
        let id = text(&made, "id");
        let path = format!("{}/{id}", path.trim_end_matches('/'));
        let path = if product == "automation" { format!("{path}/") } else { path };
        demo.ask("DELETE", &path).user("alice").expect(204);
        for access in exchanged {
            refused(&demo, &access);
            assert_eq!(demo.introspect("gateway", &access), json!({"active": false}));
        }
    }
}

#[test]
fn tokens_for_another_service_are_not_for_the_demo() {
    let demo = Demo::start();
    let made = demo.token("alice", DATA, &json!({"name": "x", "scopes": ["openid"]}));
    for more in ["", &format!("&{JWT}")] {
        let more = format!("{more}&resource=https://reports.example");
        let answer = demo.exchange(text(&made, "token"), &more).expect(200).json();
        let access = text(&answer, "access_token");
        refused(&demo, access);
        let told = demo.introspect("gateway", access);
        assert_eq!(
            (&told["active"], &told["aud"]),
            (&json!(true), &"https://reports.example".into())
        );
    }
    let answer = demo.exchange(text(&made, "token"), "&audience=https://x.example").expect(400);
    assert_eq!(answer.json()["error"], "invalid_target");
}

#[test]
fn applications_refresh_their_tokens() {
    let demo = Demo::start();
    for (id, client, other) in [(1, "1", "2"), (2, "2", "1")] {
        let made = demo.application(id);
        let (access, first) = (text(&made, "token"), text(&made, "refresh_token"));
        assert!(access.starts_with("demo_app_") && first.starts_with("demo_rt_"));
        demo.get("/me").bearer(access).expect(200);
        refused(&demo, first);
        let wrong = demo.refresh(other, first).expect(400).json();
        assert_eq!(wrong["error"], "invalid_grant");

        let answer = demo.refresh(client, first).expect(200).json();
        assert_eq!((text(&answer, "scope"), &answer["expires_in"]), ("write", &json!(3600)));
        let (access, next) = (text(&answer, "access_token"), text(&answer, "refresh_token"));
        assert_eq!(
            demo.get("/me").bearer(access).expect(200).json()["scopes"],
            json!(["read", "write"])
        );
        // A lost reply is forgiven; a token that was used in the meantime is not.
        let retried = demo.refresh(client, first).expect(200).json();
        refused_refresh(&demo, client, next);
        refused(&demo, text(&retried, "access_token"));
    }
    let made = demo.token("alice", AUTOMATION, &json!({"description": "x", "scope": "read"}));
    assert_eq!(made.get("refresh_token"), None);
    let list = demo.get(AUTOMATION).user("alice").expect(200);
    assert!(!list.body.contains("refresh_token") && !list.body.contains("demo_rt_"));
}

fn refused_refresh(demo: &Demo, client: &str, refresh_token: &str) {
    let answer = demo.refresh(client, refresh_token).expect(400).json();
    assert_eq!(answer["error"], "invalid_grant");
}

#[test]
fn deleting_an_applications_token_ends_what_could_refresh_it() {
    for let_sessions_finish in [false, true] {
        let demo = Demo::start_with(|settings| settings.let_sessions_finish = let_sessions_finish);
        let made = demo.application(1);
        let path = format!("{AUTOMATION}{}/", text(&made, "id"));
        demo.ask("DELETE", &path).user("bob").expect(404);
        demo.ask("DELETE", &path).user("alice").expect(204);
        refused(&demo, text(&made, "token"));
        refused_refresh(&demo, "1", text(&made, "refresh_token"));
    }
}

#[test]
fn clients_learn_where_everything_is() {
    let demo = Demo::start();
    let metadata = demo.get("/.well-known/oauth-authorization-server").expect(200);
    assert_eq!(metadata.header("cache-control"), Some("public, max-age=300"));
    let metadata = metadata.json();
    let issuer = text(&metadata, "issuer");
    for (member, path) in [
        ("token_endpoint", TOKEN),
        ("introspection_endpoint", "/oauth/introspect"),
        ("revocation_endpoint", "/oauth/revoke"),
        ("jwks_uri", "/oauth/jwks.json"),
    ] {
        assert_eq!(text(&metadata, member), format!("{issuer}{path}"));
    }
    let keys = demo.get("/oauth/jwks.json").expect(200);
    assert_eq!(keys.header("content-type"), Some("application/jwk-set+json"));
    assert_eq!(keys.header("cache-control"), Some("public, max-age=300"));
    assert_eq!((keys.header("set-cookie"), keys.header("vary")), (None, None));
    assert!(keys.json()["keys"][0]["d"].is_null() && keys.body.contains("ES256"));
    for path in [TOKEN, "/oauth/introspect", "/oauth/revoke"] {
        assert_eq!(demo.get(path).expect(405).header("allow"), Some("post"));
        demo.post(path).form(&"x".repeat(17 * 1024)).expect(413);
    }
    demo.post("/oauth/introspect").form("token=x").expect(401);
    demo.post("/oauth/revoke").form("token=x").expect(200);
}

/// The lines of README.md, as they stand there, on a port of their own.
#[test]
fn the_walk_in_the_readme_works() {
    let readme = include_str!("../../README.md");
    let block = readme.split("```sh\n").find(|block| block.contains("$SHORT")).unwrap();
    let block = block.split("```").next().unwrap();
    assert!(block.contains("127.0.0.1:3000"), "{block}");
    if !has_curl() {
        return;
    }
    let password = "opensesame";
    let mut program = Program::start(&[
        "--listen",
        "127.0.0.1:0",
        "--database",
        "memory:",
        "--password",
        password,
    ]);
    let address = program.address();
    let script = block.replace("127.0.0.1:3000", &address.to_string());
    let script =
        format!("curl() {{ command curl -w '%{{stderr}}%{{http_code}}\\n' \"$@\"; }}\n{script}");
    let run = Command::new("sh").arg("-c").arg(script).env("DEMO_PASSWORD", password).output();
    let run = run.unwrap();
    let statuses = String::from_utf8(run.stderr).unwrap();
    let expected: Vec<_> =
        block.lines().filter_map(|line| line.strip_prefix("# ")?.rsplit(": ").next()).collect();
    assert_eq!(statuses.lines().collect::<Vec<_>>(), expected, "{block}");
}
