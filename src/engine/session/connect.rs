//! Opens a session: server by server, with and without TLS as `sslmode` says, until one will do.

use std::time::Duration;

use tokio::time::timeout;
use tokio_postgres::config::{ChannelBinding as DriverBinding, SslMode as DriverMode};
use tokio_postgres::{Config, NoTls, SimpleQueryMessage};

use super::notice::Inbox;
use super::{Facts, ServerError, Session, TlsConnector, fault, resolve, tls};
use crate::error::{Error, Result};
use crate::model::conninfo::{ChannelBinding, ConnectionSettings, Host, Secret, Server, SslMode, TargetSession};

/// How often a busy server looks whether dbbuild is still there.
const CHECK_INTERVAL: &str = "200ms";

/// First version with `idle_session_timeout` and `client_connection_check_interval`, and with `transaction_timeout`.
const SESSION_TIMEOUT_SINCE: u32 = 140_000;
const TRANSACTION_TIMEOUT_SINCE: u32 = 170_000;

/// Choices of whoever connects; what the user's settings say counts more.
#[derive(Debug, Clone)]
pub struct ConnectOptions {
    /// How the session shows in `pg_stat_activity`.
    pub application_name: String,
    /// How long one server may take to answer.
    pub connect_timeout: Duration,
}

impl Default for ConnectOptions {
    fn default() -> Self {
        ConnectOptions { application_name: "dbbuild".to_owned(), connect_timeout: Duration::from_secs(15) }
    }
}

/// Opens a session and makes it fit for long work: no time limits of the server's, and an end soon after ours.
pub async fn connect(settings: &ConnectionSettings, options: &ConnectOptions) -> Result<Session> {
    let rounds: &[TargetSession] = match settings.target() {
        TargetSession::PreferStandby => &[TargetSession::Standby, TargetSession::Any],
        TargetSession::Any => &[TargetSession::Any],
        TargetSession::ReadWrite => &[TargetSession::ReadWrite],
        TargetSession::ReadOnly => &[TargetSession::ReadOnly],
        TargetSession::Primary => &[TargetSession::Primary],
        TargetSession::Standby => &[TargetSession::Standby],
    };
    let mut refusals = Vec::new();
    for target in rounds {
        for server in settings.servers() {
            let one = settings.with_server(server);
            let session = match open(&one, options).await {
                Ok(session) => session,
                Err(e) => {
                    // Another server of the list would refuse the same user or password; libpq stops here too.
                    let go_on = matches!(e.code(), None | Some("57P03" | fault::ABSENT));
                    refusals.push(e);
                    if go_on { continue } else { break }
                }
            };
            let session = session.prepare().await?;
            if fits(*target, &session.facts) {
                return Ok(session);
            }
            let found = if session.facts.in_recovery { "a replica" } else { "not a replica" };
            let access = if session.facts.read_only { "read-only" } else { "read-write" };
            refusals.push(
                Error::failed(format!("{one} is not what target_session_attrs wants"))
                    .cause(format!("it is {found}, {access}; wanted is {}", settings.target().as_str())),
            );
            session.close().await;
        }
    }
    Err(Error::all(refusals).unwrap_or_else(|| Error::usage("no server is named for the connection")))
}

fn fits(target: TargetSession, facts: &Facts) -> bool {
    match target {
        TargetSession::Any | TargetSession::PreferStandby => true,
        TargetSession::ReadWrite => !facts.read_only && !facts.in_recovery,
        TargetSession::ReadOnly => facts.read_only || facts.in_recovery,
        TargetSession::Primary => !facts.in_recovery,
        TargetSession::Standby => facts.in_recovery,
    }
}

/// One way of speaking to a server.
#[derive(Clone, Copy, PartialEq)]
enum Wire {
    Plain,
    TlsIfOffered,
    Tls,
}

/// Opens a session with one server and sets nothing in it: behind a pooler a setting would stay for others.
pub(super) async fn open(settings: &ConnectionSettings, options: &ConnectOptions) -> Result<Session> {
    let Some(server) = settings.servers().first() else {
        return Err(Error::usage("no server is named for the connection"));
    };
    let wires: &[Wire] = match (&server.host, settings.tls().mode) {
        (Host::Unix(_), _) | (_, SslMode::Disable) => &[Wire::Plain],
        (_, SslMode::Allow) => &[Wire::Plain, Wire::Tls],
        (_, SslMode::Prefer) => &[Wire::TlsIfOffered, Wire::Plain],
        (_, SslMode::Require | SslMode::VerifyCa | SslMode::VerifyFull) => &[Wire::Tls],
    };
    let limit = settings.connect_timeout().unwrap_or(options.connect_timeout);
    let (password, note) = resolve::password(settings, server);
    let mut failure = None;
    for wire in wires {
        let config = driver_config(settings, server, password.as_ref(), *wire, options);
        match timeout(limit, attempt(settings, &config, *wire)).await {
            Ok(Ok(session)) => return Ok(session),
            Ok(Err(Attempt::Setup(e))) => return Err(e),
            Ok(Err(Attempt::Driver(e))) => {
                // A refusal by pg_hba.conf may be about TLS, so the other way is worth a try.
                let other_way = e.code().is_some_and(|code| code.code() == "28000") || fault::is_tls(&e);
                let error = fault::connecting(&e, settings, note.clone());
                // The first refusal is the one about the way that the user prefers.
                failure = failure.or(Some(error));
                if !other_way {
                    break;
                }
            }
            Err(_) => {
                let seconds = limit.as_secs_f64();
                return Err(Error::failed(format!("cannot connect to {settings}"))
                    .sqlstate(fault::ABSENT)
                    .cause(format!("no answer within {seconds} s"))
                    .help("check host, port and network; connect_timeout (PGCONNECT_TIMEOUT) sets how long to wait."));
            }
        }
    }
    Err(failure.unwrap_or_else(|| Error::failed(format!("cannot connect to {settings}"))))
}

/// Opens a session for a login alone, and closes it at once.
pub async fn login_once(settings: &ConnectionSettings, options: &ConnectOptions) -> Result<()> {
    open(settings, options).await?.close().await;
    Ok(())
}

enum Attempt {
    Setup(Error),
    Driver(tokio_postgres::Error),
}

async fn attempt(settings: &ConnectionSettings, config: &Config, wire: Wire) -> std::result::Result<Session, Attempt> {
    let inbox = Inbox::default();
    let (client, version, task, connector) = if wire == Wire::Plain {
        let (client, connection) = config.connect(NoTls).await.map_err(Attempt::Driver)?;
        let version = connection.parameter("server_version").map(version_num);
        (client, version, tokio::spawn(inbox.clone().drive(connection)), None)
    } else {
        let connector = tls::connector(settings.tls()).map_err(Attempt::Setup)?;
        let (client, connection) = config.connect(connector.clone()).await.map_err(Attempt::Driver)?;
        let version = connection.parameter("server_version").map(version_num);
        (client, version, tokio::spawn(inbox.clone().drive(connection)), Some(TlsConnector(connector)))
    };
    let facts = Facts { version_num: version.unwrap_or_default(), ..Facts::default() };
    Ok(Session { client, inbox, task, settings: settings.clone(), tls: connector, facts })
}

fn driver_config(
    settings: &ConnectionSettings,
    server: &Server,
    password: Option<&Secret>,
    wire: Wire,
    options: &ConnectOptions,
) -> Config {
    let mut config = Config::new();
    match (&server.host, server.address) {
        (Host::Unix(folder), _) => config.host_path(folder),
        (Host::Tcp(name), Some(address)) if name.is_empty() => config.host(address.to_string()).hostaddr(address),
        (Host::Tcp(name), Some(address)) => config.host(name).hostaddr(address),
        (Host::Tcp(name), None) => config.host(name),
    };
    config.port(server.port).user(settings.user()).dbname(settings.database());
    config.application_name(settings.application_name().unwrap_or(&options.application_name));
    config.ssl_mode(match wire {
        Wire::Plain => DriverMode::Disable,
        Wire::TlsIfOffered => DriverMode::Prefer,
        Wire::Tls => DriverMode::Require,
    });
    config.channel_binding(match settings.channel_binding() {
        ChannelBinding::Disable => DriverBinding::Disable,
        ChannelBinding::Prefer => DriverBinding::Prefer,
        ChannelBinding::Require => DriverBinding::Require,
    });
    if let Some(password) = password {
        config.password(password.expose());
    }
    if let Some(text) = settings.options() {
        config.options(text);
    }
    let (keepalives, idle) = settings.keepalives();
    config.keepalives(keepalives);
    if let Some(idle) = idle {
        config.keepalives_idle(idle);
    }
    config
}

/// `15.20 (Debian …)` is 150020, `18beta1` is 180000.
fn version_num(text: &str) -> u32 {
    let mut numbers = text.split(|c: char| !c.is_ascii_digit()).map(|part| part.parse::<u32>().unwrap_or(0));
    let major = numbers.next().unwrap_or(0);
    let minor = if text.chars().find(|c| !c.is_ascii_digit()) == Some('.') { numbers.next().unwrap_or(0) } else { 0 };
    major * 10_000 + minor
}

/// A server's or role's time limits are for applications; a build may take hours. So is its isolation level: whoever waits
/// for a lock is to see what those did who held it, or it drops rows that it never saw. The check interval ends a statement
/// soon after dbbuild was killed. None of it can be sent at start-up: poolers refuse that.
pub(super) fn work_settings(version: u32, check_connection: bool) -> String {
    let mut settings = vec![
        "SET default_transaction_isolation = 'read committed'",
        "SET statement_timeout = 0",
        "SET idle_in_transaction_session_timeout = 0",
    ];
    if version >= SESSION_TIMEOUT_SINCE {
        settings.push("SET idle_session_timeout = 0");
    }
    if version >= TRANSACTION_TIMEOUT_SINCE {
        settings.push("SET transaction_timeout = 0");
    }
    let mut text = settings.join("; ");
    if check_connection && version >= SESSION_TIMEOUT_SINCE {
        text.push_str(&format!("; SET client_connection_check_interval = '{CHECK_INTERVAL}'"));
    }
    text
}

impl Session {
    /// Makes the settings of a work session and asks what the server is, in one message.
    pub(super) async fn prepare(mut self) -> Result<Session> {
        let version = self.facts.version_num;
        let failed = |e: Box<ServerError>| e.to_error(format!("cannot begin a session with {}", self.settings));
        let answer = match self.simple_raw(&opening(version, true)).await {
            // The check interval needs a platform that can see a closed socket.
            Err(e) if matches!(e.sqlstate.as_deref(), Some("22023" | "42704" | "42501")) => {
                self.simple_raw(&opening(version, false)).await.map_err(failed)?
            }
            other => other.map_err(failed)?,
        };
        for message in &answer {
            if let SimpleQueryMessage::Row(row) = message {
                self.facts.backend_pid = row.get(0).and_then(|pid| pid.parse().ok()).unwrap_or(0);
                self.facts.in_recovery = row.get(1) == Some("t");
                self.facts.read_only = row.get(2) == Some("on");
            }
        }
        Ok(self)
    }
}

fn opening(version: u32, check_connection: bool) -> String {
    format!(
        "{}; SELECT pg_catalog.pg_backend_pid(), pg_catalog.pg_is_in_recovery(), \
         pg_catalog.current_setting('transaction_read_only')",
        work_settings(version, check_connection)
    )
}

#[cfg(test)]
mod tests {
    use super::version_num;

    #[test]
    fn versions_are_read_as_the_server_counts_them() {
        for (text, number) in [
            ("15.20 (Debian 15.20-0+deb12u1)", 150_020),
            ("18beta1", 180_000),
            ("17.4", 170_004),
            ("", 0),
            ("16", 160_000),
        ] {
            assert_eq!(version_num(text), number, "{text}");
        }
    }
}
