//! What stands in the tables, told apart by table and column whatever the order of the columns.

use super::rows::list;
use crate::engine::session::Session;
use crate::error::Result;
use crate::model::sql::{identifier, literal};
use std::collections::BTreeMap;

/// Tables that are asked for in one query.
const CHUNK: usize = 50;

/// Digests of every table: of its rows as a whole, and of each column.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Contents(BTreeMap<String, Table>);

#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Table {
    rows: String,
    columns: BTreeMap<String, String>,
}

/// Reads them, those of dbbuild apart.
///
/// # Errors
/// A table cannot be read.
pub(super) async fn read(session: &Session) -> Result<Contents> {
    let sql = "SELECT pg_catalog.format('%I.%I', n.nspname, c.relname) || E'\\x1f' || pg_catalog.concat_ws(E'\\x1f', VARIADIC \
               ARRAY(SELECT a.attname FROM pg_catalog.pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 \
                     AND NOT a.attisdropped ORDER BY 1)::text[]) FROM pg_catalog.pg_class c \
               JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
               WHERE c.relkind IN ('r', 'm') AND c.relispopulated AND n.nspname !~ '^pg_(toast|temp)' \
                 AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'dbbuild', 'dbbuild_attic') ORDER BY 1";
    let mut contents = Contents::default();
    for chunk in list(session, sql).await?.chunks(CHUNK) {
        let tables: Vec<Vec<&str>> = chunk.iter().map(|line| line.split('\u{1f}').collect()).collect();
        let queries: Vec<String> = tables.iter().map(|parts| query(parts)).collect();
        for (row, parts) in session.query_rows(&queries.join(" UNION ALL ")).await?.iter().zip(&tables) {
            let digests = row.get(1).cloned().flatten().unwrap_or_default();
            let mut digests = digests.split('\u{1f}').map(str::to_owned);
            let rows = digests.next().unwrap_or_default();
            let columns = parts.iter().skip(1).map(|name| (*name).to_owned()).zip(digests).collect();
            let name = row.first().cloned().flatten().unwrap_or_default();
            contents.0.insert(name, Table { rows, columns });
        }
    }
    Ok(contents)
}

fn query(parts: &[&str]) -> String {
    let (table, columns) = parts.split_first().map_or(("", &[][..]), |(table, columns)| (*table, columns));
    let quoted: Vec<String> = columns.iter().map(|name| format!("t.{}", identifier(name))).collect();
    let sum = |value: &str| format!("pg_catalog.sum(pg_catalog.hashtextextended({value}, 0)::numeric)");
    let whole = format!("ROW({})::text", quoted.join(", "));
    let mut all = vec![format!("pg_catalog.count(*) || ' ' || COALESCE({}, 0)", sum(&whole))];
    all.extend(quoted.iter().map(|column| format!("COALESCE({}::text, '')", sum(&format!("{column}::text")))));
    format!("SELECT {}, pg_catalog.concat_ws(E'\\x1f', {}) FROM ONLY {table} t", literal(table), all.join(", "))
}

impl Contents {
    /// Whether a table, or a column of it, is among them.
    pub fn has(&self, table: &str, column: Option<&str>) -> bool {
        self.0.get(table).is_some_and(|found| column.is_none_or(|column| found.columns.contains_key(column)))
    }

    /// The tables and columns of the expected ones that hold something else here; a table alone where rows are more or fewer,
    /// or values changed places.
    pub fn differences(&self, expected: &Contents) -> Vec<(String, Option<String>)> {
        let mut found = Vec::new();
        for (name, wanted) in &expected.0 {
            let Some(table) = self.0.get(name) else { continue };
            let count = |table: &Table| table.rows.split(' ').next().map(str::to_owned);
            let columns: Vec<&String> = wanted
                .columns
                .iter()
                .filter(|(column, sum)| table.columns.get(*column) != Some(*sum))
                .map(|(c, _)| c)
                .collect();
            if count(table) == count(wanted) && !columns.is_empty() {
                found.extend(columns.into_iter().map(|column| (name.clone(), Some(column.clone()))));
            } else if table.rows != wanted.rows {
                found.push((name.clone(), None));
            }
        }
        found
    }
}
