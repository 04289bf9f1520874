//! The hooks, with the real git: installed beside what is there, judging exactly what a commit will hold.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::support::{World, server};

const CONFIG: &str = "[postgres]\nversion = 15\nthrowaway = \"local\"\n";
const ONE: &str = "CREATE TABLE IF NOT EXISTS a (id int PRIMARY KEY);\n";
const TWO: &str = "CREATE TABLE IF NOT EXISTS b (id int PRIMARY KEY);\n";

fn executable(world: &World, path: &str, text: &str) {
    world.write(path, text);
    fs::set_permissions(world.path(path), fs::Permissions::from_mode(0o755)).unwrap();
}

/// A committed project of one migration with a proved baseline and installed hooks.
fn project() -> World {
    let world = World::new();
    world.write("dbbuild.toml", CONFIG).write("db/migrations/1_a.sql", ONE).write("notes.txt", "one\n");
    world.dbbuild(&["baseline"]).ok();
    world.dbbuild(&["hooks", "install"]).ok();
    world.commit("start").ok();
    world
}

#[test]
fn the_index_is_judged_however_the_commit_is_made() {
    if server(15).is_none() {
        return;
    }
    let world = project();
    let commits = || world.git(&["rev-list", "--count", "HEAD"]).ok().stdout.trim().to_owned();
    world.write("db/migrations/2_b.sql", TWO).git(&["add", "db"]).ok();
    let refused = world.git(&["commit", "-m", "stale"]);
    refused.fails(1).says("db/baseline.sql is stale").says("dbbuild baseline");
    assert_eq!(commits(), "1");

    // The right baseline on disk does not help while the index holds the old one.
    world.dbbuild(&["baseline"]).ok();
    world.git(&["commit", "-m", "still stale"]).fails(1).says("stale");
    world.git(&["commit", "--only", "-m", "notes", "--allow-empty", "notes.txt"]).ok();
    world.git(&["commit", "--only", "-m", "one of two", "db/migrations/2_b.sql"]).fails(1).says("stale");
    world.git(&["commit", "-a", "-m", "both"]).ok();
    assert_eq!(commits(), "3");

    // Damage on disk does not hurt while the index is sound; `commit -a` takes it along.
    world.write("db/migrations/2_b.sql", "CREATE TABLE b (id int;\n").write("notes.txt", "two\n");
    world.git(&["add", "notes.txt"]).ok();
    world.git(&["commit", "-m", "notes again"]).ok();
    world.git(&["commit", "-a", "-m", "broken"]).fails(1).says("db/migrations/2_b.sql");
    world.git(&["commit", "--only", "-m", "broken", "db/migrations/2_b.sql"]).fails(1).says("db/migrations/2_b.sql");
    world.git(&["checkout", "--", "db"]).ok();

    // Part of a file: the index holds the first half of what is on disk.
    let both = format!("{ONE}\n{}\n{TWO}", "-- \n".repeat(10)).replace("-- \n", "-- between\n");
    world.write("db/migrations/3_c.sql", both.replace(" a ", " c ").replace(" b ", " d "));
    world.write("part.sql", ONE.replace(" a ", " c "));
    let blob = world.git(&["hash-object", "-w", "part.sql"]).ok().stdout.trim().to_owned();
    world.git(&["update-index", "--add", "--cacheinfo", &format!("100644,{blob},db/migrations/3_c.sql")]).ok();
    world.git(&["commit", "-m", "part"]).fails(1).says("table `public.c`").says_not("public.d");
    world.dbbuild(&["verify", "--fix"]).ok().says("was written in the index");
    world.git(&["commit", "-m", "part"]).ok();
    world.dbbuild(&["verify", "--rev", "HEAD"]).ok();
    world.git(&["commit", "--amend", "-m", "part, said better"]).ok();
    world.dbbuild(&["verify", "--rev", "no-such-revision"]).fails(2).says("no-such-revision");
}

#[test]
fn nothing_of_the_database_staged_costs_nothing_and_starts_nothing() {
    let world = World::new();
    world.write("dbbuild.toml", CONFIG).write("notes.txt", "one\n");
    world.commit("start").ok();
    world.dbbuild(&["hooks", "install"]).ok();
    world.write("notes.txt", "two\n").write("db/migrations/1_a.sql", "broken (");
    world.git(&["add", "notes.txt"]).ok();
    // No server could be made there.
    let mut command = world.command("git");
    command.args(["commit", "-m", "notes"]).env("DBBUILD_STATE_DIR", "/dev/null/none").env("TMPDIR", "/dev/null");
    world.run(&mut command).ok().says_not("error");
    world.dbbuild(&["hook", "pre-commit"]).ok().says_not("error");
}

#[test]
fn existing_hooks_run_first_and_their_status_counts() {
    let world = World::new();
    world.write("dbbuild.toml", CONFIG);
    executable(&world, ".git/hooks/pre-commit", "#!/bin/sh\necho own hook\nexit ${OWN_STATUS:-0}\n");
    world.dbbuild(&["hooks", "status"]).ok().says("pre-commit: another script").says("post-merge: not installed");
    world.dbbuild(&["hooks", "install"]).ok().says("runs first");
    world.dbbuild(&["hooks", "install"]).ok().says("installed already: pre-commit, pre-merge-commit");
    world.dbbuild(&["hooks", "status"]).ok().says("pre-commit: installed").says("post-merge: installed");
    world.write("a.txt", "a").git(&["add", "a.txt"]).ok();
    let commit = |status: &str| {
        let mut command = world.command("git");
        command.env("OWN_STATUS", status).args(["commit", "-m", "x"]);
        world.run(&mut command)
    };
    commit("7").fails(1).says("own hook");
    commit("0").ok().says("own hook");
    world.dbbuild(&["hooks", "uninstall"]).ok().says("is back");
    assert!(world.read(".git/hooks/pre-commit").contains("own hook"));
    assert!(!world.path(".git/hooks/pre-commit.local").exists() && !world.path(".git/hooks/post-merge").exists());
    world.dbbuild(&["hooks", "uninstall"]).ok().says("not dbbuild's");

    executable(&world, ".git/hooks/pre-commit", "#!/bin/sh\ndbbuild hook pre-commit\n");
    world.dbbuild(&["hooks", "install"]).ok().says("calls dbbuild already");
    world.dbbuild(&["hooks", "status", "--json"]).ok().says("pre-commit: another script, which calls dbbuild");
    World::without_git().dbbuild(&["hooks", "install"]).fails(2).says("git init");
}

#[test]
fn a_moved_hooks_folder_a_linked_work_tree_and_git_dir_are_honoured() {
    if server(15).is_none() {
        return;
    }
    let world = project();
    world.git(&["config", "core.hooksPath", ".githooks"]).ok();
    world.dbbuild(&["hooks", "status"]).ok().says("pre-commit: not installed");
    world.dbbuild(&["hooks", "install"]).ok().says("core.hooksPath");
    assert!(world.path(".githooks/pre-commit").exists());
    world.git(&["config", "--unset", "core.hooksPath"]).ok();
    fs::remove_dir_all(world.path(".githooks")).unwrap();

    let tree = world.home().join("linked");
    world.git(&["worktree", "add", "-q", tree.to_str().unwrap(), "-b", "side"]).ok();
    let inside = |program: &str, arguments: &[&str]| {
        let mut command = world.command(program);
        command.current_dir(&tree).args(arguments);
        world.run(&mut command)
    };
    inside("dbbuild", &["hooks", "status"]).ok().says("pre-commit: installed");
    fs::write(tree.join("db/migrations/2_b.sql"), TWO).unwrap();
    inside("git", &["add", "--all"]).ok();
    inside("git", &["commit", "-m", "stale"]).fails(1).says("stale");
    inside("dbbuild", &["verify", "--fix"]).ok();
    inside("git", &["commit", "-m", "right"]).ok();
    inside("dbbuild", &["verify"]).ok().says("was proved before");

    let git_dir = world.path(".git");
    let mut command = world.command("dbbuild");
    command.env("GIT_DIR", git_dir).env("GIT_WORK_TREE", world.path("")).args(["verify", "--rev", "side"]);
    world.run(&mut command).ok().says("was proved before");
    let mut command = world.command("git");
    command.current_dir(world.path("db")).args(["commit", "--allow-empty", "-m", "from a folder below"]);
    world.run(&mut command).ok();
}

#[test]
fn a_merge_tells_what_is_pending() {
    let Some(server) = server(15) else { return };
    let database = server.fresh_database();
    let world = World::new();
    let config = format!("{CONFIG}[env.development]\nurl = \"{}\"\n", database.url);
    world.write("dbbuild.toml", config).write("db/migrations/1_a.sql", ONE);
    world.dbbuild(&[]).ok();
    world.dbbuild(&["hooks", "install"]).ok();
    world.commit("start").ok();
    world.git(&["checkout", "-q", "-b", "side"]).ok();
    world.write("db/migrations/2_b.sql", TWO);
    world.dbbuild(&["baseline"]).ok();
    world.commit("two").ok();
    world.git(&["checkout", "-q", "main"]).ok();
    world.git(&["merge", "-q", "side"]).ok().says("1 migration pending").says("run `dbbuild`");
    world.dbbuild(&[]).ok();
    world.git(&["merge", "-q", "side"]).ok().says_not("pending");
}

#[test]
fn nothing_is_written_where_others_find_it() {
    let world = World::new();
    world.write("dbbuild.toml", CONFIG).write("db/migrations/1_a.sql", ONE);
    let shared = world.home().join("hooks");
    world.git(&["config", "--global", "core.hooksPath", shared.to_str().unwrap()]).ok();
    let told = world.dbbuild(&["hooks", "install"]);
    told.fails(1).says("6 hooks left to you").says("where other repositories find their hooks too");
    assert!(!shared.exists() && !world.path(".git/hooks/pre-commit").exists());
    fs::create_dir(&shared).unwrap();
    fs::write(shared.join("pre-commit"), "#!/bin/sh\ndbbuild hook pre-commit \"$@\" || exit\n").unwrap();
    fs::set_permissions(shared.join("pre-commit"), fs::Permissions::from_mode(0o755)).unwrap();
    world.dbbuild(&["hooks", "status"]).ok().says("pre-commit: another script, which calls dbbuild");
    world.commit("stale").fails(1).says("db/baseline.sql is missing");
    world.dbbuild(&["init", "--hooks"]).ok().says("5 hooks left to you");

    // Scripts of the work tree are committed: what is missing is written and said, what is there is left.
    executable(&world, ".githooks/pre-commit", "#!/bin/sh\necho lint\n");
    world.git(&["config", "core.hooksPath", ".githooks"]).ok();
    let told = world.dbbuild(&["hooks", "install"]);
    told.fails(1).says("1 hook left to you: pre-commit").says(".githooks/pre-commit:").says("commit what was written");
    assert_eq!(world.read(".githooks/pre-commit"), "#!/bin/sh\necho lint\n");
    assert!(world.path(".githooks/pre-push").exists() && !world.path(".githooks/pre-commit.local").exists());
    executable(&world, ".githooks/pre-commit", "#!/bin/sh\necho lint\ndbbuild hook pre-commit \"$@\" || exit\n");
    world.dbbuild(&["hooks", "install"]).ok().says("installed already: pre-merge-commit");
    world.commit("stale").fails(1).says("lint").says("db/baseline.sql is missing");
}

#[test]
fn a_project_below_the_top_is_judged_and_a_branch_without_one_is_not() {
    let world = World::new();
    world.write("shop/dbbuild.toml", CONFIG).write("blog/dbbuild.toml", CONFIG).write("notes.txt", "one\n");
    world.git(&["add", "notes.txt"]).ok();
    world.git(&["commit", "-q", "-m", "before"]).ok();
    world.dbbuild(&["-C", "shop", "hooks", "install"]).ok().says("the hooks judge the project in shop");
    world.dbbuild(&["-C", "blog", "hooks", "install"]).ok().says("the hooks judge the project in blog");
    world.dbbuild(&["-C", "shop", "hooks", "install"]).ok().says_not("judge");
    world.write("shop/db/migrations/1_a.sql", ONE);
    world.commit("shop").fails(1).says("db/baseline.sql is missing");
    fs::remove_dir_all(world.path("shop/db")).unwrap();
    world.write("blog/db/migrations/1_a.sql", ONE);
    world.git(&["add", "--all"]).ok();
    let mut command = world.command("git");
    command.current_dir(world.path("shop")).args(["commit", "-q", "-m", "blog"]);
    world.run(&mut command).fails(1).says("db/baseline.sql is missing");

    fs::remove_file(world.path("shop/dbbuild.toml")).unwrap();
    fs::remove_dir_all(world.path("blog")).unwrap();
    world.commit("no project any more").ok();
    world.git(&["checkout", "-q", "-b", "side"]).ok().says_not("error");
    world.dbbuild(&["-C", "db-less", "hook", "pre-commit"]).fails(2);
    world.write("dbbuild.toml", CONFIG).write("db/migrations/1_a.sql", ONE);
    world.commit("one at the top").fails(1).says("db/baseline.sql is missing");
    world.dbbuild(&["hooks", "uninstall"]).ok().says("pre-push removed");
    world.git(&["config", "--get-all", "dbbuild.project"]).fails(1);
}
