//! What was in conflict when a migration came back: it waits in the attic until somebody decides, and nothing overwrites
//! what was written since.

use crate::support::{Db, Outcome, World, server};

const FIRST: &str = "CREATE TABLE country (id int PRIMARY KEY); CREATE TABLE t (id int PRIMARY KEY, name text);\n\
    CREATE TABLE r (id int PRIMARY KEY, v text); CREATE TABLE bag (a int);\n\
    INSERT INTO country VALUES (1), (2); INSERT INTO t VALUES (1, 'a'), (2, 'b'), (3, 'c');\n\
    INSERT INTO r VALUES (1, 'one'), (2, 'two'); INSERT INTO bag VALUES (1), (1);\n";
const SECOND: &str = "-- migrate:up\nALTER TABLE t ADD COLUMN note text; ALTER TABLE bag ADD COLUMN b text;\n\
    CREATE TABLE child (id int PRIMARY KEY, country int NOT NULL REFERENCES country);\n\
    -- migrate:down\nDROP TABLE child; ALTER TABLE t DROP COLUMN note; UPDATE t SET name = 'x'; DELETE FROM r WHERE id = 2;\n\
    ALTER TABLE bag DROP COLUMN b;\n";
const ALL: &str = "SELECT string_agg(concat_ws('|', id, name, note), ' ' ORDER BY id) FROM t; \
    SELECT string_agg(id || v, ' ' ORDER BY id) FROM r; SELECT string_agg(id::text, ' ' ORDER BY id) FROM child";

fn world(db: &Db<'_>, protected: bool) -> World {
    let mut world = World::without_git();
    world.set("DATABASE_URL", &db.url);
    world.write(
        "dbbuild.toml",
        format!("[postgres]\nversion = 15\n[env.development]\nurl_env = \"DATABASE_URL\"\nprotected = {protected}\n"),
    );
    world.write("db/migrations/1_first.sql", FIRST).write("db/migrations/2_second.sql", SECOND);
    world.dbbuild(&["apply"]).ok();
    world
}

/// Goes down and up, with a change of each kind in between. Returns what `apply` said.
fn in_conflict(db: &Db<'_>, world: &World) -> Outcome {
    db.psql("UPDATE t SET note = 'n' || id; INSERT INTO child VALUES (1, 1), (2, 2)");
    world.dbbuild(&["downgrade", "--to", "1", "--yes"]).ok();
    db.psql(
        "UPDATE t SET name = 'mine' WHERE id = 2; DELETE FROM t WHERE id = 3; INSERT INTO r VALUES (2, 'another'); \
         DELETE FROM country WHERE id = 2",
    );
    let said = world.dbbuild(&["apply"]);
    assert_eq!(db.psql(ALL), "1|a|n1 2|mine|n2\n1one 2another\n1", "{}", said.show());
    said
}

fn attic(db: &Db<'_>) -> String {
    db.psql("SELECT coalesce(string_agg(table_name || ' ' || kind || ' ' || rows, ', ' ORDER BY table_name, kind), '') FROM dbbuild_attic.entry")
}

const LEFT: &str = "child table 1, r row 1, t column 1, t value 2";

#[test]
fn what_was_reported_is_decided_later_in_each_way() {
    let Some(server) = server(15) else { return };
    let db = server.fresh_database();
    let world_1 = world(&db, false);
    let said = in_conflict(&db, &world_1);
    said.ok().says("dbbuild attic restore").says("--on-conflict keep-current");
    assert_eq!(attic(&db), LEFT);
    // Without a decision everything stays as it is, as often as one asks.
    for _ in 0..2 {
        let said = world_1.dbbuild(&["attic", "restore", "--all"]);
        said.ok().says("id = 2: it was changed meanwhile; name: kept b, now mine").says("id = 3: its row is gone");
        said.says("id = 2: a row with its key was made meanwhile; v: kept two, now another");
        said.says("id = 2: the row of public.country that it refers to is gone");
        assert_eq!((db.psql(ALL).as_str(), attic(&db).as_str()), ("1|a|n1 2|mine|n2\n1one 2another\n1", LEFT));
    }
    assert_eq!(db.psql("SELECT to_regclass('dbbuild_attic.look') IS NULL"), "t");

    // One by one: what nobody names stays.
    let row = db.psql("SELECT id FROM dbbuild_attic.entry WHERE kind = 'row'");
    world_1.dbbuild(&["attic", "restore", &row, "--on-conflict", "keep-current"]).ok().says("1 dropped from the attic");
    assert_eq!(attic(&db), "child table 1, t column 1, t value 2");
    let said = world_1.dbbuild(&["attic", "restore", "--all", "--on-conflict", "restore", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&said.ok().stdout).unwrap();
    let restored: u64 =
        json["given_back"].as_array().unwrap().iter().map(|one| one["restored"].as_u64().unwrap()).sum();
    assert_eq!((restored, &json["waiting"]), (1, &serde_json::json!([])), "{json}");
    assert_eq!(db.psql(ALL), "1|a|n1 2|b|n2\n1one 2another\n1");
    assert_eq!(attic(&db), "child table 1, t column 1, t value 1");

    // What stood in the way is mended: an empty place is filled, one with a value of its own is not.
    db.psql("INSERT INTO country VALUES (2); INSERT INTO t VALUES (3, 'new', NULL)");
    let said = world_1.dbbuild(&["attic", "restore", "--all"]);
    said.ok().says("gave back 1 row of public.child").says("gave back 1 value of public.t.note");
    said.says("name: kept c, now new");
    assert_eq!(db.psql(ALL), "1|a|n1 2|b|n2 3|new|n3\n1one 2another\n1 2");
    assert_eq!(attic(&db), "t value 1");
    world_1.dbbuild(&["attic", "restore", "--all", "--on-conflict", "keep-current"]).ok();
    world_1.dbbuild(&["attic", "restore", "--all"]).ok().says("has nothing of an applied migration");
    assert_eq!((db.psql(ALL).as_str(), attic(&db).as_str()), ("1|a|n1 2|b|n2 3|new|n3\n1one 2another\n1 2", ""));
    world_1.dbbuild(&["attic", "restore", "99"]).fails(1).says("the attic has no entry 99");
    world_1.dbbuild(&["attic", "restore"]).fails(2);
}

#[test]
fn what_is_undecided_overwrites_nothing_when_the_migration_goes_and_comes_again() {
    let Some(server) = server(15) else { return };
    let db = server.fresh_database();
    let world = world(&db, false);
    in_conflict(&db, &world).ok();
    // A row of the same key with a note of its own, and another with a country again.
    db.psql(
        "INSERT INTO t VALUES (3, 'third', 'own'); INSERT INTO country VALUES (2); INSERT INTO child VALUES (2, 1)",
    );
    let before = db.psql(ALL);
    for _ in 0..2 {
        world.dbbuild(&["downgrade", "--to", "1", "--yes"]).ok();
        world.dbbuild(&["apply"]).ok().says("name: kept b, now mine").says("note: kept n3, now own");
        assert_eq!(db.psql(ALL), before);
        assert_eq!(attic(&db), LEFT);
    }
    world.dbbuild(&["attic", "restore", "--all", "--on-conflict", "restore"]).ok();
    assert_eq!(db.psql(ALL), "1|a|n1 2|b|n2 3|c|n3\n1one 2two\n1 2");
    assert_eq!(db.psql("SELECT country FROM child WHERE id = 2"), "2");
    assert_eq!(attic(&db), "");
}

#[test]
fn rows_without_a_key_get_no_value_twice() {
    let Some(server) = server(15) else { return };
    let db = server.fresh_database();
    let world = world(&db, false);
    db.psql(
        "UPDATE bag SET b = 'one' WHERE ctid = (SELECT min(ctid) FROM bag); UPDATE bag SET b = 'two' WHERE b IS NULL",
    );
    world.dbbuild(&["downgrade", "--to", "1", "--yes"]).ok();
    db.psql("DELETE FROM bag WHERE ctid = (SELECT min(ctid) FROM bag)");
    world.dbbuild(&["apply"]).ok().says("1 value of public.bag in conflict");
    let given = db.psql("SELECT b FROM bag");
    let left = if given == "one" { "two" } else { "one" };
    for way in ["report", "restore"] {
        world.dbbuild(&["attic", "restore", "--all", "--on-conflict", way]).ok().says("1 left in the attic");
        assert_eq!(db.psql("SELECT b FROM bag"), given);
    }
    db.psql("INSERT INTO bag VALUES (1)");
    world.dbbuild(&["attic", "restore", "--all"]).ok().says("gave back 1 value of public.bag.b");
    assert_eq!(db.psql(&format!("SELECT b FROM bag WHERE b <> '{given}'")), left);
    assert_eq!(attic(&db), "");
}

#[test]
fn it_waits_for_its_migration_and_for_a_word_on_a_protected_database() {
    let Some(server) = server(15) else { return };
    let db = server.fresh_database();
    let world = world(&db, false);
    in_conflict(&db, &world).ok();
    let entry = db.psql("SELECT id FROM dbbuild_attic.entry WHERE kind = 'value'");
    world.dbbuild(&["downgrade", "--to", "1", "--yes"]).ok();
    let before = (db.psql("SELECT * FROM t ORDER BY 1"), attic(&db));
    let refused = world.dbbuild(&["attic", "restore", &entry, "--on-conflict", "restore"]);
    refused.fails(1).says("2_second is not applied").says("dbbuild apply");
    let said = world.dbbuild(&["attic", "restore", "--all", "--on-conflict", "restore"]);
    said.ok().says("comes back when that migration is applied").says("has nothing of an applied migration");
    assert_eq!((db.psql("SELECT * FROM t ORDER BY 1"), attic(&db)), before);
    world.dbbuild(&["apply"]).ok();

    world.write("dbbuild.toml", world.read("dbbuild.toml").replace("protected = false", "protected = true"));
    let before = (db.psql(ALL), attic(&db));
    for way in ["restore", "keep-current"] {
        let one = ["attic", "restore", &entry, "--on-conflict", way];
        world.dbbuild(&one).fails(1).says("is protected").says("--confirm development");
        world.dbbuild(&[&one[..], &["--confirm", "production", "--yes"]].concat()).fails(1).says("is protected");
    }
    for command in [&["attic", "drop", &entry, "--yes"][..], &["attic", "drop", "--all", "--confirm", "other"]] {
        world.dbbuild(command).fails(1).says("refused to drop from the attic").says("--confirm development");
    }
    world.dbbuild(&["attic", "restore", &entry]).ok().says("left in the attic");
    assert_eq!((db.psql(ALL), attic(&db)), before);
    let decided = ["attic", "restore", &entry, "--on-conflict", "restore", "--confirm", "development"];
    world.dbbuild(&decided).ok().says("1 overwritten with what was kept");
    assert_eq!(db.psql("SELECT name FROM t WHERE id = 2"), "b");
    world.dbbuild(&["attic", "drop", &entry, "--confirm", "development"]).ok().says("dropped entry");

    // A newer dbbuild's attic is nothing to decide about.
    db.psql("UPDATE dbbuild_attic.format SET version = 2; UPDATE dbbuild_attic.entry SET dbbuild_version = '9.9'");
    for command in [&["attic", "restore", "--all"][..], &["attic", "export", "--all"]] {
        world.dbbuild(command).fails(1).says("has format 2").says("dbbuild 9.9");
    }
}

#[test]
fn what_came_back_is_told_where_something_later_fails() {
    let Some(server) = server(15) else { return };
    let db = server.fresh_database();
    let world = world(&db, false);
    world.write("db/repeatable/late.sql", "CREATE VIEW late AS SELECT nowhere FROM t;\n");
    db.psql("UPDATE t SET note = 'n' || id; INSERT INTO child VALUES (1, 1), (2, 2)");
    world.dbbuild(&["downgrade", "--to", "1", "--yes"]);
    db.psql("UPDATE t SET name = 'mine' WHERE id = 2");
    let said = world.dbbuild(&["apply"]);
    said.fails(1).says("late.sql").says("1 of 1 pending migrations are applied");
    said.says("gave back 2 rows of public.child (table, dropped)")
        .says("gave back 2 values of public.t.name (value, changed)");
    said.says("1 value of public.t in conflict, 1 left in the attic")
        .says("id = 2: it was changed meanwhile; name: kept b, now mine");
    said.says("dbbuild attic restore");
    assert_eq!(attic(&db), "t value 1");
}
