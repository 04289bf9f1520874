//! One connection, decided: which servers, who, which database, how safe.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::value::{ChannelBinding, Secret, SslMode, TargetSession};
use crate::error::write_harmless;

/// What stays readable in a URL's parts.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Everything that is needed to connect. `Display` names database and server, never a password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConnectionSettings {
    pub(super) servers: Vec<Server>,
    pub(super) user: String,
    pub(super) database: String,
    pub(super) password: Option<Secret>,
    pub(super) passfile: Option<String>,
    pub(super) tls: Tls,
    pub(super) channel_binding: ChannelBinding,
    pub(super) target: TargetSession,
    pub(super) options: Option<String>,
    pub(super) application_name: Option<String>,
    pub(super) connect_timeout: Option<Duration>,
    pub(super) keepalives: bool,
    pub(super) keepalives_idle: Option<Duration>,
}

/// One server of those that are tried in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// Its name or socket folder.
    pub host: Host,
    /// Its address, where no look-up is wanted.
    pub address: Option<IpAddr>,
    /// Its port; for a socket, the number in the file's name.
    pub port: u16,
}

/// How a server is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Host {
    /// Over TCP, by name or address; empty where only the address is known.
    Tcp(String),
    /// By the socket in this folder.
    Unix(String),
}

impl Host {
    /// A host that begins with `/` is a socket folder.
    pub fn parse(text: &str) -> Host {
        if text.starts_with('/') { Host::Unix(text.to_owned()) } else { Host::Tcp(text.to_owned()) }
    }
}

/// What the settings say about TLS; empty paths take libpq's defaults.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tls {
    /// How much of it is wanted.
    pub mode: SslMode,
    /// File of trusted certificates, or `system`.
    pub root_cert: Option<String>,
    /// The client's certificate.
    pub cert: Option<String>,
    /// The client's key.
    pub key: Option<String>,
    /// `~/.postgresql`, where the three lie by default.
    pub user_folder: Option<String>,
}

impl ConnectionSettings {
    /// Settings of a server that dbbuild itself runs: one host or socket folder, no TLS on a socket, no files read.
    pub fn new(
        host_or_folder: &str,
        port: u16,
        user: impl Into<String>,
        password: Option<Secret>,
        database: impl Into<String>,
    ) -> ConnectionSettings {
        ConnectionSettings {
            servers: vec![Server { host: Host::parse(host_or_folder), address: None, port }],
            user: user.into(),
            database: database.into(),
            password,
            passfile: None,
            tls: Tls { mode: SslMode::Disable, ..Tls::default() },
            channel_binding: ChannelBinding::default(),
            target: TargetSession::default(),
            options: None,
            application_name: None,
            connect_timeout: None,
            keepalives: true,
            keepalives_idle: None,
        }
    }

    /// The same with another database.
    #[must_use]
    pub fn with_database(&self, name: impl Into<String>) -> ConnectionSettings {
        ConnectionSettings { database: name.into(), ..self.clone() }
    }

    /// The same as another user.
    #[must_use]
    pub fn with_user(&self, name: impl Into<String>, password: Option<Secret>) -> ConnectionSettings {
        ConnectionSettings { user: name.into(), password, ..self.clone() }
    }

    /// The same for a login of another role that finds out whether it has a password: nothing but this password is
    /// used, on one server.
    #[must_use]
    pub fn for_trial(&self, name: &str, password: Option<Secret>, binding: ChannelBinding) -> ConnectionSettings {
        ConnectionSettings {
            user: name.to_owned(),
            password,
            passfile: None,
            options: None,
            channel_binding: binding,
            ..self.clone()
        }
    }

    /// The same with only one of the servers.
    #[must_use]
    pub fn with_server(&self, server: &Server) -> ConnectionSettings {
        ConnectionSettings { servers: vec![server.clone()], ..self.clone() }
    }

    /// The same with a server setting that holds from the start of the session, beside those that are asked for already.
    #[must_use]
    pub fn with_option(&self, name: &str, value: &str) -> ConnectionSettings {
        let value = value.replace('\\', "\\\\").replace(' ', "\\ ");
        let before = self.options.as_ref().map_or_else(String::new, |options| format!("{options} "));
        ConnectionSettings { options: Some(format!("{before}-c {name}={value}")), ..self.clone() }
    }

    /// The same under this name in `pg_stat_activity`, where the user chose none.
    #[must_use]
    pub fn with_application_name(&self, name: &str) -> ConnectionSettings {
        let name = self.application_name.clone().or_else(|| Some(name.to_owned()));
        ConnectionSettings { application_name: name, ..self.clone() }
    }

    /// Name of the database.
    pub fn database(&self) -> &str {
        &self.database
    }

    /// Name of the user.
    pub fn user(&self) -> &str {
        &self.user
    }

    /// The servers in the order in which they are tried.
    pub fn servers(&self) -> &[Server] {
        &self.servers
    }

    /// The password, where one was given; `.pgpass` is looked up when connecting.
    pub fn password(&self) -> Option<&Secret> {
        self.password.as_ref()
    }

    /// The password file.
    pub fn passfile(&self) -> Option<&str> {
        self.passfile.as_deref()
    }

    /// What is wanted of TLS.
    pub fn tls(&self) -> &Tls {
        &self.tls
    }

    /// Whether SCRAM is tied to TLS.
    pub fn channel_binding(&self) -> ChannelBinding {
        self.channel_binding
    }

    /// Which of several servers will do.
    pub fn target(&self) -> TargetSession {
        self.target
    }

    /// `options`: command-line options for the server.
    pub fn options(&self) -> Option<&str> {
        self.options.as_deref()
    }

    /// `application_name`, where the user chose one.
    pub fn application_name(&self) -> Option<&str> {
        self.application_name.as_deref()
    }

    /// `connect_timeout`; none where it is 0 or unset.
    pub fn connect_timeout(&self) -> Option<Duration> {
        self.connect_timeout
    }

    /// `keepalives` and `keepalives_idle`.
    pub fn keepalives(&self) -> (bool, Option<Duration>) {
        (self.keepalives, self.keepalives_idle)
    }

    /// The environment variables by which `psql` and `pg_dump` reach the same database, so that no password stands in
    /// a command line. The child must not inherit other [`super::LIBPQ_VARIABLES`].
    pub fn libpq_env(&self) -> Vec<(String, String)> {
        let joined = |part: fn(&Server) -> String| self.servers.iter().map(part).collect::<Vec<_>>().join(",");
        let addresses = joined(|server| server.address.map(|a| a.to_string()).unwrap_or_default());
        let some = |text: &Option<String>| text.clone().unwrap_or_default();
        let pairs = [
            ("PGHOST", joined(|server| server.host.as_str().to_owned())),
            ("PGHOSTADDR", if addresses.chars().all(|c| c == ',') { String::new() } else { addresses }),
            ("PGPORT", joined(|server| server.port.to_string())),
            ("PGUSER", self.user.clone()),
            ("PGDATABASE", self.database.clone()),
            ("PGPASSWORD", self.password.as_ref().map(|p| p.expose().to_owned()).unwrap_or_default()),
            ("PGPASSFILE", some(&self.passfile)),
            ("PGSSLMODE", self.tls.mode.as_str().to_owned()),
            ("PGSSLROOTCERT", some(&self.tls.root_cert)),
            ("PGSSLCERT", some(&self.tls.cert)),
            ("PGSSLKEY", some(&self.tls.key)),
            ("PGCHANNELBINDING", self.channel_binding.as_str().to_owned()),
            ("PGTARGETSESSIONATTRS", self.target.as_str().to_owned()),
            ("PGOPTIONS", some(&self.options)),
            ("PGAPPNAME", some(&self.application_name)),
            ("PGCONNECT_TIMEOUT", self.connect_timeout.map(|t| t.as_secs().to_string()).unwrap_or_default()),
        ];
        pairs.into_iter().filter(|(_, value)| !value.is_empty()).map(|(name, value)| (name.to_owned(), value)).collect()
    }

    /// The same for a program that another user runs, who has neither this environment nor this user's files: a string of
    /// keywords, without the password. `account` is who is meant where no user was named: that user's own name then counts.
    pub fn conninfo(&self, account: &str) -> String {
        const CARRIED: [(&str, &str); 11] = [
            ("PGHOST", "host"),
            ("PGHOSTADDR", "hostaddr"),
            ("PGPORT", "port"),
            ("PGUSER", "user"),
            ("PGDATABASE", "dbname"),
            ("PGSSLMODE", "sslmode"),
            ("PGCHANNELBINDING", "channel_binding"),
            ("PGTARGETSESSIONATTRS", "target_session_attrs"),
            ("PGOPTIONS", "options"),
            ("PGAPPNAME", "application_name"),
            ("PGCONNECT_TIMEOUT", "connect_timeout"),
        ];
        let mut parts = Vec::new();
        for (variable, value) in self.libpq_env() {
            let keyword = CARRIED.iter().find(|(name, _)| *name == variable).map(|(_, keyword)| *keyword);
            if let Some(keyword) = keyword.filter(|keyword| *keyword != "user" || value != account) {
                parts.push(format!("{keyword}='{}'", value.replace('\\', "\\\\").replace('\'', "\\'")));
            }
        }
        parts.join(" ")
    }

    /// The connection as a URL that a person can copy; without the password.
    pub fn url_without_password(&self) -> String {
        let encode = |text: &str| utf8_percent_encode(text, ENCODED).to_string();
        let servers = &self.servers;
        let socket = servers.iter().any(|server| matches!(server.host, Host::Unix(_)));
        let mut query = Vec::new();
        let authority = if socket {
            query.push(format!("host={}", encode(&self.joined(|server| server.host.as_str().to_owned()))));
            query.push(format!("port={}", encode(&self.joined(|server| server.port.to_string()))));
            String::new()
        } else {
            self.joined(|server| format!("{}:{}", server.url_host(), server.port))
        };
        if self.tls.mode != SslMode::default() && !socket {
            query.push(format!("sslmode={}", self.tls.mode.as_str()));
        }
        if self.target != TargetSession::default() {
            query.push(format!("target_session_attrs={}", self.target.as_str()));
        }
        let query = if query.is_empty() { String::new() } else { format!("?{}", query.join("&")) };
        format!("postgresql://{}@{authority}/{}{query}", encode(&self.user), encode(&self.database))
    }

    fn joined(&self, part: impl Fn(&Server) -> String) -> String {
        self.servers.iter().map(part).collect::<Vec<_>>().join(",")
    }
}

impl Host {
    /// The name or folder.
    pub fn as_str(&self) -> &str {
        match self {
            Host::Tcp(text) | Host::Unix(text) => text,
        }
    }
}

impl Server {
    fn url_host(&self) -> String {
        let name = match (&self.host, self.address) {
            (Host::Tcp(name), Some(address)) if name.is_empty() => address.to_string(),
            (host, _) => host.as_str().to_owned(),
        };
        if name.contains(':') { format!("[{name}]") } else { utf8_percent_encode(&name, ENCODED).to_string() }
    }
}

impl fmt::Display for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.host, self.address) {
            (Host::Tcp(name), Some(address)) if name.is_empty() => write!(f, "{address}:{}", self.port),
            (Host::Tcp(name), _) if name.contains(':') => write!(f, "[{name}]:{}", self.port),
            (host, _) => write!(f, "{}:{}", host.as_str(), self.port),
        }
    }
}

impl fmt::Display for ConnectionSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("`")?;
        write_harmless(f, &self.database)?;
        f.write_str("` on ")?;
        for (i, server) in self.servers.iter().enumerate() {
            write!(f, "{}{server}", if i > 0 { "," } else { "" })?;
        }
        Ok(())
    }
}
