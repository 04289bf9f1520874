//! What databases should be, read or made in a throwaway once in a run for all that should be the same; what was made is
//! also kept in the cache of the repository, where there is one.
//!
//! It does not know how any of it is made.

use super::wanted::Wanted;
use crate::engine::cache::{Cache, Kind};
use crate::error::Result;
use crate::model::catalog::Catalog;
use crate::model::checksum::Checksum;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// See the module's page.
#[derive(Default)]
pub struct Expected {
    wanted: Mutex<BTreeMap<Option<String>, Result<Arc<Wanted>>>>,
    /// Held while one is made: a machine bears one throwaway better than many that make the same.
    catalogs: tokio::sync::Mutex<BTreeMap<Checksum, Result<Arc<Vec<Catalog>>>>>,
}

impl Expected {
    /// What a commit says, or the files here without one.
    pub(super) fn wanted(
        &self,
        commit: Option<String>,
        read: impl FnOnce(Option<String>) -> Result<Wanted>,
    ) -> Result<Arc<Wanted>> {
        let mut wanted = self.wanted.lock().unwrap_or_else(PoisonError::into_inner);
        wanted.entry(commit).or_insert_with_key(|commit| read(commit.clone()).map(Arc::new)).clone()
    }

    /// The catalogs that go by this key.
    pub(super) async fn catalogs(
        &self,
        cache: &Cache,
        key: Checksum,
        make: impl Future<Output = Result<Vec<Catalog>>>,
    ) -> Result<Vec<Catalog>> {
        let mut catalogs = self.catalogs.lock().await;
        if let Some(known) = catalogs.get(&key) {
            return known.clone().map(|known| known.to_vec());
        }
        let kept = cache.get(Kind::Loaded, &key).and_then(|body| serde_json::from_str(&body).ok());
        let made = match kept {
            Some(kept) => Ok(kept),
            None => make.await.inspect(|made| {
                if let Ok(body) = serde_json::to_string(made) {
                    cache.put(Kind::Loaded, &key, &body);
                }
            }),
        };
        catalogs.insert(key, made.clone().map(Arc::new));
        made
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;

    #[tokio::test]
    async fn what_many_should_be_is_made_once_and_so_is_the_failure_to_make_it() {
        let (expected, cache) = (Expected::default(), Cache::below(None));
        let [one, other] = ["one", "other"].map(Checksum::of_text);
        let made = expected.catalogs(&cache, one, async { Ok(vec![Catalog::default()]) }).await.unwrap();
        let again = expected.catalogs(&cache, one, async { Err(Error::failed("made again")) }).await.unwrap();
        assert_eq!(made, again);
        let first = expected.catalogs(&cache, other, async { Err(Error::failed("no room")) }).await.unwrap_err();
        let second = expected.catalogs(&cache, other, async { Ok(Vec::new()) }).await.unwrap_err();
        assert_eq!((first.message(), second.message()), ("no room", "no room"));
    }
}
