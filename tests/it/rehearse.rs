//! `dbbuild rehearse`: what is pending, run on a copy of the real data.

use std::fs;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::support::{Db, Held, Server, World, docker, matrix, server, until};

const CONFIG: &str = "default_env = \"production\"\n[postgres]\nversion = 15\nthrowaway = \"local\"\ndatabase = \"app\"\n\
                      [env.production]\nurl_env = \"PRODUCTION_URL\"\nprotected = true\n";

const FIRST: &str = "CREATE TABLE IF NOT EXISTS item (id int PRIMARY KEY, code text NOT NULL, price int);
CREATE TABLE IF NOT EXISTS other (id int PRIMARY KEY);
CREATE OR REPLACE VIEW codes AS SELECT id, code FROM item;";

/// A production database with rows that no test data has, and a world that knows it.
fn production(server: &'static Server) -> (World, Db<'static>) {
    let db = server.fresh_database();
    let mut world = World::new();
    world.set("PRODUCTION_URL", db.url.clone());
    world.write("dbbuild.toml", CONFIG);
    world.write("db/migrations/0010_first.sql", FIRST);
    world.write("db/testdata/default/items.sql", "INSERT INTO item VALUES (-1, 'never here', 1);");
    world.dbbuild(&["apply", "--allow-dirty"]).ok();
    db.psql("INSERT INTO item SELECT n, 'code ' || n % 4999, n FROM generate_series(1, 5000) n");
    (world, db)
}

/// What a rehearsal must leave alone: rows, definitions, the version table, the size of the write-ahead log's reason.
fn fingerprint(db: &Db<'_>) -> String {
    let rows = db.psql(
        "SELECT md5(string_agg(i::text, ',' ORDER BY id)) FROM item i \
         UNION ALL SELECT md5(string_agg(m::text, ',' ORDER BY version)) FROM dbbuild.migration m \
         UNION ALL SELECT md5(string_agg(f::text, ',' ORDER BY kind, name)) FROM dbbuild.file f \
         UNION ALL SELECT md5(e::text) FROM dbbuild.environment e",
    );
    format!("{rows}\n{}", db.pg_dump())
}

/// Folders of throwaways that are on the disk of this world.
fn throwaways_left(world: &World) -> usize {
    let base = world.home().parent().unwrap().join(format!("tmp/dbbuild-{}", nix::unistd::geteuid()));
    let names = fs::read_dir(base).into_iter().flatten().flatten().map(|entry| entry.file_name());
    names.filter(|name| name.to_string_lossy().starts_with("t-")).count()
}

#[test]
fn each_step_tells_what_it_did_to_the_real_data() {
    let Some(server) = server(15) else { return };
    let (world, db) = production(server);
    // It ran before, so the first migration says that it is due.
    world.write("db/repeatable/codes.sql", "CREATE OR REPLACE VIEW codes AS SELECT id, code FROM item WHERE id > 0;");
    world.dbbuild(&["apply", "--allow-dirty"]).ok();
    world.write("db/migrations/0020_rewrite.sql", "ALTER TABLE item ALTER COLUMN price TYPE bigint;");
    world.write("db/migrations/0030_add.sql", "ALTER TABLE item ADD COLUMN IF NOT EXISTS note text;");
    world.write(
        "db/migrations/0040_fill.sql",
        "UPDATE item SET note = code WHERE note IS NULL AND id <= 1000;\n\
         CREATE TABLE IF NOT EXISTS fresh AS SELECT id FROM item WHERE id <= 10;\nDROP TABLE IF EXISTS other;",
    );
    world.write(
        "db/migrations/0050_index.sql",
        "-- migrate:up transaction:false\nCREATE INDEX CONCURRENTLY IF NOT EXISTS item_code ON item (code);",
    );
    world.write("db/checks/few.sql", "SELECT id FROM item WHERE id > 6000;");
    let before = fingerprint(&db);
    for how in ["dump", "physical"] {
        let outcome = world.dbbuild(&["rehearse", "--copy", how]);
        outcome.ok().says("migration db/migrations/0020_rewrite.sql").says("rewritten: public.item");
        outcome.says("ACCESS EXCLUSIVE on public.item").says("blocks reads and writes");
        outcome.says("rows of public.item: 1000 updated").says("public.fresh is new").says("public.other goes");
        outcome.says("repeatable db/repeatable/codes.sql").says("check db/checks/few.sql: passes").says("fsync is off");
        assert_eq!(fingerprint(&db), before, "{how}");
        assert_eq!(throwaways_left(&world), 0);
    }
    let json = world.dbbuild(&["rehearse", "--json"]);
    json.ok();
    let value = json.json();
    let steps = value["rehearsal"]["steps"].as_array().unwrap();
    let paths: Vec<&str> =
        steps.iter().map(|step| step["path"].as_str().unwrap().rsplit('/').next().unwrap()).collect();
    assert_eq!(paths, ["0020_rewrite.sql", "0030_add.sql", "0040_fill.sql", "0050_index.sql", "codes.sql"]);
    let rewrite = &steps[0];
    assert_eq!(rewrite["rewritten"][0]["table"], "public.item");
    assert!(rewrite["wal_bytes"].as_u64().unwrap() > 100_000, "{rewrite}");
    assert_eq!(rewrite["locks"][0]["mode"], "ACCESS EXCLUSIVE");
    // A column without a default rewrites nothing.
    assert_eq!(steps[1]["rewritten"].as_array().unwrap().len(), 0);
    assert_eq!(steps[1]["locks"][0]["blocks"], "reads and writes");
    let fill = &steps[2];
    assert_eq!(fill["rows"][0]["inserted"], 10);
    let modes: Vec<(&str, &str)> = fill["locks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|lock| (lock["table"].as_str().unwrap(), lock["mode"].as_str().unwrap()))
        .collect();
    assert_eq!(modes, [("public.other", "ACCESS EXCLUSIVE"), ("public.item", "ROW EXCLUSIVE")]);
    let grown = fill["growth"].as_array().unwrap().iter().find(|one| one["table"] == "public.item").unwrap();
    assert!(grown["after"].as_u64() > grown["before"].as_u64(), "{fill}");
    let index = &steps[3];
    assert_eq!(index["how"], "ran as transaction:false");
    let grown = index["growth"].as_array().unwrap().iter().find(|one| one["table"] == "public.item").unwrap();
    assert!(grown["after"].as_u64() > grown["before"].as_u64(), "{index}");
    let blocking = index["locks"].as_array().unwrap().iter().filter(|lock| !lock["blocks"].is_null()).count();
    assert_eq!(blocking, 0, "{index}");
    assert_eq!(value["rehearsal"]["copy"]["kind"], "dump");
    // What was rehearsed then runs.
    world.dbbuild(&["apply", "--allow-dirty"]).ok();
    world.dbbuild(&["rehearse"]).ok().says("nothing is pending");
}

#[test]
fn each_version_is_rehearsed_on_its_own() {
    matrix(|server| {
        let db = server.fresh_database();
        let mut world = World::new();
        world.set("PRODUCTION_URL", db.url.clone());
        let (major, bin) = (server.major, server.bin.display());
        let pinned = format!("version = {major}\nbin_dir = \"{bin}\"");
        world.write("dbbuild.toml", CONFIG.replace("version = 15", &pinned));
        world.write("db/migrations/0010_first.sql", FIRST);
        world.dbbuild(&["apply", "--allow-dirty"]).ok();
        db.psql("INSERT INTO item SELECT n, 'code ' || n, n FROM generate_series(1, 500) n");
        world.write("db/migrations/0020_rewrite.sql", "ALTER TABLE item ALTER COLUMN price TYPE bigint;");
        world.write("db/checks/few.sql", "SELECT id FROM item WHERE id > 499;");
        for how in ["dump", "physical"] {
            let outcome = world.dbbuild(&["rehearse", "--copy", how]);
            outcome
                .fails(1)
                .says("rewritten: public.item")
                .says("would find 1 row(s)")
                .says(&format!("copied ({how})"));
            assert_eq!(throwaways_left(&world), 0);
        }
        assert_eq!(db.psql("SELECT count(*) FROM dbbuild.migration"), "1");
    });
}

#[test]
fn where_throwaways_run_in_docker_both_copies_are_made() {
    let Some(server) = server(15) else { return };
    if !docker() {
        return;
    }
    let (world, db) = production(server);
    world.write(
        "dbbuild.toml",
        CONFIG.replace("throwaway = \"local\"", "throwaway = \"docker\"\nimage = \"postgres:15\""),
    );
    world.write("db/migrations/0020_rewrite.sql", "ALTER TABLE item ALTER COLUMN price TYPE bigint;");
    let before = fingerprint(&db);
    world.dbbuild(&["rehearse"]).ok().says("copied (dump)").says("rewritten: public.item").says_not("own programs");
    let physical = world.dbbuild(&["rehearse", "--copy", "physical"]);
    physical.ok().says("copied (physical)").says("rewritten: public.item").says("own programs");
    world.write("dbbuild.toml", world.read("dbbuild.toml").replace("docker\"", "docker\"\nbin_dir = \"/nonexistent\""));
    world.dbbuild(&["rehearse", "--copy", "physical"]).fails(1).says("a container cannot take it");
    assert_eq!(fingerprint(&db), before);
    assert_eq!(throwaways_left(&world), 0);
}

#[test]
fn what_only_the_real_data_refuses_is_found() {
    let Some(server) = server(15) else { return };
    let (world, db) = production(server);
    world.write("db/migrations/0020_add.sql", "ALTER TABLE item ADD COLUMN IF NOT EXISTS note text;");
    world.write(
        "db/migrations/0030_unique.sql",
        "LOCK TABLE other IN SHARE MODE;\nSELECT pg_sleep(0.6);\nCREATE UNIQUE INDEX IF NOT EXISTS item_code ON item (code);",
    );
    world.write("db/migrations/0040_later.sql", "CREATE TABLE IF NOT EXISTS later (id int);");
    let before = fingerprint(&db);
    let outcome = world.dbbuild(&["rehearse"]);
    outcome.fails(1).says("0030_unique failed").says("0030_unique.sql:3").says("is duplicated");
    outcome.says("migration db/migrations/0020_add.sql").says("migration db/migrations/0030_unique.sql: FAILS");
    outcome.says("SHARE on public.other").says("blocks writes").says("nothing was changed in the database itself");
    assert_eq!(fingerprint(&db), before);
    let json = world.dbbuild(&["rehearse", "--json"]);
    json.fails(1);
    let value = json.json();
    assert_eq!(value["rehearsal"]["steps"][1]["failed"], true);
    assert_eq!(value["rehearsal"]["failures"].as_array().unwrap().len(), 1);
    // Every check that fails is told, and the migrations that ran before them.
    fs::remove_file(world.path("db/migrations/0030_unique.sql")).unwrap();
    world.write("db/checks/a.sql", "SELECT id FROM item WHERE id = 7;");
    world.write("db/checks/b.sql", "SELECT id FROM item WHERE price > 4990;");
    world.write("db/checks/c.sql", "SELECT id FROM later;");
    let outcome = world.dbbuild(&["rehearse"]);
    outcome.fails(1).says("the check a.sql would find 1 row(s)").says("the check b.sql would find 10 row(s)");
    outcome.says("check db/checks/c.sql: passes").says("migration db/migrations/0040_later.sql");
    assert_eq!(fingerprint(&db), before);
    assert_eq!(throwaways_left(&world), 0);
}

#[test]
fn another_copy_can_be_the_source() {
    let Some(server) = server(15) else { return };
    let (mut world, db) = production(server);
    world.write("db/migrations/0020_add.sql", "ALTER TABLE item ADD COLUMN IF NOT EXISTS note text;");
    let copy = server.fresh_database();
    let dump = world.path("dump.sql");
    fs::write(&dump, db.pg_dump()).unwrap();
    copy.psql_file(&dump).ok();
    fs::remove_file(&dump).unwrap();
    // The environment's own address is not needed then, and the mark is that of the original.
    world.set("PRODUCTION_URL", "postgres://nowhere.invalid/app");
    let outcome = world.dbbuild(&["rehearse", "--from", &copy.url]);
    outcome.ok().says("rehearsed for production on a copy of").says("0020_add.sql");
    world.dbbuild(&["rehearse", "--url", &copy.url]).fails(1).says("mark");
}

#[test]
fn a_standby_can_be_the_source() {
    let Some(primary) = Server::private(15, &["full_page_writes=on"]) else { return };
    let db = primary.fresh_database();
    let mut world = World::new();
    world.set("PRODUCTION_URL", db.url.clone());
    world.write("dbbuild.toml", CONFIG);
    world.write("db/migrations/0010_first.sql", FIRST);
    world.dbbuild(&["apply", "--allow-dirty"]).ok();
    db.psql("INSERT INTO item SELECT n, 'x', n FROM generate_series(1, 100) n");
    let standby = primary.standby();
    let address = standby.url(&db.name);
    world.write("db/migrations/0020_fill.sql", "UPDATE item SET code = 'y' WHERE code = 'x';");
    for how in ["dump", "physical"] {
        let outcome = world.dbbuild(&["rehearse", "--from", &address, "--copy", how]);
        outcome.ok().says("rows of public.item: 100 updated");
    }
    // A slot holds the write-ahead log until it is copied; a server that has none to give is copied all the same.
    let _standby = standby.restarted(&["hot_standby=on", "max_replication_slots=0"]);
    let without = world.dbbuild(&["rehearse", "--from", &address, "--copy", "physical"]);
    without.ok().says("rows of public.item: 100 updated");
}

#[test]
fn nothing_is_left_of_a_rehearsal_that_is_broken_off() {
    let Some(server) = server(15) else { return };
    let (world, db) = production(server);
    world.write(
        "db/migrations/0020_slow.sql",
        "ALTER TABLE item ADD COLUMN IF NOT EXISTS note text;\nSELECT pg_sleep(60);",
    );
    let before = fingerprint(&db);
    for signal in [Signal::SIGINT, Signal::SIGKILL] {
        let mut running = world.start(&["rehearse"]);
        let begin = Instant::now();
        while throwaways_left(&world) == 0 && begin.elapsed() < Duration::from_secs(60) {
            std::thread::sleep(Duration::from_millis(20));
        }
        assert!(throwaways_left(&world) > 0);
        std::thread::sleep(Duration::from_secs(3));
        running.signal(signal);
        running.wait();
        if signal == Signal::SIGKILL {
            // The next throwaway removes what the killed one left.
            world.dbbuild(&["rehearse", "--keep-free", "90000TB"]).fails(1);
            world.write("db/migrations/0020_slow.sql", "SELECT 1;");
            world.dbbuild(&["rehearse"]).ok();
        }
        assert_eq!(throwaways_left(&world), 0, "{signal}");
    }
    until(
        &db,
        "SELECT count(*) = 0 FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()",
    );
    assert_eq!(fingerprint(&db), before);
}

#[test]
fn a_copy_that_does_not_fit_is_refused() {
    let Some(server) = server(15) else { return };
    let (world, db) = production(server);
    world.write("db/migrations/0020_add.sql", "ALTER TABLE item ADD COLUMN IF NOT EXISTS note text;");
    let before = fingerprint(&db);
    for how in ["dump", "physical"] {
        let outcome = world.dbbuild(&["rehearse", "--keep-free", "90000TB", "--copy", how]);
        outcome.fails(1).says("too little room for a copy").says("GB are free").says("TMPDIR");
    }
    assert_eq!(fingerprint(&db), before);
    assert_eq!(throwaways_left(&world), 0);
    world.dbbuild(&["rehearse", "--keep-free", "much"]).fails(2);
    // Reading waits for a lock no longer than a migration does.
    world.write("dbbuild.toml", format!("{CONFIG}[lock]\ntimeout = \"300ms\"\n"));
    let mut held = Held::open(&db);
    held.run("BEGIN; LOCK TABLE item IN ACCESS EXCLUSIVE MODE;");
    world.dbbuild(&["rehearse"]).fails(1).says("LOCK TABLE public.item").says("longer than lock.timeout");
    assert_eq!(throwaways_left(&world), 0);
}

#[test]
fn the_role_that_runs_migrations_is_the_same() {
    let Some(server) = server(15) else { return };
    let db = server.fresh_database();
    let role = format!("runner_{}", std::process::id());
    db.psql(&format!(
        "CREATE ROLE {role} LOGIN; ALTER ROLE {role} SET search_path = shop, public; CREATE SCHEMA shop AUTHORIZATION {role}; \
         GRANT CREATE ON DATABASE \"{}\" TO {role}; CREATE TABLE public.hers (id int)",
        db.psql("SELECT current_database()").trim()
    ));
    let mut world = World::new();
    world.write("dbbuild.toml", CONFIG);
    world.write("db/migrations/0010_first.sql", "CREATE TABLE IF NOT EXISTS item (id int);");
    let url = if db.url.contains('?') { format!("{}&user={role}", db.url) } else { format!("{}?user={role}", db.url) };
    world.set("PRODUCTION_URL", url);
    world.dbbuild(&["env", "mark", "production", "--confirm", "production"]).ok();
    world.dbbuild(&["apply", "--allow-dirty"]).ok();
    assert_eq!(db.psql("SELECT count(*) FROM pg_tables WHERE schemaname = 'shop' AND tablename = 'item'").trim(), "1");
    world.write("db/migrations/0020_more.sql", "CREATE TABLE IF NOT EXISTS more (id int);");
    world.write("db/migrations/0030_hers.sql", "ALTER TABLE public.hers ADD COLUMN IF NOT EXISTS a int;");
    world.dbbuild(&["rehearse"]).fails(1).says("permission denied for table hers").says("pg_read_all_data");
    // A role that may read all can make the copy; the one that is configured runs the migrations there.
    world
        .write("dbbuild.toml", CONFIG.replace("database = \"app\"", &format!("database = \"app\"\nrole = \"{role}\"")));
    world.dbbuild(&["rehearse", "--from", &db.url]).fails(1).says("must be owner of table hers").says("0020_more.sql");
    world.dbbuild(&["rehearse", "--from", &db.url, "--copy", "physical"]).fails(1).says("must be owner of table hers");
    db.psql(&format!("GRANT SELECT ON public.hers TO {role}"));
    world.dbbuild(&["rehearse"]).fails(1).says("must be owner of table hers");
    db.psql(&format!("DROP OWNED BY {role}; DROP ROLE {role}"));
}

#[test]
fn the_embedded_server_is_copied_like_any_other() {
    if server(15).is_none() {
        return;
    }
    let world = World::new();
    world.write(
        "dbbuild.toml",
        "[postgres]\nversion = 15\nthrowaway = \"local\"\n[env.development]\ntestdata = [\"default\"]\n",
    );
    world.write("db/migrations/0010_first.sql", FIRST);
    world.write("db/testdata/default/items.sql", "INSERT INTO item VALUES (1, 'a', 1), (2, 'b', 1);");
    world.dbbuild(&[]).ok();
    world.write("db/migrations/0020_unique.sql", "ALTER TABLE item ADD CONSTRAINT one UNIQUE (price);");
    // Its segments of the write-ahead log are as large as usual ones.
    let outcome = world.dbbuild(&["rehearse", "--copy", "physical"]);
    let rehearsed = world.dbbuild(&["rehearse", "--copy", "dump", "--json"]);
    world.dbbuild(&["server", "stop"]).ok();
    outcome.fails(1).says("0020_unique failed").says("(physical)").says("is duplicated");
    rehearsed.fails(1).says_not("testdata");
}
