//! Who runs, for the version table: what was given, else what the pipeline tells, else the user of the operating system.

use crate::engine::history::Author;
use crate::engine::project::Project;
use crate::engine::session::environ;
use crate::model::provenance::{Provenance, without_account};
use nix::unistd::{Uid, User};

/// What somebody says of the run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Given {
    /// The commit.
    pub commit: Option<String>,
    /// The run of a pipeline.
    pub pipeline: Option<String>,
    /// Who started it.
    pub by: Option<String>,
}

/// What is written beside each row. The commit is that of the repository; a pipeline's word on it counts where there is
/// none.
pub fn author(project: &Project, given: &Given) -> Author {
    let told = Provenance::of(&environ::of_process());
    let filled = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    Author {
        commit: filled(&given.commit).or_else(|| match project.git {
            Some(_) => project.commit(),
            None => told.commit,
        }),
        pipeline: filled(&given.pipeline).map(|text| without_account(&text)).or(told.pipeline),
        run_by: filled(&given.by).or(told.by).or_else(|| Some(user())),
    }
}

/// The user of the operating system; a number where a container's user has no name.
fn user() -> String {
    let uid = Uid::effective();
    User::from_uid(uid).ok().flatten().map_or_else(|| uid.to_string(), |user| user.name)
}
