//! A throwaway server inside a kept container: a copy of a stopped cluster, started by a script that ends with its input.
//!
//! The script and its words stand in `guest.sh`. How the container itself comes and goes is [`super::docker_keeper`]'s
//! business.

use std::time::{Duration, Instant};

use futures_util::{FutureExt, StreamExt};
use tokio::io::AsyncWriteExt;

use super::address::{HostOrSocketDir, ServerAddress, sql_error};
use super::cluster::SUPERUSER;
use super::docker;
use super::docker_engine::{self as engine, engine_error};
use super::docker_keeper::{FRESH, HOME, KEPT, Keeper};
use super::throwaway::{Origin, ThrowawayOptions};
use crate::engine::dump::DumpProgram;
use crate::error::{Error, OrFailed, Result};

const SCRIPT: &str = include_str!("guest.sh");

/// How long an answer may take: a copy of a large cluster, or an orderly stop.
const ANSWER_LIMIT: Duration = Duration::from_secs(120);
/// How often a server that does not answer is asked for.
const ASK_PAUSE: Duration = Duration::from_millis(500);
/// How long it may take to answer.
const START_LIMIT: Duration = Duration::from_secs(60);

/// A running server in a kept container. Dropping it ends the server and removes its data.
#[derive(Debug)]
pub struct GuestServer {
    keeper: Keeper,
    talk: Talk,
    /// Its port inside the container.
    port: u16,
    address: ServerAddress,
    program: DumpProgram,
}

impl GuestServer {
    /// Starts a server and makes role and database as the options say.
    pub async fn start(keeper: &Keeper, options: &ThrowawayOptions) -> Result<GuestServer> {
        let from = match &options.from {
            Some(Origin::Keeper(folder)) => folder.clone(),
            _ => format!("{HOME}/{FRESH}"),
        };
        let mut argv: Vec<String> = ["sh", "-c", SCRIPT, "guest", HOME, from.as_str()].map(String::from).into();
        argv.extend(keeper.ports().map(|port| port.to_string()));
        argv.push("--".to_owned());
        argv.extend(docker::server_options(options)?);
        let mut talk = Talk::begin(keeper.id(), argv).await?;
        let line = talk.line().await?;
        let port = line.strip_prefix("port ").and_then(|port| port.parse::<u16>().ok());
        let port = port.ok_or_else(|| Error::failed("no server starts in the kept container").cause(words(&line)))?;
        let host_port = keeper.host_port(port).ok_or_else(|| Error::failed("a port of the container has no way in"))?;
        let address = ServerAddress {
            host: HostOrSocketDir::Host("127.0.0.1".into()),
            port: host_port,
            user: SUPERUSER.into(),
            password: Some(keeper.password().to_owned()),
        };
        let program = DumpProgram::Container { id: keeper.id().to_owned(), port };
        let mut server = GuestServer { keeper: keeper.clone(), talk, port, address, program };
        let version = server.wait_ready().await?;
        let image = options.image.as_deref().unwrap_or_default();
        server.program = docker::fitting_program(options, image, version, server.program.clone())?;
        if options.from.is_none() {
            server.address.prepare(&options.database, options.role.as_deref()).await?;
            server.address.declare(&options.database, &options.declared).await?;
        }
        Ok(server)
    }

    /// Waits until it answers; returns `server_version_num`.
    async fn wait_ready(&mut self) -> Result<u32> {
        let (begin, mut asked) = (Instant::now(), Instant::now());
        loop {
            let error = match docker::version_of(&self.address).await {
                Ok(version) => return Ok(version),
                Err(error) => error,
            };
            if error.as_db_error().is_some_and(|db| db.code().code() != "57P03") {
                return Err(sql_error("the server in the kept container refuses connections".into(), &error));
            }
            if asked.elapsed() > ASK_PAUSE {
                self.talk.alive().await?;
                asked = Instant::now();
            }
            if begin.elapsed() > START_LIMIT {
                return Err(sql_error("the server in the kept container does not answer".into(), &error));
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// How it is reached, as the superuser.
    pub fn address(&self) -> &ServerAddress {
        &self.address
    }

    /// The container's id.
    pub fn id(&self) -> &str {
        self.keeper.id()
    }

    /// Its port inside the container.
    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// The file that it logs to, inside the container.
    pub(super) fn log(&self) -> String {
        format!("{HOME}/port-{}/log", self.port)
    }

    /// A local `pg_dump` of its version where there is one, else the container's.
    pub fn dump_program(&self) -> DumpProgram {
        self.program.clone()
    }

    /// Ends it now, and waits until it is gone.
    pub async fn remove(mut self) {
        self.talk.end().await;
    }

    /// Shuts down in order, so that the data directory can be kept or copied.
    pub async fn stop(mut self) -> Result<StoppedGuest> {
        let answer = self.talk.ask("stop").await?;
        let mut parts = answer.strip_prefix("stopped ").unwrap_or_default().split(' ');
        if parts.next() != Some("0") {
            return Err(Error::failed("a throwaway server in a container shut down with an error").cause(answer));
        }
        let kilobytes: u64 = parts.next().and_then(|size| size.parse().ok()).unwrap_or(u64::MAX / 1024);
        Ok(StoppedGuest { talk: self.talk, port: self.port, bytes: kilobytes * 1024 })
    }
}

/// A server of a kept container that was shut down in order; dropping it removes its data.
#[derive(Debug)]
pub struct StoppedGuest {
    talk: Talk,
    port: u16,
    bytes: u64,
}

impl StoppedGuest {
    /// What a copy of it starts from.
    pub fn origin(&self) -> Origin {
        Origin::Keeper(format!("{HOME}/port-{}/data", self.port))
    }

    /// How much it holds.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Puts its data under a key; what is kept under neither this one nor the others is removed.
    pub(super) async fn keep(&mut self, key: &str, others: &[String]) -> Result<()> {
        let answer = self.talk.ask(&format!("keep {key} {}", others.join(" "))).await?;
        if answer == "kept" { Ok(()) } else { Err(Error::failed("a state cannot be kept").cause(words(&answer))) }
    }
}

/// What a copy of a kept state starts from.
pub(super) fn kept_origin(key: &str) -> Origin {
    Origin::Keeper(format!("{HOME}/{KEPT}/{key}"))
}

fn words(answer: &str) -> String {
    answer.strip_prefix("error ").unwrap_or(answer).to_owned()
}

/// The conversation with one script: lines in, lines out.
struct Talk {
    input: engine::Input,
    output: engine::Output,
    /// What was received and not yet taken.
    rest: Vec<u8>,
}

impl std::fmt::Debug for Talk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Talk")
    }
}

impl Talk {
    async fn begin(container: &str, argv: Vec<String>) -> Result<Talk> {
        let (output, input) = engine::converse(container, "postgres", argv).await?;
        let mut talk = Talk { input, output, rest: Vec::new() };
        talk.say("begin").await?;
        Ok(talk)
    }

    async fn ask(&mut self, words: &str) -> Result<String> {
        self.say(words).await?;
        self.line().await
    }

    async fn say(&mut self, words: &str) -> Result<()> {
        let line = format!("{words}\n");
        self.input.write_all(line.as_bytes()).await.or_failed(|| "cannot talk to a server in a container")?;
        self.input.flush().await.or_failed(|| "cannot talk to a server in a container")
    }

    /// The next line; an error when there is none.
    async fn line(&mut self) -> Result<String> {
        let read = async {
            loop {
                if let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
                    let line: Vec<u8> = self.rest.drain(..=end).collect();
                    return Ok(String::from_utf8_lossy(&line[..end]).into_owned());
                }
                match self.output.next().await {
                    Some(Ok(part)) => self.rest.extend_from_slice(&part.into_bytes()),
                    Some(Err(error)) => return Err(engine_error(&error)),
                    None => {
                        let said = String::from_utf8_lossy(&self.rest).into_owned();
                        return Err(Error::failed("a server in a container ended without a word").cause(said));
                    }
                }
            }
        };
        tokio::time::timeout(ANSWER_LIMIT, read)
            .await
            .unwrap_or_else(|_| Err(Error::failed("a server in a container gives no answer")))
    }

    /// An error with the end of its log where the server has ended.
    async fn alive(&mut self) -> Result<()> {
        if self.ask("alive").await? == "alive" {
            return Ok(());
        }
        let mut log = Vec::new();
        loop {
            match self.line().await?.as_str() {
                "." => break,
                line => log.push(line.to_owned()),
            }
        }
        Err(Error::failed("the PostgreSQL server in the container ended while it started").detail(log.join("\n")))
    }

    /// Ends the script and waits until it has removed what it made.
    async fn end(&mut self) {
        let _ = self.say("end").await;
        let _ = self.input.shutdown().await;
        let drain = async { while self.output.next().await.is_some() {} };
        let _ = tokio::time::timeout(ANSWER_LIMIT, drain).await;
    }
}

impl Drop for Talk {
    fn drop(&mut self) {
        // There is room for so few bytes, so that nothing is waited for; who was told already hears nothing.
        let _ = self.say("end").now_or_never();
    }
}
