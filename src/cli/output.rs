//! The only place that prints: results on stdout, everything else on stderr, errors in one form.

use super::Globals;
use crate::error::{Error, Status};
use anstyle::{AnsiColor, Style};
use indicatif::{MultiProgress, ProgressDrawTarget};
use std::io::{ErrorKind, IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

/// How to print.
#[derive(Debug, Clone)]
pub struct Output {
    json: bool,
    quiet: bool,
    verbose: bool,
    /// Whether each event is printed as a line of JSON; commands that can do that say so.
    events: Arc<AtomicBool>,
    /// Whether the one JSON value of this run is out.
    answered: Arc<AtomicBool>,
    /// The bars on the terminal, hidden until [`Output::draw`]. They step aside for whatever is printed.
    bars: MultiProgress,
}

const ERROR: Style = AnsiColor::Red.on_default().bold();
const CAUSE: Style = AnsiColor::Yellow.on_default().bold();
const HELP: Style = AnsiColor::Cyan.on_default().bold();
const GOOD: Style = AnsiColor::Green.on_default();

/// How a line of `doctor` stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Health {
    /// As it should be.
    Ok,
    /// Works, with a drawback.
    Warning,
    /// Does not work.
    Problem,
}

impl Health {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Health::Ok => "ok",
            Health::Warning => "warning",
            Health::Problem => "problem",
        }
    }
}

impl Output {
    /// Reads the options; colours go where a terminal is.
    pub fn new(globals: &Globals) -> Output {
        if globals.no_color {
            anstream::ColorChoice::Never.write_global();
        }
        Output {
            json: globals.json,
            quiet: globals.quiet,
            verbose: globals.verbose,
            events: Arc::default(),
            answered: Arc::default(),
            bars: MultiProgress::with_draw_target(ProgressDrawTarget::hidden()),
        }
    }

    /// Whether results are printed as JSON.
    pub fn is_json(&self) -> bool {
        self.json || self.events.load(Ordering::Relaxed)
    }

    /// From now on each event is a line of JSON, and so is the result.
    pub fn begin_events(&self) {
        self.events.store(true, Ordering::Relaxed);
    }

    /// An event, where they are asked for: its name, when, and what it tells. A line is out as soon as it is printed.
    pub fn event(&self, name: &str, told: serde_json::Value) {
        if !self.events.load(Ordering::Relaxed) {
            return;
        }
        let mut line = serde_json::Map::new();
        line.insert("event".to_owned(), name.into());
        line.insert("at".to_owned(), jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string().into());
        if let serde_json::Value::Object(told) = told {
            line.extend(told);
        }
        self.print(&serde_json::Value::Object(line).to_string());
    }

    /// The bars; what is put among them is seen from [`Output::draw`] on.
    pub fn bars(&self) -> &MultiProgress {
        &self.bars
    }

    /// From now on bars are seen, where they may be.
    pub fn draw(&self) {
        if self.draws() && self.bars.is_hidden() {
            self.bars.set_draw_target(ProgressDrawTarget::stderr());
        }
    }

    /// Whether progress may be drawn.
    pub fn draws(&self) -> bool {
        !self.quiet && !self.is_json() && std::io::stderr().is_terminal()
    }

    /// A line of the result.
    pub fn line(&self, text: &str) {
        if !self.quiet && !self.is_json() {
            self.print(text);
        }
    }

    /// A line of the result that stays with `--quiet`: what was asked for.
    pub fn answer(&self, text: &str) {
        if !self.is_json() {
            self.print(text);
        }
    }

    /// A line for `--verbose`.
    pub fn detail(&self, text: &str) {
        if self.verbose && !self.is_json() {
            self.warn(text);
        }
    }

    /// A note on stderr.
    pub fn note(&self, text: &str) {
        if !self.quiet {
            self.warn(&format!("{HELP}note:{HELP:#} {text}"));
        }
    }

    /// A note that says what is waited for.
    pub fn waits_for(&self, what: &str) {
        self.note(&format!("waits for {what}"));
    }

    /// A warning on stderr, with what helps.
    pub fn warning(&self, text: &str, help: Option<&str>) {
        if !self.quiet {
            self.warn(&format!("{CAUSE}warning:{CAUSE:#} {text}"));
            if let Some(help) = help {
                self.warn(&format!("{HELP}help:{HELP:#} {help}"));
            }
        }
    }

    /// The result as JSON. A run prints one value: an error after a result goes to stderr alone.
    pub fn json(&self, value: &serde_json::Value) {
        if !self.is_json() || self.answered.swap(true, Ordering::Relaxed) {
            return;
        }
        if !self.events.load(Ordering::Relaxed) {
            self.print(&value.to_string());
        } else if value.get("error").is_some() {
            self.event("error", value.clone());
        } else {
            self.event("done", serde_json::json!({ "result": value }));
        }
    }

    /// A line of a report on health.
    pub fn health(&self, health: Health, subject: &str, text: &str, remedy: Option<&str>) {
        let style = match health {
            Health::Ok => GOOD,
            Health::Warning => CAUSE,
            Health::Problem => ERROR,
        };
        self.line(&format!("{style}{:<8}{style:#} {subject}: {text}", health.as_str()));
        if let Some(remedy) = remedy {
            self.line(&format!("         {HELP}help:{HELP:#} {remedy}"));
        }
    }

    /// An error with all its parts.
    pub fn error(&self, error: &Error) {
        self.json(&serde_json::json!({ "error": describe(error) }));
        for error in std::iter::once(error).chain(error.others()) {
            self.warn(&render(error));
        }
    }

    fn print(&self, text: &str) {
        note_loss(self.bars.suspend(|| writeln!(anstream::stdout(), "{text}")));
    }

    fn warn(&self, text: &str) {
        self.bars.suspend(|| drop(writeln!(anstream::stderr(), "{text}")));
    }
}

/// The human form: `error: … at …`, `caused by: …`, verbatim blocks, `help: …`.
fn render(error: &Error) -> String {
    let place = error.location().map_or_else(String::new, |location| format!(" at {location}"));
    let mut text = format!("{ERROR}error:{ERROR:#} {}{place}", error.message());
    for cause in error.causes() {
        text.push_str(&format!("\n{CAUSE}caused by:{CAUSE:#} {cause}"));
    }
    for detail in error.details().iter().filter(|detail| !detail.is_empty()) {
        for line in detail.lines() {
            text.push_str(&format!("\n    {line}"));
        }
    }
    for help in error.helps() {
        text.push_str(&format!("\n{HELP}help:{HELP:#} {help}"));
    }
    text
}

/// The stable JSON form of an error.
pub fn describe(error: &Error) -> serde_json::Value {
    let others: Vec<_> = error.others().iter().map(describe).collect();
    serde_json::json!({
        "message": error.message(),
        "status": error.status().code(),
        "location": error.location().map(|l| serde_json::json!({ "path": l.path, "line": l.line, "column": l.column })),
        "causes": error.causes(),
        "details": error.details(),
        "help": error.helps(),
        "sqlstate": error.code(),
        "others": others,
    })
}

/// "1 migration", "2 migrations".
pub fn count(n: usize, noun: &str) -> String {
    format!("{n} {noun}{}", if n == 1 { "" } else { "s" })
}

/// What clap has to say: help and versions on stdout, mistakes on stderr.
pub fn print_usage(error: &clap::Error) -> u8 {
    // A closed pipe is the reader's choice.
    let _ = error.print();
    if error.use_stderr() { Status::Usage.code() } else { 0 }
}

/// Asks a question on the terminal; false where there is none to ask.
pub fn confirm(question: &str) -> bool {
    if !std::io::stdin().is_terminal() {
        return false;
    }
    let answer = dialoguer::Confirm::new().with_prompt(question).default(false).interact_opt();
    if answer.is_err() {
        // Broken off, the question leaves the terminal without a cursor, in the middle of a line.
        let terminal = dialoguer::console::Term::stderr();
        let _ = terminal.show_cursor().and_then(|()| terminal.write_line(""));
    }
    answer.ok().flatten().unwrap_or(false)
}

/// Asks for a word on the terminal; none where there is none to ask.
pub fn ask(question: &str) -> Option<String> {
    if !std::io::stdin().is_terminal() {
        return None;
    }
    dialoguer::Input::<String>::new().with_prompt(question).allow_empty(true).interact_text().ok()
}

/// Whether a person sits at the terminal.
pub fn is_interactive() -> bool {
    std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}

/// Writes raw bytes to stdout: scripts of shells, manual pages.
pub fn raw(bytes: &[u8]) {
    note_loss(std::io::stdout().write_all(bytes).and_then(|()| std::io::stdout().flush()));
}

/// The first reason for which not all of the result is where it was to go.
static LOSS: OnceLock<std::io::Error> = OnceLock::new();

fn note_loss(written: std::io::Result<()>) {
    match written {
        // A closed pipe is the reader's choice.
        Err(e) if e.kind() != ErrorKind::BrokenPipe => drop(LOSS.set(e)),
        _ => {}
    }
}

/// An error where a result could not be written whole, as on a full disk: whoever keeps it must not take it for the whole.
pub fn loss() -> Option<Error> {
    LOSS.get().map(|e| Error::failed("the result could not be written whole").cause(e).help("what was done is done."))
}
