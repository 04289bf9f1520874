//! Squashing with real git and PostgreSQL: databases from before stay valid, new ones are equal, and nothing else may go.

use std::fs;
use std::path::Path;

use crate::support::{Db, Outcome, Server, World, histories, server};

const BASELINE: &str = "db/baseline.sql";
const SQUASH: &str = "db/migrations/0003_squashed.sql";

/// Four migrations, each with its commit, pushed to `origin`: one counts up, one cannot run in a transaction, one holds rows with
/// values of chance.
fn published(local: &str, production: &str) -> World {
    let world = World::new();
    world.write(
        "dbbuild.toml",
        format!(
            "[postgres]\nversion = 15\nthrowaway = \"local\"\ndatabase = \"app\"\n[migrations]\nvolatile = \"warn\"\n\
             [env.development]\nurl = \"{local}\"\n[env.production]\nurl = \"{production}\"\nprotected = true\n"
        ),
    );
    add(
        &world,
        "0001_a",
        "CREATE TABLE IF NOT EXISTS a (id int PRIMARY KEY, u uuid DEFAULT gen_random_uuid());\n\
        INSERT INTO a (id) VALUES (1), (2) ON CONFLICT DO NOTHING;\n-- migrate:down\nDROP TABLE a;\n",
    );
    add(
        &world,
        "0002_count",
        "-- dbbuild:idempotent false it counts\nCREATE TABLE n (n int);\nINSERT INTO n VALUES (1);\n\
        UPDATE n SET n = n + 1;\n",
    );
    add(&world, "0003_index", "CREATE INDEX CONCURRENTLY IF NOT EXISTS a_u ON a (u);\n");
    add(&world, "0004_note", "ALTER TABLE a ADD COLUMN IF NOT EXISTS note text;\n");
    world.add_origin();
    world.git(&["push", "-q", "origin", "main"]).ok();
    world.dbbuild(&["hooks", "install"]).ok();
    world.commit("Install the merge driver").ok();
    world.git(&["push", "-q", "origin", "main"]).ok();
    world
}

fn add(world: &World, name: &str, sql: &str) {
    let sql = if sql.contains("-- migrate:down") { format!("-- migrate:up\n{sql}") } else { sql.to_owned() };
    world.write(&format!("db/migrations/{name}.sql"), sql);
    world.dbbuild(&["baseline"]).ok();
    world.commit(name).ok();
}

/// What a baseline says beside what it was made from.
fn said(baseline: &str) -> String {
    let told = |line: &&str| !line.starts_with("-- dbbuild:inputs") && !line.starts_with("-- dbbuild:volatile");
    baseline.lines().filter(told).collect::<Vec<_>>().join("\n")
}

fn versions(database: &Db<'_>) -> String {
    database.psql("SELECT string_agg(version || name || checksum, ' ' ORDER BY version) FROM dbbuild.migration")
}

#[test]
fn databases_from_before_stay_valid_and_new_ones_are_equal() {
    let Some(server) = server(15) else { return };
    let (local, production) = (server.fresh_database(), server.fresh_database());
    let world = published(&local.url, &production.url);
    world.dbbuild(&["build"]).ok();
    world.dbbuild(&["bootstrap", "--env", "production"]).ok();
    let (before, rows) = (world.read(BASELINE), versions(&local));
    let dump = local.pg_dump();

    world
        .dbbuild(&["squash", "--before", "0004"])
        .ok()
        .says(&format!("{SQUASH} stands for 3 migrations now, made from the baseline of commit"))
        .says("removed 3 files");
    let squash = world.read(SQUASH);
    for part in ["-- dbbuild:squashed-at ", "-- dbbuild:squashes 0002 ", "CREATE INDEX a_u", "COPY public.n (n)"] {
        assert!(squash.contains(part), "{part} in {squash}");
    }
    assert!(!world.path("db/migrations/0001_a.sql").exists());
    assert_eq!(said(&world.read(BASELINE)), said(&before), "the same schema, rows and version rows");

    // Nothing is to be done in either database, and nothing is strange.
    for env in ["development", "production"] {
        world.dbbuild(&["status", "--env", env, "--exit-code"]).ok().says("2 applied, 0 pending").says_not("phantom");
        world.dbbuild(&["plan", "--env", env]).ok().says("nothing to do");
    }
    world.dbbuild(&["apply", "--allow-dirty", "--env", "production"]).ok();
    world.dbbuild(&["build"]).ok().says("nothing to do: 4 migrations applied");
    assert_eq!(versions(&local), rows);

    // The hook passes what was proved; CI, without any cache, proves it again.
    world.commit("Squash").ok();
    world.dbbuild(&["verify", "--rev", "HEAD", "--full"]).ok().says("is proved");
    let clone = world.home().join("clone");
    world.git(&["clone", "-q", world.path("").to_str().unwrap(), clone.to_str().unwrap()]).ok();
    let mut inside = world.command(env!("CARGO_BIN_EXE_dbbuild"));
    world.run(inside.current_dir(&clone).args(["verify", "--rev", "HEAD", "--since", "HEAD~1", "--full"])).ok();

    // Databases made after it, by replay and from the baseline, are equal to those before, and valid for both trees.
    world.dbbuild(&["reset", "--yes"]).ok().says(&format!("applied {SQUASH}")).says("4 migrations");
    assert_eq!(versions(&local), rows);
    let made = |dump: &str| dump.lines().filter(|l| l.starts_with("CREATE ")).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(made(&local.pg_dump()), made(&dump));
    world.dbbuild(&["log"]).ok().says("0003     index").says("baseline");
    let installed = server.fresh_database();
    world.dbbuild(&["bootstrap", "--env", "production", "--url", &installed.url]).ok();
    assert_eq!(versions(&installed), rows);
    world.dbbuild(&["status", "--env", "production", "--url", &installed.url, "--exit-code"]).ok();
    world.git(&["checkout", "-q", "HEAD~1"]).ok();
    world.dbbuild(&["status", "--exit-code"]).ok().says("4 applied, 0 pending");
    world.git(&["checkout", "-q", "main"]).ok();

    // Life goes on: a new migration, a second squash over the first.
    world.git(&["push", "-q", "origin", "main"]).ok();
    add(&world, "0005_more", "CREATE TABLE IF NOT EXISTS more (id int);\n");
    world.git(&["push", "-q", "origin", "main"]).ok();
    world.dbbuild(&["build"]).ok().says("applied db/migrations/0005_more.sql");
    world.dbbuild(&["apply", "--allow-dirty", "--env", "production"]).ok();
    world.dbbuild(&["squash", "--before", "0004"]).ok().says("nothing to do");
    let again = world.dbbuild(&["squash", "--before", "0005", "--json"]).ok().stdout.clone();
    assert!(again.contains("\"path\":\"db/migrations/0004_squashed.sql\"") && again.contains("0001_a"), "{again}");
    assert_eq!(fs::read_dir(world.path("db/migrations")).unwrap().count(), 2);
    world.dbbuild(&["status", "--exit-code"]).ok().says("2 applied, 0 pending");
    world.commit("Squash again").ok();
    world.dbbuild(&["verify", "--rev", "HEAD", "--full"]).ok();
}

#[test]
fn only_what_a_squash_lists_may_go_and_only_as_it_was() {
    let Some(server) = server(15) else { return };
    let (local, production) = (server.fresh_database(), server.fresh_database());
    let world = published(&local.url, &production.url);
    world.dbbuild(&["squash", "--before", "0003"]).ok();
    let squash = "db/migrations/0002_squashed.sql";
    let text = world.read(squash);

    // What it does not list stays published, and what it lists must be what was published.
    fs::remove_file(world.path("db/migrations/0003_index.sql")).unwrap();
    world.dbbuild(&["baseline"]).fails(1).says("the published migration 0003_index was removed");
    world.git(&["checkout", "-q", "--", "db/migrations/0003_index.sql"]).ok();
    let line = text.lines().find(|line| line.contains("squashes 0001")).unwrap();
    let forged = text.replace(line, &format!("-- dbbuild:squashes 0001 {} a", "0".repeat(64)));
    world.write(squash, &forged);
    world.commit("Forge").fails(1).says("0001_a was removed").says("which origin/main");
    world.write(squash, text.replace(&format!("{line}\n"), ""));
    world.commit("Leave out").fails(1).says("0001_a was removed");
    world.write(squash, text.replace(line, &format!("-- dbbuild:squashes 0000 {} z\n{line}", "1".repeat(64))));
    world.commit("Add").fails(1).says("stands for 0000_z, which origin/main");
    // A squash that makes something else is no squash.
    world.write(squash, text.replace("n integer", "n bigint"));
    world.dbbuild(&["baseline"]).fails(3).says("its table `public.n` differs in definition");
    world.commit("Make another").fails(1);
    // One that is published is as immutable as any.
    world.write(squash, &text);
    world.dbbuild(&["baseline"]).ok();
    world.commit("Squash").ok();
    world.git(&["push", "-q", "origin", "main"]).ok();
    world.write(squash, format!("{text}-- more\n"));
    world.commit("Edit").fails(1).says("the published migration 0002_squashed was edited");
    world.git(&["checkout", "-q", "HEAD", "--", squash]).ok();
    world.git(&["rm", "-q", "--cached", squash]).ok();
    fs::remove_file(world.path(squash)).unwrap();
    world.commit("Remove").fails(1).says("0002_squashed was removed");
}

#[test]
fn a_database_that_has_only_some_is_refused_and_led_back() {
    let Some(server) = server(15) else { return };
    let (local, production) = (server.fresh_database(), server.fresh_database());
    let world = published(&local.url, &production.url);
    // Production stands at the second migration.
    world.git(&["checkout", "-q", "HEAD~3"]).ok();
    world.dbbuild(&["apply", "--allow-dirty", "--env", "production"]).ok();
    world.git(&["checkout", "-q", "main"]).ok();
    let files = world.git(&["ls-files", "-s"]).ok().stdout.clone();
    world
        .dbbuild(&["squash", "--before", "0004"])
        .fails(1)
        .says("(environment production) does not have all that is to be squashed")
        .says("it lacks 0003_index")
        .says("`dbbuild apply --env production`");
    assert_eq!(world.git(&["ls-files", "-s"]).ok().stdout, files);
    assert!(!world.path(SQUASH).exists());

    // So is one of many; the empty one beside it stands in nobody's way.
    let beside = server.fresh_database();
    let toml = world.read("dbbuild.toml");
    let many = format!("protected = true\ntargets = [\"{}\", \"{}\"]\n", beside.name, production.name);
    world.write("dbbuild.toml", toml.replace("protected = true\n", &many));
    world.git(&["commit", "-q", "-a", "--no-verify", "-m", "Many databases"]).ok();
    let refused = world.dbbuild(&["squash", "--before", "0004"]);
    refused.fails(1).says(&format!("`{}` on ", production.name)).says("it lacks 0003_index");
    world.write("dbbuild.toml", &toml);

    // One that cannot be reached is named, and wants somebody's word; `--yes` is none.
    let unreachable = world.read("dbbuild.toml").replace(&production.url, "postgres://nobody@127.0.0.1:1/none");
    world.write("dbbuild.toml", unreachable);
    world.git(&["commit", "-q", "-a", "--no-verify", "-m", "Move production"]).ok();
    world.dbbuild(&["squash", "--before", "0004", "--yes"]).fails(1).says("`--unreachable production`");
    world.dbbuild(&["squash", "--before", "0004", "--unreachable", "nowhere"]).fails(2).says("nowhere");
    world
        .dbbuild(&["squash", "--before", "0004", "--unreachable", "production"])
        .ok()
        .says("the environment production was not asked");
    world.commit("Squash").ok();

    // It is refused now, with the way back, and nothing of it was touched.
    let apply =
        |world: &World| world.dbbuild(&["apply", "--allow-dirty", "--env", "production", "--url", &production.url]);
    let refused: Outcome = apply(&world);
    refused.fails(1).says("does not have the 3 migrations that 0003_squashed stands for").says("it lacks 0003_index");
    let help = refused.stderr.split("git checkout ").nth(1).unwrap();
    let commit: String = help.chars().take_while(char::is_ascii_hexdigit).collect();
    world.dbbuild(&["status", "--env", "production", "--url", &production.url]).ok().says("changed");
    assert_eq!(production.psql("SELECT count(*) FROM dbbuild.migration"), "2");
    world.git(&["checkout", "-q", &commit]).ok();
    apply(&world).ok().says("applied db/migrations/0003_index.sql");
    world.git(&["checkout", "-q", "main"]).ok();
    apply(&world).ok();
    world.dbbuild(&["status", "--env", "production", "--url", &production.url, "--exit-code"]).ok();
    // Nor does it run where there are others instead, or where one has other content.
    production.psql("UPDATE dbbuild.migration SET checksum = repeat('0', 64) WHERE version = '0002'");
    apply(&world).fails(1).says("0002_count was applied to this database with other content");
    production.psql("DELETE FROM dbbuild.migration WHERE version < '0004'");
    apply(&world).fails(1).says("it lacks 0001_a; it lacks 0002_count");
}

#[test]
fn what_cannot_be_squashed_is_said_before_anything_is_written() {
    let Some(server) = server(15) else { return };
    let (local, production) = (server.fresh_database(), server.fresh_database());
    let world = published(&local.url, &production.url);
    world.dbbuild(&["squash", "--before", "7"]).fails(2).says("no migration has the version 7").says("0004_note");
    world.dbbuild(&["squash", "--before", "x"]).fails(2).says("is not a version");
    world.dbbuild(&["squash", "--before", "1"]).fails(2).says("no migration is older than 1");
    world.dbbuild(&["squash"]).fails(2).says("--before");
    // A tree that is not committed, staged or not; a stale baseline.
    world.write("db/checks/none.sql", "SELECT 1 WHERE false;\n");
    world.dbbuild(&["squash", "--before", "4"]).fails(1).says("differ from those of HEAD").says("commit first");
    fs::remove_file(world.path("db/checks/none.sql")).unwrap();
    let stale = world.read(BASELINE).replace("-- dbbuild:inputs ", "-- dbbuild:inputs 0");
    world.write(BASELINE, stale);
    world.git(&["commit", "-q", "-a", "--no-verify", "-m", "Spoil"]).ok();
    world.dbbuild(&["squash", "--before", "4"]).fails(3).says("missing or stale");
    world.git(&["reset", "-q", "--hard", "HEAD~1"]).ok();
    // What is not published may be missing anywhere.
    add(&world, "0005_new", "CREATE TABLE IF NOT EXISTS new (id int);\n");
    add(&world, "0006_newer", "CREATE TABLE IF NOT EXISTS newer (id int);\n");
    world.dbbuild(&["squash", "--before", "6"]).fails(1).says("0005_new is not published: origin/main");
    world.dbbuild(&["squash", "--before", "5"]).ok();
    let files: Vec<String> = names(&world.path("db/migrations"));
    assert_eq!(files, ["0004_squashed.sql", "0005_new.sql", "0006_newer.sql"]);
    // A file that came back, and one of another branch that is older.
    world.write("db/migrations/0002_count.sql", "SELECT 1;\n");
    world.dbbuild(&["verify", "--worktree"]).fails(1).says("0002_count is squashed in db/migrations/0004_squashed.sql");
    fs::rename(world.path("db/migrations/0002_count.sql"), world.path("db/migrations/00015_late.sql")).unwrap();
    fs::rename(world.path("db/migrations/00015_late.sql"), world.path("db/migrations/0000_late.sql")).unwrap();
    world
        .dbbuild(&["verify", "--worktree"])
        .fails(1)
        .says("0000_late is older than the squash")
        .says("a newer version");
    let other = World::without_git();
    other.write("dbbuild.toml", world.read("dbbuild.toml")).write("db/migrations/1_a.sql", "SELECT 1;\n");
    other.dbbuild(&["squash", "--before", "1"]).fails(2).says("is not in a git repository");
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn repeatable_files_init_and_a_branch_from_before() {
    let Some(server) = server(15) else { return };
    let (local, production) = (server.fresh_database(), server.fresh_database());
    let world = published(&local.url, &production.url);
    world.git(&["checkout", "-q", "-b", "side"]).ok();
    add(&world, "0007_side", "CREATE TABLE IF NOT EXISTS side (id int);\n");
    world.git(&["checkout", "-q", "main"]).ok();
    world.write("db/repeatable/v.sql", "CREATE OR REPLACE VIEW v AS SELECT id, note FROM a;\n");
    world.write("db/init/n.sql", "INSERT INTO a (id) VALUES (3) ON CONFLICT DO NOTHING;\n");
    add(&world, "0005_b", "CREATE TABLE IF NOT EXISTS b (id int);\n");
    add(&world, "0006_c", "CREATE TABLE IF NOT EXISTS c (id int);\n");
    world.git(&["push", "-q", "origin", "main"]).ok();
    let before = world.read(BASELINE);
    world
        .dbbuild(&["squash", "--before", "6"])
        .ok()
        .says("also holds what repeatable files and init data made then")
        .says("made from a replay of them");
    let squash = world.read("db/migrations/0005_squashed.sql");
    assert!(!squash.contains("CREATE VIEW") && !squash.contains("\n3\t"), "migrations alone: {squash}");
    assert_eq!(said(&world.read(BASELINE)), said(&before));
    world.commit("Squash").ok();
    // A branch from before meets it: git takes the files, the driver makes the baseline.
    world.git(&["merge", "-q", "side", "-m", "Merge side"]).ok();
    world.dbbuild(&["verify", "--rev", "HEAD", "--full"]).ok();
    assert!(world.read(BASELINE).contains("0007\tside"));
    assert_eq!(names(&world.path("db/migrations")), ["0005_squashed.sql", "0006_c.sql", "0007_side.sql"]);
    world.dbbuild(&["build"]).ok();
    world.dbbuild(&["status", "--exit-code"]).ok().says("3 applied, 0 pending");
}

#[test]
fn half_of_a_real_history_is_squashed() {
    let Some(folder) = histories() else { return };
    let Some(server) = Server::private(15, &[]) else { return };
    let (old, new) = (server.fresh_database(), server.fresh_database());
    let world = World::new();
    let mut files: Vec<_> =
        fs::read_dir(folder.join("crates_io/up")).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let name = |at: usize| files[at].file_name().unwrap().to_str().unwrap().to_owned();
    world.write(
        "dbbuild.toml",
        format!(
            "[postgres]\nversion = 15\nthrowaway = \"local\"\ndatabase = \"app\"\n[migrations]\nidempotent = \"off\"\n\
             volatile = \"warn\"\n[env.development]\nurl = \"{}\"\n[env.new]\nurl = \"{}\"\n",
            old.url, new.url
        ),
    );
    for (at, file) in files.iter().enumerate() {
        world.write(&format!("db/migrations/{}", name(at)), fs::read(file).unwrap());
    }
    world.dbbuild(&["build"]).ok();
    world.commit("All").ok();
    let (before, rows) = (world.read(BASELINE), versions(&old));
    let half = files.len() / 2;
    let version = name(half).split('_').next().unwrap().to_owned();
    world.dbbuild(&["squash", "--before", &version]).ok().says(&format!("stands for {half} migrations now"));
    assert_eq!(said(&world.read(BASELINE)), said(&before));
    world.commit("Squash").ok();
    world.dbbuild(&["verify", "--rev", "HEAD", "--full"]).ok();
    world.dbbuild(&["build"]).ok().says("nothing to do");
    world.dbbuild(&["apply", "--env", "new"]).ok();
    assert_eq!(versions(&new), rows);
    let schema = |database: &Db<'_>| {
        let dump = server.run("pg_dump", &["-s", "--exclude-schema=dbbuild", "-d", &database.name]).ok().stdout.clone();
        dump.lines().filter(|line| !line.starts_with('\\')).collect::<Vec<_>>().join("\n").replace(&database.name, "DB")
    };
    assert_eq!(schema(&new), schema(&old));
}

#[test]
fn what_was_kept_of_its_migrations_comes_back_with_a_squash() {
    let Some(server) = server(15) else { return };
    let (local, production) = (server.fresh_database(), server.fresh_database());
    let world = World::new();
    world.write(
        "dbbuild.toml",
        format!(
            "[postgres]\nversion = 15\nthrowaway = \"local\"\ndatabase = \"app\"\n[env.development]\nurl = \"{}\"\n\
             [env.production]\nurl = \"{}\"\nprotected = true\n",
            local.url, production.url
        ),
    );
    add(&world, "0001_a", "CREATE TABLE IF NOT EXISTS a (id int PRIMARY KEY);\n-- migrate:down\nDROP TABLE a;\n");
    let note = "ALTER TABLE a ADD COLUMN IF NOT EXISTS note text;\n-- migrate:down\nALTER TABLE a DROP COLUMN note;\n";
    add(&world, "0002_note", note);
    add(&world, "0003_b", "CREATE TABLE IF NOT EXISTS b (id int PRIMARY KEY);\n-- migrate:down\nDROP TABLE b;\n");
    world.add_origin();
    world.git(&["push", "-q", "origin", "main"]).ok();
    world.dbbuild(&["build"]).ok();
    local.psql("INSERT INTO a VALUES (1, 'one'), (2, NULL); INSERT INTO b VALUES (7)");
    world.dbbuild(&["downgrade", "--to", "0", "--yes"]).ok().says("took back 0001_a");
    assert_eq!(local.psql("SELECT string_agg(version, ' ' ORDER BY id) FROM dbbuild_attic.entry"), "0003 0002 0001");

    world.dbbuild(&["squash", "--before", "0003"]).ok();
    world.commit("Squash").ok();
    world.dbbuild(&["build"]).ok().says("gave back").says_not("in conflict");
    assert_eq!(
        local.psql("SELECT string_agg(a::text, ' ' ORDER BY id), (SELECT max(id) FROM b) FROM a"),
        "(1,one) (2,)|7"
    );
    assert_eq!(local.psql("SELECT count(*) FROM dbbuild_attic.entry"), "0");
}
