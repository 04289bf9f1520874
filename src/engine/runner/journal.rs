//! Non-transactional migrations: a journal, statement by statement, that says after a kill what was done.
//!
//! A statement that can share a transaction with its journal row does, so it is done exactly once; the file's own
//! BEGIN … COMMIT takes its row in before the COMMIT. The others write "started" first; after an interruption the
//! catalogs say what became of them ([`super::settle`]), and where they cannot, dbbuild stops and asks.

use super::Event;
use super::batch::{Repeated, Stop};
use super::entry::{Entry, Shape, entries};
use super::failure::{UnitFailure, describe, done, needs_autocommit, title};
use super::message::Unit;
use super::psql::PsqlJob;
use super::settle::{self, Settled};
use super::worker::{AS_SELF, Worker};
use crate::engine::history;
use crate::error::{Error, Result};
use crate::model::migration::Migration;
use crate::model::sql::{NonTransactional, literal};
use std::collections::BTreeMap;

/// What the journal says of one entry.
#[derive(Debug, Clone)]
pub(super) struct Journaled {
    pub checksum: String,
    pub done: bool,
    /// Rows that a batch has touched.
    pub rows: u64,
    /// The indexes that stood before a concurrent build.
    pub indexes: Vec<u32>,
}

/// One run of one migration.
pub(super) struct Journal<'j, 'w> {
    pub worker: &'j Worker<'w>,
    pub unit: Unit<'j>,
    pub migration: &'j Migration,
}

/// Runs or resumes a migration statement by statement.
///
/// # Errors
/// A statement failed, or what an interrupted one did cannot be told. Earlier statements stay; the journal has them.
pub(super) async fn run(worker: &Worker<'_>, migration: &Migration) -> Result<()> {
    let unit = Unit::plain(&migration.up)?;
    let entries = entries(&unit)?;
    let journal = Journal { worker, unit, migration };
    let outcome = journal.go_on(&entries).await;
    if outcome.is_err() && !worker.session().is_closed() {
        // What failed is what counts; a row that stays says only that the file is to be gone on with.
        let _ = journal.forget_if_untouched().await;
    }
    outcome
}

impl Journal<'_, '_> {
    /// Does what is left to do.
    async fn go_on(&self, entries: &[Entry]) -> Result<()> {
        let worker = self.worker;
        let mut known = self.open().await?;
        self.unedited(entries, &known)?;
        worker.execute_as_self(&history::resume_migration(self.migration, worker.author())).await?;
        worker.execute(&format!("SET lock_timeout = {}", worker.envelope().lock_timeout)).await?;
        if self.lost_temporary(entries, &known) {
            self.begin_again(entries, &known).await?;
            known.clear();
        }
        for entry in entries {
            match known.get(&entry.ordinal()) {
                Some(row) if row.done => self.set_again(entry).await?,
                row if entry.shape == Shape::Batch => self.batch(entry, row.map(|row| row.rows)).await?,
                Some(row) => self.settle(entry, row).await?,
                None => self.perform(entry).await?,
            }
        }
        worker.execute(&worker.envelope().reset).await?;
        if worker.has_kept(self.migration) {
            return worker.give_and_finish(self.migration).await;
        }
        worker.execute(&history::finish_migration(&self.migration.version, None)).await.map_err(|e| {
            e.cause("dbbuild's own record could not be completed").help("a script must not change the schema dbbuild.")
        })
    }

    /// A migration of which nothing was carried out was never begun: it may be edited at will.
    async fn forget_if_untouched(&self) -> Result<()> {
        let version = &self.migration.version;
        let sql = format!(
            "DELETE FROM dbbuild.migration WHERE version = '{version}' AND state = 'started' \
             AND NOT EXISTS (SELECT FROM dbbuild.statement s WHERE s.version = '{version}')"
        );
        self.worker.execute_as_self(&sql).await
    }

    /// Begins the migration, or reads what an interrupted run of it left.
    async fn open(&self) -> Result<BTreeMap<usize, Journaled>> {
        let version = &self.migration.version;
        let session = self.worker.session();
        let exists = format!("SELECT FROM dbbuild.migration WHERE version = '{version}'");
        if session.query_rows(&exists).await?.is_empty() {
            self.worker.look_before(self.migration).await?;
            let row = self.worker.opening(self.migration, false);
            // Left by somebody who took the migration's row away by hand.
            let stale = format!("DELETE FROM dbbuild.statement WHERE version = '{version}'");
            self.worker.execute_as_self(&format!("{stale}; {row}")).await?;
            return Ok(BTreeMap::new());
        }
        let sql = format!(
            "SELECT ordinal, checksum, state = 'done', pg_catalog.array_to_string(indexes, ' '), rows \
             FROM dbbuild.statement WHERE version = '{version}'"
        );
        let rows = session.query_rows(&sql).await?;
        let entry = |row: Vec<Option<String>>| {
            let text = |i: usize| row.get(i).cloned().flatten().unwrap_or_default();
            let indexes = text(3).split_whitespace().filter_map(|oid| oid.parse().ok()).collect();
            let rows = text(4).parse().unwrap_or(0);
            (text(0).parse().unwrap_or(0), Journaled { checksum: text(1), done: text(2) == "t", rows, indexes })
        };
        Ok(rows.into_iter().map(entry).collect())
    }

    /// What ran must stand in the file as it ran; what had not run may have been edited.
    fn unedited(&self, entries: &[Entry], known: &BTreeMap<usize, Journaled>) -> Result<()> {
        let same = |ordinal: &usize, row: &Journaled| {
            let entry = entries.iter().find(|entry| entry.ordinal() == *ordinal);
            entry.is_some_and(|entry| entry.checksum(&self.unit).to_string() == row.checksum)
        };
        let Some((ordinal, row)) = known.iter().find(|(ordinal, row)| !same(ordinal, row)) else { return Ok(()) };
        let (n, title) = (ordinal - 1, title(self.migration));
        let error = if row.done {
            Error::failed(format!("{title} was interrupted, and its statement {ordinal}, which ran, was changed since"))
                .help("statements that ran before the interruption must stay as they were; only later ones may change.")
        } else {
            Error::failed(format!("{title} was interrupted while its statement {ordinal} ran, which was changed since")).help(
                format!(
                    "take the edit back; or look what it did, then say it: `dbbuild apply --settle {0}:{ordinal}=done` or \
                     `dbbuild apply --settle {0}:{ordinal}=retry`.",
                    self.migration.version
                ),
            )
        };
        Err(error.at(self.unit.place_of_statement(n)))
    }

    /// Whether later statements would miss a temporary table of the interrupted run.
    fn lost_temporary(&self, entries: &[Entry], known: &BTreeMap<usize, Journaled>) -> bool {
        let unfinished = entries.iter().any(|entry| known.get(&entry.ordinal()).is_none_or(|row| !row.done));
        let made = |entry: &Entry| entry.makes_temporary(&self.unit) && known.contains_key(&entry.ordinal());
        unfinished && entries.iter().any(made)
    }

    async fn begin_again(&self, entries: &[Entry], known: &BTreeMap<usize, Journaled>) -> Result<()> {
        for entry in entries {
            if let Some(row) = known.get(&entry.ordinal()).filter(|row| !row.done) {
                // An invalid index must not stand in the way of the second try.
                settle::settled(self, entry, row).await?;
            }
        }
        self.worker.tell(Event::Note(format!(
            "{} begins again at its first statement: a temporary table of the interrupted run is gone",
            self.migration.path
        )));
        let sql = format!("DELETE FROM dbbuild.statement WHERE version = '{}'", self.migration.version);
        self.worker.execute_as_self(&sql).await
    }

    /// A new session has lost what a done entry set.
    async fn set_again(&self, entry: &Entry) -> Result<()> {
        for n in entry.session_settings(&self.unit) {
            if let Err(failure) = self.worker.send_range(&self.unit, n, n).await {
                return Err(self.stopped(entry, failure));
            }
            self.keep_work_settings(n).await?;
        }
        Ok(())
    }

    /// Finds out what became of an interrupted entry, and does it where it was not done.
    async fn settle(&self, entry: &Entry, row: &Journaled) -> Result<()> {
        match settle::settled(self, entry, row).await? {
            Settled::Done => self.worker.execute_as_self(&self.done(entry)).await,
            Settled::NotDone => {
                self.forget(entry).await?;
                self.perform(entry).await
            }
        }
    }

    /// Runs one entry with its journal row, trying again where a lock refused it.
    async fn perform(&self, entry: &Entry) -> Result<()> {
        let mut shape = entry.shape;
        for attempt in 1.. {
            let outcome = match shape {
                Shape::Shared | Shape::Group => self.shared(entry).await,
                Shape::RolledBack => {
                    self.worker.send_range(&self.unit, entry.first, entry.last).await.map(|()| Vec::new())
                }
                Shape::Alone | Shape::Psql => return self.alone(entry).await,
                Shape::Batch => return self.batch(entry, None).await,
            };
            let failure = match outcome {
                Ok(rows) => {
                    self.count(entry, shape, &rows).await?;
                    break;
                }
                Err(failure) => failure,
            };
            if failure.error.gone {
                return Err(self.stopped(entry, failure));
            }
            self.worker.execute("ROLLBACK").await?;
            if shape == Shape::Shared && needs_autocommit(&failure.error) {
                shape = Shape::Alone;
            } else if !self.worker.waits_to_retry(attempt, &failure).await {
                return Err(self.stopped(entry, failure));
            }
        }
        if shape == Shape::RolledBack {
            self.worker.execute_as_self(&self.insert(entry, "done")).await?;
        }
        for n in entry.session_settings(&self.unit) {
            self.keep_work_settings(n).await?;
        }
        Ok(())
    }

    /// Runs an entry in the transaction that writes its row. Who else ran it meanwhile has written that row: 23505.
    async fn shared(&self, entry: &Entry) -> std::result::Result<Vec<u64>, UnitFailure> {
        let row = self.insert(entry, "done");
        if entry.shape == Shape::Group {
            let statements = &self.unit.body.statements;
            let commit = statements.get(entry.last).and_then(|one| self.unit.body.text.get(one.range.clone()));
            let tail = format!("{AS_SELF}; {row}; {}", commit.unwrap_or("COMMIT"));
            return self.worker.send_between(&self.unit, (entry.first, entry.last - 1), "", &tail).await;
        }
        let tail = format!("{AS_SELF}; {row}; COMMIT");
        self.worker.send_between(&self.unit, (entry.first, entry.last), "BEGIN;", &tail).await
    }

    /// Keeps how many rows a single statement touched: it stands behind BEGIN.
    async fn count(&self, entry: &Entry, shape: Shape, rows: &[u64]) -> Result<()> {
        let Some(rows) = rows.get(1).filter(|rows| shape == Shape::Shared && **rows > 0) else { return Ok(()) };
        let (version, ordinal) = (&self.migration.version, entry.ordinal());
        let row = format!("WHERE version = '{version}' AND ordinal = {ordinal}");
        self.worker.execute_as_self(&format!("UPDATE dbbuild.statement SET rows = {rows} {row}")).await
    }

    /// Runs an entry outside a transaction of dbbuild's.
    async fn alone(&self, entry: &Entry) -> Result<()> {
        let patient = entry.non_transactional(&self.unit).is_some_and(waits_for_others);
        for attempt in 1.. {
            self.worker.execute_as_self(&self.insert(entry, "started")).await?;
            if patient {
                self.worker.execute(NO_LOCK_TIMEOUT).await?;
            }
            if entry.shape == Shape::Psql {
                self.by_psql().await?;
                break;
            }
            let outcome = self.worker.send_range(&self.unit, entry.first, entry.last).await;
            let Err(failure) = outcome else { break };
            if failure.error.gone {
                return Err(self.stopped(entry, failure));
            }
            self.worker.execute("ROLLBACK").await?;
            if patient {
                self.worker.execute(LOCK_TIMEOUT_AGAIN).await?;
            }
            // The server said that it failed: what it left is taken away now, and the row with it. A procedure that
            // commits may have done part of its work: there the row stays, and the next run asks.
            if entry.non_transactional(&self.unit).is_some() {
                let row = Journaled {
                    checksum: String::new(),
                    done: false,
                    rows: 0,
                    indexes: self.recorded_indexes(entry).await?,
                };
                if settle::left_by_failure(self, entry, &row).await? == Settled::Done {
                    break;
                }
                self.forget(entry).await?;
                if self.worker.waits_to_retry(attempt, &failure).await {
                    continue;
                }
            }
            return Err(self.stopped(entry, failure));
        }
        if patient {
            self.worker.execute(LOCK_TIMEOUT_AGAIN).await?;
        }
        self.keep_work_settings(entry.first).await?;
        self.worker.execute_as_self(&self.done(entry)).await
    }

    /// Repeats a statement until it touches no row; `before`: the rows of an interrupted run.
    async fn batch(&self, entry: &Entry, before: Option<u64>) -> Result<()> {
        let (worker, script) = (self.worker, self.unit.script);
        let batches = script.batches(&self.unit.body.statements)?;
        let Some(batch) = batches.get(&entry.first) else { return Ok(()) };
        if before.is_none() {
            worker.execute_as_self(&self.insert(entry, "started")).await?;
        }
        let place = self.unit.place_of_statement(entry.first);
        let file = format!("{}:{}", place.path, place.line);
        let repeated = Repeated { text: entry.text(&self.unit), batch, place: file };
        let record = |rows: u64| {
            let (version, ordinal) = (&self.migration.version, entry.ordinal());
            format!("UPDATE dbbuild.statement SET rows = {rows} WHERE version = '{version}' AND ordinal = {ordinal}")
        };
        match worker.repeat(&repeated, before.unwrap_or(0), &record).await {
            Ok(_) => worker.execute_as_self(&self.done(entry)).await,
            Err(Stop::Failed(failure)) => {
                // `:size` was replaced: behind its first place positions are others.
                let first = crate::model::sql::parameter(repeated.text, "size").first().map_or(0, |range| range.start);
                let position = failure.position.filter(|at| *at <= first);
                let error = self.stopped(entry, UnitFailure { position, ..failure });
                Err(error.help("the batches before it stay done too."))
            }
            Err(Stop::Refused(error)) => Err(error.at(place).help(format!(
                "what was done so far is committed and journaled. Mend the statement, then say \
                 `dbbuild apply --settle {}:{}=retry`.",
                self.migration.version,
                entry.ordinal()
            ))),
        }
    }

    /// Lets psql run the whole file without a transaction around it.
    async fn by_psql(&self) -> Result<()> {
        let script = self.unit.script;
        let head = format!("SET lock_timeout = {};", self.worker.envelope().lock_timeout);
        let job = PsqlJob { script, text: &self.unit.body.text, head, tail: String::new() };
        let Err(failed) = self.worker.run_psql(&job).await? else { return Ok(()) };
        let place = failed.place.unwrap_or_else(|| script.location(0));
        let error = describe(&failed.failure.error, &title(self.migration), place, None);
        Err(self.worker.name_blocker(error, &failed.failure.error).help(format!(
            "psql runs this file without a transaction: what stands before stays done. Let the file fit to run from its \
             beginning again, then say `dbbuild apply --settle {0}:1=retry`; or do the rest by hand, then `{0}:1=done`.",
            self.migration.version
        )))
    }

    /// After `RESET ALL` and `DISCARD ALL` the time limits of the role and the database would hold again.
    async fn keep_work_settings(&self, n: usize) -> Result<()> {
        let range = self.unit.body.statements.get(n).map(|statement| statement.range.clone());
        let text = range.and_then(|range| self.unit.body.text.get(range)).unwrap_or_default();
        let words: Vec<&str> = text.split_whitespace().take(2).collect();
        let resets = matches!(words.as_slice(), [verb, all] if all.eq_ignore_ascii_case("all")
            && (verb.eq_ignore_ascii_case("reset") || verb.eq_ignore_ascii_case("discard")));
        if !resets {
            return Ok(());
        }
        let settings = self.worker.session().work_settings();
        self.worker.execute(&format!("{settings}; SET lock_timeout = {}", self.worker.envelope().lock_timeout)).await
    }

    async fn recorded_indexes(&self, entry: &Entry) -> Result<Vec<u32>> {
        let sql = format!(
            "SELECT pg_catalog.unnest(indexes) FROM dbbuild.statement WHERE version = '{}' AND ordinal = {}",
            self.migration.version,
            entry.ordinal()
        );
        let sql = format!("BEGIN READ ONLY; {AS_SELF}; {sql}; COMMIT");
        let rows = self.worker.session().query_rows(&sql).await?;
        Ok(rows.into_iter().flatten().flatten().filter_map(|oid| oid.parse().ok()).collect())
    }

    /// The row of an entry. With that of a concurrent build stand the indexes that were there before it, so that a new,
    /// invalid one is known to be ours.
    pub(super) fn insert(&self, entry: &Entry, state: &str) -> String {
        // A row that is written with what it tells of shares its transaction.
        let when = match state {
            "done" => "pg_catalog.now(), pg_catalog.clock_timestamp() - pg_catalog.now()",
            _ => "pg_catalog.clock_timestamp(), NULL",
        };
        let before = match entry.non_transactional(&self.unit) {
            Some(NonTransactional::CreateIndexConcurrently { table, .. }) => {
                format!("indrelid = pg_catalog.to_regclass({})", literal(table))
            }
            Some(NonTransactional::ReindexConcurrently { .. }) => "NOT indisvalid".to_owned(),
            _ => "false".to_owned(),
        };
        format!(
            "INSERT INTO dbbuild.statement (version, ordinal, checksum, state, line, indexes, started_at, duration) \
             VALUES ('{}', {}, '{}', '{state}', {}, ARRAY(SELECT indexrelid FROM pg_catalog.pg_index WHERE {before}), {when})",
            self.migration.version,
            entry.ordinal(),
            entry.checksum(&self.unit),
            self.unit.place_of_statement(entry.first).line,
        )
    }

    fn done(&self, entry: &Entry) -> String {
        format!(
            "UPDATE dbbuild.statement SET state = 'done', duration = pg_catalog.clock_timestamp() - started_at \
             WHERE version = '{}' AND ordinal = {}",
            self.migration.version,
            entry.ordinal()
        )
    }

    async fn forget(&self, entry: &Entry) -> Result<()> {
        let (version, ordinal) = (&self.migration.version, entry.ordinal());
        let sql = format!("DELETE FROM dbbuild.statement WHERE version = '{version}' AND ordinal = {ordinal}");
        self.worker.execute_as_self(&sql).await
    }

    /// The error of an entry that failed.
    fn stopped(&self, entry: &Entry, failure: UnitFailure) -> Error {
        if failure.error.gone {
            return self.worker.failed(&self.unit, failure, &title(self.migration));
        }
        let n = (entry.first + failure.completed).min(entry.last);
        let start = self.unit.body.statements.get(entry.first).map_or(0, |statement| statement.range.start);
        let inside = failure.position.and_then(|p| entry.text(&self.unit).char_indices().nth(p.checked_sub(1)?));
        let place = match inside {
            Some((byte, _)) => self.unit.script.location(start + byte),
            None => self.unit.place_of_statement(n),
        };
        let error = describe(&failure.error, &title(self.migration), place, self.unit.ordinal(n));
        let done = done(entry.first);
        self.worker.name_blocker(error, &failure.error).help(format!(
            "this migration does not run in one transaction: {done}. Fix the file from this statement on and run the same command \
             again; it goes on here."
        ))
    }
}

/// Concurrent work that a time-out cuts off leaves something invalid behind: it waits, and the blocker is shown.
fn waits_for_others(kind: &NonTransactional) -> bool {
    matches!(
        kind,
        NonTransactional::CreateIndexConcurrently { .. }
            | NonTransactional::DropIndexConcurrently { .. }
            | NonTransactional::ReindexConcurrently { .. }
            | NonTransactional::DetachConcurrently { .. }
    )
}

/// Remembers what the file may have set for itself.
pub(super) const NO_LOCK_TIMEOUT: &str = "SELECT pg_catalog.set_config('dbbuild.lock_timeout', \
    pg_catalog.current_setting('lock_timeout'), false), pg_catalog.set_config('lock_timeout', '0', false)";
/// Takes it up again.
pub(super) const LOCK_TIMEOUT_AGAIN: &str =
    "SELECT pg_catalog.set_config('lock_timeout', pg_catalog.current_setting('dbbuild.lock_timeout'), false)";
