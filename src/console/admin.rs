//! The tokens of every owner, for whoever looks after them.

use ::axum::extract::Path;
use ::axum::response::Response;
use askama::Template;
use http::StatusCode;

use super::fault::{Fault, Reason};
use super::router::page;
use super::secret::id_of;
use super::shell::Shell;
use super::token::{View, find, set_aside, show};
use super::visit::{Role, Sent, Visit};

pub(super) async fn list(visit: Visit) -> Result<Response, Fault> {
    super::list::list(&visit, Role::Administrator).await
}

pub(super) async fn token(visit: Visit, Path(id): Path<String>) -> Result<Response, Fault> {
    let token = find(&visit, Role::Administrator, &id).await?;
    show(&visit, Role::Administrator, &token, View::of(&token)).await
}

pub(super) async fn suspend(Path(id): Path<String>, sent: Sent) -> Result<Response, Fault> {
    set_aside(&sent, Role::Administrator, &id, true).await
}

pub(super) async fn resume(Path(id): Path<String>, sent: Sent) -> Result<Response, Fault> {
    set_aside(&sent, Role::Administrator, &id, false).await
}

#[derive(Template)]
#[template(path = "found.html")]
struct Found<'a> {
    s: Shell<'a>,
    title: String,
    lead: String,
}

/// Tells whose token a text is, be it a visible id, as lists show it or the last part of that, or
/// the whole text. The text is in the body of the request, and goes no further.
pub(super) async fn whose(sent: Sent) -> Result<Response, Fault> {
    sent.knows_only(&["text"])?;
    let visit = &sent.visit;
    // Whoever is no administrator gets no answer, not even that there is none.
    visit.looking(Role::Administrator)?;
    let text = sent.form.text("text").trim();
    let hallpass = visit.console.hallpass();
    let whole = hallpass.recognises(text);
    let is_good = match whole {
        true => hallpass.introspect(text).await.map_err(|_| Fault::Unavailable)?.is_some(),
        false => false,
    };
    let id = id_of(text).map_or(text.to_owned(), |id| id.to_string());
    let token = match find(visit, Role::Administrator, &id).await {
        Ok(token) => token,
        Err(Fault::Because(Reason::NotFound)) => return nobody(visit),
        Err(fault) => return Err(fault),
    };
    let t = &visit.console.texts;
    let said = whole.then(|| if is_good { &t.whose_live } else { &t.whose_dead });
    let mut view = View::of(&token);
    view.said = said.map(ToString::to_string);
    show(visit, Role::Administrator, &token, view).await
}

fn nobody(visit: &Visit) -> Result<Response, Fault> {
    let s = visit.shell(Role::Administrator)?;
    let found =
        Found { title: s.t.whose_none_title.to_string(), lead: s.t.whose_none_text.to_string(), s };
    Ok(page(StatusCode::NOT_FOUND, &found))
}
