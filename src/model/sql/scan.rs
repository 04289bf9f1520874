//! Walks through a text of SQL piece by piece: tokens, comments, ends of statements, COPY data.
//!
//! Tokens come from a lexer; on top of them stand the rules by which psql finds the end of a statement: a `;` counts
//! outside parentheses and outside the body of a `BEGIN ATOMIC` routine, and the lines after `COPY … FROM stdin` are
//! data up to a line `\.`. One piece is held at a time, and COPY data never goes through the lexer, so a text of any
//! size needs no memory besides itself. Nothing is understood here beyond what finding those ends needs, and
//! `standard_conforming_strings` is taken to be on.

use std::ops::Range;

use squawk_lexer::{LiteralKind, Token, TokenKind, tokenize};

/// Why a text cannot be taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// Something was opened and never closed; named as in a message.
    Unclosed(&'static str),
    /// A command of psql, which no server understands.
    MetaCommand(String),
    /// A NUL character, which no text in PostgreSQL may hold.
    Nul,
    /// More than a comment follows `COPY … FROM stdin;` on its line.
    TextAfterCopy,
}

/// A [`Fault`] and the byte at which it begins: for something unclosed, where it opens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScanError {
    /// Byte offset into the text.
    pub offset: usize,
    /// What is wrong.
    pub fault: Fault,
}

/// What a piece of the text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PieceKind {
    Space,
    LineComment,
    BlockComment,
    /// A token of a statement.
    Token,
    /// The `;` that ends a statement.
    End,
    /// The lines that belong to the COPY before; one piece for each COPY that was ended, even where there is none.
    CopyData,
    /// The line `\.`.
    CopyEnd,
}

/// A part of the text; the pieces stand one after another without a gap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Piece {
    pub kind: PieceKind,
    pub range: Range<usize>,
}

/// What the words so far say about how the statement ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Head {
    Start,
    Create,
    CreateOr,
    CreateOrReplace,
    /// CREATE FUNCTION or PROCEDURE, before a body.
    Routine,
    /// CREATE FUNCTION …, the last word being BEGIN.
    RoutineBegin,
    /// In the body of BEGIN ATOMIC, with so many CASE open.
    Atomic(u32),
    Copy,
    CopyFrom,
    CopyFromStdin,
    /// Ends at the next `;` outside parentheses.
    Plain,
}

/// The last token that was no comment, as far as it matters to what END means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Last {
    Semicolon,
    Dot,
    As,
    Atomic,
    Other,
}

/// Where the scanner stands between pieces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Sql,
    CopyLine,
    CopyData,
    CopyEnd,
    Failed,
}

/// Iterates over the pieces of a text, up to the first fault.
pub(crate) struct Scanner<'a> {
    text: &'a str,
    position: usize,
    tokens: Box<dyn Iterator<Item = Token> + 'a>,
    mode: Mode,
    head: Head,
    last: Last,
    depth: u32,
}

impl<'a> Scanner<'a> {
    pub(crate) fn new(text: &'a str) -> Scanner<'a> {
        Scanner {
            text,
            position: 0,
            tokens: Box::new(tokenize(text)),
            mode: Mode::Sql,
            head: Head::Start,
            last: Last::Other,
            depth: 0,
        }
    }

    /// Whether the statement that has just ended is followed by COPY data.
    pub(crate) fn in_copy(&self) -> bool {
        self.mode == Mode::CopyLine
    }

    fn piece(&mut self, kind: PieceKind, len: usize) -> Piece {
        let start = self.position;
        self.position += len;
        Piece { kind, range: start..self.position }
    }

    fn restart(&mut self) {
        self.tokens = Box::new(tokenize(&self.text[self.position..]));
    }

    fn next_token(&mut self) -> Option<Result<Piece, ScanError>> {
        let token = self.tokens.next()?;
        let start = self.position;
        let mut len = token.len as usize;
        if let Some(fault) = fault(token.kind, &self.text[start..start + len], &self.text[start..]) {
            return Some(Err(ScanError { offset: start, fault }));
        }
        let kind = match token.kind {
            TokenKind::Whitespace => PieceKind::Space,
            TokenKind::LineComment => PieceKind::LineComment,
            TokenKind::BlockComment { .. } => PieceKind::BlockComment,
            TokenKind::Semi => self.semicolon(),
            TokenKind::Literal { kind: LiteralKind::EscStr { .. } } => {
                // A string that goes on after a newline keeps the rules of its first part; the lexer does not know.
                match escape_string_rest(&self.text[start + len..]) {
                    Ok(0) => self.word(token.kind, ""),
                    Ok(rest) => {
                        len += rest;
                        self.word(token.kind, "");
                        let piece = self.piece(PieceKind::Token, len);
                        self.restart();
                        return Some(Ok(piece));
                    }
                    Err(opening) => {
                        let fault = Fault::Unclosed("quote");
                        return Some(Err(ScanError { offset: start + len + opening, fault }));
                    }
                }
            }
            kind => self.word(kind, &self.text[start..start + len]),
        };
        Some(Ok(self.piece(kind, len)))
    }

    fn semicolon(&mut self) -> PieceKind {
        self.last = Last::Semicolon;
        if self.depth > 0 || matches!(self.head, Head::Atomic(_)) {
            return PieceKind::Token;
        }
        if self.head == Head::CopyFromStdin {
            self.mode = Mode::CopyLine;
        }
        self.head = Head::Start;
        PieceKind::End
    }

    fn word(&mut self, kind: TokenKind, text: &str) -> PieceKind {
        let last = std::mem::replace(&mut self.last, Last::Other);
        match kind {
            TokenKind::OpenParen => self.depth += 1,
            TokenKind::CloseParen => self.depth = self.depth.saturating_sub(1),
            TokenKind::Dot => self.last = Last::Dot,
            _ => {}
        }
        if self.head == Head::Start {
            self.head = match kind {
                TokenKind::Ident if text.eq_ignore_ascii_case("create") => Head::Create,
                TokenKind::Ident if text.eq_ignore_ascii_case("copy") => Head::Copy,
                _ => Head::Plain,
            };
        } else if self.head != Head::Plain {
            let word = if kind == TokenKind::Ident { text } else { "" };
            self.follow(word, last);
        }
        PieceKind::Token
    }

    /// One more word of a statement whose end is not yet known to be plain; empty for what is no bare word.
    fn follow(&mut self, word: &str, last: Last) {
        let is = |keyword: &str| word.eq_ignore_ascii_case(keyword);
        let routine = || if is("function") || is("procedure") { Head::Routine } else { Head::Plain };
        self.head = match self.head {
            Head::Create if is("or") => Head::CreateOr,
            Head::Create | Head::CreateOrReplace => routine(),
            Head::CreateOr if is("replace") => Head::CreateOrReplace,
            Head::CreateOr => Head::Plain,
            head if self.depth > 0 => head,
            Head::Routine | Head::RoutineBegin if is("begin") => Head::RoutineBegin,
            Head::RoutineBegin if is("atomic") => {
                self.last = Last::Atomic;
                Head::Atomic(0)
            }
            Head::RoutineBegin => Head::Routine,
            Head::Atomic(cases) => self.atomic(cases, word, last),
            Head::Copy if is("from") => Head::CopyFrom,
            Head::Copy if is("to") => Head::Plain,
            // The grammar takes both words in both directions.
            Head::CopyFrom if is("stdin") || is("stdout") => Head::CopyFromStdin,
            Head::CopyFrom => Head::Plain,
            head => head,
        };
    }

    /// A word in the body of BEGIN ATOMIC: END closes a CASE, or the body where a statement could begin.
    fn atomic(&mut self, cases: u32, word: &str, last: Last) -> Head {
        let label = matches!(last, Last::Dot | Last::As);
        if word.eq_ignore_ascii_case("as") {
            self.last = Last::As;
        } else if word.eq_ignore_ascii_case("case") && !label {
            return Head::Atomic(cases + 1);
        } else if word.eq_ignore_ascii_case("end") && !label {
            match (cases, last) {
                (0, Last::Semicolon | Last::Atomic) => return Head::Plain,
                (0, _) => {}
                (cases, _) => return Head::Atomic(cases - 1),
            }
        }
        Head::Atomic(cases)
    }

    /// What stands between `COPY … FROM stdin;` and the end of its line.
    fn copy_line(&mut self) -> Result<Piece, ScanError> {
        let rest = &self.text[self.position..];
        let line = &rest[..rest.find('\n').map_or(rest.len(), |newline| newline + 1)];
        let mut at = 0;
        for token in tokenize(line) {
            match token.kind {
                TokenKind::Whitespace | TokenKind::LineComment | TokenKind::BlockComment { terminated: true } => {}
                _ => return Err(ScanError { offset: self.position + at, fault: Fault::TextAfterCopy }),
            }
            at += token.len as usize;
        }
        self.mode = Mode::CopyData;
        Ok(self.piece(PieceKind::Space, line.len()))
    }
}

impl Iterator for Scanner<'_> {
    type Item = Result<Piece, ScanError>;

    fn next(&mut self) -> Option<Self::Item> {
        let result = match self.mode {
            Mode::Sql => self.next_token()?,
            Mode::CopyLine => self.copy_line(),
            Mode::CopyData => {
                let (data, terminator) = copy_data(&self.text[self.position..]);
                self.mode = if terminator { Mode::CopyEnd } else { Mode::Sql };
                let piece = self.piece(PieceKind::CopyData, data);
                self.restart();
                Ok(piece)
            }
            Mode::CopyEnd => {
                self.mode = Mode::Sql;
                let len = self.text[self.position..].find('\n').map_or(2, |newline| newline + 1);
                let piece = self.piece(PieceKind::CopyEnd, len);
                self.restart();
                Ok(piece)
            }
            Mode::Failed => return None,
        };
        if result.is_err() {
            self.mode = Mode::Failed;
        }
        Some(result)
    }
}

fn fault(kind: TokenKind, token: &str, rest: &str) -> Option<Fault> {
    match kind {
        TokenKind::BlockComment { terminated: false } => Some(Fault::Unclosed("comment")),
        TokenKind::QuotedIdent { terminated: false, .. } => Some(Fault::Unclosed("quoted identifier")),
        TokenKind::Literal { kind } => match kind {
            LiteralKind::DollarQuotedString { terminated: false } => Some(Fault::Unclosed("dollar quote")),
            LiteralKind::Str { terminated: false }
            | LiteralKind::NationalStr { terminated: false }
            | LiteralKind::ByteStr { terminated: false }
            | LiteralKind::BitStr { terminated: false }
            | LiteralKind::UnicodeEscStr { terminated: false }
            | LiteralKind::EscStr { terminated: false } => Some(Fault::Unclosed("quote")),
            _ => None,
        },
        TokenKind::Unknown if token == "\\" => {
            let command = rest.chars().take_while(|c| !c.is_whitespace() && !c.is_control());
            Some(Fault::MetaCommand(command.take(40).collect()))
        }
        TokenKind::Unknown if token == "\0" => Some(Fault::Nul),
        _ => None,
    }
}

/// How many bytes after an `E''` string still belong to it; the error is the offset of a quote that is not closed.
fn escape_string_rest(text: &str) -> Result<usize, usize> {
    let bytes = text.as_bytes();
    let mut end = 0;
    while let Some(opening) = continuation(bytes, end) {
        let mut at = opening + 1;
        loop {
            match bytes.get(at) {
                None => return Err(opening),
                Some(b'\\') => at += 2,
                Some(b'\'') if bytes.get(at + 1) == Some(&b'\'') => at += 2,
                Some(b'\'') => break,
                Some(_) => at += 1,
            }
        }
        end = at + 1;
    }
    Ok(end)
}

/// The quote that goes on with a string which ended before `at`: only white space with a newline lies between.
fn continuation(bytes: &[u8], mut at: usize) -> Option<usize> {
    let mut newline = false;
    loop {
        match bytes.get(at)? {
            b'\n' | b'\r' => newline = true,
            b' ' | b'\t' | 0x0b | 0x0c => {}
            b'-' if bytes.get(at + 1) == Some(&b'-') => {
                at += bytes[at..].iter().position(|b| matches!(b, b'\n' | b'\r'))?;
                continue;
            }
            b'\'' => return newline.then_some(at),
            _ => return None,
        }
        at += 1;
    }
}

/// The length of the data that the text begins with, and whether a line `\.` ends it.
fn copy_data(text: &str) -> (usize, bool) {
    let ends_line = |at: usize| matches!(text.as_bytes().get(at), None | Some(b'\n'));
    if text.starts_with("\\.") && ends_line(2) {
        return (0, true);
    }
    let mut at = 0;
    while let Some(found) = text[at..].find("\n\\.") {
        at += found + 3;
        if ends_line(at) {
            return (at - 2, true);
        }
    }
    (text.len(), false)
}
