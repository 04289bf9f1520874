//! Each rule is shown to pass on what is right and to fail on what is wrong, at the right line.

use super::code::{children, code_only, without_tests};
use super::*;

const NONE: [&str; 0] = [];

/// A repository in which no rule finds a fault.
fn sound() -> Vec<(&'static str, &'static str)> {
    vec![
        ("Cargo.toml", "[package]\n"),
        ("README.md", "# dbbuild\n\n`dbbuild plan` obeys `timeout`.\n\n## Changelog\n"),
        ("+hooks/pre-commit", "#!/bin/sh\nexit 0\n"),
        (
            "src/lib.rs",
            "//! Map.\n//!\n//! - `src/main.rs` the program\n//! - `src/error.rs`, `src/model/`: values\n//! - src/model/config/ keys\n\
             //! - src/engine/ edges; src/engine/git.rs\n//! - src/cli/, src/cli/commands/, src/cli/output.rs\npub mod cli;\n",
        ),
        ("src/main.rs", "//! Main.\nfn main() { std::process::exit(0) }\n"),
        ("src/error.rs", "//! Errors, see [`crate::model`].\n"),
        ("src/model/mod.rs", "//! Values.\nuse crate::error::Error;\nuse std::fmt;\n"),
        ("src/model/config/mod.rs", "//! Keys.\npub struct LockConfig {\n    pub timeout: Duration,\n}\n"),
        ("src/engine/mod.rs", "//! Edges.\npub mod git;\n"),
        ("src/engine/git.rs", "//! Git.\nuse crate::{error, model::x};\nfn f() { command.stdout(Stdio::piped()); }\n"),
        ("src/cli/mod.rs", "//! Commands.\nuse crate::engine::git;\n"),
        ("src/cli/commands/plan.rs", "//! Plan.\n"),
        ("src/cli/output.rs", "//! Output.\nfn f() { println!(\"x\") }\n"),
        ("src/cli/commands/mod.rs", "//! All.\n"),
    ]
}

/// The faults that appear when one file is added or replaced.
fn with(path: &'static str, text: &'static str) -> Vec<String> {
    let mut files = sound();
    files.retain(|(name, _)| name.trim_start_matches('+') != path.trim_start_matches('+'));
    files.push((path, text));
    faults(&Tree::of(&files)).iter().map(ToString::to_string).collect()
}

fn without(path: &str) -> Vec<String> {
    let mut files = sound();
    files.retain(|(name, _)| *name != path);
    faults(&Tree::of(&files)).iter().map(ToString::to_string).collect()
}

#[track_caller]
fn assert_fault(faults: &[String], place: &str, part: &str) {
    assert!(
        faults.iter().any(|fault| fault.starts_with(place) && fault.contains(part)),
        "no fault at {place:?} that says {part:?} in {faults:#?}"
    );
}

#[test]
fn a_sound_tree_has_no_fault() {
    assert_eq!(faults(&Tree::of(&sound())), []);
}

#[test]
fn layers_upward() {
    let place = "src/engine/git.rs:2:";
    assert_fault(
        &with("src/engine/git.rs", "//! Git.\nuse crate::cli::output;\n"),
        place,
        "layer `engine` names `cli`",
    );
    assert_fault(&with("src/engine/git.rs", "//! Git.\nuse crate::{model, cli::a};\n"), place, "names `cli`");
    assert_fault(&with("src/engine/git.rs", "//! Git.\nuse super::super::cli::a;\n"), place, "names `cli`");
    assert_fault(&with("src/error.rs", "//! E.\nfn f(x: crate::model::X) {}\n"), "src/error.rs:2:", "names `model`");
    assert_fault(&with("src/model/mod.rs", "//! M.\nuse super::engine::X;\n"), "src/model/mod.rs:2:", "names `engine`");
}

#[test]
fn layers_purity() {
    for (text, part) in [
        ("//! M.\nuse std::fs;\n", "`std::fs`"),
        ("//! M.\nuse std::{fmt, env::var};\n", "`std::env`"),
        ("//! M.\nuse std::net::{IpAddr, TcpStream};\n", "`TcpStream`"),
        ("//! M.\nlet t = Instant::now();\n", "`Instant`"),
        ("//! M.\nuse tokio::time;\n", "`tokio`"),
        ("//! M.\nuse git2::Repository;\n", "`git2`"),
    ] {
        assert_fault(&with("src/model/mod.rs", text), "src/model/mod.rs:2:", part);
    }
    let prose = "//! M.\n// std::fs and Instant in prose\nconst A: &str = \"tokio std::env\";\nstruct Instantly;\n";
    assert_eq!(with("src/model/mod.rs", prose), NONE);
}

#[test]
fn form_of_files() {
    assert_fault(&with("src/error.rs", "use std::fmt;\n"), "src/error.rs:1:", "//!");
    assert_fault(&with("src/error.rs", "//! E.\nlet a; \n"), "src/error.rs:2:", "white space");
    assert_fault(&with("src/error.rs", "//! E.\r\n"), "src/error.rs:1:", "CR LF");
    assert_fault(&with("src/error.rs", "//! E."), "src/error.rs:", "no newline");
    assert_fault(&with("src/error.rs", "//! E.\n\n"), "src/error.rs:", "empty lines");
    assert_fault(&with("notes.txt", "x\n"), "notes.txt:", "top-level");
    let long: &'static str = format!("//! E.\n{}", "//\n".repeat(450)).leak();
    assert_fault(&with("src/error.rs", long), "src/error.rs:", "451 lines, at most 450");
    assert_eq!(with("src/model/tests.rs", long), NONE);
    assert_eq!(with("db/baseline.sql", "COPY a FROM stdin;\n\t\n\\.\n\n"), NONE);
}

#[test]
fn words_of_unfinished_work() {
    for word in [concat!("to", "do!()"), concat!("unimple", "mented!()"), concat!("db", "g!(x)")] {
        let text: &'static str = format!("//! E.\nfn f() {{ {word} }}\n").leak();
        assert_fault(&with("src/error.rs", text), "src/error.rs:2:", &word[..4]);
    }
    let text: &'static str = concat!("//! E.\n// FIX", "ME later\n");
    assert_fault(&with("src/error.rs", text), "src/error.rs:2:", "finish it");
    let text: &'static str = concat!("//! T.\n#[ig", "nore]\nfn t() {}\n");
    assert_fault(&with("tests/it/main.rs", text), "tests/it/main.rs:2:", "[ig");
}

#[test]
fn words_of_one_machine() {
    let text: &'static str = concat!("see /wo", "rk/x and crates", ".io\n");
    let found = with("db/note.txt", text);
    assert_fault(&found, "db/note.txt:1:", "belongs to one machine");
    assert_eq!(found.len(), 2, "{found:?}");
}

#[test]
fn printing_and_exits() {
    let git = "src/engine/git.rs";
    assert_fault(&with(git, "//! G.\nfn f() { println!() }\n"), "src/engine/git.rs:2:", "prints");
    assert_fault(&with(git, "//! G.\nlet o = io::stdout();\n"), "src/engine/git.rs:2:", "prints");
    assert_fault(&with(git, "//! G.\nfn f() { std::process::exit(1) }\n"), "src/engine/git.rs:2:", "exits");
    let in_tests = "//! G.\n#[cfg(test)]\nmod tests {\n    fn f() { eprintln!() }\n}\n";
    assert_eq!(with(git, in_tests), NONE);
    assert_eq!(with("src/engine/git/some_tests.rs", "//! G.\nfn f() { eprintln!() }\n").len(), 0);
    assert_eq!(with("src/engine/git/tests/a.rs", "//! G.\nfn f() { eprintln!() }\n").len(), 0);
    let after_a_test_file = "//! G.\n#[cfg(test)]\nmod tests;\nfn f() { eprintln!() }\n";
    assert_fault(&with(git, after_a_test_file), "src/engine/git.rs:4:", "prints");
}

#[test]
fn code_map() {
    assert_fault(&with("src/model/plan.rs", "//! P.\n"), "src/lib.rs:", "lacks `src/model/plan`");
    assert_fault(&without("src/error.rs"), "src/lib.rs:4:", "names `src/error`");
    assert_eq!(with("src/cli/commands/plan.rs", "//! P.\n"), NONE);
    assert_fault(&without("src/lib.rs"), "src/lib.rs:", "missing");
}

#[test]
fn readme() {
    assert_fault(&without("README.md"), "README.md:", "missing");
    let bare = with("README.md", "`dbbuild planner` and timeouts\n");
    assert_fault(&bare, "README.md:", "Changelog");
    assert_fault(&bare, "README.md:", "`dbbuild plan`");
    assert_fault(&bare, "README.md:", "`timeout`");
}

#[test]
fn shell_scripts() {
    assert_fault(&with("+hooks/pre-commit", "#!/bin/sh\nif true; then\n"), "hooks/pre-commit:", "yntax error");
    assert_fault(&with("+hooks/x", "#!/usr/bin/env bash\na=(1\n"), "hooks/x:", "");
    assert_fault(&with("hooks/x", "#!/bin/sh\nexit\n"), "hooks/x:", "not executable");
    assert_eq!(with("hooks/x", "if but no script\n"), NONE);
}

#[test]
fn scanner_blanks_comments_and_literals() {
    let code = code_only("a /* b /* c */ d */ e // f\n\"g \\\" h\" i r#\"j \" k\"# l 'm' 'n '\\'' br\"o\" hr b\"p\"");
    let left: Vec<&str> = code.split_whitespace().collect();
    assert_eq!(left, ["a", "e", "i", "l", "'n", "hr", "b"]);
    assert_eq!(code_only("\"open"), "     ");
    assert_eq!(code_only("/* open").trim(), "");
}

#[test]
fn scanner_reads_use_trees() {
    let code = "use crate::{a::{b, c}, d};\nfn f() { crate::e::g(); not_crate::h(); }\n";
    assert_eq!(children(code, "crate::"), [(1, "a"), (1, "d"), (2, "e")]);
    assert_eq!(children("use crate::{\n    a,\n    b,\n};", "crate::"), [(2, "a"), (3, "b")]);
    assert_eq!(without_tests("a #[cfg(test)] use b; #[cfg(test)] mod c { d }"), "a #[cfg(test)] use b; ");
}
