//! Values that differ between two replays of the same inputs: clocks, random numbers, UUIDs.
//!
//! Two replays show which columns and which values are volatile. A committed baseline then equals a replay when every
//! stable value is the same and the volatile ones are the same up to a renaming that is consistent along foreign keys:
//! which row points at which is compared, the keys are not. Schema is never volatile here.

use super::ColumnName;
use super::dump::{Dump, Part};
use super::names::{Placed, tokens};
use super::rows::{CopyBlock, split_list};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};

/// What two replays of the same inputs show.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Volatility {
    /// Columns in which values differ.
    pub columns: BTreeSet<ColumnName>,
    /// Tables in which even the number of rows differs: they have no stable content at all.
    pub unstable_tables: BTreeSet<String>,
}

/// Compares the rows of two replays, column by column.
pub fn volatility(first: &Dump, second: &Dump) -> Volatility {
    let mut found = Volatility::default();
    let (first, second) = (tables(first), tables(second));
    for table in first.keys().chain(second.keys()) {
        let (one, other) = (first.get(table), second.get(table));
        let (Some(one), Some(other)) = (one, other) else { continue };
        if one.rows.len() != other.rows.len() || one.columns != other.columns {
            found.unstable_tables.insert((*table).to_owned());
        } else if one.rows != other.rows {
            let (counts, others) = (column_counts(one), column_counts(other));
            for (at, column) in one.columns.iter().enumerate() {
                if counts[at] != others[at] {
                    found.columns.insert(ColumnName { table: (*table).to_owned(), column: column.clone() });
                }
            }
            if counts == others {
                // The same values in other combinations: each column alone looks stable.
                found
                    .columns
                    .extend(one.columns.iter().map(|c| ColumnName { table: (*table).to_owned(), column: c.clone() }));
            }
        }
    }
    found
}

fn tables(dump: &Dump) -> BTreeMap<&str, &CopyBlock> {
    dump.blocks().map(|block| (block.table.as_str(), block)).collect()
}

/// For each column, how often each value occurs.
fn column_counts(block: &CopyBlock) -> Vec<HashMap<&str, usize>> {
    let mut counts = vec![HashMap::new(); block.columns.len()];
    for cells in block.cells() {
        for (count, cell) in counts.iter_mut().zip(cells) {
            *count.entry(cell).or_insert(0) += 1;
        }
    }
    counts
}

/// The tables whose rows in `committed` are not those of a replay, volatile values apart. Tables that one of them
/// lacks are not told: that is a difference of schema.
pub fn differing_rows(committed: &Dump, replay: &Dump, second: &Dump) -> BTreeSet<String> {
    let volatility = volatility(replay, second);
    let links = Links::new(replay, &volatility.columns);
    let stable = stable_values(replay, second, &volatility.columns);
    let mut wrong = BTreeSet::new();
    // Each table is compared as strictly as the two replays agree with each other.
    let mut open: BTreeSet<String> = tables(replay).keys().map(|t| (*t).to_owned()).collect();
    for strictness in [Strictness::Renamed, Strictness::Masked, Strictness::Ignored] {
        let mask = Mask { volatile: &volatility.columns, stable: &stable, links: &links, strictness };
        let (rounds, first) = mask.apply(replay, None);
        let (_, other) = mask.apply(second, Some(rounds));
        let (_, wanted) = mask.apply(committed, Some(rounds));
        open.retain(|table| {
            if first.get(table) != other.get(table) {
                return true;
            }
            if wanted.contains_key(table) && wanted.get(table) != first.get(table) {
                wrong.insert(table.clone());
            }
            false
        });
    }
    wrong
}

/// `dump` with the rows of `committed` wherever they are the same up to volatile values: regenerating a baseline then
/// changes nothing in rows that nobody changed.
pub fn keep_committed(committed: &Dump, replay: &Dump, second: &Dump) -> Dump {
    let volatile: BTreeSet<String> = volatility(replay, second).columns.into_iter().map(|c| c.table).collect();
    let wrong = differing_rows(committed, replay, second);
    // Rows that point at each other must come from the same side: one table that changed keeps all as they are now.
    if !wrong.is_disjoint(&volatile) {
        return replay.clone();
    }
    let old = tables(committed);
    let mut kept = replay.clone();
    for part in kept.entries.iter_mut().flat_map(|entry| &mut entry.parts) {
        if let Part::Rows(block) = part
            && volatile.contains(&block.table)
            && let Some(rows) = old.get(block.table.as_str()).filter(|old| old.columns == block.columns)
        {
            block.rows.clone_from(&rows.rows);
        }
    }
    kept
}

/// How much of a volatile value is compared.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Strictness {
    /// Stable values exactly, volatile ones of foreign keys up to renaming, others not at all.
    Renamed,
    /// Stable values exactly, volatile ones not at all.
    Masked,
    /// Volatile columns not at all.
    Ignored,
}

/// Volatile columns that foreign keys tie together, each under the name of one of them.
struct Links(HashMap<ColumnName, ColumnName>);

impl Links {
    fn new(dump: &Dump, volatile: &BTreeSet<ColumnName>) -> Links {
        let mut links = Links(HashMap::new());
        for entry in dump.entries.iter().filter(|entry| entry.kind == "FK CONSTRAINT") {
            for (from, to) in entry.statements().flat_map(foreign_key) {
                if volatile.contains(&from) && volatile.contains(&to) {
                    let (a, b) = (links.root(&from), links.root(&to));
                    let (low, high) = if a < b { (a, b) } else { (b, a) };
                    links.0.insert(high, low.clone());
                    // A root of its own shows that the column is linked at all.
                    links.0.entry(low.clone()).or_insert(low);
                }
            }
        }
        links
    }

    fn root(&self, column: &ColumnName) -> ColumnName {
        let mut at = column;
        while let Some(next) = self.0.get(at).filter(|next| *next != at) {
            at = next;
        }
        at.clone()
    }

    fn group(&self, column: &ColumnName) -> Option<ColumnName> {
        self.0.contains_key(column).then(|| self.root(column))
    }
}

/// The pairs of columns of `ALTER TABLE ONLY s.t ADD CONSTRAINT n FOREIGN KEY (a) REFERENCES s.u(b) …`.
fn foreign_key(text: &str) -> Vec<(ColumnName, ColumnName)> {
    let found = tokens(text);
    let after =
        |word: &str, from: usize| found[from..].iter().position(|t| t.is_word(text, word)).map(|at| from + at + 1);
    let parse = || {
        let table = after("TABLE", 0)?;
        let table = if found.get(table)?.is_word(text, "ONLY") { table + 1 } else { table };
        let from = qualified(text, &found, table)?;
        let key = after("KEY", after("FOREIGN", table)?)?;
        let target = after("REFERENCES", key)?;
        let to = qualified(text, &found, target)?;
        Some((from, columns(text, &found, key)?, to, columns(text, &found, target + 3)?))
    };
    let Some((from, own, to, theirs)) = parse() else { return Vec::new() };
    let column = |table: &str, column: String| ColumnName { table: table.to_owned(), column };
    own.into_iter().zip(theirs).map(|(a, b)| (column(from, a), column(to, b))).collect()
}

/// `schema.table` whose first token is at `at`.
fn qualified<'a>(text: &'a str, found: &[Placed], at: usize) -> Option<&'a str> {
    Some(&text[found.get(at)?.range()?.start..found.get(at + 2)?.range()?.end])
}

/// The names in the parentheses that open at token `at`.
fn columns(text: &str, found: &[Placed], at: usize) -> Option<Vec<String>> {
    let opening = found.get(at + 1)?.range()?.start;
    let last = found[at..].iter().take_while(|t| t.depth > 0).filter_map(Placed::range).last()?;
    Some(split_list(&text[opening..last.end]))
}

/// For each volatile column the values that both replays have equally often.
fn stable_values(first: &Dump, second: &Dump, volatile: &BTreeSet<ColumnName>) -> HashMap<ColumnName, HashSet<String>> {
    let others = tables(second);
    let mut stable = HashMap::new();
    for (table, block) in tables(first) {
        let Some(other) = others.get(table) else { continue };
        if !volatile.iter().any(|column| column.table == table) || other.columns != block.columns {
            continue;
        }
        let (counts, other_counts) = (column_counts(block), column_counts(other));
        for (at, column) in block.columns.iter().enumerate() {
            let same = counts[at].iter().filter(|(value, n)| other_counts[at].get(*value) == Some(n));
            let values = same.map(|(value, _)| (*value).to_owned()).collect();
            stable.insert(ColumnName { table: table.to_owned(), column: column.clone() }, values);
        }
    }
    stable
}

struct Mask<'a> {
    volatile: &'a BTreeSet<ColumnName>,
    stable: &'a HashMap<ColumnName, HashSet<String>>,
    links: &'a Links,
    strictness: Strictness,
}

/// A cell as far as it is compared.
enum Cell<'a> {
    Exact(&'a str),
    Masked,
    /// A value known only by what points at it: its group of linked columns, and the value.
    Renamed(usize, &'a str),
}

/// A value of a group of linked columns.
type Node<'a> = (usize, &'a str);

impl Mask<'_> {
    /// The rows of each table as hashes, sorted, in which volatile values stand by what they are tied to.
    fn apply(&self, dump: &Dump, rounds: Option<usize>) -> (usize, BTreeMap<String, Vec<u64>>) {
        let mut groups: HashMap<ColumnName, usize> = HashMap::new();
        let mut rows: Vec<(&str, Vec<Cell<'_>>)> = Vec::new();
        for (table, block) in tables(dump) {
            let rules: Vec<Rule<'_>> = block.columns.iter().map(|c| self.rule(table, c, &mut groups)).collect();
            rows.extend(block.cells().map(|cells| (table, cells.iter().zip(&rules).map(|(c, r)| r.cell(c)).collect())));
        }
        let (rounds, hashes) = refine(&rows, rounds);
        let mut found: BTreeMap<String, Vec<u64>> =
            tables(dump).keys().map(|t| ((*t).to_owned(), Vec::new())).collect();
        for ((table, _), hash) in rows.iter().zip(hashes) {
            found.entry((*table).to_owned()).or_default().push(hash);
        }
        found.values_mut().for_each(|hashes| hashes.sort_unstable());
        (rounds, found)
    }

    fn rule(&self, table: &str, column: &str, groups: &mut HashMap<ColumnName, usize>) -> Rule<'_> {
        let column = ColumnName { table: table.to_owned(), column: column.to_owned() };
        if !self.volatile.contains(&column) {
            return Rule { volatile: false, stable: None, group: None };
        }
        let stable = if self.strictness == Strictness::Ignored { None } else { self.stable.get(&column) };
        let next = groups.len();
        let group = (self.strictness == Strictness::Renamed).then(|| self.links.group(&column)).flatten();
        Rule { volatile: true, stable, group: group.map(|group| *groups.entry(group).or_insert(next)) }
    }
}

/// How the cells of one column are compared.
struct Rule<'a> {
    volatile: bool,
    stable: Option<&'a HashSet<String>>,
    group: Option<usize>,
}

impl Rule<'_> {
    fn cell<'c>(&self, text: &'c str) -> Cell<'c> {
        if !self.volatile || self.stable.is_some_and(|stable| text == "\\N" || stable.contains(text)) {
            return Cell::Exact(text);
        }
        self.group.map_or(Cell::Masked, |group| Cell::Renamed(group, text))
    }
}

/// Colour refinement: a value is told by the rows it stands in, a row by its values, until nothing new is told apart.
/// `rounds` is how often; hashes compare only after equally many. Returns it with the hash of each row.
fn refine(rows: &[(&str, Vec<Cell<'_>>)], rounds: Option<usize>) -> (usize, Vec<u64>) {
    let mut colours: HashMap<Node<'_>, u64> = HashMap::new();
    let mut told_apart = 0;
    for round in 0.. {
        let hashes: Vec<u64> = rows.iter().map(|(table, cells)| row_hash(table, cells, &colours)).collect();
        let distinct = hashes.iter().collect::<HashSet<_>>().len() + colours.values().collect::<HashSet<_>>().len();
        if rounds.map_or(distinct <= told_apart, |rounds| round >= rounds) {
            return (round, hashes);
        }
        told_apart = distinct;
        let mut seen: HashMap<Node<'_>, Vec<u64>> = HashMap::new();
        for ((_, cells), hash) in rows.iter().zip(&hashes) {
            for (at, cell) in cells.iter().enumerate() {
                if let Cell::Renamed(group, value) = cell {
                    seen.entry((*group, *value)).or_default().push(hash_of(&(hash, at)));
                }
            }
        }
        let hash_places = |mut places: Vec<u64>| {
            places.sort_unstable();
            hash_of(&places)
        };
        colours = seen.into_iter().map(|(node, places)| (node, hash_places(places))).collect();
    }
    (0, Vec::new())
}

fn row_hash(table: &str, cells: &[Cell<'_>], colours: &HashMap<Node<'_>, u64>) -> u64 {
    let mut hasher = DefaultHasher::new();
    table.hash(&mut hasher);
    let mut within: Vec<Node<'_>> = Vec::new();
    for cell in cells {
        match cell {
            Cell::Exact(text) => (0u8, text).hash(&mut hasher),
            Cell::Masked => 1u8.hash(&mut hasher),
            Cell::Renamed(group, value) => {
                // Which cells of the row hold the same value is told as well: a row may point at itself.
                let node = (*group, *value);
                let place = within.iter().position(|seen| *seen == node).unwrap_or(within.len());
                within.push(node);
                (2u8, place, colours.get(&node)).hash(&mut hasher);
            }
        }
    }
    hasher.finish()
}

fn hash_of(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
#[path = "volatile_tests.rs"]
mod tests;
