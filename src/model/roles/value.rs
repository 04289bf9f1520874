//! Values of the file with a syntax of their own: the end of a password, settings and their lists, patterns of names.

use jiff::civil::{DateTime, Time};
use jiff::fmt::temporal::Pieces;
use jiff::{SignedDuration, SignedDurationRound, Unit};
use std::fmt;

/// From where moments are counted.
const EPOCH: DateTime = DateTime::constant(1970, 1, 1, 0, 0, 0, 0);

/// Settings that are lists of names, each of which PostgreSQL quotes for itself (`GUC_LIST_QUOTE`).
const LISTS: [&str; 6] = [
    "local_preload_libraries",
    "search_path",
    "session_preload_libraries",
    "shared_preload_libraries",
    "temp_tablespaces",
    "unix_socket_directories",
];

/// When a password ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Until {
    /// Never. PostgreSQL's `infinity` and no value at all mean the same.
    #[default]
    Forever,
    /// At this moment, in microseconds since 1970, so that no time zone makes a difference.
    At(i64),
}

impl Until {
    /// PostgreSQL's `-infinity`: it ended before all time.
    const NEVER: Until = Until::At(i64::MIN);

    /// Reads a moment; one without an offset is UTC, a day alone its midnight. Time stamps of `jiff` end before the last
    /// day of the year 9999, which stands for no end at all in many a cluster; its dates do not.
    pub fn parse(text: &str) -> Option<Until> {
        let text = text.trim();
        match text.to_ascii_lowercase().as_str() {
            "infinity" => return Some(Until::Forever),
            "-infinity" => return Some(Until::NEVER),
            _ => {}
        }
        let pieces = Pieces::parse(text).ok().filter(|pieces| pieces.time_zone_annotation().is_none())?;
        let local = pieces.date().to_datetime(pieces.time().unwrap_or_else(Time::midnight));
        let offset = pieces.to_numeric_offset().map_or(0, |offset| i64::from(offset.seconds()));
        let since = local.duration_since(EPOCH).round(SignedDurationRound::new().smallest(Unit::Microsecond)).ok()?;
        let moment = i64::try_from(since.as_micros()).ok()? - offset * 1_000_000;
        EPOCH.checked_add(SignedDuration::from_micros(moment)).ok().map(|_| Until::At(moment))
    }
}

impl fmt::Display for Until {
    /// As PostgreSQL reads it in every time zone.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Until::At(microseconds) = self else { return f.write_str("infinity") };
        if *self == Until::NEVER {
            return f.write_str("-infinity");
        }
        match EPOCH.checked_add(SignedDuration::from_micros(*microseconds)) {
            Ok(moment) => write!(f, "{} {}+00", moment.date(), moment.time()),
            // Beyond the year 9999, which no file can name.
            Err(_) => write!(f, "{microseconds} microseconds"),
        }
    }
}

/// The value of a setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Setting {
    /// One text.
    Text(String),
    /// The items of a setting that is a list of names.
    List(Vec<String>),
}

impl Setting {
    /// Reads the text of a setting, as a file or `pg_db_role_setting` has it. `None` for a list that is none.
    pub fn of_text(name: &str, text: &str) -> Option<Setting> {
        if !is_list(name) {
            return Some(Setting::Text(text.to_owned()));
        }
        split(text).map(Setting::List)
    }

    /// Reads the items that a file has as a list.
    pub fn of_items(name: &str, items: Vec<String>) -> Setting {
        match (is_list(name), items.is_empty()) {
            (true, true) => Setting::List(vec![String::new()]),
            (true, false) => Setting::List(items),
            (false, _) => Setting::Text(items.join(", ")),
        }
    }
}

fn is_list(name: &str) -> bool {
    LISTS.iter().any(|list| list.eq_ignore_ascii_case(name))
}

/// Takes a list of names apart, as PostgreSQL does: commas between them, quotes around any.
fn split(text: &str) -> Option<Vec<String>> {
    let mut items = Vec::new();
    let mut rest = text.trim();
    if rest.is_empty() {
        return Some(vec![String::new()]);
    }
    loop {
        let (item, after) = match rest.strip_prefix('"') {
            Some(inner) => {
                let mut end = 0;
                loop {
                    end += inner[end..].find('"')?;
                    if !inner[end + 1..].starts_with('"') {
                        break;
                    }
                    end += 2;
                }
                (inner[..end].replace("\"\"", "\""), &inner[end + 1..])
            }
            None => {
                let end = rest.find(|c: char| c == ',' || c.is_whitespace()).unwrap_or(rest.len());
                (rest[..end].to_owned(), &rest[end..])
            }
        };
        if item.is_empty() && !rest.starts_with('"') {
            return None;
        }
        items.push(item);
        let after = after.trim_start();
        if after.is_empty() {
            return Some(items);
        }
        rest = after.strip_prefix(',')?.trim_start();
    }
}

/// Whether a name fits a pattern: `*` stands for anything, `?` for one character.
pub fn matches(pattern: &str, name: &str) -> bool {
    let mut rest = pattern.chars();
    match rest.next() {
        None => name.is_empty(),
        Some('*') => {
            let rest = rest.as_str();
            name.char_indices().map(|(at, _)| at).chain([name.len()]).any(|at| matches(rest, &name[at..]))
        }
        Some(wanted) => {
            let mut name = name.chars();
            name.next().is_some_and(|c| wanted == '?' || wanted == c) && matches(rest.as_str(), name.as_str())
        }
    }
}
