//! The whole life of a token, in memory: `cargo run --example quickstart`.

use std::fmt::Write as _;

use chrono::TimeDelta;
use hallpass::{
    Caller, Context, Edit, Exchange, Expiry, Hallpass, Issue, ListRequest, MemoryStore, Owner,
    RevocationReason, Rotate, ScopeCatalog, ScopeDefinition,
    store::{Filter, Reach},
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    print!("{}", life_of_a_token().await?);
    Ok(())
}

async fn life_of_a_token() -> Result<String, Box<dyn std::error::Error>> {
    let mut out = String::new();
    let catalog = ScopeCatalog::builder()
        .scope(ScopeDefinition::new("repo:read").title("Read repositories"))
        .scope(ScopeDefinition::new("repo:write").implies(["repo:read"]))
        .build()?;
    let hallpass = Hallpass::builder(MemoryStore::new()).brand("acme").catalog(catalog).build()?;
    let here = Context::default();

    // The app knows who is signed in and when the password was last asked for.
    let alice = Caller::owner(Owner::parse("alice")?).confirmed_at(hallpass.now());
    let mine = hallpass.on_behalf_of(alice);

    let issued =
        mine.issue(Issue::new("nightly build").scopes(["repo:write"]).on(["acme/*"])).await?;
    let id = issued.token.id;
    writeln!(out, "issued {} ({}), shown once: {}", id, issued.token.name, issued.plain.expose())?;

    let verified = hallpass.verify(issued.plain.expose(), &here).await?;
    verified.require("repo:read")?.on("acme/website")?;
    writeln!(out, "verified as {}: may read acme/website", verified.owner())?;
    let Err(refusal) = verified.on("other/website") else { return Err("too much".into()) };
    writeln!(out, "refused on other/website: {refusal}")?;

    let everything = ListRequest::new(Filter::new(Reach::All));
    for token in mine.list(&everything).await?.tokens {
        let used = token.last_use.map_or("never".to_owned(), |used| used.at.to_string());
        writeln!(out, "listed {}: scopes {}, last used {used}", token.name, token.scopes)?;
    }

    let edited = mine.update(&id, Edit::new().scopes(["repo:read"])).await?;
    writeln!(out, "narrowed to {}", edited.scopes)?;
    let copy = mine.duplicate(&id, "nightly build 2").await?;
    writeln!(out, "copied to {}", copy.token.name)?;

    let short = Exchange::new().lifetime(TimeDelta::minutes(5));
    let session = hallpass.exchange(issued.plain.expose(), &here, short).await?;
    let end = session.token.expires_at.map_or("for ever".to_owned(), |end| end.to_string());
    writeln!(out, "exchanged for a token of kind {} until {end}", session.token.kind)?;

    let rotated = mine.rotate(&id, Rotate::new().overlap(TimeDelta::hours(1))).await?;
    let both = [&issued.plain, &rotated.plain];
    for plain in both {
        hallpass.verify(plain.expose(), &here).await?;
    }
    writeln!(out, "rotated: the new secret works, the old one for another hour")?;

    mine.revoke(&id, RevocationReason::Requested).await?;
    for plain in both.into_iter().chain([&session.plain]) {
        let Err(refusal) = hallpass.verify(plain.expose(), &here).await else {
            return Err("a revoked token was accepted".into());
        };
        writeln!(out, "revoked: {refusal}")?;
    }

    let forever = Issue::new("for ever").scopes(["repo:read"]).expiry(Expiry::Never);
    let Err(refusal) = mine.issue(forever).await else { return Err("too long".into()) };
    writeln!(out, "refused to issue: {refusal}")?;
    Ok(out)
}

#[cfg(test)]
mod tests {
    #[tokio::test]
    async fn every_step_says_what_happened() {
        let out = super::life_of_a_token().await.unwrap();
        let steps: Vec<&str> =
            out.lines().filter_map(|line| line.split([' ', ':']).next()).collect();
        assert_eq!(
            steps,
            [
                "issued",
                "verified",
                "refused",
                "listed",
                "narrowed",
                "copied",
                "exchanged",
                "rotated",
                "revoked",
                "revoked",
                "revoked",
                "refused",
            ]
        );
    }
}
