//! Memberships that fall with what they hang on. From PostgreSQL 16 on each belongs to whoever granted it: it goes when
//! that role is dropped, and when that role may no longer grant the group on. What the file wants, or does not speak of,
//! is then granted anew.

use super::change::Work;
use super::{Attribute, Cluster, Granted, Kind, Wish};
use crate::error::Location;
use crate::model::sql::identifier;
use std::collections::BTreeMap;

/// What falls.
#[derive(Default)]
pub(super) struct Fallen<'c> {
    /// With the role that granted it.
    with_grantor: Vec<&'c Granted>,
    /// With the membership that allowed the grant, when that one is revoked.
    with_revoked: Vec<&'c Granted>,
}

impl<'c> Fallen<'c> {
    /// Finds it, where these roles are dropped and declared ones lose what they are not to have.
    pub fn find(wish: &Wish<'_>, cluster: &'c Cluster, drops: &[&str]) -> Fallen<'c> {
        let mut fallen = Fallen::default();
        if cluster.major < 16 {
            return fallen;
        }
        let stays = |row: &&Granted| !drops.contains(&row.group.as_str()) && !drops.contains(&row.member.as_str());
        let dropped = |row: &&Granted| row.grantor.as_deref().is_some_and(|grantor| drops.contains(&grantor));
        fallen.with_grantor = cluster.memberships.iter().filter(stays).filter(dropped).collect();
        let mut gone: Vec<&Granted> = cluster.memberships.iter().filter(|row| is_unwanted(wish, row)).collect();
        let mut next = 0;
        while let Some(row) = gone.get(next).copied() {
            next += 1;
            let is = |one: &Granted| one.group == row.group && one.member == row.member && one.admin;
            if cluster.memberships.iter().any(|one| is(one) && !gone.contains(&one)) {
                continue;
            }
            let hang_on_it = |one: &&Granted| one.group == row.group && one.grantor.as_deref() == Some(&row.member);
            for one in cluster.memberships.iter().filter(hang_on_it) {
                if !fallen.with_revoked.contains(&one) {
                    fallen.with_revoked.push(one);
                }
                if !gone.contains(&one) {
                    gone.push(one);
                }
            }
        }
        fallen
    }

    /// Whether a row falls.
    pub fn has(&self, row: &Granted) -> bool {
        self.with_revoked(row) || self.with_grantor.contains(&row)
    }

    /// Whether it falls when another one is revoked.
    pub fn with_revoked(&self, row: &Granted) -> bool {
        self.with_revoked.contains(&row)
    }

    /// Whether anything falls when this row is revoked.
    pub fn hangs_on(&self, row: &Granted) -> bool {
        self.with_revoked.iter().any(|one| one.group == row.group && one.grantor.as_deref() == Some(&row.member))
    }
}

/// Whether the file takes a membership away.
pub(super) fn is_unwanted(wish: &Wish<'_>, row: &Granted) -> bool {
    let role = wish.roles.roles.get(&row.member).filter(|role| role.is_for(wish.environment));
    let wanted = |role: &super::Role| role.member_of.iter().any(|one| one.role == row.group);
    !row.implicit && role.is_some_and(|role| !wanted(role)) && !wish.roles.leaves_members_of(&row.group)
}

impl Work<'_> {
    /// Grants anew what roles lose that the file does not speak of.
    pub(super) fn grant_again(&mut self, drops: &[&str]) {
        let (cluster, wish) = (self.cluster, self.wish);
        let mut pairs: BTreeMap<(&str, &str), [bool; 3]> = BTreeMap::new();
        let declared = |name: &str| wish.roles.roles.get(name).is_some_and(|role| role.is_for(wish.environment));
        for row in cluster.memberships.iter().filter(|row| self.fallen.has(row)) {
            let known = cluster.roles.contains_key(&row.member) && !drops.contains(&row.member.as_str());
            if known && !declared(&row.member) {
                pairs.insert((&row.group, &row.member), [false; 3]);
            }
        }
        for row in &cluster.memberships {
            if let Some(options) = pairs.get_mut(&(row.group.as_str(), row.member.as_str())) {
                *options = [options[0] | row.admin, options[1] | row.inherit, options[2] | row.set];
            }
        }
        for ((group, member), [admin, inherit, set]) in pairs {
            let word = |on: bool| if on { "TRUE" } else { "FALSE" };
            let options = format!("ADMIN {}, INHERIT {}, SET {}", word(admin), word(inherit), word(set));
            let (role, by) = (identifier(member), self.anew());
            self.judge.grant(group, member, &Location::file(""));
            self.add(Kind::Grant, member, format!("GRANT {} TO {role} WITH {options}{by}", identifier(group)));
        }
    }

    /// In whose name that is done: not in that of a role that is dropped, which PostgreSQL might choose.
    pub(super) fn anew(&self) -> &'static str {
        if self.cluster.me.has(Attribute::Superuser) { "" } else { " GRANTED BY CURRENT_USER" }
    }
}
