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
        holds: ("SELECT t.k1, t.v1 FROM dbbuild_attic.kept_2 t", "2|20"),
    },
    Loss {
        name: "rows without a key, one written in a savepoint that was rolled back",
        base: "CREATE TABLE t (a int, b text)",
        up: "SELECT 1",
        data: "INSERT INTO t VALUES (1, 'x'), (2, 'y'), (3, 'z')",
        down: "DELETE FROM t WHERE a = 1; DO $$ BEGIN UPDATE t SET b = 'w' WHERE a = 2; RAISE data_exception; \
               EXCEPTION WHEN data_exception THEN NULL; END $$",
        entries: "row deleted t {a,b} {} 1",
        holds: ("SELECT string_agg(t::text, ' ') FROM t", "(2,y) (3,z)"),
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
    Loss {
        name: "an enum with a value less: null where that may be, else the row with its dependents",
        base: "CREATE TYPE mood AS ENUM ('sad', 'happy'); CREATE TABLE p (id int PRIMARY KEY, m mood, n mood NOT NULL DEFAULT 'sad'); \
               CREATE TABLE c (id int PRIMARY KEY, p int REFERENCES p); CREATE TABLE d (id int PRIMARY KEY, c int REFERENCES c, up int REFERENCES d)",
        up: "ALTER TYPE mood RENAME TO mood_old; CREATE TYPE mood AS ENUM ('sad', 'happy', 'odd'); \
             ALTER TABLE p ALTER n DROP DEFAULT; ALTER TABLE p ALTER m TYPE mood USING m::text::mood, ALTER n TYPE mood USING n::text::mood; DROP TYPE mood_old",
        data: "INSERT INTO p VALUES (1, 'sad', 'sad'), (2, 'odd', 'sad'), (3, 'sad', 'odd'), (4, NULL, 'happy'); \
               INSERT INTO c VALUES (10, 3), (11, 1); INSERT INTO d VALUES (20, 10, NULL), (21, 11, 20), (22, 11, 21), (23, 11, NULL)",
        down: "ALTER TYPE mood RENAME TO mood_old; CREATE TYPE mood AS ENUM ('sad', 'happy'); \
               ALTER TABLE p ALTER m TYPE mood USING m::text::mood, ALTER n TYPE mood USING n::text::mood; DROP TYPE mood_old",
        entries: "value narrowed p {m} {id} 1\nrow refused p {id,m,n} {id} 1\nrow dependent c {id,p} {id} 1\nrow dependent d {id,c,up} {id} 3",
        holds: (
            "SELECT string_agg(p::text, ' ' ORDER BY id) FROM p; SELECT string_agg(id::text, ' ') FROM d; SELECT t.* FROM dbbuild_attic.kept_1 t",
            "(1,sad,sad) (2,,sad) (4,,happy)\n23\n2|odd|",
        ),
    },
    Loss {
        name: "values that are too long or too large",
        base: "CREATE TABLE t (id int PRIMARY KEY, a varchar(3), n int, k smallint UNIQUE)",
        up: "ALTER TABLE t ALTER a TYPE text, ALTER n TYPE bigint; ALTER TABLE t ALTER k TYPE int",
        data: "INSERT INTO t VALUES (1, 'abc', 1, 1), (2, 'abcd', 2, 2), (3, 'c', 30000000000, 3), (4, 'd', 4, 40000)",
        down: "ALTER TABLE t ALTER a TYPE varchar(3); ALTER TABLE t ALTER n TYPE int, ALTER COLUMN k SET DATA TYPE smallint",
        entries: "value narrowed t {a} {id} 1\nvalue narrowed t {n} {id} 1\nrow refused t {id,a,n,k} {id} 1",
        holds: ("SELECT string_agg(t::text, ' ' ORDER BY id) FROM t", "(1,abc,1,1) (2,,2,2) (3,c,,3)"),
    },
    Loss {
        name: "rows that a constraint of the older schema refuses",
        base: "CREATE TABLE r (id int PRIMARY KEY)",
        up: "CREATE TABLE t (id int PRIMARY KEY, a int, b int, c int, d int, s int4range)",
        data: "INSERT INTO r VALUES (1); INSERT INTO t VALUES (1, 1, 1, 1, 1, '[1,5)'), (2, NULL, 2, 1, 2, '[10,11)'), (3, 1, -1, 1, 3, '[20,21)'), \
               (4, 1, 1, 9, 4, '[30,31)'), (5, 1, 1, NULL, 1, '[40,41)'), (6, 1, 1, 1, 6, '[4,6)')",
        down: "ALTER TABLE t ALTER a SET NOT NULL; ALTER TABLE t ADD CHECK (b > 0); ALTER TABLE t ADD FOREIGN KEY (c) REFERENCES r; \
               CREATE UNIQUE INDEX ON t (d); ALTER TABLE t ADD EXCLUDE USING gist (s WITH &&)",
        entries: "row refused t {id,a,b,c,d,s} {id} 1\nrow refused t {id,a,b,c,d,s} {id} 1\nrow refused t {id,a,b,c,d,s} {id} 1\n\
                  row refused t {id,a,b,c,d,s} {id} 1\nrow refused t {id,a,b,c,d,s} {id} 1",
        holds: ("SELECT string_agg(id::text, ' ') FROM t", "1"),
    },
    Loss {
        name: "refused rows without a key, with triggers that do not fire and a cycle of foreign keys",
        base: "CREATE TABLE a (id int PRIMARY KEY, b int); CREATE TABLE b (id int PRIMARY KEY, a int REFERENCES a); ALTER TABLE a ADD FOREIGN KEY (b) REFERENCES b; \
               CREATE TABLE t (n int); CREATE FUNCTION boom() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''fired''; END'; \
               CREATE TRIGGER one BEFORE UPDATE OR DELETE ON t FOR EACH ROW EXECUTE FUNCTION boom(); \
               CREATE TRIGGER two BEFORE UPDATE OR DELETE ON a FOR EACH ROW EXECUTE FUNCTION boom(); ALTER TABLE a ENABLE ALWAYS TRIGGER two",
        up: "SELECT 1",
        data: "INSERT INTO a VALUES (1, NULL), (2, NULL); INSERT INTO b VALUES (1, 1), (2, 2); ALTER TABLE a DISABLE TRIGGER two; \
               UPDATE a SET b = id; ALTER TABLE a ENABLE ALWAYS TRIGGER two; INSERT INTO t VALUES (1), (5), (5)",
        down: "ALTER TABLE t ADD CHECK (n < 5); ALTER TABLE a ADD CHECK (id < 2)",
        entries: "row refused t {n} {} 2\nrow refused a {id,b} {id} 1\nrow dependent b {id,a} {id} 1",
        holds: (
            "SELECT string_agg(tgenabled::text, '' ORDER BY tgname) FROM pg_trigger WHERE NOT tgisinternal; SELECT (SELECT count(*) FROM a), (SELECT count(*) FROM b)",
            "OA\n1|1",
        ),
    },
    Loss {
        name: "refused rows of partitions at two depths, with those that refer to the whole table, hidden from their owner",
        base: "CREATE TABLE p (id int, k int, n int, PRIMARY KEY (id, k)) PARTITION BY LIST (k); CREATE TABLE p1 PARTITION OF p FOR VALUES IN (1); \
               CREATE TABLE p2 PARTITION OF p FOR VALUES IN (2) PARTITION BY LIST (k); CREATE TABLE p2a PARTITION OF p2 FOR VALUES IN (2); \
               CREATE TABLE c (id int PRIMARY KEY, p int, k int, FOREIGN KEY (p, k) REFERENCES p ON DELETE SET NULL); \
               ALTER TABLE c ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY; CREATE POLICY none ON c USING (false) WITH CHECK (true); \
               CREATE TABLE d (id int, c int REFERENCES c) PARTITION BY HASH (id); CREATE TABLE d1 PARTITION OF d FOR VALUES WITH (MODULUS 1, REMAINDER 0); \
               CREATE FUNCTION boom() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''fired''; END'; \
               CREATE TRIGGER one BEFORE UPDATE OR DELETE ON p FOR EACH ROW EXECUTE FUNCTION boom(); ALTER TABLE p2a ENABLE ALWAYS TRIGGER one",
        up: "SELECT 1",
        data: "INSERT INTO p VALUES (1, 1, 1), (2, 1, 1), (3, 1, 2), (4, 2, 1), (5, 2, 1), (6, 2, 3); \
               INSERT INTO c VALUES (10, 2, 1), (11, 5, 2), (12, 1, 1); INSERT INTO d VALUES (20, 11), (21, 12)",
        down: "CREATE UNIQUE INDEX ON p (k, n); ALTER TABLE p ADD CHECK (n < 3)",
        entries: "row refused p {id,k,n} {id,k} 2\nrow dependent c {id,p,k} {id} 2\nrow dependent d {id,c} {} 1\nrow refused p {id,k,n} {id,k} 1",
        holds: (
            "SELECT string_agg(id::text, ' ' ORDER BY id) FROM p; SELECT relforcerowsecurity FROM pg_class WHERE relname = 'c'; \
             SELECT string_agg(tgrelid::regclass || ' ' || tgenabled::text, ' ' ORDER BY tgrelid) FROM pg_trigger WHERE NOT tgisinternal",
            "1 3 4\nt\np O p1 O p2 O p2a A",
        ),
    },
    Loss {
        name: "rows that refer to nothing in a partitioned table, and one partition with a stricter column",
        base: "CREATE TABLE p (id int PRIMARY KEY) PARTITION BY HASH (id); CREATE TABLE p0 PARTITION OF p FOR VALUES WITH (MODULUS 2, REMAINDER 0); \
               CREATE TABLE p1 PARTITION OF p FOR VALUES WITH (MODULUS 2, REMAINDER 1); \
               ALTER TABLE p ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY; CREATE POLICY few ON p USING (id < 5) WITH CHECK (true); \
               CREATE TABLE t (id int, p int, x text) PARTITION BY RANGE (id); CREATE TABLE t1 PARTITION OF t FOR VALUES FROM (0) TO (50); \
               CREATE TABLE t2 PARTITION OF t FOR VALUES FROM (50) TO (99); ALTER TABLE t ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY; \
               CREATE POLICY none ON t USING (false) WITH CHECK (true)",
        up: "SELECT 1",
        data: "INSERT INTO p VALUES (1), (2), (3), (4); INSERT INTO t VALUES (1, 1, NULL), (2, 9, 'a'), (60, 4, 'b'), (61, 8, 'c'), (62, NULL, NULL)",
        down: "ALTER TABLE t ADD FOREIGN KEY (p) REFERENCES p; ALTER TABLE t2 ALTER x SET NOT NULL",
        entries: "row refused t {id,p,x} {} 2\nrow refused t {id,p,x} {} 1",
        holds: ("SELECT string_agg(id::text, ' ' ORDER BY id) FROM t", "1 60"),
    },
    Loss {
        name: "row security, forced on the owner too",
        base: "CREATE TABLE t (id int PRIMARY KEY, a text); ALTER TABLE t ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY; CREATE POLICY few ON t USING (id < 3)",
        up: "ALTER TABLE t ADD COLUMN x int; CREATE TABLE u (id int PRIMARY KEY, a text); \
             ALTER TABLE u ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY; CREATE POLICY nobody ON u USING (false) WITH CHECK (true)",
        data: "ALTER TABLE t NO FORCE ROW LEVEL SECURITY; INSERT INTO t VALUES (1, 'a', 10), (2, 'b', 20), (3, 'c', 30); ALTER TABLE t FORCE ROW LEVEL SECURITY; \
               INSERT INTO u VALUES (1, 'hidden')",
        down: "DELETE FROM t WHERE id = 2; ALTER TABLE t DROP COLUMN x; DROP TABLE u",
        entries: "column dropped t {x} {id} 3\ntable dropped u {id,a} {id} 1\nrow deleted t {id,a,x} {id} 1",
        holds: (
            "SELECT relforcerowsecurity FROM pg_class WHERE relname = 't'; SELECT t.* FROM dbbuild_attic.kept_3 t",
            "t\n2|b|20",
        ),
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

#[test]
fn what_loses_nothing_runs_once_and_leaves_no_attic() {
    let Some(server) = server(15) else { return };
    let db = server.fresh_database();
    let down = "SELECT nextval('runs'); DROP INDEX t_a; DROP VIEW v; DROP FUNCTION f(); \
                ALTER TABLE t ADD COLUMN b int DEFAULT 7; INSERT INTO t VALUES (9, 'new'); DROP MATERIALIZED VIEW m";
    let base = "CREATE TABLE t (id int PRIMARY KEY, a varchar(9)); CREATE SEQUENCE runs";
    let up = "CREATE INDEX t_a ON t (a); CREATE VIEW v AS SELECT 1; CREATE MATERIALIZED VIEW m AS SELECT 1; \
              CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'";
    let outcome = go_back(&db.url, &db, None, base, up, "INSERT INTO t VALUES (1, 'a')", down);
    outcome.ok().says_not("attic");
    assert_eq!(db.psql("SELECT to_regnamespace('dbbuild_attic') IS NULL, count(*) FROM t"), "t|2");
    // Once in the rehearsal, once in earnest.
    assert_eq!(db.psql("SELECT last_value FROM runs"), "2");
}

#[test]
fn what_cannot_be_kept_is_refused_and_nothing_is_changed() {
    let Some(server) = server(15) else { return };
    let cases = [
        ("SELECT lo_unlink(4711)", "large objects"),
        ("DO 'BEGIN DELETE FROM dbbuild_attic.entry; END'", "schema dbbuild_attic"),
        ("DELETE FROM t; INSERT INTO t VALUES (1, 'x'), (1, 'y')", "duplicate key"),
        ("DELETE FROM t; SELECT nowhere", "\"nowhere\" does not exist"),
        ("SELECT setval('s', 1); DELETE FROM t; DO 'BEGIN RAISE EXCEPTION ''not so''; END'", "not so"),
    ];
    for (down, says) in cases {
        let db = server.fresh_database();
        let base = "CREATE TABLE t (id int PRIMARY KEY, a text); CREATE SEQUENCE s; CREATE TABLE gone (id int)";
        let data =
            "INSERT INTO t VALUES (1, 'a'); INSERT INTO gone VALUES (1); SELECT lo_create(4711); SELECT setval('s', 9)";
        let world = world(&db.url);
        world.write("db/migrations/1_base.sql", base);
        world.write("db/migrations/2_a.sql", format!("-- migrate:up\nSELECT 1;\n-- migrate:down\n{down};\n"));
        world.write("db/migrations/3_b.sql", "-- migrate:up\nSELECT 1;\n-- migrate:down\nDROP TABLE gone;\n");
        world.dbbuild(&["build", "--no-baseline"]).ok();
        db.psql(data);
        std::fs::remove_file(world.path("db/migrations/3_b.sql")).unwrap();
        world.dbbuild(&["build", "--no-baseline", "--take-back"]).ok().says("table public.gone with 1 row");
        std::fs::remove_file(world.path("db/migrations/2_a.sql")).unwrap();
        let outcome = world.dbbuild(&["build", "--no-baseline", "--take-back"]);
        outcome.fails(1).says(says).says("othing was changed");
        let stands = "SELECT (SELECT string_agg(t::text, ' ') FROM t), (SELECT last_value FROM s), \
                      (SELECT string_agg(version, ' ') FROM dbbuild.migration), (SELECT count(*) FROM dbbuild_attic.entry)";
        assert_eq!(db.psql(stands), "(1,a)|9|1 2|1", "{down}\n{}", outcome.show());
    }
}

#[test]
fn an_attic_of_a_newer_form_is_left_alone() {
    let Some(server) = server(15) else { return };
    let db = server.fresh_database();
    let world = world(&db.url);
    world.write("db/migrations/1_base.sql", "CREATE TABLE t (id int PRIMARY KEY)");
    // Going back over the second one loses nothing: it has no need of the attic.
    for (n, down) in [(2, "DROP VIEW v2"), (3, "DELETE FROM t; DROP VIEW v3")] {
        world.write(
            &format!("db/migrations/{n}_more.sql"),
            format!("-- migrate:up\nCREATE VIEW v{n} AS SELECT 1;\n-- migrate:down\n{down};\n"),
        );
    }
    world.dbbuild(&["build", "--no-baseline"]).ok();
    db.psql("INSERT INTO t VALUES (1)");
    std::fs::remove_file(world.path("db/migrations/3_more.sql")).unwrap();
    world.dbbuild(&["build", "--no-baseline", "--take-back"]).ok();
    db.psql("UPDATE dbbuild_attic.format SET version = 2; UPDATE dbbuild_attic.entry SET dbbuild_version = '9.9.9'; INSERT INTO t VALUES (2)");
    std::fs::remove_file(world.path("db/migrations/2_more.sql")).unwrap();
    for command in [&["build", "--no-baseline", "--take-back"][..], &["downgrade", "--to", "1"]] {
        world
            .dbbuild(command)
            .fails(1)
            .says("has format 2, and this dbbuild knows 1")
            .says("dbbuild 9.9.9 wrote it")
            .says("othing was changed");
        assert_eq!(db.psql("SELECT (SELECT count(*) FROM v2), (SELECT count(*) FROM dbbuild.migration)"), "1|2");
    }
}

#[test]
fn a_down_part_that_is_no_transaction_keeps_statement_by_statement_and_goes_on() {
    let Some(server) = server(15) else { return };
    let db = server.fresh_database();
    let world = world(&db.url);
    world.write(
        "db/migrations/1_base.sql",
        "CREATE TABLE t (id int PRIMARY KEY, a text); CREATE TABLE u (id int); CREATE INDEX t_a ON t (a)",
    );
    let down = "DROP TABLE u;\nDROP INDEX CONCURRENTLY t_a;\nBEGIN;\nDELETE FROM t WHERE id = 1;\nUPDATE t SET a = 'z';\nCOMMIT;\n\
                SELECT 1 / count(*) FROM gate;\nVACUUM t;";
    world.write(
        "db/migrations/2_more.sql",
        format!("-- migrate:up\nSELECT 1;\n-- migrate:down transaction:false\n{down}\n"),
    );
    world.dbbuild(&["build", "--no-baseline"]).ok();
    db.psql("INSERT INTO t VALUES (1, 'a'), (2, 'b'); INSERT INTO u VALUES (7); CREATE TABLE gate (x int)");
    std::fs::remove_file(world.path("db/migrations/2_more.sql")).unwrap();
    let stopped = world.dbbuild(&["build", "--no-baseline", "--take-back"]);
    stopped.fails(1).says("division by zero").says("first 6 statements stay done").says("goes on there");
    let entries = "table dropped u {id} {} 1\nrow deleted t {id,a} {id} 1\nvalue changed t {a} {id} 1";
    assert_eq!(db.psql(ENTRIES), entries);
    assert_eq!(db.psql("SELECT string_agg(version, ' ') FROM dbbuild.migration"), "1 2");
    db.psql("INSERT INTO gate VALUES (1)");
    world.dbbuild(&["build", "--no-baseline", "--take-back"]).ok().says("took back 2_more");
    assert_eq!(db.psql(ENTRIES), entries);
    assert_eq!(
        db.psql(
            "SELECT (SELECT string_agg(version, ' ') FROM dbbuild.migration), \
             (SELECT count(*) FROM dbbuild.statement WHERE version = '2')"
        ),
        "1|0"
    );
}

#[test]
fn a_kill_at_any_point_leaves_a_boundary_and_the_attic_whole() {
    let Some(server) = Server::private(15, &[]) else { return };
    let db = server.fresh_database();
    let world = world(&db.url);
    let config = world.read("dbbuild.toml").replace("[env", "[migrations]\nidempotent = \"off\"\n[env");
    world.write("dbbuild.toml", config);
    world.write(
        "db/migrations/1_base.sql",
        "CREATE TABLE t (id int PRIMARY KEY, a text); CREATE TABLE u (id int PRIMARY KEY)",
    );
    let more = "-- migrate:up\nALTER TABLE t ADD COLUMN IF NOT EXISTS x text;\n\
                -- migrate:down\nDELETE FROM u; ALTER TABLE t DROP COLUMN x; SELECT pg_sleep(0.02);\n";
    let fill = "DELETE FROM u; INSERT INTO u SELECT generate_series(1, 500); \
                INSERT INTO t SELECT g, 'a' FROM generate_series(1, 20000) g ON CONFLICT DO NOTHING; UPDATE t SET x = 'x' || id";
    // Either nothing happened, or all of it.
    let stands = "SELECT (SELECT count(*) = 500 FROM u) AND (SELECT count(*) = 20000 FROM t WHERE to_jsonb(t) ? 'x') \
                  AND NOT EXISTS (SELECT FROM pg_class WHERE relname ~ '^(kept|scratch)_')";
    let gone = "SELECT (SELECT count(*) = 0 FROM u) AND (SELECT count(*) = 0 FROM t WHERE to_jsonb(t) ? 'x') \
                AND (SELECT array_agg(rows ORDER BY id) = '{20000,500}' FROM dbbuild_attic.entry)";
    let whole = || {
        let applied = db.psql("SELECT EXISTS (SELECT FROM dbbuild.migration WHERE version = '2')") == "t";
        db.psql(if applied { stands } else { gone }) == "t"
    };
    let mut stopped = 0;
    for round in 0..12_u64 {
        world.write("db/migrations/2_more.sql", more);
        world.dbbuild(&["build", "--no-baseline"]).ok();
        db.psql(fill);
        std::fs::remove_file(world.path("db/migrations/2_more.sql")).unwrap();
        let mut dbbuild = world.start(&["build", "--no-baseline", "--take-back"]);
        std::thread::sleep(std::time::Duration::from_millis(60 + round * 40));
        match round % 3 {
            0 => {
                db.psql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name ~ '^dbbuild'");
            }
            _ => dbbuild.signal(nix::sys::signal::Signal::SIGKILL),
        }
        let killed = dbbuild.wait();
        stopped += u32::from(killed.status != 0);
        // What the killed one's server process still did, it has done when it is gone.
        crate::support::until(
            &db,
            "SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE application_name ~ '^dbbuild' AND datname = current_database())",
        );
        assert!(whole(), "round {round}\n{}", killed.show());
        world.dbbuild(&["build", "--no-baseline", "--take-back"]).ok();
        assert!(whole(), "round {round}, the run after it");
        db.psql("DROP SCHEMA dbbuild_attic CASCADE");
    }
    assert!(stopped > 2, "only {stopped} kills came in time");
}
