//! `dbbuild init`: configuration, folders with one example each, git's files and the hooks. Never overwrites.

mod from;

use super::hooks;
use super::new::version;
use crate::cli::{Context, Done, output};
use crate::engine::files;
use crate::engine::git::Git;
use crate::engine::hooks::Place;
use crate::engine::server::{docker, programs};
use crate::error::{OrFailed, Result};
use crate::model::config::{Config, FILE_NAME, Paths};
use crate::model::import::{self, Setting};
use crate::model::template::{self, GIT_IGNORE, InitOptions, git_attributes};
use jiff::Timestamp;
use std::path::Path;

/// Arguments of `init`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Name of the database; the default is the folder's name
    #[arg(long, value_name = "NAME")]
    database: Option<String>,
    /// Major version of PostgreSQL that production runs; the default is the newest on this machine
    #[arg(long, value_name = "MAJOR", value_parser = clap::value_parser!(u32).range(15..100))]
    postgres: Option<u32>,
    /// Install the git hooks without asking
    #[arg(long)]
    hooks: bool,
    /// Do not install the git hooks
    #[arg(long, conflicts_with = "hooks")]
    no_hooks: bool,
    #[command(flatten)]
    from: from::FromArgs,
}

/// The version that is pinned where neither programs nor flags say one.
const NEWEST: u32 = 18;

/// Lays out the repository.
///
/// # Errors
/// A file cannot be written.
pub async fn run(context: &Context, args: Args) -> Result<Done> {
    let root = context.folder.canonicalize().or_failed(|| "cannot find the folder")?;
    let out = &context.output;
    let paths = configured_paths(&root)?;
    let mut said = Vec::new();
    // Everything that can be wrong with another tool's files is said before anything is written.
    let import = from::prepare(&root, &args.from, &paths)?;
    if Git::open(&root)?.is_none() {
        git2::Repository::init(&root)
            .map_err(|e| crate::error::Error::failed("cannot make a git repository").cause(e.message()))?;
        said.push("made a git repository".to_owned());
    }
    let attributes = git_attributes(&paths);
    let imported = import.map(|import| import.write(context, &root, &paths)).transpose()?;
    let settings = imported.as_ref().map_or(&[][..], |imported| &imported.settings);
    write_files(&root, &options(&root, &args, paths).await?, settings, &mut said)?;
    for (name, lines) in [(".gitattributes", attributes.as_str()), (".gitignore", GIT_IGNORE)] {
        append(&root, name, lines, &mut said)?;
    }
    if !args.no_hooks {
        offer_hooks(context, &root, args.hooks, &mut said)?;
    }
    let changed = !said.is_empty() || imported.as_ref().is_some_and(|imported| imported.changed);
    said.iter().for_each(|line| out.line(line));
    match (&imported, changed) {
        (_, false) => out.line("everything is there already: nothing was changed"),
        (Some(_), true) => out.line("next: look at dbbuild.toml, run `dbbuild`, then commit"),
        (None, true) => out.line("next: look at dbbuild.toml and the example in db/, then run `dbbuild`"),
    }
    let mut answer = serde_json::json!({ "changed": changed, "said": said });
    if let Some(imported) = imported {
        answer["import"] = imported.json;
    }
    out.json(&answer);
    Ok(Done::Well)
}

/// Where a configuration that is there already wants its files; it is checked on the way.
fn configured_paths(root: &Path) -> Result<Paths> {
    match std::fs::read_to_string(root.join(FILE_NAME)) {
        Ok(text) => Ok(Config::parse(&text, FILE_NAME)?.paths),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(Paths::default()),
        Err(e) => Err(e).or_failed(|| format!("cannot read {FILE_NAME}")),
    }
}

async fn options(root: &Path, args: &Args, paths: Paths) -> Result<InitOptions> {
    let name = root.file_name().map_or_else(|| "app".to_owned(), |name| name.to_string_lossy().into_owned());
    let found = programs::find(None, args.postgres).ok();
    let postgres_version = args.postgres.or(found.map(|found| found.version.major)).unwrap_or(NEWEST);
    let image = docker::engine_answers().await.ok().map(|_| format!("postgres:{postgres_version}"));
    Ok(InitOptions {
        database: args.database.clone().unwrap_or_else(|| template::slug(&name).unwrap_or_else(|_| "app".to_owned())),
        postgres_version,
        image,
        first_version: version(Timestamp::now().as_second())?,
        paths,
    })
}

/// Writes what is missing. The example goes only where there is no migration yet, for its files need each other.
fn write_files(root: &Path, options: &InitOptions, settings: &[Setting], said: &mut Vec<String>) -> Result<()> {
    let inhabited = |folder: &str| root.join(folder).read_dir().is_ok_and(|mut entries| entries.next().is_some());
    let begun = inhabited(&options.paths.migrations);
    let wanted = |file: &template::InitFile| {
        let folder_of_example = file.path.rsplit_once('/').filter(|_| file.example).map(|(folder, _)| folder);
        let taken = root.join(&file.path).exists() || folder_of_example.is_some_and(inhabited);
        let late = begun && file.example;
        !taken && !late
    };
    let files: Vec<_> = template::init_files(options).into_iter().filter(wanted).collect();
    for mut file in files {
        if file.path == FILE_NAME {
            file.text = import::settings::apply(&file.text, settings)?;
        }
        let full = root.join(&file.path);
        let failed = || format!("cannot write {}", file.path);
        if let Some(folder) = full.parent() {
            std::fs::create_dir_all(folder).or_failed(failed)?;
        }
        files::replace(&full, file.text.as_bytes()).or_failed(failed)?;
        said.push(format!("wrote {}", file.path));
    }
    Ok(())
}

fn append(root: &Path, name: &str, lines: &str, said: &mut Vec<String>) -> Result<()> {
    let path = root.join(name);
    let failed = || format!("cannot write {name}");
    let existing = match std::fs::read_to_string(&path) {
        Ok(text) => text,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(e) => return Err(e).or_failed(|| format!("cannot read {name}")),
    };
    if let Some(text) = template::append_lines(&existing, lines) {
        files::replace(&path, text.as_bytes()).or_failed(failed)?;
        said.push(format!("{} {name}", if existing.is_empty() { "wrote" } else { "added lines to" }));
    }
    Ok(())
}

fn offer_hooks(context: &Context, root: &Path, wanted: bool, said: &mut Vec<String>) -> Result<()> {
    let place = Place::find(root)?;
    if hooks::installed(&place) {
        return Ok(());
    }
    let question = "Install the git hooks that check each commit?";
    if wanted || context.globals.yes || (output::is_interactive() && output::confirm(question)) {
        let (done, left) = hooks::install(&place, root)?;
        said.extend(done);
        if let Some(left) = left {
            context.output.note(&format!("{left}; `dbbuild hooks install` says what to add"));
        }
    } else {
        context.output.note("the git hooks are not installed; `dbbuild hooks install` does that");
    }
    Ok(())
}
