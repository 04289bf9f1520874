//! A small PostgreSQL for the tests of this module: one server for each major version and test run.

use crate::engine::session::{ConnectOptions, Session, connect, resolve};
use crate::model::conninfo::Environ;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

/// A running server, stopped when dropped.
pub(super) struct TestServer {
    pub(super) major: u32,
    bin: PathBuf,
    dir: tempfile::TempDir,
    child: Child,
}

/// The server versions that this machine has: `DBBUILD_TEST_PG<major>` names the folder with the programs, else
/// Debian's place is looked into.
pub(super) fn each_server(test: impl Fn(&TestServer)) {
    let mut tested = 0;
    for major in 15..=18 {
        let given = std::env::var_os(format!("DBBUILD_TEST_PG{major}")).map(PathBuf::from);
        let bin = given.unwrap_or_else(|| PathBuf::from(format!("/usr/lib/postgresql/{major}/bin")));
        if bin.join("initdb").exists() {
            test(&TestServer::start(major, bin));
            tested += 1;
        }
    }
    assert!(tested > 0 || std::env::var_os("DBBUILD_NO_SKIP").is_none(), "no PostgreSQL programs were found");
}

impl TestServer {
    fn start(major: u32, bin: PathBuf) -> TestServer {
        let dir = tempfile::Builder::new().prefix("dbbuild-test").tempdir().unwrap();
        if let Some(user) = server_user() {
            std::os::unix::fs::chown(dir.path(), Some(user.0), Some(user.1)).unwrap();
        }
        let data = dir.path().join("data");
        let made = program(&bin, "initdb")
            .args(["-N", "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--wal-segsize=1", "-D"])
            .arg(&data)
            .stdout(Stdio::null())
            .status()
            .unwrap();
        assert!(made.success());
        let child = program(&bin, "postgres")
            .arg("-D")
            .arg(&data)
            .args(["-c", "listen_addresses=", "-c", "fsync=off", "-c", "log_min_messages=fatal", "-c", "TimeZone=UTC"])
            .arg("-k")
            .arg(dir.path())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let server = TestServer { major, bin, dir, child };
        for _ in 0..3000 {
            if server.psql("postgres", &["-c", "SELECT 1"]).is_ok() {
                return server;
            }
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        panic!("PostgreSQL {major} does not start");
    }

    /// A new, empty database.
    pub(super) fn database(&self) -> String {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("test{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        self.psql("postgres", &["-c", &format!("CREATE DATABASE {name} TEMPLATE template0")]).unwrap();
        name
    }

    /// Runs psql; its standard error where it fails.
    pub(super) fn psql(&self, database: &str, args: &[&str]) -> Result<String, String> {
        let mut psql = self.client_program("psql", database);
        let done = psql.args(["-XAtq", "-v", "ON_ERROR_STOP=1"]).args(args).output().unwrap();
        if done.status.success() {
            Ok(String::from_utf8(done.stdout).unwrap())
        } else {
            Err(String::from_utf8_lossy(&done.stderr).into_owned())
        }
    }

    /// Loads a file's text in one transaction.
    pub(super) fn load(&self, database: &str, sql: &str) {
        self.load_with(database, sql, &["-1"]);
    }

    /// Runs a file's text statement by statement.
    pub(super) fn run(&self, database: &str, sql: &str) {
        self.load_with(database, sql, &[]);
    }

    fn load_with(&self, database: &str, sql: &str, args: &[&str]) {
        let file = self.dir.path().join("load.sql");
        std::fs::write(&file, sql).unwrap();
        if let Err(error) = self.psql(database, &[args, &["-f", file.to_str().unwrap()]].concat()) {
            panic!("on PostgreSQL {}: {error}", self.major);
        }
    }

    /// What pg_dump writes.
    pub(super) fn dump(&self, database: &str) -> Vec<u8> {
        let done = self
            .client_program("pg_dump", database)
            .args(["--no-sync", "--exclude-schema=dbbuild", "--load-via-partition-root", "--encoding=UTF8", "--create"])
            .output()
            .unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        done.stdout
    }

    /// A session in a database, for as long as `run` takes.
    pub(super) fn connected<T>(&self, database: &str, run: impl AsyncFnOnce(&Session) -> T) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let url = format!("host={} user=postgres dbname={database}", self.dir.path().display());
            let environ: Environ = [("HOME", "/nonexistent")].into_iter().collect();
            let settings = resolve(Some(&url), &environ).unwrap();
            let session = connect(&settings, &ConnectOptions::default()).await.unwrap();
            let result = run(&session).await;
            session.close().await;
            result
        })
    }

    fn client_program(&self, name: &str, database: &str) -> Command {
        let mut command = Command::new(self.bin.join(name));
        command.arg("-h").arg(self.dir.path()).args(["-U", "postgres", "-d", database]);
        command
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        let pid = nix::unistd::Pid::from_raw(i32::try_from(self.child.id()).unwrap());
        let _ = nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGQUIT);
        let _ = self.child.wait();
    }
}

/// PostgreSQL refuses to run as root: then its programs run as the user `postgres`.
fn server_user() -> Option<(u32, u32)> {
    if !nix::unistd::geteuid().is_root() {
        return None;
    }
    let user = nix::unistd::User::from_name("postgres").unwrap().expect("a user `postgres` is needed when run as root");
    Some((user.uid.as_raw(), user.gid.as_raw()))
}

fn program(bin: &Path, name: &str) -> Command {
    let mut command = Command::new(bin.join(name));
    command.current_dir("/");
    if let Some((uid, gid)) = server_user() {
        command.uid(uid).gid(gid);
    }
    command
}
