//! Definitions: written from the baseline, loaded alone in a throwaway, and never a lie.

use std::collections::BTreeMap;
use std::fs;

use crate::support::{World, histories, server};

const CONFIG: &str = "[postgres]\nversion = 15\nthrowaway = \"local\"\ndatabase = \"app\"\n";
const BASELINE: &str = "db/baseline.sql";

/// Circles of keys, functions under defaults and checks, a view that needs a key, partitions, names of every kind, and what acts
/// on all that is made after it.
const OF_ALL_KINDS: &str = r#"-- dbbuild:idempotent false it makes one of each
CREATE SCHEMA "Odd/Schema";
DO $$ BEGIN CREATE ROLE definitions_reader; EXCEPTION WHEN duplicate_object THEN NULL; END $$;
CREATE TYPE mood AS ENUM ('a', 'b');
CREATE FUNCTION next_no() RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE TABLE "Odd/Schema"."T ""x""" (
    id int PRIMARY KEY DEFAULT next_no(), m mood, other int, CONSTRAINT c CHECK (next_no() > 0)
);
CREATE TABLE "Odd/Schema".t (
    id bigserial PRIMARY KEY, g bigint GENERATED ALWAYS AS IDENTITY, back int REFERENCES "Odd/Schema"."T ""x"""
);
ALTER TABLE "Odd/Schema"."T ""x""" ADD CONSTRAINT circle FOREIGN KEY (other) REFERENCES "Odd/Schema".t;
CREATE INDEX ON "Odd/Schema".t (back);
COMMENT ON TABLE "Odd/Schema".t IS 'hello';
COMMENT ON COLUMN "Odd/Schema".t.g IS 'column';
GRANT SELECT ON "Odd/Schema".t TO definitions_reader;
ALTER DEFAULT PRIVILEGES IN SCHEMA "Odd/Schema" GRANT SELECT ON TABLES TO definitions_reader;
CREATE FUNCTION count_t() RETURNS bigint LANGUAGE sql BEGIN ATOMIC SELECT count(*) FROM "Odd/Schema".t; END;
CREATE TABLE counted (n bigint DEFAULT count_t());
CREATE FUNCTION f(int) RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION f(text) RETURNS int LANGUAGE sql AS 'SELECT 1';
COMMENT ON FUNCTION f(text) IS 'overloaded';
CREATE VIEW grouped AS SELECT id, m FROM "Odd/Schema"."T ""x""" GROUP BY id;
CREATE MATERIALIZED VIEW mv AS SELECT 1 AS n;
CREATE UNIQUE INDEX ON mv (n);
CREATE TABLE parted (id int, at date, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
CREATE INDEX ON parted (at);
CREATE FUNCTION trg() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER tr BEFORE INSERT ON parted FOR EACH ROW EXECUTE FUNCTION trg();
CREATE TRIGGER off BEFORE INSERT ON counted FOR EACH ROW EXECUTE FUNCTION trg();
ALTER TABLE counted DISABLE TRIGGER off;
ALTER TABLE counted ENABLE ROW LEVEL SECURITY;
CREATE POLICY p ON counted TO definitions_reader USING (n > 0);
CREATE DOMAIN dom AS int CHECK (VALUE > 0);
CREATE TYPE comp AS (x int, y text);
COMMENT ON COLUMN comp.x IS 'attribute';
CREATE CAST (comp AS text) WITH INOUT;
CREATE OPERATOR <+> (LEFTARG = int, RIGHTARG = int, FUNCTION = int4pl);
COMMENT ON OPERATOR <+> (int, int) IS 'adds';
ALTER DATABASE app SET work_mem = '8MB';
CREATE STATISTICS st ON id, at FROM parted;
CREATE PUBLICATION pub FOR TABLE counted;
CREATE FUNCTION ev() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';
CREATE EVENT TRIGGER evt ON ddl_command_end EXECUTE FUNCTION ev();
CREATE VIEW first AS SELECT 1 AS x;
CREATE VIEW again AS SELECT x FROM first;
CREATE TABLE parent (a int);
CREATE TABLE child (b int) INHERITS (parent);
ALTER TABLE parent ADD CONSTRAINT positive CHECK (a > 0) NOT VALID;
INSERT INTO counted VALUES (7);
CREATE TYPE cplx;
CREATE FUNCTION cplx_in(cstring) RETURNS cplx LANGUAGE internal IMMUTABLE STRICT AS 'int4in';
CREATE FUNCTION cplx_out(cplx) RETURNS cstring LANGUAGE internal IMMUTABLE STRICT AS 'int4out';
CREATE TYPE cplx (INPUT = cplx_in, OUTPUT = cplx_out, LIKE = int4);
CREATE FUNCTION cplx_cmp(cplx, cplx) RETURNS int LANGUAGE internal IMMUTABLE STRICT AS 'btint4cmp';
CREATE FUNCTION cplx_lt(cplx, cplx) RETURNS bool LANGUAGE internal IMMUTABLE STRICT AS 'int4lt';
CREATE OPERATOR < (LEFTARG = cplx, RIGHTARG = cplx, FUNCTION = cplx_lt);
CREATE OPERATOR CLASS cplx_ops DEFAULT FOR TYPE cplx USING btree AS OPERATOR 1 <, FUNCTION 1 cplx_cmp(cplx, cplx);
CREATE TABLE with_cplx (c cplx, r int4range, g int GENERATED ALWAYS AS (1 + 1) STORED, EXCLUDE USING gist (r WITH &&));
CREATE INDEX ON with_cplx (c);
CREATE AGGREGATE summed (int) (SFUNC = int4pl, STYPE = int);
COMMENT ON AGGREGATE summed (int) IS 'sums';
CREATE PROCEDURE proc() LANGUAGE sql AS 'SELECT 1';
GRANT EXECUTE ON PROCEDURE proc() TO definitions_reader;
CREATE TEXT SEARCH CONFIGURATION words (COPY = simple);
CREATE COLLATION plain (LOCALE = 'C');
CREATE FOREIGN DATA WRAPPER fdw;
CREATE SERVER srv FOREIGN DATA WRAPPER fdw;
CREATE USER MAPPING FOR definitions_reader SERVER srv;
CREATE FOREIGN TABLE far (id int) SERVER srv;
CREATE RULE keep AS ON DELETE TO parent DO INSTEAD NOTHING;
CREATE UNLOGGED TABLE owned (id int PRIMARY KEY, x text) WITH (fillfactor = 50);
ALTER TABLE owned ALTER COLUMN x SET STATISTICS 7;
CREATE UNIQUE INDEX owned_x ON owned (id);
ALTER TABLE owned REPLICA IDENTITY USING INDEX owned_x;
ALTER TABLE owned CLUSTER ON owned_x;
ALTER TABLE owned OWNER TO definitions_reader;
CREATE ROLE definitions_other;
GRANT SELECT ON mv TO definitions_reader WITH GRANT OPTION;
SET SESSION AUTHORIZATION definitions_reader;
GRANT SELECT ON mv TO definitions_other;
RESET SESSION AUTHORIZATION;
CREATE TABLE pointed (id int, at date, FOREIGN KEY (id, at) REFERENCES parted);
CREATE TABLE sub PARTITION OF parted FOR VALUES FROM ('2025-01-01') TO ('2026-01-01') PARTITION BY LIST (id);
CREATE TABLE sub_1 PARTITION OF sub FOR VALUES IN (1);
CREATE VIEW circle_view AS SELECT 1 AS one;
CREATE FUNCTION circle_view_rows() RETURNS SETOF circle_view LANGUAGE sql AS 'SELECT 1';
CREATE OR REPLACE VIEW circle_view AS SELECT one FROM circle_view_rows();
"#;

fn world(migration: &str) -> World {
    let world = World::new();
    world.write("dbbuild.toml", CONFIG).write("db/migrations/0001_all.sql", migration);
    world.dbbuild(&["baseline"]).ok();
    world
}

/// The files of the folder with their texts.
fn definitions(world: &World) -> BTreeMap<String, String> {
    let Ok(entries) = fs::read_dir(world.path("db/definitions")) else { return BTreeMap::new() };
    let file =
        |entry: fs::DirEntry| (entry.file_name().into_string().unwrap(), fs::read_to_string(entry.path()).unwrap());
    entries.map(|entry| file(entry.unwrap())).collect()
}

#[test]
fn every_kind_of_object_is_written_and_loads_alone() {
    if server(15).is_none() {
        return;
    }
    let world = world(OF_ALL_KINDS);
    world.dbbuild(&["definitions"]).ok().says("db/definitions: wrote ");
    let written = definitions(&world);
    let table = &written["%4Fdd%2F%53chema.%54%20%22x%22.table.sql"];
    for part in ["CREATE TABLE \"Odd/Schema\".\"T \"\"x\"\"\" (", "PRIMARY KEY (id)", "ADD CONSTRAINT circle"] {
        assert!(table.contains(part), "{part} in {table}");
    }
    let table = &written["%4Fdd%2F%53chema.t.table.sql"];
    for part in ["t_id_seq", "GENERATED ALWAYS", "CREATE INDEX", "IS 'hello'", "IS 'column'", "GRANT SELECT"] {
        assert!(table.contains(part), "{part} in {table}");
    }
    assert_eq!(written["public.f.function.sql"].matches("CREATE FUNCTION").count(), 2);
    assert!(written["public.counted.table.sql"].contains("DISABLE TRIGGER off"));
    assert!(written.values().all(|text| !text.contains("COPY ") && !text.contains("setval")), "no rows");

    world.dbbuild(&["verify", "--worktree", "--full"]).ok();
    world.dbbuild(&["definitions"]).ok().says("is as it should be");
    let said = world.dbbuild(&["definitions", "--json"]).ok().stdout.clone();
    assert!(said.contains("\"written\":[]") && said.contains("\"kept\":[]"), "{said}");
    // From nothing they come out the same.
    fs::remove_dir_all(world.path("db/definitions")).unwrap();
    world.dbbuild(&["definitions"]).ok();
    assert_eq!(definitions(&world), written);
}

#[test]
fn they_follow_the_baseline_and_a_lie_is_refused() {
    if server(15).is_none() {
        return;
    }
    let world = world("CREATE TABLE IF NOT EXISTS a (id int PRIMARY KEY);\nCREATE TABLE IF NOT EXISTS b (n int);\n");
    world.dbbuild(&["hooks", "install"]).ok();
    world.dbbuild(&["definitions"]).ok();
    world.commit("Start").ok();
    assert!(definitions(&world).contains_key("public.b.table.sql"));

    // The build writes them together with the baseline, and what is gone goes.
    world.write(
        "db/migrations/0002_more.sql",
        "ALTER TABLE a ADD COLUMN IF NOT EXISTS note text;\nDROP TABLE IF EXISTS b;\n",
    );
    world.dbbuild(&["verify", "--worktree"]).fails(3);
    world.dbbuild(&["build"]).ok().says("db/definitions follows the baseline");
    world.dbbuild(&["server", "stop"]).ok();
    let now = definitions(&world);
    assert!(now["public.a.table.sql"].contains("note text") && !now.contains_key("public.b.table.sql"));
    world.commit("More").ok();
    world.dbbuild(&["verify", "--rev", "HEAD", "--full"]).ok();

    // Only a definition is staged: the hook looks, names object and file, and the command mends it.
    let a = "db/definitions/public.a.table.sql";
    let right = world.read(a);
    world.write(a, right.replace("note text", "note varchar(10)"));
    world
        .commit("Lie")
        .fails(1)
        .says("the definitions are not what the migrations make: it differs in definition of column `public.a.note`")
        .says(&format!("at {a}"))
        .says("run `dbbuild definitions`");
    world.dbbuild(&["verify"]).fails(3).says(a);
    world.dbbuild(&["definitions"]).ok().says("wrote 1 of 1 file");
    assert_eq!(world.read(a), right);

    // One that is missing, and one too many.
    fs::remove_file(world.path(a)).unwrap();
    world.write("db/definitions/own.sql", "CREATE TABLE z (id int);\n");
    world
        .dbbuild(&["verify", "--worktree"])
        .fails(3)
        .says("lacks table `public.a`")
        .says("db/definitions/own.sql has table `public.z`, which the migrations do not make");
    // A baseline that is stale gives none.
    world.write("db/migrations/0003_c.sql", "CREATE TABLE IF NOT EXISTS c (id int);\n");
    world.dbbuild(&["definitions"]).fails(3).says("db/baseline.sql is stale");
    fs::remove_file(world.path(BASELINE)).unwrap();
    world.dbbuild(&["definitions"]).fails(1).says("there is no baseline");
}

#[test]
fn two_branches_that_change_one_table_meet() {
    if server(15).is_none() {
        return;
    }
    let world = world("CREATE TABLE IF NOT EXISTS a (id int PRIMARY KEY);\n");
    world.dbbuild(&["hooks", "install"]).ok();
    world.dbbuild(&["definitions"]).ok();
    world.commit("Start").ok();
    let add = |version: u32, column: &str| {
        let sql = format!("ALTER TABLE a ADD COLUMN IF NOT EXISTS {column} int;\n");
        world.write(&format!("db/migrations/{version:04}_{column}.sql"), sql);
        world.dbbuild(&["baseline"]).ok().says("db/definitions follows it");
        world.commit(column).ok();
    };
    world.git(&["checkout", "-q", "-b", "side"]).ok();
    add(2, "theirs");
    world.git(&["checkout", "-q", "main"]).ok();
    add(3, "ours");
    // The driver makes the baseline; git leaves the conflict in the definition, which is written anew.
    world.git(&["merge", "-q", "side"]).fails(1);
    let unmerged = world.git(&["diff", "--name-only", "--diff-filter=U"]).ok().stdout.clone();
    assert_eq!(unmerged.trim(), "db/definitions/public.a.table.sql");
    world.dbbuild(&["definitions"]).ok().says("wrote 1 of 1 file");
    world.git(&["add", "--all"]).ok();
    world.git(&["commit", "-q", "--no-edit"]).ok();
    world.dbbuild(&["verify", "--rev", "HEAD", "--full"]).ok();
    let text = world.read("db/definitions/public.a.table.sql");
    assert!(text.contains("theirs integer,\n    ours integer"), "{text}");
}

#[test]
fn files_of_ones_own_are_proved_and_kept() {
    if server(15).is_none() {
        return;
    }
    let world = world(
        "CREATE TABLE IF NOT EXISTS shelf (id int PRIMARY KEY);\n\
         CREATE TABLE IF NOT EXISTS book (id int PRIMARY KEY, shelf int REFERENCES shelf, CHECK (id <> ALL ('{1,2}'::int[])));\n",
    );
    // In the order of names the first needs the second.
    let book = "-- What is lent.\nCREATE TABLE book (\n  id int PRIMARY KEY,\n  shelf int REFERENCES shelf,\n  \
                CHECK (id <> ALL ('{1,2}'::int[]))\n);\n";
    world.write("db/definitions/book.sql", book);
    world.write("db/definitions/shelf.sql", "CREATE TABLE shelf (id int PRIMARY KEY);\n");
    world.dbbuild(&["verify", "--worktree", "--full"]).ok();
    world.dbbuild(&["definitions"]).ok().says("db/definitions/book.sql was not written by dbbuild").says("0 files");
    // With one of them gone dbbuild writes that object, and leaves the other.
    fs::remove_file(world.path("db/definitions/shelf.sql")).unwrap();
    world.dbbuild(&["definitions"]).ok().says("wrote 1 of 1 file");
    assert_eq!(definitions(&world).keys().collect::<Vec<_>>(), ["book.sql", "public.shelf.table.sql"]);
    world.dbbuild(&["verify", "--worktree", "--full"]).ok();

    // The build makes a baseline all the same, and says what it found.
    world.write("db/migrations/0002_more.sql", "ALTER TABLE book ADD COLUMN IF NOT EXISTS title text;\n");
    world.dbbuild(&["baseline"]).ok().says("it lacks column `public.book.title`");
    world
        .dbbuild(&["verify", "--worktree"])
        .fails(3)
        .says("lacks column `public.book.title` at db/definitions/book.sql");
    world.write("db/definitions/book.sql", book.replace("shelf,\n", "shelf,\n  title text,\n"));
    world.dbbuild(&["verify", "--worktree"]).ok();
    world.write("db/definitions/book.sql", book.replace("  shelf", "  title text,\n  shelf"));
    world.dbbuild(&["verify", "--worktree"]).fails(3).says("column order of table `public.book`");
}

#[test]
fn what_is_no_definition_is_refused_with_its_place() {
    if server(15).is_none() {
        return;
    }
    let world = world("CREATE TABLE IF NOT EXISTS a (id int PRIMARY KEY);\n");
    let bad = "db/definitions/bad.sql";
    for (sql, status, said) in [
        (
            "CREATE TABLE a (id int PRIMARY KEY);\nINSERT INTO a VALUES (1);",
            1,
            "a definition holds no rows at db/definitions/bad.sql:2:1",
        ),
        ("COPY a FROM stdin;\n1\n\\.", 1, "a definition holds no rows at db/definitions/bad.sql:1:1"),
        ("CREATE ROLE x;", 1, "a definition makes no roles: they belong to the server at db/definitions/bad.sql:1:1"),
        ("CREATE TABLE a (id int PRIMARY KEY);\nCREATE TABEL b ();", 1, "at db/definitions/bad.sql:2:8"),
        ("CREATE TABLE a (id int REFERENCES nowhere);", 1, "relation \"nowhere\" does not exist"),
        ("CREATE TABLE a (id int PRIMARY KEY);\nSELECT 'x;", 1, "unclosed quote at db/definitions/bad.sql:2:8"),
        ("BEGIN; CREATE TABLE a (id int PRIMARY KEY); COMMIT;", 1, "a definition controls no transaction"),
        ("-- dbbuild:idempotent false x\nCREATE TABLE a (id int PRIMARY KEY);", 1, "is of no use in this definition"),
        ("\\i other.sql", 1, "psql meta-commands are not SQL"),
        ("CREATE TABLE a (id bigint PRIMARY KEY);", 3, "it differs in definition of column `public.a.id`"),
    ] {
        world.write(bad, sql);
        world.dbbuild(&["verify", "--worktree"]).fails(status).says(said);
    }
    // Two that make the same object.
    world
        .write(bad, "CREATE TABLE a (id int PRIMARY KEY);")
        .write("db/definitions/also.sql", "CREATE TABLE a (id int);");
    world.dbbuild(&["verify", "--worktree"]).fails(1).says("does not load").says("relation \"a\" already exists");
    fs::remove_file(world.path("db/definitions/also.sql")).unwrap();
    world.write("db/definitions/deep/x.sql", "CREATE TABLE x ();");
    world.dbbuild(&["verify", "--worktree"]).fails(1).says("this definition stands in a subfolder");
    fs::remove_dir_all(world.path("db/definitions/deep")).unwrap();
    world.write("db/definitions/README.md", "Read me.");
    world.dbbuild(&["verify", "--worktree"]).ok();
    world.write("dbbuild.toml", format!("{CONFIG}[paths]\ndefinitions = \"db/migrations\"\n"));
    world.dbbuild(&["verify", "--worktree"]).fails(2).says("is the same as");
}

#[test]
fn real_histories_have_definitions_that_load() {
    let Some(folder) = histories() else { return };
    if server(15).is_none() {
        return;
    }
    for name in ["crates_io", "cas_cif", "mint", "zksync"] {
        let world = World::new();
        let rules = "[migrations]\nidempotent = \"off\"\nvolatile = \"warn\"\n";
        world.write("dbbuild.toml", format!("{CONFIG}{rules}"));
        for entry in fs::read_dir(folder.join(name).join("up")).unwrap() {
            let path = entry.unwrap().path();
            let file = path.file_name().unwrap().to_str().unwrap();
            world.write(&format!("db/migrations/{file}"), fs::read(&path).unwrap());
        }
        world.dbbuild(&["baseline"]).ok();
        world.dbbuild(&["definitions"]).ok();
        world.dbbuild(&["verify", "--worktree"]).ok().says("is proved");
        eprintln!("{name}: {} definitions", definitions(&world).len());
    }
}
