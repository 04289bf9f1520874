//! refinery: `V1__name.sql` and `U1__name.sql` at any depth, by number; SipHash of name, number and text as checksum.

use std::hash::{Hash, Hasher};

use siphasher::sip::SipHasher13;

use super::bookkeeping::{Bookkeeping, Meaning};
use super::pairs::{Half, Order, Side, finish, pair_up, plain_number};
use super::{Imported, Input, Key, Tool};
use crate::error::Result;

/// See the module's page.
pub const TOOL: Tool = Tool {
    name: "refinery",
    places: &["migrations", "src/migrations", "sql_migrations"],
    beside: &[],
    scope: None,
    convert,
    bookkeeping: Some(&Bookkeeping {
        table: "refinery_schema_history",
        query: "SELECT version::text, checksum, NULL FROM {table} ORDER BY version",
        meaning: Meaning::Each,
    }),
};

fn convert(input: &Input) -> Result<Imported> {
    let (mut imported, mut faults) = (Imported::default(), Vec::new());
    let mut halves = Vec::new();
    for file in input.below(&mut faults) {
        let base = file.name.rsplit('/').next().unwrap_or(file.name);
        let Some((number, name, rust)) = take_apart(base) else { continue };
        if number.parse::<i64>().is_err() {
            faults.push(file.fault(format!("`{number}` is no whole number")).help("refinery refuses it as well"));
            continue;
        }
        let (number, name) = (number.to_owned(), name.to_owned());
        let foreign = rust.then_some("Rust");
        halves.push(Half { number, name, side: Side::Up, transaction: true, foreign, file });
    }
    pair_up(halves, Order::Number, key, &mut imported, &mut faults);
    finish(imported, faults)
}

/// `V1__name.sql`: number, name, and whether it is Rust.
fn take_apart(file: &str) -> Option<(&str, &str, bool)> {
    let (stem, rust) = match (file.strip_suffix(".sql"), file.strip_suffix(".rs")) {
        (Some(stem), _) => (stem, false),
        (_, Some(stem)) => (stem, true),
        _ => return None,
    };
    let (number, name) = stem.strip_prefix(['V', 'U'])?.split_once("__")?;
    let digits =
        number.starts_with(|c: char| c.is_ascii_digit()) && number.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    let word = !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || c == '_');
    (digits && word).then_some((number, name, rust))
}

/// The number is hashed in four or eight bytes, as refinery was built: both sums count.
fn key(up: &Half) -> Key {
    let key = plain_number(&up.number);
    let text = String::from_utf8_lossy(&up.file.bytes).into_owned();
    // A Rust migration makes its SQL when it runs: nobody can say what refinery summed up.
    let checksum = up.number.parse::<i64>().ok().filter(|_| up.foreign.is_none()).map(|number| {
        let short = i32::try_from(number).ok().map(|number| sum(&up.name, |hasher| number.hash(hasher), &text));
        let long = sum(&up.name, |hasher| number.hash(hasher), &text);
        short.map_or(long.to_string(), |short| format!("{short} {long}"))
    });
    Key { key, checksum }
}

fn sum(name: &str, number: impl Fn(&mut SipHasher13), text: &str) -> u64 {
    let mut hasher = SipHasher13::new();
    name.hash(&mut hasher);
    number(&mut hasher);
    text.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::super::test_tree::{converted, faults, remarked, texts};
    use super::*;

    #[test]
    fn both_prefixes_any_depth_and_rust() {
        let files = [
            ("m/V10__ten.sql", "TEN;"),
            ("m/more/U2__two.sql", "TWO;"),
            ("m/V3__three.rs", "pub fn migration() {}"),
            ("m/V4-four.sql", "x"),
            ("m/mod.rs", "x"),
        ];
        let layout = converted(&TOOL, "m", &files).unwrap();
        let names: Vec<&str> = texts(&layout).iter().map(|(path, _)| *path).collect();
        assert_eq!(names, ["db/migrations/2_two.sql", "db/migrations/3_three.sql", "db/migrations/10_ten.sql"]);
        assert_eq!(remarked(&layout), ["m/V3__three.rs", "m/V4-four.sql", "m/mod.rs"]);
        assert_eq!(layout.record.migration[1].keys[0].checksum, None);
    }

    #[test]
    fn the_checksum_is_the_one_that_refinery_computes() {
        // The standard library's default hasher is the same function, which refinery used before.
        let layout = converted(&TOOL, "m", &[("m/V1__initial.sql", "CREATE TABLE persons();\n")]).unwrap();
        let mut hasher = std::hash::DefaultHasher::new();
        "initial".hash(&mut hasher);
        1_i32.hash(&mut hasher);
        "CREATE TABLE persons();\n".hash(&mut hasher);
        let sums = layout.record.migration[0].keys[0].checksum.clone().unwrap();
        assert_eq!(sums.split(' ').next(), Some(hasher.finish().to_string().as_str()));
    }

    #[test]
    fn contradictions_are_faults() {
        let told =
            faults(converted(&TOOL, "m", &[("m/V1__a.sql", "A;"), ("m/U1__b.sql", "B;"), ("m/V1.2__c.sql", "C;")]));
        assert_eq!(told.len(), 2, "{told:?}");
    }
}
