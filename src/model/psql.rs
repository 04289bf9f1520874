//! Files that psql itself runs (`-- dbbuild:psql true`): which of its commands may stand in them, what they include, and
//! the same text as plain SQL for whoever has to look into it.
//!
//! Pure: nothing is read but what a lookup hands over, and nothing is run. A migration must not run shell commands; a
//! list of what is allowed decides, so that a command that a later psql brings is refused until it is known here.

mod commands;
mod lex;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::error::{Error, Location, Result};
use crate::model::checksum::{Checksum, Digest};
use crate::model::migration::decode;
use crate::model::script::Script;

pub use lex::{Reference, View, ViewFault, view};

/// Why a text cannot be run by psql in dbbuild's hands, at a byte of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Byte offset into the text.
    pub offset: usize,
    /// What is wrong.
    pub message: String,
    /// What helps.
    pub help: String,
}

/// What a file that psql runs takes in, directly or through others.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Included {
    /// Scripts (`\i`, `\ir`), by path from the top of the repository.
    pub scripts: BTreeMap<String, Arc<[u8]>>,
    /// Data (`\copy … from FILE`).
    pub data: BTreeMap<String, Arc<[u8]>>,
}

impl Included {
    /// Whether it takes in nothing.
    pub fn is_empty(&self) -> bool {
        self.scripts.is_empty() && self.data.is_empty()
    }

    /// Every file with its content.
    pub fn files(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.scripts.iter().chain(&self.data).map(|(path, bytes)| (path.as_str(), &**bytes))
    }

    /// The sum over a file's own text and everything that it takes in.
    pub fn sum(&self, own: &Checksum) -> Checksum {
        if self.is_empty() {
            return *own;
        }
        let mut digest = Digest::new("dbbuild included 1");
        digest.field(own.as_bytes());
        for (path, bytes) in self.files() {
            digest.field(path.as_bytes()).field(Checksum::of_bytes(bytes).as_bytes());
        }
        digest.finish()
    }

    /// The included scripts, as psql reads them.
    ///
    /// # Errors
    /// One is not UTF-8.
    pub fn as_scripts(&self) -> Result<Vec<Script>> {
        let script = |(path, bytes): (&String, &Arc<[u8]>)| {
            let mut script = Script::of_file(path.clone(), decode(path, bytes)?);
            script.means.psql = Some(Arc::default());
            Ok(script)
        };
        self.scripts.iter().map(script).collect()
    }
}

/// Finds everything that a script takes in. `lookup` has the files of the judged source by path.
///
/// # Errors
/// A command that is refused, a path that leaves the repository or leads to no file, a cycle.
pub fn included(script: &Script, lookup: &dyn Fn(&str) -> Option<Arc<[u8]>>) -> Result<Included> {
    let mut found = Included::default();
    let mut open = vec![script.path.clone()];
    follow(script, lookup, &mut open, &mut found)?;
    Ok(found)
}

fn follow(
    script: &Script,
    lookup: &dyn Fn(&str) -> Option<Arc<[u8]>>,
    open: &mut Vec<String>,
    found: &mut Included,
) -> Result<()> {
    for reference in script.psql_view()?.references {
        let at = script.location(reference.offset);
        let path = resolve(&reference, &script.path)
            .ok_or_else(|| {
                Error::failed(format!("`{}` leads out of the repository", reference.path.escape_debug()))
                    .help("write the path from the top of the repository, or after \\ir from the file's own folder")
            })
            .map_err(|e| e.at(at.clone()))?;
        let bytes = lookup(&path).ok_or_else(|| missing(&path, &at))?;
        if !reference.script {
            found.data.insert(path, bytes);
            continue;
        }
        if open.contains(&path) {
            return Err(Error::failed(format!("`{path}` includes itself")).at(at).help(open.join(" includes ")));
        }
        if found.scripts.insert(path.clone(), Arc::clone(&bytes)).is_some() {
            continue;
        }
        let mut inner = Script::of_file(path.clone(), decode(&path, &bytes)?);
        inner.means.psql = Some(Arc::default());
        open.push(path);
        follow(&inner, lookup, open, found)?;
        open.pop();
    }
    Ok(())
}

fn missing(path: &str, at: &Location) -> Error {
    Error::failed(format!("there is no file `{path}` among the sources")).at(at.clone()).help(
        "a file that psql reads stands in git, in one of the folders of the sources: put it below `paths.include` \
         (db/include), and `git add` it",
    )
}

/// The path from the top of the repository; `None` where it leaves that.
fn resolve(reference: &Reference, file: &str) -> Option<String> {
    if reference.path.starts_with(['/', '~', '\\']) {
        return None;
    }
    let mut parts: Vec<&str> = if reference.relative { file.split('/').collect() } else { Vec::new() };
    parts.pop();
    for part in reference.path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            part => parts.push(part),
        }
    }
    (!parts.is_empty()).then(|| parts.join("/"))
}

#[cfg(test)]
mod tests;
