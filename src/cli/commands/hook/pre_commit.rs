//! `pre-commit` and `pre-merge-commit`: the index must hold what is proved.

use super::super::verify;
use crate::cli::{Context, Done};
use crate::engine::cache::Kind;
use crate::engine::git::Source;
use crate::engine::project::Project;
use crate::engine::prove;
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
    let tree = project.tree(&Source::Index)?;
    Ok(project.cache.get(Kind::Verdict, &tree.key()).map(|_| Done::Well))
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
/// See [`verify::verify`].
pub(super) async fn judge(context: &Context, project: &Project, source: &Source) -> Result<()> {
    let tree = project.tree(source)?;
    if project.cache.get(Kind::Verdict, &tree.key()).is_some() {
        return Ok(());
    }
    let sources = tree.sources(project)?;
    if project.cache.get(Kind::Verdict, &prove::verdict_key(&tree.config, &sources)).is_some() {
        project.cache.put(Kind::Verdict, &tree.key(), "proved");
        return Ok(());
    }
    let progress = context.progress("migrations", sources.migrations.len());
    let notes = verify::verify(project, &tree, &sources, &|event| progress.event(event)).await;
    progress.end();
    notes?.iter().for_each(|note| context.output.note(note));
    Ok(())
}
