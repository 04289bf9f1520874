//! The tables that stand with one in a partitioning or inheritance, and what an older schema demands of each of them.

use super::facts::{self, Holds, Table};
use super::keeping::{Keeping, Stop, joined};
use super::violation::{Definition, Violation};
use crate::error::OrFailed;
use crate::model::sql::{identifier, literal, qualified};
use std::collections::{BTreeMap, BTreeSet};

const DEFINITION: &str = include_str!("offend.sql");

/// All tables above and below one.
const TREE: &str = "WITH RECURSIVE up (oid) AS (SELECT {table}::oid UNION SELECT h.inhparent FROM up u \
    JOIN pg_catalog.pg_inherits h ON h.inhrelid = u.oid), down (oid) AS (SELECT u.oid FROM up u UNION SELECT h.inhrelid FROM down d \
    JOIN pg_catalog.pg_inherits h ON h.inhparent = d.oid) SELECT d.oid FROM down d";

/// The tables of a partitioning or inheritance that have a constraint or unique index alike, and its name there. A foreign
/// key that refers to a partitioned table has others below it that refer to partitions: these do not count.
const ALIKE: &str = "WITH RECURSIVE told AS (SELECT k.* FROM pg_catalog.pg_constraint k WHERE k.conrelid = {table} AND k.conname = {name}), \
    up (oid) AS (SELECT k.oid FROM told k UNION SELECT k.conparentid FROM up u JOIN pg_catalog.pg_constraint k ON k.oid = u.oid AND k.conparentid <> 0), \
    down (oid) AS (SELECT u.oid FROM up u UNION SELECT k.oid FROM down d JOIN pg_catalog.pg_constraint k ON k.conparentid = d.oid), \
    tup (oid) AS (SELECT {table}::oid UNION SELECT h.inhparent FROM tup u JOIN pg_catalog.pg_inherits h ON h.inhrelid = u.oid), \
    tree (oid) AS (SELECT u.oid FROM tup u UNION SELECT h.inhrelid FROM tree d JOIN pg_catalog.pg_inherits h ON h.inhparent = d.oid), \
    iup (oid) AS (SELECT i.indexrelid FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid \
        WHERE i.indrelid = {table} AND i.indisunique AND x.relname = {name} \
        UNION SELECT h.inhparent FROM iup u JOIN pg_catalog.pg_inherits h ON h.inhrelid = u.oid), \
    idown (oid) AS (SELECT u.oid FROM iup u UNION SELECT h.inhrelid FROM idown d JOIN pg_catalog.pg_inherits h ON h.inhparent = d.oid), \
    found (oid, name) AS (SELECT k.conrelid, k.conname FROM down d JOIN pg_catalog.pg_constraint k ON k.oid = d.oid \
        WHERE k.contype <> 'f' OR k.confrelid = (SELECT t.confrelid FROM told t LIMIT 1) \
        UNION SELECT k.conrelid, k.conname FROM told t JOIN pg_catalog.pg_constraint k ON k.contype = 'c' AND t.contype = 'c' \
            AND k.conname = t.conname AND k.conrelid IN (SELECT d.oid FROM tree d) \
        UNION SELECT i.indrelid, x.relname FROM idown d JOIN pg_catalog.pg_index i ON i.indexrelid = d.oid \
            JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid) \
    SELECT f.oid, f.name FROM found f JOIN pg_catalog.pg_class c ON c.oid = f.oid WHERE c.relkind = 'r' ORDER BY 1";

impl Keeping<'_, '_> {
    /// Lets the owner see all rows of these tables, and of those that rules refer to. A rollback undoes it.
    pub(super) async fn lift(&self, tree: &BTreeMap<u32, Table>, rules: &[(u32, Violation)]) -> Result<(), Stop> {
        let mut statements: BTreeSet<String> = tree.values().filter_map(|one| one.force(false)).collect();
        for (_, rule) in rules {
            if let Violation::Rows(_, Some(other)) = rule
                && let Some(other) = self.table(other).await?
            {
                statements.extend(other.force(false));
            }
        }
        if !statements.is_empty() {
            self.send(&joined(statements.into_iter().collect())).await?;
        }
        Ok(())
    }

    /// The tables of a partitioning or inheritance that a table stands in; of others the table alone. None where some rows
    /// lie on another server.
    pub(super) async fn tree(&self, oid: u32) -> Result<BTreeMap<u32, Table>, Stop> {
        let rows = self.ask(&TREE.replace("{table}", &oid.to_string())).await?;
        let oids: Vec<u32> = rows.into_iter().flatten().flatten().filter_map(|oid| oid.parse().ok()).collect();
        let tree = facts::read(self.worker.session(), oids).await?;
        Ok(if tree.values().all(|one| one.is_of_rows()) { tree } else { BTreeMap::new() })
    }

    /// In which tables a column must have a value now, or once the statement has run: the one that was told of at least.
    pub(super) async fn required(
        &self,
        tree: &BTreeMap<u32, Table>,
        told: u32,
        column: &str,
        text: Option<&str>,
    ) -> Result<Vec<(u32, Violation)>, Stop> {
        let named = |one: &Table| one.columns.iter().find(|own| own.name == column).map(|own| own.not_null);
        let mut oids: BTreeSet<u32> = [told].into();
        if let (true, Some(text)) = (tree.len() > 1, text) {
            self.run_emptied(tree, text).await?;
            let made = facts::read(self.worker.session(), tree.keys().copied()).await?;
            self.send("ROLLBACK TO SAVEPOINT dbbuild_emptied").await?;
            let fresh = |one: &&Table| named(one) == Some(true) && tree.get(&one.oid).and_then(named) == Some(false);
            oids.extend(made.values().filter(fresh).map(|one| one.oid));
        }
        let holds = |oid: &u32| tree.get(oid).is_some_and(|one| one.holds == Holds::Rows && named(one).is_some());
        let rule = |oid| (oid, Violation::Rows(format!("t.{} IS NULL", identifier(column)), None));
        Ok(oids.into_iter().filter(holds).map(rule).collect())
    }

    /// What the bounds of partitions demand once a statement has run: of a table that it attaches, and of the default
    /// partition beside a new one. The tables that such a statement fails on come to those that are looked at.
    pub(super) async fn bounds(
        &self,
        tree: &mut BTreeMap<u32, Table>,
        text: &str,
    ) -> Result<Vec<(u32, Violation)>, Stop> {
        while let Err(stop) = self.run_emptied(tree, text).await {
            let Stop::Own(failure) = stop else { return Err(stop) };
            self.send("ROLLBACK TO SAVEPOINT dbbuild_emptied").await?;
            let (known, error) = (tree.len(), &failure.error);
            if let (Some(schema), Some(table)) = (&error.schema, &error.table)
                && let Some(other) = self.table(&qualified(schema, table)).await?
            {
                tree.extend(self.tree(other.oid).await?);
            }
            if tree.len() == known {
                return Err(failure.into());
            }
        }
        let oids: Vec<String> = tree.keys().map(u32::to_string).collect();
        let sql = format!(
            "SELECT c.oid, pg_catalog.pg_get_partition_constraintdef(c.oid) FROM pg_catalog.pg_class c \
             WHERE c.relkind = 'r' AND c.relispartition AND c.oid IN ({})",
            oids.join(", ")
        );
        let rows = self.ask(&sql).await?;
        self.send("ROLLBACK TO SAVEPOINT dbbuild_emptied").await?;
        let rule = |row: Vec<Option<String>>| {
            let mut cells = row.into_iter().flatten();
            let (oid, bound) = (cells.next()?.parse().ok()?, cells.next()?);
            Some((oid, Violation::Rows(format!("NOT ({bound})"), None)))
        };
        Ok(rows.into_iter().filter_map(rule).collect())
    }

    /// What a constraint or unique index demands, in each table that has it from the same one above.
    pub(super) async fn rules(&self, told: u32, name: &str) -> Result<Vec<(u32, Violation)>, Stop> {
        let query = ALIKE.replace("{table}", &told.to_string()).replace("{name}", &literal(name));
        let mut rules = Vec::new();
        for row in self.ask(&query).await? {
            let [Some(oid), Some(name)] = row.as_slice() else { continue };
            let Ok(oid) = oid.parse() else { continue };
            rules.extend(self.definition(oid, name).await?.map(|definition| (oid, definition.violation())));
        }
        Ok(rules)
    }

    pub(super) async fn definition(&self, table: u32, name: &str) -> Result<Option<Definition>, Stop> {
        let query = DEFINITION.replace("{table}", &table.to_string()).replace("{name}", &literal(name));
        let rows = self.ask(&query).await?;
        let Some(text) = rows.into_iter().flatten().flatten().next() else { return Ok(None) };
        Ok(Some(serde_json::from_str(&text).or_failed(|| "cannot read a constraint")?))
    }
}
