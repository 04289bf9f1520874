//! What the attic holds, as rows for people and as files, and its removal for good.

use super::stored::entries;
use crate::engine::session::Session;
use crate::error::{Error, OrFailed, Result};
use crate::model::attic::given::is_of_rows;
use crate::model::attic::{Entry, Kind};
use crate::model::baseline::copy_value;
use crate::model::sql::{identifier, literal, qualified};
use std::io::{self, Write};
use std::str::FromStr;

/// The form of an export.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// One table, with a line of names.
    Csv,
    /// One object a line, which says what it is of.
    Json,
    /// Statements that put everything back.
    Sql,
}

impl FromStr for Format {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        match text {
            "csv" => Ok(Format::Csv),
            "json" => Ok(Format::Json),
            "sql" => Ok(Format::Sql),
            _ => Err(format!("`{text}` is none of csv, json, sql")),
        }
    }
}

/// The columns of what holds an entry, and what they are called outside the attic: key, kept values, what the down part
/// made of them.
async fn columns(session: &Session, entry: &Entry) -> Result<Vec<(String, String)>> {
    let Some(holds) = &entry.holds else { return Ok(Vec::new()) };
    let sql = format!(
        "SELECT a.attname FROM pg_catalog.pg_attribute a WHERE a.attnum > 0 AND NOT a.attisdropped \
         AND a.attrelid = pg_catalog.to_regclass({})",
        literal(&format!("dbbuild_attic.{}", identifier(holds)))
    );
    let there: Vec<String> = session.query_rows(&sql).await?.into_iter().flatten().flatten().collect();
    let named = |letter: char, names: &[String], suffix: &str| -> Vec<(String, String)> {
        let numbered =
            names.iter().enumerate().map(|(n, name)| (format!("{letter}{}", n + 1), format!("{name}{suffix}")));
        numbered.filter(|(column, _)| there.contains(column)).collect()
    };
    let mut columns = named('k', &entry.key_columns, "");
    columns.extend(named('v', &entry.columns, ""));
    columns.extend(named('m', &entry.columns, " after"));
    if columns.is_empty() && entry.rows > 0 && !entry.columns.is_empty() {
        return Err(Error::failed(format!("the table dbbuild_attic.{holds} is gone")));
    }
    Ok(columns)
}

fn source(entry: &Entry) -> String {
    format!("dbbuild_attic.{} k", identifier(entry.holds.as_deref().unwrap_or_default()))
}

/// The names of an entry's columns, and its first rows.
///
/// # Errors
/// The server said no.
pub async fn rows(session: &Session, entry: &Entry, limit: u64) -> Result<(Vec<String>, Vec<Vec<Option<String>>>)> {
    if entry.kind == Kind::Sequence {
        let detail = |name: &str| entry.details.get(name).map(ToString::to_string);
        let names = vec!["last_value".to_owned(), "is_called".to_owned()];
        return Ok((names, vec![vec![detail("last_value"), detail("is_called")]]));
    }
    let columns = columns(session, entry).await?;
    let list: Vec<String> = columns.iter().map(|(column, _)| format!("k.{column}")).collect();
    let sql = format!("SELECT {} FROM {} ORDER BY k.ctid LIMIT {limit}", list.join(", "), source(entry));
    Ok((columns.into_iter().map(|(_, name)| name).collect(), session.query_rows(&sql).await?))
}

/// Writes entries, row by row as the server sends them.
///
/// # Errors
/// The server said no, or `out` did.
pub async fn export(session: &Session, entries: &[Entry], format: Format, out: &mut dyn Write) -> Result<()> {
    for entry in entries {
        match (format, entry.kind) {
            (Format::Csv, Kind::Sequence) => {
                let (names, rows) = rows(session, entry, 1).await?;
                let row: Vec<String> = rows.into_iter().flatten().map(Option::unwrap_or_default).collect();
                write(out, format!("{}\n{}\n", names.join(","), row.join(",")).as_bytes())?;
            }
            (Format::Csv, _) => {
                let columns = columns(session, entry).await?;
                let list: Vec<String> =
                    columns.iter().map(|(column, name)| format!("k.{column} AS {}", identifier(name))).collect();
                let sql = format!(
                    "COPY (SELECT {} FROM {} ORDER BY k.ctid) TO STDOUT (FORMAT csv, HEADER)",
                    list.join(", "),
                    source(entry)
                );
                session.copy_out(&sql, |piece| out.write_all(piece)).await?.or_failed(|| "cannot write the export")?;
            }
            (Format::Json, _) => {
                let line = json(session, entry).await?;
                lines(session, &line, out).await?;
            }
            (Format::Sql, _) => {
                let head = format!("-- {}: {} {} of {}\n", entry.label(), entry.kind, entry.reason, entry.relation());
                write(out, head.as_bytes())?;
                let line = statement(session, entry).await?;
                lines(session, &line, out).await?;
            }
        }
    }
    Ok(())
}

fn write(out: &mut dyn Write, bytes: &[u8]) -> Result<()> {
    out.write_all(bytes).or_failed(|| "cannot write the export")
}

/// A query of one column, which is written line by line.
async fn lines(session: &Session, query: &str, out: &mut dyn Write) -> Result<()> {
    let mut rest = Vec::new();
    let take = |piece: &[u8]| -> io::Result<()> {
        rest.extend_from_slice(piece);
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = rest.drain(..=end).collect();
            let text = String::from_utf8_lossy(line.get(..end).unwrap_or_default());
            out.write_all(copy_value(&text).as_bytes())?;
            out.write_all(b"\n")?;
        }
        Ok(())
    };
    session.copy_out(&format!("COPY ({query}) TO STDOUT"), take).await?.or_failed(|| "cannot write the export")
}

/// The query of an entry's rows as JSON.
async fn json(session: &Session, entry: &Entry) -> Result<String> {
    let about = serde_json::json!({
        "entry": entry.id, "version": entry.version, "kind": entry.kind.as_str(), "reason": entry.reason.as_str(),
        "schema": entry.schema, "table": entry.table,
    });
    let about = literal(&about.to_string());
    if entry.kind == Kind::Sequence {
        return Ok(format!(
            "SELECT ({about}::jsonb || pg_catalog.jsonb_build_object('row', {}::jsonb))::text",
            literal(&entry.details.to_string())
        ));
    }
    let columns = columns(session, entry).await?;
    let list: Vec<String> =
        columns.iter().map(|(column, name)| format!("k.{column} AS {}", identifier(name))).collect();
    Ok(format!(
        "SELECT ({about}::jsonb || pg_catalog.jsonb_build_object('row', pg_catalog.to_jsonb(x)))::text \
         FROM (SELECT {} FROM {} ORDER BY k.ctid) x",
        list.join(", "),
        source(entry)
    ))
}

/// The query of the statements that put an entry's rows back.
async fn statement(session: &Session, entry: &Entry) -> Result<String> {
    let table = qualified(&entry.schema, &entry.table);
    if entry.kind == Kind::Sequence {
        let detail = |name: &str| entry.details.get(name).map(ToString::to_string).unwrap_or_default();
        let (last, called) = (detail("last_value"), detail("is_called"));
        let set = format!("SELECT pg_catalog.setval({}, {last}, {called});", literal(&table));
        return Ok(format!("SELECT {}", literal(&set)));
    }
    // Makes the text of a constant, or of a comparison with one.
    let value = |column: &str| format!("pg_catalog.quote_nullable(k.{column}::text)");
    let columns = columns(session, entry).await?;
    let of = |letter: char| columns.iter().filter(move |(column, _)| column.starts_with(letter));
    if is_of_rows(entry.kind) {
        let names: Vec<String> = of('v').map(|(_, name)| identifier(name)).collect();
        let values: Vec<String> = of('v').map(|(column, _)| value(column)).collect();
        let head = format!("INSERT INTO {table} ({}) OVERRIDING SYSTEM VALUE VALUES (", names.join(", "));
        let values = if values.is_empty() { "''".to_owned() } else { values.join(" || ', ' || ") };
        return Ok(format!("SELECT {} || {values} || ');' FROM {} ORDER BY k.ctid", literal(&head), source(entry)));
    }
    let set: Vec<String> = of('v')
        .map(|(column, name)| format!("{} || {}", literal(&format!("{} = ", identifier(name))), value(column)))
        .collect();
    let find: Vec<String> = of('k')
        .map(|(column, name)| {
            let name = literal(&identifier(name));
            format!("{name} || CASE WHEN k.{column} IS NULL THEN ' IS NULL' ELSE ' = ' || {} END", value(column))
        })
        .collect();
    Ok(format!(
        "SELECT {} || {} || ' WHERE ' || {} || ';' FROM {} ORDER BY k.ctid",
        literal(&format!("UPDATE {table} SET ")),
        set.join(" || ', ' || "),
        find.join(" || ' AND ' || "),
        source(entry)
    ))
}

/// Drops entries for good, in one transaction. The caller holds the lock of this database.
///
/// # Errors
/// One of them is not there; nothing was dropped.
pub async fn drop_entries(session: &Session, ids: &[i64]) -> Result<Vec<Entry>> {
    session.simple("BEGIN").await?;
    let outcome = drop_open(session, ids).await;
    session.simple(if outcome.is_ok() { "COMMIT" } else { "ROLLBACK" }).await?;
    outcome
}

async fn drop_open(session: &Session, ids: &[i64]) -> Result<Vec<Entry>> {
    session.simple("LOCK TABLE dbbuild_attic.entry IN SHARE ROW EXCLUSIVE MODE").await?;
    let all = entries(session).await?;
    let mut dropped = Vec::new();
    for id in ids {
        let entry = all.iter().find(|entry| entry.id == *id).ok_or_else(|| {
            Error::failed(format!("the attic has no entry {id}"))
                .help("`dbbuild attic list` shows what it holds; nothing was dropped.")
        })?;
        if let Some(holds) = &entry.holds {
            session.simple(&format!("DROP TABLE IF EXISTS dbbuild_attic.{}", identifier(holds))).await?;
        }
        session.simple(&format!("DELETE FROM dbbuild_attic.entry WHERE id = {id}")).await?;
        dropped.push(entry.clone());
    }
    Ok(dropped)
}
