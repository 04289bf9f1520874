//! The edges: git, PostgreSQL sessions, servers, files, and what runs over them. Nothing here prints or exits.

pub mod adopt;
pub mod attic;
pub mod baseline;
pub mod cache;
pub mod catalog;
pub mod definitions;
pub mod deployment;
pub mod downgrade;
pub mod drift;
pub mod dump;
pub mod files;
pub mod fleet;
pub mod git;
pub mod hba;
pub mod history;
pub mod hooks;
pub mod import;
pub mod lock;
pub mod mark;
pub mod merge;
pub mod past;
pub mod project;
pub mod prove;
pub mod provenance;
pub mod rehearse;
pub mod rewrite;
pub mod roles;
pub mod runner;
pub mod secure;
pub mod server;
pub mod session;
pub mod settle;
pub mod sizes;
pub mod squash;
pub mod switch;
pub mod target;
pub mod upgrade;
pub mod upstream;
pub mod verdict;

#[cfg(test)]
mod tests;
