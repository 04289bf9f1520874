//! Reads the values of a role that have parts of their own: memberships, settings, the place of a password.

use super::read::{Reader, Value};
use super::value::Setting;
use super::{Membership, Reference};
use crate::model::config::is_setting_name;
use std::collections::BTreeMap;
use toml::de::DeValue;

impl Reader<'_> {
    pub(super) fn memberships(&mut self, value: &Value<'_>) -> Vec<Membership> {
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

    pub(super) fn settings(&mut self, value: &Value<'_>) -> BTreeMap<String, Setting> {
        let mut found: BTreeMap<String, Setting> = BTreeMap::new();
        let Some(table) = self.table(value) else { return found };
        for (key, value) in table.iter() {
            // PostgreSQL does not tell them apart by case.
            let name = key.get_ref().to_ascii_lowercase();
            if !is_setting_name(&name) {
                self.fault(&key.span(), format!("`{}` is not the name of a setting", key.get_ref().escape_debug()));
            } else if let Some(setting) = self.setting(&name, value)
                && found.insert(name.clone(), setting).is_some()
            {
                self.fault(&key.span(), format!("`{name}` stands here twice"));
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
            // `my.x = 1` without quotes.
            DeValue::Table(parts) => {
                let part =
                    parts.iter().next().map_or_else(String::new, |(key, _)| key.get_ref().escape_debug().to_string());
                let message =
                    format!("`{name}` is no setting: a name with a dot stands in quotes, as in \"{name}.{part}\"");
                self.fault(&value.span(), message);
                return None;
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

    pub(super) fn password(&mut self, value: &Value<'_>) -> Option<Reference> {
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
