//! The plan: exactly what a run would execute, in order. A dry run prints the same plan that a real run executes.
//!
//! Pure: made from the sources and what the version table says, without a look at the database itself.

mod applied;
mod down;
mod order;
mod rewritten;
mod upto;

pub use applied::{other_content, short};
use applied::{unchanged, unknown_versions};
pub use down::{Downgrade, plan_down};
pub use order::in_order;
pub use rewritten::may_differ;
use upto::UpTo;

use crate::error::{Error, Result};
use crate::model::checksum::Checksum;
use crate::model::guard::Action;
use crate::model::migration::Migration;
use crate::model::reconcile::{Reload, Remove, TakeBack, Way};
use crate::model::sources::{ScriptFile, Sources};
use crate::model::squash;
use crate::model::version::Version;
use std::collections::BTreeMap;

/// One row of `dbbuild.migration`, without the texts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// The version, as the file that was applied wrote it.
    pub version: Version,
    /// The name after the version.
    pub name: String,
    /// Checksum of the file that was applied.
    pub checksum: Checksum,
    /// False while a non-transactional migration is under way or was interrupted.
    pub complete: bool,
    /// Its text stands in the version table; false for rows that came with a baseline, until files fill them.
    pub has_text: bool,
}

/// The kinds of files that run again when their content changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FileKind {
    /// `db/repeatable`.
    Repeatable,
    /// `db/init` and `db/init/ENV`.
    Init,
    /// `db/testdata/SET`.
    TestData,
}

impl FileKind {
    /// As `dbbuild.file.kind` has it.
    pub fn as_str(self) -> &'static str {
        match self {
            FileKind::Repeatable => "repeatable",
            FileKind::Init => "init",
            FileKind::TestData => "testdata",
        }
    }

    /// The inverse of [`FileKind::as_str`].
    pub fn parse(text: &str) -> Option<Self> {
        [FileKind::Repeatable, FileKind::Init, FileKind::TestData].into_iter().find(|kind| kind.as_str() == text)
    }
}

/// What the version table says, as a value.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct History {
    /// The schema `dbbuild` stands.
    pub installed: bool,
    /// Applied migrations in the order of their application.
    pub applied: Vec<Applied>,
    /// Checksums of the files that ran last, by kind and name.
    pub files: BTreeMap<(FileKind, String), Checksum>,
}

impl History {
    /// A digest of everything the plan depends on; the runner reads it again under the lock.
    pub fn fingerprint(&self) -> Checksum {
        let mut text = String::new();
        for row in &self.applied {
            text.push_str(&format!("m {} {} {} {}\n", row.version, row.checksum, row.complete, row.name));
        }
        for ((kind, name), checksum) in &self.files {
            text.push_str(&format!("f {} {checksum} {name}\n", kind.as_str()));
        }
        Checksum::of_text(&text)
    }
}

/// Why a file stands in the plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// It never ran here.
    New,
    /// It ran with other content.
    Changed,
    /// A migration runs before it.
    AfterMigrations,
    /// `-- dbbuild:run always`.
    Always,
    /// It was asked for.
    Requested,
    /// It was interrupted and goes on.
    Resume,
    /// It was applied here, and no file of the tree has it.
    Phantom,
    /// Its file was edited after it was applied here.
    Edited,
    /// It came after an edited one and names an object of that one.
    Later,
    /// The database is to go back beyond it.
    Downgrade,
}

impl Reason {
    /// A word for people and JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Reason::New => "new",
            Reason::Changed => "changed",
            Reason::AfterMigrations => "after migrations",
            Reason::Always => "always",
            Reason::Requested => "requested",
            Reason::Resume => "resume",
            Reason::Phantom => "in no file here",
            Reason::Edited => "edited",
            Reason::Later => "after an edited one",
            Reason::Downgrade => "downgrade",
        }
    }
}

/// One thing that a run does.
#[derive(Debug, Clone)]
pub enum Step {
    /// Write the environment's mark; before everything else.
    Mark {
        /// The environment.
        environment: String,
        /// Whether it is protected.
        protected: bool,
    },
    /// Load the baseline into an empty database.
    Baseline {
        /// The file.
        path: String,
        /// Its text.
        text: std::sync::Arc<str>,
    },
    /// Drop what repeatable files made that the tree does not have, and their rows; together, since one may use the other.
    Remove(Vec<Remove>),
    /// Take a migration back by its kept down part.
    TakeBack(Box<TakeBack>),
    /// Write the row of a migration anew: its file was edited without a change to what it runs.
    Record(Box<Migration>),
    /// Apply a migration.
    Migration {
        /// The file.
        migration: Box<Migration>,
        /// New, or to be resumed.
        reason: Reason,
    },
    /// Run a repeatable, init or test-data file.
    File {
        /// Its kind.
        kind: FileKind,
        /// The file.
        file: Box<ScriptFile>,
        /// Why.
        reason: Reason,
    },
    /// Run a repeatable file after a downgrade.
    Reload(Box<Reload>),
    /// Set the positions of owned sequences to the greatest key.
    Sequences,
    /// Run an integrity check.
    Check {
        /// The file.
        file: Box<ScriptFile>,
    },
}

/// Steps in order, with what they were planned for.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The environment that was selected.
    pub environment: String,
    /// What a run would execute.
    pub steps: Vec<Step>,
    /// The fingerprint of the history that this was planned from.
    pub history: Checksum,
    /// What a person should know, though it stops nothing.
    pub notes: Vec<String>,
    /// The version table is to be created.
    pub install: bool,
    /// What this plan needs beyond migrating.
    pub purpose: Purpose,
}

/// Which command a plan is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// `build` and `apply`.
    Migrate,
    /// `bootstrap`.
    Bootstrap,
    /// `seed`.
    Seed,
    /// `downgrade`.
    Downgrade,
}

/// What to plan for.
#[derive(Debug, Clone)]
pub struct PlanOptions {
    /// The selected environment.
    pub environment: String,
    /// Whether the selected environment is protected.
    pub protected: bool,
    /// The database has no valid mark yet and may be marked.
    pub mark: bool,
    /// The sets of test data to load, in order; empty where the guard or the command allows none.
    pub testdata: Vec<String>,
    /// Run the integrity checks at the end.
    pub checks: bool,
    /// Only migrations up to this one.
    pub to: Option<Version>,
}

impl Plan {
    /// The actions that the guard must allow.
    pub fn actions(&self) -> Vec<Action> {
        let mut actions = vec![match self.purpose {
            Purpose::Migrate => Action::Migrate,
            Purpose::Bootstrap => Action::Bootstrap,
            Purpose::Seed => Action::Seed,
            // Where there is nothing to do nothing is judged.
            Purpose::Downgrade => return self.steps.first().map(|_| Action::Downgrade).into_iter().collect(),
        }];
        let testdata = |step: &Step| matches!(step, Step::File { kind: FileKind::TestData, .. });
        if self.purpose != Purpose::Seed && self.steps.iter().any(testdata) {
            actions.push(Action::TestData);
        }
        if self.steps.iter().any(|step| matches!(step, Step::TakeBack(_) | Step::Record(_) | Step::Remove(_))) {
            actions.push(Action::TakeBack);
        }
        actions
    }

    /// Whether a run would write nothing.
    pub fn is_empty(&self) -> bool {
        !self.steps.iter().any(|step| !matches!(step, Step::Check { .. }))
    }

    /// The migrations of the plan.
    pub fn migrations(&self) -> impl Iterator<Item = &Migration> {
        self.steps.iter().filter_map(|step| match step {
            Step::Migration { migration, .. } => Some(migration.as_ref()),
            _ => None,
        })
    }
}

/// Compares the version table with the files and lists what a run would do.
///
/// # Errors
/// An applied migration whose file has other content now.
pub fn plan(sources: &Sources, history: &History, options: &PlanOptions) -> Result<Plan> {
    plan_after(sources, history, options, &Way::default())
}

/// The same with migrations taken back first, so that the database comes to what the files say now.
///
/// # Errors
/// An applied migration whose file has other content now, and that the way does not take back.
pub fn plan_back(sources: &Sources, history: &History, options: &PlanOptions, way: &Way) -> Result<Plan> {
    let mut plan = plan_after(sources, &way.history_after(history, sources), options, way)?;
    plan.history = history.fingerprint();
    Ok(plan)
}

fn plan_after(sources: &Sources, found: &History, options: &PlanOptions, way: &Way) -> Result<Plan> {
    let history = &*squash::view(sources, found)?;
    let applied: BTreeMap<&Version, &Applied> = history.applied.iter().map(|row| (&row.version, row)).collect();
    unchanged(sources, &applied, options)?;
    let upto = UpTo::of(sources, history, options)?;
    let mut steps = Vec::new();
    if options.mark {
        steps.push(Step::Mark { environment: options.environment.clone(), protected: options.protected });
    }
    if !way.remove.is_empty() {
        steps.push(Step::Remove(way.remove.clone()));
    }
    steps.extend(way.back.iter().map(|back| Step::TakeBack(Box::new(back.clone()))));
    let recorded = sources.all_migrations().into_iter().filter(|migration| way.record.contains(&migration.version));
    steps.extend(recorded.map(|migration| Step::Record(Box::new(migration.clone()))));
    let newest = history.applied.iter().map(|row| &row.version).max();
    let mut notes = unknown_versions(sources, history);
    notes.extend(rewritten::notes(sources, history));
    let mut migrates = !(way.back.is_empty() && way.remove.is_empty());
    for migration in squash::ordered(sources.all_migrations().into_iter()) {
        let reason = match applied.get(&migration.version) {
            None if !migration.settings.apart.runs_in(&options.environment) => continue,
            None if upto.leaves_out(&migration.version) => continue,
            None => Reason::New,
            Some(row) if !row.complete => Reason::Resume,
            Some(_) => continue,
        };
        // One that stands apart is older than what a baseline holds wherever that was loaded, and drops no view.
        let ordinary = migration.settings.apart.is_none();
        if ordinary && reason == Reason::New && newest.is_some_and(|newest| migration.version < *newest) {
            notes.push(format!("{} is older than the newest applied migration and runs after it", migration.path));
        }
        migrates |= ordinary;
        steps.push(Step::Migration { migration: Box::new(migration.clone()), reason });
    }
    let again = |kind: FileKind, file: &ScriptFile| migrates && (kind != FileKind::TestData || way.fills(&file.script));
    notes.extend(upto.note());
    if upto.is_all() {
        plan_files(sources, history, options, &again, &mut steps);
    }
    if options.checks && upto.is_all() {
        steps.extend(sources.checks.iter().map(|file| Step::Check { file: Box::new(file.clone()) }));
    }
    Ok(Plan {
        environment: options.environment.clone(),
        steps,
        history: found.fingerprint(),
        notes,
        install: !history.installed,
        purpose: Purpose::Migrate,
    })
}

fn plan_files(
    sources: &Sources,
    history: &History,
    options: &PlanOptions,
    again: &dyn Fn(FileKind, &ScriptFile) -> bool,
    steps: &mut Vec<Step>,
) {
    let reason = |kind: FileKind, file: &ScriptFile| match history.files.get(&(kind, file.name.clone())) {
        None => Some(Reason::New),
        // An interrupted run left it to this one.
        Some(seen) if *seen == Checksum::STALE => Some(Reason::AfterMigrations),
        Some(seen) if *seen != file.checksum => Some(Reason::Changed),
        Some(_) if file.run_always => Some(Reason::Always),
        Some(_) if again(kind, file) => Some(Reason::AfterMigrations),
        Some(_) => None,
    };
    let push = |steps: &mut Vec<Step>, kind: FileKind, file: &ScriptFile| {
        if let Some(reason) = reason(kind, file) {
            steps.push(Step::File { kind, file: Box::new(file.clone()), reason });
            return true;
        }
        false
    };
    for file in &sources.repeatable {
        push(steps, FileKind::Repeatable, file);
    }
    let mut init = false;
    for file in sources.init.iter().chain(sources.env_init.get(&options.environment).into_iter().flatten()) {
        init |= push(steps, FileKind::Init, file);
    }
    if init {
        steps.push(Step::Sequences);
    }
    for set in &options.testdata {
        for file in sources.testdata.get(set).into_iter().flatten() {
            push(steps, FileKind::TestData, file);
        }
    }
}

/// Lists the files of one set of test data, whether they ran or not.
///
/// # Errors
/// The set does not exist (exit status 2).
pub fn plan_seed(sources: &Sources, history: &History, environment: &str, sets: &[String]) -> Result<Plan> {
    let mut steps = Vec::new();
    for set in sets {
        let files = sources.testdata.get(set).ok_or_else(|| {
            let known: Vec<&str> = sources.testdata.keys().map(String::as_str).collect();
            Error::usage(format!("there is no set of test data named {set}"))
                .help(format!("the sets are: {}", if known.is_empty() { "none".to_owned() } else { known.join(", ") }))
        })?;
        steps.extend(files.iter().map(|file| Step::File {
            kind: FileKind::TestData,
            file: Box::new(file.clone()),
            reason: Reason::Requested,
        }));
    }
    Ok(Plan {
        environment: environment.to_owned(),
        steps,
        history: history.fingerprint(),
        notes: Vec::new(),
        install: !history.installed,
        purpose: Purpose::Seed,
    })
}

/// Plans a new installation: the baseline, then what it does not hold.
///
/// # Errors
/// There is no baseline.
pub fn plan_bootstrap(
    sources: &Sources,
    baseline: (&str, std::sync::Arc<str>),
    held: &History,
    options: &PlanOptions,
) -> Result<Plan> {
    let rest = plan(sources, held, &PlanOptions { testdata: Vec::new(), mark: false, ..options.clone() })?;
    let mut steps = vec![
        Step::Mark { environment: options.environment.clone(), protected: options.protected },
        Step::Baseline { path: baseline.0.to_owned(), text: baseline.1 },
    ];
    steps.extend(rest.steps);
    Ok(Plan {
        environment: options.environment.clone(),
        steps,
        history: History::default().fingerprint(),
        notes: rest.notes,
        install: true,
        purpose: Purpose::Bootstrap,
    })
}

#[cfg(test)]
mod tests;
