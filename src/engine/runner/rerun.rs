//! Runs a script once more, for the proof that it then changes nothing: no row, no journal, no retries.

use super::batch::{Repeated, Stop};
use super::failure::{describe, lost};
use super::message::Unit;
use super::worker::Worker;
use crate::error::{Error, Result};
use crate::model::script::{Body, Script};
use tokio_postgres::SimpleQueryMessage;

impl Worker<'_> {
    /// Runs a script inside the transaction that is open, without a row of its own. The inner error is the server's.
    ///
    /// # Errors
    /// The connection is gone.
    pub async fn run_inside(&self, script: &Script, body: &Body<'_>) -> Result<std::result::Result<(), Error>> {
        let unit = Unit { body: body.clone(), ..Unit::plain(script)? };
        match self.run_statements(&unit).await {
            Ok(()) => Ok(Ok(())),
            Err(failure) if failure.error.gone => Err(lost(&failure.error)),
            Err(failure) => {
                let place = unit.place_of_statement(failure.completed);
                Ok(Err(describe(&failure.error, "the second run", place, unit.ordinal(failure.completed))))
            }
        }
    }

    /// Leaves nothing of a script in the session, inside the transaction that is open.
    ///
    /// # Errors
    /// The connection is gone.
    pub async fn reset(&self) -> Result<()> {
        self.execute(&self.envelope().reset).await
    }

    /// Begins a transaction, runs a script in it and asks `question` there; the transaction stays open. The inner error is
    /// the server's answer to the script.
    ///
    /// # Errors
    /// The connection is gone.
    pub async fn ask_after(
        &self,
        script: &Script,
        question: &str,
    ) -> Result<std::result::Result<Option<String>, Error>> {
        let body = script.body()?;
        let last = |messages: &[SimpleQueryMessage]| {
            messages.iter().rev().find_map(|message| match message {
                SimpleQueryMessage::Row(row) => Some(row.get(0).map(str::to_owned)),
                _ => None,
            })
        };
        if body.copy_blocks {
            self.session().simple("BEGIN").await?;
            if let Err(answer) = self.run_inside(script, &body).await? {
                return Ok(Err(answer));
            }
            return Ok(Ok(last(&self.session().simple(question).await?).flatten()));
        }
        match self.send(&format!("BEGIN;\n{}\n;\n{question}", body.text)).await {
            Ok(messages) => Ok(Ok(last(&messages).flatten())),
            Err(failure) if failure.error.gone => Err(lost(&failure.error)),
            Err(failure) => {
                let unit = Unit { body, ..Unit::plain(script)? };
                let n = failure.completed.saturating_sub(1);
                Ok(Err(describe(&failure.error, "the second run", unit.place_of_statement(n), unit.ordinal(n))))
            }
        }
    }

    /// Rolls back and leaves nothing of a script in the session.
    ///
    /// # Errors
    /// The connection is gone.
    pub async fn clean_up(&self) -> Result<()> {
        self.clean().await
    }

    /// Runs the statements of a non-transactional script one by one, without journal. The inner error is the server's.
    ///
    /// # Errors
    /// The connection is gone.
    pub async fn run_one_by_one(&self, script: &Script) -> Result<std::result::Result<(), Error>> {
        if script.means.psql.is_some() {
            return self.psql_again(script).await;
        }
        let unit = Unit::plain(script)?;
        let batches = script.batches(&unit.body.statements)?;
        for (n, statement) in unit.body.statements.iter().enumerate() {
            let command = unit.body.text.get(statement.range.clone()).unwrap_or_default();
            let data = statement.copy_data.as_ref().and_then(|data| unit.body.text.get(data.clone()));
            let outcome = match (data, batches.get(&n)) {
                (Some(data), _) => self.send_copy(command, data).await,
                (None, Some(batch)) => {
                    let place = unit.place_of_statement(n);
                    match self
                        .repeat(&Repeated { text: command, batch, place: place.to_string() }, 0, &|_| String::new())
                        .await
                    {
                        Ok(_) => Ok(()),
                        Err(Stop::Failed(failure)) => Err(failure),
                        Err(Stop::Refused(error)) => return Ok(Err(error.at(place))),
                    }
                }
                (None, None) => self.send(command).await.map(|_| ()),
            };
            if let Err(failure) = outcome {
                if failure.error.gone {
                    return Err(lost(&failure.error));
                }
                self.clean().await?;
                return Ok(Err(describe(
                    &failure.error,
                    "the second run",
                    unit.place_of_statement(n),
                    unit.ordinal(n),
                )));
            }
        }
        self.execute(&self.envelope().reset).await?;
        Ok(Ok(()))
    }
}
