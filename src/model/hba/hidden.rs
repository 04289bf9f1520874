//! Lines that no connection ever reaches, because earlier ones decide about all of them.
//!
//! A line is taken apart into the smallest parts that it names (way of connecting, database, user, address); it is hidden
//! where each part lies inside one earlier line. What cannot be told without the server's networks counts as not inside.

use super::{Address, Known, Name, Rule, wire};

/// The earlier rules, by position, that leave nothing to the rule of a position; empty where something is left to it.
pub(super) fn hidden_by(rules: &[Rule], at: usize, known: &Known) -> Vec<usize> {
    let Some(rule) = rules.get(at) else { return Vec::new() };
    let mut by = Vec::new();
    for part in parts(rule) {
        match rules[..at].iter().position(|earlier| part.lies_in(earlier, known)) {
            Some(earlier) => by.push(earlier),
            None => return Vec::new(),
        }
    }
    by.sort_unstable();
    by.dedup();
    by
}

struct Part {
    wire: u8,
    database: Name,
    user: Name,
    address: Option<Address>,
}

fn parts(rule: &Rule) -> Vec<Part> {
    let addresses: Vec<Option<Address>> =
        rule.address.as_ref().map_or(vec![None], |address| address.families().into_iter().map(Some).collect());
    let mut parts = Vec::new();
    for wire in wire::ALL.into_iter().filter(|wire| rule.kind.wires() & wire != 0) {
        for database in &rule.databases {
            for user in &rule.users {
                parts.extend(addresses.iter().map(|address| Part {
                    wire,
                    database: database.clone(),
                    user: user.clone(),
                    address: address.clone(),
                }));
            }
        }
    }
    parts
}

impl Part {
    fn lies_in(&self, rule: &Rule, known: &Known) -> bool {
        rule.kind.wires() & self.wire != 0
            && rule.databases.iter().any(|wide| database_in(&self.database, wide, known))
            && rule.users.iter().any(|wide| user_in(&self.user, wide, known))
            && match (&self.address, &rule.address) {
                (Some(narrow), Some(wide)) => wide.contains(narrow),
                (narrow, _) => narrow.is_none(),
            }
    }
}

fn database_in(narrow: &Name, wide: &Name, known: &Known) -> bool {
    match (narrow, wide) {
        (Name::Replication, other) => *other == Name::Replication,
        (_, Name::All) => true,
        _ => narrow == wide || in_pattern(narrow, wide, known),
    }
}

fn user_in(narrow: &Name, wide: &Name, known: &Known) -> bool {
    match (narrow, wide) {
        (_, Name::All) => true,
        (Name::Plain(role) | Name::Members(role), Name::Members(group)) => {
            known.is_member(role, group) == Some(true) && known.members.contains_key(role) || narrow == wide
        }
        _ => narrow == wide || in_pattern(narrow, wide, known),
    }
}

fn in_pattern(narrow: &Name, wide: &Name, known: &Known) -> bool {
    match (narrow, wide) {
        (Name::Plain(name), Name::Pattern(pattern)) => known.matches(pattern, name) == Some(true),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::rules;
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn lines_are_hidden_by_one_or_several_before_them() {
        let mut known = Known::default();
        known.members.insert("ada".to_owned(), BTreeSet::from(["staff".to_owned()]));
        known.patterns.insert(("^app".to_owned(), "app_a".to_owned()), true);
        let cases: &[(&str, &[usize])] = &[
            ("host all all 10.0.0.0/8 md5\nhost shop app 10.1.0.0/16 md5", &[0]),
            ("host all all 10.1.0.0/16 md5\nhost shop app 10.0.0.0/8 md5", &[]),
            ("hostssl all all all md5\nhost all all all md5", &[]),
            ("hostssl all all all md5\nhostnossl all all all reject\nhost shop app 10.0.0.0/8 md5", &[0, 1]),
            ("host all all 0.0.0.0/0 md5\nhost all all ::/0 md5\nhost all all all md5", &[0, 1]),
            ("host all all all md5\nhost replication all all md5", &[]),
            ("host replication all all md5\nhostssl replication standby 10.0.0.1/32 md5", &[0]),
            ("host a,b all all md5\nhost b,c all all md5", &[]),
            ("host a all all md5\nhost b all all md5\nhost b,a all all md5", &[0, 1]),
            ("host all \"all\" all md5\nhost all app all md5", &[]),
            ("host all +staff all md5\nhost all ada all md5", &[0]),
            ("host all +staff all md5\nhost all eve all md5", &[]),
            ("host all +staff all md5\nhost all +staff samenet md5", &[0]),
            ("host all /^app all md5\nhost all app_a all md5", &[0]),
            ("host all all samenet md5\nhost all all samehost md5", &[0]),
            ("local all all peer\nlocal all postgres peer", &[0]),
            ("local all all peer\nhost all postgres samehost md5", &[]),
            ("hostnogssenc all all all md5\nhostssl all all 10.0.0.0/8 md5", &[0]),
            ("hostnossl all all all md5\nhostgssenc all all all gss", &[0]),
        ];
        for (text, expected) in cases {
            let rules = rules(text);
            assert_eq!(hidden_by(&rules, rules.len() - 1, &known), *expected, "{text}");
        }
    }
}
