//! The sample product in `db/`: on each major version it builds, verifies and bootstraps, whole or, where the contrib
//! extensions are missing, without the files that say they need one.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::Instant;

use crate::support::{Outcome, Server, World};

/// Versions whose programs come with the contrib extensions.
const WITH_CONTRIB: [u32; 2] = [15, 17];

/// The version that the committed baseline was made with.
const COMMITTED: u32 = 15;

#[test]
fn the_sample_builds_verifies_and_bootstraps_on_every_version() {
    let test = thread::current().name().unwrap_or_default().to_owned();
    let versions: Vec<_> = (15..=18)
        .map(|major| thread::Builder::new().name(test.clone()).spawn(move || on_version(major)).unwrap())
        .collect();
    let failed = versions.into_iter().filter_map(|version| version.join().err()).count();
    assert_eq!(failed, 0, "versions failed; each said above what");
}

fn on_version(major: u32) {
    let Some(server) = Server::private(major, &[]) else { return };
    let (built, installed) = (server.fresh_database(), server.fresh_database());
    let mut world = World::new();
    let count = copy_sample(&world, major);
    let config = world.read("dbbuild.toml");
    let pinned = format!("version = {major}\nbin_dir = \"{}\"", server.bin.display());
    let address = format!("[env.development]\nurl = \"{}\"", built.url);
    let config = config.replace("version = 15", &pinned).replace("[env.development]", &address);
    world.write("dbbuild.toml", config);
    world.set("PRODUCTION_URL", installed.url.clone());

    let timed = |arguments: &[&str]| -> Outcome {
        let start = Instant::now();
        let outcome = world.dbbuild(arguments);
        eprintln!("PostgreSQL {major}: {} took {:?}", arguments[0], start.elapsed());
        outcome
    };
    let committed = world.path("db/baseline.sql").exists().then(|| world.read("db/baseline.sql"));
    timed(&["build"]).ok().says(&format!("now has {count} migrations"));
    if let Some(committed) = committed {
        assert_eq!(world.read("db/baseline.sql"), committed, "the committed baseline is that of the sources");
    }
    timed(&["verify", "--worktree", "--full"]).ok().says("is proved");
    timed(&["bootstrap", "--env", "production"]).ok();
    timed(&["build"]).ok().says("nothing to do");
    let migrations = "SELECT count(*) FROM dbbuild.migration";
    assert_eq!(installed.psql(migrations), count.to_string());
    assert_ne!(built.psql("SELECT count(*) FROM customers"), "0", "development has test data");
    assert_eq!(installed.psql("SELECT count(*) FROM customers"), "0", "production has none");
}

/// Copies the sample, and says how many migrations that are.
fn copy_sample(world: &World, major: u32) -> usize {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    world.write("dbbuild.toml", fs::read(root.join("dbbuild.toml")).unwrap());
    let whole = WITH_CONTRIB.contains(&major);
    let mut migrations = 0;
    let mut folders = vec![root.join("db")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = fs::read_to_string(&path).unwrap();
            let name = path.strip_prefix(root).unwrap().to_str().unwrap();
            let other_baseline = name == "db/baseline.sql" && major != COMMITTED;
            let needs_contrib = text.lines().any(|line| line.starts_with("-- needs contrib"));
            if other_baseline || (needs_contrib && !whole && name.ends_with(".sql")) {
                continue;
            }
            migrations += usize::from(name.starts_with("db/migrations/"));
            world.write(name, text);
        }
    }
    migrations
}
