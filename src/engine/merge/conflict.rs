//! A baseline in conflict: left so that nobody takes it for a sound one, and found again when it is made anew.

use super::Versions;
use crate::engine::files;
use crate::engine::git::Program;
use crate::engine::project::Project;
use crate::engine::rewrite;
use crate::error::{OrFailed, Result};
use crate::model::baseline::{conflict_marker, rewritten_of};
use crate::model::sources::Sources;
use std::path::Path;
use std::sync::Arc;

const LABELS: [&str; 6] = ["-L", "ours", "-L", "base", "-L", "theirs: `dbbuild baseline` solves this"];

/// Writes both sides with git's conflict markers in place of our version.
///
/// # Errors
/// The file cannot be written.
pub fn leave(versions: &Versions) -> Result<()> {
    let marker = format!("--marker-size={}", versions.marker);
    let [ours, base, theirs] = [&versions.ours, &versions.base, &versions.theirs].map(|file| file.to_string_lossy());
    let mut arguments = vec!["merge-file", "-p", &marker];
    arguments.extend(LABELS);
    arguments.extend([&*ours, &*base, &*theirs]);
    let merged = Program::here(Path::new(".")).output(&arguments, None);
    let mut text = match merged {
        Ok(output) if !output.stdout.is_empty() => output.stdout,
        _ => versions.read(&versions.ours)?,
    };
    if !String::from_utf8_lossy(&text).lines().any(|line| line.starts_with(&"<".repeat(versions.marker))) {
        // Lines that merge well by themselves make no sound baseline.
        let sign = |sign: &str| sign.repeat(versions.marker);
        let head = format!("{} ours\n{}\n{} {}\n", sign("<"), sign("="), sign(">"), LABELS[5]);
        text.splice(0..0, head.into_bytes());
    }
    files::replace(&versions.ours, &text).or_failed(|| format!("cannot write the conflict of {}", versions.path))
}

/// Whether the baseline on disk holds a conflict that making it anew will solve. The committed one takes its place, as
/// its volatile values are to be kept, with the leave to rewrite that either side has.
pub fn solved(project: &Project, sources: &mut Sources) -> bool {
    let text = sources.baseline.as_ref().and_then(|bytes| std::str::from_utf8(bytes).ok());
    let Some(text) = text.filter(|text| conflict_marker(text).is_some()) else { return false };
    let allowed = rewritten_of(text);
    let place = format!("HEAD:./{}", project.config.paths.baseline);
    let committed = Program::here(&project.root).bytes(&["cat-file", "blob", &place], None);
    sources.baseline = committed.ok().map(Arc::from);
    rewrite::record(sources, &allowed);
    true
}
