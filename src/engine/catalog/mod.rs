//! Reads catalogs: what a database consists of, which roles it mentions, what a dump would show, whether any of it changed.
//!
//! It never writes. The queries stand in `.sql` files beside this one; what their rows mean is
//! [`crate::model::catalog`]'s.

mod roles;
mod shown;
mod stamp;

pub use roles::{mentioned_roles, own_extension_comments};
pub use shown::{Shown, shown};
pub use stamp::stamp;

use crate::error::{Error, Result};
use crate::model::catalog::Catalog;
use crate::model::sql::literal;
use std::sync::LazyLock;
use tokio_postgres::{Client, SimpleQueryMessage};

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

/// Settings that change how PostgreSQL writes definitions down, and jit, which would compile for longer than it saves.
const SETTINGS: [(&str, &str); 9] = [
    ("search_path", ""),
    ("jit", "off"),
    ("quote_all_identifiers", "off"),
    ("TimeZone", "UTC"),
    ("DateStyle", "ISO, YMD"),
    ("IntervalStyle", "postgres"),
    ("extra_float_digits", "1"),
    ("bytea_output", "hex"),
    ("lc_monetary", "C"),
];

/// Reads the catalog, inside the session's transaction if it is in one; the session stays as it was. `own_roles` count
/// as the role that runs migrations, as do the session's user and the database's owner.
///
/// # Errors
/// Where the server refuses the query.
pub async fn read(client: &Client, own_roles: &[String]) -> Result<Catalog> {
    read_with(client, own_roles, true).await
}

/// [`read`] where the given roles alone count as the role that runs migrations.
///
/// # Errors
/// Where the server refuses the query.
pub async fn read_exactly(client: &Client, own_roles: &[String]) -> Result<Catalog> {
    read_with(client, own_roles, false).await
}

async fn read_with(client: &Client, own_roles: &[String], usual: bool) -> Result<Catalog> {
    // Planning a query over every kind costs more than asking first which kinds there are.
    let census: Vec<String> = KINDS.iter().map(|kind| format!("({})", kind.when)).collect();
    let current = SETTINGS.map(|(name, _)| format!("pg_catalog.current_setting('{name}')"));
    let facts = query_rows(
        client,
        &format!(
            "SELECT session_user, pg_catalog.pg_get_userbyid(d.datdba), {}, {} \
             FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database()",
            current.join(", "),
            census.join(", ")
        ),
    )
    .await?;
    let facts = facts.into_iter().next().ok_or_else(|| Error::failed("cannot read the catalogs"))?;
    let mut own_roles = own_roles.to_vec();
    own_roles.extend(facts.iter().take(if usual { 2 } else { 0 }).flatten().cloned());
    let before: Vec<&str> =
        facts.iter().skip(2).take(SETTINGS.len()).map(|v| v.as_deref().unwrap_or_default()).collect();
    let present = facts.iter().skip(2 + SETTINGS.len());
    let queries: Vec<&str> =
        KINDS.iter().zip(present).filter(|(_, is)| is.as_deref() == Some("t")).map(|(kind, _)| kind.query).collect();
    // One message is one transaction where none is open; what is set locally is set back for one that goes on.
    let sql = format!(
        "{}; {}; {}",
        set_locally(SETTINGS),
        query(&queries.join("UNION ALL\n")),
        set_locally(SETTINGS.iter().zip(before).map(|((name, _), value)| (*name, value)))
    );
    let mut catalog = Catalog::default();
    for row in query_rows(client, &sql).await? {
        if let [Some(kind), Some(identity), Some(definition)] = row.as_slice() {
            catalog.insert(kind, identity, definition, &own_roles);
        }
    }
    Ok(catalog)
}

/// [`read`] where the session is known to be inside a transaction: what that has changed so far is seen.
///
/// # Errors
/// Where the server refuses the query.
pub async fn read_within(client: &Client, own_roles: &[String]) -> Result<Catalog> {
    read(client, own_roles).await
}

/// The rows of all queries in a text, null as `None`.
async fn query_rows(client: &Client, sql: &str) -> Result<Vec<Vec<Option<String>>>> {
    let messages = client.simple_query(sql).await.map_err(|e| {
        let error = Error::failed("cannot read the catalogs");
        match e.as_db_error() {
            Some(db) => error.cause(format!("{} ({})", db.message(), db.code().code())).sqlstate(db.code().code()),
            None => error.cause(e),
        }
    })?;
    Ok(messages
        .iter()
        .filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some((0..row.len()).map(|at| row.get(at).map(str::to_owned)).collect()),
            _ => None,
        })
        .collect())
}

fn set_locally<'a>(settings: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let calls =
        settings.into_iter().map(|(name, value)| format!("pg_catalog.set_config('{name}', {}, true)", literal(value)));
    format!("SELECT {}", calls.collect::<Vec<_>>().join(", "))
}

fn query(sections: &str) -> String {
    format!(
        "WITH {SCOPE} SELECT u.kind, u.identity, concat_ws(E'\\x1f', u.definition, 'comment=' || d.description)\n\
         FROM ({sections}) u (kind, identity, definition, classoid, objoid, objsubid)\n\
         LEFT JOIN pg_description d USING (classoid, objoid, objsubid)\n\
         WHERE NOT EXISTS (SELECT FROM member m WHERE m.classid = u.classoid AND m.objid = u.objoid)"
    )
}

/// One value of a row; `None` for null.
fn cell(row: &[Option<String>], at: usize) -> Option<&str> {
    row.get(at)?.as_deref()
}

#[cfg(test)]
mod kinds_tests;
#[cfg(test)]
mod shown_tests;
#[cfg(test)]
mod test_server;
#[cfg(test)]
mod tests;
