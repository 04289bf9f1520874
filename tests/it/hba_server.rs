//! Host-based access of a running server: its file compared, replaced, taken back and adopted.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::hba::{HBA, project};
use crate::support::{Server, World, as_server_user, server, skip};

/// A server with a file that lets superusers in through the socket, and its project.
fn deployed(major: u32) -> Option<(Server, World)> {
    let server = Server::private(major, &[])?;
    server.run("psql", &["-Xqc", "CREATE DATABASE shop TEMPLATE template0", "-d", "postgres"]).ok();
    let world = project(major, &server.bin, &server.url("shop"));
    world.write(HBA, "# who\nlocal all postgres trust\nhostssl shop app 10.0.0.0/8 scram-sha-256\n");
    Some((server, world))
}

fn place(server: &Server) -> PathBuf {
    server.dir.join("data/pg_hba.conf")
}

fn copies(server: &Server) -> Vec<String> {
    let entries = fs::read_dir(server.dir.join("data")).unwrap();
    let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.retain(|name| name.contains("dbbuild"));
    names.sort();
    names
}

fn production<'a>(words: &[&'a str]) -> Vec<&'a str> {
    [&["hba"], words, &["--env", "production"]].concat()
}

#[test]
fn a_file_is_compared_applied_and_adopted() {
    for major in [15, 17] {
        let Some((server, world)) = deployed(major) else { continue };
        let (file, db) = (place(&server), server.existing("postgres"));
        let before = fs::read_to_string(&file).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
        let owner = fs::metadata(&file).unwrap();

        let plan = world.dbbuild(&production(&["plan"]));
        plan.fails(3).says("+ local all postgres trust").says("- local all all trust").says("+++ db/pg_hba.conf");
        assert_eq!(fs::read_to_string(&file).unwrap(), before, "a plan writes nothing");

        let applied = world.dbbuild(&production(&["apply", "--json"])).ok().json();
        assert_eq!(fs::read_to_string(&file).unwrap(), world.read(HBA));
        let now = fs::metadata(&file).unwrap();
        assert_eq!((now.uid(), now.gid(), now.mode()), (owner.uid(), owner.gid(), owner.mode()));
        let kept = copies(&server);
        assert_eq!(kept.len(), 1, "{kept:?}");
        assert!(kept[0].starts_with("pg_hba.conf.dbbuild-") && !kept[0].ends_with(".unproved"), "{kept:?}");
        assert_eq!(fs::read_to_string(server.dir.join("data").join(&kept[0])).unwrap(), before);
        assert!(applied["copies"][0].as_str().unwrap().ends_with(&kept[0]), "{applied}");
        db.psql("CREATE ROLE app LOGIN");
        let refused = server.run("psql", &["-XAtqc", "SELECT 1", "-d", "postgres", "-U", "app"]);
        refused.fails(2).says("no pg_hba.conf entry");

        world.dbbuild(&production(&["plan"])).ok().says("has the access file of the repository");
        world.dbbuild(&production(&["apply"])).ok().says("is as the repository has it");
        assert_eq!(copies(&server).len(), 1, "nothing to do keeps no copy");

        world.write(HBA, format!("{}# more words\n", world.read(HBA)));
        world.dbbuild(&production(&["plan"])).fails(3).says("the rules are the same; comments or layout differ");

        world.write(HBA, "local all all peer\n");
        world.dbbuild(&production(&["adopt"])).fails(1).says("has other content than the server's at db/pg_hba.conf");
        assert_eq!(world.read(HBA), "local all all peer\n");
        world.dbbuild(&production(&["adopt", "--own"])).ok().says("wrote db/pg_hba.production.conf");
        assert_eq!(world.read("db/pg_hba.production.conf"), fs::read_to_string(&file).unwrap());
        world.dbbuild(&production(&["plan"])).ok();
        fs::remove_file(world.path("db/pg_hba.production.conf")).unwrap();
        world.dbbuild(&production(&["adopt", "--force"])).ok().says("wrote db/pg_hba.conf");
        assert_eq!(world.read(HBA), fs::read_to_string(&file).unwrap());
        world.dbbuild(&production(&["adopt"])).ok().says("1 file as the server has it");
    }
}

#[test]
fn a_file_with_an_error_or_a_danger_is_not_applied() {
    let Some((server, world)) = deployed(15) else { return };
    let before = fs::read_to_string(place(&server)).unwrap();
    for (bad, says) in [
        ("local all postgres trust\n\n\n\n\n\nhost shop app 10.0.0.0/99 md5\n", "db/pg_hba.conf:7"),
        ("local all postgres trust\nhost all all samenet trust\n", "`trust` lets others"),
        // The view of the rules has no fault to find in it; a server that reads it only says so in its log.
        ("# nobody\n", "it holds no rule: a running server keeps those that it has, and none starts with it"),
    ] {
        world.write(HBA, bad);
        world.dbbuild(&production(&["apply"])).fails(1).says(says).says("nothing was changed on the server");
        world.dbbuild(&production(&["plan"])).fails(3).says("`dbbuild hba apply` would be refused");
    }
    world.write(HBA, "local all postgres trust\n");
    world.write(
        "db/access.toml",
        "[[expect]]\nuser = \"postgres\"\ndatabase = \"x\"\naddress = \"local\"\nmethod = \"peer\"\n",
    );
    world.dbbuild(&production(&["apply"])).fails(1).says("should be `peer` at db/access.toml:1");
    fs::remove_file(world.path("db/access.toml")).unwrap();
    // The guard: what the database is marked as must be what is selected.
    server.existing("shop").psql("CREATE TABLE t ()");
    world.dbbuild(&production(&["apply"])).fails(1).says("refused to change the access to").says("carries no mark");
    assert_eq!(fs::read_to_string(place(&server)).unwrap(), before);
    assert_eq!(copies(&server), Vec::<String>::new());
}

#[test]
fn a_file_that_locks_dbbuild_out_is_taken_back() {
    let Some((server, world)) = deployed(15) else { return };
    let before = fs::read(place(&server)).unwrap();
    world.write(HBA, "local all somebody trust\nhost all all 127.0.0.1/32 scram-sha-256\n");
    let outcome = world.dbbuild(&production(&["apply"]));
    outcome
        .fails(1)
        .says("does not let dbbuild in")
        .says("no pg_hba.conf entry")
        .says("the old file is back and in force");
    assert_eq!(fs::read(place(&server)).unwrap(), before);
    assert_eq!(copies(&server), Vec::<String>::new());
    assert_eq!(server.existing("postgres").psql("SELECT 1"), "1", "others get in as before");
    world.dbbuild(&production(&["plan"])).fails(3).says_not("other rules may be in force");
}

#[test]
fn two_at_once_come_one_after_the_other() {
    let Some((server, one)) = deployed(15) else { return };
    let other = project(15, &server.bin, &server.url("shop"));
    let mut kept = 0;
    for round in 0..3 {
        let text = |whose: &str| format!("# {whose} {round}\nlocal all postgres trust\n");
        one.write(HBA, text("one"));
        other.write(HBA, text("other"));
        let running = one.start(&production(&["apply"]));
        other.dbbuild(&production(&["apply"])).ok().says("wrote ");
        running.wait().ok().says("wrote ");
        let now = fs::read_to_string(place(&server)).unwrap();
        assert!(now == text("one") || now == text("other"), "{now}");
        kept += 2;
        let copies = copies(&server);
        assert!(copies.len() == kept && copies.iter().all(|name| !name.ends_with(".unproved")), "{copies:?}");
    }
}

#[test]
fn what_a_killed_run_left_is_named() {
    let Some((server, world)) = deployed(15) else { return };
    let (before, db) = (fs::read(place(&server)).unwrap(), server.existing("postgres"));
    // Once it is read again, new connections wait: the new file is in force and not proved.
    db.psql("ALTER SYSTEM SET pre_auth_delay = '20s'");
    let mut running = world.start(&production(&["apply"]));
    let start = Instant::now();
    while fs::read(place(&server)).unwrap() == before {
        assert!(start.elapsed() < Duration::from_secs(120), "it writes nothing");
        thread::sleep(Duration::from_millis(5));
    }
    running.signal(Signal::SIGKILL);
    running.wait();
    let left = copies(&server);
    assert!(left.len() == 1 && left[0].ends_with(".unproved"), "{left:?}");
    assert_eq!(fs::read(server.dir.join("data").join(&left[0])).unwrap(), before);
    fs::write(server.dir.join("data/postgresql.auto.conf"), "").unwrap();
    // SIGHUP, since connections that come by now wait.
    let pid: i32 =
        fs::read_to_string(server.dir.join("data/postmaster.pid")).unwrap().lines().next().unwrap().parse().unwrap();
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), Signal::SIGHUP).unwrap();
    let again = world.dbbuild(&production(&["apply"]));
    again.ok().says("did not come to its end").says(&left[0]);
    let settled = copies(&server);
    assert!(settled.iter().all(|name| !name.ends_with(".unproved")), "{settled:?}");
    world.dbbuild(&production(&["apply"])).ok().says_not("did not come to its end");
}

#[test]
fn a_file_that_was_not_read_again_is_noticed() {
    let Some((server, world)) = deployed(15) else { return };
    world.dbbuild(&production(&["apply"])).ok();
    thread::sleep(Duration::from_millis(1100));
    let text = fs::read_to_string(place(&server)).unwrap();
    fs::write(place(&server), &text).unwrap();
    world.dbbuild(&production(&["plan"])).fails(3).says("changed after the server read it");
    world.dbbuild(&production(&["apply"])).ok();
    world.dbbuild(&production(&["plan"])).ok();
    fs::write(place(&server), format!("{text}host nonsense\n")).unwrap();
    world.dbbuild(&production(&["plan"])).fails(3).says("does not take line 4 of its pg_hba.conf");
    fs::write(place(&server), "").unwrap();
    world.dbbuild(&production(&["plan"])).fails(3).says("does not take its pg_hba.conf: it holds no rule");
}

/// The folder of the file belongs to somebody else than runs dbbuild.
#[test]
fn without_the_right_to_write_nothing_changes() {
    let Some((server, world)) = deployed(15) else { return };
    let before = fs::read(place(&server)).unwrap();
    let elsewhere = server.dir.join("etc");
    fs::create_dir(&elsewhere).unwrap();
    let file = elsewhere.join("pg_hba.conf");
    fs::write(&file, &before).unwrap();
    let server = server.restarted(&[&format!("hba_file={}", file.display())]);
    fs::set_permissions(&elsewhere, fs::Permissions::from_mode(0o555)).unwrap();
    let dbbuild = Path::new(env!("CARGO_BIN_EXE_dbbuild"));
    if !as_server_user(dbbuild).arg("--version").output().is_ok_and(|output| output.status.success()) {
        return skip("a dbbuild that the server's user may run");
    }
    let state = server.dir.join("state");
    fs::set_permissions(world.path(".."), fs::Permissions::from_mode(0o755)).unwrap();
    let mut command = as_server_user(dbbuild);
    command.env("DBBUILD_STATE_DIR", &state).env("HOME", &server.dir).env("NO_COLOR", "1").current_dir(world.path(""));
    let outcome = world.run(command.args(production(&["apply"])));
    outcome.fails(1).says("cannot write").says("as this user").says("nothing was changed");
    assert_eq!(fs::read(&file).unwrap(), before);
    let names: Vec<_> = fs::read_dir(&elsewhere).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["pg_hba.conf"]);
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    // Root's file in a folder that all may write to: nobody but root can replace it by one of root's.
    fs::set_permissions(&elsewhere, fs::Permissions::from_mode(0o777)).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o604)).unwrap();
    world.write("dbbuild.toml", format!("{}run_as = [\"env\", \"-i\"]\n", world.read("dbbuild.toml")));
    let mut command = as_server_user(dbbuild);
    command.env("DBBUILD_STATE_DIR", &state).env("HOME", &server.dir).env("NO_COLOR", "1").current_dir(world.path(""));
    let outcome = world.run(command.args(production(&["apply"])));
    outcome.fails(1).says("the owner and group of the old one").says("`run_as` of this environment must lead");
    assert_eq!(fs::read(&file).unwrap(), before);
    let names: Vec<_> = fs::read_dir(&elsewhere).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["pg_hba.conf"]);
}

#[test]
fn a_role_without_rights_is_told_what_it_lacks() {
    let Some((server, world)) = deployed(15) else { return };
    let db = server.existing("shop");
    db.psql("CREATE ROLE plain LOGIN");
    let url = server.url("shop").replace("postgres@", "plain@");
    let plan = world.dbbuild(&["hba", "plan", "--env", "production", "--url", &url]);
    plan.fails(1).says("cannot read the rules of the server's access file").says("permission denied");
    plan.says("GRANT EXECUTE ON FUNCTION pg_catalog.pg_hba_file_rules()");
    db.psql("GRANT SELECT ON pg_catalog.pg_hba_file_rules TO plain; GRANT EXECUTE ON FUNCTION pg_catalog.pg_hba_file_rules() TO plain");
    let plan = world.dbbuild(&["hba", "plan", "--env", "production", "--url", &url]);
    plan.fails(3).says("cannot be read, only its rules").says("+ local all postgres trust");
    let apply = world.dbbuild(&["hba", "apply", "--env", "production", "--url", &url]);
    apply.fails(1).says("cannot change the access file").says("nothing was changed");
    db.psql("GRANT pg_read_all_settings TO plain");
    world.dbbuild(&["hba", "apply", "--env", "production", "--url", &url]).fails(1).says("pg_stat_file");
    world.dbbuild(&["hba", "adopt", "--force", "--env", "production", "--url", &url]).ok().says("wrote db/pg_hba.conf");
}

#[test]
fn a_server_of_another_machine_is_not_changed_from_here() {
    let Some((server, world)) = deployed(15) else { return };
    let before = fs::read(place(&server)).unwrap();
    // A machine with other files at the same places.
    let dbbuild = env!("CARGO_BIN_EXE_dbbuild");
    let data = server.dir.join("data");
    for (prepare, says) in [("true", "there is no "), ("cp -p \"$3\" \"$1\"", "on this machine is another file")] {
        let empty = world.path("empty");
        fs::create_dir_all(&empty).unwrap();
        let script = format!("{prepare} && mount --bind \"$1\" \"$2\" && exec \"$4\" hba apply --env production");
        let mut command = world.command("unshare");
        command.args(["-m", "sh", "-c", &script, "sh"]).arg(&empty).arg(&data).arg(place(&server)).arg(dbbuild);
        let outcome = world.run(&mut command);
        if outcome.stderr.contains("unshare") || outcome.stderr.contains("mount:") {
            return skip("the right to mount");
        }
        outcome.fails(1).says("cannot change the access file of").says(says).says("nothing was changed");
    }
    assert_eq!(fs::read(place(&server)).unwrap(), before);
}

#[test]
fn a_secret_of_a_directory_is_never_shown() {
    let Some((server, world)) = deployed(15) else { return };
    let line = |secret: &str| {
        format!(
            "hostssl shop app 10.0.0.0/8 ldap ldapserver=ldap.invalid ldapbasedn=x ldapbinddn=y ldapbindpasswd={secret}\n"
        )
    };
    world.write(HBA, format!("local all postgres trust\n{}", line("geheim")));
    let check = world.dbbuild(&["hba", "check", "--json"]);
    check.ok().says("a password stands in a file that git keeps").says_not("geheim");
    world.dbbuild(&production(&["apply"])).ok().says_not("geheim");
    world.write(HBA, format!("local all postgres trust\n{}", line("anders")));
    let plan = world.dbbuild(&production(&["plan"]));
    plan.fails(3).says("ldapbindpasswd=***").says_not("geheim").says_not("anders");
    world.dbbuild(&production(&["plan", "--json"])).fails(3).says_not("geheim").says_not("anders");
    drop(server);
}

#[test]
fn includes_are_applied_and_adopted_too() {
    for major in [16, 18] {
        let Some((server, world)) = deployed(major) else { continue };
        world.write(HBA, "local all postgres trust\ninclude hba/a.conf\ninclude_dir hba/d\n");
        world.write("db/hba/a.conf", "hostssl @dbs app 10.0.0.0/8 scram-sha-256\n").write("db/hba/dbs", "shop\n");
        world.write("db/hba/d/1.conf", "hostssl store app 10.0.0.0/8 scram-sha-256\n");
        world.dbbuild(&production(&["apply"])).ok().says("data/hba/d/1.conf");
        world.dbbuild(&production(&["plan"])).ok();
        let data = server.dir.join("data");
        let (own, new) = (fs::metadata(&data).unwrap(), fs::metadata(data.join("hba/d")).unwrap());
        assert_eq!((new.uid(), new.gid(), new.mode() & 0o777), (own.uid(), own.gid(), 0o700), "the server's folder");
        fs::write(data.join("hba/d/2.conf"), "local all other trust\n").unwrap();
        let plan = world.dbbuild(&production(&["plan"]));
        plan.fails(3).says("- local all other trust").says("server/hba/d/2.conf");
        world.write("db/hba/a.conf", "hostssl @dbs app,web 10.0.0.0/8 scram-sha-256\n");
        let apply = world.dbbuild(&production(&["apply"]));
        apply.fails(1).says("reads other rules than the repository has").says("has also local all other trust");
        assert!(fs::read_to_string(data.join("hba/a.conf")).unwrap().contains("dbs app 10"), "it is back");
        world.dbbuild(&production(&["adopt", "--force"])).ok().says("wrote db/hba/d/2.conf");
        // Nobody has told the server of the new file yet, which shows where it is a second younger than the last reload.
        world.dbbuild(&production(&["apply"])).ok();
        world.dbbuild(&production(&["plan"])).ok();
    }
}

#[test]
fn the_embedded_server_has_a_file_of_its_own() {
    let Some(server) = server(15) else { return };
    let world = project(15, &server.bin, "postgresql:///x");
    world.write(HBA, "local all all peer\n");
    for action in ["plan", "apply", "adopt"] {
        world.dbbuild(&["hba", action]).fails(1);
    }
    world.dbbuild(&["server", "start"]).ok();
    world.dbbuild(&["hba", "plan"]).fails(1).says("has an access file of dbbuild's own");
    world.dbbuild(&["server", "stop"]).ok();
}
