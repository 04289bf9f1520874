//! Which plans may run in the session that holds the lock: those that cannot let go of it.

use super::message::{changes_login_settings, may_travel};
use crate::model::plan::{Plan, Reason, Step};
use crate::model::script::Script;

/// Whether all that a plan runs is transactions in one session that leave its locks alone.
///
/// A script that calls a function which lets go of all locks is not seen here. Then the version table still keeps two
/// runs apart: each writes the row of a migration, whose key is one, before it runs the script.
pub fn keeps_locks(plan: &Plan) -> bool {
    plan.steps.iter().all(|step| match step {
        Step::Migration { migration, reason } => {
            *reason == Reason::New && may_travel(migration) && leaves_locks(&migration.up)
        }
        Step::File { file, .. } => {
            let script = &file.script;
            script.means.psql.is_none() && !changes_login_settings(script) && leaves_locks(script)
        }
        Step::Check { file } => leaves_locks(&file.script),
        Step::Mark { .. } | Step::Sequences => true,
        Step::Baseline { .. } | Step::Remove(_) | Step::TakeBack(_) | Step::Record(_) | Step::Reload(_) => false,
    })
}

fn leaves_locks(script: &Script) -> bool {
    const WORD: &[u8] = b"advisory";
    !script.text.as_bytes().windows(WORD.len()).any(|window| window.eq_ignore_ascii_case(WORD))
}
