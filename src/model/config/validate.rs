//! What serde cannot see: values that contradict each other, paths that leave the tree, a password in a committed file.

use std::ops::Range;

use toml::de::{DeTable, DeValue};

use super::fault::location;
use super::{Config, EnvConfig, Placeholder, default_envs, targets};
use crate::error::{Error, Location, Result};
use crate::model::conninfo;
use crate::model::placeholder::is_name;
use crate::model::secure::Place;

/// PostgreSQL cuts longer names (`NAMEDATALEN` - 1).
const NAME_LIMIT: usize = 63;

/// Where a server of dbbuild's lies and who reaches it: another value would break it, or publish it.
const OWN_SETTINGS: [&str; 12] = [
    "config_file",
    "data_directory",
    "external_pid_file",
    "hba_file",
    "ident_file",
    "listen_addresses",
    "port",
    "ssl",
    "unix_socket_directories",
    "unix_socket_group",
    "unix_socket_permissions",
    "include",
];

pub(super) fn validate(config: &mut Config, text: &str, path: &str) -> Result<()> {
    let mut faults = Faults { text, path, found: Vec::new() };
    environments(config, &mut faults);
    postgres(config, &mut faults);
    paths(config, &mut faults);
    rest(config, &mut faults);
    Error::all(faults.found).map_or(Ok(()), Err)
}

pub(super) struct Faults<'a> {
    text: &'a str,
    path: &'a str,
    found: Vec<Error>,
}

impl Faults<'_> {
    /// Notes a fault of the value below these keys.
    pub(super) fn add(&mut self, keys: &[&str], message: impl Into<String>) {
        let at = self.locate(keys);
        self.found.push(Error::usage(message).at(at));
    }

    pub(super) fn add_with_help(&mut self, keys: &[&str], message: impl Into<String>, help: impl Into<String>) {
        let at = self.locate(keys);
        self.found.push(Error::usage(message).at(at).help(help));
    }

    /// Notes a fault that another parser found in the value below these keys.
    pub(super) fn push(&mut self, keys: &[&str], error: Error) {
        let at = self.locate(keys);
        self.found.push(error.at(at));
    }

    /// Whether the file itself sets this key.
    fn is_written(&self, keys: &[&str]) -> bool {
        let table = DeTable::parse(self.text).ok();
        table.is_some_and(|table| {
            let (mut at, mut found) = (Some(table.get_ref()), false);
            for key in keys {
                let value = at.and_then(|table| table.get(*key));
                found = value.is_some();
                at = value.and_then(|value| value.get_ref().as_table());
            }
            found
        })
    }

    fn locate(&self, keys: &[&str]) -> Location {
        let span = DeTable::parse(self.text).ok().and_then(|table| span_of(table.get_ref(), keys));
        span.map_or_else(|| Location::file(self.path), |span| location(self.text, self.path, &span))
    }
}

/// The place of the innermost of these keys that is there.
fn span_of(table: &DeTable<'_>, keys: &[&str]) -> Option<Range<usize>> {
    let (first, rest) = keys.split_first()?;
    let (key, value) = table.iter().find(|(key, _)| key.get_ref() == first)?;
    let inner = match value.get_ref() {
        DeValue::Table(inner) if !rest.is_empty() => span_of(inner, rest),
        _ => None,
    };
    // The span of a table is its whole header; its name says more.
    let whole = rest.is_empty() && !matches!(value.get_ref(), DeValue::Table(_));
    inner.or_else(|| Some(if whole { value.span() } else { key.span() }))
}

fn environments(config: &mut Config, faults: &mut Faults<'_>) {
    if config.env.is_empty() {
        config.env = default_envs();
    }
    if !config.env.contains_key(&config.default_env) {
        let message = format!("default_env names `{}`, which has no table [env.{0}]", config.default_env);
        faults.add(&["default_env"], message);
    }
    for (name, env) in &config.env {
        if !is_plain_name(name) {
            let message = format!("`{}` cannot name an environment", name.escape_default());
            faults.add_with_help(&["env", name], message, "use letters, digits, `_` and `-`, a letter first.");
        }
        environment(name, env, faults);
        for (placeholder, value) in &env.placeholders {
            check_placeholder(&["env", name, "placeholders", placeholder], value, faults);
        }
    }
    for (placeholder, value) in &config.placeholders {
        check_placeholder(&["placeholders", placeholder], value, faults);
    }
}

fn check_placeholder(keys: &[&str], value: &Placeholder, faults: &mut Faults<'_>) {
    let name = keys.last().copied().unwrap_or_default();
    if !is_name(name) {
        let message = format!("`{}` cannot name a placeholder", name.escape_default());
        faults.add_with_help(keys, message, "use letters, digits, `_`, `-`, `.` and `:`, a letter or `_` first.");
    }
    if let Placeholder::Env { env, .. } = value
        && !is_variable_name(env)
    {
        faults.add(keys, format!("`{}` is not the name of an environment variable", env.escape_default()));
    }
}

fn environment(name: &str, env: &EnvConfig, faults: &mut Faults<'_>) {
    let addresses = [("url_env", &env.url_env), ("url", &env.url), ("database", &env.database)];
    let given: Vec<&str> = addresses.iter().filter(|(_, value)| value.is_some()).map(|(key, _)| *key).collect();
    if let [first, second, ..] = given[..] {
        faults
            .add(&["env", name, second], format!("[env.{name}] has both `{first}` and `{second}`; one is the address"));
    }
    if let Some(variable) = &env.url_env
        && !is_variable_name(variable)
    {
        let help =
            "url_env holds a variable's name, for instance \"DATABASE_URL\"; a connection string goes into `url`.";
        faults.add_with_help(&["env", name, "url_env"], "url_env is not the name of an environment variable", help);
    }
    if let Some(url) = &env.url {
        url_without_secret(name, url, faults);
    }
    if let Some(database) = &env.database {
        object_name(&["env", name, "database"], "database", database, faults);
    }
    for set in env.testdata.iter().filter(|set| !is_plain_name(set)) {
        let message = format!("`{}` cannot name a set of test data", set.escape_default());
        faults.add_with_help(&["env", name, "testdata"], message, "use letters, digits, `_` and `-`, a letter first.");
    }
    for place in &env.secure_path {
        if let Err(why) = Place::parse(place) {
            // What is wrong with it may be a password in it.
            let shown = if place.contains('@') || place.contains('?') {
                "a URL".to_owned()
            } else {
                format!("`{}`", place.escape_default())
            };
            faults.add(&["env", name, "secure_path"], format!("[env.{name}] secure_path: {shown} {why}"));
        }
    }
    targets::check(name, env, faults);
    if env.run_as.iter().any(|word| word.is_empty() || word.chars().any(char::is_control)) {
        faults.add(&["env", name, "run_as"], format!("[env.{name}] run_as has a word that is empty or no word"));
    }
    if env.protected && !env.testdata.is_empty() {
        faults.add(&["env", name, "testdata"], format!("[env.{name}] is protected, so it cannot get test data"));
    }
}

fn url_without_secret(name: &str, url: &str, faults: &mut Faults<'_>) {
    let keys = ["env", name, "url"];
    match conninfo::Parameters::parse(url) {
        Err(error) => faults.push(&keys, error),
        Ok(parameters) if parameters.has_secret() => {
            let help = "put the connection string into an environment variable or `.env` and name it with `url_env`, or \
                        keep the password in `.pgpass`. If the file was committed, change the password.";
            faults.add_with_help(&keys, format!("[env.{name}] url holds a password, and this file is committed"), help);
        }
        Ok(_) => {}
    }
}

fn postgres(config: &Config, faults: &mut Faults<'_>) {
    let postgres = &config.postgres;
    let texts = [
        ("image", &postgres.image),
        ("bin_dir", &postgres.bin_dir),
        ("encoding", &postgres.encoding),
        ("locale", &postgres.locale),
    ];
    for (key, value) in texts {
        if value.as_ref().is_some_and(|v| v.trim().is_empty() || v.chars().any(char::is_control)) {
            faults.add(&["postgres", key], format!("postgres.{key} is empty or holds control characters"));
        }
    }
    for (key, value) in [("database", &postgres.database), ("role", &postgres.role)] {
        if let Some(value) = value {
            object_name(&["postgres", key], key, value, faults);
        }
    }
    for name in postgres.settings.keys().filter(|name| OWN_SETTINGS.contains(&name.to_lowercase().as_str())) {
        faults.add(&["postgres", "settings", name], format!("postgres.settings.{name} is set by dbbuild itself"));
    }
    if let Some(name @ ("template0" | "template1")) = postgres.database.as_deref() {
        faults.add(&["postgres", "database"], format!("`{name}` is PostgreSQL's own and cannot be the database"));
    }
}

/// Whether PostgreSQL takes this name whole.
pub fn is_database_name(name: &str) -> bool {
    !name.is_empty() && name.len() <= NAME_LIMIT && !name.chars().any(char::is_control)
}

fn object_name(keys: &[&str], what: &str, name: &str, faults: &mut Faults<'_>) {
    if !is_database_name(name) {
        faults.add(keys, format!("`{}` cannot name a {what}: 1 to {NAME_LIMIT} bytes", name.escape_default()));
    }
}

fn paths(config: &mut Config, faults: &mut Faults<'_>) {
    let p = &mut config.paths;
    for (key, path) in [
        ("migrations", &mut p.migrations),
        ("repeatable", &mut p.repeatable),
        ("init", &mut p.init),
        ("testdata", &mut p.testdata),
        ("checks", &mut p.checks),
        ("definitions", &mut p.definitions),
        ("baseline", &mut p.baseline),
        ("roles", &mut p.roles),
        ("hba", &mut p.hba),
        ("access", &mut p.access),
        ("include", &mut p.include),
    ] {
        match normal_path(path) {
            Ok(normal) => *path = normal,
            Err(why) => faults.add(&["paths", key], format!("paths.{key} `{}` {why}", path.escape_default())),
        }
    }
    overlaps(config, faults);
}

/// A file below two folders would run twice, and a generated file below one would run as a migration.
fn overlaps(config: &Config, faults: &mut Faults<'_>) {
    let all = config.paths.all();
    for (i, (outer_key, outer)) in all.iter().enumerate() {
        for (j, (inner_key, inner)) in all.iter().enumerate() {
            let same = outer == inner && i < j;
            let below = inner.strip_prefix(outer).is_some_and(|rest| rest.starts_with('/'));
            if same || below {
                let relation = if same { "is the same as" } else { "lies inside" };
                let message = format!("paths.{inner_key} `{inner}` {relation} paths.{outer_key} `{outer}`");
                let written = if faults.is_written(&["paths", inner_key]) { inner_key } else { outer_key };
                faults.add(&["paths", written], message);
            }
        }
    }
}

fn normal_path(path: &str) -> std::result::Result<String, &'static str> {
    if path.starts_with('/') || path.starts_with('~') || path.get(1..2) == Some(":") {
        return Err("is not relative to the repository");
    }
    if path.contains('\\') || path.chars().any(char::is_control) {
        return Err("holds a backslash or control characters; write `/` between folders");
    }
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    if parts.contains(&"..") {
        return Err("may leave the repository; write it without `..`");
    }
    match parts.first() {
        None => Err("names no file or folder"),
        Some(first) if first.eq_ignore_ascii_case(".git") => Err("lies inside git's own folder"),
        Some(_) => Ok(parts.join("/")),
    }
}

fn rest(config: &Config, faults: &mut Faults<'_>) {
    let upstream = &config.git.upstream;
    if upstream.is_empty() || upstream.starts_with('-') || upstream.chars().any(|c| c.is_whitespace() || c.is_control())
    {
        faults.add(&["git", "upstream"], format!("`{}` cannot name a revision", upstream.escape_default()));
    }
    for pattern in &config.baseline.exclude {
        let parts: Vec<&str> = pattern.split('.').collect();
        if parts.len() != 2 || parts.iter().any(|part| part.is_empty()) {
            let message = format!("`{}` is not a pattern schema.table", pattern.escape_default());
            faults.add(&["baseline", "exclude"], message);
        }
    }
}

/// Names of environments and sets of test data are folder names and end in file names.
fn is_plain_name(name: &str) -> bool {
    name.len() <= NAME_LIMIT
        && name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-')
}

fn is_variable_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}
