//! The harness itself: that worlds are hermetic, that servers and databases come and go, that failures show what
//! happened.

use std::process::Command;

use crate::support::{Server, World, docker, histories, matrix, redact, run, server, skip};

#[test]
fn a_world_has_its_own_home_repository_and_clock() {
    let mut world = World::new();
    world.write("a/b.txt", "one\n").commit("first").ok();
    world.commit("second").ok();
    assert_eq!(world.read("a/b.txt"), "one\n");
    let log = world.git(&["log", "--format=%s %an %at"]);
    assert_eq!(log.stdout, "second Ada Example 1704106920\nfirst Ada Example 1704106860\n");

    world.set("DATABASE_URL", "postgresql://nowhere");
    let environment = world.run(&mut world.command("env"));
    environment.ok().says("DATABASE_URL=postgresql://nowhere").says(world.home().to_str().unwrap());
    environment.says_not("CARGO_MANIFEST_DIR").says_not("PGHOST");
    World::without_git().git(&["status"]).fails(128).says("not a git repository");
}

#[test]
fn the_program_under_test_runs() {
    World::new().dbbuild(&["--version"]).ok();
}

#[test]
fn every_version_runs_sql_and_dumps() {
    matrix(|server| {
        let (one, two) = (server.fresh_database(), server.fresh_database());
        let number = one.psql("SHOW server_version_num");
        assert_eq!(number[..2], server.major.to_string());
        one.psql("CREATE TABLE t (a int); INSERT INTO t VALUES (1), (2)");
        assert_eq!(one.psql("SELECT a, a + 1 FROM t ORDER BY a"), "1|2\n2|3");
        two.try_psql("SELECT * FROM t").fails(1).says("relation \"t\" does not exist");

        let world = World::new();
        world.write("dump.sql", one.pg_dump());
        two.psql_file(&world.path("dump.sql")).ok();
        assert_eq!(one.pg_dump(), two.pg_dump());
        server.run("psql", &["-XAtqc", "SELECT 1", &server.tcp_url(&two.name)]).ok().says("1");
        server.run("psql", &["-XAtqc", "SELECT current_database()", &one.url]).ok().says(&one.name);
    });
}

#[test]
fn a_private_server_is_gone_with_its_value() {
    let Some(server) = Server::private(15, &["max_connections=7"]) else { return };
    assert_eq!(server.fresh_database().psql("SHOW max_connections"), "7");
    let dir = server.dir.clone();
    drop(server);
    assert!(!dir.exists());
}

#[test]
fn databases_of_the_shared_server_have_names_of_their_own() {
    let Some(server) = server(15) else { return };
    let (one, two) = (server.fresh_database(), server.fresh_database());
    assert_ne!(one.name, two.name);
    let name = one.name.clone();
    drop(one);
    let left = format!("SELECT count(*) FROM pg_database WHERE datname = '{name}'");
    assert_eq!(two.psql(&left), "0");
}

#[test]
fn skipping_is_seen_and_can_be_forbidden() {
    // In a process of its own, because the variables that decide are the process's.
    let log = tempfile::NamedTempFile::new().unwrap();
    let this = || {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "harness::a_case_that_skips", "--nocapture"]);
        command.env("DBBUILD_TEST_SKIP_CASE", "1").env("DBBUILD_SKIP_LOG", log.path()).env_remove("DBBUILD_NO_SKIP");
        command
    };
    run(&mut this()).ok().says("skipped: a unicorn");
    assert_eq!(std::fs::read_to_string(log.path()).unwrap(), "harness::a_case_that_skips\ta unicorn\n");
    run(this().env("DBBUILD_NO_SKIP", "1")).fails(101).says("forbids");
}

#[test]
fn a_case_that_skips() {
    if std::env::var_os("DBBUILD_TEST_SKIP_CASE").is_some() {
        skip("a unicorn");
    }
}

#[test]
fn docker_answers_where_it_is_said_to() {
    if docker() {
        run(Command::new("docker").arg("info")).ok();
    }
}

#[test]
fn histories_hold_migrations() {
    let Some(folder) = histories() else { return };
    for history in std::fs::read_dir(folder).unwrap() {
        let up = history.unwrap().path().join("up");
        assert!(std::fs::read_dir(&up).unwrap().count() > 100, "{}", up.display());
    }
}

#[test]
fn snapshots_hold_nothing_of_this_run() {
    let places = [("/tmp/x".to_owned(), "[REPO]")];
    let text =
        "/tmp/x/db 1.25 s, 3 ms (12 migrations) at 2024-01-02 10:11:12.5 UTC, 127.0.0.1:54321, pid 77, v15.2, 5 sheep";
    let redacted = redact(text, &places);
    assert_eq!(
        redacted,
        "[REPO]/db [DURATION], [DURATION] (12 migrations) at [TIME] UTC, 127.0.0.1:[PORT], pid [PID], v15.2, 5 sheep"
    );
    assert_eq!(redact("20240101120000_add took 15ms", &[]), "20240101120000_add took [DURATION]");

    let world = World::new();
    let outcome = world.run(world.command("sh").args(["-c", "pwd; echo gone wrong >&2; exit 3"]));
    assert_eq!(outcome.fails(3).snapshot(), "exit status 3\n--- stdout\n[REPO]\n--- stderr\ngone wrong\n");
    assert!(outcome.show().contains("gone wrong"));
}
