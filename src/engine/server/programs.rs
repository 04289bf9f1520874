//! The PostgreSQL programs of this machine: where they are and which version they have.
//!
//! It looks and runs `--version`; it never installs anything.

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock};

use crate::error::{Error, Result};

/// Version of a PostgreSQL program or server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PgVersion {
    /// 15 of `15.4`.
    pub major: u32,
    /// 4 of `15.4`; 0 for a development version.
    pub minor: u32,
    /// As the program says it: `15.4`, `18beta1`.
    pub text: String,
}

impl PgVersion {
    /// Reads `postgres (PostgreSQL) 15.4 (Debian …)`, or a bare `15.4`.
    pub fn parse(output: &str) -> Option<PgVersion> {
        let rest = output.split_once("(PostgreSQL)").map_or(output, |(_, rest)| rest);
        let text = rest.split_whitespace().next()?;
        let digits = |s: &str| s.chars().take_while(char::is_ascii_digit).collect::<String>().parse::<u32>().ok();
        let (major, minor) = text.split_once('.').unwrap_or((text, "0"));
        Some(PgVersion { major: digits(major)?, minor: digits(minor).unwrap_or(0), text: text.to_owned() })
    }
}

impl fmt::Display for PgVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// A folder of PostgreSQL programs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Installation {
    /// The folder; programs are run by their full path in it.
    pub bin: PathBuf,
    /// Its version.
    pub version: PgVersion,
    /// Holds a server (`postgres`, `initdb`) and not only clients (`pg_dump`, `psql`).
    pub server: bool,
}

impl Installation {
    /// The full path of one program.
    pub fn program(&self, name: &str) -> PathBuf {
        self.bin.join(name)
    }

    /// The same, where it is there: servers and clients are packaged apart.
    ///
    /// # Errors
    /// It is missing; with what to install.
    pub fn require(&self, name: &str) -> Result<PathBuf> {
        let program = self.program(name);
        if program.is_file() {
            return Ok(program);
        }
        Err(Error::failed(format!("found no {name} in {}", self.bin.display()))
            .help(how_to_install(self.version.major)))
    }
}

/// The installation that runs servers: in `bin_dir` if set, else of version `major` if set, else the newest.
pub fn find(bin_dir: Option<&Path>, major: Option<u32>) -> Result<Installation> {
    if let Some(bin) = bin_dir {
        return configured(bin, major);
    }
    let wanted = |found: &Installation| found.server && major.is_none_or(|major| found.version.major == major);
    if major.is_some()
        && let Some(found) = candidates(major).iter().filter_map(|bin| inspect(bin)).find(wanted)
    {
        return Ok(found);
    }
    let all = all();
    newest(all.iter().filter(|found| wanted(found))).ok_or_else(|| missing("PostgreSQL server programs", major, &all))
}

/// The installation whose `pg_dump` and `psql` fit a server of version `major`: that version if there is one, else a
/// newer one where `newer` allows it.
pub fn find_client(bin_dir: Option<&Path>, major: u32, newer: bool) -> Result<Installation> {
    if let Some(bin) = bin_dir
        && let Some(found) = inspect(bin)
        && (found.version.major == major || newer && found.version.major > major)
    {
        return Ok(found);
    }
    let dumps = |found: &Installation| found.version.major == major && found.program("pg_dump").is_file();
    if let Some(found) = candidates(Some(major)).iter().filter_map(|bin| inspect(bin)).find(dumps) {
        return Ok(found);
    }
    let all = all();
    let fits = |found: &&Installation| found.version.major == major || newer && found.version.major > major;
    let best = all
        .iter()
        .filter(|found| found.program("pg_dump").is_file())
        .filter(fits)
        .min_by_key(|found| found.version.major)
        .cloned();
    best.ok_or_else(|| missing("PostgreSQL client programs (pg_dump)", Some(major), &all))
}

/// Every installation found, oldest first, each folder once.
pub fn all() -> Vec<Installation> {
    let mut found: Vec<Installation> = candidates(None).iter().filter_map(|bin| inspect(bin)).collect();
    found.sort_by(|a, b| (a.version.major, a.version.minor, &a.bin).cmp(&(b.version.major, b.version.minor, &b.bin)));
    found.dedup_by(|a, b| a.bin == b.bin);
    found
}

fn newest<'a>(found: impl Iterator<Item = &'a Installation>) -> Option<Installation> {
    found.max_by_key(|found| (found.version.major, found.version.minor)).cloned()
}

fn configured(bin: &Path, major: Option<u32>) -> Result<Installation> {
    let found = inspect(bin).filter(|found| found.server).ok_or_else(|| {
        Error::failed(format!("found no PostgreSQL server programs in postgres.bin_dir {}", bin.display()))
            .help("correct postgres.bin_dir in dbbuild.toml, or remove it to let dbbuild search")
    })?;
    match major {
        Some(major) if major != found.version.major => Err(Error::failed(format!(
            "postgres.bin_dir {} holds PostgreSQL {}, but postgres.version is {major}",
            bin.display(),
            found.version
        ))
        .help(format!("set postgres.bin_dir to a folder of PostgreSQL {major}; {}", how_to_install(major)))),
        _ => Ok(found),
    }
}

/// An error that names what was found and what to install.
fn missing(what: &str, major: Option<u32>, found: &[Installation]) -> Error {
    let version = major.map(|major| format!(" of version {major}")).unwrap_or_default();
    let mut error = Error::failed(format!("found no {what}{version}"));
    if !found.is_empty() {
        let list: Vec<String> =
            found.iter().map(|found| format!("{} in {}", found.version, found.bin.display())).collect();
        error = error.cause(format!("found only {}", list.join(", ")));
    }
    error.help(how_to_install(major.unwrap_or(15))).help("or set postgres.bin_dir in dbbuild.toml to their folder")
}

/// A sentence that says how to get the programs of a version.
pub fn how_to_install(major: u32) -> String {
    if cfg!(target_os = "macos") {
        return format!("install them with `brew install postgresql@{major}`");
    }
    if Path::new("/etc/redhat-release").exists() {
        return format!("install them with `dnf install postgresql{major}-server postgresql{major}-contrib`");
    }
    format!("install them with `apt-get install postgresql-{major}`")
}

/// Folders that may hold programs, those named after `major` first; only that version's where the name tells it.
fn candidates(major: Option<u32>) -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> = Vec::new();
    if let Some(path) = std::env::var_os("PATH") {
        folders.extend(std::env::split_paths(&path).filter(|dir| dir.is_absolute()));
    }
    let places = [
        ("/usr/lib/postgresql", "", "bin"),
        ("/usr", "pgsql-", "bin"),
        ("/opt/homebrew/opt", "postgresql@", "bin"),
        ("/usr/local/opt", "postgresql@", "bin"),
        ("/home/linuxbrew/.linuxbrew/opt", "postgresql@", "bin"),
        ("/Applications/Postgres.app/Contents/Versions", "", "bin"),
    ];
    for (parent, prefix, below) in places {
        let Ok(entries) = std::fs::read_dir(parent) else { continue };
        let mut here: Vec<PathBuf> = Vec::new();
        for entry in entries.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let Some(number) = name.strip_prefix(prefix).and_then(|n| n.split('.').next()?.parse::<u32>().ok()) else {
                continue;
            };
            if major.is_none_or(|major| major == number) {
                here.push(entry.path().join(below));
            }
        }
        here.sort();
        folders.extend(here);
    }
    folders.extend(["/usr/local/pgsql/bin", "/opt/homebrew/opt/postgresql/bin"].map(PathBuf::from));
    let mut seen = std::collections::HashSet::new();
    folders.retain(|dir| seen.insert(dir.canonicalize().unwrap_or_else(|_| dir.clone())));
    folders
}

/// What a folder holds; `None` where it has no PostgreSQL programs. Asked once in a process.
fn inspect(bin: &Path) -> Option<Installation> {
    static KNOWN: OnceLock<Mutex<HashMap<PathBuf, Option<Installation>>>> = OnceLock::new();
    let known = KNOWN.get_or_init(Mutex::default);
    if let Some(found) = known.lock().ok().and_then(|known| known.get(bin).cloned()) {
        return found;
    }
    let found = ask(bin);
    if let Ok(mut known) = known.lock() {
        known.insert(bin.to_path_buf(), found.clone());
    }
    found
}

fn ask(bin: &Path) -> Option<Installation> {
    let has_server = |dir: &Path| dir.join("postgres").is_file() && dir.join("initdb").is_file();
    let server = has_server(bin);
    let program = bin.join(if server { "postgres" } else { "pg_dump" });
    let real = program.canonicalize().ok()?;
    // Debian's /usr/bin/pg_dump is a script that chooses a version by clusters and settings of its own.
    if !real.is_file() || real.file_name()? == "pg_wrapper" {
        return None;
    }
    // A folder of the search path often has links to some of the programs: what they point to has them all.
    let home = real.parent().filter(|home| !server || has_server(home)).unwrap_or(bin);
    let output = super::process::command(&real, None).arg("--version").output().ok()?;
    let version = PgVersion::parse(&String::from_utf8_lossy(&output.stdout))?;
    output.status.success().then(|| Installation { bin: home.to_path_buf(), version, server })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read() {
        let cases = [
            ("postgres (PostgreSQL) 15.4 (Debian 15.4-1.pgdg120+1)", 15, 4, "15.4"),
            ("pg_dump (PostgreSQL) 17.10\n", 17, 10, "17.10"),
            ("postgres (PostgreSQL) 18beta1", 18, 0, "18beta1"),
            ("postgres (PostgreSQL) 19devel", 19, 0, "19devel"),
            ("16.14", 16, 14, "16.14"),
        ];
        for (input, major, minor, text) in cases {
            let expected = PgVersion { major, minor, text: text.into() };
            assert_eq!(PgVersion::parse(input), Some(expected), "{input}");
        }
        assert_eq!(PgVersion::parse("not a version"), None);
        assert_eq!(PgVersion::parse(""), None);
    }

    #[test]
    fn a_missing_version_names_what_to_install() {
        let error = find(None, Some(7)).unwrap_err();
        assert_eq!(error.message(), "found no PostgreSQL server programs of version 7");
        assert!(error.helps().iter().any(|help| help.contains("install")), "{:?}", error.helps());
    }

    #[test]
    fn a_wrong_folder_is_named() {
        let temp = tempfile::tempdir().unwrap();
        let error = find(Some(temp.path()), Some(15)).unwrap_err();
        assert!(error.message().contains(&temp.path().display().to_string()), "{error}");
    }
}
