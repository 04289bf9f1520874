//! What git knows of branches: which one is checked out, which one was before, and which have a migration.

use crate::engine::git::Program;
use crate::engine::project::Project;
use crate::model::checksum::Checksum;
use crate::model::migration::normalise;
use crate::model::plan::Applied;
use std::path::PathBuf;
use std::sync::Arc;

/// Commits in which an older text of a file is looked for.
const VERSIONS: usize = 200;
/// Branches that are named one by one.
const NAMED: usize = 5;

/// The branches of a project's repository. Where there is none, or git fails, nothing is known.
pub struct Refs {
    git: Option<Program>,
    migrations: String,
    upstream: String,
}

impl Refs {
    /// Of the repository around a project.
    pub fn of(project: &Project) -> Refs {
        Refs {
            git: project.git.as_ref().map(|_| Program::elsewhere(&project.root)),
            migrations: project.config.paths.migrations.clone(),
            upstream: project.config.git.upstream.clone(),
        }
    }

    fn text(&self, arguments: &[&str]) -> Option<String> {
        let text = self.git.as_ref()?.text(arguments).ok()?;
        Some(text.trim().to_owned()).filter(|text| !text.is_empty())
    }

    fn git_dir(&self) -> Option<PathBuf> {
        self.text(&["rev-parse", "--absolute-git-dir"]).map(PathBuf::from)
    }

    /// Whether a rebase is under way, in any of its forms.
    pub fn is_rebasing(&self) -> bool {
        let Some(folder) = self.git_dir() else { return false };
        ["rebase-merge", "rebase-apply"].iter().any(|name| folder.join(name).exists())
    }

    /// The branch that is checked out, or being rebased; none where HEAD is detached.
    pub fn current(&self) -> Option<String> {
        if let Some(branch) = self.text(&["symbolic-ref", "--quiet", "--short", "HEAD"]) {
            return Some(branch);
        }
        let folder = self.git_dir()?;
        ["rebase-merge", "rebase-apply"].iter().find_map(|name| {
            let head = std::fs::read_to_string(folder.join(name).join("head-name")).ok()?;
            head.trim().strip_prefix("refs/heads/").map(str::to_owned)
        })
    }

    /// The branch that was checked out before this one.
    pub fn previous(&self) -> Option<String> {
        let name = self.text(&["rev-parse", "--symbolic-full-name", "@{-1}"])?;
        name.strip_prefix("refs/heads/").map(str::to_owned)
    }

    /// The main branch: the one that `git.upstream` names, else `main` or `master`, whichever there is.
    pub fn main(&self) -> String {
        let upstream = self.text(&["rev-parse", "--symbolic-full-name", &self.upstream]);
        let named = upstream.as_deref().and_then(|name| name.strip_prefix("refs/remotes/")).and_then(|name| {
            let (_, branch) = name.split_once('/')?;
            (branch != "HEAD").then(|| branch.to_owned())
        });
        named.unwrap_or_else(|| {
            let exists =
                |name: &&str| self.text(&["rev-parse", "--verify", "--quiet", &format!("refs/heads/{name}")]).is_some();
            ["main", "master"].into_iter().find(exists).unwrap_or("main").to_owned()
        })
    }

    /// The local branches.
    pub fn local(&self) -> Vec<String> {
        let text = self.text(&["for-each-ref", "--format=%(refname:short)", "refs/heads"]).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// The branches, local ones first, whose tips have a file of this version.
    pub fn holders(&self, row: &Applied) -> Vec<String> {
        let pattern = format!(":(glob){}/**/{}_*.sql", self.migrations, row.version);
        let added = self.text(&["log", "--all", "--format=%H", "--diff-filter=AR", "--", &pattern]).unwrap_or_default();
        let mut holders: Vec<String> = Vec::new();
        for commit in added.lines() {
            let containing = format!("--contains={commit}");
            let list = ["for-each-ref", &containing, "--format=%(refname)", "refs/heads", "refs/remotes"];
            for name in self.text(&list).unwrap_or_default().lines() {
                let short = name.strip_prefix("refs/heads/").or_else(|| name.strip_prefix("refs/remotes/"));
                let Some(short) = short.filter(|short| !short.ends_with("/HEAD")) else { continue };
                if !holders.iter().any(|known| known == short) && self.has(name, &pattern) {
                    holders.push(short.to_owned());
                }
            }
        }
        holders
    }

    /// Whether a tip has a file that a pattern matches.
    fn has(&self, tip: &str, pattern: &str) -> bool {
        // `ls-tree` knows no patterns; a search for any line in the tree does.
        self.text(&["grep", "--name-only", "-e", "", tip, "--", pattern]).is_some()
    }

    /// The text of a file as it was in some commit, by its checksum.
    pub fn text_of(&self, path: &str, checksum: &Checksum) -> Option<Arc<str>> {
        let most = format!("--max-count={VERSIONS}");
        let commits = self.text(&["log", "--all", "--format=%H", &most, "--", path])?;
        commits.lines().find_map(|commit| {
            let bytes = self.git.as_ref()?.bytes(&["show", &format!("{commit}:./{path}")], None).ok()?;
            let text = normalise(path, &bytes).ok()?;
            (Checksum::of_text(&text) == *checksum).then(|| Arc::from(&*text))
        })
    }

    /// The tags, the newest first.
    pub fn tags(&self) -> Vec<String> {
        let text = self.text(&["tag", "--list", "--sort=-creatordate"]).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// Whether a file differs from what HEAD has.
    pub fn is_modified(&self, path: &str) -> bool {
        self.text(&["status", "--porcelain", "--", path]).is_some()
    }
}

/// "of branch side", "of the branches a, b and 3 more", "of no branch".
pub fn on_branches(branches: &[String]) -> String {
    match branches {
        [] => "of no branch".to_owned(),
        [one] => format!("of branch {one}"),
        many if many.len() > NAMED => {
            format!("of the branches {} and {} more", many[..NAMED].join(", "), many.len() - NAMED)
        }
        many => format!("of the branches {}", many.join(", ")),
    }
}
