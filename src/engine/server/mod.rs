//! PostgreSQL servers that dbbuild runs itself: throwaways for proofs, and the private server of a repository.
//!
//! - [`programs`] finds PostgreSQL on this machine, [`state`] the folders that outlive a run, [`process`] the processes.
//! - [`cluster`] makes, configures and starts a data directory; [`template`] keeps fresh ones to copy.
//! - [`throwaway`] is the server of a proof, from [`local`] programs, from [`docker`], or as a [`docker_guest`] in a container
//!   that [`docker_keeper`] keeps, whose loopback [`docker_relay`] reaches; [`sweep`] removes what a kill left; [`kept`] holds stopped ones to start from.
//! - [`embedded`] is the server that stays, one for each repository without an address of its own.
//!
//! What runs in these servers is not known here, and only throwaways are ever removed.

pub mod address;
pub mod cluster;
pub mod docker;
pub mod docker_engine;
pub mod docker_guest;
pub mod docker_keeper;
pub mod docker_relay;
pub mod embedded;
mod embedded_docker;
pub mod kept;
pub mod local;
pub mod process;
pub mod programs;
pub mod state;
pub mod sweep;
pub mod template;
pub mod throwaway;

pub use address::{HostOrSocketDir, ServerAddress, random_bits, random_token};
pub use embedded::{Embedded, EmbeddedOptions, EmbeddedStatus};
pub use throwaway::{Choice, Inside, Origin, Stopped, Throwaway, ThrowawayKind, ThrowawayOptions, choose};

#[cfg(test)]
mod tests;
