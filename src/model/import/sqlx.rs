//! sqlx: `NUMBER_name.sql`, or `.up.sql` and `.down.sql`, in one folder, by number; a first line `-- no-transaction`;
//! SHA-384 of the file as checksum.

use sha2::{Digest as _, Sha384};

use super::bookkeeping::{Bookkeeping, Meaning};
use super::pairs::{Half, Order, Side, digits, finish, pair_up, plain_number};
use super::{Imported, Input, Key, Tool};
use crate::error::Result;

/// See the module's page.
pub const TOOL: Tool = Tool {
    name: "sqlx",
    places: &["migrations"],
    beside: &[],
    scope: None,
    convert,
    bookkeeping: Some(&Bookkeeping {
        table: "_sqlx_migrations",
        query: "SELECT version::text, pg_catalog.encode(checksum, 'hex'), \
                CASE WHEN NOT success THEN 'it failed half way' END FROM {table} ORDER BY version",
        meaning: Meaning::Each,
    }),
};

fn convert(input: &Input) -> Result<Imported> {
    let (mut imported, mut faults) = (Imported::default(), Vec::new());
    let mut halves = Vec::new();
    for file in input.below(&mut faults) {
        let Some(stem) = file.name.strip_suffix(".sql").filter(|stem| !stem.contains('/')) else { continue };
        let (stem, side) = match (stem.strip_suffix(".up"), stem.strip_suffix(".down")) {
            (Some(stem), _) => (stem, Side::Up),
            (_, Some(stem)) => (stem, Side::Down),
            _ => (stem, Side::Up),
        };
        let Some((number, name)) = digits(stem, '_') else {
            if stem.contains('_') {
                faults.push(file.fault("its name does not begin with a number").help("sqlx refuses it as well"));
            }
            continue;
        };
        let transaction = !file.bytes.starts_with(b"-- no-transaction");
        let (number, name) = (number.to_owned(), if name.is_empty() { "migration" } else { name }.to_owned());
        halves.push(Half { number, name, side, transaction, foreign: None, file });
    }
    pair_up(halves, Order::Number, key, &mut imported, &mut faults);
    finish(imported, faults)
}

fn key(up: &Half) -> Key {
    let sum: String = Sha384::digest(&up.file.bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    Key { key: plain_number(&up.number), checksum: Some(sum) }
}

#[cfg(test)]
mod tests {
    use super::super::test_tree::{converted, faults, texts};
    use super::*;

    #[test]
    fn simple_and_reversible_files_and_their_checksums() {
        let files = [
            ("m/20220101000000_a.up.sql", "abc"),
            ("m/20220101000000_a.down.sql", "-- no-transaction\nB;"),
            ("m/20220102000000_b.sql", "-- no-transaction\nC;"),
            ("m/202201021111111_c.sql", "D;"),
        ];
        let layout = converted(&TOOL, "m", &files).unwrap();
        let expected = [
            (
                "db/migrations/20220101000000_a.sql",
                "-- migrate:up\nabc\n-- migrate:down transaction:false\n-- no-transaction\nB;\n",
            ),
            ("db/migrations/20220102000000_b.sql", "-- migrate:up transaction:false\n-- no-transaction\nC;\n"),
            ("db/migrations/20220102111111_c.sql", "D;"),
        ];
        assert_eq!(texts(&layout), expected);
        let key = &layout.record.migration[0].keys[0];
        let abc = "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed\
                   8086072ba1e7cc2358baeca134c825a7";
        assert_eq!((key.key.as_str(), key.checksum.as_deref()), ("20220101000000", Some(abc)));
        assert_eq!(layout.record.migration[2].keys[0].key, "202201021111111");
    }

    #[test]
    fn names_without_a_number_are_faults() {
        let told = faults(converted(&TOOL, "m", &[("m/x_y.sql", "A;"), ("m/plain.sql", "B;"), ("m/1_a.sql", "A;")]));
        assert_eq!(told.len(), 1, "{told:?}");
    }
}
