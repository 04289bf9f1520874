//! Finds out whether a connection goes through a pooler that gives each transaction another server process.

use super::connect::{ConnectOptions, connect, open};
use super::{ConnectionSettings, Session};
use crate::error::{Error, Result};
use crate::model::conninfo::TargetSession;

/// How often the first connection is asked again while the second holds a server process.
const QUESTIONS: usize = 3;

/// Refuses a transaction-pooling connection: session locks, settings and temporary tables do not hold there. Two
/// connections are opened: while the second is in a transaction, the first must keep its own server process.
pub async fn detect_pooler(settings: &ConnectionSettings, options: &ConnectOptions) -> Result<()> {
    for server in settings.servers() {
        let one = settings.with_server(server);
        // Whether a server can be reached is not the question here.
        let Ok(first) = open(&one, options).await else { continue };
        let pooled = match open(&one, options).await {
            Ok(second) => {
                let pooled = is_pooled(&first, &second).await;
                second.close().await;
                pooled?
            }
            Err(_) => false,
        };
        first.close().await;
        if pooled {
            return Err(refusal(&one));
        }
        return Ok(());
    }
    Ok(())
}

/// Connects, and refuses a pooler that shares server connections between transactions before anything is set in one.
///
/// # Errors
/// As [`connect`], and the refusal.
pub async fn connect_directly(settings: &ConnectionSettings, options: &ConnectOptions) -> Result<Session> {
    if settings.servers().len() > 1 || settings.target() != TargetSession::Any {
        detect_pooler(settings, options).await?;
        return connect(settings, options).await;
    }
    let (first, second) = tokio::join!(open(settings, options), open(settings, options));
    let first = first?;
    // A server that has one connection left to give has no pooler before it that could be seen.
    if let Ok(second) = second
        && is_pooled(&first, &second).await?
    {
        return Err(refusal(settings));
    }
    first.prepare().await
}

async fn is_pooled(first: &Session, second: &Session) -> Result<bool> {
    let own = pid(first).await?;
    match second.simple("BEGIN").await {
        Ok(_) => {}
        // What pools statements refuses transactions altogether.
        Err(e) if e.code() == Some("08P01") => return Ok(true),
        Err(e) => return Err(e),
    }
    let other = pid(second).await?;
    let mut pooled = own == other;
    for _ in 0..QUESTIONS {
        pooled |= pid(first).await? != own;
    }
    second.simple("ROLLBACK").await?;
    Ok(pooled)
}

async fn pid(session: &Session) -> Result<Option<String>> {
    let rows = session.query_rows("SELECT pg_catalog.pg_backend_pid()").await?;
    Ok(rows.into_iter().flatten().next().flatten())
}

/// Marks the refusal of a pooler.
const POOLED: &str = "DBB02";

/// Whether an error is the refusal of a pooler.
pub fn is_pooler(error: &Error) -> bool {
    error.code() == Some(POOLED)
}

fn refusal(settings: &ConnectionSettings) -> Error {
    Error::failed(format!("{settings} is behind a pooler that shares server connections between transactions"))
        .cause(
            "two statements of one connection ran in different server processes, so locks and settings would not hold",
        )
        .help("connect to PostgreSQL directly, or to a pool in session mode.")
        .sqlstate(POOLED)
}
