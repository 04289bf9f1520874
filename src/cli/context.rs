//! What every command starts from: the options, the project, and where output goes.

use super::Globals;
use super::interrupt::Interrupt;
use super::output::Output;
use super::progress::Progress;
use crate::engine::fleet::{Fleet, Note};
use crate::engine::project::Project;
use crate::engine::target::{Start, Target};
use crate::error::{Error, Result};
use std::path::PathBuf;
use std::sync::Arc;

/// See the module's page.
#[derive(Clone)]
pub struct Context {
    /// Options of every command.
    pub globals: Globals,
    /// Where results go.
    pub output: Output,
    /// The folder to work in.
    pub folder: PathBuf,
    /// What a signal does.
    pub interrupt: Arc<Interrupt>,
}

impl Context {
    /// Finds the folder to work in.
    ///
    /// # Errors
    /// There is no such folder (exit status 2).
    pub fn new(globals: Globals, output: Output) -> Result<Context> {
        let folder = match &globals.directory {
            Some(folder) if folder.is_dir() => folder.clone(),
            Some(folder) => return Err(Error::usage(format!("there is no folder {}", folder.display()))),
            None => PathBuf::from("."),
        };
        Ok(Context { globals, output, folder, interrupt: Arc::default() })
    }

    /// How a message calls this program: as it was called where that was by a relative path, so that what the message
    /// says can be typed.
    pub fn program(&self) -> String {
        let called = std::env::args().next().unwrap_or_default();
        if called.contains('/') && !called.starts_with('/') { called } else { "dbbuild".to_owned() }
    }

    /// The project around the folder.
    ///
    /// # Errors
    /// There is none, or its configuration is wrong.
    pub fn project(&self) -> Result<Project> {
        Project::find(&self.folder, self.globals.config.as_deref())
    }

    /// The environment that the command line or the variable names.
    pub fn named_environment(&self) -> Option<&str> {
        self.globals.env.first().map(String::as_str)
    }

    /// The environment that is selected.
    pub fn environment<'a>(&'a self, project: &'a Project) -> &'a str {
        self.named_environment().unwrap_or(&project.config.default_env)
    }

    /// The database that is selected, by `--target` where the environment has many.
    ///
    /// # Errors
    /// See [`Target::find`] and [`Fleet::one`].
    pub async fn target(&self, project: &Project, start: Start) -> Result<Target> {
        self.target_of(project, self.named_environment(), start).await
    }

    /// The same of an environment.
    ///
    /// # Errors
    /// As [`Context::target`].
    pub async fn target_of(&self, project: &Project, env: Option<&str>, start: Start) -> Result<Target> {
        match self.all(project, env, start).await? {
            Some(fleet) => fleet.one(&self.globals.target),
            None => Target::find(project, env, self.globals.url.as_deref(), start).await,
        }
    }

    /// The databases of the environment that is selected, those of `--target` where it is given; none where it has but one.
    ///
    /// # Errors
    /// See [`Fleet::find`] and [`Fleet::choose`].
    pub async fn fleet(&self, project: &Project, env: Option<&str>, start: Start) -> Result<Option<Fleet>> {
        let Some(mut fleet) = self.all(project, env, start).await? else { return Ok(None) };
        fleet.choose(&self.globals.target)?;
        Ok(Some(fleet))
    }

    /// The database that is selected, also one of many that is still to be made.
    ///
    /// # Errors
    /// See [`Target::find`] and [`Fleet::new_one`].
    pub async fn new_target(&self, project: &Project, start: Start) -> Result<Target> {
        let env = self.named_environment();
        let fleet = match self.globals.url {
            Some(_) => None,
            None => Fleet::find_any(project, env, start, self.hear()).await?,
        };
        match self.chosen_among(project, env, fleet)? {
            Some(fleet) => fleet.new_one(project, &self.globals.target),
            None => Target::find(project, env, self.globals.url.as_deref(), start).await,
        }
    }

    /// All databases of an environment; none where it has but one, or `--url` says which.
    async fn all(&self, project: &Project, env: Option<&str>, start: Start) -> Result<Option<Fleet>> {
        let fleet = match self.globals.url {
            Some(_) => None,
            None => Fleet::find(project, env, start, self.hear()).await?,
        };
        self.chosen_among(project, env, fleet)
    }

    /// `--target` wants many databases to choose among (exit status 2).
    fn chosen_among(&self, project: &Project, env: Option<&str>, fleet: Option<Fleet>) -> Result<Option<Fleet>> {
        if fleet.is_none() && !self.globals.target.is_empty() {
            let name = env.unwrap_or(&project.config.default_env);
            return Err(Error::usage("`--target` chooses among many databases, and there is one")
                .help(format!("[env.{name}] has no `targets`, or `--url` names the database itself.")));
        }
        Ok(fleet)
    }

    /// Notes of the engine, shown.
    fn hear(&self) -> Note {
        let output = self.output.clone();
        Arc::new(move |text| output.note(&text))
    }

    /// A bar on a terminal, notes anywhere.
    pub fn progress(&self, title: &str, total: usize) -> Arc<Progress> {
        Progress::new(&self.output, title, total)
    }
}
