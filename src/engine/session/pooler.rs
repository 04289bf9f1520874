//! Finds out whether a connection goes through a pooler that gives each transaction another server process.

use super::connect::{ConnectOptions, open};
use super::{ConnectionSettings, Session};
use crate::error::{Error, Result};

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

async fn is_pooled(first: &Session, second: &Session) -> Result<bool> {
    let own = pid(first).await?;
    second.simple("BEGIN").await?;
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

fn refusal(settings: &ConnectionSettings) -> Error {
    Error::failed(format!("{settings} is behind a pooler that shares server connections between transactions"))
        .cause(
            "two statements of one connection ran in different server processes, so locks and settings would not hold",
        )
        .help("connect to PostgreSQL directly, or to a pool in session mode.")
}
