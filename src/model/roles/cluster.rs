//! The roles of a cluster, as they were read without a look at passwords.

use super::{Attribute, Attributes, Setting, Until};
use std::collections::{BTreeMap, BTreeSet};

/// A cluster, seen from one of its databases.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cluster {
    /// PostgreSQL's major version.
    pub major: u32,
    /// The database that is connected to.
    pub database: String,
    /// All databases with their owners.
    pub databases: BTreeMap<String, String>,
    /// Who asks.
    pub me: Me,
    /// All roles by name.
    pub roles: BTreeMap<String, Found>,
    /// All memberships.
    pub memberships: Vec<Granted>,
}

/// The role that is connected.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Me {
    /// `CURRENT_USER`
    pub name: String,
    /// `SESSION_USER`
    pub session: String,
    /// Its attributes.
    pub attributes: Attributes,
    /// The roles that it may grant on.
    pub admin_of: BTreeSet<String>,
    /// The roles whose privileges it has, itself among them.
    pub member_of: BTreeSet<String>,
    /// What it may do with the settings that it sees, or that it was granted SET on.
    pub settings: BTreeMap<String, May>,
}

/// Who may make a setting for a role.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum May {
    /// This role.
    Set,
    /// A superuser, or who was granted it.
    Restricted,
    /// Nobody: it is one of the server or of the start of a connection.
    Never,
}

impl Me {
    /// Whether it has an attribute.
    pub fn has(&self, attribute: Attribute) -> bool {
        self.attributes.contains(&attribute)
    }
}

/// One role.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    /// It came with the cluster.
    pub system: bool,
    /// Its attributes.
    pub attributes: Attributes,
    /// -1 for any number.
    pub connection_limit: i64,
    /// When its password ends.
    pub valid_until: Until,
    /// Its comment.
    pub comment: Option<String>,
    /// Its settings in every database.
    pub settings: BTreeMap<String, Setting>,
    /// Its settings in single databases.
    pub settings_in: BTreeMap<String, BTreeMap<String, Setting>>,
    /// The databases in which it owns something or was granted something; `None` is what belongs to no database.
    pub holds_in: BTreeSet<Option<String>>,
}

/// One membership. From PostgreSQL 16 there may be several of the same two roles, by different grantors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Granted {
    /// The group.
    pub group: String,
    /// The member.
    pub member: String,
    /// Who granted it, where that role still is.
    pub grantor: Option<String>,
    /// `WITH ADMIN OPTION`
    pub admin: bool,
    /// From PostgreSQL 16.
    pub inherit: bool,
    /// From PostgreSQL 16.
    pub set: bool,
    /// What PostgreSQL 16 gives to whoever makes a role without being a superuser: nobody granted it, nobody but a
    /// superuser can take it back, and no file declares it.
    pub implicit: bool,
}
