//! The five products, and the scopes of each.

use hallpass::{CatalogError, ScopeCatalog, ScopeDefinition, Tenant};

/// A product whose token features the demo has. Each is a tenant of its own: its tokens, their
/// names and its lists have nothing to do with another product's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Product {
    Automation,
    Release,
    Hosting,
    Playground,
    Data,
}

impl Product {
    pub(crate) const ALL: [Self; 5] =
        [Self::Automation, Self::Release, Self::Hosting, Self::Playground, Self::Data];

    /// The product as tenant, and as the group of its scopes.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Automation => "automation",
            Self::Release => "release",
            Self::Hosting => "hosting",
            Self::Playground => "playground",
            Self::Data => "data",
        }
    }

    /// What people call the product.
    pub(crate) const fn title(self) -> &'static str {
        match self {
            Self::Automation => "Automation platform",
            Self::Release => "Release tool",
            Self::Hosting => "Hosting platform",
            Self::Playground => "Developer playground",
            Self::Data => "Data platform",
        }
    }

    pub(crate) fn tenant(self) -> Tenant {
        Tenant::parse(self.name()).unwrap_or_default()
    }

    pub(crate) fn of(tenant: &Tenant) -> Option<Self> {
        Self::ALL.into_iter().find(|product| product.name() == tenant.as_str())
    }

    /// The names of the product's scopes.
    pub(crate) fn scopes(self, catalog: &ScopeCatalog) -> impl Iterator<Item = String> {
        let own = catalog.iter().filter(move |scope| scope.group() == self.name());
        own.map(|scope| scope.scope().to_string())
    }
}

/// The one scope that only an administrator has, and can give a token.
pub(crate) const ADMIN_SCOPE: &str = "release:admin";

/// The API methods of the hosting platform that a token can be limited to.
pub(crate) const HOSTING_METHODS: [&str; 10] = [
    "environment.control.getenvs",
    "environment.control.getenvinfo",
    "environment.control.startenv",
    "environment.control.stopenv",
    "environment.control.restartenv",
    "environment.control.deleteenv",
    "environment.deployment.deploy",
    "environment.file.upload",
    "marketplace.jps.install",
    "marketplace.jps.uninstall",
];

/// The hosting platform's presets, beside Extended Access, which is every method.
const HOSTING_PRESETS: [(&str, &[&str]); 3] = [
    (
        "IDE Plugins",
        &[
            "environment.control.getenvs",
            "environment.control.getenvinfo",
            "environment.control.startenv",
            "environment.control.stopenv",
            "environment.deployment.deploy",
        ],
    ),
    ("Marketplace", &["marketplace.jps.install", "marketplace.jps.uninstall"]),
    (
        "Maven Plugin",
        &[
            "environment.control.getenvs",
            "environment.file.upload",
            "environment.deployment.deploy",
        ],
    ),
];

/// Every scope of every product. No two products share a name, so a token of one grants nothing
/// in another.
pub(crate) fn catalog() -> Result<ScopeCatalog, CatalogError> {
    let scope = |product: Product, name: &str, title: &str| {
        ScopeDefinition::new(name).title(title).group(product.name())
    };
    let mut builder = ScopeCatalog::builder()
        .scope(scope(Product::Automation, "read", "Read everything you can read"))
        .scope(scope(Product::Automation, "write", "Change things too").implies(["read"]))
        .scope(scope(Product::Release, "release:read", "See releases"))
        .scope(scope(Product::Release, "release:write", "Start releases").implies(["release:read"]))
        .scope(scope(Product::Release, ADMIN_SCOPE, "Forget releases").implies(["release:write"]))
        .scope(scope(Product::Release, "webhook", "Trigger webhooks"))
        .scope(scope(Product::Playground, "playground", "Log in to the playground"))
        .scope(scope(Product::Data, "profile", "See who you are"))
        .scope(scope(Product::Data, "openid", "Sign in elsewhere as you"))
        .scope(scope(Product::Data, "credentials", "Fetch your credentials"));
    for method in HOSTING_METHODS {
        builder = builder.scope(scope(Product::Hosting, method, method));
    }
    builder = builder.preset("Extended Access", HOSTING_METHODS);
    for (preset, methods) in HOSTING_PRESETS {
        builder = builder.preset(preset, methods.iter().copied());
    }
    builder.build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scope_belongs_to_one_product() {
        let catalog = catalog().unwrap();
        let per_product = Product::ALL.map(|product| product.scopes(&catalog).count());
        assert_eq!(per_product, [2, 4, 10, 1, 3]);
        assert_eq!(catalog.iter().len(), per_product.iter().sum::<usize>());
        for product in Product::ALL {
            assert_eq!(Product::of(&product.tenant()), Some(product));
        }
    }

    #[test]
    fn presets_stay_inside_their_product() {
        let catalog = catalog().unwrap();
        assert_eq!(catalog.presets().len(), 4);
        for preset in catalog.presets() {
            for scope in preset.scopes().iter() {
                assert_eq!(catalog.get(scope.as_str()).unwrap().group(), "hosting");
            }
        }
    }
}
