//! Which rows and values the older schema refuses: found in the state that the script had reached when it failed.
//!
//! A constraint that does not stand yet is read from the catalog after the failing statement ran on an emptied table, in a
//! savepoint. Values that a type does not hold are found by trying them, halving what fails.

use super::copy;
use super::facts::{self, Holds, Table};
use super::keeping::{Keeping, Stop, joined};
use super::make_way::NOT_THERE;
use super::plan::key;
use crate::engine::runner::{Stumble, Unit};
use crate::engine::session::ServerError;
use crate::model::sql::{self, identifier, literal, qualified};
use std::collections::{BTreeMap, BTreeSet};

/// What one error was about.
#[derive(Debug, Default)]
pub(super) struct Offenders {
    /// Rows to take out: where they are found before the script, by table.
    pub rows: BTreeMap<u32, BTreeSet<String>>,
    /// Values to set to null: the same, by table and column.
    pub values: BTreeMap<(u32, i16), BTreeSet<String>>,
    /// Tables whose keys must be known first.
    unknown: Vec<u32>,
}

impl Offenders {
    fn unknown(oids: impl IntoIterator<Item = u32>) -> Offenders {
        Offenders { unknown: oids.into_iter().collect(), ..Offenders::default() }
    }

    pub fn is_empty(&self) -> bool {
        self.rows.is_empty() && self.values.is_empty()
    }
}

/// What finds a row again before the script: its key, or its place where there is none, or the script dropped it. In
/// another file it has another place: then nothing finds it.
pub(super) fn locator(before: &Table, now: &Table, alias: &str) -> String {
    let key = key(before, &BTreeSet::new(), &BTreeSet::new());
    let columns: Option<Vec<String>> =
        key.columns.iter().map(|number| now.column(*number).map(|column| copy::stored(column, alias))).collect();
    match columns {
        Some(columns) if !key.whole => format!("(ROW({}))::text", columns.join(", ")),
        _ if before.file != now.file => "NULL::text".to_owned(),
        _ => format!("'at ' || ({alias}.ctid)::text"),
    }
}

/// A condition on rows before the script that [`locator`] has found.
pub(super) fn located(table: &Table, alias: &str, found: &BTreeSet<String>) -> String {
    let by_place = found.iter().any(|one| one.starts_with("at "));
    let by = if by_place { format!("'at ' || ({alias}.ctid)::text") } else { locator(table, table, alias) };
    format!("{by} IN ({})", found.iter().map(|one| literal(one)).collect::<Vec<_>>().join(", "))
}

impl Keeping<'_, '_> {
    /// Finds what an error was about; the transaction then stands before the script.
    pub(super) async fn offenders(&self, unit: &Unit<'_>, stumble: &Stumble) -> Result<Offenders, Stop> {
        // The keys of tables as they stand before the script, once it is known which tables count.
        let mut known: BTreeMap<u32, Table> = BTreeMap::new();
        self.send("ROLLBACK TO SAVEPOINT dbbuild_before").await?;
        let n = stumble.statement.unwrap_or(0);
        loop {
            let found = self.offenders_at(unit, n, &stumble.failure.error, &known).await;
            if self.worker.session().is_closed() {
                return found;
            }
            self.send("ROLLBACK TO SAVEPOINT dbbuild_before").await?;
            // What cannot be looked into stays what it was: the error of the script.
            let Ok(found) = found else { return Ok(Offenders::default()) };
            if found.unknown.is_empty() {
                return Ok(found);
            }
            let read = facts::read(self.worker.session(), found.unknown.iter().copied()).await?;
            if read.is_empty() {
                return Ok(Offenders::default());
            }
            known.extend(read);
        }
    }

    async fn offenders_at(
        &self,
        unit: &Unit<'_>,
        n: usize,
        error: &ServerError,
        known: &BTreeMap<u32, Table>,
    ) -> Result<Offenders, Stop> {
        if n > 0 {
            if !self.holds.is_empty() {
                self.send(&joined(self.holds.clone())).await?;
            }
            self.worker.send_range(unit, 0, n - 1).await?;
        }
        self.send("SET SESSION AUTHORIZATION DEFAULT; RESET ROLE; SET LOCAL row_security = off").await?;
        let text = unit.body.statements.get(n).and_then(|one| unit.body.text.get(one.range.clone()));
        match error.sqlstate.as_deref().unwrap_or_default() {
            // Without a table it is about a domain.
            code if code.starts_with("22") || code == NOT_THERE || error.table.is_none() => match text {
                Some(text) => self.misfits(text, known).await,
                None => Ok(Offenders::default()),
            },
            "23502" if text.is_some_and(|text| converts(text, error.column.as_deref())) => {
                self.misfits(text.unwrap_or_default(), known).await
            }
            _ => self.violations(text, error, known).await,
        }
    }

    /// Rows that violate a constraint.
    async fn violations(
        &self,
        text: Option<&str>,
        error: &ServerError,
        known: &BTreeMap<u32, Table>,
    ) -> Result<Offenders, Stop> {
        let (Some(schema), Some(table)) = (&error.schema, &error.table) else { return Ok(Offenders::default()) };
        let Some(now) = self.table(&qualified(schema, table)).await? else {
            return Ok(Offenders::default());
        };
        let mut tree = self.tree(now.oid).await?;
        let rules = match (&error.column, &error.constraint) {
            (Some(column), _) => self.required(&tree, now.oid, column, text).await?,
            (None, Some(name)) => {
                let mut rules = self.rules(now.oid, name).await?;
                if let (true, Some(text)) = (rules.is_empty(), text) {
                    self.run_emptied(&tree, text).await?;
                    rules = self.rules(now.oid, name).await?;
                    self.send("ROLLBACK TO SAVEPOINT dbbuild_emptied").await?;
                }
                rules
            }
            _ => self.bounds(&mut tree, text.unwrap_or_default()).await?,
        };
        let stood = |one: &&Table| one.holds == Holds::Rows && self.stood(one.oid);
        let all: Vec<u32> = tree.values().filter(stood).map(|one| one.oid).collect();
        if !all.iter().all(|oid| known.contains_key(oid)) {
            return Ok(Offenders::unknown(all));
        }
        self.lift(&tree, &rules).await?;
        let mut offenders = Offenders::default();
        for (oid, rule) in &rules {
            let Some((now, before)) = tree.get(oid).zip(known.get(oid)) else { continue };
            let found = self.ask(&rule.query(now, &locator(before, now, "t"), before)).await?;
            let found: BTreeSet<String> = found.into_iter().flatten().flatten().collect();
            if !found.is_empty() {
                offenders.rows.insert(*oid, found);
            }
        }
        Ok(offenders)
    }

    /// Whether a table was there before the script: in one that it made no row is found again.
    fn stood(&self, oid: u32) -> bool {
        self.first.as_ref().is_some_and(|first| first.relations.contains_key(&oid))
    }

    pub(super) async fn table(&self, name: &str) -> Result<Option<Table>, Stop> {
        let rows = self.ask(&format!("SELECT pg_catalog.to_regclass({})::pg_catalog.oid", literal(name))).await?;
        let Some(oid) = rows.into_iter().flatten().flatten().next().and_then(|oid| oid.parse::<u32>().ok()) else {
            return Ok(None);
        };
        Ok(facts::read(self.worker.session(), [oid]).await?.remove(&oid))
    }

    /// Runs a statement on emptied tables, to see what it makes; the savepoint `dbbuild_emptied` undoes it.
    pub(super) async fn run_emptied(&self, tables: &BTreeMap<u32, Table>, text: &str) -> Result<(), Stop> {
        let mut statements = vec!["SAVEPOINT dbbuild_emptied".to_owned()];
        statements.extend(tables.values().flat_map(|table| table.silence(false)));
        let names: Vec<String> = tables.values().map(Table::id).collect();
        statements.push(format!("TRUNCATE {} CASCADE", names.join(", ")));
        // While row_security is off no foreign key can be made that touches a table under forced row security.
        statements.push("SET LOCAL row_security = on".to_owned());
        self.send(&joined(statements)).await?;
        self.send(text).await?;
        self.send("SET SESSION AUTHORIZATION DEFAULT; RESET ROLE; SET LOCAL row_security = off").await?;
        Ok(())
    }

    /// Values that the new type of a column does not hold.
    async fn misfits(&self, text: &str, known: &BTreeMap<u32, Table>) -> Result<Offenders, Stop> {
        let retyped = sql::retyped(text);
        let Some(object) = sql::main_object(text).filter(|_| !retyped.is_empty()) else {
            return Ok(Offenders::default());
        };
        let Some(now) = self.table(&object.name).await? else { return Ok(Offenders::default()) };
        let tree = self.tree(now.oid).await?;
        let below: BTreeSet<u32> = now.parts.iter().map(|part| part.0).filter(|oid| self.stood(*oid)).collect();
        let parts: BTreeMap<u32, &Table> =
            tree.iter().filter(|(oid, _)| below.contains(oid)).map(|(oid, table)| (*oid, table)).collect();
        if !parts.keys().all(|oid| known.contains_key(oid)) {
            return Ok(Offenders::unknown(below));
        }
        if parts.is_empty() {
            return Ok(Offenders::default());
        }
        self.lift(&tree, &[]).await?;
        self.run_emptied(&tree, text).await?;
        let made = facts::read(self.worker.session(), [now.oid]).await?.remove(&now.oid);
        self.send("ROLLBACK TO SAVEPOINT dbbuild_emptied; CREATE SCHEMA IF NOT EXISTS dbbuild_attic").await?;
        let mut offenders = Offenders::default();
        for one in &retyped {
            let column = now.columns.iter().find(|column| column.name == one.column);
            let kind = column.and_then(|column| made.as_ref()?.column(column.number)).map(|column| column.kind.clone());
            let (Some(column), Some(kind)) = (column, kind) else { continue };
            for part in parts.values() {
                let own = part.columns.iter().find(|own| own.name == column.name);
                let Some((own, before)) = own.zip(known.get(&part.oid)) else { continue };
                let value = one.using.clone().unwrap_or_else(|| identifier(&one.column));
                let kind = if own.not_null { format!("{kind} NOT NULL") } else { kind.clone() };
                self.send(&try_values(part, &value, &kind)).await?;
                let query = format!(
                    "SELECT {} FROM {} t JOIN dbbuild_attic.trial_bad b ON b.loc = t.ctid; \
                     DROP TABLE dbbuild_attic.trial, dbbuild_attic.trial_rows, dbbuild_attic.trial_bad",
                    locator(before, part, "t"),
                    part.rows()
                );
                let found: BTreeSet<String> = self.ask(&query).await?.into_iter().flatten().flatten().collect();
                if found.is_empty() {
                    continue;
                }
                if own.not_null || own.bound {
                    offenders.rows.entry(part.oid).or_default().extend(found);
                } else {
                    offenders.values.entry((part.oid, own.number)).or_default().extend(found);
                }
            }
        }
        Ok(offenders)
    }
}

/// Whether a statement makes the values of a column from others.
fn converts(text: &str, column: Option<&str>) -> bool {
    sql::retyped(text).iter().any(|one| Some(one.column.as_str()) == column)
}

/// Tries to assign a value of each row to a type; the places of those that fail stand in `trial_bad`.
fn try_values(table: &Table, value: &str, kind: &str) -> String {
    let rows = table.rows();
    let insert = literal(&format!(
        "INSERT INTO dbbuild_attic.trial (v) SELECT {value} FROM {rows} WHERE ctid = ANY (ARRAY(SELECT loc FROM \
         dbbuild_attic.trial_rows WHERE dbbuild_n BETWEEN $1 AND $2))"
    ));
    format!(
        "CREATE TABLE dbbuild_attic.trial (v {kind}); \
         CREATE TABLE dbbuild_attic.trial_rows AS SELECT pg_catalog.row_number() OVER () AS dbbuild_n, t.ctid AS loc FROM {rows} t; \
         CREATE UNIQUE INDEX ON dbbuild_attic.trial_rows (dbbuild_n); CREATE TABLE dbbuild_attic.trial_bad (loc tid); \
         DO $dbbuild$ DECLARE lows bigint[] := ARRAY[1]; highs bigint[]; low bigint; high bigint; top int; BEGIN \
         highs := ARRAY(SELECT pg_catalog.count(*) FROM dbbuild_attic.trial_rows); \
         WHILE pg_catalog.cardinality(lows) > 0 LOOP \
            top := pg_catalog.cardinality(lows); low := lows[top]; high := highs[top]; \
            lows := lows[1:top - 1]; highs := highs[1:top - 1]; CONTINUE WHEN low > high; \
            BEGIN EXECUTE {insert} USING low, high; \
            EXCEPTION WHEN data_exception OR feature_not_supported OR check_violation OR not_null_violation THEN \
                IF low = high THEN INSERT INTO dbbuild_attic.trial_bad SELECT r.loc FROM dbbuild_attic.trial_rows r WHERE r.dbbuild_n = low; \
                ELSE lows := lows || ARRAY[low, (low + high) / 2 + 1]; highs := highs || ARRAY[(low + high) / 2, high]; END IF; \
            END; \
         END LOOP; END $dbbuild$"
    )
}
