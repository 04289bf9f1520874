//! From parameters, service, environment variables and defaults to one set of settings; the first that speaks counts.

use std::time::Duration;

use super::keyword::{KEYWORDS, Support};
use super::settings::{ConnectionSettings, Host, Server, Tls};
use super::value::{ChannelBinding, Environ, Secret, SslMode, TargetSession};
use super::{Parameters, keyword};
use crate::error::{Error, Result};

/// PostgreSQL's port.
const PORT: u16 = 5432;

/// What libpq takes from the machine where nothing is said.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Defaults {
    /// Name of the operating system's user.
    pub user: String,
    /// Folder of the server's socket, or a host.
    pub host: String,
    /// The user's home folder, where `.pgpass` and `.postgresql` lie.
    pub home: Option<String>,
}

/// All sources of one connection, in the order in which they count.
struct Sources<'a> {
    explicit: &'a Parameters,
    service: Option<&'a Parameters>,
    environ: &'a Environ,
}

impl Sources<'_> {
    fn get(&self, name: &str) -> Option<&str> {
        let variable = keyword::find(name).and_then(|keyword| keyword.variable);
        self.explicit
            .get(name)
            .or_else(|| self.service.and_then(|service| service.get(name)))
            .or_else(|| variable.and_then(|variable| self.environ.get(variable)))
    }

    fn text(&self, name: &str) -> Option<String> {
        self.get(name).map(str::to_owned)
    }

    fn spelled<T: Default>(&self, name: &str, parse: fn(&str) -> Option<T>, known: &[&str]) -> Result<T> {
        match self.get(name) {
            None => Ok(T::default()),
            Some(text) => parse(text).ok_or_else(|| bad_value(name, &format!("known are: {}", known.join(", ")))),
        }
    }

    fn seconds(&self, name: &str) -> Result<Option<Duration>> {
        let number = self.number(name)?;
        Ok(number.and_then(|seconds| u64::try_from(seconds).ok()).filter(|s| *s > 0).map(Duration::from_secs))
    }

    fn number(&self, name: &str) -> Result<Option<i32>> {
        self.get(name).map(|text| text.trim().parse().map_err(|_| bad_value(name, "it must be a number"))).transpose()
    }
}

fn bad_value(name: &str, why: &str) -> Error {
    let variable = keyword::find(name).and_then(|k| k.variable).map(|v| format!(" ({v})")).unwrap_or_default();
    Error::usage(format!("the connection setting `{name}`{variable} has a wrong value")).cause(why)
}

impl Parameters {
    /// The service that the string or `PGSERVICE` names.
    pub fn service<'a>(&'a self, environ: &'a Environ) -> Option<&'a str> {
        self.get("service").or_else(|| environ.get("PGSERVICE"))
    }
}

impl ConnectionSettings {
    /// Joins what was said, in libpq's order: the connection string, its service, the environment, the defaults.
    pub fn merge(
        explicit: &Parameters,
        service: Option<&Parameters>,
        environ: &Environ,
        defaults: &Defaults,
    ) -> Result<ConnectionSettings> {
        let sources = Sources { explicit, service, environ };
        refuse_unsupported(&sources)?;
        let user = sources.text("user").unwrap_or_else(|| defaults.user.clone());
        if user.is_empty() {
            return Err(Error::usage("no user is named for the connection").help("name it in the URL or by PGUSER."));
        }
        let in_home = |name: &str| defaults.home.as_ref().map(|home| format!("{home}/{name}"));
        Ok(ConnectionSettings {
            servers: servers(&sources, defaults)?,
            database: sources.text("dbname").unwrap_or_else(|| user.clone()),
            user,
            password: sources.get("password").map(Secret::new),
            passfile: sources.text("passfile").or_else(|| in_home(".pgpass")),
            tls: Tls {
                mode: match (sources.get("sslmode"), sources.get("sslrootcert")) {
                    (None, Some("system")) => SslMode::VerifyFull,
                    _ => sources.spelled("sslmode", SslMode::parse, SslMode::SPELLINGS)?,
                },
                root_cert: sources.text("sslrootcert"),
                cert: sources.text("sslcert"),
                key: sources.text("sslkey"),
                user_folder: in_home(".postgresql"),
            },
            channel_binding: sources.spelled("channel_binding", ChannelBinding::parse, ChannelBinding::SPELLINGS)?,
            target: sources.spelled("target_session_attrs", TargetSession::parse, TargetSession::SPELLINGS)?,
            options: sources.text("options"),
            application_name: sources.text("application_name"),
            connect_timeout: sources.seconds("connect_timeout")?,
            keepalives: sources.number("keepalives")?.is_none_or(|on| on != 0),
            keepalives_idle: sources.seconds("keepalives_idle")?,
        })
    }
}

/// A setting that would be dropped silently although it asks for more safety than dbbuild can give is an error.
fn refuse_unsupported(sources: &Sources<'_>) -> Result<()> {
    for keyword in KEYWORDS {
        let Some(value) = sources.get(keyword.name) else { continue };
        let refused = match (keyword.name, keyword.support) {
            ("sslnegotiation", _) => value != "postgres",
            ("gssencmode", _) => value == "require",
            (_, Support::Refused) => true,
            _ => false,
        };
        if refused {
            let message = format!("the connection setting `{}` is not supported by dbbuild", keyword.name);
            return Err(Error::usage(message).help("leave it out of the connection string, service and environment."));
        }
    }
    Ok(())
}

fn servers(sources: &Sources<'_>, defaults: &Defaults) -> Result<Vec<Server>> {
    let list = |name: &str| sources.get(name).map(|text| text.split(',').map(str::trim).collect::<Vec<_>>());
    let (hosts, addresses) = (list("host"), list("hostaddr"));
    let count = match (&hosts, &addresses) {
        (Some(hosts), Some(addresses)) if hosts.len() != addresses.len() => {
            return Err(bad_value("hostaddr", "it must name as many as `host`"));
        }
        (Some(hosts), _) => hosts.len(),
        (None, Some(addresses)) => addresses.len(),
        (None, None) => 1,
    };
    let ports = list("port").unwrap_or_default();
    if ports.len() > 1 && ports.len() != count {
        return Err(bad_value("port", "there must be one port, or one for each host"));
    }
    (0..count)
        .map(|i| {
            let host = hosts.as_ref().and_then(|hosts| hosts.get(i)).copied().unwrap_or("");
            let address = match addresses.as_ref().and_then(|all| all.get(i)).filter(|address| !address.is_empty()) {
                None => None,
                Some(address) => Some(address.parse().map_err(|_| bad_value("hostaddr", "it must be an IP address"))?),
            };
            let host = match (host, &address) {
                ("", Some(_)) => Host::Tcp(String::new()),
                ("", None) => Host::parse(&defaults.host),
                (host, _) => Host::parse(host),
            };
            let port = match ports.get(i).or(ports.first()).filter(|port| !port.is_empty()) {
                None => PORT,
                Some(text) => match text.parse() {
                    Ok(port @ 1..) => port,
                    _ => return Err(bad_value("port", "it must be a number from 1 to 65535")),
                },
            };
            Ok(Server { host, address, port })
        })
        .collect()
}
