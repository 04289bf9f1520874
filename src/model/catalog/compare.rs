//! What differs between two catalogs, in sentences about objects.

use super::{Aspects, Catalog, ObjectId};
use std::fmt;

/// What is wrong with an object, seen from the database that is judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DifferenceKind {
    /// It should be there.
    Missing,
    /// Nothing makes it.
    Unexpected,
    /// One aspect is not as it should be; `None` where it has none or should have none.
    Differs {
        /// The aspect: `type`, `default`, `owner`, …
        aspect: String,
        /// What it is.
        found: Option<String>,
        /// What it should be.
        expected: Option<String>,
    },
}

/// One thing that differs; shown as a sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CatalogDifference {
    /// The object.
    pub object: ObjectId,
    /// What is wrong.
    pub kind: DifferenceKind,
}

impl CatalogDifference {
    /// Whether it is the order of columns below an inheritance parent, which no dump can keep: a warning, not an error.
    pub fn is_inherited_column_order(&self) -> bool {
        matches!(&self.kind, DifferenceKind::Differs { aspect, .. } if aspect == "inherited position")
    }
}

impl fmt::Display for CatalogDifference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let object = &self.object;
        match &self.kind {
            DifferenceKind::Missing => write!(f, "{object} is missing"),
            DifferenceKind::Unexpected => write!(f, "{object} is unexpected"),
            DifferenceKind::Differs { aspect, found, expected } => match (aspect.as_str(), found, expected) {
                ("state" | "enabled", Some(found), None) => write!(f, "{object} is {found}"),
                ("system triggers disabled", Some(found), None) => {
                    write!(f, "{object}: its system triggers are disabled ({found})")
                }
                (_, Some(found), None) => write!(f, "{object}: {aspect} is {}, expected none", shown(found)),
                (_, None, Some(expected)) => write!(f, "{object}: {aspect} is missing, expected {}", shown(expected)),
                (_, Some(found), Some(expected)) => {
                    write!(f, "{object}: {aspect} is {}, expected {}", shown(found), shown(expected))
                }
                (_, None, None) => write!(f, "{object}: {aspect} differs"),
            },
        }
    }
}

/// A value in one line of bearable length.
fn shown(value: &str) -> String {
    const LIMIT: usize = 120;
    let line = value.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(LIMIT) {
        Some((cut, _)) => format!("`{}…`", &line[..cut]),
        None => format!("`{line}`"),
    }
}

/// All that differs, by kind and name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CatalogDifferences(Vec<CatalogDifference>);

impl CatalogDifferences {
    /// The first few as one clause: `a; b; and 3 more`.
    pub fn summary(&self, most: usize) -> String {
        let mut told: Vec<String> = self.0.iter().take(most).map(ToString::to_string).collect();
        if self.0.len() > most {
            told.push(format!("and {} more", self.0.len() - most));
        }
        told.join("; ")
    }
}

impl std::ops::Deref for CatalogDifferences {
    type Target = [CatalogDifference];

    fn deref(&self) -> &[CatalogDifference] {
        &self.0
    }
}

impl IntoIterator for CatalogDifferences {
    type Item = CatalogDifference;
    type IntoIter = std::vec::IntoIter<CatalogDifference>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'a> IntoIterator for &'a CatalogDifferences {
    type Item = &'a CatalogDifference;
    type IntoIter = std::slice::Iter<'a, CatalogDifference>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl Catalog {
    /// What differs in `self` from what is expected. Parts of a missing or unexpected table are not told one by one.
    pub fn compare(&self, expected: &Catalog) -> CatalogDifferences {
        drift(self, &[expected])
    }
}

/// What differs in `found` from every one of the accepted catalogs. An object is as it should be when it equals that
/// of any of them: a replayed and a settled database write some expressions differently. Sentences compare with the
/// first that has the object.
pub fn drift(found: &Catalog, accepted: &[&Catalog]) -> CatalogDifferences {
    let mut differences = Vec::new();
    for (id, aspects) in found.iter() {
        let wanted: Vec<&Aspects> = accepted.iter().filter_map(|catalog| catalog.get(&id)).collect();
        match wanted.first() {
            None => differences.push(CatalogDifference { object: id, kind: DifferenceKind::Unexpected }),
            Some(first) if !wanted.contains(&aspects) => differences.extend(differing(&id, aspects, first)),
            Some(_) => {}
        }
    }
    if let Some((first, others)) = accepted.split_first() {
        for (id, _) in first.iter() {
            if found.get(&id).is_none() && others.iter().all(|other| other.get(&id).is_some()) {
                differences.push(CatalogDifference { object: id, kind: DifferenceKind::Missing });
            }
        }
    }
    CatalogDifferences(without_parts(differences))
}

fn differing<'a>(
    id: &'a ObjectId,
    found: &'a Aspects,
    expected: &'a Aspects,
) -> impl Iterator<Item = CatalogDifference> + 'a {
    let mut names: Vec<&String> = found.keys().chain(expected.keys()).collect();
    names.sort();
    names.dedup();
    names.into_iter().filter(|name| found.get(*name) != expected.get(*name)).map(|name| CatalogDifference {
        object: id.clone(),
        kind: DifferenceKind::Differs {
            aspect: name.clone(),
            found: found.get(name).cloned(),
            expected: expected.get(name).cloned(),
        },
    })
}

/// Leaves out the columns, constraints and indexes of relations that are missing or unexpected as a whole.
fn without_parts(differences: Vec<CatalogDifference>) -> Vec<CatalogDifference> {
    let whole: Vec<(bool, String)> = differences
        .iter()
        .filter(|d| is_container(&d.object.kind))
        .filter_map(|d| match d.kind {
            DifferenceKind::Missing => Some((true, format!("{}.", d.object.identity))),
            DifferenceKind::Unexpected => Some((false, format!("{}.", d.object.identity))),
            DifferenceKind::Differs { .. } => None,
        })
        .collect();
    differences
        .into_iter()
        .filter(|d| {
            let missing = match d.kind {
                DifferenceKind::Missing => true,
                DifferenceKind::Unexpected => false,
                DifferenceKind::Differs { .. } => return true,
            };
            !whole.iter().any(|(m, prefix)| *m == missing && d.object.identity.starts_with(prefix.as_str()))
        })
        .collect()
}

fn is_container(kind: &str) -> bool {
    matches!(kind, "schema" | "table" | "view" | "materialized view" | "foreign table" | "composite type" | "type")
}
