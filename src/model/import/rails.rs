//! Rails: `structure.sql`, which becomes the first migration, with all versions that it says it holds.
//!
//! The migrations themselves are Ruby and are not read; one that the structure does not hold is told.

use super::bookkeeping::Bookkeeping;
use super::input::ToolFile;
use super::pairs::{digits, finish, part};
use super::{Body, Imported, Input, Key, Piece, Remark, Tool};
use crate::error::{Error, Location, Result};
use crate::model::sql;

/// See the module's page.
pub const TOOL: Tool = Tool {
    name: "rails",
    places: &["db/structure.sql"],
    beside: &[],
    scope: None,
    convert,
    bookkeeping: Some(&Bookkeeping::of_versions("schema_migrations")),
};

const WHY: &str = "idempotent false it is the whole structure as Rails dumped it";

fn convert(input: &Input) -> Result<Imported> {
    let (mut imported, mut faults) = (Imported::default(), Vec::new());
    let path = if input.place.ends_with(".sql") {
        input.place.to_owned()
    } else {
        format!("{}/structure.sql", input.place).trim_start_matches('/').to_owned()
    };
    let Some(file) = input.get(&path) else {
        return Err(Error::usage(format!("cannot find {path}"))
            .help("set `config.active_record.schema_format = :sql` in Rails and run `rails db:schema:dump`"));
    };
    match structure(&file, &mut imported.remarks) {
        Ok((piece, versions)) => {
            imported.migrations.push(piece);
            ruby(input, &path, &versions, &mut imported.remarks);
        }
        Err(error) => faults.push(error),
    }
    finish(imported, faults)
}

fn structure(file: &ToolFile, remarks: &mut Vec<Remark>) -> Result<(Piece, Vec<String>)> {
    let text = without_restrict(file, &file.text()?, remarks);
    let mut versions = Vec::new();
    for statement in sql::statements(&text) {
        let statement = statement.map_err(|error| {
            let line = text[..error.offset].matches('\n').count() + 1;
            Error::failed("cannot be taken apart into statements")
                .at(Location::new(file.path, line, 0))
                .help("is the file cut off? `rails db:schema:dump` writes it again")
        })?;
        let words = &text[statement.range];
        let head = words.get(..words.find('(').unwrap_or(words.len())).unwrap_or_default().to_ascii_lowercase();
        if head.starts_with("insert into") && head.contains("schema_migrations") {
            let inside = words.split('\'').skip(1).step_by(2).map(str::to_owned);
            versions
                .extend(inside.filter(|version| version.bytes().all(|b| b.is_ascii_digit()) && !version.is_empty()));
        }
    }
    versions.sort_by(|a, b| (a.len(), a).cmp(&(b.len(), b)));
    let Some(newest) = versions.last().cloned() else {
        return Err(file
            .fault("holds no `INSERT INTO schema_migrations`")
            .help("is the file cut off? `rails db:schema:dump` writes it again"));
    };
    let piece = Piece {
        number: Some(newest),
        name: "structure".to_owned(),
        body: Body::Parts { header: vec![WHY.to_owned()], up: part(text, true), down: None },
        origins: vec![file.path.to_owned()],
        keys: versions.iter().map(Key::plain).collect(),
    };
    Ok((piece, versions))
}

/// Lines of psql's that newer dumps have and no server understands.
fn without_restrict(file: &ToolFile, text: &str, remarks: &mut Vec<Remark>) -> String {
    let mut out = String::with_capacity(text.len());
    for (number, line) in (1..).zip(text.split_inclusive('\n')) {
        if line.starts_with("\\restrict ") || line.starts_with("\\unrestrict ") {
            let what = "a command of psql's that only guards the dump: left out";
            remarks.push(Remark::line(file.path, number, what, ""));
        } else {
            out.push_str(line);
        }
    }
    out
}

/// The Ruby migrations: in the structure, or still to come.
fn ruby(input: &Input, structure: &str, versions: &[String], remarks: &mut Vec<Remark>) {
    let folder = structure.rsplit_once('/').map_or("migrate/".to_owned(), |(folder, _)| format!("{folder}/migrate/"));
    for (path, _) in input.files.iter() {
        let Some(name) = path.strip_prefix(&folder).filter(|name| name.ends_with(".rb")) else { continue };
        let Some((number, _)) = digits(name, '_') else { continue };
        if versions.iter().any(|version| version == number) {
            remarks.push(Remark::file(path, "is in the structure: left as it is", ""));
        } else {
            remarks.push(Remark::file(
                path,
                "is not in the structure: not carried over",
                "run it, dump the structure again and convert that, or write it in SQL",
            ));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::test_tree::{converted, faults, remarked, texts};
    use super::*;

    const STRUCTURE: &str = "\\restrict x\nCREATE TABLE public.schema_migrations (version varchar);\n\
        CREATE TABLE t (a text DEFAULT 'x;');\nSET search_path TO \"$user\", public;\n\n\
        INSERT INTO \"schema_migrations\" (version) VALUES\n('20240102000000'),\n('20230101000000');\n\n\\unrestrict x\n";

    #[test]
    fn the_structure_is_one_migration_that_knows_its_versions() {
        let files = [
            ("db/structure.sql", STRUCTURE),
            ("db/migrate/20240102000000_a.rb", "x"),
            ("db/migrate/20250102000000_b.rb", "x"),
            ("db/seeds.rb", "x"),
        ];
        let layout = converted(&TOOL, "db/structure.sql", &files).unwrap();
        let (path, text) = texts(&layout)[0];
        assert_eq!(path, "db/migrations/20240102000000_structure.sql");
        assert!(text.starts_with("-- dbbuild:idempotent false it is") && !text.contains("restrict"), "{text}");
        assert_eq!(layout.record.migration[0].keys, [Key::plain("20230101000000"), Key::plain("20240102000000")]);
        let expected = [files[1].0, files[2].0, files[3].0, "db/structure.sql:1", "db/structure.sql:10"];
        assert_eq!(remarked(&layout), expected);
        assert!(layout.remarks[1].what.contains("not carried over"));
    }

    #[test]
    fn a_cut_or_missing_structure_is_a_fault() {
        for text in ["CREATE TABLE t ();\n", "CREATE TABLE t (a text DEFAULT 'x"] {
            let told = faults(converted(&TOOL, "db", &[("db/structure.sql", text)]));
            assert!(told[0].contains("db/structure.sql"), "{told:?}");
        }
        assert_eq!(faults(converted(&TOOL, "db", &[("db/schema.rb", "x")])).len(), 1);
    }
}
