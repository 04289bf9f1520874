//! Reads catalogs: what a database consists of, which roles it mentions, what a transaction has touched.
//!
//! It never writes. The queries stand in `.sql` files beside this one; what their rows mean is
//! [`crate::model::catalog`]'s.

mod roles;
mod touched;

pub use roles::{mentioned_roles, own_extension_comments};
pub use touched::{Touched, rows_fingerprint, stamp, touched};

use crate::error::{Error, OrFailed, Result};
use crate::model::catalog::Catalog;
use std::sync::LazyLock;
use tokio_postgres::{Client, SimpleQueryMessage, SimpleQueryRow};

const SCOPE: &str = include_str!("scope.sql");
const SECTIONS: [&str; 3] = [include_str!("relations.sql"), include_str!("routines.sql"), include_str!("others.sql")];

/// One kind of object: whether a database can have any, and the query for them.
struct Section {
    when: &'static str,
    query: &'static str,
}

static KINDS: LazyLock<Vec<Section>> = LazyLock::new(|| {
    let parts = SECTIONS.iter().flat_map(|text| text.split("-- when: ").skip(1));
    parts.filter_map(|part| part.split_once('\n')).map(|(when, query)| Section { when, query }).collect()
});

/// Settings that change how PostgreSQL writes definitions down.
const SETTINGS: &str = "SET LOCAL search_path = ''; SET LOCAL jit = off; SET LOCAL quote_all_identifiers = off; \
    SET LOCAL \"TimeZone\" = 'UTC'; SET LOCAL \"DateStyle\" = 'ISO, YMD'; SET LOCAL \"IntervalStyle\" = 'postgres'; \
    SET LOCAL extra_float_digits = 1; SET LOCAL bytea_output = 'hex'; SET LOCAL lc_monetary = 'C'";

/// Reads the catalog in a transaction of its own; the session must be in none.
///
/// # Errors
/// Where the server refuses the query.
pub async fn read(client: &Client, own_roles: &[String]) -> Result<Catalog> {
    read_between(client, own_roles, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", "ROLLBACK").await
}

/// Reads the catalog inside the transaction that the session is in, and leaves it as it was.
///
/// # Errors
/// Where the server refuses the query.
pub async fn read_within(client: &Client, own_roles: &[String]) -> Result<Catalog> {
    let end = "ROLLBACK TO SAVEPOINT dbbuild_catalog; RELEASE SAVEPOINT dbbuild_catalog";
    read_between(client, own_roles, "SAVEPOINT dbbuild_catalog", end).await
}

async fn read_between(client: &Client, own_roles: &[String], begin: &str, end: &str) -> Result<Catalog> {
    let found = read_rows(client, begin).await;
    let ended = client.simple_query(end).await.or_failed(|| "cannot read the catalogs");
    let rows = found?;
    ended?;
    let mut catalog = Catalog::default();
    for row in &rows {
        if let (Some(kind), Some(identity), Some(definition)) = (row.get(0), row.get(1), row.get(2)) {
            catalog.insert(kind, identity, definition, own_roles);
        }
    }
    Ok(catalog)
}

async fn read_rows(client: &Client, begin: &str) -> Result<Vec<SimpleQueryRow>> {
    // Planning a query over every kind costs more than asking first which kinds there are.
    let census: Vec<String> = KINDS.iter().map(|kind| format!("({})", kind.when)).collect();
    let census = rows(client, &format!("{begin}; {SETTINGS}; SELECT {}", census.join(", "))).await?;
    let present = census.first().ok_or_else(|| Error::failed("cannot read the catalogs"))?;
    let queries: Vec<&str> =
        KINDS.iter().enumerate().filter(|(at, _)| present.get(*at) == Some("t")).map(|(_, kind)| kind.query).collect();
    rows(client, &query(&queries.join("UNION ALL\n"))).await
}

fn query(sections: &str) -> String {
    format!(
        "WITH {SCOPE} SELECT u.kind, u.identity, concat_ws(E'\\x1f', u.definition, 'comment=' || d.description)\n\
         FROM ({sections}) u (kind, identity, definition, classoid, objoid, objsubid)\n\
         LEFT JOIN pg_description d USING (classoid, objoid, objsubid)\n\
         WHERE NOT EXISTS (SELECT FROM member m WHERE m.classid = u.classoid AND m.objid = u.objoid)"
    )
}

/// The rows of the last statement that returns any.
async fn rows(client: &Client, sql: &str) -> Result<Vec<SimpleQueryRow>> {
    let messages = client.simple_query(sql).await.map_err(|e| {
        let error = Error::failed("cannot read the catalogs");
        match e.as_db_error() {
            Some(db) => error.cause(db).sqlstate(db.code().code()),
            None => error.cause(e),
        }
    })?;
    Ok(messages
        .into_iter()
        .filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some(row),
            _ => None,
        })
        .collect())
}

#[cfg(test)]
mod test_server;
#[cfg(test)]
mod tests;
