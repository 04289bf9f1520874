//! The bars of a run over many databases, on a terminal alone: one for all, and one for each that runs.

use crate::cli::many::Teller;
use crate::cli::output::Output;
use crate::engine::fleet::Member;
use crate::engine::runner::Event;
use indicatif::{ProgressBar, ProgressStyle};
use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Shorter work shows nothing.
const DELAY: Duration = Duration::from_millis(250);
/// The time that all take is shown anew so often.
const TICK: Duration = Duration::from_secs(1);

/// See the module's page.
pub struct Bars {
    output: Output,
    total: ProgressBar,
    running: Arc<Mutex<BTreeMap<usize, ProgressBar>>>,
    said: Arc<Mutex<BTreeSet<String>>>,
}

impl Bars {
    /// For so many databases.
    pub fn new(output: &Output, title: &str, total: usize) -> Bars {
        let bar = output.bars().add(ProgressBar::new(total as u64));
        if let Ok(style) = ProgressStyle::with_template("{prefix} {bar:24} {pos}/{len} databases, {elapsed}") {
            bar.set_style(style);
        }
        bar.set_prefix(title.to_owned());
        Bars { output: output.clone(), total: bar, running: Arc::default(), said: Arc::default() }
    }

    /// Shows them when it is time, and keeps them going; does not come back.
    pub async fn show(&self) -> Infallible {
        tokio::time::sleep(DELAY).await;
        self.output.draw();
        lock(&self.running).values().for_each(ProgressBar::tick);
        loop {
            self.total.tick();
            tokio::time::sleep(TICK).await;
        }
    }

    /// A database begins.
    pub fn begin(&self, n: usize, member: &Member) {
        let bar = self.output.bars().insert_before(&self.total, ProgressBar::no_length());
        if let Ok(style) = ProgressStyle::with_template("  {prefix}: {wide_msg}") {
            bar.set_style(style);
        }
        bar.set_prefix(member.name.clone());
        bar.tick();
        lock(&self.running).insert(n, bar);
    }

    /// It ended.
    pub fn end(&self, n: usize) {
        self.put_back(n);
        self.total.inc(1);
    }

    /// It begins again later.
    pub fn put_back(&self, n: usize) {
        if let Some(bar) = lock(&self.running).remove(&n) {
            bar.finish_and_clear();
            self.output.bars().remove(&bar);
        }
    }

    /// Takes them away for good.
    pub fn close(&self) {
        self.total.finish_and_clear();
        self.output.bars().remove(&self.total);
    }

    /// What hears of the events in one database.
    pub fn teller(&self, n: usize, name: &str) -> Teller {
        let (output, name) = (self.output.clone(), name.to_owned());
        let (running, said) = (self.running.clone(), self.said.clone());
        Box::new(move |event| {
            let note = |text: &str| {
                if lock(&said).insert(format!("{name} {text}")) {
                    output.note(&format!("{name}: {text}"));
                }
            };
            let message = match event {
                Event::Begin(path)
                | Event::BeginFile(_, path)
                | Event::Ran(_, path)
                | Event::Checked(path)
                | Event::TakenBack(path) => path,
                Event::Migrated(path, how) => {
                    let how = how.map_or_else(String::new, |how| format!(" ({how})"));
                    output.detail(&format!("{name}: {path}{how}"));
                    return;
                }
                Event::Progress(text) => text,
                Event::Waiting(what) => {
                    let text = format!("waits for {what}");
                    if output.bars().is_hidden() {
                        note(&text);
                    }
                    text
                }
                Event::Blocked { blocker, .. } => {
                    let text = format!("waits for {blocker}");
                    if output.bars().is_hidden() {
                        note(&text);
                    }
                    text
                }
                Event::Unblocked(waited) => format!("goes on after {:.1} s", waited.as_secs_f64()),
                Event::Note(text) => return note(&text),
                Event::Total(_) | Event::Copied(_) | Event::Measured(_) => return,
            };
            if let Some(bar) = lock(&running).get(&n) {
                bar.set_message(message);
            }
        })
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
