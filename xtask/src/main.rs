//! The chores of this repository, as `cargo xtask COMMAND`. Each command is a module; nothing here is part of dbbuild.
//!
//! ```text
//! tidy/     what a compiler does not check: layers, form of files, code map, README
//! test.rs   all tests, with everything they need fetched first
//! fetch.rs  PostgreSQL of several major versions, kept below target/
//! runners.rs  programs that run git hooks, kept below target/
//! bench/    dbbuild against its peers, as ratios in one run
//! ```

mod bench;
mod fetch;
mod runners;
mod test;
mod tidy;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// The chores of this repository.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// List every fault of form: layers, file headers and lengths, code map, README, scripts
    Tidy,
    /// Fetch what the tests need and run all of them
    Test(test::Options),
    /// Measure dbbuild against its peers
    Bench(bench::Options),
    /// Run a command and write its peak memory; `bench` calls itself so
    #[command(hide = true)]
    Measure(bench::MeasureOptions),
}

fn main() -> ExitCode {
    let outcome = match Args::parse().command {
        Command::Tidy => tidy::run(),
        Command::Test(options) => test::run(&options),
        Command::Bench(options) => bench::run(&options),
        Command::Measure(options) => bench::run_measured(&options),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
