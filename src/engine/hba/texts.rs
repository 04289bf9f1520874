//! The texts that a judgement of access is about: access files with what they take in, expectations, roles; from the work
//! tree, or from what git holds.

use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;

use crate::engine::git::Source;
use crate::engine::project::{self, Project, Tree};
use crate::engine::roles;
use crate::error::{Error, Location, Result};
use crate::model::access::{self, Expectation};
use crate::model::checksum::{Checksum, Digest};
use crate::model::config::Config;
use crate::model::hba::{self, Files, Known};
use crate::model::migration;
use crate::model::snapshot::FileEntry;

/// Where they are read from.
pub struct Texts<'a> {
    project: &'a Project,
    config: &'a Config,
    source: &'a Source,
    /// What the source holds at the paths of the configuration, where that was listed.
    tree: Option<&'a Tree>,
}

/// Everything that is judged.
pub struct Question {
    /// The files, each with the environments that it counts for.
    pub files: Vec<(Files, Vec<String>)>,
    /// What is expected of them.
    pub expectations: Vec<Expectation>,
    /// Who is a member of what.
    pub known: Known,
    /// Names all of it, and what the server is that judges.
    pub key: Checksum,
}

impl<'a> Texts<'a> {
    /// What a source holds.
    pub fn of(project: &'a Project, tree: &'a Tree, source: &'a Source) -> Texts<'a> {
        Texts { project, config: &tree.config, source, tree: Some(tree) }
    }

    /// The files as they lie on disk.
    pub fn on_disk(project: &'a Project) -> Texts<'a> {
        Texts { project, config: &project.config, source: &Source::WorkTree, tree: None }
    }

    /// An access file with what it takes in; `None` where there is none.
    ///
    /// # Errors
    /// It cannot be read, or takes in what lies elsewhere.
    pub fn files(&self, path: &str) -> Result<Option<Files>> {
        hba::gather(path, &|path| self.read(path), &|folder| self.list(folder))
    }

    /// The access file of an environment: its own, else the common one.
    ///
    /// # Errors
    /// As [`Texts::files`].
    pub fn of_environment(&self, environment: &str) -> Result<Option<Files>> {
        let common = &self.config.paths.hba;
        match self.files(&hba::of_environment(common, environment))? {
            Some(files) => Ok(Some(files)),
            None => self.files(common),
        }
    }

    /// Everything about the files of one environment, or of all.
    ///
    /// # Errors
    /// Something cannot be read, the expectations or the roles file are wrong, or the environment has no file.
    pub fn question(&self, environment: Option<&str>) -> Result<Question> {
        let files = match environment {
            Some(name) => {
                self.config.environment(name)?;
                let files = self.of_environment(name)?.ok_or_else(|| self.no_file(name))?;
                vec![(files, vec![name.to_owned()])]
            }
            None => self.all()?,
        };
        let (paths, environments) = (&self.config.paths, self.config.env.keys().map(String::as_str));
        let (expected, roles) = (self.read(&paths.access)?, self.read(&paths.roles)?);
        let pg = &self.config.postgres;
        let mut digest = Digest::new("dbbuild access 1");
        digest.field(format!("{:?} {:?} {:?} {:?}", pg.version, pg.throwaway, pg.image, pg.bin_dir).as_bytes());
        for (files, counts_for) in &files {
            digest.field(format!("{} {counts_for:?}", files.main).as_bytes());
            files.texts.iter().for_each(|(path, text)| _ = digest.field(path.as_bytes()).field(text.as_bytes()));
        }
        for text in [&expected, &roles] {
            digest.field(text.as_deref().unwrap_or_default().as_bytes());
        }
        let expectations = match &expected {
            Some(text) => access::parse(text, &paths.access, &environments.collect::<Vec<_>>())?,
            None => Vec::new(),
        };
        let members = match &roles {
            Some(text) => hba::members(&roles::parsed(self.config, text)?),
            None => BTreeMap::new(),
        };
        let known = Known { members, ..Known::default() };
        Ok(Question { files, expectations, known, key: digest.finish() })
    }

    /// Names the files that access files take in, which no path of the configuration does; empty where there are none.
    ///
    /// # Errors
    /// As [`Texts::files`].
    pub fn taken_in(&self) -> Result<String> {
        let mut digest = Digest::new("dbbuild access 1");
        let mut any = false;
        for (files, _) in self.all()? {
            for (path, text) in files.texts.iter().filter(|(path, _)| *path != files.name()) {
                digest.field(path.as_bytes()).field(text.as_bytes());
                any = true;
            }
        }
        Ok(if any { digest.finish().to_string() } else { String::new() })
    }

    /// That there is nothing to judge.
    pub fn no_file(&self, environment: &str) -> Error {
        let common = &self.config.paths.hba;
        let own = hba::of_environment(common, environment);
        Error::failed(format!("there is no {common}, and no {own}"))
            .help(format!("write it, or take a server's: `dbbuild hba adopt --env {environment}`."))
    }

    /// Every file that counts for something, by path. An environment without one has nothing to be judged.
    fn all(&self) -> Result<Vec<(Files, Vec<String>)>> {
        let common = &self.config.paths.hba;
        let (mut all, mut others) = (Vec::new(), Vec::new());
        for name in self.config.env.keys() {
            match self.files(&hba::of_environment(common, name))? {
                Some(files) => all.push((files, vec![name.clone()])),
                None => others.push(name.clone()),
            }
        }
        all.extend(self.files(common)?.map(|files| (files, others)));
        all.sort_by(|(one, _), (other, _)| one.main.cmp(&other.main));
        Ok(all)
    }

    /// A file that is named after no environment counts for none, which nobody means.
    ///
    /// # Errors
    /// There are such files.
    pub fn no_strays(&self, question: &Question) -> Result<()> {
        let common = &self.config.paths.hba;
        let all = question.files.iter().flat_map(|(files, _)| files.texts.keys().map(|path| files.path(path)));
        let used: BTreeSet<String> = all.collect();
        let folder = common.rsplit_once('/').map_or("", |(folder, _)| folder);
        let pattern = hba::of_environment(common, "\0");
        let (start, end) = pattern.split_once('\0').unwrap_or((common, ""));
        let mut faults = Vec::new();
        for name in self.list(folder)? {
            let path = if folder.is_empty() { name } else { format!("{folder}/{name}") };
            let named = path.strip_prefix(start).and_then(|rest| rest.strip_suffix(end));
            if let Some(name) = named.filter(|name| !name.is_empty() && !used.contains(&path)) {
                let why = self.config.environment(name).err();
                let fault = Error::failed("this file counts for no environment").at(Location::file(&path));
                let help = why.as_ref().and_then(|why| why.helps().first().cloned()).unwrap_or_default();
                faults.push(fault.cause(why.map_or_else(String::new, |why| why.message().to_owned())).help(help));
            }
        }
        Error::all(faults).map_or(Ok(()), Err)
    }

    /// The text of a file; `None` where there is none.
    fn read(&self, path: &str) -> Result<Option<String>> {
        let bytes = match self.source {
            Source::WorkTree => match std::fs::read(self.project.root.join(path)) {
                Ok(bytes) => bytes,
                Err(e) if matches!(e.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(None),
                Err(e) => return Err(Error::failed(format!("cannot read {path}")).cause(e)),
            },
            held => {
                let git = self.project.git()?;
                let listed = match self.tree.filter(|_| project::paths(self.config).iter().any(|one| one == path)) {
                    Some(tree) => tree.entry(path).cloned().into_iter().collect(),
                    None => git.list(held, &[path.to_owned()])?,
                };
                match git.read(&listed)?.get(path) {
                    Some(FileEntry::Blob { bytes, .. }) => bytes.to_vec(),
                    // A folder of that name lists what is below it.
                    None => return Ok(None),
                    Some(_) => return Err(Error::failed("this is no regular file").at(Location::file(path))),
                }
            }
        };
        String::from_utf8(bytes)
            .map(Some)
            .map_err(|error| migration::not_utf8(path, error.as_bytes(), error.utf8_error()))
    }

    /// The names in a folder.
    fn list(&self, folder: &str) -> Result<Vec<String>> {
        if *self.source == Source::WorkTree {
            // A folder that is not there holds none; one that cannot be read stops whoever reads its files.
            let entries = std::fs::read_dir(self.project.root.join(folder)).into_iter().flatten().flatten();
            return Ok(entries.filter_map(|entry| entry.file_name().into_string().ok()).collect());
        }
        let listed = self.project.git()?.list(self.source, &[folder.to_owned()])?;
        let below = |path: &str| Some(path.strip_prefix(folder)?.strip_prefix('/')?.to_owned());
        Ok(listed.iter().filter_map(|entry| below(&entry.path)).filter(|name| !name.contains('/')).collect())
    }
}
