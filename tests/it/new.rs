//! `dbbuild new`: every template gives migrations that run, run again, and verify.

use crate::support::{World, server};

const BASE: &str = "
CREATE TABLE IF NOT EXISTS people (
    id bigint PRIMARY KEY, nick text, full_name text, age text, note text, boss bigint, email text, extra text NOT NULL
);
CREATE TABLE IF NOT EXISTS doomed (id bigint PRIMARY KEY);
DO $$ BEGIN
    IF to_regtype('mood') IS NULL THEN CREATE TYPE mood AS ENUM ('good'); END IF;
END $$;
INSERT INTO people VALUES
    (1, 'ann', 'Ann Lee Smith', '41', NULL, NULL, 'ann@example.com', 'x'),
    (2, 'bob', 'Bob', NULL, 'kept', 1, NULL, 'y')
ON CONFLICT DO NOTHING;
";

/// Each template with what it is about.
const CASES: &[(&str, &str, &[&str])] = &[
    ("blank", "say nothing", &[]),
    ("add-column", "add phone", &["--table", "people", "--column", "phone", "--type", "text"]),
    ("create-table", "create pets", &["--table", "pets", "--column", "name"]),
    ("create-index", "index phones", &["--table", "people", "--column", "phone"]),
    ("rename-column", "rename nick", &["--table", "people", "--column", "nick", "--to", "nickname"]),
    (
        "change-type",
        "age as number",
        &["--table", "people", "--column", "age", "--type", "bigint", "--from-type", "text"],
    ),
    ("split-column", "split names", &["--table", "people", "--column", "full_name", "--to", "given_name,family_name"]),
    ("backfill", "fill notes", &["--table", "people", "--column", "note", "--value", "'none'"]),
    ("add-foreign-key", "bosses are people", &["--table", "people", "--column", "boss", "--references", "people"]),
    ("add-check", "ids are positive", &["--table", "people", "--column", "id", "--check", "id > 0"]),
    ("add-not-null", "notes are there", &["--table", "people", "--column", "note"]),
    ("add-enum-value", "moods can be bad", &["--type", "mood", "--value", "it's bad"]),
    ("drop-column", "drop extra", &["--table", "people", "--column", "extra"]),
    ("drop-table", "drop doomed", &["--table", "doomed"]),
    ("create-function", "email of", &["--table", "people", "--column", "email"]),
    ("create-view", "emails", &["--table", "people", "--column", "email"]),
];

#[test]
fn every_template_builds_and_verifies() {
    let Some(server) = server(15) else { return };
    let database = server.fresh_database();
    let world = World::new();
    let config =
        format!("[postgres]\nversion = 15\nthrowaway = \"local\"\n[env.development]\nurl = \"{}\"\n", database.url);
    world.write("dbbuild.toml", config).write("db/migrations/1_base.sql", BASE);
    let listed = world.dbbuild(&["new", "--list"]);
    assert_eq!(listed.ok().stdout.lines().count(), CASES.len(), "a template lacks its case\n{}", listed.show());
    let mut count = 1;
    for (template, name, arguments) in CASES {
        let written = world.dbbuild(&[&["new", name, "--template", template], *arguments].concat());
        for path in written.ok().stdout.lines() {
            let slug = name.replace(' ', "_");
            assert!(path.starts_with("db/migrations/20") && path.contains(&slug), "{path}");
            assert!(
                world.read(path).contains("-- migrate:up") && world.read(path).contains("-- migrate:down"),
                "{path}"
            );
            count += 1;
        }
    }
    world.dbbuild(&[]).ok().says(&format!("now has {count} migrations")).says("made anew and proved");
    world.dbbuild(&["verify", "--worktree", "--full"]).ok();
    assert_eq!(
        database
            .psql("SELECT id, nickname, age, pg_typeof(age), given_name, family_name, note FROM people ORDER BY id"),
        "1|ann|41|bigint|Ann|Lee Smith|none\n2|bob||bigint|Bob||kept"
    );
    assert_eq!(database.psql("SELECT enum_range(NULL::mood)"), "{good,\"it's bad\"}");
    assert_eq!(database.psql("SELECT to_regclass('doomed') IS NULL, to_regclass('pets') IS NOT NULL"), "t|t");
    assert_eq!(
        database.psql("SELECT count(*) FROM pg_constraint WHERE conrelid = 'people'::regclass AND NOT convalidated"),
        "0"
    );
    assert_eq!(database.psql("SELECT email_of(1), (SELECT count(*) FROM emails)"), "ann@example.com|2");
}

#[test]
fn names_and_mistakes() {
    let world = World::new();
    world.dbbuild(&["new", "x"]).fails(2).says("dbbuild init");
    world.write("dbbuild.toml", "");
    let written = world.dbbuild(&["new", "Add E-Mail to \"users\" (ünïcode)"]);
    let path = written.ok().stdout.trim().to_owned();
    assert!(path.ends_with("_add_e_mail_to_users_ünïcode.sql"), "{path}");
    let other = world.dbbuild(&["new", "Add E-Mail to \"users\" (ünïcode)"]).ok().stdout.trim().to_owned();
    assert_ne!(path, other, "two in one second have versions of their own");
    let json = world.dbbuild(&["new", "third", "--json"]);
    assert!(json.ok().stdout.starts_with("{\"written\":[\"db/migrations/20"), "{}", json.show());
    world.dbbuild(&["new", "x", "--template", "add-colum"]).fails(2).says("add-column");
    world.dbbuild(&["new", ""]).fails(2);
    world.dbbuild(&["new"]).fails(2).says("NAME");
    world.dbbuild(&["new", "x", "--template", "backfill", "--column", "$migration$"]).fails(2);
}
