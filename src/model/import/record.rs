//! What remembers, in a committed file, which migration was what to the tool: a later take-over of a live database finds
//! the tool's keys and checksums there, though the tool's own files are gone.

use serde::{Deserialize, Serialize};

use super::Key;
use crate::error::{Error, Location, Result};

/// The name of the file in the folder of migrations; a dot file, which the sources are not made of.
pub const FILE_NAME: &str = ".imported.toml";

/// The whole file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// The tool.
    pub tool: String,
    /// Its bookkeeping table, where its configuration names another than the usual.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table: Option<String>,
    /// In order.
    #[serde(default)]
    pub migration: Vec<RecordedMigration>,
    /// Other files that the tool's bookkeeping knows.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub script: Vec<RecordedScript>,
}

/// One migration.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordedMigration {
    /// dbbuild's version.
    pub version: String,
    /// The tool's files.
    pub files: Vec<String>,
    /// What the tool's bookkeeping says of it; none: nothing.
    #[serde(default)]
    pub keys: Vec<Key>,
}

/// One repeatable or init file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecordedScript {
    /// `repeatable` or `init`.
    pub kind: String,
    /// Path below the folder of its kind.
    pub name: String,
    /// The tool's files.
    pub files: Vec<String>,
    /// What the tool's bookkeeping says of it.
    pub keys: Vec<Key>,
}

impl Record {
    /// Of a tool, still without anything.
    pub fn new(tool: &str) -> Record {
        Record { tool: tool.to_owned(), table: None, migration: Vec::new(), script: Vec::new() }
    }

    /// The text of the file: one line for each migration, so that a diff is readable.
    pub fn render(&self) -> String {
        let string = |text: &str| toml::Value::String(text.to_owned()).to_string();
        let list = |items: &[String]| items.iter().map(|item| string(item)).collect::<Vec<_>>().join(", ");
        let keys = |keys: &[Key]| {
            let one = |key: &Key| match &key.checksum {
                Some(sum) => format!("{{ key = {}, checksum = {} }}", string(&key.key), string(sum)),
                None => format!("{{ key = {} }}", string(&key.key)),
            };
            keys.iter().map(one).collect::<Vec<_>>().join(", ")
        };
        let mut out = format!(
            "# What each migration was to {0}; written by `dbbuild init --from {0}`, read by `dbbuild adopt --from {0}`.\n\
             # Commit it; it can go when no database is left that only {0} knows.\ntool = {1}\n",
            self.tool,
            string(&self.tool)
        );
        if let Some(table) = &self.table {
            out.push_str(&format!("table = {}\n", string(table)));
        }
        let mut block = |head: &str, lines: Vec<String>| {
            if !lines.is_empty() {
                out.push_str(&format!("{head} = [\n{}]\n", lines.concat()));
            }
        };
        let migration = |m: &RecordedMigration| {
            format!(
                "  {{ version = {}, files = [{}], keys = [{}] }},\n",
                string(&m.version),
                list(&m.files),
                keys(&m.keys)
            )
        };
        block("migration", self.migration.iter().map(migration).collect());
        let script = |s: &RecordedScript| {
            let (kind, name) = (string(&s.kind), string(&s.name));
            format!("  {{ kind = {kind}, name = {name}, files = [{}], keys = [{}] }},\n", list(&s.files), keys(&s.keys))
        };
        block("script", self.script.iter().map(script).collect());
        out
    }

    /// Reads it; `path` is how messages name it.
    pub fn parse(text: &str, path: &str) -> Result<Record> {
        toml::from_str(text).map_err(|error| {
            let line = error.span().map_or(0, |span| text[..span.start].matches('\n').count() + 1);
            Error::failed("is not what `dbbuild init --from` wrote")
                .at(Location::new(path, line, 0))
                .cause(error.message())
                .help("take it from git again: `git checkout -- FILE`")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_read_as_it_was_written() {
        let mut record = Record::new("sqlx");
        record.table = Some("a.\"b\"".to_owned());
        for (version, checksum) in [("1", None), ("2", Some("0f\n".to_owned()))] {
            let keys = vec![Key { key: version.to_owned(), checksum }];
            let files = vec![format!("m/{version}_\"x\".sql")];
            record.migration.push(RecordedMigration { version: version.to_owned(), files, keys });
        }
        let keys = vec![Key::plain("v")];
        let (kind, name) = ("repeatable".to_owned(), "v.sql".to_owned());
        record.script.push(RecordedScript { kind, name, files: Vec::new(), keys });
        let text = record.render();
        assert_eq!(Record::parse(&text, "r").unwrap(), record, "{text}");
        assert_eq!(text.lines().filter(|line| line.contains("version =")).count(), 2);
    }

    #[test]
    fn a_damaged_one_is_told_with_its_line() {
        let text = "tool = \"sqlx\"\nmigration = [\n  { version = \"1\" ";
        let error = Record::parse(text, "db/migrations/.imported.toml").unwrap_err();
        assert_eq!(error.location().map(|at| at.path.as_str()), Some("db/migrations/.imported.toml"));
        assert!(error.location().unwrap().line >= 3, "{error}");
    }
}
