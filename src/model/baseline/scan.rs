//! Cuts the text of a dump into statements, COPY data, comments and meta-commands.
//!
//! It knows what `pg_dump` writes and what a user's objects can put into it (quotes, dollar quotes, nested comments,
//! `BEGIN ATOMIC` bodies, rules with several actions, COPY data), so that nothing inside a literal is taken for a
//! statement or for a heading. It does not judge SQL: [`crate::model::sql`] reads what people write.

use std::ops::Range;

/// One thing at the outermost level of a dump.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece {
    /// A `--` line, without its line end.
    Comment(Range<usize>),
    /// A statement, with its semicolon.
    Statement(Range<usize>),
    /// `COPY … FROM stdin;` and its lines, without the closing `\.`.
    Copy { statement: Range<usize>, data: Range<usize> },
    /// A line that begins with a backslash.
    Meta(Range<usize>),
}

/// What stopped the scan: a statement or COPY data that never ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unfinished {
    /// Where the unfinished thing begins.
    pub(super) at: usize,
}

/// All pieces of a dump in order.
pub(super) fn pieces(text: &str) -> Result<Vec<Piece>, Unfinished> {
    let bytes = text.as_bytes();
    let mut found = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            b if b.is_ascii_whitespace() => at += 1,
            b'-' if bytes[at..].starts_with(b"--") => {
                let end = line_end(bytes, at);
                found.push(Piece::Comment(at..end));
                at = end;
            }
            b'\\' => {
                let end = line_end(bytes, at);
                found.push(Piece::Meta(at..end));
                at = end;
            }
            _ => {
                let end = statement_end(bytes, at).ok_or(Unfinished { at })?;
                let statement = at..end;
                if is_copy_from_stdin(&text[statement.clone()]) {
                    let data = copy_data(bytes, end).ok_or(Unfinished { at })?;
                    at = (data.end + 3).min(bytes.len());
                    found.push(Piece::Copy { statement, data });
                } else {
                    at = end;
                    found.push(Piece::Statement(statement));
                }
            }
        }
    }
    Ok(found)
}

fn line_end(bytes: &[u8], at: usize) -> usize {
    bytes[at..].iter().position(|&b| b == b'\n').map_or(bytes.len(), |n| at + n)
}

fn is_copy_from_stdin(statement: &str) -> bool {
    statement.starts_with("COPY ") && statement.ends_with(" FROM stdin;")
}

/// The lines between a COPY statement and its `\.`; both the range's ends stand at the beginning of a line.
fn copy_data(bytes: &[u8], statement_end: usize) -> Option<Range<usize>> {
    let start = line_end(bytes, statement_end) + 1;
    let mut at = start;
    while at < bytes.len() {
        let end = line_end(bytes, at);
        if &bytes[at..end] == b"\\." {
            return Some(start..at);
        }
        at = end + 1;
    }
    None
}

/// The offset after the semicolon that ends the statement which begins at `start`.
fn statement_end(bytes: &[u8], start: usize) -> Option<usize> {
    let mut scan = Scanner::new(bytes, start);
    loop {
        match scan.next()? {
            Token::Punctuation(b';') if scan.depth == 0 && scan.atomic == 0 => return Some(scan.at),
            _ => {}
        }
    }
}

/// What [`Scanner`] tells apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Token {
    /// An unquoted word or number.
    Word(Range<usize>),
    /// A `"quoted identifier"`, with its quotes.
    Quoted(Range<usize>),
    /// A string of any kind, with its quotes.
    Literal(Range<usize>),
    /// Anything else but white space and comments.
    Punctuation(u8),
}

/// Walks over the tokens of SQL text, keeping the depth of parentheses and of `BEGIN ATOMIC` blocks.
pub(super) struct Scanner<'a> {
    bytes: &'a [u8],
    /// Offset after the last token.
    pub(super) at: usize,
    /// Open parentheses.
    pub(super) depth: usize,
    atomic: usize,
    after_begin: bool,
}

impl<'a> Scanner<'a> {
    pub(super) fn new(bytes: &'a [u8], at: usize) -> Self {
        Scanner { bytes, at, depth: 0, atomic: 0, after_begin: false }
    }

    /// The next token; `None` at the end of the text, and where a quote is never closed.
    pub(super) fn next(&mut self) -> Option<Token> {
        self.skip_blanks()?;
        let start = self.at;
        let token = match *self.bytes.get(start)? {
            b'\'' => {
                self.string(start + 1, false)?;
                Token::Literal(start..self.at)
            }
            b'"' => {
                self.until_closing(start + 1, b'"')?;
                Token::Quoted(start..self.at)
            }
            b'$' if self.dollar_quote()? => Token::Literal(start..self.at),
            b if is_word(b) => self.word(start)?,
            b => {
                match b {
                    b'(' => self.depth += 1,
                    b')' => self.depth = self.depth.saturating_sub(1),
                    _ => {}
                }
                self.at += 1;
                Token::Punctuation(b)
            }
        };
        if !matches!(token, Token::Word(_)) {
            self.after_begin = false;
        }
        Some(token)
    }

    fn word(&mut self, start: usize) -> Option<Token> {
        while self.bytes.get(self.at).is_some_and(|&b| is_word(b) || b == b'$') {
            self.at += 1;
        }
        let word = &self.bytes[start..self.at];
        if self.bytes.get(self.at) == Some(&b'\'') && (word.eq_ignore_ascii_case(b"e") || word.len() == 1) {
            self.string(self.at + 1, word.eq_ignore_ascii_case(b"e"))?;
            return Some(Token::Literal(start..self.at));
        }
        if self.after_begin && word.eq_ignore_ascii_case(b"atomic") {
            self.atomic = 1;
        } else if self.atomic > 0 && word.eq_ignore_ascii_case(b"case") {
            self.atomic += 1;
        } else if self.atomic > 0 && word.eq_ignore_ascii_case(b"end") {
            self.atomic -= 1;
        }
        self.after_begin = word.eq_ignore_ascii_case(b"begin");
        Some(Token::Word(start..self.at))
    }

    fn skip_blanks(&mut self) -> Option<()> {
        loop {
            let rest = self.bytes.get(self.at..)?;
            if rest.first()?.is_ascii_whitespace() {
                self.at += 1;
            } else if rest.starts_with(b"--") {
                self.at = line_end(self.bytes, self.at);
            } else if rest.starts_with(b"/*") {
                self.block_comment()?;
            } else {
                return Some(());
            }
        }
    }

    fn block_comment(&mut self) -> Option<()> {
        let mut depth = 0;
        loop {
            let rest = self.bytes.get(self.at..)?;
            if rest.starts_with(b"/*") {
                depth += 1;
                self.at += 2;
            } else if rest.starts_with(b"*/") {
                depth -= 1;
                self.at += 2;
                if depth == 0 {
                    return Some(());
                }
            } else {
                rest.first()?;
                self.at += 1;
            }
        }
    }

    fn string(&mut self, from: usize, backslashes: bool) -> Option<()> {
        let mut at = from;
        loop {
            match *self.bytes.get(at)? {
                b'\\' if backslashes => at += 2,
                b'\'' if self.bytes.get(at + 1) == Some(&b'\'') => at += 2,
                b'\'' => break,
                _ => at += 1,
            }
        }
        self.at = at + 1;
        Some(())
    }

    fn until_closing(&mut self, from: usize, quote: u8) -> Option<()> {
        let mut at = from;
        loop {
            if *self.bytes.get(at)? == quote {
                if self.bytes.get(at + 1) != Some(&quote) {
                    break;
                }
                at += 1;
            }
            at += 1;
        }
        self.at = at + 1;
        Some(())
    }

    /// Passes a dollar-quoted string if one begins here; a lone `$` (a parameter) is none.
    fn dollar_quote(&mut self) -> Option<bool> {
        let rest = &self.bytes[self.at..];
        let tag = rest[1..].iter().take_while(|&&b| is_word(b)).count() + 2;
        if rest.get(tag - 1) != Some(&b'$') || rest[1].is_ascii_digit() {
            return Some(false);
        }
        let (opening, body) = rest.split_at(tag);
        let close = body.windows(tag).position(|w| w == opening)?;
        self.at += tag + close + tag;
        Some(true)
    }
}

fn is_word(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b == b'_' || b >= 0x80
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn texts(sql: &str) -> Vec<&str> {
        pieces(sql)
            .unwrap()
            .into_iter()
            .map(|piece| match piece {
                Piece::Comment(r) | Piece::Statement(r) | Piece::Meta(r) => &sql[r],
                Piece::Copy { data, .. } => &sql[data],
            })
            .collect()
    }

    #[test]
    fn literals_hide_what_looks_like_a_heading() {
        let sql =
            "COMMENT ON TABLE a IS '\n--\n-- Name: x; Type: TABLE;\n';\nSELECT $a$;$$;$a$, E'\\';', \";\"\"\";\n--x";
        assert_eq!(texts(sql).len(), 3);
    }

    #[test]
    fn bodies_and_rules_are_one_statement() {
        let sql = "CREATE FUNCTION f() RETURNS int LANGUAGE sql\n BEGIN ATOMIC\n SELECT CASE WHEN true THEN 1 END;\n\
                   SELECT 2;\nEND;\nCREATE RULE r AS ON INSERT TO t DO ALSO (SELECT 1; SELECT 2);";
        assert_eq!(texts(sql).len(), 2);
    }

    #[test]
    fn copy_data_ends_at_its_mark_only() {
        let sql = "COPY public.t (a) FROM stdin;\nx;'\n-- Name: y\n\\.x\n\\.\n\\restrict abc\nSELECT 1;";
        assert_eq!(texts(sql), ["x;'\n-- Name: y\n\\.x\n", "\\restrict abc", "SELECT 1;"]);
        assert_eq!(pieces("COPY public.t (a) FROM stdin;\nx\n"), Err(Unfinished { at: 0 }));
    }

    proptest! {
        #[test]
        fn never_panics_and_stays_in_bounds(text in "[ -~\n']{0,80}|[$a'\"\\\\;()\n-]{0,40}") {
            if let Ok(found) = pieces(&text) {
                for piece in found {
                    let range = match piece {
                        Piece::Comment(r) | Piece::Statement(r) | Piece::Meta(r) => r,
                        Piece::Copy { data, .. } => data,
                    };
                    prop_assert!(text.get(range).is_some());
                }
            }
        }
    }
}
