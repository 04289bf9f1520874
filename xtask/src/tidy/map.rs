//! The code map in `src/lib.rs`: one `src/…` entry for each module of a layer, so that a newcomer finds the place, and
//! none for what is gone. Files inside a module's folder are that folder's own matter.

use std::collections::BTreeSet;

use super::form::is_tests;
use super::{Fault, Tree};

const MAP: &str = "src/lib.rs";

/// Lists modules without an entry and entries without a module.
pub fn check(tree: &Tree) -> Vec<Fault> {
    let Some(text) = tree.files.get(MAP).and_then(|file| file.text()) else {
        return vec![Fault::file(MAP, "missing: it holds the code map")];
    };
    let entries = entries(text);
    let modules: BTreeSet<String> = tree.rust("src/").filter_map(|(path, _)| module_of(path)).collect();
    let places: BTreeSet<String> = tree.rust("src/").flat_map(|(path, _)| ancestors(path)).collect();

    let mut faults = Vec::new();
    for module in &modules {
        if !entries.iter().any(|(_, entry)| entry == module) {
            faults.push(Fault::file(MAP, format!("the code map lacks `{module}`")));
        }
    }
    for (line, entry) in entries {
        if !places.contains(&entry) {
            faults.push(Fault::line(MAP, line, format!("the code map names `{entry}`, which does not exist")));
        }
    }
    faults
}

/// `src/…` words in the crate's page, as module paths without `.rs` or a closing slash.
fn entries(text: &str) -> Vec<(usize, String)> {
    let mut entries = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let Some(page) = line.strip_prefix("//!") else { continue };
        for word in page.split(|c: char| !(c.is_alphanumeric() || "/_.-".contains(c))) {
            if word.starts_with("src/") && word.len() > "src/".len() {
                entries.push((number, plain(word)));
            }
        }
    }
    entries
}

fn plain(path: &str) -> String {
    let path = path.trim_end_matches(['.', '/']);
    let path = path.strip_suffix(".rs").unwrap_or(path);
    path.strip_suffix("/mod").unwrap_or(path).to_owned()
}

/// The module a file belongs to as the map counts them: `src/main`, `src/model` or `src/model/sql`.
fn module_of(path: &str) -> Option<String> {
    let plain = plain(path);
    if plain == plain_map() || is_tests(path) {
        return None;
    }
    Some(plain.splitn(4, '/').take(3).collect::<Vec<_>>().join("/"))
}

fn plain_map() -> String {
    plain(MAP)
}

/// A file's own module path and those of the folders it stands in.
fn ancestors(path: &str) -> Vec<String> {
    let plain = plain(path);
    let mut places: Vec<String> = plain.match_indices('/').map(|(at, _)| plain[..at].to_owned()).collect();
    places.push(plain);
    places
}
