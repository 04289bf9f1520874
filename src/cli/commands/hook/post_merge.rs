//! `post-merge`: tells what a merge or pull brought for the local database.

use crate::cli::{Context, Done, output};
use crate::engine::history;
use crate::engine::target::{Start, Target};
use crate::error::Result;
use crate::model::plan::{self, PlanOptions};

/// Tells what is pending. A server that does not run is not started for it, and nothing here stops git.
///
/// # Errors
/// The files or the database cannot be read.
pub(super) async fn run(context: &Context) -> Result<Done> {
    let project = context.project()?;
    let sources = project.sources()?;
    let Ok(target) = Target::find(&project, None, None, Start::Never).await else { return Ok(Done::Well) };
    let Ok(session) = target.connect().await else { return Ok(Done::Well) };
    let found = history::find(&session, &target.describe(), target.server_id.as_deref()).await?;
    let options = PlanOptions {
        environment: target.selected.name.clone(),
        protected: target.selected.is_protected(),
        mark: false,
        testdata: Vec::new(),
        checks: false,
    };
    let planned = plan::plan(&sources, &found.history, &options)?;
    let count = planned.migrations().count();
    if count > 0 {
        context.output.note(&format!(
            "{} pending on {}; run `dbbuild`",
            output::count(count, "migration"),
            target.describe()
        ));
    } else if !planned.is_empty() {
        context.output.note(&format!("{} is behind the files; run `dbbuild`", target.describe()));
    }
    Ok(Done::Well)
}
