//! What giving back needs to know of the tables that get something, and of those that hold it.

use crate::engine::attic::names::LEFT;
use crate::engine::attic::stored::{Answer, cell, rows};
use crate::engine::session::Session;
use crate::model::attic::Entry;
use crate::model::sql::{identifier, literal, qualified};
use std::collections::BTreeMap;

/// In the details of an entry: it, or what is left of it, was in conflict.
pub(super) const UNDECIDED: &str = "undecided";

/// A column of a table of the user's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Column {
    pub name: String,
    /// With its modifier: `character varying(20)`.
    pub full_type: String,
    /// Computed, not written.
    pub generated: bool,
    /// GENERATED ALWAYS AS IDENTITY: PostgreSQL refuses to update it.
    pub always: bool,
    /// An identity column of either kind.
    pub identity: bool,
    /// Its collation is a user's, which the attic leaves behind.
    pub collated: bool,
    /// What it is where nothing is said of it, as far as that calls no function of unknown effect.
    pub default: Option<String>,
    /// It gets numbers of a sequence by itself.
    pub numbered: bool,
    /// Storage, compression and collation are those of its type, so that its type can be set again without loss.
    pub plain: bool,
}

/// A table of the user's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Table {
    pub oid: u32,
    pub schema: String,
    pub name: String,
    /// Its rows are those of its partitions.
    pub partitioned: bool,
    /// It stands in an inheritance or a partitioning.
    pub related: bool,
    pub columns: Vec<Column>,
}

impl Table {
    /// Qualified and quoted.
    pub fn sql(&self) -> String {
        qualified(&self.schema, &self.name)
    }

    /// For FROM, UPDATE and DELETE: rows of inheriting tables are entries of their own.
    pub fn only(&self) -> String {
        let only = if self.partitioned { "" } else { "ONLY " };
        format!("{only}{}", self.sql())
    }

    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }
}

const TABLE: &str = "SELECT c.oid::text, c.relkind::text, \
    (c.relispartition OR EXISTS (SELECT FROM pg_catalog.pg_inherits i WHERE c.oid IN (i.inhrelid, i.inhparent)))::text, \
    a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod), (a.attgenerated <> '')::text, \
    (a.attidentity = 'a')::text, (a.attstorage = t.typstorage \
    AND (pg_catalog.to_jsonb(a) ->> 'attcompression' = '') IS NOT FALSE \
    AND a.attcollation = t.typcollation)::text, (a.attcollation >= 16384)::text, (a.attidentity <> '')::text, \
    (SELECT pg_catalog.pg_get_expr(d.adbin, d.adrelid) FROM pg_catalog.pg_attrdef d \
        WHERE d.adrelid = c.oid AND d.adnum = a.attnum AND a.attgenerated = '') \
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
    LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped \
    LEFT JOIN pg_catalog.pg_type t ON t.oid = a.atttypid";

/// A table by its name, if there is one that rows can be put into.
pub(super) async fn table(session: &Session, schema: &str, name: &str) -> Answer<Option<Table>> {
    let sql = format!(
        "{TABLE} WHERE n.nspname = {} AND c.relname = {} AND c.relkind IN ('r', 'p') ORDER BY a.attnum",
        literal(schema),
        literal(name)
    );
    let mut found: Option<Table> = None;
    for row in rows(session, &sql).await? {
        let text = |i: usize| row.get(i).cloned().flatten().unwrap_or_default();
        let table = found.get_or_insert_with(|| Table {
            oid: text(0).parse().unwrap_or(0),
            schema: schema.to_owned(),
            name: name.to_owned(),
            partitioned: text(1) == "p",
            related: text(2) == "true",
            columns: Vec::new(),
        });
        if row.get(3).cloned().flatten().is_some() {
            table.columns.push(Column {
                name: text(3),
                full_type: text(4),
                generated: text(5) == "true",
                always: text(6) == "true",
                plain: text(7) == "true",
                collated: text(8) == "true",
                identity: text(9) == "true",
                default: row.get(10).cloned().flatten().filter(|default| !default.contains('(') || default == "now()"),
                numbered: text(9) == "true" || text(10).starts_with("nextval("),
            });
        }
    }
    Ok(found)
}

/// How many rows a table has.
pub(super) async fn count(session: &Session, table: &Table) -> Answer<u64> {
    let count = cell(session, &format!("SELECT pg_catalog.count(*) FROM {}", table.only())).await?;
    Ok(count.and_then(|n| n.parse().ok()).unwrap_or(0))
}

/// An entry with what the table that holds it looks like.
#[derive(Debug, Clone)]
pub(super) struct Held {
    pub entry: Entry,
    /// Types by the names `k1`, `v1`, `m1`, …
    pub types: BTreeMap<String, String>,
    /// Blocks of that table.
    pub blocks: u64,
}

impl Held {
    /// Qualified and quoted.
    pub fn sql(&self) -> String {
        format!("dbbuild_attic.{}", identifier(self.entry.holds.as_deref().unwrap_or_default()))
    }

    /// Where its table stood before the up part.
    pub fn left(&self) -> (String, String) {
        let text = |name: &str| self.entry.details.get(LEFT)?.get(name)?.as_str().map(str::to_owned);
        let name = |name: &str, own: &String| text(name).unwrap_or_else(|| own.clone());
        (name("schema", &self.entry.schema), name("table", &self.entry.table))
    }

    /// What one of its columns was called there.
    pub fn then<'n>(&'n self, name: &'n str) -> &'n str {
        let column = || self.entry.details.get(LEFT)?.get("columns")?.get(name)?.as_str();
        column().unwrap_or(name)
    }

    /// Whether it was in conflict before, and nobody has decided: then what stands now is what somebody has had since.
    pub fn is_undecided(&self) -> bool {
        self.entry.details.get(UNDECIDED).and_then(serde_json::Value::as_bool).unwrap_or(false)
    }

    /// Whether the down part put rows where others stood.
    pub fn is_mixed(&self) -> bool {
        let noted = self.entry.details.get("beside").and_then(|beside| beside.get("tables")?.as_array());
        noted.into_iter().flatten().any(|one| one.get(3).and_then(serde_json::Value::as_bool) == Some(true))
    }

    /// Whether it is known what the down part made of the values.
    pub fn has_made(&self) -> bool {
        self.types.contains_key("m1")
    }
}

/// Reads what holds an entry.
pub(super) async fn held(session: &Session, entry: Entry) -> Answer<Held> {
    let mut held = Held { types: BTreeMap::new(), blocks: 0, entry };
    let Some(name) = held.entry.holds.clone() else { return Ok(held) };
    let Some(table) = table(session, "dbbuild_attic", &name).await? else { return Ok(held) };
    held.types = table.columns.into_iter().map(|column| (column.name, column.full_type)).collect();
    let size =
        format!("SELECT pg_catalog.pg_relation_size({}) / pg_catalog.current_setting('block_size')::bigint", table.oid);
    held.blocks = cell(session, &size).await?.and_then(|blocks| blocks.parse().ok()).unwrap_or(0);
    Ok(held)
}

/// A kept value, ready to be put into a column, and a condition that it still is the same there.
pub(super) struct Put {
    pub value: String,
    pub same: Option<String>,
}

/// `kept` is a column of the table that holds the entry: `v1`.
pub(super) fn put(held: &Held, kept: &str, column: &Column) -> Put {
    let value = format!("k.{kept}");
    if held.types.get(kept) == Some(&column.full_type) {
        return Put { value, same: None };
    }
    let value = format!("({value})::text::{}", column.full_type);
    let same = Some(format!("({value})::text COLLATE \"C\" IS NOT DISTINCT FROM (k.{kept})::text COLLATE \"C\""));
    Put { value, same }
}

/// A comparison of a column of `t` with a kept column by which rows are found.
pub(super) fn equal(held: &Held, kept: &str, column: &Column) -> String {
    let name = identifier(&column.name);
    match held.types.get(kept) == Some(&column.full_type) && !column.collated {
        true => format!("t.{name} = k.{kept}"),
        false => format!("t.{name}::text COLLATE \"C\" = k.{kept}::text COLLATE \"C\""),
    }
}

/// `v1`, `v2`, … for so many columns.
pub(super) fn numbered(letter: char, n: usize) -> Vec<String> {
    (1..=n).map(|i| format!("{letter}{i}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::attic::{Kind, Reason};

    fn held(types: &[(&str, &str)]) -> Held {
        let entry = Entry {
            id: 7,
            version: "1".to_owned(),
            name: "a".to_owned(),
            checksum: String::new(),
            kind: Kind::Column,
            reason: Reason::Dropped,
            schema: "s".to_owned(),
            table: "t".to_owned(),
            columns: vec!["a".to_owned()],
            key_columns: vec!["id".to_owned()],
            whole_rows: false,
            holds: Some("kept_7".to_owned()),
            rows: 1,
            details: serde_json::Value::Null,
            kept_at: String::new(),
            kept_by: String::new(),
            git_commit: None,
            dbbuild_version: String::new(),
        };
        let types = types.iter().map(|(name, of)| ((*name).to_owned(), (*of).to_owned())).collect();
        Held { entry, types, blocks: 0 }
    }

    fn column(name: &str, full_type: &str) -> Column {
        Column {
            name: name.to_owned(),
            full_type: full_type.to_owned(),
            generated: false,
            always: false,
            identity: false,
            default: None,
            numbered: false,
            collated: false,
            plain: true,
        }
    }

    #[test]
    fn a_value_of_another_type_is_put_only_where_it_stays_the_same() {
        let held = held(&[("v1", "text"), ("k1", "bigint")]);
        let same = put(&held, "v1", &column("a", "text"));
        assert_eq!((same.value.as_str(), same.same), ("k.v1", None));
        let cut = put(&held, "v1", &column("a", "character varying(3)"));
        assert_eq!(cut.value, "(k.v1)::text::character varying(3)");
        assert!(cut.same.is_some_and(|same| same.contains(" IS NOT DISTINCT FROM (k.v1)::text")));
        assert_eq!(equal(&held, "k1", &column("Id", "bigint")), "t.\"Id\" = k.k1");
        assert_eq!(
            equal(&held, "k1", &column("id", "integer")),
            "t.\"id\"::text COLLATE \"C\" = k.k1::text COLLATE \"C\""
        );
    }
}
