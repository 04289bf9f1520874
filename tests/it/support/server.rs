//! PostgreSQL servers for tests: one for each major version of a run, with a database for each test; and private ones
//! for tests that make roles, change settings or stop the server. Root runs them as another user.

use std::fs;
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU16, AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, User, chown, geteuid};

use super::{Outcome, run, run_dir, skip};

/// The major versions that tests run on.
const MAJORS: std::ops::RangeInclusive<u32> = 15..=18;

/// A running server with a superuser `postgres` who needs no password.
pub struct Server {
    /// The major version.
    pub major: u32,
    /// The folder of its programs.
    pub bin: PathBuf,
    /// The folder of its socket, which holds its data and log as well.
    pub dir: PathBuf,
    /// Its port, on loopback and in the socket's name.
    pub port: u16,
    child: Child,
    settings: Vec<String>,
}

/// A database of one test, dropped with the value.
pub struct Db<'a> {
    /// Its name.
    pub name: String,
    /// Its address through the socket.
    pub url: String,
    server: &'a Server,
    kept: bool,
}

/// The server of a major version that all tests share; skips where the version is not there.
pub fn server(major: u32) -> Option<&'static Server> {
    static SHARED: [OnceLock<Option<Server>>; 4] = [const { OnceLock::new() }; 4];
    let slot = &SHARED[(major - MAJORS.start()) as usize];
    let server = slot.get_or_init(|| Some(Server::start(major, &programs(major)?, &[]))).as_ref();
    if server.is_none() {
        skip(&format!("PostgreSQL {major} (run `cargo xtask test`)"));
    }
    server
}

/// Runs a test on every major version that is there; one that is missing does not lose the others.
#[track_caller]
pub fn matrix(test: impl Fn(&'static Server)) {
    let servers: Vec<_> = MAJORS.rev().filter_map(server).collect();
    for server in servers {
        eprintln!("on PostgreSQL {}", server.major);
        test(server);
    }
}

/// The programs that `cargo xtask test` found or fetched; for 15, which is the default, also where Debian has them.
fn programs(major: u32) -> Option<PathBuf> {
    let given = std::env::var_os(format!("DBBUILD_TEST_PG{major}")).map(PathBuf::from);
    let debian = || Some(PathBuf::from(format!("/usr/lib/postgresql/{major}/bin"))).filter(|bin| bin.is_dir());
    given.or_else(debian)
}

impl Server {
    /// A server of a test's own, stopped with the value; `None` where [`server`] would skip.
    pub fn private(major: u32, settings: &[&str]) -> Option<Server> {
        let programs = programs(major);
        if programs.is_none() {
            skip(&format!("PostgreSQL {major} (run `cargo xtask test`)"));
        }
        Some(Server::start(major, &programs?, settings))
    }

    fn start(major: u32, bin: &Path, settings: &[&str]) -> Server {
        let dir = folder(major);
        let mut initdb = as_server_user(&bin.join("initdb"));
        initdb.args(["-N", "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--wal-segsize=1", "-D"]);
        run(initdb.arg(dir.join("data"))).ok();
        Server::run_in(major, bin, dir, settings)
    }

    /// Starts a server on the data of a folder.
    fn run_in(major: u32, bin: &Path, dir: PathBuf, settings: &[&str]) -> Server {
        let port = free_port();
        let child = spawn(bin, &dir, port, settings);
        let mut server = Server {
            major,
            bin: bin.to_path_buf(),
            dir,
            port,
            child,
            settings: settings.iter().map(|setting| (*setting).to_owned()).collect(),
        };
        server.wait_until_ready();
        server
    }

    /// A streaming replica of this server.
    pub fn standby(&self) -> Server {
        let dir = folder(self.major);
        let mut copy = as_server_user(&self.bin.join("pg_basebackup"));
        copy.arg("-h").arg(&self.dir).args([
            "-p",
            &self.port.to_string(),
            "-U",
            "postgres",
            "-R",
            "-X",
            "stream",
            "-c",
            "fast",
            "-D",
        ]);
        run(copy.arg(dir.join("data"))).ok();
        Server::run_in(self.major, &self.bin, dir, &["hot_standby=on"])
    }

    /// The same server, stopped and started with other settings.
    pub fn restarted(mut self, settings: &[&str]) -> Server {
        kill(Pid::from_raw(self.child.id() as i32), Signal::SIGINT).unwrap();
        self.child.wait().unwrap();
        self.child = spawn(&self.bin, &self.dir, self.port, settings);
        self.settings = settings.iter().map(|setting| (*setting).to_owned()).collect();
        self.wait_until_ready();
        self
    }

    fn wait_until_ready(&mut self) {
        let start = Instant::now();
        while self.run("psql", &["-XAtqc", "SELECT 1", "-d", "postgres"]).status != 0 {
            let gone = self.child.try_wait().unwrap();
            if gone.is_some() || start.elapsed() > Duration::from_secs(60) {
                let log = fs::read_to_string(self.dir.join("log")).unwrap_or_default();
                panic!("PostgreSQL {} does not start ({gone:?})\n{log}", self.major);
            }
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Kills the postmaster and every process of its, in the middle of whatever they do, and starts it again.
    pub fn crash_whole(&mut self) {
        let postmaster = self.child.id();
        // So that it neither sees to those that die nor makes new ones.
        kill(Pid::from_raw(postmaster as i32), Signal::SIGSTOP).unwrap();
        let children = fs::read_to_string(format!("/proc/{postmaster}/task/{postmaster}/children")).unwrap();
        for child in children.split_whitespace() {
            let _ = kill(Pid::from_raw(child.parse().unwrap()), Signal::SIGKILL);
        }
        self.crash();
    }

    /// Kills the postmaster, and starts it again when its orphans have noticed.
    pub fn crash(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        let settings: Vec<&str> = self.settings.iter().map(String::as_str).collect();
        let start = Instant::now();
        loop {
            self.child = spawn(&self.bin, &self.dir, self.port, &settings);
            while self.child.try_wait().unwrap().is_none() {
                if self.run("psql", &["-XAtqc", "SELECT 1", "-d", "postgres"]).status == 0 {
                    return;
                }
                thread::sleep(Duration::from_millis(10));
            }
            // It refuses while an orphan still uses the old one's memory.
            assert!(start.elapsed() < Duration::from_secs(60), "the server does not come back");
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Runs one of its programs, connected to it as superuser.
    #[track_caller]
    pub fn run(&self, program: &str, arguments: &[&str]) -> Outcome {
        run(self.command(program).args(arguments))
    }

    /// One of its programs, to be connected to it as superuser.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.bin.join(program));
        command.env_clear().envs([("LC_ALL", "C"), ("TZ", "UTC"), ("PGUSER", "postgres")]);
        command.env("PGHOST", &self.dir).env("PGPORT", self.port.to_string());
        command
    }

    /// An empty database with a name that no other test has.
    #[track_caller]
    pub fn fresh_database(&self) -> Db<'_> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        // Nothing like the `unit_1` that a schema may hold: where dumps are compared, names of databases are replaced.
        let name = format!("it_db{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        let sql = format!("CREATE DATABASE {name} TEMPLATE template0");
        self.run("psql", &["-Xqc", &sql, "-d", "postgres"]).ok();
        Db { url: self.url(&name), name, server: self, kept: false }
    }

    /// A database that is there, and stays there: one of a private server goes with that.
    pub fn existing(&self, name: &str) -> Db<'_> {
        Db { url: self.url(name), name: name.to_owned(), server: self, kept: true }
    }

    /// The address of a database through the socket.
    pub fn url(&self, database: &str) -> String {
        format!("postgresql://postgres@/{database}?host={}&port={}", self.dir.display(), self.port)
    }

    /// The address of a database on loopback.
    pub fn tcp_url(&self, database: &str) -> String {
        format!("postgresql://postgres@127.0.0.1:{}/{database}", self.port)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Not SIGKILL, after which its processes would live on for a moment and its shared memory for good.
        let _ = kill(Pid::from_raw(self.child.id() as i32), Signal::SIGQUIT);
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.dir);
    }
}

impl Db<'_> {
    /// Leaves the database where it is, and gives its name.
    pub fn keep(mut self) -> String {
        self.kept = true;
        self.name.clone()
    }

    /// One of the server's programs; which database it connects to, its arguments say.
    pub fn command(&self, program: &str) -> Command {
        self.server.command(program)
    }

    /// Runs SQL and gives the rows: one line each, columns separated by `|`.
    #[track_caller]
    pub fn psql(&self, sql: &str) -> String {
        self.try_psql(sql).ok().stdout.trim_end().to_owned()
    }

    /// Runs SQL that may fail.
    #[track_caller]
    pub fn try_psql(&self, sql: &str) -> Outcome {
        self.server.run("psql", &["-XAtq", "-v", "ON_ERROR_STOP=1", "-d", &self.name, "-c", sql])
    }

    /// The versions that are applied, in the order in which that was done.
    #[track_caller]
    pub fn applied(&self) -> String {
        self.psql("SELECT string_agg(version, ' ' ORDER BY position) FROM dbbuild.migration")
    }

    /// Whether there is such a table, view, index or sequence.
    #[track_caller]
    pub fn has(&self, relation: &str) -> bool {
        self.psql(&format!("SELECT to_regclass('{relation}') IS NOT NULL")) == "t"
    }

    /// Runs a file as `psql -f` would.
    #[track_caller]
    pub fn psql_file(&self, file: &Path) -> Outcome {
        let file = file.to_str().unwrap();
        self.server.run("psql", &["-XAtq", "-v", "ON_ERROR_STOP=1", "-d", &self.name, "-f", file])
    }

    /// The whole dump, without the lines that differ from one dump of the same database to the next.
    #[track_caller]
    pub fn pg_dump(&self) -> String {
        let dump = self.server.run("pg_dump", &["-d", &self.name]);
        let differs = |line: &&str| !["\\restrict ", "\\unrestrict "].iter().any(|start| line.starts_with(start));
        dump.ok().stdout.lines().filter(differs).flat_map(|line| [line, "\n"]).collect()
    }
}

impl Drop for Db<'_> {
    fn drop(&mut self) {
        if self.kept {
            return;
        }
        let sql = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name);
        let dropped = self.server.run("psql", &["-Xqc", &sql, "-d", "postgres"]);
        if dropped.status != 0 {
            eprintln!("{} stays behind\n{}", self.name, dropped.show());
        }
    }
}

/// A folder of a server's own, which belongs to the user that it runs as.
fn folder(major: u32) -> PathBuf {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let dir = run_dir::path().join(format!("pg{major}-{}", NUMBER.fetch_add(1, Ordering::Relaxed)));
    fs::create_dir(&dir).unwrap();
    if let Some(user) = other_user() {
        chown(&dir, Some(user.uid), Some(user.gid)).unwrap();
    }
    dir
}

fn spawn(bin: &Path, dir: &Path, port: u16, settings: &[&str]) -> Child {
    let mut postgres = as_server_user(&bin.join("postgres"));
    let socket = format!("unix_socket_directories={}", dir.display());
    let port = format!("port={port}");
    // Without autovacuum, whose sessions and locks come when they like.
    let fast = ["fsync=off", "synchronous_commit=off", "full_page_writes=off", "autovacuum=off"];
    // Each DROP DATABASE of another test is a checkpoint, which removes the write-ahead log that a physical copy has yet to
    // read: a slot holds it only from when the copy has begun.
    let kept = ["wal_keep_size=64MB"];
    let all = [socket.as_str(), port.as_str(), "listen_addresses=127.0.0.1"]
        .into_iter()
        .chain(fast)
        .chain(kept)
        .chain(settings.iter().copied());
    postgres.arg("-D").arg(dir.join("data")).args(all.flat_map(|setting| ["-c", setting]));
    let log = fs::File::create(dir.join("log")).unwrap();
    postgres.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).process_group(0);
    postgres.spawn().unwrap()
}

/// A command as the user that servers run as, in a folder that this user may enter.
pub fn as_server_user(program: &Path) -> Command {
    let mut command = Command::new(program);
    command.env_clear().envs([("LC_ALL", "C"), ("TZ", "UTC"), ("PATH", "/usr/bin:/bin")]).current_dir("/");
    if let Some(user) = other_user() {
        command.uid(user.uid.as_raw()).gid(user.gid.as_raw());
    }
    command
}

/// PostgreSQL refuses to run as root.
fn other_user() -> Option<User> {
    if !geteuid().is_root() {
        return None;
    }
    let user = ["postgres", "nobody"].into_iter().find_map(|name| User::from_name(name).ok().flatten());
    Some(user.expect("root needs a user `postgres` or `nobody` to run servers as"))
}

/// A port on which nobody listens, that no other test of this run gets, and that the system gives to no client: these get
/// one from 32768 on, unless the machine is set up otherwise.
pub fn free_port() -> u16 {
    const PORTS: std::ops::Range<u16> = 20_000..32_000;
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Runs at the same time begin at different places.
    let first = std::process::id().wrapping_mul(97);
    loop {
        let number = first.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed).into());
        let port = PORTS.start + u16::try_from(number % u32::try_from(PORTS.len()).unwrap()).unwrap();
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}
