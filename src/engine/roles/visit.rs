//! The databases in which dropped roles have something: whether they can be entered, and what others would lose there.

use super::{Planned, elsewhere};
use crate::engine::session::Session;
use crate::error::{Error, Result};
use crate::model::roles::{Change, Kind};
use crate::model::sql::literal;
use std::collections::BTreeSet;

/// The other databases that changes run in.
pub(super) fn databases(changes: &[Change]) -> Vec<&String> {
    let mut databases: Vec<&String> = changes.iter().filter_map(|change| change.database.as_ref()).collect();
    databases.dedup();
    databases
}

/// Looks whether what a plan drops can be dropped without a loss for others.
///
/// # Errors
/// A database does not let this role in, or a dropped role granted what others own: the drop is refused.
pub async fn visit(planned: &Planned, session: &Session) -> Result<()> {
    let changes = &planned.difference.changes;
    let mut faults = Vec::new();
    faults.extend(granted_on(session, changes, None).await?);
    for database in databases(changes) {
        match elsewhere(session, database).await {
            Ok(other) => {
                faults.extend(granted_on(&other, changes, Some(database)).await?);
                other.close().await;
            }
            Err(e) => faults.push(unreachable(e, database, changes)),
        }
    }
    Error::all(faults).map_or(Ok(()), Err)
}

pub(super) fn unreachable(error: Error, database: &str, changes: &[Change]) -> Error {
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

/// What dropped roles granted by a grant option, on what they do not own: `DROP OWNED` takes it away from everybody who
/// has it from them alone. What they own goes to the heir together with their grants.
const GRANTED_ON: &str = "WITH dropped AS (SELECT oid FROM pg_catalog.pg_roles WHERE rolname IN ({names})), \
    object (class, id, part, owner, acl) AS (\
        SELECT 'pg_class'::regclass, oid, 0, relowner, relacl FROM pg_catalog.pg_class \
        UNION ALL SELECT 'pg_class', c.oid, a.attnum, c.relowner, a.attacl \
            FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid \
        UNION ALL SELECT 'pg_proc', oid, 0, proowner, proacl FROM pg_catalog.pg_proc \
        UNION ALL SELECT 'pg_namespace', oid, 0, nspowner, nspacl FROM pg_catalog.pg_namespace \
        UNION ALL SELECT 'pg_type', oid, 0, typowner, typacl FROM pg_catalog.pg_type \
        UNION ALL SELECT 'pg_language', oid, 0, lanowner, lanacl FROM pg_catalog.pg_language \
        UNION ALL SELECT 'pg_foreign_data_wrapper', oid, 0, fdwowner, fdwacl FROM pg_catalog.pg_foreign_data_wrapper \
        UNION ALL SELECT 'pg_foreign_server', oid, 0, srvowner, srvacl FROM pg_catalog.pg_foreign_server \
        UNION ALL SELECT 'pg_largeobject', oid, 0, lomowner, lomacl FROM pg_catalog.pg_largeobject_metadata \
        UNION ALL SELECT 'pg_database', oid, 0, datdba, datacl FROM pg_catalog.pg_database \
        UNION ALL SELECT 'pg_tablespace', oid, 0, spcowner, spcacl FROM pg_catalog.pg_tablespace \
        UNION ALL SELECT 'pg_parameter_acl', oid, 0, 10, paracl FROM pg_catalog.pg_parameter_acl) \
    SELECT DISTINCT pg_catalog.pg_get_userbyid(g.grantor), g.privilege_type, \
        pg_catalog.pg_describe_object(o.class, o.id, o.part), \
        CASE g.grantee WHEN 0 THEN 'PUBLIC' ELSE pg_catalog.pg_get_userbyid(g.grantee) END \
    FROM object o, pg_catalog.aclexplode(o.acl) g \
    WHERE g.grantor IN (SELECT oid FROM dropped) AND o.owner NOT IN (SELECT oid FROM dropped) \
      AND g.grantee NOT IN (SELECT oid FROM dropped) \
      AND NOT EXISTS (SELECT FROM pg_catalog.aclexplode(o.acl) k WHERE k.grantee = g.grantee \
          AND k.privilege_type = g.privilege_type AND k.grantor NOT IN (SELECT oid FROM dropped)) ORDER BY 1, 3, 4, 2";

async fn granted_on(session: &Session, changes: &[Change], database: Option<&String>) -> Result<Option<Error>> {
    let here = changes.iter().filter(|one| one.kind == Kind::Disown && one.database.as_ref() == database);
    let names: BTreeSet<String> = here.map(|one| literal(&one.role)).collect();
    if names.is_empty() {
        return Ok(None);
    }
    let names: Vec<String> = names.into_iter().collect();
    let rows = session.query_rows(&GRANTED_ON.replace("{names}", &names.join(", "))).await?;
    let line = |row: Vec<Option<String>>| {
        let mut cells = row.into_iter().map(Option::unwrap_or_default);
        let mut next = || cells.next().unwrap_or_default();
        let (grantor, privilege, object, grantee) = (next(), next(), next(), next());
        format!("{grantor}: {privilege} on {object} to {grantee}")
    };
    let lines: Vec<String> = rows.into_iter().map(line).collect();
    Ok((!lines.is_empty()).then(|| {
        let place = session.settings().database();
        Error::failed(format!("refused to drop who granted others something in {place} that they would lose"))
            .detail(lines.join("\n"))
            .help("let its owner grant it too, or revoke it; nothing was changed.")
    }))
}
