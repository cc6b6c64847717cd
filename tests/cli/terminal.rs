//! What the commands ask, and how it looks, in a terminal.

use std::net::TcpListener;
use std::process::{Command, Stdio};

use rexpect::session::{PtySession, spawn_command};

use crate::world::{Case, PASSWORD, World, done};

pub(crate) const CASES: &[Case] = &[
    ("a_password_is_asked_for_and_not_shown", a_password_is_asked_for),
    ("a_prompt_can_be_left", a_prompt_can_be_left),
    ("ctrl_c_leaves_no_file_and_the_terminal_as_it_was", ctrl_c_leaves_nothing),
    ("revoking_is_confirmed", revoking_is_confirmed),
    ("colours_are_for_terminals_that_want_them", colours),
];

/// Far longer than anything takes.
const PATIENCE: Option<u64> = Some(60_000);

fn open(command: Command) -> PtySession {
    let mut command = command;
    // The session gives the program its terminal.
    command.stdin(std::process::Stdio::inherit());
    spawn_command(command, PATIENCE).unwrap()
}

/// As rexpect tells it, whose types are not its own.
fn how_it_ended(session: &PtySession) -> String {
    format!("{:?}", session.process().wait().unwrap())
}

#[track_caller]
fn ends_with(mut session: PtySession, code: i32) -> String {
    let said = session.exp_eof().unwrap();
    let ended = how_it_ended(&session);
    assert!(
        ended.starts_with("Exited(") && ended.ends_with(&format!(", {code})")),
        "{ended}: {said}"
    );
    said
}

fn a_password_is_asked_for(world: &World) {
    // The token goes to the file while the questions go to the terminal.
    let script = "playground user pat create 'from a terminal' > ../home/captured";
    let mut session = open(world.shell(script));
    session.exp_string("User: ").unwrap();
    session.send_line("alice").unwrap();
    session.exp_string("Password of alice: ").unwrap();
    session.send_line(PASSWORD).unwrap();
    let said = ends_with(session, 0);
    assert!(said.contains("Created from a terminal"), "{said}");
    assert!(!said.contains(PASSWORD) && !said.contains("demo_pat_"), "{said}");
    let captured = std::fs::read_to_string(world.home().join("captured")).unwrap();
    assert!(captured.starts_with("demo_pat_") && captured.lines().count() == 1);

    // One question for several tokens, and a wrong password is no loop.
    let mut delete = world.program("playground", &["user", "pat", "delete", "a", "b"]);
    delete.env("PLAYGROUND_USER", "alice");
    let mut session = open(delete);
    session.exp_string("Password of alice: ").unwrap();
    session.send_line("wrong").unwrap();
    let said = ends_with(session, 4);
    assert_eq!(said.matches("401 sign-in").count(), 2, "{said}");
    assert!(!said.contains("wrong\r\n") || said.contains("password is wrong"), "{said}");
}

fn a_prompt_can_be_left(world: &World) {
    let mut list = world.program("playground", &["user", "pat", "list"]);
    list.env("PLAYGROUND_USER", "alice");
    let mut session = open(list);
    session.exp_string("Password of alice: ").unwrap();
    session.send_control('c').unwrap();
    session.exp_eof().unwrap();
    let ended = how_it_ended(&session);
    assert!(ended.contains("SIGINT"), "{ended}");

    let mut list = world.program("playground", &["user", "pat", "list"]);
    list.env("PLAYGROUND_USER", "alice");
    let mut session = open(list);
    session.exp_string("Password of alice: ").unwrap();
    session.send_control('d').unwrap();
    let said = ends_with(session, 2);
    assert!(said.contains("the password of alice cannot be read"), "{said}");
}

fn ctrl_c_leaves_nothing(world: &World) {
    // Nothing is waited for that would be shown.
    let said = ends_with(open(world.program("playground", &["login", "--pat-file", "-"])), 2);
    assert!(said.contains("nothing is piped in"), "{said}");

    let path = world.home().join("pat");
    let file = path.to_str().unwrap();
    let create = ["user", "pat", "create", "interrupted", "--pat-file", file];
    for (user, question) in [(Some("alice"), "Password of alice: "), (None, "User: ")] {
        let mut command = world.program("playground", &create);
        command.envs(user.map(|user| ("PLAYGROUND_USER", user)));
        let mut session = open(command);
        session.exp_string(question).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"");
        session.send_control('c').unwrap();
        session.exp_eof().unwrap();
        assert!(how_it_ended(&session).contains("SIGINT"));
        assert!(!path.exists());
    }

    // A shell goes on with a terminal that shows what is typed.
    let mut shell = world.shell("stty echo; trap : INT; playground user pat list; stty -a");
    shell.env("PLAYGROUND_USER", "alice");
    let mut session = open(shell);
    session.exp_string("Password of alice: ").unwrap();
    session.send_control('c').unwrap();
    let said = session.exp_eof().unwrap();
    let said: Vec<&str> = said.split_whitespace().collect();
    for setting in ["echo", "isig", "icanon"] {
        assert!(said.contains(&setting), "{said:?}");
    }

    // While a server thinks it over.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut waiting = world.playground(&create);
    waiting.env("PLAYGROUND_SERVER", format!("http://{}", silent.local_addr().unwrap()));
    let waiting = waiting.stderr(Stdio::piped()).spawn().unwrap();
    let _connection = silent.accept().unwrap();
    assert!(path.exists());
    let signal = Command::new("kill").args(["-INT", &waiting.id().to_string()]).status();
    assert!(signal.unwrap().success());
    let ended = waiting.wait_with_output().unwrap();
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&ended.status), Some(2));
    let said = "error: interrupted\n\
                hint: what was asked for may be done; `playground user pat list` tells\n";
    assert_eq!(String::from_utf8(ended.stderr).unwrap(), said);
    assert!(!path.exists());
}

fn revoking_is_confirmed(world: &World) {
    let token = world.token("confirmed");
    let id = token.split('_').nth(2).unwrap();
    let database = format!("sqlite:{}", world.database.display());
    let revoke = || {
        let mut revoke = world.program("hallpass_admin", &["revoke", id]);
        revoke.env("HALLPASS_DATABASE", &database);
        let mut session = open(revoke);
        session.exp_string("Revoke 1 token for good? [y/N] ").unwrap();
        session
    };
    for answer in ["", "n", "yess"] {
        let mut session = revoke();
        session.send_line(answer).unwrap();
        let said = ends_with(session, 1);
        assert!(said.contains("not confirmed, so nothing was changed"), "{said}");
    }
    // A signal that nobody typed is no answer, and no answer after it counts.
    let mut signalled = world.shell(&format!("echo $$; exec hallpass_admin revoke {id}"));
    signalled.env("HALLPASS_DATABASE", &database);
    let mut session = open(signalled);
    let process = session.read_line().unwrap();
    session.exp_string("Revoke 1 token for good? [y/N] ").unwrap();
    let signal = Command::new("kill").args(["-INT", process.trim()]).status();
    assert!(signal.unwrap().success());
    session.send_line("y").unwrap();
    let said = session.exp_eof().unwrap();
    let ended = how_it_ended(&session);
    assert!(ended.contains("SIGINT") && said.contains("interrupted"), "{ended}: {said}");
    assert_eq!(world.login(&token).code, 0);
    // The login made a second one.
    assert_eq!(done(&mut world.program("playground", &["logout"])).code, 0);
    let mut again = world.program("hallpass_admin", &["revoke", id]);
    again.env("HALLPASS_DATABASE", &database);
    let mut session = open(again);
    session.exp_string("Revoke 2 tokens for good? [y/N] ").unwrap();
    session.send_line("y").unwrap();
    assert!(ends_with(session, 0).contains("Revoked 2 tokens."));
    assert_eq!(world.login(&token).code, 4);
}

fn colours(world: &World) {
    let _ = world.token("in colour");
    let list = || world.playground(&["user", "pat", "list"]);
    let said = ends_with(open(list()), 0);
    assert!(said.contains("\u{1b}[1mNAME\u{1b}[0m"), "{said:?}");
    assert!(said.contains("\u{1b}[32mactive\u{1b}[0m"), "{said:?}");
    for (variable, value) in [("NO_COLOR", "1"), ("TERM", "dumb")] {
        let mut plain = list();
        plain.env(variable, value);
        let said = ends_with(open(plain), 0);
        assert!(said.contains("in colour") && !said.contains('\u{1b}'), "{variable}: {said:?}");
    }
    let mut wrong = world.playground(&["user", "pat", "delete", "nothing"]);
    wrong.env("NO_COLOR", "");
    let said = ends_with(open(wrong), 6);
    assert!(said.contains("\u{1b}[1m\u{1b}[31merror:\u{1b}[0m nothing"), "{said:?}");
}
