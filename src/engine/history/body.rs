//! What the version table keeps of the bodies of secure migrations: their checksums.

use crate::engine::session::Session;
use crate::error::Result;
use std::collections::BTreeMap;

/// The applied versions, as their files write them, with the checksum of the body that ran; a version table from before
/// secure migrations has none.
///
/// # Errors
/// The server said no.
pub async fn bodies(session: &Session) -> Result<BTreeMap<String, Option<String>>> {
    const SQL: &str = "SELECT m.version, pg_catalog.to_jsonb(m) ->> 'body_checksum' FROM dbbuild.migration m";
    let there = session.query_rows("SELECT 1 WHERE pg_catalog.to_regclass('dbbuild.migration') IS NOT NULL").await?;
    if there.is_empty() {
        return Ok(BTreeMap::new());
    }
    let rows = session.query_rows(SQL).await?;
    let cell = |row: &[Option<String>], i: usize| row.get(i).cloned().flatten();
    Ok(rows.iter().filter_map(|row| Some((cell(row, 0)?, cell(row, 1)))).collect())
}
