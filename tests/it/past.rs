//! `dbbuild history` and `dbbuild changelog`: what the history of baselines in git says, and the names in git's own diffs.

use std::fs;

use serde_json::Value;

use crate::support::{World, server};

const CONFIG: &str = "[postgres]\nversion = 15\nthrowaway = \"local\"\n";
const ORDERS: &str = "CREATE TABLE IF NOT EXISTS orders (id int PRIMARY KEY, total numeric(10,2), note text);\n\
                      CREATE TABLE IF NOT EXISTS status (name text PRIMARY KEY);\n";
const WIDEN: &str = "-- dbbuild:description Totals of large orders\n\
                     ALTER TABLE orders ALTER COLUMN total TYPE numeric(12,2);\n";
const CUSTOMERS: &str = "CREATE TABLE IF NOT EXISTS customers (id int PRIMARY KEY, note text);\n";
const FUNCTION: &str = "CREATE OR REPLACE FUNCTION total(wanted int) RETURNS numeric LANGUAGE sql AS $$\n\
                        SELECT total FROM orders WHERE id = wanted\n$$;\n";

/// The summaries of the commits that the history of an object names, newest first, and the files of each.
fn history(world: &World, object: &str) -> Vec<(String, Vec<String>)> {
    let found = world.dbbuild(&["history", "--json", object]).ok().json();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let events = found["history"].as_array().unwrap().iter();
    events.map(|e| (text(&e["summary"]), e["by"].as_array().unwrap().iter().map(text).collect())).collect()
}

fn proved(world: &World, message: &str) {
    world.dbbuild(&["baseline"]).ok();
    world.commit(message).ok();
}

/// Six commits with a side branch, a moved baseline, and a table that goes.
fn project() -> World {
    let world = World::new();
    world.write("dbbuild.toml", CONFIG).write("notes.txt", "one\n");
    world.commit("before the database").ok();
    world.write("db/migrations/1_orders.sql", ORDERS);
    world.write("db/init/status.sql", "INSERT INTO status VALUES ('new'), ('paid') ON CONFLICT DO NOTHING;\n");
    proved(&world, "orders");
    world.git(&["tag", "v1"]).ok();
    world.git(&["checkout", "-q", "-b", "side"]).ok();
    world.write("db/migrations/2_widen.sql", WIDEN).write("db/repeatable/total.sql", FUNCTION);
    proved(&world, "widen");
    world.git(&["checkout", "-q", "main"]).ok();
    world.write("db/migrations/3_customers.sql", CUSTOMERS).write("notes.txt", "two\n");
    world.write("db/init/status.sql", "INSERT INTO status VALUES ('new'), ('sent') ON CONFLICT DO NOTHING;\n");
    proved(&world, "customers");
    world.git(&["merge", "-q", "--no-commit", "-X", "ours", "side"]).ok();
    proved(&world, "merged");
    world.write("dbbuild.toml", format!("{CONFIG}[paths]\nbaseline = \"database.sql\"\n"));
    fs::rename(world.path("db/baseline.sql"), world.path("database.sql")).unwrap();
    world.write("db/migrations/4_customers_go.sql", "DROP TABLE IF EXISTS customers;\n");
    proved(&world, "moved");
    world
}

#[test]
fn an_object_is_followed_through_merges_and_a_moved_baseline() {
    if server(15).is_none() {
        return;
    }
    let world = project();
    let one = |summary: &str, path: &str| (summary.to_owned(), vec![path.to_owned()]);
    let (widen, orders) = (one("widen", "db/migrations/2_widen.sql"), one("orders", "db/migrations/1_orders.sql"));
    assert_eq!(history(&world, "orders"), [widen.clone(), orders.clone()]);
    assert_eq!(history(&world, "public.orders.total"), [widen, orders.clone()]);
    assert_eq!(history(&world, "orders.note"), std::slice::from_ref(&orders));
    assert_eq!(history(&world, "orders_pkey"), [orders]);
    assert_eq!(history(&world, "function total(int)"), [one("widen", "db/repeatable/total.sql")]);
    assert_eq!(history(&world, "status").len(), 2);
    let gone = [one("moved", "db/migrations/4_customers_go.sql"), one("customers", "db/migrations/3_customers.sql")];
    assert_eq!(history(&world, "customers"), gone);

    let shown = world.dbbuild(&["history", "orders.total"]);
    shown.ok().says("column `public.orders.total`").says("Ada Example: widen");
    shown.says("    changed: `numeric(10,2)` → `numeric(12,2)`\n    by db/migrations/2_widen.sql");
    world.dbbuild(&["history", "-n", "1", "orders"]).ok().says("widen").says_not("1_orders");
    world
        .dbbuild(&["history", "orders", "--rev", "v1"])
        .ok()
        .says("added: with `id`, `total`, `note`")
        .says_not("widen");
    world.dbbuild(&["history", "note"]).ok().says("public.orders.note");
    world.dbbuild(&["history", "note", "--rev", "HEAD~1"]).fails(2).says("column public.customers.note");
    world.dbbuild(&["history", "nothing"]).fails(2).says("no baseline has it");
    world.dbbuild(&["history", "a b c"]).fails(2).says("no name of an object");
    let clone = world.home().join("clone");
    let address = format!("file://{}", world.path("").display());
    world.git(&["clone", "-q", "--depth=1", &address, clone.to_str().unwrap()]).ok();
    world.dbbuild(&["-C", clone.to_str().unwrap(), "history", "orders"]).ok().says("a shallow clone").says("moved");
    world.dbbuild(&["history", "orders", "--rev", "nowhere"]).fails(2).says("there is no commit nowhere");
}

#[test]
fn a_changelog_tells_object_by_object() {
    if server(15).is_none() {
        return;
    }
    let world = project();
    let text = world.dbbuild(&["changelog", "v1..HEAD"]).ok().stdout.clone();
    for line in [
        "# Changes from v1 to HEAD",
        "- `2_widen`: Totals of large orders",
        "- `4_customers_go`",
        "## Schema `public`",
        "### Functions",
        "- added `total(integer)`",
        "- changed `orders`",
        "  - changed column `total`: `numeric(10,2)` → `numeric(12,2)`",
        "- changed `status`: 1 row added or changed, 1 removed or changed",
    ] {
        assert!(text.lines().any(|have| have == line), "{line}\n{text}");
    }
    assert!(!text.contains("- added `customers`"), "what came and went is no change\n{text}");
    let first = world.dbbuild(&["changelog", "v1~1..v1"]);
    first.ok().says("added `orders`: with `id`, `total`, `note`").says("added `status`: with `name`; 2 rows added");
    let back = world.dbbuild(&["changelog", "--json", "..v1"]).ok().json();
    let changes: Vec<&Value> = back["migrations"].as_array().unwrap().iter().map(|m| &m["change"]).collect();
    assert_eq!(changes, ["removed", "removed", "removed"]);
    assert_eq!(back["changes"][0]["object"]["name"], "total(integer)");
    world.dbbuild(&["changelog", "v1..v1"]).ok().says("Nothing of the database changed");
    world.dbbuild(&["changelog", "v1"]).fails(2).says("FROM..TO");
    world.dbbuild(&["changelog", "v1..v1~1"]).fails(2).says("holds no baseline");
}

#[test]
fn a_diff_of_the_baseline_names_the_object() {
    if server(15).is_none() {
        return;
    }
    let world = World::new();
    world.write("dbbuild.toml", CONFIG);
    let many: String = (1..9).map(|n| format!(", c{n} int")).collect();
    let table = |name: &str| format!("CREATE TABLE IF NOT EXISTS {name} (id int PRIMARY KEY{many});\n");
    world.write("db/migrations/1_tables.sql", table("customers") + &table("orders"));
    world.dbbuild(&["hooks", "install"]).ok().says("diff driver installed").says("commit that file");
    world.dbbuild(&["hooks", "status"]).ok().says("diff driver: installed");
    proved(&world, "tables");
    world.dbbuild(&["hooks", "install"]).ok().says_not("diff driver").says_not("commit that file");
    assert!(world.git(&["status", "--porcelain"]).ok().stdout.is_empty());
    world.write("db/migrations/2_note.sql", "ALTER TABLE orders ADD COLUMN IF NOT EXISTS note text;\n");
    world.dbbuild(&["baseline"]).ok();
    let diff = world.git(&["diff", "--", "db/baseline.sql"]).ok().stdout.clone();
    assert!(diff.contains("@@ orders; Type: TABLE; Schema: public\n"), "{diff}");
    world.dbbuild(&["hooks", "uninstall"]).ok().says("diff driver removed");
    assert!(!world.git(&["diff", "--", "db/baseline.sql"]).ok().stdout.contains("Type: TABLE; Schema: public\n c"));
}
