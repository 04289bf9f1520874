//! Progress on stderr: on a terminal only, and only once a quarter of a second has passed.

use super::output::Output;
use crate::engine::runner::Event;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Shorter work shows nothing.
const DELAY: Duration = Duration::from_millis(250);

/// One bar for one piece of work.
pub struct Progress {
    bar: ProgressBar,
    output: Output,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    shown: bool,
    ended: bool,
    bytes: u64,
    /// A proof runs each in several servers.
    migrated: BTreeSet<String>,
    said: BTreeSet<String>,
}

impl Progress {
    /// A bar for `total` migrations. It appears by itself, also while a statement goes on of which nothing is heard.
    pub fn new(output: &Output, title: &str, total: usize) -> Arc<Progress> {
        let bar = ProgressBar::with_draw_target(Some(total as u64), ProgressDrawTarget::hidden());
        if let Ok(style) = ProgressStyle::with_template("{prefix} {bar:24} {pos}/{len} {wide_msg}") {
            bar.set_style(style);
        }
        bar.set_prefix(title.to_owned());
        let progress = Arc::new(Progress { bar, output: output.clone(), state: Mutex::default() });
        if output.draws()
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            let progress = Arc::downgrade(&progress);
            runtime.spawn(async move {
                tokio::time::sleep(DELAY).await;
                progress.upgrade().iter().for_each(|progress| progress.show());
            });
        }
        progress
    }

    fn show(&self) {
        let mut state = self.state();
        if !state.ended {
            self.output.bars().add(self.bar.clone());
            self.output.draw();
            self.bar.tick();
            state.shown = true;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes an event of the runner.
    pub fn event(&self, event: Event) {
        let mut state = self.state();
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
            Event::Progress(text) => self.bar.set_message(text),
            Event::Waiting(what) => {
                let text = format!("waits for {what}");
                self.bar.set_message(text.clone());
                // A line in a log says who stands in the way once, not every second.
                if !state.shown && state.said.insert(text.clone()) {
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
                    self.output.note(&text);
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
        self.state().ended = true;
        self.bar.finish_and_clear();
        self.output.bars().remove(&self.bar);
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
