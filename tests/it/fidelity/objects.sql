-- A database with every kind of object that pg_dump knows, and the odd forms of each. Loaded by psql as superuser.
\set ON_ERROR_STOP on
SET client_min_messages = warning;

CREATE ROLE regress_reader;
CREATE ROLE regress_writer IN ROLE regress_reader;
CREATE ROLE "regress; Owner: ""odd"" rôle";
CREATE ROLE regress_owner;

SELECT current_database() AS db \gset
ALTER DATABASE :"db" SET bytea_output TO 'escape';
ALTER DATABASE :"db" SET extra_float_digits TO '0';
ALTER DATABASE :"db" SET lc_messages TO 'C';
ALTER DATABASE :"db" SET lc_monetary TO 'C';
ALTER DATABASE :"db" SET timezone_abbreviations TO 'Default';
ALTER DATABASE :"db" SET "my.setting" TO 'it''s 100% \ odd';
ALTER DATABASE :"db" SET search_path TO "$user", odd, public;
ALTER ROLE regress_reader IN DATABASE :"db" SET statement_timeout TO '1min';
ALTER ROLE CURRENT_USER IN DATABASE :"db" SET work_mem TO '8MB';
COMMENT ON DATABASE :"db" IS 'every kind of object';
REVOKE TEMPORARY ON DATABASE :"db" FROM PUBLIC;
GRANT CREATE ON DATABASE :"db" TO regress_writer;
ALTER DATABASE :"db" CONNECTION LIMIT 77;
SET search_path = public;
SET extra_float_digits = 1;

-- Schemas, their privileges, extensions.
CREATE SCHEMA odd;
CREATE SCHEMA "Sch; Type: TABLE; ""x"" ü" AUTHORIZATION "regress; Owner: ""odd"" rôle";
CREATE SCHEMA empty_one AUTHORIZATION regress_owner;
COMMENT ON SCHEMA odd IS 'odd names
-- Name: nothing; Type: TABLE; Schema: odd; Owner: nobody';
GRANT USAGE ON SCHEMA odd TO regress_reader, PUBLIC;
GRANT ALL ON SCHEMA public TO PUBLIC;
ALTER SCHEMA public OWNER TO regress_owner;
COMMENT ON SCHEMA public IS 'another comment';
CREATE SCHEMA ext;
SELECT count(*) = 2 AS has_contrib FROM pg_available_extensions WHERE name IN ('btree_gist', 'hstore') \gset
SELECT count(*) > 0 AS has_xml FROM pg_config() WHERE setting LIKE '%--with-libxml%' \gset
SELECT current_setting('server_version_num')::int >= 170000 AS has_17, current_setting('server_version_num')::int >= 180000 AS has_18 \gset
\if :has_contrib
CREATE EXTENSION btree_gist SCHEMA ext;
CREATE EXTENSION hstore SCHEMA ext;
COMMENT ON EXTENSION hstore IS 'ours';
\endif

-- Types: enum, composite, domain, range, base, shell.
CREATE TYPE odd.mood AS ENUM ('sad', 'it''s ok', 'happy; -- really', '');
ALTER TYPE odd.mood ADD VALUE 'before' BEFORE 'sad';
CREATE TYPE odd.pair AS (a integer, "B c" text COLLATE "C", d numeric(10,2)[]);
COMMENT ON COLUMN odd.pair."B c" IS 'a column of a type';
ALTER TYPE odd.pair DROP ATTRIBUTE a;
CREATE TYPE odd.nothing AS ();
CREATE TYPE odd.gone AS (x integer);
ALTER TYPE odd.gone DROP ATTRIBUTE x;
CREATE DOMAIN odd.positive AS integer DEFAULT 1 CONSTRAINT "must be > 0" CHECK (VALUE > 0) NOT NULL;
CREATE DOMAIN odd.vc4 AS varchar(4) COLLATE "C" CHECK (VALUE <> ALL (ARRAY['x'::varchar, 'y'::varchar]));
CREATE DOMAIN odd.over AS odd.positive[] CHECK (VALUE[1] > 1);
ALTER DOMAIN odd.vc4 ADD CONSTRAINT later CHECK (VALUE <> 'q') NOT VALID;
COMMENT ON CONSTRAINT "must be > 0" ON DOMAIN odd.positive IS 'of a domain';
CREATE FUNCTION odd.span_diff(float8, float8) RETURNS float8 LANGUAGE internal IMMUTABLE STRICT AS 'float8mi';
CREATE TYPE odd.span AS RANGE (SUBTYPE = float8, SUBTYPE_DIFF = odd.span_diff, MULTIRANGE_TYPE_NAME = odd.spans);
CREATE TYPE odd.textspan AS RANGE (SUBTYPE = text, COLLATION = "C");
GRANT USAGE ON TYPE odd.mood TO regress_reader;
REVOKE USAGE ON TYPE odd.span FROM PUBLIC;
COMMENT ON TYPE odd.span IS 'a range';
CREATE TYPE odd.shell;
CREATE TYPE odd.widget;
CREATE FUNCTION odd.widget_in(cstring) RETURNS odd.widget LANGUAGE internal IMMUTABLE STRICT AS 'int4in';
CREATE FUNCTION odd.widget_out(odd.widget) RETURNS cstring LANGUAGE internal IMMUTABLE STRICT AS 'int4out';
CREATE TYPE odd.widget (INPUT = odd.widget_in, OUTPUT = odd.widget_out, LIKE = integer, CATEGORY = 'U', DEFAULT = '42');
CREATE TYPE odd.wordy;
CREATE FUNCTION odd.wordy_in(cstring, oid, integer) RETURNS odd.wordy LANGUAGE internal IMMUTABLE STRICT AS 'varcharin';
CREATE FUNCTION odd.wordy_out(odd.wordy) RETURNS cstring LANGUAGE internal IMMUTABLE STRICT AS 'varcharout';
CREATE TYPE odd.wordy (INPUT = odd.wordy_in, OUTPUT = odd.wordy_out, INTERNALLENGTH = VARIABLE, STORAGE = extended, DELIMITER = ';', TYPMOD_IN = varchartypmodin, TYPMOD_OUT = varchartypmodout, COLLATABLE = true);
ALTER TYPE odd.mood OWNER TO regress_owner;

-- Functions of every sort.
CREATE FUNCTION odd.of_library(oid) RETURNS void LANGUAGE c STRICT AS '$libdir/plpgsql', 'plpgsql_validator';
CREATE FUNCTION odd.defaults(a integer, b text DEFAULT 'x, y'')', INOUT e numeric DEFAULT 1.50, VARIADIC c integer[] DEFAULT ARRAY[1, 2], OUT d integer)
    RETURNS record LANGUAGE sql AS 'SELECT $3, $1';
CREATE FUNCTION odd.poly(anyelement, anyarray DEFAULT NULL) RETURNS anyarray LANGUAGE sql IMMUTABLE AS 'SELECT $2';
CREATE FUNCTION odd.compat(anycompatible, anycompatiblerange) RETURNS anycompatible LANGUAGE sql AS 'SELECT $1';
CREATE FUNCTION odd.rows_of() RETURNS TABLE ("A" integer, "order" odd.mood) LANGUAGE sql STABLE ROWS 7 COST 3 PARALLEL SAFE LEAKPROOF
    SECURITY DEFINER SET search_path = pg_catalog, odd, pg_temp SET work_mem TO '4MB' SET "my.var" TO 'a''b' AS $fn$ SELECT 1, 'sad'::odd.mood $fn$;
CREATE FUNCTION odd.atomic(a integer DEFAULT 1) RETURNS integer LANGUAGE sql IMMUTABLE
    BEGIN ATOMIC SELECT CASE WHEN a > 0 THEN 1 ELSE (SELECT 2) END; SELECT a + 1; END;
CREATE FUNCTION odd.returned(a text) RETURNS text LANGUAGE sql IMMUTABLE RETURN upper(a) || '; -- $$';
CREATE FUNCTION odd."quo""ted; $$ name"("in" integer) RETURNS text LANGUAGE plpgsql AS $body$
BEGIN
  -- Name: x; Type: FUNCTION; Schema: odd; Owner: y
  RETURN $$ nested \. $$ || '\';
END $body$;
CREATE PROCEDURE odd.proc(INOUT a integer DEFAULT 4, b odd.pair DEFAULT NULL) LANGUAGE plpgsql AS 'BEGIN a := a + 1; COMMIT; END';
CREATE PROCEDURE odd.atomic_proc(OUT a integer) BEGIN ATOMIC SELECT 1; END;
CREATE FUNCTION odd.windowed() RETURNS bigint LANGUAGE internal WINDOW IMMUTABLE AS 'window_row_number';
CREATE FUNCTION odd.trigger_fn() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE FUNCTION odd.event_fn() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN NULL; END';
CREATE FUNCTION odd.supported(integer) RETURNS integer LANGUAGE internal IMMUTABLE SUPPORT pg_catalog.array_unnest_support AS 'int4abs';
REVOKE ALL ON FUNCTION odd.atomic(integer) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION odd.atomic(integer) TO regress_reader WITH GRANT OPTION;
COMMENT ON FUNCTION odd.poly(anyelement, anyarray) IS 'polymorphic';
COMMENT ON PROCEDURE odd.proc(integer, odd.pair) IS 'procedure';
ALTER FUNCTION odd.windowed() DEPENDS ON EXTENSION plpgsql;
ALTER FUNCTION odd.windowed() OWNER TO regress_owner;

-- Aggregates.
CREATE AGGREGATE odd.total(integer) (SFUNC = int4pl, STYPE = integer, INITCOND = '0', PARALLEL = SAFE, COMBINEFUNC = int4pl);
CREATE AGGREGATE odd.total(*) (SFUNC = int8inc, STYPE = int8, INITCOND = '0');
CREATE AGGREGATE odd.moving(float8) (SFUNC = float8_accum, STYPE = float8[], FINALFUNC = float8_avg, INITCOND = '{0,0,0}', FINALFUNC_MODIFY = READ_ONLY,
    MSFUNC = float8pl, MINVFUNC = float8mi, MSTYPE = float8, MINITCOND = '0', MSSPACE = 32, SSPACE = 64);
CREATE AGGREGATE odd.ordered(float8 ORDER BY anyelement) (SFUNC = ordered_set_transition, STYPE = internal, FINALFUNC = percentile_disc_final, FINALFUNC_EXTRA);
CREATE AGGREGATE odd.hypo(VARIADIC "any" ORDER BY VARIADIC "any") (SFUNC = ordered_set_transition_multi, STYPE = internal, FINALFUNC = rank_final, FINALFUNC_EXTRA, HYPOTHETICAL);
CREATE AGGREGATE odd.most(integer) (SFUNC = int4larger, STYPE = integer, SORTOP = >);
COMMENT ON AGGREGATE odd.total(*) IS 'counts';
ALTER AGGREGATE odd.most(integer) OWNER TO regress_owner;

-- Operators with names that look like comments and the like; classes, families, casts, languages, access methods.
CREATE FUNCTION odd.factorial_like(bigint) RETURNS bigint LANGUAGE sql IMMUTABLE AS 'SELECT $1';
CREATE OPERATOR odd.@#@ (RIGHTARG = bigint, FUNCTION = odd.factorial_like);
CREATE OPERATOR odd.#%# (LEFTARG = integer, RIGHTARG = integer, FUNCTION = int4pl, COMMUTATOR = OPERATOR(odd.#%#));
CREATE OPERATOR odd.=!=*% (LEFTARG = integer, RIGHTARG = integer, FUNCTION = int4eq, COMMUTATOR = OPERATOR(odd.=!=*%), NEGATOR = OPERATOR(odd.<>!), RESTRICT = eqsel, JOIN = eqjoinsel, HASHES, MERGES);
CREATE OPERATOR odd.<>! (LEFTARG = integer, RIGHTARG = integer, FUNCTION = int4ne, NEGATOR = OPERATOR(odd.=!=*%), RESTRICT = neqsel, JOIN = neqjoinsel);
COMMENT ON OPERATOR odd.#%# (integer, integer) IS 'percent';
ALTER OPERATOR odd.@#@ (NONE, bigint) OWNER TO regress_owner;
CREATE OPERATOR FAMILY odd.fam USING btree;
ALTER OPERATOR FAMILY odd.fam USING btree ADD OPERATOR 1 < (bigint, integer), OPERATOR 1 < (integer, bigint), OPERATOR 3 = (bigint, integer),
    FUNCTION 1 (bigint, integer) btint84cmp(bigint, integer), FUNCTION 1 (integer, bigint) btint48cmp(integer, bigint);
CREATE OPERATOR CLASS odd.reversed FOR TYPE integer USING btree FAMILY odd.fam AS OPERATOR 1 >, OPERATOR 2 >=, OPERATOR 3 =, OPERATOR 4 <=, OPERATOR 5 <,
    FUNCTION 1 btint4cmp(integer, integer);
CREATE OPERATOR CLASS odd.gist_ops FOR TYPE point USING gist AS OPERATOR 15 <-> (point, point) FOR ORDER BY float_ops, STORAGE box,
    FUNCTION 1 gist_point_consistent(internal, point, smallint, oid, internal), FUNCTION 2 gist_box_union(internal, internal), FUNCTION 3 gist_point_compress(internal),
    FUNCTION 5 gist_box_penalty(internal, internal, internal), FUNCTION 6 gist_box_picksplit(internal, internal), FUNCTION 7 gist_box_same(box, box, internal), FUNCTION 8 gist_point_distance(internal, point, smallint, oid, internal);
COMMENT ON OPERATOR CLASS odd.reversed USING btree IS 'backwards';
COMMENT ON OPERATOR FAMILY odd.fam USING btree IS 'family';
ALTER OPERATOR CLASS odd.reversed USING btree OWNER TO regress_owner;
CREATE FUNCTION odd.pair_text(odd.pair) RETURNS text LANGUAGE sql IMMUTABLE AS $$SELECT ($1)."B c"$$;
CREATE CAST (odd.pair AS text) WITH FUNCTION odd.pair_text(odd.pair) AS ASSIGNMENT;
CREATE CAST (odd.widget AS integer) WITHOUT FUNCTION AS IMPLICIT;
CREATE CAST (odd.mood AS odd.widget) WITH INOUT;
COMMENT ON CAST (odd.pair AS text) IS 'a cast';
CREATE FUNCTION odd.handler() RETURNS language_handler LANGUAGE c AS '$libdir/plpgsql', 'plpgsql_call_handler';
CREATE FUNCTION odd.inline(internal) RETURNS void LANGUAGE c STRICT AS '$libdir/plpgsql', 'plpgsql_inline_handler';
CREATE FUNCTION odd.validator(oid) RETURNS void LANGUAGE c STRICT AS '$libdir/plpgsql', 'plpgsql_validator';
CREATE LANGUAGE plodd HANDLER odd.handler INLINE odd.inline VALIDATOR odd.validator;
CREATE TRUSTED LANGUAGE "pl; odd" HANDLER odd.handler;
CREATE FUNCTION odd.in_language() RETURNS integer LANGUAGE plodd AS 'BEGIN RETURN 1; END';
GRANT USAGE ON LANGUAGE "pl; odd" TO regress_reader;
REVOKE USAGE ON LANGUAGE "pl; odd" FROM PUBLIC;
REVOKE USAGE ON LANGUAGE plpgsql FROM PUBLIC;
COMMENT ON LANGUAGE plodd IS 'a language';
ALTER LANGUAGE plodd OWNER TO regress_owner;
CREATE FUNCTION odd.from_sql(internal) RETURNS internal LANGUAGE internal STRICT IMMUTABLE AS 'varchar_support';
CREATE TRANSFORM FOR odd.widget LANGUAGE plodd (FROM SQL WITH FUNCTION odd.from_sql(internal));
COMMENT ON TRANSFORM FOR odd.widget LANGUAGE plodd IS 'a transform';
CREATE ACCESS METHOD gist_too TYPE INDEX HANDLER gisthandler;
CREATE ACCESS METHOD heap_too TYPE TABLE HANDLER heap_tableam_handler;
COMMENT ON ACCESS METHOD heap_too IS 'an access method';
CREATE OPERATOR CLASS odd.box_too DEFAULT FOR TYPE box USING gist_too AS OPERATOR 3 &&, FUNCTION 1 gist_box_consistent(internal, box, smallint, oid, internal),
    FUNCTION 2 gist_box_union(internal, internal), FUNCTION 5 gist_box_penalty(internal, internal, internal), FUNCTION 6 gist_box_picksplit(internal, internal), FUNCTION 7 gist_box_same(box, box, internal);

-- Collations, conversions, text search.
CREATE COLLATION odd.plain FROM "C";
CREATE COLLATION odd."made; here" (LC_COLLATE = 'C', LC_CTYPE = 'POSIX');
SELECT count(*) > 0 AS has_icu FROM pg_collation WHERE collname = 'de-x-icu' AND current_setting('server_encoding') = 'UTF8' \gset
\if :has_icu
CREATE COLLATION odd.icu (PROVIDER = icu, LOCALE = 'de-u-co-phonebk', DETERMINISTIC = false);
\endif
COMMENT ON COLLATION odd.plain IS 'a collation';
ALTER COLLATION odd.plain OWNER TO regress_owner;
CREATE CONVERSION odd.conv FOR 'LATIN1' TO 'UTF8' FROM iso8859_1_to_utf8;
CREATE DEFAULT CONVERSION odd.conv_default FOR 'UTF8' TO 'LATIN1' FROM utf8_to_iso8859_1;
COMMENT ON CONVERSION odd.conv IS 'a conversion';
ALTER CONVERSION odd.conv OWNER TO regress_owner;
CREATE TEXT SEARCH PARSER odd.parser (START = prsd_start, GETTOKEN = prsd_nexttoken, END = prsd_end, HEADLINE = prsd_headline, LEXTYPES = prsd_lextype);
CREATE TEXT SEARCH TEMPLATE odd.template (INIT = dsimple_init, LEXIZE = dsimple_lexize);
CREATE TEXT SEARCH DICTIONARY odd.dict (TEMPLATE = odd.template);
CREATE TEXT SEARCH DICTIONARY odd.dict_too (TEMPLATE = snowball, Language = 'english', StopWords = 'english');
CREATE TEXT SEARCH CONFIGURATION odd.conf (PARSER = odd.parser);
ALTER TEXT SEARCH CONFIGURATION odd.conf ADD MAPPING FOR word, asciiword WITH odd.dict, odd.dict_too, simple;
COMMENT ON TEXT SEARCH PARSER odd.parser IS 'a parser';
COMMENT ON TEXT SEARCH TEMPLATE odd.template IS 'a template';
COMMENT ON TEXT SEARCH DICTIONARY odd.dict IS 'a dictionary';
COMMENT ON TEXT SEARCH CONFIGURATION odd.conf IS 'a configuration';
ALTER TEXT SEARCH CONFIGURATION odd.conf OWNER TO regress_owner;
ALTER TEXT SEARCH DICTIONARY odd.dict OWNER TO regress_owner;

-- Sequences.
CREATE SEQUENCE odd.seq AS smallint START 5 INCREMENT -3 MINVALUE -100 MAXVALUE 10 CACHE 2 CYCLE;
CREATE SEQUENCE odd."Seq; uence" START 7;
CREATE UNLOGGED SEQUENCE odd.unlogged_seq;
SELECT setval('odd."Seq; uence"', 12, false);
GRANT USAGE ON SEQUENCE odd.seq TO regress_reader;
COMMENT ON SEQUENCE odd.seq IS 'a sequence';
ALTER SEQUENCE odd.seq OWNER TO regress_owner;

-- Tables: odd names, without columns, with dropped ones, storage, options, identity, generated.
CREATE TABLE odd.no_columns ();
INSERT INTO odd.no_columns DEFAULT VALUES; INSERT INTO odd.no_columns DEFAULT VALUES;
CREATE TABLE odd.lost_columns (a integer, b text);
INSERT INTO odd.lost_columns VALUES (1, 'x');
ALTER TABLE odd.lost_columns DROP COLUMN a, DROP COLUMN b;
CREATE TABLE odd."Ta; ble ""q"" 'x' ü – \ %I $$" (
    "Id #" integer GENERATED ALWAYS AS IDENTITY (START 10 INCREMENT 5 MINVALUE 5 CYCLE),
    "desc" text DEFAULT 'a''b\c; -- $$' COLLATE "POSIX" NOT NULL,
    "second" integer GENERATED BY DEFAULT AS IDENTITY,
    double integer GENERATED ALWAYS AS ("Id #" * 2) STORED,
    "from" odd.mood DEFAULT 'it''s ok',
    at timestamptz DEFAULT '2020-01-01 12:00:00+02',
    dropped integer,
    "ünï" money DEFAULT 1.5::money,
    per interval DEFAULT '1 year 2 mons -3 days 04:05:06.7',
    bits bit varying(5) DEFAULT B'101',
    PRIMARY KEY ("Id #") INCLUDE ("desc") WITH (fillfactor = 70)
) WITH (fillfactor = 50, autovacuum_enabled = false, toast.autovacuum_enabled = off);
ALTER TABLE odd."Ta; ble ""q"" 'x' ü – \ %I $$" DROP COLUMN dropped;
COMMENT ON TABLE odd."Ta; ble ""q"" 'x' ü – \ %I $$" IS 'odd $dbbuild$ \. comment';
COMMENT ON COLUMN odd."Ta; ble ""q"" 'x' ü – \ %I $$"."ünï" IS E'tab\t and line\n-- Name: x; Type: VIEW; Schema: y; Owner: z\n';
INSERT INTO odd."Ta; ble ""q"" 'x' ü – \ %I $$" ("desc", "ünï", bits) VALUES (E'line\nand\ttab\\ and \\.', 12.34, B'1'), ('', -1, B''), (E'\r', 0, NULL);
INSERT INTO odd."Ta; ble ""q"" 'x' ü – \ %I $$" ("Id #", "desc") OVERRIDING SYSTEM VALUE VALUES (3, 'own');
CREATE TABLE odd.kept (id serial PRIMARY KEY, a text, b text, c text, d odd.wordy, e odd.widget DEFAULT '7', x xml, f float8, g float4, h date, i jsonb, j inet, k odd.span, l bytea, m oid, n uuid, o tsvector, p point, q numeric, r odd.pair, s odd.positive, t odd.mood[], u time with time zone, v "char", w name, y pg_lsn, z bigserial);
ALTER TABLE odd.kept ALTER a SET STORAGE EXTERNAL, ALTER b SET COMPRESSION pglz, ALTER c SET STATISTICS 500, ALTER c SET (n_distinct = -0.5, n_distinct_inherited = 100);
INSERT INTO odd.kept (a, f, g, h, i, j, k, l, n, o, p, q, r, s, t, u, v, w, y) VALUES
    ('one', 'Infinity', 'NaN', 'infinity', '{"a": [1, "x\\"]}', '10.0.0.1/8', '[1,2)', '\xdeadbeef', '00000000-0000-0000-0000-000000000001', 'a:1 b', '(1,2)', 'NaN', '("x, ""y""","{1.5,2}")', 5, '{sad,"it''s ok"}', '12:00+01', 'x', 'n', '0/16AE7F8'),
    (NULL, '-Infinity', '1e-30', '-infinity', 'null', '::1', 'empty', '', NULL, '', NULL, '-Infinity', NULL, 1, '{}', NULL, E'\\', '', NULL),
    ('three', 0.1 + 0.2, 1.0/3, '4713-01-01 BC', '1e400', NULL, '(,)', '\x00', NULL, NULL, '(NaN,inf)', 1e100, '(,)', 2, NULL, '00:00-15:59', '', 'NULL', NULL),
    ('\N', 5e-324, '-0', '5874897-12-31', '[]', NULL, NULL, NULL, NULL, NULL, NULL, 0.00, '("","{}")', 3, NULL, NULL, NULL, NULL, NULL);
CREATE TABLE odd.beyond (a integer GENERATED ALWAYS AS IDENTITY (MAXVALUE 5), b serial);
INSERT INTO odd.beyond OVERRIDING SYSTEM VALUE VALUES (50, 3);
CREATE UNLOGGED TABLE odd.unlogged (a integer PRIMARY KEY, t text);
CREATE TABLE odd.typed OF odd.pair ("B c" WITH OPTIONS DEFAULT 'typed' NOT NULL, CHECK ("B c" <> ''));
CREATE TABLE odd.with_method (a integer, b box) USING heap_too;
CREATE INDEX ON odd.with_method USING gist_too (b);
CREATE TABLE odd.silent (a integer, b integer) WITH (user_catalog_table = true);
ALTER TABLE odd.silent REPLICA IDENTITY FULL;
CREATE TABLE odd.by_index (a integer NOT NULL, b integer NOT NULL);
CREATE UNIQUE INDEX by_index_key ON odd.by_index (a);
ALTER TABLE odd.by_index REPLICA IDENTITY USING INDEX by_index_key;
CREATE INDEX by_index_b ON odd.by_index (b);
ALTER TABLE odd.by_index CLUSTER ON by_index_b;
CREATE TABLE odd.nameless (a integer, b integer);
ALTER TABLE odd.nameless REPLICA IDENTITY NOTHING;
ALTER TABLE odd.silent OWNER TO regress_owner;
GRANT SELECT (a), UPDATE (b) ON odd.silent TO regress_reader;
GRANT INSERT, SELECT ON odd.silent TO regress_writer WITH GRANT OPTION;
SET SESSION AUTHORIZATION regress_writer; GRANT INSERT ON odd.silent TO "regress; Owner: ""odd"" rôle"; RESET SESSION AUTHORIZATION;
GRANT ALL ON odd.kept TO PUBLIC;
GRANT SELECT ON pg_catalog.pg_authid TO regress_reader;
REVOKE SELECT ON pg_catalog.pg_tables FROM PUBLIC;
GRANT EXECUTE ON FUNCTION pg_catalog.pg_ls_logdir() TO regress_reader;

-- Constraints and indexes.
ALTER TABLE odd.kept ADD CONSTRAINT "chk; one" CHECK (f > 0 OR a <> ALL (ARRAY['x', 'y']::varchar[])) NO INHERIT NOT VALID;
ALTER TABLE odd.kept ADD CONSTRAINT uq UNIQUE (a, b) DEFERRABLE INITIALLY DEFERRED;
ALTER TABLE odd.kept ADD CONSTRAINT uq_nulls UNIQUE NULLS NOT DISTINCT (c, f);
ALTER TABLE odd.kept ADD CONSTRAINT ex EXCLUDE USING gist (p WITH ~=, k WITH &&) WHERE (id > 0) DEFERRABLE;
\if :has_contrib
ALTER TABLE odd.kept ADD CONSTRAINT ex_too EXCLUDE USING gist ((id % 100) WITH =, p WITH ~=);
CREATE TABLE odd.with_hstore (h ext.hstore DEFAULT 'a=>1'::ext.hstore);
CREATE INDEX ON odd.with_hstore USING gin (h);
\endif
CREATE INDEX "Index; on x" ON odd.kept USING btree (lower(a) COLLATE "C" text_pattern_ops DESC NULLS LAST, (f + 1), b) INCLUDE (c) WITH (fillfactor = 60, deduplicate_items = off) WHERE (a IS NOT NULL AND f <> 'NaN');
ALTER INDEX odd."Index; on x" ALTER COLUMN 2 SET STATISTICS 300;
CREATE INDEX gin_on ON odd.kept USING gin (o, t) WITH (fastupdate = off);
CREATE INDEX brin_on ON odd.kept USING brin (id int4_minmax_multi_ops (values_per_range = 16), h) WITH (pages_per_range = 8, autosummarize = on);
CREATE INDEX hash_on ON odd.kept USING hash (a);
CREATE INDEX reversed_on ON odd.kept (id odd.reversed);
CREATE INDEX spgist_on ON odd.kept USING spgist (p);
CREATE INDEX bloom_like ON odd.kept USING gist (o tsvector_ops (siglen = 64));
COMMENT ON INDEX odd.gin_on IS 'an index';
COMMENT ON CONSTRAINT uq ON odd.kept IS 'a constraint';
ALTER INDEX odd.hash_on DEPENDS ON EXTENSION plpgsql;
CREATE STATISTICS odd.stats (ndistinct, dependencies) ON a, b FROM odd.kept;
CREATE STATISTICS odd."stats; expr" ON lower(a), (f + 1), c FROM odd.kept;
ALTER STATISTICS odd.stats SET STATISTICS 123;
ALTER STATISTICS odd.stats OWNER TO regress_owner;
COMMENT ON STATISTICS odd.stats IS 'statistics';
\if :has_xml
UPDATE odd.kept SET x = '<a>&amp;</a>' WHERE id = 1;
CREATE VIEW odd.of_xml AS SELECT xmlelement(name "El; x", xmlattributes(a AS "at"), b), xmlparse(document a), xmlserialize(content x AS text) AS s, xmlforest(a, b AS c), x IS DOCUMENT AS d,
    (SELECT count(*) FROM XMLTABLE(XMLNAMESPACES('u' AS n), '/r' PASSING x COLUMNS o FOR ORDINALITY, v text PATH 'v' DEFAULT 'q' NOT NULL)) FROM odd.kept;
\endif
CREATE TABLE odd.self (id integer PRIMARY KEY, parent integer REFERENCES odd.self ON DELETE SET NULL, UNIQUE (id, parent));
INSERT INTO odd.self VALUES (1, 2), (2, 1), (3, 3);
CREATE TABLE odd.hen (id integer PRIMARY KEY, egg integer NOT NULL);
CREATE TABLE odd.egg (id integer PRIMARY KEY, hen integer NOT NULL REFERENCES odd.hen DEFERRABLE INITIALLY DEFERRED, a integer, b integer, FOREIGN KEY (a, b) REFERENCES odd.self (id, parent) MATCH FULL ON UPDATE CASCADE ON DELETE SET DEFAULT);
ALTER TABLE odd.hen ADD CONSTRAINT hen_egg FOREIGN KEY (egg) REFERENCES odd.egg DEFERRABLE;
BEGIN; SET CONSTRAINTS ALL DEFERRED; INSERT INTO odd.hen VALUES (1, 1); INSERT INTO odd.egg VALUES (1, 1, 3, 3); COMMIT;
ALTER TABLE odd.nameless ADD CONSTRAINT not_checked FOREIGN KEY (a) REFERENCES odd.self ON DELETE SET NULL (a) NOT VALID;
INSERT INTO odd.nameless SELECT 1, 1;
ALTER TABLE odd.nameless ADD CHECK (a > 5) NOT VALID;

-- Inheritance: diamonds, columns in another order, constraints of its own.
CREATE TABLE odd.top (n serial, a integer DEFAULT 1 CHECK (a > 0), b text NOT NULL);
CREATE TABLE odd.left_one (c integer) INHERITS (odd.top);
CREATE TABLE odd.right_one (b text DEFAULT 'r', d integer) INHERITS (odd.top);
CREATE TABLE odd.bottom (a integer DEFAULT 9) INHERITS (odd.left_one, odd.right_one);
ALTER TABLE odd.top ADD COLUMN late date DEFAULT '2020-02-02';
ALTER TABLE odd.top ADD CONSTRAINT inh CHECK (a < 1000);
CREATE TABLE odd.adopted (n integer NOT NULL DEFAULT 5, late date, x integer, b text NOT NULL, a integer, CONSTRAINT inh CHECK (a < 1000), CONSTRAINT top_a_check CHECK (a > 0));
ALTER TABLE odd.adopted INHERIT odd.top;
ALTER TABLE odd.left_one ALTER COLUMN a SET DEFAULT 77;
ALTER TABLE odd.right_one ALTER COLUMN a DROP DEFAULT;
INSERT INTO odd.top (a, b) VALUES (1, 'top'); INSERT INTO odd.bottom (b) VALUES ('bottom'); INSERT INTO odd.adopted (a, b, x) VALUES (4, 'ad', 5);

-- Partitions of partitions, other column orders, hash by enum, default ones, attached and detached.
CREATE TABLE odd.parted (id integer, at date NOT NULL, kind odd.mood, note text DEFAULT 'p') PARTITION BY RANGE (at, (id % 10));
CREATE TABLE odd.parted_1 PARTITION OF odd.parted (note DEFAULT 'one', CHECK (id > 0)) FOR VALUES FROM ('2020-01-01', MINVALUE) TO ('2021-01-01', MAXVALUE) PARTITION BY LIST (kind);
CREATE TABLE odd.parted_1_sad PARTITION OF odd.parted_1 FOR VALUES IN ('sad', NULL);
CREATE TABLE odd.parted_1_rest (note text, extra integer, kind odd.mood, at date NOT NULL, id integer);
ALTER TABLE odd.parted_1_rest DROP COLUMN extra, ADD CHECK (id > 0);
ALTER TABLE odd.parted_1 ADD CONSTRAINT named CHECK (note <> 'bad');
ALTER TABLE odd.parted_1_rest ADD CONSTRAINT named CHECK (note <> 'bad'), ADD CONSTRAINT parted_1_id_check CHECK (id > 0);
ALTER TABLE odd.parted_1 ATTACH PARTITION odd.parted_1_rest DEFAULT;
CREATE TABLE odd.parted_rest PARTITION OF odd.parted DEFAULT;
CREATE INDEX parted_on ON odd.parted (id) INCLUDE (note);
CREATE INDEX parted_only ON ONLY odd.parted (note);
INSERT INTO odd.parted VALUES (1, '2020-05-05', 'sad', 'x'), (2, '2020-06-06', 'it''s ok', NULL), (3, '1999-01-01', NULL, 'z');
CREATE TABLE odd.hashed (k odd.mood, v integer, PRIMARY KEY (k, v)) PARTITION BY HASH (k);
CREATE TABLE odd.hashed_0 PARTITION OF odd.hashed FOR VALUES WITH (MODULUS 3, REMAINDER 0);
CREATE TABLE odd.hashed_1 (v integer NOT NULL, k odd.mood NOT NULL);
ALTER TABLE odd.hashed ATTACH PARTITION odd.hashed_1 FOR VALUES WITH (MODULUS 3, REMAINDER 1);
CREATE TABLE odd.hashed_2 PARTITION OF odd.hashed FOR VALUES WITH (MODULUS 3, REMAINDER 2) WITH (fillfactor = 42);
INSERT INTO odd.hashed SELECT m, n FROM unnest(enum_range(NULL::odd.mood)) m, generate_series(1, 3) n;
CREATE TABLE odd.points_at (k odd.mood, v integer, FOREIGN KEY (k, v) REFERENCES odd.hashed ON DELETE CASCADE);
INSERT INTO odd.points_at VALUES ('sad', 1);
CREATE TABLE odd.parted_ref (k odd.mood, v integer) PARTITION BY LIST (k);
CREATE TABLE odd.parted_ref_sad PARTITION OF odd.parted_ref FOR VALUES IN ('sad');
ALTER TABLE odd.parted_ref ADD FOREIGN KEY (k, v) REFERENCES odd.hashed;

-- Views, rules, materialized views.
CREATE VIEW odd.plain_view AS SELECT id, a, f FROM odd.kept WHERE a <> ALL (ARRAY['q'::varchar, 'r']) AND f IS DISTINCT FROM 3;
CREATE VIEW odd.checked WITH (security_barrier = true, check_option = cascaded) AS SELECT * FROM odd.self WHERE id > 0;
CREATE VIEW odd.invoker WITH (security_invoker = on) AS SELECT * FROM odd.checked;
CREATE VIEW odd."View; ""x""" ("A b", c) AS VALUES (1, 'x'), (2, 'y');
CREATE VIEW odd.over_view AS SELECT v."A b", p.* FROM odd."View; ""x""" v, odd.plain_view p;
CREATE VIEW odd.all_of AS SELECT k AS whole, (k.r)."B c", ROW(k.id, k.a) IS DISTINCT FROM ROW(1, 'a') AS differs FROM odd.kept k;
CREATE RECURSIVE VIEW public.counting (n) AS VALUES (1) UNION ALL SELECT n + 1 FROM counting WHERE n < 5;
CREATE VIEW odd.windows AS SELECT id, sum(f) OVER w, first_value(a) OVER (w ROWS BETWEEN 1 PRECEDING AND CURRENT ROW EXCLUDE TIES) FROM odd.kept WINDOW w AS (PARTITION BY b ORDER BY id DESC NULLS FIRST);
CREATE VIEW odd.lateral_one AS SELECT t.x, s.* FROM (VALUES (1)) t (x) CROSS JOIN LATERAL (SELECT t.x AS y, g.* FROM ROWS FROM (generate_series(1, t.x), unnest(ARRAY['a'])) WITH ORDINALITY g (n, m, ord)) s;
CREATE VIEW odd.grouped AS SELECT a, b, count(*) FILTER (WHERE f > 0), percentile_cont(0.5) WITHIN GROUP (ORDER BY f), string_agg(DISTINCT a, ',' ORDER BY a) FROM odd.kept GROUP BY GROUPING SETS ((a), (b), ()), ROLLUP (a, b) HAVING count(*) > 0;
CREATE VIEW odd.ctes AS WITH RECURSIVE t (n) AS MATERIALIZED (VALUES (1) UNION ALL SELECT n + 1 FROM t WHERE n < 3) SEARCH DEPTH FIRST BY n SET o CYCLE n SET c USING p SELECT n, c FROM t;
CREATE VIEW odd.sampled AS SELECT * FROM odd.self TABLESAMPLE bernoulli (50) REPEATABLE (7) FOR UPDATE SKIP LOCKED;
CREATE VIEW odd.joins AS SELECT j.id, a.parent, b.parent AS other, e.hen FROM odd.self a FULL JOIN odd.self b USING (id) AS j LEFT JOIN odd.egg e ON e.id = j.id;
CREATE VIEW odd.unions AS (SELECT 1 AS x, 'a' AS y UNION ALL SELECT 2, 'b') EXCEPT (SELECT 3, NULL LIMIT 1 OFFSET 2) ORDER BY 1 FETCH FIRST 2 ROWS WITH TIES;
CREATE VIEW odd.exprs AS SELECT CASE a WHEN 'x' THEN 1 ELSE NULL END AS e0, COALESCE(a, b) AS e1, GREATEST(f, 1) AS e2, a LIKE 'x%' ESCAPE '!' AS e3, a ~~* 'Y' AS e4, a SIMILAR TO 'z+' AS e5, extract(year FROM h) AS e6, h::timestamp AT TIME ZONE 'UTC' AS e7, substring(a FROM 2 FOR 3) AS e8, overlay(a PLACING 'x' FROM 1) AS e9, position('x' IN a) AS e10, trim(both 'x' from a) AS e11, a IS NORMALIZED AS e12, i -> 'a' ->> 0 AS e13, ARRAY(SELECT 1) AS e14, EXISTS (SELECT 1) AS e15, id IN (1, 2, 3) AS e16, (id, f) = ANY (SELECT 1, 2.0) AS e17, f BETWEEN SYMMETRIC 1 AND 2 AS e18, current_user AS who, r."B c" AS e21 FROM odd.kept k, LATERAL (SELECT (k.r).*) r;
CREATE VIEW odd.operators AS SELECT id OPERATOR(odd.#%#) 1 AS one, OPERATOR(odd.@#@) 5::bigint AS two, id OPERATOR(odd.=!=*%) 3 AS three FROM odd.kept;
CREATE FUNCTION odd.pair_of(integer) RETURNS odd.pair LANGUAGE sql AS $$SELECT ROW('x', NULL)::odd.pair$$;
CREATE VIEW odd.of_function AS SELECT p.*, 1 AS one FROM odd.pair_of(1) p;
ALTER TYPE odd.pair ADD ATTRIBUTE late date CASCADE;
CREATE VIEW odd.circle_1 AS SELECT 1 AS a;
CREATE VIEW odd.circle_2 AS SELECT a FROM odd.circle_1;
CREATE OR REPLACE FUNCTION odd.uses_view() RETURNS SETOF odd.circle_2 LANGUAGE sql AS 'SELECT 1';
CREATE OR REPLACE VIEW odd.circle_1 AS SELECT a FROM odd.uses_view();
ALTER VIEW odd.plain_view ALTER COLUMN a SET DEFAULT 'through the view';
CREATE RULE "rule; one" AS ON INSERT TO odd.plain_view DO INSTEAD (INSERT INTO odd.kept (a, f) VALUES (NEW.a, NEW.f) RETURNING id, a, f; NOTIFY "x; y", 'payload');
CREATE RULE quiet AS ON DELETE TO odd.plain_view DO INSTEAD NOTHING;
CREATE RULE cond AS ON UPDATE TO odd.self WHERE OLD.id <> NEW.id DO ALSO UPDATE odd.nameless SET b = NEW.id WHERE a = OLD.id;
ALTER TABLE odd.self DISABLE RULE cond;
COMMENT ON RULE cond ON odd.self IS 'a rule';
COMMENT ON VIEW odd.plain_view IS 'a view';
COMMENT ON COLUMN odd.plain_view.a IS 'a column of a view';
GRANT SELECT ON odd.plain_view TO regress_reader;
ALTER VIEW odd.checked OWNER TO regress_owner;
CREATE TABLE odd.was_table (a integer);
CREATE MATERIALIZED VIEW odd.mat WITH (fillfactor = 80) AS SELECT id, hen AS parent FROM odd.egg;
CREATE MATERIALIZED VIEW odd.mat_over AS SELECT count(*) FROM odd.mat;
CREATE MATERIALIZED VIEW odd.mat_empty AS SELECT 1 AS one WITH NO DATA;
CREATE UNIQUE INDEX mat_key ON odd.mat (id);
ALTER MATERIALIZED VIEW odd.mat CLUSTER ON mat_key;
ALTER MATERIALIZED VIEW odd.mat ALTER COLUMN parent SET STATISTICS 50;
ALTER MATERIALIZED VIEW odd.mat_empty DEPENDS ON EXTENSION plpgsql;
COMMENT ON MATERIALIZED VIEW odd.mat IS 'materialized';
ALTER MATERIALIZED VIEW odd.mat OWNER TO regress_owner;
GRANT SELECT ON odd.egg TO regress_owner; GRANT USAGE ON SCHEMA odd TO regress_owner;

-- Triggers, policies, event triggers.
CREATE TRIGGER "trig; one" BEFORE INSERT OR UPDATE OF a, b ON odd.kept FOR EACH ROW WHEN (NEW.a IS DISTINCT FROM 'x' AND NEW.f > 0) EXECUTE FUNCTION odd.trigger_fn('arg''s', 'two\', '');
CREATE TRIGGER statement_one AFTER UPDATE ON odd.self REFERENCING OLD TABLE AS o NEW TABLE AS n FOR EACH STATEMENT EXECUTE FUNCTION odd.trigger_fn();
CREATE CONSTRAINT TRIGGER later AFTER INSERT ON odd.self FROM odd.hen DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION odd.trigger_fn();
CREATE TRIGGER instead INSTEAD OF UPDATE ON odd.checked FOR EACH ROW EXECUTE FUNCTION odd.trigger_fn();
CREATE TRIGGER on_parts AFTER INSERT ON odd.parted FOR EACH ROW EXECUTE FUNCTION odd.trigger_fn();
ALTER TABLE odd.parted_rest DISABLE TRIGGER on_parts;
CREATE TRIGGER trunc BEFORE TRUNCATE ON odd.self EXECUTE FUNCTION odd.trigger_fn();
ALTER TABLE odd.self DISABLE TRIGGER trunc;
ALTER TABLE odd.self ENABLE REPLICA TRIGGER statement_one;
ALTER TABLE odd.kept ENABLE ALWAYS TRIGGER "trig; one";
COMMENT ON TRIGGER trunc ON odd.self IS 'a trigger';
ALTER TRIGGER trunc ON odd.self DEPENDS ON EXTENSION plpgsql;
ALTER TABLE odd.kept ENABLE ROW LEVEL SECURITY;
ALTER TABLE odd.self ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
ALTER TABLE odd.nameless FORCE ROW LEVEL SECURITY;
CREATE POLICY "pol; one" ON odd.kept AS RESTRICTIVE FOR UPDATE TO regress_writer, "regress; Owner: ""odd"" rôle", regress_reader USING (a = current_user) WITH CHECK (id IN (SELECT id FROM odd.self));
CREATE POLICY everybody ON odd.self USING (true);
COMMENT ON POLICY everybody ON odd.self IS 'a policy';
CREATE EVENT TRIGGER watch_start ON ddl_command_start WHEN TAG IN ('CREATE TABLE', 'DROP TABLE') EXECUTE FUNCTION odd.event_fn();
CREATE EVENT TRIGGER watch_drop ON sql_drop EXECUTE FUNCTION odd.event_fn();
ALTER EVENT TRIGGER watch_start DISABLE;
ALTER EVENT TRIGGER watch_drop ENABLE ALWAYS;
COMMENT ON EVENT TRIGGER watch_drop IS 'an event trigger';

-- Foreign data, publications, subscriptions.
CREATE FOREIGN DATA WRAPPER dummy OPTIONS (debug 'true', "odd opt" 'a''b');
CREATE FOREIGN DATA WRAPPER checked_one VALIDATOR postgresql_fdw_validator;
COMMENT ON FOREIGN DATA WRAPPER dummy IS 'a wrapper';
GRANT USAGE ON FOREIGN DATA WRAPPER dummy TO regress_reader;
CREATE SERVER "ser; ver" TYPE 'oracle' VERSION '1.0' FOREIGN DATA WRAPPER dummy OPTIONS (host 'h', password 'server secret', port '5');
CREATE SERVER plain_one FOREIGN DATA WRAPPER checked_one OPTIONS (host 'x', dbname 'y');
COMMENT ON SERVER plain_one IS 'a server';
GRANT USAGE ON FOREIGN SERVER plain_one TO regress_reader WITH GRANT OPTION;
CREATE USER MAPPING FOR PUBLIC SERVER "ser; ver" OPTIONS ("user" 'u', password 'secret');
CREATE USER MAPPING FOR regress_reader SERVER plain_one OPTIONS ("user" 'r', password 'hidden, too');
CREATE USER MAPPING FOR CURRENT_USER SERVER plain_one;
CREATE FOREIGN TABLE odd.far (a integer OPTIONS (n 'x; y') NOT NULL, b text COLLATE "C" DEFAULT 'd', c integer GENERATED ALWAYS AS (a + 1) STORED, CHECK (a > 0)) SERVER "ser; ver" OPTIONS (t 'y', "odd ""opt" '''');
ALTER FOREIGN TABLE odd.far ALTER a SET STATISTICS 10, ALTER b SET STORAGE PLAIN;
CREATE FOREIGN TABLE odd.far_child () INHERITS (odd.top) SERVER plain_one;
COMMENT ON FOREIGN TABLE odd.far IS 'far away';
CREATE PUBLICATION everything FOR ALL TABLES WITH (publish = 'insert, delete');
CREATE PUBLICATION "pub; some" FOR TABLE odd.self WHERE (id > 3 AND parent IS NOT NULL), odd.by_index (a), ONLY odd.top WITH (publish_via_partition_root = true);
CREATE PUBLICATION of_schemas FOR TABLES IN SCHEMA empty_one, odd;
CREATE PUBLICATION nothing_at_all;
COMMENT ON PUBLICATION everything IS 'a publication';
CREATE SUBSCRIPTION "sub; one" CONNECTION 'host=nowhere.invalid dbname=x password=secret user=me' PUBLICATION a, "b c" WITH (connect = false, slot_name = NONE, streaming = on, two_phase = false, disable_on_error = true);
COMMENT ON SUBSCRIPTION "sub; one" IS 'a subscription';

-- Default privileges.
ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO regress_reader;
ALTER DEFAULT PRIVILEGES IN SCHEMA odd GRANT INSERT ON TABLES TO regress_writer, regress_reader;
ALTER DEFAULT PRIVILEGES FOR ROLE regress_owner REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
ALTER DEFAULT PRIVILEGES FOR ROLE regress_owner GRANT USAGE ON SCHEMAS TO regress_reader WITH GRANT OPTION;
ALTER DEFAULT PRIVILEGES IN SCHEMA odd GRANT USAGE ON SEQUENCES TO regress_writer;
ALTER DEFAULT PRIVILEGES REVOKE USAGE ON TYPES FROM PUBLIC;

-- Large objects.
SELECT lo_from_bytea(4711, '\x000102ff'), lo_from_bytea(1000000, decode(repeat('abcdef', 10000), 'hex')), lo_create(4000000000);
COMMENT ON LARGE OBJECT 4711 IS 'a large object';
GRANT SELECT ON LARGE OBJECT 4711 TO regress_reader;
ALTER LARGE OBJECT 1000000 OWNER TO regress_owner;

-- What later versions brought.
\if :has_17
CREATE VIEW odd.json_table_one AS SELECT * FROM JSON_TABLE('[{"a": 1}]'::jsonb, '$[*]' AS root COLUMNS (n FOR ORDINALITY, a integer PATH '$.a' DEFAULT 5 ON EMPTY ERROR ON ERROR, NESTED PATH '$.b[*]' COLUMNS (c text PATH '$' OMIT QUOTES)));
CREATE VIEW odd.json_exists_one AS SELECT JSON_EXISTS('{}'::jsonb, 'strict $.a' PASSING 1 AS x), JSON_VALUE('{"a": 1}'::jsonb, '$.a' RETURNING integer) AS v, '{}' IS JSON OBJECT WITH UNIQUE KEYS AS j;
CREATE COLLATION odd.builtin_one (PROVIDER = builtin, LOCALE = 'C.UTF-8');
CREATE TABLE odd.parted_method (a integer) PARTITION BY LIST (a) USING heap_too;
CREATE TABLE odd.parted_method_1 PARTITION OF odd.parted_method FOR VALUES IN (1);
CREATE TABLE odd.parted_identity (a integer GENERATED ALWAYS AS IDENTITY, b integer) PARTITION BY RANGE (b);
CREATE TABLE odd.parted_identity_1 PARTITION OF odd.parted_identity FOR VALUES FROM (0) TO (10);
CREATE EVENT TRIGGER at_login ON login EXECUTE FUNCTION odd.event_fn();
ALTER EVENT TRIGGER at_login DISABLE;
GRANT MAINTAIN ON odd.kept TO regress_reader;
\endif
\if :has_18
CREATE TABLE odd.virtual_one (a integer, b integer GENERATED ALWAYS AS (a * 2) VIRTUAL, c integer GENERATED ALWAYS AS (a + 1) STORED);
CREATE TABLE odd.not_nulls (a integer CONSTRAINT "nn; a" NOT NULL NO INHERIT, b integer, c integer NOT NULL);
ALTER TABLE odd.not_nulls ADD CONSTRAINT nn_later NOT NULL b NOT VALID;
COMMENT ON CONSTRAINT "nn; a" ON odd.not_nulls IS 'a not-null constraint';
CREATE TABLE odd.temporal (id int4range, valid_at daterange, CONSTRAINT temporal_pk PRIMARY KEY (id, valid_at WITHOUT OVERLAPS));
CREATE TABLE odd.temporal_ref (id int4range, at daterange, parent int4range, FOREIGN KEY (parent, PERIOD at) REFERENCES odd.temporal (id, PERIOD valid_at));
ALTER TABLE odd.nameless ADD CONSTRAINT unenforced CHECK (b > 100) NOT ENFORCED;
ALTER TABLE odd.egg ADD CONSTRAINT fk_unenforced FOREIGN KEY (hen) REFERENCES odd.hen NOT ENFORCED;
ALTER DEFAULT PRIVILEGES GRANT SELECT ON LARGE OBJECTS TO regress_reader;
\endif
