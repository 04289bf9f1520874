//! The project: the folder with `dbbuild.toml`, its configuration, its repository, and its sources from any source.

use crate::engine::cache::Cache;
use crate::engine::files;
use crate::engine::git::{Git, Listed, ObjectFormat, Source};
use crate::error::{Error, OrFailed, Result};
use crate::model::apart;
use crate::model::checksum::Checksum;
use crate::model::config::{Config, FILE_NAME};
use crate::model::hba;
use crate::model::migration;
use crate::model::snapshot::{FileEntry, Snapshot};
use crate::model::sources::Sources;
use std::path::{Path, PathBuf};

/// A folder with a configuration file.
pub struct Project {
    /// The folder.
    pub root: PathBuf,
    /// The name of the configuration file inside it.
    pub config_name: String,
    /// The configuration of the work tree.
    pub config: Config,
    /// The repository around it, if there is one.
    pub git: Option<Git>,
    /// What was found out before.
    pub cache: Cache,
}

/// A set of files to judge, by name and object id; their content is read on demand.
pub struct Tree {
    /// The configuration that stands beside the files.
    pub config: Config,
    listed: Vec<Listed>,
    snapshot: Option<Snapshot>,
}

impl Project {
    /// Finds the project around `start`: the folder itself or the nearest one above it that holds `dbbuild.toml`.
    ///
    /// # Errors
    /// There is none, or its configuration is wrong (both exit status 2).
    pub fn find(start: &Path, config: Option<&Path>) -> Result<Project> {
        let file = match config {
            Some(path) => {
                let path = start.join(path);
                if !path.is_file() {
                    return Err(Error::usage(format!("there is no configuration file {}", path.display())));
                }
                path
            }
            None => search(start)?,
        };
        let root = file.parent().unwrap_or(start).to_path_buf();
        let root = if root.as_os_str().is_empty() { PathBuf::from(".") } else { root };
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let bytes =
            std::fs::read(&file).map_err(|e| Error::usage(format!("cannot read {}", file.display())).cause(e))?;
        let config = parse_config(&bytes, &name)?;
        let git = Git::open(&root)?;
        let cache = Cache::below(git.as_ref().map(Git::common_dir));
        Ok(Project { root, config_name: name, config, git, cache })
    }

    /// Whether a folder, or one above it, holds a configuration.
    pub fn exists(start: &Path) -> bool {
        search(start).is_ok()
    }

    /// A project in a folder whose configuration is not written yet.
    ///
    /// # Errors
    /// The repository around the folder cannot be read.
    pub fn unwritten(root: &Path, config: Config) -> Result<Project> {
        let git = Git::open(root)?;
        let cache = Cache::below(git.as_ref().map(Git::common_dir));
        Ok(Project { root: root.to_path_buf(), config_name: FILE_NAME.to_owned(), config, git, cache })
    }

    /// The repository.
    ///
    /// # Errors
    /// There is none (exit status 2).
    pub fn git(&self) -> Result<&Git> {
        self.git.as_ref().ok_or_else(|| {
            Error::usage(format!("{} is not in a git repository", self.root.display()))
                .help("run `git init` and `dbbuild init` there; or judge the files with `dbbuild verify --worktree`.")
        })
    }

    /// The sources as they lie on disk.
    ///
    /// # Errors
    /// All faults of files, names and directives.
    pub fn sources(&self) -> Result<Sources> {
        self.sources_with(&[])
    }

    /// The same with further files, as if they lay on disk: paths from the project's folder, and their texts.
    ///
    /// # Errors
    /// As [`Project::sources`].
    pub fn sources_with(&self, more: &[(String, String)]) -> Result<Sources> {
        let mut snapshot = self.on_disk(&paths(&self.config))?;
        for (path, text) in more {
            snapshot.insert(path.clone(), FileEntry::blob(text.as_bytes()));
        }
        let sources = Sources::read(&snapshot, &self.config.paths)?;
        check_environments(&sources, &self.config)?;
        Ok(sources)
    }

    /// What the work tree holds; what a sparse checkout leaves out of it is as the index has it.
    fn on_disk(&self, paths: &[String]) -> Result<Snapshot> {
        let mut snapshot = files::read(&self.root, paths)?;
        let Some(git) = &self.git else { return Ok(snapshot) };
        let mut left_out = git.left_out(paths)?;
        left_out.retain(|entry| snapshot.get(&entry.path).is_none());
        if !left_out.is_empty() {
            git.read(&left_out)?.iter().for_each(|(path, entry)| snapshot.insert(path.to_owned(), entry.clone()));
        }
        Ok(snapshot)
    }

    /// What a source holds, with the configuration that stands there.
    ///
    /// # Errors
    /// It cannot be read, or its configuration is wrong.
    pub fn tree(&self, source: &Source) -> Result<Tree> {
        if *source == Source::WorkTree {
            let config = self.config.clone();
            let mut all = paths(&config);
            all.push(self.config_name.clone());
            let snapshot = self.on_disk(&all)?;
            let format = self.git.as_ref().map_or(ObjectFormat::Sha1, Git::format);
            return Ok(Tree { config, listed: files::listed(&snapshot, format)?, snapshot: Some(snapshot) });
        }
        let git = self.git()?;
        let config = self.config_at(git, source)?;
        let mut all = paths(&config);
        all.push(self.config_name.clone());
        Ok(Tree { config, listed: git.list(source, &all)?, snapshot: None })
    }

    /// The configuration that stands in a source.
    ///
    /// # Errors
    /// It cannot be read, is wrong or is not there.
    pub fn config(&self, source: &Source) -> Result<Config> {
        match source {
            Source::WorkTree => Ok(self.config.clone()),
            _ => self.config_at(self.git()?, source),
        }
    }

    fn config_at(&self, git: &Git, source: &Source) -> Result<Config> {
        self.config_of(git, source)?.ok_or_else(|| {
            Error::usage(format!("{} holds no {}", source.describe(), self.config_name))
                .help(format!("`git add {}`; a check reads the configuration that is committed.", self.config_name))
        })
    }

    fn config_of(&self, git: &Git, source: &Source) -> Result<Option<Config>> {
        let listed = git.list(source, std::slice::from_ref(&self.config_name))?;
        let snapshot = git.read(&listed)?;
        match snapshot.get(&self.config_name) {
            Some(FileEntry::Blob { bytes, .. }) => parse_config(bytes, &self.config_name).map(Some),
            _ => Ok(None),
        }
    }

    /// As [`Project::tree`], for a commit that may be older than the project: `None` where it holds no configuration.
    ///
    /// # Errors
    /// It cannot be read, or its configuration is wrong.
    pub fn tree_if_any(&self, source: &Source) -> Result<Option<Tree>> {
        match self.config_of(self.git()?, source)? {
            Some(_) => self.tree(source).map(Some),
            None => Ok(None),
        }
    }

    /// Whether the index holds something else than HEAD at the paths that matter.
    ///
    /// # Errors
    /// The index or HEAD cannot be read.
    pub fn staged(&self) -> Result<bool> {
        let git = self.git()?;
        // Where the index has HEAD's configuration that one says what matters, whatever stands in the work tree; where it
        // has another, it differs.
        let committed = match git.head().map(|head| self.config_of(git, &Source::Rev(head))) {
            Some(Ok(config)) => config,
            // One that cannot be understood is judged, as a commit may be about to mend it.
            Some(Err(_)) => return Ok(true),
            None => None,
        };
        let mut all = paths(committed.as_ref().unwrap_or(&self.config));
        all.push(self.config_name.clone());
        git.staged(&all)
    }

    /// The sources and the configuration that are other on disk than in HEAD.
    pub fn changed_paths(&self) -> Vec<String> {
        let listed = |source: &Source| self.tree(source).map(|tree| tree.listed).unwrap_or_default();
        let Some(head) = self.git.as_ref().and_then(Git::head) else { return Vec::new() };
        let (here, there) = (listed(&Source::WorkTree), listed(&Source::Rev(head)));
        let mut paths: Vec<String> =
            here.iter().filter(|one| !there.contains(one)).map(|one| one.path.clone()).collect();
        paths.extend(there.iter().filter(|one| !here.contains(one)).map(|one| one.path.clone()));
        paths.sort();
        paths.dedup();
        paths
    }

    /// The commit that is checked out, with a `+` where the sources on disk differ from it.
    pub fn commit(&self) -> Option<String> {
        let git = self.git.as_ref()?;
        let head = git.head()?;
        let here = self.tree(&Source::WorkTree).ok()?;
        let there = self.tree(&Source::Rev(head.clone())).ok();
        let same = there.is_some_and(|there| there.listed == here.listed);
        Some(if same { head } else { format!("{head}+") })
    }
}

impl Tree {
    /// Names this exact set of files and what it is measured against; computed without reading the files.
    pub fn key(&self, against: &str) -> Checksum {
        let mut text = format!("{} {against}", env!("CARGO_PKG_VERSION"));
        for entry in &self.listed {
            text.push_str(&format!("\n{:o} {} {}", entry.mode, entry.id, entry.path.escape_default()));
        }
        Checksum::of_text(&text)
    }

    /// The entry of a path, where there is one.
    pub fn entry(&self, path: &str) -> Option<&Listed> {
        self.listed.iter().find(|entry| entry.path == path)
    }

    /// Reads the sources.
    ///
    /// # Errors
    /// All faults of files, names and directives.
    pub fn sources(&self, project: &Project) -> Result<Sources> {
        let (sources, faults) = self.sound_sources(project)?;
        Error::all(faults).map_or(Ok(()), Err)?;
        check_environments(&sources, &self.config)?;
        Ok(sources)
    }

    /// Leaves of the files only those that the other does not have as well.
    #[must_use]
    pub fn without(mut self, other: &Tree) -> Tree {
        let known: std::collections::HashSet<&Listed> = other.listed.iter().collect();
        self.listed.retain(|entry| !known.contains(entry));
        self
    }

    /// Reads the sources that are sound, with every fault of the others.
    ///
    /// # Errors
    /// git cannot read a file.
    pub fn sound_sources(&self, project: &Project) -> Result<(Sources, Vec<Error>)> {
        let paths = &self.config.paths;
        Ok(match &self.snapshot {
            Some(snapshot) => Sources::read_sound(snapshot, paths),
            None => Sources::read_sound(&project.git()?.read(&self.listed)?, paths),
        })
    }
}

fn parse_config(bytes: &[u8], name: &str) -> Result<Config> {
    let text = std::str::from_utf8(bytes).map_err(|error| migration::not_utf8(name, bytes, error).of_usage())?;
    Config::parse(text, name)
}

fn search(start: &Path) -> Result<PathBuf> {
    let start = start.canonicalize().or_failed(|| format!("cannot open the folder {}", start.display()))?;
    let found = start.ancestors().map(|folder| folder.join(FILE_NAME)).find(|path| path.is_file());
    found.ok_or_else(|| {
        Error::usage(format!("there is no {FILE_NAME} in {} or above it", start.display()))
            .help("run `dbbuild init` in the top folder of your repository; a project in another folder is named by `-C DIR`.")
    })
}

/// Environments that files are limited to must be configured: a slip would keep a migration from ever running.
fn check_environments(sources: &Sources, config: &Config) -> Result<()> {
    let known: Vec<&str> = config.env.keys().map(String::as_str).collect();
    Error::all(apart::faults(sources.apart.iter(), &known)).map_or(Ok(()), Err)
}

/// Every path of the configuration, and where environments may have an access file of their own.
pub fn paths(config: &Config) -> Vec<String> {
    config
        .paths
        .all()
        .iter()
        .map(|(_, path)| (*path).to_owned())
        .chain(access_files(config).into_iter().skip(1))
        .collect()
}

/// Where access files may stand: the common one, and each environment's own.
pub fn access_files(config: &Config) -> Vec<String> {
    let common = &config.paths.hba;
    let own = config.env.keys().map(|name| hba::of_environment(common, name));
    std::iter::once(common.clone()).chain(own).collect()
}
