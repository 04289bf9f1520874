//! The words of one statement, without white space and comments, read on demand.
//!
//! For looking at how a statement begins; only a caller that seeks a word far in reads far in.

use std::collections::VecDeque;

use squawk_lexer::{LiteralKind, Token, TokenKind, tokenize};

/// What a word is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum WordKind {
    /// A keyword or name without quotes.
    Bare,
    /// A name in double quotes.
    Quoted,
    /// A string in any of its forms.
    Text,
    /// A single character, or a number.
    Symbol,
}

/// A word and where it begins in the statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Word<'a> {
    pub kind: WordKind,
    pub text: &'a str,
    pub start: usize,
}

impl Word<'_> {
    pub fn is(&self, keyword: &str) -> bool {
        self.kind == WordKind::Bare && self.text.eq_ignore_ascii_case(keyword)
    }

    pub fn symbol(&self, symbol: &str) -> bool {
        self.kind == WordKind::Symbol && self.text == symbol
    }

    fn is_name(&self) -> bool {
        matches!(self.kind, WordKind::Bare | WordKind::Quoted)
    }
}

/// A cursor over the words.
pub(super) struct Words<'a> {
    text: &'a str,
    position: usize,
    tokens: Box<dyn Iterator<Item = Token> + 'a>,
    ahead: VecDeque<Word<'a>>,
}

impl<'a> Words<'a> {
    pub fn new(statement: &'a str) -> Words<'a> {
        Words { text: statement, position: 0, tokens: Box::new(tokenize(statement)), ahead: VecDeque::new() }
    }

    fn read(&mut self) -> Option<Word<'a>> {
        loop {
            let token = self.tokens.next()?;
            let start = self.position;
            self.position += token.len as usize;
            let kind = match token.kind {
                TokenKind::Whitespace | TokenKind::LineComment | TokenKind::BlockComment { .. } => continue,
                TokenKind::Ident => WordKind::Bare,
                TokenKind::QuotedIdent { .. } => WordKind::Quoted,
                TokenKind::Literal { kind: LiteralKind::Int { .. } | LiteralKind::Numeric { .. } } => WordKind::Symbol,
                TokenKind::Literal { .. } => WordKind::Text,
                _ => WordKind::Symbol,
            };
            return Some(Word { kind, text: &self.text[start..self.position], start });
        }
    }

    /// The word `n` places ahead; 0 is the next one.
    pub fn peek(&mut self, n: usize) -> Option<Word<'a>> {
        while self.ahead.len() <= n {
            let word = self.read()?;
            self.ahead.push_back(word);
        }
        self.ahead.get(n).copied()
    }

    /// Whether the word `n` places ahead is this keyword.
    pub fn is(&mut self, n: usize, keyword: &str) -> bool {
        self.peek(n).is_some_and(|word| word.is(keyword))
    }

    /// Whether the next word is this single character.
    pub fn is_symbol(&mut self, symbol: &str) -> bool {
        self.peek(0).is_some_and(|word| word.symbol(symbol))
    }

    /// Steps over these keywords if they come next, all of them.
    pub fn eat(&mut self, keywords: &[&str]) -> bool {
        let found = keywords.iter().enumerate().all(|(n, keyword)| self.is(n, keyword));
        if found {
            self.ahead.drain(..keywords.len());
        }
        found
    }

    /// Steps over keywords given as one text with single spaces between.
    pub fn eat_phrase(&mut self, phrase: &str) -> bool {
        let found = phrase.split(' ').enumerate().all(|(n, keyword)| self.is(n, keyword));
        if found {
            self.ahead.drain(..phrase.split(' ').count());
        }
        found
    }

    /// Steps over the first of these keywords that comes next and gives it.
    pub fn eat_any(&mut self, keywords: &[&'static str]) -> Option<&'static str> {
        keywords.iter().find(|keyword| self.eat(&[keyword])).copied()
    }

    /// Steps over `IF EXISTS` or `IF NOT EXISTS`.
    pub fn eat_if_exists(&mut self) -> bool {
        self.eat(&["if", "exists"]) || self.eat(&["if", "not", "exists"])
    }

    /// Steps over a parenthesis with all that is in it, if one opens here.
    pub fn eat_parenthesis(&mut self) {
        if !self.is_symbol("(") {
            return;
        }
        let mut depth = 0;
        for word in self.by_ref() {
            match word.text {
                "(" if word.kind == WordKind::Symbol => depth += 1,
                ")" if word.kind == WordKind::Symbol => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                return;
            }
        }
    }

    /// A name with its qualification, as written: `public."Order"`.
    pub fn name(&mut self) -> Option<String> {
        let mut name = String::new();
        loop {
            let word = self.peek(0).filter(Word::is_name)?;
            name.push_str(word.text);
            self.next();
            if !self.is_symbol(".") {
                return Some(name);
            }
            self.next();
            name.push('.');
        }
    }

    /// Names between commas, at least one.
    pub fn names(&mut self) -> Vec<String> {
        let mut names = Vec::new();
        while let Some(name) = self.name() {
            names.push(name);
            if !self.is_symbol(",") {
                break;
            }
            self.next();
        }
        names
    }

    /// Goes on to the next of these keywords that stands outside parentheses, over it, and gives it.
    pub fn seek(&mut self, keywords: &[&'static str]) -> Option<&'static str> {
        loop {
            self.peek(0)?;
            if let Some(keyword) = self.eat_any(keywords) {
                return Some(keyword);
            }
            if self.is_symbol("(") {
                self.eat_parenthesis();
            } else {
                self.next();
            }
        }
    }
}

impl<'a> Iterator for Words<'a> {
    type Item = Word<'a>;

    fn next(&mut self) -> Option<Word<'a>> {
        self.ahead.pop_front().or_else(|| self.read())
    }
}
