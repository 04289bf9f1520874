//! A NOT NULL that an up part gives to a column while the table has rows, which it had not when the migration first ran.
//!
//! The column is added without it, filled out of the attic, and is NOT NULL then. Only where the server refused the up part
//! as it is written, and the attic has values of that column. A migration that is no single transaction, or that psql runs,
//! gives back only after it ran: there a person is told how to do the same by hand.

use super::failure::UnitFailure;
use super::give::versions;
use super::message::Unit;
use super::worker::Worker;
use crate::engine::attic::stored;
use crate::engine::session::ServerError;
use crate::error::Result;
use crate::model::attic::Kind;
use crate::model::migration::Migration;
use crate::model::script::Body;
use crate::model::sql::{self, identifier, qualified};

/// SQLSTATE of a null where none may be.
const NOT_NULL_VIOLATION: &str = "23502";

/// A column that has to be NOT NULL after it is filled.
pub(super) struct Required {
    /// Schema-qualified and quoted, as it is called after the up part.
    table: String,
    column: String,
    /// How the up part failed as it is written.
    completed: usize,
    error: Box<ServerError>,
}

impl Required {
    fn failure(&self) -> UnitFailure {
        UnitFailure { completed: self.completed, position: None, error: self.error.clone() }
    }
}

impl Worker<'_> {
    /// The unit without the NOT NULL that it failed with, where the attic has values for the column. The transaction is
    /// rolled back.
    pub(super) async fn ease<'u>(
        &self,
        unit: &Unit<'u>,
        versions: &[String],
        failure: &UnitFailure,
    ) -> Option<(Unit<'u>, Required)> {
        let error = &failure.error;
        let column = error.column.clone().filter(|_| error.sqlstate.as_deref() == Some(NOT_NULL_VIOLATION))?;
        let statement = unit.body.statements.get(unit.statements_done(failure.completed))?;
        let found = sql::not_null_of_added(unit.body.text.get(statement.range.clone())?, &column)?;
        let found = statement.range.start + found.start..statement.range.start + found.end;
        let mut entries = stored::entries(self.session()).await.ok()?;
        entries.retain(|entry| {
            entry.kind == Kind::Column && versions.contains(&entry.version) && entry.columns.contains(&column)
        });
        // The error names the partition that has the row, or a table that is renamed later in the script.
        let named = |one: &str, other: &Option<String>| other.as_deref() == Some(one);
        let exact =
            entries.iter().find(|entry| named(&entry.schema, &error.schema) && named(&entry.table, &error.table));
        let entry = exact.or(match entries.as_slice() {
            [one] => Some(one),
            _ => None,
        })?;
        let table = qualified(&entry.schema, &entry.table);
        let mut text = unit.body.text.clone().into_owned();
        let blank: String =
            text.get(found.clone())?.bytes().map(|byte| if byte == b'\n' { '\n' } else { ' ' }).collect();
        text.replace_range(found, &blank);
        let eased = Unit {
            script: unit.script,
            body: Body { text: text.into(), ..unit.body.clone() },
            opening: unit.opening.clone(),
            marks: unit.marks.clone(),
            closing: unit.closing.clone(),
        };
        Some((eased, Required { table, column, completed: failure.completed, error: error.clone() }))
    }

    /// Adds to the error of such a migration what a person can do: its values come back after it ran.
    pub(super) async fn advised<T>(&self, outcome: Result<T>, migration: &Migration) -> Result<T> {
        let error = match outcome {
            Err(error) if error.code() == Some(NOT_NULL_VIOLATION) && self.has_kept(migration) => error,
            outcome => return outcome,
        };
        if self.clean().await.is_err() {
            return Err(error);
        }
        let entries = stored::entries(self.session()).await.unwrap_or_default();
        let versions = versions(migration);
        // psql tells the column in the server's own words alone.
        let said = error.causes().first().cloned().unwrap_or_default();
        let named = |name: &str| said.contains(&format!("\"{name}\""));
        let found = entries.iter().filter(|entry| entry.kind == Kind::Column && versions.contains(&entry.version));
        let mut columns = found
            .filter(|entry| named(&entry.table))
            .flat_map(|entry| entry.columns.iter().filter(|column| named(column)).map(move |column| (entry, column)));
        let Some((entry, column)) = columns.next() else { return Err(error) };
        let table = qualified(&entry.schema, &entry.table);
        let column = identifier(column);
        Err(error.help(format!(
            "the attic has the values of {table}.{column} for rows that are there (entry {}), and gives them back after this \
             migration: add the column by hand as the file does, but without NOT NULL (`ALTER TABLE {table} ADD COLUMN {column} …`), \
             run the same command again, and then `ALTER TABLE {table} ALTER COLUMN {column} SET NOT NULL`. A file that \
             adds it by `IF NOT EXISTS` then goes on.",
            entry.id
        )))
    }

    /// Makes columns NOT NULL that are filled now. Where one is not, the failure is that of the up part as it is written.
    pub(super) async fn require(&self, required: &[Required]) -> std::result::Result<(), UnitFailure> {
        for one in required {
            let (table, column) = (&one.table, identifier(&one.column));
            self.send("SAVEPOINT dbbuild_required").await?;
            match self.send(&format!("ALTER TABLE {table} ALTER COLUMN {column} SET NOT NULL")).await {
                Ok(_) => self.send("RELEASE SAVEPOINT dbbuild_required").await.map(drop)?,
                Err(failure) if failure.error.sqlstate.as_deref() == Some(NOT_NULL_VIOLATION) => {
                    self.send("ROLLBACK TO SAVEPOINT dbbuild_required").await?;
                    let count = format!("SELECT pg_catalog.count(*) FROM {table} WHERE {column} IS NULL");
                    let rows = self.session().query_rows(&count).await.unwrap_or_default();
                    let rows = rows.into_iter().flatten().flatten().next();
                    // Where they cannot be counted, the error itself is what tells.
                    let mut failure = one.failure();
                    failure.error.detail = rows
                        .map(|rows| format!("rows of {table} for which the attic has no value of {column}: {rows}"));
                    return Err(failure);
                }
                Err(failure) => return Err(UnitFailure { completed: one.completed, position: None, ..failure }),
            }
        }
        Ok(())
    }
}
