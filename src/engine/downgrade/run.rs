//! From a wish to a downgraded database: read, plan, judge, lock, rehearse where a proof is wanted, clear, run.

use super::Request;
use crate::engine::history;
use crate::engine::runner::{self, Event, Report, RunOptions};
use crate::engine::session::Session;
use crate::engine::target::Target;
use crate::engine::upgrade::{Outcome, Work, plan_for, texts_for};
use crate::error::Result;
use crate::model::guard::{self, Cleared, Proof};
use crate::model::plan::{Plan, short};
use crate::model::review;
use std::path::PathBuf;

/// Does it.
///
/// # Errors
/// The guard refuses, a migration cannot be taken back, or a step fails; the message says what state was left.
pub async fn run(work: &Work<'_>, request: &Request, target: &Target, session: Session) -> Result<Outcome> {
    let found = target.read(&session).await?;
    let plan = plan_for(work, target, &found, &texts_for(work, &found, &session).await?)?;
    if plan.is_empty() {
        let report = Report { notes: plan.notes, ..Report::default() };
        return Ok(Outcome { report, changed: false, applied: found.history.applied.len(), session });
    }
    if !found.may_write {
        return Err(history::may_not_write(&session, &found).await);
    }
    guard::judge_downgrade(&found.facts, &target.selected, request.given.as_deref())?;
    review::plan(&plan)?;
    let lock = target.lock(&work.project.config, &|what| (work.sink)(Event::Waiting(what.to_owned()))).await?;
    lock.outlast_orphans(&session).await?;
    // What was found without the lock may be old by now.
    let found = target.read(&session).await?;
    let plan = plan_for(work, target, &found, &texts_for(work, &found, &session).await?)?;
    let cleared = clear(work, request, target, &found, plan).await?;
    (work.begin)(cleared.plan().steps.len());
    let options = RunOptions {
        lock_timeout: work.project.config.lock.timeout,
        author: (work.author)(),
        bin_dir: work.project.config.postgres.bin_dir.as_ref().map(PathBuf::from),
        lock: &lock,
        found: None,
        measure: false,
        sink: work.sink,
        on_conflict: work.on_conflict,
    };
    let (report, session) = runner::run(&cleared, session, &options).await?;
    let applied = history::count(&session).await?;
    let changed = !(report.taken_back.is_empty() && report.removed.is_empty() && report.files.is_empty());
    Ok(Outcome { report, changed, applied, session })
}

/// Where a fingerprint was given, or is wanted, the plan is rehearsed now, since what it loses counts.
async fn clear(
    work: &Work<'_>,
    request: &Request,
    target: &Target,
    found: &history::Found,
    plan: Plan,
) -> Result<Cleared> {
    if request.given.is_none() {
        return guard::clear(plan, &found.facts, &target.selected);
    }
    let losses: Vec<String> = super::rehearse(work, target, &plan).await?.losses();
    let fingerprint = short(&plan.downgrade_fingerprint(&request.goal, &losses));
    guard::clear_downgrade(
        plan,
        &found.facts,
        &target.selected,
        &Proof { given: request.given.clone(), fingerprint, losses },
    )
}
