//! Where a down part puts what it takes away: a dropped column whose text it has moved into another one, a dropped table
//! whose rows it has copied to another one. The up part makes the one from the other again, with what somebody wrote there
//! meanwhile; so what was left there is noted, to be told from that when the dropped values are given back.

use super::copy;
use super::facts::{self, Table};
use super::keeping::{Keeping, Stop, joined};
use super::text::{PINS, digest, hash, texts};
use crate::model::attic::effect::{Look, Relation};
use crate::model::attic::{Kind, Reason};
use crate::model::sql::{identifier, literal, qualified};
use std::collections::{BTreeMap, BTreeSet};

/// Tables that are new, or got rows, columns or values.
fn filled(was: &Look, is: &Look) -> BTreeSet<u32> {
    let rows = |oid: &u32, now: &Relation| {
        was.relations.get(oid).is_none_or(|before| {
            now.counts[0] > before.counts[0] || now.counts[1] > before.counts[1] || is_wider(before, now)
        })
    };
    let tables = is.relations.iter().filter(|(_, relation)| relation.kind == 'r' && !relation.own);
    tables.filter(|(oid, relation)| rows(oid, relation)).map(|(oid, _)| *oid).collect()
}

fn is_wider(before: &Relation, after: &Relation) -> bool {
    after.columns.keys().any(|number| !before.columns.contains_key(number))
}

/// From before the second run and after it, and the number that its rows are told by.
type Looks<'l> = (&'l Look, &'l Look, u64);

impl Keeping<'_, '_> {
    /// Notes it for the dropped tables and columns from entry `from` on. `facts` are of before the script.
    pub(super) async fn note_beside(
        &mut self,
        from: usize,
        facts: &BTreeMap<u32, Table>,
        (was, is, fresh): Looks<'_>,
    ) -> Result<(), Stop> {
        let of = |kind: Kind, reason: Reason| {
            let entries = self.entries.iter().enumerate().zip(&self.ids).skip(from);
            let mine = entries.filter(move |((_, entry), _)| entry.kind == kind && entry.reason == reason);
            mine.map(|((n, _), (id, oid))| (n, *id, *oid)).collect::<Vec<_>>()
        };
        let (tables, columns) = (of(Kind::Table, Reason::Dropped), of(Kind::Column, Reason::Dropped));
        // Rows that went under their keys, though they were not deleted: they stand there under others.
        let moved = of(Kind::Row, Reason::Changed);
        if self.ids.len() == from {
            return Ok(());
        }
        let session = self.worker.session();
        let filled = filled(was, is);
        let read = filled.iter().chain(columns.iter().chain(&moved).map(|(.., oid)| oid)).copied();
        let now = self.owned(facts::read(session, read).await?).await?;
        let pins: Vec<String> = PINS.iter().map(|(name, value)| format!("SET LOCAL {name} = '{value}'")).collect();
        let lift = now.values().filter_map(|table| table.force(false));
        self.send(&joined(pins.into_iter().chain(lift).collect())).await?;
        for (n, id, oid) in columns {
            if let Some((table, now)) = facts.get(&oid).zip(now.get(&oid)) {
                let changed = self.changed(from, oid, table, now);
                self.note_columns(n, id, (table, now), changed).await?;
            }
        }
        if !tables.is_empty() {
            self.note_tables(&tables, now.values().filter(|one| filled.contains(&one.oid)), (was, is, fresh)).await?;
        }
        self.note_elsewhere(from, facts, &now, &filled).await?;
        for (_, id, oid) in moved {
            if let (Some(now), Some(_)) = (now.get(&oid), self.key_of(id).await?) {
                self.note_rows(&[id], [now].into_iter(), (was, is, fresh)).await?;
            }
        }
        let back = now.values().filter_map(|table| table.force(true));
        let unpin = PINS.iter().map(|(name, _)| format!("SET LOCAL {name} TO DEFAULT"));
        self.send(&joined(back.chain(unpin).collect())).await?;
        Ok(())
    }

    /// Of some tables those that may be read whole.
    async fn owned(&self, mut tables: BTreeMap<u32, Table>) -> Result<BTreeMap<u32, Table>, Stop> {
        let oids: Vec<String> = tables.keys().map(u32::to_string).collect();
        if oids.is_empty() {
            return Ok(tables);
        }
        let sql = format!(
            "SELECT c.oid FROM pg_catalog.pg_class c WHERE c.oid IN ({}) AND pg_catalog.pg_has_role(c.relowner, 'USAGE')",
            oids.join(", ")
        );
        let owned: BTreeSet<u32> =
            self.ask(&sql).await?.into_iter().flatten().flatten().filter_map(|oid| oid.parse().ok()).collect();
        tables.retain(|oid, _| owned.contains(oid));
        Ok(tables)
    }

    /// The names that columns have now of which the script has changed values in the same table.
    fn changed(&self, from: usize, oid: u32, table: &Table, now: &Table) -> Vec<String> {
        let entries = self.entries.iter().zip(&self.ids).skip(from);
        let values = entries.filter(|(entry, (_, of))| entry.kind == Kind::Value && *of == oid);
        let numbers: BTreeSet<i16> = values
            .flat_map(|(entry, _)| &entry.columns)
            .filter_map(|name| table.columns.iter().find(|column| column.name == *name))
            .map(|column| column.number)
            .collect();
        now.plain().filter(|column| numbers.contains(&column.number)).map(|column| column.name.clone()).collect()
    }

    /// Of dropped columns: what stands in the columns that the script has made or changed in the same table, row by row.
    async fn note_columns(
        &mut self,
        n: usize,
        id: i64,
        (table, now): (&Table, &Table),
        changed: Vec<String>,
    ) -> Result<(), Stop> {
        let fresh: Vec<&str> = now
            .plain()
            .filter(|column| table.column(column.number).is_none())
            .map(|column| column.name.as_str())
            .collect();
        let made: Vec<&str> = fresh.iter().copied().chain(changed.iter().map(String::as_str)).collect();
        let Some(key) = self.key_of(id).await?.filter(|_| !made.is_empty()) else { return Ok(()) };
        let Some(on) = (1..)
            .zip(&key)
            .map(|(k, name)| {
                let number = table.columns.iter().find(|column| column.name == *name)?.number;
                let column = now.column(number)?;
                Some(format!("k.k{k} = {}", copy::stored(column, "t")))
            })
            .collect::<Option<Vec<_>>>()
        else {
            return Ok(());
        };
        let (kept, from) = (format!("{}.kept_{id}", copy::SCHEMA), now.rows());
        let again: Vec<String> = table
            .plain()
            .filter(|column| now.column(column.number).is_none() && fresh.contains(&column.name.as_str()))
            .map(|column| column.name.clone())
            .collect();
        self.send(&format!(
            "ALTER TABLE {kept} RENAME TO scratch_{id}; \
             CREATE TABLE {kept} AS SELECT k.*, {} AS beside FROM {}.scratch_{id} k LEFT JOIN {from} t ON {}; \
             DROP TABLE {}.scratch_{id}; \
             UPDATE dbbuild_attic.entry SET details = details || {}::pg_catalog.jsonb WHERE id = {id}",
            hash("t", made.iter().copied()),
            copy::SCHEMA,
            on.join(" AND "),
            copy::SCHEMA,
            literal(&serde_json::json!({ "beside": { "columns": made } }).to_string()),
        ))
        .await?;
        // A column of the same name has a place for the values.
        let columns = self.entries.get(n).map(|entry| entry.columns.clone()).unwrap_or_default();
        let differ: Vec<String> = (1..)
            .zip(&columns)
            .filter(|(_, name)| again.contains(name))
            .map(|(v, name)| {
                format!("k.v{v}::text COLLATE \"C\" IS DISTINCT FROM t.{}::text COLLATE \"C\"", identifier(name))
            })
            .collect();
        if differ.is_empty() {
            return Ok(());
        }
        let lost = format!(
            "SELECT 1 FROM {kept} k JOIN {from} t ON {} WHERE {} LIMIT 1",
            on.join(" AND "),
            differ.join(" OR ")
        );
        self.lose_if(n, id, &lost).await
    }

    /// Of dropped tables: what stands in tables that are new or got rows.
    async fn note_tables(
        &mut self,
        tables: &[(usize, i64, u32)],
        filled: impl Iterator<Item = &Table>,
        looks: Looks<'_>,
    ) -> Result<(), Stop> {
        let ids: Vec<i64> = tables.iter().map(|(_, id, _)| *id).collect();
        self.note_rows(&ids, filled, looks).await?;
        for (n, id, _) in tables {
            let Some(entry) = self.entries.get(*n) else { continue };
            // A table of the same name has a place for the rows, as far as it has the columns.
            let name = qualified(&entry.schema, &entry.table);
            let columns = entry.columns.clone();
            let Some(stands) = self.table(&name).await?.filter(Table::is_of_rows) else {
                continue;
            };
            let shared: Vec<(usize, &String)> =
                (1..).zip(&columns).filter(|(_, name)| stands.plain().any(|own| own.name == **name)).collect();
            let kept: Vec<String> = shared.iter().map(|(v, _)| format!("k.v{v}::text COLLATE \"C\"")).collect();
            let there = texts("t", shared.iter().map(|(_, name)| name.as_str()));
            let lost = format!(
                "SELECT 1 FROM (SELECT ROW({})::text COLLATE \"C\" FROM {}.kept_{id} k EXCEPT ALL \
                 SELECT {there}::text COLLATE \"C\" FROM {} t) lost LIMIT 1",
                kept.join(", "),
                copy::SCHEMA,
                stands.rows()
            );
            self.lose_if(*n, *id, &lost).await?;
        }
        Ok(())
    }

    /// Notes what the script left in some tables.
    async fn note_rows<'t>(
        &self,
        ids: &[i64],
        tables: impl Iterator<Item = &'t Table>,
        (was, is, fresh): Looks<'_>,
    ) -> Result<(), Stop> {
        let mut noted = Vec::new();
        for table in tables.filter(|table| table.is_of_rows()) {
            let names: Vec<&str> = table.plain().map(|column| column.name.as_str()).collect();
            let rows = self.ask(&digest(&table.rows(), &names)).await?;
            let digest = rows.into_iter().flatten().flatten().next().unwrap_or_default();
            let count = |look: &Look, n: usize| look.relations.get(&table.oid).map_or(0, |relation| relation.counts[n]);
            let [put, updated, deleted] = [0, 1, 2].map(|n| count(is, n).saturating_sub(count(was, n)));
            let rows = digest.split(' ').next().and_then(|rows| rows.parse().ok());
            // What stands in new columns is all of the script's making.
            let (before, after) = (was.relations.get(&table.oid), is.relations.get(&table.oid));
            let wider = before.zip(after).is_some_and(|(before, after)| is_wider(before, after));
            // Of as many rows as it put there some may be others', where it deleted as many.
            let older = format!("SELECT 1 FROM {} t WHERE NOT {} LIMIT 1", table.rows(), copy::since("t.xmin", fresh));
            let others = match rows == Some(put) && deleted > 0 {
                true => updated > 0 || !self.ask(&older).await?.is_empty(),
                false => rows != Some(put),
            };
            let mixed = before.is_some() && others && (put > 0 || !wider);
            noted.push(serde_json::json!([table.schema, table.name, digest, mixed]));
        }
        let ids: Vec<String> = ids.iter().map(i64::to_string).collect();
        self.send(&format!(
            "UPDATE dbbuild_attic.entry SET details = details || {}::pg_catalog.jsonb WHERE id IN ({})",
            literal(&serde_json::json!({ "beside": { "tables": noted } }).to_string()),
            ids.join(", ")
        ))
        .await?;
        Ok(())
    }

    /// What has a place in the older schema and does not stand there is lost to it, though it is kept.
    async fn lose_if(&mut self, n: usize, id: i64, lost: &str) -> Result<(), Stop> {
        if self.ask(lost).await?.is_empty() {
            return Ok(());
        }
        if let Some(entry) = self.entries.get_mut(n) {
            entry.reason = Reason::Changed;
        }
        self.send(&format!("UPDATE dbbuild_attic.entry SET reason = '{}' WHERE id = {id}", Reason::Changed)).await?;
        Ok(())
    }

    /// The key that the values of an entry are found by, where there is one.
    pub(super) async fn key_of(&self, id: i64) -> Result<Option<Vec<String>>, Stop> {
        let sql = format!(
            "SELECT pg_catalog.to_jsonb(e.key_columns)::text FROM dbbuild_attic.entry e WHERE e.id = {id} AND NOT e.whole_rows"
        );
        let text = self.ask(&sql).await?.into_iter().flatten().flatten().next();
        Ok(text.and_then(|text| serde_json::from_str(&text).ok()).filter(|key: &Vec<String>| !key.is_empty()))
    }
}
