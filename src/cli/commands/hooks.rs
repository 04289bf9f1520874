//! `dbbuild hooks install|uninstall|status`.

use crate::cli::{Context, Done};
use crate::engine::hooks::{self, HookState};
use crate::error::{Error, Result};

/// Arguments of `hooks`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

/// What to do with the hooks.
#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Install them beside existing ones
    Install,
    /// Remove them and put back what stood there before
    Uninstall,
    /// Show them
    Status,
}

/// Runs.
///
/// # Errors
/// There is no repository, or the folder cannot be written.
pub async fn run(context: &Context, args: Args) -> Result<Done> {
    let repository = crate::engine::git::Git::open(&context.folder)?
        .ok_or_else(|| Error::usage("this is not a git repository").help("run `git init` first."))?;
    let said = match args.action {
        Action::Install => hooks::install(&repository)?,
        Action::Uninstall => hooks::uninstall(&repository)?,
        Action::Status => {
            let found = hooks::status(&repository);
            let words = |state: HookState| match state {
                HookState::Installed => "installed",
                HookState::Outdated => "installed by another version; `dbbuild hooks install` renews it",
                HookState::Foreign => "another script; `dbbuild hooks install` keeps it and runs it first",
                HookState::Calls => "another script, which calls dbbuild",
                HookState::Missing => "not installed",
            };
            found.iter().map(|hook| format!("{}: {}", hook.name, words(hook.state))).collect()
        }
    };
    if said.is_empty() {
        context.output.line("no hook of dbbuild's is installed");
    }
    said.iter().for_each(|line| context.output.line(line));
    context.output.json(&serde_json::json!({ "hooks": said }));
    Ok(Done::Well)
}
