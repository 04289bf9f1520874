//! Single values and dropped columns, given back to the rows that they were of.

use super::facts::{Held, Table, numbered};
use super::look::{self, CHANGED, UNMET, by_key};
use super::rows::{assignments, differs, unsettled};
use super::{Giving, fast, places, range};
use crate::engine::attic::facts;
use crate::engine::attic::stored::Answer;
use crate::engine::attic::text::texts;
use crate::engine::session::Session;
use crate::model::sql::{identifier, literal};

/// Why a value is in conflict whose row nobody has.
const GONE: &str = "its row is gone";

/// Why a value is in conflict that was found by a key which the migration takes from the table.
const SEVERAL: &str = "several rows have its key";

impl Giving {
    /// Gives the values of an entry back. Returns why nothing of it can be.
    pub(super) async fn give_values(&self, session: &Session, held: &Held, table: &Table) -> Answer<Option<String>> {
        if held.entry.rows > 1000 {
            session.simple_raw(&format!("ANALYZE {}", held.sql())).await?;
        }
        if held.entry.whole_rows {
            return self.by_other_columns(session, held, table).await;
        }
        let Some(on) = by_key(held, table) else {
            return Ok(Some(format!("the key {} is gone", held.entry.key_columns.join(", "))));
        };
        self.note_conflicts(session, held, table, &on).await?;
        let unique = is_unique(session, held, table).await?;
        if !unique {
            let sql = format!(
                "INSERT INTO dbbuild_attic.look SELECT {}, k.ctid, false, {} FROM {} k JOIN {} t ON {on} WHERE {} \
                 GROUP BY k.ctid HAVING pg_catalog.count(*) > 1",
                held.entry.id,
                literal(SEVERAL),
                held.sql(),
                table.only(),
                unsettled(held),
            );
            session.simple_raw(&sql).await?;
        }
        if unique && fast::give(session, held, table).await? {
            return Ok(None);
        }
        let (set, same) = assignments(held, table);
        let guards: String = same.iter().map(|same| format!(" AND {same}")).collect();
        let (only, kept, free, differs) = (table.only(), held.sql(), unsettled(held), differs(held));
        let update = |range: &str| {
            format!("UPDATE {only} t SET {set} FROM {kept} k WHERE {on} AND {range} AND {free} AND {differs}{guards}")
        };
        let pairs = format!("{only} t JOIN {kept} k ON {on} WHERE {free} AND {differs}{guards}");
        if !places::exchange(session, held, table, &update("true"), ("", &pairs)).await? {
            range::over(session, held, &update, None).await?;
        }
        if !same.is_empty() {
            let sql = format!(
                "INSERT INTO dbbuild_attic.look SELECT {}, k.ctid, false, {} FROM {kept} k JOIN {only} t ON {on} \
                 WHERE {free} AND {differs}",
                held.entry.id,
                literal(range::OTHER)
            );
            session.simple_raw(&sql).await?;
        }
        Ok(None)
    }

    async fn note_conflicts(&self, session: &Session, held: &Held, table: &Table, on: &str) -> Answer<()> {
        let (id, only, kept, free) = (held.entry.id, table.only(), held.sql(), unsettled(held));
        let differs = differs(held);
        let made = texts("k", numbered('m', held.entry.columns.len()).iter().map(String::as_str));
        let current = texts("t", held.entry.columns.iter().map(String::as_str));
        let mut sql = String::new();
        if held.has_made() {
            // A row that goes by another key since the up part: what stands there now tells.
            sql.push_str(&format!(
                "UPDATE dbbuild_attic.look l SET stood = true, why = {} FROM {kept} k JOIN {only} t ON {on} \
                 WHERE l.entry = {id} AND l.kept = k.ctid AND l.why = {unmet} AND {current} IS DISTINCT FROM {made}; \
                 DELETE FROM dbbuild_attic.look WHERE entry = {id} AND why = {unmet}; ",
                literal(CHANGED),
                unmet = literal(UNMET),
            ));
        }
        sql.push_str(&format!(
            "UPDATE dbbuild_attic.look l SET why = NULL FROM {kept} k JOIN {only} t ON {on} \
             WHERE l.entry = {id} AND l.kept = k.ctid AND NOT {differs}; "
        ));
        let before = self.before.get(&held.left());
        let looked = !self.yields(held) && before.is_some_and(|before| look::changed(held, before).is_some());
        let wary = self.wary.contains(&id);
        let meanwhile = match (held.has_made(), self.yields(held)) {
            (true, _) if looked => {
                wary.then(|| format!("{current} IS DISTINCT FROM {made} AND ({})", other_value(held, None)))
            }
            (true, _) => Some(format!("{current} IS DISTINCT FROM {made}")),
            // What a person asks for may fill what is empty.
            (false, true) if self.later => Some(other_value(held, None)),
            (false, true) => Some("true".to_owned()),
            (false, false) => wary.then(|| other_value(held, Some(table))),
        };
        if !held.has_made() {
            // What somebody wrote in other columns did not get into these.
            sql.push_str(&format!(
                "DELETE FROM dbbuild_attic.look l USING {kept} k JOIN {only} t ON {on} \
                 WHERE l.entry = {id} AND l.kept = k.ctid AND l.why = {} AND NOT ({}); ",
                literal(CHANGED),
                other_value(held, Some(table))
            ));
        }
        if let Some(meanwhile) = meanwhile {
            sql.push_str(&format!(
                "INSERT INTO dbbuild_attic.look SELECT {id}, k.ctid, true, {} FROM {kept} k JOIN {only} t ON {on} \
                 WHERE {free} AND {differs} AND ({meanwhile}); ",
                literal(CHANGED),
            ));
        }
        sql.push_str(&format!(
            "DELETE FROM dbbuild_attic.look l USING {kept} k WHERE l.entry = {id} AND l.kept = k.ctid \
             AND NOT EXISTS (SELECT FROM {only} t WHERE {on}); \
             INSERT INTO dbbuild_attic.look SELECT {id}, k.ctid, false, {} FROM {kept} k \
             WHERE NOT EXISTS (SELECT FROM {only} t WHERE {on})",
            literal(GONE)
        ));
        session.simple_raw(&sql).await.map(|_| ())
    }

    /// Without a key a row is found by all its other columns; equal ones are counted. What the down part made of a value must
    /// stand there still.
    async fn by_other_columns(&self, session: &Session, held: &Held, table: &Table) -> Answer<Option<String>> {
        let entry = &held.entry;
        if let Some(lost) = entry.key_columns.iter().find(|name| table.column(name).is_none()) {
            return Ok(Some(format!("its rows were found by the column {lost}, which is gone")));
        }
        let keys = numbered('k', entry.key_columns.len());
        let open = match (self.yields(held) && !held.has_made(), self.later) {
            (false, _) => "true".to_owned(),
            // Other rows have their values already, and which is whose cannot be told.
            (true, true) => {
                entry.columns.iter().map(|name| format!("{} IS NULL", of_table(name))).collect::<Vec<_>>().join(" AND ")
            }
            (true, false) => "false".to_owned(),
        };
        let open = match self.wary.contains(&entry.id) && !held.has_made() && !self.yields(held) {
            true => format!("{open} AND {}", is_unfilled(held, table)),
            false => open,
        };
        let (set, same) = assignments(held, table);
        let same: String = same.iter().map(|same| format!(" AND {same}")).collect();
        let with = |letter: Option<char>| {
            let (now, then) = match letter.map(|letter| numbered(letter, entry.columns.len())) {
                Some(then) => {
                    (texts("t", entry.columns.iter().map(String::as_str)), texts("k", then.iter().map(String::as_str)))
                }
                None => ("ROW(1)".to_owned(), "ROW(1)".to_owned()),
            };
            format!(
                "WITH now AS MATERIALIZED (SELECT t.ctid AS at, t.tableoid AS rel, {row_now}::text AS row, {now}::text AS made, \
                 pg_catalog.row_number() OVER (PARTITION BY {row_now}::text, {now}::text ORDER BY t.ctid) AS n FROM {only} t WHERE {open}), \
                 held AS MATERIALIZED (SELECT k.*, k.ctid AS kept, {row_then}::text AS row_then, {then}::text AS made_then, \
                 pg_catalog.row_number() OVER (PARTITION BY {row_then}::text, {then}::text ORDER BY k.ordinal) AS n_then \
                 FROM {held_table} k WHERE {free}) ",
                row_now = texts("t", entry.key_columns.iter().map(String::as_str)),
                row_then = texts("k", keys.iter().map(String::as_str)),
                only = table.only(),
                held_table = held.sql(),
                free = unsettled(held),
            )
        };
        let found = "now.row = k.row_then AND now.made = k.made_then AND now.n = k.n_then";
        let stands = "t.ctid = now.at AND t.tableoid = now.rel";
        if held.has_made() {
            // The up part itself made of some what they were.
            let equal = format!(
                "{}INSERT INTO dbbuild_attic.look SELECT {}, k.kept, false, NULL FROM held k JOIN now ON {found}",
                with(Some('v')),
                entry.id
            );
            session.simple_raw(&equal).await?;
        }
        let with = with(held.has_made().then_some('m'));
        let sql = format!(
            "{with}, done AS (UPDATE {only} t SET {set} FROM held k JOIN now ON {found} WHERE {stands}{same} RETURNING k.kept) \
             INSERT INTO dbbuild_attic.look SELECT {id}, held.kept, false, {why} FROM held \
             WHERE NOT EXISTS (SELECT FROM done WHERE done.kept = held.kept)",
            only = table.only(),
            id = entry.id,
            why = literal("its row is gone or was changed meanwhile"),
        );
        if !held.has_made() {
            let pairs = format!("held k JOIN now ON {found} JOIN {} t ON {stands} WHERE true{same}", table.only());
            if places::exchange(session, held, table, &sql, (&with, &pairs)).await? {
                return Ok(None);
            }
        }
        session.simple_raw("SAVEPOINT dbbuild_give").await?;
        let why = match session.simple_raw(&sql).await {
            Ok(_) => None,
            Err(error) if range::is_of_rows(&error) => Some(error.message.clone()),
            Err(error) => return Err(error),
        };
        let end = if why.is_some() { "ROLLBACK TO SAVEPOINT dbbuild_give; " } else { "" };
        session.simple_raw(&format!("{end}RELEASE SAVEPOINT dbbuild_give")).await?;
        Ok(why)
    }
}

/// Whether no two rows of a table can have the key of an entry.
async fn is_unique(session: &Session, held: &Held, table: &Table) -> Answer<bool> {
    let read = facts::read(session, [table.oid]).await.unwrap_or_default();
    let Some(now) = read.get(&table.oid) else { return Ok(false) };
    let mine = |number: &i16| now.column(*number).is_some_and(|own| held.entry.key_columns.contains(&own.name));
    Ok(now.keys.iter().any(|key| key.iter().all(mine)))
}

/// Whether a row of `t` holds a value of its own where `k` kept another; with a table none that its column has by default.
fn other_value(held: &Held, table: Option<&Table>) -> String {
    let kept = numbered('v', held.entry.columns.len());
    let one = |(name, kept): (&String, &String)| {
        format!(
            "NOT ({}) AND {}::text COLLATE \"C\" IS DISTINCT FROM k.{kept}::text COLLATE \"C\"",
            is_empty(name, table),
            of_table(name)
        )
    };
    held.entry.columns.iter().zip(&kept).map(one).collect::<Vec<_>>().join(" OR ")
}

/// Whether a row of `t` holds in no column of an entry another value than that by default.
fn is_unfilled(held: &Held, table: &Table) -> String {
    let all: Vec<String> = held.entry.columns.iter().map(|name| format!("({})", is_empty(name, Some(table)))).collect();
    all.join(" AND ")
}

/// Whether a column holds no value, or with a table that which it has by default.
fn is_empty(name: &str, table: Option<&Table>) -> String {
    let value = of_table(name);
    let column = table.and_then(|table| table.column(name));
    if column.is_some_and(|column| column.numbered) {
        return "true".to_owned();
    }
    let default = column.and_then(|column| Some((column.default.as_ref()?, &column.full_type)));
    let default = default.map(|(default, of)| {
        format!(" OR {value}::text COLLATE \"C\" IS NOT DISTINCT FROM ({default})::{of}::text COLLATE \"C\"")
    });
    format!("{value} IS NULL{}", default.unwrap_or_default())
}

fn of_table(name: &str) -> String {
    format!("t.{}", identifier(name))
}
