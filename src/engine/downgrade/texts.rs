//! The texts that a downgrade runs: what the version table keeps; and for rows that came with a baseline, which keep none,
//! the file with the same checksum, of the checkout, of the commit or of any commit that git knows.

use crate::engine::history;
use crate::engine::project::Project;
use crate::engine::session::Session;
use crate::engine::switch::Refs;
use crate::error::Result;
use crate::model::migration::Migration;
use crate::model::plan::{Applied, History};
use crate::model::reconcile::{Goal, Kept, Texts, leaving};
use crate::model::sources::Sources;

/// The texts of everything that goes back.
///
/// # Errors
/// The server said no.
pub async fn texts(
    project: &Project,
    goal: &Goal,
    sources: &Sources,
    history: &History,
    session: &Session,
) -> Result<Texts> {
    let going = leaving(goal, sources, history);
    let versions: Vec<_> = going.iter().map(|row| row.version.clone()).collect();
    let mut texts = history::texts(session, &versions).await?;
    let bare: Vec<&Applied> =
        going.into_iter().filter(|row| texts.get(&row.version).is_none_or(|kept| kept.up.is_none())).collect();
    if bare.is_empty() {
        return Ok(texts);
    }
    // What is wrong with other files of the checkout is no matter of this one.
    let here = project.sources().unwrap_or_default();
    let refs = Refs::of(project);
    for row in bare {
        let same =
            |sources: &Sources| sources.migration(&row.version).filter(|file| file.checksum == row.checksum).cloned();
        let file = same(sources).or_else(|| same(&here)).or_else(|| from_git(project, &refs, row));
        if let Some(file) = file {
            let kept = texts.entry(row.version.clone()).or_default();
            let down = file.down.as_ref().map(|down| down.source().clone());
            *kept = Kept { up: Some(file.up.source().clone()), down: kept.down.clone().or(down) };
        }
    }
    Ok(texts)
}

fn from_git(project: &Project, refs: &Refs, row: &Applied) -> Option<Migration> {
    super::has_git(project).then_some(())?;
    let path = format!("{}/{}_{}.sql", project.config.paths.migrations, row.version, row.name);
    let text = refs.text_of(&path, &row.checksum)?;
    Migration::parse(&path, text.as_bytes()).ok()
}
