//! A fingerprint of all that a dump shows, without the dump: where two databases have the same, their dumps are equal too.
//!
//! It may differ where the dumps do not; then they are to be made. Positions of sequences are not in it.

use super::{cell, query_rows, read};
use crate::error::Result;
use crate::model::catalog::Catalog;
use crate::model::sql::literal;
use std::collections::BTreeMap;
use tokio_postgres::Client;

const BESIDE: &str = include_str!("beside.sql");
/// Tables whose rows are asked for in one query.
const CHUNK: usize = 100;

/// The user's tables that may hold rows. An empty one is as good as one that was emptied.
const TABLES: &str = "SELECT c.oid::pg_catalog.regclass::text FROM pg_catalog.pg_class c \
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
    WHERE c.relkind = 'r' AND c.relpersistence <> 't' \
      AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'dbbuild', 'dbbuild_attic') AND n.nspname !~ '^pg_(toast|temp)' \
      AND pg_catalog.pg_relation_size(c.oid) > 0 ORDER BY 1";

/// What a database shows to `pg_dump`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// Its objects.
    pub catalog: Catalog,
    beside: Vec<Vec<Option<String>>>,
    /// Number and hashes of the rows of each table that has any.
    rows: BTreeMap<String, String>,
}

impl Shown {
    /// Whether a dump of the other database must be the same. Never where something is there that is not read.
    pub fn same_dump(&self, other: &Shown) -> bool {
        let unread = self.beside.iter().any(|fact| cell(fact, 0) == Some("unread"));
        !unread && self == other
    }
}

/// Reads the fingerprint; the session's search path is reset.
///
/// # Errors
/// Where the server refuses a query; row security that would hide rows is an error, not a smaller answer.
pub async fn shown(client: &Client, own_roles: &[String]) -> Result<Shown> {
    let catalog = read(client, own_roles).await?;
    query_rows(client, "SET search_path = pg_catalog; SET row_security = off").await?;
    let beside = query_rows(client, BESIDE).await?;
    let mut rows = BTreeMap::new();
    let tables: Vec<String> =
        query_rows(client, TABLES).await?.iter().filter_map(|row| cell(row, 0).map(str::to_owned)).collect();
    for chunk in tables.chunks(CHUNK) {
        let each: Vec<String> = chunk.iter().map(|table| rows_query(table)).collect();
        for row in query_rows(client, &each.join(" UNION ALL ")).await? {
            if let (Some(table), Some(digest)) = (cell(&row, 0), cell(&row, 1)) {
                rows.insert(table.to_owned(), digest.to_owned());
            }
        }
    }
    query_rows(client, "RESET search_path; RESET row_security").await?;
    Ok(Shown { catalog, beside, rows })
}

fn rows_query(table: &str) -> String {
    let name = literal(table);
    format!(
        "SELECT {name}, pg_catalog.concat_ws(' ', pg_catalog.count(*), \
         pg_catalog.sum(pg_catalog.hashtextextended(t::text, 0)::numeric), \
         pg_catalog.sum(pg_catalog.hashtextextended(t::text, 1)::numeric)) FROM ONLY {table} t \
         HAVING pg_catalog.count(*) > 0"
    )
}
