//! Files that run again after migrations. They are said to be due before they run, so that whoever goes on after an
//! interruption runs them, though no migration is pending any more: in the transaction of the first migration, by the
//! statement that writes its row.

use super::worker::Worker;
use crate::engine::history;
use crate::model::migration::Migration;
use crate::model::plan::{FileKind, Reason, Step};

/// The files of a plan that would not run without what stands before them.
pub(super) fn due(steps: &[Step]) -> Vec<(FileKind, &str)> {
    let mut due = Vec::new();
    for step in steps {
        match step {
            Step::Reload(reload) => due.push((FileKind::Repeatable, reload.file.name.as_str())),
            Step::File { kind, file, reason: Reason::AfterMigrations } => due.push((*kind, file.name.as_str())),
            _ => {}
        }
    }
    due
}

impl Worker<'_> {
    /// The statement that opens a migration: its row, and what is due after the first one.
    pub(super) fn opening(&self, migration: &Migration, transactional: bool) -> String {
        let row = history::insert_migration(migration, transactional, self.author());
        match self.due.as_str() {
            "" => row,
            due => format!("WITH due AS ({due}) {row}"),
        }
    }
}
