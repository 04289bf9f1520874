//! The parser's messages, and that the reference lists what the parser knows.

use std::collections::BTreeSet;
use std::time::Duration;

use proptest::prelude::*;

use super::value::parse_duration;
use super::*;
use crate::error::{Error, Status};

fn fault(text: &str) -> Error {
    let error = Config::parse(text, "dbbuild.toml").expect_err("the text is wrong");
    assert_eq!(error.status(), Status::Usage);
    error
}

fn shown(text: &str) -> String {
    let error = fault(text);
    format!("{error} | {}", error.helps().join(" "))
}

#[test]
fn an_empty_file_is_the_default() {
    assert_eq!(Config::parse("", "dbbuild.toml").unwrap(), Config::default());
    assert_eq!(Config::parse("\u{feff}# only a comment\r\n", "dbbuild.toml").unwrap(), Config::default());
}

#[test]
fn every_key_is_read() {
    let text = r#"
default_env = "local"
[postgres]
version = 15
throwaway = "local"
image = "postgres:15"
bin_dir = "/usr/lib/postgresql/15/bin"
database = "shop"
encoding = "UTF8"
locale = "C.UTF-8"
role = "shop_owner"
settings = { shared_preload_libraries = "pg_cron", fsync = false, max_connections = 20, seq_page_cost = 1.5 }
[paths]
migrations = "./sql//migrations/"
[migrations]
idempotent = "off"
volatile = "warn"
[git]
upstream = "origin/main"
[lock]
wait = "500ms"
timeout = "0"
[baseline]
exclude = ["public.log_*"]
[env.local]
database = "shop_dev"
testdata = ["default", "big"]
[env.production]
url_env = "PRODUCTION_URL"
protected = true
[env.staging]
url = "postgres:///shop"
"#;
    let config = Config::parse(text, "dbbuild.toml").unwrap();
    assert_eq!(config.postgres.version, Some(15));
    assert_eq!(config.postgres.throwaway, ThrowawayKind::Local);
    assert_eq!(config.postgres.settings["fsync"], "off");
    assert_eq!(config.postgres.settings["max_connections"], "20");
    assert_eq!(config.postgres.settings["seq_page_cost"], "1.5");
    assert_eq!(config.paths.migrations, "sql/migrations");
    assert_eq!(config.migrations, MigrationRules { idempotent: Severity::Off, volatile: Severity::Warn });
    assert_eq!(config.lock, LockConfig { wait: Duration::from_millis(500), timeout: Duration::ZERO });
    assert_eq!(config.env["local"].address(), EnvAddress::EmbeddedDatabase(Some("shop_dev".into())));
    assert_eq!(config.env["production"].address(), EnvAddress::UrlEnv("PRODUCTION_URL".into()));
    assert_eq!(config.env["staging"].address(), EnvAddress::Url("postgres:///shop".into()));
    assert!(config.environment("producton").unwrap_err().helps()[0].contains("`production`"));
}

#[test]
fn faults_have_a_place_and_the_nearest_key() {
    let cases = [
        ("[lock]\n  waitt = \"5s\"\n", ["dbbuild.toml:2:3", "unknown key `waitt`", "did you mean `wait`?"]),
        ("[postgres]\nthrowaway = \"dokcer\"\n", ["dbbuild.toml:2:13", "unknown value `dokcer`", "`docker`"]),
        ("[lock]\nwait = \"5\"\n", ["dbbuild.toml:2:8", "has no unit", "5s"]),
        ("[lock]\nwait = 5\n", ["dbbuild.toml:2:8", "invalid type", "a duration in quotes"]),
        ("[lock]\nwait = \"5 parsecs\"\n", ["dbbuild.toml:2:8", "`parsecs`", "min"]),
        ("[postgres]\nversion = 150020\n", ["dbbuild.toml:2:11", "`150020`", "major version"]),
        ("[postgres]\nsettings = { a = [] }\n", ["dbbuild.toml:2:18", "invalid type", "a string, a number"]),
        ("[postgres.settings]\nport = 1\n", ["dbbuild.toml:2:8", "postgres.settings.port", "dbbuild itself"]),
        ("[postgress]\n", ["dbbuild.toml:1:2", "unknown key `postgress`", "`postgres`"]),
        ("x = [\n", ["dbbuild.toml:", "the configuration is wrong", "array"]),
        ("default_env = \"prod\"\n", ["dbbuild.toml:1:15", "`prod`", "[env.prod]"]),
        ("[env.development]\nurl = \"x\"\n", ["dbbuild.toml:2:7", "missing", "="]),
        ("[paths]\ninit = \"../x\"\n", ["dbbuild.toml:2:8", "paths.init", "without `..`"]),
        ("[paths]\ninit = \"/x\"\n", ["dbbuild.toml:2:8", "paths.init", "not relative"]),
        ("[paths]\ninit = \"db\"\n", ["dbbuild.toml:2:8", "`db/migrations` lies inside", "paths.init"]),
        ("[paths]\nbaseline = \"db/init/b.sql\"\n", ["dbbuild.toml:2:12", "lies inside paths.init", "b.sql"]),
        ("[paths]\ninit = \".git/x\"\n", ["dbbuild.toml:2:8", "git's own folder", ".git"]),
        (
            "[env.a]\ntargets = []\n[env.development]\n",
            ["dbbuild.toml:2:11", "names no database", "leave `targets` out"],
        ),
        ("[env.development]\ntargets = \"a\"\n", ["dbbuild.toml:2:11", "invalid type", "a list of databases"]),
        ("[postgres]\nversion = \"15\"\n", ["dbbuild.toml:2:11", "invalid type", "expected a whole number"]),
        ("[postgres]\nversion = 14\n", ["dbbuild.toml:2:11", "PostgreSQL 14 is too old", "15 and newer"]),
        ("[env.production]\nrun_as = \"sudo\"\n", ["dbbuild.toml:2:10", "invalid type", "a list in brackets"]),
        ("[env.development]\ntarget = [\"a\"]\n", ["dbbuild.toml:2:1", "unknown key `target`", "`targets`"]),
        ("[env.development]\ntargets = [\"a\", \"b\", \"a\"]\n", ["dbbuild.toml:2:11", "names `a` twice", "targets"]),
        ("[env.development]\ntargets = [\"\"]\n", ["dbbuild.toml:2:11", "cannot name a database", "``"]),
        (
            "[env.development]\ntargets = { patern = \"a*\" }\n",
            ["dbbuild.toml:2:13", "unknown key `patern`", "`pattern`"],
        ),
        (
            "[env.development]\ntargets = { database = \"a\" }\n",
            ["dbbuild.toml:2:11", "where `query` runs", "there is none"],
        ),
        (
            "[env.development]\ntargets = { pattern = \"a\", query = \"b\" }\n",
            ["dbbuild.toml:2:11", "contradict", "`query`"],
        ),
        ("[env.development]\ntargets = { query = \" \" }\n", ["dbbuild.toml:2:21", "the query is empty", "targets"]),
        (
            "[env.development]\ntargets = { query = \"COMMIT; SELECT 1; -- x\" }\n",
            ["dbbuild.toml:2:21", "the query is 2 statements", "targets"],
        ),
        ("[env.development]\ntargets = { query = \"SELECT 'a\" }\n", ["dbbuild.toml:2:21", "not closed", "targets"]),
        ("[env.development]\ncanaries = 1\n", ["dbbuild.toml:2:12", "canaries but no targets", "`targets`"]),
        ("[env.development]\ntargets = [\"a\"]\ncanaries = -1\n", ["dbbuild.toml:3:12", "less than no", "wrong"]),
        (
            "[env.development]\ntargets = [\"tenant_a\"]\ncanaries = \"tenant_b\"\n",
            ["dbbuild.toml:3:12", "`tenant_b` is not one of the targets", "did you mean `tenant_a`?"],
        ),
        (
            "[env.development]\ntargets = [\"postgres:///a?password=s3cret\"]\n",
            ["dbbuild.toml:2:11", "holds a password", ".pgpass"],
        ),
        ("[env.'a/b']\n[env.development]\n", ["dbbuild.toml:1:6", "`a/b` cannot name", "letters"]),
    ];
    for (text, parts) in cases {
        let message = shown(text);
        for part in parts {
            assert!(message.contains(part), "{text}\n{message}\nlacks {part}");
        }
    }
}

#[test]
fn targets_are_a_list_a_pattern_or_a_query() {
    let read = |text: &str| {
        let text = format!("[env.development]\n{text}\n");
        Config::parse(&text, "dbbuild.toml").unwrap().env["development"].clone()
    };
    assert_eq!(read("").targets, None);
    let list = read("targets = [\"b\", \"host=x dbname=a\"]\ncanaries = \"b*\"");
    assert_eq!(list.targets, Some(Targets::List(vec!["b".into(), "host=x dbname=a".into()])));
    assert_eq!(list.canaries, Canaries::Named(vec!["b*".into()]));
    let pattern = read("canaries = 2\ntargets = { pattern = \"t_*\" }");
    assert_eq!(pattern.targets, Some(Targets::Pattern(vec!["t_*".into()])));
    assert_eq!(pattern.canaries, Canaries::First(2));
    let patterns = read("targets = { pattern = [\"a*\", \"b*\"] }").targets;
    assert_eq!(patterns, Some(Targets::Pattern(vec!["a*".into(), "b*".into()])));
    let query = read("[env.development.targets]\nquery = \"SELECT 1\"\ndatabase = \"control\"").targets;
    assert_eq!(query, Some(Targets::Query { query: "SELECT 1".into(), database: Some("control".into()) }));
}

#[test]
fn a_password_in_the_committed_file_is_refused_and_not_shown() {
    for url in ["postgres://me:s3cret@db/shop", "host=db password=s3cret", "postgres://db/shop?password=s3cret"] {
        let message = shown(&format!("[env.development]\nurl = \"{url}\"\n"));
        assert!(message.contains("holds a password") && message.contains("url_env"), "{message}");
        assert!(!message.contains("s3cret"), "{message}");
    }
    let message = shown("[env]\ndevelopment = \"postgres://me:s3cret, expected x@db/shop\"\n");
    assert!(message.contains("invalid type: string, expected a table"), "{message}");
    assert!(!message.contains("s3cret") && message.contains("dbbuild.toml:2:15"), "{message}");
    let message = shown("[env.development]\nurl_env = \"postgres://me:s3cret@db/shop\"\n");
    assert!(message.contains("not the name of an environment variable") && !message.contains("s3cret"), "{message}");
}

#[test]
fn all_faults_of_meaning_come_at_once() {
    let error = fault(
        "[paths]\ninit = \"/x\"\n[git]\nupstream = \"-x\"\n[env.development]\nprotected = true\ntestdata = [\"default\"]\n",
    );
    assert_eq!(error.others().len(), 2);
}

#[test]
fn two_addresses_contradict_each_other() {
    let message = shown("[env.development]\nurl_env = \"A\"\nurl = \"postgres:///x\"\n");
    assert!(message.contains("both `url_env` and `url`") && message.contains(":3:7"), "{message}");
}

/// The keys that serde accepts in a table, as it lists them when it meets another one.
fn accepted(table: &str) -> Vec<String> {
    let text = if table.is_empty() { "zzz = 1\n".to_owned() } else { format!("[{table}]\nzzz = 1\n") };
    let error = toml::from_str::<Config>(&text).expect_err("there is no key zzz");
    error.message().split('`').skip(3).step_by(2).map(str::to_owned).collect()
}

#[test]
fn the_reference_lists_every_key() {
    let mut known = BTreeSet::new();
    for section in accepted("") {
        let table = if section == "env" { "env.NAME".to_owned() } else { section.clone() };
        if section == "default_env" || section == "placeholders" {
            known.insert(section);
        } else {
            known.extend(accepted(&table).into_iter().map(|key| format!("{table}.{key}")));
        }
    }
    let listed: BTreeSet<String> = reference().iter().map(|doc| doc.key.to_owned()).collect();
    assert_eq!(listed, known);
}

#[test]
fn the_reference_gives_the_defaults() {
    let text: String = reference()
        .iter()
        .filter(|doc| !doc.default.is_empty() && !doc.key.starts_with("env."))
        .map(|doc| format!("{} = {}\n", doc.key, doc.default))
        .collect();
    assert_eq!(Config::parse(&text, "reference").unwrap(), Config::default());
}

#[test]
fn durations_are_postgresqls() {
    for (text, milliseconds) in
        [("0", 0), ("500ms", 500), ("1.5s", 1500), ("1 min", 60_000), ("2h", 7_200_000), ("1d", 86_400_000)]
    {
        assert_eq!(parse_duration(text).unwrap(), Duration::from_millis(milliseconds), "{text}");
    }
    for text in ["", "s", "-1s", "1 year", "99999d", "1..5s", "5"] {
        assert!(parse_duration(text).is_err(), "{text}");
    }
}

proptest! {
    #[test]
    fn parsing_never_panics(text in ".{0,80}") {
        let _ = Config::parse(&text, "dbbuild.toml");
        let _ = parse_duration(&text);
    }

    #[test]
    fn keys_with_any_value_never_panic(index in 0..reference().len(), value in "[\\PC]{0,20}") {
        let key = reference()[index].key;
        let _ = Config::parse(&format!("{key} = {value:?}\n"), "dbbuild.toml");
    }

    #[test]
    fn durations_come_back(milliseconds in 0..=i64::from(i32::MAX)) {
        let duration = Duration::from_millis(milliseconds as u64);
        prop_assert_eq!(parse_duration(&format!("{milliseconds}ms")).unwrap(), duration);
    }
}
