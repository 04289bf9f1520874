//! What is pending, run on one database.

use super::standing::{claim, require_ahead};
use super::wait::wait;
use crate::engine::history::{Author, Found};
use crate::engine::project::Project;
use crate::engine::runner::{Event, Sink};
use crate::engine::settle::{self, Settlement};
use crate::engine::target::Target;
use crate::engine::upgrade::{self, Job, Outcome, Work};
use crate::error::Result;
use crate::model::attic::given::OnConflict;
use crate::model::sources::Sources;
use crate::model::version::Version;
use std::time::{Duration, Instant};

/// How to apply.
pub struct ApplyOptions<'a> {
    /// Run the checks before anything else, too.
    pub check_first: bool,
    /// Wait so long for a server that is starting.
    pub wait: Option<Duration>,
    /// Only migrations up to this one.
    pub to: Option<Version>,
    /// Apply though the database has what the tree has not, or was applied from a newer commit.
    pub allow_behind: bool,
    /// What becomes of kept values that cannot be given back as they are.
    pub on_conflict: OnConflict,
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
    /// How long it took, without waiting for the server.
    pub seconds: f64,
}

/// Applies what is pending to one database, under its lock. Whether the tree is committed was asked before, by
/// [`super::require_committed`].
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
    if let Some(limit) = options.wait {
        wait(target, limit, sink).await?;
    }
    let start = Instant::now();
    settle::write(target, &project.config, options.settle).await?;
    let work = Work {
        project,
        sources,
        job: options.to.clone().map_or(Job::Apply, Job::ApplyTo),
        author: options.author,
        on_conflict: options.on_conflict,
        check_first: options.check_first,
        sink,
        begin: &|total| sink(Event::Total(total)),
    };
    let session = target.connect_to_write(&project.config).await?;
    let outcome = if target.selected.is_protected() && !options.allow_behind {
        let claim = target.explained(&session, claim(&session).await).await?;
        let judge = |found: &Found| require_ahead(project, sources, found, claim.as_deref());
        upgrade::run_judged(&work, target, session, &judge).await?
    } else {
        upgrade::run(&work, target, session).await?
    };
    let seconds = start.elapsed().as_secs_f64();
    Ok(Applied { database: target.describe(), environment: target.selected.name.clone(), outcome, seconds })
}
