//! Migrations that stand apart, tried on the newest schema: each still fits it, changes rows only, and changes nothing
//! when it runs again.
//!
//! They run in the order in which a new installation of each environment runs them, in one transaction that is rolled
//! back: what a proof compares never holds a trace of them.

use super::replay::{not_idempotent, run_files};
use super::rows::{self, NEUTRAL, Positions};
use super::server::{Side, ThrowawayPlan};
use super::states::States;
use super::{Request, judge_rule, probe, states, unseen};
use crate::engine::catalog;
use crate::error::{Error, Location, Result};
use crate::model::catalog::Catalog;
use crate::model::config::Severity;
use crate::model::migration::{Idempotent, Migration};
use crate::model::placeholder::fill_for_proof;
use crate::model::plan::FileKind;
use crate::model::review;
use crate::model::sources::Sources;
use std::collections::BTreeSet;

/// Catalogs that hold no schema: what rows are like, and rows that are kept there.
const NO_SCHEMA: [&str; 3] = ["pg_statistic", "pg_largeobject", "pg_largeobject_metadata"];

/// Tries them on a database that was made by the sources; `before` is its catalog.
///
/// # Errors
/// The connection is gone.
pub(super) async fn try_all(
    request: &Request<'_>,
    side: &Side<'_>,
    before: &Catalog,
    faults: &mut Vec<Error>,
    notes: &mut Vec<String>,
) -> Result<()> {
    let mut trial = Trial { request, side, before, told: BTreeSet::new(), faults, notes };
    for list in lists(request) {
        trial.try_list(&list).await?;
    }
    Ok(())
}

/// Lists that are tried on one database.
struct Trial<'a> {
    request: &'a Request<'a>,
    side: &'a Side<'a>,
    /// The catalog of the newest schema.
    before: &'a Catalog,
    /// What was told of a file is not told again.
    told: BTreeSet<String>,
    faults: &'a mut Vec<Error>,
    notes: &'a mut Vec<String>,
}

impl Trial<'_> {
    /// Runs a list in one transaction that is rolled back.
    async fn try_list(&mut self, list: &[&Migration]) -> Result<()> {
        let side = self.side;
        let mut positions = Vec::new();
        side.worker.clean_up().await?;
        let mut asked = Vec::new();
        for migration in list {
            // One whose precondition does not hold on a new installation does not run there.
            match side.worker.ask(migration).await {
                Ok(None) => asked.push(*migration),
                Ok(Some(_)) => {}
                Err(fault) => self.faults.extend(self.told.insert(migration.path.clone()).then_some(fault)),
            }
        }
        side.session().simple("BEGIN").await?;
        for migration in asked {
            positions.push(Positions::before(side.session(), &migration.up).await?);
            let found = self.try_one(migration).await?;
            let fatal = matches!(found, Some(Found::Unfit(_)));
            if let Some(found) = found.filter(|_| self.told.insert(migration.path.clone())) {
                match found {
                    Found::Unfit(fault) => self.faults.push(fault),
                    Found::Repeats(fault) => {
                        judge_rule(self.request.config.migrations.idempotent, fault, self.faults, self.notes)
                    }
                }
            }
            if fatal {
                break;
            }
        }
        side.worker.clean_up().await?;
        for positions in positions.iter().rev() {
            positions.restore(side.session()).await?;
        }
        Ok(())
    }

    /// Runs one inside the open transaction; what follows it there sees its rows.
    async fn try_one(&self, migration: &Migration) -> Result<Option<Found>> {
        let Trial { request, side, before, .. } = *self;
        let worker = &side.worker;
        if let Err(answer) = worker.run_inside_discreetly(migration).await? {
            return Ok(Some(Found::Unfit(unfit(migration, &answer))));
        }
        if let Some(what) = beyond_rows(side, before).await? {
            return Ok(Some(Found::Unfit(
                Error::failed(format!("{} changes more than rows: {what}", migration.label()))
                    .at(Location::file(&migration.path))
                    .cause(migration.settings.apart.describe())
                    .help("every database has the same schema: write what changes it as an ordinary migration."),
            )));
        }
        worker.reset().await?;
        let expected = matches!(migration.settings.idempotent, Idempotent::Expected);
        if request.config.migrations.idempotent == Severity::Off || !expected || !states::is_new(request, migration) {
            return Ok(None);
        }
        let changed = run_again(side, migration).await?;
        Ok(changed.map(|changed| Found::Repeats(not_idempotent(migration, &changed))))
    }
}

/// Replays the sources in a throwaway, and runs what one environment runs beside the baseline on the outcome, with the
/// bodies that stand in the sources. Nothing of it is kept. Gives the number of migrations that were tried.
///
/// # Errors
/// The sources do not replay, or one of them fails, changes more than rows, or changes something when it runs again.
pub async fn try_environment(request: &Request<'_>, environment: &str, notes: &mut Vec<String>) -> Result<usize> {
    let sources = fill_for_proof(request.config, request.sources)?;
    let request = &Request { sources: &sources, ..*request };
    review::sources(request.sources)?;
    // Never in a container that is kept: real bodies run here.
    let plan = ThrowawayPlan::from_sources(request.config, request.sources)?.choose(false).await?;
    let states = States::of(request, &plan);
    let mut side = newest(request, &plan, &states).await?;
    let before = catalog::read(side.session().client(), &side.own_roles()).await?;
    for file in request.sources.env_init.get(environment).into_iter().flatten() {
        side.worker.run_file(FileKind::Init, file).await?;
    }
    let list = of_environment(request.sources, environment);
    let mut faults = Vec::new();
    let told = BTreeSet::new();
    let mut trial = Trial { request, side: &side, before: &before, told, faults: &mut faults, notes };
    trial.try_list(&list).await?;
    side.end().await;
    Error::all(faults).map_or(Ok(list.len()), Err)
}

/// A database with everything that the baseline holds, from the longest prefix that is kept.
async fn newest<'s>(request: &Request<'s>, plan: &ThrowawayPlan, states: &States) -> Result<Side<'s>> {
    let mut side = states.replayed(request, plan, request.sources.migrations.len()).await?;
    run_files(request, &mut side, false, &mut Vec::new()).await?;
    Ok(side)
}

/// What an environment runs of them, each list once.
fn lists<'r>(request: &'r Request<'_>) -> Vec<Vec<&'r Migration>> {
    let mut lists: Vec<Vec<&Migration>> = Vec::new();
    for environment in request.config.env.keys() {
        let list = of_environment(request.sources, environment);
        if !list.is_empty() && !lists.contains(&list) {
            lists.push(list);
        }
    }
    lists
}

fn of_environment<'s>(sources: &'s Sources, environment: &str) -> Vec<&'s Migration> {
    sources.apart.iter().filter(|one| one.settings.apart.runs_in(environment)).collect()
}

enum Found {
    /// It fails, or changes more than rows.
    Unfit(Error),
    /// It changes something when it runs again.
    Repeats(Error),
}

/// It does not run as the last of all.
fn unfit(migration: &Migration, answer: &Error) -> Error {
    let place = answer.location().cloned().unwrap_or_else(|| Location::file(&migration.path));
    let fault = Error::failed(format!("{} does not fit the newest schema", migration.label())).at(place);
    let fault = answer.causes().iter().fold(fault, |fault, cause| fault.cause(cause.clone()));
    fault.help(
        "it runs where a new installation was made from the baseline: let it pass over what is gone (`IF EXISTS` in a DO \
         block, a WHERE that finds nothing), or undo the change that broke it.",
    )
}

/// What the transaction changed beside rows, if anything.
async fn beyond_rows(side: &Side<'_>, before: &Catalog) -> Result<Option<String>> {
    let session = side.session();
    session.simple(NEUTRAL).await?;
    let written = rows::written(session).await?;
    let is_beside = |name: &str| !NO_SCHEMA.contains(&name) && written.iter().any(|w| w.catalog && w.name == name);
    if let Some((_, called, _)) = probe::BESIDE.iter().find(|(name, ..)| is_beside(name)) {
        return Ok(Some((*called).to_owned()));
    }
    if !written.iter().any(|w| w.catalog && !NO_SCHEMA.contains(&w.name.as_str())) {
        return Ok(None);
    }
    let after = catalog::read_within(session.client(), &side.own_roles()).await?;
    let differences = after.compare(before);
    if !differences.is_empty() {
        return Ok(Some(probe::summary(&differences)));
    }
    let (_, unseen) = unseen::faults(side).await?;
    Ok(unseen.first().map(|fault| fault.message().to_owned()))
}

/// Runs it once more, and takes that run back.
async fn run_again(side: &Side<'_>, migration: &Migration) -> Result<Option<String>> {
    let (worker, session) = (&side.worker, side.session());
    session.simple("SAVEPOINT dbbuild_second_run").await?;
    let changed = match worker.run_inside_discreetly(migration).await? {
        Err(answer) => Some(format!("fails when it is run again: {}", answer.causes().join(": "))),
        Ok(()) => {
            session.simple(NEUTRAL).await?;
            let tables: Vec<String> =
                rows::written(session).await?.into_iter().filter(|w| !w.catalog).map(|w| w.name).collect();
            let after = rows::digests(session, &tables).await?;
            session.simple("ROLLBACK TO SAVEPOINT dbbuild_second_run").await?;
            session.simple(NEUTRAL).await?;
            let before = rows::digests(session, &tables).await?;
            rows::changed(&before, &after).map(|tables| format!("changes rows of {tables} when it is run again"))
        }
    };
    session.simple("ROLLBACK TO SAVEPOINT dbbuild_second_run").await?;
    worker.reset().await?;
    Ok(changed)
}
