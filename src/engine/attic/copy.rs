//! The statements that copy rows into the attic.
//!
//! Nothing in the attic depends on what a down part may drop: types that are not PostgreSQL's own are kept as text, and
//! collations of users are left behind.

use super::facts::{Column, Table};
use super::plan::{Key, Mode, Wanted, Watched};
use crate::model::attic::Kind;
use crate::model::sql::identifier;

/// How values are written as text and rows are read, whatever the session says. Undone by [`NORMAL`].
pub(super) const PLAIN: &str = "SET LOCAL row_security = off; SET LOCAL search_path = pg_catalog; SET LOCAL datestyle = 'ISO, YMD'; \
    SET LOCAL intervalstyle = postgres; SET LOCAL extra_float_digits = 1; SET LOCAL bytea_output = hex; \
    SET LOCAL xmloption = content; SET LOCAL synchronize_seqscans = off";

/// What the session had before [`PLAIN`].
pub(super) const NORMAL: &str = "SET LOCAL row_security TO DEFAULT; SET LOCAL search_path TO DEFAULT; SET LOCAL datestyle TO DEFAULT; \
    SET LOCAL intervalstyle TO DEFAULT; SET LOCAL extra_float_digits TO DEFAULT; SET LOCAL bytea_output TO DEFAULT; \
    SET LOCAL xmloption TO DEFAULT; SET LOCAL synchronize_seqscans TO DEFAULT";

/// A value as the attic stores it.
pub(super) fn stored(column: &Column, alias: &str) -> String {
    let mut value = format!("{alias}.{}", identifier(&column.name));
    if column.text {
        value = format!("({value})::text");
    }
    // A text's collation may be a user's, too.
    if column.text || column.collated { format!("{value} COLLATE \"C\"") } else { value }
}

/// A value as a text that is the same only for the same value.
pub(super) fn exact(value: &str) -> String {
    format!("({value})::text COLLATE \"C\"")
}

/// Columns of a table by number.
pub(super) fn named<'t>(table: &'t Table, numbers: &'t [i16]) -> impl Iterator<Item = &'t Column> {
    numbers.iter().filter_map(|number| table.column(*number))
}

/// The names of columns by number.
pub(super) fn names(table: &Table, numbers: &[i16]) -> Vec<String> {
    named(table, numbers).map(|column| column.name.clone()).collect()
}

/// `x AS v1, y AS v2`
fn listed(values: impl Iterator<Item = String>, letter: char) -> Vec<String> {
    values.enumerate().map(|(n, value)| format!("{value} AS {letter}{}", n + 1)).collect()
}

/// Numbers equal rows.
pub(super) fn ordinal(values: &[String]) -> String {
    format!("pg_catalog.row_number() OVER (PARTITION BY (ROW({}))::text) AS ordinal", values.join(", "))
}

/// Keeps rows or columns as they stand.
pub(super) fn keep(wanted: &Wanted, table: &Table, id: i64) -> String {
    let value = |column: &Column| stored(column, "t");
    let values: Vec<String> = named(table, &wanted.columns).map(value).collect();
    let keys: Vec<String> = named(table, &wanted.key.columns).map(value).collect();
    let mut list = Vec::new();
    if wanted.kind == Kind::Column {
        list.extend(listed(keys.iter().cloned(), 'k'));
    }
    list.extend(listed(values.iter().cloned(), 'v'));
    if wanted.key.whole {
        list.push(ordinal(if wanted.kind == Kind::Column { &keys } else { &values }));
    }
    format!("CREATE TABLE {SCHEMA}.kept_{id} AS SELECT {} FROM {} t", list.join(", "), table.rows())
}

/// The schema, as it stands in statements.
pub(super) const SCHEMA: &str = crate::model::attic::SCHEMA;

/// The table that holds what is compared after the second run.
pub(super) fn scratch_name(oid: u32) -> String {
    format!("{SCHEMA}.scratch_{oid}")
}

/// True for what transactions from a number on wrote: numbers go round.
pub(super) fn since(column: &str, xid: u64) -> String {
    format!("(({column}::text::bigint - {xid} + 4294967296) % 4294967296 < 1073741824 AND {column}::text <> '0')")
}

/// Copies what is compared after the second run. The first run left its mark on the rows that it touched, from the
/// transaction `xid` on.
pub(super) fn scratch(watched: &Watched, table: &Table, xid: u64) -> String {
    let mut list: Vec<String> =
        named(table, &watched.columns).map(|column| format!("{} AS c{}", stored(column, "t"), column.number)).collect();
    let mut condition = String::new();
    match watched.mode {
        Mode::Marked => {
            condition = format!(" WHERE {}", since("t.xmax", xid));
            list.extend(watched.key.whole.then(|| "t.tableoid AS part, t.ctid AS place".to_owned()));
        }
        Mode::Converted if watched.key.whole => list.push(format!("{PHYSICAL} AS ordinal")),
        _ => {}
    }
    if list.is_empty() {
        list.push("true AS nothing".to_owned());
    }
    let name = scratch_name(watched.oid);
    format!("CREATE TABLE {name} AS SELECT {} FROM {} t{condition}", list.join(", "), table.rows())
}

/// The order in which rows stand; a table that is written anew keeps it.
pub(super) const PHYSICAL: &str = "pg_catalog.row_number() OVER (ORDER BY t.tableoid, t.ctid)";

/// A digest of columns of a table, in which the order of rows does not count.
pub(super) fn digest(table: &Table, numbers: &[i16]) -> String {
    let columns: Vec<String> = named(table, numbers).map(|column| stored(column, "t")).collect();
    format!(
        "SELECT pg_catalog.count(*), pg_catalog.sum(pg_catalog.hashtextextended({0}, 0)), \
         pg_catalog.sum(pg_catalog.hashtextextended({0}, 1)) FROM {1} t",
        exact(&format!("ROW({})", columns.join(", "))),
        table.rows()
    )
}

/// Whether two values differ: one of the scratch table, one of what is there now.
fn differs(number: i16, table: &Table, now: &Column) -> String {
    let (old, new) = (format!("o.c{number}"), stored(now, "n"));
    let text = format!("{} IS DISTINCT FROM {}", exact(&old), exact(&new));
    // A floating point number may read the same and be another one in the wider type.
    let kind = table.column(number).map_or("", |column| column.kind.as_str());
    let base = kind.split('(').next().unwrap_or_default();
    match (base, now.kind.as_str()) {
        ("double precision" | "numeric", "real") | ("numeric", "double precision") => {
            format!("({text} OR {} IS DISTINCT FROM {})", exact(&old), exact(&format!("({new})::{base}")))
        }
        _ => text,
    }
}

/// Rows of the scratch table and what is there now belong together.
pub(super) fn together(watched: &Watched, table: &Table, now: &Table) -> String {
    let one = |number: &i16| {
        let column = now.column(*number)?;
        let same_type = table.column(*number).is_some_and(|old| old.kind == column.kind);
        let value = stored(column, "n");
        Some(match same_type {
            true => format!("o.c{number} = {value}"),
            false => format!("{} = {}", exact(&format!("o.c{number}")), exact(&value)),
        })
    };
    watched.key.columns.iter().filter_map(one).collect::<Vec<_>>().join(" AND ")
}

/// Marked rows without a key: those that stand where they stood bear the mark of another session's lock.
fn taken(watched: &Watched, now: &Table) -> String {
    match watched.mode == Mode::Marked && watched.key.whole {
        false => String::new(),
        true => {
            let there = format!("SELECT FROM {} n WHERE n.ctid = o.place AND n.tableoid = o.part", now.rows());
            format!(" WHERE NOT EXISTS ({there})")
        }
    }
}

/// Counts such rows that the second run took away, and those that it wrote in the tables that it changed.
pub(super) fn count_marked(watched: &Watched, now: &Table, fresh: u64) -> String {
    let members: Vec<String> = watched.members.iter().map(u32::to_string).collect();
    format!(
        "SELECT (SELECT pg_catalog.count(*) FROM {} o{}), (SELECT pg_catalog.count(*) FROM {} n WHERE {} AND n.tableoid IN ({}))",
        scratch_name(watched.oid),
        taken(watched, now),
        now.rows(),
        since("n.xmin", fresh),
        members.join(", ")
    )
}

/// Keeps rows of the scratch table that have no counterpart now. `whole` compares whole rows, `fresh` only with those that
/// the second run wrote.
pub(super) fn gone(watched: &Watched, table: &Table, now: &Table, id: i64, fresh: Option<u64>) -> String {
    let columns = watched.columns.as_slice();
    let values = listed(columns.iter().map(|number| format!("o.c{number}")), 'v');
    let scratch = scratch_name(watched.oid);
    if !watched.key.whole {
        let together = together(watched, table, now);
        return format!(
            "CREATE TABLE {SCHEMA}.kept_{id} AS SELECT {} FROM {scratch} o \
             WHERE NOT EXISTS (SELECT FROM {} n WHERE {together})",
            values.join(", "),
            now.rows()
        );
    }
    let shared: Vec<&Column> =
        columns.iter().filter_map(|number| now.column(*number)).filter(|c| !c.generated).collect();
    let old: Vec<String> = shared.iter().map(|column| format!("o.c{}", column.number)).collect();
    let new: Vec<String> = shared.iter().map(|column| stored(column, "n")).collect();
    let condition = fresh.map_or_else(String::new, |xid| format!(" WHERE {}", since("n.xmin", xid)));
    let all: Vec<String> = columns.iter().map(|number| format!("o.c{number}")).collect();
    format!(
        "CREATE TABLE {SCHEMA}.kept_{id} AS WITH o AS (SELECT o.*, {whole_old} AS whole, {nth_old} AS nth FROM {scratch} o{taken}), \
         n AS (SELECT {whole_new} AS whole, {nth_new} AS nth FROM {rows} n{condition}) \
         SELECT {values}, {ordinal} FROM o WHERE NOT EXISTS (SELECT FROM n WHERE n.whole = o.whole AND n.nth = o.nth)",
        whole_old = exact(&format!("ROW({})", old.join(", "))),
        nth_old = ordinal(&old).trim_end_matches(" AS ordinal"),
        taken = taken(watched, now),
        whole_new = exact(&format!("ROW({})", new.join(", "))),
        nth_new = ordinal(&new).trim_end_matches(" AS ordinal"),
        rows = now.rows(),
        values = values.join(", "),
        ordinal = ordinal(&all),
    )
}

/// Rows without a key are equal or not: those that are gone, and those that came, in any order. Two statements: as many as
/// came are kept as values with what stands for them now, the others as rows.
pub(super) fn exchanged(
    watched: &Watched,
    table: &Table,
    now: &Table,
    (values, rows): (i64, i64),
    fresh: Option<u64>,
) -> (Vec<i16>, String, String) {
    let both = |number: &i16| Some((table.column(*number)?, now.column(*number)?));
    let shared: Vec<i16> =
        watched.columns.iter().copied().filter(|number| both(number).is_some_and(|(_, is)| !is.generated)).collect();
    let old: Vec<String> = shared.iter().map(|number| format!("o.c{number}")).collect();
    let new: Vec<String> = shared.iter().filter_map(both).map(|(_, is)| stored(is, "n")).collect();
    let condition = fresh.map_or_else(String::new, |xid| format!(" WHERE {}", since("n.xmin", xid)));
    let nth = |list: &[String]| ordinal(list).trim_end_matches(" AS ordinal").to_owned();
    let unmatched = "n.whole = o.whole AND n.nth = o.nth";
    let both_sides = format!(
        "WITH o AS MATERIALIZED (SELECT o.*, {whole_old} AS whole, {nth_old} AS nth FROM {scratch} o{taken}), \
         n AS MATERIALIZED (SELECT {made}, {whole_new} AS whole, {nth_new} AS nth FROM {from} n{condition}), \
         went AS MATERIALIZED (SELECT o.*, pg_catalog.row_number() OVER () AS turn FROM o WHERE NOT EXISTS (SELECT FROM n WHERE {unmatched})), \
         came AS MATERIALIZED (SELECT n.*, pg_catalog.row_number() OVER () AS turn FROM n WHERE NOT EXISTS (SELECT FROM o WHERE {unmatched}))",
        whole_old = exact(&format!("ROW({})", old.join(", "))),
        nth_old = nth(&old),
        scratch = scratch_name(watched.oid),
        taken = taken(watched, now),
        made = listed(new.iter().cloned(), 'm').join(", "),
        whole_new = exact(&format!("ROW({})", new.join(", "))),
        nth_new = nth(&new),
        from = now.rows(),
    );
    let kept = |numbers: &[i16]| listed(numbers.iter().map(|number| format!("w.c{number}")), 'v').join(", ");
    let made: Vec<String> = (1..=shared.len()).map(|n| format!("c.m{n}")).collect();
    let exchange = format!(
        "CREATE TABLE {SCHEMA}.kept_{values} AS {both_sides} SELECT {}, {}, w.turn AS ordinal FROM went w JOIN came c ON c.turn = w.turn",
        kept(&shared),
        made.join(", ")
    );
    let rest = format!(
        "CREATE TABLE {SCHEMA}.kept_{rows} AS {both_sides} SELECT {}, w.turn AS ordinal FROM went w \
         WHERE w.turn > (SELECT pg_catalog.count(*) FROM came)",
        kept(&watched.columns)
    );
    (shared, exchange, rest)
}

/// Keeps the values of columns that changed, with what they are now.
pub(super) fn values(watched: &Watched, table: &Table, now: &Table, changed: &[i16], id: i64) -> (Key, String) {
    let scratch = scratch_name(watched.oid);
    let any: Vec<String> =
        changed.iter().filter_map(|number| Some(differs(*number, table, now.column(*number)?))).collect();
    let key = match watched.key.whole {
        false => watched.key.clone(),
        true => Key {
            columns: watched.columns.iter().copied().filter(|number| !watched.converted.contains(number)).collect(),
            whole: true,
        },
    };
    let old = |number: &i16| format!("o.c{number}");
    let new = |number: &i16| now.column(*number).map(|column| stored(column, "n"));
    let mut list = listed(key.columns.iter().map(old), 'k');
    list.extend(listed(changed.iter().map(old), 'v'));
    list.extend(listed(changed.iter().filter_map(new), 'm'));
    let (from, join) = match key.whole {
        false => (now.rows(), together(watched, table, now)),
        true => {
            let same: Vec<String> = key.columns.iter().map(old).chain(changed.iter().filter_map(new)).collect();
            list.push(ordinal(&same));
            (
                format!("(SELECT t.*, {PHYSICAL} AS \"dbbuild ordinal\" FROM {} t)", now.rows()),
                "o.ordinal = n.\"dbbuild ordinal\"".to_owned(),
            )
        }
    };
    let statement = format!(
        "CREATE TABLE {SCHEMA}.kept_{id} AS SELECT {} FROM {scratch} o JOIN {from} n ON {join} WHERE {}",
        list.join(", "),
        any.join(" OR ")
    );
    (key, statement)
}

/// Counts what the second run left: rows of the scratch table without a counterpart, those with a new one, and for each
/// shared column how many values differ.
pub(super) fn count(watched: &Watched, table: &Table, now: &Table, fresh: u64) -> (Vec<i16>, String) {
    let scratch = scratch_name(watched.oid);
    let compared: Vec<i16> =
        watched.columns.iter().copied().filter(|number| now.column(*number).is_some_and(|c| !c.generated)).collect();
    let mut list = vec![
        "pg_catalog.count(*) FILTER (WHERE n.tableoid IS NULL)".to_owned(),
        format!("pg_catalog.count(*) FILTER (WHERE {})", since("n.xmin", fresh)),
    ];
    let differing = compared.iter().filter_map(|number| Some(differs(*number, table, now.column(*number)?)));
    list.extend(
        differing.map(|differs| format!("pg_catalog.count(*) FILTER (WHERE n.tableoid IS NOT NULL AND {differs})")),
    );
    let (from, join) = match watched.key.whole {
        false => (now.rows(), together(watched, table, now)),
        true => (
            format!("(SELECT t.*, t.tableoid, t.xmin, {PHYSICAL} AS \"dbbuild ordinal\" FROM {} t)", now.rows()),
            "o.ordinal = n.\"dbbuild ordinal\"".to_owned(),
        ),
    };
    (compared, format!("SELECT {} FROM {scratch} o LEFT JOIN {from} n ON {join}", list.join(", ")))
}
