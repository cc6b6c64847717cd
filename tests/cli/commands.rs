//! What the commands do.

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Stdio;

use hallpass::client::Credential;
use serde_json::Value;

use crate::world::{Case, World, done};

pub(crate) const CASES: &[Case] = &[
    ("the_commands_of_the_guide_work_one_after_the_other", the_commands_of_the_guide),
    ("a_new_token_is_all_that_is_on_standard_output", a_new_token_is_all_there_is),
    ("a_new_token_goes_to_a_file_of_its_own", a_new_token_goes_to_a_file),
    ("an_unwritable_output_is_said", an_unwritable_output_is_said),
    ("deleting_goes_on_after_a_failure", deleting_goes_on),
    ("a_session_is_for_its_server_and_ends", a_session_ends),
    ("completions_are_for_the_shell", completions),
    ("help_names_the_variable", help_names_the_variable),
    ("proxies_do_not_see_what_stays_here", proxies_do_not_see),
    ("proxies_see_no_secret", proxies_see_no_secret),
    ("a_reader_may_leave", a_reader_may_leave),
    ("a_token_is_piped_in_and_out", standard_input),
    ("names_with_any_character_are_names", odd_names),
];

fn mode(path: &std::path::Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

fn the_commands_of_the_guide(world: &World) {
    let made = done(&mut world.playground(&["user", "pat", "create", "ci_pat"]));
    assert_eq!(made.code, 0, "{made:?}");
    let token = made.out.strip_suffix('\n').unwrap();
    assert!(token.starts_with("demo_pat_") && token.len() == 75, "{made:?}");
    assert!(!Credential::from_text(token).unwrap().looks_damaged());
    assert!(made.err.starts_with("Created ci_pat, which ends on 20"), "{made:?}");
    assert!(made.err.ends_with(". Keep the token now, it is not shown again.\n"), "{made:?}");

    let login = world.login(token);
    assert_eq!((login.code, login.out.as_str()), (0, ""), "{login:?}");
    assert!(login.err.starts_with("Logged in as alice until 20"), "{login:?}");
    let session = world.session_file();
    assert_eq!((mode(&session), mode(session.parent().unwrap())), (0o600, 0o700));
    assert!(!fs::read_to_string(&session).unwrap().contains(token));

    let file = world.write("pat", &format!("{token}\n"), 0o600);
    let file = file.to_str().unwrap();
    for spelling in ["--patFile", "--pat-file"] {
        let login = done(&mut world.program("playground", &["login", spelling, file]));
        assert_eq!(login.code, 0, "{login:?}");
    }
    let whoami = done(&mut world.program("playground", &["whoami"]));
    assert!(whoami.out.starts_with("alice, with playground, until 20"), "{whoami:?}");

    let list = done(&mut world.playground(&["user", "pat", "list"]));
    assert_eq!((list.code, list.err.as_str()), (0, ""), "{list:?}");
    let mut lines = list.out.lines();
    let header: Vec<&str> = lines.next().unwrap().split("  ").filter(|c| !c.is_empty()).collect();
    let header: Vec<&str> = header.iter().map(|cell| cell.trim()).collect();
    assert_eq!(header, ["NAME", "ID", "SCOPES", "CREATED", "EXPIRES", "LAST USED", "STATUS"]);
    let row = lines.find(|line| line.starts_with("ci_pat ")).unwrap();
    assert!(row.contains("  playground  ") && row.ends_with("  just now   active"), "{row}");
    assert!(!list.out.contains(token) && !list.out.contains('\u{1b}'));

    let deleted = done(&mut world.playground(&["user", "pat", "delete", "ci_pat"]));
    assert_eq!((deleted.code, deleted.err.as_str()), (0, "Deleted ci_pat.\n"));
    assert_eq!(world.login(token).code, 4);
    // The session went with the token.
    let whoami = done(&mut world.program("playground", &["whoami"]));
    assert_eq!(whoami.code, 4, "{whoami:?}");

    let out = done(&mut world.program("playground", &["logout"]));
    assert_eq!((out.code, out.err.as_str()), (0, "Logged out.\n"));
    let out = done(&mut world.program("playground", &["logout"]));
    assert_eq!((out.code, out.err.as_str()), (0, "Nobody was logged in.\n"));
    assert_eq!(world.litter(), 0);
}

fn a_new_token_is_all_there_is(world: &World) {
    let script = "T=$(playground user pat create captured 2>/dev/null) && \
                  PLAYGROUND_PAT=$T playground login --pat && playground whoami --json";
    let mut shell = world.shell(script);
    let told =
        done(shell.env("PLAYGROUND_USER", "bob").env("PLAYGROUND_PASSWORD", "correct horse"));
    assert_eq!(told.code, 0, "{told:?}");
    let who: Value = serde_json::from_str(&told.out).unwrap();
    assert_eq!((&who["user"], &who["scopes"][0]), (&"bob".into(), &"playground".into()));

    let made = done(&mut world.playground(&["user", "pat", "create", "--json", "in json"]));
    let made: Value = serde_json::from_str(&made.out).unwrap();
    assert!(made["token"].as_str().unwrap().starts_with("demo_pat_"), "{made}");
    assert_eq!((&made["name"], &made["status"]), (&"in json".into(), &"active".into()));
    let list = done(&mut world.playground(&["user", "pat", "list", "--json"]));
    assert!(!list.out.contains(made["token"].as_str().unwrap()));
    let list: Value = serde_json::from_str(&list.out).unwrap();
    let listed = list.as_array().unwrap().iter().find(|pat| pat["id"] == made["id"]).unwrap();
    assert_eq!(listed["last_used_at"], Value::Null);
    assert!(listed["expires_at"].as_str().unwrap().ends_with('Z'));
}

fn a_new_token_goes_to_a_file(world: &World) {
    let path = world.home().join("new_pat");
    let shown = path.to_str().unwrap();
    let create = |name: &str, more: &[&str]| {
        let mut arguments = vec!["user", "pat", "create", name, "--pat-file", shown];
        arguments.extend(more);
        done(&mut world.playground(&arguments))
    };
    let made = create("filed", &[]);
    assert_eq!((made.code, made.out.as_str()), (0, ""), "{made:?}");
    assert!(made.err.ends_with(&format!(". It is in {shown}.\n")), "{made:?}");
    assert_eq!(mode(&path), 0o600);
    let first = Credential::from_file(&path).unwrap();
    assert_eq!(world.login(first.expose()).code, 0);

    // It is not overwritten, and no token is made for nothing.
    let again = create("filed again", &[]);
    let said = format!(
        "error: {shown} exists already and is left as it is\n\
         hint: choose another name, or add --overwrite\n"
    );
    assert_eq!((again.code, again.err.as_str(), again.out.as_str()), (2, said.as_str(), ""));
    let list = done(&mut world.playground(&["user", "pat", "list"]));
    assert!(!list.out.contains("filed again"), "{list:?}");

    let replaced = create("filed again", &["--overwrite", "--json"]);
    assert_eq!(replaced.code, 0, "{replaced:?}");
    assert!(replaced.out.contains("\"pat_file\"") && !replaced.out.contains("demo_pat_"));
    assert_ne!(Credential::from_file(&path).unwrap().expose(), first.expose());

    // A server that refuses leaves the old file, and no new one.
    let taken = create("filed", &["--overwrite"]);
    assert_eq!(taken.code, 7, "{taken:?}");
    assert!(Credential::from_file(&path).is_ok());
    assert_eq!(fs::read_dir(world.home()).unwrap().count(), 2, "the file and .local");
}

fn an_unwritable_output_is_said(world: &World) {
    let mut shell = world.shell("playground user pat create unseen > /dev/full");
    let full =
        done(shell.env("PLAYGROUND_USER", "alice").env("PLAYGROUND_PASSWORD", "correct horse"));
    assert_eq!(full.code, 1);
    assert_eq!(
        full.err,
        "error: standard output cannot be written: No space left on device (os error 28)\n\
         hint: nobody has seen the token; `playground user pat delete unseen` removes it\n"
    );
    // A disk that fills up between making the file and writing the token: the token is shown.
    let script = "playground user pat create shown --pat-file /dev/full --overwrite";
    let mut shell = world.shell(script);
    let full =
        done(shell.env("PLAYGROUND_USER", "alice").env("PLAYGROUND_PASSWORD", "correct horse"));
    assert_eq!((full.code, full.err.as_str()), (1, "error: /dev/full is not a file\n"));
}

fn deleting_goes_on(world: &World) {
    let _ = (world.token("one of three"), world.token("three of three"));
    let names = ["user", "pat", "delete", "one of three", "two of three", "three of three"];
    let deleted = done(&mut world.playground(&names));
    assert_eq!(deleted.code, 6);
    assert_eq!(
        deleted.err,
        "Deleted one of three.\nDeleted three of three.\n\
         error: two of three: there is no such token (404 not-found)\n"
    );
}

fn a_session_ends(world: &World) {
    let token = world.token("for a session");
    assert_eq!(world.login(&token).code, 0);
    let whoami = |world: &World| done(&mut world.program("playground", &["whoami"]));
    let hint = "hint: log in with `PLAYGROUND_PAT=... playground login --pat`\n";

    let elsewhere = ["--server", "http://127.0.0.1:1", "whoami"];
    let other = done(&mut world.program("playground", &elsewhere));
    let said = format!(
        "error: the session is with {}, not with http://127.0.0.1:1\n{hint}",
        world.address
    );
    assert_eq!((other.code, other.err), (4, said));

    let path = world.session_file();
    let mut kept: Value = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
    kept["expires_at"] = "2026-01-01T00:00:00Z".into();
    fs::write(&path, kept.to_string()).unwrap();
    let ended = whoami(world);
    assert_eq!((ended.code, ended.err), (4, format!("error: the session has ended\n{hint}")));

    fs::write(&path, "{}").unwrap();
    let shown = path.display();
    let damaged = whoami(world);
    let said = format!("error: the session in {shown} is damaged\n{hint}");
    assert_eq!((damaged.code, damaged.err), (3, said));

    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let open = whoami(world);
    assert_eq!(open.code, 3);
    assert!(open.err.contains("can be read by others (mode 0644)"), "{open:?}");

    // A new login puts all of it right.
    assert_eq!(world.login(&token).code, 0);
    assert_eq!((whoami(world).code, mode(&path)), (0, 0o600));
    fs::remove_file(&path).unwrap();
    let nobody = whoami(world);
    assert_eq!((nobody.code, nobody.err), (4, format!("error: nobody is logged in\n{hint}")));
}

fn completions(world: &World) {
    for (shell, sign) in [
        ("bash", "complete -F"),
        ("zsh", "#compdef playground"),
        ("fish", "complete -c playground"),
    ] {
        let script = done(&mut world.program("playground", &["completions", shell]));
        assert_eq!((script.code, script.err.as_str()), (0, ""));
        assert!(script.out.contains(sign), "{shell}");
    }
    let check = "playground completions bash > ../home/completion && bash -n ../home/completion && \
                 . ../home/completion";
    let checked = done(world.shell(&format!("bash -c '{check}'")).env("BASH_ENV", ""));
    assert_eq!(checked.code, 0, "{checked:?}");
}

fn help_names_the_variable(world: &World) {
    let help = done(&mut world.program("playground", &["login", "--help"]));
    assert_eq!(help.code, 0);
    assert!(help.out.contains("environment variable PLAYGROUND_PAT"), "{}", help.out);
    for arguments in [&["login", "--help"][..], &["user", "pat", "-h"]] {
        let help = done(&mut world.program("playground", arguments));
        assert!(help.out.contains("    8  the server is not there or busy\n"), "{}", help.out);
    }
    let version = done(&mut world.program("playground", &["--version"]));
    assert_eq!((version.code, version.out.as_str()), (0, "playground 0.1.0\n"));
}

fn proxies_do_not_see(world: &World) {
    let token = world.token("past a proxy");
    let mut login = world.program("playground", &["login", "--pat"]);
    login.env("PLAYGROUND_PAT", token);
    for variable in ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"] {
        login.env(variable, "http://127.0.0.1:1");
    }
    assert_eq!(done(&mut login).code, 0);
    // The name is resolved to this machine without asking anybody.
    let port = world.address.rsplit(':').next().unwrap();
    let local = format!("http://localhost:{port}");
    login.env("PLAYGROUND_SERVER", local);
    assert_eq!(done(&mut login).code, 0);
}

/// A proxy is told where to connect to, and nothing else before TLS.
fn proxies_see_no_secret(world: &World) {
    let proxy = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", proxy.local_addr().unwrap());
    let token = world.token("through a proxy");
    let mut login = world.program("playground", &["login", "--pat"]);
    login.env("PLAYGROUND_PAT", &token).env("PLAYGROUND_SERVER", "https://acme.example");
    for variable in ["HTTPS_PROXY", "HTTP_PROXY"] {
        login.env(variable, &address);
    }
    let seen = std::thread::spawn(move || {
        let mut stream = proxy.accept().unwrap().0;
        let mut seen = Vec::new();
        let mut byte = [0];
        while !seen.ends_with(b"\r\n\r\n") && stream.read(&mut byte).unwrap() > 0 {
            seen.extend(byte);
        }
        stream.write_all(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n").unwrap();
        String::from_utf8(seen).unwrap()
    });
    let refused = done(&mut login);
    assert_eq!(refused.code, 8, "{refused:?}");
    assert!(refused.err.starts_with("error: cannot reach https://acme.example: "), "{refused:?}");
    let seen = seen.join().unwrap();
    assert!(seen.starts_with("CONNECT acme.example:443 HTTP/1.1\r\n"), "{seen}");
    assert!(!seen.to_lowercase().contains("authorization") && !seen.contains(&token), "{seen}");
}

/// As `head -1` does, which is no fault; but nobody loses a token without being told.
fn a_reader_may_leave(world: &World) {
    let _ = world.token("read by nobody");
    let without_reader = |arguments: &[&str]| {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = world.playground(arguments);
        let program = command.stdout(writer).stderr(Stdio::piped()).spawn().unwrap();
        let output = program.wait_with_output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    for arguments in [
        &["user", "pat", "list"][..],
        &["user", "pat", "list", "--json"],
        &["completions", "bash"],
        &["--help"],
    ] {
        assert_eq!(without_reader(arguments), (Some(0), String::new()), "{arguments:?}");
    }
    let said = "error: standard output cannot be written: Broken pipe (os error 32)\n\
                hint: nobody has seen the token; `playground user pat delete lost` removes it\n";
    let lost = without_reader(&["user", "pat", "create", "lost"]);
    assert_eq!(lost, (Some(1), said.to_owned()));
}

fn standard_input(world: &World) {
    let token = world.token("piped");
    for (text, code, said) in [
        (token.as_str(), 0, None),
        (&format!("{token}\n"), 0, None),
        (&format!("{token}\r\n"), 0, None),
        (
            &format!("{token}\n\n"),
            3,
            Some("standard input holds a line break at position 76, which no token has"),
        ),
        ("", 3, Some("standard input is empty")),
        (
            &"a".repeat(1 << 20),
            3,
            Some("standard input holds more than 8192 bytes, which is no token"),
        ),
    ] {
        let mut login = world.program("playground", &["login", "--pat-file", "-"]);
        login.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut login = login.spawn().unwrap();
        // Too much is not read to its end.
        let _ = login.stdin.take().unwrap().write_all(text.as_bytes());
        let output = login.wait_with_output().unwrap();
        let err = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{err}");
        assert!(said.is_none_or(|said| err == format!("error: {said}\n")), "{err}");
    }
    let made = done(&mut world.playground(&["user", "pat", "create", "out", "--pat-file", "-"]));
    assert!(made.code == 0 && made.out.starts_with("demo_pat_"), "{made:?}");
    assert_eq!(world.litter(), 0);
}

fn odd_names(world: &World) {
    for name in ["a/b", "ä ö?#%2F&", "-v", "東京", "x'\"$(y)"] {
        let made = done(&mut world.playground(&["user", "pat", "create", "--", name]));
        assert_eq!(made.code, 0, "{made:?}");
        let deleted = done(&mut world.playground(&["user", "pat", "delete", "--", name]));
        assert_eq!(deleted.err, format!("Deleted {name}.\n"));
    }
}
