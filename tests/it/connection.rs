//! Servers that cannot be reached, are not what they should be, or stand behind something: a clear refusal that changes
//! nothing and never shows a password.

use std::fs;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use crate::support::{Outcome, Server, World, as_server_user, free_port, server, skip};

const CONFIG: &str = "[postgres]\nversion = 15\nthrowaway = \"local\"\ndatabase = \"shop\"\n\
    [env.development]\nurl_env = \"DEVELOPMENT_URL\"\n";

fn world() -> World {
    let world = World::without_git();
    world
        .write("dbbuild.toml", CONFIG)
        .write("db/migrations/1_item.sql", "CREATE TABLE IF NOT EXISTS item (id int);\n");
    world
}

#[track_caller]
fn refused(world: &World, url: &str, says: &[&str]) -> Outcome {
    let outcome = world.dbbuild(&["apply", "--url", url]);
    outcome.fails(1).says("error: ").says("help: ");
    says.iter().for_each(|text| _ = outcome.says(text));
    outcome
}

#[test]
fn no_password_is_ever_shown() {
    let Some(server) = server(15) else { return };
    let db = server.fresh_database();
    let port = free_port();
    let down = format!("postgresql://shop:g%65heim@127.0.0.1:{port}/shop");
    let mut world = world();
    world.write("db/migrations/2_bad.sql", "SELECT nofn();");
    let up = db.url.replace("postgres@", "postgres:geheim@");
    let mut urls = vec![up, down, format!("host=127.0.0.1 port={port} user=shop password=geheim dbname=shop")];
    // Addresses that cannot be read at all must not be echoed.
    urls.extend(
        [
            "postgresql://shop:geheim@127.0.0.1:port/shop",
            "postgresql://shop:geheim@[::1/shop",
            "postgresql://shop:geheim@127.0.0.1/shop?nonesuch=1",
            "postgresql://shop:geh%zzeim@127.0.0.1/shop",
            "postgresql:/shop:geheim@127.0.0.1/shop",
            "mysql://shop:geheim@127.0.0.1/shop",
            "host=127.0.0.1 port=x password=geheim",
            "host=127.0.0.1 password='geheim",
            "host=127.0.0.1 passwort=geheim",
            "shop:geheim@127.0.0.1",
        ]
        .map(str::to_owned),
    );
    for (n, url) in urls.iter().enumerate() {
        world.set("DEVELOPMENT_URL", url.as_str());
        let all = [
            // This one gives the address on its command line, which is the caller's own.
            &["apply", "--verbose", "--url", url][..],
            &["plan", "--json"],
            &["status", "--verbose"],
            &["env", "show"],
            &["doctor", "--verbose"],
            &["build", "--no-baseline"],
            &["psql", "--", "-c", "SELECT 1"],
        ];
        let some = if n < 2 { all.len() } else { 2 };
        for arguments in &all[..some] {
            let outcome = world.dbbuild(arguments);
            let printed = format!("{}{}", outcome.stdout, outcome.stderr);
            for secret in ["geheim", "g%65heim", "geh%zzeim"] {
                assert!(!printed.contains(secret), "{url}\n{}", outcome.show());
            }
        }
    }
    let kept = db.pg_dump();
    assert!(kept.contains("item") && !kept.contains("geheim"), "it was applied, and the database holds no password");
}

#[test]
fn a_server_that_is_down_is_named() {
    let world = world();
    let port = free_port();
    let name = format!("127.0.0.1:{port}");
    refused(
        &world,
        &format!("postgresql://u@{name}/shop"),
        &["cannot connect to `shop` on ", &name, "Connection refused"],
    )
    .says("no server listens there");
    refused(&world, "postgresql://u@/shop?host=/nonexistent", &["cannot connect to `shop` on /nonexistent"]);
    for command in ["plan", "status", "build", "bootstrap", "reset", "drop"] {
        world
            .dbbuild(&[command, "--url", &format!("postgresql://u@{name}/shop")])
            .fails(1)
            .says("no server listens there");
    }
    let Some(server) = server(15) else { return };
    refused(&world, &server.url("nonesuch"), &["database `nonesuch` on ", "does not exist"]);
    let url = server.url("postgres").replace("postgres@", "nonesuch@");
    refused(&world, &url, &["as `nonesuch`", "role \"nonesuch\" does not exist"]);
}

#[test]
fn a_server_of_another_version_is_refused() {
    let world = world();
    for major in 16..=18 {
        let Some(server) = server(major) else { continue };
        let db = server.fresh_database();
        let says = format!("runs PostgreSQL {major}, but 15 is pinned");
        for command in ["apply", "build", "bootstrap"] {
            let outcome = world.dbbuild(&[command, "--url", &db.url]);
            outcome
                .fails(1)
                .says(&says)
                .says(&format!("install PostgreSQL 15 there, or set `postgres.version = {major}`"));
        }
        assert_eq!(db.psql("SELECT count(*) FROM pg_class WHERE oid >= 16384"), "0");
    }
}

#[test]
fn read_only_servers_and_replicas_are_looked_at_only() {
    let Some(primary) = Server::private(15, &[]) else { return };
    let world = world();
    let db = primary.fresh_database();
    world.dbbuild(&["apply", "--url", &db.url]).ok();
    let standby = primary.standby();
    let url = standby.url(&db.name);
    world.write("db/migrations/2_more.sql", "CREATE TABLE more ();");
    refused(&world, &url, &["is a replica", "give the address of the primary server; nothing was changed"]);
    world.dbbuild(&["status", "--url", &url]).ok().says("2_more").says("1 applied, 1 pending");
    world.dbbuild(&["plan", "--url", &url]).ok().says("db/migrations/2_more.sql");
    world.dbbuild(&["env", "show", "--url", &url]).ok().says("marked development");

    let sql = format!("ALTER DATABASE {} SET default_transaction_read_only = on", db.name);
    primary.run("psql", &["-Xqd", "postgres", "-c", &sql]).ok();
    refused(&world, &db.url, &["is read-only", "default_transaction_read_only is on", "nothing was changed"]);
    world.dbbuild(&["plan", "--url", &db.url]).ok().says("db/migrations/2_more.sql");
    assert_eq!(db.psql("SELECT count(*) FROM dbbuild.migration"), "1");
}

#[test]
fn too_few_connections_are_an_error_and_no_hang() {
    let Some(server) = server(15) else { return };
    let db = server.fresh_database();
    let world = world();
    let role = format!("limited_{}", db.name);
    db.psql(&format!("CREATE ROLE {role} LOGIN CONNECTION LIMIT 0; GRANT ALL ON SCHEMA public TO {role}"));
    db.psql(&format!("GRANT CREATE ON DATABASE {} TO {role}", db.name));
    let url = db.url.replace("postgres@", &format!("{role}@"));
    for limit in 0..=1 {
        db.psql(&format!("ALTER ROLE {role} CONNECTION LIMIT {limit}"));
        refused(&world, &url, &["too many connections for role", "(53300)", "all connections are taken"]);
        assert_eq!(db.psql("SELECT count(*) FROM pg_class WHERE relname = 'item'"), "0");
    }
    db.psql(&format!("ALTER ROLE {role} CONNECTION LIMIT -1"));
    world.dbbuild(&["apply", "--url", &url]).ok();
    db.psql(&format!("DROP OWNED BY {role}; DROP ROLE {role}"));
}

/// A running PgBouncer, ended with the value.
struct Bouncer {
    port: u16,
    child: Child,
}

impl Bouncer {
    /// `None` where there is no PgBouncer on this machine.
    fn start(server: &Server, mode: &str) -> Option<Bouncer> {
        let program = ["/usr/sbin/pgbouncer", "/usr/bin/pgbouncer", "/opt/homebrew/bin/pgbouncer"];
        let Some(program) = program.into_iter().map(std::path::Path::new).find(|path| path.is_file()) else {
            skip("PgBouncer (Debian: apt-get install pgbouncer)");
            return None;
        };
        let port = free_port();
        let dir = tempfile::Builder::new().prefix("bouncer-").tempdir_in(&server.dir).unwrap().keep();
        let users = dir.join("users");
        let file = dir.join("pgbouncer.ini");
        fs::write(&users, "\"postgres\" \"\"\n").unwrap();
        let text = format!(
            "[databases]\n* = host={} port={}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n\
             unix_socket_dir =\nauth_type = trust\nauth_file = {}\npool_mode = {mode}\n",
            server.dir.display(),
            server.port,
            users.display()
        );
        fs::write(&file, text).unwrap();
        let open = |path: &std::path::Path| {
            use std::os::unix::fs::PermissionsExt;
            fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
        };
        [&*dir, &*users, &*file].into_iter().for_each(open);
        let mut command: Command = as_server_user(program);
        let child = command.arg("-q").arg(&file).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let bouncer = Bouncer { port, child };
        for _ in 0..3000 {
            if std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return Some(bouncer);
            }
            thread::sleep(Duration::from_millis(20));
        }
        panic!("PgBouncer does not start");
    }
}

impl Drop for Bouncer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_transaction_pooler_is_refused_and_a_session_pooler_is_not() {
    let Some(server) = server(15) else { return };
    let db = server.fresh_database();
    let world = world();
    for mode in ["transaction", "statement"] {
        let Some(bouncer) = Bouncer::start(server, mode) else { return };
        let url = format!("postgresql://postgres@127.0.0.1:{}/{}", bouncer.port, db.name);
        for command in ["apply", "build", "plan", "status"] {
            let outcome = world.dbbuild(&[command, "--url", &url]);
            outcome.fails(1).says("pooler").says("help: connect to PostgreSQL directly");
        }
        assert_eq!(db.psql("SELECT count(*) FROM pg_namespace WHERE nspname = 'dbbuild'"), "0");
    }
    let Some(bouncer) = Bouncer::start(server, "session") else { return };
    let url = format!("postgresql://postgres@127.0.0.1:{}/{}", bouncer.port, db.name);
    world.dbbuild(&["apply", "--url", &url]).ok();
    assert_eq!(db.psql("SELECT count(*) FROM item"), "0");
}
