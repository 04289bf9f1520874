//! The roles that a baseline mentions, made by statements that do nothing where they exist already.
//!
//! They are made without login and password: who may log in is a cluster's own affair.

use super::dump::{Entry, Part};
use crate::model::sql::{identifier, literal};

/// A role that the dump mentions.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct RoleNeed {
    /// Its name, unquoted.
    pub name: String,
    /// The other mentioned roles that it is a member of.
    pub member_of: Vec<String>,
}

/// The kind of the entries that create roles.
pub(super) const KIND: &str = "ROLE";

/// One entry for each role, then one for each that is a member of another.
pub(super) fn entries(roles: &[RoleNeed]) -> Vec<Entry> {
    let mut roles = roles.to_vec();
    roles.sort();
    roles.dedup();
    let creations = roles.iter().map(|role| entry(&role.name, vec![creation(&role.name)]));
    let memberships = roles.iter().filter(|role| !role.member_of.is_empty()).map(|role| {
        let mut groups = role.member_of.clone();
        groups.sort();
        entry(&role.name, groups.iter().map(|group| membership(group, &role.name)).collect())
    });
    creations.chain(memberships).collect()
}

fn entry(name: &str, statements: Vec<String>) -> Entry {
    // A heading is one line, as in pg_dump.
    let name = name.replace(['\n', '\r'], " ");
    Entry {
        kind: KIND.to_owned(),
        name,
        parts: statements.into_iter().map(Part::Statement).collect(),
        ..Entry::default()
    }
}

fn creation(name: &str) -> String {
    anonymous_block(&format!(
        "IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = {}) THEN\n    CREATE ROLE {};\nEND IF;",
        literal(name),
        identifier(name)
    ))
}

fn membership(group: &str, member: &str) -> String {
    anonymous_block(&format!(
        "IF NOT EXISTS (\n    SELECT FROM pg_catalog.pg_auth_members m\n        \
         JOIN pg_catalog.pg_roles g ON g.oid = m.roleid JOIN pg_catalog.pg_roles u ON u.oid = m.member\n    \
         WHERE g.rolname = {} AND u.rolname = {}\n) THEN\n    GRANT {} TO {};\nEND IF;",
        literal(group),
        literal(member),
        identifier(group),
        identifier(member)
    ))
}

/// `DO` with a dollar quote that the body does not hold.
pub(super) fn anonymous_block(body: &str) -> String {
    let mut tag = "$dbbuild$".to_owned();
    while body.contains(&tag) {
        tag.insert(tag.len() - 1, '_');
    }
    format!("DO {tag}\nBEGIN\n{body}\nEND\n{tag};")
}
