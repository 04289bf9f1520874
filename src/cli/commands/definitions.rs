//! `dbbuild definitions`: what each object is, in a file of its own, written from the baseline.

use crate::cli::output::count;
use crate::cli::{Context, Done};
use crate::engine::{definitions, prove, upgrade};
use crate::error::{Error, Result};
use crate::model::baseline::Baseline;
use crate::model::definitions::change;

/// Arguments of `definitions`.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// Writes the definitions.
///
/// # Errors
/// There is no sound baseline, it is stale (status 3), or the folder cannot be written.
pub async fn run(context: &Context, _args: Args) -> Result<Done> {
    let project = context.project()?;
    let sources = project.sources()?;
    let (config, out) = (&project.config, &context.output);
    let path = &config.paths.baseline;
    let bytes = sources.baseline.as_ref().ok_or_else(|| {
        Error::failed(format!("there is no baseline {path}")).help("run `dbbuild`, which makes it, and this again.")
    })?;
    let text = std::str::from_utf8(bytes).map_err(|e| Error::failed(format!("{path} is not UTF-8")).cause(e))?;
    let baseline = Baseline::parse(text, path)?;
    if !upgrade::baseline_claims(bytes, &prove::inputs(config, &sources)) {
        return Err(Error::difference(format!("{path} is stale, and the definitions are written from it"))
            .help("run `dbbuild` or `dbbuild baseline` first. Nothing was written."));
    }
    let folder = &config.paths.definitions;
    let change = change(folder, &sources.definitions, &baseline);
    definitions::write(&project, &change)?;
    for path in &change.kept {
        out.note(&format!("{path} was not written by dbbuild and stays as it is"));
    }
    if change.is_empty() {
        out.line(&format!("{folder} is as it should be: {}", count(change.total, "file")));
    } else {
        let removed = if change.remove.is_empty() {
            String::new()
        } else {
            format!(", removed {}", count(change.remove.len(), "file"))
        };
        out.line(&format!("{folder}: wrote {} of {}{removed}", change.write.len(), count(change.total, "file")));
    }
    out.json(&serde_json::json!({
        "folder": folder, "written": change.write.keys().collect::<Vec<_>>(), "removed": change.remove,
        "kept": change.kept, "total": change.total,
    }));
    Ok(Done::Well)
}
