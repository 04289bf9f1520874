//! How one database stands to the sources.

use crate::engine::project::Project;
use crate::engine::switch::Refs;
use crate::engine::target::Target;
use crate::engine::{prove, upgrade};
use crate::error::Result;
use crate::model::apart::Apart;
use crate::model::guard::Standing;
use crate::model::plan::{Applied, FileKind, History, may_differ};
use crate::model::sources::Sources;
use crate::model::squash;
use std::collections::BTreeMap;

/// Where a migration stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It ran as the file says.
    Applied,
    /// A run would run it.
    Pending,
    /// A run would go on with it.
    Interrupted,
    /// It ran with other content.
    Changed,
    /// It ran, and no file has it: a phantom.
    Unknown,
    /// It is limited to other environments.
    Elsewhere,
}

impl State {
    /// The word for people and JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            State::Applied => "applied",
            State::Pending => "pending",
            State::Interrupted => "interrupted",
            State::Changed => "changed",
            State::Unknown => "unknown",
            State::Elsewhere => "elsewhere",
        }
    }
}

/// One migration's state.
#[derive(Debug, Clone)]
pub struct MigrationState {
    /// Its version.
    pub version: String,
    /// Its name.
    pub name: String,
    /// Where it stands.
    pub state: State,
    /// What its preconditions do where they do not hold.
    pub asks: Vec<&'static str>,
    /// The branches that have a phantom.
    pub branches: Vec<String>,
    /// The environments that it is limited to, and whether it is secure.
    pub apart: Apart,
}

/// How a database stands.
#[derive(Debug, Clone)]
pub struct Status {
    /// The database, as messages name it.
    pub database: String,
    /// Whether there is such a database.
    pub exists: bool,
    /// The mark, in words.
    pub mark: String,
    /// Every migration that the files or the database have.
    pub migrations: Vec<MigrationState>,
    /// Other files that a run would run.
    pub files: Vec<(FileKind, String)>,
    /// Whether the baseline claims to be made from these sources.
    pub baseline_fresh: bool,
    /// The branch whose own database this is.
    pub branch: Option<String>,
}

impl Status {
    /// How many migrations are in a state.
    pub fn count(&self, state: State) -> usize {
        self.migrations.iter().filter(|one| one.state == state).count()
    }

    /// How many migrations a run would run, or go on with.
    pub fn pending(&self) -> usize {
        self.count(State::Pending) + self.count(State::Interrupted)
    }

    /// Whether anything is pending, changed or unknown.
    pub fn differs(&self) -> bool {
        self.migrations.iter().any(|one| !matches!(one.state, State::Applied | State::Elsewhere))
            || !self.files.is_empty()
    }
}

/// Looks how a database stands. Writes nothing.
///
/// # Errors
/// It cannot be reached.
pub async fn status(project: &Project, sources: &Sources, target: &Target, refs: &Refs) -> Result<Status> {
    let (session, found) = target.look().await?;
    let inputs = prove::inputs(&project.config, sources);
    let mark = match found.facts.standing() {
        Standing::Valid(mark) => format!("marked {}", mark.environment),
        Standing::Foreign(mark, why) => format!("marked {}, but {why}", mark.environment),
        Standing::Unmarked if session.is_none() => "not made yet".to_owned(),
        Standing::Unmarked => "not marked".to_owned(),
    };
    Ok(Status {
        database: target.describe(),
        exists: session.is_some(),
        mark,
        migrations: migrations(sources, &found.history, &target.selected.name, refs),
        files: pending_files(sources, &found.history, &target.selected.name),
        baseline_fresh: sources.baseline.as_ref().is_some_and(|text| upgrade::baseline_claims(text, &inputs)),
        branch: target.branch.clone(),
    })
}

fn migrations(sources: &Sources, history: &History, environment: &str, refs: &Refs) -> Vec<MigrationState> {
    let mut applied: BTreeMap<_, &Applied> = history.applied.iter().map(|row| (&row.version, row)).collect();
    let mut rows = Vec::new();
    for migration in sources.all_migrations() {
        if migration.is_squash() {
            let state = match squash::standing(migration, history) {
                squash::Standing::Pending => State::Pending,
                squash::Standing::Applied => State::Applied,
                squash::Standing::Between(_) => State::Changed,
            };
            for row in squash::rows(migration) {
                applied.remove(&row.version);
            }
            let (version, name) = (migration.version.to_string(), migration.name.clone());
            let (asks, apart) = (Vec::new(), Apart::default());
            rows.push(MigrationState { version, name, state, asks, branches: Vec::new(), apart });
            continue;
        }
        let apart = migration.settings.apart.clone();
        let state = match applied.remove(&migration.version) {
            None if !apart.runs_in(environment) => State::Elsewhere,
            None => State::Pending,
            Some(row) if !row.complete => State::Interrupted,
            Some(row) if row.checksum != migration.checksum && !may_differ(sources, migration) => State::Changed,
            Some(_) => State::Applied,
        };
        let (version, name) = (migration.version.to_string(), migration.name.clone());
        let asks = migration.settings.preconditions.iter().map(|one| one.on_fail.as_str()).collect();
        rows.push(MigrationState { version, name, state, asks, branches: Vec::new(), apart });
    }
    for row in applied.values() {
        let (version, name) = (row.version.to_string(), row.name.clone());
        let (asks, apart) = (Vec::new(), Apart::default());
        rows.push(MigrationState { version, name, state: State::Unknown, asks, branches: refs.holders(row), apart });
    }
    rows
}

fn pending_files(sources: &Sources, history: &History, environment: &str) -> Vec<(FileKind, String)> {
    let repeatable = sources.repeatable.iter().map(|file| (FileKind::Repeatable, file));
    let own = sources.env_init.get(environment).into_iter().flatten();
    let init = sources.init.iter().chain(own).map(|file| (FileKind::Init, file));
    repeatable
        .chain(init)
        .filter(|(kind, file)| history.files.get(&(*kind, file.name.clone())) != Some(&file.checksum))
        .map(|(kind, file)| (kind, file.name.clone()))
        .collect()
}
