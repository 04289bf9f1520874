//! How a server that dbbuild runs is reached. General connection strings are the business of `model::conninfo`.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use crate::error::{Error, OrFailed, Result};
use crate::model::conninfo::{ConnectionSettings, Secret};
use crate::model::sql::{identifier, literal};

/// Name or address of a host, or the folder of a unix socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostOrSocketDir {
    /// A host, for dbbuild's own servers always the loopback.
    Host(String),
    /// The folder that holds `.s.PGSQL.PORT`.
    SocketDir(PathBuf),
}

impl fmt::Display for HostOrSocketDir {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HostOrSocketDir::Host(host) => f.write_str(host),
            HostOrSocketDir::SocketDir(dir) => write!(f, "{}", dir.display()),
        }
    }
}

/// Where a server listens and as whom to log in. `Debug` and `Display` hold no password.
#[derive(Clone, PartialEq, Eq)]
pub struct ServerAddress {
    /// Host or socket folder.
    pub host: HostOrSocketDir,
    /// Port; part of the socket's name with a socket folder.
    pub port: u16,
    /// Role to log in as.
    pub user: String,
    /// Its password; local servers need none, since only their user can enter the socket's folder.
    pub password: Option<String>,
}

impl ServerAddress {
    /// The same server for another role with the same password.
    #[must_use]
    pub fn with_user(&self, user: &str) -> ServerAddress {
        ServerAddress { user: user.to_owned(), ..self.clone() }
    }

    /// The settings of a session to one of its databases.
    pub fn settings(&self, database: &str) -> ConnectionSettings {
        let password = self.password.as_ref().map(Secret::new);
        ConnectionSettings::new(&self.host.to_string(), self.port, &self.user, password, database)
    }

    /// The environment variables that lead a libpq program to one database, without a word on its command line.
    pub fn libpq_env(&self, database: &str) -> Vec<(String, String)> {
        self.settings(database).libpq_env()
    }

    /// A connection URL without the password, for people.
    pub fn url(&self, database: &str) -> String {
        self.settings(database).url_without_password()
    }

    /// A plain session, for what servers need done to themselves; everything else uses `engine::session`.
    pub(super) async fn connect(&self, database: &str) -> Result<tokio_postgres::Client, tokio_postgres::Error> {
        let mut config = tokio_postgres::Config::new();
        config.port(self.port).user(&self.user).dbname(database).application_name("dbbuild");
        config.connect_timeout(Duration::from_secs(10));
        match &self.host {
            HostOrSocketDir::Host(host) => config.host(host),
            HostOrSocketDir::SocketDir(dir) => config.host_path(dir),
        };
        if let Some(password) = &self.password {
            config.password(password);
        }
        let (client, connection) = config.connect(tokio_postgres::NoTls).await?;
        // Ends by itself when the client is dropped or the server goes away.
        tokio::spawn(connection);
        Ok(client)
    }

    /// Makes the role that is not a superuser, and the database, owned by it; what exists already stays as it is.
    pub async fn prepare(&self, database: &str, role: Option<&str>) -> Result<()> {
        let failed = |what: String| move |error| sql_error(what, &error);
        let client = self.connect("postgres").await.map_err(failed("cannot connect to the server".into()))?;
        let asked = client
            .query_one(
                "SELECT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = $1), \
                        EXISTS (SELECT FROM pg_catalog.pg_database WHERE datname = $2), \
                        current_setting('server_version_num')::int4 >= 150000 AND current_setting('fsync') = 'off'",
                &[&role.unwrap_or(&self.user), &database],
            )
            .await
            .map_err(failed("cannot read roles and databases".into()))?;
        let (role_exists, database_exists, copy_files) =
            (asked.get::<_, bool>(0), asked.get::<_, bool>(1), asked.get::<_, bool>(2));
        let role = role.filter(|role| *role != self.user);
        if let Some(role) = role.filter(|_| !role_exists) {
            let mut sql = format!("CREATE ROLE {} LOGIN CREATEDB CREATEROLE", identifier(role));
            if let Some(password) = &self.password {
                sql.push_str(&format!(" PASSWORD {}", literal(password)));
            }
            client.batch_execute(&sql).await.map_err(failed(format!("cannot create role {role}")))?;
        }
        if database_exists {
            // Only where the server came with it: an existing database of a kept server has an owner already.
            if let Some(role) = role.filter(|_| !role_exists) {
                let sql = format!("ALTER DATABASE {} OWNER TO {}", identifier(database), identifier(role));
                client.batch_execute(&sql).await.map_err(failed(format!("cannot give {database} to role {role}")))?;
            }
            return Ok(());
        }
        let mut sql = format!("CREATE DATABASE {}", identifier(database));
        if let Some(role) = role {
            sql.push_str(&format!(" OWNER {}", identifier(role)));
        }
        if copy_files {
            // Without durability it is quicker to copy files than to log every page.
            sql.push_str(" STRATEGY file_copy");
        }
        client.batch_execute(&sql).await.map_err(failed(format!("cannot create database {database}")))
    }

    /// Makes the declared roles, as far as they are missing; nothing where none are declared.
    pub(super) async fn declare(&self, database: &str, statements: &str) -> Result<()> {
        if statements.is_empty() {
            return Ok(());
        }
        let failed = |e| sql_error("cannot make the declared roles".into(), &e);
        let client = self.connect(database).await.map_err(failed)?;
        client.batch_execute(statements).await.map_err(failed)
    }
}

impl fmt::Debug for ServerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ServerAddress({self})")
    }
}

impl fmt::Display for ServerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}:{}", self.user, self.host, self.port)
    }
}

/// Turns the driver's error, which prints as "db error", into the server's words.
pub(super) fn sql_error(what: String, error: &tokio_postgres::Error) -> Error {
    match error.as_db_error() {
        Some(db) => Error::failed(what)
            .cause(format!("{} ({})", db.message(), db.code().code()))
            .sqlstate(db.code().code().to_owned()),
        None => {
            let source = std::error::Error::source(error).map(|source| format!(": {source}")).unwrap_or_default();
            Error::failed(what).cause(format!("{error}{source}"))
        }
    }
}

/// 128 bits from the machine's source of randomness.
pub fn random_bits() -> Result<[u8; 16]> {
    let mut bytes = [0u8; 16];
    let mut source = std::fs::File::open("/dev/urandom").or_failed(|| "cannot open /dev/urandom")?;
    std::io::Read::read_exact(&mut source, &mut bytes).or_failed(|| "cannot read /dev/urandom")?;
    Ok(bytes)
}

/// A password that nobody has seen.
pub fn random_token() -> Result<String> {
    Ok(random_bits()?.iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_form_shows_the_password() {
        let address = ServerAddress {
            host: HostOrSocketDir::Host("127.0.0.1".into()),
            port: 5433,
            user: "a b".into(),
            password: Some("secret".into()),
        };
        let shown = format!("{address} {address:?} {}", address.url("my db"));
        assert!(!shown.contains("secret") && shown.contains("a%20b@127.0.0.1:5433/my%20db"), "{shown}");
        let env = address.libpq_env("d");
        assert!(env.contains(&("PGPASSWORD".into(), "secret".into())));
        assert!(env.contains(&("PGDATABASE".into(), "d".into())));
    }

    #[test]
    fn tokens_are_told_apart() {
        assert_ne!(random_token().unwrap(), random_token().unwrap());
    }
}
