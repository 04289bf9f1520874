//! The commands, one file each.

pub mod adopt;
pub mod apply;
pub mod attic;
pub mod baseline;
pub mod bootstrap;
pub mod build;
pub mod changelog;
pub mod completions;
pub mod definitions;
pub mod doctor;
pub mod downgrade;
pub mod drift;
pub mod drop;
pub mod env;
pub mod hba;
pub mod history;
pub mod hook;
pub mod hooks;
pub mod init;
pub mod log;
pub mod man;
pub mod new;
pub mod plan;
pub mod psql;
pub mod rehearse;
pub mod reset;
pub mod roles;
pub mod secure;
pub mod seed;
pub mod server;
pub mod squash;
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
    ///
    /// Makes a git repository where there is none. What exists already is never overwritten: a second run changes
    /// nothing, and says so. With --from the migrations of another tool take the place of the examples, and everything
    /// that was not carried over is told.
    Init(init),
    /// Write a new migration from a template
    ///
    /// The file is named after the UTC time and NAME, and its path is printed. A pattern that needs several steps to go
    /// without downtime gives several files. Every template can run twice without a change. With --down a first draft of the
    /// down part of a migration that has none is written into its file, once it was proved to take the schema back; of a
    /// published one it is printed.
    New(new),
    /// Take over an existing database
    ///
    /// Writes what it holds as the first migration: its schema, and the rows of the tables named by --data alone. Writes
    /// its roles and the baseline too, marks it, and records that migration as applied. All of it is first proved in
    /// throwaway servers to make the same database. With --from it records what another tool has applied of the
    /// migrations that `init --from` converted, and runs nothing.
    Adopt(adopt),
    /// Bring the local database and the baseline up to the checked-out files (the default)
    ///
    /// Starts the embedded server or reaches the configured one, makes the database if it is missing, applies what is
    /// missing, runs changed repeatable files, init data, allowed test data and the checks. Makes the baseline anew in a
    /// throwaway server where its inputs changed, and says where the local database differs from it.
    Build(build),
    /// Show what is applied, pending, changed, interrupted or unknown
    ///
    /// Writes nothing. "changed" is a migration whose file has other content than what was applied; "unknown" is one
    /// that was applied here but has no file: a phantom of another branch, which is named.
    Status(status),
    /// Show exactly what a run would execute; writes nothing
    ///
    /// Lists each step with its statements, the locks it takes and the estimated size of the tables that it locks.
    Plan(plan),
    /// Run what is pending on a deployed database; never test data
    ///
    /// Runs pending migrations, repeatable files, init data and the checks. Needs no git repository, and writes nothing
    /// to the tree.
    Apply(apply),
    /// Run what is pending on a throwaway copy of the real data, and tell what it did there
    ///
    /// Copies the database under one snapshot, runs there what `apply` would run, and tells for each step its time, the locks
    /// that it took, what was rewritten, what grew and which rows it touched; then the checks. The database itself is read
    /// only. Exit status 1: something fails.
    Rehearse(rehearse),
    /// Go back to a version, commit or tag, and keep what that drops
    ///
    /// Runs the down parts that were kept when each migration was applied, the last applied first. What they drop or
    /// change goes into the attic, and comes back with the next upgrade. A protected database wants the fingerprint of a
    /// plan that loses nothing.
    Downgrade(downgrade),
    /// List, show, export or drop what is kept of migrations that were taken back
    ///
    /// What a down part drops, overwrites or narrows lies in the attic, the schema dbbuild_attic of the database, until the
    /// same migration is applied again and gives it back.
    Attic(attic),
    /// Write, read and try the bodies of secure migrations, which are not in git
    ///
    /// A migration with `-- dbbuild:secure` is a stand-in; its body lies under `secure_path` of each environment.
    /// MIGRATION is a version, VERSION_name or a path. `--env` may be given more than once.
    Secure(secure),
    /// Load a set of test data
    ///
    /// Loads it again, whether it was loaded before or not. Refused on a protected database.
    Seed(seed),
    /// Prove that baseline and migrations agree, in throwaway servers
    ///
    /// Judges the index, unless told otherwise; files are read from git and nothing is checked out. Exit status 1: a
    /// script fails or a rule is broken; 3: the baseline is not what the migrations make.
    Verify(verify),
    /// Make the baseline anew
    ///
    /// From nothing but the files, in throwaway servers. A run that fails leaves the old baseline as it was.
    Baseline(baseline),
    /// Write what each object is into a file of its own, for reading
    ///
    /// From the baseline, one file for each object; verification then also proves that these files alone make the same
    /// schema. Files that dbbuild did not write stay as they are.
    Definitions(definitions),
    /// Replace old migrations by one that makes the same
    ///
    /// Everything older than VERSION becomes one migration, made from the baseline at that point and proved to come to the
    /// same database. Databases that ran the old ones stay valid and run nothing; a known one that lacks some is refused.
    Squash(squash),
    /// Make a new database from the baseline; never test data
    ///
    /// Makes the database if it is missing, refuses one that is not empty, loads the baseline, then runs what the
    /// baseline does not hold.
    Bootstrap(bootstrap),
    /// Drop the local database and build it again
    ///
    /// Refused on a protected database.
    Reset(reset),
    /// Drop the local database
    ///
    /// Refused on a protected database.
    Drop(drop),
    /// Compare, make equal or write down the roles of a server (db/roles.toml)
    ///
    /// `check` reads the file alone; `plan` shows what sets a server apart from it, `apply` runs that, and `adopt` writes the
    /// server's roles into the file. Passwords are named by their place and sent as SCRAM verifiers.
    Roles(roles),
    /// Install, remove or show the git hooks
    Hooks(hooks),
    /// What git's hooks call
    #[command(hide = true)]
    Hook(hook),
    /// Show or set the mark that says which environment a database is
    Env(env),
    /// Start, stop or show the private PostgreSQL of this repository
    Server(server),
    /// Compare a live database with the baseline of the commit that it claims
    ///
    /// Object by object; with --verbose both sides of each definition. Exit status 3 where something differs. Reads only.
    Drift(drift),
    /// Check, compare, apply or adopt host-based access: who may connect from where
    ///
    /// The rules are in db/pg_hba.conf, in PostgreSQL's own format, or in pg_hba.ENV.conf beside it for one environment.
    Hba(hba),
    /// Open psql on the database
    ///
    /// What stands after -- goes to psql: `dbbuild psql -- -c 'SELECT 1'`. The prompt names the environment, in red where
    /// it is protected. With `run_as` of the environment psql starts through those words.
    Psql(psql),
    /// Show what was applied, when, by whom
    Log(log),
    /// Follow a table, column, function or any object through the history of baselines
    ///
    /// Shows, newest first, which commit, author, date and file made it what it is. OBJECT is written as people write it:
    /// orders, shop.orders, orders.total, function shop.total(int), index orders_by_date. Starts no server.
    History(history),
    /// Print what changed in the database between two commits
    ///
    /// Object by object, as Markdown; with --json as one value. FROM may be a commit from before the baseline existed.
    Changelog(changelog),
    /// Check git, configuration, PostgreSQL, Docker, hooks and database
    ///
    /// Each line is ok, a warning or a problem with its remedy. Exit status 1 where there is a problem.
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
