//! Non-transactional migrations: a journal, statement by statement, that says after a kill what was done.
//!
//! A statement that can share a transaction with its journal row does, so it is done exactly once. The others write
//! "started" first; after an interruption the catalogs say what became of them, and where they cannot, dbbuild stops
//! and asks. Statements between a file's own BEGIN and COMMIT are one entry.

use super::message::Unit;
use super::worker::{UnitFailure, Worker, describe, is_contention, needs_autocommit, title};
use super::{Event, settle};
use crate::engine::history;
use crate::error::{Error, Result};
use crate::model::checksum::Checksum;
use crate::model::migration::Migration;
use crate::model::sql::{NonTransactional, StatementKind};
use std::collections::BTreeMap;

/// One journal entry to be: statements `first..=last` of the file.
struct Entry {
    first: usize,
    last: usize,
    kind: Shape,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Shape {
    /// May share a transaction with its journal row.
    Shared,
    /// Sets something for the session: made again on resume.
    Session,
    /// Makes a temporary object: a resume must begin at the first statement.
    Temporary,
    /// Must stand alone.
    Alone,
    /// The file's own BEGIN … COMMIT.
    Group,
}

/// What the journal says of one entry.
#[derive(Debug, Clone)]
pub(super) struct Journaled {
    pub checksum: String,
    pub done: bool,
    /// The indexes that stood before a concurrent build.
    pub indexes: Vec<u32>,
}

/// Runs or resumes a migration statement by statement.
///
/// # Errors
/// A statement failed, or what an interrupted one did cannot be told. Earlier statements stay; the journal has them.
pub(super) async fn run(worker: &mut Worker<'_>, migration: &Migration) -> Result<()> {
    let unit = Unit::plain(&migration.up)?;
    let entries = entries(&unit);
    let mut journal = open(worker, migration).await?;
    if interrupted_with_temporary(&unit, &entries, &journal) {
        worker.tell(Event::Note(format!(
            "{} begins again at its first statement: a temporary table of the interrupted run is gone",
            migration.path
        )));
        worker.execute(&format!("DELETE FROM dbbuild.statement WHERE version = '{}'", migration.version)).await?;
        journal.clear();
    }
    for entry in &entries {
        let ordinal = entry.first + 1;
        match journal.get(&ordinal) {
            Some(row) if row.checksum != checksum(&unit, entry).to_string() => {
                return Err(changed(&unit, migration, entry));
            }
            Some(row) if row.done => {
                if entry.kind == Shape::Session {
                    step(worker, &unit, migration, entry, text(&unit, entry)).await?;
                }
                continue;
            }
            Some(row) if settle::settled(worker, &unit, migration, entry.first, row).await? => {
                worker.execute(&done(migration, ordinal)).await?;
                continue;
            }
            Some(_) | None => {}
        }
        perform(worker, &unit, migration, entry).await?;
    }
    worker.execute(&worker.envelope().reset).await?;
    worker.execute(&history::finish_migration(&migration.version)).await.map_err(|e| {
        e.cause("dbbuild's own record could not be completed").help("a script must not change the schema dbbuild.")
    })
}

async fn open(worker: &Worker<'_>, migration: &Migration) -> Result<BTreeMap<usize, Journaled>> {
    let version = &migration.version;
    let exists = format!("SELECT FROM dbbuild.migration WHERE version = '{version}'");
    if worker.session().query_rows(&exists).await?.is_empty() {
        worker.execute(&history::insert_migration(migration, false, worker.author())).await?;
        return Ok(BTreeMap::new());
    }
    worker.execute(&history::resume_migration(migration, worker.author())).await?;
    let sql = format!(
        "SELECT ordinal, checksum, state = 'done', pg_catalog.array_to_string(indexes, ' ') \
         FROM dbbuild.statement WHERE version = '{version}'"
    );
    let rows = worker.session().query_rows(&sql).await?;
    let entry = |row: Vec<Option<String>>| {
        let text = |i: usize| row.get(i).cloned().flatten().unwrap_or_default();
        let indexes = text(3).split_whitespace().filter_map(|oid| oid.parse().ok()).collect();
        (text(0).parse().unwrap_or(0), Journaled { checksum: text(1), done: text(2) == "t", indexes })
    };
    Ok(rows.into_iter().map(entry).collect())
}

fn entries(unit: &Unit<'_>) -> Vec<Entry> {
    let mut entries = Vec::new();
    let mut group: Option<usize> = None;
    for (n, statement) in unit.body.statements.iter().enumerate() {
        let shape = match &statement.kind {
            StatementKind::Begin => {
                group.get_or_insert(n);
                continue;
            }
            StatementKind::Commit | StatementKind::Rollback if group.is_some() => {
                entries.push(Entry { first: group.take().unwrap_or(n), last: n, kind: Shape::Group });
                continue;
            }
            // As psql has it: COMMIT outside a transaction is a warning.
            StatementKind::Commit | StatementKind::Rollback => continue,
            _ if group.is_some() => continue,
            StatementKind::SetSession => Shape::Session,
            StatementKind::CreateTemp => Shape::Temporary,
            StatementKind::NonTransactional(_) => Shape::Alone,
            _ => Shape::Shared,
        };
        entries.push(Entry { first: n, last: n, kind: shape });
    }
    if let Some(first) = group {
        entries.push(Entry { first, last: unit.body.statements.len() - 1, kind: Shape::Group });
    }
    entries
}

fn interrupted_with_temporary(unit: &Unit<'_>, entries: &[Entry], journal: &BTreeMap<usize, Journaled>) -> bool {
    let made = |entry: &&Entry| entry.kind == Shape::Temporary && journal.contains_key(&(entry.first + 1));
    let unfinished = journal.len() < entries.len() || journal.values().any(|row| !row.done);
    !unit.body.statements.is_empty() && unfinished && entries.iter().any(|entry| made(&entry))
}

/// Runs one entry with its journal row.
async fn perform(worker: &Worker<'_>, unit: &Unit<'_>, migration: &Migration, entry: &Entry) -> Result<()> {
    let ordinal = entry.first + 1;
    let insert = |state: &str| {
        format!(
            "INSERT INTO dbbuild.statement (version, ordinal, checksum, state) VALUES ('{}', {ordinal}, '{}', '{state}') \
             ON CONFLICT (version, ordinal) DO UPDATE SET state = EXCLUDED.state, started_at = EXCLUDED.started_at",
            migration.version,
            checksum(unit, entry)
        )
    };
    match entry.kind {
        Shape::Shared | Shape::Session | Shape::Temporary => {
            match shared(worker, unit, entry, &format!("{};{}", insert("done"), done(migration, ordinal))).await {
                Ok(()) => return Ok(()),
                Err(failure) if needs_autocommit(&failure.error) => {}
                Err(failure) => return Err(stopped(worker, unit, migration, entry, failure)),
            }
        }
        Shape::Group => {
            worker.execute(&insert("started")).await?;
            step(worker, unit, migration, entry, text(unit, entry)).await?;
            return worker.execute(&done(migration, ordinal)).await;
        }
        Shape::Alone => {}
    }
    worker.execute(&insert("started")).await?;
    remember_indexes(worker, unit, migration, entry).await?;
    step(worker, unit, migration, entry, text(unit, entry)).await?;
    worker.execute(&done(migration, ordinal)).await
}

/// Runs a statement and its journal row in one transaction, trying again where a lock refused it.
async fn shared(
    worker: &Worker<'_>,
    unit: &Unit<'_>,
    entry: &Entry,
    journal: &str,
) -> std::result::Result<(), UnitFailure> {
    let mut pause = std::time::Duration::from_millis(250);
    for attempt in 1.. {
        let outcome = shared_once(worker, unit, entry, journal).await;
        let Err(failure) = outcome else { return Ok(()) };
        if failure.error.gone {
            return Err(failure);
        }
        if worker.execute("ROLLBACK").await.is_err() || attempt >= 6 || !is_contention(&failure.error) {
            return Err(failure);
        }
        worker.tell(Event::Note(format!("{}; it is tried again", failure.error.message)));
        tokio::time::sleep(pause).await;
        pause *= 2;
    }
    Ok(())
}

async fn shared_once(
    worker: &Worker<'_>,
    unit: &Unit<'_>,
    entry: &Entry,
    journal: &str,
) -> std::result::Result<(), UnitFailure> {
    let head = format!("BEGIN; SET LOCAL lock_timeout = {};\n", worker.envelope().lock_timeout);
    let statement = unit.body.statements.get(entry.first);
    // The role that the file took may not write the journal; it comes back when the transaction ends.
    let tail = format!("\n;\nSET LOCAL SESSION AUTHORIZATION DEFAULT; SET LOCAL ROLE NONE; {journal}; COMMIT");
    if let Some(data) = statement.and_then(|statement| statement.copy_data.clone()) {
        let all = &unit.body.text;
        worker.send(&head).await?;
        worker.send_copy(text(unit, entry), all.get(data).unwrap_or_default()).await?;
        return worker.send(tail.trim_start_matches(['\n', ';'])).await.map(|_| ());
    }
    let at = |failure: UnitFailure| UnitFailure {
        position: failure.position.and_then(|p| p.checked_sub(head.chars().count())),
        ..failure
    };
    worker.send(&format!("{head}{}{tail}", text(unit, entry))).await.map(|_| ()).map_err(at)
}

/// Runs an entry by itself, outside a transaction block of dbbuild's.
async fn step(worker: &Worker<'_>, unit: &Unit<'_>, migration: &Migration, entry: &Entry, text: &str) -> Result<()> {
    // A concurrent build that a time-out cuts off leaves an invalid index: it waits, and the blocker is shown.
    let concurrent = matches!(
        unit.body.statements.get(entry.first).map(|statement| &statement.kind),
        Some(StatementKind::NonTransactional(_))
    );
    if concurrent {
        worker.execute("SET lock_timeout = 0").await?;
    }
    match worker.send(text).await {
        Ok(_) => Ok(()),
        Err(failure) => {
            if !failure.error.gone && entry.kind == Shape::Group {
                worker.execute("ROLLBACK").await?;
            }
            Err(stopped(worker, unit, migration, entry, failure))
        }
    }
}

/// The table's indexes before a concurrent build: a new, invalid one after an interruption is ours.
async fn remember_indexes(worker: &Worker<'_>, unit: &Unit<'_>, migration: &Migration, entry: &Entry) -> Result<()> {
    let kind = unit.body.statements.get(entry.first).map(|statement| &statement.kind);
    let Some(StatementKind::NonTransactional(kind)) = kind else { return Ok(()) };
    let NonTransactional::CreateIndexConcurrently { table, .. } = kind.as_ref() else { return Ok(()) };
    worker
        .execute(&format!(
            "UPDATE dbbuild.statement SET indexes = ARRAY(SELECT indexrelid FROM pg_catalog.pg_index \
             WHERE indrelid = pg_catalog.to_regclass({})) WHERE version = '{}' AND ordinal = {}",
            history::literal(table),
            migration.version,
            entry.first + 1
        ))
        .await
}

fn done(migration: &Migration, ordinal: usize) -> String {
    format!(
        "UPDATE dbbuild.statement SET state = 'done', duration = pg_catalog.clock_timestamp() - started_at \
         WHERE version = '{}' AND ordinal = {ordinal}",
        migration.version
    )
}

fn text<'u>(unit: &'u Unit<'_>, entry: &Entry) -> &'u str {
    let statements = &unit.body.statements;
    let from = statements.get(entry.first).map_or(0, |statement| statement.range.start);
    let to = statements.get(entry.last).map_or(from, |statement| statement.range.end);
    unit.body.text.get(from..to).unwrap_or_default()
}

fn checksum(unit: &Unit<'_>, entry: &Entry) -> Checksum {
    Checksum::of_text(text(unit, entry))
}

fn stopped(worker: &Worker<'_>, unit: &Unit<'_>, migration: &Migration, entry: &Entry, failure: UnitFailure) -> Error {
    if failure.error.gone {
        return worker.failed(unit, failure, &title(migration));
    }
    let from = unit.body.statements.get(entry.first).map_or(0, |statement| statement.range.start);
    let inside =
        failure.position.and_then(|p| text(unit, entry).char_indices().nth(p.saturating_sub(1)).map(|(b, _)| b));
    let place = unit.script.location(from + inside.unwrap_or(0));
    describe(&failure.error, &title(migration), place, unit.ordinal(entry.first)).help(format!(
        "this migration does not run in one transaction: its first {} statement(s) stay done and are journaled. Fix the \
         file from this statement on and run `dbbuild` again; it goes on here.",
        entry.first
    ))
}

fn changed(unit: &Unit<'_>, migration: &Migration, entry: &Entry) -> Error {
    Error::failed(format!(
        "{} was interrupted, and its statement {} was changed since",
        title(migration),
        entry.first + 1
    ))
    .at(unit.place_of_statement(entry.first))
    .help("statements that ran before the interruption must stay as they were; only later ones may change.")
}
