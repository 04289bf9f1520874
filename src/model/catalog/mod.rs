//! What a database consists of, read from its catalogs: objects, each with its aspects as text.
//!
//! It holds what no dump shows (disabled triggers, invalid indexes, the order of columns) beside what a dump shows, so
//! that two databases can be compared without `pg_dump`. Rows are not in it, nor the positions of sequences. It cannot
//! read a database: `engine::catalog` does, and two catalogs compare equal only when read by the same major version.

mod acl;
mod compare;
mod excluded;
mod grouped;

pub use compare::{CatalogDifference, CatalogDifferences, DifferenceKind, drift};
pub use grouped::{Differing, Side};

use crate::model::checksum::Checksum;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// Which object: its kind in words (`table`, `foreign key`) and its qualified, quoted name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectId {
    /// `table`, `column`, `index`, …
    pub kind: String,
    /// `public.invoice`, `public.invoice.total`, `public.f(integer)`
    pub identity: String,
}

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} `{}`", self.kind, self.identity)
    }
}

/// The aspects of an object (`type`, `default`, `owner`, `privileges`, …); what is absent is PostgreSQL's default.
pub type Aspects = BTreeMap<String, String>;

/// All objects of a database that are the user's.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Catalog {
    /// Kind to identity to aspects.
    objects: BTreeMap<String, BTreeMap<String, Aspects>>,
}

/// Stands for the role that runs migrations, whatever its name.
const OWNER: &str = "<owner>";
/// Separates the aspects in a definition as the catalog query returns it.
const ASPECT: char = '\u{1f}';
/// Separates the roles in an aspect that lists roles.
const ROLE: char = '\u{1e}';

impl Catalog {
    /// Takes up one row of the catalog query: kind, identity, and aspects as `name=value` parts. `own_roles` are the
    /// names of the role that runs migrations: objects of theirs are the owner's.
    pub fn insert(&mut self, kind: &str, identity: &str, definition: &str, own_roles: &[String]) {
        let mut aspects = Aspects::new();
        for part in definition.split(ASPECT).filter(|part| !part.is_empty()) {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            let value = match name {
                "owner" => alias(value, own_roles).to_owned(),
                "roles" => roles(value, own_roles),
                "privileges" => acl::normalise(value, own_roles),
                _ => value.to_owned(),
            };
            aspects.insert(name.to_owned(), value);
        }
        let identity = self.free_identity(kind, identity, &aspects);
        self.objects.entry(kind.to_owned()).or_default().insert(identity, aspects);
    }

    /// Default privileges and settings of several roles share an identity until their owner tells them apart.
    fn free_identity(&self, kind: &str, identity: &str, aspects: &Aspects) -> String {
        match aspects.get("owner") {
            Some(owner) if matches!(kind, "default privileges" | "settings") => format!("{identity} of {owner}"),
            _ => identity.to_owned(),
        }
    }

    /// The aspects of an object.
    pub fn get(&self, id: &ObjectId) -> Option<&Aspects> {
        self.objects.get(&id.kind)?.get(&id.identity)
    }

    /// All objects, by kind and identity.
    pub fn iter(&self) -> impl Iterator<Item = (ObjectId, &Aspects)> {
        self.objects.iter().flat_map(|(kind, objects)| {
            objects
                .iter()
                .map(move |(identity, aspects)| (ObjectId { kind: kind.clone(), identity: identity.clone() }, aspects))
        })
    }

    /// Whether a role owns an object by name, and not as the one who runs migrations.
    pub fn has_owner(&self, role: &str) -> bool {
        self.objects.values().flat_map(BTreeMap::values).any(|aspects| aspects.get("owner").is_some_and(|o| o == role))
    }

    /// Leaves an aspect out of all objects that have it.
    pub fn forget_aspect(&mut self, name: &str) {
        self.objects.values_mut().flat_map(BTreeMap::values_mut).for_each(|aspects| {
            aspects.remove(name);
        });
    }

    /// Leaves out all objects of a kind.
    pub fn forget_kind(&mut self, kind: &str) {
        self.objects.remove(kind);
    }

    /// How many objects there are.
    pub fn len(&self) -> usize {
        self.objects.values().map(BTreeMap::len).sum()
    }

    /// Whether there is no object at all; even a new database has the schema `public`.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A digest that two catalogs share only when they are equal.
    pub fn digest(&self) -> Checksum {
        let mut text = String::new();
        for (id, aspects) in self.iter() {
            text.push_str(&format!("{}\0{}\0", id.kind, id.identity));
            for (name, value) in aspects {
                text.push_str(&format!("{name}\0{value}\0"));
            }
            text.push('\n');
        }
        Checksum::of_text(&text)
    }
}

fn alias<'a>(role: &'a str, own_roles: &[String]) -> &'a str {
    if own_roles.iter().any(|own| own == role) { OWNER } else { role }
}

fn roles(list: &str, own_roles: &[String]) -> String {
    let mut roles: Vec<&str> = list.split(ROLE).map(|role| alias(role, own_roles)).collect();
    roles.sort_unstable();
    roles.dedup();
    roles.join(", ")
}

#[cfg(test)]
mod tests;
