//! Taking migrations back in a transaction that is rolled back, to see what would be kept and what would be locked.

use super::back::{DEPENDENTS, drop_views};
use super::failure::needs_autocommit;
use super::message::Unit;
use super::worker::Worker;
use crate::engine::attic::{Keeping, Stop, restore_positions};
use crate::error::Result;
use crate::model::attic::effect::Look;
use crate::model::attic::{HeldLock, Kept, Rehearsal};
use crate::model::reconcile::TakeBack;
use std::collections::BTreeMap;

/// Locks of tables that keep others from work, the weakest first.
const LOCKS: [&str; 7] = [
    "RowShareLock",
    "RowExclusiveLock",
    "ShareUpdateExclusiveLock",
    "ShareLock",
    "ShareRowExclusiveLock",
    "ExclusiveLock",
    "AccessExclusiveLock",
];

const NAMES: &str = "SELECT c.oid, pg_catalog.format('%I.%I', n.nspname, c.relname) FROM pg_catalog.pg_class c \
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'p', 'm') \
        AND n.nspname NOT IN ('pg_catalog', 'dbbuild', 'dbbuild_attic', 'information_schema') AND n.nspname !~ '^pg_(toast|temp)'";

const HELD: &str = "SELECT l.relation, l.mode FROM pg_catalog.pg_locks l \
    WHERE l.pid = pg_catalog.pg_backend_pid() AND l.locktype = 'relation' AND l.granted";

/// The open transaction of a rehearsal. Nothing of it stays, once [`Trial::end`] was called or the connection is gone.
pub struct Trial<'w> {
    worker: &'w Worker<'w>,
    names: BTreeMap<String, String>,
    /// The look before everything, whose positions of sequences no rollback brings back.
    first: Option<Look>,
    /// The locks so far.
    held: Vec<HeldLock>,
}

impl Worker<'_> {
    /// Takes migrations back in one transaction that is rolled back, and says what would be kept and which locks were taken.
    ///
    /// # Errors
    /// A down part failed, as it would in earnest, or something cannot be kept. Nothing was changed.
    pub async fn rehearse(&self, backs: &[TakeBack]) -> Result<Rehearsal> {
        let mut trial = Trial::begin(self).await?;
        let mut rehearsal = Rehearsal::default();
        let mut failed = None;
        for back in backs {
            if !rehearsal.untried.is_empty() {
                rehearsal.untried.push(back.label());
                continue;
            }
            match trial.step(back).await {
                Ok(Some(kept)) => rehearsal.kept.push(kept),
                Ok(None) => rehearsal.untried.push(back.label()),
                Err(error) => {
                    failed = Some(error);
                    break;
                }
            }
        }
        rehearsal.locks.clone_from(&trial.held);
        if !self.session().is_closed() {
            trial.end().await?;
        }
        failed.map_or(Ok(rehearsal), Err)
    }
}

impl<'w> Trial<'w> {
    /// Begins the transaction.
    ///
    /// # Errors
    /// The server said no.
    pub async fn begin(worker: &'w Worker<'w>) -> Result<Trial<'w>> {
        worker.execute(&format!("BEGIN; SET LOCAL lock_timeout = {}", worker.envelope().lock_timeout)).await?;
        let rows = worker.session().query_rows(NAMES).await?;
        Ok(Trial { worker, names: rows.into_iter().filter_map(pair).collect(), first: None, held: Vec::new() })
    }

    /// Takes one migration back; `None` where that cannot be tried in a transaction.
    ///
    /// # Errors
    /// Its down part failed, as it would in earnest, or something cannot be kept. The transaction is to be ended then.
    pub async fn step(&mut self, back: &TakeBack) -> Result<Option<Kept>> {
        let Some(back) = &back.in_one_transaction() else { return Ok(None) };
        let worker = self.worker;
        let unit = Unit::new(&back.down, String::new(), String::new())?;
        worker.execute("SAVEPOINT dbbuild_step").await?;
        let mut keeping = Keeping::new(worker, back);
        let mut outcome = keeping.run(&unit, ("SELECT 1", 1)).await;
        self.first = self.first.take().or(keeping.first.take());
        let depended = |stop: &Stop| stop.server_error().is_some_and(|e| e.sqlstate.as_deref() == Some(DEPENDENTS));
        if outcome.as_ref().is_err_and(depended) && !back.views.is_empty() {
            worker.execute("ROLLBACK TO SAVEPOINT dbbuild_step").await?;
            keeping = Keeping::new(worker, back);
            outcome = keeping.run(&unit, (&drop_views(back), 1)).await;
        }
        match outcome {
            Ok(()) => {
                worker.reset().await?;
                let held = self.locks().await?;
                let locks = held.iter().filter(|lock| !self.held.contains(lock)).cloned().collect();
                self.held = held;
                Ok(Some(Kept { label: back.label(), entries: keeping.entries, locks }))
            }
            Err(stop) if stop.server_error().is_some_and(needs_autocommit) => {
                worker.execute("ROLLBACK TO SAVEPOINT dbbuild_step").await?;
                Ok(None)
            }
            Err(stop) => Err(stop.into_error(worker, back, &unit)),
        }
    }

    /// The strongest lock of the transaction on each table that stood before it; reading alone does not count.
    async fn locks(&self) -> Result<Vec<HeldLock>> {
        let held = self.worker.session().query_rows(HELD).await?.into_iter().filter_map(pair);
        let mut strongest: BTreeMap<&str, usize> = BTreeMap::new();
        for (oid, mode) in held {
            let strength = LOCKS.iter().position(|lock| *lock == mode);
            let Some((name, strength)) = self.names.get(&oid).zip(strength) else { continue };
            let own = strongest.entry(name).or_insert(strength);
            *own = (*own).max(strength);
        }
        let lock = |(name, strength): (&str, usize)| {
            Some(HeldLock { relation: name.to_owned(), mode: LOCKS.get(strength).map(|lock| (*lock).to_owned())? })
        };
        Ok(strongest.into_iter().filter_map(lock).collect())
    }

    /// Rolls everything back.
    ///
    /// # Errors
    /// The connection is gone: the server has rolled it back by itself.
    pub async fn end(self) -> Result<()> {
        self.worker.clean().await?;
        restore_positions(self.worker, self.first.as_ref()).await
    }
}

fn pair(row: Vec<Option<String>>) -> Option<(String, String)> {
    let mut cells = row.into_iter().flatten();
    Some((cells.next()?, cells.next()?))
}
