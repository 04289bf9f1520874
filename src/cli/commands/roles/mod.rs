//! `dbbuild roles`: the roles of a cluster, as a file declares them.

mod adopt;
mod check;

use crate::cli::output::count;
use crate::cli::{Context, Done};
use crate::engine::history::Found;
use crate::engine::project::Project;
use crate::engine::roles::{self, Passwords, Planned};
use crate::engine::session::Session;
use crate::engine::target::{Start, Target, check_version};
use crate::engine::{prove, upgrade};
use crate::error::{Error, Result};
use crate::model::guard::{self, Action};
use crate::model::roles::Roles;
use serde_json::json;

/// Arguments of `roles`.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(subcommand)]
    action: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Show the statements that would make the cluster what the file says; writes nothing
    ///
    /// Exit status 3 where there are any. Needs no superuser, and no look at pg_authid.
    Plan {
        #[command(flatten)]
        rotate: Rotate,
    },
    /// Make the cluster what the file says, in one transaction
    ///
    /// A second run changes nothing. Roles that the file does not declare are dropped only with `prune = true`.
    Apply {
        #[command(flatten)]
        rotate: Rotate,
    },
    /// Write the roles of a running server into the file
    ///
    /// Comments and order of the file stay; passwords are never read.
    Adopt,
    /// Check the file without touching a database
    ///
    /// Its syntax, its loops, the roles that the baseline names, and with --env whether each password can be fetched. Then the
    /// whole file is applied twice in a throwaway server.
    Check {
        /// Start no throwaway server
        #[arg(long)]
        no_server: bool,
    },
}

/// Which passwords are set in any case.
#[derive(Debug, clap::Args)]
struct Rotate {
    /// Set passwords anew, whatever is stored: of these roles, or of all
    #[arg(long, num_args = 0.., value_name = "ROLE")]
    rotate: Option<Vec<String>>,
}

/// Does what was asked for.
///
/// # Errors
/// The file is wrong, a password cannot be fetched, or the server or the guard refuses.
pub async fn run(context: &Context, args: Args) -> Result<Done> {
    match args.action {
        Verb::Plan { rotate } => plan(context, rotate).await,
        Verb::Apply { rotate } => apply(context, rotate).await,
        Verb::Adopt => adopt::run(context).await,
        Verb::Check { no_server } => check::run(context, no_server).await,
    }
}

/// What every command works with that looks at a server.
struct Place {
    project: Project,
    target: Target,
    session: Session,
}

async fn place(context: &Context, start: Start) -> Result<Place> {
    let project = context.project()?;
    let target = context.target(&project, start).await?;
    let session = roles::session_of(&target).await?;
    check_version(&session, &project.config, &target.describe())?;
    Ok(Place { project, target, session })
}

/// Whether the files say something else by now than those that the baseline was made from.
fn baseline_is_stale(project: &Project) -> bool {
    let Ok(sources) = project.sources() else { return false };
    let inputs = prove::inputs(&project.config, &sources);
    sources.baseline.as_ref().is_some_and(|bytes| !upgrade::baseline_claims(bytes, &inputs))
}

async fn planned(place: &Place, file: &Roles, rotate: &Rotate) -> Result<Planned> {
    let passwords = Passwords::Set { rotate: rotate.rotate.as_deref() };
    let planned = roles::plan(&place.project, file, &place.target.selected.name, &place.session, passwords).await?;
    roles::visit(&planned, &place.session).await?;
    Ok(planned)
}

async fn plan(context: &Context, rotate: Rotate) -> Result<Done> {
    // Before anything is asked of a server: what is wrong with the file shows at once.
    let file = roles::file(&context.project()?)?;
    let place = place(context, Start::Never).await?;
    let planned = planned(&place, &file, &rotate).await?;
    show(context, &place, &planned, false);
    Ok(if planned.difference.changes.is_empty() { Done::Well } else { Done::Differs })
}

async fn apply(context: &Context, rotate: Rotate) -> Result<Done> {
    let file = roles::file(&context.project()?)?;
    let place = place(context, Start::IfNeeded).await?;
    cleared(&place).await?;
    let target = place.target.reached_by(&place.session);
    let _lock = target.lock(&place.project.config, &|what| context.output.waits_for(what)).await?;
    let config = &place.project.config;
    let told = |text: String| context.output.note(&text);
    let planned = roles::in_turn(&place.session, config.lock.wait, &told, async || {
        let planned = planned(&place, &file, &rotate).await?;
        roles::run(&planned, &place.session, config.lock.timeout).await.map(|()| planned)
    })
    .await?;
    show(context, &place, &planned, true);
    Ok(Done::Well)
}

/// The rules for migrations hold for roles as well: the mark must fit the selected environment.
async fn cleared(place: &Place) -> Result<()> {
    let Place { target, session, .. } = place;
    if session.is_in_recovery() || session.transaction_read_only() {
        return Err(Error::failed(format!("{} takes no writes", target.describe()))
            .help("give the address of the primary server; nothing was changed."));
    }
    let found = if session.settings().database() == target.settings.database() {
        target.read(session).await?
    } else {
        Found::missing(target.describe(), target.settings.database())
    };
    guard::judge(Action::Migrate, &found.facts, &target.selected)
        .map_err(|e| e.map_texts(&|text| text.replace("refused to migrate", "refused to change the roles of")))
}

fn show(context: &Context, place: &Place, planned: &Planned, done: bool) {
    let out = &context.output;
    let found = &planned.difference;
    for change in &found.changes {
        let place = change.database.as_ref().map_or_else(String::new, |name| format!("  -- in the database {name}"));
        let text = format!("{};{place}", change.sql);
        if done { out.line(&text) } else { out.answer(&text) }
    }
    found.notes.iter().for_each(|note| out.note(note));
    if !found.undeclared.is_empty() {
        out.note(&format!("not declared, and left alone: {}", found.undeclared.join(", ")));
    }
    let what = count(found.changes.len(), "statement");
    let whose = format!("the roles of {}", place.target.describe());
    out.line(&match (found.changes.is_empty(), done) {
        (true, _) => format!("{whose} are what {} says", place.project.config.paths.roles),
        (false, true) => format!("{whose} are changed: {what}"),
        (false, false) => format!("{what} would change {whose}; `dbbuild roles apply` runs them"),
    });
    let changes: Vec<_> = found
        .changes
        .iter()
        .map(|change| {
            json!({ "kind": change.kind.as_str(), "role": change.role, "database": change.database, "sql": change.sql })
        })
        .collect();
    out.json(&json!({
        "database": place.target.describe(),
        "environment": place.target.selected.name,
        "empty": found.changes.is_empty(),
        "applied": done,
        "changes": changes,
        "undeclared": found.undeclared,
        "notes": found.notes,
    }));
}
