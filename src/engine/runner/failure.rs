//! What a unit of work fails with, and how users are told.

use super::message::Unit;
use super::worker::Worker;
use crate::engine::session::ServerError;
use crate::error::{Error, Location};
use crate::model::migration::Migration;

/// What a unit failed with.
pub(in crate::engine) struct UnitFailure {
    pub error: Box<ServerError>,
    /// CommandCompletes of the unit before the failure.
    pub completed: usize,
    /// Position in the unit's message.
    pub position: Option<usize>,
}

impl UnitFailure {
    pub(super) fn of(error: Box<ServerError>) -> Self {
        UnitFailure { completed: error.completed, position: error.position.map(|p| p as usize), error }
    }
}

impl Worker<'_> {
    /// The error of a unit that failed and was rolled back.
    pub(super) fn failed(&self, unit: &Unit<'_>, mut failure: UnitFailure, title: &str) -> Error {
        if failure.error.gone {
            return lost(&failure.error);
        }
        let closing = unit.failed_closing(failure.completed);
        if closing && code(&failure.error) == "22012" {
            failure.error.message = "its own row is gone from dbbuild.migration".to_owned();
        }
        let n = unit.statements_done(failure.completed);
        let place = unit.place(failure.completed, failure.position, self.envelope());
        let error = describe(&failure.error, title, place, unit.ordinal(n));
        if closing {
            return error.cause("dbbuild's own record could not be completed").help(CHANGED_RECORD);
        }
        self.name_blocker(error, &failure.error).help(help_for(&failure.error))
    }

    /// Adds to an error of contention who held the lock.
    pub(in crate::engine) fn name_blocker(&self, error: Error, cause: &ServerError) -> Error {
        match self.watch.take() {
            Some(blocker) if is_contention(cause) => error.cause(format!("the lock was held by {blocker}")),
            _ => error,
        }
    }
}

/// "20240712093000_add_legacy".
pub(super) fn title(migration: &Migration) -> String {
    format!("{}_{}", migration.version, migration.name)
}

/// PostgreSQL refuses the statement in a transaction block: 25001, 2D000 (a CALL or DO that commits) and 55P04 (a new
/// enum value used at once).
pub(in crate::engine) fn needs_autocommit(error: &ServerError) -> bool {
    matches!(code(error), "25001" | "2D000" | "55P04")
}

/// Lock time-out and deadlock: the same again may go well.
pub(in crate::engine) fn is_contention(error: &ServerError) -> bool {
    matches!(code(error), "55P03" | "40P01")
}

/// The same of an outcome.
pub(super) fn refused_by_lock<T>(outcome: &std::result::Result<T, Box<ServerError>>) -> bool {
    outcome.as_ref().is_err_and(|error| is_contention(error))
}

fn code(error: &ServerError) -> &str {
    error.sqlstate.as_deref().unwrap_or_default()
}

/// An error of a script, in the form that users see.
pub(in crate::engine) fn describe(error: &ServerError, title: &str, place: Location, ordinal: Option<String>) -> Error {
    let mut out = Error::failed(format!("{title} failed")).at(place).cause(error.cause()).sqlstate(code(error));
    if let Some(ordinal) = ordinal {
        out = out.cause(format!("in {ordinal}"));
    }
    let details = error.details();
    if details.is_empty() { out } else { out.detail(details) }
}

const CHANGED_RECORD: &str = "it was rolled back: a script must not change the schema dbbuild, nor make its transaction \
    read-only. Fix the file and run the same command again.";

pub(super) fn help_for(error: &ServerError) -> &'static str {
    match code(error) {
        "23505" if error.message.contains("migration_pkey") => {
            "it was rolled back: another dbbuild applied it at the same time. Run the same command again."
        }
        "58P01" | "0A000" if error.message.contains("extension") => {
            "it was rolled back. Install the extension on the server (Debian: the package postgresql-contrib or its own), \
             then run the same command again."
        }
        "42704" if error.message.starts_with("role") => {
            "it was rolled back. Declare the role in the roles file (on a deployed server `dbbuild roles apply` makes it), or \
             create it in an earlier migration, then run the same command again."
        }
        "55P03" | "40P01" => {
            "it was rolled back. Run the same command again when the lock is free, or raise `lock.timeout`."
        }
        _ => "it was rolled back. Fix the file and run the same command again.",
    }
}

/// What stays of a script that failed behind so many statements.
pub(super) fn done(statements: usize) -> String {
    match statements {
        0 => "none of its statements is done".to_owned(),
        1 => "its first statement stays done".to_owned(),
        more => format!("its first {more} statements stay done"),
    }
}

pub(in crate::engine) fn lost(error: &ServerError) -> Error {
    Error::failed("lost the connection to the server")
        .cause(error.cause())
        .help("what was running is rolled back by the server; run the same command again, it goes on where it stood.")
}
