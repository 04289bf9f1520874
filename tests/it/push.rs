//! `pre-push` and `pre-merge-commit`: what comes into being without `pre-commit` is judged before it is merged or leaves.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::support::{World, server};

const CONFIG: &str = "[postgres]\nversion = 15\nthrowaway = \"local\"\n";
const ONE: &str = "CREATE TABLE IF NOT EXISTS a (id int PRIMARY KEY);\n";
const TWO: &str = "CREATE TABLE IF NOT EXISTS b (id int PRIMARY KEY);\n";

/// A committed and pushed project of one migration, with hooks and a bare repository as `origin`.
fn project() -> World {
    let world = World::new();
    world.add_origin();
    world.write("dbbuild.toml", CONFIG).write("db/migrations/1_a.sql", ONE);
    world.dbbuild(&["baseline"]).ok();
    world.dbbuild(&["hooks", "install"]).ok();
    world.commit("start").ok();
    world.git(&["push", "-q", "origin", "main"]).ok();
    world
}

/// A commit that no hook saw.
fn unseen(world: &World, message: &str) {
    world.git(&["add", "--all"]).ok();
    world.git(&["commit", "-q", "--no-verify", "-m", message]).ok();
}

fn remote_refs(world: &World) -> Vec<String> {
    let listed = world.git(&["ls-remote", "origin"]);
    listed.ok().stdout.lines().filter_map(|line| Some(line.split_once('\t')?.1.to_owned())).collect()
}

#[test]
fn each_tip_that_is_pushed_is_judged() {
    if server(15).is_none() {
        return;
    }
    let world = project();
    world.git(&["checkout", "-q", "-b", "stale"]).ok();
    world.write("db/migrations/2_b.sql", TWO);
    unseen(&world, "stale");
    let stale = world.git(&["rev-parse", "--short=10", "HEAD"]).ok().stdout.trim().to_owned();
    let refused = world.git(&["push", "origin", "stale"]);
    refused.fails(1).says(&format!("refused to push refs/heads/stale at {stale}")).says("table `public.b`");

    // What is checked out, staged or on disk does not matter.
    world.git(&["checkout", "-q", "main"]).ok();
    world.write("db/migrations/2_b.sql", "broken (").write("note.txt", "a note\n");
    world.git(&["add", "note.txt"]).ok();
    world.git(&["commit", "-q", "-m", "note"]).ok();
    world.git(&["tag", "-a", "v1", "-m", "one"]).ok();
    world.git(&["push", "-q", "origin", "main", "v1", "HEAD~1:refs/heads/old"]).ok().says_not("refused");
    let refused = world.git(&["push", "origin", "main:refs/heads/good", "stale", "stale:refs/heads/again"]);
    refused.fails(1).says("refs/heads/stale").says_not("refs/heads/main");
    assert_eq!(refused.stderr.matches("refused to push").count(), 1, "each tip once\n{}", refused.show());
    assert_eq!(remote_refs(&world), ["refs/heads/main", "refs/heads/old", "refs/tags/v1", "refs/tags/v1^{}"]);
    world.git(&["push", "-q", "origin", ":old"]).ok();

    // The last commit counts: a good one on top of the stale one may go.
    world.git(&["clean", "-qfd"]).ok();
    world.git(&["checkout", "-q", "stale"]).ok();
    world.dbbuild(&["baseline"]).ok();
    world.commit("mended").ok();
    world.git(&["push", "-q", "origin", "stale"]).ok();
    world.git(&["push", "-q", "origin", ":stale"]).ok();
}

#[test]
fn what_is_no_project_or_is_there_already_is_left_alone() {
    let world = World::new();
    let origin = world.add_origin();
    world.write("dbbuild.toml", CONFIG).write("db/migrations/1_a.sql", "broken (");
    unseen(&world, "broken");
    world.git(&["push", "-q", "origin", "main"]).ok();
    world.dbbuild(&["hooks", "install"]).ok();
    world.git(&["push", "-q", "origin", "main:refs/heads/same", "main"]).ok();
    world
        .git(&["push", "-q", origin.to_str().unwrap(), "main:refs/heads/by-address"])
        .fails(1)
        .says("db/baseline.sql is missing");

    let blob = world.git(&["hash-object", "-w", "dbbuild.toml"]).ok().stdout.trim().to_owned();
    world.git(&["tag", "blob", &blob]).ok();
    world.git(&["push", "-q", "origin", "blob"]).ok();
    world.git(&["checkout", "-q", "--orphan", "pages"]).ok();
    world.git(&["rm", "-rqf", "--cached", "."]).ok();
    world.write("index.html", "<p>").git(&["add", "index.html"]).ok();
    world.git(&["commit", "-q", "--no-verify", "-m", "pages"]).ok();
    world.git(&["push", "-q", "origin", "pages"]).ok();
}

#[test]
fn a_kept_hook_gets_arguments_and_input_too() {
    let world = World::new();
    world.add_origin();
    for (hook, script) in [
        ("pre-push", "echo \"push to $1\"; sed 's/^/line /'; exit ${OWN_STATUS:-0}"),
        ("post-rewrite", "echo \"rewritten by $1\"; sed 's/^/line /'"),
        ("post-checkout", "echo \"from $1 flag $3\"; exit 5"),
    ] {
        world.write(&format!(".git/hooks/{hook}"), format!("#!/bin/sh\n{{ {script}; }} >&2\n"));
        fs::set_permissions(world.path(format!(".git/hooks/{hook}")), fs::Permissions::from_mode(0o755)).unwrap();
    }
    world.write("note.txt", "one").git(&["add", "--all"]).ok();
    world.git(&["commit", "-q", "-m", "start"]).ok();
    world.write("dbbuild.toml", CONFIG);
    world.dbbuild(&["hooks", "install"]).ok().says("pre-push was there before").says("hooks installed: pre-commit");
    let mut command = world.command("git");
    world.run(command.env("OWN_STATUS", "3").args(["push", "origin", "main"])).fails(1).says("line refs/heads/main ");
    let pushed = world.git(&["push", "-q", "origin", "main"]);
    pushed.ok().says("push to origin").says("line refs/heads/main ");
    let nothing = world.git(&["push", "-q", "origin", "main"]);
    nothing.ok().says("push to origin").says_not("line ");
    world.git(&["commit", "-q", "--amend", "-m", "better"]).ok().says("rewritten by amend").says("line ");
    world.git(&["checkout", "-b", "side"]).fails(1).says("flag 1");
}

#[test]
fn a_merge_that_git_could_make_is_judged_all_the_same() {
    if server(15).is_none() {
        return;
    }
    let world = project();
    world.git(&["checkout", "-q", "-b", "side"]).ok();
    world.write("db/migrations/2_b.sql", TWO);
    world.dbbuild(&["baseline"]).ok();
    world.commit("two").ok();
    world.git(&["checkout", "-q", "main"]).ok();
    world.write("db/migrations/3_c.sql", ONE.replace(" a ", " c "));
    world.dbbuild(&["baseline"]).ok();
    world.commit("three").ok();
    // As on a machine where the driver is not registered: `-X` solves the text silently.
    world.git(&["config", "--remove-section", "merge.dbbuild"]).ok();
    let merged = world.git(&["merge", "-q", "-X", "theirs", "-m", "merged", "side"]);
    merged.fails(1).says("db/baseline.sql is stale");
    world.dbbuild(&["baseline"]).ok();
    world.commit("merged").ok();
    assert_eq!(world.git(&["rev-list", "--count", "--merges", "HEAD"]).ok().stdout.trim(), "1");
}

#[test]
fn without_dbbuild_the_configuration_decides() {
    let mut world = World::new();
    let origin = world.home().join("origin.git");
    world.git(&["init", "--quiet", "--bare", origin.to_str().unwrap()]).ok();
    world.write("dbbuild.toml", CONFIG);
    world.dbbuild(&["hooks", "install"]).ok();
    world.set("PATH", "/usr/bin:/bin");
    world.commit("x").fails(1).says("not found on PATH").says("--no-verify");
    world.git(&["config", "dbbuild.missing", "pass"]).ok();
    world.commit("x").ok().says("not found on PATH");
    world.git(&["push", "-q", origin.to_str().unwrap(), "main"]).ok().says("not found on PATH");
    world.git(&["config", "dbbuild.missing", "fail"]).ok();
    world.git(&["push", "-q", origin.to_str().unwrap(), "main:b"]).fails(1).says("git push --no-verify");
    world.git(&["checkout", "-q", "-b", "side"]).ok().says("not compared");
}
