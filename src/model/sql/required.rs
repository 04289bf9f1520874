//! The NOT NULL of a column that an `ALTER TABLE` adds.

use super::mention::plain;
use super::words::{WordKind, Words};
use std::ops::Range;

/// Words that begin a constraint of the table, after `ADD`; none of them is a column's name without quotes.
const CONSTRAINTS: [&str; 7] = ["constraint", "primary", "unique", "foreign", "check", "exclude", "not"];

/// Where `NOT NULL` stands in the `ALTER TABLE` that adds this column, named as PostgreSQL keeps it. None where the
/// statement adds no such column, where it may be null, and where the constraint has a name.
pub fn not_null_of_added(statement: &str, column: &str) -> Option<Range<usize>> {
    let mut words = Words::new(statement);
    if !words.eat(&["alter", "table"]) {
        return None;
    }
    words.eat_if_exists();
    words.eat(&["only"]);
    words.name()?;
    if words.is_symbol("*") {
        words.next();
    }
    loop {
        let adds = words.eat(&["add"]) && !CONSTRAINTS.iter().any(|word| words.is(0, word));
        let ours = adds && {
            words.eat(&["column"]);
            words.eat_if_exists();
            let name = words.next().filter(|word| matches!(word.kind, WordKind::Bare | WordKind::Quoted))?;
            plain(name.text) == column
        };
        let mut named = false;
        // To the comma that ends it.
        loop {
            let word = words.peek(0)?;
            if word.symbol(",") {
                words.next();
                break;
            }
            if ours && word.is("not") && words.is(1, "null") {
                let null = words.peek(1)?;
                return (!named).then(|| word.start..null.start + null.text.len());
            }
            if word.symbol("(") {
                words.eat_parenthesis();
                continue;
            }
            words.next();
            named = word.is("constraint");
            if named {
                words.name()?;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_constraint_of_the_added_column_is_found() {
        // What stands before it.
        let check = |statement: &str, column: &str, expected: Option<&str>| {
            let found = not_null_of_added(statement, column);
            assert_eq!(found.as_ref().and_then(|range| statement.get(..range.start)), expected, "{statement}");
            let words = found.and_then(|range| statement.get(range)).unwrap_or("not null").to_ascii_lowercase();
            assert!(words.starts_with("not ") && words.ends_with(" null"), "{words}");
        };
        check("ALTER TABLE t ADD COLUMN c int NOT NULL", "c", Some("ALTER TABLE t ADD COLUMN c int "));
        let head = "alter table if exists only s.t add if not exists \"C\" int ";
        check(&format!("{head}not  null default 1"), "C", Some(head));
        let head = "ALTER TABLE t ADD a int NOT NULL, ADD b numeric(1, 2) REFERENCES x (y) ";
        check(&format!("{head}NOT /* never */ NULL, ADD d int"), "b", Some(head));
        check("ALTER TABLE t ADD a int NOT NULL, ADD b int", "b", None);
        check("ALTER TABLE t ADD b int CONSTRAINT b_there NOT NULL", "b", None);
        let head = "ALTER TABLE t ADD b int CONSTRAINT u UNIQUE ";
        check(&format!("{head}NOT NULL"), "b", Some(head));
        check("ALTER TABLE t ADD b int CHECK (b IS NOT NULL)", "b", None);
        let head = "ALTER TABLE t ADD CONSTRAINT c CHECK (c > 0), ADD c int ";
        check(&format!("{head}NOT NULL"), "c", Some(head));
        check("ALTER TABLE t ALTER COLUMN c SET NOT NULL", "c", None);
        check("CREATE TABLE t (c int NOT NULL)", "c", None);
    }
}
