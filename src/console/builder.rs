//! Puts the console together.

use std::sync::Arc;

use ::axum::Router;

use super::assets::Asset;
use super::router;
use super::texts::Texts;
use crate::engine::Hallpass;
use crate::host::{Host, MountPath, ParseMountPathError};

/// The console, ready to be mounted. Cheap to clone; see the [module](super).
#[derive(Debug, Clone)]
pub struct Console(Arc<Site>);

/// The console and all it knows.
#[derive(Debug)]
pub(super) struct Site {
    pub(super) host: Host,
    pub(super) mount: MountPath,
    pub(super) look: Look,
    pub(super) texts: Texts,
    pub(super) css: Asset,
    pub(super) js: Asset,
    pub(super) sign_in_page: Option<String>,
    pub(super) with_resources: bool,
    pub(super) with_tenants: bool,
}

/// What the host puts around every page.
#[derive(Debug)]
pub(super) struct Look {
    pub(super) title: String,
    pub(super) logo: Option<String>,
    pub(super) back: Option<(String, String)>,
}

impl Console {
    /// Starts with the host app.
    #[must_use]
    pub fn builder(host: Host) -> ConsoleBuilder {
        ConsoleBuilder {
            host,
            mount: String::new(),
            look: Look { title: "Tokens".to_owned(), logo: None, back: None },
            texts: Texts::english(),
            css: String::new(),
            sign_in_page: None,
            with_resources: true,
            with_tenants: false,
        }
    }

    /// The routes, to be merged into the app's own.
    pub fn router<S: Clone + Send + Sync + 'static>(&self) -> Router<S> {
        router::routes(Arc::clone(&self.0))
    }

    /// The path of the style sheet, for pages of the host's own that are to look alike.
    #[must_use]
    pub fn stylesheet(&self) -> String {
        self.0.mount.join(&self.0.css.path)
    }
}

impl Site {
    pub(super) fn hallpass(&self) -> &Hallpass {
        self.host.hallpass()
    }
}

/// Collects how the console looks and where it is; see [`Console::builder`].
#[derive(Debug)]
pub struct ConsoleBuilder {
    host: Host,
    mount: String,
    look: Look,
    texts: Texts,
    css: String,
    sign_in_page: Option<String>,
    with_resources: bool,
    with_tenants: bool,
}

impl ConsoleBuilder {
    /// Under which path of the app its pages are, such as `/settings/tokens`; the root unless
    /// given.
    #[must_use]
    pub fn mounted_at(mut self, path: impl Into<String>) -> Self {
        self.mount = path.into();
        self
    }

    /// What stands at the top of every page: the name of the app.
    #[must_use]
    pub fn title(mut self, title: impl Into<String>) -> Self {
        self.look.title = title.into();
        self
    }

    /// A picture beside the title, as an `<svg>` element without styles or scripts of its own. It
    /// is put into the pages as it is, so it must be the app's own. An image file would not be
    /// loaded: the content security policy allows none.
    #[must_use]
    pub fn logo(mut self, svg: impl Into<String>) -> Self {
        self.look.logo = Some(svg.into());
        self
    }

    /// A link back to the app.
    #[must_use]
    pub fn back(mut self, label: impl Into<String>, url: impl Into<String>) -> Self {
        self.look.back = Some((label.into(), url.into()));
        self
    }

    /// Where people sign in who are not. `{next}` in it stands for the page they asked for, a path
    /// of this app, escaped for a query. Unless given they are told to sign in.
    #[must_use]
    pub fn sign_in_page(mut self, url: impl Into<String>) -> Self {
        self.sign_in_page = Some(url.into());
        self
    }

    /// What the pages say.
    #[must_use]
    pub fn texts(mut self, texts: Texts) -> Self {
        self.texts = texts;
        self
    }

    /// CSS to be added to the console's own. It can set any of the variables there:
    /// `:root { --hp-accent: light-dark(#067a5b, #58d5b0) }`.
    #[must_use]
    pub fn css(mut self, css: impl Into<String>) -> Self {
        self.css = css.into();
        self
    }

    /// Lets administrators of everything say of which tenant they mean an owner: for apps whose
    /// owners belong to tenants.
    #[must_use]
    pub fn with_tenants(mut self) -> Self {
        self.with_tenants = true;
        self
    }

    /// Does not ask on which resources a token may be used: for apps that check none.
    #[must_use]
    pub fn without_resources(mut self) -> Self {
        self.with_resources = false;
        self
    }

    /// Checks everything.
    ///
    /// # Errors
    /// [`ConsoleError`] names what is wrong.
    pub fn build(self) -> Result<Console, ConsoleError> {
        Ok(Console(Arc::new(Site {
            host: self.host,
            mount: self.mount.parse()?,
            look: self.look,
            texts: self.texts,
            css: Asset::css(&self.css),
            js: Asset::js(),
            sign_in_page: self.sign_in_page,
            with_resources: self.with_resources,
            with_tenants: self.with_tenants,
        })))
    }
}

/// Why the console cannot be put together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConsoleError {
    /// The path is not one to mount at.
    #[error(transparent)]
    Mount(#[from] ParseMountPathError),
}
