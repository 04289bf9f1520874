//! Object ids: SHA-1 or SHA-256, as the repository has them.

use crate::error::{Error, OrFailed, Result};
use sha2::{Digest, Sha256};
use std::fmt;

/// How a repository names its objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ObjectFormat {
    /// 40 hexadecimal digits.
    Sha1,
    /// 64 hexadecimal digits.
    Sha256,
}

impl ObjectFormat {
    /// By the name that git gives it.
    ///
    /// # Errors
    /// It is one that this dbbuild does not know.
    pub fn parse(name: &str) -> Result<ObjectFormat> {
        match name {
            "sha1" => Ok(ObjectFormat::Sha1),
            "sha256" => Ok(ObjectFormat::Sha256),
            _ => Err(Error::failed(format!("git names objects by {name}, which this dbbuild does not know"))),
        }
    }

    /// The id that a file of this content has.
    ///
    /// # Errors
    /// None in practice; libgit2's hashing has an error type.
    pub fn blob(self, content: &[u8]) -> Result<ObjectId> {
        match self {
            ObjectFormat::Sha1 => {
                let id = git2::Oid::hash_object(git2::ObjectType::Blob, content);
                Ok(ObjectId(id.or_failed(|| "cannot hash a file")?.to_string()))
            }
            ObjectFormat::Sha256 => {
                let mut digest = Sha256::new();
                digest.update(format!("blob {}\0", content.len()));
                digest.update(content);
                Ok(ObjectId(digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect()))
            }
        }
    }

    /// The tree without any entry, which every repository knows.
    pub fn empty_tree(self) -> &'static str {
        match self {
            ObjectFormat::Sha1 => "4b825dc642cb6eb9a060e54bf8d69288fbee4904",
            ObjectFormat::Sha256 => "6ef19b41225c5369f1c104d45d8d85efa9b057b53b14b4b9b939dd74decc5321",
        }
    }
}

/// The name of one object.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectId(String);

impl ObjectId {
    /// Reads 40 or 64 hexadecimal digits.
    ///
    /// # Errors
    /// It is something else.
    pub fn parse(text: &str) -> Result<ObjectId> {
        if matches!(text.len(), 40 | 64) && text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Ok(ObjectId(text.to_owned()));
        }
        Err(Error::failed(format!("`{}` is not an object id of git's", text.escape_debug())))
    }

    /// Its digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<git2::Oid> for ObjectId {
    fn from(id: git2::Oid) -> ObjectId {
        ObjectId(id.to_string())
    }
}

impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blobs_are_named_as_git_names_them() {
        let sha1 = ObjectFormat::Sha1.blob(b"").unwrap();
        assert_eq!(sha1.as_str(), "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391");
        let sha256 = ObjectFormat::Sha256.blob(b"").unwrap();
        assert_eq!(sha256.as_str(), "473a0f4c3be8a93681a267e3b1e9a7dcda1185436fe141f7749120a303721813");
        assert!(ObjectId::parse("473a0f").is_err());
        assert_eq!(ObjectId::parse(sha256.as_str()).unwrap(), sha256);
    }
}
