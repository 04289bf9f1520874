//! Writes what a cluster has into the file: comments and order of what stands there are kept, new roles come at the end.
//!
//! A password never stands in it: a role that may log in is given a place for one, as a comment.

use super::{Attribute, Attributes, Cluster, Found, Granted, Membership, Role, Roles, Setting, Until};
use crate::error::{Error, Result};
use std::collections::BTreeMap;
use toml_edit::{Array, DocumentMut, InlineTable, Item, Table, TableLike, Value, value};

/// The file as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// Its text.
    pub text: String,
    /// The roles that are new in it.
    pub added: Vec<String>,
    /// The roles whose table was changed.
    pub changed: Vec<String>,
    /// What a person should know.
    pub notes: Vec<String>,
}

impl Cluster {
    /// A role of the cluster as the file would declare it.
    pub fn declared(&self, name: &str) -> Option<Role> {
        let found: &Found = self.roles.get(name)?;
        let inherits = found.attributes.contains(&Attribute::Inherit);
        let mut groups: BTreeMap<&str, Vec<&Granted>> = BTreeMap::new();
        for row in self.memberships.iter().filter(|row| row.member == name && !row.implicit) {
            groups.entry(&row.group).or_default().push(row);
        }
        let member_of = groups.into_iter().map(|(group, rows)| {
            let any = |option: fn(&Granted) -> bool| rows.iter().any(|row| option(row));
            let inherit = any(|row| row.inherit);
            Membership {
                role: group.to_owned(),
                admin: any(|row| row.admin),
                inherit: (self.major >= 16 && inherit != inherits).then_some(inherit),
                set: self.major < 16 || any(|row| row.set),
                at: crate::error::Location::file(""),
            }
        });
        Some(Role {
            attributes: found.attributes.clone(),
            connection_limit: found.connection_limit,
            valid_until: found.valid_until,
            comment: found.comment.clone(),
            member_of: member_of.collect(),
            settings: found.settings.clone(),
            settings_in: found.settings_in.clone(),
            ..Role::new(name)
        })
    }
}

/// Brings a text up to these roles. `file` is what it says already.
///
/// # Errors
/// The text is written in a way that no table can be added to.
pub fn write(existing: &str, file: &Roles, roles: &[Role], environment: &str) -> Result<Written> {
    let failed = |e: &dyn std::fmt::Display| Error::usage("no role can be added to the roles file").cause(e);
    let mut document: DocumentMut = existing.parse().map_err(|e| failed(&e))?;
    let mut written = Written { text: String::new(), added: Vec::new(), changed: Vec::new(), notes: Vec::new() };
    let mut added = Vec::new();
    for role in roles {
        let Some(known) = file.roles.get(&role.name) else {
            written.added.push(role.name.clone());
            added.push(role);
            continue;
        };
        if !known.is_for(environment) {
            let only = known.environments.join(", ");
            written.notes.push(format!("`{}` is declared for {only} only; its table stays as it is", role.name));
            continue;
        }
        let table = document.get_mut("role").and_then(Item::as_table_like_mut);
        let table = table.and_then(|named| named.get_mut(&role.name)).and_then(Item::as_table_like_mut);
        if table.is_some_and(|table| update(table, known, role)) {
            written.changed.push(role.name.clone());
        }
    }
    written.text = if written.changed.is_empty() { existing.to_owned() } else { document.to_string() };
    if !added.is_empty() {
        written.text = append(&written.text, &added);
    }
    written.text.parse::<DocumentMut>().map_err(|e| failed(&e))?;
    Ok(written)
}

fn append(existing: &str, roles: &[&Role]) -> String {
    let mut table = Table::new();
    table.set_implicit(true);
    for role in roles {
        table.insert(&role.name, Item::Table(described(role)));
    }
    let mut document = DocumentMut::new();
    document.insert("role", Item::Table(table));
    let head = existing.trim_end();
    let text = document.to_string();
    if head.is_empty() { text.trim_start().to_owned() } else { format!("{head}\n\n{}", text.trim_start()) }
}

/// What is PostgreSQL's default is not written.
fn described(role: &Role) -> Table {
    let mut table = Table::new();
    update(&mut table, &Role::new(&role.name), role);
    if role.has(Attribute::Login) {
        let variable: String = role.name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
        let line = format!("\n# password = {{ env = \"{}_PASSWORD\" }}", variable.to_ascii_uppercase());
        let last = table.iter().last().map(|(key, _)| key.to_owned());
        if let Some(value) = last.and_then(|key| table.get_mut(&key)).and_then(Item::as_value_mut) {
            value.decor_mut().set_suffix(line);
        }
    }
    table
}

/// Sets what differs; whether anything does.
fn update(table: &mut dyn TableLike, old: &Role, new: &Role) -> bool {
    let before = table.iter().map(|(key, item)| format!("{key}={item}")).collect::<Vec<_>>();
    let defaults = Attributes::from([Attribute::Inherit]);
    for attribute in Attribute::ALL {
        let on = new.has(attribute);
        let written = table.contains_key(attribute.key()) || on != defaults.contains(&attribute);
        if old.has(attribute) != on && written {
            put(table, attribute.key(), Some(on.into()));
        }
    }
    if old.connection_limit != new.connection_limit {
        put(table, "connection_limit", (new.connection_limit >= 0).then(|| new.connection_limit.into()));
    }
    if old.valid_until != new.valid_until {
        let text = (new.valid_until != Until::Forever).then(|| new.valid_until.to_string());
        put(table, "valid_until", text.map(Value::from));
    }
    if old.comment != new.comment {
        put(table, "comment", new.comment.clone().map(Value::from));
    }
    if !same_groups(old, new) {
        let list: Array = new.member_of.iter().map(membership).collect();
        put(table, "member_of", (!list.is_empty()).then_some(Value::Array(list)));
    }
    if old.settings != new.settings {
        put(table, "settings", (!new.settings.is_empty()).then(|| settings(&new.settings)));
    }
    if old.settings_in != new.settings_in {
        let databases: InlineTable =
            new.settings_in.iter().map(|(database, values)| (database.as_str(), settings(values))).collect();
        put(table, "settings_in", (!databases.is_empty()).then_some(Value::InlineTable(databases)));
    }
    before != table.iter().map(|(key, item)| format!("{key}={item}")).collect::<Vec<_>>()
}

/// Sets a key, whose comments stay, or takes it out.
fn put(table: &mut dyn TableLike, key: &str, new: Option<Value>) {
    let Some(mut new) = new else {
        table.remove(key);
        return;
    };
    match table.get_mut(key).map(|item| (item.as_value().map(|value| value.decor().clone()), item)) {
        Some((decor, item)) => {
            if let Some(decor) = decor {
                *new.decor_mut() = decor;
            }
            *item = Item::Value(new);
        }
        None => drop(table.insert(key, value(new))),
    }
}

fn same_groups(old: &Role, new: &Role) -> bool {
    let plain = |role: &Role| -> BTreeMap<String, (bool, bool, bool)> {
        let inherits = role.has(Attribute::Inherit);
        let one = |one: &Membership| (one.role.clone(), (one.admin, one.inherit.unwrap_or(inherits), one.set));
        role.member_of.iter().map(one).collect()
    };
    plain(old) == plain(new)
}

fn membership(membership: &Membership) -> Value {
    if !membership.admin && membership.inherit.is_none() && membership.set {
        return Value::from(membership.role.as_str());
    }
    let mut table = InlineTable::new();
    table.insert("role", membership.role.as_str().into());
    if membership.admin {
        table.insert("admin", true.into());
    }
    if let Some(inherit) = membership.inherit {
        table.insert("inherit", inherit.into());
    }
    if !membership.set {
        table.insert("set", false.into());
    }
    Value::InlineTable(table)
}

fn settings(settings: &BTreeMap<String, Setting>) -> Value {
    let one = |setting: &Setting| match setting {
        Setting::Text(text) => Value::from(text.as_str()),
        Setting::List(items) => Value::Array(items.iter().map(String::as_str).collect()),
    };
    Value::InlineTable(settings.iter().map(|(name, setting)| (name.as_str(), one(setting))).collect())
}
