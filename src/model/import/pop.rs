//! pop (Buffalo, soda): `NUMBER_name.up.sql` and `.down.sql`, with a dialect in between where there are several
//! databases; fizz files are told.

use super::bookkeeping::Bookkeeping;
use super::pairs::{Half, Order, Side, digits, finish, pair_up};
use super::{Imported, Input, Key, Remark, Tool};
use crate::error::Result;

/// See the module's page.
pub const TOOL: Tool = Tool {
    name: "pop",
    places: &["migrations", "db/migrations"],
    beside: &[],
    scope: None,
    convert,
    bookkeeping: Some(&BOOKKEEPING),
};

/// pop's own table; a manifest's as well.
pub(super) const BOOKKEEPING: Bookkeeping = Bookkeeping::of_versions("schema_migration");

/// What a file name says.
pub(super) struct Name<'a> {
    pub number: &'a str,
    pub name: &'a str,
    pub dialect: Option<&'a str>,
    pub side: Side,
    pub fizz: bool,
}

/// `NUMBER_name[.dialect].up.sql`.
pub(super) fn take_apart(file: &str) -> Option<Name<'_>> {
    let (number, rest) = digits(file, '_').filter(|_| !file.contains('/'))?;
    let parts: Vec<&str> = rest.split('.').collect();
    let (name, dialect, side, kind) = match parts.as_slice() {
        [name, side, kind] => (*name, None, *side, *kind),
        [name, dialect, side, kind] => (*name, Some(*dialect), *side, *kind),
        _ => return None,
    };
    let side = match side {
        "up" => Side::Up,
        "down" => Side::Down,
        _ => return None,
    };
    (!name.is_empty() && matches!(kind, "sql" | "fizz")).then_some(Name {
        number,
        name,
        dialect,
        side,
        fizz: kind == "fizz",
    })
}

fn convert(input: &Input) -> Result<Imported> {
    let (mut imported, mut faults) = (Imported::default(), Vec::new());
    let mut halves = Vec::new();
    for file in input.below(&mut faults) {
        let Some(name) = take_apart(file.name) else { continue };
        if let Some(dialect) =
            name.dialect.filter(|dialect| !matches!(*dialect, "postgres" | "postgresql" | "pg" | "all"))
        {
            imported.remarks.push(Remark::file(file.path, format!("is for {dialect}: left as it is"), ""));
            continue;
        }
        halves.push(Half {
            number: name.number.to_owned(),
            name: name.name.to_owned(),
            side: name.side,
            transaction: true,
            foreign: name.fizz.then_some("fizz"),
            file,
        });
    }
    pair_up(halves, Order::Text, |up| Key::plain(&up.number), &mut imported, &mut faults);
    finish(imported, faults)
}

#[cfg(test)]
mod tests {
    use super::super::test_tree::{converted, remarked, texts};
    use super::*;

    #[test]
    fn the_dialect_counts_and_fizz_keeps_its_place() {
        let files = [
            ("m/20200101000000_a.postgres.up.sql", "A;"),
            ("m/20200101000000_a.mysql.up.sql", "MY;"),
            ("m/20200102000000_b.up.fizz", "create_table(\"b\")"),
            ("m/20200102000000_b.down.fizz", "drop_table(\"b\")"),
            ("m/20200103000000_c.up.sql", "C;"),
            ("m/20200103000000_c.down.fizz", "x"),
        ];
        let layout = converted(&TOOL, "m", &files).unwrap();
        let found = texts(&layout);
        assert_eq!(found[0], ("db/migrations/20200101000000_a.sql", "A;"));
        assert!(found[1].1.starts_with("-- m/20200102000000_b.up.fizz was a fizz migration"));
        assert_eq!(found[2].1, "C;");
        assert_eq!(layout.record.migration[1].keys, [Key::plain("20200102000000")]);
        assert_eq!(remarked(&layout), [files[1].0, files[3].0, files[2].0, files[5].0],);
    }
}
