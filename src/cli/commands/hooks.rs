//! `dbbuild hooks install|uninstall|status`.

use crate::cli::output::count;
use crate::cli::{Context, Done};
use crate::engine::git::Git;
use crate::engine::hooks::{self, Addition, HookState, HookStatus, Owner, Place};
use crate::engine::merge::register::{self, DriverState};
use crate::error::{Error, Result};
use std::collections::BTreeMap;
use std::path::Path;

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
/// There is no repository, the folder cannot be written, or some hooks are left to a person.
pub async fn run(context: &Context, args: Args) -> Result<Done> {
    if Git::open(&context.folder)?.is_none() {
        return Err(Error::usage("this is not a git repository").help("run `git init` first."));
    }
    let place = Place::find(&context.folder)?;
    let mut left = None;
    let said = match args.action {
        Action::Install => {
            let (said, fault) = install(&place, &context.folder)?;
            left = fault;
            said
        }
        Action::Uninstall => {
            hooks::unregister(&place.top);
            let mut said = hooks::uninstall(&place)?;
            said.extend(register::uninstall(&place.top)?);
            said
        }
        Action::Status => {
            let driver = if hooks::has_diff_driver(&place.top) { "installed" } else { "not installed" };
            [status(&place), vec![format!("diff driver: {driver}")]].concat()
        }
    };
    if said.is_empty() && left.is_none() {
        context.output.line("no hook of dbbuild's is installed");
    }
    said.iter().for_each(|line| context.output.line(line));
    context.output.json(&serde_json::json!({ "hooks": said, "installed": left.is_none() && installed(&place) }));
    left.map_or(Ok(Done::Well), Err)
}

/// Installs what dbbuild may write; says in sentences what was done, and as an error what is left to a person.
///
/// # Errors
/// The folder or the repository's configuration cannot be written.
pub fn install(place: &Place, folder: &Path) -> Result<(Vec<String>, Option<Error>)> {
    let mut said = hooks::install(place)?;
    said.extend(register::install(&place.top)?);
    let project = crate::engine::project::Project::find(folder, None).ok();
    if let Some(project) = &project {
        said.extend(register::name_in_attributes(&project.root, &project.config.paths.baseline)?);
        said.extend(hooks::register(&place.top, &project.root)?);
    }
    let program = match project.and_then(|project| hooks::below_top(&place.top, &project.root)) {
        Some(below) => format!("dbbuild -C {below}"),
        None => "dbbuild".to_owned(),
    };
    Ok((said, left(place, &program)))
}

/// Whether git calls dbbuild for every hook.
pub fn installed(place: &Place) -> bool {
    hooks::status(place).iter().all(HookStatus::works)
}

/// The hooks that dbbuild does not write, with the lines to add.
fn left(place: &Place, program: &str) -> Option<Error> {
    let found = hooks::status(place);
    let mut names = Vec::new();
    let mut by_file: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for hook in &found {
        if let Some(Addition { file, lines }) = hook.addition(place, program) {
            names.push(hook.name);
            by_file.entry(file).or_default().push(lines);
        }
    }
    if names.is_empty() {
        return None;
    }
    let mut fault = Error::failed(format!("{} left to you: {}", count(names.len(), "hook"), names.join(", ")));
    fault = fault.cause(reason(place, &found));
    for (file, lines) in by_file {
        fault =
            fault.detail(format!("{file}:")).detail(lines.join("\n").replace('\n', "\n    ").replacen("", "    ", 1));
    }
    Some(fault.help("add these lines, commit them where the file is committed, and run `dbbuild hooks install` again."))
}

fn reason(place: &Place, found: &[HookStatus]) -> String {
    let runner = found.iter().find_map(|hook| match hook.state {
        HookState::Run(runner) => Some(runner),
        _ => None,
    });
    let flaw = found.iter().find_map(|hook| hook.flaw);
    let folder = place.shown(&place.folder);
    match (runner, flaw) {
        (Some(runner), _) => format!("{} runs them, and would take another script away", runner.as_str()),
        (None, Some(flaw)) => flaw.to_owned(),
        (None, None) if place.owner == Owner::Shared => {
            format!("core.hooksPath leads to {folder}, where other repositories find their hooks too")
        }
        (None, None) => format!("core.hooksPath leads to {folder}, and other scripts are committed there"),
    }
}

fn status(place: &Place) -> Vec<String> {
    let words = |hook: &HookStatus| match (hook.state, hook.flaw) {
        (_, Some(flaw)) => format!("another script, which calls dbbuild; but {flaw}"),
        (HookState::Installed, _) => "installed".to_owned(),
        (HookState::Outdated, _) => "installed by another version; `dbbuild hooks install` renews it".to_owned(),
        (HookState::Foreign, _) if place.owner == Owner::Repository => {
            "another script; `dbbuild hooks install` keeps it and runs it first".to_owned()
        }
        (HookState::Foreign, _) => "another script; `dbbuild hooks install` says what to add".to_owned(),
        (HookState::Calls, _) => "another script, which calls dbbuild".to_owned(),
        (HookState::Run(runner), _) => {
            format!("run by {}; `dbbuild hooks install` says what to add", runner.as_str())
        }
        (HookState::Missing, _) => "not installed".to_owned(),
    };
    let driver = match register::status(&place.top) {
        DriverState::Installed => "installed",
        DriverState::Outdated => "installed by another version; `dbbuild hooks install` renews it",
        DriverState::Missing => "not installed",
    };
    let hooks = hooks::status(place).into_iter().map(|hook| format!("{}: {}", hook.name, words(&hook)));
    hooks.chain([format!("merge driver: {driver}")]).collect()
}
