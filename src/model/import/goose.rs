//! goose: `NUMBER_name.sql` with `-- +goose` lines, by number; Go migrations are told.
//!
//! `StatementBegin` and `StatementEnd` are of no use to dbbuild, which finds the ends of statements itself: they stay as the
//! comments that they are.

use super::bookkeeping::{Bookkeeping, Meaning};
use super::input::ToolFile;
use super::pairs::{by_hand, digits, finish, part, plain_number};
use super::{Body, Imported, Input, Key, Piece, Remark, Tool};
use crate::error::{Error, Location, Result};
use crate::model::version::Version;

/// See the module's page.
pub const TOOL: Tool = Tool {
    name: "goose",
    places: &["migrations", "db/migrations", "sql/migrations", "sql/schema"],
    beside: &[],
    scope: None,
    convert,
    bookkeeping: Some(&Bookkeeping {
        table: "goose_db_version",
        // A row for each run in either direction: the newest one of a version counts. Version 0 is the table's own.
        query: "SELECT version_id::text, NULL, NULL FROM (SELECT DISTINCT ON (version_id) version_id, is_applied, id \
                FROM {table} WHERE version_id <> 0 ORDER BY version_id, id DESC) AS newest WHERE is_applied ORDER BY id",
        meaning: Meaning::Each,
    }),
};

fn convert(input: &Input) -> Result<Imported> {
    let (mut imported, mut faults) = (Imported::default(), Vec::new());
    let mut found: Vec<(Version, ToolFile, bool, String)> = Vec::new();
    for file in input.below(&mut faults).into_iter().filter(|file| !file.name.contains('/')) {
        let (stem, go) = match (file.name.strip_suffix(".sql"), file.name.strip_suffix(".go")) {
            (Some(stem), _) => (stem, false),
            (_, Some(stem)) if !stem.ends_with("_test") => (stem, true),
            _ => continue,
        };
        let Some((number, name)) = digits(stem, '_') else { continue };
        match Version::parse(number) {
            Ok(version) => found.push((version, file.clone(), go, name.to_owned())),
            Err(error) => faults.push(error),
        }
    }
    found.sort_by(|a, b| a.0.cmp(&b.0));
    for pair in found.windows(2).filter(|pair| pair[0].0 == pair[1].0) {
        let fault = pair[1].1.fault(format!("version {} is used twice", pair[1].0));
        faults.push(fault.help(format!("{} has it too; goose refuses both", pair[0].1.path)));
    }
    for (version, file, go, name) in found {
        let number = version.as_str().to_owned();
        let keys = vec![Key::plain(plain_number(&number))];
        let name = if name.is_empty() { "migration".to_owned() } else { name };
        if go {
            imported.migrations.push(by_hand(number, name, file.path, "Go", keys, &mut imported.remarks));
            continue;
        }
        match body(&file, &mut imported.remarks) {
            Ok(body) => {
                let origins = vec![file.path.to_owned()];
                imported.migrations.push(Piece { number: Some(number), name, body, origins, keys });
            }
            Err(error) => faults.push(error),
        }
    }
    finish(imported, faults)
}

/// Where a line stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Start,
    Up,
    Down,
}

fn body(file: &ToolFile, remarks: &mut Vec<Remark>) -> Result<Body> {
    let text = file.text()?;
    let mut place = Place::Start;
    let (mut up, mut down, mut transaction, mut begun) = (String::new(), None::<String>, true, None::<usize>);
    for (number, line) in (1..).zip(text.split_inclusive('\n')) {
        let fault = |message: &str| Error::failed(message).at(Location::new(file.path, number, 0));
        let mut keep = |line: &str| match (place, down.as_mut()) {
            (Place::Down, Some(down)) => down.push_str(line),
            _ => up.push_str(line),
        };
        match annotation(line).as_deref() {
            Some("up") if place == Place::Start => place = Place::Up,
            Some("up") => return Err(fault("`-- +goose Up` is given twice")),
            Some("down") if place == Place::Up && begun.is_none() => {
                place = Place::Down;
                down = Some(String::new());
            }
            Some("down") => return Err(fault("`-- +goose Down` stands at a wrong place")),
            Some("statementbegin") if place == Place::Start || begun.is_some() => {
                return Err(fault("`-- +goose StatementBegin` stands at a wrong place"));
            }
            Some("statementbegin") => {
                begun = Some(number);
                keep(line);
            }
            Some("statementend") if begun.is_none() => {
                return Err(fault("`-- +goose StatementEnd` stands without a beginning"));
            }
            Some("statementend") => {
                begun = None;
                keep(line);
            }
            Some("no transaction") => transaction = false,
            Some("envsub on" | "envsubst on") => {
                remarks.push(Remark::line(
                    file.path,
                    number,
                    "environment variables are filled in below: not carried over",
                    "see that each `${NAME}` has a value in dbbuild.toml, or write what it stood for",
                ));
                keep(line);
            }
            Some("envsub off" | "envsubst off") => keep(line),
            Some(other) => {
                let what = format!("`+goose {}` is unknown: left as a comment", other.escape_debug());
                remarks.push(Remark::line(file.path, number, what, ""));
                keep(line);
            }
            None if place == Place::Start && !line.trim().is_empty() && !line.trim_start().starts_with("--") => {
                return Err(fault("SQL stands before `-- +goose Up`").help("goose refuses this file as well"));
            }
            None => keep(line),
        }
    }
    if let Some(line) = begun {
        let fault = Error::failed("`-- +goose StatementBegin` has no end").at(Location::new(file.path, line, 0));
        return Err(fault.help("is the file cut off?"));
    }
    if place == Place::Start {
        return Err(file.fault("has no `-- +goose Up`").help("goose refuses this file as well"));
    }
    let down = down.map(|down| part(down, transaction));
    Ok(Body::Parts { header: Vec::new(), up: part(up, transaction), down })
}

/// What stands behind `-- +goose`, in lower case and with single spaces.
fn annotation(line: &str) -> Option<String> {
    let rest = line.strip_prefix("--")?.trim_start().strip_prefix("+goose")?;
    let words: Vec<&str> = rest.split_whitespace().collect();
    Some(words.join(" ").to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::super::test_tree::{converted, faults, remarked, texts};
    use super::*;

    #[test]
    fn sections_and_options_are_carried_over() {
        let one =
            "-- about\n-- +goose Up\nA;\n-- +goose StatementBegin\nF;\n-- +goose StatementEnd\n\n-- +goose Down\nB;\n";
        let files = [
            ("m/00001_a.sql", one),
            ("m/00010_c.sql", "-- +goose NO TRANSACTION\n-- +goose Up\nC;\n"),
            ("m/2_go.go", "package m"),
            ("m/3_x_test.go", "package m"),
            ("m/main.go", "package m"),
        ];
        let layout = converted(&TOOL, "m", &files).unwrap();
        let found = texts(&layout);
        let expected = "-- migrate:up\n-- about\nA;\n-- +goose StatementBegin\nF;\n-- +goose StatementEnd\n\n-- migrate:down\nB;\n";
        assert_eq!(found[0], ("db/migrations/00001_a.sql", expected));
        assert_eq!(found[1].0, "db/migrations/2_go.sql");
        assert_eq!(found[2].1, "-- migrate:up transaction:false\nC;\n");
        assert_eq!(layout.record.migration[0].keys, [Key::plain("1")]);
        assert_eq!(remarked(&layout), ["m/2_go.go", "m/3_x_test.go", "m/main.go"]);
    }

    #[test]
    fn environment_variables_are_told() {
        let text = "-- +goose Up\n-- +goose ENVSUB ON\nCREATE ROLE ${R};\n-- +goose COLOUR\n";
        let layout = converted(&TOOL, "m", &[("m/1_a.sql", text)]).unwrap();
        assert_eq!(remarked(&layout), ["m/1_a.sql:2", "m/1_a.sql:4"]);
    }

    #[test]
    fn bad_files_are_told_all_together() {
        let files = [
            ("m/1_a.sql", "-- +goose Up\n-- +goose StatementBegin\nF;\n"),
            ("m/2_a.sql", "A;\n-- +goose Up\n"),
            ("m/3_a.sql", "-- +goose Down\nA;\n"),
            ("m/4_a.sql", ""),
            ("m/04_b.sql", "-- +goose Up\nA;"),
            ("m/5_a.sql", "-- +goose Up\n-- +goose Up\n"),
            ("m/6_a.sql", "-- +goose Up\n-- +goose StatementEnd\n"),
        ];
        let told = faults(converted(&TOOL, "m", &files));
        assert_eq!(told.len(), 7, "{told:#?}");
        assert!(told.iter().any(|fault| fault.ends_with("at m/1_a.sql:2")), "{told:#?}");
    }
}
