//! `dbbuild adopt`: an existing database becomes a repository's, with what it holds as migration zero.

use crate::cli::{Context, Done};
use crate::error::{Error, Result};

mod from;

/// Arguments of `adopt`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Take the rows of this table into the migration too, as a table that every install needs; can be given again
    #[arg(long, value_name = "TABLE", num_args = 1.., conflicts_with = "from")]
    data: Vec<String>,
    /// Read from this tool's own table which of the converted migrations are applied
    #[arg(long, value_name = "TOOL")]
    from: Option<String>,
    /// The environment's name again: a database that is not empty wants it
    #[arg(long, value_name = "NAME")]
    confirm: Option<String>,
}

/// Takes the database over.
///
/// # Errors
/// The guard refuses, or what would be written does not make the same database: nothing was written.
pub async fn run(context: &Context, args: Args) -> Result<Done> {
    if let Some(tool) = &args.from {
        return from::run(context, tool, args.confirm.as_deref()).await;
    }
    Err(Error::failed("cannot take a database over without `--from` yet"))
}
