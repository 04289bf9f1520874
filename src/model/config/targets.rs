//! `env.NAME.targets` and `env.NAME.canaries`: which databases an environment has where it has many, and which go first.
//!
//! It says what was written. What databases there are, a server knows.

use std::collections::BTreeSet;
use std::fmt;

use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, de};

use super::validate::{Faults, is_database_name};
use super::{EnvConfig, fault, value};
use crate::model::conninfo::Parameters;
use crate::model::glob;
use crate::model::sql;

/// The databases of an environment that has many.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Targets {
    /// These, in this order: names of databases on the environment's server, or connection strings.
    List(Vec<String>),
    /// Those of the environment's server whose names match one of the patterns, in the order of their names.
    Pattern(Vec<String>),
    /// Those that a query gives, in its order.
    Query {
        /// The query.
        query: String,
        /// The database that is asked; without it, the one of the environment's address.
        database: Option<String>,
    },
}

/// The databases that run alone, before the others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Canaries {
    /// So many from the head of the list.
    First(usize),
    /// Those whose names match one of the patterns.
    Named(Vec<String>),
}

impl Default for Canaries {
    fn default() -> Self {
        Canaries::First(0)
    }
}

/// Whether a target is a connection string, by libpq's own rule for `dbname`.
pub fn is_connection_string(target: &str) -> bool {
    target.starts_with("postgres://") || target.starts_with("postgresql://") || target.contains('=')
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Table {
    #[serde(default, deserialize_with = "value::one_or_more")]
    pattern: Vec<String>,
    query: Option<String>,
    database: Option<String>,
}

impl<'de> Deserialize<'de> for Targets {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Targets;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of databases, or a table { pattern = \"…\" } or { query = \"…\" }")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Targets, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(list)).map(Targets::List)
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Targets, A::Error> {
                let table = Table::deserialize(MapAccessDeserializer::new(map))?;
                match (table.query, table.pattern, table.database) {
                    (Some(query), pattern, database) if pattern.is_empty() => Ok(Targets::Query { query, database }),
                    (None, pattern, None) if !pattern.is_empty() => Ok(Targets::Pattern(pattern)),
                    (Some(_), ..) => Err(de::Error::custom("`pattern` and `query` contradict each other")),
                    (None, _, Some(_)) => {
                        Err(de::Error::custom("`database` says where `query` runs, and there is none"))
                    }
                    (None, ..) => Err(de::Error::custom("`pattern` or `query` says which databases there are")),
                }
            }
        }
        deserializer.deserialize_any(Any)
    }
}

impl<'de> Deserialize<'de> for Canaries {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Canaries;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number, a name or pattern, or a list of them")
            }

            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Canaries, E> {
                let number = usize::try_from(number).map_err(|_| E::custom("less than no canaries"))?;
                Ok(Canaries::First(number))
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Canaries, E> {
                Ok(Canaries::Named(vec![text.to_owned()]))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Canaries, A::Error> {
                Vec::deserialize(SeqAccessDeserializer::new(list)).map(Canaries::Named)
            }
        }
        deserializer.deserialize_any(Any)
    }
}

/// What is wrong with the two keys of an environment.
pub(super) fn check(name: &str, env: &EnvConfig, faults: &mut Faults<'_>) {
    let keys = ["env", name, "targets"];
    match &env.targets {
        None => {
            if env.canaries != Canaries::default() {
                let help = "`targets` says which databases the environment has.";
                faults.add_with_help(
                    &["env", name, "canaries"],
                    format!("[env.{name}] has canaries but no targets"),
                    help,
                );
            }
            return;
        }
        Some(Targets::List(list)) if list.is_empty() => {
            let help = "name databases, or leave `targets` out for the one of the address.";
            faults.add_with_help(&keys, format!("[env.{name}] targets names no database"), help);
        }
        Some(Targets::List(list)) => check_list(name, list, faults),
        Some(Targets::Pattern(patterns)) => {
            for pattern in patterns.iter().filter(|pattern| !is_database_name(pattern)) {
                let keys = ["env", name, "targets", "pattern"];
                faults.add(&keys, format!("`{}` is not a pattern of database names", pattern.escape_default()));
            }
        }
        Some(Targets::Query { query, database }) => {
            check_query(name, query, faults);
            if let Some(database) = database.as_ref().filter(|database| !is_database_name(database)) {
                let keys = ["env", name, "targets", "database"];
                faults.add(&keys, format!("`{}` cannot name a database", database.escape_default()));
            }
        }
    }
    check_canaries(name, env, faults);
}

fn check_list(name: &str, list: &[String], faults: &mut Faults<'_>) {
    let keys = ["env", name, "targets"];
    let mut seen = BTreeSet::new();
    for target in list {
        if is_connection_string(target) {
            match Parameters::parse(target) {
                Err(error) => faults.push(&keys, error),
                Ok(parameters) if parameters.has_secret() => {
                    let help = "keep the password in `.pgpass` or in PGPASSWORD. If the file was committed, change it.";
                    let what = format!("[env.{name}] targets: an address holds a password, and this file is committed");
                    faults.add_with_help(&keys, what, help);
                }
                Ok(_) => {}
            }
        } else if !is_database_name(target) {
            faults.add(&keys, format!("`{}` cannot name a database: 1 to 63 bytes", target.escape_default()));
        }
        if !seen.insert(target) {
            faults.add(&keys, format!("[env.{name}] targets names `{}` twice", target.escape_default()));
        }
    }
}

/// One statement, since it runs in a transaction that may only read, and nothing else may end that.
fn check_query(name: &str, query: &str, faults: &mut Faults<'_>) {
    let wrong = match sql::split(query).map(|statements| statements.len()) {
        Ok(0) => "the query is empty".to_owned(),
        Ok(1) => return,
        Ok(several) => format!("the query is {several} statements"),
        Err(_) => "the query has a quote, comment or parenthesis that is not closed".to_owned(),
    };
    faults.add(&["env", name, "targets", "query"], format!("[env.{name}] targets: {wrong}"));
}

fn check_canaries(name: &str, env: &EnvConfig, faults: &mut Faults<'_>) {
    let Canaries::Named(canaries) = &env.canaries else { return };
    let keys = ["env", name, "canaries"];
    for canary in canaries {
        if canary.is_empty() {
            faults.add(&keys, format!("[env.{name}] canaries: a name is empty"));
        }
        let Some(Targets::List(list)) = &env.targets else { continue };
        // What a connection string is called, the server's settings say.
        if list.iter().any(|target| is_connection_string(target) || glob::matches(canary, target)) {
            continue;
        }
        let message = format!("the canary `{}` is not one of the targets", canary.escape_default());
        match fault::nearest(canary, list.iter().map(String::as_str)) {
            Some(near) => faults.add_with_help(&keys, message, format!("did you mean `{near}`?")),
            None => faults.add(&keys, message),
        }
    }
}
