//! One environment with many databases: which they are, so many at once, where a run stops and how it goes on.

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::support::{Gate, Held, Server, World, free_port, server, until};

mod databases;

use databases::sql;
pub use databases::{Tenants, pattern, run, world};

fn json(world: &World, command: &[&str]) -> Value {
    let outcome = run(world, &[command, &["--json"]].concat());
    let last = outcome.stdout.lines().last().unwrap_or_default();
    serde_json::from_str(last).unwrap_or_else(|error| panic!("{error}\n{}", outcome.show()))
}

#[test]
fn all_databases_of_a_pattern_are_brought_up_and_a_second_run_only_looks() {
    let Some(server) = server(15) else { return };
    let tenants = Tenants::make(server, "it_ten_pattern", 12);
    let world = world(server, &pattern("it_ten_pattern"));
    let status = run(&world, &["status"]);
    status.ok().says("12 databases: not marked, 0 applied, 1 pending (`it_ten_pattern_01`, ").says("12 pending");
    run(&world, &["status", "--exit-code"]).fails(3);
    run(&world, &["plan"]).ok().says("12 databases: 1 migration (`it_ten_pattern_01`, ").says("and 4 more)");
    let first = run(&world, &["apply", "--jobs", "3"]);
    first.ok().says("it_ten_pattern_12: applied 1 migration; it has 1").says("12 databases of production: 12 applied");
    assert_eq!(tenants.applied(), vec!["1"; 12]);
    assert_eq!(tenants.sql(4, "SELECT name || protected FROM dbbuild.environment"), "productiontrue");
    let again = run(&world, &["apply"]);
    again.ok().says("12 databases of production: 12 up to date").says_not("it_ten_pattern_01");
    run(&world, &["plan"]).ok().says("12 databases: nothing");
    let status = run(&world, &["status", "--exit-code", "--verbose"]);
    status.ok().says("it_ten_pattern_07: marked production, 1 applied\nit_ten_pattern_08: ");

    world.write("db/migrations/2_more.sql", "ALTER TABLE note ADD COLUMN more int;\n");
    run(&world, &["apply", "--target", "it_ten_pattern_0*"]).ok().says("9 databases of production: 9 applied");
    run(&world, &["plan"]).ok().says("9 databases: nothing").says("3 databases: 1 migration");
    // Up to a version all are planned together; back goes each by itself.
    world.write("db/migrations/3_last.sql", "CREATE TABLE last ();\n");
    let up = run(&world, &["plan", "--to", "2"]);
    up.ok().says("9 databases: nothing").says("3 databases: 1 migration").says("up to 2 only").says_not("3_last");
    let down = run(&world, &["plan", "--to", "1"]);
    down.fails(1).says("3 databases: nothing").says("2_more is applied already").says("9 failed");
    run(&world, &["plan", "--to", "0"]).fails(2).says("this command works on one: name it with `--target NAME`");
    run(&world, &["plan", "--to", "2", "--target", "it_ten_pattern_12"]).ok().says("up to 2").says("2_more");
    std::fs::remove_file(world.path("db/migrations/3_last.sql")).unwrap();
    run(&world, &["apply"]).ok().says("3 applied, 9 up to date");
    assert_eq!(tenants.applied(), vec!["1,2"; 12]);
}

#[test]
fn a_failure_stops_what_was_not_begun_and_the_next_run_goes_on() {
    let Some(server) = server(15) else { return };
    let tenants = Tenants::make(server, "it_ten_stop", 6);
    let world = world(server, &pattern("it_ten_stop"));
    run(&world, &["apply"]).ok();
    for n in [1, 3] {
        tenants.sql(n, "CREATE TABLE second ()");
    }
    world.write("db/migrations/2_second.sql", "CREATE TABLE second ();\n");
    let stopped = run(&world, &["apply", "--jobs", "1"]);
    stopped.fails(1).says("apply: 1 of 6 databases of production failed");
    stopped.says("not begun: `it_ten_stop_03`, `it_ten_stop_04`, `it_ten_stop_05`, `it_ten_stop_06`");
    stopped.says("`it_ten_stop_02`: 2_second failed at db/migrations/2_second.sql:1:1").says("(42P07)");
    stopped.says("1 applied, 1 failed, 4 not begun");
    assert_eq!(tenants.applied(), ["1,2", "1", "1", "1", "1", "1"]);

    let going = run(&world, &["apply", "--jobs", "2", "--keep-going"]);
    going.fails(1).says("apply: 2 of 6 databases of production failed").says_not("not begun");
    going
        .says("`it_ten_stop_02`, and the same in 1 more: 2_second failed")
        .says("in `it_ten_stop_02`, `it_ten_stop_04`");
    going.says("3 applied, 1 up to date, 2 failed");
    assert_eq!(tenants.applied(), ["1,2", "1", "1,2", "1", "1,2", "1,2"]);

    let value = json(&world, &["apply", "--keep-going"]);
    assert_eq!(value["summary"]["failed"], 2);
    assert_eq!(value["summary"]["up_to_date"], 4);
    assert_eq!(value["summary"]["databases"], 6);
    assert_eq!(value["targets"][1]["status"], "failed");
    assert_eq!(value["targets"][1]["target"], "it_ten_stop_02");
    assert_eq!(value["targets"][1]["error"]["location"]["line"], 1);
    assert_eq!(value["targets"][0]["changed"], false);

    let events = crate::apply::events(&run(&world, &["apply", "--keep-going", "--events"]).fails(1).stdout);
    let of = |target: &str| -> Vec<&Value> { events.iter().filter(|event| event["target"] == target).collect() };
    let (failed, passed) = (of("it_ten_stop_02"), of("it_ten_stop_03"));
    assert_eq!((&failed[0]["event"], &passed[0]["event"]), (&"begin".into(), &"begin".into()));
    assert_eq!(failed.last().unwrap()["error"]["sqlstate"], "42P07");
    assert_eq!(passed.last().unwrap()["status"], "up_to_date");
    assert!(failed.iter().any(|event| event["event"] == "migration_started"), "{events:?}");
    assert_eq!(events.last().unwrap()["result"]["summary"]["failed"], 2);

    for n in [1, 3] {
        tenants.sql(n, "DROP TABLE second");
    }
    run(&world, &["apply"]).ok().says("2 applied, 4 up to date");
    assert_eq!(tenants.applied(), vec!["1,2"; 6]);
    // What is the same in all stays one plan.
    std::fs::remove_file(world.path("db/migrations/2_second.sql")).unwrap();
    let behind = run(&world, &["plan"]);
    behind.ok().says("6 databases: nothing (").says("without `--allow-behind`: the tree is behind this database");
}

#[test]
fn canaries_run_alone_and_their_failure_stops_all_others() {
    let Some(server) = server(15) else { return };
    let tenants = Tenants::make(server, "it_ten_canary", 4);
    let targets = pattern("it_ten_canary");
    let world = world(server, &format!("{targets}\ncanaries = [\"it_ten_canary_03\"]"));
    run(&world, &["apply"]).ok();
    tenants.sql(2, "CREATE TABLE second ()");
    world.write("db/migrations/2_second.sql", "CREATE TABLE second ();\n");
    let stopped = run(&world, &["apply", "--keep-going", "--jobs", "4"]);
    stopped.fails(1).says("`it_ten_canary_03`: 2_second failed").says("1 failed, 3 not begun");
    assert_eq!(tenants.applied(), vec!["1"; 4]);
    tenants.sql(2, "DROP TABLE second");
    let order = run(&world, &["apply", "--jobs", "4"]);
    order.ok();
    assert!(order.stdout.starts_with("it_ten_canary_03: applied"), "{}", order.show());
    let began = "SELECT applied_at FROM dbbuild.migration WHERE version = '2'";
    let ended = "SELECT applied_at + duration FROM dbbuild.migration WHERE version = '2'";
    for n in [0, 1, 3] {
        assert!(tenants.sql(n, began) > tenants.sql(2, ended), "another began before the canary ended");
    }
}

#[test]
fn a_list_takes_odd_names_and_addresses_and_counts_each_database_once() {
    let Some(server) = server(15) else { return };
    let odd = ["it_ten list \"odd\"", "it_ten_list_B'x", "it_ten_list_%s;--", "it_ten_list_ä"];
    let tenants = Tenants::named(server, odd.iter().map(|name| (*name).to_owned()).collect());
    let address = format!("host={} port={} user=postgres dbname=it_ten_list_ä", server.dir.display(), server.port);
    let list = [odd[0], odd[1], odd[2], odd[3], &address].map(|name| format!("'''{name}'''")).join(", ");
    let world = world(server, &format!("targets = [{list}]"));
    let outcome = run(&world, &["apply"]);
    outcome.ok().says("4 databases of production: 4 applied").says("is named more than once and counts once");
    assert_eq!(tenants.applied(), vec!["1"; 4]);
    // The command that a message prints is typed as it stands.
    let gone = "it_ten list's \"$HOME\" `gone`";
    world.write(
        "dbbuild.toml",
        world.read("dbbuild.toml").replacen("targets = [", &format!("targets = [\"\"\"{gone}\"\"\", "), 1),
    );
    let missing = run(&world, &["apply", "--keep-going"]);
    missing.fails(1).says(&format!("`{gone}`: there is no `{gone}` on ")).says("4 up to date, 1 failed");
    let (_, command) = missing.stderr.split_once("help: `dbbuild bootstrap ").unwrap();
    let (options, _) = command.split_once("` makes it from the baseline").unwrap();
    let _gone = Tenants::named(server, vec![gone.to_owned()]);
    let pasted = world.run(
        world.command("sh").args(["-c", &format!("dbbuild psql {options} -- -XAtqc 'SELECT current_database()'")]),
    );
    assert_eq!(pasted.ok().stdout.trim(), gone);
    let psql = ["psql", "--env", "production", "--target", odd[1], "--", "-XAtqc", "SELECT current_database()"];
    world.dbbuild(&psql).ok().says(odd[1]);
}

#[test]
fn a_query_says_which_databases_there_are() {
    let Some(server) = server(15) else { return };
    let tenants = Tenants::make(server, "it_ten_query", 4);
    let control = &tenants.names[0];
    tenants.sql(
        0,
        "CREATE TABLE tenant (db text, customer text, test bool); INSERT INTO tenant VALUES ('it_ten_query_02', 'Ada', false), \
         ('it_ten_query_03', 'Bob', true)",
    );
    let query = "SELECT db AS database, customer AS label, test AS canary FROM tenant ORDER BY db -- all";
    let world = world(server, &format!("targets = {{ query = \"{query}\", database = \"{control}\" }}"));
    let outcome = run(&world, &["apply"]);
    outcome.ok().says("Ada: applied 1 migration").says("2 databases of production: 2 applied");
    assert!(outcome.stdout.starts_with("Bob: "), "the canary comes first\n{}", outcome.show());
    assert_eq!(tenants.applied(), ["", "1", "1", ""]);
    run(&world, &["log", "--target", "Ada"]).ok().says("note  applied");

    // A new tenant that the query does not give yet.
    world.dbbuild(&["baseline"]).ok();
    tenants.sql(0, "DROP DATABASE it_ten_query_04");
    run(&world, &["bootstrap", "--target", "it_ten_query_04"])
        .ok()
        .says("created `it_ten_query_04`")
        .says("marked production");
    tenants.sql(0, "INSERT INTO tenant VALUES ('it_ten_query_04', 'Cleo', false)");
    run(&world, &["apply"]).ok().says("3 up to date");

    // What a row names must be a name; an empty one would be another database.
    tenants.sql(0, "UPDATE tenant SET customer = 'it_ten_query_02' WHERE customer = 'Bob'");
    run(&world, &["status", "--target", "it_ten_query_02"]).ok().says("1 database of production");
    for (cell, what) in [
        ("db = ''", "`database` is empty"),
        ("db = NULL", "it names no database"),
        ("db = repeat('x', 64)", "cannot name a database"),
        ("db = E'a\nb'", "`a\\nb` cannot name a database"),
        ("customer = ''", "`label` is empty"),
        ("customer = E'a\tb'", "`a\\tb` cannot be a label"),
    ] {
        let change = format!("BEGIN; UPDATE tenant SET {cell} WHERE customer = 'it_ten_query_02'; COMMIT");
        tenants.sql(0, &format!("CREATE TABLE before AS TABLE tenant; {change}"));
        let wrong = run(&world, &["apply"]);
        wrong.fails(1).says("cannot find the databases of the environment production").says(": row ").says(what);
        tenants.sql(0, "DELETE FROM tenant; INSERT INTO tenant TABLE before; DROP TABLE before");
    }
    tenants.sql(0, "UPDATE tenant SET customer = 'Ada'");
    run(&world, &["status"]).fails(2).says("two databases are called `Ada`");
    tenants.sql(0, "DELETE FROM tenant");
    run(&world, &["apply"]).ok().says("the query gives no database").says("0 databases of production");
    // The query only asks.
    let writes = world.read("dbbuild.toml").replace(query, "DELETE FROM tenant RETURNING db");
    world.write("dbbuild.toml", writes);
    run(&world, &["status"]).fails(1).says("cannot find the databases of the environment production").says("25006");
}

#[test]
fn each_database_is_judged_by_itself() {
    let Some(server) = server(15) else { return };
    let tenants = Tenants::make(server, "it_ten_judge", 5);
    let list: Vec<String> =
        tenants.names.iter().chain([&"it_ten_judge_99".to_owned()]).map(|n| format!("\"{n}\"")).collect();
    let world = world(server, &format!("targets = [{}]", list.join(", ")));
    run(&world, &["apply", "--keep-going"])
        .fails(1)
        .says("`it_ten_judge_99`: there is no ")
        .says("--target it_ten_judge_99");
    // A copy of the third carries its mark, which is not its own; the fourth is another environment's.
    sql(server, "postgres", "CREATE DATABASE it_ten_judge_06 TEMPLATE it_ten_judge_03");
    sql(server, "postgres", "DROP DATABASE it_ten_judge_05");
    sql(server, "postgres", "ALTER DATABASE it_ten_judge_06 RENAME TO it_ten_judge_05");
    tenants.sql(3, "UPDATE dbbuild.environment SET name = 'development', protected = false");
    world.write("db/migrations/2_second.sql", "CREATE TABLE second ();\n");
    // Another dbbuild holds the lock of the second.
    let holder = held(server, "it_ten_judge_02");
    let outcome = run(&world, &["apply", "--keep-going", "--jobs", "8"]);
    drop(holder);
    outcome.fails(1).says("2 applied, 4 failed");
    outcome.says("`it_ten_judge_02`: another dbbuild works on this database").says("(lock.wait)");
    outcome.says("`it_ten_judge_04`: refused to migrate").says("it is marked development");
    outcome.says("`it_ten_judge_05`: refused to migrate").says("does not belong to it");
    assert_eq!(tenants.applied(), ["1,2", "1", "1,2", "1", "1"]);
    let plan = run(&world, &["plan"]);
    plan.fails(1).says("2 databases: nothing").says("1 database: 1 migration").says("plan: 3 of 6 databases");
    plan.says("does not belong to it").says("`it_ten_judge_99`: there is no ").says("--target it_ten_judge_99");
    // Marked again, it is taken.
    run(&world, &["env", "mark", "production"]).fails(2).says("`--all`");
    run(&world, &["env", "mark", "production", "--target", "it_ten_judge_05"]).fails(1).says("was not confirmed");
    run(&world, &["env", "mark", "production", "--target", "it_ten_judge_05", "--confirm", "production"])
        .ok()
        .says("1 marked");
    run(&world, &["env", "mark", "production", "--all", "--confirm", "production", "--keep-going"])
        .fails(1)
        .says("1 marked, 4 marked before, 1 failed");
    run(&world, &["apply", "--keep-going"]).fails(1).says("3 applied, 2 up to date, 1 failed");
}

#[test]
fn the_server_that_says_which_databases_there_are_is_waited_for() {
    let Some(server) = server(15) else { return };
    let tenants = Tenants::make(server, "it_ten_wait", 2);
    let mut world = world(server, &pattern("it_ten_wait"));
    let port = free_port();
    world.set("PRODUCTION_URL", format!("postgresql://postgres@127.0.0.1:{port}/postgres?sslmode=disable"));
    let apply = ["apply", "--env", "production", "--wait=1min"];
    let mut asked = world.start(&apply);
    asked.until_says("waits for `postgres` on 127.0.0.1");
    let _forwarder = crate::apply::forward(port, server);
    asked.wait().ok().says("2 databases of production: 2 applied");
    assert_eq!(tenants.applied(), ["1", "1"]);
}

#[test]
fn a_role_without_rights_is_told_whose_the_version_table_is() {
    let Some(server) = server(15) else { return };
    let tenants = Tenants::make(server, "it_ten_right", 3);
    let mut world = world(server, &pattern("it_ten_right"));
    run(&world, &["apply", "--target", "it_ten_right_01", "--target", "it_ten_right_02"]).ok();
    sql(server, "postgres", "CREATE ROLE \"it_ten Looker\" LOGIN");
    world.set("PRODUCTION_URL", server.url("postgres").replace("//postgres@", "//it_ten%20Looker@"));
    for command in ["status", "plan", "drift", "apply"] {
        let denied = run(&world, &[command, "--target", "*_01", "--target", "*_02", "--jobs", "1"]);
        denied.fails(1).says("`\"it_ten Looker\"` may not read the version table of `it_ten_right_01` on ");
        denied.says("permission denied for schema dbbuild (42501)").says("it belongs to `postgres`");
        if command != "apply" {
            denied.says("and the same in 1 more");
        }
    }
    for command in ["log", "rehearse"] {
        run(&world, &[command, "--target", "*_01"]).fails(1).says("it belongs to `postgres`");
    }
    // What the message says is enough for looking, and not for more.
    let denied = run(&world, &["status", "--target", "*_01"]);
    let (_, grant) = denied.stderr.split_once("needs `").unwrap();
    let (grant, _) = grant.split_once('`').unwrap();
    tenants.sql(0, grant);
    for command in ["status", "plan", "log"] {
        run(&world, &[command, "--target", "*_01"]).ok();
    }
    run(&world, &["apply", "--target", "*_01"]).ok().says("1 up to date");
    world.write("db/migrations/2_second.sql", "CREATE TABLE second ();\n");
    let refused = run(&world, &["apply", "--target", "*_01"]);
    refused.fails(1).says("`\"it_ten Looker\"` may not write the version table of `it_ten_right_01` on ");
    refused.says("it belongs to `postgres`: connect as that role").says("Nothing was run").says_not("Fix the file");
    let fresh = run(&world, &["apply", "--target", "*_03"]);
    fresh.fails(1).says("may not make the schema dbbuild in `it_ten_right_03` on ");
    fresh.says("GRANT CREATE ON DATABASE it_ten_right_03 TO \"it_ten Looker\"");
    for n in 0..3 {
        tenants.sql(n, "DROP OWNED BY \"it_ten Looker\"");
    }
    sql(server, "postgres", "DROP ROLE \"it_ten Looker\"");
}

/// A session with dbbuild's lock.
fn held(server: &'static Server, database: &str) -> Held {
    let mut held = Held::open_in(server, database);
    held.run("SELECT pg_advisory_lock(1684169333, 1)");
    held
}

#[test]
fn the_working_session_holds_the_lock_where_no_script_can_let_go_of_it() {
    let Some(server) = server(15) else { return };
    let tenants = Tenants::make(server, "it_ten_lock", 2);
    let world = world(server, &pattern("it_ten_lock"));
    run(&world, &["apply"]).ok();
    let holders = "SELECT string_agg(a.application_name, ',') FROM pg_locks l JOIN pg_stat_activity a USING (pid) \
                   WHERE l.locktype = 'advisory' AND l.classid = 1684169333 AND a.datname = current_database()";
    let waits =
        "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database())";
    for (version, statement, holder) in
        [(2, "", "dbbuild"), (3, "SELECT pg_advisory_lock(7), pg_advisory_unlock_all();", "dbbuild lock")]
    {
        let file = format!("db/migrations/{version}_column.sql");
        world.write(&file, format!("{statement}\nALTER TABLE note ADD COLUMN c{version} int;\n"));
        let mut blocker = Held::open_in(server, "it_ten_lock_02");
        blocker.run("BEGIN; LOCK TABLE note");
        let mut first = world.start(&["apply", "--env", "production", "--events"]);
        until(&server.existing("it_ten_lock_02"), waits);
        assert_eq!(tenants.sql(1, holders), holder);
        // The first database is done by now.
        let second = run(&world, &["apply", "--keep-going"]);
        second.fails(1).says("`it_ten_lock_02`: another dbbuild works on this database").says("1 up to date, 1 failed");
        first.until_says("\"event\":\"lock_wait\"").until_says("(holder)");
        blocker.run("COMMIT");
        let first = first.wait();
        let done = crate::apply::events(&first.ok().stdout).pop().unwrap();
        let (summary, slowest) = (&done["result"]["summary"], &done["result"]["summary"]["slowest"]);
        assert_eq!(slowest[0]["target"], "it_ten_lock_02");
        assert_eq!(slowest[1]["waited"], 0.0);
        assert!(slowest[0]["waited"].as_f64().unwrap() > 0.0 && slowest[0]["waited"] == summary["waited"], "{done}");
        assert!(summary["seconds"].as_f64().unwrap() >= slowest[0]["seconds"].as_f64().unwrap(), "{done}");
    }
    assert_eq!(tenants.applied(), ["1,2,3", "1,2,3"]);
}

#[test]
fn what_works_on_one_database_wants_its_name() {
    let Some(server) = server(15) else { return };
    let _tenants = Tenants::make(server, "it_ten_one", 2);
    let world = world(server, &pattern("it_ten_one"));
    for command in
        [&["psql"][..], &["log"], &["reset"], &["drop"], &["seed"], &["env", "show"], &["build"], &["bootstrap"]]
    {
        let outcome = run(&world, command);
        outcome.fails(2).says("the environment production has many databases").says("`--target NAME`");
    }
    run(&world, &["env", "show", "--target", "it_ten_one_*"]).fails(2).says("works on one database");
    run(&world, &["env", "show", "--target", "it_ten_one_02"]).ok().says("`it_ten_one_02` on");
    run(&world, &["rehearse", "--target", "it_ten_one_02"]).ok();
    world.write(
        "db/migrations/1_note.sql",
        "-- migrate:up\nCREATE TABLE IF NOT EXISTS note ();\n-- migrate:down\nDROP TABLE note;\n",
    );
    run(&world, &["apply", "--target", "it_ten_one_02"]).ok();
    let back = run(&world, &["plan", "--to", "0", "--target", "it_ten_one_02"]);
    back.ok().says("`dbbuild downgrade --env production --target it_ten_one_02 --to 0 --plan ");
    let unknown = run(&world, &["apply", "--target", "it_ten_one_3"]);
    unknown.fails(2).says("has no database `it_ten_one_3`").says("did you mean `it_ten_one_");
    world.dbbuild(&["status", "--target", "x"]).fails(2).says("`--target` chooses among many databases");
    run(&world, &["status", "--url", &server.url("it_ten_one_01")]).ok().says("`it_ten_one_01` on").says("1 pending");
    run(&world, &["bootstrap", "--target", "other_1"]).fails(2).says("has no database `other_1`");
    run(&world, &["apply", "--settle", "1:1=done"]).fails(2).says("`--settle` is about one database");
    run(&world, &["apply", "--jobs", "0"]).fails(2);
    world.write("dbbuild.toml", world.read("dbbuild.toml").replace("it_ten_one_*", "it_ten_none_*"));
    // There is none yet, and so no canary: only what makes the first one goes on.
    world.write("dbbuild.toml", format!("{}canaries = [\"it_ten_none_09\"]\n", world.read("dbbuild.toml")));
    let wrong = run(&world, &["apply"]);
    wrong.fails(1).says("no database of ").says("matches `it_ten_none_*`");
    wrong.says("the first database is made by `dbbuild bootstrap --env production --target NAME`");
    run(&world, &["status"]).fails(1).says("matches `it_ten_none_*`");
    run(&world, &["bootstrap"]).fails(2).says("it has none yet");
    run(&world, &["bootstrap", "--target", "other_1"]).fails(2).says("has no database `other_1`");
    world.dbbuild(&["baseline"]).ok();
    let first = ["--target", "it_ten_none_01"];
    run(&world, &[&["plan", "--bootstrap"], &first[..]].concat()).ok().says("there is no `it_ten_none_01`");
    let made = run(&world, &[&["bootstrap"], &first[..]].concat());
    let _made = Tenants::existing(server, "it_ten_none_01");
    made.ok().says("created `it_ten_none_01`").says("marked production");
    run(&world, &["apply"]).fails(1).says("no database for the canary `it_ten_none_09`");
}

#[test]
fn the_server_having_no_connection_left_is_waited_for() {
    let Some(server) = Server::private(15, &["max_connections=9", "superuser_reserved_connections=0"]) else { return };
    // Not dropped with a value: the server goes whole.
    for n in 1..=6 {
        server.run("psql", &["-Xqc", &format!("CREATE DATABASE t_{n} TEMPLATE template0"), "-d", "postgres"]).ok();
    }
    let world = world(&server, "targets = { pattern = \"t_*\" }");
    let mut holders: Vec<_> = (0..8).map(|_| Held::open_in(&server, "postgres")).collect();
    for held in &mut holders {
        held.run("SELECT 1");
    }
    let mut apply = world.start(&["apply", "--env", "production", "--jobs", "6"]);
    apply.until_says("the server has no connection left");
    drop(holders);
    apply.wait().ok().says("6 databases of production: 6 applied");
}

#[test]
fn ctrl_c_lets_what_runs_end_and_begins_nothing_else() {
    let Some(server) = server(15) else { return };
    let tenants = Tenants::make(server, "it_ten_ctrl", 8);
    let world = world(server, &pattern("it_ten_ctrl"));
    let gate = Gate::new(server);
    world.write("db/migrations/2_slow.sql", format!("CREATE TABLE slow ();\n{};\n", gate.sql()));
    let mut apply = world.start(&["apply", "--env", "production", "--jobs", "2"]);
    let slow = "SELECT count(*) = 2 FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname LIKE 'it_ten_ctrl%'";
    let everywhere = server.existing("postgres");
    until(&everywhere, slow);
    apply.signal(Signal::SIGINT);
    apply.until_says("stopping: what runs comes to its end");
    gate.open();
    let outcome = apply.wait();
    outcome.fails(1).says("2 applied, 6 not begun").says("interrupted");
    assert_eq!(tenants.applied().iter().filter(|applied| *applied == "1,2").count(), 2);
    assert_eq!(tenants.applied().iter().filter(|applied| applied.is_empty()).count(), 6);
    // A second one breaks off what runs, and the server takes it back.
    gate.shut();
    let mut apply =
        world.start(&["apply", "--env", "production", "--jobs", "2", "--events", "--target", "it_ten_ctrl_0*"]);
    until(&everywhere, slow);
    apply.signal(Signal::SIGINT);
    apply.until_says("Ctrl-C again breaks it off");
    apply.signal(Signal::SIGINT);
    let outcome = apply.wait();
    outcome.fails(1).says("interrupted before all of 8 databases of production were done");
    outcome.says("broken off: `it_ten_ctrl_0").says("not begun: `it_ten_ctrl_0").says("run the same command again");
    let events = crate::apply::events(&outcome.stdout);
    let ends =
        |status: &str| events.iter().filter(|event| event["event"] == "end" && event["status"] == status).count();
    assert_eq!((ends("up_to_date"), ends("broken_off"), ends("failed")), (2, 2, 0), "{}", outcome.show());
    let summary = &events.last().unwrap()["result"]["summary"];
    assert_eq!((&summary["broken_off"], &summary["not_begun"]), (&Value::from(2), &Value::from(4)));
    until(&everywhere, "SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE datname LIKE 'it_ten_ctrl%')");
    assert_eq!(tenants.applied().iter().filter(|applied| *applied == "1,2").count(), 2);
    // Killed, each is at a migration boundary all the same.
    let mut apply = world.start(&["apply", "--env", "production", "--jobs", "3"]);
    until(&everywhere, &slow.replace("= 2", "= 3"));
    apply.signal(Signal::SIGKILL);
    apply.wait();
    let states = tenants.applied();
    assert!(states.iter().all(|state| ["", "1", "1,2"].contains(&state.as_str())), "{states:?}");
    gate.open();
    run(&world, &["apply", "--jobs", "8"]).ok();
    assert_eq!(tenants.applied(), vec!["1,2"; 8]);
}

#[test]
fn files_and_bodies_are_read_once_and_each_database_has_its_record() {
    let Some(server) = server(15) else { return };
    let tenants = Tenants::make(server, "it_ten_record", 3);
    let mut world = world(server, &pattern("it_ten_record"));
    let toml = world.read("dbbuild.toml");
    world.write(
        "dbbuild.toml",
        format!("{toml}secure_path = \"{}\"\nplaceholders = {{ who = \"tenant\" }}\n", world.home().display()),
    );
    world.set("PGAPPNAME", "deploy");
    world.write("db/migrations/2_keys.sql", "-- dbbuild:secure\nINSERT INTO note VALUES (2, 'stand-in');\n");
    world.write("db/repeatable/v.sql", "CREATE OR REPLACE VIEW v AS SELECT '${who}'::text AS who FROM note;\n");
    world.write("db/init/rows.sql", "INSERT INTO note VALUES (1, 'init') ON CONFLICT DO NOTHING;\n");
    world.write("db/checks/rows.sql", "SELECT 1 WHERE NOT EXISTS (SELECT FROM note);\n");
    run(&world, &["apply"]).fails(1).says("the body of 2_keys for production is missing").says("nothing was run");
    std::fs::write(world.home().join("2_keys.sql"), "INSERT INTO note VALUES (2, 'real');\n").unwrap();
    let outcome = run(&world, &["apply", "--commit", "abc", "--jobs", "1"]);
    outcome.ok().says("applied 2 migrations, ran 2 files; it has 2");
    for n in 0..3 {
        assert_eq!(tenants.sql(n, "SELECT string_agg(body, ',' ORDER BY id) FROM note"), "init,real");
        assert_eq!(tenants.sql(n, "SELECT DISTINCT who FROM v"), "tenant");
        assert_eq!(tenants.sql(n, "SELECT count(*) FROM dbbuild.migration WHERE git_commit = 'abc'"), "2");
    }
    let value = json(&world, &["status"]);
    assert_eq!(value["summary"]["up_to_date"], 3);
    assert_eq!(value["targets"][2]["migrations"][0]["state"], "applied");
    let value = json(&world, &["plan"]);
    assert_eq!(value["targets"][0]["status"], "up_to_date");
    assert_eq!(value["targets"][0]["plan"]["environment"], "production");
}

#[test]
fn drift_is_told_once_for_all_that_have_the_same() {
    let Some(server) = server(15) else { return };
    let tenants = Tenants::make(server, "it_ten_drift", 4);
    let world = world(server, &pattern("it_ten_drift"));
    world.dbbuild(&["baseline"]).ok();
    run(&world, &["apply"]).ok();
    run(&world, &["drift"])
        .ok()
        .says("4 databases as db/baseline.sql of the files here says")
        .says("4 as its baseline");
    for n in [1, 2] {
        tenants.sql(n, "ALTER TABLE note ADD COLUMN patched int");
    }
    tenants.sql(3, "CREATE INDEX patch ON note (body)");
    let outcome = run(&world, &["drift"]);
    outcome.fails(3).says("2 databases drifted from db/baseline.sql of the files here: 1 difference");
    outcome.says("(`it_ten_drift_02`, `it_ten_drift_03`)").says("patched").says("1 database drifted");
    outcome.says("4 databases of production: 3 drifted, 1 as its baseline");
    let value = json(&world, &["drift"]);
    assert_eq!(value["summary"]["drifted"], 3);
    assert_eq!(value["targets"][1]["differences"].as_array().unwrap().len(), 1);
    sql(server, "postgres", "ALTER DATABASE it_ten_drift_01 ALLOW_CONNECTIONS false");
    // One that lets nobody in is not of the pattern.
    run(&world, &["drift"]).fails(3).says("3 databases of production: 3 drifted");
    sql(server, "postgres", "ALTER DATABASE it_ten_drift_01 ALLOW_CONNECTIONS true");
}

/// Every database of a server, as many as an ordinary run of the tests can bear; the bench has a thousand.
#[test]
fn a_hundred_databases_with_few_connections() {
    // Some more than eight jobs want, for sessions of which the server has not noticed yet that they ended.
    let Some(server) = Server::private(15, &["max_connections=40"]) else { return };
    let make: String =
        (1..=100).map(|n| format!("CREATE DATABASE t_{n:03} TEMPLATE template0 STRATEGY file_copy;\n")).collect();
    let world = world(&server, "targets = { pattern = \"t_*\" }");
    world.write("make.sql", make);
    server.run("psql", &["-Xqf", world.path("make.sql").to_str().unwrap(), "-d", "postgres"]).ok();
    run(&world, &["apply", "--jobs", "8"])
        .ok()
        .says("100 databases of production: 100 applied")
        .says_not("no connection left");
    run(&world, &["apply", "--jobs", "8"]).ok().says("100 databases of production: 100 up to date");
    // More at once than the server has room for: those that find none begin again when others have ended.
    let gate = Gate::new(&server);
    world.write("db/migrations/2_second.sql", format!("CREATE TABLE second ();\n{};\n", gate.sql()));
    let mut crowded = world.start(&["apply", "--env", "production", "--jobs", "64", "--events"]);
    crowded.until_says("no connection left");
    gate.open();
    let events = crate::apply::events(&crowded.wait().ok().stdout);
    let told = |name: &str| events.iter().filter(|event| event["event"] == name).count();
    assert_eq!((told("begin"), told("end")), (100, 100), "one that was put back has not failed");
    assert_eq!(events.last().unwrap()["result"]["summary"]["applied"], 100);
}
