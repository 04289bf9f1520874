//! `dbbuild plan --to` a version that is not applied yet: what `apply --to` would run, on one database and on many.

use super::config;
use crate::support::{Db, World, server};

/// Four migrations, the first two applied.
fn two_of_four(db: &Db<'_>) -> World {
    let world = World::new();
    world.write("dbbuild.toml", config(db, false));
    for n in 1..=4 {
        world.write(
            &format!("db/migrations/{n}_m.sql"),
            format!("-- migrate:up\nCREATE TABLE IF NOT EXISTS t{n} (id int);\n-- migrate:down\nDROP TABLE t{n};\n"),
        );
    }
    world.write("db/repeatable/all.sql", "CREATE OR REPLACE VIEW every AS SELECT id FROM t1;\n");
    world.commit("All").ok();
    world.dbbuild(&["apply", "--to", "2"]).ok();
    world
}

#[test]
fn the_way_up_is_what_apply_runs() {
    let Some(server) = server(15) else { return };
    let db = server.fresh_database();
    let world = two_of_four(&db);
    let plan = world.dbbuild(&["plan", "--to", "3"]);
    plan.ok()
        .says("up to 3")
        .says("migration db/migrations/3_m.sql (new")
        .says("up to 3 only: 1 newer migration stays out");
    plan.says_not("4_m").says_not("repeatable/all").says_not("take-back");
    assert_eq!(db.applied(), "1 2", "a plan writes nothing");
    let value = world.dbbuild(&["plan", "--to", "3_m", "--json"]).json();
    assert_eq!(value["to"], serde_json::json!({ "name": "3_m", "version": "3" }));
    assert_eq!(value["plan"]["steps"].as_array().map(Vec::len), Some(1), "{value}");
    assert_eq!(value["plan"]["steps"][0]["path"], "db/migrations/3_m.sql");
    // Where nothing stays out, what comes after the migrations is planned, too.
    world.dbbuild(&["plan", "--to", "4"]).ok().says("3_m.sql").says("4_m.sql").says("repeatable db/repeatable/all.sql");

    world.dbbuild(&["apply", "--to", "3"]).ok().says("now has 3 migrations");
    world.dbbuild(&["plan", "--to", "3"]).ok().says("nothing to do").says_not("1  ");
    world.dbbuild(&["plan", "--to", "2"]).ok().says("back to 2").says("take-back 3_m");
    world.dbbuild(&["plan", "--to", "9"]).fails(2).says("there is no migration 9");
    // A commit is for a downgrade: what it has and the database lacks is said.
    let head = world.dbbuild(&["plan", "--to", "main"]);
    head.ok().says("back to main").says("main has 4_m, which are not applied here").says_not("1  migration");
    // A version that came late runs, since nothing newer than it is applied; one that is older than what is applied does not.
    std::fs::rename(world.path("db/migrations/4_m.sql"), world.path("db/migrations/25_m.sql")).unwrap();
    world.dbbuild(&["plan", "--to", "25"]).ok().says("up to 25").says("migration db/migrations/25_m.sql");
    assert_eq!(db.applied(), "1 2 3");
}

#[test]
fn a_database_that_is_not_there_is_an_empty_one() {
    let Some(server) = server(15) else { return };
    let db = server.fresh_database();
    let world = two_of_four(&db);
    let url = db.url.replace(&format!("/{}", db.name), "/it_not_there");
    world.write("dbbuild.toml", format!("[postgres]\nversion = 15\n[env.development]\nurl = \"{url}\"\n"));
    let plan = world.dbbuild(&["plan", "--to", "2"]);
    plan.ok().says("there is no ").says("1_m.sql").says("2_m.sql").says_not("3_m.sql");
    world.dbbuild(&["plan", "--to", "0"]).fails(1).says("nothing to go back from");
}

#[test]
fn a_downgrade_that_was_interrupted_is_planned_to_its_end() {
    let Some(server) = server(15) else { return };
    let db = server.fresh_database();
    let world = two_of_four(&db);
    world.dbbuild(&["apply"]).ok();
    world.dbbuild(&["downgrade", "--to", "3"]).ok();
    db.psql("UPDATE dbbuild.file SET checksum = repeat('0', 64)");
    world.dbbuild(&["plan", "--to", "3"]).ok().says("back to 3").says("repeatable db/repeatable/all.sql");
    world.dbbuild(&["plan", "--to", "4"]).ok().says("up to 4").says("4_m.sql");
    assert!(db.has("every"));
}
