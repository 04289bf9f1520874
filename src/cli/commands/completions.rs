//! `dbbuild completions SHELL`: generated from the same definitions as the help.

use crate::cli::{Context, Done, definition, output};
use crate::error::Result;

/// Arguments of `completions`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The shell
    shell: clap_complete::Shell,
}

/// Prints the script.
///
/// # Errors
/// None.
pub async fn run(_: &Context, args: Args) -> Result<Done> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut definition(), "dbbuild", &mut script);
    output::raw(&script);
    Ok(Done::Well)
}
