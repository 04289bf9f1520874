//! The database that is copied: read in one read-only transaction, whose snapshot its copy shares.

use crate::engine::session::Session;
use crate::error::{Error, Result};
use crate::model::sql::literal;
use std::time::Duration;

/// What a copy needs to know of it.
#[derive(Debug, Clone)]
pub(super) struct Source {
    /// Its name.
    pub database: String,
    /// The role that connects.
    pub user: String,
    /// The role that is configured to run migrations, where the server has it.
    pub runner: Option<String>,
    /// That role is a superuser, or may make a physical copy.
    pub may_replicate: bool,
    /// A replication slot is to be had.
    pub free_slot: bool,
    /// The role that the server was made with.
    pub first_superuser: String,
    /// Bytes of the database, and of all databases of its server.
    pub bytes: u64,
    pub server_bytes: u64,
    /// Whether anything lies outside of the data directory.
    pub tablespaces: bool,
    /// Extensions with their versions.
    pub extensions: Vec<(String, String)>,
    /// Statements that make its roles, without login.
    pub roles: Vec<String>,
    /// The snapshot that is held.
    pub snapshot: String,
}

/// Begins a transaction that only reads, and that waits for no lock for long.
pub(super) async fn begin(session: &Session, lock_timeout: Duration) -> Result<()> {
    let sql = format!(
        "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL lock_timeout = {}; SET LOCAL statement_timeout = 0; \
         SET LOCAL idle_in_transaction_session_timeout = 0",
        lock_timeout.as_millis()
    );
    session.simple(&sql).await.map(|_| ())
}

/// Reads it inside that transaction.
///
/// # Errors
/// The server said no.
pub(super) async fn read(session: &Session, role: Option<&str>) -> Result<Source> {
    let facts = "SELECT d.datname, SESSION_USER, u.rolsuper OR u.rolreplication, \
                 (SELECT rolname FROM pg_catalog.pg_roles WHERE oid = 10), pg_catalog.pg_database_size(d.oid)::text, \
                 (SELECT pg_catalog.sum(CASE WHEN pg_catalog.has_database_privilege(o.oid, 'CONNECT') OR u.rolsuper \
                    THEN pg_catalog.pg_database_size(o.oid) END) FROM pg_catalog.pg_database o)::text, \
                 EXISTS (SELECT FROM pg_catalog.pg_tablespace WHERE oid >= 16384), pg_catalog.pg_export_snapshot(), \
                 (SELECT pg_catalog.count(*) FROM pg_catalog.pg_replication_slots) \
                    < pg_catalog.current_setting('max_replication_slots')::bigint \
                 FROM pg_catalog.pg_database d, pg_catalog.pg_roles u \
                 WHERE d.datname = pg_catalog.current_database() AND u.rolname = SESSION_USER";
    let rows = session.query_rows(facts).await?;
    let row = rows.first().ok_or_else(|| Error::failed("the database does not say what it is"))?;
    let text = |at: usize| row.get(at).cloned().flatten().unwrap_or_default();
    let number = |at: usize| text(at).parse().unwrap_or(0);
    let extensions = session.query_rows("SELECT extname, extversion FROM pg_catalog.pg_extension ORDER BY 1").await?;
    let pair = |row: &Vec<Option<String>>| (row[0].clone().unwrap_or_default(), row[1].clone().unwrap_or_default());
    let mut roles = Vec::new();
    for query in [ROLES, SETTINGS, MEMBERSHIPS] {
        roles.extend(session.query_rows(query).await?.into_iter().filter_map(|row| row.into_iter().next().flatten()));
    }
    let runner = match role {
        Some(role) => {
            let known = format!("SELECT FROM pg_catalog.pg_roles WHERE rolname = {}", literal(role));
            (!session.query_rows(&known).await?.is_empty()).then(|| role.to_owned())
        }
        None => None,
    };
    Ok(Source {
        runner,
        database: text(0),
        user: text(1),
        may_replicate: text(2) == "t",
        first_superuser: text(3),
        bytes: number(4),
        server_bytes: number(5),
        tablespaces: text(6) == "t",
        extensions: extensions.iter().filter(|row| row.len() == 2).map(pair).collect(),
        roles,
        snapshot: text(7),
        free_slot: text(8) == "t",
    })
}

/// The throwaway has a `postgres` of its own. Nobody but the role that runs migrations may log in there.
const ROLES: &str = "SELECT pg_catalog.format('CREATE ROLE %I NOLOGIN%s%s%s%s%s', rolname, \
    CASE WHEN rolsuper THEN ' SUPERUSER' ELSE '' END, CASE WHEN rolcreatedb THEN ' CREATEDB' ELSE '' END, \
    CASE WHEN rolcreaterole THEN ' CREATEROLE' ELSE '' END, CASE WHEN rolbypassrls THEN ' BYPASSRLS' ELSE '' END, \
    CASE WHEN rolinherit THEN '' ELSE ' NOINHERIT' END) \
    FROM pg_catalog.pg_roles WHERE rolname !~ '^pg_' AND rolname <> 'postgres' ORDER BY oid";

/// Settings whose value is a list stand in the catalog as they are written.
const SETTINGS: &str = "SELECT pg_catalog.format('ALTER ROLE %I SET %s TO %s', r.rolname, \
    pg_catalog.quote_ident(pg_catalog.split_part(s, '=', 1)), \
    CASE WHEN pg_catalog.split_part(s, '=', 1) IN ('search_path', 'temp_tablespaces', 'session_preload_libraries', \
        'local_preload_libraries') THEN NULLIF(pg_catalog.substr(s, pg_catalog.strpos(s, '=') + 1), '') \
    ELSE pg_catalog.quote_literal(pg_catalog.substr(s, pg_catalog.strpos(s, '=') + 1)) END) \
    FROM pg_catalog.pg_roles r, pg_catalog.unnest(r.rolconfig) s \
    WHERE r.rolname !~ '^pg_' AND s !~ '^(temp_tablespaces|session_preload_libraries|local_preload_libraries)=' \
      AND s !~ '^search_path=$' ORDER BY 1";

/// The options of PostgreSQL 16 are given where the server has them.
const MEMBERSHIPS: &str = "SELECT DISTINCT pg_catalog.format('GRANT %I TO %I%s', g.rolname, m.rolname, \
    CASE WHEN a ? 'inherit_option' THEN pg_catalog.format(' WITH ADMIN %s, INHERIT %s, SET %s', a ->> 'admin_option', \
        a ->> 'inherit_option', a ->> 'set_option') \
    WHEN (a ->> 'admin_option')::boolean THEN ' WITH ADMIN OPTION' ELSE '' END) \
    FROM (SELECT pg_catalog.to_jsonb(am) AS a FROM pg_catalog.pg_auth_members am) x \
    JOIN pg_catalog.pg_roles g ON g.oid = (a ->> 'roleid')::oid JOIN pg_catalog.pg_roles m ON m.oid = (a ->> 'member')::oid \
    WHERE m.rolname !~ '^pg_' ORDER BY 1";
