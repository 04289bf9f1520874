//! The columns that an `ALTER TABLE` converts, with the expressions that it converts them by.

use super::mention::plain;
use super::words::{WordKind, Words};

/// A column that gets another type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retyped {
    /// Its name, as PostgreSQL keeps it.
    pub column: String,
    /// The expression after USING, as written.
    pub using: Option<String>,
}

/// The columns that a statement converts, in order; none where it is no `ALTER TABLE`.
pub fn retyped(statement: &str) -> Vec<Retyped> {
    let mut words = Words::new(statement);
    if !words.eat(&["alter", "table"]) {
        return Vec::new();
    }
    words.eat_if_exists();
    words.eat(&["only"]);
    if words.name().is_none() {
        return Vec::new();
    }
    if words.is_symbol("*") {
        words.next();
    }
    let mut found = Vec::new();
    loop {
        let one = subcommand(&mut words, statement);
        found.extend(one);
        // To the comma that ends it.
        loop {
            match words.peek(0) {
                None => return found,
                Some(word) if word.symbol(",") => {
                    words.next();
                    break;
                }
                Some(word) if word.symbol("(") => words.eat_parenthesis(),
                Some(_) => {
                    words.next();
                }
            }
        }
    }
}

fn subcommand(words: &mut Words<'_>, statement: &str) -> Option<Retyped> {
    if !words.eat(&["alter"]) {
        return None;
    }
    words.eat(&["column"]);
    let word = words.next().filter(|word| matches!(word.kind, WordKind::Bare | WordKind::Quoted))?;
    let column = plain(word.text);
    if !words.eat(&["set", "data", "type"]) && !words.eat(&["type"]) {
        return None;
    }
    loop {
        let word = words.peek(0).filter(|word| !word.symbol(","));
        let Some(word) = word else { return Some(Retyped { column, using: None }) };
        if word.symbol("(") {
            words.eat_parenthesis();
            continue;
        }
        words.next();
        if word.is("using") {
            break;
        }
    }
    let start = words.peek(0)?.start;
    let mut end = start;
    while let Some(word) = words.peek(0).filter(|word| !word.symbol(",")) {
        if word.symbol("(") {
            // The parenthesis ends before what follows it.
            words.eat_parenthesis();
            end = words.peek(0).map_or(statement.len(), |next| next.start);
        } else {
            end = word.start + word.text.len();
            words.next();
        }
    }
    let using = statement.get(start..end).map(|text| text.trim_end().to_owned());
    Some(Retyped { column, using })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_and_expressions_are_found() {
        let check = |statement: &str, expected: &[(&str, Option<&str>)]| {
            let found = retyped(statement);
            let found: Vec<_> = found.iter().map(|one| (one.column.as_str(), one.using.as_deref())).collect();
            assert_eq!(found, expected, "{statement}");
        };
        check("ALTER TABLE t ALTER COLUMN a TYPE int", &[("a", None)]);
        check(
            "alter table if exists only s.t alter \"A b\" set data type numeric(10, 2) using (a::text)::numeric, alter b type x",
            &[("A b", Some("(a::text)::numeric")), ("b", None)],
        );
        check(
            "ALTER TABLE t ADD COLUMN type int, ALTER s TYPE mood USING coalesce(s, 'x')::text::mood, DROP COLUMN z",
            &[("s", Some("coalesce(s, 'x')::text::mood"))],
        );
        check(
            "ALTER TABLE t ALTER a TYPE int USING (CASE WHEN a IN ('1', '2') THEN 1 END)",
            &[("a", Some("(CASE WHEN a IN ('1', '2') THEN 1 END)"))],
        );
        check("ALTER TABLE t ALTER a SET NOT NULL, ALTER COLUMN b SET DEFAULT 1", &[]);
        check("UPDATE t SET a = 1", &[]);
    }
}
