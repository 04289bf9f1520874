//! The kept container: proofs through Docker start from what was kept in it, leave no server in it however they end, and
//! `--full` goes without it.

use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::docker::{DOCKER, ask, world};
use crate::support::{World, docker};

/// A world with a kept container of its own, which goes at the end.
struct Kept {
    world: World,
}

impl Kept {
    fn new() -> Kept {
        let mut world = world(DOCKER);
        let state = world.home().join("state");
        world.set("DBBUILD_STATE_DIR", state.to_str().unwrap());
        world.dbbuild(&["baseline"]).ok();
        Kept { world }
    }

    fn filter(&self) -> String {
        format!("label=dbbuild.kept={}", self.world.home().join("state").display())
    }

    fn containers(&self) -> Vec<String> {
        ask(&["ps", "--all", "--quiet", "--filter", &self.filter()]).lines().map(str::to_owned).collect()
    }

    fn container(&self) -> String {
        let [container] = &self.containers()[..] else { panic!("{:?}", self.containers()) };
        container.clone()
    }

    /// What runs a shell's words in the container.
    fn inside(&self, words: &str) -> String {
        ask(&["exec", &self.container(), "sh", "-c", words])
    }

    /// Waits until a server in the container sleeps.
    fn wait_for_sleep(&self) {
        let start = Instant::now();
        let asleep = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'";
        let words = format!(
            "for p in /dbbuild/port-*; do psql -XAtqU postgres -p ${{p##*-}} -c \"{asleep}\" 2>/dev/null; done; true"
        );
        while !self.inside(&words).contains('1') {
            assert!(start.elapsed() < Duration::from_secs(120), "no server sleeps");
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// Waits for the end of all servers: their scripts hear of it a moment after dbbuild has gone.
    #[track_caller]
    fn is_quiet(&self) {
        let start = Instant::now();
        loop {
            let left = self.inside("ls -d /dbbuild/port-* 2>/dev/null; true");
            if left.is_empty() {
                return;
            }
            assert!(start.elapsed() < Duration::from_secs(60), "{left}");
            thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        for id in ask(&["ps", "--all", "--quiet", "--filter", &self.filter()]).lines() {
            ask(&["rm", "--force", id]);
        }
    }
}

#[test]
fn a_proof_through_docker_starts_from_a_kept_state() {
    if !docker() {
        return;
    }
    let kept = Kept::new();
    let world = &kept.world;
    // A replay works only while the file is there; it is slow enough to be worth keeping.
    kept.inside("echo x >/dbbuild/needed; chmod 644 /dbbuild/needed");
    world.write(
        "db/migrations/0003_slow.sql",
        "CREATE TABLE IF NOT EXISTS slow (line text PRIMARY KEY);\n\
         DO $$ BEGIN IF NOT EXISTS (SELECT FROM slow) THEN PERFORM pg_sleep(0.5); END IF; END $$;\n\
         INSERT INTO slow SELECT pg_read_file('/dbbuild/needed') ON CONFLICT DO NOTHING;\n",
    );
    world.write("db/migrations/0004_next.sql", "CREATE TABLE IF NOT EXISTS next (id int);\n");
    world.dbbuild(&["baseline"]).ok();
    kept.inside("rm /dbbuild/needed");
    world.write("db/migrations/0005_more.sql", "CREATE TABLE IF NOT EXISTS more (id int);\n");
    world.dbbuild(&["baseline"]).ok();
    std::fs::remove_dir_all(world.path(".git/dbbuild")).unwrap();
    world.dbbuild(&["verify", "--worktree"]).ok();
    // Nothing that is kept is used by a whole proof, which makes containers of its own.
    let whole = world.dbbuild(&["verify", "--worktree", "--full"]);
    whole.fails(1).says("0003_slow.sql").says("/dbbuild/needed");
    kept.is_quiet();
    world.dbbuild(&["server", "prune"]).ok().says("removed kept container dbbuild-kept-");
    assert_eq!(kept.containers(), [""; 0]);
    // A container that went takes its states along.
    std::fs::remove_dir_all(world.path(".git/dbbuild")).unwrap();
    world.dbbuild(&["verify", "--worktree"]).fails(1).says("/dbbuild/needed");
}

#[test]
fn a_kept_container_is_on_loopback_only_and_in_memory() {
    if !docker() {
        return;
    }
    let kept = Kept::new();
    let hosts = "{{range .NetworkSettings.Ports}}{{range .}}{{.HostIp}} {{end}}{{end}}";
    let hosts = ask(&["inspect", &kept.container(), "--format", hosts]);
    assert!(!hosts.is_empty() && hosts.split_whitespace().all(|host| host == "127.0.0.1"), "{hosts}");
    let mounts = ask(&["inspect", &kept.container(), "--format", "{{.HostConfig.Tmpfs}} {{.HostConfig.AutoRemove}}"]);
    assert!(mounts.contains("/dbbuild") && mounts.ends_with("true"), "{mounts}");
}

#[test]
fn no_server_outlives_its_dbbuild_in_a_kept_container() {
    if !docker() {
        return;
    }
    let kept = Kept::new();
    let container = kept.container();
    kept.world.write("db/migrations/0003_sleep.sql", "SELECT pg_sleep(60);\n");
    for (signal, status) in [(Signal::SIGINT, Some(1)), (Signal::SIGKILL, None)] {
        let mut proof = kept.world.start(&["verify", "--worktree"]);
        kept.wait_for_sleep();
        proof.signal(signal);
        let outcome = proof.wait();
        assert!(status.is_none_or(|status| outcome.status == status), "{}", outcome.show());
        kept.is_quiet();
    }
    kept.world.write("db/migrations/0003_sleep.sql", "SELECT broken;\n");
    kept.world.dbbuild(&["baseline"]).fails(1).says("0003_sleep.sql");
    kept.is_quiet();
    assert_eq!(kept.container(), container, "the container stays");
}

#[test]
fn a_container_that_somebody_stopped_or_emptied_is_made_again() {
    if !docker() {
        return;
    }
    let kept = Kept::new();
    let first = kept.container();
    ask(&["kill", &first]);
    let forget = || drop(std::fs::remove_dir_all(kept.world.path(".git/dbbuild")));
    forget();
    kept.world.dbbuild(&["verify", "--worktree"]).ok();
    // The engine may still be at removing it.
    let start = Instant::now();
    while kept.containers().len() != 1 {
        assert!(start.elapsed() < Duration::from_secs(60), "{:?}", kept.containers());
        thread::sleep(Duration::from_millis(50));
    }
    assert_ne!(kept.container(), first);
    kept.inside("rm -rf /dbbuild/kept/*");
    forget();
    kept.world.dbbuild(&["verify", "--worktree"]).ok();
}

#[test]
fn proofs_at_once_share_a_kept_container() {
    if !docker() {
        return;
    }
    let kept = Kept::new();
    kept.world.dbbuild(&["server", "prune"]).ok();
    let proofs: Vec<_> = (0..4).map(|_| kept.world.start(&["baseline"])).collect();
    for proof in proofs {
        proof.wait().ok();
    }
    kept.container();
    kept.is_quiet();
}
