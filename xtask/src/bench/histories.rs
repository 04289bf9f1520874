//! The rows that apply real histories of other projects, beside one psql process that runs the same files in the same
//! transactions.

use std::fmt::Write;
use std::fs;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::measure::{Measured, alternate};
use super::rows::side;
use super::scratch::{Lab, Repository};
use crate::workspace;

/// As every careful replay in one session does it: what one file sets is not seen by the next.
const BETWEEN: &str = "DISCARD ALL;\nSET client_min_messages = warning;\n";

/// Drops what earlier runs left on the server: a history may make roles, and expect that nobody made them before.
const NO_ROLES: &str = "DO $$ DECLARE r name; BEGIN FOR r IN SELECT rolname FROM pg_roles WHERE rolname !~ '^pg_' \
                        AND rolname <> current_user LOOP EXECUTE format('DROP ROLE %I', r); END LOOP; END $$";

/// Applies a history to an empty database.
pub fn apply(lab: &Lab, name: &str) -> Result<Measured> {
    let up = lab.histories().join(name).join("up");
    ensure!(up.is_dir(), "{} is missing: name the histories by --histories", up.display());
    let repository = lab.repository_of(name, |folder| {
        for entry in fs::read_dir(&up)? {
            let entry = entry?;
            fs::copy(entry.path(), folder.join(entry.file_name()))?;
        }
        Ok(())
    })?;
    fresh(lab, &repository.database)?;
    workspace::output(&mut repository.dbbuild(&["apply", "--env", "bench"]))?;
    let script = lab.dir().join(format!("{name}.sql"));
    fs::write(&script, script_of(lab, &repository)?)?;
    let ours = || {
        fresh(lab, &repository.database)?;
        Ok(repository.dbbuild(&["apply", "--env", "bench"]))
    };
    let theirs = || -> Result<Command> {
        fresh(lab, &repository.database)?;
        let history = "CREATE TABLE history (version numeric PRIMARY KEY, checksum text NOT NULL, \
                       at timestamptz NOT NULL DEFAULT now())";
        lab.server.psql(&repository.database, &format!("CREATE SCHEMA bench; SET search_path = bench; {history}"))?;
        let mut psql = lab.server.psql_command(&repository.database);
        psql.args(["-o", "/dev/null", "-f"]).arg(&script);
        Ok(psql)
    };
    let measured = alternate(lab.rounds, 1, &side(&ours), &side(&theirs));
    lab.server.psql("postgres", &format!("DROP DATABASE {} WITH (FORCE)", repository.database))?;
    lab.server.psql("postgres", NO_ROLES)?;
    measured
}

fn fresh(lab: &Lab, database: &str) -> Result<()> {
    lab.server.psql("postgres", &format!("DROP DATABASE IF EXISTS {database} WITH (FORCE)"))?;
    lab.server.psql("postgres", NO_ROLES)?;
    lab.server.fresh(database)
}

/// Each file with its row in one transaction where dbbuild did so; else the file, and then its row.
fn script_of(lab: &Lab, repository: &Repository) -> Result<String> {
    let applied = "SELECT version FROM dbbuild.migration WHERE transactional";
    let applied = lab.server.psql(&repository.database, applied)?;
    let transactional: Vec<&str> = applied.lines().collect();
    let mut script = String::new();
    for file in repository.files()? {
        let name = file.file_name().and_then(|name| name.to_str()).context("a migration without a name")?;
        let (version, _) = name.split_once('_').context("a migration without a version")?;
        let row = format!("INSERT INTO bench.history VALUES ({version}, md5('{version}'));");
        let text = fs::read_to_string(&file)?;
        // psql would only warn of a BEGIN inside, and the COMMIT would end ours: such a file brings its own.
        let own = text.lines().any(|line| line.trim().trim_end_matches(';').eq_ignore_ascii_case("begin"));
        script.push_str(BETWEEN);
        match transactional.contains(&version) && !own {
            true => writeln!(script, "BEGIN;\n\\i {}\n{row}\nCOMMIT;", file.display())?,
            false => writeln!(script, "\\i {}\n{row}", file.display())?,
        }
    }
    Ok(script)
}
