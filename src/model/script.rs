//! One text of SQL that is run: a whole file, or one section of a migration.
//!
//! Ties bytes of the text to lines and columns of the file, and says what of it must be known before it runs inside a
//! transaction that is not its own. Lexed on demand only: a script that is not run is never looked into.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use crate::error::{Error, Location, Result};
use crate::model::directive::Batch;
use crate::model::placeholder::Filled;
use crate::model::psql::{self, Included, ViewFault};
use crate::model::sql::{self, Fault, ScanError, Statement, StatementKind};

mod batches;

/// A text of SQL and where in which file it begins. The text begins at the beginning of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Script {
    /// The file, relative to the repository.
    pub path: String,
    /// The line of the file, from 1, at which the text begins.
    pub first_line: usize,
    /// The text, with LF endings and without BOM.
    pub text: Arc<str>,
    /// What sets it apart from plain SQL.
    pub means: Means,
}

/// What sets a script apart from plain SQL.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Means {
    /// psql runs it, with what it takes in.
    pub psql: Option<Arc<Included>>,
    /// Statements that are repeated, by the place of the line before them in the text.
    pub batches: Vec<Batch>,
    /// `dbbuild:placeholders`, where the file says it.
    pub placeholders: Option<bool>,
    /// The text as it stands in the file, where placeholders were filled.
    pub filled: Option<Arc<Filled>>,
}

/// A script as it runs within a transaction of ours.
#[derive(Debug, Clone)]
pub struct Body<'a> {
    /// The statements in order, without a BEGIN and COMMIT that wrap the whole.
    pub statements: Vec<Statement>,
    /// The text to send. Where BEGIN and COMMIT wrapped it, spaces stand in their place, so that every byte keeps its
    /// offset and every line its number.
    pub text: Cow<'a, str>,
    /// Whether BEGIN and COMMIT wrapped it.
    pub wrapped: bool,
    /// The COMMIT that ends the script though no BEGIN stands before it. It is not among the statements and not in the
    /// text; psql only warns of it, and what follows it is nothing.
    pub trailing_commit: Option<Location>,
    /// Whether any statement is COPY … FROM stdin: then the text cannot be sent as one.
    pub copy_blocks: bool,
    /// The first other BEGIN, COMMIT, ROLLBACK or PREPARE TRANSACTION, with its text: an error in a transactional file.
    pub transaction_control: Option<(Location, String)>,
    /// Indexes of the statements that PostgreSQL refuses inside a transaction block.
    pub non_transactional: Vec<usize>,
}

impl<'a> Body<'a> {
    /// The statements as they stand, a wrapping BEGIN and COMMIT included.
    ///
    /// # Errors
    /// The script does not lex.
    pub fn as_written(script: &'a Script) -> Result<Body<'a>> {
        let statements = script.split()?;
        Ok(Body {
            copy_blocks: statements.iter().any(|statement| statement.copy_data.is_some()),
            text: Cow::Borrowed(&*script.text),
            wrapped: false,
            trailing_commit: None,
            transaction_control: None,
            non_transactional: Vec::new(),
            statements,
        })
    }
}

impl Script {
    /// A script that is a whole file.
    pub fn of_file(path: impl Into<String>, text: impl Into<Arc<str>>) -> Script {
        Script::of_section(path, 1, text)
    }

    /// A script that is a part of a file, which begins at this line.
    pub fn of_section(path: impl Into<String>, first_line: usize, text: impl Into<Arc<str>>) -> Script {
        Script { path: path.into(), first_line, text: text.into(), means: Means::default() }
    }

    /// The text as it stands in the file: what is kept, and what a checksum is taken of.
    pub fn source(&self) -> &Arc<str> {
        self.means.filled.as_ref().map_or(&self.text, |filled| filled.source())
    }

    /// A part of the text as it stands in the file.
    pub fn source_of(&self, range: Range<usize>) -> &str {
        match &self.means.filled {
            Some(filled) => filled.source_of(range),
            None => self.text.get(range).unwrap_or_default(),
        }
    }

    /// The text without psql's commands, and the files that these name.
    ///
    /// # Errors
    /// It does not lex, or a command is refused.
    pub fn psql_view(&self) -> Result<psql::View> {
        psql::view(&self.text).map_err(|fault| match fault {
            ViewFault::Scan(error) => self.scan_error(error),
            ViewFault::Command(fault) => Error::failed(fault.message).at(self.location(fault.offset)).help(fault.help),
        })
    }

    /// Takes the script apart into statements; an error says where the fault begins.
    pub fn split(&self) -> Result<Vec<Statement>> {
        self.statements().collect()
    }

    /// The same one statement at a time, for texts too long to hold all.
    pub fn statements(&self) -> Box<dyn Iterator<Item = Result<Statement>> + '_> {
        if self.means.psql.is_none() {
            return Box::new(sql::statements(&self.text).map(|found| found.map_err(|error| self.scan_error(error))));
        }
        match self.psql_view() {
            Ok(view) => {
                let found: Vec<_> = sql::statements(&view.sql).collect();
                Box::new(found.into_iter().map(|found| found.map_err(|error| self.scan_error(error))))
            }
            Err(error) => Box::new(std::iter::once(Err(error))),
        }
    }

    /// The text of a statement of this script.
    pub fn statement_text(&self, statement: &Statement) -> &str {
        &self.text[statement.range.clone()]
    }

    /// Line and column in the file of a byte of the text; past its end, the end counts.
    pub fn location(&self, byte_offset: usize) -> Location {
        let (text, byte_offset) = match &self.means.filled {
            Some(filled) => (filled.source(), filled.source_offset(byte_offset)),
            None => (&self.text, byte_offset),
        };
        let before = before(text, byte_offset);
        let line = before.bytes().filter(|b| *b == b'\n').count();
        let column = before.rsplit('\n').next().unwrap_or(before).chars().count();
        Location::new(self.path.clone(), self.first_line + line, column + 1)
    }

    /// The byte at which the n-th character of a statement stands, counted from 1 as PostgreSQL's error positions are.
    pub fn character_offset(&self, statement: &Range<usize>, position: usize) -> usize {
        let text = &self.text[statement.clone()];
        let inside = text.char_indices().nth(position.saturating_sub(1)).map_or(text.len(), |(at, _)| at);
        statement.start + inside
    }

    /// The script as it runs inside a transaction.
    pub fn body(&self) -> Result<Body<'_>> {
        let mut statements = self.split()?;
        let mut text = Cow::Borrowed(&*self.text);
        let wrapped = self.is_wrapped(&statements);
        let mut removed: Vec<Statement> = Vec::new();
        if wrapped {
            removed.push(statements.remove(0));
        }
        if wrapped || self.ends_with_commit_alone(&statements) {
            removed.extend(statements.pop());
        }
        let trailing = removed.last().filter(|_| !wrapped);
        let trailing_commit = trailing.map(|commit| self.location(commit.range.start));
        if !removed.is_empty() {
            text = Cow::Owned(blank(&self.text, &removed));
        }
        let transaction_control = self.control_among(&statements);
        let is_non_transactional = |n: &usize| matches!(statements[*n].kind, StatementKind::NonTransactional(_));
        Ok(Body {
            copy_blocks: statements.iter().any(|statement| statement.copy_data.is_some()),
            non_transactional: (0..statements.len()).filter(is_non_transactional).collect(),
            transaction_control,
            trailing_commit,
            wrapped,
            text,
            statements,
        })
    }

    /// The first BEGIN, COMMIT, ROLLBACK or PREPARE TRANSACTION as it stands, with its text.
    ///
    /// # Errors
    /// The script does not lex.
    pub fn first_control(&self) -> Result<Option<(Location, String)>> {
        Ok(self.control_among(&self.split()?))
    }

    fn control_among(&self, statements: &[Statement]) -> Option<(Location, String)> {
        let statement = statements.iter().find(|statement| is_transaction_control(&statement.kind))?;
        let shown = self.statement_text(statement).split_whitespace().collect::<Vec<_>>().join(" ");
        Some((self.location(statement.range.start), shown))
    }

    /// Whether the last statement is a plain COMMIT and no other is transaction control.
    fn ends_with_commit_alone(&self, statements: &[Statement]) -> bool {
        let [before @ .., last] = statements else { return false };
        last.kind == StatementKind::Commit
            && is_plain(self.statement_text(last))
            && !before.iter().any(|statement| is_transaction_control(&statement.kind))
    }

    /// Whether the file commits after `ALTER TYPE … ADD VALUE`, as a file must that goes on to use the new value: it
    /// cannot be one transaction.
    ///
    /// # Errors
    /// It does not lex.
    pub fn commits_enum_value(&self) -> Result<bool> {
        // Most files hold none, and need no lexing to see that.
        if !self.text.as_bytes().windows(5).any(|window| window.eq_ignore_ascii_case(b"value")) {
            return Ok(false);
        }
        let mut added = false;
        for statement in self.statements() {
            let statement = statement?;
            if statement.kind == StatementKind::Commit && added {
                return Ok(true);
            }
            added |= sql::adds_enum_value(self.statement_text(&statement));
        }
        Ok(false)
    }

    /// Whether a plain BEGIN and a plain COMMIT are first and last, with no other transaction control between them.
    fn is_wrapped(&self, statements: &[Statement]) -> bool {
        let [first, inner @ .., last] = statements else { return false };
        first.kind == StatementKind::Begin
            && last.kind == StatementKind::Commit
            && is_plain(self.statement_text(first))
            && is_plain(self.statement_text(last))
            && !inner.iter().any(|statement| is_transaction_control(&statement.kind))
    }

    fn scan_error(&self, error: ScanError) -> Error {
        let located = |message: String| Error::failed(message).at(self.location(error.offset));
        match &error.fault {
            Fault::Unclosed(what) => {
                located(format!("unclosed {what}")).help("it opens here and runs to the end of the file; close it")
            }
            Fault::MetaCommand(command) => located(format!("psql meta-commands are not SQL: `{command}`")).help(
                "only psql understands commands that begin with a backslash: write plain SQL instead, or let psql run \
                     the file with `-- dbbuild:psql true` in its header",
            ),
            Fault::Nul => located("a NUL character is not SQL".to_owned())
                .help("PostgreSQL takes no text with a NUL character; is the file UTF-16 or binary?"),
            Fault::TextAfterCopy => located("text follows COPY … FROM stdin on its line".to_owned())
                .help("the data begins on the next line; move the text behind the line `\\.` that ends it"),
        }
    }
}

/// The text with spaces in place of some statements, byte for byte; newlines stay.
fn blank(text: &str, statements: &[Statement]) -> String {
    let mut blanked = String::with_capacity(text.len());
    let mut at = 0;
    for statement in statements {
        blanked.push_str(&text[at..statement.range.start]);
        for byte in text[statement.range.clone()].bytes() {
            blanked.push(if byte == b'\n' { '\n' } else { ' ' });
        }
        at = statement.range.end;
    }
    blanked.push_str(&text[at..]);
    blanked
}

/// The text before a byte offset that may lie beyond the end or within a character.
fn before(text: &str, offset: usize) -> &str {
    let mut end = offset.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

fn is_transaction_control(kind: &StatementKind) -> bool {
    use StatementKind::{Begin, Commit, PrepareTransaction, Rollback};
    matches!(kind, Begin | Commit | Rollback | PrepareTransaction)
}

/// BEGIN, START TRANSACTION, COMMIT or END with no option: isolation levels and AND CHAIN ask for more than we give.
fn is_plain(statement: &str) -> bool {
    const PLAIN: &[&str] = &["begin", "start", "commit", "end", "work", "transaction"];
    sql::keywords(statement).is_some_and(|words| {
        words.len() <= 2 && words.iter().all(|word| PLAIN.iter().any(|plain| word.eq_ignore_ascii_case(plain)))
    })
}

#[cfg(test)]
mod tests;
