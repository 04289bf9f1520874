//! Which of several scripts speaks of an object: by names in its words, never by substrings.

use super::words::{WordKind, Words};
use super::{main_object, split};

/// How strongly a script speaks of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mention {
    /// Its names do not stand there.
    None,
    /// All of them stand somewhere, perhaps within a body.
    Named,
    /// A statement acts on it.
    ActedOn,
}

/// How strongly a script speaks of what these names name together: a table, and perhaps what stands on it.
pub fn mention(text: &str, names: &[&str]) -> Mention {
    // A body may name a table that no statement of the file acts on.
    let all = names.iter().all(|name| stands_in(text, name));
    if !all {
        return Mention::None;
    }
    let acts = |statement: &str| {
        let object = main_object(statement).and_then(|object| last(&object.name));
        let on_it = object.as_deref().is_some_and(|object| names.contains(&object));
        on_it && names.iter().all(|name| stands_in(statement, name))
    };
    let statements = split(text).unwrap_or_default();
    let acted = statements.iter().any(|statement| acts(&text[statement.range.clone()]));
    if acted { Mention::ActedOn } else { Mention::Named }
}

fn stands_in(text: &str, name: &str) -> bool {
    Words::new(text).any(|word| match word.kind {
        WordKind::Bare | WordKind::Quoted => plain(word.text) == name,
        WordKind::Text => body(word.text).is_some_and(|body| stands_in(body, name)),
        WordKind::Symbol => false,
    })
}

/// The text within dollar quotes.
fn body(literal: &str) -> Option<&str> {
    let rest = literal.strip_prefix('$')?;
    let (tag, rest) = rest.split_once('$')?;
    rest.strip_suffix('$')?.strip_suffix(tag)?.strip_suffix('$')
}

/// The last part of a qualified name, as the catalogs have it.
pub fn last_name(name: &str) -> String {
    last(name).unwrap_or_default()
}

/// Whether two names may be of one object, of which one may be qualified and the other not.
pub fn same_name(one: &str, other: &str) -> bool {
    let parts = |name: &str| {
        let words = Words::new(name).filter(|word| matches!(word.kind, WordKind::Bare | WordKind::Quoted));
        words.map(|word| plain(word.text)).collect::<Vec<_>>()
    };
    let (one, other) = (parts(one), parts(other));
    one.ends_with(&other) || other.ends_with(&one)
}

fn last(name: &str) -> Option<String> {
    let mut words = Words::new(name).filter(|word| matches!(word.kind, WordKind::Bare | WordKind::Quoted));
    let mut found = words.next()?;
    for word in words {
        found = word;
    }
    Some(plain(found.text))
}

/// A name as the catalogs have it: without its quotes, or in lower case.
pub(super) fn plain(word: &str) -> String {
    match word.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        Some(inner) => inner.replace("\"\"", "\""),
        None => word.to_lowercase(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_count_where_they_are_words() {
        let text = "ALTER TABLE shop.Orders ADD COLUMN total int; -- invoices\nSELECT 'payments';";
        assert_eq!(mention(text, &["orders"]), Mention::ActedOn);
        assert_eq!(mention(text, &["orders", "total"]), Mention::ActedOn);
        assert_eq!(mention(text, &["orders", "note"]), Mention::None);
        assert_eq!(mention(text, &["invoices"]), Mention::None);
        assert_eq!(mention(text, &["payments"]), Mention::None);
        assert_eq!(mention(text, &["order"]), Mention::None);
        assert_eq!(mention("DO $x$ BEGIN EXECUTE 'x'; UPDATE orders SET a = 1; END $x$;", &["orders"]), Mention::Named);
        assert_eq!(mention("CREATE INDEX i ON \"Orders\" (a)", &["Orders", "i"]), Mention::ActedOn);
    }
}
