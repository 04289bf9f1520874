//! The layers `cli → engine → model → error`: code may name its own layer and those below it. `model` is pure, which is
//! shown by the absence of everything that could do input or output.

use super::code::{children, code_only, is_word, line_of, lines_with};
use super::{Fault, Tree};

/// From the lowest to the highest.
const LAYERS: &[&str] = &["error", "model", "engine", "cli"];

/// Modules of `std` that `model` has no use for.
const IMPURE_STD: &[&str] = &["env", "fs", "process", "thread", "os"];

/// What else would let the outside in: clocks, chance, the terminal, git and the network.
const IMPURE_WORDS: &[&str] = &[
    "Instant",
    "SystemTime",
    "Zoned::now",
    "Timestamp::now",
    "stdin",
    // Not all of `std::net`: an address is a value, a socket is not.
    "TcpStream",
    "TcpListener",
    "UdpSocket",
    "UnixStream",
    "ToSocketAddrs",
    "tokio",
    "tokio_postgres",
    "git2",
    "testcontainers",
    "tempfile",
    "nix",
    "libc",
    "rand",
    "indicatif",
    "dialoguer",
];

/// Lists each reference upward and each impurity of `model`.
pub fn check(tree: &Tree) -> Vec<Fault> {
    let mut faults = Vec::new();
    for (path, text) in tree.rust("src/") {
        let code = code_only(text);
        if let Some(rank) = rank_of_path(path) {
            upward(path, &code, rank, &mut faults);
        }
        if path.starts_with("src/model/") {
            impure(path, &code, &mut faults);
        }
    }
    faults
}

fn rank_of_path(path: &str) -> Option<usize> {
    let top = path.strip_prefix("src/")?.split(['/', '.']).next()?;
    rank(top)
}

fn rank(module: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| *layer == module)
}

fn upward(path: &str, code: &str, rank_here: usize, faults: &mut Vec<Fault>) {
    let named = children(code, "crate::").into_iter().chain(by_super(path, code));
    for (line, module) in named {
        if rank(module).is_some_and(|rank| rank > rank_here) {
            let own = LAYERS[rank_here];
            faults.push(Fault::line(path, line, format!("layer `{own}` names `{module}`, which stands above it")));
        }
    }
}

/// Modules reached by a chain of `super::` long enough to arrive at the crate's root.
fn by_super<'a>(path: &str, code: &'a str) -> Vec<(usize, &'a str)> {
    let segments = path.trim_start_matches("src/").trim_end_matches(".rs").trim_end_matches("/mod");
    let depth = segments.split('/').count();
    let chain = "super::".repeat(depth);
    code.match_indices(&chain)
        .map(|(at, _)| {
            let rest = code[at + chain.len()..].trim_start_matches("super::");
            (line_of(code, at), rest.split(|c| !is_word(c)).next().unwrap_or_default())
        })
        .collect()
}

fn impure(path: &str, code: &str, faults: &mut Vec<Fault>) {
    for (line, module) in children(code, "std::") {
        if IMPURE_STD.contains(&module) {
            faults.push(Fault::line(path, line, format!("`model` is pure, but names `std::{module}`")));
        }
    }
    for word in IMPURE_WORDS {
        for line in lines_with(code, word) {
            faults.push(Fault::line(path, line, format!("`model` is pure, but names `{word}`")));
        }
    }
}
