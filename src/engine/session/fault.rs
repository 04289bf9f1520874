//! Errors of the server and of the way to it, as values; and what helps against those of connecting.

use std::error::Error as _;
use std::io;

use tokio_postgres::error::{DbError, ErrorPosition};

use crate::error::Error;
use crate::model::conninfo::ConnectionSettings;

/// What a server said against a statement, or that it can no longer be heard.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServerError {
    /// `ERROR`, `FATAL` or `PANIC`; empty where the connection broke.
    pub severity: String,
    /// SQLSTATE; `None` where the connection broke.
    pub sqlstate: Option<String>,
    /// The primary message.
    pub message: String,
    /// DETAIL.
    pub detail: Option<String>,
    /// HINT.
    pub hint: Option<String>,
    /// CONTEXT.
    pub context: Option<String>,
    /// Position in the text that was sent, in characters from 1. Often absent.
    pub position: Option<u32>,
    /// Schema of the object that the error is about.
    pub schema: Option<String>,
    /// Table that the error is about.
    pub table: Option<String>,
    /// Column that the error is about.
    pub column: Option<String>,
    /// Constraint that was violated.
    pub constraint: Option<String>,
    /// How many statements of the text were done before.
    pub completed: usize,
    /// Whether the connection is lost.
    pub gone: bool,
    /// Whether a script or function raised it by itself, in its own words.
    pub raised: bool,
}

impl ServerError {
    pub(super) fn from_driver(error: &tokio_postgres::Error) -> ServerError {
        match error.as_db_error() {
            Some(db) => ServerError::from_server(db),
            None => {
                let gone = error.is_closed() || io_kind(error).is_some();
                ServerError { message: chain(error), gone, ..ServerError::default() }
            }
        }
    }

    fn from_server(db: &DbError) -> ServerError {
        let text = |part: Option<&str>| part.map(str::to_owned);
        ServerError {
            severity: db.severity().to_owned(),
            sqlstate: Some(db.code().code().to_owned()),
            message: db.message().to_owned(),
            detail: text(db.detail()),
            hint: text(db.hint()),
            context: text(db.where_()),
            position: match db.position() {
                Some(ErrorPosition::Original(position)) => Some(*position),
                _ => None,
            },
            schema: text(db.schema()),
            table: text(db.table()),
            column: text(db.column()),
            constraint: text(db.constraint()),
            completed: 0,
            gone: matches!(db.severity(), "FATAL" | "PANIC"),
            raised: db.routine() == Some("exec_stmt_raise"),
        }
    }

    /// `column "legacy_id" does not exist (42703)`
    pub fn cause(&self) -> String {
        match &self.sqlstate {
            Some(code) => format!("{} ({code})", self.message),
            None => self.message.clone(),
        }
    }

    /// DETAIL, HINT and CONTEXT as they are shown below the cause; empty where there are none.
    pub fn details(&self) -> String {
        let parts = [("DETAIL", &self.detail), ("HINT", &self.hint), ("CONTEXT", &self.context)];
        let lines = parts.iter().filter_map(|(name, text)| text.as_ref().map(|text| format!("{name}: {text}")));
        lines.collect::<Vec<_>>().join("\n")
    }

    /// Adds cause, details and SQLSTATE to an error that says what failed.
    pub fn explain(&self, error: Error) -> Error {
        let mut error = error.cause(self.cause());
        if let Some(code) = &self.sqlstate {
            error = error.sqlstate(code.as_str());
        }
        let details = self.details();
        if details.is_empty() { error } else { error.detail(details) }
    }

    /// An error (status 1) that says what failed and why.
    pub fn to_error(&self, what: impl Into<String>) -> Error {
        self.explain(Error::failed(what))
    }
}

/// The SQLSTATE of a connection that cannot be made, since no server answers.
pub(super) const ABSENT: &str = "08001";

/// The driver's errors hide their reason in their sources.
pub(super) fn chain(error: &tokio_postgres::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        let inner_text = inner.to_string();
        if !text.contains(&inner_text) {
            text = format!("{text}: {inner_text}");
        }
        source = inner.source();
    }
    text
}

fn io_error(error: &tokio_postgres::Error) -> Option<&io::Error> {
    error.source().and_then(|source| source.downcast_ref::<io::Error>())
}

fn io_kind(error: &tokio_postgres::Error) -> Option<io::ErrorKind> {
    io_error(error).map(io::Error::kind)
}

/// Whether TLS could not be agreed upon: the case in which `sslmode=prefer` goes on without.
pub(super) fn is_tls(error: &tokio_postgres::Error) -> bool {
    let rustls = io_error(error).and_then(io::Error::get_ref).is_some_and(|inner| inner.is::<rustls::Error>());
    let cut = matches!(io_kind(error), Some(io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset));
    rustls || cut
}

/// Why a connection could not be opened, and what helps. `note` is what was wrong with the password file.
pub(super) fn connecting(error: &tokio_postgres::Error, settings: &ConnectionSettings, note: Option<String>) -> Error {
    let fault = ServerError::from_driver(error);
    let Some(code) = fault.sqlstate.as_deref() else {
        return unreachable_server(error, settings, note);
    };
    let user = settings.user();
    let cannot = || format!("cannot connect to {settings} as `{user}`");
    let (message, help) = match code {
        "28P01" => {
            (cannot(), "check the password: in the connection string, PGPASSWORD or the password file.".to_owned())
        }
        "28000" => (
            cannot(),
            "check that the role exists and may log in, and the server's pg_hba.conf: user, address, database, TLS."
                .to_owned(),
        ),
        "3D000" => (
            format!("database {settings} does not exist"),
            "create it, or name another one in the connection string.".to_owned(),
        ),
        "53300" => (
            cannot(),
            "all connections are taken: close some (see pg_stat_activity) or raise max_connections.".to_owned(),
        ),
        "57P03" => (cannot(), "the server is starting up, shutting down or recovering: try again soon.".to_owned()),
        "08P01" if settings.options().is_some() => (
            cannot(),
            "a connection pooler refuses `options` (PGOPTIONS): leave it out or connect directly.".to_owned(),
        ),
        _ => (cannot(), "see the server's log for more.".to_owned()),
    };
    let error = fault.explain(Error::failed(message)).help(help);
    match note {
        Some(note) => error.help(note),
        None => error,
    }
}

fn unreachable_server(error: &tokio_postgres::Error, settings: &ConnectionSettings, note: Option<String>) -> Error {
    let reason = chain(error);
    if reason.contains("password missing") {
        let failed = Error::failed(format!("cannot connect to {settings} as `{}`", settings.user()))
            .cause("the server wants a password, and none is given")
            .help(
                "give it in the environment variable of the connection string, by PGPASSWORD or in the password file.",
            );
        return match note {
            Some(note) => failed.help(note),
            None => failed,
        };
    }
    let failed = Error::failed(format!("cannot connect to {settings}"))
        .cause(io_error(error).map_or_else(|| reason.clone(), tidy));
    let failed = if is_absent(error, &reason) { failed.sqlstate(ABSENT) } else { failed };
    let help = match io_kind(error) {
        Some(io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound) => {
            "no server listens there: start it, or correct host and port."
        }
        Some(io::ErrorKind::PermissionDenied) => "this user may not use the socket: check its folder's permissions.",
        _ if is_tls(error) => "check sslmode and sslrootcert against what the server offers.",
        _ => "check host, port and network.",
    };
    failed.help(help)
}

/// Whether no server answers there, as it is before one has started: nobody listens, its name is not known yet, or what
/// stands before it hangs up.
fn is_absent(error: &tokio_postgres::Error, reason: &str) -> bool {
    use io::ErrorKind as Kind;
    let hung_up = matches!(
        io_kind(error),
        Some(
            Kind::ConnectionRefused
                | Kind::NotFound
                | Kind::ConnectionReset
                | Kind::ConnectionAborted
                | Kind::BrokenPipe
                | Kind::UnexpectedEof
                | Kind::TimedOut
                | Kind::HostUnreachable
                | Kind::NetworkUnreachable
        )
    );
    let tls = io_error(error).and_then(io::Error::get_ref).is_some_and(|inner| inner.is::<rustls::Error>());
    (hung_up && !tls) || reason.contains("failed to lookup address")
}

/// `Connection refused (os error 111)` without the number.
fn tidy(error: &io::Error) -> String {
    let text = error.to_string();
    match text.split_once(" (os error") {
        Some((words, _)) => words.to_owned(),
        None => text,
    }
}
