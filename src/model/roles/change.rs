//! What sets a cluster apart from the file: statements, in the order in which they run.

use super::allowed::Judge;
use super::fallen::Fallen;
use super::sql::{options, set, set_password, setting_name, valid_until};
use super::{Attribute, Attributes, Cluster, Role, Roles, Setting};
use crate::error::{Error, Result};
use crate::model::sql::{identifier, literal};
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
    let fallen = Fallen::default();
    let mut work = Work { wish, cluster, judge: Judge::new(cluster), found: Difference::default(), fallen };
    let drops = work.undeclared();
    work.fallen = Fallen::find(wish, cluster, &drops);
    declared.iter().for_each(|role| work.attributes(role));
    declared.iter().for_each(|role| work.revoke(role));
    declared.iter().for_each(|role| work.grant(role));
    work.grant_again(&drops);
    declared.iter().for_each(|role| work.settings(role));
    declared.iter().for_each(|role| work.comment(role));
    declared.iter().for_each(|role| work.password(role));
    work.prune(&drops);
    Error::all(work.judge.faults).map_or(Ok(work.found), Err)
}

pub(super) struct Work<'w> {
    pub(super) wish: &'w Wish<'w>,
    pub(super) cluster: &'w Cluster,
    pub(super) judge: Judge<'w>,
    pub(super) found: Difference,
    pub(super) fallen: Fallen<'w>,
}

impl<'w> Work<'w> {
    pub(super) fn add(&mut self, kind: Kind, role: &str, sql: String) {
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
}
