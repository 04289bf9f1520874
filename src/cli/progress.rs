//! Progress on stderr: on a terminal only, and only once a quarter of a second has passed.

use super::output::Output;
use crate::engine::runner::Event;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Shorter work shows nothing.
const DELAY: Duration = Duration::from_millis(250);

/// One bar for one piece of work.
pub struct Progress {
    bar: ProgressBar,
    output: Output,
    start: Instant,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    shown: bool,
    bytes: u64,
    /// A proof runs each in several servers.
    migrated: BTreeSet<String>,
    said: BTreeSet<String>,
}

impl Progress {
    /// A bar for `total` migrations.
    pub fn new(output: &Output, title: &str, total: usize) -> Progress {
        let bar = ProgressBar::with_draw_target(Some(total as u64), ProgressDrawTarget::hidden());
        if let Ok(style) = ProgressStyle::with_template("{prefix} {bar:24} {pos}/{len} {wide_msg}") {
            bar.set_style(style);
        }
        bar.set_prefix(title.to_owned());
        Progress { bar, output: output.clone(), start: Instant::now(), state: Mutex::default() }
    }

    /// Takes an event of the runner.
    pub fn event(&self, event: Event) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if !state.shown && self.output.draws() && self.start.elapsed() > DELAY {
            self.bar.set_draw_target(self.output.canvas());
            state.shown = true;
        }
        match event {
            Event::Total(total) => self.expect(total),
            Event::Measured(_) => {}
            Event::Begin(path) | Event::BeginFile(_, path) => self.bar.set_message(path),
            Event::Migrated(path, how) => {
                let told = how.map_or_else(|| path.clone(), |how| format!("{path}: {how}"));
                state.migrated.insert(path);
                self.bar.set_position(state.migrated.len() as u64);
                self.output.detail(&told);
            }
            Event::Ran(_, path) | Event::Checked(path) | Event::TakenBack(path) => self.bar.set_message(path),
            Event::Copied(bytes) => {
                state.bytes += bytes;
                // Less says nothing, and would hide which file runs.
                if state.bytes >= 1_000_000 {
                    self.bar.set_message(format!("{} MB copied", state.bytes / 1_000_000));
                }
            }
            Event::Waiting(text) => {
                self.bar.set_message(text.clone());
                // A line in a log says who stands in the way once, not every second.
                if !state.shown && text.starts_with("waits for") && state.said.insert(text.clone()) {
                    self.output.note(&text);
                }
            }
            Event::Blocked { blocker, .. } => {
                let text = format!("waits for {blocker}");
                self.bar.set_message(text.clone());
                if !state.shown {
                    self.output.note(&text);
                }
            }
            Event::Unblocked(waited) => {
                self.bar.set_message(format!("goes on after {:.1} s", waited.as_secs_f64()));
            }
            Event::Note(text) => {
                if state.said.insert(text.clone()) {
                    self.bar.suspend(|| self.output.note(&text));
                }
            }
        }
    }

    /// Sets how many migrations there are.
    pub fn expect(&self, total: usize) {
        self.bar.set_length(total as u64);
    }

    /// Takes the bar away.
    pub fn end(&self) {
        self.bar.finish_and_clear();
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.end();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Globals;

    #[test]
    fn what_runs_in_several_servers_counts_once() {
        let output = Output::new(&Globals::default());
        let progress = Progress::new(&output, "migrations", 2);
        for path in ["1_a.sql", "2_b.sql", "1_a.sql"] {
            progress.event(Event::Begin(path.to_owned()));
            progress.event(Event::Copied(10));
            progress.event(Event::Migrated(path.to_owned(), None));
        }
        assert_eq!((progress.bar.position(), progress.bar.length()), (2, Some(2)));
        assert_eq!(progress.bar.message(), "1_a.sql");
        progress.event(Event::Copied(2_000_000));
        assert_eq!(progress.bar.message(), "2 MB copied");
    }
}
