//! Host-based access: files judged by a real server, expectations tried by real logins, and a server's file compared,
//! replaced and taken back.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::support::{Outcome, Server, World, as_server_user, docker, server, skip};

const HBA: &str = "db/pg_hba.conf";

fn json(outcome: &Outcome) -> Value {
    serde_json::from_str(&outcome.stdout).unwrap_or_else(|error| panic!("{error}\n{}", outcome.show()))
}

/// A project for a server of this version, whose production is at `url`.
fn project(major: u32, bin: &Path, url: &str) -> World {
    let world = World::without_git();
    let config = format!(
        "[postgres]\nversion = {major}\nthrowaway = \"local\"\nbin_dir = \"{}\"\n[env.development]\n[env.production]\n\
         url = \"{url}\"\nprotected = true\n",
        bin.display()
    );
    world.write("dbbuild.toml", config);
    world
}

fn judged(hba: &str, access: &str) -> Option<(World, Outcome)> {
    let server = server(15)?;
    let world = project(15, &server.bin, "postgresql:///x");
    world.write(HBA, hba).write("db/access.toml", access);
    let outcome = world.dbbuild(&["hba", "check"]);
    Some((world, outcome))
}

#[test]
fn an_error_is_named_with_its_line_and_the_servers_words() {
    let file = "# one\n\nlocal all all peer\nhostssl shop app 10.0.0.0/8 scram-sha-256\n\n# six\nhost shop app 10.0.0.0/99 scram-sha-256\n";
    let Some((_, outcome)) = judged(file, "") else { return };
    outcome.fails(1).says("at db/pg_hba.conf:7").says("invalid CIDR mask in address \"10.0.0.0/99\"");
    let (_, outcome) = judged("local all all peer\ninclude more.conf\n", "").unwrap();
    outcome.fails(1).says("db/pg_hba.conf:2").says("invalid connection type \"include\"");
    let (_, outcome) = judged("\u{feff}local all all peer\n", "").unwrap();
    outcome.fails(1).says("at db/pg_hba.conf:1").says("begins with a byte order mark");
    let (_, outcome) = judged("local @none all peer\n", "").unwrap();
    outcome.fails(1).says("db/pg_hba.conf:1").says("as \"db/none\": No such file");
}

#[test]
fn dangers_are_named_and_can_be_accepted() {
    let file = "local all all peer\nhost all all samenet trust\nhostssl shop app 0.0.0.0/0 md5\nlocal shop app scram-sha-256\n";
    let Some((world, outcome)) = judged(file, "") else { return };
    outcome.fails(1).says("at db/pg_hba.conf:2").says("`trust` lets others");
    outcome.says("warning: db/pg_hba.conf:3: everybody who reaches the port may try").says("db/pg_hba.conf:3: `md5`");
    outcome.says("at db/pg_hba.conf:4").says("line 1 already decides about all of this, by `peer`");
    let accepted = "local all all peer\n# dbbuild:accept trust a lab without a door\nhost all all samenet trust\n\
                    # dbbuild:accept any-address,md5 an old client\nhostssl shop app 0.0.0.0/0 md5\n";
    world.write(HBA, accepted);
    world.dbbuild(&["hba", "check", "--strict"]).ok().says_not("warning").says("3 rules");
    world.write(
        HBA,
        "hostssl shop app 0.0.0.0/0 scram-sha-256\n# dbbuild:accept md5 nothing here\nlocal all all peer\n",
    );
    world.dbbuild(&["hba", "check"]).ok().says("`dbbuild:accept` accepts nothing");
    world.dbbuild(&["hba", "check", "--strict"]).fails(1).says("at db/pg_hba.conf:2").says("everybody");
    world.write(HBA, "# dbbuild:acept md5 x\nlocal all all peer\n");
    world.dbbuild(&["hba", "check"]).fails(1).says("unknown directive `dbbuild:acept` at db/pg_hba.conf:1");
}

const EXPECTED: &str = r#"
[[expect]]
user = "app"
database = "shop"
address = "127.0.0.1"
tls = true
method = "scram-sha-256"
[[expect]]
user = "app"
database = "shop"
address = "127.0.0.1"
tls = false
refused = true
[[expect]]
user = "lab"
database = "other"
address = "127.1.2.3"
method = "trust"
[[expect]]
user = "old"
database = "old"
address = "::1"
method = "md5"
[[expect]]
user = "postgres"
database = "postgres"
address = "local"
method = "peer"
[[expect]]
user = "member"
database = "team"
address = "local"
method = "password"
[[expect]]
user = "app"
database = "shop"
address = "192.0.2.7"
tls = true
method = "ldap"
[[expect]]
user = "standby"
replication = true
address = "127.0.0.1"
tls = true
method = "scram-sha-256"
"#;

const EXPECTING: &str = "local all postgres peer\nlocal samerole all password\nhostssl shop app 127.0.0.1/32 scram-sha-256\n\
    hostnossl shop app 127.0.0.1/32 reject\nhost other lab 127.1.0.0/16 trust\nhost sameuser all ::1/128 md5\n\
    hostssl shop app 192.0.2.0/24 ldap ldapserver=ldap.invalid ldapprefix=cn=\nhostssl replication standby 127.0.0.1/32 scram-sha-256\n";

#[test]
fn expectations_are_tried_by_real_logins() {
    let Some((world, _)) = judged("local all all peer\n", "") else { return };
    world.write(HBA, EXPECTING).write("db/access.toml", EXPECTED);
    world.write("db/roles.toml", "[role.member]\nmember_of = [\"team\"]\n[role.team]\n");
    let report = json(world.dbbuild(&["hba", "check", "--json"]).ok());
    let outcomes = report["files"][0]["expectations"].as_array().unwrap();
    let of = |user: &str| outcomes.iter().filter(|o| o["about"].as_str().unwrap().contains(user)).collect::<Vec<_>>();
    assert!(outcomes.iter().all(|outcome| outcome["holds"] == true), "{report}");
    let tried = |user: &str| of(user).iter().map(|outcome| outcome["tried"] == true).collect::<Vec<_>>();
    assert_eq!(tried("`app`"), [true, true, false], "192.0.2.7 is no loopback: {report}");
    assert_eq!(tried("`lab`"), [true, true], "with TLS and without");
    for user in ["`old`", "`postgres`", "`member`"] {
        assert!(tried(user).iter().all(|tried| *tried), "{user}: {report}");
    }
    assert_eq!(tried("`standby`"), [false]);
    assert_eq!(of("`member`")[0]["rule"], "db/pg_hba.conf:2");
    assert_eq!(report["files"][0]["rules"][2]["rule"], "hostssl shop app 127.0.0.1/32 scram-sha-256");
    assert_eq!(of("`app`")[2]["not_tried"], "its address is not one of the loopback");

    world.write(HBA, EXPECTING.replace("hostnossl shop app 127.0.0.1/32 reject\n", "host all app all md5\n"));
    let outcome = world.dbbuild(&["hba", "check"]);
    outcome.fails(1).says("`app` to `shop` from 127.0.0.1 without TLS should be refused at db/access.toml:8");
    outcome.says("at a real login db/pg_hba.conf:4 decides by `md5`");
    outcome.says("`app` to `shop` from 192.0.2.7 with TLS should be `ldap`").says("db/pg_hba.conf:4 decides by `md5`");
    // Whom a file lets in without a password, any user of the machine may be: nobody has power over the server.
    world.write("db/roles.toml", "[role.lab]\nmember_of = [\"pg_execute_server_program\"]\n");
    world.write(HBA, "local all all trust\nhost all +pg_execute_server_program 127.0.0.1/32 trust\n");
    let lab = "[[expect]]\nuser = \"lab\"\ndatabase = \"x\"\naddress = \"local\"\nmethod = \"trust\"\n";
    world.write("db/access.toml", lab);
    let untried = world.dbbuild(&["hba", "check", "--verbose"]);
    untried.ok().says("first match only: no throwaway makes anybody a member of `pg_execute_server_program`");
    world.write("db/access.toml", EXPECTED);
    world.write("db/roles.toml", "");
    world.write(HBA, EXPECTING);
    world.dbbuild(&["hba", "check"]).fails(1).says("whether `member` is a member of `team` is not declared");
}

#[test]
fn a_container_is_knocked_at_from_its_own_loopback() {
    if !docker() {
        return;
    }
    let world = World::without_git();
    world.write(
        "dbbuild.toml",
        "[postgres]\nversion = 15\nthrowaway = \"docker\"\nimage = \"postgres:15\"\n[env.development]\n",
    );
    world.write(HBA, EXPECTING).write("db/access.toml", EXPECTED);
    world.write("db/roles.toml", "[role.member]\nmember_of = [\"team\"]\n[role.team]\n");
    let report = json(world.dbbuild(&["hba", "check", "--json"]).ok());
    let outcomes = report["files"][0]["expectations"].as_array().unwrap();
    let of = |who: &str| outcomes.iter().filter(|o| o["about"].as_str().unwrap().starts_with(who)).collect::<Vec<_>>();
    for who in ["`app` to `shop` from 127", "`lab`", "`postgres`", "`member`"] {
        assert!(!of(who).is_empty() && of(who).iter().all(|outcome| outcome["tried"] == true), "{who}: {report}");
    }
    // Not every engine gives its containers that address.
    let sixth = of("`old`")[0];
    assert!(sixth["tried"] == true || sixth["not_tried"].as_str().unwrap().starts_with("::1 cannot be had"), "{sixth}");
    world.write("db/access.toml", EXPECTED.replace("127.1.2.3", "127.2.2.3"));
    let outcome = world.dbbuild(&["hba", "check"]);
    outcome
        .fails(1)
        .says("`lab` to `other` from 127.2.2.3 with TLS should be `trust`")
        .says("at a real login no line fits");
}

#[test]
fn a_wrong_expectation_file_is_refused_with_its_place() {
    let wrong = "[[expect]]\nuser = \"app\"\nadress = \"local\"\n";
    let Some((_, outcome)) = judged("local all all peer\n", wrong) else { return };
    outcome.fails(2).says("unknown key `adress` at db/access.toml:3:1").says("did you mean `address`?");
}

#[test]
fn an_environment_may_have_a_file_of_its_own() {
    let Some((world, _)) = judged("local all all peer\n", "") else { return };
    world.write("db/pg_hba.production.conf", "local all postgres peer\nhostnossl a b 10.0.0.0/8 password\n");
    world.dbbuild(&["hba", "check", "--env", "development"]).ok().says("db/pg_hba.conf (development): 1 rule");
    let both = world.dbbuild(&["hba", "check"]);
    both.fails(1).says("db/pg_hba.conf (development): 1 rule").says("db/pg_hba.production.conf (production): 2 rules");
    both.says("in clear text over the network at db/pg_hba.production.conf:2");
    world.dbbuild(&["hba", "check", "--env", "production"]).fails(1).says_not("db/pg_hba.conf");
    world.write("db/pg_hba.produktion.conf", "");
    let stray = world.dbbuild(&["hba", "check"]);
    stray.fails(1).says("counts for no environment at db/pg_hba.produktion.conf").says("did you mean `production`?");
}

#[test]
fn includes_are_followed() {
    for major in 16..=18 {
        let Some(server) = server(major) else { continue };
        let world = project(major, &server.bin, "postgresql:///x");
        world.write(
            HBA,
            "local all postgres peer\ninclude hba/a.conf\ninclude_if_exists hba/none.conf\ninclude_dir hba/d\n",
        );
        world.write("db/hba/a.conf", "hostssl @../hba/dbs app 10.0.0.0/8 scram-sha-256\n");
        world.dbbuild(&["hba", "check"]).fails(1).says("`../hba/dbs` is not beside").says("db/hba/a.conf:1");
        world
            .write("db/hba/a.conf", "# one\nhostssl @dbs /^app_ 10.0.0.0/8 scram-sha-256\n")
            .write("db/hba/dbs", "shop, store\n");
        world.write("db/hba/d/1.conf", "hostssl shop app_x 10.1.0.0/16 reject\n\nhost all all nonsense/8 md5\n");
        let outcome = world.dbbuild(&["hba", "check"]);
        outcome.fails(1).says("at db/hba/d/1.conf:3").says("nonsense");
        world.write("db/hba/d/1.conf", "hostssl shop app_x 10.1.0.0/16 reject\n");
        let outcome = world.dbbuild(&["hba", "check"]);
        outcome.fails(1).says("db/hba/a.conf:2 already decides about all of this").says("at db/hba/d/1.conf:1");
        world.write("db/hba/d/1.conf", "hostssl shop other 10.1.0.0/16 reject\n");
        world.write("db/access.toml", "[[expect]]\nuser = \"app_y\"\ndatabase = \"store\"\naddress = \"10.0.0.1\"\ntls = true\nmethod = \"scram-sha-256\"\n");
        world.dbbuild(&["hba", "check"]).ok().says("3 rules");
        world.write("db/hba/a.conf", "include missing.conf\n");
        world.dbbuild(&["hba", "check"]).fails(1).says("missing.conf").says("db/hba/missing.conf\": No such file");
    }
}

/// The first line that fits, as it is found here, is the one that a server goes by; and no server ever goes by a line that
/// was said to be hidden.
#[test]
fn what_is_said_of_a_file_is_what_a_server_does() {
    let Some(server) = server(15) else { return };
    let world = project(15, &server.bin, "postgresql:///x");
    world.write(
        "db/roles.toml",
        "[role.ada]\nmember_of = [\"staff\"]\n[role.bob]\n[role.staff]\nmember_of = [\"all_of\"]\n[role.all_of]\n",
    );
    let mut access = String::new();
    for (user, database, address) in [("ada", "bob", "local"), ("bob", "bob", "local")].into_iter().chain(
        ["127.0.0.1", "127.0.0.2", "127.9.0.1", "::1"].iter().flat_map(|address| {
            [("ada", "bob", *address), ("ada", "staff", *address), ("bob", "bob", *address), ("bob", "shop", *address)]
        }),
    ) {
        access.push_str(&format!(
            "[[expect]]\nuser = \"{user}\"\ndatabase = \"{database}\"\naddress = \"{address}\"\nrefused = true\n"
        ));
    }
    world.write("db/access.toml", access);
    let mut random = 20_240_101_u64;
    let mut pick = |from: &[&'static str]| {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        from[(random >> 33) as usize % from.len()]
    };
    let (mut hidden_lines, mut tried) = (0, 0);
    for round in 0..25 {
        let mut file = String::new();
        for _ in 0..6 {
            let kind = pick(&["local", "host", "host", "hostssl", "hostnossl", "hostnogssenc"]);
            let database = pick(&["all", "all", "sameuser", "samerole", "bob,shop", "\"all\"", "replication", "staff"]);
            let user = pick(&["all", "all", "ada", "+staff", "+all_of", "bob,ada", "\"+staff\""]);
            let address = pick(&[
                "all",
                "0.0.0.0/0",
                "127.0.0.0/8",
                "127.0.0.1/32",
                "127.0.0.0 255.255.255.254",
                "::1/128",
                "samehost",
                "samenet",
            ]);
            let method = pick(&["trust", "scram-sha-256", "md5", "password", "reject"]);
            let address = if kind == "local" { "" } else { address };
            file.push_str(&format!("{kind} {database} {user} {address} {method}\n"));
        }
        world.write(HBA, &file);
        let report = json(&world.dbbuild(&["hba", "check", "--json"]));
        let checked = &report["files"][0];
        let hidden: Vec<String> = checked["findings"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|finding| finding["code"] == "hidden")
            .map(|finding| format!("{HBA}:{}", finding["line"]))
            .collect();
        hidden_lines += hidden.len();
        for outcome in checked["expectations"].as_array().unwrap() {
            let instead = outcome["instead"].as_str().unwrap_or_default();
            assert!(!instead.contains(", where "), "round {round}\n{file}\n{outcome}");
            tried += usize::from(outcome["tried"] == true);
            let by = outcome["rule"].as_str().unwrap_or_default();
            assert!(!hidden.iter().any(|line| line == by), "round {round}\n{file}\n{outcome}\n{hidden:?}");
        }
    }
    assert!(hidden_lines > 5 && tried > 500, "{hidden_lines} hidden, {tried} tried");
}

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

        let applied = json(world.dbbuild(&production(&["apply", "--json"])).ok());
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
        assert!(start.elapsed() < Duration::from_secs(30), "it writes nothing");
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
    // Root's file in a folder that all may write to: it is replaced through the words, and by nobody else.
    fs::set_permissions(&elsewhere, fs::Permissions::from_mode(0o777)).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o604)).unwrap();
    world.write("dbbuild.toml", format!("{}run_as = [\"env\", \"-i\"]\n", world.read("dbbuild.toml")));
    let mut command = as_server_user(dbbuild);
    command.env("DBBUILD_STATE_DIR", &state).env("HOME", &server.dir).env("NO_COLOR", "1").current_dir(world.path(""));
    world.run(command.args(production(&["apply"]))).ok().says("kept the old one as");
    assert_eq!(fs::read_to_string(&file).unwrap(), world.read(HBA));
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o604);
    world.dbbuild(&production(&["plan"])).ok();
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
