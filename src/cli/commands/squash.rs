//! `dbbuild squash`: old migrations replaced by one that makes the same.

use crate::cli::output::count;
use crate::cli::{Context, Done};
use crate::engine::{baseline, squash};
use crate::error::Result;
use crate::model::version::Version;

/// Arguments of `squash`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// The first migration that stays; all older ones are squashed
    #[arg(long, value_name = "VERSION", value_parser = super::baseline::version)]
    before: Version,
    /// This environment cannot be reached from here, and has all of them; can be given again
    #[arg(long, value_name = "NAME")]
    unreachable: Vec<String>,
}

/// Squashes.
///
/// # Errors
/// A known database is older, or the squashed history does not make the same: nothing was changed.
pub async fn run(context: &Context, args: Args) -> Result<Done> {
    let project = context.project()?;
    let sources = project.sources()?;
    let out = &context.output;
    let Some(intent) = squash::intend(&project, &sources, &args.before)? else {
        out.line("nothing to do: what is older is one squash already");
        out.json(&serde_json::json!({ "changed": false }));
        return Ok(Done::Well);
    };
    let asked = squash::refuse_older(&project, &intent, &args.unreachable).await?;
    asked.unreachable.iter().for_each(|name| out.note(&format!("the environment {name} was not asked")));
    let progress = context.progress("migrations", sources.migrations.len());
    let made = squash::make(&project, &sources, &intent, &|event| progress.event(event)).await;
    progress.end();
    let made = made?;
    squash::write(&project, &intent, &made)?;
    if made.complete {
        baseline::remember(&project, &made.baseline)?;
    }
    made.notes.iter().for_each(|note| out.note(note));
    let path = &made.migration.path;
    out.line(&format!(
        "{path} stands for {} now, made from {} and proved to make the same",
        count(intent.list.len(), "migration"),
        made.from
    ));
    out.line(&format!("removed {}; commit all of it together", count(intent.files.len(), "file")));
    let removed: Vec<&str> = intent.files.iter().map(|file| file.path.as_str()).collect();
    out.json(&serde_json::json!({
        "changed": true, "path": path, "squashed": intent.list.iter().map(squash_label).collect::<Vec<_>>(),
        "removed": removed, "commit": intent.commit, "from": made.from, "asked": asked.valid,
        "unreachable": asked.unreachable, "notes": made.notes,
    }));
    Ok(Done::Well)
}

fn squash_label(replaced: &crate::model::squash::Replaced) -> String {
    replaced.label()
}
