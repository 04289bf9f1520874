//! Trees of Flyway as they are and as they should not be.

use super::super::test_tree::{converted, faults, remarked, texts};
use super::*;

#[test]
fn versions_undo_and_repeatable_files_find_their_place() {
    let files = [
        ("sql/V1__one.sql", "CREATE TABLE a ();\r\n"),
        ("sql/V1_1__two.sql", "CREATE INDEX CONCURRENTLY i ON a (b);\n"),
        ("sql/V1_1__two.sql.conf", "executeInTransaction=false\nencoding=UTF-8\n"),
        ("sql/sub/V1.10__three.sql", "SELECT 3;\n"),
        ("sql/U1__one.sql", "DROP TABLE a;\n"),
        ("sql/U9__gone.sql", "DROP TABLE z;\n"),
        ("sql/R__b_view.sql", "CREATE OR REPLACE VIEW v AS SELECT 1;\n"),
        ("sql/R__b1.sql", "CREATE OR REPLACE VIEW w AS SELECT 1;\n"),
        ("sql/afterMigrate.sql", "ANALYZE;\n"),
        ("sql/beforeMigrate__x.sql", "SELECT 1;\n"),
        ("sql/readme.md", "about"),
        ("sql/V2_bad.sql", "SELECT 1;\n"),
    ];
    let layout = converted(&TOOL, "sql", &files).unwrap();
    let texts = texts(&layout);
    assert_eq!(
        texts[0],
        ("db/migrations/100_one.sql", "-- migrate:up\nCREATE TABLE a ();\n-- migrate:down\nDROP TABLE a;\n")
    );
    assert_eq!(
        texts[1],
        ("db/migrations/101_two.sql", "-- migrate:up transaction:false\nCREATE INDEX CONCURRENTLY i ON a (b);\n")
    );
    assert_eq!(texts[2], ("db/migrations/110_three.sql", "SELECT 3;\n"));
    assert_eq!(texts[3].0, "db/repeatable/01_b_view.sql", "Flyway runs `b view` before `b1`");
    assert_eq!(texts[4].0, "db/repeatable/02_b1.sql");
    assert_eq!(
        texts[5],
        ("db/repeatable/afterMigrate.sql", "-- dbbuild:after 02_b1.sql\n-- dbbuild:run always\nANALYZE;\n")
    );
    let keys: Vec<&str> = layout.record.migration.iter().map(|m| m.keys[0].key.as_str()).collect();
    assert_eq!(keys, ["1", "1.1", "1.10"]);
    assert_eq!(layout.record.migration[0].keys[0].checksum.as_deref(), Some(&*text::checksum("CREATE TABLE a ();")));
    let remarked = remarked(&layout);
    for path in ["sql/U9__gone.sql", "sql/beforeMigrate__x.sql", "sql/readme.md", "sql/V2_bad.sql"] {
        assert!(remarked.contains(&path.to_owned()), "{path} in {remarked:?}");
    }
}

#[test]
fn a_baseline_script_counts_where_its_versions_are_gone() {
    let gone =
        [("sql/B5__base.sql", "SELECT 5;\n"), ("sql/B3__old.sql", "SELECT 3;\n"), ("sql/V6__x.sql", "SELECT 6;\n")];
    let layout = converted(&TOOL, "sql", &gone).unwrap();
    assert_eq!(
        texts(&layout).iter().map(|(path, _)| *path).collect::<Vec<_>>(),
        ["db/migrations/5_base.sql", "db/migrations/6_x.sql"]
    );
    assert_eq!(remarked(&layout), ["sql/B3__old.sql"]);
    let there =
        [("sql/B5__base.sql", "SELECT 5;\n"), ("sql/V4__y.sql", "SELECT 4;\n"), ("sql/V6__x.sql", "SELECT 6;\n")];
    let layout = converted(&TOOL, "sql", &there).unwrap();
    assert_eq!(layout.files.len(), 2);
    assert_eq!(remarked(&layout), ["sql/B5__base.sql"]);
}

#[test]
fn the_configuration_says_where_and_how() {
    let conf = "flyway.locations=filesystem:db/sql,classpath:db/migration\nflyway.defaultSchema=app\nflyway.schemas=app,audit\n\
        flyway.table=versions\nflyway.sqlMigrationPrefix=M\nflyway.sqlMigrationSuffixes=.pgsql\nflyway.initSql=SET x = 1\n\
        flyway.encoding=ISO-8859-1\n";
    let mut files = Snapshot::new();
    files.insert("flyway.conf", FileEntry::blob(conf.as_bytes().to_vec()));
    files.insert("db/sql/M1__a.pgsql", FileEntry::blob(b"SELECT '\xe9';\n".to_vec()));
    files.insert("src/main/resources/db/migration/M2__b.pgsql", FileEntry::blob(b"SELECT 2;\n".to_vec()));
    files.insert("db/sql/V9__no.sql", FileEntry::blob(b"SELECT 9;\n".to_vec()));
    let input = Input { files: &files, place: "flyway.conf" };
    assert_eq!(scope(&input).unwrap(), ["db/sql", "src/main/resources/db/migration"]);
    let layout = super::super::layout::lay_out(
        "flyway",
        convert(&input).unwrap(),
        &input,
        &crate::model::config::Paths::default(),
    )
    .unwrap();
    let texts = texts(&layout);
    assert_eq!(
        texts[0].1,
        "SET search_path TO \"app\", \"$user\", public;\nCREATE SCHEMA IF NOT EXISTS \"app\";\n\
         CREATE SCHEMA IF NOT EXISTS \"audit\";\nSELECT 'é';\n"
    );
    assert_eq!(texts[1].1, "SET search_path TO \"app\", \"$user\", public;\nSELECT 2;\n");
    assert_eq!(layout.record.table.as_deref(), Some("\"app\".\"versions\""));
    let remarked = remarked(&layout);
    assert!(
        remarked.contains(&"flyway.conf:7".to_owned()) && remarked.contains(&"db/sql/V9__no.sql".to_owned()),
        "{remarked:?}"
    );
}

use crate::model::snapshot::{FileEntry, Snapshot};

#[test]
fn a_history_that_names_flyways_table_gets_one() {
    let files =
        [("sql/V0__x.sql", "REVOKE ALL ON flyway_schema_history FROM public;\n"), ("sql/V1__y.sql", "SELECT 1;\n")];
    let layout = converted(&TOOL, "sql", &files).unwrap();
    let texts = texts(&layout);
    assert_eq!(texts[0].0, "db/migrations/0_x.sql");
    assert!(texts[0].1.contains("CREATE TABLE IF NOT EXISTS flyway_schema_history (\n"), "{}", texts[0].1);
    assert!(texts[0].1.ends_with("REVOKE ALL ON flyway_schema_history FROM public;\n"));
    assert_eq!(texts[1].1, "SELECT 1;\n");
    assert_eq!(layout.record.migration[0].keys[0].checksum.as_deref(), Some(&*text::checksum(files[0].1)));
}

#[test]
fn contradictions_and_what_is_no_sql_are_faults() {
    for (files, wanted) in [
        (vec![("sql/V1__a.sql", "SELECT 1;"), ("sql/V1.0__b.sql", "SELECT 1;")], "sql/V1__a.sql"),
        (vec![("sql/R__a.sql", "SELECT 1;"), ("sql/x/R__a.sql", "SELECT 1;")], "description"),
        (vec![("sql/V1__a.java", "class V1__a {}"), ("sql/V2__b.sql", "SELECT 1;")], "sql/V1__a.java"),
        (vec![("sql/V1__a.sql", "SELECT 1;"), ("sql/V1__a.sql.conf", "\nshouldExecute=${x}==y")], "V1__a.sql.conf:2"),
        (vec![("sql/V1__a.sql", "SELECT 1;"), ("sql/V1__a.sql.conf", "executeInTransaction=no")], "V1__a.sql.conf:1"),
        (vec![("sql/V1__a.sql", "SELECT\n ${flyway:user};")], "sql/V1__a.sql:2"),
        (vec![("sql/V1__a.sql", "SELECT 1;\n-- migrate:down\n")], "sql/V1__a.sql"),
    ] {
        let faults = faults(converted(&TOOL, "sql", &files));
        assert!(faults.iter().any(|fault| fault.contains(wanted)), "{wanted}: {faults:?}");
    }
    let conf = [("flyway.conf", "flyway.locations=filesystem:../../etc\n")];
    assert!(faults(converted(&TOOL, "flyway.conf", &conf))[0].contains("flyway.conf:1"));
    let conf = [("flyway.conf", "\nflyway.locations=s3:bucket/x\n")];
    assert!(faults(converted(&TOOL, "flyway.conf", &conf))[0].contains("flyway.conf:2"));
}
