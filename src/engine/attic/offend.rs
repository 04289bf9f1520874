//! Which rows and values the older schema refuses: found in the state that the script had reached when it failed.
//!
//! A constraint that does not stand yet is read from the catalog after the failing statement ran on an emptied table, in a
//! savepoint. Values that a type does not hold are found by trying them, halving what fails.

use super::copy;
use super::facts::{self, Table, quoted};
use super::keep::{Keeping, Stop, joined};
use super::plan::key;
use crate::engine::history::literal;
use crate::engine::runner::{Stumble, Unit};
use crate::engine::session::ServerError;
use crate::error::OrFailed;
use crate::model::sql;
use serde::Deserialize;
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

/// A constraint or unique index, as the catalog has it.
#[derive(Debug, Deserialize)]
struct Definition {
    kind: Option<String>,
    check: Option<String>,
    own: Vec<String>,
    other: Option<(String, String, String)>,
    keys: Vec<String>,
    operators: Vec<String>,
    expressions: Vec<String>,
    unique: bool,
    #[serde(rename = "where")]
    predicate: Option<String>,
    nulls: bool,
}

const DEFINITION: &str = include_str!("offend.sql");

/// What finds a row again before the script: its key, or its place where there is none.
pub(super) fn locator(before: &Table, now: &Table, alias: &str) -> String {
    let key = key(before, &BTreeSet::new(), &BTreeSet::new());
    let columns: Option<Vec<String>> =
        key.columns.iter().map(|number| now.column(*number).map(|column| copy::stored(column, alias))).collect();
    match columns {
        Some(columns) if !key.whole => format!("(ROW({}))::text", columns.join(", ")),
        _ => format!("({alias}.ctid)::text"),
    }
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
            self.worker.send_range(unit, 0, n - 1).await?;
        }
        self.send("SET SESSION AUTHORIZATION DEFAULT; RESET ROLE; SET LOCAL row_security = off").await?;
        let text = unit.body.statements.get(n).and_then(|one| unit.body.text.get(one.range.clone()));
        match error.sqlstate.as_deref().unwrap_or_default() {
            code if code.starts_with("22") => match text {
                Some(text) => self.misfits(text, known).await,
                None => Ok(Offenders::default()),
            },
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
        let Some(now) = self.table(&format!("{}.{}", quoted(schema), quoted(table))).await? else {
            return Ok(Offenders::default());
        };
        let Some(before) = known.get(&now.oid) else { return Ok(Offenders::unknown([now.oid])) };
        let query = if let Some(column) = &error.column {
            if !now.columns.iter().any(|known| known.name == *column) {
                return Ok(Offenders::default());
            }
            Violation::Rows(format!("t.{} IS NULL", quoted(column)))
        } else {
            let Some(name) = &error.constraint else { return Ok(Offenders::default()) };
            let mut constraint = self.definition(now.oid, name).await?;
            if let (None, Some(text)) = (&constraint, text) {
                self.run_emptied(&now, text).await?;
                constraint = self.definition(now.oid, name).await?;
                self.send("ROLLBACK TO SAVEPOINT dbbuild_emptied").await?;
            }
            let Some(constraint) = constraint else { return Ok(Offenders::default()) };
            constraint.violation()
        };
        let found = self.ask(&query.query(&now, &locator(before, &now, "t"), before)).await?;
        let found: BTreeSet<String> = found.into_iter().flatten().flatten().collect();
        let mut offenders = Offenders::default();
        if !found.is_empty() {
            offenders.rows.insert(now.oid, found);
        }
        Ok(offenders)
    }

    async fn table(&self, name: &str) -> Result<Option<Table>, Stop> {
        let rows = self.ask(&format!("SELECT pg_catalog.to_regclass({})::pg_catalog.oid", literal(name))).await?;
        let Some(oid) = rows.into_iter().flatten().flatten().next().and_then(|oid| oid.parse::<u32>().ok()) else {
            return Ok(None);
        };
        Ok(facts::read(self.worker.session(), [oid]).await?.remove(&oid))
    }

    async fn definition(&self, table: u32, name: &str) -> Result<Option<Definition>, Stop> {
        let query = DEFINITION.replace("{table}", &table.to_string()).replace("{name}", &literal(name));
        let rows = self.ask(&query).await?;
        let Some(text) = rows.into_iter().flatten().flatten().next() else { return Ok(None) };
        Ok(Some(serde_json::from_str(&text).or_failed(|| "cannot read a constraint")?))
    }

    /// Runs a statement on an emptied table, to see what it makes; the savepoint `dbbuild_emptied` undoes it.
    async fn run_emptied(&self, table: &Table, text: &str) -> Result<(), Stop> {
        let mut statements = vec!["SAVEPOINT dbbuild_emptied".to_owned()];
        statements.extend(table.silence(false));
        statements.push(format!("TRUNCATE {} CASCADE", table.id()));
        self.send(&joined(statements)).await?;
        self.send(text).await?;
        self.send("SET SESSION AUTHORIZATION DEFAULT; RESET ROLE").await?;
        Ok(())
    }

    /// Values that the new type of a column does not hold.
    async fn misfits(&self, text: &str, known: &BTreeMap<u32, Table>) -> Result<Offenders, Stop> {
        let retyped = sql::retyped(text);
        let Some(object) = sql::main_object(text).filter(|_| !retyped.is_empty()) else {
            return Ok(Offenders::default());
        };
        let Some(now) = self.table(&object.name).await? else { return Ok(Offenders::default()) };
        let parts = facts::read(self.worker.session(), now.parts.iter().map(|part| part.0)).await?;
        if !parts.keys().all(|oid| known.contains_key(oid)) {
            return Ok(Offenders::unknown(parts.into_keys()));
        }
        self.run_emptied(&now, text).await?;
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
                let value = one.using.clone().unwrap_or_else(|| quoted(&one.column));
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

/// How rows are found that violate something.
enum Violation {
    /// Each by itself.
    Rows(String),
    /// All but the first of equal ones: what they are compared by, and which are.
    Equal(Vec<String>, String),
    /// Those that exclude one before them.
    Excluded(Vec<(String, String)>, String),
}

impl Definition {
    fn violation(&self) -> Violation {
        let predicate = self.predicate.clone().unwrap_or_else(|| "true".to_owned());
        match (self.kind.as_deref(), &self.check, &self.other) {
            (Some("c"), Some(check), _) => Violation::Rows(format!("NOT ({check})")),
            (Some("f"), _, Some((schema, table, kind))) => {
                let only = if kind == "p" { "" } else { "ONLY " };
                let pairs: Vec<String> = self
                    .own
                    .iter()
                    .zip(&self.keys)
                    .map(|(own, key)| format!("r.{} = t.{}", quoted(key), quoted(own)))
                    .collect();
                let present: Vec<String> =
                    self.own.iter().map(|own| format!("t.{} IS NOT NULL", quoted(own))).collect();
                Violation::Rows(format!(
                    "{} AND NOT EXISTS (SELECT FROM {only}{}.{} r WHERE {})",
                    present.join(" AND "),
                    quoted(schema),
                    quoted(table),
                    pairs.join(" AND ")
                ))
            }
            (Some("x"), ..) if !self.operators.is_empty() => Violation::Excluded(
                self.expressions.iter().cloned().zip(self.operators.iter().cloned()).collect(),
                predicate,
            ),
            _ if self.unique => {
                let present = self.expressions.iter().filter(|_| !self.nulls).map(|one| format!("({one}) IS NOT NULL"));
                let all: Vec<String> = std::iter::once(format!("({predicate})")).chain(present).collect();
                Violation::Equal(self.expressions.clone(), all.join(" AND "))
            }
            _ => Violation::Rows("false".to_owned()),
        }
    }
}

impl Violation {
    /// The query that finds them, in a table as it is now.
    fn query(&self, now: &Table, locator: &str, before: &Table) -> String {
        let key = key(before, &BTreeSet::new(), &BTreeSet::new());
        let mut order: Vec<String> = key
            .columns
            .iter()
            .filter_map(|number| now.column(*number))
            .map(|column| format!("t.{}", quoted(&column.name)))
            .collect();
        order.push("t.ctid".to_owned());
        let (order, rows) = (order.join(", "), now.rows());
        match self {
            Violation::Rows(condition) => format!("SELECT {locator} FROM {rows} t WHERE {condition}"),
            Violation::Equal(by, condition) => format!(
                "SELECT w.loc FROM (SELECT {locator} AS loc, pg_catalog.row_number() OVER (PARTITION BY {} ORDER BY {order}) AS nth \
                 FROM {rows} t WHERE {condition}) w WHERE w.nth > 1",
                by.join(", ")
            ),
            Violation::Excluded(by, condition) => {
                let values: Vec<String> =
                    by.iter().enumerate().map(|(n, (one, _))| format!("({one}) AS e{n}")).collect();
                let same: Vec<String> =
                    by.iter().enumerate().map(|(n, (_, operator))| format!("a.e{n} {operator} b.e{n}")).collect();
                format!(
                    "WITH w AS (SELECT {locator} AS loc, pg_catalog.row_number() OVER (ORDER BY {order}) AS nth, {} FROM {rows} t \
                     WHERE {condition}) SELECT a.loc FROM w a WHERE EXISTS (SELECT FROM w b WHERE b.nth < a.nth AND {})",
                    values.join(", "),
                    same.join(" AND ")
                )
            }
        }
    }
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
            EXCEPTION WHEN data_exception THEN \
                IF low = high THEN INSERT INTO dbbuild_attic.trial_bad SELECT r.loc FROM dbbuild_attic.trial_rows r WHERE r.dbbuild_n = low; \
                ELSE lows := lows || ARRAY[low, (low + high) / 2 + 1]; highs := highs || ARRAY[(low + high) / 2, high]; END IF; \
            END; \
         END LOOP; END $dbbuild$"
    )
}
