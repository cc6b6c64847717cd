//! A token in the query of the URI.

use http::Uri;
use http::uri::PathAndQuery;
use zeroize::Zeroizing;

use super::problem::Problem;

/// What was taken out of a URI. It has no `Debug`, since it holds the text.
#[derive(Default)]
pub(super) struct Taken {
    /// How many parameters had the name.
    pub(super) count: usize,
    /// The value of the last one, as it was spelled.
    pub(super) value: Zeroizing<String>,
}

/// Takes every parameter of this exact name out of the URI. Names and values are compared and
/// kept as they are spelled; `&` alone separates parameters.
pub(super) fn take(uri: &mut Uri, name: &str) -> Result<Taken, Problem> {
    let mut taken = Taken::default();
    let Some(query) = uri.query() else {
        return Ok(taken);
    };
    let mut kept = Zeroizing::new(String::with_capacity(uri.path().len() + 1 + query.len()));
    kept.push_str(uri.path());
    let mut separator = '?';
    for parameter in query.split('&') {
        let (key, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        if key == name {
            taken.count += 1;
            taken.value = Zeroizing::new(value.to_owned());
        } else {
            kept.push(separator);
            kept.push_str(parameter);
            separator = '&';
        }
    }
    if taken.count > 0 {
        let mut parts = std::mem::take(uri).into_parts();
        // What is left of a valid query is one; if not, the URI stays the empty one.
        let rest = PathAndQuery::try_from(kept.as_str());
        parts.path_and_query = Some(rest.map_err(|_| Problem::MalformedCredential)?);
        *uri = Uri::from_parts(parts).map_err(|_| Problem::MalformedCredential)?;
    }
    Ok(taken)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(uri: &str) -> (String, usize, String) {
        let mut uri = uri.parse().unwrap();
        let taken = take(&mut uri, "access_token").unwrap();
        (uri.to_string(), taken.count, taken.value.to_string())
    }

    #[test]
    fn the_parameter_is_taken_out_and_the_rest_stays_as_spelled() {
        for (uri, left, count, value) in [
            ("/r?access_token=x", "/r", 1, "x"),
            ("/r?a=1&access_token=x&b=%20", "/r?a=1&b=%20", 1, "x"),
            ("/r?access_token=x&a", "/r?a", 1, "x"),
            ("/r?access_token", "/r", 1, ""),
            ("/r?access_token=", "/r", 1, ""),
            ("/r?access_token=x=y", "/r", 1, "x=y"),
            ("/r?access_token=x&access_token=y", "/r", 2, "y"),
            ("/r?a&&access_token=x", "/r?a&", 1, "x"),
            ("http://h:1/r?access_token=x&a=1", "http://h:1/r?a=1", 1, "x"),
        ] {
            assert_eq!(after(uri), (left.to_owned(), count, value.to_owned()), "{uri}");
        }
    }

    #[test]
    fn other_names_and_spellings_are_not_the_parameter() {
        for uri in [
            "/r",
            "/r?",
            "/r?Access_Token=x",
            "/r?access%5Ftoken=x",
            "/r?a=1;access_token=x",
            "/r?xaccess_token=x",
            "/access_token=x",
            "*",
        ] {
            assert_eq!(after(uri), (uri.to_owned(), 0, String::new()), "{uri}");
        }
    }
}
