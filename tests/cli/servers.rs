//! The operators' tool on database servers that are started here.

use std::process::Command;

use hallpass::{Hallpass, Issue, Issued, PostgresStore, RedisStore, ScopeCatalog, TokenStore};

use crate::world::{World, done};
use crate::{postgres, redis};

fn admin(world: &World, url: &str, arguments: &[&str]) -> Command {
    let mut command = world.program("hallpass_admin", arguments);
    command.env("HALLPASS_DATABASE", url);
    command
}

fn run<T>(future: impl Future<Output = T>) -> T {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    runtime.worker_threads(1).enable_all().build().unwrap().block_on(future)
}

async fn issue(store: impl TokenStore) -> Issued {
    let builder = Hallpass::builder(store).brand("acme");
    let hallpass = builder.catalog(ScopeCatalog::of(["a"]).unwrap()).build().unwrap();
    hallpass.issue(Issue::new("ci").owner("alice").scopes(["a"])).await.unwrap()
}

/// Lists, shows, moves to a file of SQLite's and revokes.
fn work_on(world: &World, url: &str, issued: &Issued) {
    let id = issued.token.id.as_str();
    let list = done(&mut admin(world, url, &["list"]));
    assert!(list.code == 0 && list.out.contains("  alice  ci  "), "{list:?}");
    let show = done(&mut admin(world, url, &["show", id]));
    assert!(show.out.contains("status:        active"), "{show:?}");

    let file = world.home().join("moved.jsonl");
    let sqlite = format!("sqlite:{}", world.home().join("moved.sqlite").display());
    let (file, sqlite) = (file.to_str().unwrap(), sqlite.as_str());
    let exported = done(&mut admin(world, url, &["export", file]));
    assert_eq!((exported.code, exported.err.as_str()), (0, "Exported 1 token.\n"));
    assert_eq!(done(&mut admin(world, sqlite, &["migrate"])).code, 0);
    let imported = done(&mut admin(world, sqlite, &["import", file]));
    assert_eq!(imported.err, "Imported 1 token: 1 new, 0 there already.\n");
    let copy = done(&mut admin(world, sqlite, &["show", id]));
    assert_eq!(copy.out, show.out);

    let revoked = done(&mut admin(world, url, &["revoke", id, "--yes"]));
    assert_eq!((revoked.code, revoked.err.as_str()), (0, "Revoked 1 token.\n"), "{revoked:?}");
    let show = done(&mut admin(world, url, &["show", id]));
    assert!(show.out.contains("status:        revoked"), "{show:?}");
    let purged = done(&mut admin(world, url, &["purge", "--keep", "0s", "--yes"]));
    assert_eq!((purged.code, purged.err.as_str()), (0, "Removed 1.\n"), "{purged:?}");
}

pub(crate) fn on_postgres(world: &World, server: &postgres::Server) {
    let database = run(server.database());
    let url = server.url(&database);
    // Nothing is made unless asked for.
    let early = done(&mut admin(world, &url, &["list"]));
    assert!(early.code == 1 && early.err.contains("`hallpass_admin migrate`"), "{early:?}");
    let printed = done(&mut admin(world, &url, &["migrate", "--print"]));
    assert!(printed.out.contains("CREATE TABLE"), "{printed:?}");
    assert_eq!(done(&mut admin(world, &url, &["migrate"])).code, 0);
    let issued = run(async { issue(PostgresStore::connect(&url).await.unwrap()).await });
    work_on(world, &url, &issued);
}

pub(crate) fn on_redis(world: &World, server: &redis::Server) {
    let url = server.url();
    let issued = run(async { issue(RedisStore::connect(url.as_str()).await.unwrap()).await });
    work_on(world, &url, &issued);
}
