//! What a tool's bookkeeping table says of a database, held against the record of what was converted.
//!
//! The table itself is read at the edge, by the query that the tool's converter gives. Whatever does not fit is refused:
//! a database half understood is worse than one not taken over.

use std::collections::{BTreeMap, BTreeSet};

use super::record::Record;
use crate::error::{Error, Result};
use crate::model::version::Version;

/// How a tool remembers what it applied.
#[derive(Debug)]
pub struct Bookkeeping {
    /// The usual name of its table, with its schema where that is fixed.
    pub table: &'static str,
    /// Its rows in order of application, three columns of text: key, checksum or null, and what is wrong with it or null.
    /// `{table}` stands for the table.
    pub query: &'static str,
    /// What the rows mean.
    pub meaning: Meaning,
}

impl Bookkeeping {
    /// A table of which each row names an applied migration by its version, and nothing else counts.
    pub(super) const fn of_versions(table: &'static str) -> Bookkeeping {
        let query = "SELECT version::text, NULL, NULL FROM {table} ORDER BY version";
        Bookkeeping { table, query, meaning: Meaning::Each }
    }
}

/// What the rows of a bookkeeping table mean.
#[derive(Debug, Clone, Copy)]
pub enum Meaning {
    /// Each names one applied migration.
    Each,
    /// The only row names the last one applied: all before it are applied as well.
    UpTo,
    /// Each stands for the rows that this makes of it.
    Expanded(fn(&Record, &Row) -> Vec<Row>),
}

/// A row as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The tool's key.
    pub key: String,
    /// The tool's checksum, if it keeps one.
    pub checksum: Option<String>,
    /// What is wrong: a dirty flag, a failure.
    pub trouble: Option<String>,
}

/// What a take-over records.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Applied {
    /// Versions in the order of the record.
    pub versions: Vec<Version>,
    /// Kind and name of other files that ran in their present form.
    pub scripts: Vec<(String, String)>,
}

/// Which migrations are applied; every reason to refuse is listed.
pub fn applied(record: &Record, meaning: Meaning, rows: &[Row], place: &str) -> Result<Applied> {
    if let Meaning::Expanded(expand) = meaning {
        let rows: Vec<Row> = rows.iter().flat_map(|row| expand(record, row)).collect();
        return applied(record, Meaning::Each, &rows, place);
    }
    let mut faults: Vec<Error> = Vec::new();
    let mut known: BTreeMap<&str, Option<&str>> = BTreeMap::new();
    let of_migrations = record.migration.iter().flat_map(|migration| &migration.keys);
    let of_scripts = record.script.iter().flat_map(|script| &script.keys);
    for key in of_migrations.chain(of_scripts) {
        known.insert(&key.key, key.checksum.as_deref());
    }
    let mut there: BTreeSet<&str> = BTreeSet::new();
    let mut other: BTreeSet<&str> = BTreeSet::new();
    for row in rows {
        let shown = row.key.escape_debug();
        if let Some(trouble) = &row.trouble {
            faults.push(
                Error::failed(format!("{place} says of `{shown}`: {trouble}"))
                    .help(format!("bring the database into order with {} first; nothing was changed", record.tool)),
            );
        }
        let Some(checksum) = known.get(row.key.as_str()) else {
            faults.push(
                Error::failed(format!("{place} holds `{shown}`, which is no migration of this tree"))
                    .help("convert the files that the database was made from, or check out the commit that has them"),
            );
            continue;
        };
        if let (Some(ours), Some(theirs)) = (checksum, &row.checksum)
            && !ours.split(' ').any(|ours| ours == theirs)
        {
            other.insert(&row.key);
        }
        there.insert(&row.key);
    }
    if matches!(meaning, Meaning::UpTo) {
        up_to(record, &mut there);
    }
    let mut done = Applied::default();
    for migration in record.migration.iter().filter(|migration| !migration.keys.is_empty()) {
        let missing: Vec<&str> =
            migration.keys.iter().map(|key| key.key.as_str()).filter(|key| !there.contains(key)).collect();
        let version = Version::parse(&migration.version)?;
        for key in migration.keys.iter().filter(|key| other.contains(key.key.as_str())) {
            let files = migration.files.join(", ");
            faults.push(
                Error::failed(format!("{place} has another checksum for `{}` than {files}", key.key.escape_debug()))
                    .help("the file was changed after it ran there; take over from a commit that has the original"),
            );
        }
        match missing.len() {
            0 => done.versions.push(version),
            n if n == migration.keys.len() => {}
            _ => faults.push(Error::failed(format!(
                "migration {version} is applied in part: {place} lacks `{}`",
                missing.join("`, `").escape_debug()
            ))),
        }
    }
    // A script whose checksum differs is merely due to run again.
    let ran = |key: &super::Key| there.contains(key.key.as_str()) && !other.contains(key.key.as_str());
    let scripts = record.script.iter().filter(|script| script.keys.iter().all(ran));
    done.scripts = scripts.map(|script| (script.kind.clone(), script.name.clone())).collect();
    match Error::all(faults) {
        Some(error) => Err(error),
        None => Ok(done),
    }
}

/// Adds everything before what is there.
fn up_to<'a>(record: &'a Record, there: &mut BTreeSet<&'a str>) {
    let last = record.migration.iter().rposition(|m| m.keys.iter().any(|key| there.contains(key.key.as_str())));
    let before = record.migration.iter().take(last.map_or(0, |last| last + 1));
    there.extend(before.flat_map(|migration| &migration.keys).map(|key| key.key.as_str()));
}

#[cfg(test)]
mod tests {
    use super::super::Key;
    use super::super::record::RecordedMigration;
    use super::*;

    fn record() -> Record {
        let mut record = Record::new("tool");
        for (version, keys) in [("1", vec!["a"]), ("2", vec!["b", "c"]), ("3", vec!["d"])] {
            let keys =
                keys.iter().map(|key| Key { key: (*key).to_owned(), checksum: Some(format!("other sum-{key}")) });
            let files = vec![format!("m/{version}.sql")];
            record.migration.push(RecordedMigration { version: version.to_owned(), files, keys: keys.collect() });
        }
        record
    }

    fn rows(keys: &[&str]) -> Vec<Row> {
        let row = |key: &&str| Row { key: (*key).to_owned(), checksum: None, trouble: None };
        keys.iter().map(row).collect()
    }

    fn versions(meaning: Meaning, keys: &[&str]) -> Result<Vec<String>> {
        let done = applied(&record(), meaning, &rows(keys), "t")?;
        Ok(done.versions.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn rows_name_versions_in_order() {
        assert_eq!(versions(Meaning::Each, &["d", "a"]).unwrap(), ["1", "3"]);
        assert_eq!(versions(Meaning::Each, &["c", "b"]).unwrap(), ["2"]);
        assert_eq!(versions(Meaning::UpTo, &["d"]).unwrap(), ["1", "2", "3"]);
        assert!(versions(Meaning::UpTo, &[]).unwrap().is_empty());
    }

    #[test]
    fn what_does_not_fit_is_refused_all_at_once() {
        assert!(versions(Meaning::Each, &["b"]).unwrap_err().message().contains("in part"));
        let mut rows = rows(&["a", "x", "d"]);
        rows[0].trouble = Some("dirty".to_owned());
        rows[2].checksum = Some("another".to_owned());
        let error = applied(&record(), Meaning::Each, &rows, "t").unwrap_err();
        assert_eq!(error.others().len(), 2, "{error:?}");
        rows[2].checksum = Some("sum-d".to_owned());
        let error = applied(&record(), Meaning::Each, &rows, "t").unwrap_err();
        assert_eq!(error.others().len(), 1);
    }
}
