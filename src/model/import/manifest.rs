//! A manifest with folders, as MilMove has: a file that lists migrations in the order in which they run, `schema/` with
//! those that are the same everywhere, `secure/` with stand-ins for those whose real text is kept elsewhere.
//!
//! File names are pop's, and so is the bookkeeping.

use std::collections::{BTreeMap, BTreeSet};

use super::input::{ToolFile, join};
use super::pairs::{Side, by_hand, finish};
use super::pop::{self, take_apart};
use super::{Body, Imported, Input, Key, Part, Piece, Remark, Tool};
use crate::error::{Error, Location, Result};
use crate::model::directive::{self, FileKind};
use crate::model::sql::{self, StatementKind};

/// See the module's page.
pub const TOOL: Tool = Tool {
    name: "manifest",
    places: &["migrations/app", "migrations"],
    beside: &[],
    scope: None,
    convert,
    bookkeeping: Some(&pop::BOOKKEEPING),
};

/// How the manifest's name ends, where the place is a folder.
const MANIFEST: &str = "migrations_manifest.txt";

/// The folder of stand-ins.
const SECURE: &str = "secure";

fn convert(input: &Input) -> Result<Imported> {
    let (mut imported, mut faults) = (Imported::default(), Vec::new());
    let manifest = manifest(input)?;
    let folder = manifest.path.rsplit_once('/').map_or("", |(folder, _)| folder);
    // Any file of a folder beside the manifest may be named, by its bare name.
    let mut known: BTreeMap<&str, Vec<ToolFile>> = BTreeMap::new();
    for file in (Input { files: input.files, place: folder }).below(&mut faults) {
        let base = file.name.rsplit('/').next().unwrap_or(file.name);
        known.entry(base).or_default().push(file.clone());
    }
    let text = manifest.text()?;
    let mut seen = BTreeSet::new();
    for (number, line) in (1..).zip(text.lines()) {
        let name = line.trim();
        if name.is_empty() || name.starts_with('#') {
            continue;
        }
        let fault = |message: String| Error::failed(message).at(Location::new(manifest.path, number, 0));
        if join("", name).is_err() || name.contains('/') {
            faults.push(fault(format!("`{}` is not the bare name of a file", name.escape_debug())));
            continue;
        }
        if !seen.insert(name) {
            faults.push(fault(format!("`{}` is listed twice", name.escape_debug())));
            continue;
        }
        match known.get(name).map(Vec::as_slice) {
            None | Some([]) => faults.push(
                fault(format!("`{}` is listed, but there is no such file", name.escape_debug()))
                    .help(format!("it is looked for in the folders of {}", Location::file(folder))),
            ),
            Some([file]) => match piece(file, name, &mut imported) {
                Ok(piece) => imported.migrations.push(piece),
                Err(error) => faults.push(error),
            },
            Some([first, .., last]) => faults.push(
                fault(format!("`{}` is there more than once", name.escape_debug()))
                    .help(format!("as {} and {}", first.path, last.path)),
            ),
        }
    }
    for (name, files) in known.iter().filter(|(name, _)| !seen.contains(*name)) {
        if take_apart(name).is_some_and(|name| name.side == Side::Up) {
            let path = files.first().map_or("", |file| file.path);
            imported.remarks.push(Remark::file(path, "is not in the manifest: left as it is", ""));
        }
    }
    imported.remarks.push(Remark::file(manifest.path, "was read for the order: of no more use", ""));
    finish(imported, faults)
}

fn manifest<'a>(input: &Input<'a>) -> Result<ToolFile<'a>> {
    let missing = || {
        Error::usage(format!("cannot find a manifest in {}", Location::file(input.place)))
            .help(format!("it is called {MANIFEST}; for another name give its path"))
    };
    match input.get(input.place) {
        Some(file) => Ok(file),
        None => {
            let mut faults = Vec::new();
            let mut files = input.below(&mut faults).into_iter();
            files.find(|file| !file.name.contains('/') && file.name == MANIFEST).ok_or_else(missing)
        }
    }
}

fn piece(file: &ToolFile, base: &str, imported: &mut Imported) -> Result<Piece> {
    let name = take_apart(base).filter(|name| name.side == Side::Up).ok_or_else(|| {
        file.fault("is listed in the manifest, but is not called NUMBER_name.up.sql").help("rename it there and here")
    })?;
    let keys = vec![Key::plain(name.number)];
    let (number, title) = (name.number.to_owned(), name.name.to_owned());
    if name.fizz {
        return Ok(by_hand(number, title, file.path, "fizz", keys, &mut imported.remarks));
    }
    let mut header = Vec::new();
    if file.path.rsplit('/').nth(1) == Some(SECURE) {
        let (what, help) = secure(file);
        if help == SECURE_HELP {
            header.push(SECURE.to_owned());
        }
        imported.remarks.push(Remark::file(file.path, what, help));
    }
    let up = Part { bytes: file.bytes.clone(), transaction: true };
    let body = Body::Parts { header, up, down: None };
    Ok(Piece { number: Some(number), name: title, body, origins: vec![file.path.to_owned()], keys })
}

const SECURE_HELP: &str = "put each environment's real text, under the new name, where its `secure_path` says";

/// What became of a stand-in, and what to do: dbbuild's own secure migrations change rows only.
fn secure(file: &ToolFile) -> (&'static str, &'static str) {
    let probe = "-- dbbuild:secure\nSELECT 1;\n";
    if directive::parse("probe.sql", probe, FileKind::Migration).is_err() {
        let help = "this dbbuild has no secure migrations: the text here runs everywhere";
        return ("is a stand-in for a secure migration, and became a plain one", help);
    }
    let rows_only = file.text().is_ok_and(|text| {
        sql::statements(&text).all(|statement| {
            statement.is_ok_and(|statement| sql::classify(&text[statement.range]) != StatementKind::Ddl)
        })
    });
    match rows_only {
        true => ("is a stand-in, and became one of dbbuild's", SECURE_HELP),
        false => (
            "is a stand-in that changes more than rows, and became a plain migration",
            "see that it may run everywhere; split off what is secret, below `-- dbbuild:secure`",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::test_tree::{converted, faults, remarked, texts};
    use super::*;

    #[test]
    fn the_manifest_gives_order_and_choice() {
        let files = [
            ("a/migrations_manifest.txt", "# about\n20200102000000_b.up.sql\n20200101000000_a.up.sql\n"),
            ("a/schema/20200101000000_a.up.sql", "A;"),
            ("a/secure/20200102000000_b.up.sql", "DELETE FROM b;"),
            ("a/schema/20200103000000_c.up.sql", "C;"),
            ("a/other_manifest.txt", "x"),
        ];
        let layout = converted(&TOOL, "a", &files).unwrap();
        let found = texts(&layout);
        assert_eq!(found[0].0, "db/migrations/20200102000000_b.sql");
        let known = layout.remarks.iter().any(|remark| remark.help == SECURE_HELP);
        let expected = if known { "-- dbbuild:secure\n-- migrate:up\nDELETE FROM b;\n" } else { "DELETE FROM b;" };
        assert_eq!(found[0].1, expected);
        assert_eq!(found[1], ("db/migrations/20200102000001_a.sql", "A;"));
        assert_eq!(layout.record.migration[1].keys, [Key::plain("20200101000000")]);
        let mut told = [files[0].0, files[2].0, files[3].0, files[4].0];
        told.sort_unstable();
        assert_eq!(remarked(&layout), told);
    }

    #[test]
    fn a_manifest_that_lies_is_told_line_by_line() {
        let files = [
            ("a/migrations_manifest.txt", "1_a.up.sql\n1_a.up.sql\n2_b.up.sql\n../../etc/passwd\n3_c.up.sql\nx.sql\n"),
            ("a/schema/1_a.up.sql", "A;"),
            ("a/schema/3_c.up.sql", "A;"),
            ("a/secure/3_c.up.sql", "A;"),
            ("a/schema/x.sql", "A;"),
        ];
        let told = faults(converted(&TOOL, "a", &files));
        assert_eq!(told.len(), 5, "{told:#?}");
        for (fault, line) in told.iter().zip([":2", ":3", ":4", ":5", "x.sql"]) {
            assert!(fault.ends_with(line), "{told:#?}");
        }
        assert_eq!(faults(converted(&TOOL, "b", &[("b/1_a.up.sql", "A;")])).len(), 1);
    }
}
