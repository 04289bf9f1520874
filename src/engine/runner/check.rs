//! Integrity checks: queries of which every returned row is a failure.

use crate::engine::session::Session;
use crate::error::{Error, Location, Result};
use crate::model::sources::ScriptFile;
use tokio_postgres::SimpleQueryMessage;

/// So many rows of a failing check are shown.
const SHOWN: usize = 5;

/// Begins the message of a check.
const OPENING: &str = "BEGIN READ ONLY;\n";

/// A check that returned rows.
#[derive(Debug, Clone)]
pub struct CheckFailure {
    /// All rows that came.
    pub rows: usize,
    /// The first of them as text.
    pub shown: Vec<String>,
}

impl CheckFailure {
    /// For people.
    pub fn into_error(self, file: &ScriptFile) -> Error {
        Error::failed(format!("the check {} found {} row(s)", file.name, self.rows))
            .at(Location::file(&file.path))
            .detail(self.shown.join("\n"))
            .help("migrations before it stay applied; mend the data or the check, then run the command again.")
    }
}

/// Runs a check in a read-only transaction that is rolled back.
///
/// # Errors
/// The query itself fails, or it tries to write.
pub async fn run_check(session: &Session, file: &ScriptFile) -> Result<Option<CheckFailure>> {
    let body = file.script.body()?;
    if let Some((location, word)) = body.transaction_control {
        return Err(Error::failed(format!("{word} in a check")).at(location));
    }
    let outcome = session.simple_raw(&format!("{OPENING}{}\n;ROLLBACK", body.text)).await;
    if outcome.is_err() {
        session.simple("ROLLBACK").await?;
    }
    let messages = outcome.map_err(|fault| {
        let statement = body.statements.get(fault.completed.saturating_sub(1));
        let inside = fault.position.and_then(|position| (position as usize).checked_sub(OPENING.len() + 1));
        let byte = inside.and_then(|at| body.text.char_indices().nth(at)).map(|(byte, _)| byte);
        let place = byte.or(statement.map(|statement| statement.range.start)).unwrap_or(0);
        let error = Error::failed(format!("the check {} cannot be run", file.name)).at(file.script.location(place));
        fault.explain(error).help("migrations before it stay applied; mend the check, then run the command again.")
    })?;
    let mut failure = CheckFailure { rows: 0, shown: Vec::new() };
    for message in &messages {
        if let SimpleQueryMessage::Row(row) = message {
            failure.rows += 1;
            if failure.shown.len() < SHOWN {
                let cells = row.columns().iter().enumerate();
                let cells = cells.map(|(i, column)| format!("{}={}", column.name(), row.get(i).unwrap_or("NULL")));
                failure.shown.push(cells.collect::<Vec<_>>().join("  "));
            }
        }
    }
    Ok((failure.rows > 0).then_some(failure))
}
