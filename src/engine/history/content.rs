//! Whether a database is empty: nothing in it beyond what `template1` and extensions bring.
//!
//! Objects that are younger than their database were made in it. Older ones came with its template: with `template1`,
//! or with a copy of any other database, which is as full as its original.

use crate::engine::session::{self, ConnectOptions, Session};
use crate::error::Result;
use std::collections::BTreeSet;

/// The first OID that the server gives to objects of users.
const FIRST_NORMAL: &str = "16384";

/// SQL that is true where objects of users exist that were made in this very database, and where older ones do.
pub(super) fn made_here_and_brought() -> String {
    let exists = |from: &str, to: &str| format!("EXISTS (SELECT FROM ({}) o)", objects(from, to));
    let made = format!(
        "{} OR EXISTS (SELECT FROM pg_catalog.pg_largeobject_metadata)",
        // `postgres` and `template1` are younger than nothing: the server's own objects have greater OIDs.
        exists(&format!("GREATEST(d.oid, {FIRST_NORMAL}::pg_catalog.oid)"), "'4294967295'::pg_catalog.oid")
    );
    format!("{made}, {}", exists(FIRST_NORMAL, "d.oid"))
}

/// The objects of users with an OID in a range, without those of extensions, of dbbuild and of sessions.
fn objects(from: &str, to: &str) -> String {
    let kinds = [
        ("pg_class", "relname", "relnamespace"),
        ("pg_proc", "proname", "pronamespace"),
        ("pg_type", "typname", "typnamespace"),
        ("pg_namespace", "nspname", "oid"),
    ];
    let select = |(catalog, name, schema): (&str, &str, &str)| {
        format!(
            "SELECT 'pg_catalog.{catalog}'::pg_catalog.regclass AS catalog, x.oid, x.{name} AS name, x.{schema} AS schema \
             FROM pg_catalog.{catalog} x WHERE x.oid >= {from} AND x.oid < {to}"
        )
    };
    format!(
        "SELECT a.catalog, a.oid, a.name FROM ({}) a \
         WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_depend e \
                           WHERE e.classid = a.catalog AND e.objid = a.oid AND e.deptype IN ('e', 'i')) \
           AND NOT EXISTS (SELECT FROM pg_catalog.pg_namespace n WHERE n.oid = a.schema \
                           AND (n.nspname IN ('dbbuild', 'dbbuild_attic', 'pg_toast') OR n.nspname ~ '^pg_(toast_)?temp_'))",
        kinds.map(select).join(" UNION ALL ")
    )
}

/// Whether the objects that are older than the database are those of `template1`. A copy keeps their OIDs. Where
/// `template1` cannot be asked, they are not.
///
/// # Errors
/// The database itself cannot be asked.
pub(super) async fn came_with_template1(session: &Session) -> Result<bool> {
    let all = format!(
        "SELECT o.catalog::text, o.oid, o.name FROM ({}) o",
        objects(FIRST_NORMAL, "'4294967295'::pg_catalog.oid")
    );
    let here: BTreeSet<_> = session.query_rows(&all).await?.into_iter().collect();
    let settings = session.settings().with_database("template1");
    let Ok(template) = session::connect(&settings, &ConnectOptions::default()).await else { return Ok(false) };
    let there: BTreeSet<_> = template.query_rows(&all).await.unwrap_or_default().into_iter().collect();
    template.close().await;
    Ok(here.is_subset(&there))
}
