//! `db/roles.toml`: who may log in and how, as a file says it, and what sets a cluster apart from that.
//!
//! Pure: text and what was read of a cluster in, statements out. A password is never a value here: the file names the
//! place of one ([`Reference`]), and a statement that sets one is completed by whoever runs it.

mod allowed;
mod change;
mod cluster;
mod entry;
mod fallen;
mod grants;
mod loops;
mod prune;
mod read;
mod sql;
#[cfg(test)]
mod tests;
mod value;
mod write;

pub use change::{Change, Difference, Kind, Wish, difference};
pub use cluster::{Cluster, Found, Granted, May, Me};
pub use read::parse;
pub use sql::set_password;
pub use value::{Setting, Until, matches};
pub use write::{Written, write};

use crate::error::Location;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// The first superuser, and roles of services that run PostgreSQL for others, which belong to the service: never dropped, and no membership in one
/// is taken away that the file does not speak of.
pub const SERVICES: [&str; 13] = [
    "alloydb*",
    "avnadmin",
    "_aiven*",
    "azure*",
    "cloudsql*",
    "cloud_admin",
    "doadmin",
    "_dodb*",
    "neon_*",
    "postgres",
    "rds*",
    "supabase_*",
    "dashboard_user",
];

/// An attribute that is on or off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Attribute {
    /// It may log in.
    Login,
    /// It may do everything.
    Superuser,
    /// It may make databases.
    Createdb,
    /// It may make roles.
    Createrole,
    /// It has the privileges of its groups without `SET ROLE`; the only one that is on by default.
    Inherit,
    /// It may start replication.
    Replication,
    /// No row-level security counts for it.
    Bypassrls,
}

impl Attribute {
    /// All of them, in the order in which a file has them.
    pub const ALL: [Attribute; 7] = [
        Attribute::Login,
        Attribute::Superuser,
        Attribute::Createdb,
        Attribute::Createrole,
        Attribute::Inherit,
        Attribute::Replication,
        Attribute::Bypassrls,
    ];

    /// Its key in the file.
    pub fn key(self) -> &'static str {
        match self {
            Attribute::Login => "login",
            Attribute::Superuser => "superuser",
            Attribute::Createdb => "createdb",
            Attribute::Createrole => "createrole",
            Attribute::Inherit => "inherit",
            Attribute::Replication => "replication",
            Attribute::Bypassrls => "bypassrls",
        }
    }
}

/// The attributes that are on.
pub type Attributes = BTreeSet<Attribute>;

/// The whole file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Roles {
    /// The roles by name.
    pub roles: BTreeMap<String, Role>,
    /// Whether roles that no table declares are dropped.
    pub prune: bool,
    /// Who gets what a dropped role owns; none is the owner of the database.
    pub heir: Option<String>,
    /// Patterns of roles that are nobody's business here.
    pub ignore: Vec<String>,
}

/// One table `[role.NAME]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Role {
    /// Its name.
    pub name: String,
    /// Where the table begins.
    pub at: Location,
    /// Its attributes.
    pub attributes: Attributes,
    /// How many connections it may have; -1 for any number.
    pub connection_limit: i64,
    /// When its password ends.
    pub valid_until: Until,
    /// What `COMMENT ON ROLE` says.
    pub comment: Option<String>,
    /// The environments that it is for; none means all.
    pub environments: Vec<String>,
    /// The roles that it is a member of.
    pub member_of: Vec<Membership>,
    /// Its settings in every database.
    pub settings: BTreeMap<String, Setting>,
    /// Its settings in single databases, which replace those that the database has for it.
    pub settings_in: BTreeMap<String, BTreeMap<String, Setting>>,
    /// Where its password comes from; none leaves it as it is.
    pub password: Option<(Reference, Location)>,
}

/// An item of `member_of`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Membership {
    /// The group.
    pub role: String,
    /// Whether the member may grant it on.
    pub admin: bool,
    /// Whether the member has its privileges without `SET ROLE`; none is what the member's `inherit` says.
    pub inherit: Option<bool>,
    /// Whether the member may `SET ROLE` to it.
    pub set: bool,
    /// Where it stands.
    pub at: Location,
}

/// Where a password comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reference {
    /// An environment variable.
    Env(String),
    /// The content of a file, relative to the folder of the configuration.
    File(String),
    /// What a program prints.
    Command(Vec<String>),
}

impl fmt::Display for Reference {
    /// Names the place. Arguments of a command are left out: one may be a secret itself.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reference::Env(name) => write!(f, "the environment variable {name}"),
            Reference::File(path) => write!(f, "the file {path}"),
            Reference::Command(words) => write!(f, "the command {}", words.first().map_or("", String::as_str)),
        }
    }
}

impl Role {
    /// A role with PostgreSQL's defaults.
    pub fn new(name: &str) -> Role {
        Role {
            name: name.to_owned(),
            at: Location::file(""),
            attributes: Attributes::from([Attribute::Inherit]),
            connection_limit: -1,
            valid_until: Until::Forever,
            comment: None,
            environments: Vec::new(),
            member_of: Vec::new(),
            settings: BTreeMap::new(),
            settings_in: BTreeMap::new(),
            password: None,
        }
    }

    /// Whether an attribute is on.
    pub fn has(&self, attribute: Attribute) -> bool {
        self.attributes.contains(&attribute)
    }

    /// Whether it is for an environment.
    pub fn is_for(&self, environment: &str) -> bool {
        self.environments.is_empty() || self.environments.iter().any(|name| name == environment)
    }
}

impl Roles {
    /// The roles of an environment.
    pub fn of<'r>(&'r self, environment: &'r str) -> impl Iterator<Item = &'r Role> {
        self.roles.values().filter(move |role| role.is_for(environment))
    }

    /// Whether a role is left alone: by `ignore`, as a service's, or as PostgreSQL's own.
    pub fn ignores(&self, name: &str) -> bool {
        name.starts_with("pg_")
            || SERVICES.iter().any(|pattern| matches(pattern, name))
            || self.ignore.iter().any(|pattern| matches(pattern, name))
    }

    /// Whether a membership in a group is left alone that the file does not speak of: a service's roles are its own affair,
    /// but the power of PostgreSQL's own is not.
    pub fn leaves_members_of(&self, group: &str) -> bool {
        self.ignores(group) && !group.starts_with("pg_") && group != "postgres"
    }

    /// The declared roles that `name` belongs to, directly or through others.
    pub fn groups_of(&self, name: &str) -> BTreeSet<&str> {
        let mut found = BTreeSet::new();
        let mut open = vec![name];
        while let Some(role) = open.pop().and_then(|name| self.roles.get(name)) {
            for group in &role.member_of {
                if self.roles.contains_key(&group.role) && found.insert(group.role.as_str()) {
                    open.push(&group.role);
                }
            }
        }
        found
    }

    /// The same roles for a server that is thrown away: none may log in, and no password is known.
    #[must_use]
    pub fn without_login(&self) -> Roles {
        let mut roles = self.clone();
        // Whoever runs the server is there, and stays as it is.
        roles.roles.remove("postgres");
        for role in roles.roles.values_mut() {
            role.attributes.remove(&Attribute::Login);
            role.password = None;
            role.environments.clear();
        }
        Roles { prune: false, ..roles }
    }
}
