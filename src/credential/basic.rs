//! A token in `Authorization: Basic` (RFC 7617).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::problem::Problem;

/// The password of clients that send the token as user name.
const NO_PASSWORD: &str = "x-oauth-basic";

/// The text presented as a token in what follows the scheme word.
///
/// What cannot be read is presented as no text at all, so that its refusal is the engine's as for
/// every other text. A password that is no token is looked at and forgotten like any bad token.
pub(super) fn token(
    rest: &[u8],
    recognises: impl Fn(&str) -> bool,
) -> Result<Zeroizing<String>, Problem> {
    let Some((user, password)) = rest.strip_prefix(b" ").and_then(decode) else {
        return Ok(Zeroizing::default());
    };
    match (recognises(&user), recognises(&password)) {
        (true, true) => Err(Problem::SeveralCredentials),
        (true, false) if password.is_empty() || *password == NO_PASSWORD => Ok(user),
        _ => Ok(password),
    }
}

/// User and password. The alphabet is the standard one, with canonical padding.
fn decode(payload: &[u8]) -> Option<(Zeroizing<String>, Zeroizing<String>)> {
    let mut bytes = Zeroizing::new(vec![0; base64::decoded_len_estimate(payload.len())]);
    let len = STANDARD.decode_slice(payload, &mut bytes).ok()?;
    let text = std::str::from_utf8(bytes.get(..len)?).ok()?;
    let (user, password) = text.split_once(':')?;
    Some((Zeroizing::new(user.to_owned()), Zeroizing::new(password.to_owned())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(payload: &str) -> Option<(String, String)> {
        decode(payload.as_bytes()).map(|(user, password)| (user.to_string(), password.to_string()))
    }

    #[test]
    fn the_first_colon_ends_the_user() {
        assert_eq!(decoded("YTpiOmM="), Some(("a".into(), "b:c".into())));
        assert_eq!(decoded("Og=="), Some((String::new(), String::new())));
    }

    #[test]
    fn one_spelling_of_base64_is_read() {
        for payload in ["QR==", "YTpi\n", "YTpiYg", "YTpiYg=", "_-8=", " YTpi", "YT pi", "", "YQ=="]
        {
            assert_eq!(decoded(payload), None, "{payload:?}");
        }
        // FF FE 3A is not UTF-8.
        assert_eq!(decoded("//46"), None);
    }
}
