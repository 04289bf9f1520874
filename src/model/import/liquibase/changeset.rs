//! A changeset, whatever format it was written in, and the checksum that Liquibase remembers of it.

use md5::{Digest as _, Md5};

/// What happens where a precondition does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Precondition {
    /// `onFail`, in capitals.
    pub on_fail: String,
    /// A query for one value.
    pub query: String,
    /// The value that lets the changeset run.
    pub expect: String,
    /// Its line.
    pub line: usize,
}

/// One changeset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChangeSet {
    /// `id`.
    pub id: String,
    /// `author`.
    pub author: String,
    /// The path that is part of its identity: that of its file, or `logicalFilePath`.
    pub path: String,
    /// The file that it stands in.
    pub file: String,
    /// Its line there.
    pub line: usize,
    /// `runOnChange`.
    pub run_on_change: bool,
    /// `runAlways`.
    pub run_always: bool,
    /// `runInTransaction`.
    pub transaction: bool,
    /// `contextFilter` or `context`, its own and that of every include around it.
    pub contexts: Vec<String>,
    /// What must hold.
    pub preconditions: Vec<Precondition>,
    /// The SQL that dbbuild runs.
    pub sql: String,
    /// The SQL of each change as Liquibase takes its checksum.
    pub changes: Vec<String>,
    /// What takes it back.
    pub rollback: Option<String>,
    /// Whether `validCheckSum` lets other texts count as this one.
    pub any_checksum: bool,
    /// Files besides its own that are in it.
    pub others: Vec<String>,
}

impl ChangeSet {
    /// The key under which `databasechangelog` knows it.
    pub fn key(&self) -> String {
        format!("{}::{}::{}", self.path, self.id, self.author)
    }

    /// `MD5SUM` of version 9: over the sums of the changes, each over its text without white space.
    pub fn checksum(&self) -> String {
        let sum =
            |text: &str| format!("9:{}:", md5_hex(text.chars().filter(|c| !matches!(c, ' ' | '\t' | '\r' | '\n'))));
        let sums: String = self.changes.iter().map(|change| sum(change)).collect();
        format!("9:{}", md5_hex(sums.chars()))
    }
}

fn md5_hex(text: impl Iterator<Item = char>) -> String {
    let text: String = text.collect();
    Md5::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A text that other SQL may follow.
pub fn ended(sql: &str) -> String {
    let sql = sql.trim_end();
    if sql.ends_with(';') || sql.is_empty() { format!("{sql}\n") } else { format!("{sql}\n;\n") }
}

/// The text with `;` for another end of statements: `/`, `GO` or `//` on a line of its own or at its end.
pub fn with_semicolons(sql: &str, delimiter: Option<&str>) -> String {
    let delimiter = delimiter.map(|text| text.trim_start_matches("\\n").trim_end_matches('$').trim());
    let Some(delimiter) = delimiter.filter(|text| !text.is_empty() && *text != ";") else {
        if !sql.lines().any(|line| line.trim().eq_ignore_ascii_case("go")) {
            return sql.to_owned();
        }
        return replaced(sql, "go");
    };
    replaced(sql, delimiter)
}

fn replaced(sql: &str, delimiter: &str) -> String {
    let mut out = String::with_capacity(sql.len());
    for line in sql.split_inclusive('\n') {
        let (content, end) = line.strip_suffix('\n').map_or((line, ""), |content| (content, "\n"));
        let trimmed = content.trim_end();
        if content.trim_start().starts_with("--") {
            out.push_str(line);
            continue;
        }
        let at = trimmed
            .len()
            .checked_sub(delimiter.len())
            .filter(|at| trimmed.get(*at..).is_some_and(|tail| tail.eq_ignore_ascii_case(delimiter)));
        let word = delimiter.chars().all(|c| c.is_ascii_alphanumeric());
        match at.filter(|at| !word || trimmed[..*at].trim().is_empty()) {
            Some(at) if out.trim_end().ends_with(';') && trimmed[..at].trim().is_empty() => out.push_str(end),
            Some(at) => out.push_str(&format!("{};{end}", trimmed[..at].trim_end_matches(';'))),
            None => out.push_str(line),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(changes: &[&str]) -> String {
        let changes = changes.iter().map(|change| (*change).to_owned()).collect();
        let empty = String::new;
        ChangeSet {
            id: empty(),
            author: empty(),
            path: empty(),
            file: empty(),
            line: 0,
            run_on_change: false,
            run_always: false,
            transaction: true,
            contexts: Vec::new(),
            preconditions: Vec::new(),
            sql: empty(),
            changes,
            rollback: None,
            any_checksum: false,
            others: Vec::new(),
        }
        .checksum()
    }

    #[test]
    fn checksums_are_those_of_liquibase() {
        // As Liquibase 4.28.1 wrote them into its table.
        assert_eq!(sum(&["create   table t1 (\n  a int -- note joe\n);"]), "9:dee142e231abdb6c45d1ebd5f118efc7");
        assert_eq!(sum(&["select 1; select 2;", "create table f1 (a int);\n"]), "9:ba4dc54c0b06dcd57793d7adf355b8b2");
    }

    #[test]
    fn other_delimiters_become_semicolons() {
        let of = |sql: &str, delimiter: Option<&str>| with_semicolons(sql, delimiter);
        assert_eq!(of("select 1\n/\nselect 2/\n", Some("/")), "select 1\n;\nselect 2;\n");
        assert_eq!(
            of("create function f() … $$;\n/\nselect 1/2;\n", Some("\\n/$")),
            "create function f() … $$;\n\nselect 1/2;\n"
        );
        assert_eq!(of("select 1\nGO\nselect cargo", None), "select 1\n;\nselect cargo");
        assert_eq!(of("select 1;", None), "select 1;");
    }
}
