//! Real histories of other projects, where `DBBUILD_HISTORIES` names their folder: each builds, bootstraps and verifies
//! as `db/migrations`, and gives the database that psql makes of the same files.

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::{Db, Outcome, Server, World, histories};

/// What the histories need: their rows hold times and random keys, and none of them was written to run twice.
const RULES: &str = "[migrations]\nidempotent = \"off\"\nvolatile = \"warn\"\n";

#[test]
fn crates_io_builds_bootstraps_and_verifies() {
    history("crates_io");
}

#[test]
fn mint_builds_bootstraps_and_verifies() {
    history("mint");
}

#[test]
fn cas_cif_builds_bootstraps_and_verifies() {
    history("cas_cif");
}

#[test]
fn zksync_builds_bootstraps_and_verifies() {
    history("zksync");
}

#[test]
fn crates_io_is_converted_from_diesel() {
    converted("crates_io", "diesel", 285, &["migrations/README.md", "migrations/data_oauth_github.sql"]);
}

#[test]
fn zksync_is_converted_from_sqlx() {
    let alone = "migrations/20240325133100_add_tee_verifier_input_producer_jobs_table.down.sql";
    converted("zksync", "sqlx", 269, &[alone]);
}

#[test]
fn mint_is_converted_from_flyway() {
    converted("mint", "flyway", 174, &["migrations/V80__Add_Determine_Section_Needs_Function.SQL"]);
}

/// Its rows come from files that are not in the folder: what the report names is put in as a person would.
#[test]
fn cas_cif_is_converted_from_sqitch() {
    let first = "deploy/data/insert_json_schema_form_data.sql:11";
    converted_and("cas_cif", "sqitch", 334, &[first, "sqitch.plan"], |world, up| {
        let mut mended = 0;
        for plain in migrations(up) {
            let (name, plain) =
                (plain.file_name().unwrap().to_str().unwrap().to_owned(), fs::read_to_string(&plain).unwrap());
            let number = &name[1..5];
            let ours = migrations(&world.path("db/migrations")).into_iter();
            let Some(ours) =
                ours.into_iter().find(|path| path.file_name().unwrap().to_str().unwrap().starts_with(number))
            else {
                panic!("{name} has no like")
            };
            let text = fs::read_to_string(&ours).unwrap();
            if text.contains("-- dbbuild:psql true\n") {
                let down = text.split("-- migrate:down").nth(1).unwrap();
                fs::write(&ours, format!("-- migrate:up\n{plain}\n-- migrate:down{down}")).unwrap();
                mended += 1;
            } else {
                assert!(text.contains(plain.trim_end()), "{name} is not what the tool's order gives");
            }
        }
        assert_eq!(mended, 16);
    });
}

/// The raw folder of another tool becomes a project that builds, verifies and bootstraps, with the schema that the
/// plain files give; `left` is what the report has to name.
fn converted(name: &str, tool: &str, count: usize, left: &[&str]) {
    converted_and(name, tool, count, left, |_, _| {});
}

/// The same, with what a person does by hand between conversion and build.
fn converted_and(name: &str, tool: &str, count: usize, left: &[&str], by_hand: impl FnOnce(&World, &Path)) {
    let Some(folder) = histories() else { return };
    let Some(server) = Server::private(15, &[]) else { return };
    let (built, installed) = (server.fresh_database(), server.fresh_database());
    let mut world = World::new();
    world.set("DATABASE_URL", built.url.clone()).set("PRODUCTION_URL", installed.url.clone());
    copy_tree(&folder.join(name).join("raw"), &world, "");
    world.commit("as the other tool has it");

    let arguments = ["init", "--from", tool, "--no-hooks", "--postgres", "15", "--database", "app"];
    let outcome = world.dbbuild(&arguments).ok().says(&format!("converted {count} migrations of {tool}")).clone();
    for path in left {
        outcome.says(&format!("{path}: "));
    }
    let config = world.read("dbbuild.toml").replace("# url_env = \"DATABASE_URL\"", "url_env = \"DATABASE_URL\"");
    world.write("dbbuild.toml", config);
    world.dbbuild(&arguments).ok().says("everything is there already: nothing was changed");

    by_hand(&world, &folder.join(name).join("up"));
    timed(name, "build", || world.dbbuild(&["build"]).ok().says(&format!("now has {count} migrations")).clone());
    timed(name, "verify", || world.dbbuild(&["verify", "--worktree", "--full"]).ok().clone());
    timed(name, "bootstrap", || world.dbbuild(&["bootstrap", "--env", "production"]).ok().clone());
    assert_eq!(installed.psql("SELECT count(*) FROM dbbuild.migration"), count.to_string());
    let Some(other) = Server::private(15, &[]) else { return };
    let replayed = other.fresh_database();
    psql(&other, &replayed, &migrations(&folder.join(name).join("up")));
    same(&schema(&server, &built), &schema(&other, &replayed));
    let (ours, plain) = (schema(&server, &installed), schema(&other, &replayed));
    if ours != plain {
        // What was loaded from a baseline has the form that a dump settles in after a load; grants come in another order.
        let sorted = |mut lines: Vec<String>| {
            lines.sort();
            lines
        };
        same(&sorted(ours), &sorted(schema(&other, &reloaded(&other, &replayed, &world))));
    }
}

/// The schema of a database dumped and loaded into another.
fn reloaded<'s>(server: &'s Server, database: &Db<'_>, world: &World) -> Db<'s> {
    let (path, copy) = (world.path("replayed.sql"), server.fresh_database());
    let path = path.to_str().unwrap();
    server.run("pg_dump", &["--schema-only", "-d", &database.name, "-f", path]).ok();
    server.run("psql", &["-Xq", "-v", "ON_ERROR_STOP=1", "-d", &copy.name, "-f", path]).ok();
    copy
}

fn copy_tree(from: &Path, world: &World, to: &str) {
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let path = format!("{to}{}", entry.file_name().to_str().unwrap());
        match entry.file_type().unwrap().is_dir() {
            true => copy_tree(&entry.path(), world, &format!("{path}/")),
            false => drop(world.write(&path, fs::read(entry.path()).unwrap())),
        }
    }
}

fn history(name: &str) {
    let Some(folder) = histories() else { return };
    let up = folder.join(name).join("up");
    // Servers of its own, since some histories make roles and expect that nobody made them before.
    let Some(server) = Server::private(15, &[]) else { return };
    let (built, installed) = (server.fresh_database(), server.fresh_database());

    let world = World::new();
    let files = migrations(&up);
    for file in &files {
        let name = file.file_name().unwrap().to_str().unwrap();
        world.write(&format!("db/migrations/{name}"), fs::read(file).unwrap());
    }
    let addresses = format!(
        "[postgres]\nversion = 15\nthrowaway = \"local\"\ndatabase = \"app\"\n{RULES}\
         [env.development]\nurl = \"{}\"\n[env.production]\nurl = \"{}\"\nprotected = true\n",
        built.url, installed.url
    );
    world.write("dbbuild.toml", addresses);

    timed(name, "build", || {
        world.dbbuild(&["build"]).ok().says(&format!("now has {} migrations", files.len())).clone()
    });
    let baseline = world.read("db/baseline.sql");
    timed(name, "verify", || world.dbbuild(&["verify", "--worktree", "--full"]).ok().clone());
    world.git(&["add", "--all"]).ok();
    timed(name, "verify index", || world.dbbuild(&["verify"]).ok().says("was proved before").clone());
    timed(name, "bootstrap", || world.dbbuild(&["bootstrap", "--env", "production"]).ok().clone());
    timed(name, "again", || world.dbbuild(&["build"]).ok().says("nothing to do").clone());
    assert_eq!(world.read("db/baseline.sql"), baseline, "nothing changed, so the baseline stays byte for byte");

    let count = "SELECT count(*) FROM dbbuild.migration";
    assert_eq!(installed.psql(count), files.len().to_string());
    let Some(other) = Server::private(15, &[]) else { return };
    let replayed = other.fresh_database();
    timed(name, "psql", || psql(&other, &replayed, &files));
    same(&schema(&server, &built), &schema(&other, &replayed));
}

/// The migrations in order: versions of one history all have the same length.
fn migrations(up: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(up).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

/// Replays file by file, each in a session of its own, as nothing that one sets may be seen by the next.
fn psql(server: &Server, database: &Db<'_>, files: &[PathBuf]) -> Outcome {
    let mut arguments = vec!["-Xq", "-v", "ON_ERROR_STOP=1", "-d", &database.name];
    for file in files {
        arguments.extend(["-f", file.to_str().unwrap(), "-c", "\\connect"]);
    }
    server.run("psql", &arguments).ok().clone()
}

/// The definitions of everything but dbbuild's own schema.
fn schema(server: &Server, database: &Db<'_>) -> Vec<String> {
    let dump = server.run("pg_dump", &["--schema-only", "--exclude-schema=dbbuild", "-d", &database.name]);
    let lines = dump.ok().stdout.lines();
    lines.filter(|line| !line.starts_with('\\')).map(|line| line.replace(&database.name, "[DATABASE]")).collect()
}

fn same(ours: &[String], theirs: &[String]) {
    let first = ours.iter().zip(theirs).position(|(one, other)| one != other);
    let at = first.or((ours.len() != theirs.len()).then(|| ours.len().min(theirs.len())));
    if let Some(at) = at {
        let near = |lines: &[String]| lines[at.saturating_sub(8)..lines.len().min(at + 8)].join("\n");
        panic!("line {at} differs\n--- dbbuild\n{}\n--- psql\n{}", near(ours), near(theirs));
    }
}

/// Runs and says how long it took, for whoever looks at a slow test.
fn timed(history: &str, what: &str, run: impl FnOnce() -> Outcome) {
    let start = std::time::Instant::now();
    run();
    eprintln!("{history}: {what} took {:?}", start.elapsed());
}
