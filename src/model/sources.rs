//! Everything under `db/` that makes up a database, read from one [`Snapshot`] and checked.
//!
//! No file is skipped silently: what stands in one of the folders is understood, is known not to be ours (a README, a
//! dot file), or is an error; and all errors come at once. Which of the files must run is the plan's to say.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::error::{Error, Location, Result};
use crate::model::checksum::{Checksum, Digest};
use crate::model::config::Paths;
use crate::model::directive::{self, After, FileKind};
use crate::model::migration::{Migration, decode, normalise};
use crate::model::psql;
use crate::model::script::Script;
use crate::model::snapshot::Snapshot;
use crate::model::squash;
use crate::model::version::Version;

mod folder;
mod order;
#[cfg(test)]
mod tests;

use folder::{Reader, SourceFile};

/// A file of SQL that is no migration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScriptFile {
    /// Relative to the repository.
    pub path: String,
    /// Its path below the folder of its kind: file name with ending, in a set or environment `NAME/file.sql`.
    pub name: String,
    /// Over its whole text, and over what psql takes in with it.
    pub checksum: Checksum,
    /// What runs.
    pub script: Script,
    /// `dbbuild:run always`.
    pub run_always: bool,
    /// The names of the files that `dbbuild:after` puts before it.
    pub after: Vec<String>,
    /// `dbbuild:description`.
    pub description: Option<String>,
}

impl ScriptFile {
    /// A file that was not read but is to be written.
    pub fn of_text(path: &str, text: &str) -> ScriptFile {
        ScriptFile {
            path: path.to_owned(),
            name: path.rsplit('/').next().unwrap_or(path).to_owned(),
            checksum: Checksum::of_text(text),
            script: Script::of_file(path, text),
            run_always: false,
            after: Vec::new(),
            description: None,
        }
    }
}

/// All sources of one database.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sources {
    /// In version order, without those that stand apart.
    pub migrations: Vec<Migration>,
    /// Those that the baseline does not hold: limited to environments, or secure. In version order.
    pub apart: Vec<Migration>,
    /// In the order in which they run.
    pub repeatable: Vec<ScriptFile>,
    /// By name.
    pub init: Vec<ScriptFile>,
    /// By environment, then by name.
    pub env_init: BTreeMap<String, Vec<ScriptFile>>,
    /// By set, then by name.
    pub testdata: BTreeMap<String, Vec<ScriptFile>>,
    /// By name.
    pub checks: Vec<ScriptFile>,
    /// By name.
    pub definitions: Vec<ScriptFile>,
    /// The baseline as it is, unchecked.
    pub baseline: Option<Arc<[u8]>>,
    /// The text of the roles file.
    pub roles: Option<Arc<str>>,
    /// The text of the host-based access file.
    pub hba: Option<Arc<str>>,
}

impl Sources {
    /// Reads all sources; the error holds every fault that was found, in the order of the folders and names.
    pub fn read(snapshot: &Snapshot, paths: &Paths) -> Result<Sources> {
        let (sources, faults) = Sources::read_sound(snapshot, paths);
        match Error::all(faults) {
            Some(error) => Err(error),
            None => Ok(sources),
        }
    }

    /// Reads what is sound, with every fault of the rest.
    pub fn read_sound(snapshot: &Snapshot, paths: &Paths) -> (Sources, Vec<Error>) {
        let mut reader = Reader::new(snapshot, paths);
        let (apart, migrations) =
            migrations(&mut reader, &paths.migrations).into_iter().partition(|one| !one.settings.apart.is_none());
        let sources = Sources {
            migrations,
            apart,
            repeatable: repeatable(&mut reader, &paths.repeatable),
            init: scripts(&mut reader, &paths.init, FileKind::Init),
            env_init: grouped(&mut reader, &paths.init, FileKind::Init),
            testdata: grouped(&mut reader, &paths.testdata, FileKind::TestData),
            checks: scripts(&mut reader, &paths.checks, FileKind::Check),
            definitions: scripts(&mut reader, &paths.definitions, FileKind::Definition),
            baseline: reader.file(&paths.baseline),
            roles: text(&mut reader, &paths.roles),
            hba: text(&mut reader, &paths.hba),
        };
        (sources, reader.faults)
    }

    /// Every migration in version order, those that stand apart among them.
    pub fn all_migrations(&self) -> Vec<&Migration> {
        let mut all: Vec<&Migration> = self.migrations.iter().chain(&self.apart).collect();
        all.sort_by(|a, b| a.version.cmp(&b.version));
        all
    }

    /// The migration of a version, wherever it stands.
    pub fn migration(&self, version: &Version) -> Option<&Migration> {
        let find = |list: &'_ [Migration]| list.binary_search_by(|one| one.version.cmp(version)).ok();
        match find(&self.migrations) {
            Some(at) => self.migrations.get(at),
            None => find(&self.apart).and_then(|at| self.apart.get(at)),
        }
    }

    /// The sum over what the baseline is made from: migrations that do not stand apart, repeatable files, init data, and of
    /// the roles file and the configuration what matters. Paths do not count, so that moving `db/` changes nothing.
    pub fn inputs_digest(&self, config_part: &str, roles_part: Option<&str>) -> Checksum {
        let mut digest = Digest::new("dbbuild inputs 1");
        self.add_inputs(&mut digest, config_part, roles_part);
        digest.finish()
    }

    /// The sum over everything that a proof depends on: the inputs of the baseline, migrations that stand apart,
    /// environments' init data, test data, checks, and the baseline itself.
    pub fn proof_digest(&self, config_part: &str, roles_part: Option<&str>) -> Checksum {
        let mut digest = Digest::new("dbbuild proof 1");
        self.add_inputs(&mut digest, config_part, roles_part);
        for (kind, groups) in [("env-init", &self.env_init), ("testdata", &self.testdata)] {
            groups.values().flatten().for_each(|file| entry(&mut digest, kind, &file.name, &file.checksum));
        }
        self.apart.iter().for_each(|file| entry(&mut digest, "apart", &file.label(), &file.checksum));
        self.checks.iter().for_each(|file| entry(&mut digest, "check", &file.name, &file.checksum));
        self.definitions.iter().for_each(|file| entry(&mut digest, "definition", &file.name, &file.checksum));
        if let Some(baseline) = &self.baseline {
            entry(&mut digest, "baseline", "", &Checksum::of_bytes(baseline));
        }
        digest.finish()
    }

    fn add_inputs(&self, digest: &mut Digest, config_part: &str, roles_part: Option<&str>) {
        for migration in &self.migrations {
            entry(digest, "migration", &migration.label(), &migration.sum());
        }
        self.repeatable.iter().for_each(|file| entry(digest, "repeatable", &file.name, &file.checksum));
        self.init.iter().for_each(|file| entry(digest, "init", &file.name, &file.checksum));
        if let Some(roles) = roles_part {
            entry(digest, "roles", "", &Checksum::of_text(roles));
        }
        entry(digest, "config", "", &Checksum::of_text(config_part));
    }
}

fn entry(digest: &mut Digest, kind: &str, name: &str, checksum: &Checksum) {
    digest.field(kind.as_bytes()).field(name.as_bytes()).field(checksum.as_bytes());
}

fn migrations(reader: &mut Reader, folder: &str) -> Vec<Migration> {
    let mut migrations = Vec::new();
    for file in reader.flat(folder, FileKind::Migration) {
        let mut migration = match Migration::parse(&file.path, &file.bytes) {
            Ok(migration) => migration,
            Err(error) => {
                reader.faults.push(error);
                continue;
            }
        };
        match take_in(reader, &mut migration.up) {
            Ok(()) => migrations.push(migration),
            Err(error) => reader.faults.push(error),
        }
    }
    migrations.sort_by(|a, b| a.version.cmp(&b.version).then_with(|| a.path.cmp(&b.path)));
    for pair in migrations.windows(2) {
        if let [first, second] = pair
            && first.version == second.version
        {
            let message = format!("version {} is used twice", second.version);
            let fault = Error::failed(message).at(Location::file(&second.path));
            let other = Location::file(&first.path);
            reader.faults.push(fault.help(format!("{other} has it too; rename the newer one")));
        }
    }
    reader.faults.extend(squash::strays(&migrations));
    migrations
}

/// Finds what a script that psql runs takes in.
fn take_in(reader: &Reader, script: &mut Script) -> Result<()> {
    if script.means.psql.is_some() {
        script.means.psql = Some(Arc::new(psql::included(script, &|path| reader.content(path))?));
    }
    Ok(())
}

fn repeatable(reader: &mut Reader, folder: &str) -> Vec<ScriptFile> {
    let mut files = Vec::new();
    let mut edges = Vec::new();
    for file in reader.flat(folder, FileKind::Repeatable) {
        match script(reader, &file, FileKind::Repeatable) {
            Ok((script, after)) => {
                files.push(script);
                edges.push(after);
            }
            Err(error) => reader.faults.push(error),
        }
    }
    order::sort(files, edges, &mut reader.faults)
}

/// The files that stand in a folder itself; those in its subfolders are [`grouped`]'s.
fn scripts(reader: &mut Reader, folder: &str, kind: FileKind) -> Vec<ScriptFile> {
    let files = reader.flat(folder, kind);
    parse_all(reader, files, kind)
}

fn grouped(reader: &mut Reader, folder: &str, kind: FileKind) -> BTreeMap<String, Vec<ScriptFile>> {
    let groups = reader.grouped(folder, kind);
    let mut scripts = BTreeMap::new();
    for (group, files) in groups {
        let mut files = parse_all(reader, files, kind);
        files.iter_mut().for_each(|file| file.name = format!("{group}/{}", file.name));
        scripts.insert(group, files);
    }
    scripts
}

fn parse_all(reader: &mut Reader, files: Vec<SourceFile>, kind: FileKind) -> Vec<ScriptFile> {
    let mut scripts = Vec::new();
    for file in files {
        match script(reader, &file, kind) {
            Ok((script, _)) => scripts.push(script),
            Err(error) => reader.faults.push(error),
        }
    }
    scripts
}

fn script(reader: &Reader, file: &SourceFile, kind: FileKind) -> Result<(ScriptFile, Vec<After>)> {
    let text = normalise(&file.path, &file.bytes)?;
    let directives = directive::parse(&file.path, &text, kind)?;
    let own = Checksum::of_text(&text);
    let mut script = Script::of_file(file.path.clone(), text);
    script.means.placeholders = directives.placeholders;
    script.means.psql = directives.psql.then(Arc::default);
    take_in(reader, &mut script)?;
    let script = ScriptFile {
        path: file.path.clone(),
        name: file.name.clone(),
        // A change of what it takes in is a change of the file.
        checksum: script.means.psql.as_ref().map_or(own, |included| included.sum(&own)),
        script,
        run_always: directives.run_always,
        after: Vec::new(),
        description: directives.description,
    };
    Ok((script, directives.after))
}

fn text(reader: &mut Reader, path: &str) -> Option<Arc<str>> {
    let bytes = reader.file(path)?;
    match decode(path, &bytes) {
        Ok(text) => Some(Arc::from(text)),
        Err(error) => {
            reader.faults.push(error);
            None
        }
    }
}
