//! A dropped column of a large table, given back by one rewrite of the table: the type of the column is set to what it is,
//! with what was kept as its values. It makes no dead rows, writes each index once and fires no trigger.
//!
//! The table that holds the values was written in the order of the user's table, so a cursor over it mostly stands at the
//! very row that is asked for; else an index finds it.

use super::facts::{Held, Table, count};
use crate::engine::attic::stored::{Answer, cell};
use crate::engine::session::Session;
use crate::model::attic::Kind;
use crate::model::sql::identifier;

/// Fewer rows are updated one by one.
const WORTH: u64 = 5_000;

/// How far the cursor is followed before the index is asked.
const NEAR: usize = 8;

/// Gives back in this way; false where it cannot be done, and nothing was.
pub(super) async fn give(session: &Session, held: &Held, table: &Table) -> Answer<bool> {
    let entry = &held.entry;
    let same = |name: &String, kept: String| {
        table.column(name).is_some_and(|column| held.types.get(&kept) == Some(&column.full_type))
    };
    let simple = entry.kind == Kind::Column
        && entry.rows >= WORTH
        && (table.partitioned || !table.related)
        && entry.columns.iter().enumerate().all(|(n, name)| same(name, format!("v{}", n + 1)))
        && entry.key_columns.iter().enumerate().all(|(n, name)| same(name, format!("k{}", n + 1)))
        && entry.columns.iter().all(|name| table.column(name).is_some_and(|column| column.plain && !column.identity))
        && entry.key_columns.iter().all(|name| table.column(name).is_some_and(|column| !column.collated));
    if !simple || count(session, table).await? > entry.rows.saturating_mul(2) {
        return Ok(false);
    }
    // A changed value must keep standing; a row that is gone is not met.
    let kept_out =
        format!("SELECT 1 FROM dbbuild_attic.look WHERE entry = {} AND (stood OR why IS NULL) LIMIT 1", entry.id);
    if cell(session, &kept_out).await?.is_some() {
        return Ok(false);
    }
    session.simple_raw("SAVEPOINT dbbuild_give").await?;
    let outcome = session.simple_raw(&rewrite(held, table)).await;
    let end = if outcome.is_ok() { "" } else { "ROLLBACK TO SAVEPOINT dbbuild_give; " };
    match outcome {
        // A lock or the connection; everything else is said of single rows by the other way.
        Err(error) if error.gone || matches!(error.sqlstate.as_deref(), Some("55P03" | "40P01" | "57014")) => {
            Err(error)
        }
        outcome => {
            session.simple_raw(&format!("{end}RELEASE SAVEPOINT dbbuild_give")).await?;
            Ok(outcome.is_ok())
        }
    }
}

fn rewrite(held: &Held, table: &Table) -> String {
    let entry = &held.entry;
    let (id, kept) = (entry.id, held.sql());
    let keys: Vec<String> = (1..=entry.key_columns.len()).map(|n| format!("k{n}")).collect();
    let types: Vec<&str> = entry
        .key_columns
        .iter()
        .filter_map(|name| table.column(name))
        .map(|column| column.full_type.as_str())
        .collect();
    let is = |of: &str| -> String {
        keys.iter().enumerate().map(|(n, key)| format!("{of}.{key} = ${}", n + 1)).collect::<Vec<_>>().join(" AND ")
    };
    let key_names: Vec<String> = entry.key_columns.iter().map(|name| identifier(name)).collect();
    let mut sql = format!("CREATE INDEX ON {kept} ({});\n", keys.join(", "));
    let mut alters = Vec::new();
    let mut drops = String::new();
    for (n, column) in entry.columns.iter().enumerate().filter_map(|(n, name)| Some((n + 1, table.column(name)?))) {
        let (of, name) = (&column.full_type, identifier(&column.name));
        let now = keys.len() + 1;
        let function = format!("dbbuild_attic.given_{id}_{n}");
        sql.push_str(&format!(
            "CREATE FUNCTION {function} ({}, {of}) RETURNS {of} LANGUAGE plpgsql AS $dbbuild$
            DECLARE c refcursor := 'dbbuild_{id}_{n}'; r record; f record; BEGIN
              FETCH c INTO r; IF {same} THEN RETURN r.v; END IF;
              FOR i IN 1..{NEAR} LOOP FETCH c INTO r; IF {same} THEN RETURN r.v; END IF; END LOOP;
              SELECT k.ctid AS at, k.v{n} AS v INTO f FROM {kept} k WHERE {found};
              IF NOT FOUND THEN MOVE BACKWARD {far} IN c; RETURN ${now}; END IF;
              IF f.at < r.at THEN MOVE BACKWARD {far} IN c; END IF;
              RETURN f.v;
            END $dbbuild$;
            DECLARE dbbuild_{id}_{n} SCROLL CURSOR FOR SELECT k.ctid AS at, {keys}, k.v{n} AS v FROM {kept} k;\n",
            types.join(", "),
            same = is("r"),
            found = is("k"),
            far = NEAR + 1,
            keys = keys.join(", "),
        ));
        alters.push(format!("ALTER COLUMN {name} TYPE {of} USING {function}({}, {name})", key_names.join(", ")));
        drops.push_str(&format!("CLOSE dbbuild_{id}_{n}; DROP FUNCTION {function};\n"));
    }
    format!("{sql}ALTER TABLE {} {};\n{drops}", table.sql(), alters.join(", "))
}
