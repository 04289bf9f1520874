//! `dbbuild apply`: what is pending, on a deployed database. Never test data, and nothing is written to the tree.

use super::build::{describe, report_json};
use crate::cli::output::count;
use crate::cli::{Context, Done};
use crate::engine::settle;
use crate::engine::target::Start;
use crate::engine::upgrade::{self, Job, Work};
use crate::error::Result;

/// Arguments of `apply`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Run the integrity checks before, too
    #[arg(long)]
    check_first: bool,
    /// The commit to record, where there is no repository
    #[arg(long, value_name = "COMMIT")]
    commit: Option<String>,
    /// Say what became of an interrupted statement, as the error asked: VERSION:STATEMENT=done or =retry
    #[arg(long, value_name = "WHAT")]
    settle: Vec<settle::Settlement>,
}

/// Applies.
///
/// # Errors
/// A script or check fails, or the guard refuses.
pub async fn run(context: &Context, args: Args) -> Result<Done> {
    let project = context.project()?;
    let sources = project.sources()?;
    let target = context.target(&project, Start::IfNeeded).await?;
    settle::write(&target, &project.config, &args.settle).await?;
    let progress = context.progress("migrations", sources.migrations.len());
    let work = Work {
        project: &project,
        sources: &sources,
        job: Job::Apply,
        commit: &|| args.commit.clone().or_else(|| project.commit()),
        check_first: args.check_first,
        sink: &|event| progress.event(event),
        begin: &|total| progress.expect(total),
    };
    let session = target.connect_to_write(&project.config).await?;
    let outcome = upgrade::run(&work, &target, session).await;
    progress.end();
    let outcome = outcome?;
    describe(&context.output, &outcome.report);
    let text = if outcome.changed { "now has" } else { "is up to date:" };
    context.output.line(&format!("{} {text} {}", target.describe(), count(outcome.applied, "migration")));
    context.output.json(&serde_json::json!({
        "database": target.describe(),
        "environment": target.selected.name,
        "changed": outcome.changed,
        "applied": outcome.applied,
        "ran": report_json(&outcome.report),
    }));
    Ok(Done::Well)
}
