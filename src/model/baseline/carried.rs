//! An older state's rows with the volatile values that a newer baseline has committed for them.
//!
//! A squash writes values out that each replay made anew; they must be those that the baseline already has, or the squashed
//! history would not come to it. Rows are told apart by their stable values.

use super::ColumnName;
use super::dump::{Dump, Part};
use super::rows::CopyBlock;
use std::collections::{BTreeMap, HashMap};

/// The older dump with volatile cells as the newer one has them, wherever a row is found again without doubt.
#[must_use]
pub fn with_volatile_of(older: &Dump, volatile: &[ColumnName], newer: &Dump) -> Dump {
    let newer: BTreeMap<&str, &CopyBlock> = newer.blocks().map(|block| (block.table.as_str(), block)).collect();
    let mut adopted = older.clone();
    for part in adopted.entries.iter_mut().flat_map(|entry| &mut entry.parts) {
        let Part::Rows(block) = part else { continue };
        let is_volatile = |column: &str| volatile.iter().any(|v| v.table == block.table && v.column == column);
        let Some(from) = newer.get(block.table.as_str()) else { continue };
        let both: Vec<(usize, usize, bool)> = block
            .columns
            .iter()
            .enumerate()
            .filter_map(|(at, column)| Some((at, from.columns.iter().position(|c| c == column)?, is_volatile(column))))
            .collect();
        let stable: Vec<(usize, usize)> = both.iter().filter(|(.., v)| !v).map(|(a, b, _)| (*a, *b)).collect();
        let cells: Vec<(usize, usize)> = both.iter().filter(|(.., v)| *v).map(|(a, b, _)| (*a, *b)).collect();
        if !cells.is_empty() {
            block.rows = rows(block, from, &stable, &cells);
            block.sort();
        }
    }
    adopted
}

/// The rows of a block with cells of another, found by all stable columns, else by a single one that tells rows apart.
fn rows(block: &CopyBlock, from: &CopyBlock, stable: &[(usize, usize)], cells: &[(usize, usize)]) -> Vec<String> {
    let keys: Vec<Vec<(usize, usize)>> =
        std::iter::once(stable.to_vec()).chain(stable.iter().map(|pair| vec![*pair])).collect();
    let old: Vec<Vec<&str>> = block.cells().collect();
    let new: Vec<Vec<&str>> = from.cells().collect();
    let indexes: Vec<_> = keys.iter().map(|key| (key, index(&old, key, |p| p.0), index(&new, key, |p| p.1))).collect();
    old.iter()
        .map(|row| {
            let mut row = row.clone();
            let found = indexes.iter().find_map(|(key, own, other)| {
                let value: Vec<&str> = key.iter().map(|(at, _)| row.get(*at).copied().unwrap_or_default()).collect();
                own.get(&value)?.as_ref()?;
                other.get(&value)?.as_ref().and_then(|at| new.get(*at))
            });
            for (at, there) in cells {
                if let (Some(cell), Some(value)) = (row.get_mut(*at), found.and_then(|found| found.get(*there))) {
                    *cell = value;
                }
            }
            row.join("\t")
        })
        .collect()
}

/// Rows by the value of a key; `None` where several have it.
fn index<'r>(
    rows: &[Vec<&'r str>],
    key: &[(usize, usize)],
    side: impl Fn(&(usize, usize)) -> usize,
) -> HashMap<Vec<&'r str>, Option<usize>> {
    let mut index = HashMap::new();
    if key.is_empty() {
        return index;
    }
    for (number, row) in rows.iter().enumerate() {
        let value = key.iter().map(|pair| row.get(side(pair)).copied().unwrap_or_default()).collect();
        index.entry(value).and_modify(|at| *at = None).or_insert(Some(number));
    }
    index
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::baseline::Entry;

    fn dump(columns: &[&str], rows: &[&str]) -> Dump {
        let block = CopyBlock {
            table: "s.t".into(),
            columns: columns.iter().map(ToString::to_string).collect(),
            rows: rows.iter().map(ToString::to_string).collect(),
        };
        Dump { entries: vec![Entry { kind: "TABLE DATA".into(), parts: vec![Part::Rows(block)], ..Entry::default() }] }
    }

    #[test]
    fn rows_are_found_again_by_what_is_stable() {
        let volatile = [ColumnName { table: "s.t".into(), column: "u".into() }];
        let older = dump(&["id", "u", "n"], &["1\ta\tx", "2\tb\tx", "3\tc\ty"]);
        // The newer one has another order, one more column, another value in a row, and one row less.
        let newer = dump(&["n", "more", "id", "u"], &["x\t0\t1\tA", "z\t0\t2\tB"]);
        let adopted = with_volatile_of(&older, &volatile, &newer);
        let rows: Vec<String> = adopted.blocks().flat_map(|block| block.rows.clone()).collect();
        assert_eq!(rows, ["1\tA\tx", "2\tB\tx", "3\tc\ty"]);
        assert_eq!(with_volatile_of(&older, &[], &newer), older);
        let doubled = dump(&["id", "u"], &["1\tA", "1\tB"]);
        assert_eq!(with_volatile_of(&older, &volatile, &doubled), older, "in doubt nothing is taken");
    }
}
