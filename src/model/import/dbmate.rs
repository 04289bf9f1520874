//! dbmate: `VERSION….sql` in one folder, by name, with the very sections that dbbuild has. A file stays byte for byte
//! unless it has options or several sections that dbbuild does not know.

use std::sync::Arc;

use super::bookkeeping::Bookkeeping;
use super::input::ToolFile;
use super::{Body, Imported, Input, Key, Part, Piece, Remark, Tool, version};
use crate::error::{Error, Location, Result};
use crate::model::migration::{Migration, strip_sql};

/// See the module's page.
pub const TOOL: Tool = Tool {
    name: "dbmate",
    places: &["db/migrations"],
    beside: &[],
    scope: None,
    convert,
    bookkeeping: Some(&Bookkeeping::of_versions("schema_migrations")),
};

fn convert(input: &Input) -> Result<Imported> {
    let mut imported = Imported::default();
    let mut faults = Vec::new();
    let mut numbers = Vec::new();
    for file in input.below(&mut faults) {
        let Some((number, name)) = name_of(file.name) else { continue };
        let text = match file.text() {
            Ok(text) => text,
            Err(error) => {
                faults.push(error);
                continue;
            }
        };
        match sections(&file, &text, &mut imported.remarks) {
            Ok(found) => {
                let body = body(&file, found);
                let keys = vec![Key::plain(number)];
                let (number, name) = (number.to_owned(), name.to_owned());
                numbers.push(number.clone());
                let origins = vec![file.path.to_owned()];
                imported.migrations.push(Piece { number: Some(number), name, body, origins, keys });
            }
            Err(error) => faults.push(error),
        }
    }
    for number in version::twice(numbers.iter().map(String::as_str)) {
        faults.push(
            Error::failed(format!("version {number} is used twice"))
                .at(Location::file(input.place))
                .help("dbmate runs only one of two such files; rename the one that never ran"),
        );
    }
    Error::all(faults).map_or(Ok(imported), Err)
}

/// Digits and what follows them, as dbmate takes a name apart: any separator will do, and none.
fn name_of(file: &str) -> Option<(&str, &str)> {
    let stem = strip_sql(file).filter(|stem| !stem.contains('/'))?;
    let end = stem.find(|c: char| !c.is_ascii_digit()).unwrap_or(stem.len());
    let (number, rest) = stem.split_at(end);
    let name = rest.strip_prefix(['_', '-', '.', ' ']).unwrap_or(rest);
    (!number.is_empty()).then_some((number, if name.is_empty() { "migration" } else { name }))
}

/// Text of one section line and what stands below it.
struct Section {
    up: bool,
    transaction: bool,
    text: String,
}

fn sections(file: &ToolFile, text: &str, remarks: &mut Vec<Remark>) -> Result<Vec<Section>> {
    let mut found: Vec<Section> = Vec::new();
    for (number, line) in (1..).zip(text.split_inclusive('\n')) {
        let at = |message: &str| Error::failed(message).at(Location::new(file.path, number, 0));
        if let Some((up, options)) = section_line(line) {
            if !up && found.is_empty() {
                return Err(at("`-- migrate:down` stands without `-- migrate:up` before it"));
            }
            let mut section = Section { up, transaction: true, text: String::new() };
            for option in options.split_whitespace() {
                match option.split_once(':') {
                    Some(("transaction", value)) => section.transaction = value != "false",
                    Some(("env", name)) => remarks.push(Remark::line(
                        file.path,
                        number,
                        format!("fills in the environment variable {name} by a template"),
                        "write `${NAME}` where the template stands, and its value into dbbuild.toml",
                    )),
                    _ => remarks.push(Remark::line(
                        file.path,
                        number,
                        format!("has the option `{}`, which dbmate passes over: left out", option.escape_debug()),
                        "",
                    )),
                }
            }
            found.push(section);
        } else if let Some(section) = found.last_mut() {
            section.text.push_str(line);
        } else if !line.trim().is_empty() && !line.trim_start().starts_with("--") {
            return Err(at("SQL stands before `-- migrate:up`").help("dbmate refuses this file as well"));
        }
    }
    if !found.iter().any(|section| section.up) {
        return Err(file.fault("has no `-- migrate:up`").help("dbmate refuses this file as well"));
    }
    Ok(found)
}

/// Whether a line begins a section, and its options.
fn section_line(line: &str) -> Option<(bool, &str)> {
    let rest = line.strip_prefix("--")?.trim_start().strip_prefix("migrate:")?;
    let (up, options) = match (rest.strip_prefix("up"), rest.strip_prefix("down")) {
        (Some(options), _) => (true, options),
        (_, Some(options)) => (false, options),
        _ => return None,
    };
    (options.is_empty() || options.starts_with(char::is_whitespace)).then_some((up, options))
}

fn body(file: &ToolFile, sections: Vec<Section>) -> Body {
    let join = |up: bool| {
        let mut of_it = sections.iter().filter(|section| section.up == up).peekable();
        of_it.peek()?;
        let (mut text, mut transaction) = (String::new(), true);
        for section in of_it {
            text.push_str(&section.text);
            transaction &= section.transaction;
        }
        Some(Part { bytes: Arc::from(text.into_bytes()), transaction })
    };
    let (up, down) = (join(true), join(false));
    let up = up.unwrap_or(Part { bytes: Arc::from(Vec::new()), transaction: true });
    // dbbuild's own reading of the whole file decides whether it can stay as it is.
    let same =
        |part: &Part, text: &str, transaction: bool| *part.bytes == *text.as_bytes() && part.transaction == transaction;
    let whole = Migration::parse("0_x.sql", &file.bytes).is_ok_and(|read| {
        same(&up, &read.up.text, read.settings.transaction)
            && match (&down, &read.down) {
                (Some(part), Some(script)) => same(part, &script.text, read.settings.down_transaction),
                (None, None) => true,
                _ => false,
            }
    });
    if whole { Body::Whole(file.bytes.clone()) } else { Body::Parts { header: Vec::new(), up, down } }
}

#[cfg(test)]
mod tests {
    use super::super::test_tree::{converted, faults, remarked, texts};
    use super::*;

    #[test]
    fn files_stay_as_they_are() {
        let one = "-- about\n-- migrate:up transaction:false\nA;\n\n-- migrate:down\nB;\n";
        let layout = converted(&TOOL, "db/migrations", &[("db/migrations/20240101000000_a.sql", one)]).unwrap();
        assert_eq!(texts(&layout), [("db/migrations/20240101000000_a.sql", one)]);
        assert_eq!(layout.record.migration[0].keys, [Key::plain("20240101000000")]);
        assert!(layout.remarks.is_empty());
    }

    #[test]
    fn what_dbbuild_does_not_know_is_put_together_and_told() {
        let files = [
            ("m/1-a.sql", "-- migrate:up\nA;\n-- migrate:up transaction:false\nB;\n-- migrate:down\nC;\n"),
            ("m/2.sql", "--migrate:up env:USER colour:red\nA;\n--migrate:down\n"),
            ("m/README", "x"),
            ("m/old/3_x.sql", "x"),
        ];
        let layout = converted(&TOOL, "m", &files).unwrap();
        let expected = [
            ("db/migrations/1_a.sql", "-- migrate:up transaction:false\nA;\nB;\n-- migrate:down\nC;\n"),
            ("db/migrations/2_migration.sql", "-- migrate:up\nA;\n-- migrate:down\n"),
        ];
        assert_eq!(texts(&layout), expected);
        assert_eq!(remarked(&layout), ["m/2.sql:1", "m/2.sql:1", "m/README", "m/old/3_x.sql"]);
    }

    #[test]
    fn bad_files_are_told_all_together() {
        let files = [
            ("m/1_a.sql", "CREATE TABLE t ();\n-- migrate:up\n"),
            ("m/2_a.sql", "-- migrate:down\nA;\n-- migrate:up\nB;"),
            ("m/3_a.sql", "-- nothing\n"),
            ("m/04_a.sql", "-- migrate:up\nA;"),
            ("m/4_b.sql", "-- migrate:up\nA;"),
        ];
        let told = faults(converted(&TOOL, "m", &files));
        assert_eq!(told.len(), 4, "{told:#?}");
        assert!(told[0].ends_with("at m/1_a.sql:1") && told[1].ends_with("at m/2_a.sql:1"), "{told:#?}");
        assert!(told[3].starts_with("version 4 is used twice"), "{told:#?}");
    }
}
