//! Memberships: those that are to go first, so that no statement closes a loop that the next one would open.

use super::change::{Kind, Work};
use super::fallen::is_unwanted;
use super::{Attribute, Granted, Membership, Role};
use crate::error::Error;
use crate::model::sql::identifier;
use std::collections::BTreeMap;

impl<'w> Work<'w> {
    fn rows(&self, role: &str) -> BTreeMap<&'w str, Vec<&'w Granted>> {
        let mut rows: BTreeMap<&str, Vec<&Granted>> = BTreeMap::new();
        let cluster = self.cluster;
        for row in cluster.memberships.iter().filter(|row| row.member == role && !self.fallen.with_revoked(row)) {
            rows.entry(&row.group).or_default().push(row);
        }
        rows
    }

    fn granted_by(&self, row: &Granted) -> String {
        match &row.grantor {
            Some(grantor) if self.cluster.major >= 16 => format!(" GRANTED BY {}", identifier(grantor)),
            _ => String::new(),
        }
    }

    pub(super) fn revoke(&mut self, role: &Role) {
        let mut statements = Vec::new();
        for row in self.rows(&role.name).into_values().flatten().filter(|row| is_unwanted(self.wish, row)) {
            let by = self.granted_by(row);
            let more = if self.fallen.hangs_on(row) { " CASCADE" } else { "" };
            let sql = format!("REVOKE {} FROM {}{by}{more}", identifier(&row.group), identifier(&role.name));
            statements.push((row.group.clone(), row.grantor.clone(), sql));
        }
        for (group, grantor, sql) in statements {
            self.judge.grant(&group, &role.name, &role.at);
            self.judge.of_grantor(&group, grantor.as_deref(), &role.name, &role.at);
            self.add(Kind::Revoke, &role.name, sql);
        }
    }

    pub(super) fn grant(&mut self, role: &Role) {
        for membership in &role.member_of {
            let group = &membership.role;
            let declared = self.wish.roles.roles.get(group).is_some_and(|one| one.is_for(self.wish.environment));
            if !declared && !self.cluster.roles.contains_key(group) {
                let elsewhere = self.wish.roles.roles.contains_key(group);
                self.judge.fault(missing(role, membership, self.wish.environment, elsewhere));
                continue;
            }
            let statements = if self.cluster.major >= 16 {
                self.options_of(role, membership)
            } else {
                self.admin_of(role, membership)
            };
            if !statements.is_empty() {
                let rows = self.rows(&role.name).remove(group.as_str()).unwrap_or_default();
                for row in rows.iter().filter(|row| !row.implicit && !self.fallen.has(row)) {
                    self.judge.of_grantor(group, row.grantor.as_deref(), &role.name, &membership.at);
                }
            }
            for (kind, sql) in statements {
                self.judge.grant(group, &role.name, &membership.at);
                self.add(kind, &role.name, sql);
            }
        }
    }

    /// PostgreSQL 15: a membership is there or not, with or without ADMIN OPTION.
    fn admin_of(&mut self, role: &Role, wanted: &Membership) -> Vec<(Kind, String)> {
        let odd = wanted.inherit.is_some_and(|inherit| inherit != role.has(Attribute::Inherit));
        for (key, differs) in [("inherit", odd), ("set", !wanted.set)] {
            if differs {
                let major = self.cluster.major;
                let message = format!("PostgreSQL {major} has no option {key} of a single membership");
                let error = Error::failed(message).at(wanted.at.clone());
                self.judge
                    .fault(error.help(format!("it came with PostgreSQL 16; take `{key}` out. Nothing was changed.")));
            }
        }
        let (group, member) = (identifier(&wanted.role), identifier(&role.name));
        let row = self.rows(&role.name).get(wanted.role.as_str()).and_then(|rows| rows.first().copied());
        match (row.map(|row| row.admin), wanted.admin) {
            (None, false) => vec![(Kind::Grant, format!("GRANT {group} TO {member}"))],
            (None | Some(false), true) => {
                vec![(Kind::Grant, format!("GRANT {group} TO {member} WITH ADMIN OPTION"))]
            }
            (Some(true), false) => vec![(Kind::Revoke, format!("REVOKE ADMIN OPTION FOR {group} FROM {member}"))],
            _ => Vec::new(),
        }
    }

    /// PostgreSQL 16 and later: each grantor's row has three options, and all rows together count.
    fn options_of(&self, role: &Role, wanted: &Membership) -> Vec<(Kind, String)> {
        let inherit = wanted.inherit.unwrap_or_else(|| role.has(Attribute::Inherit));
        let rows = self.rows(&role.name).remove(wanted.role.as_str()).unwrap_or_default();
        // The maker of a role has ADMIN OPTION from the beginning.
        let implicit = rows.iter().any(|row| row.implicit);
        let admin = wanted.admin && !implicit;
        let (group, member) = (identifier(&wanted.role), identifier(&role.name));
        let word = |on: bool| if on { "TRUE" } else { "FALSE" };
        let grant = |admin: bool, by: String| {
            let options = format!("ADMIN {}, INHERIT {}, SET {}", word(admin), word(inherit), word(wanted.set));
            (Kind::Grant, format!("GRANT {group} TO {member} WITH {options}{by}"))
        };
        let granted: Vec<&&Granted> = rows.iter().filter(|row| !row.implicit && !self.fallen.has(row)).collect();
        if granted.is_empty() {
            let there = implicit && wanted.admin && !inherit && !wanted.set;
            // What a superuser grants, the first one grants: it is that very row that is changed.
            let admin = if self.cluster.me.has(Attribute::Superuser) { wanted.admin } else { admin };
            let by = if rows.iter().any(|row| self.fallen.has(row)) { self.anew() } else { "" };
            return if there { Vec::new() } else { vec![grant(admin, by.to_owned())] };
        }
        let any = |option: fn(&Granted) -> bool| granted.iter().any(|row| option(row));
        let found = (any(|row| row.admin), any(|row| row.inherit), any(|row| row.set));
        if [admin, wanted.admin].into_iter().any(|admin| found == (admin, inherit, wanted.set)) {
            return Vec::new();
        }
        granted.iter().map(|row| grant(admin, self.granted_by(row))).collect()
    }
}

fn missing(role: &Role, membership: &Membership, environment: &str, elsewhere: bool) -> Error {
    let group = &membership.role;
    let why = if elsewhere { format!("not declared for {environment}") } else { "not declared".to_owned() };
    Error::failed(format!("`{}` is to be a member of `{group}`, which is {why} and not on the server", role.name))
        .at(membership.at.clone())
        .help(format!(
            "declare it with `[role.{group}]`, or take it out of `member_of`; where only some servers have it, say so by \
             `environments`. Nothing was changed."
        ))
}
