//! Prisma Migrate: `FOLDER/migration.sql`, by the folder's name; SHA-256 of the file as checksum.

use std::collections::BTreeMap;

use super::bookkeeping::{Bookkeeping, Meaning};
use super::input::ToolFile;
use super::pairs::{digits, finish};
use super::{Body, Imported, Input, Key, Part, Piece, Remark, Tool};
use crate::error::{Error, Location, Result};
use crate::model::checksum::Checksum;

/// See the module's page.
pub const TOOL: Tool = Tool {
    name: "prisma",
    places: &["prisma/migrations", "migrations"],
    beside: &[],
    scope: None,
    convert,
    bookkeeping: Some(&Bookkeeping {
        table: "_prisma_migrations",
        query: "SELECT migration_name, checksum, CASE WHEN finished_at IS NULL THEN 'it failed or was interrupted' END \
                FROM {table} WHERE rolled_back_at IS NULL ORDER BY started_at",
        meaning: Meaning::Each,
    }),
};

/// What a folder of a migration may hold: its text, and the way back that Prisma's guide tells to put beside it.
const UP: &str = "migration.sql";
const DOWN: &str = "down.sql";

fn convert(input: &Input) -> Result<Imported> {
    let (mut imported, mut faults) = (Imported::default(), Vec::new());
    let mut folders: BTreeMap<&str, BTreeMap<&str, ToolFile>> = BTreeMap::new();
    for file in input.below(&mut faults) {
        match file.name.split_once('/') {
            None if file.name == "migration_lock.toml" => match provider(&file) {
                Ok(()) => {
                    let what = "is of no more use: remove it when Prisma Migrate is gone";
                    imported.remarks.push(Remark::file(file.path, what, ""));
                }
                Err(error) => faults.push(error),
            },
            Some((folder, name)) if !name.contains('/') => {
                folders.entry(folder).or_default().insert(name, file.clone());
            }
            _ => {}
        }
    }
    for (folder, mut files) in folders {
        let Some(up) = files.remove(UP) else {
            if digits(folder, '_').is_some() {
                let path = files.values().next().map_or(folder, |file| file.path);
                let shown = path.rsplit_once('/').map_or(path, |(folder, _)| folder);
                faults.push(
                    Error::failed(format!("has no {UP}"))
                        .at(Location::file(shown))
                        .help("Prisma refuses this folder as well; restore the file or remove the folder"),
                );
            }
            continue;
        };
        let down = files.remove(DOWN);
        let (number, name) = match digits(folder, '_') {
            Some((number, name)) if !name.is_empty() => (Some(number.to_owned()), name),
            _ => (None, folder),
        };
        let mut origins = vec![up.path.to_owned()];
        origins.extend(down.iter().map(|down| down.path.to_owned()));
        let keys = vec![Key { key: folder.to_owned(), checksum: Some(Checksum::of_bytes(&up.bytes).to_string()) }];
        let part = |file: &ToolFile| Part { bytes: file.bytes.clone(), transaction: true };
        let body = Body::Parts { header: Vec::new(), up: part(&up), down: down.as_ref().map(part) };
        imported.migrations.push(Piece { number, name: name.to_owned(), body, origins, keys });
    }
    finish(imported, faults)
}

/// The history must be one of PostgreSQL.
fn provider(file: &ToolFile) -> Result<()> {
    let text = file.text()?;
    let table: toml::Table = text.parse().map_err(|error: toml::de::Error| {
        let line = error.span().map_or(0, |span| text[..span.start].matches('\n').count() + 1);
        Error::failed("cannot be read").at(Location::new(file.path, line, 0)).cause(error.message())
    })?;
    match table.get("provider").and_then(toml::Value::as_str) {
        Some("postgresql" | "postgres") => Ok(()),
        other => {
            let line = text.lines().position(|line| line.starts_with("provider")).map_or(0, |at| at + 1);
            Err(Error::failed(format!("the provider is `{}`, not postgresql", other.unwrap_or("none").escape_debug()))
                .at(Location::new(file.path, line, 0))
                .help("dbbuild builds PostgreSQL databases alone"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::test_tree::{converted, faults, remarked, texts};
    use super::*;

    const LOCK: (&str, &str) = ("p/migration_lock.toml", "# about\nprovider = \"postgresql\"\n");

    #[test]
    fn folders_become_files_under_their_checksum() {
        let files = [
            LOCK,
            ("p/20210101000000_b/migration.sql", "abc"),
            ("p/20210101000000_b/down.sql", "B;"),
            ("p/20200101000000_a/migration.sql", "A;"),
            ("p/20200101000000_a/README.md", "x"),
        ];
        let layout = converted(&TOOL, "p", &files).unwrap();
        let expected = [
            ("db/migrations/20200101000000_a.sql", "A;"),
            ("db/migrations/20210101000000_b.sql", "-- migrate:up\nabc\n-- migrate:down\nB;\n"),
        ];
        assert_eq!(texts(&layout), expected);
        let sum = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad".to_owned();
        let key = Key { key: "20210101000000_b".to_owned(), checksum: Some(sum) };
        assert_eq!(layout.record.migration[1].keys, [key]);
        assert_eq!(remarked(&layout), ["p/20200101000000_a/README.md", "p/migration_lock.toml"]);
    }

    #[test]
    fn a_baseline_without_a_number_is_counted_in_its_place() {
        let files = [("p/0_init/migration.sql", "A;"), ("p/later/migration.sql", "B;")];
        let layout = converted(&TOOL, "p", &files).unwrap();
        let names: Vec<&str> = texts(&layout).iter().map(|(path, _)| *path).collect();
        assert_eq!(names, ["db/migrations/0001_init.sql", "db/migrations/0002_later.sql"]);
    }

    #[test]
    fn other_databases_and_missing_scripts_are_faults() {
        let files = [("p/migration_lock.toml", "\nprovider = \"mysql\""), ("p/20200101000000_a/notes", "A;")];
        let told = faults(converted(&TOOL, "p", &files));
        assert_eq!(told.len(), 2, "{told:#?}");
        assert!(told[0].contains("p/migration_lock.toml:2") && told[1].contains("p/20200101000000_a"), "{told:#?}");
        assert_eq!(faults(converted(&TOOL, "p", &[("p/migration_lock.toml", "provider = \"post")])).len(), 1);
    }
}
