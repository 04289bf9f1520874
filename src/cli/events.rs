//! What happens during a run, as lines of JSON for a pipeline. The form is documented in README.md and stable.

use super::output::{Output, describe};
use crate::engine::runner::{Event, HeldLock, Measure};
use crate::engine::target::Target;
use crate::error::Error;
use serde_json::{Value, json};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What goes on and on is told so often.
const TOLD_AGAIN: Duration = Duration::from_secs(10);

/// Prints the events of one database's run.
pub struct Events {
    output: Output,
    environment: String,
    /// What the environment calls it, where it has many databases.
    target: Option<String>,
    /// By the name that messages give it.
    database: String,
    state: Mutex<State>,
}

/// What is not told yet.
#[derive(Default)]
struct State {
    /// What the migration cost that is told next.
    measure: Option<Measure>,
    /// Bytes of COPY data, and when such were told last.
    copied: u64,
    told_copied: Option<Instant>,
    /// When it was told last how far something is.
    told_progress: Option<Instant>,
}

impl Events {
    /// For one database; with its name, where the environment has many.
    pub fn new(output: &Output, target: &Target, name: Option<&str>) -> Events {
        Events {
            output: output.clone(),
            environment: target.selected.name.clone(),
            target: name.map(str::to_owned),
            database: target.describe(),
            state: Mutex::default(),
        }
    }

    /// The run begins.
    pub fn begin(&self) {
        self.print("begin", json!({}));
    }

    /// It has ended.
    pub fn end(&self, status: &str) {
        self.print("end", json!({ "status": status }));
    }

    /// It has failed.
    pub fn failed(&self, error: &Error) {
        self.print("end", json!({ "status": "failed", "error": describe(error) }));
    }

    /// Prints an event, where events are asked for.
    pub fn event(&self, event: &Event) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            Event::Measured(measure) => {
                state.measure = Some(measure.clone());
                return;
            }
            Event::Copied(bytes) => {
                state.copied += bytes;
                if is_due(state.told_copied) {
                    self.tell_copied(&mut state);
                }
                return;
            }
            _ => self.tell_copied(&mut state),
        }
        let (name, told) = match event {
            Event::Total(migrations) => ("planned", json!({ "migrations": migrations })),
            Event::Begin(path) => ("migration_started", json!({ "path": path })),
            Event::Migrated(path, note) => {
                let measure = state.measure.take().filter(|one| one.path == *path);
                let unknown = || json!({ "path": path, "seconds": null, "waited": 0.0, "locks": [] });
                let mut told = measure.map_or_else(unknown, cost);
                told["note"] = json!(note);
                ("migration_finished", told)
            }
            Event::BeginFile(kind, path) => ("file_started", json!({ "kind": kind.as_str(), "path": path })),
            Event::Ran(kind, path) => ("file_finished", json!({ "kind": kind.as_str(), "path": path })),
            Event::Checked(path) => ("check", json!({ "path": path })),
            Event::Blocked { blocker, waited } => {
                ("lock_wait", json!({ "blocker": blocker, "waited": waited.as_secs_f64() }))
            }
            Event::Unblocked(waited) => ("lock_wait_ended", json!({ "waited": waited.as_secs_f64() })),
            Event::Waiting(what) => ("waiting", json!({ "for": what })),
            Event::Progress(text) if is_due(state.told_progress) => {
                state.told_progress = Some(Instant::now());
                ("progress", json!({ "text": text }))
            }
            Event::Progress(_) => return,
            Event::Note(text) => ("note", json!({ "text": text })),
            // The first two are told above, and `apply` takes nothing back.
            Event::Measured(_) | Event::Copied(_) | Event::TakenBack(_) => return,
        };
        drop(state);
        self.print(name, told);
    }

    /// Tells how much was copied since that was told last.
    fn tell_copied(&self, state: &mut State) {
        if state.copied > 0 {
            self.print("copied", json!({ "bytes": std::mem::take(&mut state.copied) }));
            state.told_copied = Some(Instant::now());
        }
    }

    fn print(&self, name: &str, mut told: Value) {
        told["environment"] = json!(self.environment);
        if let Some(target) = &self.target {
            told["target"] = json!(target);
        }
        told["database"] = json!(self.database);
        self.output.event(name, told);
    }
}

/// Whether so much time has passed since it was told last.
fn is_due(told: Option<Instant>) -> bool {
    told.is_none_or(|at| at.elapsed() >= TOLD_AGAIN)
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
