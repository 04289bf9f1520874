//! The attic: what a down part drops, overwrites or narrows, kept in the same transaction in a schema of its own.
//!
//! It decides nothing about whether a migration is taken back: the runner asks it to keep, and the guard stands before
//! the runner.

mod beside;
mod copy;
mod elsewhere;
pub mod export;
mod facts;
pub mod give;
mod keep;
mod keeping;
mod kin;
mod look;
mod make_way;
mod names;
mod nulled;
mod offend;
mod plan;
mod record;
mod sequences;
mod split;
pub mod stored;
mod take_out;
mod text;
mod violation;

pub(in crate::engine) use keeping::{Keeping, Stop};
pub(in crate::engine) use sequences::restore_positions;

use crate::engine::session::Session;
use crate::error::{Error, Result};
use crate::model::attic::FORMAT;
use crate::model::sql::literal;

/// The DDL of the attic.
pub const SCHEMA: &str = include_str!("schema.sql");

/// Whether a database has an attic.
///
/// # Errors
/// A newer dbbuild made it, whose form this one does not know; or the server said no.
pub async fn is_there(session: &Session) -> Result<bool> {
    let there = format!("SELECT pg_catalog.to_regclass({}) IS NOT NULL", literal("dbbuild_attic.format"));
    let truth = |rows: Vec<Vec<Option<String>>>| rows.into_iter().flatten().flatten().next().is_some_and(|t| t == "t");
    if !truth(session.query_rows(&there).await?) {
        return Ok(false);
    }
    let sql = "SELECT f.version, (SELECT e.dbbuild_version FROM dbbuild_attic.entry e ORDER BY e.id DESC LIMIT 1) \
               FROM dbbuild_attic.format f";
    let rows = session.query_rows(sql).await?;
    let cell = |i: usize| rows.first().and_then(|row| row.get(i).cloned().flatten());
    let version = cell(0).and_then(|version| version.parse::<i32>().ok()).unwrap_or(FORMAT);
    if version <= FORMAT {
        return Ok(true);
    }
    let writer = cell(1).map_or_else(|| "a newer dbbuild".to_owned(), |version| format!("dbbuild {version}"));
    Err(Error::failed(format!("the attic of this database has format {version}, and this dbbuild knows {FORMAT}"))
        .cause(format!("{writer} wrote it"))
        .help("run that dbbuild, or a newer one; nothing was changed."))
}
