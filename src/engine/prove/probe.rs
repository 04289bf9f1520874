//! Does a script change anything when it runs again?
//!
//! The second run happens in a transaction that is rolled back. What it wrote is asked of PostgreSQL's own counters, so
//! that a script that wrote nothing costs one question, and one that wrote what stood there already a few. Where these
//! cannot tell, or see a difference, the script runs once more and the whole catalogs are compared: these decide.

use super::rows::{self, Digests, NEUTRAL, Positions, Written, list};
use crate::engine::catalog;
use crate::engine::runner::Worker;
use crate::engine::session::Session;
use crate::error::{Error, Result};
use crate::model::catalog::{Catalog, CatalogDifference};
use crate::model::script::Script;
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
    (
        "pg_trigger",
        "tgrelid",
        "(tgenabled, tgtype, CASE WHEN tgisinternal THEN tgfoid::regproc::text ELSE pg_get_triggerdef(oid) END)",
    ),
    (
        "pg_policy",
        "polrelid",
        "(polname, polcmd, polpermissive, polroles, pg_get_expr(polqual, polrelid), pg_get_expr(polwithcheck, polrelid))",
    ),
    ("pg_attrdef", "adrelid", "(adnum, pg_get_expr(adbin, adrelid))"),
];

/// Columns that differ where nothing does: storage, and trees that hold positions in the text they were read from.
const UNSTABLE: &str = "{relfilenode,relpages,reltuples,relallvisible,relallfrozen,relfrozenxid,relminmxid,ev_action,\
                        ev_qual,polqual,polwithcheck,tgqual,typdefaultbin,conbin,prosqlbody,proargdefaults}";

/// What takes the place of the trees among them.
const DEPARSED: [(&str, &str); 6] = [
    ("pg_constraint", "pg_get_constraintdef(t.oid)"),
    ("pg_policy", "(pg_get_expr(t.polqual, t.polrelid), pg_get_expr(t.polwithcheck, t.polrelid))::text"),
    ("pg_proc", "CASE WHEN t.prokind <> 'a' THEN pg_get_functiondef(t.oid) END"),
    ("pg_rewrite", "pg_get_ruledef(t.oid)"),
    ("pg_trigger", "CASE WHEN NOT t.tgisinternal THEN pg_get_triggerdef(t.oid) END"),
    ("pg_type", "t.typdefault"),
];

/// What stands in no database's catalog, or beside it: how it is called, and its meaning without what changes anyway.
pub(super) const BESIDE: [(&str, &str, &str); 5] = [
    ("pg_authid", "roles", "to_jsonb(t) - '{oid,rolpassword}'::text[]"),
    ("pg_auth_members", "memberships of roles", "(roleid::regrole, member::regrole, admin_option)"),
    ("pg_db_role_setting", "settings of roles or databases", "(setdatabase, setrole::regrole, setconfig)"),
    ("pg_largeobject", "large objects", "(pageno, data)"),
    ("pg_shdescription", "comments on roles or databases", "description"),
];

/// Runs a script in a transaction on a state that it has been run on, rolls it back, and says what it changed.
///
/// # Errors
/// The connection is gone. That the script fails the second time is an answer, not an error.
pub async fn again(worker: &Worker<'_>, script: &Script, own_roles: &[String]) -> Result<Option<String>> {
    let positions = Positions::before(worker.session(), script).await?;
    let mut verdict = run(worker, script, Look::Written(own_roles)).await?;
    if verdict == Verdict::Unclear {
        verdict = run(worker, script, Look::Whole(own_roles)).await?;
    }
    positions.restore(worker.session()).await?;
    Ok(match verdict {
        Verdict::Same | Verdict::Unclear => None,
        Verdict::Changed(what) => Some(what),
    })
}

/// "fails when it is run again, in line 2: …": the file is named by whoever tells it.
pub(super) fn fails_again(script: &Script, answer: &Error, on: &str) -> String {
    let place = match answer.location() {
        Some(place) if place.path == script.path => format!(", in line {}", place.line),
        Some(place) => format!(", at {place}"),
        None => String::new(),
    };
    let why = if answer.causes().is_empty() { answer.message().to_owned() } else { answer.causes().join(": ") };
    format!("fails when it is run again{on}{place}: {why}")
}

/// How closely the catalogs are looked at.
#[derive(Clone, Copy)]
enum Look<'a> {
    /// At the rows that were written, and at the whole where that cannot tell.
    Written(&'a [String]),
    /// At the whole.
    Whole(&'a [String]),
}

#[derive(PartialEq, Eq)]
enum Verdict {
    Same,
    /// Rows of catalogs differ, which need not mean anything.
    Unclear,
    Changed(String),
}

/// A query, and its answer inside the transaction.
type Answer = (String, Vec<String>);

/// What the open transaction wrote, in a form that can be compared with the state before it.
#[derive(Default)]
struct Trace {
    rows: Digests,
    /// Beside the database, by what it is called.
    beside: Vec<(&'static str, Answer)>,
    catalogs: Vec<Answer>,
    whole: Option<Box<Catalog>>,
}

async fn run(worker: &Worker<'_>, script: &Script, look: Look<'_>) -> Result<Verdict> {
    let session = worker.session();
    // What is deferred would happen at COMMIT, which does not come.
    let question =
        format!("SET CONSTRAINTS ALL IMMEDIATE; {NEUTRAL}; SELECT pg_catalog.pg_current_xact_id_if_assigned()::text");
    let xid = match worker.ask_after(script, &question).await? {
        Ok(Some(xid)) => xid,
        Ok(None) => {
            worker.clean_up().await?;
            return Ok(Verdict::Same);
        }
        Err(answer) => {
            worker.clean_up().await?;
            return Ok(Verdict::Changed(fails_again(script, &answer, "")));
        }
    };
    let trace = changed_inside(session, &xid, look).await;
    worker.clean_up().await?;
    let trace = trace?;
    let (Look::Written(own_roles) | Look::Whole(own_roles)) = look;
    session.simple("BEGIN; SET LOCAL search_path = pg_catalog").await?;
    let verdict = changed_outside(session, trace, own_roles).await;
    session.simple("ROLLBACK").await?;
    verdict
}

async fn changed_inside(session: &Session, xid: &str, look: Look<'_>) -> Result<Trace> {
    let written = rows::written(session).await?;
    let tables = rows::tables(session, &written, xid).await?;
    let mut trace = Trace { rows: rows::digests(session, &tables).await?, ..Trace::default() };
    for (catalog, called, meaning) in BESIDE {
        if written.iter().any(|w| w.catalog && w.name == catalog) {
            let query = format!("SELECT ({meaning})::text FROM pg_catalog.{catalog} t ORDER BY 1");
            let inside = list(session, &query).await?;
            trace.beside.push((called, (query, inside)));
        }
    }
    let queries = match look {
        Look::Written(_) => catalog_queries(session, &written, xid).await?,
        Look::Whole(_) => None,
    };
    match (queries, look) {
        (Some(queries), _) => trace.catalogs = queries,
        (None, Look::Written(own_roles) | Look::Whole(own_roles)) => {
            trace.whole = Some(Box::new(catalog::read_within(session.client(), own_roles).await?));
        }
    }
    Ok(trace)
}

async fn changed_outside(session: &Session, trace: Trace, own_roles: &[String]) -> Result<Verdict> {
    if let Some(inside) = trace.whole {
        let differences = inside.compare(&catalog::read(session.client(), own_roles).await?);
        if !differences.is_empty() {
            let what = summary(&differences);
            return Ok(Verdict::Changed(format!("changes the schema when it is run again: {what}")));
        }
    }
    for (query, inside) in &trace.catalogs {
        if list(session, query).await? != *inside {
            return Ok(Verdict::Unclear);
        }
    }
    let tables: Vec<String> = trace.rows.keys().cloned().collect();
    if let Some(tables) = rows::changed(&rows::digests(session, &tables).await?, &trace.rows) {
        return Ok(Verdict::Changed(format!("changes rows of {tables} when it is run again")));
    }
    for (called, (query, inside)) in &trace.beside {
        if list(session, query).await? != *inside {
            return Ok(Verdict::Changed(format!("changes {called} when it is run again")));
        }
    }
    Ok(Verdict::Same)
}

/// The questions that compare what was written to the catalogs; `None` where only a comparison of the whole can tell.
async fn catalog_queries(session: &Session, written: &[Written], xid: &str) -> Result<Option<Vec<Answer>>> {
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
            let own =
                format!("SELECT t.{key}::text FROM pg_catalog.{} t WHERE t.xmin::text::bigint >= {xid}", table.name);
            let keys = list(session, &own).await?;
            if keys.is_empty() {
                return Ok(None);
            }
            let deparsed = DEPARSED.iter().find(|(name, _)| *name == table.name).map_or("''", |(_, deparsed)| deparsed);
            let query = format!(
                "SELECT (pg_catalog.to_jsonb(t) - '{UNSTABLE}'::text[], {deparsed})::text FROM pg_catalog.{} t \
                 WHERE t.{key} IN ({}) ORDER BY 1",
                table.name,
                keys.join(", ")
            );
            let inside = list(session, &query).await?;
            queries.push((query, inside));
            continue;
        }
        let remade = REMADE.iter().find(|(name, ..)| *name == table.name);
        let Some((name, owner, meaning)) = remade.filter(|_| table.inserted == table.deleted) else { return Ok(None) };
        let own =
            format!("SELECT DISTINCT t.{owner}::text FROM pg_catalog.{name} t WHERE t.xmin::text::bigint >= {xid}");
        let owners = list(session, &own).await?;
        if owners.is_empty() {
            return Ok(None);
        }
        let query = format!(
            "SELECT {meaning}::text FROM pg_catalog.{name} t WHERE t.{owner} IN ({}) ORDER BY 1",
            owners.join(", ")
        );
        let inside = list(session, &query).await?;
        queries.push((query, inside));
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
