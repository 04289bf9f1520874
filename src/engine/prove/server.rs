//! The throwaway servers of a proof: what they are like, and sessions to them.

use crate::engine::catalog;
use crate::engine::dump::{self, DumpOptions, DumpSource};
use crate::engine::roles;
use crate::engine::runner::{Sink, Worker, WorkerOptions};
use crate::engine::server::docker_keeper::Keeper;
use crate::engine::server::state::StateDir;
use crate::engine::server::{self, Origin, Stopped, Throwaway, ThrowawayKind, ThrowawayOptions};
use crate::engine::session::{self, ConnectOptions, Session};
use crate::error::{Error, Result};
use crate::model::attic;
use crate::model::attic::given::OnConflict;
use crate::model::baseline::{Dump, NormaliseOptions, normalise};
use crate::model::config::Config;
use crate::model::sources::Sources;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

/// The name of the database where the configuration gives none.
const DATABASE: &str = "app";

/// How the throwaways of a project are made.
#[derive(Debug, Clone)]
pub struct ThrowawayPlan {
    pub(super) options: ThrowawayOptions,
    exclude: Vec<String>,
    /// Roles that are there before anything runs, since they are declared.
    pub(super) made_first: BTreeSet<String>,
    /// What should be said about the choice of the kind of server.
    pub(super) notes: Vec<String>,
}

impl ThrowawayPlan {
    /// Reads `[postgres]` and `[baseline]`.
    ///
    /// # Errors
    /// None so far; the signature leaves room for settings that exclude each other.
    pub fn from_config(config: &Config) -> Result<ThrowawayPlan> {
        let pg = &config.postgres;
        Ok(ThrowawayPlan {
            options: ThrowawayOptions {
                kind: pg.throwaway,
                major: pg.version,
                bin_dir: pg.bin_dir.as_ref().map(PathBuf::from),
                image: pg.image.clone(),
                database: database_name(config).to_owned(),
                encoding: pg.encoding.clone().unwrap_or_else(|| "UTF8".to_owned()),
                locale: pg.locale.clone(),
                role: pg.role.clone(),
                settings: pg.settings.clone(),
                ..ThrowawayOptions::default()
            },
            exclude: config.baseline.exclude.clone(),
            made_first: BTreeSet::new(),
            notes: Vec::new(),
        })
    }

    /// The same with the roles that the sources declare.
    ///
    /// # Errors
    /// The roles file is wrong.
    pub fn from_sources(config: &Config, sources: &Sources) -> Result<ThrowawayPlan> {
        let mut plan = ThrowawayPlan::from_config(config)?;
        let made = roles::made_first(config, sources)?;
        plan.options.declared = made.sql;
        plan.made_first = made.names;
        Ok(plan)
    }

    /// What the servers are like.
    pub fn options(&self) -> &ThrowawayOptions {
        &self.options
    }

    /// What a throwaway is like that reads access files, and what should be said of its kind: bare, on loopback, and in
    /// Docker in a kept container.
    ///
    /// # Errors
    /// There is no server of either kind.
    pub async fn for_access(config: &Config) -> Result<(ThrowawayOptions, Vec<String>)> {
        let plan = ThrowawayPlan::from_config(config)?;
        let defaults = ThrowawayOptions { loopback: true, ..ThrowawayOptions::default() };
        let ThrowawayOptions { kind, major, bin_dir, image, .. } = plan.options;
        let bare = ThrowawayOptions { kind, major, bin_dir, image, ..defaults };
        let plan = ThrowawayPlan { options: bare, ..plan }.choose(true).await?;
        Ok((plan.options, plan.notes))
    }

    /// Settles once which kind of server all sides of a proof use; with `reuse` those of Docker share a kept container.
    pub(super) async fn choose(self, reuse: bool) -> Result<ThrowawayPlan> {
        let server::Choice { mut options, mut notes } = server::choose(&self.options).await?;
        if reuse && options.kind == ThrowawayKind::Docker {
            let opened = async { Keeper::open(&options, &StateDir::open()?).await };
            match opened.await {
                Ok(keeper) => options.keeper = Some(keeper),
                Err(why) => notes.push(format!("each throwaway server runs in a container of its own: {why}")),
            }
        }
        Ok(ThrowawayPlan { options, notes, ..self })
    }

    /// The options of a server by itself, never in a container that is kept, and what should be said of its kind.
    ///
    /// # Errors
    /// There is no server of either kind.
    pub async fn on_its_own(self) -> Result<(ThrowawayOptions, Vec<String>)> {
        let plan = self.choose(false).await?;
        let options = ThrowawayOptions { database: "postgres".to_owned(), role: None, ..plan.options };
        Ok((options, plan.notes))
    }

    /// Starts a server with an empty database and connects as the role that runs migrations.
    pub(super) async fn start<'s>(&self, sink: Sink<'s>) -> Result<Side<'s>> {
        self.start_with(&self.options, sink).await
    }

    /// The same on a copy of a stopped data directory.
    pub(super) async fn start_from<'s>(&self, origin: Origin, sink: Sink<'s>) -> Result<Side<'s>> {
        self.start_with(&ThrowawayOptions { from: Some(origin), ..self.options.clone() }, sink).await
    }

    async fn start_with<'s>(&self, options: &ThrowawayOptions, sink: Sink<'s>) -> Result<Side<'s>> {
        let server = Throwaway::start(options).await?;
        let settings = server.role_address(self.options.role.as_deref()).settings(&self.options.database);
        let session = session::connect(&settings, &ConnectOptions::default()).await?;
        let major = session.server_version_num() / 10_000;
        if let Some(pinned) = self.options.major.filter(|pinned| *pinned != major) {
            return Err(Error::failed(format!("the throwaway server runs PostgreSQL {major}, but {pinned} is pinned"))
                .help(format!(
                    "set `postgres.image` or `postgres.bin_dir` to PostgreSQL {pinned}, or change `postgres.version`."
                )));
        }
        let options = WorkerOptions {
            lock_timeout: Duration::ZERO,
            author: crate::engine::history::Author::default(),
            lock: None,
            bin_dir: options.bin_dir.clone(),
            locks: false,
            on_conflict: OnConflict::Report,
            sink,
        };
        let worker = Worker::new(session, options).await?;
        Ok(Side { server, worker, plan: self.clone(), major })
    }
}

/// The database's name in throwaways and on the embedded server.
pub fn database_name(config: &Config) -> &str {
    config.postgres.database.as_deref().unwrap_or(DATABASE)
}

/// One side of a comparison: a server of its own with a session that works on it.
pub(super) struct Side<'s> {
    server: Throwaway,
    pub worker: Worker<'s>,
    plan: ThrowawayPlan,
    pub major: u32,
}

impl Side<'_> {
    pub fn session(&self) -> &Session {
        self.worker.session()
    }

    /// What leads a libpq program to the database, as superuser.
    pub fn libpq_env(&self) -> Vec<(String, String)> {
        self.server.address().libpq_env(&self.plan.options.database)
    }

    /// The normalised dump of the whole database but the schema dbbuild.
    pub async fn dump(&self) -> Result<Dump> {
        let database = self.plan.options.database.clone();
        let source = DumpSource {
            env: self.server.address().libpq_env(&database),
            database: database.clone(),
            program: self.server.dump_program(),
        };
        let options = DumpOptions {
            exclude_schemas: vec!["dbbuild".to_owned(), attic::SCHEMA.to_owned()],
            exclude_tables: self.plan.exclude.clone(),
            load_via_partition_root: true,
            extra: vec!["--create".to_owned(), "--encoding=UTF8".to_owned()],
            ..DumpOptions::default()
        };
        let text = dump::pg_dump(&source, &options).await?;
        normalise(
            &text,
            &NormaliseOptions {
                own_roles: self.own_roles(),
                database: Some(database),
                extension_comments: catalog::own_extension_comments(self.session().client()).await?,
            },
        )
    }

    /// The roles whose objects carry no owner: the superuser, and the role that runs migrations.
    pub fn own_roles(&self) -> Vec<String> {
        std::iter::once("postgres".to_owned()).chain(self.plan.options.role.clone()).collect()
    }

    /// Declared roles that were there before anything ran.
    pub fn made_first(&self) -> &BTreeSet<String> {
        &self.plan.made_first
    }

    /// Shuts the server down in order, for a copy of it; `None` where there is nothing to copy.
    pub async fn stop(self) -> Result<Option<Stopped>> {
        drop(self.worker);
        self.server.stop().await
    }

    /// Ends the server; an error while ending it is no error of the proof.
    pub async fn end(self) {
        drop(self.worker);
        self.server.remove().await;
    }
}
