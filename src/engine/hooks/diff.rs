//! git's diff driver for the baseline: the line above a hunk names the object that it lies in.

use crate::engine::git::Program;
use crate::error::Result;
use std::path::Path;

const KEY: &str = "diff.dbbuild.xfuncname";

/// An extended regular expression of POSIX; git goes upward line by line and shows what the parenthesis matched.
const HEADING: &str = "^-- Name: (.*; Type: [A-Z ]+; Schema: .*)$";

/// Whether git knows the driver.
pub fn has_diff_driver(folder: &Path) -> bool {
    Program::elsewhere(folder).text(&["config", "--local", "--get", KEY]).is_ok_and(|text| text == HEADING)
}

/// Registers it; says so where it was not.
///
/// # Errors
/// The configuration cannot be written.
pub(super) fn add(folder: &Path) -> Result<Option<String>> {
    if has_diff_driver(folder) {
        return Ok(None);
    }
    Program::elsewhere(folder).text(&["config", "--local", KEY, HEADING])?;
    Ok(Some("diff driver installed".to_owned()))
}

/// Takes it out of the configuration; says so where it was there.
///
/// # Errors
/// The configuration cannot be written.
pub(super) fn remove(folder: &Path) -> Result<Option<String>> {
    if !has_diff_driver(folder) {
        return Ok(None);
    }
    Program::elsewhere(folder).text(&["config", "--local", "--remove-section", "diff.dbbuild"])?;
    Ok(Some("diff driver removed".to_owned()))
}
