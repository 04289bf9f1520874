//! `dbbuild changelog FROM..TO`: what changed between two commits, object by object.

use super::history::name;
use crate::cli::{Context, Done};
use crate::engine::past::Past;
use crate::error::{Error, Result};
use crate::model::baseline::Facts;
use crate::model::changelog::{self, Item};
use serde_json::{Value, json};

/// Arguments of `changelog`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Two commits, as in v1.0..v1.1; a side that is left out is HEAD
    #[arg(value_name = "FROM..TO")]
    range: String,
}

/// Prints the changes.
///
/// # Errors
/// There is no such commit, or TO has no baseline (exit status 2).
pub async fn run(context: &Context, args: Args) -> Result<Done> {
    let (from, to) = ends(&args.range)?;
    let project = context.project()?;
    let past = Past::open(&project, to)?;
    let before = Past::open(&project, from)?.baseline(from)?;
    let Some(after) = past.baseline(to)? else {
        return Err(Error::usage(format!("{to} holds no baseline")).help("run `dbbuild baseline` and commit it."));
    };
    let facts = before.as_ref().map(Facts::of_baseline).unwrap_or_default();
    let changes = facts.changes(&Facts::of_baseline(&after));
    let migrations = past.migrations(before.as_ref(), &after, to)?;
    let items = changelog::items(&changes);
    let title = format!("Changes from {from} to {to}");
    context.output.answer(changelog::markdown(&title, &migrations, &items).trim_end());
    let migrations: Vec<Value> = migrations
        .iter()
        .map(|migration| {
            json!({
                "version": migration.version, "name": migration.name, "change": changelog::verb(migration.change),
                "description": migration.description,
            })
        })
        .collect();
    let items: Vec<Value> = items.iter().map(describe).collect();
    context.output.json(&json!({ "from": from, "to": to, "migrations": migrations, "changes": items }));
    Ok(Done::Well)
}

fn ends(range: &str) -> Result<(&str, &str)> {
    let malformed = || {
        Error::usage(format!("`{range}` is no range of commits"))
            .help("write FROM..TO, as in `dbbuild changelog v1.0..v1.1`; `v1.0..` goes up to HEAD.")
    };
    let (from, to) = range.split_once("..").ok_or_else(malformed)?;
    if to.starts_with('.') || from.starts_with('-') || to.starts_with('-') {
        return Err(malformed());
    }
    let or_head = |rev| if str::is_empty(rev) { "HEAD" } else { rev };
    Ok((or_head(from), or_head(to)))
}

fn describe(item: &Item) -> Value {
    let parts: Vec<Value> = item.parts.iter().map(describe).collect();
    json!({
        "change": changelog::verb(item.change), "object": name(&item.object), "details": item.details, "parts": parts,
    })
}
