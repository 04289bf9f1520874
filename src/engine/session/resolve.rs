//! Reads what libpq would read beside the connection string: service files, the password file, the user's name.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use nix::unistd::{User, geteuid};

use crate::error::{Error, OrFailed, Result};
use crate::model::conninfo::{ConnectionSettings, Defaults, Environ, Parameters, Secret, Server, pgpass, service};

/// Where packages of PostgreSQL put sockets, and their folders of system-wide files.
const SOCKET_FOLDERS: [&str; 3] = ["/var/run/postgresql", "/run/postgresql", "/tmp"];
const SYSTEM_FOLDERS: [&str; 2] = ["/etc/postgresql-common", "/etc/sysconfig/pgsql"];

/// The settings of a connection string, or of the environment alone, as libpq would make them.
pub fn resolve(url: Option<&str>, environ: &Environ) -> Result<ConnectionSettings> {
    let explicit = url.map(Parameters::parse).transpose()?.unwrap_or_default();
    let defaults = defaults(environ);
    let service = match explicit.service(environ) {
        Some(name) => Some(find_service(name, &explicit, environ, &defaults)?),
        None => None,
    };
    ConnectionSettings::merge(&explicit, service.as_ref(), environ, &defaults)
}

/// The name of the user who runs dbbuild, which is who logs in where no user is named.
pub fn account() -> String {
    User::from_uid(geteuid()).ok().flatten().map(|account| account.name).unwrap_or_default()
}

/// Whether a password is known for these settings: given, or in the password file.
pub fn has_password(settings: &ConnectionSettings) -> bool {
    settings.servers().iter().any(|server| password(settings, server).0.is_some())
}

fn defaults(environ: &Environ) -> Defaults {
    let account = User::from_uid(geteuid()).ok().flatten();
    let user = account.as_ref().map(|account| account.name.clone());
    let home = environ.get("HOME").map(str::to_owned);
    let port = environ.get("PGPORT").unwrap_or("5432");
    let socket = SOCKET_FOLDERS.iter().find(|folder| Path::new(&format!("{folder}/.s.PGSQL.{port}")).exists());
    let folder = socket.or_else(|| SOCKET_FOLDERS.iter().find(|folder| Path::new(folder).exists()));
    Defaults {
        user: user.or_else(|| environ.get("USER").map(str::to_owned)).unwrap_or_default(),
        host: folder.map_or("localhost", |folder| folder).to_owned(),
        home: home.or_else(|| account.map(|account| account.dir.to_string_lossy().into_owned())),
    }
}

fn find_service(name: &str, explicit: &Parameters, environ: &Environ, defaults: &Defaults) -> Result<Parameters> {
    let named = explicit.get("servicefile").or_else(|| environ.get("PGSERVICEFILE"));
    let own = match (named, &defaults.home) {
        (Some(path), _) => Some(path.to_owned()),
        (None, Some(home)) => Some(format!("{home}/.pg_service.conf")),
        _ => None,
    };
    if let Some(path) = named
        && !Path::new(path).exists()
    {
        return Err(Error::usage(format!("the connection service file {path} does not exist")));
    }
    let system = match environ.get("PGSYSCONFDIR") {
        Some(folder) => vec![folder.to_owned()],
        None => SYSTEM_FOLDERS.iter().map(|folder| (*folder).to_owned()).collect(),
    };
    let paths = own.into_iter().chain(system.iter().map(|folder| format!("{folder}/pg_service.conf")));
    let mut looked = Vec::new();
    for path in paths {
        if Path::new(&path).exists() {
            let text =
                fs::read_to_string(&path).or_failed(|| format!("cannot read the connection service file {path}"))?;
            if let Some(parameters) = service::lookup(&text, name, &path)? {
                return Ok(parameters);
            }
        }
        looked.push(path);
    }
    let message = format!("the connection service `{}` is not defined", name.escape_debug());
    Err(Error::usage(message).help(format!("looked in {}.", looked.join(", "))))
}

/// The password for one server: the given one, or the password file's; and what was wrong with that file, in words.
pub(super) fn password(settings: &ConnectionSettings, server: &Server) -> (Option<Secret>, Option<String>) {
    if let Some(password) = settings.password() {
        return (Some(password.clone()), None);
    }
    let Some(path) = settings.passfile() else { return (None, None) };
    let Ok(meta) = fs::metadata(path) else { return (None, None) };
    if !meta.is_file() {
        return (None, Some(format!("the password file {path} was passed over: it is not a plain file.")));
    }
    if meta.mode() & 0o077 != 0 {
        let note = format!("the password file {path} was passed over, since others can read it: chmod 600 {path}");
        return (None, Some(note));
    }
    match fs::read_to_string(path) {
        Ok(text) => (pgpass::lookup(&text, server, settings.database(), settings.user()), None),
        Err(e) => (None, Some(format!("the password file {path} was passed over: {e}."))),
    }
}
