//! `cargo xtask bench`: dbbuild against its peers. Each row times both sides alternately in one run and judges the ratio
//! of their medians, because a ratio survives a slow machine and seconds do not. Needs the peers and a generator of
//! histories, which stand outside the repository; see the options.

mod downgrade;
mod histories;
mod measure;
mod merging;
mod postgres;
mod proving;
mod rows;
mod scratch;
mod tenants;

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};

use crate::workspace;
use measure::{Measured, Verdict};
use rows::ROWS;
use scratch::Lab;

pub use measure::{MeasureOptions, run_measured};

/// The options of `cargo xtask bench`.
#[derive(clap::Args)]
pub struct Options {
    /// Rows to run; all where none is named
    #[arg(value_parser = clap::builder::PossibleValuesParser::new(ROWS.iter().map(|row| row.name)))]
    names: Vec<String>,
    /// Folder of the peers, `py/bin/dbmate` below it; made by the script beside it where it is missing
    #[arg(long, env = "DBBUILD_BENCH_PEERS")]
    peers: Option<PathBuf>,
    /// Script that installs the peers: `install.sh FOLDER`
    #[arg(long, default_value = "../shared/peers/install.sh")]
    peers_script: PathBuf,
    /// Script that writes a synthetic history: `history.py COUNT FOLDER [START]`
    #[arg(long, default_value = "../shared/bench/history.py")]
    history_script: PathBuf,
    /// Folder of real histories: `NAME/up/VERSION_name.sql`
    #[arg(long, default_value = "../shared/histories")]
    histories: PathBuf,
    /// Folder on a real disk for the durable server; a temporary one below it is used
    #[arg(long, default_value = "/var/tmp")]
    disk: PathBuf,
    /// Samples of each side
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Measure this program instead of a fresh release build
    #[arg(long)]
    dbbuild: Option<PathBuf>,
    /// Spare dbmate the dump that `dbmate up` writes at its end
    #[arg(long)]
    dbmate_no_dump: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// One line of the table: what, against what, and how much is allowed.
struct Row {
    name: &'static str,
    work: &'static str,
    against: &'static str,
    limit: f64,
    run: fn(&Lab) -> Result<Measured>,
}

/// Runs the rows; `false` when one is over its limit or could not be measured.
pub fn run(options: &Options) -> Result<bool> {
    let lab = Lab::open(options)?;
    let mut lines = Vec::new();
    let mut good = true;
    for row in ROWS.iter().filter(|row| options.names.is_empty() || options.names.iter().any(|name| name == row.name)) {
        eprintln!("{}: {} against {}", row.name, row.work, row.against);
        match (row.run)(&lab) {
            Ok(measured) => {
                let verdict = measured.verdict(row.limit);
                good &= verdict.ok;
                report(options, row, &verdict, &mut lines);
            }
            // The other rows are still worth having.
            Err(error) => {
                good = false;
                eprintln!("{}: not measured: {error:#}", row.name);
                lines.push(serde_json::json!({ "name": row.name, "error": format!("{error:#}") }));
            }
        }
    }
    if options.json {
        println!("{}", serde_json::to_string_pretty(&lines)?);
    }
    Ok(good)
}

fn report(options: &Options, row: &Row, verdict: &Verdict, lines: &mut Vec<serde_json::Value>) {
    if !options.json {
        let mark = if verdict.ok { "ok" } else { "OVER" };
        println!(
            "{:<16} {:>10} {:>10}  {:>7.2} of {:>5.2}  {mark}",
            row.name, verdict.ours, verdict.theirs, verdict.value, row.limit
        );
    }
    lines.push(serde_json::json!({
        "name": row.name,
        "work": row.work,
        "against": row.against,
        "ours": verdict.ours,
        "theirs": verdict.theirs,
        "value": verdict.value,
        "limit": row.limit,
        "ok": verdict.ok,
    }));
}

/// The program to measure: the one that was named, else a release build of this tree.
fn program(options: &Options) -> Result<PathBuf> {
    if let Some(given) = &options.dbbuild {
        return std::path::absolute(given).context("cannot resolve --dbbuild");
    }
    let mut build = workspace::cargo();
    build.args(["build", "--release", "--quiet", "--package", "dbbuild"]).current_dir(workspace::root()?);
    ensure!(build.status().context("cannot start cargo")?.success(), "the release build failed");
    Ok(workspace::target_dir()?.join("release/dbbuild"))
}
