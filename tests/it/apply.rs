//! `dbbuild apply` on deployed databases: waiting for a server, a version to stop at, events for a pipeline, times and locks,
//! what a protected environment refuses, and what the record says.

use std::collections::BTreeSet;
use std::thread;
use std::time::{Duration, Instant};

use crate::support::{Db, Held, Server, World, free_port, server};
use serde_json::Value;

const ONE: &str = "CREATE TABLE a (id int PRIMARY KEY);\n";
const TWO: &str = "ALTER TABLE a ADD COLUMN note text;\nCREATE TABLE b (id int REFERENCES a);\n";
const THREE: &str = "ALTER TABLE a ADD COLUMN more text;\n";

/// A committed repository with a protected environment.
fn world(url: &str) -> World {
    let mut world = World::new();
    world.set("PRODUCTION_URL", url);
    world.write(
        "dbbuild.toml",
        "[postgres]\nversion = 15\n[env.development]\n[env.production]\nurl_env = \"PRODUCTION_URL\"\nprotected = true\n",
    );
    world.write("db/migrations/1_one.sql", ONE);
    world.commit("One").ok();
    world
}

fn apply<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [&["apply", "--env", "production"], more].concat()
}

/// The lines of `--events`, each with the very keys that README.md gives it.
pub fn events(stdout: &str) -> Vec<Value> {
    let lines = stdout.lines();
    let all: Vec<Value> =
        lines.map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"))).collect();
    let (last, others) = all.split_last().unwrap();
    assert!(last["event"] == "done" || last["event"] == "error", "{last}");
    for event in &all {
        let name = event["event"].as_str().unwrap();
        let mut keys: BTreeSet<&str> = event.as_object().unwrap().keys().map(String::as_str).collect();
        let mut documented = documented(name);
        assert!(keys.remove("event") && keys.remove("at") && event["at"].as_str().unwrap().ends_with('Z'), "{event}");
        if name != "done" && name != "error" {
            documented.extend(["environment", "database"]);
            let many = others[0].get("target").is_some();
            assert_eq!(keys.remove("target"), many, "{event}");
        }
        if name == "end" && event["status"] != "failed" {
            documented.remove("error");
        }
        assert_eq!(keys, documented, "{event}");
    }
    all
}

/// The keys of an event by the table in README.md.
fn documented(event: &str) -> BTreeSet<&'static str> {
    let head = format!("| `{event}` | ");
    let row = include_str!("../../README.md").lines().find_map(|line| line.strip_prefix(&head));
    let (keys, _) = row.unwrap_or_else(|| panic!("README.md lacks the event {event}")).split_once(" |").unwrap();
    keys.split(", ").filter(|key| *key != "–").map(|key| key.trim_end_matches('?').trim_matches('`')).collect()
}

fn named<'a>(events: &'a [Value], name: &str) -> Vec<&'a Value> {
    events.iter().filter(|event| event["event"] == name).collect()
}

fn head(world: &World) -> String {
    world.git(&["rev-parse", "HEAD"]).ok().stdout.trim().to_owned()
}

#[test]
fn it_waits_for_a_server_that_is_starting() {
    let Some(running) = server(15) else { return };
    let db = running.fresh_database();
    // Nobody listens there until a forwarder to the real server starts.
    let port = free_port();
    let world = world(&format!("postgresql://postgres@127.0.0.1:{port}/{}?sslmode=disable", db.name));
    world.dbbuild(&apply(&[])).fails(1).says("Connection refused");
    let began = Instant::now();
    let tired = world.dbbuild(&apply(&["--wait=1s"]));
    tired
        .fails(1)
        .says("did not answer within 1 s")
        .says("Connection refused")
        .says("waits for")
        .says("--wait=DURATION");
    assert!(began.elapsed() >= Duration::from_secs(1) && began.elapsed() < Duration::from_secs(45));
    assert!(db.psql("SELECT to_regclass('dbbuild.migration')").is_empty());
    let mut waiting = world.start(&apply(&["--wait=2min", "--events"]));
    waiting.until_says("\"event\":\"waiting\"");
    let _forwarder = forward(port, running);
    let outcome = waiting.wait();
    outcome.ok();
    let events = events(&outcome.stdout);
    assert!(named(&events, "waiting")[0]["for"].as_str().unwrap().contains("Connection refused"), "{events:?}");
    assert_eq!(db.psql("SELECT count(*) FROM dbbuild.migration"), "1");
}

#[test]
fn it_does_not_wait_for_what_time_does_not_mend() {
    let Some(running) = server(15) else { return };
    let missing = format!("postgresql://postgres@127.0.0.1:{}/it_is_not_there", running.port);
    let began = Instant::now();
    world(&missing).dbbuild(&apply(&["--wait=1min"])).fails(1).says("does not exist").says_not("waits for");
    assert!(began.elapsed() < Duration::from_secs(50));
    world(&missing).dbbuild(&apply(&["--wait=soon"])).fails(2).says("not a duration");
}

/// Listens on a port and leads each connection to the server, until the test ends.
pub fn forward(port: u16, server: &Server) -> thread::JoinHandle<()> {
    let (listener, to) = (std::net::TcpListener::bind(("127.0.0.1", port)).unwrap(), server.port);
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let up = std::net::TcpStream::connect(("127.0.0.1", to)).unwrap();
            let (mut from, mut into) = (client.try_clone().unwrap(), up.try_clone().unwrap());
            thread::spawn(move || std::io::copy(&mut from, &mut into));
            let (mut from, mut into) = (up, client);
            thread::spawn(move || {
                let _ = std::io::copy(&mut from, &mut into);
                let _ = into.shutdown(std::net::Shutdown::Both);
            });
        }
    })
}

#[test]
fn a_version_to_stop_at() {
    let Some(server) = server(15) else { return };
    let db = server.fresh_database();
    let world = world(&db.url);
    world.write("db/migrations/2_two.sql", TWO).write("db/migrations/3_three.sql", THREE);
    world.write("db/repeatable/v.sql", "CREATE OR REPLACE VIEW v AS SELECT more FROM a;\n");
    world.write("db/init/a.sql", "INSERT INTO a (id, more) VALUES (1, 'x') ON CONFLICT DO NOTHING;\n");
    world.write("db/checks/more.sql", "SELECT more FROM a WHERE more = 'bad';\n");
    world.commit("All").ok();
    let to_two = world.dbbuild(&apply(&["--to", "2"]));
    to_two.ok().says("now has 2 migrations").says("up to 2 only: 1 newer migration stays out").says_not("check passed");
    let names = "SELECT string_agg(version, ',' ORDER BY position) || ' ' || (SELECT count(*) FROM dbbuild.file) \
                 FROM dbbuild.migration";
    assert_eq!(db.psql(names), "1,2 0");
    world.dbbuild(&apply(&["--to", "2"])).ok().says("is up to date: 2 migrations");
    world.dbbuild(&apply(&["--to", "1"])).fails(1).says("2_two is applied already").says("downgrade --to 1");
    world.dbbuild(&apply(&["--to", "7"])).fails(2).says("no migration here has the version 7").says("newest is 3");
    world.dbbuild(&apply(&["--to", "3"])).ok().says("now has 3 migrations").says("1 check passed");
    assert_eq!(db.psql(names), "1,2,3 2");
}

#[test]
fn events_are_lines_as_they_happen() {
    let Some(server) = server(15) else { return };
    let db = server.fresh_database();
    let world = world(&db.url);
    world.write("db/migrations/2_two.sql", TWO);
    world.write("db/init/b.sql", "COPY a (id) FROM stdin;\n7\n\\.\n");
    world.write("db/checks/a.sql", "SELECT id FROM a WHERE id < 0;\n");
    world.commit("All").ok();
    let outcome = world.dbbuild(&apply(&["--events"]));
    let all = events(&outcome.ok().stdout);
    let names: Vec<&str> = all.iter().map(|event| event["event"].as_str().unwrap()).collect();
    assert_eq!(names[0], "begin");
    assert_eq!(names[names.len() - 2..], ["end", "done"]);
    assert!(all[..all.len() - 1].iter().all(|event| event["environment"] == "production"), "{all:?}");
    assert_eq!(named(&all, "planned")[0]["migrations"], 2);
    assert_eq!(named(&all, "migration_started").len(), 2);
    let finished = named(&all, "migration_finished");
    assert_eq!(finished[1]["path"], "db/migrations/2_two.sql");
    assert!(finished.iter().all(|event| event["seconds"].as_f64().unwrap() > 0.0), "{finished:?}");
    assert_eq!(named(&all, "copied")[0]["bytes"], 2);
    assert_eq!(named(&all, "check")[0]["path"], "db/checks/a.sql");
    assert_eq!(all.last().unwrap()["result"]["applied"], 2);

    world.write("db/migrations/3_fails.sql", "SELECT nowhere;\n");
    world.commit("Wrong").ok();
    let failed = world.dbbuild(&apply(&["--events"]));
    let all = events(&failed.fails(1).stdout);
    let error = &all.last().unwrap();
    assert_eq!((&error["event"], &all[all.len() - 2]["error"]), (&"error".into(), &error["error"]));
    assert_eq!(error["error"]["sqlstate"], "42703");
    assert_eq!(error["error"]["location"]["path"], "db/migrations/3_fails.sql");
}

#[test]
fn a_blocker_is_named_and_the_wait_is_in_the_summary() {
    let Some(server) = server(15) else { return };
    let db = server.fresh_database();
    let world = world(&db.url);
    world.dbbuild(&apply(&[])).ok();
    // Both travel together at first; one is committed, and the other waits.
    world.write("db/migrations/2_free.sql", "CREATE TABLE free (id int);\n").write("db/migrations/3_two.sql", TWO);
    world.commit("Two").ok();
    let mut held = Held::open(&db);
    held.run("BEGIN; LOCK TABLE a IN ACCESS SHARE MODE;");
    // Tries end and begin again, and another takes the place of the first: that is told, and nothing else.
    world.write("dbbuild.toml", world.read("dbbuild.toml") + "[lock]\ntimeout = \"700ms\"\n");
    world.commit("Impatient").ok();
    let began = Instant::now();
    let mut running = world.start(&apply(&["--events"]));
    running.until_says("\"event\":\"lock_wait\"");
    // At least so long is waited for each of the two.
    thread::sleep(Duration::from_millis(1200));
    let mut second = Held::open(&db);
    second.run("SET application_name = 'second'; BEGIN; LOCK TABLE a IN ACCESS SHARE MODE;");
    held.run("COMMIT");
    running.until_says("(second)");
    thread::sleep(Duration::from_millis(1000));
    second.run("COMMIT");
    let outcome = running.wait();
    let whole = began.elapsed().as_secs_f64();
    let all = events(&outcome.ok().stdout);
    let waits = named(&all, "lock_wait");
    assert!(waits[0]["blocker"].as_str().unwrap().contains("(holder)"), "{all:?}");
    assert_eq!(waits.len(), 2, "{all:?}");
    let (ended, between) = (named(&all, "lock_wait_ended"), waits[1]["waited"].as_f64().unwrap());
    assert_eq!(ended.len(), 1, "{all:?}");
    assert!(between > 1.0 && ended[0]["waited"].as_f64().unwrap() > between, "{all:?}");
    assert!(!named(&all, "note").is_empty(), "{all:?}");
    let finished = named(&all, "migration_finished");
    assert_eq!((&finished[0]["path"], finished[0]["waited"].as_f64()), (&"db/migrations/2_free.sql".into(), Some(0.0)));
    assert!(finished[0]["seconds"].as_f64().is_some(), "{finished:?}");
    let times = &all.last().unwrap()["result"]["times"][1];
    assert_eq!(times["path"], "db/migrations/3_two.sql");
    let (seconds, waited) = (times["seconds"].as_f64().unwrap(), times["waited"].as_f64().unwrap());
    // The time is that of the try that was committed, and the waiting that of all.
    assert!(seconds < waited && waited > 2.0 && waited < whole, "waited {waited} of {whole}, took {seconds}");
    assert_eq!(times["locks"], serde_json::json!([{ "table": "public.a", "lock": "ACCESS EXCLUSIVE" }]));

    world.write("db/migrations/4_three.sql", THREE);
    world.commit("Three").ok();
    let told = world.dbbuild(&apply(&["--verbose"]));
    told.ok().says("the slowest migrations first").says("4_three.sql (ACCESS EXCLUSIVE on public.a)");
    world.write("db/migrations/5_four.sql", "CREATE TABLE c (id int);\n");
    world.commit("Four").ok();
    world.dbbuild(&apply(&[])).ok().says_not("slowest");
}

#[test]
fn a_dirty_tree_is_refused() {
    let Some(server) = server(15) else { return };
    let db = server.fresh_database();
    let world = world(&db.url);
    world.write("db/migrations/2_two.sql", TWO);
    let refused = world.dbbuild(&apply(&[]));
    refused
        .fails(1)
        .says("differ from HEAD")
        .says("db/migrations/2_two.sql")
        .says("--allow-dirty")
        .says("Nothing was run");
    assert!(db.psql("SELECT to_regclass('dbbuild.migration')").is_empty());
    let warned = "would refuse this without `--allow-dirty`: the files differ from HEAD";
    world.dbbuild(&["plan", "--env", "production", "--to", "2"]).ok().says(warned).says(": db/migrations/2_two.sql");
    let plan = world.dbbuild(&["plan", "--env", "production", "--json"]);
    plan.ok().says(warned);
    world.dbbuild(&["plan"]).ok().says_not("would refuse");
    world.dbbuild(&apply(&["--allow-dirty"])).ok();
    assert_eq!(db.psql("SELECT DISTINCT git_commit FROM dbbuild.migration"), format!("{}+", head(&world)));
    world.commit("Two").ok();
    // What does not concern the database is nobody's matter here.
    world.write("notes.txt", "x");
    world.dbbuild(&apply(&[])).ok().says("is up to date");
}

#[test]
fn a_tree_that_is_behind_is_refused() {
    let Some(server) = server(15) else { return };
    let db = server.fresh_database();
    let world = world(&db.url);
    world.write("db/migrations/2_two.sql", TWO);
    world.commit("Add two").ok();
    world.dbbuild(&apply(&[])).ok();
    let newer = head(&world);
    world.git(&["checkout", "--quiet", "HEAD~1"]).ok();
    let refused = world.dbbuild(&apply(&[]));
    refused.fails(1).says("the tree is behind").says("2_two").says("Add two").says(&newer[..10]).says("git pull");
    let plan = world.dbbuild(&["plan", "--env", "production"]);
    plan.ok().says("would refuse this without `--allow-behind`: the tree is behind this database").says(": 2_two");
    world.dbbuild(&apply(&["--allow-behind"])).ok().says("2_two is applied here, but no file of this tree has it");
    world.git(&["checkout", "--quiet", "main"]).ok();
    // A repeatable file of a newer commit is behind as well, though no migration tells.
    world.write("db/repeatable/v.sql", "CREATE OR REPLACE VIEW v AS SELECT 2 AS n;\n");
    world.commit("Add a view").ok();
    world.dbbuild(&apply(&[])).ok();
    world.git(&["checkout", "--quiet", "HEAD~1"]).ok();
    world.dbbuild(&apply(&[])).fails(1).says("was applied from a newer commit than HEAD").says("Add a view");
    let plan = world.dbbuild(&["plan", "--env", "production", "--to", "2"]);
    plan.ok().says("up to 2").says("would refuse this without `--allow-behind`: the tree is behind");
    // A side that parted, as after a squash merge, has all that the database has.
    world.git(&["checkout", "--quiet", "-B", "other"]).ok();
    world.write("db/repeatable/v.sql", "CREATE OR REPLACE VIEW v AS SELECT 2 AS n;\n");
    world.commit("The same, merged otherwise").ok();
    world.dbbuild(&apply(&[])).ok();
}

#[test]
fn without_a_repository_versions_tell_who_is_behind() {
    let Some(server) = server(15) else { return };
    let db = server.fresh_database();
    let mut world = World::without_git();
    world.set("PRODUCTION_URL", &db.url).set("DBBUILD_COMMIT", "abc123").set("DBBUILD_PIPELINE", "nightly 3");
    world.write(
        "dbbuild.toml",
        "[postgres]\nversion = 15\n[env.development]\n[env.production]\nurl_env = \"PRODUCTION_URL\"\nprotected = true\n",
    );
    world.write("db/migrations/1_one.sql", ONE).write("db/migrations/2_two.sql", TWO);
    world.dbbuild(&apply(&["--by", "ada"])).ok();
    let record = "SELECT DISTINCT concat_ws('|', git_commit, pipeline, run_by) FROM dbbuild.migration";
    assert_eq!(db.psql(record), "abc123|nightly 3|ada");
    std::fs::remove_file(world.path("db/migrations/2_two.sql")).unwrap();
    world.dbbuild(&apply(&[])).fails(1).says("the tree is behind").says("2_two").says("abc123, which is not here");
}

#[test]
fn the_record_says_which_pipeline_and_who() {
    let Some(server) = server(15) else { return };
    let db = server.fresh_database();
    let mut world = world(&db.url);
    world.dbbuild(&apply(&[])).ok();
    let own = db.psql("SELECT run_by || '|' || coalesce(pipeline, '-') FROM dbbuild.migration");
    let user = nix::unistd::User::from_uid(nix::unistd::Uid::effective()).unwrap().unwrap().name;
    assert_eq!(own, format!("{user}|-"));
    world
        .write("db/repeatable/v.sql", "CREATE OR REPLACE VIEW v AS SELECT 1 AS n;\n")
        .write("db/migrations/2_two.sql", TWO);
    world.commit("Two").ok();
    for (name, value) in [
        ("GITHUB_ACTIONS", "true"),
        ("GITHUB_SERVER_URL", "https://github.com"),
        ("GITHUB_REPOSITORY", "shop/shop"),
        ("GITHUB_RUN_ID", "42"),
        ("GITHUB_ACTOR", "ada"),
        ("GITHUB_SHA", "not the commit that is checked out"),
    ] {
        world.set(name, value);
    }
    world.dbbuild(&apply(&[])).ok();
    let wanted = format!("{}|https://github.com/shop/shop/actions/runs/42|ada", head(&world));
    let record = |table: &str| db.psql(&format!("SELECT concat_ws('|', git_commit, pipeline, run_by) FROM {table}"));
    assert_eq!(record("dbbuild.migration WHERE version = '2'"), wanted);
    assert_eq!(record("dbbuild.file"), wanted);
    let log = world.dbbuild(&["log", "--env", "production"]);
    log.ok().says("pipeline").says("actions/runs/42").says("ada");
}

#[test]
fn a_version_table_of_before_gets_its_columns() {
    let Some(server) = server(15) else { return };
    let db = server.fresh_database();
    let world = world(&db.url);
    world.dbbuild(&apply(&[])).ok();
    db.psql(
        "ALTER TABLE dbbuild.migration DROP pipeline, DROP run_by, DROP body_checksum; \
         ALTER TABLE dbbuild.file DROP pipeline, DROP run_by",
    );
    world.dbbuild(&["log", "--env", "production"]).ok().says("one");
    world.dbbuild(&apply(&[])).ok().says("is up to date");
    assert_eq!(columns(&db), "0", "what is up to date is not written to");
    world.write("db/migrations/2_two.sql", TWO);
    world.commit("Two").ok();
    world.dbbuild(&apply(&[])).ok().says("now has 2 migrations");
    assert_eq!(columns(&db), "5");
    db.psql("ALTER TABLE dbbuild.migration DROP run_by; ALTER TABLE dbbuild.file DROP run_by");
    world.dbbuild(&["env", "mark", "production", "--env", "production", "--confirm", "production"]).ok();
    assert_eq!(columns(&db), "5");
}

fn columns(db: &Db<'_>) -> String {
    db.psql(
        "SELECT count(*) FROM information_schema.columns WHERE table_schema = 'dbbuild' AND table_name <> 'taken_back' \
         AND column_name IN ('pipeline', 'run_by', 'body_checksum')",
    )
}
