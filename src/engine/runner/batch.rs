//! A statement that is repeated, each time in a transaction of its own, until it touches no row.
//!
//! How far it came is committed with each batch, so that a killed run goes on where it stood. A statement whose condition
//! stays true for the rows that it changed would never end: it may not touch more rows than twice what its tables hold.

use super::Event;
use super::failure::UnitFailure;
use super::worker::{AS_SELF, Worker};
use crate::engine::lock;
use crate::error::Error;
use crate::model::directive::Batch;
use crate::model::sql::{self, identifier, literal};
use std::collections::BTreeSet;
use tokio_postgres::SimpleQueryMessage;

/// What a statement touches more often than its tables have rows, it touches again.
const TIMES: u64 = 2;
/// Batches of an INSERT that reads no other table.
const WITHOUT_TABLES: u64 = 1000;

/// Why a batch did not come to its end.
pub(super) enum Stop {
    /// The server said no.
    Failed(UnitFailure),
    /// It would not end, or the lock is lost.
    Refused(Error),
}

impl From<UnitFailure> for Stop {
    fn from(failure: UnitFailure) -> Stop {
        Stop::Failed(failure)
    }
}

/// A statement to repeat.
pub(super) struct Repeated<'b> {
    /// The statement, with `:size` in it.
    pub text: &'b str,
    /// How it is repeated.
    pub batch: &'b Batch,
    /// Where it stands, for progress: "db/migrations/1_a.sql:7".
    pub place: String,
}

impl Worker<'_> {
    /// Repeats a statement. `record` makes the statement that keeps how many rows were touched so far. Returns all rows.
    pub(super) async fn repeat(
        &self,
        repeated: &Repeated<'_>,
        so_far: u64,
        record: &(dyn Fn(u64) -> String + Sync),
    ) -> Result<u64, Stop> {
        let sql = sql::with_parameter(repeated.text, "size", repeated.batch.size);
        let mut rows = so_far;
        let mut allowed = repeated.batch.most.unwrap_or(0);
        for batches in 1_u64.. {
            if self.is_lock_lost() {
                return Err(Stop::Refused(lock::lost()));
            }
            let touched = self.one_batch(&sql, rows, record).await?;
            if touched == 0 {
                break;
            }
            rows += touched;
            self.tell(Event::Progress(format!("{}: {rows} rows in {batches} batches", repeated.place)));
            if rows > allowed {
                if repeated.batch.most.is_none() {
                    let more = self.measure(&sql, repeated.batch.size, false).await?;
                    allowed = allowed.max(if rows <= more {
                        more
                    } else {
                        self.measure(&sql, repeated.batch.size, true).await?
                    });
                }
                if rows > allowed {
                    return Err(Stop::Refused(endless(repeated, rows)));
                }
            }
            if !repeated.batch.pause.is_zero() {
                tokio::time::sleep(repeated.batch.pause).await;
            }
        }
        Ok(rows)
    }

    /// One batch with its record, tried again where a lock refused it; the rows that it touched.
    async fn one_batch(
        &self,
        sql: &str,
        before: u64,
        record: &(dyn Fn(u64) -> String + Sync),
    ) -> Result<u64, UnitFailure> {
        for attempt in 1.. {
            let outcome = async {
                let messages = self.send(&format!("BEGIN;\n{sql}")).await?;
                let touched = messages.iter().rev().find_map(|message| match message {
                    SimpleQueryMessage::CommandComplete(rows) => Some(*rows),
                    _ => None,
                });
                let touched = touched.unwrap_or(0);
                let keep = record(before + touched);
                let keep = if keep.is_empty() { String::new() } else { format!("{AS_SELF}; {keep};") };
                self.send(&format!("{keep} COMMIT")).await?;
                Ok(touched)
            };
            match outcome.await {
                Ok(touched) => return Ok(touched),
                Err(failure) => {
                    let failure: UnitFailure = failure;
                    if failure.error.gone {
                        return Err(failure);
                    }
                    self.roll_back().await;
                    if !self.waits_to_retry(attempt, &failure).await {
                        let completed = failure.completed.saturating_sub(1);
                        let position = failure.position.and_then(|at| at.checked_sub("BEGIN;\n".len()));
                        return Err(UnitFailure { completed, position, ..failure });
                    }
                }
            }
        }
        Ok(0)
    }

    /// How many rows a statement may touch: of what its tables hold, as statistics have it or as they are counted.
    async fn measure(&self, sql: &str, size: u64, exactly: bool) -> Result<u64, UnitFailure> {
        let session = self.session();
        let plan = match session.query_rows(&format!("EXPLAIN (VERBOSE, FORMAT JSON) {sql}")).await {
            Ok(rows) => rows.into_iter().flatten().flatten().collect::<String>(),
            Err(_) => return Ok(u64::MAX),
        };
        let plan: serde_json::Value = serde_json::from_str(&plan).unwrap_or_default();
        let root = &plan[0]["Plan"];
        let mut tables = BTreeSet::new();
        collect(root, &mut tables);
        match root["Operation"].as_str() {
            // What is deleted is not there a second time.
            Some("Delete") => return Ok(u64::MAX),
            // An INSERT makes its own table grow.
            Some("Insert") => {
                if let Some(target) = relation(root) {
                    tables.remove(&target);
                }
                if tables.is_empty() {
                    return Ok(size.saturating_mul(WITHOUT_TABLES));
                }
            }
            _ => {}
        }
        let mut total = 0_u64;
        for table in tables {
            let count = match exactly {
                true => format!("SELECT pg_catalog.count(*) FROM {table}"),
                false => format!(
                    "SELECT GREATEST(reltuples, 0)::bigint FROM pg_catalog.pg_class WHERE oid = {}::pg_catalog.regclass",
                    literal(&table)
                ),
            };
            let Ok(rows) = session.query_rows(&count).await else { return Ok(u64::MAX) };
            let rows = rows.into_iter().flatten().flatten().next().and_then(|n| n.parse::<u64>().ok());
            total = total.saturating_add(rows.unwrap_or(0));
        }
        Ok(total.saturating_mul(TIMES))
    }

    async fn roll_back(&self) {
        // A connection that is gone says so at the next statement.
        let _ = self.execute("ROLLBACK").await;
    }
}

/// Every table that a plan reads or writes.
fn collect(node: &serde_json::Value, tables: &mut BTreeSet<String>) {
    tables.extend(relation(node));
    for inner in
        node["Plans"].as_array().into_iter().flatten().chain(node["Target Tables"].as_array().into_iter().flatten())
    {
        collect(inner, tables);
    }
}

fn relation(node: &serde_json::Value) -> Option<String> {
    let quoted = |key: &str| node[key].as_str().map(identifier);
    Some(format!("{}.{}", quoted("Schema")?, quoted("Relation Name")?))
}

fn endless(repeated: &Repeated<'_>, rows: u64) -> Error {
    let measure = match repeated.batch.most {
        Some(most) => format!("its directive allows {most}"),
        None => "that is more than its tables hold, twice over".to_owned(),
    };
    Error::failed(format!("a batch does not come to an end: it touched {rows} rows, and {measure}"))
        .cause("a row that was done must not be found again by the statement's condition")
}
