//! `dbbuild drift` over many databases: the same differences once, with the databases that have them.

use crate::cli::many::{Answer, ManyArgs, Teller, end, grouped, tally, work};
use crate::cli::output::count;
use crate::cli::{Context, Done};
use crate::engine::deployment::{self, DriftRequest, Expected, short};
use crate::engine::fleet::{Fate, Fleet, Member};
use crate::engine::project::Project;
use crate::engine::runner::Event;
use crate::error::Result;
use serde_json::Value;
use std::collections::BTreeSet;

/// What is kept of one database; its catalogs are not.
struct Kept {
    against: String,
    differences: Vec<String>,
    notes: Vec<String>,
    json: Value,
}

/// Compares each with its baseline; status 3 where one differs.
///
/// # Errors
/// One of them cannot be compared; the others are.
pub async fn drift(
    context: &Context,
    project: &Project,
    fleet: &Fleet,
    request: &DriftRequest,
    many: ManyArgs,
) -> Result<Done> {
    let pace = many.pace();
    let expected = Expected::default();
    let json = context.output.is_json();
    let task = |member: &Member, tell: Teller| {
        let (target, expected) = (member.target.clone(), &expected);
        async move {
            let sink = |event: Event| match event {
                Event::Note(_) | Event::Waiting(_) | Event::Progress(_) | Event::Begin(_) => tell(event),
                _ => {}
            };
            let drifted = deployment::drift(project, &target, request, expected, &sink).await?;
            let commit =
                drifted.commit.as_deref().map_or_else(|| "the files here".to_owned(), |rev| short(rev).to_owned());
            Ok(Kept {
                against: format!("{} of {commit}", drifted.baseline),
                differences: drifted.differences.iter().map(ToString::to_string).collect(),
                json: if json { super::json(&drifted) } else { Value::Null },
                notes: drifted.notes,
            })
        }
    };
    let answer = |_: &Member, kept: &Kept| Answer {
        status: if kept.differences.is_empty() { "as its baseline" } else { "drifted" },
        line: None,
        json: kept.json.clone(),
    };
    let (outcome, fates) = work(context, fleet, "drift", pace, task, answer).await;
    show(context, fleet, &fates);
    context.output.answer(&tally(
        fleet,
        &outcome,
        &["drifted", "as its baseline", "failed", "broken off", "not begun"],
    ));
    let differs = outcome.count("drifted") > 0;
    end(context, outcome, differs)
}

fn show(context: &Context, fleet: &Fleet, fates: &[Fate<Kept>]) {
    let notes: BTreeSet<&String> = fates.iter().filter_map(Fate::done).flat_map(|kept| &kept.notes).collect();
    notes.iter().for_each(|note| context.output.note(note));
    for group in grouped(fleet, fates, |kept| (kept.differences.clone(), kept.against.clone())) {
        let (kept, number, named) = (group.first, count(group.names.len(), "database"), group.names());
        match kept.differences.len() {
            0 => context.output.answer(&format!("{number} as {} says ({named})", kept.against)),
            n => {
                let what = count(n, "difference");
                context.output.answer(&format!("{number} drifted from {}: {what} ({named})", kept.against));
                kept.differences.iter().for_each(|one| context.output.answer(&format!("  {one}")));
            }
        }
    }
}
