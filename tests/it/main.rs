//! All integration tests, as one program, so that they share one PostgreSQL server of each major version. `support` is
//! the hermetic world that each test runs in; every other module tests one area of behaviour.

// Only for tests: what cannot be had there is a failed test, and what is printed is shown when one fails.
#![allow(clippy::unwrap_used, clippy::print_stderr)]

mod adopt;
mod attic_keep;
mod bad_input;
mod batch;
mod commands;
mod connection;
mod definitions;
mod docker;
mod edited;
mod env_migrations;
mod failing_sql;
mod fidelity;
mod guard;
mod harness;
mod hba;
mod histories;
mod hooks;
mod import;
mod index;
mod init;
mod journal;
mod keeper;
mod kill;
mod lock;
mod machine;
mod merging;
mod new;
mod order;
mod parts;
mod past;
mod placeholders;
mod preconditions;
mod proof;
mod psql_files;
mod published;
mod push;
mod rehearse;
mod repositories;
mod roles;
mod round_trip;
mod runners;
mod sample;
mod secure;
mod squash;
mod states;
mod support;
mod switch;
mod template_data;
mod tenants;
mod tour;
mod upstream_proof;
mod verify;
