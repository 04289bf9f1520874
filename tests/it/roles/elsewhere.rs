//! Declared roles where nobody asked for them by name: in throwaways, in the embedded server, before a baseline is loaded.

use super::{CLEAR, FILE, each, enters, odd, shop, want_passwords};
use crate::support::{World, matrix};
use std::fs;
use std::path::Path;

#[test]
fn migrations_find_the_declared_roles() {
    matrix(|server| migrations_find_them_on(server.major, &server.bin));
}

fn migrations_find_them_on(major: u32, bin: &Path) {
    let world = World::new();
    let bin = bin.display();
    world.write(
        "dbbuild.toml",
        format!(
            "[postgres]\nversion = {major}\nbin_dir = \"{bin}\"\nthrowaway = \"local\"\ndatabase = \"app\"\nrole = \"shop_owner\"\n[env.development]\n\
             [env.production]\nurl_env = \"U\"\n"
        ),
    );
    world.write(
        "db/roles.toml",
        "[role.shop_owner]\nlogin = true\nmember_of = [\"tables\"]\n[role.tables]\n[role.app_reader]\nlogin = true\nenvironments = [\"production\"]\n\
         password = { env = \"NOT_SET\" }\n[role.dev]\nlogin = true\nmember_of = [\"app_reader\"]\nsettings_in.app = { work_mem = \"8MB\" }\nenvironments = [\"development\"]\n[role.made]\n",
    );
    world.write(
        "db/migrations/1_first.sql",
        "CREATE TABLE IF NOT EXISTS t (id int PRIMARY KEY);\nGRANT SELECT ON t TO app_reader;\nCREATE SCHEMA IF NOT EXISTS s AUTHORIZATION tables;\n\
         CREATE TABLE IF NOT EXISTS s.u (id int PRIMARY KEY);\nALTER TABLE s.u OWNER TO tables;\n",
    );
    world.write(
        "db/migrations/2_made.sql",
        "-- dbbuild:idempotent false a role\nCREATE ROLE made;\nGRANT SELECT ON t TO made;\nGRANT app_reader TO made;\n",
    );
    world.commit("Grant").ok();
    world.dbbuild(&[]).ok();
    let baseline = world.read("db/baseline.sql");
    assert!(baseline.contains("CREATE ROLE \"app_reader\"") && baseline.contains("OWNER TO tables"), "{baseline}");
    assert!(!baseline.contains("\"dev\"") && !baseline.contains("LOGIN"), "{baseline}");
    world.commit("Baseline").ok();
    world.dbbuild(&["verify", "--full"]).ok();
    let roles = "SELECT rolname, rolcanlogin FROM pg_roles WHERE oid >= 16384 AND rolname <> 'shop_owner' ORDER BY 1";
    world.dbbuild(&["psql", "--", "-XAtc", roles]).ok().says("app_reader|f\ndev|t\nmade|f\ntables|f\n");
    world.dbbuild(&["roles", "check"]).ok().says("db/roles.toml declares 5 roles");
    // What makes no other database leaves the baseline fresh; a role that nothing names is proved to be so.
    let text = world.read("db/roles.toml");
    for (from, to) in [
        ("NOT_SET", "OTHER"),
        (
            "[role.tables]",
            "# the owners\n[role.tables]\ncomment = \"owns\"\nconnection_limit = 3\nvalid_until = \"2031-01-01\"",
        ),
        ("[role.made]", "[role.made]\n[role.alice]\nlogin = true\nmember_of = [\"tables\"]\n"),
    ] {
        world.write("db/roles.toml", world.read("db/roles.toml").replace(from, to));
        world.git(&["add", "."]);
        world.dbbuild(&["verify"]).ok();
        world.dbbuild(&[]).ok();
        assert_eq!(world.read("db/baseline.sql"), baseline, "{to}");
    }
    // A kept state is not one of other roles.
    let text = text.replace("[role.app_reader]", "[role.other]");
    world.write("db/roles.toml", text.replace("\"app_reader\"", "\"other\""));
    world.dbbuild(&["verify", "--worktree"]).fails(1).says("role \"app_reader\" does not exist");
    world
        .dbbuild(&["roles", "check", "--no-server"])
        .fails(1)
        .says("the baseline names the role `app_reader`, which is not declared");
    world.write("db/roles.toml", "[role.a]\npassword = \"literal\"\n");
    world.dbbuild(&["verify", "--worktree"]).fails(2).says("db/roles.toml:2:12").says_not("literal\"");
}

#[test]
fn bootstrap_makes_the_declared_roles_first() {
    each(&["log_statement=all"], |server, world| {
        world.write("db/roles.toml", odd(FILE) + "[role.later]\nlogin = true\npassword = { env = \"NOT_SET\" }\n");
        world.write(
            "db/migrations/1_first.sql",
            "CREATE TABLE IF NOT EXISTS t (id int PRIMARY KEY);\nGRANT SELECT ON t TO shop_reader;\n",
        );
        world.dbbuild(&["baseline"]).ok();
        let booted = world.dbbuild(&["bootstrap"]);
        booted.ok().says("`later` gets no password: the environment variable NOT_SET is not set").says_not(CLEAR);
        let shop = server.existing("shop");
        want_passwords(&server);
        assert!(enters(&server, "shop_app", CLEAR));
        assert_eq!(shop.psql("SELECT has_table_privilege('shop_app', 't', 'SELECT')"), "t");
        assert!(!fs::read_to_string(server.dir.join("log")).unwrap().contains(CLEAR));
        world.write("db/roles.toml", odd(FILE));
        world.dbbuild(&["roles", "plan"]).ok();
        // What the file says of this database is no drift; what it says no longer is.
        world.dbbuild(&["drift"]).ok();
        world.write("db/roles.toml", odd(FILE).replace("settings_in.shop", "settings_in.crm"));
        world.dbbuild(&["drift"]).fails(3).says("settings `this database for a role of shop_app` is unexpected");
    });
}

#[test]
fn the_role_that_runs_migrations_can_be_made_before_there_is_a_database_of_its_own() {
    let Some((server, mut world)) = shop(15, &[]) else { return };
    world.write(
        "dbbuild.toml",
        world.read("dbbuild.toml").replace("database = \"shop\"", "database = \"shop\"\nrole = \"shop_owner\""),
    );
    world.write("db/roles.toml", odd(FILE));
    world.write("db/migrations/1_first.sql", "CREATE TABLE IF NOT EXISTS t (id int PRIMARY KEY);\n");
    world.dbbuild(&["baseline"]).ok();
    // Who is connected owns what it makes.
    let theirs = world.dbbuild(&["bootstrap"]);
    theirs
        .ok()
        .says("what is made belongs to `postgres`")
        .says("`postgres.role` says that `shop_owner` runs migrations");
    server.run("psql", &["-Xqc", "DROP DATABASE shop", "-d", "postgres"]).ok();
    server.run("psql", &["-Xqc", "DROP ROLE shop_app, shop_owner", "-d", "postgres"]).ok();
    // The server's own database is empty, and so lets roles be made.
    world.dbbuild(&["env", "show", "--url", &server.url("postgres")]).ok().says("not marked; it is empty");
    world.dbbuild(&["roles", "apply", "--url", &server.url("postgres")]).ok();
    world.set("SHOP_URL", server.url("shop").replace("//postgres@", "//shop_owner@"));
    let own = world.dbbuild(&["bootstrap"]);
    own.ok().says("created `shop`").says_not("belongs to");
    assert_eq!(server.existing("shop").psql("SELECT tableowner FROM pg_tables WHERE tablename = 't'"), "shop_owner");
    server.existing("postgres").psql("CREATE TABLE t (id int)");
    world.dbbuild(&["env", "show", "--url", &server.url("postgres")]).ok().says("it is not empty");
}
