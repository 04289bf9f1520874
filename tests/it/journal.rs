//! Migrations that cannot be one transaction: what their journal keeps after a failure or a kill, and how they go on.

use nix::sys::signal::Signal;

use crate::support::{Db, Held, World, server, until};

const FILE: &str = "db/migrations/2_steps.sql";

/// A world whose second migration has this body and runs with `transaction:false`; the first makes tables.
fn world(db: &Db<'_>, setup: &str, steps: &str) -> World {
    let mut world = World::without_git();
    world.set("DATABASE_URL", &db.url);
    world.write(
        "dbbuild.toml",
        "[postgres]\nversion = 15\n[lock]\ntimeout = \"200ms\"\n[env.development]\nurl_env = \"DATABASE_URL\"\n",
    );
    world.write("db/migrations/1_setup.sql", format!("CREATE TABLE log (n int, what text);\n{setup}"));
    edit(&world, steps);
    world
}

fn edit(world: &World, steps: &str) {
    world.write(FILE, format!("-- migrate:up transaction:false\n{steps}"));
}

fn log(db: &Db<'_>) -> String {
    db.psql("SELECT coalesce(string_agg(n || coalesce(what, ''), ' ' ORDER BY n), '') FROM log")
}

/// Runs until the query gives `t`, and kills dbbuild then.
fn kill_when(world: &World, db: &Db<'_>, query: &str) {
    let mut dbbuild = world.start(&["apply"]);
    until(db, query);
    dbbuild.signal(Signal::SIGKILL);
    assert_eq!(dbbuild.wait().status, 128 + 9);
}

#[test]
fn a_failed_statement_leaves_the_earlier_ones_done_and_the_next_run_goes_on_there() {
    let Some(server) = server(15) else { return };
    let db = server.fresh_database();
    let good = "INSERT INTO log VALUES (1);\nINSERT INTO log VALUES (2);\n";
    let world = world(&db, "", &format!("{good}INSERT INTO log VALUES\n  (3, nowhere);\nINSERT INTO log VALUES (4);"));
    let failed = world.dbbuild(&["apply"]);
    failed.fails(1).says("2_steps failed at db/migrations/2_steps.sql:5:7").says("statement 3 of 4");
    failed.says("(42703)").says("its first 2 statements stay done");
    assert_eq!(log(&db), "1 2");
    world.dbbuild(&["apply"]).fails(1).says("2_steps.sql:5:7");
    assert_eq!(log(&db), "1 2");

    edit(&world, "INSERT INTO log VALUES (1);\nINSERT INTO log VALUES (22);\nINSERT INTO log VALUES (3);");
    world.dbbuild(&["apply"]).fails(1).says("its statement 2, which ran, was changed since").says("2_steps.sql:3:1");
    edit(&world, "INSERT INTO log VALUES (1);\n");
    world.dbbuild(&["apply"]).fails(1).says("statement 2, which ran, was changed since");
    assert_eq!(log(&db), "1 2");

    edit(&world, &format!("{good}INSERT INTO log VALUES (33);\nINSERT INTO log VALUES (4);"));
    world.dbbuild(&["apply"]).ok().says("ran as transaction:false");
    assert_eq!(log(&db), "1 2 4 33");
    // The row has the text that ran in the end, so it is no edited file.
    world.dbbuild(&["apply"]).ok().says("is up to date: 2 migrations");
    assert_eq!(db.psql("SELECT state, up_sql LIKE '%(33)%' FROM dbbuild.migration WHERE version = '2'"), "applied|t");
}

#[test]
fn a_migration_of_which_nothing_ran_was_never_begun() {
    let Some(server) = server(15) else { return };
    let db = server.fresh_database();
    let world = world(&db, "", "SELECT nowhere; INSERT INTO log VALUES (1)");
    world.dbbuild(&["apply"]).fails(1).says("statement 1 of 2");
    assert_eq!(db.psql("SELECT string_agg(version, ' ') FROM dbbuild.migration"), "1");
    for (text, what, line) in [
        ("INSERT INTO log VALUES (1);\nBEGIN;\nSELECT 1;", "BEGIN without a COMMIT", 3),
        ("BEGIN;\nCOMMIT AND CHAIN;\nCOMMIT;", "AND CHAIN", 3),
    ] {
        edit(&world, text);
        world.dbbuild(&["apply"]).fails(1).says(what).says(&format!("2_steps.sql:{line}:1"));
    }
    world.write(FILE, "INSERT INTO log VALUES (7);");
    world.dbbuild(&["apply"]).ok();
    assert_eq!(log(&db), "7");
}

#[test]
fn settings_of_the_session_are_made_again_and_stay_out_of_the_next_file() {
    let Some(server) = server(15) else { return };
    let db = server.fresh_database();
    let steps = "SET search_path = app;\nBEGIN;\nSET app.word = 'kept';\nINSERT INTO public.log VALUES (1);\nCOMMIT;\n\
                 DISCARD ALL;\nSET search_path = app, pg_catalog;\nSET app.word = 'late';\n";
    let tail = "CREATE TABLE here AS SELECT current_setting('app.word') AS word";
    let world = world(&db, "CREATE SCHEMA app", &format!("{steps}SELECT nowhere;\n{tail}"));
    world.write("db/migrations/3_next.sql", "CREATE TABLE there ()");
    world.dbbuild(&["apply"]).fails(1).says("statement 9 of 10");
    edit(&world, &format!("{steps}{tail}"));
    world.dbbuild(&["apply"]).ok();
    assert_eq!(db.psql("SELECT word FROM app.here"), "late");
    assert_eq!(db.psql("SELECT to_regclass('public.there')"), "there");
    assert_eq!(log(&db), "1");
}

#[test]
fn a_temporary_table_forces_a_restart() {
    let Some(server) = server(15) else { return };
    let db = server.fresh_database();
    let steps = "CREATE TEMP TABLE t AS SELECT 5 AS n;\nCREATE INDEX CONCURRENTLY IF NOT EXISTS log_n ON log (n);\n";
    let world = world(&db, "", &format!("{steps}SELECT nowhere;"));
    world.dbbuild(&["apply"]).fails(1).says("statement 3 of 3");
    edit(&world, &format!("{steps}INSERT INTO log SELECT n FROM t;"));
    world.dbbuild(&["apply"]).ok().says("begins again at its first statement");
    assert_eq!(log(&db), "5");
}

#[test]
fn what_an_interrupted_concurrent_statement_left_is_settled() {
    let Some(server) = server(15) else { return };
    let parted = "CREATE TABLE p (k int, v int) PARTITION BY LIST (k); CREATE TABLE p1 PARTITION OF p FOR VALUES IN (1);\
                  CREATE INDEX log_n ON log (n); INSERT INTO log VALUES (1)";
    let valid = "SELECT count(*) = 0 FROM pg_index WHERE NOT indisvalid";
    let broken = "SELECT count(*) > 0 FROM pg_index WHERE NOT indisvalid";
    let pending = "SELECT count(*) > 0 FROM pg_inherits WHERE inhdetachpending";
    for (statement, interrupted, table, good) in [
        (
            "CREATE INDEX CONCURRENTLY \"Log What\" ON log (what)",
            broken,
            "log",
            "SELECT to_regclass('\"Log What\"') IS NOT NULL",
        ),
        (
            "CREATE INDEX CONCURRENTLY ON log (what)",
            broken,
            "log",
            "SELECT count(*) = 2 FROM pg_index WHERE indrelid = 'log'::regclass",
        ),
        ("DROP INDEX CONCURRENTLY log_n", broken, "log", "SELECT to_regclass('log_n') IS NULL"),
        (
            "REINDEX TABLE CONCURRENTLY log",
            broken,
            "log",
            "SELECT count(*) = 1 FROM pg_index WHERE indrelid = 'log'::regclass",
        ),
        (
            "ALTER TABLE p DETACH PARTITION p1 CONCURRENTLY",
            pending,
            "p",
            "SELECT count(*) = 0 FROM pg_inherits WHERE inhparent = 'p'::regclass",
        ),
    ] {
        eprintln!("{statement}");
        let db = server.fresh_database();
        let steps = format!("INSERT INTO log VALUES (2);\n{statement};\nINSERT INTO log VALUES (3);");
        let world = world(&db, parted, &steps);
        edit(&world, "SELECT nowhere");
        world.dbbuild(&["apply"]).fails(1);
        edit(&world, &steps);
        let mut holder = Held::open(&db);
        holder.run(&format!("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM {table}"));
        kill_when(&world, &db, interrupted);
        until(
            &db,
            "SELECT count(*) = 0 FROM pg_stat_activity WHERE application_name = 'dbbuild' AND datname = current_database()",
        );
        assert_eq!(db.psql(interrupted), "t", "{statement}");
        drop(holder);
        world.dbbuild(&["apply"]).ok();
        assert_eq!((db.psql(good), db.psql(valid)), ("t".into(), "t".into()), "{statement}");
        assert_eq!(log(&db), "1 2 3");
        assert_eq!(db.psql("SELECT count(*) FROM pg_inherits WHERE inhdetachpending"), "0");
    }
}

#[test]
fn a_failed_index_build_leaves_no_invalid_index_and_may_be_edited() {
    let Some(server) = server(15) else { return };
    let db = server.fresh_database();
    let world = world(&db, "INSERT INTO log VALUES (1), (1)", "CREATE UNIQUE INDEX CONCURRENTLY log_n ON log (n);");
    world.dbbuild(&["apply"]).fails(1).says("(23505)").says("2_steps.sql:2:1");
    assert_eq!(db.psql("SELECT count(*) FROM pg_index WHERE NOT indisvalid"), "0");
    edit(&world, "CREATE INDEX CONCURRENTLY log_n ON log (n);");
    world.dbbuild(&["apply"]).ok();
    assert_eq!(db.psql("SELECT indisvalid FROM pg_index WHERE indexrelid = 'log_n'::regclass"), "t");
}

#[test]
fn a_procedure_that_commits_is_asked_about() {
    let Some(server) = server(15) else { return };
    let procedure = "CREATE PROCEDURE work() LANGUAGE plpgsql AS $$ BEGIN INSERT INTO log VALUES (2); COMMIT; \
                     PERFORM pg_sleep(CASE WHEN (SELECT count(*) FROM log) < 3 THEN 60 ELSE 0 END); \
                     INSERT INTO log VALUES (3); COMMIT; END $$";
    for (answer, rows) in [("done", "1 2 4"), ("retry", "1 2 2 3 4")] {
        let db = server.fresh_database();
        let world = world(&db, procedure, "INSERT INTO log VALUES (1);\nCALL work();\nINSERT INTO log VALUES (4);");
        world.write("db/migrations/1_setup.sql", format!("CREATE TABLE log (n int, what text);\n{procedure}"));
        let mut dbbuild = world.start(&["apply"]);
        until(&db, "SELECT to_regclass('log') IS NOT NULL");
        until(&db, "SELECT EXISTS (SELECT FROM log WHERE n = 2)");
        dbbuild.signal(Signal::SIGKILL);
        dbbuild.wait();
        let asked = world.dbbuild(&["apply"]);
        asked.fails(1).says("interrupted while its statement 2 ran").says("--settle 2:2=done").says("2_steps.sql:3:1");
        assert_eq!(log(&db), "1 2");
        world.dbbuild(&["apply", "--settle", "2:7=done"]).fails(1).says("not open in the journal");
        world.dbbuild(&["apply", "--settle", "2:2=maybe"]).fails(2);
        world.dbbuild(&["apply", "--settle", &format!("2:2={answer}")]).ok();
        assert_eq!(log(&db), rows);
    }
}

#[test]
fn groups_of_the_file_copy_data_and_roles() {
    let Some(server) = server(15) else { return };
    let db = server.fresh_database();
    let role = format!("{}_app", db.name);
    let setup = format!(
        "CREATE ROLE {role}; GRANT INSERT, SELECT ON log TO {role}; CREATE TABLE own (); ALTER TABLE own OWNER TO {role}; \
                         GRANT CREATE ON SCHEMA public TO {role}"
    );
    let steps = format!(
        "BEGIN;\nINSERT INTO log VALUES (1);\nCOPY log FROM stdin;\n2\tcopied; BEGIN\n3\t\\N\n\\.\nCOMMIT;\n\
         COPY log (n) FROM stdin;\n4\n\\.\nBEGIN; INSERT INTO log VALUES (99); ROLLBACK;\n\
         SET ROLE {role};\nINSERT INTO log VALUES (5, '-' || (current_user = '{role}'));\n\
         CREATE TABLE mine (n int);\nCREATE INDEX CONCURRENTLY mine_n ON mine (n);\n"
    );
    let failing =
        "BEGIN;\nINSERT INTO log VALUES (6, '-' || current_user);\nCOPY log FROM stdin;\nnonsense\n\\.\nCOMMIT;\n";
    let world = world(&db, &setup, &format!("{steps}{failing}"));
    let failed = world.dbbuild(&["apply"]);
    failed.fails(1).says("2_steps.sql:19:1").says("(22P02)").says("statement 15 of 16");
    assert_eq!(log(&db), "1 2copied; BEGIN 3 4 5-true");
    edit(&world, &format!("{steps}{}", failing.replace("nonsense", "7\t")));
    world.dbbuild(&["apply"]).ok();
    assert_eq!(log(&db), format!("1 2copied; BEGIN 3 4 5-true 6-{role} 7"));
    assert_eq!(db.psql("SELECT tableowner FROM pg_tables WHERE tablename = 'mine'"), role);
    db.psql(&format!("DROP OWNED BY {role}; DROP ROLE {role}"));
}
