//! The settings of a token as a form.

use std::net::IpAddr;

use chrono::{DateTime, NaiveDate, NaiveTime, TimeDelta, Utc};
use ipnet::IpNet;

use super::errors::Errors;
use super::fault::Fault;
use super::form::Form;
use super::span::{date, days, span};
use super::texts::Texts;
use super::visit::Visit;
use crate::clock::Timestamp;
use crate::policy::{Expiry, Policy};
use crate::scope::{ResourcePattern, Resources, Scope, ScopeSet};
use crate::token::{Networks, Token};

/// The names of the fields.
pub(super) const NAMES: [&str; 9] =
    ["name", "description", "expiry", "date", "scope", "reach", "resources", "networks", "preset"];

/// Lifetimes that are offered, in days, as far as policy allows them.
const LIFETIMES: [i64; 6] = [7, 30, 60, 90, 180, 365];

/// One of several things to choose from.
pub(super) struct Choice {
    pub(super) value: String,
    pub(super) label: String,
    pub(super) selected: bool,
}

/// What stands in the fields, as text.
#[derive(Debug, Clone, Default)]
pub(super) struct Draft {
    pub(super) name: String,
    pub(super) description: String,
    /// `keep`, `default`, `date`, `never`, or a number of days.
    pub(super) expiry: String,
    pub(super) date: String,
    pub(super) scopes: Vec<String>,
    /// `none`, `listed` or `all`.
    pub(super) reach: String,
    pub(super) resources: String,
    pub(super) networks: String,
}

impl Draft {
    /// A new token with policy's default lifetime.
    pub(super) fn blank(policy: &Policy) -> Self {
        let expiry = lifetime_value(policy.default_lifetime);
        Self { expiry, reach: "none".to_owned(), ..Self::default() }
    }

    /// The settings of a token.
    pub(super) fn of(token: &Token, expiry: String) -> Self {
        let lines = |items: Vec<String>| items.join("\n");
        let (reach, resources) = match &token.resources {
            Resources::All => ("all", String::new()),
            Resources::Listed(listed) if listed.is_empty() => ("none", String::new()),
            Resources::Listed(listed) => {
                ("listed", lines(listed.iter().map(ToString::to_string).collect()))
            }
        };
        let networks = match &token.networks {
            Networks::Anywhere => String::new(),
            Networks::Listed(listed) => lines(listed.iter().map(ToString::to_string).collect()),
        };
        Self {
            name: token.name.to_string(),
            description: token.description.clone().unwrap_or_default(),
            expiry,
            date: String::new(),
            scopes: token.scopes.iter().map(ToString::to_string).collect(),
            reach: reach.to_owned(),
            resources,
            networks,
        }
    }

    /// What somebody sent.
    pub(super) fn read(form: &Form) -> Self {
        let text = |name| form.text(name).to_owned();
        Self {
            name: text("name"),
            // Browsers end lines as mail does.
            description: text("description").replace("\r\n", "\n"),
            expiry: text("expiry"),
            date: text("date"),
            scopes: form.all("scope").map(str::to_owned).collect(),
            reach: form.get("reach").unwrap_or("none").to_owned(),
            resources: text("resources"),
            networks: text("networks"),
        }
    }

    pub(super) fn description(&self) -> Option<String> {
        (!self.description.is_empty()).then(|| self.description.clone())
    }

    /// The end that is asked for; nothing, if it is to stay as it is or policy's default.
    pub(super) fn expiry(
        &self,
        visit: &Visit,
        errors: &mut Errors,
    ) -> Result<Option<Expiry>, Fault> {
        match self.expiry.as_str() {
            "keep" | "default" => Ok(None),
            "never" => Ok(Some(Expiry::Never)),
            "date" => {
                let end = last_moment(&self.date);
                if end.is_none() {
                    let t = &visit.console.texts;
                    let (first, last) = date_bounds(visit.console.hallpass().policy(), visit.now());
                    let text = t.fill(&t.error_expiry_date, "first", &first);
                    errors.add("date", t.fill(&text, "last", &last));
                }
                Ok(end.map(Expiry::At))
            }
            days if days.len() <= 5 && days.bytes().all(|byte| byte.is_ascii_digit()) => {
                let days = days.parse().ok().and_then(TimeDelta::try_days).ok_or(Fault::Bad)?;
                Ok(Some(Expiry::In(days)))
            }
            _ => Err(Fault::Bad),
        }
    }

    /// The resources that are asked for.
    pub(super) fn resources(&self, t: &Texts, errors: &mut Errors) -> Result<Resources, Fault> {
        match self.reach.as_str() {
            "none" => return Ok(Resources::none()),
            "all" => return Ok(Resources::All),
            "listed" => {}
            _ => return Err(Fault::Bad),
        }
        let listed: Vec<&str> = lines(&self.resources).collect();
        if listed.is_empty() {
            errors.add("resources", t.error_resource_none.clone());
        } else if let Some(bad) =
            listed.iter().find(|line| line.parse::<ResourcePattern>().is_err())
        {
            errors.add("resources", t.fill(&t.error_resource, "text", &cut(bad)));
        } else if let Ok(resources) = Resources::listed(listed) {
            return Ok(resources);
        } else {
            errors.add("resources", t.error_resource_many.clone());
        }
        Ok(Resources::none())
    }

    /// The networks that are asked for; nothing for anywhere.
    pub(super) fn networks(&self, t: &Texts, errors: &mut Errors) -> Option<Vec<IpNet>> {
        let mut networks = Vec::new();
        for line in lines(&self.networks) {
            let address = || line.parse::<IpAddr>().map(IpNet::from);
            match line.parse::<IpNet>().map(|network| network.trunc()).or_else(|_| address()) {
                Ok(network) => networks.push(network),
                Err(_) => {
                    errors.add("networks", t.fill(&t.error_network, "text", &cut(line)));
                    return None;
                }
            }
        }
        (!networks.is_empty()).then_some(networks)
    }
}

fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(str::trim).filter(|line| !line.is_empty())
}

/// As much of what somebody wrote as a message repeats.
fn cut(text: &str) -> String {
    text.chars().take(64).collect()
}

/// The last second of a day, in UTC.
fn last_moment(day: &str) -> Option<DateTime<Utc>> {
    let plain = day.len() == 10 && day.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
    let day = plain.then(|| NaiveDate::parse_from_str(day, "%Y-%m-%d").ok()).flatten()?;
    Some(day.and_time(NaiveTime::from_hms_opt(23, 59, 59)?).and_utc())
}

/// The first and the last day at whose end a token may expire.
fn date_bounds(policy: &Policy, now: Timestamp) -> (String, String) {
    let day = TimeDelta::seconds(24 * 60 * 60 - 1);
    let first = now.saturating_add(policy.min_lifetime);
    let last = now.saturating_add(policy.max_lifetime).saturating_sub(day);
    (date(first), date(last))
}

/// How a lifetime is written in the field.
pub(super) fn lifetime_value(lifetime: TimeDelta) -> String {
    let days = lifetime.num_days();
    if TimeDelta::try_days(days) == Some(lifetime) {
        days.to_string()
    } else {
        "default".to_owned()
    }
}

/// The ends that are offered, and `keep` with this label.
pub(super) fn expiries(
    policy: &Policy,
    (t, now): (&Texts, Timestamp),
    chosen: &str,
    keep: Option<String>,
) -> Vec<Choice> {
    let choice = |value: &str, label: String| Choice {
        value: value.to_owned(),
        label,
        selected: value == chosen,
    };
    let mut choices = Vec::new();
    if let Some(label) = keep {
        choices.push(choice("keep", label));
    }
    let default = lifetime_value(policy.default_lifetime);
    if default == "default" {
        let label = t.fill(&t.expiry_default, "span", &span(policy.default_lifetime, t));
        choices.push(choice("default", label));
    }
    let mut lifetimes: Vec<i64> = LIFETIMES.to_vec();
    lifetimes.extend([&*default, chosen].iter().filter_map(|text| text.parse::<i64>().ok()));
    lifetimes.sort_unstable();
    lifetimes.dedup();
    let allowed = policy.min_lifetime..=policy.max_lifetime;
    for lifetime in lifetimes {
        let delta = TimeDelta::try_days(lifetime).filter(|delta| allowed.contains(delta));
        if let Some(delta) = delta {
            let label = t.fill(&t.expiry_in, "span", &days(lifetime, t));
            let label = t.fill(&label, "date", &date(now.saturating_add(delta)));
            choices.push(choice(&lifetime.to_string(), label));
        }
    }
    choices.push(choice("date", t.expiry_on_date.to_string()));
    if policy.allow_never {
        choices.push(choice("never", t.expiry_never.to_string()));
    }
    choices
}

pub(super) struct PresetChoice {
    pub(super) name: String,
    /// Its scopes, with a space between them.
    pub(super) scopes: String,
}

pub(super) struct ScopeGroup {
    pub(super) title: String,
    pub(super) scopes: Vec<ScopeChoice>,
}

pub(super) struct ScopeChoice {
    pub(super) name: String,
    pub(super) title: String,
    pub(super) description: String,
    /// What it includes beside itself.
    pub(super) implies: String,
    pub(super) checked: bool,
}

/// The form as a page shows it.
pub(super) struct Fields {
    /// What makes sending a form twice harmless.
    pub(super) key: String,
    /// The version of the token that the form is about.
    pub(super) version: u64,
    pub(super) name: String,
    pub(super) description: String,
    pub(super) expiries: Vec<Choice>,
    pub(super) date: String,
    pub(super) first_date: String,
    pub(super) last_date: String,
    pub(super) presets: Vec<PresetChoice>,
    pub(super) groups: Vec<ScopeGroup>,
    pub(super) always: String,
    pub(super) reach: String,
    pub(super) resources: String,
    pub(super) networks: String,
    pub(super) with_resources: bool,
    pub(super) errors: Errors,
}

impl Fields {
    /// The fields with a draft in them, and `keep` among the ends if it has a label.
    pub(super) fn new(
        visit: &Visit,
        offered: &ScopeSet,
        draft: Draft,
        keep: Option<String>,
        errors: Errors,
    ) -> Self {
        let console = &visit.console;
        let (t, policy) = (&console.texts, console.hallpass().policy());
        let (first_date, last_date) = date_bounds(policy, visit.now());
        Self {
            key: String::new(),
            version: 0,
            expiries: expiries(policy, (t, visit.now()), &draft.expiry, keep),
            first_date,
            last_date,
            presets: presets(visit, offered),
            groups: groups(visit, offered, &draft.scopes),
            always: always(visit),
            with_resources: console.with_resources,
            name: draft.name,
            description: draft.description,
            date: draft.date,
            reach: draft.reach,
            resources: draft.resources,
            networks: draft.networks,
            errors,
        }
    }

    /// Whether where the token may be used is shown at once.
    pub(super) fn limits_open(&self) -> bool {
        self.reach != "none" || !self.networks.is_empty()
    }
}

fn always(visit: &Visit) -> String {
    let always = visit.console.hallpass().catalog().always();
    always.map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// The presets of which every scope is offered.
fn presets(visit: &Visit, offered: &ScopeSet) -> Vec<PresetChoice> {
    let presets = visit.console.hallpass().catalog().presets().iter();
    let whole =
        presets.filter(|preset| preset.scopes().iter().all(|scope| offered.grants(scope.as_str())));
    whole
        .map(|preset| PresetChoice {
            name: preset.name().to_owned(),
            scopes: preset.scopes().iter().map(Scope::as_str).collect::<Vec<_>>().join(" "),
        })
        .collect()
}

/// The scopes that are offered, and those that are chosen already, under their headings.
fn groups(visit: &Visit, offered: &ScopeSet, chosen: &[String]) -> Vec<ScopeGroup> {
    let catalog = visit.console.hallpass().catalog();
    let always: Vec<&str> = catalog.always().map(Scope::as_str).collect();
    let mut groups: Vec<ScopeGroup> = Vec::new();
    for declared in catalog.iter() {
        let name = declared.scope().as_str();
        let checked = chosen.iter().any(|scope| scope == name);
        if always.contains(&name) || !(checked || offered.grants(name)) {
            continue;
        }
        let implied = declared.closure();
        let implied = implied.iter().map(Scope::as_str).filter(|scope| *scope != name);
        let choice = ScopeChoice {
            name: name.to_owned(),
            title: declared.title().to_owned(),
            description: declared.description().to_owned(),
            implies: implied.collect::<Vec<_>>().join(", "),
            checked,
        };
        let title = match declared.group() {
            "" => &*visit.console.texts.scope_group,
            group => group,
        };
        match groups.iter_mut().find(|group| group.title == title) {
            Some(group) => group.scopes.push(choice),
            None => groups.push(ScopeGroup { title: title.to_owned(), scopes: vec![choice] }),
        }
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_has_one_spelling_and_lasts_to_its_end() {
        let end = last_moment("2026-12-04").unwrap();
        assert_eq!(end.to_rfc3339(), "2026-12-04T23:59:59+00:00");
        for text in ["", "2026-2-4", "2026-02-30", "04.12.2026", "+2026-12-4", "2026-12-04T00:00"] {
            assert_eq!(last_moment(text), None, "{text}");
        }
    }

    #[test]
    fn lifetimes_outside_policy_are_not_offered() {
        let t = Texts::english();
        let policy = Policy { max_lifetime: TimeDelta::days(60), ..Policy::default() };
        let values = |policy: &Policy, chosen: &str, keep| {
            let now = Timestamp::MIN;
            let choices = expiries(policy, (&t, now), chosen, keep);
            choices.into_iter().map(|choice| choice.value).collect::<Vec<_>>()
        };
        assert_eq!(values(&policy, "30", None), ["7", "30", "60", "date"]);
        assert_eq!(values(&policy, "45", None), ["7", "30", "45", "60", "date"]);
        let odd = Policy { default_lifetime: TimeDelta::hours(12), allow_never: true, ..policy };
        assert_eq!(
            values(&odd, "keep", Some("Keep".to_owned())),
            ["keep", "default", "7", "30", "60", "date", "never"]
        );
    }
}
