//! `dbbuild apply`: what is pending, on a deployed database. Never test data, and nothing is written to the tree.

use super::build::{describe, report_json};
use crate::cli::many::{self, ManyArgs};
use crate::cli::output::{Output, count};
use crate::cli::{Context, Done};
use crate::engine::deployment::{self, Applied, ApplyOptions};
use crate::engine::provenance::{self, Given};
use crate::engine::settle::Settlement;
use crate::engine::target::Start;
use crate::error::Result;
use std::cell::OnceCell;

/// Arguments of `apply`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Run the integrity checks before, too
    #[arg(long)]
    check_first: bool,
    #[command(flatten)]
    origin: Origin,
    /// Say what became of an interrupted statement, as the error asked: VERSION:STATEMENT=done or =retry
    #[arg(long, value_name = "WHAT")]
    settle: Vec<Settlement>,
    #[command(flatten)]
    many: ManyArgs,
    /// Of many databases, begin the others though one has failed
    #[arg(long)]
    keep_going: bool,
}

/// What the version table is to say of the run; otherwise the repository, the pipeline and the operating system tell.
#[derive(Debug, clap::Args)]
pub struct Origin {
    /// The commit to record, where there is no repository
    #[arg(long, value_name = "COMMIT", env = "DBBUILD_COMMIT")]
    commit: Option<String>,
    /// The run of a pipeline to record, where dbbuild does not know it by its variables
    #[arg(long, value_name = "TEXT", env = "DBBUILD_PIPELINE")]
    pipeline: Option<String>,
    /// Who started it
    #[arg(long, value_name = "NAME", env = "DBBUILD_BY")]
    by: Option<String>,
}

impl Origin {
    /// The same for the engine.
    pub fn given(&self) -> Given {
        Given { commit: self.commit.clone(), pipeline: self.pipeline.clone(), by: self.by.clone() }
    }
}

/// Applies.
///
/// # Errors
/// A script or check fails, or the guard refuses.
pub async fn run(context: &Context, args: Args) -> Result<Done> {
    let project = context.project()?;
    let sources = project.sources()?;
    let (given, author) = (args.origin.given(), OnceCell::new());
    let options = ApplyOptions {
        check_first: args.check_first,
        settle: &args.settle,
        author: &|| author.get_or_init(|| provenance::author(&project, &given)).clone(),
    };
    if let Some(fleet) = context.fleet(&project, context.named_environment(), Start::IfNeeded).await? {
        return many::apply(context, &project, &sources, &fleet, &options, (args.many, args.keep_going)).await;
    }
    let target = context.target(&project, Start::IfNeeded).await?;
    let progress = context.progress("migrations", sources.migrations.len());
    let applied = deployment::apply(&project, &sources, &target, &options, &|event| progress.event(event)).await;
    progress.end();
    let applied = applied?;
    show(&context.output, &applied);
    context.output.json(&json(&applied));
    Ok(Done::Well)
}

/// Says what was done to one database.
pub fn show(out: &Output, applied: &Applied) {
    let outcome = &applied.outcome;
    describe(out, &outcome.report);
    let text = if outcome.changed { "now has" } else { "is up to date:" };
    out.line(&format!("{} {text} {}", applied.database, count(outcome.applied, "migration")));
}

/// What was done to one database, for JSON.
pub fn json(applied: &Applied) -> serde_json::Value {
    let outcome = &applied.outcome;
    serde_json::json!({
        "database": applied.database,
        "environment": applied.environment,
        "changed": outcome.changed,
        "applied": outcome.applied,
        "ran": report_json(&outcome.report),
    })
}
