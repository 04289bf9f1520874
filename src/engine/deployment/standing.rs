//! May this tree be deployed on this database? Not one that was never committed, and not one that is behind.

use super::drift::CLAIM;
use super::wanted::short;
use crate::engine::git::Git;
use crate::engine::history::Found;
use crate::engine::project::Project;
use crate::engine::session::Session;
use crate::error::{Error, Result};
use crate::model::sources::Sources;
use crate::model::squash;

/// What was deployed must be found again: the files must be those of HEAD. Without a repository nobody can tell.
///
/// It asks git alone, so that it is asked once for a run over many databases.
///
/// # Errors
/// They are not.
pub fn require_committed(project: &Project) -> Result<()> {
    let Some(git) = &project.git else { return Ok(()) };
    let differ = match project.commit() {
        Some(commit) if !commit.ends_with('+') => return Ok(()),
        Some(_) => project.changed_paths(),
        None if git.head().is_none() => vec!["nothing was ever committed".to_owned()],
        None => return Ok(()),
    };
    const SHOWN: usize = 10;
    let mut lines: Vec<String> = differ.iter().take(SHOWN).cloned().collect();
    if differ.len() > SHOWN {
        lines.push(format!("and {} more", differ.len() - SHOWN));
    }
    Err(Error::failed("the files differ from HEAD, and a protected environment gets only what is committed")
        .detail(lines.join("\n"))
        .help("commit or undo the changes; `--allow-dirty` applies them, and marks the recorded commit with `+`. Nothing was run."))
}

/// What `apply` would refuse, as a plan tells it.
pub(super) fn objection(refused: &Error, leave: &str) -> String {
    const SHOWN: usize = 3;
    let lines: Vec<&str> = refused.details().iter().flat_map(|text| text.lines()).collect();
    let more = if lines.len() > SHOWN { ", …" } else { "" };
    let named = match lines.is_empty() {
        true => String::new(),
        false => format!(": {}{more}", lines.iter().take(SHOWN).copied().collect::<Vec<_>>().join(", ")),
    };
    format!("`dbbuild apply` would refuse this without `{leave}`: {}{named}", refused.message())
}

/// What it would refuse because the tree is not committed; asks git alone, as [`require_committed`].
pub fn uncommitted(project: &Project) -> Option<String> {
    require_committed(project).err().map(|refused| objection(&refused, "--allow-dirty"))
}

/// The commit that a database claims, without what stands beside it.
///
/// # Errors
/// The server said no.
pub(super) async fn claim(session: &Session) -> Result<Option<String>> {
    let installed =
        session.query_rows("SELECT 1 WHERE pg_catalog.to_regclass('dbbuild.migration') IS NOT NULL").await?;
    if installed.is_empty() {
        return Ok(None);
    }
    let claim = session.query_rows(CLAIM).await?.into_iter().flatten().next().flatten();
    Ok(claim.map(|commit| commit.trim_end_matches('+').to_owned()))
}

/// A tree that is behind a database would run old files over new ones.
///
/// # Errors
/// The database has migrations that the tree has not, or was applied from a descendant of HEAD.
pub(super) fn require_ahead(project: &Project, sources: &Sources, found: &Found, claim: Option<&str>) -> Result<()> {
    let history = &*squash::view(sources, &found.history)?;
    let unknown: Vec<String> = history
        .applied
        .iter()
        .filter(|row| sources.migration(&row.version).is_none())
        .map(|row| format!("{}_{}", row.version, row.name))
        .collect();
    let known = claim.zip(project.git.as_ref()).and_then(|(claim, git)| Some((git, git.commit(claim).ok()??)));
    let behind = known.as_ref().is_some_and(|(git, claim)| is_behind(git, claim));
    if unknown.is_empty() && !behind {
        return Ok(());
    }
    let from = match (&known, claim) {
        (Some((git, claim)), _) => format!("it was last applied from {}", git.describe_commit(claim)),
        (None, Some(claim)) => format!("it was last applied from {}, which is not here", short(claim)),
        (None, None) => "no commit is recorded there".to_owned(),
    };
    let what = match (unknown.is_empty(), &known) {
        (false, _) => "has migrations that no file here has",
        (true, _) => "was applied from a newer commit than HEAD",
    };
    Err(Error::failed(format!("the tree is behind {}: the database {what}", found.facts.description))
        .cause(from)
        .detail(unknown.join("\n"))
        .help(match claim {
            Some(claim) => format!(
                "bring {} in (`git pull`, or `git fetch` and a merge), or go back with `dbbuild downgrade`; `--allow-behind` applies all the same. Nothing was run.",
                short(claim)
            ),
            None => "bring the files in that have them; `--allow-behind` applies all the same. Nothing was run.".to_owned(),
        }))
}

/// Whether HEAD is an older state of what was applied. Sides that parted are judged by their migrations alone: a commit
/// that was rebased or squashed is in no history.
fn is_behind(git: &Git, claim: &str) -> bool {
    let Some(head) = git.head() else { return false };
    head != claim && git.merge_base(&head, &[claim.to_owned()]).ok().flatten().is_some_and(|base| base == head)
}
