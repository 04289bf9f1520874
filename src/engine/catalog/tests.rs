//! Real servers: what is read is what is there, and a baseline settles.

use super::test_server::{TestServer, each_server};
use super::*;
use crate::model::baseline::{self, Baseline, BaselineParts, Dump, NormaliseOptions};
use crate::model::checksum::Checksum;

pub(super) const RICH: &str = include_str!("rich.sql");

pub(super) fn own() -> Vec<String> {
    vec!["postgres".to_owned()]
}

pub(super) fn normalised(server: &TestServer, database: &str) -> (Dump, String) {
    let comments = server.connected(database, async |session| own_extension_comments(session.client()).await.unwrap());
    let options =
        NormaliseOptions { own_roles: own(), database: Some(database.to_owned()), extension_comments: comments };
    let dump = baseline::normalise(&server.dump(database), &options).unwrap();
    let roles = server.connected(database, async |session| mentioned_roles(session.client(), &own()).await.unwrap());
    let text = baseline::render(&BaselineParts {
        rewritten: Vec::new(),
        postgres_major: server.major,
        inputs: Checksum::of_text("x"),
        volatile: Vec::new(),
        roles,
        dump: dump.clone(),
        history_sql: "CREATE SCHEMA dbbuild;".to_owned(),
    });
    (dump, text)
}

pub(super) fn drop_roles(server: &TestServer, database: &str) {
    server.psql("postgres", &["-c", &format!("DROP DATABASE {database}")]).unwrap();
    let roles =
        server.psql("postgres", &["-c", "SELECT quote_ident(rolname) FROM pg_roles WHERE oid >= 16384"]).unwrap();
    for role in roles.lines() {
        server.psql("postgres", &["-c", &format!("DROP ROLE {role}")]).unwrap();
    }
}

fn catalog(server: &TestServer, database: &str) -> Catalog {
    server.connected(database, async |session| read(session.client(), &own()).await.unwrap())
}

#[test]
fn a_baseline_settles_and_loads_where_no_role_exists() {
    each_server(|server| {
        let mut database = server.database();
        server.load(&database, RICH);
        let replayed = catalog(server, &database);
        let (_, mut text) = normalised(server, &database);
        for round in 1.. {
            let parsed = Baseline::parse(&text, "db/baseline.sql").unwrap();
            assert!(!text.contains("postgres;") && !text.contains("\\restrict") && !text.contains("secret"), "{text}");
            drop_roles(server, &database);
            database = server.database();
            server.load(&database, &text);
            let (dump, again) = normalised(server, &database);
            if again == text {
                assert_eq!(parsed.dump, dump);
                break;
            }
            assert!(round < 3, "{}", baseline::unified_diff(("before", &text), ("after", &again), 60));
            text = again;
        }
        let loaded = catalog(server, &database);
        let differences: Vec<String> = loaded.compare(&replayed).iter().map(ToString::to_string).collect();
        assert!(differences.len() < 8, "{differences:#?}");
        drop_roles(server, &database);
    });
}

/// Pairs of scripts that make the same objects in different orders.
const ORDERS: [&str; 2] = [
    "CREATE ROLE a; CREATE ROLE b; CREATE TABLE t1 (x integer, CONSTRAINT c CHECK (x > 0)); \
     CREATE TABLE t2 (x integer, CONSTRAINT c CHECK (x > 0)); \
     CREATE POLICY p ON t1 TO a, b USING (true); CREATE POLICY p ON t2 USING (true); \
     CREATE OPERATOR === (LEFTARG = integer, RIGHTARG = integer, FUNCTION = int4eq); \
     CREATE OPERATOR === (LEFTARG = bigint, RIGHTARG = bigint, FUNCTION = int8eq); \
     CREATE OPERATOR FAMILY f USING btree; \
     ALTER OPERATOR FAMILY f USING btree ADD OPERATOR 1 < (bigint, integer); \
     ALTER OPERATOR FAMILY f USING btree ADD OPERATOR 1 < (integer, bigint); \
     GRANT SELECT ON t1 TO a; GRANT SELECT ON t1 TO b; \
     ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO a; ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO b; \
     ALTER DEFAULT PRIVILEGES FOR ROLE a GRANT SELECT ON TABLES TO b; \
     ALTER DEFAULT PRIVILEGES FOR ROLE b GRANT SELECT ON TABLES TO a; \
     CREATE PUBLICATION pub; ALTER PUBLICATION pub ADD TABLE t1; ALTER PUBLICATION pub ADD TABLE t2; \
     CREATE SEQUENCE s1; CREATE SEQUENCE s2; \
     CREATE FUNCTION g() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'; \
     CREATE TRIGGER tr BEFORE INSERT ON t1 FOR EACH ROW EXECUTE FUNCTION g(); \
     CREATE TRIGGER tr BEFORE INSERT ON t2 FOR EACH ROW EXECUTE FUNCTION g(); \
     INSERT INTO t1 VALUES (1), (2), (10); \
     DO 'BEGIN EXECUTE format($f$ALTER DATABASE %I SET work_mem = ''1MB''$f$, current_database()); END'; \
     DO 'BEGIN EXECUTE format($f$ALTER DATABASE %I SET statement_timeout = ''5min''$f$, current_database()); END'; \
     DO 'BEGIN EXECUTE format($f$ALTER ROLE a IN DATABASE %I SET search_path = ''x'', public$f$, current_database()); END'",
    "CREATE ROLE b; CREATE ROLE a; CREATE TABLE t2 (x integer, CONSTRAINT c CHECK (x > 0)); \
     CREATE TABLE t1 (x integer, CONSTRAINT c CHECK (x > 0)); \
     CREATE POLICY p ON t2 USING (true); CREATE POLICY p ON t1 TO b, a USING (true); \
     CREATE OPERATOR === (LEFTARG = bigint, RIGHTARG = bigint, FUNCTION = int8eq); \
     CREATE OPERATOR === (LEFTARG = integer, RIGHTARG = integer, FUNCTION = int4eq); \
     CREATE OPERATOR FAMILY f USING btree; \
     ALTER OPERATOR FAMILY f USING btree ADD OPERATOR 1 < (integer, bigint); \
     ALTER OPERATOR FAMILY f USING btree ADD OPERATOR 1 < (bigint, integer); \
     GRANT SELECT ON t1 TO b; GRANT SELECT ON t1 TO a; \
     ALTER DEFAULT PRIVILEGES FOR ROLE b GRANT SELECT ON TABLES TO a; \
     ALTER DEFAULT PRIVILEGES FOR ROLE a GRANT SELECT ON TABLES TO b; \
     ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO b; ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO a; \
     CREATE PUBLICATION pub; ALTER PUBLICATION pub ADD TABLE t2; ALTER PUBLICATION pub ADD TABLE t1; \
     CREATE SEQUENCE s2; CREATE SEQUENCE s1; \
     CREATE FUNCTION g() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'; \
     CREATE TRIGGER tr BEFORE INSERT ON t2 FOR EACH ROW EXECUTE FUNCTION g(); \
     CREATE TRIGGER tr BEFORE INSERT ON t1 FOR EACH ROW EXECUTE FUNCTION g(); \
     INSERT INTO t1 VALUES (10), (2), (1); \
     DO 'BEGIN EXECUTE format($f$ALTER ROLE a IN DATABASE %I SET search_path = ''x'', public$f$, current_database()); END'; \
     DO 'BEGIN EXECUTE format($f$ALTER DATABASE %I SET statement_timeout = ''5min''$f$, current_database()); END'; \
     DO 'BEGIN EXECUTE format($f$ALTER DATABASE %I SET work_mem = ''1MB''$f$, current_database()); END'",
];

#[test]
fn the_order_of_creation_does_not_show() {
    each_server(|server| {
        let [(one, first), (other, second)] = ORDERS.map(|sql| {
            let database = server.database();
            server.load(&database, sql);
            let found = (catalog(server, &database), normalised(server, &database).1);
            drop_roles(server, &database);
            found
        });
        assert!(first == second, "{}", baseline::unified_diff(("first", &first), ("second", &second), 80));
        assert!(one.compare(&other).is_empty());
        assert!(first.contains("pg_catalog.format('ALTER ROLE a IN DATABASE %I SET search_path TO "), "{first}");
        let database = server.database();
        server.load(&database, &first);
        assert_eq!(normalised(server, &database).1, first);
        drop_roles(server, &database);
    });
}

/// Statements that change something in the rich database, and what the catalog says then. One line each.
const MUTATIONS: &[(&str, &str)] = &[
    ("DROP INDEX app.line_expr", "index `app.line_expr` is missing"),
    (
        "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'app.line_order'::regclass",
        "index `app.line_order` is invalid",
    ),
    ("ALTER TABLE app.invoice DISABLE TRIGGER touch_it", "trigger `app.invoice.touch_it` is disabled"),
    (
        "ALTER TABLE app.line DISABLE TRIGGER ALL",
        "foreign key `app.line.line_invoice_id_fkey`: its system triggers are disabled (app.line D)",
    ),
    ("ALTER TABLE app.invoice ALTER total SET DEFAULT 1", "column `app.invoice.total`: default is `1`, expected `0`"),
    ("ALTER TABLE app.line OWNER TO rich_owner", "table `app.line`: owner is `rich_owner`, expected `<owner>`"),
    ("GRANT DELETE ON app.part TO rich_reader", "table `app.part`: privileges is"),
    ("ALTER TABLE app.child ALTER c TYPE bigint", "column `app.child.c`: type is `bigint`, expected `integer`"),
    ("ALTER TABLE app.other ADD y integer", "column `app.other.y` is unexpected"),
    ("ALTER TABLE app.invoice DISABLE ROW LEVEL SECURITY", "table `app.invoice`: row security is missing"),
    ("ALTER POLICY read_all ON app.invoice USING (true)", "policy `app.invoice.read_all`: using is `true`"),
    ("COMMENT ON COLUMN app.line.n IS 'x'", "column `app.line.n`: comment is `x`, expected none"),
    ("ALTER TYPE app.mood RENAME VALUE 'ok' TO 'fine'", "type `app.mood`: labels is"),
    ("ALTER DOMAIN app.email DROP NOT NULL", "type `app.email`"),
    ("CREATE OR REPLACE VIEW app.v_values AS VALUES (1, 'uno')", "view `app.v_values`: definition is"),
    ("REFRESH MATERIALIZED VIEW app.mv WITH NO DATA", "materialized view `app.mv`: populated is `no`"),
    ("ALTER SEQUENCE app.free_seq NO CYCLE", "sequence `app.free_seq`: cycle is missing"),
    ("CREATE OR REPLACE PROCEDURE app.proc(INOUT n integer) LANGUAGE sql AS 'SELECT 1'", "procedure `app.proc("),
    ("ALTER EVENT TRIGGER watch ENABLE", "event trigger `watch`"),
    ("DROP RULE twice ON app.other_between", "rule `app.other_between.twice` is missing"),
    ("DROP OPERATOR app.===(bigint, bigint)", "operator `app.===(bigint,bigint)` is missing"),
    ("DROP CAST (app.pair AS text)", "cast `app.pair AS text` is missing"),
    ("ALTER TEXT SEARCH DICTIONARY app.dict (STOPWORDS)", "text search dictionary `app.dict`: options"),
    ("DROP STATISTICS app.line_stats", "statistics `app.line_stats` is missing"),
    ("ALTER PUBLICATION pub DROP TABLE app.other", "publication `pub`: tables is"),
    ("DROP USER MAPPING FOR rich_reader SERVER remote", "user mapping `remote`: roles is `<owner>`"),
    ("ALTER SERVER remote OPTIONS (SET host 'i')", "server `remote`: options is `host=i`"),
    (
        "ALTER DEFAULT PRIVILEGES IN SCHEMA app REVOKE SELECT ON TABLES FROM rich_reader",
        "default privileges `TABLES in app of <owner>`",
    ),
    ("ALTER TABLE app.ranged DETACH PARTITION app.ranged_d", "table `app.ranged_d`: bound is missing"),
    ("ALTER TABLE app.invoice VALIDATE CONSTRAINT not_yet", "constraint `app.invoice.not_yet`: definition is"),
    ("ALTER TABLE app.other REPLICA IDENTITY FULL", "table `app.other`: replica identity is `f`"),
    ("ALTER TABLE app.scratch SET LOGGED", "table `app.scratch`: persistence is missing"),
    ("ALTER TABLE app.invoice SET (fillfactor = 80)", "table `app.invoice`: options is `fillfactor=80`"),
    (
        "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET work_mem = ''2MB''', current_database()); END $$",
        "settings `this database` is unexpected",
    ),
    ("DROP SCHEMA \"We ird\" CASCADE", "schema `\"We ird\"` is missing"),
];

#[test]
fn every_change_is_seen() {
    each_server(|server| {
        let database = server.database();
        server.load(&database, RICH);
        let failures = server.connected(&database, async |session| {
            let before = read(session.client(), &own()).await.unwrap();
            let stamp_before = stamp(session.client()).await.unwrap();
            assert_eq!(stamp(session.client()).await.unwrap(), stamp_before);
            let mut failures = Vec::new();
            for (statement, expected) in MUTATIONS {
                session.simple(&format!("BEGIN; {statement}")).await.unwrap();
                let after = read(session.client(), &own()).await.unwrap();
                let changed = stamp(session.client()).await.unwrap() != stamp_before;
                session.simple("ROLLBACK").await.unwrap();
                let found: Vec<String> = after.compare(&before).iter().map(ToString::to_string).collect();
                if !changed || !found.iter().any(|sentence| sentence.starts_with(expected)) {
                    failures.push(format!("{statement}: {found:#?}, stamp changed: {changed}"));
                }
            }
            assert_eq!(read(session.client(), &own()).await.unwrap(), before);
            failures
        });
        assert!(failures.is_empty(), "on PostgreSQL {}: {}", server.major, failures.join("\n"));
        drop_roles(server, &database);
    });
}

#[test]
fn the_owner_of_a_subscription_is_a_role_that_is_needed() {
    each_server(|server| {
        let database = server.database();
        let made = "CREATE ROLE keeper SUPERUSER; CREATE SUBSCRIPTION s CONNECTION 'dbname=x' PUBLICATION p WITH \
                    (connect = false, slot_name = NONE, enabled = false); ALTER SUBSCRIPTION s OWNER TO keeper";
        server.load(&database, made);
        let needed = |database: &str| {
            server.connected(database, async |session| mentioned_roles(session.client(), &own()).await.unwrap())
        };
        let names = |roles: Vec<baseline::RoleNeed>| roles.into_iter().map(|role| role.name).collect::<Vec<_>>();
        assert_eq!(names(needed(&database)), ["keeper"]);
        // It belongs to the whole server, but is this database's alone.
        assert_eq!(names(needed(&server.database())), [""; 0]);
        server.load(&database, "DROP SUBSCRIPTION s");
        drop_roles(server, &database);
    });
}
