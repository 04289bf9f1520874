//! The commands, one file each.

pub mod apply;
pub mod baseline;
pub mod bootstrap;
pub mod build;
pub mod completions;
pub mod doctor;
pub mod drop;
pub mod env;
pub mod hook;
pub mod hooks;
pub mod init;
pub mod log;
pub mod man;
pub mod new;
pub mod plan;
pub mod psql;
pub mod reset;
pub mod seed;
pub mod server;
pub mod status;
pub mod verify;

use super::{Context, Done};
use crate::error::Result;
use clap::Subcommand;

macro_rules! commands {
    ($($(#[$doc:meta])* $name:ident($module:ident),)*) => {
        /// What to do.
        #[derive(Debug, Subcommand)]
        pub enum Command {
            $($(#[$doc])* $name($module::Args),)*
        }

        impl Command {
            /// Does it.
            ///
            /// # Errors
            /// Whatever the command says.
            pub async fn run(self, context: &Context) -> Result<Done> {
                match self {
                    $(Command::$name(args) => $module::run(context, args).await,)*
                }
            }
        }
    };
}

commands! {
    /// Lay out a repository: configuration, folders with an example each, hooks
    Init(init),
    /// Write a new migration from a template
    New(new),
    /// Bring the local database and the baseline up to the checked-out files (the default)
    Build(build),
    /// Show what is applied, pending, changed or unknown
    Status(status),
    /// Show exactly what a run would execute; writes nothing
    Plan(plan),
    /// Run what is pending on a deployed database; never test data
    Apply(apply),
    /// Load a set of test data
    Seed(seed),
    /// Prove that baseline and migrations agree, in throwaway servers
    Verify(verify),
    /// Make the baseline anew
    Baseline(baseline),
    /// Make a new database from the baseline; never test data
    Bootstrap(bootstrap),
    /// Drop the local database and build it again
    Reset(reset),
    /// Drop the local database
    Drop(drop),
    /// Install, remove or show the git hooks
    Hooks(hooks),
    /// What git's hooks call
    #[command(hide = true)]
    Hook(hook),
    /// Show or mark what a database is
    Env(env),
    /// The private PostgreSQL of this repository
    Server(server),
    /// Open psql on the database
    Psql(psql),
    /// Show what was applied, when, by whom
    Log(log),
    /// Check git, configuration, PostgreSQL, Docker, hooks and database
    Doctor(doctor),
    /// Print the completions of a shell
    Completions(completions),
    /// Write the manual pages into a folder
    Man(man),
}

impl Default for Command {
    fn default() -> Self {
        Command::Build(build::Args::default())
    }
}
