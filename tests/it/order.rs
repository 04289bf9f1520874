//! A migration that arrives with an older version than applied ones: it runs and is reported, the local database is
//! compared with the replay in order, and an environment can demand order.

use crate::support::{World, server};

const FIRST: &str = "CREATE TABLE IF NOT EXISTS t (id int PRIMARY KEY);\n";

fn column(version: u32, name: &str) -> (String, String) {
    (format!("db/migrations/{version}_{name}.sql"), format!("ALTER TABLE t ADD COLUMN IF NOT EXISTS {name} int;\n"))
}

#[test]
fn an_older_migration_runs_and_the_result_is_compared_with_the_replay() {
    let Some(server) = server(15) else { return };
    let database = server.fresh_database();
    let world = World::new();
    let config = "[postgres]\nversion = 15\nthrowaway = \"local\"\ndatabase = \"app\"\n[env.development]\nurl = ";
    world.write("dbbuild.toml", format!("{config}\"{}\"\n", database.url)).write("db/migrations/1_t.sql", FIRST);
    let (path, sql) = column(5, "five");
    world.write(&path, sql);
    world.dbbuild(&["build"]).ok();

    world.write("db/migrations/3_u.sql", FIRST.replace(" t ", " u "));
    world.dbbuild(&["plan"]).ok().says("db/migrations/3_u.sql is older than the newest applied migration");
    world.dbbuild(&["build"]).ok().says("applied db/migrations/3_u.sql").says("is older than the newest applied");
    world.dbbuild(&["build"]).ok().says("nothing to do");

    // Here the order shows: in order, the column would stand before that of the newer migration.
    let (path, sql) = column(4, "four");
    world.write(&path, sql);
    world.dbbuild(&["build"]).fails(3).says("applied db/migrations/4_four.sql").says("drifted").says("public.t");
    world.dbbuild(&["build"]).fails(3).says("public.t");
    world.dbbuild(&["reset", "--yes"]).ok();
    world.dbbuild(&["build"]).ok().says("nothing to do");
}

#[test]
fn an_environment_can_demand_order() {
    let Some(server) = server(15) else { return };
    let database = server.fresh_database();
    let world = World::without_git();
    let config =
        format!("default_env = \"production\"\n[env.production]\nprotected = true\nurl = \"{}\"\n", database.url);
    world.write("dbbuild.toml", format!("{config}order = \"strict\"\n")).write("db/migrations/1_t.sql", FIRST);
    let (path, sql) = column(5, "five");
    world.write(&path, sql);
    let run = |command: &str| world.dbbuild(&[command, "--env", "production"]);
    run("apply").ok();
    world.write("db/migrations/3_u.sql", FIRST.replace(" t ", " u "));
    for command in ["plan", "apply"] {
        let refused = run(command);
        refused.fails(1).says("3_u is older than 5_five").says("env.production.order").says("db/migrations/3_u.sql");
    }
    assert_eq!(database.psql("SELECT count(*) FROM dbbuild.migration"), "2");
    world.write("dbbuild.toml", &config);
    run("apply").ok().says("applied db/migrations/3_u.sql");
    world.write("dbbuild.toml", format!("{config}order = \"sorted\"\n"));
    run("plan").fails(2).says("unknown value `sorted`").says("strict");
}
