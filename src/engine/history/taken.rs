//! What the version table keeps of migrations that were taken back: who did it, when, from which commit.

use super::{AUTHOR, Author, SCHEMA};
use crate::engine::session::Session;
use crate::error::Result;
use crate::model::plan::Applied;
use crate::model::sql::literal;

/// Brings a version table from before this record to the form that [`SCHEMA`] gives it.
///
/// # Errors
/// The server said no.
pub async fn add_taken_back(session: &Session) -> Result<()> {
    // Asked first: `IF NOT EXISTS` wants the right to make tables even where there is nothing to make.
    let there = session.query_rows("SELECT 1 WHERE pg_catalog.to_regclass('dbbuild.taken_back') IS NOT NULL").await?;
    if there.is_empty() {
        let at = SCHEMA.find("CREATE TABLE IF NOT EXISTS dbbuild.taken_back").unwrap_or(SCHEMA.len());
        session.simple(SCHEMA.get(at..).unwrap_or_default()).await?;
    }
    Ok(())
}

/// Removes the row of a migration that was taken back, and its journal, and writes down who did it; fails (22012) where the
/// row is gone already. `whole`: in the transaction of the down part, whose time is then told.
pub fn remove_migration(row: &Applied, author: &Author, whole: bool) -> String {
    let duration = if whole { "pg_catalog.clock_timestamp() - pg_catalog.transaction_timestamp()" } else { "NULL" };
    format!(
        "WITH journal AS (DELETE FROM dbbuild.statement WHERE version = '{0}'), \
         own AS (DELETE FROM dbbuild.migration WHERE version = '{0}' AND checksum = '{1}' RETURNING 1), \
         record AS (INSERT INTO dbbuild.taken_back (version, name, checksum, duration, {AUTHOR}) \
         VALUES ('{0}', {2}, '{1}', ({duration})::interval, {3})) \
         SELECT 1 / pg_catalog.count(*) FROM own",
        row.version,
        row.checksum,
        literal(&row.name),
        author.values(),
    )
}
