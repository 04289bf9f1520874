//! Taking over an existing database: read under one snapshot, written down as migration zero, proved in throwaways, and
//! only then recorded in the database.
//!
//! It writes no file: [`Adoption`] holds what is to be written, and whoever called decides when.

mod capture;
mod chosen;
mod left_out;
mod proof;
mod roles;

pub use capture::{Captured, Wish, capture};
pub use proof::prove;

use crate::engine::catalog;
use crate::engine::history::{self, Author, Found};
use crate::engine::session::Session;
use crate::error::{Error, Result};
use crate::model::catalog::Catalog;
use crate::model::guard::{Mark, Standing};
use crate::model::migration::Migration;

/// What a database is that has no configuration yet.
#[derive(Debug, Clone)]
pub struct DatabaseFacts {
    /// Its name.
    pub name: String,
    /// PostgreSQL's major version.
    pub major: u32,
    /// Its encoding.
    pub encoding: String,
    /// Its locale.
    pub locale: String,
}

/// Reads what a configuration needs to know.
///
/// # Errors
/// The server said no.
pub async fn facts(session: &Session) -> Result<DatabaseFacts> {
    let sql = "SELECT datname, pg_catalog.pg_encoding_to_char(encoding), datcollate FROM pg_catalog.pg_database \
               WHERE datname = pg_catalog.current_database()";
    let rows = session.query_rows(sql).await?;
    let cell = |at: usize| rows.first().and_then(|row| row.get(at).cloned().flatten()).unwrap_or_default();
    Ok(DatabaseFacts { name: cell(0), encoding: cell(1), locale: cell(2), major: session.server_version() })
}

/// Whether a database is one to take over: it holds something, and dbbuild applied nothing to it.
///
/// # Errors
/// It is empty, or dbbuild manages it already; nothing was changed.
pub fn judge(found: &Found) -> Result<()> {
    let refuse = |why: &str| Error::failed(format!("refused to adopt {}: {why}", found.facts.description));
    if found.facts.has_history || !found.history.files.is_empty() {
        return Err(refuse("dbbuild manages it already")
            .help("`dbbuild status` shows what is applied, `dbbuild apply` brings it up to the files."));
    }
    if found.facts.empty {
        return Err(refuse("it is empty")
            .help("`dbbuild init` begins with nothing; or check the address. Nothing was changed."));
    }
    Ok(())
}

/// Whether this role may make the schema of the version table.
///
/// # Errors
/// It may not; nothing was changed.
pub async fn may_write(session: &Session, description: &str) -> Result<()> {
    let sql = "SELECT pg_catalog.has_database_privilege(pg_catalog.current_database(), 'CREATE'), CURRENT_USER";
    let rows = session.query_rows(sql).await?;
    let cell = |at: usize| rows.first().and_then(|row| row.get(at).cloned().flatten()).unwrap_or_default();
    if cell(0) == "t" {
        return Ok(());
    }
    Err(Error::failed(format!("the role {} may not make a schema in {description}", cell(1)))
        .cause("the version table stands in a schema `dbbuild` of the database")
        .help("grant it CREATE on the database, or connect as the database's owner; nothing was changed."))
}

/// Writes mark and history in one transaction, where the database is still what was captured.
///
/// # Errors
/// Somebody changed it meanwhile, or the server said no; nothing was changed.
pub async fn record(
    session: &Session,
    captured: &Captured,
    mark: &Mark,
    migration: &Migration,
    author: &Author,
) -> Result<()> {
    let now: Catalog = catalog::read_exactly(session.client(), &captured.own_roles).await?;
    if now != captured.as_found {
        return Err(Error::failed("the schema was changed while it was being adopted")
            .cause(now.compare(&captured.as_found).summary(3))
            .help("run the command again; nothing was changed."));
    }
    let sql = format!(
        "BEGIN; {}; {}; {}; COMMIT",
        history::SCHEMA,
        history::write_mark(mark),
        history::record_migration(migration, "adopted", author)
    );
    session
        .simple(&sql)
        .await
        .map(|_| ())
        .map_err(|e| Error::failed("cannot record what was adopted").cause(e).help("nothing was changed."))
}

/// Whether the mark that is there belongs to another environment than the one that is selected.
pub fn other_mark<'a>(found: &'a Found, environment: &str) -> Option<&'a Mark> {
    match found.facts.standing() {
        Standing::Valid(mark) if mark.environment != environment => Some(mark),
        _ => None,
    }
}
