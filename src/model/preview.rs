//! A plan as it is shown before it runs: statements, the tables they lock, how large those are, how they will run.

use crate::error::Result;
use crate::model::attic::KeptEntry;
use crate::model::migration::Migration;
use crate::model::plan::{Plan, Reason, Step, short};
use crate::model::script::Script;
use crate::model::sql::{self, StatementKind};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// A table's estimated size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Size {
    /// Rows, as the planner believes; none before the first ANALYZE.
    pub rows: Option<u64>,
    /// Bytes on disk with indexes.
    pub bytes: u64,
}

/// A lock that a step takes on a table that exists.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LockView {
    /// The table as the script names it.
    pub table: String,
    /// The strongest lock on it, as PostgreSQL's manual names it.
    pub lock: &'static str,
    /// How large it is, where it exists.
    pub size: Option<Size>,
}

impl KeptView {
    /// Of an entry.
    pub fn of(entry: &KeptEntry) -> KeptView {
        KeptView {
            kind: entry.kind.as_str(),
            reason: entry.reason.as_str(),
            table: format!("{}.{}", entry.schema, entry.table),
            columns: entry.columns.clone(),
            rows: entry.rows,
            lost: entry.is_loss(),
            text: entry.describe(),
        }
    }
}

/// A lock by the name that the manual has for what `pg_locks` calls it: `AccessExclusiveLock`.
pub fn lock_name(mode: &str) -> Option<&'static str> {
    let plain = |name: &str| name.chars().filter(char::is_ascii_alphabetic).collect::<String>() + "LOCK";
    STRENGTH.into_iter().find(|name| mode.eq_ignore_ascii_case(&plain(name)))
}

/// One step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StepView {
    /// `mark`, `baseline`, `remove`, `take-back`, `record`, `migration`, `repeatable`, `init`, `sequences`, `testdata` or `check`.
    pub kind: &'static str,
    /// The file, if there is one.
    pub path: Option<String>,
    /// Why it runs.
    pub reason: Option<&'static str>,
    /// Statements in it.
    pub statements: usize,
    /// Whether it runs in one transaction with its row.
    pub transaction: bool,
    /// Why not, where the file does not say so itself; of a secure migration, where its body lies.
    pub note: Option<String>,
    /// What else is to be known of how it runs: preconditions, batches, psql.
    pub manner: Vec<String>,
    /// Locks on tables.
    pub locks: Vec<LockView>,
    /// Of a take-back that was rehearsed: what goes into the attic.
    pub kept: Vec<KeptView>,
}

/// What taking a migration back puts into the attic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KeptView {
    /// `table`, `column`, `value`, `row` or `sequence`.
    pub kind: &'static str,
    /// `dropped`, `emptied`, `narrowed`, `changed`, `deleted`, `refused`, `dependent` or `moved`.
    pub reason: &'static str,
    /// The table or sequence.
    pub table: String,
    /// The columns.
    pub columns: Vec<String>,
    /// Rows or values.
    pub rows: u64,
    /// The older schema has a place for it, and does not hold it.
    pub lost: bool,
    /// All of it in words.
    pub text: String,
}

/// The whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Preview {
    /// The environment.
    pub environment: String,
    /// The database, without a password.
    pub database: String,
    /// Names this plan: the history that it starts from.
    pub fingerprint: String,
    /// The steps in order.
    pub steps: Vec<StepView>,
    /// What a person should know.
    pub notes: Vec<String>,
}

/// The tables that a plan locks, as its scripts name them.
///
/// # Errors
/// A script does not lex.
pub fn tables(plan: &Plan) -> Result<BTreeSet<String>> {
    let mut tables = BTreeSet::new();
    for script in plan.steps.iter().filter_map(script) {
        tables.extend(locks(script)?.into_keys());
    }
    Ok(tables)
}

/// Makes the preview. `rehearsed` knows why a migration was refused inside a transaction by a throwaway.
///
/// # Errors
/// A script does not lex.
pub fn preview(
    plan: &Plan,
    database: &str,
    sizes: &BTreeMap<String, Size>,
    rehearsed: &dyn Fn(&Migration) -> Option<String>,
) -> Result<Preview> {
    let mut steps = Vec::with_capacity(plan.steps.len());
    for step in &plan.steps {
        let mut view = StepView {
            kind: kind(step),
            path: path(step),
            reason: None,
            statements: 0,
            transaction: true,
            note: None,
            manner: Vec::new(),
            locks: Vec::new(),
            kept: Vec::new(),
        };
        if let Some(script) = script(step) {
            view.statements = script.split()?.len();
            view.manner = manner(step, script);
            let lock =
                |(table, lock): (String, &'static str)| LockView { size: sizes.get(&table).copied(), table, lock };
            view.locks = locks(script)?.into_iter().map(lock).collect();
        }
        if let Step::Migration { migration, .. } = step
            && migration.body.is_some()
        {
            // Tables that are there are no secret of the body's; other names may be.
            view.locks.retain(|lock| lock.size.is_some());
        }
        match step {
            Step::Migration { migration, reason } => {
                view.reason = Some(reason.as_str());
                view.note = statement_by_statement(migration, rehearsed)?;
                view.transaction = migration.settings.transaction && view.note.is_none();
                if migration.body.is_some() {
                    view.note = Some(format!("its body is {}", migration.up.path));
                }
            }
            Step::File { reason, .. } => view.reason = Some(reason.as_str()),
            Step::TakeBack(back) => {
                view.reason = Some(back.reason.as_str());
                view.transaction = back.runs_in_transaction();
            }
            Step::Remove(files) => {
                view.reason = Some(Reason::Phantom.as_str());
                view.statements = files.iter().map(|file| file.objects.len()).sum();
            }
            Step::Reload(reload) => {
                view.reason = Some(reload.reason.as_str());
                view.note = reload.lenient.then(|| "where it loads".to_owned());
            }
            Step::Record(_) => view.reason = Some("edited without a change to its statements"),
            _ => {}
        }
        steps.push(view);
    }
    Ok(Preview {
        environment: plan.environment.clone(),
        database: database.to_owned(),
        fingerprint: short(&plan.history),
        steps,
        notes: plan.notes.clone(),
    })
}

/// How a script runs beyond being sent to the server.
fn manner(step: &Step, script: &Script) -> Vec<String> {
    let mut words = Vec::new();
    if let Step::Migration { migration, .. } = step {
        let asks = migration.settings.preconditions.iter().map(|one| one.on_fail.as_str()).collect::<Vec<_>>();
        if !asks.is_empty() {
            words.push(format!("asks first ({})", asks.join(", ")));
        }
    }
    words.extend(script.means.batches.iter().map(|batch| format!("in batches of {}", batch.size)));
    if script.means.psql.is_some() {
        words.push("psql runs it".to_owned());
    }
    words
}

/// Why a migration that does not say so runs statement by statement.
fn statement_by_statement(
    migration: &Migration,
    rehearsed: &dyn Fn(&Migration) -> Option<String>,
) -> Result<Option<String>> {
    if !migration.settings.transaction || migration.body.is_some() {
        return Ok(None);
    }
    if let Some(why) = rehearsed(migration) {
        return Ok(Some(why));
    }
    if migration.up.commits_enum_value()? {
        return Ok(Some("it commits a new enum value before using it".to_owned()));
    }
    let statements = migration.up.split()?;
    let alone = statements.iter().find(|statement| matches!(statement.kind, StatementKind::NonTransactional(_)));
    Ok(alone.map(|statement| {
        let words = migration.up.statement_text(statement).split_whitespace().take(3).collect::<Vec<_>>().join(" ");
        format!("PostgreSQL refuses {words} … inside a transaction")
    }))
}

fn kind(step: &Step) -> &'static str {
    match step {
        Step::Mark { .. } => "mark",
        Step::Baseline { .. } => "baseline",
        Step::Remove(_) => "remove",
        Step::TakeBack(_) => "take-back",
        Step::Record(_) => "record",
        Step::Migration { .. } => "migration",
        Step::File { kind, .. } => kind.as_str(),
        Step::Reload(_) => "repeatable",
        Step::Sequences => "sequences",
        Step::Check { .. } => "check",
    }
}

fn path(step: &Step) -> Option<String> {
    match step {
        Step::Baseline { path, .. } => Some(path.clone()),
        Step::Migration { migration, .. } | Step::Record(migration) => Some(migration.path.clone()),
        Step::TakeBack(back) => Some(back.label()),
        Step::Remove(files) => Some(files.iter().map(|file| file.name.as_str()).collect::<Vec<_>>().join(", ")),
        Step::File { file, .. } | Step::Check { file } => Some(file.path.clone()),
        Step::Reload(reload) => Some(reload.file.path.clone()),
        Step::Mark { .. } | Step::Sequences => None,
    }
}

fn script(step: &Step) -> Option<&Script> {
    match step {
        Step::Migration { migration, .. } => Some(&migration.up),
        Step::TakeBack(back) => Some(&back.down),
        Step::File { file, .. } | Step::Check { file } => Some(&file.script),
        Step::Reload(reload) => Some(&reload.file.script),
        _ => None,
    }
}

/// Weakest first, as chapter 13.3 of PostgreSQL's manual has them.
const STRENGTH: [&str; 8] = [
    "ACCESS SHARE",
    "ROW SHARE",
    "ROW EXCLUSIVE",
    "SHARE UPDATE EXCLUSIVE",
    "SHARE",
    "SHARE ROW EXCLUSIVE",
    "EXCLUSIVE",
    "ACCESS EXCLUSIVE",
];

/// The strongest lock on each table that the script itself does not make.
fn locks(script: &Script) -> Result<BTreeMap<String, &'static str>> {
    let mut strongest: BTreeMap<String, &'static str> = BTreeMap::new();
    let rank = |lock: &str| STRENGTH.iter().position(|known| *known == lock);
    for statement in script.split()? {
        let text = script.statement_text(&statement);
        let (Some(object), Some(lock)) = (sql::main_object(text), sql::lock_mode(text)) else { continue };
        let held = strongest.entry(object.name).or_insert(lock);
        if rank(lock) > rank(held) {
            *held = lock;
        }
    }
    Ok(strongest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locks_have_the_names_of_the_manual() {
        assert_eq!(lock_name("AccessExclusiveLock"), Some("ACCESS EXCLUSIVE"));
        assert_eq!(lock_name("ShareUpdateExclusiveLock"), Some("SHARE UPDATE EXCLUSIVE"));
        assert_eq!(lock_name("SIReadLock"), None);
    }

    #[test]
    fn the_strongest_lock_on_a_table_counts() {
        let script =
            Script::of_file("a.sql", "INSERT INTO t VALUES (1); ALTER TABLE t ADD c int; CREATE INDEX i ON u (a);");
        let found = locks(&script).unwrap();
        assert_eq!(found.get("t"), Some(&"ACCESS EXCLUSIVE"));
        assert_eq!(found.get("u"), Some(&"SHARE"));
    }
}
