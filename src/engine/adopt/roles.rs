//! The roles of a database for `db/roles.toml`: those that it mentions, their groups, and who belongs to them.

use crate::engine::roles::read_cluster;
use crate::engine::session::Session;
use crate::error::Result;
use crate::model::roles::Role;
use crate::model::sql::literal;

/// Reads roles. `mentioned` are those that the database names; whoever runs migrations belongs to them.
///
/// # Errors
/// The server said no.
pub(super) async fn read(session: &Session, mentioned: &[String]) -> Result<Vec<Role>> {
    let names: Vec<String> = mentioned.iter().map(|name| literal(name)).collect();
    let sql = format!(
        "WITH RECURSIVE known AS (\
             SELECT oid, rolname FROM pg_catalog.pg_roles WHERE oid >= 16384\
         ), seed AS (\
             SELECT oid FROM known WHERE rolname = CURRENT_USER OR rolname = ANY (ARRAY[{}]::pg_catalog.name[])\
         ), member AS (\
             SELECT oid FROM seed UNION SELECT a.member FROM pg_catalog.pg_auth_members a JOIN member m ON m.oid = a.roleid\
         ), wanted AS (\
             SELECT oid FROM member UNION SELECT a.roleid FROM pg_catalog.pg_auth_members a JOIN wanted w ON w.oid = a.member\
         ) SELECT r.rolname FROM pg_catalog.pg_roles r JOIN wanted w ON w.oid = r.oid WHERE r.oid >= 16384 ORDER BY 1",
        names.join(", ")
    );
    let rows = session.query_rows(&sql).await?;
    let cluster = read_cluster(session).await?;
    Ok(rows.into_iter().flatten().flatten().filter_map(|name| cluster.declared(&name)).collect())
}
