//! `dbbuild env show|mark`: what a database is.

mod many;

use crate::cli::many::WriteManyArgs;
use crate::cli::{Context, Done, output};
use crate::engine::mark::{self, Request};
use crate::engine::target::{self, Start};
use crate::error::{Error, Result};
use crate::model::guard::Standing;

/// Arguments of `env`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

/// What to do.
#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Show the selected environment and the database's mark
    Show,
    /// Print the address of the selected database, that of the current branch where each has one; without a password
    Url,
    /// Mark the database as an environment
    Mark {
        /// The environment
        name: String,
        /// The same name again: a database that is not empty wants it
        #[arg(long, value_name = "NAME")]
        confirm: Option<String>,
        /// The protected environment that the database is marked as, to make it an unprotected one
        #[arg(long, value_name = "NAME")]
        unprotect: Option<String>,
        /// All databases of an environment that has many; those of `--target` where that is given
        #[arg(long)]
        all: bool,
        #[command(flatten)]
        many: WriteManyArgs,
    },
}

/// Runs.
///
/// # Errors
/// The database cannot be reached, or the guard refuses.
pub async fn run(context: &Context, args: Args) -> Result<Done> {
    match args.action {
        Action::Show => show(context).await,
        Action::Url => url(context).await,
        Action::Mark { name, confirm, unprotect, all, many } => {
            let request = Request { name: &name, confirm: confirm.as_deref(), unprotect: unprotect.as_deref() };
            mark(context, &request, all, many).await
        }
    }
}

async fn url(context: &Context) -> Result<Done> {
    let project = context.project()?;
    let target = context.target(&project, Start::Never).await?;
    if target.is_unmade() {
        return Err(Error::failed(format!("there is no {} yet", target.describe())).help("`dbbuild` makes it."));
    }
    let url = target.settings.url_without_password();
    context.output.answer(&url);
    context.output.json(&serde_json::json!({ "url": url, "branch": target.branch }));
    Ok(Done::Well)
}

async fn show(context: &Context) -> Result<Done> {
    let project = context.project()?;
    let target = context.target(&project, Start::Never).await?;
    let session = target.connect().await?;
    let found = target.read(&session).await?;
    let (mark, validity) = match found.facts.standing() {
        Standing::Unmarked if found.facts.empty => (None, "not marked; it is empty".to_owned()),
        Standing::Unmarked => (None, "not marked; it is not empty, so it counts as production".to_owned()),
        Standing::Valid(mark) => {
            let protected = if mark.protected { ", protected" } else { "" };
            (Some(mark), format!("marked {}{protected}", mark.environment))
        }
        Standing::Foreign(mark, why) => {
            (Some(mark), format!("marked {}, but the mark does not count: {why}", mark.environment))
        }
    };
    let out = &context.output;
    out.answer(&format!("selected: {}", target.selected.name));
    out.answer(&format!("database: {}", target.describe()));
    out.answer(&format!("mark:     {validity}"));
    out.json(&serde_json::json!({
        "selected": target.selected.name,
        "database": target.describe(),
        "mark": mark.map(|mark| serde_json::json!({ "environment": mark.environment, "protected": mark.protected })),
        "valid": matches!(found.facts.standing(), Standing::Valid(_)),
        "empty": found.facts.empty,
    }));
    Ok(Done::Well)
}

async fn mark(context: &Context, request: &Request<'_>, all: bool, many: WriteManyArgs) -> Result<Done> {
    let project = context.project()?;
    // The address is that of the environment which the database shall be, unless another one is named.
    let (name, env) = (request.name, context.named_environment().unwrap_or(request.name));
    project.config.environment(name)?;
    if let Some(fleet) = context.fleet(&project, Some(env), Start::Never).await? {
        if !all && context.globals.target.is_empty() {
            return Err(Error::usage(format!("the environment {env} has many databases"))
                .help("`--all` marks them all, `--target NAME` those that the name or pattern means."));
        }
        return many::mark(context, &project, &fleet, request, many).await;
    }
    let target = target::Target::find(&project, Some(env), context.globals.url.as_deref(), Start::Never).await?;
    let ask = |empty: bool| confirmation(&target, empty, name, None);
    let waiting = |what: &str| context.output.waits_for(what);
    mark::mark(&project, &target, request, &ask, &waiting).await?;
    context.output.line(&format!("{} is marked {name} now", target.describe()));
    context.output.json(&serde_json::json!({ "database": target.describe(), "marked": name }));
    Ok(Done::Well)
}

/// The environment's name as somebody gave it or types it on a terminal; an empty database wants none.
pub(super) fn confirmation(target: &target::Target, empty: bool, name: &str, given: Option<String>) -> Option<String> {
    given.or_else(|| {
        if empty || !output::is_interactive() {
            return None;
        }
        output::ask(&format!("{} is not empty. Type {name} to mark it as {name}", target.describe()))
    })
}
