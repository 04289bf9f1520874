//! Files that psql runs: its commands work, nothing leaves the sources or reaches a shell, and rows commit with scripts.

use nix::sys::signal::Signal;

use crate::support::{Db, Held, World, server, until};

const FILE: &str = "db/migrations/1_a.sql";

fn world(db: &Db<'_>, text: &str) -> World {
    let mut world = World::without_git();
    world.set("DATABASE_URL", &db.url);
    world.write(
        "dbbuild.toml",
        "[postgres]\nversion = 15\n[lock]\ntimeout = \"200ms\"\n[env.development]\nurl_env = \"DATABASE_URL\"\n",
    );
    world.write(FILE, format!("-- dbbuild:psql true\n{text}"));
    world
}

#[test]
fn commands_of_psql_work_as_in_psql() {
    let Some(server) = server(15) else { return };
    let db = server.fresh_database();
    let text = "\\set name things\n\\set note 'it''s so'\n\\echo making :name\n\\i db/include/table.sql\n\
                \\ir ../include/deeper/rows.sql\n\\if true\nCOMMENT ON TABLE :\"name\" IS :'note';\n\\else\nSELECT nowhere;\n\\endif\n\
                SELECT format('CREATE INDEX %I ON things (n)', 'i' || n) FROM generate_series(1, 2) n \\gexec\n\
                \\copy things from 'db/include/data.csv' csv\n\\copy things from stdin\n7\tseven\n\\.\nCREATE TABLE last ()";
    let world = world(&db, text);
    world.write("db/include/table.sql", "CREATE TABLE IF NOT EXISTS things (n int, what text)\n");
    world.write("db/include/deeper/rows.sql", "INSERT INTO things VALUES (1, 'one');\n\\ir more.sql\n");
    world.write("db/include/deeper/more.sql", "INSERT INTO things VALUES (2, 'two');\n");
    world.write("db/include/data.csv", "3,three\n4,\"fo,ur\"\n");
    let applied = world.dbbuild(&["apply"]);
    applied.ok().says("making things").says_not("seven");
    assert_eq!(db.psql("SELECT string_agg(n || what, ' ' ORDER BY n) FROM things"), "1one 2two 3three 4fo,ur 7seven");
    assert_eq!(db.psql("SELECT obj_description('things'::regclass)"), "it's so");
    assert_eq!(db.psql("SELECT count(*) FROM pg_indexes WHERE tablename = 'things'"), "2");
    assert_eq!(db.psql("SELECT to_regclass('last') IS NOT NULL"), "t");
    assert_eq!(
        db.psql("SELECT state, origin, transactional, duration IS NOT NULL FROM dbbuild.migration"),
        "applied|run|t|t"
    );
    assert_eq!(db.psql("SELECT up_sql FROM dbbuild.migration"), std::fs::read_to_string(world.path(FILE)).unwrap());
    world.dbbuild(&["apply"]).ok().says("is up to date: 1 migration");
}

#[test]
fn a_command_without_the_directive_names_it() {
    let Some(server) = server(15) else { return };
    let db = server.fresh_database();
    let world = world(&db, "");
    world.write(FILE, "CREATE TABLE a ();\n\\i x.sql\n");
    let failed = world.dbbuild(&["apply"]);
    failed
        .fails(1)
        .says("psql meta-commands are not SQL: `\\i` at db/migrations/1_a.sql:2:1")
        .says("-- dbbuild:psql true");
}

#[test]
fn a_failure_leaves_nothing_and_names_the_line_of_the_file_that_failed() {
    let Some(server) = server(15) else { return };
    let db = server.fresh_database();
    let world = world(&db, "CREATE TABLE a ();\n\\ir ../include/bad.sql\n");
    world.write("db/include/bad.sql", "CREATE TABLE b ();\n\nSELECT\n  nowhere\n;\n");
    let failed = world.dbbuild(&["apply"]);
    failed.fails(1).says("1_a failed at db/include/bad.sql:4").says("column \"nowhere\" does not exist (42703)");
    failed.says("it was rolled back");
    assert_eq!(db.psql("SELECT to_regclass('a') IS NULL, (SELECT count(*) FROM dbbuild.migration)"), "t|0");
    world.write(FILE, "-- dbbuild:psql true\n-- migrate:up\nCREATE TABLE a ();\nSELECT 1,\n  nowhere\n  ;\n-- migrate:down\nDROP TABLE a;\n");
    world.dbbuild(&["apply"]).fails(1).says("1_a failed at db/migrations/1_a.sql:5").says("(42703)");
    // An included file that is mended runs; the migration's own text is as it was.
    world.write(FILE, "-- dbbuild:psql true\nCREATE TABLE a ();\n\\ir ../include/bad.sql\n");
    world.write("db/include/bad.sql", "CREATE TABLE b ();");
    world.dbbuild(&["apply"]).ok();
}

#[test]
fn shells_files_and_paths_out_of_the_repository_are_refused_before_anything_runs() {
    let Some(server) = server(15) else { return };
    let db = server.fresh_database();
    let world = world(&db, "");
    let mark = world.home().join("mark");
    let touch = format!("touch {}", mark.display());
    world.write("db/include/shell.sql", format!("SELECT 1;\n\\! {touch}\n"));
    world.write("db/include/commit.sql", "SELECT 1;\nCOMMIT;\n");
    world.write("elsewhere.sql", "SELECT 1;");
    for (text, message) in [
        (format!("\\! {touch}"), "`\\!` is refused in a file that psql runs at db/migrations/1_a.sql:3:1"),
        (format!("SELECT 1 \\g |{touch}"), "`\\g` with an argument is refused"),
        (format!("\\o |{touch}"), "`\\o` is refused"),
        (format!("\\set x `{touch}`"), "backquotes are refused"),
        (format!("\\copy a from program '{touch}'"), "`\\copy` from a program is refused"),
        (format!("\\set x '\\\\! {touch}'\nSELECT 1 :x"), "a backslash in the value of a variable is refused"),
        (format!("SELECT '\\! {touch}' AS x \\gset\nSELECT 1 :x\n;"), "`:x` as bare text is refused"),
        ("\\setenv A b".to_owned(), "`\\setenv` is refused"),
        (
            "\\i db/include/shell.sql".to_owned(),
            "`\\!` is refused in a file that psql runs at db/include/shell.sql:2:1",
        ),
        (
            "\\i db/include/commit.sql".to_owned(),
            "COMMIT in a file that runs in one transaction at db/include/commit.sql:2:1",
        ),
        ("\\ir ../../../x.sql".to_owned(), "leads out of the repository at db/migrations/1_a.sql:3:1"),
        ("\\copy a from '/etc/passwd'".to_owned(), "leads out of the repository"),
        ("\\i elsewhere.sql".to_owned(), "there is no file `elsewhere.sql` among the sources"),
        ("COMMIT;\nSELECT 1;".to_owned(), "COMMIT in a file that runs in one transaction at db/migrations/1_a.sql:3:1"),
    ] {
        world.write(FILE, format!("-- dbbuild:psql true\nCREATE TABLE a ();\n{text}\n"));
        world.dbbuild(&["apply"]).fails(1).says(message);
        assert_eq!(db.psql("SELECT to_regclass('a') IS NULL"), "t", "{text}");
    }
    assert!(!mark.exists());
}

#[test]
fn without_a_transaction_psql_commits_by_itself_and_an_interruption_is_asked_about() {
    let Some(server) = server(15) else { return };
    let db = server.fresh_database();
    let world = world(&db, "");
    let file = |rest: &str| {
        format!("-- dbbuild:psql true\n-- migrate:up transaction:false\nCREATE TABLE IF NOT EXISTS a (n int);\n{rest}")
    };
    world.write(FILE, file("\\echo now\nVACUUM a;\nSELECT nowhere;\n"));
    let failed = world.dbbuild(&["apply"]);
    failed
        .fails(1)
        .says("1_a failed at db/migrations/1_a.sql:6")
        .says("what stands before stays done")
        .says("--settle 1:1=retry");
    assert_eq!(db.psql("SELECT state FROM dbbuild.migration"), "started");
    world.write(FILE, file("\\echo now\nVACUUM a;\n"));
    world.dbbuild(&["apply"]).fails(1).says("was interrupted while its statement 1 ran").says("--settle 1:1=retry");
    world.dbbuild(&["apply", "--settle", "1:1=retry"]).ok();
    assert_eq!(db.psql("SELECT state, transactional FROM dbbuild.migration"), "applied|f");
}

#[test]
fn a_kill_takes_psql_along_and_leaves_nothing() {
    let Some(server) = server(15) else { return };
    let db = server.fresh_database();
    let world = world(&db, "CREATE TABLE a ();\nSELECT pg_sleep(60);\n");
    let mut dbbuild = world.start(&["apply"]);
    let sleeps = "FROM pg_stat_activity WHERE datname = current_database() AND state = 'active' AND query LIKE 'SELECT pg_sleep(60)%'";
    until(&db, &format!("SELECT count(*) = 1 {sleeps}"));
    dbbuild.signal(Signal::SIGKILL);
    assert_eq!(dbbuild.wait().status, 128 + 9);
    until(&db, &format!("SELECT count(*) = 0 {sleeps}"));
    assert_eq!(db.psql("SELECT to_regclass('a') IS NULL, (SELECT count(*) FROM dbbuild.migration)"), "t|0");
    world.write(FILE, "-- dbbuild:psql true\nCREATE TABLE a ();\n");
    world.dbbuild(&["apply"]).ok();
}

#[test]
fn nothing_of_the_person_who_runs_it_reaches_the_script() {
    let Some(server) = server(15) else { return };
    let db = server.fresh_database();
    let mut world = world(&db, "CREATE TABLE a ();\n");
    std::fs::write(world.home().join(".psqlrc"), "CREATE TABLE by_psqlrc ();\n").unwrap();
    let file = world.home().join(".psqlrc");
    world.set("PSQLRC", file.to_str().unwrap());
    world.dbbuild(&["apply"]).ok();
    assert_eq!(db.psql("SELECT to_regclass('by_psqlrc') IS NULL"), "t");
}

#[test]
fn a_lock_that_psql_waits_for_is_shown_and_tried_again() {
    let Some(server) = server(15) else { return };
    let db = server.fresh_database();
    db.psql("CREATE TABLE held ()");
    let world = world(&db, "ALTER TABLE held ADD COLUMN n int;\n");
    world.write("db/migrations/0_first.sql", "SELECT 1;");
    world.dbbuild(&["env", "mark", "development", "--confirm", "development"]).ok();
    let mut held = Held::open(&db);
    held.run("BEGIN; LOCK TABLE held");
    let mut dbbuild = world.start(&["apply"]);
    dbbuild.until_says("lock timeout").until_says("held by");
    held.run("COMMIT");
    dbbuild.wait().ok();
    assert_eq!(db.psql("SELECT count(*) FROM pg_attribute WHERE attrelid = 'held'::regclass AND attname = 'n'"), "1");
}

#[test]
fn a_proof_reads_what_is_staged_and_what_is_included_counts() {
    let Some(server) = server(15) else { return };
    let db = server.fresh_database();
    let mut world = World::new();
    world.set("DATABASE_URL", &db.url);
    world.write("dbbuild.toml", "[postgres]\nversion = 15\n[env.development]\nurl_env = \"DATABASE_URL\"\n");
    world.write(FILE, "-- dbbuild:psql true\n\\ir ../include/t.sql\n");
    world.write("db/include/t.sql", "CREATE TABLE IF NOT EXISTS t (a int);\n");
    world.write("db/repeatable/v.sql", "-- dbbuild:psql true\n\\i db/include/v.sql\n");
    world.write("db/include/v.sql", "CREATE OR REPLACE VIEW v AS SELECT 1 AS one;\n");
    world.write("db/init/rows.sql", "-- dbbuild:psql true\n\\copy t from 'db/include/none.csv' csv\n");
    world.write("db/include/none.csv", "");
    world.dbbuild(&["baseline"]).ok();
    world.git(&["add", "--all"]).ok();
    world.dbbuild(&["verify"]).ok();
    // The work tree is not what is judged.
    world.write("db/include/t.sql", "CREATE TABLE IF NOT EXISTS t (a bigint);\n");
    world.dbbuild(&["verify", "--full"]).ok();
    world.dbbuild(&["verify", "--worktree"]).fails(3).says("public.t");
    world.git(&["add", "--all"]).ok();
    world.dbbuild(&["verify"]).fails(3).says("public.t");
    world.write("db/include/t.sql", "CREATE TABLE t (a int);\n");
    world.dbbuild(&["baseline"]).fails(1).says("when it is run again").says("1_a.sql");
    world.write("db/include/t.sql", "CREATE TABLE IF NOT EXISTS t (a int);\n");
    world.dbbuild(&["apply"]).ok();
    world.write("db/include/v.sql", "CREATE OR REPLACE VIEW v AS SELECT 2 AS one;\n");
    world.dbbuild(&["apply"]).ok().says("ran 1 repeatable file");
    assert_eq!(db.psql("SELECT one FROM v"), "2");
}
