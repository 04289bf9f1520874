//! A large baseline of which only the changed part is loaded: what comes out is what the whole would give.

use std::fs;

use crate::support::World;

const CONFIG: &str =
    "[postgres]\nversion = 15\nthrowaway = \"local\"\ndatabase = \"app\"\n[migrations]\nidempotent = \"off\"\n";

/// Enough objects that a part is worth while, and one of each kind that the steps change.
const FIRST: &str = "
DO $$ BEGIN FOR i IN 1..70 LOOP
    EXECUTE format('CREATE TABLE t%s (id int PRIMARY KEY, name text, other int)', i);
    EXECUTE format('CREATE INDEX ON t%s (name)', i);
END LOOP; END $$;
CREATE ROLE reader;
CREATE TYPE mood AS ENUM ('sad', 'glad');
CREATE TYPE pair AS (a int, b int);
CREATE DOMAIN positive AS int CHECK (VALUE > 0);
CREATE SEQUENCE s;
CREATE FUNCTION halves(n int) RETURNS pair LANGUAGE sql AS 'SELECT ROW(n / 2, n - n / 2)::pair';
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE PROCEDURE p() LANGUAGE plpgsql AS 'BEGIN PERFORM 1; END';
CREATE TABLE parent (id int, v varchar(9));
CREATE TABLE child (extra int) INHERITS (parent);
CREATE TABLE parted (id int, at date) PARTITION BY RANGE (at);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
CREATE TABLE lookup (id serial PRIMARY KEY, m mood, n positive);
INSERT INTO lookup (m, n) VALUES ('sad', 1), ('glad', 2);
ALTER TABLE t1 ADD CONSTRAINT t1_other FOREIGN KEY (other) REFERENCES lookup;
INSERT INTO t1 VALUES (1, 'one', 1);
CREATE VIEW over_function AS SELECT (halves(5)).*;
CREATE VIEW below AS SELECT id, name FROM t1;
CREATE VIEW above AS SELECT id FROM below;
CREATE MATERIALIZED VIEW kept AS SELECT count(*) AS n FROM t1;
CREATE TRIGGER touched BEFORE UPDATE ON t2 FOR EACH ROW EXECUTE FUNCTION touch();
CREATE POLICY own ON t2 USING (id > 0);
CREATE RULE nothing AS ON DELETE TO t3 DO INSTEAD NOTHING;
CREATE STATISTICS st ON id, other FROM t4;
COMMENT ON TABLE t5 IS 'five';
GRANT SELECT ON t5 TO reader;
";

/// What changes step by step, a few kinds of objects each time; the last holds the forms that a dump changes when it
/// is loaded.
const STEPS: &[&str] = &[
    "ALTER TABLE t1 ADD COLUMN more text DEFAULT 'x' CHECK (more <> ''); ALTER TABLE t2 ALTER name SET NOT NULL;
     ALTER TABLE t3 ADD CONSTRAINT t3_t2 FOREIGN KEY (other) REFERENCES t2; DROP INDEX t6_name_idx;
     CREATE UNIQUE INDEX ON t6 (lower(name)); CREATE OR REPLACE VIEW below AS SELECT id, name, other FROM t1;
     CREATE OR REPLACE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN OLD; END';
     CREATE OR REPLACE PROCEDURE p() LANGUAGE plpgsql AS 'BEGIN PERFORM 2; END';
     ALTER TABLE t2 ENABLE ROW LEVEL SECURITY; ALTER POLICY own ON t2 USING (id > 1); ALTER TABLE t2 DISABLE TRIGGER touched;
     COMMENT ON COLUMN t5.name IS 'its name'; REVOKE SELECT ON t5 FROM reader; GRANT UPDATE (name) ON t5 TO reader;
     INSERT INTO lookup (m, n) VALUES ('sad', 3); UPDATE t1 SET name = 'uno'; SELECT setval('s', 41);",
    "DROP VIEW above; DROP TABLE t70; DROP RULE nothing ON t3; DROP STATISTICS st;
     ALTER TYPE mood ADD VALUE 'calm'; ALTER DOMAIN positive ADD CHECK (VALUE < 99); ALTER SEQUENCE s INCREMENT BY 5;
     ALTER TABLE t9 RENAME TO renamed; ALTER TABLE t10 RENAME name TO title; TRUNCATE t1; DELETE FROM lookup WHERE id = 3;
     CREATE TABLE parted_2 PARTITION OF parted FOR VALUES FROM ('2025-01-01') TO ('2026-01-01'); CREATE INDEX ON parted (id);
     CREATE MATERIALIZED VIEW other_kept AS SELECT n FROM kept; ALTER TABLE t11 ADD COLUMN id2 bigint GENERATED ALWAYS AS IDENTITY;",
    "ALTER TABLE parent ADD COLUMN late int;
     ALTER TABLE t7 ADD COLUMN v varchar(9) CHECK (v <> ALL (ARRAY['a', 'b'])) CHECK (v IN ('c', 'd'));
     CREATE VIEW constants AS VALUES (1, 'a'), (2, 'b');
     CREATE VIEW distinctly AS SELECT id FROM t8 WHERE ROW(id, name) IS DISTINCT FROM ROW(1, 'x');
     CREATE VIEW nested AS SELECT x FROM (SELECT 'literal' AS x, id FROM t8) q;
     ALTER TYPE pair ADD ATTRIBUTE c int;
     CREATE OR REPLACE FUNCTION halves(n int) RETURNS pair LANGUAGE sql AS 'SELECT ROW(n, n, n)::pair';",
];

/// How many parts were loaded in a row.
fn parts(world: &World) -> String {
    let folder = fs::read_dir(world.path(".git/dbbuild/settled")).unwrap();
    let file = folder.map(|entry| entry.unwrap().path()).next().unwrap();
    fs::read_to_string(file).unwrap().lines().nth(1).unwrap().to_owned()
}

#[test]
fn a_part_gives_what_the_whole_gives() {
    let mut world = World::new();
    let state = world.home().join("state");
    world.set("DBBUILD_STATE_DIR", state.to_str().unwrap());
    world.write("dbbuild.toml", CONFIG).write("db/migrations/0001_first.sql", FIRST);
    world.dbbuild(&["baseline"]).ok();
    for (n, step) in STEPS.iter().enumerate() {
        let unsettled = n == STEPS.len() - 1;
        world.write(&format!("db/migrations/{:04}_step.sql", n + 2), step);
        world.dbbuild(&["baseline"]).ok();
        let by_part = world.read("db/baseline.sql");
        // What is not settled is loaded whole.
        assert_eq!(parts(&world) != "1", unsettled, "step {n}: {}", parts(&world));
        fs::remove_dir_all(world.path(".git/dbbuild")).unwrap();
        world.dbbuild(&["baseline"]).ok();
        assert!(world.read("db/baseline.sql") == by_part, "step {n}: the whole gives another baseline");
    }
    // A committed baseline that the sources make, but in the form before it was settled, passes neither way.
    let good = world.read("db/baseline.sql");
    let view = "CREATE VIEW public.below AS\n SELECT t1.id,\n    t1.name,\n    t1.other\n   FROM public.t1;";
    assert!(good.contains(view), "{good}");
    world.write("db/baseline.sql", good.replace(view, &view.replace("t1.other", "t1.id AS other")));
    world.dbbuild(&["verify", "--worktree"]).fails(3).says("public.below");
    world.write("db/baseline.sql", &good);
    world.dbbuild(&["verify", "--worktree"]).ok();
}
