//! Does a script change anything when it runs again?
//!
//! The second run happens in a transaction that is rolled back. What it wrote is asked of PostgreSQL's own counters, so
//! that a script that wrote nothing costs one question, and one that wrote what stood there already a few. Only where
//! these cannot tell are the whole catalogs compared.

use crate::engine::catalog;
use crate::engine::history::literal;
use crate::engine::runner::Worker;
use crate::engine::session::Session;
use crate::error::Result;
use crate::model::catalog::{Catalog, CatalogDifference};
use crate::model::script::Script;
use crate::model::sql::StatementKind;
use std::collections::BTreeMap;

/// Catalogs whose rows come and go with those of others.
const FOLLOWERS: [&str; 3] = ["pg_depend", "pg_shdepend", "pg_statistic"];

/// Catalogs whose rows are compared by a key column, when they were updated in place.
const KEYED: [(&str, &str); 14] = [
    ("pg_attribute", "attrelid"),
    ("pg_class", "oid"),
    ("pg_collation", "oid"),
    ("pg_constraint", "oid"),
    ("pg_description", "objoid"),
    ("pg_extension", "oid"),
    ("pg_index", "indexrelid"),
    ("pg_namespace", "oid"),
    ("pg_policy", "oid"),
    ("pg_proc", "oid"),
    ("pg_rewrite", "oid"),
    ("pg_sequence", "seqrelid"),
    ("pg_trigger", "oid"),
    ("pg_type", "oid"),
];

/// Catalogs whose rows may be dropped and made again with another OID: the relation they belong to, and their meaning.
const REMADE: [(&str, &str, &str); 4] = [
    (
        "pg_constraint",
        "conrelid",
        "(conname, pg_get_constraintdef(oid), convalidated, condeferrable, condeferred, conislocal, coninhcount, connoinherit)",
    ),
    ("pg_trigger", "tgrelid", "(tgname, pg_get_triggerdef(oid), tgenabled, tgisinternal)"),
    (
        "pg_policy",
        "polrelid",
        "(polname, polcmd, polpermissive, polroles, pg_get_expr(polqual, polrelid), pg_get_expr(polwithcheck, polrelid))",
    ),
    ("pg_attrdef", "adrelid", "(adnum, pg_get_expr(adbin, adrelid))"),
];

/// How often a relation was written in the current transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Written {
    name: String,
    catalog: bool,
    inserted: u64,
    updated: u64,
    deleted: u64,
}

/// Runs a script in a transaction on a state that it has been run on, rolls it back, and says what it changed.
///
/// # Errors
/// The connection is gone. That the script fails the second time is an answer, not an error.
pub async fn again(worker: &Worker<'_>, script: &Script, own_roles: &[String]) -> Result<Option<String>> {
    let body = script.body()?;
    let session = worker.session();
    let positions = Positions::before(session, script).await?;
    session.simple("BEGIN").await?;
    if let Err(answer) = worker.run_inside(script, &body).await? {
        worker.clean_up().await?;
        return Ok(Some(format!("fails when it is run again: {answer}")));
    }
    let changed = changed_inside(session, own_roles).await;
    worker.clean_up().await?;
    positions.restore(session).await?;
    changed_outside(session, changed?, own_roles).await
}

/// Queries, each with its answer inside the transaction.
type Answers = Vec<(String, Vec<String>)>;

/// What the open transaction wrote, in a form that can be compared with the state before it.
enum Trace {
    Nothing,
    /// For each query: the answer inside the transaction.
    Compare(Answers),
    /// Everything.
    Whole(Box<Catalog>, Answers),
}

async fn changed_inside(session: &Session, own_roles: &[String]) -> Result<Trace> {
    session.simple("SET LOCAL SESSION AUTHORIZATION DEFAULT; SET LOCAL ROLE NONE; SET LOCAL search_path = pg_catalog").await?;
    let xid = one(session, "SELECT pg_catalog.pg_current_xact_id_if_assigned()::text").await?;
    let Some(xid) = xid else { return Ok(Trace::Nothing) };
    let written = written(session).await?;
    let mut compare = Vec::new();
    for table in tables(session, &written, &xid).await? {
        let query = rows_query(&table);
        let inside = list(session, &query).await?;
        compare.push((query, inside));
    }
    match catalog_queries(session, &written, &xid).await? {
        Some(queries) => {
            for (seen, query) in queries {
                compare.push((query, seen));
            }
            Ok(Trace::Compare(compare))
        }
        None => Ok(Trace::Whole(Box::new(catalog::read_within(session.client(), own_roles).await?), compare)),
    }
}

async fn changed_outside(session: &Session, trace: Trace, own_roles: &[String]) -> Result<Option<String>> {
    let (whole, compare): (Option<Box<Catalog>>, Answers) = match trace {
        Trace::Nothing => return Ok(None),
        Trace::Compare(compare) => (None, compare),
        Trace::Whole(inside, compare) => (Some(inside), compare),
    };
    if let Some(inside) = whole {
        let before = catalog::read(session.client(), own_roles).await?;
        let differences = inside.compare(&before);
        if !differences.is_empty() {
            return Ok(Some(format!("changes the schema when it is run again: {}", summary(&differences))));
        }
    }
    for (query, inside) in compare {
        let before = match list(session, &query).await {
            Ok(before) => before,
            Err(_) => return Ok(Some("makes a table when it is run again".to_owned())),
        };
        if before != inside {
            return Ok(Some(match table_of(&query) {
                Some(table) => format!("changes rows of {table} when it is run again"),
                None => "changes the schema when it is run again".to_owned(),
            }));
        }
    }
    Ok(None)
}

async fn written(session: &Session) -> Result<Vec<Written>> {
    let sql = "SELECT c.oid::pg_catalog.regclass::text, c.relnamespace = 'pg_catalog'::pg_catalog.regnamespace, s.i, s.u, s.d \
               FROM pg_catalog.pg_class c, LATERAL (SELECT pg_catalog.pg_stat_get_xact_tuples_inserted(c.oid) AS i, \
                    pg_catalog.pg_stat_get_xact_tuples_updated(c.oid) AS u, \
                    pg_catalog.pg_stat_get_xact_tuples_deleted(c.oid) AS d) s \
               WHERE c.relkind IN ('r', 'm') AND s.i + s.u + s.d > 0 \
                 AND c.relnamespace <> pg_catalog.to_regnamespace('dbbuild') ORDER BY 1";
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

/// The user's tables whose rows may have changed: those that were written, and those that got new storage.
async fn tables(session: &Session, written: &[Written], xid: &str) -> Result<Vec<String>> {
    let mut tables: Vec<String> = written.iter().filter(|w| !w.catalog).map(|w| w.name.clone()).collect();
    if written.iter().any(|w| w.name == "pg_class") {
        let sql = format!(
            "SELECT c.oid::pg_catalog.regclass::text FROM pg_catalog.pg_class c WHERE c.relkind IN ('r', 'm') \
             AND c.xmin::text::bigint >= {xid} AND c.oid >= 16384 \
             AND c.relnamespace <> pg_catalog.to_regnamespace('dbbuild') AND c.relpersistence <> 't'"
        );
        tables.extend(list(session, &sql).await?);
        tables.sort();
        tables.dedup();
    }
    Ok(tables)
}

/// An order-independent digest of a table's rows.
fn rows_query(table: &str) -> String {
    format!(
        "SELECT pg_catalog.concat_ws(' ', pg_catalog.count(*), pg_catalog.sum(pg_catalog.hashtextextended(t::text, 0)::numeric), \
         pg_catalog.sum(pg_catalog.hashtextextended(t::text, 1)::numeric)) FROM ONLY {table} t"
    )
}

fn table_of(query: &str) -> Option<&str> {
    query.split_once("FROM ONLY ").map(|(_, rest)| rest.trim_end_matches(" t"))
}

/// The questions that compare what was written to the catalogs; `None` where only a comparison of the whole can tell.
async fn catalog_queries(
    session: &Session,
    written: &[Written],
    xid: &str,
) -> Result<Option<Vec<(Vec<String>, String)>>> {
    let catalogs: Vec<&Written> = written.iter().filter(|w| w.catalog).collect();
    let keyed: BTreeMap<&str, &str> = KEYED.into_iter().collect();
    let mut queries = Vec::new();
    let mut explained = false;
    for table in &catalogs {
        if FOLLOWERS.contains(&table.name.as_str()) {
            if table.inserted != table.deleted && table.name != "pg_statistic" {
                return Ok(None);
            }
            continue;
        }
        explained = true;
        if table.inserted == 0 && table.deleted == 0 {
            let Some(key) = keyed.get(table.name.as_str()) else { return Ok(None) };
            let own = format!("SELECT t.{key}::text FROM pg_catalog.{} t WHERE t.xmin::text::bigint >= {xid}", table.name);
            let keys = list(session, &own).await?;
            if keys.is_empty() {
                return Ok(None);
            }
            let query = format!(
                "SELECT t::text FROM pg_catalog.{} t WHERE t.{key} IN ({}) ORDER BY 1",
                table.name,
                keys.join(", ")
            );
            queries.push((list(session, &query).await?, query));
            continue;
        }
        let remade = REMADE.iter().find(|(name, ..)| *name == table.name);
        let Some((name, owner, meaning)) = remade.filter(|_| table.inserted == table.deleted) else { return Ok(None) };
        let own = format!("SELECT DISTINCT t.{owner}::text FROM pg_catalog.{name} t WHERE t.xmin::text::bigint >= {xid}");
        let owners = list(session, &own).await?;
        if owners.is_empty() {
            return Ok(None);
        }
        let query =
            format!("SELECT {meaning}::text FROM pg_catalog.{name} t WHERE t.{owner} IN ({}) ORDER BY 1", owners.join(", "));
        queries.push((list(session, &query).await?, query));
    }
    Ok((explained || catalogs.is_empty()).then_some(queries))
}

/// The first differences, for a sentence.
pub fn summary(differences: &[CatalogDifference]) -> String {
    const SHOWN: usize = 3;
    let mut words: Vec<String> = differences.iter().take(SHOWN).map(ToString::to_string).collect();
    if differences.len() > SHOWN {
        words.push(format!("and {} more", differences.len() - SHOWN));
    }
    words.join("; ")
}

async fn one(session: &Session, sql: &str) -> Result<Option<String>> {
    Ok(session.query_rows(sql).await?.into_iter().next().and_then(|row| row.into_iter().next().flatten()))
}

async fn list(session: &Session, sql: &str) -> Result<Vec<String>> {
    let rows = session.query_rows(sql).await?;
    Ok(rows.into_iter().filter_map(|row| row.into_iter().next()).map(Option::unwrap_or_default).collect())
}

/// Digests of the rows of all of the user's tables.
///
/// # Errors
/// The server said no.
pub async fn all_rows(session: &Session) -> Result<BTreeMap<String, String>> {
    let sql = "SELECT c.oid::pg_catalog.regclass::text FROM pg_catalog.pg_class c \
               JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
               WHERE c.relkind IN ('r', 'm') AND c.relispopulated AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'dbbuild') \
                 AND n.nspname !~ '^pg_(toast|temp)' ORDER BY 1";
    let mut digests = BTreeMap::new();
    for table in list(session, sql).await? {
        let digest = one(session, &rows_query(&table)).await?.unwrap_or_default();
        digests.insert(table, digest);
    }
    Ok(digests)
}

/// On test data: the rows after a second run must be those after a first one.
///
/// Older migrations may no longer fit the newest schema; then this says nothing, and the run at their own state has
/// spoken.
///
/// # Errors
/// The connection is gone.
pub async fn again_on_rows(worker: &Worker<'_>, script: &Script) -> Result<Option<String>> {
    let body = script.body()?;
    let session = worker.session();
    session.simple("BEGIN").await?;
    let first = worker.run_inside(script, &body).await?;
    if first.is_err() {
        worker.clean_up().await?;
        return Ok(None);
    }
    if one(session, "SELECT pg_catalog.pg_current_xact_id_if_assigned()::text").await?.is_none() {
        worker.clean_up().await?;
        return Ok(None);
    }
    let before = all_rows(session).await?;
    let second = worker.run_inside(script, &body).await?;
    if second.is_err() {
        worker.clean_up().await?;
        return Ok(None);
    }
    let after = all_rows(session).await;
    worker.clean_up().await?;
    Ok(changed_tables(&before, &after?).map(|tables| format!("changes rows of {tables} when it is run again on test data")))
}

/// Names of the tables whose digests differ.
pub fn changed_tables(before: &BTreeMap<String, String>, after: &BTreeMap<String, String>) -> Option<String> {
    let names: Vec<&str> = before
        .keys()
        .chain(after.keys().filter(|name| !before.contains_key(*name)))
        .filter(|name| before.get(*name) != after.get(*name))
        .map(String::as_str)
        .collect();
    (!names.is_empty()).then(|| names.join(", "))
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
        let names = list(session, "SELECT seqrelid::pg_catalog.regclass::text FROM pg_catalog.pg_sequence ORDER BY 1").await?;
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
