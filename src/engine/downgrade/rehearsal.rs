//! What a downgrade keeps and loses: found by running its down parts in a transaction that is rolled back.

use crate::engine::attic;
use crate::engine::history::Author;
use crate::engine::runner::{Worker, WorkerOptions};
use crate::engine::session::{self, ConnectOptions, Session};
use crate::engine::target::Target;
use crate::engine::upgrade::Work;
use crate::error::Result;
use crate::model::attic::given::OnConflict;
use crate::model::attic::{HeldLock, Rehearsal};
use crate::model::plan::Plan;
use crate::model::sql::literal;
use std::path::PathBuf;

/// What was found.
#[derive(Debug, Clone, Default)]
pub struct Rehearsed {
    /// By taking back.
    pub found: Rehearsal,
    /// What waits in the attic for a decision, in clauses.
    pub waiting: Vec<String>,
}

impl Rehearsed {
    /// The locks of all steps.
    pub fn locks(&self) -> impl Iterator<Item = &HeldLock> {
        self.found.kept.iter().flat_map(|kept| &kept.locks)
    }

    /// What is lost, in the older schema or out of the attic, in clauses.
    pub fn losses(&self) -> Vec<String> {
        let lost = self.found.kept.iter().flat_map(|kept| {
            let lost = kept.entries.iter().filter(|entry| entry.is_loss());
            lost.map(move |entry| format!("{}: {} ({})", kept.label, entry.describe(), entry.reason))
        });
        let unknown = self.found.untried.iter().map(|label| {
            format!("{label}: what goes with it cannot be told, since a down part there runs in no transaction")
        });
        lost.chain(unknown).chain(self.waiting.iter().cloned()).collect()
    }
}

/// Takes back what a plan takes back, looks, and rolls back.
///
/// # Errors
/// A down part fails, as it would in earnest; or a lock is not to be had. Nothing was changed.
pub async fn rehearse(work: &Work<'_>, target: &Target, plan: &Plan) -> Result<Rehearsed> {
    let backs = plan.take_backs();
    if backs.is_empty() {
        return Ok(Rehearsed::default());
    }
    let session = session::connect(&target.settings, &ConnectOptions::default()).await?;
    let versions: Vec<String> = backs.iter().map(|back| literal(back.row.version.as_str())).collect();
    let waiting = waiting(&session, &versions).await?;
    let config = &work.project.config;
    let options = WorkerOptions {
        lock_timeout: config.lock.timeout,
        author: Author::default(),
        lock: None,
        bin_dir: config.postgres.bin_dir.as_ref().map(PathBuf::from),
        locks: false,
        sink: work.sink,
        on_conflict: OnConflict::Report,
    };
    let worker = Worker::new(session, options).await?;
    let found = worker.rehearse(&backs).await;
    worker.into_session().close().await;
    Ok(Rehearsed { found: found?, waiting })
}

/// What an upgrade could not give back of these versions, and nobody decided about yet.
async fn waiting(session: &Session, versions: &[String]) -> Result<Vec<String>> {
    if !attic::is_there(session).await? {
        return Ok(Vec::new());
    }
    let sql = format!(
        "SELECT version || '_' || name, pg_catalog.count(*) FROM dbbuild_attic.entry WHERE version IN ({}) GROUP BY 1 ORDER BY 1",
        versions.join(", ")
    );
    let rows = session.query_rows(&sql).await?;
    let cell = |row: &[Option<String>], i: usize| row.get(i).cloned().flatten().unwrap_or_default();
    let clause = |row: &Vec<Option<String>>| {
        format!(
            "{}: {} in the attic could not be given back, and nobody decided about it",
            cell(row, 0),
            entries(&cell(row, 1))
        )
    };
    Ok(rows.iter().map(clause).collect())
}

fn entries(n: &str) -> String {
    if n == "1" { "1 entry".to_owned() } else { format!("{n} entries") }
}
