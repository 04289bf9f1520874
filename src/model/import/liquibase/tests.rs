//! Changelogs of Liquibase as they are and as they should not be.

use super::super::test_tree::{converted, faults, remarked, texts};
use super::*;

const ROOT: &str = "databaseChangeLog:\n  - property:\n      name: who\n      value: joe\n  - include:\n      file: sub/one.sql\n      relativeToChangelogFile: true\n  - includeAll:\n      path: all/\n      relativeToChangelogFile: true\n  - changeSet:\n      id: 7\n      author: ann\n      changes:\n        - sql:\n            sql: select 1; select 2;\n        - sqlFile:\n            path: sub/f.txt\n            relativeToChangelogFile: true\n            splitStatements: false\n      rollback: select 3\n";

const ONE: &str = "--liquibase formatted sql\n\n--changeset bob:1 labels:x runOnChange:true\n--comment: hello\ncreate   table t1 (\n  a int -- note ${who}\n);\n--rollback drop table t1;\n\n--changeset bob:two splitStatements:false stripComments:false endDelimiter:/\ncreate table t2 (a int); /* c */\ncreate table t3 (a int);\n";

const FILES: &[(&str, &str)] = &[
    ("root.yaml", ROOT),
    ("sub/one.sql", ONE),
    ("sub/f.txt", "create table f1 (a int);\n"),
    (
        "all/b.sql",
        "--liquibase formatted sql logicalFilePath:logi.sql\n--changeset z:1 runInTransaction:false\ncreate table b1 (a int);\n",
    ),
    ("all/a.sql", "create table raw1 (a int);\n"),
];

#[test]
fn a_changelog_becomes_what_liquibase_remembers() {
    let layout = converted(&TOOL, "root.yaml", FILES).unwrap();
    let keys: Vec<_> = layout
        .record
        .migration
        .iter()
        .map(|m| (m.keys[0].key.as_str(), m.keys[0].checksum.as_deref().unwrap()))
        .collect();
    // Keys and sums as Liquibase 4.28.1 wrote them for these very files.
    assert_eq!(
        keys,
        [
            ("sub/one.sql::1::bob", "9:dee142e231abdb6c45d1ebd5f118efc7"),
            ("sub/one.sql::two::bob", "9:203e7da920f6ab4b3558882d157e4551"),
            ("all/a.sql::raw::includeAll", "9:2c92903dfec85de0ff1dfa7dfafdf0c3"),
            ("logi.sql::1::z", "9:ccca5516e54b51936d7b81e41a327eb5"),
            ("root.yaml::7::ann", "9:ba4dc54c0b06dcd57793d7adf355b8b2"),
        ]
    );
    let texts = texts(&layout);
    assert_eq!(texts[0].0, "db/migrations/0001_one_1.sql");
    assert!(texts[0].1.starts_with("-- migrate:up\n--changeset bob:1"), "{}", texts[0].1);
    assert!(
        texts[0].1.contains("note ${who}") && texts[0].1.ends_with("-- migrate:down\ndrop table t1;\n"),
        "{}",
        texts[0].1
    );
    assert_eq!(texts[2], ("db/migrations/0003_a.sql", "create table raw1 (a int);\n"));
    assert_eq!(texts[3].1, format!("-- migrate:up transaction:false\n{}", FILES[3].1));
    assert_eq!(
        texts[4].1,
        "-- migrate:up\nselect 1; select 2;\ncreate table f1 (a int);\n-- migrate:down\nselect 3\n;\n"
    );
    assert_eq!(layout.settings[0].key, "placeholders.who");
    assert!(remarked(&layout).contains(&"sub/one.sql:3".to_owned()), "{:?}", layout.remarks);
}

#[test]
fn what_runs_on_change_leaves_the_order_where_nothing_needs_it() {
    let text = "--liquibase formatted sql\n\
        --changeset a:v runOnChange:true\ncreate or replace view v as select 1 as a;\n\
        --changeset a:f runOnChange:true\ncreate or replace function f() returns int language sql as 'select 1';\n\
        --changeset a:t\ncreate table t (a int default f());\n\
        --changeset a:x runOnChange:true\ncreate table x ();\n\
        --changeset a:g runAlways:true\ngrant select on t to public;\n";
    let layout = converted(&TOOL, "c.sql", &[("c.sql", text)]).unwrap();
    let paths: Vec<&str> = layout.files.iter().map(|file| file.path.as_str()).collect();
    assert_eq!(
        paths,
        [
            "db/migrations/0001_c_f.sql",
            "db/migrations/0002_c_t.sql",
            "db/migrations/0003_c_x.sql",
            "db/repeatable/01_c_v.sql",
            "db/repeatable/02_c_g.sql"
        ]
    );
    assert_eq!(texts(&layout)[4].1.lines().next(), Some("-- dbbuild:run always"));
    assert_eq!(remarked(&layout), ["c.sql:4", "c.sql:8"]);
    assert_eq!(layout.record.script.len(), 2);
}

#[test]
fn xml_holds_changesets_of_its_own() {
    let xml = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<databaseChangeLog xmlns=\"http://www.liquibase.org/xml/ns/dbchangelog\" logicalFilePath=\"l.xml\">\n\
        <changeSet id=\"1\" author=\"a\" dbms=\"postgresql,h2\"><comment>x</comment><sql endDelimiter=\"/\">select 'a&lt;b'\n/\nselect 2</sql><rollback/></changeSet>\n\
        <changeSet id=\"2\" author=\"a\" dbms=\"oracle\"><createTable tableName=\"x\"/></changeSet>\n\
        <changeSet id=\"3\" author=\"a\"><tagDatabase tag=\"v1\"/></changeSet>\n</databaseChangeLog>\n";
    let layout = converted(&TOOL, "root.xml", &[("root.xml", xml)]).unwrap();
    let texts = texts(&layout);
    assert_eq!(texts[0].1, "select 'a<b'\n;\nselect 2\n;\n");
    assert_eq!(texts[1].1, "-- 3 by a: nothing runs here\n");
    assert_eq!(texts.len(), 2);
    assert_eq!(layout.record.migration[0].keys[0].key, "l.xml::1::a");
    assert_eq!(remarked(&layout), ["root.xml", "root.xml:6", "root.xml:7"]);
}

#[test]
fn bad_changelogs_are_told_with_file_and_line() {
    let include = |file: &str| format!("databaseChangeLog:\n- include:\n    file: {file}\n");
    let (itself, a, b) = (include("root.yaml"), include("a.yaml"), include("root.yaml"));
    let (up, gone) = (include("../../../etc/passwd"), include("gone.sql"));
    let head = "--liquibase formatted sql\n";
    let change = "databaseChangeLog:\n- changeSet:\n    id: 1\n    author: a\n    changes:\n    - createTable:\n        tableName: x\n";
    let formatted = |text: &str| format!("{head}{text}");
    let bad = [
        "--changeset bob\nselect 1;\n",
        "- changeset bob:1\n",
        "--changeset bob:1 runOnChange:perhaps\nselect 1;",
        "--ignoreLines:start\n",
        "--changeset bob:1\n--precondition-magic x\nselect 1;",
        "--changeset a:1\nselect 1;\n--changeset a:1\nselect 2;\n",
    ];
    let lines = ["f.sql:2", "f.sql:2", "f.sql:2", "f.sql:2", "f.sql:3", "f.sql:4"];
    for (text, wanted) in bad.iter().zip(lines) {
        let text = formatted(text);
        let faults = faults(converted(&TOOL, "f.sql", &[("f.sql", text.as_str())]));
        assert!(faults[0].contains(wanted), "{text}: {faults:?}");
    }
    for (files, wanted) in [
        (vec![("root.yaml", itself.as_str())], "root.yaml:2"),
        (vec![("root.yaml", a.as_str()), ("a.yaml", b.as_str())], "a.yaml:2"),
        (vec![("root.yaml", up.as_str())], "root.yaml:2"),
        (vec![("root.yaml", gone.as_str())], "root.yaml:2"),
        (vec![("root.yaml", change)], "root.yaml:6"),
        (vec![("root.yaml", "databaseChangeLog:\n- modifyChangeSets: {}\n")], "root.yaml:2"),
        (vec![("root.yaml", "databaseChangeLog:\n- changeSet:\n    id: 1\n")], "root.yaml:2"),
    ] {
        let faults = faults(converted(&TOOL, "root.yaml", &files));
        assert!(faults[0].contains(wanted), "{wanted}: {faults:?}");
    }
    let no_pg = [("liquibase.properties", "# x\nchangelog-file: gone.xml\n")];
    assert!(faults(converted(&TOOL, "liquibase.properties", &no_pg))[0].contains("liquibase.properties:2"));
}

#[test]
fn rows_are_found_by_the_end_of_their_path() {
    let mut record = Record::new("liquibase");
    let keys = vec![Key::plain("src/main/resources/db/a.sql::1::x")];
    record.migration.push(super::super::record::RecordedMigration { version: "1".to_owned(), files: Vec::new(), keys });
    let row = |key: &str| Row { key: key.to_owned(), checksum: None, trouble: None };
    assert_eq!(expand(&record, &row("db/a.sql::1::x"))[0].key, "src/main/resources/db/a.sql::1::x");
    assert_eq!(expand(&record, &row("b/a.sql::1::x"))[0].key, "b/a.sql::1::x");
}

#[test]
fn lists_of_databases_and_contexts_are_read() {
    for (dbms, ours) in [
        ("postgresql", true),
        ("oracle, postgresql", true),
        ("!oracle", true),
        ("oracle", false),
        ("!postgresql", false),
        ("all", true),
    ] {
        assert_eq!(for_postgresql(dbms), ours, "{dbms}");
    }
    assert_eq!(environments("(prod or dev)").unwrap(), ["prod", "dev"]);
    assert_eq!(environments("a, b").unwrap(), ["a", "b"]);
    for bad in ["!test", "a and b", "not a"] {
        assert_eq!(environments(bad), None, "{bad}");
    }
}
