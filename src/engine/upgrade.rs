//! From a target and sources to a changed database: read, plan, clear, lock, run. Every command that writes to a user's
//! database goes through here.

use crate::engine::downgrade::{self, Request};
use crate::engine::history::{self, Author, Found};
use crate::engine::project::Project;
use crate::engine::roles::{self, Passwords};
use crate::engine::runner::{self, Event, Report, RunOptions, Sink, run_check};
use crate::engine::secure::Bodies;
use crate::engine::session::Session;
use crate::engine::target::Target;
use crate::error::{Error, Result};
use crate::model::attic::given::OnConflict;
use crate::model::baseline::{Baseline, inputs_of};
use crate::model::checksum::Checksum;
use crate::model::config::Order;
use crate::model::guard::{self, Action, Cleared, Standing};
use crate::model::migration::Migration;
use crate::model::plan::{self, FileKind, History, Plan, PlanOptions, Purpose, Step};
use crate::model::reconcile::{self, Absent, Texts};
use crate::model::review;
use crate::model::roles::Roles;
use crate::model::sources::Sources;
use crate::model::version::Version;
use std::path::PathBuf;
use std::sync::Arc;

/// What to do to the database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Job {
    /// Bring it up to the sources, with test data where the guard allows it.
    Build {
        /// Take back first what the tree does not have, and edited migrations; with the texts of absent repeatable files.
        take_back: Option<Absent>,
    },
    /// Bring it up to the sources, never with test data.
    Apply,
    /// The same up to a version; what newer migrations go with stays out.
    ApplyTo(Version),
    /// Make it from the baseline.
    Bootstrap,
    /// Load sets of test data.
    Seed(Vec<String>),
    /// Go back to a version or commit.
    Downgrade(Box<Request>),
}

/// What a job works with.
pub struct Work<'a> {
    /// The project: its configuration, and where bodies of secure migrations lie.
    pub project: &'a Project,
    /// The sources.
    pub sources: &'a Sources,
    /// What to do.
    pub job: Job,
    /// What is written beside the rows; asked for only where something is written.
    pub author: &'a dyn Fn() -> Author,
    /// What becomes of kept values that cannot be given back as they are.
    pub on_conflict: OnConflict,
    /// Run the checks before anything else.
    pub check_first: bool,
    /// Receives what happens.
    pub sink: Sink<'a>,
    /// Told the number of migrations before they run.
    pub begin: &'a dyn Fn(usize),
}

/// What a job did.
#[derive(Debug)]
pub struct Outcome {
    /// The connection, for a last look.
    pub session: Session,
    /// What ran; empty where there was nothing to do.
    pub report: Report,
    /// Whether anything was written.
    pub changed: bool,
    /// Migrations that are applied now.
    pub applied: usize,
}

/// Makes the plan of a job for a database as it was found.
///
/// # Errors
/// The sources do not fit what was applied, or there is no sound baseline.
pub fn plan_for(work: &Work<'_>, target: &Target, found: &Found, texts: &Texts) -> Result<Plan> {
    let mut plan = unfilled_plan(work, target, found, texts)?;
    target.placeholders.fill_plan(&mut plan)?;
    Ok(plan)
}

fn unfilled_plan(work: &Work<'_>, target: &Target, found: &Found, texts: &Texts) -> Result<Plan> {
    let (facts, selected) = (&found.facts, &target.selected);
    let unmarked = !matches!(facts.standing(), Standing::Valid(_)) && facts.empty;
    let testdata = match work.job {
        Job::Build { .. } if guard::judge(Action::TestData, facts, selected).is_ok() => {
            work.project.config.env.get(&selected.name).map(|env| env.testdata.clone()).unwrap_or_default()
        }
        _ => Vec::new(),
    };
    let options = PlanOptions {
        environment: selected.name.clone(),
        protected: selected.is_protected(),
        mark: unmarked,
        testdata,
        checks: true,
        to: match &work.job {
            Job::ApplyTo(version) => Some(version.clone()),
            _ => None,
        },
    };
    match &work.job {
        Job::Build { take_back: Some(absent) } => {
            let way = reconcile::way(work.sources, &found.history, texts, absent);
            plan::plan_back(work.sources, &found.history, &options, &way)
        }
        Job::Build { .. } | Job::Apply | Job::ApplyTo(_) => {
            let plan = plan::plan(work.sources, &found.history, &options)?;
            if work.project.config.env.get(&selected.name).is_some_and(|env| env.order == Order::Strict) {
                plan::in_order(&plan, &found.history)?;
            }
            Ok(plan)
        }
        Job::Seed(sets) => {
            let mut seed = plan::plan_seed(work.sources, &found.history, &selected.name, sets)?;
            if unmarked {
                seed.steps.insert(0, Step::Mark { environment: options.environment, protected: options.protected });
            }
            Ok(seed)
        }
        Job::Downgrade(request) => downgrade::plan_for(work, request, &found.history, texts, &options),
        Job::Bootstrap => {
            let (text, held) = read_baseline(work)?;
            let path = work.project.config.paths.baseline.as_str();
            let mut plan = plan::plan_bootstrap(work.sources, (path, text), &held, &options)?;
            plan.history = found.history.fingerprint();
            Ok(plan)
        }
    }
}

/// The kept texts that the plan of a job needs.
///
/// # Errors
/// The server said no.
pub async fn texts_for(work: &Work<'_>, found: &Found, session: &Session) -> Result<Texts> {
    match &work.job {
        Job::Build { take_back: Some(_) } => {
            history::texts(session, &reconcile::needed(work.sources, &found.history)).await
        }
        Job::Downgrade(request) => {
            downgrade::texts(work.project, &request.goal, work.sources, &found.history, session).await
        }
        _ => Ok(Texts::new()),
    }
}

/// The committed baseline and what it says it holds.
fn read_baseline(work: &Work<'_>) -> Result<(Arc<str>, History)> {
    let path = &work.project.config.paths.baseline;
    let bytes = work.sources.baseline.as_ref().ok_or_else(|| {
        Error::failed(format!("there is no baseline {path}")).help("run `dbbuild baseline` where the sources are.")
    })?;
    let text = std::str::from_utf8(bytes).map_err(|e| Error::failed(format!("{path} is not UTF-8")).cause(e))?;
    let baseline = Baseline::parse(text, path)?;
    Ok((Arc::from(text), history::held_by_baseline(&baseline)?))
}

/// Does a job. Nothing that it tells shows the value of an environment variable that a placeholder stands for.
///
/// # Errors
/// The guard refuses, or a step fails; the message says what state was left.
pub async fn run(work: &Work<'_>, target: &Target, session: Session) -> Result<Outcome> {
    run_judged(work, target, session, &|_| Ok(())).await
}

/// The same where the caller too has a word on the database as it was found, before anything is written.
///
/// # Errors
/// As [`run`], or what the caller says.
pub async fn run_judged(
    work: &Work<'_>,
    target: &Target,
    session: Session,
    judge: &dyn Fn(&Found) -> Result<()>,
) -> Result<Outcome> {
    let values = &target.placeholders;
    let sink = |event: Event| (work.sink)(event.map_texts(&|text| values.mask(text)));
    let masked = Work { sink: &sink, job: work.job.clone(), ..*work };
    let outcome = match &work.job {
        Job::Downgrade(request) => downgrade::run(&masked, request, target, session).await,
        _ => run_unmasked(&masked, target, session, judge).await,
    };
    outcome
        .map(|mut outcome| {
            for (_, how) in &mut outcome.report.migrations {
                *how = how.take().map(|how| values.mask(&how));
            }
            outcome.report.measures.iter_mut().for_each(|one| one.map_texts(&|text| values.mask(text)));
            outcome
        })
        .map_err(|error| values.mask_error(error))
}

async fn run_unmasked(
    work: &Work<'_>,
    target: &Target,
    session: Session,
    judge: &dyn Fn(&Found) -> Result<()>,
) -> Result<Outcome> {
    let (lock, found) = target.read_to_write(&session).await?;
    judge(&found)?;
    let texts = texts_for(work, &found, &session).await?;
    let mut plan = plan_for(work, target, &found, &texts)?;
    let mut bodies = Bodies::of(work.project, target);
    for action in plan.actions() {
        // Before a body is fetched: what may not run here needs none.
        guard::judge(action, &found.facts, &target.selected)?;
    }
    bodies.fill(&mut plan).await?;
    let cleared = guard::clear(plan, &found.facts, &target.selected)?;
    review::plan(cleared.plan())?;
    let missing_texts = lacks_texts(&found.history, work.sources);
    if cleared.plan().is_empty() && !missing_texts {
        make_roles(work, target, &session).await?;
        let report = check_only(&cleared, &session, work.sink).await?;
        return Ok(Outcome { report, changed: false, applied: found.history.applied.len(), session });
    }
    if !found.may_write {
        return Err(history::may_not_write(&session, &found).await);
    }
    if work.check_first {
        check_only(&cleared, &session, work.sink).await?;
    }
    let (lock, found, cleared) = match lock {
        Some(lock) if runner::keeps_locks(cleared.plan()) => (lock, found, cleared),
        lock => {
            if let Some(lock) = lock {
                lock.leave_to(&session).await?;
            }
            let lock = target.lock(&work.project.config, &|what| (work.sink)(Event::Waiting(what.to_owned()))).await?;
            lock.outlast_orphans(&session).await?;
            // What was found without the lock may be old by now.
            let found = target.read(&session).await?;
            judge(&found)?;
            let texts = texts_for(work, &found, &session).await?;
            let mut plan = plan_for(work, target, &found, &texts)?;
            bodies.fill(&mut plan).await?;
            let cleared = guard::clear(plan, &found.facts, &target.selected)?;
            (lock, found, cleared)
        }
    };
    make_roles(work, target, &session).await?;
    if !found.history.installed {
        tell_owner(work, target, &session).await?;
    }
    (work.begin)(cleared.plan().migrations().count());
    let options = RunOptions {
        lock_timeout: work.project.config.lock.timeout,
        author: (work.author)(),
        bin_dir: work.project.config.postgres.bin_dir.as_ref().map(PathBuf::from),
        on_conflict: work.on_conflict,
        lock: &lock,
        found: Some(&found),
        measure: target.common.is_none(),
        sink: work.sink,
    };
    let (report, session) = runner::run(&cleared, session, &options).await?;
    if cleared.plan().purpose == Purpose::Bootstrap || missing_texts {
        let author = (cleared.plan().purpose == Purpose::Bootstrap).then_some(&options.author);
        fill_texts(work, &session, author).await?;
    }
    let applied = history::count(&session).await?;
    Ok(Outcome { report, changed: true, applied, session })
}

/// Whoever runs first owns what is made, the version table too; that is to be the role that is to run migrations.
async fn tell_owner(work: &Work<'_>, target: &Target, session: &Session) -> Result<()> {
    let Some(role) = work.project.config.postgres.role.as_ref().filter(|_| !target.embedded) else { return Ok(()) };
    let rows = session.query_rows("SELECT CURRENT_USER").await?;
    let user = rows.into_iter().flatten().flatten().next().unwrap_or_default();
    if user != *role {
        (work.sink)(Event::Note(format!(
            "what is made belongs to `{user}`, who is connected; `postgres.role` says that `{role}` runs migrations, whose runs \
             would be refused here"
        )));
    }
    Ok(())
}

/// Makes the declared roles: for a new database those of its environment as they are declared, with the passwords that can
/// be fetched; on the repository's own server those that are missing.
async fn make_roles(work: &Work<'_>, target: &Target, session: &Session) -> Result<()> {
    let (environment, lock) = (&target.selected.name, &work.project.config.lock);
    let note = |text: String| (work.sink)(Event::Note(text));
    let notes = match (&work.job, &work.sources.roles) {
        (Job::Bootstrap, Some(text)) => {
            let file = roles::parsed(&work.project.config, text)?;
            let file = Roles { prune: false, ..file };
            roles::in_turn(session, lock.wait, &note, async || {
                let planned = roles::plan(work.project, &file, environment, session, Passwords::IfThere).await;
                let planned = planned.map_err(|e| {
                    e.help("`dbbuild bootstrap` makes the declared roles before it loads the baseline.")
                })?;
                roles::run(&planned, session, lock.timeout).await.map(|()| planned.difference.notes)
            })
            .await?
        }
        (Job::Build { .. } | Job::Apply, Some(_)) if target.embedded => {
            let planned = roles::missing_locally(work.project, work.sources, environment, session).await?;
            match roles::run(&planned, session, lock.timeout).await {
                // Another dbbuild made the same role at the same time; seen early (42710) or late (23505).
                Err(e) if matches!(e.code(), Some("42710" | "23505")) => {}
                done => done?,
            }
            planned.difference.notes
        }
        _ => return Ok(()),
    };
    notes.into_iter().for_each(note);
    Ok(())
}

/// Whether rows that came with a baseline can be given their texts.
fn lacks_texts(history: &History, sources: &Sources) -> bool {
    let bare: Vec<_> = history.applied.iter().filter(|row| !row.has_text).map(|row| row.checksum).collect();
    let filled = |migration: &Migration| history::keeps_text(migration) && bare.contains(&migration.checksum);
    !bare.is_empty() && sources.migrations.iter().any(filled)
}

/// A baseline's version rows have no texts; files with the same checksum do.
async fn fill_texts(work: &Work<'_>, session: &Session, author: Option<&Author>) -> Result<()> {
    for statement in history::fill_texts(&work.sources.migrations, author) {
        session.simple(&statement).await?;
    }
    Ok(())
}

async fn check_only(cleared: &Cleared, session: &Session, sink: Sink<'_>) -> Result<Report> {
    let plan = cleared.plan();
    let mut report = Report { notes: plan.notes.clone(), ..Report::default() };
    for step in &plan.steps {
        let Step::Check { file } = step else { continue };
        if let Some(failure) = run_check(session, file).await? {
            return Err(failure.into_error(file));
        }
        report.checks.push(file.path.clone());
        sink(Event::Checked(file.path.clone()));
    }
    Ok(report)
}

/// Whether a baseline's text claims to be made from these inputs, and looks whole.
pub fn baseline_claims(text: &[u8], inputs: &Checksum) -> bool {
    let Ok(text) = std::str::from_utf8(text) else { return false };
    inputs_of(text) == Some(*inputs) && text.trim_end().ends_with("-- dbbuild:end") && !text.contains("\n<<<<<<< ")
}

/// How many files of each kind ran, for a sentence.
pub fn count_files(report: &Report, kind: FileKind) -> usize {
    report.files.iter().filter(|(found, _)| *found == kind).count()
}
