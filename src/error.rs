//! The one error that reaches a user: what happened, to which object, where, why, and what to do.
//!
//! Errors are values with parts, not formatted text; `cli::output` alone prints them. It does not hold passwords:
//! whoever describes a connection uses [`crate::model::conninfo::ConnectionSettings`]'s `Display`, which has none.

use std::fmt;

/// A result whose error can be shown to a user.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What the process ends with; the numbers are part of the product.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// 1: a script, a check, the guard or the machine said no.
    Failed,
    /// 2: the command line or the configuration is wrong.
    Usage,
    /// 3: two things that should agree differ.
    Difference,
}

impl Status {
    /// The exit status of the process.
    pub fn code(self) -> u8 {
        match self {
            Status::Failed => 1,
            Status::Usage => 2,
            Status::Difference => 3,
        }
    }
}

/// A place in a file of the user's: line and column count from 1, the column in characters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Location {
    /// Path as the user knows it, relative to the repository where it lies inside.
    pub path: String,
    /// Line, from 1; 0 where only the file is known.
    pub line: usize,
    /// Column in characters, from 1; 0 where only the line is known.
    pub column: usize,
}

impl Location {
    /// A whole file.
    pub fn file(path: impl Into<String>) -> Self {
        Location { path: path.into(), line: 0, column: 0 }
    }

    /// A line and column of a file.
    pub fn new(path: impl Into<String>, line: usize, column: usize) -> Self {
        Location { path: path.into(), line, column }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_harmless(f, &self.path)?;
        match (self.line, self.column) {
            (0, _) => Ok(()),
            (line, 0) => write!(f, ":{line}"),
            (line, column) => write!(f, ":{line}:{column}"),
        }
    }
}

/// Writes a name as it is, but for newlines and escape sequences that it may hold: a message stays one line and harmless.
pub fn write_harmless(f: &mut fmt::Formatter<'_>, name: &str) -> fmt::Result {
    name.chars().try_for_each(|c| if c.is_control() { write!(f, "{}", c.escape_default()) } else { write!(f, "{c}") })
}

/// See the module's page. Built by chaining: `Error::failed("…").at(location).cause(e).help("…")`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error(Box<Parts>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Parts {
    status: Status,
    message: String,
    location: Option<Location>,
    causes: Vec<String>,
    help: Vec<String>,
    details: Vec<String>,
    sqlstate: Option<String>,
    more: Vec<Error>,
}

impl Error {
    fn new(status: Status, message: impl Into<String>) -> Self {
        Error(Box::new(Parts {
            status,
            message: message.into(),
            location: None,
            causes: Vec::new(),
            help: Vec::new(),
            details: Vec::new(),
            sqlstate: None,
            more: Vec::new(),
        }))
    }

    /// Something failed or was refused (exit status 1).
    pub fn failed(message: impl Into<String>) -> Self {
        Self::new(Status::Failed, message)
    }

    /// The command line or configuration is wrong (exit status 2).
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(Status::Usage, message)
    }

    /// The same as a fault of the configuration.
    #[must_use]
    pub fn of_usage(mut self) -> Self {
        self.0.status = Status::Usage;
        self
    }

    /// Two things differ that should agree (exit status 3).
    pub fn difference(message: impl Into<String>) -> Self {
        Self::new(Status::Difference, message)
    }

    /// Says of what the message is, before it: `ABOUT: MESSAGE`.
    #[must_use]
    pub fn about(mut self, about: impl fmt::Display) -> Self {
        self.0.message = format!("{about}: {}", self.0.message);
        self
    }

    /// Says where; the message then reads `MESSAGE at PATH:LINE:COLUMN`.
    #[must_use]
    pub fn at(mut self, location: Location) -> Self {
        self.0.location = Some(location);
        self
    }

    /// Adds a cause, outermost first.
    #[must_use]
    pub fn cause(mut self, cause: impl fmt::Display) -> Self {
        self.0.causes.push(cause.to_string());
        self
    }

    /// Adds a line of help: the state that was left, and the command that mends it.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.0.help.push(help.into());
        self
    }

    /// Adds a block that is shown verbatim below the causes (a diff, a list of rows).
    #[must_use]
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.0.details.push(detail.into());
        self
    }

    /// Keeps PostgreSQL's five-character SQLSTATE, for code that decides by it.
    #[must_use]
    pub fn sqlstate(mut self, code: impl Into<String>) -> Self {
        self.0.sqlstate = Some(code.into());
        self
    }

    /// Joins several errors into one, each once; the first one's status counts. `None` for an empty list.
    pub fn all(errors: impl IntoIterator<Item = Error>) -> Option<Error> {
        let mut each: Vec<Error> = Vec::new();
        for error in errors {
            if !each.contains(&error) {
                each.push(error);
            }
        }
        let mut each = each.into_iter();
        let mut first = each.next()?;
        first.0.more.extend(each);
        Some(first)
    }

    /// The same with every text of it changed by `change`.
    #[must_use]
    pub fn map_texts(mut self, change: &dyn Fn(&str) -> String) -> Error {
        self.0.message = change(&self.0.message);
        for text in self.0.causes.iter_mut().chain(&mut self.0.help).chain(&mut self.0.details) {
            *text = change(text);
        }
        self.0.more = std::mem::take(&mut self.0.more).into_iter().map(|error| error.map_texts(change)).collect();
        self
    }

    /// The exit status this error asks for.
    pub fn status(&self) -> Status {
        self.0.status
    }

    /// What happened, without place and causes.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// Where it happened, if in a file.
    pub fn location(&self) -> Option<&Location> {
        self.0.location.as_ref()
    }

    /// Causes, outermost first.
    pub fn causes(&self) -> &[String] {
        &self.0.causes
    }

    /// Lines of help.
    pub fn helps(&self) -> &[String] {
        &self.0.help
    }

    /// Verbatim blocks.
    pub fn details(&self) -> &[String] {
        &self.0.details
    }

    /// PostgreSQL's SQLSTATE, where a server said no.
    pub fn code(&self) -> Option<&str> {
        self.0.sqlstate.as_deref()
    }

    /// Further errors found in the same go.
    pub fn others(&self) -> &[Error] {
        &self.0.more
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)?;
        if let Some(location) = &self.0.location {
            write!(f, " at {location}")?;
        }
        for cause in &self.0.causes {
            write!(f, ": {cause}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {}

/// Gives a foreign error its sentence: `fs::read(&p).or_failed(|| format!("cannot read {}", p.display()))`.
pub trait OrFailed<T> {
    /// Turns the error into [`Error::failed`] with the original as its cause.
    fn or_failed<M: Into<String>>(self, message: impl FnOnce() -> M) -> Result<T>;
}

impl<T, E: fmt::Display> OrFailed<T> for std::result::Result<T, E> {
    fn or_failed<M: Into<String>>(self, message: impl FnOnce() -> M) -> Result<T> {
        self.map_err(|e| Error::failed(message()).cause(e))
    }
}
