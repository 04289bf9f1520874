//! Taking a migration back whose down part is no single transaction: statement by statement, each with the keeping of what
//! it takes away in a transaction of its own. What must stand alone is of a kind that loses nothing, or is refused.
//!
//! What was done stands in the journal, under the negative number of the statement, so that a run after an interruption
//! goes on where it stood.

use super::back::title;
use super::failure::{describe, done, lost, needs_autocommit};
use super::message::Unit;
use super::worker::{AS_SELF, Worker};
use crate::engine::attic::{Keeping, Stop, restore_positions};
use crate::engine::history;
use crate::error::{Error, Result};
use crate::model::attic::KeptEntry;
use crate::model::checksum::Checksum;
use crate::model::reconcile::TakeBack;
use crate::model::script::Script;
use crate::model::sql::{NonTransactional, Statement, StatementKind};
use std::collections::BTreeMap;

/// One thing that is done at once.
struct Piece {
    /// Its first statement.
    first: usize,
    shape: Shape,
    /// The whole text with spaces for everything else, so that places stay what they are.
    script: Script,
    checksum: Checksum,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Shape {
    /// Shares a transaction with its keeping and its journal row.
    Kept,
    /// PostgreSQL wants it alone.
    Alone,
    /// Only this session knows of it; a role or setting goes with each transaction of dbbuild's own.
    Session,
    /// Only this session knows of it, as long as it lasts.
    Temporary,
}

impl Worker<'_> {
    /// Takes a migration back piece by piece, or goes on with it.
    ///
    /// # Errors
    /// A statement failed, or what it takes away cannot be kept; the message says what stays done.
    pub(super) async fn take_back_by_statement(&self, back: &TakeBack) -> Result<Vec<KeptEntry>> {
        let pieces = pieces(back)?;
        let sql = format!(
            "SELECT -ordinal, checksum, state FROM dbbuild.statement WHERE version = '{}' AND ordinal < 0",
            back.row.version
        );
        let mut known: BTreeMap<usize, (String, bool)> = BTreeMap::new();
        for row in self.session().query_rows(&sql).await? {
            if let [Some(n), Some(checksum), Some(state)] = row.as_slice() {
                known.extend(n.parse().ok().map(|n: usize| (n, (checksum.clone(), state == "done"))));
            }
        }
        let mut entries = Vec::new();
        for (n, piece) in pieces.iter().enumerate() {
            let row = known.get(&(piece.first + 1)).filter(|row| row.0 == piece.checksum.to_string());
            let outcome = match (piece.shape, row) {
                (Shape::Session | Shape::Temporary, _) => self.run_plainly(back, piece).await,
                (_, Some((_, true))) => Ok(()),
                (Shape::Kept, _) => self.run_keeping(back, piece, &pieces, n, &mut entries).await,
                (Shape::Alone, row) => self.run_alone(back, piece, row.is_some()).await,
            };
            if let Err(error) = outcome {
                if self.session().is_closed() {
                    return Err(error);
                }
                self.clean().await?;
                return Err(error.help(format!(
                    "the down part does not run in one transaction: {}, and {} still \
                     counts as applied. The next run goes on there; or `dbbuild reset` builds a local database anew.",
                    done(piece.first),
                    back.label()
                )));
            }
        }
        self.execute(&self.envelope().reset).await?;
        self.execute_as_self(&history::remove_migration(&back.row, self.author(), false)).await?;
        Ok(entries)
    }

    async fn run_plainly(&self, back: &TakeBack, piece: &Piece) -> Result<()> {
        let unit = Unit::plain(&piece.script)?;
        let last = unit.body.statements.len().saturating_sub(1);
        match self.send_range(&unit, 0, last).await {
            Ok(()) => Ok(()),
            Err(failure) if failure.error.gone => Err(lost(&failure.error)),
            Err(failure) => {
                Err(describe(&failure.error, &title(back), unit.place_of_statement(failure.completed), None))
            }
        }
    }

    /// In a transaction of its own, with the keeping and the journal row.
    async fn run_keeping(
        &self,
        back: &TakeBack,
        piece: &Piece,
        pieces: &[Piece],
        n: usize,
        entries: &mut Vec<KeptEntry>,
    ) -> Result<()> {
        let unit = Unit::new(&piece.script, String::new(), String::new())?;
        for tried in 1.. {
            // The statement before has left its role and settings behind.
            for setting in pieces.iter().take(n).filter(|one| one.shape == Shape::Session) {
                self.run_plainly(back, setting).await?;
            }
            let mut keeping = Keeping::new(self, back);
            let level = "ISOLATION LEVEL READ COMMITTED";
            let head = format!("BEGIN {level}; SET LOCAL lock_timeout = {}", self.envelope().lock_timeout);
            let outcome = match keeping.run(&unit, (&head, 2)).await {
                Ok(()) => {
                    let done = journal(back, piece, "done");
                    self.send(&format!("{AS_SELF}; {done}; COMMIT")).await.map(|_| ()).map_err(Stop::from)
                }
                Err(stop) => Err(stop),
            };
            let Err(stop) = outcome else {
                entries.append(&mut keeping.entries);
                return Ok(());
            };
            if self.session().is_closed() {
                return Err(stop.into_error(self, back, &unit));
            }
            // Temporary tables are to last.
            self.execute("ROLLBACK; SET SESSION AUTHORIZATION DEFAULT; RESET ROLE").await?;
            restore_positions(self, keeping.first.as_ref()).await?;
            if stop.server_error().is_some_and(needs_autocommit) {
                let cause = stop.server_error().map(|error| error.cause()).unwrap_or_default();
                return Err(cannot_be_kept(back, &cause).at(unit.place_of_statement(0)));
            }
            if !self.waits_to_take_back_again(tried, &stop).await {
                return Err(stop.into_error(self, back, &unit));
            }
        }
        Ok(())
    }

    /// Alone, between two writes to the journal.
    async fn run_alone(&self, back: &TakeBack, piece: &Piece, interrupted: bool) -> Result<()> {
        let kind = lone(&piece.script)?;
        if let (true, Some(NonTransactional::CreateIndexConcurrently { name: Some(name), .. })) = (interrupted, &kind) {
            // What an interrupted build leaves is no index.
            self.execute(&format!("DROP INDEX CONCURRENTLY IF EXISTS {name}")).await?;
        }
        self.execute_as_self(&journal(back, piece, "started")).await?;
        let outcome = self.run_plainly(back, piece).await;
        let gone = outcome.as_ref().is_err_and(|error| error.code() == Some("42704"));
        let dropped = matches!(kind, Some(NonTransactional::DropIndexConcurrently { .. }));
        if let Err(error) = outcome
            && !(interrupted && gone && dropped)
        {
            if !self.session().is_closed() {
                self.clean().await?;
                let forget = format!(
                    "DELETE FROM dbbuild.statement WHERE version = '{}' AND ordinal = -{}",
                    back.row.version,
                    piece.first + 1
                );
                self.execute_as_self(&forget).await?;
            }
            return Err(error);
        }
        self.execute_as_self(&journal(back, piece, "done")).await
    }
}

/// The journal row of a piece.
fn journal(back: &TakeBack, piece: &Piece, state: &str) -> String {
    format!(
        "INSERT INTO dbbuild.statement (version, ordinal, checksum, state) VALUES ('{}', -{}, '{}', '{state}') \
         ON CONFLICT (version, ordinal) DO UPDATE SET checksum = EXCLUDED.checksum, state = EXCLUDED.state",
        back.row.version,
        piece.first + 1,
        piece.checksum
    )
}

/// The pieces of a down part, in order.
///
/// # Errors
/// One of them must stand alone and may lose something that cannot be kept; nothing was run.
fn pieces(back: &TakeBack) -> Result<Vec<Piece>> {
    let unit = Unit::plain(&back.down)?;
    let (statements, text) = (&unit.body.statements, &unit.body.text);
    let mut pieces = Vec::new();
    let mut n = 0;
    while let Some(statement) = statements.get(n) {
        let (shape, last) = match &statement.kind {
            StatementKind::Begin => (Shape::Kept, end_of_group(statements, n)),
            StatementKind::NonTransactional(kind) => {
                if matches!(**kind, NonTransactional::DatabaseOrTablespace) {
                    let what = "it makes or drops a whole database or tablespace";
                    return Err(cannot_be_kept(back, what).at(unit.place_of_statement(n)));
                }
                (Shape::Alone, n)
            }
            StatementKind::SetSession => (Shape::Session, n),
            StatementKind::CreateTemp => (Shape::Temporary, n),
            _ => (Shape::Kept, n),
        };
        let end = statements.get(last + 1).map_or(text.len(), |next| next.range.start);
        let own = text.get(statement.range.start..end).unwrap_or_default();
        let mut alone: String = text.get(..statement.range.start).unwrap_or_default().chars().map(blank).collect();
        alone.push_str(own);
        let script = Script::of_section(back.down.path.clone(), back.down.first_line, alone);
        pieces.push(Piece { first: n, shape, script, checksum: Checksum::of_text(own.trim()) });
        n = last + 1;
    }
    Ok(pieces)
}

/// The statement that ends the transaction which statement `n` begins.
fn end_of_group(statements: &[Statement], n: usize) -> usize {
    let ends = |statement: &Statement| matches!(statement.kind, StatementKind::Commit | StatementKind::Rollback);
    let rest = statements.iter().skip(n).position(ends);
    rest.map_or(statements.len() - 1, |more| n + more)
}

fn blank(c: char) -> char {
    if c == '\n' { c } else { ' ' }
}

/// What a statement is that stands alone.
fn lone(script: &Script) -> Result<Option<NonTransactional>> {
    Ok(script.split()?.into_iter().find_map(|statement| match statement.kind {
        StatementKind::NonTransactional(kind) => Some(*kind),
        _ => None,
    }))
}

fn cannot_be_kept(back: &TakeBack, why: &str) -> Error {
    Error::failed(format!("what {} takes away cannot be kept", back.label()))
        .cause(why)
        .help("take that statement out of the down part, and do it by hand after it.")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::plan::{Applied, Reason};
    use crate::model::version::Version;

    fn down(text: &str) -> TakeBack {
        let row = Applied {
            version: Version::parse("1").unwrap(),
            name: "a".to_owned(),
            checksum: Checksum::of_text(""),
            complete: true,
            has_text: true,
        };
        let down = Script::of_file("down", text);
        TakeBack { row, down, reason: Reason::Phantom, tables: Default::default(), views: Vec::new(), lossless: false }
    }

    #[test]
    fn a_down_part_is_cut_where_transactions_end() {
        let back =
            down("SET x = 1;\nDROP TABLE a;\nBEGIN;\nDROP TABLE b;\nDELETE FROM c;\nCOMMIT;\nVACUUM d; DELETE FROM e");
        let pieces = pieces(&back).unwrap();
        let shapes: Vec<(usize, u8)> = pieces.iter().map(|piece| (piece.first, piece.shape as u8)).collect();
        assert_eq!(shapes, [(0, 2), (1, 0), (2, 0), (6, 1), (7, 0)]);
        let unit = Unit::new(&pieces[2].script, String::new(), String::new()).unwrap();
        assert_eq!(unit.body.statements.len(), 2);
        assert_eq!(unit.place_of_statement(0).to_string(), "down:4:1");
        assert_eq!(Unit::plain(&pieces[4].script).unwrap().place_of_statement(0).to_string(), "down:7:11");
    }

    #[test]
    fn a_database_is_not_dropped_on_the_way() {
        let error = pieces(&down("DROP TABLE a; DROP DATABASE b")).err().unwrap();
        assert!(error.to_string().contains("cannot be kept"), "{error}");
    }
}
