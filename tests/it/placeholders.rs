//! Placeholders: filled from configuration and environment, checked over the raw text, and never shown or stored.

use crate::support::{Db, World, server};

const FILE: &str = "db/migrations/1_a.sql";

fn world(db: &Db<'_>, placeholders: &str, text: &str) -> World {
    let mut world = World::without_git();
    world.set("DATABASE_URL", &db.url);
    world.write(
        "dbbuild.toml",
        format!(
            "[postgres]\nversion = 15\n{placeholders}\n[env.development]\nurl_env = \"DATABASE_URL\"\n\
                 [env.production]\nurl_env = \"DATABASE_URL\"\n[env.production.placeholders]\nowner = \"prod\"\n"
        ),
    );
    world.write(FILE, text);
    world
}

#[test]
fn values_come_from_configuration_environment_and_env_files() {
    let Some(server) = server(15) else { return };
    let db = server.fresh_database();
    let text = "CREATE TABLE ${table} (note text DEFAULT '${note}', plain text DEFAULT '${:note}');\n\
                COMMENT ON TABLE ${table} IS '${owner}';\n";
    let values = "[placeholders]\ntable = \"things\"\nnote = { env = \"NOTE\", default = \"none\" }\nowner = \"dev\"\n";
    let world = world(&db, values, text);
    world.write(".env", "NOTE='from a file'\n");
    world.dbbuild(&["apply"]).ok();
    let shown = db.psql("SELECT string_agg(pg_get_expr(adbin, adrelid), ' ' ORDER BY adnum) FROM pg_attrdef WHERE adrelid = 'things'::regclass");
    assert_eq!(shown, "'from a file'::text '${note}'::text");
    assert_eq!(db.psql("SELECT obj_description('things'::regclass)"), "dev");
    // The raw text is kept, and its checksum.
    assert_eq!(db.psql("SELECT up_sql FROM dbbuild.migration").trim(), text.trim());
    world.write(".env", "NOTE=other\n");
    world.dbbuild(&["apply"]).ok().says("is up to date");
    db.psql("DROP TABLE things; DROP SCHEMA dbbuild CASCADE");
    world.dbbuild(&["apply", "--allow-dirty", "--env", "production"]).ok();
    assert_eq!(db.psql("SELECT obj_description('things'::regclass)"), "prod");
}

#[test]
fn what_has_no_value_is_told_before_anything_runs() {
    let Some(server) = server(15) else { return };
    let db = server.fresh_database();
    let mut world = world(&db, "[placeholders]\nnote = { env = \"NOTE\" }\n", "CREATE TABLE a ();");
    world.write("db/migrations/2_b.sql", "SELECT\n  '${note}', '${nowhere}';");
    let failed = world.dbbuild(&["apply"]);
    failed
        .fails(1)
        .says("the placeholder ${note} has no value at db/migrations/2_b.sql:2:4")
        .says("the environment variable NOTE is not set");
    failed.says("the placeholder ${nowhere} has no value at db/migrations/2_b.sql:2:15").says("nothing was run");
    assert_eq!(db.psql("SELECT to_regclass('a') IS NULL"), "t");
    world.dbbuild(&["plan"]).fails(1).says("${note} has no value");
    world.set("NOTE", "x");
    world
        .write("db/migrations/2_b.sql", "-- dbbuild:placeholders false\nCREATE TABLE b (n text DEFAULT '${nowhere}');");
    world.dbbuild(&["apply"]).ok();
}

#[test]
fn no_value_of_a_variable_is_shown_or_stored() {
    let Some(server) = server(15) else { return };
    let db = server.fresh_database();
    let values = "[placeholders]\nsecret = { env = \"SECRET\", proof = \"p\" }\n";
    let text = "-- migrate:up transaction:false\nCREATE TABLE a (n int);\nINSERT INTO a VALUES ('${secret}');\n";
    let mut world = world(&db, values, text);
    world.set("SECRET", "hunter2hunter2");
    for arguments in [&["apply"][..], &["apply", "--verbose"], &["plan", "--json"], &["apply", "--json"]] {
        let outcome = world.dbbuild(arguments);
        outcome.says_not("hunter2");
        if arguments[0] == "apply" {
            outcome.fails(1).says("invalid input syntax for type integer: \"${secret}\"").says("1_a.sql:3:23");
        }
    }
    world.write(FILE, text.replace("a VALUES ('${secret}')", "a SELECT length('${secret}')"));
    world.dbbuild(&["apply"]).ok();
    assert_eq!(db.psql("SELECT n FROM a"), "14");
    for table in ["migration", "statement", "file"] {
        let all = db.psql(&format!("SELECT string_agg(t::text, ' ') FROM dbbuild.{table} t"));
        assert!(!all.contains("hunter2"), "{all}");
    }
    let sum = db.psql("SELECT encode(sha256('INSERT INTO a SELECT length(''${secret}'')'), 'hex') = checksum FROM dbbuild.statement WHERE ordinal = 2");
    assert_eq!(sum, "t");
    world.write("db/migrations/2_b.sql", "DO $$BEGIN RAISE EXCEPTION 'it is %', '${secret}'; END$$;");
    world.dbbuild(&["apply"]).fails(1).says("it is ${secret}").says_not("hunter2");
}

#[test]
fn a_proof_takes_its_own_values_and_they_count() {
    let Some(server) = server(15) else { return };
    let db = server.fresh_database();
    let values = |proof: &str| format!("[placeholders]\nlimit = {{ env = \"LIMIT\"{proof} }}\nname = \"x\"\n");
    let text = "CREATE TABLE IF NOT EXISTS a (n int DEFAULT ${limit}, m text DEFAULT '${name}');";
    let mut world = world(&db, &values(""), text);
    world.set("LIMIT", "99");
    world.dbbuild(&["baseline"]).fails(1).says("${limit} has no value").says("a proof does not read").says(":1:45");
    let config = std::fs::read_to_string(world.path("dbbuild.toml")).unwrap();
    let config = config.replace("\"LIMIT\"", "\"LIMIT\", proof = \"7\"");
    world.write("dbbuild.toml", &config);
    world.dbbuild(&["baseline"]).ok();
    let baseline = || std::fs::read_to_string(world.path("db/baseline.sql")).unwrap();
    assert!(baseline().contains("n integer DEFAULT 7") && !baseline().contains("99"), "{}", baseline());
    world.dbbuild(&["verify", "--worktree"]).ok();
    world.write("dbbuild.toml", config.replace("\"7\"", "\"8\""));
    world.dbbuild(&["verify", "--worktree"]).fails(3).says("stale");
    world.write("dbbuild.toml", config.replace("name = \"x\"", "name = \"y\""));
    world.dbbuild(&["verify", "--worktree"]).fails(3);
    world.dbbuild(&["baseline"]).ok();
    assert!(baseline().contains("'y'::text"));
}
