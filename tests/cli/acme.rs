//! A tool of an app's own, on the management API.

use std::process::ExitCode;

use chrono::TimeDelta;
use clap::{Parser, Subcommand};
use hallpass::cli::{Cli, Command, ManagementBackend, ask_password};
use hallpass::client::{Client, Credential, TokenExchange};
use hallpass::{Clock as _, Issue, SystemClock};
use rexpect::session::spawn_command;

use crate::server::{App, PASSWORD};
use crate::world::{Case, World, done, refused};

#[derive(Parser)]
#[command(name = "acme", version)]
struct Acme {
    #[command(subcommand)]
    command: AcmeCommand,
}

#[derive(Subcommand)]
enum AcmeCommand {
    /// The app's own
    Deploy,
    #[command(flatten)]
    Tokens(Command),
}

/// What the program `acme` is.
pub(crate) async fn program() -> ExitCode {
    let cli = Cli::<Acme>::new("ACME_PAT");
    let address = std::env::var("ACME_SERVER").unwrap();
    let server = address.clone();
    let backend = ManagementBackend::new("acme", &address, "/api/pat", move || {
        let password = match std::env::var("ACME_PASSWORD") {
            Ok(password) => password.into(),
            Err(_) => ask_password("password of alice", "set ACME_PASSWORD")?,
        };
        Ok(Client::builder(&server).person("alice", password.as_str()).build()?)
    });
    let jwt = TokenExchange::new().jwt();
    let backend =
        if std::env::var_os("ACME_JWT").is_some() { backend.exchange(jwt) } else { backend };
    match cli.parse().command {
        AcmeCommand::Deploy => ExitCode::SUCCESS,
        AcmeCommand::Tokens(command) => cli.run(command, &backend).await,
    }
}

pub(crate) const CASES: &[Case] = &[
    ("an_app_embeds_the_commands_on_the_management_api", an_app_embeds_the_commands),
    ("of_namesakes_the_live_one_is_meant", namesakes),
    ("a_refused_exchange_is_not_taken_for_a_bad_token", refused_exchange),
];

/// An app that is there while the runtime is.
fn start() -> (tokio::runtime::Runtime, App) {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(2).enable_all().build().unwrap();
    let app = runtime.block_on(App::start());
    app.clock.set(SystemClock.now());
    (runtime, app)
}

fn namesakes(world: &World) {
    let (runtime, app) = start();
    let acme = |arguments: &[&str]| {
        let mut command = world.program("acme", arguments);
        command.env("ACME_SERVER", &app.address).env("ACME_PASSWORD", PASSWORD);
        done(&mut command)
    };
    let status = |id: &hallpass::TokenId| {
        let token = runtime.block_on(app.hallpass.get(id)).unwrap().unwrap();
        hallpass::Status::at(&token, app.clock.now())
    };
    let first = runtime.block_on(app.issue("twin")).token.id;
    let delete = ["user", "pat", "delete", "twin"];
    assert_eq!(acme(&delete).code, 0);
    let second = runtime.block_on(app.issue("twin")).token.id;
    assert_eq!(acme(&delete).err, "Deleted twin.\n");
    assert_eq!(
        (status(&first), status(&second)),
        (hallpass::Status::Revoked, hallpass::Status::Revoked)
    );
    // None is live any more.
    let gone = acme(&delete);
    assert_eq!((gone.code, gone.err.as_str()), (6, "error: twin: there is no such token\n"));

    // An application's token may have the name of a personal one.
    let third = runtime.block_on(app.issue("twin")).token.id;
    let grant = Issue::new("twin").owner("alice").scopes(["notes:read"]).for_client("app");
    runtime.block_on(app.hallpass.issue_with_refresh(grant)).unwrap();
    let several = acme(&delete);
    let said =
        "error: twin: several tokens have this name\nhint: give the id, which the list shows\n";
    assert_eq!((several.code, several.err.as_str()), (7, said));
    assert_eq!(status(&third), hallpass::Status::Active);
    assert_eq!(acme(&["user", "pat", "delete", third.as_str()]).code, 0);
    assert_eq!(status(&third), hallpass::Status::Revoked);
}

fn refused_exchange(world: &World) {
    let (runtime, app) = start();
    let token = runtime.block_on(app.issue("ci"));
    let login = |jwt: bool| {
        let mut login = world.program("acme", &["login", "--pat"]);
        login.env("ACME_SERVER", &app.address).env("ACME_PAT", token.plain.expose());
        login.envs(jwt.then_some(("ACME_JWT", "1")));
        done(&mut login)
    };
    // The server signs no JWTs.
    let unsupported = login(true);
    assert_eq!(unsupported.code, 9, "{unsupported:?}");
    assert!(unsupported.err.contains("(400 invalid_request)"), "{unsupported:?}");
    assert_eq!(login(false).code, 0);
    let reason = hallpass::RevocationReason::Requested;
    runtime.block_on(app.hallpass.revoke(&token.token.id, reason)).unwrap();
    for jwt in [false, true] {
        let refused = login(jwt);
        assert!(refused.code == 4 && refused.err.contains("it may have ended"), "{refused:?}");
    }
}

fn an_app_embeds_the_commands(world: &World) {
    let (_runtime, app) = start();
    let end = SystemClock.now().saturating_add(TimeDelta::days(20)).to_utc().format("%Y-%m-%d");
    let end = end.to_string();
    let acme = |arguments: &[&str]| {
        let mut command = world.program("acme", arguments);
        command.env("ACME_SERVER", &app.address).env("ACME_PASSWORD", PASSWORD);
        command
    };
    assert_eq!(done(&mut acme(&["deploy"])).code, 0);

    // Making a token wants a fresh confirmation, which nobody can give here.
    let create = ["user", "pat", "create", "ci", "--scope", "notes:read", "--expires", "90d"];
    let said = "error: there is no terminal on which to ask for the password of alice to confirm\n\
                hint: run this in a terminal\n";
    refused(&mut acme(&create), 2, said);
    let ask = |arguments: &[&str], password: &str| {
        let mut command = acme(arguments);
        command.stdin(std::process::Stdio::inherit());
        let mut session = spawn_command(command, Some(60_000)).unwrap();
        session.exp_string("Password of alice to confirm: ").unwrap();
        session.send_line(password).unwrap();
        let said = session.exp_eof().unwrap();
        (said, format!("{:?}", session.process().wait().unwrap()))
    };
    let (said, ended) = ask(&create, "wrong");
    assert!(said.contains("(403 wrong-secret)") && ended.ends_with(", 4)"), "{said} {ended}");
    let (said, ended) = ask(&create, PASSWORD);
    assert!(
        said.contains("Created ci, which ends on ") && ended.ends_with(", 0)"),
        "{said} {ended}"
    );
    assert!(said.contains("acme_pat_"), "{said}");

    // The password was confirmed just now.
    let path = world.home().join("acme_pat");
    let file = path.to_str().unwrap();
    let made = done(&mut acme(&[
        "user",
        "pat",
        "create",
        "all",
        "--preset",
        "Everything",
        "--expires",
        &end,
        "--pat-file",
        file,
    ]));
    assert_eq!(made.code, 0, "{made:?}");
    let list = done(&mut acme(&["user", "pat", "list", "--json"]));
    let list: serde_json::Value = serde_json::from_str(&list.out).unwrap();
    let all = list.as_array().unwrap().iter().find(|pat| pat["name"] == "all").unwrap();
    assert_eq!(all["scopes"], serde_json::json!(["notes:read", "notes:write"]), "{list}");
    assert_eq!(all["expires_at"], format!("{end}T00:00:00Z"));

    let login = done(&mut acme(&["login", "--pat-file", file]));
    assert!(login.code == 0 && login.err.starts_with("Logged in as alice until "), "{login:?}");
    assert!(world.home().join(".local/state/acme/session.json").exists());

    let whoami = done(&mut acme(&["whoami"]));
    assert!(whoami.out.starts_with("alice, with notes:read notes:write, until "), "{whoami:?}");

    let old = Credential::from_file(&path).unwrap();
    let rotate =
        ["user", "pat", "rotate", "all", "--overlap", "0s", "--pat-file", file, "--overwrite"];
    let rotated = done(&mut acme(&rotate));
    assert!(rotated.code == 0 && rotated.err.starts_with("Rotated all, "), "{rotated:?}");
    let mut login = acme(&["login", "--pat"]);
    let refused_login = done(login.env("ACME_PAT", old.expose()));
    assert_eq!(refused_login.code, 4, "{refused_login:?}");
    let new = Credential::from_file(&path).unwrap();
    assert_eq!(done(login.env("ACME_PAT", new.expose())).code, 0);

    for (arguments, code, word) in [
        (&["user", "pat", "create", "ci", "--scope", "notes:read"][..], 7, "name-taken"),
        (&["user", "pat", "create", "x", "--scope", "nothing"], 9, "invalid-body"),
        (&["user", "pat", "create", "x", "--preset", "nothing"], 9, "invalid-body"),
        (
            &["user", "pat", "create", "x", "--scope", "notes:read", "--expires", "never"],
            9,
            "invalid-body",
        ),
        (&["user", "pat", "rotate", "nothing"], 6, "there is no such token"),
        (&["user", "pat", "delete", "nothing"], 6, "nothing: there is no such token"),
    ] {
        let wrong = done(&mut acme(arguments));
        assert!(wrong.code == code && wrong.err.contains(word), "{arguments:?}: {wrong:?}");
    }
    let id = all["id"].as_str().unwrap();
    let deleted = done(&mut acme(&["user", "pat", "delete", "ci", id]));
    assert_eq!((deleted.code, deleted.err), (0, format!("Deleted ci.\nDeleted {id}.\n")));
    assert_eq!(done(login.env("ACME_PAT", new.expose())).code, 4);
}
