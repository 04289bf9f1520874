//! After an interruption: what became of a statement that could not share a transaction with its journal row?
//!
//! The catalogs answer for index builds, index drops and detached partitions; what may simply be repeated is repeated.
//! Where nothing can tell, dbbuild stops and asks.

use super::Event;
use super::entry::Entry;
use super::failure::title;
use super::journal::{Journal, Journaled, LOCK_TIMEOUT_AGAIN, NO_LOCK_TIMEOUT};
use super::worker::Worker;
use crate::error::{Error, Result};
use crate::model::sql::{NonTransactional, literal};

/// What became of a statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Settled {
    /// It was carried out.
    Done,
    /// It is to be run again; what it left is removed.
    NotDone,
}

/// Finds out what became of an entry that was interrupted.
///
/// # Errors
/// Nothing can tell: a person must.
pub(super) async fn settled(journal: &Journal<'_, '_>, entry: &Entry, row: &Journaled) -> Result<Settled> {
    match entry.non_transactional(&journal.unit) {
        None | Some(NonTransactional::DatabaseOrTablespace | NonTransactional::Subscription) => {
            Err(ask(journal, entry))
        }
        Some(_) => left_by_failure(journal, entry, row).await,
    }
}

/// Takes away what an entry left of which the server said that it failed.
pub(super) async fn left_by_failure(journal: &Journal<'_, '_>, entry: &Entry, row: &Journaled) -> Result<Settled> {
    let worker = journal.worker;
    let done = match entry.non_transactional(&journal.unit) {
        Some(NonTransactional::CreateIndexConcurrently { name, table, .. }) => {
            index_built(worker, name.as_deref(), table, row).await?
        }
        Some(NonTransactional::DropIndexConcurrently { names, .. }) => index_dropped(worker, names).await?,
        Some(NonTransactional::DetachConcurrently { parent, partition }) => detached(worker, parent, partition).await?,
        Some(NonTransactional::ReindexConcurrently { .. }) => {
            remove_reindex_leftovers(worker, row).await?;
            false
        }
        _ => false,
    };
    Ok(if done { Settled::Done } else { Settled::NotDone })
}

/// An index that is new since the journal was written: valid means done, invalid is dropped and made again.
async fn index_built(worker: &Worker<'_>, name: Option<&str>, table: &str, row: &Journaled) -> Result<bool> {
    let named = name.map_or_else(String::new, |name| {
        let bare = name.rsplit('.').next().unwrap_or(name);
        let bare = bare
            .strip_prefix('"')
            .and_then(|b| b.strip_suffix('"'))
            .map_or_else(|| bare.to_lowercase(), |quoted| quoted.replace("\"\"", "\""));
        // The cast cuts a long name as the server did.
        format!("AND c.relname = {}::pg_catalog.name", literal(&bare))
    });
    let sql = format!(
        "SELECT i.indexrelid::pg_catalog.regclass::text, i.indisvalid FROM pg_catalog.pg_index i \
         JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid \
         WHERE i.indrelid = pg_catalog.to_regclass({}) AND i.indexrelid <> ALL (ARRAY[{}]::oid[]) {named} \
           AND NOT EXISTS (SELECT FROM pg_catalog.pg_stat_progress_create_index p WHERE p.index_relid = i.indexrelid)",
        literal(table),
        known(row)
    );
    let mut built = false;
    for found in worker.session().query_rows(&sql).await? {
        let index = found.first().cloned().flatten().unwrap_or_default();
        if found.get(1).cloned().flatten().as_deref() == Some("t") {
            built = true;
        } else {
            worker
                .tell(Event::Note(format!("the index {index} was left invalid by an interruption and is made again")));
            drop_index(worker, &index).await?;
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

/// The new index of a rebuild, or the old one that was to go: both are invalid, and neither was before.
async fn remove_reindex_leftovers(worker: &Worker<'_>, row: &Journaled) -> Result<()> {
    let sql = format!(
        "SELECT c.oid::pg_catalog.regclass::text FROM pg_catalog.pg_index i \
         JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid \
         WHERE NOT i.indisvalid AND c.relname ~ '_cc(new|old)[0-9]*$' AND c.oid <> ALL (ARRAY[{}]::oid[]) \
           AND NOT EXISTS (SELECT FROM pg_catalog.pg_stat_progress_create_index p WHERE p.index_relid = c.oid)",
        known(row)
    );
    for row in worker.session().query_rows(&sql).await? {
        let index = row.into_iter().next().flatten().unwrap_or_default();
        worker.tell(Event::Note(format!("the index {index} was left invalid by an interruption and is dropped")));
        drop_index(worker, &index).await?;
    }
    Ok(())
}

async fn drop_index(worker: &Worker<'_>, index: &str) -> Result<()> {
    worker.execute(NO_LOCK_TIMEOUT).await?;
    worker.execute(&format!("DROP INDEX CONCURRENTLY IF EXISTS {index}")).await?;
    worker.execute(LOCK_TIMEOUT_AGAIN).await
}

/// The recorded indexes as elements of an array.
fn known(row: &Journaled) -> String {
    row.indexes.iter().map(u32::to_string).collect::<Vec<_>>().join(", ")
}

fn ask(journal: &Journal<'_, '_>, entry: &Entry) -> Error {
    Error::failed(format!("{} was interrupted while its statement {} ran", title(journal.migration), entry.ordinal()))
        .at(journal.unit.place_of_statement(entry.first))
        .cause("whether that statement was carried out cannot be told from the catalogs")
        .help(format!(
            "look, then say it: `dbbuild apply --settle {0}:{1}=done` or `dbbuild apply --settle {0}:{1}=retry`.",
            journal.migration.version,
            entry.ordinal()
        ))
}
