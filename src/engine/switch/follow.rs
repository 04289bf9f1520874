//! What the hooks after a checkout, a merge and a rewrite do: tell how the local database stands to the tree, or with
//! `hooks.auto` bring it there.
//!
//! Starts no server and stops nothing: what cannot be done is told.

use super::{Losses, Refs, Survey, branch, judge_edits, rehearse, survey};
use crate::engine::project::Project;
use crate::engine::provenance::{self, Given};
use crate::engine::runner::Sink;
use crate::engine::session::Session;
use crate::engine::target::{Start, Target};
use crate::engine::upgrade::{self, Job, Outcome, Work};
use crate::engine::{drift, prove};
use crate::error::Result;
use crate::model::attic::given::OnConflict;
use crate::model::guard::Standing;
use crate::model::plan::{self, PlanOptions};
use crate::model::sources::Sources;

/// What git has just done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment<'a> {
    /// `post-checkout`, with the words that git gives: the commits before and after, and 1 where a branch was checked out.
    Checkout(&'a [String]),
    /// `post-merge`.
    Merge,
    /// `post-rewrite`, with `rebase` or `amend`.
    Rewrite(&'a str),
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Followed {
    /// What a person should know.
    pub notes: Vec<String>,
    /// The database, and what ran on it.
    pub done: Option<(String, Outcome)>,
}

impl Followed {
    fn told(note: String) -> Followed {
        Followed { notes: vec![note], done: None }
    }
}

/// Whether a hook has nothing to say now: only files were checked out, or a rebase passes through its commits.
fn is_silent(refs: &Refs, moment: Moment<'_>) -> bool {
    match moment {
        Moment::Checkout(words) => words.last().is_some_and(|flag| flag == "0") || refs.is_rebasing(),
        Moment::Merge => refs.is_rebasing(),
        // git calls it at the end of a rebase, before the rebase's own files are gone.
        Moment::Rewrite(what) => what != "rebase" && refs.is_rebasing(),
    }
}

/// Follows what git has done. `program` is how messages call dbbuild.
///
/// # Errors
/// The files cannot be read, or a script fails. A database that cannot be reached is none: there is nothing to tell.
pub async fn follow(project: &Project, moment: Moment<'_>, program: &str, sink: Sink<'_>) -> Result<Followed> {
    let refs = Refs::of(project);
    if is_silent(&refs, moment) {
        return Ok(Followed::default());
    }
    let auto = project.config.hooks.auto;
    let Ok(target) = Target::find(project, None, None, Start::Never).await else { return Ok(Followed::default()) };
    let mut made = Vec::new();
    let session = match target.connect().await {
        Ok(session) => session,
        Err(e) if e.code() == Some("3D000") && target.branch.is_some() => {
            let origin = branch::origin(project, &project.sources()?, &target).await?;
            let Some(origin) = origin else { return Ok(Followed::default()) };
            if !auto {
                return Ok(Followed::told(format!(
                    "this branch has no database yet; `{program}` makes {} from {}",
                    target.describe(),
                    origin.describe()
                )));
            }
            made.push(branch::copy(project, &origin, &target).await?);
            target.connect().await?
        }
        Err(_) => return Ok(Followed::default()),
    };
    let sources = project.sources()?;
    let found = target.read(&session).await?;
    if !matches!(found.facts.standing(), Standing::Valid(_)) {
        // Nothing was built here yet, or it is not this project's to touch.
        return Ok(Followed::default());
    }
    let survey = survey(project, &sources, &target, &session, &found).await?;
    if !auto || target.selected.is_protected() {
        return Ok(Followed { notes: tell(&sources, &target, &found, &survey, program)?, done: None });
    }
    let mut followed = bring(project, &sources, &target, session, &survey, sink).await?;
    made.append(&mut followed.notes);
    Ok(Followed { notes: made, ..followed })
}

/// What there is to tell, in lines.
fn tell(
    sources: &Sources,
    target: &Target,
    found: &crate::engine::history::Found,
    survey: &Survey,
    program: &str,
) -> Result<Vec<String>> {
    let mut notes = Vec::new();
    let database = target.describe();
    let list = |names: Vec<String>| names.join(", ");
    let strange = survey.strange();
    if !strange.is_empty() {
        let names = list(strange);
        notes.push(format!(
            "applied on {database}, but in no file here: {names}; `{program} build --take-back` takes back what has a down part"
        ));
    }
    if !survey.edited.is_empty() {
        let names = list(survey.edited.iter().map(|row| format!("{}_{}", row.version, row.name)).collect());
        notes.push(format!("applied on {database} with other content: {names}; run `{program}`"));
        return Ok(notes);
    }
    let options = PlanOptions {
        environment: target.selected.name.clone(),
        protected: target.selected.is_protected(),
        mark: false,
        testdata: Vec::new(),
        checks: false,
        to: None,
    };
    let planned = plan::plan(sources, &found.history, &options)?;
    match planned.migrations().count() {
        0 if planned.is_empty() => {}
        0 => notes.push(format!("{database} is behind the files; run `{program}`")),
        1 => notes.push(format!("1 migration pending on {database}; run `{program}`")),
        n => notes.push(format!("{n} migrations pending on {database}; run `{program}`")),
    }
    Ok(notes)
}

/// Takes back, applies, and compares with what the files make where that is known.
async fn bring(
    project: &Project,
    sources: &Sources,
    target: &Target,
    session: Session,
    survey: &Survey,
    sink: Sink<'_>,
) -> Result<Followed> {
    judge_edits(project, sources, &survey.edited)?;
    let mut notes: Vec<String> = survey
        .stuck()
        .iter()
        .map(|stuck| format!("cannot be taken back: {stuck}; `dbbuild reset` builds anew"))
        .collect();
    let take_back = match rehearse(target, &project.config, sources, &survey.way, sink).await {
        Ok(losses) => {
            notes.extend(loss_note(&losses));
            Some(survey.absent.clone())
        }
        // What is missing can still be applied.
        Err(e) if survey.edited.is_empty() => {
            notes.push(format!("nothing was taken back: {e}; `dbbuild reset` builds anew"));
            None
        }
        Err(e) => return Err(e),
    };
    let took = take_back.is_some();
    let work = Work {
        project,
        sources,
        job: Job::Build { take_back },
        author: &|| provenance::author(project, &Given::default()),
        on_conflict: OnConflict::Report,
        check_first: false,
        sink,
        begin: &|_| {},
    };
    let outcome = upgrade::run(&work, target, session).await?;
    let known = prove::remembered(&project.cache, &prove::inputs(&project.config, sources)).is_some();
    if known && took && survey.way.stuck.is_empty() {
        let found = drift::find(project, sources, target, &outcome.session).await?;
        if !found.is_empty() {
            return Err(drift::error(&target.describe(), &project.config.paths.baseline, &found));
        }
    }
    Ok(Followed { notes, done: Some((target.describe(), outcome)) })
}

/// "taking back moves into the attic: …", where it loses anything.
pub(super) fn loss_note(losses: &Losses) -> Option<String> {
    (!losses.is_empty()).then(|| format!("taking back moves into the attic: {}", losses.lines().join("; ")))
}
