//! Programs and database sessions that go on while a test does something else.

use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::outcome::Said;
use super::server::{Db, Server};
use super::{Outcome, outcome};

/// Nothing that a test waits for takes this long.
const LIMIT: Duration = Duration::from_secs(120);

/// A command that was started and not waited for. Dropping it kills it.
pub struct Running {
    child: Option<(Child, Said)>,
    line: String,
}

impl Running {
    /// Starts a command without standard input.
    #[track_caller]
    pub fn start(command: &mut Command) -> Running {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let said = Said::of(&mut child);
        Running { child: Some((child, said)), line: format!("{command:?}") }
    }

    fn child(&mut self) -> &mut Child {
        &mut self.child.as_mut().unwrap().0
    }

    /// Whether the text stands in one of the outputs by now.
    pub fn has_said(&self, text: &str) -> bool {
        self.child.as_ref().unwrap().1.so_far().iter().any(|output| output.contains(text))
    }

    /// Waits until the text stands in one of the outputs.
    #[track_caller]
    pub fn until_says(&mut self, text: &str) -> &mut Self {
        let start = Instant::now();
        while !self.has_said(text) {
            let ended = self.child().try_wait().unwrap().is_some();
            if (ended && !self.has_said(text)) || start.elapsed() > LIMIT {
                let [stdout, stderr] = self.child.as_ref().unwrap().1.so_far();
                panic!("{} did not say {text:?}\n--- stdout\n{stdout}--- stderr\n{stderr}---", self.line);
            }
            thread::sleep(Duration::from_millis(10));
        }
        self
    }

    /// Its process id.
    pub fn pid(&self) -> i32 {
        self.child.as_ref().unwrap().0.id() as i32
    }

    /// Sends a signal; one that has ended gets none.
    pub fn signal(&mut self, signal: Signal) {
        if self.child().try_wait().unwrap().is_none() {
            kill(Pid::from_raw(self.pid()), signal).unwrap();
        }
    }

    /// Waits for its end.
    #[track_caller]
    pub fn wait(mut self) -> Outcome {
        let (child, said) = self.child.take().unwrap();
        outcome::finish(child, said, std::mem::take(&mut self.line))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some((mut child, _)) = self.child.take() {
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

/// Holds SQL up until a test lets it go on, however long that takes: the SQL waits for a file of the server's.
pub struct Gate {
    file: PathBuf,
}

impl Gate {
    /// One that is shut.
    pub fn new(server: &Server) -> Gate {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        Gate { file: server.dir.join(format!("gate-{}", NUMBER.fetch_add(1, Ordering::Relaxed))) }
    }

    /// The statement that waits.
    pub fn sql(&self) -> String {
        format!(
            "DO $$ BEGIN WHILE (pg_catalog.pg_stat_file('{}', true)).size IS NULL LOOP PERFORM pg_catalog.pg_sleep(0.02); \
             END LOOP; END $$",
            self.file.display()
        )
    }

    /// Lets through what waits and what comes.
    pub fn open(&self) {
        std::fs::write(&self.file, "").unwrap();
    }

    /// Holds up what comes.
    pub fn shut(&self) {
        std::fs::remove_file(&self.file).unwrap();
    }
}

/// Waits until a query gives `t`.
#[track_caller]
pub fn until(db: &Db<'_>, query: &str) {
    let start = Instant::now();
    while db.psql(query) != "t" {
        assert!(start.elapsed() < LIMIT, "never came true: {query}");
        thread::sleep(Duration::from_millis(10));
    }
}
