//! The sources' side: every migration, repeatable file and init file from nothing, each rule tried on the way.

use super::server::{Side, ThrowawayPlan};
use super::unseen::{self, Unseen};
use super::{Request, judge_rule, probe, rows, testdata};
use crate::engine::cache::Kind;
use crate::engine::runner::{Event, Ran, run_check};
use crate::engine::{catalog, history};
use crate::error::{Error, Location, Result};
use crate::model::baseline::{Dump, RoleNeed};
use crate::model::catalog::Catalog;
use crate::model::config::Severity;
use crate::model::migration::{Idempotent, Migration};
use crate::model::plan::{FileKind, Reason};
use std::collections::BTreeSet;

/// What a database that was made by the sources shows.
pub(super) struct Replayed {
    pub dump: Dump,
    pub roles: Vec<RoleNeed>,
    pub catalog: Catalog,
    pub unseen: Unseen,
    pub major: u32,
    /// Broken rules.
    pub faults: Vec<Error>,
    pub notes: Vec<String>,
}

/// Replays everything and tries every rule.
pub(super) async fn full(request: &Request<'_>, plan: &ThrowawayPlan) -> Result<Replayed> {
    // A non-transactional file cannot be tried a second time without a trace: where it leaves one, the replay begins
    // anew without it.
    let mut untried = BTreeSet::new();
    let (mut faults, mut notes) = (Vec::new(), Vec::new());
    loop {
        let side = plan.start(request.sink).await?;
        let mut tried = Tried { notes: side.notes(), settled: untried.clone(), ..Tried::default() };
        let outcome = replay_and_try(request, side, &untried, &mut tried).await;
        if let Some((path, fault)) = tried.dirty
            && untried.insert(path)
        {
            judge_rule(request.config.migrations.idempotent, fault, &mut faults, &mut notes);
            continue;
        }
        faults.append(&mut tried.faults);
        notes.append(&mut tried.notes);
        return outcome.map(|replayed| Replayed { faults, notes, ..replayed });
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
    /// Files that did not run in one transaction.
    pub alone: BTreeSet<String>,
    /// A file whose second run left a trace, and what it broke.
    dirty: Option<(String, Error)>,
}

async fn replay_and_try(
    request: &Request<'_>,
    mut side: Side<'_>,
    untried: &BTreeSet<String>,
    tried: &mut Tried,
) -> Result<Replayed> {
    let rule = request.config.migrations.idempotent;
    side.worker.execute(history::SCHEMA).await?;
    for migration in &request.sources.migrations {
        let ran = side.worker.migrate(migration, Reason::New).await?;
        if ran != Ran::Transaction {
            tried.alone.insert(migration.path.clone());
        }
        if let Ran::StatementsFound(why) = &ran {
            request.cache.put(Kind::Rehearsal, &migration.checksum, why);
        }
        let opted_out = !matches!(migration.settings.idempotent, Idempotent::Expected);
        if rule == Severity::Off || opted_out || untried.contains(&migration.path) {
            continue;
        }
        let (changed, dirty) = second_run(&side, migration, &ran).await?;
        let Some(changed) = changed else { continue };
        let fault = not_idempotent(migration, &changed);
        if dirty {
            tried.dirty = Some((migration.path.clone(), fault));
            return Err(Error::failed("the replay begins anew"));
        }
        judge_rule(rule, fault, &mut tried.faults, &mut tried.notes);
        tried.settled.insert(migration.path.clone());
    }
    run_files(request, &mut side, tried).await?;
    let roles = read_roles(&side).await?;
    let read = async {
        let catalog = catalog::read(side.session().client(), &side.own_roles()).await?;
        Ok::<_, Error>((catalog, unseen::faults(&side).await?))
    };
    let (dump, read) = tokio::join!(side.dump(), read);
    let (catalog, (unseen, faults)) = read?;
    tried.faults.extend(faults);
    let major = side.major;
    let replayed = Replayed { dump: dump?, roles, catalog, unseen, major, faults: Vec::new(), notes: Vec::new() };
    checks(request, &side, "on a new installation", &mut tried.faults).await?;
    testdata::load_and_try(request, &mut side, tried).await?;
    side.end().await;
    Ok(replayed)
}

/// Repeatable files and init data; init once more, to see that it changes nothing.
async fn run_files(request: &Request<'_>, side: &mut Side<'_>, tried: &mut Tried) -> Result<()> {
    for file in &request.sources.repeatable {
        side.worker.run_file(FileKind::Repeatable, file).await?;
    }
    for file in &request.sources.init {
        side.worker.run_file(FileKind::Init, file).await?;
        if request.config.migrations.idempotent != Severity::Off
            && let Some(changed) = probe::again(&side.worker, &file.script, &side.own_roles()).await?
        {
            tried.faults.push(
                Error::failed(format!("the init file {} {changed}", file.name))
                    .at(Location::file(&file.path))
                    .help("init data runs on every database again: write `INSERT … ON CONFLICT`."),
            );
        }
    }
    side.worker.raise_sequences().await
}

/// Runs a migration once more. Says what it changed, and whether the change is still there.
async fn second_run(side: &Side<'_>, migration: &Migration, ran: &Ran) -> Result<(Option<String>, bool)> {
    if *ran == Ran::Transaction {
        return Ok((probe::again(&side.worker, &migration.up, &side.own_roles()).await?, false));
    }
    let session = side.session();
    let own = side.own_roles();
    let positions = rows::Positions::before(session, &migration.up).await?;
    let (before, rows_before) = (catalog::read(session.client(), &own).await?, rows::all(session).await?);
    if let Err(answer) = side.worker.run_one_by_one(&migration.up).await? {
        return Ok((Some(format!("fails when it is run again: {answer}")), true));
    }
    positions.restore(session).await?;
    let (after, rows_after) = (catalog::read(session.client(), &own).await?, rows::all(session).await?);
    let differences = after.compare(&before);
    if !differences.is_empty() {
        return Ok((Some(format!("changes the schema when it is run again: {}", probe::summary(&differences))), true));
    }
    let changed = rows::changed(&rows_before, &rows_after);
    Ok((changed.map(|tables| format!("changes rows of {tables} when it is run again")), true))
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
pub(super) async fn plain(request: &Request<'_>, plan: &ThrowawayPlan) -> Result<Dump> {
    let mut side = plan.start(&|_| {}).await?;
    side.worker.execute(history::SCHEMA).await?;
    for migration in &request.sources.migrations {
        side.worker.migrate(migration, Reason::New).await?;
    }
    for file in &request.sources.repeatable {
        side.worker.run_file(FileKind::Repeatable, file).await?;
    }
    for file in &request.sources.init {
        side.worker.run_file(FileKind::Init, file).await?;
    }
    side.worker.raise_sequences().await?;
    let dump = side.dump().await;
    side.end().await;
    dump
}

/// The roles that the migrations made, with their memberships: the cluster was empty before.
async fn read_roles(side: &Side<'_>) -> Result<Vec<RoleNeed>> {
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
        history::literal(role)
    );
    let rows = side.session().query_rows(&sql).await?;
    Ok(rows.into_iter().filter_map(|row| row.into_iter().next().flatten()).collect())
}
