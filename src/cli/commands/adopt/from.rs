//! `dbbuild adopt --from TOOL`: another tool's bookkeeping table, taken over so that nothing runs twice.

use super::{Args, cleared};
use crate::cli::output::count;
use crate::cli::{Context, Done};
use crate::engine::adopt;
use crate::engine::import::takeover::{TakeOver, TakenOver, take_over};
use crate::engine::import::{read_record, record_path};
use crate::engine::provenance::{self, Given};
use crate::engine::target::Start;
use crate::error::{Error, Location, Result};
use crate::model::guard::{self, Mark};
use crate::model::import::tool;

/// Reads what a tool has applied to the selected database and records it.
///
/// # Errors
/// The guard refuses, or the tool's table does not fit the files: nothing was changed.
pub async fn run(context: &Context, name: &str, args: &Args) -> Result<Done> {
    let tool = tool(name)?;
    let bookkeeping = tool.bookkeeping.ok_or_else(|| {
        Error::usage(format!("{name} keeps no table of what it applied"))
            .help("`dbbuild adopt` takes over the whole database")
    })?;
    let project = context.project()?;
    let paths = &project.config.paths;
    let record = read_record(&project.root, paths)?;
    if record.tool != name {
        return Err(Error::usage(format!("these migrations came from {}, not from {name}", record.tool))
            .at(Location::file(record_path(paths))));
    }
    let sources = project.sources()?;
    let target = context.target(&project, Start::Never).await?;
    let session = target.connect_to_write(&project.config).await?;
    let found = target.read(&session).await?;
    adopt::judge(&found)?;
    let to = &target.selected;
    let confirm = cleared(&target, &found, args)?;
    let _lock = target.lock(&project.config, &|what| context.output.waits_for(what)).await?;
    let found = target.read(&session).await?;
    adopt::judge(&found)?;
    guard::judge_mark(&found.facts, to, confirm.as_deref(), args.unprotect.as_deref())?;
    let mark =
        Mark { environment: to.name.clone(), protected: to.is_protected(), binding: found.facts.binding.clone() };
    let description = target.describe();
    let wanted = TakeOver {
        record: &record,
        bookkeeping,
        table: args.table.as_deref(),
        sources: &sources,
        description: &description,
    };
    let taken = take_over(&session, &wanted, &mark, &provenance::author(&project, &Given::default())).await?;
    tell(context, name, &description, &to.name, &taken);
    Ok(Done::Well)
}

fn tell(context: &Context, tool: &str, database: &str, environment: &str, taken: &TakenOver) {
    let out = &context.output;
    let others =
        if taken.scripts == 0 { String::new() } else { format!(" and {}", count(taken.scripts, "other file")) };
    out.line(&format!(
        "{database} is marked {environment}; {}{others} recorded as applied",
        count(taken.migrations, "migration")
    ));
    out.line(&format!("{} stays as it is; {tool} must not run there any more", taken.table));
    match taken.pending.len() {
        0 => out.line("nothing is pending; `dbbuild plan` shows what a run would do"),
        n => out.line(&format!("{} pending; `dbbuild plan` shows what a run would do", count(n, "migration"))),
    }
    out.json(&serde_json::json!({
        "database": database,
        "marked": environment,
        "tool": tool,
        "table": taken.table,
        "migrations": taken.migrations,
        "files": taken.scripts,
        "pending": taken.pending,
    }));
}
