//! Values of the file with a syntax of their own: the end of a password, settings and their lists, patterns of names.

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{Timestamp, Unit};
use std::fmt;

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
    /// Reads a moment; one without an offset is UTC, a day alone its midnight.
    pub fn parse(text: &str) -> Option<Until> {
        let text = text.trim();
        if text.eq_ignore_ascii_case("infinity") {
            return Some(Until::Forever);
        }
        let moment = text.parse::<Timestamp>().ok().or_else(|| {
            let day = || Some(text.parse::<Date>().ok()?.to_datetime(jiff::civil::Time::midnight()));
            let local = if text.contains([':']) { text.parse::<DateTime>().ok() } else { day() };
            Some(local?.to_zoned(TimeZone::UTC).ok()?.timestamp())
        })?;
        Some(Until::At(moment.round(Unit::Microsecond).ok()?.as_microsecond()))
    }
}

impl fmt::Display for Until {
    /// As PostgreSQL reads it in every time zone.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Until::At(microseconds) = self else { return f.write_str("infinity") };
        match Timestamp::from_microsecond(*microseconds) {
            Ok(moment) => {
                let local = moment.to_zoned(TimeZone::UTC).datetime();
                let date = local.date();
                write!(f, "{date} {}+00", local.time())
            }
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
