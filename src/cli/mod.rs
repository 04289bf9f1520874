//! The command line: arguments in, results out.
//!
//! One file per command, each with `Args` and `run`: it parses, calls the engine and hands the result to [`output`],
//! which alone prints. Only `main` ends the process.

pub mod commands;
mod context;
mod events;
mod interrupt;
mod many;
pub mod output;
mod progress;
mod ran;

pub use context::Context;
pub use events::Events;

use crate::error::{Error, Result, Status};
use clap::{Args, CommandFactory, Parser};
use commands::Command;
use interrupt::Signals;
use output::Output;
use std::path::PathBuf;
use std::time::Duration;

/// Builds a PostgreSQL database from files in git, and proves that they agree
///
/// The files below db/ are the source, a local database is the build, and db/baseline.sql is the proved result. Without a
/// command dbbuild builds: it brings the local database up to the checked-out files and makes the baseline anew.
#[derive(Debug, Parser)]
#[command(name = "dbbuild", version, max_term_width = 100, after_help = AFTER_HELP)]
pub struct Cli {
    #[command(flatten)]
    globals: Globals,
    #[command(subcommand)]
    command: Option<Command>,
}

const AFTER_HELP: &str = "Exit status: 0 done, or already so; 1 failed or refused; 2 wrong command line or configuration; \
    3 a difference was found.";

/// How long work that cannot be broken off may go on after the command has ended.
const LAST_MOMENT: Duration = Duration::from_secs(10);

/// Options of every command.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Common options")]
pub struct Globals {
    /// The environment to work on; the default is `default_env` of dbbuild.toml
    #[arg(long, global = true, value_name = "NAME", env = "DBBUILD_ENV", hide_env_values = true)]
    pub env: Vec<String>,
    /// The database's address instead of the configured one: a URL or key=value pairs, as libpq takes them
    #[arg(long, global = true, value_name = "URL")]
    pub url: Option<String>,
    /// Of an environment that has many databases, those that this name or pattern (`*`, `?`) means
    #[arg(long, global = true, value_name = "NAME")]
    pub target: Vec<String>,
    /// Run as if started in this folder
    #[arg(short = 'C', global = true, value_name = "DIR")]
    pub directory: Option<PathBuf>,
    /// The configuration file instead of the nearest dbbuild.toml
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Print results as JSON
    #[arg(long, global = true)]
    pub json: bool,
    /// Print errors and what was asked for only
    #[arg(short, long, global = true)]
    pub quiet: bool,
    /// Print each migration and more
    #[arg(short, long, global = true, conflicts_with = "quiet")]
    pub verbose: bool,
    /// No colours (NO_COLOR does the same)
    #[arg(long, global = true)]
    pub no_color: bool,
    /// Answer yes to questions; never to the guard's
    #[arg(short, long, global = true)]
    pub yes: bool,
}

/// How a command ended that met no error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Done {
    /// As it should be.
    Well,
    /// It found the difference that it was asked for.
    Differs,
    /// The program that it ran ended with this status, and has said why.
    Ended(u8),
}

/// Runs the program and returns its exit status.
pub fn main() -> u8 {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(e) => return output::print_usage(&e),
    };
    let output = Output::new(&cli.globals);
    let status = match start(cli, &output) {
        Ok(Done::Well) => 0,
        Ok(Done::Differs) => Status::Difference.code(),
        Ok(Done::Ended(status)) => status,
        Err(e) => {
            output.error(&e);
            e.status().code()
        }
    };
    match output::loss() {
        Some(e) => {
            output.error(&e);
            if status == 0 { e.status().code() } else { status }
        }
        None => status,
    }
}

fn start(cli: Cli, output: &Output) -> Result<Done> {
    let context = Context::new(cli.globals, output.clone())?;
    let command = cli.command.unwrap_or_default();
    if context.globals.env.len() > 1 && !matches!(command, Command::Secure(_)) {
        return Err(Error::usage("`--env` is given twice").help("this command works on one environment."));
    }
    // The hook must cost milliseconds where there is nothing to do: it starts no runtime of its own.
    if let Command::Hook(args) = &command
        && let Some(done) = commands::hook::shortcut(&context, args)?
    {
        return Ok(done);
    }
    // Ctrl-C in psql cancels a query there.
    let heeds_interrupt = !matches!(command, Command::Psql(_));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|e| Error::failed("cannot start").cause(e))?;
    let done = runtime.block_on(async {
        // Before any work: a signal that finds no handler ends the process on the spot, with a throwaway left behind.
        let mut signals = Signals::listen(heeds_interrupt)?;
        tokio::select! {
            biased;
            done = command.run(&context) => done,
            () = context.interrupt.asked(&mut signals) => Err(Error::failed("interrupted").help(
                "what was running is rolled back, throwaway servers are gone; run the same command again, it goes on where it stood.",
            )),
        }
    });
    // A server that is just being started must not hold up the end; it dies with this process.
    runtime.shutdown_timeout(LAST_MOMENT);
    done
}

/// The command's definition, for completions and manual pages.
pub fn definition() -> clap::Command {
    Cli::command()
}
