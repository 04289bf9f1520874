//! Runs the statements: what other databases need first, then everything else in one transaction.

use super::{Planned, elsewhere};
use crate::engine::session::Session;
use crate::error::{Error, Result};
use crate::model::roles::{Change, Kind, set_password};
use std::time::Duration;

/// Makes the cluster what the plan says. `lock_timeout` bounds the wait in other databases.
///
/// # Errors
/// The server refuses a statement; the message says what was changed before.
pub async fn run(planned: &Planned, session: &Session, lock_timeout: Duration) -> Result<()> {
    let changes = &planned.difference.changes;
    let mut databases: Vec<&String> = changes.iter().filter_map(|change| change.database.as_ref()).collect();
    databases.dedup();
    let mut done: Vec<&str> = Vec::new();
    let left = |done: &[&str]| match done {
        [] => "nothing was changed.".to_owned(),
        done => format!(
            "what dropped roles owned in {} was given to the heir already, nothing else was changed; run the command again.",
            done.join(", ")
        ),
    };
    // All of them, before the first is changed: one that cannot be reached stops everything.
    let mut sessions = Vec::new();
    for database in databases {
        let other = elsewhere(session, database).await.map_err(|e| unreachable(e, database, changes))?;
        sessions.push((database, other));
    }
    for (database, other) in &sessions {
        let mine: Vec<&Change> = changes.iter().filter(|change| change.database.as_ref() == Some(*database)).collect();
        let begin = format!("BEGIN; SET LOCAL lock_timeout = {}", lock_timeout.as_millis());
        transaction(other, &begin, &mine, planned)
            .await
            .map_err(|e| e.help(format!("it ran in the database {database}; {}", left(&done))))?;
        done.push(database);
    }
    let mine: Vec<&Change> = changes.iter().filter(|change| change.database.is_none()).collect();
    if mine.is_empty() {
        return Ok(());
    }
    // What the maker of a role gets by itself is no part of the file.
    let own = if session.server_version() >= 16 { "; SET LOCAL createrole_self_grant = ''" } else { "" };
    transaction(session, &format!("BEGIN{own}"), &mine, planned).await.map_err(|e| e.help(left(&done)))
}

fn unreachable(error: Error, database: &str, changes: &[Change]) -> Error {
    let mut roles: Vec<&str> = changes
        .iter()
        .filter(|change| change.database.as_deref() == Some(database))
        .map(|one| one.role.as_str())
        .collect();
    roles.dedup();
    let what = format!(
        "refused to drop {}: the database {database}, where it owns or was granted something, cannot be visited",
        roles.join(", ")
    );
    let cause = error.causes().first().cloned().unwrap_or_else(|| error.message().to_owned());
    Error::failed(what).cause(cause).help("nothing was changed.")
}

async fn transaction(session: &Session, begin: &str, changes: &[&Change], planned: &Planned) -> Result<()> {
    session.simple(begin).await?;
    for change in changes {
        let verifier = planned.verifiers.get(&change.role).filter(|_| change.kind == Kind::Password);
        let sql = verifier.map_or_else(|| change.sql.clone(), |kept| set_password(&change.role, kept.expose()));
        if let Err(fault) = session.run(&sql).await {
            let _ = session.simple("ROLLBACK").await;
            let mut error = fault.to_error(format!("`{}` failed", change.sql));
            if fault.sqlstate.as_deref() == Some("XX000") {
                error = error.help("another session changed the same role at the same time: run the command again.");
            }
            return Err(error);
        }
    }
    session.simple("COMMIT").await.map(drop)
}

/// Tries whether every other database that a plan must visit lets this role in.
///
/// # Errors
/// One does not: the drop is refused, naming it.
pub async fn reachable(planned: &Planned, session: &Session) -> Result<()> {
    let changes = &planned.difference.changes;
    let mut databases: Vec<&String> = changes.iter().filter_map(|change| change.database.as_ref()).collect();
    databases.dedup();
    let mut faults = Vec::new();
    for database in databases {
        match elsewhere(session, database).await {
            Ok(other) => other.close().await,
            Err(e) => faults.push(unreachable(e, database, changes)),
        }
    }
    Error::all(faults).map_or(Ok(()), Err)
}
