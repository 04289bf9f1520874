//! Repeatable and init files run again after migrations, also where a run was broken off between the two and the next one
//! finds nothing pending.

use crate::support::{Db, World, server, until};
use nix::sys::signal::Signal;

/// In the order in which they run: the first asks `gate` whether it may, the second is what migrations drop.
const FILES: [(&str, &str); 3] = [
    ("repeatable/a_gate", "SELECT 1 / n FROM gate;\nSELECT pg_sleep(60) FROM gate WHERE n = 2;\n"),
    ("repeatable/b_view", "CREATE OR REPLACE VIEW seen AS SELECT id FROM a;\n"),
    ("init/rows", "INSERT INTO a VALUES (1) ON CONFLICT DO NOTHING;\n"),
];

fn world(db: &Db<'_>) -> World {
    let world = World::new();
    world.write("dbbuild.toml", format!("[postgres]\nversion = 15\n[env.development]\nurl = \"{}\"\n", db.url));
    world.write("db/migrations/1_a.sql", "CREATE TABLE a (id int PRIMARY KEY);\nCREATE TABLE gate AS SELECT 1 AS n;\n");
    for (name, text) in FILES {
        world.write(&format!("db/{name}.sql"), text);
    }
    world.commit("One").ok();
    world.dbbuild(&["apply"]).ok();
    world
}

/// Everything stands that the files make, and a further run has nothing to do.
fn is_whole(world: &World, db: &Db<'_>, label: &str) {
    let state = "SELECT to_regclass('seen') IS NOT NULL, (SELECT count(*) FROM a)";
    assert_eq!(db.psql(state), "t|1", "{label}");
    world.dbbuild(&["plan"]).ok().says("nothing to do");
}

#[test]
fn a_failure_after_the_last_migration_leaves_all_files_to_the_next_run() {
    let Some(server) = server(15) else { return };
    let ways: [(&str, &[&str]); 6] = [
        ("one", &["DROP VIEW seen;\nDELETE FROM a;\n"]),
        (
            "several in a message",
            &["DROP VIEW seen;\nDELETE FROM a;\n", "CREATE TABLE t ();\n", "CREATE TABLE u ();\n"],
        ),
        (
            "the second stands alone",
            &["CREATE TABLE t ();\n", "-- migrate:up transaction:false\nDROP VIEW seen;\nDELETE FROM a;\n"],
        ),
        ("statement by statement", &["-- migrate:up transaction:false\nDROP VIEW seen;\nDELETE FROM a;\n"]),
        ("COPY data", &["DROP VIEW seen;\nDELETE FROM a;\nCREATE TABLE t (i int);\nCOPY t FROM stdin;\n1\n\\.\n"]),
        ("psql", &["-- dbbuild:psql true\n\\set relation seen\nDROP VIEW :relation;\nDELETE FROM a;\n"]),
    ];
    for (label, migrations) in ways {
        let db = server.fresh_database();
        let world = world(&db);
        for (n, text) in migrations.iter().enumerate() {
            world.write(&format!("db/migrations/{}_m.sql", n + 2), text);
        }
        world.commit("More").ok();
        for command in ["apply", "build"] {
            db.psql("UPDATE gate SET n = 0");
            world.dbbuild(&[command]).fails(1).says("division by zero");
            let applied = db.psql("SELECT count(*) FROM dbbuild.migration WHERE state = 'applied'");
            assert_eq!(applied, (migrations.len() + 1).to_string(), "{label}");
            assert_eq!(db.psql("SELECT to_regclass('seen'), (SELECT count(*) FROM a)"), "|0", "{label}");
        }
        db.psql("UPDATE gate SET n = 1");
        let plan = world.dbbuild(&["plan"]);
        plan.ok()
            .says("1  repeatable db/repeatable/a_gate.sql (after migrations")
            .says("b_view")
            .says("init db/init/rows.sql");
        world.dbbuild(&["apply"]).ok();
        is_whole(&world, &db, label);
    }
}

#[test]
fn a_kill_after_the_last_migration_leaves_all_files_to_the_next_run() {
    let Some(server) = server(15) else { return };
    let db = server.fresh_database();
    let world = world(&db);
    world.write("db/migrations/2_m.sql", "DROP VIEW seen;\nDELETE FROM a;\nUPDATE gate SET n = 2;\n");
    world.commit("Two").ok();
    let mut dbbuild = world.start(&["apply"]);
    until(
        &db,
        "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database())",
    );
    dbbuild.signal(Signal::SIGKILL);
    dbbuild.wait();
    db.psql(
        "UPDATE gate SET n = 1; SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
         WHERE wait_event = 'PgSleep' AND datname = current_database()",
    );
    world.dbbuild(&["status"]).ok().says("2 applied, 0 pending");
    world.dbbuild(&["apply"]).ok().says("2 migrations");
    is_whole(&world, &db, "killed");
}

#[test]
fn a_migration_that_fails_leaves_nothing_due() {
    let Some(server) = server(15) else { return };
    let db = server.fresh_database();
    let world = world(&db);
    world.write("db/migrations/2_m.sql", "DROP VIEW seen;\nSELECT 1 / 0;\n");
    world.dbbuild(&["apply"]).fails(1).says("division by zero");
    std::fs::remove_file(world.path("db/migrations/2_m.sql")).unwrap();
    is_whole(&world, &db, "failed");
}

#[test]
fn what_goes_without_coming_again_leaves_the_files_due_too() {
    let Some(server) = server(15) else { return };
    let db = server.fresh_database();
    let world = world(&db);
    let two = "-- migrate:up\nALTER TABLE a ADD COLUMN b int;\n-- migrate:down\nDROP VIEW IF EXISTS seen;\nALTER TABLE a DROP COLUMN b;\n";
    world.write("db/migrations/2_m.sql", two);
    world.dbbuild(&["apply"]).ok();
    std::fs::remove_file(world.path("db/migrations/2_m.sql")).unwrap();
    db.psql("UPDATE gate SET n = 0");
    world.dbbuild(&["build", "--take-back"]).fails(1).says("division by zero");
    assert_eq!(db.psql("SELECT to_regclass('seen') || '', (SELECT count(*) FROM dbbuild.migration)"), "|1");
    db.psql("UPDATE gate SET n = 1");
    world.dbbuild(&["apply"]).ok();
    is_whole(&world, &db, "taken back");
}
