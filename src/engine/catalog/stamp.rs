//! A cheap answer to whether any object of a database changed since its catalog was read.
//!
//! It reads no definition: what changed is the catalog's business.

use super::{cell, query_rows};
use crate::error::Result;
use tokio_postgres::Client;

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
