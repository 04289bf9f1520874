//! Reads the file. Every fault has its line and column, and all of them come at once.

use super::value::{Setting, Until};
use super::{Attribute, Membership, Reference, Role, Roles, loops};
use crate::error::{Error, Location, Result};
use crate::model::config::{at_span, is_setting_name, nearest, toml_fault};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

type Key<'a> = Spanned<Cow<'a, str>>;
type Value<'a> = Spanned<DeValue<'a>>;

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

struct Reader<'t> {
    text: &'t str,
    path: &'t str,
    environments: &'t [&'t str],
    found: Vec<Error>,
}

impl Reader<'_> {
    fn at(&self, span: &Range<usize>) -> Location {
        at_span(self.text, self.path, span)
    }

    fn fault(&mut self, span: &Range<usize>, message: impl Into<String>) {
        let at = self.at(span);
        self.found.push(Error::usage(message).at(at));
    }

    fn fault_with_help(&mut self, span: &Range<usize>, message: impl Into<String>, help: impl Into<String>) {
        let at = self.at(span);
        self.found.push(Error::usage(message).at(at).help(help));
    }

    fn unknown(&mut self, key: &Key<'_>, known: &[&str]) {
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
    fn name(&mut self, value: &Value<'_>) -> Option<String> {
        let name = self.text(value)?;
        if !name.starts_with("pg_") {
            self.check_name(&name, &value.span());
        }
        Some(name)
    }

    fn table<'v, 't>(&mut self, value: &'v Value<'t>) -> Option<&'v DeTable<'t>> {
        let table = value.get_ref().as_table();
        if table.is_none() {
            self.wrong(value, "a table");
        }
        table
    }

    /// The value itself is never repeated: it may be a password that stands where it does not belong.
    fn wrong(&mut self, value: &Value<'_>, wanted: &str) {
        let message = format!("this is a value of type {}; wanted is {wanted}", value.get_ref().type_str());
        self.fault(&value.span(), message);
    }

    fn boolean(&mut self, value: &Value<'_>) -> Option<bool> {
        let found = value.get_ref().as_bool();
        if found.is_none() {
            self.wrong(value, "true or false");
        }
        found
    }

    fn text(&mut self, value: &Value<'_>) -> Option<String> {
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

    fn texts(&mut self, value: &Value<'_>) -> Vec<(String, Range<usize>)> {
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

    fn memberships(&mut self, value: &Value<'_>) -> Vec<Membership> {
        let Some(items) = value.get_ref().as_array() else {
            self.wrong(value, "a list of roles");
            return Vec::new();
        };
        let mut found: Vec<Membership> = Vec::new();
        for item in items.iter() {
            let Some(membership) = self.membership(item) else { continue };
            if found.iter().any(|known| known.role == membership.role) {
                self.fault(&item.span(), format!("`{}` stands here twice", membership.role.escape_debug()));
            }
            found.push(membership);
        }
        found
    }

    fn membership(&mut self, item: &Value<'_>) -> Option<Membership> {
        const KNOWN: [&str; 4] = ["role", "admin", "inherit", "set"];
        let at = self.at(&item.span());
        let plain = |role| Membership { role, admin: false, inherit: None, set: true, at: at.clone() };
        if item.get_ref().is_str() {
            return self.name(item).map(plain);
        }
        let Some(table) = item.get_ref().as_table() else {
            self.wrong(item, "a role, or a table { role = \"NAME\", admin = true }");
            return None;
        };
        let mut membership = plain(String::new());
        for (key, value) in table.iter() {
            match key.get_ref().as_ref() {
                "role" => membership.role = self.name(value)?,
                "admin" => membership.admin = self.boolean(value)?,
                "inherit" => membership.inherit = self.boolean(value),
                "set" => membership.set = self.boolean(value)?,
                _ => self.unknown(key, &KNOWN),
            }
        }
        if membership.role.is_empty() {
            self.fault(&item.span(), "the key `role` is missing");
            return None;
        }
        Some(membership)
    }

    fn settings(&mut self, value: &Value<'_>) -> BTreeMap<String, Setting> {
        let mut found: BTreeMap<String, Setting> = BTreeMap::new();
        let Some(table) = self.table(value) else { return found };
        for (key, value) in table.iter() {
            // PostgreSQL does not tell them apart by case.
            let name = key.get_ref().to_ascii_lowercase();
            if !is_setting_name(&name) {
                self.fault(&key.span(), format!("`{}` is not the name of a setting", key.get_ref().escape_debug()));
            } else if found.contains_key(&name) {
                self.fault(&key.span(), format!("`{name}` stands here twice"));
            } else if let Some(setting) = self.setting(&name, value) {
                found.insert(name, setting);
            }
        }
        found
    }

    fn setting(&mut self, name: &str, value: &Value<'_>) -> Option<Setting> {
        let found = match value.get_ref() {
            DeValue::Array(items) => {
                let items = items.iter().map(|item| self.scalar(item)).collect::<Option<Vec<_>>>()?;
                return Some(Setting::of_items(name, items));
            }
            _ => Setting::of_text(name, &self.scalar(value)?),
        };
        if found.is_none() {
            self.fault(&value.span(), format!("`{name}` is a list of names, with commas between them"));
        }
        found
    }

    fn scalar(&mut self, value: &Value<'_>) -> Option<String> {
        let text = match value.get_ref() {
            DeValue::Boolean(on) => Some(if *on { "on" } else { "off" }.to_owned()),
            DeValue::Integer(number) => {
                i64::from_str_radix(number.as_str(), number.radix()).ok().map(|n| n.to_string())
            }
            DeValue::Float(number) => Some(number.as_str().to_owned()),
            DeValue::String(text) if !text.chars().any(char::is_control) => Some(text.to_string()),
            _ => None,
        };
        if text.is_none() {
            self.wrong(value, "a text of one line, a number, true or false, or a list of them");
        }
        text
    }

    fn password(&mut self, value: &Value<'_>) -> Option<Reference> {
        const KNOWN: [&str; 3] = ["env", "file", "command"];
        let help = "write `password = { env = \"VARIABLE\" }`, `{ file = \"PATH\" }` or `{ command = [\"PROGRAM\"] }`.";
        if value.get_ref().is_str() {
            let message = "a password stands in the file itself";
            let help = format!("{help} The one that stood here is known to whoever read the file: change it.");
            self.fault_with_help(&value.span(), message, help);
            return None;
        }
        let Some(table) = value.get_ref().as_table() else {
            self.fault_with_help(&value.span(), "a password is named by its place", help);
            return None;
        };
        let mut found = Vec::new();
        for (key, value) in table.iter() {
            match key.get_ref().as_ref() {
                "env" => found.extend(self.filled(value).map(Reference::Env)),
                "file" => found.extend(self.filled(value).map(Reference::File)),
                "command" => {
                    let words: Vec<String> = self.texts(value).into_iter().map(|(word, _)| word).collect();
                    if words.first().is_none_or(String::is_empty) {
                        self.fault(&value.span(), "a command begins with the name of a program");
                    } else {
                        found.push(Reference::Command(words));
                    }
                }
                _ => self.unknown(key, &KNOWN),
            }
        }
        if table.len() != 1 {
            self.fault_with_help(&value.span(), "a password has one place", help);
        }
        found.pop()
    }

    fn filled(&mut self, value: &Value<'_>) -> Option<String> {
        let text = self.text(value)?;
        if text.is_empty() {
            self.fault(&value.span(), "this is empty");
        }
        Some(text).filter(|text| !text.is_empty())
    }
}
