//! What deployed databases go through: upstream's baseline, the new migrations, repeatable files and init data.
//!
//! The outcome without test data is compared whole, rows included. Where upstream has test data, the same runs once more
//! with it loaded: there each new migration runs twice, and the schema must come out the same; rows are not compared,
//! since those of the test data are in no baseline.

use super::compare::{Beside, otherwise, settle};
use super::replay::{Replayed, not_idempotent, read_roles, run_files, second_run};
use super::server::{Side, ThrowawayPlan};
use super::states::States;
use super::unseen::{self, Unseen};
use super::{Goal, Made, Request, Settled, inputs, judge_rule, testdata};
use crate::engine::catalog::{self, Shown};
use crate::engine::history;
use crate::engine::runner::{Ran, load_baseline};
use crate::error::{Error, Result};
use crate::model::baseline::{Baseline, Dump, RoleNeed, keep_committed, volatility};
use crate::model::catalog::Catalog;
use crate::model::config::Severity;
use crate::model::migration::{Idempotent, Migration};
use crate::model::plan::{FileKind, Reason};
use crate::model::published::Base;
use crate::model::sources::ScriptFile;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// What is loaded faster than this is loaded each time.
const WORTH_KEEPING: Duration = Duration::from_millis(150);

/// How the upgrades ended.
#[derive(Default)]
pub(super) struct Upgraded {
    outcome: Option<Outcome>,
    /// Upstream, for messages.
    name: String,
    faults: Vec<Error>,
    notes: Vec<String>,
}

/// What an upgraded database without test data shows.
struct Outcome {
    /// `None` where it shows what the replayed one does.
    dump: Option<Dump>,
    roles: Vec<RoleNeed>,
    catalog: Catalog,
    unseen: Unseen,
}

/// Upstream's side as all upgrades share it.
struct Upgrade<'a> {
    request: &'a Request<'a>,
    plan: &'a ThrowawayPlan,
    states: &'a States,
    base: &'a Base,
    text: Arc<str>,
    /// The migrations that upstream's baseline does not hold.
    pending: Vec<&'a Migration>,
    /// What the replayed database shows, once it is known.
    replayed: watch::Receiver<Option<Arc<Shown>>>,
}

/// Upgrades a database of upstream, where there is an upstream that differs.
///
/// # Errors
/// A server does not start or stop.
pub(super) async fn full(
    request: &Request<'_>,
    plan: &ThrowawayPlan,
    states: &States,
    replayed: watch::Receiver<Option<Arc<Shown>>>,
) -> Result<Upgraded> {
    let Some(base) = request.base else { return Ok(Upgraded::default()) };
    let upgrade = match Upgrade::of(request, plan, states, base) {
        Ok(upgrade) => Upgrade { replayed, ..upgrade },
        Err(why) => return Ok(Upgraded::told(base, &why)),
    };
    if is_same(request, base) && (request.goal == Goal::Generate || base.sources.baseline == request.sources.baseline) {
        return Ok(Upgraded::default());
    }
    let files = upgrade.test_data();
    let (plain, with_data) = tokio::join!(upgrade.run(&[], files.is_empty()), async {
        if files.is_empty() { None } else { Some(upgrade.run(&files, true).await) }
    });
    let mut plain = plain?;
    let Some(with_data) = with_data else { return Ok(plain) };
    let mut with_data = with_data?;
    add_faults(&mut plain.faults, std::mem::take(&mut with_data.faults));
    plain.notes.append(&mut with_data.notes);
    if let (Some(one), Some(other)) = (&plain.outcome, &with_data.outcome) {
        let differences = other.catalog.compare(&one.catalog);
        if !differences.is_empty() {
            let what = super::probe::summary(&differences);
            plain.faults.push(
                Error::difference(format!(
                    "with the test data of {} the new migrations make another schema: {what}",
                    base.name
                ))
                .help("a migration must not make its schema depend on rows that are there."),
            );
        }
    }
    Ok(plain)
}

/// Whether upstream's baseline is to be made from the same inputs.
pub(super) fn is_same(request: &Request<'_>, base: &Base) -> bool {
    inputs(request.config, request.sources) == inputs(&base.config, &base.sources)
}

/// Adds what is not told already of the same place.
pub(super) fn add_faults(faults: &mut Vec<Error>, further: Vec<Error>) {
    for fault in further {
        let path = |error: &Error| error.location().map(|place| place.path.clone());
        let told = |known: &Error| match (path(known), path(&fault)) {
            (Some(one), Some(other)) => one == other,
            _ => known.message() == fault.message(),
        };
        if !faults.iter().any(told) {
            faults.push(fault);
        }
    }
}

/// Upstream's baseline, and the versions that it holds.
///
/// # Errors
/// Why it is of no use.
pub(super) fn baseline_of(base: &Base) -> Result<(Arc<str>, BTreeSet<String>)> {
    let bytes = base.sources.baseline.as_ref().ok_or_else(|| Error::failed("it has no sound baseline"))?;
    let text = std::str::from_utf8(bytes).map_err(|_| Error::failed("its baseline is not UTF-8"))?;
    let held = history::held_by_baseline(&Baseline::parse(text, "its baseline")?)?;
    Ok((Arc::from(text), held.applied.iter().map(|row| row.version.to_string()).collect()))
}

impl<'a> Upgrade<'a> {
    /// # Errors
    /// Why upstream's baseline is of no use.
    fn of(
        request: &'a Request<'a>,
        plan: &'a ThrowawayPlan,
        states: &'a States,
        base: &'a Base,
    ) -> Result<Upgrade<'a>> {
        let (text, held) = baseline_of(base)?;
        let pending = request.sources.migrations.iter().filter(|m| !held.contains(&m.version.to_string())).collect();
        let (_, replayed) = watch::channel(None);
        Ok(Upgrade { request, plan, states, base, text, pending, replayed })
    }

    /// The test data that upstream's default environment loads.
    fn test_data(&self) -> Vec<&'a ScriptFile> {
        testdata::tried_on(&self.base.config, &self.base.sources)
    }

    /// Upgrades with these files of test data loaded; tries whether each new migration changes anything when it runs again.
    async fn run(&self, files: &[&ScriptFile], twice: bool) -> Result<Upgraded> {
        // As in a replay: what cannot be tried without a trace is tried once, and the next round begins anew without it.
        let mut untried = BTreeSet::new();
        let mut upgraded = Upgraded { name: self.base.name.clone(), ..Upgraded::default() };
        let mut files = files;
        loop {
            let mut side = match self.begin(files).await? {
                Ok(side) => side,
                Err(why) if files.is_empty() => return Ok(Upgraded::told(self.base, &why)),
                Err(why) => {
                    let note = format!("the test data of {} does not load on its baseline: {why}", self.base.name);
                    upgraded.notes.push(note);
                    files = &[];
                    continue;
                }
            };
            let rule = self.request.config.migrations.idempotent;
            let twice = twice && rule != Severity::Off;
            match self.migrate(&mut side, twice, &untried, &mut upgraded).await {
                Ok(None) => {}
                Ok(Some((path, fault))) => {
                    judge_rule(rule, fault, &mut upgraded.faults, &mut upgraded.notes);
                    untried.insert(path);
                    side.end().await;
                    continue;
                }
                Err(fault) => {
                    upgraded.faults.push(self.explain(fault, files));
                    side.end().await;
                    return Ok(upgraded);
                }
            }
            let mut faults = Vec::new();
            if let Err(fault) = run_files(self.request, &mut side, twice, &mut faults).await {
                faults.push(fault);
            }
            upgraded.faults.extend(faults.into_iter().map(|fault| self.explain(fault, files)));
            upgraded.outcome = Some(self.read(&side, files.is_empty(), &mut upgraded.faults).await?);
            side.end().await;
            return Ok(upgraded);
        }
    }

    /// A server with upstream's baseline and these files, kept or made; or why it cannot be made.
    async fn begin(&self, files: &[&ScriptFile]) -> Result<Result<Side<'a>>> {
        let (plan, states, sink) = (self.plan, self.states, self.request.sink);
        let baseline_key = states.key_of("dbbuild upstream 1", &[self.text.as_bytes()]);
        let mut parts: Vec<&[u8]> = vec![self.text.as_bytes()];
        parts.extend(files.iter().flat_map(|file| [file.name.as_bytes(), file.checksum.as_bytes().as_slice()]));
        let key = states.key_of("dbbuild upstream 1", &parts);
        if let Some(side) = states.start(plan, key.as_ref(), sink).await {
            return Ok(Ok(side));
        }
        let since = Instant::now();
        let kept = if files.is_empty() { None } else { states.start(plan, baseline_key.as_ref(), sink).await };
        let mut side = match kept {
            Some(side) => side,
            None => {
                let side = plan.start(sink).await?;
                if let Err(why) = load_baseline(&side.worker, "its baseline", &self.text).await {
                    return Ok(Err(why));
                }
                side
            }
        };
        for file in files {
            if let Err(why) = side.worker.run_file(FileKind::TestData, file).await {
                return Ok(Err(why));
            }
        }
        match key {
            Some(key) if since.elapsed() >= WORTH_KEEPING => {
                states.keep(plan, side, &key, "", sink).await.map(|(side, _)| Ok(side))
            }
            _ => Ok(Ok(side)),
        }
    }

    /// Runs the new migrations. One whose second run left a trace ends it: its path, and what it broke.
    async fn migrate(
        &self,
        side: &mut Side<'_>,
        twice: bool,
        untried: &BTreeSet<String>,
        upgraded: &mut Upgraded,
    ) -> Result<Option<(String, Error)>> {
        let rule = self.request.config.migrations.idempotent;
        for migration in &self.pending {
            let ran = side.worker.migrate(migration, Reason::New).await?;
            if let Ran::Marked(why) | Ran::Skipped(why) = &ran {
                let how = if matches!(ran, Ran::Marked(_)) { "marked" } else { "skipped" };
                let note = format!("{} is {how} on a database of {}: {why}", migration.path, self.base.name);
                if !upgraded.notes.contains(&note) {
                    upgraded.notes.push(note);
                }
                continue;
            }
            let expected = matches!(migration.settings.idempotent, Idempotent::Expected);
            if !twice || !expected || untried.contains(&migration.path) {
                continue;
            }
            let (changed, dirty) = second_run(side, migration, &ran).await?;
            let Some(changed) = changed else { continue };
            let changed = format!("{changed}, on a database of {}", self.base.name);
            let fault = not_idempotent(migration, &changed);
            if dirty {
                return Ok(Some((migration.path.clone(), fault)));
            }
            judge_rule(rule, fault, &mut upgraded.faults, &mut upgraded.notes);
        }
        Ok(None)
    }

    /// What the database shows. With test data its rows do not count, nor does the dump that would hold them; nor is
    /// anything dumped that shows what the replayed database does.
    async fn read(&self, side: &Side<'_>, whole: bool, faults: &mut Vec<Error>) -> Result<Outcome> {
        let (client, own) = (side.session().client(), side.own_roles());
        let shown = match whole && self.request.reuse {
            true => catalog::shown(client, &own).await.ok(),
            false => None,
        };
        let roles = read_roles(side).await?;
        let (unseen, found) = unseen::faults(side).await?;
        faults.extend(found);
        let mut replayed = self.replayed.clone();
        let same = match &shown {
            // The channel closes where the replay fails.
            Some(shown) => match replayed.wait_for(Option::is_some).await {
                Ok(other) => other.as_ref().is_some_and(|other| shown.same_dump(other)),
                Err(_) => false,
            },
            None => false,
        };
        let dump = if same || !whole { None } else { Some(side.dump().await?) };
        let catalog = match shown {
            Some(shown) => shown.catalog,
            None => catalog::read(client, &own).await?,
        };
        Ok(Outcome { dump, roles, catalog, unseen })
    }

    /// Says on which database something failed.
    fn explain(&self, fault: Error, files: &[&ScriptFile]) -> Error {
        let data = if files.is_empty() { "" } else { " with its test data" };
        fault.cause(format!("on a database made from the baseline of {}{data}, as deployed ones are", self.base.name))
    }
}

impl Upgraded {
    /// Upstream's baseline is of no use, which is said and no error: the branch may be what mends it.
    fn told(base: &Base, why: &Error) -> Upgraded {
        let note = format!("only the replay from nothing is proved, not the way from {}: {why}", base.name);
        Upgraded { notes: vec![note], ..Upgraded::default() }
    }

    /// Takes the notes out.
    pub fn into_parts(mut self) -> (Upgraded, Vec<String>) {
        let notes = std::mem::take(&mut self.notes);
        (self, notes)
    }

    /// Takes the broken rules out.
    pub fn take_faults(&mut self) -> Vec<Error> {
        std::mem::take(&mut self.faults)
    }

    /// The catalog of an upgraded database.
    pub fn catalog(&self) -> Option<&Catalog> {
        self.outcome.as_ref().map(|outcome| &outcome.catalog)
    }

    /// Compares the upgraded database with the one that the branch's baseline makes.
    ///
    /// # Errors
    /// What differs, object by object.
    pub async fn compare(&self, made: &Made<'_>, replayed: &Replayed, settled: &Settled) -> Result<()> {
        let Some(outcome) = &self.outcome else { return Ok(()) };
        // A deployed database is where it is: data that runs again there moves sequences.
        let dump = outcome.dump.as_ref().unwrap_or(&replayed.dump).clone().with_positions_of(&replayed.dump);
        let same_roles = outcome.roles == replayed.roles;
        if same_roles && dump == replayed.dump {
            return Ok(());
        }
        let wanted = Baseline::parse(&settled.text, made.request.baseline_path())?;
        if same_roles && dump == wanted.dump {
            return Ok(());
        }
        // New rows with volatile values were written at another moment than the committed ones.
        let found = volatility(&dump, &replayed.dump);
        let listed = found.columns.iter().all(|column| wanted.volatile.contains(column));
        let dump = match !wanted.volatile.is_empty() && listed && found.unstable_tables.is_empty() {
            true => keep_committed(&wanted.dump, &dump, &replayed.dump),
            false => dump,
        };
        let text = made.render(&dump, &outcome.roles, &wanted.volatile);
        if text == settled.text {
            return Ok(());
        }
        let beside = Beside { roles: &outcome.roles, unseen: &outcome.unseen, catalog: &outcome.catalog };
        let upgraded = settle(made, beside, text).await?;
        match upgraded.text == settled.text {
            true => Ok(()),
            false => Err(otherwise(made, &self.name, &settled.text, &upgraded.text)),
        }
    }
}
