//! The form of files: what each opens with, how long it may be, how its lines end, and what may stand at the top level.

use super::{Fault, Tree};

/// Lines of a Rust file; more is a sign of two files in one.
const MAX_LINES: usize = 450;
/// Lines of a file that holds only tests: cases are read one by one.
const MAX_TEST_LINES: usize = 600;

/// What the repository's root may hold; a new entry is a decision, taken here.
const TOP_LEVEL: &[&str] = &[
    ".cargo",
    ".ci",
    ".editorconfig",
    ".gitattributes",
    ".gitignore",
    ".pre-commit-hooks.yaml",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE-APACHE",
    "LICENSE-MIT",
    "README.md",
    "clippy.toml",
    "db",
    "dbbuild.toml",
    "hooks",
    "rustfmt.toml",
    "src",
    "tests",
    "xtask",
];

/// Header, length and line ends of every text file.
pub fn check(tree: &Tree) -> Vec<Fault> {
    let mut faults = Vec::new();
    for (path, text) in tree.texts() {
        if path.ends_with(".rs") {
            header_and_length(path, text, &mut faults);
        }
        if !is_verbatim(path) {
            line_ends(path, text, &mut faults);
        }
    }
    faults
}

/// Text that a program wrote and that must stay as it is.
fn is_verbatim(path: &str) -> bool {
    path == "db/baseline.sql" || path.ends_with(".snap") || path == "Cargo.lock" || path.starts_with("LICENSE-")
}

/// Whether a Rust file holds only tests: by custom `tests.rs`, `…_tests.rs`, or anything in a folder `tests`.
pub fn is_tests(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    name == "tests.rs" || name.ends_with("_tests.rs") || path.split('/').any(|folder| folder == "tests")
}

fn header_and_length(path: &str, text: &str, faults: &mut Vec<Fault>) {
    if !text.starts_with("//! ") {
        faults.push(Fault::line(path, 1, "opens without `//!`: say what the file is for"));
    }
    let limit = if is_tests(path) { MAX_TEST_LINES } else { MAX_LINES };
    let lines = text.lines().count();
    if lines > limit {
        faults.push(Fault::file(path, format!("{lines} lines, at most {limit}")));
    }
}

fn line_ends(path: &str, text: &str, faults: &mut Vec<Fault>) {
    for (number, line) in (1..).zip(text.split('\n')) {
        if line.ends_with('\r') {
            faults.push(Fault::line(path, number, "ends with CR LF"));
        } else if line.ends_with([' ', '\t']) {
            faults.push(Fault::line(path, number, "white space at the end of the line"));
        }
    }
    if !text.is_empty() && !text.ends_with('\n') {
        faults.push(Fault::file(path, "no newline at the end"));
    }
    if text.ends_with("\n\n") {
        faults.push(Fault::file(path, "empty lines at the end"));
    }
}

/// Entries of the root that nobody decided on.
pub fn check_top_level(tree: &Tree) -> Vec<Fault> {
    let mut entries: Vec<&str> = tree.files.keys().filter_map(|path| path.split('/').next()).collect();
    entries.dedup();
    entries.retain(|entry| !TOP_LEVEL.contains(entry));
    entries.into_iter().map(|entry| Fault::file(entry, "not in the list of top-level entries")).collect()
}
