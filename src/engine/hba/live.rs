//! The access file of a running server: its rules, its text where that may be read, and whether it is in force.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use super::check::{self, Report};
use super::view;
use crate::engine::project::Project;
use crate::engine::session::Session;
use crate::engine::target::Target;
use crate::error::{Error, Result};
use crate::model::hba::{self, Files, Parsed, RuleChange, rule_changes, unified};
use crate::model::sql::literal;

/// A server's file, as it lies there now.
#[derive(Debug)]
pub struct Live {
    /// Where it lies on the server's machine; none where the role may not see that.
    pub file: Option<String>,
    /// What the server reads in it.
    pub parsed: Parsed,
    /// Its text with what it takes in, by the repository's names; or why it cannot be had.
    pub files: std::result::Result<Files, String>,
    /// It was changed after the server read it last: other rules may be in force.
    pub unread: bool,
}

/// What sets a server's access apart from the repository's.
#[derive(Debug)]
pub struct Comparison {
    /// The repository's file, judged.
    pub report: Report,
    /// The server's.
    pub live: Live,
    /// Rules that differ.
    pub changes: Vec<RuleChange>,
    /// Unified differences of the texts, where they may be read.
    pub text: String,
}

impl Comparison {
    /// Nothing is to be done.
    pub fn is_empty(&self) -> bool {
        let refused = self.live.parsed.refusals.iter().any(|refusal| !refusal.harmless);
        self.changes.is_empty() && self.text.is_empty() && !self.live.unread && !refused
    }
}

/// Compares the file of an environment with its server's.
///
/// # Errors
/// The repository's file cannot be judged, or the role may not read the server's rules.
pub async fn compare(project: &Project, target: &Target) -> Result<Comparison> {
    not_embedded(target)?;
    let report = check::check(project, Some(&target.selected.name)).await?;
    let session = target.connect().await?;
    let wanted = report.judged.first().ok_or_else(|| Error::failed("there is no access file"))?;
    let live = read(&session, &wanted.files.main).await?;
    let changes = rule_changes(&live.parsed.rules, &wanted.parsed.rules, &wanted.files);
    let text = live.files.as_ref().map_or_else(|_| String::new(), |there| differences(there, &wanted.files));
    Ok(Comparison { report, live, changes, text })
}

/// The embedded server's access file is nobody's but dbbuild's.
pub(super) fn not_embedded(target: &Target) -> Result<()> {
    if !target.embedded {
        return Ok(());
    }
    Err(Error::failed(format!("{} has an access file of dbbuild's own", target.describe()))
        .cause("it listens on a socket or the loopback only, for this user")
        .help("select an environment with an address: `--env NAME`. Nothing was changed."))
}

/// Unified differences of all files of two sides.
fn differences(server: &Files, wanted: &Files) -> String {
    let names: BTreeSet<&String> = server.texts.keys().chain(wanted.texts.keys()).collect();
    let text = |files: &'_ Files, name: &str| files.texts.get(name).cloned().unwrap_or_default();
    names
        .into_iter()
        .map(|name| {
            let title = |files: &Files, title: String| {
                if files.texts.contains_key(name) { title } else { "/dev/null".to_owned() }
            };
            let (old, new) = (title(server, format!("server/{name}")), title(wanted, wanted.path(name)));
            unified(&text(server, name), &text(wanted, name), &old, &new)
        })
        .collect()
}

/// Reads it. `main` is how the repository names the file.
///
/// # Errors
/// The role may not read the rules.
pub async fn read(session: &Session, main: &str) -> Result<Live> {
    let asked = session.query_rows("SELECT pg_catalog.current_setting('hba_file')").await;
    let file = asked.ok().and_then(|rows| rows.first()?.first()?.clone());
    let files = match &file {
        None => Err("the role may not see where it lies (pg_read_all_settings)".to_owned()),
        Some(file) => texts(session, file, main).await,
    };
    let bare = Files { main: main.to_owned(), texts: BTreeMap::new() };
    let folder = file.as_deref().and_then(|file| file.rsplit_once('/')).map_or("", |(folder, _)| folder);
    let mut parsed = view::read(session, folder, files.as_ref().unwrap_or(&bare)).await?;
    name_as_the_repository_does(&mut parsed, file.as_deref(), &bare);
    let unread = match &file {
        Some(file) => is_unread(session, file, files.as_ref().ok()).await,
        None => false,
    };
    Ok(Live { file, parsed, files, unread })
}

/// The server's own file may have another name than the repository's.
fn name_as_the_repository_does(parsed: &mut Parsed, file: Option<&str>, files: &Files) {
    let Some(name) = file.and_then(|file| file.rsplit('/').next()) else { return };
    let own = files.path(name);
    for path in
        parsed.rules.iter_mut().map(|rule| &mut rule.path).chain(parsed.refusals.iter_mut().map(|r| &mut r.path))
    {
        if *path == own {
            path.clone_from(&files.main);
        }
    }
}

/// Files of a server by the repository's names, fetched as they are asked for.
#[derive(Default)]
struct Fetched {
    texts: BTreeMap<String, Option<String>>,
    folders: BTreeMap<String, Vec<String>>,
}

/// Reads the file and what it takes in; the error is a reason in words.
async fn texts(session: &Session, file: &str, main: &str) -> std::result::Result<Files, String> {
    let folder = file.rsplit_once('/').map_or("", |(folder, _)| folder);
    let own = Files { main: main.to_owned(), texts: BTreeMap::new() };
    let place = |path: &str| {
        let relative = path.strip_prefix(&own.path("")).unwrap_or(path);
        if path == main { file.to_owned() } else { format!("{folder}/{relative}") }
    };
    let mut fetched = Fetched::default();
    loop {
        let wanted = RefCell::new((BTreeSet::new(), BTreeSet::new()));
        let read = |path: &str| {
            let text = fetched.texts.get(path).cloned();
            Ok(text.unwrap_or_else(|| {
                wanted.borrow_mut().0.insert(path.to_owned());
                // An empty text keeps the walk going until the real one is here.
                Some(String::new())
            }))
        };
        let list = |folder: &str| {
            Ok(fetched.folders.get(folder).cloned().unwrap_or_else(|| {
                wanted.borrow_mut().1.insert(folder.to_owned());
                Vec::new()
            }))
        };
        let found = hba::gather(main, &read, &list).map_err(|error| error.message().to_owned())?;
        let (files, folders) = wanted.into_inner();
        if files.is_empty() && folders.is_empty() {
            return found.ok_or_else(|| format!("{file} is not there"));
        }
        for path in files {
            let text = fetch(session, &place(&path), path == main).await?;
            fetched.texts.insert(path, text);
        }
        for folder in folders {
            let sql = format!("SELECT pg_catalog.pg_ls_dir({}, true, false)", literal(&place(&folder)));
            let rows = session.query_rows(&sql).await.map_err(|error| why(&error))?;
            fetched.folders.insert(folder, rows.into_iter().filter_map(|row| row.into_iter().next()?).collect());
        }
    }
}

/// The text of a file of the server; `None` where it is not there and need not be.
pub(super) async fn fetch(session: &Session, place: &str, must: bool) -> std::result::Result<Option<String>, String> {
    let sql = format!(
        "SELECT pg_catalog.encode(pg_catalog.pg_read_binary_file({}, 0, 16777216, {}), 'hex')",
        literal(place),
        !must
    );
    let rows = session.query_rows(&sql).await.map_err(|error| why(&error))?;
    let Some(hex) = rows.into_iter().next().and_then(|row| row.into_iter().next()?) else { return Ok(None) };
    let bytes: Option<Vec<u8>> =
        hex.as_bytes().chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect();
    let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
    text.map(Some).ok_or_else(|| format!("{place} is not UTF-8"))
}

fn why(error: &Error) -> String {
    error.causes().first().cloned().unwrap_or_else(|| error.message().to_owned())
}

/// Whether a file was changed after the server read its configuration. Times of files have whole seconds here.
async fn is_unread(session: &Session, file: &str, files: Option<&Files>) -> bool {
    let folder = file.rsplit_once('/').map_or("", |(folder, _)| folder);
    let others = files.into_iter().flat_map(|files| files.texts.keys().filter(|name| *name != files.name()));
    let places = std::iter::once(file.to_owned()).chain(others.map(|name| format!("{folder}/{name}")));
    let checks: Vec<String> = places
        .map(|place| {
            format!(
                "COALESCE((pg_catalog.pg_stat_file({}, true)).modification > pg_catalog.pg_conf_load_time(), false)",
                literal(&place)
            )
        })
        .collect();
    let rows = session.query_rows(&format!("SELECT {}", checks.join(" OR "))).await;
    // Who may not look at the file cannot tell.
    rows.ok().and_then(|rows| rows.first()?.first()?.clone()).as_deref() == Some("t")
}
