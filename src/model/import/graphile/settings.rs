//! `.gmrc`: placeholders, and what dbbuild has no like of.
//!
//! JSON5. A configuration written in JavaScript is named and not run.

use std::collections::{BTreeMap, BTreeSet};

use super::{Input, Location, Remark, Setting, placeholder};
use crate::error::{Error, Result};
use crate::model::import::input::join;

/// What `.gmrc` says.
#[derive(Debug, Default)]
pub struct Settings {
    /// Values by the name behind the colon.
    placeholders: BTreeMap<String, String>,
    /// Those that some migration uses.
    used: BTreeSet<String>,
    /// `migrationsFolder` with its place, where it is given.
    folder: Option<(String, Location)>,
    /// What is not carried over.
    pub remarks: Vec<Remark>,
}

/// Names that the tool gives a value by itself.
const RESERVED: [&str; 2] = ["DATABASE_NAME", "DATABASE_OWNER"];

/// Keys that say where databases and files are, and nothing of what is in them.
const PLACES: [&str; 6] = [
    "connectionString",
    "shadowConnectionString",
    "rootConnectionString",
    "manageGraphileMigrateSchema",
    "blankMigrationContent",
    "databaseOwner",
];

/// Reads `.gmrc` at the top of the project or beside the migrations.
pub fn read(input: &Input) -> Result<Settings> {
    let mut settings = Settings::default();
    for script in [".gmrc.js", ".gmrc.cjs"] {
        if input.get(script).is_some() {
            let what = "is a program: what it says is not carried over";
            let help = "write its placeholders into [placeholders] of dbbuild.toml, and its actions into db/repeatable";
            settings.remarks.push(Remark::file(script, what, help));
        }
    }
    let beside = [input.place.to_owned(), super::below(input.place, ".gmrc"), ".gmrc".to_owned()];
    let Some(file) = beside.iter().filter(|path| path.ends_with(".gmrc")).find_map(|path| input.get(path)) else {
        return Ok(settings);
    };
    let text = file.text()?;
    let value: serde_json::Value = json5::from_str(&text).map_err(|error| {
        let line = error.position().map_or(0, |position| position.line + 1);
        Error::failed("is not JSON5").at(Location::new(file.path, line, 0)).cause(error)
    })?;
    let Some(object) = value.as_object() else {
        return Err(file.fault("holds no object"));
    };
    let line = |key: &str| line_of(&text, key);
    for (key, value) in object {
        match key.as_str() {
            "placeholders" => {
                for (name, value) in value.as_object().into_iter().flatten() {
                    let (Some(plain), Some(value)) = (name.strip_prefix(':'), value.as_str()) else {
                        let message = format!("`{}` is no placeholder like `:NAME` with a text", name.escape_debug());
                        return Err(Error::failed(message).at(Location::new(file.path, line(name), 0)));
                    };
                    settings.placeholders.insert(plain.to_owned(), value.to_owned());
                }
            }
            "migrationsFolder" => {
                let path = value.as_str().unwrap_or_default().to_owned();
                settings.folder = Some((path, Location::new(file.path, line(key), 0)));
            }
            "afterReset" | "afterAllMigrations" | "afterCurrent"
                if value.as_array().is_none_or(|list| !list.is_empty()) =>
            {
                let what = format!("the actions of `{key}` are not carried over");
                let help = "SQL that shall run after migrations belongs into db/repeatable, a command into your build";
                settings.remarks.push(Remark::line(file.path, line(key), what, help));
            }
            "pgSettings" if value.as_object().is_none_or(|object| !object.is_empty()) => {
                let what = "`pgSettings` is not carried over";
                let help = "set what the migrations need with ALTER DATABASE … SET or ALTER ROLE … SET";
                settings.remarks.push(Remark::line(file.path, line(key), what, help));
            }
            key if PLACES.contains(&key)
                || key.starts_with("after")
                || key == "pgSettings"
                || key.starts_with("//") => {}
            "$schema" | "generatedWith" => {}
            key => {
                settings.remarks.push(Remark::line(file.path, line(key), format!("`{key}` is not carried over"), ""))
            }
        }
    }
    let what = "was read for its placeholders; the addresses of databases stay there";
    settings.remarks.push(Remark::file(file.path, what, ""));
    Ok(settings)
}

/// The line on which a key stands, as far as the text tells.
fn line_of(text: &str, key: &str) -> usize {
    let found = text.find(&format!("\"{key}\"")).or_else(|| text.find(&format!("'{key}'"))).or_else(|| text.find(key));
    found.map_or(0, |at| text[..at].matches('\n').count() + 1)
}

impl Settings {
    /// The folder of migrations, for a configuration in the folder `top`.
    pub fn folder(&self, top: &str) -> Result<String> {
        match &self.folder {
            Some((path, at)) => join(top, path).map_err(|error| error.at(at.clone())),
            None => Ok(super::below(top, "migrations")),
        }
    }

    /// Whether any file has placeholders in it.
    pub fn any(&self) -> bool {
        !self.placeholders.is_empty() || !self.used.is_empty()
    }

    /// The text with `${NAME}` for `:NAME`, from a line on; none where nothing is to be replaced.
    pub fn replace(&mut self, path: &str, text: &str, first_line: usize) -> Option<String> {
        let start: usize = text.split_inclusive('\n').take(first_line - 1).map(str::len).sum();
        let mut names: Vec<&str> = self.placeholders.keys().map(String::as_str).chain(RESERVED).collect();
        // The tool's own pattern takes the first that fits and ends at a word's end: the longest name is meant.
        names.sort_by_key(|name| std::cmp::Reverse(name.len()));
        let mut out = text[..start].to_owned();
        let mut rest = &text[start..];
        let mut found = BTreeSet::new();
        while let Some(at) = rest.find(':') {
            out.push_str(&rest[..at]);
            let behind = &rest[at + 1..];
            let name = names.iter().find(|name| {
                let next = behind.strip_prefix(**name).map(|tail| tail.chars().next());
                next.is_some_and(|next| next.is_none_or(|c| !c.is_ascii_alphanumeric() && c != '_'))
            });
            match name {
                Some(name) => {
                    out.push_str(&format!("${{{name}}}"));
                    found.insert((*name).to_owned());
                    rest = &behind[name.len()..];
                }
                None => {
                    out.push(':');
                    rest = behind;
                }
            }
        }
        out.push_str(rest);
        if found.is_empty() {
            return None;
        }
        for name in found.iter().filter(|name| RESERVED.contains(&name.as_str()) && !self.used.contains(*name)) {
            let what = format!("uses `:{name}`, to which graphile-migrate gives the value");
            let help =
                format!("set the environment variable {name}, or write its value into [placeholders] of dbbuild.toml");
            self.remarks.push(Remark::file(path, what, help));
        }
        self.used.extend(found);
        Some(out)
    }

    /// What `dbbuild.toml` must say.
    pub fn used(&self) -> Vec<Setting> {
        let env = |name: &str| toml::Value::Table(toml::Table::from_iter([("env".to_owned(), name.into())]));
        let names = self.placeholders.keys().chain(self.used.iter().filter(|name| RESERVED.contains(&name.as_str())));
        let value = |name: &String| match self.placeholders.get(name).map(String::as_str) {
            Some("!ENV") | None => env(name),
            Some(value) => value.into(),
        };
        if self.used.is_empty() {
            return Vec::new();
        }
        names.map(|name| placeholder(name, value(name), None)).collect()
    }
}
