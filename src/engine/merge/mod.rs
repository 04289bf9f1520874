//! The merge driver: of two sides that both changed the database, the baseline is made anew from their sources merged.
//!
//! git calls it with three contents of one file, before index or work tree know anything of the other side. What it
//! writes is proved like any baseline; where it cannot, it leaves a conflict and says what to do.

mod conflict;
mod find;
mod hints;
pub mod register;
mod trees;

pub use conflict::{leave, solved};

use crate::engine::cache::Kind;
use crate::engine::files;
use crate::engine::git::{Program, Source};
use crate::engine::project::{Project, paths};
use crate::engine::prove::{self, Goal, Request};
use crate::engine::rewrite;
use crate::engine::runner::Sink;
use crate::engine::upstream;
use crate::error::{Error, OrFailed, Result};
use crate::model::baseline::rewritten_of;
use crate::model::sources::Sources;
use find::Finder;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Conflicts that are named one by one.
const SHOWN: usize = 10;

/// What git hands to a driver. Paths start at the top of the work tree, where it runs.
#[derive(Debug, Clone)]
pub struct Versions {
    /// The file with the common base's content; empty where it has none.
    pub base: PathBuf,
    /// The file with our content, which takes the result.
    pub ours: PathBuf,
    /// The file with their content.
    pub theirs: PathBuf,
    /// How many signs a conflict marker has.
    pub marker: usize,
    /// The path that is merged.
    pub path: String,
}

/// What a merge made.
#[derive(Debug)]
pub struct Made {
    /// Migrations of the merged sources.
    pub migrations: usize,
    /// What a person should know.
    pub notes: Vec<String>,
}

impl Versions {
    /// The nearest folder above the merged path that exists: the project is there or above.
    pub fn folder(&self) -> PathBuf {
        let above = Path::new(&self.path).ancestors().skip(1).find(|folder| folder.is_dir());
        above.filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new(".")).to_path_buf()
    }

    fn read(&self, file: &Path) -> Result<Vec<u8>> {
        std::fs::read(file).or_failed(|| format!("cannot read {}, which git gave for {}", file.display(), self.path))
    }
}

/// Merges: finds the sources of the three versions, merges them, and replaces our version by their baseline.
///
/// # Errors
/// The sources conflict, are not found, or make no sound database. Nothing was written.
pub async fn drive(project: &Project, versions: &Versions, sink: Sink<'_>) -> Result<Made> {
    let path = &project.config.paths.baseline;
    if versions.path != *path && !versions.path.ends_with(&format!("/{path}")) {
        return Err(Error::failed(format!("{} is not the baseline", versions.path))
            .help(format!("`merge=dbbuild` in .gitattributes is meant for {path} alone.")));
    }
    let git = Program::here(Path::new("."));
    let merge = Finder::new(project, &git, versions)?.find()?;
    let merged = trees::merge(&git, &merge)?;
    let (config, mut sources) = merged_sources(project, versions, &merged)?;
    let place = Source::Rev(trees::next_commit(&git, &merged, &merge)?);
    let (base, note) = match upstream::base(project, &place, None) {
        Ok(base) => (base, None),
        Err(fault) => (None, Some(fault.to_string())),
    };
    sources.baseline = Some(Arc::from(versions.read(&versions.ours)?));
    rewrite::record(&mut sources, &rewritten_of(&String::from_utf8_lossy(&versions.read(&versions.theirs)?)));
    let request = Request {
        config: &config,
        sources: &sources,
        base: base.as_ref(),
        goal: Goal::Generate,
        reuse: true,
        cache: &project.cache,
        sink,
    };
    let proof = prove::prove(&request).await?;
    let written = files::replace(&versions.ours, proof.baseline.as_bytes());
    written.or_failed(|| format!("cannot write the merged {}", versions.path))?;
    sources.baseline = Some(Arc::from(proof.baseline.as_bytes()));
    let untouched = rewrite::judge(project, base.as_ref(), &sources, &[]).is_ok_and(|judged| judged.taken.is_empty());
    if proof.complete && proof.definitions.is_empty() && untouched {
        project.cache.put(Kind::Verdict, &prove::verdict_key(&config, &sources, base.as_ref()), "proved");
    }
    let notes = note.into_iter().chain(proof.notes).collect();
    Ok(Made { migrations: sources.migrations.len(), notes })
}

/// The configuration and the sources of a merged tree.
fn merged_sources(
    project: &Project,
    versions: &Versions,
    merged: &trees::Merged,
) -> Result<(crate::model::config::Config, Sources)> {
    let prefix = versions.path.strip_suffix(&project.config.paths.baseline).unwrap_or_default();
    let below = |place: &str| {
        let full = format!("{prefix}{place}");
        let inside =
            move |path: &&String| path.strip_prefix(&full).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        merged.conflicts.iter().filter(inside).filter(|path| **path != versions.path).cloned().collect::<Vec<_>>()
    };
    let mut conflicts = below(&project.config_name);
    if !conflicts.is_empty() {
        return Err(sources_conflict(&conflicts));
    }
    let tree = project.tree(&Source::Rev(merged.tree.clone()))?;
    // No baseline is made from definitions; those in conflict are written anew like any that are old.
    let sources = paths(&tree.config).into_iter().filter(|place| *place != tree.config.paths.definitions);
    conflicts.extend(sources.flat_map(|place| below(&place)));
    if !conflicts.is_empty() {
        return Err(sources_conflict(&conflicts));
    }
    let sources = tree.sources(project)?;
    Ok((tree.config, sources))
}

fn sources_conflict(paths: &[String]) -> Error {
    let mut named = paths.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ");
    if paths.len() > SHOWN {
        named.push_str(&format!(" and {} more", paths.len() - SHOWN));
    }
    Error::failed(format!("the sources that the baseline is made from conflict: {named}"))
}
