//! Bad input: each fault has its message, its place, its help and its exit status, and leaves database and files as
//! they were.

use std::os::unix::fs::symlink;

use crate::support::{Db, World, server};

const CONFIG: &str = r#"
[postgres]
version = 15
throwaway = "local"
database = "shop"
[env.development]
url_env = "DEVELOPMENT_URL"
"#;

/// A world without git that holds a configuration and one sound migration.
fn world() -> World {
    let world = World::without_git();
    world.write("dbbuild.toml", CONFIG).write("db/migrations/1_ok.sql", "CREATE TABLE IF NOT EXISTS ok (id int);\n");
    world
}

/// What stands in a database's schemas, beside dbbuild's own.
fn relations(db: &Db<'_>) -> String {
    db.psql(
        "SELECT string_agg(relname, ' ' ORDER BY relname) FROM pg_class \
         WHERE relkind IN ('r', 'v', 'm') AND relnamespace = 'public'::regnamespace",
    )
}

/// A file that must be refused before anything runs, with what the message must say.
struct Fault {
    path: &'static str,
    text: &'static [u8],
    says: &'static [&'static str],
}

const BAD: &str = "db/migrations/2_bad.sql";

const FAULTS: &[Fault] = &[
    Fault {
        path: BAD,
        text: b"SELECT 1;\n  SELECT 'abc;\n",
        says: &["error: unclosed quote at db/migrations/2_bad.sql:2:10", "nothing was run"],
    },
    Fault {
        path: BAD,
        text: b"SELECT 1;\nSELECT $x$ abc $y$;\n",
        says: &["error: unclosed dollar quote at db/migrations/2_bad.sql:2:8"],
    },
    Fault {
        path: BAD,
        text: b"SELECT 1; /* a /* nested */\nSELECT 2;",
        says: &["error: unclosed comment at db/migrations/2_bad.sql:1:11"],
    },
    Fault { path: BAD, text: b"SELECT \"abc;\n", says: &["at db/migrations/2_bad.sql:1:8", "help: it opens here"] },
    Fault { path: BAD, text: b" \n\t\n", says: &["error: the file is empty at db/migrations/2_bad.sql\n", "help: "] },
    Fault {
        path: BAD,
        text: b"SELECT 1;\nSELECT '\xe9';",
        says: &["error: invalid UTF-8 (byte 0xe9) at db/migrations/2_bad.sql:2:9", "help: convert"],
    },
    Fault { path: BAD, text: b"\xff\xfeS\0E\0", says: &["2_bad.sql:1:1", "it looks like UTF-16"] },
    Fault { path: BAD, text: b"SELECT 1;\n\0", says: &["NUL character", "2_bad.sql:2:1"] },
    Fault {
        path: BAD,
        text: b"CREATE TABLE z ();\n\\i other.sql\n",
        says: &["error: psql meta-commands are not SQL: `\\i` at db/migrations/2_bad.sql:2:1", "help: "],
    },
    Fault {
        path: BAD,
        text: b"CREATE TABLE z ();\n  COMMIT;\nCREATE TABLE zz ();\n",
        says: &[
            "error: COMMIT in a file that runs in one transaction at db/migrations/2_bad.sql:2:3",
            "help: take it out",
        ],
    },
    Fault {
        path: BAD,
        text: b"-- dbbuild:idempotant false because\nSELECT 1;",
        says: &[
            "error: unknown directive `idempotant` at db/migrations/2_bad.sql:1",
            "help: did you mean `-- dbbuild:idempotent`?",
        ],
    },
    Fault {
        path: BAD,
        text: b"\n-- migrate:upp\nSELECT 1;",
        says: &["error: unknown section `upp` at db/migrations/2_bad.sql:2", "help: did you mean `-- migrate:up`?"],
    },
    Fault {
        path: BAD,
        text: b"-- migrate:up transactions:false\nSELECT 1;",
        says: &["unknown option `transactions` at db/migrations/2_bad.sql:1", "did you mean `transaction:false`?"],
    },
    Fault {
        path: BAD,
        text: b"SELECT 1;\nDROP SCHEMA IF EXISTS dbbuild CASCADE;",
        says: &["error: a script must not change the schema dbbuild at db/migrations/2_bad.sql:2:1", "nothing was run"],
    },
    Fault {
        path: BAD,
        text: b"UPDATE dbbuild.environment SET protected = false;",
        says: &["a script must not change the schema dbbuild at db/migrations/2_bad.sql:1:1"],
    },
    Fault {
        path: "db/migrations/01_again.sql",
        text: b"SELECT 1;",
        says: &["error: version 1 is used twice at db/migrations/1_ok.sql", "db/migrations/01_again.sql has it too"],
    },
    Fault {
        path: "db/migrations/v2_bad.sql",
        text: b"SELECT 1;",
        says: &[
            "the file name is not one of a migration at db/migrations/v2_bad.sql",
            "help: a migration is called VERSION_name.sql",
        ],
    },
    Fault {
        path: "db/migrations/2_bad.sql.orig",
        text: b"SELECT 1;",
        says: &["error: not a file of SQL at db/migrations/2_bad.sql.orig", "help: "],
    },
    Fault {
        path: "db/migrations/more/2_bad.sql",
        text: b"SELECT 1;",
        says: &["stands in a subfolder at db/migrations/more/2_bad.sql"],
    },
    Fault {
        path: "db/migrations/bad\n\x1b[31m.sql",
        text: b"SELECT 1;",
        says: &["at db/migrations/bad\\n\\u{1b}[31m.sql\n"],
    },
    Fault {
        path: "db/repeatable/view.sql",
        text: b"-- dbbuild:after nowhere.sql\nSELECT 1;",
        says: &["db/repeatable/view.sql:1", "nowhere.sql"],
    },
    Fault {
        path: "db/init/rows.sql",
        text: b"COPY ok FROM stdin; SELECT 1;\n1\n\\.\n",
        says: &["text follows COPY", "db/init/rows.sql:1:2"],
    },
];

#[test]
fn faults_of_files_are_refused_before_anything_runs() {
    let Some(server) = server(15) else { return };
    let db = server.fresh_database();
    for fault in FAULTS {
        let world = world();
        world.write(fault.path, fault.text);
        for command in ["apply", "plan"] {
            let outcome = world.dbbuild(&[command, "--url", &db.url]);
            outcome.fails(1);
            fault.says.iter().for_each(|text| _ = outcome.says(text));
        }
        assert_eq!(relations(&db), "", "{}", fault.path.escape_debug());
    }
    let schemas = db.psql("SELECT count(*) FROM pg_namespace WHERE nspname = 'dbbuild'");
    assert_eq!(schemas, "0", "not even the version table was made");
}

#[test]
fn all_faults_are_told_at_once_in_json_too() {
    let world = world();
    world.write(BAD, "").write("db/migrations/x.sql", "SELECT 1;").write("db/checks/c.sql", b"\xff");
    let outcome = world.dbbuild(&["verify", "--worktree", "--json"]);
    outcome.fails(1);
    let value = outcome.json();
    let error = &value["error"];
    let places: Vec<&str> = std::iter::once(error)
        .chain(error["others"].as_array().unwrap())
        .map(|error| error["location"]["path"].as_str().unwrap())
        .collect();
    assert_eq!(places, [BAD, "db/migrations/x.sql", "db/checks/c.sql"]);
    assert_eq!(error["status"], 1);
    assert_eq!(error["message"], "the file is empty");
    assert!(!error["help"][0].as_str().unwrap().is_empty());
}

#[test]
fn a_configuration_is_needed_and_must_be_sound() {
    let world = World::without_git();
    world.dbbuild(&["plan"]).fails(2).says("error: there is no dbbuild.toml in ").says("help: run `dbbuild init`");
    for (text, says) in [
        ("[postgres]\nversion = = 15\n", "dbbuild.toml:2:11"),
        ("default_env = \"development\"\n[postgres]\n  vresion = 15\n", "dbbuild.toml:3:3"),
        ("[postgres]\nversion = \"x\"\n", "dbbuild.toml:2:11"),
        ("[postgress]\nversion = 15\n", "dbbuild.toml:1:2"),
        ("[env.development]\nurl = \"postgres:///a\"\nurl_env = \"B\"\n", "dbbuild.toml:"),
    ] {
        world.write("dbbuild.toml", text);
        world.dbbuild(&["plan"]).fails(2).says("error: ").says(says);
    }
    world.write("dbbuild.toml", "[postgres]\nvresion = 15\n");
    world.dbbuild(&["plan"]).fails(2).says("unknown key").says("did you mean `version`?");
    world.write("dbbuild.toml", CONFIG);
    world.dbbuild(&["plan"]).fails(2).says("the environment variable DEVELOPMENT_URL is not set").says("help: ");
    world.dbbuild(&["plan", "--env", "nowhere"]).fails(2).says("nowhere").says("help: ");
    world.dbbuild(&["aply"]).fails(2);
    world.dbbuild(&["-C", "nowhere", "plan"]).fails(2).says("there is no folder nowhere");
    world.dbbuild(&["--config", "nowhere.toml", "plan"]).fails(2).says("nowhere.toml");
}

#[test]
fn without_git_only_the_index_and_commits_are_out_of_reach() {
    let Some(server) = server(15) else { return };
    let (db, other) = (server.fresh_database(), server.fresh_database());
    let world = world();
    for arguments in [&["verify"][..], &["verify", "--rev", "HEAD"], &["hooks", "install"]] {
        world.dbbuild(arguments).fails(2).says("not").says("a git repository").says("help: ");
    }
    world.dbbuild(&["baseline"]).ok();
    world.dbbuild(&["verify", "--worktree"]).ok();
    world.dbbuild(&["plan", "--url", &db.url]).ok();
    world.dbbuild(&["apply", "--url", &db.url, "--commit", "abc123"]).ok();
    world.dbbuild(&["status", "--url", &db.url, "--exit-code"]).ok();
    world.dbbuild(&["bootstrap", "--url", &other.url, "--commit", "def456"]).ok();
    assert_eq!(db.psql("SELECT git_commit FROM dbbuild.migration"), "abc123");
    assert_eq!(relations(&other), "ok");
    world.dbbuild(&["bootstrap", "--url", &other.url]).fails(1).says("it is not empty");
}

#[test]
fn line_endings_and_byte_order_marks_do_not_count() {
    let Some(server) = server(15) else { return };
    let db = server.fresh_database();
    let world = world();
    world.write(
        BAD,
        "\u{feff}-- migrate:up\r\nCREATE TABLE a (t text DEFAULT 'x');\r\n\r\n-- migrate:down\r\nDROP TABLE a;\r\n",
    );
    world.dbbuild(&["apply", "--url", &db.url]).ok();
    world.write(BAD, "-- migrate:up\nCREATE TABLE a (t text DEFAULT 'x');\n\n-- migrate:down\nDROP TABLE a;\n");
    world.dbbuild(&["apply", "--url", &db.url]).ok().says("is up to date");
    assert_eq!(
        db.psql("SELECT position(chr(13) IN up_sql || down_sql) FROM dbbuild.migration WHERE version = '2'"),
        "0"
    );
    // Within a line, a carriage return is the author's.
    world.write(BAD, "-- migrate:up\nCREATE TABLE a (t text DEFAULT 'x\r');\n\n-- migrate:down\nDROP TABLE a;\n");
    world.dbbuild(&["apply", "--url", &db.url]).fails(1).says("was applied to this database with other content");
}

#[test]
fn names_may_hold_anything() {
    let Some(server) = server(15) else { return };
    let (db, other) = (server.fresh_database(), server.fresh_database());
    let world = world();
    let names = ["2_it's a \"name\".sql", "3_größe ✓.sql", "4_new\nline\t\\.sql", "5_$x$; DROP TABLE ok; --.sql"];
    for (n, name) in names.iter().enumerate() {
        world.write(&format!("db/migrations/{name}"), format!("CREATE TABLE IF NOT EXISTS t{n} (id int);"));
    }
    world.write("db/init/it's\n.sql", "INSERT INTO ok SELECT 1 WHERE NOT EXISTS (SELECT FROM ok);");
    world.dbbuild(&["apply", "--url", &db.url]).ok();
    world.dbbuild(&["apply", "--url", &db.url]).ok().says("is up to date");
    world.dbbuild(&["baseline"]).ok();
    world.dbbuild(&["verify", "--worktree"]).ok();
    world.dbbuild(&["bootstrap", "--url", &other.url]).ok();
    for db in [&db, &other] {
        assert_eq!(relations(db), "ok t0 t1 t2 t3");
        assert_eq!(db.psql("SELECT name = E'new\\nline\\t\\\\' FROM dbbuild.migration WHERE version = '4'"), "t");
        assert_eq!(db.psql("SELECT count(*) FROM dbbuild.file WHERE name = E'it''s\\n.sql'"), "1");
    }
}

#[test]
fn symbolic_links_stay_in_the_tree() {
    let world = world();
    let outside = world.home().join("secret.sql");
    std::fs::write(&outside, "SELECT 'secret';").unwrap();
    let link = world.path(BAD);
    for target in [outside.to_str().unwrap(), "../../../home/secret.sql", "../nowhere.sql", "2_bad.sql"] {
        symlink(target, &link).unwrap();
        let outcome = world.dbbuild(&["verify", "--worktree"]);
        outcome.fails(1).says("symbolic link out of the tree").says("at db/migrations/2_bad.sql").says_not("'secret'");
        std::fs::remove_file(&link).unwrap();
    }
    world.write("db/init/rows.sql", "SELECT 1;");
    symlink("../init/rows.sql", &link).unwrap();
    world.dbbuild(&["baseline"]).ok();
}

#[test]
fn a_password_in_a_file_fails_verification() {
    let world = world();
    world.write(BAD, "-- a role\nCREATE ROLE shop_app\n  LOGIN PASSWORD 'geheim';\n");
    for arguments in [&["baseline"][..], &["verify", "--worktree"]] {
        let outcome = world.dbbuild(arguments);
        outcome.fails(1).says("error: a password stands in the file at db/migrations/2_bad.sql:3:18").says("help: ");
        outcome.says_not("geheim");
    }
    assert!(!world.path("db/baseline.sql").exists());
}

#[test]
fn a_large_file_of_rows_is_streamed() {
    let Some(server) = server(15) else { return };
    let db = server.fresh_database();
    let world = world();
    let mut text = String::from("CREATE TABLE big (id int, note text);\nCOPY big FROM stdin;\n");
    let note = "x".repeat(90);
    (0..200_000).for_each(|id| text.push_str(&format!("{id}\t{note}\n")));
    text.push_str("\\.\nCREATE INDEX ON big (id);\n");
    assert!(text.len() > 18_000_000);
    world.write(BAD, text.as_bytes());
    world.dbbuild(&["apply", "--url", &db.url]).ok();
    assert_eq!(db.psql("SELECT count(*), max(id) FROM big"), "200000|199999");
    world.dbbuild(&["apply", "--url", &db.url]).ok().says("is up to date");
    assert_eq!(db.applied(), "1 2");
}
