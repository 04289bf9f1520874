//! `dbbuild hook NAME`: what the scripts in `hooks/` call. A hook checks or tells; it never mends.

use super::verify;
use crate::cli::{Context, Done, output};
use crate::engine::cache::Kind;
use crate::engine::git::Source;
use crate::engine::history;
use crate::engine::prove;
use crate::engine::target::{Start, Target};
use crate::error::Result;
use crate::model::plan::{self, PlanOptions};

/// Arguments of `hook`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Which hook
    #[command(subcommand)]
    hook: Hook,
}

/// The hooks that git calls.
#[derive(Debug, clap::Subcommand)]
enum Hook {
    /// Judges the index
    PreCommit {
        /// Whatever git gives
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        rest: Vec<String>,
    },
    /// Tells what a merge brought for the local database
    PostMerge {
        /// Whatever git gives
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        rest: Vec<String>,
    },
}

/// The cheap cases, without a runtime: nothing of the database is staged, or what is staged was proved before.
///
/// # Errors
/// The index cannot be read.
pub fn shortcut(context: &Context, args: &Args) -> Result<Option<Done>> {
    if !matches!(args.hook, Hook::PreCommit { .. }) {
        return Ok(None);
    }
    let project = context.project()?;
    if !project.staged()? {
        return Ok(Some(Done::Well));
    }
    let tree = project.tree(&Source::Index)?;
    Ok(project.cache.get(Kind::Verdict, &tree.key()).map(|_| Done::Well))
}

/// Runs the hook.
///
/// # Errors
/// What is staged must not be committed.
pub async fn run(context: &Context, args: Args) -> Result<Done> {
    match args.hook {
        Hook::PreCommit { .. } => pre_commit(context).await,
        Hook::PostMerge { .. } => post_merge(context).await,
    }
}

async fn pre_commit(context: &Context) -> Result<Done> {
    let project = context.project()?;
    let tree = project.tree(&Source::Index)?;
    let sources = tree.sources(&project)?;
    if project.cache.get(Kind::Verdict, &prove::verdict_key(&tree.config, &sources)).is_some() {
        project.cache.put(Kind::Verdict, &tree.key(), "proved");
        return Ok(Done::Well);
    }
    let progress = context.progress("migrations", sources.migrations.len());
    let notes = verify::verify(&project, &tree, &sources, &|event| progress.event(event)).await;
    progress.end();
    notes?.iter().for_each(|note| context.output.note(note));
    Ok(Done::Well)
}

/// Tells what is pending. A server that does not run is not started for it, and nothing here stops git.
async fn post_merge(context: &Context) -> Result<Done> {
    let project = context.project()?;
    let sources = project.sources()?;
    let Ok(target) = Target::find(&project, None, None, Start::Never).await else { return Ok(Done::Well) };
    let Ok(session) = target.connect().await else { return Ok(Done::Well) };
    let found = history::find(&session, &target.describe(), target.server_id.as_deref()).await?;
    let options = PlanOptions {
        environment: target.selected.name.clone(),
        protected: target.selected.is_protected(),
        mark: false,
        testdata: Vec::new(),
        checks: false,
    };
    let planned = plan::plan(&sources, &found.history, &options)?;
    let count = planned.migrations().count();
    if count > 0 {
        context.output.note(&format!(
            "{} pending on {}; run `dbbuild`",
            output::count(count, "migration"),
            target.describe()
        ));
    } else if !planned.is_empty() {
        context.output.note(&format!("{} is behind the files; run `dbbuild`", target.describe()));
    }
    Ok(Done::Well)
}
