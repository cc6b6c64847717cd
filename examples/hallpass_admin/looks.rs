//! Commands that change nothing.

use std::collections::BTreeSet;
use std::io::Read as _;
use std::sync::Arc;

use hallpass::cli::{Class, Failure, ago, day, print, say, table};
use hallpass::store::{Filter, PageRequest, Position, Reach, SortKey};
use hallpass::{
    Caller, Hallpass, Networks, Outage, Owner, PepperRing, ScopeCatalog, SecretMatch, Status,
    Tenant, Timestamp, Token, TokenId, TokenStore,
};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::arguments::{List, Show, WhoIs};
use super::database::of_store;

/// Longest text that may be a token, and some white space around it.
const MAX_TEXT: u64 = 1024;
/// How many records are read at a time.
const PAGE: u32 = 500;

pub(crate) async fn list(
    store: &dyn TokenStore,
    list: &List,
    now: Timestamp,
) -> Result<(), Failure> {
    let tenant = list.tenant.clone();
    let mut filter = Filter::new(match (&list.owner, tenant) {
        (Some(owner), tenant) => Reach::Owner(tenant.unwrap_or(Tenant::DEFAULT), owner.clone()),
        (None, Some(tenant)) => Reach::Tenant(tenant),
        (None, None) => Reach::All,
    });
    filter.statuses = (!list.statuses.is_empty()).then(|| list.statuses.clone());
    filter.text.clone_from(&list.text);
    if let Some(within) = list.ending_within {
        filter.expires_from = Some(now);
        filter.expires_before = Some(now.saturating_add(within));
    }
    // One more than is shown tells whether there is more.
    let mut tokens = all(store, &filter, now, list.limit.saturating_add(1)).await?;
    let is_cut = tokens.len() > list.limit;
    tokens.truncate(list.limit);
    if list.json {
        let lines: String = tokens.iter().map(|token| format!("{}\n", json(token, now))).collect();
        print(&lines)?;
    } else if !tokens.is_empty() {
        print(&as_table(&tokens, now))?;
    } else if !is_cut {
        say("There are no such tokens.");
    }
    if is_cut {
        say(&format!("There are more than {}; see --limit.", list.limit));
    }
    if let (Some(owner), None) = (&list.owner, &list.tenant) {
        hint_at_tenants(store, owner, now).await?;
    }
    Ok(())
}

/// Says in which other tenants an owner has live tokens: somebody in a hurry must not take those
/// of the default tenant for all of them.
pub(crate) async fn hint_at_tenants(
    store: &dyn TokenStore,
    owner: &Owner,
    now: Timestamp,
) -> Result<(), Failure> {
    let mut live = Filter::new(Reach::All);
    live.statuses = Some(Status::ALL.into_iter().filter(|status| status.is_live()).collect());
    let mut tenants = BTreeSet::new();
    each(store, &live, now, |token| {
        if token.owner == *owner && token.tenant != Tenant::DEFAULT {
            tenants.insert(token.tenant.to_string());
        }
        true
    })
    .await?;
    for tenant in tenants {
        say(&format!("{owner} has live tokens in another tenant: --tenant {tenant}"));
    }
    Ok(())
}

/// Up to so many tokens, the newest first.
pub(crate) async fn all(
    store: &dyn TokenStore,
    filter: &Filter,
    now: Timestamp,
    most: usize,
) -> Result<Vec<Token>, Failure> {
    let mut tokens = Vec::new();
    each(store, filter, now, |token| {
        tokens.push(token);
        tokens.len() < most
    })
    .await?;
    Ok(tokens)
}

/// Shows tokens, the newest first, for as long as more are wanted.
pub(crate) async fn each(
    store: &dyn TokenStore,
    filter: &Filter,
    now: Timestamp,
    mut wants_more: impl FnMut(Token) -> bool,
) -> Result<(), Failure> {
    let sort = SortKey::CreatedAt;
    let mut page = PageRequest { sort, descending: true, after: None, limit: PAGE };
    loop {
        let tokens =
            store.list_tokens(filter, &page, now).await.map_err(|error| of_store(&error))?;
        let Some(last) = tokens.last() else {
            return Ok(());
        };
        page.after = Some(Position { value: sort.value_of_token(last), id: last.id });
        for token in tokens {
            if !wants_more(token) {
                return Ok(());
            }
        }
    }
}

pub(crate) fn as_table(tokens: &[Token], now: Timestamp) -> String {
    let header = ["ID", "KIND", "OWNER", "NAME", "EXPIRES", "LAST USED", "STATUS"];
    let rows: Vec<_> = tokens
        .iter()
        .map(|token| {
            let used = token.last_use.as_ref().map(|used| used.at);
            vec![
                token.id.to_string(),
                token.kind.to_string(),
                in_tenant(token),
                token.name.to_string(),
                token.expires_at.map_or("never".to_owned(), |end| day(end, now)),
                used.map_or("never".to_owned(), |at| ago(at, now)),
                Status::at(token, now).to_string(),
            ]
        })
        .collect();
    table(&header, &rows)
}

fn in_tenant(token: &Token) -> String {
    if token.tenant == Tenant::DEFAULT {
        token.owner.to_string()
    } else {
        format!("{}/{}", token.tenant, token.owner)
    }
}

pub(crate) async fn show(
    store: &dyn TokenStore,
    show: &Show,
    now: Timestamp,
) -> Result<(), Failure> {
    let token = find(store, &show.id).await?;
    tell(&token, None, show.json, now)
}

pub(crate) async fn find(store: &dyn TokenStore, id: &TokenId) -> Result<Token, Failure> {
    let record = store.find(id).await.map_err(|error| of_store(&error))?;
    record
        .map(|record| record.token)
        .ok_or_else(|| Failure::new(Class::NotFound, format!("there is no token {id}")))
}

/// Reads the text from standard input, since everybody can see arguments.
pub(crate) async fn who_is(
    store: Arc<dyn TokenStore>,
    who_is: &WhoIs,
    now: Timestamp,
) -> Result<(), Failure> {
    let ring = peppers(who_is)?;
    let mut text = Zeroizing::new(String::with_capacity(1024));
    let read = std::io::stdin().take(MAX_TEXT).read_to_string(&mut text);
    read.map_err(|error| Failure::new(Class::Usage, format!("standard input: {error}")))?;
    let text = text.trim();
    if let Ok(id) = text.parse() {
        return tell(&find(&*store, &id).await?, None, who_is.json, now);
    }
    let none = || {
        Failure::new(
            Class::Usage,
            "standard input holds neither the id nor the whole text of a token",
        )
    };
    let brand = text.split('_').next().unwrap_or_default();
    // The scopes are shown as they are stored, so the app's catalog is not needed.
    let engine = ScopeCatalog::builder().build().ok().and_then(|catalog| {
        Hallpass::builder(store.clone()).brand(brand).catalog(catalog).peppers(ring).build().ok()
    });
    let engine = engine.ok_or_else(none)?;
    if !engine.recognises(text) {
        return Err(none());
    }
    let whose = engine.on_behalf_of(Caller::system()).whose(text).await;
    match whose {
        Ok(Some((token, secret))) => tell(&token, Some(secret), who_is.json, now),
        Ok(None) => Err(Failure::new(Class::NotFound, "there is no such token")),
        Err(Outage::MissingPepper { id }) => {
            // Whose it is is known even so.
            let record = store.find(&id).await.map_err(|error| of_store(&error))?;
            let pepper = record.as_ref().and_then(|record| record.digest.pepper());
            if let Some(record) = record {
                tell(&record.token, None, who_is.json, now)?;
            }
            let number = pepper.map_or("NUMBER".to_owned(), |pepper| pepper.to_string());
            let message = format!("the secret is not checked: it needs pepper {number}");
            Err(Failure::new(Class::Usage, message)
                .with_hint(format!("add --pepper {number}=FILE, with the bytes that the app has")))
        }
        Err(Outage::Store(error)) => Err(of_store(&error)),
        Err(other) => Err(Failure::new(Class::Other, other.to_string())),
    }
}

fn peppers(who_is: &WhoIs) -> Result<PepperRing, Failure> {
    let mut ring = PepperRing::none();
    for (number, file) in &who_is.peppers {
        let wrong = |error: &dyn std::fmt::Display| {
            Failure::new(
                Class::Credential,
                format!("pepper {number} in {}: {error}", file.display()),
            )
        };
        let bytes = Zeroizing::new(std::fs::read(file).map_err(|error| wrong(&error))?);
        ring = ring.with_retired(*number, &bytes).map_err(|error| wrong(&error))?;
    }
    Ok(ring)
}

fn secret_word(secret: SecretMatch) -> &'static str {
    match secret {
        SecretMatch::Current => "current",
        SecretMatch::Superseded => "superseded",
        _ => "wrong",
    }
}

fn tell(
    token: &Token,
    secret: Option<SecretMatch>,
    as_json: bool,
    now: Timestamp,
) -> Result<(), Failure> {
    let mut all = json(token, now);
    if let (Value::Object(all), Some(secret)) = (&mut all, secret) {
        all.insert("secret".to_owned(), secret_word(secret).into());
    }
    if as_json {
        return print(&format!("{all}\n"));
    }
    let mut lines = String::new();
    for name in ORDER {
        let shown = match all.get(name) {
            None | Some(Value::Null) => continue,
            Some(Value::String(text)) => text.clone(),
            Some(Value::Array(all)) => match listed(all) {
                Some(all) => all,
                None => continue,
            },
            Some(other) => other.to_string(),
        };
        lines.push_str(&format!("{:<14} {shown}\n", format!("{name}:")));
    }
    // Names come from people, and a terminal obeys some characters.
    let harmless = |c: char| if c.is_control() && c != '\n' { '\u{fffd}' } else { c };
    print(&lines.chars().map(harmless).collect::<String>())
}

/// In which people look for it.
const ORDER: [&str; 28] = [
    "id",
    "name",
    "description",
    "kind",
    "tenant",
    "owner",
    "status",
    "secret",
    "scopes",
    "resources",
    "networks",
    "audience",
    "created_at",
    "created_by",
    "not_before",
    "expires_at",
    "last_used_at",
    "last_used_from",
    "rotated_at",
    "overlap_until",
    "suspended_at",
    "suspended_by",
    "revoked_at",
    "revoked_by",
    "revoked_for",
    "parent",
    "client",
    "version",
];

/// With commas between them; nothing if there are none.
fn listed(all: &[Value]) -> Option<String> {
    let all: Vec<&str> = all.iter().filter_map(Value::as_str).collect();
    (!all.is_empty()).then(|| all.join(", "))
}

fn networks(networks: &Networks) -> Value {
    match networks {
        Networks::Anywhere => "anywhere".into(),
        Networks::Listed(some) => some.iter().map(ToString::to_string).collect(),
    }
}

/// Everything about a token, in the words of the management API.
pub(crate) fn json(token: &Token, now: Timestamp) -> Value {
    let used = token.last_use.as_ref();
    let suspension = token.suspension.as_ref();
    let revocation = token.revocation.as_ref();
    let rotation = token.rotation.as_ref();
    json!({
        "id": token.id,
        "kind": token.kind,
        "tenant": token.tenant,
        "owner": token.owner,
        "name": token.name,
        "description": token.description,
        "status": Status::at(token, now),
        "scopes": token.scopes,
        "resources": token.resources,
        "networks": networks(&token.networks),
        "audience": token.audience,
        "created_at": token.created_at,
        "created_by": token.created_by.to_string(),
        "not_before": token.not_before,
        "expires_at": token.expires_at,
        "last_used_at": used.map(|used| used.at),
        "last_used_from": used.and_then(|used| used.ip),
        "rotated_at": rotation.map(|rotation| rotation.rotated_at),
        "overlap_until": rotation.map(|rotation| rotation.grace_until),
        "suspended_at": suspension.map(|suspension| suspension.at),
        "suspended_by": suspension.map(|suspension| suspension.by.to_string()),
        "revoked_at": revocation.map(|revocation| revocation.at),
        "revoked_by": revocation.map(|revocation| revocation.by.to_string()),
        "revoked_for": revocation.map(|revocation| revocation.reason.as_str()),
        "parent": token.parent,
        "client": token.client,
        "version": token.version,
    })
}
