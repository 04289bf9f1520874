//! The commands around a build: what each shows, that the looking ones write nothing, and the options of all of them.

use std::fs;

use serde_json::Value;

use crate::support::{World, server, skip};

const ONE: &str = "CREATE TABLE IF NOT EXISTS a (id int PRIMARY KEY, note text);\n";
const TWO: &str = "-- migrate:up\nALTER TABLE a ADD COLUMN IF NOT EXISTS more text;\nUPDATE a SET more = 'x' WHERE more IS NULL;\n\
                   -- migrate:down\nALTER TABLE a DROP COLUMN IF EXISTS more;\n";
const THREE: &str = "-- migrate:up\nCREATE INDEX CONCURRENTLY IF NOT EXISTS a_note ON a (note);\n-- migrate:down\nDROP INDEX IF EXISTS a_note;\n";

/// A project whose environments lead to the two addresses; one migration, one set of test data, one check.
fn project(development: &str, production: &str) -> World {
    let world = World::new();
    let config = format!(
        "[postgres]\nversion = 15\nthrowaway = \"local\"\n[env.development]\nurl = \"{development}\"\n\
         testdata = [\"default\"]\n[env.production]\nurl = \"{production}\"\nprotected = true\n"
    );
    world.write("dbbuild.toml", config).write("db/migrations/1_a.sql", ONE);
    world.write("db/testdata/default/a.sql", "INSERT INTO a VALUES (1, 'test') ON CONFLICT DO NOTHING;\n");
    world.write("db/testdata/large/a.sql", "INSERT INTO a VALUES (2, 'large') ON CONFLICT DO NOTHING;\n");
    world.write("db/checks/notes.sql", "SELECT id FROM a WHERE note = '';\n");
    world.write("db/init/production/a.sql", "INSERT INTO a VALUES (9, 'production') ON CONFLICT DO NOTHING;\n");
    world
}

#[test]
fn a_plan_is_what_a_run_does_and_writes_nothing() {
    let Some(server) = server(15) else { return };
    let (database, production) = (server.fresh_database(), server.fresh_database());
    let world = project(&database.url, &production.url);
    let empty = database.pg_dump();
    let first = world.dbbuild(&["plan", "--json"]).ok().json();
    let kinds = |plan: &Value| -> Vec<String> {
        plan["plan"]["steps"].as_array().unwrap().iter().map(|step| step["kind"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(kinds(&first), ["mark", "migration", "testdata", "check"]);
    assert_eq!(first["plan"]["steps"][1]["statements"], 1);
    assert_eq!(first["plan"]["environment"], "development");
    let deployed = world.dbbuild(&["plan", "--json", "--env", "production"]).ok().json();
    assert_eq!(kinds(&deployed), ["mark", "migration", "init", "sequences", "check"], "never test data");
    assert_eq!(database.pg_dump(), empty, "a plan makes no schema of dbbuild's");

    let built = world.dbbuild(&["--json"]).ok().json();
    assert_eq!(built["applied"], 1);
    assert_eq!(built["ran"]["files"][0]["kind"], "testdata");
    world.write("db/migrations/2_more.sql", TWO).write("db/migrations/3_index.sql", THREE);
    database.psql("ANALYZE a");
    let before = database.pg_dump();
    let plan = world.dbbuild(&["plan", "--json"]).ok().json();
    let steps = plan["plan"]["steps"].as_array().unwrap();
    assert_eq!(steps[0]["path"], "db/migrations/2_more.sql");
    assert_eq!(steps[0]["statements"], 2);
    assert_eq!(steps[0]["transaction"], true);
    assert_eq!(steps[0]["locks"][0]["table"], "a");
    assert_eq!(steps[0]["locks"][0]["lock"], "ACCESS EXCLUSIVE");
    assert_eq!(steps[0]["locks"][0]["size"]["rows"], 1);
    assert!(steps[0]["locks"][0]["size"]["bytes"].as_u64().unwrap() > 8000);
    assert_eq!(steps[1]["transaction"], false);
    assert!(steps[1]["note"].as_str().unwrap().contains("CREATE INDEX CONCURRENTLY"), "{}", steps[1]);
    let text = world.dbbuild(&["plan"]);
    text.ok()
        .says("1  migration db/migrations/2_more.sql (new, 2 statements)")
        .says("ACCESS EXCLUSIVE on a: about 1 row");
    text.says("statement by statement");
    for looking in [&["status"][..], &["log"], &["env", "show"], &["doctor"], &["plan", "--bootstrap"]] {
        world.dbbuild(looking);
    }
    assert_eq!(database.pg_dump(), before, "commands that look write nothing");
    let ran = world.dbbuild(&["--json"]).ok().json();
    let paths: Vec<&Value> = ran["ran"]["migrations"].as_array().unwrap().iter().map(|m| &m["path"]).collect();
    assert_eq!(paths, ["db/migrations/2_more.sql", "db/migrations/3_index.sql"]);
    world.dbbuild(&["plan"]).ok().says("nothing is pending");
}

#[test]
fn a_database_that_is_not_made_yet_is_planned_as_an_empty_one() {
    let Some(server) = server(15) else { return };
    let missing = server.url("never_made");
    let world = project(&missing, &missing);
    world.dbbuild(&["plan"]).ok().says("there is no `never_made`").says("2  migration db/migrations/1_a.sql (new");
    world.dbbuild(&["status"]).ok().says("not made yet").says("pending      1_a");
    world.write("dbbuild.toml", "[postgres]\nversion = 15\n[env.development]\ntestdata = [\"default\"]\n");
    world.dbbuild(&["plan"]).ok().says("there is no `app` on the embedded server yet").says("testdata/default/a.sql");
    world.dbbuild(&["status"]).ok().says("not made yet");
    world.dbbuild(&["server", "status"]).ok().says("not made yet");
}

#[test]
fn status_and_log_tell_each_state() {
    let Some(server) = server(15) else { return };
    let (database, production) = (server.fresh_database(), server.fresh_database());
    let world = project(&database.url, &production.url);
    world.dbbuild(&["status", "--exit-code"]).fails(3).says("pending      1_a").says("not marked");
    world.dbbuild(&["log"]).ok().says("nothing was applied");
    world.write("db/migrations/2_more.sql", TWO);
    world.dbbuild(&[]).ok();
    world.commit("start").ok();
    world.dbbuild(&["status", "--exit-code"]).ok().says("2 applied, 0 pending").says("fresh").says_not("1_a");
    world.dbbuild(&["status", "--verbose"]).ok().says("applied      1_a");

    fs::remove_file(world.path("db/migrations/1_a.sql")).unwrap();
    world.write("db/migrations/2_more.sql", TWO.replace("'x'", "'y'")).write("db/migrations/4_new.sql", "SELECT 1;");
    world.write("db/migrations/3_index.sql", THREE);
    database.psql(
        "INSERT INTO dbbuild.migration (version, name, checksum, state, origin) \
         SELECT '3', 'index', repeat('0', 64), 'started', 'run'",
    );
    let states = world.dbbuild(&["status", "--json"]).ok().json();
    let state = |version: &str| {
        let rows = states["migrations"].as_array().unwrap();
        rows.iter().find(|row| row["version"] == version).unwrap()["state"].as_str().unwrap().to_owned()
    };
    assert_eq!([state("1"), state("2"), state("3"), state("4")], ["unknown", "changed", "interrupted", "pending"]);
    assert_eq!(states["baseline_fresh"], false);
    let text = world.dbbuild(&["status", "--exit-code"]);
    text.fails(3).says("unknown      1_a").says("stale; run `dbbuild baseline`");
    world.dbbuild(&[]).fails(1).says("2_more").says("with other content").says("dbbuild reset");

    let log = world.dbbuild(&["log", "--json", "-n", "2"]).ok().json();
    assert_eq!(log["log"].as_array().unwrap().len(), 2);
    assert_eq!(log["log"][1]["version"], "2");
    assert_eq!(log["log"][1]["by"], "postgres");
    assert!(log["log"][1]["seconds"].is_f64(), "{log}");
    world.dbbuild(&["log"]).ok().says("version").says("more");
}

#[test]
fn seed_reset_drop_and_bootstrap_under_the_guard() {
    let Some(server) = server(15) else { return };
    let (database, production) = (server.fresh_database(), server.fresh_database());
    let world = project(&database.url, &production.url);
    world.dbbuild(&[]).ok();
    let notes = || database.psql("SELECT string_agg(note, ',' ORDER BY id) FROM a");
    assert_eq!(notes(), "test");
    database.psql("DELETE FROM a");
    world.dbbuild(&["seed"]).ok().says("has the test data default");
    world.dbbuild(&["seed", "large"]).ok().says("ran 1 test data file");
    assert_eq!(notes(), "test,large");
    world.dbbuild(&["seed", "none"]).fails(2).says("default, large");

    world.dbbuild(&["bootstrap", "--env", "production", "--commit", "abc123"]).ok().says("is marked production");
    assert_eq!(production.psql("SELECT note FROM a"), "production");
    let texts = "SELECT version, md5(up_sql), md5(down_sql), dbbuild_version FROM dbbuild.migration ORDER BY position";
    assert_eq!(production.psql(texts), database.psql(texts), "the files fill what a baseline leaves open");
    world.dbbuild(&["bootstrap", "--env", "production"]).fails(1).says("it is not empty").says("dbbuild apply");
    for refused in [&["seed"][..], &["seed", "default"], &["reset"], &["drop"]] {
        let outcome = world.dbbuild(&[refused, &["--env", "production", "--yes"]].concat());
        outcome.fails(1).says("refused").says("production");
    }
    assert_eq!(production.psql("SELECT note FROM a"), "production");
    world.dbbuild(&["apply", "--allow-dirty", "--env", "production"]).ok().says("is up to date: 1 migration");
    world.write("db/migrations/2_more.sql", TWO);
    world
        .dbbuild(&["apply", "--allow-dirty", "--env", "production", "--check-first", "--commit", "def456"])
        .ok()
        .says("now has 2 migrations");
    assert_eq!(production.psql("SELECT git_commit FROM dbbuild.migration WHERE version = '2'"), "def456");
    assert!(!world.read("db/baseline.sql").contains("2_more"), "apply writes nothing to the tree");

    world.dbbuild(&["reset", "--yes"]).ok().says("was built anew: 2 migrations");
    assert_eq!(notes(), "test");
    world.dbbuild(&["drop", "--yes"]).ok().says("dropped");
    world.dbbuild(&["drop", "--yes"]).ok().says("there is no");
    world.dbbuild(&["status"]).ok().says("not made yet").says("0 applied, 2 pending");
    world.dbbuild(&["plan"]).ok().says("there is no");
    world.dbbuild(&["build", "--no-baseline"]).ok().says("created");
}

#[test]
fn env_shows_and_marks() {
    let Some(server) = server(15) else { return };
    let (database, production) = (server.fresh_database(), server.fresh_database());
    let world = project(&database.url, &production.url);
    world.dbbuild(&["env", "show"]).ok().says("selected: development").says("not marked; it is empty");
    database.psql("CREATE TABLE somebodys (id int)");
    world.dbbuild(&["env", "show"]).ok().says("counts as production");
    world.dbbuild(&[]).fails(1).says("carries no mark");
    world.dbbuild(&["env", "mark", "development"]).fails(1).says("--confirm");
    world.dbbuild(&["env", "mark", "development", "--yes"]).fails(1);
    world.dbbuild(&["env", "mark", "development", "--confirm", "production"]).fails(1);
    world.dbbuild(&["env", "mark", "development", "--confirm", "development"]).ok().says("is marked development now");
    let shown = world.dbbuild(&["env", "show", "--json"]).ok().json();
    assert_eq!(shown["mark"]["environment"], "development");
    assert_eq!(shown["valid"], true);
    world.dbbuild(&["env", "mark", "nowhere"]).fails(2).says("development");
}

/// As on a full disk: whoever keeps the result must not take it for the whole. Who closes a pipe has what was wanted.
#[test]
fn a_result_that_cannot_be_written_is_an_error() {
    let world = World::new();
    world.write("dbbuild.toml", "[postgres]\nversion = 15\n");
    let shell = |line: &str| world.run(world.command("sh").args(["-c", line, env!("CARGO_BIN_EXE_dbbuild")]));
    shell("\"$0\" completions bash | head -n 1").ok().says_not("error");
    if !std::path::Path::new("/dev/full").exists() {
        return skip("/dev/full");
    }
    for command in ["new --list", "new --list --json", "completions bash"] {
        shell(&format!("\"$0\" {command} > /dev/full")).fails(1).says("error: the result could not be written whole");
    }
}

#[test]
fn psql_and_doctor() {
    let Some(server) = server(15) else { return };
    let (database, production) = (server.fresh_database(), server.fresh_database());
    let world = project(&database.url, &production.url);
    let asked = world.dbbuild(&["psql", "--", "-Atc", "select current_database()"]);
    assert_eq!(asked.ok().stdout.trim(), database.name);
    world.dbbuild(&["psql", "--", "-c", "select 1/0"]).fails(1).says("division by zero");
    let report = world.dbbuild(&["doctor"]);
    report.ok().says("ok       configuration: dbbuild.toml is sound").says("PostgreSQL programs: 15");
    report.says("warning  hooks: not installed").says("help: run `dbbuild hooks install`");
    report.says("runs PostgreSQL 15").says("ok       mark: none yet").says("ok       pooler");
    world.write("db/migrations/x.sql", "SELECT 1;");
    let report = world.dbbuild(&["doctor"]);
    report.fails(1).says("problem  files").says("x.sql").says("1 problem found");
    let found = world.dbbuild(&["doctor", "--json"]).json();
    assert!(found["findings"].as_array().unwrap().iter().any(|finding| finding["health"] == "problem"));
    world.write("dbbuild.toml", "[postgres]\nversion = \"x\"\n");
    world.dbbuild(&["doctor"]).fails(1).says("problem  configuration").says("dbbuild.toml:2");
}

#[test]
fn the_options_of_every_command() {
    let Some(server) = server(15) else { return };
    let (database, production) = (server.fresh_database(), server.fresh_database());
    let mut world = project(&database.url, &production.url);
    assert_eq!(world.dbbuild(&["--quiet"]).ok().stdout, "");
    assert_eq!(world.dbbuild(&["-q"]).ok().stderr, "");
    world.dbbuild(&["status", "--quiet"]).ok().says("1 applied");
    world.dbbuild(&["status", "--quiet", "--verbose"]).fails(2);
    fs::create_dir(world.path("below")).unwrap();
    world.dbbuild(&["-C", "below", "status"]).ok().says("1 applied");
    let text = world.read("dbbuild.toml");
    world.write(
        "other.toml",
        text.replace("[env.development]", "[env.staging]\nurl = \"postgres:///x\"\n[env.development]"),
    );
    world.dbbuild(&["--config", "other.toml", "status"]).ok().says("1 applied");
    world.dbbuild(&["--config", "none.toml", "status"]).fails(2).says("none.toml");
    world.dbbuild(&["--env", "staging", "status"]).fails(2).says("development, production");
    world.dbbuild(&["status", "--url", &production.url]).ok().says(&production.name);
    world.dbbuild(&["staus"]).fails(2).says("status");
    world.set("DBBUILD_ENV", "production");
    world.dbbuild(&["status"]).ok().says(&production.name);
    world.set("DBBUILD_ENV", "development");

    let red = "\u{1b}[";
    let colours = |arguments: &[&str], no_color: bool| {
        let mut command = world.command(env!("CARGO_BIN_EXE_dbbuild"));
        command.env("CLICOLOR_FORCE", "1").args(arguments);
        if !no_color {
            command.env_remove("NO_COLOR");
        }
        let outcome = world.run(&mut command);
        outcome.fails(2);
        outcome.stderr.contains(red)
    };
    let wrong = ["--env", "staging", "status"];
    assert!(colours(&wrong, false), "forced colours show");
    assert!(!colours(&["--no-color", "--env", "staging", "status"], false), "--no-color");
    assert!(!world.dbbuild(&wrong).stderr.contains(red), "NO_COLOR");

    let failure = world.dbbuild(&["--env", "staging", "status", "--json"]).fails(2).json();
    assert_eq!(failure["error"]["status"], 2);
    assert!(failure["error"]["message"].as_str().unwrap().contains("staging"));
}

#[test]
fn completions_and_manual_pages() {
    let world = World::new();
    for (shell, sign) in [("bash", "complete -F"), ("zsh", "#compdef dbbuild"), ("fish", "complete -c dbbuild")] {
        world.dbbuild(&["completions", shell]).ok().says(sign).says("bootstrap");
    }
    world.dbbuild(&["man", "pages"]).ok().says("pages");
    for page in ["dbbuild.1", "dbbuild-verify.1", "dbbuild-env-mark.1"] {
        assert!(world.read(&format!("pages/{page}")).contains(".TH"), "{page}");
    }
    assert!(world.read("pages/dbbuild-verify.1").contains("worktree"));
    let bash = world.dbbuild(&["completions", "bash"]).stdout;
    world.write("c.bash", bash);
    world.run(world.command("bash").args(["-n", "c.bash"])).ok();
}
