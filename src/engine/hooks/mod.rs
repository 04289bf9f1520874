//! The scripts that git calls: installed beside existing ones, never over them.

mod diff;
mod place;
mod projects;
mod runner;

pub use diff::has_diff_driver;
pub use place::{Owner, Place};
pub use projects::{below_top, projects, register, unregister};
pub use runner::Runner;

use crate::engine::files;
use crate::error::{Error, OrFailed, Result};
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// The hooks that dbbuild manages, with their scripts.
pub const SCRIPTS: [(&str, &str); 6] = [
    ("pre-commit", include_str!("../../../hooks/pre-commit")),
    ("pre-merge-commit", include_str!("../../../hooks/pre-merge-commit")),
    ("pre-push", include_str!("../../../hooks/pre-push")),
    ("post-merge", include_str!("../../../hooks/post-merge")),
    ("post-checkout", include_str!("../../../hooks/post-checkout")),
    ("post-rewrite", include_str!("../../../hooks/post-rewrite")),
];

/// The line by which a script of dbbuild's is known, whichever version wrote it.
const MARK: &str = "# Written by `dbbuild hooks install`";

/// Whether git tells a hook something on stdin.
fn reads_stdin(name: &str) -> bool {
    matches!(name, "pre-push" | "post-rewrite")
}

/// A hook as it is found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HookStatus {
    /// Its name.
    pub name: &'static str,
    /// Where it is or would be.
    pub path: PathBuf,
    /// What stands there.
    pub state: HookState,
    /// A script that stood there before and is called first.
    pub kept: Option<PathBuf>,
    /// Why it does not work, though it is there.
    pub flaw: Option<&'static str>,
}

/// What stands at a hook's place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HookState {
    /// This dbbuild's script, executable.
    Installed,
    /// A script of another version of dbbuild's, or one that is not executable.
    Outdated,
    /// Somebody else's script that does not call dbbuild.
    Foreign,
    /// Somebody else's script, or a runner's configuration, that calls `dbbuild hook`.
    Calls,
    /// A runner has the place, and its configuration does not name dbbuild.
    Run(Runner),
    /// Nothing.
    Missing,
}

/// What a person has to write, where dbbuild does not write by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Addition {
    /// The file, as typed at the top of the work tree.
    pub file: String,
    /// The lines.
    pub lines: String,
}

impl HookStatus {
    /// Whether git calls dbbuild here.
    pub fn works(&self) -> bool {
        matches!(self.state, HookState::Installed | HookState::Calls) && self.flaw.is_none()
    }

    /// What is left to a person; `None` where nothing is, or where [`install`] does it. `program` is how hooks call dbbuild
    /// for this project.
    pub fn addition(&self, place: &Place, program: &str) -> Option<Addition> {
        let command = format!("{program} hook {}", self.name);
        let by_hand = match self.state {
            HookState::Installed => false,
            HookState::Calls => self.flaw.is_some(),
            HookState::Run(_) => true,
            HookState::Foreign => place.owner != Owner::Repository,
            HookState::Missing | HookState::Outdated => place.owner == Owner::Shared,
        };
        by_hand.then(|| match self.state {
            HookState::Run(runner) => runner.addition(place, self.name, &command),
            // The only call that can be there and not work.
            HookState::Calls => Runner::Lefthook.addition(place, self.name, &command),
            _ => Addition { file: place.shown(&self.path), lines: format!("{command} \"$@\" || exit") },
        })
    }
}

/// Looks at every hook.
pub fn status(place: &Place) -> Vec<HookStatus> {
    SCRIPTS
        .iter()
        .map(|(name, script)| {
            let path = place.script(name);
            let kept = place.folder.join(format!("{name}.local"));
            let (state, flaw) = state(place, name, script, &path);
            HookStatus { name, path, state, kept: kept.exists().then_some(kept), flaw }
        })
        .collect()
}

fn state(place: &Place, name: &str, script: &str, path: &Path) -> (HookState, Option<&'static str>) {
    let run = |runner: Runner| {
        if runner.calls(place, name) {
            return (HookState::Calls, runner.flaw(place, name));
        }
        (HookState::Run(runner), None)
    };
    let text = match fs::read_to_string(path) {
        _ if place.owner == Owner::Husky => return run(Runner::Husky),
        Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return (HookState::Missing, None);
        }
        Err(_) => return (HookState::Foreign, None),
        Ok(text) => text,
    };
    let state = match Runner::of_script(&text) {
        // The pre-commit framework keeps what it found as `NAME.legacy`, and runs it first.
        Some(Runner::PreCommit) if keeps_ours(&place.folder.join(format!("{name}.legacy"))) => HookState::Calls,
        Some(runner) => return run(runner),
        None if text == script && is_executable(path) => HookState::Installed,
        None if text.contains(MARK) => HookState::Outdated,
        None if runner::calls(&text, name) => HookState::Calls,
        None => HookState::Foreign,
    };
    (state, None)
}

fn keeps_ours(path: &Path) -> bool {
    is_executable(path) && fs::read_to_string(path).is_ok_and(|text| text.contains(MARK))
}

fn is_executable(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|metadata| metadata.permissions().mode() & 0o111 != 0)
}

/// Installs every hook that dbbuild may write, and the diff driver; says in sentences what was done. Which others are left to a person,
/// [`HookStatus::addition`] tells.
///
/// # Errors
/// The folder cannot be written.
pub fn install(place: &Place) -> Result<Vec<String>> {
    let mut said = Vec::new();
    let (mut written, mut present) = (Vec::new(), Vec::new());
    for hook in status(place) {
        if hook.addition(place, "").is_some() {
            continue;
        }
        match hook.state {
            HookState::Installed => present.push(hook.name),
            HookState::Calls => said.push(format!("{} calls dbbuild already; it was left as it is", hook.name)),
            HookState::Foreign => {
                said.push(keep(&hook, place)?);
                write(&hook, place)?;
                written.push(hook.name);
            }
            HookState::Run(_) | HookState::Outdated | HookState::Missing => {
                write(&hook, place)?;
                written.push(hook.name);
            }
        }
    }
    if place.owner == Owner::WorkTree && !written.is_empty() {
        let folder = place.shown(&place.folder);
        said.push(format!("core.hooksPath leads to {folder}, in the work tree: commit what was written there"));
    }
    for (what, names) in [("installed", written), ("installed already", present)] {
        if !names.is_empty() {
            said.push(format!("hooks {what}: {}", names.join(", ")));
        }
    }
    said.extend(diff::add(&place.top)?);
    Ok(said)
}

/// Moves a script aside that dbbuild's calls first.
fn keep(hook: &HookStatus, place: &Place) -> Result<String> {
    let failed = || format!("cannot write the hook {}", hook.path.display());
    let kept = place.folder.join(format!("{}.local", hook.name));
    if kept.exists() {
        return Err(Error::failed(failed())
            .cause(format!("both {} and {} exist already", hook.path.display(), kept.display()))
            .help("join the two scripts into one and run `dbbuild hooks install` again."));
    }
    fs::rename(&hook.path, &kept).or_failed(failed)?;
    Ok(format!("{} was there before: kept as {}, it runs first", hook.name, place.shown(&kept)))
}

fn write(hook: &HookStatus, place: &Place) -> Result<()> {
    let failed = || format!("cannot write the hook {}", hook.path.display());
    let Some((_, script)) = SCRIPTS.iter().find(|(name, _)| *name == hook.name) else { return Ok(()) };
    fs::create_dir_all(&place.folder).or_failed(|| format!("cannot make the folder {}", place.folder.display()))?;
    files::replace(&hook.path, script.as_bytes()).or_failed(failed)?;
    fs::set_permissions(&hook.path, fs::Permissions::from_mode(0o755)).or_failed(failed)
}

/// Takes every hook of dbbuild's away and puts back what stood there before; takes the diff driver away.
///
/// # Errors
/// The folder cannot be written.
pub fn uninstall(place: &Place) -> Result<Vec<String>> {
    let mut said = Vec::new();
    for hook in status(place) {
        let failed = || format!("cannot remove the hook {}", hook.path.display());
        match hook.state {
            HookState::Installed | HookState::Outdated => {
                fs::remove_file(&hook.path).or_failed(failed)?;
                match &hook.kept {
                    Some(kept) => {
                        fs::rename(kept, &hook.path).or_failed(failed)?;
                        said.push(format!("{} removed; the script that stood there before is back", hook.name));
                    }
                    None => said.push(format!("{} removed", hook.name)),
                }
            }
            HookState::Calls => said.push(format!("{} is not dbbuild's, but calls it; left as it is", hook.name)),
            HookState::Foreign => said.push(format!("{} is not dbbuild's; left as it is", hook.name)),
            HookState::Run(_) | HookState::Missing => {}
        }
    }
    said.extend(diff::remove(&place.top)?);
    Ok(said)
}
