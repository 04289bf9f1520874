//! What a transaction has changed, for the proof that a script run twice changes nothing.
//!
//! PostgreSQL counts rows in the session before it publishes them; the counters may still hold those of earlier
//! transactions, so only their change between two readings says something.

use super::{cell, query_rows};
use crate::error::Result;
use std::collections::BTreeMap;
use tokio_postgres::Client;

/// Counters of one relation in the current transaction.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Touched {
    /// The relation's OID.
    pub oid: u32,
    /// Its schema.
    pub schema: String,
    /// Its name.
    pub name: String,
    /// Rows inserted, updated and deleted.
    pub counts: [u64; 3],
}

impl Touched {
    /// Whether it is one of PostgreSQL's own tables: DDL shows there.
    pub fn is_catalog(&self) -> bool {
        self.schema == "pg_catalog"
    }
}

/// The relations in which this session has inserted, updated or deleted rows that are not yet published, by OID.
/// Take one reading before and one after, and compare.
///
/// # Errors
/// Where the server refuses the query.
pub async fn touched(client: &Client) -> Result<BTreeMap<u32, Touched>> {
    const SQL: &str = "SELECT relid, schemaname, relname, n_tup_ins, n_tup_upd, n_tup_del \
        FROM pg_catalog.pg_stat_xact_all_tables WHERE n_tup_ins + n_tup_upd + n_tup_del > 0";
    let mut found = BTreeMap::new();
    for row in query_rows(client, SQL).await? {
        let number = |at: usize| cell(&row, at).and_then(|v| v.parse::<u64>().ok()).unwrap_or_default();
        let Some(oid) = cell(&row, 0).and_then(|v| v.parse().ok()) else { continue };
        let text = |at: usize| cell(&row, at).unwrap_or_default().to_owned();
        found.insert(oid, Touched { oid, schema: text(1), name: text(2), counts: [number(3), number(4), number(5)] });
    }
    Ok(found)
}

/// For each table its number of rows and a hash of them in which their order does not count. Tables are given by OID;
/// one that no longer exists is left out.
///
/// # Errors
/// Where a table cannot be read: row security that would hide rows is an error, not a smaller answer.
pub async fn rows_fingerprint(client: &Client, tables: &[u32]) -> Result<BTreeMap<u32, String>> {
    if tables.is_empty() {
        return Ok(BTreeMap::new());
    }
    let list: Vec<String> = tables.iter().map(u32::to_string).collect();
    let sql = format!(
        "SELECT c.oid, pg_catalog.format('%I.%I', n.nspname, c.relname) FROM pg_catalog.pg_class c \
         JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'p', 'm') AND c.oid IN ({})",
        list.join(", ")
    );
    let named = query_rows(client, &sql).await?;
    let queries: Vec<String> = named
        .iter()
        .filter_map(|row| Some((cell(row, 0)?, cell(row, 1)?)))
        .map(|(oid, table)| {
            format!(
                "SELECT {oid}, pg_catalog.concat_ws(' ', count(*), sum(pg_catalog.hashtextextended(t::text, 0)), \
                 sum(pg_catalog.hashtextextended(t::text, 1))) FROM ONLY {table} t"
            )
        })
        .collect();
    if queries.is_empty() {
        return Ok(BTreeMap::new());
    }
    let found = query_rows(client, &queries.join(" UNION ALL ")).await?;
    Ok(found.iter().filter_map(|row| Some((cell(row, 0)?.parse().ok()?, cell(row, 1)?.to_owned()))).collect())
}

/// The catalogs whose rows make up the objects of a database, and which of their rows are the user's.
const STAMPED: [(&str, &str); 42] = [
    ("pg_namespace", "true"),
    ("(SELECT umid AS xmin, umuser AS ctid FROM pg_catalog.pg_user_mappings) m", "true"),
    ("pg_class", "oid >= 16384"),
    ("pg_attribute", "attrelid >= 16384"),
    ("pg_attrdef", "true"),
    ("pg_constraint", "oid >= 16384"),
    ("pg_index", "indexrelid >= 16384"),
    ("pg_inherits", "true"),
    ("pg_partitioned_table", "true"),
    ("pg_sequence", "true"),
    ("pg_trigger", "true"),
    ("pg_rewrite", "oid >= 16384"),
    ("pg_policy", "true"),
    ("pg_proc", "oid >= 16384"),
    ("pg_aggregate", "aggfnoid >= 16384"),
    ("pg_type", "oid >= 16384"),
    ("pg_enum", "true"),
    ("pg_range", "rngtypid >= 16384"),
    ("pg_description", "objoid >= 16384 OR objoid = 2200"),
    ("pg_extension", "true"),
    ("pg_event_trigger", "true"),
    ("pg_default_acl", "true"),
    ("pg_statistic_ext", "true"),
    ("pg_collation", "oid >= 16384"),
    ("pg_cast", "oid >= 16384"),
    ("pg_operator", "oid >= 16384"),
    ("pg_opclass", "oid >= 16384"),
    ("pg_amop", "oid >= 16384"),
    ("pg_amproc", "oid >= 16384"),
    ("pg_ts_config", "oid >= 16384"),
    ("pg_ts_config_map", "mapcfg >= 16384"),
    ("pg_ts_dict", "oid >= 16384"),
    ("pg_foreign_server", "true"),
    ("pg_foreign_table", "true"),
    ("pg_foreign_data_wrapper", "true"),
    ("pg_publication", "true"),
    ("pg_publication_rel", "true"),
    ("pg_publication_namespace", "true"),
    ("pg_db_role_setting", "true"),
    ("pg_opfamily", "oid >= 16384"),
    ("pg_conversion", "oid >= 16384"),
    ("pg_language", "oid >= 16384"),
];

/// A cheap fingerprint over the catalogs' row versions: while it stays the same, no object has changed, so a catalog
/// read before still holds. It may change where nothing did (a refreshed materialised view, another session's
/// temporary table): then read the catalog.
///
/// # Errors
/// Where the server refuses the query.
pub async fn stamp(client: &Client) -> Result<String> {
    let parts: Vec<String> = STAMPED
        .iter()
        .map(|(table, condition)| {
            format!(
                "SELECT count(*) AS n, sum(pg_catalog.hashtextextended(xmin::text || ctid::text, {})) AS h \
                 FROM {table} WHERE {condition}",
                table.len()
            )
        })
        .collect();
    let sql = format!(
        "SELECT pg_catalog.concat_ws(' ', pg_catalog.current_database(), pg_catalog.string_agg(pg_catalog.concat_ws(':', n, h), ' ')) \
         FROM ({}) s",
        parts.join(" UNION ALL ")
    );
    Ok(query_rows(client, &sql).await?.first().and_then(|row| cell(row, 0)).unwrap_or_default().to_owned())
}
