//! `dbbuild roles`: a cluster made what a file says, with real servers of each version.

use crate::fidelity::world_of;
use crate::support::{Held, Running, Server, World, matrix, until};
use nix::sys::signal::Signal;
use std::fs;
use std::path::PathBuf;

mod elsewhere;

/// What no output, file or log may hold.
const CLEAR: &str = "Cl3ar-pässword";

const FILE: &str = r#"
[role.shop_owner]
login = true
createrole = true
createdb = true

[role.shop_reader]
comment = "it's for reading"

[role.shop_app]
login = true
connection_limit = 7
valid_until = "2031-01-31 18:00:00+05:30"
member_of = ["shop_reader", "pg_monitor"]
settings = { search_path = ["$user", "Shop, odd", "public"], statement_timeout = "30s", application_name = "it's \\ odd" }
settings_in.shop = { work_mem = "8MB" }
password = { env = "APP_PASSWORD" }
environments = ["production"]

[role."odd ""one"""]
inherit = false
"#;

fn odd(text: &str) -> String {
    // TOML writes a quote in a quoted key with a backslash.
    text.replace("odd \"\"one\"\"", "odd \\\"one\\\"")
}

/// A server with an empty marked database `shop`, and a world whose production it is.
fn shop(major: u32, settings: &[&str]) -> Option<(Server, World)> {
    let server = Server::private(major, settings)?;
    server.run("psql", &["-Xqc", "CREATE DATABASE shop", "-d", "postgres"]).ok();
    let mut world = world_of(&server);
    let text = format!(
        "[postgres]\nversion = {major}\ndatabase = \"shop\"\nbin_dir = \"{}\"\n[env.production]\nurl_env = \"SHOP_URL\"\nprotected = true\n\
         [env.development]\n",
        server.bin.display()
    );
    world.write("dbbuild.toml", text);
    world.set("SHOP_URL", server.url("shop")).set("APP_PASSWORD", CLEAR).set("DBBUILD_ENV", "production");
    Some((server, world))
}

/// Each version that is there, with a server of its own.
fn each(settings: &[&str], test: impl Fn(Server, World)) {
    matrix(|shared| {
        if let Some((server, world)) = shop(shared.major, settings) {
            test(server, world);
        }
    });
}

/// Lets roles other than postgres in by SCRAM alone.
fn want_passwords(server: &Server) {
    let hba = "local all postgres trust\nhost all postgres 127.0.0.1/32 trust\nlocal all all scram-sha-256\n\
               host all all 127.0.0.1/32 scram-sha-256\n";
    hba_is(server, hba);
}

fn hba_is(server: &Server, text: &str) {
    fs::write(data(server).join("pg_hba.conf"), text).unwrap();
    // The server is told before the answer comes, and sees to that before it lets the next session in.
    server.existing("postgres").psql("SELECT pg_reload_conf()");
}

fn data(server: &Server) -> PathBuf {
    server.dir.join("data")
}

/// Whether a login with a password works.
fn enters(server: &Server, role: &str, password: &str) -> bool {
    let mut psql = server.command("psql");
    psql.env("PGUSER", role).env("PGPASSWORD", password).args(["-XAtqc", "SELECT 1", "-d", "shop"]);
    crate::support::run(&mut psql).status == 0
}

#[test]
fn a_cluster_becomes_what_the_file_says_and_stays_so() {
    each(&["log_statement=all", "log_min_messages=debug1"], |server, world| {
        want_passwords(&server);
        world.write("db/roles.toml", odd(FILE));
        let plan = world.dbbuild(&["roles", "plan"]);
        plan.fails(3).says("CREATE ROLE \"shop_app\" LOGIN CONNECTION LIMIT 7").says("SCRAM-SHA-256$…").says_not(CLEAR);
        let created = plan.stdout.find("CREATE ROLE \"shop_reader\"").unwrap();
        assert!(created < plan.stdout.find("GRANT \"shop_reader\" TO \"shop_app\"").unwrap(), "{}", plan.stdout);
        let shop = server.existing("shop");
        assert_eq!(shop.psql("SELECT count(*) FROM pg_roles WHERE rolname LIKE 'shop%'"), "0");

        let apply = world.dbbuild(&["roles", "apply", "--json"]);
        apply.ok().says("\"applied\":true").says("\"kind\":\"password\"").says_not(CLEAR);
        assert_eq!(
            shop.psql(
                "SELECT rolconnlimit, rolvaliduntil AT TIME ZONE 'UTC', rolcanlogin, array_to_string(rolconfig, ';') \
                 FROM pg_roles WHERE rolname = 'shop_app'"
            ),
            "7|2031-01-31 12:30:00|t|application_name=it's \\ odd;search_path=\"$user\", \"Shop, odd\", public;statement_timeout=30s"
        );
        assert_eq!(
            shop.psql("SELECT shobj_description(oid, 'pg_authid') FROM pg_roles WHERE rolname = 'shop_reader'"),
            "it's for reading"
        );
        assert_eq!(shop.psql("SELECT rolinherit FROM pg_roles WHERE rolname = 'odd \"one\"'"), "f");
        assert_eq!(shop.psql("SELECT pg_has_role('shop_app', 'pg_monitor', 'USAGE')"), "t");
        assert!(enters(&server, "shop_app", CLEAR) && !enters(&server, "shop_app", "other"));
        let in_shop =
            "SELECT setconfig FROM pg_db_role_setting WHERE setdatabase <> 0 AND setrole = 'shop_app'::regrole";
        assert_eq!(shop.psql(in_shop), "{work_mem=8MB}");

        let kept = shop.psql("SELECT rolpassword FROM pg_authid WHERE rolname = 'shop_app'");
        world.dbbuild(&["roles", "plan"]).ok().says("are what db/roles.toml says");
        world.dbbuild(&["roles", "apply"]).ok().says("are what db/roles.toml says");
        assert_eq!(shop.psql("SELECT rolpassword FROM pg_authid WHERE rolname = 'shop_app'"), kept);
        world.dbbuild(&["roles", "apply", "--rotate", "shop_app"]).ok();
        assert_ne!(shop.psql("SELECT rolpassword FROM pg_authid WHERE rolname = 'shop_app'"), kept);
        assert!(enters(&server, "shop_app", CLEAR));
        let log = fs::read_to_string(server.dir.join("log")).unwrap();
        assert!(log.contains("ALTER ROLE \"shop_app\" PASSWORD 'SCRAM-SHA-256$4096:"), "{log}");
        assert!(!log.contains(CLEAR) && !kept.contains(CLEAR));

        // What is taken out of the file is taken out of the cluster; an undeclared role is only told.
        world.write("db/roles.toml", "[role.shop_owner]\nlogin = true\ncreaterole = true\ncreatedb = true\n[role.shop_app]\nlogin = true\n[role.shop_reader]\n");
        world.dbbuild(&["roles", "apply"]).ok().says("not declared, and left alone: odd \"one\"");
        assert_eq!(
            shop.psql("SELECT rolconnlimit, rolvaliduntil, rolconfig FROM pg_roles WHERE rolname = 'shop_app'"),
            "-1|infinity|"
        );
        assert_eq!(shop.psql(in_shop), "{work_mem=8MB}", "a database that the file does not speak of");
        assert_eq!(shop.psql("SELECT count(*) FROM pg_auth_members WHERE member = 'shop_app'::regrole"), "0");
        world.dbbuild(&["roles", "plan"]).ok();
    });
}

#[test]
fn a_role_without_superuser_and_pg_authid_does_it_too() {
    each(&[], |server, world| {
        let mut world = world;
        let shop = server.existing("shop");
        shop.psql(
            "CREATE ROLE ops LOGIN CREATEROLE CREATEDB; ALTER DATABASE shop OWNER TO ops; \
             GRANT pg_monitor TO ops WITH ADMIN OPTION",
        );
        hba_is(&server, "local all postgres trust\nlocal all ops trust\nlocal all all scram-sha-256\n");
        world.set("SHOP_URL", server.url("shop").replace("postgres@", "ops@"));
        world.write("db/roles.toml", odd(FILE) + "[role.ops]\nlogin = true\ncreaterole = true\ncreatedb = true\nmember_of = [{ role = \"pg_monitor\", admin = true }]\n");
        world.dbbuild(&["roles", "plan"]).fails(3);
        world.dbbuild(&["roles", "apply"]).ok();
        assert!(enters(&server, "shop_app", CLEAR));
        let stored = "SELECT rolpassword FROM pg_authid WHERE rolname = 'shop_app'";
        let kept = shop.psql(stored);
        world.dbbuild(&["roles", "plan"]).ok();
        world.dbbuild(&["roles", "apply"]).ok();
        assert_eq!(shop.psql(stored), kept, "a login tells that it is right");

        // Another password is noticed by the login that fails.
        world.set("APP_PASSWORD", "another one");
        world.dbbuild(&["roles", "plan"]).fails(3).says("ALTER ROLE \"shop_app\" PASSWORD").says_not("another one");
        world.dbbuild(&["roles", "apply"]).ok();
        assert!(enters(&server, "shop_app", "another one") && !enters(&server, "shop_app", CLEAR));

        // Where the server does not ask for it by SCRAM, or lets the role not in, it is left and told.
        world.set("APP_PASSWORD", "a third");
        for (line, why) in [
            ("local all all trust", "does not ask for it by SCRAM"),
            ("local all all password", "does not ask for it by SCRAM"),
            ("local all shop_app reject", "pg_hba.conf rejects connection"),
        ] {
            hba_is(&server, &format!("local all postgres trust\nlocal all ops trust\n{line}\n"));
            let plan = world.dbbuild(&["roles", "plan"]);
            plan.ok().says("whether `shop_app` has its password cannot be told from here").says(why);
        }
        world.dbbuild(&["roles", "apply", "--rotate"]).ok();
        hba_is(&server, "local all postgres trust\nlocal all ops trust\nlocal all all scram-sha-256\n");
        assert!(enters(&server, "shop_app", "a third"));

        // What takes a superuser is said before anything runs.
        world.write("db/roles.toml", "[role.late]\n[role.strong]\nsuperuser = true\nbypassrls = true\n");
        for verb in ["plan", "apply"] {
            let refused = world.dbbuild(&["roles", verb]);
            refused.fails(1).says("the role `ops` may not set SUPERUSER of `strong`").says("may not set BYPASSRLS");
            refused.says("db/roles.toml:2:7").says("nothing was changed");
        }
        assert_eq!(shop.psql("SELECT count(*) FROM pg_roles WHERE rolname IN ('late', 'strong')"), "0");
        world.write("db/roles.toml", "[role.late]\nsettings = { log_statement = \"none\", work_mem = \"4MB\" }\n");
        world.dbbuild(&["roles", "plan"]).fails(1).says("may not set log_statement for `late`").says_not("work_mem");
    });
}

#[test]
fn options_of_memberships_are_kept_from_16_on() {
    each(&[], |server, world| {
        let shop = server.existing("shop");
        let text = "[role.a]\nmember_of = [{ role = \"b\", admin = true, inherit = false, set = true }, \"c\"]\n[role.b]\n[role.c]\n";
        world.write("db/roles.toml", text);
        if server.major < 16 {
            world
                .dbbuild(&["roles", "plan"])
                .fails(1)
                .says("PostgreSQL 15 has no option inherit")
                .says("db/roles.toml:2:14");
            world.dbbuild(&["roles", "check", "--no-server"]).fails(2).says("no options inherit and set");
            return;
        }
        world.dbbuild(&["roles", "apply"]).ok();
        let options = "SELECT roleid::regrole, admin_option, inherit_option, set_option FROM pg_auth_members \
                       WHERE member = 'a'::regrole ORDER BY roleid::regrole::text";
        assert_eq!(shop.psql(options), "b|t|f|t\nc|f|t|t");
        world.dbbuild(&["roles", "plan"]).ok();
        shop.psql("GRANT b TO a WITH INHERIT TRUE; CREATE ROLE g CREATEROLE; GRANT c TO g WITH ADMIN TRUE; GRANT c TO a WITH ADMIN TRUE GRANTED BY g");
        world.write("db/roles.toml", format!("ignore = [\"g\"]\n{text}"));
        world.dbbuild(&["roles", "plan"]).fails(3).says("WITH ADMIN TRUE, INHERIT FALSE, SET TRUE GRANTED BY");
        world.dbbuild(&["roles", "apply"]).ok();
        assert_eq!(shop.psql(options), "b|t|f|t\nc|f|t|t\nc|f|t|t");
        world.dbbuild(&["roles", "plan"]).ok();
        // Who made a role is a member for administration alone; a declared membership of it is there at once and stays.
        shop.psql("CREATE ROLE maker CREATEROLE; SET ROLE maker; CREATE ROLE child");
        for (admin, stored) in [("", "f|t|t"), (", admin = true", "t|t|t")] {
            let more =
                format!("[role.maker]\ncreaterole = true\nmember_of = [{{ role = \"child\"{admin} }}]\n[role.child]\n");
            world.write("db/roles.toml", format!("ignore = [\"g\"]\n{text}{more}"));
            world.dbbuild(&["roles", "apply"]).ok();
            let options =
                "SELECT admin_option, inherit_option, set_option FROM pg_auth_members WHERE member = 'maker'::regrole";
            assert_eq!(shop.psql(options), stored);
            world.dbbuild(&["roles", "plan"]).ok();
        }
        // What hangs on a membership that goes, or on a role that is dropped, stays: granted anew.
        shop.psql(
            "CREATE ROLE boss CREATEROLE; CREATE ROLE gone CREATEROLE; CREATE ROLE k; CREATE ROLE n; CREATE ROLE m; CREATE ROLE free_1;
             GRANT k TO boss, gone WITH ADMIN TRUE",
        );
        shop.psql("SET ROLE boss; GRANT k TO m WITH ADMIN TRUE; SET ROLE m; GRANT k TO n; GRANT k TO free_1 WITH INHERIT FALSE");
        shop.psql("SET ROLE gone; GRANT k TO c, free_1; GRANT k TO b WITH ADMIN TRUE");
        world.write(
            "db/roles.toml",
            format!(
                "prune = true\nignore = [\"g\", \"free_*\"]\n{text}[role.maker]\ncreaterole = true\n\
                 member_of = [{{ role = \"child\", admin = true }}]\n[role.child]\n[role.boss]\ncreaterole = true\n[role.k]\n[role.m]\n\
                 [role.n]\nmember_of = [\"k\"]\n"
            )
            .replace("[role.b]", "[role.b]\nmember_of = [{ role = \"k\", admin = true }]")
            .replace("[role.c]", "[role.c]\nmember_of = [\"k\"]"),
        );
        let plan = world.dbbuild(&["roles", "plan"]);
        plan.fails(3).says("REVOKE \"k\" FROM \"boss\" GRANTED BY \"postgres\" CASCADE").says("DROP ROLE \"gone\"");
        world.dbbuild(&["roles", "apply"]).ok();
        let members = "SELECT string_agg(concat_ws(' ', member::regrole, admin_option, inherit_option, set_option), ', ' \
                       ORDER BY member::regrole::text) FROM pg_auth_members WHERE roleid = 'k'::regrole";
        assert_eq!(shop.psql(members), "b t t t, c f t t, free_1 f t t, n f t t");
        world.dbbuild(&["roles", "plan"]).ok();
        // The loop's direction is turned in one go.
        world.write("db/roles.toml", "ignore = [\"g\"]\n[role.a]\n[role.b]\nmember_of = [\"a\"]\n[role.c]\n");
        world.dbbuild(&["roles", "apply"]).ok();
        assert_eq!(
            shop.psql(
                "SELECT roleid::regrole, member::regrole FROM pg_auth_members WHERE 'b'::regrole IN (member, roleid)"
            ),
            "a|b"
        );
    });
}

#[test]
fn undeclared_roles_are_dropped_only_with_prune_and_lose_nothing() {
    each(&[], |server, world| {
        let mut world = world;
        let shop = server.existing("shop");
        server.run("psql", &["-Xqc", "CREATE DATABASE crm", "-c", "CREATE DATABASE depot", "-d", "postgres"]).ok();
        let (crm, depot) = (server.existing("crm"), server.existing("depot"));
        shop.psql(
            "CREATE ROLE ops LOGIN CREATEROLE CREATEDB; ALTER DATABASE shop OWNER TO ops; ALTER DATABASE crm OWNER TO ops;
             ALTER DATABASE depot OWNER TO ops; CREATE ROLE app; CREATE ROLE rds_admin; CREATE ROLE mine_x",
        );
        shop.psql("SET ROLE ops; CREATE ROLE leaver LOGIN; CREATE ROLE other");
        let made = "CREATE TABLE leavers (id int); INSERT INTO leavers VALUES (1); ALTER TABLE leavers OWNER TO leaver; \
                    SET ROLE ops; CREATE TABLE t (id int); GRANT SELECT ON t TO leaver, other; \
                    ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO leaver";
        shop.psql(made);
        crm.psql(made);
        depot.psql("CREATE TABLE leavers (id int); ALTER TABLE leavers OWNER TO leaver");
        shop.psql("GRANT CONNECT ON DATABASE crm TO other");
        // The owner of both databases, who made the roles and is no superuser.
        world.set("SHOP_URL", server.url("shop").replace("postgres@", "ops@"));
        world.dbbuild(&["env", "mark", "production", "--confirm", "production"]).ok();
        world.write(
            "db/roles.toml",
            "ignore = [\"mine_*\"]\n[role.app]\n[role.ops]\nlogin = true\ncreaterole = true\ncreatedb = true\n",
        );
        world
            .dbbuild(&["roles", "plan"])
            .ok()
            .says("not declared, and left alone: leaver, other")
            .says_not("rds_admin");
        world.write("db/roles.toml", "prune = true\nignore = [\"mine_*\"]\n[role.app]\n[role.ops]\nlogin = true\ncreaterole = true\ncreatedb = true\n");

        // A database that cannot be entered holds the drop up, and is named.
        hba_is(&server, "local crm all reject\nlocal all all trust\n");
        let refused = world.dbbuild(&["roles", "apply"]);
        refused.fails(1).says("refused to drop leaver, other: the database crm").says("nothing was changed");
        assert_eq!(shop.psql("SELECT count(*) FROM pg_roles WHERE rolname IN ('leaver', 'other')"), "2");
        hba_is(&server, "local all all trust\n");

        // So does what others have from a dropped role alone, on what somebody else owns.
        crm.psql(
            "SET ROLE ops; GRANT SELECT ON t TO other WITH GRANT OPTION; SET ROLE other; GRANT SELECT ON t TO app",
        );
        let refused = world.dbbuild(&["roles", "plan"]);
        refused
            .fails(1)
            .says("refused to drop who granted others something in crm")
            .says("other: SELECT on table t to app");
        crm.psql("SET ROLE ops; GRANT SELECT ON t TO app");

        let plan = world.dbbuild(&["roles", "plan"]);
        plan.fails(3)
            .says("REASSIGN OWNED BY \"leaver\" TO \"ops\";  -- in the database crm")
            .says("DROP ROLE \"other\"");
        plan.says_not("rds_admin").says_not("mine_x");

        // What one database refuses is found before anything is given away in another.
        depot.psql(
            "CREATE SEQUENCE times; CREATE FUNCTION refuse() RETURNS event_trigger SECURITY DEFINER LANGUAGE plpgsql AS $$ BEGIN
             IF nextval('times') <> 2 THEN RAISE 'not here'; END IF; END $$;
             CREATE EVENT TRIGGER refuse ON ddl_command_start WHEN TAG IN ('DROP OWNED') EXECUTE FUNCTION refuse()",
        );
        let owner = "SELECT tableowner FROM pg_tables WHERE tablename = 'leavers'";
        let owners = || [&crm, &depot, &shop].map(|database| database.psql(owner)).join(" ");
        world.dbbuild(&["roles", "apply"]).fails(1).says("it was tried in the database depot; nothing was changed");
        assert_eq!(owners(), "leaver leaver leaver");
        // Broken off between two databases, by an error or by a signal, it says what was done, and goes on the next time.
        let broken = world.dbbuild(&["roles", "apply"]);
        broken
            .fails(1)
            .says("caused by: not here")
            .says("it ran in the database depot; what dropped roles owned in crm was given to the heir");
        broken.says("already, nothing else was changed; run the command again");
        assert_eq!(owners(), "ops leaver leaver");
        crm.psql("ALTER TABLE leavers OWNER TO leaver");
        depot.psql(
            "CREATE OR REPLACE FUNCTION refuse() RETURNS event_trigger SECURITY DEFINER LANGUAGE plpgsql AS $$ BEGIN
             IF nextval('times') > 4 THEN PERFORM pg_advisory_lock(7); END IF; END $$",
        );
        let mut held = Held::open(&depot);
        held.run("SELECT pg_advisory_lock(7)");
        let mut killed = world.start(&["roles", "apply"]);
        until(&depot, "SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND objid = 7 AND NOT granted)");
        killed.signal(Signal::SIGKILL);
        killed.wait();
        drop(held);
        until(&depot, "SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE usename = 'ops')");
        assert_eq!(owners(), "ops leaver leaver");
        depot.psql("DROP EVENT TRIGGER refuse");
        world.dbbuild(&["roles", "apply"]).ok();
        assert_eq!(
            shop.psql("SELECT string_agg(rolname, ' ' ORDER BY rolname) FROM pg_roles WHERE oid >= 16384"),
            "app mine_x ops rds_admin"
        );
        assert_eq!(owners(), "ops ops ops");
        for database in [&shop, &crm] {
            assert_eq!(database.psql("SELECT count(*) FROM leavers"), "1");
        }
        assert_eq!(crm.psql("SELECT has_table_privilege('app', 't', 'SELECT')"), "t");
        world.dbbuild(&["roles", "plan"]).ok();
    });
}

#[test]
fn a_running_cluster_is_written_down() {
    each(&[], |server, world| {
        let shop = server.existing("shop");
        shop.psql(
            "CREATE ROLE app LOGIN PASSWORD 'x' CONNECTION LIMIT 3 VALID UNTIL '2031-02-03 04:05:06.5+02';
             CREATE ROLE reader; GRANT reader TO app WITH ADMIN OPTION; GRANT pg_monitor TO app; CREATE ROLE rds_thing; GRANT rds_thing TO app;
             COMMENT ON ROLE app IS 'a \"quoted\" one'; ALTER ROLE app SET search_path = \"A b\", public;
             ALTER ROLE app IN DATABASE shop SET jit = off; CREATE ROLE \"Odd role\" NOINHERIT CREATEDB; ALTER ROLE reader VALID UNTIL 'infinity'",
        );
        world.write("db/roles.toml", "# ours\n\n# the readers\n[role.reader] # all of them\nlogin = true # no more\n\n[role.gone]\nenvironments = [\"development\"]\n");
        world.dbbuild(&["roles", "adopt"]).ok().says("new      app").says("changed  reader").says_not("rds_thing");
        let text = world.read("db/roles.toml");
        assert!(
            text.starts_with("# ours\n\n# the readers\n[role.reader] # all of them\nlogin = false # no more\n"),
            "{text}"
        );
        assert!(text.contains("[role.'Odd role']") || text.contains("[role.\"Odd role\"]"), "{text}");
        assert!(text.contains("# password = { env = \"APP_PASSWORD\" }"), "{text}");
        world.dbbuild(&["roles", "plan"]).ok().says("are what db/roles.toml says");
        world.dbbuild(&["roles", "adopt"]).ok().says("says it already");
        assert_eq!(world.read("db/roles.toml"), text);
        world
            .dbbuild(&["roles", "check", "--env", "production"])
            .ok()
            .says("0 passwords can be fetched")
            .says("a second time there was nothing to do");
    });
}

#[test]
fn what_is_wrong_with_the_file_is_said_with_its_place() {
    let Some((server, world)) = shop(15, &[]) else { return };
    for (text, status, says) in [
        ("[role.app]\nlogim = true\n", 2, "unknown key `logim` at db/roles.toml:2:1"),
        (
            "[role.app]\nlogin = true\npassword = \"Cl3ar-pässword\"\n",
            2,
            "a password stands in the file itself at db/roles.toml:3:12",
        ),
        (
            "[role.a]\nmember_of = [\"b\"]\n[role.b]\nmember_of = [\"a\"]\n",
            2,
            "roles are members of each other: a → b → a at db/roles.toml:1:7",
        ),
        (
            "[role.a]\npassword = { env = \"NOT_SET\" }\n",
            2,
            "the environment variable NOT_SET is not set at db/roles.toml:2:1",
        ),
        (
            "[role.a]\nmember_of = [\"rds_iam\"]\n",
            1,
            "`rds_iam`, which is not declared and not on the server at db/roles.toml:2:14",
        ),
    ] {
        world.write("db/roles.toml", text);
        for verb in ["plan", "apply"] {
            world.dbbuild(&["roles", verb]).fails(status).says(says).says_not(CLEAR);
        }
    }
    // What only the server knows to be wrong.
    world.write("db/roles.toml", "[role.a]\n\n[role.b]\nsettings = { work_mem = \"banana\" }\n");
    for command in [&["roles", "apply"][..], &["roles", "check"]] {
        world
            .dbbuild(command)
            .fails(1)
            .says("work_mem = 'banana'` failed at db/roles.toml:3:7")
            .says("nothing was changed");
    }
    assert_eq!(server.existing("shop").psql("SELECT count(*) FROM pg_roles WHERE oid >= 16384"), "0");
    // A password of another environment is nobody's business here.
    world.write("db/roles.toml", "[role.a]\nenvironments = [\"development\"]\npassword = { env = \"NOT_SET\" }\n");
    world.dbbuild(&["roles", "plan"]).ok();
    world.dbbuild(&["roles", "check", "--no-server", "--env", "development"]).fails(2).says("NOT_SET is not set");
    world.write("db/roles.toml", b"[role.a]\ncomment = \"caf\xe9\"\n");
    world.dbbuild(&["roles", "check"]).fails(2).says("invalid UTF-8 (byte 0xe9) at db/roles.toml:2:15");
    fs::remove_file(world.path("db/roles.toml")).unwrap();
    world.dbbuild(&["roles", "plan"]).fails(2).says("there is no db/roles.toml");
}

#[test]
fn the_mark_counts_for_roles_as_for_migrations() {
    let Some((server, world)) = shop(15, &[]) else { return };
    world.write("db/roles.toml", "[role.app]\n");
    let shop = server.existing("shop");
    shop.psql("CREATE TABLE t (id int)");
    world.dbbuild(&["roles", "apply"]).fails(1).says("refused to change the roles of").says("carries no mark");
    world.dbbuild(&["env", "mark", "development", "--url", &server.url("shop"), "--confirm", "development"]).ok();
    world.dbbuild(&["roles", "apply"]).fails(1).says("it is marked development");
    assert_eq!(shop.psql("SELECT count(*) FROM pg_roles WHERE rolname = 'app'"), "0");
}

#[test]
fn two_runs_through_two_databases_take_turns() {
    each(&[], |server, world| {
        server.run("psql", &["-Xqc", "CREATE DATABASE crm", "-d", "postgres"]).ok();
        let names: Vec<String> = (0..10).map(|n| format!("r{n}")).collect();
        let text: String = names
            .iter()
            .map(|name| format!("[role.{name}]\nlogin = true\npassword = {{ env = \"APP_PASSWORD\" }}\nsettings = {{ jit = \"off\" }}\n"))
            .collect();
        world.write(
            "db/roles.toml",
            format!(
                "{text}[role.all]\nmember_of = [{}]\n",
                names.iter().map(|name| format!("{name:?}")).collect::<Vec<_>>().join(", ")
            ),
        );
        let shop = server.existing("shop");
        shop.psql("CREATE ROLE ops LOGIN SUPERUSER");
        let mut world = world;
        let crm = server.url("crm").replace("postgres@", "ops@");
        world.set("SHOP_URL", server.url("shop").replace("postgres@", "ops@"));
        let both = |arguments: &[&str]| {
            let through_crm: Vec<&str> = arguments.iter().copied().chain(["--url", &crm]).collect();
            let running = [world.start(arguments), world.start(&through_crm)];
            running.map(Running::wait)
        };
        for outcome in both(&["roles", "apply"]) {
            outcome.ok();
        }
        assert_eq!(shop.psql("SELECT count(*) FROM pg_auth_members WHERE member = '\"all\"'::regrole"), "10");

        // Whoever comes second says for whom it waits, and for how long.
        world.write("dbbuild.toml", world.read("dbbuild.toml") + "[lock]\nwait = \"300ms\"\n");
        let mut held = Held::open_in(&server, "postgres");
        held.run("SELECT pg_advisory_lock(1684169333, 2)");
        let refused = world.dbbuild(&["roles", "apply", "--rotate"]);
        refused.fails(1).says("waits for another dbbuild at the roles of this server: process ");
        refused.says("another dbbuild works on the roles of this server: process ").says("nothing was changed");
        drop(held);
        world.write("dbbuild.toml", world.read("dbbuild.toml").replace("300ms", "1min"));

        // Where the database of the lock lets nobody in, a collision is taken back and run once more.
        hba_is(&server, "local all postgres trust\nlocal postgres all reject\nlocal all all trust\n");
        for _ in 0..2 {
            for outcome in both(&["roles", "apply", "--rotate"]) {
                outcome.ok();
            }
        }
        hba_is(&server, "local all all trust\n");
        world.dbbuild(&["roles", "plan"]).ok();
    });
}
