//! What tests stand on: a hermetic [`World`] with a repository, [`Server`]s with a database per test, and a way to skip
//! that is seen and can be forbidden. Nothing here knows what dbbuild should do.

mod outcome;
mod run_dir;
mod running;
mod server;
mod skip;
mod terminal;
mod world;

pub use outcome::{Outcome, redact, run};
pub use running::{Gate, Held, Running, until};
pub use server::{Db, Server, as_server_user, free_port, matrix, server};
pub use skip::{docker, histories, runner, skip};
pub use terminal::Terminal;
pub use world::World;
