//! One connection to PostgreSQL: opened as libpq would open it, kept safe for long work, its errors as values.
//!
//! It knows nothing of migrations, history or locks, and it never asks for a password. Statements go by the simple
//! protocol, which is what files of SQL need.

mod connect;
pub mod environ;
mod fault;
mod knock;
mod notice;
mod pooler;
mod resolve;
#[cfg(test)]
mod tests;
mod tls;

use std::time::Duration;

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt, pin_mut};
use tokio::task::JoinHandle;
use tokio_postgres::{CancelToken, Client, NoTls, SimpleQueryMessage};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::error::{Error, OrFailed, Result};
pub use crate::model::conninfo::{ConnectionSettings, Environ, Secret};
pub use connect::{ConnectOptions, connect, login_once};
pub use fault::ServerError;
pub use knock::{Knock, knock};
pub use notice::Notice;
pub use pooler::{connect_directly, detect_pooler, is_pooler};
pub use resolve::{account, has_password, resolve};

/// How much of a COPY travels in one message.
const COPY_CHUNK: usize = 64 * 1024;

/// How long a closed connection may take to say good-bye, or a broken one to say why.
const FAREWELL: Duration = Duration::from_secs(2);

/// An open connection. Dropping it closes it.
#[derive(Debug)]
pub struct Session {
    client: Client,
    inbox: notice::Inbox,
    task: JoinHandle<()>,
    settings: ConnectionSettings,
    tls: Option<TlsConnector>,
    facts: Facts,
}

/// What the server said of itself when the session began.
#[derive(Debug, Clone, Copy, Default)]
struct Facts {
    version_num: u32,
    backend_pid: i32,
    in_recovery: bool,
    read_only: bool,
}

/// Wraps the TLS settings because they have no `Debug`.
#[derive(Clone)]
struct TlsConnector(MakeRustlsConnect);

impl std::fmt::Debug for TlsConnector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TlsConnector")
    }
}

impl Session {
    /// The client itself, for queries with parameters.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The settings of this connection, with the one server that answered.
    pub fn settings(&self) -> &ConnectionSettings {
        &self.settings
    }

    /// `server_version_num`: 150020 is 15.20.
    pub fn server_version_num(&self) -> u32 {
        self.facts.version_num
    }

    /// The major version.
    pub fn server_version(&self) -> u32 {
        self.facts.version_num / 10_000
    }

    /// `pg_backend_pid()`.
    pub fn backend_pid(&self) -> i32 {
        self.facts.backend_pid
    }

    /// Whether the server was a replica when the session began.
    pub fn is_in_recovery(&self) -> bool {
        self.facts.in_recovery
    }

    /// `transaction_read_only` when the session began.
    pub fn transaction_read_only(&self) -> bool {
        self.facts.read_only
    }

    /// Whether the connection is gone.
    pub fn is_closed(&self) -> bool {
        self.client.is_closed()
    }

    /// The settings that every session gets, to be made again after `RESET ALL`. They stand without a final semicolon.
    pub fn work_settings(&self) -> String {
        connect::work_settings(self.facts.version_num, true)
    }

    /// Runs a text of one or more statements and returns all that came back.
    pub async fn simple(&self, sql: &str) -> Result<Vec<SimpleQueryMessage>> {
        self.simple_raw(sql).await.map_err(|e| e.to_error("a query failed"))
    }

    /// The same with the server's error in its parts, how many statements were done before it, and whether the
    /// connection is gone.
    pub async fn simple_raw(&self, sql: &str) -> Result<Vec<SimpleQueryMessage>, Box<ServerError>> {
        let mut messages = Vec::new();
        self.each_message(sql, |message| messages.push(message)).await?;
        Ok(messages)
    }

    /// Runs a text of statements, passes its rows over, and returns how many statements were done.
    pub async fn run(&self, sql: &str) -> Result<usize, Box<ServerError>> {
        self.each_message(sql, drop).await
    }

    /// Hands over each message as it arrives; returns how many statements were done.
    pub async fn each_message(
        &self,
        sql: &str,
        mut take: impl FnMut(SimpleQueryMessage),
    ) -> Result<usize, Box<ServerError>> {
        let mut completed = 0;
        let stream = match self.client.simple_query_raw(sql).await {
            Ok(stream) => stream,
            Err(e) => return Err(self.server_error(&e, completed).await),
        };
        pin_mut!(stream);
        while let Some(message) = stream.next().await {
            match message {
                Ok(message) => {
                    completed += usize::from(matches!(message, SimpleQueryMessage::CommandComplete(_)));
                    take(message);
                }
                Err(e) => return Err(self.server_error(&e, completed).await),
            }
        }
        Ok(completed)
    }

    /// The rows of a query as text, null as `None`.
    pub async fn query_rows(&self, sql: &str) -> Result<Vec<Vec<Option<String>>>> {
        let mut rows = Vec::new();
        self.each_message(sql, |message| {
            if let SimpleQueryMessage::Row(row) = message {
                rows.push((0..row.len()).map(|i| row.get(i).map(str::to_owned)).collect());
            }
        })
        .await
        .map_err(|e| e.to_error("a query failed"))?;
        Ok(rows)
    }

    /// Runs `COPY … FROM stdin` with its data; returns the number of rows.
    pub async fn copy_in(&self, sql: &str, data: &[u8]) -> Result<u64> {
        self.copy_in_raw(sql, data, |_| ()).await.map_err(|e| e.to_error("COPY failed"))
    }

    /// The same with the server's error in its parts; `progress` hears how many bytes were handed over.
    pub async fn copy_in_raw(
        &self,
        sql: &str,
        data: &[u8],
        mut progress: impl FnMut(usize),
    ) -> Result<u64, Box<ServerError>> {
        let sink = match self.client.copy_in::<_, Bytes>(sql).await {
            Ok(sink) => sink,
            Err(e) => return Err(self.server_error(&e, 0).await),
        };
        pin_mut!(sink);
        let mut handed = 0;
        for chunk in data.chunks(COPY_CHUNK) {
            // The sink only says that it is closed; why it is, finish() below or the connection says.
            if sink.send(Bytes::copy_from_slice(chunk)).await.is_err() {
                break;
            }
            handed += chunk.len();
            progress(handed);
        }
        match sink.finish().await {
            Ok(rows) => Ok(rows),
            Err(e) => Err(self.server_error(&e, 0).await),
        }
    }

    /// Runs `COPY … TO stdout` and hands its data over as it arrives. The inner error is that of `take`.
    pub async fn copy_out<E>(&self, sql: &str, mut take: impl FnMut(&[u8]) -> Result<(), E>) -> Result<Result<(), E>> {
        let failed = |e: Box<ServerError>| e.to_error("COPY failed");
        let stream = match self.client.copy_out(sql).await {
            Ok(stream) => stream,
            Err(e) => return Err(failed(self.server_error(&e, 0).await)),
        };
        pin_mut!(stream);
        while let Some(piece) = stream.next().await {
            match piece {
                Ok(bytes) => {
                    if let Err(e) = take(&bytes) {
                        return Ok(Err(e));
                    }
                }
                Err(e) => return Err(failed(self.server_error(&e, 0).await)),
            }
        }
        Ok(Ok(()))
    }

    /// The server's notices since the last call; beyond a thousand only their number is kept.
    pub fn take_notices(&self) -> Vec<Notice> {
        self.inbox.take()
    }

    /// A handle by which another task can cancel what runs here.
    pub fn cancel_token(&self) -> Canceller {
        Canceller { token: self.client.cancel_token(), tls: self.tls.clone() }
    }

    /// Closes the connection and waits until the server was told.
    pub async fn close(self) {
        drop(self.client);
        let _ = tokio::time::timeout(FAREWELL, self.task).await;
    }

    /// A lost connection says only that it is closed; the server's last words are in the inbox.
    async fn server_error(&self, error: &tokio_postgres::Error, completed: usize) -> Box<ServerError> {
        let mut fault = ServerError::from_driver(error);
        if fault.sqlstate.is_none() {
            let end = tokio::time::Instant::now() + FAREWELL;
            while self.client.is_closed() && !self.task.is_finished() && tokio::time::Instant::now() < end {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            if let Some(last_words) = self.inbox.last_words() {
                fault = last_words;
            }
        }
        fault.completed = completed;
        // A FATAL error reaches the query before the end of the stream closes the client.
        fault.gone |= self.client.is_closed();
        Box::new(fault)
    }
}

/// Cancels what a session runs.
#[derive(Clone)]
pub struct Canceller {
    token: CancelToken,
    tls: Option<TlsConnector>,
}

impl Canceller {
    /// Asks the server to cancel. It does not say whether there was anything to cancel.
    pub async fn cancel(&self) -> Result<()> {
        let sent = match &self.tls {
            Some(tls) => self.token.cancel_query(tls.0.clone()).await,
            None => self.token.cancel_query(NoTls).await,
        };
        sent.map_err(|e| fault::chain(&e)).or_failed(|| "cannot ask the server to cancel a query")
    }
}

impl From<Box<ServerError>> for Error {
    fn from(error: Box<ServerError>) -> Self {
        error.to_error("a query failed")
    }
}
