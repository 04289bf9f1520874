//! What a migration cost others: how long it took, how long it waited for locks, and which locks it held until its commit.
//!
//! The server itself says so in the statement that closes the transaction. A lock on a table that the migration made is
//! nobody's concern and is left out, as is one that lets others read and write.

use super::message::{BEFORE, Unit};
use super::worker::Worker;
use crate::engine::session::Session;
use crate::error::Result;
use crate::model::version::Version;
use std::collections::BTreeMap;
use std::time::Duration;
use tokio_postgres::SimpleQueryMessage;

/// Of longer runs locks are not read: many migrations at once are an installation, and nobody waits for one.
pub const MOST: usize = 100;

/// One migration that ran.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Measure {
    /// The path of its file.
    pub path: String,
    /// Its version.
    pub version: String,
    /// How long it took; `None` until the server has said.
    pub seconds: Option<f64>,
    /// How long it was seen to wait for locks of others.
    pub waited: Duration,
    /// The strongest lock on each table that was there before.
    pub locks: Vec<HeldLock>,
}

impl Measure {
    /// Changes the names of tables in it.
    pub fn map_texts(&mut self, change: &dyn Fn(&str) -> String) {
        self.locks.iter_mut().for_each(|held| held.table = change(&held.table));
    }
}

/// A lock that kept others from writing, or from reading too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldLock {
    /// The table, with its schema.
    pub table: String,
    /// `SHARE`, `SHARE ROW EXCLUSIVE`, `EXCLUSIVE` or `ACCESS EXCLUSIVE`.
    pub lock: &'static str,
}

/// The modes that keep others waiting, weakest first, as `pg_locks` and the manual write them.
const MODES: [(&str, &str); 4] = [
    ("ShareLock", "SHARE"),
    ("ShareRowExclusiveLock", "SHARE ROW EXCLUSIVE"),
    ("ExclusiveLock", "EXCLUSIVE"),
    ("AccessExclusiveLock", "ACCESS EXCLUSIVE"),
];

/// The locks of this transaction as one text. A table's row for its system column tells by which transaction it was made.
pub(super) const LOCKS: &str = "(SELECT pg_catalog.string_agg(pg_catalog.format('%s %I.%I', l.mode, n.nspname, c.relname), E'\\n') \
    FROM pg_catalog.pg_locks l JOIN pg_catalog.pg_class c ON c.oid = l.relation \
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
    WHERE l.pid = pg_catalog.pg_backend_pid() AND l.locktype = 'relation' AND l.granted \
    AND l.mode IN ('ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock') \
    AND c.relkind IN ('r', 'p', 'm', 'f') \
    AND n.nspname NOT IN ('pg_catalog', 'pg_toast', 'dbbuild', 'dbbuild_attic') AND c.relpersistence <> 't' \
    AND NOT EXISTS (SELECT FROM pg_catalog.pg_attribute a WHERE a.attrelid = c.oid AND a.attnum = -6 \
    AND a.xmin::text::bigint = pg_catalog.pg_current_xact_id()::text::bigint % 4294967296))";

/// Reads what the closing statements of units say that travelled in one message, in their order.
pub(super) fn read<'u>(
    units: impl IntoIterator<Item = &'u Unit<'u>>,
    messages: &[SimpleQueryMessage],
    reset_statements: usize,
) -> Vec<(Option<f64>, Vec<HeldLock>)> {
    let mut messages = messages.iter();
    let mut skip = |n: usize| {
        let mut row = None;
        for _ in 0..n {
            row = None;
            for message in messages.by_ref() {
                match message {
                    SimpleQueryMessage::Row(found) => row = Some(found),
                    SimpleQueryMessage::CommandComplete(_) => break,
                    _ => {}
                }
            }
        }
        row
    };
    let mut found = Vec::new();
    for unit in units {
        let closing = skip(BEFORE + unit.body.statements.len() + unit.marks.len() + 3);
        let cell = |at: usize| closing.filter(|row| row.len() == 3).and_then(|row| row.get(at));
        let seconds = cell(1).and_then(|text| text.parse().ok());
        found.push((seconds, locks(cell(2).unwrap_or_default())));
        skip(1 + reset_statements);
    }
    found
}

fn locks(text: &str) -> Vec<HeldLock> {
    let mut strongest: BTreeMap<&str, usize> = BTreeMap::new();
    for (mode, table) in text.lines().filter_map(|line| line.split_once(' ')) {
        let Some(rank) = MODES.iter().position(|(name, _)| *name == mode) else { continue };
        let known = strongest.entry(table).or_default();
        *known = rank.max(*known);
    }
    let held =
        |(table, rank): (&str, usize)| MODES.get(rank).map(|(_, lock)| HeldLock { table: table.to_owned(), lock });
    strongest.into_iter().filter_map(held).collect()
}

/// Of migrations that travelled together one waited: the only one that took that long.
pub(super) fn attribute(measures: &mut [Measure], waited: Duration) {
    if waited.is_zero() {
        return;
    }
    let mut able = measures.iter_mut().filter(|one| one.seconds.is_some_and(|s| s >= waited.as_secs_f64()));
    if let (Some(one), None) = (able.next(), able.next()) {
        one.waited = waited;
    }
}

impl Worker<'_> {
    /// Notes a migration that is done; the rest is known once the server is asked.
    pub(super) fn measured(&mut self, path: &str, version: &Version) -> Measure {
        Measure {
            path: path.to_owned(),
            version: version.to_string(),
            waited: self.watch.take_waited(),
            ..Measure::default()
        }
    }
}

/// Fills in how long migrations took that the closing statement did not tell of, from the version table.
///
/// # Errors
/// The server said no.
pub(super) async fn fill(session: &Session, measures: &mut [Measure]) -> Result<()> {
    let unknown = |one: &&Measure| one.seconds.is_none();
    let versions: Vec<String> = measures.iter().filter(unknown).map(|one| format!("'{}'", one.version)).collect();
    if versions.is_empty() {
        return Ok(());
    }
    let sql = format!(
        "SELECT version, EXTRACT(epoch FROM duration) FROM dbbuild.migration WHERE version IN ({})",
        versions.join(", ")
    );
    let rows = session.query_rows(&sql).await?;
    let known: BTreeMap<String, f64> = rows
        .into_iter()
        .filter_map(|row| {
            let mut cells = row.into_iter();
            Some((cells.next()??, cells.next()??.parse().ok()?))
        })
        .collect();
    for one in measures.iter_mut().filter(|one| one.seconds.is_none()) {
        one.seconds = known.get(&one.version).copied();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_each_table_the_strongest_lock_counts() {
        let found =
            locks("ShareLock public.b\nAccessExclusiveLock public.\"A b\"\nShareRowExclusiveLock public.b\nOther x");
        let held = |table: &str, lock| HeldLock { table: table.to_owned(), lock };
        assert_eq!(found, [held("public.\"A b\"", "ACCESS EXCLUSIVE"), held("public.b", "SHARE ROW EXCLUSIVE")]);
        assert!(locks("").is_empty());
    }

    #[test]
    fn a_wait_is_told_of_the_only_one_that_was_long_enough() {
        let one = |seconds: f64| Measure { seconds: Some(seconds), ..Measure::default() };
        let mut some = [one(0.1), one(2.5), one(0.2)];
        attribute(&mut some, Duration::from_secs(2));
        assert_eq!(some.iter().map(|one| one.waited.as_secs()).collect::<Vec<_>>(), [0, 2, 0]);
        let mut several = [one(2.1), one(2.5)];
        attribute(&mut several, Duration::from_secs(2));
        assert!(several.iter().all(|one| one.waited.is_zero()));
    }
}
