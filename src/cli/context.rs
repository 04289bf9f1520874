//! What every command starts from: the options, the project, and where output goes.

use super::Globals;
use super::output::Output;
use super::progress::Progress;
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
        Ok(Context { globals, output, folder })
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

    /// The database that is selected.
    ///
    /// # Errors
    /// See [`Target::find`].
    pub async fn target(&self, project: &Project, start: Start) -> Result<Target> {
        Target::find(project, self.named_environment(), self.globals.url.as_deref(), start).await
    }

    /// A bar on a terminal, notes anywhere.
    pub fn progress(&self, title: &str, total: usize) -> Arc<Progress> {
        Arc::new(Progress::new(&self.output, title, total))
    }
}
