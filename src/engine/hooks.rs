//! The scripts that git calls: installed beside existing ones, never over them.

use crate::engine::files;
use crate::engine::git::Git;
use crate::error::{OrFailed, Result};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

/// The hooks that dbbuild manages, with their scripts.
pub const SCRIPTS: [(&str, &str); 6] = [
    ("pre-commit", include_str!("../../hooks/pre-commit")),
    ("pre-merge-commit", include_str!("../../hooks/pre-merge-commit")),
    ("pre-push", include_str!("../../hooks/pre-push")),
    ("post-merge", include_str!("../../hooks/post-merge")),
    ("post-checkout", include_str!("../../hooks/post-checkout")),
    ("post-rewrite", include_str!("../../hooks/post-rewrite")),
];

/// The line by which a script of dbbuild's is known, whichever version wrote it.
const MARK: &str = "# Written by `dbbuild hooks install`";

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
    /// Somebody else's script that calls `dbbuild hook`.
    Calls,
    /// Nothing.
    Missing,
}

/// Looks at every hook.
pub fn status(git: &Git) -> Vec<HookStatus> {
    let (folder, _) = git.hooks_dir();
    SCRIPTS
        .iter()
        .map(|(name, script)| {
            let path = folder.join(name);
            let kept = folder.join(format!("{name}.local"));
            let state = match fs::read_to_string(&path) {
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => HookState::Missing,
                Ok(text) if text == *script && is_executable(&path) => HookState::Installed,
                Ok(text) if text.contains(MARK) => HookState::Outdated,
                Ok(text) if text.contains(&format!("dbbuild hook {name}")) => HookState::Calls,
                _ => HookState::Foreign,
            };
            HookStatus { name, path, state, kept: kept.exists().then_some(kept) }
        })
        .collect()
}

fn is_executable(path: &std::path::Path) -> bool {
    fs::metadata(path).is_ok_and(|metadata| metadata.permissions().mode() & 0o111 != 0)
}

/// Installs every hook; says in sentences what was done.
///
/// # Errors
/// The folder cannot be written.
pub fn install(git: &Git) -> Result<Vec<String>> {
    let (folder, moved) = git.hooks_dir();
    fs::create_dir_all(&folder).or_failed(|| format!("cannot make the folder {}", folder.display()))?;
    let mut said = Vec::new();
    let (mut installed, mut present) = (Vec::new(), Vec::new());
    if moved {
        said.push(format!("core.hooksPath leads to {}", folder.display()));
    }
    for (hook, (_, script)) in status(git).into_iter().zip(SCRIPTS) {
        let failed = || format!("cannot write the hook {}", hook.path.display());
        match hook.state {
            HookState::Installed => {
                present.push(hook.name);
                continue;
            }
            HookState::Calls => {
                said.push(format!("{} calls dbbuild already; it was left as it is", hook.name));
                continue;
            }
            HookState::Foreign => {
                let kept = folder.join(format!("{}.local", hook.name));
                if kept.exists() {
                    return Err(crate::error::Error::failed(failed())
                        .cause(format!("both {} and {} exist already", hook.path.display(), kept.display()))
                        .help("join the two scripts into one and run `dbbuild hooks install` again."));
                }
                fs::rename(&hook.path, &kept).or_failed(failed)?;
                said.push(format!("{} was there before: kept as {}, it runs first", hook.name, kept.display()));
            }
            HookState::Outdated | HookState::Missing => {}
        }
        files::replace(&hook.path, script.as_bytes()).or_failed(failed)?;
        fs::set_permissions(&hook.path, fs::Permissions::from_mode(0o755)).or_failed(failed)?;
        installed.push(hook.name);
    }
    for (what, names) in [("installed", installed), ("installed already", present)] {
        if !names.is_empty() {
            said.push(format!("hooks {what}: {}", names.join(", ")));
        }
    }
    Ok(said)
}

/// Takes every hook of dbbuild's away and puts back what stood there before.
///
/// # Errors
/// The folder cannot be written.
pub fn uninstall(git: &Git) -> Result<Vec<String>> {
    let mut said = Vec::new();
    for hook in status(git) {
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
            HookState::Foreign | HookState::Calls => {
                said.push(format!("{} is not dbbuild's; left as it is", hook.name))
            }
            HookState::Missing => {}
        }
    }
    Ok(said)
}
