//! Tools with one folder for each migration, which holds `up.sql` and `down.sql`: diesel and Hasura.

use std::collections::BTreeMap;

use super::bookkeeping::{Bookkeeping, Meaning};
use super::input::ToolFile;
use super::pairs::{Half, Order, Side, digits, finish, pair_up, plain_number};
use super::{Imported, Input, Key, Remark, Tool};
use crate::error::{Error, Location, Result};

/// diesel: order by the folder's digits as text, `metadata.toml` with `run_in_transaction`.
pub const DIESEL: Tool = Tool {
    name: "diesel",
    places: &["migrations"],
    beside: &[],
    scope: None,
    convert: convert_diesel,
    bookkeeping: Some(&Bookkeeping::of_versions("__diesel_schema_migrations")),
};

/// Hasura: one database's folder of migrations.
pub const HASURA: Tool = Tool {
    name: "hasura",
    places: &["migrations/default", "hasura/migrations/default", "hasura/migrations", "migrations"],
    beside: &[],
    scope: None,
    convert: convert_hasura,
    bookkeeping: Some(&Bookkeeping {
        table: "hdb_catalog.hdb_version",
        query: "SELECT state.key, NULL, CASE WHEN state.value = 'true' THEN 'it is dirty: it failed half way' END \
                FROM {table} AS version, \
                pg_catalog.jsonb_each(pg_catalog.to_jsonb(version.cli_state) -> 'migrations') AS source, \
                pg_catalog.jsonb_each_text(source.value) AS state ORDER BY pg_catalog.length(state.key), state.key",
        meaning: Meaning::Each,
    }),
};

/// The files of each folder by their names.
type Folders<'a> = BTreeMap<&'a str, BTreeMap<&'a str, ToolFile<'a>>>;

fn folders<'a>(input: &Input<'a>, faults: &mut Vec<Error>) -> Folders<'a> {
    let mut folders = Folders::new();
    for file in input.below(faults) {
        if let Some((folder, name)) = file.name.split_once('/').filter(|(_, name)| !name.contains('/')) {
            folders.entry(folder).or_default().insert(name, file);
        }
    }
    folders
}

fn convert_diesel(input: &Input) -> Result<Imported> {
    let (mut imported, mut faults) = (Imported::default(), Vec::new());
    let (mut halves, mut carried) = (Vec::new(), BTreeMap::new());
    for (folder, mut files) in folders(input, &mut faults) {
        let version = folder.split('_').next().unwrap_or(folder).replace('-', "");
        if !files.contains_key("up.sql") && !files.contains_key("down.sql") {
            continue;
        }
        let mut transaction = true;
        if let Some(file) = files.remove("metadata.toml") {
            match metadata(&file, &mut imported.remarks) {
                Ok(value) => transaction = value,
                Err(error) => {
                    faults.push(error);
                    continue;
                }
            }
            carried.insert(version.clone(), file.path.to_owned());
        }
        let name = folder.split_once('_').map_or("migration", |(_, name)| name);
        halves.extend(both(version, name, transaction, files));
    }
    pair_up(halves, Order::Text, |up| Key::plain(&up.number), &mut imported, &mut faults);
    for piece in &mut imported.migrations {
        piece.origins.extend(piece.number.as_ref().and_then(|number| carried.remove(number)));
    }
    finish(imported, faults)
}

fn both<'a>(number: String, name: &str, transaction: bool, files: BTreeMap<&str, ToolFile<'a>>) -> Vec<Half<'a>> {
    let side = |file: &str| match file {
        "up.sql" => Some(Side::Up),
        "down.sql" => Some(Side::Down),
        _ => None,
    };
    let halves = files.into_iter().filter_map(|(file, content)| Some((side(file)?, content)));
    halves
        .map(|(side, file)| {
            let (number, name) = (number.clone(), name.to_owned());
            Half { number, name, side, transaction, foreign: None, file }
        })
        .collect()
}

/// `run_in_transaction`; what else stands there is told.
fn metadata(file: &ToolFile, remarks: &mut Vec<Remark>) -> Result<bool> {
    let text = file.text()?;
    let table: toml::Table = text.parse().map_err(|error: toml::de::Error| {
        let line = error.span().map_or(0, |span| text[..span.start].matches('\n').count() + 1);
        Error::failed("cannot be read").at(Location::new(file.path, line, 0)).cause(error.message())
    })?;
    let mut transaction = true;
    let line_of = |key: &str| text.lines().position(|line| line.trim_start().starts_with(key)).map_or(0, |at| at + 1);
    for (key, value) in &table {
        match (key.as_str(), value.as_bool()) {
            ("run_in_transaction", Some(value)) => transaction = value,
            ("run_in_transaction", None) => {
                return Err(Error::failed("`run_in_transaction` is neither true nor false").at(Location::new(
                    file.path,
                    line_of(key),
                    0,
                )));
            }
            _ => remarks.push(Remark::line(file.path, line_of(key), format!("`{key}` was not carried over"), "")),
        }
    }
    Ok(transaction)
}

fn convert_hasura(input: &Input) -> Result<Imported> {
    let (mut imported, mut faults) = (Imported::default(), Vec::new());
    let mut halves = Vec::new();
    for (folder, files) in folders(input, &mut faults) {
        let Some((number, name)) = digits(folder, '_').or_else(|| digits(folder, '-')) else { continue };
        for (kind, file) in files.iter().filter(|(kind, _)| kind.ends_with(".yaml")) {
            let what = format!("{kind} holds metadata of Hasura's: left as it is");
            imported.remarks.push(Remark::file(file.path, what, ""));
        }
        halves.extend(both(number.to_owned(), name, true, files));
    }
    pair_up(halves, Order::Number, |up| Key::plain(plain_number(&up.number)), &mut imported, &mut faults);
    finish(imported, faults)
}

#[cfg(test)]
mod tests {
    use super::super::test_tree::{converted, faults, remarked, texts};
    use super::*;

    #[test]
    fn folders_of_diesel_become_files_with_sections() {
        let files = [
            ("m/00000000000000_diesel_initial_setup/up.sql", "SETUP;\n"),
            ("m/00000000000000_diesel_initial_setup/down.sql", ""),
            ("m/2019-03-22-170700_a-b/up.sql", "A;\n"),
            ("m/2019-03-22-170700_a-b/metadata.toml", "run_in_transaction = false\n"),
            ("m/2026-06-26-100902-0000_c/up.sql", "C;\n"),
            ("m/README.md", "x"),
            ("m/2026-06-26-100902-0000_c/notes.txt", "x"),
        ];
        let layout = converted(&DIESEL, "m", &files).unwrap();
        let expected = [
            ("db/migrations/00000000000000_diesel_initial_setup.sql", "-- migrate:up\nSETUP;\n-- migrate:down\n"),
            ("db/migrations/20190322170700_a-b.sql", "-- migrate:up transaction:false\nA;\n"),
            ("db/migrations/20260626100902_c.sql", "C;\n"),
        ];
        assert_eq!(texts(&layout), expected);
        assert_eq!(layout.record.migration[2].keys, [Key::plain("202606261009020000")]);
        assert_eq!(remarked(&layout), ["m/2026-06-26-100902-0000_c/notes.txt", "m/README.md"]);
    }

    #[test]
    fn bad_folders_of_diesel_are_told() {
        let files = [
            ("m/2019-03-22-170700_a/down.sql", "A;"),
            ("m/2019-03-23-170700_a/up.sql", "A;"),
            ("m/20190323170700_b/up.sql", "B;"),
            ("m/x_y/up.sql", "B;"),
            ("m/2020-01-01-000000_t/up.sql", "B;"),
            ("m/2020-01-01-000000_t/metadata.toml", "# cut\nrun_in_transaction = tr"),
            ("m/2020-01-02-000000_t/up.sql", "B;"),
            ("m/2020-01-02-000000_t/metadata.toml", "run_in_transaction = 1"),
        ];
        let told = faults(converted(&DIESEL, "m", &files));
        assert_eq!(told.len(), 4, "{told:#?}");
        assert!(told.iter().any(|fault| fault.contains("metadata.toml:2")), "{told:#?}");
    }

    #[test]
    fn hasura_orders_by_number() {
        let files = [
            ("m/1616826329751_b/up.sql", "B;"),
            ("m/1616826329751_b/up.yaml", "x"),
            ("m/999_a/up.sql", "A;"),
            ("m/999_a/down.sql", "DA;"),
        ];
        let layout = converted(&HASURA, "m", &files).unwrap();
        let names: Vec<&str> = texts(&layout).iter().map(|(path, _)| *path).collect();
        assert_eq!(names, ["db/migrations/999_a.sql", "db/migrations/1616826329751_b.sql"]);
        assert_eq!(remarked(&layout), ["m/1616826329751_b/up.yaml"]);
    }
}
