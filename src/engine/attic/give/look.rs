//! The look before the up part: which kept rows and values somebody has changed since the down part.

use super::facts::{self, Held, Table, equal, numbered};
use super::{Giving, LOOK, Wanted, elsewhere, quiet};
use crate::engine::attic::stored::{Answer, cell, rows as query};
use crate::engine::attic::text::{PINS, digest, hash, texts};
use crate::engine::session::Session;
use crate::model::attic::given::is_of_rows;
use crate::model::sql::literal;
use std::collections::BTreeMap;

/// What [`Giving`] begins with.
pub struct Look;

/// Why a value is in conflict that is not what the down part made.
pub(super) const CHANGED: &str = "it was changed meanwhile";

/// Of a value whose row was not found before the up part, until that has run.
pub(super) const UNMET: &str = "its row was not found";

impl Look {
    /// Looks, in the transaction that is open. None where the attic has nothing of these versions.
    ///
    /// # Errors
    /// The server said no.
    pub async fn take(session: &Session, wanted: &Wanted) -> Answer<Option<Giving>> {
        let before = pinned(session).await?;
        let mut giving = Giving::open(session, wanted).await?;
        if giving.held.is_empty() {
            unpin(session, before).await?;
            return Ok(None);
        }
        session.simple_raw(LOOK).await?;
        let mut carrying = Vec::new();
        for held in &giving.held {
            carrying.push(carriers(session, held).await?);
        }
        let mut places = BTreeMap::new();
        for held in &giving.held {
            places.insert(held.entry.id, elsewhere::places(session, held).await?);
        }
        let carriers = carrying.iter().flatten().flatten().filter_map(|(table, _)| table.as_ref());
        let others = places.values().flatten().map(|place| &place.table);
        let seen: Vec<&Table> = giving.before.values().chain(carriers).chain(others).collect();
        quiet::lock(session, &seen).await?;
        let lifted = quiet::lift(session, &seen).await?;
        for (held, carriers) in giving.held.iter().zip(&carrying) {
            let Some(carriers) = carriers else { continue };
            let untouched = as_left(session, carriers).await?;
            let carriers = carriers.iter().filter_map(|(table, _)| Some(table.as_ref()?.oid.to_string()));
            giving.carriers.insert(held.entry.id, carriers.collect());
            giving.untouched.insert(held.entry.id, untouched);
        }
        elsewhere::compare(session, &mut places).await?;
        giving.stood = standing(session).await?;
        for held in &giving.held {
            session.simple_raw(&format!("DELETE FROM dbbuild_attic.look WHERE entry = {}", held.entry.id)).await?;
            let Some(table) = giving.before.get(&held.left()) else { continue };
            // What an undecided value stands against is what stands after newer ones were given back.
            let looks = || changed(held, table).or_else(|| written(held, table)).filter(|_| !giving.yields(held));
            if let Some(sql) = stood(held, table).or_else(looks) {
                session.simple_raw(&sql).await?;
            }
        }
        lifted.put_back(session).await?;
        giving.places = places;
        unpin(session, before).await?;
        Ok(Some(giving))
    }

    /// Goes on after an interruption: what was seen before the first statement stands in the database.
    ///
    /// # Errors
    /// The server said no.
    pub async fn again(session: &Session, wanted: &Wanted) -> Answer<Option<Giving>> {
        let before = pinned(session).await?;
        let giving = Giving::open(session, wanted).await?;
        unpin(session, before).await?;
        Ok(Some(giving).filter(|giving| !giving.held.is_empty()))
    }
}

/// Kept rows whose key another row has.
fn stood(held: &Held, table: &Table) -> Option<String> {
    if !is_of_rows(held.entry.kind) {
        return None;
    }
    let on = by_former_key(held, table)?;
    Some(format!(
        "INSERT INTO dbbuild_attic.look SELECT {}, k.ctid, true, NULL FROM {} k JOIN {} t ON {on}",
        held.entry.id,
        held.sql(),
        table.only()
    ))
}

/// Kept values whose place holds another one than the down part put there.
pub(super) fn changed(held: &Held, table: &Table) -> Option<String> {
    let entry = &held.entry;
    if is_of_rows(entry.kind)
        || !held.has_made()
        || !entry.columns.iter().all(|name| table.column(held.then(name)).is_some())
    {
        return None;
    }
    let on = by_former_key(held, table)?;
    let made = numbered('m', entry.columns.len());
    Some(format!(
        "INSERT INTO dbbuild_attic.look SELECT {}, k.ctid, t.tableoid IS NOT NULL, CASE WHEN t.tableoid IS NULL THEN {} ELSE {} END \
         FROM {} k LEFT JOIN {} t ON {on} WHERE t.tableoid IS NULL OR {} IS DISTINCT FROM {}",
        entry.id,
        literal(UNMET),
        literal(CHANGED),
        held.sql(),
        table.only(),
        texts("t", entry.columns.iter().map(|name| held.then(name))),
        texts("k", made.iter().map(String::as_str)),
    ))
}

/// Dropped values in whose place somebody has written, in columns that the down part had made.
fn written(held: &Held, table: &Table) -> Option<String> {
    let columns = held.entry.details.get("beside")?.get("columns")?.as_array()?;
    let names: Vec<&str> = columns.iter().filter_map(serde_json::Value::as_str).collect();
    if !held.types.contains_key("beside") || !names.iter().all(|name| table.column(name).is_some()) {
        return None;
    }
    let on = by_former_key(held, table)?;
    Some(format!(
        "INSERT INTO dbbuild_attic.look SELECT {}, k.ctid, true, {} FROM {} k JOIN {} t ON {on} \
         WHERE k.beside IS DISTINCT FROM {}",
        held.entry.id,
        literal(CHANGED),
        held.sql(),
        table.only(),
        hash("t", names),
    ))
}

const TABLES: &str = "SELECT c.oid::text, n.nspname NOT IN ('pg_catalog', 'information_schema', 'dbbuild', 'dbbuild_attic') \
        AND pg_catalog.pg_relation_size(c.oid) > 0, pg_catalog.pg_stat_get_xact_tuples_deleted(c.oid)::text, \
        pg_catalog.pg_stat_get_xact_tuples_updated(c.oid)::text \
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'p')";

/// What a table holds, and what this transaction has done to it so far.
#[derive(Debug, Clone)]
pub(super) struct Counts {
    /// It has rows, and is no table of dbbuild's or the server's.
    pub holds: bool,
    pub deleted: String,
    pub updated: String,
}

/// Tables by OID.
pub(super) type Standing = BTreeMap<String, Counts>;

/// All tables.
pub(super) async fn standing(session: &Session) -> Answer<Standing> {
    let one = |row: Vec<Option<String>>| {
        let mut cells = row.into_iter().flatten();
        let (oid, holds) = (cells.next()?, cells.next()? == "t");
        Some((oid, Counts { holds, deleted: cells.next()?, updated: cells.next()? }))
    };
    Ok(query(session, TABLES).await?.into_iter().filter_map(one).collect())
}

/// The tables that a down part had put rows into, as they are now, each with what stood for its rows then. None where that
/// was not noted.
async fn carriers(session: &Session, held: &Held) -> Answer<Option<Vec<(Option<Table>, String)>>> {
    let noted = held.entry.details.get("beside").and_then(|beside| beside.get("tables"));
    let Some(noted) = noted.and_then(serde_json::Value::as_array) else { return Ok(None) };
    let mut carriers = Vec::new();
    for one in noted {
        let text = |n: usize| one.get(n).and_then(serde_json::Value::as_str).unwrap_or_default();
        carriers.push((facts::table(session, text(0), text(1)).await?, text(2).to_owned()));
    }
    Ok(Some(carriers))
}

/// Whether nobody has changed a row of them since.
async fn as_left(session: &Session, carriers: &[(Option<Table>, String)]) -> Answer<bool> {
    for (table, then) in carriers {
        let Some(table) = table else { return Ok(false) };
        let plain = table.columns.iter().filter(|column| !column.generated);
        let names: Vec<&str> = plain.map(|column| column.name.as_str()).collect();
        if cell(session, &digest(&table.only(), &names)).await?.as_deref() != Some(then) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// How the rows of a table (`t`) are found by an entry (`k`), where there is a key.
pub(super) fn by_key(held: &Held, table: &Table) -> Option<String> {
    found_by(held, table, |name| name)
}

/// The same under the names from before the up part.
fn by_former_key(held: &Held, table: &Table) -> Option<String> {
    found_by(held, table, |name| held.then(name))
}

fn found_by<'h>(held: &'h Held, table: &Table, called: impl Fn(&'h str) -> &'h str) -> Option<String> {
    let entry = &held.entry;
    if entry.whole_rows || entry.key_columns.is_empty() {
        return None;
    }
    let mut all = Vec::new();
    for (n, name) in entry.key_columns.iter().enumerate() {
        let kept = match is_of_rows(entry.kind) {
            true => format!("v{}", entry.columns.iter().position(|column| column == name)? + 1),
            false => format!("k{}", n + 1),
        };
        all.push(equal(held, &kept, table.column(called(name))?));
    }
    Some(all.join(" AND "))
}

/// Sets the pins, and returns what was set before.
async fn pinned(session: &Session) -> Answer<Vec<(String, String)>> {
    let mut before = Vec::new();
    let current = PINS.map(|(name, _)| format!("pg_catalog.current_setting('{name}')")).join(", ");
    let row = query(session, &format!("SELECT {current}")).await?.into_iter().next().unwrap_or_default();
    for ((name, _), value) in PINS.iter().zip(row) {
        before.push(((*name).to_owned(), value.unwrap_or_default()));
    }
    set(session, PINS.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))).await?;
    Ok(before)
}

/// What the script is to find as it was.
async fn unpin(session: &Session, before: Vec<(String, String)>) -> Answer<()> {
    set(session, before.into_iter()).await
}

async fn set(session: &Session, settings: impl Iterator<Item = (String, String)>) -> Answer<()> {
    let calls: Vec<String> =
        settings.map(|(name, value)| format!("pg_catalog.set_config('{name}', {}, true)", literal(&value))).collect();
    session.simple_raw(&format!("SELECT {}", calls.join(", "))).await.map(|_| ())
}
