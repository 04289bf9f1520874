//! `dbbuild psql`: psql on the database: as whom and through which words the configuration says, with the environment in
//! its prompt. A password travels in psql's environment and never on a command line.

mod prompt;

use crate::cli::{Context, Done};
use crate::engine::history;
use crate::engine::project::Project;
use crate::engine::roles;
use crate::engine::server::programs::{self, Installation};
use crate::engine::session::{self, environ};
use crate::engine::target::{Start, Target, is_missing};
use crate::error::{Error, OrFailed, Result};
use crate::model::conninfo::{ConnectionSettings, LIBPQ_VARIABLES, Secret};
use crate::model::guard::Mark;
use crate::model::roles::Attribute;
use prompt::Prompt;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// How long to look for the mark; psql itself may wait longer.
const LOOK_LIMIT: Duration = Duration::from_secs(3);

const APPLICATION: &str = "dbbuild psql";

/// Arguments of `psql`.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Log in as this role where its password is known (roles file, .pgpass); else SET ROLE to it
    #[arg(long = "as", value_name = "ROLE")]
    role: Option<String>,
    /// Arguments for psql, after --
    #[arg(last = true)]
    rest: Vec<String>,
}

/// Runs psql and waits for it.
///
/// # Errors
/// There is no psql, or a signal ended it.
pub async fn run(context: &Context, args: Args) -> Result<Done> {
    let project = context.project()?;
    let target = context.target(&project, Start::IfNeeded).await?;
    let mark = look(&target).await?;
    // Another address is another server, which the words of the environment do not lead to.
    let own_address = context.globals.url.is_none() && !target.embedded;
    let words = project.config.env.get(&target.selected.name).filter(|_| own_address);
    let words = words.map_or(&[][..], |env| &env.run_as[..]);
    let (settings, way) = as_role(&project, &target, args.role.as_deref(), !words.is_empty()).await?;
    if !words.is_empty() && matches!(way, Way::AsUsual) && session::has_password(&settings) {
        context.output.note("`run_as` passes no password on: psql asks for one where the server does");
    }
    if let Way::SetRole(why) = &way {
        context.output.note(&format!("{why}: logging in as usual, then SET ROLE"));
    }
    let prompt = Prompt {
        environment: target.selected.name.clone(),
        marked: mark.as_ref().map(|mark| mark.environment.clone()).filter(|name| *name != target.selected.name),
        role: args.role.filter(|_| matches!(way, Way::SetRole(_))),
        protected: target.selected.is_protected() || mark.is_some_and(|mark| mark.protected),
        coloured: !context.globals.no_color && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()),
    };
    let psql = installation(&project);
    let (mut command, start_file) = command(psql.as_ref(), words, &settings, &prompt)?;
    command.args(&args.rest);
    let program = command.get_program().to_string_lossy().into_owned();
    // psql handles Ctrl-C by itself; dbbuild only waits.
    let started = tokio::task::spawn_blocking(move || command.status()).await.or_failed(|| "cannot wait for psql")?;
    let status = started.map_err(|e| {
        Error::failed(format!("cannot start {program}")).cause(e).help(if words.is_empty() {
            "install PostgreSQL's programs (Debian: `postgresql-client`), or set postgres.bin_dir to their folder."
        } else {
            "it is the first word of `run_as` of this environment."
        })
    })?;
    drop(start_file);
    match status.code().and_then(|code| u8::try_from(code).ok()) {
        Some(0) => Ok(Done::Well),
        Some(code) => Ok(Done::Ended(code)),
        None => Err(Error::failed(format!("psql ended with {status}"))),
    }
}

/// What the database is marked as, where that can be seen quickly; what keeps dbbuild out, psql says better.
async fn look(target: &Target) -> Result<Option<Mark>> {
    let looked = tokio::time::timeout(LOOK_LIMIT, async {
        let session = target.connect().await?;
        history::mark(&session).await
    });
    match looked.await {
        Ok(Err(e)) if is_missing(&e) && target.embedded => Err(e),
        Ok(Err(e)) if is_missing(&e) && target.branch.is_some() => {
            Err(e.help("this branch has no database yet; `dbbuild` makes it."))
        }
        Ok(Ok(mark)) => Ok(mark),
        Ok(Err(_)) | Err(_) => Ok(None),
    }
}

/// How psql becomes another role.
enum Way {
    /// It logs in as usual, and nothing is changed.
    AsUsual,
    /// It logs in as that role.
    Login,
    /// It logs in as usual and is that role then; why.
    SetRole(String),
}

/// The settings for a role: a login of its own needs a password that is known here.
async fn as_role(
    project: &Project,
    target: &Target,
    role: Option<&str>,
    elsewhere: bool,
) -> Result<(ConnectionSettings, Way)> {
    let settings = &target.settings;
    let Some(role) = role.filter(|role| *role != settings.user()) else { return Ok((settings.clone(), Way::AsUsual)) };
    let set = |why: String| Ok((settings.with_option("role", role), Way::SetRole(why)));
    if elsewhere {
        return set("no password is passed on by `run_as`".to_owned());
    }
    let unknown = match referenced(project, &target.selected.name, role).await {
        Ok(Some(password)) => return Ok((settings.with_user(role, Some(password)), Way::Login)),
        Ok(None) => format!("no password of `{role}` is known here"),
        Err(error) => error.to_string(),
    };
    let login = settings.with_user(role, None);
    if session::has_password(&login) { Ok((login, Way::Login)) } else { set(unknown) }
}

/// The password that the roles file refers to, for a role that may log in here.
async fn referenced(project: &Project, environment: &str, role: &str) -> Result<Option<Secret>> {
    let Some(text) = roles::text(project)? else { return Ok(None) };
    let declared = roles::parsed(&project.config, &text)?;
    let role = declared.of(environment).find(|one| one.name == role && one.has(Attribute::Login));
    let Some((reference, _)) = role.and_then(|role| role.password.as_ref()) else { return Ok(None) };
    roles::resolve(reference, &project.root, &environ::read(&project.root, Some(environment))?).await.map(Some)
}

fn installation(project: &Project) -> Option<Installation> {
    let pg = &project.config.postgres;
    programs::find(pg.bin_dir.as_deref().map(Path::new), pg.version).ok()
}

/// psql with everything but the user's arguments, and the start file that it reads.
fn command(
    psql: Option<&Installation>,
    words: &[String],
    settings: &ConnectionSettings,
    prompt: &Prompt,
) -> Result<(Command, Option<tempfile::TempPath>)> {
    let program = psql.map_or_else(|| PathBuf::from("psql"), |found| found.program("psql"));
    let text = prompt.text();
    let prompts = [format!("PROMPT1={text}"), format!("PROMPT2={text}")];
    let settings = settings.with_application_name(APPLICATION);
    if let Some((first, more)) = words.split_first() {
        let mut command = Command::new(first);
        // Another user's start file could set another prompt, and nothing of this user's environment gets there.
        command.args(more).arg(&program).arg("-X").args(["-d", &settings.conninfo(&session::account())]);
        prompts.iter().for_each(|prompt| _ = command.args(["-v", prompt]));
        return Ok((command, None));
    }
    let mut command = Command::new(&program);
    for variable in LIBPQ_VARIABLES {
        command.env_remove(variable);
    }
    command.envs(settings.libpq_env());
    prompts.iter().for_each(|prompt| _ = command.args(["-v", prompt]));
    let file = start_file(prompt, psql).or_failed(|| "cannot write a start file for psql")?;
    command.env("PSQLRC", &file);
    Ok((command, Some(file)))
}

fn start_file(prompt: &Prompt, psql: Option<&Installation>) -> std::io::Result<tempfile::TempPath> {
    let mut file = tempfile::Builder::new().prefix("dbbuild-psqlrc-").tempfile()?;
    file.write_all(prompt.start_file(prompt::own_start_file(psql).as_ref()).as_bytes())?;
    Ok(file.into_temp_path())
}
