//! dbbuild builds a PostgreSQL database from files in git, and proves that they and the committed baseline agree.
//!
//! This page is the map of the code. `cargo xtask tidy` checks that it names every module and none that is gone. What
//! the program does for its users stands in README.md.
//!
//! # Layers
//!
//! ```text
//! cli      arguments in, results out        src/cli
//!  ↓
//! engine   the edges and what runs on them  src/engine
//!  ↓
//! model    values and pure rules            src/model
//!  ↓
//! error    the one error                    src/error.rs
//! ```
//!
//! A layer names itself and those below it, never one above; `cargo xtask tidy` checks that too.
//!
//! # Data flow
//!
//! ```text
//! a run:     Args → Config; Source → Snapshot → Sources; Session → Found (facts, History)
//!            → Plan → Cleared → runner → Report → output
//! back:      the same, with a Rehearsal → Proof before what is Cleared
//! a proof:   Sources → replay in a throwaway       ┐
//!            baseline → load in another one        ┼→ dumps, catalogs → settled, compared → verdict → cache
//!            upstream's baseline → upgrade in more ┘
//! ```
//!
//! One runner serves build, apply, seed, bootstrap and the replay of a proof. `plan` prints the very plan that a run
//! executes. The plan carries a fingerprint of the history it was made from; it is made again under the lock.
//!
//! # Invariants, as absences
//!
//! - `model` reaches no file, network, git, clock, environment variable or terminal. It cannot block, and the same
//!   arguments give the same result.
//! - `engine` does not print and does not exit. It tells what happens through events and returns values.
//! - Nothing but `src/cli/output.rs` prints. Nothing but `src/main.rs` ends the process.
//! - Nothing runs on a user's database without a `Cleared`, which only `src/model/guard.rs` makes, and which owns the plan.
//! - No proof touches a user's database: a baseline comes from throwaway servers alone.
//! - No check reads the work tree when the index or a commit was asked for, and nothing is ever checked out.
//! - No regular expression decides about SQL: a lexer (`src/model/sql/`) does.
//!   One exception: which sequences a down part may set is guessed from words, by the server, since functions may name them
//!   (`src/engine/attic/sequences.rs`); one too many is only held for longer.
//! - No value that is printed or stored holds a password: connection settings have a `Display` without one.
//! - No word of a secure body is printed or stored: `src/engine/runner/discreet.rs` runs it, and cloaks what the server says.
//! - A hook writes nothing that git sees. No file is replaced but whole and atomically.
//!
//! # Modules
//!
//! The program and its base:
//!
//! - `src/main.rs`: calls [`cli::main`] and exits.
//! - `src/error.rs`: [`error::Error`]: what happened, where, why, and what helps; its exit status.
//!
//! The rules, in [`model`] (`src/model/mod.rs`):
//!
//! - `src/model/version.rs`, `src/model/checksum.rs`: the number of a migration; SHA-256 over normalised text.
//! - `src/model/sql/`: the lexer: statements, their kinds, locks and objects, what takes them back, passwords; quotes around names and texts.
//! - `src/model/script/`, `src/model/script.rs`: one text that is run, with its place in a file.
//! - `src/model/directive/`, `src/model/directive.rs`: `-- migrate:` and `-- dbbuild:` lines.
//! - `src/model/placeholder.rs`: what `${name}` in a file stands for, and how it is kept from being shown.
//! - `src/model/psql/`, `src/model/psql.rs`: psql's commands in a file that it runs, and what such a file takes in.
//! - `src/model/migration.rs`: a migration as its file tells it; `src/model/apart.rs`: what keeps one out of the baseline.
//! - `src/model/secure.rs`: where bodies of secure migrations may lie, and what a body must be.
//! - `src/model/provenance.rs`: which run of a pipeline this is, and who started it.
//! - `src/model/squash.rs`: a migration that stands for many, and how a database stands to it.
//! - `src/model/definitions.rs`: what each object is, one file each: which files there should be, how they load.
//! - `src/model/snapshot.rs`: path → bytes, from whichever source.
//! - `src/model/sources/`, `src/model/sources.rs`: everything under `db/`, read from a snapshot and checked.
//! - `src/model/config/`: `dbbuild.toml`: keys, defaults, faults with line and column.
//! - `src/model/conninfo/`: connection settings as libpq understands them.
//! - `src/model/glob.rs`: patterns of names.
//! - `src/model/published.rs`: what upstream has, against which a branch is judged.
//! - `src/model/draft.rs`: a first down part, made from a simple up part.
//! - `src/model/guard.rs`: may this action run on this database?
//! - `src/model/review.rs`: what can be said against scripts before anything runs.
//! - `src/model/reconcile.rs`: what a database has that the tree has not, and the way back.
//! - `src/model/attic/`, `src/model/attic.rs`: what taking back would lose, as it is kept; what two looks at a database mean.
//! - `src/model/branch.rs`: the name of a branch's own database.
//! - `src/model/plan/`, `src/model/plan.rs`: what a run executes, in order; `src/model/preview.rs`: the same as people and JSON see it.
//! - `src/model/baseline/`: the baseline's text: dumps taken apart, normalised, ordered, compared, rendered.
//! - `src/model/catalog/`: what a database consists of, and what differs between two.
//! - `src/model/changelog.rs`: what changed between two baselines, as people read it.
//! - `src/model/hba/`: rules of host-based access: the first that fits, those that are hidden, what is dangerous, what differs.
//! - `src/model/access.rs`: `db/access.toml`: who is expected to get in.
//! - `src/model/roles/`: `db/roles.toml`: what it declares, what sets a cluster apart from it, how it is written.
//! - `src/model/import/`: the files of other tools, turned into dbbuild's; one file for each tool.
//! - `src/model/template/`: the texts of `dbbuild init` and `dbbuild new`.
//!
//! The edges, in [`engine`] (`src/engine/mod.rs`):
//!
//! - `src/engine/git/`: what the index, a commit or the work tree holds; staging one file; running the `git` program.
//! - `src/engine/files.rs`: reading the tree, replacing files atomically.
//! - `src/engine/fleet/`: the databases of an environment that has many: found, chosen, so many at once.
//! - `src/engine/project.rs`: the folder with `dbbuild.toml`, its repository and its sources from any source.
//! - `src/engine/upstream.rs`: the published state that a judgement is measured against.
//! - `src/engine/session/`: one connection: TLS, password and service files, poolers, notices, errors as values.
//! - `src/engine/target.rs`: the database of an environment: found, reached, made, dropped.
//! - `src/engine/history/`: the version table: its schema, its rows, the mark.
//! - `src/engine/provenance.rs`: who runs, for the version table.
//! - `src/engine/lock.rs`: one dbbuild at a time, also where the working session holds the lock; `src/engine/mark.rs`: a person's word on what a database is.
//! - `src/engine/runner/`: executes a cleared plan; journal and resumption of what cannot share a transaction; preconditions,
//!   batches, psql, times of statements.
//! - `src/engine/downgrade/`: a version or commit to go back to: understood, planned, rehearsed, judged, run.
//! - `src/engine/settle.rs`: a person's word on an interrupted statement.
//! - `src/engine/upgrade.rs`: read, plan, clear, lock, run: the way of every command that writes to a database.
//! - `src/engine/deployment/`: apply, plan, status, drift and what the attic still has of one database, as values that a
//!   command prints.
//! - `src/engine/secure/`: bodies of secure migrations in folders and object stores; put into plans.
//! - `src/engine/server/`: embedded and throwaway servers, of local programs or Docker; kept states; their removal.
//! - `src/engine/dump.rs`: running `pg_dump`.
//! - `src/engine/catalog/`: reading catalogs, a fingerprint of all that a dump shows, and whether any object changed.
//! - `src/engine/prove/`: the proof: replay, load, upgrade from upstream, compare, idempotence, test data, round trips.
//! - `src/engine/rehearse/`: what is pending, run on a throwaway copy of the real data, and what it did there.
//! - `src/engine/rewrite.rs`: refuses or allows what was done to a published migration.
//! - `src/engine/roles/`: roles of a cluster read and made what the file says; passwords fetched; roles of throwaways.
//! - `src/engine/definitions.rs`: writing definitions.
//! - `src/engine/squash/`: old migrations replaced by the baseline at their end, proved; the databases that must have them.
//! - `src/engine/baseline.rs`: the baseline of the work tree: leave to rewrite, the file, the verdict that comes with it.
//! - `src/engine/verdict.rs`: a judgement from end to end: files, what they are measured against, the verdict that is kept.
//! - `src/engine/cache.rs`: what was proved once, below git's common directory.
//! - `src/engine/attic/`: what down parts lose, kept in the same transaction, and given back by the next up part.
//! - `src/engine/adopt/`: an existing database read, written down as migration zero, proved, recorded.
//! - `src/engine/hba/`: access files judged in a throwaway, with real logins; a server's compared, replaced and taken back.
//! - `src/engine/drift.rs`: what a database has that its sources do not make.
//! - `src/engine/switch/`: what a switch, a merge or an edit means for the local database; a database for each branch.
//! - `src/engine/sizes.rs`: estimated sizes of tables.
//! - `src/engine/past.rs`: the commits that changed the baseline, and what each made of an object.
//! - `src/engine/hooks/`: installing the scripts of `hooks/` beside existing ones; other programs that run hooks.
//! - `src/engine/import/`: another tool's files read, and what was made of them put in their place, all or nothing.
//! - `src/engine/merge/`: the merge driver: the sources of three versions found, merged, and their baseline made.
//!
//! The user, in [`cli`] (`src/cli/mod.rs`):
//!
//! - `src/cli/context.rs`: what every command starts from.
//! - `src/cli/output.rs`: printing: results, notes, errors, JSON; questions on a terminal.
//! - `src/cli/ran.rs`: what a run did to a database, as people and JSON see it.
//! - `src/cli/events.rs`: what happens, as lines of JSON.
//! - `src/cli/progress.rs`: progress on stderr.
//! - `src/cli/interrupt.rs`: what Ctrl-C does.
//! - `src/cli/many/`: what commands on many databases share: options, bars, errors, JSON; what each says stands beside it.
//! - `src/cli/commands/`: one file for each command: `Args` and `run`.
//!
//! # Tests
//!
//! Pure rules are tested beside their code, parsers by properties, the guard by an exhaustive table. `tests/it/` holds
//! everything else as one program, with a hermetic world for each test and real PostgreSQL and git.

pub mod cli;
pub mod engine;
pub mod error;
pub mod model;
