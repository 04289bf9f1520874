//! Keeping and giving back while other sessions write and lock the same rows: nothing is lost, kept twice or overwritten.
//!
//! A script waits at a gate, an advisory lock that the test holds, so that what others do falls between what dbbuild does.

use crate::support::{Db, Held, Outcome, Server, World, server, until};

const GATE: &str = "SELECT pg_advisory_xact_lock(4711)";

const ENTRIES: &str = "SELECT concat_ws(' ', kind, reason, table_name, rows) FROM dbbuild_attic.entry ORDER BY id";

fn world(db: &Db<'_>, base: &str, up: &str, down: &str) -> World {
    let mut world = World::without_git();
    world.set("DATABASE_URL", &db.url);
    world.write(
        "dbbuild.toml",
        "[postgres]\nversion = 15\nthrowaway = \"local\"\n[lock]\ntimeout = \"60s\"\n[env.development]\nurl_env = \"DATABASE_URL\"\n",
    );
    world.write("db/migrations/1_base.sql", base);
    world.write("db/migrations/2_more.sql", format!("-- migrate:up\n{up};\n-- migrate:down\n{down};\n"));
    world.dbbuild(&["apply"]).ok();
    world
}

/// Waits until sessions of a name wait for so many locks.
fn waiting(db: &Db<'_>, name: &str, locks: usize) {
    until(
        db,
        &format!(
            "SELECT count(*) = {locks} FROM pg_stat_activity WHERE application_name ~ '^{name}' \
             AND datname = current_database() AND wait_event_type = 'Lock'"
        ),
    );
}

/// Runs a command that comes to the gate, `meanwhile` what others do when it stands there.
fn at_the_gate(db: &Db<'_>, world: &World, arguments: &[&str], meanwhile: impl FnOnce()) -> Outcome {
    let mut gate = Held::open(db);
    gate.run(&GATE.replace("_xact", ""));
    let dbbuild = world.start(arguments);
    waiting(db, "dbbuild", 1);
    meanwhile();
    drop(gate);
    dbbuild.wait()
}

const DOWN: [&str; 3] = ["downgrade", "--to", "1"];

#[test]
fn rows_that_came_after_the_transaction_began_are_kept_at_any_isolation() {
    let Some(server) = server(15) else { return };
    for level in ["read committed", "repeatable read", "serializable"] {
        let db = server.fresh_database();
        db.psql(&format!("ALTER DATABASE {} SET default_transaction_isolation = '{level}'", db.name));
        let up = "CREATE TABLE IF NOT EXISTS t (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, v text)";
        let world = world(&db, "SELECT 1", up, &format!("{GATE}; DROP TABLE t"));
        db.psql("INSERT INTO t (v) VALUES ('before')");
        let down = at_the_gate(&db, &world, &DOWN, || {
            db.psql("INSERT INTO t (v) VALUES ('meanwhile')");
        });
        down.ok();
        assert_eq!(db.psql(ENTRIES), "table dropped t 2\nsequence dropped t_id_seq 0", "{level}");
        world.dbbuild(&["apply"]).ok();
        // The sequence stands behind what the other session took of it.
        db.psql("INSERT INTO t (v) VALUES ('after')");
        assert_eq!(db.psql("SELECT id, v FROM t ORDER BY id"), "1|before\n2|meanwhile\n3|after", "{level}");
    }
}

#[test]
fn a_row_without_a_key_that_another_session_wrote_is_kept() {
    let Some(server) = server(15) else { return };
    let db = server.fresh_database();
    let world = world(&db, "CREATE TABLE t (a int, b text)", "SELECT 1", &format!("DELETE FROM t WHERE a = 1; {GATE}"));
    db.psql("INSERT INTO t VALUES (1, 'one'), (2, 'two'), (3, 'three')");
    let (mut writer, mut locker) = (Held::open(&db), Held::open(&db));
    let down = at_the_gate(&db, &world, &DOWN, || {
        writer.send("UPDATE t SET b = 'written' WHERE a = 1;");
        waiting(&db, "holder", 1);
        locker.run("BEGIN; SELECT FROM t WHERE a = 2 FOR SHARE; COMMIT");
    });
    down.ok();
    assert_eq!(db.psql(ENTRIES), "row deleted t 1", "{}", down.show());
    world.dbbuild(&["apply"]).ok();
    assert_eq!(db.psql("SELECT a, b FROM t ORDER BY a"), "1|written\n2|two\n3|three");
}

#[test]
fn what_another_session_writes_while_a_value_comes_back_stands() {
    let Some(server) = server(15) else { return };
    let db = server.fresh_database();
    let world = world(&db, "CREATE TABLE t (id int PRIMARY KEY, v text)", GATE, "UPDATE t SET v = upper(v)");
    db.psql("INSERT INTO t VALUES (1, 'a'), (2, 'b'), (3, 'c')");
    world.dbbuild(&DOWN).ok();
    let (mut writer, mut other) = (Held::open(&db), Held::open(&db));
    let up = at_the_gate(&db, &world, &["apply"], || {
        writer.send("UPDATE t SET v = 'mine' WHERE id = 1;");
        other.send("DELETE FROM t WHERE id = 2;");
        until(
            &db,
            "SELECT count(*) = 0 FROM pg_stat_activity WHERE application_name = 'holder' AND datname = current_database() \
             AND state = 'active' AND wait_event_type IS DISTINCT FROM 'Lock'",
        );
    });
    up.ok();
    writer.run("SELECT");
    other.run("SELECT");
    assert_eq!(db.psql("SELECT id, v FROM t ORDER BY id"), "1|mine\n3|c", "{}", up.show());
}

#[test]
fn what_comes_in_the_way_only_of_the_second_run_is_taken_out() {
    let Some(server) = server(15) else { return };
    let db = server.fresh_database();
    let down = format!("DELETE FROM u; ALTER TABLE t ADD CHECK (n > 0); {GATE}");
    let world = world(&db, "CREATE TABLE t (id int PRIMARY KEY, n int); CREATE TABLE u (id int)", "SELECT 1", &down);
    db.psql("INSERT INTO t VALUES (1, 1); INSERT INTO u VALUES (1)");
    let mut writer = Held::open(&db);
    let down = at_the_gate(&db, &world, &DOWN, || {
        writer.send("INSERT INTO t VALUES (2, -1);");
        waiting(&db, "holder", 1);
    });
    down.ok();
    assert_eq!(db.psql(ENTRIES), "row refused t 1\nrow deleted u 1");
}

#[test]
fn rows_that_others_hold_locks_on_are_kept() {
    let Some(server) = server(15) else { return };
    for key in ["PRIMARY KEY", ""] {
        let db = server.fresh_database();
        let base = format!("CREATE TABLE t (id int {key}, v text)");
        let world = world(&db, &base, "SELECT 1", "UPDATE t SET v = upper(v) WHERE id < 3");
        db.psql("INSERT INTO t SELECT i, 'v' || i FROM generate_series(1, 4) i");
        let (mut one, mut other) = (Held::open(&db), Held::open(&db));
        for session in [&mut one, &mut other] {
            session.run("BEGIN; SELECT FROM t WHERE id IN (1, 3) FOR KEY SHARE");
        }
        // They hold them until it is done: it waits for nobody.
        world.dbbuild(&DOWN).ok().says_not("waits for");
        assert_eq!(db.psql(ENTRIES), "value changed t 2");
        drop((one, other));
        world.dbbuild(&["apply"]).ok();
        assert_eq!(db.psql("SELECT string_agg(v, ' ' ORDER BY id) FROM t"), "v1 v2 v3 v4");
    }
}

#[test]
fn what_is_published_to_subscribers_is_kept_and_given_back() {
    let Some(server) = Server::private(15, &["wal_level=logical", "max_prepared_transactions=2"]) else { return };
    let db = server.fresh_database();
    db.psql("CREATE PUBLICATION everything FOR ALL TABLES");
    let base = "CREATE TABLE t (id int PRIMARY KEY, v text); CREATE TABLE bag (a int, b text); ALTER TABLE bag REPLICA IDENTITY FULL; \
                CREATE TABLE n (id int PRIMARY KEY, n int)";
    let up = "ALTER TABLE n ALTER n DROP NOT NULL";
    let down = "UPDATE t SET v = upper(v); DELETE FROM bag; ALTER TABLE n ALTER n SET NOT NULL";
    let world = world(&db, base, up, down);
    db.psql("INSERT INTO t VALUES (1, 'a'), (2, 'b'); INSERT INTO bag VALUES (1, 'x'); INSERT INTO n VALUES (1, NULL), (2, 2)");
    world.dbbuild(&DOWN).ok();
    db.psql("UPDATE t SET v = 'mine' WHERE id = 2");
    world.dbbuild(&["apply"]).ok().says("id = 2: it was changed meanwhile");
    assert_eq!(db.psql("SELECT string_agg(v, ' ' ORDER BY id) FROM t"), "a mine");
    assert_eq!(db.psql("SELECT (SELECT count(*) FROM bag), (SELECT count(*) FROM n)"), "1|2");
    // What nobody is connected for any more is named too.
    Held::open(&db).run("BEGIN; UPDATE t SET v = 'late' WHERE id = 1; PREPARE TRANSACTION 'left behind'");
    until(&db, "SELECT count(*) = 1 FROM pg_prepared_xacts");
    let mut down = world.start(&DOWN);
    down.until_says("waits for prepared transaction 'left behind' of postgres, for ");
    db.psql("COMMIT PREPARED 'left behind'");
    down.wait().ok();
    assert_eq!(db.psql("SELECT v FROM t WHERE id = 1"), "LATE");
}
