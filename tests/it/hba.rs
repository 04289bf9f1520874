//! Host-based access: files judged by a real server, and expectations tried by real logins.

use std::path::Path;

use crate::support::{Outcome, World, docker, server};

pub const HBA: &str = "db/pg_hba.conf";

/// A project for a server of this version, whose production is at `url`.
pub fn project(major: u32, bin: &Path, url: &str) -> World {
    let world = World::without_git();
    world.write("dbbuild.toml", config(major, bin, url));
    world
}

fn config(major: u32, bin: &Path, url: &str) -> String {
    format!(
        "[postgres]\nversion = {major}\nthrowaway = \"local\"\nbin_dir = \"{}\"\n[env.development]\n[env.production]\n\
         url = \"{url}\"\nprotected = true\n",
        bin.display()
    )
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
    let (world, outcome) = judged("local @none all peer\n", "").unwrap();
    outcome.fails(1).says("db/pg_hba.conf:1").says("as \"db/none\": No such file");
    std::fs::write(world.path(HBA), b"local all all peer\n# caf\xe9\n").unwrap();
    world.dbbuild(&["hba", "check"]).fails(1).says("invalid UTF-8 (byte 0xe9) at db/pg_hba.conf:2:6");
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
    let report = world.dbbuild(&["hba", "check", "--json"]).ok().json();
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
    let report = world.dbbuild(&["hba", "check", "--json"]).ok().json();
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
        let report = world.dbbuild(&["hba", "check", "--json"]).json();
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

#[test]
fn verification_judges_access_files_without_logins() {
    let Some(server) = server(15) else { return };
    let world = World::new();
    world.write("dbbuild.toml", config(15, &server.bin, "postgresql:///x"));
    world.write("db/migrations/0001_t.sql", "CREATE TABLE IF NOT EXISTS t ();\n").write(HBA, "local all all peer\n");
    world.dbbuild(&["baseline"]).ok();
    world.git(&["add", "."]);
    world.dbbuild(&["verify"]).ok().says("is proved");
    world.dbbuild(&["verify"]).ok().says("was proved before");
    let seven = "local all all peer\n\n\n\n\n\nhost a b 10.0.0.0/33 md5\n";
    world.write(HBA, seven).git(&["add", "."]);
    world.dbbuild(&["verify"]).fails(1).says("at db/pg_hba.conf:7").says("invalid CIDR mask");
    world.dbbuild(&["hook", "pre-commit"]).fails(1).says("at db/pg_hba.conf:7");
    // `build` proves the rest; that says nothing of this file.
    world.dbbuild(&["baseline"]).ok();
    world.dbbuild(&["verify"]).fails(1).says("at db/pg_hba.conf:7");
    world.write(HBA, "local @who all peer\n").write("db/who", "shop\n").git(&["add", "."]);
    world.git(&["commit", "--quiet", "--message", "one", "--no-verify"]);
    world.dbbuild(&["verify", "--rev", "HEAD"]).ok();
    // No path of the configuration names what a file takes in.
    world.write("db/who", "shop\n@nobody\n").git(&["add", "."]);
    world.dbbuild(&["verify"]).fails(1).says("at db/pg_hba.conf:1").says("db/nobody");
    world.dbbuild(&["verify", "--rev", "HEAD"]).ok().says("was proved before");
    world.write("db/who", "shop\n").write("db/pg_hba.production.conf", "host all all all trust\n").git(&["add", "."]);
    world.dbbuild(&["hook", "pre-commit"]).fails(1).says("`trust` lets others").says("db/pg_hba.production.conf:1");
    world
        .write("db/pg_hba.production.conf", "local all all peer\n")
        .write("db/access.toml", EXPECTED)
        .git(&["add", "."]);
    let expected = world.dbbuild(&["verify", "--worktree"]);
    expected.fails(1).says("`app` to `shop` from 127.0.0.1 with TLS should be `scram-sha-256`");
    expected.says("no line fits, so it is refused").says_not("real login");
}
