//! Finds a password that stands literally in a statement, where it would stay in git for ever.
//!
//! Looks at the statements that PostgreSQL gives passwords to: roles, user mappings, servers, subscriptions. A hash of
//! a password counts too. Text inside functions and `DO` blocks is not looked into.

use std::ops::Range;

use super::words::{Word, WordKind, Words};

/// Where in the statement, in bytes, a literal password stands (the whole string, with its quotes).
pub fn literal_password(statement: &str) -> Option<Range<usize>> {
    let mut words = Words::new(statement);
    let command = words.next()?;
    if !command.is("create") && !command.is("alter") {
        return None;
    }
    let first = words.next()?;
    let mapping = first.is("user") && words.eat(&["mapping"]);
    if mapping || first.is("server") {
        string_after(words, |word| word.is("password") || word.text == "\"password\"")
    } else if first.is("role") || first.is("user") || first.is("group") {
        string_after(words, |word| word.is("password"))
    } else if first.is("subscription") {
        let connection = string_after(words, |word| word.is("connection"))?;
        has_password(&statement[connection.clone()]).then_some(connection)
    } else {
        None
    }
}

/// The first string that follows a word, unless it is empty.
fn string_after(mut words: Words, is_keyword: impl Fn(&Word) -> bool) -> Option<Range<usize>> {
    while let Some(word) = words.next() {
        if !is_keyword(&word) {
            continue;
        }
        if let Some(value) = words.peek(0)
            && value.kind == WordKind::Text
            && value.text != "''"
        {
            return Some(value.start..value.start + value.text.len());
        }
    }
    None
}

/// Whether a connection string, as key/value pairs or as a URL, holds a password.
fn has_password(connection: &str) -> bool {
    let lower = connection.to_ascii_lowercase();
    let key = lower.match_indices("password").any(|(at, key)| {
        let before = lower[..at].chars().next_back();
        let after = lower[at + key.len()..].trim_start().strip_prefix('=').map(str::trim_start);
        let value = after.and_then(|after| after.chars().next());
        before.is_none_or(|c| !c.is_alphanumeric() && c != '_') && value.is_some_and(|c| c != '\'' && c != '&')
            // Within the quoted connection string, a quoted value begins with two quotes.
            || after.is_some_and(|after| after.starts_with("''") && !after.starts_with("''''"))
    });
    let url = lower.split_once("://").is_some_and(|(_, rest)| {
        let authority = rest.split(['/', '?', '\'']).next().unwrap_or(rest);
        authority.rsplit_once('@').and_then(|(user, _)| user.split_once(':')).is_some_and(|(_, word)| !word.is_empty())
    });
    key || url
}
