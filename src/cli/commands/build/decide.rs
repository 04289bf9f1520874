//! Before a build: what to do about migrations that the files do not have, and about edited ones.
//!
//! Told unless asked for; a take-back that an edit needs is asked for on a terminal, and says first what it loses.

use super::super::drop::drop_guarded;
use super::Local;
use crate::cli::{Context, output};
use crate::engine::runner::Event;
use crate::engine::session::Session;
use crate::engine::switch::{self, Losses, Survey};
use crate::error::{Error, Result};
use crate::model::guard::{self, Action};
use crate::model::reconcile::{Absent, Way};
use crate::model::sources::Sources;

/// What was decided.
pub(super) struct Decided {
    /// The connection to go on with.
    pub session: Session,
    /// Take back what the files do not have, and edited migrations.
    pub take_back: Option<Absent>,
    /// The database was dropped and made again, so that all of it is built anew.
    pub rebuilt: bool,
    /// Migrations that stay though the files do not have them.
    pub phantoms: Vec<String>,
}

/// Looks how the database stands to the files, and asks where that is needed. `asked`: taking back was asked for.
///
/// # Errors
/// An edited migration is published, or nobody said that it may be taken back; nothing was changed.
pub(super) async fn decide(local: &Local<'_>, session: Session, asked: bool) -> Result<Decided> {
    let Local { context, project, sources, target } = *local;
    let found = target.read(&session).await?;
    let survey = switch::survey(project, sources, target, &session, &found).await?;
    let wanted = asked || project.config.hooks.auto;
    let going = |session, take_back, phantoms| Decided { session, take_back, rebuilt: false, phantoms };
    if survey.is_clean() {
        return Ok(going(session, None, Vec::new()));
    }
    if let Err(refusal) = guard::judge(Action::TakeBack, &found.facts, &target.selected) {
        // Asked for by an option it is refused; otherwise the plan says what it says of any such database.
        return if asked { Err(refusal) } else { Ok(going(session, None, Vec::new())) };
    }
    switch::judge_edits(project, sources, &survey.edited)?;
    if survey.way.is_blocked() {
        return rebuild(local, session, &survey, None).await;
    }
    if survey.edited.is_empty() && !wanted {
        let phantoms: Vec<String> = survey.strange();
        context
            .output
            .note(&format!("in no file here: {}; `dbbuild build --take-back` takes back", phantoms.join(", ")));
        return Ok(going(session, None, phantoms));
    }
    let losses = match switch::rehearse(target, &project.config, sources, &survey.way, &|_: Event| {}).await {
        Ok(losses) => losses,
        Err(e) if asked && survey.edited.is_empty() => return Err(e),
        Err(e) if survey.edited.is_empty() => {
            context.output.note(&format!("nothing was taken back: {e}; `dbbuild reset` builds anew"));
            return Ok(going(session, None, survey.strange()));
        }
        // The file is at fault: building anew would fail at it, too.
        Err(e) if e.location().is_some_and(|at| sources.all_migrations().iter().any(|file| file.path == at.path)) => {
            return Err(e);
        }
        Err(e) => return rebuild(local, session, &survey, Some(e)).await,
    };
    survey.stuck().iter().for_each(|stuck| context.output.note(&format!("cannot be taken back: {stuck}")));
    if asks(&survey.way) && !wanted {
        ask(context, sources, &survey, &losses)?;
    } else if !losses.is_empty() {
        context.output.note(&format!("taking back moves into the attic: {}", losses.lines().join("; ")));
    }
    let left = survey.way.stuck.iter().map(|stuck| format!("{}_{}", stuck.row.version, stuck.row.name));
    Ok(going(session, Some(survey.absent), left.collect()))
}

/// Rows alone are written anew without a question.
fn asks(way: &Way) -> bool {
    !way.back.is_empty()
}

fn ask(context: &Context, sources: &Sources, survey: &Survey, losses: &Losses) -> Result<()> {
    if context.globals.yes {
        losses.lines().iter().for_each(|line| context.output.note(&format!("taking back moves into the attic {line}")));
        return Ok(());
    }
    let error = switch::undecided(sources, survey, losses);
    if !output::is_interactive() {
        return Err(error);
    }
    context.output.note(&error.to_string());
    losses.lines().iter().for_each(|line| context.output.note(&format!("taking back moves into the attic {line}")));
    let labels: Vec<String> = survey.way.back.iter().map(|back| back.label()).collect();
    if output::confirm(&format!("Take back {}, and apply the files as they are now?", labels.join(", "))) {
        return Ok(());
    }
    Err(Error::failed("nothing was run").cause("the answer was no"))
}

/// Where there is no way back: builds anew, once somebody said so.
async fn rebuild(local: &Local<'_>, session: Session, survey: &Survey, failure: Option<Error>) -> Result<Decided> {
    let Local { context, project, sources, target } = *local;
    let contents = switch::contents(&session).await?;
    if !context.globals.yes && !output::is_interactive() {
        return Err(failure.unwrap_or_else(|| switch::no_way_back(sources, survey, &contents)));
    }
    let why = failure.map_or_else(|| survey.stuck().join("; "), |failure| failure.to_string());
    context.output.note(&format!("an edited migration cannot be taken back: {why}"));
    contents.lines().iter().for_each(|line| context.output.note(&format!("building anew loses {line}")));
    session.close().await;
    drop_guarded(context, target, Action::Reset).await?;
    let (session, _) = target.open(&project.config).await?;
    Ok(Decided { session, take_back: None, rebuilt: true, phantoms: Vec::new() })
}
