//! From what a body asks for to what the engine is asked for. Everything that can be checked by
//! itself is, so that all that is wrong is told at once.

use chrono::TimeDelta;
use ipnet::IpNet;

use super::problem::{Failure, member};
use crate::clock::Timestamp;
use crate::engine::{Edit, Hallpass, Issue, Rotate};
use crate::policy::Expiry;
use crate::scope::{ResourcePattern, Resources, Scope};
use crate::token::{Metadata, TokenId, TokenName};
use crate::wire::{self, FieldProblem};

type Problems = Vec<FieldProblem>;

/// Most scopes, presets, resources or networks: as many as a token can have.
const MAX_LISTED: usize = 64;

/// What to make.
pub(super) enum Wanted {
    New(Box<Issue>),
    Copy { of: TokenId, name: String },
}

/// A new token, or a copy.
///
/// # Errors
/// The [`Failure`] names every member that is not as it must be.
pub(super) fn new(asked: wire::NewToken, hallpass: &Hallpass) -> Result<Wanted, Failure> {
    let mut problems = Problems::new();
    name(&asked.name, &mut problems);
    if let Some(of) = asked.copy_of {
        let plain = wire::NewToken {
            name: asked.name.clone(),
            copy_of: asked.copy_of,
            ..wire::NewToken::default()
        };
        if asked != plain {
            let detail = "a copy has the settings of the other token; only `name` goes with it";
            problems.push(member("/copy_of", "not-alone", detail));
        }
        return done(Wanted::Copy { of, name: asked.name }, problems);
    }
    if asked.scopes.is_none() && asked.presets.is_none() {
        problems.push(member("/scopes", "missing", "ask for at least one scope, or for a preset"));
    }
    let expiry = expiry(asked.lifetime_seconds, asked.expires_at.as_deref(), &mut problems);
    let mut issue = Issue::new(asked.name);
    if let Some(description) = asked.description {
        issue = issue.description(description);
    }
    if let Some(wish) = scopes(asked.scopes, hallpass, &mut problems) {
        issue = issue.scopes(wish);
    }
    for preset in presets(asked.presets, hallpass, &mut problems).into_iter().flatten() {
        issue = issue.preset(preset);
    }
    if let Some(resources) = resources(asked.resources, &mut problems) {
        issue = issue.resources(resources);
    }
    if let Some(Some(networks)) = networks(asked.networks, &mut problems) {
        issue = issue.networks(networks);
    }
    if let Some(expiry) = expiry {
        issue = issue.expiry(expiry);
    }
    if let Some(start) = asked.not_before {
        issue = issue.not_before(start.to_utc());
    }
    if let Some(metadata) = metadata(asked.metadata, &mut problems) {
        issue = issue.metadata(metadata);
    }
    done(Wanted::New(Box::new(issue)), problems)
}

/// An edit; none if it changes nothing.
///
/// # Errors
/// The [`Failure`] names every member that is not as it must be.
pub(super) fn edit(asked: wire::Edit, hallpass: &Hallpass) -> Result<Option<Edit>, Failure> {
    if asked == wire::Edit::default() {
        return Ok(None);
    }
    let mut problems = Problems::new();
    let mut edit = Edit::new();
    if let Some(text) = asked.name {
        name(&text, &mut problems);
        edit = edit.name(text);
    }
    if let Some(description) = asked.description {
        edit = edit.description(description);
    }
    if let Some(wish) = scopes(asked.scopes, hallpass, &mut problems) {
        edit = edit.scopes(wish);
    }
    for preset in presets(asked.presets, hallpass, &mut problems).into_iter().flatten() {
        edit = edit.preset(preset);
    }
    if let Some(resources) = resources(asked.resources, &mut problems) {
        edit = edit.resources(resources);
    }
    if let Some(networks) = networks(asked.networks, &mut problems) {
        edit = edit.networks(networks);
    }
    let end = expiry(asked.lifetime_seconds, asked.expires_at.as_deref(), &mut problems);
    if let Some(end) = end {
        edit = edit.expiry(end);
    }
    if let Some(metadata) = metadata(asked.metadata, &mut problems) {
        edit = edit.metadata(metadata);
    }
    done(Some(edit), problems)
}

/// A rotation.
///
/// # Errors
/// The [`Failure`] names every member that is not as it must be.
pub(super) fn rotate(asked: &wire::Rotate, hallpass: &Hallpass) -> Result<Rotate, Failure> {
    let mut problems = Problems::new();
    let mut rotate = Rotate::new();
    if let Some(seconds) = asked.overlap_seconds {
        let overlap = TimeDelta::try_seconds(seconds).filter(|overlap| {
            (TimeDelta::zero()..=hallpass.policy().max_overlap).contains(overlap)
        });
        match overlap {
            Some(overlap) => rotate = rotate.overlap(overlap),
            None => {
                let most = hallpass.policy().max_overlap.num_seconds();
                let detail = format!("an overlap is 0 to {most} seconds");
                problems.push(member("/overlap_seconds", "out-of-range", detail));
            }
        }
    }
    let end = expiry(asked.lifetime_seconds, asked.expires_at.as_deref(), &mut problems);
    if let Some(end) = end {
        rotate = rotate.expiry(end);
    }
    done(rotate, problems)
}

fn done<T>(value: T, problems: Problems) -> Result<T, Failure> {
    if problems.is_empty() { Ok(value) } else { Err(Failure::body(problems)) }
}

fn name(text: &str, problems: &mut Problems) {
    if let Err(error) = text.parse::<TokenName>() {
        problems.push(member("/name", "invalid", error));
    }
}

/// Whether a list is looked at. Of one that is too long nothing else is told.
fn is_bounded<T>(pointer: &str, list: &[T], problems: &mut Problems) -> bool {
    let bounded = list.len() <= MAX_LISTED;
    if !bounded {
        problems.push(member(pointer, "out-of-range", format!("at most {MAX_LISTED}")));
    }
    bounded
}

fn scopes(
    asked: Option<Vec<String>>,
    hallpass: &Hallpass,
    problems: &mut Problems,
) -> Option<Vec<String>> {
    let asked = asked.filter(|asked| is_bounded("/scopes", asked, problems))?;
    if asked.is_empty() {
        problems.push(member("/scopes", "missing", "ask for at least one scope"));
    }
    for (index, text) in asked.iter().enumerate() {
        let pointer = format!("/scopes/{index}");
        match text.parse::<Scope>() {
            Err(error) => problems.push(member(&pointer, "invalid", error)),
            Ok(scope) if hallpass.catalog().get(scope.as_str()).is_none() => {
                problems.push(member(&pointer, "unknown", format!("unknown scope `{scope}`")));
            }
            Ok(_) => {}
        }
    }
    Some(asked)
}

fn presets(
    asked: Option<Vec<String>>,
    hallpass: &Hallpass,
    problems: &mut Problems,
) -> Option<Vec<String>> {
    let asked = asked.filter(|asked| is_bounded("/presets", asked, problems))?;
    if asked.is_empty() {
        problems.push(member("/presets", "missing", "ask for at least one preset"));
    }
    for (index, text) in asked.iter().enumerate() {
        if hallpass.catalog().preset(text).is_none() {
            problems.push(member(&format!("/presets/{index}"), "unknown", "unknown preset"));
        }
    }
    Some(asked)
}

fn resources(asked: Option<wire::Resources>, problems: &mut Problems) -> Option<Resources> {
    let names = match asked? {
        wire::Resources::All(_) => return Some(Resources::All),
        wire::Resources::Listed(names) => names,
    };
    if !is_bounded("/resources", &names, problems) {
        return None;
    }
    let before = problems.len();
    for (index, name) in names.iter().enumerate() {
        if let Err(error) = name.parse::<ResourcePattern>() {
            problems.push(member(&format!("/resources/{index}"), "invalid", error));
        }
    }
    match Resources::listed(&names) {
        Ok(resources) => Some(resources),
        Err(error) => {
            if problems.len() == before {
                problems.push(member("/resources", "invalid", error));
            }
            None
        }
    }
}

/// Networks, with `None` inside for anywhere.
fn networks(asked: Option<wire::Networks>, problems: &mut Problems) -> Option<Option<Vec<IpNet>>> {
    let texts = match asked? {
        wire::Networks::Anywhere(_) => return Some(None),
        wire::Networks::Listed(texts) => texts,
    };
    if !is_bounded("/networks", &texts, problems) {
        return None;
    }
    let mut networks = Vec::new();
    for (index, text) in texts.iter().enumerate() {
        match text.parse::<IpNet>() {
            Ok(network) => networks.push(network),
            Err(_) => {
                let detail = "a network is written like 10.0.0.0/8 or 2001:db8::/32";
                problems.push(member(&format!("/networks/{index}"), "invalid", detail));
            }
        }
    }
    Some(Some(networks))
}

/// Where an end is said.
pub(super) fn expiry_pointer(expires_at: Option<&str>) -> &'static str {
    if expires_at.is_some() { "/expires_at" } else { "/lifetime_seconds" }
}

fn expiry(
    seconds: Option<i64>,
    expires_at: Option<&str>,
    problems: &mut Problems,
) -> Option<Expiry> {
    match (seconds, expires_at) {
        (None, None) => None,
        (Some(_), Some(_)) => {
            let detail = "say `lifetime_seconds` or `expires_at`, not both";
            problems.push(member("/expires_at", "not-alone", detail));
            None
        }
        (Some(seconds), None) => match TimeDelta::try_seconds(seconds) {
            Some(delta) => Some(Expiry::In(delta)),
            None => {
                let detail = "the lifetime is outside of what is allowed";
                problems.push(member("/lifetime_seconds", "out-of-range", detail));
                None
            }
        },
        (None, Some("never")) => Some(Expiry::Never),
        (None, Some(text)) => match text.parse::<Timestamp>() {
            Ok(instant) => Some(Expiry::At(instant.to_utc())),
            Err(error) => {
                problems.push(member("/expires_at", "invalid", error));
                None
            }
        },
    }
}

fn metadata(
    asked: Option<serde_json::Map<String, serde_json::Value>>,
    problems: &mut Problems,
) -> Option<Metadata> {
    match Metadata::new(&asked?) {
        Ok(metadata) => Some(metadata),
        Err(error) => {
            problems.push(member("/metadata", "invalid", error));
            None
        }
    }
}
