//! `dbbuild drift`: a live database beside the baseline of the commit that it claims.

use crate::support::{Db, Outcome, World, server};
use serde_json::Value;

/// A committed repository with a proved baseline, deployed to a protected database.
fn deployed(db: &Db<'_>) -> World {
    let mut world = World::new();
    world.set("PRODUCTION_URL", &db.url);
    world.write(
        "dbbuild.toml",
        "[postgres]\nversion = 15\ndatabase = \"shop\"\n[baseline]\nexclude = [\"public.log_*\"]\n[env.development]\n\
         [env.production]\nurl_env = \"PRODUCTION_URL\"\nprotected = true\n",
    );
    // A form that the server writes otherwise once it was dumped and loaded.
    world.write(
        "db/migrations/1_one.sql",
        "CREATE TABLE IF NOT EXISTS a (id int PRIMARY KEY, kind text CHECK (kind IN ('x', 'y')), n int NOT NULL);\n\
         CREATE TABLE IF NOT EXISTS b (id int PRIMARY KEY, a_id int REFERENCES a);\n",
    );
    world.write(
        "db/repeatable/v.sql",
        "CREATE OR REPLACE VIEW v AS SELECT a.id FROM a JOIN b ON b.a_id = a.id WHERE a.kind IN ('x', 'y');\n",
    );
    world.dbbuild(&["baseline"]).ok();
    world.commit("One").ok();
    world.dbbuild(&["apply", "--env", "production"]).ok();
    world
}

fn drift(world: &World, more: &[&str]) -> Outcome {
    world.dbbuild(&[&["drift", "--env", "production"], more].concat())
}

#[test]
fn it_says_what_was_changed_by_hand_table_by_table() {
    let Some(server) = server(15) else { return };
    let db = server.fresh_database();
    let world = deployed(&db);
    drift(&world, &[]).ok().says("is as db/baseline.sql of");
    let rows = "SELECT md5(string_agg(m::text, ',')) FROM dbbuild.migration m";
    let before = db.psql(rows);
    db.psql(
        "CREATE INDEX by_hand ON a (n); ALTER TABLE a ALTER n DROP NOT NULL; ALTER TABLE b DROP CONSTRAINT b_a_id_fkey; \
         CREATE OR REPLACE VIEW v AS SELECT a.id FROM a; CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'; \
         CREATE TABLE log_1 (id int)",
    );
    let told = drift(&world, &["--verbose"]);
    told.fails(3).says("5 objects differ");
    let lines: Vec<&str> = told.stdout.lines().collect();
    let at =
        |text: &str| lines.iter().position(|line| *line == text).unwrap_or_else(|| panic!("{text}\n{}", told.stdout));
    assert!(at("public.a") < at("  index `public.by_hand` is unexpected"));
    assert!(at("  index `public.by_hand` is unexpected") < at("public.b"));
    assert!(at("public.b") < at("  foreign key `public.b.b_a_id_fkey` is missing"));
    at("    - not null: true");
    at("    - definition: FOREIGN KEY (a_id) REFERENCES public.a(id)");
    at("of no table");
    told.says_not("log_1");
    let json = drift(&world, &["--json"]);
    let json = json.fails(3).json();
    let head = world.git(&["rev-parse", "HEAD"]).ok().stdout.trim().to_owned();
    assert_eq!((&json["commit"], &json["environment"]), (&Value::from(head), &Value::from("production")));
    let index = json["differences"].as_array().unwrap().iter().find(|one| one["kind"] == "index").unwrap();
    assert_eq!((&index["what"], &index["table"]), (&Value::from("unexpected"), &Value::from("public.a")));
    assert!(index["found"]["definition"].as_str().unwrap().contains("by_hand") && index["expected"].is_null());
    assert_eq!(db.psql(rows), before, "it writes nothing");
}

#[test]
fn the_commit_that_the_database_claims_counts_and_not_the_tree() {
    let Some(server) = server(15) else { return };
    let db = server.fresh_database();
    let world = deployed(&db);
    world.write("db/migrations/2_two.sql", "CREATE TABLE IF NOT EXISTS c (id int);\n");
    world.dbbuild(&["baseline"]).ok();
    world.commit("Two").ok();
    drift(&world, &[]).ok();
    drift(&world, &["--rev", "HEAD"]).ok().says("of that commit still pending here: 2");
    drift(&world, &["--rev", "nowhere"]).fails(2).says("there is no commit nowhere");
    db.psql("UPDATE dbbuild.migration SET git_commit = repeat('1', 40); UPDATE dbbuild.file SET git_commit = NULL");
    drift(&world, &[]).fails(1).says("which is not in this repository").says("git fetch");
    let shallow = world.home().join("shallow");
    let from = format!("file://{}", world.path("").display());
    world.git(&["clone", "--quiet", "--depth", "1", &from, shallow.to_str().unwrap()]).ok();
    let there = world.dbbuild(&["-C", shallow.to_str().unwrap(), "drift", "--env", "production"]);
    there.fails(1).says("git fetch --unshallow");
    db.psql("UPDATE dbbuild.migration SET git_commit = NULL");
    drift(&world, &["--rev", "HEAD~1"]).ok();
    drift(&world, &[]).ok().says("claims no commit");
}

#[test]
fn a_run_that_was_broken_off_is_no_drift() {
    let Some(server) = server(15) else { return };
    let db = server.fresh_database();
    let world = deployed(&db);
    world.write("db/migrations/2_two.sql", "CREATE TABLE IF NOT EXISTS c (id int);\n");
    world.write("db/migrations/3_three.sql", "ALTER TABLE c ADD COLUMN IF NOT EXISTS n int;\n");
    world.dbbuild(&["baseline"]).ok();
    world.commit("More").ok();
    world.dbbuild(&["apply", "--env", "production", "--to", "2"]).ok();
    drift(&world, &[]).ok().says("of that commit still pending here: 3");
    db.psql("ALTER TABLE c ADD COLUMN by_hand int");
    drift(&world, &[]).fails(3).says("column `public.c.by_hand` is unexpected").says("1 object differs");
}

#[test]
fn a_bootstrapped_database_and_one_who_may_only_look() {
    let Some(server) = server(15) else { return };
    let (db, fresh) = (server.fresh_database(), server.fresh_database());
    let mut world = deployed(&db);
    world.set("PRODUCTION_URL", &fresh.url);
    world.dbbuild(&["bootstrap", "--env", "production"]).ok();
    drift(&world, &[]).ok().says("is as db/baseline.sql of").says_not("claims no commit");
    fresh.psql("DO $$ BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'it_looks') THEN CREATE ROLE it_looks LOGIN; END IF; END $$");
    fresh.psql("GRANT USAGE ON SCHEMA dbbuild TO it_looks; GRANT SELECT ON ALL TABLES IN SCHEMA dbbuild TO it_looks");
    world.set("PRODUCTION_URL", fresh.url.replace("postgres@", "it_looks@"));
    drift(&world, &[]).ok();
    // Another session's lock holds nobody up for ever.
    world.set("PRODUCTION_URL", &fresh.url);
    fresh.psql("ALTER TABLE a ADD COLUMN by_hand int");
    drift(&world, &[]).fails(3).says("by_hand");
}

#[test]
fn a_stale_baseline_is_compared_as_it_stands_whatever_was_proved_later() {
    let Some(server) = server(15) else { return };
    let db = server.fresh_database();
    let world = deployed(&db);
    world.write("db/migrations/2_two.sql", "CREATE TABLE IF NOT EXISTS c (id int);\n");
    world.commit("Two, without its baseline").ok();
    world.dbbuild(&["apply", "--env", "production"]).ok();
    let told = || {
        let told = drift(&world, &[]);
        told.fails(3).says("`public.c` is unexpected").says("was not made from the files beside it");
    };
    told();
    world.dbbuild(&["baseline"]).ok();
    world.commit("Its baseline").ok();
    told();
    drift(&world, &["--rev", "HEAD"]).ok();
}
