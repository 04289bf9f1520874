//! What holds for every converter, whatever it is given.

use proptest::prelude::*;

use super::test_tree::converted;
use super::{TOOLS, tool};
use crate::model::version::Version;

/// Names that some tool or other understands, and some that lead elsewhere.
const NAMES: &[&str] = &[
    "m/1_a.sql",
    "m/01_b.sql",
    "m/2_b.up.sql",
    "m/2_b.down.sql",
    "m/3_c.up.fizz",
    "m/4_d.go",
    "m/V5__e.sql",
    "m/U6__f.sql",
    "m/R__g.sql",
    "m/7_h/up.sql",
    "m/7_h/down.sql",
    "m/7_h/metadata.toml",
    "m/8_i/migration.sql",
    "m/migration_lock.toml",
    "m/migrations_manifest.txt",
    "m/secure/9_j.up.sql",
    "m/structure.sql",
    "m/99999999999999999999999999_k.sql",
    "m/1_..sql",
    "m/1_\n.sql",
];

/// Pieces of text that mean something to somebody.
const LINES: &[&str] = &[
    "-- migrate:up",
    "-- migrate:down",
    "-- migrate:up transaction:false",
    "-- +goose Up",
    "-- +goose Down",
    "-- +goose StatementBegin",
    "-- no-transaction",
    "-- dbbuild:idempotent false",
    "run_in_transaction = false",
    "provider = \"postgresql\"",
    "2_b.up.sql",
    "../../etc/passwd",
    "INSERT INTO schema_migrations VALUES ('1');",
    "CREATE TABLE t (a text DEFAULT 'x');",
    "SELECT 'open",
    "COPY t FROM stdin;",
    "\\.",
    "\\restrict x",
    "$$",
    "/*",
    "\u{feff}é\r",
    "",
];

proptest! {
    #[test]
    fn nothing_is_lost_and_order_holds(
        files in prop::collection::btree_map(0..NAMES.len(), prop::collection::vec(0..LINES.len(), 0..6), 1..8)
    ) {
        let files: Vec<(&str, String)> = files
            .into_iter()
            .map(|(name, lines)| (NAMES[name], lines.into_iter().map(|line| format!("{}\n", LINES[line])).collect()))
            .collect();
        let files: Vec<(&str, &str)> = files.iter().map(|(name, text)| (*name, text.as_str())).collect();
        for tool in TOOLS {
            let Ok(layout) = converted(tool, "m", &files) else { continue };
            let versions = layout.files.iter().filter_map(|file| file.version.as_deref());
            let versions: Vec<Version> = versions.map(|version| Version::parse(version).unwrap()).collect();
            prop_assert!(versions.windows(2).all(|pair| pair[0] < pair[1]), "{}", tool.name);
            for (path, _) in &files {
                let made = layout.files.iter().any(|file| file.origins.iter().any(|origin| origin == path));
                let told = layout.remarks.iter().any(|remark| remark.location.path == *path);
                prop_assert!(made || told, "{} says nothing of {path:?}", tool.name);
            }
            for file in &layout.files {
                prop_assert!(file.path.starts_with("db/") && !file.path.contains("/../") && !file.path.contains('\n'));
            }
        }
    }
}

#[test]
fn tools_are_found_by_name() {
    let names: std::collections::BTreeSet<&str> = TOOLS.iter().map(|tool| tool.name).collect();
    assert_eq!(names.len(), TOOLS.len());
    assert_eq!(tool("sqlx").unwrap().name, "sqlx");
    let error = tool("magic").err().unwrap();
    assert_eq!(error.status(), crate::error::Status::Usage);
    assert!(error.helps()[0].contains("golang-migrate"));
}
