//! Whatever PostgreSQL holds, the baseline holds: a database with every kind of object is adopted, made anew from its
//! baseline, and adopted again. What becomes of each kind is a table that a test beside the catalogs makes.

use std::fs;
use std::path::Path;

use crate::init::local;
use crate::support::{Server, World};

/// A world whose programs are those of a server.
pub fn world_of(server: &Server) -> World {
    let mut world = local(World::new());
    let path = std::env::var("PATH").unwrap_or_default();
    world.set("PATH", format!("{}:{path}", server.bin.display()));
    world
}

/// All that a baseline says but for what it was made from.
fn body(baseline: &str) -> String {
    let (dump, _history) = baseline.split_once("-- Name: dbbuild; Type: HISTORY;").unwrap();
    dump.lines().filter(|line| !line.starts_with("-- dbbuild:inputs ")).flat_map(|line| [line, "\n"]).collect()
}

fn every_table(server: &Server, database: &str) -> Vec<String> {
    let sql = "SELECT quote_ident(n.nspname) || '.' || quote_ident(c.relname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
               WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'";
    server.existing(database).psql(sql).lines().map(str::to_owned).collect()
}

/// Adopts a database of a server with all its rows, and gives its baseline.
fn adopt(world: &World, server: &Server, database: &str) -> String {
    let (url, tables) = (server.url(database), every_table(server, database));
    let mut arguments =
        vec!["adopt", "--env", "production", "--url", &url, "--confirm", "production", "--large-objects"];
    for table in &tables {
        arguments.extend(["--data", table]);
    }
    world.dbbuild(&arguments).ok().says("recorded as applied");
    world.read("db/baseline.sql")
}

fn round_trip(major: u32) {
    let Some(server) = Server::private(major, &["max_locks_per_transaction=256"]) else { return };
    server.run("psql", &["-Xqc", "CREATE DATABASE origin", "-d", "postgres"]).ok();
    let objects = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/fidelity/objects.sql");
    server.existing("origin").psql_file(&objects).ok();

    let world = world_of(&server);
    let first = adopt(&world, &server, "origin");
    assert!(!first.contains("secret"), "passwords of mappings, servers and subscriptions stay out");
    world.commit("Adopt").ok();
    world.dbbuild(&["verify", "--full"]).ok();
    world.dbbuild(&["baseline"]).ok().says("is as it should be");
    assert_eq!(world.read("db/baseline.sql"), first);

    let copy = server.url("copy");
    world.dbbuild(&["bootstrap", "--env", "production", "--url", &copy]).ok();
    server.existing("copy").psql("DROP SCHEMA dbbuild CASCADE");
    let again = world_of(&server);
    let second = adopt(&again, &server, "copy");
    fs::write(again.path("second.sql"), body(&second)).unwrap();
    fs::write(again.path("first.sql"), body(&first)).unwrap();
    let same = again.run(again.command("diff").args(["-u", "first.sql", "second.sql"]));
    assert_eq!(same.status, 0, "on PostgreSQL {major}\n{}", same.stdout);
}

#[test]
fn every_kind_of_object_comes_out_of_its_baseline_as_it_went_in() {
    round_trip(15);
}

#[test]
fn every_kind_of_object_survives_on_later_versions_too() {
    (16..=18).for_each(round_trip);
}
