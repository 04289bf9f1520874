//! The row of the merge driver: a real merge of two branches with a migration each, beside a proof of one migration.

use std::fs;
use std::process::Command;

use anyhow::Result;

use super::measure::{Measured, Side, alternate};
use super::scratch::{Lab, Repository};
use crate::workspace;

/// Merges as a user does, with git around the driver; no other hook runs.
pub fn merge_driver(lab: &Lab) -> Result<Measured> {
    let repository = lab.repository("merging", 1000)?;
    let baseline = || workspace::output(&mut repository.dbbuild(&["baseline"])).map(drop);
    workspace::output(&mut repository.dbbuild(&["hooks", "install"]))?;
    repository.git(&["config", "core.hooksPath", "/nowhere"])?;
    repository.git(&["config", "user.name", "bench"])?;
    repository.git(&["config", "user.email", "bench@example.com"])?;
    baseline()?;
    repository.commit("baseline")?;
    for (branch, number) in [("theirs", 1010), ("ours", 1000)] {
        repository.git(&["checkout", "-q", "-b", branch, "main"])?;
        repository.add_history(1, number)?;
        baseline()?;
        repository.commit(branch)?;
    }
    let ours = || {
        repository.git(&["reset", "-q", "--hard", "ours"])?;
        Ok(repository.git_command(&["merge", "-q", "-m", "both", "theirs"]))
    };
    let theirs = || -> Result<Command> {
        forget_verdicts(&repository);
        Ok(repository.dbbuild(&["verify", "--rev", "theirs"]))
    };
    repository.git(&["checkout", "-q", "-b", "merged"])?;
    alternate(lab.rounds, 1, &Side { prepare: &ours, accepted: &[0] }, &Side { prepare: &theirs, accepted: &[0] })
}

/// A verdict would answer at once; what is known of the migrations stays.
fn forget_verdicts(repository: &Repository<'_>) {
    let _ = fs::remove_dir_all(repository.path.join(".git/dbbuild/verdict"));
}
