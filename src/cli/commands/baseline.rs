//! `dbbuild baseline`: made anew in throwaways and written atomically.

use crate::cli::output::count;
use crate::cli::{Context, Done};
use crate::engine::prove::{self, Goal, Request};
use crate::engine::{baseline, merge, rewrite};
use crate::error::Result;
use crate::model::version::Version;

/// Arguments of `baseline`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Let this published migration differ from now on, and record that in the baseline; can be given again
    #[arg(long, value_name = "VERSION", value_parser = version)]
    allow_rewrite: Vec<Version>,
}

/// A version on the command line.
pub fn version(text: &str) -> std::result::Result<Version, String> {
    Version::parse(text).map_err(|e| e.message().to_owned())
}

/// Makes the baseline.
///
/// # Errors
/// The sources do not replay, or a rule is broken: the old file stands as it was.
pub async fn run(context: &Context, args: Args) -> Result<Done> {
    let project = context.project()?;
    let mut sources = project.sources()?;
    let conflict = merge::solved(&project, &mut sources);
    let path = &project.config.paths.baseline;
    let committed = sources.baseline.clone();
    let (base, allowed) =
        baseline::published(&project, &sources, &args.allow_rewrite, &|note| context.output.note(&note))?;
    rewrite::record(&mut sources, &allowed);
    let progress = context.progress("migrations", sources.migrations.len());
    let request = Request {
        config: &project.config,
        sources: &sources,
        base: base.as_ref(),
        goal: Goal::Generate,
        cache: &project.cache,
        reuse: true,
        sink: &|event| progress.event(event),
    };
    let proof = prove::prove(&request).await;
    progress.end();
    let proof = proof?;
    proof.notes.iter().for_each(|note| context.output.note(note));
    let unchanged = !conflict && committed.is_some_and(|old| *old == *proof.baseline.as_bytes());
    baseline::put(&project, &proof, unchanged)?;
    let text = if unchanged { "is as it should be" } else { "was written" };
    context.output.line(&format!(
        "{path} {text}: {}, {} bytes",
        count(sources.migrations.len(), "migration"),
        proof.baseline.len()
    ));
    if !proof.definitions.is_empty() {
        context.output.line(&format!("{} follows it", project.config.paths.definitions));
    }
    if conflict {
        context.output.line(&format!("its merge conflict is solved: `git add {path}`"));
    }
    context.output.json(&serde_json::json!({ "path": path, "changed": !unchanged, "notes": proof.notes }));
    Ok(Done::Well)
}
