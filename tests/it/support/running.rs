//! Programs and database sessions that go on while a test does something else.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::server::{Db, Server};
use super::{Outcome, outcome};

/// A command that was started and not waited for. Dropping it kills it.
pub struct Running {
    child: Option<Child>,
    line: String,
}

impl Running {
    /// Starts a command without standard input.
    #[track_caller]
    pub fn start(command: &mut Command) -> Running {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Running { child: Some(command.spawn().unwrap()), line: format!("{command:?}") }
    }

    /// Its process id.
    pub fn pid(&self) -> i32 {
        self.child.as_ref().unwrap().id() as i32
    }

    /// Sends a signal; one that has ended gets none.
    pub fn signal(&mut self, signal: Signal) {
        if self.child.as_mut().unwrap().try_wait().unwrap().is_none() {
            kill(Pid::from_raw(self.pid()), signal).unwrap();
        }
    }

    /// Waits for its end.
    #[track_caller]
    pub fn wait(mut self) -> Outcome {
        outcome::finish(self.child.take().unwrap(), std::mem::take(&mut self.line))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// A psql that holds a session open. Dropping it ends the session.
pub struct Held {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Held {
    /// Opens a session as `alice (holder)` would: the name that dbbuild shows.
    pub fn open(db: &Db<'_>) -> Held {
        Held::start(db.command("psql"), &db.name)
    }

    /// The same in any database of a server.
    pub fn open_in(server: &Server, database: &str) -> Held {
        Held::start(server.command("psql"), database)
    }

    fn start(mut psql: Command, database: &str) -> Held {
        psql.env("PGAPPNAME", "holder").args(["-XAtq", "-v", "ON_ERROR_STOP=0", "-d", database]);
        let mut child = psql.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let (input, output) = (child.stdin.take(), BufReader::new(child.stdout.take().unwrap()));
        Held { child, input, output }
    }

    /// Runs SQL to its end.
    pub fn run(&mut self, sql: &str) -> &mut Self {
        self.send(&format!("{sql};\n\\echo held"));
        let mut line = String::new();
        while line.trim() != "held" {
            line.clear();
            assert!(self.output.read_line(&mut line).unwrap() > 0, "the session ended");
        }
        self
    }

    /// Runs SQL and does not wait for it.
    pub fn send(&mut self, sql: &str) {
        writeln!(self.input.as_mut().unwrap(), "{sql}").unwrap();
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.input = None;
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits until a query gives `t`.
#[track_caller]
pub fn until(db: &Db<'_>, query: &str) {
    let start = Instant::now();
    while db.psql(query) != "t" {
        assert!(start.elapsed() < Duration::from_secs(30), "never came true: {query}");
        thread::sleep(Duration::from_millis(10));
    }
}
