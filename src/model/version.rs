//! The version of a migration: the digits that its file name begins with.
//!
//! Versions are numbers of any length, written as the user likes (`0001`, a time, a counter); this says how they are
//! read, shown and ordered. What makes a whole file name is [`crate::model::migration`]'s matter.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};

use crate::error::{Error, Result};

/// A string of digits that orders and equals as a number does: `007` is `7`, and `9` comes before `10`.
#[derive(Debug, Clone)]
pub struct Version(Box<str>);

impl Version {
    /// Reads a version; anything but ASCII digits is an error.
    pub fn parse(text: &str) -> Result<Version> {
        if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
            return Err(Error::failed(format!("`{}` is not a version", text.escape_debug()))
                .help("a version consists of digits alone, like 20240131120000"));
        }
        Ok(Version(text.into()))
    }

    /// As the file name has it, leading zeros included.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn digits(&self) -> &str {
        self.0.trim_start_matches('0')
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> Ordering {
        let (a, b) = (self.digits(), other.digits());
        a.len().cmp(&b.len()).then_with(|| a.cmp(b))
    }
}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Version {
    fn eq(&self, other: &Self) -> bool {
        self.digits() == other.digits()
    }
}

impl Eq for Version {}

impl Hash for Version {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.digits().hash(state);
    }
}

impl serde::Serialize for Version {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> serde::Deserialize<'de> for Version {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Version::parse(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(text: &str) -> Version {
        Version::parse(text).unwrap()
    }

    #[test]
    fn orders_by_number_and_shows_what_was_written() {
        for (less, more) in [("9", "10"), ("0009", "10"), ("0", "1"), ("20240101000000", "020240101000001")] {
            assert!(version(less) < version(more), "{less} < {more}");
        }
        assert_eq!(version("007"), version("7"));
        assert_eq!(version("000"), version("0"));
        assert_eq!(version("007").to_string(), "007");
        let long = "9".repeat(200);
        assert!(version(&long) > version("18446744073709551616"));
    }

    #[test]
    fn refuses_everything_but_digits() {
        for text in ["", "1a", "-1", "+1", "1 ", "٣", "1_0", "V1"] {
            assert!(Version::parse(text).is_err(), "{text:?}");
        }
    }
}
