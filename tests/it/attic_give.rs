//! Giving back what the attic holds: in the transaction of the up part, conflicts named and resolved as asked. The attic is
//! filled by hand here, in its written form; that a down part fills it so is another test's business.

use crate::support::{Db, World, server};

const SCHEMA: &str = include_str!("../../src/engine/attic/schema.sql");

/// A world whose first migration makes tables and rows, and whose second is given; both are applied.
fn world(db: &Db<'_>, first: &str, second: &str) -> World {
    let mut world = World::without_git();
    world.set("DATABASE_URL", &db.url);
    world.write("dbbuild.toml", "[postgres]\nversion = 15\n[env.development]\nurl_env = \"DATABASE_URL\"\n");
    world.write("db/migrations/1_first.sql", first).write("db/migrations/2_second.sql", second);
    world.dbbuild(&["apply"]).ok();
    world
}

/// Takes the second migration back by hand: `keep` makes `dbbuild_attic.kept_1` and following, `entries` are rows of
/// (kind, reason, table, columns, key columns, whole rows, holds, details).
fn take_back(db: &Db<'_>, keep: &str, entries: &[&str], down: &str) {
    let rows: Vec<String> = entries
        .iter()
        .map(|entry| {
            format!(
                "INSERT INTO dbbuild_attic.entry (kind, reason, schema_name, table_name, columns, key_columns, whole_rows, \
                 holds, details, version, name, checksum, rows, dbbuild_version) \
                 SELECT e.*, m.version, m.name, m.checksum, 0, '0' FROM dbbuild.migration m, \
                 (VALUES ({entry})) e WHERE m.version = '2';"
            )
        })
        .collect();
    db.psql(&format!(
        "BEGIN; {SCHEMA} {keep}; {} DELETE FROM dbbuild.migration WHERE version = '2'; {down}; COMMIT; \
         DO $$ DECLARE e record; n bigint; BEGIN FOR e IN SELECT * FROM dbbuild_attic.entry WHERE holds IS NOT NULL LOOP \
         EXECUTE format('SELECT count(*) FROM dbbuild_attic.%I', e.holds) INTO n; \
         UPDATE dbbuild_attic.entry SET rows = n WHERE id = e.id; END LOOP; END $$;",
        rows.join(" ")
    ));
}

fn entry(kind: &str, table: &str, columns: &str, keys: &str, holds: &str) -> String {
    format!(
        "'{kind}', 'dropped', 'public', '{table}', '{{{columns}}}'::text[], '{{{keys}}}'::text[], {}, '{holds}', '{{}}'::jsonb",
        keys.is_empty()
    )
}

fn attic(db: &Db<'_>) -> String {
    db.psql("SELECT coalesce(string_agg(id || ':' || rows, ' ' ORDER BY id), '') FROM dbbuild_attic.entry")
}

#[test]
fn a_dropped_column_comes_back_by_key_and_what_changed_meanwhile_is_told() {
    let Some(server) = server(15) else { return };
    for rows in [10, 6000] {
        let db = server.fresh_database();
        let world = world(
            &db,
            &format!(
                "CREATE TABLE t (id int PRIMARY KEY, a text); INSERT INTO t SELECT i, 'a' || i FROM generate_series(1, {rows}) i;"
            ),
            "ALTER TABLE t ADD COLUMN c text NOT NULL DEFAULT 'filled'; CREATE INDEX ON t (c);",
        );
        db.psql("UPDATE t SET c = 'kept ' || id");
        take_back(
            &db,
            "CREATE TABLE dbbuild_attic.kept_1 AS SELECT id AS k1, c AS v1 FROM t",
            &[&entry("column", "t", "c", "id", "kept_1")],
            "ALTER TABLE t DROP COLUMN c",
        );
        db.psql("DELETE FROM t WHERE id = 3; INSERT INTO t VALUES (-1, 'new'); UPDATE t SET a = 'moved' WHERE id < 3");
        let said = world.dbbuild(&["apply"]);
        said.ok().says(&format!("gave back {} values of public.t.c (column, dropped)", rows - 1));
        said.says("1 value of public.t in conflict, 1 left in the attic")
            .says("id = 3: its row is gone; c: kept kept 3");
        assert_eq!(db.psql("SELECT count(*) FROM t WHERE c = 'kept ' || id"), (rows - 1).to_string());
        assert_eq!(db.psql("SELECT c FROM t WHERE id = -1"), "filled");
        assert_eq!(attic(&db), "1:1");
        assert_eq!(db.psql("SELECT * FROM dbbuild_attic.kept_1"), "3|kept 3");
        assert_eq!(db.psql("SELECT to_regclass('dbbuild_attic.look') IS NULL"), "t");
    }
}

#[test]
fn a_large_column_is_given_back_by_one_rewrite_and_a_small_one_row_by_row() {
    let Some(server) = server(15) else { return };
    let db = server.fresh_database();
    let world = world(
        &db,
        "CREATE TABLE large (a int, b text, PRIMARY KEY (a, b)); INSERT INTO large SELECT i, 'b' FROM generate_series(1, 20000) i;
         CREATE TABLE viewed (id int PRIMARY KEY); INSERT INTO viewed SELECT generate_series(1, 20000);
         CREATE TABLE hits (n int);
         CREATE FUNCTION hit() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO hits VALUES (1); RETURN NEW; END';
         CREATE TRIGGER hit BEFORE INSERT OR UPDATE ON large FOR EACH ROW EXECUTE FUNCTION hit();
         CREATE TRIGGER hit BEFORE INSERT OR UPDATE ON viewed FOR EACH ROW EXECUTE FUNCTION hit();
         ALTER TABLE viewed ENABLE ALWAYS TRIGGER hit;",
        "ALTER TABLE large ADD COLUMN c numeric, ADD COLUMN d text;
         ALTER TABLE viewed ADD COLUMN c int; CREATE VIEW v AS SELECT c FROM viewed;",
    );
    // Rows in another order than keys, holes and rows that were written anew: the cursor must find its way.
    db.psql("ALTER TABLE large DISABLE TRIGGER hit; UPDATE large SET c = a * 1.5, d = CASE WHEN a % 3 > 0 THEN 'd' || a END;
             ALTER TABLE large ENABLE TRIGGER hit; ALTER TABLE viewed DISABLE TRIGGER hit; UPDATE viewed SET c = -id;
             ALTER TABLE viewed ENABLE ALWAYS TRIGGER hit");
    take_back(
        &db,
        "CREATE TABLE dbbuild_attic.kept_1 AS SELECT a AS k1, b AS k2, c AS v1, d AS v2 FROM large;
         CREATE TABLE dbbuild_attic.kept_2 AS SELECT id AS k1, c AS v1 FROM viewed",
        &[&entry("column", "large", "c,d", "a,b", "kept_1"), &entry("column", "viewed", "c", "id", "kept_2")],
        "DROP VIEW v; ALTER TABLE large DROP COLUMN c, DROP COLUMN d; ALTER TABLE viewed DROP COLUMN c",
    );
    db.psql("ALTER TABLE large DISABLE TRIGGER hit; DELETE FROM large WHERE a BETWEEN 500 AND 700;
             INSERT INTO large SELECT i, 'new' FROM generate_series(1, 50) i; UPDATE large SET b = b WHERE a BETWEEN 300 AND 400;
             ALTER TABLE large ENABLE TRIGGER hit");
    let files = "SELECT pg_relation_filenode('large'), pg_relation_filenode('viewed')";
    let before = db.psql(files);
    let said = world.dbbuild(&["apply"]);
    said.ok().says("gave back 19799 values of public.large.c, d").says("gave back 20000 values of public.viewed.c");
    said.says("201 values of public.large in conflict").says("a = 500, b = b: its row is gone").says("and 191 more");
    let after = db.psql(files);
    let same: Vec<bool> = before.split('|').zip(after.split('|')).map(|(one, other)| one == other).collect();
    assert_eq!(same, [false, true], "{before} {after}");
    let right = "c = a * 1.5 AND d IS NOT DISTINCT FROM CASE WHEN a % 3 > 0 THEN 'd' || a END";
    assert_eq!(db.psql(&format!("SELECT count(*) FROM large WHERE b = 'b' AND {right}")), "19799");
    assert_eq!(db.psql("SELECT count(*) FROM large WHERE b = 'new' AND c IS NULL AND d IS NULL"), "50");
    assert_eq!(db.psql("SELECT count(*) FROM v JOIN viewed ON viewed.c = v.c AND viewed.c = -id"), "20000");
    assert_eq!(db.psql("SELECT count(*) FROM hits"), "0");
    assert_eq!(
        db.psql("SELECT string_agg(tgenabled::text, '' ORDER BY tgrelid) FROM pg_trigger WHERE tgname = 'hit'"),
        "OA"
    );
    assert_eq!(attic(&db), "1:201");
    let functions = "SELECT count(*) FROM pg_proc WHERE pronamespace = 'dbbuild_attic'::regnamespace";
    assert_eq!(db.psql(functions), "0");
}

/// Three values that the down part overwrote; one of them was changed since, one row is gone.
fn changed_values(db: &Db<'_>) -> World {
    let world = world(
        db,
        "CREATE TABLE t (id int PRIMARY KEY, name text); INSERT INTO t VALUES (1, 'Ada'), (2, 'Bo'), (3, 'Cy'), (4, 'Di');",
        "UPDATE t SET name = upper(name)",
    );
    db.psql("UPDATE t SET name = 'kept ' || id");
    take_back(
        db,
        "CREATE TABLE dbbuild_attic.kept_1 AS SELECT id AS k1, name AS v1, 'made ' || id AS m1 FROM t WHERE id < 4",
        &[&entry("value", "t", "name", "id", "kept_1")],
        "UPDATE t SET name = 'made ' || id WHERE id < 4",
    );
    db.psql("UPDATE t SET name = 'mine' WHERE id = 2; DELETE FROM t WHERE id = 3");
    world
}

#[test]
fn a_value_is_in_conflict_only_where_it_was_changed_between_down_and_up() {
    let Some(server) = server(15) else { return };
    let names = "SELECT string_agg(id || name, ' ' ORDER BY id) FROM t";

    let db = server.fresh_database();
    let world = changed_values(&db);
    let said = world.dbbuild(&["apply", "--json"]);
    said.ok();
    let json: serde_json::Value = serde_json::from_str(&said.stdout).unwrap();
    let given = &json["ran"]["given_back"][0];
    assert_eq!((&given["given"], &given["conflicts"], &given["left"]), (&1.into(), &2.into(), &2.into()), "{given}");
    assert_eq!(given["examples"][0]["key"], "id = 2");
    assert_eq!(
        given["examples"][0]["values"][0],
        serde_json::json!({"column": "name", "kept": "kept 2", "current": "MINE"})
    );
    assert_eq!(db.psql(names), "1kept 1 2MINE 4KEPT 4");
    assert_eq!(db.psql("SELECT k1, v1 FROM dbbuild_attic.kept_1 ORDER BY 1"), "2|kept 2\n3|kept 3");
    world.dbbuild(&["attic", "list"]).ok().says("2_second").says("value").says("public.t").says("name");
    world.dbbuild(&["apply"]).ok().says("is up to date");

    let db = server.fresh_database();
    let world = changed_values(&db);
    world
        .dbbuild(&["apply", "--on-conflict", "restore"])
        .ok()
        .says("1 overwritten with what was kept, 1 left in the attic");
    assert_eq!(db.psql(names), "1kept 1 2kept 2 4KEPT 4");
    assert_eq!(attic(&db), "1:1");

    let db = server.fresh_database();
    let world = changed_values(&db);
    world.dbbuild(&["apply", "--on-conflict", "keep-current"]).ok().says("2 dropped from the attic");
    assert_eq!(db.psql(names), "1kept 1 2MINE 4KEPT 4");
    assert_eq!(attic(&db), "");
    world.dbbuild(&["attic", "list"]).ok().says("is empty");
    world.dbbuild(&["apply", "--on-conflict", "mine"]).fails(2).says("none of keep-current, restore, report");
}

#[test]
fn rows_come_back_in_the_order_of_their_references_and_around_circles() {
    let Some(server) = server(15) else { return };
    let db = server.fresh_database();
    let tables = "CREATE TABLE parent (id int PRIMARY KEY, boss int REFERENCES parent, best int);
         CREATE TABLE child (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, parent int NOT NULL REFERENCES parent,
             twice int GENERATED ALWAYS AS (parent * 2) STORED, code text UNIQUE);
         ALTER TABLE parent ADD FOREIGN KEY (best) REFERENCES child;
         ALTER TABLE child ADD COLUMN country int REFERENCES country;";
    let world = world(&db, "CREATE TABLE country (id int PRIMARY KEY); INSERT INTO country VALUES (1), (2);", tables);
    db.psql(
        "INSERT INTO parent VALUES (1, NULL, NULL), (2, 1, NULL), (3, 3, NULL);
             INSERT INTO child (parent, code, country) VALUES (1, 'a', 1), (2, 'b', 2), (3, 'c', NULL);
             UPDATE parent SET best = id; SELECT setval('child_id_seq', 40)",
    );
    let rows = "SELECT (SELECT string_agg(p::text, ' ' ORDER BY id) FROM parent p), (SELECT string_agg(c::text, ' ' ORDER BY id) FROM child c)";
    let before = db.psql(rows);
    take_back(
        &db,
        "CREATE TABLE dbbuild_attic.kept_1 AS SELECT id AS v1, parent AS v2, code AS v3, country AS v4 FROM child;
         CREATE TABLE dbbuild_attic.kept_2 AS SELECT id AS v1, boss AS v2, best AS v3 FROM parent",
        &[
            &entry("table", "child", "id,parent,code,country", "id", "kept_1"),
            &entry("table", "parent", "id,boss,best", "id", "kept_2"),
            "'sequence', 'dropped', 'public', 'child_id_seq', '{}'::text[], '{}'::text[], false, null, '{\"last_value\": 40, \"is_called\": true}'::jsonb",
        ],
        "DROP TABLE parent, child",
    );
    world
        .dbbuild(&["apply"])
        .ok()
        .says("gave back 3 rows of public.child")
        .says("gave back the position of public.child_id_seq");
    assert_eq!(db.psql(rows), before);
    assert_eq!(db.psql("INSERT INTO child (parent) VALUES (1) RETURNING id"), "41");
    assert_eq!(attic(&db), "");
    let deferrable = "SELECT count(*) FROM pg_constraint WHERE contype = 'f' AND condeferrable";
    assert_eq!(db.psql(deferrable), "0");

    // Now a country is gone meanwhile: its child stays away, and so does everything that hangs on that.
    db.psql("DELETE FROM child WHERE code IS NULL");
    take_back(
        &db,
        "CREATE TABLE dbbuild_attic.kept_4 AS SELECT id AS v1, parent AS v2, code AS v3, country AS v4 FROM child;
         CREATE TABLE dbbuild_attic.kept_5 AS SELECT id AS v1, boss AS v2, best AS v3 FROM parent",
        &[
            &entry("table", "child", "id,parent,code,country", "id", "kept_4"),
            &entry("table", "parent", "id,boss,best", "id", "kept_5"),
        ],
        "DROP TABLE parent, child; DELETE FROM country WHERE id = 2",
    );
    let said = world.dbbuild(&["apply"]);
    said.ok().says("id = 2: the row of public.country that it refers to is gone");
    assert_eq!(db.psql("SELECT string_agg(id::text, ' ' ORDER BY id) FROM parent"), "1 3");
    assert_eq!(db.psql("SELECT string_agg(id::text, ' ' ORDER BY id) FROM child"), "1 3");
}

#[test]
fn a_row_that_the_new_schema_refuses_is_a_conflict_of_that_row_alone() {
    let Some(server) = server(15) else { return };
    let db = server.fresh_database();
    let world = world(
        &db,
        "CREATE TABLE t (id int PRIMARY KEY, code text); INSERT INTO t SELECT i, 'c' || i FROM generate_series(1, 3000) i;",
        "CREATE UNIQUE INDEX ON t (code); ALTER TABLE t ADD CHECK (code <> 'z77'), ADD COLUMN seed int;
         INSERT INTO t VALUES (5000, 'seed', 1) ON CONFLICT DO NOTHING",
    );
    db.psql("ALTER TABLE t DROP CONSTRAINT IF EXISTS t_code_check; UPDATE t SET code = 'theirs' WHERE id = 5000");
    take_back(
        &db,
        "CREATE TABLE dbbuild_attic.kept_1 AS SELECT id AS v1, code AS v2, seed AS v3 FROM t WHERE id > 10",
        &[&entry("row", "t", "id,code,seed", "id", "kept_1")],
        "DROP INDEX t_code_idx; ALTER TABLE t DROP COLUMN seed; DELETE FROM t WHERE id > 10",
    );
    db.psql("INSERT INTO t VALUES (9001, 'c50'), (60, 'another'), (61, 'c61')");
    world.write("db/migrations/2_second.sql", world.read("db/migrations/2_second.sql").replace("'z77'", "'c88'"));
    let said = world.dbbuild(&["apply"]);
    said.ok().says("gave back 2987 rows of public.t").says("4 rows of public.t in conflict");
    said.says("id = 50: another row has its key or a value that must be unique");
    said.says("id = 88: new row for relation \"t\" violates check constraint");
    said.says("id = 60: a row with its key was made meanwhile; code: kept c60, now another");
    assert_eq!(db.psql("SELECT count(*), count(*) FILTER (WHERE code = 'c' || id) FROM t"), "3000|2997");
    // The migration was edited: what it makes by itself stands.
    said.says("id = 5000: the migration was edited and makes a row with its key itself; code: kept theirs, now seed");
    assert_eq!(db.psql("SELECT code FROM t WHERE id = 5000"), "seed");
    assert_eq!(attic(&db), "1:4");

    world.dbbuild(&["attic", "show", "1"]).ok().says("c88").says("entry 1: 4 rows of public.t");
    world.dbbuild(&["attic", "show", "1", "--limit", "1"]).ok().says("1 of 4 rows");
    world.dbbuild(&["attic", "show", "7"]).fails(1).says("no entry 7");
    world.dbbuild(&["attic", "export", "1"]).ok().says("id,code,seed\n").says("88,c88,");
    world.dbbuild(&["attic", "export", "--all", "--format", "json"]).ok().says("\"row\": {\"id\": 60");
    world.dbbuild(&["attic", "export", "--all", "--format", "sql", "-o", "out.sql"]).ok().says("4 rows");
    use std::os::unix::fs::PermissionsExt;
    assert_eq!(std::fs::metadata(world.path("out.sql")).unwrap().permissions().mode() & 0o777, 0o600);
    db.psql("DELETE FROM t WHERE id IN (60, 5000, 9001); ALTER TABLE t DROP CONSTRAINT t_code_check");
    db.psql_file(&world.path("out.sql")).ok();
    assert_eq!(db.psql("SELECT count(*) FILTER (WHERE code = 'c' || id) FROM t"), "3000");
    world.dbbuild(&["attic", "drop", "1"]).fails(1).says("--yes").says("entry 1: 4 rows");
    world.dbbuild(&["attic", "drop", "9", "--yes"]).fails(1).says("no entry 9");
    world.dbbuild(&["attic", "drop", "1", "--yes"]).ok().says("dropped entry 1");
    assert_eq!(db.psql("SELECT to_regclass('dbbuild_attic.kept_1') IS NULL"), "t");
    world.dbbuild(&["attic", "export", "--all"]).ok().says("is empty");
}

#[test]
fn a_newer_attic_stops_everything_before_it_begins() {
    let Some(server) = server(15) else { return };
    let db = server.fresh_database();
    let world = changed_values(&db);
    db.psql("UPDATE dbbuild_attic.format SET version = 2; UPDATE dbbuild_attic.entry SET dbbuild_version = '9.9'");
    for command in [&["apply"][..], &["attic", "list"], &["attic", "show", "1"], &["attic", "drop", "--all", "--yes"]] {
        world.dbbuild(command).fails(1).says("has format 2").says("dbbuild 9.9");
    }
    assert_eq!(db.psql("SELECT count(*) FROM dbbuild.migration"), "1");
    world.dbbuild(&["status"]).ok();
}

#[test]
fn what_an_edited_migration_makes_no_more_stays_in_the_attic() {
    let Some(server) = server(15) else { return };
    let db = server.fresh_database();
    let world = changed_values(&db);
    db.psql("ALTER TABLE dbbuild_attic.kept_1 ADD COLUMN v2 text; UPDATE dbbuild_attic.entry SET columns = '{name,c}'");
    let said = world.dbbuild(&["apply", "--on-conflict", "keep-current"]);
    said.ok().says("makes no column c any more").says("3 left in the attic");
    assert_eq!(attic(&db), "1:3");
    assert_eq!(db.psql("SELECT name FROM t WHERE id = 1"), "MADE 1");
}

#[test]
fn migrations_outside_a_transaction_and_files_of_psql_give_back_too() {
    let Some(server) = server(15) else { return };
    for second in [
        "-- migrate:up transaction:false\nALTER TABLE t ADD COLUMN c text;\nCREATE INDEX CONCURRENTLY i ON t (c);",
        "-- dbbuild:psql true\nALTER TABLE t ADD COLUMN c text;\n\\set x 1\nCREATE INDEX i ON t (c);",
    ] {
        let db = server.fresh_database();
        let world = world(&db, "CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1), (2);", second);
        db.psql("UPDATE t SET c = 'kept ' || id");
        take_back(
            &db,
            "CREATE TABLE dbbuild_attic.kept_1 AS SELECT id AS k1, c AS v1 FROM t",
            &[&entry("column", "t", "c", "id", "kept_1")],
            "ALTER TABLE t DROP COLUMN c; DELETE FROM dbbuild.statement",
        );
        // Something in the way of giving back: the run fails after the up part, and the next goes on.
        db.psql("ALTER TABLE dbbuild_attic.kept_1 RENAME COLUMN v1 TO hidden");
        world.dbbuild(&["apply"]).fails(1).says("giving back what was kept of 2_second");
        db.psql("ALTER TABLE dbbuild_attic.kept_1 RENAME COLUMN hidden TO v1");
        world.dbbuild(&["apply"]).ok().says("gave back 2 values of public.t.c");
        assert_eq!(db.psql("SELECT string_agg(c, ' ' ORDER BY id) FROM t"), "kept 1 kept 2", "{second}");
        assert_eq!(db.psql("SELECT state, transactional FROM dbbuild.migration WHERE version = '2'"), "applied|f");
        assert_eq!(attic(&db), "");
    }
}

#[test]
fn rows_without_a_key_are_found_by_all_their_other_columns() {
    let Some(server) = server(15) else { return };
    let db = server.fresh_database();
    let world = world(
        &db,
        "CREATE TABLE t (a int, b json); INSERT INTO t VALUES (1, '{}'), (1, '{}'), (2, NULL), (3, '[]');",
        "ALTER TABLE t ADD COLUMN c text DEFAULT 'x'; CREATE TABLE u (a text); INSERT INTO u VALUES ('seed'), ('seed')",
    );
    db.psql(
        "UPDATE t SET c = 'kept' || a; UPDATE t SET c = 'other' WHERE ctid = (SELECT min(ctid) FROM t WHERE a = 1);
             TRUNCATE u; INSERT INTO u VALUES ('seed'), (NULL), (NULL)",
    );
    take_back(
        &db,
        "CREATE TABLE dbbuild_attic.kept_1 AS SELECT a AS k1, b AS k2, c AS v1, row_number() OVER (PARTITION BY a) AS ordinal FROM t;
         CREATE TABLE dbbuild_attic.kept_2 AS SELECT a AS v1, row_number() OVER (PARTITION BY a) AS ordinal FROM u",
        &[&entry("column", "t", "c", "", "kept_1").replace("'{}'::text[], true", "'{a,b}'::text[], true"), &entry("table", "u", "a", "", "kept_2")],
        "ALTER TABLE t DROP COLUMN c; DROP TABLE u",
    );
    db.psql("UPDATE t SET a = 33 WHERE a = 3");
    world
        .dbbuild(&["apply"])
        .ok()
        .says("gave back 3 values of public.t.c")
        .says("its row is gone or was changed meanwhile");
    assert_eq!(db.psql("SELECT string_agg(a || c, ' ' ORDER BY a, c) FROM t"), "1kept1 1other 2kept2 33x");
    assert_eq!(db.psql("SELECT count(*), count(a) FROM u"), "3|1");
}

#[test]
fn a_column_that_must_not_be_null_comes_back_to_a_table_that_has_rows_by_now() {
    let Some(server) = server(15) else { return };
    let db = server.fresh_database();
    // The tables are empty when the columns come.
    let world = world(
        &db,
        "CREATE TABLE t (id int PRIMARY KEY);
         CREATE TABLE p (id int PRIMARY KEY) PARTITION BY RANGE (id);
         CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (100);",
        "-- migrate:up
         CREATE TABLE kind (id int PRIMARY KEY);
         ALTER TABLE t ADD COLUMN a int NOT NULL, ADD COLUMN \"B\" text
             NOT NULL CHECK (\"B\" > '');
         ALTER TABLE p ADD COLUMN kind int NOT NULL REFERENCES kind;
         CREATE INDEX ON t (\"B\");
         -- migrate:down
         ALTER TABLE p DROP COLUMN kind; ALTER TABLE t DROP COLUMN a, DROP COLUMN \"B\"; DROP TABLE kind;",
    );
    db.psql(
        "INSERT INTO t SELECT i, -i, 'b' || i FROM generate_series(1, 9) i;
         INSERT INTO kind VALUES (7); INSERT INTO p SELECT i, 7 FROM generate_series(1, 9) i",
    );
    let state = "SELECT string_agg(t::text, ' ' ORDER BY id) FROM t; SELECT string_agg(p::text, ' ' ORDER BY id) FROM p;
        SELECT string_agg(concat_ws(' ', attrelid::regclass, attname, attnotnull), ',' ORDER BY attrelid::regclass::text, attname)
        FROM pg_attribute WHERE attnum > 0 AND NOT attisdropped AND attrelid IN ('t'::regclass, 'p'::regclass, 'p1'::regclass)";
    let before = db.psql(state);
    world.dbbuild(&["downgrade", "--to", "1"]).ok();
    // Of a new row nobody knows the values.
    db.psql("INSERT INTO t VALUES (10)");
    let said = world.dbbuild(&["apply"]);
    said.fails(1).says("column \"a\" of relation \"t\" contains null values");
    said.says("db/migrations/2_second.sql:3:")
        .says("rows of \"public\".\"t\" for which the attic has no value of \"a\": 1");
    said.says("the attic still has what was kept of it");
    assert_eq!(db.psql("SELECT to_regclass('kind'), count(*) FROM dbbuild.migration"), "|1");
    db.psql("DELETE FROM t WHERE id = 10");
    let said = world.dbbuild(&["apply"]);
    said.ok().says("gave back 9 values of public.t.a, B").says("gave back 9 values of public.p.kind");
    assert_eq!(db.psql(state), before);
    assert_eq!(attic(&db), "");
}

#[test]
fn where_no_transaction_gives_back_a_person_is_told_how_a_column_comes_to_rows() {
    let Some(server) = server(15) else { return };
    for head in ["-- migrate:up transaction:false\n", "-- dbbuild:psql true\n-- migrate:up\n"] {
        let db = server.fresh_database();
        let second = format!(
            "{head}ALTER TABLE t ADD COLUMN IF NOT EXISTS \"C\" text NOT NULL;\n-- migrate:down\nALTER TABLE t DROP COLUMN \"C\";"
        );
        let world = world(&db, "CREATE TABLE t (id int PRIMARY KEY);", &second);
        db.psql("INSERT INTO t VALUES (1, 'one')");
        world.dbbuild(&["downgrade", "--to", "1"]).ok();
        let failed = world.dbbuild(&["apply"]);
        failed.fails(1).says("contains null values (23502)").says("the attic has the values of \"public\".\"t\".\"C\"");
        let commands: Vec<&str> = failed.stderr.split('`').filter(|one| one.starts_with("ALTER TABLE")).collect();
        let [add, set] = commands[..] else { panic!("{}", failed.show()) };
        db.psql(&add.replace('…', "text"));
        world.dbbuild(&["apply"]).ok().says("gave back 1 value of public.t.C");
        db.psql(set);
        assert_eq!(db.psql("TABLE t"), "1|one");
    }
}

#[test]
fn rows_that_the_up_part_moves_stay_whoever_wrote_them() {
    let Some(server) = server(15) else { return };
    let up = "CREATE TABLE IF NOT EXISTS new (id int PRIMARY KEY, a text, b text DEFAULT 'filled'); \
              INSERT INTO new (id, a) SELECT id, a FROM old; DELETE FROM old";
    // Written to the newer schema, and after the way back to the older one; the rows in the end, and what is in conflict.
    let cases = [
        ("DROP TABLE new", "", "INSERT INTO old VALUES (5, 'five')", "1|one|mine 5|five|filled", ""),
        ("DROP TABLE new", "", "INSERT INTO old VALUES (1, 'uno')", "1|uno|filled", "table 1"),
        (
            "INSERT INTO old SELECT id, a FROM new; DROP TABLE new",
            "INSERT INTO old VALUES (2, 'two')",
            "",
            "1|one|mine 2|two|filled",
            "",
        ),
        ("INSERT INTO old SELECT id, a FROM new; DROP TABLE new", "", "", "1|one|mine", ""),
    ];
    for (down, newer, older, rows, left) in cases {
        let db = server.fresh_database();
        let first = "CREATE TABLE old (id int PRIMARY KEY, a text); INSERT INTO old VALUES (1, 'one');";
        let world = world(&db, first, &format!("-- migrate:up\n{up};\n-- migrate:down\n{down};\n"));
        db.psql(&format!("UPDATE new SET b = 'mine'; {newer}"));
        world.dbbuild(&["downgrade", "--to", "1"]).ok();
        db.psql(older);
        let said = world.dbbuild(&["apply"]);
        said.ok();
        let now =
            db.psql("SELECT string_agg(concat_ws('|', id, a, b), ' ' ORDER BY id) FROM new; SELECT count(*) FROM old");
        assert_eq!(now, format!("{rows}\n0"), "{down}; {newer}; {older}\n{}", said.show());
        let attic = "SELECT coalesce(string_agg(kind || ' ' || rows, ', '), '') FROM dbbuild_attic.entry";
        assert_eq!(db.psql(attic), left, "{down}; {newer}; {older}\n{}", said.show());
    }
}
