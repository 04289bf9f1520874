//! The published state that a judgement is measured against: what the judged files and `git.upstream` have in common.
//!
//! Finds the commit cheaply and reads its files only on request. What is not there because a clone is shallow is an
//! error that says what to fetch: a rule that silently judges nothing is worse than none.

use crate::engine::git::{Git, Parents, Source};
use crate::engine::project::Project;
use crate::error::{Error, Result};
use crate::model::config::Config;
use crate::model::published::Base;

/// Names that a remote's main branch usually has, for a remote whose HEAD was never fetched.
const MAIN: [&str; 2] = ["main", "master"];

/// Where upstream and what is judged part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upstream {
    /// What names it, for messages.
    pub name: String,
    /// The commit that both have.
    pub base: String,
    /// The newest published commit, where it is another one.
    pub tip: Option<String>,
}

impl Upstream {
    /// What a verdict depends on: one for one upstream says nothing of another.
    pub fn key(upstream: Option<&Upstream>) -> String {
        upstream
            .map_or_else(String::new, |found| format!("{} {}", found.base, found.tip.as_deref().unwrap_or(&found.base)))
    }
}

/// Reads the published state that a judgement of `source` is measured against; `None` where nothing is published. With
/// `since` what that revision has counts as published.
///
/// # Errors
/// See [`find`]; or the files there cannot be read.
pub fn base(project: &Project, source: &Source, since: Option<&str>) -> Result<Option<Base>> {
    match find(project, &project.config(source)?, source, since)? {
        Some(upstream) => read(project, &upstream),
        None => Ok(None),
    }
}

/// Finds the published state, without reading its files; `config` is that of the judged files.
///
/// # Errors
/// `since` names no commit (exit status 2); or upstream or the history that leads to it is not in this clone.
pub fn find(project: &Project, config: &Config, source: &Source, since: Option<&str>) -> Result<Option<Upstream>> {
    let Some(git) = &project.git else { return Ok(None) };
    let (name, tip) = match since {
        Some(rev) => {
            let commit = git
                .commit(rev)?
                .ok_or_else(|| Error::usage(format!("cannot find commit {rev}")).help("`git log` lists commits."))?;
            (rev.to_owned(), commit)
        }
        None => match tip(git, &config.git.upstream)? {
            Some(found) => found,
            None => return Ok(None),
        },
    };
    let judged = judged(project, git, source)?;
    let Some(base) = git.merge_base(&tip, &judged.commits)? else {
        return if git.is_shallow() && !judged.commits.is_empty() { Err(shallow(&name)) } else { Ok(None) };
    };
    let upstream = |base: String, tip: Option<String>| Some(Upstream { name: name.clone(), base, tip });
    if judged.is_commit && judged.commits == [base.clone()] && since.is_none() {
        return match git.parents(&base)? {
            Parents::Known(parents) => Ok(parents.into_iter().next().and_then(|parent| upstream(parent, None))),
            Parents::Shallow => Err(shallow(&name)),
        };
    }
    let tip = (tip != base).then_some(tip);
    Ok(upstream(base, tip))
}

/// What is judged, as git's history sees it.
struct Judged {
    commits: Vec<String>,
    /// It is the commit itself, and not a commit that is yet to be made on top.
    is_commit: bool,
}

fn judged(project: &Project, git: &Git, source: &Source) -> Result<Judged> {
    let commit = match source {
        Source::Rev(rev) => git.commit(rev)?,
        // An index without a change is what HEAD is.
        Source::Index if git.merge_heads()?.is_empty() && !project.staged()? => git.commit("HEAD")?,
        Source::Index | Source::WorkTree => None,
    };
    Ok(match commit {
        Some(commit) => Judged { commits: vec![commit], is_commit: true },
        None => Judged { commits: git.next_parents()?, is_commit: false },
    })
}

/// The newest published commit with its name; `None` where nothing was ever published.
fn tip(git: &Git, upstream: &str) -> Result<Option<(String, String)>> {
    if let Some(commit) = git.commit(upstream)? {
        return Ok(Some((upstream.to_owned(), commit)));
    }
    let remotes = git.remotes()?;
    let remote = remotes.iter().find(|name| upstream.strip_prefix(name.as_str()).is_some_and(|r| r.starts_with('/')));
    if let Some(remote) = remote
        && upstream == format!("{remote}/HEAD")
    {
        // A remote's HEAD is set by `git clone`; neither `git remote add` nor the checkout of a CI does it.
        let mut found = Vec::new();
        for branch in MAIN {
            let name = format!("{remote}/{branch}");
            found.extend(git.commit(&name)?.map(|commit| (name, commit)));
        }
        if found.len() == 1 {
            return Ok(found.pop());
        }
    }
    let known = remote.map_or(Ok(!remotes.is_empty()), |remote| git.knows_branches_of(remote))?;
    if !known && !git.is_shallow() {
        return Ok(None);
    }
    let fault = Error::failed(format!("cannot tell which migrations are published: {upstream} is not in this clone"));
    Err(match remote.and_then(|remote| Some((remote, upstream.strip_prefix(&format!("{remote}/"))?))) {
        Some((remote, "HEAD")) => fault.help(format!(
            "`git fetch {remote}` and `git remote set-head {remote} --auto` get it; or set `git.upstream` in dbbuild.toml."
        )),
        Some((remote, branch)) => fault.help(format!(
            "`git fetch {remote} {branch}:refs/remotes/{remote}/{branch}` gets it; or set `git.upstream` in dbbuild.toml."
        )),
        None => fault.help("fetch it, or set `git.upstream` in dbbuild.toml, such as \"origin/main\"."),
    })
}

fn shallow(name: &str) -> Error {
    Error::failed(format!("cannot tell which migrations are new: this shallow clone ends before {name} was left"))
        .help("`git fetch --unshallow` gets the rest of the history; in a CI fetch all of it (`fetch-depth: 0`).")
}

/// Reads the files of the published state; `None` where they hold no project yet.
///
/// # Errors
/// They cannot be read.
pub fn read(project: &Project, upstream: &Upstream) -> Result<Option<Base>> {
    let place = |commit: &str| Source::Rev(commit.to_owned());
    let Some(tree) = project.tree_if_any(&place(&upstream.base))? else { return Ok(None) };
    let (mut sources, faults) = tree.sound_sources(project)?;
    if !faults.is_empty() {
        sources.baseline = None;
    }
    let newest = upstream.tip.as_ref().map_or(Ok(None), |tip| project.tree_if_any(&place(tip)))?;
    let ahead = match newest {
        Some(newest) => newest.without(&tree).sound_sources(project)?.0.all_migrations().into_iter().cloned().collect(),
        None => Vec::new(),
    };
    let short: String = upstream.base.chars().take(10).collect();
    let name = format!("{} ({short})", upstream.name);
    let tip = upstream.tip.clone().unwrap_or_else(|| upstream.base.clone());
    Ok(Some(Base { commit: upstream.base.clone(), name, config: tree.config, sources, tip, ahead }))
}
