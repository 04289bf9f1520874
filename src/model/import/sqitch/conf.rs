//! `sqitch.conf`: where the plan and the scripts are, and what is given to psql.
//!
//! The file is in the format of git's configuration. Only what decides about files is understood: targets' addresses
//! and users stay where they are.

use std::collections::BTreeMap;

use crate::error::{Error, Location, Result};
use crate::model::import::input::join;

/// One key, all in lower case but a subsection's name: `core.top_dir`, `engine.pg.registry`.
#[derive(Debug, Default)]
pub struct Conf {
    values: BTreeMap<String, (String, usize)>,
}

/// Where Sqitch looks, relative to the folder of its configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Places {
    /// The plan.
    pub plan: String,
    /// Folders of deploy, revert and verify scripts.
    pub scripts: [String; 3],
    /// The same for changes that were reworked.
    pub reworked: [String; 3],
    /// Of a script's name, without the dot.
    pub extension: String,
}

/// Reads the text of a configuration.
pub fn parse(path: &str, text: &str) -> Result<Conf> {
    let mut conf = Conf::default();
    let mut section = String::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        let fault = |message: &str| Error::failed(message).at(Location::new(path, index + 1, 0));
        if line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        if let Some(head) = line.strip_prefix('[') {
            let head = head.split_once(']').ok_or_else(|| fault("the section's `]` is missing"))?.0;
            section = match head.split_once([' ', '\t']) {
                Some((name, sub)) => format!("{}.{}", name.to_ascii_lowercase(), sub.trim().trim_matches('"')),
                None => head.trim().to_ascii_lowercase(),
            };
            continue;
        }
        if section.is_empty() {
            return Err(fault("a key stands before the first section"));
        }
        let (key, value) = line.split_once('=').unwrap_or((line, "true"));
        let key = format!("{section}.{}", key.trim().to_ascii_lowercase());
        conf.values.insert(key, (plain(value), index + 1));
    }
    Ok(conf)
}

/// A value without its quotes, and without a comment behind it.
fn plain(value: &str) -> String {
    let mut out = String::new();
    let mut quoted = false;
    let mut chars = value.trim().chars();
    while let Some(c) = chars.next() {
        match c {
            '"' => quoted = !quoted,
            '\\' => out.extend(chars.next()),
            '#' | ';' if !quoted => break,
            c => out.push(c),
        }
    }
    out.trim_end().to_owned()
}

impl Conf {
    /// The value of a key and its line.
    pub fn get(&self, key: &str) -> Option<(&str, usize)> {
        self.values.get(key).map(|(value, line)| (value.as_str(), *line))
    }

    /// Keys and values below a section, with their lines.
    pub fn below<'a>(&'a self, section: &'a str) -> impl Iterator<Item = (&'a str, &'a str, usize)> {
        let inside = move |key: &'a str| key.strip_prefix(section)?.strip_prefix('.');
        self.values.iter().filter_map(move |(key, (value, line))| Some((inside(key)?, value.as_str(), *line)))
    }

    /// A key of the engine or else of the core.
    fn setting(&self, key: &str) -> Option<(&str, usize)> {
        self.get(&format!("engine.pg.{key}")).or_else(|| self.get(&format!("core.{key}")))
    }

    /// Where everything is; `folder` holds the configuration, which is called `path`.
    pub fn places(&self, path: &str, folder: &str) -> Result<Places> {
        let located = |line: usize| move |error: Error| error.at(Location::new(path, line, 0));
        if let Some((engine, line)) = self.get("core.engine").filter(|(engine, _)| *engine != "pg") {
            return Err(located(line)(Error::failed(format!("the engine is `{engine}`")))
                .help("dbbuild takes over plans of PostgreSQL (`pg`) alone"));
        }
        let folder_of = |key: &str, usual: &str| match self.setting(key) {
            Some((value, line)) => join(folder, value).map_err(located(line)),
            None => Ok(usual.to_owned()),
        };
        let below = |top: &str, name: &str| if top.is_empty() { name.to_owned() } else { format!("{top}/{name}") };
        let top = folder_of("top_dir", folder)?;
        let reworked = folder_of("reworked_dir", &top)?;
        let three = |prefix: &str, top: &str| -> Result<[String; 3]> {
            let one = |name: &str| folder_of(&format!("{prefix}{name}_dir"), &below(top, name));
            Ok([one("deploy")?, one("revert")?, one("verify")?])
        };
        Ok(Places {
            plan: folder_of("plan_file", &below(&top, "sqitch.plan"))?,
            scripts: three("", &top)?,
            reworked: three("reworked_", &reworked)?,
            extension: self.setting("extension").map_or("sql", |(value, _)| value).to_owned(),
        })
    }
}
