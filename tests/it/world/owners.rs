//! An owner directory that changes its mind.

use std::collections::HashMap;
use std::sync::Mutex;

use async_trait::async_trait;
use hallpass::{Owner, OwnerDirectory, OwnerDirectoryError, OwnerFacts, Rights, Tenant};

/// What the directory says of an owner.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Answer {
    Facts(OwnerFacts),
    Unknown,
    Fails,
    Hangs,
    Panics,
}

/// Every owner is an active local account with all rights until something else is said.
#[derive(Debug, Default)]
pub(crate) struct Directory(Mutex<HashMap<String, Answer>>);

impl Directory {
    pub(crate) fn say(&self, owner: &str, answer: Answer) {
        self.0.lock().unwrap().insert(owner.to_owned(), answer);
    }

    pub(crate) fn facts(&self, owner: &str, change: impl FnOnce(&mut OwnerFacts)) {
        let mut facts = OwnerFacts::active(Rights::All);
        change(&mut facts);
        self.say(owner, Answer::Facts(facts));
    }

    pub(crate) fn limit(&self, owner: &str, scopes: &[&str]) {
        let rights = Rights::Only(super::catalog().set(scopes).unwrap());
        self.facts(owner, |facts| facts.rights = rights);
    }
}

#[async_trait]
impl OwnerDirectory for Directory {
    async fn find(
        &self,
        _: &Tenant,
        owner: &Owner,
    ) -> Result<Option<OwnerFacts>, OwnerDirectoryError> {
        let said = self.0.lock().unwrap().get(owner.as_str()).copied();
        match said {
            None => Ok(Some(OwnerFacts::active(Rights::All))),
            Some(Answer::Facts(facts)) => Ok(Some(facts)),
            Some(Answer::Unknown) => Ok(None),
            Some(Answer::Fails) => Err(OwnerDirectoryError("no connection".into())),
            Some(Answer::Hangs) => std::future::pending().await,
            Some(Answer::Panics) => panic!("a broken directory"),
        }
    }
}
