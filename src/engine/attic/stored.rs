//! Reading the attic: its entries as values.

use crate::engine::session::{ServerError, Session};
use crate::error::{Error, Result};
use crate::model::attic::{Entry, Kind, Reason};
use crate::model::sql::literal;
use serde_json::Value;

/// The server's answer, with its error in its parts.
pub(super) type Answer<T> = std::result::Result<T, Box<ServerError>>;

/// The rows of a query as text.
pub(super) async fn rows(session: &Session, sql: &str) -> Answer<Vec<Vec<Option<String>>>> {
    let mut rows = Vec::new();
    session
        .each_message(sql, |message| {
            if let tokio_postgres::SimpleQueryMessage::Row(row) = message {
                rows.push((0..row.len()).map(|i| row.get(i).map(str::to_owned)).collect());
            }
        })
        .await?;
    Ok(rows)
}

/// The first cell of the first row.
pub(super) async fn cell(session: &Session, sql: &str) -> Answer<Option<String>> {
    Ok(rows(session, sql).await?.into_iter().next().and_then(|row| row.into_iter().next().flatten()))
}

const ENTRY: &str = "SELECT pg_catalog.to_jsonb(e)::text FROM dbbuild_attic.entry e";

/// All entries, oldest first. There must be an attic.
///
/// # Errors
/// The server said no.
pub async fn entries(session: &Session) -> Result<Vec<Entry>> {
    let rows = session.query_rows(&format!("{ENTRY} ORDER BY e.id")).await?;
    Ok(rows.into_iter().flatten().flatten().filter_map(|text| entry(&text)).collect())
}

/// Those of all entries that have these numbers.
///
/// # Errors
/// There is none of one of them.
pub fn chosen(all: &[Entry], ids: &[i64]) -> Result<Vec<Entry>> {
    let mut found: Vec<Entry> = Vec::new();
    for id in ids {
        let entry = all.iter().find(|entry| entry.id == *id).ok_or_else(|| missing(*id))?;
        if !found.contains(entry) {
            found.push(entry.clone());
        }
    }
    Ok(found)
}

fn missing(id: i64) -> Error {
    Error::failed(format!("the attic has no entry {id}"))
        .help("`dbbuild attic list` shows what it holds; nothing was changed.")
}

/// The entries of some versions, newest first.
pub(super) async fn of_versions(session: &Session, versions: &[String]) -> Answer<Vec<Entry>> {
    let list: Vec<String> = versions.iter().map(|version| literal(version)).collect();
    let found = rows(session, &format!("{ENTRY} WHERE e.version IN ({}) ORDER BY e.id DESC", list.join(", "))).await?;
    Ok(found.into_iter().flatten().flatten().filter_map(|text| entry(&text)).collect())
}

/// The entries of these numbers, newest first.
pub(super) async fn of_ids(session: &Session, ids: &[i64]) -> Answer<Vec<Entry>> {
    let list: Vec<String> = ids.iter().map(i64::to_string).collect();
    let found = rows(session, &format!("{ENTRY} WHERE e.id IN ({}) ORDER BY e.id DESC", list.join(", "))).await?;
    Ok(found.into_iter().flatten().flatten().filter_map(|text| entry(&text)).collect())
}

fn entry(text: &str) -> Option<Entry> {
    let value: Value = serde_json::from_str(text).ok()?;
    let word = |name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
    let words = |name: &str| -> Vec<String> {
        let list = value.get(name).and_then(Value::as_array);
        list.map(|list| list.iter().filter_map(Value::as_str).map(str::to_owned).collect()).unwrap_or_default()
    };
    Some(Entry {
        id: value.get("id")?.as_i64()?,
        version: word("version")?,
        name: word("name")?,
        checksum: word("checksum")?,
        kind: Kind::parse(&word("kind")?)?,
        reason: Reason::parse(&word("reason")?)?,
        schema: word("schema_name")?,
        table: word("table_name")?,
        columns: words("columns"),
        key_columns: words("key_columns"),
        whole_rows: value.get("whole_rows")?.as_bool()?,
        holds: word("holds"),
        rows: value.get("rows")?.as_u64()?,
        details: value.get("details").cloned().unwrap_or_default(),
        kept_at: word("kept_at")?,
        kept_by: word("kept_by")?,
        git_commit: word("git_commit"),
        dbbuild_version: word("dbbuild_version")?,
    })
}
