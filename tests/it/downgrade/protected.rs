//! On a protected database: by the fingerprint of a plan that loses nothing, and by nothing else.

use super::{Db, Outcome, project, rows};
use crate::support::server;

fn fingerprint(plan: &Outcome) -> String {
    plan.json()["plan"]["fingerprint"].as_str().unwrap().to_owned()
}

#[test]
fn a_protected_database_wants_the_fingerprint_of_its_plan() {
    let Some(server) = server(15) else { return };
    let db = server.fresh_database();
    let world = project(&db, true);
    let before = rows(&db);
    let refused = world.dbbuild(&["downgrade", "--to", "1", "--yes"]);
    refused.fails(1).says("refused to downgrade").says("no plan was given").says("dbbuild plan --to TARGET");
    world.dbbuild(&["downgrade", "--to", "1", "--plan", "0123456789ab"]).fails(1).says("not 0123456789ab");
    assert_eq!(db.applied(), "1 2 3");

    let plan = world.dbbuild(&["plan", "--to", "1", "--json"]);
    let told = plan.ok().json();
    assert_eq!((&told["refusal"], &told["losses"]), (&serde_json::Value::Null, &serde_json::json!([])));
    assert_eq!(told["rehearsed"], true);
    let kinds: Vec<&str> = told["plan"]["steps"][1]["kept"]
        .as_array()
        .unwrap()
        .iter()
        .map(|kept| kept["text"].as_str().unwrap())
        .collect();
    assert!(kinds.iter().any(|text| text.contains("column public.a.note with 2 values")), "{kinds:?}");
    assert!(kinds.iter().any(|text| text.contains("table public.b with 2 rows")), "{kinds:?}");
    let locks = told["plan"]["steps"][1]["locks"].to_string();
    assert!(locks.contains("ACCESS EXCLUSIVE") && locks.contains("public.a"), "{locks}");
    assert_eq!(db.psql("SELECT to_regclass('dbbuild_attic.entry')"), "", "a plan writes nothing");

    // Of another target, and from before another downgrade, it is another plan's.
    let fingerprint = fingerprint(&plan);
    world.dbbuild(&["downgrade", "--to", "2", "--plan", &fingerprint]).fails(1).says("the plan is");
    world.dbbuild(&["downgrade", "--to", "1", "--plan", &fingerprint]).ok().says("took back 2_b");
    assert_eq!(db.applied(), "1");
    world.dbbuild(&["downgrade", "--to", "1"]).ok().says("nothing to do");
    world.dbbuild(&["apply"]).ok();
    assert_eq!(rows(&db), before);
}

/// Adds a migration whose down part is this.
fn add(db: &Db<'_>, down: &str) -> crate::support::World {
    let world = project(db, true);
    let text = format!("-- migrate:up\nALTER TABLE a ALTER COLUMN name SET DEFAULT 'x';\n-- migrate:down\n{down}\n");
    world.write("db/migrations/4_d.sql", text);
    world.commit("four").ok();
    world.dbbuild(&["apply"]).ok();
    world
}

#[test]
fn what_the_older_schema_would_not_hold_is_refused() {
    let Some(server) = server(15) else { return };
    for (down, what) in [
        ("UPDATE a SET name = 'gone' WHERE id = 1;", "changed"),
        ("DELETE FROM a WHERE id = 2;", "deleted"),
        ("TRUNCATE c;", "emptied"),
        (
            "ALTER TABLE a ALTER COLUMN name DROP DEFAULT, ALTER COLUMN name TYPE int USING CASE WHEN name ~ '^[0-9]+$' THEN name::int END;",
            "narrowed",
        ),
    ] {
        let db = server.fresh_database();
        let world = add(&db, down);
        let before = rows(&db);
        let plan = world.dbbuild(&["plan", "--to", "3", "--json"]);
        let told = plan.fails(1).json();
        let losses = told["losses"].to_string();
        assert!(losses.contains("4_d: ") && losses.contains(what), "{down}: {losses}");
        assert!(told["refusal"].as_str().unwrap().contains("its plan loses something"), "{told}");
        let fingerprint = fingerprint(&plan);
        world.dbbuild(&["downgrade", "--to", "3", "--plan", &fingerprint]).fails(1).says(what);
        assert_eq!((db.applied().as_str(), rows(&db)), ("1 2 3 4", before));
    }
}

#[test]
fn a_loss_that_came_after_the_plan_is_refused() {
    let Some(server) = server(15) else { return };
    let db = server.fresh_database();
    let world = add(&db, "DELETE FROM a WHERE name = 'late';");
    let plan = world.dbbuild(&["plan", "--to", "3", "--json"]);
    plan.ok();
    db.psql("INSERT INTO a VALUES (9, 'late', NULL)");
    world.dbbuild(&["downgrade", "--to", "3", "--plan", &fingerprint(&plan)]).fails(1).says("the plan is");
    assert_eq!((db.applied().as_str(), db.psql("SELECT count(*) FROM a").as_str()), ("1 2 3 4", "3"));
}

#[test]
fn what_runs_in_no_transaction_cannot_promise_to_lose_nothing() {
    let Some(server) = server(15) else { return };
    let db = server.fresh_database();
    let world = add(&db, "VACUUM a;");
    let plan = world.dbbuild(&["plan", "--to", "3", "--json"]);
    assert!(plan.fails(1).json()["losses"].to_string().contains("runs in no transaction"));
    // An index that is dropped concurrently holds no rows, and is tried without that word.
    let db = server.fresh_database();
    let world = add(&db, "DROP INDEX CONCURRENTLY IF EXISTS a_name;");
    db.psql("CREATE INDEX a_name ON a (name)");
    let plan = world.dbbuild(&["plan", "--to", "3", "--json"]);
    plan.ok();
    world.dbbuild(&["downgrade", "--to", "3", "--plan", &fingerprint(&plan)]).ok();
    assert_eq!(db.psql("SELECT to_regclass('a_name') IS NULL"), "t");
}
