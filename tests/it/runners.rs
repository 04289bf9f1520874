//! Programs that run hooks by themselves, as people install them: husky, lefthook, the pre-commit framework. dbbuild says
//! what to add to their configuration, and what they call judges the index and the pushed tip as a hook of its own would.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::support::{Outcome, World, runner, server};

const CONFIG: &str = "[postgres]\nversion = 15\nthrowaway = \"local\"\n";
const ONE: &str = "CREATE TABLE IF NOT EXISTS a (id int PRIMARY KEY);\n";
const TWO: &str = "CREATE TABLE IF NOT EXISTS b (id int PRIMARY KEY);\n";
const NAMES: [&str; 6] = ["pre-commit", "pre-merge-commit", "pre-push", "post-merge", "post-checkout", "post-rewrite"];

/// A proved project with a bare `origin`, nothing committed.
fn project() -> World {
    let world = World::new();
    world.add_origin();
    world.write("dbbuild.toml", CONFIG).write("db/migrations/1_a.sql", ONE);
    world.dbbuild(&["baseline"]).ok();
    world
}

/// The lines that `dbbuild hooks install` says are to be added to a file.
fn additions(outcome: &Outcome, file: &str) -> String {
    let shown = outcome.stderr.lines().skip_while(|line| line.trim() != format!("{file}:")).skip(1);
    let inside = shown.take_while(|line| line.starts_with("        "));
    inside.map(|line| format!("{}\n", &line[8..])).collect()
}

/// What holds whoever runs the hooks: a stale index and a stale tip go nowhere, sound ones do.
fn judged(world: &World) {
    world.dbbuild(&["hooks", "status"]).ok().says("pre-commit: another script, which calls dbbuild");
    world.dbbuild(&["doctor"]).says("hooks: installed");
    world.commit("start").ok();
    world.git(&["push", "-q", "origin", "main"]).ok();

    // The right baseline lies on disk; the index holds the old one, and what is judged is the index.
    world.write("db/migrations/2_b.sql", TWO).write("notes.txt", "one\n");
    world.git(&["add", "db/migrations", "notes.txt"]).ok();
    world.dbbuild(&["baseline"]).ok();
    world.git(&["commit", "-q", "-m", "stale"]).fails(1).says("db/baseline.sql is stale");
    world.git(&["commit", "-q", "-a", "-m", "both"]).ok().says_not("stale");
    assert!(world.git(&["status", "--porcelain"]).ok().stdout.is_empty());
    world.git(&["push", "-q", "origin", "main"]).ok();

    // Nothing but a removed file is staged.
    fs::remove_file(world.path("db/migrations/2_b.sql")).unwrap();
    world.git(&["commit", "-q", "-a", "-m", "removed"]).fails(1);
    world.git(&["commit", "-q", "-a", "--no-verify", "-m", "removed"]).ok();
    world.git(&["push", "-q", "origin", "main"]).fails(1).says("refused to push");
    world.git(&["reset", "-q", "--hard", "HEAD~1"]).ok();
    world.git(&["commit", "-q", "--amend", "--no-edit"]).ok();
}

#[test]
fn husky() {
    let Some(husky) = runner("DBBUILD_TEST_HUSKY") else { return };
    if server(15).is_none() {
        return;
    }
    let world = project();
    world.write(".husky/pre-commit", "echo linted >&2\n");
    world.run(world.command("node").arg(&husky)).ok();
    world.dbbuild(&["hooks", "status"]).ok().says("pre-push: run by husky");
    world.dbbuild(&["doctor"]).says("says what to add where");
    let told = world.dbbuild(&["hooks", "install"]);
    told.fails(1).says("6 hooks left to you").says("husky runs them");
    assert!(!world.path(".git/hooks/pre-commit").exists(), "nothing is written where git does not look");
    for name in NAMES {
        let file = format!(".husky/{name}");
        let lines = additions(&told, &file);
        assert_eq!(lines, format!("dbbuild hook {name} \"$@\"\n"));
        let before = if name == "pre-commit" { world.read(&file) } else { String::new() };
        world.write(&file, before + &lines);
    }
    world.dbbuild(&["hooks", "install"]).ok().says("pre-push calls dbbuild already");
    judged(&world);
    world.write("notes.txt", "two\n").commit("linted too").ok().says("linted");
    world.dbbuild(&["hooks", "uninstall"]).ok().says("left as it is");
}

#[test]
fn lefthook() {
    let Some(lefthook) = runner("DBBUILD_TEST_LEFTHOOK") else { return };
    if server(15).is_none() {
        return;
    }
    let world = project();
    world.write("lefthook.yml", "pre-commit:\n  commands:\n    lint:\n      run: echo linted\n");
    world.run(world.command(&lefthook).arg("install")).ok();
    let told = world.dbbuild(&["hooks", "install"]);
    told.fails(1)
        .says("1 hook left to you: pre-commit")
        .says("lefthook runs them")
        .says("hooks installed: pre-merge-commit");
    world.dbbuild(&["hooks", "uninstall"]).ok().says("pre-push removed");
    let all: String =
        NAMES.iter().map(|name| format!("{name}:\n  commands:\n    lint:\n      run: 'true'\n")).collect();
    world.write("lefthook.yml", all);
    world.run(world.command(&lefthook).args(["install", "--force"])).ok();
    let told = world.dbbuild(&["hooks", "install"]);
    let lines = additions(told.fails(1), "lefthook.yml");
    world.write("lefthook.yml", lines.replace("use_stdin: true", "use_stdin: false"));
    world.dbbuild(&["hooks", "status"]).ok().says("pre-push: another script, which calls dbbuild; but it sees nothing");
    world.dbbuild(&["hooks", "install"]).fails(1).says("1 hook left to you: pre-push").says("use_stdin: true");
    world.write("lefthook.yml", lines);
    world.dbbuild(&["hooks", "install"]).ok();
    judged(&world);
}

#[test]
fn the_pre_commit_framework() {
    let Some(program) = runner("DBBUILD_TEST_PRE_COMMIT") else { return };
    if server(15).is_none() {
        return;
    }
    let world = project();
    world.write(".pre-commit-config.yaml", format!("default_install_hook_types: [{}]\nrepos: []\n", NAMES.join(", ")));
    pre_commit(&world, &program, &["install"]).ok();
    let told = world.dbbuild(&["hooks", "install"]);
    told.fails(1).says("6 hooks left to you").says("the pre-commit framework runs them");
    let lines = additions(&told, ".pre-commit-config.yaml");
    let config = world.read(".pre-commit-config.yaml").replace("repos: []\n", "repos:\n");
    world.write(".pre-commit-config.yaml", config + &lines);
    pre_commit(&world, &program, &["validate-config"]).ok();
    world.dbbuild(&["hooks", "install"]).ok();
    judged(&world);
}

#[test]
fn the_pre_commit_framework_by_the_hooks_of_this_repository() {
    let Some(program) = runner("DBBUILD_TEST_PRE_COMMIT") else { return };
    if server(15).is_none() {
        return;
    }
    let world = project();
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join(".pre-commit-hooks.yaml");
    pre_commit(&world, &program, &["validate-manifest", manifest.to_str().unwrap()]).ok();
    let hooks = world.home().join("dbbuild");
    fs::create_dir(&hooks).unwrap();
    fs::copy(manifest, hooks.join(".pre-commit-hooks.yaml")).unwrap();
    let there = |arguments: &[&str]| world.run(world.command("git").current_dir(&hooks).args(arguments));
    there(&["init", "-q", "-b", "main"]).ok();
    there(&["add", "--all"]).ok();
    there(&["commit", "-q", "-m", "hooks"]).ok();
    let rev = there(&["rev-parse", "HEAD"]).ok().stdout.trim().to_owned();
    let ids: String = NAMES.iter().map(|name| format!("  - id: dbbuild-{name}\n")).collect();
    let types = NAMES.join(", ");
    let repo = format!("- repo: file://{}\n  rev: {rev}\n  hooks:\n{ids}", hooks.display());
    world.write(".pre-commit-config.yaml", format!("default_install_hook_types: [{types}]\nrepos:\n{repo}"));
    pre_commit(&world, &program, &["install"]).ok();
    world.dbbuild(&["hooks", "install"]).ok().says("post-rewrite calls dbbuild already");
    world.commit("start").ok().says("dbbuild (index)");
    world.write("db/migrations/2_b.sql", TWO).git(&["add", "--all"]).ok();
    world.git(&["commit", "-q", "-m", "stale"]).fails(1).says("db/baseline.sql is stale");
    world.git(&["commit", "-q", "--no-verify", "-m", "stale"]).ok();
    world.git(&["push", "-q", "origin", "main"]).fails(1).says("refused to push");
    world.git(&["push", "-q", "origin", "HEAD~1:refs/heads/main"]).ok().says("dbbuild (push)");
}

#[test]
fn what_the_pre_commit_framework_found_still_runs() {
    let Some(program) = runner("DBBUILD_TEST_PRE_COMMIT") else { return };
    let world = World::new();
    world.write("dbbuild.toml", CONFIG).write(".git/hooks/pre-commit", "#!/bin/sh\necho own hook\n");
    fs::set_permissions(world.path(".git/hooks/pre-commit"), fs::Permissions::from_mode(0o755)).unwrap();
    world.dbbuild(&["hooks", "install"]).ok().says("runs first");
    world.write(".pre-commit-config.yaml", "repos: []\n");
    pre_commit(&world, &program, &["install"]).ok().says("migration mode");
    world.dbbuild(&["hooks", "status"]).ok().says("pre-commit: another script, which calls dbbuild");
    world.write("db/migrations/1_a.sql", ONE);
    world.commit("no baseline").fails(1).says("own hook").says("db/baseline.sql is missing");
}

fn pre_commit(world: &World, program: &Path, arguments: &[&str]) -> Outcome {
    world.run(world.command(program).args(arguments))
}
