//! Trees of graphile-migrate as they are and as they should not be.

use super::super::test_tree::{converted, faults, remarked, texts};
use super::*;

/// As the tool commits it.
fn committed(body: &str, previous: Option<&str>) -> (String, String) {
    let hash = hash_of(body, previous);
    (format!("--! Previous: {}\n--! Hash: {hash}\n\n{}\n", previous.unwrap_or("-"), body.trim()), hash)
}

#[test]
fn hashes_are_those_of_the_tool() {
    // Written by graphile-migrate 1.4.1 itself.
    assert_eq!(hash_of("create table app.users (id int);\n", None), FIRST);
    assert_eq!(hash_of("alter table app.users add b text;\n", Some(FIRST)), SECOND);
}

const FIRST: &str = "sha1:69bf5057b12a92cb5acd931fe2d149e9e321074d";
const SECOND: &str = "sha1:795f4032aa2ee2b3e59f493d5ca8f38b24f76503";

#[test]
fn committed_ones_stay_byte_for_byte_and_current_comes_last() {
    let (first, hash) = committed("CREATE TABLE a ();", None);
    let (second, _) = committed("--! no-transaction\nCREATE INDEX CONCURRENTLY i ON a (b);", Some(&hash));
    let files = [
        ("migrations/committed/000001.sql", first.as_str()),
        ("migrations/committed/000002-add-index.sql", second.as_str()),
        ("migrations/current.sql", "--! Message: More\n--! include f/x.sql\nSELECT 2;\n"),
        ("migrations/fixtures/f/x.sql", "SELECT 1;"),
    ];
    let layout = converted(&TOOL, "migrations", &files).unwrap();
    let texts = texts(&layout);
    assert_eq!(texts[0], ("db/migrations/000001_migration.sql", first.as_str()));
    assert_eq!(texts[1].0, "db/migrations/000002_add-index.sql");
    assert!(texts[1].1.starts_with("-- migrate:up transaction:false\n--! Previous"), "{}", texts[1].1);
    assert_eq!(texts[2].0, "db/migrations/000003_current.sql");
    assert_eq!(texts[2].1, "--! Message: More\nSELECT 1;\nSELECT 2;\n");
    assert!(layout.record.migration[2].keys.is_empty());
    assert_eq!(layout.record.migration[1].keys[0].key, "000002.sql");
}

#[test]
fn an_empty_current_makes_no_migration() {
    let (first, _) = committed("SELECT 1;", None);
    let files =
        [("migrations/committed/000001.sql", first.as_str()), ("migrations/current.sql", "-- Enter migration here\n")];
    let layout = converted(&TOOL, "migrations/committed", &files).unwrap();
    assert_eq!(layout.files.len(), 1);
    assert_eq!(remarked(&layout), ["migrations/current.sql"]);
}

#[test]
fn placeholders_are_renamed_and_set() {
    let (first, hash) = committed("GRANT a TO :APP_USER;\n-- :APP and :APP_USERS and a::text", None);
    let (second, _) = committed("SELECT '${x}', 'a:b';", Some(&hash));
    let conf = "{\n  // about\n  placeholders: { \":APP_USER\": \"!ENV\", ':APP': 'x' },\n  afterReset: ['a.sql'],\n  pgSettings: {search_path: 'app'},\n}\n";
    let files = [
        (".gmrc", conf),
        ("migrations/committed/000001.sql", first.as_str()),
        ("migrations/committed/000002.sql", second.as_str()),
    ];
    let layout = converted(&TOOL, "migrations", &files).unwrap();
    let texts = texts(&layout);
    assert!(texts[0].1.contains("GRANT a TO ${APP_USER};\n-- ${APP} and :APP_USERS and a::text"), "{}", texts[0].1);
    assert!(texts[1].1.starts_with("-- dbbuild:placeholders false\n"), "{}", texts[1].1);
    let set: Vec<String> = layout.settings.iter().map(|s| format!("{} {}", s.key, s.value)).collect();
    assert_eq!(set, ["placeholders.APP \"x\"", "placeholders.APP_USER { env = \"APP_USER\" }"]);
    let remarked = remarked(&layout);
    assert!(remarked.contains(&".gmrc:4".to_owned()) && remarked.contains(&".gmrc:5".to_owned()), "{remarked:?}");
}

#[test]
fn bad_trees_are_told_with_file_and_line() {
    let (first, hash) = committed("SELECT 1;", None);
    let (second, _) = committed("SELECT 2;", Some(&hash));
    let changed = first.replace("SELECT 1", "SELECT 3");
    let allowed = changed.replacen("\n\n", "\n--! AllowInvalidHash\n\n", 1);
    let one = "migrations/committed/000001.sql";
    let two = "migrations/committed/000002.sql";
    let current = "migrations/current.sql";
    for (files, wanted) in [
        (vec![(one, changed.as_str())], "000001.sql:2"),
        (vec![(two, second.as_str())], "000002.sql:1"),
        (vec![(one, &first[..20])], "000001.sql"),
        (vec![(one, "SELECT 1;")], "000001.sql:1"),
        (vec![(one, first.as_str()), ("migrations/committed/000001-x.sql", first.as_str())], "number 000001"),
        (vec![(one, first.as_str()), ("migrations/committed/x.sql", "")], "x.sql"),
        (vec![(current, "--! include ../../.ssh/x.sql\n")], "current.sql:1"),
        (vec![(current, "\n--! include ../committed/000001.sql\n"), (one, first.as_str())], "current.sql:2"),
        (vec![(current, "--! include no.sql\n")], "current.sql:1"),
        (vec![(current, "--! include a.sql"), ("migrations/fixtures/a.sql", "--! include a.sql")], "fixtures/a.sql:1"),
        (vec![(current, "SELECT 1;"), ("migrations/current/1.sql", "SELECT 1;")], "current.sql"),
        (vec![("migrations/current/1.sql", "SELECT 1;"), ("migrations/current/01-a.sql", "SELECT 1;")], "number of"),
        (vec![(one, first.as_str()), (".gmrc", "{\n a: [")], ".gmrc:2"),
    ] {
        let faults = faults(converted(&TOOL, "migrations", &files));
        assert!(faults[0].contains(wanted), "{wanted}: {faults:?}");
    }
    let layout = converted(&TOOL, "migrations", &[(one, allowed.as_str())]).unwrap();
    assert_eq!(remarked(&layout), ["migrations/committed/000001.sql:3"]);
}
