//! `dbbuild reset`: the local database is dropped and built again.

use super::build::Local;
use super::drop::drop_guarded;
use crate::cli::output::count;
use crate::cli::{Context, Done, ran};
use crate::engine::target::Start;
use crate::error::Result;
use crate::model::attic::given::OnConflict;
use crate::model::guard::Action;

/// Arguments of `reset`.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// Drops and builds.
///
/// # Errors
/// The guard refuses, or the build fails.
pub async fn run(context: &Context, _: Args) -> Result<Done> {
    let project = context.project()?;
    // Faulty sources must be found while the old database still stands.
    let sources = project.sources()?;
    let target = context.target(&project, Start::IfNeeded).await?;
    drop_guarded(context, &target, Action::Reset).await?;
    let (session, _) = target.open(&project.config).await?;
    let local = Local { context, project: &project, sources: &sources, target: &target };
    let outcome = local.build(session, None, OnConflict::Report).await?;
    ran::show(&context.output, &outcome.report);
    context.output.line(&format!("{} was built anew: {}", target.describe(), count(outcome.applied, "migration")));
    context.output.json(&serde_json::json!({
        "database": target.describe(),
        "applied": outcome.applied,
        "ran": ran::json(&outcome.report),
    }));
    Ok(Done::Well)
}
