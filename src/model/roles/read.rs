//! Reads the file. Every fault has its line and column, and all of them come at once.

use super::value::Until;
use super::{Attribute, Role, Roles, loops};
use crate::error::{Error, Location, Result};
use crate::model::config::{at_span, nearest, toml_fault};
use std::borrow::Cow;
use std::ops::Range;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

type Key<'a> = Spanned<Cow<'a, str>>;
pub(super) type Value<'a> = Spanned<DeValue<'a>>;

/// PostgreSQL cuts longer names.
const LONGEST: usize = 63;
/// What no role may be called: `CREATE ROLE` takes them for something else.
const RESERVED: [&str; 2] = ["public", "none"];

const TOP: [&str; 4] = ["role", "prune", "heir", "ignore"];
const KEYS: [&str; 15] = [
    "login",
    "superuser",
    "createdb",
    "createrole",
    "inherit",
    "replication",
    "bypassrls",
    "connection_limit",
    "valid_until",
    "comment",
    "environments",
    "member_of",
    "settings",
    "settings_in",
    "password",
];

/// Reads the text of the file; `path` is how messages name it, `environments` are those of the configuration.
///
/// # Errors
/// All faults, each with its place (exit status 2). None repeats a value that could be a password.
pub fn parse(text: &str, path: &str, environments: &[&str]) -> Result<Roles> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let table = DeTable::parse(text).map_err(|e| toml_fault(&e, text, path))?;
    let mut reader = Reader { text, path, environments, found: Vec::new() };
    let roles = reader.file(table.get_ref());
    if reader.found.is_empty()
        && let Some(way) = loops::find(&roles)
    {
        let at = way.first().and_then(|name| roles.roles.get(name)).map(|role| role.at.clone());
        let fault = Error::usage(format!("roles are members of each other: {}", way.join(" → ")));
        reader.found.push(at.into_iter().fold(fault, Error::at).help("take one of these memberships out."));
    }
    reader.found.sort_by(|a, b| a.location().cmp(&b.location()));
    Error::all(reader.found).map_or(Ok(roles), Err)
}

pub(super) struct Reader<'t> {
    text: &'t str,
    path: &'t str,
    environments: &'t [&'t str],
    found: Vec<Error>,
}

impl Reader<'_> {
    pub(super) fn at(&self, span: &Range<usize>) -> Location {
        at_span(self.text, self.path, span)
    }

    pub(super) fn fault(&mut self, span: &Range<usize>, message: impl Into<String>) {
        let at = self.at(span);
        self.found.push(Error::usage(message).at(at));
    }

    pub(super) fn fault_with_help(&mut self, span: &Range<usize>, message: impl Into<String>, help: impl Into<String>) {
        let at = self.at(span);
        self.found.push(Error::usage(message).at(at).help(help));
    }

    pub(super) fn unknown(&mut self, key: &Key<'_>, known: &[&str]) {
        let near = nearest(key.get_ref(), known.iter().copied());
        let near = near.map_or_else(String::new, |near| format!("did you mean `{near}`? "));
        let message = format!("unknown key `{}`", key.get_ref().escape_debug());
        self.fault_with_help(&key.span(), message, format!("{near}Known are: {}.", known.join(", ")));
    }

    fn file(&mut self, table: &DeTable<'_>) -> Roles {
        let mut roles = Roles::default();
        for (key, value) in table.iter() {
            match key.get_ref().as_ref() {
                "role" => {
                    let Some(named) = self.table(value) else { continue };
                    for (name, value) in named.iter() {
                        if let Some(role) = self.role(name, value) {
                            roles.roles.insert(role.name.clone(), role);
                        }
                    }
                }
                "prune" => roles.prune = self.boolean(value).unwrap_or_default(),
                "heir" => roles.heir = self.name(value),
                "ignore" => roles.ignore = self.texts(value).into_iter().map(|(text, _)| text).collect(),
                _ => self.unknown(key, &TOP),
            }
        }
        roles
    }

    fn role(&mut self, key: &Key<'_>, value: &Value<'_>) -> Option<Role> {
        let name = key.get_ref().as_ref();
        self.check_name(name, &key.span());
        let mut role = Role { at: self.at(&key.span()), ..Role::new(name) };
        for (key, value) in self.table(value)?.iter() {
            let word = key.get_ref().as_ref();
            if let Some(attribute) = Attribute::ALL.into_iter().find(|one| one.key() == word) {
                match self.boolean(value) {
                    Some(true) => drop(role.attributes.insert(attribute)),
                    Some(false) => drop(role.attributes.remove(&attribute)),
                    None => {}
                }
                continue;
            }
            match word {
                "connection_limit" => role.connection_limit = self.limit(value),
                "valid_until" => role.valid_until = self.until(value),
                "comment" => role.comment = self.text(value).filter(|text| !text.is_empty()),
                "environments" => role.environments = self.environments(value),
                "member_of" => role.member_of = self.memberships(value),
                "settings" => role.settings = self.settings(value),
                "settings_in" => {
                    let Some(databases) = self.table(value) else { continue };
                    for (database, value) in databases.iter() {
                        let settings = self.settings(value);
                        role.settings_in.insert(database.get_ref().to_string(), settings);
                    }
                }
                "password" => {
                    let at = self.at(&key.span());
                    role.password = self.password(value).map(|reference| (reference, at));
                }
                _ => self.unknown(key, &KEYS),
            }
        }
        Some(role)
    }

    fn check_name(&mut self, name: &str, span: &Range<usize>) {
        let shown = name.escape_debug();
        if name.is_empty() || name.contains('\0') {
            self.fault(span, "a role has no name");
        } else if name.len() > LONGEST {
            let message = format!("the name `{shown}` has {} bytes; PostgreSQL takes {LONGEST}", name.len());
            self.fault(span, message);
        } else if RESERVED.contains(&name) {
            self.fault(span, format!("no role can be called `{shown}`"));
        } else if name.starts_with("pg_") {
            let help = "PostgreSQL's own roles cannot be declared; membership in one stands in `member_of`.";
            self.fault_with_help(span, format!("`{shown}`: names with pg_ belong to PostgreSQL"), help);
        }
    }

    /// The name of a role that is spoken of; PostgreSQL's own are welcome here.
    pub(super) fn name(&mut self, value: &Value<'_>) -> Option<String> {
        let name = self.text(value)?;
        if !name.starts_with("pg_") {
            self.check_name(&name, &value.span());
        }
        Some(name)
    }

    pub(super) fn table<'v, 't>(&mut self, value: &'v Value<'t>) -> Option<&'v DeTable<'t>> {
        let table = value.get_ref().as_table();
        if table.is_none() {
            self.wrong(value, "a table");
        }
        table
    }

    /// The value itself is never repeated: it may be a password that stands where it does not belong.
    pub(super) fn wrong(&mut self, value: &Value<'_>, wanted: &str) {
        let message = format!("this is a value of type {}; wanted is {wanted}", value.get_ref().type_str());
        self.fault(&value.span(), message);
    }

    pub(super) fn boolean(&mut self, value: &Value<'_>) -> Option<bool> {
        let found = value.get_ref().as_bool();
        if found.is_none() {
            self.wrong(value, "true or false");
        }
        found
    }

    pub(super) fn text(&mut self, value: &Value<'_>) -> Option<String> {
        match value.get_ref().as_str() {
            Some(text) if text.contains('\0') => {
                self.fault(&value.span(), "a text cannot hold a zero byte");
                None
            }
            Some(text) => Some(text.to_owned()),
            None => {
                self.wrong(value, "a text");
                None
            }
        }
    }

    pub(super) fn texts(&mut self, value: &Value<'_>) -> Vec<(String, Range<usize>)> {
        let Some(items) = value.get_ref().as_array() else {
            self.wrong(value, "a list of texts");
            return Vec::new();
        };
        items.iter().filter_map(|item| Some((self.text(item)?, item.span()))).collect()
    }

    fn limit(&mut self, value: &Value<'_>) -> i64 {
        let number = value.get_ref().as_integer();
        let number = number.and_then(|number| i64::from_str_radix(number.as_str(), number.radix()).ok());
        match number {
            Some(number) if (-1..=i64::from(i32::MAX)).contains(&number) => number,
            _ => {
                self.fault(&value.span(), "a connection limit is a whole number from 0 up, or -1 for none");
                -1
            }
        }
    }

    fn until(&mut self, value: &Value<'_>) -> Until {
        let text = match value.get_ref() {
            DeValue::Datetime(moment) => Some(moment.to_string()),
            _ => self.text(value),
        };
        let Some(text) = text else { return Until::Forever };
        Until::parse(&text).unwrap_or_else(|| {
            let message = format!("`{}` is no point in time", text.escape_debug());
            self.fault_with_help(
                &value.span(),
                message,
                "write it as \"2030-01-31\", \"2030-01-31 18:00:00+01\" or \"infinity\".",
            );
            Until::Forever
        })
    }

    fn environments(&mut self, value: &Value<'_>) -> Vec<String> {
        let names = self.texts(value);
        if names.is_empty() && value.get_ref().is_array() {
            self.fault(&value.span(), "a role for no environment is no role: leave `environments` out for all of them");
        }
        for (name, span) in &names {
            if !self.environments.contains(&name.as_str()) {
                let near = nearest(name, self.environments.iter().copied());
                let near = near.map_or_else(String::new, |near| format!("did you mean `{near}`? "));
                let help = format!("{near}Known are: {}.", self.environments.join(", "));
                let message = format!("there is no environment `{}` in the configuration", name.escape_debug());
                self.fault_with_help(span, message, help);
            }
        }
        names.into_iter().map(|(name, _)| name).collect()
    }
}
