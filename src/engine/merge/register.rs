//! The driver in the repository's configuration and attributes.

use crate::engine::files;
use crate::engine::git::Program;
use crate::error::{OrFailed, Result};
use crate::model::template::{DRIVERS, append_lines, driver_attributes};
use std::path::Path;

/// What git runs. Without dbbuild both sides are left with conflict markers, as git itself would do it.
const DRIVER: &str = "if command -v dbbuild >/dev/null; then exec dbbuild hook merge-driver %O %A %B %L %P; fi; \
                      echo 'dbbuild: not found on PATH, so the baseline was not merged; once it is there, run `dbbuild baseline`' >&2; \
                      git merge-file --marker-size=%L -L ours -L base -L theirs %A %O %B; exit 1";

/// Keys below `merge.dbbuild` with their values. Merge bases are merged roughly: nothing of them stays.
const KEYS: [(&str, &str); 3] = [
    ("merge.dbbuild.name", "make the baseline anew from the sources of both sides"),
    ("merge.dbbuild.driver", DRIVER),
    ("merge.dbbuild.recursive", "binary"),
];

/// How the driver is registered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DriverState {
    /// As this dbbuild does it.
    Installed,
    /// By another version, or by hand.
    Outdated,
    /// Not at all.
    Missing,
}

/// Looks at the repository's configuration.
pub fn status(folder: &Path) -> DriverState {
    let git = Program::elsewhere(folder);
    let found = KEYS.map(|(key, value)| match git.text(&["config", "--local", "--get", key]) {
        Ok(text) if text == value => DriverState::Installed,
        Ok(_) => DriverState::Outdated,
        Err(_) => DriverState::Missing,
    });
    match found {
        [_, DriverState::Missing, _] => DriverState::Missing,
        found if found.iter().all(|state| *state == DriverState::Installed) => DriverState::Installed,
        _ => DriverState::Outdated,
    }
}

/// Registers it; says in a sentence each what was done.
///
/// # Errors
/// The configuration cannot be written.
pub fn install(folder: &Path) -> Result<Vec<String>> {
    if status(folder) == DriverState::Installed {
        return Ok(vec!["merge driver is installed already".to_owned()]);
    }
    let git = Program::elsewhere(folder);
    for (key, value) in KEYS {
        git.text(&["config", "--local", key, value])?;
    }
    Ok(vec!["merge driver installed".to_owned()])
}

/// Takes it out of the configuration. The attribute stays: it is committed, for everyone.
///
/// # Errors
/// The configuration cannot be written.
pub fn uninstall(folder: &Path) -> Result<Vec<String>> {
    if status(folder) == DriverState::Missing {
        return Ok(Vec::new());
    }
    Program::elsewhere(folder).text(&["config", "--local", "--remove-section", "merge.dbbuild"])?;
    Ok(vec!["merge driver removed".to_owned()])
}

/// Names the drivers in `.gitattributes` beside the configuration file, where no attribute does so yet. A driver that
/// somebody chose for diffs stays; for merges there is no other that is right.
///
/// # Errors
/// The file cannot be written.
pub fn name_in_attributes(root: &Path, baseline: &str) -> Result<Option<String>> {
    let told = Program::elsewhere(root).text(&["check-attr", "merge", "diff", "--", baseline]).unwrap_or_default();
    let is = |name: &str, value: &str| told.lines().any(|line| line.ends_with(&format!(": {name}: {value}")));
    let lacks = |(name, value): &(&str, &str)| !is(name, value) && (*name == "merge" || is(name, "unspecified"));
    let missing: Vec<(&str, &str)> = DRIVERS.into_iter().filter(lacks).collect();
    if missing.is_empty() {
        return Ok(None);
    }
    let path = root.join(".gitattributes");
    let existing = match std::fs::read_to_string(&path) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => String::new(),
        read => read.or_failed(|| "cannot read .gitattributes")?,
    };
    let Some(text) = append_lines(&existing, &driver_attributes(baseline, &missing)) else { return Ok(None) };
    files::replace(&path, text.as_bytes()).or_failed(|| "cannot write .gitattributes")?;
    let names: Vec<&str> = missing.iter().map(|(name, _)| *name).collect();
    Ok(Some(format!("{baseline} names the {} driver in .gitattributes: commit that file", names.join(" and the "))))
}
