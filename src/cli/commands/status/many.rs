//! `dbbuild status` over many databases.

use crate::cli::many::{Answer, ManyArgs, end, grouped, tally, work};
use crate::cli::{Context, Done};
use crate::engine::deployment::{self, State, Status};
use crate::engine::fleet::{Fleet, Member};
use crate::engine::project::Project;
use crate::engine::switch::Refs;
use crate::error::Result;
use crate::model::sources::Sources;

/// Shows how they stand: those that stand alike in one line, or each with `--verbose`.
///
/// # Errors
/// One of them cannot be asked; the others are.
pub async fn status(
    context: &Context,
    project: &Project,
    sources: &Sources,
    fleet: &Fleet,
    many: ManyArgs,
    exit_code: bool,
) -> Result<Done> {
    let refs = Refs::of(project);
    let pace = many.pace();
    let task = |member: &Member, _| {
        let (target, refs) = (member.target.clone(), &refs);
        async move { deployment::status(project, sources, &target, refs).await }
    };
    let json = context.output.is_json();
    let answer = |_: &Member, status: &Status| Answer {
        status: if status.differs() { "pending" } else { "up to date" },
        line: None,
        json: if json { super::json(status) } else { serde_json::Value::Null },
    };
    let (outcome, fates) = work(context, fleet, "status", pace, task, answer).await;
    if context.globals.verbose {
        for (member, status) in fleet.members.iter().zip(&fates).filter_map(|(m, fate)| Some((m, fate.done()?))) {
            context.output.answer(&format!("{}: {}", member.name, say(status)));
        }
    } else {
        for group in grouped(fleet, &fates, say) {
            context.output.answer(&group.line());
        }
    }
    context.output.answer(&tally(fleet, &outcome, &["pending", "up to date", "failed", "broken off", "not begun"]));
    let differs = exit_code && outcome.count("pending") > 0;
    end(context, outcome, differs)
}

/// "marked production, 42 applied, 1 pending".
fn say(status: &Status) -> String {
    let mut parts = vec![status.mark.clone(), format!("{} applied", status.count(State::Applied))];
    let counts = [
        ("pending", status.pending()),
        ("changed", status.count(State::Changed)),
        ("unknown", status.count(State::Unknown)),
        ("files pending", status.files.len()),
    ];
    parts.extend(counts.iter().filter(|(_, number)| *number > 0).map(|(what, number)| format!("{number} {what}")));
    parts.join(", ")
}
