//! The baseline of the work tree: what making it takes from upstream, the file, and the verdict that comes with it.
//!
//! What stands in it is found by [`super::prove`].

use crate::engine::git::Source;
use crate::engine::project::Project;
use crate::engine::prove::Proof;
use crate::engine::verdict::Judgement;
use crate::engine::{definitions, files, rewrite, upstream};
use crate::error::{Error, Result};
use crate::model::baseline::Rewritten;
use crate::model::published::Base;
use crate::model::sources::Sources;
use crate::model::version::Version;

/// What is published, for a baseline that is to be made, and what of it may be rewritten. A clone that cannot tell what is
/// published is no reason to make none, nor is a version that another branch took: verification will insist on both.
///
/// # Errors
/// A published migration was changed without leave.
pub fn published(
    project: &Project,
    sources: &Sources,
    allow: &[Version],
    note: &dyn Fn(String),
) -> Result<(Option<Base>, Vec<Rewritten>)> {
    let base = upstream::base(project, &Source::WorkTree, None).unwrap_or_else(|e| {
        note(format!("{e}; every migration counts as new"));
        None
    });
    let judged = rewrite::judge(project, base.as_ref(), sources, allow)?;
    judged.taken.iter().for_each(|fault| note(fault.to_string()));
    Ok((base, judged.allowed))
}

/// Puts a proved baseline in place, with the definitions that follow it.
///
/// # Errors
/// A folder cannot be written.
pub fn put(project: &Project, proof: &Proof, unchanged: bool) -> Result<()> {
    if !unchanged {
        write(project, &proof.baseline)?;
    }
    definitions::write(project, &proof.definitions)?;
    if proof.complete { remember(project, &proof.baseline) } else { Ok(()) }
}

/// Writes the baseline: the old file or the new one, never a part.
///
/// # Errors
/// The folder cannot be written or the disk is full.
pub fn write(project: &Project, text: &str) -> Result<()> {
    let path = &project.config.paths.baseline;
    let full = project.root.join(path);
    let failed = |e: std::io::Error| {
        Error::failed(format!("cannot write {path}")).cause(e).help("the old file stands as it was.")
    };
    if let Some(folder) = full.parent() {
        std::fs::create_dir_all(folder).map_err(failed)?;
    }
    files::replace(&full, text.as_bytes()).map_err(failed)
}

/// The files with the new baseline are proved: the hook need not prove them again.
///
/// # Errors
/// The files cannot be read again.
pub fn remember(project: &Project, baseline: &str) -> Result<()> {
    // Where upstream cannot be had nothing is proved that the hook could rely on.
    let Ok(judgement) = Judgement::open(project, &Source::WorkTree, None) else { return Ok(()) };
    let sources = judgement.sources()?;
    if sources.baseline.as_ref().is_some_and(|text| **text == *baseline.as_bytes()) {
        judgement.remember_proof(&sources)?;
    }
    Ok(())
}
