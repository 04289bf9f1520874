//! `cargo xtask test`: all tests, after fetching what they need. Tests learn from the environment what is there:
//!
//! | variable | meaning |
//! | --- | --- |
//! | `DBBUILD_TEST_PG15` … `PG18` | folder of that major version's programs |
//! | `DBBUILD_TEST_HUSKY`, `…_LEFTHOOK`, `…_PRE_COMMIT` | that program, which runs git hooks |
//! | `DBBUILD_TEST_MOTO` | `moto_server`, a server with the API of S3 |
//! | `DBBUILD_TEST_DOCKER` | an engine answers and the image is there |
//! | `DBBUILD_NO_SKIP` | a test that lacks something fails instead of skipping |
//! | `DBBUILD_SKIP_LOG` | file to which a test adds a line when it skips |
//! | `DBBUILD_HISTORIES` | passed through: a folder of real histories to replay |

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use crate::{fetch, runners, workspace};

/// The options of `cargo xtask test`.
#[derive(clap::Args)]
pub struct Options {
    /// Fail where a test would be skipped for want of PostgreSQL or Docker
    #[arg(long, env = "DBBUILD_NO_SKIP", value_parser = clap::builder::FalseyValueParser::new())]
    no_skip: bool,
    /// Run only tests whose name contains this
    #[arg(long)]
    filter: Option<String>,
}

/// The packages with the arguments of their runs. Tests that kill at random moments run by themselves, one at a time:
/// beside a hundred others their moments would all fall into the start of a server.
const RUNS: [(&str, &[&str]); 3] = [
    ("dbbuild", &["--", "--skip", "kill::"]),
    ("dbbuild", &["--test", "it", "kill::", "--", "--test-threads=1"]),
    ("xtask", &[]),
];

/// Runs the tests; `false` when one failed or something is missing that must not be.
pub fn run(options: &Options) -> Result<bool> {
    let mut variables: Vec<(String, String)> = Vec::new();
    let mut missing: Vec<String> = Vec::new();
    for major in fetch::MAJORS {
        match fetch::postgres(major) {
            Ok(bin) => {
                println!("PostgreSQL {major}: {}", bin.display());
                variables.push((format!("DBBUILD_TEST_PG{major}"), bin.display().to_string()));
            }
            Err(error) => missing.push(format!("PostgreSQL {major}: {error:#}")),
        }
    }
    for (variable, fetch) in runners::ALL {
        let given = std::env::var_os(variable).map(std::path::PathBuf::from);
        match given.map_or_else(fetch, Ok) {
            Ok(program) => variables.push((variable.to_owned(), program.display().to_string())),
            Err(error) => missing.push(format!("{variable}: {error:#}")),
        }
    }
    match docker() {
        Ok(()) => variables.push(("DBBUILD_TEST_DOCKER".into(), "1".into())),
        Err(error) => missing.push(format!("Docker: {error:#}")),
    }
    for line in &missing {
        println!("missing: {line}");
    }
    if options.no_skip && !missing.is_empty() {
        anyhow::bail!("skipping is forbidden and something is missing");
    }

    let log = tempfile::NamedTempFile::new().context("cannot make a temporary file")?;
    let mut passed = true;
    // One package at a time: together they would share features, and so be built anew after a plain `cargo test`.
    for (package, apart) in RUNS {
        let wanted = |filter: &String| apart.first() != Some(&"--test") || filter.contains("kill");
        if !options.filter.as_ref().is_none_or(wanted) {
            continue;
        }
        let mut cargo = workspace::cargo();
        cargo.args(["test", "--no-fail-fast", "--package", package]).current_dir(workspace::root()?);
        cargo.envs(variables.clone()).env("DBBUILD_SKIP_LOG", log.path());
        // Said in one place only, so that `--no-skip` and the variable cannot contradict each other.
        if options.no_skip {
            cargo.env("DBBUILD_NO_SKIP", "1")
        } else {
            cargo.env_remove("DBBUILD_NO_SKIP")
        };
        let filter = options.filter.iter().filter(|_| apart.first() != Some(&"--test"));
        passed &= cargo.args(filter).args(apart).status().context("cannot start cargo")?.success();
    }

    report_skips(log.path(), &missing)?;
    Ok(passed)
}

/// Names what was not tested, each reason once.
fn report_skips(log: &Path, missing: &[String]) -> Result<()> {
    let text = std::fs::read_to_string(log).context("cannot read the list of skipped tests")?;
    let mut reasons: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (test, reason) in text.lines().filter_map(|line| line.split_once('\t')) {
        reasons.entry(reason).or_default().push(test);
    }
    if reasons.is_empty() && missing.is_empty() {
        println!("nothing was skipped");
    }
    for line in missing {
        println!("not available: {line}");
    }
    for (reason, mut tests) in reasons {
        tests.sort_unstable();
        tests.dedup();
        println!("skipped for want of {reason}: {}", tests.join(", "));
    }
    Ok(())
}

/// Makes the image that the tests run, where an engine answers.
fn docker() -> Result<()> {
    let mut ask = Command::new("docker");
    ask.args(["version", "--format", "{{.Server.Version}}"]);
    workspace::output(&mut ask).context("no engine answers")?;
    let script = workspace::root()?.join("xtask/docker/build-image.sh");
    let status = Command::new("bash").arg(&script).status().context("cannot start bash")?;
    anyhow::ensure!(status.success(), "{} failed ({status})", script.display());
    Ok(())
}
