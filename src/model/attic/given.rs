//! What giving back did: rows and values that stand again, and those that are in conflict with what was done meanwhile.

use super::{Entry, KeptEntry, Kind};
use std::fmt;
use std::str::FromStr;

/// What becomes of a kept value that is in conflict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnConflict {
    /// The database keeps its own, the attic keeps the kept one, and both are told.
    #[default]
    Report,
    /// The database keeps its own, and the kept one goes.
    KeepCurrent,
    /// The kept one overwrites.
    Restore,
}

impl FromStr for OnConflict {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "report" => Ok(OnConflict::Report),
            "keep-current" => Ok(OnConflict::KeepCurrent),
            "restore" => Ok(OnConflict::Restore),
            _ => Err(format!("`{text}` is none of keep-current, restore, report")),
        }
    }
}

/// One kept row or value that could not be given back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    /// "id = 7"; empty where there is no key.
    pub key: String,
    /// What differs: column, kept value, current value; shortened. No current value where there is no such row.
    pub values: Vec<(String, Option<String>, Option<String>)>,
    /// Why it was not given back.
    pub why: String,
}

/// How a person decides what stays in the attic after this, where the server would let them.
pub fn undecided(given: &[Given]) -> Option<String> {
    let left: Vec<String> =
        given.iter().filter(|one| one.left() > 0 && one.whole.is_none()).map(|one| one.entry.id.to_string()).collect();
    (!left.is_empty()).then(|| {
        format!(
            "`dbbuild attic restore {} --on-conflict keep-current` or `restore` decides what was left in the attic; \
             without a decision it gives back what is in conflict no longer",
            left.join(" ")
        )
    })
}

/// What became of one entry of the attic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Given {
    /// The entry.
    pub entry: Entry,
    /// Rows or values that stand again.
    pub given: u64,
    /// Those that are in conflict.
    pub conflicts: u64,
    /// Of these, overwritten with what was kept.
    pub restored: u64,
    /// Of these, dropped from the attic.
    pub dropped: u64,
    /// Some of the conflicts, as many as are worth showing.
    pub examples: Vec<Conflict>,
    /// Why nothing of it can be given back.
    pub whole: Option<String>,
}

impl Given {
    /// Rows that stay in the attic.
    pub fn left(&self) -> u64 {
        self.conflicts.saturating_sub(self.restored + self.dropped)
    }

    /// "gave back 12 values of shop.orders.note (column, dropped)"; none where nothing was.
    pub fn describe(&self) -> Option<String> {
        let entry = &self.entry;
        let why = format!("{}, {}", entry.kind, entry.reason);
        match entry.kind {
            _ if self.given == 0 => None,
            Kind::Sequence => Some(format!("gave back the position of {}", entry.relation())),
            Kind::Table | Kind::Row => {
                Some(format!("gave back {} of {} ({why})", number(self.given, "row"), entry.relation()))
            }
            Kind::Column | Kind::Value => Some(format!(
                "gave back {} of {}.{} ({why})",
                number(self.given, "value"),
                entry.relation(),
                entry.columns.join(", ")
            )),
        }
    }

    /// What a person should know of the conflicts: a first line, and one for each example.
    pub fn complaint(&self) -> Option<String> {
        if self.conflicts == 0 {
            return None;
        }
        let entry = &self.entry;
        let mut done = Vec::new();
        if self.restored > 0 {
            done.push(format!("{} overwritten with what was kept", self.restored));
        }
        if self.dropped > 0 {
            done.push(format!("{} dropped from the attic", self.dropped));
        }
        if self.left() > 0 {
            done.push(format!("{} left in the attic", self.left()));
        }
        let subject = number(self.conflicts, if is_of_rows(entry.kind) { "row" } else { "value" });
        let mut text = format!(
            "{}: {subject} of {} in conflict, {} (entry {})",
            entry.label(),
            entry.relation(),
            done.join(", "),
            entry.id
        );
        if let Some(whole) = &self.whole {
            text.push_str(&format!(": {whole}"));
        }
        for conflict in &self.examples {
            text.push_str(&format!("\n      {conflict}"));
        }
        let shown = self.examples.len() as u64;
        if shown > 0 && self.conflicts > shown {
            text.push_str(&format!("\n      and {} more", self.conflicts - shown));
        }
        Some(text)
    }
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |value: &Option<String>| value.clone().unwrap_or_else(|| "NULL".to_owned());
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.why)?;
        for (column, kept, current) in &self.values {
            write!(f, "; {column}: kept {}", text(kept))?;
            if current.is_some() {
                write!(f, ", now {}", text(current))?;
            }
        }
        Ok(())
    }
}

impl Entry {
    /// "shop.orders"
    pub fn relation(&self) -> String {
        format!("{}.{}", self.schema, self.table)
    }

    /// As one line of a report.
    pub fn kept(&self) -> KeptEntry {
        KeptEntry {
            kind: self.kind,
            reason: self.reason,
            schema: self.schema.clone(),
            table: self.table.clone(),
            columns: self.columns.clone(),
            rows: self.rows,
        }
    }

    /// "20240712093000_add_legacy"
    pub fn label(&self) -> String {
        format!("{}_{}", self.version, self.name)
    }
}

/// Whether an entry holds rows rather than values.
pub fn is_of_rows(kind: Kind) -> bool {
    matches!(kind, Kind::Table | Kind::Row)
}

fn number(n: u64, noun: &str) -> String {
    format!("{n} {noun}{}", if n == 1 { "" } else { "s" })
}

/// The order in which tables get their rows and values: those that others refer to first. Tables that refer to each other
/// are one group, as is everything that stands on them.
///
/// `refers` lists (table, the table that it refers to), both as positions below `tables`.
pub fn groups(tables: usize, refers: &[(usize, usize)]) -> Vec<Vec<usize>> {
    let mut left: Vec<usize> = (0..tables).collect();
    let mut groups = Vec::new();
    while !left.is_empty() {
        let waits = |table: usize| refers.iter().any(|(from, to)| *from == table && *to != table && left.contains(to));
        let (waiting, free): (Vec<usize>, Vec<usize>) = left.iter().partition(|table| waits(**table));
        if free.is_empty() {
            groups.push(waiting);
            break;
        }
        groups.extend(free.into_iter().map(|table| vec![table]));
        left = waiting;
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn referenced_tables_come_first_and_cycles_stay_together() {
        // 0 → 1 → 2, 3 refers to itself, 4 ↔ 5, 6 → 4.
        let refers = [(0, 1), (1, 2), (3, 3), (4, 5), (5, 4), (6, 4)];
        assert_eq!(groups(7, &refers), [vec![2], vec![3], vec![1], vec![0], vec![4, 5, 6]]);
        assert!(groups(0, &[]).is_empty());
    }

    #[test]
    fn words_of_the_command_line() {
        assert_eq!("keep-current".parse(), Ok(OnConflict::KeepCurrent));
        assert_eq!("restore".parse(), Ok(OnConflict::Restore));
        assert_eq!("report".parse(), Ok(OnConflict::default()));
        assert!("Restore".parse::<OnConflict>().is_err());
    }
}
