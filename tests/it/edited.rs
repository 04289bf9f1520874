//! An edited migration: brought to its new content locally while it is not published, refused where it is.

use crate::support::{Db, World, server};

const ONE: &str = "CREATE TABLE IF NOT EXISTS a (id int PRIMARY KEY);\n";
const TWO: &str = "-- migrate:up\nALTER TABLE a ADD COLUMN IF NOT EXISTS price int;\n\
    CREATE TABLE IF NOT EXISTS b (id int PRIMARY KEY);\n\
    -- migrate:down\nDROP TABLE b;\nALTER TABLE a DROP COLUMN price;\n";
const THREE: &str = "-- migrate:up\nALTER TABLE a ADD COLUMN IF NOT EXISTS name text;\n\
    -- migrate:down\nALTER TABLE a DROP COLUMN name;\n";

fn project(db: &Db<'_>, files: &[(&str, &str)]) -> World {
    let world = World::new();
    let config = format!(
        "[postgres]\nversion = 15\nthrowaway = \"local\"\n[env.development]\nurl = \"{}\"\ntestdata = [\"default\"]\n",
        db.url
    );
    world.write("dbbuild.toml", config);
    for (name, text) in files {
        world.write(&format!("db/{name}"), text);
    }
    world.dbbuild(&["build", "--no-baseline"]).ok();
    world.git(&["add", "--all"]).ok();
    world.git(&["commit", "--quiet", "-m", "start"]).ok();
    world
}

fn columns(db: &Db<'_>) -> String {
    db.psql(
        "SELECT string_agg(column_name || ' ' || data_type, ', ' ORDER BY ordinal_position) FROM information_schema.columns \
         WHERE table_name = 'a'",
    )
}

#[test]
fn an_edit_is_brought_to_the_database_by_the_kept_down_part_and_proved() {
    let Some(server) = server(15) else { return };
    let db = server.fresh_database();
    let filled = "INSERT INTO b VALUES (1) ON CONFLICT DO NOTHING;\n";
    let files = [
        ("migrations/1_a.sql", ONE),
        ("migrations/2_b.sql", TWO),
        ("migrations/3_c.sql", THREE),
        ("testdata/default/b.sql", filled),
    ];
    let world = project(&db, &files);
    db.psql("INSERT INTO b VALUES (2); INSERT INTO a VALUES (1, 5, 'x')");
    world.write("db/migrations/2_b.sql", TWO.replace("price int", "price numeric"));

    let refused = world.dbbuild(&["build"]);
    refused.fails(1).says("2_b was applied to this database with other content").says("at db/migrations/2_b.sql");
    refused
        .says("table public.b with 2 rows")
        .says("column public.a.name with 1 value")
        .says("dbbuild build --take-back");
    assert_eq!(columns(&db), "id integer, price integer, name text");
    world.dbbuild(&["plan"]).ok().says("take-back 3_c (after an edited one").says("take-back 2_b (edited");

    // With status 0 the catalogs are those of the baseline that was made meanwhile; the order of columns included.
    let built = world.dbbuild(&["build", "--take-back"]);
    built
        .ok()
        .says("took back 3_c")
        .says("took back 2_b")
        .says("applied db/migrations/3_c.sql")
        .says("made anew and proved");
    assert_eq!(columns(&db), "id integer, price numeric, name text");
    assert_eq!(db.psql("SELECT count(*) FROM b"), "2", "the rows of the table come back from the attic");
    assert_eq!(db.psql("SELECT count(*) FROM a"), "1");
    world.dbbuild(&[]).ok().says("nothing to do: 3 migrations applied");

    // A slip in the new content is found while the rows still stand.
    world.write("db/migrations/3_c.sql", THREE.replace("name text", "name txt"));
    let slip = world.dbbuild(&["build", "--no-baseline", "--yes"]);
    slip.fails(1)
        .says("3_c failed at db/migrations/3_c.sql:2")
        .says("type \"txt\" does not exist")
        .says("nothing was changed");
    assert_eq!(
        (columns(&db).as_str(), db.psql("SELECT count(*) FROM b").as_str()),
        ("id integer, price numeric, name text", "2")
    );

    // `--yes` answers the question, too.
    world.write("db/migrations/3_c.sql", THREE.replace("name text", "name varchar"));
    world.dbbuild(&["build", "--no-baseline", "--yes"]).ok().says("took back 3_c").says_not("took back 2_b");
    assert_eq!(columns(&db), "id integer, price numeric, name character varying");
}

#[test]
fn without_a_down_part_it_is_built_anew_once_somebody_says_so() {
    let Some(server) = server(15) else { return };
    let db = server.fresh_database();
    let world = project(&db, &[("migrations/1_a.sql", ONE), ("testdata/default/a.sql", "INSERT INTO a VALUES (1);\n")]);
    db.psql("INSERT INTO a VALUES (2)");
    world.write("db/migrations/1_a.sql", ONE.replace("int", "bigint"));
    for arguments in [&["build", "--no-baseline"][..], &["build", "--no-baseline", "--take-back"]] {
        let refused = world.dbbuild(arguments);
        refused
            .fails(1)
            .says("cannot be taken back")
            .says("1_a: no down part of it is kept")
            .says("public.a with 2 rows");
        refused.says("dbbuild reset");
    }
    assert_eq!(columns(&db), "id integer");
    let built = world.dbbuild(&["build", "--no-baseline", "--yes"]);
    built.ok().says("building anew loses table public.a with 2 rows").says("applied db/migrations/1_a.sql");
    assert_eq!((columns(&db).as_str(), db.psql("SELECT count(*) FROM a").as_str()), ("id bigint", "1"));
}

#[test]
fn an_edit_beside_the_statements_runs_nothing() {
    let Some(server) = server(15) else { return };
    let db = server.fresh_database();
    let world = project(&db, &[("migrations/1_a.sql", ONE), ("migrations/2_b.sql", TWO)]);
    db.psql("INSERT INTO b VALUES (2)");
    let mended = format!("-- why\n{}", TWO.replace("DROP TABLE b;", "DROP TABLE IF EXISTS b;"));
    world.write("db/migrations/2_b.sql", &mended);
    world.dbbuild(&["build", "--no-baseline"]).ok().says("recorded db/migrations/2_b.sql").says_not("took back");
    assert_eq!(db.psql("SELECT count(*) FROM b"), "1");
    assert!(db.psql("SELECT down_sql FROM dbbuild.migration WHERE version = '2'").contains("IF EXISTS b"));
    world.dbbuild(&["build", "--no-baseline"]).ok().says(" has 2 migrations").says_not("recorded");
}

#[test]
fn a_published_or_protected_one_is_refused() {
    let Some(server) = server(15) else { return };
    let db = server.fresh_database();
    let world = project(&db, &[("migrations/1_a.sql", ONE), ("migrations/2_b.sql", TWO)]);
    world.git(&["init", "--quiet", "--bare", "../upstream.git"]).ok();
    world.git(&["remote", "add", "origin", "../upstream.git"]).ok();
    world.git(&["push", "--quiet", "origin", "main"]).ok();
    world.git(&["remote", "set-head", "origin", "main"]).ok();
    world.git(&["checkout", "-q", "-b", "side"]).ok();
    let edited = TWO.replace("price int", "price numeric");
    world.write("db/migrations/2_b.sql", &edited);
    let refuse = |says: &str| {
        let refused = world.dbbuild(&["build", "--no-baseline", "--take-back", "--yes"]);
        refused.fails(1).says("2_b").says("and is published").says(says).says("write a new migration");
        assert_eq!(columns(&db), "id integer, price integer");
    };
    refuse("the edit here is not committed");
    world.git(&["commit", "-qam", "An edit of what is published"]).ok();
    refuse("An edit of what is published (Ada Example");

    // What is not published yet is free, and a database that has an older draft of a published file is brought to it.
    world.git(&["push", "--quiet", "--force", "origin", "side:main"]).ok();
    world.git(&["fetch", "--quiet", "origin"]).ok();
    world.dbbuild(&["build", "--no-baseline", "--take-back"]).ok().says("took back 2_b");
    assert_eq!(columns(&db), "id integer, price numeric");

    db.psql("UPDATE dbbuild.environment SET protected = true");
    world.write("db/migrations/2_b.sql", TWO);
    let refused = world.dbbuild(&["build", "--no-baseline", "--yes"]);
    refused.fails(1).says("was applied to this database with other content");
    assert_eq!(columns(&db), "id integer, price numeric");
}
