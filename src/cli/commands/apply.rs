//! `dbbuild apply`: what is pending, on a deployed database. Never test data, and nothing is written to the tree.

mod many;

use crate::cli::events::cost;
use crate::cli::many::WriteManyArgs;
use crate::cli::output::count;
use crate::cli::{Context, Done, Events, ran};
use crate::engine::deployment::{self, Applied, ApplyOptions};
use crate::engine::fleet::Fleet;
use crate::engine::provenance::{self, Given};
use crate::engine::runner::{Event, Measure};
use crate::engine::settle::Settlement;
use crate::engine::target::{Start, Target, is_missing};
use crate::error::Result;
use crate::model::attic::given::OnConflict;
use crate::model::config::parse_duration;
use crate::model::version::Version;
use std::cell::OnceCell;
use std::time::Duration;

/// Arguments of `apply`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Run the integrity checks before, too
    #[arg(long)]
    check_first: bool,
    /// What becomes of kept values that were changed meanwhile: report, keep-current or restore
    #[arg(long, value_name = "WHAT", default_value = "report")]
    on_conflict: OnConflict,
    /// Only migrations up to this version; repeatable files, init data and checks wait for the newest
    #[arg(long, value_name = "VERSION", value_parser = version)]
    to: Option<Version>,
    /// Wait for a server that is starting, 5min where no duration is given
    #[arg(long, value_name = "DURATION", num_args = 0..=1, require_equals = true, default_missing_value = "5min",
        value_parser = parse_duration)]
    wait: Option<Duration>,
    /// Print what happens as it happens, one JSON object a line; the result is the last
    #[arg(long)]
    events: bool,
    /// On a protected environment: apply files that differ from HEAD
    #[arg(long)]
    allow_dirty: bool,
    /// On a protected environment: apply a tree that is older than what the database has
    #[arg(long)]
    allow_behind: bool,
    #[command(flatten)]
    origin: Origin,
    /// Say what became of an interrupted statement, as the error asked: VERSION:STATEMENT=done or =retry
    #[arg(long, value_name = "WHAT")]
    settle: Vec<Settlement>,
    #[command(flatten)]
    many: WriteManyArgs,
}

/// Who waits for fewer seconds than this notices nothing.
pub const FELT: f64 = 1.0;

fn version(text: &str) -> std::result::Result<Version, String> {
    Version::parse(text).map_err(|e| e.to_string())
}

/// What the version table is to say of the run; otherwise the repository, the pipeline and the operating system tell.
#[derive(Debug, clap::Args)]
pub struct Origin {
    /// The commit to record, where there is no repository
    #[arg(long, value_name = "COMMIT", env = "DBBUILD_COMMIT")]
    commit: Option<String>,
    /// The run of a pipeline to record, where dbbuild does not know it by its variables
    #[arg(long, value_name = "TEXT", env = "DBBUILD_PIPELINE")]
    pipeline: Option<String>,
    /// Who started it
    #[arg(long, value_name = "NAME", env = "DBBUILD_BY")]
    by: Option<String>,
}

impl Origin {
    /// The same for the engine.
    pub fn given(&self) -> Given {
        Given { commit: self.commit.clone(), pipeline: self.pipeline.clone(), by: self.by.clone() }
    }
}

/// Applies.
///
/// # Errors
/// A script or check fails, or the guard refuses.
pub async fn run(context: &Context, args: Args) -> Result<Done> {
    if args.events {
        context.output.begin_events();
    }
    let project = context.project()?;
    let sources = project.sources()?;
    let (given, author) = (args.origin.given(), OnceCell::new());
    let options = ApplyOptions {
        wait: args.wait,
        to: args.to,
        allow_behind: args.allow_behind,
        on_conflict: args.on_conflict,
        check_first: args.check_first,
        settle: &args.settle,
        author: &|| author.get_or_init(|| provenance::author(&project, &given)).clone(),
    };
    let committed = |target: &Target| match target.selected.is_protected() && !args.allow_dirty {
        true => deployment::require_committed(&project),
        false => Ok(()),
    };
    if let (Some(limit), None) = (args.wait, &context.globals.url)
        && let Some(asked) = Fleet::asked(&project, context.named_environment(), Start::IfNeeded).await?
    {
        wait_to_ask(context, &asked, limit).await?;
    }
    if let Some(fleet) = context.fleet(&project, context.named_environment(), Start::IfNeeded).await? {
        // All are of one environment.
        fleet.members.first().map_or(Ok(()), |member| committed(&member.target))?;
        return many::apply(context, &project, &sources, &fleet, &options, args.many).await;
    }
    let target = context.target(&project, Start::IfNeeded).await?;
    committed(&target)?;
    let progress = context.progress("migrations", sources.migrations.len());
    let events = Events::new(&context.output, &target, None);
    events.begin();
    let sink = |event: Event| {
        events.event(&event);
        progress.event(event);
    };
    let applied = deployment::apply(&project, &sources, &target, &options, &sink).await;
    progress.end();
    let applied = applied.inspect_err(|error| events.failed(error))?;
    events.end(if applied.outcome.changed { "applied" } else { "up_to_date" });
    show(context, &applied);
    context.output.json(&json(&applied));
    Ok(Done::Well)
}

/// Waits for the server that is asked which databases there are.
async fn wait_to_ask(context: &Context, asked: &Target, limit: Duration) -> Result<()> {
    let (progress, events) = (context.progress("databases", 0), Events::new(&context.output, asked, None));
    let sink = |event: Event| {
        events.event(&event);
        progress.event(event);
    };
    match deployment::wait(asked, limit, &sink).await {
        // Its databases are looked for in another one then.
        Err(e) if is_missing(&e) => Ok(()),
        waited => waited,
    }
}

/// Says what was done to one database.
pub fn show(context: &Context, applied: &Applied) {
    let (out, outcome) = (&context.output, &applied.outcome);
    ran::show(out, &outcome.report);
    show_costs(context, applied);
    let text = if outcome.changed { "now has" } else { "is up to date:" };
    out.line(&format!("{} {text} {}", applied.database, count(outcome.applied, "migration")));
}

/// The slowest migrations that others could feel, or all with `--verbose`: how long they took and waited, and what they
/// kept from others.
fn show_costs(context: &Context, applied: &Applied) {
    const SHOWN: usize = 10;
    let (out, all) = (&context.output, context.globals.verbose);
    let seconds = |one: &Measure| one.seconds.unwrap_or_default();
    let felt = |one: &&Measure| all || seconds(one) >= FELT || !one.waited.is_zero();
    let mut costs: Vec<&Measure> = applied.outcome.report.measures.iter().filter(felt).collect();
    costs.sort_by(|a, b| seconds(b).total_cmp(&seconds(a)));
    let shown = if all { costs.len() } else { SHOWN };
    if !costs.is_empty() {
        out.line(&format!("took {:.1} s, the slowest migrations first:", applied.seconds));
    }
    for one in costs.iter().take(shown) {
        let mut facts: Vec<String> = Vec::new();
        if !one.waited.is_zero() {
            facts.push(format!("waited {:.1} s for locks", one.waited.as_secs_f64()));
        }
        facts.extend(one.locks.iter().map(|held| format!("{} on {}", held.lock, held.table)));
        let facts = if facts.is_empty() { String::new() } else { format!(" ({})", facts.join("; ")) };
        out.line(&format!("{:>9.3} s  {}{facts}", seconds(one), one.path));
    }
}

/// What was done to one database, for JSON.
pub fn json(applied: &Applied) -> serde_json::Value {
    let outcome = &applied.outcome;
    serde_json::json!({
        "database": applied.database,
        "environment": applied.environment,
        "changed": outcome.changed,
        "applied": outcome.applied,
        "ran": ran::json(&outcome.report),
        "seconds": applied.seconds,
        "waited": outcome.report.measures.iter().map(|one| one.waited).sum::<Duration>().as_secs_f64(),
        "times": outcome.report.measures.iter().cloned().map(cost).collect::<Vec<_>>(),
    })
}
