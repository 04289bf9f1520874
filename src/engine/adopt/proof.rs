//! The proof: what would be written makes the same database as the one that is there, object by object.
//!
//! Where an object comes out differently, a plain restore by psql is asked: what `pg_dump` and psql alone change as well is
//! said, and anything else is an error.

use super::capture::Captured;
use crate::engine::project::Project;
use crate::engine::prove::{self, Goal, Proof, Request, restored};
use crate::engine::runner::Sink;
use crate::error::{Error, Result};
use crate::model::baseline::{Baseline, Dump, lost_rows};
use crate::model::catalog::{Catalog, CatalogDifference, drift};
use crate::model::sources::Sources;
use std::collections::BTreeSet;

/// Lines of a statement that are shown.
const LINES: usize = 3;
/// Differences that are named one by one.
const SHOWN: usize = 20;

/// Proves that the sources with migration zero make the database that was captured; the baseline comes with it.
///
/// # Errors
/// They do not run, or (status 3) what they make differs.
pub async fn prove(project: &Project, sources: &Sources, captured: &Captured, sink: Sink<'_>) -> Result<Proof> {
    let request = Request {
        config: &project.config,
        sources,
        base: None,
        goal: Goal::Generate,
        cache: &project.cache,
        reuse: true,
        sink,
    };
    let mut proof = prove::prove(&request).await.map_err(|e| does_not_run(sources, &e))?;
    let accepted: Vec<&Catalog> = proof.catalogs.iter().collect();
    let mut found: Vec<CatalogDifference> = drift(&captured.catalog, &accepted).into_iter().collect();
    if !found.is_empty() {
        let plain =
            restored(&project.config, &captured.bin, &captured.raw, &captured.own_roles, &captured.needed).await?;
        let usual: Vec<CatalogDifference> = drift(&captured.catalog, &[&plain]).into_iter().collect();
        let (usual, rest): (Vec<_>, Vec<_>) = found.into_iter().partition(|difference| usual.contains(difference));
        proof.notes.extend(told(&usual));
        found = rest;
    }
    let mut lines: Vec<String> = found.iter().map(ToString::to_string).collect();
    lines.extend(rows(&captured.rows, &proof.baseline, &project.config.paths.baseline)?);
    match lines.len() {
        0 => Ok(proof),
        n => Err(differs(n, lines)),
    }
}

/// The error of a file that nobody has, since it was not written: with the lines that it speaks of.
fn does_not_run(sources: &Sources, e: &Error) -> Error {
    let mut error = Error::failed("what was read does not make a database by itself");
    for one in std::iter::once(e).chain(e.others()) {
        let named = one.location().filter(|at| sources.migrations.iter().any(|m| m.path == at.path));
        if named.is_none() {
            error = error.cause(one.message());
        }
        error = one.causes().iter().fold(error, |error, cause| error.cause(cause));
        error = one.details().iter().fold(error, |error, detail| error.detail(detail));
        if let (Some(at), Some(migration)) = (named, sources.migrations.first()) {
            let lines: Vec<&str> = migration.up.text.lines().skip(at.line.saturating_sub(1)).take(LINES).collect();
            error = error.detail(lines.join("\n"));
        }
    }
    let all: Vec<&String> = e.causes().iter().collect();
    if all.iter().any(|cause| cause.contains("(23503)")) {
        error = error.help("name the tables that the chosen rows point at, too: `--data`.");
    }
    if all.iter().any(|cause| cause.contains("is not available")) {
        error = error.help("install the extension on this machine, or name an image that has it: `postgres.image`.");
    }
    error.help("nothing was written, to the tree or the database.")
}

/// What a plain restore changes as well: the objects that are written otherwise, and those whose columns change places.
fn told(usual: &[CatalogDifference]) -> Vec<String> {
    let (order, written): (Vec<_>, Vec<_>) =
        usual.iter().partition(|difference| difference.is_inherited_column_order());
    let table = |column: &str| column.rsplit_once('.').map_or(column, |(table, _)| table).to_owned();
    let named = |names: BTreeSet<String>| {
        let mut list: Vec<String> = names.iter().take(SHOWN).cloned().collect();
        if names.len() > SHOWN {
            list.push(format!("{} more", names.len() - SHOWN));
        }
        (!list.is_empty()).then(|| list.join(", "))
    };
    let written = named(written.iter().map(|difference| difference.object.to_string()).collect());
    let order = named(order.iter().map(|difference| format!("`{}`", table(&difference.object.identity))).collect());
    let written =
        written.map(|list| format!("a plain restore of pg_dump's output writes these otherwise, too: {list}"));
    let order = order.map(|list| format!("no dump keeps the order of columns of inheritance children: {list}"));
    written.into_iter().chain(order).collect()
}

fn rows(chosen: &Dump, baseline: &str, path: &str) -> Result<Vec<String>> {
    let made = Baseline::parse(baseline, path)?.dump;
    Ok(lost_rows(chosen, &made).into_iter().map(|what| format!("{what} do not come out as they are")).collect())
}

fn differs(count: usize, mut lines: Vec<String>) -> Error {
    if count > SHOWN {
        lines.truncate(SHOWN);
        lines.push(format!("and {} more", count - SHOWN));
    }
    let differ = if count == 1 { "1 object differs".to_owned() } else { format!("{count} objects differ") };
    Error::difference(format!("what would be written makes another database: {differ}"))
        .detail(lines.join("\n"))
        .help("shown is what the database has, and what was made of it; please report it. Nothing was written.")
}
