//! Entries: what was kept as it stood, and the rows that say so.

use super::copy;
use super::facts::Table;
use super::keeping::{Keeping, Stop, joined};
use super::plan::{Key, Plan, Wanted};
use crate::error::Error;
use crate::model::attic::{KeptEntry, Kind, Reason};
use crate::model::sql::{identifier, literal};
use std::collections::BTreeMap;
use tokio_postgres::SimpleQueryMessage;

/// An entry that is about to be written.
pub(super) struct New<'t> {
    pub id: i64,
    pub kind: Kind,
    pub reason: Reason,
    pub table: &'t Table,
    pub columns: Vec<i16>,
    pub key: Key,
    pub rows: u64,
    pub details: serde_json::Value,
}

/// How many rows each statement of a text touched.
pub(super) fn counts(messages: &[SimpleQueryMessage]) -> Vec<u64> {
    let count = |message: &SimpleQueryMessage| match message {
        SimpleQueryMessage::CommandComplete(rows) => Some(*rows),
        _ => None,
    };
    messages.iter().filter_map(count).collect()
}

fn array(names: &[String]) -> String {
    format!("ARRAY[{}]::text[]", names.iter().map(|name| literal(name)).collect::<Vec<_>>().join(", "))
}

impl Keeping<'_, '_> {
    /// Numbers for new entries.
    pub(super) async fn ids(&self, count: usize) -> Result<Vec<i64>, Stop> {
        let sql = format!(
            "SELECT pg_catalog.nextval(pg_catalog.pg_get_serial_sequence('dbbuild_attic.entry', 'id')) \
             FROM pg_catalog.generate_series(1, {count})"
        );
        Ok(self.ask(&sql).await?.into_iter().flatten().flatten().filter_map(|id| id.parse().ok()).collect())
    }

    /// Writes entries; those that hold nothing go with their tables.
    pub(super) async fn record(&mut self, entries: Vec<New<'_>>) -> Result<(), Stop> {
        let mut statements = Vec::new();
        for entry in entries {
            if entry.rows == 0 && entry.kind != Kind::Sequence {
                statements.push(format!("DROP TABLE {}.kept_{}", copy::SCHEMA, entry.id));
                continue;
            }
            statements.push(self.insert(&entry));
            self.ids.push((entry.id, entry.table.oid));
            self.told.entry(entry.table.oid).or_insert_with(|| entry.table.clone());
            self.entries.push(KeptEntry {
                kind: entry.kind,
                reason: entry.reason,
                schema: entry.table.schema.clone(),
                table: entry.table.name.clone(),
                columns: copy::names(entry.table, &entry.columns),
                rows: entry.rows,
            });
        }
        if !statements.is_empty() {
            self.send(&joined(statements)).await?;
        }
        Ok(())
    }

    fn insert(&self, entry: &New<'_>) -> String {
        let row = &self.back.row;
        let holds = match entry.kind {
            Kind::Sequence => "NULL".to_owned(),
            _ => format!("'kept_{}'", entry.id),
        };
        let commit = self.worker.author().commit.as_deref().map_or_else(|| "NULL".to_owned(), literal);
        format!(
            "INSERT INTO dbbuild_attic.entry (id, version, name, checksum, kind, reason, schema_name, table_name, columns, \
             key_columns, whole_rows, holds, rows, details, git_commit, dbbuild_version) OVERRIDING SYSTEM VALUE VALUES \
             ({}, {}, {}, {}, '{}', '{}', {}, {}, {}, {}, {}, {holds}, {}, {}::pg_catalog.jsonb, {commit}, {})",
            entry.id,
            literal(&row.version.to_string()),
            literal(&row.name),
            literal(&row.checksum.to_string()),
            entry.kind,
            entry.reason,
            literal(&entry.table.schema),
            literal(&entry.table.name),
            array(&copy::names(entry.table, &entry.columns)),
            array(&copy::names(entry.table, &entry.key.columns)),
            entry.key.whole && entry.kind != Kind::Sequence,
            entry.rows,
            literal(&entry.details.to_string()),
            literal(env!("CARGO_PKG_VERSION")),
        )
    }

    /// Keeps tables and columns as they stand, and positions of sequences.
    pub(super) async fn keep_wanted(
        &mut self,
        plan: &Plan,
        facts: &BTreeMap<u32, Table>,
        sequences: Vec<(u32, serde_json::Value)>,
    ) -> Result<(), Stop> {
        let mut wanted: Vec<(&Wanted, &Table)> =
            plan.wanted.iter().filter_map(|one| Some((one, facts.get(&one.oid)?))).collect();
        let empty = self.without_values(&wanted).await?;
        wanted.retain(|(one, _)| one.kind != Kind::Column || !empty.contains(&one.oid));
        if wanted.is_empty() && sequences.is_empty() {
            return Ok(());
        }
        let ids = self.ids(wanted.len() + sequences.len()).await?;
        let mut entries = Vec::new();
        if !wanted.is_empty() {
            let copies: Vec<String> =
                wanted.iter().zip(&ids).map(|((one, table), id)| copy::keep(one, table, *id)).collect();
            let kept = counts(&self.send(&joined(copies.clone())).await?);
            self.verify(&copies).await?;
            entries.extend(wanted.iter().zip(&ids).zip(kept).map(|(((one, table), id), rows)| New {
                id: *id,
                kind: one.kind,
                reason: one.reason,
                table,
                columns: one.columns.clone(),
                key: one.key.clone(),
                rows,
                details: types(table, &one.columns),
            }));
        }
        for ((oid, details), id) in sequences.into_iter().zip(ids.iter().skip(wanted.len())) {
            let Some(table) = facts.get(&oid) else { continue };
            let reason = if plan.sequences.get(&oid) == Some(&true) { Reason::Dropped } else { Reason::Changed };
            let (columns, key) = (Vec::new(), Key { columns: Vec::new(), whole: false });
            entries.push(New { id: *id, kind: Kind::Sequence, reason, table, columns, key, rows: 0, details });
        }
        self.record(entries).await
    }

    /// Holds copies against what they were made from, by a number of rows and a digest in which their order does not count.
    ///
    /// # Errors
    /// A copy is another one: nothing may be taken away that is not kept.
    pub(super) async fn verify(&self, copies: &[String]) -> Result<(), Stop> {
        for copy in copies {
            let Some((table, select)) = copy.strip_prefix("CREATE TABLE ").and_then(|rest| rest.split_once(" AS "))
            else {
                continue;
            };
            // How equal rows are numbered, and which of them stands for which, is of no account.
            let row = match (select.contains(" came AS "), select.contains(" AS ordinal")) {
                (true, _) => "''",
                (false, true) => "(pg_catalog.to_jsonb(q) - 'ordinal')::text",
                (false, false) => "q::text",
            };
            let digest =
                format!("pg_catalog.count(*), pg_catalog.sum(pg_catalog.hashtextextended({row} COLLATE \"C\", 0))");
            let sql = format!("SELECT {digest} FROM ({select}) q UNION ALL SELECT {digest} FROM {table} q");
            let rows = self.ask(&sql).await?;
            if rows.first() != rows.get(1) {
                return Err(Error::failed(format!("what {} takes away was not kept as it stood", self.back.label()))
                    .cause(format!("{table} does not hold the rows that were copied into it"))
                    .help("nothing was changed. Does an event trigger of the database change tables that are made?")
                    .into());
            }
        }
        Ok(())
    }

    /// Tables whose dropped columns hold no value and get none by a default when they come again.
    async fn without_values(&self, wanted: &[(&Wanted, &Table)]) -> Result<Vec<u32>, Stop> {
        let query = |(one, table): &(&Wanted, &Table)| {
            let columns: Vec<_> = copy::named(table, &one.columns).collect();
            let asked = one.kind == Kind::Column && columns.iter().all(|column| !column.default);
            let values: Vec<String> =
                columns.iter().map(|column| format!("t.{} IS NOT NULL", identifier(&column.name))).collect();
            asked.then(|| {
                format!(
                    "SELECT {} WHERE NOT EXISTS (SELECT FROM {} t WHERE {})",
                    one.oid,
                    table.rows(),
                    values.join(" OR ")
                )
            })
        };
        let queries: Vec<String> = wanted.iter().filter_map(query).collect();
        if queries.is_empty() {
            return Ok(Vec::new());
        }
        let rows = self.ask(&queries.join(" UNION ALL ")).await?;
        Ok(rows.into_iter().flatten().flatten().filter_map(|oid| oid.parse().ok()).collect())
    }
}

/// The types of columns by name.
pub(super) fn types(table: &Table, columns: &[i16]) -> serde_json::Value {
    let types = copy::named(table, columns).map(|column| (column.name.clone(), column.kind.clone().into()));
    serde_json::json!({ "types": types.collect::<serde_json::Map<_, _>>() })
}
