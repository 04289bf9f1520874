//! The rules: values and pure functions. No file, network, git, clock, environment variable or terminal is reached from here.

pub mod apart;
pub mod baseline;
pub mod branch;
pub mod catalog;
pub mod changelog;
pub mod checksum;
pub mod config;
pub mod conninfo;
pub mod directive;
pub mod guard;
pub mod import;
pub mod migration;
pub mod placeholder;
pub mod plan;
pub mod preview;
pub mod psql;
pub mod published;
pub mod reconcile;
pub mod review;
pub mod roles;
pub mod script;
pub mod snapshot;
pub mod sources;
pub mod sql;
pub mod template;
pub mod version;
