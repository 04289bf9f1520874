//! Round trips: a migration applied, taken back and applied again comes to the same schema and the same rows.
//!
//! Each new migration with a down part goes once through it on a database of upstream with upstream's test data, as deployed
//! ones are; then, the test data of the branch loaded on the newest schema, all of them go back and forth again from the
//! last on, so that rows in what they made are tried too. The positions of sequences do not count.

use super::contents::{self, Contents};
use super::replay::run_files;
use super::server::{Side, ThrowawayPlan};
use super::states::{self, States};
use super::{Request, testdata, upgrade};
use crate::engine::catalog;
use crate::engine::runner::{Ran, load_baseline};
use crate::error::{Error, Location, Result};
use crate::model::catalog::{Catalog, CatalogDifference, DifferenceKind};
use crate::model::draft;
use crate::model::migration::Migration;
use crate::model::placeholder::fill_for_proof;
use crate::model::plan::{Applied, FileKind, Reason};
use crate::model::published::Base;
use crate::model::reconcile::{self, TakeBack};
use crate::model::review;
use crate::model::script::Script;
use crate::model::sources::ScriptFile;
use std::collections::BTreeSet;

/// Differences that are shown one by one.
const SHOWN: usize = 20;

/// What a database shows at one moment.
struct State {
    catalog: Catalog,
    contents: Contents,
}

/// What came of the trips.
#[derive(Default)]
struct Trips {
    faults: Vec<Error>,
    notes: Vec<String>,
}

/// Sends every new migration there and back. Gives what a person should know.
///
/// # Errors
/// A down part fails, or something does not come back as it was; every migration is tried.
pub async fn round_trips(request: &Request<'_>) -> Result<Vec<String>> {
    let sources = fill_for_proof(request.config, request.sources)?;
    let base = request.base.map(|base| {
        let sources = fill_for_proof(&base.config, &base.sources).unwrap_or_else(|_| base.sources.clone());
        Base { sources, ..base.clone() }
    });
    let request = &Request { sources: &sources, base: base.as_ref(), ..*request };
    review::sources(request.sources)?;
    let new: Vec<&Migration> = sources.migrations.iter().filter(|one| states::is_new(request, one)).collect();
    let mut trips = Trips::default();
    let lacking: Vec<String> = new.iter().filter(|one| draft::lacks_down(one)).map(|one| one.label()).collect();
    if !lacking.is_empty() {
        trips.notes.push(format!("without a down part, and so not tried back and forth: {}", lacking.join(", ")));
    }
    if lacking.len() < new.len() {
        let plan = ThrowawayPlan::from_config(request.config)?.choose(request.reuse).await?;
        let states = States::of(request, &plan);
        let (mut side, done) = begin(request, &plan, &states, &mut trips).await?;
        let went = trips.forward(request, &mut side, &done).await;
        let all_loaded = testdata::tried_on(request.config, request.sources).iter().all(|file| loaded(request, file));
        // Test data that a branch changed does not go beside that of upstream.
        if !all_loaded && request.base.is_some() {
            side.end().await;
            side = states.replayed(request, &plan, sources.migrations.len()).await?;
        }
        let outcome = match went {
            Ok(went) if trips.faults.is_empty() => trips.backward(request, &mut side, &went, all_loaded).await,
            other => other.map(|_| ()),
        };
        side.end().await;
        outcome?;
    }
    Error::all(trips.faults).map_or(Ok(trips.notes), Err)
}

/// Whether a down part takes its migration back, on the schema that the migrations before it make.
///
/// # Errors
/// It fails, or the schema does not come back as it was.
pub async fn takes_back(request: &Request<'_>, migration: &Migration) -> Result<()> {
    let sources = fill_for_proof(request.config, request.sources)?;
    let request = &Request { sources: &sources, ..*request };
    let at = sources.migrations.iter().position(|one| one.version == migration.version);
    let at = at.ok_or_else(|| Error::failed(format!("{} is not among the migrations", migration.label())))?;
    let plan = ThrowawayPlan::from_config(request.config)?.choose(request.reuse).await?;
    let mut side = States::of(request, &plan).replayed(request, &plan, at).await?;
    let mut trips = Trips::default();
    let outcome = trips.one(request, &mut side, &sources.migrations[at]).await;
    side.end().await;
    outcome?;
    Error::all(trips.faults).map_or(Ok(()), Err)
}

/// A database to begin with, and the versions that it holds: upstream's with its test data, else what came before the first
/// new migration.
async fn begin<'s>(
    request: &Request<'s>,
    plan: &ThrowawayPlan,
    states: &States,
    trips: &mut Trips,
) -> Result<(Side<'s>, BTreeSet<String>)> {
    if let Some(base) = request.base {
        match of_upstream(request, plan, base).await {
            Ok(begun) => return Ok(begun),
            Err(why) => trips.notes.push(format!("round trips begin without the test data of {}: {why}", base.name)),
        }
    }
    let all = &request.sources.migrations;
    let first = all.iter().position(|one| states::is_new(request, one)).unwrap_or(all.len());
    let side = states.replayed(request, plan, first).await?;
    Ok((side, all.iter().take(first).map(|one| one.version.to_string()).collect()))
}

async fn of_upstream<'s>(
    request: &Request<'s>,
    plan: &ThrowawayPlan,
    base: &Base,
) -> Result<(Side<'s>, BTreeSet<String>)> {
    let (text, held) = upgrade::baseline_of(base)?;
    let mut side = plan.start(request.sink).await?;
    load_baseline(&side.worker, "its baseline", &text).await?;
    for file in testdata::tried_on(&base.config, &base.sources) {
        side.worker.run_file(FileKind::TestData, file).await?;
    }
    Ok((side, held))
}

impl Trips {
    /// One by one on what is there. Gives those that ran in order, and whether each came back.
    async fn forward<'r>(
        &mut self,
        request: &Request<'r>,
        side: &mut Side<'_>,
        done: &BTreeSet<String>,
    ) -> Result<Vec<(&'r Migration, bool)>> {
        let mut went = Vec::new();
        for migration in request.sources.migrations.iter().filter(|one| !done.contains(&one.version.to_string())) {
            let sound = match states::is_new(request, migration) && !draft::lacks_down(migration) {
                true => self.one(request, side, migration).await?,
                false => {
                    side.worker.migrate(migration, Reason::New).await?;
                    false
                }
            };
            went.push((migration, sound));
        }
        Ok(went)
    }

    /// From the newest schema, with the branch's own test data.
    async fn backward(
        &mut self,
        request: &Request<'_>,
        side: &mut Side<'_>,
        went: &[(&Migration, bool)],
        all_loaded: bool,
    ) -> Result<()> {
        run_files(request, side, false, &mut Vec::new()).await?;
        if !all_loaded {
            for file in testdata::tried_on(request.config, request.sources) {
                side.worker.run_file(FileKind::TestData, file).await?;
            }
        }
        // Going back ends at the first that does not: what is older cannot be reached past it.
        let chain: Vec<&Migration> = went.iter().rev().take_while(|(_, sound)| *sound).map(|(one, _)| *one).collect();
        for (n, migration) in chain.iter().enumerate() {
            self.back_from_newest(request, side, migration, &chain[..n]).await?;
        }
        Ok(())
    }

    /// Applies one, takes it back, applies it again. False where it did not run.
    async fn one(&mut self, request: &Request<'_>, side: &mut Side<'_>, migration: &Migration) -> Result<bool> {
        let before = read(side).await?;
        let ran = side.worker.migrate(migration, Reason::New).await?;
        if let Ran::Marked(why) | Ran::Skipped(why) = ran {
            self.notes.push(format!("{} did not run, and so was not taken back: {why}", migration.path));
            return Ok(false);
        }
        let first = read(side).await?;
        if let Err(fault) = side.worker.take_back(&back(request, migration)).await {
            self.faults.push(fault);
            return Ok(false);
        }
        let taken = read(side).await?;
        self.judge_back(migration, (&before, &first), &taken);
        self.again(side, migration, &first).await
    }

    /// Applies it once more; what comes out must be what came out first.
    async fn again(&mut self, side: &mut Side<'_>, migration: &Migration, first: &State) -> Result<bool> {
        if let Err(fault) = side.worker.migrate(migration, Reason::New).await {
            self.faults.push(fault.cause("it was applied before, and taken back by its down part"));
            return Ok(false);
        }
        let second = read(side).await?;
        let lines = differences(&second, first, true);
        if !lines.is_empty() {
            self.faults.push(differs(
                migration,
                "does not come back as it was when it is applied, taken back and applied again",
                lines,
            ));
        }
        Ok(true)
    }

    /// On the newest schema, all that is newer taken back first and applied again afterwards.
    async fn back_from_newest(
        &mut self,
        request: &Request<'_>,
        side: &mut Side<'_>,
        migration: &Migration,
        newer: &[&Migration],
    ) -> Result<()> {
        let whole = read(side).await?;
        for one in newer.iter().chain([&migration]) {
            if let Err(fault) = side.worker.take_back(&back(request, one)).await {
                self.faults.push(fault.cause("with the test data loaded on the newest schema"));
                return Err(Error::all(std::mem::take(&mut self.faults)).unwrap_or_else(|| Error::failed("it failed")));
            }
        }
        for one in [migration].iter().chain(newer.iter().rev()) {
            side.worker
                .migrate(one, Reason::New)
                .await
                .map_err(|e| e.cause("after it was taken back with test data"))?;
        }
        for file in &request.sources.repeatable {
            side.worker.run_file(FileKind::Repeatable, file).await?;
        }
        let lines = differences(&read(side).await?, &whole, true);
        if !lines.is_empty() {
            self.faults.push(differs(
                migration,
                "with test data on the newest schema, it does not come back as it was when it is taken back and applied again",
                lines,
            ));
        }
        Ok(())
    }

    /// What the down part left must be what the up part found. What the up part dropped is its author's will.
    fn judge_back(&mut self, migration: &Migration, (before, first): (&State, &State), taken: &State) {
        let (mut lines, mut told) = (Vec::new(), Vec::new());
        for difference in taken.catalog.compare(&before.catalog).iter() {
            match is_position(difference) {
                true => told.push(difference.to_string()),
                false => lines.push(difference.to_string()),
            }
        }
        for (table, column) in taken.contents.differences(&before.contents) {
            let dropped = !first.contents.has(&table, column.as_deref());
            let line = match &column {
                Some(column) => format!("column `{table}.{column}` holds other values"),
                None => format!("table `{table}` holds other rows"),
            };
            if dropped { told.push(line) } else { lines.push(line) }
        }
        if !told.is_empty() {
            let what = told.join("; ");
            self.notes.push(format!(
                "{}: its down part does not bring back all that its up part drops: {what}",
                migration.path
            ));
        }
        if !lines.is_empty() {
            self.faults.push(differs(migration, "is not taken back by its down part", lines));
        }
    }
}

async fn read(side: &Side<'_>) -> Result<State> {
    let catalog = catalog::read(side.session().client(), &side.own_roles()).await?;
    Ok(State { catalog, contents: contents::read(side.session()).await? })
}

/// What differs, line by line.
fn differences(found: &State, expected: &State, rows: bool) -> Vec<String> {
    let mut lines: Vec<String> = found.catalog.compare(&expected.catalog).iter().map(ToString::to_string).collect();
    if rows && lines.is_empty() {
        lines.extend(found.contents.differences(&expected.contents).into_iter().map(|(table, column)| match column {
            Some(column) => format!("column `{table}.{column}` holds other values"),
            None => format!("table `{table}` holds other rows"),
        }));
    }
    lines
}

/// A column that was dropped comes back as the last one.
fn is_position(difference: &CatalogDifference) -> bool {
    matches!(&difference.kind, DifferenceKind::Differs { aspect, .. } if aspect.ends_with("position"))
}

fn differs(migration: &Migration, what: &str, mut lines: Vec<String>) -> Error {
    let more = lines.len().saturating_sub(SHOWN);
    let first = lines.first().cloned().unwrap_or_default();
    lines.truncate(SHOWN);
    if more > 0 {
        lines.push(format!("and {more} more"));
    }
    let place = migration.down.as_ref().map_or_else(|| Location::file(&migration.path), first_statement);
    let error = Error::failed(format!("{} {what}: {first}", migration.label())).at(place);
    let error = if lines.len() > 1 { error.detail(lines.join("\n")) } else { error };
    error.help("let the down part undo what the up part does, in the opposite order.")
}

fn first_statement(down: &Script) -> Location {
    let start = down.split().ok().and_then(|all| all.first().map(|one| one.range.start));
    down.location(start.unwrap_or(0))
}

/// How a migration of the tree is taken back.
fn back(request: &Request<'_>, migration: &Migration) -> TakeBack {
    TakeBack {
        row: Applied {
            version: migration.version.clone(),
            name: migration.name.clone(),
            checksum: migration.checksum,
            complete: true,
            has_text: true,
        },
        down: migration.down.clone().unwrap_or_else(|| Script::of_file(&migration.path, "")),
        reason: Reason::Requested,
        tables: BTreeSet::new(),
        views: reconcile::views(request.sources),
        lossless: false,
    }
}

/// Whether upstream loads the same file.
fn loaded(request: &Request<'_>, file: &ScriptFile) -> bool {
    let Some(base) = request.base else { return false };
    base.sources.testdata.values().flatten().any(|one| one.name == file.name && one.checksum == file.checksum)
}
