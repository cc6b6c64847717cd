//! The fairing.

use std::fmt;
use std::net::IpAddr;

use ::rocket::fairing::{Fairing, Info, Kind, Result};
use ::rocket::{Build, Data, Orbit, Phase, Request, Response, Rocket, Route};
use async_trait::async_trait;
use http::{HeaderMap, HeaderValue};

use super::seen::Seen;
use crate::credential::{Boundary, Duties};

/// Mounts [`GuardedRoutes`](super::GuardedRoutes) and looks at requests before they are routed.
pub struct GuardFairing {
    pub(super) boundary: Boundary,
    pub(super) peer: fn(&Request<'_>) -> Option<IpAddr>,
    pub(super) mounts: Vec<(String, Vec<Route>)>,
    pub(super) others_are_public: bool,
}

impl GuardFairing {
    pub(super) fn new(boundary: Boundary, peer: fn(&Request<'_>) -> Option<IpAddr>) -> Self {
        Self { boundary, peer, mounts: Vec::new(), others_are_public: false }
    }
}

impl fmt::Debug for GuardFairing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GuardFairing")
            .field("boundary", &self.boundary)
            .field("mounts", &self.mounts)
            .field("others_are_public", &self.others_are_public)
            .finish_non_exhaustive()
    }
}

/// How many routes a Rocket may have; in its state.
pub(super) struct Mounted(Option<usize>);

impl Mounted {
    /// Whether every route of a Rocket was mounted by the fairing, or the app wants it otherwise.
    pub(super) fn is_all_of<P: Phase>(rocket: &Rocket<P>) -> bool {
        rocket
            .state::<Self>()
            .is_some_and(|mounted| mounted.0.is_none_or(|count| rocket.routes().count() == count))
    }
}

#[async_trait]
impl Fairing for GuardFairing {
    fn info(&self) -> Info {
        Info {
            name: "hallpass: guarded routes",
            kind: Kind::Ignite | Kind::Liftoff | Kind::Request | Kind::Response,
        }
    }

    async fn on_ignite(&self, mut rocket: Rocket<Build>) -> Result {
        if rocket.state::<Mounted>().is_some() {
            log::error!("hallpass: more than one fairing of guarded routes is attached");
            return Err(rocket);
        }
        if !self.others_are_public && rocket.routes().next().is_some() {
            for route in rocket.routes() {
                log::error!(
                    "hallpass: {route} does not say what it asks for; mount it with \
                     GuardedRoutes::mount, or ::public"
                );
            }
            return Err(rocket);
        }
        for (base, routes) in &self.mounts {
            rocket = rocket.mount(base.as_str(), routes.clone());
        }
        let count = (!self.others_are_public).then(|| rocket.routes().count());
        Ok(rocket.manage(Mounted(count)))
    }

    /// What fairings after this one mounted is found before Rocket accepts a connection.
    async fn on_liftoff(&self, rocket: &Rocket<Orbit>) {
        if !Mounted::is_all_of(rocket) {
            log::error!("hallpass: a fairing mounted routes that do not say what they ask for");
            rocket.shutdown().notify();
        }
    }

    async fn on_request(&self, request: &mut Request<'_>, _: &mut Data<'_>) {
        let peer = (self.peer)(request);
        Seen::note(&self.boundary, request, peer);
    }

    async fn on_response<'r>(&self, request: &'r Request<'_>, response: &mut Response<'r>) {
        if let Some(duties) = Seen::of(request).and_then(Seen::duties) {
            apply(duties, response);
        }
    }
}

/// Makes a response private to whom it was made for.
fn apply(duties: &Duties, response: &mut Response<'_>) {
    let mut lines = HeaderMap::new();
    for name in Duties::HEADERS {
        for value in response.headers().get(name.as_str()) {
            // What cannot be sent is not kept.
            if let Ok(value) = HeaderValue::from_bytes(value.as_bytes()) {
                lines.append(name.clone(), value);
            }
        }
        response.remove_header(name.as_str());
    }
    duties.apply(&mut lines);
    for (name, value) in &lines {
        if let Ok(value) = std::str::from_utf8(value.as_bytes()) {
            response.adjoin_raw_header(name.as_str().to_owned(), value.to_owned());
        }
    }
}
