//! The Docker engine: reaching it, running a program in a container, and removing containers that a kill left.
//!
//! Only local engines count: what dbbuild starts is published on the loopback, which a remote engine's is not ours.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::time::{Duration, Instant};

use futures_util::{Stream, StreamExt};
use testcontainers::bollard::container::LogOutput;
use testcontainers::bollard::exec::{CreateExecOptions, StartExecResults};
use testcontainers::bollard::models::{ContainerInspectResponse, ContainerSummary};
use testcontainers::bollard::query_parameters::{ListContainersOptionsBuilder, RemoveContainerOptionsBuilder};
use testcontainers::bollard::{API_DEFAULT_VERSION, Docker, errors::Error as DockerError};
use tokio::io::AsyncWrite;

use crate::error::{Error, Result};

/// Marks throwaway containers.
pub const THROWAWAY_LABEL: &str = "dbbuild.throwaway";
/// Says which process a throwaway container belongs to; see [`Owner`].
pub const OWNER_LABEL: &str = "dbbuild.owner";
/// Says where that process id has a meaning.
pub const MACHINE_LABEL: &str = "dbbuild.machine";

/// How long an engine may take to say that it is there.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);

/// How long it may take to remove a container, and how often that is tried.
const REMOVAL_LIMIT: Duration = Duration::from_secs(30);
const REMOVAL_PAUSE: Duration = Duration::from_millis(100);

/// A container of another machine's dbbuild, or of a process id namespace that is gone, is removed after this time.
const FOREIGN_LIMIT_SECONDS: i64 = 24 * 3600;

/// The address of the engine: `DOCKER_HOST`, else the first of the usual sockets that exists.
pub fn docker_host() -> String {
    if let Some(host) = std::env::var("DOCKER_HOST").ok().filter(|host| !host.is_empty()) {
        return host;
    }
    let variable = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|dir| dir.is_absolute());
    let mut sockets = vec![PathBuf::from("/var/run/docker.sock")];
    sockets.extend(variable("XDG_RUNTIME_DIR").map(|dir| dir.join(".docker/run/docker.sock")));
    if let Some(home) = variable("HOME") {
        sockets.extend([home.join(".docker/run/docker.sock"), home.join(".docker/desktop/docker.sock")]);
    }
    let found = sockets.iter().find(|socket| socket.exists()).unwrap_or(&sockets[0]);
    format!("unix://{}", found.display())
}

/// A client of the engine; says what is wrong where none can be reached.
pub fn connect() -> Result<Docker> {
    let host = docker_host();
    let client = if let Some(path) = host.strip_prefix("unix://") {
        check_socket(Path::new(path))?;
        Docker::connect_with_unix(&host, 120, API_DEFAULT_VERSION)
    } else if is_loopback(&host) {
        Docker::connect_with_http(&host, 120, API_DEFAULT_VERSION)
    } else {
        return Err(Error::failed(format!("the Docker engine at {host} is not on this machine"))
            .help("unset DOCKER_HOST, or use local PostgreSQL programs (postgres.throwaway = \"local\")"));
    };
    client.map_err(|error| engine_error(&error))
}

fn is_loopback(host: &str) -> bool {
    let rest = host.strip_prefix("tcp://").or_else(|| host.strip_prefix("http://")).unwrap_or("");
    let name = rest.rsplit_once(':').map_or(rest, |(name, _)| name);
    ["localhost", "127.0.0.1", "[::1]"].contains(&name)
}

/// The kind of a refusal is clear from the socket alone; the client's own errors hide it.
fn check_socket(socket: &Path) -> Result<()> {
    use std::io::ErrorKind;
    let Err(error) = std::os::unix::net::UnixStream::connect(socket) else { return Ok(()) };
    let place = socket.display();
    Err(match error.kind() {
        ErrorKind::NotFound => Error::failed(format!("found no Docker engine: there is no socket {place}"))
            .help("install and start Docker, or set DOCKER_HOST to the socket of your engine"),
        ErrorKind::PermissionDenied => {
            Error::failed(format!("the Docker engine refuses you: no permission on {place}"))
                .help("add yourself to the group of that socket (`sudo usermod -aG docker $USER`) and log in again")
        }
        ErrorKind::ConnectionRefused => Error::failed(format!("the Docker engine of {place} is not running"))
            .help("start it (`sudo systemctl start docker`)"),
        _ => Error::failed(format!("cannot reach the Docker engine at {place}")).cause(error),
    })
}

/// The version of the engine, if it answers in time.
pub async fn engine_answers() -> Result<String> {
    let client = connect()?;
    match tokio::time::timeout(ANSWER_LIMIT, client.version()).await {
        Ok(Ok(version)) => Ok(version.version.unwrap_or_else(|| "unknown".into())),
        Ok(Err(error)) => Err(engine_error(&error)),
        Err(_) => Err(Error::failed(format!(
            "the Docker engine at {} did not answer within {} s",
            docker_host(),
            ANSWER_LIMIT.as_secs()
        ))),
    }
}

/// The engine's own words.
pub fn engine_error(error: &DockerError) -> Error {
    match error {
        DockerError::DockerResponseServerError { status_code, message } => {
            Error::failed("the Docker engine refused").cause(format!("{} ({status_code})", message.trim()))
        }
        error => Error::failed(format!("cannot talk to the Docker engine at {}", docker_host())).cause(error),
    }
}

/// Is the image on this machine?
pub async fn has_image(client: &Docker, image: &str) -> Result<bool> {
    match client.inspect_image(image).await {
        Ok(_) => Ok(true),
        Err(DockerError::DockerResponseServerError { status_code: 404, .. }) => Ok(false),
        Err(error) => Err(engine_error(&error)),
    }
}

/// Splits `registry:5000/name:tag` into name and tag (`latest` where none is given).
pub fn split_image(image: &str) -> (String, String) {
    match image.rsplit_once(':') {
        Some((name, tag)) if !tag.contains('/') => (name.to_owned(), tag.to_owned()),
        _ => (image.to_owned(), "latest".to_owned()),
    }
}

/// What a program in a container writes, while it runs.
pub type Output = Pin<Box<dyn Stream<Item = Result<LogOutput, DockerError>> + Send>>;
/// What it reads. The engine closes it when dbbuild ends, however that ends.
pub type Input = Pin<Box<dyn AsyncWrite + Send>>;

/// Starts a program in a running container to talk with it.
pub async fn converse(container: &str, user: &str, argv: Vec<String>) -> Result<(Output, Input)> {
    let client = connect()?;
    let options = CreateExecOptions {
        attach_stdin: Some(true),
        attach_stdout: Some(true),
        attach_stderr: Some(true),
        cmd: Some(argv),
        user: Some(user.to_owned()),
        ..CreateExecOptions::default()
    };
    let exec = client.create_exec(container, options).await.map_err(|error| engine_error(&error))?;
    match client.start_exec(&exec.id, None).await.map_err(|error| engine_error(&error))? {
        StartExecResults::Attached { output, input } => Ok((output, input)),
        StartExecResults::Detached => Err(Error::failed("the Docker engine detached a program that was to be heard")),
    }
}

/// Runs a program in a running container and takes what it writes.
pub async fn exec(
    client: &Docker,
    container: &str,
    user: &str,
    argv: Vec<String>,
    env: Vec<String>,
) -> Result<(i64, Vec<u8>, Vec<u8>)> {
    let failed = |error: DockerError| engine_error(&error);
    let options = CreateExecOptions {
        attach_stdout: Some(true),
        attach_stderr: Some(true),
        cmd: Some(argv),
        env: Some(env),
        user: Some(user.to_owned()),
        ..CreateExecOptions::default()
    };
    let exec = client.create_exec(container, options).await.map_err(failed)?;
    let started = client.start_exec(&exec.id, None).await.map_err(failed)?;
    let StartExecResults::Attached { mut output, .. } = started else {
        return Err(Error::failed("the Docker engine detached a program that was to be read"));
    };
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    while let Some(part) = output.next().await {
        match part.map_err(failed)? {
            LogOutput::StdErr { message } => stderr.extend_from_slice(&message),
            other => stdout.extend_from_slice(&other.into_bytes()),
        }
    }
    let status = client.inspect_exec(&exec.id).await.map_err(failed)?.exit_code.unwrap_or(-1);
    Ok((status, stdout, stderr))
}

/// The process that a throwaway container belongs to, told from a later one of the same id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    pid: i32,
    started: u64,
}

impl Owner {
    /// This process.
    pub fn this() -> Owner {
        let pid = i32::try_from(std::process::id()).unwrap_or(0);
        Owner { pid, started: start_time(pid).unwrap_or(0) }
    }

    /// Its label.
    pub fn label(&self) -> String {
        format!("{}:{}", self.pid, self.started)
    }

    fn parse(label: &str) -> Option<Owner> {
        let (pid, started) = label.split_once(':')?;
        Some(Owner { pid: pid.parse().ok()?, started: started.parse().ok()? })
    }

    fn lives(&self) -> bool {
        super::process::alive(self.pid) && start_time(self.pid).is_none_or(|started| started == self.started)
    }
}

/// When a process began, in ticks since the machine started; `None` where the system does not tell.
fn start_time(pid: i32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit(") ").next()?.split_whitespace().nth(19)?.parse().ok()
}

/// Where a process id has a meaning: this start of this machine, and this namespace of process ids.
pub fn machine() -> String {
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let namespace = std::fs::read_link("/proc/self/ns/pid").unwrap_or_default();
    let host = nix::sys::utsname::uname().map(|name| name.nodename().to_owned()).unwrap_or_default();
    format!("{} {} {}", host.to_string_lossy(), boot.trim(), namespace.display()).trim().to_owned()
}

/// Removes throwaway containers whose process is gone; `all` includes old ones of unknown owners. Returns their names.
pub async fn sweep(client: &Docker, all: bool) -> Result<Vec<String>> {
    let found = list(client, &format!("{THROWAWAY_LABEL}=1")).await?;
    let machine = machine();
    let mut removed = Vec::new();
    for container in found {
        let Some(id) = container.id.clone() else { continue };
        if !is_leftover(&container, &machine, all) {
            continue;
        }
        if remove(client, &id).await.is_ok() {
            let name = container.names.unwrap_or_default().into_iter().next().unwrap_or(id);
            removed.push(name.trim_start_matches('/').to_owned());
        }
    }
    Ok(removed)
}

fn is_leftover(container: &ContainerSummary, machine: &str, all: bool) -> bool {
    let labels = container.labels.clone().unwrap_or_default();
    if labels.get(MACHINE_LABEL).is_some_and(|label| label == machine) {
        return !labels.get(OWNER_LABEL).and_then(|label| Owner::parse(label)).is_some_and(|owner| owner.lives());
    }
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |d| d.as_secs());
    let age = i64::try_from(now).unwrap_or(i64::MAX).saturating_sub(container.created.unwrap_or(i64::MAX));
    all && age > FOREIGN_LIMIT_SECONDS
}

/// All containers, running or not, with a label.
pub async fn list(client: &Docker, label: &str) -> Result<Vec<ContainerSummary>> {
    let filters = HashMap::from([("label", vec![label])]);
    let options = ListContainersOptionsBuilder::new().all(true).filters(&filters).build();
    client.list_containers(Some(options)).await.map_err(|error| engine_error(&error))
}

/// What the engine knows of a container, by id or name; `None` where there is none.
pub async fn inspect(client: &Docker, container: &str) -> Result<Option<ContainerInspectResponse>> {
    match client.inspect_container(container, None).await {
        Ok(found) => Ok(Some(found)),
        Err(DockerError::DockerResponseServerError { status_code: 404, .. }) => Ok(None),
        Err(error) => Err(engine_error(&error)),
    }
}

/// Removes a container, running or not, with its anonymous volumes. It is gone then, or being removed by somebody else.
pub async fn remove(client: &Docker, id: &str) -> Result<()> {
    match try_to_remove(client, id).await {
        Ok(()) | Err(DockerError::DockerResponseServerError { status_code: 409, .. }) => Ok(()),
        Err(error) => Err(engine_error(&error)),
    }
}

/// The same, and waits until it is gone: an engine under load gives up on the first try, having seen no end of its processes.
pub async fn remove_whole(client: &Docker, id: &str) -> Result<()> {
    let begin = Instant::now();
    loop {
        match try_to_remove(client, id).await {
            Ok(()) => return Ok(()),
            Err(DockerError::DockerResponseServerError { .. }) if begin.elapsed() < REMOVAL_LIMIT => {}
            Err(error) => return Err(engine_error(&error)),
        }
        tokio::time::sleep(REMOVAL_PAUSE).await;
    }
}

async fn try_to_remove(client: &Docker, id: &str) -> std::result::Result<(), DockerError> {
    let options = RemoveContainerOptionsBuilder::new().force(true).v(true).build();
    match client.remove_container(id, Some(options)).await {
        Err(DockerError::DockerResponseServerError { status_code: 404, .. }) => Ok(()),
        removed => removed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_split_into_name_and_tag() {
        for (image, name, tag) in [
            ("postgres:15", "postgres", "15"),
            ("postgres", "postgres", "latest"),
            ("host:5000/pg", "host:5000/pg", "latest"),
            ("host:5000/pg:15-alpine", "host:5000/pg", "15-alpine"),
        ] {
            assert_eq!(split_image(image), (name.into(), tag.into()));
        }
    }

    #[test]
    fn only_containers_of_dead_processes_are_leftovers() {
        let container = |machine: &str, owner: String| ContainerSummary {
            labels: Some(HashMap::from([(MACHINE_LABEL.into(), machine.into()), (OWNER_LABEL.into(), owner)])),
            created: Some(0),
            ..ContainerSummary::default()
        };
        let here = machine();
        assert!(!is_leftover(&container(&here, Owner::this().label()), &here, true));
        let earlier = Owner { started: Owner::this().started + 1, ..Owner::this() };
        assert!(is_leftover(&container(&here, earlier.label()), &here, false) || cfg!(not(target_os = "linux")));
        assert!(is_leftover(&container(&here, "999999999:1".into()), &here, false));
        assert!(is_leftover(&container(&here, "nonsense".into()), &here, false));
        assert!(!is_leftover(&container("elsewhere", "1:1".into()), &here, false));
        assert!(is_leftover(&container("elsewhere", "1:1".into()), &here, true));
    }

    #[test]
    fn a_remote_engine_is_told_from_a_local_one() {
        assert!(is_loopback("tcp://localhost:2375"));
        assert!(is_loopback("http://127.0.0.1:2375"));
        assert!(!is_loopback("tcp://builder:2376"));
        assert!(!is_loopback("ssh://me@localhost"));
    }

    #[test]
    fn a_missing_engine_is_told_from_a_stopped_one() {
        let temp = tempfile::tempdir().unwrap();
        let socket = temp.path().join("docker.sock");
        assert!(check_socket(&socket).unwrap_err().message().starts_with("found no Docker engine"));
        drop(std::os::unix::net::UnixListener::bind(&socket).unwrap());
        assert!(check_socket(&socket).unwrap_err().message().ends_with("is not running"));
    }
}
