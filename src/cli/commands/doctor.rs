//! `dbbuild doctor`: each thing that dbbuild rests on, with the remedy where it fails.

use crate::cli::output::{Health, count};
use crate::cli::{Context, Done};
use crate::engine::git::Git;
use crate::engine::hooks::{self, Place};
use crate::engine::merge::register::{self, DriverState};
use crate::engine::project::Project;
use crate::engine::server::{docker, programs};
use crate::engine::session::{self, ConnectOptions};
use crate::engine::target::{Start, Target, check_version, is_missing};
use crate::error::{Error, Result};
use crate::model::config::ThrowawayKind;
use crate::model::guard::Standing;
use std::path::Path;

/// Arguments of `doctor`.
#[derive(Debug, clap::Args)]
pub struct Args {}

/// One line of the report.
struct Finding {
    health: Health,
    subject: &'static str,
    text: String,
    remedy: Option<String>,
}

impl Finding {
    fn ok(subject: &'static str, text: impl Into<String>) -> Finding {
        Finding { health: Health::Ok, subject, text: text.into(), remedy: None }
    }

    fn warning(subject: &'static str, text: impl Into<String>, remedy: impl Into<String>) -> Finding {
        Finding { health: Health::Warning, subject, text: text.into(), remedy: Some(remedy.into()) }
    }

    fn problem(subject: &'static str, error: &Error) -> Finding {
        Finding { health: Health::Problem, subject, text: error.to_string(), remedy: error.helps().first().cloned() }
    }
}

/// Looks at everything.
///
/// # Errors
/// Something does not work (status 1).
pub async fn run(context: &Context, _: Args) -> Result<Done> {
    let mut findings = vec![git(context)];
    match context.project() {
        Err(e) => findings.push(Finding::problem("configuration", &e)),
        Ok(project) => {
            findings.push(Finding::ok("configuration", format!("{} is sound", project.config_name)));
            let sources = match project.sources() {
                Ok(sources) => {
                    Finding::ok("files", format!("sound: {}", count(sources.all_migrations().len(), "migration")))
                }
                Err(e) => Finding::problem("files", &e),
            };
            findings.push(sources);
            findings.extend(servers(&project).await);
            findings.extend(hooks(&project));
            findings.extend(database(context, &project).await);
        }
    }
    for finding in &findings {
        context.output.health(finding.health, finding.subject, &finding.text, finding.remedy.as_deref());
    }
    let list: Vec<_> = findings
        .iter()
        .map(|f| {
            serde_json::json!({
                "health": f.health.as_str(), "subject": f.subject, "text": f.text, "remedy": f.remedy,
            })
        })
        .collect();
    context.output.json(&serde_json::json!({ "findings": list }));
    let problems = findings.iter().filter(|finding| finding.health == Health::Problem).count();
    if problems == 0 {
        return Ok(Done::Well);
    }
    Err(Error::failed(format!("{} found", count(problems, "problem"))).help("each line above names its remedy."))
}

fn git(context: &Context) -> Finding {
    match Git::open(&context.folder) {
        Ok(Some(git)) => Finding::ok(
            "git",
            git.head().map_or("no commit yet".to_owned(), |head| format!("at commit {}", &head[..10])),
        ),
        Ok(None) => Finding::warning("git", "this is not a git repository", "run `git init`"),
        Err(e) => Finding::problem("git", &e),
    }
}

async fn servers(project: &Project) -> Vec<Finding> {
    let pg = &project.config.postgres;
    let found = programs::find(pg.bin_dir.as_deref().map(Path::new), pg.version);
    let answers = docker::engine_answers().await;
    let mut findings = Vec::new();
    match (&found, &answers) {
        (Ok(found), _) => {
            findings.push(Finding::ok("PostgreSQL programs", format!("{} in {}", found.version, found.bin.display())));
        }
        (Err(e), Ok(_)) if pg.throwaway != ThrowawayKind::Local => {
            findings.push(Finding::warning("PostgreSQL programs", e.to_string(), "Docker is used instead"));
        }
        (Err(e), _) => findings.push(Finding::problem("PostgreSQL programs", e)),
    }
    if pg.version.is_none() {
        findings.push(Finding::warning(
            "PostgreSQL version",
            "none is pinned, so the baseline depends on the machine",
            "set `postgres.version` in dbbuild.toml to production's major version",
        ));
    }
    findings.push(match answers {
        Ok(version) => Finding::ok("Docker", format!("engine {version} answers")),
        Err(e) if pg.throwaway == ThrowawayKind::Docker => Finding::problem("Docker", &e),
        Err(e) if found.is_err() => Finding::problem("Docker", &e),
        Err(_) => Finding::ok("Docker", "no engine answers; local programs are used"),
    });
    findings
}

fn hooks(project: &Project) -> Option<Finding> {
    project.git.as_ref()?;
    let place = match Place::find(&project.root) {
        Ok(place) => place,
        Err(e) => return Some(Finding::problem("hooks", &e)),
    };
    let found = hooks::status(&place);
    let mut missing: Vec<&str> = found.iter().filter(|hook| !hook.works()).map(|hook| hook.name).collect();
    if register::status(&place.top) != DriverState::Installed {
        missing.push("merge driver");
    }
    if !hooks::has_diff_driver(&place.top) {
        missing.push("diff driver");
    }
    if missing.is_empty() {
        return Some(Finding::ok("hooks", "installed"));
    }
    let by_hand = found.iter().any(|hook| hook.addition(&place, "dbbuild").is_some());
    let remedy = if by_hand {
        "run `dbbuild hooks install`, which says what to add where"
    } else {
        "run `dbbuild hooks install`"
    };
    Some(Finding::warning("hooks", format!("not installed: {}", missing.join(", ")), remedy))
}

async fn database(context: &Context, project: &Project) -> Vec<Finding> {
    match context.fleet(project, context.named_environment(), Start::Never).await {
        // How each of them stands is much to ask, and what `status` is for.
        Ok(Some(fleet)) if context.globals.target.is_empty() => {
            let text = format!(
                "{} of {}; `dbbuild status` asks each",
                count(fleet.members.len(), "database"),
                fleet.environment
            );
            return vec![Finding::ok("databases", text)];
        }
        Err(e) if e.status() == crate::error::Status::Failed => return vec![Finding::problem("databases", &e)],
        _ => {}
    }
    let target = match context.target(project, Start::Never).await {
        Ok(target) => target,
        Err(e) if e.status() == crate::error::Status::Failed => {
            return vec![Finding::warning("database", e.to_string(), "run `dbbuild`, which starts it")];
        }
        Err(e) => return vec![Finding::problem("database", &e)],
    };
    let mut findings = Vec::new();
    if !target.embedded {
        match session::detect_pooler(&target.settings, &ConnectOptions::default()).await {
            Ok(()) => findings.push(Finding::ok("pooler", "a session of its own for each connection")),
            Err(e) => return vec![Finding::problem("pooler", &e)],
        }
    }
    findings.extend(mark(project, &target).await);
    findings
}

async fn mark(project: &Project, target: &Target) -> Vec<Finding> {
    let session = match target.connect().await {
        Ok(session) => session,
        Err(e) if is_missing(&e) => {
            return vec![Finding::warning("database", format!("there is no {}", target.describe()), "run `dbbuild`")];
        }
        Err(e) => return vec![Finding::problem("database", &e)],
    };
    let mut findings = vec![match check_version(&session, &project.config, &target.describe()) {
        Ok(()) => {
            Finding::ok("database", format!("{} runs PostgreSQL {}", target.describe(), session.server_version()))
        }
        Err(e) => Finding::problem("database", &e),
    }];
    match target.read(&session).await {
        Err(e) => findings.push(Finding::problem("version table", &e)),
        Ok(found) => findings.push(match found.facts.standing() {
            Standing::Valid(mark) => Finding::ok("mark", mark.environment.clone()),
            Standing::Foreign(_, why) => Finding::warning(
                "mark",
                format!("it does not count: {why}"),
                "run `dbbuild env mark NAME --confirm NAME`",
            ),
            Standing::Unmarked if found.facts.empty => Finding::ok("mark", "none yet; the database is empty"),
            Standing::Unmarked => Finding::warning(
                "mark",
                "none, and the database is not empty: it counts as production",
                "run `dbbuild env mark NAME --confirm NAME`",
            ),
        }),
    }
    findings
}
