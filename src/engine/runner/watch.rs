//! Looks, while a statement runs, at what it waits for.

use crate::engine::lock::{Blocker, Lock};
use crate::engine::runner::{Event, Sink};
use std::future::Future;
use std::pin::pin;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

const FIRST_LOOK: Duration = Duration::from_millis(300);
const NEXT_LOOK: Duration = Duration::from_millis(700);
/// While somebody stands in the way.
const BLOCKED_LOOK: Duration = Duration::from_millis(250);
/// After nobody was seen there any longer: the server may just have given up the wait, and that answer is on its way.
const LOOK_AGAIN: Duration = Duration::from_millis(100);
/// How often the same blocker is told.
const TOLD_AGAIN: Duration = Duration::from_secs(10);

/// Remembers who stood in the way last.
pub struct Watch {
    first_look: Duration,
    last: Mutex<Option<String>>,
    waited: Mutex<Duration>,
    standing: Mutex<Option<Standing>>,
}

/// Somebody stands in the way.
struct Standing {
    pid: String,
    /// When waiting began, whoever it was that stood there first.
    began: Instant,
    /// When that was told last.
    told: Instant,
}

impl Watch {
    /// For work that waits for a lock no longer than `lock_timeout`: whoever holds it must be seen before that; zero is
    /// no limit.
    pub fn within(lock_timeout: Duration) -> Watch {
        let first_look = if lock_timeout.is_zero() { FIRST_LOOK } else { FIRST_LOOK.min(lock_timeout / 2) };
        Watch { first_look, last: Mutex::default(), waited: Mutex::default(), standing: Mutex::default() }
    }

    /// Waits for `work`, telling through `sink` who blocks it and how far an index build is. Where the work failed so that
    /// it is tried again, as `again` says, the waiting is not over: [`Watch::end`] tells when it is.
    pub async fn over<T>(
        &self,
        work: impl Future<Output = T>,
        pid: i32,
        (lock, sink): (Option<&Lock>, Sink<'_>),
        again: impl Fn(&T) -> bool,
    ) -> T {
        let Some(lock) = lock else { return work.await };
        let mut work = pin!(work);
        let mut pause = self.first_look;
        let mut is_seen_free = false;
        // How long the wait that is going on has lasted, as the server says.
        let mut wait = Duration::ZERO;
        loop {
            tokio::select! {
                biased;
                done = &mut work => {
                    self.add(wait);
                    if !again(&done) {
                        self.end(sink);
                    }
                    return done;
                }
                () = tokio::time::sleep(pause) => {}
            }
            pause = NEXT_LOOK;
            // A failing look is no reason to give up the work; the lock's own check reports a lost connection.
            if let Ok(blockers) = lock.blockers(pid).await
                && let Some(blocker) = blockers.into_iter().next()
            {
                if blocker.waited < wait {
                    self.add(std::mem::take(&mut wait));
                }
                wait = blocker.waited;
                pause = BLOCKED_LOOK;
                is_seen_free = false;
                self.stands(&blocker, sink);
                *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(blocker.text);
                continue;
            }
            self.add(std::mem::take(&mut wait));
            if self.is_standing() && !std::mem::replace(&mut is_seen_free, true) {
                pause = LOOK_AGAIN;
                continue;
            }
            self.end(sink);
            if let Ok(Some(phase)) = lock.index_progress(pid).await {
                sink(Event::Progress(phase));
            }
        }
    }

    /// Tells who stands in the way, unless that was told a moment ago.
    fn stands(&self, blocker: &Blocker, sink: Sink<'_>) {
        let now = Instant::now();
        let mut standing = self.standing.lock().unwrap_or_else(PoisonError::into_inner);
        let began = match &*standing {
            Some(known) if known.pid == blocker.pid && now.duration_since(known.told) < TOLD_AGAIN => return,
            Some(known) => known.began,
            None => now.checked_sub(blocker.waited).unwrap_or(now),
        };
        *standing = Some(Standing { pid: blocker.pid.clone(), began, told: now });
        drop(standing);
        sink(Event::Blocked { blocker: blocker.text.clone(), waited: now.duration_since(began) });
    }

    fn is_standing(&self) -> bool {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// Nobody stands in the way any longer, or nothing is tried any more; told where it was told that somebody did.
    pub fn end(&self, sink: Sink<'_>) {
        let ended = self.standing.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(standing) = ended {
            sink(Event::Unblocked(standing.began.elapsed()));
        }
    }

    /// Counts time as waited.
    pub fn add(&self, waited: Duration) {
        *self.waited.lock().unwrap_or_else(PoisonError::into_inner) += waited;
    }

    /// How long was waited since the last call: what was seen of it, which may be some tenths of a second less.
    pub fn take_waited(&self) -> Duration {
        std::mem::take(&mut *self.waited.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Who stood in the way last, and forgets it.
    pub fn take(&self) -> Option<String> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}
