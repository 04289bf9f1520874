//! Databases of which the same is to be said, said once.

use crate::cli::output::count;
use crate::engine::fleet::{Fate, Fleet, names};

/// Databases with one key.
pub struct Group<'f, T, K> {
    /// What is the same in all.
    pub key: K,
    /// What was done in the first of them.
    pub first: &'f T,
    /// What they are called.
    pub names: Vec<&'f str>,
}

impl<T, K> Group<'_, T, K> {
    /// "`a`, `b` and 998 more".
    pub fn names(&self) -> String {
        names(self.names.iter().copied())
    }
}

impl<T> Group<'_, T, String> {
    /// "2 databases: marked production, 42 applied (`a`, `b`)".
    pub fn line(&self) -> String {
        format!("{}: {} ({})", count(self.names.len(), "database"), self.key, self.names())
    }
}

/// Those that were done, by a key; the largest group first.
pub fn grouped<'f, T, K: PartialEq>(
    fleet: &'f Fleet,
    fates: &'f [Fate<T>],
    key: impl Fn(&T) -> K,
) -> Vec<Group<'f, T, K>> {
    let mut groups: Vec<Group<'f, T, K>> = Vec::new();
    for (member, fate) in fleet.members.iter().zip(fates) {
        let Some(first) = fate.done() else { continue };
        let key = key(first);
        match groups.iter_mut().find(|group| group.key == key) {
            Some(group) => group.names.push(&member.name),
            None => groups.push(Group { key, first, names: vec![&member.name] }),
        }
    }
    groups.sort_by_key(|group| std::cmp::Reverse(group.names.len()));
    groups
}
