//! `dbbuild.toml`: the keys, their meaning and defaults, and what makes a file wrong.
//!
//! Pure: text in, [`Config`] or an error with line and column out. It does not look for the file, read the environment
//! variables that `url_env` names, or know which environment was selected.

mod fault;
mod placeholder;
mod reference;
mod targets;
mod validate;
mod value;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;

use crate::error::Result;

pub(crate) use fault::{from_toml as toml_fault, location as at_span, nearest};
pub use placeholder::Placeholder;
pub use reference::{KeyDoc, reference};
pub use targets::{Canaries, Targets, is_connection_string};
pub use validate::is_database_name;
pub(crate) use value::{is_setting_name, parse_duration};

/// Name of the file in the top folder of a repository.
pub const FILE_NAME: &str = "dbbuild.toml";

/// The environment that counts where nothing names another.
const DEFAULT_ENV: &str = "development";

/// The whole of `dbbuild.toml`. [`Config::default`] is what counts without a file.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The environment used without `--env`.
    pub default_env: String,
    /// What production's server is like.
    pub postgres: PostgresConfig,
    /// Where the sources lie.
    pub paths: Paths,
    /// Rules for migrations.
    pub migrations: MigrationRules,
    /// What git knows as published.
    pub git: GitConfig,
    /// What the hooks do.
    pub hooks: HooksConfig,
    /// Locks and waiting.
    pub lock: LockConfig,
    /// Local databases.
    pub local: LocalConfig,
    /// How the baseline is made.
    pub baseline: BaselineConfig,
    /// What `${name}` in the sources stands for.
    pub placeholders: BTreeMap<String, Placeholder>,
    /// The environments by name.
    pub env: BTreeMap<String, EnvConfig>,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            default_env: DEFAULT_ENV.to_owned(),
            postgres: PostgresConfig::default(),
            paths: Paths::default(),
            migrations: MigrationRules::default(),
            git: GitConfig::default(),
            hooks: HooksConfig::default(),
            lock: LockConfig::default(),
            local: LocalConfig::default(),
            baseline: BaselineConfig::default(),
            placeholders: BTreeMap::new(),
            env: default_envs(),
        }
    }
}

fn default_envs() -> BTreeMap<String, EnvConfig> {
    let development = EnvConfig { testdata: vec!["default".to_owned()], ..EnvConfig::default() };
    BTreeMap::from([(DEFAULT_ENV.to_owned(), development)])
}

impl Config {
    /// Reads the text of a configuration file; `path` is how messages name it. Every fault is a usage error (status 2)
    /// with its place; faults of meaning are listed all together.
    pub fn parse(text: &str, path: &str) -> Result<Config> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let mut config: Config = toml::from_str(text).map_err(|e| fault::from_toml(&e, text, path))?;
        validate::validate(&mut config, text, path)?;
        Ok(config)
    }

    /// The environment of that name; the error (status 2) lists those that exist.
    pub fn environment(&self, name: &str) -> Result<&EnvConfig> {
        self.env.get(name).ok_or_else(|| fault::unknown_environment(name, self.env.keys()))
    }
}

/// `[postgres]`
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PostgresConfig {
    /// The major version that production runs; `None` takes the one of the programs that are found.
    #[serde(deserialize_with = "value::major_version")]
    pub version: Option<u32>,
    /// Where throwaway servers come from.
    pub throwaway: ThrowawayKind,
    /// The Docker image of throwaway servers.
    pub image: Option<String>,
    /// The folder of PostgreSQL's programs.
    pub bin_dir: Option<String>,
    /// The database's name in throwaways.
    pub database: Option<String>,
    /// Encoding of throwaway and embedded databases.
    pub encoding: Option<String>,
    /// Locale of throwaway and embedded databases.
    pub locale: Option<String>,
    /// The role that runs migrations.
    pub role: Option<String>,
    /// Server settings of throwaways and the embedded server, as text that PostgreSQL understands.
    #[serde(deserialize_with = "value::settings")]
    pub settings: BTreeMap<String, String>,
}

/// `postgres.throwaway`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ThrowawayKind {
    /// Docker where an image is configured, else local programs; falls from one to the other with a note.
    #[default]
    Auto,
    /// Docker only.
    Docker,
    /// Local programs only.
    Local,
}

/// `[paths]`: relative to the folder of the configuration file, with `/`, normalised, without a trailing `/`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Paths {
    /// Folder of migrations.
    pub migrations: String,
    /// Folder of repeatable files.
    pub repeatable: String,
    /// Folder of init data; its subfolders are named after environments.
    pub init: String,
    /// Folder whose subfolders are sets of test data.
    pub testdata: String,
    /// Folder of integrity queries.
    pub checks: String,
    /// Folder of definitions, for reading.
    pub definitions: String,
    /// The generated baseline.
    pub baseline: String,
    /// Users and roles.
    pub roles: String,
    /// Host-based access; `NAME.ENV.conf` beside it is one environment's own.
    pub hba: String,
    /// What is expected of host-based access.
    pub access: String,
    /// Folder of files that psql files take in.
    pub include: String,
}

impl Default for Paths {
    fn default() -> Self {
        Paths {
            migrations: "db/migrations".to_owned(),
            repeatable: "db/repeatable".to_owned(),
            init: "db/init".to_owned(),
            testdata: "db/testdata".to_owned(),
            checks: "db/checks".to_owned(),
            definitions: "db/definitions".to_owned(),
            baseline: "db/baseline.sql".to_owned(),
            roles: "db/roles.toml".to_owned(),
            hba: "db/pg_hba.conf".to_owned(),
            access: "db/access.toml".to_owned(),
            include: "db/include".to_owned(),
        }
    }
}

impl Paths {
    /// Every path with its key, folders first.
    pub fn all(&self) -> [(&'static str, &str); 11] {
        [
            ("migrations", &self.migrations),
            ("repeatable", &self.repeatable),
            ("init", &self.init),
            ("testdata", &self.testdata),
            ("checks", &self.checks),
            ("definitions", &self.definitions),
            ("baseline", &self.baseline),
            ("roles", &self.roles),
            ("hba", &self.hba),
            ("access", &self.access),
            ("include", &self.include),
        ]
    }

    /// The five folders of SQL files that run, with their keys.
    pub fn folders(&self) -> [(&'static str, &str); 5] {
        let [migrations, repeatable, init, testdata, checks, ..] = self.all();
        [migrations, repeatable, init, testdata, checks]
    }
}

/// How strictly a rule is applied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// A violation fails the run.
    #[default]
    Error,
    /// A violation is said.
    Warn,
    /// The rule is not applied.
    Off,
}

/// `[migrations]`
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MigrationRules {
    /// A migration that changes something when run again.
    pub idempotent: Severity,
    /// A value that differs between two replays.
    pub volatile: Severity,
}

/// `[git]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GitConfig {
    /// The revision whose migrations are published.
    pub upstream: String,
}

impl Default for GitConfig {
    fn default() -> Self {
        GitConfig { upstream: "origin/HEAD".to_owned() }
    }
}

/// `[hooks]`
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HooksConfig {
    /// Bring the local database to the tree, instead of telling what sets it apart.
    pub auto: bool,
}

/// `[local]`
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LocalConfig {
    /// Each branch has a database of its own.
    pub per_branch: bool,
}

/// `[lock]`
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LockConfig {
    /// How long to wait for another dbbuild; zero gives up at once.
    #[serde(deserialize_with = "value::duration")]
    pub wait: Duration,
    /// `lock_timeout` of DDL before a retry; zero waits without end.
    #[serde(deserialize_with = "value::duration")]
    pub timeout: Duration,
}

impl Default for LockConfig {
    fn default() -> Self {
        LockConfig { wait: Duration::from_secs(60), timeout: Duration::from_secs(5) }
    }
}

/// `[baseline]`
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BaselineConfig {
    /// Patterns `schema.table` of relations that the baseline leaves out; `*` and `?` as in `pg_dump`.
    pub exclude: Vec<String>,
}

/// `[env.NAME]`
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EnvConfig {
    /// Name of the environment variable that holds the connection string.
    pub url_env: Option<String>,
    /// The connection string itself, without a password.
    pub url: Option<String>,
    /// Name of a database on the embedded server.
    pub database: Option<String>,
    /// Whether destructive commands and test data are refused.
    pub protected: bool,
    /// Sets of test data that load here.
    pub testdata: Vec<String>,
    /// Whether a migration may run after newer ones.
    pub order: Order,
    /// Values of placeholders that hold here, before those for all.
    pub placeholders: BTreeMap<String, Placeholder>,
    /// Where the bodies of secure migrations lie, in the order in which they are looked for.
    #[serde(deserialize_with = "value::one_or_more")]
    pub secure_path: Vec<String>,
    /// Its databases, where it has many.
    pub targets: Option<Targets>,
    /// Which of them run before the others.
    pub canaries: Canaries,
    /// The words before a program that runs as the server's user: psql, and what writes the access file.
    pub run_as: Vec<String>,
}

/// `env.NAME.order`
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Order {
    /// A migration that is older than applied ones runs, and that is said.
    #[default]
    Any,
    /// It is refused.
    Strict,
}

/// Where an environment's database is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EnvAddress {
    /// In the connection string that this environment variable holds; unset is a usage error.
    UrlEnv(String),
    /// At this connection string.
    Url(String),
    /// On the embedded server, under this name or the default one.
    EmbeddedDatabase(Option<String>),
}

impl EnvConfig {
    /// Where the database is; at most one of the three keys is set in a configuration that was parsed.
    pub fn address(&self) -> EnvAddress {
        match (&self.url_env, &self.url) {
            (Some(variable), _) => EnvAddress::UrlEnv(variable.clone()),
            (None, Some(url)) => EnvAddress::Url(url.clone()),
            (None, None) => EnvAddress::EmbeddedDatabase(self.database.clone()),
        }
    }
}
