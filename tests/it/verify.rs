//! `dbbuild verify` and drift: volatile rows, facts that no dump shows, stale and damaged baselines, what is judged, the
//! verdict cache, and databases that drifted.

use std::fs;

use crate::support::{World, server};

const CONFIG: &str = "[postgres]\nversion = 15\nthrowaway = \"local\"\ndatabase = \"app\"\n";
const MIGRATION: &str = "db/migrations/0001_first.sql";
const BASELINE: &str = "db/baseline.sql";

/// A world with one migration, its configuration extended.
fn world(migration: &str, config: &str) -> World {
    let world = World::new();
    world.write("dbbuild.toml", format!("{CONFIG}{config}\n")).write(MIGRATION, migration);
    world
}

/// The same with its baseline, all of it staged.
fn proved(migration: &str, config: &str) -> World {
    let world = world(migration, config);
    world.dbbuild(&["baseline"]).ok();
    world.git(&["add", "--all"]).ok();
    world
}

const KEYED: &str = "
CREATE TABLE IF NOT EXISTS kinds (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), name text UNIQUE, at timestamptz DEFAULT now());
CREATE TABLE IF NOT EXISTS things (name text PRIMARY KEY, kind uuid REFERENCES kinds, luck double precision DEFAULT random());
INSERT INTO kinds (name) VALUES ('a'), ('b') ON CONFLICT DO NOTHING;
INSERT INTO things SELECT 'of ' || name, id FROM kinds ON CONFLICT DO NOTHING;
";

#[test]
fn volatile_rows_are_an_error_that_names_the_columns() {
    let world = world(KEYED, "");
    let outcome = world.dbbuild(&["baseline"]);
    outcome
        .fails(1)
        .says("public.kinds.at")
        .says("public.kinds.id")
        .says("public.things.kind")
        .says("public.things.luck");
    outcome.says_not("kinds.name").says("volatile = \"warn\"");
    assert!(!world.path(BASELINE).exists(), "a run that fails writes nothing");
}

#[test]
fn volatile_rows_that_are_only_warned_of_keep_their_committed_values() {
    let world = proved(KEYED, "[migrations]\nvolatile = \"warn\"");
    let first = world.read(BASELINE);
    for column in ["public.kinds.at", "public.kinds.id", "public.things.kind", "public.things.luck"] {
        assert!(first.contains(&format!("-- dbbuild:volatile {column}\n")), "{first}");
    }
    world.dbbuild(&["verify", "--full"]).ok().says("is proved");
    world.write("db/migrations/0002_more.sql", "CREATE TABLE IF NOT EXISTS more (id int)");
    world.dbbuild(&["baseline"]).ok();
    let second = world.read(BASELINE);
    let values = |text: &str| {
        text.lines().filter(|line| line.contains("of a") || line.contains('\t')).map(str::to_owned).collect::<Vec<_>>()
    };
    let kept = values(&second);
    assert!(values(&first).iter().filter(|line| !line.starts_with("0001")).all(|line| kept.contains(line)), "{second}");

    world.write(BASELINE, second.replace("of a\t", "of c\t"));
    world.dbbuild(&["verify", "--worktree", "--full"]).fails(3).says("public.things");
    // The key of the other row: each name still has a key, but not its own.
    let key = |name: &str| {
        kept.iter().find_map(|line| line.split_once(&format!("\t{name}\t")).map(|(id, _)| id.to_owned())).unwrap()
    };
    let swapped = second.replace(&format!("of a\t{}", key("a")), &format!("of a\t{}", key("b")));
    assert_ne!(swapped, second);
    world.write(BASELINE, swapped);
    world.dbbuild(&["verify", "--worktree", "--full"]).fails(3).says("public.things");
}

#[test]
fn what_no_dump_shows_is_an_error() {
    let left = "CREATE TABLE IF NOT EXISTS a (id int PRIMARY KEY);
        CREATE TABLE IF NOT EXISTS b (a int CONSTRAINT b_a_fkey REFERENCES a);
        ALTER TABLE b DISABLE TRIGGER ALL;";
    world(left, "").dbbuild(&["baseline"]).fails(1).says("b_a_fkey").says("DISABLE TRIGGER ALL");
    world(&format!("{left} ALTER TABLE b ENABLE TRIGGER ALL;"), "").dbbuild(&["baseline"]).ok();

    let invalid = "-- migrate:up transaction:false\n-- dbbuild:idempotent false it marks an index by hand\n\
        CREATE TABLE t (id int); CREATE INDEX i ON t (id); UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'i'::regclass;";
    world(invalid, "").dbbuild(&["baseline"]).fails(1).says("index").says("public.t invalid");

    // A constraint that is not validated is in the dump, and so is a parent's index that waits for its partitions.
    let kept = "CREATE TABLE IF NOT EXISTS p (id int) PARTITION BY LIST (id);
        CREATE TABLE IF NOT EXISTS p1 PARTITION OF p FOR VALUES IN (1);
        CREATE INDEX IF NOT EXISTS p_id ON ONLY p (id);
        CREATE TABLE IF NOT EXISTS v (n int);
        ALTER TABLE v DROP CONSTRAINT IF EXISTS positive; ALTER TABLE v ADD CONSTRAINT positive CHECK (n > 0) NOT VALID;";
    let kept = proved(kept, "");
    assert!(kept.read(BASELINE).contains("NOT VALID"));
    kept.dbbuild(&["verify", "--full"]).ok();
}

#[test]
fn forms_that_a_dump_changes_when_it_is_loaded_are_settled() {
    let world = proved(
        "CREATE TABLE IF NOT EXISTS t (v varchar(9) DEFAULT NULL, n numeric DEFAULT NULL::numeric,
            CHECK (v IN ('a', 'b')), CHECK (v <> ALL (ARRAY['c', 'd'])));
         CREATE OR REPLACE VIEW w AS SELECT v FROM t WHERE v = ANY (ARRAY['x'::varchar, 'y'::varchar]);",
        "",
    );
    world.dbbuild(&["verify", "--full"]).ok();
    let before = world.read(BASELINE);
    world.dbbuild(&["baseline"]).ok();
    assert_eq!(world.read(BASELINE), before);
}

const TABLE: &str = "CREATE TABLE IF NOT EXISTS t (id int PRIMARY KEY);\n";

#[test]
fn a_stale_or_damaged_baseline_is_told_for_what_it_is() {
    let world = proved(TABLE, "");
    let good = world.read(BASELINE);
    world.write("db/migrations/0002_invoice.sql", "CREATE TABLE IF NOT EXISTS invoice (id int);");
    let verify = || world.dbbuild(&["verify", "--worktree", "--full"]);
    verify()
        .fails(3)
        .says("db/baseline.sql is stale")
        .says("public.invoice")
        .says("+CREATE TABLE public.invoice")
        .says("dbbuild baseline");
    fs::remove_file(world.path("db/migrations/0002_invoice.sql")).unwrap();
    verify().ok();

    world.write(BASELINE, good.replace("id integer NOT NULL", "id bigint NOT NULL"));
    verify().fails(3).says("public.t").says("-    id bigint NOT NULL").says("+    id integer NOT NULL");
    world.write(BASELINE, &good[..good.len() * 2 / 3]);
    let cut = verify();
    assert!([1, 3].contains(&cut.status), "{}", cut.show());
    cut.says(BASELINE).says("dbbuild baseline");
    let digest = good.lines().find(|line| line.starts_with("-- dbbuild:inputs ")).unwrap();
    let conflict = format!("<<<<<<< ours\n{digest}\n=======\n-- dbbuild:inputs 0\n>>>>>>> theirs");
    world.write(BASELINE, good.replace(digest, &conflict));
    verify().fails(1).says("conflict").says(BASELINE);
    world.write(BASELINE, format!("{good}\\echo hello\n"));
    verify().fails(1).says("\\echo").says(BASELINE);
    world.write(BASELINE, good.replace("-- dbbuild:postgres 15", "-- dbbuild:postgres 14"));
    verify().fails(3).says("PostgreSQL 14").says("15 is pinned");
    world.write(BASELINE, [0xff, 0xfe]);
    verify().fails(1).says("UTF-8");
    fs::remove_file(world.path(BASELINE)).unwrap();
    verify().fails(3).says("db/baseline.sql is missing");
    // Whatever was wrong, making it anew mends it.
    world.write(BASELINE, "<<<<<<< ours\n=======\n>>>>>>> theirs\n");
    world.dbbuild(&["baseline"]).ok();
    assert_eq!(world.read(BASELINE), good);
}

#[test]
fn checks_and_test_data_are_part_of_the_proof() {
    let world = world(
        TABLE,
        "[env.development]\ndatabase = \"app_dev\"\ntestdata = [\"one\"]\n[env.demo]\ndatabase = \"d\"\ntestdata = [\"two\"]",
    );
    // Sets that no environment loads together may collide.
    world.write("db/testdata/one/rows.sql", "INSERT INTO t VALUES (1);");
    world.write("db/testdata/two/rows.sql", "INSERT INTO t VALUES (1);");
    world.write("db/testdata/three/rows.sql", "INSERT INTO t VALUES (1);");
    world.dbbuild(&["baseline"]).ok();
    let verify = || world.dbbuild(&["verify", "--worktree"]);
    world.write("db/testdata/three/rows.sql", "INSERT INTO t VALUES (1), ('x');");
    verify().fails(1).says("db/testdata/three/rows.sql:1").says("invalid input syntax");
    world.write("db/testdata/three/rows.sql", "INSERT INTO t VALUES (2);");
    world.write("db/checks/positive.sql", "SELECT id FROM t WHERE id = 1;");
    verify().fails(1).says("db/checks/positive.sql").says("with test data");
    world.write("db/checks/positive.sql", "SELECT id FROM t WHERE id < 1;");
    verify().ok().says("is proved");
}

#[test]
fn the_index_the_work_tree_and_a_commit_are_judged_by_themselves() {
    let world = proved(TABLE, "");
    world.commit("first").ok();
    world.write("db/migrations/0002_next.sql", "CREATE TABLE IF NOT EXISTS next (id int);");
    world.dbbuild(&["verify"]).ok();
    world.dbbuild(&["verify", "--rev", "HEAD", "--full"]).ok().says("is proved");
    world.dbbuild(&["verify", "--worktree"]).fails(3).says("public.next");
    world.git(&["add", "db/migrations"]).ok();
    world.dbbuild(&["verify"]).fails(3).says("public.next");

    world.dbbuild(&["verify", "--rev", "HEAD", "--fix"]).fails(2);
    world.dbbuild(&["verify", "--fix"]).ok().says("in the index");
    assert!(world.git(&["show", ":db/baseline.sql"]).stdout.contains("CREATE TABLE public.next"));
    assert!(world.read(BASELINE).contains("CREATE TABLE public.next"), "the work tree follows where it was the same");
    world.dbbuild(&["verify"]).ok();
    world.commit("second").ok();
    world.dbbuild(&["verify", "--rev", "HEAD"]).ok();
    world.dbbuild(&["verify", "--rev", "HEAD~1"]).ok();

    // A partial commit: of two new migrations one is staged, with a baseline for it alone.
    world.write("db/migrations/0003_staged.sql", "CREATE TABLE IF NOT EXISTS staged (id int);");
    world.git(&["add", "db/migrations"]).ok();
    world.write("db/migrations/0004_later.sql", "CREATE TABLE IF NOT EXISTS later (id int);");
    world.write(BASELINE, "edited otherwise");
    world.dbbuild(&["verify", "--fix"]).ok().says("other edits");
    assert_eq!(world.read(BASELINE), "edited otherwise");
    world.dbbuild(&["verify"]).ok();
    world.dbbuild(&["verify", "--worktree", "--fix"]).ok().says("in the work tree");
    let (staged, here) = (world.git(&["show", ":db/baseline.sql"]).stdout, world.read(BASELINE));
    assert!(staged.contains("public.staged") && !staged.contains("public.later"), "{staged}");
    assert!(here.contains("public.staged") && here.contains("public.later"), "{here}");
}

#[test]
fn what_was_proved_is_not_proved_again() {
    let world = proved(TABLE, "");
    world.dbbuild(&["verify"]).ok();
    // Without programs and Docker nothing could be proved, so what passes here starts no server.
    let without = |arguments: &[&str]| {
        let empty = world.path("../tmp").to_str().unwrap().to_owned();
        let mut command = world.command(env!("CARGO_BIN_EXE_dbbuild"));
        world.run(command.args(arguments).env("DBBUILD_STATE_DIR", format!("{empty}/state")).env("TMPDIR", "/nowhere"))
    };
    without(&["verify"]).ok().says("was proved before");
    without(&["verify", "--worktree"]).ok().says("was proved before");
    world.dbbuild(&["verify", "--full"]).ok().says("is proved");
    let verdicts = world.path(".git/dbbuild/verdict");
    let mut spoiled = 0;
    for entry in fs::read_dir(&verdicts).unwrap() {
        fs::write(entry.unwrap().path(), "proved, believe me").unwrap();
        spoiled += 1;
    }
    assert!(spoiled > 0, "there are verdicts in {}", verdicts.display());
    world.dbbuild(&["verify"]).ok().says("is proved");
    world.dbbuild(&["verify"]).ok().says("was proved before");
    // Another rule, another verdict.
    world.write("dbbuild.toml", format!("{CONFIG}[migrations]\nidempotent = \"warn\"\n"));
    world.dbbuild(&["verify", "--worktree"]).ok().says("is proved");
}

#[test]
fn tables_can_be_left_out_and_settings_and_role_are_as_in_production() {
    let world = world(
        "CREATE TABLE IF NOT EXISTS t (id int);
         DO $$ BEGIN EXECUTE format('CREATE TABLE IF NOT EXISTS log_%s (id int)', floor(random() * 1e9)); END $$;
         DO $$ BEGIN IF current_user <> 'keeper' OR current_setting('work_mem') <> '7MB' THEN RAISE 'not so'; END IF; END $$;",
        "role = \"keeper\"\nsettings = { work_mem = \"7MB\" }\n[baseline]\nexclude = [\"public.log_*\"]\n[migrations]\nidempotent = \"off\"",
    );
    world.dbbuild(&["baseline"]).ok();
    let baseline = world.read(BASELINE);
    assert!(baseline.contains("public.t ") && !baseline.contains("log_") && !baseline.contains("keeper"), "{baseline}");
    world.dbbuild(&["verify", "--worktree", "--full"]).ok();
}

#[test]
fn drift_is_seen_without_a_throwaway() {
    let Some(server) = server(15) else { return };
    let database = server.fresh_database();
    let first = format!(
        "{TABLE}CREATE TABLE IF NOT EXISTS u (n int); CREATE INDEX IF NOT EXISTS u_n ON u (n);
         CREATE OR REPLACE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
         CREATE OR REPLACE TRIGGER g BEFORE INSERT ON u FOR EACH ROW EXECUTE FUNCTION f();"
    );
    let world = world(&first, &format!("[env.development]\nurl = \"{}\"", database.url));
    world.dbbuild(&["build"]).ok();
    // A throwaway could not be started there, so what passes did not want one.
    let build = || {
        let mut command = world.command(env!("CARGO_BIN_EXE_dbbuild"));
        world.run(command.arg("build").env("DBBUILD_STATE_DIR", "/dev/null/none").env("TMPDIR", "/dev/null"))
    };
    build().ok().says("nothing to do");
    for (damage, told, repair) in [
        ("DROP INDEX u_n", "index `public.u_n` is missing", "CREATE INDEX u_n ON u (n)"),
        (
            "ALTER TABLE u ADD COLUMN extra int",
            "column `public.u.extra` is unexpected",
            "ALTER TABLE u DROP COLUMN extra",
        ),
        ("ALTER TABLE u DISABLE TRIGGER g", "trigger `public.u.g` is disabled", "ALTER TABLE u ENABLE TRIGGER g"),
        ("GRANT SELECT ON u TO PUBLIC", "table `public.u`: privileges", "REVOKE SELECT ON u FROM PUBLIC"),
        (
            "CREATE OR REPLACE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'",
            "function `public.f()`",
            "CREATE OR REPLACE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
        ),
        ("ALTER TABLE t DROP CONSTRAINT t_pkey", "public.t.t_pkey", "ALTER TABLE t ADD PRIMARY KEY (id)"),
    ] {
        database.psql(damage);
        build().fails(3).says("drifted from db/baseline.sql").says(told);
        database.psql(repair);
        build().ok().says("nothing to do");
    }
}
