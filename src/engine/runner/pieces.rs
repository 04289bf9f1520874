//! Sending parts of a script: as few messages as COPY data between the statements allows.

use super::failure::UnitFailure;
use super::message::Unit;
use super::worker::Worker;
use tokio_postgres::SimpleQueryMessage;

/// Where a script with text of dbbuild's own around it failed.
pub(in crate::engine) struct Stumble {
    /// What the server said.
    pub failure: UnitFailure,
    /// The script's statements that were done; `None` where dbbuild's own text before the script failed.
    pub statement: Option<usize>,
}

impl Worker<'_> {
    /// Sends a script with text of dbbuild's own before it, of so many statements, and after it. What came back before a
    /// failure is given with it.
    pub(in crate::engine) async fn send_around(
        &self,
        unit: &Unit<'_>,
        (head, statements): (&str, usize),
        tail: &str,
    ) -> (Vec<SimpleQueryMessage>, Option<Stumble>) {
        let own = |failure, statement| Some(Stumble { failure, statement });
        let total = unit.body.statements.len();
        if unit.body.copy_blocks {
            let (mut messages, failure) = self.send_collecting(head).await;
            if let Some(failure) = failure {
                return (messages, own(failure, None));
            }
            if let Err(failure) = self.run_statements(unit).await {
                let done = failure.completed;
                return (messages, own(UnitFailure { position: None, ..failure }, Some(done)));
            }
            let (more, failure) = self.send_collecting(tail).await;
            messages.extend(more);
            return (messages, failure.and_then(|failure| own(UnitFailure { position: None, ..failure }, Some(total))));
        }
        let (messages, failure) = self.send_collecting(&format!("{head};\n{}\n;\n{tail}", unit.body.text)).await;
        let Some(failure) = failure else { return (messages, None) };
        let Some(done) = failure.completed.checked_sub(statements) else { return (messages, own(failure, None)) };
        let position = failure.position.and_then(|at| at.checked_sub(head.chars().count() + 2));
        let within = position.filter(|at| done < total && *at <= unit.body.text.chars().count());
        (messages, own(UnitFailure { position: within, ..failure }, Some(done.min(total))))
    }

    /// Sends a script's statements. A failure counts the statements before it.
    pub(super) async fn run_statements(&self, unit: &Unit<'_>) -> Result<(), UnitFailure> {
        match unit.body.statements.len() {
            0 => Ok(()),
            n => self.send_range(unit, 0, n - 1).await,
        }
    }

    /// Sends statements `first..=last`, with text of dbbuild's own before and after them: one message where there is no
    /// COPY data. Returns the rows of each statement of that one message, dbbuild's own included. A failure counts the script's statements before it; its position counts from the first one's text.
    pub(super) async fn send_between(
        &self,
        unit: &Unit<'_>,
        (first, last): (usize, usize),
        head: &str,
        tail: &str,
    ) -> Result<Vec<u64>, UnitFailure> {
        let statements = unit.body.statements.get(first..=last).unwrap_or_default();
        let (Some(one), Some(end)) = (statements.first(), statements.last()) else { return Ok(Vec::new()) };
        if statements.iter().any(|statement| statement.copy_data.is_some()) {
            self.send(head).await?;
            self.send_range(unit, first, last).await?;
            return self.send(tail).await.map(|_| Vec::new()).map_err(|failure| UnitFailure {
                completed: failure.completed + statements.len(),
                position: None,
                ..failure
            });
        }
        let body = unit.body.text.get(one.range.start..end.range.end).unwrap_or_default();
        let before = head.matches(';').count();
        let rows = |message: &SimpleQueryMessage| match message {
            SimpleQueryMessage::CommandComplete(rows) => Some(*rows),
            _ => None,
        };
        let outcome = self.send(&format!("{head}\n{body}\n;\n{tail}")).await;
        outcome.map(|messages| messages.iter().filter_map(rows).collect()).map_err(|failure| UnitFailure {
            completed: failure.completed.saturating_sub(before),
            position: failure.position.and_then(|p| p.checked_sub(head.chars().count() + 1)),
            ..failure
        })
    }

    /// Sends statements `first..=last` and nothing else.
    pub(in crate::engine) async fn send_range(
        &self,
        unit: &Unit<'_>,
        first: usize,
        last: usize,
    ) -> Result<(), UnitFailure> {
        let at = |done: usize| {
            move |failure: UnitFailure| UnitFailure { completed: failure.completed + done, position: None, ..failure }
        };
        let text = &unit.body.text;
        let statements = unit.body.statements.get(first..=last).unwrap_or_default();
        let (Some(one), Some(end)) = (statements.first(), statements.last()) else { return Ok(()) };
        let (mut from, mut sent) = (one.range.start, 0);
        for (n, statement) in statements.iter().enumerate() {
            let Some(data) = &statement.copy_data else { continue };
            if n > sent {
                self.send(text.get(from..statement.range.start).unwrap_or_default()).await.map_err(at(sent))?;
            }
            let command = text.get(statement.range.clone()).unwrap_or_default();
            self.send_copy(command, text.get(data.clone()).unwrap_or_default()).await.map_err(at(n))?;
            from = end_of_copy(text, data.end);
            sent = n + 1;
        }
        if statements.len() > sent {
            self.send(text.get(from..end.range.end).unwrap_or_default()).await.map_err(at(sent))?;
        }
        Ok(())
    }
}

/// Where the text goes on after COPY data that ends at `data`: behind the line `\.`, if it is there.
fn end_of_copy(text: &str, data: usize) -> usize {
    let rest = text.get(data..).unwrap_or_default();
    match rest.strip_prefix("\\.") {
        Some(after) => data + 2 + after.find('\n').map_or(after.len(), |newline| newline + 1),
        None => data,
    }
}
