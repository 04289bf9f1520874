//! A plain restore: what psql makes of the output of `pg_dump`, without a hand of dbbuild's. It tells what the two change
//! by themselves.

use super::server::ThrowawayPlan;
use crate::engine::catalog;
use crate::engine::dump::DumpProgram;
use crate::error::{Error, OrFailed, Result};
use crate::model::baseline::{RoleNeed, role_statements};
use crate::model::catalog::Catalog;
use crate::model::config::Config;
use crate::model::conninfo::LIBPQ_VARIABLES;
use crate::model::sql::identifier;
use std::process::Stdio;
use tokio::io::AsyncWriteExt;

/// Loads a dump into a throwaway by psql and reads the catalog. Statements that fail are passed over, as psql does.
///
/// # Errors
/// There is no psql, or no server.
pub async fn restored(
    config: &Config,
    programs: &DumpProgram,
    dump: &[u8],
    own_roles: &[String],
    roles: &[RoleNeed],
) -> Result<Catalog> {
    let DumpProgram::Local(installation) = programs else { return Err(Error::failed("a restore needs a local psql")) };
    let plan = ThrowawayPlan::from_config(config)?.choose(true).await?;
    let side = plan.start(&|_| {}).await?;
    let mut text = own_roles.iter().map(|role| superuser(role)).collect::<String>().into_bytes();
    text.extend(role_statements(roles).bytes());
    text.extend(after_connect(dump));
    let psql = installation.program("psql");
    let mut command = tokio::process::Command::new(&psql);
    LIBPQ_VARIABLES.iter().for_each(|variable| {
        command.env_remove(variable);
    });
    command.envs(side.libpq_env()).args(["-X", "-q", "-o", "/dev/null"]);
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    let failed = || format!("cannot run {}", psql.display());
    let mut child = command.spawn().or_failed(failed)?;
    if let Some(mut stdin) = child.stdin.take() {
        // psql that ends early says so by its status alone; what it made is compared anyway.
        let _ = stdin.write_all(&text).await;
    }
    child.wait().await.or_failed(failed)?;
    let mut own_roles = own_roles.to_vec();
    own_roles.extend(side.own_roles());
    let read = catalog::read_exactly(side.session().client(), &own_roles).await;
    side.end().await;
    let mut catalog = read?;
    catalog.forget_aspect("tablespace");
    Ok(catalog)
}

fn superuser(role: &str) -> String {
    let name = identifier(role);
    format!("CREATE ROLE {name};\nALTER ROLE {name} SUPERUSER;\n")
}

/// The throwaway has its database: what makes one is left out, down to the line that connects to it.
fn after_connect(dump: &[u8]) -> &[u8] {
    const CONNECT: &[u8] = b"\n\\connect ";
    let Some(at) = dump.windows(CONNECT.len()).position(|window| window == CONNECT) else { return dump };
    let rest = &dump[at + 1..];
    let end = rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
    &rest[end..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_makes_the_database_is_left_out() {
        assert_eq!(after_connect(b"CREATE DATABASE x;\n\n\\connect x\n\nSELECT 1;\n"), b"\n\nSELECT 1;\n");
        assert_eq!(after_connect(b"SELECT 1;\n"), b"SELECT 1;\n");
    }
}
