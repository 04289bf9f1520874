//! `dbbuild psql`: as whom, through which words and with which prompt psql opens, without a password on a command line.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use nix::sys::signal::Signal;

use crate::support::{Db, Outcome, Server, World, server, until};

/// A project whose development and production are this database.
fn project(server: &Server, url: &str, production: &str) -> World {
    let mut world = World::new();
    world.write(
        "dbbuild.toml",
        format!(
            "[postgres]\nversion = 15\nthrowaway = \"local\"\nbin_dir = \"{}\"\n[env.development]\nurl = \"{url}\"\n\
             [env.production]\nurl = \"{url}\"\nprotected = true\n{production}\n",
            server.bin.display()
        ),
    );
    world.set("NO_COLOR", "");
    world
}

fn psql(world: &World, before: &[&str], sql: &str) -> Outcome {
    world.dbbuild(&[&["psql"], before, &["--", "-XAt", "-c", sql]].concat())
}

#[test]
fn the_prompt_names_the_environment_and_is_red_for_protected_ones() {
    let Some(server) = server(15) else { return };
    let db = server.fresh_database();
    let mut world = project(server, &db.url, "");
    let echo = |world: &World, arguments: &[&str]| -> String {
        let arguments = [&["psql"], arguments, &["--", "-c", "\\echo :PROMPT1", "-c", "\\echo :PROMPT2 :own"]].concat();
        world.dbbuild(&arguments).ok().stdout.clone()
    };
    assert!(echo(&world, &[]).starts_with("development:%/%R%x%# \ndevelopment:%/%R%x%# "));
    let red = "%[%033[1;31m%]production%[%033[0m%]:%/%R%x%# ";
    assert!(echo(&world, &["--env", "production"]).starts_with(&format!("{red}\n{red}")));
    // The user's own start file holds, but for the prompt.
    fs::write(world.home().join(".psqlrc"), "\\set PROMPT1 'mine> '\n\\set own 'kept'\n").unwrap();
    let both = echo(&world, &["--env", "production"]);
    assert!(both.starts_with(red) && both.ends_with("kept\n"), "{both}");
    fs::write(world.home().join("other"), "\\set own 'other'\n").unwrap();
    world.set("PSQLRC", "~/other");
    assert!(echo(&world, &[]).ends_with("other\n"));
    assert!(!echo(&world, &["--env", "production", "--no-color"]).contains("033"));
    world.set("NO_COLOR", "1");
    assert!(echo(&world, &["--env", "production"]).starts_with("production:%/%R"));

    // What the database is marked as counts too.
    world.set("NO_COLOR", "");
    world.dbbuild(&["env", "mark", "production", "--env", "production"]).ok();
    let marked = echo(&world, &[]);
    assert!(marked.starts_with("%[%033[1;31m%]development (marked production)%[%033[0m%]:"), "{marked}");
    let left: Vec<_> = fs::read_dir(world.home().join("../tmp")).unwrap().collect();
    assert!(left.is_empty(), "the start file is gone: {left:?}");
}

/// Lets nobody but the superuser in without a password.
fn locked(server: &Server) -> Db<'_> {
    let db = server.existing("postgres");
    db.psql("CREATE ROLE reader; CREATE ROLE app LOGIN PASSWORD 'geheim' IN ROLE reader");
    fs::write(server.dir.join("data/pg_hba.conf"), "local all postgres trust\nlocal all all scram-sha-256\n").unwrap();
    db.psql("SELECT pg_reload_conf()");
    until(&db, "SELECT count(*) = 2 FROM pg_hba_file_rules");
    db
}

const WHO: &str = "SELECT session_user, current_user, current_setting('application_name')";

#[test]
fn a_role_logs_in_where_its_password_is_known_and_is_set_elsewhere() {
    let Some(server) = Server::private(15, &[]) else { return };
    let db = locked(&server);
    let mut world = project(&server, &db.url, "");
    assert_eq!(psql(&world, &[], WHO).ok().stdout, "postgres|postgres|dbbuild psql\n");
    let set = psql(&world, &["--as", "app"], WHO);
    set.ok().says("no password of `app` is known here");
    assert_eq!(set.stdout, "postgres|app|dbbuild psql\n");
    assert_eq!(psql(&world, &["--as", "reader"], "RESET ROLE; SELECT current_user").ok().stdout, "RESET\nreader\n");
    let none = psql(&world, &["--as", "nobody here"], WHO);
    none.fails(2).says("role \"nobody here\" does not exist");
    let prompt = world.dbbuild(&["psql", "--as", "app", "--", "-c", "\\echo :PROMPT1"]);
    assert_eq!(prompt.ok().stdout, "development as app:%/%R%x%# \n");

    let pass = world.home().join(".pgpass");
    fs::write(&pass, "*:*:*:app:geheim\n").unwrap();
    fs::set_permissions(&pass, fs::Permissions::from_mode(0o600)).unwrap();
    let login = psql(&world, &["--as", "app"], WHO);
    login.ok().says_not("no password");
    assert_eq!(login.stdout, "app|app|dbbuild psql\n");
    fs::remove_file(&pass).unwrap();
    world.write("db/roles.toml", "[role.app]\nlogin = true\npassword = { env = \"APP_PASSWORD\" }\n");
    let unset = psql(&world, &["--as", "app"], WHO);
    assert_eq!(unset.ok().says("APP_PASSWORD is not set").stdout, "postgres|app|dbbuild psql\n");
    world.write(".env", "APP_PASSWORD=geheim\n");
    assert_eq!(psql(&world, &["--as", "app"], WHO).ok().says_not("geheim").stdout, "app|app|dbbuild psql\n");
    world.set("PGAPPNAME", "mine");
    assert_eq!(psql(&world, &[], WHO).ok().stdout, "postgres|postgres|mine\n");
}

#[test]
fn psql_runs_through_the_words_of_the_configuration() {
    let Some(server) = Server::private(15, &[]) else { return };
    let db = locked(&server);
    let words = server.dir.join("as-server");
    let seen = server.dir.join("seen");
    fs::write(
        &words,
        format!("#!/bin/sh\necho \"$0 $*\" >'{}'\nexec env -i PATH=/usr/bin:/bin \"$@\"\n", seen.display()),
    )
    .unwrap();
    fs::set_permissions(&words, fs::Permissions::from_mode(0o755)).unwrap();
    let run_as = format!("run_as = [\"{}\"]", words.display());
    let mut world = project(&server, &db.url, &run_as);
    // Nothing of this user's environment gets there but what stands in the connection string.
    world.set("PGPASSWORD", "geheim").set("PGOPTIONS", "-c work_mem=5MB");
    let sql = format!("{WHO}, current_setting('work_mem'), current_database()");
    let through = psql(&world, &["--env", "production"], &sql);
    let told = through.ok().says("note: `run_as` passes no password on");
    assert_eq!(told.stdout, "postgres|postgres|dbbuild psql|5MB|postgres\n");
    let line = fs::read_to_string(&seen).unwrap();
    assert!(line.contains("/psql -X -d host=") && line.contains("-v PROMPT1="), "{line}");
    assert!(!line.contains("geheim"), "{line}");
    let set = psql(&world, &["--env", "production", "--as", "app"], &sql);
    assert_eq!(set.ok().stdout, "postgres|app|dbbuild psql|5MB|postgres\n");

    fs::remove_file(&seen).unwrap();
    psql(&world, &[], WHO).ok();
    psql(&world, &["--env", "production", "--url", &db.url], WHO).ok();
    assert!(!seen.exists(), "other environments and addresses do not go through them");
    world.write("dbbuild.toml", "[env.development]\nrun_as = [\"sudo\", \"\"]\n");
    world.dbbuild(&["psql"]).fails(2).says("run_as has a word that is empty").says("dbbuild.toml:2");
}

#[test]
fn the_exit_status_is_psqls_own() {
    let Some(server) = server(15) else { return };
    let db = server.fresh_database();
    let world = project(server, &db.url, "");
    world.write("wrong.sql", "SELECT 1;\nSELECT broken;\n");
    world.dbbuild(&["psql", "--", "-c", "SELECT broken"]).fails(1).says("does not exist").says_not("psql ended");
    world.dbbuild(&["psql", "--", "-d", "no such database"]).fails(2).says("does not exist");
    world.dbbuild(&["psql", "--", "-v", "ON_ERROR_STOP=1", "-f", "wrong.sql"]).fails(3).says("wrong.sql:2");
}

#[test]
fn an_interrupt_is_psqls_own() {
    let Some(server) = server(15) else { return };
    let db = server.fresh_database();
    let world = project(server, &db.url, "");
    let mut running = world.start(&["psql", "--", "-XAtc", "SELECT pg_sleep(2), 'slept'"]);
    until(
        &db,
        "SELECT count(*) > 0 FROM pg_stat_activity WHERE query LIKE '%slept%' AND application_name = 'dbbuild psql'",
    );
    running.signal(Signal::SIGINT);
    running.wait().ok().says("slept");
}
