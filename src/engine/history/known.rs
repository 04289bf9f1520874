//! Reading one of many databases that mostly stand alike: identity, mark and a digest of the version table in one
//! question; its rows only where no other database of this run had the same.

use super::{FILES, Found, MIGRATIONS, find, history_of};
use crate::engine::session::Session;
use crate::error::{Error, OrFailed, Result};
use crate::model::guard::{Binding, Mark, Standing, TargetFacts};
use crate::model::plan::History;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use tokio_postgres::SimpleQueryMessage;

/// What a run has read so far, by the digest of the rows.
#[derive(Debug, Default)]
pub struct Histories(Mutex<HashMap<String, Arc<History>>>);

/// One row: what the server says of the database, its mark, the digest of its history; the youngest column last, to be
/// sure that it is there.
const LOOK: &str = "SELECT c.system_identifier::text, d.oid::text, d.datname, e.name, e.protected, e.system_identifier, \
    e.database_oid::text, e.server_id, pg_catalog.encode(pg_catalog.sha256(pg_catalog.convert_to(pg_catalog.concat(\
    (SELECT pg_catalog.string_agg(ROW(m.version, m.name, m.checksum, m.state = 'applied', \
    m.up_sql IS NOT NULL OR m.origin <> 'baseline')::text, E'\\n' ORDER BY m.position) FROM dbbuild.migration m), E'\\n\\n', \
    (SELECT pg_catalog.string_agg(ROW(f.kind, f.name, f.checksum)::text, E'\\n' ORDER BY f.kind, f.name) \
    FROM dbbuild.file f)), 'UTF8')), 'hex'), \
    pg_catalog.to_regclass('dbbuild_attic.format') IS NOT NULL, \
    pg_catalog.has_table_privilege('dbbuild.migration', 'INSERT'), \
    (SELECT f.run_by FROM dbbuild.file f LIMIT 0) \
    FROM pg_catalog.pg_control_system() c, pg_catalog.pg_database d LEFT JOIN dbbuild.environment e ON true \
    WHERE d.datname = pg_catalog.current_database()";

/// As [`find`]. Whether the database is empty is asked only where no valid mark says what it is; with one it counts as
/// not empty.
///
/// # Errors
/// As [`find`].
pub async fn find_known(
    session: &Session,
    description: &str,
    server_id: Option<&str>,
    histories: &Histories,
) -> Result<Found> {
    // Without a version table, or with one of an older dbbuild, the question itself is wrong.
    let Ok(rows) = session.query_rows(LOOK).await else { return find(session, description, server_id).await };
    let row = rows.first().ok_or_else(|| Error::failed(format!("cannot read what {description} is")))?;
    let text = |i: usize| row.get(i).cloned().flatten();
    let mark = text(3).map(|_| mark_of(row.get(3..).unwrap_or_default()));
    let binding = Binding {
        system_identifier: text(0).unwrap_or_default(),
        database_oid: text(1).unwrap_or_default().parse().or_failed(|| "cannot read the OID of the database")?,
        server_id: server_id.map(str::to_owned),
    };
    let mut facts = TargetFacts {
        description: description.to_owned(),
        database: text(2).unwrap_or_default(),
        binding,
        mark,
        empty: false,
        has_history: false,
    };
    if !matches!(facts.standing(), Standing::Valid(_)) {
        return find(session, description, server_id).await;
    }
    let digest = text(8).unwrap_or_default();
    let history = match histories.get(&digest) {
        Some(history) => history,
        None => histories.read(session).await?,
    };
    facts.has_history = !history.applied.is_empty();
    let truth = |i: usize| text(i).as_deref() == Some("t");
    let (has_attic, may_write) = (truth(9), truth(10));
    Ok(Found { facts, history: (*history).clone(), outdated: false, has_attic, may_write })
}

/// The columns of a mark: name, protected, system identifier, database's OID, id of the server.
pub(super) fn mark_of(row: &[Option<String>]) -> Mark {
    let text = |i: usize| row.get(i).cloned().flatten();
    Mark {
        environment: text(0).unwrap_or_default(),
        protected: text(1).as_deref() != Some("f"),
        binding: Binding {
            system_identifier: text(2).unwrap_or_default(),
            database_oid: text(3).and_then(|oid| oid.parse().ok()).unwrap_or(0),
            server_id: text(4),
        },
    }
}

impl Histories {
    fn get(&self, digest: &str) -> Option<Arc<History>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(digest).cloned()
    }

    /// Reads digest and rows in one view of the database, so that no other's change falls between them.
    async fn read(&self, session: &Session) -> Result<Arc<History>> {
        let sql = format!("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; {LOOK}; {MIGRATIONS}; {FILES}; COMMIT");
        let mut results: Vec<Vec<Vec<Option<String>>>> = vec![Vec::new()];
        for message in session.simple(&sql).await? {
            match message {
                SimpleQueryMessage::Row(row) => {
                    let cells: Vec<_> = (0..row.len()).map(|i| row.get(i).map(str::to_owned)).collect();
                    if let Some(rows) = results.last_mut() {
                        rows.push(cells);
                    }
                }
                SimpleQueryMessage::CommandComplete(_) => results.push(Vec::new()),
                _ => {}
            }
        }
        let [_, look, migrations, files, ..] = results.as_slice() else {
            return Err(Error::failed("cannot read the version table"));
        };
        let history = Arc::new(history_of(migrations, files)?);
        if let Some(digest) = look.first().and_then(|row| row.get(8)).cloned().flatten() {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(digest, history.clone());
        }
        Ok(history)
    }
}
