//! `dbbuild downgrade` and `dbbuild plan --to`: to a version, a commit, a tag and to nothing, from any checkout, on
//! protected databases by a plan alone, and interrupted.

use crate::support::{Db, Outcome, World, server};

mod interrupted;
mod protected;
mod special;
mod upward;

const FILES: [(&str, &str); 4] = [
    (
        "migrations/1_a",
        "-- migrate:up\nCREATE TABLE IF NOT EXISTS a (id int PRIMARY KEY, name text);\n-- migrate:down\nDROP TABLE a;\n",
    ),
    (
        "migrations/2_b",
        "-- migrate:up\nCREATE TABLE IF NOT EXISTS b (id int PRIMARY KEY);\n\
         ALTER TABLE a ADD COLUMN IF NOT EXISTS note text;\n\
         -- migrate:down\nALTER TABLE a DROP COLUMN note;\nDROP TABLE b;\n",
    ),
    (
        "migrations/3_c",
        "-- migrate:up\nCREATE TABLE IF NOT EXISTS c (id int PRIMARY KEY, a_id int REFERENCES a);\n\
         -- migrate:down\nDROP TABLE c;\n",
    ),
    ("repeatable/notes", "CREATE OR REPLACE VIEW notes AS SELECT id, note FROM a;\n"),
];

const ROWS: &str = "INSERT INTO a VALUES (1, 'one', 'first'), (2, 'two', NULL); INSERT INTO b VALUES (7), (8); \
    INSERT INTO c VALUES (1, 1)";

fn config(db: &Db<'_>, protected: bool) -> String {
    format!(
        "[postgres]\nversion = 15\nthrowaway = \"local\"\n[env.development]\nurl = \"{}\"\nprotected = {protected}\n",
        db.url
    )
}

/// A repository whose commits add one file each of [`FILES`], tagged `v1` to `v4`, all of it applied.
fn project(db: &Db<'_>, protected: bool) -> World {
    let world = World::new();
    world.write("dbbuild.toml", config(db, protected));
    for (n, (name, text)) in FILES.iter().enumerate() {
        world.write(&format!("db/{name}.sql"), text);
        world.commit(name).ok();
        world.git(&["tag", &format!("v{}", n + 1)]).ok();
    }
    world.dbbuild(&["apply"]).ok();
    db.psql(ROWS);
    world
}

/// Every row of every table and column of the fixture.
fn rows(db: &Db<'_>) -> String {
    db.psql("SELECT * FROM a ORDER BY 1; SELECT * FROM b ORDER BY 1; SELECT * FROM c ORDER BY 1; SELECT * FROM notes ORDER BY 1")
}

#[test]
fn a_version_is_gone_back_to_and_come_back_from() {
    let Some(server) = server(15) else { return };
    let db = server.fresh_database();
    let world = project(&db, false);
    let before = rows(&db);
    let down = world.dbbuild(&["downgrade", "--to", "1"]);
    down.ok().says("took back 3_c").says("took back 2_b").says("now has 1 migration");
    down.says("db/repeatable/notes.sql does not load in the older schema");
    assert_eq!((db.applied().as_str(), db.has("b"), db.has("c"), db.has("notes")), ("1", false, false, false));
    assert_eq!(db.psql("SELECT name FROM a ORDER BY id"), "one\ntwo");

    // What was taken back is pending, and the log knows who did it.
    world.dbbuild(&["status"]).ok().says("2_b").says("pending");
    world
        .dbbuild(&["plan"])
        .ok()
        .says("migration db/migrations/2_b.sql (new")
        .says("migration db/migrations/3_c.sql (new");
    let log = world.dbbuild(&["log"]);
    log.ok().says("taken back").says("postgres");
    assert_eq!(log.stdout.matches("taken back").count(), 2, "{}", log.show());
    let kept = "SELECT string_agg(version || name || length(checksum) || (duration > '0') || taken_back_by, ' ' ORDER BY taken_back_at) FROM dbbuild.taken_back";
    assert_eq!(db.psql(kept), "3c64truepostgres 2b64truepostgres");
    world.dbbuild(&["downgrade", "--to", "1"]).ok().says("nothing to do").says_not("took back");

    world.dbbuild(&["apply"]).ok();
    assert_eq!(db.applied(), "1 2 3");
    assert_eq!(rows(&db), before);
    // A version with its name is the same.
    world.dbbuild(&["downgrade", "--to", "2_b"]).ok().says("took back 3_c").says_not("2_b");
    assert_eq!(db.applied(), "1 2");
}

#[test]
fn a_commit_and_a_tag_are_gone_back_to_from_where_one_is() {
    let Some(server) = server(15) else { return };
    let db = server.fresh_database();
    let world = project(&db, false);
    let before = rows(&db);
    let plan = world.dbbuild(&["plan", "--to", "v2"]);
    plan.ok().says("back to v2").says("1  remove notes.sql").says("2  take-back 3_c (downgrade, 1 statement)");
    assert_eq!((db.applied().as_str(), db.has("notes")), ("1 2 3", true));
    // The commit before the view was there: it goes, though nothing here says so.
    let down = world.dbbuild(&["downgrade", "--to", "v2", "--json"]);
    let told = down.ok().json();
    assert_eq!(told["ran"]["taken_back"], serde_json::json!(["3_c"]));
    assert_eq!(told["ran"]["removed"], serde_json::json!(["notes.sql"]));
    assert_eq!((told["applied"].as_u64(), told["to"]["name"].as_str()), (Some(2), Some("v2")));
    let head = world.git(&["rev-parse", "v2"]).stdout;
    assert_eq!(told["to"]["commit"].as_str(), Some(head.trim()));
    assert_eq!((db.applied().as_str(), db.has("notes")), ("1 2", false));
    assert_eq!(world.git(&["status", "--porcelain"]).stdout, "", "nothing is checked out");

    world.dbbuild(&["apply"]).ok();
    assert_eq!(rows(&db), before);
    // By the start of a commit's name; the view is there, and shows what is there.
    world.write("db/repeatable/notes.sql", "CREATE OR REPLACE VIEW notes AS SELECT id, note, 1 AS one FROM a;\n");
    world.write(
        "db/migrations/4_d.sql",
        "-- migrate:up\nALTER TABLE a ADD COLUMN IF NOT EXISTS d int;\n-- migrate:down\nALTER TABLE a DROP COLUMN d;\n",
    );
    world.commit("four").ok();
    world.dbbuild(&["apply"]).ok();
    let short = world.git(&["rev-parse", "--short", "v4"]).stdout;
    let gone = world.dbbuild(&["downgrade", "--to", short.trim()]);
    // PostgreSQL cannot take a column from a view by replacing it, so the old text wants the new view gone.
    assert_eq!(gone.status, 0, "{}", gone.show());
    assert_eq!(
        db.psql("SELECT string_agg(attname, ' ') FROM pg_attribute WHERE attrelid = 'notes'::regclass AND attnum > 0"),
        "id note"
    );
}

#[test]
fn everything_is_taken_back_by_0() {
    let Some(server) = server(15) else { return };
    let db = server.fresh_database();
    let world = project(&db, false);
    let before = rows(&db);
    world.dbbuild(&["downgrade", "--to", "0"]).ok().says("now has 0 migrations");
    assert_eq!(db.psql("SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace"), "0");
    world.dbbuild(&["downgrade", "--to", "0"]).ok().says("nothing to do");
    world.dbbuild(&["apply"]).ok();
    assert_eq!(rows(&db), before);
}

#[test]
fn an_older_checkout_knows_nothing_of_what_it_takes_back() {
    let Some(server) = server(15) else { return };
    let db = server.fresh_database();
    let world = project(&db, false);
    let before = rows(&db);
    world.git(&["checkout", "-q", "v1"]).ok();
    let down = world.dbbuild(&["downgrade", "--to", "1"]);
    down.ok().says("took back 3_c").says("took back 2_b");
    assert_eq!((db.applied().as_str(), db.has("notes")), ("1", false));
    world.dbbuild(&["status"]).ok().says("1 applied, 0 pending");
    world.git(&["checkout", "-q", "main"]).ok();
    world.dbbuild(&["apply"]).ok();
    assert_eq!(rows(&db), before);
    // A commit that has more than the database: said, and left to apply.
    world.dbbuild(&["downgrade", "--to", "1"]).ok();
    let up = world.dbbuild(&["downgrade", "--to", "v3"]);
    up.ok().says("v3 has 2_b, 3_c, which are not applied here").says("nothing to do");
}

#[test]
fn without_a_repository_a_version_will_do() {
    let Some(server) = server(15) else { return };
    let db = server.fresh_database();
    let world = project(&db, false);
    std::fs::remove_dir_all(world.path(".git")).unwrap();
    std::fs::remove_file(world.path("db/migrations/3_c.sql")).unwrap();
    world.dbbuild(&["downgrade", "--to", "v2"]).fails(2).says("without a git repository a downgrade goes to a version");
    let down = world.dbbuild(&["downgrade", "--to", "2", "--commit", "abc123", "--json"]);
    assert_eq!(down.ok().json()["ran"]["taken_back"], serde_json::json!(["3_c"]));
    assert_eq!(db.psql("SELECT git_commit FROM dbbuild.taken_back"), "abc123");
    assert!(db.has("notes"), "what still loads stays");
}

#[test]
fn what_was_merged_late_goes_by_its_version_in_the_order_of_application() {
    let Some(server) = server(15) else { return };
    let db = server.fresh_database();
    let world = project(&db, false);
    world.write(
        "db/migrations/15_late.sql",
        "-- migrate:up\nCREATE TABLE IF NOT EXISTS late (id int);\n-- migrate:down\nDROP TABLE late;\n",
    );
    world.dbbuild(&["apply"]).ok();
    world.write(
        "db/migrations/9_old.sql",
        "-- migrate:up\nCREATE TABLE IF NOT EXISTS old (id int);\n-- migrate:down\nDROP TABLE old;\n",
    );
    world.dbbuild(&["apply"]).ok();
    assert_eq!(db.applied(), "1 2 3 15 9");
    world.dbbuild(&["downgrade", "--to", "9"]).ok().says("took back 15_late").says_not("took back 9_old");
    world.dbbuild(&["apply"]).ok();
    assert_eq!(db.applied(), "1 2 3 9 15");
    let down = world.dbbuild(&["downgrade", "--to", "3", "--json"]);
    assert_eq!(down.ok().json()["ran"]["taken_back"], serde_json::json!(["15_late", "9_old"]));
}

#[test]
fn a_target_that_never_was_is_named_with_its_neighbours() {
    let Some(server) = server(15) else { return };
    let db = server.fresh_database();
    let world = project(&db, false);
    for command in [&["downgrade"][..], &["plan"]] {
        let to = |target| world.dbbuild(&[command, &["--to", target]].concat());
        to("77").fails(2).says("there is no migration 77").says("the nearest are 2, 3");
        to("2_other").fails(2).says("there is no migration 2_other").says("the nearest are 1, 2, 3");
        to("v9").fails(2).says("v9 names neither a migration nor a commit").says("did you mean v");
        to("--help-me").fails(2);
        to("").fails(2);
    }
    let before = world.git(&["commit-tree", "-m", "none", "4b825dc642cb6eb9a060e54bf8d69288fbee4904"]).stdout;
    world.dbbuild(&["downgrade", "--to", before.trim()]).fails(1).says("holds no dbbuild.toml");
    assert_eq!(db.applied(), "1 2 3");
}

#[test]
fn without_a_down_part_nothing_runs() {
    let Some(server) = server(15) else { return };
    let db = server.fresh_database();
    let world = project(&db, false);
    world.write("db/migrations/4_d.sql", "CREATE TABLE IF NOT EXISTS d (id int);\n");
    world.write(
        "db/migrations/5_e.sql",
        "-- migrate:up\nCREATE TABLE IF NOT EXISTS e (id int);\n-- migrate:down\nDROP TABLE e;\n",
    );
    world.dbbuild(&["apply"]).ok();
    for command in ["downgrade", "plan"] {
        let refused = world.dbbuild(&[command, "--to", "3"]);
        refused
            .fails(1)
            .says("4_d cannot be taken back")
            .says("no down part of it is kept")
            .says("dbbuild new --down 4");
    }
    assert_eq!(db.applied(), "1 2 3 4 5");
    world.dbbuild(&["downgrade", "--to", "4"]).ok().says("took back 5_e");

    // What helps depends on the file, and on whether the version table may take another text.
    let up = world.read("db/migrations/4_d.sql");
    let to_3 = || world.dbbuild(&["plan", "--to", "3"]);
    world.write("dbbuild.toml", config(&db, true));
    to_3().fails(1).says("write a new migration that undoes it; `dbbuild new --down 4` drafts its statements");
    world.write("dbbuild.toml", config(&db, false));
    std::fs::remove_file(world.path("db/migrations/4_d.sql")).unwrap();
    to_3().fails(1).says("no file here has it").says("`git log --all -- '*4_d.sql'`").says_not("new --down");
    world.dbbuild(&["new", "--down", "4"]).fails(2).says("no file here is the migration 4");
    world.write("db/migrations/4_d.sql", format!("-- migrate:up\n{up}-- migrate:down\nDROP TABLE d;\n"));
    to_3().fails(1).says("db/migrations/4_d.sql has one by now: `dbbuild` records it").says_not("new --down");
    world.dbbuild(&["build", "--no-baseline"]).ok().says("recorded db/migrations/4_d.sql");
    world.dbbuild(&["downgrade", "--to", "3"]).ok().says("took back 4_d");
}

#[test]
fn a_down_part_that_fails_half_way_leaves_the_database_at_a_migration() {
    let Some(server) = server(15) else { return };
    let db = server.fresh_database();
    let world = project(&db, false);
    world.write(
        "db/migrations/4_d.sql",
        "-- migrate:up\nCREATE TABLE IF NOT EXISTS d (id int);\n-- migrate:down\nDROP TABLE d;\nSELECT 1 / count(*) FROM gate;\n",
    );
    world.write(
        "db/migrations/5_e.sql",
        "-- migrate:up\nCREATE TABLE IF NOT EXISTS e (id int);\n-- migrate:down\nDROP TABLE e;\n",
    );
    world.dbbuild(&["apply"]).ok();
    db.psql("INSERT INTO d VALUES (1); INSERT INTO e VALUES (1)");
    world.dbbuild(&["plan", "--to", "3"]).fails(1).says("the down part of 4_d:2").says("42P01");
    assert_eq!(db.applied(), "1 2 3 4 5");
    let down = world.dbbuild(&["downgrade", "--to", "3"]);
    down.fails(1)
        .says("taking back 4_d")
        .says("it was rolled back")
        .says("What ran is the down part that the database keeps")
        .says("taken back before it, and so not applied now: 5_e");
    assert_eq!((db.applied().as_str(), db.psql("SELECT count(*) FROM d").as_str()), ("1 2 3 4", "1"));
    // What stood in the way is mended, and the same command ends it.
    db.psql("CREATE TABLE gate AS SELECT 1");
    world.dbbuild(&["downgrade", "--to", "3"]).ok().says("took back 4_d");
    world.dbbuild(&["apply"]).ok();
    assert_eq!(db.psql("SELECT (SELECT count(*) FROM d), (SELECT count(*) FROM e)"), "1|1");
}

#[test]
fn a_version_table_from_before_the_record_gets_it() {
    let Some(server) = server(15) else { return };
    let db = server.fresh_database();
    let world = project(&db, false);
    db.psql("DROP TABLE dbbuild.taken_back");
    world.dbbuild(&["log"]).ok().says_not("taken back");
    world.dbbuild(&["downgrade", "--to", "2"]).ok();
    assert_eq!(db.psql("SELECT version FROM dbbuild.taken_back"), "3");
    assert_eq!(
        db.psql("SELECT obj_description('dbbuild.taken_back'::regclass)"),
        "One row for each time that a migration was taken back."
    );
}

#[test]
fn rows_of_a_baseline_take_their_texts_from_files_or_from_git() {
    let Some(server) = server(15) else { return };
    let db = server.fresh_database();
    let world = project(&db, false);
    world.dbbuild(&["baseline"]).ok();
    let new = server.fresh_database();
    new.psql_file(&world.path("db/baseline.sql")).ok();
    world.write("dbbuild.toml", config(&new, false));
    world.dbbuild(&["env", "mark", "development", "--confirm", "development"]).ok();
    assert_eq!(new.psql("SELECT count(*) FROM dbbuild.migration WHERE down_sql IS NULL"), "3");
    // One has its file, the other only a commit.
    std::fs::remove_file(world.path("db/migrations/3_c.sql")).unwrap();
    world.dbbuild(&["downgrade", "--to", "1"]).ok().says("took back 3_c").says("took back 2_b");
    assert_eq!((new.applied().as_str(), new.has("b")), ("1", false));
    // Neither: said before anything runs.
    std::fs::remove_dir_all(world.path(".git")).unwrap();
    std::fs::remove_file(world.path("db/migrations/1_a.sql")).unwrap();
    world
        .dbbuild(&["downgrade", "--to", "0"])
        .fails(1)
        .says("1_a cannot be taken back")
        .says("no down part of it is kept");
}

#[test]
fn one_that_was_marked_as_run_is_taken_back_by_nothing() {
    let Some(server) = server(15) else { return };
    let db = server.fresh_database();
    let world = project(&db, false);
    world.write(
        "db/migrations/4_d.sql",
        "-- dbbuild:precondition on-fail=mark-ran expect=0\n-- SELECT count(*) FROM a\n\n-- migrate:up\nCREATE TABLE d (id int);\n-- migrate:down\nDROP TABLE d;\n",
    );
    world.dbbuild(&["apply"]).ok().says("marked");
    world.dbbuild(&["downgrade", "--to", "3"]).ok().says("took back 4_d");
    assert_eq!(db.applied(), "1 2 3");
}
