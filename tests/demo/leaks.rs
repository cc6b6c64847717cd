//! Reports of leaked tokens to the demo, signed by OpenSSL.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use hallpass::fetch::LocalFile;
use serde_json::{Value, json};

use super::{Ask, Demo, PATS, Program, text};

/// Whether these programs can be run; under `CI=true` they must be there.
fn has_programs() -> bool {
    let runs = |program: &str, argument| {
        let output = Command::new(program).arg(argument).output();
        output.is_ok_and(|output| output.status.success())
    };
    let has = runs("curl", "--version") && runs("openssl", "version");
    assert!(has || std::env::var("CI").is_err(), "curl and openssl are installed");
    has
}

/// Runs a script in a folder, and gives what it printed and what it complained of.
fn sh(folder: &Path, script: &str) -> (String, String) {
    let run = Command::new("sh").args(["-ec", script]).current_dir(folder).output().unwrap();
    let [out, err] = [run.stdout, run.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
    (out, err)
}

/// The lines of docs/OPERATING.md, as they stand there, on a port of their own.
#[test]
fn the_walk_through_a_report_works() {
    let guide = include_str!("../../docs/OPERATING.md");
    let block = guide.split("```sh\n").skip(1).find(|block| block.contains("/leaks")).unwrap();
    let block = block.split("```").next().unwrap();
    assert!(block.contains("127.0.0.1:3000"), "{block}");
    if !has_programs() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let keys = folder.path().join("keys.json");
    let mut program = Program::start(&[
        "--listen",
        "127.0.0.1:0",
        "--database",
        "memory:",
        "--password",
        "opensesame",
        "--leak-keys",
        keys.to_str().unwrap(),
    ]);
    let address = program.address();
    let script = block.replace("127.0.0.1:3000", &address.to_string());
    let counted = "curl() { command curl -w '%{stderr}%{http_code}\\n' \"$@\"; }";
    let (out, statuses) = sh(folder.path(), &format!("{counted}\n{script}"));
    let expected: Vec<_> = block
        .lines()
        .filter_map(|line| Some(line.strip_prefix("# ")?.rsplit_once(": ")?.1))
        .collect();
    assert_eq!(statuses.lines().collect::<Vec<_>>(), expected, "{block}");
    assert!(out.contains(r#""token_type":"demo_token","label":"true_positive""#), "{out}");
}

#[test]
fn what_is_reported_ends_and_its_owner_is_shown_why() {
    if !has_programs() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let keys = folder.path().join("keys.json");
    let demo = Demo::start_with(|settings| {
        settings.partner_keys = Some(Arc::new(LocalFile::new(&keys)));
    });
    let made = demo.token("alice", PATS, &json!({"name": "found"}));
    let token = text(&made, "token");
    let body = json!([{"token": token, "type": "t", "url": "", "source": "npm"}]).to_string();
    let signed = |signature: &str| -> Ask {
        demo.post("/leaks")
            .body("application/json", body.clone())
            .header("GITHUB-PUBLIC-KEY-IDENTIFIER", "openssl")
            .header("GITHUB-PUBLIC-KEY-SIGNATURE", signature)
    };
    fs::write(folder.path().join("report.json"), &body).unwrap();
    let sign = "openssl ecparam -name prime256v1 -genkey -noout -out key.pem
        openssl ec -in key.pem -pubout -out pub.pem 2>/dev/null
        openssl dgst -sha256 -sign key.pem report.json | base64 | tr -d '\\n'";
    let (signature, _) = sh(folder.path(), sign);
    let pem = fs::read_to_string(folder.path().join("pub.pem")).unwrap();
    let key = json!({"key_identifier": "openssl", "key": pem, "is_current": true});
    fs::write(&keys, json!({"public_keys": [key]}).to_string()).unwrap();

    demo.get("/me").bearer(token).expect(200);
    demo.post("/leaks").body("application/json", body.clone()).expect(400);
    signed(&signature.replace(char::is_uppercase, "A")).expect(400);
    demo.get("/leaks").expect(405);
    demo.get("/me").bearer(token).expect(200);
    let labels: Value = signed(&signature).expect(200).json();
    assert_eq!(labels[0]["label"], "true_positive");
    demo.get("/me").bearer(token).expect(401);
    // Again, as partners do that heard no answer.
    assert_eq!(signed(&signature).expect(200).json(), labels);

    let id = text(&made, "id").parse().unwrap();
    let ended = demo.runtime.block_on(demo.app.hallpass.get(&id)).unwrap().unwrap();
    let revocation = ended.revocation.unwrap();
    assert_eq!(revocation.by.to_string(), "scanner:github");
    assert_eq!(revocation.reason.as_str(), "leaked");
}

#[test]
fn without_keys_there_is_no_such_path() {
    Demo::start().post("/leaks").body("application/json", "[]").expect(404);
}
