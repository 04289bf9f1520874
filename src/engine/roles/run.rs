//! Runs the statements: what other databases need first, then everything else in one transaction.

use super::visit::{databases, unreachable};
use super::{Planned, elsewhere};
use crate::engine::session::Session;
use crate::error::{Error, Result};
use crate::model::roles::{Change, Kind, set_password};
use crate::model::sql::literal;
use std::collections::BTreeSet;
use std::time::Duration;

/// Makes the cluster what the plan says. `lock_timeout` bounds the wait in other databases.
///
/// # Errors
/// The server refuses a statement; the message says what was changed before.
pub async fn run(planned: &Planned, session: &Session, lock_timeout: Duration) -> Result<()> {
    let changes = &planned.difference.changes;
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
    for database in databases(changes) {
        let other = elsewhere(session, database).await.map_err(|e| unreachable(e, database, changes))?;
        sessions.push((database, other));
    }
    let begin = format!("BEGIN; SET LOCAL lock_timeout = {}", lock_timeout.as_millis());
    let of = |database: &String| -> Vec<&Change> {
        changes.iter().filter(|change| change.database.as_ref() == Some(database)).collect()
    };
    if !sessions.is_empty() {
        // Nothing is given away in one database where another one, or this one, refuses the same.
        for (database, other) in &sessions {
            let tried = transaction(other, (&begin, "ROLLBACK"), &of(database), planned).await;
            tried.map_err(|e| e.help(format!("it was tried in the database {database}; {}", left(&done))))?;
        }
        let disowned = |change: &&Change| change.database.is_none() && change.kind == Kind::Disown;
        let mine: Vec<&Change> = changes.iter().filter(disowned).collect();
        transaction(session, ("BEGIN", "ROLLBACK"), &mine, planned).await.map_err(|e| e.help(left(&done)))?;
    }
    for (database, other) in &sessions {
        transaction(other, (&begin, "COMMIT"), &of(database), planned)
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
    transaction(session, (&format!("BEGIN{own}"), "COMMIT"), &mine, planned).await.map_err(|e| e.help(left(&done)))
}

async fn transaction(
    session: &Session,
    (begin, end): (&str, &str),
    changes: &[&Change],
    planned: &Planned,
) -> Result<()> {
    session.simple(begin).await?;
    match statements(session, changes, planned).await {
        Ok(()) => session.simple(end).await.map(drop),
        Err(e) => {
            // Where the connection is gone, the transaction is too: why it failed is what counts.
            drop(session.simple("ROLLBACK").await);
            Err(e)
        }
    }
}

async fn statements(session: &Session, changes: &[&Change], planned: &Planned) -> Result<()> {
    for change in changes {
        let verifier = planned.verifiers.get(&change.role).filter(|_| change.kind == Kind::Password);
        let sql = verifier.map_or_else(|| change.sql.clone(), |kept| set_password(&change.role, kept.expose()));
        if let Err(fault) = session.run(&sql).await {
            let mut error = fault.to_error(format!("`{}` failed", change.sql));
            if let Some(place) = planned.places.get(&change.role) {
                error = error.at(place.clone());
            }
            if fault.sqlstate.as_deref() == Some("XX000") {
                error = error.help("another session changed the same role at the same time: run the command again.");
            }
            return Err(error);
        }
    }
    still_held(session, changes).await
}

/// Whether a role that was to lose everything here still has something: what others own and granted, only they or a
/// superuser take back, and `DROP OWNED` is silent about it.
async fn still_held(session: &Session, changes: &[&Change]) -> Result<()> {
    let names: BTreeSet<String> =
        changes.iter().filter(|one| one.kind == Kind::Disown).map(|one| literal(&one.role)).collect();
    if names.is_empty() {
        return Ok(());
    }
    let names: Vec<String> = names.into_iter().collect();
    let sql = format!(
        "SELECT DISTINCT r.rolname, pg_catalog.pg_describe_object(s.classid, s.objid, s.objsubid) FROM pg_catalog.pg_shdepend s \
         JOIN pg_catalog.pg_roles r ON r.oid = s.refobjid \
         WHERE s.refclassid = 'pg_catalog.pg_authid'::pg_catalog.regclass AND r.rolname IN ({}) \
           AND s.dbid IN (0, (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())) ORDER BY 1, 2",
        names.join(", ")
    );
    let rows = session.query_rows(&sql).await?;
    if rows.is_empty() {
        return Ok(());
    }
    let line = |row: Vec<Option<String>>| row.into_iter().flatten().collect::<Vec<_>>().join(": ");
    Err(Error::failed(format!(
        "what was granted in {} cannot be taken back by this role",
        session.settings().database()
    ))
    .detail(rows.into_iter().map(line).collect::<Vec<_>>().join("\n"))
    .help("connect as the owner of these objects, or as a superuser."))
}
