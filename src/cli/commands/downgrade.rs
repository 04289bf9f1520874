//! `dbbuild downgrade`: back to a version or commit, with what that drops kept in the attic.

use super::apply::Origin;
use crate::cli::output::{self, count};
use crate::cli::{Context, Done, ran};
use crate::engine::downgrade::{self, Destination};
use crate::engine::provenance;
use crate::engine::target::{Start, Target};
use crate::engine::upgrade::{self, Outcome, Work};
use crate::error::{Error, Result};
use crate::model::attic::Kept;
use crate::model::attic::given::OnConflict;
use crate::model::plan::{Plan, Step};

/// Arguments of `downgrade`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// A version, a commit or a tag; 0 is before all migrations
    #[arg(long, value_name = "TARGET")]
    to: String,
    /// The fingerprint that `dbbuild plan --to TARGET` printed; a protected database wants it
    #[arg(long, value_name = "FINGERPRINT")]
    plan: Option<String>,
    #[command(flatten)]
    origin: Origin,
}

/// Goes back.
///
/// # Errors
/// There is no such version or commit, a migration has no down part, the guard refuses, or a step fails.
pub async fn run(context: &Context, args: Args) -> Result<Done> {
    let project = context.project()?;
    let here = project.sources()?;
    let target = context.target(&project, Start::IfNeeded).await?;
    let session = target.connect_to_write(&project.config).await?;
    let found = target.read(&session).await?;
    let destination = Destination::find(&project, &here, &session, &found.history, &args.to).await?;
    destination.notes.iter().for_each(|note| context.output.note(note));
    let progress = context.progress("steps", 0);
    let (asked, given) = (args.plan.is_some(), args.origin.given());
    let work = Work {
        project: &project,
        sources: &destination.sources,
        job: downgrade::job(&destination, args.plan),
        author: &|| provenance::author(&project, &given),
        check_first: false,
        on_conflict: OnConflict::Report,
        sink: &|event| progress.event(event),
        begin: &|total| progress.expect(total),
    };
    if !asked && !context.globals.yes && output::is_interactive() {
        let texts = upgrade::texts_for(&work, &found, &session).await?;
        ask(&target, &upgrade::plan_for(&work, &target, &found, &texts)?)?;
    }
    let outcome = upgrade::run(&work, &target, session).await;
    progress.end();
    report(context, &target, &destination, &outcome?);
    Ok(Done::Well)
}

/// The person at the terminal has the last word.
fn ask(target: &Target, plan: &Plan) -> Result<()> {
    let backs = plan.steps.iter().filter(|step| matches!(step, Step::TakeBack(_))).count();
    let question = format!("Take {} back from {}?", count(backs, "migration"), target.describe());
    if backs == 0 || output::confirm(&question) {
        return Ok(());
    }
    Err(Error::failed("nothing was run").cause("the answer was no"))
}

fn report(context: &Context, target: &Target, destination: &Destination, outcome: &Outcome) {
    let (out, report) = (&context.output, &outcome.report);
    ran::show(out, report);
    let migrations = count(outcome.applied, "migration");
    match outcome.changed {
        true => out.line(&format!("{} now has {migrations}", target.describe())),
        false => out.line(&format!(
            "nothing to do: {} has {migrations}, none beyond {}",
            target.describe(),
            destination.name
        )),
    }
    out.json(&serde_json::json!({
        "database": target.describe(),
        "environment": target.selected.name,
        "to": to_json(destination),
        "changed": outcome.changed,
        "applied": outcome.applied,
        "lacking": destination.lacking,
        "kept": kept_json(&report.kept),
        "ran": ran::json(report),
    }));
}

/// Where it goes, for JSON.
pub fn to_json(destination: &Destination) -> serde_json::Value {
    use crate::model::reconcile::Goal;
    match destination.goal() {
        Goal::Version(version) => serde_json::json!({
            "name": destination.name,
            "version": version.as_ref().map_or("0", |version| version.as_str()),
        }),
        Goal::Commit(commit) => serde_json::json!({ "name": destination.name, "commit": commit }),
    }
}

fn kept_json(kept: &[Kept]) -> Vec<serde_json::Value> {
    let entries = |kept: &Kept| {
        let label = kept.label.clone();
        let entry =
            move |entry| serde_json::json!({ "migration": label, "entry": crate::model::preview::KeptView::of(entry) });
        kept.entries.iter().map(entry).collect::<Vec<_>>()
    };
    kept.iter().flat_map(entries).collect()
}
