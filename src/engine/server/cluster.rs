//! A PostgreSQL data directory of local programs: making, copying, configuring and starting one.
//!
//! How long a cluster lives, and who removes it, is decided by its owner: [`super::local`] or [`super::embedded`].

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use super::address::{ServerAddress, sql_error};
use super::process;
use super::programs::Installation;
use super::state::{OsUser, StateDir};
use crate::error::{Error, OrFailed, Result};

/// The bootstrap superuser of every cluster that dbbuild makes.
pub const SUPERUSER: &str = "postgres";

/// How long a server may take until it answers.
const START_LIMIT: Duration = Duration::from_secs(60);

/// What initdb fixes for the life of a cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InitOptions {
    /// Server encoding.
    pub encoding: String,
    /// Locale; `None` takes `C.UTF-8` where the system has it and it fits the encoding, else `C`.
    pub locale: Option<String>,
    /// Wait until the files are on disk: for clusters that are kept.
    pub durable: bool,
}

/// Runs initdb into a folder that does not exist yet, whose parent the server's user can write to.
pub fn initdb(programs: &Installation, state: &StateDir, data: &Path, options: &InitOptions) -> Result<()> {
    state.check_traversable(&programs.bin)?;
    let Some(locale) = &options.locale else {
        let utf8 = matches!(options.encoding.to_ascii_uppercase().replace('-', "").as_str(), "UTF8" | "UNICODE");
        if utf8 && run_initdb(programs, state, data, options, "C.UTF-8").is_ok() {
            return Ok(());
        }
        remove_tree(data)?;
        return run_initdb(programs, state, data, options, "C");
    };
    run_initdb(programs, state, data, options, locale).map_err(|error| {
        error.help(format!(
            "see postgres.locale ({locale}) and postgres.encoding ({}) in dbbuild.toml",
            options.encoding
        ))
    })
}

fn run_initdb(
    programs: &Installation,
    state: &StateDir,
    data: &Path,
    options: &InitOptions,
    locale: &str,
) -> Result<()> {
    let mut command = process::command(&programs.program("initdb"), state.user());
    command.arg("--pgdata").arg(data).args(["--username", SUPERUSER, "--auth=trust", "--no-instructions"]);
    command.arg(format!("--encoding={}", options.encoding)).arg(format!("--locale={locale}"));
    command.arg("--lc-messages=C");
    if !options.durable {
        // Small WAL segments make a throwaway 15 MB lighter to copy; a cluster that is kept takes the usual size.
        command.args(["--no-sync", "--wal-segsize=1"]);
    }
    process::run_bound(command, "initdb").map(|_| ())
}

/// Settings that replay and dump rely on; they stand on the command line, where no file overrules them.
pub const FIXED_SETTINGS: [(&str, &str); 7] = [
    ("timezone", "UTC"),
    ("log_timezone", "UTC"),
    ("datestyle", "ISO, MDY"),
    ("intervalstyle", "postgres"),
    ("lc_messages", "C"),
    ("lc_monetary", "C"),
    ("bytea_output", "hex"),
];

/// Settings of a server whose data nobody keeps. The user's own come after them.
///
/// `max_locks_per_transaction`: one transaction may load or dump some ten thousand relations.
pub fn throwaway_settings(major: u32) -> BTreeMap<String, String> {
    let mut settings: BTreeMap<String, String> = [
        ("fsync", "off"),
        ("synchronous_commit", "off"),
        ("full_page_writes", "off"),
        ("autovacuum", "off"),
        ("wal_level", "minimal"),
        ("max_wal_senders", "0"),
        ("max_wal_size", "256MB"),
        // A segment that is not written again need not be there: a stopped server is that much lighter to copy.
        ("min_wal_size", "2MB"),
        ("wal_recycle", "off"),
        ("wal_init_zero", "off"),
        ("checkpoint_timeout", "1h"),
        ("bgwriter_lru_maxpages", "0"),
        ("jit", "off"),
        // Rows of a parallel plan come in another order each time.
        ("max_parallel_workers_per_gather", "0"),
        ("max_connections", "20"),
        ("max_locks_per_transaction", "2048"),
        ("shared_buffers", "64MB"),
        ("huge_pages", "off"),
        // Segments are files of the data directory, so a kill leaves none behind elsewhere.
        ("dynamic_shared_memory_type", "mmap"),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .collect();
    if major >= 14 && cfg!(target_os = "linux") {
        settings.insert("client_connection_check_interval".into(), "1s".into());
    }
    settings
}

/// Writes settings into `dbbuild.conf` of a data directory, which its `postgresql.conf` then includes last.
pub fn configure(data: &Path, state: &StateDir, settings: &BTreeMap<String, String>) -> Result<()> {
    let path = data.join("dbbuild.conf");
    let mut text = String::from("# Written by dbbuild at every start.\n");
    for (name, value) in settings {
        check_setting(name, value)?;
        // In this file a backslash escapes, and a quote is doubled.
        text.push_str(&format!("{name} = '{}'\n", value.replace('\\', "\\\\").replace('\'', "''")));
    }
    write_private(&path, text.as_bytes()).or_failed(|| format!("cannot write {}", path.display()))?;
    state.give(&path)?;
    let main = data.join("postgresql.conf");
    let known = fs::read_to_string(&main).or_failed(|| format!("cannot read {}", main.display()))?;
    let include = "include_if_exists = 'dbbuild.conf'";
    if !known.lines().any(|line| line == include) {
        fs::write(&main, format!("{known}\n{include}\n")).or_failed(|| format!("cannot write {}", main.display()))?;
    }
    Ok(())
}

/// A setting's name is an identifier with dots, its value one line.
pub(super) fn check_setting(name: &str, value: &str) -> Result<()> {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.';
    if name.is_empty() || !name.chars().all(plain) || name.starts_with(|c: char| c.is_ascii_digit()) {
        return Err(Error::usage(format!("`{}` in postgres.settings is no name of a setting", name.escape_debug())));
    }
    if value.contains(['\n', '\r', '\0']) {
        return Err(Error::usage(format!("the value of `{name}` in postgres.settings is more than one line")));
    }
    Ok(())
}

/// The command that runs the server itself in the foreground: no `pg_ctl`, which would poll and detach.
pub fn server_command(programs: &Installation, user: Option<&OsUser>, data: &Path, socket_dir: &Path) -> Command {
    let mut command = process::command(&programs.program("postgres"), user);
    command.arg("-D").arg(data).args(["-c", "listen_addresses="]);
    command.arg("-c").arg(format!("unix_socket_directories={}", quoted_path(socket_dir)));
    command.args(["-c", "unix_socket_permissions=0700", "-c", "external_pid_file=", "-c", "logging_collector=off"]);
    command.args(["-p", "5432"]);
    command
}

/// One element of a list of folders: quoted, so that a comma or a space in it does no harm.
fn quoted_path(path: &Path) -> String {
    format!("\"{}\"", path.display().to_string().replace('"', "\"\""))
}

/// Waits until the server answers; `ended` tells how its process ended, if it did.
pub async fn wait_ready(
    address: &ServerAddress,
    log: &Path,
    from: u64,
    mut ended: impl FnMut() -> Option<String>,
) -> Result<()> {
    let begin = Instant::now();
    loop {
        let error = match address.connect("postgres").await {
            Ok(_) => return Ok(()),
            Err(error) => error,
        };
        let tail = || log_tail(log, from);
        if let Some(status) = ended() {
            return Err(
                Error::failed(format!("the PostgreSQL server ended while it started ({status})")).detail(tail())
            );
        }
        // Refused before there is a socket, "starting up" after: anything else a wait does not cure.
        if error.as_db_error().is_some_and(|db| db.code().code() != "57P03") {
            return Err(sql_error("the new PostgreSQL server refuses connections".into(), &error).detail(tail()));
        }
        if begin.elapsed() > START_LIMIT {
            let message = format!("the PostgreSQL server did not answer within {} s", START_LIMIT.as_secs());
            return Err(sql_error(message, &error).detail(tail()));
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// The last lines of a server's log, from a position on.
pub fn log_tail(log: &Path, from: u64) -> String {
    let bytes = fs::read(log).unwrap_or_default();
    let start = usize::try_from(from).unwrap_or(0).min(bytes.len());
    let text = String::from_utf8_lossy(&bytes[start..]).into_owned();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(20)..].join("\n")
}

/// Opens a server's log for appending, owned by the server's user.
pub fn open_log(path: &Path, state: &StateDir) -> Result<fs::File> {
    let file = fs::OpenOptions::new().create(true).append(true).mode(0o600).open(path);
    let file = file.or_failed(|| format!("cannot open {}", path.display()))?;
    state.give(path)?;
    Ok(file)
}

/// Writes a file that only its owner may read, replacing an old one at once.
pub fn write_private(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    use std::io::Write;
    let temporary = path.with_extension(format!("new-{}", std::process::id()));
    let _ = fs::remove_file(&temporary);
    let mut file = fs::OpenOptions::new().create_new(true).write(true).mode(0o600).open(&temporary)?;
    file.write_all(bytes)?;
    drop(file);
    fs::rename(temporary, path)
}

/// Copies a stopped data directory and hands the copy to the server's user.
///
/// The copy belongs to the caller until the end, when its root is handed over: no other user can plant a link in it.
pub fn copy_data(from: &Path, to: &Path, user: Option<&OsUser>) -> Result<()> {
    let mut folders = vec![PathBuf::new()];
    let mut files = Vec::new();
    let failed = |what: &str, path: &Path| format!("cannot {what} {}", path.display());
    let mut next = 0;
    while next < folders.len() {
        let folder = folders[next].clone();
        next += 1;
        let source = from.join(&folder);
        for entry in fs::read_dir(&source).or_failed(|| failed("read", &source))? {
            let entry = entry.or_failed(|| failed("read", &source))?;
            let kind = entry.file_type().or_failed(|| failed("read", &entry.path()))?;
            let name = folder.join(entry.file_name());
            if kind.is_dir() {
                folders.push(name);
            } else if kind.is_file() && entry.file_name() != "postmaster.pid" {
                files.push(name);
            } else if kind.is_symlink() || kind.is_char_device() {
                return Err(Error::failed(format!(
                    "{} is no ordinary file: it cannot be copied",
                    entry.path().display()
                )));
            }
        }
    }
    for folder in &folders {
        let target = to.join(folder);
        fs::DirBuilder::new().mode(0o700).create(&target).or_failed(|| failed("make", &target))?;
    }
    let workers = std::thread::available_parallelism().map_or(1, usize::from).clamp(1, 4);
    let share = files.len().div_ceil(workers).max(1);
    let give = |target: &Path| match user {
        Some(user) => std::os::unix::fs::lchown(target, Some(user.uid), Some(user.gid)),
        None => Ok(()),
    };
    std::thread::scope(|scope| {
        let copies: Vec<_> =
            files.chunks(share).map(|part| scope.spawn(|| copy_files(from, to, part, &give))).collect();
        copies.into_iter().try_for_each(|copy| copy.join().unwrap_or_else(|_| Err(Error::failed("a copy broke off"))))
    })?;
    // Deepest first, the root last.
    for folder in folders.iter().rev() {
        let target = to.join(folder);
        give(&target).or_failed(|| failed("hand over", &target))?;
    }
    Ok(())
}

fn copy_files(
    from: &Path,
    to: &Path,
    files: &[PathBuf],
    give: &(impl Fn(&Path) -> std::io::Result<()> + Sync),
) -> Result<()> {
    for file in files {
        let target = to.join(file);
        let copied = fs::copy(from.join(file), &target).map(|_| ()).and_then(|()| give(&target));
        copied.or_failed(|| format!("cannot copy to {}", target.display()))?;
    }
    Ok(())
}

/// Removes a folder with all it holds; one that is gone is no error.
pub fn remove_tree(path: &Path) -> Result<()> {
    // A backend that still ends may write once more between listing and removal.
    for _ in 0..20 {
        match fs::remove_dir_all(path) {
            Ok(()) => return Ok(()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && !path.exists() => return Ok(()),
            Err(_) => std::thread::sleep(Duration::from_millis(10)),
        }
    }
    fs::remove_dir_all(path).or_failed(|| format!("cannot remove {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_quoted_and_checked() {
        let temp = tempfile::tempdir().unwrap();
        let state = StateDir::at(temp.path().join("s")).unwrap();
        fs::write(temp.path().join("postgresql.conf"), "port = 1\n").unwrap();
        let settings = BTreeMap::from([("a.b".to_owned(), "it's \\x".to_owned())]);
        configure(temp.path(), &state, &settings).unwrap();
        configure(temp.path(), &state, &settings).unwrap();
        let text = fs::read_to_string(temp.path().join("dbbuild.conf")).unwrap();
        assert!(text.ends_with("a.b = 'it''s \\\\x'\n"), "{text}");
        let main = fs::read_to_string(temp.path().join("postgresql.conf")).unwrap();
        assert_eq!(main.matches("include_if_exists").count(), 1);
        for (name, value) in [("a b", "1"), ("", "1"), ("1a", "1"), ("a", "1\nb = 2")] {
            assert!(check_setting(name, value).is_err(), "{name:?} {value:?}");
        }
    }

    #[test]
    fn the_tail_of_a_log_begins_where_it_is_told() {
        let temp = tempfile::tempdir().unwrap();
        let log = temp.path().join("log");
        fs::write(&log, "old\nnew\n").unwrap();
        assert_eq!(log_tail(&log, 4), "new");
        assert_eq!(log_tail(&log, 99), "");
        assert_eq!(log_tail(&temp.path().join("none"), 0), "");
    }

    #[test]
    fn a_link_in_a_cluster_is_not_copied() {
        let temp = tempfile::tempdir().unwrap();
        let from = temp.path().join("from");
        fs::create_dir_all(from.join("base/1")).unwrap();
        fs::write(from.join("base/1/2"), "x").unwrap();
        fs::write(from.join("postmaster.pid"), "1\n").unwrap();
        copy_data(&from, &temp.path().join("to"), None).unwrap();
        assert!(temp.path().join("to/base/1/2").exists());
        assert!(!temp.path().join("to/postmaster.pid").exists());
        std::os::unix::fs::symlink("/etc", from.join("link")).unwrap();
        assert!(copy_data(&from, &temp.path().join("other"), None).is_err());
    }
}
