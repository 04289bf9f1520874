//! The roles of a database for `db/roles.toml`: those that it mentions, their groups, and who belongs to them.

use crate::engine::history::literal;
use crate::engine::session::Session;
use crate::error::Result;
use crate::model::roles::Role;

/// Separates the items of a list in a row.
const ITEM: char = '\u{1f}';

const ATTRIBUTES: [&str; 6] = ["login", "superuser", "createdb", "createrole", "replication", "bypassrls"];

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
         ) SELECT r.rolname, r.rolcanlogin, r.rolsuper, r.rolcreatedb, r.rolcreaterole, r.rolreplication, \
             r.rolbypassrls, r.rolinherit, r.rolconnlimit, \
             CASE WHEN pg_catalog.isfinite(r.rolvaliduntil) THEN \
                pg_catalog.to_char(r.rolvaliduntil AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS+00') END, \
             (SELECT pg_catalog.string_agg(g.rolname, E'\\x1f' ORDER BY g.rolname) FROM pg_catalog.pg_auth_members a \
                JOIN pg_catalog.pg_roles g ON g.oid = a.roleid WHERE a.member = r.oid), \
             pg_catalog.array_to_string(r.rolconfig, E'\\x1f') \
         FROM pg_catalog.pg_roles r JOIN wanted w ON w.oid = r.oid WHERE r.oid >= 16384 ORDER BY 1",
        names.join(", ")
    );
    Ok(session.query_rows(&sql).await?.iter().map(|row| role(row)).collect())
}

fn role(row: &[Option<String>]) -> Role {
    let cell = |at: usize| row.get(at).and_then(Option::as_deref);
    let list = |at: usize| cell(at).filter(|text| !text.is_empty()).map(|text| text.split(ITEM)).into_iter().flatten();
    let mut member_of: Vec<String> = list(10).map(str::to_owned).collect();
    member_of.dedup();
    Role {
        name: cell(0).unwrap_or_default().to_owned(),
        attributes: ATTRIBUTES
            .iter()
            .enumerate()
            .filter(|(at, _)| cell(at + 1) == Some("t"))
            .map(|(_, a)| *a)
            .collect(),
        inherit: cell(7) != Some("f"),
        connection_limit: cell(8).and_then(|limit| limit.parse().ok()).unwrap_or(-1),
        valid_until: cell(9).map(str::to_owned),
        member_of,
        settings: list(11).filter_map(|item| item.split_once('=')).map(|(k, v)| (k.to_owned(), v.to_owned())).collect(),
    }
}
