//! SHA-256 sums: what says that two texts, or two sets of inputs, are the same.
//!
//! A file's checksum is taken over its text with LF endings and without BOM ([`crate::model::migration::normalise`]),
//! so that a checkout on Windows has the same. This module hashes what it is given and normalises nothing.

use std::fmt;
use std::str::FromStr;

use sha2::{Digest as _, Sha256};

use crate::error::{Error, Result};

/// A SHA-256 sum; shown, stored and sent as 64 lowercase hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Checksum([u8; 32]);

impl Checksum {
    /// The checksum of a text that is normalised already.
    pub fn of_text(text: &str) -> Checksum {
        Checksum::of_bytes(text.as_bytes())
    }

    /// The checksum of bytes as they are.
    pub fn of_bytes(bytes: &[u8]) -> Checksum {
        Checksum(Sha256::digest(bytes).into())
    }

    /// Reads 64 hexadecimal digits.
    pub fn from_hex(text: &str) -> Result<Checksum> {
        let bad = || Error::failed(format!("`{}` is not a SHA-256 checksum", text.escape_debug()));
        if text.len() != 64 {
            return Err(bad());
        }
        let mut sum = [0; 32];
        for (byte, pair) in sum.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            let digit = |d: u8| char::from(d).to_digit(16).ok_or_else(bad);
            *byte = (digit(pair[0])? << 4 | digit(pair[1])?) as u8;
        }
        Ok(Checksum(sum))
    }

    /// Stands for the text of a file that is to run again, whatever it holds.
    pub const STALE: Checksum = Checksum([0; 32]);

    /// The 32 bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut hex = String::with_capacity(64);
        for byte in self.0 {
            hex.push(DIGITS[usize::from(byte >> 4)].into());
            hex.push(DIGITS[usize::from(byte & 15)].into());
        }
        f.pad(&hex)
    }
}

impl fmt::Debug for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Checksum({self})")
    }
}

impl FromStr for Checksum {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Checksum::from_hex(text)
    }
}

impl serde::Serialize for Checksum {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Checksum {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Checksum::from_hex(&text).map_err(serde::de::Error::custom)
    }
}

/// Sums up a list of fields. Each field goes in with its length, so that no two different lists give the same bytes.
#[derive(Default)]
pub struct Digest(Sha256);

impl Digest {
    /// Starts with a name of what is summed up, which also keeps two kinds of digest apart.
    pub fn new(purpose: &str) -> Digest {
        let mut digest = Digest::default();
        digest.field(purpose.as_bytes());
        digest
    }

    /// Adds one field.
    pub fn field(&mut self, bytes: &[u8]) -> &mut Digest {
        self.0.update((bytes.len() as u64).to_be_bytes());
        self.0.update(bytes);
        self
    }

    /// The sum of all fields.
    pub fn finish(self) -> Checksum {
        Checksum(self.0.finalize().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_the_sha_256_that_every_other_program_computes() {
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(Checksum::of_text("abc").to_string(), abc);
        assert_eq!(Checksum::from_hex(abc).unwrap(), Checksum::of_text("abc"));
        assert_eq!(Checksum::from_hex(&abc.to_uppercase()).unwrap(), Checksum::of_text("abc"));
        assert_eq!(serde_json::to_string(&Checksum::of_text("abc")).unwrap(), format!("\"{abc}\""));
        assert_eq!(serde_json::from_str::<Checksum>(&format!("\"{abc}\"")).unwrap(), Checksum::of_text("abc"));
    }

    #[test]
    fn refuses_what_is_no_checksum() {
        let not_hex = "g".repeat(64);
        let sign = format!("+{}", "a".repeat(63));
        for text in ["", "abc", &not_hex, &sign, &"é".repeat(32)] {
            assert!(Checksum::from_hex(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn fields_do_not_run_into_each_other() {
        let digest = |fields: &[&str]| {
            let mut digest = Digest::new("test");
            for field in fields {
                digest.field(field.as_bytes());
            }
            digest.finish()
        };
        assert_ne!(digest(&["ab", "c"]), digest(&["a", "bc"]));
        assert_ne!(digest(&["abc"]), digest(&["abc", ""]));
        assert_eq!(digest(&["a", "b"]), digest(&["a", "b"]));
    }
}
