//! What travels to the server: a script with what opens and closes its transaction, and where in the file it failed.

use super::timing::MARK;
use crate::error::{Location, Result};
use crate::model::migration::Migration;
use crate::model::review;
use crate::model::script::{Body, Script};
use crate::model::sql::{self, StatementKind};
use std::borrow::Cow;
use std::time::Duration;

/// At most so many migrations travel in one message.
pub const BATCH_FILES: usize = 64;
/// At most so many bytes of migrations travel in one message.
pub const BATCH_BYTES: usize = 256 * 1024;

/// Undoes what a script may leave in its session. `DISCARD ALL` is refused in a message of several statements.
const RESET: &str = "CLOSE ALL; SET SESSION AUTHORIZATION DEFAULT; RESET ALL; DEALLOCATE ALL; UNLISTEN *; \
    DISCARD PLANS; DISCARD TEMP; DISCARD SEQUENCES";
/// The same for the locks of the session.
const UNLOCK: &str = "SELECT pg_catalog.pg_advisory_unlock_all()";

/// What every message has around its script.
#[derive(Debug, Clone)]
pub struct Envelope {
    /// `lock_timeout` in milliseconds.
    pub lock_timeout: u128,
    /// Leaves a clean session behind, with the settings that work needs made again.
    pub reset: String,
    /// How many statements `reset` holds.
    pub reset_statements: usize,
}

impl Envelope {
    /// `work_settings` are the session's own, one or more statements; its locks stay where `holds_lock` says that
    /// dbbuild's is among them.
    pub fn new(lock_timeout: Duration, work_settings: &str, holds_lock: bool) -> Envelope {
        let reset = match holds_lock {
            true => format!("{RESET}; {work_settings}"),
            false => format!("{RESET}; {UNLOCK}; {work_settings}"),
        };
        let reset_statements = reset.split(';').filter(|part| !part.trim().is_empty()).count();
        Envelope { lock_timeout: lock_timeout.as_millis(), reset, reset_statements }
    }
}

/// A script and the statements around it that make one transaction.
pub struct Unit<'a> {
    /// What runs.
    pub script: &'a Script,
    /// Its statements.
    pub body: Body<'a>,
    /// One statement that runs first.
    pub opening: String,
    /// Before which statements the clock is asked, in order; their number stands for the end.
    pub marks: Vec<usize>,
    /// One statement that runs last, with the rights of the session.
    pub closing: String,
}

/// The clock at the end of the script.
const LAST_MARK: &str = "\n;\nSELECT EXTRACT(epoch FROM pg_catalog.clock_timestamp());";

/// Statements before the script's first: BEGIN, SET LOCAL and the opening.
pub const BEFORE: usize = 3;

impl<'a> Unit<'a> {
    /// Splits the script.
    ///
    /// # Errors
    /// It does not lex, or it controls transactions by itself.
    pub fn new(script: &'a Script, opening: String, closing: String) -> Result<Self> {
        let body = script.body()?;
        review::transaction_control(&body)?;
        Ok(Unit { script, body, opening, marks: Vec::new(), closing })
    }

    /// The same with the clock asked around the statements that may take long.
    #[must_use]
    pub fn timed(mut self) -> Self {
        if !self.body.copy_blocks {
            let long = |n: &usize| {
                let range = self.body.statements.get(*n).map(|one| one.range.clone());
                sql::may_take_long(range.and_then(|range| self.body.text.get(range)).unwrap_or_default())
            };
            let mut marks: Vec<usize> = (0..self.body.statements.len()).filter(long).flat_map(|n| [n, n + 1]).collect();
            marks.dedup();
            self.marks = marks;
        }
        self
    }

    /// Whether the clock is asked before statement `n`.
    pub fn is_marked(&self, n: usize) -> bool {
        self.marks.binary_search(&n).is_ok()
    }

    /// Where in the text the clock is asked.
    fn mark_offsets(&self) -> impl Iterator<Item = usize> + '_ {
        let start = |n: &usize| self.body.statements.get(*n).map_or(self.body.text.len(), |one| one.range.start);
        self.marks.iter().map(start)
    }

    /// The script as it travels.
    fn marked(&self) -> Cow<'_, str> {
        if self.marks.is_empty() {
            return Cow::Borrowed(&self.body.text);
        }
        let mut out = String::with_capacity(self.body.text.len() + self.marks.len() * (MARK.len() + 3));
        let mut at = 0;
        for offset in self.mark_offsets() {
            out.push_str(self.body.text.get(at..offset).unwrap_or_default());
            // The last statement may end without its `;`, or in a comment.
            out.push_str(if offset == self.body.text.len() { LAST_MARK } else { MARK });
            at = offset;
        }
        out.push_str(self.body.text.get(at..).unwrap_or_default());
        Cow::Owned(out)
    }

    /// How many of the script's statements are complete after so many CommandCompletes of the message.
    pub fn statements_done(&self, completed: usize) -> usize {
        let mut rest = completed.saturating_sub(BEFORE);
        for n in 0..self.body.statements.len() {
            let mark = usize::from(self.is_marked(n));
            if rest <= mark {
                return n;
            }
            rest -= mark + 1;
        }
        self.body.statements.len()
    }

    /// A script by itself, its own BEGIN and COMMIT included, with nothing around it.
    ///
    /// # Errors
    /// It does not lex.
    pub fn plain(script: &'a Script) -> Result<Self> {
        let body = Body::as_written(script)?;
        Ok(Unit { script, body, opening: String::new(), marks: Vec::new(), closing: String::new() })
    }

    /// Everything up to the script itself.
    pub fn head(&self, envelope: &Envelope) -> String {
        format!("BEGIN; SET LOCAL lock_timeout = {}; {};\n", envelope.lock_timeout, self.opening)
    }

    /// Everything after the script. A role that the script took must not write the version table.
    pub fn tail(&self, envelope: &Envelope) -> String {
        format!("\n;\nSET SESSION AUTHORIZATION DEFAULT; RESET ROLE; {}; COMMIT; {}", self.closing, envelope.reset)
    }

    /// The whole as one message.
    pub fn message(&self, envelope: &Envelope) -> String {
        let (head, body, tail) = (self.head(envelope), self.marked(), self.tail(envelope));
        let mut out = String::with_capacity(head.len() + body.len() + tail.len());
        out.push_str(&head);
        out.push_str(&body);
        out.push_str(&tail);
        out
    }

    /// How many statements stand up to and including COMMIT: each gives one CommandComplete.
    pub fn statements_to_commit(&self) -> usize {
        BEFORE + self.body.statements.len() + self.marks.len() + 4
    }

    /// Where in the file a message failed: by the position that the server gave, else by the statement that it was at.
    ///
    /// `completed` counts the CommandCompletes of this unit, `position` the characters of its message from 1.
    pub fn place(&self, completed: usize, position: Option<usize>, envelope: &Envelope) -> Location {
        let head = self.head(envelope).chars().count();
        let inside = position.and_then(|position| position.checked_sub(head + 1));
        let marked = self.marked();
        if let Some(byte) = inside.and_then(|at| marked.char_indices().nth(at).map(|(byte, _)| byte)) {
            // Each mark before it moved it on.
            let mut byte = byte;
            for offset in self.mark_offsets() {
                if byte >= offset + MARK.len() {
                    byte -= MARK.len();
                }
            }
            return self.script.location(byte);
        }
        self.place_of_statement(self.statements_done(completed))
    }

    /// Where the n-th character of the script stands, counted from 1.
    pub fn place_at(&self, position: usize) -> Location {
        let byte = self.body.text.char_indices().nth(position.saturating_sub(1)).map_or(0, |(byte, _)| byte);
        self.script.location(byte)
    }

    /// Where statement `n`, from 0, begins; the file's last line where there is none: COMMIT failed.
    pub fn place_of_statement(&self, n: usize) -> Location {
        match self.body.statements.get(n).or_else(|| self.body.statements.last()) {
            Some(statement) => self.script.location(statement.range.start),
            None => self.script.location(0),
        }
    }

    /// Whether it was the closing statement that failed: the script had changed the version table, or the transaction.
    pub fn failed_closing(&self, completed: usize) -> bool {
        completed == self.statements_to_commit() - 2
    }

    /// "statement 7 of 12", where there is more than one.
    pub fn ordinal(&self, n: usize) -> Option<String> {
        let total = self.body.statements.len();
        (total > 1 && n < total).then(|| format!("statement {} of {total}", n + 1))
    }
}

/// Whether a migration may share a message with others: nothing in it reads the clock into rows, brings COPY data,
/// controls transactions, or must travel alone. A file that does not lex travels alone, for an exact message.
pub fn may_travel(migration: &Migration) -> bool {
    let asks = !migration.settings.preconditions.is_empty() || migration.up.means.psql.is_some();
    let alone = asks || migration.body.is_some();
    if !migration.settings.transaction || alone || changes_login_settings(&migration.up) {
        return false;
    }
    let Ok(body) = migration.up.body() else { return false };
    body.transaction_control.is_none()
        && body.statements.iter().all(|statement| match statement.kind {
            StatementKind::SetSession => !is_reset_too_late(migration.up.statement_text(statement)),
            StatementKind::Ddl | StatementKind::Other => true,
            _ => false,
        })
}

/// What resets the session between two migrations of a message is part of the second one's transaction: that began with
/// the defaults of transactions as the first one left them, and forgets a LISTEN only when it commits.
fn is_reset_too_late(statement: &str) -> bool {
    let statement = statement.to_ascii_lowercase();
    ["listen", "default_transaction", "characteristics"].iter().any(|word| statement.contains(word))
}

/// `ALTER DATABASE … SET` and `ALTER ROLE … SET` show in new sessions only; `RESET ALL` does not load them.
pub fn changes_login_settings(script: &Script) -> bool {
    let text = script.text.as_bytes();
    let find = |word: &[u8]| text.windows(word.len()).any(|window| window.eq_ignore_ascii_case(word));
    // The cheap test first: files without the word ALTER cannot hold any of them.
    find(b"alter")
        && [b"database".as_slice(), b"role", b"user"].iter().any(|object| {
            text.windows(object.len() + 6).any(|window| {
                window.get(..5).is_some_and(|w| w.eq_ignore_ascii_case(b"alter"))
                    && window.get(5).is_some_and(u8::is_ascii_whitespace)
                    && window.get(6..).is_some_and(|w| w.eq_ignore_ascii_case(object))
            })
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn asking_the_clock_moves_no_place() {
        let text = "CREATE TABLE t ();\nUPDATE t SET é = 1;\nUPDATE t SET b = nowhere;\nSELECT 1 -- end";
        let script = Script::of_file("a.sql", text);
        let unit = Unit::new(&script, "SELECT 1".to_owned(), "SELECT 2".to_owned()).unwrap().timed();
        assert_eq!(unit.marks, [1, 2, 3, 4]);
        let envelope = Envelope::new(Duration::from_secs(1), "SET a = 1", false);
        let message = unit.message(&envelope);
        assert!(message.contains("-- end\n;\nSELECT EXTRACT"), "{message}");
        let position =
            message.chars().collect::<Vec<_>>().windows(7).position(|w| w.iter().collect::<String>() == "nowhere");
        let place = |completed, position| unit.place(completed, position, &envelope).to_string();
        assert_eq!(place(0, position.map(|at| at + 1)), "a.sql:3:18");
        // BEGIN, SET LOCAL and the opening; then the statements with what asks the clock before them.
        let done: Vec<usize> = (3..12).map(|completed| unit.statements_done(completed)).collect();
        assert_eq!(done, [0, 1, 1, 2, 2, 3, 3, 4, 4]);
        assert_eq!(place(6, None), "a.sql:3:1");
        assert_eq!(unit.statements_to_commit(), 3 + 4 + 4 + 4);
        assert!(Unit::new(&script, String::new(), String::new()).unwrap().marks.is_empty());
    }
}
