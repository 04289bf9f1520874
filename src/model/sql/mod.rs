//! SQL as far as running it needs: where statements begin and end, and what kind each is.
//!
//! [`split`] takes a text apart as psql would; [`classify`] and its siblings look at the leading keywords of one
//! statement. No statement is parsed whole and none is refused: whether it is good SQL, the server says.

mod classify;
mod inverse;
mod lock;
mod long;
mod mention;
mod object;
mod parameter;
mod password;
mod quote;
mod required;
mod retype;
mod role;
mod scan;
#[cfg(test)]
mod tests;
mod words;

use std::ops::Range;

pub use classify::{NonTransactional, StatementKind, adds_enum_value, classify};
pub use inverse::{Inverse, inverse};
pub use lock::lock_mode;
pub use long::may_take_long;
pub use mention::{Mention, last_name, mention, same_name};
pub use object::{ObjectRef, main_object};
pub use parameter::{parameter, with_parameter};
pub use password::literal_password;
pub use quote::{identifier, literal, qualified};
pub use required::not_null_of_added;
pub use retype::{Retyped, retyped};
pub use role::made_roles;
pub use scan::{Fault, ScanError};
pub(crate) use scan::{PieceKind, Scanner};

/// One statement of a text. Statements are exactly what the server answers with one CommandComplete each: a `;` with
/// nothing but white space and comments before it makes none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// From its first to its last token, in bytes of the text: without the `;`, and without the white space and
    /// comments around it. Text and `;` together can be sent alone.
    pub range: Range<usize>,
    /// What it does, by its leading keywords.
    pub kind: StatementKind,
    /// For `COPY … FROM stdin`, the lines of data (without `\.`) that follow it in the text.
    pub copy_data: Option<Range<usize>>,
}

/// Takes a text apart into statements.
pub fn split(text: &str) -> Result<Vec<Statement>, ScanError> {
    statements(text).collect()
}

/// Takes a text apart one statement at a time, holding none; ends after the first error.
pub fn statements(text: &str) -> Statements<'_> {
    let nul = text.find('\0');
    Statements { text, nul, scanner: Scanner::new(text) }
}

/// The words of a statement that consists of bare words alone, comments aside.
pub(crate) fn keywords(statement: &str) -> Option<Vec<&str>> {
    words::Words::new(statement).map(|word| (word.kind == words::WordKind::Bare).then_some(word.text)).collect()
}

/// The iterator of [`statements`].
pub struct Statements<'a> {
    text: &'a str,
    nul: Option<usize>,
    scanner: Scanner<'a>,
}

impl Iterator for Statements<'_> {
    type Item = Result<Statement, ScanError>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(offset) = self.nul {
            // Asked again, the scanner stands at its end.
            self.nul = None;
            self.scanner = Scanner::new("");
            return Some(Err(ScanError { offset, fault: Fault::Nul }));
        }
        let mut range: Option<Range<usize>> = None;
        loop {
            match self.scanner.next() {
                None => return range.map(|range| Ok(self.statement(range, None))),
                Some(Err(error)) => return Some(Err(error)),
                Some(Ok(piece)) => match piece.kind {
                    PieceKind::Token => {
                        range = Some(range.map_or(piece.range.start, |range| range.start)..piece.range.end);
                    }
                    PieceKind::End => {
                        let Some(range) = range.take() else { continue };
                        return Some(self.copy_data().map(|data| self.statement(range, data)));
                    }
                    _ => {}
                },
            }
        }
    }
}

impl Statements<'_> {
    fn statement(&self, range: Range<usize>, copy_data: Option<Range<usize>>) -> Statement {
        let kind = classify(&self.text[range.clone()]);
        let end = range.end;
        // A COPY whose data the scanner did not see, as at the very end without its `;`, still has to be told so.
        let copy_data = copy_data.or((kind == StatementKind::CopyFromStdin).then_some(end..end));
        Statement { range, kind, copy_data }
    }

    /// The data of the COPY that has just ended, if it was one that reads from the client.
    fn copy_data(&mut self) -> Result<Option<Range<usize>>, ScanError> {
        if !self.scanner.in_copy() {
            return Ok(None);
        }
        for piece in self.scanner.by_ref() {
            let piece = piece?;
            if piece.kind == PieceKind::CopyData {
                return Ok(Some(piece.range));
            }
        }
        Ok(None)
    }
}
