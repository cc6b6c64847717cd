//! The operators' tool, on the store of a running demo and on stores of its own.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use hallpass::{Hallpass, Issue, PepperRing, ScopeCatalog, SqliteStore, TokenId};
use serde_json::Value;

use crate::world::{Case, Done, World, done, refused};

pub(crate) const CASES: &[Case] = &[
    ("operators_find_and_revoke_while_the_app_runs", find_and_revoke),
    ("what_is_known_of_a_token_is_shown", shows_everything),
    ("who_is_takes_an_id_or_a_text_from_standard_input", who_is),
    ("who_is_says_which_pepper_is_missing", peppers),
    ("nothing_is_changed_without_a_word", nothing_without_a_word),
    ("records_move_to_another_store_and_work_there", moves),
    ("bad_files_are_refused_before_anything_is_written", bad_imports),
    ("tables_are_made_when_asked_to_and_only_then", migrations),
    ("purging_removes_what_ended_long_ago", purging),
    ("databases_that_are_none_are_named", bad_databases),
];

fn url(path: &Path) -> String {
    format!("sqlite:{}", path.display())
}

/// The tool on a database.
fn admin(world: &World, database: &Path, arguments: &[&str]) -> Command {
    let mut command = world.program("hallpass_admin", arguments);
    command.env("HALLPASS_DATABASE", url(database));
    command
}

/// Runs a program that reads this.
fn with_input(command: &mut Command, input: &str) -> Done {
    let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = piped.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    Done {
        code: output.status.code().unwrap(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

/// The id in a token.
fn id(token: &str) -> &str {
    token.split('_').nth(2).unwrap()
}

fn find_and_revoke(world: &World) {
    let demo = world.database.clone();
    let (token, other) = (world.token("to be revoked"), world.token("to be left"));
    let list =
        done(&mut admin(world, &demo, &["list", "--owner", "alice", "--tenant", "playground"]));
    assert_eq!(list.code, 0, "{list:?}");
    let row = list.out.lines().find(|row| row.starts_with(id(&token))).unwrap();
    assert!(
        row.contains("  playground/alice  to be revoked  ") && row.ends_with("active"),
        "{row}"
    );
    assert!(!list.out.contains(&token[26..]));
    // Nobody takes the default tenant for all of them.
    let said = "alice has live tokens in another tenant: --tenant playground\n";
    let none = done(&mut admin(world, &demo, &["list", "--owner", "alice"]));
    assert_eq!((none.code, none.err), (0, format!("There are no such tokens.\n{said}")));
    let list = ["list", "--owner", "alice", "--json"];
    let none = done(&mut admin(world, &demo, &list));
    assert_eq!((none.out.as_str(), none.err.as_str()), ("", said));
    let none = done(&mut admin(world, &demo, &["list", "--limit", "0"]));
    assert_eq!(
        (none.out.as_str(), none.err.as_str()),
        ("", "There are more than 0; see --limit.\n")
    );
    let none = done(&mut admin(world, &demo, &["revoke-owner", "alice", "--yes"]));
    assert_eq!((none.code, none.err), (0, format!("There is nothing to revoke.\n{said}")));

    let show = done(&mut admin(world, &demo, &["show", id(&token)]));
    let ordered: Vec<&str> = show.out.lines().take(4).collect();
    let id_line = format!("id:            {}", id(&token));
    let expected =
        ["name:          to be revoked", "kind:          pat", "tenant:        playground"];
    assert_eq!(ordered, [&[id_line.as_str()][..], &expected].concat(), "{}", show.out);
    for line in ["owner:         alice", "status:        active", "scopes:        playground"] {
        assert!(show.out.contains(line), "{}", show.out);
    }
    let show = done(&mut admin(world, &demo, &["show", "--json", id(&token)]));
    let show: Value = serde_json::from_str(&show.out).unwrap();
    assert_eq!((&show["kind"], &show["scopes"][0]), (&"pat".into(), &"playground".into()));
    assert!(!show.to_string().contains("digest"));

    let plan = done(&mut admin(world, &demo, &["revoke", id(&token), "--dry-run"]));
    assert_eq!((plan.code, plan.err.as_str()), (0, "Nothing was changed.\n"));
    assert!(plan.out.contains("to be revoked"));
    assert_eq!(world.login(&token).code, 0);
    let revoke = ["revoke", id(&token), "--reason", "leaked", "--yes"];
    let revoked = done(&mut admin(world, &demo, &revoke));
    // The session of the login goes with it.
    assert_eq!((revoked.code, revoked.err.as_str()), (0, "Revoked 2 tokens.\n"), "{revoked:?}");
    // The app has no cache, so it refuses at once.
    assert_eq!(world.login(&token).code, 4);
    assert_eq!(world.login(&other).code, 0);
    let show = done(&mut admin(world, &demo, &["show", "--json", id(&token)]));
    let show: Value = serde_json::from_str(&show.out).unwrap();
    assert_eq!((&show["status"], &show["revoked_for"]), (&"revoked".into(), &"leaked".into()));
    let again = done(&mut admin(world, &demo, &revoke));
    assert_eq!((again.code, again.err.as_str()), (0, "There is nothing to revoke.\n"));
    let typo = ["revoke", "0000000000000001", "--yes"];
    refused(&mut admin(world, &demo, &typo), 6, "error: there is no token 0000000000000001\n");
}

fn shows_everything(world: &World) {
    let path = world.home().join("suspended.sqlite");
    let id = run(async {
        let hallpass = Hallpass::builder(SqliteStore::open(&path).unwrap())
            .brand("acme")
            .catalog(ScopeCatalog::of(["a"]).unwrap())
            .build()
            .unwrap();
        let issued = hallpass.issue(Issue::new("ci").owner("alice").scopes(["a"])).await.unwrap();
        hallpass.suspend(&issued.token.id).await.unwrap().id.to_string()
    });
    let show = done(&mut admin(world, &path, &["show", &id]));
    assert!(show.out.contains("suspended_by:  system\n"), "{}", show.out);
    // What is told to programs is told to people, where there is something to tell.
    let told = done(&mut admin(world, &path, &["show", "--json", &id]));
    let told: Value = serde_json::from_str(&told.out).unwrap();
    for (name, value) in told.as_object().unwrap() {
        let is_told = !value.is_null() && value.as_array().is_none_or(|all| !all.is_empty());
        let line = format!("{name}:");
        assert_eq!(show.out.lines().any(|shown| shown.starts_with(&line)), is_told, "{name}");
    }
}

fn who_is(world: &World) {
    let demo = world.database.clone();
    let token = world.token("found somewhere");
    for (input, secret) in [
        (token.clone(), Some("current")),
        (format!("  {token}\r\n"), Some("current")),
        (id(&token).to_owned(), None),
    ] {
        let told = with_input(&mut admin(world, &demo, &["who-is", "--json"]), &input);
        assert_eq!((told.code, told.err.as_str()), (0, ""), "{told:?}");
        let told: Value = serde_json::from_str(&told.out).unwrap();
        assert_eq!((&told["owner"], &told["name"]), (&"alice".into(), &"found somewhere".into()));
        assert_eq!(told.get("secret").and_then(Value::as_str), secret);
    }
    // The id of one token with the secret of another, and a right checksum.
    let other = world.token("the other one");
    let mixed = format!("{}{}", &token[..26], &other[26..]);
    let none = "error: standard input holds neither the id nor the whole text of a token\n";
    for (input, code, said) in [
        (mixed.as_str(), 2, none),
        ("", 2, none),
        ("hello", 2, none),
        ("0000000000000001", 6, "error: there is no token 0000000000000001\n"),
    ] {
        let told = with_input(&mut admin(world, &demo, &["who-is"]), input);
        assert_eq!((told.code, told.err.as_str(), told.out.as_str()), (code, said, ""), "{input}");
    }
    let said = "error: a token is on the command line, where everybody on this machine can read it\n\
                hint: give its id, or the token to `who-is` on standard input\n";
    for command in ["show", "who-is", "revoke"] {
        refused(&mut admin(world, &demo, &[command, &token]), 2, said);
    }
}

fn peppers(world: &World) {
    let path = world.home().join("peppered.sqlite");
    let pepper: Vec<u8> = (0..32).collect();
    let issued = run(async {
        let hallpass = Hallpass::builder(SqliteStore::open(&path).unwrap())
            .brand("acme")
            .catalog(ScopeCatalog::of(["a"]).unwrap())
            .peppers(PepperRing::none().with_current(7, &pepper).unwrap())
            .build()
            .unwrap();
        hallpass.issue(Issue::new("ci").owner("alice").scopes(["a"])).await.unwrap()
    });
    let text = issued.plain.expose();
    let missing = with_input(&mut admin(world, &path, &["who-is"]), text);
    assert_eq!(missing.code, 2);
    let said = "error: the secret is not checked: it needs pepper 7\n\
                hint: add --pepper 7=FILE, with the bytes that the app has\n";
    assert_eq!(missing.err, said);
    assert!(missing.out.contains("owner:         alice"), "{missing:?}");

    let file = world.home().join("pepper");
    fs::write(&file, &pepper).unwrap();
    let given = format!("7={}", file.display());
    let told = with_input(&mut admin(world, &path, &["who-is", "--pepper", &given]), text);
    assert_eq!((told.code, told.err.as_str()), (0, ""), "{told:?}");
    assert!(told.out.contains("secret:        current"), "{told:?}");
    fs::write(&file, (1..33).collect::<Vec<u8>>()).unwrap();
    let told = with_input(&mut admin(world, &path, &["who-is", "--pepper", &given]), text);
    assert!(told.out.contains("secret:        wrong"), "{told:?}");
    fs::write(&file, b"changeme").unwrap();
    let told = with_input(&mut admin(world, &path, &["who-is", "--pepper", &given]), text);
    let said = format!("error: pepper 7 in {}: ", file.display());
    assert!(told.code == 3 && told.err.starts_with(&said), "{told:?}");
}

fn nothing_without_a_word(world: &World) {
    let demo = world.database.clone();
    let token = world.token("survives");
    let said = "error: there is no terminal on which to ask for the confirmation\n\
                hint: add --yes, or --dry-run to see what would be done\n";
    for arguments in
        [&["revoke", id(&token)][..], &["revoke-owner", "alice", "--tenant", "playground"]]
    {
        let asked = done(&mut admin(world, &demo, arguments));
        assert_eq!((asked.code, asked.err.as_str()), (2, said));
    }
    assert_eq!(world.login(&token).code, 0);
}

fn moves(world: &World) {
    let (from, to) = (world.home().join("from.sqlite"), world.home().join("to.sqlite"));
    let engine = |path: &Path| {
        let builder = Hallpass::builder(SqliteStore::open(path).unwrap()).brand("acme");
        builder.catalog(ScopeCatalog::of(["a"]).unwrap()).build().unwrap()
    };
    let issued = run(async {
        let hallpass = engine(&from);
        for name in ["one", "two"] {
            hallpass.issue(Issue::new(name).owner("bob").scopes(["a"])).await.unwrap();
        }
        hallpass.issue(Issue::new("three").owner("alice").scopes(["a"])).await.unwrap()
    });
    let file = world.home().join("tokens.jsonl");
    let path = file.to_str().unwrap();
    let exported = done(&mut admin(world, &from, &["export", path, "--brand", "acme"]));
    assert_eq!((exported.code, exported.err.as_str()), (0, "Exported 3 tokens.\n"), "{exported:?}");
    assert_eq!(exported.out, "");
    let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&file).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);
    assert!(!fs::read_to_string(&file).unwrap().contains(issued.plain.expose()));
    let again = done(&mut admin(world, &from, &["export", path]));
    assert_eq!(again.code, 2, "{again:?}");
    let printed = done(&mut admin(world, &from, &["export", "--brand", "acme"]));
    assert_eq!(printed.out, fs::read_to_string(&file).unwrap());

    assert_eq!(done(&mut admin(world, &to, &["migrate"])).code, 0);
    let import = |more: &[&str]| {
        let mut arguments = vec!["import", path];
        arguments.extend(more);
        done(&mut admin(world, &to, &arguments))
    };
    let checked = import(&["--dry-run"]);
    let said = "The file is good and holds 3 tokens. Nothing was changed.\n";
    assert_eq!((checked.code, checked.err.as_str()), (0, said), "{checked:?}");
    assert_eq!(import(&[]).err, "Imported 3 tokens: 3 new, 0 there already.\n");
    assert_eq!(import(&[]).err, "Imported 3 tokens: 0 new, 3 there already.\n");
    let other = import(&["--brand", "other"]);
    assert_eq!(
        (other.code, other.err.as_str()),
        (9, "error: the file holds tokens of the brand `acme`\n")
    );
    run(async {
        let context = hallpass::Context::default();
        engine(&to).verify(issued.plain.expose(), &context).await.unwrap();
    });
    let mut gone = admin(world, &to, &["revoke-owner", "bob", "--yes"]);
    assert_eq!(done(&mut gone).err, "Revoked 2 tokens.\n");
    let left = done(&mut admin(world, &to, &["list", "--status", "active", "--json"]));
    assert_eq!(left.out.lines().count(), 1, "{left:?}");
}

fn bad_imports(world: &World) {
    let store = world.home().join("store.sqlite");
    assert_eq!(done(&mut admin(world, &store, &["migrate"])).code, 0);
    let path = world.home().join("file");
    let file = path.to_str().unwrap();
    let missing = format!("error: cannot read {file}: No such file or directory (os error 2)\n");
    refused(&mut admin(world, &store, &["import", file]), 2, &missing);
    for text in ["", "hello\n", "{\"hallpass\":\"tokens\",\"format\":1,\"brand\":null}\n"] {
        fs::write(&path, text).unwrap();
        let refused = done(&mut admin(world, &store, &["import", file]));
        assert_eq!(refused.code, 9, "{text}: {refused:?}");
    }
    let list = done(&mut admin(world, &store, &["list", "--json"]));
    assert_eq!((list.code, list.out.as_str()), (0, ""));
}

fn migrations(world: &World) {
    let path = world.home().join("new.sqlite");
    let said = format!(
        "error: there is no file {}\nhint: `hallpass_admin migrate` makes one\n",
        path.display()
    );
    for arguments in [&["list"][..], &["revoke-owner", "x", "--yes"], &["import", "/dev/null"]] {
        refused(&mut admin(world, &path, arguments), 6, &said);
        assert!(!path.exists());
    }
    let printed = done(&mut admin(world, &path, &["migrate", "--print"]));
    assert!(printed.code == 0 && printed.out.contains("CREATE TABLE") && !path.exists());
    let made = done(&mut admin(world, &path, &["migrate"]));
    assert_eq!((made.code, made.err.as_str()), (0, "The tables are those of this version.\n"));
    assert_eq!(done(&mut admin(world, &path, &["list"])).code, 0);

    // Nor is an older file brought up to date by anything but `migrate`.
    let old = world.home().join("old.sqlite");
    fs::write(&old, b"").unwrap();
    let said = "error: the store's schema does not fit: the file has schema 0, and this version \
                works on 1\nhint: `hallpass_admin migrate` brings an older one up to date\n";
    let id = "0000000000000001";
    for arguments in [
        &["list"][..],
        &["show", id],
        &["export"],
        &["revoke", id],
        &["revoke", id, "--yes"],
        &["revoke-owner", "x", "--yes"],
        &["purge", "--yes"],
        &["import", "/dev/null"],
    ] {
        refused(&mut admin(world, &old, arguments), 1, said);
        assert_eq!(fs::read(&old).unwrap(), b"", "{arguments:?}");
    }
    assert_eq!(done(&mut admin(world, &old, &["migrate"])).code, 0);
    assert_eq!(done(&mut admin(world, &old, &["purge", "--yes"])).code, 0);

    // A file of somebody else is left alone.
    let other = world.home().join("other.sqlite");
    fs::write(&other, b"not a database, but long enough to look at").unwrap();
    let before = fs::read(&other).unwrap();
    for arguments in [&["list"][..], &["revoke-owner", "x", "--yes"], &["migrate"]] {
        let refused = done(&mut admin(world, &other, arguments));
        assert_ne!(refused.code, 0);
        assert!(refused.err.starts_with("error: the store"), "{refused:?}");
        assert_eq!(fs::read(&other).unwrap(), before);
    }
}

fn purging(world: &World) {
    let path = world.home().join("old.sqlite");
    let issue = |name: &'static str| {
        let store = SqliteStore::open(&path).unwrap();
        let builder = Hallpass::builder(store).brand("acme");
        let hallpass = builder.catalog(ScopeCatalog::of(["a"]).unwrap()).build().unwrap();
        run(async move {
            let issue = Issue::new(name).owner("alice").scopes(["a"]);
            hallpass.issue(issue).await.unwrap().token.id
        })
    };
    let (ended, live): (TokenId, TokenId) = (issue("ended"), issue("live"));
    let revoke = ["revoke", ended.as_str(), "--yes"];
    assert_eq!(done(&mut admin(world, &path, &revoke)).code, 0);
    let purge = |more: &[&str]| {
        let mut arguments = vec!["purge"];
        arguments.extend(more);
        done(&mut admin(world, &path, &arguments))
    };
    // It ended just now.
    assert_eq!(purge(&["--yes"]).err, "There is nothing to remove.\n");
    assert_eq!(purge(&["--keep", "0s", "--dry-run"]).err, "Nothing was changed.\n");
    assert_eq!(purge(&["--keep", "0s", "--yes"]).err, "Removed 1.\n");
    let list = done(&mut admin(world, &path, &["list", "--json"]));
    assert!(list.out.lines().count() == 1 && list.out.contains(live.as_str()), "{list:?}");
}

fn bad_databases(world: &World) {
    let mut list = world.program("hallpass_admin", &["list"]);
    let said = "error: there is no database\nhint: add --database, or set HALLPASS_DATABASE\n";
    refused(&mut list, 2, said);
    let said = "error: this is no database\n\
                hint: write sqlite:PATH, postgres://... or redis://...\n";
    for url in ["mysql://alice:s3cret@db/x", "tokens.sqlite", "sqlite:"] {
        refused(list.env("HALLPASS_DATABASE", url), 2, said);
    }
    let folder = world.home();
    let said = format!("error: {} is a folder\n", folder.display());
    refused(&mut admin(world, &folder, &["list"]), 2, &said);
    #[cfg(feature = "postgres")]
    {
        let url = "postgres://alice:s3cret@127.0.0.1:1/x?connect_timeout=2";
        let refused = done(list.env("HALLPASS_DATABASE", url));
        assert_eq!(refused.code, 8, "{refused:?}");
        assert!(!refused.err.contains("s3cret"), "{refused:?}");
    }
    #[cfg(feature = "redis")]
    {
        let url = "redis://:s3cret@127.0.0.1:1";
        let refused = done(list.env("HALLPASS_DATABASE", url));
        assert_eq!(refused.code, 8, "{refused:?}");
        assert!(!refused.err.contains("s3cret"), "{refused:?}");
    }
    // Help does not show what is in the variable.
    let mut help = world.program("hallpass_admin", &["--help"]);
    let help = done(help.env("HALLPASS_DATABASE", "postgres://alice:s3cret@db/x"));
    assert!(help.out.contains("HALLPASS_DATABASE") && !help.out.contains("s3cret"));
}
