//! Reading through libgit2, which starts no process. It knows neither SHA-256, reftable, partial clones nor split and
//! sparse indexes, and says so; [`super::Git`] then asks the program.

use super::backend::{Backend, Entry, no_such_commit};
use super::id::ObjectId;
use crate::error::{Error, Result};
use git2::{ErrorCode, ObjectType, Oid, Repository, TreeWalkMode, TreeWalkResult};
use std::path::Path;
use std::sync::Arc;

pub(super) struct Library(pub Repository);

/// Gives an error of libgit2's its sentence.
fn failed(message: impl Into<String>) -> impl FnOnce(git2::Error) -> Error {
    let message = message.into();
    move |e| Error::failed(message).cause(e.message())
}

impl Backend for Library {
    fn index(&self, paths: &[String]) -> Result<Vec<Entry>> {
        let mut index = self.0.index().map_err(failed("cannot read the index"))?;
        index.read(false).map_err(failed("cannot read the index"))?;
        let wanted = |path: &[u8]| {
            paths.iter().any(|wanted| {
                path.strip_prefix(wanted.as_bytes()).is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
            })
        };
        let intended = |entry: &git2::IndexEntry| {
            git2::IndexEntryExtendedFlag::from_bits_truncate(entry.flags_extended).is_intent_to_add()
        };
        let entries = index.iter().filter(|entry| wanted(&entry.path) && !intended(entry));
        Ok(entries
            .map(|entry| Entry {
                conflict: (entry.flags >> 12) & 3 != 0,
                path: entry.path,
                mode: entry.mode,
                id: entry.id.into(),
            })
            .collect())
    }

    fn tree(&self, rev: &str, paths: &[String]) -> Result<Vec<Entry>> {
        let object = self.0.revparse_single(rev).and_then(|object| object.peel(ObjectType::Tree));
        let tree = object.map_err(|e| no_such_commit(rev, e.message()))?.into_tree();
        let tree = tree.map_err(|_| Error::usage(format!("{rev} does not name a commit")))?;
        let mut found = Vec::new();
        for path in paths {
            let entry = match tree.get_path(Path::new(path)) {
                Ok(entry) => entry,
                Err(e) if e.code() == ErrorCode::NotFound => continue,
                Err(e) => return Err(failed(format!("cannot read {path}"))(e)),
            };
            if entry.kind() == Some(ObjectType::Tree) {
                self.walk(&entry, path, &mut found)?;
            } else {
                found.push(as_entry(path.as_bytes().to_vec(), &entry));
            }
        }
        Ok(found)
    }

    fn differs(&self, from: Option<&str>, paths: &[String]) -> Result<bool> {
        // Whether there is anything to judge needs no proof that objects are what their names say; the judgement does.
        git2::opts::strict_hash_verification(false);
        let found = self.compare(from, paths);
        git2::opts::strict_hash_verification(true);
        found
    }

    fn blobs(&self, ids: &[&ObjectId]) -> Result<Vec<Arc<[u8]>>> {
        let blob = |id: &&ObjectId| {
            let found = Oid::from_str(id.as_str()).and_then(|id| self.0.find_blob(id));
            Ok(found.map_err(failed(format!("cannot read object {id}")))?.content().into())
        };
        ids.iter().map(blob).collect()
    }

    fn stage(&self, path: &str, content: &[u8]) -> Result<()> {
        let failed = |e| failed(format!("cannot stage {path}"))(e);
        let mut index = self.0.index().map_err(failed)?;
        let id = self.0.blob(content).map_err(failed)?;
        let old = index.get_path(Path::new(path), 0);
        let zero = git2::IndexTime::new(0, 0);
        let entry = git2::IndexEntry {
            ctime: zero,
            mtime: zero,
            dev: 0,
            ino: 0,
            mode: old.map_or(0o100_644, |old| old.mode),
            uid: 0,
            gid: 0,
            file_size: u32::try_from(content.len()).unwrap_or(0),
            id,
            flags: 0,
            flags_extended: 0,
            path: path.as_bytes().to_vec(),
        };
        index.add(&entry).and_then(|()| index.write()).map_err(failed)
    }

    fn commit(&self, rev: &str) -> Result<Option<String>> {
        match self.0.revparse_single(rev).and_then(|object| object.peel(ObjectType::Commit)) {
            Ok(commit) => Ok(Some(commit.id().to_string())),
            Err(e)
                if matches!(
                    e.code(),
                    ErrorCode::NotFound | ErrorCode::UnbornBranch | ErrorCode::Peel | ErrorCode::InvalidSpec
                ) =>
            {
                Ok(None)
            }
            Err(e) => Err(no_such_commit(rev, e.message())),
        }
    }

    fn merge_base(&self, commits: &[&str]) -> Result<Option<String>> {
        let history = || failed("cannot read the history of commits");
        let ids = commits.iter().map(|commit| Oid::from_str(commit)).collect::<std::result::Result<Vec<_>, _>>();
        match self.0.merge_base_many(&ids.map_err(history())?) {
            Ok(id) => Ok(Some(id.to_string())),
            Err(e) if e.code() == ErrorCode::NotFound => Ok(None),
            Err(e) => Err(history()(e)),
        }
    }

    fn parents(&self, commit: &str) -> Result<Vec<String>> {
        let found = Oid::from_str(commit).and_then(|id| self.0.find_commit(id));
        let found = found.map_err(failed(format!("cannot read commit {commit}")))?;
        Ok(found.parent_ids().map(|id| id.to_string()).collect())
    }

    fn remotes(&self) -> Result<Vec<String>> {
        let names = self.0.remotes().map_err(failed("cannot read git's configuration"))?;
        Ok(names.iter().flatten().flatten().map(str::to_owned).collect())
    }

    fn has_refs(&self, prefix: &str) -> Result<bool> {
        let mut found =
            self.0.references_glob(&format!("{prefix}*")).map_err(failed("cannot read git's references"))?;
        Ok(found.names().next().is_some())
    }
}

impl Library {
    fn compare(&self, from: Option<&str>, paths: &[String]) -> Result<bool> {
        let tree = match from {
            Some(rev) => {
                let object = self.0.revparse_single(rev).and_then(|object| object.peel_to_tree());
                Some(object.map_err(|e| no_such_commit(rev, e.message()))?)
            }
            None => None,
        };
        let mut options = git2::DiffOptions::new();
        options.disable_pathspec_match(true).skip_binary_check(true).include_typechange(true);
        paths.iter().for_each(|path| {
            options.pathspec(path);
        });
        let diff = self.0.diff_tree_to_index(tree.as_ref(), None, Some(&mut options));
        Ok(diff.map_err(failed("cannot compare the index with HEAD"))?.deltas().len() > 0)
    }

    fn walk(&self, folder: &git2::TreeEntry<'_>, path: &str, found: &mut Vec<Entry>) -> Result<()> {
        let tree = self.0.find_tree(folder.id()).map_err(failed(format!("cannot read {path}")))?;
        let mut strange = false;
        let outcome = tree.walk(TreeWalkMode::PreOrder, |below, entry| {
            // libgit2 gives the folder as text, changed where it is none.
            strange |= below.contains(char::REPLACEMENT_CHARACTER);
            if entry.kind() != Some(ObjectType::Tree) {
                let mut full = format!("{path}/{below}").into_bytes();
                full.extend_from_slice(entry.name_bytes());
                found.push(as_entry(full, entry));
            }
            TreeWalkResult::Ok
        });
        if strange {
            return Err(Error::failed(format!("the name of a folder below {path} is not UTF-8")));
        }
        outcome.map_err(failed(format!("cannot read {path}")))
    }
}

fn as_entry(path: Vec<u8>, entry: &git2::TreeEntry<'_>) -> Entry {
    Entry { path, mode: u32::try_from(entry.filemode()).unwrap_or_default(), id: entry.id().into(), conflict: false }
}
