//! `pre-commit` and `pre-merge-commit`: the index must hold what is proved.

use crate::cli::{Context, Done};
use crate::engine::git::Source;
use crate::engine::project::Project;
use crate::engine::verdict::{Judgement, Verdict};
use crate::error::Result;

/// Nothing of the database is staged, or what is staged was proved before.
///
/// # Errors
/// The index cannot be read.
pub(super) fn shortcut(context: &Context) -> Result<Option<Done>> {
    let project = context.project()?;
    if !project.staged()? {
        return Ok(Some(Done::Well));
    }
    let judgement = Judgement::open(&project, &Source::Index, None)?;
    Ok(judgement.is_known().then_some(Done::Well))
}

/// Proves what is staged.
///
/// # Errors
/// It must not be committed.
pub(super) async fn run(context: &Context) -> Result<Done> {
    judge(context, &context.project()?, &Source::Index).await?;
    Ok(Done::Well)
}

/// Proves a set of files, unless these very ones were proved before.
///
/// # Errors
/// See [`Judgement::verify`].
pub(super) async fn judge(context: &Context, project: &Project, source: &Source) -> Result<()> {
    let judgement = Judgement::open(project, source, None)?;
    if judgement.is_known() {
        return Ok(());
    }
    let sources = judgement.sources()?;
    let progress = context.progress("migrations", sources.migrations.len());
    let verdict = judgement.verify(&sources, false, &|event| progress.event(event)).await;
    progress.end();
    if let Verdict::Proved(notes) = verdict? {
        notes.iter().for_each(|note| context.output.note(note));
    }
    Ok(())
}
