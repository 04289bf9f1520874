//! What two looks at a database mean: which tables, columns, rows and positions a script between them took away.
//!
//! Nothing is concluded from the script's text. A row that was updated or deleted shows in the counters of its table, a
//! table that was truncated or written anew has another file, and everything else stands in the catalogs.

use std::collections::{BTreeMap, BTreeSet};

/// The shape of a column: what it can hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shape {
    /// `atttypid`, `atttypmod` and `attcollation`.
    pub kind: String,
    /// Computed from others.
    pub generated: bool,
}

/// One relation at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Relation {
    /// `relkind`: `r`, `p`, `f`, `S` or `c`.
    pub kind: char,
    /// The partitioned table that it is a partition of.
    pub parent: Option<u32>,
    /// It belongs to the attic.
    pub own: bool,
    /// The file that holds its rows, 0 where there is none.
    pub file: u32,
    /// Rows inserted, updated and deleted so far in this session.
    pub counts: [u64; 3],
    /// By number.
    pub columns: BTreeMap<i16, Shape>,
    /// The last value of a sequence that was used, and whether it counts upwards.
    pub position: Option<(i64, bool)>,
    /// Whether this session holds a lock on it that writing rows takes.
    pub locked_for_writing: bool,
}

/// A look at a database.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Look {
    /// By OID.
    pub relations: BTreeMap<u32, Relation>,
    /// Large objects changed or removed so far in this session.
    pub large_objects: u64,
}

/// What happened to one table.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Change {
    /// It is not there any more.
    pub gone: bool,
    /// Its rows stand in another file.
    pub rewritten: bool,
    /// Numbers of the columns that are gone, generated ones left out.
    pub dropped: BTreeSet<i16>,
    /// Numbers of the columns whose values were converted.
    pub retyped: BTreeSet<i16>,
    /// Rows inserted, updated and deleted, as the counters have it.
    pub counts: [u64; 3],
}

/// What a script did that may lose something.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Effects {
    /// Tables, by OID.
    pub tables: BTreeMap<u32, Change>,
    /// Sequences that were dropped or set back; true where dropped.
    pub sequences: BTreeMap<u32, bool>,
    /// Composite types that lost attributes.
    pub composites: BTreeSet<u32>,
    /// Foreign tables that were written.
    pub foreign: BTreeSet<u32>,
    /// Relations of the attic itself.
    pub own: BTreeSet<u32>,
    /// Large objects were changed or removed.
    pub large_objects: bool,
}

impl Change {
    /// Rows updated or deleted.
    pub fn touched(&self) -> u64 {
        self.counts[1] + self.counts[2]
    }

    /// No row was added or deleted.
    pub fn keeps_rows(&self) -> bool {
        self.counts[0] == 0 && self.counts[2] == 0
    }

    fn loses(&self) -> bool {
        *self != Change { counts: [self.counts[0], 0, 0], ..Change::default() }
    }

    /// Takes in what another run of the same script did.
    fn absorb(&mut self, other: &Change) {
        self.gone |= other.gone;
        self.rewritten |= other.rewritten;
        self.dropped.extend(&other.dropped);
        self.retyped.extend(&other.retyped);
        for (own, count) in self.counts.iter_mut().zip(other.counts) {
            *own = (*own).max(count);
        }
    }
}

impl Effects {
    /// Nothing can be lost.
    pub fn is_empty(&self) -> bool {
        *self == Effects::default()
    }

    /// Whether everything that `other` did is expected here: then what was kept for this holds for that too.
    pub fn covers(&self, other: &Effects) -> bool {
        let table = |(oid, change): (&u32, &Change)| {
            self.tables.get(oid).is_some_and(|own| {
                own.gone == change.gone
                    && (own.rewritten || !change.rewritten)
                    && (own.touched() > 0 || change.touched() == 0 || own.rewritten)
                    && own.dropped.is_superset(&change.dropped)
                    && own.retyped.is_superset(&change.retyped)
            })
        };
        other.tables.iter().all(table)
            && other.sequences.keys().all(|oid| self.sequences.contains_key(oid))
            && self.composites.is_superset(&other.composites)
            && other.foreign.is_empty()
            && other.own.is_empty()
            && !other.large_objects
    }

    /// Takes in what another run of the same script did.
    pub fn absorb(&mut self, other: &Effects) {
        for (oid, change) in &other.tables {
            self.tables.entry(*oid).or_default().absorb(change);
        }
        self.sequences.extend(&other.sequences);
        self.composites.extend(&other.composites);
        self.foreign.extend(&other.foreign);
        self.own.extend(&other.own);
        self.large_objects |= other.large_objects;
    }

    /// The oldest ancestor of a table that stays what it is: the same partitioned table before and after, and not gone.
    pub fn root_of(&self, before: &Look, after: &Look, oid: u32) -> u32 {
        let mut at = oid;
        while let Some(parent) = before.relations.get(&at).and_then(|relation| relation.parent) {
            if after.relations.get(&at).is_none_or(|relation| relation.parent != Some(parent)) {
                break;
            }
            at = parent;
        }
        at
    }
}

/// What happened between two looks of one transaction.
pub fn between(before: &Look, after: &Look) -> Effects {
    let mut effects = Effects { large_objects: before.large_objects != after.large_objects, ..Effects::default() };
    for (oid, old) in &before.relations {
        let new = after.relations.get(oid);
        if old.own {
            if new.is_none_or(|new| new.file != old.file || new.counts != old.counts || new.columns != old.columns) {
                effects.own.insert(*oid);
            }
            continue;
        }
        match old.kind {
            'r' | 'p' => {
                let change = new.map_or(Change { gone: true, ..Change::default() }, |new| table_change(old, new));
                if change.loses() {
                    effects.tables.insert(*oid, change);
                }
            }
            'S' => {
                if new.is_none() {
                    effects.sequences.insert(*oid, true);
                } else if new.is_some_and(|new| new.file != old.file || is_set_back(old.position, new.position)) {
                    effects.sequences.insert(*oid, false);
                }
            }
            'c' => {
                let kept = |new: &Relation| old.columns.keys().all(|number| new.columns.contains_key(number));
                if new.is_some_and(|new| !kept(new)) {
                    effects.composites.insert(*oid);
                }
            }
            'f' if new.is_some_and(|new| new.locked_for_writing && !old.locked_for_writing) => {
                effects.foreign.insert(*oid);
            }
            _ => {}
        }
    }
    // Where no partition was written anew, a change of type left every value as it was.
    let rewritten: BTreeSet<u32> =
        effects.tables.iter().filter(|(_, change)| change.rewritten).map(|(oid, _)| *oid).collect();
    let above: BTreeSet<u32> = rewritten.iter().flat_map(|oid| ancestors(before, *oid)).collect();
    for (oid, change) in &mut effects.tables {
        if !rewritten.contains(oid) && !above.contains(oid) {
            change.retyped.clear();
        }
    }
    effects.tables.retain(|_, change| change.loses());
    effects
}

/// The partitioned tables that a table is a part of, the nearest first.
pub fn ancestors(look: &Look, oid: u32) -> Vec<u32> {
    let parent = |oid: &u32| look.relations.get(oid).and_then(|relation| relation.parent);
    std::iter::successors(parent(&oid), parent).collect()
}

fn table_change(old: &Relation, new: &Relation) -> Change {
    let rewritten = old.file != new.file;
    let plain = || old.columns.iter().filter(|(_, shape)| !shape.generated);
    let dropped = plain().filter(|(number, _)| !new.columns.contains_key(number)).map(|(number, _)| *number).collect();
    // Where the rows stand in the same file, a change of type left every value as it is. A partitioned table has none.
    let converted = |number: &i16, shape: &Shape| new.columns.get(number).is_some_and(|new| new.kind != shape.kind);
    let retyped = plain()
        .filter(|(number, shape)| (rewritten || old.kind == 'p') && converted(number, shape))
        .map(|(number, _)| *number)
        .collect();
    let mut counts = [0; 3];
    for (n, count) in counts.iter_mut().enumerate() {
        *count = new.counts[n].saturating_sub(old.counts[n]);
    }
    Change { gone: false, rewritten, dropped, retyped, counts }
}

fn is_set_back(old: Option<(i64, bool)>, new: Option<(i64, bool)>) -> bool {
    match (old, new) {
        (Some((old, up)), Some((new, _))) => {
            if up {
                new < old
            } else {
                new > old
            }
        }
        (Some(_), None) => true,
        (None, _) => false,
    }
}

#[cfg(test)]
mod tests;
