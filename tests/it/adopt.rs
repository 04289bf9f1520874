//! `dbbuild adopt`: an existing database becomes a repository's.

use crate::fidelity::world_of;
use crate::support::{Server, World};

const SHOP: &str = "
CREATE ROLE shop_owner LOGIN CREATEROLE PASSWORD 'topsecret'; CREATE ROLE app_reader;
CREATE ROLE app LOGIN PASSWORD 'topsecret' IN ROLE app_reader VALID UNTIL '2030-01-01 00:00:00+00';
ALTER ROLE app SET statement_timeout = '30s';
ALTER DATABASE shop OWNER TO shop_owner;
CREATE EXTENSION pg_trgm;
SET ROLE shop_owner;
CREATE SCHEMA shop;
CREATE TABLE shop.countries (code text PRIMARY KEY, name text);
INSERT INTO shop.countries VALUES ('de', 'Germany'), ('fr', 'France');
CREATE TABLE shop.orders (id serial PRIMARY KEY, country text REFERENCES shop.countries);
INSERT INTO shop.orders (country) SELECT 'de' FROM generate_series(1, 20);
CREATE MATERIALIZED VIEW shop.sales AS SELECT country, count(*) FROM shop.orders GROUP BY country;
CREATE VIEW shop.german AS SELECT * FROM shop.orders WHERE country <> ALL (ARRAY['fr'::varchar, 'it']);
GRANT USAGE ON SCHEMA shop TO app_reader;
GRANT SELECT ON shop.orders TO app_reader;";

/// A server with a shop, and a world beside it.
fn shop() -> Option<(Server, World)> {
    let server = Server::private(15, &[])?;
    server.run("psql", &["-Xqc", "CREATE DATABASE shop", "-d", "postgres"]).ok();
    server.existing("shop").psql(SHOP);
    let world = world_of(&server);
    Some((server, world))
}

/// The address of the shop for its owner, who is no superuser.
fn owner(server: &Server) -> String {
    server.url("shop").replace("postgres@", "shop_owner@")
}

/// Everything in the repository's folder but git's own.
fn files(world: &World) -> String {
    world.run(world.command("find").args([".", "-type", "f", "-not", "-path", "./.git/*"])).ok().stdout.clone()
}

fn adopt(world: &World, url: &str, more: &[&str]) -> crate::support::Outcome {
    let fixed = ["adopt", "--env", "production", "--url", url, "--confirm", "production"];
    world.dbbuild(&[&fixed, more].concat())
}

#[test]
fn a_database_without_migrations_is_taken_over_by_its_owner() {
    let Some((server, world)) = shop() else { return };
    let url = owner(&server);
    adopt(&world, &url, &["--data", "shop.countries"])
        .ok()
        .says("wrote db/roles.toml")
        .says("1 other table's rows")
        .says("passwords of roles")
        .says("is marked production now");
    let roles = world.read("db/roles.toml");
    assert!(
        roles.contains(
            "[role.app]\nlogin = true\nvalid_until = \"2030-01-01 00:00:00+00\"\nmember_of = [\"app_reader\"]"
        )
    );
    assert!(
        roles.contains("settings = { statement_timeout = \"30s\" }") && roles.contains("[role.shop_owner]"),
        "{roles}"
    );
    let found = world.run(world.command("find").args(["db/migrations", "-name", "*_adopted.sql"]));
    let migration = world.read(found.stdout.trim());
    assert!(migration.contains("-- dbbuild:idempotent false adopted from shop"), "{migration}");
    assert!(migration.contains("de\tGermany\nfr\tFrance\n") && !migration.contains("COPY shop.orders"), "{migration}");
    assert!(!format!("{migration}{roles}").contains("topsecret"));

    let database = server.existing("shop");
    assert_eq!(database.psql("SELECT origin, state, up_sql IS NOT NULL FROM dbbuild.migration"), "adopted|applied|t");
    assert_eq!(database.psql("SELECT name, protected FROM dbbuild.environment"), "production|t");
    assert_eq!(database.psql("SELECT count(*) FROM shop.orders"), "20");
    world.dbbuild(&["status", "--env", "production", "--url", &url, "--exit-code"]).ok().says("1 applied, 0 pending");
    world.dbbuild(&["log", "--env", "production", "--url", &url]).ok().says("adopted");

    world.commit("Adopt").ok();
    world.dbbuild(&["verify", "--full"]).ok();
    let copy = server.url("copy");
    world.dbbuild(&["bootstrap", "--env", "production", "--url", &copy]).ok();
    let copy = server.existing("copy");
    assert_eq!(copy.psql("SELECT count(*) FROM shop.countries"), "2");
    assert_eq!(copy.psql("SELECT count(*) FROM shop.orders"), "0");
    assert_eq!(copy.psql("SELECT relispopulated FROM pg_class WHERE relname = 'sales'"), "t");

    world.write(
        "db/migrations/29990101000000_more.sql",
        "ALTER TABLE shop.orders ADD COLUMN IF NOT EXISTS note text;\n",
    );
    world.dbbuild(&["apply", "--allow-dirty", "--env", "production", "--url", &url]).ok().says("29990101000000_more");
    assert_eq!(server.existing("shop").psql("SELECT count(note) FROM shop.orders"), "0");
    adopt(&world, &url, &[]).fails(1).says("dbbuild manages it already");
}

#[test]
fn nothing_is_written_where_what_was_read_makes_no_such_database() {
    let Some((server, world)) = shop() else { return };
    let url = owner(&server);
    let untouched = |world: &World| {
        assert_eq!(files(world), "");
        assert_eq!(server.existing("shop").psql("SELECT to_regnamespace('dbbuild') IS NULL"), "t");
    };
    adopt(&world, &url, &["--data", "shop.orders"])
        .fails(1)
        .says("violates foreign key constraint \"orders_country_fkey\"")
        .says("name the tables that the chosen rows point at")
        .says("nothing was written");
    untouched(&world);
    adopt(&world, &url, &["--data", "shop.nowhere"]).fails(2).says("there is no table `shop.nowhere`");
    adopt(&world, &url, &["--data", "shop.german"]).fails(2).says("is not a table");
    untouched(&world);
    // An object that no dump brings back: the extension makes the function, too.
    server.existing("shop").psql("ALTER EXTENSION pg_trgm DROP FUNCTION show_trgm(text)");
    adopt(&world, &url, &[]).fails(1).says("function \"show_trgm\" already exists").says("nothing was written");
    untouched(&world);
}

#[test]
fn the_guard_wants_the_name_and_an_environment_that_is_known() {
    let Some((server, world)) = shop() else { return };
    let url = owner(&server);
    world
        .dbbuild(&["adopt", "--env", "production", "--url", &url])
        .fails(1)
        .says("the name was not confirmed")
        .says("--confirm production");
    world.dbbuild(&["adopt", "--env", "nowhere", "--url", &url, "--confirm", "nowhere"]).fails(2);
    server.run("psql", &["-Xqc", "CREATE DATABASE nothing", "-d", "postgres"]).ok();
    adopt(&world, &server.url("nothing"), &[]).fails(1).says("it is empty");
    server.existing("shop").psql("CREATE ROLE visitor LOGIN; GRANT USAGE ON SCHEMA shop TO visitor");
    let visitor = server.url("shop").replace("postgres@", "visitor@");
    adopt(&world, &visitor, &[]).fails(1).says("the role visitor may not make a schema");
    assert_eq!(files(&world), "");

    world.dbbuild(&["init", "--postgres", "15"]).ok();
    adopt(&world, &url, &[]).fails(1).says("db/migrations is there already");
    world.run(world.command("rm").args(["-r", "db"])).ok();
    world.write("db/roles.toml", "# ours\n[role.keep]\nlogin = true\n");
    adopt(&world, &url, &[]).ok();
    assert_eq!(world.read("db/roles.toml"), "# ours\n[role.keep]\nlogin = true\n", "a file that names roles is kept");
}

#[test]
fn a_superuser_keeps_the_owners_and_a_development_database_shows_drift() {
    let Some((server, world)) = shop() else { return };
    let url = server.url("shop");
    world.dbbuild(&["adopt", "--env", "development", "--url", &url, "--confirm", "development"]).ok();
    let baseline = world.read("db/baseline.sql");
    assert!(baseline.contains("ALTER TABLE shop.orders OWNER TO shop_owner;"), "{baseline}");
    world.commit("Adopt").ok();
    world.dbbuild(&["build", "--url", &url]).ok().says("nothing to do: 1 migration applied");
    server.existing("shop").psql("ALTER TABLE shop.orders OWNER TO app_reader");
    world.dbbuild(&["build", "--url", &url]).fails(3).says("table `shop.orders`: owner is `app_reader`");
}

#[test]
fn tables_made_at_run_time_are_left_out_where_the_configuration_says_so() {
    let Some((server, world)) = shop() else { return };
    let url = server.url("shop");
    server.existing("shop").psql(
        "CREATE TABLE shop.log (id serial, at date NOT NULL, PRIMARY KEY (id, at)) PARTITION BY RANGE (at); \
         CREATE TABLE shop.log_2024 PARTITION OF shop.log FOR VALUES FROM ('2024-01-01') TO ('2025-01-01'); \
         CREATE INDEX ON shop.log (at); INSERT INTO shop.log (at) VALUES ('2024-05-05')",
    );
    world.write("dbbuild.toml", "[postgres]\nversion = 15\n[baseline]\nexclude = [\"shop.log_*\"]\n");
    world.dbbuild(&["adopt", "--url", &url, "--confirm", "development"]).ok();
    let baseline = world.read("db/baseline.sql");
    assert!(baseline.contains("CREATE TABLE shop.log (") && !baseline.contains("log_2024"), "{baseline}");
    world.commit("Adopt").ok();
    server
        .existing("shop")
        .psql("CREATE TABLE shop.log_2025 PARTITION OF shop.log FOR VALUES FROM ('2025-01-01') TO ('2026-01-01')");
    world.dbbuild(&["build", "--url", &url]).ok().says("nothing to do");
    server.existing("shop").psql("CREATE TABLE shop.other ()");
    world.dbbuild(&["build", "--url", &url]).fails(3).says("table `shop.other` is unexpected");
}
