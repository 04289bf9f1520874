//! `dbbuild bootstrap`: a new database from the baseline. Never test data.

use super::apply::Origin;
use crate::cli::output::count;
use crate::cli::{Context, Done, ran};
use crate::engine::provenance;
use crate::engine::target::Start;
use crate::engine::upgrade::{self, Job, Work};
use crate::error::Result;
use crate::model::attic::given::OnConflict;

/// Arguments of `bootstrap`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    origin: Origin,
}

/// Makes the database if it is missing, loads the baseline, then runs what the baseline does not hold.
///
/// # Errors
/// The database is not empty, or something fails: then nothing was loaded.
pub async fn run(context: &Context, args: Args) -> Result<Done> {
    let project = context.project()?;
    let sources = project.sources()?;
    let target = context.new_target(&project, Start::IfNeeded).await?;
    let (session, created) = target.open(&project.config).await?;
    let given = args.origin.given();
    let progress = context.progress("bootstrap", 0);
    let work = Work {
        project: &project,
        sources: &sources,
        job: Job::Bootstrap,
        author: &|| provenance::author(&project, &given),
        on_conflict: OnConflict::Report,
        check_first: false,
        sink: &|event| progress.event(event),
        begin: &|total| progress.expect(total),
    };
    let outcome = upgrade::run(&work, &target, session).await;
    progress.end();
    let outcome = outcome?;
    if created {
        context.output.line(&format!("created {}", target.describe()));
    }
    context.output.line(&format!("loaded {}", project.config.paths.baseline));
    ran::show(&context.output, &outcome.report);
    context.output.line(&format!(
        "{} now has {} and is marked {}",
        target.describe(),
        count(outcome.applied, "migration"),
        target.selected.name
    ));
    context.output.json(&serde_json::json!({
        "database": target.describe(),
        "environment": target.selected.name,
        "created": created,
        "applied": outcome.applied,
        "ran": ran::json(&outcome.report),
    }));
    Ok(Done::Well)
}
