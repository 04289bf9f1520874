//! `post-merge`, `post-checkout` and `post-rewrite`: what the new tree means for the local database.

use crate::cli::{Context, Done, ran};
use crate::engine::runner::Event;
use crate::engine::switch::{Moment, follow};
use crate::error::Result;

/// Tells, or with `hooks.auto` does. A server that does not run is not started for it, and nothing here stops git.
///
/// # Errors
/// The files or the database cannot be read, or a script fails; git has done its work by then.
pub(super) async fn run(context: &Context, moment: Moment<'_>) -> Result<Done> {
    let project = context.project()?;
    let sink = |event: Event| {
        if let Event::Note(text) = event {
            context.output.note(&text);
        }
    };
    let followed = follow(&project, moment, &context.program(), &sink).await;
    let followed =
        followed.map_err(|e| e.help("git has done its work; only the local database was not brought to the tree."))?;
    followed.notes.iter().for_each(|note| context.output.note(note));
    if let Some((database, outcome)) = followed.done {
        ran::show(&context.output, &outcome.report);
        if outcome.changed {
            context.output.line(&format!("{database} is as the files say now"));
        }
    }
    Ok(Done::Well)
}
