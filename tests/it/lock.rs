//! One dbbuild at a time; locks of other sessions; and time limits of the server that must not break a run.

use std::time::{Duration, Instant};

use crate::support::{Db, Gate, Held, Running, World, server, until};

/// A world with these migrations.
fn world(db: &Db<'_>, lock: &str, migrations: &[(&str, &str)]) -> World {
    let mut world = World::without_git();
    world.set("DATABASE_URL", &db.url);
    world.write(
        "dbbuild.toml",
        format!("[postgres]\nversion = 15\n[lock]\n{lock}\n[env.development]\nurl_env = \"DATABASE_URL\"\n"),
    );
    for (name, text) in migrations {
        world.write(&format!("db/migrations/{name}.sql"), text);
    }
    world
}

const WAITS: &str = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' \
                     AND application_name = 'dbbuild' AND datname = current_database())";

#[test]
fn of_five_at_once_exactly_one_applies() {
    let Some(server) = server(15) else { return };
    let db = server.fresh_database();
    let url = server.url("it_of_five");
    let gate = Gate::new(server);
    let mut world = world(
        &db,
        "wait = \"1min\"",
        &[
            ("1_table", "CREATE TABLE t (n int)"),
            ("2_row", &format!("INSERT INTO t VALUES (1); {}", gate.sql())),
            ("3_more", "CREATE TABLE u (n int)"),
        ],
    );
    // The database is missing as well: they make it at the same time.
    world.set("DATABASE_URL", &url);
    let running: Vec<Running> = (0..5).map(|_| world.start(&["build", "--no-baseline"])).collect();
    let waiting = || running.iter().filter(|one| one.has_said("waits for another dbbuild: process ")).count();
    let start = Instant::now();
    while waiting() < 4 {
        assert!(start.elapsed() < Duration::from_secs(120), "only {} wait", waiting());
        std::thread::sleep(Duration::from_millis(10));
    }
    gate.open();
    let outcomes: Vec<_> = running.into_iter().map(Running::wait).collect();
    let made = db_at(server, "it_of_five", "SELECT (SELECT count(*) FROM t) || ' ' || count(*) FROM dbbuild.migration");
    server.run("psql", &["-Xqc", "DROP DATABASE it_of_five WITH (FORCE)", "-d", "postgres"]).ok();
    assert_eq!(made, "1 3");
    for outcome in &outcomes {
        outcome.ok();
    }
    assert_eq!(outcomes.iter().filter(|outcome| outcome.stdout.contains("applied db/migrations")).count(), 1);
}

fn db_at(server: &crate::support::Server, database: &str, sql: &str) -> String {
    server.run("psql", &["-XAtqc", sql, "-d", database]).ok().stdout.trim().to_owned()
}

#[test]
fn waiting_for_another_dbbuild_has_an_end() {
    let Some(server) = server(15) else { return };
    let db = server.fresh_database();
    let world = world(&db, "wait = \"300ms\"", &[("1_slow", "CREATE TABLE t (); SELECT pg_sleep(60)")]);
    let first = world.start(&["apply"]);
    until(
        &db,
        "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database())",
    );
    let second = world.dbbuild(&["apply"]);
    second.fails(1).says("another dbbuild works on this database: process ").says("of postgres").says("(lock.wait)");
    second.says("nothing was changed");
    drop(first);
    // The lock goes with the killed one, in a moment; the table that it had made goes with its transaction.
    until(
        &db,
        "SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE application_name = 'dbbuild lock' AND datname = current_database())",
    );
    world.write("db/migrations/1_slow.sql", "CREATE TABLE t ()");
    world.dbbuild(&["apply"]).ok();
    assert_eq!(db.psql("SELECT count(*) FROM dbbuild.migration"), "1");
}

#[test]
fn a_lock_of_another_session_is_waited_for_and_named() {
    let Some(server) = server(15) else { return };
    for file in ["ALTER TABLE t ADD COLUMN m int", "-- migrate:up transaction:false\nALTER TABLE t ADD COLUMN m int"] {
        let db = server.fresh_database();
        let world = world(&db, "timeout = \"150ms\"", &[("1_table", "CREATE TABLE t (n int)")]);
        world.dbbuild(&["apply"]).ok();
        world.write("db/migrations/2_column.sql", file);
        let mut holder = Held::open(&db);
        holder.run("BEGIN; SELECT count(*) FROM t");
        let mut dbbuild = world.start(&["apply"]);
        dbbuild.until_says("try 2 of 6").until_says("held by process ");
        holder.run("COMMIT");
        dbbuild.wait().ok().says("postgres (holder), idle in transaction");
        assert_eq!(db.psql("SELECT count(*) FROM pg_attribute WHERE attrelid = 't'::regclass AND attname = 'm'"), "1");
    }
}

#[test]
fn a_lock_that_is_never_free_ends_the_run_with_its_holder_named() {
    let Some(server) = server(15) else { return };
    let db = server.fresh_database();
    // Long enough for a look at who holds the lock in each try.
    let world = world(&db, "timeout = \"400ms\"", &[("1_table", "CREATE TABLE t (n int)")]);
    world.dbbuild(&["apply"]).ok();
    world.write("db/migrations/2_both.sql", "CREATE TABLE u ();\nDROP TABLE t");
    let mut holder = Held::open(&db);
    holder.run("BEGIN; LOCK TABLE t");
    let outcome = world.dbbuild(&["apply"]);
    outcome.fails(1).says("2_both failed at db/migrations/2_both.sql:2:1").says("(55P03)");
    outcome
        .says("the lock was held by process ")
        .says("postgres (holder)")
        .says("it was rolled back")
        .says("try 6 of 6");
    assert_eq!(db.psql("SELECT to_regclass('u') IS NULL AND count(*) = 1 FROM dbbuild.migration"), "t");
}

#[test]
fn a_deadlock_is_tried_again() {
    let Some(server) = server(15) else { return };
    let db = server.fresh_database();
    // The second table is asked for when the other session waits for the first; that one lets go of it at the second try.
    let slow = "SET LOCAL deadlock_timeout = '50ms'; LOCK TABLE a; DO $$ BEGIN WHILE \
                EXISTS (SELECT FROM pg_locks WHERE relation = 'b'::regclass AND granted AND pid <> pg_backend_pid()) AND \
                NOT EXISTS (SELECT FROM pg_locks WHERE relation = 'a'::regclass AND NOT granted) \
                LOOP PERFORM pg_sleep(0.02); END LOOP; END $$; LOCK TABLE b; INSERT INTO a VALUES (1)";
    let world = world(&db, "timeout = \"5s\"", &[("1_tables", "CREATE TABLE a (n int); CREATE TABLE b (n int)")]);
    world.dbbuild(&["apply"]).ok();
    world.write("db/migrations/2_slow.sql", slow);
    let mut holder = Held::open(&db);
    holder.run("SET deadlock_timeout = '30s'; BEGIN; LOCK TABLE b");
    let dbbuild = world.start(&["apply"]);
    until(
        &db,
        "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database())",
    );
    holder.run("LOCK TABLE a; COMMIT");
    dbbuild.wait().ok().says("deadlock detected").says("try 2 of 6");
    assert_eq!(db.psql("SELECT count(*) FROM a"), "1");
}

#[test]
fn a_concurrent_index_build_waits_beside_another_dbbuild() {
    let Some(server) = server(15) else { return };
    let db = server.fresh_database();
    let world = world(&db, "timeout = \"100ms\"\nwait = \"1min\"", &[("1_table", "CREATE TABLE t (n int)")]);
    world.dbbuild(&["apply"]).ok();
    world.write("db/migrations/2_index.sql", "CREATE INDEX CONCURRENTLY t_n ON t (n)");
    let mut holder = Held::open(&db);
    holder.run("BEGIN; INSERT INTO t VALUES (1)");
    let mut first = world.start(&["apply"]);
    until(&db, WAITS);
    let mut second = world.start(&["apply"]);
    second.until_says("waits for another dbbuild");
    first.until_says("waits for process ").until_says("postgres (holder)");
    holder.run("COMMIT");
    let released = Instant::now();
    first.wait().ok().says("without being told");
    second.wait().ok();
    assert!(released.elapsed() < Duration::from_secs(30), "it hung");
    assert_eq!(db.psql("SELECT indisvalid FROM pg_index WHERE indexrelid = 't_n'::regclass"), "t");
}

#[test]
fn time_limits_of_the_database_do_not_end_a_run() {
    let Some(server) = server(15) else { return };
    let db = server.fresh_database();
    // From another database: a psql in this one would have the same limits.
    let limits = [
        ("statement_timeout", "250ms"),
        ("idle_session_timeout", "250ms"),
        ("idle_in_transaction_session_timeout", "250ms"),
        ("lock_timeout", "1ms"),
    ]
    .map(|(name, value)| format!("ALTER DATABASE {} SET {name} = '{value}';", db.name));
    db_at(server, "postgres", &limits.concat());
    let migrations = [
        ("1_table", "CREATE TABLE t (n int)"),
        ("2_slow", "SELECT pg_sleep(0.4);\nCOPY t FROM stdin;\n1\n\\.\nRESET ALL; INSERT INTO t VALUES (2)"),
        (
            "3_steps",
            "-- migrate:up transaction:false\nDISCARD ALL;\nSELECT pg_sleep(0.4);\nINSERT INTO t VALUES (3);\nRESET ALL;\nSELECT pg_sleep(0.4);\nVACUUM t;",
        ),
        ("4_last", "DO $$ BEGIN PERFORM pg_sleep(0.4); END $$; INSERT INTO t VALUES (4)"),
    ];
    let world = world(&db, "timeout = \"5s\"", &migrations);
    world.write("db/checks/slow.sql", "SELECT n FROM t, pg_sleep(0.1) WHERE n > 4");
    world.dbbuild(&["apply"]).ok();
    db_at(server, "postgres", &format!("ALTER DATABASE {} RESET ALL", db.name));
    assert_eq!(db.psql("SELECT string_agg(n::text, ' ' ORDER BY n) FROM t"), "1 2 3 4");
}
