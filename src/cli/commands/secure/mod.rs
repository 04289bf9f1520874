//! `dbbuild secure`: the bodies of secure migrations, in one environment or several at once.

mod edit;
mod status;

use crate::cli::output::count;
use crate::cli::{Context, Done};
use crate::engine::files;
use crate::engine::project::Project;
use crate::engine::prove::{self, Goal, Request};
use crate::engine::secure::Places;
use crate::error::{Error, OrFailed, Result};
use crate::model::migration::Migration;
use crate::model::secure::{self, file_name};
use crate::model::sources::Sources;
use crate::model::template;
use std::io::Read;

/// Arguments of `secure`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
    /// Every environment that has a secure_path
    #[arg(long, global = true)]
    all: bool,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Write a stand-in with a new version, and a first body for each environment that is named
    ///
    /// A first body is a comment: it is refused until statements stand in it.
    New {
        /// What the migration does: "rotate the partner keys"
        name: String,
    },
    /// Edit a body with $VISUAL or $EDITOR, in a private file that is wiped afterwards
    Edit {
        /// Version, VERSION_name or path
        migration: String,
    },
    /// Write a body from a file, or from standard input with -
    Put {
        /// The file; `-` reads standard input
        file: std::path::PathBuf,
        /// Whose body it is, where the file's name does not tell
        #[arg(long, value_name = "MIGRATION")]
        migration: Option<String>,
    },
    /// Print the body of one environment
    Get {
        /// Version, VERSION_name or path
        migration: String,
    },
    /// Show which environments have which body, and whether it was applied
    Status {
        /// Exit with status 3 where a body is missing, pending, or other than what was applied
        #[arg(long)]
        exit_code: bool,
    },
    /// Run the bodies of an environment on a throwaway replay of everything, and take them back
    ///
    /// No database is touched. A body that fails, changes more than rows, or changes something when it runs again, is an
    /// error that names its line and shows nothing of it.
    Try,
}

/// Does what was asked for.
///
/// # Errors
/// A place cannot be read or written, or a body cannot run.
pub async fn run(context: &Context, args: Args) -> Result<Done> {
    let project = context.project()?;
    let environments = environments(context, &project, args.all)?;
    match args.action {
        Action::New { name } => new(context, &project, &environments, &name).await,
        Action::Edit { migration } => edit::run(context, &project, &environments, &migration).await,
        Action::Put { file, migration } => {
            let (name, bytes) = read(&file)?;
            let wanted = migration.or(name).ok_or_else(|| {
                Error::usage("whose body is it?")
                    .help("name the migration: `dbbuild secure put - --migration VERSION`.")
            })?;
            let sources = project.sources()?;
            put(context, &project, &environments, find(&sources, &wanted)?, &bytes).await
        }
        Action::Get { migration } => get(context, &project, &environments, &migration).await,
        Action::Status { exit_code } => status::run(context, &project, &environments, exit_code).await,
        Action::Try => try_bodies(context, &project, &environments).await,
    }
}

/// The environments that are meant: those named, all with a `secure_path`, or the default one.
fn environments(context: &Context, project: &Project, all: bool) -> Result<Vec<String>> {
    let mut names = context.globals.env.clone();
    if all {
        let with_path = project.config.env.iter().filter(|(_, env)| !env.secure_path.is_empty());
        names.extend(with_path.map(|(name, _)| name.clone()));
        if names.is_empty() {
            return Err(Error::usage("no environment has a secure_path")
                .help("set it in dbbuild.toml: `[env.NAME] secure_path = \"…\"`."));
        }
    }
    if names.is_empty() {
        names.push(project.config.default_env.clone());
    }
    let mut seen = Vec::new();
    for name in names {
        project.config.environment(&name)?;
        if !seen.contains(&name) {
            seen.push(name);
        }
    }
    Ok(seen)
}

/// The secure migration that a person means.
fn find<'s>(sources: &'s Sources, wanted: &str) -> Result<&'s Migration> {
    let word = wanted.rsplit('/').next().unwrap_or(wanted);
    let word = word.strip_suffix(".sql").unwrap_or(word);
    let means = |one: &&Migration| one.version.as_str() == word || one.label() == word || one.name == word;
    let found: Vec<&Migration> = sources.apart.iter().filter(|one| one.settings.apart.secure).filter(means).collect();
    match found[..] {
        [one] => Ok(one),
        [] => Err(Error::usage(format!("there is no secure migration {}", wanted.escape_debug()))
            .help("`dbbuild secure status` lists them; a stand-in has the line `-- dbbuild:secure`.")),
        _ => Err(Error::usage(format!("{} means several migrations", wanted.escape_debug())).help("give the version.")),
    }
}

/// A body, and whose it is by the name of its file.
fn read(file: &std::path::Path) -> Result<(Option<String>, Vec<u8>)> {
    if file == std::path::Path::new("-") {
        let mut bytes = Vec::new();
        std::io::stdin().lock().read_to_end(&mut bytes).or_failed(|| "cannot read standard input")?;
        return Ok((None, bytes));
    }
    let bytes = std::fs::read(file).or_failed(|| format!("cannot read {}", file.display()))?;
    Ok((file.file_name().map(|name| name.to_string_lossy().into_owned()), bytes))
}

async fn new(context: &Context, project: &Project, environments: &[String], name: &str) -> Result<Done> {
    let slug = template::slug(name)?;
    let named = !context.globals.env.is_empty() || environments.len() > 1;
    let targets: &[String] = if named { environments } else { &[] };
    // Before anything is written: a place that cannot be used is found out.
    let mut opened = Vec::new();
    for environment in targets {
        let places = Places::open(project, environment)?;
        if places.is_empty() {
            return Err(Error::usage(format!("[env.{environment}] has no secure_path")).help("nothing was written."));
        }
        opened.push((environment, places));
    }
    let path = super::new::next_path(project, &slug)?;
    let label = path.rsplit('/').next().unwrap_or(&path).trim_end_matches(".sql").to_owned();
    let text = template::stand_in(&label);
    let migration = Migration::parse(&path, text.as_bytes())?;
    files::create(&project.root.join(&path), text.as_bytes()).or_failed(|| format!("cannot write {path}"))?;
    let out = &context.output;
    out.answer(&path);
    let mut written = Vec::new();
    for (environment, places) in opened {
        let body = template::first_body(&label, environment);
        let place = places.put(&migration, body.as_bytes()).await?;
        out.answer(&place);
        written.push(serde_json::json!({ "environment": environment, "path": place }));
    }
    out.line(&format!("edit a body with `dbbuild secure edit {label} --env NAME`"));
    out.json(&serde_json::json!({ "written": path, "bodies": written }));
    Ok(Done::Well)
}

/// Checks a body, and then writes it for every environment.
async fn put(
    context: &Context,
    project: &Project,
    environments: &[String],
    migration: &Migration,
    bytes: &[u8],
) -> Result<Done> {
    let whole = secure::with_body(migration, &file_name(migration), bytes)?;
    let mut written = Vec::new();
    for environment in environments {
        if !migration.settings.apart.runs_in(environment) {
            return Err(Error::usage(format!("{} does not run in {environment}", migration.label())));
        }
        written.push((environment, Places::open(project, environment)?));
    }
    let mut list = Vec::new();
    for (environment, places) in written {
        let path = places.put(migration, bytes).await?;
        context.output.answer(&format!("{environment}: {path}"));
        list.push(serde_json::json!({
            "environment": environment, "path": path, "checksum": whole.body.map(|sum| sum.to_string()),
        }));
    }
    context.output.json(&serde_json::json!({ "migration": migration.label(), "written": list }));
    Ok(Done::Well)
}

async fn get(context: &Context, project: &Project, environments: &[String], wanted: &str) -> Result<Done> {
    let [environment] = environments else {
        return Err(Error::usage("a body is printed of one environment at a time").help("give one `--env NAME`."));
    };
    let sources = project.sources()?;
    let migration = find(&sources, wanted)?;
    let places = Places::open(project, environment)?;
    let found = places.find(migration).await?.ok_or_else(|| places.missing(migration))?;
    let text = String::from_utf8_lossy(&found.bytes);
    context.output.answer(text.trim_end_matches('\n'));
    context.output.json(&serde_json::json!({
        "migration": migration.label(), "environment": environment, "path": found.path, "body": text,
    }));
    Ok(Done::Well)
}

async fn try_bodies(context: &Context, project: &Project, environments: &[String]) -> Result<Done> {
    let sources = project.sources()?;
    let mut tried = Vec::new();
    for environment in environments {
        let places = Places::open(project, environment)?;
        let mut real = sources.clone();
        let mut faults = Vec::new();
        for migration in &mut real.apart {
            let apart = &migration.settings.apart;
            if apart.secure && apart.runs_in(environment) && !places.is_empty() {
                match places.whole(migration).await {
                    Ok(whole) => *migration = whole,
                    Err(fault) => faults.push(fault),
                }
            }
        }
        Error::all(faults).map_or(Ok(()), Err)?;
        let progress = context.progress("migrations", sources.migrations.len());
        let request = Request {
            config: &project.config,
            sources: &real,
            base: None,
            goal: Goal::Compare,
            cache: &project.cache,
            reuse: true,
            sink: &|event| progress.event(event),
        };
        let mut notes = Vec::new();
        let done = prove::try_environment(&request, environment, &mut notes).await;
        progress.end();
        let done = done?;
        notes.iter().for_each(|note| context.output.note(note));
        let of = count(real.apart.iter().filter(|one| one.body.is_some()).count(), "real body");
        context.output.line(&format!(
            "{environment}: {} ran on the newest schema, {of} among them, and changed rows only",
            count(done, "migration")
        ));
        tried.push(serde_json::json!({ "environment": environment, "tried": done, "notes": notes }));
    }
    context.output.json(&serde_json::json!({ "environments": tried }));
    Ok(Done::Well)
}
