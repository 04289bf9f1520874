//! A downgrade: the version or commit that a database is to go back to is found, the way is planned from what the version
//! table keeps, judged by the guard, and run.
//!
//! What goes is [`crate::model::reconcile`]'s rule, how it goes the runner's. Nothing is checked out, and no file written.

mod destination;
mod rehearsal;
mod run;
mod texts;
mod upward;

pub use destination::Destination;
pub use rehearsal::{Rehearsed, rehearse};
pub use run::run;
pub use texts::texts;
pub use upward::{upward, version_here};

use crate::engine::project::Project;
use crate::engine::upgrade::{Job, Work};
use crate::error::Result;
use crate::model::plan::{self, Downgrade, History, Plan, PlanOptions};
use crate::model::reconcile::{Absent, Goal, Texts, way_down};
use crate::model::sources::Sources;

/// What somebody asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Where it goes.
    pub goal: Goal,
    /// The repeatable files that run after it are of another time than the schema.
    pub lenient: bool,
    /// Texts, as they ran, of repeatable files whose objects may stand in the way.
    pub ran: Absent,
    /// Those of files that the commit does not have.
    pub absent: Absent,
    /// `--plan`.
    pub given: Option<String>,
}

/// Plans a downgrade.
///
/// # Errors
/// A migration on the way cannot be taken back.
pub fn plan_for(
    work: &Work<'_>,
    request: &Request,
    history: &History,
    texts: &Texts,
    options: &PlanOptions,
) -> Result<Plan> {
    let way = way_down(&request.goal, work.sources, history, texts, &request.ran, &request.absent);
    // What is wrong with the files of the checkout is no matter of a commit's.
    let here = if way.stuck.is_empty() { Sources::default() } else { work.project.sources().unwrap_or_default() };
    let down = Downgrade { way: &way, sources: work.sources, here: &here, ran: &request.ran, lenient: request.lenient };
    plan::plan_down(&down, history, options)
}

/// The work of a downgrade.
pub fn job(destination: &Destination, given: Option<String>) -> Job {
    Job::Downgrade(Box::new(Request { given, ..destination.request.clone() }))
}

/// Whether a project's repository can be asked.
fn has_git(project: &Project) -> bool {
    project.git.is_some()
}
