//! The runner: executes a cleared plan, one transaction per migration, and reports what happened.
//!
//! One runner serves build, apply, bootstrap and every replay in a throwaway. It plans nothing, asks nobody and prints
//! nothing; what happens is told through [`Sink`].

mod again;
mod back;
mod back_steps;
mod batch;
mod brief;
mod check;
mod discreet;
mod entry;
mod failure;
mod give;
mod journal;
mod load;
mod measure;
mod message;
mod migrate;
mod pieces;
mod precondition;
mod psql;
mod ran;
mod reload;
mod required;
mod rerun;
mod settle;
mod timing;
mod trial;
mod watch;
mod worker;

pub use back::{DEPENDENTS, drop_all, drop_views};
pub use brief::keeps_locks;
pub use check::{CheckFailure, run_check};
pub(in crate::engine) use failure::UnitFailure;
pub use load::load_baseline;
pub use measure::{HeldLock, Measure};
pub use message::Unit;
pub(in crate::engine) use pieces::Stumble;
pub use precondition::Unmet;
pub use ran::Ran;
pub use trial::Trial;
pub use worker::{Worker, WorkerOptions};

use crate::engine::history::{self, Author, Found};
use crate::engine::lock::{self, Lock};
use crate::engine::session::Session;
use crate::error::{Error, Result};
use crate::model::attic::Kept;
use crate::model::attic::given::{self, Given, OnConflict};
use crate::model::guard::{Cleared, Mark};
use crate::model::migration::Migration;
use crate::model::plan::{FileKind, Plan, Reason, Step};
use std::path::PathBuf;
use std::time::Duration;

/// Something that happened, for progress and reports.
#[derive(Debug, Clone)]
pub enum Event {
    /// So many migrations are to run.
    Total(usize),
    /// A migration is about to run.
    Begin(String),
    /// A repeatable, init or test-data file is about to run.
    BeginFile(FileKind, String),
    /// What a migration cost others; comes before it is said to be committed.
    Measured(Measure),
    /// A migration was taken back.
    TakenBack(String),
    /// A migration is committed; the words say in which way, where that is worth saying.
    Migrated(String, Option<String>),
    /// A repeatable, init or test-data file is committed.
    Ran(FileKind, String),
    /// A check passed.
    Checked(String),
    /// So many bytes of COPY data were sent since the last such event.
    Copied(u64),
    /// A server that is starting, or another dbbuild, is waited for.
    Waiting(String),
    /// How far something long is: an index build, a batch, a copy.
    Progress(String),
    /// Somebody stands in the way: told when that begins, when it is another, and seldom while it lasts.
    Blocked {
        /// Who.
        blocker: String,
        /// How long since it began.
        waited: Duration,
    },
    /// Nobody stands in the way any longer, after so long.
    Unblocked(Duration),
    /// Worth a line, and no error.
    Note(String),
}

impl Event {
    /// The same with what scripts and the server say in it changed by `change`.
    #[must_use]
    pub fn map_texts(self, change: &dyn Fn(&str) -> String) -> Event {
        match self {
            Event::Migrated(path, Some(how)) => Event::Migrated(path, Some(change(&how))),
            Event::Waiting(text) => Event::Waiting(change(&text)),
            Event::Progress(text) => Event::Progress(change(&text)),
            Event::Blocked { blocker, waited } => Event::Blocked { blocker: change(&blocker), waited },
            Event::Note(text) => Event::Note(change(&text)),
            Event::Measured(mut measure) => {
                measure.map_texts(change);
                Event::Measured(measure)
            }
            other => other,
        }
    }
}

/// Where events go.
pub type Sink<'a> = &'a (dyn Fn(Event) + Send + Sync);

/// What a run did.
#[derive(Debug, Default, Clone)]
pub struct Report {
    /// Migrations that were taken back, as `VERSION_name`, in the order in which that was done.
    pub taken_back: Vec<String>,
    /// What went into the attic with them, in the same order; those that lost nothing are left out.
    pub kept: Vec<Kept>,
    /// Names of repeatable files whose objects were dropped.
    pub removed: Vec<String>,
    /// Paths of migrations whose rows alone were written anew.
    pub recorded: Vec<String>,
    /// Paths of migrations that were applied, with how, where that is worth saying.
    pub migrations: Vec<(String, Option<String>)>,
    /// Paths of migrations that their preconditions kept from running this time.
    pub skipped: Vec<String>,
    /// Paths of other files that ran.
    pub files: Vec<(FileKind, String)>,
    /// What the attic had of these migrations, and what became of it.
    pub given: Vec<Given>,
    /// Paths of checks that passed.
    pub checks: Vec<String>,
    /// What a person should know.
    pub notes: Vec<String>,
    /// How long each migration took and waited, and which locks it held.
    pub measures: Vec<Measure>,
}

/// How to run.
pub struct RunOptions<'a> {
    /// `lock_timeout` of transactional work.
    pub lock_timeout: Duration,
    /// Written beside each row.
    pub author: Author,
    /// The configured folder of PostgreSQL's programs.
    pub bin_dir: Option<PathBuf>,
    /// What becomes of kept values that cannot be given back as they are.
    pub on_conflict: OnConflict,
    /// The lock that the caller holds on this database.
    pub lock: &'a Lock,
    /// What was read under this lock and the plan was made from; without it, the database is read again.
    pub found: Option<&'a Found>,
    /// Ask how long statements took and which locks were held. Of one of many databases that is not worth the asking.
    pub measure: bool,
    /// Receives what happens.
    pub sink: Sink<'a>,
}

/// Runs a plan and gives the session back. Returns with every finished step committed, whatever comes of the rest.
///
/// # Errors
/// The first step that failed; the message says what state was left.
pub async fn run(cleared: &Cleared, session: Session, options: &RunOptions<'_>) -> Result<(Report, Session)> {
    let plan = cleared.plan();
    let outdated = match options.found {
        Some(found) => found.outdated,
        None => {
            options.lock.check().await?;
            unchanged_since(cleared, &session).await?
        }
    };
    let mut worker = Worker::new(
        session,
        WorkerOptions {
            lock_timeout: options.lock_timeout,
            author: options.author.clone(),
            lock: Some(options.lock),
            bin_dir: options.bin_dir.clone(),
            locks: options.measure && plan.migrations().count() <= measure::MOST,
            on_conflict: options.on_conflict,
            sink: options.sink,
        },
    )
    .await?;
    if options.found.is_none_or(|found| found.has_attic) {
        worker.look_into_attic().await?;
    }
    worker.is_timed = options.measure;
    prepare(&mut worker, plan, outdated).await?;
    let mut report = Report { notes: plan.notes.clone(), ..Report::default() };
    run_steps(cleared, &mut worker, options.lock, &mut report).await?;
    worker.write_timings().await?;
    report.measures = worker.take_measures();
    if options.measure {
        measure::fill(worker.session(), &mut report.measures).await?;
    }
    Ok((report, worker.into_session()))
}

/// Makes the version table, or brings it up to date, and says of files that they are to run again.
async fn prepare(worker: &mut Worker<'_>, plan: &Plan, outdated: bool) -> Result<()> {
    if plan.install {
        worker
            .execute(history::SCHEMA)
            .await
            .map_err(|e| e.help("the version table could not be made; nothing was run."))?;
    }
    if outdated {
        let renew = format!("{}; {}", history::RENEW, history::SCHEMA);
        worker.execute(&renew).await.map_err(|e| {
            e.help("the version table is of an older dbbuild and could not be given its new columns; nothing was run.")
        })?;
    }
    let takes_back = plan.steps.iter().any(|step| matches!(step, Step::TakeBack(_)));
    if takes_back && !plan.install {
        history::add_taken_back(worker.session()).await?;
    }
    let due = again::due(&plan.steps);
    if due.is_empty() {
        return Ok(());
    }
    let due = history::stale_files(&due);
    if takes_back || plan.steps.iter().any(|step| matches!(step, Step::Remove(_))) {
        // Before anything goes.
        worker.execute(&due).await
    } else {
        worker.due = due;
        Ok(())
    }
}

async fn run_steps(cleared: &Cleared, worker: &mut Worker<'_>, lock: &Lock, report: &mut Report) -> Result<()> {
    let total = cleared.plan().migrations().count();
    let mut steps = cleared.plan().steps.as_slice();
    while let Some(step) = steps.first() {
        if lock.is_lost() {
            return Err(left_behind(lock::lost(), report, total));
        }
        let batch = migrations_ahead(steps, worker);
        if batch.len() > 1 {
            let done = worker.migrate_batch(&batch).await?;
            report.migrations.extend(batch.iter().take(done).map(|m| (m.path.clone(), None)));
            steps = steps.get(done..).unwrap_or_default();
            if done > 0 {
                continue;
            }
        }
        // In one transaction: killed between the two, the next run would not know that sequences lie behind their keys.
        let (taken, sequences) = match steps {
            [Step::File { kind: FileKind::Init, .. }, Step::Sequences, ..] => (2, true),
            _ => (1, false),
        };
        if let Err(error) = run_step(step, sequences, cleared, worker, report).await {
            // What failed is what counts; how long the others took is only told.
            let _ = worker.write_timings().await;
            report.given.extend(worker.take_given());
            return Err(left_behind(error, report, total));
        }
        steps = steps.get(taken..).unwrap_or_default();
    }
    Ok(())
}

/// The migrations at the head of the list that may travel in one message.
fn migrations_ahead<'s>(steps: &'s [Step], worker: &Worker<'_>) -> Vec<&'s Migration> {
    let mut batch = Vec::new();
    let mut bytes = 0;
    for step in steps {
        let Step::Migration { migration, reason: Reason::New } = step else { break };
        bytes += migration.up.text.len();
        let full = batch.len() >= message::BATCH_FILES || bytes > message::BATCH_BYTES;
        if full || !message::may_travel(migration) || worker.has_kept(migration) {
            break;
        }
        batch.push(migration.as_ref());
    }
    batch
}

async fn run_step(
    step: &Step,
    sequences: bool,
    cleared: &Cleared,
    worker: &mut Worker<'_>,
    report: &mut Report,
) -> Result<()> {
    match step {
        Step::Mark { environment, protected } => {
            let mark =
                Mark { environment: environment.clone(), protected: *protected, binding: cleared.binding().clone() };
            worker.execute(&history::write_mark(&mark)).await
        }
        Step::Baseline { path, text } => load_baseline(worker, path, text).await,
        Step::Remove(files) => {
            worker.remove_files(files).await?;
            report.removed.extend(files.iter().map(|file| file.name.clone()));
            Ok(())
        }
        Step::TakeBack(back) => {
            let kept = worker.take_back(back).await?;
            report.taken_back.push(back.label());
            report.kept.extend((!kept.is_empty()).then_some(kept));
            Ok(())
        }
        Step::Record(migration) => {
            worker.execute(&history::resume_migration(migration, worker.author())).await?;
            report.recorded.push(migration.path.clone());
            Ok(())
        }
        Step::Migration { migration, reason } => {
            let ran = worker.migrate(migration, *reason).await?;
            report.given.extend(worker.take_given());
            match ran {
                Ran::Skipped(_) => report.skipped.push(migration.path.clone()),
                ran => report.migrations.push((migration.path.clone(), ran.describe())),
            }
            Ok(())
        }
        Step::File { kind, file, .. } => {
            if sequences {
                worker.run_last_init(file).await?;
            } else {
                worker.run_file(*kind, file).await?;
            }
            report.files.push((*kind, file.path.clone()));
            Ok(())
        }
        Step::Reload(reload) => {
            let path = &reload.file.path;
            match worker.reload_file(reload).await? {
                None => report.files.push((FileKind::Repeatable, path.clone())),
                Some(why) => report.notes.push(format!("{path} does not load in the older schema: {why}")),
            }
            Ok(())
        }
        Step::Sequences => worker.raise_sequences().await,
        Step::Check { file } => {
            if let Some(failure) = run_check(worker.session(), file).await? {
                return Err(failure.into_error(file));
            }
            report.checks.push(file.path.clone());
            worker.tell(Event::Checked(file.path.clone()));
            Ok(())
        }
    }
}

/// The plan was made without the lock; under it, the database must still be the one that was planned for. Tells whether its
/// version table is of an older dbbuild.
async fn unchanged_since(cleared: &Cleared, session: &Session) -> Result<bool> {
    let found = history::find(session, "the database", cleared.binding().server_id.as_deref()).await?;
    if found.facts.binding != *cleared.binding() {
        return Err(Error::failed("the database was replaced while dbbuild was planning")
            .help("run the command again; nothing was changed."));
    }
    if found.history.fingerprint() != cleared.plan().history {
        return Err(Error::failed("another dbbuild changed the database while this one was planning")
            .sqlstate(REPLAN)
            .help("run the command again; nothing was changed by this one."));
    }
    Ok(found.outdated)
}

/// Marks the error after which a caller plans again under the lock.
pub const REPLAN: &str = "DBB01";

fn left_behind(error: Error, report: &Report, total: usize) -> Error {
    let error = match report.taken_back.as_slice() {
        [] => error,
        done => error.help(format!("taken back before it, and so not applied now: {}.", done.join(", "))),
    };
    let error = match total {
        0 => error,
        total => error.help(format!("{} of {total} pending migrations are applied.", report.migrations.len())),
    };
    // What is committed is told whatever came after it.
    let kept = report.kept.iter().flat_map(|kept| &kept.entries);
    let kept = kept.map(|entry| format!("kept in the attic: {}.", entry.describe()));
    let given = report.given.iter().filter_map(Given::describe).map(|line| format!("before it, the attic {line}."));
    let error = report.given.iter().filter_map(Given::complaint).fold(error, Error::detail);
    kept.chain(given).chain(given::undecided(&report.given).map(|text| format!("{text}."))).fold(error, Error::help)
}
