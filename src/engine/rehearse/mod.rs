//! Rehearsals: what is pending on a database, run on a throwaway copy of its real data, and what that did there.
//!
//! The source is read under one snapshot and never written to. The copy counts as the environment that it is a copy of:
//! no test data runs there, the very runner does the work, and it is gone however the command ends. Nothing here prints.

mod copy;
mod report;
mod source;
mod watch;

pub use copy::CopyKind;
pub use report::{Check, Copy, Growth, Lock, Report, Rewritten, Rows, Seen, Step};

use crate::engine::history::{self, Author};
use crate::engine::project::Project;
use crate::engine::prove::ThrowawayPlan;
use crate::engine::runner::{Event, Sink, run_check};
use crate::engine::secure::Bodies;
use crate::engine::session::{self, ConnectOptions, Session};
use crate::engine::target::{Target, check_version};
use crate::engine::upgrade::{self, Job, Work, plan_for};
use crate::error::{Error, Result};
use crate::model::attic::given::OnConflict;
use crate::model::guard::{self, Mark};
use crate::model::plan::{Plan, Step as Planned};
use crate::model::reconcile::Texts;
use crate::model::review;
use crate::model::sources::Sources;
use copy::{Copied, Making};
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Instant;
use watch::Watch;

/// What to rehearse, and how.
pub struct Rehearsal<'a> {
    /// The project.
    pub project: &'a Project,
    /// The sources.
    pub sources: &'a Sources,
    /// The database that is copied, for the environment that is meant.
    pub target: &'a Target,
    /// It is another one than the environment's own: a replica, or an older copy, whose mark may be another's.
    pub elsewhere: bool,
    /// How the copy is made; what is better where it is left open.
    pub copy: Option<CopyKind>,
    /// Bytes that stay free where the copy is made.
    pub keep_free: u64,
    /// Receives what happens.
    pub sink: Sink<'a>,
    /// Told the number of migrations before they run.
    pub begin: &'a (dyn Fn(usize) + Sync),
}

/// What a throwaway shows otherwise than a server in use.
const DIFFERS: &str = "measured on a throwaway: fsync is off, all that was just copied is in memory, nobody else works there and \
     so no lock is waited for; take times as a lower bound, and locks, rewrites and failures as they are";

/// Rehearses. What failed on the copy stands in the report; the source is as it was in any case.
///
/// # Errors
/// The source cannot be read or copied, or `apply` would refuse it.
pub async fn rehearse(rehearsal: &Rehearsal<'_>) -> Result<Report> {
    let (target, config) = (rehearsal.target, &rehearsal.project.config);
    let session = target.connect().await?;
    check_version(&session, config, &target.describe())?;
    source::begin(&session, config.lock.timeout).await?;
    let found = match target.read(&session).await {
        Ok(found) => found,
        Err(error) => {
            // Its transaction answers nothing any more.
            session.simple("ROLLBACK").await?;
            return target.explained(&session, Err(error)).await;
        }
    };
    let mut report =
        Report { environment: target.selected.name.clone(), source: target.describe(), ..Report::default() };
    let plan = pending(rehearsal, &found).await?;
    report.notes.extend(plan.notes.iter().cloned());
    let steps = plan.steps.iter().filter(|step| !matches!(step, Planned::Check { .. } | Planned::Sequences)).count();
    if steps == 0 {
        return Ok(report);
    }
    if !rehearsal.elsewhere {
        guard::clear(plan.clone(), &found.facts, &target.selected)?;
    }
    let source = source::read(&session, config.postgres.role.as_deref()).await?;
    let since = Instant::now();
    let tell = |text: String| (rehearsal.sink)(Event::Progress(text));
    let mut throwaway = ThrowawayPlan::from_config(config)?.on_its_own().await?;
    report.notes.append(&mut throwaway.1);
    let mut options = throwaway.0;
    options.major = Some(session.server_version());
    let mut settings = settings(&options.settings);
    settings.append(&mut options.settings);
    options.settings = settings;
    let making = Making {
        options,
        source: &source,
        settings: session.settings(),
        major: session.server_version(),
        lock_timeout: config.lock.timeout,
        keep_free: rehearsal.keep_free,
        tell: &tell,
    };
    let copied = match (rehearsal.copy, making.choose()) {
        (Some(kind), _) | (None, kind @ CopyKind::Dump) => making.make(kind).await?,
        (None, CopyKind::Physical) => match making.make(CopyKind::Physical).await {
            Ok(copied) => copied,
            Err(why) => {
                report.notes.push(format!("copied by pg_dump, since a physical copy cannot be made: {why}"));
                making.make(CopyKind::Dump).await?
            }
        },
    };
    if making.is_docker() && copied.kind == CopyKind::Physical {
        report
            .notes
            .push("the physical copy runs on this machine's own programs, since a container cannot take it".to_owned());
    }
    session.simple("ROLLBACK").await?;
    session.close().await;
    let milliseconds = report::tenths(since.elapsed().as_secs_f64() * 1000.0);
    report.copy = Some(Copy { kind: copied.kind.as_str(), bytes: source.bytes, milliseconds });
    let outcome = on_copy(rehearsal, &copied, &plan, &mut report).await;
    copied.server.remove().await;
    report.notes.push(DIFFERS.to_owned());
    outcome.map(|()| report)
}

/// What `apply` would run on the database as it was found.
async fn pending(rehearsal: &Rehearsal<'_>, found: &history::Found) -> Result<Plan> {
    let work = work(rehearsal, rehearsal.sources, rehearsal.sink);
    let mut plan = plan_for(&work, rehearsal.target, found, &Texts::new())?;
    Bodies::of(rehearsal.project, rehearsal.target).fill(&mut plan).await?;
    review::plan(&plan).map_err(|error| rehearsal.target.placeholders.mask_error(error))?;
    Ok(plan)
}

fn work<'a>(rehearsal: &Rehearsal<'a>, sources: &'a Sources, sink: Sink<'a>) -> Work<'a> {
    let begin = rehearsal.begin;
    Work {
        project: rehearsal.project,
        sources,
        job: Job::Apply,
        author: &Author::default,
        on_conflict: OnConflict::Report,
        check_first: false,
        sink,
        begin,
    }
}

/// Settings that make a throwaway more like a server in use, and keep a copy from doing what its original does. The
/// user's own come after them.
fn settings(own: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    let mut settings: BTreeMap<String, String> = [
        ("full_page_writes", "on"),
        ("wal_level", "replica"),
        ("max_wal_size", "4GB"),
        // Twice the largest segment that a physical copy can have.
        ("min_wal_size", "2GB"),
        ("shared_buffers", "256MB"),
        ("maintenance_work_mem", "256MB"),
        ("max_connections", "100"),
        ("archive_mode", "off"),
        ("max_logical_replication_workers", "0"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .into();
    if own.get("shared_preload_libraries").is_some_and(|list| list.contains("pg_cron")) {
        settings.insert("cron.launch_active_jobs".to_owned(), "off".to_owned());
    }
    settings
}

async fn on_copy(rehearsal: &Rehearsal<'_>, copied: &Copied, plan: &Plan, report: &mut Report) -> Result<()> {
    let admin = session::connect(&copied.superuser, &ConnectOptions::default()).await?;
    (rehearsal.sink)(Event::Progress("analyzes the copy".to_owned()));
    admin.simple("ANALYZE").await?;
    let target = rehearsal.target.copied_to(copied.runner.clone());
    let session = session::connect(&copied.runner, &ConnectOptions::default()).await?;
    mark(rehearsal, &target, &session, &admin, plan.install).await?;
    let watch = Watch::begin(&copied.superuser).await?;
    report.bytes.0 = size(&admin).await?;
    let sources = Sources { checks: Vec::new(), ..rehearsal.sources.clone() };
    let (began, ways) = (Mutex::new(None), Mutex::new(BTreeMap::new()));
    let sink = |event: Event| {
        let keep = |slot: &Mutex<Option<String>>, path: &str| {
            slot.lock().unwrap_or_else(std::sync::PoisonError::into_inner).replace(path.to_owned())
        };
        match &event {
            Event::Begin(path) => drop(keep(&began, path)),
            Event::Migrated(path, Some(how)) => {
                let mut ways = ways.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                ways.insert(path.clone(), how.clone());
            }
            _ => {}
        }
        (rehearsal.sink)(event);
    };
    let since = Instant::now();
    let ran = upgrade::run(&work(rehearsal, &sources, &sink), &target, session).await;
    report.milliseconds = report::tenths(since.elapsed().as_secs_f64() * 1000.0);
    let (seen, wal) = watch.end(ran.is_err()).await?;
    report.wal_bytes = wal;
    let ways = ways.into_inner().unwrap_or_default();
    let failed = began.into_inner().unwrap_or_default();
    report.steps = seen.into_iter().filter_map(|step| named(plan, step, &ways, failed.as_deref())).collect();
    match ran {
        Err(fault) => {
            report.faults.push(fault.help("this was on the copy: nothing was changed in the database itself."))
        }
        Ok(outcome) => checks(rehearsal, &target, &outcome.session, report).await?,
    }
    report.bytes.1 = size(&admin).await?;
    Ok(())
}

/// The copy counts as the environment that it is rehearsed for.
async fn mark(
    rehearsal: &Rehearsal<'_>,
    target: &Target,
    session: &Session,
    admin: &Session,
    install: bool,
) -> Result<()> {
    if install {
        session.simple(history::SCHEMA).await?;
    }
    let found = target.read(session).await?;
    let selected = &rehearsal.target.selected;
    let mark = Mark {
        environment: selected.name.clone(),
        protected: selected.is_protected() || found.facts.mark.is_some_and(|mark| mark.protected),
        binding: found.facts.binding,
    };
    admin.simple(&history::write_mark(&mark)).await.map(|_| ())
}

async fn size(admin: &Session) -> Result<u64> {
    let rows = admin.query_rows("SELECT pg_catalog.pg_database_size(pg_catalog.current_database())").await?;
    let cell = rows.into_iter().next().and_then(|row| row.into_iter().next().flatten());
    Ok(cell.and_then(|bytes| bytes.parse().ok()).unwrap_or(0))
}

/// Gives a step the path of its file.
fn named(plan: &Plan, step: watch::Step, ways: &BTreeMap<String, String>, failed: Option<&str>) -> Option<Step> {
    let found = plan.steps.iter().find_map(|planned| match planned {
        Planned::Migration { migration, .. } => {
            let same = match step.kind.as_str() {
                "migration" => migration.version.as_str() == step.name,
                "" => Some(migration.path.as_str()) == failed,
                _ => false,
            };
            same.then(|| ("migration".to_owned(), migration.path.clone()))
        }
        Planned::File { kind, file, .. } => {
            let same = match step.kind.as_str() {
                "" => Some(file.path.as_str()) == failed,
                of => of == kind.as_str() && file.name == step.name,
            };
            same.then(|| (kind.as_str().to_owned(), file.path.clone()))
        }
        _ => None,
    });
    let (kind, path) = found?;
    Some(Step { how: ways.get(&path).cloned(), failed: step.kind.is_empty(), seen: step.seen, kind, path })
}

/// Every check is asked, also where one before it failed.
async fn checks(rehearsal: &Rehearsal<'_>, target: &Target, session: &Session, report: &mut Report) -> Result<()> {
    for file in &rehearsal.sources.checks {
        let mut file = file.clone();
        target.placeholders.fill(&mut file.script)?;
        let since = Instant::now();
        let fault = match run_check(session, &file).await {
            Ok(None) => None,
            Ok(Some(failure)) => Some(
                Error::failed(format!("the check {} would find {} row(s)", file.name, failure.rows))
                    .at(crate::error::Location::file(&file.path))
                    .detail(failure.shown.join("\n"))
                    .help("mend the data or the check before the migrations run on the database itself."),
            ),
            Err(fault) => Some(fault),
        };
        (rehearsal.sink)(Event::Checked(file.path.clone()));
        let milliseconds = report::tenths(since.elapsed().as_secs_f64() * 1000.0);
        let failed = fault.as_ref().map(|fault| fault.message().to_owned());
        report.checks.push(Check { path: file.path, milliseconds, failed });
        report.faults.extend(fault.map(|fault| target.placeholders.mask_error(fault)));
    }
    Ok(())
}
