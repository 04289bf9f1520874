//! A throwaway server in a container, through testcontainers: data in memory, published on the loopback only.
//!
//! The image is the official one or any that keeps its contract (environment variables, entry point, log on stderr).

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use testcontainers::bollard::models::{HostConfig, PortBinding};
use testcontainers::core::logs::LogFrame;
use testcontainers::core::{IntoContainerPort, WaitFor};
use testcontainers::runners::AsyncRunner;
use testcontainers::{ContainerAsync, ContainerRequest, GenericImage, ImageExt, TestcontainersError};
use tokio::task::JoinHandle;

use super::ThrowawayOptions;
use super::address::{HostOrSocketDir, ServerAddress, random_token, sql_error};
use super::cluster::{self, FIXED_SETTINGS, SUPERUSER, throwaway_settings};
use super::docker_engine::{self as engine, MACHINE_LABEL, OWNER_LABEL, Owner, THROWAWAY_LABEL};
use super::programs;
use crate::engine::dump::DumpProgram;
use crate::error::{Error, Result};

pub use engine::engine_answers;

/// Not the place that the image declares as a volume: a folder of our own in memory, whichever version the image has.
pub(super) const DATA_PARENT: &str = "/dbbuild";

/// How long a command that breaks off waits for a container that was being made, so that it can be removed: one of an
/// image that is there comes, however busy the engine is, and one that is being pulled most likely never does.
const BREAK_OFF_LIMIT: Duration = Duration::from_secs(60);
const BREAK_OFF_PULLING_LIMIT: Duration = Duration::from_secs(10);
/// How often it looks.
const BREAK_OFF_PAUSE: Duration = Duration::from_millis(50);

/// Names one start, so that a container can be found before the start tells its id.
const START_LABEL: &str = "dbbuild.start";

/// The last lines that a container wrote.
pub(super) type Log = Arc<Mutex<VecDeque<String>>>;

pub(super) type Container = ContainerAsync<GenericImage>;

/// A running throwaway container. Dropping it removes it.
#[derive(Debug)]
pub struct DockerServer {
    container: Option<Container>,
    address: ServerAddress,
    program: DumpProgram,
}

/// Says why Docker cannot serve the options, as far as that can be known quickly.
pub async fn usable(options: &ThrowawayOptions) -> Result<()> {
    let image = image(options)?;
    engine::engine_answers().await?;
    let client = engine::connect()?;
    // A missing image may still be pulled, unless nobody is asked to wait for that: local programs are there at once.
    if engine::has_image(&client, image).await? || programs::find(options.bin_dir.as_deref(), options.major).is_err() {
        return Ok(());
    }
    Err(Error::failed(format!("the image {image} is not on this machine")).help(format!("run `docker pull {image}`")))
}

pub(super) fn image(options: &ThrowawayOptions) -> Result<&str> {
    options.image.as_deref().ok_or_else(|| {
        Error::usage("no image is configured for throwaway servers in Docker")
            .help("set postgres.image in dbbuild.toml, for instance image = \"postgres:15\"")
    })
}

impl DockerServer {
    /// Starts a container and makes role and database as the options say.
    pub async fn start(options: &ThrowawayOptions) -> Result<DockerServer> {
        let image_name = image(options)?.to_owned();
        engine::engine_answers().await?;
        let client = engine::connect()?;
        // A leftover that cannot be removed costs memory, not correctness.
        let _ = engine::sweep(&client, false).await;
        let password = random_token()?;
        let log = Log::default();
        let request = request(options, &image_name, &password, &log)?;
        let container = Starting::begin(request, random_token()?)
            .end()
            .await
            .map_err(|error| start_error(&image_name, &error, &log))?;
        let port =
            container.get_host_port_ipv4(5432.tcp()).await.map_err(|error| start_error(&image_name, &error, &log))?;
        let address = ServerAddress {
            host: HostOrSocketDir::Host("127.0.0.1".into()),
            port,
            user: SUPERUSER.into(),
            password: Some(password),
        };
        let program = DumpProgram::Container { id: container.id().to_owned(), port: 5432 };
        let mut server = DockerServer { container: Some(container), address, program };
        server.finish(options, &image_name, &log).await?;
        Ok(server)
    }

    async fn finish(&mut self, options: &ThrowawayOptions, image: &str, log: &Log) -> Result<()> {
        let failed = |error: &tokio_postgres::Error| {
            sql_error(format!("cannot connect to the server in the container of {image}"), error).detail(tail(log))
        };
        let mut tries = 0;
        let version = loop {
            match version_of(&self.address).await {
                Ok(version) => break version,
                // The engine's own forwarding may need a moment more than the server.
                Err(_) if tries < 100 => tries += 1,
                Err(error) => return Err(failed(&error)),
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        };
        self.program = fitting_program(options, image, version, self.program.clone())?;
        self.address.prepare(&options.database, options.role.as_deref()).await?;
        self.address.declare(&options.database, &options.declared).await
    }

    /// How it is reached, as the superuser.
    pub fn address(&self) -> &ServerAddress {
        &self.address
    }

    /// The container's id.
    pub fn id(&self) -> Option<&str> {
        self.container.as_ref().map(|container| container.id())
    }

    /// A local `pg_dump` of its version where there is one, else the container's.
    pub fn dump_program(&self) -> DumpProgram {
        self.program.clone()
    }

    /// Removes the container now, and says so if that fails.
    pub async fn remove(mut self) -> Result<()> {
        match self.container.take() {
            Some(container) => remove(container).await,
            None => Ok(()),
        }
    }
}

impl Drop for DockerServer {
    fn drop(&mut self) {
        let Some(container) = self.container.take() else { return };
        on_own_thread(async move {
            // A container that cannot be removed is left to the next sweep.
            let _ = remove(container).await;
        });
    }
}

/// `server_version_num` of a server that answers.
pub(super) async fn version_of(address: &ServerAddress) -> Result<u32, tokio_postgres::Error> {
    let client = address.connect("postgres").await?;
    let row = client.query_one("SELECT current_setting('server_version_num')::int4", &[]).await?;
    Ok(row.get::<_, i32>(0).unsigned_abs())
}

/// The `pg_dump` for a server of an image: a local one of its version, else the given one inside the container.
pub(super) fn fitting_program(
    options: &ThrowawayOptions,
    image: &str,
    version: u32,
    inside: DumpProgram,
) -> Result<DumpProgram> {
    let (major, minor) = (version / 10_000, version % 10_000);
    if let Some(pinned) = options.major.filter(|pinned| *pinned != major) {
        return Err(Error::failed(format!(
            "the image {image} runs PostgreSQL {major}, but postgres.version is {pinned}"
        ))
        .help(format!("set postgres.image to an image of PostgreSQL {pinned}, such as \"postgres:{pinned}\"")));
    }
    // An older minor version would write what newer servers keep for themselves.
    let local = programs::find_client(options.bin_dir.as_deref(), major, false);
    Ok(local.ok().filter(|local| local.version.minor >= minor).map_or(inside, DumpProgram::Local))
}

/// The start of a container as a task of its own: broken off half-way it would leave a container that nobody knows.
pub(super) struct Starting {
    task: Option<JoinHandle<Result<Container, TestcontainersError>>>,
    image: String,
    token: String,
}

impl Starting {
    pub(super) fn begin(request: ContainerRequest<GenericImage>, token: String) -> Starting {
        let request = request.with_label(START_LABEL, &token);
        let image = request.descriptor();
        Starting { task: Some(tokio::spawn(request.start())), image, token }
    }

    pub(super) async fn end(mut self) -> Result<Container, TestcontainersError> {
        let Some(task) = &mut self.task else { return Err(TestcontainersError::other("it was started already")) };
        let outcome = task.await;
        self.task = None;
        outcome.unwrap_or_else(|broken| Err(TestcontainersError::other(broken)))
    }
}

impl Drop for Starting {
    fn drop(&mut self) {
        let Some(task) = self.task.take() else { return };
        on_own_thread(break_off(task, std::mem::take(&mut self.image), std::mem::take(&mut self.token)));
    }
}

/// Removes the container of a start as soon as there is one: it exists long before its server is ready.
async fn break_off(mut task: JoinHandle<Result<Container, TestcontainersError>>, image: String, token: String) {
    let there = match engine::connect() {
        Ok(client) => engine::has_image(&client, &image).await.unwrap_or(false),
        Err(_) => false,
    };
    let end = Instant::now() + if there { BREAK_OFF_LIMIT } else { BREAK_OFF_PULLING_LIMIT };
    let mut ended = false;
    while Instant::now() < end {
        if ended {
            tokio::time::sleep(BREAK_OFF_PAUSE).await;
        } else if let Ok(outcome) = tokio::time::timeout(BREAK_OFF_PAUSE, &mut task).await {
            ended = true;
            if let Ok(Ok(container)) = outcome
                && remove(container).await.is_ok()
            {
                return;
            }
        }
        match remove_started(&token).await {
            Ok(false) if !ended => {}
            Ok(_) => break,
            // The engine may do it when it is asked again.
            Err(_) => {}
        }
    }
    task.abort();
}

/// Removes what a start has made; whether there was anything.
async fn remove_started(token: &str) -> Result<bool> {
    let client = engine::connect()?;
    let found = engine::list(&client, &format!("{START_LABEL}={token}")).await?;
    for id in found.iter().filter_map(|container| container.id.as_deref()) {
        engine::remove_whole(&client, id).await?;
    }
    Ok(!found.is_empty())
}

async fn remove(container: Container) -> Result<()> {
    let id = container.id().to_owned();
    if container.rm().await.is_ok() {
        return Ok(());
    }
    engine::remove_whole(&engine::connect()?, &id).await
}

/// Works on a future to its end inside a destructor. It has a thread and a runtime of its own: run on the caller's, it
/// would swallow the wake-ups that the task around the destructor waits for.
fn on_own_thread(work: impl Future<Output = ()> + Send + 'static) {
    let thread = std::thread::Builder::new().spawn(move || {
        if let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() {
            runtime.block_on(work);
        }
    });
    if let Ok(thread) = thread {
        let _ = thread.join();
    }
}

fn request(
    options: &ThrowawayOptions,
    image: &str,
    password: &str,
    log: &Log,
) -> Result<ContainerRequest<GenericImage>> {
    let (name, tag) = engine::split_image(image);
    let kept = Arc::clone(log);
    let request = GenericImage::new(name, tag)
        .with_exposed_port(5432.tcp())
        // The temporary server that fills a new cluster says the same on stdout.
        .with_wait_for(WaitFor::message_on_stderr("database system is ready to accept connections"))
        .with_env_var("POSTGRES_USER", SUPERUSER)
        .with_env_var("POSTGRES_PASSWORD", password)
        .with_env_var("POSTGRES_INITDB_ARGS", initdb_arguments(options)?)
        .with_env_var("PGDATA", format!("{DATA_PARENT}/data"))
        .with_label(THROWAWAY_LABEL, "1")
        .with_label(OWNER_LABEL, Owner::this().label())
        .with_label(MACHINE_LABEL, engine::machine())
        .with_cmd(std::iter::once("postgres".to_owned()).chain(server_options(options)?))
        .with_host_config_modifier(if options.on_disk.is_some() { on_loopback } else { on_loopback_in_memory })
        .with_log_consumer(move |frame: &LogFrame| remember(&kept, frame));
    Ok(request)
}

fn on_loopback_in_memory(host: &mut HostConfig) {
    on_loopback(host);
    host.tmpfs = Some([(DATA_PARENT.to_owned(), "rw,mode=1777".to_owned())].into());
}

/// In the container's own layer, which goes with it.
fn on_loopback(host: &mut HostConfig) {
    let binding = PortBinding { host_ip: Some("127.0.0.1".into()), host_port: None };
    host.publish_all_ports = Some(false);
    host.port_bindings = Some([("5432/tcp".to_owned(), Some(vec![binding]))].into());
}

/// What initdb is told through the image's entry point, which lets a shell read it.
pub(super) fn initdb_arguments(options: &ThrowawayOptions) -> Result<String> {
    let utf8 = options.encoding.eq_ignore_ascii_case("utf8") || options.encoding.eq_ignore_ascii_case("utf-8");
    let locale = options.locale.as_deref().unwrap_or(if utf8 { "C.UTF-8" } else { "C" });
    for (key, value) in [("postgres.encoding", options.encoding.as_str()), ("postgres.locale", locale)] {
        let plain = |c: char| c.is_ascii_alphanumeric() || "_-.@".contains(c);
        if value.is_empty() || !value.chars().all(plain) {
            return Err(Error::usage(format!("{key} holds no plain name: `{}`", value.escape_debug())));
        }
    }
    Ok(format!("--encoding={} --locale={locale} --lc-messages=C --no-sync --wal-segsize=1", options.encoding))
}

/// What the server is told on its command line, after its name.
pub(super) fn server_options(options: &ThrowawayOptions) -> Result<Vec<String>> {
    let mut settings: BTreeMap<String, String> = throwaway_settings(options.major.unwrap_or(0));
    // The engine gives a container little shared memory beside the server's own.
    settings.insert("dynamic_shared_memory_type".into(), "mmap".into());
    settings.extend(options.settings.clone());
    let fixed = FIXED_SETTINGS.map(|(name, value)| (name.to_owned(), value.to_owned()));
    settings.extend(fixed);
    let mut arguments = Vec::new();
    for (name, value) in settings {
        cluster::check_setting(&name, &value)?;
        arguments.extend(["-c".to_owned(), format!("{name}={value}")]);
    }
    Ok(arguments)
}

pub(super) fn remember(log: &Log, frame: &LogFrame) {
    let Ok(mut log) = log.lock() else { return };
    for line in String::from_utf8_lossy(frame.bytes()).lines() {
        if log.len() == 20 {
            log.pop_front();
        }
        log.push_back(line.to_owned());
    }
}

fn tail(log: &Log) -> String {
    log.lock().map(|log| log.iter().cloned().collect::<Vec<_>>().join("\n")).unwrap_or_default()
}

pub(super) fn start_error(image: &str, error: &TestcontainersError, log: &Log) -> Error {
    let mut words = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(next) = source {
        let text = next.to_string();
        if !words.contains(&text) {
            words = format!("{words}: {text}");
        }
        source = next.source();
    }
    let failed = Error::failed(format!("cannot start a container of {image}")).cause(&words);
    let failed = if words.contains("pull") || words.contains("No such image") {
        failed.help(format!("run `docker pull {image}`, or set postgres.image to an image that is on this machine"))
    } else {
        failed
    };
    match tail(log) {
        empty if empty.is_empty() => failed,
        lines => failed.detail(lines),
    }
}
