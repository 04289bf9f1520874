//! How long the statements of transactional migrations took.
//!
//! The clock is asked between statements of the same message, around those alone that may take long. What it says is
//! kept in memory and written at the end of the run: it is told, and nothing depends on it.

use super::message::{BEFORE, Unit};
use super::worker::Worker;
use crate::engine::history;
use crate::error::Result;
use crate::model::checksum::Checksum;
use crate::model::version::Version;
use tokio_postgres::SimpleQueryMessage;

/// Asks the clock.
pub(super) const MARK: &str = "SELECT EXTRACT(epoch FROM pg_catalog.clock_timestamp());";

/// What took less is not kept.
const LEAST: f64 = 0.001;

/// One statement that ran.
#[derive(Debug, Clone)]
pub(super) struct Timing {
    version: Version,
    ordinal: usize,
    line: usize,
    checksum: Checksum,
    began: f64,
    seconds: f64,
    rows: u64,
}

/// Takes the answers of units that travelled in one message apart, as many as were completed.
pub(super) fn read<'u>(
    units: impl IntoIterator<Item = (&'u Version, &'u Unit<'u>)>,
    messages: &[SimpleQueryMessage],
    reset_statements: usize,
) -> Vec<Timing> {
    let mut timings = Vec::new();
    let mut answers = Answers { messages: messages.iter() };
    for (version, unit) in units {
        for _ in 0..BEFORE {
            answers.next();
        }
        let (mut rows, mut marks) = (Vec::new(), std::collections::BTreeMap::new());
        for n in 0..=unit.body.statements.len() {
            if unit.is_marked(n) {
                marks.insert(n, answers.next().0);
            }
            if n < unit.body.statements.len() {
                rows.push(answers.next().1);
            }
        }
        for _ in 0..4 + reset_statements {
            answers.next();
        }
        for (n, rows) in rows.into_iter().enumerate() {
            let (Some(Some(began)), Some(Some(ended))) = (marks.get(&n), marks.get(&(n + 1))) else { continue };
            let Some(statement) = unit.body.statements.get(n).filter(|_| ended - began >= LEAST) else { continue };
            timings.push(Timing {
                version: version.clone(),
                ordinal: n + 1,
                line: unit.place_of_statement(n).line,
                checksum: Checksum::of_text(unit.script.source_of(statement.range.clone())),
                began: *began,
                seconds: ended - began,
                rows,
            });
        }
    }
    timings
}

struct Answers<'m> {
    messages: std::slice::Iter<'m, SimpleQueryMessage>,
}

impl Answers<'_> {
    /// The next statement's first value as a number, and its rows.
    fn next(&mut self) -> (Option<f64>, u64) {
        let mut value = None;
        for message in self.messages.by_ref() {
            match message {
                SimpleQueryMessage::Row(row) if value.is_none() && row.len() == 1 => {
                    value = row.get(0).and_then(|text| text.parse().ok());
                }
                SimpleQueryMessage::CommandComplete(rows) => return (value, *rows),
                _ => {}
            }
        }
        (None, 0)
    }
}

impl Worker<'_> {
    /// Writes what was kept, of migrations that are committed.
    ///
    /// # Errors
    /// The server said no.
    pub(super) async fn write_timings(&mut self) -> Result<()> {
        let timings = self.take_timings();
        if timings.is_empty() {
            return Ok(());
        }
        let values: Vec<String> = timings
            .iter()
            .map(|t| {
                let (version, ordinal, sum) = (&t.version, t.ordinal, &t.checksum);
                format!(
                    "('{version}', {ordinal}, '{sum}', pg_catalog.to_timestamp({}), {} * interval '1 second', {}, {}::bigint)",
                    t.began, t.seconds, t.line, t.rows
                )
            })
            .collect();
        // Nobody need wait until the disk has it.
        let insert = history::insert_timings(&values.join(", "));
        self.execute(&format!("BEGIN; SET LOCAL synchronous_commit = off; {insert}; COMMIT")).await
    }
}
