//! Real servers: what is read is what is there, and a baseline settles.

use super::test_server::{TestServer, each_server};
use super::*;
use crate::model::baseline::{self, Baseline, BaselineParts, Dump, NormaliseOptions};
use crate::model::checksum::Checksum;

const RICH: &str = include_str!("rich.sql");

fn own() -> Vec<String> {
    vec!["postgres".to_owned()]
}

fn normalised(server: &TestServer, database: &str) -> (Dump, String) {
    let comments = server.connected(database, async |client| own_extension_comments(client).await.unwrap());
    let options =
        NormaliseOptions { own_roles: own(), database: Some(database.to_owned()), extension_comments: comments };
    let dump = baseline::normalise(&server.dump(database), &options).unwrap();
    let roles = server.connected(database, async |client| mentioned_roles(client, &own()).await.unwrap());
    let text = baseline::render(&BaselineParts {
        postgres_major: server.major,
        inputs: Checksum::of_text("x"),
        volatile: Vec::new(),
        roles,
        dump: dump.clone(),
        history_sql: "CREATE SCHEMA dbbuild;".to_owned(),
    });
    (dump, text)
}

fn drop_roles(server: &TestServer, database: &str) {
    server.psql("postgres", &["-c", &format!("DROP DATABASE {database}")]).unwrap();
    let roles = server.psql("postgres", &["-c", "SELECT quote_ident(rolname) FROM pg_roles WHERE oid >= 16384"]).unwrap();
    for role in roles.lines() {
        server.psql("postgres", &["-c", &format!("DROP ROLE {role}")]).unwrap();
    }
}

fn catalog(server: &TestServer, database: &str) -> Catalog {
    server.connected(database, async |client| read(client, &own()).await.unwrap())
}

#[test]
fn a_baseline_settles_and_loads_where_no_role_exists() {
    each_server(|server| {
        let mut database = server.database();
        server.load(&database, RICH);
        let replayed = catalog(server, &database);
        let (_, mut text) = normalised(server, &database);
        for round in 1.. {
            let parsed = Baseline::parse(&text, "db/baseline.sql").unwrap();
            assert!(!text.contains("postgres;") && !text.contains("\\restrict") && !text.contains("secret"), "{text}");
            drop_roles(server, &database);
            database = server.database();
            server.load(&database, &text);
            let (dump, again) = normalised(server, &database);
            if again == text {
                assert_eq!(parsed.dump, dump);
                break;
            }
            assert!(round < 3, "{}", baseline::unified_diff(("before", &text), ("after", &again), 60));
            text = again;
        }
        let loaded = catalog(server, &database);
        let differences: Vec<String> = loaded.compare(&replayed).iter().map(ToString::to_string).collect();
        assert!(differences.len() < 8, "{differences:#?}");
        drop_roles(server, &database);
    });
}
