//! Real histories, where `DBBUILD_HISTORIES` names their folder, lived through once more as repositories: commits, two
//! branches that are merged and two of which one is rebased, a remote, every hook. Each good commit passes; each bad one
//! is refused with its cause.

use std::fs;
use std::path::PathBuf;
use std::time::Instant;

use crate::support::{Outcome, World, histories, server};

/// None of the histories was written to run twice, and their rows hold times and random keys.
const CONFIG: &str = "[postgres]\nversion = 15\nthrowaway = \"local\"\ndatabase = \"app\"\n\
    [migrations]\nidempotent = \"off\"\nvolatile = \"warn\"\n";
const BASELINE: &str = "db/baseline.sql";
/// A table of our own beside those of the history, with a row that belongs to the baseline.
const PROBE: &str = "CREATE TABLE IF NOT EXISTS public.probe (id int PRIMARY KEY, name text NOT NULL);\n\
    INSERT INTO public.probe VALUES (1, 'real') ON CONFLICT DO NOTHING;\n";
/// Newer than every version of the histories.
const NEWEST: &str = "9999999999999999";

// The number is the position of two pairs of migrations, one behind the other. Those of a pair do not need each other:
// the first come together by a merge, the second by a rebase.
#[test]
fn crates_io_lives() {
    live("crates_io", 277);
}

#[test]
fn mint_lives() {
    live("mint", 171);
}

#[test]
fn zksync_lives() {
    live("zksync", 264);
}

struct Repository {
    world: World,
    files: Vec<PathBuf>,
    name: &'static str,
    since: Instant,
}

fn live(name: &'static str, pairs: usize) {
    let Some(folder) = histories() else { return };
    if server(15).is_none() {
        return;
    }
    let mut files: Vec<PathBuf> =
        fs::read_dir(folder.join(name).join("up")).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let repository = Repository { world: World::new(), files, name, since: Instant::now() };
    repository.begin(pairs);
    repository.merge(pairs);
    repository.rebase(pairs + 2);
    repository.good_and_stale(pairs + 4);
    repository.half_staged();
    repository.published();
    repository.twice();
    repository.baselines();
}

impl Repository {
    fn git(&self, line: &str) -> Outcome {
        let words: Vec<&str> = line.split(' ').collect();
        self.world.git(&words)
    }

    fn add(&self, range: std::ops::Range<usize>) {
        for file in &self.files[range] {
            let name = file.file_name().unwrap().to_str().unwrap();
            self.world.write(&format!("db/migrations/{name}"), fs::read(file).unwrap());
        }
    }

    /// Makes the baseline and commits everything.
    fn save(&self, message: &str) -> Outcome {
        self.world.dbbuild(&["baseline"]).ok();
        let commit = self.world.commit(message);
        self.passed(message);
        commit
    }

    fn passed(&self, what: &str) {
        eprintln!("{}: {what} after {:.1?}", self.name, self.since.elapsed());
    }

    /// The index as it is must not be committed, whatever the work tree holds; then all is as before.
    fn refused(&self, what: &str) -> Outcome {
        let outcome = self.git("commit -q -m bad");
        self.passed(what);
        assert_eq!(outcome.status, 1, "{what}\n{}", outcome.show());
        self.git("reset -q --hard").ok();
        self.git("clean -q -fd db").ok();
        outcome
    }

    /// The first migrations are published.
    fn begin(&self, count: usize) {
        let world = &self.world;
        world.write("dbbuild.toml", CONFIG).write("db/migrations/0_probe.sql", PROBE);
        world.write("db/testdata/default/probe.sql", "INSERT INTO public.probe VALUES (2, 'invented');\n");
        self.add(0..count);
        world.dbbuild(&["hooks", "install"]).ok();
        self.save("start").ok();
        self.git("init -q --bare -b main ../origin.git").ok();
        self.git("remote add origin ../origin.git").ok();
        self.git("push -q -u origin main").ok();
        self.git("remote set-head origin main").ok();
    }

    /// Two branches with a migration each, merged.
    fn merge(&self, at: usize) {
        self.git("checkout -q -b feature").ok();
        self.add(at + 1..at + 2);
        self.save("feature").ok();
        self.git("checkout -q main").ok();
        self.add(at..at + 1);
        self.save("main").ok();
        self.git("push -q").ok();
        self.git("merge -q -m both feature").ok().says("made anew from both sides");
        self.passed("merge");
    }

    /// Two branches with a migration each, one rebased.
    fn rebase(&self, at: usize) {
        self.git("checkout -q -b late").ok();
        self.add(at + 1..at + 2);
        self.save("late").ok();
        self.git("checkout -q main").ok();
        self.add(at..at + 1);
        self.save("early").ok();
        self.git("checkout -q late").ok();
        self.git("rebase -q main").ok().says("made anew from both sides");
        self.git("checkout -q main").ok();
        self.git("merge -q --ff-only late").ok();
        self.git("push -q").ok();
        self.passed("rebase and push");
    }

    /// The rest of the history: without its baseline, then with it. A commit of something else passes in between.
    fn good_and_stale(&self, from: usize) {
        let world = &self.world;
        self.add(from..self.files.len());
        world.write(&format!("db/migrations/{NEWEST}0_more.sql"), "CREATE TABLE public.more (id int);\n");
        self.git("add db/migrations").ok();
        let stale = self.git("commit -q -m stale");
        stale.fails(1).says("db/baseline.sql is stale").says("public.more").says("it was made without ");
        self.passed("stale");
        world.write("notes.txt", "nothing of the database\n");
        self.git("add notes.txt").ok();
        self.git("commit -q --only -m notes notes.txt").ok();
        self.save("rest").ok();
        self.git("push -q").ok();
    }

    /// A file of which the index holds the first half, with a baseline of the whole.
    fn half_staged(&self) {
        let path = format!("db/migrations/{NEWEST}1_half.sql");
        let (first, second) = ("CREATE TABLE public.first (id int);\n", "CREATE TABLE public.second (id int);\n");
        self.world.write(&path, first);
        self.git("add db").ok();
        self.world.write(&path, format!("{first}{second}"));
        self.world.dbbuild(&["baseline"]).ok();
        self.git("add db/baseline.sql").ok();
        let refused = self.refused("half staged");
        refused.says("db/baseline.sql is stale").says("public.second");
        refused.says(&format!("it was made with other content of {NEWEST}1_half"));
    }

    /// What is published stays as it is.
    fn published(&self) {
        let name = self.files[self.files.len() / 2].file_name().unwrap().to_str().unwrap().to_owned();
        let path = format!("db/migrations/{name}");
        self.world.write(
            &path,
            format!("{}\nSELECT 1;\n", String::from_utf8_lossy(&fs::read(self.world.path(&path)).unwrap())),
        );
        self.git("add db").ok();
        self.refused("edited").says(&name).says("published").says_not("is stale");
        self.git(&format!("rm -q {path}")).ok();
        self.refused("deleted").says(&name).says("published");
        assert!(self.world.path(&path).exists());
    }

    /// Two branches use one version: neither the merge nor a commit that solves it badly comes through.
    fn twice(&self) {
        for (branch, table) in [("one", "one"), ("two", "two")] {
            self.git(&format!("checkout -q -b {branch} main")).ok();
            let sql = format!("CREATE TABLE public.{table} (id int);\n");
            self.world.write(&format!("db/migrations/{NEWEST}2_{table}.sql"), sql);
            self.save(branch).ok();
        }
        let merge = self.git("merge -q one");
        merge.fails(1).says(&format!("version {NEWEST}2 is used twice")).says("was not merged");
        self.git("checkout -q --theirs db/baseline.sql").ok();
        self.git("add db").ok();
        self.refused("twice").says("is used twice").says("rename the newer one");
        self.git("checkout -q main").ok();
    }

    /// Baselines that are not what the sources make.
    fn baselines(&self) {
        let good = self.world.read(BASELINE);
        let real = "\n1\treal\n";
        assert!(good.contains(real) && good.contains("\n    name text NOT NULL\n"), "the probe is in the baseline");
        let edits = [
            ("with test data", real, "\n1\treal\n2\tinvented\n"),
            ("by hand", "\n    name text NOT NULL\n", "\n    name text\n"),
        ];
        for (what, from, to) in edits {
            self.world.write(BASELINE, good.replacen(from, to, 1));
            self.git("add db").ok();
            self.refused(what).says("public.probe").says("it was edited by hand").says("dbbuild baseline");
        }
        self.of_another_major();
        self.dumped_with_test_data();
        self.world.dbbuild(&["verify"]).ok();
    }

    /// Made by the programs of a real PostgreSQL 16, where this machine has them.
    fn of_another_major(&self) {
        let Some(other) = server(16) else { return };
        let bin = other.command("pg_dump").get_program().to_str().unwrap().trim_end_matches("/pg_dump").to_owned();
        let config = CONFIG.replace("version = 15\n", &format!("version = 16\nbin_dir = \"{bin}\"\n"));
        // Not every build of it has the extensions that the histories want.
        let elsewhere = World::new();
        elsewhere.write("dbbuild.toml", config).write("db/migrations/0_probe.sql", PROBE);
        elsewhere.dbbuild(&["baseline"]).ok();
        self.world.write(BASELINE, elsewhere.read(BASELINE));
        self.git("add db").ok();
        let refused = self.refused("of another major");
        refused.says("was made with PostgreSQL 16, but 15 is pinned").says("dbbuild baseline");
    }

    /// A developer's own `pg_dump` of a database that was built with its test data.
    fn dumped_with_test_data(&self) {
        let Some(server) = server(15) else { return };
        let db = server.fresh_database();
        let more = format!("[env.development]\nurl = \"{}\"\ntestdata = [\"default\"]\n", db.url);
        self.world.write("dbbuild.toml", format!("{CONFIG}{more}"));
        self.world.dbbuild(&["build", "--no-baseline"]).ok();
        let dump = db.pg_dump();
        assert!(dump.contains("invented"), "the test data was loaded");
        self.world.write("dbbuild.toml", CONFIG).write(BASELINE, dump);
        self.git("add db").ok();
        self.refused("a plain dump").says("is not a baseline written by dbbuild").says("dbbuild baseline");
    }
}
