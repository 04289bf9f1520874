//! Drafts of down parts, and round trips: what is applied, taken back and applied again is as it was.

use crate::support::World;

const CONFIG: &str = "[postgres]\nversion = 15\nthrowaway = \"local\"\ndatabase = \"app\"\n\
                      [git]\nupstream = \"published\"\n\
                      [env.development]\ndatabase = \"app_dev\"\ntestdata = [\"default\"]\n";

/// A repository with a published table and rows of test data.
fn published() -> World {
    let world = World::new();
    world.write("dbbuild.toml", CONFIG);
    world.write(
        "db/migrations/0010_first.sql",
        "CREATE TABLE IF NOT EXISTS item (id int PRIMARY KEY, code text, legacy text);\n\
         CREATE OR REPLACE VIEW codes AS SELECT code FROM item;",
    );
    world.write("db/testdata/default/items.sql", "INSERT INTO item VALUES (1, 'a', 'x'), (2, 'b', 'y');");
    world.dbbuild(&["baseline"]).ok();
    world.commit("published").ok();
    world.git(&["branch", "--force", "published", "HEAD"]).ok();
    world
}

const NEW: &str = "db/migrations/0020_new.sql";

#[test]
fn a_draft_is_proved_and_then_written() {
    let world = published();
    let up = "-- Prices.\n\nCREATE TYPE currency AS ENUM ('EUR', 'USD');\n\
              CREATE TABLE IF NOT EXISTS price (item int REFERENCES item, amount numeric(10, 2), currency currency);\n\
              ALTER TABLE item ADD COLUMN IF NOT EXISTS weight int;\n\
              CREATE INDEX IF NOT EXISTS item_code ON item (code);\n\
              CREATE FUNCTION total(of_item int DEFAULT 1) RETURNS numeric LANGUAGE sql AS $$ SELECT sum(amount) FROM price $$;\n\
              COMMENT ON COLUMN item.code IS 'unique';\n";
    world.write(NEW, up);
    let planned = world.dbbuild(&["plan"]);
    planned.ok().says("2 migrations have no down part (0010, 0020); `dbbuild new --down 0010` drafts one");
    world.dbbuild(&["new", "--down", "0020"]).ok().says(NEW).says("review it");
    let text = world.read(NEW);
    assert!(text.starts_with("-- Prices.\n\n-- migrate:up\nCREATE TYPE"), "{text}");
    let down = text.split("-- migrate:down\n").nth(1).unwrap();
    let statements: Vec<&str> = down.lines().skip(1).collect();
    assert_eq!(
        statements,
        [
            "COMMENT ON COLUMN item.code IS NULL;",
            "DROP FUNCTION total(of_item int);",
            "DROP INDEX IF EXISTS item_code;",
            "ALTER TABLE item DROP COLUMN IF EXISTS weight;",
            "DROP TABLE IF EXISTS price;",
            "DROP TYPE currency;",
        ]
    );
    world.dbbuild(&["new", "--down", "0020"]).fails(1).says("has a down part already");
    assert_eq!(world.read(NEW), text);
    world.dbbuild(&["plan"]).ok().says("1 migration has no down part (0010)");
}

#[test]
fn a_draft_that_takes_nothing_back_is_not_written() {
    let world = published();
    // What was there before no statement tells.
    let replaces = "CREATE OR REPLACE VIEW codes AS SELECT code, id FROM item;\n";
    world.write(NEW, replaces);
    let refused = world.dbbuild(&["new", "--down", "0020"]);
    refused.fails(1).says("the draft does not take 0020_new back").says("codes").says("DROP VIEW codes;");
    assert_eq!(world.read(NEW), replaces);
    world.write(NEW, "CREATE TABLE t (id int);\n\nUPDATE item SET code = 'c' WHERE id = 1;\n");
    world.dbbuild(&["new", "--down", "0020"]).fails(1).says("0020_new.sql:3").says("it may change rows");
    world.dbbuild(&["new", "--down", "0099"]).fails(2).says("no file here is the migration 0099");
    world.dbbuild(&["new", "--down", "0020", "name"]).fails(2);
}

#[test]
fn the_draft_of_a_published_migration_is_printed() {
    let world = published();
    let before = world.read("db/migrations/0010_first.sql");
    let printed = world.dbbuild(&["new", "--down", "0010"]);
    printed.ok().says("DROP VIEW codes;\nDROP TABLE IF EXISTS item;").says("published and never changes");
    assert_eq!(world.read("db/migrations/0010_first.sql"), before);
    let json = world.dbbuild(&["new", "--down", "10", "--json"]);
    json.ok().says("\"written\":false").says("\"published\":true");
}

#[test]
fn a_concurrent_index_is_drafted_as_it_is_built() {
    let world = published();
    world.write(
        NEW,
        "-- migrate:up transaction:false\nCREATE INDEX CONCURRENTLY IF NOT EXISTS item_code ON item (code);\n",
    );
    world.dbbuild(&["new", "--down", "0020"]).ok();
    assert!(world.read(NEW).contains("-- migrate:down transaction:false\n"), "{}", world.read(NEW));
    assert!(world.read(NEW).ends_with("DROP INDEX CONCURRENTLY IF EXISTS item_code;\n"), "{}", world.read(NEW));
}

fn judge(world: &World, text: &str) -> crate::support::Outcome {
    world.write(NEW, text);
    world.dbbuild(&["baseline"]).ok();
    world.dbbuild(&["verify", "--worktree", "--round-trip"])
}

#[test]
fn a_sound_migration_goes_there_and_back() {
    let world = published();
    let sound = judge(
        &world,
        "-- migrate:up\nALTER TABLE item ADD COLUMN IF NOT EXISTS weight int NOT NULL DEFAULT 1;\n\
         -- migrate:down\nALTER TABLE item DROP COLUMN IF EXISTS weight;\n",
    );
    sound.ok().says("there and back, is proved");
    // What was proved so is known so; and the plain verdict with it.
    world.dbbuild(&["verify", "--worktree", "--round-trip"]).ok().says("was proved before");
    world.dbbuild(&["verify", "--worktree"]).ok().says("was proved before");
    world.dbbuild(&["verify", "--worktree", "--round-trip", "--full"]).ok().says("there and back, is proved");
    // The plain verdict does not stand for the other.
    judge(&world, "ALTER TABLE item ADD COLUMN IF NOT EXISTS size int;")
        .ok()
        .says("without a down part, and so not tried back and forth: 0020_new");
}

#[test]
fn what_does_not_come_back_is_told_object_by_object() {
    let world = published();
    let up = "-- migrate:up\nALTER TABLE item ADD COLUMN IF NOT EXISTS weight int;\n\
              CREATE TABLE IF NOT EXISTS price (id int);\nUPDATE item SET code = upper(code) WHERE code <> upper(code);\n";
    let forgets = judge(&world, &format!("{up}-- migrate:down\nDROP TABLE IF EXISTS price;\n"));
    forgets.fails(1).says("0020_new is not taken back by its down part").says("item.weight").says("0020_new.sql:6");
    forgets.says("column `public.item.code` holds other values");
    let fails = judge(&world, &format!("{up}-- migrate:down\nDROP TABLE prices;\n"));
    fails.fails(1).says("taking back 0020_new").says("0020_new.sql:6").says("does not exist");
    // A column that the up part drops is its author's will; the place among the columns cannot come back.
    world.write("db/testdata/default/items.sql", "INSERT INTO item (id, code) VALUES (1, 'a');");
    let drops = judge(
        &world,
        "-- migrate:up\nALTER TABLE item DROP COLUMN IF EXISTS legacy;\n\
         -- migrate:down\nALTER TABLE item ADD COLUMN IF NOT EXISTS legacy text;\n",
    );
    drops.ok().says("does not bring back all that its up part drops").says("public.item.legacy");
}

#[test]
fn rows_in_what_is_new_come_back_with_it() {
    let world = published();
    world.write(
        "db/testdata/default/prices.sql",
        "INSERT INTO price VALUES (1, 10), (2, NULL); UPDATE item SET weight = 5 WHERE id = 1;",
    );
    let up = "-- migrate:up\nCREATE TABLE IF NOT EXISTS price (id int PRIMARY KEY, amount int);\n\
              ALTER TABLE item ADD COLUMN IF NOT EXISTS weight int;\n\
              ALTER TABLE item ADD COLUMN IF NOT EXISTS seen timestamptz DEFAULT clock_timestamp();\n-- migrate:down\n";
    let down = "ALTER TABLE item DROP COLUMN IF EXISTS seen;\nALTER TABLE item DROP COLUMN IF EXISTS weight;\n\
                DROP TABLE IF EXISTS price;\n";
    judge(&world, &format!("{up}{down}")).ok().says("there and back, is proved");
    // What the down part changes beside is found, too.
    let spoils = format!("{up}{down}UPDATE item SET legacy = 'z' WHERE id = 2;\n");
    judge(&world, &spoils).fails(1).says("column `public.item.legacy` holds other values");
}
