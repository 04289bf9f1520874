//! Unique values that change places among their rows, as the numbers of a key that the up part has made anew do: row after
//! row two of them would be equal for a moment. All are written at once, by a rewrite of the table that checks its indexes
//! at the end.

use super::facts::{Held, Table, put};
use crate::engine::attic::facts;
use crate::engine::attic::stored::Answer;
use crate::engine::session::{ServerError, Session};
use crate::model::sql::identifier;

/// Runs an update of all that is to be given back. Where values meet each other on the way, the table is rewritten from
/// `pairs`, FROM and what follows it, of rows `t` and what was kept of them, `k`, after `with`. Whether nothing is left to do.
pub(super) async fn exchange(
    session: &Session,
    held: &Held,
    table: &Table,
    update: &str,
    (with, pairs): (&str, &str),
) -> Answer<bool> {
    let meets = |error: &ServerError| matches!(error.sqlstate.as_deref(), Some("23505" | "23P01"));
    match undone(session, update).await? {
        None => return Ok(true),
        Some(error) if meets(&error) && !table.related => {}
        Some(_) => return Ok(false),
    }
    let Some(sql) = rewrite(session, held, table, with, pairs).await? else { return Ok(false) };
    undone(session, &sql).await?;
    Ok(false)
}

/// Runs statements; what they did is undone where one fails. A lost connection or lock is an error.
async fn undone(session: &Session, sql: &str) -> Answer<Option<Box<ServerError>>> {
    session.simple_raw("SAVEPOINT dbbuild_give").await?;
    let error = match session.simple_raw(sql).await {
        Ok(_) => None,
        Err(error) if error.gone || matches!(error.sqlstate.as_deref(), Some("55P03" | "40P01" | "57014")) => {
            return Err(error);
        }
        Err(error) => Some(error),
    };
    let end = if error.is_some() { "ROLLBACK TO SAVEPOINT dbbuild_give; " } else { "" };
    session.simple_raw(&format!("{end}RELEASE SAVEPOINT dbbuild_give")).await?;
    Ok(error)
}

/// The statements. None where no key tells the rows apart.
async fn rewrite(session: &Session, held: &Held, table: &Table, with: &str, pairs: &str) -> Answer<Option<String>> {
    let read = facts::read(session, [table.oid]).await.ok();
    let Some(keys) = read.as_ref().and_then(|read| read.get(&table.oid)).and_then(|one| {
        let names = |key: &Vec<i16>| key.iter().map(|number| Some(one.column(*number)?.name.clone())).collect();
        one.keys.iter().find_map(names)
    }) else {
        return Ok(None);
    };
    let keys: Vec<String> = keys;
    let id = held.entry.id;
    let map = format!("dbbuild_attic.places_{id}");
    let text = |value: &str| format!("({value})::text COLLATE \"C\"");
    let mut list: Vec<String> = keys
        .iter()
        .enumerate()
        .map(|(n, key)| format!("{} AS k{n}", text(&format!("t.{}", identifier(key)))))
        .collect();
    let columns: Vec<_> =
        held.entry.columns.iter().enumerate().filter_map(|(n, name)| Some((n + 1, table.column(name)?))).collect();
    list.extend(columns.iter().map(|(n, column)| format!("{} AS v{n}", put(held, &format!("v{n}"), column).value)));
    let found: Vec<String> = (0..keys.len()).map(|n| format!("p.k{n} = ${}", n + 1)).collect();
    let given: Vec<String> = keys.iter().map(|key| text(&identifier(key))).collect();
    let named: Vec<String> = (0..keys.len()).map(|n| format!("k{n}")).collect();
    let (texts, now) = (vec!["text"; keys.len()].join(", "), keys.len() + 1);
    let (mut functions, mut alters, mut drops) = (String::new(), Vec::new(), String::new());
    for (n, column) in &columns {
        let (of, function) = (&column.full_type, format!("dbbuild_attic.placed_{id}_{n}"));
        functions.push_str(&format!(
            "CREATE FUNCTION {function} ({texts}, {of}) RETURNS {of} LANGUAGE plpgsql AS $dbbuild$
            DECLARE f record; BEGIN
              SELECT p.v{n} AS v INTO f FROM {map} p WHERE {};
              IF FOUND THEN RETURN f.v; END IF;
              RETURN ${now};
            END $dbbuild$;\n",
            found.join(" AND "),
        ));
        let name = identifier(&column.name);
        alters.push(format!("ALTER COLUMN {name} TYPE {of} USING {function}({}, {name})", given.join(", ")));
        drops.push_str(&format!("DROP FUNCTION {function};\n"));
    }
    let plain = columns.iter().all(|(_, column)| column.plain);
    Ok(plain.then(|| {
        format!(
            "CREATE TABLE {map} AS {with}SELECT {} FROM {pairs};\nCREATE INDEX ON {map} ({});\n{functions}\
             ALTER TABLE {} {};\n{drops}DROP TABLE {map};\n",
            list.join(", "),
            named.join(", "),
            table.sql(),
            alters.join(", ")
        )
    }))
}
