//! `dbbuild apply` over many databases.

use super::{Answer, ManyArgs, end, grouped, tally, work};
use crate::cli::commands::apply;
use crate::cli::output::count;
use crate::cli::{Context, Done, Events};
use crate::engine::deployment::{self, ApplyOptions};
use crate::engine::fleet::{Fate, Fleet, Member, Pace};
use crate::engine::project::Project;
use crate::engine::runner::{Event, Report};
use crate::error::{Error, Result};
use crate::model::sources::Sources;
use serde_json::Value;
use std::collections::BTreeSet;

/// What is kept of one database: no session, since there are many.
struct Kept {
    changed: bool,
    report: Report,
    applied: usize,
    json: Value,
}

/// Applies what is pending to each.
///
/// # Errors
/// Something failed in one of them.
pub async fn apply(
    context: &Context,
    project: &Project,
    sources: &Sources,
    fleet: &Fleet,
    options: &ApplyOptions<'_>,
    many: (ManyArgs, bool),
) -> Result<Done> {
    if !options.settle.is_empty() && fleet.members.len() != 1 {
        return Err(Error::usage("`--settle` is about one database").help("name it: `--target NAME`."));
    }
    let (ManyArgs { jobs }, keep_going) = many;
    let pace = Pace { jobs, keep_going, canaries: true };
    let json = context.output.is_json();
    let task = |member: &Member, tell: super::Teller| {
        let target = member.target.clone();
        let events = Events::new(&context.output, &target, Some(&member.name));
        async move {
            events.begin();
            let sink = |event: Event| {
                events.event(&event);
                tell(event);
            };
            let applied = deployment::apply(project, sources, &target, options, &sink).await;
            let applied = applied.inspect_err(|error| events.failed(error))?;
            events.end(if applied.outcome.changed { "applied" } else { "up_to_date" });
            let value = if json { apply::json(&applied) } else { Value::Null };
            let outcome = applied.outcome;
            outcome.session.close().await;
            let (changed, report, applied) = (outcome.changed, outcome.report, outcome.applied);
            Ok(Kept { changed, report, applied, json: value })
        }
    };
    let verbose = context.globals.verbose;
    let answer = |_: &Member, done: &Kept| Answer {
        status: if done.changed { "applied" } else { "up to date" },
        line: (done.changed || verbose).then(|| say(done)),
        json: done.json.clone(),
    };
    let (outcome, fates) = work(context, fleet, "apply", pace, task, answer).await;
    if context.output.draws() && !verbose {
        let done = |done: &Kept| done.changed.then(|| say(done));
        for group in grouped(fleet, &fates, done) {
            if let Some(said) = &group.key {
                context.output.line(&format!("{}: {said} ({})", count(group.names.len(), "database"), group.names()));
            }
        }
    }
    let mut said = BTreeSet::new();
    for fate in &fates {
        let Fate::Done(done) = fate else { continue };
        // What is worth a note of the files is the same in all.
        done.report.notes.iter().filter(|note| said.insert((*note).clone())).for_each(|note| context.output.note(note));
    }
    context.output.line(&tally(fleet, &outcome, &["applied", "up to date", "failed", "not begun"]));
    end(outcome, false)
}

/// "applied 1 migration, ran 2 files; it has 43".
fn say(done: &Kept) -> String {
    if !done.changed {
        return format!("up to date: {}", count(done.applied, "migration"));
    }
    let report = &done.report;
    let mut parts = Vec::new();
    if !report.migrations.is_empty() {
        parts.push(format!("applied {}", count(report.migrations.len(), "migration")));
    }
    if !report.files.is_empty() {
        parts.push(format!("ran {}", count(report.files.len(), "file")));
    }
    if !report.skipped.is_empty() {
        parts.push(format!("skipped {}", count(report.skipped.len(), "migration")));
    }
    if parts.is_empty() {
        parts.push("brought up".to_owned());
    }
    format!("{}; it has {}", parts.join(", "), done.applied)
}
