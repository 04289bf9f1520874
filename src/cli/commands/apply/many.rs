//! `dbbuild apply` over many databases.

use super::FELT;
use crate::cli::many::{Answer, Outcome, Teller, WriteManyArgs, end, grouped, tally, work};
use crate::cli::output::count;
use crate::cli::{Context, Done};
use crate::engine::deployment::{self, ApplyOptions};
use crate::engine::fleet::{Fate, Fleet, Member};
use crate::engine::project::Project;
use crate::engine::runner::Report;
use crate::error::{Error, Result};
use crate::model::sources::Sources;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::Duration;

/// What is kept of one database: no session, since there are many.
struct Kept {
    changed: bool,
    seconds: f64,
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
    many: WriteManyArgs,
) -> Result<Done> {
    if !options.settle.is_empty() && fleet.members.len() != 1 {
        return Err(Error::usage("`--settle` is about one database").help("name it: `--target NAME`."));
    }
    let pace = many.pace(true);
    let is_json = context.output.is_json();
    let task = |member: &Member, tell: Teller| {
        let target = member.target.clone();
        async move {
            let applied = deployment::apply(project, sources, &target, options, &tell).await?;
            let value = if is_json { super::json(&applied) } else { Value::Null };
            let (outcome, seconds) = (applied.outcome, applied.seconds);
            outcome.session.close().await;
            let (changed, report, applied) = (outcome.changed, outcome.report, outcome.applied);
            Ok(Kept { changed, seconds, report, applied, json: value })
        }
    };
    let verbose = context.globals.verbose;
    let answer = |_: &Member, done: &Kept| Answer {
        status: if done.changed { "applied" } else { "up to date" },
        line: (done.changed || verbose).then(|| say(done)),
        json: done.json.clone(),
    };
    let (mut outcome, fates) = work(context, fleet, "apply", pace, task, answer).await;
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
    show_costs(context, fleet, &fates, &mut outcome);
    context.output.line(&tally(fleet, &outcome, &["applied", "up to date", "failed", "broken off", "not begun"]));
    end(context, outcome, false)
}

/// How long all took, with the few databases that took longest or waited for locks of others.
fn show_costs(context: &Context, fleet: &Fleet, fates: &[Fate<Kept>], outcome: &mut Outcome) {
    const SHOWN: usize = 5;
    let waited = |kept: &Kept| kept.report.measures.iter().map(|one| one.waited).sum::<Duration>();
    let mut costs: Vec<(&str, &Kept)> =
        fleet.members.iter().zip(fates).filter_map(|(m, fate)| Some((m.name.as_str(), fate.done()?))).collect();
    costs.sort_by(|(_, a), (_, b)| b.seconds.total_cmp(&a.seconds));
    let took = outcome.took.as_secs_f64();
    outcome.summary["seconds"] = json!(took);
    outcome.summary["waited"] = json!(costs.iter().map(|(_, kept)| waited(kept)).sum::<Duration>().as_secs_f64());
    let one = |(name, kept): &(&str, &Kept)| json!({ "target": name, "seconds": kept.seconds, "waited": waited(kept).as_secs_f64() });
    outcome.summary["slowest"] = costs.iter().take(SHOWN).map(one).collect();
    let felt = |(_, kept): &&(&str, &Kept)| kept.seconds >= FELT || !waited(kept).is_zero();
    let felt: Vec<_> = costs.iter().filter(felt).take(SHOWN).collect();
    match felt.is_empty() {
        true if took < FELT => {}
        true => context.output.line(&format!("took {took:.1} s")),
        false => context.output.line(&format!("took {took:.1} s, the slowest databases first:")),
    }
    for (name, kept) in felt {
        let longest = kept.report.measures.iter().max_by_key(|one| one.waited).filter(|one| !one.waited.is_zero());
        let waited = longest.map_or_else(String::new, |one| {
            format!(" (waited {:.1} s for locks, the longest in {})", waited(kept).as_secs_f64(), one.path)
        });
        context.output.line(&format!("{:>9.3} s  {name}{waited}", kept.seconds));
    }
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
