//! Flyway's own table: how it is read at a take-over, what its rows mean, and what stands for it in a new database.

use super::name::Version;
use crate::model::import::bookkeeping::{Bookkeeping, Meaning, Row};
use crate::model::import::record::Record;

/// The usual name of the table.
pub const TABLE: &str = "flyway_schema_history";

/// Before the version of a baseline.
const BASELINE: &str = "<= ";

/// The last row of each version or description counts; undone and deleted ones are not applied.
pub const BOOKKEEPING: Bookkeeping = Bookkeeping {
    table: TABLE,
    query: r"SELECT CASE WHEN version IS NULL THEN 'R ' || description
                         WHEN type IN ('BASELINE', 'SQL_BASELINE') THEN '<= ' || version
                         ELSE version END,
                    CASE WHEN type NOT IN ('BASELINE', 'SQL_BASELINE') THEN checksum::text END,
                    CASE WHEN NOT success THEN 'it failed' END
               FROM (SELECT *, row_number() OVER (
                              PARTITION BY coalesce(version, 'R ' || description) ORDER BY installed_rank DESC) AS nth
                       FROM {table} WHERE type <> 'SCHEMA') AS history
              WHERE nth = 1 AND type NOT LIKE 'UNDO%' AND type <> 'DELETE'
              ORDER BY installed_rank",
    meaning: Meaning::Expanded(expand),
};

/// The rows that one row means: a baseline stands for everything up to its version, and a version that lies before the
/// first migration of the record for nothing.
fn expand(record: &Record, row: &Row) -> Vec<Row> {
    let keys = || record.migration.iter().flat_map(|migration| &migration.keys).filter_map(|key| version(&key.key));
    let of = |version: &Version| Row { key: version.key(), ..row.clone() };
    if let Some(end) = row.key.strip_prefix(BASELINE).and_then(Version::parse) {
        return keys().filter(|version| *version <= end).map(|version| of(&version)).collect();
    }
    match Version::parse(&row.key) {
        // The row of a repeatable script outlives its file: what is gone never runs again.
        None => Some(row)
            .filter(|row| record.script.iter().any(|s| s.keys.iter().any(|k| k.key == row.key)))
            .cloned()
            .into_iter()
            .collect(),
        Some(version) if starts_at_baseline(record) && keys().min().is_some_and(|first| version < first) => Vec::new(),
        Some(version) => vec![of(&version)],
    }
}

/// Whether the history begins with a baseline migration: its key has no checksum.
fn starts_at_baseline(record: &Record) -> bool {
    record.migration.first().is_some_and(|first| first.keys.iter().any(|key| key.checksum.is_none()))
}

fn version(key: &str) -> Option<Version> {
    Version::parse(key)
}

/// What makes a table like Flyway's where none is.
pub fn stand_in(table: &str) -> String {
    format!(
        "-- Flyway makes this table before anything else, and a file of this history names it.\n\
         CREATE TABLE IF NOT EXISTS {table} (\n    \
         installed_rank integer PRIMARY KEY,\n    version varchar(50),\n    description varchar(200) NOT NULL,\n    \
         type varchar(20) NOT NULL,\n    script varchar(1000) NOT NULL,\n    checksum integer,\n    \
         installed_by varchar(100) NOT NULL,\n    installed_on timestamp NOT NULL DEFAULT now(),\n    \
         execution_time integer NOT NULL,\n    success boolean NOT NULL\n);\n\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::import::Key;
    use crate::model::import::bookkeeping::applied;
    use crate::model::import::record::RecordedMigration;

    fn record(keys: &[(&str, Option<&str>)]) -> Record {
        let mut record = Record::new("flyway");
        for (key, checksum) in keys {
            let keys = vec![Key { key: (*key).to_owned(), checksum: checksum.map(str::to_owned) }];
            let version = key.replace('.', "0");
            record.migration.push(RecordedMigration { version, files: Vec::new(), keys });
        }
        record
    }

    fn versions(record: &Record, rows: &[&str]) -> Vec<String> {
        let row = |key: &&str| Row { key: (*key).to_owned(), checksum: None, trouble: None };
        let rows: Vec<Row> = rows.iter().map(row).collect();
        let done = applied(record, BOOKKEEPING.meaning, &rows, TABLE).unwrap();
        done.versions.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_baseline_stands_for_all_up_to_it() {
        let all = record(&[("1", Some("a")), ("1.1", Some("b")), ("2", Some("c")), ("3", Some("d"))]);
        assert_eq!(versions(&all, &["<= 2", "3"]), ["1", "101", "2", "3"]);
        assert_eq!(versions(&all, &["01", "1_1"]), ["1", "101"]);
    }

    #[test]
    fn rows_before_a_baseline_migration_mean_nothing() {
        let from = record(&[("5", None), ("6", Some("x"))]);
        assert_eq!(versions(&from, &["1", "2", "5"]), ["5"]);
        assert_eq!(versions(&from, &["<= 5", "6"]), ["5", "6"]);
    }
}
