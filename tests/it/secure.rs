//! Secure migrations: the body in git is a stand-in, the real one is found under `secure_path`; and its words are nowhere
//! else: in no output, not in git, not in the version table, not in the server's log.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::{Outcome, World, free_port, runner, server};

/// No other test uses this word, so that it can be looked for in the logs of all servers.
const SECRET: &str = "zypfelquark";
const STAND_IN: &str = "-- dbbuild:secure\n-- migrate:up\n\
    INSERT INTO key VALUES (1, 'scrubbed') ON CONFLICT DO NOTHING;\n\
    -- migrate:down\nDELETE FROM key WHERE id = 1;\n";
const TABLE: &str = "CREATE TABLE IF NOT EXISTS key (id int PRIMARY KEY, value text NOT NULL);\n";

fn body() -> String {
    format!("-- {SECRET}\nINSERT INTO key VALUES (1, '{SECRET}') ON CONFLICT DO NOTHING;\n")
}

/// A project whose servers log every statement, with a table and, as `2_key.sql`, a stand-in.
fn project(environments: &str) -> World {
    let world = World::new();
    let settings = "settings = { log_statement = \"all\", log_min_duration_statement = 0 }";
    world.write("dbbuild.toml", format!("[postgres]\nversion = 15\nthrowaway = \"local\"\n{settings}\n{environments}"));
    world.write("db/migrations/1_table.sql", TABLE).write("db/migrations/2_key.sql", STAND_IN);
    world.write(".gitignore", "/secure/\n.env*\n");
    world.dbbuild(&["baseline"]).ok().says("1 migration,");
    world
}

fn row(world: &World, env: &str, sql: &str) -> String {
    let outcome = world.dbbuild(&["psql", "--env", env, "--", "-XAtc", sql]);
    outcome.ok();
    outcome.stdout
}

/// Every file below a folder whose name has a word in it, and that holds another.
fn holding(folder: &Path, named: &str, word: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let (path, kind) = (entry.path(), entry.file_type().unwrap());
        if kind.is_dir() {
            found.extend(holding(&path, named, word));
        } else if entry.file_name().to_string_lossy().contains(named)
            && fs::read(&path).is_ok_and(|bytes| bytes.windows(word.len()).any(|window| window == word.as_bytes()))
        {
            found.push(path.display().to_string());
        }
    }
    found
}

/// The logs of servers that hold a word.
fn logs(world: &World, word: &str) -> Vec<String> {
    let state = world.run(world.command("sh").args(["-c", "echo $DBBUILD_STATE_DIR"])).stdout;
    holding(Path::new(state.trim()), "log", word)
}

const FOLDERS: &str = "[env.development]\n[env.staging]\ndatabase = \"staging\"\nsecure_path = \"secure/staging\"\n\
    [env.production]\ndatabase = \"prod\"\nprotected = true\nsecure_path = [\"secure/none\", \"secure/production\"]\n\
    [env.bare]\ndatabase = \"bare\"\nprotected = true\n";

#[test]
fn the_body_runs_and_is_told_nowhere() {
    if server(15).is_none() {
        return;
    }
    let world = project(FOLDERS);
    let mut told: Vec<Outcome> = Vec::new();
    let mut tell = |outcome: Outcome| {
        told.push(outcome.clone());
        outcome
    };
    world.write("secure/upload/2_key.sql", body());
    let put = ["secure", "put", "secure/upload/2_key.sql", "--env", "staging", "--env", "production"];
    tell(world.dbbuild(&put)).ok().says("staging: secure/staging/2_key.sql").says("production: secure/none/2_key.sql");
    let mode = fs::metadata(world.path("secure/none/2_key.sql")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    // It lies at the second place: there it is found, and there it is replaced.
    fs::rename(world.path("secure/none"), world.path("secure/production")).unwrap();
    tell(world.dbbuild(&["secure", "put", "secure/upload/2_key.sql", "--env", "production"]))
        .ok()
        .says("production: secure/production/2_key.sql");
    assert_eq!(world.dbbuild(&["secure", "get", "key", "--env", "production"]).ok().stdout, body());
    tell(world.dbbuild(&["secure", "status", "--all"])).ok().says("pending").says("secure/production/2_key.sql");
    tell(world.dbbuild(&["secure", "status", "--all", "--exit-code"])).fails(3);
    tell(world.dbbuild(&["secure", "try", "--env", "production"])).ok().says("1 real body among them");

    // No place: the stand-in runs, which is said; where the environment is protected it does not.
    tell(world.dbbuild(&[])).ok().says("the stand-in of 2_key runs").says("applied db/migrations/2_key.sql");
    assert_eq!(row(&world, "development", "SELECT value FROM key"), "scrubbed\n");
    tell(world.dbbuild(&["bootstrap", "--env", "bare"])).fails(1).says("must not run in `bare`").says("secure_path");

    tell(world.dbbuild(&["plan", "--bootstrap", "--env", "production", "--json"]))
        .ok()
        .says("its body is secure/production/2_key.sql");
    tell(world.dbbuild(&["bootstrap", "--env", "production", "--verbose"]))
        .ok()
        .says("applied db/migrations/2_key.sql");
    assert_eq!(row(&world, "production", "SELECT value FROM key"), format!("{SECRET}\n"));
    let table = row(&world, "production", "SELECT to_jsonb(m) FROM dbbuild.migration m WHERE version = '2'");
    assert!(table.contains("\"up_sql\": null") && !table.contains(SECRET), "{table}");
    assert!(!table.contains("\"body_checksum\": null"), "{table}");
    tell(world.dbbuild(&["secure", "status", "--env", "production", "--exit-code"])).ok().says("applied");
    tell(world.dbbuild(&["status", "--env", "production", "--json"])).ok().says("\"secure\":true");
    tell(world.dbbuild(&["log", "--env", "production", "--json"])).ok();
    tell(world.dbbuild(&["apply", "--allow-dirty", "--env", "production"])).ok().says_not("applied db/");

    // A body that changed after it was applied is told; it does not run again.
    let world = {
        let mut world = world;
        world.set("EDITOR", "sed -i -e s/DO/do/");
        world
    };
    tell(world.dbbuild(&["secure", "edit", "2", "--env", "production"])).ok().says("secure/production/2_key.sql");
    tell(world.dbbuild(&["secure", "edit", "2", "--env", "production"])).ok().says("unchanged");
    tell(world.dbbuild(&["secure", "status", "--env", "production", "--exit-code"])).fails(3).says("changed");
    tell(world.dbbuild(&["apply", "--allow-dirty", "--env", "production"])).ok().says_not("applied db/");
    assert!(holding(&world.home().join("../tmp"), "2_key", SECRET).is_empty());

    tell(world.commit("all")).ok();
    tell(world.dbbuild(&["verify", "--rev", "HEAD", "--full"])).ok();
    tell(world.dbbuild(&["doctor"]));
    assert_eq!(holding(&world.path(".git"), "", SECRET), [""; 0]);
    world.run(world.command("git").args(["log", "-p", "--all"])).ok().says_not(SECRET);
    for outcome in &told {
        outcome.says_not(SECRET);
    }
    assert!(!logs(&world, "scrubbed").is_empty(), "what is no secret is logged, so this looks where it should");
    // What psql was asked for above names the column, not the word.
    assert_eq!(logs(&world, SECRET), [""; 0]);
}

#[test]
fn what_fails_is_told_without_its_words() {
    if server(15).is_none() {
        return;
    }
    let world = project(FOLDERS);
    world.dbbuild(&["bootstrap", "--env", "staging"]).fails(1).says("the body of 2_key for staging is missing");
    world.write("db/migrations/3_more.sql", "CREATE TABLE IF NOT EXISTS more (id int);\n");
    world.dbbuild(&["baseline"]).ok();
    fs::create_dir_all(world.path("secure/staging")).unwrap();
    let word = SECRET;
    for (text, said) in [
        (format!("SELECT 1;\nINSERT INTO key VALUES (5, '{word}'), (5, 'x');"), "2_key.sql:2"),
        (format!("SELECT '{word}'::int;"), "invalid input syntax for type integer: \"…\" (22P02)"),
        (
            format!("DO $$ BEGIN RAISE NOTICE '{word}'; RAISE EXCEPTION '{word}' USING DETAIL = '{word}'; END $$;"),
            "P0001",
        ),
        (format!("SELECT {word};"), "42703"),
        (format!("SELEC '{word}';"), "syntax error at or near \"…\""),
        (format!("UPDATE {word} SET a = 1;"), "relation \"…\" does not exist (42P01)"),
        (format!("COPY key FROM stdin;\n7\t{word}\n{word}\tx\n\\.\n"), "22P02"),
        (
            format!("CREATE TABLE {word} (id int);"),
            "the secure body changes more than rows at secure/staging/2_key.sql:1",
        ),
        (format!("-- dbbuild:{word}\nSELECT 1;"), "has a directive that is not sound at secure/staging/2_key.sql:1"),
        (format!("\nSELECT '{word};"), "unclosed quote at secure/staging/2_key.sql:2"),
        (format!("-- {word}\n"), "holds no statement"),
    ] {
        world.write("secure/staging/2_key.sql", &text);
        let outcome = world.dbbuild(&["apply", "--allow-dirty", "--env", "staging", "--verbose"]);
        assert_eq!(outcome.status, 1, "{text}\n{}", outcome.show());
        outcome.says(said).says_not(word);
        world.dbbuild(&["secure", "try", "--env", "staging"]).fails(1).says_not(word);
        assert_eq!(row(&world, "staging", "SELECT count(*) FROM key WHERE id <> 1"), "0\n");
    }
    // What only a trial shows, since no word of the body tells.
    world.write(
        "secure/staging/2_key.sql",
        format!("DO $$ BEGIN EXECUTE 'CREATE TABLE IF NOT EXISTS ' || '{word}' || ' ()'; END $$;"),
    );
    world.dbbuild(&["secure", "try", "--env", "staging"]).fails(1).says("2_key changes more than rows");
    world.write(
        "secure/staging/2_key.sql",
        "UPDATE key SET value = value || 'x'; INSERT INTO key VALUES (4, 'y') ON CONFLICT DO NOTHING;",
    );
    world
        .dbbuild(&["secure", "try", "--env", "staging"])
        .fails(1)
        .says("changes rows of public.key when it is run again");
    assert_eq!(logs(&world, word), [""; 0]);
}

#[test]
fn a_body_that_is_missing_stops_everything_before_it_begins() {
    if server(15).is_none() {
        return;
    }
    let world = project(FOLDERS);
    world.write("secure/staging/2_key.sql", body());
    world.dbbuild(&["bootstrap", "--env", "staging"]).ok();
    world.write("db/migrations/3_more.sql", "CREATE TABLE IF NOT EXISTS more (id int);\n");
    world.write("db/migrations/4_key.sql", STAND_IN.replace('1', "2"));
    world.write("db/migrations/5_key.sql", STAND_IN.replace('1', "3"));
    let refused = world.dbbuild(&["apply", "--allow-dirty", "--env", "staging"]);
    refused.fails(1).says("the body of 4_key for staging is missing").says("the body of 5_key for staging is missing");
    refused.says("dbbuild secure put 4_key.sql --env staging");
    world.dbbuild(&["plan", "--env", "staging"]).fails(1).says("the body of 4_key for staging is missing");
    world.dbbuild(&["status", "--env", "staging"]).ok().says("pending      3_more").says("2 applied, 3 pending");
    world.dbbuild(&["secure", "status", "--env", "staging"]).ok().says("missing");
}

#[test]
fn git_must_ignore_a_folder_in_the_repository() {
    if server(15).is_none() {
        return;
    }
    let world = project(FOLDERS);
    world.write(".gitignore", ".env*\n");
    world.write("body.sql", body());
    let put = ["secure", "put", "body.sql", "--migration", "2", "--env", "staging"];
    world
        .dbbuild(&put)
        .fails(1)
        .says("git does not ignore it")
        .says("add `/secure/staging/` to .gitignore")
        .says_not(SECRET);
    assert!(!world.path("secure").exists());
    world.dbbuild(&["secure", "new", "more keys", "--env", "staging"]).fails(1).says("git does not ignore it");
    assert_eq!(fs::read_dir(world.path("db/migrations")).unwrap().count(), 2, "nothing was written");
    world.write(".gitignore", "/secure/\n");
    let new = world.dbbuild(&["secure", "new", "more keys", "--env", "staging", "--env", "production"]);
    let paths: Vec<&str> = new.ok().stdout.lines().collect();
    assert!(paths[0].ends_with("_more_keys.sql") && paths[1].starts_with("secure/staging/"), "{paths:?}");
    assert!(paths[2].starts_with("secure/none/"), "{paths:?}");
    world.dbbuild(&["secure", "try", "--env", "staging"]).fails(1).says("the secure body holds no statement");
    // git has it already: ignoring it comes too late.
    world.git(&["add", "--force", "secure/staging"]).ok();
    world.dbbuild(&put).fails(1).says("git does not ignore it");
    world
        .dbbuild(&["secure", "get", "nothing", "--env", "staging"])
        .fails(2)
        .says("there is no secure migration nothing");
    world.dbbuild(&["status", "--env", "staging", "--env", "production"]).fails(2).says("`--env` is given twice");
}

/// A server with the API of S3, and a bucket in it.
struct Moto {
    child: Child,
    port: u16,
}

impl Moto {
    fn start(program: &Path) -> Moto {
        let port = free_port();
        let mut command = Command::new(program);
        command.args(["-H", "127.0.0.1", "-p", &port.to_string()]).stdout(Stdio::null()).stderr(Stdio::null());
        let moto = Moto { child: command.spawn().unwrap(), port };
        let start = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(start.elapsed() < Duration::from_secs(60), "moto does not answer");
            std::thread::sleep(Duration::from_millis(100));
        }
        moto.put("/vault");
        moto
    }

    /// Makes a bucket.
    fn put(&self, path: &str) {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        write!(stream, "PUT {path} HTTP/1.0\r\nHost: 127.0.0.1\r\nContent-Length: 0\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.contains(" 200 "), "{answer}");
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        let _ = self.child.kill().and_then(|()| self.child.wait());
    }
}

#[test]
fn an_object_store_holds_bodies() {
    let Some(program) = runner("DBBUILD_TEST_MOTO") else { return };
    if server(15).is_none() {
        return;
    }
    let moto = Moto::start(&program);
    let mut world = project(
        "[env.development]\n[env.production]\ndatabase = \"prod\"\nprotected = true\n\
         secure_path = [\"secure/first\", \"s3://vault/keys/prod\"]\n\
         [env.staging]\ndatabase = \"staging\"\nsecure_path = \"s3://vault\"\n\
         [env.wrong]\ndatabase = \"wrong\"\nsecure_path = \"s3://no-such-vault/x\"\n",
    );
    let variables = "AWS_ACCESS_KEY_ID=key\nAWS_SECRET_ACCESS_KEY=wurzelbrumm\nAWS_REGION=us-east-1\n";
    world.write(".env", format!("{variables}AWS_ENDPOINT_URL=http://127.0.0.1:{}\n", moto.port));
    // Nothing goes in the clear unless that is said.
    let get = ["secure", "get", "2", "--env", "production"];
    world.dbbuild(&get).fails(1).says("s3://vault/keys/prod/2_key.sql").says_not("wurzelbrumm");
    world.set("AWS_ALLOW_HTTP", "true");
    world.dbbuild(&get).fails(1).says("the body of 2_key for production is missing");

    // The first place takes it, unless it lies at the second.
    world.write("body.sql", body());
    fs::write(world.path("secure"), "no folder").unwrap();
    let put = ["secure", "put", "body.sql", "--migration", "2", "--env", "production", "--env", "staging"];
    world.dbbuild(&put).ok().says("production: s3://vault/keys/prod/2_key.sql").says("staging: s3://vault/2_key.sql");
    fs::remove_file(world.path("secure")).unwrap();
    assert_eq!(world.dbbuild(&get).ok().stdout, body());
    world.dbbuild(&["secure", "try", "--env", "production"]).ok().says("1 real body");
    world.dbbuild(&["bootstrap", "--env", "production"]).ok().says("applied db/migrations/2_key.sql").says_not(SECRET);
    assert_eq!(row(&world, "production", "SELECT value FROM key"), format!("{SECRET}\n"));
    let status = world.dbbuild(&["secure", "status", "--env", "production", "--env", "staging", "--json"]);
    status.ok().says("\"state\":\"applied\"").says("\"state\":\"pending\"").says("s3://vault/keys/prod/2_key.sql");

    // The folder comes first.
    world.write("secure/first/2_key.sql", "SELECT 'first';\n");
    assert_eq!(world.dbbuild(&get).ok().stdout, "SELECT 'first';\n");
    world.dbbuild(&["secure", "status", "--env", "production"]).ok().says("changed");

    world
        .dbbuild(&["bootstrap", "--env", "wrong"])
        .fails(1)
        .says("cannot read s3://no-such-vault/x/2_key.sql")
        .says("NoSuchBucket");
    world.dbbuild(&["secure", "put", "body.sql", "--migration", "2", "--env", "wrong"]).fails(1);
    drop(moto);
    let gone = world.dbbuild(&["bootstrap", "--env", "staging"]);
    gone.fails(1).says("cannot read s3://vault/2_key.sql").says_not("wurzelbrumm");
}

#[test]
fn a_role_that_may_not_silence_the_log_is_told_so() {
    let Some(server) = server(15) else { return };
    let db = server.fresh_database();
    let role = format!("{}_app", db.name);
    db.psql(&format!(
        "CREATE ROLE {role} LOGIN; ALTER DATABASE {} OWNER TO {role}; GRANT ALL ON SCHEMA public TO {role}",
        db.name
    ));
    let url = db.url.replace("postgres@", &format!("{role}@"));
    assert_ne!(url, db.url);
    let world = project(FOLDERS);
    world.write("secure/staging/2_key.sql", body());
    let applied = world.dbbuild(&["apply", "--allow-dirty", "--env", "staging", "--url", &url]);
    applied.ok().says("may show the body of 2_key: this role may not set log_min_error_statement").says_not(SECRET);
    assert_eq!(db.psql("SELECT count(*) FROM key WHERE value <> 'scrubbed'").trim(), "1");
    db.psql(&format!("ALTER DATABASE {} OWNER TO postgres; DROP OWNED BY {role} CASCADE; DROP ROLE {role}", db.name));
}

#[test]
fn what_was_kept_of_a_secure_migration_comes_back_with_its_body() {
    if server(15).is_none() {
        return;
    }
    let world = project(FOLDERS);
    world.write("secure/staging/2_key.sql", body());
    world.dbbuild(&["--env", "staging"]).ok();
    row(&world, "staging", "UPDATE key SET value = value || 'er'");
    world.dbbuild(&["downgrade", "--env", "staging", "--to", "1", "--yes"]).ok().says("took back 2_key");
    assert_eq!(row(&world, "staging", "SELECT count(*) FROM key"), "0\n");
    world.dbbuild(&["apply", "--env", "staging", "--allow-dirty"]).ok().says("gave back 1 row").says_not(SECRET);
    assert_eq!(row(&world, "staging", "SELECT value FROM key"), format!("{SECRET}er\n"));
}
