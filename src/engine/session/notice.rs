//! What a server says beside its answers: notices, and its last words when it closes a connection.

use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::io::{AsyncRead, AsyncWrite};
use tokio_postgres::{AsyncMessage, Connection};

use super::fault::ServerError;

/// A migration that raises a notice for each row must not fill the memory.
const KEPT: usize = 1000;

/// A notice, warning or message that the server sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// `NOTICE`, `WARNING`, `INFO`, …
    pub severity: String,
    /// SQLSTATE.
    pub code: String,
    /// The text.
    pub message: String,
    /// DETAIL.
    pub detail: Option<String>,
    /// HINT.
    pub hint: Option<String>,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Inbox(Arc<Mutex<Contents>>);

#[derive(Debug, Default)]
struct Contents {
    notices: Vec<Notice>,
    dropped: usize,
    last_words: Option<ServerError>,
}

impl Inbox {
    /// Drives a connection until it ends.
    pub(super) async fn drive<S, T>(self, mut connection: Connection<S, T>)
    where
        S: AsyncRead + AsyncWrite + Unpin,
        T: AsyncRead + AsyncWrite + Unpin,
    {
        while let Some(message) = poll_fn(|cx| connection.poll_message(cx)).await {
            match message {
                Ok(AsyncMessage::Notice(notice)) => self.add(&notice),
                Ok(_) => {}
                Err(e) => {
                    let mut fault = ServerError::from_driver(&e);
                    fault.gone = true;
                    self.lock().last_words = Some(fault);
                    return;
                }
            }
        }
    }

    pub(super) fn take(&self) -> Vec<Notice> {
        let mut contents = self.lock();
        let mut notices = std::mem::take(&mut contents.notices);
        let dropped = std::mem::take(&mut contents.dropped);
        if dropped > 0 {
            notices.push(Notice {
                severity: "NOTICE".to_owned(),
                code: "00000".to_owned(),
                message: format!("{dropped} more notices were left out"),
                detail: None,
                hint: None,
            });
        }
        notices
    }

    pub(super) fn last_words(&self) -> Option<ServerError> {
        self.lock().last_words.clone()
    }

    fn add(&self, notice: &tokio_postgres::error::DbError) {
        let mut contents = self.lock();
        if contents.notices.len() >= KEPT {
            contents.dropped += 1;
            return;
        }
        contents.notices.push(Notice {
            severity: notice.severity().to_owned(),
            code: notice.code().code().to_owned(),
            message: notice.message().to_owned(),
            detail: notice.detail().map(str::to_owned),
            hint: notice.hint().map(str::to_owned),
        });
    }

    /// The contents stay whole whatever a holder of the lock did.
    fn lock(&self) -> MutexGuard<'_, Contents> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
