//! A login over a stream that is open already, to see how the server answers. Nothing runs in the session.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio_postgres::config::SslMode as DriverMode;
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::{Config, NoTls};

use super::{ServerError, tls};
use crate::error::Result;
use crate::model::conninfo::{Secret, SslMode, Tls};

/// How long a server may take to let somebody in or not.
const LIMIT: Duration = Duration::from_secs(15);

/// Who knocks.
#[derive(Debug)]
pub struct Knock<'a> {
    /// As whom.
    pub user: &'a str,
    /// To which database.
    pub database: &'a str,
    /// With which password, if the server asks for one.
    pub password: &'a Secret,
    /// Whether with TLS, whoever the server says it is.
    pub tls: bool,
}

/// Logs in and leaves again; the inner error is what the server said.
///
/// # Errors
/// TLS cannot be set up here.
pub async fn knock<S>(stream: S, who: &Knock<'_>) -> Result<std::result::Result<(), Box<ServerError>>>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut config = Config::new();
    config.user(who.user).dbname(who.database).password(who.password.expose()).application_name("dbbuild");
    config.ssl_mode(if who.tls { DriverMode::Require } else { DriverMode::Disable });
    let answer = async {
        if !who.tls {
            return Ok(config.connect_raw(stream, NoTls).await.map(|_| ()));
        }
        let mut connector = tls::connector(&Tls { mode: SslMode::Require, ..Tls::default() })?;
        let Ok(tls) = MakeTlsConnect::<S>::make_tls_connect(&mut connector, "localhost");
        Ok(config.connect_raw(stream, tls).await.map(|_| ()))
    };
    match tokio::time::timeout(LIMIT, answer).await {
        Ok(answer) => answer.map(|answer| answer.map_err(|error| Box::new(ServerError::from_driver(&error)))),
        Err(_) => {
            let message = "the server does not answer".to_owned();
            Ok(Err(Box::new(ServerError { message, ..ServerError::default() })))
        }
    }
}
