//! Running `pg_dump` against any server and taking what it writes.
//!
//! What the text means, and what is made of it, is the business of `model::baseline`.

use std::process::Stdio;

use crate::engine::server::docker_engine;
use crate::engine::server::programs::{self, Installation};
use crate::error::{Error, OrFailed, Result};

/// Which `pg_dump` is run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DumpProgram {
    /// A local program, found by [`DumpProgram::for_server`] or by the server that it belongs to.
    Local(Installation),
    /// The program inside a container; the server is reached over the container's own socket.
    Container {
        /// The container.
        id: String,
        /// The server's port inside, which its socket is named after.
        port: u16,
    },
}

impl DumpProgram {
    /// The local `pg_dump` for a server of version `server_major` where `pinned` is the version of the baseline.
    ///
    /// A dump that becomes a baseline must be made by the pinned version; `newer` allows a newer program for other ends.
    pub fn for_server(
        bin_dir: Option<&std::path::Path>,
        server_major: u32,
        pinned: Option<u32>,
        newer: bool,
    ) -> Result<DumpProgram> {
        let wanted = pinned.unwrap_or(server_major);
        if wanted < server_major {
            return Err(Error::failed(format!(
                "the server runs PostgreSQL {server_major}, and pg_dump {wanted} cannot dump a newer server"
            ))
            .help(format!(
                "set postgres.version = {server_major} in dbbuild.toml; {}",
                programs::how_to_install(server_major)
            )));
        }
        programs::find_client(bin_dir, wanted, newer).map(DumpProgram::Local)
    }
}

/// Which server and database is dumped, and as whom.
#[derive(Clone)]
pub struct DumpSource {
    /// libpq's environment variables (`PGHOST`, `PGPASSWORD`, …): nothing of them is on a command line.
    pub env: Vec<(String, String)>,
    /// The database, for messages.
    pub database: String,
    /// The program to run.
    pub program: DumpProgram,
}

impl DumpSource {
    /// The connection's own options, and after them those that a dump must not be without.
    fn session_options(&self) -> String {
        let own = self.env.iter().find(|(name, _)| name == "PGOPTIONS").map_or("", |(_, value)| value.as_str());
        format!("{own} {SESSION}").trim_start().to_owned()
    }
}

/// What is dumped.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DumpOptions {
    /// Definitions without rows.
    pub schema_only: bool,
    /// Rows without definitions.
    pub data_only: bool,
    /// Schemas left out (patterns of `pg_dump -N`).
    pub exclude_schemas: Vec<String>,
    /// Tables left out whole (patterns of `-T`).
    pub exclude_tables: Vec<String>,
    /// Tables whose rows are left out.
    pub exclude_table_data: Vec<String>,
    /// Only these tables (patterns of `-t`).
    pub tables: Vec<String>,
    /// `SET ROLE` before dumping.
    pub role: Option<String>,
    /// Rows of partitions are written as rows of their root.
    pub load_via_partition_root: bool,
    /// Further arguments of `pg_dump`.
    pub extra: Vec<String>,
}

/// Settings of the dumping session that would otherwise change its bytes: `ALTER DATABASE … SET` may have changed them.
const SESSION: &str = "-c timezone=UTC -c bytea_output=hex -c quote_all_identifiers=off -c lc_monetary=C \
                       -c default_transaction_read_only=on -c xmloption=content -c jit=off -c statement_timeout=0 \
                       -c lock_timeout=0 -c max_parallel_workers_per_gather=0 -c search_path=pg_catalog";

impl DumpOptions {
    fn arguments(&self) -> Vec<String> {
        let mut arguments: Vec<String> =
            ["--format=plain", "--encoding=UTF8", "--no-password"].map(String::from).into();
        let mut flag = |set: bool, name: &str| arguments.extend(set.then(|| name.to_owned()));
        flag(self.schema_only, "--schema-only");
        flag(self.data_only, "--data-only");
        flag(self.load_via_partition_root, "--load-via-partition-root");
        let lists = [
            ("--exclude-schema", &self.exclude_schemas),
            ("--exclude-table", &self.exclude_tables),
            ("--exclude-table-data", &self.exclude_table_data),
            ("--table", &self.tables),
        ];
        for (name, patterns) in lists {
            arguments.extend(patterns.iter().map(|pattern| format!("{name}={pattern}")));
        }
        arguments.extend(self.role.iter().map(|role| format!("--role={role}")));
        arguments.extend(self.extra.iter().cloned());
        arguments
    }
}

/// The text of a dump. Gone with the future: dropping it ends the program.
pub async fn pg_dump(source: &DumpSource, options: &DumpOptions) -> Result<Vec<u8>> {
    let (status, stdout, stderr) = match &source.program {
        DumpProgram::Local(programs) => run_local(programs, source, options).await?,
        DumpProgram::Container { id, port } => run_in_container(id, *port, source, options).await?,
    };
    if status == 0 {
        return Ok(stdout);
    }
    Err(explain(&source.database, status, &stderr))
}

async fn run_local(
    programs: &Installation,
    source: &DumpSource,
    options: &DumpOptions,
) -> Result<(i64, Vec<u8>, Vec<u8>)> {
    let program = programs.require("pg_dump")?;
    let mut command = tokio::process::Command::new(&program);
    for (name, _) in std::env::vars_os() {
        // A left-over PGSERVICE, PGOPTIONS or locale of the caller must not lead elsewhere or change a byte.
        let name = name.to_string_lossy();
        if name.starts_with("PG") || name.starts_with("LC_") || name == "LANGUAGE" {
            command.env_remove(&*name);
        }
    }
    command.env("PGAPPNAME", "dbbuild").envs(source.env.iter().map(|(name, value)| (name, value)));
    command.env("LC_ALL", "C").env("PGTZ", "UTC").env("PGOPTIONS", source.session_options());
    command.args(options.arguments()).stdin(Stdio::null()).kill_on_drop(true);
    let output = command.output().await.or_failed(|| format!("cannot run {}", program.display()))?;
    Ok((output.status.code().map_or(-1, i64::from), output.stdout, output.stderr))
}

async fn run_in_container(
    id: &str,
    port: u16,
    source: &DumpSource,
    options: &DumpOptions,
) -> Result<(i64, Vec<u8>, Vec<u8>)> {
    // Inside, the server is reached over its own socket, whatever port of the host leads to it.
    let inside = |name: &str| matches!(name, "PGUSER" | "PGPASSWORD" | "PGDATABASE");
    let mut env: Vec<String> =
        source.env.iter().filter(|(name, _)| inside(name)).map(|(name, value)| format!("{name}={value}")).collect();
    env.extend([
        "LC_ALL=C".into(),
        "PGTZ=UTC".into(),
        format!("PGOPTIONS={}", source.session_options()),
        "PGAPPNAME=dbbuild".into(),
    ]);
    env.extend(["PGHOST=/var/run/postgresql".into(), format!("PGPORT={port}")]);
    let mut argv = vec!["pg_dump".to_owned()];
    argv.extend(options.arguments());
    docker_engine::exec(&docker_engine::connect()?, id, "postgres", argv, env).await
}

/// Tells the two failures that have a remedy from the rest.
fn explain(database: &str, status: i64, stderr: &[u8]) -> Error {
    let stderr = String::from_utf8_lossy(stderr);
    let mut error = Error::failed(format!("pg_dump of `{database}` failed (exit status {status})"));
    if stderr.contains("server version mismatch") {
        let versions = stderr.lines().find(|line| line.contains("server version:")).unwrap_or("").trim();
        let major = versions
            .split("server version:")
            .nth(1)
            .and_then(|rest| rest.split_whitespace().next()?.split(['.', ';']).next()?.parse::<u32>().ok());
        error = Error::failed(format!("pg_dump is older than the server of `{database}`"));
        if let Some(major) = major {
            error = error.help(programs::how_to_install(major));
        }
    }
    error.detail(stderr.trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_become_arguments_that_hold_no_secret() {
        let options = DumpOptions {
            schema_only: true,
            exclude_schemas: vec!["dbbuild".into()],
            role: Some("shop".into()),
            ..DumpOptions::default()
        };
        let arguments = options.arguments().join(" ");
        assert!(arguments.ends_with("--schema-only --exclude-schema=dbbuild --role=shop"), "{arguments}");
    }

    #[test]
    fn an_older_pg_dump_is_told_what_to_install() {
        let stderr = b"pg_dump: error: aborting because of server version mismatch\n\
            pg_dump: detail: server version: 17.10; pg_dump version: 15.4 (Debian 15.4-1)\n";
        let error = explain("shop", 1, stderr);
        assert!(error.helps()[0].contains("17"), "{:?}", error.helps());
    }

    #[test]
    fn a_pinned_version_older_than_the_server_is_refused() {
        let error = DumpProgram::for_server(None, 17, Some(15), true).unwrap_err();
        assert!(error.message().contains("17"), "{error}");
    }
}
