//! The proof: what is not idempotent is caught and what is idempotent is not, volatile rows, facts that no dump shows.

use crate::support::{Outcome, World};

/// A world whose throwaways are of the version that the tests run on everywhere.
fn world(rules: &str) -> World {
    let world = World::new();
    world.write("dbbuild.toml", format!("{CONFIG}{rules}\n"));
    world
}

const CONFIG: &str = "[postgres]\nversion = 15\nthrowaway = \"local\"\ndatabase = \"app\"\n\
                      [env.development]\ndatabase = \"app_dev\"\ntestdata = [\"default\"]\n[migrations]\n";

/// Writes a first migration, then one for each case, and makes the baseline.
fn baseline_of(world: &World, first: &str, cases: &[(&str, &str)]) -> Outcome {
    world.write("db/migrations/0001_first.sql", first);
    for (n, (name, sql)) in cases.iter().enumerate() {
        world.write(&format!("db/migrations/{:04}_{name}.sql", n + 2), sql);
    }
    world.dbbuild(&["baseline"])
}

/// What the cases below work on.
const FIRST: &str = "
CREATE TABLE t (id int PRIMARY KEY, n int DEFAULT 1, v varchar(20) DEFAULT 'v', at timestamptz);
CREATE TABLE child (id int PRIMARY KEY, t_id int);
CREATE TABLE log (line text);
CREATE TABLE pages (id int, n int);
CREATE SEQUENCE s;
CREATE TYPE mood AS ENUM ('sad', 'glad');
CREATE DOMAIN positive AS int CHECK (VALUE > 0);
CREATE VIEW seen AS SELECT id, n FROM t;
CREATE MATERIALIZED VIEW kept AS SELECT count(*) AS n FROM t;
CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER touched BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION touch();
CREATE POLICY own ON t USING (id > 0);
CREATE ROLE reader;
COMMENT ON TABLE t IS 'c';
";

/// Scripts that change something the second time, and what must be said of them.
const CAUGHT: &[(&str, &str, &str)] = &[
    ("table", "CREATE TABLE again (id int)", "relation \"again\" already exists"),
    ("check", "ALTER TABLE t ADD CHECK (n > -9)", "constraint `public.t.t_n_check1` is unexpected"),
    ("key", "ALTER TABLE child ADD FOREIGN KEY (t_id) REFERENCES t", "child_t_id_fkey1"),
    ("index", "CREATE INDEX ON t (n)", "index `public.t_n_idx1` is unexpected"),
    (
        "body",
        "DO $$ BEGIN EXECUTE format('CREATE OR REPLACE FUNCTION f() RETURNS int LANGUAGE sql AS %L',
        (SELECT prosrc || ' + 1' FROM pg_proc WHERE proname = 'f')); END $$",
        "function `public.f()`",
    ),
    (
        "default",
        "DO $$ BEGIN EXECUTE format('ALTER TABLE t ALTER n SET DEFAULT %s + 1',
        (SELECT pg_get_expr(adbin, adrelid) FROM pg_attrdef WHERE adrelid = 't'::regclass AND adnum = 2)); END $$",
        "column `public.t.n`: default",
    ),
    (
        "comment",
        "DO $$ BEGIN EXECUTE format('COMMENT ON TABLE t IS %L', obj_description('t'::regclass) || 'c'); END $$",
        "table `public.t`: comment",
    ),
    (
        "grant",
        "DO $$ BEGIN IF has_table_privilege('reader', 't', 'SELECT') THEN REVOKE SELECT ON t FROM reader;
        ELSE GRANT SELECT ON t TO reader; END IF; END $$",
        "table `public.t`: privileges",
    ),
    (
        "trigger",
        "DO $$ BEGIN IF (SELECT tgenabled FROM pg_trigger WHERE tgname = 'touched') = 'A'
        THEN ALTER TABLE t ENABLE TRIGGER touched; ELSE ALTER TABLE t ENABLE ALWAYS TRIGGER touched; END IF; END $$",
        "trigger `public.t.touched`",
    ),
    (
        "policy",
        "DO $$ BEGIN EXECUTE format('ALTER POLICY own ON t USING (%s AND id < 9)',
        (SELECT pg_get_expr(polqual, polrelid) FROM pg_policy)); END $$",
        "policy `public.t.own`",
    ),
    (
        "enum",
        "DO $$ BEGIN EXECUTE format('ALTER TYPE mood ADD VALUE %L', 'm' || (SELECT count(*) FROM pg_enum)); END $$",
        "`public.mood`",
    ),
    (
        "sequence",
        "DO $$ BEGIN EXECUTE format('ALTER SEQUENCE s INCREMENT BY %s',
        (SELECT seqincrement + 1 FROM pg_sequence WHERE seqrelid = 's'::regclass)); END $$",
        "sequence `public.s`: increment",
    ),
    (
        "width",
        "DO $$ BEGIN EXECUTE format('ALTER TABLE t ALTER v TYPE varchar(%s)',
        (SELECT atttypmod - 3 FROM pg_attribute WHERE attrelid = 't'::regclass AND attname = 'v')); END $$",
        "column `public.t.v`: type",
    ),
    (
        "security",
        "DO $$ BEGIN EXECUTE 'ALTER TABLE t ' || (SELECT CASE WHEN relrowsecurity THEN 'DISABLE' ELSE 'ENABLE' END
        FROM pg_class WHERE oid = 't'::regclass) || ' ROW LEVEL SECURITY'; END $$",
        "row security",
    ),
    (
        "view",
        "DO $$ BEGIN EXECUTE 'CREATE OR REPLACE VIEW seen AS ' || rtrim(pg_get_viewdef('seen'), ';')
        || CASE WHEN pg_get_viewdef('seen') LIKE '%WHERE%' THEN ' AND id > 1' ELSE ' WHERE id > 1' END; END $$",
        "view `public.seen`: definition",
    ),
    (
        "setting",
        "DO $$ BEGIN EXECUTE 'ALTER DATABASE app SET work_mem = ' || (SELECT 1000 + count(*) * 1000
        FROM pg_db_role_setting WHERE setdatabase <> 0); END $$",
        "changes the schema",
    ),
    ("insert", "INSERT INTO log VALUES ('once')", "changes rows of public.log"),
    (
        "increment",
        "INSERT INTO pages VALUES (1, 1) ON CONFLICT DO NOTHING; UPDATE pages SET n = n + 1",
        "changes rows of public.pages",
    ),
    (
        "clock",
        "INSERT INTO t (id) VALUES (1) ON CONFLICT DO NOTHING; UPDATE t SET at = '2024-01-01' WHERE id = 1;
        UPDATE t SET at = at + interval '1 day' * n, n = n + 1 WHERE id = 1",
        "changes rows of public.t",
    ),
    (
        "truncate",
        "DO $$ BEGIN IF EXISTS (SELECT FROM child) THEN TRUNCATE child; ELSE INSERT INTO child VALUES (1, 1); END IF; END $$",
        "changes rows of public.child",
    ),
    ("copy", "COPY log FROM stdin;\ncopied\n\\.\n", "changes rows of public.log"),
    (
        "caught_inside",
        "DO $$ BEGIN BEGIN INSERT INTO log VALUES ('sub'); EXCEPTION WHEN OTHERS THEN NULL; END; END $$",
        "changes rows of public.log",
    ),
    ("large_object", "SELECT lo_from_bytea(0, 'x')", "changes"),
    ("rewrite", "ALTER TABLE pages ALTER n TYPE bigint USING n * 2", "changes rows of public.pages"),
    (
        "concurrently",
        "-- migrate:up transaction:false\nCREATE INDEX CONCURRENTLY pages_id ON pages (id);",
        "already exists",
    ),
];

#[test]
fn a_second_run_that_changes_something_is_caught() {
    let world = world("");
    let cases: Vec<_> = CAUGHT.iter().map(|(name, sql, _)| (*name, *sql)).collect();
    let first = format!("-- dbbuild:idempotent false the objects of these cases\n{FIRST}");
    // Large objects are caught, but no baseline can hold them.
    world.write("db/migrations/9999_unlink.sql", "SELECT lo_unlink(oid) FROM pg_largeobject_metadata");
    let outcome = baseline_of(&world, &first, &cases);
    outcome.fails(1);
    let told = faults(&outcome);
    for (n, (name, _, expected)) in CAUGHT.iter().enumerate() {
        let title = format!("{:04}_{name} ", n + 2);
        let fault = told.iter().find(|fault| fault.contains(&title));
        let fault = fault.unwrap_or_else(|| panic!("{name} was not caught\n{}", outcome.show()));
        assert!(fault.contains(expected), "{name} should be told with {expected:?}, not as\n{fault}");
        assert!(fault.contains(&format!("db/migrations/{:04}_{name}.sql", n + 2)), "{fault}");
        assert!(fault.contains("dbbuild:idempotent false"), "the remedy is missing: {fault}");
    }
    assert_eq!(told.len(), CAUGHT.len(), "{}", outcome.show());
}

/// The same on test data, which no migration has seen.
const CAUGHT_ON_ROWS: &[(&str, &str)] = &[
    ("increment", "UPDATE d SET n = n + 1"),
    ("copied", "INSERT INTO log SELECT id::text FROM d"),
    ("clock", "UPDATE d SET at = now()"),
    ("rewrite", "ALTER TABLE d ALTER n TYPE int USING n * 2"),
    (
        "remade",
        "ALTER TABLE d DROP COLUMN m; ALTER TABLE d ADD COLUMN m int DEFAULT 1; UPDATE d SET m = m + random() * 1e6",
    ),
    ("grows", "UPDATE d SET v = v || 'wwwwwwwwww'"),
    ("batches", "-- migrate:up transaction:false\nDO $$ BEGIN UPDATE d SET n = n + 1; COMMIT; END $$;"),
    ("batches_untold", "DO $$ BEGIN UPDATE d SET n = n + 1; COMMIT; END $$;"),
];

#[test]
fn a_second_run_that_changes_test_data_is_caught() {
    let world = world("");
    world.write("db/testdata/default/rows.sql", "INSERT INTO d (id) VALUES (1), (2);");
    let first = "-- dbbuild:idempotent false the objects of these cases\nCREATE TABLE log (line text);\n\
                 CREATE TABLE d (id int, n int DEFAULT 1, m int, v varchar(25) DEFAULT 'v', at timestamptz);";
    let outcome = baseline_of(&world, first, CAUGHT_ON_ROWS);
    let told = faults(outcome.fails(1));
    for (n, (name, _)) in CAUGHT_ON_ROWS.iter().enumerate() {
        let title = format!("{:04}_{name} ", n + 2);
        let fault = told.iter().find(|fault| fault.contains(&title));
        let fault = fault.unwrap_or_else(|| panic!("{name} was not caught\n{}", outcome.show()));
        assert!(fault.contains("on test data"), "{fault}");
    }
}

/// Scripts that change nothing the second time.
const IDEMPOTENT: &[(&str, &str)] = &[
    ("replace", "CREATE OR REPLACE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 2';
        CREATE OR REPLACE FUNCTION g(a int DEFAULT 1 + 1) RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT a + n FROM t; END;
        CREATE OR REPLACE VIEW seen AS SELECT id, n FROM t WHERE n > 0;
        CREATE OR REPLACE PROCEDURE p() LANGUAGE plpgsql AS 'BEGIN NULL; END';
        CREATE OR REPLACE TRIGGER touched BEFORE UPDATE ON t FOR EACH ROW WHEN (NEW.n > 0) EXECUTE FUNCTION touch();
        CREATE OR REPLACE RULE nothing AS ON DELETE TO log DO INSTEAD NOTHING;
        CREATE OR REPLACE AGGREGATE total(int) (SFUNC = int4pl, STYPE = int)"),
    ("check", "ALTER TABLE t DROP CONSTRAINT IF EXISTS small; ALTER TABLE t ADD CONSTRAINT small CHECK (n < 999)"),
    ("key", "ALTER TABLE child DROP CONSTRAINT IF EXISTS t_key;
        ALTER TABLE child ADD CONSTRAINT t_key FOREIGN KEY (t_id) REFERENCES t"),
    ("trigger", "DROP TRIGGER IF EXISTS again ON t; CREATE TRIGGER again AFTER INSERT ON t FOR EACH ROW
        WHEN (NEW.id > 1) EXECUTE FUNCTION touch(); ALTER TABLE t DISABLE TRIGGER again"),
    ("policy", "DROP POLICY IF EXISTS named ON t; CREATE POLICY named ON t TO reader USING (n > 1) WITH CHECK (n > 2);
        ALTER POLICY own ON t USING (id > 0)"),
    ("view", "DROP VIEW IF EXISTS remade; CREATE VIEW remade AS SELECT v FROM t; COMMENT ON VIEW remade IS 'x'"),
    ("index", "DROP INDEX IF EXISTS t_n; CREATE INDEX t_n ON t (n); CREATE INDEX IF NOT EXISTS t_v ON t (lower(v))"),
    ("comment", "COMMENT ON TABLE t IS 'rows'; COMMENT ON COLUMN t.n IS 'number'; COMMENT ON FUNCTION f() IS 'f'"),
    ("grant", "GRANT SELECT ON t TO reader; REVOKE ALL ON log FROM reader; GRANT INSERT, SELECT ON log TO reader;
        REVOKE ALL ON log FROM PUBLIC; GRANT UPDATE (n) ON t TO reader;
        ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO reader"),
    ("column", "ALTER TABLE t ALTER n SET DEFAULT 5, ALTER v SET NOT NULL, ADD COLUMN IF NOT EXISTS extra text"),
    ("guards", "DO $$ BEGIN IF to_regtype('colour') IS NULL THEN CREATE TYPE colour AS ENUM ('red'); END IF; END $$;
        ALTER TYPE mood ADD VALUE IF NOT EXISTS 'calm';
        DO $$ BEGIN CREATE DOMAIN word AS text CHECK (VALUE <> ''); EXCEPTION WHEN duplicate_object THEN NULL; END $$;
        DO $$ BEGIN CREATE ROLE writer; EXCEPTION WHEN duplicate_object THEN NULL; END $$"),
    ("rows", "INSERT INTO pages VALUES (1, 1) ON CONFLICT DO NOTHING;
        INSERT INTO t (id, v, extra) VALUES (7, 'seven', 'x') ON CONFLICT (id) DO UPDATE SET v = EXCLUDED.v;
        UPDATE t SET n = 3 WHERE n IS DISTINCT FROM 3; UPDATE t SET extra = upper(extra);
        DELETE FROM log WHERE line = 'gone'"),
    ("reload", "TRUNCATE log; INSERT INTO log VALUES ('a'), ('b')"),
    ("refresh", "REFRESH MATERIALIZED VIEW kept"),
    ("security", "ALTER TABLE t ENABLE ROW LEVEL SECURITY; ALTER TABLE t FORCE ROW LEVEL SECURITY"),
    ("extension", "CREATE EXTENSION IF NOT EXISTS pg_trgm; CREATE SCHEMA IF NOT EXISTS extra"),
    ("sequence", "ALTER SEQUENCE s INCREMENT BY 5 OWNED BY t.id; CREATE SEQUENCE IF NOT EXISTS s2; SELECT setval('s', 40)"),
    ("temporary", "CREATE TEMP TABLE scratch AS SELECT id FROM t; UPDATE t SET n = 3 WHERE id IN (SELECT id FROM scratch)"),
    ("session", "SET TimeZone = 'America/New_York'; SET search_path = extra, public; SET ROLE reader; RESET ROLE;
        INSERT INTO t (id, at, v) VALUES (8, '2024-01-01', 'x') ON CONFLICT (id) DO UPDATE SET at = EXCLUDED.at"),
    ("partitions", "CREATE TABLE IF NOT EXISTS parted (id int, at date) PARTITION BY RANGE (at);
        CREATE TABLE IF NOT EXISTS parted_2024 PARTITION OF parted FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
        INSERT INTO parted SELECT 1, '2024-02-02' WHERE NOT EXISTS (SELECT FROM parted)"),
    ("statistics", "ANALYZE t; ALTER TABLE t ALTER n SET STATISTICS 200; CREATE STATISTICS IF NOT EXISTS st ON id, n FROM t"),
    ("setting", "ALTER DATABASE app SET work_mem = '5MB'; ALTER ROLE reader SET work_mem = '6MB'; GRANT reader TO writer"),
    ("replica", "ALTER TABLE t REPLICA IDENTITY FULL; ALTER TABLE pages SET (fillfactor = 70); CLUSTER t USING t_pkey"),
    ("concurrently", "-- migrate:up transaction:false\nCREATE INDEX CONCURRENTLY IF NOT EXISTS t_at ON t (at);
        UPDATE t SET n = 3 WHERE n IS DISTINCT FROM 3;"),
];

#[test]
fn idempotent_forms_raise_no_alarm() {
    let world = world("");
    world.write("db/testdata/default/rows.sql", "INSERT INTO t (id, n, v) VALUES (1, 4, 'one'), (2, NULL, 'two');");
    let first = format!(
        "-- dbbuild:idempotent false the objects of these cases\n{}",
        FIRST.replace("pages (id int,", "pages (id int PRIMARY KEY,")
    );
    baseline_of(&world, &first, IDEMPOTENT).ok().says_not("when it is run again");
    world.dbbuild(&["verify", "--worktree", "--full"]).ok().says("is proved");
}

#[test]
fn the_rule_can_be_opted_out_of_warned_of_and_switched_off() {
    let again = "CREATE TABLE a (id int);";
    let opted = world("");
    baseline_of(&opted, &format!("-- dbbuild:idempotent false it is the first\n{again}"), &[])
        .ok()
        .says_not("run again");
    let unreasoned = world("");
    baseline_of(&unreasoned, &format!("-- dbbuild:idempotent false\n{again}"), &[]).fails(1).says("0001_first.sql:1");

    let cases = [
        ("row", "CREATE TABLE IF NOT EXISTS log (n int); INSERT INTO log VALUES (1)"),
        (
            "alone",
            "-- migrate:up transaction:false\nINSERT INTO log VALUES (2);\nCREATE INDEX CONCURRENTLY ON log (n);",
        ),
        (
            "sequence",
            "CREATE TABLE IF NOT EXISTS ids (id int GENERATED ALWAYS AS IDENTITY); INSERT INTO ids DEFAULT VALUES",
        ),
    ];
    let warned = world("idempotent = \"warn\"");
    let outcome = baseline_of(&warned, again, &cases);
    outcome.ok().says("0001_first fails when it is run again, in line 1: relation \"a\" already exists (42P07)");
    assert_eq!(outcome.stderr.matches("0001_first.sql").count(), 1, "its place once\n{}", outcome.show());
    outcome.says("0002_row changes rows of public.log");
    outcome.says("0003_alone changes").says("0004_sequence changes rows");
    assert_eq!(outcome.stderr.matches("0002_row changes").count(), 1, "once is enough\n{}", outcome.show());
    let off = world("idempotent = \"off\"");
    baseline_of(&off, again, &cases).ok().says_not("run again");
    let (warned, off) = (warned.read("db/baseline.sql"), off.read("db/baseline.sql"));
    assert_eq!(rows_of(&warned), rows_of(&off), "trying leaves no trace in the baseline");
    assert!(warned.contains("setval('public.ids_id_seq', 1, true)"), "{warned}");
}

/// The dump without the header, whose digest depends on the configuration.
fn rows_of(baseline: &str) -> Vec<&str> {
    baseline.lines().filter(|line| !line.starts_with("-- dbbuild:")).collect()
}

/// One text for each error.
fn faults(outcome: &Outcome) -> Vec<String> {
    outcome.stderr.split("error: ").skip(1).map(str::to_owned).collect()
}
