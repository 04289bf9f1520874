//! `dbbuild server start|stop|status|url|prune`: the private PostgreSQL of this repository.

use crate::cli::{Context, Done};
use crate::engine::prove::database_name;
use crate::engine::server::embedded::prune;
use crate::engine::switch::branch;
use crate::engine::target::{Start, embedded};
use crate::error::{Error, Result};

/// Arguments of `server`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

/// What to do.
#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Start it, if it does not run
    Start,
    /// Stop it
    Stop,
    /// Show whether it runs, where, and how large it is
    Status,
    /// Print its address
    Url,
    /// Remove servers of repositories that are gone, databases of branches that are gone, kept states, and what killed runs
    /// left
    Prune,
}

/// Runs.
///
/// # Errors
/// The server does not start or stop.
pub async fn run(context: &Context, args: Args) -> Result<Done> {
    let out = &context.output;
    if matches!(args.action, Action::Prune) {
        let mut removed = prune().await?;
        removed.extend(prune_branches(context).await?);
        removed.iter().for_each(|line| out.line(line));
        if removed.is_empty() {
            out.line("nothing to remove");
        }
        out.json(&serde_json::json!({ "removed": removed }));
        return Ok(Done::Well);
    }
    let project = context.project()?;
    let server = embedded(&project)?;
    let database = database_name(&project.config);
    match args.action {
        Action::Start => {
            let url = server.start().await?.url(database);
            out.line(&format!("runs at {url}"));
            out.json(&serde_json::json!({ "url": url }));
        }
        Action::Stop => {
            let stopped = server.stop().await?;
            out.line(if stopped { "stopped" } else { "it does not run" });
            out.json(&serde_json::json!({ "stopped": stopped }));
        }
        Action::Url => {
            let address = server.address().await?.ok_or_else(|| {
                Error::failed("the embedded server of this repository does not run")
                    .help("`dbbuild server start` starts it.")
            })?;
            out.answer(&address.url(database));
            out.json(&serde_json::json!({ "url": address.url(database) }));
        }
        Action::Status => {
            let status = server.status().await?;
            let url = status.address.as_ref().map(|address| address.url(database));
            match &url {
                Some(url) => out.answer(&format!("runs at {url}")),
                None if status.exists => out.answer("stopped"),
                None => out.answer("not made yet; `dbbuild` makes it"),
            }
            if let Some(version) = &status.version {
                out.answer(&format!("PostgreSQL {version}, data in {}", status.data));
            }
            if let Some(size) = status.size {
                out.answer(&super::plan::bytes(size));
            }
            out.json(&serde_json::json!({
                "exists": status.exists, "running": url.is_some(), "url": url, "version": status.version,
                "data": status.data, "size": status.size, "pid": status.pid, "docker": status.in_docker,
            }));
        }
        Action::Prune => {}
    }
    Ok(Done::Well)
}

/// The databases of branches that are gone, where this folder has a project whose branches have databases of their own.
async fn prune_branches(context: &Context) -> Result<Vec<String>> {
    let Ok(project) = context.project() else { return Ok(Vec::new()) };
    if !project.config.local.per_branch {
        return Ok(Vec::new());
    }
    match context.target(&project, Start::Never).await {
        Ok(target) if !target.is_unmade() && !target.selected.is_protected() => branch::prune(&project, &target).await,
        _ => Ok(Vec::new()),
    }
}
