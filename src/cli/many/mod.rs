//! A command over many databases: the bars while it runs, a line for each, what failed at the end, grouped where it is
//! the same, and the counts.

mod apply;
mod bars;
mod drift;
mod failures;
mod group;
mod mark;
mod plan;
mod status;

pub use apply::apply;
pub use drift::drift;
pub use mark::mark;
pub use plan::plan;
pub use status::status;

use super::output::count;
use super::{Context, Done};
use crate::engine::fleet::{self, Fate, Fleet, Happened, Member, Pace};
use crate::engine::runner::Event;
use crate::engine::target::{MISSING_DATABASE, Target, is_missing};
use crate::error::{Error, Result};
use bars::Bars;
use group::grouped;
use serde_json::{Value, json};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

/// Options of commands that work on all databases of an environment.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct ManyArgs {
    /// Of many databases, work on so many at once
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(1..=256))]
    pub jobs: usize,
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
    let out = &context.output;
    let bars = Bars::new(out, &format!("{verb} {}", fleet.environment), fleet.members.len());
    let met = RefCell::new(BTreeSet::new());
    context.interrupt.brake_first();
    let fates = fleet::run(
        fleet,
        pace,
        &context.interrupt.brake,
        |n, member| {
            let work = task(member, bars.teller(n, &member.name));
            async move { work.await.map_err(|e| if is_missing(&e) { missing(&member.target) } else { e }) }
        },
        |n, happened| match happened {
            Happened::Begun => bars.begin(n, &fleet.members),
            Happened::PutBack => bars.put_back(n),
            Happened::Ended(fate) => {
                bars.end(n);
                let Some(member) = fleet.members.get(n) else { return };
                // On a terminal, where bars tell how far it is, a thousand that went well are told at the end.
                let line = match fate {
                    Fate::Done(_) if out.draws() && !context.globals.verbose => None,
                    Fate::Done(done) => answer(member, done).line,
                    Fate::Failed(error) if met.borrow_mut().insert(failures::key(member, error)) || !out.draws() => {
                        Some(format!("failed: {}", error.message()))
                    }
                    Fate::Failed(_) => None,
                    Fate::NotBegun => None,
                };
                if let Some(line) = line {
                    bars.aside(|| out.line(&format!("{}: {line}", member.name.escape_debug())));
                }
            }
        },
    )
    .await;
    bars.close();
    let outcome = conclude(context, fleet, verb, &fates, &answer);
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
) -> Outcome {
    let mut counts = BTreeMap::new();
    let mut list = Vec::new();
    for (member, fate) in fleet.members.iter().zip(fates) {
        let (status, mut value) = match fate {
            Fate::Done(done) => {
                let answer = answer(member, done);
                (answer.status, answer.json)
            }
            Fate::Failed(error) => ("failed", json!({ "error": super::output::describe(error) })),
            Fate::NotBegun => ("not begun", json!({})),
        };
        *counts.entry(status).or_insert(0) += 1;
        if context.output.is_json() {
            value["target"] = json!(member.name);
            value["database"] = json!(member.target.describe());
            value["status"] = json!(word(status));
            list.push(value);
        }
    }
    let mut summary = json!({ "environment": fleet.environment, "databases": fleet.members.len() });
    for (status, number) in &counts {
        summary[word(status)] = json!(number);
    }
    context.output.json(&json!({ "targets": list, "summary": summary }));
    let error = failures::error(fleet, verb, fates, context.interrupt.brake.is_pulled());
    Outcome { counts, error }
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
fn missing(target: &Target) -> Error {
    let (database, env) = (target.settings.database().escape_debug().to_string(), &target.selected.name);
    Error::failed(format!("there is no {}", target.describe()))
        .sqlstate(MISSING_DATABASE)
        .help(format!("`dbbuild bootstrap --env {env} --target {database}` makes it from the baseline."))
}

/// How the command ends.
///
/// # Errors
/// Something failed.
pub fn end(outcome: Outcome, differs: bool) -> Result<Done> {
    match outcome.error {
        Some(error) => Err(error),
        None if differs => Ok(Done::Differs),
        None => Ok(Done::Well),
    }
}
