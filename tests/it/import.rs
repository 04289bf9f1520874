//! Other tools' files converted by `init --from`, and their live databases taken over by `adopt --from`.

use crate::support::{Db, World, server};

/// A project of one tool, and the database that the tool has made of its first migrations.
struct Case {
    tool: &'static str,
    files: &'static [(&'static str, &'static str)],
    /// What the tool ran, and its table as it makes it, with its rows.
    database: &'static str,
    applied: usize,
    pending: usize,
}

const A: &str = "CREATE TABLE a (x integer);\n";
const B: &str = "CREATE TABLE b (x integer);\n";

const CASES: &[Case] = &[
    Case {
        tool: "dbmate",
        files: &[
            ("db/migrations/20240101000000_a.sql", "-- migrate:up\nCREATE TABLE a (x integer);\n\n-- migrate:down\n"),
            ("db/migrations/20240102000000_b.sql", "-- migrate:up\nCREATE TABLE b (x integer);\n\n-- migrate:down\n"),
        ],
        database: "CREATE TABLE schema_migrations (version varchar(128) PRIMARY KEY);
            INSERT INTO schema_migrations VALUES ('20240101000000')",
        applied: 1,
        pending: 1,
    },
    Case {
        tool: "golang-migrate",
        files: &[
            ("migrations/000001_a.up.sql", A),
            ("migrations/000002_b.up.sql", B),
            ("migrations/000002_b.down.sql", "DROP TABLE b;\n"),
        ],
        database: "CREATE TABLE schema_migrations (version bigint NOT NULL PRIMARY KEY, dirty boolean NOT NULL);
            INSERT INTO schema_migrations VALUES (1, false)",
        applied: 1,
        pending: 1,
    },
    Case {
        tool: "goose",
        files: &[
            ("migrations/00001_a.sql", "-- +goose Up\nCREATE TABLE a (x integer);\n-- +goose Down\nDROP TABLE a;\n"),
            ("migrations/00002_b.sql", "-- +goose Up\nCREATE TABLE b (x integer);\n-- +goose Down\nDROP TABLE b;\n"),
        ],
        database: "CREATE TABLE goose_db_version (id serial PRIMARY KEY, version_id bigint NOT NULL,
            is_applied boolean NOT NULL, tstamp timestamp NULL DEFAULT now());
            INSERT INTO goose_db_version (version_id, is_applied) VALUES (0, true), (1, true), (2, true), (2, false)",
        applied: 1,
        pending: 1,
    },
    Case {
        tool: "diesel",
        files: &[
            ("migrations/2024-01-01-000000_a/up.sql", A),
            ("migrations/2024-01-01-000000_a/down.sql", "DROP TABLE a;\n"),
            ("migrations/2024-01-02-000000-0000_b/up.sql", B),
        ],
        database: "CREATE TABLE __diesel_schema_migrations (version varchar(50) PRIMARY KEY,
            run_on timestamp NOT NULL DEFAULT CURRENT_TIMESTAMP);
            INSERT INTO __diesel_schema_migrations (version) VALUES ('20240101000000')",
        applied: 1,
        pending: 1,
    },
    Case {
        tool: "sqlx",
        files: &[("migrations/20240101000000_a.sql", A), ("migrations/20240102000000_b.sql", B)],
        database: "CREATE TABLE _sqlx_migrations (version bigint PRIMARY KEY, description text NOT NULL,
            installed_on timestamptz NOT NULL DEFAULT now(), success boolean NOT NULL, checksum bytea NOT NULL,
            execution_time bigint NOT NULL);
            INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
            VALUES (20240101000000, 'a', true, sha384(E'CREATE TABLE a (x integer);\\n'), 1)",
        applied: 1,
        pending: 1,
    },
    Case {
        tool: "refinery",
        files: &[("migrations/V1__a.sql", A), ("migrations/U2__b.sql", B)],
        database: "CREATE TABLE refinery_schema_history (version int4 PRIMARY KEY, name varchar(255),
            applied_on varchar(255), checksum varchar(255));
            INSERT INTO refinery_schema_history VALUES (1, 'a', '2024-01-01T00:00:00Z', '[REFINERY]')",
        applied: 1,
        pending: 1,
    },
    Case {
        tool: "prisma",
        files: &[
            ("prisma/migrations/migration_lock.toml", "provider = \"postgresql\"\n"),
            ("prisma/migrations/20240101000000_a/migration.sql", A),
            ("prisma/migrations/20240102000000_b/migration.sql", B),
        ],
        database: "CREATE TABLE _prisma_migrations (id varchar(36) PRIMARY KEY NOT NULL, checksum varchar(64) NOT NULL,
            finished_at timestamptz, migration_name varchar(255) NOT NULL, logs text, rolled_back_at timestamptz,
            started_at timestamptz NOT NULL DEFAULT now(), applied_steps_count integer NOT NULL DEFAULT 0);
            INSERT INTO _prisma_migrations (id, checksum, finished_at, migration_name, rolled_back_at) VALUES
            ('1', encode(sha256(E'CREATE TABLE a (x integer);\\n'), 'hex'), now(), '20240101000000_a', NULL),
            ('2', 'whatever', NULL, '20240102000000_b', now())",
        applied: 1,
        pending: 1,
    },
    Case {
        tool: "pop",
        files: &[("migrations/20240101000000_a.up.sql", A), ("migrations/20240102000000_b.up.sql", B)],
        database: "CREATE TABLE schema_migration (version varchar(14) PRIMARY KEY);
            INSERT INTO schema_migration VALUES ('20240101000000')",
        applied: 1,
        pending: 1,
    },
    Case {
        tool: "manifest",
        files: &[
            ("migrations/app/migrations_manifest.txt", "20240101000000_a.up.sql\n20240102000000_b.up.sql\n"),
            ("migrations/app/schema/20240101000000_a.up.sql", A),
            ("migrations/app/schema/20240102000000_b.up.sql", B),
        ],
        database: "CREATE TABLE schema_migration (version varchar(14) PRIMARY KEY);
            INSERT INTO schema_migration VALUES ('20240101000000')",
        applied: 1,
        pending: 1,
    },
    Case {
        tool: "hasura",
        files: &[("migrations/default/1616826329751_a/up.sql", A), ("migrations/default/1616826329752_b/up.sql", B)],
        database: "CREATE SCHEMA hdb_catalog; CREATE TABLE hdb_catalog.hdb_version (hasura_uuid text PRIMARY KEY,
            version text NOT NULL, upgraded_on timestamptz NOT NULL, cli_state jsonb NOT NULL DEFAULT '{}',
            console_state jsonb NOT NULL DEFAULT '{}');
            INSERT INTO hdb_catalog.hdb_version VALUES ('x', '47', now(),
            '{\"migrations\": {\"default\": {\"1616826329751\": false}}, \"settings\": {}}')",
        applied: 1,
        pending: 1,
    },
    Case {
        tool: "rails",
        files: &[(
            "db/structure.sql",
            "CREATE TABLE public.schema_migrations (version character varying NOT NULL);\nCREATE TABLE a (x integer);\n\
             INSERT INTO \"schema_migrations\" (version) VALUES\n('20240102000000'),\n('20240101000000');\n",
        )],
        database: "CREATE TABLE schema_migrations (version varchar NOT NULL);
            INSERT INTO schema_migrations VALUES ('20240102000000'), ('20240101000000')",
        applied: 1,
        pending: 0,
    },
    Case {
        tool: "flyway",
        files: &[
            ("sql/V1__a.sql", A),
            ("sql/V1_1__b.sql", B),
            ("sql/U1_1__b.sql", "DROP TABLE b;\n"),
            ("sql/R__view.sql", "CREATE OR REPLACE VIEW v AS SELECT 1 AS one;\n"),
            ("flyway.toml", "[flyway]\nlocations = [\"filesystem:sql\"]\n"),
        ],
        database: "CREATE TABLE flyway_schema_history (installed_rank integer NOT NULL, version varchar(50),
            description varchar(200) NOT NULL, type varchar(20) NOT NULL, script varchar(1000) NOT NULL, checksum integer,
            installed_by varchar(100) NOT NULL, installed_on timestamp NOT NULL DEFAULT now(),
            execution_time integer NOT NULL, success boolean NOT NULL,
            CONSTRAINT flyway_schema_history_pk PRIMARY KEY (installed_rank));
            CREATE INDEX flyway_schema_history_s_idx ON flyway_schema_history (success);
            INSERT INTO flyway_schema_history VALUES
            (1, '1', 'a', 'SQL', 'V1__a.sql', [SUM 1], 'x', now(), 1, true),
            (2, '1.1', 'b', 'SQL', 'V1_1__b.sql', [SUM 1.1], 'x', now(), 1, true),
            (3, NULL, 'view', 'SQL', 'R__view.sql', 1, 'x', now(), 1, true),
            (4, '1.1', 'b', 'UNDO_SQL', 'U1_1__b.sql', 5, 'x', now(), 1, true)",
        applied: 1,
        pending: 1,
    },
    Case {
        tool: "sqitch",
        files: &[
            ("sqitch.plan", "%project=p\n\na 2024-01-01T00:00:00Z A <a@b.c>\nb [a] 2024-01-02T00:00:00Z A <a@b.c> # more\n"),
            ("sqitch.conf", "[core]\n\tengine = pg\n"),
            ("deploy/a.sql", "BEGIN;\nCREATE TABLE a (x integer);\nCOMMIT;\n"),
            ("revert/a.sql", "DROP TABLE a;\n"),
            ("verify/a.sql", "SELECT x FROM a WHERE FALSE;\n"),
            ("deploy/b.sql", B),
        ],
        database: "CREATE SCHEMA sqitch; CREATE TABLE sqitch.changes (change_id text PRIMARY KEY, script_hash text,
            change text NOT NULL, project text NOT NULL, committed_at timestamptz NOT NULL DEFAULT clock_timestamp());
            INSERT INTO sqitch.changes VALUES ('f24555832bcb036ae1cd4aa44a295ced2cb7a8d5',
            'af9cfc1602eac75bfef25c9ca38d578cc1da2934', 'a', 'p')",
        applied: 1,
        pending: 1,
    },
    Case {
        tool: "graphile-migrate",
        files: &[
            (
                "migrations/committed/000001.sql",
                "--! Previous: -\n--! Hash: sha1:8beb3672fce1500e02c8b440c778a24b4013c94c\n\nCREATE TABLE a (x integer);\n",
            ),
            (
                "migrations/committed/000002-b.sql",
                "--! Previous: sha1:8beb3672fce1500e02c8b440c778a24b4013c94c\n\
                 --! Hash: sha1:0fa37b83e3a9aa38869ba2e8980d32d4991f0dc2\n--! Message: b\n\nCREATE TABLE b (x integer);\n",
            ),
        ],
        database: "CREATE SCHEMA graphile_migrate; CREATE TABLE graphile_migrate.migrations (hash text PRIMARY KEY,
            previous_hash text REFERENCES graphile_migrate.migrations, filename text NOT NULL,
            date timestamptz NOT NULL DEFAULT now());
            INSERT INTO graphile_migrate.migrations VALUES ('sha1:8beb3672fce1500e02c8b440c778a24b4013c94c', NULL, '000001.sql')",
        applied: 1,
        pending: 1,
    },
    Case {
        tool: "liquibase",
        files: &[
            ("changelog/root.xml", "<databaseChangeLog>\n<include file=\"a.sql\" relativeToChangelogFile=\"true\"/>\n</databaseChangeLog>\n"),
            (
                "changelog/a.sql",
                "--liquibase formatted sql\n\n--changeset me:1\nCREATE TABLE a (x integer);\n--rollback DROP TABLE a;\n\n\
                 --changeset me:2\nCREATE TABLE b (x integer);\n",
            ),
        ],
        database: "CREATE TABLE databasechangelog (id varchar(255) NOT NULL, author varchar(255) NOT NULL,
            filename varchar(255) NOT NULL, dateexecuted timestamp NOT NULL, orderexecuted integer NOT NULL,
            exectype varchar(10) NOT NULL, md5sum varchar(35));
            INSERT INTO databasechangelog VALUES ('1', 'me', 'a.sql', now(), 1, 'EXECUTED', '9:8fc5f393d7a54a179feae1363f81286a')",
        applied: 1,
        pending: 1,
    },
];

/// A project as the tool has it, converted; its production is the database.
fn converted(case: &Case, db: &Db<'_>) -> World {
    let mut world = World::new();
    world.set("PRODUCTION_URL", db.url.clone());
    for (path, text) in case.files {
        world.write(path, text);
    }
    world.commit("as the other tool has it");
    world.dbbuild(&["init", "--from", case.tool, "--no-hooks", "--postgres", "15"]).ok();
    db.psql("CREATE TABLE a (x integer)");
    let sums = [("[REFINERY]", "1"), ("[SUM 1]", "1"), ("[SUM 1.1]", "1.1")];
    let database =
        sums.iter().fold(case.database.to_owned(), |sql, (mark, key)| sql.replace(mark, &sum_of(&world, key)));
    db.psql(&database);
    world
}

/// The checksum that the record keeps of a migration, the first of them.
fn sum_of(world: &World, key: &str) -> String {
    let record = world.read("db/migrations/.imported.toml");
    let after = record.split(&format!("key = \"{key}\", checksum = \"")).nth(1).unwrap_or_default();
    after.split(['"', ' ']).next().unwrap_or_default().to_owned()
}

fn take_over(case: &Case) -> Vec<&str> {
    vec!["adopt", "--from", case.tool, "--env", "production", "--confirm", "production"]
}

#[test]
fn every_tools_table_is_taken_over_and_nothing_runs_twice() {
    let Some(server) = server(15) else { return };
    for case in CASES {
        eprintln!("{}", case.tool);
        let db = server.fresh_database();
        let world = converted(case, &db);
        let refused = world.dbbuild(&["adopt", "--from", case.tool, "--env", "production"]);
        refused.fails(1).says("the name was not confirmed");
        nothing_of_dbbuild(&db);

        let outcome = world.dbbuild(&take_over(case)).ok().clone();
        outcome.says(&format!("{} migration", case.applied)).says("recorded as applied");
        let rows = db.psql("SELECT count(*), min(origin), max(origin) FROM dbbuild.migration");
        assert_eq!(rows, format!("{}|adopted|adopted", case.applied));
        assert_eq!(db.psql("SELECT name, protected FROM dbbuild.environment"), "production|t");
        world.dbbuild(&take_over(case)).fails(1).says("dbbuild manages it already");

        let plan = world.dbbuild(&["plan", "--env", "production"]).ok().clone();
        plan.says_not("CREATE TABLE a");
        world.dbbuild(&["apply", "--allow-dirty", "--env", "production"]).ok();
        let count = case.applied + case.pending;
        assert_eq!(db.psql("SELECT count(*) FROM dbbuild.migration"), count.to_string());
        assert_eq!(db.psql("SELECT to_regclass('b') IS NOT NULL"), if case.pending == 1 { "t" } else { "f" });
    }
}

fn nothing_of_dbbuild(db: &Db<'_>) {
    assert_eq!(db.psql("SELECT to_regnamespace('dbbuild') IS NULL"), "t");
}

#[test]
fn a_table_that_does_not_fit_is_refused_and_nothing_is_written() {
    let Some(server) = server(15) else { return };
    let broken = [
        ("golang-migrate", "UPDATE schema_migrations SET dirty = true", "it is dirty"),
        ("golang-migrate", "UPDATE schema_migrations SET version = 7", "holds `7`, which is no migration of this tree"),
        ("goose", "INSERT INTO goose_db_version (version_id, is_applied) VALUES (9, true)", "holds `9`"),
        ("sqlx", "UPDATE _sqlx_migrations SET checksum = '\\x00'", "another checksum for `20240101000000`"),
        ("sqlx", "UPDATE _sqlx_migrations SET success = false", "it failed half way"),
        ("refinery", "UPDATE refinery_schema_history SET checksum = '1'", "another checksum for `1`"),
        ("prisma", "UPDATE _prisma_migrations SET finished_at = NULL", "it failed or was interrupted"),
        ("prisma", "UPDATE _prisma_migrations SET checksum = 'x'", "another checksum"),
        ("rails", "DELETE FROM schema_migrations WHERE version = '20240101000000'", "applied in part"),
        ("flyway", "UPDATE flyway_schema_history SET success = false WHERE version = '1'", "it failed"),
        ("flyway", "UPDATE flyway_schema_history SET checksum = 7 WHERE version = '1'", "another checksum for `1`"),
        ("sqitch", "UPDATE sqitch.changes SET change_id = 'x'", "holds `x`"),
        ("sqitch", "UPDATE sqitch.changes SET script_hash = 'x'", "another checksum"),
        ("graphile-migrate", "UPDATE graphile_migrate.migrations SET hash = 'x'", "another checksum for `000001.sql`"),
        ("liquibase", "UPDATE databasechangelog SET md5sum = '9:x'", "another checksum"),
        ("liquibase", "UPDATE databasechangelog SET exectype = 'FAILED'", "it failed"),
        ("diesel", "DROP TABLE __diesel_schema_migrations", "has no table `__diesel_schema_migrations`"),
    ];
    for (tool, sql, message) in broken {
        eprintln!("{tool}: {sql}");
        let case = CASES.iter().find(|case| case.tool == tool).unwrap();
        let db = server.fresh_database();
        let world = converted(case, &db);
        db.psql(sql);
        world.dbbuild(&take_over(case)).fails(1).says(message);
        nothing_of_dbbuild(&db);
    }
}

#[test]
fn another_table_can_be_named() {
    let Some(server) = server(15) else { return };
    let case = CASES.iter().find(|case| case.tool == "dbmate").unwrap();
    let db = server.fresh_database();
    let world = converted(case, &db);
    db.psql("CREATE SCHEMA ops; ALTER TABLE schema_migrations SET SCHEMA ops; ALTER TABLE ops.schema_migrations RENAME TO \"Ran\"");
    world.dbbuild(&take_over(case)).fails(1).says("has no table `schema_migrations`");
    let mut arguments = take_over(case);
    arguments.extend(["--table", "ops.\"Ran\""]);
    world.dbbuild(&arguments).ok().says("ops.\"Ran\" stays as it is");
    arguments[2] = "sqlx";
    world.dbbuild(&arguments).fails(2).says("came from dbmate, not from sqlx");
}

#[test]
fn a_developers_database_is_taken_over_without_drift() {
    let Some(server) = server(15) else { return };
    for tool in ["dbmate", "goose"] {
        let case = CASES.iter().find(|case| case.tool == tool).unwrap();
        let db = server.fresh_database();
        let mut world = converted(case, &db);
        world.set("DATABASE_URL", db.url.clone());
        let config = world.read("dbbuild.toml").replace("# url_env = \"DATABASE_URL\"", "url_env = \"DATABASE_URL\"");
        world.write("dbbuild.toml", config);
        world.dbbuild(&["adopt", "--from", tool, "--confirm", "development"]).ok();
        world.dbbuild(&["build"]).ok().says_not("drift");
        db.psql("CREATE TABLE stranger ()");
        world.dbbuild(&["build"]).fails(3).says("stranger").says_not(case.tool);
    }
}

#[test]
fn originals_go_only_where_a_commit_has_them() {
    let world = World::new();
    world.write("migrations/1_a.up.sql", A).write("migrations/1_a.down.sql", "DROP TABLE a;\n");
    world.commit("one");
    world.write("migrations/2_b.up.sql", B).write("migrations/2_b.down.sql", "DROP TABLE b;\n");
    world.write("migrations/1_a.down.sql", "-- edited\nDROP TABLE a;\n");
    let outcome = world.dbbuild(&["init", "--from", "golang-migrate", "--no-hooks"]).ok().clone();
    outcome.says("removed 1 original").says("left 3 converted originals in place");
    assert!(!world.path("migrations/1_a.up.sql").exists());
    for left in ["migrations/1_a.down.sql", "migrations/2_b.up.sql", "migrations/2_b.down.sql"] {
        assert!(world.path(left).exists(), "{left}");
    }
    assert!(world.read("db/migrations/1_a.sql").ends_with("-- migrate:down\n-- edited\nDROP TABLE a;\n"));
}

#[test]
fn an_unchanged_file_is_a_renaming_to_git() {
    let world = World::new();
    let text = |name: &str| format!("CREATE TABLE {name} (x integer);\nCREATE INDEX ON {name} (x);\n");
    world.write("migrations/1_one.sql", text("one")).write("migrations/2_two.sql", text("two"));
    world.commit("one");
    world.dbbuild(&["init", "--from", "sqlx", "--no-hooks"]).ok();
    world.git(&["add", "--all"]).ok();
    let status = world.git(&["diff", "--cached", "--name-status", "-M100%"]).ok().stdout.clone();
    assert_eq!(status.lines().filter(|line| line.starts_with("R100")).count(), 2, "{status}");
    assert_eq!(status.lines().filter(|line| line.starts_with('D')).count(), 0, "{status}");
}

#[test]
fn what_stands_in_the_way_is_told_and_nothing_is_written() {
    let world = World::new();
    world.write("migrations/1_a.up.sql", A).write("migrations/2_b.up.sql", B);
    world.commit("one");
    world.write("db/migrations/0_mine.sql", "SELECT 1;\n").write("db/migrations/2_b.sql", "SELECT 2;\n");
    let outcome = world.dbbuild(&["init", "--from", "golang-migrate", "--no-hooks"]).fails(1).clone();
    outcome.says("is a migration already, and none of the tool's at db/migrations/0_mine.sql");
    outcome.says("is there already, with another content at db/migrations/2_b.sql");
    assert!(!world.path("dbbuild.toml").exists() && !world.path("db/migrations/1_a.sql").exists());
    assert!(world.path("migrations/1_a.up.sql").exists());

    world.write("migrations/3_c.up.sql", "\\connect postgres\nSELECT 'open\n");
    world.dbbuild(&["init", "--from", "golang-migrate", "nowhere"]).fails(2).says("cannot find nowhere");
    world.dbbuild(&["init", "--from", "magic"]).fails(2).says("golang-migrate");
    std::os::unix::fs::symlink("/etc/passwd", world.path("migrations/4_d.up.sql")).unwrap();
    let outcome = world.dbbuild(&["init", "--from", "golang-migrate", "--json"]).fails(1).clone();
    outcome.says("is a symbolic link").says("migrations/4_d.up.sql");
}

#[test]
fn the_report_is_whole_in_json() {
    let world = World::new();
    world.write("prisma/migrations/migration_lock.toml", "provider = \"postgresql\"\n");
    world.write("prisma/migrations/20240101000000_a/migration.sql", A);
    world.write("prisma/migrations/20240101000000_a/notes.txt", "x");
    world.commit("one");
    let outcome = world.dbbuild(&["init", "--from", "prisma", "--keep", "--no-hooks", "--json"]).ok().clone();
    let answer = outcome.json();
    let import = &answer["import"];
    assert_eq!(import["files"][0]["path"], "db/migrations/20240101000000_a.sql");
    assert_eq!(import["files"][0]["from"][0], "prisma/migrations/20240101000000_a/migration.sql");
    assert_eq!(import["left"][0], "prisma/migrations/20240101000000_a/migration.sql");
    assert_eq!(import["removed"].as_array().unwrap().len(), 0);
    let remarked: Vec<&str> =
        import["remarks"].as_array().unwrap().iter().map(|remark| remark["path"].as_str().unwrap()).collect();
    assert_eq!(remarked, ["prisma/migrations/20240101000000_a/notes.txt", "prisma/migrations/migration_lock.toml"]);
}
