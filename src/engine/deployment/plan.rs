//! What a run would execute on one database.

use super::standing::{claim, objection, require_ahead};
use crate::engine::cache::Kind;
use crate::engine::history::{Author, Found};
use crate::engine::project::Project;
use crate::engine::secure::Bodies;
use crate::engine::session::Session;
use crate::engine::sizes;
use crate::engine::switch;
use crate::engine::target::Target;
use crate::engine::upgrade::{Job, Work, plan_for, texts_for};
use crate::error::{Error, Result};
use crate::model::attic::given::OnConflict;
use crate::model::draft;
use crate::model::guard::{self, Action};
use crate::model::migration::Migration;
use crate::model::preview::{self, Preview};
use crate::model::reconcile::{Absent, Texts};
use crate::model::review;
use crate::model::sources::Sources;
use crate::model::version::Version;
use std::collections::BTreeMap;

/// What to plan.
#[derive(Debug, Clone, Default)]
pub struct PlanRequest {
    /// A new installation from the baseline.
    pub bootstrap: bool,
    /// Take back what the files do not have.
    pub take_back: bool,
    /// A run of `apply`, whatever the environment is.
    pub apply: bool,
    /// A run of `apply --to`.
    pub to: Option<Version>,
    /// What [`super::uncommitted`] said; told where it counts.
    pub uncommitted: Option<String>,
}

/// What a run would do to one database.
#[derive(Debug)]
pub struct Planned {
    /// The database, as messages name it.
    pub database: String,
    /// Whether there is such a database.
    pub exists: bool,
    /// The plan as people and JSON see it.
    pub preview: Preview,
    /// Nothing would be written.
    pub is_empty: bool,
    /// Why the guard would refuse it.
    pub refusal: Option<Error>,
}

/// Plans a run on one database: `apply` on a protected environment, else `build`. Writes nothing.
///
/// # Errors
/// The sources do not fit the database.
pub async fn plan(project: &Project, sources: &Sources, target: &Target, request: PlanRequest) -> Result<Planned> {
    let (session, found) = target.look().await?;
    let protected = target.selected.is_protected();
    let applies = protected && !request.bootstrap;
    let job = match (request.bootstrap, request.to, protected || request.apply) {
        (true, ..) => Job::Bootstrap,
        (false, Some(to), _) => Job::ApplyTo(to),
        (false, None, true) => Job::Apply,
        (false, None, false) => {
            let wanted = request.take_back || project.config.hooks.auto;
            let looked = (session.as_ref(), &found);
            Job::Build { take_back: takes_back(project, sources, target, looked, wanted).await? }
        }
    };
    let work = Work {
        project,
        sources,
        job,
        author: &Author::default,
        on_conflict: OnConflict::Report,
        check_first: false,
        sink: &|_| {},
        begin: &|_| {},
    };
    let texts = match &session {
        Some(session) => texts_for(&work, &found, session).await?,
        None => Texts::new(),
    };
    let mut plan = plan_for(&work, target, &found, &texts)?;
    Bodies::of(project, target).fill(&mut plan).await?;
    review::plan(&plan).map_err(|error| target.placeholders.mask_error(error))?;
    let sizes = match &session {
        Some(session) => sizes::read(session, &preview::tables(&plan)?).await?,
        None => BTreeMap::new(),
    };
    let rehearsed = |migration: &Migration| project.cache.get(Kind::Rehearsal, &migration.checksum);
    let mut preview = preview::preview(&plan, &target.describe(), &sizes, &rehearsed)
        .map_err(|error| target.placeholders.mask_error(error))?;
    for step in &mut preview.steps {
        step.locks.iter_mut().for_each(|lock| lock.table = target.placeholders.mask(&lock.table));
        step.note = step.note.take().map(|note| target.placeholders.mask(&note));
    }
    preview.notes.extend(draft::note(&plan));
    if applies {
        preview.notes.extend(request.uncommitted);
        preview.notes.extend(behind(project, sources, &found, session.as_ref()).await?);
    }
    let is_empty = plan.is_empty();
    let refusal = guard::clear(plan, &found.facts, &target.selected).err();
    Ok(Planned { database: target.describe(), exists: session.is_some(), preview, is_empty, refusal })
}

/// What `apply` would refuse because the tree is older than what the database has.
async fn behind(
    project: &Project,
    sources: &Sources,
    found: &Found,
    session: Option<&Session>,
) -> Result<Option<String>> {
    let Some(session) = session else { return Ok(None) };
    let claim = claim(session).await?;
    let refused = require_ahead(project, sources, found, claim.as_deref()).err();
    // Without its name, so that many databases share a plan.
    let name = found.facts.description.as_str();
    Ok(refused.map(|refused| objection(&refused, "--allow-behind").replacen(name, "this database", 1)))
}

/// What a build would take back: edited migrations as soon as somebody agrees, what is in no file where that is wanted.
async fn takes_back(
    project: &Project,
    sources: &Sources,
    target: &Target,
    looked: (Option<&Session>, &Found),
    wanted: bool,
) -> Result<Option<Absent>> {
    let (Some(session), found) = looked else { return Ok(None) };
    if guard::judge(Action::TakeBack, &found.facts, &target.selected).is_err() {
        return Ok(None);
    }
    let survey = switch::survey(project, sources, target, session, found).await?;
    switch::judge_edits(project, sources, &survey.edited)?;
    Ok((wanted || !survey.edited.is_empty()).then_some(survey.absent))
}
