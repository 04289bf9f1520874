//! Finds the sources that stand with each of three baselines.
//!
//! git tells a driver three contents and no commit. Where they come from is found by the contents' object ids: in what
//! git names by the way, else in the history of the file; and believed where the digest in the baseline's header is that
//! of the sources found. The index and HEAD alone are believed without: they are what is merged into.

use super::Versions;
use super::hints::{self, Hints};
use super::trees::{self, Merge, OwnIndex};
use crate::engine::git::{Program, Source};
use crate::engine::project::{Project, paths};
use crate::engine::prove;
use crate::error::{Error, Result};
use crate::model::baseline::inputs_of;
use crate::model::checksum::Checksum;
use std::path::Path;

/// Commits that are looked at, at most; those beyond are old.
const COMMITS: usize = 60;

/// A commit with its parents on a line.
const LOG_FORMAT: &str = "--format=%H %P";

/// Both sides of a change fit their sources; one below, only theirs does.
const SOUND: u8 = 2;
/// The baseline of theirs was not made from the sources that stand with it.
const UNSOUND: u8 = 0;

/// Looks for sources.
pub(super) struct Finder<'a> {
    pub project: &'a Project,
    pub git: &'a Program,
    /// The baseline's path from the top of the work tree.
    pub path: &'a str,
    base: Version,
    ours: Version,
    theirs: Version,
}

/// One of the three contents.
struct Version {
    /// git's id of it; `None` where that side has no such file.
    id: Option<String>,
    /// What its header says.
    inputs: Option<Checksum>,
}

/// A commit with its parents.
struct Commit {
    id: String,
    parents: Vec<String>,
}

/// A commit's change of the baseline, which leads from the base to theirs.
struct Change {
    base: String,
    theirs: String,
    rank: u8,
}

impl Finder<'_> {
    /// Takes the contents' ids.
    ///
    /// # Errors
    /// They cannot be read.
    pub fn new<'a>(project: &'a Project, git: &'a Program, versions: &'a Versions) -> Result<Finder<'a>> {
        let version = |file: &Path| {
            let bytes = versions.read(file)?;
            let id = git.text(&["hash-object", "--no-filters", "--", &file.to_string_lossy()])?;
            let inputs = std::str::from_utf8(&bytes).ok().and_then(inputs_of);
            Ok::<_, Error>(Version { id: (!bytes.is_empty()).then_some(id), inputs })
        };
        let (base, ours) = (version(&versions.base)?, version(&versions.ours)?);
        Ok(Finder { project, git, path: &versions.path, base, ours, theirs: version(&versions.theirs)? })
    }

    /// Finds what is merged.
    ///
    /// # Errors
    /// The sources of one side cannot be found.
    pub fn find(&self) -> Result<Merge> {
        let hints = hints::read(self.git)?;
        if let Some(merge) = self.merged_heads(&hints)? {
            return Ok(merge);
        }
        let ours = self.ours()?;
        if let Some(change) = self.change(&hints)? {
            return Ok(Merge::Change { base: change.base, ours, theirs: change.theirs });
        }
        if let Some((base, theirs)) = self.patch()? {
            return Ok(Merge::Change { base, ours, theirs });
        }
        let theirs = self.place(&self.theirs, "theirs")?;
        match self.place(&self.base, "the common base") {
            Ok(base) => Ok(Merge::Change { base, ours, theirs }),
            // Several merge bases are merged by git into one that no commit holds.
            Err(fault) => match self.git.text(&["merge-base", "--all", "HEAD", &theirs]) {
                Ok(bases) if bases.lines().count() > 1 => Ok(Merge::Commits { ours: "HEAD".to_owned(), theirs }),
                _ => Err(fault),
            },
        }
    }

    /// `git merge` and `pull` name the commit that they merge into HEAD.
    fn merged_heads(&self, hints: &Hints) -> Result<Option<Merge>> {
        let mut revs = vec!["HEAD".to_owned()];
        revs.extend(hints.merged.iter().cloned());
        let blobs = self.blobs(&revs)?;
        if blobs.first() != Some(&self.ours.id) {
            return Ok(None);
        }
        let found = revs.into_iter().zip(blobs).skip(1).find(|(_, blob)| *blob == self.theirs.id);
        Ok(found.map(|(theirs, _)| Merge::Commits { ours: "HEAD".to_owned(), theirs }))
    }

    /// Ours is the index, which `stash pop` and `cherry-pick -n` find changed; or HEAD; or, inside a merge of merge
    /// bases, any commit.
    fn ours(&self) -> Result<String> {
        let index = self.git.text(&["rev-parse", "--git-path", "index"])?;
        let index = OwnIndex::copy_of(self.git, Path::new(&index)).and_then(|index| index.write_tree());
        let revs: Vec<String> = index.into_iter().chain(["HEAD".to_owned()]).collect();
        let blobs = self.blobs(&revs)?;
        match revs.into_iter().zip(blobs).find(|(_, blob)| *blob == self.ours.id) {
            Some((rev, _)) => Ok(rev),
            None => self.place(&self.ours, "ours"),
        }
    }

    /// The commit that turned the base into theirs (a pick, a rebase, a stash), or theirs into the base (a revert).
    fn change(&self, hints: &Hints) -> Result<Option<Change>> {
        let named = self.commits(&hints.picked)?;
        if let Some(change) = self.best(named, true)? {
            return Ok(Some(change));
        }
        let Some(id) = &self.theirs.id else { return Ok(None) };
        let found = self.history(id)?;
        self.best(found, false)
    }

    fn best(&self, commits: Vec<Commit>, named: bool) -> Result<Option<Change>> {
        let mut found: Vec<Change> = Vec::new();
        for commit in commits {
            for parent in &commit.parents {
                let blobs = self.blobs(&[parent.clone(), commit.id.clone()])?;
                if blobs == [self.base.id.clone(), self.theirs.id.clone()] {
                    found.push(self.judge(parent, &commit, true)?);
                } else if blobs == [self.theirs.id.clone(), self.base.id.clone()] {
                    found.push(self.judge(parent, &commit, false)?);
                }
            }
            if found.last().is_some_and(|change| change.rank == SOUND) {
                return Ok(found.pop());
            }
        }
        let several = found.len() > 1;
        let best = found.into_iter().rev().max_by_key(|change| change.rank);
        // Of several commits with sources that do not fit the baseline nobody can say which is meant.
        Ok(best.filter(|change| change.rank > UNSOUND || named || !several))
    }

    /// How well the baselines on both sides of a commit fit the sources there.
    fn judge(&self, parent: &str, commit: &Commit, forward: bool) -> Result<Change> {
        let (base, theirs) = if forward { (parent, commit.id.as_str()) } else { (commit.id.as_str(), parent) };
        let base_fits = self.fits(base, &self.base);
        let whole = match self.fits(theirs, &self.theirs) {
            true => Some(theirs.to_owned()),
            false if forward => self.whole_stash(commit)?,
            false => None,
        };
        let rank = if whole.is_some() { SOUND - u8::from(!base_fits) } else { UNSOUND };
        Ok(Change { base: base.to_owned(), theirs: whole.unwrap_or_else(|| theirs.to_owned()), rank })
    }

    /// A stash whose baseline was made with files that git does not track: they stand in its third parent, or still in
    /// the work tree.
    fn whole_stash(&self, commit: &Commit) -> Result<Option<String>> {
        let [base, index, rest @ ..] = commit.parents.as_slice() else { return Ok(None) };
        let is_stash = self.git.text(&["rev-parse", &format!("{index}^@")])? == *base && rest.len() <= 1;
        if !is_stash {
            return Ok(None);
        }
        let whole = match rest.first() {
            Some(untracked) => trees::overlay(self.git, &commit.id, untracked)?,
            None => {
                let mut arguments = vec!["ls-files", "--others", "--exclude-standard", "-z", "--"];
                let places = self.places();
                arguments.extend(places.iter().map(String::as_str));
                trees::with_files(self.git, &commit.id, &self.git.bytes(&arguments, None)?)?
            }
        };
        Ok(self.fits(&whole, &self.theirs).then_some(whole))
    }

    /// A mail that `git am -3` applies, as far as git rebuilt its two sides: the files that it touches.
    fn patch(&self) -> Result<Option<(String, String)>> {
        let places = self.git.text(&[
            "rev-parse",
            "--git-path",
            "rebase-apply/patch-merge-index",
            "--git-path",
            "rebase-apply/patch",
        ])?;
        let Some((index, patch)) = places.split_once('\n') else { return Ok(None) };
        let (index, patch) = (self.git.folder().join(index), self.git.folder().join(patch));
        if !index.is_file() || !patch.is_file() {
            return Ok(None);
        }
        let index = OwnIndex::copy_of(self.git, &index)?;
        let theirs = index.write_tree()?;
        index.git.text(&["apply", "--cached", "--reverse", &patch.to_string_lossy()])?;
        let base = index.write_tree()?;
        let blobs = self.blobs(&[base.clone(), theirs.clone()])?;
        Ok((blobs == [self.base.id.clone(), self.theirs.id.clone()]).then_some((base, theirs)))
    }

    /// Any commit that holds a version, with sources that fit it; or, where none do, sources that are the same in all.
    fn place(&self, version: &Version, name: &str) -> Result<String> {
        let unknown = |why: &str| {
            Error::failed(format!("the sources of {name} were not found, so the two sides cannot be merged"))
                .cause(why.to_owned())
        };
        let Some(id) = &version.id else { return Err(unknown("that side has no baseline")) };
        let revs: Vec<String> =
            self.history(id)?.into_iter().flat_map(|c| std::iter::once(c.id).chain(c.parents)).collect();
        let blobs = self.blobs(&revs)?;
        let holders: Vec<String> =
            revs.into_iter().zip(blobs).filter(|(_, blob)| *blob == version.id).map(|(rev, _)| rev).collect();
        if let Some(fitting) = holders.iter().find(|rev| self.fits(rev, version)) {
            return Ok(fitting.clone());
        }
        match holders.as_slice() {
            [] => Err(unknown("no commit holds that baseline")),
            [only] => Ok(only.clone()),
            _ => Err(unknown("several commits hold that baseline, but it was not made from the sources of any")),
        }
    }

    /// Whether the sources of a revision are those that a baseline was made from.
    fn fits(&self, rev: &str, version: &Version) -> bool {
        version.inputs.is_some() && version.inputs == self.inputs(rev)
    }

    fn inputs(&self, rev: &str) -> Option<Checksum> {
        let tree = self.project.tree(&Source::Rev(rev.to_owned())).ok()?;
        let sources = tree.sources(self.project).ok()?;
        Some(prove::inputs(&tree.config, &sources))
    }

    /// The folders and files of the sources, from the top of the work tree.
    fn places(&self) -> Vec<String> {
        let prefix = self.path.strip_suffix(&self.project.config.paths.baseline).unwrap_or_default();
        paths(&self.project.config).iter().map(|path| format!("{prefix}{path}")).collect()
    }

    /// The commits that put a content at the baseline's place or took it away, newest first.
    fn history(&self, id: &str) -> Result<Vec<Commit>> {
        let find = format!("--find-object={id}");
        let limit = format!("--max-count={COMMITS}");
        self.list(&[
            "log",
            "--all",
            "--reflog",
            "-m",
            "--no-patch",
            "--root",
            LOG_FORMAT,
            &limit,
            &find,
            "--",
            self.path,
        ])
    }

    /// Those of some revisions that exist, with their parents.
    fn commits(&self, revs: &[String]) -> Result<Vec<Commit>> {
        let asked: String = revs.iter().map(|rev| format!("{rev}^{{commit}}\n")).collect();
        let told = self.git.bytes(&["cat-file", "--batch-check=%(objectname)"], Some(asked.as_bytes()))?;
        let told = String::from_utf8_lossy(&told).into_owned();
        let ids: Vec<&str> = told.lines().filter(|line| !line.contains(' ')).collect();
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let mut arguments = vec!["log", "--no-walk=unsorted", "--no-patch", LOG_FORMAT];
        arguments.extend(ids);
        self.list(&arguments)
    }

    fn list(&self, arguments: &[&str]) -> Result<Vec<Commit>> {
        let text = self.git.text(arguments)?;
        let mut found: Vec<Commit> = Vec::new();
        for line in text.lines() {
            let mut words = line.split(' ').filter(|word| !word.is_empty()).map(str::to_owned);
            let Some(id) = words.next() else { continue };
            if found.iter().all(|known| known.id != id) {
                found.push(Commit { id, parents: words.collect() });
            }
        }
        Ok(found)
    }

    /// What stands at the baseline's place in each of some revisions.
    fn blobs(&self, revs: &[String]) -> Result<Vec<Option<String>>> {
        let asked: String = revs.iter().map(|rev| format!("{rev}:{}\n", self.path)).collect();
        let told = self.git.bytes(&["cat-file", "--batch-check=%(objectname)"], Some(asked.as_bytes()))?;
        let told = String::from_utf8_lossy(&told).into_owned();
        Ok(told.lines().map(|line| (!line.contains(' ')).then(|| line.to_owned())).collect())
    }
}
