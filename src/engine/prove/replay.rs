//! The sources' side: every migration, repeatable file and init file from nothing, each rule tried on the way.

use super::server::{Side, ThrowawayPlan};
use super::states::{self, Known, Start, States};
use super::unseen::{self, Unseen};
use super::{Request, apart, judge_rule, probe, rows, testdata};
use crate::engine::cache::Kind;
use crate::engine::catalog::{self, Shown};
use crate::engine::history;
use crate::engine::runner::{Event, Ran, Sink, run_check};
use crate::engine::server::kept::Kept;
use crate::error::{Error, Location, Result};
use crate::model::baseline::{Dump, RoleNeed};
use crate::model::catalog::Catalog;
use crate::model::config::Severity;
use crate::model::migration::{Idempotent, Migration};
use crate::model::plan::{FileKind, Reason};
use crate::model::script::Script;
use crate::model::sql::literal;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// What a database that was made by the sources shows.
pub(super) struct Replayed {
    pub dump: Dump,
    pub roles: Vec<RoleNeed>,
    pub catalog: Catalog,
    pub unseen: Unseen,
    pub major: u32,
    /// Paths of migrations that their preconditions kept from running.
    pub skipped: BTreeSet<String>,
    /// Broken rules.
    pub faults: Vec<Error>,
    pub notes: Vec<String>,
    /// What this replay started from and left behind.
    pub trail: Trail,
}

/// What is replayed faster than this is replayed each time: keeping a state, and copying it, has its price too.
const WORTH_KEEPING: Duration = Duration::from_millis(400);

/// The kept states that a replay used and made.
#[derive(Default)]
pub(super) struct Trail {
    /// From how many migrations it started, and whether these wrote the same rows in two replays.
    pub start: Option<(usize, bool)>,
    /// What is to be told of the outcome.
    pub kept: Vec<Kept>,
}

/// Replays everything, from the longest prefix that is kept, and tries every rule.
///
/// `tell` hears early what the database shows, so that another side need not be dumped where it shows the same.
pub(super) async fn full(
    request: &Request<'_>,
    plan: &ThrowawayPlan,
    states: &States,
    tell: watch::Sender<Option<Arc<Shown>>>,
) -> Result<Replayed> {
    // A non-transactional file cannot be tried a second time without a trace: where it leaves one, the replay begins
    // anew without it.
    let mut untried = BTreeSet::new();
    let (mut faults, mut notes) = (Vec::new(), Vec::new());
    let none = States::none();
    let mut states = states;
    loop {
        let mut tried =
            Tried { faults: faults.clone(), notes: notes.clone(), settled: untried.clone(), ..Tried::default() };
        let side = begin(request, plan, states, &mut tried).await?;
        let outcome = replay_and_try(request, plan, states, (side, &tell), &untried, &mut tried).await;
        if let Some((path, fault)) = tried.dirty.take()
            && untried.insert(path)
        {
            judge_rule(request.config.migrations.idempotent, fault, &mut faults, &mut notes);
            continue;
        }
        if tried.unkept {
            states = &none;
            continue;
        }
        let Tried { faults, notes, trail, .. } = tried;
        return outcome.map(|replayed| Replayed { faults, notes, trail, ..replayed });
    }
}

/// What came of trying the rules.
#[derive(Default)]
pub(super) struct Tried {
    /// Broken rules.
    pub faults: Vec<Error>,
    /// What a person should know.
    pub notes: Vec<String>,
    /// Files that are known to break the rule: they are not tried again on test data.
    pub settled: BTreeSet<String>,
    /// Files that did not run in one transaction, and why where that was found out.
    pub alone: BTreeMap<String, Option<String>>,
    /// Files that were tried on the test data as it is now.
    pub on_rows: BTreeSet<String>,
    pub trail: Trail,
    /// Files that their preconditions kept from running.
    pub skipped: BTreeSet<String>,
    /// A file whose second run left a trace, and what it broke.
    dirty: Option<(String, Error)>,
    /// The server did not stop when its state was to be kept.
    unkept: bool,
}

impl Tried {
    /// Takes up what was found out when a state was made.
    fn take_up(&mut self, request: &Request<'_>, start: &Start) {
        let known = &start.known;
        let on_rows = known.on_rows == Some(testdata::sum(request));
        for migration in &request.sources.migrations[..start.len] {
            let version = migration.version.to_string();
            if let Some(why) = known.alone.get(&version) {
                self.alone.insert(migration.path.clone(), why.clone());
                if let Some(why) = why {
                    request.cache.put(Kind::Rehearsal, &migration.checksum, why);
                }
            }
            if known.settled.contains(&version) {
                self.settled.insert(migration.path.clone());
            }
            if on_rows && !known.untried.contains(&version) {
                self.on_rows.insert(migration.path.clone());
            }
        }
        self.notes.extend(known.notes.iter().cloned());
        self.trail.start = Some((start.len, known.steady));
    }

    /// What is to be known of a state after so many migrations.
    fn known(&self, request: &Request<'_>, len: usize) -> Known {
        let prefix = &request.sources.migrations[..len];
        let version = |m: &Migration| m.version.to_string();
        let alone = |m: &Migration| Some((version(m), self.alone.get(&m.path)?.clone()));
        Known {
            alone: prefix.iter().filter_map(alone).collect(),
            settled: prefix.iter().filter(|m| self.settled.contains(&m.path)).map(version).collect(),
            untried: prefix.iter().filter(|m| !states::is_new(request, m)).map(version).collect(),
            notes: self.notes.clone(),
            on_rows: None,
            steady: false,
        }
    }
}

/// A server with the longest kept prefix of the migrations, or with none.
async fn begin<'s>(
    request: &Request<'s>,
    plan: &ThrowawayPlan,
    states: &States,
    tried: &mut Tried,
) -> Result<Side<'s>> {
    let mut most = request.sources.migrations.len();
    while let Some(start) = states.longest(request, most) {
        most = start.len.saturating_sub(1);
        let Some((side, start)) = start.begin(request, plan, request.sink).await else { continue };
        tried.take_up(request, &start);
        tried.trail.kept.push(start.into_kept());
        return Ok(side);
    }
    let side = plan.start(request.sink).await?;
    side.worker.execute(history::SCHEMA).await?;
    Ok(side)
}

async fn replay_and_try<'s>(
    request: &Request<'s>,
    plan: &ThrowawayPlan,
    states: &States,
    (mut side, tell): (Side<'s>, &watch::Sender<Option<Arc<Shown>>>),
    untried: &BTreeSet<String>,
    tried: &mut Tried,
) -> Result<Replayed> {
    let start = tried.trail.start.map_or(0, |(len, _)| len);
    let cuts = states.cuts(request, start);
    let mut since = Instant::now();
    for (at, migration) in request.sources.migrations.iter().enumerate().skip(start) {
        run_and_try(request, &mut side, migration, untried, tried).await?;
        // What a state holds is told by its migrations, all of which are applied in it.
        let whole = tried.skipped.is_empty();
        if cuts.contains(&(at + 1)) && tried.faults.is_empty() && whole && since.elapsed() >= WORTH_KEEPING {
            let known = tried.known(request, at + 1);
            let kept = states.keep_prefix(plan, side, at + 1, &known, request.sink).await;
            let (next, kept) = kept.inspect_err(|_| tried.unkept = true)?;
            side = next;
            tried.trail.kept.extend(kept);
            since = Instant::now();
        }
    }
    run_files(request, &mut side, true, &mut tried.faults).await?;
    let roles = read_roles(&side).await?;
    let read = async {
        let catalog = match request.base {
            Some(_) if request.reuse => {
                let shown = Arc::new(catalog::shown(side.session().client(), &side.own_roles()).await?);
                tell.send_replace(Some(Arc::clone(&shown)));
                shown.catalog.clone()
            }
            _ => catalog::read(side.session().client(), &side.own_roles()).await?,
        };
        Ok::<_, Error>((catalog, unseen::faults(&side).await?))
    };
    let (dump, read) = tokio::join!(side.dump(), read);
    let (dump, (catalog, (unseen, faults))) = (dump?, read?);
    tried.faults.extend(faults);
    apart::try_all(request, &side, &catalog, &mut tried.faults, &mut tried.notes).await?;
    let major = side.major;
    let (faults, notes, trail, skipped) = (Vec::new(), Vec::new(), Trail::default(), tried.skipped.clone());
    let replayed = Replayed { dump, roles, catalog, unseen, major, skipped, faults, notes, trail };
    checks(request, &side, "on a new installation", &mut tried.faults).await?;
    testdata::load_and_try(request, &mut side, tried).await?;
    side.end().await;
    Ok(replayed)
}

/// Runs one migration, and a new one twice.
async fn run_and_try(
    request: &Request<'_>,
    side: &mut Side<'_>,
    migration: &Migration,
    untried: &BTreeSet<String>,
    tried: &mut Tried,
) -> Result<()> {
    let rule = request.config.migrations.idempotent;
    let ran = side.worker.migrate(migration, Reason::New).await?;
    match &ran {
        Ran::Skipped(_) => {
            tried.skipped.insert(migration.path.clone());
            return Ok(());
        }
        Ran::Marked(_) => {
            tried.settled.insert(migration.path.clone());
            return Ok(());
        }
        _ => {}
    }
    if ran != Ran::Transaction {
        tried.alone.insert(migration.path.clone(), ran.found());
    }
    if let Ran::StatementsFound(why) = &ran {
        request.cache.put(Kind::Rehearsal, &migration.checksum, why);
    }
    let opted_out = !matches!(migration.settings.idempotent, Idempotent::Expected);
    if rule == Severity::Off || opted_out || untried.contains(&migration.path) || !states::is_new(request, migration) {
        return Ok(());
    }
    let (changed, dirty) = second_run(side, migration, &ran).await?;
    let Some(changed) = changed else { return Ok(()) };
    let fault = not_idempotent(migration, &changed);
    if dirty {
        tried.dirty = Some((migration.path.clone(), fault));
        return Err(Error::failed("the replay begins anew"));
    }
    judge_rule(rule, fault, &mut tried.faults, &mut tried.notes);
    tried.settled.insert(migration.path.clone());
    Ok(())
}

/// Repeatable files and init data; with `again` init once more, to see that it changes nothing.
pub(super) async fn run_files(
    request: &Request<'_>,
    side: &mut Side<'_>,
    again: bool,
    faults: &mut Vec<Error>,
) -> Result<()> {
    for file in &request.sources.repeatable {
        side.worker.run_file(FileKind::Repeatable, file).await?;
    }
    for file in &request.sources.init {
        side.worker.run_file(FileKind::Init, file).await?;
        if again
            && request.config.migrations.idempotent != Severity::Off
            && let Some(changed) = data_again(side, &file.script).await?
        {
            faults.push(
                Error::failed(format!("the init file {} {changed}", file.name))
                    .at(Location::file(&file.path))
                    .help("init data runs on every database again: write `INSERT … ON CONFLICT`."),
            );
        }
    }
    side.worker.raise_sequences().await
}

/// Runs a migration once more. Says what it changed, and whether the change is still there.
pub(super) async fn second_run(side: &Side<'_>, migration: &Migration, ran: &Ran) -> Result<(Option<String>, bool)> {
    // What its preconditions keep from running again changes nothing.
    if matches!(ran, Ran::Marked(_) | Ran::Skipped(_)) || side.worker.ask(migration).await?.is_some() {
        return Ok((None, false));
    }
    if *ran == Ran::Transaction {
        return Ok((probe::again(&side.worker, &migration.up, &side.own_roles()).await?, false));
    }
    Ok((again_outside(side, &migration.up).await?, true))
}

/// Runs a script once more outside of a transaction of ours, and says what it changed; the change stays.
async fn again_outside(side: &Side<'_>, script: &Script) -> Result<Option<String>> {
    let session = side.session();
    let own = side.own_roles();
    let positions = rows::Positions::before(session, script).await?;
    let (before, rows_before) = (catalog::read(session.client(), &own).await?, rows::all(session).await?);
    if let Err(answer) = side.worker.run_one_by_one(script).await? {
        return Ok(Some(probe::fails_again(script, &answer, "")));
    }
    positions.restore(session).await?;
    let (after, rows_after) = (catalog::read(session.client(), &own).await?, rows::all(session).await?);
    let differences = after.compare(&before);
    if !differences.is_empty() {
        return Ok(Some(format!("changes the schema when it is run again: {}", probe::summary(&differences))));
    }
    let changed = rows::changed(&rows_before, &rows_after);
    Ok(changed.map(|tables| format!("changes rows of {tables} when it is run again")))
}

/// Runs a file of data once more, by psql where that runs it.
pub(super) async fn data_again(side: &Side<'_>, script: &Script) -> Result<Option<String>> {
    match script.means.psql {
        Some(_) => again_outside(side, script).await,
        None => probe::again(&side.worker, script, &side.own_roles()).await,
    }
}

pub(super) fn not_idempotent(migration: &Migration, changed: &str) -> Error {
    Error::failed(format!("{}_{} {changed}", migration.version, migration.name)).at(Location::file(&migration.path)).help(
        "make it idempotent (IF NOT EXISTS, OR REPLACE, ON CONFLICT, a WHERE that finds only what is left to do), or say \
         why not: `-- dbbuild:idempotent false REASON`.",
    )
}

/// Runs the integrity checks.
pub(super) async fn checks(request: &Request<'_>, side: &Side<'_>, when: &str, faults: &mut Vec<Error>) -> Result<()> {
    for file in &request.sources.checks {
        match run_check(side.session(), file).await {
            Ok(None) => (request.sink)(Event::Checked(file.path.clone())),
            Ok(Some(failure)) => faults.push(failure.into_error(file).cause(when)),
            Err(e) => faults.push(e.cause(when)),
        }
    }
    Ok(())
}

/// Replays once more without trying anything: what differs from the first replay depends on the clock or on chance.
///
/// Where the first replay began with a state whose rows came out the same twice, this one does too.
pub(super) async fn plain(request: &Request<'_>, plan: &ThrowawayPlan, states: &States, trail: &Trail) -> Result<Dump> {
    let silent: Sink<'_> = &|_| {};
    let steady = trail.start.filter(|(_, steady)| *steady).and_then(|(len, _)| states.longest(request, len));
    let begun = match steady.filter(|start| start.known.steady) {
        Some(start) => start.begin(request, plan, silent).await,
        None => None,
    };
    let (mut side, start) = match begun {
        Some((side, start)) => (side, start.len),
        None => {
            let side = plan.start(silent).await?;
            side.worker.execute(history::SCHEMA).await?;
            (side, 0)
        }
    };
    for migration in request.sources.migrations.iter().skip(start) {
        side.worker.migrate(migration, Reason::New).await?;
    }
    run_files(request, &mut side, false, &mut Vec::new()).await?;
    let dump = side.dump().await;
    side.end().await;
    dump
}

/// The roles that the migrations made, with their memberships: the cluster was empty before, but for declared roles. Of
/// those the ones count that the migrations use.
pub(super) async fn read_roles(side: &Side<'_>) -> Result<Vec<RoleNeed>> {
    let roles = all_roles(side).await?;
    if side.made_first().is_empty() {
        return Ok(roles);
    }
    let mentioned = catalog::mentioned_roles(side.session().client(), &side.own_roles()).await?;
    let groups: BTreeSet<String> = roles.iter().flat_map(|role| &role.member_of).cloned().collect();
    let used = |role: &RoleNeed| {
        let named = mentioned.iter().any(|one| one.name == role.name) || groups.contains(&role.name);
        named || !role.member_of.is_empty() || !side.made_first().contains(&role.name)
    };
    Ok(roles.into_iter().filter(used).collect())
}

async fn all_roles(side: &Side<'_>) -> Result<Vec<RoleNeed>> {
    let sql = "SELECT rolname FROM pg_catalog.pg_roles \
               WHERE rolname !~ '^pg_' AND rolname NOT IN ('postgres', CURRENT_USER) ORDER BY 1";
    let mut roles = Vec::new();
    for row in side.session().query_rows(sql).await? {
        let name = row.first().cloned().flatten().unwrap_or_default();
        roles.push(RoleNeed { member_of: memberships(side, &name).await?, name });
    }
    Ok(roles)
}

async fn memberships(side: &Side<'_>, role: &str) -> Result<Vec<String>> {
    let sql = format!(
        "SELECT g.rolname FROM pg_catalog.pg_auth_members m JOIN pg_catalog.pg_roles g ON g.oid = m.roleid \
         JOIN pg_catalog.pg_roles r ON r.oid = m.member \
         WHERE r.rolname = {} AND g.rolname !~ '^pg_' AND g.rolname NOT IN ('postgres', CURRENT_USER) ORDER BY 1",
        literal(role)
    );
    let rows = side.session().query_rows(&sql).await?;
    Ok(rows.into_iter().filter_map(|row| row.into_iter().next().flatten()).collect())
}
