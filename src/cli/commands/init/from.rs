//! `dbbuild init --from TOOL [PATH]`: another tool's files become dbbuild's, and everything that did not is told.

use crate::cli::output::count;
use crate::cli::{Context, output::Output};
use crate::engine::import::{self, Done, Found};
use crate::error::Result;
use crate::model::config::{FILE_NAME, Paths};
use crate::model::import::layout::Layout;
use crate::model::import::{Remark, Setting, TOOLS, settings, tool};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Arguments of `init` that are about another tool.
#[derive(Debug, Default, clap::Args)]
pub struct FromArgs {
    /// Convert the migrations of another tool
    #[arg(long, value_name = "TOOL", value_parser = clap::builder::PossibleValuesParser::new(TOOLS.iter().map(|tool| tool.name)))]
    from: Option<String>,
    /// Where that tool's files are; the default is where it usually has them
    #[arg(value_name = "PATH", requires = "from")]
    path: Option<PathBuf>,
    /// Leave the converted originals where they are
    #[arg(long, requires = "from")]
    keep: bool,
}

/// A conversion that is sound and not yet written.
pub struct Import {
    found: Found,
    layout: Layout,
    keep: bool,
}

/// What an import did.
pub struct Imported {
    /// For a new `dbbuild.toml`.
    pub settings: Vec<Setting>,
    /// Whether anything was written or removed.
    pub changed: bool,
    /// For `--json`.
    pub json: serde_json::Value,
}

/// Reads and converts; writes nothing.
///
/// # Errors
/// Everything that is wrong with the tool's files.
pub fn prepare(root: &Path, args: &FromArgs, paths: &Paths) -> Result<Option<Import>> {
    let Some(name) = &args.from else { return Ok(None) };
    let tool = tool(name)?;
    let found = import::read(root, tool, args.path.as_deref());
    let converted = found.and_then(|found| Ok((found.convert(root, paths)?, found)));
    match converted {
        // What is left of the tool's files may be no whole history any more.
        Err(_) if import::is_done(root, tool, paths) => Ok(None),
        Err(error) => Err(error),
        Ok((layout, found)) => Ok(layout.map(|layout| Import { found, layout, keep: args.keep })),
    }
}

impl Import {
    /// Writes, removes the originals that a commit holds, and tells of it.
    ///
    /// # Errors
    /// Something stands in the way; nothing was changed.
    pub fn write(self, context: &Context, root: &Path, paths: &Paths) -> Result<Imported> {
        let out = &context.output;
        let configured = std::fs::read_to_string(root.join(FILE_NAME)).ok();
        let removable = if self.keep { Vec::new() } else { import::removable(root, &self.found, &self.layout)? };
        let done = import::write(root, &self.layout, paths, &removable)?;
        let left = self.originals_left(&done);
        self.tell(out, &done, &left);
        let mut wanted = settings::usual();
        let table = self.found.tool.bookkeeping.map(|bookkeeping| bookkeeping.table);
        wanted.extend(table.and_then(|table| settings::without_table(table, &self.layout.files)));
        wanted.extend(self.layout.settings.iter().cloned());
        let missing = configured.map(|text| settings::missing(&text, &wanted)).unwrap_or_default();
        if !missing.is_empty() {
            let shown = settings::shown(&missing).join(", ");
            out.note(&format!("{FILE_NAME} is there already; an imported history wants: {shown}"));
        }
        let changed = !done.written.is_empty() || !done.removed.is_empty();
        let json = self.json(&done, &left);
        Ok(Imported { settings: wanted, changed, json })
    }

    /// Originals that became another file and still stand.
    fn originals_left(&self, done: &Done) -> Vec<String> {
        let gone: BTreeSet<&String> = done.removed.iter().chain(&done.written).collect();
        let files = self.layout.files.iter();
        let origins = files.flat_map(|file| file.origins.iter().filter(|origin| **origin != file.path));
        let mut left: Vec<String> = origins.filter(|origin| !gone.contains(origin)).cloned().collect();
        left.sort();
        left.dedup();
        left
    }

    fn tell(&self, out: &Output, done: &Done, left: &[String]) {
        let migrations = self.layout.files.iter().filter(|file| file.version.is_some()).count();
        let others = self.layout.files.len() - migrations;
        let also = if others == 0 { String::new() } else { format!(" and {}", count(others, "other file")) };
        let (tool, place) = (self.found.tool.name, self.found.shown_place());
        out.line(&format!("converted {}{also} of {tool} in {place}", count(migrations, "migration")));
        for file in &self.layout.files {
            out.detail(&format!("{} is made of {}", file.path, file.origins.join(", ")));
        }
        if !done.removed.is_empty() {
            let what = count(done.removed.len(), "original");
            out.line(&format!("removed {what} from the work tree, which HEAD holds"));
        }
        if !left.is_empty() {
            let why = if self.keep { "as --keep says" } else { "HEAD does not hold them as they are" };
            out.line(&format!("left {} in place: {why}", count(left.len(), "converted original")));
        }
        tell_remarks(out, &self.layout.remarks);
    }

    fn json(&self, done: &Done, left: &[String]) -> serde_json::Value {
        let file = |file: &crate::model::import::layout::NewFile| serde_json::json!({ "path": file.path, "version": file.version, "from": file.origins });
        let remark = |remark: &Remark| {
            let line = Some(remark.location.line).filter(|line| *line > 0);
            serde_json::json!({ "path": remark.location.path, "line": line, "what": remark.what, "help": remark.help })
        };
        serde_json::json!({
            "tool": self.found.tool.name,
            "place": self.found.shown_place(),
            "files": self.layout.files.iter().map(file).collect::<Vec<_>>(),
            "written": done.written,
            "removed": done.removed,
            "left": left,
            "remarks": self.layout.remarks.iter().map(remark).collect::<Vec<_>>(),
        })
    }
}

/// So many files of which the same is said are named one by one.
const NAMED: usize = 20;

/// One line for each; of many files that are only left alone the first are named, all with `--verbose`.
fn tell_remarks(out: &Output, remarks: &[Remark]) {
    let (lone, told): (Vec<&Remark>, Vec<&Remark>) =
        remarks.iter().partition(|remark| remark.help.is_empty() && remark.location.line == 0);
    let line = |remark: &Remark| {
        let help = if remark.help.is_empty() { String::new() } else { format!("; {}", remark.help) };
        format!("{}: {}{help}", remark.location, remark.what)
    };
    told.iter().for_each(|remark| out.line(&line(remark)));
    lone.iter().take(NAMED).for_each(|remark| out.line(&line(remark)));
    if lone.len() > NAMED {
        out.line(&format!("and {} more, named with --verbose and in --json", count(lone.len() - NAMED, "file")));
        lone.iter().skip(NAMED).for_each(|remark| out.detail(&line(remark)));
    }
}
