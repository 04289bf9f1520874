//! Runs what must not be told: the body of a secure migration. Its text and values stay out of messages, of the version
//! table, and of the server's log where the role may say so.

use super::Event;
use super::failure::{UnitFailure, describe, lost, title};
use super::give::Stop;
use super::message::{BEFORE, Envelope, Unit};
use super::ran::Ran;
use super::worker::Worker;
use crate::engine::history;
use crate::engine::session::ServerError;
use crate::error::{Error, Result};
use crate::model::migration::Migration;

/// What would write statements, their values or the errors about them to the server's log or to its statistics.
const SILENCE: [(&str, &str); 8] = [
    ("log_statement", "none"),
    ("log_min_error_statement", "panic"),
    ("log_min_messages", "panic"),
    ("log_min_duration_statement", "-1"),
    ("log_min_duration_sample", "-1"),
    ("auto_explain.log_min_duration", "-1"),
    ("pg_stat_statements.track", "none"),
    ("track_activities", "off"),
];

/// A DEFERRED constraint fails at COMMIT, which a trial never reaches.
const CHECK_DEFERRED: &str = "SET CONSTRAINTS ALL IMMEDIATE";

impl Worker<'_> {
    /// Applies a secure migration by its body, in one transaction with its row.
    ///
    /// # Errors
    /// It failed and was rolled back. The error holds PostgreSQL's message without what it quotes, and the line.
    pub(super) async fn migrate_discreetly(&mut self, migration: &Migration) -> Result<Ran> {
        let opening = self.opening(migration, true);
        let unit = Unit::new(&migration.up, opening, history::finish_migration(&migration.version, None))?;
        for attempt in 1.. {
            self.silence(migration).await?;
            let outcome = match self.has_kept(migration) {
                true => match self.try_giving(&unit, migration, &self.quiet(), &[]).await {
                    Err(Stop::Giving(error)) => {
                        self.clean().await?;
                        return Err(self.not_given(&cloaked(&error), migration));
                    }
                    Err(Stop::Script(failure)) => Err(failure),
                    Ok(()) => Ok(()),
                },
                false => self.send_unit(&unit).await,
            };
            let Err(failure) = outcome else { break };
            if failure.error.gone {
                return Err(lost(&cloaked(&failure.error)));
            }
            self.clean().await?;
            if !self.waits_to_retry(attempt, &failure).await {
                let failure = UnitFailure { error: Box::new(cloaked(&failure.error)), ..failure };
                return Err(self.failed(&unit, failure, &title(migration)));
            }
        }
        self.execute(&self.envelope().reset).await?;
        Ok(Ran::Transaction)
    }

    /// Runs a migration inside the transaction that is open, without a row, and tries what would fail at its end. The
    /// inner error is the server's answer; that to the body of a secure migration does not show what it quotes.
    ///
    /// # Errors
    /// The connection is gone.
    pub async fn run_inside_discreetly(&self, migration: &Migration) -> Result<std::result::Result<(), Error>> {
        let unit = Unit { body: migration.up.body()?, ..Unit::plain(&migration.up)? };
        let outcome = match self.run_statements(&unit).await {
            Ok(()) => self.send(CHECK_DEFERRED).await.map(|_| ()),
            failed => failed,
        };
        let Err(failure) = outcome else { return Ok(Ok(())) };
        if failure.error.gone {
            return Err(lost(&cloaked(&failure.error)));
        }
        let told = if migration.body.is_some() { cloaked(&failure.error) } else { *failure.error };
        let place = unit.place_of_statement(failure.completed);
        Ok(Err(describe(&told, &title(migration), place, unit.ordinal(failure.completed))))
    }

    /// An envelope that resets nothing.
    fn quiet(&self) -> Envelope {
        Envelope { lock_timeout: self.envelope().lock_timeout, reset: "SELECT 1".to_owned(), reset_statements: 1 }
    }

    /// Sends a unit whose end resets nothing: what keeps it out of the log is to count until the very last of it.
    async fn send_unit(&self, unit: &Unit<'_>) -> std::result::Result<(), UnitFailure> {
        let quiet = self.quiet();
        if !unit.body.copy_blocks {
            return self.send(&unit.message(&quiet)).await.map(|_| ());
        }
        let at = |failure: UnitFailure, done: usize| UnitFailure {
            completed: failure.completed + done,
            position: None,
            ..failure
        };
        self.send(&unit.head(&quiet)).await?;
        self.run_statements(unit).await.map_err(|failure| at(failure, BEFORE))?;
        let before = BEFORE + unit.body.statements.len();
        self.send(&unit.tail(&quiet)).await.map_err(|failure| at(failure, before)).map(|_| ())
    }

    /// Sets, in messages before the body's, what keeps it out of the log; says what this role may not set.
    async fn silence(&self, migration: &Migration) -> Result<()> {
        let names: Vec<String> = SILENCE.iter().map(|(name, value)| format!("('{name}', '{value}')")).collect();
        let may = match self.session().server_version() {
            15.. => "pg_catalog.has_parameter_privilege(s.name, 'SET')",
            _ => "pg_catalog.current_setting('is_superuser') = 'on'",
        };
        let of = format!(
            "FROM (VALUES {}) v (name, value) JOIN pg_catalog.pg_settings s ON s.name = v.name \
             WHERE s.setting <> v.value AND ",
            names.join(", ")
        );
        let refused = format!("SELECT v.name {of} NOT (s.context = 'user' OR {may}) ORDER BY 1");
        let rows = self.session().query_rows(&refused).await?;
        let refused: Vec<String> = rows.into_iter().flatten().flatten().collect();
        if !refused.is_empty() {
            self.tell(Event::Note(format!(
                "the server's log or statistics may show the body of {}: this role may not set {}",
                migration.label(),
                refused.join(", ")
            )));
        }
        let set = format!("SELECT pg_catalog.set_config(v.name, v.value, false) {of} (s.context = 'user' OR {may})");
        self.execute(&set).await
    }
}

/// An error without what it says of values and text: no DETAIL, HINT or CONTEXT, and nothing that the message quotes.
/// A message that the script itself raised, or a function that it called, is left out as a whole.
fn cloaked(error: &ServerError) -> ServerError {
    let raised = !error.gone && error.raised;
    ServerError {
        severity: error.severity.clone(),
        sqlstate: error.sqlstate.clone(),
        message: if raised {
            "it raised an error by itself, which is not shown".to_owned()
        } else {
            unquoted(&error.message)
        },
        position: error.position,
        completed: error.completed,
        gone: error.gone,
        ..ServerError::default()
    }
}

/// From the first quotation mark to the last.
fn unquoted(message: &str) -> String {
    let marks = ['"', '\'', '«', '»', '„', '“', '”', '‘', '’'];
    match (message.find(marks), message.rfind(marks)) {
        (Some(first), Some(last)) => {
            let after = message.get(last..).map(|rest| rest.chars().skip(1).collect::<String>()).unwrap_or_default();
            let tail = if first == last { String::new() } else { after };
            format!("{}\"…\"{tail}", message.get(..first).unwrap_or_default())
        }
        _ => message.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_message_quotes_is_left_out() {
        for (message, expected) in [
            ("division by zero", "division by zero"),
            ("syntax error at or near \"s3cret\"", "syntax error at or near \"…\""),
            ("unterminated quoted string at or near \"'s3 \"cret\"", "unterminated quoted string at or near \"…\""),
            ("column \"a\" of relation \"t\" does not exist", "column \"…\" does not exist"),
            ("invalid value 's3cret", "invalid value \"…\""),
        ] {
            assert_eq!(unquoted(message), expected);
        }
        let error = ServerError {
            message: "duplicate key value violates unique constraint \"t_pkey\"".into(),
            detail: Some("Key (id)=(s3cret) already exists.".into()),
            sqlstate: Some("23505".into()),
            ..ServerError::default()
        };
        let told = cloaked(&error);
        assert_eq!(
            (told.cause().as_str(), told.details().as_str()),
            ("duplicate key value violates unique constraint \"…\" (23505)", "")
        );
        assert!(!cloaked(&ServerError { message: "s3cret".into(), raised: true, ..error }).message.contains("s3cret"));
    }
}
