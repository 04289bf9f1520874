//! A local database for each branch, where `local.per_branch` asks for it: found by name, copied from the branch one came
//! from, removed when its branch is gone.
//!
//! The main branch works with the configured database itself. While HEAD is detached there is one database for that, so
//! that a look at an old commit changes nobody's. A database of a branch says in its comment which branch of which
//! repository it belongs to, so that only such a one is ever removed.

use super::Refs;
use crate::engine::history;
use crate::engine::lock::Lock;
use crate::engine::project::Project;
use crate::engine::session::{self, ConnectOptions, Session};
use crate::engine::target::Target;
use crate::error::{Error, Result};
use crate::model::branch::{self, DETACHED};
use crate::model::guard::{self, Action, Mark, Standing};
use crate::model::reconcile;
use crate::model::sources::Sources;
use crate::model::sql::{identifier, literal};
use serde::{Deserialize, Serialize};

/// The database of a branch, in its comment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Label {
    branch: String,
    /// The configured database.
    database: String,
    /// git's folder of the repository.
    repository: String,
}

/// The database of a branch that dbbuild made.
#[derive(Debug, Clone)]
pub struct Owned {
    /// How it is reached.
    pub target: Target,
    /// Its branch, or [`DETACHED`].
    pub branch: String,
    /// The branch is gone.
    pub orphaned: bool,
}

/// The branch whose database is to be worked on; none where it is the configured one.
pub fn current(project: &Project) -> Option<String> {
    project.git.as_ref().filter(|_| project.config.local.per_branch)?;
    let refs = Refs::of(project);
    let branch = refs.current().unwrap_or_else(|| DETACHED.to_owned());
    (branch != refs.main()).then_some(branch)
}

/// The database to copy for a branch without one: that of the branch one came from or the configured one, whichever has less
/// that the tree has not. None where neither is an unprotected one of this environment.
///
/// # Errors
/// The server said no.
pub async fn origin(project: &Project, sources: &Sources, target: &Target) -> Result<Option<Target>> {
    let refs = Refs::of(project);
    let main = refs.main();
    let mut candidates: Vec<Target> = Vec::new();
    if let Some(previous) = refs.previous().filter(|previous| *previous != main) {
        candidates.push(target.of_branch(Some(previous)));
    }
    candidates.push(target.of_branch(None));
    let mut best: Option<(usize, Target)> = None;
    for candidate in candidates.into_iter().filter(|one| one.settings.database() != target.settings.database()) {
        let Ok(session) = candidate.connect().await else { continue };
        let found = candidate.read(&session).await?;
        session.close().await;
        let strange =
            reconcile::phantoms(sources, &found.history).len() + reconcile::edited(sources, &found.history).len();
        let better = best.as_ref().is_none_or(|(least, _)| strange < *least);
        if better && guard::judge_copy(&found.facts, &candidate.selected).is_ok() {
            best = Some((strange, candidate));
        }
    }
    Ok(best.map(|(_, candidate)| candidate))
}

/// Opens the database of a command that writes. One of a branch that is not there yet is copied from where one came from, or
/// made empty; then the sentence says so.
///
/// # Errors
/// As [`Target::open`] and [`copy`].
pub async fn open(project: &Project, sources: &Sources, target: &Target) -> Result<(Session, bool, Option<String>)> {
    if target.branch.is_some()
        && let Err(e) = target.connect().await
        && e.code() == Some("3D000")
        && let Some(origin) = origin(project, sources, target).await?
    {
        let said = copy(project, &origin, target).await?;
        return Ok((target.connect_to_write(&project.config).await?, false, Some(said)));
    }
    let (session, created) = target.open(&project.config).await?;
    Ok((session, created, None))
}

/// Copies a database for a branch, and marks the copy. Returns what to tell.
///
/// The copy gets its name only when it is marked: one that was broken off is not found, and the next try removes it.
///
/// # Errors
/// Other sessions use the original, the guard refuses, or the role may not make databases. There is no copy then.
pub async fn copy(project: &Project, origin: &Target, target: &Target) -> Result<String> {
    let maintenance = target.maintenance().await?;
    let lock = session::connect(maintenance.settings(), &ConnectOptions::default()).await?;
    let _lock = Lock::take(lock, project.config.lock.wait, &|_| {}).await?;
    let name = target.settings.database();
    let exists = format!("SELECT FROM pg_catalog.pg_database WHERE datname = {}", literal(name));
    if !maintenance.query_rows(&exists).await?.is_empty() {
        return Ok(format!("{} was made by another dbbuild meanwhile", target.describe()));
    }
    let session = origin.connect().await?;
    let found = origin.read(&session).await?;
    session.close().await;
    guard::judge_copy(&found.facts, &origin.selected)?;
    let Standing::Valid(mark) = found.facts.standing() else { return Err(Error::failed("nothing to copy")) };
    let unfinished = target.of_branch(Some(format!("{name}~unfinished")));
    let unfinished_name = unfinished.settings.database().to_owned();
    maintenance.simple(&format!("DROP DATABASE IF EXISTS {}", identifier(&unfinished_name))).await?;
    let create =
        format!("CREATE DATABASE {} TEMPLATE {}", identifier(&unfinished_name), identifier(origin.settings.database()));
    if let Err(e) = maintenance.simple(&create).await {
        return Err(not_copied(&maintenance, origin, target, e).await);
    }
    if let Err(e) = finish(&maintenance, &unfinished, target, mark).await {
        let dropped = maintenance.simple(&format!("DROP DATABASE {}", identifier(&unfinished_name))).await;
        return Err(match dropped {
            Ok(_) => e,
            Err(left) => {
                e.cause(left).help(format!("the unfinished copy {unfinished_name} was left; the next try drops it."))
            }
        });
    }
    Ok(format!("made {} from {}", target.describe(), origin.describe()))
}

/// Marks a copy, says whose it is, and gives it its name.
async fn finish(maintenance: &Session, unfinished: &Target, target: &Target, mark: &Mark) -> Result<()> {
    let copy = unfinished.connect().await?;
    let own = unfinished.read(&copy).await?;
    let own_mark = Mark { binding: own.facts.binding.clone(), ..mark.clone() };
    copy.simple(&history::write_mark(&own_mark)).await?;
    copy.close().await;
    let (name, comment) = (identifier(unfinished.settings.database()), literal(&label(target)?));
    maintenance.simple(&format!("COMMENT ON DATABASE {name} IS {comment}")).await?;
    maintenance.simple(&format!("ALTER DATABASE {name} RENAME TO {}", identifier(target.settings.database()))).await?;
    Ok(())
}

/// Says in the comment of a database that was made without a copy which branch it belongs to.
///
/// # Errors
/// The server said no.
pub async fn claim(target: &Target) -> Result<()> {
    let comment = literal(&label(target)?);
    let maintenance = target.maintenance().await?;
    maintenance.simple(&format!("COMMENT ON DATABASE {} IS {comment}", identifier(target.settings.database()))).await?;
    Ok(())
}

fn label(target: &Target) -> Result<String> {
    let label = Label {
        branch: target.branch.clone().unwrap_or_default(),
        database: target.base.clone(),
        repository: target.repository.clone(),
    };
    serde_json::to_string(&serde_json::json!({ "dbbuild": label }))
        .map_err(|e| Error::failed("cannot write down which branch a database belongs to").cause(e))
}

/// git's folder of a repository, which all of its work trees share.
pub fn repository(project: &Project) -> String {
    let folder = project.git.as_ref().map(|git| git.common_dir().to_path_buf()).unwrap_or_default();
    folder.canonicalize().unwrap_or(folder).to_string_lossy().into_owned()
}

/// A copy wants its original without other sessions; whoever has one is named.
async fn not_copied(maintenance: &Session, origin: &Target, target: &Target, error: Error) -> Error {
    if error.code() != Some("55006") {
        return error
            .help(format!("make the database {} yourself, then run the command again.", target.settings.database()));
    }
    let sql = format!(
        "SELECT pg_catalog.format('process %s: %s (%s)%s, %s', pid, usename, \
         COALESCE(NULLIF(application_name, ''), 'unnamed'), ' at ' || client_addr, COALESCE(state, 'unknown')) \
         FROM pg_catalog.pg_stat_activity WHERE datname = {} AND pid <> pg_catalog.pg_backend_pid() ORDER BY pid",
        literal(origin.settings.database())
    );
    let rows = maintenance.query_rows(&sql).await.unwrap_or_default();
    let who: Vec<String> = rows.into_iter().filter_map(|row| row.into_iter().next().flatten()).collect();
    Error::failed(format!("cannot copy {} while others are connected to it", origin.describe()))
        .detail(who.join("\n"))
        .help(format!(
            "end these sessions and run the same command again; or let `dbbuild reset` make {} from the files.",
            target.describe()
        ))
}

/// The databases of branches that dbbuild made for this repository, on the server of an environment.
///
/// # Errors
/// The server said no.
pub async fn owned(project: &Project, target: &Target) -> Result<Vec<Owned>> {
    let maintenance = target.maintenance().await?;
    let sql = "SELECT d.datname, s.description FROM pg_catalog.pg_database d JOIN pg_catalog.pg_shdescription s \
               ON s.objoid = d.oid AND s.classoid = 'pg_catalog.pg_database'::pg_catalog.regclass \
               WHERE s.description LIKE '{\"dbbuild\"%' ORDER BY 1";
    let rows = maintenance.query_rows(sql).await?;
    let refs = Refs::of(project);
    let mut local = refs.local();
    // A branch without a commit is in no list yet.
    local.extend(refs.current());
    let repository = repository(project);
    let mut owned = Vec::new();
    for row in rows {
        let text = |i: usize| row.get(i).cloned().flatten().unwrap_or_default();
        let value: serde_json::Value = serde_json::from_str(&text(1)).unwrap_or_default();
        let Ok(label) = serde_json::from_value::<Label>(value["dbbuild"].clone()) else { continue };
        let ours = label.repository == repository && label.database == target.base;
        if !ours || branch::database(&label.database, &label.branch) != text(0) {
            continue;
        }
        let orphaned = label.branch != DETACHED && !local.contains(&label.branch);
        owned.push(Owned { target: target.of_branch(Some(label.branch.clone())), branch: label.branch, orphaned });
    }
    Ok(owned)
}

/// Drops the databases of branches that are gone, where the guard lets them be dropped. Returns what was done, in sentences.
///
/// # Errors
/// The server said no.
pub async fn prune(project: &Project, target: &Target) -> Result<Vec<String>> {
    let mut done = Vec::new();
    for one in owned(project, target).await?.into_iter().filter(|one| one.orphaned) {
        let session = one.target.connect().await?;
        let found = one.target.read(&session).await?;
        session.close().await;
        let name = one.target.describe();
        match guard::judge(Action::Drop, &found.facts, &one.target.selected) {
            Ok(()) => {
                one.target.drop_database().await?;
                done.push(format!("dropped {name}: there is no branch {}", one.branch));
            }
            Err(refusal) => done.push(format!("kept {name}: {refusal}")),
        }
    }
    Ok(done)
}
