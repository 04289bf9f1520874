//! One run over one deployed database, as a value: what `apply`, `plan`, `status`, `drift` and `attic restore` do there. A
//! command prints it; over many databases each is asked for its own.
//!
//! Nothing here finds the database, asks anybody or prints.

mod apply;
mod drift;
mod expected;
mod kept;
mod plan;
mod standing;
mod status;
mod wait;
mod wanted;

pub use apply::{Applied, ApplyOptions, apply};
pub use drift::{DriftRequest, Drifted, drift};
pub use expected::Expected;
pub use kept::{KeptRequest, Restored, restore};
pub use plan::{PlanRequest, Planned, plan};
pub use standing::{require_committed, uncommitted};
pub use status::{MigrationState, State, Status, status};
pub use wait::wait;
pub use wanted::short;
