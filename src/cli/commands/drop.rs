//! `dbbuild drop`: the local database goes. Refused on a protected one, whatever the flags.

use crate::cli::{Context, Done, output};
use crate::engine::target::{Start, Target};
use crate::error::{Error, Result};
use crate::model::guard::{self, Action};

/// Arguments of `drop`.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// Drops.
///
/// # Errors
/// The guard refuses, or somebody says no.
pub async fn run(context: &Context, _: Args) -> Result<Done> {
    let project = context.project()?;
    let target = context.target(&project, Start::IfNeeded).await?;
    let dropped = drop_guarded(context, &target, Action::Drop).await?;
    let text = if dropped { "dropped" } else { "there is no" };
    context.output.line(&format!("{text} {}", target.describe()));
    context.output.json(&serde_json::json!({ "database": target.describe(), "dropped": dropped }));
    Ok(Done::Well)
}

/// Asks the guard, then the person at the terminal, then drops. False where there was no database.
///
/// # Errors
/// The guard or the person says no; nothing was changed.
pub async fn drop_guarded(context: &Context, target: &Target, action: Action) -> Result<bool> {
    let session = match target.connect().await {
        Ok(session) => session,
        Err(e) if e.code() == Some("3D000") => {
            if target.selected.is_protected() {
                return Err(Error::failed(format!("refused: the environment {} is protected", target.selected.name)));
            }
            return Ok(false);
        }
        Err(e) => return Err(e),
    };
    let found = target.read(&session).await?;
    guard::judge(action, &found.facts, &target.selected)?;
    session.close().await;
    let question = format!("{} and all rows in it will be lost. Go on?", target.describe());
    if !context.globals.yes && output::is_interactive() && !output::confirm(&question) {
        return Err(Error::failed("nothing was dropped").cause("the answer was no"));
    }
    target.drop_database().await?;
    Ok(true)
}
