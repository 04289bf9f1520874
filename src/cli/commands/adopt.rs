//! `dbbuild adopt`: an existing database becomes a repository's, with what it holds as migration zero.

use super::env::confirmation;
use super::new::version;
use crate::cli::output::count;
use crate::cli::{Context, Done};
use crate::engine::adopt::{self, Captured, DatabaseFacts, Wish};
use crate::engine::baseline;
use crate::engine::history::Found;
use crate::engine::project::Project;
use crate::engine::prove;
use crate::engine::provenance::{self, Given};
use crate::engine::session::Session;
use crate::engine::target::{Start, Target, check_version};
use crate::error::{Error, OrFailed, Result};
use crate::model::baseline::adopted_migration;
use crate::model::config::{Config, FILE_NAME};
use crate::model::guard::{self, Mark};
use crate::model::roles;
use crate::model::template::{self, InitOptions};
use jiff::Timestamp;

mod from;
mod written;

use written::Written;

/// Arguments of `adopt`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Take the rows of this table into the migration too, as a table that every install needs; can be given again
    #[arg(long, value_name = "TABLE", num_args = 1.., conflicts_with = "from")]
    data: Vec<String>,
    /// Take large objects into the migration too
    #[arg(long, conflicts_with = "from")]
    large_objects: bool,
    /// Read from this tool's own table which of the converted migrations are applied
    #[arg(long, value_name = "TOOL")]
    from: Option<String>,
    /// The tool's table, where it is not the usual one
    #[arg(long, value_name = "SCHEMA.TABLE", requires = "from")]
    table: Option<String>,
    /// The environment's name again: a database that is not empty wants it
    #[arg(long, value_name = "NAME")]
    confirm: Option<String>,
    /// The protected environment that the database is marked as, to make it an unprotected one
    #[arg(long, value_name = "NAME")]
    unprotect: Option<String>,
}

/// A project, and the text of its configuration where that is still to be written.
struct Place {
    project: Project,
    configuration: Option<String>,
    session: Session,
    target: Target,
}

/// Takes the database over.
///
/// # Errors
/// The guard refuses, or what would be written does not make the same database: nothing was written.
pub async fn run(context: &Context, args: Args) -> Result<Done> {
    if let Some(tool) = &args.from {
        return from::run(context, tool, &args).await;
    }
    let Place { project, configuration, session, target } = place(context).await?;
    let found = target.read(&session).await?;
    adopt::judge(&found)?;
    nothing_yet(&project)?;
    let confirm = cleared(&target, &found, &args)?;
    adopt::may_write(&session, &target.describe()).await?;
    let wish = Wish { config: &project.config, data: &args.data, large_objects: args.large_objects };
    let captured = adopt::capture(&session, &wish).await?;
    let (files, migration_path) = files(&project, &captured, &target, session.server_version(), configuration)?;
    let sources = project.sources_with(&files)?;
    let progress = context.progress("migrations", 1);
    let proof = adopt::prove(&project, &sources, &captured, &|event| progress.event(event)).await;
    progress.end();
    let proof = proof?;
    let migration = sources.migrations.first().ok_or_else(|| Error::failed("there is no migration zero"))?;

    let _lock = target.lock(&project.config, &|what| context.output.waits_for(what)).await?;
    let found = target.read(&session).await?;
    adopt::judge(&found)?;
    let to = &target.selected;
    guard::judge_mark(&found.facts, to, confirm.as_deref(), args.unprotect.as_deref())?;
    let baseline = (project.config.paths.baseline.clone(), proof.baseline.to_string());
    let written = Written::write(&project.root, files.into_iter().chain([baseline]))?;
    let mark =
        Mark { environment: to.name.clone(), protected: to.is_protected(), binding: found.facts.binding.clone() };
    let author = provenance::author(&project, &Given::default());
    if let Err(e) = adopt::record(&session, &captured, &mark, migration, &author).await {
        return Err(written.undo(e));
    }
    prove::accept(&project.cache, &prove::inputs(&project.config, &sources), &captured.as_found);
    baseline::remember(&project, &proof.baseline)?;
    report(context, &target, &written, &proof.notes, &captured, &migration_path);
    Ok(Done::Well)
}

/// The project and its database; where there is no configuration, one is made for what the database is.
async fn place(context: &Context) -> Result<Place> {
    if context.globals.config.is_some() || Project::exists(&context.folder) {
        let project = context.project()?;
        let target = context.target(&project, Start::Never).await?;
        let session = target.connect_to_write(&project.config).await?;
        return Ok(Place { project, configuration: None, session, target });
    }
    let root = context.folder.canonicalize().or_failed(|| "cannot find the folder")?;
    let unknown =
        DatabaseFacts { name: "app".to_owned(), major: 15, encoding: "UTF8".to_owned(), locale: "C".to_owned() };
    let mut config = Config::parse(&configuration(&unknown), FILE_NAME)?;
    config.postgres.version = None;
    let project = Project::unwritten(&root, config)?;
    let target = context.target(&project, Start::Never).await?;
    let session = target.connect_to_write(&project.config).await?;
    let text = configuration(&adopt::facts(&session).await?);
    let project = Project::unwritten(&root, Config::parse(&text, FILE_NAME)?)?;
    check_version(&session, &project.config, &target.describe())?;
    Ok(Place { project, configuration: Some(text), session, target })
}

fn configuration(facts: &DatabaseFacts) -> String {
    let options = InitOptions {
        database: facts.name.clone(),
        postgres_version: facts.major,
        image: None,
        first_version: String::new(),
        paths: Default::default(),
    };
    template::adopted_configuration(&options, &facts.encoding, &facts.locale)
}

/// A tree that makes something already is not taken over: its files would have to agree with the database.
fn nothing_yet(project: &Project) -> Result<()> {
    let sources = project.sources()?;
    let paths = &project.config.paths;
    let held = [
        (sources.migrations.is_empty(), &paths.migrations),
        (sources.repeatable.is_empty(), &paths.repeatable),
        (sources.init.is_empty(), &paths.init),
        (sources.baseline.is_none(), &paths.baseline),
    ];
    match held.iter().find(|(empty, _)| !empty) {
        None => Ok(()),
        Some((_, path)) => Err(Error::failed(format!("{path} is there already")).help(
            "an existing database becomes the first migration: remove the example of `dbbuild init`; where another tool's \
             migrations stand there, `dbbuild adopt --from TOOL` reads which are applied. Nothing was changed.",
        )),
    }
}

/// The confirmation that the guard wants, judged before any work is done.
fn cleared(target: &Target, found: &Found, args: &Args) -> Result<Option<String>> {
    let to = &target.selected;
    if let Some(mark) = adopt::other_mark(found, &to.name)
        && args.unprotect.is_none()
    {
        return Err(Error::failed(format!(
            "refused to adopt {}: it is marked {}, but the selected environment is {}",
            target.describe(),
            mark.environment,
            to.name
        ))
        .help(format!("select it with `--env {}`, or check the address.", mark.environment)));
    }
    let confirm = confirmation(target, found.facts.empty, &to.name, args.confirm.clone());
    guard::judge_mark(&found.facts, to, confirm.as_deref(), args.unprotect.as_deref()).map_err(|e| {
        e.help(format!("`dbbuild adopt` takes the same words: `--confirm {}`. Nothing was changed.", to.name))
    })?;
    Ok(confirm)
}

/// What is to be written, and which of it is the migration.
fn files(
    project: &Project,
    captured: &Captured,
    target: &Target,
    major: u32,
    configuration: Option<String>,
) -> Result<(Vec<(String, String)>, String)> {
    let paths = &project.config.paths;
    let path = format!("{}/{}_adopted.sql", paths.migrations, version(Timestamp::now().as_second())?);
    let text = adopted_migration(target.settings.database(), major, &captured.needed, &captured.dump);
    let mut files = vec![(path.clone(), text)];
    let existing = match std::fs::read_to_string(project.root.join(&paths.roles)) {
        Ok(text) => text,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => String::new(),
        Err(e) => return Err(e).or_failed(|| format!("cannot read {}", paths.roles)),
    };
    let known = crate::engine::roles::parsed(&project.config, &existing)?;
    // A file that names roles is somebody's own; `dbbuild roles adopt` adds to one.
    if known.roles.is_empty() && !captured.roles.is_empty() {
        let written = roles::write(&existing, &known, &captured.roles, &target.selected.name)?;
        if written.text != existing {
            files.push((paths.roles.clone(), written.text));
        }
    }
    files.extend(configuration.map(|text| (FILE_NAME.to_owned(), text)));
    Ok((files, path))
}

fn report(
    context: &Context,
    target: &Target,
    written: &Written,
    notes: &[String],
    captured: &Captured,
    migration: &str,
) {
    let out = &context.output;
    notes.iter().for_each(|note| out.note(note));
    written.paths().for_each(|path| out.line(&format!("wrote {path}")));
    out.line(&format!("left out: {}", captured.left_out.join(", ")));
    out.line(&format!(
        "{} is marked {} now, with {} recorded as applied; it was proved that the files make the same {}",
        target.describe(),
        target.selected.name,
        migration,
        count(captured.catalog.len(), "object")
    ));
    out.line("next: commit the files; `dbbuild init` adds what else a repository needs");
    out.json(&serde_json::json!({
        "database": target.describe(),
        "environment": target.selected.name,
        "migration": migration,
        "written": written.paths().collect::<Vec<_>>(),
        "objects": captured.catalog.len(),
        "left_out": captured.left_out,
        "notes": notes,
    }));
}
