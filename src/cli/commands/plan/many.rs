//! `dbbuild plan` over many databases: each plan once, with the databases that it is for.

use super::sentence;
use crate::cli::many::{Answer, ManyArgs, end, grouped, missing, tally, work};
use crate::cli::output::count;
use crate::cli::{Context, Done};
use crate::engine::deployment::{self, PlanRequest, Planned};
use crate::engine::fleet::{Fleet, Member};
use crate::engine::project::Project;
use crate::error::Result;
use crate::model::sources::Sources;

/// Plans a run on each.
///
/// # Errors
/// The sources do not fit one of them, or the guard would refuse it.
pub async fn plan(
    context: &Context,
    project: &Project,
    sources: &Sources,
    fleet: &Fleet,
    request: PlanRequest,
    many: ManyArgs,
) -> Result<Done> {
    let pace = many.pace();
    let request = PlanRequest { apply: true, ..request };
    let task = |member: &Member, _| {
        let (member, request) = (member.clone(), request.clone());
        async move {
            let planned = deployment::plan(project, sources, &member.target, request).await?;
            match planned.refusal {
                Some(refusal) => Err(refusal),
                None if !planned.exists => Err(missing(&member)),
                None => Ok(planned),
            }
        }
    };
    let json = context.output.is_json();
    let answer = |_: &Member, planned: &Planned| Answer {
        status: if planned.is_empty { "up to date" } else { "pending" },
        line: None,
        json: if json { super::json(planned) } else { serde_json::Value::Null },
    };
    let (outcome, fates) = work(context, fleet, "plan", pace, task, answer).await;
    for group in grouped(fleet, &fates, lines) {
        let (number, what) = (count(group.names.len(), "database"), what(group.first));
        context.output.answer(&format!("{number}: {what} ({})", group.names()));
        group.key.iter().for_each(|line| context.output.answer(line));
    }
    context.output.answer(&tally(fleet, &outcome, &["pending", "up to date", "failed", "broken off", "not begun"]));
    end(context, outcome, false)
}

/// The steps and locks, without sizes, which are each database's own.
fn lines(planned: &Planned) -> Vec<String> {
    let mut lines: Vec<String> = planned.preview.notes.iter().map(|note| format!("      note: {note}")).collect();
    for (n, step) in planned.preview.steps.iter().enumerate() {
        if planned.is_empty {
            break;
        }
        lines.push(format!("{:>4}  {}", n + 1, sentence(step)));
        lines.extend(step.locks.iter().map(|lock| format!("        {} on {}", lock.lock, lock.table)));
    }
    lines
}

/// "1 migration, 2 files".
fn what(planned: &Planned) -> String {
    if planned.is_empty {
        return "nothing".to_owned();
    }
    let of = |kinds: &[&str]| planned.preview.steps.iter().filter(|step| kinds.contains(&step.kind)).count();
    let (migrations, files) = (of(&["migration"]), of(&["repeatable", "init", "testdata", "baseline"]));
    let parts = [(migrations, "migration"), (files, "file")];
    let parts: Vec<String> = parts.iter().filter(|(n, _)| *n > 0).map(|(n, noun)| count(*n, noun)).collect();
    if parts.is_empty() { "1 step".to_owned() } else { parts.join(", ") }
}
