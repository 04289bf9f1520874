//! Small trees of a tool's files for the converters' tests, and what becomes of them.

use super::layout::{Layout, lay_out};
use super::{Input, Tool};
use crate::error::Result;
use crate::model::config::Paths;
use crate::model::snapshot::{FileEntry, Snapshot};

/// Files by path.
pub fn tree(files: &[(&str, &str)]) -> Snapshot {
    files.iter().map(|(path, text)| ((*path).to_owned(), FileEntry::blob(text.as_bytes().to_vec()))).collect()
}

/// Converts and lays out.
pub fn converted(tool: &Tool, place: &str, files: &[(&str, &str)]) -> Result<Layout> {
    let files = tree(files);
    let input = Input { files: &files, place };
    lay_out(tool.name, (tool.convert)(&input)?, &input, &Paths::default())
}

/// Path and text of every file that comes out.
pub fn texts(layout: &Layout) -> Vec<(&str, &str)> {
    layout.files.iter().map(|file| (file.path.as_str(), std::str::from_utf8(&file.bytes).unwrap())).collect()
}

/// The places that remarks name.
pub fn remarked(layout: &Layout) -> Vec<String> {
    layout.remarks.iter().map(|remark| remark.location.to_string()).collect()
}

/// The places and messages of all faults.
pub fn faults(result: Result<Layout>) -> Vec<String> {
    let error = result.unwrap_err();
    std::iter::once(&error).chain(error.others()).map(ToString::to_string).collect()
}
