//! Test data loads, the checks pass on it, and migrations change nothing on it when they run again.

use super::replay::{Tried, checks, data_again, not_idempotent};
use super::server::Side;
use super::{Request, judge_rule, rows, states};
use crate::error::{Error, Location, Result};
use crate::model::checksum::{Checksum, Digest};
use crate::model::config::{Config, Severity};
use crate::model::migration::{Idempotent, Migration};
use crate::model::plan::FileKind;
use crate::model::sources::{ScriptFile, Sources};
use crate::model::sql::StatementKind;
use std::collections::BTreeSet;

/// The lists of sets that are loaded together: as each environment has them, then every set that no environment names,
/// by itself. The default environment's comes last, since what is tried on rows is tried on it.
pub(super) fn lists(config: &Config, sources: &Sources) -> Vec<Vec<String>> {
    let mut lists: BTreeSet<Vec<String>> = config.env.values().map(|env| env.testdata.clone()).collect();
    let default = config.env.get(&config.default_env).map(|env| env.testdata.clone()).unwrap_or_default();
    let named: BTreeSet<String> = lists.iter().flatten().cloned().collect();
    lists.extend(sources.testdata.keys().filter(|set| !named.contains(*set)).map(|set| vec![set.clone()]));
    lists.remove(&default);
    lists.into_iter().filter(|list| !list.is_empty()).chain([default]).collect()
}

/// The files of the default environment's list: those that migrations are tried on.
pub(super) fn tried_on<'s>(config: &Config, sources: &'s Sources) -> Vec<&'s ScriptFile> {
    let lists = lists(config, sources);
    lists.last().into_iter().flatten().filter_map(|set| sources.testdata.get(set)).flatten().collect()
}

/// Names the files that migrations are tried on.
pub(super) fn sum(request: &Request<'_>) -> Checksum {
    let mut digest = Digest::new("dbbuild test data 1");
    for file in tried_on(request.config, request.sources) {
        digest.field(file.name.as_bytes()).field(file.checksum.as_bytes());
    }
    digest.finish()
}

/// Loads every list into the replayed database.
pub(super) async fn load_and_try(request: &Request<'_>, side: &mut Side<'_>, tried: &mut Tried) -> Result<()> {
    let lists = lists(request.config, request.sources);
    let Some((last, others)) = lists.split_last() else { return Ok(()) };
    for list in others {
        try_and_roll_back(request, side, list, &mut tried.faults).await?;
    }
    let before = tried.faults.len();
    for file in files(request, last, &mut tried.faults) {
        if let Err(e) = side.worker.run_file(FileKind::TestData, file).await {
            tried.faults.push(e);
            break;
        }
    }
    if tried.faults.len() > before {
        return Ok(());
    }
    if !last.is_empty() {
        checks(request, side, "with test data", &mut tried.faults).await?;
    }
    try_on_rows(request, side, tried).await
}

fn files<'r>(
    request: &'r Request<'_>,
    list: &[String],
    faults: &mut Vec<Error>,
) -> Vec<&'r crate::model::sources::ScriptFile> {
    let mut files = Vec::new();
    for set in list {
        match request.sources.testdata.get(set) {
            Some(found) => files.extend(found),
            // An environment may name a set before its first file is written; but not where other sets exist.
            None if request.sources.testdata.is_empty() => {}
            None => faults.push(
                Error::failed(format!("the configuration names the test data {set}, but no file of it exists"))
                    .help("write one, or take the name out of `testdata` in dbbuild.toml."),
            ),
        }
    }
    files
}

/// Loads a list in a transaction that is rolled back, so that lists do not meet.
async fn try_and_roll_back(
    request: &Request<'_>,
    side: &Side<'_>,
    list: &[String],
    faults: &mut Vec<Error>,
) -> Result<()> {
    let session = side.session();
    session.simple("BEGIN").await?;
    for file in files(request, list, faults) {
        let body = file.script.body()?;
        if let Some((location, word)) = &body.transaction_control {
            faults.push(Error::failed(format!("{word} in a file that runs in one transaction")).at(location.clone()));
            break;
        }
        if let Err(e) = side.worker.run_inside(&file.script, &body).await? {
            let failed = Error::failed(format!("the test data file {} does not load", file.name));
            faults.push(
                e.location().cloned().map_or(failed.clone(), |place| failed.at(place)).cause(e.causes().join(": ")),
            );
            break;
        }
    }
    side.worker.clean_up().await
}

/// Whether a script may change rows that are there: by writing them, or by making their columns anew.
fn writes(migration: &Migration) -> Result<bool> {
    let remakes = |text: &str| {
        let has = |word: &str| text.as_bytes().windows(word.len()).any(|w| w.eq_ignore_ascii_case(word.as_bytes()));
        has("alter") && has("table") && (has("using") || has("drop"))
    };
    Ok(migration.up.split()?.iter().any(|statement| match statement.kind {
        StatementKind::Writes | StatementKind::CopyFromStdin => true,
        StatementKind::Ddl => remakes(migration.up.statement_text(statement)),
        _ => false,
    }))
}

/// Init data first: migrations that do not run in a transaction leave behind what they do.
async fn try_on_rows(request: &Request<'_>, side: &Side<'_>, tried: &mut Tried) -> Result<()> {
    let rule = request.config.migrations.idempotent;
    if rule == Severity::Off {
        return Ok(());
    }
    for file in &request.sources.init {
        if let Some(changed) = data_again(side, &file.script).await? {
            let fault = Error::failed(format!("with test data loaded, the init file {} {changed}", file.name))
                .at(Location::file(&file.path))
                .help("init data runs on every database again: write `INSERT … ON CONFLICT`.");
            judge_rule(rule, fault, &mut tried.faults, &mut tried.notes);
        }
    }
    let (alone, together): (Vec<_>, Vec<_>) =
        request.sources.migrations.iter().partition(|migration| tried.alone.contains_key(&migration.path));
    for migration in together.into_iter().chain(alone) {
        let expected = matches!(migration.settings.idempotent, Idempotent::Expected);
        let known = tried.settled.contains(&migration.path) || tried.on_rows.contains(&migration.path);
        let skipped = tried.skipped.contains(&migration.path);
        if !expected || known || skipped || !states::is_new(request, migration) || !writes(migration)? {
            continue;
        }
        // What its preconditions keep from running again changes nothing.
        if side.worker.ask(migration).await?.is_some() {
            continue;
        }
        let changed = match tried.alone.contains_key(&migration.path) {
            true => rows::again_one_by_one(&side.worker, &migration.up).await?,
            false => rows::again_on_rows(&side.worker, &migration.up).await?,
        };
        if let Some(changed) = changed {
            judge_rule(rule, not_idempotent(migration, &changed), &mut tried.faults, &mut tried.notes);
            tried.settled.insert(migration.path.clone());
        }
    }
    Ok(())
}
