//! What would be lost: found by running the down parts in a transaction that is rolled back, since the text of a down part
//! does not say which rows go with what it drops.

use crate::engine::runner::{DEPENDENTS, Sink, Worker, WorkerOptions, drop_all, drop_views};
use crate::engine::session::Session;
use crate::engine::target::Target;
use crate::engine::{history::Author, session};
use crate::error::{Error, Result};
use crate::model::attic::given::OnConflict;
use crate::model::config::Config;
use crate::model::reconcile::{Made, Way};
use crate::model::sources::Sources;
use crate::model::version::Version;
use std::collections::BTreeMap;

/// Rows are counted up to here: beyond it the exact number helps nobody.
const COUNTED: usize = 100_000;
/// Lines that are shown.
const SHOWN: usize = 12;

/// The user's tables by OID; a table that is written anew has another file.
const TABLES: &str = "SELECT c.oid, pg_catalog.format('%I.%I', n.nspname, c.relname), \
    pg_catalog.pg_stat_get_xact_tuples_deleted(c.oid), pg_catalog.pg_relation_filenode(c.oid) \
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
    WHERE c.relkind = 'r' AND c.relpersistence <> 't' AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'dbbuild', 'dbbuild_attic') \
      AND n.nspname !~ '^pg_(toast|temp)'";

/// Their columns.
const COLUMNS: &str = "SELECT a.attrelid, a.attnum, pg_catalog.quote_ident(a.attname) FROM pg_catalog.pg_attribute a \
    JOIN pg_catalog.pg_class c ON c.oid = a.attrelid WHERE c.relkind = 'r' AND a.attnum > 0 AND NOT a.attisdropped \
      AND c.oid >= 16384";

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

/// A look at tables and columns.
struct Look {
    /// By OID.
    tables: BTreeMap<String, Table>,
    /// Name by table's OID and number.
    columns: BTreeMap<(String, String), String>,
}

/// A table at one moment.
struct Table {
    name: String,
    /// Rows deleted so far in this transaction; TRUNCATE is not counted.
    deleted: u64,
    /// Its file, another one after TRUNCATE and after a rewrite.
    file: String,
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
    let mut losses = Losses::default();
    if way.back.is_empty() {
        // What a repeatable file made holds no rows of its own.
        return Ok(losses);
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
    session.simple(&format!("BEGIN; SET LOCAL lock_timeout = {}", config.lock.timeout.as_millis())).await?;
    let before = look(session).await?;
    let objects: Vec<Made> = way.remove.iter().flat_map(|file| file.objects.clone()).collect();
    session.simple(&drop_all(&objects, false, &[])).await?;
    for back in &way.back {
        if !back.runs_in_transaction() {
            losses.unknown.push(format!("what else {} made, whose down part runs in no transaction", back.label()));
            break;
        }
        let mut down = back.down.clone();
        target.placeholders.fill_kept(&mut down);
        let body = down.body()?;
        session.simple("SAVEPOINT before_down").await?;
        let mut outcome = worker.run_inside(&down, &body).await?;
        if matches!(&outcome, Err(failure) if failure.code() == Some(DEPENDENTS)) {
            session.simple("ROLLBACK TO SAVEPOINT before_down").await?;
            session.simple(&drop_views(back)).await?;
            outcome = worker.run_inside(&down, &body).await?;
        }
        if let Err(failure) = outcome {
            worker.clean_up().await?;
            return Err(failure_of(format!("{} cannot be taken back by its down part", back.label()), &failure).help(
                "remove what stands in the way, or let `dbbuild reset` build the database anew; nothing was changed.",
            ));
        }
        worker.reset().await?;
    }
    let after = look(session).await?;
    let left = left_in_new_files(session, &before, &after).await?;
    let again = if losses.unknown.is_empty() { apply_again(&worker, target, sources, way).await } else { Ok(()) };
    worker.clean_up().await?;
    again?;
    losses.lost = compare(session, &before, &after, &left).await?;
    worker.into_session().close().await;
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
                    "this was a rehearsal that is rolled back: nothing was changed. Fix the file and run `dbbuild` again.",
                ));
            }
        }
    }
    Ok(())
}

fn failure_of(message: String, failure: &Error) -> Error {
    let mut error = Error::failed(message);
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

async fn look(session: &Session) -> Result<Look> {
    let text = |row: &[Option<String>], i: usize| row.get(i).cloned().flatten().unwrap_or_default();
    let tables = session.query_rows(TABLES).await?;
    let table = |row: &[Option<String>]| {
        (text(row, 0), Table { name: text(row, 1), deleted: text(row, 2).parse().unwrap_or(0), file: text(row, 3) })
    };
    let tables = tables.iter().map(|row| table(row)).collect();
    let columns = session.query_rows(COLUMNS).await?;
    let columns = columns.iter().map(|row| ((text(row, 0), text(row, 1)), text(row, 2))).collect();
    Ok(Look { tables, columns })
}

/// The rows that tables hold whose file is another one now, by OID: they were emptied, or written anew.
async fn left_in_new_files(session: &Session, before: &Look, after: &Look) -> Result<BTreeMap<String, usize>> {
    let mut left = BTreeMap::new();
    for (oid, table) in &after.tables {
        if before.tables.get(oid).is_some_and(|old| old.file != table.file) {
            left.insert(oid.clone(), count(session, &format!("SELECT FROM ONLY {}", table.name)).await?);
        }
    }
    Ok(left)
}

/// What is in the first look and not in the second, counted now that all of it stands again.
async fn compare(
    session: &Session,
    before: &Look,
    after: &Look,
    left: &BTreeMap<String, usize>,
) -> Result<Vec<String>> {
    let mut lost = Vec::new();
    for (oid, Table { name, deleted, .. }) in &before.tables {
        let Some(Table { deleted: now, .. }) = after.tables.get(oid) else {
            let rows = count(session, &format!("SELECT FROM ONLY {name}")).await?;
            if rows > 0 {
                lost.push(format!("table {name} with {}", many(rows, "row")));
            }
            continue;
        };
        let mut gone = usize::try_from(now.saturating_sub(*deleted)).unwrap_or(usize::MAX);
        if let Some(left) = left.get(oid) {
            gone = gone.max(count(session, &format!("SELECT FROM ONLY {name}")).await?.saturating_sub(*left));
        }
        if gone > 0 {
            lost.push(format!("{} of {name}", many(gone, "row")));
        }
    }
    for ((oid, number), column) in &before.columns {
        let (Some(Table { name: table, .. }), true) = (before.tables.get(oid), after.tables.contains_key(oid)) else {
            continue;
        };
        if after.columns.contains_key(&(oid.clone(), number.clone())) {
            continue;
        }
        let values = count(session, &format!("SELECT FROM ONLY {table} WHERE {column} IS NOT NULL")).await?;
        if values > 0 {
            lost.push(format!("column {table}.{column} with {}", many(values, "value")));
        }
    }
    Ok(lost)
}

/// All tables that hold rows: what a rebuild loses.
///
/// # Errors
/// The server said no.
pub async fn contents(session: &Session) -> Result<Losses> {
    let tables = look(session).await?.tables;
    let mut lost = Vec::new();
    for Table { name, .. } in tables.values() {
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
