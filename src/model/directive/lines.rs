//! Finds the lines of a text that are directives, reading as little of it as will do.

use super::{KEYS, PieceKind, Scanner};
use crate::model::sql::Fault;

/// The word before the colon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Word {
    Migrate,
    Dbbuild,
    /// Neither, but one of them was meant.
    Near,
}

/// A line that reads like a directive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Candidate<'a> {
    /// Where the line begins, in bytes.
    pub start: usize,
    /// Where its `--` stands.
    pub offset: usize,
    /// Where the next line begins.
    pub end: usize,
    /// From 1.
    pub number: usize,
    pub word: Word,
    /// The whole line.
    pub text: &'a str,
    /// What follows the colon, without white space before it.
    pub rest: &'a str,
}

/// What a first look over the lines found.
pub(super) struct Found<'a> {
    pub lines: Vec<Candidate<'a>>,
    /// The first line that is neither blank nor begins with `--`.
    header_end: Option<usize>,
}

/// All lines that read like directives, be they inside a quote or not.
pub(super) fn candidates(text: &str) -> Found<'_> {
    let mut found = Found { lines: Vec::new(), header_end: None };
    let (mut start, mut number) = (0, 0);
    while start < text.len() {
        let end = text[start..].find('\n').map_or(text.len(), |newline| start + newline + 1);
        number += 1;
        let line = &text[start..end];
        let trimmed = line.trim_start();
        if let Some(comment) = trimmed.strip_prefix("--") {
            if let Some((word, rest)) = directive(comment) {
                let offset = end - trimmed.len();
                found.lines.push(Candidate { start, offset, end, number, word, text: trimmed.trim_end(), rest });
            }
        } else if found.header_end.is_none() && !trimmed.is_empty() {
            found.header_end = Some(start);
        }
        start = end;
    }
    found
}

impl<'a> Found<'a> {
    /// The candidates that are comments indeed, and where the first statement begins, if before the last of them.
    pub fn confirmed(self, text: &str) -> (Vec<Candidate<'a>>, Option<usize>) {
        let Some(last) = self.lines.last().map(|line| line.offset) else { return (self.lines, None) };
        let Some(header_end) = self.header_end.filter(|end| *end < last) else { return (self.lines, None) };
        if cannot_quote(&text[..last]) {
            return (self.lines, Some(header_end));
        }
        let mut sql_start = None;
        let mut comments = Vec::new();
        let mut base = 0;
        'text: loop {
            let mut next = None;
            for piece in Scanner::new(&text[base..]) {
                let piece = match piece {
                    Ok(piece) => piece,
                    // A command of psql's ends with its line; what follows is read on.
                    Err(error) if matches!(error.fault, Fault::MetaCommand(_)) => {
                        let at = base + error.offset;
                        sql_start = sql_start.or(Some(at));
                        next = text[at..].find('\n').map(|newline| at + newline);
                        break;
                    }
                    Err(_) => break,
                };
                let (start, end) = (base + piece.range.start, base + piece.range.end);
                match piece.kind {
                    PieceKind::LineComment => comments.push(start),
                    PieceKind::Token | PieceKind::End => sql_start = sql_start.or(Some(start)),
                    _ => {}
                }
                if end > last {
                    break 'text;
                }
            }
            match next.filter(|next| *next <= last) {
                Some(next) => base = next,
                None => break,
            }
        }
        let lines = self.lines.into_iter().filter(|line| comments.binary_search(&line.offset).is_ok()).collect();
        (lines, sql_start)
    }
}

/// Whether nothing in the text can open what a comment line could be inside of: a quote, a comment, COPY data.
fn cannot_quote(text: &str) -> bool {
    let bytes = text.as_bytes();
    !bytes.iter().any(|b| matches!(b, b'\'' | b'"' | b'$' | b'/' | b'\\'))
        && !bytes.windows(3).any(|word| word.eq_ignore_ascii_case(b"std"))
}

/// Takes `WORD : REST` apart where WORD is ours or nearly so; `comment` is what follows the `--`.
fn directive(comment: &str) -> Option<(Word, &str)> {
    let comment = comment.trim_start_matches(['-', ' ', '\t']);
    let end = comment.find(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '+')?;
    let (word, rest) = comment.split_at(end);
    let rest = rest.trim_start_matches([' ', '\t']).strip_prefix(':')?.trim_start_matches([' ', '\t']);
    if word.eq_ignore_ascii_case("migrate") {
        return Some((Word::Migrate, rest));
    }
    if word.eq_ignore_ascii_case("dbbuild") {
        return Some((Word::Dbbuild, rest));
    }
    let near = |meant: &str, most: usize| {
        (4..=12).contains(&word.len()) && strsim::damerau_levenshtein(&word.to_ascii_lowercase(), meant) <= most
    };
    let misspelt = is_section(rest) && near("migrate", 3) || is_setting(rest) && near("dbbuild", 2);
    misspelt.then_some((Word::Near, rest))
}

fn first_word(rest: &str) -> String {
    rest.split_whitespace().next().unwrap_or_default().to_ascii_lowercase()
}

/// Whether what follows the colon is the name of a section.
pub(super) fn is_section(rest: &str) -> bool {
    matches!(first_word(rest).as_str(), "up" | "down")
}

fn is_setting(rest: &str) -> bool {
    let key = first_word(rest);
    KEYS.iter().any(|(known, _)| *known == key)
}

/// Whether a comment, without its dashes, reads like a directive.
pub(super) fn is_directive(comment: &str) -> bool {
    directive(comment).is_some()
}
