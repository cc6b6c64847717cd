//! A curl line for every route, ready to be pasted, in an order in which each works.

use super::accounts::PEOPLE;
use super::oauth::{self, Registered};

/// One line of the guide.
#[derive(Debug)]
pub(crate) struct Step {
    /// What it shows.
    pub(crate) title: &'static str,
    /// What to paste.
    pub(crate) command: String,
    /// The status it answers with.
    pub(crate) status: u16,
}

/// Reads one text field of the JSON on standard input.
pub(crate) const FIELD: &str = r#"field() { sed -n 's/.*"'"$1"'":"\([^"]*\)".*/\1/p'; }"#;

/// The guide to a demo at this address (`http://…`, no slash at the end).
pub(crate) fn steps(address: &str, passwords: &[String; 4], registered: &Registered) -> Vec<Step> {
    let mut users = PEOPLE.iter().zip(passwords).map(|((name, ..), password)| {
        let user = format!("{name}:{password}");
        format!("-u {}", quoted(&user))
    });
    let mut user = || users.next().unwrap_or_default();
    let (alice, _bob, root, carol) = (user(), user(), user(), user());
    let [password, ..] = passwords;
    let pair = quoted(&format!("password={password}"));
    let json = "-H 'Content-Type: application/json'";
    let url = |path: &str| format!("{address}{path}");
    let keep =
        |name: &str, curl: String| keep(&curl, &[(name, "token"), (&format!("{name}_ID"), "id")]);
    let step = |title, status, command| Step { title, status, command };

    let tokens = url("/api/gateway/v1/tokens/");
    let mut steps = vec![
        step("ready?", 200, format!("curl -s {}", url("/healthz"))),
        step(
            "automation platform: make a token",
            201,
            keep(
                "AUTO",
                format!(
                    "curl -s -X POST {tokens} {alice} {json} \
                     -d '{{\"description\":\"CI\",\"scope\":\"write\"}}'"
                ),
            ),
        ),
        step("list them", 200, format!("curl -s {tokens} {alice}")),
        step("every owner's, as root", 200, format!("curl -s {tokens} {root}")),
        step("show one", 200, format!("curl -s {tokens}$AUTO_ID/ {alice}")),
        step(
            "narrow it to reading",
            200,
            format!(
                "curl -s -X PATCH {tokens}$AUTO_ID/ {alice} {json} -d '{{\"scope\":\"read\"}}'"
            ),
        ),
        step(
            "use it",
            200,
            format!(
                "curl -s {} -H \"Authorization: Bearer $AUTO\"",
                url("/api/gateway/v1/applications/")
            ),
        ),
        step(
            "whom it speaks for",
            200,
            format!("curl -s {} -H \"Authorization: Bearer $AUTO\"", url("/me")),
        ),
        step("delete it", 204, format!("curl -s -X DELETE {tokens}$AUTO_ID/ {alice}")),
    ];

    let releases = url("/api/v1/releases");
    let tokens = url("/api/v1/tokens");
    steps.extend([
        step(
            "release tool: make a token",
            201,
            keep(
                "REL",
                format!(
                    "curl -s -X POST {tokens} {alice} {json} \
                     -d '{{\"name\":\"deploy\",\"scopes\":[\"release:write\",\"webhook\"]}}'"
                ),
            ),
        ),
        step(
            "carol signs in elsewhere and gets none",
            403,
            format!(
                "curl -s -X POST {tokens} {carol} {json} \
                 -d '{{\"name\":\"mine\",\"scopes\":[\"release:read\"]}}'"
            ),
        ),
        step("use it as a password", 200, format!("curl -s {releases} -u \":$REL\"")),
        step(
            "in its own header",
            200,
            format!("curl -s {releases} -H \"x-release-personal-token: $REL\""),
        ),
        step(
            "as a bearer token",
            200,
            format!("curl -s {releases} -H \"Authorization: Bearer $REL\""),
        ),
        step(
            "start a release, which needs more than reading",
            201,
            format!("curl -s -X POST {releases} -u \":$REL\" {json} -d '{{\"name\":\"1.0\"}}'"),
        ),
        step(
            "trigger a webhook",
            200,
            format!(
                "curl -s -X POST {} -H \"x-release-webhook-token: $REL\"",
                url("/webhooks/build")
            ),
        ),
        step("list them", 200, format!("curl -s {tokens} {alice}")),
        step("delete it", 204, format!("curl -s -X DELETE {tokens}/$REL_ID {alice}")),
    ]);

    let manage = url("/1.0/users/authentication/rest");
    let control = url("/1.0/environment/control/rest");
    steps.extend([
        step(
            "hosting platform: make a token for single API methods",
            200,
            keep(
                "HOST",
                format!(
                    "curl -s -X POST {manage}/createtoken {alice} -d description=stopper \
                     -d apiList=environment.control.stopenv,environment.control.startenv"
                ),
            ),
        ),
        step(
            "or for a preset, with the password in the form and an expiry",
            200,
            format!(
                "curl -s -X POST {manage}/createtoken -d login=alice --data-urlencode {pair} \
                 -d description=ide --data-urlencode 'tokenTemplate=IDE Plugins' \
                 -d expiresAt=$(date -d '+30 days' +%d-%m-%Y 2>/dev/null || date -v+30d +%d-%m-%Y)"
            ),
        ),
        step(
            "stop an environment",
            200,
            format!("curl -s \"{control}/stopenv?envName=shop&session=$HOST\""),
        ),
        step(
            "delete one, which the token may not",
            200,
            format!("curl -s \"{control}/deleteenv?envName=shop&session=$HOST\""),
        ),
        step(
            "make the old value invalid",
            200,
            keep(
                "HOST",
                format!("curl -s -X POST {manage}/regeneratetoken {alice} -d id=$HOST_ID"),
            ),
        ),
        step(
            "copy it",
            200,
            keep(
                "COPY",
                format!(
                    "curl -s -X POST {manage}/copytoken {alice} -d id=$HOST_ID \
                     -d description=another"
                ),
            ),
        ),
        step(
            "remove both",
            200,
            format!("curl -s -X POST {manage}/removetokens {alice} -d ids=$HOST_ID,$COPY_ID"),
        ),
    ]);

    let pats = url("/api/playground/v1/pats");
    steps.extend([
        step(
            "developer playground: make a token",
            201,
            keep(
                "PLAY",
                format!("curl -s -X POST {pats} {alice} {json} -d '{{\"name\":\"laptop\"}}'"),
            ),
        ),
        step(
            "log in with it",
            200,
            format!(
                "SESSION=$(curl -s -X POST {} -H \"Authorization: Bearer $PLAY\"); \
                 echo \"$SESSION\"; SESSION=$(echo \"$SESSION\" | field access_token)",
                url("/api/playground/v1/login")
            ),
        ),
        step(
            "use the session",
            200,
            format!("curl -s {} -H \"Authorization: Bearer $SESSION\"", url("/me")),
        ),
        step("list them", 200, format!("curl -s {pats} {alice}")),
        step("delete it by name", 204, format!("curl -s -X DELETE {pats}/laptop {alice}")),
    ]);

    let tokens = url("/api/data/v1/tokens");
    steps.extend([
        step(
            "data platform: make a token",
            201,
            keep(
                "DATA",
                format!(
                    "curl -s -X POST {tokens} {alice} {json} \
                     -d '{{\"name\":\"notebook\",\"scopes\":[\"credentials\"]}}'"
                ),
            ),
        ),
        step(
            "see the profile, which every token may",
            200,
            format!("curl -s {} -H \"Authorization: Bearer $DATA\"", url("/api/data/v1/profile")),
        ),
        step(
            "exchange it for a short-lived token",
            200,
            format!(
                "SHORT=$(curl -s -X POST {} \
                 -d grant_type=urn:ietf:params:oauth:grant-type:token-exchange \
                 -d subject_token_type=urn:ietf:params:oauth:token-type:access_token \
                 -d \"subject_token=$DATA\"); \
                 echo \"$SHORT\"; SHORT=$(echo \"$SHORT\" | field access_token)",
                url("/api/data/v1/token")
            ),
        ),
        step(
            "fetch credentials with it",
            200,
            format!(
                "curl -s {} -H \"Authorization: Bearer $SHORT\"",
                url("/api/data/v1/credentials")
            ),
        ),
        step("list them", 200, format!("curl -s {tokens} {alice}")),
        step("delete it", 204, format!("curl -s -X DELETE {tokens}/$DATA_ID {alice}")),
    ]);
    steps.extend(oauth::steps(address, &alice, registered));
    steps
}

/// Shows the answer of a command and remembers fields of it: variable and field.
pub(crate) fn keep(command: &str, fields: &[(&str, &str)]) -> String {
    let kept = |(name, field): &(&str, &str)| format!("; {name}=$(echo \"$MADE\" | field {field})");
    let kept: String = fields.iter().map(kept).collect();
    format!("MADE=$({command}); echo \"$MADE\"{kept}")
}

/// A text as one word of a POSIX shell.
fn quoted(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b":=._-".contains(&byte);
    if text.bytes().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_cannot_leave_their_word() {
        assert_eq!(quoted("alice:abc"), "alice:abc");
        assert_eq!(quoted("alice:a'b $c"), r"'alice:a'\''b $c'");
    }
}
