//! Switching branches: what the hooks tell and do, phantom migrations taken back, and a database for each branch.

use crate::support::{Db, World, server, until};

const ONE: &str = "CREATE TABLE IF NOT EXISTS a (id int PRIMARY KEY);\n";
const TWO: &str = "-- migrate:up\nCREATE TABLE IF NOT EXISTS b (id int PRIMARY KEY);\n\
    ALTER TABLE a ADD COLUMN IF NOT EXISTS note text;\n\
    -- migrate:down\nALTER TABLE a DROP COLUMN note;\nDROP TABLE b;\n";

fn config(db: &Db<'_>, more: &str) -> String {
    format!(
        "[postgres]\nversion = 15\nthrowaway = \"local\"\n{more}\n[env.development]\nurl = \"{}\"\ntestdata = [\"default\"]\n",
        db.url
    )
}

/// A project on branch `main` with one migration, hooks installed, and its database built.
fn project(db: &Db<'_>, more: &str) -> World {
    let world = World::new();
    world.write("dbbuild.toml", config(db, more)).write("db/migrations/1_a.sql", ONE).write("notes.txt", "one\n");
    world.dbbuild(&["build", "--no-baseline"]).ok();
    world.dbbuild(&["hooks", "install"]).ok();
    commit(&world, "start");
    world
}

/// Commits without the proof, which is not what these tests are about.
#[track_caller]
fn commit(world: &World, message: &str) {
    world.git(&["add", "--all"]).ok();
    world.git(&["commit", "--quiet", "--no-verify", "-m", message]).ok();
}

/// Makes branch `side` with a second migration, builds and commits it.
#[track_caller]
fn side(world: &World, text: &str) {
    world.git(&["checkout", "-q", "-b", "side"]).ok().says_not("note:");
    world.write("db/migrations/2_b.sql", text);
    world.dbbuild(&["build", "--no-baseline"]).ok();
    commit(world, "two");
}

#[test]
fn what_another_branch_left_is_told_and_taken_back_on_request() {
    let Some(server) = server(15) else { return };
    let db = server.fresh_database();
    let world = project(&db, "");
    side(&world, TWO);
    db.psql("INSERT INTO b VALUES (1), (2); INSERT INTO a VALUES (1, 'mine')");

    world.git(&["checkout", "-q", "main"]).ok().says("in no file here: 2_b (of branch side)");
    world.dbbuild(&["status"]).ok().says("2_b (phantom: in no file here, of branch side)");
    let json = world.dbbuild(&["status", "--json"]);
    json.ok().says("\"branches\":[\"side\"]").says("\"state\":\"unknown\"");
    world.dbbuild(&["build", "--no-baseline"]).ok().says("2_b (of branch side); `dbbuild build --take-back`");
    assert_eq!(db.applied(), "1 2");

    let plan = world.dbbuild(&["plan", "--take-back"]);
    plan.ok().says("take-back 2_b (in no file here, 2 statements)").says("ACCESS EXCLUSIVE on b");
    assert_eq!(db.applied(), "1 2");
    let built = world.dbbuild(&["build", "--no-baseline", "--take-back"]);
    built.ok().says("table public.b with 2 rows").says("column public.a.note with 1 value").says("took back 2_b");
    assert_eq!((db.applied().as_str(), db.has("b")), ("1", false));
    world.dbbuild(&["build", "--no-baseline", "--take-back"]).ok().says(" has 1 migration").says_not("took back");

    world.git(&["checkout", "-q", "side"]).ok().says("1 migration pending").says("run `dbbuild`");
    world.git(&["checkout", "-q", "main", "--", "notes.txt"]).ok().says_not("pending");
}

#[test]
fn what_truncate_takes_is_told_as_a_loss() {
    let Some(server) = server(15) else { return };
    let db = server.fresh_database();
    let world = project(&db, "");
    side(&world, &TWO.replace("DROP TABLE b;", "DROP TABLE b;\nTRUNCATE a;\nINSERT INTO a VALUES (1);"));
    db.psql("INSERT INTO a VALUES (1), (2), (3)");
    world.git(&["checkout", "-q", "main"]).ok();
    let built = world.dbbuild(&["build", "--no-baseline", "--take-back"]);
    built.ok().says("2 rows of public.a").says("took back 2_b");
    assert_eq!(db.psql("SELECT count(*) FROM a"), "1");
}

#[test]
fn with_auto_a_switch_takes_back_and_applies() {
    let Some(server) = server(15) else { return };
    let db = server.fresh_database();
    let world = project(&db, "[hooks]\nauto = true\n");
    world.dbbuild(&["baseline"]).ok();
    commit(&world, "baseline");
    side(&world, TWO);
    db.psql("INSERT INTO b VALUES (1)");
    world
        .git(&["checkout", "-q", "main"])
        .ok()
        .says("taking back moves into the attic: table public.b with 1 row")
        .says("took back 2_b");
    assert_eq!((db.applied().as_str(), db.has("b")), ("1", false));
    // The database is what the baseline says, by its catalogs.
    world.dbbuild(&[]).ok().says("nothing to do: 1 migration applied, db/baseline.sql is fresh");
    world.git(&["checkout", "-q", "side"]).ok().says("applied db/migrations/2_b.sql");
    world.git(&["checkout", "-q", "main"]).ok();
    world.git(&["merge", "-q", "side"]).ok().says("applied db/migrations/2_b.sql");
    assert_eq!(db.applied(), "1 2");

    // Without a kept down part: said, with the ways out, and git is not stopped.
    world.write("db/migrations/3_c.sql", "CREATE TABLE IF NOT EXISTS c (id int);\n");
    world.git(&["checkout", "-q", "-b", "other"]).ok();
    world.dbbuild(&["build", "--no-baseline"]).ok();
    commit(&world, "three");
    world.git(&["checkout", "-q", "main"]).ok().says("3_c").says("no down part of it is kept").says("dbbuild reset");
    assert_eq!(db.applied(), "1 2 3");
}

#[test]
fn a_rebase_is_followed_once_at_its_end() {
    let Some(server) = server(15) else { return };
    let db = server.fresh_database();
    let world = project(&db, "");
    side(&world, TWO);
    world.write("notes.txt", "two\n");
    commit(&world, "notes");
    world.git(&["checkout", "-q", "main"]).ok();
    world.write("db/migrations/3_c.sql", "CREATE TABLE IF NOT EXISTS c (id int);\n");
    commit(&world, "three");
    world.git(&["checkout", "-q", "side"]).ok();
    let rebase = world.git(&["rebase", "-q", "main"]);
    rebase.ok().says("1 migration pending");
    assert_eq!(rebase.stderr.matches("pending").count(), 1, "{}", rebase.show());
    assert!(!rebase.stderr.contains("2_b"), "{}", rebase.show());
    world.git(&["commit", "-q", "--amend", "--no-verify", "-m", "again"]).ok().says("1 migration pending");
}

#[test]
fn only_an_unprotected_marked_database_is_taken_back() {
    let Some(server) = server(15) else { return };
    let db = server.fresh_database();
    let world = project(&db, "");
    side(&world, TWO);
    world.git(&["checkout", "-q", "main"]).ok();
    let protected =
        format!("{}[env.production]\nurl = \"{}\"\nprotected = true\n", config(&db, "[hooks]\nauto = true\n"), db.url);
    world.write("dbbuild.toml", protected.replace("[postgres]", "default_env = \"production\"\n[postgres]"));
    for env in ["production", "development"] {
        db.psql(&format!("UPDATE dbbuild.environment SET name = '{env}', protected = true"));
        world.dbbuild(&["build", "--no-baseline", "--take-back", "--env", env]);
        assert_eq!((db.applied().as_str(), db.has("b")), ("1 2", true), "{env}");
    }
    world.write("dbbuild.toml", config(&db, ""));
    let take_back = |says: &str| {
        world.dbbuild(&["build", "--no-baseline", "--take-back", "--yes"]).fails(1).says("refused to ").says(says);
        assert_eq!((db.applied().as_str(), db.has("b")), ("1 2", true));
    };
    take_back("it is marked development, which is protected");
    db.psql("UPDATE dbbuild.environment SET protected = false, database_oid = 1");
    take_back("its mark (development) does not belong to it");
    db.psql("DELETE FROM dbbuild.environment");
    take_back("carries no mark");
}

#[test]
fn a_down_part_that_fails_leaves_its_migration_applied() {
    let Some(server) = server(15) else { return };
    let db = server.fresh_database();
    let world = project(&db, "");
    side(&world, TWO);
    db.psql("CREATE VIEW in_the_way AS SELECT * FROM b");
    world.git(&["checkout", "-q", "main"]).ok();
    let refused = world.dbbuild(&["build", "--no-baseline", "--take-back"]);
    refused.fails(1).says("2_b cannot be taken back").says("view in_the_way depends on table b").says("dbbuild reset");
    assert_eq!((db.applied().as_str(), db.psql("SELECT count(note) FROM a").as_str()), ("1 2", "0"));
}

#[test]
fn what_runs_in_no_transaction_is_taken_back_by_statement() {
    let Some(server) = server(15) else { return };
    let db = server.fresh_database();
    let world = project(&db, "");
    side(
        &world,
        "-- migrate:up transaction:false\nCREATE INDEX CONCURRENTLY IF NOT EXISTS a_id ON a (id);\n\
         -- migrate:down transaction:false\nDROP INDEX CONCURRENTLY IF EXISTS a_id;\n",
    );
    assert!(db.has("a_id"));
    world.git(&["checkout", "-q", "main"]).ok();
    world.dbbuild(&["build", "--no-baseline", "--take-back"]).ok().says("took back 2_b");
    assert_eq!((db.applied().as_str(), db.has("a_id")), ("1", false));
    assert_eq!(db.psql("SELECT count(*) FROM dbbuild.statement"), "0");
}

#[test]
fn views_of_repeatable_files_stand_in_nobodys_way() {
    let Some(server) = server(15) else { return };
    let db = server.fresh_database();
    let view = |columns: &str| format!("DROP VIEW IF EXISTS all_a;\nCREATE VIEW all_a AS SELECT {columns} FROM a;\n");
    let world = project(&db, "");
    world.write("db/repeatable/all_a.sql", view("id"));
    world.dbbuild(&[]).ok();
    commit(&world, "view");
    world.git(&["checkout", "-q", "-b", "side"]).ok();
    world.write("db/migrations/2_b.sql", TWO).write("db/repeatable/all_a.sql", view("id, note"));
    world.write("db/repeatable/notes.sql", "CREATE OR REPLACE VIEW notes AS SELECT note FROM a;\n");
    world.write(
        "db/repeatable/on_notes.sql",
        "-- dbbuild:after notes.sql\nCREATE OR REPLACE VIEW on_notes AS SELECT * FROM notes;\n",
    );
    world.dbbuild(&["build", "--no-baseline"]).ok();
    commit(&world, "two");
    let told = world.git(&["checkout", "-q", "main"]);
    told.ok().says("the repeatable file notes.sql").says("2_b (of branch side)");
    world
        .dbbuild(&["plan", "--take-back"])
        .ok()
        .says("remove notes.sql, on_notes.sql (in no file here, 2 statements)")
        .says("take-back 2_b");

    // With status 0 the database is the baseline's again.
    let built = world.dbbuild(&["build", "--take-back"]);
    built
        .ok()
        .says("dropped what the repeatable file notes.sql made")
        .says("took back 2_b")
        .says("ran 1 repeatable file");
    assert_eq!(db.psql("SELECT string_agg(name, ' ') FROM dbbuild.file WHERE kind = 'repeatable'"), "all_a.sql");
    assert_eq!((db.has("all_a"), db.has("notes"), db.has("on_notes")), (true, false, false));
    world.git(&["checkout", "-q", "side"]).ok();
    world.dbbuild(&["build", "--no-baseline"]).ok().says("ran 3 repeatable files");
    assert!(db.has("on_notes"));
}

/// How many databases of branches there are beside this one. (Not by LIKE, for which `_` is any character: that would count
/// the `it_db12` of another test beside `it_db1`.)
fn branch_databases(db: &Db<'_>) -> String {
    db.psql(&format!("SELECT count(*) FROM pg_database WHERE starts_with(datname::text, '{}_')", db.name))
}

/// The name of the current branch's database, from its address.
fn current(world: &World) -> String {
    let url = world.dbbuild(&["env", "url"]).ok().stdout.clone();
    url.split('/').nth(3).unwrap().split('?').next().unwrap().to_owned()
}

#[test]
fn each_branch_has_a_database_of_its_own() {
    let Some(server) = server(15) else { return };
    let db = server.fresh_database();
    let mut world = project(&db, "[local]\nper_branch = true\n");
    // Not the state of the whole run: what it prunes may be in use.
    world.set("DBBUILD_STATE_DIR", world.home().join("state").to_str().unwrap());
    db.psql("INSERT INTO a VALUES (7)");
    assert_eq!(current(&world), db.name);

    let told = world.git(&["checkout", "-q", "-b", "side"]);
    told.ok().says("this branch has no database yet").says(&format!("from `{}`", db.name));
    let name = current(&world);
    assert!(name.starts_with(&format!("{}_side_", db.name)), "{name}");
    world
        .dbbuild(&["psql", "--", "-c", "SELECT 1"])
        .fails(1)
        .says("this branch has no database yet; `dbbuild` makes it");
    world.write("db/migrations/2_b.sql", TWO);

    // Whoever uses the original stands in the way of a copy, and is named.
    let mut other = server.command("psql").args(["-Xd", &db.name, "-c", "SELECT pg_sleep(60)"]).spawn().unwrap();
    // In this database alone: other tests sleep in theirs.
    let sleeps = "FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database()";
    until(&db, &format!("SELECT count(*) = 1 {sleeps}"));
    let blocked = world.dbbuild(&["build", "--no-baseline"]);
    other.kill().unwrap();
    other.wait().unwrap();
    db.psql(&format!("SELECT pg_terminate_backend(pid, 60000) {sleeps}"));
    blocked.fails(1).says("cannot copy").says("postgres (psql)").says("end these sessions");

    world
        .dbbuild(&["build", "--no-baseline"])
        .ok()
        .says(&format!("made `{name}`"))
        .says("applied db/migrations/2_b.sql");
    commit(&world, "two");
    let copy = server.existing(&name);
    assert_eq!((copy.psql("SELECT id FROM a").as_str(), copy.applied().as_str()), ("7", "1 2"));
    let shown = world.dbbuild(&["psql", "--", "-XAtc", "SELECT current_database()"]);
    assert_eq!(shown.ok().stdout.trim(), name);
    // The copy is marked as itself, so it is as free as its original.
    world.dbbuild(&["env", "show"]).ok().says("mark:     marked development");
    world.dbbuild(&["status"]).ok().says("the database of branch side");
    assert_eq!(db.applied(), "1");

    // A branch from main gets main's database, though one came from another branch.
    world.git(&["checkout", "-q", "-b", "third", "main"]).ok().says(&format!("from `{}`", db.name));
    world.git(&["checkout", "-q", "main"]).ok().says_not("note:");
    assert_eq!(current(&world), db.name);
    world.git(&["checkout", "-q", "--detach", "side"]).ok();
    assert!(current(&world).starts_with(&format!("{}_detached_", db.name)));
    world.git(&["checkout", "-q", "main"]).ok();

    world.git(&["branch", "-q", "-D", "side"]).ok();
    world
        .dbbuild(&["status"])
        .ok()
        .says(&format!("`{name}`"))
        .says("branch side, which is gone; `dbbuild server prune`");
    world.dbbuild(&["server", "prune"]).ok().says("there is no branch side");
    assert_eq!(branch_databases(&db), "0");
}

#[test]
fn a_branch_database_is_made_by_the_hook_with_auto_and_never_from_a_protected_one() {
    let Some(server) = server(15) else { return };
    let db = server.fresh_database();
    let world = project(&db, "[local]\nper_branch = true\n[hooks]\nauto = true\n");
    world.git(&["checkout", "-q", "-b", "side"]).ok().says(&format!("made `{}_side_", db.name));
    let name = current(&world);
    assert_eq!(server.existing(&name).applied(), "1");
    world.dbbuild(&["drop", "--yes"]).ok().says(&format!("dropped `{name}`"));
    db.psql("UPDATE dbbuild.environment SET protected = true");
    world.git(&["checkout", "-q", "-b", "third"]).ok().says_not("made");
    // Without an original the database is made from the files.
    world.dbbuild(&["build", "--no-baseline"]).ok().says("created `").says("applied db/migrations/1_a.sql");
    world.dbbuild(&["drop", "--yes"]).ok();
}

#[test]
fn a_copy_that_cannot_be_marked_does_not_stay() {
    let Some(server) = server(15) else { return };
    let db = server.fresh_database();
    let world = project(&db, "[local]\nper_branch = true\n");
    db.psql(&format!(
        "CREATE FUNCTION dbbuild.here() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
         IF current_database() <> '{}' THEN RAISE 'only here'; END IF; RETURN NEW; END $$; \
         CREATE TRIGGER here BEFORE INSERT OR UPDATE ON dbbuild.environment FOR EACH ROW EXECUTE FUNCTION dbbuild.here()",
        db.name
    ));
    world.git(&["checkout", "-q", "-b", "side"]).ok();
    world.dbbuild(&["build", "--no-baseline"]).fails(1).says("only here");
    assert_eq!(branch_databases(&db), "0");
    assert_eq!(db.psql("SELECT name, protected FROM dbbuild.environment"), "development|f");
}
