//! The OpenAPI 3.1 document, written from the table of routes and the types of the JSON.

use bytes::Bytes;
use utoipa::ToSchema;
use utoipa::openapi::header::HeaderBuilder;
use utoipa::openapi::link::LinkBuilder;
use utoipa::openapi::path::{
    Operation as Described, OperationBuilder, Parameter, ParameterBuilder, ParameterIn,
    ParameterStyle, PathsBuilder,
};
use utoipa::openapi::request_body::RequestBodyBuilder;
use utoipa::openapi::schema::{
    AdditionalProperties, ArrayBuilder, ObjectBuilder, SchemaFormat, SchemaType, Type,
};
use utoipa::openapi::security::{
    ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme,
};
use utoipa::openapi::{
    ComponentsBuilder, Content, Header, HttpMethod, InfoBuilder, KnownFormat, OpenApiBuilder,
    PathItem, Ref, RefOr, Required, Response, ResponseBuilder, Schema, ServerBuilder,
};

use super::answer::{JSON, PROBLEM_JSON};
use super::refine::refine;
use super::route::{Access, Body, Operation, ROUTES, Route};
use crate::credential::Problem as Refused;
use crate::host::{Host, MountPath};
use crate::token::{Kind, Status};
use crate::wire::{self, Sort};

const SESSION: &str = "session";
const CSRF: &str = "csrf";
const TOKEN: &str = "token";

/// The document as JSON.
///
/// # Errors
/// It cannot be written.
pub(super) fn written(
    host: &Host,
    mount: &MountPath,
    session_cookie: &str,
) -> Result<Bytes, serde_json::Error> {
    let brand = host.hallpass().brand();
    let info = InfoBuilder::new()
        .title(format!("Access tokens of {brand}"))
        .version("1")
        .description(Some(DESCRIPTION));
    let paths = ROUTES.iter().fold(PathsBuilder::new(), |paths, route| {
        paths.path(route.path, PathItem::new(method(route), described(route)))
    });
    let server =
        ServerBuilder::new().url(if mount.as_str().is_empty() { "/" } else { mount.as_str() });
    let document = OpenApiBuilder::new()
        .info(info.build())
        .servers(Some([server.build()]))
        .paths(paths)
        .components(Some(components(session_cookie).build()))
        .build();
    let mut document = serde_json::to_value(&document)?;
    refine(&mut document, host.hallpass());
    serde_json::to_vec(&document).map(Bytes::from)
}

const DESCRIPTION: &str = "Personal access tokens: issue, list, edit, copy, rotate, suspend, revoke. \
Whoever is signed in to the app manages their own tokens; administrators manage all. Requests that \
change something must come from the app's own pages, or carry the session's CSRF token. Bodies are \
JSON of at most 64 KiB and 16 levels, without unknown or repeated members. Problems are RFC 9457, \
with a stable `code`.";

fn components(session_cookie: &str) -> ComponentsBuilder {
    let mut schemas = Vec::new();
    fn add<T: ToSchema>(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.push((T::name().into_owned(), T::schema()));
        T::schemas(schemas);
    }
    add::<wire::Session>(&mut schemas);
    add::<wire::ConfirmSession>(&mut schemas);
    add::<wire::Catalog>(&mut schemas);
    add::<wire::Policy>(&mut schemas);
    add::<wire::NewToken>(&mut schemas);
    add::<wire::Edit>(&mut schemas);
    add::<wire::Rotate>(&mut schemas);
    add::<wire::Revoke>(&mut schemas);
    add::<wire::Revoked>(&mut schemas);
    add::<wire::Issued>(&mut schemas);
    add::<wire::Page>(&mut schemas);
    add::<wire::Own>(&mut schemas);
    add::<wire::Check>(&mut schemas);
    add::<wire::Checked>(&mut schemas);
    add::<wire::Lookup>(&mut schemas);
    add::<wire::Found>(&mut schemas);
    add::<wire::Problem>(&mut schemas);
    let key =
        |name: &str, says: &str| ApiKeyValue::with_description(name.to_owned(), says.to_owned());
    let session = "The app's own session; signing in is the app's own affair";
    let csrf = "The `csrf_token` of `GET /session`. Not needed where the browser says that the \
                request is of the same origin";
    let token = HttpBuilder::new().scheme(HttpAuthScheme::Bearer).description(Some("A token"));
    ComponentsBuilder::new()
        .schemas_from_iter(schemas)
        .security_scheme(
            SESSION,
            SecurityScheme::ApiKey(ApiKey::Cookie(key(session_cookie, session))),
        )
        .security_scheme(CSRF, SecurityScheme::ApiKey(ApiKey::Header(key("X-CSRF-Token", csrf))))
        .security_scheme(TOKEN, SecurityScheme::Http(token.build()))
}

fn method(route: &Route) -> HttpMethod {
    match route.method.as_str() {
        "POST" => HttpMethod::Post,
        "PATCH" => HttpMethod::Patch,
        "DELETE" => HttpMethod::Delete,
        _ => HttpMethod::Get,
    }
}

fn described(route: &Route) -> Described {
    let mut operation = OperationBuilder::new()
        .operation_id(Some(operation_id(route)))
        .summary(Some(route.summary))
        .tag(match route.access {
            Access::Public | Access::Session => "session",
            Access::Administrator => "administrator",
            Access::Token => "token",
        });
    for parameter in parameters(route) {
        operation = operation.parameter(parameter);
    }
    let body = match route.body {
        Body::None => None,
        Body::Optional(schema) => Some((schema, Required::False)),
        Body::Required(schema) => Some((schema, Required::True)),
    };
    if let Some((schema, required)) = body {
        let content = Content::new(Some(reference(schema)));
        let body = RequestBodyBuilder::new().content(JSON, content).required(Some(required));
        operation = operation.request_body(Some(body.build()));
    }
    for (status, says, schema) in route.success {
        operation = operation.response(status.to_string(), success(route, *status, says, *schema));
    }
    for (status, response) in problems(route) {
        operation = operation.response(status.to_string(), response);
    }
    let none: [&str; 0] = [];
    let security = match route.access {
        Access::Public => SecurityRequirement::default(),
        Access::Token => SecurityRequirement::new(TOKEN, none),
        _ if route.changes() => SecurityRequirement::new(SESSION, none).add(CSRF, none),
        _ => SecurityRequirement::new(SESSION, none),
    };
    operation.security(security).build()
}

/// A name for what generates clients: the operation, with whose tokens it is about.
fn operation_id(route: &Route) -> String {
    let whose = if route.access == Access::Administrator { "Any" } else { "" };
    format!("{:?}{whose}", route.operation)
}

fn success(route: &Route, status: u16, says: &str, schema: Option<&str>) -> Response {
    let mut response = ResponseBuilder::new().description(says);
    match schema {
        Some(schema) => response = response.content(JSON, Content::new(Some(reference(schema)))),
        None if route.operation == Operation::Document => {
            let object = ObjectBuilder::new()
                .additional_properties(Some(AdditionalProperties::FreeForm(true)));
            response = response.content(JSON, Content::new(Some(Schema::from(object))));
        }
        None => {}
    }
    let tagged = matches!(schema, Some("Token" | "Issued"));
    if tagged {
        response = response.header("ETag", header("The version, for `If-Match`"));
    }
    if status == 201 {
        response = response.header("Location", header("Where the token is"));
    }
    if schema == Some("Issued") && route.access == Access::Session {
        for operation in ["Read", "Edit", "Revoke", "Rotate", "Suspend", "Resume"] {
            let link = LinkBuilder::new()
                .operation_id(operation)
                .parameter("id", "$response.body#/token/id")
                .build();
            response = response.link(operation, RefOr::T(link));
        }
    }
    response.build()
}

fn header(says: &str) -> Header {
    let text = ObjectBuilder::new().schema_type(Type::String);
    HeaderBuilder::new().schema(Some(Schema::from(text))).description(Some(says)).build()
}

/// Every status that a problem of this route can have.
fn problems(route: &Route) -> Vec<(u16, Response)> {
    let mut told: Vec<(u16, String, String)> = route
        .codes()
        .iter()
        .map(|code| (code.status().as_u16(), code.as_str().to_owned(), code.title().to_owned()))
        .collect();
    if route.access == Access::Token {
        told.extend(refused_tokens());
    }
    let mut statuses: Vec<u16> = told.iter().map(|(status, ..)| *status).collect();
    statuses.sort_unstable();
    statuses.dedup();
    let response = |status: u16| {
        let mut lines: Vec<String> = told
            .iter()
            .filter(|(own, ..)| *own == status)
            .map(|(_, code, title)| format!("`{code}`: {title}"))
            .collect();
        lines.sort();
        lines.dedup();
        let mut response = ResponseBuilder::new()
            .description(lines.join("; "))
            .content(PROBLEM_JSON, Content::new(Some(reference("Problem"))));
        response = match status {
            401 => response.header("WWW-Authenticate", header("How to authenticate")),
            429 | 503 => {
                response.header("Retry-After", header("After how many seconds to try again"))
            }
            _ => response,
        };
        (status, response.build())
    };
    statuses.into_iter().map(response).collect()
}

/// What the boundary says of tokens.
fn refused_tokens() -> impl Iterator<Item = (u16, String, String)> {
    let never = [
        Refused::InsufficientScope,
        Refused::NoRequirement,
        Refused::TooManyRequests,
        Refused::NotGuarded,
    ];
    Refused::ALL.into_iter().filter(move |problem| !never.contains(problem)).map(|problem| {
        let code = problem.type_uri().trim_start_matches("urn:hallpass:problem:");
        (problem.status().as_u16(), code.to_owned(), problem.title().to_owned())
    })
}

fn reference(schema: &str) -> RefOr<Schema> {
    RefOr::Ref(Ref::from_schema_name(schema))
}

fn parameters(route: &Route) -> Vec<Parameter> {
    let mut parameters = Vec::new();
    if route.has_id() {
        let id = text().pattern(Some("^[0-9A-Za-z]{16}$"));
        parameters.push(parameter(("id", ParameterIn::Path), "The token's public id", id));
    }
    if route.operation == Operation::List {
        parameters.extend(list_parameters(route.access == Access::Administrator));
    }
    if route.operation == Operation::Create {
        let says = "Any text; with the same one the same request makes no second token";
        let key = text().min_length(Some(1)).max_length(Some(255)).pattern(Some("^[ -~]+$"));
        parameters.push(parameter(("Idempotency-Key", ParameterIn::Header), says, key));
    }
    if route.takes_if_match() {
        let says = "The token's `ETag`, or `*`";
        let tag = text().pattern(Some("^(\\*|\"[0-9]{1,20}\")$"));
        let if_match =
            ParameterBuilder::from(parameter(("If-Match", ParameterIn::Header), says, tag));
        parameters.push(if_match.required(Required::True).build());
    }
    parameters
}

fn list_parameters(administrator: bool) -> Vec<Parameter> {
    let query = |name: &str, says: &str, schema: ObjectBuilder| {
        parameter((name, ParameterIn::Query), says, schema)
    };
    let instant = || text().format(Some(SchemaFormat::KnownFormat(KnownFormat::DateTime)));
    let sorts =
        Sort::ALL.iter().flat_map(|sort| [sort.as_str().to_owned(), format!("-{}", sort.as_str())]);
    let mut all = vec![
        words(
            "status",
            "Only these statuses, comma-separated; all but `revoked` unless given",
            &Status::ALL.map(Status::as_str),
        ),
        words(
            "kind",
            "Only these kinds, comma-separated; `pat` and `app` unless given",
            &Kind::ALL.map(Kind::as_str),
        ),
        query(
            "q",
            "Only tokens whose name, description or id contains this text, whatever its case",
            text().min_length(Some(2)).max_length(Some(100)),
        ),
        query(
            "scope",
            "Only tokens to which this very scope was granted",
            text().pattern(Some("^[!#-\\[\\]-~]{1,128}$")),
        ),
        query("created_before", "Only tokens issued before this instant", instant()),
        query("expires_from", "Only tokens that end at or after this instant", instant()),
        query("expires_before", "Only tokens that end before this instant", instant()),
        query("unused_since", "Only tokens last used before this instant, or never", instant()),
        query(
            "client",
            "Only tokens of this client",
            text().min_length(Some(1)).max_length(Some(256)),
        ),
        query(
            "family",
            "Only this token and what was made from it",
            text().pattern(Some("^[0-9A-Za-z]{16}$")),
        ),
        query(
            "sort",
            "By what to sort; a minus sign turns the order round",
            text().enum_values(Some(sorts)),
        ),
        query(
            "limit",
            "Tokens a page",
            ObjectBuilder::new()
                .schema_type(SchemaType::Type(Type::Integer))
                .minimum(Some(1))
                .maximum(Some(100))
                .default(Some(25.into())),
        ),
        query("cursor", "What the page before gave as `next`", text().max_length(Some(4096))),
    ];
    if administrator {
        all.push(query(
            "owner",
            "Only tokens of this owner",
            text().min_length(Some(1)).max_length(Some(128)),
        ));
        all.push(query(
            "tenant",
            "Only tokens of this tenant",
            text().min_length(Some(1)).max_length(Some(128)),
        ));
    }
    all
}

fn text() -> ObjectBuilder {
    ObjectBuilder::new().schema_type(Type::String)
}

fn parameter((name, place): (&str, ParameterIn), says: &str, schema: ObjectBuilder) -> Parameter {
    let required = if place == ParameterIn::Path { Required::True } else { Required::False };
    ParameterBuilder::new()
        .name(name)
        .parameter_in(place)
        .required(required)
        .description(Some(says))
        .schema(Some(Schema::from(schema)))
        .build()
}

/// A parameter that takes some of these words, comma-separated.
fn words(name: &str, says: &str, words: &[&'static str]) -> Parameter {
    let word = text().enum_values(Some(words.iter().copied()));
    let list = ArrayBuilder::new().items(word).min_items(Some(1));
    ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Query)
        .description(Some(says))
        .style(Some(ParameterStyle::Form))
        .explode(Some(false))
        .schema(Some(Schema::from(list)))
        .build()
}
