//! The README is complete: it names every subcommand and every key of the configuration, and keeps the changelog.

use super::code::{code_only, is_word, lines_with};
use super::{Fault, Tree};

const README: &str = "README.md";
const COMMANDS: &str = "src/cli/commands/";
const CONFIG: &str = "src/model/config/";

/// The structs whose public fields are keys of the configuration file.
const CONFIG_STRUCTS: &[&str] =
    &["Config", "PostgresConfig", "Paths", "MigrationRules", "GitConfig", "LockConfig", "BaselineConfig", "EnvConfig"];

/// Lists what the README does not mention.
pub fn check(tree: &Tree) -> Vec<Fault> {
    let Some(readme) = tree.files.get(README).and_then(|file| file.text()) else {
        return vec![Fault::file(README, "missing")];
    };
    let mut faults = Vec::new();
    if !readme.lines().any(|line| line == "## Changelog") {
        faults.push(Fault::file(README, "no `## Changelog` section"));
    }
    for command in commands(tree) {
        if lines_with(readme, &format!("dbbuild {command}")).is_empty() {
            faults.push(Fault::file(README, format!("does not mention `dbbuild {command}`")));
        }
    }
    for (path, text) in tree.rust(CONFIG) {
        for key in keys(&code_only(text)) {
            if lines_with(readme, key).is_empty() {
                faults.push(Fault::file(README, format!("does not mention the key `{key}` ({path})")));
            }
        }
    }
    faults
}

/// Each file, or folder, of commands is one subcommand.
fn commands(tree: &Tree) -> Vec<String> {
    let name = |path: &str| {
        let rest = path.strip_prefix(COMMANDS)?;
        let name = rest.split('/').next()?.trim_end_matches(".rs");
        (!matches!(name, "mod" | "tests")).then(|| name.replace('_', "-"))
    };
    let mut names: Vec<String> = tree.rust(COMMANDS).filter_map(|(path, _)| name(path)).collect();
    names.dedup();
    names
}

fn keys(code: &str) -> Vec<&str> {
    let mut keys = Vec::new();
    for name in CONFIG_STRUCTS {
        let Some((_, rest)) = code.split_once(&format!("pub struct {name} {{")) else { continue };
        let body = rest.split("\n}").next().unwrap_or_default();
        let field = |line: &'_ str| -> Option<usize> { line.trim_start().strip_prefix("pub ")?.find(':') };
        for line in body.lines().filter(|line| field(line).is_some()) {
            let name = line.trim_start().trim_start_matches("pub ").trim_start_matches("r#");
            keys.push(name.split(|c| !is_word(c)).next().unwrap_or_default());
        }
    }
    keys
}
