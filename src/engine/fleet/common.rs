//! What the databases of one environment share in a run: a server is asked once whether it is a pooler, a history that
//! many have is read once, and a server with no connection left is waited for: shortly where others of the run are at
//! work, since these may hold what is missing; they then go on without the one that waited ([`super::run`]).

use crate::engine::history::Histories;
use crate::engine::secure::Shelf;
use crate::engine::session::{self, ConnectOptions, ConnectionSettings, Session};
use crate::error::{Error, OrFailed, Result};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::Mutex;

/// SQLSTATE of a server that gives no further connection.
const TOO_MANY: &str = "53300";
/// Tries of a connection that the server had no room for: of one database alone, and of one beside others.
const TRIES: u32 = 9;
const TRIES_BESIDE_OTHERS: u32 = 3;
/// The first pause between them; each further one is twice as long, up to the longest.
const PAUSE: Duration = Duration::from_millis(250);
const LONGEST: Duration = Duration::from_secs(4);

/// Hears what is worth a note.
pub type Note = Arc<dyn Fn(String) + Send + Sync>;

/// See the module's page.
pub struct Common {
    /// Histories by what they are made of.
    pub histories: Histories,
    /// Bodies of secure migrations that were fetched.
    pub shelf: Shelf,
    /// By server: nothing against it, or the error and the database that met it.
    probed: Mutex<BTreeMap<String, Option<(String, Error)>>>,
    note: Note,
    /// A person was told that the server has no connection left.
    told: AtomicBool,
    /// Nothing came of the longest wait; until a connection is had again, the others do not wait as long for nothing.
    in_vain: AtomicBool,
    /// How many databases are at work.
    at_work: AtomicUsize,
}

/// Whether the server had no room for a further connection.
pub(super) fn is_crowded(error: &Error) -> bool {
    error.code() == Some(TOO_MANY)
}

impl std::fmt::Debug for Common {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Common")
    }
}

impl Common {
    /// Of one run.
    pub fn new(note: Note) -> Common {
        Common {
            histories: Histories::default(),
            shelf: Shelf::default(),
            probed: Mutex::default(),
            note,
            told: AtomicBool::new(false),
            in_vain: AtomicBool::new(false),
            at_work: AtomicUsize::new(0),
        }
    }

    /// So many databases are at work from now on.
    pub(super) fn set_at_work(&self, number: usize) {
        self.at_work.store(number, Ordering::Relaxed);
    }

    /// Opens a session for work. A pooler that shares server connections between transactions is refused; it is looked
    /// for with the first database of each server.
    ///
    /// # Errors
    /// As [`session::connect_directly`].
    pub async fn connect(&self, settings: &ConnectionSettings) -> Result<Session> {
        let server = settings.with_database("").to_string();
        let mut probed = self.probed.lock().await;
        match probed.get(&server) {
            Some(Some((first, refusal))) => {
                let own = settings.to_string();
                return Err(refusal.clone().map_texts(&|text| text.replace(first.as_str(), &own)));
            }
            Some(None) => {}
            None => {
                let options = ConnectOptions::default();
                let found = self.patiently(|| session::connect_directly(settings, &options)).await;
                match &found {
                    Ok(_) => drop(probed.insert(server, None)),
                    // A server that does not answer is not asked again for each of its databases.
                    Err(e) if session::is_pooler(e) || e.code().is_none() => {
                        drop(probed.insert(server, Some((settings.to_string(), e.clone()))));
                    }
                    // One database that lets nobody in tells nothing of the server.
                    Err(_) => {}
                }
                return found;
            }
        }
        drop(probed);
        self.open(settings, ConnectOptions::default()).await
    }

    /// Opens a session, whatever there is on the way.
    ///
    /// # Errors
    /// As [`session::connect`].
    pub async fn open(&self, settings: &ConnectionSettings, options: ConnectOptions) -> Result<Session> {
        self.patiently(|| {
            let (settings, options) = (settings.clone(), options.clone());
            // A password is proved by some thousand rounds of hashing: not all on the one task that drives the run.
            let opening = tokio::spawn(async move { session::connect(&settings, &options).await });
            async { opening.await.or_failed(|| "cannot open a connection")? }
        })
        .await
    }

    async fn patiently<F: Future<Output = Result<Session>>>(&self, connect: impl Fn() -> F) -> Result<Session> {
        let mut pause = PAUSE;
        let mut tried = 0;
        loop {
            let error = match connect().await {
                Err(e) if is_crowded(&e) => e,
                other => {
                    self.in_vain.store(false, Ordering::Relaxed);
                    return other;
                }
            };
            tried += 1;
            if tried >= self.tries() {
                self.in_vain.fetch_or(tried >= TRIES, Ordering::Relaxed);
                return Err(error);
            }
            if !self.told.swap(true, Ordering::Relaxed) {
                let why = error.causes().first().cloned().unwrap_or_default();
                (self.note)(format!(
                    "the server has no connection left ({why}); trying again for a while, with fewer databases at once"
                ));
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST);
        }
    }

    fn tries(&self) -> u32 {
        match self.at_work.load(Ordering::Relaxed) > 1 {
            true => TRIES_BESIDE_OTHERS,
            false if self.in_vain.load(Ordering::Relaxed) => 1,
            false => TRIES,
        }
    }
}
