//! Puts the repository's access file in the place of a server's, on the server's machine, and takes it back where the
//! server does not take it or dbbuild is locked out.
//!
//! The old file is copied first. Until the new one is proved the copy's name says so, and the next run names what a killed
//! one left.

use super::change::Change;
use super::place::Place;
use super::{check, live, trial, view};
use crate::engine::lock::{Lock, Of};
use crate::engine::project::Project;
use crate::engine::session::{self, ConnectOptions, Session};
use crate::engine::target::{Target, check_version};
use crate::error::{Error, OrFailed, Result};
use crate::model::guard::{self, Action};
use crate::model::hba::{Files, Parsed, rule_changes};

/// What was done.
#[derive(Debug)]
pub struct Applied {
    /// The server's file.
    pub file: String,
    /// The files that were written, on the server's machine.
    pub written: Vec<String>,
    /// Copies of what was there.
    pub copies: Vec<String>,
    /// What should be said.
    pub notes: Vec<String>,
}

/// Applies; `waiting` is told what it waits for.
///
/// # Errors
/// A danger, a failed expectation or the guard speaks against it, the server is elsewhere or the file may not be written:
/// nothing was changed. Or the server did not take it, or did not let dbbuild in: the old file is back.
pub async fn apply(project: &Project, target: &Target, waiting: &dyn Fn(&str)) -> Result<Applied> {
    live::not_embedded(target)?;
    let report = check::check(project, Some(&target.selected.name)).await?;
    if let Some(error) = Error::all(report.faults(false)) {
        return Err(error.help("nothing was changed on the server."));
    }
    let wanted = report.judged.into_iter().next().ok_or_else(|| Error::failed("there is no access file"))?;
    let session = target.connect().await?;
    check_version(&session, &project.config, &target.describe())?;
    let found = target.read(&session).await?;
    guard::judge(Action::Migrate, &found.facts, &target.selected).map_err(|error| {
        error.map_texts(&|text| text.replace("refused to migrate", "refused to change the access to"))
    })?;
    let _lock = Lock::take_of_server(Of::Access, &session, project.config.lock.wait, waiting).await?;
    let live = live::read(&session, &wanted.files.main).await?;
    let run_as = project.config.env.get(&target.selected.name).map_or(&[][..], |env| &env.run_as[..]);
    let place = Place::find(&session, target, &live, run_as).await?;
    let mut notes = report.notes;
    notes.extend(place.left_overs());
    if live.files.as_ref() == Ok(&wanted.files) && !live.unread {
        place.settle_left_overs();
        return Ok(Applied { file: place.file, written: Vec::new(), copies: Vec::new(), notes });
    }
    let mut change = Change::begin(&place);
    change.write(&wanted.files)?;
    prove(&session, target, &place, &wanted.parsed, &wanted.files, &mut change, &mut notes).await?;
    let written = change.done().iter().map(|one| one.file.clone()).collect();
    let copies = change.keep();
    place.settle_left_overs();
    Ok(Applied { file: place.file.clone(), written, copies, notes })
}

/// Has the server read the new file, first without following it; then a new connection must get in.
async fn prove(
    session: &Session,
    target: &Target,
    place: &Place,
    wanted: &Parsed,
    files: &Files,
    change: &mut Change<'_>,
    notes: &mut Vec<String>,
) -> Result<()> {
    let read = view::read(session, place.folder(), files).await?;
    let refused: Vec<&str> =
        read.refusals.iter().filter(|refusal| !refusal.harmless).map(|r| r.message.as_str()).collect();
    if !refused.is_empty() {
        let error = Error::failed(format!("{} does not take the new access file", target.describe()));
        change.undo()?;
        return Err(refused.iter().fold(error, |error, why| error.cause(why)).help(UNFOLLOWED));
    }
    let more = rule_changes(&read.rules, &wanted.rules, files);
    if !more.is_empty() {
        let lines: Vec<String> =
            more.iter().map(|c| format!("{} {}", if c.added { "lacks" } else { "has also" }, c.rule)).collect();
        change.undo()?;
        return Err(Error::failed(format!("{} reads other rules than the repository has", target.describe()))
            .detail(lines.join("\n"))
            .help("its folder may hold more that the file takes in: `dbbuild hba adopt` shows it.")
            .help(UNFOLLOWED));
    }
    notes.extend(read.refusals.iter().map(|refusal| format!("{}:{}: {}", refusal.path, refusal.line, refusal.message)));
    change.leave();
    let reloaded = trial::reload(session).await;
    let locked_out = match reloaded {
        Ok(()) => match session::connect(session.settings(), &ConnectOptions::default()).await {
            Ok(another) => {
                another.close().await;
                return Ok(());
            }
            Err(error) => error,
        },
        Err(error) => error,
    };
    change.undo()?;
    let back = trial::reload(session).await.and(
        session::connect(session.settings(), &ConnectOptions::default())
            .await
            .or_failed(|| "the old file is back, but dbbuild still does not get in"),
    );
    let error = Error::failed(format!("{} does not let dbbuild in with the new access file", target.describe()));
    let error = locked_out.causes().iter().fold(error, |error, cause| error.cause(cause));
    Err(match back {
        Ok(_) => error.help("the old file is back and in force. Let the role of this environment in, and apply again."),
        Err(why) => error.cause(why).help("look at the server: `SELECT pg_reload_conf()` as a superuser."),
    })
}

const UNFOLLOWED: &str = "the old file is back; the server never followed the new one.";
