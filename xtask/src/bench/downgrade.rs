//! Rows about going back and coming again: the last migrations of the sample product with a million rows in its largest
//! table, beside what a careful person would write by hand; and steps that lose nothing beside the bare scripts.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use super::measure::{Measured, alternate};
use super::rows::side;
use super::scratch::{Lab, Repository};
use crate::workspace;

/// How many migrations go and come again.
const LAST: usize = 20;

/// Rows for the sample: a million lines of orders, and some of everything that its last migrations drop.
const FILL: &str = "SET session_replication_role = replica;
INSERT INTO customers (id, email, given_name, family_name) OVERRIDING SYSTEM VALUE
SELECT n, format('c%s@example.com', n), 'Given ' || n % 97, 'Family ' || n FROM generate_series(1, 5000) n;
INSERT INTO products (id, sku, name, description, category_id, unit_price, currency_code, attributes) OVERRIDING SYSTEM VALUE
SELECT n, 'SKU-' || n, 'Product ' || n, 'Number ' || n, (SELECT min(id) FROM categories), 1 + n % 200, 'EUR',
    hstore('colour', (ARRAY['red', 'green', 'blue'])[1 + n % 3]) FROM generate_series(1, 500) n;
INSERT INTO orders (id, customer_id, status, currency_code, created_at, placed_at, total_amount)
SELECT n, 1 + n % 5000, 'delivered', 'EUR', timestamptz '2024-01-01' + n * interval '1 minute',
    timestamptz '2024-01-01' + n * interval '1 minute', 0 FROM generate_series(1, 20000) n;
INSERT INTO order_items (order_id, line_no, product_id, quantity, unit_price, note)
SELECT 1 + n / 50, 1 + n % 50, 1 + n % 500, 1 + n % 4, 1 + n % 200, 'wish ' || n FROM generate_series(0, 999999) n;
UPDATE orders o SET total_amount = s.total FROM (SELECT order_id, sum(line_total) AS total FROM order_items GROUP BY 1) s
WHERE o.id = s.order_id;
INSERT INTO payments (order_id, method, amount, provider_reference, received_at)
SELECT id, 'card', total_amount, 'p' || id, placed_at FROM orders;
INSERT INTO reviews (product_id, customer_id, rating, body)
SELECT 1 + n % 500, 1 + n / 500, 1 + n % 5, 'text ' || n FROM generate_series(0, 1999) n;
INSERT INTO price_changes (product_id, old_price, new_price) SELECT 1 + n % 500, n, n + 1 FROM generate_series(1, 2000) n;
INSERT INTO shop_settings SELECT 'key ' || n, to_jsonb(n), 'setting ' || n FROM generate_series(1, 5) n;
REFRESH MATERIALIZED VIEW daily_sales;
";

const INDEXES: &str = "CREATE INDEX ON order_items (product_id, quantity); CREATE INDEX ON order_items (quantity, unit_price); \
    CREATE INDEX ON order_items (unit_price, order_id)";

/// What the last migrations drop, as a person keeps it: a copy with its key.
const KEEP: &str = "BEGIN;
CREATE SCHEMA kept;
CREATE TABLE kept.note AS SELECT order_id, line_no, note FROM order_items;
ALTER TABLE kept.note ADD PRIMARY KEY (order_id, line_no);
CREATE TABLE kept.total AS SELECT id, total_amount FROM orders;
ALTER TABLE kept.total ADD PRIMARY KEY (id);
CREATE TABLE kept.attributes AS SELECT id, attributes::text AS attributes FROM products;
ALTER TABLE kept.attributes ADD PRIMARY KEY (id);
CREATE TABLE kept.reviews AS SELECT * FROM reviews;
CREATE TABLE kept.settings AS SELECT * FROM shop_settings;
CREATE TABLE kept.changes AS SELECT * FROM price_changes;
COMMIT;
";

/// And as a person gives it back, once the migration ran whose name ends so.
const GIVE_BACK: &[(&str, &str)] = &[
    (
        "_add_order_item_note",
        "UPDATE order_items o SET note = k.note FROM kept.note k WHERE o.order_id = k.order_id AND o.line_no = k.line_no;",
    ),
    (
        "_add_order_total",
        "ALTER TABLE orders DISABLE TRIGGER USER;\nUPDATE orders o SET total_amount = k.total_amount FROM kept.total k WHERE o.id = k.id;\n\
         ALTER TABLE orders ENABLE TRIGGER USER;",
    ),
    (
        "_add_product_attributes",
        "ALTER TABLE products DISABLE TRIGGER USER;\nUPDATE products p SET attributes = k.attributes::hstore FROM kept.attributes k WHERE p.id = k.id;\n\
         ALTER TABLE products ENABLE TRIGGER USER;",
    ),
    ("_create_reviews", "INSERT INTO reviews OVERRIDING SYSTEM VALUE SELECT * FROM kept.reviews;"),
    ("_create_shop_settings", "INSERT INTO shop_settings SELECT * FROM kept.settings;"),
    ("_create_price_changes", "INSERT INTO price_changes OVERRIDING SYSTEM VALUE SELECT * FROM kept.changes;"),
];

/// Every row and value of every table, whatever the order of rows and columns.
const SUMS: &str = "SELECT pg_catalog.string_agg(pg_catalog.format(\
    'SELECT %L, count(*), sum(hashtextextended(to_jsonb(t)::text, 0)::numeric) FROM ONLY %I.%I t', \
    n.nspname || '.' || c.relname, n.nspname, c.relname), ' UNION ALL ' ORDER BY n.nspname, c.relname) || ' ORDER BY 1' \
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
    WHERE c.relkind IN ('r', 'm') AND n.nspname !~ '^pg_|^information_schema$|^dbbuild|^kept$'";

/// The last migrations of the sample with what they drop.
pub fn sample(lab: &Lab) -> Result<Measured> {
    round_trip(lab, "shop", "")
}

/// The same with three secondary indexes on the largest table.
pub fn sample_with_indexes(lab: &Lab) -> Result<Measured> {
    round_trip(lab, "shop-indexed", INDEXES)
}

fn round_trip(lab: &Lab, name: &str, more: &str) -> Result<Measured> {
    let repository = lab.repository_of(name, |migrations| {
        let db = migrations.parent().context("no folder")?;
        copy(&workspace::root()?.join("db"), db)?;
        // What a person does by hand runs none either.
        fs::remove_dir_all(db.join("checks")).map_err(Into::into)
    })?;
    let files = repository.files()?;
    let (_, going) = files.split_at_checked(files.len().saturating_sub(LAST)).context("too few migrations")?;
    let template = prepared(lab, &repository, more)?;
    let before = sums(lab, &template)?;
    ensure!(before.contains("public.order_items|1000000|"), "the largest table has another size:\n{before}");
    let script = lab.dir().join(format!("{}.sql", repository.database));
    let repeatable = ordered(sorted(&repository.path.join("db/repeatable"))?)?;
    let by_hand = format!("{KEEP}{}{}DROP SCHEMA kept CASCADE;\n", by_hand(going, GIVE_BACK)?, included(&repeatable));
    fs::write(&script, by_hand)?;
    let measured = measure(lab, &repository, &template, &files, &script)?;
    let after = sums(lab, &repository.database)?;
    ensure!(after == before, "rows are not as before:\n{}", differences(&before, &after));
    lab.server.psql("postgres", &format!("DROP DATABASE {template} WITH (FORCE)"))?;
    Ok(measured)
}

/// Steps that lose nothing: views, functions, indexes, constraints and defaults on the same rows.
pub fn lossless(lab: &Lab) -> Result<Measured> {
    let repository = lab.repository_of("lossless", |migrations| {
        copy(&workspace::root()?.join("db/migrations"), migrations)?;
        // What the rows refer to.
        copy(&workspace::root()?.join("db/init"), &migrations.with_file_name("init"))?;
        (0..LAST).try_for_each(|n| {
            fs::write(migrations.join(format!("2025010100{n:02}00_step.sql")), step(n)).map_err(Into::into)
        })
    })?;
    let files = repository.files()?;
    let (_, going) = files.split_at_checked(files.len().saturating_sub(LAST)).context("too few migrations")?;
    let template = prepared(lab, &repository, "")?;
    let script = lab.dir().join("lossless.sql");
    fs::write(&script, by_hand(going, &[])?)?;
    let measured = measure(lab, &repository, &template, &files, &script);
    lab.server.psql("postgres", &format!("DROP DATABASE {template} WITH (FORCE)"))?;
    measured
}

fn step(n: usize) -> String {
    let (up, down) = match n % 5 {
        0 => (
            format!(
                "CREATE OR REPLACE VIEW lines_{n} AS SELECT order_id, count(*) AS lines FROM order_items GROUP BY 1;"
            ),
            format!("DROP VIEW lines_{n};"),
        ),
        1 => (
            format!("CREATE OR REPLACE FUNCTION twice_{n}(a int) RETURNS int LANGUAGE sql AS 'SELECT 2 * a';"),
            format!("DROP FUNCTION twice_{n}(int);"),
        ),
        2 => (
            format!("CREATE INDEX IF NOT EXISTS step_{n} ON order_items (quantity, order_id);"),
            format!("DROP INDEX step_{n};"),
        ),
        3 => (
            format!("ALTER TABLE order_items ADD CONSTRAINT step_{n} CHECK (quantity < 1000000 + {n});"),
            format!("ALTER TABLE order_items DROP CONSTRAINT step_{n};"),
        ),
        _ => (
            format!("ALTER TABLE orders ALTER COLUMN updated_at SET DEFAULT now() + interval '{n} s';"),
            "ALTER TABLE orders ALTER COLUMN updated_at DROP DEFAULT;".to_owned(),
        ),
    };
    format!("-- migrate:up\n{up}\n\n-- migrate:down\n{down}\n")
}

/// A database with everything applied and filled, to copy before each run. Its name.
fn prepared(lab: &Lab, repository: &Repository, more: &str) -> Result<String> {
    let template = format!("{}_template", repository.database);
    lab.server.psql("postgres", &format!("DROP DATABASE IF EXISTS {template} WITH (FORCE)"))?;
    lab.server.fresh(&repository.database)?;
    workspace::output(&mut repository.dbbuild(&["apply"]))?;
    lab.server.psql(&repository.database, FILL)?;
    if !more.is_empty() {
        lab.server.psql(&repository.database, more)?;
    }
    lab.server.psql(&repository.database, "VACUUM (ANALYZE)")?;
    lab.server.psql("postgres", &format!("ALTER DATABASE {} RENAME TO {template}", repository.database))?;
    Ok(template)
}

fn measure(lab: &Lab, repository: &Repository, template: &str, files: &[PathBuf], script: &Path) -> Result<Measured> {
    let stays = files.len().checked_sub(LAST + 1).and_then(|n| files.get(n)).context("nothing to go back to")?;
    let target = stays.file_name().and_then(|name| name.to_str()).and_then(|name| name.split('_').next());
    let target = target.context("a migration without a version")?;
    let copied = |database: &str| {
        lab.server.psql("postgres", &format!("DROP DATABASE IF EXISTS {database} WITH (FORCE)"))?;
        lab.server.psql("postgres", &format!("CREATE DATABASE {database} TEMPLATE {template}"))?;
        lab.server.psql("postgres", "CHECKPOINT")
    };
    let ours = || {
        copied(&repository.database)?;
        workspace::output(&mut repository.dbbuild(&["env", "mark", "bench", "--confirm", "bench"]))?;
        Ok(repository.shell(r#"dbbuild downgrade --to "$1" --yes && dbbuild apply"#, &[target]))
    };
    let theirs = || {
        copied("by_hand")?;
        let mut psql = lab.server.psql_command("by_hand");
        psql.arg("-f").arg(script).env("PGOPTIONS", "-c client_min_messages=warning");
        Ok(psql)
    };
    alternate(lab.rounds, 1, &side(&ours), &side(&theirs))
}

/// Down in reverse order, then up, each in a transaction where that may be.
fn by_hand(files: &[PathBuf], give_back: &[(&str, &str)]) -> Result<String> {
    let mut script = String::new();
    for file in files.iter().rev() {
        let text = fs::read_to_string(file)?;
        let (_, down) = text.split_once("-- migrate:down").context("a migration without a down part")?;
        write_part(&mut script, down, "");
    }
    for file in files {
        let text = fs::read_to_string(file)?;
        let (up, _) = text.split_once("-- migrate:down").context("a migration without a down part")?;
        let (_, up) = up.split_once("-- migrate:up").context("a migration without an up part")?;
        let name = file.file_stem().and_then(|name| name.to_str()).unwrap_or_default();
        let more = give_back.iter().find(|(end, _)| name.ends_with(end)).map_or("", |(_, sql)| sql);
        write_part(&mut script, up, more);
    }
    Ok(script)
}

fn write_part(script: &mut String, part: &str, more: &str) {
    let (options, sql) = part.split_once('\n').unwrap_or(("", part));
    let alone = options.contains("transaction:false");
    let (begin, commit) = if alone { ("", "") } else { ("BEGIN;\n", "COMMIT;\n") };
    // Writing into a String cannot fail.
    let _ = write!(script, "{begin}{sql}\n{more}\n{commit}");
}

fn included(files: &[PathBuf]) -> String {
    files.iter().map(|file| format!("\\i {}\n", file.display())).collect()
}

/// As the files say that they run: those first that others come after.
fn ordered(mut files: Vec<PathBuf>) -> Result<Vec<PathBuf>> {
    let mut done: Vec<PathBuf> = Vec::new();
    while !files.is_empty() {
        let before = done.len();
        for file in std::mem::take(&mut files) {
            let text = fs::read_to_string(&file)?;
            let mut after =
                text.lines().filter_map(|line| line.strip_prefix("-- dbbuild:after ")).flat_map(str::split_whitespace);
            let ready = after.all(|name| done.iter().any(|done| done.ends_with(name)));
            if ready { done.push(file) } else { files.push(file) }
        }
        ensure!(done.len() > before, "repeatable files wait for each other");
    }
    Ok(done)
}

fn sorted(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder)?.collect::<std::io::Result<Vec<_>>>()?;
    let mut files: Vec<PathBuf> = entries.into_iter().map(|entry| entry.path()).collect();
    files.sort();
    Ok(files)
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    for place in sorted(from)? {
        let other = to.join(place.file_name().context("a file without a name")?);
        if place.is_dir() {
            copy(&place, &other)?;
        } else {
            fs::copy(&place, &other)?;
        }
    }
    Ok(())
}

fn sums(lab: &Lab, database: &str) -> Result<String> {
    lab.server.psql(database, &lab.server.psql(database, SUMS)?)
}

fn differences(before: &str, after: &str) -> String {
    let lines = |one: &str, other: &str, sign: char| {
        let gone = one.lines().filter(|line| !other.lines().any(|known| known == *line));
        gone.map(|line| format!("{sign} {line}\n")).collect::<String>()
    };
    lines(before, after, '-') + &lines(after, before, '+')
}
