//! Skipping: said with its reason, counted by `cargo xtask test`, and a failure where `DBBUILD_NO_SKIP` forbids it.

use std::env;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::PathBuf;

/// Says that this test, or a case of it, cannot run for want of something. The other cases still should.
pub fn skip(want: &str) {
    let test = std::thread::current().name().unwrap_or("?").to_owned();
    if let Some(log) = env::var_os("DBBUILD_SKIP_LOG") {
        // One short line in one write: lines of tests that run at the same time do not mix.
        let line = format!("{test}\t{want}\n");
        OpenOptions::new().append(true).open(log).unwrap().write_all(line.as_bytes()).unwrap();
    }
    assert!(!is_forbidden(), "{test} would be skipped for want of {want}, which DBBUILD_NO_SKIP forbids");
    eprintln!("skipped: {want}");
}

fn is_forbidden() -> bool {
    env::var("DBBUILD_NO_SKIP").is_ok_and(|value| !matches!(value.as_str(), "" | "0" | "false"))
}

/// Whether Docker can be used; a test that gets `false` returns.
pub fn docker() -> bool {
    let there = env::var_os("DBBUILD_TEST_DOCKER").is_some_and(|value| value == "1");
    if !there {
        skip("Docker (run `cargo xtask test` with an engine)");
    }
    there
}

/// The folder of real histories, where one was named. It is no part of the repository, so its absence is no skip.
pub fn histories() -> Option<PathBuf> {
    let folder = PathBuf::from(env::var_os("DBBUILD_HISTORIES")?);
    assert!(folder.is_dir(), "DBBUILD_HISTORIES names {}, which is no folder", folder.display());
    Some(folder)
}

/// A program that runs git hooks, by the variable that names it; a test that gets `None` returns.
pub fn runner(variable: &str) -> Option<PathBuf> {
    let program = env::var_os(variable).map(PathBuf::from);
    if program.is_none() {
        skip(&format!("{variable} (run `cargo xtask test`)"));
    }
    program
}
