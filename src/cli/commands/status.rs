//! `dbbuild status`: what is applied, pending, changed or unknown.

mod many;

use crate::cli::many::ManyArgs;
use crate::cli::{Context, Done};
use crate::engine::deployment::{self, MigrationState, State, Status};
use crate::engine::project::Project;
use crate::engine::switch::{Refs, branch, on_branches};
use crate::engine::target::{Start, Target};
use crate::error::Result;
use crate::model::branch::DETACHED;

/// Arguments of `status`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Exit with status 3 where something is pending or changed
    #[arg(long)]
    exit_code: bool,
    #[command(flatten)]
    many: ManyArgs,
}

/// Shows the status.
///
/// # Errors
/// The database cannot be reached, or the sources are faulty.
pub async fn run(context: &Context, args: Args) -> Result<Done> {
    let project = context.project()?;
    let sources = project.sources()?;
    if let Some(fleet) = context.fleet(&project, context.named_environment(), Start::Never).await? {
        return many::status(context, &project, &sources, &fleet, args.many, args.exit_code).await;
    }
    let target = context.target(&project, Start::Never).await?;
    let status = deployment::status(&project, &sources, &target, &Refs::of(&project)).await?;
    show(context, &status);
    let out = &context.output;
    gone_branches(&project, &target, status.exists).await?.iter().for_each(|line| out.answer(line));
    let stale = if status.baseline_fresh { "fresh" } else { "stale; run `dbbuild baseline`" };
    out.answer(&format!("{}: {stale}", project.config.paths.baseline));
    out.json(&json(&status));
    Ok(if args.exit_code && status.differs() { Done::Differs } else { Done::Well })
}

/// Says how a database stands, without what is of the repository.
pub fn show(context: &Context, status: &Status) {
    let out = &context.output;
    out.answer(&format!("{} ({})", status.database, status.mark));
    if let Some(branch) = &status.branch {
        out.answer(&format!("the database of {}", name_branch(branch)));
    }
    for one in status.migrations.iter().filter(|one| one.state != State::Applied || context.globals.verbose) {
        out.answer(&format!("  {:<12} {}_{}{}", one.state.as_str(), one.version, one.name, said_of(one)));
    }
    for (kind, name) in &status.files {
        out.answer(&format!("  {:<12} {} {name}", "pending", kind.as_str()));
    }
    out.answer(&format!("{} applied, {} pending", status.count(State::Applied), status.pending()));
}

fn said_of(one: &MigrationState) -> String {
    if one.state == State::Unknown {
        format!(" (phantom: in no file here, {})", on_branches(&one.branches))
    } else if one.state == State::Pending && !one.asks.is_empty() {
        format!(" (asks first: {})", one.asks.join(", "))
    } else if one.apart.is_none() {
        String::new()
    } else {
        format!(" ({})", one.apart.describe())
    }
}

/// How a database stands, for JSON.
pub fn json(status: &Status) -> serde_json::Value {
    let migration = |one: &MigrationState| {
        serde_json::json!({
            "version": one.version, "name": one.name, "state": one.state.as_str(), "asks": one.asks, "branches": one.branches,
            "environments": one.apart.environments, "secure": one.apart.secure,
        })
    };
    let migrations: Vec<_> = status.migrations.iter().map(migration).collect();
    let files: Vec<_> =
        status.files.iter().map(|(kind, name)| serde_json::json!({ "kind": kind.as_str(), "name": name })).collect();
    serde_json::json!({
        "database": status.database, "mark": status.mark, "migrations": migrations, "files": files,
        "baseline_fresh": status.baseline_fresh, "branch": status.branch,
    })
}

/// "branch side", or what stands for a detached HEAD.
fn name_branch(branch: &str) -> String {
    if branch == DETACHED { "a detached HEAD".to_owned() } else { format!("branch {branch}") }
}

/// The databases of branches that are gone, in lines.
async fn gone_branches(project: &Project, target: &Target, reachable: bool) -> Result<Vec<String>> {
    if !project.config.local.per_branch || !reachable || target.selected.is_protected() {
        return Ok(Vec::new());
    }
    let owned = branch::owned(project, target).await?;
    let line = |one: &branch::Owned| {
        format!(
            "{} is of {}, which is gone; `dbbuild server prune` drops it",
            one.target.describe(),
            name_branch(&one.branch)
        )
    };
    Ok(owned.iter().filter(|one| one.orphaned).map(line).collect())
}
