//! Estimated sizes of tables, from what the planner and the file system know already.

use crate::engine::session::Session;
use crate::error::Result;
use crate::model::preview::Size;
use crate::model::sql::literal;
use std::collections::{BTreeMap, BTreeSet};

/// Reads the sizes of the tables that exist among `names`, which stand as scripts write them.
///
/// # Errors
/// The server said no.
pub async fn read(session: &Session, names: &BTreeSet<String>) -> Result<BTreeMap<String, Size>> {
    if names.is_empty() {
        return Ok(BTreeMap::new());
    }
    let list: Vec<String> = names.iter().map(|name| format!("({})", literal(name))).collect();
    // A name that a script could write may still be none that to_regclass takes; such a table has no size.
    let sql = format!(
        "SELECT n.name, CASE WHEN c.reltuples >= 0 THEN c.reltuples::bigint END, pg_catalog.pg_total_relation_size(c.oid) \
         FROM (VALUES {}) n (name) JOIN pg_catalog.pg_class c ON c.oid = pg_catalog.to_regclass(n.name) \
         WHERE c.relkind IN ('r', 'p', 'm')",
        list.join(", ")
    );
    let mut sizes = BTreeMap::new();
    for row in session.query_rows(&sql).await? {
        let cell = |i: usize| row.get(i).cloned().flatten();
        let (Some(name), Some(bytes)) = (cell(0), cell(2).and_then(|bytes| bytes.parse().ok())) else { continue };
        sizes.insert(name, Size { rows: cell(1).and_then(|rows| rows.parse().ok()), bytes });
    }
    Ok(sizes)
}
