//! A web app that behaves like the token features of five products, so that the commands of their
//! users work against it: an automation platform, a release tool, a hosting platform, a developer
//! playground and a data platform.
//!
//! `cargo run --example demo --features demo`, and `-- --help` behind that for its options. It
//! prints a curl line for every route.

mod accounts;
pub(crate) mod app;
mod attempts;
mod automation;
mod body;
mod catalog;
mod data;
mod guide;
mod hosting;
mod manage;
mod me;
mod oauth;
pub(crate) mod options;
mod pages;
mod playground;
mod problem;
mod quota;
mod release;
mod session;
mod sign_in;
mod tokens;

use std::error::Error;
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use argon2::Argon2;
use hallpass::{MemoryStore, SqliteStore, StoreError, TokenStore};
use tokio::net::TcpListener;

use self::accounts::PEOPLE;
use self::app::{App, Settings};
use self::options::{Database, HELP, Options};

/// How often last uses are written and ended tokens removed.
const MAINTENANCE: Duration = Duration::from_secs(30);

#[tokio::main]
async fn main() -> ExitCode {
    let password = std::env::var("DEMO_PASSWORD").ok();
    let options = match Options::parse(std::env::args().skip(1), password) {
        Ok(Some(options)) => options,
        Ok(None) => {
            print!("{HELP}");
            return ExitCode::SUCCESS;
        }
        Err(error) => {
            eprintln!("demo: {error}");
            return ExitCode::from(2);
        }
    };
    match run(options).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let mut causes = error.source();
            let mut text = error.to_string();
            while let Some(cause) = causes {
                text = format!("{text}: {cause}");
                causes = cause.source();
            }
            eprintln!("demo: {text}");
            ExitCode::FAILURE
        }
    }
}

pub(crate) async fn run(options: Options) -> Result<(), Box<dyn Error + Send + Sync>> {
    if options.verbose {
        let subscriber = tracing_subscriber::fmt().with_max_level(tracing::Level::DEBUG);
        subscriber.with_writer(io::stderr).init();
    }
    // The port comes first: without it nothing is created.
    let listener = TcpListener::bind(&options.listen).await.map_err(|error| {
        format!("cannot listen on {}: {error}; choose another with --listen", options.listen)
    })?;
    let passwords = match options.password.clone() {
        Some(password) => std::array::from_fn(|_| password.clone()),
        None => random_passwords()?,
    };
    let address = listener.local_addr()?;
    let settings = Settings {
        origin: options.issuer.clone().unwrap_or_else(|| known_as(address)),
        let_sessions_finish: options.let_sessions_finish,
        data_lifetime: options.data_lifetime,
        passwords: passwords.clone(),
        argon2: Argon2::default(),
    };
    let app = App::new(store(&options.database).await?, &settings)?;
    let router = app.router()?;

    introduce(&mut io::stdout().lock(), address, &options, &passwords, &app)?;
    let maintenance = tokio::spawn({
        let hallpass = app.hallpass.clone();
        async move { hallpass.maintain_every(MAINTENANCE).await }
    });
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    let served = axum::serve(listener, service).with_graceful_shutdown(asked_to_stop()).await;
    maintenance.abort();
    // Last uses that were not written yet would be lost.
    app.hallpass.maintain().await?;
    // Whoever read the output may be gone.
    let _ = writeln!(io::stdout(), "stopped");
    Ok(served?)
}

async fn store(database: &Database) -> Result<Arc<dyn TokenStore>, Box<dyn Error + Send + Sync>> {
    let opened: Result<Arc<dyn TokenStore>, StoreError> = match database {
        Database::Memory => Ok(Arc::new(MemoryStore::new())),
        Database::Sqlite(path) => SqliteStore::open(path).map(|store| Arc::new(store) as _),
        #[cfg(feature = "postgres")]
        Database::Postgres(url) => {
            hallpass::PostgresStore::connect(url).await.map(|store| Arc::new(store) as _)
        }
        #[cfg(feature = "redis")]
        Database::Redis(url) => {
            hallpass::RedisStore::connect(url.as_str()).await.map(|store| Arc::new(store) as _)
        }
        #[cfg(not(feature = "postgres"))]
        Database::Postgres(_) => {
            return Err("built without PostgreSQL: add `--features demo,postgres`".into());
        }
        #[cfg(not(feature = "redis"))]
        Database::Redis(_) => return Err("built without Redis: add `--features demo,redis`".into()),
    };
    opened.map_err(|error| {
        let cause = error.source().map_or(String::new(), |cause| format!(": {cause}"));
        format!("cannot open the database {}: {error}{cause}", database.place()).into()
    })
}

/// The URL by which OAuth clients know the demo, unless it is given. Without TLS nobody can trust
/// one of another machine.
fn known_as(address: SocketAddr) -> String {
    match address.ip().is_loopback() {
        true => format!("http://{address}"),
        false => format!("http://localhost:{}", address.port()),
    }
}

/// Twenty random letters and digits for each account.
fn random_passwords() -> Result<[String; 4], Box<dyn Error + Send + Sync>> {
    use rand::TryRng as _;

    const DIGITS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    let mut passwords: [String; 4] = std::array::from_fn(|_| String::new());
    for password in &mut passwords {
        let mut bytes = [0; 20];
        rand::rngs::SysRng.try_fill_bytes(&mut bytes)?;
        let digits = bytes.iter().filter_map(|byte| DIGITS.get(usize::from(byte % 32)));
        password.extend(digits.map(|digit| char::from(*digit)));
    }
    Ok(passwords)
}

fn introduce(
    out: &mut impl io::Write,
    address: SocketAddr,
    options: &Options,
    passwords: &[String; 4],
    app: &App,
) -> io::Result<()> {
    let place = match &options.database {
        Database::Memory => "memory; they are gone when the demo ends".to_owned(),
        kept => format!("{}; they are there when it starts again", kept.place()),
    };
    writeln!(out, "Tokens are kept in {place}.")?;
    let fate = if options.let_sessions_finish { "finish" } else { "die" };
    writeln!(out, "Sessions {fate} when the token that negotiated them is deleted.")?;
    writeln!(out, "\nAccounts (new passwords each time, unless given):")?;
    for ((name, kind, is_admin), password) in PEOPLE.iter().zip(passwords) {
        let note = match (kind, is_admin) {
            (_, true) => "  (administrator)",
            (hallpass::OwnerKind::External, _) => "  (external identity: may not hold tokens)",
            _ => "",
        };
        writeln!(out, "  {name:<6} {password}{note}")?;
    }
    writeln!(out, "\nOAuth clients (new secrets each time):")?;
    for (id, secret, note) in oauth::clients(&app.endpoints.registered) {
        writeln!(out, "  {id:<8} {secret}  ({note})")?;
    }
    if !address.ip().is_loopback() {
        writeln!(out, "\nOthers can reach this address, and nothing is encrypted.")?;
    }
    let port = address.port();
    writeln!(out, "\nThe token pages: http://localhost:{port}{}", pages::CONSOLE)?;
    writeln!(out, "\nPaste this first; it reads a field of an answer:\n{}", guide::FIELD)?;
    let registered = &app.endpoints.registered;
    for step in guide::steps(&format!("http://{address}"), passwords, registered) {
        writeln!(out, "\n# {} ({})\n{}", step.title, step.status, step.command)?;
    }
    writeln!(out, "\nready on http://{address}, ctrl-c stops it")?;
    out.flush()
}

async fn asked_to_stop() {
    let interrupted = async {
        // Without the handler ctrl-c just ends the process.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminated) = signal(SignalKind::terminate()) {
            tokio::select! {
                () = interrupted => {}
                _ = terminated.recv() => {}
            }
            return;
        }
    }
    interrupted.await;
}
