//! Finds psql's commands in a text as psql does, and blanks them.

use super::Fault;
use super::commands::{FOREIGN_VARIABLES, Kind, OWN_VARIABLES, kind};
use crate::model::sql::{self, PieceKind, ScanError, Scanner};

/// A file that a text names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// As written, without quotes.
    pub path: String,
    /// Relative to the file's own folder rather than to the top of the repository.
    pub relative: bool,
    /// A script; otherwise data.
    pub script: bool,
    /// Where the command stands, in bytes.
    pub offset: usize,
}

/// A text as SQL alone, byte for byte as long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct View {
    /// Spaces stand for psql's commands and for the data of a `\copy`; `;` where a command sends what stands before it.
    pub sql: String,
    /// The files that it names, in order.
    pub references: Vec<Reference>,
}

/// Why a text has no view.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ViewFault {
    /// It does not lex.
    Scan(ScanError),
    /// A command that is refused, or not understood.
    Command(Fault),
}

/// Takes psql's commands out of a text.
pub fn view(text: &str) -> Result<View, ViewFault> {
    // To psql a carriage return ends a comment, and a NUL the line.
    if let Some(at) = text.find(['\r', '\0']) {
        let message = "a carriage return or NUL character in a file that psql runs";
        return Err(ViewFault::Command(fault(
            at,
            message,
            "psql reads them otherwise than the server does; take it out",
        )));
    }
    let mut lexer = Lexer {
        text,
        out: text.as_bytes().to_vec(),
        references: Vec::new(),
        raw: Vec::new(),
        gset: None,
        statement: None,
    };
    lexer.run()?;
    lexer.raw_variables().map_err(ViewFault::Command)?;
    // Only whole characters were replaced, by spaces.
    let sql = String::from_utf8(lexer.out).unwrap_or_else(|_| text.to_owned());
    Ok(View { sql, references: lexer.references })
}

struct Lexer<'a> {
    text: &'a str,
    out: Vec<u8>,
    references: Vec<Reference>,
    /// `:name` as bare text in SQL: where, and the name.
    raw: Vec<(usize, &'a str)>,
    /// The first `\gset`.
    gset: Option<usize>,
    /// Where the statement begins that is not sent yet.
    statement: Option<usize>,
}

impl<'a> Lexer<'a> {
    fn run(&mut self) -> Result<(), ViewFault> {
        let mut base = 0;
        while base < self.text.len() {
            let mut colon = None;
            let mut command = None;
            for piece in Scanner::new(&self.text[base..]) {
                match piece {
                    Ok(piece) => {
                        let range = base + piece.range.start..base + piece.range.end;
                        let token = &self.text[range.clone()];
                        if piece.kind == PieceKind::Token && token.contains('\\') && !token.contains(['\'', '"', '$']) {
                            let help = "a command of psql's stands behind white space; take it out otherwise";
                            return Err(ViewFault::Command(fault(range.start, "a backslash inside of a word", help)));
                        }
                        match piece.kind {
                            PieceKind::Token if token == ":" && colon != Some(range.start) => colon = Some(range.end),
                            PieceKind::Token => {
                                if colon == Some(range.start) && token.starts_with(is_variable) {
                                    self.raw.push((range.start, token));
                                }
                                colon = None;
                            }
                            _ => colon = None,
                        }
                        match piece.kind {
                            PieceKind::Token => self.statement = self.statement.or(Some(range.start)),
                            PieceKind::End => self.sent(range.start)?,
                            _ => {}
                        }
                    }
                    Err(ScanError { offset, fault: sql::Fault::MetaCommand(_) }) => {
                        command = Some(base + offset);
                        break;
                    }
                    Err(error) => return Err(ViewFault::Scan(ScanError { offset: base + error.offset, ..error })),
                }
            }
            let Some(at) = command else { break };
            if self.text[at..].starts_with("\\;") {
                self.sent(at)?;
            }
            base = self.command(at).map_err(ViewFault::Command)?;
            if self.out.get(at) == Some(&b';') {
                self.sent(at)?;
            }
        }
        self.sent(self.text.len())
    }

    /// Looks at the statement that ends here.
    fn sent(&mut self, end: usize) -> Result<(), ViewFault> {
        self.statement.take().map_or(Ok(()), |start| self.strings_stay_standard(start, end))
    }

    /// psql reads quotes as the session's `standard_conforming_strings` and encoding have it; here they are read as if
    /// the one were on and the other UTF-8.
    fn strings_stay_standard(&self, start: usize, end: usize) -> Result<(), ViewFault> {
        let text = self.text[start..end].to_ascii_lowercase();
        let refuse = |what: &str, help: &str| {
            let message = format!("a file that psql runs must not change {what}");
            Err(ViewFault::Command(fault(start, message, help)))
        };
        if values_of(&text, "standard_conforming_strings").any(|value| value != "on" && value != "true") {
            return refuse("standard_conforming_strings", "write strings with a backslash as E'…'");
        }
        let names = text.split_whitespace().take(2).eq(["set", "names"]);
        let names = names.then(|| values_of(&text, "names").next().unwrap_or_default());
        if values_of(&text, "client_encoding").chain(names).any(|value| !is_utf8(value)) {
            return refuse("the encoding", "files here are UTF-8, and psql reads them so");
        }
        Ok(())
    }

    /// Takes in the command at `at`; returns where SQL goes on.
    fn command(&mut self, at: usize) -> Result<usize, Fault> {
        let rest = &self.text[at + 1..];
        let line_end = rest.find('\n').map_or(self.text.len(), |newline| at + 1 + newline);
        if let Some(symbol @ (';' | ':')) = rest.chars().next() {
            // `\;` parts statements without sending them, `\:` is a colon.
            self.out[at] = b' ';
            let _ = symbol;
            return Ok(at + 2);
        }
        let name_end = rest.find(|c: char| c.is_whitespace() || c == '\\').unwrap_or(rest.len());
        let name = &rest[..name_end];
        if name.is_empty() {
            // `\\` ends the arguments of a command; alone it is nothing.
            return match rest.starts_with('\\') {
                true => {
                    self.blank(at, at + 2);
                    Ok(at + 2)
                }
                false => Err(fault(at, "a backslash that begins no command", "take it out")),
            };
        }
        let start = at + 1 + name_end;
        let kind = kind(name).map_err(|why| {
            fault(at, format!("`\\{name}` is refused in a file that psql runs"), format!("{why}; take it out"))
        })?;
        if kind == Kind::Copy {
            return self.copy(at, start, line_end);
        }
        let (arguments, end) = arguments(self.text, start, line_end)?;
        self.check(at, name, kind, &arguments)?;
        self.blank(at, end);
        if matches!(kind, Kind::Send { .. } | Kind::Gset) {
            self.out[at] = b';';
        }
        Ok(end)
    }

    fn check(&mut self, at: usize, name: &str, kind: Kind, arguments: &[Argument<'a>]) -> Result<(), Fault> {
        match kind {
            Kind::Include { relative } => {
                let [path] = arguments else {
                    return Err(fault(at, format!("`\\{name}` wants one file"), "write its path behind it"));
                };
                if path.varies {
                    let help = "dbbuild must know before it runs what is included";
                    return Err(fault(path.offset, "the path of an included file holds a variable", help));
                }
                let path = path.value.clone();
                self.references.push(Reference { path, relative, script: true, offset: at });
            }
            Kind::Set => self.set(name, arguments)?,
            Kind::Send { bare: true } if !arguments.is_empty() => {
                let message = format!("`\\{name}` with an argument is refused in a file that psql runs");
                return Err(fault(at, message, "a migration must not write files or run shell commands; take it out"));
            }
            Kind::Gset => self.gset = self.gset.or(Some(at)),
            Kind::Encoding if arguments.iter().any(|one| one.varies || !is_utf8(&one.value.to_ascii_lowercase())) => {
                let help = "files here are UTF-8, and psql reads them so";
                return Err(fault(at, "a file that psql runs must not change the encoding", help));
            }
            _ => {}
        }
        Ok(())
    }

    fn set(&self, command: &str, arguments: &[Argument<'a>]) -> Result<(), Fault> {
        let Some((variable, values)) = arguments.split_first() else { return Ok(()) };
        let on = |value: &Argument<'_>| matches!(value.value.to_ascii_lowercase().as_str(), "on" | "true" | "1");
        if variable.varies || OWN_VARIABLES.contains(&variable.value.as_str()) {
            let keeps = variable.value == "ON_ERROR_STOP" && command == "set" && values.len() == 1 && on(&values[0]);
            if !keeps {
                let message = format!("the variable `{}` is dbbuild's to set", variable.value.escape_debug());
                return Err(fault(variable.offset, message, "take the line out"));
            }
        }
        match values.iter().find(|value| value.written.contains('\\')) {
            Some(value) => Err(fault(
                value.offset,
                "a backslash in the value of a variable is refused",
                "as bare text in SQL such a value would be read as a command of psql's",
            )),
            None => Ok(()),
        }
    }

    /// `\copy` takes its whole line, and the lines below it where the data stands there.
    fn copy(&mut self, at: usize, start: usize, line_end: usize) -> Result<usize, Fault> {
        let line = &self.text[start..line_end];
        let refuse = |message: &str, help: &str| Err(fault(at, format!("`\\copy` {message}"), help));
        let Some((from, rest)) = direction(line) else {
            return refuse("names no direction", "write `\\copy TABLE FROM 'FILE'`");
        };
        if !from {
            return refuse("to a file is refused", "a migration must not write files");
        }
        let rest = rest.trim_start();
        // As psql has it, a quote ends a word as well.
        let word = rest.split(|c: char| c.is_whitespace() || matches!(c, ';' | '\'')).next().unwrap_or_default();
        let mut end = line_end;
        match word.to_ascii_lowercase().as_str() {
            "program" => return refuse("from a program is refused", "a migration must not run shell commands"),
            "pstdin" => return refuse("from pstdin is refused", "nobody stands there to write; name a file"),
            "stdin" => end = self.end_of_data(line_end),
            "" if !rest.starts_with('\'') => return refuse("names no file", "write `\\copy TABLE FROM 'FILE'`"),
            _ => {
                let path = match rest.strip_prefix('\'') {
                    Some(quoted) => match quoted.find('\'') {
                        Some(close) if !quoted[close + 1..].starts_with('\'') => quoted[..close].to_owned(),
                        _ => return refuse("names a file with a quote", "rename the file"),
                    },
                    None => word.to_owned(),
                };
                self.references.push(Reference { path, relative: false, script: false, offset: at });
            }
        }
        self.blank(at, end);
        Ok(end)
    }

    /// Behind the line `\.`, or the end of the text.
    fn end_of_data(&self, line_end: usize) -> usize {
        let mut at = line_end;
        for line in self.text[line_end..].split_inclusive('\n') {
            let first = at == line_end;
            at += line.len();
            if !first && line.trim_end_matches(['\n', '\r']) == "\\." {
                return at;
            }
        }
        self.text.len()
    }

    fn blank(&mut self, from: usize, to: usize) {
        for byte in self.out.iter_mut().take(to).skip(from).filter(|byte| **byte != b'\n') {
            *byte = b' ';
        }
    }

    /// What stands for bare text is read by psql as if it stood in the file: it must not come from elsewhere.
    fn raw_variables(&self) -> Result<(), Fault> {
        let foreign = |name: &str| self.gset.is_some() || FOREIGN_VARIABLES.contains(&name);
        match self.raw.iter().find(|(_, name)| foreign(name)) {
            Some((at, name)) => Err(fault(
                *at,
                format!("`:{name}` as bare text is refused where its value may come from elsewhere"),
                "its value could hold a command of psql's: write `:'name'` or `:\"name\"`, or make the statement with \
                 format() and \\gexec",
            )),
            None => Ok(()),
        }
    }
}

/// What follows each mention of a setting, as the word that it is set to: `= on`, `TO 'on'`, `', 'on'`.
fn values_of<'t>(text: &'t str, name: &str) -> impl Iterator<Item = &'t str> {
    text.match_indices(name).map(|(at, name)| at + name.len()).map(|at| {
        let quiet = |c: char| c.is_whitespace() || matches!(c, '\'' | '"' | ',' | '=');
        let rest = text[at..].trim_start_matches(quiet);
        let rest = rest.strip_prefix("to ").map_or(rest, |rest| rest.trim_start_matches(quiet));
        rest.split(|c: char| !(c.is_alphanumeric() || matches!(c, '-' | '_'))).next().unwrap_or_default()
    })
}

/// Whether a word in lower case names UTF-8.
fn is_utf8(word: &str) -> bool {
    ["utf8", "utf-8", "unicode"].contains(&word)
}

fn is_variable(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || !c.is_ascii()
}

fn fault(offset: usize, message: impl Into<String>, help: impl Into<String>) -> Fault {
    Fault { offset, message: message.into(), help: help.into() }
}

/// One argument of a command.
struct Argument<'a> {
    /// Without quotes.
    value: String,
    /// As written.
    written: &'a str,
    offset: usize,
    /// A variable stands in it.
    varies: bool,
}

/// The arguments up to the end of the line or the next unquoted backslash, and where that is.
fn arguments(text: &str, start: usize, line_end: usize) -> Result<(Vec<Argument<'_>>, usize), Fault> {
    let mut found = Vec::new();
    let mut at = start;
    loop {
        at += text[at..line_end].len() - text[at..line_end].trim_start().len();
        if at >= line_end || text[at..].starts_with('\\') {
            // `\\` ends the arguments; any other backslash begins the next command.
            let end = if text[at..line_end].starts_with("\\\\") { at + 2 } else { at };
            return Ok((found, end));
        }
        let begin = at;
        let (mut value, mut varies) = (String::new(), false);
        while at < line_end {
            let rest = &text[at..line_end];
            let Some(c) = rest.chars().next() else { break };
            match c {
                c if c.is_whitespace() => break,
                '\\' => break,
                '`' => {
                    let help = "a migration must not run shell commands; take the backquotes out";
                    return Err(fault(at, "backquotes are refused in a file that psql runs", help));
                }
                '\'' | '"' => {
                    let (inner, len) =
                        quoted(rest, c).ok_or_else(|| fault(at, "a quote is not closed on its line", "close it"))?;
                    value.push_str(&inner);
                    at += len;
                }
                c => {
                    varies |= c == ':';
                    value.push(c);
                    at += c.len_utf8();
                }
            }
        }
        found.push(Argument { value, written: &text[begin..at], offset: begin, varies });
    }
}

/// A quoted part, and how long it is with its quotes. Single quotes know backslash escapes, double ones stay in the value.
fn quoted(text: &str, quote: char) -> Option<(String, usize)> {
    let mut value = String::new();
    let mut chars = text.char_indices().skip(1).peekable();
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' if quote == '\'' => value.extend(chars.next().map(|(_, c)| c)),
            c if c == quote && quote == '\'' && chars.peek().is_some_and(|(_, next)| *next == quote) => {
                chars.next();
                value.push(c);
            }
            c if c == quote => return Some((value, at + 1)),
            c => value.push(c),
        }
    }
    None
}

/// Whether a `\copy` reads, and what stands behind that word.
fn direction(line: &str) -> Option<(bool, &str)> {
    let mut depth = 0_usize;
    let mut quote = None;
    let mut word_start = None;
    for (at, c) in line.char_indices().chain([(line.len(), ' ')]) {
        if let Some(open) = quote {
            if c == open {
                quote = None;
            }
            continue;
        }
        let part_of_word = c.is_ascii_alphanumeric() || c == '_' || c == '.' || !c.is_ascii();
        if part_of_word {
            word_start = word_start.or(Some(at));
            continue;
        }
        if let Some(start) = word_start.take()
            && depth == 0
        {
            let word = &line[start..at];
            if word.eq_ignore_ascii_case("from") || word.eq_ignore_ascii_case("to") {
                return Some((word.eq_ignore_ascii_case("from"), line.get(at..).unwrap_or_default()));
            }
        }
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            '\'' | '"' => quote = Some(c),
            _ => {}
        }
    }
    None
}
