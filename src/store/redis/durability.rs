//! Whether a server keeps what it has acknowledged.

use std::collections::HashMap;

use redis::{FromRedisValue as _, Value};

use super::link::Link;
use crate::store::StoreError;

/// The settings under which an acknowledged step survives a crash of the server.
const REQUIRED: [(&str, &str); 3] =
    [("appendonly", "yes"), ("appendfsync", "always"), ("maxmemory-policy", "noeviction")];

/// Refuses a server, or a cluster any node of which, may lose what it has acknowledged.
pub(super) async fn check(link: &Link) -> Result<(), StoreError> {
    let mut reasons = Vec::new();
    for (setting, required) in REQUIRED {
        let mut command = redis::cmd("CONFIG");
        command.arg("GET").arg(setting);
        let answers = link.everywhere(&command).await.map_err(|error| match error {
            StoreError::Unavailable(cause) => refusal(&format!(
                "its settings cannot be read ({cause}), and what is not known is not relied on"
            )),
            error => error,
        })?;
        for answer in answers {
            let settings = HashMap::<String, String>::from_redis_value(answer);
            let found = settings.ok().and_then(|mut settings| settings.remove(setting));
            let found = found.unwrap_or_else(|| "not known".to_owned());
            let reason = format!("`{setting}` is `{found}`, not `{required}`");
            if found != required && !reasons.contains(&reason) {
                reasons.push(reason);
            }
        }
    }
    if link.replicas == 0 && has_replicas(link).await? {
        let reason = "a replica that takes over may lack changes, as none is waited for";
        reasons.push(reason.to_owned());
    }
    if reasons.is_empty() { Ok(()) } else { Err(refusal(&reasons.join("; "))) }
}

/// Whether a server says that it follows no other one (`INFO replication`).
pub(super) fn is_master(told: Value) -> bool {
    let told = String::from_redis_value(told).unwrap_or_default();
    told.lines().any(|line| line.trim() == "role:master")
}

async fn has_replicas(link: &Link) -> Result<bool, StoreError> {
    let has_some = |answer: Value| {
        let text = String::from_redis_value(answer).unwrap_or_default();
        let connected = text.lines().find_map(|line| line.strip_prefix("connected_slaves:"));
        connected.is_some_and(|number| number.trim() != "0")
    };
    Ok(link.everywhere(redis::cmd("INFO").arg("replication")).await?.into_iter().any(has_some))
}

fn refusal(reason: &str) -> StoreError {
    StoreError::unavailable(format!(
        "the server may lose acknowledged revocations: {reason} \
         (RedisOptions::danger_allow_lossy accepts that)"
    ))
}
