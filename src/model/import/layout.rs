//! The files that an import writes: names, texts and the record, each checked by reading it as dbbuild will.
//!
//! Decides nothing about the disk: what may be written there or removed is the edge's matter.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::record::{Record, RecordedMigration, RecordedScript};
use super::{Body, Imported, Input, Part, Piece, Remark, ScriptPiece, Setting, version};
use crate::error::{Error, Location, Result};
use crate::model::config::Paths;
use crate::model::directive::FileKind;
use crate::model::migration::{Migration, decode};

/// One file to write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewFile {
    /// Relative to the project.
    pub path: String,
    /// Its version, where it is a migration.
    pub version: Option<String>,
    /// Its whole content.
    pub bytes: Arc<[u8]>,
    /// The tool's files that it was made of.
    pub origins: Vec<String>,
}

/// Everything that an import writes and says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// Migrations in order, then the others.
    pub files: Vec<NewFile>,
    /// What remembers where each came from.
    pub record: Record,
    /// For `dbbuild.toml`.
    pub settings: Vec<Setting>,
    /// By file and line.
    pub remarks: Vec<Remark>,
}

/// Lays out what a converter made of `input`; all faults come in one error.
pub fn lay_out(tool: &str, imported: Imported, input: &Input, paths: &Paths) -> Result<Layout> {
    let Imported { migrations, scripts, settings, mut remarks, table } = imported;
    let mut faults = Vec::new();
    let mut record = Record { table, ..Record::new(tool) };
    let mut files = Vec::with_capacity(migrations.len() + scripts.len());
    let numbers: Vec<Option<&str>> = migrations.iter().map(|piece| piece.number.as_deref()).collect();
    let versions = version::assign(&numbers);
    for (piece, version) in migrations.into_iter().zip(versions) {
        match migration(&piece, version.clone(), paths) {
            Ok(file) => files.push(file),
            Err(error) => faults.push(error),
        }
        record.migration.push(RecordedMigration { version, files: piece.origins, keys: piece.keys });
    }
    for piece in scripts {
        files.push(script(&piece, paths));
        if !piece.keys.is_empty() {
            let kind = piece.kind.noun().split(' ').next().unwrap_or_default().to_owned();
            record.script.push(RecordedScript { kind, name: piece.name, files: piece.origins, keys: piece.keys });
        }
    }
    taken_twice(&files, &mut faults);
    left_behind(&files, input, &mut remarks);
    remarks.sort_by(|a, b| a.location.cmp(&b.location));
    match Error::all(faults) {
        Some(error) => Err(error),
        None => Ok(Layout { files, record, settings, remarks }),
    }
}

fn migration(piece: &Piece, version: String, paths: &Paths) -> Result<NewFile> {
    let origin = piece.origins.first().map_or("", String::as_str);
    let bytes = match &piece.body {
        Body::Whole(bytes) => bytes.clone(),
        Body::Parts { header, up, down } => put_together(origin, header, up, down.as_ref())?,
    };
    let path = format!("{}/{version}_{}.sql", paths.migrations, file_name(&piece.name));
    let read = Migration::parse(&path, &bytes).map_err(|error| of_origin(error, origin))?;
    if let Body::Parts { up, down, .. } = &piece.body {
        let same =
            |part: &Part, text: &str| decode(origin, &part.bytes).is_ok_and(|part| part.trim_end() == text.trim_end());
        let down_is_same = match (down, &read.down) {
            (Some(part), Some(script)) => same(part, &script.text),
            (None, None) => true,
            _ => false,
        };
        if !same(up, &read.up.text) || !down_is_same {
            return Err(Error::failed(
                "a comment of it reads as a directive of dbbuild, or its last statement has no end",
            )
            .at(Location::file(origin))
            .help(
                "look for `-- migrate:` and `-- dbbuild:`, a quote or comment that stays open, COPY data without `\\.`",
            ));
        }
    }
    Ok(NewFile { path, version: Some(version), bytes, origins: piece.origins.clone() })
}

/// A fault of the text that was put together, told of the tool's file: the user has no other yet.
fn of_origin(error: Error, origin: &str) -> Error {
    Error::failed(error.message())
        .at(Location::file(origin))
        .help(error.helps().first().map_or("change it there, and convert again", String::as_str))
}

fn put_together(origin: &str, header: &[String], up: &Part, down: Option<&Part>) -> Result<Arc<[u8]>> {
    let text = decode(origin, &up.bytes)?;
    if header.is_empty() && down.is_none() && up.transaction && !text.trim().is_empty() {
        return Ok(up.bytes.clone());
    }
    let mut out = String::with_capacity(text.len() + 64);
    header.iter().for_each(|line| out.push_str(&format!("-- dbbuild:{line}\n")));
    let mut section = |name: &str, text: &str, transaction: bool| {
        out.push_str(&format!("-- migrate:{name}{}\n", if transaction { "" } else { " transaction:false" }));
        out.push_str(text);
        if !text.ends_with('\n') && !text.is_empty() {
            out.push('\n');
        }
    };
    section("up", &text, up.transaction);
    if let Some(down) = down {
        section("down", &decode(origin, &down.bytes)?, down.transaction);
    }
    Ok(Arc::from(out.into_bytes()))
}

fn script(piece: &ScriptPiece, paths: &Paths) -> NewFile {
    let folder = match piece.kind {
        FileKind::Migration => &paths.migrations,
        FileKind::Repeatable => &paths.repeatable,
        FileKind::Init => &paths.init,
        FileKind::TestData => &paths.testdata,
        FileKind::Check => &paths.checks,
        FileKind::Definition => &paths.definitions,
    };
    let parts: Vec<String> = piece.name.split('/').map(file_name).collect();
    let path = format!("{folder}/{}", parts.join("/"));
    NewFile { path, version: None, bytes: piece.text.clone(), origins: piece.origins.clone() }
}

/// A name that may stand in a path: nothing of it leads elsewhere, hides the file or breaks a line.
fn file_name(name: &str) -> String {
    let harmless: String =
        name.chars().map(|c| if c == '/' || c == '\\' || c.is_control() { '_' } else { c }).collect();
    let harmless = harmless.trim();
    match harmless.strip_prefix('.') {
        Some(rest) => format!("_{rest}"),
        None if harmless.is_empty() => "migration".to_owned(),
        None => harmless.to_owned(),
    }
}

fn taken_twice(files: &[NewFile], faults: &mut Vec<Error>) {
    let mut seen: BTreeMap<&str, &NewFile> = BTreeMap::new();
    for file in files {
        if let Some(first) = seen.insert(&file.path, file) {
            let origin = |file: &NewFile| file.origins.first().cloned().unwrap_or_default();
            faults.push(
                Error::failed(format!("{} would be written twice", file.path))
                    .at(Location::file(origin(file)))
                    .help(format!("{} has the same name; rename one of them", Location::file(origin(first)))),
            );
        }
    }
}

/// Names what no file was made of and no remark is about.
fn left_behind(files: &[NewFile], input: &Input, remarks: &mut Vec<Remark>) {
    let mut known: BTreeSet<&str> = files.iter().flat_map(|file| file.origins.iter().map(String::as_str)).collect();
    known.extend(remarks.iter().map(|remark| remark.location.path.as_str()));
    let record = format!("/{}", super::record::FILE_NAME);
    let left = input.files.iter().map(|(path, _)| path);
    let left = left.filter(|path| !known.contains(path) && !path.ends_with(&record));
    let left: Vec<Remark> =
        left.map(|path| Remark::file(path, "is no migration of the tool's: left as it is", "")).collect();
    remarks.extend(left);
}

#[cfg(test)]
mod tests {
    use super::super::test_tree::tree;
    use super::*;

    fn piece(body: Body) -> Imported {
        let piece = Piece {
            number: Some("7".to_owned()),
            name: "x".to_owned(),
            body,
            origins: vec!["m/7_x.sql".to_owned()],
            keys: Vec::new(),
        };
        Imported { migrations: vec![piece], ..Imported::default() }
    }

    fn parts(up: &str, down: Option<&str>) -> Body {
        let part = |text: &str| Part { bytes: Arc::from(text.as_bytes()), transaction: true };
        Body::Parts { header: Vec::new(), up: part(up), down: down.map(part) }
    }

    fn laid_out(body: Body) -> Result<Layout> {
        let files = tree(&[("m/7_x.sql", ""), ("m/notes.txt", "")]);
        lay_out("test", piece(body), &Input { files: &files, place: "m" }, &Paths::default())
    }

    #[test]
    fn one_part_stays_byte_for_byte_and_two_get_sections() {
        let alone = laid_out(parts("\u{feff}SELECT 1;\r\n", None)).unwrap();
        assert_eq!(&*alone.files[0].bytes, "\u{feff}SELECT 1;\r\n".as_bytes());
        assert_eq!(alone.files[0].path, "db/migrations/7_x.sql");
        let both = laid_out(parts("\u{feff}SELECT 1;\r\n-- end", Some("SELECT 2"))).unwrap();
        assert_eq!(&*both.files[0].bytes, b"-- migrate:up\nSELECT 1;\n-- end\n-- migrate:down\nSELECT 2\n");
        let empty = laid_out(parts("\n", None)).unwrap();
        assert_eq!(&*empty.files[0].bytes, b"-- migrate:up\n\n");
    }

    #[test]
    fn every_other_file_is_named() {
        let remarks = laid_out(parts("SELECT 1", None)).unwrap().remarks;
        assert_eq!(remarks.len(), 1);
        assert_eq!(remarks[0].location.path, "m/notes.txt");
    }

    #[test]
    fn a_text_that_would_be_cut_is_a_fault() {
        for (up, down) in [
            ("SELECT 1;\n-- migrate:down\nDROP TABLE t;", None),
            ("SELECT 'open;\n", Some("SELECT 2;")),
            ("COPY t FROM stdin;\n1\n", Some("SELECT 2;")),
            ("-- dbbuild:colour red\nSELECT 1;", None),
        ] {
            let error = laid_out(parts(up, down)).unwrap_err();
            assert_eq!(error.location().map(|at| at.path.as_str()), Some("m/7_x.sql"), "{up}");
        }
    }

    #[test]
    fn no_name_leads_elsewhere() {
        assert_eq!(file_name("../../etc/passwd"), "_._.._etc_passwd");
        assert_eq!(file_name("a\nb"), "a_b");
        assert_eq!(file_name(""), "migration");
    }
}
