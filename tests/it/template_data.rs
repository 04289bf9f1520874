//! `dbbuild new --template FILE --data ROWS.csv`: a team's own template, repeated for each row of a table of values.

use std::fs;

use crate::support::{World, server};

const CONFIG: &str = "[postgres]\nversion = 15\nthrowaway = \"local\"\n";
const TEMPLATE: &str = "-- dbbuild:description offices from a table of values\n-- migrate:up\n\
    {% for row in rows %}\nINSERT INTO office (id, name, opened) VALUES ({{ row.id | number }}, {{ row.name }}, {{ row.opened | nullable }})\n\
    \x20   ON CONFLICT (id) DO NOTHING;\n{% endfor %}\n\
    -- migrate:down\n{% for row in rows %}\nDELETE FROM office WHERE id = {{ row.id | number }};\n{% endfor %}\n";

/// Names that would break out of their quotes, if they could.
const ROWS: &str = "id,name,opened\n1,\"Ada's; DROP TABLE office; --\",2024-01-01\n-2,\"a\\', $$ \"\"b\"\"\n-- c\",\n";

fn project() -> World {
    let world = World::new();
    world.write("dbbuild.toml", CONFIG);
    let table = "CREATE TABLE IF NOT EXISTS office (id int PRIMARY KEY, name text, opened date);\n";
    world.write("db/migrations/1_office.sql", table).write("templates/office.sql", TEMPLATE);
    world
}

#[test]
fn rows_become_a_migration_that_runs_and_is_proved() {
    if server(15).is_none() {
        return;
    }
    let world = project();
    world.write("offices.csv", ROWS);
    let new = world.dbbuild(&["new", "--template", "templates/office.sql", "--data", "offices.csv", "load offices"]);
    let path = new.ok().stdout.trim().to_owned();
    assert!(path.ends_with("_load_offices.sql"), "{path}");
    assert_eq!(world.read(&path).matches("INSERT INTO office").count(), 2);
    world.dbbuild(&[]).ok().says(&format!("applied {path}"));
    let rows = world.dbbuild(&["psql", "--", "-XAtc", "SELECT id, name, opened FROM office ORDER BY id DESC"]);
    assert_eq!(rows.ok().stdout, "1|Ada's; DROP TABLE office; --|2024-01-01\n-2|a\\', $$ \"b\"\n-- c|\n");
    world.dbbuild(&["verify", "--worktree"]).ok();
}

#[test]
fn faults_have_file_and_line_and_nothing_is_written() {
    let world = project();
    let new = |template: &str, rows: &str| {
        world.write("t.sql", template).write("rows.csv", rows);
        let outcome = world.dbbuild(&["new", "--template", "t.sql", "--data", "rows.csv", "x"]);
        assert_eq!(fs::read_dir(world.path("db/migrations")).unwrap().count(), 1, "{}", outcome.show());
        outcome
    };
    new(TEMPLATE, "id,name\n1,a\n").fails(1).says("the template names what is not there at t.sql:4").says("id, name");
    new(TEMPLATE, "id,name,opened\n1,a\n").fails(1).says("a line has 2 values where 3 columns are named at rows.csv:2");
    new(TEMPLATE, "id,name,opened\nx,a,\n").fails(1).says("`x` is not a number at t.sql:4");
    new("\n{{ nowhere }}", "a\n1\n").fails(1).says("the template names what is not there at t.sql:2");
    new("SELECT 1;\nSELECT '{{ rows[0].a }}';", "a\n1\n").fails(1).says("would not be data at t.sql:2");
    new("{% for %}", "a\n1\n").fails(1).says("t.sql:1");
    new("-- dbbuild:idempotant true\nSELECT {{ rows[0].a }};", "a\n1\n")
        .fails(1)
        .says("unknown directive")
        .says("t.sql");
    new("SELECT 'open;\n", "a\n1\n").fails(1).says("unclosed quote");
    let alone = world.dbbuild(&["new", "--data", "rows.csv", "x"]);
    alone.fails(2).says("--data wants a template of your own");
    world.dbbuild(&["new", "--template", "none.sql", "--data", "rows.csv", "x"]).fails(2).says("cannot read none.sql");
}
