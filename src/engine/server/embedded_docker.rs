//! The embedded server of a repository in a container with a named volume, where there are no local programs.
//!
//! The container is only a way to run the server: what is kept is the volume, and the password in the state folder.

use std::collections::HashMap;
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use testcontainers::bollard::Docker;
use testcontainers::bollard::models::{
    ContainerCreateBody, ContainerSummary, HostConfig, Mount, MountType, PortBinding,
};
use testcontainers::bollard::query_parameters::{
    CreateContainerOptionsBuilder, CreateImageOptionsBuilder, InspectContainerOptions, LogsOptionsBuilder,
    RemoveVolumeOptions, StopContainerOptionsBuilder,
};

use super::address::{HostOrSocketDir, ServerAddress, random_token, sql_error};
use super::cluster::{self, FIXED_SETTINGS, SUPERUSER};
use super::docker_engine::{self as engine, engine_error};
use super::embedded::{Embedded, EmbeddedStatus};
use crate::error::{Error, OrFailed, Result};

/// Marks the containers of embedded servers; its value is the key of the repository.
const LABEL: &str = "dbbuild.embedded";
const MAJOR_LABEL: &str = "dbbuild.major";
const START_LIMIT: Duration = Duration::from_secs(90);

/// One embedded server, seen as a container.
pub(super) struct EmbeddedContainer<'a> {
    server: &'a Embedded,
}

impl<'a> EmbeddedContainer<'a> {
    /// The container of a server; looks and makes nothing.
    pub(super) fn new(server: &'a Embedded) -> Self {
        EmbeddedContainer { server }
    }

    /// Was this server made in Docker? Its password says so.
    pub(super) fn recorded(server: &Embedded) -> bool {
        server.folder().join("password").exists()
    }

    fn name(&self) -> String {
        format!("dbbuild-{}", self.server.key)
    }

    fn password_file(&self) -> PathBuf {
        self.server.folder().join("password")
    }

    fn image(&self) -> String {
        let options = &self.server.options;
        options.image.clone().unwrap_or_else(|| format!("postgres:{}", options.major.unwrap_or(15)))
    }

    fn password(&self) -> Result<String> {
        let path = self.password_file();
        let password = fs::read_to_string(&path).or_failed(|| format!("cannot read {}", path.display()))?;
        Ok(password.trim().to_owned())
    }

    async fn find(&self, client: &Docker) -> Result<Option<ContainerSummary>> {
        let found = engine::list(client, &format!("{LABEL}={}", self.server.key)).await?;
        Ok(found.into_iter().next())
    }

    /// Starts the container, making volume, password and container as needed.
    pub(super) async fn start(&self) -> Result<ServerAddress> {
        engine::engine_answers().await?;
        let client = engine::connect()?;
        if !Self::recorded(self.server) {
            self.server.record_identity()?;
            let path = self.password_file();
            cluster::write_private(&path, random_token()?.as_bytes())
                .or_failed(|| format!("cannot write {}", path.display()))?;
        }
        let id = match self.find(&client).await? {
            Some(container) => {
                self.check_version(&container)?;
                container.id.unwrap_or_else(|| self.name())
            }
            None => self.create(&client).await?,
        };
        client.start_container(&id, None).await.map_err(|error| engine_error(&error))?;
        self.wait_ready(&client, &id).await
    }

    fn check_version(&self, container: &ContainerSummary) -> Result<()> {
        let label = container.labels.as_ref().and_then(|labels| labels.get(MAJOR_LABEL)?.parse::<u32>().ok());
        match (label, self.server.options.major) {
            (Some(kept), Some(pinned)) if kept != pinned => Err(Error::failed(format!(
                "the embedded server's data is of PostgreSQL {kept}, but postgres.version is {pinned}"
            ))
            .help(format!("to go on with it, set postgres.version = {kept} in dbbuild.toml"))
            .help(format!(
                "to build anew, run `docker rm -fv {0} && docker volume rm {0} && rm -r {1}`, then `dbbuild`",
                self.name(),
                self.server.folder().display()
            ))),
            _ => Ok(()),
        }
    }

    async fn create(&self, client: &Docker) -> Result<String> {
        let image = self.image();
        if !engine::has_image(client, &image).await? {
            pull(client, &image).await?;
        }
        let options = CreateContainerOptionsBuilder::new().name(&self.name()).build();
        let body = self.body(&image)?;
        let made = client.create_container(Some(options), body).await.map_err(|error| engine_error(&error))?;
        Ok(made.id)
    }

    fn body(&self, image: &str) -> Result<ContainerCreateBody> {
        let options = &self.server.options;
        let mut arguments = vec!["postgres".to_owned()];
        let fixed = FIXED_SETTINGS.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let more = [("max_locks_per_transaction".to_owned(), "1024".to_owned())];
        for (name, value) in fixed.chain(more).chain(options.settings.clone()) {
            cluster::check_setting(&name, &value)?;
            arguments.extend(["-c".to_owned(), format!("{name}={value}")]);
        }
        let locale = options.locale.as_deref().unwrap_or("C.UTF-8");
        let initdb = format!("--encoding={} --locale={locale} --lc-messages=C", options.encoding);
        let binding = PortBinding { host_ip: Some("127.0.0.1".into()), host_port: None };
        let volume = Mount {
            target: Some("/dbbuild".into()),
            source: Some(self.name()),
            typ: Some(MountType::VOLUME),
            ..Mount::default()
        };
        let mut labels = HashMap::from([
            (LABEL.to_owned(), self.server.key.clone()),
            ("dbbuild.repository".to_owned(), self.server.repository.to_string_lossy().into_owned()),
        ]);
        if let Some(major) = options.major {
            labels.insert(MAJOR_LABEL.to_owned(), major.to_string());
        }
        Ok(ContainerCreateBody {
            image: Some(image.to_owned()),
            cmd: Some(arguments),
            env: Some(vec![
                format!("POSTGRES_USER={SUPERUSER}"),
                format!("POSTGRES_PASSWORD={}", self.password()?),
                format!("POSTGRES_INITDB_ARGS={initdb}"),
                "PGDATA=/dbbuild/data".to_owned(),
            ]),
            labels: Some(labels),
            stop_signal: Some("SIGINT".into()),
            exposed_ports: Some(vec!["5432/tcp".to_owned()]),
            host_config: Some(HostConfig {
                port_bindings: Some([("5432/tcp".to_owned(), Some(vec![binding]))].into()),
                mounts: Some(vec![volume]),
                ..HostConfig::default()
            }),
            ..ContainerCreateBody::default()
        })
    }

    async fn wait_ready(&self, client: &Docker, id: &str) -> Result<ServerAddress> {
        let begin = Instant::now();
        loop {
            let Some(address) = self.address_of(client, id).await? else {
                return Err(Error::failed("the embedded server's container ended while it started")
                    .detail(log_tail(client, id).await)
                    .help(format!("see `docker logs {}`", self.name())));
            };
            match address.connect("postgres").await {
                Ok(_) => return Ok(address),
                Err(error) if begin.elapsed() > START_LIMIT || error.as_db_error().is_some_and(is_final) => {
                    let error = sql_error("the embedded server in Docker does not answer".into(), &error);
                    return Err(error.detail(log_tail(client, id).await));
                }
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    }

    /// Where the container is published; `None` if it does not run.
    async fn address_of(&self, client: &Docker, id: &str) -> Result<Option<ServerAddress>> {
        let seen = client.inspect_container(id, None::<InspectContainerOptions>).await;
        let seen = seen.map_err(|error| engine_error(&error))?;
        if !seen.state.as_ref().and_then(|state| state.running).unwrap_or(false) {
            return Ok(None);
        }
        let ports = seen.network_settings.and_then(|network| network.ports).unwrap_or_default();
        let published = ports.get("5432/tcp").cloned().flatten().unwrap_or_default();
        let port = published.iter().find_map(|binding| binding.host_port.as_ref()?.parse().ok());
        let port = port.ok_or_else(|| Error::failed(format!("the container {} publishes no port", self.name())))?;
        Ok(Some(ServerAddress {
            host: HostOrSocketDir::Host("127.0.0.1".into()),
            port,
            user: SUPERUSER.into(),
            password: Some(self.password()?),
        }))
    }

    /// How it is reached if it runs now.
    pub(super) async fn address(&self) -> Result<Option<ServerAddress>> {
        engine::engine_answers().await?;
        let client = engine::connect()?;
        match self.find(&client).await? {
            Some(container) => self.address_of(&client, &container.id.unwrap_or_else(|| self.name())).await,
            None => Ok(None),
        }
    }

    /// Stops the container; `false` if it was not running.
    pub(super) async fn stop(&self) -> Result<bool> {
        if self.address().await?.is_none() {
            return Ok(false);
        }
        let options = StopContainerOptionsBuilder::new().t(60).build();
        let stopped = engine::connect()?.stop_container(&self.name(), Some(options)).await;
        stopped.map(|()| true).map_err(|error| engine_error(&error))
    }

    /// Removes container and volume.
    pub(super) async fn remove(&self) -> Result<()> {
        engine::engine_answers().await?;
        let client = engine::connect()?;
        if let Some(id) = self.find(&client).await?.and_then(|container| container.id) {
            engine::remove(&client, &id).await?;
        }
        use testcontainers::bollard::errors::Error as DockerError;
        match client.remove_volume(&self.name(), Some(RemoveVolumeOptions { force: true })).await {
            Ok(()) | Err(DockerError::DockerResponseServerError { status_code: 404, .. }) => Ok(()),
            Err(error) => Err(engine_error(&error)),
        }
    }

    /// What there is.
    pub(super) async fn status(&self) -> Result<EmbeddedStatus> {
        Ok(EmbeddedStatus {
            exists: true,
            in_docker: true,
            pid: None,
            address: self.address().await?,
            version: Some(self.image()),
            data: format!("volume {}", self.name()),
            size: None,
        })
    }
}

/// Refusals that waiting does not cure: all but "starting up".
fn is_final(error: &tokio_postgres::error::DbError) -> bool {
    error.code().code() != "57P03"
}

async fn pull(client: &Docker, image: &str) -> Result<()> {
    let (name, tag) = engine::split_image(image);
    let options = CreateImageOptionsBuilder::new().from_image(&name).tag(&tag).build();
    let mut parts = client.create_image(Some(options), None, None);
    while let Some(part) = parts.next().await {
        part.map_err(|error| {
            Error::failed(format!("cannot pull the image {image}"))
                .cause(error)
                .help(format!("run `docker pull {image}`, or set postgres.image to an image that is on this machine"))
        })?;
    }
    Ok(())
}

async fn log_tail(client: &Docker, id: &str) -> String {
    let options = LogsOptionsBuilder::new().stdout(true).stderr(true).tail("20").build();
    let mut lines = client.logs(id, Some(options));
    let mut text = String::new();
    while let Some(Ok(line)) = lines.next().await {
        text.push_str(&line.to_string());
    }
    text.trim_end().to_owned()
}
