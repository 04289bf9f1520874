//! The kept container: one that stays for a while after a proof, holds a fresh cluster and kept states, and in which the
//! throwaway servers of the next proofs start at once.
//!
//! Each has one image and one way of making clusters, and belongs to one state directory. It is labelled, ends by itself
//! when nobody has used it for a while, and goes with `dbbuild server prune`. What it runs while nobody uses it is a shell.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use testcontainers::bollard::models::{ContainerInspectResponse, ContainerStateStatusEnum, HostConfig, PortBinding};
use testcontainers::core::logs::LogFrame;
use testcontainers::core::{IntoContainerPort, WaitFor};
use testcontainers::{ContainerRequest, GenericImage, ImageExt, ReuseDirective};

use super::address::random_token;
use super::cluster::SUPERUSER;
use super::docker::{self, Log, Starting};
use super::docker_engine::{self as engine, MACHINE_LABEL, engine_error};
use super::kept;
use super::state::StateDir;
use super::throwaway::ThrowawayOptions;
use crate::error::{Error, Result};
use crate::model::checksum::Digest;

/// Says which state directory a kept container belongs to.
pub const KEEPER_LABEL: &str = "dbbuild.kept";

/// The container's folder in memory; in it the fresh cluster and the kept ones.
pub(super) const HOME: &str = docker::DATA_PARENT;
pub(super) const FRESH: &str = "fresh";
pub(super) const KEPT: &str = "kept";

const SCRIPT: &str = include_str!("keeper.sh");

/// How long an unused container stays.
const IDLE: Duration = Duration::from_secs(15 * 60);

/// So many servers can run in one container at once.
const PORTS: std::ops::Range<u16> = 5432..5444;

/// How often a container of our name is looked for before that is given up: somebody may be removing or making it.
const TRIES: u32 = 240;
const PAUSE: Duration = Duration::from_millis(250);
const PRUNE_TRIES: u32 = 20;

/// A kept container that runs. `Debug` holds no password.
#[derive(Clone, PartialEq, Eq)]
pub struct Keeper {
    id: String,
    image: String,
    password: String,
    /// By port inside the container, the port of the loopback.
    ports: BTreeMap<u16, u16>,
}

impl std::fmt::Debug for Keeper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Keeper({})", self.id)
    }
}

impl Keeper {
    /// Finds the container for these options, or makes it.
    ///
    /// # Errors
    /// The engine or the image does not do what is needed.
    pub async fn open(options: &ThrowawayOptions, state: &StateDir) -> Result<Keeper> {
        let image = docker::image(options)?.to_owned();
        engine::engine_answers().await?;
        let client = engine::connect()?;
        let inspected = client.inspect_image(&image).await.map_err(|error| engine_error(&error))?;
        let id = inspected.id.unwrap_or_default();
        let entry = inspected.config.and_then(|config| config.entrypoint).unwrap_or_default();
        let name = name(options, state, &id)?;
        for round in 0..TRIES {
            if let Some(found) = engine::inspect(&client, &name).await? {
                if let Some(keeper) = Keeper::running(&found, &id) {
                    return Ok(keeper);
                }
                let status = found.state.and_then(|state| state.status);
                // Somebody else is about to start one that is only created, or was killed before that.
                let hopeless = match status {
                    Some(ContainerStateStatusEnum::RUNNING) => false,
                    Some(ContainerStateStatusEnum::CREATED) => round > TRIES / 2,
                    _ => true,
                };
                if hopeless {
                    engine::remove(&client, &name).await?;
                }
            } else {
                let _ = engine::sweep(&client, false).await;
                let log = Log::default();
                let request = request(options, state, &image, &name, &entry)?.with_log_consumer({
                    let log = Arc::clone(&log);
                    move |frame: &LogFrame| docker::remember(&log, frame)
                });
                match Starting::begin(request, random_token()?).end().await {
                    // It is found by its name, and stays when this value goes.
                    Ok(container) => drop(container),
                    Err(error) if error.to_string().contains("already in use") => {}
                    Err(error) => return Err(docker::start_error(&image, &error, &log)),
                }
                continue;
            }
            tokio::time::sleep(PAUSE).await;
        }
        Err(Error::failed(format!("the kept container {name} does not come up"))
            .help(format!("see `docker logs {name}`; `docker rm --force {name}` removes it")))
    }

    fn running(found: &ContainerInspectResponse, image: &str) -> Option<Keeper> {
        let state = found.state.as_ref()?;
        let config = found.config.as_ref()?;
        let password = config.env.as_ref()?.iter().find_map(|line| line.strip_prefix("POSTGRES_PASSWORD="))?;
        let bindings = found.network_settings.as_ref()?.ports.as_ref()?;
        let port_of = |port: u16| {
            let host = bindings.get(&format!("{port}/tcp"))?.as_ref()?.first()?.host_port.as_ref()?;
            Some((port, host.parse().ok()?))
        };
        let ports: Option<BTreeMap<u16, u16>> = PORTS.map(port_of).collect();
        (state.running == Some(true) && found.image.as_deref() == Some(image)).then_some(())?;
        Some(Keeper { id: found.id.clone()?, image: image.to_owned(), password: password.to_owned(), ports: ports? })
    }

    /// The container's id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The id of the image that it runs.
    pub fn image(&self) -> &str {
        &self.image
    }

    pub(super) fn password(&self) -> &str {
        &self.password
    }

    pub(super) fn ports(&self) -> impl Iterator<Item = u16> {
        self.ports.keys().copied()
    }

    pub(super) fn host_port(&self, port: u16) -> Option<u16> {
        self.ports.get(&port).copied()
    }
}

/// One container for each state directory, image and way of making a cluster.
fn name(options: &ThrowawayOptions, state: &StateDir, image: &str) -> Result<String> {
    let mut digest = Digest::new("dbbuild kept container 1");
    digest.field(env!("CARGO_PKG_VERSION").as_bytes()).field(SCRIPT.as_bytes());
    digest.field(state.root().as_os_str().as_encoded_bytes()).field(image.as_bytes());
    digest.field(docker::initdb_arguments(options)?.as_bytes());
    for option in docker::server_options(options)? {
        digest.field(option.as_bytes());
    }
    Ok(format!("dbbuild-kept-{}", &digest.finish().to_string()[..16]))
}

fn request(
    options: &ThrowawayOptions,
    state: &StateDir,
    image: &str,
    name: &str,
    entry: &[String],
) -> Result<ContainerRequest<GenericImage>> {
    let (repository, tag) = engine::split_image(image);
    let mut command: Vec<String> = ["-c", SCRIPT, "keeper"].map(String::from).into();
    command.extend([IDLE.as_secs().to_string(), HOME.to_owned()]);
    command.extend(entry.iter().cloned());
    command.push("postgres".to_owned());
    command.extend(docker::server_options(options)?);
    let mut generic = GenericImage::new(repository, tag)
        .with_entrypoint("sh")
        .with_wait_for(WaitFor::message_on_stderr("dbbuild: the container is ready"));
    for port in PORTS {
        generic = generic.with_exposed_port(port.tcp());
    }
    Ok(generic
        .with_container_name(name)
        .with_env_var("POSTGRES_USER", SUPERUSER)
        .with_env_var("POSTGRES_PASSWORD", random_token()?)
        .with_env_var("POSTGRES_INITDB_ARGS", docker::initdb_arguments(options)?)
        .with_env_var("PGDATA", format!("{HOME}/{FRESH}"))
        .with_label(KEEPER_LABEL, label(state))
        .with_label(MACHINE_LABEL, engine::machine())
        .with_cmd(command)
        .with_host_config_modifier(on_loopback_in_memory)
        .with_reuse(ReuseDirective::Always))
}

fn on_loopback_in_memory(host: &mut HostConfig) {
    let binding = || Some(vec![PortBinding { host_ip: Some("127.0.0.1".into()), host_port: None }]);
    host.publish_all_ports = Some(false);
    host.port_bindings = Some(PORTS.map(|port| (format!("{port}/tcp"), binding())).collect());
    host.tmpfs = Some([(HOME.to_owned(), "rw,mode=1777".to_owned())].into());
    // What ends by itself goes by itself.
    host.auto_remove = Some(true);
}

fn label(state: &StateDir) -> String {
    state.root().to_string_lossy().into_owned()
}

/// The ids of this state directory's kept containers.
pub(super) async fn ids(state: &StateDir) -> Result<Vec<String>> {
    let client = engine::connect()?;
    let found = engine::list(&client, &format!("{KEEPER_LABEL}={}", label(state))).await?;
    Ok(found.into_iter().filter_map(|container| container.id).collect())
}

/// Removes this state directory's kept containers but those in which a server runs; returns their names.
pub async fn prune(state: &StateDir) -> Result<Vec<String>> {
    let client = engine::connect()?;
    let mut removed = Vec::new();
    for id in ids(state).await? {
        // A server whose dbbuild has just ended takes a moment.
        for _ in 0..PRUNE_TRIES {
            let Some(found) = engine::inspect(&client, &id).await? else { break };
            if found.exec_ids.is_none_or(|ids| ids.is_empty()) {
                engine::remove(&client, &id).await?;
                removed.push(found.name.unwrap_or_else(|| id.clone()).trim_start_matches('/').to_owned());
                break;
            }
            tokio::time::sleep(PAUSE).await;
        }
    }
    Ok(removed)
}

/// Where the notes about a container's states lie.
pub(super) fn notes_folder(state: &StateDir, keeper: &str) -> Result<PathBuf> {
    Ok(state.folder(kept::KEEPERS)?.join(&keeper[..keeper.len().min(16)]))
}
