//! `dbbuild psql`: psql on the database, with the password in its environment and never on its command line.

use crate::cli::{Context, Done};
use crate::engine::server::programs;
use crate::engine::target::Start;
use crate::error::{Error, OrFailed, Result};
use crate::model::conninfo::LIBPQ_VARIABLES;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Arguments of `psql`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Arguments for psql, after --
    #[arg(last = true)]
    rest: Vec<String>,
}

/// Runs psql and waits for it.
///
/// # Errors
/// There is no psql, or it ends with an error.
pub async fn run(context: &Context, args: Args) -> Result<Done> {
    let project = context.project()?;
    let target = context.target(&project, Start::IfNeeded).await?;
    if target.branch.is_some() {
        // psql would only say that there is no such database.
        target.connect().await.map_err(|e| match e.code() {
            Some("3D000") => e.help("this branch has no database yet; `dbbuild` makes it."),
            _ => e,
        })?;
    }
    let pg = &project.config.postgres;
    let program = programs::find(pg.bin_dir.as_deref().map(Path::new), pg.version)
        .map_or_else(|_| PathBuf::from("psql"), |found| found.program("psql"));
    let mut command = Command::new(&program);
    for variable in LIBPQ_VARIABLES {
        command.env_remove(variable);
    }
    command.envs(target.settings.libpq_env());
    let prompt = format!("{}:%/%R%x%# ", target.selected.name);
    command.args(["-v", &format!("PROMPT1={prompt}")]).args(&args.rest);
    // psql handles Ctrl-C by itself; dbbuild only waits.
    let status = tokio::task::spawn_blocking(move || command.status())
        .await
        .or_failed(|| "cannot wait for psql")?
        .or_failed(|| format!("cannot start {}", program.display()))?;
    if status.success() {
        return Ok(Done::Well);
    }
    Err(Error::failed(format!("psql ended with {status}")))
}
