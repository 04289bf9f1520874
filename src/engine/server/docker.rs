//! A throwaway server in a container.

use super::ThrowawayOptions;
use super::address::ServerAddress;
use crate::engine::dump::DumpProgram;
use crate::error::{Error, Result};

/// A running container.
#[derive(Debug)]
pub struct DockerServer {
    address: ServerAddress,
    program: DumpProgram,
}

impl DockerServer {
    /// Starts it.
    pub async fn start(options: &ThrowawayOptions) -> Result<DockerServer> {
        usable(options).await?;
        Err(Error::failed("no engine"))
    }
    /// How it is reached.
    pub fn address(&self) -> &ServerAddress {
        &self.address
    }
    /// Its pg_dump.
    pub fn dump_program(&self) -> DumpProgram {
        self.program.clone()
    }
    /// Removes it.
    pub async fn remove(self) -> Result<()> {
        Ok(())
    }
}

/// Whether it can be used.
pub async fn usable(_options: &ThrowawayOptions) -> Result<()> {
    Err(Error::failed("Docker is not used yet"))
}
