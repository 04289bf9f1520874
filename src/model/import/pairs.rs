//! Up and down files of one migration brought together, for the tools that keep them apart.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::input::ToolFile;
use super::{Body, Imported, Key, Part, Piece, Remark};
use crate::error::{Error, Result};
use crate::model::version::Version;

/// The direction of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// It applies.
    Up,
    /// It takes back.
    Down,
}

/// One file with what its name says.
pub struct Half<'a> {
    /// Digits.
    pub number: String,
    /// The rest of the name.
    pub name: String,
    /// The direction.
    pub side: Side,
    /// Whether it shall run in one transaction.
    pub transaction: bool,
    /// Where a file is no SQL: what it is, like `Go`.
    pub foreign: Option<&'static str>,
    /// The file.
    pub file: ToolFile<'a>,
}

/// By what a tool orders.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// By the number.
    Number,
    /// By the digits as text.
    Text,
}

/// Pairs by number, in order. What is there twice is a fault.
pub fn pair_up(
    halves: Vec<Half>,
    order: Order,
    key: impl Fn(&Half) -> Key,
    imported: &mut Imported,
    faults: &mut Vec<Error>,
) {
    let mut pairs: BTreeMap<Sorted, (Option<Half>, Option<Half>)> = BTreeMap::new();
    for half in halves {
        let Ok(number) = Version::parse(&half.number) else {
            faults.push(half.file.fault(format!("`{}` is no number", half.number.escape_debug())));
            continue;
        };
        let sorted = match order {
            Order::Number => Sorted::Number(number),
            Order::Text => Sorted::Text(half.number.clone()),
        };
        let (up, down) = pairs.entry(sorted).or_default();
        let place = if half.side == Side::Up { up } else { down };
        if let Some(first) = place {
            faults.push(
                half.file
                    .fault(format!("version {} is used twice", half.number))
                    .help(format!("{} has it too; rename the newer one", first.file.path)),
            );
        } else {
            *place = Some(half);
        }
    }
    for pair in pairs.into_values() {
        match pair {
            (Some(up), down) => imported.migrations.push(piece(up, down, &key, &mut imported.remarks)),
            // No tool runs such a file before its migration was applied, which cannot be.
            (None, Some(down)) => imported.remarks.push(Remark::file(
                down.file.path,
                "has no up file beside it, so that no tool ever runs it: left as it is",
                "where it belongs to another migration, write it there below a line `-- migrate:down`",
            )),
            (None, None) => {}
        }
    }
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Sorted {
    Number(Version),
    Text(String),
}

fn piece(up: Half, down: Option<Half>, key: impl Fn(&Half) -> Key, remarks: &mut Vec<Remark>) -> Piece {
    let keys = vec![key(&up)];
    if let Some(language) = up.foreign {
        if let Some(down) = &down {
            remarks.push(Remark::file(down.file.path, "belongs to a migration that is no SQL: left as it is", ""));
        }
        return by_hand(up.number, up.name, up.file.path, language, keys, remarks);
    }
    let mut origins = vec![up.file.path.to_owned()];
    let part = |half: &Half| Part { bytes: half.file.bytes.clone(), transaction: half.transaction };
    let down = down.filter(|down| match down.foreign {
        Some(language) => {
            let what = format!("is a {language} file, so this migration gets no way back");
            remarks.push(Remark::file(down.file.path, what, "write its SQL below a line `-- migrate:down`"));
            false
        }
        None => true,
    });
    origins.extend(down.iter().map(|down| down.file.path.to_owned()));
    let body = Body::Parts { header: Vec::new(), up: part(&up), down: down.as_ref().map(part) };
    Piece { number: Some(up.number), name: up.name, body, origins, keys }
}

/// The place of a migration that is no SQL: the order and the tool's bookkeeping stay whole, and a person fills it in.
pub fn by_hand(
    number: String,
    name: String,
    path: &str,
    language: &str,
    keys: Vec<Key>,
    remarks: &mut Vec<Remark>,
) -> Piece {
    remarks.push(Remark::file(
        path,
        format!("is a {language} migration, of which only its place was kept"),
        format!("write what it does, in SQL, into the empty migration {number}_{name}"),
    ));
    let text = format!("-- {path} was a {language} migration. Write here, in SQL, what it did.\n");
    Piece { number: Some(number), name, body: Body::up(text.into_bytes()), origins: Vec::new(), keys }
}

/// Only what is needed to end a converter.
pub fn finish(imported: Imported, faults: Vec<Error>) -> Result<Imported> {
    Error::all(faults).map_or(Ok(imported), Err)
}

/// Digits at the beginning, and what follows the separator.
pub fn digits(text: &str, separator: char) -> Option<(&str, &str)> {
    let (number, rest) = text.split_once(separator)?;
    (!number.is_empty() && number.bytes().all(|b| b.is_ascii_digit())).then_some((number, rest))
}

/// A number as a column of integers gives it.
pub fn plain_number(number: &str) -> String {
    let digits = number.trim_start_matches('0');
    if digits.is_empty() { "0" } else { digits }.to_owned()
}

/// A body of text.
pub fn part(text: String, transaction: bool) -> Part {
    Part { bytes: Arc::from(text.into_bytes()), transaction }
}
