//! Flyway: versioned, undo, baseline and repeatable scripts in SQL, callbacks, and the configuration beside them.
//!
//! The order is that of Flyway's versions; a version with several parts gets digits alone, which the record remembers.
//! An undo script is the down part of its version. `db/baseline.sql` takes the place of a baseline script, which becomes a
//! migration only where the versions before it are gone. Scripts in Java or for a shell are faults: without them the
//! history is not whole.

mod conf;
mod history;
mod name;
mod others;
#[cfg(test)]
mod tests;
mod text;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::input::{ToolFile, join};
use super::{Body, Imported, Input, Key, Part, Piece, Remark, Tool};
use crate::error::{Error, Location, Result};
use crate::model::sql::identifier;
use conf::Conf;
use name::{Kind, Named, Naming, Version};
use text::Placeholders;

/// See [`super::TOOLS`].
pub const TOOL: Tool = Tool {
    name: "flyway",
    places: &[
        "flyway.toml",
        "flyway.conf",
        "conf/flyway.toml",
        "conf/flyway.conf",
        "src/main/resources/db/migration",
        "db/migration",
        "migrations",
        "sql",
    ],
    beside: CONFS,
    scope: Some(scope),
    convert,
    bookkeeping: Some(&history::BOOKKEEPING),
};

const CONFS: &[&str] = &["flyway.toml", "flyway.conf", "conf/flyway.toml", "conf/flyway.conf"];

/// Where Flyway looks for `classpath:` in a project of Maven or Gradle.
const RESOURCES: &str = "src/main/resources";

/// The folders that the configuration names.
fn scope(input: &Input) -> Result<Vec<String>> {
    let conf = configuration(input)?;
    let usual = match input.get(input.place) {
        Some(_) if conf.get("locations").is_none() => vec!["sql".to_owned()],
        Some(_) => Vec::new(),
        None => vec![input.place.to_owned()],
    };
    Ok(usual.into_iter().chain(locations(&conf, input)?).collect())
}

/// The configuration: the place itself, or the first that lies in it or at the top.
fn configuration(input: &Input) -> Result<Conf> {
    let inside = CONFS
        .iter()
        .map(|name| if input.place.is_empty() { (*name).to_owned() } else { format!("{}/{name}", input.place) });
    let candidates =
        std::iter::once(input.place.to_owned()).chain(inside).chain(CONFS.iter().map(|name| (*name).to_owned()));
    match candidates.into_iter().find_map(|path| input.get(&path)) {
        Some(file) => Conf::parse(file.path, &file.text()?),
        None => Ok(Conf::default()),
    }
}

/// The folders of `locations`, relative to the project; only where the place is the configuration itself.
fn locations(conf: &Conf, input: &Input) -> Result<Vec<String>> {
    if input.get(input.place).is_none() {
        return Ok(Vec::new());
    }
    let folder = conf.path.rsplit_once('/').map_or("", |(folder, _)| folder);
    let top = folder.strip_suffix("conf").map_or(folder, |top| top.trim_end_matches('/'));
    let fault = |error: Error| error.at(Location::new(&conf.path, conf.line("locations"), 0));
    let one = |location: &str| match location.split_once(':') {
        Some(("classpath", path)) => join(RESOURCES, path.trim_start_matches('/')),
        Some(("filesystem", path)) => join(top, path),
        Some((scheme, _)) => Err(Error::failed(format!("the location scheme `{scheme}:` cannot be read"))
            .help("copy its files into the project, and name the folder")),
        None => join(RESOURCES, location.trim_start_matches('/')),
    };
    conf.list("locations").into_iter().map(|location| one(location).map_err(fault)).collect()
}

fn convert(input: &Input) -> Result<Imported> {
    let conf = configuration(input)?;
    let mut faults = Vec::new();
    let mut files = Vec::new();
    for place in scope(input)? {
        files.extend(
            Input { files: input.files, place: &place }.below(&mut faults).into_iter().map(|file| file.path.to_owned()),
        );
    }
    let mut seen = BTreeSet::new();
    let files: Vec<ToolFile> =
        files.iter().filter(|path| seen.insert((*path).clone())).filter_map(|path| input.get(path)).collect();
    let mut converter = Converter {
        naming: conf.naming(),
        placeholders: Placeholders::of(&conf)?,
        files,
        conf: &conf,
        out: Imported::default(),
        faults,
    };
    converter.run();
    match Error::all(converter.faults) {
        Some(error) => Err(error),
        None => Ok(converter.out),
    }
}

/// A script, read as its own configuration says.
struct Script<'a> {
    file: ToolFile<'a>,
    named: Named,
    /// As Flyway reads it.
    original: String,
    /// With dbbuild's placeholders.
    text: String,
    transaction: bool,
    header: Vec<String>,
    /// The script and the configuration beside it.
    origins: Vec<String>,
}

struct Converter<'a> {
    naming: Naming,
    placeholders: Placeholders,
    files: Vec<ToolFile<'a>>,
    conf: &'a Conf,
    out: Imported,
    faults: Vec<Error>,
}

impl<'a> Converter<'a> {
    fn run(&mut self) {
        let mut versioned: BTreeMap<Version, Script> = BTreeMap::new();
        let mut undo: BTreeMap<Version, Script> = BTreeMap::new();
        let mut baselines: BTreeMap<Version, Script> = BTreeMap::new();
        let (mut repeatable, mut callbacks) = (Vec::new(), Vec::new());
        for script in self.scripts() {
            let (map, version) = match &script.named.kind {
                Kind::Versioned(version, _) => (&mut versioned, version.clone()),
                Kind::Undo(version) => (&mut undo, version.clone()),
                Kind::Baseline(version, _) => (&mut baselines, version.clone()),
                Kind::Repeatable => {
                    repeatable.push(script);
                    continue;
                }
                Kind::Callback(_) => {
                    callbacks.push(script);
                    continue;
                }
            };
            if let Some(first) = map.get(&version) {
                let message = format!("has the version of {}", first.file.path);
                self.faults.push(script.file.fault(message).help("Flyway takes each version once; rename one of them"));
                continue;
            }
            map.insert(version, script);
        }
        self.baselines(baselines, &mut versioned);
        self.migrations(versioned, undo);
        self.repeatable(repeatable);
        self.callbacks(callbacks);
        self.configured();
    }

    /// Reads every script; what Flyway passes over is told.
    fn scripts(&mut self) -> Vec<Script<'a>> {
        let mut scripts = Vec::new();
        for file in self.files.clone() {
            let name = file.name.rsplit('/').next().unwrap_or(file.name);
            if name.ends_with(".conf") || CONFS.contains(&name) {
                self.lone_conf(&file);
                continue;
            }
            match name::parse(name, &self.naming) {
                Some(Ok(named)) => match self.script(&file, named) {
                    Ok(Some(script)) => scripts.push(script),
                    Ok(None) => {}
                    Err(error) => self.faults.push(error),
                },
                Some(Err(why)) => {
                    let help = "name it as Flyway wants it, if it was meant to run";
                    self.out.remarks.push(Remark::file(file.path, format!("Flyway passes it over: {why}"), help));
                }
                None => self.stranger(&file, name),
            }
        }
        scripts
    }

    /// A file that is no SQL, though its name may be one of a migration.
    fn stranger(&mut self, file: &ToolFile, name: &str) {
        let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
        let as_sql = Naming { suffixes: vec![String::new()], ..self.naming.clone() };
        if !stem.contains(&self.naming.separator) {
            return;
        }
        if let Some(Ok(Named { kind: Kind::Versioned(..) | Kind::Repeatable | Kind::Undo(_), .. })) =
            name::parse(stem, &as_sql)
        {
            self.faults.push(
                file.fault("is a migration that is not SQL")
                    .help("write it in SQL under the same version, or move it away where nothing of it is missed"),
            );
        }
    }

    /// The configuration of a script that is not there.
    fn lone_conf(&mut self, file: &ToolFile) {
        let script = file.path.strip_suffix(".conf").unwrap_or(file.path);
        let known = self.files.iter().any(|other| other.path == script);
        if !known && file.path != self.conf.path {
            self.out.remarks.push(Remark::file(file.path, "there is no such script: left as it is", ""));
        }
    }

    fn script(&mut self, file: &ToolFile<'a>, named: Named) -> Result<Option<Script<'a>>> {
        let conf_path = format!("{}.conf", file.path);
        let conf = match self.files.iter().find(|other| other.path == conf_path) {
            Some(conf) => Conf::parse(conf.path, &conf.text()?)?,
            None => Conf::default(),
        };
        for (key, value, line) in conf.keys() {
            match key {
                "executeintransaction" | "encoding" | "placeholderreplacement" => {}
                "shouldexecute" if value == "true" => {}
                "shouldexecute" if value == "false" => {
                    self.out.remarks.push(Remark::file(file.path, "is never to be executed: left as it is", ""));
                    return Ok(None);
                }
                "shouldexecute" => {
                    return Err(Error::failed(format!("`shouldExecute` is `{value}`"))
                        .at(Location::new(&conf.path, line, 0))
                        .help("take the script out, or set it to true and write `-- dbbuild:env NAME` into the migration afterwards"));
                }
                _ => {
                    let what = format!("`{key}` is not carried over");
                    self.out.remarks.push(Remark::line(&conf.path, line, what, ""));
                }
            }
        }
        if !file.path.ends_with(".sql") && self.naming.suffixes.is_empty() {
            let what = "does not end in `.sql`: Flyway takes it only where `sqlMigrationSuffixes` says so";
            self.out.remarks.push(Remark::file(file.path, what, "remove the migration if Flyway never ran it"));
        }
        let encoding = conf.get("encoding").or_else(|| self.conf.get("encoding"));
        let original = text::decoded(file.path, &file.bytes, encoding)?;
        let usual = self.conf.truth("executeintransaction", true)?;
        let transaction = conf.truth("executeintransaction", usual)?;
        let active = conf.truth("placeholderreplacement", self.placeholders.active)?;
        let mut origins = vec![file.path.to_owned()];
        origins.extend(Some(conf.path.clone()).filter(|path| !path.is_empty()));
        let text = if active { self.replaced(file, &original)? } else { original.clone() };
        let header = Vec::new();
        Ok(Some(Script { file: file.clone(), named, original, text, transaction, header, origins }))
    }

    fn replaced(&mut self, file: &ToolFile, text: &str) -> Result<String> {
        let table = self.conf.get("table").unwrap_or(history::TABLE).to_owned();
        let schema = self.schemas().first().map_or("public", String::as_str).to_owned();
        let name = file.name.rsplit('/').next().unwrap_or(file.name).to_owned();
        let own = move |key: &str| match key {
            "table" => Some(table.clone()),
            "defaultSchema" => Some(schema.clone()),
            "filename" => Some(name.clone()),
            _ => None,
        };
        let (text, unknown) = self.placeholders.converted(file.path, text, own)?;
        for unknown in unknown {
            let what = format!("no configuration gives the placeholder `{}` a value", unknown.name);
            let help = format!(
                "set the environment variable {}, or write its value into dbbuild.toml",
                variable(&unknown.name)
            );
            self.out.remarks.push(Remark::line(file.path, unknown.line, what, help));
        }
        Ok(text)
    }

    /// The schemas of the configuration, the default one first.
    fn schemas(&self) -> Vec<String> {
        let first = self.conf.get("defaultschema").map(str::to_owned);
        let mut schemas: Vec<String> = first.into_iter().collect();
        schemas.extend(self.conf.list("schemas").into_iter().map(str::to_owned));
        let mut seen = BTreeSet::new();
        schemas.retain(|schema| seen.insert(schema.clone()));
        schemas
    }

    /// The newest baseline stands for the versions up to it, where there are none.
    fn baselines(&mut self, baselines: BTreeMap<Version, Script<'a>>, versioned: &mut BTreeMap<Version, Script<'a>>) {
        let newest = baselines.keys().next_back().cloned();
        let before = newest.as_ref().is_some_and(|newest| versioned.keys().any(|version| version <= newest));
        for (version, script) in baselines {
            if Some(&version) == newest.as_ref() && !before {
                versioned.insert(version, script);
                continue;
            }
            let what = "is a baseline of versions that are there: left as it is, db/baseline.sql takes its place";
            let help = if before { "" } else { "a newer one is used" };
            self.out.remarks.push(Remark::file(script.file.path, what, help));
        }
    }

    fn migrations(&mut self, versioned: BTreeMap<Version, Script<'a>>, mut undo: BTreeMap<Version, Script<'a>>) {
        let written = |script: &Script| match &script.named.kind {
            Kind::Versioned(_, written) | Kind::Baseline(_, written) => written.clone(),
            _ => String::new(),
        };
        let versions: Vec<(Version, String)> =
            versioned.iter().map(|(version, script)| (version.clone(), written(script))).collect();
        let pairs: Vec<(&Version, &str)> = versions.iter().map(|(version, text)| (version, text.as_str())).collect();
        let numbers = name::numbers(&pairs);
        let mut preamble = self.preamble(versioned.values().map(|script| script.text.as_str()));
        let search_path = self.search_path();
        if let Some(first) = versioned.values().next().filter(|_| !preamble.is_empty()) {
            let what = "begins with what Flyway makes by itself: its schemas, its own table where a script names that";
            self.out.remarks.push(Remark::line(first.file.path, 1, what, ""));
        }
        for ((version, script), number) in versioned.into_iter().zip(numbers) {
            let baseline = matches!(script.named.kind, Kind::Baseline(..));
            let checksum = (!baseline).then(|| text::checksum(&script.original));
            let keys = vec![Key { key: version.key(), checksum }];
            let mut origins = script.origins.clone();
            let mut header = self.header(&script);
            let front = format!("{search_path}{}", std::mem::take(&mut preamble));
            let up = part(&script, &front);
            let down = undo.remove(&version).map(|script| {
                origins.extend(script.origins.iter().cloned());
                header.extend(self.header(&script));
                part(&script, &search_path)
            });
            header.dedup();
            let name = file_name(&script.named.description);
            self.out.migrations.push(Piece {
                number: Some(number),
                name,
                body: Body::Parts { header, up, down },
                origins,
                keys,
            });
        }
        for script in undo.into_values() {
            let what = "takes back a version that is not there: left as it is";
            self.out.remarks.push(Remark::file(script.file.path, what, ""));
        }
    }

    /// Directives of a script.
    fn header(&self, script: &Script) -> Vec<String> {
        let mut header = script.header.clone();
        if !self.placeholders.used.is_empty()
            && script.text == script.original
            && Placeholders::looks_like(&script.text)
        {
            header.push("placeholders false".to_owned());
        }
        header
    }

    /// What Flyway does before the first migration: its schemas, and its table where a script names it.
    fn preamble<'t>(&mut self, mut texts: impl Iterator<Item = &'t str>) -> String {
        let mut front = String::new();
        if self.conf.truth("createschemas", true).unwrap_or(true) {
            let schemas = self.schemas();
            let made = schemas.iter().filter(|schema| *schema != "public");
            made.for_each(|schema| front.push_str(&format!("CREATE SCHEMA IF NOT EXISTS {};\n", identifier(schema))));
        }
        let table = self.conf.get("table").unwrap_or(history::TABLE);
        if texts.any(|text| text.to_ascii_lowercase().contains(&table.to_ascii_lowercase())) {
            front.push_str(&history::stand_in(&if table == history::TABLE {
                table.to_owned()
            } else {
                identifier(table)
            }));
        }
        front
    }

    /// Flyway works in the default schema.
    fn search_path(&self) -> String {
        match self.schemas().first().filter(|schema| *schema != "public") {
            Some(schema) => format!("SET search_path TO {}, \"$user\", public;\n", identifier(schema)),
            None => String::new(),
        }
    }
}

/// The environment variable from which Flyway takes a placeholder.
fn variable(name: &str) -> String {
    let plain: String =
        name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' }).collect();
    format!("FLYWAY_PLACEHOLDERS_{plain}")
}

/// A script behind some text of ours; unchanged it keeps its bytes.
fn part(script: &Script, front: &str) -> Part {
    let unchanged =
        front.is_empty() && script.text == script.original && std::str::from_utf8(&script.file.bytes).is_ok();
    let bytes = if unchanged {
        script.file.bytes.clone()
    } else {
        Arc::from(format!("{front}{}", script.text.trim_start_matches('\u{feff}')).into_bytes())
    };
    Part { bytes, transaction: script.transaction }
}

/// What stands behind the version in dbbuild's name of a file.
fn file_name(description: &str) -> String {
    if description.is_empty() { "migration".to_owned() } else { description.to_owned() }
}
