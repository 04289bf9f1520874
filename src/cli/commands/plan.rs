//! `dbbuild plan`: exactly what a run would execute. Writes nothing, not even the version table.

mod down;
mod many;

use crate::cli::many::ManyArgs;
use crate::cli::output::Output;
use crate::cli::{Context, Done};
use crate::engine::deployment::{self, PlanRequest, Planned};
use crate::engine::downgrade::{upward, version_here};
use crate::engine::project::Project;
use crate::engine::target::Start;
use crate::error::Result;
use crate::model::preview::StepView;
use crate::model::sources::Sources;

/// Arguments of `plan`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Plan a new installation from the baseline
    #[arg(long)]
    bootstrap: bool,
    /// Show how `dbbuild build --take-back` would take back what the files do not have
    #[arg(long, conflicts_with = "bootstrap")]
    take_back: bool,
    #[command(flatten)]
    many: ManyArgs,
    /// Plan up to a version, as `apply --to` does; or a downgrade to a version, commit or tag, with what it keeps and loses
    #[arg(long, value_name = "TARGET", conflicts_with_all = ["bootstrap", "take_back"])]
    to: Option<String>,
}

/// Plans.
///
/// # Errors
/// The sources do not fit the database, or the guard would refuse.
pub async fn run(context: &Context, args: Args) -> Result<Done> {
    let project = context.project()?;
    let sources = project.sources()?;
    if let Some(to) = &args.to {
        return plan_to(context, &project, &sources, to, args.many).await;
    }
    let request = PlanRequest {
        bootstrap: args.bootstrap,
        take_back: args.take_back,
        uncommitted: deployment::uncommitted(&project),
        ..PlanRequest::default()
    };
    if !args.bootstrap
        && !args.take_back
        && let Some(fleet) = context.fleet(&project, context.named_environment(), Start::Never).await?
    {
        return many::plan(context, &project, &sources, &fleet, request, args.many).await;
    }
    let target = match args.bootstrap {
        true => context.new_target(&project, Start::Never).await?,
        false => context.target(&project, Start::Never).await?,
    };
    let planned = deployment::plan(&project, &sources, &target, request).await?;
    show(context, &planned);
    context.output.json(&json(&planned));
    planned.refusal.map_or(Ok(Done::Well), Err)
}

/// A version, up or down as the database stands to it; all databases only go up together.
async fn plan_to(context: &Context, project: &Project, sources: &Sources, to: &str, many: ManyArgs) -> Result<Done> {
    let version = version_here(sources, to);
    let target = match context.fleet(project, context.named_environment(), Start::Never).await? {
        Some(fleet) if version.is_some() && (fleet.members.len() != 1 || context.globals.target.is_empty()) => {
            let uncommitted = deployment::uncommitted(project);
            let request = PlanRequest { to: version, uncommitted, ..PlanRequest::default() };
            return many::plan(context, project, sources, &fleet, request, many).await;
        }
        Some(fleet) => fleet.one(&context.globals.target)?,
        None => context.target(project, Start::Never).await?,
    };
    if let Some(version) = version
        && let Some(planned) = upward(project, sources, &target, &version).await?
    {
        show_titled(context, &planned, &format!(", up to {to}"));
        let mut json = json(&planned);
        json["to"] = serde_json::json!({ "name": to, "version": version.as_str() });
        context.output.json(&json);
        return planned.refusal.map_or(Ok(Done::Well), Err);
    }
    down::run(context, project, sources, &target, to).await
}

/// A plan, for JSON.
pub fn json(planned: &Planned) -> serde_json::Value {
    serde_json::json!({
        "plan": planned.preview,
        "refusal": planned.refusal.as_ref().map(ToString::to_string),
    })
}

/// Says what a run would do.
pub fn show(context: &Context, planned: &Planned) {
    show_titled(context, planned, "");
}

fn show_titled(context: &Context, planned: &Planned, goal: &str) {
    let (out, preview) = (&context.output, &planned.preview);
    if !planned.exists {
        out.note(&format!("there is no {} yet; a run makes it", planned.database));
    }
    out.answer(&format!("plan {} for {} ({}){goal}", preview.fingerprint, preview.database, preview.environment));
    preview.notes.iter().for_each(|note| out.note(note));
    if planned.is_empty {
        out.answer(if preview.steps.is_empty() { "nothing to do" } else { "nothing is pending; a run only checks:" });
    }
    preview.steps.iter().enumerate().for_each(|(n, step)| show_step(out, n, step));
}

fn show_step(out: &Output, n: usize, step: &StepView) {
    out.answer(&format!("{:>4}  {}", n + 1, sentence(step)));
    for lock in &step.locks {
        let size = match lock.size {
            Some(size) => {
                let rows = size.rows.map_or_else(|| "rows unknown".to_owned(), |rows| format!("about {rows} rows"));
                format!(": {rows}, {}", bytes(size.bytes))
            }
            None => String::new(),
        };
        out.answer(&format!("        {} on {}{size}", lock.lock, lock.table));
    }
    for kept in &step.kept {
        out.answer(&format!("        {} {}", if kept.lost { "loses, but keeps" } else { "keeps" }, kept.text));
    }
}

/// One step in words.
pub fn sentence(step: &StepView) -> String {
    let mut words = vec![step.kind.to_owned()];
    words.extend(step.path.clone());
    let mut facts = Vec::new();
    facts.extend(step.reason.map(str::to_owned));
    if step.statements > 0 {
        facts.push(format!("{} statement{}", step.statements, if step.statements == 1 { "" } else { "s" }));
    }
    if !step.transaction {
        facts.push("statement by statement".to_owned());
    }
    facts.extend(step.manner.iter().cloned());
    facts.extend(step.note.clone());
    if !facts.is_empty() {
        words.push(format!("({})", facts.join(", ")));
    }
    words.join(" ")
}

/// A size as people read it.
pub fn bytes(n: u64) -> String {
    indicatif::HumanBytes(n).to_string()
}
