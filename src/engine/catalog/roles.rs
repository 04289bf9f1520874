//! Which roles a database mentions, and which comments its extensions bring.

use super::{cell, query_rows};
use crate::error::Result;
use crate::model::baseline::RoleNeed;
use std::collections::BTreeMap;
use tokio_postgres::Client;

/// Roles that objects, privileges, policies and settings of this database name, with their memberships among each
/// other. Roles in `except` (who runs migrations, the superuser) are left out, as are PostgreSQL's own.
///
/// # Errors
/// Where the server refuses the query.
pub async fn mentioned_roles(client: &Client, except: &[String]) -> Result<Vec<RoleNeed>> {
    const SQL: &str = "WITH this AS (\
            SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()\
        ), mentioned AS (\
            SELECT r.oid, r.rolname FROM pg_catalog.pg_roles r WHERE r.oid >= 16384 AND r.oid IN (\
                SELECT d.refobjid FROM pg_catalog.pg_shdepend d, this \
                WHERE d.refclassid = 'pg_catalog.pg_authid'::pg_catalog.regclass AND (d.dbid = this.oid \
                    OR d.classid = 'pg_catalog.pg_database'::pg_catalog.regclass AND d.objid = this.oid AND d.deptype = 'a') \
                UNION SELECT s.setrole FROM pg_catalog.pg_db_role_setting s, this WHERE s.setdatabase = this.oid \
                UNION SELECT u.umuser FROM pg_catalog.pg_user_mappings u \
                UNION SELECT s.subowner FROM pg_catalog.pg_subscription s, this WHERE s.subdbid = this.oid)\
        ) SELECT m.rolname, g.rolname FROM mentioned m \
        LEFT JOIN pg_catalog.pg_auth_members a ON a.member = m.oid AND a.roleid IN (SELECT oid FROM mentioned) \
        LEFT JOIN mentioned g ON g.oid = a.roleid ORDER BY 1, 2";
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for row in query_rows(client, SQL).await? {
        let Some(name) = cell(&row, 0).filter(|name| !except.iter().any(|e| e == name)) else { continue };
        let groups = found.entry(name.to_owned()).or_default();
        groups.extend(cell(&row, 1).filter(|group| !except.iter().any(|e| e == group)).map(str::to_owned));
        groups.dedup();
    }
    Ok(found.into_iter().map(|(name, member_of)| RoleNeed { name, member_of }).collect())
}

/// The comment that each installed extension brings from its control file.
///
/// # Errors
/// Where the server refuses the query.
pub async fn own_extension_comments(client: &Client) -> Result<BTreeMap<String, String>> {
    const SQL: &str = "SELECT e.extname, a.comment FROM pg_catalog.pg_extension e \
        JOIN pg_catalog.pg_available_extensions() a ON a.name = e.extname WHERE a.comment IS NOT NULL";
    let rows = query_rows(client, SQL).await?;
    Ok(rows.iter().filter_map(|row| Some((cell(row, 0)?.to_owned(), cell(row, 1)?.to_owned()))).collect())
}
