//! Migrations that are limited to environments: they stand outside the baseline, run where they belong, change rows only,
//! and still fit the newest schema.

use crate::support::{Outcome, World, server};

const CONFIG: &str = "[postgres]\nversion = 15\nthrowaway = \"local\"\n[env.development]\n\
    [env.production]\ndatabase = \"prod\"\nprotected = true\norder = \"strict\"\n";
const TABLE: &str = "CREATE TABLE IF NOT EXISTS setting (name text PRIMARY KEY, value text NOT NULL, of text REFERENCES setting DEFERRABLE INITIALLY DEFERRED);\n";
const LIMITED: &str = "-- dbbuild:env production\n-- migrate:up\n\
    INSERT INTO setting VALUES ('host', 'db1') ON CONFLICT DO NOTHING;\n\
    -- migrate:down\nDELETE FROM setting WHERE name = 'host';\n";
const LATER: &str = "CREATE TABLE IF NOT EXISTS later (id int PRIMARY KEY);\n";

/// Two ordinary migrations with a limited one between them, and a baseline.
fn project() -> World {
    let world = World::new();
    world.write("dbbuild.toml", CONFIG).write("db/migrations/1_setting.sql", TABLE);
    world.write("db/migrations/2_host.sql", LIMITED).write("db/migrations/3_later.sql", LATER);
    world.dbbuild(&["baseline"]).ok().says("2 migrations");
    world
}

fn rows(world: &World, env: &str, sql: &str) -> Outcome {
    let outcome = world.dbbuild(&["psql", "--env", env, "--", "-XAtc", sql]);
    outcome.ok();
    outcome
}

#[test]
fn it_runs_in_its_environment_alone_and_stands_outside_the_baseline() {
    if server(15).is_none() {
        return;
    }
    let world = project();
    let baseline = world.read("db/baseline.sql");
    assert!(!baseline.contains("host"), "neither its row nor its version");
    world.dbbuild(&["verify", "--worktree"]).ok();

    world.dbbuild(&[]).ok().says_not("2_host");
    world.dbbuild(&["status"]).ok().says("elsewhere    2_host (limited to production)").says("2 applied, 0 pending");
    world.dbbuild(&["status", "--exit-code"]).ok();
    let json = world.dbbuild(&["status", "--json"]);
    json.ok().says("\"environments\":[\"production\"]").says("\"secure\":false").says("\"state\":\"elsewhere\"");
    assert_eq!(rows(&world, "development", "SELECT count(*) FROM setting").stdout, "0\n");

    // A new installation: older than what the baseline holds, and no fault of the order that production demands.
    world.dbbuild(&["plan", "--bootstrap", "--env", "production"]).ok().says("migration db/migrations/2_host.sql (new");
    world.dbbuild(&["bootstrap", "--env", "production"]).ok().says("applied db/migrations/2_host.sql");
    assert_eq!(rows(&world, "production", "SELECT value FROM setting").stdout, "db1\n");
    world.dbbuild(&["status", "--env", "production"]).ok().says("3 applied, 0 pending").says("baseline.sql: fresh");
    world.dbbuild(&["apply", "--allow-dirty", "--env", "production"]).ok().says_not("applied db/");
    world.dbbuild(&["log", "--env", "production"]).ok().says(" 2        host     applied");

    // One more leaves the baseline as it is, runs without what follows migrations, and is judged at the next commit.
    world.write("db/repeatable/v.sql", "CREATE OR REPLACE VIEW v AS SELECT name FROM setting;\n");
    world.dbbuild(&["baseline"]).ok();
    world.dbbuild(&["apply", "--allow-dirty", "--env", "production"]).ok().says("ran 1 repeatable file");
    let baseline = world.read("db/baseline.sql");
    world.write("db/migrations/4_port.sql", LIMITED.replace("host", "port"));
    world.dbbuild(&["baseline"]).ok();
    assert_eq!(world.read("db/baseline.sql"), baseline);
    let applied = world.dbbuild(&["apply", "--allow-dirty", "--env", "production"]);
    applied.ok().says("applied db/migrations/4_port.sql").says_not("repeatable");
    world.dbbuild(&["verify", "--worktree"]).ok().says("was proved before");
    world.dbbuild(&[]).ok().says("ran 1 repeatable file").says_not("4_port");
    world.dbbuild(&[]).ok().says("nothing to do");
    world.dbbuild(&["plan"]).ok().says_not("4_port");
}

#[test]
fn verification_tries_it_on_the_newest_schema() {
    if server(15).is_none() {
        return;
    }
    let world = project();
    let limited = |sql: &str| format!("-- dbbuild:env production\n{sql}\n");
    let refused = |sql: &str| {
        world.write("db/migrations/4_more.sql", limited(sql));
        let outcome = world.dbbuild(&["verify", "--worktree"]);
        assert_eq!(outcome.status, 1, "{sql}\n{}", outcome.show());
        outcome
    };
    refused("CREATE TABLE IF NOT EXISTS t (id int);")
        .says("4_more changes more than rows: ")
        .says("t")
        .says("at db/migrations/4_more.sql");
    refused("DO $$ BEGIN EXECUTE 'ALTER TABLE setting ADD COLUMN IF NOT EXISTS c int'; END $$;")
        .says("4_more changes more than rows")
        .says("limited to production");
    refused("ALTER TABLE setting DISABLE TRIGGER ALL;").says("4_more changes more than rows");
    refused("DO $$ BEGIN CREATE ROLE somebody; EXCEPTION WHEN duplicate_object THEN NULL; END $$;")
        .says("4_more changes more than rows: roles");
    refused("INSERT INTO setting VALUES ('a', 'a', 'nobody') ON CONFLICT DO NOTHING;")
        .says("4_more does not fit the newest schema")
        .says("23503");
    refused("\nUPDATE setting SET valu = 'x';")
        .says("4_more does not fit the newest schema at db/migrations/4_more.sql:3")
        .says("42703");
    // It sees the rows of those before it, and what it does to them it does once.
    refused("UPDATE setting SET value = value || 'x' WHERE name = 'host';")
        .says("4_more changes rows of public.setting when it is run again");
    refused("COMMIT; SELECT 1;").says("COMMIT in a file that runs in one transaction");
    world.write("db/migrations/4_more.sql", "-- dbbuild:env prodution\nSELECT 1;\n");
    world.dbbuild(&["verify", "--worktree"]).fails(1).says("did you mean `-- dbbuild:env production`?");
    world.dbbuild(&["status"]).fails(1).says("which is not configured");
    world.write("db/migrations/4_more.sql", "-- dbbuild:env production\n-- migrate:up transaction:false\nSELECT 1;\n");
    world.dbbuild(&["status"]).fails(1).says("runs in one transaction");
    world.write(
        "db/migrations/4_more.sql",
        limited("CREATE TEMP TABLE x AS SELECT 1; INSERT INTO later SELECT 7 ON CONFLICT DO NOTHING; TRUNCATE later;"),
    );
    world.dbbuild(&["verify", "--worktree"]).ok();
    // What its precondition keeps from running on a new installation is not tried on one.
    let asks = "-- dbbuild:precondition on-fail=skip expect=1\n-- SELECT count(*) FROM setting WHERE name = 'host'\n";
    world.write(
        "db/migrations/4_more.sql",
        format!("-- dbbuild:env production\n{asks}\nUPDATE setting SET gone = 'x';\n"),
    );
    world.dbbuild(&["verify", "--worktree"]).ok();
    std::fs::remove_file(world.path("db/migrations/4_more.sql")).unwrap();

    // A published one that no longer fits: the change that broke it is refused.
    world.commit("start").ok();
    world.add_origin();
    world.git(&["push", "-q", "origin", "main"]).ok();
    world.write(
        "db/migrations/5_rename.sql",
        "-- dbbuild:idempotent false a rename\nALTER TABLE setting RENAME name TO label;\n\
         ALTER TABLE setting DROP COLUMN value;\n",
    );
    world.dbbuild(&["baseline"]).fails(1).says("2_host does not fit the newest schema at db/migrations/2_host.sql");
    std::fs::remove_file(world.path("db/migrations/5_rename.sql")).unwrap();

    // Published, it is as immutable as any other.
    world.write("db/migrations/2_host.sql", LIMITED.replace("db1", "db2"));
    world.dbbuild(&["verify", "--worktree"]).fails(1).says("the published migration 2_host was edited");
    world.write("db/migrations/2_host.sql", LIMITED.replace("-- dbbuild:env production\n", ""));
    world.dbbuild(&["verify", "--worktree"]).fails(1).says("the published migration 2_host was edited");
}

#[test]
fn what_no_environment_runs_any_more_is_taken_back_like_others() {
    if server(15).is_none() {
        return;
    }
    let world = project();
    world.write("db/migrations/2_host.sql", LIMITED.replace("production", "development"));
    world.dbbuild(&[]).ok().says("applied db/migrations/2_host.sql");
    assert_eq!(rows(&world, "development", "SELECT value FROM setting").stdout, "db1\n");
    // An edit while it is not published: taken back by its down part and applied anew.
    world.write("db/migrations/2_host.sql", LIMITED.replace("production", "development").replace("db1", "db2"));
    world.dbbuild(&["status"]).ok().says("changed      2_host");
    world.dbbuild(&["build", "--take-back"]).ok().says("took back 2_host").says("applied db/migrations/2_host.sql");
    assert_eq!(rows(&world, "development", "SELECT value FROM setting").stdout, "db2\n");
    std::fs::remove_file(world.path("db/migrations/2_host.sql")).unwrap();
    world.dbbuild(&["status"]).ok().says("unknown      2_host");
    world.dbbuild(&["build", "--take-back"]).ok().says("took back 2_host");
    assert_eq!(rows(&world, "development", "SELECT count(*) FROM setting").stdout, "0\n");
}
