//! `dbbuild plan`: exactly what a run would execute. Writes nothing, not even the version table.

use crate::cli::{Context, Done};
use crate::engine::cache::Kind;
use crate::engine::history::Found;
use crate::engine::project::Project;
use crate::engine::secure::Bodies;
use crate::engine::session::Session;
use crate::engine::sizes;
use crate::engine::switch;
use crate::engine::target::{Start, Target};
use crate::engine::upgrade::{Job, Work, plan_for, texts_for};
use crate::error::Result;
use crate::model::guard::{self, Action};
use crate::model::preview::{self, Preview, StepView};
use crate::model::reconcile::{Absent, Texts};
use crate::model::review;
use crate::model::sources::Sources;
use std::collections::BTreeMap;

/// Arguments of `plan`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Plan a new installation from the baseline
    #[arg(long)]
    bootstrap: bool,
    /// Show how `dbbuild build --take-back` would take back what the files do not have
    #[arg(long, conflicts_with = "bootstrap")]
    take_back: bool,
}

/// Plans.
///
/// # Errors
/// The sources do not fit the database, or the guard would refuse.
pub async fn run(context: &Context, args: Args) -> Result<Done> {
    let project = context.project()?;
    let sources = project.sources()?;
    let target = context.target(&project, Start::Never).await?;
    let (session, found) = target.look().await?;
    if session.is_none() {
        context.output.note(&format!("there is no {} yet; a run makes it", target.describe()));
    }
    let protected = target.selected.is_protected();
    let job = match (args.bootstrap, protected) {
        (true, _) => Job::Bootstrap,
        (false, true) => Job::Apply,
        (false, false) => {
            let wanted = args.take_back || project.config.hooks.auto;
            let looked = (session.as_ref(), &found);
            Job::Build { take_back: takes_back(&project, &sources, &target, looked, wanted).await? }
        }
    };
    let work = Work {
        project: &project,
        sources: &sources,
        job,
        commit: &|| None,
        check_first: false,
        sink: &|_| {},
        begin: &|_| {},
    };
    let texts = match &session {
        Some(session) => texts_for(&work, &found, session).await?,
        None => Texts::new(),
    };
    let mut plan = plan_for(&work, &target, &found, &texts)?;
    Bodies::of(&project, &target.selected).fill(&mut plan).await?;
    review::plan(&plan).map_err(|error| target.placeholders.mask_error(error))?;
    let sizes = match &session {
        Some(session) => sizes::read(session, &preview::tables(&plan)?).await?,
        None => BTreeMap::new(),
    };
    let rehearsed =
        |migration: &crate::model::migration::Migration| project.cache.get(Kind::Rehearsal, &migration.checksum);
    let mut preview = preview::preview(&plan, &target.describe(), &sizes, &rehearsed)
        .map_err(|error| target.placeholders.mask_error(error))?;
    for step in &mut preview.steps {
        step.locks.iter_mut().for_each(|lock| lock.table = target.placeholders.mask(&lock.table));
        step.note = step.note.take().map(|note| target.placeholders.mask(&note));
    }
    show(context, &preview, plan.is_empty());
    let cleared = guard::clear(plan, &found.facts, &target.selected);
    context.output.json(&serde_json::json!({
        "plan": preview,
        "refusal": cleared.as_ref().err().map(ToString::to_string),
    }));
    cleared.map(|_| Done::Well)
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

fn show(context: &Context, preview: &Preview, empty: bool) {
    let out = &context.output;
    out.answer(&format!("plan {} for {} ({})", preview.fingerprint, preview.database, preview.environment));
    preview.notes.iter().for_each(|note| out.note(note));
    if empty {
        out.answer(if preview.steps.is_empty() { "nothing to do" } else { "nothing is pending; a run only checks:" });
    }
    for (n, step) in preview.steps.iter().enumerate() {
        out.answer(&format!("{:>4}  {}", n + 1, sentence(step)));
        for lock in &step.locks {
            let size = match lock.size {
                Some(size) => {
                    let rows = size.rows.map_or_else(|| "rows unknown".to_owned(), |rows| format!("about {rows} rows"));
                    format!(": {rows}, {}", bytes(size.bytes))
                }
                None => String::new(),
            };
            out.answer(&format!("        {} on {}{size}", lock.lock, lock.table));
        }
    }
}

fn sentence(step: &StepView) -> String {
    let mut words = vec![step.kind.to_owned()];
    words.extend(step.path.clone());
    let mut facts = Vec::new();
    facts.extend(step.reason.map(str::to_owned));
    if step.statements > 0 {
        facts.push(format!("{} statement{}", step.statements, if step.statements == 1 { "" } else { "s" }));
    }
    if !step.transaction {
        facts.push("statement by statement".to_owned());
    }
    facts.extend(step.manner.iter().cloned());
    facts.extend(step.note.clone());
    if !facts.is_empty() {
        words.push(format!("({})", facts.join(", ")));
    }
    words.join(" ")
}

/// A size as people read it.
pub fn bytes(n: u64) -> String {
    indicatif::HumanBytes(n).to_string()
}
