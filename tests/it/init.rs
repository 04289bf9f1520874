//! `dbbuild init`: a repository from nothing, and beside what somebody has already.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::support::{World, server};

/// A world whose servers are local programs, which are quicker than containers.
pub fn local(mut world: World) -> World {
    world.set("DOCKER_HOST", "unix:///nonexistent/docker.sock");
    world
}

/// Every file of the repository but git's own.
fn files(world: &World) -> BTreeMap<String, Vec<u8>> {
    fn walk(folder: &Path, root: &Path, found: &mut BTreeMap<String, Vec<u8>>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() && !path.ends_with(".git") {
                walk(&path, root, found);
            } else if path.is_file() {
                found.insert(path.strip_prefix(root).unwrap().display().to_string(), fs::read(&path).unwrap());
            }
        }
    }
    let mut found = BTreeMap::new();
    walk(&world.path(""), &world.path(""), &mut found);
    found
}

#[test]
fn an_empty_folder_becomes_a_project_that_builds_verifies_and_commits() {
    if server(15).is_none() {
        return;
    }
    let world = local(World::without_git());
    world
        .dbbuild(&["init", "--hooks", "--postgres", "15"])
        .ok()
        .says("made a git repository")
        .says("hooks installed: pre-commit");
    let before = files(&world);
    assert!(before.contains_key("dbbuild.toml") && before.contains_key(".gitattributes"));
    for folder in ["db/migrations/", "db/repeatable/", "db/init/", "db/testdata/default/", "db/checks/"] {
        assert_eq!(before.keys().filter(|path| path.starts_with(folder)).count(), 1, "one example in {folder}");
    }
    world.dbbuild(&["init", "--hooks", "--postgres", "15"]).ok().says("nothing was changed");
    assert_eq!(files(&world), before);
    assert_eq!(
        world.dbbuild(&["init", "--hooks", "--json"]).ok().stdout,
        "{\"changed\":false,\"said\":[]}\n",
        "a second run says so to scripts too"
    );

    // On a machine where nothing was built yet, that is what is missing.
    world.dbbuild(&["doctor"]).ok().says("warning  database").says("there is no `").says("run `dbbuild`");
    world.dbbuild(&["server", "start"]).ok();
    for early in [&["log"][..], &["seed"], &["attic", "list"], &["psql", "--", "-c", "SELECT 1"]] {
        world.dbbuild(early).fails(1).says("on the embedded server yet").says("help: `dbbuild` makes it.");
    }
    let built = world.dbbuild(&[]);
    built.ok().says("1 migration;").says("open it with `dbbuild psql`");
    let mut after = files(&world);
    assert!(after.remove("db/baseline.sql").is_some());
    assert_eq!(after, before, "a build writes the baseline and nothing else");
    world.commit("start").ok();
    world.dbbuild(&["verify", "--rev", "HEAD", "--full"]).ok().says("proved");
    assert_eq!(world.git(&["status", "--porcelain"]).ok().stdout, "");
    world.dbbuild(&["psql", "--", "-Atc", "SELECT * FROM greeting_list"]).ok().says("Hello, Bonjour");
    world.dbbuild(&["status", "--exit-code"]).ok().says("1 applied, 0 pending").says("fresh");

    world.dbbuild(&["server", "status"]).ok().says("runs at").says("PostgreSQL 15");
    world.dbbuild(&["server", "url"]).ok().says("postgresql://");
    world.dbbuild(&["server", "stop"]).ok().says("stopped");
    world.dbbuild(&["server", "stop"]).ok().says("does not run");
    world.dbbuild(&["server", "status"]).ok().says("stopped");
    world.dbbuild(&["server", "url"]).fails(1).says("dbbuild server start");
    world.dbbuild(&["status"]).fails(1).says("does not run");
    world.dbbuild(&["doctor"]).ok().says("warning  database").says("run `dbbuild`");
    world.dbbuild(&["server", "start"]).ok().says("runs at");
    world.dbbuild(&["status", "--exit-code"]).ok();
    world.dbbuild(&["server", "stop"]).ok();
    fs::remove_dir_all(world.path("")).unwrap();
    let prune =
        || world.run(world.command(env!("CARGO_BIN_EXE_dbbuild")).current_dir(world.home()).args(["server", "prune"]));
    prune().ok().says(world.path("").to_str().unwrap().trim_end_matches('/')).says_not("nothing to remove");
    prune().ok().says_not(world.path("").to_str().unwrap().trim_end_matches('/'));
}

#[test]
fn what_is_there_already_is_kept() {
    let world = World::new();
    world.write(".gitattributes", "*.png binary\n").write(".gitignore", "target\r\n.env\r\n");
    world.write("dbbuild.toml", "[postgres]\nversion = 15\nthrowaway = \"local\"\n[paths]\nmigrations = \"sql/up\"\n");
    world.write("sql/up/1_a.sql", "CREATE TABLE IF NOT EXISTS a (id int PRIMARY KEY);\n");
    world.commit("own").ok();
    world.dbbuild(&["init", "--no-hooks"]).ok().says("added lines to .gitattributes").says_not("greet");
    assert!(world.read("dbbuild.toml").starts_with("[postgres]\nversion = 15\n"));
    assert!(world.read(".gitattributes").starts_with("*.png binary\n"));
    assert!(world.read(".gitattributes").contains("\nsql/up/**/*.sql text eol=lf\n"));
    let ignored = world.read(".gitignore");
    assert!(ignored.starts_with("target\r\n.env\r\n") && ignored.contains(".env.*\r\n"), "{ignored:?}");
    assert_eq!(ignored.matches(".env\r\n").count(), 1, "no line comes twice: {ignored:?}");
    assert!(
        !world.path("db/migrations").exists() && !world.path("db/repeatable").exists(),
        "no example beside own files"
    );
    assert!(!world.path(".git/hooks/pre-commit").exists());
    let before = files(&world);
    world.dbbuild(&["init", "--no-hooks"]).ok().says("nothing was changed");
    assert_eq!(files(&world), before);
}

#[test]
fn a_folder_inside_a_repository_is_a_project_of_its_own() {
    let world = World::new();
    fs::create_dir(world.path("service")).unwrap();
    world.dbbuild(&["-C", "service", "init", "--hooks", "--database", "it's \"mine\""]).ok().says_not("made a git");
    assert!(world.path("service/dbbuild.toml").exists() && !world.path("dbbuild.toml").exists());
    assert!(world.read("service/dbbuild.toml").contains("database = "));
    assert!(world.path(".git/hooks/pre-commit").exists(), "the hooks are the repository's");
}

#[test]
fn a_broken_configuration_stops_it_before_anything_is_written() {
    let world = World::new();
    world.write("dbbuild.toml", "[postgres]\nversoin = 15\n");
    let before = files(&world);
    world.dbbuild(&["init"]).fails(2).says("dbbuild.toml:2:1").says("version");
    assert_eq!(files(&world), before);
    world.dbbuild(&["-C", "nowhere", "init"]).fails(2).says("there is no folder");
}

#[test]
fn without_a_terminal_the_hooks_are_named_and_not_installed() {
    let world = World::new();
    world.dbbuild(&["init"]).ok().says("`dbbuild hooks install` does that");
    assert!(!world.path(".git/hooks/pre-commit").exists());
    world.dbbuild(&["init", "--yes"]).ok().says("hooks installed: pre-commit");
    assert!(world.path(".git/hooks/pre-commit").exists());
}
