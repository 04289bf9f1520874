//! Puts the repository's access file in the place of a server's, on the server's machine, and takes it back where the
//! server does not take it or dbbuild is locked out.
//!
//! The old file is copied first. Until the new one is proved the copy's name says so, and the next run names what a killed
//! one left.

use std::path::Path;

use jiff::Timestamp;

use super::hand::{Hand, Stat};
use super::live::{self, Live};
use super::{check, trial, view};
use crate::engine::history::literal;
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

/// Ends the name of a copy while the new file is not proved.
const UNPROVED: &str = ".unproved";

/// Applies.
///
/// # Errors
/// A danger, a failed expectation or the guard speaks against it, the server is elsewhere or the file may not be written:
/// nothing was changed. Or the server did not take it, or did not let dbbuild in: the old file is back.
pub async fn apply(project: &Project, target: &Target) -> Result<Applied> {
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
    let live = live::read(&session, &wanted.files.main).await?;
    let run_as = project.config.env.get(&target.selected.name).map_or(&[][..], |env| &env.run_as[..]);
    let place = Place::find(&session, target, &live, run_as).await?;
    let mut notes = report.notes;
    notes.extend(place.left_overs());
    if live.files.as_ref() == Ok(&wanted.files) && !live.unread {
        place.settle_left_overs();
        return Ok(Applied { file: place.file, written: Vec::new(), copies: Vec::new(), notes });
    }
    let mut change = Change { place: &place, done: Vec::new(), left: false };
    change.write(&wanted.files)?;
    prove(&session, target, &place, &wanted.parsed, &wanted.files, &mut change, &mut notes).await?;
    let written = change.done.iter().map(|one| one.file.clone()).collect();
    let copies = change.keep();
    place.settle_left_overs();
    Ok(Applied { file: place.file.clone(), written, copies, notes })
}

/// The server's file on this machine.
struct Place {
    /// As the server names it: what it takes in is named from there.
    file: String,
    /// Behind links.
    real: String,
    hand: Hand,
}

impl Place {
    async fn find(session: &Session, target: &Target, live: &Live, run_as: &[String]) -> Result<Place> {
        let elsewhere = |why: String| {
            Error::failed(format!("cannot change the access file of {} from here", target.describe()))
                .cause(why)
                .help("run `dbbuild hba apply` on the server's machine, or ask its provider; nothing was changed.")
        };
        let Some(file) = live.file.clone() else {
            return Err(elsewhere("the role may not see where it lies".to_owned())
                .help("GRANT pg_read_all_settings TO ROLE; a superuser may do all of it."));
        };
        let sql = format!(
            "SELECT s.size, floor(extract(epoch FROM s.modification))::bigint, floor(extract(epoch FROM s.change))::bigint \
             FROM pg_catalog.pg_stat_file({}) s",
            literal(&file)
        );
        let rows = session.query_rows(&sql).await.map_err(|error| {
            elsewhere("the role may not look at the file: whether it is this machine's cannot be told".to_owned())
                .cause(error.causes().first().cloned().unwrap_or_default())
                .help("use a superuser, or GRANT EXECUTE ON FUNCTION pg_catalog.pg_stat_file(text) TO ROLE.")
        })?;
        let number = |i: usize| rows.first()?.get(i)?.as_ref()?.parse::<i64>().ok();
        let (Some(size), Some(modified), Some(changed)) = (number(0), number(1), number(2)) else {
            return Err(elsewhere("the server does not say what its file is like".to_owned()));
        };
        let hand = Hand::of(Path::new(&file), run_as);
        match hand.stat(&file) {
            Ok(Some(here)) if here == (Stat { size, modified, changed }) => {
                let real = hand.resolve(&file).or_failed(|| format!("cannot find out where {file} leads"))?;
                Ok(Place { file, real, hand })
            }
            Ok(Some(_)) => Err(elsewhere(format!("{file} on this machine is another file: the server runs elsewhere"))),
            Ok(None) => Err(elsewhere(format!("there is no {file} on this machine: the server runs elsewhere"))),
            Err(e) => Err(elsewhere(format!("{file} cannot be looked at by {}: {e}", hand.describe()))
                .help("or set `run_as = [\"sudo\", \"-u\", \"postgres\"]` for this environment.")),
        }
    }

    fn folder(&self) -> &str {
        self.file.rsplit_once('/').map_or("/", |(folder, _)| folder)
    }

    /// Where copies are kept.
    fn real_folder(&self) -> &str {
        self.real.rsplit_once('/').map_or("/", |(folder, _)| folder)
    }

    /// Copies that a run left which did not come to its end.
    fn unproved(&self) -> Vec<String> {
        let names = self.hand.list(self.real_folder()).unwrap_or_default();
        let ours = |name: &String| name.contains(".dbbuild-") && name.ends_with(UNPROVED);
        let mut found: Vec<String> =
            names.into_iter().filter(ours).map(|name| format!("{}/{name}", self.real_folder())).collect();
        found.sort();
        found
    }

    fn left_overs(&self) -> Vec<String> {
        let say = |copy: String| {
            format!(
                "an earlier `hba apply` did not come to its end: {copy} is the file as it was before; the one in force may be either"
            )
        };
        self.unproved().into_iter().map(say).collect()
    }

    /// After a whole run they are copies like others.
    fn settle_left_overs(&self) {
        for copy in self.unproved() {
            // One that stays is named again.
            let _ = self.hand.rename(&copy, copy.trim_end_matches(UNPROVED));
        }
    }
}

struct Written {
    file: String,
    /// Where the old one is; none where there was no such file.
    copy: Option<String>,
}

/// A change that is not proved. Dropping it puts the old files back, as long as the server has not followed the new ones:
/// after that the files and what is in force must not part.
struct Change<'a> {
    place: &'a Place,
    done: Vec<Written>,
    /// Nothing is put back when this is dropped.
    left: bool,
}

impl Change<'_> {
    /// Writes all files, the one that the server begins with last.
    fn write(&mut self, files: &Files) -> Result<()> {
        let stamp = Timestamp::now().strftime("%Y%m%dT%H%M%SZ").to_string();
        let main = files.name();
        let mut names: Vec<&String> = files.texts.keys().filter(|name| *name != main).collect();
        names.extend(files.texts.keys().filter(|name| *name == main));
        for name in names {
            let text = files.texts.get(name).map_or("", String::as_str);
            let file = if name == main { self.place.file.clone() } else { format!("{}/{name}", self.place.folder()) };
            self.replace(&file, text, &stamp).map_err(|e| {
                let back = self.undo();
                let error = Error::failed(format!("cannot write {file} as {}", self.place.hand.describe())).cause(e);
                match back {
                    Ok(()) => error.help(
                        "run it as root or the server's user, or set `run_as = [\"sudo\", \"-u\", \"postgres\"]` for this \
                         environment; nothing was changed.",
                    ),
                    Err(why) => error.cause(why),
                }
            })?;
        }
        Ok(())
    }

    fn replace(&mut self, file: &str, text: &str, stamp: &str) -> std::io::Result<()> {
        let hand = &self.place.hand;
        let file = hand.resolve(file)?;
        let copy = match hand.read(&file)? {
            Some(old) if old == text.as_bytes() => return Ok(()),
            Some(_) => {
                let name = file.strip_prefix(&format!("{}/", self.place.real_folder())).unwrap_or(&file);
                let name = name.trim_start_matches('/').replace('/', "-");
                let copy = format!("{}/{name}.dbbuild-{stamp}{UNPROVED}", self.place.real_folder());
                hand.keep(&file, &copy)?;
                Some(copy)
            }
            None => None,
        };
        self.done.push(Written { file: file.clone(), copy });
        hand.replace(&file, text.as_bytes(), &self.place.file)
    }

    /// Puts the old files back.
    fn undo(&mut self) -> Result<()> {
        let hand = &self.place.hand;
        while let Some(one) = self.done.pop() {
            let back = match &one.copy {
                // As it was, with its times: nothing has happened.
                Some(copy) => hand.rename(copy, &one.file),
                None => hand.remove(&one.file),
            };
            back.map_err(|e| {
                let error = Error::failed(format!("cannot put {} back", one.file)).cause(e);
                match &one.copy {
                    Some(copy) => error.help(format!("do it by hand: {copy} is the old file.")),
                    None => error.help("remove it by hand: there was no such file."),
                }
            })?;
        }
        Ok(())
    }

    /// The change is proved: its copies become copies like others.
    fn keep(mut self) -> Vec<String> {
        self.left = true;
        let mut copies = Vec::new();
        for copy in std::mem::take(&mut self.done).into_iter().filter_map(|one| one.copy) {
            let kept = copy.trim_end_matches(UNPROVED).to_owned();
            let named = self.place.hand.rename(&copy, &kept).is_ok();
            copies.push(if named { kept } else { copy });
        }
        copies
    }
}

impl Drop for Change<'_> {
    fn drop(&mut self) {
        if !self.left {
            // What cannot be put back is named by the next run.
            let _ = self.undo();
        }
    }
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
    let more = rule_changes(&read.rules, &wanted.rules);
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
    // Whoever breaks it off from here on leaves the copy, which the next run names.
    change.left = true;
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
