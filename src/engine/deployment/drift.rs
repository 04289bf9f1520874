//! A live database beside the baseline of the commit that it claims, object by object. Rows are not compared.
//!
//! Only reads: one snapshot, no lock beyond ACCESS SHARE, no statement without an end.

use super::expected::Expected;
use super::wanted::{Wanted, short};
use crate::engine::cache::Cache;
use crate::engine::catalog;
use crate::engine::git::Git;
use crate::engine::history;
use crate::engine::project::Project;
use crate::engine::prove::{self, Goal, Request};
use crate::engine::roles;
use crate::engine::runner::{Event, Sink};
use crate::engine::session::Session;
use crate::engine::target::{Target, check_version};
use crate::error::{Error, Result};
use crate::model::catalog::{Catalog, CatalogDifference, drift as differences};
use crate::model::checksum::Checksum;
use crate::model::config::Severity;
use crate::model::plan::History;
use crate::model::sources::Sources;
use crate::model::version::Version;
use std::collections::BTreeSet;
use std::sync::Arc;

/// No look at the catalogs takes longer than this.
const STATEMENT_TIMEOUT: &str = "2min";

/// The newest commit of the version table.
pub(super) const CLAIM: &str = "SELECT git_commit FROM (SELECT git_commit, applied_at FROM dbbuild.migration UNION ALL \
    SELECT git_commit, applied_at FROM dbbuild.file) w WHERE git_commit IS NOT NULL ORDER BY applied_at DESC LIMIT 1";

/// What to compare with.
#[derive(Debug, Clone, Default)]
pub struct DriftRequest {
    /// The commit instead of the one that the database claims.
    pub rev: Option<String>,
}

/// How a database stands to its baseline.
#[derive(Debug)]
pub struct Drifted {
    /// The database, as messages name it.
    pub database: String,
    /// The environment that was selected.
    pub environment: String,
    /// The commit whose baseline it was compared with; `None` for the files beside.
    pub commit: Option<String>,
    /// Where that baseline lies.
    pub baseline: String,
    /// What differs.
    pub differences: Vec<CatalogDifference>,
    /// What the database has.
    pub found: Catalog,
    /// What it should have.
    pub expected: Catalog,
    /// What a person should know.
    pub notes: Vec<String>,
}

/// What a database says of itself, and its objects: read under one snapshot.
struct Live {
    claim: Option<String>,
    history: History,
    own: Vec<String>,
}

/// Compares a database with the baseline of the commit that it claims; `expected` is of the whole run.
///
/// # Errors
/// It cannot be reached, the commit is not here, or what it says cannot be made in a throwaway.
pub async fn drift(
    project: &Project,
    target: &Target,
    request: &DriftRequest,
    expected: &Expected,
    sink: Sink<'_>,
) -> Result<Drifted> {
    let session = target.connect().await?;
    let live = read_history(&session, project.config.postgres.role.as_deref()).await;
    let live = target.explained(&session, live).await?;
    let mut notes = Vec::new();
    let wanted = wanted(project, target, request, expected, &live, &mut notes)?;
    check_version(&session, &wanted.config, &target.describe())?;
    let path = wanted.config.paths.baseline.clone();
    let maker = Maker { project, expected, wanted: &wanted, live: &live, sink };
    let mut accepted = maker.accepted(session.server_version(), &mut notes).await?;
    let judged = judged_settings(project, &wanted, target.settings.database())?;
    let forget = |catalog: &mut Catalog| {
        catalog.forget_tables(&wanted.config.baseline.exclude);
        catalog.forget_settings_of(&judged, &live.own);
    };
    accepted.iter_mut().for_each(forget);
    let mut found = read_catalog(project, &session, &live, &accepted).await?;
    forget(&mut found);
    let mut told = compare(&found, &accepted);
    if !told.is_empty()
        && let Some(mut replayed) = maker.replayed().await
    {
        // An upgraded database writes some expressions otherwise than one that was loaded.
        replayed.iter_mut().for_each(forget);
        accepted.extend(replayed);
        told = compare(&found, &accepted);
    }
    if !told.is_empty() && wanted.is_stale() {
        notes.push(format!("{path} there was not made from the files beside it: what only they make is unexpected"));
    }
    let first = accepted.into_iter().next().unwrap_or_default();
    Ok(Drifted {
        database: target.describe(),
        environment: target.selected.name.clone(),
        commit: wanted.commit.clone(),
        baseline: path,
        differences: told,
        found,
        expected: first,
        notes,
    })
}

/// Roles whose settings here a roles file declares: the commit's, or that of the files here, which may have been applied
/// without a migration.
fn judged_settings(project: &Project, wanted: &Wanted, database: &str) -> Result<BTreeSet<String>> {
    let mut judged = roles::with_settings_in(&wanted.config, wanted.sources.roles.as_deref(), database)?;
    judged.extend(roles::with_settings_in(&project.config, roles::text(project)?.as_deref(), database)?);
    Ok(judged)
}

fn compare(found: &Catalog, accepted: &[Catalog]) -> Vec<CatalogDifference> {
    let accepted: Vec<&Catalog> = accepted.iter().collect();
    differences(found, &accepted).into_iter().filter(|one| !one.is_inherited_column_order()).collect()
}

async fn read_history(session: &Session, role: Option<&str>) -> Result<Live> {
    let installed =
        session.query_rows("SELECT 1 WHERE pg_catalog.to_regclass('dbbuild.migration') IS NOT NULL").await?;
    let first = |rows: Vec<Vec<Option<String>>>| rows.into_iter().flatten().next().flatten();
    let (claim, history) = match installed.is_empty() {
        true => (None, History::default()),
        false => (first(session.query_rows(CLAIM).await?), history::read(session).await?),
    };
    // Who runs migrations owns the version table; who only looks owns nothing.
    let sql = "SELECT COALESCE((SELECT pg_catalog.pg_get_userbyid(nspowner) FROM pg_catalog.pg_namespace \
               WHERE nspname = 'dbbuild'), CURRENT_USER) UNION SELECT pg_catalog.pg_get_userbyid(datdba) \
               FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()";
    let mut own: Vec<String> = session.query_rows(sql).await?.into_iter().flatten().flatten().collect();
    own.extend(role.map(str::to_owned));
    Ok(Live { claim, history, own })
}

/// Reads the objects under one snapshot, waiting for locks no longer than a migration would.
async fn read_catalog(project: &Project, session: &Session, live: &Live, accepted: &[Catalog]) -> Result<Catalog> {
    // An adopted baseline may name the database's owner.
    let own: Vec<String> =
        live.own.iter().filter(|role| !accepted.iter().any(|one| one.has_owner(role))).cloned().collect();
    session
        .simple(&format!(
            "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL lock_timeout = {}; \
             SET LOCAL statement_timeout = '{STATEMENT_TIMEOUT}'",
            project.config.lock.timeout.as_millis()
        ))
        .await?;
    let found = catalog::read_exactly(session.client(), &own).await;
    let now = if live.history.installed { history::read(session).await } else { Ok(History::default()) };
    session.simple("ROLLBACK").await?;
    if now? != live.history {
        return Err(
            Error::failed("another dbbuild changed the database while it was compared").help("run the command again.")
        );
    }
    found
}

/// Finds the commit, and reads what stands there.
fn wanted(
    project: &Project,
    target: &Target,
    request: &DriftRequest,
    expected: &Expected,
    live: &Live,
    notes: &mut Vec<String>,
) -> Result<Arc<Wanted>> {
    let claim = live.claim.as_deref().map(|text| text.trim_end_matches('+'));
    if request.rev.is_none() && live.claim.as_deref().is_some_and(|text| text.ends_with('+')) {
        notes.push(format!(
            "the files differed from {} when they ran; what stood in them only is told as a difference",
            short(claim.unwrap_or_default())
        ));
    }
    let name = request.rev.as_deref().or(claim);
    let commit = match (&project.git, name) {
        (Some(git), Some(name)) => {
            Some(git.commit(name)?.ok_or_else(|| unknown_commit(project, target, request, name))?)
        }
        (None, _) if request.rev.is_some() => {
            project.git()?;
            None
        }
        (git, name) => {
            if name.is_none() && git.is_some() {
                notes.push(format!(
                    "{} claims no commit; it is compared with the files that lie here (`--rev` says another)",
                    target.describe()
                ));
            }
            None
        }
    };
    expected.wanted(commit, |commit| Wanted::read(project, commit))
}

fn unknown_commit(project: &Project, target: &Target, request: &DriftRequest, name: &str) -> Error {
    match request.rev {
        Some(_) => Error::usage(format!("there is no commit {name}")),
        None => Error::failed(format!("{} claims commit {name}, which is not in this repository", target.describe()))
            .help(match project.git.as_ref().is_some_and(Git::is_shallow) {
                true => "this clone is shallow: `git fetch --unshallow`, or name another with `--rev`.",
                false => "fetch it (`git fetch --all --tags`), or name another with `--rev`.",
            }),
    }
}

/// Makes what a database may be, in throwaways.
struct Maker<'a> {
    project: &'a Project,
    expected: &'a Expected,
    wanted: &'a Wanted,
    live: &'a Live,
    sink: Sink<'a>,
}

impl Maker<'_> {
    /// What the database may be, the baseline's form first; `major` is its server's version.
    async fn accepted(&self, major: u32, notes: &mut Vec<String>) -> Result<Vec<Catalog>> {
        let (pending, unknown) = beside(self.wanted, self.live);
        if !unknown.is_empty() {
            notes.push(format!("applied here, and not in that baseline: {}", unknown.join(", ")));
        }
        if !pending.is_empty() && self.live.history.installed {
            notes.push(format!("of that commit still pending here: {}", pending.join(", ")));
            return self.partial().await;
        }
        self.loaded(major).await
    }

    /// What a database shows that was made from the baseline; kept for the next time.
    async fn loaded(&self, major: u32) -> Result<Vec<Catalog>> {
        let Wanted { config, text, .. } = self.wanted;
        let made_of = prove::config_part(config);
        let key = Checksum::of_text(&format!("loaded 2 {major} {made_of} {}", Checksum::of_text(text)));
        let make = async {
            (self.sink)(Event::Begin(config.paths.baseline.clone()));
            let (catalog, found) = prove::made_by_baseline(config, Arc::clone(text), self.sink).await?;
            if found != major {
                return Err(Error::failed(format!(
                    "the database runs PostgreSQL {major}, the throwaway server {found}"
                ))
                .help("set `postgres.version` in dbbuild.toml, and install that version."));
            }
            Ok(vec![catalog])
        };
        self.expected.catalogs(&self.project.cache, key, make).await
    }

    /// What the migrations that are applied make, where some of the commit are still pending.
    async fn partial(&self) -> Result<Vec<Catalog>> {
        let applied = &self.live.history.applied;
        let mut sources = self.wanted.sources.clone();
        sources.migrations.retain(|one| applied.iter().any(|row| row.complete && row.version == one.version));
        sources.baseline = None;
        self.proof(&sources, Goal::Generate).await.map_err(|e| {
            e.help(
                "the state between two commits cannot be made by itself: finish `dbbuild apply`, or name with `--rev` \
                 the commit that the database was at.",
            )
        })
    }

    /// The forms of a database that ran the migrations; `None` where they do not run.
    async fn replayed(&self) -> Option<Vec<Catalog>> {
        let inputs = prove::inputs(&self.wanted.config, &self.wanted.sources);
        match prove::remembered(&self.project.cache, &inputs) {
            // What was proved of these files was another baseline than one that is stale.
            Some(known) if !self.wanted.is_stale() => Some(known),
            _ if !self.live.history.installed => None,
            _ => self.proof(&self.wanted.sources, Goal::Compare).await.ok(),
        }
    }

    /// The catalogs that a proof finds right. What it says of the migrations' manners is no matter here, so it counts as
    /// no proof for others.
    async fn proof(&self, sources: &Sources, goal: Goal) -> Result<Vec<Catalog>> {
        let config = &self.wanted.config;
        let text = sources.baseline.as_ref().map(|text| Checksum::of_text(&String::from_utf8_lossy(text)));
        let text = text.map_or_else(String::new, |text| text.to_string());
        let key = Checksum::of_text(&format!("replayed 2 {} {text}", prove::inputs(config, sources)));
        let make = async {
            let mut lenient = config.clone();
            lenient.migrations.idempotent = Severity::Warn;
            lenient.migrations.volatile = Severity::Warn;
            let request = Request {
                config: &lenient,
                sources,
                base: None,
                goal,
                cache: &Cache::below(None),
                reuse: true,
                sink: self.sink,
            };
            // On the heap: many databases are compared at once, each with the place for a proof in its own future.
            Box::pin(prove::prove(&request)).await.map(|proof| proof.catalogs)
        };
        self.expected.catalogs(&self.project.cache, key, make).await
    }
}

/// Versions that the baseline holds and the database lacks, and the other way round; those that stand apart change rows only.
fn beside(wanted: &Wanted, live: &Live) -> (Vec<String>, Vec<String>) {
    let applied: BTreeSet<Version> =
        live.history.applied.iter().filter(|row| row.complete).map(|row| row.version.clone()).collect();
    let apart = |version: &&Version| wanted.sources.apart.iter().all(|one| one.version != **version);
    let names = |set: &BTreeSet<Version>, other: &BTreeSet<Version>| {
        set.difference(other).filter(apart).map(ToString::to_string).collect::<Vec<_>>()
    };
    (names(&wanted.held, &applied), names(&applied, &wanted.held))
}
