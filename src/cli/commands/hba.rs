//! `dbbuild hba`: host-based access, from a file of the repository.

mod shown;

use crate::cli::output::count;
use crate::cli::{Context, Done};
use crate::engine::hba::adopt::{AdoptOptions, adopt};
use crate::engine::hba::{apply, check, live};
use crate::engine::target::Start;
use crate::error::{Error, Result};
use serde_json::json;

/// Arguments of `hba`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Have a throwaway server read the file, name dangers, and try what db/access.toml expects
    ///
    /// Without --env all files are checked: the common one, and each environment's own.
    Check {
        /// Warnings are errors
        #[arg(long)]
        strict: bool,
    },
    /// Show how the rules and the file of the running server differ; exit status 3 where they do
    Plan,
    /// Put the file in the place of the server's, on its machine, and take it back if dbbuild is locked out
    ///
    /// Keeps a dated copy beside it. Refused where `check` finds an error.
    Apply,
    /// Take the file of the running server, with what it takes in, into the repository
    Adopt {
        /// Replace a file that has other content
        #[arg(long)]
        force: bool,
        /// Write a file of the environment's own
        #[arg(long)]
        own: bool,
    },
}

/// Does it.
///
/// # Errors
/// See the actions.
pub async fn run(context: &Context, args: Args) -> Result<Done> {
    match args.action {
        Action::Check { strict } => run_check(context, strict).await,
        Action::Plan => run_plan(context).await,
        Action::Apply => run_apply(context).await,
        Action::Adopt { force, own } => run_adopt(context, AdoptOptions { force, own }).await,
    }
}

async fn run_check(context: &Context, strict: bool) -> Result<Done> {
    let project = context.project()?;
    let report = check::check(&project, context.named_environment()).await?;
    shown::report(&context.output, &report, strict);
    context.output.json(&shown::report_json(&report));
    match Error::all(report.faults(strict)) {
        Some(error) => Err(error),
        None => Ok(Done::Well),
    }
}

async fn run_plan(context: &Context) -> Result<Done> {
    let project = context.project()?;
    let target = context.target(&project, Start::Never).await?;
    let compared = live::compare(&project, &target).await?;
    shown::comparison(&context.output, &compared, &target.describe());
    context.output.json(&shown::comparison_json(&compared, &target.describe()));
    Ok(if compared.is_empty() { Done::Well } else { Done::Differs })
}

async fn run_apply(context: &Context) -> Result<Done> {
    let project = context.project()?;
    let target = context.target(&project, Start::Never).await?;
    let applied = apply::apply(&project, &target, &|what| context.output.waits_for(what)).await?;
    applied.notes.iter().for_each(|note| context.output.note(note));
    let output = &context.output;
    if applied.written.is_empty() {
        output.line(&format!("{} is as the repository has it", applied.file));
    } else {
        for file in &applied.written {
            output.line(&format!("wrote {file}"));
        }
        for copy in &applied.copies {
            output.line(&format!("kept the old one as {copy}"));
        }
        output.line(&format!("{} follows it, and dbbuild gets in", target.describe()));
    }
    output.json(&json!({
        "database": target.describe(), "file": applied.file, "written": applied.written, "copies": applied.copies,
        "notes": applied.notes,
    }));
    Ok(Done::Well)
}

async fn run_adopt(context: &Context, options: AdoptOptions) -> Result<Done> {
    let project = context.project()?;
    let target = context.target(&project, Start::Never).await?;
    let adopted = adopt(&project, &target, options).await?;
    for path in &adopted.written {
        context.output.line(&format!("wrote {path}"));
    }
    if adopted.written.is_empty() {
        context.output.line(&format!("{} as the server has it", count(adopted.same.len(), "file")));
    }
    context.output.json(&json!({ "from": adopted.from, "written": adopted.written, "same": adopted.same }));
    Ok(Done::Well)
}
