//! What the hook judges is what `git write-tree` gives in its environment, however the commit is made and whatever form
//! the repository has.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use crate::support::{Outcome, World, server, skip};

const CONFIG: &str = "[postgres]\nversion = 15\nthrowaway = \"local\"\n";
const A: &str = "CREATE TABLE IF NOT EXISTS a (id int PRIMARY KEY);\n";
const B: &str = "CREATE TABLE IF NOT EXISTS b (id int PRIMARY KEY);\n";
const BASELINE: &str = "db/baseline.sql";

/// Runs before dbbuild's own script, in the very environment that git gives it: notes the tree of the commit to be, and
/// which verdicts there were.
const BEFORE: &str = "#!/bin/sh\nrm -rf \"$NOTES\" && mkdir \"$NOTES\" && git write-tree >\"$NOTES/tree\"\n";

/// A repository in which commits are watched.
struct Watched {
    world: World,
    folder: std::path::PathBuf,
}

impl Watched {
    /// In the world's own repository, made with these options of `git init`.
    fn new(options: &[&str]) -> Option<Watched> {
        server(15)?;
        let world = World::without_git();
        let made = world.git(&[&["init", "--quiet", "--initial-branch=main"], options].concat());
        if made.status != 0 {
            skip(&format!("a git that knows {}", options.join(" ")));
            return None;
        }
        let folder = world.path("");
        let watched = Watched { world, folder };
        watched.write("dbbuild.toml", CONFIG).write("db/migrations/1_a.sql", A).write("notes.txt", "one\n");
        watched.dbbuild(&["baseline"]).ok();
        watched.install();
        Some(watched)
    }

    fn install(&self) {
        let hook =
            self.git(&["rev-parse", "--path-format=absolute", "--git-path", "hooks/pre-commit"]).ok().stdout.clone();
        let hook = Path::new(hook.trim());
        fs::create_dir_all(hook.parent().unwrap()).unwrap();
        if !hook.exists() {
            fs::write(hook, BEFORE).unwrap();
            fs::set_permissions(hook, fs::Permissions::from_mode(0o755)).unwrap();
        }
        self.dbbuild(&["hooks", "install"]).ok();
    }

    fn command(&self, program: &str) -> Command {
        let mut command = self.world.command(program);
        command.current_dir(&self.folder).env("NOTES", self.world.home().join("notes"));
        command
    }

    #[track_caller]
    fn run(&self, program: &str, arguments: &[&str]) -> Outcome {
        self.world.run(self.command(program).args(arguments))
    }

    #[track_caller]
    fn git(&self, arguments: &[&str]) -> Outcome {
        self.run("git", arguments)
    }

    #[track_caller]
    fn dbbuild(&self, arguments: &[&str]) -> Outcome {
        self.run(env!("CARGO_BIN_EXE_dbbuild"), arguments)
    }

    fn write(&self, path: &str, text: &str) -> &Self {
        let place = self.folder.join(path);
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        fs::write(place, text).unwrap();
        self
    }

    /// Writes a migration of a table and the baseline that goes with it.
    fn migrate(&self, version: u32, table: &str) {
        self.write(&format!("db/migrations/{version}_{table}.sql"), &B.replace(" b ", &format!(" {table} ")));
        self.dbbuild(&["baseline"]).ok();
    }

    /// Commits, and shows that exactly the committed files were judged: forgetting every verdict that is not about this
    /// very set of files, and without a server to prove anything with, `git write-tree`'s tree of the hook is known.
    #[track_caller]
    fn passes(&self, arguments: &[&str]) {
        self.forget();
        self.git(&[&["commit", "-q", "-m", "x"], arguments].concat()).ok();
        let tree = self.tree_of_hook();
        assert_eq!(self.git(&["rev-parse", "HEAD^{tree}"]).ok().stdout.trim(), tree, "the hook saw what was committed");
        let mut known = self.command(env!("CARGO_BIN_EXE_dbbuild"));
        known.env("DBBUILD_STATE_DIR", "/dev/null/none").env("TMPDIR", "/dev/null").args(["verify", "--rev", &tree]);
        self.world.run(&mut known).ok().says("was proved before");
    }

    /// Tries to commit, and shows that what dbbuild says of the tree that git would have committed is what the hook said.
    #[track_caller]
    fn refuses(&self, arguments: &[&str], why: &str) {
        let refused = self.git(&[&["commit", "-q", "-m", "x"], arguments].concat());
        refused.fails(1).says(why);
        let tree = self.tree_of_hook();
        let judged = self.dbbuild(&["verify", "--rev", &tree]);
        assert_ne!(judged.status, 0, "{}", judged.show());
        judged.says(why);
    }

    fn tree_of_hook(&self) -> String {
        fs::read_to_string(self.world.home().join("notes/tree")).unwrap().trim().to_owned()
    }

    fn forget(&self) {
        let common = self.git(&["rev-parse", "--path-format=absolute", "--git-common-dir"]).ok().stdout.clone();
        let _ = fs::remove_dir_all(Path::new(common.trim()).join("dbbuild/verdict"));
    }
}

#[test]
fn every_way_to_commit() {
    let Some(watched) = Watched::new(&[]) else { return };
    watched.git(&["add", "--all"]).ok();
    watched.passes(&[]); // The first commit.
    watched.migrate(2, "b");
    watched.git(&["add", "db/migrations"]).ok();
    watched.refuses(&[], "db/baseline.sql is stale");
    watched.git(&["add", "--all"]).ok();
    watched.refuses(&["--only", "db/migrations/2_b.sql"], "db/baseline.sql is stale");
    watched.git(&["reset", "-q", "--", BASELINE]).ok();
    watched.passes(&["-a"]);
    watched.migrate(3, "c");
    watched.git(&["add", "db/migrations/3_c.sql"]).ok();
    watched.passes(&["--only", "db"]);
    watched.migrate(4, "d");
    watched.git(&["add", "--all"]).ok();
    watched.passes(&["--amend"]);
    // Another migration on disk is no part of `--include` of one.
    watched.migrate(5, "e");
    let with_five = fs::read_to_string(watched.folder.join(BASELINE)).unwrap();
    watched.git(&["add", "--all"]).ok();
    watched.migrate(6, "f");
    watched.write("notes.txt", "two\n");
    watched.passes(&["--include", "notes.txt"]);
    assert_eq!(watched.git(&["show", &format!("HEAD:{BASELINE}")]).stdout, with_five);
}

#[test]
fn every_kind_of_entry() {
    let Some(watched) = Watched::new(&[]) else { return };
    watched.git(&["add", "--all"]).ok();
    watched.passes(&[]);
    // Intended to be added: no part of the commit, whatever its content.
    watched.write("db/migrations/9_broken.sql", "broken (").write("notes.txt", "two\n");
    watched.git(&["add", "--intent-to-add", "db/migrations/9_broken.sql"]).ok();
    watched.git(&["add", "notes.txt"]).ok();
    watched.git(&["commit", "-q", "-m", "notes"]).ok();
    watched.dbbuild(&["verify"]).ok();
    watched.git(&["rm", "-q", "--cached", "db/migrations/9_broken.sql"]).ok();
    fs::remove_file(watched.folder.join("db/migrations/9_broken.sql")).unwrap();

    watched.migrate(2, "b");
    watched.git(&["add", "--all"]).ok();
    watched.git(&["update-index", "--chmod=+x", "db/migrations/2_b.sql"]).ok();
    watched.passes(&[]);
    watched.git(&["mv", "db/migrations/2_b.sql", "db/migrations/3_b.sql"]).ok();
    watched.refuses(&[], "db/baseline.sql is stale");
    watched.dbbuild(&["baseline"]).ok();
    watched.git(&["add", BASELINE]).ok();
    watched.passes(&[]);
    watched.git(&["rm", "-qf", "db/migrations/3_b.sql"]).ok();
    watched.refuses(&[], "db/baseline.sql is stale");
    watched.git(&["reset", "-q", "--hard"]).ok();

    // One file half staged, as `git add -p` does it: the first of two tables.
    let both = format!("{}{}", B.replace(" b ", " half "), B.replace(" b ", " whole "));
    watched.write("db/migrations/4_parts.sql", &B.replace(" b ", " half "));
    watched.dbbuild(&["baseline"]).ok();
    watched.git(&["add", "--all"]).ok();
    watched.write("db/migrations/4_parts.sql", &both);
    watched.passes(&[]);
    watched.git(&["checkout", "-q", "--", "."]).ok();

    // A migration that is a link, and a commit of another repository where a migration would be.
    std::os::unix::fs::symlink("4_parts.sql", watched.folder.join("db/migrations/5_link.sql")).unwrap();
    watched.dbbuild(&["baseline"]).ok();
    watched.git(&["add", "--all"]).ok();
    watched.passes(&[]);
    let head = watched.git(&["rev-parse", "HEAD"]).ok().stdout.trim().to_owned();
    let submodule = format!("160000,{head},db/migrations/6_sub.sql");
    watched.git(&["update-index", "--add", "--cacheinfo", &submodule]).ok();
    watched.git(&["config", "submodule.x.ignore", "all"]).ok();
    watched.refuses(&[], "db/migrations/6_sub.sql");
}

#[test]
fn merges_with_conflicts_and_linked_work_trees() {
    let Some(mut watched) = Watched::new(&[]) else { return };
    watched.git(&["add", "--all"]).ok();
    watched.passes(&[]);
    watched.git(&["branch", "side"]).ok();
    watched.migrate(2, "b");
    watched.git(&["add", "--all"]).ok();
    watched.passes(&[]);

    let main = watched.folder.clone();
    let linked = watched.world.home().join("linked");
    watched.git(&["worktree", "add", "-q", linked.to_str().unwrap(), "side"]).ok();
    watched.folder = linked;
    watched.migrate(3, "c");
    watched.git(&["add", "db/migrations"]).ok();
    watched.refuses(&[], "db/baseline.sql is stale");
    watched.passes(&["-a"]);
    watched.folder = main;

    // As a text merge leaves it, without any driver.
    watched.git(&["-c", "merge.dbbuild.driver=false", "merge", "-q", "side"]).fails(1);
    watched.dbbuild(&["verify"]).fails(1).says("db/baseline.sql has a merge conflict in the index");
    watched.git(&["commit", "-q", "-m", "x"]).fails(128);
    watched.write(BASELINE, "-- wrong\n").git(&["add", BASELINE]).ok();
    watched.refuses(&[], BASELINE);
    watched.dbbuild(&["baseline"]).ok();
    watched.git(&["add", BASELINE]).ok();
    watched.passes(&[]);
    assert_eq!(watched.git(&["rev-list", "--count", "--merges", "HEAD"]).stdout.trim(), "1");
}

/// Commits something stale and something right.
fn commits_are_judged(watched: &Watched) {
    watched.git(&["add", "--all"]).ok();
    watched.passes(&[]);
    watched.migrate(2, "b");
    watched.git(&["add", "db/migrations"]).ok();
    watched.refuses(&[], "db/baseline.sql is stale");
    watched.dbbuild(&["verify", "--fix"]).ok().says("in the index");
    watched.passes(&[]);
    watched.dbbuild(&["verify", "--rev", "HEAD~1"]).ok();
    watched.write("notes.txt", "two\n");
    watched.git(&["commit", "-q", "-a", "-m", "notes"]).ok();
}

#[test]
fn sha256_and_reftable() {
    for options in [&["--object-format=sha256"][..], &["--ref-format=reftable"][..]] {
        if let Some(watched) = Watched::new(options) {
            commits_are_judged(&watched);
        }
    }
}

#[test]
fn split_and_sparse_indexes() {
    let Some(watched) = Watched::new(&[]) else { return };
    watched.git(&["update-index", "--split-index"]).ok();
    commits_are_judged(&watched);
    watched.git(&["update-index", "--no-split-index"]).ok();

    // Sources outside the checkout are read from git, folded into one entry as they are.
    watched.write("web/page.txt", "one\n").git(&["add", "web"]).ok();
    watched.git(&["commit", "-q", "-m", "page"]).ok();
    watched.git(&["sparse-checkout", "set", "--cone", "--sparse-index", "web"]).ok();
    assert!(!watched.folder.join("db").exists());
    watched.forget();
    watched.dbbuild(&["verify"]).ok().says("is proved");
    watched.write("web/page.txt", "two\n");
    watched.git(&["commit", "-q", "-a", "-m", "page"]).ok();
    let blob = watched.git(&["rev-parse", "HEAD:db/migrations/1_a.sql"]).ok().stdout.trim().to_owned();
    let info = format!("100644,{blob},db/migrations/3_c.sql");
    watched.git(&["update-index", "--add", "--cacheinfo", &info]).ok();
    watched.refuses(&[], "db/baseline.sql is stale");

    // What the checkout leaves out of the work tree is not removed from it.
    watched.git(&["checkout", "--", "db/migrations/3_c.sql"]).ok();
    watched.dbbuild(&["baseline"]).ok();
    watched.git(&["add", "--sparse", BASELINE]).ok();
    watched.passes(&[]);
    watched.git(&["sparse-checkout", "reapply"]).ok();
    watched.dbbuild(&["verify", "--worktree"]).ok();
    watched.git(&["rm", "-q", "--sparse", "db/migrations/3_c.sql"]).ok();
    watched.dbbuild(&["verify", "--worktree"]).fails(3).says("db/baseline.sql is stale");
}

#[test]
fn shallow_and_partial_clones() {
    let Some(mut watched) = Watched::new(&[]) else { return };
    watched.git(&["add", "--all"]).ok();
    watched.passes(&[]);
    watched.write("notes.txt", "two\n");
    watched.git(&["commit", "-q", "-a", "-m", "notes"]).ok();
    for name in ["uploadpack.allowFilter", "uploadpack.allowAnySHA1InWant"] {
        watched.git(&["config", name, "true"]).ok();
    }
    let origin = format!("file://{}", watched.folder.to_str().unwrap().trim_end_matches('/'));
    let partial = watched.world.home().join("partial");
    let place = partial.to_str().unwrap();
    watched.git(&["clone", "-q", "--no-checkout", "--filter=blob:none", &origin, place]).ok();
    let shallow = watched.world.home().join("shallow");
    watched.git(&["clone", "-q", "--depth=1", &origin, shallow.to_str().unwrap()]).ok();

    watched.folder = partial;
    watched.git(&["sparse-checkout", "set", "--cone", "web"]).ok();
    watched.git(&["checkout", "-q"]).ok();
    let missing = || watched.git(&["rev-list", "--objects", "--all", "--missing=print"]).stdout.matches('?').count();
    assert!(missing() > 0, "a partial clone lacks what was not checked out");
    watched.dbbuild(&["verify", "--full"]).ok().says("is proved");
    watched.git(&["remote", "set-url", "origin", "file:///nowhere"]).ok();
    watched.dbbuild(&["verify", "--full"]).ok().says("is proved");
    assert_eq!(missing(), 1, "only the older notes are still missing");

    watched.folder = shallow;
    watched.install();
    watched.migrate(2, "b");
    watched.git(&["add", "db/migrations"]).ok();
    watched.refuses(&[], "db/baseline.sql is stale");
    watched.passes(&["-a"]);
}

#[test]
fn objects_that_cannot_be_read_are_no_proof() {
    let Some(watched) = Watched::new(&[]) else { return };
    watched.git(&["add", "--all"]).ok();
    watched.passes(&[]);
    watched.migrate(2, "b");
    watched.git(&["add", "--all"]).ok();
    watched.forget();
    let blob = watched.git(&["rev-parse", ":db/migrations/2_b.sql"]).ok().stdout.trim().to_owned();
    fs::remove_file(watched.folder.join(format!(".git/objects/{}/{}", &blob[..2], &blob[2..]))).unwrap();
    let judged = watched.dbbuild(&["hook", "pre-commit"]);
    judged.fails(1).says("cannot read db/migrations/2_b.sql").says(&blob);
    fs::write(watched.folder.join(".git/index"), "no index at all").unwrap();
    watched.dbbuild(&["hook", "pre-commit"]).fails(1).says("index");
}

#[test]
fn a_repository_of_another_user() {
    let Some(watched) = Watched::new(&[]) else { return };
    watched.git(&["add", "--all"]).ok();
    watched.passes(&[]);
    if !nix::unistd::geteuid().is_root() {
        skip("root, who can give a repository away");
        return;
    }
    let nobody = nix::unistd::Uid::from_raw(65_534);
    for path in ["", ".git"] {
        nix::unistd::chown(&watched.folder.join(path), Some(nobody), None).unwrap();
    }
    watched.dbbuild(&["verify"]).fails(1).says("safe.directory");
    watched.git(&["config", "--global", "--add", "safe.directory", "*"]).ok();
    watched.dbbuild(&["verify"]).ok().says("was proved before");
}
