//! One dbbuild at a time works on a database: a session-level advisory lock on a connection of its own. Of one of many
//! databases the working connection holds it itself, where what is to run cannot let go of it: a connection costs more
//! than a small migration.
//!
//! The lock is polled in autocommit, never waited for inside the server: a waiting `pg_advisory_lock` holds a snapshot
//! that blocks `CREATE INDEX CONCURRENTLY` for ever. The server frees it when the connection ends, however it ends.
//! The same connection watches what blocks the working one; without it, one is opened when there is something to watch.

use crate::engine::session::{self, ConnectOptions, ConnectionSettings, Session};
use crate::error::{Error, Result};
use std::time::{Duration, Instant};
use tokio::sync::OnceCell;

/// The first half of the advisory lock's key: "dbbu".
const SPACE: i32 = 1_684_169_333;

/// What is locked: the second half of the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Of {
    /// The database that the session is in.
    Database = 1,
    /// The roles of the whole cluster.
    Roles = 2,
    /// The access file of the server.
    Access = 3,
}

impl Of {
    /// The key, as the functions of advisory locks take it.
    fn key(self) -> String {
        format!("{SPACE}, {}", self as i32)
    }

    fn describe(self) -> &'static str {
        match self {
            Of::Database => "this database",
            Of::Roles => "the roles of this server",
            Of::Access => "the access file of this server",
        }
    }
}

/// How a connection shows that holds the lock or watches.
pub const WATCHER: &str = "dbbuild lock";

/// The server ends a killed dbbuild's statement after `client_connection_check_interval`; where it cannot, or where the
/// session is another program's of the same name, waiting has an end.
const ORPHANS_LIMIT: Duration = Duration::from_secs(3);

/// What a killed dbbuild was running goes on. The function, since the view over it costs several times as much in a new
/// session.
const ORPHANS: &str = "SELECT FROM pg_catalog.pg_stat_get_activity(NULL) WHERE pid <> pg_catalog.pg_backend_pid() \
    AND datid = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()) \
    AND pg_catalog.pg_get_userbyid(usesysid) = SESSION_USER \
    AND application_name = pg_catalog.current_setting('application_name') \
    AND state IN ('active', 'idle in transaction', 'idle in transaction (aborted)', 'fastpath function call')";

/// The lock. The end of the connection that holds it frees it: dropping this closes one that is the lock's own.
pub struct Lock {
    holder: Holder,
}

enum Holder {
    /// A connection of its own.
    Apart(Session),
    /// The working connection; `watcher` is opened where that waits for somebody.
    Worker { settings: Box<ConnectionSettings>, watcher: OnceCell<Session> },
}

/// A session that stands in the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blocker {
    /// Its process id.
    pub pid: String,
    /// "alice (psql), idle in transaction since 12 s: UPDATE …".
    pub text: String,
    /// How long it has been waited for.
    pub waited: Duration,
}

impl Lock {
    /// Takes the lock on a session that [`crate::engine::session::connect`] gave, which has no time limits, waiting up to
    /// `wait` for another dbbuild; `waiting` is told once what is waited for: `another dbbuild: process 12, …`.
    ///
    /// # Errors
    /// It was not free within `wait`; nothing was changed.
    pub async fn take(session: Session, wait: Duration, waiting: &dyn Fn(&str)) -> Result<Lock> {
        Lock::take_of(Of::Database, session, wait, &|holder| waiting(&format!("another dbbuild: {holder}"))).await
    }

    /// Takes the lock of something that all databases of a server share, on a connection of its own. An advisory lock
    /// belongs to a database, so it is taken in `postgres`, which every cluster has, services' too, and which everybody may
    /// enter by default; nobody makes databases from it, as from `template1`. Where it lets nobody in, the database of
    /// `session` stands for it. (Rows and relations that databases share can be locked by superusers alone.)
    ///
    /// # Errors
    /// It was not free within `wait`; nothing was changed.
    pub async fn take_of_server(of: Of, session: &Session, wait: Duration, waiting: &dyn Fn(&str)) -> Result<Lock> {
        let options = ConnectOptions { application_name: WATCHER.to_owned(), ..ConnectOptions::default() };
        let settings = session.settings();
        let session = match session::connect(&settings.with_database("postgres"), &options).await {
            Ok(session) => session,
            Err(_) => session::connect(settings, &options).await?,
        };
        Lock::take_of(of, session, wait, &|holder| {
            waiting(&format!("another dbbuild at {}: {holder}", of.describe()));
        })
        .await
    }

    async fn take_of(of: Of, session: Session, wait: Duration, waiting: &dyn Fn(&str)) -> Result<Lock> {
        let sql = format!("SELECT pg_catalog.pg_try_advisory_lock({})", of.key());
        let start = Instant::now();
        let mut pause = Duration::from_millis(20);
        let mut told = false;
        loop {
            let rows = session.query_rows(&sql).await?;
            if rows.first().and_then(|row| row.first()).and_then(Option::as_deref) == Some("t") {
                return Ok(Lock { holder: Holder::Apart(session) });
            }
            let holder = holder(of, &session).await?;
            if !told {
                waiting(&holder);
                told = true;
            }
            if start.elapsed() >= wait {
                return Err(Error::failed(format!("another dbbuild works on {}: {holder}", of.describe()))
                    .cause(format!("it was not done within {} s (lock.wait)", wait.as_secs()))
                    .help("wait for it and run the command again; nothing was changed."));
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_millis(500));
        }
    }

    /// Takes the lock on the working session itself, if it is free and nothing of a killed dbbuild goes on. It is for work
    /// that lets go of no lock of its session; see [`Lock::is_of_worker`].
    ///
    /// # Errors
    /// The server said no.
    pub async fn take_at_once(worker: &Session) -> Result<Option<Lock>> {
        let key = Of::Database.key();
        let sql = format!("SELECT pg_catalog.pg_try_advisory_lock({key}), EXISTS ({ORPHANS})");
        let rows = worker.query_rows(&sql).await?;
        let truth = |i: usize| rows.first().and_then(|row| row.get(i)?.as_deref()) == Some("t");
        let settings = Box::new(worker.settings().clone());
        let lock = Lock { holder: Holder::Worker { settings, watcher: OnceCell::new() } };
        match (truth(0), truth(1)) {
            (true, false) => Ok(Some(lock)),
            (true, true) => lock.leave_to(worker).await.map(|()| None),
            (false, _) => Ok(None),
        }
    }

    /// Frees a lock that the working session holds.
    ///
    /// # Errors
    /// The server said no.
    pub async fn leave_to(self, worker: &Session) -> Result<()> {
        match self.holder {
            Holder::Apart(session) => drop(session),
            Holder::Worker { .. } => {
                drop(worker.simple(&format!("SELECT pg_catalog.pg_advisory_unlock({})", Of::Database.key())).await?)
            }
        }
        Ok(())
    }

    /// Whether the working session holds it: what resets that session must leave it its locks.
    pub fn is_of_worker(&self) -> bool {
        matches!(self.holder, Holder::Worker { .. })
    }

    /// The connection that watches the working one.
    async fn watcher(&self) -> Result<&Session> {
        match &self.holder {
            Holder::Apart(session) => Ok(session),
            Holder::Worker { settings, watcher } => {
                let options = ConnectOptions { application_name: WATCHER.to_owned(), ..ConnectOptions::default() };
                watcher.get_or_try_init(|| async { session::connect(settings, &options).await }).await
            }
        }
    }

    /// Waits until what a killed dbbuild was running has ended: its lock went with it at once, but the server notices only
    /// after a moment that nobody waits for the answer. `work` is a session as that one was.
    ///
    /// # Errors
    /// The server said no.
    pub async fn outlast_orphans(&self, work: &Session) -> Result<()> {
        let start = Instant::now();
        while start.elapsed() < ORPHANS_LIMIT && !work.query_rows(ORPHANS).await?.is_empty() {
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        Ok(())
    }

    /// Whether the connection that holds the lock is known to be gone; asks nobody. The working connection's own end shows
    /// in the work.
    pub fn is_lost(&self) -> bool {
        matches!(&self.holder, Holder::Apart(session) if session.is_closed())
    }

    /// Whether the connection that holds the lock still stands.
    ///
    /// # Errors
    /// It does not: another dbbuild may be at work.
    pub async fn check(&self) -> Result<()> {
        match &self.holder {
            Holder::Apart(session) => session.simple("SELECT 1").await.map(|_| ()).map_err(|e| lost().cause(e)),
            Holder::Worker { .. } => Ok(()),
        }
    }

    /// Sessions and prepared transactions that the process `pid` waits for.
    ///
    /// # Errors
    /// The server said no.
    pub async fn blockers(&self, pid: i32) -> Result<Vec<Blocker>> {
        let waited = format!(
            "(SELECT EXTRACT(epoch FROM pg_catalog.clock_timestamp() - pg_catalog.min(l.waitstart)) \
             FROM pg_catalog.pg_locks l WHERE l.pid = {pid} AND NOT l.granted)"
        );
        let sql = format!(
            "SELECT pid::text, pg_catalog.format('process %s: %s (%s), %s for %s s%s', pid, usename, \
             COALESCE(NULLIF(application_name, ''), 'unnamed'), state, \
             pg_catalog.round(EXTRACT(epoch FROM pg_catalog.clock_timestamp() - state_change)), \
             ': ' || pg_catalog.left(pg_catalog.regexp_replace(query, '\\s+', ' ', 'g'), 80)), {waited} \
             FROM pg_catalog.pg_stat_activity WHERE pid = ANY (pg_catalog.pg_blocking_pids({pid})) \
             UNION ALL SELECT x.gid, pg_catalog.format('prepared transaction %L of %s, for %s s', x.gid, x.owner, \
             pg_catalog.round(EXTRACT(epoch FROM pg_catalog.clock_timestamp() - x.prepared))), {waited} \
             FROM pg_catalog.pg_prepared_xacts x WHERE 0 = ANY (pg_catalog.pg_blocking_pids({pid})) \
             AND EXISTS (SELECT FROM pg_catalog.pg_locks o JOIN pg_catalog.pg_locks h USING (virtualtransaction) \
                 JOIN pg_catalog.pg_locks w ON w.pid = {pid} AND NOT w.granted AND \
                 (h.locktype, h.database, h.relation, h.page, h.tuple, h.virtualxid, h.transactionid, h.classid, h.objid, h.objsubid) \
                 IS NOT DISTINCT FROM \
                 (w.locktype, w.database, w.relation, w.page, w.tuple, w.virtualxid, w.transactionid, w.classid, w.objid, w.objsubid) \
                 WHERE o.transactionid = x.transaction AND o.pid IS NULL AND h.pid IS NULL AND o.granted AND h.granted)"
        );
        let rows = self.watcher().await?.query_rows(&sql).await?;
        let text = |row: &[Option<String>], i: usize| row.get(i).cloned().flatten().unwrap_or_default();
        let waited = |row: &[Option<String>]| {
            text(row, 2).parse().ok().and_then(|s| Duration::try_from_secs_f64(s).ok()).unwrap_or_default()
        };
        Ok(rows.iter().map(|row| Blocker { pid: text(row, 0), text: text(row, 1), waited: waited(row) }).collect())
    }

    /// How far a running `CREATE INDEX` of process `pid` is: "building index: scanning table, 42 %".
    ///
    /// # Errors
    /// The server said no.
    pub async fn index_progress(&self, pid: i32) -> Result<Option<String>> {
        let sql = format!(
            "SELECT phase || CASE WHEN blocks_total > 0 THEN ', ' || (100 * blocks_done / blocks_total) || ' %' ELSE '' END \
             FROM pg_catalog.pg_stat_progress_create_index WHERE pid = {pid}"
        );
        let rows = self.watcher().await?.query_rows(&sql).await?;
        Ok(rows.into_iter().next().and_then(|row| row.into_iter().next().flatten()))
    }
}

/// The error after which nothing more may be written.
pub fn lost() -> Error {
    Error::failed("lost the connection that holds dbbuild's lock")
        .help("another dbbuild may be at work: run the command again, it goes on where this one stood.")
}

async fn holder(of: Of, session: &Session) -> Result<String> {
    let rows = session
        .query_rows(&format!(
            "SELECT pg_catalog.format('process %s of %s%s', a.pid, a.usename, ' at ' || a.client_addr) \
             FROM pg_catalog.pg_locks l JOIN pg_catalog.pg_stat_activity a USING (pid) \
             WHERE l.locktype = 'advisory' AND l.classid = {SPACE} AND l.objid = {} AND l.objsubid = 2 AND l.granted \
               AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())",
            of as i32
        ))
        .await?;
    let name = rows.into_iter().next().and_then(|row| row.into_iter().next().flatten());
    Ok(name.unwrap_or_else(|| "it has just ended".to_owned()))
}
