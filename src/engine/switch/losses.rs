//! What would be lost: found by running the down parts in a transaction that is rolled back, since the text of a down part
//! does not say which rows go with what it drops.

use crate::engine::runner::{Sink, Trial, Worker, WorkerOptions, drop_all};
use crate::engine::session::Session;
use crate::engine::target::Target;
use crate::engine::{history::Author, session};
use crate::error::{Error, Result};
use crate::model::attic::KeptEntry;
use crate::model::attic::given::OnConflict;
use crate::model::config::Config;
use crate::model::reconcile::{Made, Way};
use crate::model::sources::Sources;
use crate::model::version::Version;

/// Rows are counted up to here: beyond it the exact number helps nobody.
const COUNTED: usize = 100_000;
/// Lines that are shown.
const SHOWN: usize = 12;

/// The user's tables.
const TABLES: &str = "SELECT pg_catalog.format('%I.%I', n.nspname, c.relname) \
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
    WHERE c.relkind = 'r' AND c.relpersistence <> 't' \
      AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'dbbuild', 'dbbuild_attic') AND n.nspname !~ '^pg_(toast|temp)'";

/// What goes with a take-back or a rebuild.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Losses {
    lost: Vec<String>,
    /// What cannot be told beforehand.
    unknown: Vec<String>,
}

impl Losses {
    /// Nothing but what comes again.
    pub fn is_empty(&self) -> bool {
        self.lost.is_empty() && self.unknown.is_empty()
    }

    /// One line for each thing, with the rest counted.
    pub fn lines(&self) -> Vec<String> {
        let mut lines: Vec<String> = self.lost.iter().take(SHOWN).cloned().collect();
        if self.lost.len() > SHOWN {
            lines.push(format!("and {} more", self.lost.len() - SHOWN));
        }
        lines.extend(self.unknown.iter().cloned());
        lines
    }
}

/// Runs the down parts of a way in a transaction, looks what is gone, tries what is applied again after them, and rolls back.
///
/// # Errors
/// A down part fails, as it would in earnest, or the new content of an edited migration; or the server cannot be reached.
/// Nothing was changed.
pub async fn rehearse(
    target: &Target,
    config: &Config,
    sources: &Sources,
    way: &Way,
    sink: Sink<'_>,
) -> Result<Losses> {
    let outcome = rehearse_unmasked(target, config, sources, way, sink).await;
    outcome.map_err(|error| target.placeholders.mask_error(error))
}

async fn rehearse_unmasked(
    target: &Target,
    config: &Config,
    sources: &Sources,
    way: &Way,
    sink: Sink<'_>,
) -> Result<Losses> {
    if way.back.is_empty() {
        // What a repeatable file made holds no rows of its own.
        return Ok(Losses::default());
    }
    let session = session::connect(&target.settings, &session::ConnectOptions::default()).await?;
    let options = WorkerOptions {
        lock_timeout: config.lock.timeout,
        author: Author::default(),
        lock: None,
        bin_dir: None,
        locks: false,
        on_conflict: OnConflict::Report,
        sink,
    };
    let worker = Worker::new(session, options).await?;
    let session = worker.session();
    let mut trial = Trial::begin(&worker).await?;
    let outcome = try_way(&mut trial, &worker, target, sources, way).await;
    if !session.is_closed() {
        trial.end().await?;
    }
    let losses = outcome?;
    worker.into_session().close().await;
    Ok(losses)
}

/// Takes the way, and applies again what comes again, within a transaction that is rolled back.
async fn try_way(
    trial: &mut Trial<'_>,
    worker: &Worker<'_>,
    target: &Target,
    sources: &Sources,
    way: &Way,
) -> Result<Losses> {
    let mut losses = Losses::default();
    let objects: Vec<Made> = way.remove.iter().flat_map(|file| file.objects.clone()).collect();
    worker.session().simple(&drop_all(&objects, false, &[])).await?;
    for back in &way.back {
        let mut filled = back.clone();
        target.placeholders.fill_kept(&mut filled.down);
        match trial.step(&filled).await {
            Ok(Some(kept)) => losses.lost.extend(kept.entries.iter().map(KeptEntry::describe)),
            Ok(None) => {
                losses.unknown.push(format!("what else {} made, whose down part runs in no transaction", back.label()));
                break;
            }
            Err(error) => {
                return Err(failure_of(format!("{} cannot be taken back by its down part", back.label()), &error).help(
                    "remove what stands in the way, or let `dbbuild reset` build the database anew; nothing was changed.",
                ));
            }
        }
    }
    if losses.unknown.is_empty() {
        apply_again(worker, target, sources, way).await?;
    }
    Ok(losses)
}

/// Applies what a way takes back and the tree has: a slip in the new content is to be found while the rows still stand.
async fn apply_again(worker: &Worker<'_>, target: &Target, sources: &Sources, way: &Way) -> Result<()> {
    let comes_again = |version: &Version| way.back.iter().any(|back| back.row.version == *version);
    for migration in sources.all_migrations().into_iter().filter(|migration| comes_again(&migration.version)) {
        // What runs in no transaction cannot be tried in one.
        if migration.up.means.psql.is_some() || !migration.settings.preconditions.is_empty() {
            return Ok(());
        }
        let mut up = migration.up.clone();
        // What has no value is told by the plan.
        if target.placeholders.fill(&mut up).is_err() {
            return Ok(());
        }
        let Ok(body) = up.body() else { return Ok(()) };
        if !migration.runs_in_transaction() || body.transaction_control.is_some() || !body.non_transactional.is_empty()
        {
            return Ok(());
        }
        match worker.run_inside(&up, &body).await? {
            Ok(()) => worker.reset().await?,
            Err(failure) if matches!(failure.code(), Some("25001" | "2D000" | "55P04")) => return Ok(()),
            Err(failure) => {
                return Err(failure_of(format!("{} failed", migration.label()), &failure).help(
                    "this was a rehearsal that is rolled back: nothing was changed. Fix the file and run the same command again.",
                ));
            }
        }
    }
    Ok(())
}

fn failure_of(message: String, failure: &Error) -> Error {
    let mut error = Error::failed(message);
    if failure.code().is_none() {
        error = error.cause(failure.message());
    }
    if let Some(place) = failure.location() {
        error = error.at(place.clone());
    }
    for cause in failure.causes() {
        error = error.cause(cause);
    }
    for detail in failure.details() {
        error = error.detail(detail);
    }
    error.sqlstate(failure.code().unwrap_or_default())
}

/// All tables that hold rows: what a rebuild loses.
///
/// # Errors
/// The server said no.
pub async fn contents(session: &Session) -> Result<Losses> {
    let tables = session.query_rows(TABLES).await?;
    let mut lost = Vec::new();
    for name in tables.iter().flatten().flatten() {
        let rows = count(session, &format!("SELECT FROM ONLY {name}")).await?;
        if rows > 0 {
            lost.push(format!("table {name} with {}", many(rows, "row")));
        }
    }
    lost.sort();
    Ok(Losses { lost, unknown: Vec::new() })
}

async fn count(session: &Session, query: &str) -> Result<usize> {
    let sql = format!("SELECT pg_catalog.count(*) FROM ({query} LIMIT {}) counted", COUNTED + 1);
    let rows = session.query_rows(&sql).await?;
    Ok(rows.into_iter().flatten().next().flatten().and_then(|n| n.parse().ok()).unwrap_or(0))
}

fn many(n: usize, noun: &str) -> String {
    match n {
        1 => format!("1 {noun}"),
        n if n > COUNTED => format!("more than {COUNTED} {noun}s"),
        n => format!("{n} {noun}s"),
    }
}
