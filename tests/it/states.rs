//! Kept states: a proof starts from the longest prefix of the migrations that passed before, and from no other.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;

use nix::sys::signal::Signal;
use tempfile::NamedTempFile;

use crate::support::World;

const CONFIG: &str = "[postgres]\nversion = 15\nthrowaway = \"local\"\ndatabase = \"app\"\n\
                      [env.development]\ndatabase = \"app_dev\"\ntestdata = [\"default\"]\n";

/// A history that can be replayed only while a file is there: what passes without it started from a kept state.
struct History {
    world: World,
    needed: NamedTempFile,
}

impl History {
    /// Two migrations, the first slow enough to be worth keeping, the second the one that is likely to be edited.
    fn new() -> History {
        let mut needed = NamedTempFile::new().unwrap();
        needed.write_all(b"x").unwrap();
        fs::set_permissions(needed.path(), fs::Permissions::from_mode(0o644)).unwrap();
        let mut world = World::new();
        let state = world.home().join("state");
        world.set("DBBUILD_STATE_DIR", state.to_str().unwrap());
        world.write("dbbuild.toml", CONFIG);
        let history = History { world, needed };
        history.migration("0001_slow", &history.slow());
        history.migration("0002_next", "CREATE TABLE IF NOT EXISTS next (id int);");
        history.proves("baseline");
        history
    }

    fn slow(&self) -> String {
        format!(
            "CREATE TABLE IF NOT EXISTS slow (id int PRIMARY KEY, line text);\n\
             DO $$ BEGIN IF NOT EXISTS (SELECT FROM slow) THEN PERFORM pg_sleep(0.45); END IF; END $$;\n\
             INSERT INTO slow SELECT 1, pg_read_file('{}') ON CONFLICT DO NOTHING;",
            self.needed.path().display()
        )
    }

    fn migration(&self, name: &str, sql: &str) {
        self.world.write(&format!("db/migrations/{name}.sql"), sql);
    }

    /// Runs it with the file that a replay from nothing needs.
    #[track_caller]
    fn proves(&self, command: &str) {
        self.world.dbbuild(&command.split(' ').collect::<Vec<_>>()).ok();
        self.forget();
    }

    /// Takes the file away for a moment.
    #[track_caller]
    fn without_file(&self, command: &str) -> crate::support::Outcome {
        let aside = self.needed.path().with_extension("aside");
        fs::rename(self.needed.path(), &aside).unwrap();
        let outcome = self.world.dbbuild(&command.split(' ').collect::<Vec<_>>());
        fs::rename(&aside, self.needed.path()).unwrap();
        outcome
    }

    /// Forgets verdicts, which would answer before any state is looked for.
    fn forget(&self) {
        let _ = fs::remove_dir_all(self.world.path(".git/dbbuild"));
    }

    #[track_caller]
    fn starts_from_a_state(&self, command: &str) {
        self.without_file(command).ok();
        self.forget();
    }

    #[track_caller]
    fn starts_from_nothing(&self, command: &str) {
        self.without_file(command).fails(1).says("0001_slow.sql").says("could not open file");
    }

    /// The folders of the states that this world keeps.
    fn states(&self) -> Vec<PathBuf> {
        let list = |path: PathBuf| fs::read_dir(path).into_iter().flatten().flatten().map(|entry| entry.path());
        let user = nix::unistd::geteuid();
        let bases = ["/dev/shm", "/tmp", "/var/tmp"].map(|base| PathBuf::from(format!("{base}/dbbuild-{user}")));
        let stores = bases.into_iter().chain([self.world.path(format!("../tmp/dbbuild-{user}"))]).flat_map(list);
        let root = self.world.home().join("state");
        let own = stores
            .filter(|store| fs::read(store.join("owner")).is_ok_and(|o| o == root.as_os_str().as_encoded_bytes()));
        own.flat_map(list).filter(|path| path.is_dir()).collect()
    }
}

impl Drop for History {
    fn drop(&mut self) {
        // Lies outside of the world; a later run would sweep it.
        for state in self.states() {
            let _ = fs::remove_dir_all(state.parent().unwrap());
        }
    }
}

#[test]
fn a_proof_starts_from_the_longest_prefix_that_passed() {
    let history = History::new();
    history.starts_from_a_state("verify --worktree");
    history.starts_from_nothing("verify --worktree --full");
    // A new migration, and an edited one after the prefix.
    history.migration("0003_more", "CREATE TABLE IF NOT EXISTS more (id int);");
    history.without_file("verify --worktree").fails(3).says("public.more");
    history.starts_from_a_state("baseline");
    history.migration("0002_next", "CREATE TABLE IF NOT EXISTS next (id bigint);");
    history.starts_from_a_state("baseline");
    assert!(history.world.read("db/baseline.sql").contains("id bigint"));
    history.starts_from_a_state("verify --worktree");
    // Another order, another rule, another cluster: no state of these.
    history.migration("0000_before", "CREATE TABLE IF NOT EXISTS before (id int);");
    history.starts_from_nothing("verify --worktree");
    fs::remove_file(history.world.path("db/migrations/0000_before.sql")).unwrap();
    for other in
        ["[migrations]\nidempotent = \"warn\"\n", "[migrations]\nvolatile = \"off\"\n[baseline]\nexclude = []\n"]
    {
        history.world.write("dbbuild.toml", format!("{CONFIG}{other}"));
        let outcome = history.without_file("verify --worktree");
        assert_eq!(outcome.status == 1, other.contains("idempotent"), "{}", outcome.show());
    }
    history.world.write("dbbuild.toml", CONFIG.replace("\"app\"", "\"other\""));
    history.starts_from_nothing("verify --worktree");
    history.world.write("dbbuild.toml", CONFIG);
    // An edited first migration.
    history.migration("0001_slow", &format!("-- edited\n{}", history.slow()));
    history.starts_from_nothing("verify --worktree");
}

#[test]
fn a_damaged_state_is_rebuilt() {
    let history = History::new();
    let damages: [&dyn Fn(&PathBuf); 3] = [
        &|state| fs::write(state.join("data/base/1/1259"), "nonsense").unwrap(),
        &|state| fs::remove_file(state.join("lock")).unwrap(),
        &|state| {
            // Foreign: another state under this name.
            let about = fs::read_to_string(state.join("about")).unwrap();
            fs::write(state.join("about"), about.replacen(|c: char| c.is_ascii_hexdigit(), "0", 70)).unwrap();
        },
    ];
    for damage in damages {
        let states = history.states();
        assert!(!states.is_empty());
        states.iter().for_each(damage);
        history.starts_from_nothing("verify --worktree");
        assert_eq!(history.states(), Vec::<PathBuf>::new(), "what is damaged goes");
        history.proves("verify --worktree");
    }
    history.starts_from_a_state("verify --worktree");
    let pruned = history.world.dbbuild(&["server", "prune"]);
    pruned.ok().says("removed kept state");
    assert_eq!(history.states(), Vec::<PathBuf>::new());
    history.starts_from_nothing("verify --worktree");
}

#[test]
fn a_migration_that_failed_or_broke_a_rule_is_in_no_state() {
    let history = History::new();
    let broken = "CREATE TABLE IF NOT EXISTS log (n int); INSERT INTO log VALUES (1); SELECT pg_sleep(0.5);";
    history.migration("0003_broken", broken);
    for _ in 0..2 {
        history.without_file("verify --worktree").fails(1).says("0003_broken changes rows of public.log");
    }
    history.world.write("dbbuild.toml", format!("{CONFIG}[migrations]\nidempotent = \"warn\"\n"));
    for _ in 0..2 {
        // Only warned of, it is kept, and so is the warning.
        history.world.dbbuild(&["baseline"]).ok().says("0003_broken changes rows of public.log");
        history.forget();
    }
}

#[test]
fn what_a_prefix_left_behind_is_as_it_was() {
    let history = History::new();
    let migration = "CREATE UNLOGGED TABLE IF NOT EXISTS fast (id int); INSERT INTO fast SELECT 1 WHERE NOT EXISTS (SELECT FROM fast);
        CREATE TABLE IF NOT EXISTS numbered (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, n int UNIQUE);
        INSERT INTO numbered (n) VALUES (1), (2), (3) ON CONFLICT DO NOTHING;
        CREATE SEQUENCE IF NOT EXISTS s; SELECT setval('s', 41);
        DO $$ BEGIN CREATE ROLE reader; EXCEPTION WHEN duplicate_object THEN NULL; END $$;
        GRANT SELECT ON numbered TO reader; ALTER DATABASE app SET work_mem = '5MB'; SELECT pg_sleep(0.5);";
    history.migration("0002_next", migration);
    history.migration(
        "0003_alone",
        "-- migrate:up transaction:false\nCREATE INDEX CONCURRENTLY IF NOT EXISTS n ON numbered (n);",
    );
    history.proves("baseline");
    history.migration(
        "0004_last",
        "DO $$ BEGIN IF current_setting('work_mem') <> '5MB' THEN RAISE 'not so'; END IF; END $$;",
    );
    history.starts_from_a_state("baseline");
    let from_state = history.world.read("db/baseline.sql");
    assert!(from_state.contains("setval('public.s', 41, true)") && from_state.contains("reader"), "{from_state}");
    history.proves("verify --worktree --full");
    history.world.dbbuild(&["server", "prune"]).ok();
    history.proves("baseline");
    assert_eq!(history.world.read("db/baseline.sql"), from_state);
}

#[test]
fn proofs_at_once_and_killed_ones_leave_only_whole_states() {
    let history = History::new();
    let world = &history.world;
    world.dbbuild(&["server", "prune"]).ok();
    // All of them find nothing, and keep the same.
    let proofs = || (0..3).map(|_| world.start(&["verify", "--worktree"])).collect::<Vec<_>>();
    proofs().into_iter().for_each(|proof| {
        proof.wait().ok();
        history.forget();
    });
    history.forget();
    history.starts_from_a_state("verify --worktree");
    for after in [540, 620, 700] {
        world.dbbuild(&["server", "prune"]).ok();
        history.forget();
        let mut proof = world.start(&["verify", "--worktree"]);
        std::thread::sleep(Duration::from_millis(after));
        proof.signal(Signal::SIGKILL);
        proof.wait();
        history.forget();
        world.dbbuild(&["verify", "--worktree"]).ok();
        history.forget();
        history.starts_from_a_state("verify --worktree");
    }
}
