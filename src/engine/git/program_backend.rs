//! Reading through the `git` program: every form of repository that the installed git knows. Each question is a process
//! of some milliseconds.

use super::backend::{Backend, Entry, no_such_commit};
use super::id::{ObjectFormat, ObjectId};
use super::program::Program;
use crate::error::{Error, OrFailed, Result};
use std::sync::Arc;

pub(super) struct ProgramBackend {
    pub program: Program,
    pub format: ObjectFormat,
}

impl Backend for ProgramBackend {
    /// As the difference from nothing, which leaves out what is only intended to be added, as a commit does.
    fn index(&self, paths: &[String]) -> Result<Vec<Entry>> {
        if paths.is_empty() {
            return Ok(Vec::new());
        }
        let options = ["--raw", "-z", "--no-abbrev", "--no-renames"];
        let output = self.program.bytes(&diff_index(&options, self.format.empty_tree(), paths), None);
        let output = output.map_err(|e| Error::failed("cannot read the index").cause(e))?;
        let mut fields = output.split(|byte| *byte == 0).filter(|field| !field.is_empty());
        let mut found = Vec::new();
        while let (Some(header), Some(path)) = (fields.next(), fields.next()) {
            found.push(raw_entry(header, path)?);
        }
        Ok(found)
    }

    fn tree(&self, rev: &str, paths: &[String]) -> Result<Vec<Entry>> {
        let tree = self.verify(rev, "tree")?.ok_or_else(|| no_such_commit(rev, "git knows no such revision"))?;
        if paths.is_empty() {
            return Ok(Vec::new());
        }
        let mut words = vec!["ls-tree", "-r", "-z", "--full-tree", &tree, "--"];
        words.extend(paths.iter().map(String::as_str));
        let output = self.program.bytes(&words, None);
        let output = output.map_err(|e| Error::failed(format!("cannot read the files of {rev}")).cause(e))?;
        output.split(|byte| *byte == 0).filter(|line| !line.is_empty()).map(tree_entry).collect()
    }

    fn differs(&self, from: Option<&str>, paths: &[String]) -> Result<bool> {
        let from = from.unwrap_or(self.format.empty_tree());
        let output = self.program.output(&diff_index(&["--quiet"], from, paths), None)?;
        match output.status.code() {
            Some(0) => Ok(false),
            Some(1) => Ok(true),
            _ => Err(Error::failed("cannot compare the index with HEAD").cause(said(&output))),
        }
    }

    fn blobs(&self, ids: &[&ObjectId]) -> Result<Vec<Arc<[u8]>>> {
        self.fetch_missing(ids)?;
        let output = self.program.bytes(&["--no-replace-objects", "cat-file", "--batch"], Some(&lines(ids)));
        let output = output.map_err(|e| Error::failed("cannot read objects").cause(e))?;
        let mut rest = output.as_slice();
        ids.iter().map(|id| batched(id, &mut rest)).collect()
    }

    fn stage(&self, path: &str, content: &[u8]) -> Result<()> {
        let failed = |e: Error| Error::failed(format!("cannot stage {path}")).cause(e);
        let id =
            self.program.bytes(&["hash-object", "-w", "--no-filters", "--stdin"], Some(content)).map_err(failed)?;
        let old = self.index(std::slice::from_ref(&path.to_owned()))?;
        let mode = old.first().map_or(0o100_644, |entry| entry.mode);
        let info = format!("{mode:o},{},{path}", String::from_utf8_lossy(&id).trim_end());
        // git takes the path as given from the top only when it works there.
        let top = self.program.text(&["rev-parse", "--show-toplevel"]).map_err(failed)?;
        let words = ["-C", &top, "update-index", "--add", "--cacheinfo", &info];
        self.program.bytes(&words, None).map(drop).map_err(failed)
    }

    fn commit(&self, rev: &str) -> Result<Option<String>> {
        self.verify(rev, "commit")
    }

    fn merge_base(&self, commits: &[&str]) -> Result<Option<String>> {
        let words: Vec<&str> = ["--no-replace-objects", "merge-base"].iter().chain(commits).copied().collect();
        let output = self.program.output(&words, None)?;
        match output.status.code() {
            Some(0) => Ok(Some(String::from_utf8_lossy(&output.stdout).trim_end().to_owned())),
            Some(1) => Ok(None),
            _ => Err(Error::failed("cannot read the history of commits").cause(said(&output))),
        }
    }

    fn parents(&self, commit: &str) -> Result<Vec<String>> {
        let words = ["--no-replace-objects", "rev-list", "--max-count=1", "--parents", commit];
        let text = self.program.text(&words);
        let text = text.map_err(|e| Error::failed(format!("cannot read commit {commit}")).cause(e))?;
        Ok(text.split(' ').skip(1).map(str::to_owned).collect())
    }

    fn remotes(&self) -> Result<Vec<String>> {
        Ok(self.program.text(&["remote"])?.lines().map(str::to_owned).collect())
    }

    fn has_refs(&self, prefix: &str) -> Result<bool> {
        Ok(!self.program.text(&["for-each-ref", "--count=1", "--format=%(refname)", prefix])?.is_empty())
    }
}

impl ProgramBackend {
    fn verify(&self, rev: &str, kind: &str) -> Result<Option<String>> {
        let output = self
            .program
            .output(&["rev-parse", "--quiet", "--verify", "--end-of-options", &format!("{rev}^{{{kind}}}")], None)?;
        match output.status.code() {
            Some(0) => Ok(Some(String::from_utf8_lossy(&output.stdout).trim_end().to_owned())),
            Some(1) => Ok(None),
            // A repository that cannot be read is told apart from a word that names nothing.
            _ => self.program.text(&["rev-parse", "--git-dir"]).map(|_| None),
        }
    }

    /// A partial clone lacks blobs until they are asked for, and reading them one by one asks its remote one by one.
    fn fetch_missing(&self, ids: &[&ObjectId]) -> Result<()> {
        let promisor = self.program.output(&["config", "--get-regexp", r"^remote\..*\.promisor$", "true"], None)?;
        let promisor = String::from_utf8_lossy(&promisor.stdout).into_owned();
        let name = promisor.lines().next().and_then(|line| line.strip_prefix("remote."));
        let Some((remote, _)) = name.and_then(|line| line.rsplit_once(".promisor")) else { return Ok(()) };
        let here = self.program.clone().without_fetching();
        let output = here.output(&["cat-file", "--batch-check"], Some(&lines(ids)))?;
        let text = String::from_utf8_lossy(&output.stdout);
        let mut missing: Vec<&str> = text.lines().filter_map(|line| line.strip_suffix(" missing")).collect();
        missing.sort_unstable();
        missing.dedup();
        if missing.is_empty() {
            return Ok(());
        }
        let list = missing.iter().map(|id| format!("{id}\n")).collect::<String>();
        let words = [
            "-c",
            "fetch.negotiationAlgorithm=noop",
            "fetch",
            remote,
            "--no-tags",
            "--no-write-fetch-head",
            "--recurse-submodules=no",
            "--filter=blob:none",
            "--stdin",
        ];
        self.program.bytes(&words, Some(list.as_bytes())).map(drop).map_err(|e| {
            Error::failed(format!("{} files are not in this partial clone", missing.len()))
                .cause(e)
                .help(format!("git fetches them from {remote}, which must be reachable."))
        })
    }
}

/// `git diff-index` of the index against a tree, at paths that are taken as they are. Of a sparse index it shows folders
/// outside the checkout as one entry, or not at all (git 2.47): without a sparse checkout git expands them first.
fn diff_index(options: &[&str], tree: &str, paths: &[String]) -> Vec<String> {
    let mut words = vec!["-c", "core.sparseCheckout=false", "-c", "advice.sparseIndexExpanded=false"];
    words.extend(["--no-replace-objects", "diff-index", "--cached"]);
    words.extend(["--ita-invisible-in-index", "--ignore-submodules=none", "--no-ext-diff", "--no-textconv"]);
    words.extend(options);
    words.extend([tree, "--"]);
    let specs = paths.iter().map(|path| format!(":(top,literal){path}"));
    words.into_iter().map(str::to_owned).chain(specs).collect()
}

/// `:000000 100644 0000… 1a2b… A`, with the status `U` where there is a conflict.
fn raw_entry(header: &[u8], path: &[u8]) -> Result<Entry> {
    let text = String::from_utf8_lossy(header);
    let mut words = text.split(' ').skip(1);
    let (Some(mode), Some(id), Some(status)) = (words.next(), words.nth(1), words.next()) else {
        return Err(unexpected("diff-index", &text));
    };
    let mode = u32::from_str_radix(mode, 8).map_err(|_| unexpected("diff-index", &text))?;
    Ok(Entry { path: path.to_vec(), mode, id: ObjectId::parse(id)?, conflict: status.starts_with('U') })
}

/// `100644 blob 1a2b…<tab>path`
fn tree_entry(line: &[u8]) -> Result<Entry> {
    let strange = || unexpected("ls-tree", &String::from_utf8_lossy(line));
    let at = line.iter().position(|byte| *byte == b'\t').ok_or_else(strange)?;
    let (header, path) = line.split_at(at);
    let header = String::from_utf8_lossy(header);
    let words: Vec<&str> = header.split(' ').collect();
    let [mode, _, id] = words[..] else { return Err(strange()) };
    let mode = u32::from_str_radix(mode, 8).map_err(|_| strange())?;
    Ok(Entry { path: path.get(1..).unwrap_or_default().to_vec(), mode, id: ObjectId::parse(id)?, conflict: false })
}

/// `1a2b… blob 12<newline>…content…<newline>`
fn batched(id: &ObjectId, rest: &mut &[u8]) -> Result<Arc<[u8]>> {
    let ended = || Error::failed(format!("cannot read object {id}")).cause("git cat-file ended early");
    let at = rest.iter().position(|byte| *byte == b'\n').ok_or_else(ended)?;
    let header = String::from_utf8_lossy(rest.get(..at).unwrap_or_default()).into_owned();
    *rest = rest.get(at + 1..).unwrap_or_default();
    let size = header.strip_prefix(&format!("{id} blob "));
    let size = size.ok_or_else(|| Error::failed(format!("cannot read object {id}")).cause(&header))?;
    let size: usize = size.parse().or_failed(|| format!("cannot read object {id}"))?;
    let content = rest.get(..size).ok_or_else(ended)?;
    *rest = rest.get(size + 1..).unwrap_or_default();
    Ok(content.into())
}

fn lines(ids: &[&ObjectId]) -> Vec<u8> {
    ids.iter().map(|id| format!("{id}\n")).collect::<String>().into_bytes()
}

fn said(output: &std::process::Output) -> String {
    String::from_utf8_lossy(&output.stderr).trim_end().to_owned()
}

fn unexpected(command: &str, text: &str) -> Error {
    Error::failed(format!("git {command} said something unexpected")).cause(text.escape_debug())
}
