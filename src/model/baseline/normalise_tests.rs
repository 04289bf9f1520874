//! Dumps before and after normalising, baselines before and after reading.

use super::super::{Baseline, BaselineParts, Change, RoleNeed, differences, render};
use super::*;
use crate::model::checksum::Checksum;

fn options() -> NormaliseOptions {
    NormaliseOptions {
        own_roles: vec!["postgres".to_owned(), "Odd \"Owner".to_owned()],
        database: Some("shop".to_owned()),
        extension_comments: [("hstore".to_owned(), "it's a map".to_owned())].into_iter().collect(),
    }
}

fn dump_of(kind: &str, body: &str) -> Vec<u8> {
    format!(
        "--\n-- PostgreSQL database dump\n--\n\n\\restrict x\n\n-- Dumped from database version 15.1\n\n\
         SET transaction_timeout = 0;\n\n--\n-- Name: x; Type: {kind}; Schema: s; Owner: postgres\n--\n\n{body}\n\n\n\
         --\n-- PostgreSQL database dump complete\n--\n\n\\unrestrict x\n"
    )
    .into_bytes()
}

/// What is left of an entry's statements.
fn check(kind: &str, body: &str, expected: &[&str]) {
    let dump = normalise(&dump_of(kind, body), &options()).unwrap();
    let found: Vec<&str> = dump.entries.iter().flat_map(Entry::statements).collect();
    assert_eq!(found, expected);
    assert!(dump.entries.iter().all(|entry| entry.owner.is_none()));
}

#[test]
fn the_own_role_is_not_named() {
    check("TABLE", "CREATE TABLE s.x ();\n\nALTER TABLE s.x OWNER TO postgres;", &["CREATE TABLE s.x ();"]);
    check("TABLE", "ALTER TABLE s.x OWNER TO \"Odd \"\"Owner\";", &[]);
    check("TABLE", "ALTER TABLE s.x OWNER TO other;", &["ALTER TABLE s.x OWNER TO other;"]);
    check("SCHEMA", "ALTER SCHEMA public OWNER TO postgres;", &["ALTER SCHEMA public OWNER TO CURRENT_USER;"]);
    check(
        "DEFAULT",
        "ALTER TABLE s.x ALTER COLUMN a SET DEFAULT 'OWNER TO postgres';",
        &["ALTER TABLE s.x ALTER COLUMN a SET DEFAULT 'OWNER TO postgres';"],
    );
    check(
        "ACL",
        "GRANT ALL ON TABLE s.\" TO postgres\" TO bob;\nREVOKE ALL ON TABLE s.x FROM postgres;",
        &["REVOKE ALL ON TABLE s.x FROM CURRENT_USER;", "GRANT ALL ON TABLE s.\" TO postgres\" TO bob;"],
    );
    check(
        "ACL",
        "SET SESSION AUTHORIZATION postgres;\nGRANT ALL ON TABLE s.x TO bob;\nRESET SESSION AUTHORIZATION;",
        &["GRANT ALL ON TABLE s.x TO bob;"],
    );
    check(
        "DEFAULT ACL",
        "ALTER DEFAULT PRIVILEGES FOR ROLE postgres IN SCHEMA s GRANT ALL ON TABLES  TO postgres;",
        &["ALTER DEFAULT PRIVILEGES IN SCHEMA s GRANT ALL ON TABLES  TO CURRENT_USER;"],
    );
}

#[test]
fn policies_keep_everything_but_the_order_of_roles() {
    check(
        "POLICY",
        "CREATE POLICY p ON s.x FOR INSERT TO z, \"a, b\", postgres WITH CHECK ((a = 'TO y'::text));",
        &["CREATE POLICY p ON s.x FOR INSERT TO \"a, b\", CURRENT_USER, z WITH CHECK ((a = 'TO y'::text));"],
    );
    check(
        "POLICY",
        "CREATE POLICY p ON s.x FOR INSERT TO z WITH CHECK (true);",
        &["CREATE POLICY p ON s.x FOR INSERT TO z WITH CHECK (true);"],
    );
    check("POLICY", "CREATE POLICY p ON s.x USING (true);", &["CREATE POLICY p ON s.x USING (true);"]);
}

#[test]
fn comments_that_extensions_bring_are_left_out() {
    check("COMMENT", "COMMENT ON EXTENSION hstore IS 'it''s a map';", &[]);
    check("COMMENT", "COMMENT ON EXTENSION hstore IS 'ours';", &["COMMENT ON EXTENSION hstore IS 'ours';"]);
}

#[test]
fn what_is_no_dump_is_refused() {
    let refused = |bytes: &[u8]| normalise(bytes, &options()).unwrap_err().to_string();
    assert!(refused(b"SELECT 1;").contains("not the output of pg_dump"));
    assert!(refused(b"\xff").contains("not UTF-8"));
    assert!(refused(&dump_of("TABLE", "COMMENT ON TABLE s.x IS 'never closed;")).contains("cut off"));
    assert!(refused(&dump_of("TABLE", "\\! rm x")).contains("meta-command `\\!`"));
}

fn baseline(body: &str) -> String {
    render(&BaselineParts {
        rewritten: Vec::new(),
        postgres_major: 15,
        inputs: Checksum::of_text("a"),
        volatile: vec![super::super::ColumnName::parse("s.\"a\nb\".c").unwrap()],
        roles: vec![RoleNeed { name: "$dbbuild$ '\"".to_owned(), member_of: vec!["g".to_owned()] }],
        dump: normalise(&dump_of("TABLE", body), &options()).unwrap(),
        history_sql: "CREATE SCHEMA dbbuild;\n\nCOPY dbbuild.migration (version) FROM stdin;\n1\n\\.\n".to_owned(),
    })
}

#[test]
fn a_baseline_is_read_as_it_was_written() {
    let text = baseline("CREATE TABLE s.x (a text DEFAULT '<<<<<<< HEAD');");
    let read = Baseline::parse(&text, "db/baseline.sql").unwrap();
    assert_eq!((read.postgres_major, read.inputs), (15, Checksum::of_text("a")));
    assert_eq!(super::super::inputs_of(&text), Some(read.inputs));
    assert_eq!(read.volatile[0].table, "s.\"a\nb\"");
    assert_eq!((read.roles.entries.len(), read.dump.entries.len()), (2, 1));
    assert_eq!(read.history_rows().map(|block| block.rows.len()).collect::<Vec<_>>(), [1]);
}

#[test]
fn a_damaged_baseline_says_what_is_wrong() {
    let text = baseline("CREATE TABLE s.x ();");
    let refused = |text: &str| Baseline::parse(text, "db/baseline.sql").unwrap_err().to_string();
    assert_eq!(refused("SELECT 1;"), "db/baseline.sql is not a baseline written by dbbuild");
    assert_eq!(refused(&text[..text.len() - 10]), "db/baseline.sql is cut off");
    assert_eq!(refused(&text.replace('\n', "\r\n")), "db/baseline.sql has CRLF line ends, and was written with LF");
    assert!(refused(&text[..text.len() / 2]).starts_with("db/baseline.sql is cut off"));
    assert!(refused(&text.replace("format 1", "format 9")).contains("format `9`"));
    let conflict = text.replace("CREATE TABLE", "<<<<<<< HEAD\n=======\n>>>>>>> x\nCREATE TABLE");
    assert!(refused(&conflict).contains("conflict markers"));
    assert!(refused(&text.replace("CREATE TABLE", "\\restrict a\nCREATE TABLE")).contains("meta-command `\\restrict`"));
}

#[test]
fn differences_name_objects() {
    let read = |body: &str| Baseline::parse(&baseline(body), "b").unwrap().dump;
    let found = differences(&read("CREATE TABLE s.x ();"), &read("CREATE TABLE s.x (a integer);"));
    assert_eq!(found.iter().map(ToString::to_string).collect::<Vec<_>>(), ["its table `s.x` differs in definition"]);
    let none = Dump::default();
    let lacks = differences(&none, &read("CREATE TABLE s.x ();"));
    assert_eq!((lacks[0].change, lacks[0].to_string()), (Change::Added, "it lacks table `s.x`".to_owned()));
    assert_eq!(differences(&none, &none), []);
}
