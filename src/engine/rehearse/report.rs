//! What a rehearsal found, as people and JSON see it.

use crate::error::Error;
use serde::Serialize;

/// A lock that a step took on a table that was there.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Lock {
    /// The table.
    pub table: String,
    /// As PostgreSQL's manual names it.
    pub mode: &'static str,
    /// What others cannot do meanwhile: `reads and writes`, `writes`, or nothing.
    pub blocks: Option<&'static str>,
    /// How long it was held, to within some milliseconds.
    pub held_ms: f64,
    /// The size of the table with its indexes before.
    pub bytes: u64,
}

impl Lock {
    /// Reads the name that `pg_locks` has for it.
    pub(super) fn new(table: &str, mode: &str, held_ms: f64, bytes: u64) -> Lock {
        let (mode, blocks) = match mode {
            "AccessExclusiveLock" => ("ACCESS EXCLUSIVE", Some("reads and writes")),
            "ExclusiveLock" => ("EXCLUSIVE", Some("writes")),
            "ShareRowExclusiveLock" => ("SHARE ROW EXCLUSIVE", Some("writes")),
            "ShareLock" => ("SHARE", Some("writes")),
            "ShareUpdateExclusiveLock" => ("SHARE UPDATE EXCLUSIVE", None),
            _ => ("ROW EXCLUSIVE", None),
        };
        Lock { table: table.to_owned(), mode, blocks, held_ms: tenths(held_ms), bytes }
    }
}

/// A table that got new storage: it was rewritten, or emptied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Rewritten {
    /// The table.
    pub table: String,
    /// Its size afterwards, with indexes.
    pub bytes: u64,
}

/// A table that became larger or smaller, with indexes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Growth {
    /// The table.
    pub table: String,
    /// None where it was not there.
    pub before: Option<u64>,
    /// None where it is gone.
    pub after: Option<u64>,
}

/// Rows that a step touched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Rows {
    /// The table.
    pub table: String,
    /// Rows inserted.
    pub inserted: u64,
    /// Rows updated.
    pub updated: u64,
    /// Rows deleted.
    pub deleted: u64,
}

/// What was seen of a step.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Seen {
    /// From its first statement to its commit.
    pub milliseconds: f64,
    /// What went to the write-ahead log meanwhile.
    pub wal_bytes: u64,
    /// Locks, the strongest first.
    pub locks: Vec<Lock>,
    /// Tables with new storage.
    pub rewritten: Vec<Rewritten>,
    /// Tables that grew or shrank.
    pub growth: Vec<Growth>,
    /// Rows touched; not known of what runs statement by statement.
    pub rows: Vec<Rows>,
}

impl Seen {
    pub(super) fn sort(&mut self) {
        self.milliseconds = tenths(self.milliseconds);
        let weight = |lock: &Lock| (lock.blocks.map(str::len), lock.mode.len());
        self.locks.sort_by(|a, b| weight(b).cmp(&weight(a)).then_with(|| a.table.cmp(&b.table)));
        self.rewritten.sort_by(|a, b| a.table.cmp(&b.table));
        self.growth.sort_by(|a, b| a.table.cmp(&b.table));
        self.rows.sort_by(|a, b| a.table.cmp(&b.table));
    }
}

/// A step that ran, or failed.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Step {
    /// `migration`, `repeatable` or `init`.
    pub kind: String,
    /// The file.
    pub path: String,
    /// In which way it ran, where that is worth saying.
    pub how: Option<String>,
    /// Whether it failed.
    pub failed: bool,
    /// What was seen of it.
    #[serde(flatten)]
    pub seen: Seen,
}

/// A check that was asked of the outcome.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Check {
    /// The file.
    pub path: String,
    /// How long it took.
    pub milliseconds: f64,
    /// What it found, if it failed.
    pub failed: Option<String>,
}

/// How the copy was made.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Copy {
    /// `dump` or `physical`.
    pub kind: &'static str,
    /// The size of the source.
    pub bytes: u64,
    /// How long it took.
    pub milliseconds: f64,
}

/// The whole.
#[derive(Debug, Default)]
pub struct Report {
    /// The environment.
    pub environment: String,
    /// What was copied, without a password.
    pub source: String,
    /// None where nothing was pending, and so nothing was copied.
    pub copy: Option<Copy>,
    /// What ran, in order.
    pub steps: Vec<Step>,
    /// The checks.
    pub checks: Vec<Check>,
    /// From the first step to the last.
    pub milliseconds: f64,
    /// The database before and after.
    pub bytes: (u64, u64),
    /// What went to the write-ahead log.
    pub wal_bytes: u64,
    /// What a person should know.
    pub notes: Vec<String>,
    /// What failed: a step, then checks.
    pub faults: Vec<Error>,
}

impl Report {
    /// The stable form.
    pub fn json(&self) -> serde_json::Value {
        serde_json::json!({
            "environment": self.environment,
            "source": self.source,
            "copy": self.copy,
            "steps": self.steps,
            "checks": self.checks,
            "total": {
                "milliseconds": self.milliseconds,
                "bytes_before": self.bytes.0,
                "bytes_after": self.bytes.1,
                "wal_bytes": self.wal_bytes,
            },
            "failures": self.faults.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "notes": self.notes,
        })
    }
}

/// A tenth of a millisecond is as much as can be told.
pub(super) fn tenths(milliseconds: f64) -> f64 {
    (milliseconds * 10.0).round() / 10.0
}
