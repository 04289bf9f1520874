//! Faults of the machine: a full disk, a folder that may not be written, programs that are missing or too old. The old
//! baseline stands byte for byte.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::{World, run, server, skip};

const CONFIG: &str = "[postgres]\nversion = 15\nthrowaway = \"local\"\ndatabase = \"shop\"\n\
    [env.development]\nurl_env = \"DEVELOPMENT_URL\"\n";

/// A small file system of its own below a world's repository, gone with the value.
struct Mount(PathBuf);

impl Mount {
    /// `None` where this user may not mount.
    fn new(path: PathBuf) -> Option<Mount> {
        fs::create_dir_all(&path).unwrap();
        let mounted = run(Command::new("mount").args(["-t", "tmpfs", "-o", "size=64k", "tmpfs"]).arg(&path));
        if mounted.status != 0 {
            skip("a file system to fill (mount needs root)");
            return None;
        }
        Some(Mount(path))
    }

    fn set_read_only(&self) {
        run(Command::new("mount").args(["-o", "remount,ro"]).arg(&self.0)).ok();
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn a_full_or_read_only_disk_leaves_the_old_baseline() {
    let Some(server) = server(15) else { return };
    let world = World::new();
    let Some(mount) = Mount::new(world.path("db")) else { return };
    world
        .write("dbbuild.toml", CONFIG)
        .write("db/migrations/1_item.sql", "CREATE TABLE IF NOT EXISTS item (id int);\n")
        .write("db/baseline.sql", "the old one\n");
    // All that is left goes to one file.
    let fill = vec![0; 64 * 1024];
    let filled = fs::write(world.path("db/fill"), &fill);
    assert!(filled.is_err(), "the disk is full");
    let files = || {
        let names = fs::read_dir(world.path("db")).unwrap().map(|entry| entry.unwrap().file_name());
        let mut names: Vec<String> = names.map(|name| name.into_string().unwrap()).collect();
        names.sort();
        names
    };
    let before = files();
    for arguments in [&["baseline"][..], &["verify", "--worktree", "--fix"]] {
        let outcome = world.dbbuild(arguments);
        outcome.fails(1).says("error: cannot write db/baseline.sql").says("No space left on device");
        outcome.says("help: the old file stands as it was");
        assert_eq!(world.read("db/baseline.sql"), "the old one\n");
        assert_eq!(files(), before, "no half-written file is left");
    }
    fs::remove_file(world.path("db/fill")).unwrap();
    mount.set_read_only();
    world.dbbuild(&["baseline"]).fails(1).says("cannot write db/baseline.sql").says("Read-only file system");
    world.dbbuild(&["new", "more"]).fails(1).says("db/migrations").says("Read-only file system");
    assert_eq!(world.read("db/baseline.sql"), "the old one\n");

    // A deployment writes nothing to the tree.
    let db = server.fresh_database();
    world.dbbuild(&["apply", "--url", &db.url]).ok();
    world.dbbuild(&["status", "--url", &db.url]).ok().says("1 applied, 0 pending");
}

/// Copies a program, in a process of its own: what another test starts meanwhile would have the file open for writing for a
/// moment, as this process has, and such a file does not run.
fn copy(from: &Path, to: &Path) {
    run(Command::new("cp").args([from, to])).ok();
}

/// A copy of an installation's programs, with links to what they look for beside themselves.
fn installation(bin: &Path, world: &World) -> PathBuf {
    /// How far up programs look for their libraries and shared files.
    const LEVELS: usize = 5;
    let bin = bin.canonicalize().unwrap();
    let parts: Vec<_> = bin.components().collect();
    let (top, below) = parts.split_at(parts.len().saturating_sub(LEVELS).max(1));
    let (mut from, mut to): (PathBuf, PathBuf) = (top.iter().collect(), world.home().join("programs"));
    fs::create_dir_all(&to).unwrap();
    for part in below {
        for entry in fs::read_dir(&from).unwrap() {
            let name = entry.unwrap().file_name();
            if name != part.as_os_str() {
                let _ = symlink(from.join(&name), to.join(&name));
            }
        }
        (from, to) = (from.join(part), to.join(part));
        fs::create_dir_all(&to).unwrap();
    }
    for entry in fs::read_dir(&from).unwrap() {
        let name = entry.unwrap().file_name();
        copy(&from.join(&name), &to.join(&name));
    }
    to
}

#[test]
fn a_missing_or_older_pg_dump_is_named() {
    let (Some(new), Some(old)) = (server(17), server(15)) else { return };
    let world = World::new();
    let bin = installation(&new.bin, &world);
    let setting = format!("version = 17\nbin_dir = \"{}\"", bin.display());
    world
        .write("dbbuild.toml", CONFIG.replace("version = 15", &setting))
        .write("db/migrations/1_item.sql", "CREATE TABLE IF NOT EXISTS item (id int);\n")
        .write("db/baseline.sql", "the old one\n");
    let pg_dump = bin.join("pg_dump");
    fs::remove_file(&pg_dump).unwrap();
    world.dbbuild(&["baseline"]).fails(1).says("found no pg_dump in ").says("help: install");
    copy(&old.bin.join("pg_dump"), &pg_dump);
    world.dbbuild(&["baseline"]).fails(1).says("error: pg_dump is older than the server").says("help: install");
    assert_eq!(world.read("db/baseline.sql"), "the old one\n");
    copy(&new.bin.join("pg_dump"), &pg_dump);
    world.dbbuild(&["baseline"]).ok();
    assert!(world.read("db/baseline.sql").contains("CREATE TABLE public.item"));
}

#[test]
fn missing_programs_are_named() {
    let world = World::new();
    world.write("db/migrations/1_item.sql", "CREATE TABLE IF NOT EXISTS item (id int);\n");
    world.write("dbbuild.toml", CONFIG.replace("version = 15", "version = 15\nbin_dir = \"/nonexistent\""));
    world.dbbuild(&["baseline"]).fails(1).says("postgres.bin_dir /nonexistent").says("help: correct postgres.bin_dir");
    world.write("dbbuild.toml", CONFIG.replace("version = 15", "version = 99"));
    world.dbbuild(&["baseline"]).fails(1).says("of version 99").says("help: install");
    assert!(!world.path("db/baseline.sql").exists());
}
