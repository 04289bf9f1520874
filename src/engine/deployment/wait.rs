//! Waiting for a server that is starting.
//!
//! Only for what time mends: nobody listens yet, its name is not known yet, it says that it is starting. A wrong password
//! stays wrong.

use crate::engine::runner::{Event, Sink};
use crate::engine::target::Target;
use crate::error::{Error, Result};
use std::time::{Duration, Instant};

/// The first pause between two tries; each further one is twice as long, up to the longest.
const PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// How often the same reason is told.
const TOLD_AGAIN: Duration = Duration::from_secs(10);

/// Waits until a database can be connected to.
///
/// # Errors
/// It did not answer in time, with the last error; or something else is wrong, at once.
pub async fn wait(target: &Target, limit: Duration, sink: Sink<'_>) -> Result<()> {
    let start = Instant::now();
    let mut pause = PAUSE;
    let mut told: Option<(String, Instant)> = None;
    loop {
        let left = limit.saturating_sub(start.elapsed());
        let tried = match tokio::time::timeout(left.max(PAUSE), target.connect()).await {
            Ok(tried) => tried,
            Err(_) => Err(Error::failed(format!("cannot connect to {}", target.describe())).sqlstate("08001")),
        };
        let error = match tried {
            Ok(session) => {
                session.close().await;
                return Ok(());
            }
            Err(error) if is_starting(&error) => error,
            Err(error) => return Err(error),
        };
        let left = limit.saturating_sub(start.elapsed());
        if left.is_zero() {
            return Err(gave_up(target, limit, &error));
        }
        let why = reason(&error);
        if told.as_ref().is_none_or(|(known, at)| *known != why || at.elapsed() >= TOLD_AGAIN) {
            sink(Event::Waiting(format!("{}: {why}", target.describe())));
            told = Some((why, Instant::now()));
        }
        // The last try is made when the time is up.
        tokio::time::sleep(pause.min(left)).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// Whether time may mend it.
fn is_starting(error: &Error) -> bool {
    let all: Vec<&Error> = std::iter::once(error).chain(error.others()).collect();
    all.iter().any(|one| matches!(one.code(), Some("57P03" | "08001")))
        && all.iter().all(|one| matches!(one.code(), Some("57P03" | "08001") | None))
}

fn reason(error: &Error) -> String {
    error.causes().last().cloned().unwrap_or_else(|| error.message().to_owned())
}

fn gave_up(target: &Target, limit: Duration, error: &Error) -> Error {
    let gave_up = Error::failed(format!("{} did not answer within {} s", target.describe(), limit.as_secs_f64()));
    let gave_up = error.causes().iter().fold(gave_up.cause(error.message()), |gave_up, cause| gave_up.cause(cause));
    let gave_up = error.code().into_iter().fold(gave_up, |gave_up, code| gave_up.sqlstate(code));
    gave_up.help("see whether the server starts; `--wait=DURATION` waits longer. Nothing was changed.")
}
