//! Published migrations are immutable, and new is what upstream lacks: with a real remote, through the installed hook.

use std::fs;

use crate::support::{Outcome, World, server};

const CONFIG: &str = "[postgres]\nversion = 15\nthrowaway = \"local\"\n";
const A: &str = "CREATE TABLE IF NOT EXISTS a (id int PRIMARY KEY);\n";
const B: &str = "CREATE TABLE IF NOT EXISTS b (id int PRIMARY KEY);\n";
const BASELINE: &str = "db/baseline.sql";

/// Two migrations, each with its commit, pushed to `origin`, with hooks.
fn published() -> World {
    let world = World::new();
    world.write("dbbuild.toml", CONFIG).write("db/migrations/0001_a.sql", A);
    world.dbbuild(&["baseline"]).ok();
    world.commit("Add a").ok();
    world.write("db/migrations/0002_b.sql", B);
    world.dbbuild(&["baseline"]).ok();
    world.commit("Add b").ok();
    let origin = world.home().join("origin.git");
    let origin = origin.to_str().unwrap();
    world.git(&["init", "-q", "--bare", "--initial-branch=main", origin]).ok();
    world.git(&["remote", "add", "origin", origin]).ok();
    world.git(&["push", "-q", "origin", "main"]).ok();
    world.dbbuild(&["hooks", "install"]).ok();
    world
}

/// Tries to commit what is on disk, and puts everything back.
fn refused(world: &World) -> Outcome {
    let outcome = world.commit("bad");
    outcome.fails(1);
    world.git(&["reset", "-q", "--hard"]).ok();
    outcome
}

#[test]
fn an_edit_a_rename_a_removal_and_another_version_are_refused() {
    if server(15).is_none() {
        return;
    }
    let world = published();
    let b = "db/migrations/0002_b.sql";
    world.write(b, format!("{B}-- more\n"));
    world.dbbuild(&["baseline"]).fails(1).says("the published migration 0002_b was edited at db/migrations/0002_b.sql");
    refused(&world)
        .says("the published migration 0002_b was edited at db/migrations/0002_b.sql")
        .says("Add b (Ada Example, 2024-01-01) published it; origin/main (")
        .says("git restore --source=")
        .says("`dbbuild new change_b`")
        .says("`dbbuild baseline --allow-rewrite 0002`");
    assert_eq!(world.read(b), B);

    world.git(&["mv", b, "db/migrations/0002_c.sql"]).ok();
    refused(&world)
        .says("0002_b was renamed to 0002_c")
        .says("`git mv db/migrations/0002_c.sql db/migrations/0002_b.sql`");
    world.git(&["mv", b, "db/migrations/0003_b.sql"]).ok();
    refused(&world).says("0002_b got another version, 0003_b").says("`git mv db/migrations/0003_b.sql");
    fs::remove_file(world.path(b)).unwrap();
    refused(&world).says("0002_b was removed").says("`dbbuild new undo_b`");

    // Line ends and the folder are no change; a new migration is none either.
    world.write(b, B.replace('\n', "\r\n")).write("db/migrations/0003_c.sql", B.replace(" b ", " c "));
    world.dbbuild(&["baseline"]).ok();
    world.commit("Add c").ok();
    world.write("db/migrations/0003_c.sql", B.replace(" b ", " d "));
    world.dbbuild(&["baseline"]).ok();
    world.git(&["add", "--all"]).ok();
    world.git(&["commit", "-q", "--amend", "--no-edit"]).ok();
    // Once pushed it is published, amended or not.
    world.git(&["push", "-q", "origin", "main"]).ok();
    world.write("db/migrations/0003_c.sql", B.replace(" b ", " e "));
    world.git(&["add", "--all"]).ok();
    world.git(&["commit", "-q", "--amend", "--no-edit"]).fails(1).says("0003_c was edited");
}

#[test]
fn leave_to_rewrite_is_recorded_for_that_content() {
    if server(15).is_none() {
        return;
    }
    let world = published();
    let b = "db/migrations/0002_b.sql";
    world.write(b, format!("{B}-- said better\n"));
    world.dbbuild(&["baseline", "--allow-rewrite", "7"]).fails(2).says("no published migration has the version 7");
    world.dbbuild(&["baseline", "--allow-rewrite", "x"]).fails(2).says("is not a version");
    world.dbbuild(&["verify", "--worktree", "--allow-rewrite", "2"]).fails(3).says("stale");
    world.dbbuild(&["baseline", "--allow-rewrite", "2"]).ok();
    assert!(world.read(BASELINE).contains("\n-- dbbuild:rewritten 0002 "), "{}", world.read(BASELINE));
    world.commit("Say b better").ok();
    world.dbbuild(&["verify", "--rev", "HEAD", "--full"]).ok().says("is proved");

    // It stays when the baseline is made anew, also over a conflict, and holds for that content alone.
    world.write("db/migrations/0003_c.sql", B.replace(" b ", " c "));
    world.dbbuild(&["baseline"]).ok();
    assert!(world.read(BASELINE).contains("\n-- dbbuild:rewritten 0002 "));
    world.commit("Add c").ok();
    world.write(b, format!("{B}-- said otherwise\n"));
    world.dbbuild(&["baseline"]).fails(1).says("0002_b was edited");
    world.git(&["add", "--all"]).ok();
    world.dbbuild(&["verify", "--fix", "--allow-rewrite", "0002"]).ok().says("in the index");
    world.git(&["commit", "-q", "-m", "Say b otherwise"]).ok();
    assert_eq!(world.read(BASELINE).matches("-- dbbuild:rewritten").count(), 1);
    // A clone without any cache says the same.
    let clone = world.home().join("clone");
    world.git(&["clone", "-q", world.path("").to_str().unwrap(), clone.to_str().unwrap()]).ok();
    let inside = |arguments: &[&str]| {
        let mut command = world.command(env!("CARGO_BIN_EXE_dbbuild"));
        world.run(command.current_dir(&clone).args(arguments))
    };
    inside(&["verify", "--rev", "HEAD", "--since", "HEAD~3"]).ok().says("is proved");
}

#[test]
fn two_branches_that_took_the_same_version_are_told_before_they_meet() {
    if server(15).is_none() {
        return;
    }
    let world = published();
    world.git(&["checkout", "-q", "-b", "mine"]).ok();
    world.git(&["checkout", "-q", "main"]).ok();
    world.write("db/migrations/0003_theirs.sql", B.replace(" b ", " theirs "));
    world.dbbuild(&["baseline"]).ok();
    world.commit("Add theirs").ok();
    world.git(&["push", "-q", "origin", "main"]).ok();
    world.git(&["checkout", "-q", "mine"]).ok();
    world.write("db/migrations/0003_mine.sql", B.replace(" b ", " mine "));
    world.dbbuild(&["baseline"]).ok().says("version 0003 is used twice");
    world
        .commit("Add mine")
        .fails(1)
        .says("version 0003 is used twice: upstream has got 0003_theirs since this branch left it at db/migrations/0003_mine.sql")
        .says("Add theirs (Ada Example")
        .says("`git mv db/migrations/0003_mine.sql db/migrations/0004_mine.sql`");
    world.git(&["mv", "db/migrations/0003_mine.sql", "db/migrations/0004_mine.sql"]).ok();
    world.dbbuild(&["baseline"]).ok();
    world.commit("Add mine").ok();
    // While merging upstream, what it has counts as published, on whichever side it came.
    world.git(&["merge", "-q", "--no-commit", "-s", "ours", "origin/main"]).ok();
    world.commit("Merge and lose theirs").fails(1).says("0003_theirs was removed");
}

#[test]
fn what_is_compared_where_the_commit_itself_is_published_or_cannot_be_had() {
    if server(15).is_none() {
        return;
    }
    let world = published();
    // Pushed although it edits: the commit is judged against its parent.
    world.write("db/migrations/0001_a.sql", format!("{A}-- more\n"));
    world.git(&["commit", "-q", "-a", "--no-verify", "-m", "Edit a"]).ok();
    world.git(&["push", "-q", "--no-verify", "origin", "main"]).ok();
    world.dbbuild(&["verify", "--rev", "HEAD"]).fails(1).says("0001_a was edited").says("Add a (Ada Example");
    world.dbbuild(&["verify"]).fails(1).says("0001_a was edited");
    world.dbbuild(&["verify", "--rev", "HEAD~1", "--since", "HEAD~2"]).ok();
    world.dbbuild(&["verify", "--since", "no-such-revision"]).fails(2).says("no-such-revision");

    let origin = format!("file://{}", world.home().join("origin.git").to_str().unwrap());
    let shallow = world.home().join("shallow");
    world.git(&["clone", "-q", "--depth=1", &origin, shallow.to_str().unwrap()]).ok();
    let inside = |program: &str, arguments: &[&str]| {
        let mut command = world.command(program);
        world.run(command.current_dir(&shallow).args(arguments))
    };
    inside("dbbuild", &["verify", "--rev", "HEAD"]).fails(1).says("shallow clone").says("git fetch --unshallow");
    inside("dbbuild", &["baseline"]).ok();
    inside("git", &["fetch", "-q", "--unshallow"]).ok();
    inside("dbbuild", &["verify", "--rev", "HEAD"]).fails(1).says("0001_a was edited");
    // A CI's checkout of one branch alone knows the remote, and not what is published.
    inside("git", &["update-ref", "refs/remotes/origin/other", "HEAD"]).ok();
    inside("git", &["update-ref", "-d", "refs/remotes/origin/HEAD"]).ok();
    inside("git", &["update-ref", "--no-deref", "-d", "refs/remotes/origin/HEAD"]).ok();
    inside("git", &["update-ref", "-d", "refs/remotes/origin/main"]).ok();
    inside("dbbuild", &["verify"])
        .fails(1)
        .says("cannot tell which migrations are published")
        .says("set-head origin --auto");
    inside("git", &["remote", "remove", "origin"]).ok();
    inside("dbbuild", &["baseline"]).ok();
    inside("dbbuild", &["verify", "--worktree"]).ok();
}

#[test]
fn a_deployed_database_takes_what_was_rewritten_with_leave_as_applied() {
    let Some(server) = server(15) else { return };
    let db = server.fresh_database();
    let world = published();
    world.write(
        "dbbuild.toml",
        format!("default_env = \"production\"\n{CONFIG}[env.production]\nurl = \"{}\"\nprotected = true\n", db.url),
    );
    let apply = || world.dbbuild(&["apply", "--allow-dirty", "--env", "production"]);
    apply().ok();
    let b = "db/migrations/0002_b.sql";
    world.write(b, format!("-- what b is for\n{B}"));
    apply().fails(1).says("an applied migration is never edited");
    world.dbbuild(&["baseline", "--allow-rewrite", "2"]).ok();
    apply().ok().says("0002_b was applied here before it was rewritten with leave; it does not run again");
    world.dbbuild(&["status", "--env", "production"]).ok().says_not("changed");
    world.write("db/migrations/0003_c.sql", "CREATE TABLE IF NOT EXISTS c (id int);\n");
    apply().ok();
    assert_eq!(db.applied(), "0001 0002 0003");
    // Leave holds for one content.
    world.write(b, format!("-- once more\n{B}"));
    apply().fails(1).says("an applied migration is never edited");
}
