//! The working connection: runs one unit at a time, retries what a lock refused, and leaves a clean session behind.

use super::failure::{UnitFailure, is_contention, refused_by_lock};
use super::measure::Measure;
use super::message::{self, BEFORE, Envelope, Unit};
use super::timing::Timing;
use super::watch::Watch;
use super::{Event, Sink, timing};
use crate::engine::history::{self, Author};
use crate::engine::lock::Lock;
use crate::engine::session::{self, ConnectOptions, Session};
use crate::error::Result;
use crate::model::attic::given::{Given, OnConflict};
use crate::model::plan::FileKind;
use crate::model::script::Script;
use crate::model::sources::ScriptFile;
use crate::model::version::Version;
use std::collections::BTreeSet;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio_postgres::SimpleQueryMessage;

/// Tries of a unit that a lock refused, pausing ever longer between them.
const TRIES: u32 = 6;
/// The first pause; each further one is twice as long.
const PAUSE: Duration = Duration::from_millis(250);

/// The first server with `pg_stat_force_next_flush()`.
const FORCED_FLUSH_SINCE: u32 = 150_000;

/// Gives up a role that a script took, until the transaction ends: that role may not write the version table.
pub(super) const AS_SELF: &str = "SET LOCAL SESSION AUTHORIZATION DEFAULT; SET LOCAL ROLE NONE";

/// How a worker works.
#[derive(Clone)]
pub struct WorkerOptions<'a> {
    /// `lock_timeout` of transactional work.
    pub lock_timeout: Duration,
    /// Written beside each row.
    pub author: Author,
    /// Watches who blocks; none in a throwaway, where nobody does.
    pub lock: Option<&'a Lock>,
    /// The configured folder of PostgreSQL's programs, for files that psql runs.
    pub bin_dir: Option<PathBuf>,
    /// Ask each transaction which locks it holds.
    pub locks: bool,
    /// What becomes of kept values that cannot be given back as they are.
    pub on_conflict: OnConflict,
    /// Receives what happens.
    pub sink: Sink<'a>,
}

/// A session that runs scripts.
pub struct Worker<'a> {
    session: Session,
    options: WorkerOptions<'a>,
    pub(super) watch: Watch,
    pub(super) is_timed: bool,
    envelope: Envelope,
    timings: Mutex<Vec<Timing>>,
    pub(super) measures: Vec<Measure>,
    /// The versions of which the attic has something.
    pub(super) kept_versions: BTreeSet<String>,
    pub(super) given: Mutex<Vec<Given>>,
    /// Says of files that they are to run again after the migrations; empty once a migration has said it.
    pub(super) due: String,
}

impl<'a> Worker<'a> {
    /// Takes a fresh session.
    ///
    /// # Errors
    /// The server refuses the settings that work needs.
    pub async fn new(session: Session, options: WorkerOptions<'a>) -> Result<Worker<'a>> {
        let mut settings = session.work_settings();
        if options.lock.is_none() && session.server_version_num() >= FORCED_FLUSH_SINCE {
            // In a throwaway the counters of one script must not show as those of the next.
            settings.push_str("; SELECT pg_catalog.pg_stat_force_next_flush()");
        }
        let envelope = Envelope::new(options.lock_timeout, &settings, options.lock.is_some_and(Lock::is_of_worker));
        session.simple(&envelope.reset).await?;
        let watch = Watch::within(options.lock_timeout);
        let (timings, given) = (Mutex::default(), Mutex::default());
        let (measures, kept_versions, due) = (Vec::new(), BTreeSet::new(), String::new());
        Ok(Worker { session, options, watch, is_timed: true, envelope, timings, measures, kept_versions, given, due })
    }

    /// The connection, for reading.
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// Gives the connection back, as a fresh one.
    pub fn into_session(self) -> Session {
        self.session
    }

    /// Sends an event.
    pub fn tell(&self, event: Event) {
        (self.options.sink)(event);
    }

    /// What the migrations so far cost others.
    pub(super) fn take_measures(&mut self) -> Vec<Measure> {
        std::mem::take(&mut self.measures)
    }

    pub(super) fn take_timings(&mut self) -> Vec<Timing> {
        std::mem::take(self.timings.get_mut().unwrap_or_else(PoisonError::into_inner))
    }

    /// Times are of use on a database that lasts.
    pub(super) fn timed<'u>(&self, unit: Unit<'u>) -> Unit<'u> {
        if self.is_watched() && self.is_timed { unit.timed() } else { unit }
    }

    pub(super) fn keep_timings(&self, units: &[(&Version, &Unit<'_>)], messages: &[SimpleQueryMessage]) {
        if units.iter().any(|(_, unit)| !unit.marks.is_empty()) {
            let found = timing::read(units.iter().copied(), messages, self.envelope.reset_statements);
            self.timings.lock().unwrap_or_else(PoisonError::into_inner).extend(found);
        }
    }

    pub(super) fn bin_dir(&self) -> Option<&Path> {
        self.options.bin_dir.as_deref()
    }

    /// Whether this is work on a database that lasts.
    pub(super) fn is_watched(&self) -> bool {
        self.options.lock.is_some()
    }

    /// Whether the lock that this work needs is known to be gone.
    pub(super) fn is_lock_lost(&self) -> bool {
        self.options.lock.is_some_and(Lock::is_lost)
    }

    /// Waits for work of another connection, watching what that waits for.
    pub(super) async fn watched<T>(&self, work: impl Future<Output = T>, pid: i32) -> T {
        self.watch.over(work, pid, self.eyes(), |_| false).await
    }

    /// What looks at who blocks, and what hears of it.
    fn eyes(&self) -> (Option<&Lock>, Sink<'_>) {
        (self.options.lock, self.options.sink)
    }

    /// Whether each transaction is asked which locks it holds.
    pub(super) fn asks_locks(&self) -> bool {
        self.options.locks
    }

    pub(super) fn on_conflict(&self) -> OnConflict {
        self.options.on_conflict
    }

    pub(in crate::engine) fn author(&self) -> &Author {
        &self.options.author
    }

    pub(in crate::engine) fn envelope(&self) -> &Envelope {
        &self.envelope
    }

    /// Runs statements of dbbuild's own.
    ///
    /// # Errors
    /// The server said no.
    pub async fn execute(&self, sql: &str) -> Result<()> {
        self.session.simple(sql).await.map(|_| ())
    }

    /// Sends a message and watches what it waits for.
    pub(in crate::engine) async fn send(&self, sql: &str) -> std::result::Result<Vec<SimpleQueryMessage>, UnitFailure> {
        let work = self.session.simple_raw(sql);
        let outcome = self.watch.over(work, self.session.backend_pid(), self.eyes(), refused_by_lock).await;
        outcome.map_err(UnitFailure::of)
    }

    /// The same; what came back before a failure is given with it.
    pub(super) async fn send_collecting(&self, sql: &str) -> (Vec<SimpleQueryMessage>, Option<UnitFailure>) {
        let mut messages = Vec::new();
        let work = self.session.each_message(sql, |message| messages.push(message));
        let outcome = self.watch.over(work, self.session.backend_pid(), self.eyes(), refused_by_lock).await;
        (messages, outcome.err().map(UnitFailure::of))
    }

    /// Sends COPY data.
    pub(super) async fn send_copy(&self, sql: &str, data: &str) -> std::result::Result<(), UnitFailure> {
        let mut told = 0;
        let work = self.session.copy_in_raw(sql, data.as_bytes(), |handed| {
            self.tell(Event::Copied((handed - told) as u64));
            told = handed;
        });
        let outcome = self.watch.over(work, self.session.backend_pid(), self.eyes(), refused_by_lock).await;
        outcome.map(|_| ()).map_err(UnitFailure::of)
    }

    /// Runs a repeatable, init or test-data file with its row, in one transaction.
    ///
    /// # Errors
    /// It failed and was rolled back.
    pub async fn run_file(&mut self, kind: FileKind, file: &ScriptFile) -> Result<()> {
        self.run_and_close(kind, file, history::finish_file(kind, file)).await
    }

    /// Runs the last init file, and sets sequences to the greatest key in the same transaction.
    ///
    /// # Errors
    /// It failed and was rolled back.
    pub async fn run_last_init(&mut self, file: &ScriptFile) -> Result<()> {
        let closing = format!("{}; {RAISE_SEQUENCES}", history::finish_file(FileKind::Init, file));
        self.run_and_close(FileKind::Init, file, closing).await
    }

    async fn run_and_close(&mut self, kind: FileKind, file: &ScriptFile, closing: String) -> Result<()> {
        self.tell(Event::BeginFile(kind, file.path.clone()));
        let opening = history::upsert_file(kind, file, self.author());
        let unit = Unit::new(&file.script, opening, closing)?;
        if file.script.means.psql.is_some() {
            let title = format!("{} file {}", kind.as_str(), file.name);
            self.run_unit_by_psql(&unit, &title, &history::has_run(kind, file)).await?;
        } else if let Err(failure) = self.run_unit(&unit).await {
            return Err(self.failed(&unit, failure, &format!("{} file {}", kind.as_str(), file.name)));
        }
        self.renew(&file.script).await?;
        self.tell(Event::Ran(kind, file.path.clone()));
        Ok(())
    }

    /// Runs a unit, again and again where a lock refused it.
    pub(super) async fn run_unit(&self, unit: &Unit<'_>) -> std::result::Result<Vec<SimpleQueryMessage>, UnitFailure> {
        for attempt in 1.. {
            let outcome = match unit.body.copy_blocks {
                true => self.run_pieces(unit).await.map(|()| Vec::new()),
                false => self.send(&unit.message(&self.envelope)).await,
            };
            let failure = match outcome {
                Ok(messages) => return Ok(messages),
                Err(failure) => failure,
            };
            if failure.error.gone {
                return Err(failure);
            }
            if let Err(e) = self.clean().await {
                self.tell(Event::Note(e.to_string()));
                return Err(failure);
            }
            if !self.waits_to_retry(attempt, &failure).await {
                return Err(failure);
            }
        }
        Ok(Vec::new())
    }

    /// Whether the same is worth another try: a lock refused it, and it was not tried too often. Says who held the lock,
    /// and waits a while.
    pub(in crate::engine) async fn waits_to_retry(&self, attempt: u32, failure: &UnitFailure) -> bool {
        if attempt >= TRIES || !is_contention(&failure.error) {
            self.watch.end(self.options.sink);
            return false;
        }
        let pause = PAUSE * 2_u32.pow(attempt - 1);
        let blocker = self.watch.take().map_or_else(String::new, |blocker| format!(" held by {blocker}"));
        self.tell(Event::Note(format!(
            "{}{blocker}; try {} of {TRIES} follows in {} ms",
            failure.error.message,
            attempt + 1,
            pause.as_millis()
        )));
        tokio::time::sleep(pause).await;
        self.watch.add(pause);
        true
    }

    /// Runs statements of dbbuild's own in a transaction of their own, whatever role the script took for its session.
    ///
    /// # Errors
    /// The server said no; nothing was changed.
    pub(in crate::engine) async fn execute_as_self(&self, sql: &str) -> Result<()> {
        let outcome = self.execute(&format!("BEGIN READ WRITE; {AS_SELF}; {sql}; COMMIT")).await;
        if outcome.is_err() && !self.session.is_closed() {
            self.execute("ROLLBACK").await?;
        }
        outcome
    }

    /// A script with COPY data cannot be one message: the data travels between its statements.
    async fn run_pieces(&self, unit: &Unit<'_>) -> std::result::Result<(), UnitFailure> {
        let at = |failure: UnitFailure, done: usize| UnitFailure {
            completed: failure.completed + done,
            position: None,
            ..failure
        };
        self.send(&unit.head(&self.envelope)).await?;
        self.run_statements(unit).await.map_err(|failure| at(failure, BEFORE))?;
        self.send(&unit.tail(&self.envelope))
            .await
            .map_err(|failure| at(failure, BEFORE + unit.body.statements.len()))
            .map(|_| ())
    }

    /// Leaves a failed transaction and whatever the script left in the session.
    pub(in crate::engine) async fn clean(&self) -> Result<()> {
        self.execute(&format!("ROLLBACK; {}", self.envelope.reset)).await
    }

    /// New settings of the database or role show in a new session only.
    pub(super) async fn renew(&mut self, script: &Script) -> Result<()> {
        if message::changes_login_settings(script) {
            self.session = session::connect(self.session.settings(), &ConnectOptions::default()).await?;
        }
        Ok(())
    }

    /// Sets each owned sequence to the greatest key where it lies behind; a live database is never set back.
    ///
    /// # Errors
    /// The server said no.
    pub async fn raise_sequences(&self) -> Result<()> {
        self.execute(RAISE_SEQUENCES).await
    }
}

const RAISE_SEQUENCES: &str = include_str!("raise_sequences.sql");
