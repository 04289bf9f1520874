//! What commands over many databases share: the bars while one runs, a line for each database, what failed at the end,
//! grouped where it is the same, and the counts. What is done and said stands with each command.

mod bars;
mod failures;
mod group;

pub use group::grouped;

use super::output::count;
use super::{Context, Done, Events};
use crate::engine::fleet::{self, Fate, Fleet, Happened, Member, Pace};
use crate::engine::runner::Event;
use crate::engine::target::{MISSING_DATABASE, is_missing};
use crate::error::{Error, Result};
use bars::Bars;
use serde_json::{Value, json};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What a second Ctrl-C makes of databases.
const BROKEN_OFF: &str = "broken off";

/// Options of commands that work on all databases of an environment.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct ManyArgs {
    /// Of many databases, work on so many at once
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=256))]
    jobs: usize,
}

impl ManyArgs {
    /// How fast databases are read: what stands in one says nothing against reading the next.
    pub fn pace(self) -> Pace {
        Pace { jobs: self.jobs, keep_going: true, canaries: false }
    }
}

/// The same for commands that write to them.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct WriteManyArgs {
    #[command(flatten)]
    many: ManyArgs,
    /// Of many databases, begin the others though one has failed
    #[arg(long)]
    keep_going: bool,
}

impl WriteManyArgs {
    /// How fast databases are written to, the canaries alone at first or not.
    pub fn pace(self, canaries: bool) -> Pace {
        Pace { jobs: self.many.jobs, keep_going: self.keep_going, canaries }
    }
}

/// How the answer for one database is printed.
pub struct Answer {
    /// One word: what became of it.
    pub status: &'static str,
    /// The line on it; none where the counts say enough.
    pub line: Option<String>,
    /// Its JSON form, as of a single database.
    pub json: Value,
}

/// What came of all.
pub struct Outcome {
    /// Databases by what became of them.
    pub counts: BTreeMap<&'static str, usize>,
    /// How long they took together.
    pub took: Duration,
    /// The JSON form of each.
    targets: Vec<Value>,
    /// The JSON form of all, as far as it is not the command's own.
    pub summary: Value,
    /// What failed, for the end of the command.
    pub error: Option<Error>,
}

impl Outcome {
    /// How many became this.
    pub fn count(&self, status: &str) -> usize {
        self.counts.get(status).copied().unwrap_or(0)
    }
}

/// Works through the databases, prints a line for each and JSON for all, and says what failed.
pub async fn work<'m, T, F>(
    context: &Context,
    fleet: &'m Fleet,
    verb: &str,
    pace: Pace,
    task: impl Fn(&'m Member, Teller) -> F,
    answer: impl Fn(&Member, &T) -> Answer,
) -> (Outcome, Vec<Fate<T>>)
where
    F: Future<Output = Result<T>>,
{
    let (out, brake, start) = (&context.output, &context.interrupt.brake, Instant::now());
    let bars = Bars::new(out, &format!("{verb} {}", fleet.environment), fleet.members.len());
    let events = |member: &Member| Arc::new(Events::new(out, &member.target, Some(&member.name)));
    let events: Vec<_> = fleet.members.iter().map(events).collect();
    let (begun, met) = (RefCell::new(BTreeSet::new()), RefCell::new(BTreeSet::new()));
    let tell = |n: usize, happened: Happened<'_, T>| {
        let (Some(member), Some(events)) = (fleet.members.get(n), events.get(n)) else { return };
        match happened {
            Happened::Begun => {
                bars.begin(n, member);
                // One that was put back goes on, for whoever reads events.
                if begun.borrow_mut().insert(n) {
                    events.begin();
                }
            }
            Happened::PutBack => bars.put_back(n),
            Happened::Ended(fate) => {
                bars.end(n);
                let line = match fate {
                    Fate::Done(done) => {
                        let answer = answer(member, done);
                        events.end(&word(answer.status));
                        // On a terminal, where bars tell how far it is, a thousand that went well are told at the end.
                        answer.line.filter(|_| !out.draws() || context.globals.verbose)
                    }
                    Fate::Failed(error) => {
                        events.failed(error);
                        let told = met.borrow_mut().insert(failures::key(member, error)) || !out.draws();
                        told.then(|| format!("failed: {}", error.message()))
                    }
                    Fate::BrokenOff => {
                        events.end(&word(BROKEN_OFF));
                        None
                    }
                    Fate::NotBegun => None,
                };
                if let Some(line) = line {
                    out.line(&format!("{}: {line}", member.name));
                }
            }
        }
    };
    context.interrupt.brake_first();
    let work = |n: usize, member: &'m Member| {
        let (bar, events) = (bars.teller(n, &member.name), events.get(n).cloned());
        let tell = move |event: Event| {
            events.iter().for_each(|events| events.event(&event));
            bar(event);
        };
        let work = task(member, Box::new(tell));
        async move { work.await.map_err(|e| if is_missing(&e) { missing(member) } else { e }) }
    };
    let stopping = async {
        brake.until(1).await;
        out.note("stopping: what runs comes to its end, nothing else begins; Ctrl-C again breaks it off");
        std::future::pending::<Infallible>().await
    };
    let fates = tokio::select! {
        biased;
        fates = fleet::run(fleet, pace, brake, work, tell) => fates,
        never = bars.show() => match never {},
        never = stopping => match never {},
    };
    bars.close();
    let outcome = conclude(context, fleet, verb, &fates, &answer, start.elapsed());
    (outcome, fates)
}

/// What runs in one database, told on its bar.
pub type Teller = Box<dyn Fn(Event) + Send + Sync>;

fn conclude<T>(
    context: &Context,
    fleet: &Fleet,
    verb: &str,
    fates: &[Fate<T>],
    answer: &impl Fn(&Member, &T) -> Answer,
    took: Duration,
) -> Outcome {
    let mut counts = BTreeMap::new();
    let mut targets = Vec::new();
    for (member, fate) in fleet.members.iter().zip(fates) {
        let (status, mut value) = match fate {
            Fate::Done(done) => {
                let answer = answer(member, done);
                (answer.status, answer.json)
            }
            Fate::Failed(error) => ("failed", json!({ "error": super::output::describe(error) })),
            Fate::BrokenOff => (BROKEN_OFF, json!({})),
            Fate::NotBegun => ("not begun", json!({})),
        };
        *counts.entry(status).or_insert(0) += 1;
        if context.output.is_json() {
            value["target"] = json!(member.name);
            value["database"] = json!(member.target.describe());
            value["status"] = json!(word(status));
            targets.push(value);
        }
    }
    let mut summary = json!({ "environment": fleet.environment, "databases": fleet.members.len() });
    for (status, number) in &counts {
        summary[word(status)] = json!(number);
    }
    let error = failures::error(fleet, verb, fates, context.interrupt.brake.pulled() > 0);
    Outcome { counts, took, targets, summary, error }
}

/// As JSON has it.
fn word(status: &str) -> String {
    status.replace(' ', "_")
}

/// "998 applied, 2 up to date, 1 failed", in the order given, then what else there is.
pub fn tally(fleet: &Fleet, outcome: &Outcome, order: &[&'static str]) -> String {
    let known = order.iter().copied().chain(outcome.counts.keys().copied().filter(|status| !order.contains(status)));
    let parts: Vec<String> = known
        .filter(|status| outcome.count(status) > 0)
        .map(|status| format!("{} {status}", outcome.count(status)))
        .collect();
    let parts = if parts.is_empty() { "nothing to do".to_owned() } else { parts.join(", ") };
    format!("{} of {}: {parts}", count(fleet.members.len(), "database"), fleet.environment)
}

/// There is no such database, and a command over many makes none.
pub fn missing(member: &Member) -> Error {
    Error::failed(format!("there is no {}", member.target.describe()))
        .sqlstate(MISSING_DATABASE)
        .help(format!("`dbbuild bootstrap {}` makes it from the baseline.", member.options()))
}

/// How the command ends, with its JSON form.
///
/// # Errors
/// Something failed.
pub fn end(context: &Context, outcome: Outcome, differs: bool) -> Result<Done> {
    context.output.json(&json!({ "targets": outcome.targets, "summary": outcome.summary }));
    match outcome.error {
        Some(error) => Err(error),
        None if differs => Ok(Done::Differs),
        None => Ok(Done::Well),
    }
}
