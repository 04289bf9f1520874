//! One dbbuild at a time changes the roles of a cluster, whatever database it came through.
//!
//! An advisory lock belongs to a database, so it is taken in `postgres`, which every cluster has, services' too, and
//! which everybody may enter by default; nobody makes databases from it, as from `template1`. Rows and relations that all
//! databases share can be locked by superusers alone. Where `postgres` lets nobody in, and against other programs, what
//! PostgreSQL says of a collision is the remedy: all was taken back, and it is planned and run once more.

use crate::engine::lock::{Lock, Of, WATCHER};
use crate::engine::session::{self, ConnectOptions, Session};
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
    let options = ConnectOptions { application_name: WATCHER.to_owned(), ..ConnectOptions::default() };
    let waiting = |holder: &str| told(format!("waits for another dbbuild at the roles of this server: {holder}"));
    let _lock = match session::connect(&session.settings().with_database("postgres"), &options).await {
        Ok(session) => Some(Lock::take_of(Of::Roles, session, wait, &waiting).await?),
        Err(_) => None,
    };
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
