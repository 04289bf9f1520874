//! The keeping of one down part: what its steps share, and how they speak to the server.
//!
//! It decides nothing about what is kept, nor in which order: that is `keep.rs`.

use super::facts::Table;
use super::{SCHEMA, is_there};
use crate::engine::runner::{Stumble, UnitFailure, Worker};
use crate::error::{Error, Result};
use crate::model::attic::KeptEntry;
use crate::model::attic::effect::Look;
use crate::model::reconcile::TakeBack;
use std::collections::BTreeMap;
use tokio_postgres::SimpleQueryMessage;

/// Why a down part did not run.
pub(in crate::engine) enum Stop {
    /// The script failed.
    Script(Stumble),
    /// Statements of dbbuild's own failed.
    Own(UnitFailure),
    /// Something cannot be kept.
    Refused(Error),
}

impl From<UnitFailure> for Stop {
    fn from(failure: UnitFailure) -> Stop {
        Stop::Own(failure)
    }
}

impl From<Error> for Stop {
    fn from(error: Error) -> Stop {
        Stop::Refused(error)
    }
}

/// The keeping of one down part, within a transaction that its caller ends.
pub(in crate::engine) struct Keeping<'k, 'w> {
    pub(super) worker: &'k Worker<'w>,
    pub(super) back: &'k TakeBack,
    /// The attic was found or made in this transaction.
    pub(super) installed: bool,
    /// Errors that were worked off.
    pub(super) rounds: usize,
    /// What a run of the script begins with, within its savepoint.
    pub(super) holds: Vec<String>,
    /// What was kept, in order.
    pub(in crate::engine) entries: Vec<KeptEntry>,
    /// Number and table of each of them.
    pub(super) ids: Vec<(i64, u32)>,
    /// The tables of them, as they stood before the script.
    pub(super) told: BTreeMap<u32, Table>,
    /// The first look, whose positions of sequences no rollback brings back.
    pub(in crate::engine) first: Option<Look>,
}

impl<'k, 'w> Keeping<'k, 'w> {
    pub(in crate::engine) fn new(worker: &'k Worker<'w>, back: &'k TakeBack) -> Self {
        let (holds, entries, ids, told) = (Vec::new(), Vec::new(), Vec::new(), BTreeMap::new());
        Keeping { worker, back, installed: false, rounds: 0, holds, entries, ids, told, first: None }
    }

    /// Makes the attic where there is none.
    pub(super) async fn install(&mut self) -> Result<(), Stop> {
        if self.installed {
            return Ok(());
        }
        if !is_there(self.worker.session()).await? {
            self.send(SCHEMA).await?;
        }
        self.installed = true;
        Ok(())
    }

    pub(super) async fn send(&self, sql: &str) -> Result<Vec<SimpleQueryMessage>, UnitFailure> {
        self.worker.send(sql).await
    }

    /// The rows of one query.
    pub(super) async fn ask(&self, sql: &str) -> Result<Vec<Vec<Option<String>>>, UnitFailure> {
        Ok(rows(&self.send(sql).await?))
    }
}

/// Statements as one text.
pub(super) fn joined(statements: Vec<String>) -> String {
    statements.join("; ")
}

/// The rows among the messages of a text.
fn rows(messages: &[SimpleQueryMessage]) -> Vec<Vec<Option<String>>> {
    let row = |message: &SimpleQueryMessage| match message {
        SimpleQueryMessage::Row(row) => Some((0..row.len()).map(|i| row.get(i).map(str::to_owned)).collect()),
        _ => None,
    };
    messages.iter().filter_map(row).collect()
}
