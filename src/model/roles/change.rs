//! What sets a cluster apart from the file: statements, in the order in which they run.

use super::allowed::Judge;
use super::sql::{identifier, literal, options, set, set_password, setting_name, valid_until};
use super::{Attribute, Attributes, Cluster, Found, Granted, Membership, Role, Roles, Setting};
use crate::error::{Error, Result};
use std::collections::{BTreeMap, BTreeSet};

/// What a statement does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Makes a role.
    Create,
    /// Changes attributes, the connection limit or the end of the password.
    Alter,
    /// Takes a membership or one of its options away.
    Revoke,
    /// Grants a membership or one of its options.
    Grant,
    /// Sets or resets a setting.
    Set,
    /// Comments.
    Comment,
    /// Sets a password.
    Password,
    /// Gives what a role owns to its heir, and takes from it what it was granted.
    Disown,
    /// Drops a role.
    Drop,
}

impl Kind {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Create => "create",
            Kind::Alter => "alter",
            Kind::Revoke => "revoke",
            Kind::Grant => "grant",
            Kind::Set => "set",
            Kind::Comment => "comment",
            Kind::Password => "password",
            Kind::Disown => "disown",
            Kind::Drop => "drop",
        }
    }
}

/// One statement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// What it does.
    pub kind: Kind,
    /// The role that it is about.
    pub role: String,
    /// The text; one that sets a password stands without it.
    pub sql: String,
    /// Another database in which it runs, in a transaction of its own, before everything else.
    pub database: Option<String>,
}

/// All that is different.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Difference {
    /// The statements that make the cluster what the file says.
    pub changes: Vec<Change>,
    /// Roles that the file does not declare and that stay.
    pub undeclared: Vec<String>,
    /// What a person should know.
    pub notes: Vec<String>,
}

/// What is wanted.
pub struct Wish<'w> {
    /// The file.
    pub roles: &'w Roles,
    /// The environment.
    pub environment: &'w str,
    /// The roles whose password is to be set.
    pub passwords: &'w BTreeSet<String>,
    /// The roles that the baseline names: they are not dropped.
    pub named: &'w BTreeSet<String>,
    /// Who runs migrations, where the configuration says so: the heir, where the file names none.
    pub owner: Option<&'w str>,
}

/// Compares. Nothing of the result is a password.
///
/// # Errors
/// A group is nowhere, this server or this role cannot do what the file says: all of it at once.
pub fn difference(wish: &Wish<'_>, cluster: &Cluster) -> Result<Difference> {
    let declared: Vec<&Role> = wish.roles.of(wish.environment).collect();
    let mut work = Work { wish, cluster, judge: Judge::new(cluster), found: Difference::default() };
    declared.iter().for_each(|role| work.attributes(role));
    declared.iter().for_each(|role| work.revoke(role));
    declared.iter().for_each(|role| work.grant(role));
    declared.iter().for_each(|role| work.settings(role));
    declared.iter().for_each(|role| work.comment(role));
    declared.iter().for_each(|role| work.password(role));
    work.undeclared();
    Error::all(work.judge.faults).map_or(Ok(work.found), Err)
}

struct Work<'w> {
    wish: &'w Wish<'w>,
    cluster: &'w Cluster,
    judge: Judge<'w>,
    found: Difference,
}

impl<'w> Work<'w> {
    fn add(&mut self, kind: Kind, role: &str, sql: String) {
        self.found.changes.push(Change { kind, role: role.to_owned(), sql, database: None });
    }

    fn attributes(&mut self, role: &Role) {
        let name = identifier(&role.name);
        let defaults = Attributes::from([Attribute::Inherit]);
        let found = self.cluster.roles.get(&role.name);
        let from = found.map_or(&defaults, |found| &found.attributes);
        let changed: Vec<Attribute> =
            Attribute::ALL.into_iter().filter(|one| from.contains(one) != role.has(*one)).collect();
        let mut words = options(from, &role.attributes);
        if found.map_or(-1, |found| found.connection_limit) != role.connection_limit {
            words.push(format!("CONNECTION LIMIT {}", role.connection_limit));
        }
        if found.map(|found| found.valid_until).unwrap_or_default() != role.valid_until {
            words.push(valid_until(role.valid_until));
        }
        let words: String = words.iter().map(|word| format!(" {word}")).collect();
        match found {
            None => {
                self.judge.create(&role.name, &changed, &role.at);
                self.add(Kind::Create, &role.name, format!("CREATE ROLE {name}{words}"));
            }
            Some(_) if words.is_empty() => {}
            Some(found) => {
                self.judge.alter(&role.name, found, &changed, &role.at);
                self.keep_myself(role, &changed);
                self.add(Kind::Alter, &role.name, format!("ALTER ROLE {name}{words}"));
            }
        }
    }

    /// Whoever is connected would saw off the branch that it sits on.
    fn keep_myself(&mut self, role: &Role, changed: &[Attribute]) {
        if role.name != self.cluster.me.name && role.name != self.cluster.me.session {
            return;
        }
        for attribute in [Attribute::Login, Attribute::Superuser, Attribute::Createrole] {
            if changed.contains(&attribute) && !role.has(attribute) {
                let word = attribute.key();
                let error = Error::failed(format!("the role that is connected, `{}`, would lose {word}", role.name))
                    .at(role.at.clone())
                    .help(format!("write `{word} = true` there, or connect as another role; nothing was changed."));
                self.judge.fault(error);
            }
        }
    }

    fn rows(&self, role: &str) -> BTreeMap<&'w str, Vec<&'w Granted>> {
        let mut rows: BTreeMap<&str, Vec<&Granted>> = BTreeMap::new();
        let cluster = self.cluster;
        for row in cluster.memberships.iter().filter(|row| row.member == role) {
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

    fn revoke(&mut self, role: &Role) {
        let mut statements = Vec::new();
        for (group, rows) in self.rows(&role.name) {
            let wanted = role.member_of.iter().any(|one| one.role == group);
            // A service's own memberships are its own affair, but those in PostgreSQL's roles are ours.
            let theirs = !group.starts_with("pg_") && self.wish.roles.ignores(group);
            if wanted || theirs {
                continue;
            }
            for row in rows.into_iter().filter(|row| !row.implicit) {
                let by = self.granted_by(row);
                let sql = format!("REVOKE {} FROM {}{by}", identifier(group), identifier(&role.name));
                statements.push((group.to_owned(), row.grantor.clone(), sql));
            }
        }
        for (group, grantor, sql) in statements {
            self.judge.grant(&group, &role.name, &role.at);
            self.judge.of_grantor(&group, grantor.as_deref(), &role.name, &role.at);
            self.add(Kind::Revoke, &role.name, sql);
        }
    }

    fn grant(&mut self, role: &Role) {
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
                for row in rows.iter().filter(|row| !row.implicit) {
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
        let grant = |by: String| {
            let options = format!("ADMIN {}, INHERIT {}, SET {}", word(admin), word(inherit), word(wanted.set));
            (Kind::Grant, format!("GRANT {group} TO {member} WITH {options}{by}"))
        };
        let granted: Vec<&&Granted> = rows.iter().filter(|row| !row.implicit).collect();
        if granted.is_empty() {
            let there = implicit && wanted.admin && !inherit && !wanted.set;
            return if there { Vec::new() } else { vec![grant(String::new())] };
        }
        let any = |option: fn(&Granted) -> bool| granted.iter().any(|row| option(row));
        if (any(|row| row.admin), any(|row| row.inherit), any(|row| row.set)) == (admin, inherit, wanted.set) {
            return Vec::new();
        }
        granted.iter().map(|row| grant(self.granted_by(row))).collect()
    }

    fn settings(&mut self, role: &Role) {
        let none = BTreeMap::new();
        let found = self.cluster.roles.get(&role.name);
        self.settings_of(role, "", found.map_or(&none, |found| &found.settings), &role.settings);
        for (database, settings) in &role.settings_in {
            if !self.cluster.databases.contains_key(database) {
                self.found.notes.push(format!(
                    "there is no database `{database}` here, so the settings of `{}` in it are left out",
                    role.name
                ));
                continue;
            }
            let place = format!(" IN DATABASE {}", identifier(database));
            let before = found.and_then(|found| found.settings_in.get(database)).unwrap_or(&none);
            self.settings_of(role, &place, before, settings);
        }
    }

    fn settings_of(
        &mut self,
        role: &Role,
        place: &str,
        before: &BTreeMap<String, Setting>,
        wanted: &BTreeMap<String, Setting>,
    ) {
        let name = identifier(&role.name);
        let gone = before.keys().filter(|key| !wanted.contains_key(*key));
        let mut statements: Vec<(&str, String)> =
            gone.map(|key| (key.as_str(), format!("RESET {}", setting_name(key)))).collect();
        let new = wanted.iter().filter(|(key, value)| before.get(*key) != Some(value));
        statements.extend(new.map(|(key, value)| (key.as_str(), set(key, value))));
        if statements.is_empty() {
            return;
        }
        let keys: Vec<&str> = statements.iter().map(|(key, _)| *key).collect();
        self.judge.set(&role.name, self.cluster.roles.get(&role.name), &keys, &role.at);
        for (_, statement) in statements {
            self.add(Kind::Set, &role.name, format!("ALTER ROLE {name}{place} {statement}"));
        }
    }

    fn comment(&mut self, role: &Role) {
        let found = self.cluster.roles.get(&role.name);
        if found.and_then(|found| found.comment.as_ref()) == role.comment.as_ref() {
            return;
        }
        if let Some(found) = found {
            self.judge.alter(&role.name, found, &[], &role.at);
        }
        let text = role.comment.as_ref().map_or_else(|| "NULL".to_owned(), |text| literal(text));
        self.add(Kind::Comment, &role.name, format!("COMMENT ON ROLE {} IS {text}", identifier(&role.name)));
    }

    fn password(&mut self, role: &Role) {
        if !self.wish.passwords.contains(&role.name) {
            return;
        }
        self.judge.set(&role.name, self.cluster.roles.get(&role.name), &[], &role.at);
        self.add(Kind::Password, &role.name, set_password(&role.name, "SCRAM-SHA-256$…"));
    }

    fn undeclared(&mut self) {
        let roles = self.wish.roles;
        let mut drops: Vec<(&str, &Found)> = Vec::new();
        for (name, found) in &self.cluster.roles {
            let declared = roles.roles.get(name);
            if found.system || roles.ignores(name) && declared.is_none() {
                continue;
            }
            let me = &self.cluster.me;
            let stays = match declared {
                Some(role) if role.is_for(self.wish.environment) => continue,
                Some(role) => Some(format!("it is declared for {} only", role.environments.join(", "))),
                None if !roles.prune => None,
                None if *name == me.name || *name == me.session => Some("it is connected".to_owned()),
                None if self.wish.named.contains(name) => Some("the baseline names it".to_owned()),
                None if self.heir_is(name) => Some("it is the heir".to_owned()),
                None => {
                    drops.push((name, found));
                    continue;
                }
            };
            if let Some(why) = stays {
                self.found.notes.push(format!("`{name}` is left as it is: {why}"));
            }
            self.found.undeclared.push(name.clone());
        }
        self.prune(&drops);
    }

    fn heir_is(&self, name: &str) -> bool {
        self.wish.roles.heir.as_deref().or(self.wish.owner) == Some(name)
    }

    /// Who inherits in a database: whom the file names, whoever runs migrations, the database's owner, or who asks.
    fn heir(&self, database: &str, dropped: &[&str]) -> String {
        let known = |name: &&str| self.cluster.roles.contains_key(*name) && !dropped.contains(name);
        let owner = self.cluster.databases.get(database).map(String::as_str);
        let named = self.wish.roles.heir.as_deref();
        named
            .or_else(|| [self.wish.owner, owner].into_iter().flatten().find(known))
            .unwrap_or(&self.cluster.me.name)
            .to_owned()
    }

    fn prune(&mut self, drops: &[(&str, &Found)]) {
        let names: Vec<&str> = drops.iter().map(|(name, _)| *name).collect();
        let mut elsewhere: BTreeMap<String, Vec<&str>> = BTreeMap::new();
        let mut here: Vec<&str> = Vec::new();
        for (name, found) in drops {
            self.judge.drop(name, found);
            for database in found.holds_in.iter().flatten().filter(|name| **name != self.cluster.database) {
                elsewhere.entry(database.clone()).or_default().push(name);
            }
            if found.holds_in.iter().any(|place| place.as_ref().is_none_or(|name| *name == self.cluster.database)) {
                here.push(name);
            }
        }
        let mut first = Vec::new();
        for (database, owners) in &elsewhere {
            let heir = self.heir(database, &names);
            first.extend(self.disown(owners, &heir, Some(database)));
        }
        if !here.is_empty() {
            let heir = self.heir(&self.cluster.database, &names);
            let statements = self.disown(&here, &heir, None);
            self.found.changes.extend(statements);
        }
        names.iter().for_each(|name| self.add(Kind::Drop, name, format!("DROP ROLE {}", identifier(name))));
        first.append(&mut self.found.changes);
        self.found.changes = first;
    }

    fn disown(&mut self, owners: &[&str], heir: &str, database: Option<&String>) -> Vec<Change> {
        let me = &self.cluster.me;
        let superuser = me.has(Attribute::Superuser);
        let declared = self.wish.roles.roles.get(heir).is_some_and(|one| one.is_for(self.wish.environment));
        if !self.cluster.roles.contains_key(heir) && (database.is_some() || !declared) {
            let message = format!("the heir of dropped roles, `{heir}`, does not exist");
            self.judge.fault(Error::failed(message).help("make it first, with `prune = false`; nothing was changed."));
        } else if !superuser && heir != me.name && !me.member_of.contains(heir) {
            let message = format!("the role `{}` may not give anything to `{heir}`", me.name);
            let error = Error::failed(message).cause("it is no member of that role");
            self.judge
                .fault(error.help("name another `heir` in the file, or connect as a superuser; nothing was changed."));
        }
        let mut changes = Vec::new();
        for owner in owners {
            let name = identifier(owner);
            let with = if self.cluster.major >= 16 { " WITH INHERIT TRUE, SET TRUE" } else { "" };
            // Only a member may give away what a role owns.
            let member = (!superuser).then(|| format!("GRANT {name} TO CURRENT_USER{with}"));
            let statements = [
                member,
                Some(format!("REASSIGN OWNED BY {name} TO {}", identifier(heir))),
                Some(format!("DROP OWNED BY {name}")),
                // Here the role is dropped in the same transaction, and the membership with it.
                (!superuser && database.is_some()).then(|| format!("REVOKE {name} FROM CURRENT_USER")),
            ];
            changes.extend(statements.into_iter().flatten().map(|sql| Change {
                kind: Kind::Disown,
                role: (*owner).to_owned(),
                sql,
                database: database.cloned(),
            }));
        }
        changes
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
