//! The guard end to end: the mark inside the database decides, whatever flags, addresses and copies say.

use crate::support::{Db, Outcome, World, server};

const CONFIG: &str = r#"
[postgres]
version = 15
throwaway = "local"
database = "shop"
[env.development]
url_env = "DEVELOPMENT_URL"
testdata = ["default"]
[env.staging]
url_env = "STAGING_URL"
[env.production]
url_env = "PRODUCTION_URL"
protected = true
"#;

fn world() -> World {
    let world = World::without_git();
    world
        .write("dbbuild.toml", CONFIG)
        .write("db/migrations/1_item.sql", "CREATE TABLE IF NOT EXISTS item (name text PRIMARY KEY);\n")
        .write("db/init/items.sql", "INSERT INTO item VALUES ('init') ON CONFLICT DO NOTHING;\n")
        .write("db/testdata/default/items.sql", "INSERT INTO item VALUES ('test') ON CONFLICT DO NOTHING;\n");
    world
}

/// Runs dbbuild on a database with an environment selected.
#[track_caller]
fn dbbuild(world: &World, db: &str, env: &str, arguments: &[&str]) -> Outcome {
    let selected = ["--url", db, "--env", env];
    world.dbbuild(&arguments.iter().copied().chain(selected).collect::<Vec<_>>())
}

fn items(db: &Db<'_>) -> String {
    db.psql("SELECT string_agg(name, ' ' ORDER BY name) FROM item")
}

fn mark(db: &Db<'_>) -> String {
    db.psql("SELECT name, protected FROM dbbuild.environment")
}

#[test]
fn the_mark_is_written_before_the_first_migration() {
    let Some(server) = server(15) else { return };
    let db = server.fresh_database();
    let world = world();
    world.write("db/migrations/1_item.sql", "SELECT nofn();");
    dbbuild(&world, &db.url, "production", &["apply"]).fails(1).says("help: 0 of 1 pending migrations are applied.");
    assert_eq!(mark(&db), "production|t");
    dbbuild(&world, &db.url, "development", &["apply"]).fails(1).says("it is marked production");
    world.write("db/migrations/1_item.sql", "CREATE TABLE item AS SELECT name FROM dbbuild.environment;");
    dbbuild(&world, &db.url, "production", &["apply"]).ok();
    assert_eq!(items(&db), "init production");
}

#[test]
fn test_data_goes_only_where_mark_selection_and_configuration_allow_it() {
    let Some(server) = server(15) else { return };
    let world = world();
    world.dbbuild(&["baseline"]).ok();
    for (command, env, expected) in [
        (&["build", "--no-baseline"][..], "development", "init test"),
        (&["apply"], "development", "init"),
        (&["bootstrap"], "development", "init"),
        (&["build", "--no-baseline"], "staging", "init"),
        (&["build", "--no-baseline"], "production", "init"),
        (&["apply"], "production", "init"),
        (&["bootstrap"], "production", "init"),
    ] {
        let db = server.fresh_database();
        dbbuild(&world, &db.url, env, command).ok();
        assert_eq!(items(&db), expected, "{command:?} in {env}");
        assert_eq!(mark(&db), format!("{env}|{}", if env == "production" { "t" } else { "f" }));
        let seed = dbbuild(&world, &db.url, env, &["seed", "default", "--yes"]);
        if env == "development" {
            seed.ok();
            assert_eq!(items(&db), "init test");
        } else {
            seed.fails(1).says("refused to load test data into `").says("help: ");
            assert_eq!(items(&db), "init");
        }
    }
}

#[test]
fn a_protected_database_is_never_dropped_reset_or_seeded() {
    let Some(server) = server(15) else { return };
    let db = server.fresh_database();
    let world = world();
    dbbuild(&world, &db.url, "production", &["apply"]).ok();
    let before = db.pg_dump();
    for env in ["production", "development", "staging", "nowhere"] {
        for command in [
            &["drop"][..],
            &["reset"],
            &["seed", "default"],
            &["env", "mark", "development", "--confirm", "development"],
        ] {
            let with_yes: Vec<&str> = command.iter().copied().chain(["--yes"]).collect();
            let outcome = dbbuild(&world, &db.url, env, &with_yes);
            assert!(matches!(outcome.status, 1 | 2), "{}", outcome.show());
            outcome.says(if env == "nowhere" { "there is no environment" } else { "error: refused" }).says("help: ");
        }
    }
    // A configuration that was edited does not lift what stands in the database.
    world.write("dbbuild.toml", CONFIG.replace("protected = true", "protected = false\ntestdata = [\"default\"]"));
    for command in [&["drop", "--yes"][..], &["reset", "--yes"], &["seed"]] {
        dbbuild(&world, &db.url, "production", command).fails(1).says("it is marked production, which is protected");
    }
    assert!(db.pg_dump() == before);
}

#[test]
fn an_unmarked_database_with_content_counts_as_production() {
    let Some(server) = server(15) else { return };
    let db = server.fresh_database();
    let world = world();
    world.dbbuild(&["baseline"]).ok();
    db.psql("CREATE TABLE theirs (id int)");
    let before = db.pg_dump();
    for command in ["build", "apply", "seed", "reset", "drop", "bootstrap"] {
        for env in ["development", "production"] {
            let outcome = dbbuild(&world, &db.url, env, &[command, "--yes"]);
            outcome.fails(1).says("error: refused to ").says("it is not empty").says("help: ");
        }
    }
    dbbuild(&world, &db.url, "development", &["plan"]).fails(1).says("it is not empty and carries no mark");
    assert!(db.pg_dump() == before);

    // Only the name opens it, and `--yes` is no name.
    let mark_it = |more: &[&str]| {
        let arguments: Vec<&str> = ["env", "mark", "development"].into_iter().chain(more.iter().copied()).collect();
        dbbuild(&world, &db.url, "development", &arguments)
    };
    for more in [&[][..], &["--yes"], &["--confirm", "production"], &["--confirm", ""]] {
        mark_it(more).fails(1).says("it is not empty, and the name was not confirmed").says("--confirm development");
    }
    assert!(db.pg_dump() == before);
    mark_it(&["--confirm", "development"]).ok().says("is marked development now");
    dbbuild(&world, &db.url, "development", &["build", "--no-baseline"]).ok();
    assert_eq!(items(&db), "init test");
}

#[test]
fn protection_is_lifted_by_its_name_alone() {
    let Some(server) = server(15) else { return };
    let db = server.fresh_database();
    let world = world();
    dbbuild(&world, &db.url, "production", &["apply"]).ok();
    let mark_it = |more: &[&str]| {
        let arguments: Vec<&str> = ["env", "mark", "development"].into_iter().chain(more.iter().copied()).collect();
        dbbuild(&world, &db.url, "development", &arguments)
    };
    for more in [
        &["--yes"][..],
        &["--confirm", "development"],
        &["--confirm", "development", "--yes"],
        &["--unprotect", "development"],
        &["--unprotect", "staging", "--confirm", "development"],
    ] {
        mark_it(more).fails(1).says("it is marked production, which is protected").says("--unprotect production");
        assert_eq!(mark(&db), "production|t");
    }
    mark_it(&["--unprotect", "production"]).ok();
    assert_eq!(mark(&db), "development|f");
    dbbuild(&world, &db.url, "development", &["seed"]).ok();
    dbbuild(&world, &db.url, "production", &["apply"]).fails(1).says("it is marked development");
}

#[test]
fn a_copy_must_be_marked_again_and_a_renamed_database_not() {
    let Some(server) = server(15) else { return };
    let world = world();
    let original = server.fresh_database();
    dbbuild(&world, &original.url, "development", &["build", "--no-baseline"]).ok();

    let restored = server.fresh_database();
    let dump = server.dir.join("guard.sql");
    std::fs::write(&dump, original.pg_dump()).unwrap();
    restored.psql_file(&dump).ok();
    let copied = server.fresh_database();
    server.run("psql", &["-Xqd", "postgres", "-c", &format!("DROP DATABASE {}", copied.name)]).ok();
    let sql = format!("CREATE DATABASE {} TEMPLATE {}", copied.name, original.name);
    server.run("psql", &["-Xqd", "postgres", "-c", &sql]).ok();

    for db in [&restored, &copied] {
        dbbuild(&world, &db.url, "development", &["env", "show"])
            .ok()
            .says("the mark does not count: it was written in another database");
        for command in ["build", "apply", "seed", "reset", "drop"] {
            dbbuild(&world, &db.url, "development", &[command, "--yes"])
                .fails(1)
                .says("its mark (development) does not belong to it")
                .says("help: a restored, upgraded or template copy must be marked again");
        }
        dbbuild(&world, &db.url, "development", &["env", "mark", "development", "--yes"]).fails(1);
        dbbuild(&world, &db.url, "development", &["env", "mark", "development", "--confirm", "development"]).ok();
        dbbuild(&world, &db.url, "development", &["seed"]).ok();
    }

    let name = format!("{}_renamed", original.name);
    let sql = format!("ALTER DATABASE {} RENAME TO {name}", original.name);
    server.run("psql", &["-Xqd", "postgres", "-c", &sql]).ok();
    dbbuild(&world, &server.url(&name), "development", &["seed"]).ok();
    dbbuild(&world, &server.url(&name), "development", &["drop", "--yes"]).ok().says("dropped");
}

#[test]
fn what_template1_brings_is_no_content_and_what_another_template_brings_is() {
    let Some(server) = crate::support::Server::private(15, &[]) else { return };
    let world = world();
    server.run("psql", &["-Xqd", "template1", "-c", "CREATE TABLE brought (id int); CREATE EXTENSION citext"]).ok();
    let make = |name: &str, template: &str| {
        let sql = format!("CREATE DATABASE {name} TEMPLATE {template}");
        server.run("psql", &["-Xqd", "postgres", "-c", &sql]).ok();
        server.url(name)
    };
    let plain = make("plain", "template1");
    dbbuild(&world, &plain, "development", &["env", "show"]).ok().says("not marked; it is empty");
    make("theirs", "template0");
    server.run("psql", &["-Xqd", "theirs", "-c", "CREATE TABLE theirs (id int)"]).ok();
    let copy = make("copy", "theirs");
    dbbuild(&world, &copy, "development", &["env", "show"]).ok().says("it is not empty, so it counts as production");
    dbbuild(&world, &copy, "development", &["build", "--no-baseline"]).fails(1).says("refused");
    dbbuild(&world, &plain, "development", &["build", "--no-baseline"]).ok();
}

#[test]
fn a_mark_is_only_as_good_as_its_server() {
    let (Some(server), Some(other)) = (server(15), crate::support::Server::private(15, &[])) else { return };
    let world = world();
    let db = server.fresh_database();
    dbbuild(&world, &db.url, "development", &["build", "--no-baseline"]).ok();
    let dump = other.dir.join("guard.sql");
    std::fs::write(&dump, db.pg_dump()).unwrap();
    let restored = other.fresh_database();
    restored.psql_file(&dump).ok();
    dbbuild(&world, &restored.url, "development", &["reset", "--yes"])
        .fails(1)
        .says("it was written on another server");
    assert_eq!(items(&restored), "init test");
}

#[test]
fn the_embedded_server_has_an_id_outside_its_databases() {
    let world = World::new();
    world
        .write("dbbuild.toml", CONFIG.replace("url_env = \"DEVELOPMENT_URL\"", ""))
        .write("db/migrations/1_item.sql", "CREATE TABLE IF NOT EXISTS item (name text PRIMARY KEY);\n")
        .write("db/testdata/default/items.sql", "INSERT INTO item VALUES ('test') ON CONFLICT DO NOTHING;\n");
    world.dbbuild(&["build", "--no-baseline"]).ok();
    let psql = |sql: &str| world.dbbuild(&["psql", "--", "-XAtqc", sql]).ok().stdout.trim_end().to_owned();
    assert_eq!(psql("SELECT name FROM item"), "test");
    let id = psql("SELECT server_id FROM dbbuild.environment");
    assert!(id.len() >= 16, "a random id, not {id:?}");
    psql("UPDATE dbbuild.environment SET server_id = 'another'");
    world.dbbuild(&["reset", "--yes"]).fails(1).says("it was written on another copy of this server");
    psql(&format!("UPDATE dbbuild.environment SET server_id = '{id}'"));
    world.dbbuild(&["reset", "--yes"]).ok().says("was built anew");
    world.dbbuild(&["drop", "--yes"]).ok().says("dropped");
    world.dbbuild(&["server", "stop"]).ok();
}
