//! Words that must not stand in the repository, or only in one place: leftovers, printing, exits, addresses of machines.

use super::code::{code_only, is_word, line_of, lines_with, without_tests};
use super::form::is_tests;
use super::{Fault, Tree};

/// Marks of unfinished work. Assembled, so that this file passes its own rule.
const UNFINISHED: &[&str] =
    &[concat!("to", "do!"), concat!("unimple", "mented!"), concat!("db", "g!"), concat!("#[ig", "nore")];

/// The same in comments, where prose is looked through too.
const UNFINISHED_PROSE: &[&str] = &[concat!("FIX", "ME"), concat!("XX", "X:")];

const PRINTING: &[&str] = &["println!", "eprintln!", "print!", "eprint!"];

/// Places that exist on one machine or in one network only. A mirror is a matter of each machine's settings.
const ADDRESSES: &[&str] = &[
    concat!("/wo", "rk/"),
    concat!("crates", ".io"),
    concat!("pypi", ".org"),
    concat!("python", "hosted.org"),
    concat!("npmjs", ".org"),
    concat!("deb.de", "bian.org"),
    concat!("archive.de", "bian.org"),
    concat!("security.de", "bian.org"),
];

/// Lists each such word.
pub fn check(tree: &Tree) -> Vec<Fault> {
    let mut faults = Vec::new();
    for (path, text) in tree.texts() {
        if path == "Cargo.lock" {
            continue;
        }
        for (number, line) in (1..).zip(text.lines()) {
            for word in ADDRESSES.iter().filter(|word| line.contains(**word)) {
                faults.push(Fault::line(
                    path,
                    number,
                    format!("names `{word}`, which belongs to one machine or network"),
                ));
            }
            for word in UNFINISHED_PROSE.iter().filter(|word| line.contains(**word)) {
                faults.push(Fault::line(path, number, format!("`{word}`: finish it, or open an issue")));
            }
        }
        if path.ends_with(".rs") {
            rust(path, text, &mut faults);
        }
    }
    faults
}

fn rust(path: &str, text: &str, faults: &mut Vec<Fault>) {
    let code = code_only(text);
    for word in UNFINISHED {
        faults.extend(lines_with(&code, word).into_iter().map(|line| Fault::line(path, line, format!("`{word}`"))));
    }
    if !path.starts_with("src/") {
        return;
    }
    if path != "src/main.rs" {
        for line in exits(&code) {
            faults.push(Fault::line(path, line, "exits the process; only src/main.rs does"));
        }
    }
    if !path.starts_with("src/cli/output") && !is_tests(path) {
        for line in printing(without_tests(&code)) {
            faults.push(Fault::line(path, line, "prints; only src/cli/output does"));
        }
    }
}

fn exits(code: &str) -> Vec<usize> {
    let mut lines = lines_with(code, "process::exit");
    lines.extend(lines_with(code, "process::abort"));
    lines
}

/// Printing macros, and the process's own streams: `stdout()`, but not the `.stdout(…)` of a command.
fn printing(code: &str) -> Vec<usize> {
    let mut lines: Vec<usize> = PRINTING.iter().flat_map(|word| lines_with(code, word)).collect();
    for stream in ["stdout()", "stderr()"] {
        for (at, _) in code.match_indices(stream) {
            if !code[..at].ends_with(|c| is_word(c) || c == '.') {
                lines.push(line_of(code, at));
            }
        }
    }
    lines
}
