//! A downgrade over migrations that are not like others: limited to environments, secure, squashed, marked as run; under
//! hooks that build by themselves; and beside an attic that a newer dbbuild made.

use super::{config, project};
use crate::support::{Db, World, server};

#[test]
fn hooks_that_build_give_back_what_a_downgrade_kept() {
    let Some(server) = server(15) else { return };
    let db = server.fresh_database();
    let world = World::new();
    world.write("dbbuild.toml", format!("{}[hooks]\nauto = true\n", config(&db, false)));
    world.write("db/migrations/1_a.sql", "CREATE TABLE IF NOT EXISTS a (id int PRIMARY KEY);\n");
    world.dbbuild(&["build"]).ok();
    world.dbbuild(&["hooks", "install"]).ok();
    let commit = |message: &str| {
        world.git(&["add", "--all"]).ok();
        world.git(&["commit", "-q", "--no-verify", "-m", message]).ok();
    };
    commit("one");
    world.git(&["checkout", "-q", "-b", "side"]).ok();
    world.write(
        "db/migrations/2_b.sql",
        "-- migrate:up\nCREATE TABLE IF NOT EXISTS b (id int PRIMARY KEY);\nALTER TABLE a ADD COLUMN IF NOT EXISTS note text;\n\
         -- migrate:down\nALTER TABLE a DROP COLUMN note;\nDROP TABLE b;\n",
    );
    world.dbbuild(&["build"]).ok();
    commit("two");
    db.psql("INSERT INTO b VALUES (7); INSERT INTO a VALUES (1, 'mine')");
    let kept = "SELECT (SELECT string_agg(note, ',') FROM a) || (SELECT sum(id) FROM b)";

    // To the branch that is switched to: the hook finds nothing left to do there, and the way back gives back.
    world.dbbuild(&["downgrade", "--to", "main"]).ok().says("took back 2_b");
    world.git(&["checkout", "-q", "main"]).ok().says_not("took back").says_not("applied");
    assert_eq!((db.applied().as_str(), db.has("b")), ("1", false));
    world.git(&["checkout", "-q", "side"]).ok().says("applied db/migrations/2_b.sql");
    assert_eq!(db.psql(kept), "mine7");
    // Where one stays, the next build goes up again.
    world.dbbuild(&["downgrade", "--to", "1"]).ok().says("took back 2_b");
    world.dbbuild(&["plan", "--to", "2"]).ok().says("up to 2").says("2_b.sql");
    world.dbbuild(&[]).ok().says("applied db/migrations/2_b.sql");
    assert_eq!(db.psql(kept), "mine7");
    // What the hook itself takes back is no other's to take back.
    world.git(&["checkout", "-q", "main"]).ok().says("took back 2_b");
    world.dbbuild(&["downgrade", "--to", "1"]).ok().says("nothing to do");
    world.git(&["checkout", "-q", "side"]).ok();
    assert_eq!(db.psql(kept), "mine7");
}

const SETTING: &str = "CREATE TABLE IF NOT EXISTS setting (name text PRIMARY KEY, value text NOT NULL);\n";

/// A table, then a migration of this text, then another table; all applied in `staging` and `development`.
fn two_environments(staging: &Db<'_>, development: &Db<'_>, text: &str) -> World {
    let world = World::new();
    world.write(
        "dbbuild.toml",
        format!("{}[env.staging]\nurl = \"{}\"\nsecure_path = \"secure\"\n", config(development, false), staging.url),
    );
    world.write(".gitignore", "/secure/\n");
    world.write("db/migrations/1_setting.sql", SETTING).write("db/migrations/2_host.sql", text);
    world.write(
        "db/migrations/3_later.sql",
        "-- migrate:up\nCREATE TABLE IF NOT EXISTS later (id int);\n-- migrate:down\nDROP TABLE later;\n",
    );
    world.write("secure/2_host.sql", "INSERT INTO setting VALUES ('host', 'hidden') ON CONFLICT DO NOTHING;\n");
    world.commit("All").ok();
    for env in ["staging", "development"] {
        world.dbbuild(&["apply", "--env", env]).ok();
    }
    world
}

#[test]
fn one_that_is_limited_to_an_environment_goes_where_it_ran() {
    let Some(server) = server(15) else { return };
    let (staging, development) = (server.fresh_database(), server.fresh_database());
    let text = "-- dbbuild:env staging\n-- migrate:up\nINSERT INTO setting VALUES ('host', 'db1') ON CONFLICT DO NOTHING;\n\
                -- migrate:down\nDELETE FROM setting WHERE name = 'host';\n";
    let world = two_environments(&staging, &development, text);
    assert_eq!((staging.applied().as_str(), development.applied().as_str()), ("1 2 3", "1 3"));
    staging.psql("UPDATE setting SET value = 'db9'");
    let down = ["downgrade", "--to", "1"];
    world.dbbuild(&down).ok().says("took back 3_later").says_not("2_host");
    let down = world.dbbuild(&["downgrade", "--to", "1", "--env", "staging"]);
    down.ok().says("took back 3_later").says("took back 2_host").says("1 row of public.setting");
    assert_eq!((staging.applied().as_str(), staging.psql("SELECT count(*) FROM setting").as_str()), ("1", "0"));
    // A version of a file that is not for this environment: nothing of it is pending.
    world.dbbuild(&["plan", "--to", "2"]).ok().says("nothing to do");
    world.dbbuild(&["plan", "--to", "2", "--env", "staging"]).ok().says("migration db/migrations/2_host.sql");
    for env in ["staging", "development"] {
        world.dbbuild(&["apply", "--env", env]).ok();
    }
    assert_eq!(staging.psql("SELECT value FROM setting"), "db9");
    assert_eq!((staging.applied().as_str(), development.applied().as_str()), ("1 2 3", "1 3"));
}

#[test]
fn one_with_a_secure_body_goes_without_a_word_of_it() {
    let Some(server) = server(15) else { return };
    let (staging, development) = (server.fresh_database(), server.fresh_database());
    let text = "-- dbbuild:secure\n-- migrate:up\nINSERT INTO setting VALUES ('host', 'scrubbed') ON CONFLICT DO NOTHING;\n\
                -- migrate:down\nDELETE FROM setting WHERE name = 'host';\n";
    let world = two_environments(&staging, &development, text);
    let value = "SELECT value FROM setting";
    assert_eq!((staging.psql(value).as_str(), development.psql(value).as_str()), ("hidden", "scrubbed"));
    let to_one = |command: &str| world.dbbuild(&[command, "--to", "1", "--env", "staging"]);
    to_one("plan").ok().says("take-back 2_host").says_not("hidden");
    to_one("downgrade").ok().says("took back 2_host").says("1 row of public.setting").says_not("hidden");
    assert_eq!((staging.applied().as_str(), staging.psql("SELECT count(*) FROM setting").as_str()), ("1", "0"));
    world
        .dbbuild(&["plan", "--to", "2", "--env", "staging"])
        .ok()
        .says("its body is secure/2_host.sql")
        .says_not("hidden");
    world.dbbuild(&["apply", "--env", "staging"]).ok().says_not("hidden");
    assert_eq!(staging.psql(value), "hidden");
    // Of a body no text is kept; its down part is, whatever became of its files.
    std::fs::remove_dir_all(world.path("secure")).unwrap();
    std::fs::remove_dir_all(world.path(".git")).unwrap();
    std::fs::remove_file(world.path("db/migrations/2_host.sql")).unwrap();
    to_one("downgrade").ok().says("took back 2_host").says_not("hidden");
    assert_eq!(staging.applied(), "1");
}

/// Four migrations with down parts, of which the first three are one file now.
fn squashed(db: &Db<'_>) -> World {
    let world = World::new();
    world.write("dbbuild.toml", config(db, false));
    for n in 1..=4 {
        world.write(
            &format!("db/migrations/{n}_m.sql"),
            format!(
                "-- migrate:up\nCREATE TABLE IF NOT EXISTS t{n} (id int PRIMARY KEY);\n-- migrate:down\nDROP TABLE t{n};\n"
            ),
        );
        world.dbbuild(&["baseline"]).ok();
        world.commit(&format!("{n}")).ok();
    }
    world.add_origin();
    world.git(&["push", "-q", "origin", "main"]).ok();
    world.git(&["tag", "single"]).ok();
    world.dbbuild(&["apply"]).ok();
    world.dbbuild(&["squash", "--before", "4"]).ok();
    world.commit("Squash").ok();
    world
}

#[test]
fn what_a_squash_stands_for_goes_by_what_the_database_keeps() {
    let Some(server) = server(15) else { return };
    let db = server.fresh_database();
    let world = squashed(&db);
    db.psql("INSERT INTO t2 VALUES (2); INSERT INTO t3 VALUES (3)");
    // It ran as single ones here, so that their texts are kept: no repository is needed.
    std::fs::rename(world.path(".git"), world.path("git")).unwrap();
    let down = world.dbbuild(&["downgrade", "--to", "1"]);
    down.ok().says("took back 4_m").says("took back 3_m").says("took back 2_m");
    assert_eq!((db.applied().as_str(), db.has("t2")), ("1", false));
    std::fs::rename(world.path("git"), world.path(".git")).unwrap();
    // Half of a squash is not what its file makes; the files from before it go up again.
    world.dbbuild(&["plan", "--to", "3"]).fails(1).says("3_squashed");
    assert_eq!(db.applied(), "1");
    world.git(&["checkout", "-q", "single"]).ok();
    world.dbbuild(&["plan", "--to", "3"]).ok().says("up to 3").says("2_m.sql").says("3_m.sql").says_not("4_m.sql");
    world.dbbuild(&["apply"]).ok();
    assert_eq!(db.psql("SELECT (SELECT sum(id) FROM t2) || ' ' || (SELECT sum(id) FROM t3)"), "2 3");
    world.git(&["checkout", "-q", "main"]).ok();
    world.dbbuild(&["status", "--exit-code"]).ok();
}

#[test]
fn what_a_squash_made_goes_while_git_has_the_single_files() {
    let Some(server) = server(15) else { return };
    let db = server.fresh_database();
    let world = squashed(&db);
    let new = server.fresh_database();
    world.write("dbbuild.toml", config(&new, false));
    world.dbbuild(&["apply"]).ok();
    assert_eq!(new.applied(), "1 2 3 4");
    new.psql("INSERT INTO t3 VALUES (3)");
    world.dbbuild(&["plan", "--to", "2"]).ok().says("take-back 3_m").says("table public.t3 with 1 row");
    world.dbbuild(&["downgrade", "--to", "2"]).ok().says("took back 4_m").says("took back 3_m");
    assert_eq!((new.applied().as_str(), new.has("t3")), ("1 2", false));
    std::fs::remove_dir_all(world.path(".git")).unwrap();
    let refused = world.dbbuild(&["downgrade", "--to", "1"]);
    refused.fails(1).says("2_m cannot be taken back").says("no down part of it is kept");
    assert_eq!(new.applied(), "1 2");
}

#[test]
fn what_would_be_lost_is_not_put_into_an_attic_of_a_newer_form() {
    let Some(server) = server(15) else { return };
    let db = server.fresh_database();
    let world = project(&db, false);
    world.dbbuild(&["downgrade", "--to", "2"]).ok();
    db.psql("UPDATE dbbuild_attic.format SET version = 2; UPDATE dbbuild_attic.entry SET dbbuild_version = '9.9.9'");
    for command in ["plan", "downgrade"] {
        let refused = world.dbbuild(&[command, "--to", "1"]);
        refused.fails(1).says("has format 2, and this dbbuild knows 1").says("dbbuild 9.9.9 wrote it");
    }
    assert_eq!((db.applied().as_str(), db.psql("SELECT count(*) FROM b").as_str()), ("1 2", "2"));
    assert_eq!(db.psql("SELECT string_agg(version, ' ') FROM dbbuild_attic.entry"), "3");
}

#[test]
fn one_that_was_marked_as_run_asks_again_when_it_comes_back() {
    let Some(server) = server(15) else { return };
    let db = server.fresh_database();
    let world = project(&db, false);
    world.write(
        "db/migrations/4_d.sql",
        "-- dbbuild:precondition on-fail=mark-ran expect=0\n-- SELECT count(*) FROM a\n\n\
         -- migrate:up\nCREATE TABLE d (id int);\n-- migrate:down\nDROP TABLE d;\n",
    );
    world.dbbuild(&["apply"]).ok().says("marked");
    // The table that its down part drops is another's.
    db.psql("CREATE TABLE d AS SELECT 9 AS id");
    world.dbbuild(&["plan", "--to", "3"]).ok().says("take-back 4_d").says("loses nothing");
    world.dbbuild(&["downgrade", "--to", "3"]).ok().says("took back 4_d");
    assert_eq!((db.applied().as_str(), db.psql("SELECT id FROM d").as_str()), ("1 2 3", "9"));
    db.psql("DROP TABLE d; TRUNCATE a CASCADE");
    world.dbbuild(&["apply"]).ok().says("applied db/migrations/4_d.sql");
    db.psql("INSERT INTO d VALUES (1)");
    world.dbbuild(&["downgrade", "--to", "3"]).ok().says("table public.d with 1 row");
    assert!(!db.has("d"));
}
