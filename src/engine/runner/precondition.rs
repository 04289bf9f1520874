//! Asks a migration's preconditions, right before it runs, in a read-only transaction that is rolled back.

use super::failure::{describe, lost, title};
use super::message::Unit;
use super::worker::Worker;
use crate::engine::history;
use crate::error::{Error, Location, Result};
use crate::model::directive::{OnFail, Precondition};
use crate::model::migration::Migration;
use tokio_postgres::SimpleQueryMessage;

/// A precondition that does not hold.
#[derive(Debug, Clone)]
pub struct Unmet {
    /// What the file says to do.
    pub on_fail: OnFail,
    /// The line of the directive.
    pub location: Location,
    /// "expected `0`, found `1`".
    pub why: String,
}

impl Unmet {
    /// The error where the run stops.
    pub(super) fn halt(&self, migration: &Migration) -> Error {
        Error::failed(format!("{} was halted by its precondition", title(migration)))
            .at(self.location.clone())
            .cause(&self.why)
            .help("nothing of it was run. Bring the database to what the file expects, then run the command again.")
    }

    /// For a report: "its precondition in line 3: expected `0`, found `1`".
    pub fn describe(&self) -> String {
        format!("its precondition in line {}: {}", self.location.line, self.why)
    }
}

impl Worker<'_> {
    /// Asks in the order written; the first precondition that does not hold.
    ///
    /// # Errors
    /// A query fails, or gives no single value.
    pub async fn ask(&self, migration: &Migration) -> Result<Option<Unmet>> {
        for precondition in &migration.settings.preconditions {
            let found = self.value_of(migration, precondition).await?;
            if !precondition.holds(found.as_deref()) {
                let shown = found.map_or_else(|| "NULL".to_owned(), |value| format!("`{value}`"));
                return Ok(Some(Unmet {
                    on_fail: precondition.on_fail,
                    location: Location::new(migration.path.clone(), precondition.line, 0),
                    why: format!("expected `{}`, found {shown}", precondition.expect),
                }));
            }
        }
        Ok(None)
    }

    async fn value_of(&self, migration: &Migration, precondition: &Precondition) -> Result<Option<String>> {
        let unit = Unit::plain(&precondition.query)?;
        let head = format!("BEGIN READ ONLY; SET LOCAL lock_timeout = {};\n", self.envelope().lock_timeout);
        let outcome = self.send(&format!("{head}{}\n;ROLLBACK", unit.body.text)).await;
        let messages = match outcome {
            Ok(messages) => messages,
            Err(failure) if failure.error.gone => return Err(lost(&failure.error)),
            Err(failure) => {
                self.clean().await?;
                let inside = failure.position.and_then(|at| at.checked_sub(head.chars().count() + 1));
                let byte = inside.and_then(|at| unit.body.text.char_indices().nth(at)).map(|(byte, _)| byte);
                let place = byte.map_or_else(|| unit.place_of_statement(0), |byte| precondition.query.location(byte));
                let what = format!("a precondition of {}", title(migration));
                return Err(describe(&failure.error, &what, place, None).help("nothing of the migration was run."));
            }
        };
        self.execute(&self.envelope().reset).await?;
        let rows: Vec<_> = messages
            .iter()
            .filter_map(|message| match message {
                SimpleQueryMessage::Row(row) => Some(row),
                _ => None,
            })
            .collect();
        match rows.as_slice() {
            [row] if row.len() == 1 => Ok(row.get(0).map(str::to_owned)),
            rows => {
                let columns = rows.first().map_or(0, |row| row.len());
                Err(Error::failed(format!("a precondition of {} gives no single value", title(migration)))
                    .at(unit.place_of_statement(0))
                    .cause(format!("it gave {} row(s) of {columns} column(s)", rows.len()))
                    .help("nothing of the migration was run. Write a query of one row and one column, like SELECT count(*)."))
            }
        }
    }

    /// Records a migration as applied without running it.
    pub(super) async fn mark(&self, migration: &Migration) -> Result<()> {
        self.execute(&history::mark_migration(migration, self.author())).await
    }
}
