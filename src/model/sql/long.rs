//! Which statements may take long: those whose time depends on how many rows there are.

/// Verbs that read or write rows, or run what does.
const VERBS: [&str; 14] = [
    "analyze", "call", "cluster", "copy", "delete", "do", "merge", "refresh", "reindex", "select", "update", "vacuum",
    "values", "with",
];
/// So much of a statement says what it is.
const HEAD: usize = 400;

/// Whether a statement may take long. Definitions and rows that are written out do not.
pub fn may_take_long(statement: &str) -> bool {
    let mut end = statement.len().min(HEAD);
    while !statement.is_char_boundary(end) {
        end -= 1;
    }
    let words: Vec<String> = statement[..end]
        .split(|c: char| !(c.is_alphanumeric() || c == '_'))
        .filter(|word| !word.is_empty())
        .map(str::to_ascii_lowercase)
        .collect();
    let Some((verb, rest)) = words.split_first() else { return false };
    let has = |wanted: &[&str]| rest.iter().any(|word| wanted.contains(&word.as_str()));
    let first = rest.first().map(String::as_str);
    match verb.as_str() {
        "insert" => has(&["select", "with", "table"]),
        "alter" => matches!(first, Some("table" | "domain")),
        "create" => match first {
            Some("index" | "unique" | "materialized") => true,
            Some("table" | "unlogged") => has(&["select", "as", "with"]),
            _ => false,
        },
        verb => VERBS.contains(&verb),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_make_a_statement_long() {
        for long in [
            "UPDATE t SET a = 1",
            "insert into t select 1",
            "ALTER TABLE t ADD COLUMN a int",
            "CREATE UNIQUE INDEX i ON t (a)",
            "CREATE TABLE t AS SELECT 1",
            "DO $$ $$",
            "REFRESH MATERIALIZED VIEW v",
        ] {
            assert!(may_take_long(long), "{long}");
        }
        for short in ["INSERT INTO t VALUES (1)", "CREATE TABLE t (a int)", "CREATE FUNCTION f() …", "COMMENT ON …", ""]
        {
            assert!(!may_take_long(short), "{short}");
        }
    }
}
