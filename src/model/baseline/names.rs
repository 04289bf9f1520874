//! Role and object names inside the statements of a dump: finding, comparing and replacing them.
//!
//! It reads tokens, never substrings, so that a name inside a literal or a quoted identifier is left alone.

use super::scan::{Scanner, Token};
use std::ops::Range;

/// What stands for the role that loads the baseline.
pub(super) const LOADER: &str = "CURRENT_USER";

/// A token and the depth of parentheses at which it stands.
#[derive(Debug, Clone)]
pub(super) struct Placed {
    pub(super) token: Token,
    pub(super) depth: usize,
}

impl Placed {
    /// Where it stands, for words, quoted identifiers and literals.
    pub(super) fn range(&self) -> Option<Range<usize>> {
        match &self.token {
            Token::Word(r) | Token::Quoted(r) | Token::Literal(r) => Some(r.clone()),
            Token::Punctuation(_) => None,
        }
    }

    /// Whether it is this unquoted word.
    pub(super) fn is_word(&self, text: &str, word: &str) -> bool {
        matches!(&self.token, Token::Word(r) if text[r.clone()].eq_ignore_ascii_case(word))
    }
}

/// The tokens of one statement.
pub(super) fn tokens(text: &str) -> Vec<Placed> {
    let mut scan = Scanner::new(text.as_bytes(), 0);
    let mut found = Vec::new();
    while let Some(token) = scan.next() {
        found.push(Placed { token, depth: scan.depth });
    }
    found
}

/// The name that an identifier as written stands for.
pub(super) fn unquote(identifier: &str) -> String {
    match identifier.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        Some(inner) => inner.replace("\"\"", "\""),
        None => identifier.to_ascii_lowercase(),
    }
}

/// The value of a string literal as `pg_dump` writes it.
pub(super) fn literal_value(text: &str) -> Option<String> {
    if let Some(inner) = text.strip_prefix("E'").and_then(|rest| rest.strip_suffix('\'')) {
        return Some(inner.replace("''", "'").replace("\\\\", "\\"));
    }
    Some(text.strip_prefix('\'')?.strip_suffix('\'')?.replace("''", "'"))
}

/// The identifiers of a qualified name, unquoted.
fn name_parts(qualified: &str) -> Vec<String> {
    tokens(qualified).iter().filter_map(Placed::range).map(|r| unquote(&qualified[r])).collect()
}

/// `t` of `s.t`.
pub(super) fn last_name(qualified: &str) -> Option<String> {
    name_parts(qualified).pop()
}

/// `s` of `s.t`.
pub(super) fn schema_name(qualified: &str) -> Option<String> {
    name_parts(qualified).into_iter().rev().nth(1)
}

/// Replaces ranges of a text; they must be in order and apart.
pub(super) fn splice(text: &str, changes: &[(Range<usize>, String)]) -> String {
    let mut out = String::with_capacity(text.len());
    let mut from = 0;
    for (range, with) in changes {
        out.push_str(&text[from..range.start]);
        out.push_str(with);
        from = range.end;
    }
    out.push_str(&text[from..]);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::sql::{identifier, literal};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn quoting_is_undone(name in "\\PC{1,20}") {
            prop_assert_eq!(unquote(&identifier(&name)), name.clone());
            prop_assert_eq!(literal_value(&literal(&name)), Some(name));
        }
    }
}
