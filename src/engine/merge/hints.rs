//! What git lets slip of the commits that it merges while it calls a driver: variables, the lists of a rebase, stashes.
//!
//! Only where to look first. Whether a commit is meant shows in its content.

use crate::engine::git::Program;
use crate::error::Result;
use std::fs;

/// Revisions that may exist or not.
#[derive(Debug, Default)]
pub(super) struct Hints {
    /// Heads that are merged into HEAD.
    pub merged: Vec<String>,
    /// Commits that are picked, reverted or taken from the stash.
    pub picked: Vec<String>,
}

/// Files of git's directory that hold commits.
const FILES: [&str; 6] = [
    "rebase-merge/done",
    "sequencer/todo",
    "rebase-apply/original-commit",
    "rebase-merge/autostash",
    "rebase-apply/autostash",
    "MERGE_AUTOSTASH",
];

/// Reads them all.
///
/// # Errors
/// The git program cannot be run.
pub(super) fn read(git: &Program) -> Result<Hints> {
    let mut hints = Hints::default();
    for (name, _) in std::env::vars_os() {
        if let Some(id) = name.to_str().and_then(|name| name.strip_prefix("GITHEAD_")) {
            hints.merged.push(id.to_owned());
        }
    }
    let mut arguments = vec!["rev-parse"];
    arguments.extend(FILES.iter().flat_map(|file| ["--git-path", file]));
    let places = git.text(&arguments)?;
    for (file, place) in FILES.iter().zip(places.lines()) {
        let Ok(text) = fs::read_to_string(git.folder().join(place)) else { continue };
        let mut lines = text.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#'));
        match *file {
            "rebase-merge/done" => hints.command(lines.next_back().unwrap_or_default()),
            "sequencer/todo" => hints.command(lines.next().unwrap_or_default()),
            _ => hints.picked.extend(lines.next().map(str::to_owned)),
        }
    }
    hints.picked.extend(["REBASE_HEAD", "CHERRY_PICK_HEAD", "REVERT_HEAD", "refs/stash"].map(str::to_owned));
    Ok(hints)
}

impl Hints {
    /// A line of a rebase's or sequencer's list: `pick ID title`, `fixup -C ID`, `merge -C ID label # title`.
    fn command(&mut self, line: &str) {
        let mut words = line.split_whitespace().take_while(|word| *word != "#").filter(|word| !word.starts_with('-'));
        match words.next() {
            Some("merge" | "m") => self.merged.extend(words.map(|label| format!("refs/rewritten/{label}"))),
            Some(_) => self.picked.extend(words.next().map(str::to_owned)),
            None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_commands_of_a_rebase() {
        let mut hints = Hints::default();
        for line in ["pick 1a2b One more", "fixup -C 3c4d # x", "merge -C 5e6f side # Merge side", "label onto", ""] {
            hints.command(line);
        }
        assert_eq!(hints.picked, ["1a2b", "3c4d", "onto"]);
        assert_eq!(hints.merged, ["refs/rewritten/5e6f", "refs/rewritten/side"]);
    }
}
