//! golang-migrate: `NUMBER_name.up.sql` and `.down.sql` in one folder, by number; a single row with a dirty flag.

use super::bookkeeping::{Bookkeeping, Meaning};
use super::pairs::{Half, Order, Side, digits, finish, pair_up, plain_number};
use super::{Imported, Input, Key, Tool};
use crate::error::Result;

/// See the module's page.
pub const TOOL: Tool = Tool {
    name: "golang-migrate",
    places: &["migrations", "db/migrations", "db/migration", "sql/migrations"],
    beside: &[],
    scope: None,
    convert,
    bookkeeping: Some(&Bookkeeping {
        table: "schema_migrations",
        query: "SELECT version::text, NULL, CASE WHEN dirty THEN 'it is dirty: it failed half way' END FROM {table}",
        meaning: Meaning::UpTo,
    }),
};

fn convert(input: &Input) -> Result<Imported> {
    let (mut imported, mut faults) = (Imported::default(), Vec::new());
    let mut halves = Vec::new();
    for file in input.below(&mut faults) {
        let Some((number, name, side, ending)) = take_apart(file.name) else { continue };
        let foreign = (!ending.eq_ignore_ascii_case("sql")).then_some("driver's own");
        halves.push(Half {
            number: number.to_owned(),
            name: if name.is_empty() { "migration" } else { name }.to_owned(),
            side,
            transaction: true,
            foreign,
            file,
        });
    }
    pair_up(halves, Order::Number, |up| Key::plain(plain_number(&up.number)), &mut imported, &mut faults);
    finish(imported, faults)
}

/// `NUMBER_name.up.ending`; the name may hold dots, the last direction counts.
fn take_apart(file: &str) -> Option<(&str, &str, Side, &str)> {
    let (number, rest) = digits(file, '_').filter(|_| !file.contains('/'))?;
    let up = rest.rfind(".up.").map(|at| (at, at + 4, Side::Up));
    let down = rest.rfind(".down.").map(|at| (at, at + 6, Side::Down));
    let (at, end, side) = up.into_iter().chain(down).max_by_key(|(at, ..)| *at)?;
    Some((number, &rest[..at], side, &rest[end..]))
}

#[cfg(test)]
mod tests {
    use super::super::test_tree::{converted, faults, remarked, texts};
    use super::*;

    #[test]
    fn pairs_become_one_file_in_the_order_of_numbers() {
        let files = [
            ("m/000010_c.up.sql", "C;\n"),
            ("m/000002_b.v2.down.sql", "DROP B;\n"),
            ("m/000002_b.v2.up.sql", "B;\n"),
            ("m/1_a.up.sql", "A;"),
            ("m/README.md", "x"),
        ];
        let layout = converted(&TOOL, "m", &files).unwrap();
        let expected = [
            ("db/migrations/1_a.sql", "A;"),
            ("db/migrations/000002_b.v2.sql", "-- migrate:up\nB;\n-- migrate:down\nDROP B;\n"),
            ("db/migrations/000010_c.sql", "C;\n"),
        ];
        assert_eq!(texts(&layout), expected);
        assert_eq!(layout.record.migration[1].keys, [Key::plain("2")]);
        assert_eq!(layout.record.migration[1].files, ["m/000002_b.v2.up.sql", "m/000002_b.v2.down.sql"]);
        assert_eq!(remarked(&layout), ["m/README.md"]);
    }

    #[test]
    fn contradictions_are_faults() {
        let files = [
            ("m/1_a.up.sql", "A;"),
            ("m/01_b.up.sql", "B;"),
            ("m/2_c.down.sql", "C;"),
            ("m/3_d.up.sql", "SELECT 'open;"),
            ("m/3_d.down.sql", "D;"),
        ];
        let told = faults(converted(&TOOL, "m", &files));
        assert_eq!(told.len(), 1, "{told:#?}");
        assert!(told[0].starts_with("version 1 is used twice at m/1_a.up.sql"), "{told:#?}");
        assert_eq!(faults(converted(&TOOL, "m", &files[3..])).len(), 1);
        let layout = converted(&TOOL, "m", &files[1..3]).unwrap();
        assert_eq!((layout.files.len(), remarked(&layout)), (1, vec!["m/2_c.down.sql".to_owned()]));
    }
}
