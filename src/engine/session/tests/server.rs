//! A PostgreSQL server for the tests of this module, with certificates and users of each kind of log-in.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, User, geteuid};
use tempfile::TempDir;

use crate::engine::tests::{free_port, skip};

const HBA: &str = "local all all trust
hostssl all tlsonly all scram-sha-256
hostnossl all plainonly all scram-sha-256
hostssl all certuser all cert
host all scram all scram-sha-256
host all open all trust
";

const ROLES: &str = "CREATE ROLE open LOGIN; CREATE ROLE certuser LOGIN;
CREATE ROLE scram LOGIN PASSWORD 's3c:ret'; CREATE ROLE tlsonly LOGIN PASSWORD 's3c:ret';
CREATE ROLE plainonly LOGIN PASSWORD 's3c:ret'";

pub(super) struct TestServer {
    bin: PathBuf,
    folder: TempDir,
    port: u16,
    certificates: bool,
    child: Child,
}

/// The server that tests share while at least one of them runs.
static SHARED: Mutex<Weak<TestServer>> = Mutex::new(Weak::new());

impl TestServer {
    pub(super) fn shared() -> Option<Arc<TestServer>> {
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(server) = shared.upgrade() {
            return Some(server);
        }
        let server = Arc::new(TestServer::start(signed_by_authority)?);
        *shared = Arc::downgrade(&server);
        Some(server)
    }

    pub(super) fn self_signed() -> Option<TestServer> {
        TestServer::start(signed_by_itself)
    }

    fn start(make_certificates: fn(&Path) -> bool) -> Option<TestServer> {
        let Some(bin) = programs() else {
            skip("PostgreSQL programs");
            return None;
        };
        let base = if Path::new("/dev/shm").is_dir() { "/dev/shm".into() } else { std::env::temp_dir() };
        let folder = TempDir::with_prefix_in("dbbuild-test-", base).expect("a folder");
        own(folder.path());
        let data = folder.path().join("data");
        let options = ["-N", "-A", "trust", "-U", "postgres", "--no-locale", "-E", "UTF8", "--wal-segsize=1", "-D"];
        let made = as_server(&bin.join("initdb")).args(options).arg(&data).output().expect("initdb runs");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let certificates = make_certificates(folder.path());
        if !certificates {
            skip("openssl");
        }
        let port = free_port();
        let mut conf = fs::OpenOptions::new().append(true).open(data.join("postgresql.conf")).expect("postgresql.conf");
        let place = folder.path().display();
        write!(
            conf,
            "port = {port}\nlisten_addresses = 'localhost'\nunix_socket_directories = '{place}'\nfsync = off\n"
        )
        .expect("settings");
        if certificates {
            let files = format!("ssl_cert_file = '{place}/server.crt'\nssl_key_file = '{place}/server.key'\n");
            write!(conf, "ssl = on\n{files}ssl_ca_file = '{place}/ca.crt'\n").expect("settings");
        }
        fs::write(data.join("pg_hba.conf"), HBA).expect("pg_hba.conf");
        let log = fs::File::create(folder.path().join("log")).expect("a log");
        let child = as_server(&bin.join("postgres")).arg("-D").arg(&data).stdout(Stdio::null()).stderr(log).spawn();
        let server = TestServer { bin, port, certificates, child: child.expect("postgres starts"), folder };
        server.wait();
        server.psql(ROLES);
        Some(server)
    }

    fn wait(&self) {
        for _ in 0..3000 {
            let asked = Command::new(self.bin.join("pg_isready"))
                .args(["-q", "-h", &self.folder(), "-p", &self.port.to_string()])
                .status()
                .expect("pg_isready runs");
            if asked.success() {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("the server did not start: {}", fs::read_to_string(self.folder.path().join("log")).unwrap_or_default());
    }

    fn folder(&self) -> String {
        self.folder.path().display().to_string()
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    pub(super) fn socket_url(&self, user: &str, database: &str) -> String {
        format!("host={} port={} user={user} dbname='{database}'", self.folder(), self.port)
    }

    pub(super) fn tcp_url(&self, user: &str, database: &str) -> String {
        format!("postgres://{user}@127.0.0.1:{}/{database}", self.port)
    }

    /// The authority's certificate; other files lie beside it. `None` where none could be made.
    pub(super) fn certificates(&self) -> Option<String> {
        self.certificates.then(|| self.folder.path().join("ca.crt").display().to_string())
    }

    pub(super) fn psql(&self, sql: &str) {
        let run = Command::new(self.bin.join("psql"))
            .args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-h", &self.folder(), "-p", &self.port.to_string()])
            .args(["-U", "postgres", "-d", "postgres", "-c", sql])
            .output()
            .expect("psql runs");
        assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    }

    pub(super) fn pooler(&self, mode: &str) -> Option<Pooler> {
        let folder = self.folder.path();
        let port = free_port();
        let ini = folder.join(format!("{mode}.ini"));
        let place = folder.display();
        let text = format!(
            "[databases]\n* = host={place} port={}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n\
             unix_socket_dir =\nauth_type = any\npool_mode = {mode}\n",
            self.port
        );
        let text = text.replacen("* = host", "postgres = user=postgres host", 1);
        fs::write(&ini, text).expect("the pooler's settings");
        let program = ["/usr/sbin/pgbouncer", "/usr/bin/pgbouncer", "/opt/homebrew/bin/pgbouncer"];
        let Some(program) = program.iter().find(|path| Path::new(path).exists()) else {
            skip("pgbouncer");
            return None;
        };
        let child =
            as_server(Path::new(program)).arg("-q").arg(&ini).stderr(Stdio::null()).stdout(Stdio::null()).spawn();
        let pooler =
            Pooler { url: format!("postgres://open@127.0.0.1:{port}/postgres?sslmode=disable"), child: child.ok()? };
        for _ in 0..3000 {
            if std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return Some(pooler);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("pgbouncer did not start");
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        end(&mut self.child, Signal::SIGQUIT);
    }
}

pub(super) struct Pooler {
    pub(super) url: String,
    child: Child,
}

impl Drop for Pooler {
    fn drop(&mut self) {
        end(&mut self.child, Signal::SIGKILL);
    }
}

fn end(child: &mut Child, signal: Signal) {
    if let Ok(pid) = i32::try_from(child.id()) {
        let _ = kill(Pid::from_raw(pid), signal);
    }
    let _ = child.wait();
}

/// Debian's folders come first: in `PATH` the programs may be only some of those that are needed.
fn programs() -> Option<PathBuf> {
    let debian = (10..30).rev().map(|major| PathBuf::from(format!("/usr/lib/postgresql/{major}/bin")));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders = debian.chain(std::env::split_paths(&path));
    let needed = ["initdb", "postgres", "psql", "pg_isready"];
    folders.find(|folder| needed.iter().all(|program| folder.join(program).exists()))
}

/// The account that runs the server where the tests run as root, whom PostgreSQL refuses.
fn account() -> Option<User> {
    geteuid().is_root().then(|| User::from_name("postgres").ok().flatten().expect("an account `postgres`"))
}

fn as_server(program: &Path) -> Command {
    let mut command = Command::new(program);
    if let Some(account) = account() {
        command.uid(account.uid.as_raw()).gid(account.gid.as_raw());
    }
    command.current_dir("/").env("LC_ALL", "C").stdin(Stdio::null());
    command
}

fn own(path: &Path) {
    if let Some(account) = account() {
        chown(path, Some(account.uid.as_raw()), Some(account.gid.as_raw())).expect("the server owns its files");
    }
}

fn openssl(folder: &Path, arguments: &str) -> bool {
    let run = Command::new("openssl").current_dir(folder).args(arguments.split(' ')).output();
    run.is_ok_and(|run| run.status.success())
}

const KEY: &str = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2";

fn signed_by_authority(folder: &Path) -> bool {
    fs::write(folder.join("names"), "subjectAltName=DNS:localhost\n").expect("a file");
    fs::write(folder.join("client.names"), "keyUsage=digitalSignature\n").expect("a file");
    let request = "req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
    let sign = "x509 -req -days 2 -CA ca.crt -CAkey ca.key -CAcreateserial";
    openssl(folder, &format!("req -x509 {KEY} -subj /CN=authority -keyout ca.key -out ca.crt"))
        && openssl(folder, &format!("req -x509 {KEY} -subj /CN=other -keyout other.key -out other.crt"))
        && openssl(folder, &format!("{request} -subj /CN=server -keyout server.key -out server.csr"))
        && openssl(folder, &format!("{sign} -extfile names -in server.csr -out server.crt"))
        && openssl(folder, &format!("{request} -subj /CN=certuser -keyout client.key -out client.csr"))
        && openssl(folder, &format!("{sign} -extfile client.names -in client.csr -out client.crt"))
        && protect(folder)
}

fn signed_by_itself(folder: &Path) -> bool {
    openssl(folder, &format!("req -x509 {KEY} -subj /CN=localhost -keyout server.key -out server.crt"))
        && fs::copy(folder.join("server.crt"), folder.join("ca.crt")).is_ok()
        && protect(folder)
}

fn protect(folder: &Path) -> bool {
    for key in ["server.key", "client.key"].map(|name| folder.join(name)).iter().filter(|key| key.exists()) {
        fs::set_permissions(key, fs::Permissions::from_mode(0o600)).expect("permissions");
    }
    own(&folder.join("server.key"));
    true
}
