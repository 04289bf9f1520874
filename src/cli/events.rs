//! What happens during a run, as lines of JSON for a pipeline. The form is documented in README.md and stable.

use super::output::Output;
use crate::engine::runner::{Event, HeldLock, Measure};
use serde_json::{Value, json};
use std::sync::{Mutex, PoisonError};

/// Prints the events of one database's run.
pub struct Events {
    output: Output,
    database: String,
    /// What the migration cost that is told next.
    measure: Mutex<Option<Measure>>,
}

impl Events {
    /// For one database, by the name that messages give it.
    pub fn new(output: &Output, database: String) -> Events {
        Events { output: output.clone(), database, measure: Mutex::default() }
    }

    /// Prints an event, where events are asked for.
    pub fn event(&self, event: &Event) {
        let (name, told) = match event {
            Event::Total(migrations) => ("planned", json!({ "migrations": migrations })),
            Event::Begin(path) => ("migration_started", json!({ "path": path })),
            Event::Measured(measure) => {
                *self.measure.lock().unwrap_or_else(PoisonError::into_inner) = Some(measure.clone());
                return;
            }
            Event::Migrated(path, note) => {
                let measure = self.measure.lock().unwrap_or_else(PoisonError::into_inner).take();
                let mut told = measure.filter(|one| one.path == *path).map_or_else(|| json!({ "path": path }), cost);
                told["note"] = json!(note);
                ("migration_finished", told)
            }
            Event::TakenBack(label) => ("taken_back", json!({ "migration": label })),
            Event::BeginFile(kind, path) => ("file_started", json!({ "kind": kind.as_str(), "path": path })),
            Event::Ran(kind, path) => ("file_finished", json!({ "kind": kind.as_str(), "path": path })),
            Event::Checked(path) => ("check", json!({ "path": path })),
            Event::Copied(bytes) => ("copied", json!({ "bytes": bytes })),
            Event::Waiting(text) => match text.strip_prefix("waits for ") {
                Some(blocker) if blocker.starts_with("process ") => ("lock_wait", json!({ "blocker": blocker })),
                Some(what) => ("waiting", json!({ "for": what })),
                None => ("progress", json!({ "text": text })),
            },
            Event::Note(text) => ("note", json!({ "text": text })),
        };
        self.print(name, told);
    }

    /// Prints an event of the command's own.
    pub fn print(&self, name: &str, mut told: Value) {
        told["database"] = json!(self.database);
        self.output.event(name, told);
    }
}

/// What a migration cost, for JSON.
pub fn cost(measure: Measure) -> Value {
    let lock = |held: &HeldLock| json!({ "table": held.table, "lock": held.lock });
    json!({
        "path": measure.path,
        "seconds": measure.seconds,
        "waited": measure.waited.as_secs_f64(),
        "locks": measure.locks.iter().map(lock).collect::<Vec<_>>(),
    })
}
