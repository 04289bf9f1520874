//! What statements about roles consist of: their options and settings.

use super::{Attribute, Attributes, Setting, Until};
use crate::model::sql::{identifier, literal};

/// `LOGIN`, `NOLOGIN`, …
pub(super) fn option(attribute: Attribute, on: bool) -> String {
    format!("{}{}", if on { "" } else { "NO" }, attribute.key().to_ascii_uppercase())
}

/// The options that lead from some attributes to others.
pub(super) fn options(from: &Attributes, to: &Attributes) -> Vec<String> {
    let differs = |attribute: &Attribute| from.contains(attribute) != to.contains(attribute);
    Attribute::ALL.into_iter().filter(differs).map(|one| option(one, to.contains(&one))).collect()
}

/// `VALID UNTIL '…'`
pub(super) fn valid_until(until: Until) -> String {
    format!("VALID UNTIL {}", literal(&until.to_string()))
}

/// `SET name = value`. A list is written item by item: PostgreSQL quotes each as the name that it is.
pub(super) fn set(name: &str, value: &Setting) -> String {
    let value = match value {
        Setting::Text(text) => literal(text),
        Setting::List(items) => items.iter().map(|item| literal(item)).collect::<Vec<_>>().join(", "),
    };
    format!("SET {} = {value}", setting_name(name))
}

/// `search_path`, `"my ext".setting`
pub(super) fn setting_name(name: &str) -> String {
    let plain = |part: &str| {
        part.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
            && part.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
    };
    let parts = name.split('.').map(|part| if plain(part) { part.to_owned() } else { identifier(part) });
    parts.collect::<Vec<_>>().join(".")
}

/// The statement that sets a password; `verifier` is what the server keeps.
pub fn set_password(role: &str, verifier: &str) -> String {
    format!("ALTER ROLE {} PASSWORD {}", identifier(role), literal(verifier))
}
