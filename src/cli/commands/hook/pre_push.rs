//! `pre-push`: no unproved tip leaves. Rebase, cherry-pick and revert run no `pre-commit`; here their results are judged.

use super::pre_commit;
use crate::cli::{Context, Done};
use crate::engine::git::{Program, Source};
use crate::engine::project::Project;
use crate::error::{Error, OrFailed, Result};

/// A tip that is pushed.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Tip {
    /// As it is called here: `refs/heads/main`.
    name: String,
    /// Its object.
    id: String,
}

/// What git says about a push.
pub(super) struct Push {
    /// The remote's name, or its address where it has none.
    remote: String,
    tips: Vec<Tip>,
}

impl Push {
    /// git gives the remote's name and address, and on stdin a line for each ref that changes.
    ///
    /// # Errors
    /// stdin cannot be read.
    pub(super) fn read(given: &[String]) -> Result<Push> {
        let input =
            std::io::read_to_string(std::io::stdin()).or_failed(|| "cannot read what git says about the push")?;
        let mut tips = tips(&input);
        if tips.is_empty() {
            tips.extend(framework_tip());
        }
        let remote = given.first().cloned().or_else(|| variable("PRE_COMMIT_REMOTE_NAME"));
        Ok(Push { remote: remote.unwrap_or_default(), tips })
    }
}

/// Judges each tip.
///
/// # Errors
/// Something that is pushed is not proved.
pub(super) async fn run(context: &Context, push: &Push) -> Result<Done> {
    if push.tips.is_empty() {
        return Ok(Done::Well);
    }
    let project = context.project()?;
    let git = Program::elsewhere(&project.root);
    // An address has no tracking branches, and may hold a password, which belongs into no child's arguments.
    let known = project.git()?.remotes()?.contains(&push.remote);
    let mut faults = Vec::new();
    for tip in &push.tips {
        if !holds_project(&project, tip)? || known && is_there_already(&git, &push.remote, tip) {
            continue;
        }
        if let Err(fault) = pre_commit::judge(context, &project, &Source::Rev(tip.id.clone())).await {
            let short = git.text(&["rev-parse", "--short=10", &tip.id]).unwrap_or_else(|_| tip.id.clone());
            let refusal = Error::failed(format!("refused to push {} at {short}", tip.name)).help(format!(
                "nothing was pushed. Mend it in a commit of its own, or amend; `dbbuild verify --rev {short}` judges it again."
            ));
            faults.extend([refusal, fault]);
        }
    }
    Error::all(faults).map_or(Ok(Done::Well), Err)
}

/// `<local ref> <local object> <remote ref> <remote object>`, a line each; zeros as local object delete. Each object is
/// named once. A local ref may be any revision, with spaces in it.
fn tips(input: &str) -> Vec<Tip> {
    let mut tips: Vec<Tip> = Vec::new();
    for line in input.lines() {
        let mut words = line.rsplitn(4, ' ').skip(2);
        let (Some(id), Some(name)) = (words.next(), words.next()) else { continue };
        let deletes = id.bytes().all(|b| b == b'0');
        if !deletes && !tips.iter().any(|tip| tip.id == id) {
            tips.push(Tip { name: name.to_owned(), id: id.to_owned() });
        }
    }
    tips
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// The pre-commit framework reads stdin itself and tells in variables what is pushed; where the whole history is new, it
/// gives only the branch.
fn framework_tip() -> Option<Tip> {
    let branch = variable("PRE_COMMIT_LOCAL_BRANCH");
    let id = variable("PRE_COMMIT_TO_REF").or_else(|| branch.clone())?;
    Some(Tip { name: branch.unwrap_or_else(|| id.clone()), id })
}

/// Whether the tip leads to a tree with the project in it: a branch of web pages and a tag on a blob do not.
fn holds_project(project: &Project, tip: &Tip) -> Result<bool> {
    let git = Program::elsewhere(&project.root);
    let tree = git.output(&["rev-parse", "--quiet", "--verify", &format!("{}^{{tree}}", tip.id)], None)?;
    if !tree.status.success() {
        return Ok(false);
    }
    let config = std::slice::from_ref(&project.config_name);
    Ok(!project.git()?.list(&Source::Rev(tip.id.clone()), config)?.is_empty())
}

/// Whether a branch of that remote, as last seen, holds the tip: then the push brings nothing new.
fn is_there_already(git: &Program, remote: &str, tip: &Tip) -> bool {
    let remotes = format!("--remotes={}", remote.replace(['*', '?', '[', '\\'], "?"));
    let new = git.text(&["rev-list", "--max-count=1", &format!("{}^0", tip.id), "--not", &remotes]);
    new.is_ok_and(|new| new.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_tip_is_named_once_and_deletions_are_none() {
        let (one, two, zero) = ("1".repeat(40), "2".repeat(40), "0".repeat(40));
        let input = format!(
            "refs/heads/a {one} refs/heads/a {zero}\nrefs/heads/b {one} refs/heads/b {two}\n\
             (delete) {zero} refs/heads/c {two}\nHEAD^{{/a b}} {two} refs/heads/d {zero}\n"
        );
        let found: Vec<_> = tips(&input).into_iter().map(|tip| (tip.name, tip.id)).collect();
        assert_eq!(found, [("refs/heads/a".to_owned(), one), ("HEAD^{/a b}".to_owned(), two)]);
        assert!(tips("").is_empty());
    }
}
