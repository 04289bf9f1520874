//! Keeping: what a down part drops, overwrites or narrows stands in the attic when it is done, and nothing else does.

use crate::support::{Db, Outcome, Server, World, server};

/// One way to lose something.
struct Loss {
    name: &'static str,
    /// The first migration.
    base: &'static str,
    /// The up part of the second one.
    up: &'static str,
    /// What users wrote after it.
    data: &'static str,
    /// Its down part.
    down: &'static str,
    /// `kind reason table {columns} {keys} rows` of each entry, in order.
    entries: &'static str,
    /// A query and its answer.
    holds: (&'static str, &'static str),
}

const LOSSES: &[Loss] = &[
    Loss {
        name: "a dropped table with its sequence",
        base: "SELECT 1",
        up: "CREATE TABLE t (id int PRIMARY KEY GENERATED ALWAYS AS IDENTITY, note text, twice int GENERATED ALWAYS AS (length(note)) STORED)",
        data: "INSERT INTO t (note) VALUES ('a'), (NULL), ('c')",
        down: "DROP TABLE t",
        entries: "table dropped t {id,note} {id} 3\nsequence dropped t_id_seq {} {} 0",
        holds: (
            "SELECT string_agg(v1 || coalesce(v2, '-'), ' ' ORDER BY v1) FROM dbbuild_attic.kept_1; \
             SELECT details->>'last_value', details->>'is_called', details->'owned_by' FROM dbbuild_attic.entry WHERE kind = 'sequence'",
            "1a 2- 3c\n3|true|[\"public\", \"t\", \"id\"]",
        ),
    },
    Loss {
        name: "dropped columns, one without any value",
        base: "CREATE TABLE t (id int PRIMARY KEY)",
        up: "ALTER TABLE t ADD COLUMN a text, ADD COLUMN b int; CREATE TABLE u (id int PRIMARY KEY); ALTER TABLE u ADD COLUMN nothing int",
        data: "INSERT INTO t VALUES (1, 'x', 10), (2, NULL, 20); INSERT INTO u VALUES (1, NULL)",
        down: "ALTER TABLE u DROP COLUMN nothing; ALTER TABLE t DROP COLUMN b; ALTER TABLE t DROP COLUMN a; DROP TABLE u",
        entries: "column dropped t {a,b} {id} 2\ntable dropped u {id,nothing} {id} 1",
        holds: ("SELECT string_agg(t::text, ' ' ORDER BY k1) FROM dbbuild_attic.kept_1 t", "(1,x,10) (2,,20)"),
    },
    Loss {
        name: "updated and deleted rows",
        base: "CREATE TABLE t (id int PRIMARY KEY, a text, n numeric)",
        up: "SELECT 1",
        data: "INSERT INTO t SELECT g, 'a' || g, g FROM generate_series(1, 100) g",
        down: "UPDATE t SET a = upper(a) WHERE id <= 2; DELETE FROM t WHERE id = 3; UPDATE t SET n = n WHERE id = 4",
        entries: "row deleted t {id,a,n} {id} 1\nvalue changed t {a} {id} 2",
        holds: (
            "SELECT string_agg(t::text, ' ' ORDER BY k1) FROM dbbuild_attic.kept_2 t; SELECT t.* FROM dbbuild_attic.kept_1 t",
            "(1,a1,A1) (2,a2,A2)\n3|a3|3",
        ),
    },
    Loss {
        name: "rows that go by a cascade, unseen by triggers that are off",
        base: "CREATE TABLE p (id int PRIMARY KEY); CREATE TABLE c (id int PRIMARY KEY, p int REFERENCES p ON DELETE CASCADE);\
               CREATE FUNCTION boom() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''fired''; END'",
        up: "SELECT 1",
        data: "INSERT INTO p VALUES (1), (2); INSERT INTO c VALUES (10, 1), (11, 1), (12, 2)",
        down: "ALTER TABLE c DISABLE TRIGGER USER; DELETE FROM p WHERE id = 1",
        entries: "row deleted p {id} {id} 1\nrow deleted c {id,p} {id} 2",
        holds: ("SELECT string_agg(t::text, ' ' ORDER BY v1) FROM dbbuild_attic.kept_2 t", "(10,1) (11,1)"),
    },
    Loss {
        name: "a truncated table without a key",
        base: "CREATE TABLE t (a text, b int)",
        up: "SELECT 1",
        data: "INSERT INTO t VALUES ('x', 1), ('x', 1), (NULL, 2)",
        down: "TRUNCATE t",
        entries: "table emptied t {a,b} {} 3",
        holds: (
            "SELECT string_agg(coalesce(v1, '-') || v2 || ordinal, ' ' ORDER BY v2, ordinal) FROM dbbuild_attic.kept_1",
            "x11 x12 -21",
        ),
    },
    Loss {
        name: "a table that is emptied and filled again",
        base: "CREATE TABLE t (id int PRIMARY KEY, a text)",
        up: "SELECT 1",
        data: "INSERT INTO t VALUES (1, 'x'), (2, 'y'), (3, 'z')",
        down: "CREATE TEMP TABLE o AS SELECT * FROM t; TRUNCATE t; INSERT INTO t SELECT id, CASE id WHEN 1 THEN a ELSE 'n' END FROM o WHERE id < 3",
        entries: "row deleted t {id,a} {id} 1\nvalue changed t {a} {id} 1",
        holds: ("SELECT t.* FROM dbbuild_attic.kept_1 t", "3|z"),
    },
    Loss {
        name: "a type that holds less",
        base: "CREATE TABLE t (id int PRIMARY KEY, n numeric(10,2), big bigint)",
        up: "SELECT 1",
        data: "INSERT INTO t VALUES (1, 1.50, 5), (2, 2.00, 6), (3, 3, 7)",
        down: "ALTER TABLE t ALTER n TYPE int USING trunc(n)::int, ALTER big TYPE int",
        entries: "value narrowed t {n} {id} 3",
        holds: (
            "SELECT string_agg(t::text, ' ' ORDER BY k1) FROM dbbuild_attic.kept_1 t",
            "(1,1.50,1) (2,2.00,2) (3,3.00,3)",
        ),
    },
    Loss {
        name: "a type that holds less, without a key",
        base: "CREATE TABLE t (a text, at timestamp)",
        up: "SELECT 1",
        data: "INSERT INTO t VALUES ('x', '2020-01-01 10:00'), ('x', '2020-01-01 11:00'), ('y', '2020-02-02 00:00')",
        down: "ALTER TABLE t ALTER at TYPE date",
        entries: "value narrowed t {at} {a} 3",
        holds: (
            "SELECT string_agg(t::text, ' ' ORDER BY v1) FROM dbbuild_attic.kept_1 t",
            "(x,\"2020-01-01 10:00:00\",2020-01-01,1) (x,\"2020-01-01 11:00:00\",2020-01-01,2) (y,\"2020-02-02 00:00:00\",2020-02-02,1)",
        ),
    },
    Loss {
        name: "types of one's own, and names that need quotes",
        base: "CREATE SCHEMA \"We ird\"; CREATE TYPE \"We ird\".mood AS ENUM ('sad', 'happy'); CREATE DOMAIN \"We ird\".word AS text COLLATE \"C\" CHECK (VALUE <> '')",
        up: "CREATE TABLE \"We ird\".\"T \"\"1\" (\"the key\" text, \"Order\" int, PRIMARY KEY (\"Order\", \"the key\"), m \"We ird\".mood, ms \"We ird\".mood[], w \"We ird\".word)",
        data: "INSERT INTO \"We ird\".\"T \"\"1\" VALUES ('k', 1, 'sad', '{happy,sad}', 'w')",
        down: "DROP SCHEMA \"We ird\" CASCADE",
        entries: "table dropped T \"1 {\"the key\",Order,m,ms,w} {Order,\"the key\"} 1",
        holds: (
            "SELECT t.*, pg_typeof(v3), pg_typeof(v4) FROM dbbuild_attic.kept_1 t",
            "k|1|sad|{happy,sad}|w|text|text",
        ),
    },
    Loss {
        name: "a dropped type with the columns of it",
        base: "CREATE TYPE pair AS (a int, b text); CREATE TABLE t (id int PRIMARY KEY)",
        up: "ALTER TABLE t ADD COLUMN p pair",
        data: "INSERT INTO t VALUES (1, ROW(7, 'x'))",
        down: "DROP TYPE pair CASCADE",
        entries: "column dropped t {p} {id} 1",
        holds: ("SELECT t.* FROM dbbuild_attic.kept_1 t", "1|(7,x)"),
    },
    Loss {
        name: "a part of a composite type",
        base: "CREATE TYPE pair AS (a int, b text); CREATE TABLE t (id int PRIMARY KEY, p pair)",
        up: "SELECT 1",
        data: "INSERT INTO t VALUES (1, ROW(7, 'x')), (2, NULL)",
        down: "ALTER TYPE pair DROP ATTRIBUTE b CASCADE",
        entries: "value narrowed t {p} {id} 1",
        holds: ("SELECT t.* FROM dbbuild_attic.kept_1 t", "1|(7,x)|(7)"),
    },
    Loss {
        name: "partitions: rows that move, a dropped partition",
        base: "CREATE TABLE t (id int, r text, n int, PRIMARY KEY (id, r)) PARTITION BY LIST (r); \
               CREATE TABLE t_a PARTITION OF t FOR VALUES IN ('a'); CREATE TABLE t_b PARTITION OF t FOR VALUES IN ('b'); \
               CREATE TABLE t_c PARTITION OF t FOR VALUES IN ('c')",
        up: "SELECT 1",
        data: "INSERT INTO t VALUES (1, 'a', 1), (2, 'b', 2), (3, 'c', 3), (4, 'c', 4)",
        down: "UPDATE t SET n = n * 10 WHERE id < 3; DROP TABLE t_c",
        entries: "table dropped t_c {id,r,n} {id,r} 2\nvalue changed t {n} {id,r} 2",
        holds: ("SELECT string_agg(t::text, ' ' ORDER BY k1) FROM dbbuild_attic.kept_2 t", "(1,a,1,10) (2,b,2,20)"),
    },
    Loss {
        name: "a partitioned table with a column less, and one that is gone",
        base: "CREATE TABLE t (id int PRIMARY KEY) PARTITION BY RANGE (id); CREATE TABLE t_1 PARTITION OF t FOR VALUES FROM (0) TO (10); \
               CREATE TABLE t_2 PARTITION OF t FOR VALUES FROM (10) TO (20)",
        up: "ALTER TABLE t ADD COLUMN x text; CREATE TABLE g (LIKE t) PARTITION BY RANGE (id); CREATE TABLE g_1 PARTITION OF g DEFAULT",
        data: "INSERT INTO t VALUES (1, 'a'), (11, 'b'); INSERT INTO g VALUES (1, 'g')",
        down: "ALTER TABLE t DROP COLUMN x; DROP TABLE g",
        entries: "column dropped t {x} {id} 2\ntable dropped g {id,x} {} 1",
        holds: ("SELECT string_agg(t::text, ' ' ORDER BY k1) FROM dbbuild_attic.kept_1 t", "(1,a) (11,b)"),
    },
    Loss {
        name: "inheritance: each table keeps its own rows",
        base: "CREATE TABLE p (id int PRIMARY KEY, a text); CREATE TABLE c (PRIMARY KEY (id), more text) INHERITS (p)",
        up: "ALTER TABLE p ADD COLUMN x int",
        data: "INSERT INTO p VALUES (1, 'p', 10); INSERT INTO c (id, a, more, x) VALUES (2, 'c', 'm', 20)",
        down: "UPDATE p SET a = a || '!'; ALTER TABLE p DROP COLUMN x",
        entries: "column dropped p {x} {id} 1\ncolumn dropped c {x} {id} 1\nvalue changed p {a} {id} 1\nvalue changed c {a} {id} 1",
        holds: ("SELECT t.* FROM dbbuild_attic.kept_2 t", "2|20"),
    },
    Loss {
        name: "rows without a key",
        base: "CREATE TABLE t (a text, j json)",
        up: "SELECT 1",
        data: "INSERT INTO t VALUES ('x', '{}'), ('x', '{}'), ('y', '[1]'), ('z', '1')",
        down: "DELETE FROM t WHERE ctid IN (SELECT ctid FROM t WHERE a = 'x' LIMIT 1); DELETE FROM t WHERE a = 'y'",
        entries: "row deleted t {a,j} {} 2",
        holds: ("SELECT string_agg(t::text, ' ' ORDER BY v1) FROM dbbuild_attic.kept_1 t", "(x,{},1) (y,[1],1)"),
    },
    Loss {
        name: "a sequence that is set back, and one that starts anew",
        base: "CREATE SEQUENCE s; CREATE SEQUENCE r; CREATE SEQUENCE unused",
        up: "SELECT 1",
        data: "SELECT setval('s', 41); SELECT setval('r', 17)",
        down: "SELECT setval('s', 3); ALTER SEQUENCE r RESTART; DROP SEQUENCE unused",
        entries: "sequence changed s {} {} 0\nsequence changed r {} {} 0",
        holds: (
            "SELECT string_agg(details->>'last_value', ' ' ORDER BY id) FROM dbbuild_attic.entry; SELECT last_value FROM s",
            "41 17\n3",
        ),
    },
    Loss {
        name: "rows that a function removes, updates of updates, large values",
        base: "CREATE TABLE t (id int PRIMARY KEY, big text); CREATE FUNCTION clear() RETURNS void LANGUAGE sql AS 'DELETE FROM t WHERE id = 1'",
        up: "SELECT 1",
        data: "INSERT INTO t SELECT g, (SELECT string_agg(md5((g * n)::text), '') FROM generate_series(1, 400) n) FROM generate_series(1, 3) g",
        down: "SELECT clear(); UPDATE t SET big = 'once' WHERE id = 2; UPDATE t SET big = 'twice' WHERE id = 2; INSERT INTO t VALUES (9, 'new'); DELETE FROM t WHERE id = 9",
        entries: "row deleted t {id,big} {id} 1\nvalue changed t {big} {id} 1",
        holds: ("SELECT k1, length(v1), m1 FROM dbbuild_attic.kept_2", "2|12800|twice"),
    },
];

const ENTRIES: &str = "SELECT concat_ws(' ', kind, reason, table_name, columns::text, key_columns::text, rows) FROM dbbuild_attic.entry ORDER BY id";

/// A world on a database, as whoever the address says.
fn world(url: &str) -> World {
    let mut world = World::without_git();
    world.set("DATABASE_URL", url);
    world.write(
        "dbbuild.toml",
        "[postgres]\nversion = 15\nthrowaway = \"local\"\n[env.development]\nurl_env = \"DATABASE_URL\"\n",
    );
    world
}

/// Applies two migrations, writes rows, and takes the second one back.
fn go_back(url: &str, db: &Db<'_>, owner: Option<&str>, base: &str, up: &str, data: &str, down: &str) -> Outcome {
    let world = world(url);
    world.write("db/migrations/1_base.sql", base);
    world.write("db/migrations/2_more.sql", format!("-- migrate:up\n{up};\n-- migrate:down\n{down};\n"));
    world.dbbuild(&["build", "--no-baseline"]).ok();
    match owner {
        Some(role) => db.psql(&format!("SET ROLE {role}; {data}")),
        None => db.psql(data),
    };
    std::fs::remove_file(world.path("db/migrations/2_more.sql")).unwrap();
    world.dbbuild(&["build", "--no-baseline", "--take-back"])
}

const SCRATCH: &str =
    "SELECT count(*) FROM pg_class WHERE relnamespace = 'dbbuild_attic'::regnamespace AND relname ~ 'scratch'";

/// What does not stand as it should.
fn faults(loss: &Loss, db: &Db<'_>, outcome: &Outcome) -> String {
    if outcome.status != 0 {
        return format!("{}: {}\n", loss.name, outcome.show());
    }
    let asked = [
        (ENTRIES, loss.entries),
        loss.holds,
        ("SELECT string_agg(version, ' ') FROM dbbuild.migration", "1"),
        (SCRATCH, "0"),
    ];
    let wrong = |(query, expected): (&str, &str)| {
        let found = db.try_psql(query);
        let found = if found.status == 0 { found.stdout.trim_end().to_owned() } else { found.show() };
        (found != expected).then(|| format!("{}: {query}\n  found {found:?}\n  not   {expected:?}\n", loss.name))
    };
    asked.into_iter().filter_map(wrong).collect()
}

#[test]
fn every_kind_of_loss_is_kept() {
    let Some(server) = server(15) else { return };
    let mut all = String::new();
    for loss in LOSSES {
        let db = server.fresh_database();
        let outcome = go_back(&db.url, &db, None, loss.base, loss.up, loss.data, loss.down);
        all.push_str(&faults(loss, &db, &outcome));
    }
    assert!(all.is_empty(), "{all}");
}

#[test]
fn a_plain_owner_keeps_as_much() {
    let Some(server) = Server::private(15, &[]) else { return };
    server.run("psql", &["-Xqc", "CREATE ROLE plain LOGIN", "-d", "postgres"]).ok();
    let mut all = String::new();
    for loss in LOSSES {
        let db = server.fresh_database();
        db.psql(&format!(
            "GRANT CREATE ON DATABASE {} TO plain; GRANT CREATE, USAGE ON SCHEMA public TO plain",
            db.name
        ));
        let url = db.url.replace("postgres@", "plain@");
        let outcome = go_back(&url, &db, Some("plain"), loss.base, loss.up, loss.data, loss.down);
        all.push_str(&faults(loss, &db, &outcome));
    }
    assert!(all.is_empty(), "{all}");
}
