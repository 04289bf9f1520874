//! Long work: a statement repeated in small transactions, killed and gone on with, and never without end.

use nix::sys::signal::Signal;

use crate::support::{Db, Held, World, server, until};

const FILE: &str = "db/migrations/2_fill.sql";
const FILL: &str = "UPDATE big SET b = a WHERE a IN (SELECT a FROM big WHERE b IS NULL LIMIT :size);\n";

fn world(db: &Db<'_>, rows: usize, text: &str) -> World {
    let mut world = World::without_git();
    world.set("DATABASE_URL", &db.url);
    world.write(
        "dbbuild.toml",
        "[postgres]\nversion = 15\n[lock]\ntimeout = \"200ms\"\n[env.development]\nurl_env = \"DATABASE_URL\"\n",
    );
    world.write(
        "db/migrations/1_big.sql",
        format!(
            "-- dbbuild:idempotent false rows\nCREATE TABLE big (a int PRIMARY KEY, b int);\n\
                 INSERT INTO big SELECT n FROM generate_series(1, {rows}) n;\nCREATE TABLE log (n int);"
        ),
    );
    world.write(FILE, text);
    world
}

/// Applies what stands before the file.
fn apply_first(world: &World) {
    let text = std::fs::read_to_string(world.path(FILE)).unwrap();
    std::fs::remove_file(world.path(FILE)).unwrap();
    world.dbbuild(&["apply"]).ok();
    world.write(FILE, text);
}

/// Locks a row of the sixth batch of a hundred; the five before it go through.
fn hold_sixth(db: &Db<'_>) -> Held {
    let mut held = Held::open(db);
    held.run("BEGIN; SELECT FROM big WHERE a = 550 FOR UPDATE");
    held
}

const FIVE_DONE: &str = "SELECT count(*) = 500 AND max(a) = 500 FROM big WHERE b IS NOT NULL";

fn left(db: &Db<'_>) -> String {
    db.psql("SELECT count(*) FROM big WHERE b IS NULL")
}

#[test]
fn a_statement_is_repeated_until_it_touches_no_row() {
    let Some(server) = server(15) else { return };
    let db = server.fresh_database();
    let text = format!(
        "ALTER TABLE big ADD COLUMN c int;\n-- dbbuild:batch size=300 pause=1ms\n{FILL}UPDATE big SET c = 1 WHERE a = 1;\n"
    );
    let world = world(&db, 1000, &text);
    world.dbbuild(&["plan"]).ok().says("in batches of 300");
    world.dbbuild(&["apply"]).ok();
    assert_eq!(left(&db), "0");
    let journal = "SELECT string_agg(concat_ws(' ', ordinal, state, line, rows), ', ' ORDER BY ordinal) FROM dbbuild.statement WHERE version = '2'";
    assert_eq!(db.psql(journal), "1 done 1, 2 done 3 1000, 3 done 4 1");
    // Four batches wrote, each in a transaction of its own.
    assert_eq!(db.psql("SELECT count(DISTINCT xmin::text) FROM big WHERE a > 1"), "4");
    world.dbbuild(&["log", "--slowest", "2"]).ok().says("fill  2          3").says("1000");
}

#[test]
fn a_killed_batch_goes_on_where_it_stood() {
    let Some(server) = server(15) else { return };
    let db = server.fresh_database();
    let text = format!("-- dbbuild:batch size=100 pause=1ms\n{FILL}INSERT INTO log VALUES (1);\n");
    let world = world(&db, 2000, &text);
    apply_first(&world);
    let held = hold_sixth(&db);
    let mut dbbuild = world.start(&["apply"]);
    until(&db, FIVE_DONE);
    dbbuild.signal(Signal::SIGKILL);
    assert_eq!(dbbuild.wait().status, 128 + 9);
    drop(held);
    assert_eq!(left(&db), "1500");
    assert_eq!(db.psql("SELECT state || ' ' || rows FROM dbbuild.statement WHERE version = '2'"), "started 500");
    world.dbbuild(&["status"]).ok().says("interrupted");
    world.dbbuild(&["apply"]).ok();
    assert_eq!(left(&db), "0");
    assert_eq!(db.psql("SELECT rows FROM dbbuild.statement WHERE version = '2' AND ordinal = 1"), "2000");
    assert_eq!(db.psql("SELECT count(*) FROM log"), "1");
}

#[test]
fn a_statement_that_finds_the_same_rows_again_is_stopped() {
    let Some(server) = server(15) else { return };
    let db = server.fresh_database();
    let endless = "-- dbbuild:batch size=100\nUPDATE big SET b = 1 WHERE a IN (SELECT a FROM big LIMIT :size);\n";
    let world = world(&db, 250, endless);
    let failed = world.dbbuild(&["apply"]);
    failed.fails(1).says("a batch does not come to an end: it touched 600 rows").says("2_fill.sql:2:1");
    failed.says("must not be found again").says("--settle 2:1=retry");
    world.write(FILE, "-- dbbuild:batch size=100 max=300\nINSERT INTO log SELECT 1 FROM generate_series(1, :size);");
    world
        .dbbuild(&["apply", "--settle", "2:1=retry"])
        .fails(1)
        .says("it touched 400 rows, and its directive allows 300");
    world.write(FILE, "-- dbbuild:batch size=10\nINSERT INTO log SELECT a FROM big LIMIT :size;");
    world.dbbuild(&["apply", "--settle", "2:1=retry"]).fails(1).says("a batch does not come to an end");
    world.write(FILE, format!("-- dbbuild:batch size=100\n{FILL}-- dbbuild:batch size=7\nDELETE FROM log WHERE ctid IN (SELECT ctid FROM log LIMIT :size);"));
    world.dbbuild(&["apply", "--settle", "2:1=retry"]).ok();
    assert_eq!(db.psql("SELECT count(*) FROM log"), "0");
}

#[test]
fn each_batch_waits_for_locks_and_tries_again() {
    let Some(server) = server(15) else { return };
    let db = server.fresh_database();
    let world = world(&db, 1000, &format!("-- dbbuild:batch size=100 pause=1ms\n{FILL}"));
    apply_first(&world);
    let mut held = hold_sixth(&db);
    let mut dbbuild = world.start(&["apply"]);
    dbbuild.until_says("lock timeout").until_says("held by");
    assert_eq!(db.psql(FIVE_DONE), "t");
    held.run("COMMIT");
    dbbuild.wait().ok();
    assert_eq!(left(&db), "0");
}

#[test]
fn what_cannot_be_a_batch_is_refused_with_its_line() {
    let Some(server) = server(15) else { return };
    let db = server.fresh_database();
    let world = world(&db, 1, "");
    for (text, message) in [
        ("-- dbbuild:batch size=5\nUPDATE big SET b = 1;", "does not say `:size` at db/migrations/2_fill.sql:2:1"),
        ("-- dbbuild:batch size=5\nCREATE TABLE x ();", "only INSERT, UPDATE, DELETE or MERGE can be a batch"),
        ("SELECT 1;\n-- dbbuild:batch size=5", "no statement follows `-- dbbuild:batch` at db/migrations/2_fill.sql:2"),
        (
            "BEGIN;\n-- dbbuild:batch size=5\nDELETE FROM big WHERE a < :size;\nCOMMIT;",
            "a batch stands inside BEGIN … COMMIT",
        ),
        (
            "-- dbbuild:psql true\n-- dbbuild:batch size=5\nDELETE FROM big LIMIT :size;",
            "a file that psql runs has no batches",
        ),
    ] {
        world.write(FILE, text);
        world.dbbuild(&["apply"]).fails(1).says(message);
    }
}

#[test]
fn a_proof_runs_batches_twice() {
    let Some(server) = server(15) else { return };
    let db = server.fresh_database();
    let world = world(&db, 1000, &format!("-- dbbuild:batch size=300\n{FILL}"));
    world.write("db/testdata/default/more.sql", "INSERT INTO big SELECT n FROM generate_series(2001, 3000) n;");
    world.dbbuild(&["baseline"]).ok();
    world.dbbuild(&["verify", "--worktree", "--full"]).ok();
    world.write(FILE, "-- dbbuild:batch size=300\nUPDATE big SET b = coalesce(b, 0) + 1 WHERE a IN (SELECT a FROM big WHERE coalesce(b, 0) < 2 LIMIT :size);\nINSERT INTO log VALUES (1);");
    world.dbbuild(&["baseline"]).fails(1).says("when it is run again");
}
