//! What a sparse checkout leaves out of the work tree: such a file is what the index says, and not a removed one.

use super::id::ObjectId;
use super::{Git, Listed};
use crate::engine::git::backend::Entry;
use crate::error::{Error, Result};

impl Git {
    /// The files below the given paths that the sparse checkout does not want on disk; none where there is no such checkout.
    ///
    /// # Errors
    /// The index cannot be read.
    pub fn left_out(&self, paths: &[String]) -> Result<Vec<Listed>> {
        if paths.is_empty() || !self.place.git_dir.join("info/sparse-checkout").is_file() {
            return Ok(Vec::new());
        }
        let mut words: Vec<String> =
            ["-c", "advice.sparseIndexExpanded=false", "ls-files", "-t", "-s", "-z", "--full-name", "--"]
                .map(str::to_owned)
                .into();
        words.extend(self.below_top(paths).iter().map(|path| format!(":(top,literal){path}")));
        let output = self.program.program.bytes(&words, None);
        let output = output.map_err(|e| Error::failed("cannot read the index").cause(e))?;
        let lines = output.split(|byte| *byte == 0).filter(|line| line.starts_with(b"S "));
        lines.map(|line| self.listed(skipped(line)?)).collect()
    }
}

/// `S 100644 1a2b… 0<tab>path`
fn skipped(line: &[u8]) -> Result<Entry> {
    let strange = || Error::failed("cannot understand git ls-files").cause(String::from_utf8_lossy(line));
    let at = line.iter().position(|byte| *byte == b'\t').ok_or_else(strange)?;
    let (header, path) = line.split_at(at);
    let header = String::from_utf8_lossy(header);
    let words: Vec<&str> = header.split(' ').collect();
    let [_, mode, id, _] = words[..] else { return Err(strange()) };
    let mode = u32::from_str_radix(mode, 8).map_err(|_| strange())?;
    Ok(Entry { path: path.get(1..).unwrap_or_default().to_vec(), mode, id: ObjectId::parse(id)?, conflict: false })
}
