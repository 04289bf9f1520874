//! `dbbuild hook merge-driver`: what git calls to merge the baseline.

use crate::cli::output::count;
use crate::cli::{Context, Done};
use crate::engine::merge::{self, Versions};
use crate::engine::project::Project;
use crate::error::{Error, Result};
use std::path::PathBuf;

/// Arguments of `hook merge-driver`, as git fills them in.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The common base's version (%O)
    base: PathBuf,
    /// Our version, which takes the result (%A)
    ours: PathBuf,
    /// Their version (%B)
    theirs: PathBuf,
    /// The size of conflict markers (%L)
    marker: usize,
    /// The path that is merged (%P)
    path: String,
}

/// Merges; or leaves a conflict and says what to do.
///
/// # Errors
/// The baseline was not merged: our version holds both sides with conflict markers.
pub async fn run(context: &Context, args: Args) -> Result<Done> {
    let Args { base, ours, theirs, marker, path } = args;
    let versions = Versions { base, ours, theirs, marker, path };
    match drive(context, &versions).await {
        Ok(()) => Ok(Done::Well),
        Err(reason) => {
            merge::leave(&versions)?;
            Err(not_merged(&versions.path, &reason))
        }
    }
}

async fn drive(context: &Context, versions: &Versions) -> Result<()> {
    let project = Project::find(&versions.folder(), context.globals.config.as_deref())?;
    let progress = context.progress("migrations", 0);
    let made = merge::drive(&project, versions, &|event| progress.event(event)).await;
    progress.end();
    let made = made?;
    made.notes.iter().for_each(|note| context.output.note(note));
    let migrations = count(made.migrations, "migration");
    context.output.note(&format!("{} was made anew from both sides: {migrations}", versions.path));
    Ok(())
}

/// The reason is kept whole, and what to do comes last.
fn not_merged(path: &str, reason: &Error) -> Error {
    let mut error = Error::failed(format!("{path} was not merged")).cause(reason);
    for other in reason.others() {
        error = error.cause(other);
    }
    for detail in reason.details() {
        error = error.detail(detail.clone());
    }
    for help in reason.helps() {
        error = error.help(help.clone());
    }
    error.help(
        "it is left in conflict: mend the sources, then run `dbbuild baseline`, `git add` what you solved and go on.",
    )
}
