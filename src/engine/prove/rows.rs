//! Rows: digests of tables, which of them a transaction wrote, whether a script changes any when it runs again on test
//! data, and the positions of sequences. What it did to the schema is [`super::probe`]'s business.

use super::probe::fails_again;
use crate::engine::runner::Worker;
use crate::engine::session::Session;
use crate::error::Result;
use crate::model::script::Script;
use crate::model::sql::StatementKind;
use crate::model::sql::literal;
use std::collections::{BTreeMap, BTreeSet};

/// Tables whose digests are asked for in one query.
const CHUNK: usize = 100;

/// Digests by qualified name.
pub type Digests = BTreeMap<String, String>;

/// How often a relation was written in the current transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// Its name; qualified where it is not PostgreSQL's own.
    pub name: String,
    /// Whether it is one of PostgreSQL's own.
    pub catalog: bool,
    /// Rows inserted, aborted subtransactions included.
    pub inserted: u64,
    /// Rows updated.
    pub updated: u64,
    /// Rows deleted.
    pub deleted: u64,
}

/// What a script may have set that changes how values are shown or names are resolved, undone until the transaction ends.
pub const NEUTRAL: &str = "RESET ALL; SET LOCAL SESSION AUTHORIZATION DEFAULT; SET LOCAL ROLE NONE; \
                           SET LOCAL search_path = pg_catalog";

/// The relations that were written; temporary ones and dbbuild's own apart.
///
/// # Errors
/// The server said no.
pub async fn written(session: &Session) -> Result<Vec<Written>> {
    let sql = "SELECT c.oid::pg_catalog.regclass::text, c.relnamespace = 'pg_catalog'::pg_catalog.regnamespace, s.i, s.u, s.d \
               FROM pg_catalog.pg_class c, LATERAL (SELECT pg_catalog.pg_stat_get_xact_tuples_inserted(c.oid) AS i, \
                    pg_catalog.pg_stat_get_xact_tuples_updated(c.oid) AS u, \
                    pg_catalog.pg_stat_get_xact_tuples_deleted(c.oid) AS d) s \
               WHERE c.relkind IN ('r', 'm') AND s.i + s.u + s.d > 0 AND c.relpersistence <> 't' \
                 AND c.relnamespace::pg_catalog.regnamespace::text NOT IN ('dbbuild', 'dbbuild_attic') ORDER BY 1";
    let number = |cell: &Option<String>| cell.as_deref().and_then(|n| n.parse().ok()).unwrap_or(0);
    let rows = session.query_rows(sql).await?;
    Ok(rows
        .iter()
        .filter_map(|row| {
            let [name, catalog, inserted, updated, deleted] = row.as_slice() else { return None };
            Some(Written {
                name: name.clone().unwrap_or_default(),
                catalog: catalog.as_deref() == Some("t"),
                inserted: number(inserted),
                updated: number(updated),
                deleted: number(deleted),
            })
        })
        .collect())
}

/// The user's tables whose rows may have changed: those that were written, and those that got new storage, as TRUNCATE
/// and rewrites give it. `search_path` is to be empty.
///
/// # Errors
/// The server said no.
pub async fn tables(session: &Session, written: &[Written], xid: &str) -> Result<Vec<String>> {
    let mut tables: BTreeSet<String> = written.iter().filter(|w| !w.catalog).map(|w| w.name.clone()).collect();
    if written.iter().any(|w| w.name == "pg_class") {
        let sql = format!(
            "SELECT c.oid::pg_catalog.regclass::text FROM pg_catalog.pg_class c WHERE c.relkind IN ('r', 'm') \
             AND c.xmin::text::bigint >= {xid} AND c.oid >= 16384 AND c.relispopulated AND c.relpersistence <> 't' \
             AND c.relnamespace::pg_catalog.regnamespace::text NOT IN ('dbbuild', 'dbbuild_attic')"
        );
        tables.extend(list(session, &sql).await?);
    }
    Ok(tables.into_iter().collect())
}

/// Order-independent digests of the rows of tables; one that does not exist has none. Names are qualified.
///
/// # Errors
/// A table cannot be read.
pub async fn digests(session: &Session, tables: &[String]) -> Result<Digests> {
    let mut digests = Digests::new();
    for chunk in tables.chunks(CHUNK) {
        let names: Vec<String> = chunk.iter().map(|table| format!("({})", literal(table))).collect();
        let there = format!(
            "SELECT n FROM (VALUES {}) v (n) JOIN pg_catalog.pg_class c ON c.oid = pg_catalog.to_regclass(n) \
             WHERE c.relispopulated",
            names.join(", ")
        );
        let each: Vec<String> = list(session, &there).await?.iter().map(|table| digest_query(table)).collect();
        if each.is_empty() {
            continue;
        }
        for row in session.query_rows(&each.join(" UNION ALL ")).await? {
            let [Some(table), digest] = row.as_slice() else { continue };
            digests.insert(table.clone(), digest.clone().unwrap_or_default());
        }
    }
    Ok(digests)
}

fn digest_query(table: &str) -> String {
    format!(
        "SELECT {}, pg_catalog.concat_ws(' ', pg_catalog.count(*), \
         pg_catalog.sum(pg_catalog.hashtextextended(t::text, 0)::numeric), \
         pg_catalog.sum(pg_catalog.hashtextextended(t::text, 1)::numeric)) FROM ONLY {table} t",
        literal(table)
    )
}

/// Digests of the rows of all of the user's tables.
///
/// # Errors
/// The server said no.
pub async fn all(session: &Session) -> Result<Digests> {
    let sql = "SELECT pg_catalog.format('%I.%I', n.nspname, c.relname) FROM pg_catalog.pg_class c \
               JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
               WHERE c.relkind IN ('r', 'm') AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'dbbuild', 'dbbuild_attic') \
                 AND n.nspname !~ '^pg_(toast|temp)' ORDER BY 1";
    digests(session, &list(session, sql).await?).await
}

/// Names of the tables whose digests differ.
pub fn changed(before: &Digests, after: &Digests) -> Option<String> {
    let names: BTreeSet<&str> = before
        .keys()
        .chain(after.keys())
        .filter(|name| before.get(*name) != after.get(*name))
        .map(String::as_str)
        .collect();
    (!names.is_empty()).then(|| names.into_iter().collect::<Vec<_>>().join(", "))
}

/// On test data: the rows after a second run must be those after a first one.
///
/// An older migration may no longer fit the newest schema; then this says nothing, and the run at its own state has
/// spoken.
///
/// # Errors
/// The connection is gone.
pub async fn again_on_rows(worker: &Worker<'_>, script: &Script) -> Result<Option<String>> {
    let session = worker.session();
    session.simple("BEGIN").await?;
    let twice = twice(worker, script).await;
    worker.clean_up().await?;
    let (before, after) = match twice? {
        Twice::Unfit => return Ok(None),
        Twice::Fails(answer) => return Ok(Some(fails_again(script, &answer, " on test data"))),
        Twice::Ran { before, after } => (before, after),
    };
    if let Some(tables) = changed(&before, &after) {
        return Ok(Some(format!("changes rows of {tables} when it is run again on test data")));
    }
    if after.is_empty() {
        return Ok(None);
    }
    // Rows were written over with what stood there. For both runs it was the same moment, since they shared a
    // transaction: in a later one the values show whether they come from the clock.
    session.simple("BEGIN").await?;
    let later = async {
        if worker.run_inside(script, &script.body()?).await?.is_err() {
            return Ok(None);
        }
        session.simple(NEUTRAL).await?;
        digests(session, &before.keys().cloned().collect::<Vec<_>>()).await.map(Some)
    };
    let later = later.await;
    worker.clean_up().await?;
    let tables = later?.and_then(|later| changed(&before, &later));
    Ok(tables.map(|tables| format!("writes the clock or chance to rows of {tables} when it is run again on test data")))
}

/// The same for a script that does not run in one transaction; what it does stays.
///
/// # Errors
/// The connection is gone.
pub async fn again_one_by_one(worker: &Worker<'_>, script: &Script) -> Result<Option<String>> {
    if worker.run_one_by_one(script).await?.is_err() {
        return Ok(None);
    }
    let before = all(worker.session()).await?;
    if let Err(answer) = worker.run_one_by_one(script).await? {
        return Ok(Some(fails_again(script, &answer, " on test data")));
    }
    let tables = changed(&before, &all(worker.session()).await?);
    Ok(tables.map(|tables| format!("changes rows of {tables} when it is run again on test data")))
}

enum Twice {
    /// The first run failed, or wrote nothing.
    Unfit,
    /// The second run failed.
    Fails(crate::error::Error),
    /// The tables that the second run wrote, before it and after it.
    Ran { before: Digests, after: Digests },
}

async fn twice(worker: &Worker<'_>, script: &Script) -> Result<Twice> {
    let body = script.body()?;
    let session = worker.session();
    if worker.run_inside(script, &body).await?.is_err() {
        return Ok(Twice::Unfit);
    }
    let xid = one(session, "SELECT pg_catalog.pg_current_xact_id_if_assigned()::text").await?;
    let Some(xid) = xid else { return Ok(Twice::Unfit) };
    worker.reset().await?;
    let first = written(session).await?;
    session.simple("SAVEPOINT dbbuild_second_run").await?;
    if let Err(answer) = worker.run_inside(script, &body).await? {
        return Ok(Twice::Fails(answer));
    }
    session.simple(NEUTRAL).await?;
    let second: Vec<Written> = written(session).await?.into_iter().filter(|table| !first.contains(table)).collect();
    let tables = tables(session, &second, &xid).await?;
    let after = digests(session, &tables).await?;
    session.simple("ROLLBACK TO SAVEPOINT dbbuild_second_run").await?;
    session.simple(NEUTRAL).await?;
    let before = digests(session, &tables).await?;
    Ok(Twice::Ran { before, after })
}

/// The first cell of the first row.
///
/// # Errors
/// The server said no.
pub async fn one(session: &Session, sql: &str) -> Result<Option<String>> {
    Ok(session.query_rows(sql).await?.into_iter().next().and_then(|row| row.into_iter().next().flatten()))
}

/// The first cell of every row.
///
/// # Errors
/// The server said no.
pub async fn list(session: &Session, sql: &str) -> Result<Vec<String>> {
    let rows = session.query_rows(sql).await?;
    Ok(rows.into_iter().filter_map(|row| row.into_iter().next()).map(Option::unwrap_or_default).collect())
}

/// Positions of sequences, which no rollback takes back: a second run must leave them as the first did, for the dump.
pub struct Positions(Vec<(String, String, String)>);

impl Positions {
    /// Reads them, where the script can move any.
    ///
    /// # Errors
    /// The server said no.
    pub async fn before(session: &Session, script: &Script) -> Result<Positions> {
        let moves = |kind: &StatementKind| {
            matches!(kind, StatementKind::Writes | StatementKind::CopyFromStdin | StatementKind::CopyOther)
        };
        if !script.split()?.iter().any(|statement| moves(&statement.kind)) {
            return Ok(Positions(Vec::new()));
        }
        let names =
            list(session, "SELECT seqrelid::pg_catalog.regclass::text FROM pg_catalog.pg_sequence ORDER BY 1").await?;
        if names.is_empty() {
            return Ok(Positions(Vec::new()));
        }
        let each = |name: &String| format!("SELECT {}, last_value::text, is_called::text FROM {name}", literal(name));
        let union: Vec<String> = names.iter().map(each).collect();
        let rows = session.query_rows(&union.join(" UNION ALL ")).await?;
        let cell = |row: &Vec<Option<String>>, i: usize| row.get(i).cloned().flatten().unwrap_or_default();
        Ok(Positions(rows.iter().map(|row| (cell(row, 0), cell(row, 1), cell(row, 2))).collect()))
    }

    /// Puts them back.
    ///
    /// # Errors
    /// The server said no.
    pub async fn restore(&self, session: &Session) -> Result<()> {
        if self.0.is_empty() {
            return Ok(());
        }
        let set = |(name, value, called): &(String, String, String)| {
            format!("pg_catalog.setval(pg_catalog.to_regclass({}), {value}, {called})", literal(name))
        };
        let all: Vec<String> = self.0.iter().map(set).collect();
        session.simple(&format!("SELECT {}", all.join(", "))).await.map(|_| ())
    }
}
