//! The bodies of secure migrations: found under `secure_path` of an environment, checked before anything runs, and
//! written there. What a body must be is [`crate::model::secure`]'s; running it discreetly is the runner's.

mod folder;
mod object;

use crate::engine::project::Project;
use crate::engine::session::environ;
use crate::engine::target::Target;
use crate::error::{Error, Location, Result};
use crate::model::guard::Selected;
use crate::model::migration::Migration;
use crate::model::plan::{Plan, Step};
use crate::model::secure::{self, Place};
use crate::model::version::Version;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::sync::Mutex;

/// Where the bodies of one environment lie, in the order in which they are looked for.
pub struct Places {
    environment: String,
    places: Vec<(Place, Holder)>,
}

/// A place that can be read.
enum Holder {
    Folder(folder::Folder),
    Store(Box<object::Store>),
}

impl Holder {
    fn help(&self) -> Option<String> {
        match self {
            Holder::Folder(_) => None,
            Holder::Store(store) => Some(format!(
                "credentials, region and endpoint come from {}…, in the environment or in .env.",
                store.variables
            )),
        }
    }
}

/// A body that was found.
pub struct Found {
    /// Where, for people.
    pub path: String,
    /// What it holds.
    pub bytes: Vec<u8>,
    place: usize,
}

impl Places {
    /// The places of an environment; none where it has no `secure_path`.
    ///
    /// # Errors
    /// There is no such environment, or a place cannot be used: a folder that git would take in, a store without
    /// credentials.
    pub fn open(project: &Project, environment: &str) -> Result<Places> {
        let environ = environ::read(&project.root, Some(environment))?;
        let mut places = Vec::new();
        for text in &project.config.environment(environment)?.secure_path {
            let place = Place::parse(text).map_err(|why| Error::usage(format!("secure_path `{text}` {why}")))?;
            let holder = match &place {
                Place::Folder(folder) => Holder::Folder(folder::Folder::open(project, folder)?),
                Place::Store { scheme, bucket, prefix } => {
                    Holder::Store(Box::new(object::Store::open(&environ, scheme, bucket, prefix)?))
                }
            };
            places.push((place, holder));
        }
        Ok(Places { environment: environment.to_owned(), places })
    }

    /// Whether the environment has no `secure_path`.
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// The first place that has the body of a migration.
    ///
    /// # Errors
    /// A place cannot be read.
    pub async fn find(&self, migration: &Migration) -> Result<Option<Found>> {
        let name = secure::file_name(migration);
        for (n, (place, holder)) in self.places.iter().enumerate() {
            let found = match holder {
                Holder::Folder(folder) => folder.get(&name),
                Holder::Store(store) => store.get(&name).await,
            };
            let failed = |e: Error| {
                let error = Error::failed(format!("cannot read {}", place.file(&name)));
                let error = e.causes().iter().fold(error.cause(e.message()), |error, cause| error.cause(cause.clone()));
                holder.help().map_or(error.clone(), |help| error.help(help))
            };
            if let Some(bytes) = found.map_err(failed)? {
                return Ok(Some(Found { path: place.file(&name), bytes, place: n }));
            }
        }
        Ok(None)
    }

    /// Writes the body of a migration: where it lies already, else at the first place that takes it. Says where.
    ///
    /// # Errors
    /// No place takes it.
    pub async fn put(&self, migration: &Migration, bytes: &[u8]) -> Result<String> {
        let name = secure::file_name(migration);
        let there = self.find(migration).await?.map(|found| found.place);
        let mut refused = Error::failed(format!("cannot write {name} for {}", self.environment));
        for (n, (place, holder)) in self.places.iter().enumerate() {
            if there.is_some_and(|there| there != n) {
                continue;
            }
            let written = match holder {
                Holder::Folder(folder) => folder.put(&name, bytes),
                Holder::Store(store) => store.put(&name, bytes).await,
            };
            match written {
                Ok(()) => return Ok(place.file(&name)),
                Err(e) => refused = refused.cause(format!("{place}: {}", e.causes().join(": "))),
            }
        }
        if self.is_empty() {
            refused = refused.cause(format!("[env.{}] has no secure_path", self.environment));
        }
        Err(refused.help("nothing was written for this environment."))
    }

    /// The migration with its body.
    ///
    /// # Errors
    /// There is none, or it cannot run.
    pub async fn whole(&self, migration: &Migration) -> Result<Migration> {
        match self.find(migration).await? {
            Some(found) => secure::with_body(migration, &found.path, &found.bytes),
            None => Err(self.missing(migration)),
        }
    }

    /// The error for a body that is nowhere.
    pub fn missing(&self, migration: &Migration) -> Error {
        let places: Vec<String> = self.places.iter().map(|(place, _)| place.to_string()).collect();
        Error::failed(format!("the body of {} for {} is missing", migration.label(), self.environment))
            .at(Location::file(&migration.path))
            .cause(format!("it is in none of: {}", places.join(", ")))
            .help(format!(
                "`dbbuild secure put {} --env {}` writes it; nothing was run.",
                secure::file_name(migration),
                self.environment
            ))
    }
}

/// Bodies that were fetched.
pub type Shelf = Arc<Mutex<BTreeMap<Version, Migration>>>;

/// Puts bodies into plans; each is fetched once.
pub struct Bodies<'a> {
    project: &'a Project,
    selected: &'a Selected,
    fetched: Shelf,
}

impl<'a> Bodies<'a> {
    /// For a database; those of its environment share what was fetched.
    pub fn of(project: &'a Project, target: &'a Target) -> Bodies<'a> {
        let fetched = target.common.as_ref().map_or_else(Shelf::default, |common| common.shelf.clone());
        Bodies { project, selected: &target.selected, fetched }
    }

    /// Puts the bodies of all secure migrations of a plan into the place of their stand-ins. Where the environment has
    /// no `secure_path` the stand-ins run, and that is noted.
    ///
    /// # Errors
    /// A body is missing, cannot be read or cannot run, all of them at once; or the environment is protected and has no
    /// `secure_path`.
    pub async fn fill(&mut self, plan: &mut Plan) -> Result<()> {
        let secure = |step: &Step| match step {
            Step::Migration { migration, .. } if migration.settings.apart.secure => Some(migration.as_ref().clone()),
            _ => None,
        };
        let pending: Vec<Migration> = plan.steps.iter().filter_map(secure).collect();
        if pending.is_empty() {
            return Ok(());
        }
        let mut fetched = self.fetched.lock().await;
        let lacks = |migration: &&Migration| {
            fetched.get(&migration.version).is_none_or(|known| known.checksum != migration.checksum)
        };
        let lacking: Vec<&Migration> = pending.iter().filter(lacks).collect();
        if !lacking.is_empty() {
            let places = Places::open(self.project, &self.selected.name)?;
            if places.is_empty() {
                return self.stand_ins(plan, &pending);
            }
            let mut faults = Vec::new();
            for migration in lacking {
                match places.whole(migration).await {
                    Ok(whole) => drop(fetched.insert(migration.version.clone(), whole)),
                    Err(fault) => faults.push(fault),
                }
            }
            Error::all(faults).map_or(Ok(()), Err)?;
        }
        for step in &mut plan.steps {
            if let Step::Migration { migration, .. } = step
                && let Some(whole) = fetched.get(&migration.version)
            {
                **migration = whole.clone();
            }
        }
        Ok(())
    }

    fn stand_ins(&self, plan: &mut Plan, pending: &[Migration]) -> Result<()> {
        let name = &self.selected.name;
        let labels: Vec<String> = pending.iter().map(Migration::label).collect();
        if self.selected.is_protected() {
            return Err(Error::failed(format!("the stand-in of {} must not run in `{name}`", labels.join(", ")))
                .cause(format!("it is protected, and [env.{name}] has no secure_path"))
                .help(format!("set `secure_path` of [env.{name}] to where the bodies lie; nothing was run.")));
        }
        plan.notes.push(format!("the stand-in of {} runs: [env.{name}] has no secure_path", labels.join(", ")));
        Ok(())
    }
}
