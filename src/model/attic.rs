//! What a down part would lose, as the attic keeps it: entries and reports as values.
//!
//! How they are found, kept and given back is [`crate::engine::attic`]'s; what two looks at a database mean stands in
//! [`effect`].

pub mod effect;
pub mod given;

use crate::model::sql::identifier;
use std::fmt;

/// The schema of the attic in a database.
pub const SCHEMA: &str = "dbbuild_attic";

/// The newest form of the attic that this dbbuild understands.
pub const FORMAT: i32 = 1;

/// What an entry holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Every row of a table that was dropped or emptied.
    Table,
    /// The values of dropped columns, row by row.
    Column,
    /// Single values that were changed, with what they became.
    Value,
    /// Single rows.
    Row,
    /// The position of a sequence.
    Sequence,
}

/// Why something was kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// Its table, column or sequence was dropped.
    Dropped,
    /// Its table was truncated.
    Emptied,
    /// The older type holds another value.
    Narrowed,
    /// The down part wrote another value.
    Changed,
    /// The down part deleted it.
    Deleted,
    /// The older schema cannot hold it.
    Refused,
    /// It refers to a row that was refused.
    Dependent,
}

impl Kind {
    /// All of them.
    pub const ALL: [Kind; 5] = [Kind::Table, Kind::Column, Kind::Value, Kind::Row, Kind::Sequence];

    /// The word in the attic and in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Table => "table",
            Kind::Column => "column",
            Kind::Value => "value",
            Kind::Row => "row",
            Kind::Sequence => "sequence",
        }
    }

    /// The kind that a word of the attic means.
    pub fn parse(word: &str) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| kind.as_str() == word)
    }
}

impl Reason {
    /// All of them.
    pub const ALL: [Reason; 7] = [
        Reason::Dropped,
        Reason::Emptied,
        Reason::Narrowed,
        Reason::Changed,
        Reason::Deleted,
        Reason::Refused,
        Reason::Dependent,
    ];

    /// The word in the attic and in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Reason::Dropped => "dropped",
            Reason::Emptied => "emptied",
            Reason::Narrowed => "narrowed",
            Reason::Changed => "changed",
            Reason::Deleted => "deleted",
            Reason::Refused => "refused",
            Reason::Dependent => "dependent",
        }
    }

    /// The reason that a word of the attic means.
    pub fn parse(word: &str) -> Option<Reason> {
        Reason::ALL.into_iter().find(|reason| reason.as_str() == word)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One row of `dbbuild_attic.entry`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Order of keeping.
    pub id: i64,
    /// The migration that was taken back.
    pub version: String,
    /// Its name.
    pub name: String,
    /// Its checksum, as the version table had it.
    pub checksum: String,
    /// What it holds.
    pub kind: Kind,
    /// Why it was kept.
    pub reason: Reason,
    /// The schema of the table or sequence, before the down part ran.
    pub schema: String,
    /// The table or sequence, before the down part ran.
    pub table: String,
    /// The kept columns: `v1`, `v2`, …
    pub columns: Vec<String>,
    /// What a row is found by: `k1`, `k2`, …
    pub key_columns: Vec<String>,
    /// There was no key.
    pub whole_rows: bool,
    /// The table of the attic that holds the rows.
    pub holds: Option<String>,
    /// How many rows were kept.
    pub rows: u64,
    /// What else giving back needs.
    pub details: serde_json::Value,
    /// When.
    pub kept_at: String,
    /// The role that was connected.
    pub kept_by: String,
    /// The commit that was checked out.
    pub git_commit: Option<String>,
    /// The dbbuild that kept it.
    pub dbbuild_version: String,
}

/// One line of a report on what was kept, or would be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptEntry {
    /// What it holds.
    pub kind: Kind,
    /// Why it was kept.
    pub reason: Reason,
    /// The schema of the table or sequence.
    pub schema: String,
    /// The table or sequence.
    pub table: String,
    /// The kept columns; all of the table for whole rows.
    pub columns: Vec<String>,
    /// How many rows.
    pub rows: u64,
}

/// What taking one migration back kept, or would keep.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Kept {
    /// `VERSION_name` of the migration.
    pub label: String,
    /// In the order of keeping; none where nothing was lost.
    pub entries: Vec<KeptEntry>,
    /// Of a rehearsal: locks that it took beyond those of the migrations before it.
    pub locks: Vec<HeldLock>,
}

/// A lock that the steps took.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct HeldLock {
    /// The table or other relation, qualified and quoted.
    pub relation: String,
    /// PostgreSQL's name: `AccessExclusiveLock`.
    pub mode: String,
}

/// What a rehearsal of take-backs found, all of it rolled back.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rehearsal {
    /// One for each migration, in the order of taking back.
    pub kept: Vec<Kept>,
    /// The strongest lock on each table that stood before, by name.
    pub locks: Vec<HeldLock>,
    /// What cannot be tried in a transaction: the labels of the first such migration and of all after it.
    pub untried: Vec<String>,
}

impl Kept {
    /// Whether nothing was lost.
    pub fn is_empty(&self) -> bool {
        self.entries.iter().all(|entry| entry.rows == 0 && entry.kind != Kind::Sequence)
    }
}

impl Kept {
    /// One value for each entry.
    pub fn to_json(&self) -> Vec<serde_json::Value> {
        let one = |entry: &KeptEntry| {
            serde_json::json!({
                "migration": self.label, "kind": entry.kind.as_str(), "reason": entry.reason.as_str(),
                "schema": entry.schema, "table": entry.table, "columns": entry.columns, "rows": entry.rows,
            })
        };
        self.entries.iter().map(one).collect()
    }
}

impl KeptEntry {
    /// Whether the older schema has a place for it and does not hold it; what goes with its table or column is kept whole.
    pub fn is_loss(&self) -> bool {
        self.rows > 0 && self.reason != Reason::Dropped
    }

    /// Whether it is worth a line.
    pub fn is_told(&self) -> bool {
        self.rows > 0 || self.kind == Kind::Sequence
    }

    /// `column shop.orders.note with 12 values`, and why where that is not plain.
    pub fn describe(&self) -> String {
        let name = format!("{}.{}", shown(&self.schema), shown(&self.table));
        let many = |noun: &str| if self.rows == 1 { format!("1 {noun}") } else { format!("{} {noun}s", self.rows) };
        let columns: Vec<String> = self.columns.iter().map(|column| format!("{name}.{}", shown(column))).collect();
        let columns = columns.join(", ");
        let what = match self.kind {
            Kind::Table => format!("table {name} with {}", many("row")),
            Kind::Column if self.columns.len() > 1 => format!("columns {columns} with the values of {}", many("row")),
            Kind::Column => format!("column {columns} with {}", many("value")),
            Kind::Value => format!("{} of {columns}", many("value")),
            Kind::Row => format!("{} of {name}", many("row")),
            Kind::Sequence => format!("the position of sequence {name}"),
        };
        match self.reason {
            Reason::Refused => format!("{what}, refused by the older schema"),
            Reason::Dependent => format!("{what}, which refer to refused rows"),
            Reason::Narrowed => format!("{what}, which the older type does not hold"),
            _ => what,
        }
    }
}

/// A name as SQL wants it.
fn shown(name: &str) -> String {
    let plain = |(n, c): (usize, char)| c.is_ascii_lowercase() || c == '_' || n > 0 && c.is_ascii_digit();
    if !name.is_empty() && name.chars().enumerate().all(plain) {
        return name.to_owned();
    }
    identifier(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_as_they_are_written() {
        assert!(Kind::ALL.into_iter().all(|kind| Kind::parse(kind.as_str()) == Some(kind)));
        assert!(Reason::ALL.into_iter().all(|reason| Reason::parse(reason.as_str()) == Some(reason)));
        assert_eq!((Kind::parse("thing"), Reason::parse("")), (None, None));
    }

    #[test]
    fn entries_are_described() {
        let entry = |kind, reason, columns: &[&str], rows| KeptEntry {
            kind,
            reason,
            schema: "shop".to_owned(),
            table: "Order".to_owned(),
            columns: columns.iter().map(|name| (*name).to_owned()).collect(),
            rows,
        };
        let check = |entry: KeptEntry, text: &str| assert_eq!(entry.describe(), text);
        check(entry(Kind::Table, Reason::Dropped, &["a"], 1), "table shop.\"Order\" with 1 row");
        check(entry(Kind::Column, Reason::Dropped, &["a"], 2), "column shop.\"Order\".a with 2 values");
        check(
            entry(Kind::Column, Reason::Dropped, &["a", "b"], 2),
            "columns shop.\"Order\".a, shop.\"Order\".b with the values of 2 rows",
        );
        check(entry(Kind::Row, Reason::Refused, &["a"], 1), "1 row of shop.\"Order\", refused by the older schema");
        check(entry(Kind::Sequence, Reason::Dropped, &[], 0), "the position of sequence shop.\"Order\"");
    }
}
