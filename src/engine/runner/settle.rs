//! After an interruption: what became of a statement that could not share a transaction with its journal row?
//!
//! The catalogs answer for index builds, index drops and detached partitions; what may simply be repeated is repeated.
//! Where nothing can tell, dbbuild stops and asks.

use super::Event;
use super::journal::Journaled;
use super::message::Unit;
use super::worker::{Worker, title};
use crate::engine::history::literal;
use crate::error::{Error, Result};
use crate::model::migration::Migration;
use crate::model::sql::{NonTransactional, StatementKind};

/// True where the statement was done; false where it is to be run again, after what it left was removed.
pub(super) async fn settled(
    worker: &Worker<'_>,
    unit: &Unit<'_>,
    migration: &Migration,
    n: usize,
    row: &Journaled,
) -> Result<bool> {
    let Some(statement) = unit.body.statements.get(n) else { return Ok(false) };
    match &statement.kind {
        StatementKind::NonTransactional(kind) => match kind.as_ref() {
            NonTransactional::CreateIndexConcurrently { name, table, .. } => {
                index_built(worker, name.as_deref(), table, row).await
            }
            NonTransactional::DropIndexConcurrently { names, .. } => index_dropped(worker, names).await,
            NonTransactional::DetachConcurrently { parent, partition } => detached(worker, parent, partition).await,
            NonTransactional::ReindexConcurrently { .. } => {
                remove_reindex_leftovers(worker).await?;
                Ok(false)
            }
            NonTransactional::Reindex
            | NonTransactional::Vacuum
            | NonTransactional::Cluster
            | NonTransactional::DiscardAll
            | NonTransactional::AlterSystem => Ok(false),
            _ => Err(ask(unit, migration, n)),
        },
        _ => Err(ask(unit, migration, n)),
    }
}

/// An index that is new since the journal was written: valid means done, invalid is dropped and made again.
async fn index_built(worker: &Worker<'_>, name: Option<&str>, table: &str, row: &Journaled) -> Result<bool> {
    let known: Vec<String> = row.indexes.iter().map(u32::to_string).collect();
    let named = name.map_or_else(String::new, |name| {
        let bare = name.rsplit('.').next().unwrap_or(name);
        let bare = bare
            .strip_prefix('"')
            .and_then(|b| b.strip_suffix('"'))
            .map_or_else(|| bare.to_lowercase(), |quoted| quoted.replace("\"\"", "\""));
        format!("AND c.relname = {}", literal(&bare))
    });
    let sql = format!(
        "SELECT i.indexrelid::pg_catalog.regclass::text, i.indisvalid FROM pg_catalog.pg_index i \
         JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid \
         WHERE i.indrelid = pg_catalog.to_regclass({}) AND i.indexrelid <> ALL (ARRAY[{}]::oid[]) {named} \
           AND NOT EXISTS (SELECT FROM pg_catalog.pg_stat_progress_create_index p WHERE p.index_relid = i.indexrelid)",
        literal(table),
        known.join(", ")
    );
    let mut built = false;
    for found in worker.session().query_rows(&sql).await? {
        let index = found.first().cloned().flatten().unwrap_or_default();
        if found.get(1).cloned().flatten().as_deref() == Some("t") {
            built = true;
        } else {
            worker
                .tell(Event::Note(format!("the index {index} was left invalid by an interruption and is made again")));
            worker.execute("SET lock_timeout = 0").await?;
            worker.execute(&format!("DROP INDEX CONCURRENTLY IF EXISTS {index}")).await?;
        }
    }
    Ok(built)
}

async fn index_dropped(worker: &Worker<'_>, names: &[String]) -> Result<bool> {
    let list: Vec<String> = names.iter().map(|name| format!("pg_catalog.to_regclass({})", literal(name))).collect();
    let rows = worker.session().query_rows(&format!("SELECT COALESCE({}) IS NULL", list.join(", "))).await?;
    Ok(rows.first().and_then(|row| row.first()).cloned().flatten().as_deref() == Some("t"))
}

async fn detached(worker: &Worker<'_>, parent: &str, partition: &str) -> Result<bool> {
    let sql = format!(
        "SELECT inhdetachpending FROM pg_catalog.pg_inherits \
         WHERE inhparent = pg_catalog.to_regclass({}) AND inhrelid = pg_catalog.to_regclass({})",
        literal(parent),
        literal(partition)
    );
    let rows = worker.session().query_rows(&sql).await?;
    match rows.first().and_then(|row| row.first()).cloned().flatten().as_deref() {
        None => Ok(true),
        Some("t") => {
            worker.execute(&format!("ALTER TABLE {parent} DETACH PARTITION {partition} FINALIZE")).await?;
            Ok(true)
        }
        Some(_) => Ok(false),
    }
}

async fn remove_reindex_leftovers(worker: &Worker<'_>) -> Result<()> {
    let sql = "SELECT c.oid::pg_catalog.regclass::text FROM pg_catalog.pg_index i \
               JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid \
               WHERE NOT i.indisvalid AND c.relname ~ '_cc(new|old)[0-9]*$' \
                 AND NOT EXISTS (SELECT FROM pg_catalog.pg_stat_progress_create_index p WHERE p.index_relid = c.oid)";
    for row in worker.session().query_rows(sql).await? {
        let index = row.into_iter().next().flatten().unwrap_or_default();
        worker.execute(&format!("DROP INDEX CONCURRENTLY IF EXISTS {index}")).await?;
    }
    Ok(())
}

fn ask(unit: &Unit<'_>, migration: &Migration, n: usize) -> Error {
    Error::failed(format!("{} was interrupted while its statement {} ran", title(migration), n + 1))
        .at(unit.place_of_statement(n))
        .cause("whether that statement was carried out cannot be told from the catalogs")
        .help(format!(
            "look, then say it: `dbbuild apply --settle {0}:{1}=done` or `dbbuild apply --settle {0}:{1}=retry`.",
            migration.version,
            n + 1
        ))
}
