//! Many databases, so many at once: canaries one by one before the others, and an end where one fails or somebody asks.

use super::Member;
use crate::error::Error;
use crate::error::Result;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use std::sync::atomic::{AtomicBool, Ordering};

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
    /// It was not begun.
    NotBegun,
}

/// What happens to a database, told as it happens.
#[derive(Debug)]
pub enum Happened<'a, T> {
    /// It begins.
    Begun,
    /// It ended.
    Ended(&'a Fate<T>),
}

/// Keeps further databases from beginning; those that run come to their end.
#[derive(Debug, Default)]
pub struct Brake(AtomicBool);

impl Brake {
    /// Pulls it.
    pub fn pull(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether it was pulled.
    pub fn is_pulled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Works through the databases; what became of each, in their order.
pub async fn run<'m, T, F>(
    members: &'m [Member],
    pace: Pace,
    brake: &Brake,
    work: impl Fn(usize, &'m Member) -> F,
    tell: impl Fn(usize, Happened<'_, T>),
) -> Vec<Fate<T>>
where
    F: Future<Output = Result<T>>,
{
    let mut fates: Vec<Fate<T>> = members.iter().map(|_| Fate::NotBegun).collect();
    let canaries = if pace.canaries { members.iter().take_while(|member| member.canary).count() } else { 0 };
    let mut failed = false;
    for (range, jobs, keep_going) in
        [(0..canaries, 1, false), (canaries..members.len(), pace.jobs.max(1), pace.keep_going)]
    {
        let mut waiting = range;
        let mut running = FuturesUnordered::new();
        loop {
            while running.len() < jobs && !brake.is_pulled() && (keep_going || !failed) {
                let Some(n) = waiting.next() else { break };
                let Some(member) = members.get(n) else { break };
                tell(n, Happened::Begun);
                let future = work(n, member);
                running.push(async move { (n, future.await) });
            }
            let Some((n, outcome)) = running.next().await else { break };
            let fate = outcome.map_or_else(Fate::Failed, Fate::Done);
            failed |= matches!(fate, Fate::Failed(_));
            tell(n, Happened::Ended(&fate));
            if let Some(slot) = fates.get_mut(n) {
                *slot = fate;
            }
        }
        // A canary that failed stops all others, whatever else was asked for.
        if failed {
            break;
        }
    }
    fates
}
