//! The way of deployed databases: upstream's baseline and test data, the new migrations, repeatable files and init data
//! make what the branch's baseline makes.

use std::fs;

use crate::support::World;

const CONFIG: &str = "[postgres]\nversion = 15\nthrowaway = \"local\"\ndatabase = \"app\"\n\
                      [git]\nupstream = \"published\"\n\
                      [env.development]\ndatabase = \"app_dev\"\ntestdata = [\"default\"]\n";

const FIRST: &str = "CREATE TABLE IF NOT EXISTS kind (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text UNIQUE);
CREATE TABLE IF NOT EXISTS item (id int PRIMARY KEY, kind int REFERENCES kind, code text, CHECK (code <> ALL (ARRAY['', '-'])));
DO $$ BEGIN CREATE ROLE reader; EXCEPTION WHEN duplicate_object THEN NULL; END $$;";

/// A repository with two published migrations, a view, init data and test data.
fn published(config: &str) -> World {
    let world = World::new();
    world.write("dbbuild.toml", format!("{CONFIG}{config}"));
    world.write("db/migrations/0010_first.sql", FIRST);
    world.write("db/migrations/0030_third.sql", "ALTER TABLE item ADD COLUMN IF NOT EXISTS price int;");
    world.write(
        "db/repeatable/priced.sql",
        "CREATE OR REPLACE VIEW priced AS SELECT id, price FROM item WHERE price > 0;",
    );
    world.write("db/init/kinds.sql", "INSERT INTO kind (name) VALUES ('book'), ('disc') ON CONFLICT DO NOTHING;");
    world.write("db/testdata/default/items.sql", "INSERT INTO item VALUES (1, 1, 'a', 5), (2, 1, 'a', 6);");
    world.dbbuild(&["baseline"]).ok();
    world.commit("published").ok();
    publish(&world);
    world
}

fn publish(world: &World) {
    world.git(&["branch", "--force", "published", "HEAD"]).ok();
}

const NEW: &str = "db/migrations/0040_new.sql";

#[test]
fn new_migrations_are_proved_on_what_is_published() {
    let world = published("");
    // Rows of test data, positions of sequences and forms that a dump changes do not count.
    world.write(
        NEW,
        "ALTER TABLE item ADD COLUMN IF NOT EXISTS state varchar(9) DEFAULT 'new' CHECK (state IN ('new', 'old'));
         INSERT INTO kind (name) VALUES ('map') ON CONFLICT DO NOTHING; GRANT SELECT ON item TO reader;
         UPDATE item SET code = upper(code) WHERE code <> upper(code);",
    );
    world.write(
        "db/repeatable/priced.sql",
        "CREATE OR REPLACE VIEW priced AS SELECT id, price FROM item WHERE price > 1;",
    );
    world.write(
        "db/init/kinds.sql",
        "INSERT INTO kind (name) VALUES ('book'), ('disc') ON CONFLICT DO NOTHING; SELECT 1;",
    );
    let outcome = world.dbbuild(&["baseline"]);
    // From nothing the new row comes before those of init data; deployed databases have it after them.
    outcome.fails(3).says("a database of published").says("public.kind");
    world.write(NEW, world.read(NEW).replace("INSERT INTO kind (name) VALUES ('map') ON CONFLICT DO NOTHING;", ""));
    world.dbbuild(&["baseline"]).ok().says_not("published");
    world.dbbuild(&["verify", "--worktree", "--full"]).ok().says("is proved");
    // Where nothing differs from what is published nothing is upgraded.
    world.commit("new").ok();
    publish(&world);
    world.write("db/testdata/default/items.sql", "INSERT INTO item (id, code) VALUES (1, 'b');");
    world.dbbuild(&["verify", "--worktree"]).ok();
}

#[test]
fn what_works_from_nothing_only_is_told() {
    let world = published("");
    let fails = |path: &str, sql: &str, status: i32, told: &[&str]| {
        world.write(path, sql);
        let outcome = world.dbbuild(&["baseline"]);
        outcome.fails(status);
        told.iter().for_each(|text| {
            outcome.says(text);
        });
        fs::remove_file(world.path(path)).unwrap();
    };
    // Another order of columns than from nothing; a table that is gone by then.
    let between = "db/migrations/0020_between.sql";
    fails(
        between,
        "ALTER TABLE item ADD COLUMN IF NOT EXISTS early int;",
        3,
        &["a database of published", "public.item"],
    );
    fails(
        between,
        "DO $$ BEGIN IF EXISTS (SELECT FROM pg_attribute WHERE attname = 'price' AND attrelid = 'item'::regclass)
         THEN RAISE 'too late'; END IF; END $$;",
        1,
        &["0020_between", "too late", "a database made from the baseline of published"],
    );
    // What upstream's test data stands against.
    fails(NEW, "CREATE UNIQUE INDEX IF NOT EXISTS item_code ON item (code);", 1, &["item_code", "with its test data"]);
    // Not idempotent on rows that are there by then: those of init data, and those of test data.
    let on_init = "DO $$ BEGIN UPDATE kind SET name = name || '+'; EXCEPTION WHEN check_violation THEN NULL; END $$;";
    fails(NEW, on_init, 1, &["0040_new changes rows of public.kind", "a database of published"]);
    fails(
        NEW,
        "-- migrate:up transaction:false\nUPDATE item SET price = price + 1;",
        1,
        &["0040_new changes rows of public.item"],
    );
    // A schema that depends on rows.
    let by_row = "DO $$ DECLARE i int; BEGIN FOR i IN SELECT id FROM item LOOP
        EXECUTE format('CREATE TABLE IF NOT EXISTS item_%s ()', i); END LOOP; END $$;";
    fails(NEW, by_row, 3, &["the test data of published", "item_1"]);
}

#[test]
fn an_edited_or_missing_baseline_of_upstream_is_told() {
    let world = published("");
    let good = world.read("db/baseline.sql");
    world.write("db/baseline.sql", good.replace("code text,", "code character varying,"));
    world.commit("edited by hand").ok();
    publish(&world);
    world.write("db/baseline.sql", &good);
    world.dbbuild(&["verify", "--worktree"]).fails(3).says("a database of published").says("public.item");
    world.write(NEW, "ALTER TABLE item ALTER code TYPE text;");
    world.dbbuild(&["baseline"]).ok();
    fs::remove_file(world.path(NEW)).unwrap();

    world.write("db/baseline.sql", good.replace("-- dbbuild:end", ""));
    world.commit("cut off").ok();
    publish(&world);
    world.dbbuild(&["baseline"]).ok().says("only the replay from nothing is proved").says("cut off");
    world.write("db/baseline.sql", good.replace("code text,", "code nonsense,"));
    world.commit("does not load").ok();
    publish(&world);
    world.dbbuild(&["baseline"]).ok().says("not the one that its sources make");
    world.dbbuild(&["verify", "--worktree"]).ok().says("only the replay from nothing is proved").says("nonsense");
    fs::remove_file(world.path("db/baseline.sql")).unwrap();
    world.commit("missing").ok();
    publish(&world);
    world.dbbuild(&["baseline"]).ok().says("only the replay from nothing is proved").says("published");
    assert_eq!(world.read("db/baseline.sql"), good);
    // Test data that does not load there is upstream's affair, too.
    world.write("db/testdata/default/items.sql", "INSERT INTO item VALUES ('x');");
    world.commit("bad test data").ok();
    publish(&world);
    world.write("db/testdata/default/items.sql", "INSERT INTO item (id) VALUES (1);");
    world.write(NEW, "ALTER TABLE item ADD COLUMN IF NOT EXISTS weight int;");
    world.dbbuild(&["baseline"]).ok().says("the test data of published").says("does not load");
}

#[test]
fn published_migrations_are_not_judged_by_the_rules_again() {
    let world = published("[migrations]\nidempotent = \"off\"\nvolatile = \"warn\"\n");
    let old = "CREATE TABLE stamped (id int PRIMARY KEY, at timestamptz DEFAULT now(), n int); INSERT INTO stamped (id) VALUES (1);";
    world.write("db/migrations/0031_old.sql", old);
    world.dbbuild(&["baseline"]).ok().says("public.stamped.at");
    world.commit("published").ok();
    publish(&world);
    // Stricter from now on.
    world.write("dbbuild.toml", CONFIG);
    world.write(NEW, "CREATE TABLE IF NOT EXISTS other (id int);");
    world.dbbuild(&["baseline"]).ok();
    world.dbbuild(&["verify", "--worktree", "--full"]).ok();
    let kept = world.read("db/baseline.sql");
    assert!(kept.contains("-- dbbuild:volatile public.stamped.at"), "{kept}");
    world.write(NEW, "CREATE TABLE IF NOT EXISTS other (id int, at timestamptz DEFAULT now()); INSERT INTO other SELECT 1 WHERE NOT EXISTS (SELECT FROM other);");
    world.dbbuild(&["baseline"]).fails(1).says("public.other.at").says_not("public.stamped.at");
    world.write(NEW, "CREATE TABLE other (id int);");
    world.dbbuild(&["baseline"]).fails(1).says("0040_new").says_not("0031_old");
}
