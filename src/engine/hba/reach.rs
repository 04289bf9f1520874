//! How a throwaway is reached from its own loopback and socket, on this machine or inside its container.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpSocket, UnixStream};

use super::live;
use crate::engine::server::Inside;
use crate::engine::server::docker_relay::{self, Said};
use crate::engine::session::Session;
use crate::error::{Error, OrFailed, Result};
use crate::model::hba::Peer;

/// Both ways of a connection.
pub(super) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// See the module's page.
#[derive(Debug, Clone)]
pub(super) struct Reach {
    inside: Inside,
    socket: PathBuf,
}

impl Reach {
    /// Asks the server for what is not known of it.
    ///
    /// # Errors
    /// It does not answer, or has no socket.
    pub async fn of(inside: Inside, session: &Session) -> Result<Reach> {
        let folder = match &inside.sockets {
            Some(folder) => folder.clone(),
            None => first_socket_folder(session).await?,
        };
        let socket = folder.join(format!(".s.PGSQL.{}", inside.port));
        Ok(Reach { inside, socket })
    }

    /// A connection that comes from there; the inner error says why there is none.
    ///
    /// # Errors
    /// The server's socket, or its container, is not there.
    pub async fn stream(&self, from: Peer) -> Result<Opened> {
        let Some(container) = &self.inside.container else { return self.here(from).await };
        let words = match from {
            Peer::Local => vec![self.socket.display().to_string()],
            Peer::Tcp { address, .. } => [address, own(address)].map(|ip| ip.to_string()).into(),
        };
        let port = matches!(from, Peer::Tcp { .. }).then(|| self.inside.port.to_string());
        let words: Vec<String> = words.into_iter().chain(port).collect();
        let (stream, said) = docker_relay::open(container, &words).await?;
        Ok(Ok((Box::new(stream), Some(said))))
    }

    async fn here(&self, from: Peer) -> Result<Opened> {
        let Peer::Tcp { address, .. } = from else {
            let stream = UnixStream::connect(&self.socket).await;
            let stream = stream.or_failed(|| "cannot reach the throwaway server's socket")?;
            return Ok(Ok((Box::new(stream), None)));
        };
        let tcp = async {
            let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
            socket.bind(SocketAddr::new(address, 0))?;
            socket.connect(SocketAddr::new(own(address), self.inside.port)).await
        };
        Ok(match tcp.await {
            Ok(stream) => Ok((Box::new(stream), None)),
            Err(why) => Err(why.to_string()),
        })
    }

    /// What the server has logged so far.
    ///
    /// # Errors
    /// It cannot be read.
    pub async fn log(&self, session: &Session) -> Result<String> {
        let log = self.inside.log.display().to_string();
        if self.inside.container.is_none() {
            let bytes = std::fs::read(&self.inside.log).or_failed(|| format!("cannot read {log}"))?;
            return Ok(String::from_utf8_lossy(&bytes).into_owned());
        }
        let text = live::fetch(session, &log, true).await.map_err(Error::failed)?;
        Ok(text.unwrap_or_default())
    }
}

async fn first_socket_folder(session: &Session) -> Result<PathBuf> {
    let shown = session.query_rows("SELECT pg_catalog.current_setting('unix_socket_directories')").await?;
    let folders = shown.first().and_then(|row| row.first().cloned().flatten()).unwrap_or_default();
    let first = folders.split(',').next().map(str::trim).filter(|folder| !folder.is_empty());
    first.map(PathBuf::from).ok_or_else(|| Error::failed("the throwaway server has no unix socket"))
}

/// A connection, with what a relay says of it; or why there is none.
pub(super) type Opened = std::result::Result<(Box<dyn Stream>, Option<Said>), String>;

/// The address of the loopback that the server listens on.
fn own(from: IpAddr) -> IpAddr {
    match from {
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::LOCALHOST),
    }
}
