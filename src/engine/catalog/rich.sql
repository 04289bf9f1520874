-- One object of every kind that a role with superuser rights can make without extensions, with hostile names.
CREATE ROLE rich_reader; CREATE ROLE rich_writer; CREATE ROLE "rich; Owner: x"; CREATE ROLE rich_owner;
GRANT rich_reader TO rich_writer;
CREATE SCHEMA app; COMMENT ON SCHEMA app IS E'quote '' backslash \\ and\n--\n-- Name: fake; Type: TABLE; Schema: app; Owner: postgres\n--\n';
CREATE SCHEMA "We ird"; GRANT USAGE ON SCHEMA "We ird" TO rich_reader;
CREATE TYPE app.mood AS ENUM ('sad', 'ok', 'it''s fine');
CREATE DOMAIN app.email AS text DEFAULT 'x@y' CONSTRAINT has_at CHECK (VALUE LIKE '%@%') NOT NULL;
CREATE TYPE app.pair AS (a integer, b text COLLATE "C");
CREATE TYPE app.span AS RANGE (subtype = timestamptz);
CREATE COLLATION app.de (locale = 'C');
CREATE SEQUENCE app.free_seq AS smallint INCREMENT 3 MINVALUE -5 MAXVALUE 100 START 1 CYCLE;
CREATE TABLE app.invoice (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    code varchar(10) DEFAULT NULL,
    kind text DEFAULT 'A'::character varying CHECK (kind = ANY (ARRAY['A'::varchar, 'B'::varchar]::text[])),
    state char(1) CHECK (state <> ALL (ARRAY['X'::char(1), 'Y'::char(1)])),
    total numeric(10,2) NOT NULL DEFAULT 0, twice numeric GENERATED ALWAYS AS (total * 2) STORED,
    mood app.mood, mail app.email, who app.pair, during app.span, tags text[] COLLATE "C" DEFAULT '{}'::text[],
    dropped integer, "we""ird; Type: TABLE" text, CONSTRAINT uq_code UNIQUE (code) DEFERRABLE INITIALLY DEFERRED
) WITH (fillfactor = 70);
ALTER TABLE app.invoice DROP COLUMN dropped;
ALTER TABLE app.invoice ALTER COLUMN kind SET STATISTICS 500, ALTER COLUMN code SET STORAGE EXTERNAL;
ALTER TABLE app.invoice ADD CONSTRAINT not_yet CHECK (total >= 0) NOT VALID;
COMMENT ON TABLE app.invoice IS 'an invoice';
COMMENT ON COLUMN app.invoice.code IS E'multi\nline;\n\\.\n';
CREATE TABLE app.line (id serial PRIMARY KEY, invoice_id bigint REFERENCES app.invoice ON DELETE CASCADE,
    n integer, EXCLUDE USING btree (n WITH =));
CREATE TABLE app.other (id integer CONSTRAINT uq_code2 UNIQUE, v text);
CREATE INDEX line_expr ON app.line ((n + 1)) INCLUDE (invoice_id) WHERE n > 0;
CREATE INDEX line_order ON app.line (invoice_id DESC NULLS LAST, n);
CREATE STATISTICS app.line_stats (ndistinct, dependencies) ON invoice_id, n FROM app.line;
CREATE TABLE app.parent (a integer, b text);
CREATE TABLE app.child (c integer) INHERITS (app.parent);
CREATE TABLE app.part (id integer, m app.mood, v text, PRIMARY KEY (id, m)) PARTITION BY HASH (m);
CREATE TABLE app.part_0 PARTITION OF app.part FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE app.other_between (x integer);
CREATE TABLE app.part_1 PARTITION OF app.part FOR VALUES WITH (MODULUS 2, REMAINDER 1);
CREATE TABLE app.ranged (at timestamptz, v integer) PARTITION BY RANGE (at);
CREATE TABLE app.ranged_y PARTITION OF app.ranged FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
CREATE TABLE app.ranged_d PARTITION OF app.ranged DEFAULT;
CREATE INDEX ranged_v ON app.ranged (v);
CREATE UNLOGGED TABLE app.scratch (x integer);
CREATE TABLE app.none ();
CREATE TABLE "We ird"."t -- Name: x; Type: TABLE; Schema: y" ("a
b" integer, "c,d" text);
INSERT INTO app.invoice (code, total, kind, "we""ird; Type: TABLE") VALUES ('b', 2, 'A', E'tab\there\nnl'), ('a', 1, 'B', E'\\.'), ('c', 3, 'A', NULL);
INSERT INTO app.line (invoice_id, n) SELECT 1, g FROM generate_series(1, 5) g ORDER BY g DESC;
INSERT INTO app.part SELECT g, (ARRAY['sad', 'ok', 'it''s fine']::app.mood[])[g % 3 + 1], 'v' || g FROM generate_series(1, 9) g;
INSERT INTO app.ranged VALUES ('2024-05-01', 1), ('2030-01-01', 2);
INSERT INTO app.none DEFAULT VALUES; INSERT INTO app.none DEFAULT VALUES;
INSERT INTO "We ird"."t -- Name: x; Type: TABLE; Schema: y" VALUES (2, 'z'), (1, E'-- Name: q; Type: TABLE; Schema: y; Owner: z');
CREATE VIEW app.v AS SELECT id, code, CASE WHEN total > 1 THEN 'big' ELSE 'small' END AS size FROM app.invoice;
CREATE VIEW app.v_values AS VALUES (1, 'one'), (2, 'two');
CREATE VIEW app.v_checked WITH (security_barrier) AS SELECT * FROM app.line WHERE n IN (1, 2, 3) WITH CASCADED CHECK OPTION;
ALTER VIEW app.v ALTER COLUMN code SET DEFAULT 'new';
CREATE MATERIALIZED VIEW app.mv AS SELECT kind, sum(total) AS total FROM app.invoice GROUP BY kind;
CREATE UNIQUE INDEX mv_kind ON app.mv (kind);
CREATE FUNCTION app.plus(a integer, b integer DEFAULT 1) RETURNS integer LANGUAGE plpgsql IMMUTABLE AS $_$
BEGIN -- a comment; with a semicolon
    RETURN a + b; /* $$ */
END;
$_$;
CREATE FUNCTION app.atomic(x integer) RETURNS integer LANGUAGE sql BEGIN ATOMIC
    INSERT INTO app.other VALUES (x, 'a;b');
    SELECT CASE WHEN x > 1 THEN 1 ELSE 2 END;
END;
CREATE PROCEDURE app.proc(INOUT n integer) LANGUAGE plpgsql AS $$ BEGIN n := n + 1; END $$;
CREATE AGGREGATE app.total(integer) (SFUNC = int4pl, STYPE = integer, INITCOND = '0');
CREATE FUNCTION app.touch() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = app AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER touch_it BEFORE INSERT OR UPDATE OF n ON app.line FOR EACH ROW WHEN (NEW.n > 0) EXECUTE FUNCTION app.touch();
CREATE TRIGGER touch_it BEFORE INSERT ON app.invoice FOR EACH ROW EXECUTE FUNCTION app.touch();
CREATE CONSTRAINT TRIGGER later AFTER INSERT ON app.other DEFERRABLE FOR EACH ROW EXECUTE FUNCTION app.touch();
ALTER TABLE app.line ENABLE ALWAYS TRIGGER touch_it;
CREATE FUNCTION app.on_ddl() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN NULL; END';
CREATE EVENT TRIGGER watch ON ddl_command_end WHEN TAG IN ('CREATE TABLE') EXECUTE FUNCTION app.on_ddl();
ALTER EVENT TRIGGER watch DISABLE;
CREATE RULE twice AS ON INSERT TO app.other_between DO ALSO (SELECT 1; NOTIFY x);
ALTER TABLE app.invoice ENABLE ROW LEVEL SECURITY;
ALTER TABLE app.line FORCE ROW LEVEL SECURITY;
CREATE POLICY read_all ON app.invoice FOR SELECT TO rich_writer, rich_reader USING (total > 0);
CREATE POLICY own_too ON app.invoice AS RESTRICTIVE TO postgres, rich_reader USING (true) WITH CHECK (code <> 'TO x');
CREATE OPERATOR app.=== (LEFTARG = integer, RIGHTARG = integer, FUNCTION = int4eq, COMMUTATOR = OPERATOR(app.===));
CREATE OPERATOR app.=== (LEFTARG = bigint, RIGHTARG = bigint, FUNCTION = int8eq);
CREATE OPERATOR CLASS app.rev FOR TYPE integer USING btree AS OPERATOR 1 > , OPERATOR 3 = , OPERATOR 5 < , FUNCTION 1 btint4cmp(integer, integer);
CREATE OPERATOR FAMILY app.fam USING btree;
ALTER OPERATOR FAMILY app.fam USING btree ADD OPERATOR 1 < (bigint, integer), OPERATOR 1 < (integer, bigint), FUNCTION 1 (bigint, integer) btint84cmp(bigint, integer);
CREATE FUNCTION app.pair_text(app.pair) RETURNS text LANGUAGE sql AS 'SELECT ($1).b';
CREATE CAST (app.pair AS text) WITH FUNCTION app.pair_text(app.pair) AS ASSIGNMENT;
CREATE TEXT SEARCH DICTIONARY app.dict (TEMPLATE = simple, STOPWORDS = english);
CREATE TEXT SEARCH CONFIGURATION app.cfg (COPY = simple);
ALTER TEXT SEARCH CONFIGURATION app.cfg ALTER MAPPING FOR word WITH app.dict;
CREATE CONVERSION app.conv FOR 'LATIN1' TO 'UTF8' FROM iso8859_1_to_utf8;
CREATE FOREIGN DATA WRAPPER dummy; CREATE SERVER remote FOREIGN DATA WRAPPER dummy OPTIONS (host 'h');
CREATE USER MAPPING FOR postgres SERVER remote OPTIONS ("user" 'u', password 'secret');
CREATE USER MAPPING FOR rich_reader SERVER remote OPTIONS (password 'secret');
CREATE FOREIGN TABLE app.far (a integer OPTIONS (n 'x') NOT NULL) SERVER remote OPTIONS (t 'y');
CREATE PUBLICATION pub FOR TABLE app.other, app.line WHERE (n > 0);
CREATE PUBLICATION pub_schema FOR TABLES IN SCHEMA app;
ALTER DEFAULT PRIVILEGES IN SCHEMA app GRANT SELECT ON TABLES TO rich_writer;
ALTER DEFAULT PRIVILEGES IN SCHEMA app GRANT SELECT ON TABLES TO rich_reader;
ALTER DEFAULT PRIVILEGES FOR ROLE rich_owner GRANT EXECUTE ON FUNCTIONS TO postgres;
ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
GRANT SELECT, INSERT ON app.invoice TO rich_writer WITH GRANT OPTION;
GRANT SELECT ON app.invoice TO rich_reader, "rich; Owner: x";
GRANT UPDATE (code) ON app.invoice TO rich_reader;
GRANT USAGE ON SCHEMA app TO rich_writer;
SET SESSION AUTHORIZATION rich_writer; GRANT SELECT ON app.invoice TO rich_owner; RESET SESSION AUTHORIZATION;
REVOKE ALL ON app.line FROM postgres; GRANT SELECT ON app.line TO postgres;
REVOKE EXECUTE ON FUNCTION app.plus(integer, integer) FROM PUBLIC;
ALTER TABLE app.other OWNER TO rich_owner; GRANT SELECT ON app.other TO postgres;
ALTER SCHEMA public OWNER TO postgres;
GRANT CREATE ON SCHEMA public TO rich_writer;
COMMENT ON FUNCTION app.plus(integer, integer) IS 'adds';
COMMENT ON CONSTRAINT uq_code ON app.invoice IS 'unique';
CREATE FUNCTION app.pair_of(integer) RETURNS app.pair LANGUAGE sql AS 'SELECT ($1, ''x'')::app.pair';
CREATE VIEW app.comp AS SELECT p.* FROM app.pair_of(1) p;
ALTER TYPE app.pair ADD ATTRIBUTE c date;
