//! dbbuild version-controls a PostgreSQL database with git.

pub mod cli;
pub mod engine;
pub mod error;
pub mod model;
