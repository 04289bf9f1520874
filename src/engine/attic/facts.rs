//! What is known of single tables and sequences: names, columns, keys, triggers.

use crate::engine::session::Session;
use crate::error::{OrFailed, Result};
use crate::model::sql::{identifier, qualified};
use serde::Deserialize;
use std::collections::BTreeMap;

const FACTS: &str = include_str!("facts.sql");

/// One column.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Column {
    pub number: i16,
    pub name: String,
    #[serde(rename = "type")]
    pub kind: String,
    /// Its type is none of PostgreSQL's own, or names objects: it is kept as text.
    pub text: bool,
    /// Its collation is a user's.
    pub collated: bool,
    /// Part of a key, of a foreign key, or of what one refers to.
    pub bound: bool,
    pub default: bool,
    pub not_null: bool,
    pub generated: bool,
}

/// What holds rows, and how: `relkind`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(super) enum Holds {
    /// Rows of its own.
    #[serde(rename = "r")]
    Rows,
    /// Those of its partitions.
    #[serde(rename = "p")]
    Partitions,
    /// None that can be kept: a sequence, a view, a foreign table.
    #[serde(other)]
    Other,
}

/// One table or sequence.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Table {
    pub oid: u32,
    pub schema: String,
    pub name: String,
    #[serde(rename = "kind")]
    pub holds: Holds,
    /// The file that holds its own rows.
    pub file: u32,
    /// Row security holds for the owner too, who could lift it.
    pub forced: bool,
    pub columns: Vec<Column>,
    /// Numbers of the columns of unique keys without nulls, the primary key first.
    pub keys: Vec<Vec<i16>>,
    /// The tables that hold its rows, partitions and inheriting tables included: OID, schema, name.
    pub parts: Vec<(u32, String, String)>,
    /// The partitioned table above all that it is a partition of, or itself.
    pub root: u32,
    /// Names and enablement of triggers that fire.
    pub triggers: Vec<(String, String)>,
    /// The same of rules on writing.
    pub rules: Vec<(String, String)>,
    /// The table and column that own a sequence.
    pub sequence: Option<(u32, String, String, String)>,
    /// Where a sequence starts.
    pub start: Option<i64>,
    /// How far it goes at a time, where it is ours to alter.
    pub step: Option<i64>,
}

impl Table {
    /// Its name with its schema.
    pub fn id(&self) -> String {
        qualified(&self.schema, &self.name)
    }

    /// What to read its own rows from: those of a partitioned table are its partitions'.
    pub fn rows(&self) -> String {
        if self.holds == Holds::Partitions { self.id() } else { format!("ONLY {}", self.id()) }
    }

    /// Whether there are rows in it or in its partitions.
    pub fn is_of_rows(&self) -> bool {
        self.holds != Holds::Other
    }

    /// The column with a number.
    pub fn column(&self, number: i16) -> Option<&Column> {
        self.columns.iter().find(|column| column.number == number)
    }

    /// The columns that rows consist of.
    pub fn plain(&self) -> impl Iterator<Item = &Column> {
        self.columns.iter().filter(|column| !column.generated)
    }

    /// Lets its owner see all rows; `true` puts row security back.
    pub fn force(&self, back: bool) -> Option<String> {
        let no = if back { "" } else { "NO " };
        self.forced.then(|| format!("ALTER TABLE ONLY {} {no}FORCE ROW LEVEL SECURITY", self.id()))
    }

    /// Lets nobody else move a sequence, and a rollback undo what we do.
    pub fn hold(&self) -> Option<String> {
        self.step.map(|step| format!("ALTER SEQUENCE {} INCREMENT BY {step}", self.id()))
    }

    /// Keeps its triggers and rules from acting, or puts each back to what it was.
    pub fn silence(&self, back: bool) -> Vec<String> {
        let one = |(what, (name, enabled)): (&str, &(String, String))| {
            let how = match (back, enabled.as_str()) {
                (false, _) => "DISABLE",
                (true, "R") => "ENABLE REPLICA",
                (true, "A") => "ENABLE ALWAYS",
                (true, _) => "ENABLE",
            };
            format!("ALTER TABLE ONLY {} {how} {what} {}", self.id(), identifier(name))
        };
        let triggers = self.triggers.iter().map(|trigger| ("TRIGGER", trigger));
        triggers.chain(self.rules.iter().map(|rule| ("RULE", rule))).map(one).collect()
    }
}

/// The facts of some relations, by OID; those that are not there are left out.
///
/// # Errors
/// The server said no.
pub(super) async fn read(session: &Session, oids: impl IntoIterator<Item = u32>) -> Result<BTreeMap<u32, Table>> {
    let list: Vec<String> = oids.into_iter().map(|oid| oid.to_string()).collect();
    if list.is_empty() {
        return Ok(BTreeMap::new());
    }
    let rows = session.query_rows(&format!("{FACTS} ({})", list.join(", "))).await?;
    let parse = |text: String| -> Result<(u32, Table)> {
        let table: Table = serde_json::from_str(&text).or_failed(|| "cannot read the facts of a table")?;
        Ok((table.oid, table))
    };
    rows.into_iter().flatten().flatten().map(parse).collect()
}
