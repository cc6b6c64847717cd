//! The people of the demo, their passwords, and what they may do.

use std::fmt;
use std::net::IpAddr;

use argon2::Argon2;
use argon2::password_hash::{Error as HashError, PasswordHasher, PasswordVerifier};
use async_trait::async_trait;
use hallpass::{
    Owner, OwnerDirectory, OwnerDirectoryError, OwnerFacts, OwnerKind, Rights, ScopeCatalog,
    ScopeSet, Tenant, Timestamp,
};
use std::sync::Arc;
use tokio::sync::Semaphore;

use super::attempts::{Attempts, SignInError};
use super::catalog::{ADMIN_SCOPE, Product};

/// Most passwords that are checked at once; each check takes some 20 MB and a processor.
const CHECKS_AT_ONCE: usize = 2;

/// One account.
pub(crate) struct Account {
    pub(crate) owner: Owner,
    pub(crate) is_admin: bool,
    kind: OwnerKind,
    password_hash: String,
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Account").field("owner", &self.owner).finish_non_exhaustive()
    }
}

/// Who there is: alice, bob, root the administrator, and carol, who signs in through an external
/// identity provider. (That carol has a password here stands for what her provider checks.)
pub(crate) const PEOPLE: [(&str, OwnerKind, bool); 4] = [
    ("alice", OwnerKind::Local, false),
    ("bob", OwnerKind::Local, false),
    ("root", OwnerKind::Local, true),
    ("carol", OwnerKind::External, false),
];

/// All accounts. It is also the directory in which the engine looks owners up.
pub(crate) struct Accounts {
    all: Vec<Arc<Account>>,
    argon2: Argon2<'static>,
    /// What the password of somebody unknown is checked against, so that it takes as long.
    decoy: String,
    checks: Arc<Semaphore>,
    attempts: Attempts,
    /// What people may do in each product, and what administrators may.
    rights: Vec<(Tenant, ScopeSet, ScopeSet)>,
}

impl Accounts {
    /// The accounts with these passwords, in the order of [`PEOPLE`].
    ///
    /// # Errors
    /// `HashError` if a password cannot be hashed.
    pub(crate) fn new(
        passwords: &[String; 4],
        argon2: Argon2<'static>,
        catalog: &ScopeCatalog,
    ) -> Result<Self, HashError> {
        let hash = |password: &str| argon2.hash_password(password.as_bytes());
        let mut all = Vec::new();
        for ((name, kind, is_admin), password) in PEOPLE.into_iter().zip(passwords) {
            all.push(Arc::new(Account {
                owner: Owner::parse(name).map_err(|_| HashError::Internal)?,
                is_admin,
                kind,
                password_hash: hash(password)?.to_string(),
            }));
        }
        let mut rights = Vec::new();
        for product in Product::ALL {
            let everything = product.scopes(catalog);
            let common = product.scopes(catalog).filter(|scope| scope != ADMIN_SCOPE);
            let common = catalog.set(common).map_err(|_| HashError::Internal)?;
            let everything = catalog.set(everything).map_err(|_| HashError::Internal)?;
            rights.push((product.tenant(), common, everything));
        }
        let decoy = hash("nobody's password")?.to_string();
        Ok(Self {
            all,
            argon2,
            decoy,
            checks: Arc::new(Semaphore::new(CHECKS_AT_ONCE)),
            attempts: Attempts::default(),
            rights,
        })
    }

    pub(crate) fn find(&self, name: &str) -> Option<&Arc<Account>> {
        self.all.iter().find(|account| account.owner.as_str() == name)
    }

    /// The account with this name and password, unless too many wrong ones came from there.
    ///
    /// # Errors
    /// [`SignInError`] tells why not.
    pub(crate) async fn sign_in(
        &self,
        peer: Option<IpAddr>,
        (name, password): (&str, &str),
        now: Timestamp,
    ) -> Result<Arc<Account>, SignInError> {
        self.attempts.make(peer, now, self.check(name, password)).await
    }

    /// The account with this name and password. Takes as long for a name that does not exist.
    pub(crate) async fn check(&self, name: &str, password: &str) -> Option<Arc<Account>> {
        let account = self.find(name).cloned();
        let known = account.as_ref().map_or(&self.decoy, |account| &account.password_hash).clone();
        let password = password.to_owned();
        let argon2 = self.argon2.clone();
        let permit = Arc::clone(&self.checks).acquire_owned().await.ok()?;
        // Hashing takes tens of milliseconds of pure computing, so it leaves the async threads. It
        // goes on where nobody waits for it any more, and keeps its permit until it is done.
        let check = move || {
            let _permit = permit;
            argon2.verify_password(password.as_bytes(), known.as_str()).is_ok()
        };
        let is_right = tokio::task::spawn_blocking(check).await.ok()?;
        account.filter(|_| is_right)
    }
}

impl fmt::Debug for Accounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.all).finish()
    }
}

#[async_trait]
impl OwnerDirectory for Accounts {
    async fn find(
        &self,
        tenant: &Tenant,
        owner: &Owner,
    ) -> Result<Option<OwnerFacts>, OwnerDirectoryError> {
        Ok(self.resident(tenant, owner))
    }

    /// In each product everybody may do what that product offers, less what is for
    /// administrators, and nothing else.
    fn resident(&self, tenant: &Tenant, owner: &Owner) -> Option<OwnerFacts> {
        let account = Accounts::find(self, owner.as_str())?;
        let (_, common, all) = self.rights.iter().find(|(product, ..)| product == tenant)?;
        let rights = Rights::Only(if account.is_admin { *all } else { *common });
        Some(OwnerFacts { active: true, kind: account.kind, rights })
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::super::catalog::catalog;
    use super::*;

    fn accounts() -> Accounts {
        let cheap = Argon2::from(argon2::Params::new(8, 1, 1, None).unwrap());
        let passwords = ["a", "b", "r", "c"].map(str::to_owned);
        Accounts::new(&passwords, cheap, &catalog().unwrap()).unwrap()
    }

    #[tokio::test]
    async fn a_password_is_good_for_its_own_account_only() {
        let accounts = accounts();
        assert_eq!(accounts.check("alice", "a").await.unwrap().owner.as_str(), "alice");
        for (name, password) in [("alice", "b"), ("alice", ""), ("nobody", "a"), ("", "")] {
            assert!(accounts.check(name, password).await.is_none(), "{name} {password}");
        }
    }

    #[test]
    fn a_check_that_nobody_waits_for_keeps_its_permit_until_it_is_done() {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.max_blocking_threads(1).build().unwrap();
        runtime.block_on(async {
            let accounts = accounts();
            let (go_on, busy) = std::sync::mpsc::channel::<()>();
            let busy = tokio::task::spawn_blocking(move || busy.recv());
            assert!(accounts.check("alice", "a").now_or_never().is_none());
            assert_eq!(accounts.checks.available_permits(), CHECKS_AT_ONCE - 1);
            drop(go_on);
            assert!(busy.await.unwrap().is_err());
            assert!(accounts.check("alice", "a").await.is_some());
            assert_eq!(accounts.checks.available_permits(), CHECKS_AT_ONCE);
        });
    }

    #[test]
    fn rights_are_those_of_the_product() {
        let accounts = accounts();
        let catalog = catalog().unwrap();
        let alice = Owner::parse("alice").unwrap();
        let facts = accounts.resident(&Product::Data.tenant(), &alice).unwrap();
        assert!(facts.rights.cover(&catalog.set(["profile", "openid"]).unwrap()));
        assert!(!facts.rights.cover(&catalog.set(["write"]).unwrap()));
        assert_eq!(accounts.resident(&Tenant::DEFAULT, &alice), None);
    }
}
