//! `dbbuild status`: what is applied, pending, changed or unknown.

use crate::cli::{Context, Done};
use crate::engine::project::Project;
use crate::engine::switch::{Refs, branch, on_branches};
use crate::engine::target::{Start, Target};
use crate::engine::{prove, upgrade};
use crate::error::Result;
use crate::model::apart::Apart;
use crate::model::branch::DETACHED;
use crate::model::guard::Standing;
use crate::model::plan::{Applied, FileKind, History, may_differ};
use crate::model::sources::Sources;
use crate::model::squash;
use std::collections::BTreeMap;

/// Arguments of `status`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Exit with status 3 where something is pending or changed
    #[arg(long)]
    exit_code: bool,
}

/// One migration's state.
struct Row {
    version: String,
    name: String,
    state: &'static str,
    /// What its preconditions do where they do not hold.
    asks: Vec<&'static str>,
    /// The branches that have a phantom.
    branches: Vec<String>,
    /// The environments that it is limited to, and whether it is secure.
    apart: Apart,
}

/// Shows the status.
///
/// # Errors
/// The database cannot be reached, or the sources are faulty.
pub async fn run(context: &Context, args: Args) -> Result<Done> {
    let project = context.project()?;
    let sources = project.sources()?;
    let target = context.target(&project, Start::Never).await?;
    let (session, found) = target.look().await?;
    let rows = rows(&sources, &found.history, &target.selected.name, &Refs::of(&project));
    let files = pending_files(&sources, &found.history, &target.selected.name);
    let inputs = prove::inputs(&project.config, &sources);
    let fresh = sources.baseline.as_ref().is_some_and(|text| upgrade::baseline_claims(text, &inputs));
    let mark = match found.facts.standing() {
        Standing::Valid(mark) => format!("marked {}", mark.environment),
        Standing::Foreign(mark, why) => format!("marked {}, but {why}", mark.environment),
        Standing::Unmarked if session.is_none() => "not made yet".to_owned(),
        Standing::Unmarked => "not marked".to_owned(),
    };
    let count = |state: &str| rows.iter().filter(|row| row.state == state).count();
    let out = &context.output;
    out.answer(&format!("{} ({mark})", target.describe()));
    if let Some(branch) = &target.branch {
        out.answer(&format!("the database of {}", name_branch(branch)));
    }
    for row in rows.iter().filter(|row| row.state != "applied" || context.globals.verbose) {
        let of = if row.state == "unknown" {
            format!(" (phantom: in no file here, {})", on_branches(&row.branches))
        } else if row.state == "pending" && !row.asks.is_empty() {
            format!(" (asks first: {})", row.asks.join(", "))
        } else if row.apart.is_none() {
            String::new()
        } else {
            format!(" ({})", row.apart.describe())
        };
        out.answer(&format!("  {:<12} {}_{}{of}", row.state, row.version, row.name));
    }
    for (kind, name) in &files {
        out.answer(&format!("  {:<12} {} {name}", "pending", kind.as_str()));
    }
    out.answer(&format!("{} applied, {} pending", count("applied"), count("pending") + count("interrupted")));
    let gone = gone_branches(&project, &target, session.is_some()).await?;
    gone.iter().for_each(|line| out.answer(line));
    let stale = if fresh { "fresh" } else { "stale; run `dbbuild baseline`" };
    out.answer(&format!("{}: {stale}", project.config.paths.baseline));
    let list: Vec<_> = rows
        .iter()
        .map(|row| {
            let (version, name, state, branches) = (&row.version, &row.name, row.state, &row.branches);
            serde_json::json!({
                "version": version, "name": name, "state": state, "asks": row.asks, "branches": branches,
                "environments": row.apart.environments, "secure": row.apart.secure,
            })
        })
        .collect();
    let files: Vec<_> =
        files.iter().map(|(kind, name)| serde_json::json!({ "kind": kind.as_str(), "name": name })).collect();
    let differs = rows.iter().any(|row| !matches!(row.state, "applied" | "elsewhere")) || !files.is_empty();
    out.json(&serde_json::json!({
        "database": target.describe(), "mark": mark, "migrations": list, "files": files, "baseline_fresh": fresh,
        "branch": target.branch,
    }));
    Ok(if args.exit_code && differs { Done::Differs } else { Done::Well })
}

/// "branch side", or what stands for a detached HEAD.
fn name_branch(branch: &str) -> String {
    if branch == DETACHED { "a detached HEAD".to_owned() } else { format!("branch {branch}") }
}

/// The databases of branches that are gone, in lines.
async fn gone_branches(project: &Project, target: &Target, reachable: bool) -> Result<Vec<String>> {
    if !project.config.local.per_branch || !reachable || target.selected.is_protected() {
        return Ok(Vec::new());
    }
    let owned = branch::owned(project, target).await?;
    let line = |one: &branch::Owned| {
        format!(
            "{} is of {}, which is gone; `dbbuild server prune` drops it",
            one.target.describe(),
            name_branch(&one.branch)
        )
    };
    Ok(owned.iter().filter(|one| one.orphaned).map(line).collect())
}

fn rows(sources: &Sources, history: &History, environment: &str, refs: &Refs) -> Vec<Row> {
    let mut applied: BTreeMap<_, &Applied> = history.applied.iter().map(|row| (&row.version, row)).collect();
    let mut rows = Vec::new();
    for migration in sources.all_migrations() {
        if migration.is_squash() {
            let state = match squash::standing(migration, history) {
                squash::Standing::Pending => "pending",
                squash::Standing::Applied => "applied",
                squash::Standing::Between(_) => "changed",
            };
            for row in squash::rows(migration) {
                applied.remove(&row.version);
            }
            let (version, name) = (migration.version.to_string(), migration.name.clone());
            let (asks, apart) = (Vec::new(), Apart::default());
            rows.push(Row { version, name, state, asks, branches: Vec::new(), apart });
            continue;
        }
        let apart = migration.settings.apart.clone();
        let state = match applied.remove(&migration.version) {
            None if !apart.runs_in(environment) => "elsewhere",
            None => "pending",
            Some(row) if !row.complete => "interrupted",
            Some(row) if row.checksum != migration.checksum && !may_differ(sources, migration) => "changed",
            Some(_) => "applied",
        };
        let (version, name) = (migration.version.to_string(), migration.name.clone());
        let asks = migration.settings.preconditions.iter().map(|one| one.on_fail.as_str()).collect();
        rows.push(Row { version, name, state, asks, branches: Vec::new(), apart });
    }
    for row in applied.values() {
        let (version, name) = (row.version.to_string(), row.name.clone());
        let (asks, apart) = (Vec::new(), Apart::default());
        rows.push(Row { version, name, state: "unknown", asks, branches: refs.holders(row), apart });
    }
    rows
}

fn pending_files(sources: &Sources, history: &History, environment: &str) -> Vec<(FileKind, String)> {
    let repeatable = sources.repeatable.iter().map(|file| (FileKind::Repeatable, file));
    let own = sources.env_init.get(environment).into_iter().flatten();
    let init = sources.init.iter().chain(own).map(|file| (FileKind::Init, file));
    repeatable
        .chain(init)
        .filter(|(kind, file)| history.files.get(&(*kind, file.name.clone())) != Some(&file.checksum))
        .map(|(kind, file)| (kind, file.name.clone()))
        .collect()
}
