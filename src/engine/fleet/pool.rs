//! Many databases, so many at once: canaries one by one before the others, and an end where one fails or somebody asks;
//! asked a second time, what runs is broken off.
//! Fewer at once where the server has no connections for so many.

use super::common::is_crowded;
use super::{Fleet, Member};
use crate::error::Error;
use crate::error::Result;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use std::collections::{BTreeSet, VecDeque};
use tokio::sync::watch;

/// How many at once, and what a failure means.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// At most so many at once.
    pub jobs: usize,
    /// One that fails does not keep the others from beginning.
    pub keep_going: bool,
    /// Canaries come first, and none may fail.
    pub canaries: bool,
}

/// What became of one database.
#[derive(Debug)]
pub enum Fate<T> {
    /// It was done.
    Done(T),
    /// It failed; it is at a migration boundary.
    Failed(Error),
    /// It was broken off, and so is at a migration boundary.
    BrokenOff,
    /// It was not begun.
    NotBegun,
}

impl<T> Fate<T> {
    /// What was done; none where it was not.
    pub fn done(&self) -> Option<&T> {
        match self {
            Fate::Done(done) => Some(done),
            Fate::Failed(_) | Fate::BrokenOff | Fate::NotBegun => None,
        }
    }
}

/// What happens to a database, told as it happens.
#[derive(Debug)]
pub enum Happened<'a, T> {
    /// It begins.
    Begun,
    /// The server had no connection left for it; it begins again when another one has ended.
    PutBack,
    /// It ended.
    Ended(&'a Fate<T>),
}

/// Keeps further databases from beginning; those that run come to their end. Pulled again, it breaks these off, too.
#[derive(Debug)]
pub struct Brake(watch::Sender<u8>);

impl Default for Brake {
    fn default() -> Brake {
        Brake(watch::Sender::new(0))
    }
}

impl Brake {
    /// Pulls it.
    pub fn pull(&self) {
        self.0.send_modify(|pulled| *pulled = pulled.saturating_add(1));
    }

    /// How often it was pulled.
    pub fn pulled(&self) -> u8 {
        *self.0.borrow()
    }

    /// Comes back once it was pulled so often.
    pub async fn until(&self, times: u8) {
        // It cannot be closed while somebody waits here.
        let _ = self.0.subscribe().wait_for(|pulled| *pulled >= times).await;
    }
}

/// How many databases at once the server bears: what was asked for until it has no connection left, then as many as it
/// had room for, and one more whenever all of these went well.
struct Room {
    asked: usize,
    now: usize,
    well: usize,
}

impl Room {
    fn new(asked: usize) -> Room {
        Room { asked: asked.max(1), now: asked.max(1), well: 0 }
    }

    /// There was none left beside so many.
    fn full(&mut self, beside: usize) {
        (self.now, self.well) = (beside.max(1), 0);
    }

    /// One had enough.
    fn enough(&mut self) {
        self.well += 1;
        if self.well >= self.now {
            (self.now, self.well) = ((self.now + 1).min(self.asked), 0);
        }
    }
}

/// Works through the databases; what became of each, in their order.
pub async fn run<'m, T, F>(
    fleet: &'m Fleet,
    pace: Pace,
    brake: &Brake,
    work: impl Fn(usize, &'m Member) -> F,
    tell: impl Fn(usize, Happened<'_, T>),
) -> Vec<Fate<T>>
where
    F: Future<Output = Result<T>>,
{
    let members = &fleet.members;
    let mut fates: Vec<Fate<T>> = members.iter().map(|_| Fate::NotBegun).collect();
    let canaries = if pace.canaries { members.iter().take_while(|member| member.canary).count() } else { 0 };
    let mut failed = false;
    for (range, jobs, keep_going) in [(0..canaries, 1, false), (canaries..members.len(), pace.jobs, pace.keep_going)] {
        let mut waiting: VecDeque<usize> = range.collect();
        let mut room = Room::new(jobs);
        let mut running = FuturesUnordered::new();
        let mut numbers = BTreeSet::new();
        loop {
            while running.len() < room.now && brake.pulled() == 0 && (keep_going || !failed) {
                let Some(n) = waiting.pop_front() else { break };
                let Some(member) = members.get(n) else { break };
                tell(n, Happened::Begun);
                numbers.insert(n);
                let future = work(n, member);
                running.push(async move { (n, future.await) });
            }
            fleet.common.set_at_work(running.len());
            let ended = tokio::select! {
                ended = running.next() => ended,
                () = brake.until(2), if !numbers.is_empty() => {
                    // What is given up here lets go of its connection, and the server takes back what was under way.
                    running.clear();
                    for n in std::mem::take(&mut numbers) {
                        end(&mut fates, n, Fate::BrokenOff, &tell);
                    }
                    None
                }
            };
            let Some((n, outcome)) = ended else { break };
            numbers.remove(&n);
            let fate = match outcome {
                // The others hold what it lacks, and one of them may lack what it holds.
                Err(error) if is_crowded(&error) && !running.is_empty() => {
                    room.full(running.len());
                    waiting.push_front(n);
                    tell(n, Happened::PutBack);
                    continue;
                }
                Err(error) => Fate::Failed(error),
                Ok(done) => {
                    room.enough();
                    Fate::Done(done)
                }
            };
            failed |= matches!(fate, Fate::Failed(_));
            end(&mut fates, n, fate, &tell);
        }
        // A canary that failed stops all others, whatever else was asked for.
        if failed {
            break;
        }
    }
    fates
}

/// Tells what became of a database, and keeps it.
fn end<T>(fates: &mut [Fate<T>], n: usize, fate: Fate<T>, tell: &impl Fn(usize, Happened<'_, T>)) {
    tell(n, Happened::Ended(&fate));
    if let Some(slot) = fates.get_mut(n) {
        *slot = fate;
    }
}

#[cfg(test)]
mod tests {
    use super::Room;

    #[test]
    fn room_shrinks_at_once_and_grows_slowly() {
        let mut room = Room::new(8);
        room.full(2);
        assert_eq!(room.now, 2);
        room.enough();
        assert_eq!(room.now, 2);
        room.enough();
        assert_eq!(room.now, 3);
        (0..100).for_each(|_| room.enough());
        assert_eq!(room.now, 8, "never more than was asked for");
        room.full(0);
        assert_eq!((room.now, Room::new(0).now), (1, 1), "never none");
    }
}
