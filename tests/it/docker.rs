//! Throwaway and embedded servers in Docker: the same baseline as from local programs, nothing published beyond the
//! loopback, nothing left behind, and clear words where the engine or the image is missing.

use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::support::{World, docker, run};

/// A small history that touches what differs between servers: roles, extensions, grants, rows, non-ASCII text.
pub fn world(postgres: &str) -> World {
    let world = World::new();
    configure(&world, postgres);
    world.write(
        "db/migrations/0001_first.sql",
        "DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'reader') THEN CREATE ROLE reader; END IF; END $$;\n\
         CREATE EXTENSION IF NOT EXISTS citext;\n\
         CREATE TABLE IF NOT EXISTS shop (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, mail citext NOT NULL UNIQUE);\n\
         COMMENT ON TABLE shop IS 'Läden — shops';\n\
         GRANT SELECT ON shop TO reader;\n",
    );
    world.write(
        "db/migrations/0002_second.sql",
        "CREATE TABLE IF NOT EXISTS sale (shop_id bigint REFERENCES shop, at timestamptz DEFAULT '2024-01-01 12:00', cost money);\n\
         CREATE OR REPLACE VIEW sales AS SELECT shop_id, count(*) AS n FROM sale GROUP BY 1;\n",
    );
    world.write("db/init/10_shop.sql", "INSERT INTO shop (mail) VALUES ('a@example.com') ON CONFLICT DO NOTHING;\n");
    world
}

fn configure(world: &World, postgres: &str) {
    let text = format!(
        "[postgres]\nversion = 15\ndatabase = \"shop\"\n{postgres}\n[env.development]\ntestdata = [\"default\"]\n"
    );
    world.write("dbbuild.toml", text);
}

pub const DOCKER: &str = "throwaway = \"docker\"\nimage = \"postgres:15\"";
const LOCAL: &str = "throwaway = \"local\"";

/// What the engine says, asked by the machine's own client.
pub fn ask(arguments: &[&str]) -> String {
    run(Command::new("docker").args(arguments)).ok().stdout.trim().to_owned()
}

/// The throwaway containers of one dbbuild process.
fn containers_of(pid: u32) -> Vec<String> {
    let format = "{{.ID}} {{.Label \"dbbuild.owner\"}}";
    let all = ask(&["ps", "--all", "--no-trunc", "--filter", "label=dbbuild.throwaway=1", "--format", format]);
    let owned = |line: &str| {
        let (id, owner) = line.split_once(' ')?;
        owner.starts_with(&format!("{pid}:")).then(|| id.to_owned())
    };
    all.lines().filter_map(owned).collect()
}

/// A proof that uses nothing that was kept.
const WHOLE: [&str; 3] = ["verify", "--worktree", "--full"];

/// Such a proof whose migration sleeps; ended with the value, if it still runs.
struct Sleeper {
    world: World,
    child: Child,
}

impl Sleeper {
    /// Starts it and waits until a container of its own runs the migration; gives the containers of it as well.
    fn start() -> (Sleeper, Vec<String>) {
        let world = world(DOCKER);
        world.dbbuild(&["baseline"]).ok();
        world.write("db/migrations/0003_sleep.sql", "SELECT pg_sleep(60);\n");
        let mut command = world.command(env!("CARGO_BIN_EXE_dbbuild"));
        command.args(WHOLE).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let sleeper = Sleeper { child: command.spawn().unwrap(), world };
        let start = Instant::now();
        loop {
            // The one that loads the baseline beside it is soon gone.
            let found = containers_of(sleeper.child.id());
            if found.len() == 1 && found.iter().all(|id| sleeps(id)) {
                return (sleeper, found);
            }
            assert!(start.elapsed() < Duration::from_secs(120), "no container sleeps");
            thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn sleeps(container: &str) -> bool {
    let asleep = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'";
    let psql = ["exec", container, "psql", "-XAtqU", "postgres", "-c", asleep];
    run(Command::new("docker").args(psql)).stdout.trim() == "1"
}

fn kill(child: &Child, signal: &str) {
    run(Command::new("kill").args([signal, &child.id().to_string()])).ok();
}

#[test]
fn docker_and_local_programs_make_the_same_baseline() {
    if !docker() {
        return;
    }
    let world = world(DOCKER);
    world.dbbuild(&["baseline"]).ok();
    world.dbbuild(&["verify", "--worktree", "--full"]).ok();
    let from_docker = world.read("db/baseline.sql");
    configure(&world, LOCAL);
    world.dbbuild(&["verify", "--worktree", "--full"]).ok();
    world.dbbuild(&["baseline"]).ok();
    assert_eq!(world.read("db/baseline.sql"), from_docker);
}

#[test]
fn a_container_is_on_loopback_only_and_gone_after_an_interrupt() {
    if !docker() {
        return;
    }
    let (mut sleeper, containers) = Sleeper::start();
    for id in &containers {
        let hosts =
            ask(&["inspect", id, "--format", "{{range .NetworkSettings.Ports}}{{range .}}{{.HostIp}} {{end}}{{end}}"]);
        assert_eq!(hosts, "127.0.0.1");
        let mounts = ask(&["inspect", id, "--format", "{{.HostConfig.Tmpfs}}"]);
        assert!(mounts.contains("/dbbuild"), "{mounts}");
    }
    kill(&sleeper.child, "-INT");
    assert_eq!(sleeper.child.wait().unwrap().code(), Some(1));
    assert_eq!(containers_of(sleeper.child.id()), [""; 0]);
}

#[test]
fn a_container_whose_dbbuild_was_killed_goes_with_the_next_run() {
    if !docker() {
        return;
    }
    let (mut sleeper, containers) = Sleeper::start();
    kill(&sleeper.child, "-KILL");
    sleeper.child.wait().unwrap();
    assert_eq!(containers_of(sleeper.child.id()), containers);
    sleeper.world.write("db/migrations/0003_sleep.sql", "SELECT 1;\n");
    sleeper.world.dbbuild(&WHOLE).fails(3);
    assert_eq!(containers_of(sleeper.child.id()), [""; 0]);
}

#[test]
fn an_interrupt_while_containers_start_leaves_none() {
    if !docker() {
        return;
    }
    for pause in [60, 150, 300] {
        let world = world(DOCKER);
        world.dbbuild(&["baseline"]).ok();
        let mut command = world.command(env!("CARGO_BIN_EXE_dbbuild"));
        command.args(WHOLE).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        thread::sleep(Duration::from_millis(pause));
        kill(&child, "-INT");
        child.wait().unwrap();
        assert_eq!(containers_of(child.id()), [""; 0], "after {pause} ms");
    }
}

#[test]
fn a_failing_migration_leaves_no_container() {
    if !docker() {
        return;
    }
    let world = world(DOCKER);
    world.dbbuild(&["baseline"]).ok();
    world.write("db/migrations/0003_broken.sql", "SELECT 1;\nSELECT broken;\n");
    let mut command = world.command(env!("CARGO_BIN_EXE_dbbuild"));
    let mut child = command.args(WHOLE).stdin(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(1));
    assert_eq!(containers_of(child.id()), [""; 0]);
}

#[test]
fn an_engine_that_does_not_answer_is_named_and_auto_takes_local_programs() {
    if crate::support::server(15).is_none() {
        return;
    }
    let mut world = world(LOCAL);
    world.dbbuild(&["baseline"]).ok();
    let socket = world.path("../tmp/docker.sock");
    drop(std::os::unix::net::UnixListener::bind(&socket).unwrap());
    world.set("DOCKER_HOST", format!("unix://{}", socket.display()));
    let verify = ["verify", "--worktree", "--full"];
    configure(&world, DOCKER);
    world.dbbuild(&verify).fails(1).says("docker.sock is not running").says("help: start it");
    configure(&world, &DOCKER.replace("docker", "auto"));
    world.dbbuild(&verify).ok().says("note: throwaway servers run from the local programs of PostgreSQL 15");
    std::fs::remove_file(&socket).unwrap();
    world.dbbuild(&verify).ok().says("found no Docker engine: there is no socket");
    world.set("DOCKER_HOST", "tcp://engine.example.com:2376");
    world.dbbuild(&verify).ok().says("is not on this machine");
    let nowhere = world.path("nowhere");
    configure(&world, &format!("throwaway = \"auto\"\nimage = \"postgres:15\"\nbin_dir = \"{}\"", nowhere.display()));
    world.dbbuild(&verify).fails(1).says("is not on this machine").says(nowhere.to_str().unwrap());
}

#[test]
fn a_missing_image_is_named_and_auto_takes_local_programs() {
    if !docker() {
        return;
    }
    // Nothing listens there, so that the pull is refused at once and no registry is asked.
    let missing = "image = \"127.0.0.1:9/no-such-image:15\"";
    let world = world(LOCAL);
    world.dbbuild(&["baseline"]).ok();
    let verify = ["verify", "--worktree", "--full"];
    configure(&world, &format!("throwaway = \"docker\"\n{missing}"));
    let help = "help: run `docker pull 127.0.0.1:9/no-such-image:15`";
    world.dbbuild(&verify).fails(1).says("cannot start a container of 127.0.0.1:9/no-such-image:15").says(help);
    configure(&world, &format!("throwaway = \"auto\"\n{missing}"));
    world.dbbuild(&verify).ok().says("the image 127.0.0.1:9/no-such-image:15 is not on this machine");
}

/// Removes the embedded server of a world, however its test ends.
struct Embedded {
    world: World,
    label: String,
}

impl Embedded {
    fn of(world: World) -> Embedded {
        let repository = world.path("").canonicalize().unwrap();
        Embedded { label: format!("label=dbbuild.repository={}", repository.display()), world }
    }

    fn container(&self) -> String {
        ask(&["ps", "--all", "--quiet", "--filter", &self.label])
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        for id in self.container().lines() {
            let volume = ask(&["inspect", id, "--format", "{{.Name}}"]);
            ask(&["rm", "--force", "--volumes", id]);
            ask(&["volume", "rm", "--force", volume.trim_start_matches('/')]);
        }
    }
}

#[test]
fn without_local_programs_the_embedded_server_runs_in_docker() {
    if !docker() {
        return;
    }
    let mut server = Embedded::of(world(""));
    let world = &mut server.world;
    // Not the state of the whole run: `prune` is to find this server alone.
    world.set("DBBUILD_STATE_DIR", world.home().join("state").to_str().unwrap());
    let nowhere = world.path("nowhere");
    configure(world, &format!("image = \"postgres:15\"\nbin_dir = \"{}\"", nowhere.display()));
    world.dbbuild(&[]).ok().says("on the embedded server");
    world.dbbuild(&[]).ok().says("nothing to do");
    let url = world.dbbuild(&["server", "url"]).ok().stdout.trim().to_owned();
    assert!(url.contains("@127.0.0.1:"), "{url}");
    world.dbbuild(&["server", "status"]).ok().says("runs at").says("volume dbbuild-");
    world.dbbuild(&["server", "stop"]).ok().says("stopped");
    world.dbbuild(&["server", "url"]).fails(1);
    world.dbbuild(&["server", "start"]).ok();
    world.dbbuild(&["status"]).ok();
    world.dbbuild(&["verify", "--worktree"]).ok();
    world.dbbuild(&["server", "prune"]).ok();
    world.dbbuild(&["server", "status"]).ok().says("runs at");

    let (world, container) = (&server.world, server.container());
    let hosts = "{{range .NetworkSettings.Ports}}{{range .}}{{.HostIp}} {{end}}{{end}}";
    assert_eq!(ask(&["inspect", &container, "--format", hosts]), "127.0.0.1");
    let elsewhere = world.home().join("moved");
    std::fs::rename(world.path(""), &elsewhere).unwrap();
    let mut prune = Command::new(env!("CARGO_BIN_EXE_dbbuild"));
    prune.args(["server", "prune"]).env("DBBUILD_STATE_DIR", world.home().join("state"));
    run(&mut prune).ok().says("removed");
    assert_eq!(server.container(), "");
    std::fs::rename(&elsewhere, world.path("")).unwrap();
}
