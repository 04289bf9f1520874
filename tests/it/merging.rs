//! The merge driver with the real git: whatever brings two sides together, the baseline of every commit is that of its
//! sources; and where that cannot be, a conflict is left that says why.

use std::fs;
use std::sync::{Mutex, OnceLock};

use crate::support::{Outcome, World, server};

const CONFIG: &str = "[postgres]\nversion = 15\nthrowaway = \"local\"\ndatabase = \"app\"\n";
const BASELINE: &str = "db/baseline.sql";

/// Writes a migration that makes one table.
fn migration(world: &World, version: u32, table: &str) {
    let sql = format!("CREATE TABLE IF NOT EXISTS {table} (id int PRIMARY KEY);\n");
    world.write(&format!("db/migrations/{version}_{table}.sql"), sql);
}

fn view(world: &World, value: u32) {
    world.write("db/repeatable/v.sql", format!("CREATE OR REPLACE VIEW v AS\nSELECT {value} AS x;\n"));
}

/// Adds a migration in a commit of its own, with the baseline that it makes.
fn add(world: &World, version: u32, table: &str) {
    migration(world, version, table);
    save(world, table);
}

fn save(world: &World, message: &str) {
    world.dbbuild(&["baseline"]).ok();
    world.commit(message).ok();
}

/// Two branches with a migration each, `side` with a second one; the driver is registered, no other hook. Made once and
/// copied.
fn branches() -> Option<World> {
    static MADE: OnceLock<Mutex<World>> = OnceLock::new();
    server(15)?;
    Some(MADE.get_or_init(|| Mutex::new(make_branches())).lock().unwrap().copy())
}

fn make_branches() -> World {
    let world = World::new();
    world.write("dbbuild.toml", CONFIG);
    migration(&world, 1, "a");
    world.dbbuild(&["hooks", "install"]).ok().says("merge driver installed").says(".gitattributes");
    world.git(&["config", "core.hooksPath", "/nowhere"]).ok();
    save(&world, "start");
    git(&world, "checkout -q -b side");
    add(&world, 3, "c");
    add(&world, 4, "d");
    git(&world, "checkout -q main");
    add(&world, 2, "b");
    git(&world, "tag start");
    world
}

#[track_caller]
fn git(world: &World, line: &str) -> Outcome {
    git_as_it_ends(world, line).ok().clone()
}

fn git_as_it_ends(world: &World, line: &str) -> Outcome {
    let words: Vec<&str> = line.split(' ').collect();
    let mut command = world.command("git");
    world.run(command.args(words).env("GIT_EDITOR", "true"))
}

/// Every commit of a range is right by itself, whatever the driver made of it.
#[track_caller]
fn proved(world: &World, range: &str, commits: usize) {
    let listed = git(world, &format!("rev-list {range}")).stdout;
    assert_eq!(listed.lines().count(), commits, "{range}\n{listed}");
    fs::remove_dir_all(world.path(".git/dbbuild/verdict")).unwrap();
    for commit in listed.lines() {
        world.dbbuild(&["verify", "--rev", commit]).ok();
    }
    git(world, "diff --exit-code HEAD");
}

#[test]
fn a_merge_a_squash_and_a_pull_make_the_baseline_anew() {
    let Some(world) = branches() else { return };
    git(&world, "merge -q -m both side").says("made anew from both sides: 4 migrations");
    proved(&world, "start..HEAD", 3);
    // The verdict of the merge is known to the hook that judges it.
    world.dbbuild(&["verify", "--rev", "HEAD"]).ok().says("was proved before");
    git(&world, "reset -q --hard start");
    git(&world, "merge -q --squash side");
    git(&world, "commit -q -m squashed");
    proved(&world, "start..HEAD", 1);
    git(&world, "reset -q --hard start");
    git(&world, "pull -q --no-rebase . side").says("4 migrations");
    proved(&world, "start..HEAD", 3);
}

#[test]
fn every_commit_of_a_rebase_is_right() {
    let Some(world) = branches() else { return };
    git(&world, "checkout -q side");
    git(&world, "tag two");
    for how in ["--merge", "--apply"] {
        git(&world, "reset -q --hard two");
        git(&world, &format!("rebase -q {how} main"));
        proved(&world, "main..HEAD", 2);
    }
    // The two in the other order, a third melted into the first of them.
    git(&world, "reset -q --hard two");
    add(&world, 5, "e");
    let editor = "awk '/^pick/ { line[++n] = $0 } END { print line[2]; print line[1]; sub(/^pick/, \"fixup\", line[3]); print line[3] }'";
    let editor = format!("f() {{ {editor} \"$1\" > \"$1.new\" && mv \"$1.new\" \"$1\"; }}; f");
    let mut command = world.command("git");
    command.args(["rebase", "-q", "-i", "main"]).env("GIT_SEQUENCE_EDITOR", editor);
    world.run(&mut command).ok();
    proved(&world, "main..HEAD", 2);
}

#[test]
fn a_rebase_keeps_merges_and_criss_cross_merges_come_together() {
    let Some(world) = branches() else { return };
    git(&world, "checkout -q -b below side~1");
    add(&world, 6, "f");
    git(&world, "checkout -q side");
    git(&world, "merge -q -m inner below");
    git(&world, "rebase -q --rebase-merges main");
    proved(&world, "main..HEAD", 4);

    git(&world, "checkout -q -b x start");
    add(&world, 7, "g");
    git(&world, "checkout -q -b y side");
    git(&world, "merge -q -m xy x");
    git(&world, "checkout -q x");
    git(&world, "merge -q -m yx side");
    add(&world, 8, "h");
    git(&world, "checkout -q y");
    add(&world, 9, "i");
    assert_eq!(git(&world, "merge-base --all x y").stdout.lines().count(), 2);
    git(&world, "merge -q -m cross x").says("8 migrations");
    proved(&world, "y~1..HEAD", 3);
}

#[test]
fn picks_and_reverts_are_right() {
    let Some(world) = branches() else { return };
    git(&world, "cherry-pick side~2..side");
    proved(&world, "start..HEAD", 2);
    git(&world, "revert --no-edit start").says("3 migrations");
    proved(&world, "start..HEAD", 3);
    assert!(!world.path("db/migrations/2_b.sql").exists());
    git(&world, "reset -q --hard start");
    git(&world, "cherry-pick -n side~1");
    git(&world, "cherry-pick -n side").says("4 migrations");
    git(&world, "commit -q -m two");
    proved(&world, "start..HEAD", 1);
}

#[test]
fn mails_apply_on_another_baseline() {
    let Some(world) = branches() else { return };
    let mails = git(&world, "format-patch -o ../mails start..side").stdout;
    let mut line = vec!["am", "-3", "-q"];
    line.extend(mails.lines());
    world.git(&line).ok().says("4 migrations");
    proved(&world, "start..HEAD", 2);
    // A clone that never saw the commits which the mails were made of.
    let other = world.path("../clone");
    let place = format!("file://{}", world.path("").display());
    git(&world, &format!("clone -q --single-branch -b main {place} {}", other.display()));
    let inside = |program: &str, arguments: &[&str]| {
        let mut command = world.command(program);
        world.run(command.current_dir(&other).args(arguments))
    };
    inside("git", &["reset", "-q", "--hard", "HEAD~2"]).ok();
    inside("git", &["reflog", "expire", "--expire=now", "--all"]).ok();
    inside("git", &["remote", "remove", "origin"]).ok();
    inside("dbbuild", &["hooks", "install"]).ok();
    inside("git", &line).ok().says("3 migrations").says("4 migrations");
    for rev in ["HEAD", "HEAD~1"] {
        inside("dbbuild", &["verify", "--full", "--rev", rev]).ok();
    }
}

#[test]
fn a_stash_comes_back_with_what_git_does_not_track() {
    let Some(world) = branches() else { return };
    for (track, stash) in [(true, "stash -q"), (false, "stash -q"), (false, "stash -q --include-untracked")] {
        git(&world, "reset -q --hard start");
        migration(&world, 7, "g");
        world.dbbuild(&["baseline"]).ok();
        if track {
            git(&world, "add db/migrations");
        }
        git(&world, stash);
        git(&world, "merge -q -m both side");
        git(&world, "stash pop").says("5 migrations");
        world.dbbuild(&["verify", "--worktree", "--full"]).ok();
        git(&world, "add --all");
    }
}

#[test]
fn what_cannot_be_merged_is_left_in_conflict_with_the_reason() {
    let Some(world) = branches() else { return };
    view(&world, 1);
    save(&world, "view");
    git(&world, "checkout -q -b other start");
    view(&world, 2);
    add(&world, 5, "e");
    let merge = git_as_it_ends(&world, "merge -q main");
    merge
        .fails(1)
        .says("db/baseline.sql was not merged")
        .says("conflict: db/repeatable/v.sql")
        .says("dbbuild baseline");
    assert_eq!(git(&world, "diff --name-only --diff-filter=U").stdout, "db/baseline.sql\ndb/repeatable/v.sql\n");
    view(&world, 3);
    world.dbbuild(&["verify", "--worktree"]).fails(1).says("conflict markers").says("dbbuild baseline");
    world.dbbuild(&["baseline"]).ok().says("its merge conflict is solved: `git add db/baseline.sql`");
    world.commit("solved").ok();
    proved(&world, "start..HEAD", 3);

    // The same in the middle of a rebase, solved by a build.
    git(&world, "reset -q --hard HEAD~1");
    git_as_it_ends(&world, "rebase -q main").fails(1).says("conflict: db/repeatable/v.sql");
    view(&world, 3);
    world.dbbuild(&["build"]).ok().says("its merge conflict is solved: `git add db/baseline.sql`");
    git(&world, "add --all");
    git(&world, "rebase --continue");
    proved(&world, "start..HEAD", 2);

    git(&world, "checkout -q -b twice start");
    add(&world, 3, "again");
    let merge = git_as_it_ends(&world, "merge -q side");
    merge.fails(1).says("version 3 is used twice").says("rename the newer one").says("not merged");
    git(&world, "merge --abort");
    git(&world, "diff --exit-code HEAD");
    git(&world, "checkout -q -b broken start");
    world.write(
        "db/migrations/5_uses.sql",
        "CREATE TABLE IF NOT EXISTS d (other int);\nCREATE INDEX IF NOT EXISTS o ON d (other);\n",
    );
    save(&world, "uses");
    git_as_it_ends(&world, "merge -q side").fails(1).says("db/migrations/5_uses.sql:2").says("not merged");
    assert!(world.read(BASELINE).contains("<<<<<<< ours"), "nobody takes it for sound");
}

#[test]
fn without_the_driver_a_build_solves_the_conflict() {
    let Some(mut world) = branches() else { return };
    world.dbbuild(&["hooks", "status"]).ok().says("merge driver: installed");
    world.set("PATH", "/usr/local/bin:/usr/bin:/bin");
    git_as_it_ends(&world, "merge -q side").fails(1).says("dbbuild: not found on PATH");
    assert!(world.read(BASELINE).contains("<<<<<<< ours"));
    git(&world, "merge --abort");
    world.dbbuild(&["hooks", "uninstall"]).ok().says("merge driver removed");
    world.dbbuild(&["hooks", "status"]).ok().says("merge driver: not installed");
    git_as_it_ends(&world, "merge -q side").fails(1).says("CONFLICT");
    assert!(world.read(BASELINE).contains("<<<<<<< HEAD"));
    world.dbbuild(&["build"]).ok().says("was made anew and proved; its merge conflict is solved");
    world.commit("both").ok();
    proved(&world, "start..HEAD", 3);
}

#[test]
fn a_project_in_a_folder_below_merges_in_a_linked_work_tree() {
    if server(15).is_none() {
        return;
    }
    let world = World::new();
    let config = format!("{CONFIG}[paths]\nbaseline = \"db/base line.sql\"\n");
    world
        .write("the app/dbbuild.toml", config)
        .write("the app/db/migrations/1_a.sql", "CREATE TABLE IF NOT EXISTS a ();");
    let inside = |arguments: &[&str]| {
        let mut command = world.command("dbbuild");
        world.run(command.current_dir(world.path("the app")).args(arguments)).ok().clone()
    };
    inside(&["hooks", "install"]).says(".gitattributes");
    world.git(&["config", "core.hooksPath", "/nowhere"]).ok();
    inside(&["baseline"]);
    world.commit("start").ok();
    let branch = |name: &str, version: u32| {
        git(&world, &format!("checkout -q -b {name} main"));
        let sql = format!("CREATE TABLE IF NOT EXISTS {name} ();");
        world.write(&format!("the app/db/migrations/{version}_{name}.sql"), sql);
        inside(&["baseline"]);
        world.commit(name).ok();
    };
    branch("one", 2);
    branch("two", 3);
    let tree = world.path("../linked");
    git(&world, &format!("worktree add -q {} one", tree.display()));
    let mut command = world.command("git");
    command.current_dir(tree.join("the app/db")).args(["merge", "-q", "-m", "both", "two"]);
    world.run(&mut command).ok().says("base line.sql was made anew from both sides: 3 migrations");
    let mut command = world.command("dbbuild");
    command.current_dir(tree.join("the app")).args(["verify", "--full", "--rev", "HEAD"]);
    world.run(&mut command).ok();
    assert!(fs::read_to_string(tree.join("the app/db/base line.sql")).unwrap().contains("public.two"));
}
