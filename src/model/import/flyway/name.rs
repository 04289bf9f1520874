//! Names of Flyway's files, and its versions: numbers with dots or underscores between them.

use std::cmp::Ordering;

/// A version as Flyway compares it: part by part, ends of nothing but zeros left out.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Version(Vec<String>);

impl Version {
    /// Reads digits with `.` or `_` between them.
    pub fn parse(text: &str) -> Option<Version> {
        let mut parts = Vec::new();
        for part in text.split(['.', '_']) {
            if part.is_empty() || !part.bytes().all(|b| b.is_ascii_digit()) {
                return None;
            }
            let digits = part.trim_start_matches('0');
            parts.push(if digits.is_empty() { "0".to_owned() } else { digits.to_owned() });
        }
        while parts.len() > 1 && parts.last().is_some_and(|part| part == "0") {
            parts.pop();
        }
        Some(Version(parts))
    }

    /// The key under which the record and the query know it: parts without leading zeros.
    pub fn key(&self) -> String {
        self.0.join(".")
    }
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> Ordering {
        let length = self.0.len().max(other.0.len());
        let part = |version: &Version, at: usize| version.0.get(at).cloned().unwrap_or_else(|| "0".to_owned());
        let pairs = (0..length).map(|at| (part(self, at), part(other, at)));
        let mut orders = pairs.map(|(a, b)| a.len().cmp(&b.len()).then_with(|| a.cmp(&b)));
        orders.find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
    }
}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// One number for each version, in the same order: every part behind the first gets the digits that the longest of its
/// column has. Where no version has a second part, all stay as they are.
pub fn numbers(versions: &[(&Version, &str)]) -> Vec<String> {
    let columns = versions.iter().map(|(version, _)| version.0.len()).max().unwrap_or(0);
    if columns == 1 {
        return versions.iter().map(|(_, written)| (*written).to_owned()).collect();
    }
    let width =
        |column: usize| versions.iter().filter_map(|(v, _)| v.0.get(column)).map(String::len).max().unwrap_or(1);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let number = |(version, _): &(&Version, &str)| {
        let part = |at: usize| version.0.get(at).map_or("0", String::as_str);
        (0..columns)
            .map(|at| if at == 0 { part(0).to_owned() } else { format!("{:0>1$}", part(at), widths[at]) })
            .collect()
    };
    versions.iter().map(number).collect()
}

/// What a file is to Flyway.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// `V`, with its version and the digits as written.
    Versioned(Version, String),
    /// `U`.
    Undo(Version),
    /// `B`.
    Baseline(Version, String),
    /// `R`.
    Repeatable,
    /// The event at which it runs.
    Callback(&'static str),
}

/// How files are called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Naming {
    /// Before a version or a description.
    pub versioned: String,
    /// The same of files that take back.
    pub undo: String,
    /// The same of baseline migrations.
    pub baseline: String,
    /// The same of repeatable ones.
    pub repeatable: String,
    /// Between version and description.
    pub separator: String,
    /// Endings with their dots; empty for `.sql` in either case.
    pub suffixes: Vec<String>,
}

impl Default for Naming {
    fn default() -> Naming {
        let text = |text: &str| text.to_owned();
        Naming {
            versioned: text("V"),
            undo: text("U"),
            baseline: text("B"),
            repeatable: text("R"),
            separator: text("__"),
            suffixes: Vec::new(),
        }
    }
}

/// Events of Flyway at which a file of that name runs.
const EVENTS: &[&str] = &[
    "afterBaseline",
    "afterBaselineError",
    "afterBaselineOperationFinish",
    "afterClean",
    "afterCleanError",
    "afterCleanOperationFinish",
    "afterConnect",
    "afterEachMigrate",
    "afterEachMigrateError",
    "afterEachMigrateStatement",
    "afterEachMigrateStatementError",
    "afterEachUndo",
    "afterEachUndoError",
    "afterEachUndoStatement",
    "afterEachUndoStatementError",
    "afterInfo",
    "afterInfoError",
    "afterInfoOperationFinish",
    "afterMigrate",
    "afterMigrateApplied",
    "afterMigrateError",
    "afterMigrateOperationFinish",
    "afterRepair",
    "afterRepairError",
    "afterRepairOperationFinish",
    "afterUndo",
    "afterUndoError",
    "afterUndoOperationFinish",
    "afterValidate",
    "afterValidateError",
    "afterValidateOperationFinish",
    "afterVersioned",
    "beforeBaseline",
    "beforeClean",
    "beforeConnect",
    "beforeCreateSchema",
    "beforeEachMigrate",
    "beforeEachMigrateStatement",
    "beforeEachUndo",
    "beforeEachUndoStatement",
    "beforeInfo",
    "beforeMigrate",
    "beforeRepair",
    "beforeRepeatables",
    "beforeUndo",
    "beforeValidate",
    "createSchema",
];

/// What a file's name says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    /// What it is.
    pub kind: Kind,
    /// What stands behind the separator, as written.
    pub description: String,
}

/// Reads a file's name without folders; the error says why Flyway passes it over, `None` that it is no script at all.
pub fn parse(name: &str, naming: &Naming) -> Option<Result<Named, String>> {
    let stem = stem(name, naming)?;
    let (front, description) = stem.split_once(&naming.separator).unwrap_or((stem, ""));
    let description = description.to_owned();
    if let Some(event) = EVENTS.iter().find(|event| **event == front) {
        return Some(Ok(Named { kind: Kind::Callback(event), description }));
    }
    let versioned = [(&naming.versioned, 'V'), (&naming.undo, 'U'), (&naming.baseline, 'B')];
    let prefixed = versioned.iter().filter(|(prefix, _)| !prefix.is_empty() || naming.versioned.is_empty());
    for (prefix, letter) in prefixed {
        let Some(written) = front.strip_prefix(prefix.as_str()) else { continue };
        let Some(version) = Version::parse(written) else {
            return Some(Err(format!("its version is `{written}`, which is no number")));
        };
        let kind = match letter {
            'V' => Kind::Versioned(version, written.to_owned()),
            'U' => Kind::Undo(version),
            _ => Kind::Baseline(version, written.to_owned()),
        };
        return Some(Ok(Named { kind, description }));
    }
    match front.strip_prefix(&naming.repeatable) {
        Some("") if !naming.repeatable.is_empty() => Some(Ok(Named { kind: Kind::Repeatable, description })),
        Some(_) => Some(Err(format!("a repeatable file has `{}` behind `{}`", naming.separator, naming.repeatable))),
        None => Some(Err("its name begins with no prefix that Flyway knows".to_owned())),
    }
}

/// The name without its ending.
fn stem<'n>(name: &'n str, naming: &Naming) -> Option<&'n str> {
    if naming.suffixes.is_empty() {
        return crate::model::migration::strip_sql(name);
    }
    naming.suffixes.iter().find_map(|suffix| name.strip_suffix(suffix.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(text: &str) -> Version {
        Version::parse(text).unwrap()
    }

    #[test]
    fn versions_order_as_flyway_orders_them() {
        let ordered = ["0", "1", "1.0.1", "1.1", "1_2", "1.10", "2", "2.0.0.1", "10", "20240101120000.1"];
        for pair in ordered.windows(2) {
            assert!(version(pair[0]) < version(pair[1]), "{pair:?}");
        }
        assert_eq!(version("1.0"), version("01"));
        assert_eq!(version("1_02").key(), "1.2");
        for bad in ["", "1.", ".1", "1..2", "a", "1-2", "1 "] {
            assert_eq!(Version::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn numbers_keep_the_order_with_digits_alone() {
        let of = |texts: &[&str]| {
            let versions: Vec<(Version, &str)> = texts.iter().map(|text| (version(text), *text)).collect();
            numbers(&versions.iter().map(|(version, text)| (version, *text)).collect::<Vec<_>>())
        };
        assert_eq!(of(&["0", "01", "175"]), ["0", "01", "175"]);
        assert_eq!(of(&["1", "1.1", "1.10", "2.0.1"]), ["1000", "1010", "1100", "2001"]);
    }

    #[test]
    fn names_are_read_as_flyway_reads_them() {
        let naming = Naming::default();
        let kind = |name: &str| parse(name, &naming).map(|named| named.map(|named| named.kind));
        assert_eq!(kind("V1_2__a b.sql"), Some(Ok(Kind::Versioned(version("1.2"), "1_2".to_owned()))));
        assert_eq!(kind("U1.2__x.sql"), Some(Ok(Kind::Undo(version("1.2")))));
        assert_eq!(kind("B7__x.SQL"), Some(Ok(Kind::Baseline(version("7"), "7".to_owned()))));
        assert_eq!(kind("R__view.sql"), Some(Ok(Kind::Repeatable)));
        assert_eq!(kind("afterMigrate__x.sql"), Some(Ok(Kind::Callback("afterMigrate"))));
        assert_eq!(kind("V1__x.sql.conf"), None);
        for bad in ["V1_x.sql", "V__x.sql", "Rview.sql", "x.sql", "v1__x.sql"] {
            assert!(matches!(kind(bad), Some(Err(_))), "{bad}");
        }
    }
}
