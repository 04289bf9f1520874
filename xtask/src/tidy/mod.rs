//! `cargo xtask tidy`: rules of this repository that neither the compiler nor clippy checks. Every fault is listed, not
//! only the first. Nothing is mended here.

mod code;
mod form;
mod layers;
mod map;
mod readme;
mod scripts;
#[cfg(test)]
mod tests;
mod words;

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use crate::workspace;

/// The files that are, or would be, committed.
pub struct Tree {
    files: BTreeMap<String, File>,
}

/// One file: its bytes and whether it may be executed.
pub struct File {
    bytes: Vec<u8>,
    executable: bool,
}

impl File {
    /// The text, unless the file is binary.
    pub fn text(&self) -> Option<&str> {
        str::from_utf8(&self.bytes).ok().filter(|text| !text.contains('\0'))
    }
}

impl Tree {
    /// Reads what git tracks and what it would add.
    fn read(root: &Path) -> Result<Self> {
        let mut list = Command::new("git");
        list.args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]).current_dir(root);
        let mut files = BTreeMap::new();
        for path in workspace::output(&mut list)?.split_terminator('\0') {
            let place = root.join(path);
            // A deleted file is still in the index; a link is git's to follow, not ours.
            let Ok(metadata) = place.symlink_metadata() else { continue };
            if metadata.is_file() {
                let bytes = std::fs::read(&place).with_context(|| format!("cannot read {path}"))?;
                files.insert(path.to_owned(), File { bytes, executable: is_executable(&metadata) });
            }
        }
        Ok(Tree { files })
    }

    /// A tree for tests of rules; paths that begin with `+` are executable.
    #[cfg(test)]
    fn of(files: &[(&str, &str)]) -> Self {
        let file = |(path, text): &(&str, &str)| {
            let executable = path.starts_with('+');
            (path.trim_start_matches('+').to_owned(), File { bytes: text.as_bytes().to_vec(), executable })
        };
        Tree { files: files.iter().map(file).collect() }
    }

    /// All text files with their paths, in order of path.
    fn texts(&self) -> impl Iterator<Item = (&str, &str)> {
        self.files.iter().filter_map(|(path, file)| Some((path.as_str(), file.text()?)))
    }

    /// All Rust files below a prefix.
    fn rust(&self, prefix: &str) -> impl Iterator<Item = (&str, &str)> {
        self.texts().filter(move |(path, _)| path.starts_with(prefix) && path.ends_with(".rs"))
    }
}

#[cfg(unix)]
fn is_executable(metadata: &std::fs::Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt;
    metadata.permissions().mode() & 0o111 != 0
}

#[cfg(not(unix))]
fn is_executable(_: &std::fs::Metadata) -> bool {
    true
}

/// What is wrong, and where; line 0 stands for the whole file.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fault {
    path: String,
    line: usize,
    message: String,
}

impl Fault {
    fn file(path: &str, message: impl Into<String>) -> Self {
        Fault::line(path, 0, message)
    }

    fn line(path: &str, line: usize, message: impl Into<String>) -> Self {
        Fault { path: path.to_owned(), line, message: message.into() }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.path, self.message),
            line => write!(f, "{}:{line}: {}", self.path, self.message),
        }
    }
}

type Rule = fn(&Tree) -> Vec<Fault>;

const RULES: &[Rule] =
    &[layers::check, form::check, form::check_top_level, words::check, map::check, readme::check, scripts::check];

fn faults(tree: &Tree) -> Vec<Fault> {
    let mut faults: Vec<Fault> = RULES.iter().flat_map(|rule| rule(tree)).collect();
    faults.sort();
    faults
}

/// Checks the repository; `false` when there are faults.
pub fn run() -> Result<bool> {
    let tree = Tree::read(&workspace::root()?)?;
    let faults = faults(&tree);
    for fault in &faults {
        println!("{fault}");
    }
    match faults.len() {
        0 => println!("tidy: {} files, no fault", tree.files.len()),
        n => println!("tidy: {n} fault{}", if n == 1 { "" } else { "s" }),
    }
    Ok(faults.is_empty())
}
