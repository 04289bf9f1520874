//! The README's five-minute tour, really executed: each command of its console blocks, in order, in one shell and an empty
//! folder; and what the README lists, compared with what the program knows.

use std::collections::BTreeSet;

use crate::support::{World, server};
use dbbuild::model::config::reference;

const README: &str = include_str!("../../README.md");

/// A command of the tour and what the README shows below it.
struct Step {
    command: String,
    shown: String,
}

fn section(title: &str) -> &'static str {
    let (_, rest) = README.split_once(&format!("\n## {title}\n")).unwrap_or_else(|| panic!("README lacks {title}"));
    rest.split("\n## ").next().unwrap()
}

fn steps(text: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    for block in text.split("```console\n").skip(1) {
        for line in block.split("```").next().unwrap().lines() {
            match line.strip_prefix("$ ") {
                Some(command) => steps.push(Step { command: command.to_owned(), shown: String::new() }),
                None => steps.last_mut().unwrap().shown.push_str(&format!("{line}\n")),
            }
        }
    }
    steps
}

/// Versions, points in time, durations and ids differ from run to run; so does the width of their columns.
fn comparable(text: &str) -> Vec<String> {
    let word = |word: &str| -> String {
        let bare = word.trim_matches(|c: char| !c.is_alphanumeric());
        let digits = bare.len() >= 4 && bare.chars().all(|c| c.is_ascii_digit() || c == '.');
        let hex = bare.len() >= 7 && bare.chars().all(|c| c.is_ascii_hexdigit());
        let time = bare.contains("T") && bare.ends_with('Z') && bare.starts_with(|c: char| c.is_ascii_digit());
        let version = word.split('/').map(|part| match part.split_once('_') {
            Some((version, name)) if version.len() == 14 && version.bytes().all(|b| b.is_ascii_digit()) => {
                format!("VERSION_{name}")
            }
            _ => part.to_owned(),
        });
        if time || digits || hex { "…".to_owned() } else { version.collect::<Vec<_>>().join("/") }
    };
    let line = |line: &str| line.split_whitespace().map(word).collect::<Vec<_>>().join(" ");
    text.lines().map(line).filter(|line| !line.is_empty()).collect()
}

#[test]
fn the_tour_shows_what_happens() {
    if server(15).is_none() {
        return;
    }
    let mut world = World::without_git();
    // Local programs, which are quicker than containers and give the same baseline.
    world.set("DOCKER_HOST", "unix:///nonexistent/docker.sock");
    let steps = steps(section("A five-minute tour"));
    assert!(steps.len() > 10);
    let mut script = String::new();
    for (n, step) in steps.iter().enumerate() {
        script.push_str(&format!("printf '\\n@@@ {n}\\n'\n{{ {}\n}} 2>&1\n", step.command));
    }
    let outcome = world.run(world.command("sh").args(["-c", &script]));
    let mut wrong = String::new();
    for (n, step) in steps.iter().enumerate() {
        let (_, rest) = outcome.stdout.split_once(&format!("\n@@@ {n}\n")).unwrap();
        let got = rest.split("\n@@@ ").next().unwrap();
        if comparable(got) != comparable(&step.shown) {
            wrong.push_str(&format!("$ {}\n{got}\n", step.command));
        }
    }
    assert!(wrong.is_empty(), "the README should show:\n{wrong}");
}

#[test]
fn the_readme_documents_every_key_with_its_default() {
    for doc in reference() {
        let default = if doc.default.is_empty() { String::new() } else { format!("`{}`", doc.default) };
        let row = format!("| `{}` | {default} | {} |", doc.key, doc.meaning);
        assert!(README.lines().any(|line| line == row), "README.md lacks the row\n{row}");
    }
}

#[test]
fn the_readme_documents_the_version_table() {
    let Some(server) = server(15) else { return };
    let database = server.fresh_database();
    database.psql(dbbuild::engine::history::SCHEMA);
    database.psql(dbbuild::engine::attic::SCHEMA);
    let columns = database.psql(
        "SELECT format('| `%s` | %s | %s |', attname, format_type(atttypid, atttypmod), col_description(attrelid, attnum)) \
         FROM pg_attribute WHERE attrelid IN (SELECT oid FROM pg_class WHERE relkind = 'r' \
         AND relnamespace::regnamespace::text IN ('dbbuild', 'dbbuild_attic')) AND attnum > 0",
    );
    assert!(columns.lines().count() > 30);
    let text = section("The version table");
    for row in columns.lines() {
        assert!(text.lines().any(|line| line == row), "README.md lacks the row\n{row}");
    }
    let tables = database.psql(
        "SELECT format('`%s.%s`: %s', relnamespace::regnamespace, relname, obj_description(oid, 'pg_class')) FROM pg_class \
         WHERE relnamespace::regnamespace::text IN ('dbbuild', 'dbbuild_attic') AND relkind = 'r'",
    );
    for line in tables.lines() {
        assert!(text.contains(line), "README.md lacks\n{line}");
    }
}

#[test]
fn the_readme_documents_every_option() {
    let text = section("Commands");
    let definition = dbbuild::cli::definition();
    let common: BTreeSet<&str> = definition.get_arguments().filter_map(|arg| arg.get_long()).collect();
    for option in &common {
        assert!(text.contains(&format!("`--{option}")), "README.md lacks the option --{option}");
    }
    for command in definition.get_subcommands().filter(|command| !command.is_hide_set() && command.get_name() != "help")
    {
        let heading = format!("\n### dbbuild {}", command.get_name());
        let (_, rest) = text.split_once(&heading).unwrap_or_else(|| panic!("README.md lacks{heading}"));
        let about = rest.split("\n### ").next().unwrap();
        let own = command.get_arguments().filter_map(|arg| arg.get_long()).filter(|long| !common.contains(long));
        let options = own.filter(|long| *long != "help").map(|long| format!("--{long}"));
        let actions = command.get_subcommands().map(|action| action.get_name().to_owned());
        for word in options.chain(actions.filter(|action| action != "help")) {
            assert!(about.contains(&word), "README.md lacks {word} in the section of dbbuild {}", command.get_name());
        }
    }
}
