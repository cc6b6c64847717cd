//! What stands around every page.

use super::builder::{Look, Site};
use super::fault::Fault;
use super::icon;
use super::notice::Notice;
use super::texts::Texts;
use crate::host::{Administers, SignedIn};

/// What every page knows.
pub(super) struct Shell<'a> {
    console: &'a Site,
    who: Option<&'a SignedIn>,
    csrf: String,
    notice: Option<Notice>,
    pub(super) t: &'a Texts,
    pub(super) look: &'a Look,
    pub(super) section: &'static str,
}

impl<'a> Shell<'a> {
    /// Around a page for nobody in particular.
    pub(super) fn bare(console: &'a Site, who: Option<&'a SignedIn>) -> Self {
        let (t, look) = (&console.texts, &console.look);
        Self { console, who, csrf: String::new(), notice: None, t, look, section: "" }
    }

    /// Around a page with forms.
    pub(super) fn new(
        console: &'a Site,
        who: &'a SignedIn,
        section: &'static str,
    ) -> Result<Self, Fault> {
        let csrf = console.host.csrf_token(who).map_err(|_| Fault::Unavailable)?;
        Ok(Self { csrf, section, ..Self::bare(console, Some(who)) })
    }

    /// With a notice of the step before.
    pub(super) fn with_notice(mut self, notice: Option<Notice>) -> Self {
        self.notice = notice;
        self
    }

    pub(super) fn notice(&self) -> Option<String> {
        self.notice.as_ref().map(|notice| notice.text(self.t))
    }

    pub(super) fn csrf(&self) -> &str {
        &self.csrf
    }

    pub(super) fn account(&self) -> Option<&str> {
        self.who.map(SignedIn::name)
    }

    pub(super) fn is_admin(&self) -> bool {
        self.who.is_some_and(|who| *who.administered() != Administers::Nothing)
    }

    /// The path of the list of one's own tokens.
    pub(super) fn home(&self) -> &str {
        match self.console.mount.as_str() {
            "" => "/",
            mount => mount,
        }
    }

    /// The path of a page.
    pub(super) fn url(&self, below: &str) -> String {
        self.console.mount.join(below)
    }

    pub(super) fn css(&self) -> String {
        self.url(&self.console.css.path)
    }

    pub(super) fn js(&self) -> String {
        self.url(&self.console.js.path)
    }

    #[expect(clippy::unused_self, reason = "templates reach it through the shell")]
    pub(super) fn icon(&self, name: &str) -> &'static str {
        icon::svg(name)
    }
}
