//! Lets psql run a file: in dbbuild's lock, in one transaction with its row, and with nothing of the user's settings.
//!
//! The file and what it takes in are laid out in a private folder, as they stand in the judged source; psql is started
//! there, so that its own messages name files as the repository does. What may stand in the file was judged before
//! (`src/model/psql.rs`); psql gets no search path for programs all the same.

use super::Event;
use super::failure::{UnitFailure, describe, help_for, needs_autocommit};
use super::message::Unit;
use super::worker::Worker;
use crate::engine::server::{process, programs};
use crate::engine::session::ServerError;
use crate::error::{Error, Location, OrFailed, Result};
use crate::model::conninfo::LIBPQ_VARIABLES;
use crate::model::script::Script;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

/// What psql says first, so that its connection can be watched.
const PID: &str = "dbbuild-pid ";

/// A file for psql.
pub(super) struct PsqlJob<'p> {
    /// What it runs.
    pub script: &'p Script,
    /// The text, where something was taken out of the script's.
    pub text: &'p str,
    /// Statements before it.
    pub head: String,
    /// Statements after it.
    pub tail: String,
}

/// Why psql did not come to its end.
pub(super) struct PsqlFailure {
    pub failure: UnitFailure,
    /// Where, if psql told.
    pub place: Option<Location>,
}

/// Kills a psql that nobody waits for any more.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Worker<'_> {
    /// Runs a job. The inner error is psql's or the server's.
    ///
    /// # Errors
    /// There is no psql of the server's version, or the files cannot be laid out.
    pub(super) async fn run_psql(&self, job: &PsqlJob<'_>) -> Result<std::result::Result<(), PsqlFailure>> {
        let session = self.session();
        let programs = programs::find_client(self.bin_dir(), session.server_version(), true)?;
        let program = programs.require("psql")?;
        let folder = tempfile::Builder::new().prefix("dbbuild-psql-").tempdir().or_failed(|| "cannot make a folder")?;
        lay_out(folder.path(), job)?;
        let mut child = Running(
            process::spawn_bound(self.psql_command(&program, folder.path()))
                .or_failed(|| format!("cannot start {}", program.display()))?,
        );
        let (Some(out), Some(err)) = (child.0.stdout.take(), child.0.stderr.take()) else {
            return Err(Error::failed("cannot hear psql"));
        };
        let (sender, mut lines) = tokio::sync::mpsc::unbounded_channel::<String>();
        let reader = tokio::task::spawn_blocking(move || {
            for line in BufReader::new(out).lines().map_while(std::result::Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        let errors = tokio::task::spawn_blocking(move || {
            let mut text = Vec::new();
            // What could be read tells what there is to tell.
            let _ = BufReader::new(err).read_to_end(&mut text);
            String::from_utf8_lossy(&text).into_owned()
        });
        let pid = match lines.recv().await {
            Some(line) => line.strip_prefix(PID).and_then(|pid| pid.trim().parse().ok()).unwrap_or(0),
            None => 0,
        };
        let work = async {
            while let Some(line) = lines.recv().await {
                // A replay in a throwaway would say everything again.
                if self.is_watched() {
                    self.tell(Event::Note(line));
                }
            }
            let _ = reader.await;
            errors.await.unwrap_or_default()
        };
        let said = self.watched(work, pid).await;
        let status = tokio::task::spawn_blocking(move || child.0.wait())
            .await
            .or_failed(|| "cannot wait for psql")?
            .or_failed(|| "cannot wait for psql")?;
        if status.success() {
            return Ok(Ok(()));
        }
        Ok(Err(explain(job.script, status, &said)))
    }

    fn psql_command(&self, program: &Path, folder: &Path) -> Command {
        let session = self.session();
        let settings = session.settings();
        let mut command = process::command(program, None);
        for variable in LIBPQ_VARIABLES {
            command.env_remove(variable);
        }
        command.envs(settings.libpq_env());
        let mut options = settings.options().unwrap_or_default().to_owned();
        // After the connection's own options, since the last one counts. A space in a value is told from others by a backslash.
        for setting in session.work_settings().split(';') {
            if let Some((name, value)) = setting.trim().trim_start_matches("SET ").split_once(" = ") {
                options.push_str(&format!(" -c {name}={}", value.trim_matches('\'').replace(' ', "\\ ")));
            }
        }
        options.push_str(" -c standard_conforming_strings=on");
        command
            .env("PGOPTIONS", options.trim_start())
            .env("PGAPPNAME", settings.application_name().unwrap_or("dbbuild"))
            .env("PGCLIENTENCODING", "UTF8")
            .env("PATH", "")
            .env("PAGER", "")
            .args(["--no-psqlrc", "--quiet", "--no-password", "--set=ON_ERROR_STOP=1", "--set=VERBOSITY=verbose"])
            .args(["--set=SHOW_CONTEXT=errors", "--file=../run.psql"])
            .current_dir(folder.join("tree"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Lets psql run a unit. `proof` gives a row once it is committed: a script may end psql's run in ways that psql
    /// takes for success.
    pub(super) async fn run_unit_by_psql(&self, unit: &Unit<'_>, title: &str, proof: &str) -> Result<()> {
        let job = PsqlJob {
            script: unit.script,
            text: &unit.body.text,
            head: format!("BEGIN; SET LOCAL lock_timeout = {}; {};", self.envelope().lock_timeout, unit.opening),
            tail: format!("SET SESSION AUTHORIZATION DEFAULT; RESET ROLE; {}; COMMIT;", unit.closing),
        };
        for attempt in 1.. {
            let Err(failed) = self.run_psql(&job).await? else { break };
            let error = &failed.failure.error;
            if !error.gone && self.waits_to_retry(attempt, &failed.failure).await {
                continue;
            }
            let place = failed.place.unwrap_or_else(|| unit.script.location(0));
            let described = self.name_blocker(describe(error, title, place, None), error);
            return Err(described.help(match needs_autocommit(error) {
                true => {
                    "it was rolled back. psql runs the file in one transaction: write `-- migrate:up transaction:false` \
                     to let it commit by itself."
                }
                false => help_for(error),
            }));
        }
        if self.session().query_rows(proof).await?.is_empty() {
            return Err(Error::failed(format!("{title} was not committed"))
                .at(Location::file(&unit.script.path))
                .cause("psql came to the end of the file, but its transaction was rolled back")
                .help("a file that psql runs must not end its transaction, or switch off ON_ERROR_STOP."));
        }
        Ok(())
    }

    /// Runs a script once more by itself, for the proof that it then changes nothing.
    pub(super) async fn psql_again(&self, script: &Script) -> Result<std::result::Result<(), Error>> {
        let job = PsqlJob { script, text: &script.text, head: String::new(), tail: String::new() };
        Ok(self.run_psql(&job).await?.map_err(|failed| {
            let place = failed.place.unwrap_or_else(|| script.location(0));
            describe(&failed.failure.error, "the second run", place, None)
        }))
    }
}

/// The files as psql finds them.
fn lay_out(folder: &Path, job: &PsqlJob<'_>) -> Result<()> {
    let tree = folder.join("tree");
    let script = job.script;
    let own = format!("{}{}", "\n".repeat(script.first_line.saturating_sub(1)), job.text);
    write(&tree, &script.path, own.as_bytes())?;
    if let Some(included) = &script.means.psql {
        for (path, bytes) in included.files() {
            if path != script.path {
                write(&tree, path, bytes)?;
            }
        }
    }
    let path = script.path.replace('\\', "\\\\").replace('\'', "\\'");
    let run = format!(
        "SELECT pg_catalog.pg_backend_pid() AS dbbuild_pid \\gset\n\\echo {PID}:dbbuild_pid\n\\unset dbbuild_pid\n\
         \\o /dev/null\n{}\n\\i '{path}'\n;\n{}\n",
        job.head, job.tail
    );
    std::fs::write(folder.join("run.psql"), run).or_failed(|| "cannot write a file for psql")
}

fn write(tree: &Path, path: &str, bytes: &[u8]) -> Result<()> {
    let place: PathBuf = tree.join(path);
    let written = place.parent().map_or(Ok(()), std::fs::create_dir_all).and_then(|()| std::fs::write(&place, bytes));
    written.or_failed(|| format!("cannot lay out {path} for psql"))
}

/// What psql wrote to stderr as an error with its place.
fn explain(script: &Script, status: ExitStatus, said: &str) -> PsqlFailure {
    let mut error = ServerError { gone: status.code() == Some(2) || status.code().is_none(), ..ServerError::default() };
    let mut place = None;
    let mut line_of_statement = None;
    let mut lines = said.lines();
    for line in lines.by_ref() {
        let (at, text) = located(line);
        let failure =
            text.strip_prefix("ERROR:").or_else(|| text.strip_prefix("FATAL:")).or_else(|| text.strip_prefix("error:"));
        let Some(message) = failure else { continue };
        let message = message.trim();
        let (code, message) = match message.split_once(": ") {
            Some((code, rest)) if code.len() == 5 && code.bytes().all(|b| b.is_ascii_alphanumeric()) => {
                (Some(code.to_owned()), rest.trim())
            }
            _ => (None, message),
        };
        error.sqlstate = code;
        error.message = message.to_owned();
        place = at;
        break;
    }
    for line in lines {
        let text = located(line).1;
        let part = |name: &str| text.strip_prefix(name).map(|text| text.trim().to_owned());
        error.detail = error.detail.or_else(|| part("DETAIL:"));
        error.hint = error.hint.or_else(|| part("HINT:"));
        error.context = error.context.or_else(|| part("CONTEXT:"));
        line_of_statement = line_of_statement.or_else(|| {
            text.strip_prefix("LINE ").and_then(|text| text.split_once(':')).and_then(|(n, _)| n.parse::<usize>().ok())
        });
    }
    if error.message.is_empty() {
        let last = said.lines().rfind(|line| !line.trim().is_empty()).unwrap_or_default();
        error.message = if last.is_empty() { format!("psql ended with {status}") } else { last.to_owned() };
    }
    let place = place.map(|place| begins(script, place, line_of_statement));
    PsqlFailure { failure: UnitFailure { error: Box::new(error), completed: 0, position: None }, place }
}

/// `psql:FILE:LINE: ` before a message.
fn located(line: &str) -> (Option<Location>, &str) {
    let found = line.strip_prefix("psql:").and_then(|rest| {
        let (place, text) = rest.split_once(": ")?;
        let (path, number) = place.rsplit_once(':')?;
        let number = number.parse().ok()?;
        Some((Location::new(path.to_owned(), number, 0), text))
    });
    match found {
        Some((place, text)) if place.path.ends_with("run.psql") => (None, text),
        Some((place, text)) => (Some(place), text),
        None => (None, line.strip_prefix("psql: ").unwrap_or(line)),
    }
}

/// psql tells the line at which a statement ends; in the file itself its beginning is known.
fn begins(script: &Script, place: Location, line_of_statement: Option<usize>) -> Location {
    if place.path != script.path {
        let included = script.means.psql.as_ref().and_then(|included| included.as_scripts().ok()).unwrap_or_default();
        return match included.iter().find(|inner| inner.path == place.path) {
            Some(inner) => begins(inner, place, line_of_statement),
            None => place,
        };
    }
    let Ok(statements) = script.split() else { return place };
    let line = |at: usize| script.location(at).line;
    // The `;` may stand on a line of its own.
    let end = |at: usize| at + script.text.get(at..).and_then(|rest| rest.find(';')).unwrap_or(0);
    let found =
        statements.iter().find(|one| line(one.range.start) <= place.line && place.line <= line(end(one.range.end)));
    match found {
        Some(one) => Location::new(place.path, line(one.range.start) + line_of_statement.map_or(0, |n| n - 1), 0),
        None => place,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::ExitStatusExt;

    #[test]
    fn what_psql_says_becomes_an_error_with_its_place() {
        let script = Script::of_section("db/1_a.sql", 3, "SELECT 1;\nSELECT\n  nowhere\n;\n");
        let said = "psql:db/1_a.sql:1: NOTICE:  00000: hello\nLOCATION:  x\n\
                    psql:db/1_a.sql:6: ERROR:  42703: column \"nowhere\" does not exist\nLINE 2:   nowhere\n          ^\n\
                    HINT:  none\nLOCATION:  errorMissingColumn, parse_relation.c:3651\n";
        let failed = explain(&script, ExitStatus::from_raw(3 << 8), said);
        assert_eq!(failed.place.map(|place| place.to_string()).as_deref(), Some("db/1_a.sql:5"));
        let error = failed.failure.error;
        assert_eq!(error.cause(), "column \"nowhere\" does not exist (42703)");
        assert_eq!((error.hint.as_deref(), error.gone), (Some("none"), false));
        let failed = explain(&script, ExitStatus::from_raw(3 << 8), "psql:db/i.sql:4: error: invalid command \\x\n");
        assert_eq!(failed.place.map(|place| place.to_string()).as_deref(), Some("db/i.sql:4"));
        assert_eq!(failed.failure.error.cause(), "invalid command \\x");
    }
}
