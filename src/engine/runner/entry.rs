//! The entries of a journal: the statements of a non-transactional file, those of a BEGIN … COMMIT of its own taken
//! together.

use super::message::Unit;
use crate::error::{Error, Result};
use crate::model::checksum::Checksum;
use crate::model::sql::{NonTransactional, StatementKind};

/// Statements `first..=last` of a file, from 0, that are done together or not at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub first: usize,
    pub last: usize,
    pub shape: Shape,
}

/// How an entry is run and journaled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// Shares a transaction of dbbuild's with its journal row.
    Shared,
    /// The file's own BEGIN … COMMIT: its journal row is written before that COMMIT.
    Group,
    /// The file's own BEGIN … ROLLBACK: it may run any number of times.
    RolledBack,
    /// Must stand alone; its row says "started" before and "done" after.
    Alone,
    /// A batch: each round shares a transaction with its journal row, which says "started" up to the end.
    Batch,
    /// The whole file, which psql runs without a transaction around it.
    Psql,
}

impl Entry {
    /// The number that the journal and people know it by: its first statement, from 1.
    pub fn ordinal(&self) -> usize {
        self.first + 1
    }

    /// Its text, COPY data between its statements included.
    pub fn text<'u>(&self, unit: &'u Unit<'_>) -> &'u str {
        let statements = &unit.body.statements;
        let from = statements.get(self.first).map_or(0, |statement| statement.range.start);
        let end = |statement: &crate::model::sql::Statement| {
            statement.copy_data.as_ref().map_or(statement.range.end, |data| data.end)
        };
        let to = statements.get(self.last).map_or(from, end);
        unit.body.text.get(from..to).unwrap_or_default()
    }

    /// What tells an edited entry from the one that ran.
    pub fn checksum(&self, unit: &Unit<'_>) -> Checksum {
        let text = self.text(unit);
        let from = unit.body.statements.get(self.first).map_or(0, |statement| statement.range.start);
        // As the file has it: the value of a placeholder is never stored.
        Checksum::of_text(unit.script.source_of(from..from + text.len()))
    }

    /// Whether it makes a temporary object, which goes with the session.
    pub fn makes_temporary(&self, unit: &Unit<'_>) -> bool {
        self.shape != Shape::Psql && self.kinds(unit).any(|(_, kind)| *kind == StatementKind::CreateTemp)
    }

    /// Its statements that set something for the session: a resume makes them again.
    pub fn session_settings<'u>(&self, unit: &'u Unit<'_>) -> impl Iterator<Item = usize> + 'u {
        let lasts = !matches!(self.shape, Shape::RolledBack | Shape::Psql);
        let (first, last) = (self.first, self.last);
        (first..=last).filter(move |n| lasts && unit.body.statements.get(*n).is_some_and(|one| sets_session(&one.kind)))
    }

    /// The kind of its only statement, where PostgreSQL refuses that in a transaction.
    pub fn non_transactional<'u>(&self, unit: &'u Unit<'_>) -> Option<&'u NonTransactional> {
        match unit.body.statements.get(self.first).map(|statement| &statement.kind) {
            Some(StatementKind::NonTransactional(kind)) if self.shape == Shape::Alone => Some(kind),
            _ => None,
        }
    }

    fn kinds<'u>(&self, unit: &'u Unit<'_>) -> impl Iterator<Item = (usize, &'u StatementKind)> {
        let statements = unit.body.statements.get(self.first..=self.last).unwrap_or_default();
        statements.iter().map(|statement| &statement.kind).enumerate()
    }
}

fn sets_session(kind: &StatementKind) -> bool {
    match kind {
        StatementKind::SetSession => true,
        StatementKind::NonTransactional(kind) => **kind == NonTransactional::DiscardAll,
        _ => false,
    }
}

/// Takes a file apart.
///
/// # Errors
/// A BEGIN has no COMMIT.
pub(super) fn entries(unit: &Unit<'_>) -> Result<Vec<Entry>> {
    let mut entries = Vec::new();
    if unit.script.means.psql.is_some() {
        let last = unit.body.statements.len().saturating_sub(1);
        return Ok(vec![Entry { first: 0, last, shape: Shape::Psql }]);
    }
    let batches = unit.script.batches(&unit.body.statements)?;
    let mut group: Option<usize> = None;
    for (n, statement) in unit.body.statements.iter().enumerate() {
        match (&statement.kind, group) {
            (StatementKind::Begin, None) => group = Some(n),
            (StatementKind::Commit | StatementKind::Rollback, _) if chains(unit, n) => {
                return Err(Error::failed("AND CHAIN in a file that runs with transaction:false")
                    .at(unit.place_of_statement(n))
                    .help("end the transaction, and begin the next one with BEGIN; nothing of the file was run."));
            }
            (StatementKind::Commit, Some(first)) => {
                entries.push(Entry { first, last: n, shape: Shape::Group });
                group = None;
            }
            (StatementKind::Rollback, Some(first)) => {
                entries.push(Entry { first, last: n, shape: Shape::RolledBack });
                group = None;
            }
            // What became of a prepared transaction, nothing here can tell.
            (StatementKind::PrepareTransaction, Some(first)) => {
                entries.push(Entry { first, last: n, shape: Shape::Alone });
                group = None;
            }
            // As psql has it: COMMIT outside a transaction is a warning.
            (_, Some(_)) | (StatementKind::Commit | StatementKind::Rollback, None) => {}
            (StatementKind::NonTransactional(_), None) => {
                entries.push(Entry { first: n, last: n, shape: Shape::Alone });
            }
            (_, None) if batches.contains_key(&n) => entries.push(Entry { first: n, last: n, shape: Shape::Batch }),
            (_, None) => entries.push(Entry { first: n, last: n, shape: Shape::Shared }),
        }
    }
    match group {
        Some(first) => Err(Error::failed("BEGIN without a COMMIT")
            .at(unit.place_of_statement(first))
            .help("end the transaction that begins here; nothing of the file was run.")),
        None => Ok(entries),
    }
}

/// `COMMIT AND CHAIN`, but not `COMMIT AND NO CHAIN`.
fn chains(unit: &Unit<'_>, n: usize) -> bool {
    let text = unit.body.statements.get(n).and_then(|one| unit.body.text.get(one.range.clone())).unwrap_or_default();
    let words: Vec<&str> = text.split_whitespace().collect();
    words.windows(2).any(|pair| pair[0].eq_ignore_ascii_case("and") && pair[1].eq_ignore_ascii_case("chain"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::script::Script;

    fn shapes(text: &str) -> Vec<(usize, usize, Shape)> {
        let script = Script::of_file("a.sql", text);
        let unit = Unit::plain(&script).unwrap();
        entries(&unit).unwrap().into_iter().map(|entry| (entry.first, entry.last, entry.shape)).collect()
    }

    #[test]
    fn groups_are_taken_together() {
        let text = "SELECT 1; BEGIN; SELECT 2; COMMIT; VACUUM; BEGIN; SELECT 3; ROLLBACK; COMMIT; SELECT 4";
        assert_eq!(
            shapes(text),
            [
                (0, 0, Shape::Shared),
                (1, 3, Shape::Group),
                (4, 4, Shape::Alone),
                (5, 7, Shape::RolledBack),
                (9, 9, Shape::Shared)
            ]
        );
    }

    #[test]
    fn an_open_end_is_refused_with_its_line() {
        for (text, line) in [("SELECT 1;\nBEGIN;\nSELECT 2;", 2), ("BEGIN;\n\nCOMMIT AND CHAIN;\nCOMMIT;", 3)] {
            let script = Script::of_file("a.sql", text);
            let error = entries(&Unit::plain(&script).unwrap()).unwrap_err();
            assert!(error.to_string().contains(&format!("a.sql:{line}")), "{error}");
        }
        assert_eq!(shapes("BEGIN; SELECT 1; COMMIT AND NO CHAIN"), [(0, 2, Shape::Group)]);
    }

    #[test]
    fn what_a_session_keeps_is_known() {
        let script =
            Script::of_file("a.sql", "BEGIN; SET a.b = 1; CREATE TEMP TABLE t (); COMMIT; DISCARD ALL; SELECT 1");
        let unit = Unit::plain(&script).unwrap();
        let entries = entries(&unit).unwrap();
        let settings: Vec<usize> = entries.iter().flat_map(|entry| entry.session_settings(&unit)).collect();
        assert_eq!(settings, [1, 4]);
        assert!(entries[0].makes_temporary(&unit) && !entries[1].makes_temporary(&unit));
    }
}
