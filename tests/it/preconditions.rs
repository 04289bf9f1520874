//! Preconditions: asked before a migration, obeyed by every way that runs one, and sound in a proof.

use crate::support::{Db, World, server};

const FILE: &str = "db/migrations/2_b.sql";
const CONFIG: &str = "[postgres]\nversion = 15\n[env.development]\nurl_env = \"DATABASE_URL\"\n";

fn world(db: &Db<'_>, header: &str) -> World {
    let mut world = World::without_git();
    world.set("DATABASE_URL", &db.url);
    world.write("dbbuild.toml", CONFIG);
    world.write("db/migrations/1_a.sql", "CREATE TABLE a (n int);\nINSERT INTO a VALUES (1);");
    second(&world, header);
    world
}

fn second(world: &World, header: &str) {
    world.write(FILE, format!("{header}\n-- migrate:up\nCREATE TABLE b ();\n-- migrate:down\nDROP TABLE b;\n"));
}

fn rows(db: &Db<'_>) -> String {
    db.psql("SELECT string_agg(version || ' ' || origin, ', ' ORDER BY position) FROM dbbuild.migration")
}

const ASK: &str = "-- SELECT count(*)\n--   FROM a";

#[test]
fn what_holds_runs_and_halt_stops_before_anything_of_the_file_ran() {
    let Some(server) = server(15) else { return };
    let db = server.fresh_database();
    let world = world(&db, &format!("-- dbbuild:precondition on-fail=halt expect=0\n{ASK}"));
    let failed = world.dbbuild(&["apply"]);
    failed.fails(1).says("2_b was halted by its precondition at db/migrations/2_b.sql:1");
    failed.says("expected `0`, found `1`").says("1 of 2 pending migrations are applied");
    assert_eq!(rows(&db), "1 run");
    assert_eq!(db.psql("SELECT to_regclass('b') IS NULL"), "t");
    second(
        &world,
        &format!("-- dbbuild:precondition expect=1\n{ASK}\n-- dbbuild:precondition expect=true\n-- SELECT true"),
    );
    world.dbbuild(&["apply"]).ok();
    assert_eq!(rows(&db), "1 run, 2 run");
}

#[test]
fn mark_ran_records_without_running_and_is_taken_back_by_doing_nothing() {
    let Some(server) = server(15) else { return };
    let db = server.fresh_database();
    let world = world(&db, &format!("-- dbbuild:precondition on-fail=mark-ran expect=0\n{ASK}"));
    let plan = world.dbbuild(&["plan"]);
    plan.ok().says("asks first (mark-ran)");
    world
        .dbbuild(&["apply"])
        .ok()
        .says("marked as applied without running: its precondition in line 1: expected `0`, found `1`");
    assert_eq!(rows(&db), "1 run, 2 marked");
    assert_eq!(db.psql("SELECT to_regclass('b') IS NULL"), "t");
    world.dbbuild(&["log"]).ok().says("marked");
    world.dbbuild(&["apply"]).ok().says("is up to date: 2 migrations");
    assert!(db.psql("SELECT up_sql FROM dbbuild.migration WHERE version = '2'").contains("CREATE TABLE b"));
    assert!(!db.psql("SELECT down_sql FROM dbbuild.migration WHERE version = '2'").contains("DROP"));
}

#[test]
fn skip_neither_runs_nor_records_and_is_asked_again() {
    let Some(server) = server(15) else { return };
    let db = server.fresh_database();
    let world = world(&db, &format!("-- dbbuild:precondition on-fail=skip expect=2\n{ASK}"));
    world.write("db/migrations/3_c.sql", "CREATE TABLE c ();");
    world
        .dbbuild(&["apply"])
        .ok()
        .says("db/migrations/2_b.sql: skipped: its precondition in line 1: expected `2`, found `1`");
    assert_eq!(rows(&db), "1 run, 3 run");
    world.dbbuild(&["status"]).ok().says("pending").says("2_b").says("asks first");
    world.dbbuild(&["apply"]).ok().says("skipped");
    db.psql("INSERT INTO a VALUES (2)");
    world.dbbuild(&["apply"]).ok().says("applied db/migrations/2_b.sql");
    assert_eq!(rows(&db), "1 run, 3 run, 2 run");
}

#[test]
fn a_query_only_looks_and_gives_one_value() {
    let Some(server) = server(15) else { return };
    let db = server.fresh_database();
    let world = world(&db, "-- dbbuild:precondition expect=1\n-- SELECT nowhere\n-- FROM a");
    let failed = world.dbbuild(&["apply"]);
    failed.fails(1).says("a precondition of 2_b failed at db/migrations/2_b.sql:2:11").says("(42703)");
    second(&world, "-- dbbuild:precondition expect=1\n-- SELECT nextval('s')");
    db.psql("CREATE SEQUENCE s");
    world.dbbuild(&["apply"]).fails(1).says("cannot execute nextval() in a read-only transaction");
    second(&world, "-- dbbuild:precondition expect=1\n-- SELECT 1 FROM a WHERE false");
    world.dbbuild(&["apply"]).fails(1).says("gives no single value").says("it gave 0 row(s)");
    second(&world, "-- dbbuild:precondition expect=1\n-- SELECT generate_series(1, 2)");
    world.dbbuild(&["apply"]).fails(1).says("it gave 2 row(s) of 1 column(s)");
    // Nothing of a query stays in the session.
    second(&world, "-- dbbuild:precondition expect=x\n-- SELECT set_config('search_path', 'x', false)");
    world.dbbuild(&["apply"]).ok();
    assert_eq!(db.psql("SELECT to_regclass('public.b') IS NOT NULL"), "t");
}

#[test]
fn a_proof_asks_too_and_a_new_database_asks_again_what_was_skipped_in_it() {
    let Some(server) = server(15) else { return };
    let db = server.fresh_database();
    let world = world(&db, &format!("-- dbbuild:precondition on-fail=skip expect=2\n{ASK}"));
    world.write(
        "db/migrations/3_c.sql",
        format!("-- dbbuild:precondition on-fail=mark-ran expect=0\n{ASK}\nCREATE TABLE c ();"),
    );
    // Guarded by its precondition it changes nothing a second time.
    world.write(
        "db/migrations/4_d.sql",
        "-- dbbuild:precondition on-fail=mark-ran expect=true\n-- SELECT to_regclass('d') IS NULL\nCREATE TABLE d ();",
    );
    world.write(
        "db/migrations/1_a.sql",
        "-- dbbuild:idempotent false rows\nCREATE TABLE a (n int);\nINSERT INTO a VALUES (1);",
    );
    world.dbbuild(&["baseline"]).ok();
    let baseline = std::fs::read_to_string(world.path("db/baseline.sql")).unwrap();
    assert!(!baseline.contains("CREATE TABLE public.b ") && !baseline.contains("CREATE TABLE public.c "));
    assert!(baseline.contains("CREATE TABLE public.d "), "{baseline}");
    assert!(!baseline.contains("2\tb\t") && baseline.contains("3\tc\t") && baseline.contains("4\td\t"), "{baseline}");
    world.dbbuild(&["verify", "--worktree"]).ok();
    world.dbbuild(&["verify", "--worktree", "--full"]).ok();
    world.dbbuild(&["bootstrap"]).ok().says("skipped");
    assert_eq!(rows(&db), "1 baseline, 3 baseline, 4 baseline");
}
