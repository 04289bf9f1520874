//! Plans and trees of Sqitch as they are and as they should not be.

use super::super::test_tree::{converted, faults, remarked, texts};
use super::*;

const PLAN: &str = "%syntax-version=1.0.0\n%project=flipr\n%uri=https://Example.com:443\n\n\
    appschema 2026-11-24T22:59:43Z Ann Émile <a@b.c> # Adds the schema.\n\
    t/users [appschema] 2026-11-24T22:59:44Z Ann Émile <a@b.c> # Multi\\nline \\\\ note\n\
    @v1 2026-11-24T22:59:45Z Ann Émile <a@b.c> # one\n\
    # a comment\n\
    t/users [t/users@v1] 2026-11-24T22:59:45Z Ann Émile <a@b.c> # again\n\
    x [t/users@v1 t/users !dr_evil] 2026-11-24T22:59:46Z Ann Émile <a@b.c># é\n";

const FILES: &[(&str, &str)] = &[
    ("sqitch.plan", PLAN),
    ("deploy/appschema.sql", "BEGIN;\nCREATE SCHEMA s;\nCOMMIT;\n"),
    ("revert/appschema.sql", "BEGIN;\nDROP SCHEMA s;\nCOMMIT;\n"),
    ("verify/appschema.sql", "BEGIN;\nSELECT pg_catalog.has_schema_privilege('s', 'usage');\nROLLBACK;\n"),
    ("deploy/t/users@v1.sql", "CREATE TABLE s.users (a int);\n"),
    ("verify/t/users@v1.sql", "SELECT a FROM s.users WHERE FALSE;\n"),
    ("deploy/t/users.sql", "\\set n b\nALTER TABLE s.users ADD :n int;\n"),
    ("verify/t/users.sql", "BEGIN;\nSELECT a, b\n  FROM s.users WHERE false;\nROLLBACK;\n"),
    ("deploy/x.sql", "BEGIN;\nSELECT 1;\nCOMMIT;\nBEGIN;\nSELECT 2;\nCOMMIT;\n"),
];

/// The tree with some files in place of others; an empty text takes one away.
fn with<'a>(changes: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let mut files: Vec<(&str, &str)> = FILES.to_vec();
    for change in changes {
        files.retain(|file| file.0 != change.0);
        files.push(*change);
    }
    files.retain(|file| !file.1.is_empty());
    files
}

#[test]
fn ids_are_those_that_sqitch_computes() {
    let plan = plan::parse("sqitch.plan", PLAN).unwrap();
    let ids: Vec<&str> = plan.changes.iter().map(|change| change.id.as_str()).collect();
    assert_eq!(
        ids,
        [
            "75ff5d0cb68db01047b7eda92fe81428c91566cf",
            "759a823aea87d4d33d4f1d8699e9df46be5199e2",
            "a1416aa9b33ba5aa9d33c32b7df54abd4c7e4a76",
            "99839cecf532d25c06d78611dbd4d6e96d5551b2"
        ]
    );
    assert_eq!(plan.changes[1].rework_tags, ["v1"]);
}

#[test]
fn a_plan_becomes_migrations_in_its_order() {
    let layout = converted(&TOOL, "", FILES).unwrap();
    let texts = texts(&layout);
    let names: Vec<&str> = texts.iter().map(|(path, _)| *path).collect();
    assert_eq!(
        names,
        [
            "db/migrations/0001_appschema.sql",
            "db/migrations/0002_t-users_v1.sql",
            "db/migrations/0003_t-users.sql",
            "db/migrations/0004_x.sql",
            "db/checks/t-users.sql"
        ]
    );
    assert_eq!(
        texts[0].1,
        "-- dbbuild:description Adds the schema.\n-- migrate:up\nBEGIN;\nCREATE SCHEMA s;\nCOMMIT;\n\
         -- migrate:down\nBEGIN;\nDROP SCHEMA s;\nCOMMIT;\n"
    );
    assert!(texts[1].1.starts_with("-- dbbuild:description Multi line \\ note @v1\n"), "{}", texts[1].1);
    assert!(texts[3].1.contains("-- migrate:up transaction:false\n"), "two transactions stay two: {}", texts[3].1);
    assert_eq!(texts[4].1, "SELECT a, b\n  FROM s.users WHERE false;\n");
    let keys: Vec<_> = layout.record.migration.iter().flat_map(|migration| migration.keys.clone()).collect();
    assert_eq!(keys[1].checksum.as_deref(), Some(plan::sha1_hex(b"CREATE TABLE s.users (a int);\n").as_str()));
    let remarked = remarked(&layout);
    for place in ["verify/appschema.sql", "verify/t/users@v1.sql", "sqitch.plan:10"] {
        assert!(remarked.iter().any(|remark| remark.starts_with(place)), "{place} in {remarked:?}");
    }
}

#[test]
fn meta_commands_ask_for_psql_and_what_they_read_is_named() {
    let files = with(&[("deploy/x.sql", "SELECT 1;\n\\ir ../common.sql\n\\copy t from 'data/t.csv' csv\n")]);
    let layout = converted(&TOOL, "", &files).unwrap();
    let text = texts(&layout)[3].1;
    assert!(text.contains("-- dbbuild:psql true\n-- migrate:up\nSELECT 1;\n\\ir"), "{text}");
    let remarks: Vec<_> = layout.remarks.iter().filter(|remark| remark.location.path == "deploy/x.sql").collect();
    assert_eq!(remarks.iter().map(|remark| remark.location.line).collect::<Vec<_>>(), [2, 3]);
    assert!(remarks[1].what.contains("data/t.csv"));
}

#[test]
fn folders_come_from_the_configuration() {
    let conf =
        "[core]\n\tengine = pg\n\ttop_dir = sql ; here\n[engine \"pg\"]\n\tdeploy_dir = \"up\"\n\tregistry = tracks\n";
    let files = [
        ("a/sqitch.conf", conf),
        ("a/sql/sqitch.plan", "%project=p\n\none 2026-11-24T22:59:43Z A <a@b.c>\n"),
        ("a/up/one.sql", "SELECT 1;\n"),
        ("a/sql/revert/one.sql", "SELECT 2;\n"),
    ];
    let layout = converted(&TOOL, "a", &files).unwrap();
    assert_eq!(texts(&layout)[0].1, "-- migrate:up\nSELECT 1;\n-- migrate:down\nSELECT 2;\n");
    assert_eq!(layout.record.table.as_deref(), Some("\"tracks\".changes"));
    for (line, bad) in [(1, "[core]\ntop_dir = ../../.."), (1, "[core]\nengine = mysql"), (0, "[core\n"), (0, "x = 1")]
    {
        let mut files = files.to_vec();
        files[0].1 = bad;
        assert!(faults(converted(&TOOL, "a", &files))[0].contains(&format!("a/sqitch.conf:{}", line + 1)), "{bad}");
    }
}

#[test]
fn bad_plans_are_told_with_their_line() {
    let line = "2026-11-24T22:59:43Z A <a@b.c>";
    for (text, place, what) in [
        (format!("%project=p\n\na {line}\nb 2026-11-2"), ":4", "timestamp"),
        (format!("%project=p\n\na {line}\nb 2026-11-24T22:59:43Z A <a@b"), ":4", "planner"),
        (format!("%project=p\n\na {line}\nb"), ":4", "timestamp"),
        (format!("%project=p\n\na [b {line}"), ":3", "`]`"),
        (format!("%project=p\n\na {line}\na {line}"), ":4", "already"),
        (format!("%project=p\n\na [b] {line}\nb {line}"), ":3", "later"),
        (format!("%project=p\n\na [a] {line}"), ":3", "itself"),
        (format!("%project=p\n\na [zz] {line}"), ":3", "has not"),
        (format!("%project=p\n\na [a@v1] {line}\n@v1 {line}"), ":3", "has not"),
        (format!("%project=p\n\n@v {line}"), ":3", "before every change"),
        (format!("%project=p\n\na {line}\n@v {line}\n@v {line}"), ":5", "already"),
        (format!("%project=p\n\n-a {line}"), ":3", "reverts"),
        (format!("%project=p\na {line}"), ":2", "blank line"),
        (format!("%syntax-version=2.0\n%project=p\n\na {line}"), ":1", "2.0"),
        (format!("\na {line}"), "sqitch.plan", "%project"),
        (format!("%project=p\n\n../../etc/passwd {line}"), ":3", "no name"),
    ] {
        let error = plan::parse("sqitch.plan", &text).unwrap_err().to_string();
        assert!(error.contains(place) && error.contains(what), "{text}\n{error}");
    }
}

#[test]
fn a_missing_script_is_a_fault_and_nothing_comes_out() {
    let faults = faults(converted(&TOOL, "", &with(&[("deploy/x.sql", ""), ("deploy/t/users@v1.sql", "")])));
    assert_eq!(faults.len(), 2);
    assert!(faults[0].contains("deploy/t/users@v1.sql") && faults[0].contains("sqitch.plan:6"), "{faults:?}");
    assert!(faults[1].contains("sqitch.plan:10"), "{faults:?}");
}
