//! One migration on each of a thousand databases of one durable server, beside psql started for each by xargs. Both work on
//! the same databases, turn by turn, and change the same table in the same way.

use std::cell::Cell;
use std::fmt::Write;
use std::fs;
use std::process::Command;

use anyhow::{Result, ensure};

use super::measure::{Measured, alternate};
use super::rows::side;
use super::scratch::{Lab, Repository};
use crate::workspace;

/// Databases, and how many of them at once.
const DATABASES: u32 = 1000;
const JOBS: &str = "8";

/// Applies one more migration to all.
pub fn apply(lab: &Lab) -> Result<Measured> {
    let repository = tenants(lab)?;
    let names = lab.dir().join("tenants.txt");
    fs::write(&names, names_of().concat())?;
    let round = Cell::new(1000);
    let ours = || {
        round.set(round.get() + 1);
        fs::write(
            repository.migrations().join(format!("3000010100{}_column.sql", round.get())),
            change("ours", round.get()),
        )?;
        repository.commit("one more")?;
        lab.server.psql("postgres", "CHECKPOINT")?;
        Ok(repository.dbbuild(&["apply", "--env", "tenants", "--jobs", JOBS]))
    };
    let theirs = || {
        let script = lab.dir().join("tenant.sql");
        fs::write(&script, change("theirs", round.get()))?;
        lab.server.psql("postgres", "CHECKPOINT")?;
        let psql = lab.server.psql_command("NAME");
        let mut xargs = Command::new("xargs");
        xargs.args(["-P", JOBS, "-I", "NAME", "-a"]).arg(&names).arg(psql.get_program()).args(psql.get_args());
        xargs.args(["-1", "-f"]).arg(&script).env("LC_ALL", "C");
        Ok(xargs)
    };
    let measured = alternate(lab.rounds, 1, &side(&ours), &side(&theirs))?;
    let columns =
        "SELECT count(*) FROM pg_attribute WHERE attrelid = 'tenant_data'::regclass AND attname ~ '^(ours|theirs)'";
    for name in names_of() {
        let found = lab.server.psql(name.trim(), columns)?;
        ensure!(found.trim() == (2 * lab.rounds).to_string(), "{} has {} new columns", name.trim(), found.trim());
    }
    Ok(measured)
}

fn change(who: &str, round: u32) -> String {
    let column = format!("{who}_{round}");
    format!(
        "ALTER TABLE tenant_data ADD COLUMN {column} integer NOT NULL DEFAULT 0;\nCREATE INDEX ON tenant_data ({column});\n"
    )
}

fn names_of() -> Vec<String> {
    (1..=DATABASES).map(|n| format!("tenant_{n:04}\n")).collect()
}

/// A thousand copies of a database with some history, each marked. They are made without waiting for the disk, which is
/// asked for everything before anything is timed.
fn tenants(lab: &Lab) -> Result<Repository<'_>> {
    let repository = lab.repository("tenants", 20)?;
    let table = "CREATE TABLE tenant_data (id bigint PRIMARY KEY, body text);\n\
                 INSERT INTO tenant_data SELECT n, 'row ' || n FROM generate_series(1, 1000) n;\n";
    fs::write(repository.migrations().join("30000101000000_tenant_data.sql"), table)?;
    let mut config = fs::read_to_string(repository.path.join("dbbuild.toml"))?;
    config.push_str("\n[env.tenants]\nurl_env = \"BENCH_URL\"\ntargets = { pattern = \"tenant_*\" }\n");
    fs::write(repository.path.join("dbbuild.toml"), config)?;
    repository.commit("tenants")?;
    lab.server.fresh(&repository.database)?;
    workspace::output(&mut repository.dbbuild(&["apply", "--env", "bench"]))?;
    let fsync = |value: &str| -> Result<()> {
        lab.server.psql("postgres", &format!("ALTER SYSTEM SET fsync = {value}"))?;
        lab.server.psql("postgres", "SELECT pg_reload_conf()").map(drop)
    };
    fsync("off")?;
    let mut script = String::new();
    for name in names_of() {
        writeln!(script, "CREATE DATABASE {} TEMPLATE {} STRATEGY file_copy;", name.trim(), repository.database)?;
    }
    let file = lab.dir().join("tenants.sql");
    fs::write(&file, script)?;
    workspace::output(lab.server.psql_command("postgres").arg("-f").arg(&file))?;
    workspace::output(&mut repository.dbbuild(&[
        "env",
        "mark",
        "tenants",
        "--all",
        "--confirm",
        "tenants",
        "--jobs",
        JOBS,
    ]))?;
    lab.server.psql("postgres", "CHECKPOINT")?;
    fsync("on")?;
    workspace::output(&mut Command::new("sync"))?;
    Ok(repository)
}
