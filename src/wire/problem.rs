//! What is wrong, as RFC 9457 tells it.

use serde::{Deserialize, Serialize};

use crate::token::TokenId;

/// What is wrong with a request (RFC 9457, `application/problem+json`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[cfg_attr(feature = "api", derive(utoipa::ToSchema))]
#[error("{detail}")]
pub struct Problem {
    /// A stable name of the problem, a URN that ends with `code`.
    #[serde(rename = "type")]
    pub type_uri: String,
    /// The stable name, short.
    #[serde(default)]
    pub code: String,
    /// A few words for people.
    pub title: String,
    /// The status of the response.
    pub status: u16,
    /// One sentence for people that says what to do.
    #[serde(default)]
    pub detail: String,
    /// What is wrong with single members of the body or parameters of the query.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldProblem>,
    /// The token that is in the way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "api", schema(value_type = Option<String>, nullable = false))]
    pub conflicts_with: Option<TokenId>,
}

/// What is wrong with one member of a body, or one parameter of a query.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "api", derive(utoipa::ToSchema))]
pub struct FieldProblem {
    /// Which member, as a JSON Pointer (RFC 6901); empty for the whole body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "api", schema(nullable = false))]
    pub pointer: Option<String>,
    /// Which parameter of the query.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "api", schema(nullable = false))]
    pub parameter: Option<String>,
    /// A stable name of what is wrong.
    pub code: String,
    /// One sentence for people.
    pub detail: String,
}
