//! What is pending, run on one database.

use crate::engine::history::Author;
use crate::engine::project::Project;
use crate::engine::runner::{Event, Sink};
use crate::engine::settle::{self, Settlement};
use crate::engine::target::Target;
use crate::engine::upgrade::{self, Job, Outcome, Work};
use crate::error::Result;
use crate::model::sources::Sources;

/// How to apply.
pub struct ApplyOptions<'a> {
    /// Run the checks before anything else, too.
    pub check_first: bool,
    /// What a person says of interrupted statements.
    pub settle: &'a [Settlement],
    /// Written beside the rows; asked for only where something is written.
    pub author: &'a dyn Fn() -> Author,
}

/// What a run of `apply` did to one database.
#[derive(Debug)]
pub struct Applied {
    /// The database, as messages name it.
    pub database: String,
    /// The environment that was selected.
    pub environment: String,
    /// What was done.
    pub outcome: Outcome,
}

/// Applies what is pending to one database, under its lock.
///
/// # Errors
/// A script or check fails, or the guard refuses.
pub async fn apply(
    project: &Project,
    sources: &Sources,
    target: &Target,
    options: &ApplyOptions<'_>,
    sink: Sink<'_>,
) -> Result<Applied> {
    settle::write(target, &project.config, options.settle).await?;
    let work = Work {
        project,
        sources,
        job: Job::Apply,
        author: options.author,
        check_first: options.check_first,
        sink,
        begin: &|total| sink(Event::Total(total)),
    };
    let session = target.connect_to_write(&project.config).await?;
    let outcome = upgrade::run(&work, target, session).await?;
    Ok(Applied { database: target.describe(), environment: target.selected.name.clone(), outcome })
}
