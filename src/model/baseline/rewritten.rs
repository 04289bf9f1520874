//! Published migrations that were rewritten with leave: lines of the baseline's header, kept for good.
//!
//! Each names the content that was allowed, so that a further edit wants leave again.

use crate::error::{Error, Result};
use crate::model::checksum::Checksum;
use crate::model::version::Version;
use std::fmt;

const PREFIX: &str = "-- dbbuild:rewritten ";
const TITLE: &str = "-- dbbuild baseline:";
const REMOVED: &str = "removed";

/// One migration that may differ from what was published.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rewritten {
    /// The published version.
    pub version: Version,
    /// What it may hold now; none where it may be gone.
    pub content: Option<Checksum>,
}

impl Rewritten {
    /// Reads what follows `-- dbbuild:rewritten`.
    ///
    /// # Errors
    /// It is not a version and a checksum.
    pub fn parse(text: &str) -> Result<Rewritten> {
        let malformed = || Error::failed(format!("`{}` is not VERSION CHECKSUM", text.escape_debug()));
        let (version, content) = text.trim_end().split_once(' ').ok_or_else(malformed)?;
        let content = if content == REMOVED { None } else { Some(Checksum::from_hex(content)?) };
        Ok(Rewritten { version: Version::parse(version)?, content })
    }
}

impl fmt::Display for Rewritten {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.content {
            Some(content) => write!(f, "{} {content}", self.version),
            None => write!(f, "{} {REMOVED}", self.version),
        }
    }
}

/// The lines of a header, by version.
pub(super) fn lines(rewritten: &[Rewritten]) -> String {
    let mut sorted = rewritten.to_vec();
    sorted.sort();
    sorted.dedup();
    sorted.iter().map(|entry| format!("{PREFIX}{entry}\n")).collect()
}

/// What a baseline's header allows; of one with conflict markers in its header, what either side allows.
pub fn rewritten_of(text: &str) -> Vec<Rewritten> {
    head(text).filter_map(|line| line.strip_prefix(PREFIX)).filter_map(|line| Rewritten::parse(line).ok()).collect()
}

/// The text with further allowances in its header, each in place of an older one for the same version.
pub fn with_rewritten(text: &str, further: &[Rewritten]) -> String {
    let mut all = rewritten_of(text);
    all.retain(|old| !further.iter().any(|new| new.version == old.version));
    all.extend_from_slice(further);
    let in_head = head(text).count();
    let mut lines_of_text: Vec<&str> = text.split_inclusive('\n').collect();
    let rest = lines_of_text.split_off(in_head.min(lines_of_text.len()));
    lines_of_text.retain(|line| !line.starts_with(PREFIX));
    let at = usize::from(lines_of_text.first().is_some_and(|line| line.starts_with(TITLE)));
    let (before, after) = lines_of_text.split_at(at);
    [before.concat(), lines(&all), after.concat(), rest.concat()].concat()
}

/// The lines above the first statement.
fn head(text: &str) -> impl Iterator<Item = &str> {
    const MARKERS: [&str; 4] = ["<<<<<<<", "|||||||", "=======", ">>>>>>>"];
    text.lines().take_while(|line| line.starts_with("--") || MARKERS.iter().any(|marker| line.starts_with(marker)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "-- dbbuild baseline: generated\n-- dbbuild:format 1\n-- dbbuild:inputs 0\n";

    fn entry(version: &str, content: Option<&str>) -> Rewritten {
        Rewritten { version: Version::parse(version).unwrap(), content: content.map(Checksum::of_text) }
    }

    #[test]
    fn lines_are_added_replaced_and_read_back() {
        let text = format!("{HEAD}\nSET x = 1;\n-- dbbuild:rewritten 9 removed\n");
        assert!(rewritten_of(&text).is_empty(), "a comment below statements is none of the header");
        let one = with_rewritten(&text, &[entry("12", Some("a")), entry("7", None)]);
        assert_eq!(rewritten_of(&one), [entry("7", None), entry("12", Some("a"))]);
        assert!(one.starts_with("-- dbbuild baseline: generated\n-- dbbuild:rewritten 7 removed\n"), "{one}");
        let two = with_rewritten(&one, &[entry("12", Some("b"))]);
        assert_eq!(rewritten_of(&two), [entry("7", None), entry("12", Some("b"))]);
        assert_eq!(two.len(), one.len());
        assert_eq!(with_rewritten(&text, &[]), text);
        assert_eq!(rewritten_of(&with_rewritten("", &[entry("7", None)])), [entry("7", None)]);
    }

    #[test]
    fn of_a_conflict_both_sides_are_kept() {
        let text = "-- dbbuild baseline: x\n<<<<<<< ours\n-- dbbuild:rewritten 1 removed\n=======\n\
            -- dbbuild:rewritten 2 removed\n>>>>>>> theirs\n\nSET x = 1;\n";
        assert_eq!(rewritten_of(text), [entry("1", None), entry("2", None)]);
    }

    #[test]
    fn anything_else_is_refused() {
        for bad in ["", "1", "1 gone", "x removed", "1 removed now"] {
            assert!(Rewritten::parse(bad).is_err(), "{bad}");
        }
    }
}
