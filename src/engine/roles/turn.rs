//! One dbbuild at a time changes the roles of a cluster, whatever database it came through.
//!
//! Where the lock is not common to all, and against other programs, what PostgreSQL says of a collision is the remedy: all
//! was taken back, and it is planned and run once more.

use crate::engine::lock::{Lock, Of};
use crate::engine::session::Session;
use crate::error::{Error, Result};
use std::time::Duration;

/// How often what collided is tried once more.
const TRIES: u32 = 5;

/// Does `work`, which plans and runs, when no other dbbuild changes roles of this cluster; `told` hears who is waited for.
///
/// # Errors
/// Another dbbuild is not done within `wait`, or what `work` says.
pub async fn in_turn<T>(
    session: &Session,
    wait: Duration,
    told: &dyn Fn(String),
    work: impl AsyncFn() -> Result<T>,
) -> Result<T> {
    let _lock = Lock::take_of_server(Of::Roles, session, wait, &|what| told(format!("waits for {what}"))).await?;
    for tries in 1..=TRIES {
        match work().await {
            Err(e) if collided(&e) => {
                told("another session changed the same roles at the same time: once more".to_owned());
                tokio::time::sleep(Duration::from_millis(100) * tries).await;
            }
            done => return done,
        }
    }
    work().await
}

/// Whether another session changed what a statement was to change. A role that is there by now, a second row of the
/// same name in a catalog, a deadlock, or `tuple concurrently updated`, which has no code of its own.
fn collided(error: &Error) -> bool {
    let says = |text: &str| error.causes().iter().any(|cause| cause.contains(text)) || error.message().contains(text);
    match error.code() {
        Some("42710" | "23505" | "40P01" | "40001") => true,
        Some("XX000") => says("concurrently"),
        _ => false,
    }
}
