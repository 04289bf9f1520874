//! The cells of the matrix: kinds of tables, and kinds of loss.
//!
//! `{t}` is the table, `{c}` another one beside it, `{i}` what tells this cell from the others, `{id}`, `{n}` and `{x}` are
//! columns: a number from 1, another one, a text.

/// A kind of table.
pub struct Kind {
    pub name: &'static str,
    /// Made once, before all tables.
    pub before: &'static str,
    pub create: &'static str,
    pub drop: &'static str,
    /// Ten rows.
    pub fill: &'static str,
    /// Names of `{id}`, `{n}` and `{x}`.
    pub columns: [&'static str; 3],
}

/// A kind of loss.
pub struct Loss {
    pub name: &'static str,
    /// A word for names.
    pub word: &'static str,
    /// The table is made by the up part.
    pub makes_table: bool,
    /// What the older schema has beside the table.
    pub older: &'static str,
    pub up: &'static str,
    pub down: &'static str,
    /// What users write once it is applied.
    pub written: &'static str,
}

const FILL: &str = "INSERT INTO {t} ({id}, {n}, {x}) SELECT i, i, 'x' || i FROM generate_series(1, 10) i;";
const PLAIN: Kind = Kind {
    name: "plain, identity key",
    before: "",
    create: "CREATE TABLE {t} (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, n int, x text);",
    drop: "DROP TABLE {t};",
    fill: "INSERT INTO {t} (n, x) SELECT i, 'x' || i FROM generate_series(1, 10) i;",
    columns: ["id", "n", "x"],
};
const OTHER: Kind = Kind { fill: FILL, ..PLAIN };

pub const KINDS: &[Kind] = &[
    PLAIN,
    Kind {
        name: "composite key",
        create: "CREATE TABLE {t} (id int, part text DEFAULT 'p', n int, x text, PRIMARY KEY (part, id));",
        ..OTHER
    },
    Kind {
        name: "no key",
        create: "CREATE TABLE {t} (id int, n int, x text);",
        // Two equal rows.
        fill: "INSERT INTO {t} SELECT greatest(i, 2), greatest(i, 2), 'x' || greatest(i, 2) FROM generate_series(1, 10) i;",
        ..OTHER
    },
    Kind {
        name: "partitioned by list",
        create: "CREATE TABLE {t} (id int, region text DEFAULT 'a', n int, x text, PRIMARY KEY (id, region)) PARTITION BY LIST (region); \
                 CREATE TABLE {c} PARTITION OF {t} FOR VALUES IN ('a'); CREATE TABLE {c}_d PARTITION OF {t} DEFAULT;",
        fill: "INSERT INTO {t} (id, region, n, x) SELECT i, CASE WHEN i % 3 = 0 THEN 'b' ELSE 'a' END, i, 'x' || i FROM generate_series(1, 10) i;",
        ..OTHER
    },
    Kind {
        name: "partitioned by range",
        create: "CREATE TABLE {t} (id int PRIMARY KEY, n int, x text) PARTITION BY RANGE (id); \
                 CREATE TABLE {c} PARTITION OF {t} FOR VALUES FROM (0) TO (5); CREATE TABLE {c}_d PARTITION OF {t} FOR VALUES FROM (5) TO (99);",
        ..OTHER
    },
    Kind {
        name: "partitioned by hash",
        create: "CREATE TABLE {t} (id int PRIMARY KEY, n int, x text) PARTITION BY HASH (id); \
                 CREATE TABLE {c} PARTITION OF {t} FOR VALUES WITH (MODULUS 2, REMAINDER 0); \
                 CREATE TABLE {c}_d PARTITION OF {t} FOR VALUES WITH (MODULUS 2, REMAINDER 1);",
        ..OTHER
    },
    Kind {
        name: "inheritance",
        create: "CREATE TABLE {t} (id int PRIMARY KEY, n int, x text); CREATE TABLE {c} (own text, PRIMARY KEY (id)) INHERITS ({t});",
        drop: "DROP TABLE {t} CASCADE;",
        fill: "INSERT INTO {t} SELECT i, i, 'x' || i FROM generate_series(1, 10) i; \
               INSERT INTO {c} SELECT i, i, 'c' || i, 'own' FROM generate_series(3, 12) i;",
        ..OTHER
    },
    Kind {
        name: "generated column",
        create: "CREATE TABLE {t} (id int PRIMARY KEY, n int, x text, twice int GENERATED ALWAYS AS (n * 2) STORED);",
        ..OTHER
    },
    Kind {
        name: "row-level security, forced",
        create: "CREATE TABLE {t} (id int PRIMARY KEY, n int, x text); ALTER TABLE {t} ENABLE ROW LEVEL SECURITY; \
                 ALTER TABLE {t} FORCE ROW LEVEL SECURITY; CREATE POLICY half ON {t} USING (id % 2 = 0);",
        ..OTHER
    },
    Kind {
        name: "triggers",
        before: "CREATE TABLE fired (n int); \
                 CREATE FUNCTION fire() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO fired VALUES (1); \
                 IF TG_OP = 'DELETE' THEN RETURN OLD; END IF; IF TG_LEVEL = 'ROW' THEN NEW.x := NEW.x || '!'; END IF; RETURN NEW; END $$;",
        create: "CREATE TABLE {t} (id int PRIMARY KEY, n int, x text); \
                 CREATE TRIGGER one BEFORE INSERT OR UPDATE OR DELETE ON {t} FOR EACH ROW EXECUTE FUNCTION fire(); \
                 CREATE TRIGGER two AFTER TRUNCATE OR INSERT OR UPDATE OR DELETE ON {t} EXECUTE FUNCTION fire(); \
                 CREATE TRIGGER three BEFORE INSERT OR UPDATE OR DELETE ON {t} FOR EACH ROW EXECUTE FUNCTION fire(); \
                 ALTER TABLE {t} ENABLE ALWAYS TRIGGER two; ALTER TABLE {t} ENABLE REPLICA TRIGGER three;",
        ..OTHER
    },
    Kind {
        name: "foreign keys in a cycle",
        create: "CREATE TABLE {t} (id int PRIMARY KEY, n int, x text, other int); \
                 CREATE TABLE {c} (id int PRIMARY KEY, back int NOT NULL REFERENCES {t} ON DELETE CASCADE); \
                 ALTER TABLE {t} ADD FOREIGN KEY (other) REFERENCES {c} ON DELETE CASCADE;",
        drop: "DROP TABLE {t}, {c};",
        fill: "INSERT INTO {t} (id, n, x) SELECT i, i, 'x' || i FROM generate_series(1, 10) i; \
               INSERT INTO {c} SELECT i, i FROM generate_series(1, 10) i; UPDATE {t} SET other = 11 - id;",
        ..OTHER
    },
    Kind {
        name: "large values",
        create: "CREATE TABLE {t} (id int PRIMARY KEY, n int, x text, big bytea);",
        fill: "INSERT INTO {t} SELECT i, i, 'x' || i, (SELECT string_agg(sha512((i || ' ' || k)::bytea), '') FROM generate_series(1, 800) k) \
               FROM generate_series(1, 10) i;",
        ..OTHER
    },
    Kind {
        name: "enum, domain, composite, range, arrays",
        before: "CREATE TYPE mood AS ENUM ('sad', 'glad'); CREATE DOMAIN positive AS int CHECK (VALUE > 0); \
                 CREATE TYPE pair AS (a int, b text); CREATE TYPE span AS RANGE (subtype = float8); CREATE COLLATION own FROM \"C\";",
        create: "CREATE TABLE {t} (id positive, e mood, n int, x text COLLATE own, p pair, r span, a mood[], j jsonb, v varchar(7), d numeric(9, 3), \
                 at timestamptz, PRIMARY KEY (id, e));",
        fill: "INSERT INTO {t} SELECT i, CASE WHEN i % 2 = 0 THEN 'sad' ELSE 'glad' END::mood, i, 'x' || i, (i, 'a \"quoted\", ' || i)::pair, \
               span(i, i + 0.1), ARRAY['sad', 'glad', NULL]::mood[], jsonb_build_object('i', i), 'v' || i, i + 0.125, \
               timestamptz '2024-03-31 01:30+01' + i * interval '20 min' FROM generate_series(1, 10) i;",
        ..OTHER
    },
    Kind {
        name: "quoted names",
        create: "CREATE TABLE {t} (\"Id\" int PRIMARY KEY, \"n n\" int, \"x\"\"'\\\" text);",
        columns: ["\"Id\"", "\"n n\"", "\"x\"\"'\\\""],
        ..OTHER
    },
    Kind { name: "unlogged", create: "CREATE UNLOGGED TABLE {t} (id int PRIMARY KEY, n int, x text);", ..OTHER },
];

const NOTHING: Loss =
    Loss { name: "", word: "", makes_table: false, older: "", up: "SELECT 1;", down: "", written: "" };

pub const LOSSES: &[Loss] = &[
    Loss { name: "table dropped", word: "table", makes_table: true, down: "{drop}", ..NOTHING },
    Loss {
        name: "schema dropped, cascade",
        word: "schema",
        makes_table: true,
        up: "CREATE SCHEMA \"{i} s\"; SET search_path = \"{i} s\", public;",
        down: "DROP SCHEMA \"{i} s\" CASCADE;",
        ..NOTHING
    },
    Loss {
        name: "column dropped",
        word: "column",
        up: "ALTER TABLE {t} ADD COLUMN c text;",
        down: "ALTER TABLE {t} DROP COLUMN c;",
        written: "UPDATE {t} SET c = 'kept ' || {id} WHERE {id} <> 3;",
        ..NOTHING
    },
    Loss {
        name: "several columns dropped",
        word: "columns",
        up: "ALTER TABLE {t} ADD COLUMN c1 int, ADD COLUMN c2 text NOT NULL DEFAULT 'd', ADD COLUMN c3 numeric DEFAULT 0;",
        down: "ALTER TABLE {t} DROP COLUMN c1, DROP COLUMN c2; ALTER TABLE {t} DROP COLUMN c3;",
        written: "UPDATE {t} SET c1 = {n} * 7, c2 = 'two ' || {id} WHERE {id} > 4; UPDATE {t} SET c3 = {n} / 3.0;",
        ..NOTHING
    },
    Loss {
        name: "type dropped, cascade",
        word: "type",
        up: "CREATE TYPE \"{i} y\" AS ENUM ('a', 'b'); ALTER TABLE {t} ADD COLUMN c \"{i} y\";",
        down: "DROP TYPE \"{i} y\" CASCADE;",
        written: "UPDATE {t} SET c = 'b' WHERE {id} > 2;",
        ..NOTHING
    },
    Loss {
        name: "type narrowed, all fit",
        word: "fits",
        older: "ALTER TABLE {t} ADD COLUMN w int;",
        up: "ALTER TABLE {t} ALTER w TYPE bigint;",
        down: "ALTER TABLE {t} ALTER w TYPE int;",
        written: "UPDATE {t} SET w = {n};",
        ..NOTHING
    },
    Loss {
        name: "type narrowed by USING",
        word: "cut",
        older: "ALTER TABLE {t} ADD COLUMN w varchar(4);",
        up: "ALTER TABLE {t} ALTER w TYPE text;",
        down: "ALTER TABLE {t} ALTER w TYPE varchar(4) USING left(w, 4);",
        written: "UPDATE {t} SET w = repeat('w', {n});",
        ..NOTHING
    },
    Loss {
        name: "type narrowed, some do not fit",
        word: "misfit",
        older: "ALTER TABLE {t} ADD COLUMN w varchar(4);",
        up: "ALTER TABLE {t} ALTER w TYPE text;",
        down: "ALTER TABLE {t} ALTER w TYPE varchar(4);",
        written: "UPDATE {t} SET w = repeat('w', {n});",
        ..NOTHING
    },
    Loss {
        name: "type narrowed, some do not fit, not null",
        word: "strict",
        older: "ALTER TABLE {t} ADD COLUMN w smallint NOT NULL DEFAULT 1;",
        up: "ALTER TABLE {t} ALTER w TYPE bigint;",
        down: "ALTER TABLE {t} ALTER w TYPE smallint;",
        written: "UPDATE {t} SET w = {n} * 10000;",
        ..NOTHING
    },
    Loss {
        name: "enum with fewer values",
        word: "enum",
        older: "CREATE TYPE \"{i} e\" AS ENUM ('a'); ALTER TABLE {t} ADD COLUMN w \"{i} e\";",
        up: "ALTER TYPE \"{i} e\" RENAME TO \"{i} o\"; CREATE TYPE \"{i} e\" AS ENUM ('a', 'b'); \
             ALTER TABLE {t} ALTER w TYPE \"{i} e\" USING w::text::\"{i} e\"; DROP TYPE \"{i} o\";",
        down: "ALTER TYPE \"{i} e\" RENAME TO \"{i} o\"; CREATE TYPE \"{i} e\" AS ENUM ('a'); \
             ALTER TABLE {t} ALTER w TYPE \"{i} e\" USING w::text::\"{i} e\"; DROP TYPE \"{i} o\";",
        written: "UPDATE {t} SET w = 'a'; UPDATE {t} SET w = 'b' WHERE {id} % 2 = 0;",
        ..NOTHING
    },
    Loss {
        name: "values overwritten",
        word: "update",
        down: "UPDATE {t} SET {x} = upper({x}) WHERE {id} > 5;",
        ..NOTHING
    },
    Loss { name: "rows deleted", word: "delete", down: "DELETE FROM {t} WHERE {id} % 4 = 0;", ..NOTHING },
    Loss {
        name: "rows deleted by cascade",
        word: "cascade",
        older: "CREATE TABLE \"{i} p\" (id int PRIMARY KEY); INSERT INTO \"{i} p\" SELECT generate_series(1, 12); \
                ALTER TABLE {t} ADD COLUMN parent int REFERENCES \"{i} p\" ON DELETE CASCADE;",
        down: "DELETE FROM \"{i} p\" WHERE id < 4;",
        written: "UPDATE {t} SET parent = {n};",
        ..NOTHING
    },
    Loss { name: "table emptied by TRUNCATE", word: "truncate", down: "TRUNCATE {t} CASCADE;", ..NOTHING },
    Loss {
        name: "older check refuses rows",
        word: "check",
        older: "ALTER TABLE {t} ADD CONSTRAINT small CHECK ({n} < 3);",
        up: "ALTER TABLE {t} DROP CONSTRAINT small;",
        down: "ALTER TABLE {t} ADD CONSTRAINT small CHECK ({n} < 3);",
        ..NOTHING
    },
    Loss {
        name: "older NOT NULL refuses rows",
        word: "notnull",
        older: "ALTER TABLE {t} ALTER {x} SET NOT NULL;",
        up: "ALTER TABLE {t} ALTER {x} DROP NOT NULL;",
        down: "ALTER TABLE {t} ALTER {x} SET NOT NULL;",
        written: "UPDATE {t} SET {x} = NULL WHERE {id} > 7;",
        ..NOTHING
    },
    Loss {
        name: "older unique key refuses rows",
        word: "unique",
        older: "ALTER TABLE {t} ADD COLUMN u int; ALTER TABLE {t} ADD CONSTRAINT \"{i} u\" UNIQUE (u);",
        up: "ALTER TABLE {t} DROP CONSTRAINT \"{i} u\";",
        down: "ALTER TABLE {t} ADD CONSTRAINT \"{i} u\" UNIQUE (u);",
        written: "UPDATE {t} SET u = {n} / 2;",
        ..NOTHING
    },
    Loss {
        name: "older foreign key refuses rows",
        word: "foreign",
        older: "CREATE TABLE \"{i} p\" (id int PRIMARY KEY); INSERT INTO \"{i} p\" SELECT generate_series(1, 5); \
                ALTER TABLE {t} ADD CONSTRAINT \"{i} f\" FOREIGN KEY ({n}) REFERENCES \"{i} p\";",
        up: "ALTER TABLE {t} DROP CONSTRAINT \"{i} f\";",
        down: "ALTER TABLE {t} ADD CONSTRAINT \"{i} f\" FOREIGN KEY ({n}) REFERENCES \"{i} p\";",
        ..NOTHING
    },
    Loss {
        name: "sequence set back",
        word: "sequence",
        older: "CREATE SEQUENCE \"{i} q\"; ALTER TABLE {t} ADD COLUMN q bigint DEFAULT nextval('\"{i} q\"');",
        down: "SELECT setval('\"{i} q\"', 1); ALTER TABLE {t} DROP COLUMN q; ALTER TABLE {t} ADD COLUMN q bigint DEFAULT nextval('\"{i} q\"');",
        up: "ALTER TABLE {t} DROP COLUMN q; ALTER TABLE {t} ADD COLUMN q bigint DEFAULT nextval('\"{i} q\"');",
        written: "UPDATE {t} SET q = nextval('\"{i} q\"') * 100; SELECT nextval('\"{i} q\"');",
        ..NOTHING
    },
];

/// What stands in the table for a cell that is not tried.
pub fn senseless(kind: &Kind, loss: &Loss) -> Option<&'static str> {
    match (kind.name, loss.word) {
        ("partitioned by list" | "partitioned by range" | "partitioned by hash", "unique") => Some("–"),
        _ => None,
    }
}
