//! The tables whose rows are taken along, found by the names on the command line.

use crate::engine::session::Session;
use crate::error::{Error, Result};
use crate::model::sql::{literal, qualified};

/// A table whose rows a dump takes; of a partitioned one, each partition that holds rows.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Chosen {
    /// Its OID.
    pub oid: String,
    /// As `pg_dump --table` takes it: quoted, so that nothing in it is a pattern.
    pub pattern: String,
}

/// Finds the tables.
///
/// # Errors
/// There is no such table, or what has the name holds no rows of its own.
pub(super) async fn find(session: &Session, names: &[String]) -> Result<Vec<Chosen>> {
    let mut chosen = Vec::new();
    for name in names {
        chosen.extend(find_one(session, name).await?);
    }
    chosen.sort();
    chosen.dedup();
    Ok(chosen)
}

async fn find_one(session: &Session, name: &str) -> Result<Vec<Chosen>> {
    let sql = format!(
        "SELECT c.relkind::text, p.oid::text, pn.nspname, p.relname FROM pg_catalog.pg_class c \
         LEFT JOIN LATERAL (SELECT l.relid FROM pg_catalog.pg_partition_tree(c.oid) l WHERE l.isleaf \
            UNION ALL SELECT c.oid WHERE c.relkind = 'r' AND NOT c.relispartition) t ON true \
         LEFT JOIN pg_catalog.pg_class p ON p.oid = t.relid \
         LEFT JOIN pg_catalog.pg_namespace pn ON pn.oid = p.relnamespace \
         WHERE c.oid = pg_catalog.to_regclass({})",
        literal(name)
    );
    let rows = session
        .query_rows(&sql)
        .await
        .map_err(|e| Error::usage(format!("`{name}` is no name of a table")).cause(e).help("nothing was changed."))?;
    let cell = |row: &Vec<Option<String>>, at: usize| row.get(at).cloned().flatten().unwrap_or_default();
    let Some(first) = rows.first() else {
        return Err(Error::usage(format!("there is no table `{name}`"))
            .help("write it as SQL does, with its schema: `--data shop.countries`. Nothing was changed."));
    };
    if !matches!(cell(first, 0).as_str(), "r" | "p") {
        return Err(Error::usage(format!("`{name}` is not a table: it has no rows of its own"))
            .help("name the table that holds the rows; nothing was changed."));
    }
    let whole = rows.iter().filter(|row| !cell(row, 1).is_empty());
    Ok(whole.map(|row| Chosen { oid: cell(row, 1), pattern: qualified(&cell(row, 2), &cell(row, 3)) }).collect())
}
