//! What the commands say when something is wrong, word for word.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;

use hallpass::store::Change;
use hallpass::{Clock as _, SqliteStore, SystemClock, TokenStore as _};

use crate::world::{Case, PASSWORD, World, done, refused};

pub(crate) const CASES: &[Case] = &[
    ("bad_files_are_named", bad_files),
    ("bad_variables_are_named", bad_variables),
    ("a_token_that_does_not_work_is_explained", tokens_that_do_not_work),
    ("who_may_not_is_told_so", who_may_not),
    ("a_server_that_is_not_there_is_named", no_server),
    ("a_server_that_leads_elsewhere_is_not_followed", redirects),
    ("a_busy_server_is_said_to_be_busy", busy),
    ("nothing_secret_leaves_in_plain_text", plain_http),
    ("without_a_terminal_nobody_is_asked", without_a_terminal),
    ("the_command_line_is_checked", the_command_line),
    ("a_token_on_the_command_line_is_not_repeated", a_token_as_argument),
];

const AGAIN: &str = "hint: it may have ended or been deleted; `playground user pat list` tells, and \
    `playground user pat create` makes a new one\n";

fn bad_files(world: &World) {
    let token = world.token("in files");
    let login = |path: &str| world.program("playground", &["login", "--pat-file", path]);
    for (text, mode, said) in [
        ("", 0o600, "is empty"),
        ("\n", 0o600, "is empty"),
        (" x\n", 0o600, "holds a space at position 1, which no token has"),
        ("x\n\n", 0o600, "holds a line break at position 2, which no token has"),
        ("\u{feff}x", 0o600, "holds a byte order mark (U+FEFF) at position 1, which no token has"),
        (
            token.as_str(),
            0o644,
            "can be read by others (mode 0644); `chmod 600` it, and replace the token if others did",
        ),
        (
            token.as_str(),
            0o660,
            "can be read by others (mode 0660); `chmod 600` it, and replace the token if others did",
        ),
    ] {
        let path = world.write("bad", text, mode);
        refused(
            &mut login(path.to_str().unwrap()),
            3,
            &format!("error: {} {said}\n", path.display()),
        );
    }
    let missing = "error: cannot read missing: No such file or directory (os error 2)\n";
    refused(&mut login("missing"), 3, missing);
    refused(&mut login("."), 3, "error: . is not a file\n");
    let folder = world.home().join("no/such");
    let path = folder.to_str().unwrap();
    let mut create = world.playground(&["user", "pat", "create", "lost", "--pat-file", path]);
    let said = format!("error: cannot write {path}: No such file or directory (os error 2)\n");
    refused(&mut create, 1, &said);
}

fn bad_variables(world: &World) {
    let hint = "hint: set PLAYGROUND_PAT to a token, or use `playground login --pat-file PATH`\n";
    let said = format!("error: PLAYGROUND_PAT is not set\n{hint}");
    refused(&mut world.program("playground", &["login", "--pat"]), 3, &said);
    for (value, said) in [
        ("", "PLAYGROUND_PAT is empty"),
        ("x\n", "PLAYGROUND_PAT holds a line break at position 2, which no token has"),
        ("\"x\"", "PLAYGROUND_PAT holds `\"` at position 1, which no token has"),
    ] {
        let mut login = world.program("playground", &["login", "--pat"]);
        refused(login.env("PLAYGROUND_PAT", value), 3, &format!("error: {said}\n{hint}"));
    }
}

/// Ends a token of the demo's without waiting for that.
fn end(world: &World, token: &str) {
    let id = token.split('_').nth(2).unwrap().parse().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let store = SqliteStore::open(&world.database).unwrap();
        let now = SystemClock.now();
        let past = now.saturating_sub(chrono::TimeDelta::seconds(1));
        let change = Change { expires_at: Some(Some(past)), ..Change::default() };
        let record = store.find(&id).await.unwrap().unwrap();
        store.update(&id, record.token.version, &change, now).await.unwrap().unwrap();
    });
}

fn tokens_that_do_not_work(world: &World) {
    let invalid = "error: The access token is invalid (401 invalid-token)\n";
    let login = |token: &str| {
        let mut login = world.program("playground", &["login", "--pat"]);
        login.env("PLAYGROUND_PAT", token);
        login
    };
    let expired = world.token("ends");
    assert_eq!(world.login(&expired).code, 0);
    end(world, &expired);
    refused(&mut login(&expired), 4, &format!("{invalid}{AGAIN}"));
    let mut list = world.playground(&["user", "pat", "list"]);
    let list = done(&mut list).out;
    assert!(
        list.lines().any(|row| row.starts_with("ends ") && row.ends_with(" expired")),
        "{list}"
    );

    let revoked = world.token("revoked");
    assert_eq!(done(&mut world.playground(&["user", "pat", "delete", "revoked"])).code, 0);
    refused(&mut login(&revoked), 4, &format!("{invalid}{AGAIN}"));

    let damaged = &revoked[..revoked.len() - 1];
    let hint =
        "hint: the token is not as it was made: a part is missing or changed; copy it again\n";
    refused(&mut login(damaged), 4, &format!("{invalid}{hint}"));
    refused(&mut login("somebody-elses"), 4, &format!("{invalid}{AGAIN}"));

    // A short-lived token is no token to log in with.
    let live = world.token("live");
    assert_eq!(world.login(&live).code, 0);
    let kept = std::fs::read_to_string(world.session_file()).unwrap();
    let kept: serde_json::Value = serde_json::from_str(&kept).unwrap();
    let session = done(&mut login(kept["token"].as_str().unwrap()));
    assert_eq!(session.code, 4, "{session:?}");
}

fn who_may_not(world: &World) {
    let as_user = |user: &str, password: &str, arguments: &[&str]| {
        let mut command = world.program("playground", arguments);
        command.env("PLAYGROUND_USER", user).env("PLAYGROUND_PASSWORD", password);
        command
    };
    let create = ["user", "pat", "create", "mine"];
    let said = "error: sign in with user name and password (Basic) (401 sign-in)\n\
                hint: the user name or the password is wrong\n";
    refused(&mut as_user("alice", "wrong", &create), 4, said);
    refused(&mut as_user("nobody", PASSWORD, &create), 4, said);
    let carol = done(&mut as_user("carol", PASSWORD, &create));
    assert_eq!(carol.code, 5, "{carol:?}");
    assert!(carol.err.ends_with(" (403 account-kind)\n"), "{carol:?}");
    // A token in the place of the password does not manage tokens.
    let token = world.token("no manager");
    let by_token = done(&mut as_user("alice", &token, &create));
    assert_eq!(by_token.code, 5, "{by_token:?}");
    assert!(by_token.err.contains("tokens do not manage tokens") && !by_token.err.contains(&token));

    let taken = "error: you have a live token of this name; choose another or delete it first \
                 (409 name-taken)\n";
    refused(&mut world.playground(&["user", "pat", "create", "No Manager"]), 7, taken);
    let bad = done(&mut world.playground(&["user", "pat", "create", "a\u{202e}b"]));
    assert_eq!(bad.code, 9, "{bad:?}");
    assert!(bad.err.ends_with(" (400 invalid-request)\n"), "{bad:?}");
    let absent = "error: nothing: there is no such token (404 not-found)\n";
    refused(&mut world.playground(&["user", "pat", "delete", "nothing"]), 6, absent);
    let dots = "error: ..: the request cannot be written: an empty name, `.` and `..` cannot be in \
                a path\n";
    refused(&mut world.playground(&["user", "pat", "delete", ".."]), 2, dots);

    let rotate = "error: the playground does not rotate tokens\n\
                  hint: make another one, use it, then `playground user pat delete x`\n";
    refused(&mut world.playground(&["user", "pat", "rotate", "x"]), 2, rotate);
    let alike = "error: tokens of the playground are all alike: they log in, for 30 days\n\
                 hint: leave out --scope, --preset and --expires\n";
    for more in [["--scope", "x"], ["--preset", "x"], ["--expires", "90d"]] {
        let arguments = ["user", "pat", "create", "x", more[0], more[1]];
        refused(&mut world.playground(&arguments), 2, alike);
    }
}

fn no_server(world: &World) {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let server = format!("http://{closed}");
    let said = format!("error: cannot reach {server}: Connection refused (os error 111)\n");
    for arguments in [&["user", "pat", "list"][..], &["user", "pat", "create", "x"]] {
        refused(world.playground(arguments).env("PLAYGROUND_SERVER", &server), 8, &said);
    }
    let mut login = world.program("playground", &["login", "--pat"]);
    refused(login.env("PLAYGROUND_SERVER", &server).env("PLAYGROUND_PAT", "x"), 8, &said);
}

/// Answers every connection so.
fn answering(answer: &str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let answer = answer.to_owned();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 8192]);
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    address
}

fn redirects(world: &World) {
    let trap = TcpListener::bind("127.0.0.1:0").unwrap();
    trap.set_nonblocking(true).unwrap();
    let elsewhere = format!("http://{}", trap.local_addr().unwrap());
    let server = answering(&format!(
        "HTTP/1.1 307 Temporary Redirect\r\nLocation: {elsewhere}/x?y=z\r\nContent-Length: 0\r\n\
         Connection: close\r\n\r\n"
    ));
    let said = format!(
        "error: {server} redirects to {elsewhere}; nothing was sent there, give that address if it \
         is right\n"
    );
    for arguments in [&["user", "pat", "list"][..], &["user", "pat", "create", "x"]] {
        refused(world.playground(arguments).env("PLAYGROUND_SERVER", &server), 1, &said);
    }
    let mut login = world.program("playground", &["login", "--pat"]);
    refused(login.env("PLAYGROUND_SERVER", &server).env("PLAYGROUND_PAT", "x"), 1, &said);
    assert!(trap.accept().is_err(), "somebody followed");
}

fn busy(world: &World) {
    let server = answering(
        "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 3600\r\nContent-Length: 0\r\n\
         Connection: close\r\n\r\n",
    );
    let mut list = world.playground(&["user", "pat", "list"]);
    let said = "error: Service Unavailable (503)\nhint: try again in 3600 seconds\n";
    refused(list.env("PLAYGROUND_SERVER", &server), 8, said);
    // Nobody is told to wait for ages.
    let server = answering(
        "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 99999999999999999999\r\n\
         Content-Length: 0\r\nConnection: close\r\n\r\n",
    );
    let mut list = world.playground(&["user", "pat", "list"]);
    let said = "error: Service Unavailable (503)\n";
    refused(list.env("PLAYGROUND_SERVER", &server), 8, said);
    let server =
        answering("HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\n<html>");
    let said = format!(
        "error: {server} answers with something else than was asked for: not the JSON expected: \
         line 1, column 1\n"
    );
    let mut list = world.playground(&["user", "pat", "list"]);
    refused(list.env("PLAYGROUND_SERVER", &server), 1, &said);
}

fn plain_http(world: &World) {
    let said = "error: http://acme.example would send secrets in plain text; use https://\n";
    for arguments in [&["user", "pat", "list"][..], &["login", "--pat"]] {
        let mut command = world.playground(arguments);
        command.env("PLAYGROUND_PAT", "x");
        refused(command.env("PLAYGROUND_SERVER", "http://acme.example"), 2, said);
    }
    let mut list = world.playground(&["user", "pat", "list"]);
    let said =
        "error: the server's address cannot be used: it is no URL like https://acme.example\n";
    refused(list.env("PLAYGROUND_SERVER", "acme.example"), 2, said);
}

fn without_a_terminal(world: &World) {
    let mut list = world.program("playground", &["user", "pat", "list"]);
    let said = "error: there is no terminal on which to ask for the user\n\
                hint: add --user NAME, or set PLAYGROUND_USER\n";
    refused(&mut list, 2, said);
    refused(list.env("PLAYGROUND_USER", ""), 2, said);
    let said = "error: there is no terminal on which to ask for the password of alice\n\
                hint: set PLAYGROUND_PASSWORD\n";
    refused(list.env("PLAYGROUND_USER", "alice"), 2, said);
    refused(list.env("PLAYGROUND_PASSWORD", ""), 2, said);
}

fn the_command_line(world: &World) {
    for (arguments, word) in [
        (&["user"][..], "pat"),
        (&["user", "pat"], "rotate"),
        (&["login"], "--pat"),
        (&["login", "--pat", "--pat-file", "x"], "cannot be used with"),
        (&["login", "--pat-file"], "--pat-file"),
        (&["user", "pat", "create"], "<NAME>"),
        (&["user", "pat", "delete"], "<NAME>"),
        (&["user", "pat", "create", "x", "--expires", "soon"], "90d"),
        (&["user", "pat", "create", "x", "--expires", "0d"], "90d"),
        (&["user", "pat", "create", "x", "--overwrite"], "--pat-file"),
        (&["user", "pat", "rotate", "x", "--overlap", "1y"], "24h"),
        (&["user", "pat", "frobnicate"], "frobnicate"),
        (&["completions", "cobol"], "bash"),
    ] {
        let wrong = done(&mut world.playground(arguments));
        assert_eq!((wrong.code, wrong.out.as_str()), (2, ""), "{arguments:?}");
        assert!(wrong.err.contains(word), "{arguments:?}: {}", wrong.err);
    }
}

fn a_token_as_argument(world: &World) {
    let token = world.token("typed");
    let said = "error: a token is on the command line, where everybody on this machine can read it\n\
                hint: make another one, and put it into PLAYGROUND_PAT or a file\n";
    refused(&mut world.program("playground", &["login", "--pat", &token]), 2, said);
    let glued = format!("--pat={token}");
    refused(&mut world.program("playground", &["login", &glued]), 2, said);
    // Nor is it taken for a name, which would be shown and sent.
    for step in ["create", "delete"] {
        refused(&mut world.program("playground", &["user", "pat", step, &token]), 2, said);
    }
}
