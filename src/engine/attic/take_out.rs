//! Takes rows and values out of the way of the older schema, kept, together with the rows that refer to them.

use super::copy;
use super::facts::{self, Table};
use super::keeping::{Keeping, Stop, joined};
use super::offend::{Offenders, located};
use super::plan::{Key, key};
use super::record::{New, counts, types};
use crate::error::Error;
use crate::model::attic::{Kind, Reason};
use crate::model::sql::identifier;
use std::collections::{BTreeMap, BTreeSet};

/// Foreign keys that refer to tables of which rows go, and their columns.
const REFERENCES: &str = "SELECT pg_catalog.format('%s%I.%I', CASE WHEN c.relkind = 'p' THEN '' ELSE 'ONLY ' END, cn.nspname, c.relname), \
    pg_catalog.format('%s%I.%I', CASE WHEN p.relkind = 'p' THEN '' ELSE 'ONLY ' END, pn.nspname, p.relname), \
    (SELECT pg_catalog.string_agg(pg_catalog.format('c.%I = p.%I', a.attname, b.attname), ' AND ') \
     FROM ROWS FROM (pg_catalog.unnest(k.conkey), pg_catalog.unnest(k.confkey)) w (own, other) \
     JOIN pg_catalog.pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = w.own \
     JOIN pg_catalog.pg_attribute b ON b.attrelid = k.confrelid AND b.attnum = w.other), \
    c.oid, p.oid FROM pg_catalog.pg_constraint k JOIN pg_catalog.pg_class c ON c.oid = k.conrelid JOIN pg_catalog.pg_namespace cn ON cn.oid = c.relnamespace \
    JOIN pg_catalog.pg_class p ON p.oid = k.confrelid JOIN pg_catalog.pg_namespace pn ON pn.oid = p.relnamespace \
    WHERE k.contype = 'f' AND k.conparentid = 0 AND k.confrelid IN (WITH RECURSIVE above (oid) AS ( \
        SELECT o.rel FROM dbbuild_attic.scratch_out o UNION \
        SELECT h.inhparent FROM above a JOIN pg_catalog.pg_inherits h ON h.inhrelid = a.oid) SELECT a.oid FROM above a)";

const OUT: &str =
    "CREATE TABLE dbbuild_attic.scratch_out (rel oid, loc tid, refused boolean NOT NULL, PRIMARY KEY (rel, loc))";

/// Functions of constraints and operators of a user's types are found by the search path that was there.
const OWN_PATH: &str = "SET LOCAL search_path TO DEFAULT";

/// A condition on rows that go.
fn goes(oid: u32, more: &str) -> String {
    format!("t.ctid = ANY (ARRAY(SELECT o.loc FROM dbbuild_attic.scratch_out o WHERE o.rel = {oid}{more}))")
}

/// Rows of a table, or of a partitioned one, from the tables that hold them, to be read as `t`.
fn source(root: &Table, parts: &[(&Table, String)]) -> String {
    let columns: Vec<String> = root.plain().map(|column| format!("t.{}", identifier(&column.name))).collect();
    let one = |(part, condition): &(&Table, String)| {
        format!("SELECT {} FROM {} t WHERE {condition}", columns.join(", "), part.rows())
    };
    format!("({}) t", parts.iter().map(one).collect::<Vec<_>>().join(" UNION ALL "))
}

/// Tables that hold rows, by the table that their rows are kept as rows of.
type Groups<'t> = BTreeMap<u32, Vec<&'t Table>>;

fn groups<'t>(tables: impl Iterator<Item = &'t Table>) -> Groups<'t> {
    let mut groups = Groups::new();
    tables.for_each(|table| groups.entry(table.root).or_default().push(table));
    groups
}

impl Keeping<'_, '_> {
    /// Takes it all out; false where nothing was found.
    pub(super) async fn take_out(&mut self, offenders: &Offenders) -> Result<bool, Stop> {
        self.install().await?;
        let oids = offenders.rows.keys().copied().chain(offenders.values.keys().map(|(oid, _)| *oid));
        let facts = facts::read(self.worker.session(), oids).await?;
        let locks: Vec<String> =
            facts.values().map(|table| format!("LOCK TABLE {} IN SHARE ROW EXCLUSIVE MODE", table.rows())).collect();
        self.send(&joined(locks)).await?;
        let roots = facts::read(self.worker.session(), facts.values().map(|table| table.root)).await?;
        let mut columns: BTreeMap<(u32, &str), Vec<(&Table, String)>> = BTreeMap::new();
        for ((oid, number), found) in &offenders.values {
            let Some(table) = facts.get(oid) else { continue };
            let Some(column) = table.column(*number) else { continue };
            let condition = located(table, "t", found);
            columns.entry((table.root, &column.name)).or_default().push((table, condition));
        }
        let mut taken = false;
        for ((root, name), parts) in columns {
            if let Some(root) = roots.get(&root) {
                taken |= self.set_null(root, name, &parts).await?;
            }
        }
        Ok(self.take_rows(&offenders.rows, &facts).await? | taken)
    }

    /// Sets values of one column null.
    async fn set_null(&mut self, root: &Table, name: &str, parts: &[(&Table, String)]) -> Result<bool, Stop> {
        let Some(column) = root.columns.iter().find(|column| column.name == name) else { return Ok(false) };
        let Some(id) = self.ids(1).await?.first().copied() else { return Ok(false) };
        let number = column.number;
        let others: Vec<i16> = root.plain().map(|c| c.number).filter(|other| *other != number).collect();
        let own = key(root, &[number].into(), &BTreeSet::new());
        let own = if own.whole { Key { columns: others, whole: true } } else { own };
        let value = copy::stored(column, "t");
        let keys: Vec<String> = copy::named(root, &own.columns).map(|column| copy::stored(column, "t")).collect();
        let mut values: Vec<String> = keys.iter().enumerate().map(|(n, key)| format!("{key} AS k{}", n + 1)).collect();
        values.push(format!("{value} AS v1, CASE WHEN false THEN {value} END AS m1"));
        values.extend(own.whole.then(|| copy::ordinal(&keys)));
        let mut statements = vec![copy::PLAIN.to_owned()];
        statements.extend(parts.iter().filter_map(|(part, _)| part.force(false)));
        statements.extend(parts.iter().flat_map(|(part, _)| part.silence(false)));
        self.send(&joined(statements)).await?;
        let copies = format!(
            "CREATE TABLE {}.kept_{id} AS SELECT {} FROM {}",
            copy::SCHEMA,
            values.join(", "),
            source(root, parts)
        );
        let update = |(part, condition): &(&Table, String)| {
            format!("UPDATE {} t SET {} = NULL WHERE {condition}", part.rows(), identifier(name))
        };
        let updates: Vec<String> = parts.iter().map(update).collect();
        let touched = counts(&self.send(&format!("{copies}; {OWN_PATH}; {}", joined(updates))).await?);
        let mut statements: Vec<String> = parts.iter().flat_map(|(part, _)| part.silence(true)).collect();
        statements.extend(parts.iter().filter_map(|(part, _)| part.force(true)));
        statements.push(copy::NORMAL.to_owned());
        self.send(&joined(statements)).await?;
        let [rows, _, changed @ ..] = touched.as_slice() else { return Ok(false) };
        if *rows != changed.iter().sum::<u64>() {
            return Err(unequal(root));
        }
        let (columns, details) = (vec![number], types(root, &[number]));
        let (kind, reason) = (Kind::Value, Reason::Narrowed);
        self.record(vec![New { id, kind, reason, table: root, columns, key: own, rows: *rows, details }]).await?;
        Ok(*rows > 0)
    }

    /// Takes rows out, and those that refer to them, directly or through others.
    async fn take_rows(
        &mut self,
        rows: &BTreeMap<u32, BTreeSet<String>>,
        facts: &BTreeMap<u32, Table>,
    ) -> Result<bool, Stop> {
        if rows.is_empty() {
            return Ok(false);
        }
        let find = |(oid, found): (&u32, &BTreeSet<String>)| {
            let table = facts.get(oid)?;
            Some(format!(
                "INSERT INTO dbbuild_attic.scratch_out SELECT t.tableoid, t.ctid, true FROM {} t WHERE {}",
                table.rows(),
                located(table, "t", found)
            ))
        };
        let mut lifted: BTreeMap<u32, Table> = facts.clone();
        let lift = facts.values().filter_map(|table| table.force(false));
        let mut statements = vec![copy::PLAIN.to_owned(), OUT.to_owned()];
        statements.extend(lift);
        statements.extend(rows.iter().filter_map(find));
        statements.push(OWN_PATH.to_owned());
        self.send(&joined(statements)).await?;
        self.add_dependents(&mut lifted).await?;
        let gone = self.ask("SELECT DISTINCT o.rel FROM dbbuild_attic.scratch_out o ORDER BY 1").await?;
        let gone: Vec<u32> = gone.into_iter().flatten().flatten().filter_map(|oid| oid.parse().ok()).collect();
        if gone.is_empty() {
            return Ok(false);
        }
        let all = facts::read(self.worker.session(), gone.iter().copied()).await?;
        let roots = facts::read(self.worker.session(), all.values().map(|table| table.root)).await?;
        let tables: Vec<&Table> = all.values().collect();
        let mut before: Vec<String> =
            tables.iter().map(|table| format!("LOCK TABLE {} IN SHARE ROW EXCLUSIVE MODE", table.rows())).collect();
        before.push(copy::PLAIN.to_owned());
        before.extend(tables.iter().filter_map(|table| table.force(false)));
        before.extend(tables.iter().flat_map(|table| table.silence(false)));
        self.send(&joined(before)).await?;
        for table in &tables {
            lifted.entry(table.oid).or_insert_with(|| (*table).clone());
        }
        let kept = self.keep_rows(&roots, &groups(tables.iter().copied())).await?;
        let deleted = self.delete_rows(&tables).await?;
        let mut sums: BTreeMap<u32, u64> = BTreeMap::new();
        for (table, rows) in tables.iter().zip(deleted) {
            *sums.entry(table.root).or_default() += rows;
        }
        if let Some(table) = roots.values().find(|table| kept.get(&table.oid) != sums.get(&table.oid)) {
            return Err(unequal(table));
        }
        let mut after = vec!["DROP TABLE dbbuild_attic.scratch_out".to_owned()];
        let triggers: Vec<String> = tables.iter().flat_map(|table| table.silence(true)).collect();
        let forced: Vec<String> = lifted.values().filter_map(|table| table.force(true)).collect();
        if !triggers.is_empty() || !forced.is_empty() {
            // A table with pending checks of foreign keys cannot be altered.
            after.push("SET CONSTRAINTS ALL IMMEDIATE".to_owned());
        }
        after.extend(triggers);
        after.extend(forced);
        after.push(copy::NORMAL.to_owned());
        self.send(&joined(after)).await?;
        Ok(kept.values().any(|rows| *rows > 0))
    }

    /// Adds rows that refer to rows that go, until there are no more of them; cycles end by themselves.
    /// Tables whose rows are hidden from their owner are lifted.
    async fn add_dependents(&self, lifted: &mut BTreeMap<u32, Table>) -> Result<(), Stop> {
        loop {
            let references = self.ask(REFERENCES).await?;
            let oids =
                references.iter().flat_map(|row| row.iter().skip(3)).flatten().filter_map(|oid| oid.parse().ok());
            let fresh: Vec<u32> = oids.filter(|oid| !lifted.contains_key(oid)).collect();
            let fresh = facts::read(self.worker.session(), fresh).await?;
            let lift: Vec<String> = fresh.values().filter_map(|table| table.force(false)).collect();
            if !lift.is_empty() {
                self.send(&joined(lift)).await?;
            }
            lifted.extend(fresh);
            let add = |row: Vec<Option<String>>| {
                let mut cells = row.into_iter().flatten();
                let (child, parent, pairs) = (cells.next()?, cells.next()?, cells.next()?);
                Some(format!(
                    "INSERT INTO dbbuild_attic.scratch_out SELECT DISTINCT c.tableoid, c.ctid, false FROM {child} c JOIN {parent} p ON {pairs} \
                     JOIN dbbuild_attic.scratch_out o ON o.rel = p.tableoid AND o.loc = p.ctid ON CONFLICT DO NOTHING"
                ))
            };
            let statements: Vec<String> = references.into_iter().filter_map(add).collect();
            if statements.is_empty() {
                return Ok(());
            }
            let added = counts(&self.send(&joined(statements)).await?);
            if added.iter().sum::<u64>() == 0 {
                return Ok(());
            }
        }
    }

    /// Keeps the rows that go; how many of each table.
    async fn keep_rows(
        &mut self,
        roots: &BTreeMap<u32, Table>,
        groups: &Groups<'_>,
    ) -> Result<BTreeMap<u32, u64>, Stop> {
        let ids = self.ids(groups.len() * 2).await?;
        let both = groups.iter().filter_map(|(root, parts)| Some((roots.get(root)?, parts)));
        let both = both.flat_map(|(root, parts)| [(root, parts, true), (root, parts, false)]);
        let (mut statements, mut entries) = (Vec::new(), Vec::new());
        for ((table, parts, refused), id) in both.zip(ids) {
            let columns: Vec<i16> = table.plain().map(|column| column.number).collect();
            let own = key(table, &BTreeSet::new(), &BTreeSet::new());
            let values: Vec<String> = table.plain().map(|column| copy::stored(column, "t")).collect();
            let mut list: Vec<String> =
                values.iter().enumerate().map(|(n, value)| format!("{value} AS v{}", n + 1)).collect();
            list.extend(own.whole.then(|| copy::ordinal(&values)));
            let more = if refused { " AND o.refused" } else { " AND NOT o.refused" };
            let parts: Vec<(&Table, String)> = parts.iter().map(|part| (*part, goes(part.oid, more))).collect();
            statements.push(format!(
                "CREATE TABLE {}.kept_{id} AS SELECT {} FROM {}",
                copy::SCHEMA,
                list.join(", "),
                source(table, &parts)
            ));
            let reason = if refused { Reason::Refused } else { Reason::Dependent };
            let details = types(table, &columns);
            entries.push(New { id, kind: Kind::Row, reason, table, columns, key: own, rows: 0, details });
        }
        let kept = counts(&self.send(&joined(statements)).await?);
        let mut sums: BTreeMap<u32, u64> = BTreeMap::new();
        for (entry, rows) in entries.iter_mut().zip(kept) {
            entry.rows = rows;
            *sums.entry(entry.table.oid).or_default() += rows;
        }
        self.record(entries).await?;
        Ok(sums)
    }

    /// Deletes the rows that go, all in one statement: within it no foreign key is checked.
    async fn delete_rows(&self, tables: &[&Table]) -> Result<Vec<u64>, Stop> {
        let one = |(n, table): (usize, &&Table)| {
            format!("d{n} AS (DELETE FROM {} t WHERE {} RETURNING 1)", table.rows(), goes(table.oid, ""))
        };
        let deletes: Vec<String> = tables.iter().enumerate().map(one).collect();
        let sums: Vec<String> = (0..tables.len()).map(|n| format!("(SELECT pg_catalog.count(*) FROM d{n})")).collect();
        self.send(OWN_PATH).await?;
        let rows = self.ask(&format!("WITH {} SELECT {}", deletes.join(", "), sums.join(", "))).await?;
        Ok(rows.into_iter().flatten().flatten().filter_map(|count| count.parse().ok()).collect())
    }
}

fn unequal(table: &Table) -> Stop {
    Error::failed(format!("rows of {} that the older schema refuses cannot be kept", table.id()))
        .cause("not as many were taken out as were kept")
        .help("nothing was changed.")
        .into()
}
