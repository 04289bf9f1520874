//! Every kind of object that `pg_dump` knows, in a database that has them all: what a baseline keeps, and what a comparison
//! of catalogs tells. The table `tests/it/fidelity/kinds.md` is made of what is seen here.

use super::test_server::{TestServer, each_server};
use super::tests::{normalised, own};
use super::*;
use crate::model::baseline::{Baseline, Dump, unified_diff};
use std::collections::BTreeMap;

const OBJECTS: &str = include_str!("../../../tests/it/fidelity/objects.sql");
const BREAKS: &str = include_str!("../../../tests/it/fidelity/breaks.sql");
const TABLE: &str = "tests/it/fidelity/kinds.md";

/// What a comparison of catalogs does not look at, and who does.
const ELSEWHERE: [(&str, &str); 5] = [
    ("BLOB", "rows and large objects are compared in dumps"),
    ("BLOBS", "rows and large objects are compared in dumps"),
    ("TABLE DATA", "rows and large objects are compared in dumps"),
    ("SEQUENCE SET", "positions belong to each database"),
    ("DATABASE", "its comment is in the dump alone"),
];

/// Kinds that no test database has.
const UNTRIED: [(&str, &str); 3] = [
    ("SECURITY LABEL", "taken as pg_dump writes it; loads where its provider is loaded"),
    ("STATISTICS DATA", "left out: the planner's own, made anew by ANALYZE"),
    ("SUBSCRIPTION TABLE", "written for pg_upgrade alone"),
];

/// Statements that change one object of a kind, by kind.
fn breaks() -> impl Iterator<Item = (&'static str, &'static str)> {
    BREAKS.split("-- ").skip(1).filter_map(|part| part.split_once('\n')).map(|(kind, sql)| (kind, sql.trim()))
}

fn count(dump: &Dump) -> BTreeMap<&str, usize> {
    let mut kinds = BTreeMap::new();
    dump.entries.iter().for_each(|entry| *kinds.entry(entry.kind.as_str()).or_default() += 1);
    kinds
}

fn remove(server: &TestServer, database: &str) {
    server.psql(database, &["-c", "DROP SUBSCRIPTION \"sub; one\""]).unwrap();
    super::tests::drop_roles(server, database);
}

#[test]
fn the_table_of_kinds_tells_what_is_kept_and_compared() {
    each_server(|server| {
        let mut database = server.database();
        server.run(&database, OBJECTS);
        breaks().for_each(|(kind, sql)| tell(server, &database, kind, sql));
        let told: Vec<&str> = breaks().map(|(kind, _)| kind).collect();
        let (first, mut text) = normalised(server, &database);
        let settled = loop {
            remove(server, &database);
            database = server.database();
            server.load(&database, &text);
            let (dump, again) = normalised(server, &database);
            if again == text {
                break dump;
            }
            let before = Baseline::parse(&text, "").unwrap();
            assert_eq!(
                before.dump.entries.len(),
                dump.entries.len(),
                "{}",
                unified_diff(("", &text), ("", &again), 60)
            );
            text = again;
        };
        remove(server, &database);
        assert!(!text.contains("secret") && !text.contains("postgres;"), "{text}");
        let (before, after) = (count(&first), count(&settled));
        assert_eq!(before, after, "nothing is lost on PostgreSQL {}", server.major);
        if server.major == 15 {
            check(&table(&after, &told));
        }
    });
}

/// A comparison must tell that something was changed.
fn tell(server: &TestServer, database: &str, kind: &str, sql: &str) {
    server.connected(database, async |session| {
        let before = read(session.client(), &own()).await.unwrap();
        session.simple(&format!("BEGIN; {sql}")).await.unwrap_or_else(|e| panic!("{kind}: {e}"));
        let after = read_within(session.client(), &own()).await.unwrap();
        session.simple("ROLLBACK").await.unwrap();
        assert!(!after.compare(&before).is_empty(), "{kind}: nobody tells that it was changed by {sql}");
    })
}

fn table(kinds: &BTreeMap<&str, usize>, told: &[&str]) -> String {
    let mut out = "# Kinds of objects\n\nWhat becomes of each kind of object that `pg_dump` knows. A test makes this table and fails where it differs: `kept` means \
        that every object\nof the kind comes out of baseline → new database → baseline byte for byte; `told` that a comparison of catalogs (`dbbuild`, \
        `dbbuild adopt`)\nnames an object of the kind that was changed.\n\n| kind | kept | told |\n| --- | --- | --- |\n"
        .to_owned();
    let mut rows: BTreeMap<&str, String> = BTreeMap::new();
    for kind in kinds.keys() {
        let elsewhere = ELSEWHERE.iter().find(|(other, _)| other == kind).map(|(_, why)| *why);
        let told = if told.contains(kind) { "yes" } else { elsewhere.unwrap_or("NO") };
        rows.insert(kind, format!("yes | {told}"));
    }
    rows.extend(UNTRIED.iter().map(|(kind, why)| (*kind, format!("not tried | {why}"))));
    rows.iter().for_each(|(kind, row)| out.push_str(&format!("| {kind} | {row} |\n")));
    out
}

/// Compares with the committed table; `DBBUILD_WRITE_KINDS` writes it.
fn check(made: &str) {
    assert!(!made.contains("| NO |"), "{made}");
    let place = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(TABLE);
    if std::env::var_os("DBBUILD_WRITE_KINDS").is_some() {
        std::fs::write(&place, made).unwrap();
    }
    let committed = std::fs::read_to_string(&place).unwrap_or_default();
    let help = "run this test with DBBUILD_WRITE_KINDS=1 and commit the table";
    assert!(
        committed == made,
        "{TABLE} is stale: {help}\n{}",
        unified_diff(("is", &committed), ("should be", made), 60)
    );
}
