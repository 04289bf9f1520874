//! A role that may not read or write the version table: who may, and what helps.

use super::Found;
use crate::engine::session::Session;
use crate::error::Error;

/// SQLSTATE of a privilege that is missing.
const DENIED: &str = "42501";

/// Whether this role may write the version table, or make it where there is none.
pub(super) const MAY_WRITE: &str = "COALESCE(pg_catalog.has_table_privilege(pg_catalog.to_regclass('dbbuild.migration'), 'INSERT'), \
    pg_catalog.has_database_privilege(pg_catalog.current_database(), 'CREATE'))";

/// The role, the owner of the version table or else of the database, the database, and whether the role may read all; names
/// as SQL takes them.
const ACCESS: &str = "SELECT pg_catalog.quote_ident(CURRENT_USER), \
    pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(COALESCE(n.nspowner, d.datdba))), pg_catalog.quote_ident(d.datname), \
    n.oid IS NULL OR pg_catalog.has_schema_privilege(n.oid, 'USAGE') AND NOT EXISTS (SELECT FROM pg_catalog.pg_class c \
    WHERE c.relnamespace = n.oid AND c.relkind = 'r' AND NOT pg_catalog.has_table_privilege(c.oid, 'SELECT')) \
    FROM pg_catalog.pg_database d LEFT JOIN pg_catalog.pg_namespace n ON n.nspname = 'dbbuild' \
    WHERE d.datname = pg_catalog.current_database()";

/// Says of an error of reading the version table whose that is and what to grant, where that is the reason.
pub async fn explain(session: &Session, description: &str, error: Error) -> Error {
    if error.code() != Some(DENIED) {
        return error;
    }
    let Some([role, owner, _, may_read]) = access(session).await else { return error };
    if may_read == "t" {
        return error;
    }
    let denied = Error::failed(format!("`{role}` may not read the version table of {description}")).sqlstate(DENIED);
    let denied = error.causes().iter().fold(denied, Error::cause);
    denied.help(format!(
        "it belongs to `{owner}`: connect as that role or as a member of it. A role that only looks needs `GRANT USAGE ON \
         SCHEMA dbbuild TO {role}; GRANT SELECT ON ALL TABLES IN SCHEMA dbbuild TO {role}` from it. Nothing was changed."
    ))
}

/// The error of a role that is to write the version table and may not.
pub async fn may_not_write(session: &Session, found: &Found) -> Error {
    let Some([role, owner, database, _]) = access(session).await else {
        return Error::failed(format!("this role may not write the version table of {}", found.facts.description));
    };
    let (what, whose, grant) = match found.history.installed {
        true => ("write the version table of", "it", String::new()),
        false => (
            "make the schema dbbuild in",
            "the database",
            format!(", or let it `GRANT CREATE ON DATABASE {database} TO {role}`"),
        ),
    };
    Error::failed(format!("`{role}` may not {what} {}", found.facts.description)).sqlstate(DENIED).help(format!(
        "{whose} belongs to `{owner}`: connect as that role or as a member of it{grant}. Nothing was run."
    ))
}

async fn access(session: &Session) -> Option<[String; 4]> {
    let row = session.query_rows(ACCESS).await.ok()?.into_iter().next()?;
    row.into_iter().collect::<Option<Vec<_>>>()?.try_into().ok()
}
