//! SQL that the server refuses, that does not fit into a transaction, or that leaves something in the session: exact
//! places, whole rollbacks, true words about the state that is left, and nothing that the next file sees.

use crate::support::{Db, World, server};

const CONFIG: &str = "[postgres]\nversion = 15\nthrowaway = \"local\"\ndatabase = \"shop\"\n\
    [env.development]\nurl_env = \"DEVELOPMENT_URL\"\n";

const OK: &str = "CREATE TABLE IF NOT EXISTS ok (id int PRIMARY KEY);\n";

fn world() -> World {
    filled(World::without_git())
}

/// What rehearsals found is kept in the repository.
fn world_with_git() -> World {
    filled(World::new())
}

fn filled(world: World) -> World {
    world.write("dbbuild.toml", CONFIG).write("db/migrations/1_ok.sql", OK);
    world
}

/// The dump, without the sequence that a rolled back row moved.
fn dump(db: &Db<'_>) -> String {
    db.pg_dump().lines().filter(|line| !line.contains("setval('dbbuild.")).collect()
}

fn exists(db: &Db<'_>, relation: &str) -> bool {
    db.psql(&format!("SELECT to_regclass('{relation}') IS NOT NULL")) == "t"
}

#[test]
fn statement_seven_of_twelve() {
    let Some(server) = server(15) else { return };
    let db = server.fresh_database();
    let world = world();
    for n in 2..=6 {
        world.write(&format!("db/migrations/{n}_t.sql"), format!("CREATE TABLE IF NOT EXISTS t{n} ();"));
    }
    let seven = |statement: &str| {
        let mut text = String::from("-- twelve statements, é\n");
        (1..=6).for_each(|n| text.push_str(&format!("CREATE TABLE s{n} (id int);\n")));
        text.push_str(&format!("/* a\n comment; */ {statement};\n"));
        (8..=12).for_each(|n| text.push_str(&format!("CREATE TABLE s{n} (id int);\n")));
        text
    };
    world.write("db/migrations/7_bad.sql", seven("ALTER TABLE s6 ADD x int,\n  DROP COLUMN legacy_id"));
    world.write("db/migrations/8_later.sql", "CREATE TABLE later ();");
    let outcome = world.dbbuild(&["apply", "--url", &db.url]);
    outcome.fails(1).says("error: 7_bad failed at db/migrations/7_bad.sql:9:14\n");
    outcome.says("caused by: column \"legacy_id\" of relation \"s6\" does not exist (42703)\n");
    outcome.says("caused by: in statement 7 of 12\n");
    outcome.says("help: it was rolled back. ").says("help: 6 of 8 pending migrations are applied.");
    assert_eq!(db.applied(), "1 2 3 4 5 6");
    assert!(!exists(&db, "s1") && !exists(&db, "later"), "nothing of it and nothing after it");

    // Where PostgreSQL gives a position, it is the very word.
    world.write("db/migrations/7_bad.sql", seven("SELECT 1, 'é',\n  nope(1)"));
    let outcome = world.dbbuild(&["apply", "--url", &db.url, "--json"]);
    outcome.fails(1).says("help: 0 of 2 pending migrations are applied.");
    let value = outcome.json();
    assert_eq!(
        value["error"]["location"],
        serde_json::json!({ "path": "db/migrations/7_bad.sql", "line": 10, "column": 3 })
    );
    assert_eq!(value["error"]["sqlstate"], "42883");

    // The proof says the same of it.
    world.dbbuild(&["baseline"]).fails(1).says("7_bad failed at db/migrations/7_bad.sql:10:3");

    world.write("db/migrations/7_bad.sql", seven("SELECT 1"));
    world.dbbuild(&["apply", "--url", &db.url]).ok();
    assert_eq!(db.applied(), "1 2 3 4 5 6 7 8");
}

/// A second migration that fails, and what is said of it.
const REFUSED: &[(&str, &[&str])] = &[
    (
        "CREATE TABLE p (id int PRIMARY KEY);\nCREATE TABLE c (id int REFERENCES p DEFERRABLE INITIALLY DEFERRED);\n\
         INSERT INTO c VALUES (7);\n",
        &["2_bad failed at db/migrations/2_bad.sql:3:1", "(23503)", "DETAIL: Key (id)=(7) is not present"],
    ),
    (
        "CREATE TABLE x (id int);\nCOPY x FROM stdin;\n1\n2\nx\n\\.\nSELECT 1;\n",
        &["db/migrations/2_bad.sql:2:1", "in statement 2 of 3", "COPY x, line 3, column id: \"x\""],
    ),
    (
        "CREATE TABLE x (id int);\nCOPY x FROM stdin;\n1\n\\.\n  SELECT nofn();\n",
        &["db/migrations/2_bad.sql:5:3", "in statement 3 of 3", "nofn()"],
    ),
    (
        "CREATE FUNCTION f() RETURNS int LANGUAGE plpgsql AS $$ BEGIN RAISE 'boo'; END $$;\nSELECT f();\n",
        &["db/migrations/2_bad.sql:2:1", "boo (P0001)", "CONTEXT: PL/pgSQL function f() line 1 at RAISE"],
    ),
    (
        "SELECT 1;\nCREATE EXTENSION nonesuch;",
        &[
            "db/migrations/2_bad.sql:2:1",
            "extension \"nonesuch\" is not available",
            "Install the extension on the server",
        ],
    ),
    (
        "GRANT SELECT ON ok TO nonesuch;",
        &["role \"nonesuch\" does not exist (42704)", "Declare the role in the roles file"],
    ),
    (
        "DO $$ BEGIN EXECUTE 'DROP SCHEMA dbbuild CASCADE'; END $$;",
        &["own record", "must not change the schema dbbuild"],
    ),
    ("DO $$ BEGIN EXECUTE 'DELETE FROM dbbuild.migration'; END $$;", &["its own row is gone", "must not change"]),
    ("CREATE TABLE x (); SET transaction_read_only = on;", &["own record", "nor make its transaction read-only"]),
    ("SET statement_timeout = 50;\nSELECT pg_sleep(5);", &["db/migrations/2_bad.sql:2:1", "(57014)"]),
    (
        "CREATE TABLE x (); SELECT pg_terminate_backend(pg_backend_pid());",
        &["lost the connection", "it goes on where it stood"],
    ),
    ("BEGIN; CREATE TABLE x (); SELECT 1/0; COMMIT;", &["db/migrations/2_bad.sql:1:27", "division by zero"]),
];

#[test]
fn what_fails_is_rolled_back_whole() {
    let Some(server) = server(15) else { return };
    let db = server.fresh_database();
    let world = world();
    world.dbbuild(&["apply", "--url", &db.url]).ok();
    let before = dump(&db);
    for (text, says) in REFUSED {
        world.write("db/migrations/2_bad.sql", text).write("db/migrations/3_later.sql", "CREATE TABLE later ();");
        let outcome = world.dbbuild(&["apply", "--url", &db.url]);
        outcome.fails(1).says("rolled back").says("help: 0 of 2 pending migrations are applied.");
        says.iter().for_each(|text| _ = outcome.says(text));
        assert!(dump(&db) == before, "{text}");
    }
}

#[test]
fn a_failing_file_of_another_kind_has_its_place_too() {
    let Some(server) = server(15) else { return };
    let db = server.fresh_database();
    let world = world();
    for (path, title) in [("db/repeatable/v.sql", "repeatable file v.sql"), ("db/init/i.sql", "init file i.sql")] {
        world.write(path, "SELECT 1;\nSELECT nofn();");
        let outcome = world.dbbuild(&["apply", "--url", &db.url]);
        outcome.fails(1).says(&format!("error: {title} failed at {path}:2:8")).says("rolled back");
        std::fs::remove_file(world.path(path)).unwrap();
    }
    world.write("db/checks/c.sql", "SELECT id FROM ok;\n");
    db.psql("INSERT INTO ok VALUES (42)");
    world.dbbuild(&["apply", "--url", &db.url]).fails(1).says("db/checks/c.sql").says("42");
    world.write("db/checks/c.sql", "SELECT id\nFROM okk;\n");
    world.dbbuild(&["apply", "--url", &db.url]).fails(1).says("db/checks/c.sql:2:6").says("okk");
    assert_eq!(db.applied(), "1");
}

/// Files that PostgreSQL refuses inside a transaction block, and what is said of them when they run.
const ALONE: &[(&str, &str)] = &[
    (
        "CREATE INDEX CONCURRENTLY IF NOT EXISTS ok_x ON ok (id);",
        "CREATE INDEX CONCURRENTLY cannot run inside a transaction block",
    ),
    ("INSERT INTO ok VALUES (5) ON CONFLICT DO NOTHING;\nVACUUM ok;", "VACUUM cannot run inside a transaction block"),
    (
        "DO $$ BEGIN CREATE TYPE mood AS ENUM ('ok'); EXCEPTION WHEN duplicate_object THEN NULL; END $$;\n\
         ALTER TYPE mood ADD VALUE IF NOT EXISTS 'good';\nSELECT 'good'::mood;",
        "unsafe use of new value",
    ),
    (
        "CREATE OR REPLACE PROCEDURE p() LANGUAGE plpgsql AS $$ BEGIN INSERT INTO ok VALUES (1) ON CONFLICT DO NOTHING; \
         COMMIT; INSERT INTO ok VALUES (2) ON CONFLICT DO NOTHING; END $$;\nCALL p();",
        "invalid transaction termination",
    ),
];

#[test]
fn what_no_transaction_takes_runs_without_being_told() {
    let Some(server) = server(15) else { return };
    let (db, other) = (server.fresh_database(), server.fresh_database());
    let world = world_with_git();
    for (n, (text, _)) in ALONE.iter().enumerate() {
        world.write(&format!("db/migrations/1{n}_alone.sql"), text);
    }
    world.write("db/migrations/20_later.sql", "CREATE TABLE IF NOT EXISTS later ();");
    let outcome = world.dbbuild(&["apply", "--url", &db.url]);
    for (n, (_, why)) in ALONE.iter().enumerate() {
        let path = format!("db/migrations/1{n}_alone.sql");
        let line = outcome.ok().stdout.lines().find(|line| line.contains(&path)).unwrap();
        assert!(line.contains("ran as transaction:false without being told: ") && line.contains(why), "{line}");
    }
    assert_eq!(db.applied(), "1 10 11 12 13 20");
    assert_eq!(db.psql("SELECT string_agg(id::text, ' ' ORDER BY id) FROM ok"), "1 2 5");
    assert_eq!(
        db.psql("SELECT string_agg(version, ' ' ORDER BY version) FROM dbbuild.migration WHERE NOT transactional"),
        "10 11 12 13"
    );
    assert_eq!(db.psql("SELECT indisvalid FROM pg_index WHERE indexrelid = 'ok_x'::regclass"), "t");

    // The rehearsal in a throwaway found the same, and the plan tells it.
    world.dbbuild(&["baseline"]).ok();
    world.dbbuild(&["verify", "--worktree"]).ok();
    let plan = world.dbbuild(&["plan", "--url", &other.url]);
    for (n, (_, why)) in ALONE.iter().enumerate() {
        let path = format!("db/migrations/1{n}_alone.sql");
        let line = plan.ok().stdout.lines().find(|line| line.contains(&path)).unwrap();
        assert!(line.contains("statement by statement") && line.contains(why), "{line}");
    }
}

#[test]
fn what_fails_without_a_transaction_is_told_as_it_is() {
    let Some(server) = server(15) else { return };
    let db = server.fresh_database();
    let world = world();
    let text = |last: &str| {
        format!(
            "-- migrate:up transaction:false\nCREATE TABLE first ();\nCREATE INDEX CONCURRENTLY ok_i ON ok (id);\n{last}\n"
        )
    };
    world.write("db/migrations/2_alone.sql", text("SELECT nofn();"));
    let outcome = world.dbbuild(&["apply", "--url", &db.url]);
    outcome.fails(1).says("2_alone failed at db/migrations/2_alone.sql:4:").says("in statement 3 of 3");
    outcome.says("its first 2 statements stay done").says_not("rolled back");
    world.dbbuild(&["status", "--url", &db.url]).ok().says("interrupted");
    world.write("db/migrations/2_alone.sql", text("CREATE TABLE last ();"));
    world.dbbuild(&["apply", "--url", &db.url]).ok();
    assert!(exists(&db, "first") && exists(&db, "last"));
    world.dbbuild(&["apply", "--url", &db.url]).ok().says("is up to date");
}

/// What a file may leave in its session, and a query that shows whether the next file sees it.
const LEAKS: &[(&str, &str)] = &[
    ("SET search_path = elsewhere, public", "current_setting('search_path')"),
    ("SELECT pg_catalog.set_config('search_path', '', false)", "current_setting('search_path')"),
    ("SET statement_timeout = '7min'", "current_setting('statement_timeout')"),
    ("SET default_transaction_isolation = 'serializable'", "current_setting('transaction_isolation')"),
    ("SET LOCAL work_mem = '7MB'", "current_setting('work_mem')"),
    ("SET TimeZone = 'Asia/Tokyo'", "current_setting('TimeZone')"),
    ("SET session_replication_role = replica", "current_setting('session_replication_role')"),
    ("SET check_function_bodies = off", "current_setting('check_function_bodies')"),
    ("SET standard_conforming_strings = off", "current_setting('standard_conforming_strings')"),
    ("SET client_encoding = 'LATIN1'", "current_setting('client_encoding')"),
    ("SET ROLE it_leak", "current_user"),
    ("SET SESSION AUTHORIZATION it_leak", "session_user"),
    ("SET my.setting = 'x'", "coalesce(current_setting('my.setting', true), '')"),
    ("CREATE TEMPORARY TABLE leaked AS SELECT 1", "coalesce(to_regclass('leaked')::text, '')"),
    ("SELECT pg_advisory_lock(77)", "(SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = 77)::text"),
    ("PREPARE leaked AS SELECT 1", "(SELECT count(*) FROM pg_prepared_statements WHERE from_sql)::text"),
    ("LISTEN leaked", "(SELECT count(*) FROM pg_listening_channels())::text"),
    ("DECLARE leaked CURSOR WITH HOLD FOR SELECT 1", "(SELECT count(*) FROM pg_cursors)::text"),
    ("SET CONSTRAINTS ALL DEFERRED", "''"),
    ("SET lock_timeout = 0", "current_setting('lock_timeout')"),
    ("LOAD 'plpgsql'", "''"),
];

#[test]
fn nothing_of_one_file_is_seen_by_the_next() {
    let Some(server) = server(15) else { return };
    server.run("psql", &["-Xqd", "postgres", "-c", "CREATE ROLE it_leak"]).ok();
    // Alone in their messages because they write rows; joined with others because they do not.
    for (title, probe) in [
        ("alone", "INSERT INTO public.seen SELECT '{n}', {probes};"),
        ("joined", "CREATE TABLE public.seen{n} AS SELECT {probes};"),
    ] {
        let db = server.fresh_database();
        let world = world();
        let probes: Vec<String> = LEAKS.iter().enumerate().map(|(n, (_, shown))| format!("{shown} AS c{n}")).collect();
        let columns: Vec<String> = (0..LEAKS.len()).map(|n| format!("c{n} text")).collect();
        world.write("db/migrations/1_ok.sql", format!("CREATE TABLE public.seen (n text, {});", columns.join(", ")));
        let probe_of = |n: usize| probe.replace("{n}", &n.to_string()).replace("{probes}", &probes.join(", "));
        world.write("db/migrations/10_probe.sql", probe_of(10));
        for (n, (leak, _)) in LEAKS.iter().enumerate() {
            let version = 11 + 2 * n;
            world.write(&format!("db/migrations/{version}_leak.sql"), format!("{leak};\n"));
            world.write(&format!("db/migrations/{}_probe.sql", version + 1), probe_of(version + 1));
        }
        world.dbbuild(&["apply", "--url", &db.url]).ok();
        let seen = |n: usize| match title {
            "alone" => db.psql(&format!("SELECT row_to_json(s)::jsonb - 'n' FROM seen s WHERE n = '{n}'")),
            _ => db.psql(&format!("SELECT row_to_json(s)::jsonb FROM seen{n} s")),
        };
        let clean = seen(10);
        for (n, (leak, _)) in LEAKS.iter().enumerate() {
            assert_eq!(seen(12 + 2 * n), clean, "after `{leak}`, {title}");
        }
    }
}
