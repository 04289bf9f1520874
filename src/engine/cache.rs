//! What was proved once is not proved again: small files below git's common directory, keyed by digest.
//!
//! Every file carries its own checksum: a corrupt, cut or foreign one is as good as none. Writing is atomic, so
//! concurrent runs do not disturb each other, and the number of files is bounded. Losing the cache costs time only.

use crate::engine::files;
use crate::model::checksum::Checksum;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// The kinds of entries, each in a folder of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A set of inputs that was proved.
    Verdict,
    /// The catalogs that a database made from a set of inputs shows.
    Catalog,
    /// A migration that a throwaway refused inside a transaction.
    Rehearsal,
    /// The last baseline that was seen to be settled.
    Settled,
    /// The catalog that a database made from a baseline shows.
    Loaded,
    /// A state of a database's catalogs in which no drift was found.
    Clean,
}

impl Kind {
    fn folder(self) -> &'static str {
        match self {
            Kind::Verdict => "verdict",
            Kind::Catalog => "catalog",
            Kind::Rehearsal => "rehearsal",
            Kind::Settled => "settled",
            Kind::Loaded => "loaded",
            Kind::Clean => "clean",
        }
    }

    fn keep(self) -> usize {
        match self {
            Kind::Verdict => 2_000,
            Kind::Catalog | Kind::Loaded => 16,
            Kind::Rehearsal => 2_000,
            Kind::Settled => 4,
            Kind::Clean => 100,
        }
    }
}

/// The cache of one repository; without a repository it holds nothing.
#[derive(Debug, Clone)]
pub struct Cache {
    folder: Option<PathBuf>,
}

/// Changes whenever the meaning of an entry does.
const FORMAT: &str = concat!("dbbuild cache 1 ", env!("CARGO_PKG_VERSION"));

impl Cache {
    /// The cache below git's common directory.
    pub fn below(common_dir: Option<&Path>) -> Cache {
        Cache { folder: common_dir.map(|dir| dir.join("dbbuild")) }
    }

    /// What was kept under this key, if it is whole.
    pub fn get(&self, kind: Kind, key: &Checksum) -> Option<String> {
        let text = fs::read_to_string(self.path(kind, key)?).ok()?;
        let (head, body) = text.split_once('\n')?;
        (head == format!("{FORMAT} {}", Checksum::of_text(body))).then(|| body.to_owned())
    }

    /// Whether something was kept under this key, without a look whether it is whole.
    pub fn has(&self, kind: Kind, key: &Checksum) -> bool {
        self.path(kind, key).is_some_and(|path| path.is_file())
    }

    /// Keeps a text. A cache that cannot be written is no error.
    pub fn put(&self, kind: Kind, key: &Checksum, body: &str) {
        let Some(path) = self.path(kind, key) else { return };
        let Some(folder) = path.parent() else { return };
        let text = format!("{FORMAT} {}\n{body}", Checksum::of_text(body));
        if fs::create_dir_all(folder).is_ok() && files::replace(&path, text.as_bytes()).is_ok() {
            bound(folder, kind.keep());
        }
    }

    fn path(&self, kind: Kind, key: &Checksum) -> Option<PathBuf> {
        Some(self.folder.as_ref()?.join(kind.folder()).join(key.to_string()))
    }
}

/// Removes the oldest entries beyond `keep`.
fn bound(folder: &Path, keep: usize) {
    let Ok(entries) = fs::read_dir(folder) else { return };
    let mut aged: Vec<(SystemTime, PathBuf)> =
        entries.flatten().filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path()))).collect();
    if aged.len() <= keep {
        return;
    }
    aged.sort();
    let surplus = aged.len() - keep;
    for (_, path) in aged.into_iter().take(surplus) {
        // Another run may have removed it already.
        let _ = fs::remove_file(path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_whole_entries_and_ignores_others() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::below(Some(dir.path()));
        let key = Checksum::of_text("inputs");
        assert_eq!(cache.get(Kind::Verdict, &key), None);
        cache.put(Kind::Verdict, &key, "proved");
        assert_eq!(cache.get(Kind::Verdict, &key).as_deref(), Some("proved"));
        let path = cache.path(Kind::Verdict, &key).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, text.replace("proved", "forged")).unwrap();
        assert_eq!(cache.get(Kind::Verdict, &key), None, "a changed body is no entry");
        fs::write(&path, &text[..text.len() - 2]).unwrap();
        assert_eq!(cache.get(Kind::Verdict, &key), None, "a cut body is no entry");
    }

    #[test]
    fn is_bounded() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::below(Some(dir.path()));
        for i in 0..40 {
            cache.put(Kind::Catalog, &Checksum::of_text(&i.to_string()), "x");
        }
        assert_eq!(fs::read_dir(dir.path().join("dbbuild/catalog")).unwrap().count(), Kind::Catalog.keep());
    }

    #[test]
    fn holds_nothing_without_a_repository() {
        let cache = Cache::below(None);
        cache.put(Kind::Verdict, &Checksum::of_text("k"), "v");
        assert_eq!(cache.get(Kind::Verdict, &Checksum::of_text("k")), None);
    }
}
