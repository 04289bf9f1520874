//! Down and up again, with what people wrote in between: nothing of it is lost, and what was kept comes back to the rest.
//!
//! Each trip was a fault once, found by schemas, rows and down parts made at random.

use crate::support::{Server, World, server};

/// One way down and up.
struct Trip {
    name: &'static str,
    /// The first migration, and rows of then.
    older: &'static str,
    up: &'static str,
    written: &'static str,
    down: &'static str,
    /// What people write into the older schema; where that is nothing, all rows are to be as before.
    meanwhile: &'static str,
    /// A query, and its answer after the way up.
    rows: (&'static str, &'static str),
    /// `kind reason rows` of what is left in the attic.
    left: &'static str,
}

const ROWS: &str = "SELECT string_agg(t::text, ' ' ORDER BY t::text) FROM t";

const SWAP: &str = "CREATE TABLE other (LIKE t INCLUDING ALL); INSERT INTO other SELECT id, left(a, 3) FROM t; DROP TABLE t; \
                    ALTER TABLE other RENAME TO t";
const CARRY: &str = "CREATE TABLE other (LIKE t INCLUDING ALL); INSERT INTO other SELECT * FROM t; DROP TABLE t; \
                     ALTER TABLE other RENAME TO t";
const SPLIT: &str =
    "ALTER TABLE t ADD p text, ADD q text; UPDATE t SET p = left(a, 1), q = substr(a, 2); ALTER TABLE t DROP a";
const JOIN: &str = "ALTER TABLE t ADD a text; UPDATE t SET a = p || q; ALTER TABLE t DROP p, DROP q";
const EXCHANGE: &str = "ALTER TABLE t RENAME a TO c; ALTER TABLE t RENAME b TO a; ALTER TABLE t RENAME c TO b";
const UUIDS: &str =
    "CREATE TABLE t (id text PRIMARY KEY, a text); INSERT INTO t VALUES (md5('1'), 'one'), (md5('2'), 'two')";
const PARTS: &str = "CREATE TABLE t (id int, k int, a text, PRIMARY KEY (id, k)) PARTITION BY LIST (k); CREATE TABLE rest PARTITION OF t DEFAULT; \
     CREATE TABLE t3 PARTITION OF t FOR VALUES IN (3); INSERT INTO t VALUES (7, 7, 'seven')";
const BOTH: &str = "CREATE TABLE t (id int PRIMARY KEY, a text); INSERT INTO t VALUES (1, 'one'), (2, 'twenty'); \
     CREATE TABLE o (id int PRIMARY KEY, a text)";
const PLAIN: Trip = Trip {
    name: "",
    older: "CREATE TABLE t (id int PRIMARY KEY, a text); INSERT INTO t VALUES (1, 'one'), (2, 'twenty')",
    up: "SELECT 1",
    written: "",
    down: "SELECT 1",
    meanwhile: "",
    rows: (ROWS, "(1,one) (2,twenty)"),
    left: "",
};

const TRIPS: &[Trip] = &[
    Trip { name: "a table that is made anew, and nobody wrote", up: CARRY, down: SWAP, ..PLAIN },
    Trip {
        name: "rows written into a table that is made anew",
        up: CARRY,
        down: SWAP,
        meanwhile: "INSERT INTO t VALUES (3, 'new'); UPDATE t SET a = 'own' WHERE id = 1",
        rows: (ROWS, "(1,own) (2,twe) (3,new)"),
        left: "table changed 2",
        ..PLAIN
    },
    Trip {
        name: "a table that comes from one of another name",
        up: "CREATE TABLE u (LIKE t INCLUDING ALL); INSERT INTO u SELECT * FROM t; DROP TABLE t",
        down: "CREATE TABLE t (LIKE u INCLUDING ALL); INSERT INTO t SELECT * FROM u; DROP TABLE u",
        meanwhile: "INSERT INTO t VALUES (3, 'new')",
        rows: ("SELECT string_agg(u::text, ' ' ORDER BY u::text) FROM u", "(1,one) (2,twenty) (3,new)"),
        ..PLAIN
    },
    Trip {
        name: "a row with the key of a deleted one, in a table that gets its name back",
        up: "ALTER TABLE t RENAME TO u",
        down: "DELETE FROM u WHERE id = 1; ALTER TABLE u RENAME TO t",
        meanwhile: "INSERT INTO t VALUES (1, 'own')",
        rows: ("SELECT string_agg(u::text, ' ' ORDER BY u::text) FROM u", "(1,own) (2,twenty)"),
        left: "row deleted 1",
        ..PLAIN
    },
    Trip {
        name: "columns that were made one, and nobody wrote",
        up: SPLIT,
        written: "UPDATE t SET p = 'a longer', q = 'part' WHERE id = 2",
        down: JOIN,
        rows: (ROWS, "(1,o,ne) (2,\"a longer\",part)"),
        ..PLAIN
    },
    Trip {
        name: "a value written into the column that two were made of",
        up: SPLIT,
        written: "UPDATE t SET p = 'a longer', q = 'part' WHERE id = 2",
        down: JOIN,
        meanwhile: "UPDATE t SET a = 'uno' WHERE id = 1",
        rows: (ROWS, "(1,u,no) (2,\"a longer\",part)"),
        left: "column dropped 1",
        ..PLAIN
    },
    Trip {
        name: "a column that is dropped and made anew",
        down: "ALTER TABLE t DROP a; ALTER TABLE t ADD a text",
        meanwhile: "UPDATE t SET a = 'own' WHERE id = 1",
        rows: (ROWS, "(1,own) (2,twenty)"),
        left: "column changed 1",
        ..PLAIN
    },
    Trip {
        name: "rows without a key, written anew",
        older: "CREATE TABLE t (id int, a text); INSERT INTO t VALUES (1, 'one'), (2, 'twenty'), (2, 'twenty')",
        down: "ALTER TABLE t ALTER a TYPE text USING left(a, 3)",
        rows: (ROWS, "(1,one) (2,twenty) (2,twenty)"),
        ..PLAIN
    },
    Trip {
        name: "values of rows without a key, which read otherwise in the older type",
        older: "CREATE TABLE t (id int, a text); INSERT INTO t VALUES (1, 'one'), (2, 'twenty'), (2, 'twenty')",
        up: "ALTER TABLE t ALTER a TYPE text[] USING string_to_array(a, ',')",
        down: "ALTER TABLE t ALTER a TYPE text USING a[1]",
        rows: (ROWS, "(1,{one}) (2,{twenty}) (2,{twenty})"),
        ..PLAIN
    },
    Trip {
        name: "a table with a rule and a key that waits",
        older: "CREATE TABLE t (id int PRIMARY KEY DEFERRABLE INITIALLY DEFERRED, a text UNIQUE DEFERRABLE); \
                CREATE RULE quiet AS ON INSERT TO t WHERE new.id > 99 DO INSTEAD NOTHING; \
                INSERT INTO t VALUES (1, 'one'), (2, 'twenty')",
        down: "DELETE FROM t",
        meanwhile: "INSERT INTO t VALUES (3, 'one')",
        rows: (ROWS, "(2,twenty) (3,one)"),
        left: "row deleted 1",
        ..PLAIN
    },
    Trip {
        name: "rows that refer to themselves, with a key that waits",
        older: "CREATE TABLE t (id int PRIMARY KEY, a text UNIQUE DEFERRABLE INITIALLY DEFERRED, up int REFERENCES t); \
                INSERT INTO t VALUES (1, 'one', 2), (2, 'two', 1), (3, 'three', NULL)",
        down: "DELETE FROM t",
        meanwhile: "INSERT INTO t VALUES (4, 'three', NULL)",
        rows: (ROWS, "(1,one,2) (2,two,1) (4,three,)"),
        left: "row deleted 1",
        ..PLAIN
    },
    Trip {
        name: "a value that does not fit, and of which something is made",
        up: "ALTER TABLE t ADD n int; ALTER TABLE t ALTER a TYPE text",
        older: "CREATE TABLE t (id int PRIMARY KEY, a text); INSERT INTO t VALUES (1, '7'), (2, 'twenty'), (3, '')",
        down: "ALTER TABLE t DROP n; ALTER TABLE t ALTER a TYPE int USING coalesce(nullif(a, '')::int, 0)",
        rows: (ROWS, "(1,7,) (2,twenty,) (3,\"\",)"),
        ..PLAIN
    },
    Trip {
        name: "numbers that no integer is, in a key and beside",
        older: "CREATE TABLE t (id numeric PRIMARY KEY, n numeric); INSERT INTO t VALUES (1, 'NaN'), ('Infinity', 2)",
        up: "ALTER TABLE t ALTER id TYPE numeric, ALTER n TYPE numeric",
        down: "ALTER TABLE t ALTER id TYPE int, ALTER n TYPE int",
        rows: (ROWS, "(1,NaN) (Infinity,2)"),
        ..PLAIN
    },
    Trip {
        name: "values that an older domain or a null refuses",
        older: "CREATE DOMAIN small AS int CHECK (VALUE < 5); CREATE TABLE t (id int PRIMARY KEY, d int, n text NOT NULL); \
                INSERT INTO t VALUES (1, 4, '1'), (2, 9, '2'), (3, 4, '')",
        up: "ALTER TABLE t ALTER d TYPE int, ALTER n TYPE text",
        down: "ALTER TABLE t ALTER d TYPE small; ALTER TABLE t ALTER n TYPE int USING nullif(n, '')::int",
        rows: (ROWS, "(1,4,1) (2,9,2) (3,4,\"\")"),
        ..PLAIN
    },
    Trip {
        name: "rows that are refused in a table with rules",
        older: "CREATE TABLE t (id int PRIMARY KEY, a text); INSERT INTO t VALUES (1, 'one'), (2, 'twenty'); \
                CREATE RULE never AS ON DELETE TO t DO INSTEAD NOTHING; CREATE RULE also AS ON UPDATE TO t DO ALSO SELECT 1",
        down: "ALTER TABLE t ADD CONSTRAINT short CHECK (length(a) < 4)",
        up: "ALTER TABLE t DROP CONSTRAINT IF EXISTS short",
        rows: (ROWS, "(1,one) (2,twenty)"),
        ..PLAIN
    },
    Trip {
        name: "rows that a partition has no place for when it is attached, and the default one beside it",
        older: PARTS,
        up: "ALTER TABLE t DETACH PARTITION t3",
        written: "INSERT INTO t VALUES (1, 3, 'in rest'); INSERT INTO t3 VALUES (2, 9, 'two'), (3, 3, 'three')",
        down: "ALTER TABLE t ATTACH PARTITION t3 FOR VALUES IN (3)",
        rows: (
            "SELECT (SELECT string_agg(t::text, ' ' ORDER BY id) FROM t) || ' / ' || string_agg(t3::text, ' ' ORDER BY id) FROM t3",
            "(1,3,\"in rest\") (7,7,seven) / (2,9,two) (3,3,three)",
        ),
        ..PLAIN
    },
    Trip {
        name: "rows of the default partition that a new one would have, and of which a check refuses others",
        older: PARTS,
        up: "DROP TABLE t3; ALTER TABLE t DROP CONSTRAINT IF EXISTS t_a_check",
        written: "INSERT INTO t VALUES (1, 3, 'in rest'), (2, 8, 'refused')",
        down: "CREATE TABLE t3 PARTITION OF t FOR VALUES IN (3); ALTER TABLE t ADD CHECK (length(a) < 6)",
        rows: (
            "SELECT string_agg(rest::text, ' ' ORDER BY id) FROM rest",
            "(1,3,\"in rest\") (2,8,refused) (7,7,seven)",
        ),
        ..PLAIN
    },
    Trip {
        name: "a table without a key that is made from another one, where somebody wrote",
        up: "CREATE TABLE u AS SELECT id, a FROM t; ALTER TABLE t DROP a",
        written: "INSERT INTO u VALUES (5, NULL), (5, NULL)",
        down: "ALTER TABLE t ADD a text; UPDATE t SET a = u.a FROM u WHERE u.id = t.id; DROP TABLE u",
        meanwhile: "INSERT INTO t VALUES (3, 'new')",
        rows: ("SELECT string_agg(u::text, ' ' ORDER BY u::text) FROM u", "(1,one) (2,twenty) (3,new) (5,) (5,)"),
        ..PLAIN
    },
    Trip {
        name: "a table whose rows went among others, of which as many were deleted",
        older: "CREATE TABLE t (id int PRIMARY KEY, a text); INSERT INTO t VALUES (1, 'one'), (2, 'twenty'), (3, 'three')",
        up: "CREATE TABLE u (LIKE t INCLUDING ALL); INSERT INTO u SELECT * FROM t WHERE id < 9; DELETE FROM t",
        written: "INSERT INTO t VALUES (4, 'other'), (5, 'another')",
        down: "INSERT INTO t SELECT * FROM u; DELETE FROM t WHERE id IN (2, 3); DROP TABLE u",
        rows: (
            "SELECT string_agg(u::text, ' ' ORDER BY id) FROM u",
            "(1,one) (2,twenty) (3,three) (4,other) (5,another)",
        ),
        ..PLAIN
    },
    Trip {
        name: "a value written where the down part had put one, and which the up part moves back into the column",
        older: BOTH,
        up: "ALTER TABLE t ADD b text; UPDATE t SET b = o.a FROM o WHERE o.id = t.id; DELETE FROM o",
        written: "UPDATE t SET b = 'second' WHERE id = 2",
        down: "INSERT INTO o SELECT id, left(b, 3) FROM t WHERE b IS NOT NULL; ALTER TABLE t DROP b",
        meanwhile: "INSERT INTO o VALUES (1, 'own')",
        rows: (ROWS, "(1,one,own) (2,twenty,sec)"),
        left: "column dropped 2",
    },
    Trip {
        name: "the same where nobody wrote there",
        older: BOTH,
        up: "ALTER TABLE t ADD b text; UPDATE t SET b = o.a FROM o WHERE o.id = t.id; DELETE FROM o",
        written: "UPDATE t SET b = 'second' WHERE id = 2",
        down: "INSERT INTO o SELECT id, left(b, 3) FROM t WHERE b IS NOT NULL; ALTER TABLE t DROP b",
        meanwhile: "UPDATE t SET a = 'own' WHERE id = 1",
        rows: (ROWS, "(1,own,) (2,twenty,second)"),
        ..PLAIN
    },
    Trip {
        name: "a row that the up part moves into the column, from a table that the down part did not fill",
        older: BOTH,
        up: "ALTER TABLE t ADD b text DEFAULT 'none'; UPDATE t SET b = o.a FROM o WHERE o.id = t.id; DELETE FROM o",
        written: "UPDATE t SET b = 'second'",
        down: "ALTER TABLE t DROP b",
        meanwhile: "INSERT INTO o VALUES (1, 'own')",
        rows: (ROWS, "(1,one,own) (2,twenty,second)"),
        left: "column dropped 1",
    },
    Trip {
        name: "a value that the up part overwrites with one from another table",
        older: BOTH,
        up: "UPDATE t SET a = o.a FROM o WHERE o.id = t.id; DELETE FROM o",
        written: "UPDATE t SET a = 'first' WHERE id = 1",
        down: "INSERT INTO o SELECT * FROM t; UPDATE t SET a = NULL",
        meanwhile: "UPDATE o SET a = 'own' WHERE id = 2",
        rows: (ROWS, "(1,first) (2,own)"),
        left: "value changed 1",
    },
    Trip {
        name: "rows that move between two tables, one written where the down part had put it",
        older: BOTH,
        up: "INSERT INTO o SELECT * FROM t; DELETE FROM t",
        down: "DELETE FROM t; INSERT INTO t SELECT id, left(a, 3) FROM o; DELETE FROM o",
        meanwhile: "UPDATE t SET a = 'own' WHERE id = 1",
        rows: ("SELECT string_agg(o::text, ' ' ORDER BY id) FROM o", "(1,own) (2,twe)"),
        left: "row deleted 2",
        ..PLAIN
    },
    Trip {
        name: "rows that move between two tables, and nobody wrote",
        older: BOTH,
        up: "INSERT INTO o SELECT * FROM t; DELETE FROM t",
        down: "DELETE FROM t; INSERT INTO t SELECT id, left(a, 3) FROM o; DELETE FROM o",
        rows: ("SELECT string_agg(o::text, ' ' ORDER BY id) FROM o", "(1,one) (2,twenty)"),
        ..PLAIN
    },
    Trip {
        name: "a value written into a column that stood and got what was in a dropped one",
        up: "ALTER TABLE t ADD p text; UPDATE t SET p = substr(a, 4), a = left(a, 3)",
        written: "UPDATE t SET p = 'for ty' WHERE id = 2",
        down: "UPDATE t SET a = a || left(p, 3); ALTER TABLE t DROP p",
        meanwhile: "UPDATE t SET a = 'ownvalue' WHERE id = 1",
        rows: (ROWS, "(1,own,value) (2,twe,\"for ty\")"),
        left: "column dropped 1",
        ..PLAIN
    },
    Trip {
        name: "a table without a key that is made from another one, beside one that is only converted",
        older: BOTH,
        up: "CREATE TABLE u AS SELECT id, a FROM t; ALTER TABLE t DROP a; ALTER TABLE o ALTER id TYPE bigint",
        written: "DELETE FROM u WHERE id = 2; INSERT INTO o VALUES (1, 'o')",
        down: "ALTER TABLE o ALTER id TYPE int; ALTER TABLE t ADD a text; UPDATE t SET a = u.a FROM u WHERE u.id = t.id; DROP TABLE u",
        rows: ("SELECT string_agg(u::text, ' ' ORDER BY u::text) FROM u", "(1,one)"),
        ..PLAIN
    },
    Trip {
        name: "columns that change names with each other, one overwritten",
        older: "CREATE TABLE t (id int PRIMARY KEY, a text, b text); INSERT INTO t VALUES (1, 'one', 'two')",
        up: EXCHANGE,
        down: "UPDATE t SET a = 'no'; ALTER TABLE t RENAME a TO c; ALTER TABLE t RENAME b TO a; ALTER TABLE t RENAME c TO b",
        rows: (ROWS, "(1,one,two)"),
        ..PLAIN
    },
    Trip {
        name: "a value written under the name that the down part gave its column",
        older: "CREATE TABLE t (id int PRIMARY KEY, a text, b text); INSERT INTO t VALUES (1, 'one', 'two')",
        up: EXCHANGE,
        down: "UPDATE t SET a = 'no'; ALTER TABLE t RENAME a TO c; ALTER TABLE t RENAME b TO a; ALTER TABLE t RENAME c TO b",
        meanwhile: "UPDATE t SET b = 'own'",
        rows: (ROWS, "(1,one,own)"),
        left: "value changed 1",
        ..PLAIN
    },
    Trip {
        name: "a table whose rows went into columns of another",
        older: "CREATE TABLE t (id int PRIMARY KEY, a text); INSERT INTO t VALUES (1, 'one'), (2, 'twenty')",
        up: "CREATE TABLE u (t int PRIMARY KEY REFERENCES t, a text); INSERT INTO u SELECT id, a FROM t; ALTER TABLE t DROP a",
        down: "ALTER TABLE t ADD a text; UPDATE t SET a = left(u.a, 3) FROM u WHERE u.t = t.id; DROP TABLE u",
        meanwhile: "UPDATE t SET a = 'own' WHERE id = 1",
        rows: ("SELECT string_agg(u::text, ' ' ORDER BY t) FROM u", "(1,own) (2,twe)"),
        left: "table dropped 2",
        ..PLAIN
    },
    Trip {
        name: "a value of a row whose key reads otherwise in the older schema",
        older: "CREATE TYPE k AS ENUM ('x', 'y'); CREATE TABLE t (id k PRIMARY KEY, a text); INSERT INTO t VALUES ('x', 'one'), ('y', 'two')",
        up: "ALTER TYPE k RENAME VALUE 'x' TO 'z'",
        down: "UPDATE t SET a = ''; ALTER TYPE k RENAME VALUE 'z' TO 'x'",
        meanwhile: "UPDATE t SET a = 'own' WHERE id = 'x'",
        rows: (ROWS, "(y,two) (z,own)"),
        left: "row changed 1",
        ..PLAIN
    },
    Trip {
        name: "a key of another type, and nobody wrote",
        older: UUIDS,
        up: "ALTER TABLE t ALTER id TYPE uuid USING id::uuid",
        down: "ALTER TABLE t ALTER id TYPE text USING replace(id::text, '-', '')",
        rows: ("SELECT string_agg(a, ' ' ORDER BY a) FROM t", "one two"),
        ..PLAIN
    },
    Trip {
        name: "a row written under a key of another type",
        older: UUIDS,
        up: "ALTER TABLE t ALTER id TYPE uuid USING id::uuid",
        down: "ALTER TABLE t ALTER id TYPE text USING replace(id::text, '-', '')",
        meanwhile: "UPDATE t SET a = 'own' WHERE a = 'one'",
        rows: ("SELECT string_agg(a, ' ' ORDER BY a) FROM t", "own two"),
        left: "row changed 1",
        ..PLAIN
    },
    Trip {
        name: "keys that the down part moves, and a row written under one",
        up: "UPDATE t SET id = id + 100",
        down: "UPDATE t SET id = id - 100",
        meanwhile: "UPDATE t SET a = 'own' WHERE id = 1",
        rows: (ROWS, "(101,own) (102,twenty)"),
        left: "row changed 1",
        ..PLAIN
    },
    Trip {
        name: "numbers of a key that is made anew",
        older: "CREATE TABLE t (a text); INSERT INTO t VALUES ('one'), ('two'), ('two')",
        up: "ALTER TABLE t ADD id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY",
        written: "UPDATE t SET a = 'three' WHERE id = 1",
        down: "ALTER TABLE t DROP id",
        rows: (ROWS, "(three,1) (two,2) (two,3)"),
        ..PLAIN
    },
    Trip {
        name: "numbers of a new key, and lists, of rows that the older key finds where somebody wrote",
        up: "ALTER TABLE t DROP CONSTRAINT t_pkey; ALTER TABLE t ADD s int GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY; \
             ALTER TABLE t ALTER a TYPE text[] USING string_to_array(a, ',')",
        written: "UPDATE t SET s = s + 10; UPDATE t SET a = '{x,y}' WHERE id = 2",
        down: "ALTER TABLE t ALTER a TYPE text USING a[1]; ALTER TABLE t DROP s; ALTER TABLE t ADD PRIMARY KEY (id)",
        meanwhile: "UPDATE t SET a = 'own' WHERE id = 1; INSERT INTO t VALUES (3, 'new')",
        rows: (ROWS, "(1,{own},11) (2,\"{x,y}\",12) (3,{new},3)"),
        left: "value narrowed 1",
        ..PLAIN
    },
    Trip {
        name: "a longer key and values of the same rows, and nobody wrote",
        up: "ALTER TABLE t DROP CONSTRAINT t_pkey; ALTER TABLE t ADD q int NOT NULL DEFAULT 1; \
             ALTER TABLE t ADD CONSTRAINT t_pk PRIMARY KEY (id, q); UPDATE t SET a = a || '!'",
        written: "UPDATE t SET q = 7 WHERE id = 2",
        down: "UPDATE t SET a = 'gone'; ALTER TABLE t DROP q; ALTER TABLE t ADD PRIMARY KEY (id)",
        rows: (ROWS, "(1,one!,1) (2,twenty!,7)"),
        ..PLAIN
    },
    Trip {
        name: "a value that is made of itself, beside a table that somebody wrote into and that is made anew",
        older: BOTH,
        up: "UPDATE t SET a = a || '!'; ALTER TABLE o RENAME TO p; CREATE TABLE o (LIKE p INCLUDING ALL); \
             INSERT INTO o SELECT * FROM p; DROP TABLE p",
        down: "UPDATE t SET a = 'gone'; ALTER TABLE o RENAME TO p; CREATE TABLE o (LIKE p INCLUDING ALL); \
               INSERT INTO o SELECT * FROM p; DROP TABLE p",
        meanwhile: "INSERT INTO o VALUES (1, 'own')",
        rows: (ROWS, "(1,one!) (2,twenty!)"),
        ..PLAIN
    },
    Trip {
        name: "a value of a row whose older key the up part gives to another one too",
        up: "ALTER TABLE t DROP CONSTRAINT t_pkey; ALTER TABLE t ADD x text; INSERT INTO t SELECT id, 'two' FROM t WHERE a = 'own'",
        written: "UPDATE t SET x = a",
        down: "ALTER TABLE t DROP x; ALTER TABLE t ADD PRIMARY KEY (id)",
        meanwhile: "UPDATE t SET a = 'own' WHERE id = 1",
        rows: (ROWS, "(1,own,) (1,two,) (2,twenty,twenty)"),
        left: "column dropped 1",
        ..PLAIN
    },
    Trip {
        name: "a row that an older key refuses, with a key of its own that goes",
        older: "CREATE TABLE t (id int PRIMARY KEY, a text); INSERT INTO t VALUES (1, 'one'), (2, 'twenty')",
        up: "ALTER TABLE t DROP CONSTRAINT t_pkey; ALTER TABLE t ADD s int GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY",
        written: "UPDATE t SET s = s + 10; INSERT INTO t VALUES (1, 'again', 1), (2, 'again', 2)",
        down: "ALTER TABLE t DROP s; ALTER TABLE t ADD PRIMARY KEY (id)",
        rows: (ROWS, "(1,again,1) (1,one,11) (2,again,2) (2,twenty,12)"),
        ..PLAIN
    },
    Trip {
        name: "values that do not fit, in rows whose key goes",
        older: "CREATE TABLE t (id int PRIMARY KEY, a int); INSERT INTO t VALUES (1, 7), (2, 8)",
        up: "ALTER TABLE t DROP CONSTRAINT t_pkey; ALTER TABLE t ADD s int GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, ALTER a TYPE text",
        written: "UPDATE t SET a = 'many', s = 20 WHERE id = 1",
        down: "ALTER TABLE t ALTER a TYPE int USING a::int; ALTER TABLE t DROP s; ALTER TABLE t ADD PRIMARY KEY (id)",
        rows: (ROWS, "(1,many,20) (2,8,2)"),
        ..PLAIN
    },
    Trip {
        name: "floating point numbers that read the same in a narrower type",
        older: "CREATE TABLE t (id int PRIMARY KEY, a real, n real); INSERT INTO t VALUES (1, 0.5, 0.5)",
        up: "ALTER TABLE t ALTER a TYPE float8, ALTER n TYPE numeric",
        written: "UPDATE t SET a = 0.1, n = 0.12345678",
        down: "ALTER TABLE t ALTER a TYPE real, ALTER n TYPE real",
        rows: (ROWS, "(1,0.1,0.12345678)"),
        ..PLAIN
    },
    Trip {
        name: "a temporary table of a down part that is no single transaction",
        older: "CREATE TABLE t (id int PRIMARY KEY, a text); INSERT INTO t VALUES (1, 'one'), (2, 'twenty')",
        up: "CREATE INDEX t_a ON t (a)",
        down: "DROP INDEX CONCURRENTLY t_a; CREATE TEMP TABLE o AS SELECT * FROM t; DELETE FROM t; \
               INSERT INTO t SELECT id, left(a, 3) FROM o",
        // Each piece is kept by itself: what a later one writes is not told from what people write.
        rows: (ROWS, "(1,one) (2,twe)"),
        left: "row deleted 1",
        ..PLAIN
    },
];

#[test]
fn what_is_written_between_down_and_up_stays_and_what_was_kept_comes_back() {
    let Some(server) = server(15) else { return };
    for trip in TRIPS {
        let db = server.fresh_database();
        let mut world = World::without_git();
        world.set("DATABASE_URL", &db.url);
        world.write("dbbuild.toml", "[postgres]\nversion = 15\n[env.development]\nurl_env = \"DATABASE_URL\"\n");
        world.write("db/migrations/1_first.sql", trip.older);
        world.write(
            "db/migrations/2_second.sql",
            format!("-- migrate:up\n{};\n-- migrate:down\n{};\n", trip.up, trip.down),
        );
        world.dbbuild(&["apply"]).ok();
        db.psql(trip.written);
        world.dbbuild(&["downgrade", "--to", "1", "--yes"]).ok();
        db.psql(trip.meanwhile);
        let said = world.dbbuild(&["apply"]);
        said.ok();
        assert_eq!(db.psql(trip.rows.0), trip.rows.1, "{}: {}", trip.name, said.stdout);
        let left = "SELECT coalesce(string_agg(kind || ' ' || reason || ' ' || rows, ', ' ORDER BY id), '') FROM dbbuild_attic.entry";
        let there = "SELECT to_regclass('dbbuild_attic.entry') IS NOT NULL";
        let left = if db.psql(there) == "t" { db.psql(left) } else { String::new() };
        assert_eq!(left, trip.left, "{}", trip.name);
        if !trip.left.is_empty() {
            said.says("in conflict");
        }
    }
}

#[test]
fn a_column_or_table_that_is_made_anew_with_other_rows_is_a_loss() {
    let Some(server) = server(15) else { return };
    let plan = |down: &str| {
        let db = server.fresh_database();
        let mut world = World::without_git();
        world.set("DATABASE_URL", &db.url);
        world.write("dbbuild.toml", "[postgres]\nversion = 15\n[env.development]\nurl_env = \"DATABASE_URL\"\n");
        world.write("db/migrations/1_first.sql", PLAIN.older);
        world.write("db/migrations/2_second.sql", format!("-- migrate:up\nSELECT 1;\n-- migrate:down\n{down};\n"));
        world.dbbuild(&["apply"]).ok();
        world.dbbuild(&["plan", "--to", "1", "--json"]).ok().stdout.clone()
    };
    for lossless in [CARRY, "SELECT 1"] {
        assert!(plan(lossless).contains("\"losses\":[]"), "{lossless}");
    }
    for lossy in
        [SWAP, "ALTER TABLE t DROP a; ALTER TABLE t ADD a text", "DROP TABLE t; CREATE TABLE t (id int, a text)"]
    {
        assert!(!plan(lossy).contains("\"losses\":[]"), "{lossy}");
    }
}

#[test]
fn what_a_row_refers_to_may_be_hidden_from_its_owner() {
    let Some(server) = Server::private(15, &[]) else { return };
    server.run("psql", &["-Xqc", "CREATE ROLE plain LOGIN", "-d", "postgres"]).ok();
    let db = server.fresh_database();
    db.psql(&format!("GRANT CREATE ON DATABASE {} TO plain; GRANT CREATE, USAGE ON SCHEMA public TO plain", db.name));
    let mut world = World::without_git();
    world.set("DATABASE_URL", db.url.replace("postgres@", "plain@"));
    world.write("dbbuild.toml", "[postgres]\nversion = 15\n[env.development]\nurl_env = \"DATABASE_URL\"\n");
    world.write(
        "db/migrations/1_first.sql",
        "CREATE TABLE p (id int PRIMARY KEY); INSERT INTO p VALUES (1), (2);\n\
         CREATE TABLE t (id int PRIMARY KEY, p int REFERENCES p); INSERT INTO t VALUES (1, 1), (2, 2);\n\
         CREATE POLICY few ON p USING (id = 1); ALTER TABLE p ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;\n",
    );
    world.write("db/migrations/2_second.sql", "-- migrate:up\nSELECT 1;\n-- migrate:down\nDELETE FROM t;\n");
    world.dbbuild(&["apply"]).ok();
    world.dbbuild(&["downgrade", "--to", "1", "--yes"]).ok();
    assert_eq!(db.psql("SELECT count(*) FROM t"), "0");
    world.dbbuild(&["apply"]).ok().says_not("in conflict");
    let stands = "SELECT string_agg(t::text, ' ' ORDER BY id), (SELECT relforcerowsecurity FROM pg_class WHERE oid = 'p'::regclass), \
                  (SELECT count(*) FROM dbbuild_attic.entry) FROM t";
    assert_eq!(db.psql(stands), "(1,1) (2,2)|t|0");
}
