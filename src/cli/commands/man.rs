//! `dbbuild man DIR`: manual pages, generated from the same definitions as the help.

use crate::cli::{Context, Done, definition};
use crate::error::{OrFailed, Result};
use std::path::PathBuf;

/// Arguments of `man`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The folder for dbbuild.1, dbbuild-apply.1 and so on
    #[arg(value_name = "DIR")]
    pages: PathBuf,
}

/// Writes the pages.
///
/// # Errors
/// The folder cannot be written.
pub async fn run(context: &Context, args: Args) -> Result<Done> {
    let failed = || format!("cannot write manual pages into {}", args.pages.display());
    std::fs::create_dir_all(&args.pages).or_failed(failed)?;
    clap_mangen::generate_to(definition(), &args.pages).or_failed(failed)?;
    context.output.line(&format!("manual pages written to {}", args.pages.display()));
    Ok(Done::Well)
}
