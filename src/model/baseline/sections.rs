//! Quick looks at a baseline's text, for reading hundreds of them: the part that may speak of one object.

use super::dump::{self, Dump};
use super::facts::Facts;
use super::header::Baseline;
use crate::error::Result;

const HEADINGS: [&str; 2] = ["-- Name: ", "-- Data for Name: "];

/// The entries in which a word stands, heading and all. Entries are cut at lines that look like headings. Where this text is
/// equal for two baselines, they say the same of every object that is always named by that word.
pub fn entries_with(text: &str, word: &str) -> String {
    let mut out = String::new();
    let mut starts = heading_starts(text).peekable();
    while let Some(start) = starts.next() {
        let end = starts.peek().copied().unwrap_or(text.len());
        let section = &text[start..end];
        let heading = section.lines().next().unwrap_or_default();
        if heading.contains("; Type: HISTORY;") {
            break;
        }
        if section.contains(word) {
            out.push_str(section);
        }
    }
    out
}

fn heading_starts(text: &str) -> impl Iterator<Item = usize> {
    let mut at = 0;
    text.split_inclusive('\n').filter_map(move |line| {
        let start = at;
        at += line.len();
        HEADINGS.iter().any(|heading| line.starts_with(heading)).then_some(start)
    })
}

impl Facts {
    /// Reads a whole baseline, roles included.
    pub fn of_baseline(baseline: &Baseline) -> Facts {
        let entries = baseline.roles.entries.iter().chain(&baseline.dump.entries).cloned().collect();
        Facts::of(&Dump { entries })
    }

    /// Reads what [`entries_with`] gave.
    ///
    /// # Errors
    /// It is cut off: a literal held a line that looks like a heading.
    pub fn of_entries(text: &str) -> Result<Facts> {
        Ok(Facts::of(&Dump { entries: dump::parse(text)?.entries }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_whole_entries_and_no_history() {
        let text = "SET a = orders;\n--\n-- Name: orders; Type: TABLE; Schema: s\n--\n\nCREATE TABLE s.orders ();\n\n--\n\
                    -- Name: x; Type: TABLE; Schema: s\n--\n\nCREATE TABLE s.x ();\n\n--\n\
                    -- Name: i; Type: INDEX; Schema: s\n--\n\nCREATE INDEX i ON s.orders (a);\n\n--\n\
                    -- Name: dbbuild; Type: HISTORY; Schema: -\n--\n\nSELECT 'orders';\n";
        let found = entries_with(text, "orders");
        assert!(found.contains("CREATE TABLE s.orders") && found.contains("CREATE INDEX i"));
        assert!(!found.contains("s.x") && !found.contains("SELECT") && !found.contains("SET a"));
        assert_eq!(Facts::of_entries(&found).unwrap().0.len(), 2);
    }
}
