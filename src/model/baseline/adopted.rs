//! The text of migration zero: what an existing database holds, as a script that makes it in an empty one.
//!
//! It is made from a dump of the schema and one of chosen rows. What is to be in them is not decided here.

use super::dump::{Dump, Entry, Part};
use super::header::write_preamble;
use super::{RoleNeed, roles};
use crate::model::sql::identifier;
use std::collections::BTreeSet;

/// What `pg_dump` writes after the rows: before the first of these they stand.
const AFTER_ROWS: [&str; 17] = [
    "CHECK CONSTRAINT",
    "CONSTRAINT",
    "FK CONSTRAINT",
    "INDEX",
    "INDEX ATTACH",
    "STATISTICS",
    "TRIGGER",
    "RULE",
    "POLICY",
    "ROW SECURITY",
    "EVENT TRIGGER",
    "PUBLICATION",
    "PUBLICATION TABLE",
    "PUBLICATION TABLES IN SCHEMA",
    "SUBSCRIPTION",
    "MATERIALIZED VIEW DATA",
    "STATISTICS DATA",
];

impl Dump {
    /// This dump of a schema with the rows of another one in the place where they load before keys and triggers.
    #[must_use]
    pub fn with_rows(mut self, rows: Dump) -> Dump {
        let is_rows = |entry: &Entry| matches!(entry.kind.as_str(), "TABLE DATA" | "BLOB" | "BLOBS" | "BLOB METADATA");
        let of_rows = |entry: &Entry| is_rows(entry) || entry.name.starts_with("LARGE OBJECT");
        let at = self.entries.iter().position(|entry| AFTER_ROWS.contains(&entry.kind.as_str()));
        let at = at.unwrap_or(self.entries.len());
        self.entries.splice(at..at, rows.entries.into_iter().filter(of_rows));
        self
    }

    /// This dump with the named materialized views filled at its end, in the order in which they are made. A dump of a
    /// schema alone leaves all of them empty.
    #[must_use]
    pub fn with_refreshed(mut self, populated: &BTreeSet<(String, String)>) -> Dump {
        let refresh = |entry: &Entry| {
            let schema = entry.schema.clone()?;
            let key = (schema, entry.name.clone());
            (entry.kind == "MATERIALIZED VIEW" && populated.contains(&key)).then(|| Entry {
                kind: "MATERIALIZED VIEW DATA".to_owned(),
                schema: entry.schema.clone(),
                name: entry.name.clone(),
                parts: vec![Part::Statement(format!(
                    "REFRESH MATERIALIZED VIEW {}.{};",
                    identifier(&key.0),
                    identifier(&key.1)
                ))],
                ..Entry::default()
            })
        };
        let refreshed: Vec<Entry> = self.entries.iter().filter_map(refresh).collect();
        self.entries.extend(refreshed);
        self
    }
}

/// Writes migration zero.
pub fn adopted_migration(database: &str, postgres_major: u32, needed: &[RoleNeed], dump: &Dump) -> String {
    let database = database.replace(char::is_control, " ");
    let mut out = format!(
        "-- dbbuild:description what {database} held when dbbuild took it over\n\
         -- dbbuild:idempotent false adopted from {database} on PostgreSQL {postgres_major}\n\n"
    );
    write_preamble(&mut out);
    Dump { entries: roles::entries(needed) }.write(&mut out);
    dump.write(&mut out);
    while out.ends_with("\n\n") {
        out.pop();
    }
    out
}

/// The statements that make roles where they are missing.
pub fn role_statements(needed: &[RoleNeed]) -> String {
    let mut out = String::new();
    Dump { entries: roles::entries(needed) }.write(&mut out);
    out
}

/// Which of the chosen rows and large objects a dump does not hold as they are, in words.
pub fn lost_rows(chosen: &Dump, made: &Dump) -> Vec<String> {
    let mut lost = Vec::new();
    for block in chosen.blocks() {
        let mut rows = super::CopyBlock { rows: Vec::new(), ..block.clone() };
        let same_columns =
            made.blocks().filter(|other| other.table == block.table).all(|other| rows.merge(other.clone()));
        rows.sort();
        if !same_columns || rows.rows != block.rows {
            lost.push(format!("rows of `{}`", block.table));
        }
    }
    let is_large = |entry: &&Entry| entry.kind.starts_with("BLOB") || entry.name.starts_with("LARGE OBJECT");
    if chosen.entries.iter().filter(is_large).any(|entry| !made.entries.contains(entry)) {
        lost.push("large objects".to_owned());
    }
    lost
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(kind: &str, name: &str) -> Entry {
        Entry {
            kind: kind.into(),
            schema: Some("s".into()),
            name: name.into(),
            parts: vec![Part::Statement(format!("SELECT '{kind} {name}';"))],
            ..Entry::default()
        }
    }

    #[test]
    fn rows_stand_before_keys_and_views_are_filled_last() {
        let schema = ["TABLE", "MATERIALIZED VIEW", "CONSTRAINT", "ACL"].map(|kind| entry(kind, "t"));
        let rows = Dump { entries: vec![entry("TABLE DATA", "t"), entry("SEQUENCE SET", "t_id_seq")] };
        let populated = BTreeSet::from([("s".to_owned(), "t".to_owned())]);
        let dump = Dump { entries: schema.into() }.with_rows(rows).with_refreshed(&populated);
        let kinds: Vec<&str> = dump.entries.iter().map(|entry| entry.kind.as_str()).collect();
        assert_eq!(
            kinds,
            ["TABLE", "MATERIALIZED VIEW", "TABLE DATA", "CONSTRAINT", "ACL", "MATERIALIZED VIEW DATA"],
            "positions of sequences are no rows"
        );
        let text = adopted_migration("shop\nx", 15, &[], &dump);
        assert!(text.starts_with("-- dbbuild:description what shop x held"), "{text}");
        assert!(text.contains("REFRESH MATERIALIZED VIEW \"s\".\"t\";") && text.ends_with(";\n"), "{text}");
    }
}
