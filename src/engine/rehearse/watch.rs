//! What each step does to the copy: asked inside its own transaction, just before that commits, and from beside it every
//! few milliseconds, which tells since when a lock was held.
//!
//! The first is done by triggers on the version table of the copy: every step writes there, in the transaction of what it does.

use super::report::{Growth, Lock, Rewritten, Rows, Seen};
use crate::engine::session::{self, ConnectOptions, ConnectionSettings, Session};
use crate::error::Result;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::task::JoinHandle;

/// How often locks are looked at from beside.
const PAUSE: Duration = Duration::from_millis(5);

/// Locks that keep others from reading or writing, seen from beside: table, mode, first and last time.
type Beside = Vec<(String, String, f64, f64)>;

/// Looks on while steps run.
pub(super) struct Watch {
    session: Session,
    stop: Arc<AtomicBool>,
    beside: JoinHandle<Beside>,
}

/// What was seen of a step.
pub(super) struct Step {
    /// `migration`, `repeatable` or `init`.
    pub kind: String,
    /// The version, or the file's name below its folder.
    pub name: String,
    pub seen: Seen,
}

impl Watch {
    /// Sets the triggers and begins to look on. The version table must be there.
    ///
    /// # Errors
    /// The server said no.
    pub async fn begin(superuser: &ConnectionSettings) -> Result<Watch> {
        let session = session::connect(superuser, &ConnectOptions::default()).await?;
        session.simple(include_str!("watch.sql")).await?;
        let looker = session::connect(superuser, &ConnectOptions::default()).await?;
        let stop = Arc::new(AtomicBool::new(false));
        let beside = tokio::spawn(look(looker, Arc::clone(&stop)));
        Ok(Watch { session, stop, beside })
    }

    /// Ends it and says what was seen, step by step; with a step that failed under no name, as the last.
    ///
    /// # Errors
    /// The server said no.
    pub async fn end(self, failed: bool) -> Result<(Vec<Step>, u64)> {
        self.stop.store(true, Ordering::Relaxed);
        let beside = self.beside.await.unwrap_or_default();
        read(&self.session, &beside, failed).await
    }
}

async fn look(session: Session, stop: Arc<AtomicBool>) -> Beside {
    let sql = "SELECT EXTRACT(epoch FROM pg_catalog.clock_timestamp())::text, l.pid::text, l.relation::text, l.mode, e.name \
               FROM pg_catalog.pg_locks l LEFT JOIN dbbuild_rehearsal.everything e ON e.oid = l.relation \
               WHERE l.locktype = 'relation' AND l.granted AND l.pid <> pg_catalog.pg_backend_pid() AND l.relation >= 16384 \
                 AND l.mode IN ('ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock', \
                                'ShareUpdateExclusiveLock', 'RowExclusiveLock')";
    let mut open: BTreeMap<(String, String, String), (String, f64, f64)> = BTreeMap::new();
    let mut seen = Beside::new();
    while !stop.load(Ordering::Relaxed) {
        // A server that is ending tells nothing more.
        let Ok(rows) = session.query_rows(sql).await else { break };
        let mut held = std::collections::BTreeSet::new();
        for row in &rows {
            let [at, pid, relation, mode, name] = row.as_slice() else { continue };
            let at: f64 = at.as_deref().and_then(|at| at.parse().ok()).unwrap_or(0.0);
            let text = |cell: &Option<String>| cell.clone().unwrap_or_default();
            let key = (text(pid), text(relation), text(mode));
            held.insert(key.clone());
            let entry = open.entry(key).or_insert_with(|| (text(name), at, at));
            entry.2 = at;
        }
        let gone: Vec<_> = open.keys().filter(|key| !held.contains(*key)).cloned().collect();
        for key in gone {
            if let Some((_, first, last)) = open.remove(&key) {
                seen.push((key.1, key.2, first, last));
            }
        }
        tokio::time::sleep(PAUSE).await;
    }
    seen.extend(open.into_iter().map(|((_, relation, mode), (_, first, last))| (relation, mode, first, last)));
    seen
}

/// A table as it was when last looked at.
#[derive(Clone, Default)]
struct Table {
    name: String,
    filenode: String,
    bytes: u64,
}

async fn read(session: &Session, beside: &Beside, failed: bool) -> Result<(Vec<Step>, u64)> {
    let text = |row: &Vec<Option<String>>, at: usize| row.get(at).cloned().flatten();
    let moments = session
        .query_rows(
            "SELECT id, kind, name, done, at, (lsn - '0/0'::pg_lsn)::text FROM dbbuild_rehearsal.moment \
             UNION ALL SELECT NULL, NULL, NULL, NULL, EXTRACT(epoch FROM pg_catalog.clock_timestamp()), \
                (pg_catalog.pg_current_wal_insert_lsn() - '0/0'::pg_lsn)::text ORDER BY 1",
        )
        .await?;
    let mut looks: BTreeMap<i64, Vec<Vec<Option<String>>>> = BTreeMap::new();
    let all = "SELECT moment, oid, name, filenode, bytes, pg_catalog.array_to_string(modes, ','), inserted, updated, deleted \
               FROM dbbuild_rehearsal.relation";
    for row in session.query_rows(all).await? {
        looks.entry(text(&row, 0).and_then(|id| id.parse().ok()).unwrap_or(0)).or_default().push(row);
    }
    let mut known: BTreeMap<String, Table> = BTreeMap::new();
    for row in looks.get(&0).into_iter().flatten() {
        known.insert(text(row, 1).unwrap_or_default(), table(row));
    }
    let mut steps: Vec<Step> = Vec::new();
    let (mut started, mut last): (Option<(f64, u64)>, (f64, u64)) = (None, (0.0, 0));
    let mut first_lsn = None;
    for (at, row) in moments.iter().enumerate() {
        let time: f64 = text(row, 4).and_then(|at| at.parse().ok()).unwrap_or(0.0);
        let lsn: u64 = text(row, 5).and_then(|at| at.parse().ok()).unwrap_or(0);
        first_lsn = first_lsn.or(Some(lsn));
        let Some(name) = text(row, 2) else {
            // The present, which ends what failed.
            if failed {
                let mut seen = Seen { milliseconds: 0.0, ..Seen::default() };
                add_beside(&mut seen, beside, (last.0, time), &known, &known.clone());
                steps.push(Step { kind: String::new(), name: String::new(), seen });
            }
            last = (time, lsn);
            continue;
        };
        if text(row, 3).as_deref() != Some("t") {
            started = started.or(Some((time, lsn)));
            continue;
        }
        let kind = text(row, 1).unwrap_or_default();
        // The row of a step may be written more than once in its transaction; and once more when it is done.
        let again = moments
            .get(at + 1)
            .is_some_and(|next| text(next, 2).as_ref() == Some(&name) && text(next, 1) == Some(kind.clone()));
        if again {
            continue;
        }
        let before = known.clone();
        let id: i64 = text(row, 0).and_then(|id| id.parse().ok()).unwrap_or(0);
        let (begun, begun_lsn) = started.take().unwrap_or(last);
        let mut seen = Seen {
            milliseconds: (time - begun).max(0.0) * 1000.0,
            wal_bytes: lsn.saturating_sub(begun_lsn),
            ..Seen::default()
        };
        for row in looks.get(&id).into_iter().flatten() {
            add_table(&mut seen, row, &mut known, (begun, time), beside);
        }
        add_beside(&mut seen, beside, (begun, time), &before, &known);
        seen.sort();
        steps.push(Step { kind, name, seen });
        last = (time, lsn);
    }
    Ok((steps, last.1.saturating_sub(first_lsn.unwrap_or(last.1))))
}

fn table(row: &[Option<String>]) -> Table {
    let text = |at: usize| row.get(at).cloned().flatten().unwrap_or_default();
    Table { name: text(2), filenode: text(3), bytes: text(4).parse().unwrap_or(0) }
}

/// What the step's own transaction says of a table.
fn add_table(
    seen: &mut Seen,
    row: &[Option<String>],
    known: &mut BTreeMap<String, Table>,
    window: (f64, f64),
    beside: &Beside,
) {
    let text = |at: usize| row.get(at).cloned().flatten();
    let oid = text(1).unwrap_or_default();
    let (now, gone) = (table(row), text(2).is_none());
    let before = if gone { known.remove(&oid) } else { known.insert(oid.clone(), now.clone()) };
    let name = before.as_ref().filter(|_| gone).map_or(now.name.clone(), |before| before.name.clone());
    let counts = [6, 7, 8].map(|at| text(at).and_then(|n| n.parse::<u64>().ok()).unwrap_or(0));
    if counts.iter().any(|n| *n > 0) {
        let [inserted, updated, deleted] = counts;
        seen.rows.push(Rows { table: name.clone(), inserted, updated, deleted });
    }
    if now.bytes != before.as_ref().map_or(0, |before| before.bytes) {
        let before = before.as_ref().map(|before| before.bytes);
        seen.growth.push(Growth { table: name.clone(), before, after: (!gone).then_some(now.bytes) });
    }
    // What was made in this very run locks nobody out.
    let Some(before) = before else { return };
    if !gone && before.filenode != now.filenode {
        seen.rewritten.push(Rewritten { table: name.clone(), bytes: now.bytes });
    }
    for mode in
        text(5).unwrap_or_default().split(',').filter(|mode| !matches!(*mode, "" | "AccessShareLock" | "RowShareLock"))
    {
        let since = beside
            .iter()
            .filter(|(relation, held, _, last)| *relation == oid && held == mode && *last >= window.0)
            .map(|(_, _, first, _)| first.max(window.0))
            .fold(None, |least: Option<f64>, first| Some(least.map_or(first, |least| least.min(first))));
        let held = since.map_or(0.0, |since| (window.1 - since).max(0.0) * 1000.0);
        seen.locks.push(Lock::new(&name, mode, held, before.bytes));
    }
}

/// Locks of a time that no transaction told of at its end: of statements that committed by themselves, or failed.
fn add_beside(
    seen: &mut Seen,
    beside: &Beside,
    window: (f64, f64),
    before: &BTreeMap<String, Table>,
    now: &BTreeMap<String, Table>,
) {
    for (oid, mode, first, last) in beside.iter().filter(|(_, _, first, last)| *last >= window.0 && *first <= window.1)
    {
        let Some(table) = before.get(oid).or_else(|| now.get(oid)).filter(|_| before.contains_key(oid)) else {
            continue;
        };
        let held = (last.min(window.1) - first.max(window.0)).max(0.0) * 1000.0;
        let lock = Lock::new(&table.name, mode, held, table.bytes);
        if !seen.locks.iter().any(|known| known.table == lock.table && known.mode == lock.mode) {
            seen.locks.push(lock);
        }
    }
}
