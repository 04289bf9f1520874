//! Kind of loss × kind of table: each goes down and up again, and nothing is lost.
//!
//! One database for each kind of table, owned by a role that is no superuser; in it one table and one migration for each
//! kind of loss. All of them are taken back by the program, and applied again. What became of each cell is a table.

#[path = "attic/cells.rs"]
mod cells;
#[path = "attic/trips.rs"]
mod trips;

use crate::support::{Db, Server, World};
use cells::{KINDS, Kind, LOSSES, Loss, senseless};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Mutex;

const TABLE: &str = "tests/it/attic/kinds.md";

fn table_name(kind: &Kind, loss: &Loss) -> String {
    if kind.name == "quoted names" { format!("\"T \"\"{}\"\"\"", loss.word) } else { format!("t_{}", loss.word) }
}

fn filled(text: &str, kind: &Kind, loss: &Loss) -> String {
    let name = table_name(kind, loss);
    let at = if loss.word == "schema" { format!("\"{} s\".", loss.word) } else { String::new() };
    let [id, n, x] = kind.columns;
    let names =
        [("{t}", format!("{at}{name}")), ("{c}", format!("{at}c_{}", loss.word)), ("{i}", loss.word.to_owned())];
    let text = names.into_iter().fold(text.replace("{drop}", kind.drop), |text, (from, to)| text.replace(from, &to));
    text.replace("{id}", id).replace("{n}", n).replace("{x}", x)
}

fn cells(kind: &Kind) -> impl Iterator<Item = (usize, &'static Loss)> {
    LOSSES.iter().enumerate().filter(|(_, loss)| senseless(kind, loss).is_none()).map(|(n, loss)| (n + 2, loss))
}

/// A digest of each table's rows, by table; and of the sequences.
fn digests(db: &Db<'_>) -> BTreeMap<String, String> {
    let tables = db.psql(
        "SELECT format('SELECT %L, count(*) || '' '' || coalesce(md5(string_agg(r, chr(10) ORDER BY r)), '''') FROM \
         (SELECT tableoid::regclass || t::text AS r FROM ONLY %I.%I t) q', c.oid::regclass, n.nspname, c.relname) \
         FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace WHERE relkind = 'r' AND nspname !~ '^(pg_|dbbuild|information)' \
         AND relname <> 'fired' UNION ALL SELECT format('SELECT %L, last_value || '' '' || is_called FROM %I.%I', c.oid::regclass, \
         n.nspname, c.relname) FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace WHERE relkind = 'S' AND nspname !~ '^dbbuild'",
    );
    let all: Vec<&str> = tables.lines().collect();
    let rows = db.psql(&all.join(" UNION ALL "));
    rows.lines()
        .filter_map(|line| line.rsplit_once('|'))
        .map(|(name, digest)| (name.to_owned(), digest.to_owned()))
        .collect()
}

fn schema(db: &Db<'_>) -> String {
    let mut dump = db.command("pg_dump");
    dump.args(["--schema-only", "--exclude-schema=dbbuild*", "-d", &db.name]);
    let text = crate::support::run(&mut dump).ok().stdout.clone();
    text.lines().filter(|line| !line.contains("restrict ")).flat_map(|line| [line, "\n"]).collect()
}

/// Goes down and up with one kind of table. Returns the cells that lost something, with what.
fn down_and_up(server: &Server, kind: &Kind) -> BTreeMap<&'static str, String> {
    let db = server.fresh_database();
    db.psql(&format!("ALTER DATABASE {} OWNER TO app; ALTER SCHEMA public OWNER TO app", db.name));
    let mut world = World::without_git();
    world.set("DATABASE_URL", db.url.replace("postgres@", "app@"));
    world.write("dbbuild.toml", "[postgres]\nversion = 15\n[env.development]\nurl_env = \"DATABASE_URL\"\n");
    let file = |n: usize, loss: &Loss| format!("db/migrations/{n}_{}.sql", loss.word);
    let mut first = kind.before.to_owned();
    for (_, loss) in cells(kind) {
        let create = if loss.makes_table { "" } else { kind.create };
        first.push_str(&filled(&format!("\n{create}\n{}", loss.older), kind, loss));
    }
    world.write("db/migrations/1_first.sql", first);
    world.dbbuild(&["apply"]).ok();
    let older = schema(&db);
    let migrations: Vec<(String, String)> = cells(kind)
        .map(|(n, loss)| {
            let create = if loss.makes_table { kind.create } else { "" };
            let text = format!("-- migrate:up\n{}\n{create}\n-- migrate:down\n{}\n", loss.up, loss.down);
            (file(n, loss), filled(&text, kind, loss))
        })
        .collect();
    for (path, text) in &migrations {
        world.write(path, text);
    }
    world.dbbuild(&["apply"]).ok();
    let newer = schema(&db);
    for (_, loss) in cells(kind) {
        db.psql(&filled(&format!("SET session_replication_role = replica; {}{}", kind.fill, loss.written), kind, loss));
    }
    let before = digests(&db);
    world.dbbuild(&["downgrade", "--to", "1"]).ok();
    assert_eq!(schema(&db), older, "{}: the older schema is another one", kind.name);
    let fired = "SELECT CASE WHEN to_regclass('fired') IS NULL THEN '' ELSE (xpath('/row/n/text()', \
                 query_to_xml('SELECT count(*) AS n FROM fired', false, true, '')))[1]::text END";
    let fired_before = db.psql(fired);

    let applied = world.dbbuild(&["apply"]);
    applied.ok();
    assert_eq!(schema(&db), newer, "{}: the newer schema is another one", kind.name);
    assert_eq!(db.psql(fired), fired_before, "{}: triggers fired", kind.name);
    let after = digests(&db);
    let mut lost = BTreeMap::new();
    for (_, loss) in cells(kind) {
        let of = |name: &str| name.contains(&format!("_{}", loss.word)) || name.contains(&format!("\"{}", loss.word));
        let differs: Vec<String> = before
            .iter()
            .filter(|(name, digest)| of(name) && after.get(*name) != Some(*digest))
            .map(|(name, digest)| format!("{name}: {digest} became {:?}", after.get(name)))
            .collect();
        if !differs.is_empty() {
            lost.insert(loss.name, differs.join(", "));
        }
    }
    let left = db.psql("SELECT coalesce(string_agg(name || ' ' || kind || ' ' || reason || ' ' || rows, ', ' ORDER BY id), '') FROM dbbuild_attic.entry");
    if !left.is_empty() {
        lost.insert("left in the attic", format!("{left}\n{}", applied.stderr));
    }
    lost
}

fn row(kind: &Kind, lost: &BTreeMap<&str, String>) -> String {
    let cell = |loss: &Loss| match (senseless(kind, loss), lost.contains_key(loss.name)) {
        (Some(why), _) => why,
        (None, true) => "LOST",
        (None, false) => "same",
    };
    let cells: Vec<&str> = LOSSES.iter().map(cell).collect();
    format!("| {} | {} |\n", kind.name, cells.join(" | "))
}

#[test]
fn every_kind_of_loss_comes_back_in_every_kind_of_table() {
    let Some(server) = Server::private(15, &["fsync=off"]) else { return };
    server.run("psql", &["-Xqc", "CREATE ROLE app LOGIN", "-d", "postgres"]).ok();
    let results: Mutex<BTreeMap<usize, BTreeMap<&str, String>>> = Mutex::default();
    let todo: Mutex<Vec<usize>> = Mutex::new((0..KINDS.len()).rev().collect());
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                loop {
                    let Some(n) = todo.lock().unwrap().pop() else { return };
                    let lost = down_and_up(&server, &KINDS[n]);
                    results.lock().unwrap().insert(n, lost);
                }
            });
        }
    });
    let results = results.into_inner().unwrap();
    let names: Vec<&str> = LOSSES.iter().map(|loss| loss.name).collect();
    let mut text = format!(
        "# What a down part takes away, and what comes back\n\nA test makes this table: down and up again by the program, as a role \
         that is no superuser. `same`: every row, value and\nsequence is as before, the attic is empty, no trigger fired. `–`: PostgreSQL has no such unique key.\n\n\
         | table | {} |\n|{}\n",
        names.join(" | "),
        " --- |".repeat(names.len() + 1)
    );
    for (n, lost) in &results {
        text.push_str(&row(&KINDS[*n], lost));
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(TABLE);
    if std::fs::read_to_string(&path).unwrap_or_default() != text {
        std::fs::write(&path, &text).unwrap();
    }
    let failed: Vec<String> = results
        .iter()
        .flat_map(|(n, lost)| lost.iter().map(|(what, how)| format!("{} × {what}: {how}", KINDS[*n].name)))
        .collect();
    assert!(failed.is_empty(), "{}\n{}", failed.join("\n"), server.dir.display());
}

/// What somebody might do to a table of the attic who breaks the keeping.
const SPOILERS: [&str; 3] = [
    "EXECUTE format('DELETE FROM %s WHERE ctid = (SELECT min(ctid) FROM %1$s)', made.object_identity)",
    "EXECUTE format('UPDATE %s SET v1 = NULL WHERE ctid = (SELECT max(ctid) FROM %1$s WHERE v1 IS NOT NULL)', made.object_identity)",
    "EXECUTE format('INSERT INTO %s SELECT * FROM %1$s LIMIT 1', made.object_identity)",
];

const DOWNS: [&str; 6] = [
    "ALTER TABLE t DROP COLUMN c",
    "UPDATE t SET x = upper(x), c = NULL",
    "DELETE FROM t WHERE id > 3",
    "TRUNCATE t",
    "DROP TABLE t",
    "ALTER TABLE t ALTER x TYPE varchar(1) USING left(x, 1)",
];

#[test]
fn keeping_that_is_broken_is_caught_and_takes_nothing_away() {
    let Some(server) = Server::private(15, &["fsync=off"]) else { return };
    let rows = "SELECT md5(string_agg(t::text, ' ' ORDER BY id)) || (SELECT count(*) FROM dbbuild.migration) FROM t";
    let back = ["build", "--take-back", "--no-baseline"];
    for (spoiler, down) in SPOILERS.into_iter().flat_map(|spoiler| DOWNS.map(|down| (spoiler, down))) {
        let db = server.fresh_database();
        let mut world = World::without_git();
        world.set("DATABASE_URL", &db.url);
        world.write("dbbuild.toml", "[postgres]\nversion = 15\n[env.development]\nurl_env = \"DATABASE_URL\"\n");
        world.write("db/migrations/1_first.sql", "SELECT 1");
        let second = "db/migrations/2_second.sql";
        world.write(second, format!("-- migrate:up\nSELECT 1;\n-- migrate:down\n{down};\n"));
        db.psql("CREATE TABLE t (id int PRIMARY KEY, x text, c text)");
        world.dbbuild(&["env", "mark", "development", "--confirm", "development"]).ok();
        world.dbbuild(&["apply"]).ok();
        db.psql(&format!(
            "INSERT INTO t SELECT i, 'x' || i, 'c' || i FROM generate_series(1, 9) i; \
             CREATE FUNCTION spoil() RETURNS event_trigger LANGUAGE plpgsql AS $$ DECLARE made record; BEGIN \
             FOR made IN SELECT * FROM pg_event_trigger_ddl_commands() WHERE object_identity LIKE 'dbbuild_attic.kept%' LOOP \
             {spoiler}; END LOOP; END $$; \
             CREATE EVENT TRIGGER spoil ON ddl_command_end WHEN TAG IN ('CREATE TABLE AS') EXECUTE FUNCTION spoil()"
        ));
        let before = db.psql(rows);
        std::fs::remove_file(world.path(second)).unwrap();
        world
            .dbbuild(&back)
            .fails(1)
            .says("does not hold the rows that were copied into it")
            .says("nothing was changed");
        assert_eq!(db.psql(rows), before, "{spoiler} {down}");
        assert_eq!(db.psql("SELECT to_regclass('dbbuild_attic.entry') IS NULL"), "t");
        // Without the spoiler the same is kept.
        db.psql("DROP EVENT TRIGGER spoil");
        world.dbbuild(&back).ok();
        assert_eq!(db.psql("SELECT count(*) FROM dbbuild_attic.entry"), "1", "{down}");
    }
}
