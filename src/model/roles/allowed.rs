//! What a role that is no superuser may do to roles: PostgreSQL's rules, asked before anything runs.
//!
//! Up to 15, CREATEROLE is enough for every role that is not powerful. From 16 on it takes ADMIN OPTION on the very
//! role, and only attributes that one has oneself can be given.

use super::{Attribute, Cluster, Found, May};
use crate::error::{Error, Location};
use std::collections::BTreeSet;

/// Collects what may not be done.
pub(super) struct Judge<'c> {
    cluster: &'c Cluster,
    /// Roles that the plan itself makes: whoever makes one may do with it what they like.
    made: BTreeSet<String>,
    pub faults: Vec<Error>,
}

impl<'c> Judge<'c> {
    pub fn new(cluster: &'c Cluster) -> Judge<'c> {
        Judge { cluster, made: BTreeSet::new(), faults: Vec::new() }
    }

    pub fn fault(&mut self, error: Error) {
        let known = |one: &Error| one.message() == error.message() && one.causes() == error.causes();
        if !self.faults.iter().any(known) {
            self.faults.push(error);
        }
    }

    fn is_superuser(&self) -> bool {
        self.cluster.me.has(Attribute::Superuser)
    }

    fn refuse(&mut self, what: String, why: String, at: Option<&Location>) {
        let error = Error::failed(format!("the role `{}` may not {what}", self.cluster.me.name)).cause(why);
        let error = at.filter(|at| at.line > 0).cloned().into_iter().fold(error, Error::at);
        self.fault(error.help("connect as a role that may, or as a superuser; nothing was changed."));
    }

    /// A role is made, with these attributes other than the default.
    pub fn create(&mut self, name: &str, changed: &[Attribute], at: &Location) {
        self.made.insert(name.to_owned());
        if self.is_superuser() {
            return;
        }
        if !self.cluster.me.has(Attribute::Createrole) {
            self.refuse(format!("make `{name}`"), "it has neither SUPERUSER nor CREATEROLE".to_owned(), Some(at));
            return;
        }
        self.attributes(name, changed, at);
    }

    fn attributes(&mut self, name: &str, changed: &[Attribute], at: &Location) {
        for attribute in changed {
            let word = attribute.key().to_ascii_uppercase();
            let powerful = matches!(attribute, Attribute::Superuser | Attribute::Replication | Attribute::Bypassrls);
            if *attribute == Attribute::Superuser || powerful && self.cluster.major < 16 {
                let why = if self.cluster.major < 16 {
                    format!("in PostgreSQL {} only a superuser sets {word}", self.cluster.major)
                } else {
                    format!("only a superuser sets {word}")
                };
                self.refuse(format!("set {word} of `{name}`"), why, Some(at));
            } else if (powerful || *attribute == Attribute::Createdb)
                && self.cluster.major >= 16
                && !self.cluster.me.has(*attribute)
            {
                self.refuse(format!("set {word} of `{name}`"), format!("it has no {word} itself"), Some(at));
            }
        }
    }

    /// A role is altered, with these attributes changed.
    pub fn alter(&mut self, name: &str, found: &Found, changed: &[Attribute], at: &Location) {
        if self.may_touch(&format!("alter `{name}`"), name, found, Some(at)) {
            self.attributes(name, changed, at);
        }
    }

    /// A role's settings or password are set. Everybody may do that for themselves.
    pub fn set(&mut self, name: &str, found: Option<&Found>, settings: &[&str], at: &Location) {
        let Some(found) = found else { return self.restricted(name, settings, at) };
        if name == self.cluster.me.name || self.may_touch(&format!("alter `{name}`"), name, found, Some(at)) {
            self.restricted(name, settings, at);
        }
    }

    fn restricted(&mut self, name: &str, settings: &[&str], at: &Location) {
        for setting in settings {
            let may = self.cluster.me.settings.get(*setting).copied();
            // One of an extension that is not loaded, or of the application's own.
            let custom = setting.contains('.') && !self.is_superuser();
            let why = match may {
                Some(May::Never) => "it is a setting of the server, or of the start of a connection, not of a role",
                Some(May::Restricted) => "only a superuser, or who was granted SET on it, may",
                None if custom => {
                    "one that the server does not know sets only a superuser, or who was granted SET on it"
                }
                Some(May::Set) | None => continue,
            };
            self.refuse(format!("set {setting} for `{name}`"), why.to_owned(), Some(at));
        }
    }

    /// A role is dropped.
    pub fn drop(&mut self, name: &str, found: &Found) {
        self.may_touch(&format!("drop `{name}`"), name, found, None);
    }

    /// A group is granted or taken away.
    pub fn grant(&mut self, group: &str, member: &str, at: &Location) {
        if self.is_superuser() || self.made.contains(group) || self.cluster.me.admin_of.contains(group) {
            return;
        }
        let what = format!("grant `{group}` to `{member}`, or take it away");
        let powerful =
            self.cluster.roles.get(group).is_some_and(|role| role.attributes.contains(&Attribute::Superuser));
        if powerful {
            self.refuse(what, format!("`{group}` is a superuser"), Some(at));
        } else if self.cluster.major >= 16 {
            self.refuse(what, format!("it has no ADMIN OPTION on `{group}`"), Some(at));
        } else if !self.cluster.me.has(Attribute::Createrole) {
            self.refuse(what, "it has neither SUPERUSER nor CREATEROLE".to_owned(), Some(at));
        }
    }

    /// What somebody granted is changed in their name.
    pub fn of_grantor(&mut self, group: &str, grantor: Option<&str>, member: &str, at: &Location) {
        let Some(grantor) = grantor.filter(|_| self.cluster.major >= 16 && !self.is_superuser()) else { return };
        if !self.cluster.me.member_of.contains(grantor) {
            let what = format!("change the membership of `{member}` in `{group}`");
            self.refuse(what, format!("`{grantor}` granted it"), Some(at));
        }
    }

    fn may_touch(&mut self, what: &str, name: &str, found: &Found, at: Option<&Location>) -> bool {
        if self.is_superuser() {
            return true;
        }
        let me = &self.cluster.me;
        let why = if found.attributes.contains(&Attribute::Superuser) {
            format!("`{name}` is a superuser")
        } else if !me.has(Attribute::Createrole) {
            "it has neither SUPERUSER nor CREATEROLE".to_owned()
        } else if self.cluster.major < 16 && found.attributes.contains(&Attribute::Replication) {
            format!("`{name}` has REPLICATION, so that only a superuser alters it")
        } else if self.cluster.major >= 16 && !me.admin_of.contains(name) {
            format!("it has no ADMIN OPTION on `{name}`")
        } else {
            return true;
        };
        self.refuse(what.to_owned(), why, at);
        false
    }
}
