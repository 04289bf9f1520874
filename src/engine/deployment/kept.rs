//! What the attic still has of migrations that are applied: given back, or decided. What it has of others comes back with
//! them.

use crate::engine::attic::{self, stored};
use crate::engine::history::Found;
use crate::engine::project::Project;
use crate::engine::provenance;
use crate::engine::runner::{Event, Sink, Worker, WorkerOptions};
use crate::engine::session::Session;
use crate::engine::target::Target;
use crate::error::{Error, Result};
use crate::model::attic::Entry;
use crate::model::attic::given::{Given, OnConflict};
use crate::model::guard;
use std::path::PathBuf;

/// What is to be given back, and how.
pub struct KeptRequest<'a> {
    /// Numbers of entries; none for all that can be.
    pub ids: Option<&'a [i64]>,
    /// What becomes of conflicts.
    pub on_conflict: OnConflict,
    /// The name of the environment, said again where that is protected.
    pub confirm: Option<&'a str>,
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Restored {
    /// What became of each entry.
    pub given: Vec<Given>,
    /// Entries that were left alone, since their migrations are not applied.
    pub waiting: Vec<Entry>,
}

/// Gives back what the attic has of applied migrations, in one transaction under the lock.
///
/// # Errors
/// The guard refuses, an entry is not there or its migration is not applied, or the server said no; nothing was changed.
pub async fn restore(
    project: &Project,
    target: &Target,
    request: &KeptRequest<'_>,
    sink: Sink<'_>,
) -> Result<Restored> {
    let session = target.connect_to_write(&project.config).await?;
    let found = target.read(&session).await?;
    // Before the lock, so that nobody waits for a refusal.
    choose(target, &session, &found, request).await?;
    let lock = target.lock(&project.config, &|what| sink(Event::Waiting(what.to_owned()))).await?;
    lock.outlast_orphans(&session).await?;
    let found = target.read(&session).await?;
    let (chosen, waiting) = choose(target, &session, &found, request).await?;
    if chosen.is_empty() {
        return Ok(Restored { given: Vec::new(), waiting });
    }
    let options = WorkerOptions {
        lock_timeout: project.config.lock.timeout,
        author: provenance::author(project, &provenance::Given::default()),
        lock: Some(&lock),
        bin_dir: project.config.postgres.bin_dir.as_ref().map(PathBuf::from),
        locks: false,
        on_conflict: request.on_conflict,
        sink,
    };
    let worker = Worker::new(session, options).await?;
    let ids: Vec<i64> = chosen.iter().map(|entry| entry.id).collect();
    Ok(Restored { given: worker.give_later(&ids).await?, waiting })
}

/// The entries that are given back, and those that are left alone.
async fn choose(
    target: &Target,
    session: &Session,
    found: &Found,
    request: &KeptRequest<'_>,
) -> Result<(Vec<Entry>, Vec<Entry>)> {
    guard::judge_restore_kept(&found.facts, &target.selected, request.on_conflict, request.confirm)?;
    let all = if attic::is_there(session).await? { stored::entries(session).await? } else { Vec::new() };
    let chosen = match request.ids {
        Some(ids) => stored::chosen(&all, ids)?,
        None => all,
    };
    let applied = |entry: &Entry| found.history.applied.iter().find(|row| row.version.to_string() == entry.version);
    let (ready, waiting): (Vec<Entry>, Vec<Entry>) =
        chosen.into_iter().partition(|entry| applied(entry).is_some_and(|row| row.complete));
    if let (Some(_), Some(entry)) = (request.ids, waiting.first()) {
        let why = match applied(entry) {
            Some(_) => "was interrupted and is not applied to its end",
            None => "is not applied",
        };
        return Err(Error::failed(format!("entry {} cannot be given back: {} {why}", entry.id, entry.label())).help(
            "it comes back with the migration: `dbbuild apply` (locally `dbbuild`) gives it back. Nothing was changed.",
        ));
    }
    Ok((ready, waiting))
}
