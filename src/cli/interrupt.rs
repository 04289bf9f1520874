//! Ctrl-C, and a polite request to end: the command is broken off, and what runs is rolled back. One that works through
//! many databases first stops beginning new ones; a second Ctrl-C breaks off what runs there, and it still says how far it
//! came; a third breaks the command off.

use crate::engine::fleet::Brake;
use crate::error::{Error, Result};
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// What a command has to say about being interrupted.
#[derive(Debug, Default)]
pub struct Interrupt {
    /// Keeps further databases from beginning.
    pub brake: Brake,
    brakes: AtomicBool,
}

impl Interrupt {
    /// From now on the first two signals only pull the brake.
    pub fn brake_first(&self) {
        self.brakes.store(true, Ordering::Relaxed);
    }

    /// Comes back when the command is to be broken off.
    pub async fn asked(&self, signals: &mut Signals) {
        loop {
            signals.interrupted().await;
            if !self.brakes.load(Ordering::Relaxed) || self.brake.pulled() >= 2 {
                return;
            }
            self.brake.pull();
        }
    }
}

/// The two signals.
pub struct Signals {
    interrupt: Signal,
    terminate: Signal,
    heeds_interrupt: bool,
}

impl Signals {
    /// Listens from now on; without `heeds_interrupt` Ctrl-C is left to a program that runs meanwhile.
    ///
    /// # Errors
    /// The system does not let it.
    pub fn listen(heeds_interrupt: bool) -> Result<Signals> {
        let on = |kind| signal(kind).map_err(|e| Error::failed("cannot listen to signals").cause(e));
        Ok(Signals {
            interrupt: on(SignalKind::interrupt())?,
            terminate: on(SignalKind::terminate())?,
            heeds_interrupt,
        })
    }

    async fn interrupted(&mut self) {
        loop {
            tokio::select! {
                _ = self.interrupt.recv() => if self.heeds_interrupt { return },
                _ = self.terminate.recv() => return,
            }
        }
    }
}
