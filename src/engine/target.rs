//! The database that a command works on: found by configuration, reached, made if missing, and read.

use crate::engine::fleet::Common;
use crate::engine::history::{self, Found};
use crate::engine::lock::{Lock, WATCHER};
use crate::engine::project::Project;
use crate::engine::prove::database_name;
use crate::engine::server::{Embedded, EmbeddedOptions};
use crate::engine::session::{self, ConnectOptions, ConnectionSettings, Environ, Session, environ};
use crate::engine::switch::branch;
use crate::error::{Error, Result};
use crate::model::branch::database;
use crate::model::config::{Config, EnvAddress};
use crate::model::guard::{Known, Selected};
use crate::model::placeholder::Values;
use crate::model::sql::{identifier, literal};
use std::path::PathBuf;
use std::sync::Arc;

/// SQLSTATE of a database that does not exist.
pub const MISSING_DATABASE: &str = "3D000";

/// Whether there is no such database.
pub fn is_missing(error: &Error) -> bool {
    error.code() == Some(MISSING_DATABASE)
}

/// A database that is not yet connected to.
#[derive(Debug, Clone)]
pub struct Target {
    /// The environment that was selected.
    pub selected: Selected,
    /// How the database is reached.
    pub settings: ConnectionSettings,
    /// The id of the server, where dbbuild runs it.
    pub server_id: Option<String>,
    /// The server is the private one of this repository.
    pub embedded: bool,
    /// The branch whose own database this is; none where it is the configured one.
    pub branch: Option<String>,
    /// The configured database's name.
    pub base: String,
    /// git's folder of the repository, for the databases of branches.
    pub repository: String,
    /// What placeholders stand for in this environment.
    pub placeholders: Arc<Values>,
    /// What it shares with the other databases of its environment in this run, where there are many.
    pub common: Option<Arc<Common>>,
    /// The private server was never made, so there is nothing to connect to.
    unmade: bool,
}

/// Whether a server that does not run may be started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// Yes.
    IfNeeded,
    /// No: the command only looks.
    Never,
}

/// The embedded server of a project.
///
/// # Errors
/// The state directory cannot be found.
pub fn embedded(project: &Project) -> Result<Embedded> {
    let pg = &project.config.postgres;
    let defaults = EmbeddedOptions::default();
    Embedded::at(
        &project.root,
        EmbeddedOptions {
            major: pg.version,
            bin_dir: pg.bin_dir.as_ref().map(PathBuf::from),
            image: pg.image.clone(),
            encoding: pg.encoding.clone().unwrap_or(defaults.encoding),
            locale: pg.locale.clone(),
            settings: pg.settings.clone(),
        },
    )
}

/// What the guard needs to know of an environment's configuration.
pub fn selected(config: &Config, name: &str) -> Selected {
    let known = config.env.get(name).map(|env| Known { protected: env.protected, testdata: !env.testdata.is_empty() });
    Selected { name: name.to_owned(), known }
}

impl Target {
    /// Finds the database of an environment; `url` overrides the configured address.
    ///
    /// # Errors
    /// The environment is unknown, its variable is unset, or it has many databases (exit status 2); or the embedded server
    /// does not start.
    pub async fn find(project: &Project, env: Option<&str>, url: Option<&str>, start: Start) -> Result<Target> {
        let name = env.unwrap_or(&project.config.default_env);
        if url.is_none() && project.config.environment(name)?.targets.is_some() {
            return Err(Error::usage(format!("the environment {name} has many databases"))
                .help("name one of them: `--target NAME`."));
        }
        let target = Target::find_address(project, env, url, start).await?;
        if url.is_some() || target.selected.is_protected() {
            return Ok(target);
        }
        Ok(match branch::current(project) {
            Some(branch) => Target { repository: branch::repository(project), ..target.of_branch(Some(branch)) },
            None => Target { repository: branch::repository(project), ..target },
        })
    }

    /// The database at the address of an environment: where it has many, the one that tells which.
    ///
    /// # Errors
    /// As [`Target::find`].
    pub async fn find_address(project: &Project, env: Option<&str>, url: Option<&str>, start: Start) -> Result<Target> {
        let environ = environ::read(&project.root, Some(env.unwrap_or(&project.config.default_env)))?;
        let target = Target::find_configured(project, env, url, start, &environ).await?;
        let values = Values::of_environment(&project.config, &target.selected.name, &environ);
        Ok(Target { placeholders: Arc::new(values), ..target })
    }

    async fn find_configured(
        project: &Project,
        env: Option<&str>,
        url: Option<&str>,
        start: Start,
        environ: &Environ,
    ) -> Result<Target> {
        let name = env.unwrap_or(&project.config.default_env);
        let configured = project.config.environment(name)?.address();
        let selected = selected(&project.config, name);
        if let Some(url) = url {
            return Target::at(project, selected, session::resolve(Some(url), environ)?).await;
        }
        match configured {
            EnvAddress::Url(url) => Target::at(project, selected, session::resolve(Some(&url), environ)?).await,
            EnvAddress::UrlEnv(variable) => match environ.get(&variable) {
                Some(url) => Target::at(project, selected, session::resolve(Some(url), environ)?).await,
                None => Err(Error::usage(format!("the environment variable {variable} is not set"))
                    .cause(format!("[env.{name}] takes the address from it (url_env)"))
                    .help(format!("set it, also in .env or .env.{name}, or give `--url`."))),
            },
            EnvAddress::EmbeddedDatabase(database) => {
                let server = embedded(project)?;
                let address = match start {
                    Start::IfNeeded => Some(server.start().await?),
                    Start::Never => server.address().await?,
                };
                let database = database.unwrap_or_else(|| database_name(&project.config).to_owned());
                let Some(address) = address else {
                    if server.status().await?.exists {
                        return Err(Error::failed("the embedded server of this repository does not run").help(
                            "`dbbuild` builds the local database; `dbbuild server start` starts the server alone.",
                        ));
                    }
                    let settings = ConnectionSettings::new("/", 0, "postgres", None, database);
                    return Ok(Target { embedded: true, unmade: true, ..Target::new(selected, settings) });
                };
                let target = Target::new(selected, address.settings(&database));
                Ok(Target { server_id: server.server_id(), embedded: true, ..target })
            }
        }
    }

    fn new(selected: Selected, settings: ConnectionSettings) -> Target {
        let base = settings.database().to_owned();
        let repository = String::new();
        let placeholders = Arc::default();
        Target {
            selected,
            settings,
            server_id: None,
            embedded: false,
            branch: None,
            base,
            repository,
            placeholders,
            common: None,
            unmade: false,
        }
    }

    /// A copy of it at another address, for the same environment; no mark of dbbuild's own server is valid there.
    #[must_use]
    pub fn copied_to(&self, settings: ConnectionSettings) -> Target {
        Target { settings, server_id: None, embedded: false, branch: None, unmade: false, ..self.clone() }
    }

    /// The database of a branch beside this one, on the same server; the configured one without a branch.
    #[must_use]
    pub fn of_branch(&self, branch: Option<String>) -> Target {
        let name = branch.as_deref().map_or_else(|| self.base.clone(), |branch| database(&self.base, branch));
        Target { settings: self.settings.with_database(name), branch, ..self.clone() }
    }

    /// Another database of the same server.
    #[must_use]
    pub fn beside(&self, database: &str) -> Target {
        Target { settings: self.settings.with_database(database), base: database.to_owned(), ..self.clone() }
    }

    /// A database by its address; the embedded server keeps its identity, however it is reached.
    ///
    /// # Errors
    /// None today.
    pub async fn at(project: &Project, selected: Selected, settings: ConnectionSettings) -> Result<Target> {
        let mut target = Target::new(selected, settings);
        if let [server] = target.settings.servers()
            && let Ok(embedded) = embedded(project)
            && let Ok(Some(address)) = embedded.address().await
            && address.settings("").servers() == [server.clone()]
        {
            target.server_id = embedded.server_id();
            target.embedded = true;
        }
        Ok(target)
    }

    /// Whether it is on the private server of this repository, and that was never made.
    pub fn is_unmade(&self) -> bool {
        self.unmade
    }

    /// "`shop` on db1:5432", or "`shop` on the embedded server", whose socket tells a person nothing.
    pub fn describe(&self) -> String {
        if self.embedded {
            return format!("`{}` on the embedded server", self.settings.database());
        }
        self.settings.to_string()
    }

    /// Connects; behind a transaction pooler nothing that dbbuild does is safe, so that is refused.
    ///
    /// # Errors
    /// The server refuses, or is a pooler.
    pub async fn connect(&self) -> Result<Session> {
        let unmade = || {
            Error::failed(format!("there is no {} yet", self.describe()))
                .sqlstate(MISSING_DATABASE)
                .help("`dbbuild` makes it.")
        };
        if self.unmade {
            return Err(unmade());
        }
        match &self.common {
            Some(common) if self.embedded => common.open(&self.settings, ConnectOptions::default()).await,
            Some(common) => common.connect(&self.settings).await,
            None if self.embedded => session::connect(&self.settings, &ConnectOptions::default())
                .await
                .map_err(|error| if is_missing(&error) { unmade() } else { error }),
            None => session::connect_directly(&self.settings, &ConnectOptions::default()).await,
        }
    }

    /// Connects for a command that writes: the server must take writes and be of the pinned version.
    ///
    /// # Errors
    /// It is a replica, read-only, or of another major version.
    pub async fn connect_to_write(&self, config: &Config) -> Result<Session> {
        let session = self.connect().await?;
        if session.is_in_recovery() {
            return Err(Error::failed(format!("{} is a replica", self.describe()))
                .help("give the address of the primary server; nothing was changed."));
        }
        if session.transaction_read_only() {
            return Err(Error::failed(format!("{} is read-only", self.describe()))
                .cause("default_transaction_read_only is on")
                .help("switch it off for this role or database; nothing was changed."));
        }
        check_version(&session, config, &self.describe())?;
        Ok(session)
    }

    /// Connects for a command that writes, to a database that is made if it is missing; true if it was.
    ///
    /// # Errors
    /// As [`Target::connect_to_write`], or the role may not make databases.
    pub async fn open(&self, config: &Config) -> Result<(Session, bool)> {
        match self.connect_to_write(config).await {
            Err(e) if is_missing(&e) => {
                let made = self.maintain(&create_statement(self.settings.database(), config, self.embedded)).await;
                let made = match made {
                    // Another dbbuild made it at the same time; seen early (42P04) or late (23505).
                    Err(e) if matches!(e.code(), Some("42P04" | "23505")) => false,
                    made => made.map(|()| true).map_err(|e| {
                        let database = self.settings.database();
                        e.help(format!("make the database {database} yourself, then run the command again."))
                    })?,
                };
                if made && self.branch.is_some() {
                    branch::claim(self).await?;
                }
                Ok((self.connect_to_write(config).await?, made))
            }
            other => other.map(|session| (session, false)),
        }
    }

    /// Drops the database, ending other sessions in it.
    ///
    /// # Errors
    /// The role may not.
    pub async fn drop_database(&self) -> Result<()> {
        self.maintain(&format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", identifier(self.settings.database()))).await
    }

    /// Runs a statement about databases, in one of the server's own.
    async fn maintain(&self, sql: &str) -> Result<()> {
        self.maintenance().await?.simple(sql).await.map(|_| ())
    }

    /// A session in a database of the server's own, for statements about databases.
    ///
    /// # Errors
    /// None of them lets this role in.
    pub async fn maintenance(&self) -> Result<Session> {
        let mut refusal = None;
        for database in ["postgres", "template1"] {
            match session::connect(&self.settings.with_database(database), &ConnectOptions::default()).await {
                Ok(session) => return Ok(session),
                Err(e) => refusal = Some(e),
            }
        }
        Err(refusal.unwrap_or_else(|| Error::failed("no database to connect to")))
    }

    /// Connects for a look and reads what the guard and the plan need; no session where there is no such database yet,
    /// which is as good as an empty one.
    ///
    /// # Errors
    /// The server cannot be reached or said no.
    pub async fn look(&self) -> Result<(Option<Session>, Found)> {
        match self.connect().await {
            Err(e) if is_missing(&e) => Ok((None, Found::missing(self.describe(), self.settings.database()))),
            Err(e) => Err(e),
            Ok(session) => {
                let found = self.read(&session).await?;
                Ok((Some(session), found))
            }
        }
    }

    /// Reads what the guard and the plan need.
    ///
    /// # Errors
    /// The server said no.
    pub async fn read(&self, session: &Session) -> Result<Found> {
        let (description, server_id) = (self.describe(), self.server_id.as_deref());
        let found = match &self.common {
            Some(common) => history::find_known(session, &description, server_id, &common.histories).await,
            None => history::find(session, &description, server_id).await,
        };
        self.explained(session, found).await
    }

    /// What was read of the version table; of a role that may not, the error says who may.
    ///
    /// # Errors
    /// As it was read.
    pub async fn explained<T>(&self, session: &Session, read: Result<T>) -> Result<T> {
        match read {
            Ok(read) => Ok(read),
            Err(error) => Err(history::explain(session, &self.describe(), error).await),
        }
    }

    /// The same, as one of its sessions reached it.
    #[must_use]
    pub fn reached_by(&self, session: &Session) -> Target {
        Target { settings: session.settings().clone(), ..self.clone() }
    }

    /// Reads one of many databases under a lock that the session itself takes, if it can have it at once; any other
    /// database, without.
    ///
    /// # Errors
    /// The server said no.
    pub async fn read_to_write(&self, session: &Session) -> Result<(Option<Lock>, Found)> {
        if self.common.is_none() {
            return Ok((None, self.read(session).await?));
        }
        // Both travel at once, and the server answers in their order.
        let (lock, found) = futures_util::join!(Lock::take_at_once(session), self.read(session));
        Ok((lock?, found?))
    }

    /// Takes the lock of this database, on a connection of its own.
    ///
    /// # Errors
    /// Another dbbuild has it for longer than `lock.wait`.
    pub async fn lock(&self, config: &Config, waiting: &dyn Fn(&str)) -> Result<Lock> {
        let options = ConnectOptions { application_name: WATCHER.to_owned(), ..ConnectOptions::default() };
        let session = match &self.common {
            Some(common) => common.open(&self.settings, options).await?,
            None => session::connect(&self.settings, &options).await?,
        };
        Lock::take(session, config.lock.wait, waiting).await
    }
}

/// The server must be of the pinned major version.
///
/// # Errors
/// It is not.
pub fn check_version(session: &Session, config: &Config, description: &str) -> Result<()> {
    let major = session.server_version();
    match config.postgres.version {
        Some(pinned) if pinned != major => {
            Err(Error::failed(format!("{description} runs PostgreSQL {major}, but {pinned} is pinned")).help(format!(
                "install PostgreSQL {pinned} there, or set `postgres.version = {major}` in dbbuild.toml and run \
                     `dbbuild baseline`; nothing was changed."
            )))
        }
        _ => Ok(()),
    }
}

fn create_statement(database: &str, config: &Config, embedded: bool) -> String {
    let mut sql = format!("CREATE DATABASE {}", identifier(database));
    // The embedded cluster was made with the configured encoding and locale already.
    if !embedded && (config.postgres.encoding.is_some() || config.postgres.locale.is_some()) {
        sql.push_str(" TEMPLATE template0");
        if let Some(encoding) = &config.postgres.encoding {
            sql.push_str(&format!(" ENCODING {}", literal(encoding)));
        }
        if let Some(locale) = &config.postgres.locale {
            sql.push_str(&format!(" LOCALE {}", literal(locale)));
        }
    }
    sql
}
