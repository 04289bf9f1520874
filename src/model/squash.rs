//! A squash: one migration that stands for many, made from the baseline at their end.
//!
//! Its header lists what it stands for, by version, checksum and name, and it has the version of the last of them. A
//! database that runs it gets the rows of all of these, as if each had run; so one that ran them has nothing to do, and
//! both are valid for the files before the squash and after it. Pure; making and proving one is an engine's business.

use crate::error::{Error, Location, Result};
use crate::model::checksum::Checksum;
use crate::model::migration::Migration;
use crate::model::plan::{Applied, History, other_content};
use crate::model::sources::Sources;
use crate::model::version::Version;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

/// A migration that a squash stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replaced {
    /// Its version.
    pub version: Version,
    /// The checksum of its file.
    pub checksum: Checksum,
    /// The name after the version.
    pub name: String,
}

impl Replaced {
    /// Reads `VERSION CHECKSUM NAME`.
    ///
    /// # Errors
    /// It is something else.
    pub fn parse(text: &str) -> Result<Replaced> {
        let malformed = || Error::failed(format!("`{}` is not VERSION CHECKSUM NAME", text.escape_debug()));
        let (version, rest) = text.split_once(' ').ok_or_else(malformed)?;
        let (checksum, name) = rest.split_once(' ').ok_or_else(malformed)?;
        if name.trim().is_empty() {
            return Err(malformed());
        }
        let checksum = Checksum::from_hex(checksum).map_err(|_| malformed())?;
        let version = Version::parse(version).map_err(|_| malformed())?;
        Ok(Replaced { version, checksum, name: name.to_owned() })
    }

    /// `VERSION_name`.
    pub fn label(&self) -> String {
        format!("{}_{}", self.version, self.name)
    }
}

impl fmt::Display for Replaced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.version, self.checksum, self.name)
    }
}

/// The rows that a migration has in the version table: its own, or those of all that it stands for.
pub fn rows(migration: &Migration) -> Vec<Replaced> {
    if migration.is_squash() {
        return migration.settings.squashes.clone();
    }
    let (version, name) = (migration.version.clone(), migration.name.clone());
    vec![Replaced { version, checksum: migration.checksum, name }]
}

/// Migrations in the order in which they run: what stayed a file though it is older comes after the squash that makes its
/// tables.
pub fn ordered<'m>(migrations: impl Iterator<Item = &'m Migration>) -> Vec<&'m Migration> {
    let mut ordered: Vec<&Migration> = migrations.collect();
    ordered.sort_by(|a, b| (!a.is_squash(), &a.version).cmp(&(!b.is_squash(), &b.version)));
    ordered
}

/// What a file must be to be a squash.
pub(super) fn check(migration: &Migration) -> Result<()> {
    let list = &migration.settings.squashes;
    let fault = |message: String| {
        Err(Error::failed(message)
            .at(Location::file(&migration.path))
            .help("`dbbuild squash` writes such files, and nobody edits them."))
    };
    let Some(last) = list.last() else {
        return match migration.settings.squashed_at {
            Some(_) => fault("`-- dbbuild:squashed-at` stands without `-- dbbuild:squashes`".to_owned()),
            None => Ok(()),
        };
    };
    if let Some(pair) = list.windows(2).find(|pair| pair[0].version >= pair[1].version) {
        return fault(format!("a squash lists {} behind {}", pair[1].label(), pair[0].label()));
    }
    if last.version != migration.version {
        return fault(format!("a squash has the version of the last migration that it lists, {}", last.version));
    }
    if migration.down.is_some() {
        return fault("a squash has no down part".to_owned());
    }
    if !migration.settings.transaction {
        return fault("a squash runs in one transaction".to_owned());
    }
    Ok(())
}

/// Migrations that are older than a squash and no part of it: a new database would run them before anything is there.
pub(super) fn strays(migrations: &[Migration]) -> Vec<Error> {
    let Some(squash) = migrations.iter().rev().find(|migration| migration.is_squash()) else { return Vec::new() };
    let older = migrations.iter().filter(|m| m.version < squash.version);
    let fault = |stray: &Migration| {
        let listed = squash.settings.squashes.iter().any(|replaced| replaced.version == stray.version);
        let (what, help) = if listed {
            ("is squashed in", "remove the file; the squash stands for it.")
        } else {
            ("is older than the squash", "give it a newer version: it would run before what the squash makes.")
        };
        Error::failed(format!("{} {what} {}", stray.label(), squash.path)).at(Location::file(&stray.path)).help(help)
    };
    older.map(fault).collect()
}

/// The squash that stands for a version, with what it says of it.
pub fn of<'s>(sources: &'s Sources, version: &Version) -> Option<(&'s Migration, &'s Replaced)> {
    sources.migrations.iter().find_map(|squash| {
        let list = &squash.settings.squashes;
        let at = list.binary_search_by(|replaced| replaced.version.cmp(version)).ok()?;
        Some((squash, list.get(at)?))
    })
}

/// Whether a squash stands for exactly this migration, or for all that an older squash stood for.
pub fn replaces(squash: &Migration, old: &Migration) -> bool {
    let list = &squash.settings.squashes;
    !list.is_empty()
        && (!old.is_squash() || squash.version > old.version)
        && rows(old).iter().all(|row| list.contains(row))
}

/// How a database stands to a squash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// It has none of its migrations, nor any other: the squash is to run.
    Pending,
    /// It has all of them, so there is nothing to do.
    Applied,
    /// Neither; with what is wrong, in clauses.
    Between(Vec<String>),
}

/// How a database stands to one squash.
pub fn standing(squash: &Migration, history: &History) -> Standing {
    let applied: BTreeMap<&Version, &Applied> = history.applied.iter().map(|row| (&row.version, row)).collect();
    let list = &squash.settings.squashes;
    if applied.is_empty() {
        return Standing::Pending;
    }
    let wrong = |replaced: &Replaced| match applied.get(&replaced.version) {
        None => Some(format!("it lacks {}", replaced.label())),
        Some(row) if !row.complete => Some(format!("{} was interrupted", replaced.label())),
        Some(row) if row.checksum != replaced.checksum => Some(other_content(row, &replaced.checksum)),
        Some(_) => None,
    };
    let wrong: Vec<String> = list.iter().filter_map(wrong).collect();
    if wrong.is_empty() { Standing::Applied } else { Standing::Between(wrong) }
}

/// The history as the files see it: in place of the rows that a squash stands for, one of its own.
///
/// # Errors
/// A database that has only some of them, or others instead: with the commit at which they can still be applied.
pub fn view<'h>(sources: &Sources, history: &'h History) -> Result<Cow<'h, History>> {
    let mut seen = Cow::Borrowed(history);
    for squash in sources.migrations.iter().filter(|migration| migration.is_squash()) {
        match standing(squash, history) {
            Standing::Pending => {}
            Standing::Applied => {
                let list = &squash.settings.squashes;
                let rows = &mut seen.to_mut().applied;
                let at = rows.iter().position(|row| list.iter().any(|replaced| replaced.version == row.version));
                rows.retain(|row| !list.iter().any(|replaced| replaced.version == row.version));
                let row = Applied {
                    version: squash.version.clone(),
                    name: squash.name.clone(),
                    checksum: squash.checksum,
                    complete: true,
                    has_text: true,
                };
                rows.insert(at.unwrap_or(0).min(rows.len()), row);
            }
            Standing::Between(wrong) => return Err(between(squash, &wrong)),
        }
    }
    Ok(seen)
}

/// Clauses that are shown of what a database lacks.
const SHOWN: usize = 5;

fn between(squash: &Migration, wrong: &[String]) -> Error {
    let total = squash.settings.squashes.len();
    let mut causes: Vec<String> = wrong.iter().take(SHOWN).cloned().collect();
    if wrong.len() > SHOWN {
        causes.push(format!("and {} more", wrong.len() - SHOWN));
    }
    let place = match &squash.settings.squashed_at {
        Some(commit) => format!("`git checkout {commit}`, the commit before the squash"),
        None => "the files as they were before the squash".to_owned(),
    };
    Error::failed(format!("this database does not have the {total} migrations that {} stands for", squash.label()))
        .at(Location::file(&squash.path))
        .cause(causes.join("; "))
        .help(format!(
            "take {place}, run `dbbuild apply` there, and come back; a local database can be built anew by `dbbuild reset`. \
             Nothing was run."
        ))
}

/// The text of a squash. `at`: the commit before it; `sql` makes the database.
pub fn render(list: &[Replaced], at: Option<&str>, from: &str, sql: &str) -> String {
    let mut out = format!(
        "-- The {} migrations below in one, made from {from} by `dbbuild squash`; never edited by hand.\n\
         -- A database that ran them runs nothing of this; an empty one gets their rows with it.\n\
         -- dbbuild:idempotent false it makes what these migrations made\n",
        list.len()
    );
    if let Some(commit) = at {
        out.push_str(&format!("-- dbbuild:squashed-at {commit}\n"));
    }
    list.iter().for_each(|replaced| out.push_str(&format!("-- dbbuild:squashes {replaced}\n")));
    out.push('\n');
    out.push_str(sql.trim_end());
    out.push('\n');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replaced(n: u32) -> Replaced {
        let text = n.to_string();
        let checksum = Checksum::of_text(&text);
        Replaced { version: Version::parse(&text).unwrap(), checksum, name: format!("m {n}") }
    }

    fn squash(list: &[Replaced]) -> Migration {
        let path = format!("{}_squashed.sql", list.last().map_or("0", |last| last.version.as_str()));
        Migration::parse(&path, render(list, Some("abc123"), "x", "SELECT 1;").as_bytes()).unwrap()
    }

    fn row(n: u32) -> Applied {
        let Replaced { version, checksum, name } = replaced(n);
        Applied { version, name, checksum, complete: true, has_text: true }
    }

    fn history(applied: Vec<Applied>) -> History {
        History { installed: true, applied, ..History::default() }
    }

    #[test]
    fn what_is_written_is_read() {
        let list = [replaced(1), replaced(2), replaced(10)];
        let squash = squash(&list);
        assert_eq!(squash.settings.squashes, list);
        assert_eq!(squash.settings.squashed_at.as_deref(), Some("abc123"));
        assert_eq!(rows(&squash), list);
        let mut files = vec![Migration::parse("2_m.sql", b"SELECT 1;").unwrap()];
        assert_eq!(rows(&files[0])[0].label(), "2_m");
        files.push(squash);
        assert_eq!(ordered(files.iter()).iter().map(|m| m.version.as_str()).collect::<Vec<_>>(), ["10", "2"]);
        assert_eq!(strays(&files)[0].to_string(), "2_m is squashed in 10_squashed.sql at 2_m.sql");
    }

    #[test]
    fn other_forms_are_refused() {
        let one = replaced(1);
        let fault = |path: &str, text: &str| Migration::parse(path, text.as_bytes()).unwrap_err().to_string();
        let text = format!("-- dbbuild:squashes {one}\nSELECT 1;\n");
        assert!(fault("2_s.sql", &text).starts_with("a squash has the version of the last"));
        let two = format!("-- dbbuild:squashes {}\n{text}", replaced(2));
        assert!(fault("1_s.sql", &two).starts_with("a squash lists 1_m 1 behind 2_m 2"));
        assert!(fault("1_s.sql", &format!("-- dbbuild:transaction false\n{text}")).contains("one transaction"));
        let down = format!("-- dbbuild:squashes {one}\n-- migrate:up\nSELECT 1;\n-- migrate:down\nSELECT 1;\n");
        assert!(fault("1_s.sql", &down).contains("no down part"));
        assert!(fault("1_s.sql", "-- dbbuild:squashes 1 abc name\nSELECT 1;").contains("is not VERSION CHECKSUM NAME"));
        assert!(fault("1_s.sql", "-- dbbuild:squashed-at HEAD\nSELECT 1;").contains("names no commit"));
        assert!(fault("1_s.sql", "-- dbbuild:squashed-at abc\nSELECT 1;").contains("without `-- dbbuild:squashes`"));
    }

    #[test]
    fn a_database_has_all_or_nothing() {
        let squash = squash(&[replaced(1), replaced(2)]);
        let sources = Sources { migrations: vec![squash.clone()], ..Sources::default() };
        assert_eq!(standing(&squash, &history(vec![])), Standing::Pending);
        let all = history(vec![row(1), row(2), row(3)]);
        assert_eq!(standing(&squash, &all), Standing::Applied);
        let seen = view(&sources, &all).unwrap();
        assert_eq!(seen.applied.iter().map(|row| row.version.as_str()).collect::<Vec<_>>(), ["2", "3"]);
        assert_eq!(seen.applied[0].checksum, squash.checksum);
        let fault = view(&sources, &history(vec![row(2)])).unwrap_err();
        assert!(format!("{fault:?}").contains("it lacks 1_m 1"), "{fault:?}");
        let other = Applied { checksum: Checksum::of_text("x"), ..row(2) };
        assert!(view(&sources, &history(vec![row(1), other])).is_err());
        let half = Applied { complete: false, ..row(2) };
        assert_eq!(
            standing(&squash, &history(vec![row(1), half])),
            Standing::Between(vec!["2_m 2 was interrupted".into()])
        );
        assert!(view(&sources, &history(vec![row(7)])).is_err(), "others instead");
    }

    #[test]
    fn a_squash_replaces_exactly_what_it_lists() {
        let (small, large) = (squash(&[replaced(1), replaced(2)]), squash(&[replaced(1), replaced(2), replaced(3)]));
        assert!(replaces(&large, &small));
        assert!(!replaces(&small, &large) && !replaces(&small, &small));
        let file = Migration::parse("1_m.sql", b"SELECT 1;").unwrap();
        assert!(!replaces(&large, &file), "another checksum");
        let exact = squash(&rows(&file));
        assert!(replaces(&exact, &file));
    }
}
