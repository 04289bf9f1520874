//! The history of the baseline in git: which commits changed it, and what each made of an object.
//!
//! Read through the `git` program in a few calls, whatever the number of commits. A baseline is taken apart only where the
//! part that may speak of the object is another than in the commit before.

use crate::engine::git::{Program, Source};
use crate::engine::history::{held_by_baseline, version_rows};
use crate::engine::project::Project;
use crate::error::{Error, Result};
use crate::model::baseline::{Baseline, Change, Facts, ObjectChange, ObjectName, Wanted, entries_with};
use crate::model::changelog::MigrationChange;
use crate::model::checksum::Checksum;
use crate::model::config::{Config, Paths};
use crate::model::plan::{Applied, FileKind, History};
use crate::model::sql::{Mention, mention};
use crate::model::squash::Replaced;
use crate::model::version::Version;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::rc::Rc;

/// A commit that changed the baseline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// In full.
    pub id: String,
    parents: Vec<String>,
    /// Who wrote it.
    pub author: String,
    /// The author's address.
    pub email: String,
    /// When it was written, as ISO 8601.
    pub date: String,
    /// The first line of its message.
    pub summary: String,
}

/// What a commit made of an object.
#[derive(Debug, Clone)]
pub struct Event {
    /// The commit.
    pub commit: Commit,
    /// What changed of the object and of what stands on it.
    pub changes: Vec<ObjectChange>,
    /// The files of the commit that made it so: migrations, repeatable files, init data.
    pub by: Vec<String>,
}

/// The past of one project.
pub struct Past<'a> {
    project: &'a Project,
    git: Program,
    /// The project's folder below the top, with a trailing slash, or empty.
    prefix: String,
    /// Every path that a configuration gave the baseline, from the top; the newest first.
    paths: Vec<String>,
}

/// Blobs that are read at once: enough that starting git does not count, few enough to hold.
const AT_ONCE: usize = 64;

impl<'a> Past<'a> {
    /// Finds where the baseline stood in all commits that lead to `rev`.
    ///
    /// # Errors
    /// There is no such commit, or git cannot read it.
    pub fn open(project: &'a Project, rev: &str) -> Result<Past<'a>> {
        project.git()?;
        let git = Program::elsewhere(&project.root);
        let exists = git.output(&["rev-parse", "--quiet", "--verify", &format!("{rev}^{{commit}}")], None)?;
        if !exists.status.success() {
            return Err(Error::usage(format!("there is no commit {rev}")).help("`git log` lists commits."));
        }
        let prefix = git.text(&["rev-parse", "--show-prefix"])?;
        let mut past = Past { project, git, prefix, paths: Vec::new() };
        past.paths = past.baseline_paths(rev)?;
        Ok(past)
    }

    /// Whether commits are missing at the far end: a shallow clone.
    pub fn is_shallow(&self) -> bool {
        self.git.text(&["rev-parse", "--is-shallow-repository"]).is_ok_and(|text| text == "true")
    }

    fn baseline_paths(&self, rev: &str) -> Result<Vec<String>> {
        let config = format!("{}{}", self.prefix, self.project.config_name);
        let commits = self.git.text(&["log", "--format=%H", rev, "--", &format!(":(top,literal){config}")])?;
        let names: Vec<String> = commits.lines().map(|id| format!("{id}:{config}")).collect();
        let mut paths = vec![self.project.config.paths.baseline.clone()];
        self.read(&names, |_, text| {
            // An old file may hold keys that this version refuses.
            let table = toml::from_str::<toml::Table>(&text).unwrap_or_default();
            let set = table.get("paths").and_then(|paths| paths.get("baseline")).and_then(|path| path.as_str());
            paths.push(set.map_or_else(|| Paths::default().baseline, str::to_owned));
        })?;
        let mut seen = BTreeSet::new();
        paths.retain(|path| seen.insert(path.clone()));
        Ok(paths.into_iter().map(|path| format!("{}{path}", self.prefix)).collect())
    }

    /// The commits that changed the baseline on the way to what `rev` has, newest first.
    fn commits(&self, rev: &str) -> Result<Vec<Commit>> {
        let mut arguments: Vec<String> =
            ["log", "-z", "--topo-order", "--format=%H%n%P%n%an%n%ae%n%aI%n%s", rev, "--"].map(str::to_owned).into();
        arguments.extend(self.paths.iter().map(|path| format!(":(top,literal){path}")));
        let text = self.git.text(&arguments)?;
        let commit = |record: &str| {
            let mut lines = record.split('\n').map(str::to_owned);
            let mut next = || lines.next().unwrap_or_default();
            Commit {
                id: next(),
                parents: next().split_whitespace().map(str::to_owned).collect(),
                author: next(),
                email: next(),
                date: next(),
                summary: next(),
            }
        };
        Ok(text.split('\0').filter(|record| !record.is_empty()).map(commit).collect())
    }

    /// The object ids of the baselines of commits; a commit without one is left out.
    fn blobs(&self, commits: impl Iterator<Item = String>) -> Result<HashMap<String, String>> {
        let asked: Vec<(String, String)> =
            commits.flat_map(|id| self.paths.iter().map(move |path| (id.clone(), format!("{id}:{path}")))).collect();
        let input: String = asked.iter().flat_map(|(_, name)| [name, "\n"]).collect();
        let output = self.git.bytes(&["cat-file", "--batch-check=%(objectname)"], Some(input.as_bytes()))?;
        let mut found = HashMap::new();
        for ((id, _), line) in asked.into_iter().zip(String::from_utf8_lossy(&output).lines()) {
            if !line.ends_with(" missing") {
                found.entry(id).or_insert_with(|| line.to_owned());
            }
        }
        Ok(found)
    }

    /// Reads objects by name, a few at a time; those that are missing are left out.
    fn read(&self, names: &[String], mut each: impl FnMut(&str, String)) -> Result<()> {
        for some in names.chunks(AT_ONCE) {
            let input: String = some.iter().flat_map(|name| [name, "\n"]).collect();
            let output = self.git.bytes(&["cat-file", "--batch"], Some(input.as_bytes()))?;
            let mut rest = output.as_slice();
            for name in some {
                let Some(end) = rest.iter().position(|&b| b == b'\n') else { break };
                let head = String::from_utf8_lossy(&rest[..end]).into_owned();
                rest = &rest[end + 1..];
                let Some(size) = head.rsplit(' ').next().and_then(|size| size.parse::<usize>().ok()) else { continue };
                each(name, String::from_utf8_lossy(rest.get(..size).unwrap_or_default()).into_owned());
                rest = rest.get(size + 1..).unwrap_or_default();
            }
        }
        Ok(())
    }

    /// A commit's whole baseline.
    ///
    /// # Errors
    /// It is there, but is none.
    pub fn baseline(&self, rev: &str) -> Result<Option<Baseline>> {
        let path = &self.paths;
        let Some(blob) = self.blobs(std::iter::once(rev.to_owned()))?.remove(rev) else { return Ok(None) };
        let mut text = String::new();
        self.read(std::slice::from_ref(&blob), |_, read| text = read)?;
        let name = format!("{} of {rev}", path.first().map_or("the baseline", String::as_str));
        Baseline::parse(&text, &name).map(Some)
    }

    /// The newest commit whose baseline holds exactly these migrations, with that baseline, unless other files made
    /// something of it.
    ///
    /// # Errors
    /// git cannot read it, or it is no baseline.
    pub fn holding(&self, list: &[Replaced]) -> Result<Option<(String, Option<Baseline>)>> {
        let rows = version_rows(list.iter());
        let commits = self.commits("HEAD")?;
        let blobs = self.blobs(commits.iter().map(|commit| commit.id.clone()))?;
        for commit in &commits {
            let Some(blob) = blobs.get(&commit.id) else { continue };
            let mut text = String::new();
            self.read(std::slice::from_ref(blob), |_, read| text = read)?;
            if !text.contains(&rows) {
                continue;
            }
            let baseline = Baseline::parse(&text, &format!("the baseline of {}", commit.id))?;
            let alone = held_by_baseline(&baseline)?.files.is_empty();
            return Ok(Some((commit.id.clone(), alone.then_some(baseline))));
        }
        Ok(None)
    }

    /// The migrations that came, went or changed from one baseline to another, with what the files of `rev` say.
    ///
    /// # Errors
    /// A baseline's version rows are not of dbbuild's making.
    pub fn migrations(&self, before: Option<&Baseline>, after: &Baseline, rev: &str) -> Result<Vec<MigrationChange>> {
        let held = |baseline: &Baseline| -> Result<BTreeMap<Version, Applied>> {
            let applied = held_by_baseline(baseline)?.applied;
            Ok(applied.into_iter().map(|applied| (applied.version.clone(), applied)).collect())
        };
        let old = before.map(held).transpose()?.unwrap_or_default();
        let new = held(after)?;
        // Faults of a file do not matter here: it then has no description.
        let tree = self.project.tree(&Source::Rev(rev.to_owned())).and_then(|tree| tree.sources(self.project)).ok();
        let description = |version: &Version| tree.as_ref()?.migration(version)?.settings.description.clone();
        let named = |applied: &Applied, change| MigrationChange {
            version: applied.version.to_string(),
            name: applied.name.clone(),
            change,
            description: description(&applied.version),
        };
        let mut found: Vec<MigrationChange> = new
            .values()
            .filter_map(|applied| match old.get(&applied.version) {
                None => Some(named(applied, Change::Added)),
                Some(known) if known.checksum != applied.checksum => Some(named(applied, Change::Changed)),
                Some(_) => None,
            })
            .collect();
        let gone = old.values().filter(|applied| !new.contains_key(&applied.version));
        found.extend(gone.map(|applied| named(applied, Change::Removed)));
        Ok(found)
    }

    /// The objects that a name may mean: of the newest baseline that has any.
    ///
    /// # Errors
    /// git cannot read it, or no baseline has it (exit status 2).
    pub fn find(&self, rev: &str, wanted: &Wanted) -> Result<Vec<ObjectName>> {
        let commits = self.commits(rev)?;
        let blobs = self.blobs(commits.iter().flat_map(|commit| commit.parents.iter().chain([&commit.id])).cloned())?;
        let mut order: Vec<String> = Vec::new();
        for commit in &commits {
            let ids = std::iter::once(&commit.id).chain(&commit.parents);
            order.extend(ids.filter_map(|id| blobs.get(id)).cloned());
        }
        let mut seen = BTreeSet::new();
        order.retain(|blob| seen.insert(blob.clone()));
        // Almost always the first one has it.
        let (first, rest) = order.split_at(order.len().min(1));
        for some in [first, rest] {
            let mut found = Vec::new();
            self.read(some, |_, text| {
                if found.is_empty() && text.contains(wanted.word()) {
                    let facts = facts_of(&text, None);
                    found = wanted.find(facts.unwrap_or_default().0.keys());
                }
            })?;
            if !found.is_empty() {
                return Ok(found);
            }
        }
        let nowhere = if commits.is_empty() { "there is no baseline in" } else { "no baseline has it, in" };
        Err(Error::usage(format!("there is no `{}`: {nowhere} {rev} and before", wanted.text())).help(
            "write `orders`, `shop.orders`, `orders.total`, `function shop.total(int)` or `index orders_by_date`.",
        ))
    }

    /// What became of an object, newest first.
    ///
    /// # Errors
    /// git cannot read it.
    pub fn events(&self, rev: &str, object: &ObjectName) -> Result<Vec<Event>> {
        let commits = self.commits(rev)?;
        let blobs = self.blobs(commits.iter().flat_map(|commit| commit.parents.iter().chain([&commit.id])).cloned())?;
        let said = self.said(&blobs, object)?;
        let none = Some(Rc::new(Facts::default()));
        let mut events = Vec::new();
        for commit in commits {
            let at = |id: &String| blobs.get(id).map_or_else(|| none.clone(), |blob| said.get(blob).cloned().flatten());
            // What cannot be read says nothing.
            let Some(here) = at(&commit.id) else { continue };
            let mut before: Vec<Rc<Facts>> = commit.parents.iter().filter_map(at).collect();
            if commit.parents.is_empty() {
                before.extend(none.clone());
            }
            let Some((first, others)) = before.split_first() else { continue };
            let mut changes = first.changes(&here);
            // What a merge took from one of its sides was made there.
            changes.retain(|change| others.iter().all(|side| side.0.get(&change.object) != here.0.get(&change.object)));
            if !changes.is_empty() {
                let by = self.by(&commit, object, &changes)?;
                events.push(Event { commit, changes, by });
            }
        }
        Ok(events)
    }

    /// What each baseline says of the object; `None` for one that cannot be read.
    fn said(&self, blobs: &HashMap<String, String>, object: &ObjectName) -> Result<HashMap<String, Option<Rc<Facts>>>> {
        let unique: BTreeSet<String> = blobs.values().cloned().collect();
        let unique: Vec<String> = unique.into_iter().collect();
        let word = object.of.as_deref().unwrap_or_else(|| object.base()).to_owned();
        let mut parsed: HashMap<Checksum, Option<Rc<Facts>>> = HashMap::new();
        let mut said = HashMap::new();
        self.read(&unique, |blob, text| {
            let part = entries_with(&text, &word);
            let facts = parsed
                .entry(Checksum::of_text(&part))
                .or_insert_with(|| facts_of(&text, Some(&part)).map(|facts| Rc::new(facts.about(object))));
            said.insert(blob.to_owned(), facts.clone());
        })?;
        Ok(said)
    }

    /// The files that a commit brought or changed, as its baseline has them, which speak of what changed most plainly; none
    /// where several came and none speaks of it.
    fn by(&self, commit: &Commit, object: &ObjectName, changes: &[ObjectChange]) -> Result<Vec<String>> {
        let held = |id: &str| -> History {
            self.baseline(id).ok().flatten().and_then(|baseline| held_by_baseline(&baseline).ok()).unwrap_or_default()
        };
        let here = held(&commit.id);
        let before: Vec<History> = commit.parents.iter().map(|id| held(id)).collect();
        let config = self.project.config(&Source::Rev(commit.id.clone())).unwrap_or_else(|_| Config::default());
        let candidates = brought(&here, &before, &config.paths);
        let names: Vec<String> = candidates.iter().map(|path| format!("{}:{}{path}", commit.id, self.prefix)).collect();
        let mut texts = HashMap::new();
        self.read(&names, |name, text| drop(texts.insert(name.to_owned(), text)))?;
        // A part is named together with its table; the object alone where it changed itself.
        let whole = vec![object.of.as_deref().unwrap_or_else(|| object.base())];
        let mut wanted: Vec<Vec<&str>> = changes
            .iter()
            .map(|change| change.object.of.iter().map(String::as_str).chain([change.object.base()]).collect())
            .collect();
        wanted.push(whole);
        let weigh = |name: &String| {
            let text = texts.get(name).map_or("", String::as_str);
            let best = wanted.iter().rev().skip(1).map(|names| mention(text, names)).max().unwrap_or(Mention::None);
            let alone = wanted.last().map_or(Mention::None, |names| mention(text, names));
            (best, alone)
        };
        let weights: Vec<_> = names.iter().map(weigh).collect();
        let best = weights.iter().max().copied();
        if best == Some((Mention::None, Mention::None)) && candidates.len() > 1 {
            return Ok(Vec::new());
        }
        let pairs = candidates.into_iter().zip(weights);
        Ok(pairs.filter(|(_, weight)| Some(*weight) == best).map(|(path, _)| path).collect())
    }
}

/// Reads the part of a baseline that may speak of an object, and all of it where that was cut badly.
fn facts_of(text: &str, part: Option<&str>) -> Option<Facts> {
    if let Some(facts) = part.and_then(|part| Facts::of_entries(part).ok()) {
        return Some(facts);
    }
    let baseline = Baseline::parse(text, "the baseline").ok()?;
    Some(Facts::of_baseline(&baseline))
}

/// Paths of the files that a baseline holds and those before it do not hold so.
fn brought(here: &History, before: &[History], paths: &Paths) -> Vec<String> {
    let migrations = here.applied.iter().filter(|applied| {
        !before.iter().any(|side| {
            side.applied.iter().any(|old| old.version == applied.version && old.checksum == applied.checksum)
        })
    });
    let mut found: Vec<String> =
        migrations.map(|applied| format!("{}/{}_{}.sql", paths.migrations, applied.version, applied.name)).collect();
    for ((kind, name), checksum) in &here.files {
        if !before.iter().any(|side| side.files.get(&(*kind, name.clone())) == Some(checksum)) {
            let folder = if *kind == FileKind::Init { &paths.init } else { &paths.repeatable };
            found.push(format!("{folder}/{name}"));
        }
    }
    found
}
