//! `dbbuild env mark` over many databases.

use crate::cli::many::{Answer, Teller, WriteManyArgs, end, tally, work};
use crate::cli::{Context, Done};
use crate::engine::fleet::{Fleet, Member};
use crate::engine::mark::{self, Marked, Request};
use crate::engine::project::Project;
use crate::engine::runner::Event;
use crate::error::Result;

/// Marks each as the environment that `request` names.
///
/// # Errors
/// The guard refuses one of them.
pub async fn mark(
    context: &Context,
    project: &Project,
    fleet: &Fleet,
    request: &Request<'_>,
    many: WriteManyArgs,
) -> Result<Done> {
    let pace = many.pace(false);
    let task = |member: &Member, tell: Teller| {
        let target = member.target.clone();
        async move {
            let waiting = |what: &str| tell(Event::Waiting(what.to_owned()));
            mark::mark(project, &target, request, &|_| None, &waiting).await
        }
    };
    let answer = |_: &Member, marked: &Marked| Answer {
        status: if *marked == Marked::Now { "marked" } else { "marked before" },
        line: (*marked == Marked::Now).then(|| format!("is marked {} now", request.name)),
        json: serde_json::json!({ "marked": request.name }),
    };
    let (outcome, _) = work(context, fleet, "mark", pace, task, answer).await;
    context.output.line(&tally(fleet, &outcome, &["marked", "marked before", "failed", "broken off", "not begun"]));
    end(context, outcome, false)
}
