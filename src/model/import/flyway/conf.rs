//! Flyway's configuration: `flyway.toml`, `flyway.conf`, and the file `SCRIPT.conf` beside a script.
//!
//! Addresses, users and passwords are passed over unread.

use std::collections::BTreeMap;

use super::name::Naming;
use crate::error::{Error, Location, Result};

/// Keys with their values and lines, without the word `flyway`, in lower case: `locations`, `placeholders.name`.
#[derive(Debug, Default)]
pub struct Conf {
    /// The file; empty where there is none.
    pub path: String,
    values: BTreeMap<String, (String, usize)>,
}

/// Keys of a whole configuration that change what the files do, and what becomes of each.
const LOST: &[(&str, &str, &str)] = &[
    (
        "initsql",
        "runs before everything on each connection: not carried over",
        "set it with ALTER DATABASE … SET or ALTER ROLE … SET",
    ),
    ("target", "ends a run at a version: not carried over", ""),
    ("cherrypick", "chooses migrations: not carried over", ""),
    ("javamigrations", "names migrations in Java: not carried over", "write them in SQL"),
    ("callbacks", "names callbacks in Java: not carried over", ""),
    ("resolvers", "names resolvers in Java: not carried over", "write what they find in SQL"),
    ("tablespace", "is of Flyway's own table: not carried over", ""),
    ("outoforder", "is not needed: dbbuild applies what is missing wherever its version stands", ""),
    ("baselineversion", "is not carried over: what a database has is taken from its own table", ""),
];

impl Conf {
    /// Reads `flyway.toml` or lines of `key=value`, as the name of the file says.
    pub fn parse(path: &str, text: &str) -> Result<Conf> {
        let values = if path.ends_with(".toml") { toml(path, text)? } else { properties(path, text)? };
        Ok(Conf { path: path.to_owned(), values })
    }

    /// The value of a key, given in lower case.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.values.get(key).map(|(value, _)| value.as_str()).filter(|value| !value.is_empty())
    }

    /// The line of a key.
    pub fn line(&self, key: &str) -> usize {
        self.values.get(key).map_or(0, |(_, line)| *line)
    }

    /// All keys and their lines.
    pub fn keys(&self) -> impl Iterator<Item = (&str, &str, usize)> {
        self.values.iter().map(|(key, (value, line))| (key.as_str(), value.as_str(), *line))
    }

    /// A list with commas.
    pub fn list(&self, key: &str) -> Vec<&str> {
        self.get(key)
            .into_iter()
            .flat_map(|value| value.split(','))
            .map(str::trim)
            .filter(|item| !item.is_empty())
            .collect()
    }

    /// True, false or the usual; anything else is a fault.
    pub fn truth(&self, key: &str, usual: bool) -> Result<bool> {
        match self.get(key).map(str::to_ascii_lowercase).as_deref() {
            None => Ok(usual),
            Some("true") => Ok(true),
            Some("false") => Ok(false),
            Some(other) => Err(Error::failed(format!("`{key}` is `{other}`, neither true nor false"))
                .at(Location::new(&self.path, self.line(key), 0))),
        }
    }

    /// How files are called.
    pub fn naming(&self) -> Naming {
        let usual = Naming::default();
        let text = |key: &str, usual: String| self.get(key).map_or(usual, str::to_owned);
        Naming {
            versioned: text("sqlmigrationprefix", usual.versioned),
            undo: text("undosqlmigrationprefix", usual.undo),
            baseline: text("baselinemigrationprefix", usual.baseline),
            repeatable: text("repeatablesqlmigrationprefix", usual.repeatable),
            separator: text("sqlmigrationseparator", usual.separator),
            suffixes: self.list("sqlmigrationsuffixes").into_iter().map(str::to_owned).collect(),
        }
    }

    /// What of it is lost: key, line, what becomes of it, help.
    pub fn lost(&self) -> impl Iterator<Item = (&str, usize, &'static str, &'static str)> {
        let known = |key: &str| LOST.iter().find(|(lost, ..)| *lost == key);
        let set = |value: &str| !value.is_empty() && value != "false";
        self.keys().filter(move |(_, value, _)| set(value)).filter_map(move |(key, _, line)| {
            let (_, what, help) = known(key)?;
            Some((key, line, *what, *help))
        })
    }
}

/// Lines of `flyway.key=value`; a backslash at the end of a line joins it to the next.
fn properties(path: &str, text: &str) -> Result<BTreeMap<String, (String, usize)>> {
    let mut values = BTreeMap::new();
    let mut lines = text.lines().enumerate();
    while let Some((index, line)) = lines.next() {
        let line = line.trim();
        if line.is_empty() || line.starts_with(['#', '!']) {
            continue;
        }
        let mut whole = line.to_owned();
        while let Some(open) = whole.strip_suffix('\\') {
            whole = open.to_owned();
            whole.push_str(lines.next().map_or("", |(_, line)| line.trim()));
        }
        let Some((key, value)) = whole.split_once(['=', ':']) else {
            return Err(Error::failed("is no line `key=value`").at(Location::new(path, index + 1, 0)));
        };
        let key = key.trim();
        values.insert(short(key), (value.trim().to_owned(), index + 1));
    }
    Ok(values)
}

/// The key without `flyway.`; only what stands behind `placeholders.` keeps its case.
fn short(key: &str) -> String {
    let key = key.strip_prefix("flyway.").unwrap_or(key);
    match key.split_once('.') {
        Some((first, name)) if first.eq_ignore_ascii_case("placeholders") => format!("placeholders.{name}"),
        _ => key.to_ascii_lowercase(),
    }
}

fn toml(path: &str, text: &str) -> Result<BTreeMap<String, (String, usize)>> {
    let located = |span: Option<std::ops::Range<usize>>| {
        let line = span.map_or(0, |span| text[..span.start].matches('\n').count() + 1);
        Location::new(path, line, 0)
    };
    let document: toml_edit::Document<&str> = toml_edit::Document::parse(text)
        .map_err(|error| Error::failed("is not TOML").at(located(error.span())).cause(error.message()))?;
    let mut values = BTreeMap::new();
    let Some(table) = document.get("flyway").and_then(|item| item.as_table_like()) else { return Ok(values) };
    let mut open = vec![(String::new(), table)];
    while let Some((prefix, table)) = open.pop() {
        for (key, item) in table.iter() {
            let key = format!("{prefix}{key}");
            if let Some(inner) = item.as_table_like() {
                open.push((format!("{key}."), inner));
                continue;
            }
            let line = located(item.span()).line;
            values.insert(short(&key), (plain(item), line));
        }
    }
    Ok(values)
}

/// A value as `flyway.conf` would have it.
fn plain(item: &toml_edit::Item) -> String {
    let one =
        |value: &toml_edit::Value| value.as_str().map_or_else(|| value.to_string().trim().to_owned(), str::to_owned);
    match item.as_value() {
        Some(toml_edit::Value::Array(list)) => list.iter().map(one).collect::<Vec<_>>().join(","),
        Some(value) => one(value),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_formats_say_the_same() {
        let conf = "# x\nflyway.locations=filesystem:sql,\\\n  classpath:db/migration\nflyway.placeholders.appUser = app\nflyway.outOfOrder=true\n";
        let toml = "[flyway]\nlocations = [\"filesystem:sql\", \"classpath:db/migration\"]\noutOfOrder = true\n\
            [flyway.placeholders]\nappUser = \"app\"\n[environments.x]\nurl = \"jdbc:\"\n";
        for (path, text) in [("flyway.conf", conf), ("flyway.toml", toml)] {
            let conf = Conf::parse(path, text).unwrap();
            assert_eq!(conf.list("locations"), ["filesystem:sql", "classpath:db/migration"]);
            assert_eq!(conf.get("placeholders.appUser"), Some("app"));
            assert_eq!(conf.lost().map(|(key, ..)| key).collect::<Vec<_>>(), ["outoforder"]);
            assert!(conf.truth("outoforder", false).unwrap());
        }
    }

    #[test]
    fn faults_have_lines() {
        for (path, text, line) in [("flyway.conf", "a=b\nnonsense\n", 2), ("flyway.toml", "[flyway]\nx = \n", 2)] {
            assert_eq!(Conf::parse(path, text).unwrap_err().location().unwrap().line, line);
        }
        assert!(
            Conf::parse("x.conf", "executeInTransaction=maybe").unwrap().truth("executeintransaction", true).is_err()
        );
    }
}
