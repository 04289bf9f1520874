//! `sqitch.plan`: the changes in the order in which Sqitch deploys them, and the id of each.
//!
//! The grammar and the ids are those of Sqitch 1.x: an id is a SHA-1 over everything that the plan says of a change, its
//! predecessor's id included, so that a plan that was edited shows against a database that was deployed before. Which
//! scripts exist is not asked here.

use std::collections::HashMap;

use sha1::{Digest as _, Sha1};

use crate::error::{Error, Location, Result};

/// A whole plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// `%project`.
    pub project: String,
    /// `%uri`.
    pub uri: Option<String>,
    /// The changes, in order.
    pub changes: Vec<Change>,
}

/// One line of the plan that deploys something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Its name, folders included.
    pub name: String,
    /// The line of the plan.
    pub line: usize,
    /// What it wants deployed before, as Sqitch writes it.
    pub requires: Vec<String>,
    /// What must not be deployed.
    pub conflicts: Vec<String>,
    /// The note behind `#`, escapes undone.
    pub note: String,
    /// The tags that stand behind it.
    pub tags: Vec<String>,
    /// Where the plan deploys the same name again: the tags that may be in the name of this one's files, in the order
    /// in which Sqitch looks for them.
    pub rework_tags: Vec<String>,
    /// 40 hexadecimal digits, as in `sqitch.changes`.
    pub id: String,
}

/// Punctuation by Sqitch's rule: all of ASCII's but `_`.
fn punctuation(c: char) -> bool {
    c.is_ascii_punctuation() && c != '_'
}

/// Whether Sqitch takes this for the name of a change, a tag or a project.
fn is_name(name: &str) -> bool {
    let ends = |c: Option<char>| c.is_some_and(|c| !punctuation(c));
    let inside = |c: char| !c.is_whitespace() && !matches!(c, ':' | '@' | '#' | '\\');
    let symbolic = name.trim_end_matches(|c: char| c.is_ascii_digit());
    let reference = symbolic.len() < name.len() && symbolic.ends_with(['~', '/', '=', '%', '^']);
    ends(name.chars().next()) && ends(name.chars().last()) && name.chars().all(inside) && !reference
}

/// Reads a plan; `path` is what errors name.
pub fn parse(path: &str, text: &str) -> Result<Plan> {
    let mut reader = Reader::new(path);
    let mut lines = text.strip_prefix('\u{feff}').unwrap_or(text).lines().enumerate();
    for (index, line) in lines.by_ref() {
        if reader.pragma(index + 1, line)? {
            break;
        }
    }
    if reader.project.is_empty() {
        return Err(Error::failed("the plan lacks its `%project` line")
            .at(Location::file(path))
            .help("is this a plan of Sqitch, and is it whole?"));
    }
    for (index, line) in lines {
        reader.line(index + 1, line)?;
    }
    reader.section()?;
    Ok(Plan { project: reader.project, uri: reader.uri, changes: reader.changes })
}

struct Reader<'a> {
    path: &'a str,
    project: String,
    uri: Option<String>,
    changes: Vec<Change>,
    /// The first change behind the last tag.
    since_tag: usize,
    /// Where a name was planned last.
    named: HashMap<String, usize>,
    /// The line of each tag, and how many changes stood before it.
    tags: HashMap<String, (usize, usize)>,
}

impl Reader<'_> {
    fn new(path: &str) -> Reader<'_> {
        Reader {
            path,
            project: String::new(),
            uri: None,
            changes: Vec::new(),
            since_tag: 0,
            named: HashMap::new(),
            tags: HashMap::new(),
        }
    }

    fn fault(&self, line: usize, message: impl Into<String>) -> Error {
        Error::failed(message).at(Location::new(self.path, line, 0))
    }

    /// Reads a line of the head; true at its end.
    fn pragma(&mut self, number: usize, line: &str) -> Result<bool> {
        let (text, note) = split_note(line);
        let text = text.trim();
        if text.is_empty() {
            return Ok(note.is_empty());
        }
        let Some(pragma) = text.strip_prefix('%') else {
            return Err(self.fault(number, "a blank line must stand between the pragmas and the changes"));
        };
        let (name, value) = pragma.split_once('=').unwrap_or((pragma, ""));
        let value = value.trim();
        match name.trim() {
            "syntax-version" if !value.starts_with("1.") => {
                Err(self.fault(number, format!("syntax version `{value}` is not known")).help("1.0.0 is"))
            }
            "project" if !is_name(value) => Err(self.fault(number, format!("`{value}` is no name of a project"))),
            "project" => {
                self.project = value.to_owned();
                Ok(false)
            }
            "uri" => {
                self.uri = Some(canonical(value));
                Ok(false)
            }
            _ => Ok(false),
        }
    }

    fn line(&mut self, number: usize, line: &str) -> Result<()> {
        let (text, note) = split_note(line);
        let text = text.trim_matches(BLANKS);
        if text.is_empty() {
            return Ok(());
        }
        let entry = match text.strip_prefix('@') {
            Some(tag) => self.entry(number, tag, note)?,
            None => self.entry(number, text, note)?,
        };
        if text.starts_with('@') { self.tag(number, entry) } else { self.change(number, entry) }
    }

    /// `name [dependencies] timestamp planner <email>`.
    fn entry<'t>(&self, number: usize, text: &'t str, note: String) -> Result<Entry<'t>> {
        if text.starts_with('-') {
            return Err(self
                .fault(number, "a line that reverts a change cannot be carried over")
                .help("remove it from the plan together with the change that it reverts"));
        }
        let text = text.strip_prefix('+').unwrap_or(text).trim_start_matches(BLANKS);
        let (name, rest) = text.split_once(BLANKS).unwrap_or((text, ""));
        if !is_name(name) {
            return Err(self.fault(number, format!("`{name}` is no name of a change or a tag")));
        }
        if matches!(name, "ROOT" | "HEAD") || is_id(name.get(..40).unwrap_or_default()) {
            return Err(self.fault(number, format!("the name `{name}` is reserved")));
        }
        let rest = rest.trim_start_matches(BLANKS);
        let (dependencies, rest) = match rest.strip_prefix('[') {
            Some(open) => open
                .split_once(']')
                .map(|(inside, rest)| (inside, rest.trim_start_matches(BLANKS)))
                .ok_or_else(|| self.fault(number, "the dependencies lack their `]`"))?,
            None => ("", rest),
        };
        let (date, planner) = rest.split_at_checked(20).unwrap_or((rest, ""));
        if !is_timestamp(date) {
            return Err(self.fault(number, format!("`{name}` lacks its timestamp")).help(
                "is the plan cut off here? a line is `name [dependencies] 2024-01-31T12:00:00Z Name <e@mail> # note`",
            ));
        }
        let planner = planner.trim_start_matches(BLANKS);
        let whole = planner.strip_suffix('>').and_then(|planner| planner.split_once('<'));
        let Some((planner, email)) = whole.filter(|(name, email)| name.ends_with(BLANKS) && !email.is_empty()) else {
            return Err(self
                .fault(number, format!("`{name}` lacks the name and address of its planner"))
                .help("is the plan cut off here?"));
        };
        let planner = format!("{} <{email}>", &planner[..planner.len() - 1]);
        Ok(Entry { name, dependencies, date, planner, note })
    }

    fn tag(&mut self, number: usize, entry: Entry<'_>) -> Result<()> {
        if entry.name.contains('/') || !entry.dependencies.is_empty() {
            return Err(self.fault(number, "a tag has neither folders nor dependencies"));
        }
        if let Some((first, _)) = self.tags.get(entry.name) {
            return Err(self.fault(number, format!("tag `@{}` stands on line {first} already", entry.name)));
        }
        self.section()?;
        let Some(change) = self.changes.last_mut() else {
            return Err(self.fault(number, format!("tag `@{}` stands before every change", entry.name)));
        };
        change.tags.push(entry.name.to_owned());
        self.tags.insert(entry.name.to_owned(), (number, self.changes.len()));
        Ok(())
    }

    fn change(&mut self, number: usize, entry: Entry<'_>) -> Result<()> {
        let earlier = self.named.get(entry.name).copied();
        if let Some(at) = earlier.filter(|at| *at >= self.since_tag) {
            let first = self.changes[at].line;
            return Err(self
                .fault(number, format!("change `{}` stands on line {first} already", entry.name))
                .help("a change is reworked behind a tag only"));
        }
        let mut change = Change {
            name: entry.name.to_owned(),
            line: number,
            requires: Vec::new(),
            conflicts: Vec::new(),
            note: entry.note.clone(),
            tags: Vec::new(),
            rework_tags: Vec::new(),
            id: String::new(),
        };
        for word in entry.dependencies.split_whitespace() {
            let (list, name) = match word.strip_prefix('!') {
                Some(name) => (&mut change.conflicts, name),
                None => (&mut change.requires, word),
            };
            let local = name.strip_prefix(&self.project).and_then(|rest| rest.strip_prefix(':'));
            list.push(local.unwrap_or(name).to_owned());
        }
        if let Some(at) = earlier {
            let between = self.changes[at..self.since_tag].iter().rev();
            let tags = between.flat_map(|change| change.tags.iter().cloned()).collect();
            self.changes[at].rework_tags = tags;
        }
        let parent = self.changes.last().map(|change| change.id.clone());
        change.id = self.id(&change, &entry, parent.as_deref());
        self.named.insert(change.name.clone(), self.changes.len());
        self.changes.push(change);
        Ok(())
    }

    fn id(&self, change: &Change, entry: &Entry<'_>, parent: Option<&str>) -> String {
        let mut info = format!("project {}\n", self.project);
        let mut line = |key: &str, value: &str| info.push_str(&format!("{key} {value}\n"));
        if let Some(uri) = &self.uri {
            line("uri", uri);
        }
        line("change", &change.name);
        if let Some(parent) = parent {
            line("parent", parent);
        }
        line("planner", &entry.planner);
        line("date", entry.date);
        for (key, sign, names) in [("requires", '+', &change.requires), ("conflicts", '-', &change.conflicts)] {
            if !names.is_empty() {
                info.push_str(&format!("{key}\n"));
                names.iter().for_each(|name| info.push_str(&format!("  {sign} {name}\n")));
            }
        }
        if change.note.is_empty() {
            info.pop();
        } else {
            info.push_str(&format!("\n{}", change.note));
        }
        sha1_hex(format!("change {}\0{info}", info.len()).as_bytes())
    }

    /// Checks what the changes since the last tag want, as Sqitch does at each tag.
    fn section(&mut self) -> Result<()> {
        let mut faults = Vec::new();
        for at in self.since_tag..self.changes.len() {
            let change = &self.changes[at];
            for wanted in &change.requires {
                if wanted.contains(':') || is_id(wanted) || self.is_known(wanted, at) {
                    continue;
                }
                let later = self.changes[at..].iter().find(|change| change.name == *wanted);
                let why = match later {
                    Some(later) if later.name == change.name => "itself".to_owned(),
                    Some(later) => format!("`{wanted}`, which is planned later, on line {}", later.line),
                    None => format!("`{wanted}`, which the plan has not"),
                };
                faults.push(self.fault(change.line, format!("change `{}` requires {why}", change.name)));
            }
        }
        self.since_tag = self.changes.len();
        Error::all(faults).map_or(Ok(()), Err)
    }

    /// Whether `name`, `@tag` or `name@tag` is planned before a change.
    fn is_known(&self, wanted: &str, before: usize) -> bool {
        let (name, tag) = wanted.split_once('@').unwrap_or((wanted, ""));
        let end = if tag.is_empty() { Some(before) } else { self.tags.get(tag).map(|(_, end)| *end) };
        end.is_some_and(|end| name.is_empty() || self.changes[..end].iter().any(|change| change.name == name))
    }
}

const BLANKS: [char; 2] = [' ', '\t'];

struct Entry<'t> {
    name: &'t str,
    dependencies: &'t str,
    date: &'t str,
    planner: String,
    note: String,
}

/// What stands before the first `#`, and the note behind it without its escapes.
fn split_note(line: &str) -> (&str, String) {
    let Some((text, note)) = line.split_once('#') else { return (line, String::new()) };
    let mut plain = String::new();
    let mut rest = note.trim();
    while let Some(at) = rest.find('\\') {
        plain.push_str(&rest[..at]);
        let unescaped = match rest[at + 1..].chars().next() {
            Some('n') => '\n',
            Some('r') => '\r',
            Some('\\') => '\\',
            _ => {
                plain.push('\\');
                rest = &rest[at + 1..];
                continue;
            }
        };
        plain.push(unescaped);
        rest = &rest[at + 2..];
    }
    plain.push_str(rest);
    (text, plain)
}

fn is_timestamp(text: &str) -> bool {
    let shape = "0000-00-00T00:00:00Z";
    let fits = |(c, shape): (char, char)| if shape == '0' { c.is_ascii_digit() } else { c == shape };
    text.len() == shape.len() && text.chars().zip(shape.chars()).all(fits)
}

fn is_id(text: &str) -> bool {
    text.len() == 40 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

/// The form in which Sqitch hashes an address: scheme and host in lower case, `/` for an empty path.
fn canonical(uri: &str) -> String {
    let Some((scheme, rest)) = uri.split_once(':') else { return uri.to_owned() };
    let scheme = scheme.to_ascii_lowercase();
    let Some(authority) = rest.strip_prefix("//") else { return format!("{scheme}:{rest}") };
    let end = authority.find(['/', '?', '#']).unwrap_or(authority.len());
    let (host, path) = authority.split_at(end);
    let host = host.to_ascii_lowercase();
    let port = match scheme.as_str() {
        "http" => ":80",
        "https" => ":443",
        _ => return format!("{scheme}://{host}{path}"),
    };
    let path = if path.is_empty() { "/" } else { path };
    format!("{scheme}://{}{path}", host.strip_suffix(port).unwrap_or(&host))
}

/// SHA-1 in lower-case hexadecimal, of a script or of what is said about a change.
pub fn sha1_hex(bytes: &[u8]) -> String {
    Sha1::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
