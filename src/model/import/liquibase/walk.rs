//! From the root changelog through everything that it includes: the changesets in Liquibase's order.

mod inline;

use std::collections::{BTreeMap, BTreeSet};

use super::changeset::{ChangeSet, with_semicolons};
use super::element::{self, Element};
use super::formatted::{self, Told};
use super::precondition;
use crate::error::{Error, Location, Result};
use crate::model::import::input::{ToolFile, join};
use crate::model::import::{Input, Remark};

/// What the walk found.
#[derive(Debug, Default)]
pub struct Walked {
    /// In order.
    pub changesets: Vec<ChangeSet>,
    /// Properties: the first value of a name counts.
    pub parameters: BTreeMap<String, String>,
    /// What is not carried over, and which changelogs were read.
    pub remarks: Vec<Remark>,
    /// The bookkeeping table, where it has another name.
    pub table: Option<String>,
}

/// The usual names of a root changelog in a folder.
const ROOTS: &[&str] = &[
    "db.changelog-master",
    "db.changelog-root",
    "db.changelog",
    "changelog-master",
    "changelog-root",
    "master",
    "root",
    "changelog",
];

const ENDINGS: &[&str] = &["yaml", "yml", "xml", "json", "sql"];

/// Walks from the place: a root changelog, `liquibase.properties`, or a folder.
pub fn walk(input: &Input) -> Result<Walked> {
    let mut walker = Walker {
        input,
        out: Walked::default(),
        faults: Vec::new(),
        open: Vec::new(),
        root: String::new(),
        read: BTreeSet::new(),
    };
    input.below(&mut walker.faults);
    let mut place = input.place.to_owned();
    if let Some(file) = input.get(&place).filter(|file| file.name.ends_with(".properties")) {
        place = walker.properties(&file)?;
    }
    match (input.get(&place), root_in(input, &place)) {
        (Some(file), _) => walker.start(file.path),
        (None, Some(root)) => walker.start(&root),
        // No root: the files themselves, as an `includeAll` takes them.
        (None, None) => walker.all(&place, &[]),
    }
    for path in std::mem::take(&mut walker.read) {
        walker.out.remarks.push(Remark::file(&path, "was read: it is the order of what it includes", ""));
    }
    match Error::all(walker.faults) {
        Some(error) => Err(error),
        None => Ok(walker.out),
    }
}

fn root_in(input: &Input, folder: &str) -> Option<String> {
    let path = |name: &str, ending: &str| {
        let file = format!("{name}.{ending}");
        if folder.is_empty() { file } else { format!("{folder}/{file}") }
    };
    let all = ROOTS.iter().flat_map(|name| ENDINGS.iter().map(move |ending| path(name, ending)));
    all.into_iter().find(|path| input.get(path).is_some())
}

struct Walker<'a> {
    input: &'a Input<'a>,
    out: Walked,
    faults: Vec<Error>,
    /// The changelogs that lead to where the walk is.
    open: Vec<String>,
    /// The folder of the root changelog.
    root: String,
    /// Changelogs of includes.
    read: BTreeSet<String>,
}

impl Walker<'_> {
    /// The changelog and the table that `liquibase.properties` names.
    fn properties(&mut self, file: &ToolFile) -> Result<String> {
        let text = file.text()?;
        let value = |wanted: &str| {
            text.lines().enumerate().find_map(|(index, line)| {
                let (key, value) = line.trim().split_once(['=', ':'])?;
                let key: String = key.trim().chars().filter(|c| !matches!(c, '-' | '.')).collect();
                let key = key
                    .to_ascii_lowercase()
                    .trim_start_matches("liquibasecommand")
                    .trim_start_matches("liquibase")
                    .to_owned();
                (key == wanted).then(|| (value.trim().to_owned(), index + 1))
            })
        };
        if let Some((name, _)) = value("databasechangelogtablename") {
            self.out.table = Some(name.to_ascii_lowercase());
        }
        let Some((path, line)) = value("changelogfile") else {
            return Err(file
                .fault("names no changelog")
                .help("name the root changelog: `dbbuild init --from liquibase PATH`"));
        };
        let at = || Location::new(file.path, line, 0);
        let what = "was read for the changelog; addresses and users stay there";
        self.out.remarks.push(Remark::file(file.path, what, ""));
        let folder = file.path.rsplit_once('/').map_or("", |(folder, _)| folder);
        let path = join(folder, path.trim_start_matches("classpath:")).map_err(|error| error.at(at()))?;
        match self.input.get(&path) {
            Some(_) => Ok(path),
            None => Err(Error::failed(format!("there is no changelog {path}")).at(at())),
        }
    }

    fn start(&mut self, path: &str) {
        self.root = path.rsplit_once('/').map_or("", |(folder, _)| folder).to_owned();
        self.changelog(path, &[]);
    }

    fn keep<T>(&mut self, result: Result<T>) -> Option<T> {
        result.map_err(|error| self.faults.push(error)).ok()
    }

    /// Reads one changelog.
    fn changelog(&mut self, path: &str, contexts: &[String]) {
        let Some(file) = self.input.get(path) else {
            self.faults.push(Error::failed("there is no such file").at(Location::file(path)));
            return;
        };
        let text = match file.text() {
            Ok(text) => text.into_owned(),
            Err(error) => return self.faults.push(error),
        };
        self.open.push(path.to_owned());
        let ending = path.rsplit_once('.').map_or("", |(_, ending)| ending).to_ascii_lowercase();
        match ending.as_str() {
            "sql" if formatted::is_formatted(&text) => self.formatted(path, &text, contexts),
            "sql" => self.raw(path, &text, contexts),
            "xml" | "yaml" | "yml" | "json" => self.tree(path, &text, contexts),
            _ => self
                .faults
                .push(file.fault("is a changelog in a format that is not read").help("XML, YAML, JSON and SQL are")),
        }
        self.open.pop();
    }

    fn formatted(&mut self, path: &str, text: &str, contexts: &[String]) {
        let Some(found) = self.keep(formatted::parse(path, text)) else { return };
        for (line, name, value, global) in found.properties {
            self.parameter(path, line, name, value, global);
        }
        self.tell(path, found.told);
        if found.changesets.is_empty() {
            self.out.remarks.push(Remark::file(path, "holds no changeset that is carried over", ""));
        }
        for mut set in found.changesets {
            set.contexts.extend(contexts.iter().cloned());
            self.push(set);
        }
    }

    /// A file of SQL that is not formatted is one changeset, as Liquibase names it.
    fn raw(&mut self, path: &str, text: &str, contexts: &[String]) {
        let mut set = empty(path, 1);
        (set.id, set.author) = ("raw".to_owned(), "includeAll".to_owned());
        set.contexts = contexts.to_vec();
        set.changes = vec![text.to_owned()];
        set.sql = with_semicolons(text, None);
        self.push(set);
    }

    fn push(&mut self, mut set: ChangeSet) {
        set.changes.iter_mut().for_each(|change| *change = expanded(change, &self.out.parameters));
        self.out.changesets.push(set);
    }

    fn parameter(&mut self, path: &str, line: usize, name: String, value: String, global: bool) {
        let known = self.out.parameters.get(&name).cloned();
        if !global && known.as_ref().is_some_and(|known| *known != value) {
            let what = format!("the property `{name}` has another value here, which is not carried over");
            self.out.remarks.push(Remark::line(path, line, what, "write the value into the SQL"));
        }
        self.out.parameters.entry(name).or_insert(value);
    }

    fn tell(&mut self, path: &str, told: Vec<Told>) {
        let remarks = told.into_iter().map(|(line, what, help)| Remark::line(path, line, what, help));
        self.out.remarks.extend(remarks);
    }

    fn tree(&mut self, path: &str, text: &str, contexts: &[String]) {
        let Some(root) = self.keep(element::parse(path, text)) else { return };
        let logical = root.get("logicalFilePath").map(str::to_owned);
        self.read.insert(path.to_owned());
        for child in &root.children {
            let at = || Location::new(path, child.line, 0);
            match child.name.as_str() {
                "property" => self.property(path, child),
                "include" | "includeAll" => self.include(path, child, contexts),
                "changeSet" => {
                    let set = self.changeset(path, child, logical.as_deref(), contexts);
                    if let Some(Some(set)) = self.keep(set) {
                        self.push(set);
                    }
                }
                "preConditions" => {
                    let mut told = Vec::new();
                    match precondition::read(path, child, &mut told) {
                        Ok(found) if found.is_empty() => {}
                        _ => {
                            let what = "preconditions of a whole changelog are not carried over";
                            self.out.remarks.push(Remark::line(path, child.line, what, ""));
                        }
                    }
                }
                "logicalFilePath" | "objectQuotingStrategy" | "changeLogId" => {}
                other => self.faults.push(Error::failed(format!("`{other}` is not understood")).at(at())),
            }
        }
    }

    fn property(&mut self, path: &str, element: &Element) {
        if element.get("dbms").is_some_and(|dbms| !super::for_postgresql(dbms)) {
            return;
        }
        match (element.get("name"), element.get("value")) {
            (Some(name), Some(value)) => {
                let global = element.get("global").is_none_or(|global| global != "false");
                self.parameter(path, element.line, name.to_owned(), value.to_owned(), global);
            }
            _ => {
                let what = "a property without name and value (of a file of properties?) is not carried over";
                let help = "write its values into [placeholders] of dbbuild.toml";
                self.out.remarks.push(Remark::line(path, element.line, what, help));
            }
        }
    }

    fn include(&mut self, path: &str, element: &Element, contexts: &[String]) {
        let at = || Location::new(path, element.line, 0);
        let key = if element.name == "include" { "file" } else { "path" };
        let Some(written) = element.get(key) else {
            self.faults.push(Error::failed(format!("`{}` names no {key}", element.name)).at(at()));
            return;
        };
        let mut contexts = contexts.to_vec();
        contexts.extend(element.get("contextFilter").or_else(|| element.get("context")).map(str::to_owned));
        for option in ["labels", "filter", "resourceComparator", "endsWithFilter", "minDepth", "maxDepth"] {
            if element.get(option).is_some() {
                let what = format!("`{option}` is not carried over");
                self.out.remarks.push(Remark::line(
                    path,
                    element.line,
                    what,
                    "look whether more was taken than Liquibase takes",
                ));
            }
        }
        let folder = element.name == "includeAll";
        let Some(target) = self.keep(self.find(path, element, written, folder).map_err(|error| error.at(at()))) else {
            return;
        };
        let Some(target) = target else {
            let optional =
                element.get("errorIfMissing").or_else(|| element.get("errorIfMissingOrEmpty")) == Some("false");
            let message = format!("there is no `{}`", written.escape_debug());
            if optional {
                self.out.remarks.push(Remark::line(path, element.line, message, ""));
            } else {
                self.faults.push(
                    Error::failed(message)
                        .at(at())
                        .help("name the folder that holds all changelogs, or restore the file"),
                );
            }
            return;
        };
        if self.open.contains(&target) {
            let error = Error::failed(format!("{target} includes itself")).at(at());
            self.faults.push(error.detail(self.open.join("\n")));
        } else if folder {
            self.all(&target, &contexts);
        } else {
            self.changelog(&target, &contexts);
        }
    }

    /// The path that an include means: beside its changelog, or where Liquibase's search path may begin.
    fn find(&self, path: &str, element: &Element, written: &str, folder: bool) -> Result<Option<String>> {
        let beside = path.rsplit_once('/').map_or("", |(folder, _)| folder);
        let plain = written.strip_prefix("classpath:").unwrap_or(written).trim_start_matches('/');
        let there = |path: &String| {
            if folder { self.input.files.under(path).next().is_some() } else { self.input.get(path).is_some() }
        };
        if element.get("relativeToChangelogFile") == Some("true") {
            return Ok(Some(join(beside, plain)?).filter(there));
        }
        let mut top = Some(self.root.as_str());
        join(beside, plain)?;
        while let Some(start) = top {
            if let Some(found) = Some(join(start, plain)?).filter(there) {
                return Ok(Some(found));
            }
            top = if start.is_empty() { None } else { Some(start.rsplit_once('/').map_or("", |(up, _)| up)) };
        }
        Ok(None)
    }

    /// Every changelog below a folder, by path.
    fn all(&mut self, folder: &str, contexts: &[String]) {
        let ending = |path: &str| path.rsplit_once('.').map_or("", |(_, ending)| ending).to_ascii_lowercase();
        let paths: Vec<String> = self.input.files.under(folder).map(|(path, _)| path.to_owned()).collect();
        for path in paths.iter().filter(|path| ENDINGS.contains(&ending(path).as_str())) {
            if self.open.contains(path) {
                continue;
            }
            self.changelog(path, contexts);
        }
    }
}

fn empty(path: &str, line: usize) -> ChangeSet {
    ChangeSet {
        id: String::new(),
        author: String::new(),
        path: path.to_owned(),
        file: path.to_owned(),
        line,
        run_on_change: false,
        run_always: false,
        transaction: true,
        contexts: Vec::new(),
        preconditions: Vec::new(),
        sql: String::new(),
        changes: Vec::new(),
        rollback: None,
        any_checksum: false,
        others: Vec::new(),
    }
}

/// The text with the values that are known.
fn expanded(text: &str, parameters: &BTreeMap<String, String>) -> String {
    parameters.iter().fold(text.to_owned(), |text, (name, value)| text.replace(&format!("${{{name}}}"), value))
}
