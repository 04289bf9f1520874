//! A judgement from end to end: a set of files, the published state that it is measured against, and the verdict that is
//! kept for both.

use crate::engine::cache::Kind;
use crate::engine::git::Source;
use crate::engine::hba::check::{self, Logins};
use crate::engine::hba::texts::{Question, Texts};
use crate::engine::project::{self, Project, Tree};
use crate::engine::prove::{self, Goal, Request};
use crate::engine::rewrite;
use crate::engine::runner::Sink;
use crate::engine::upstream::{self, Upstream};
use crate::error::{Error, Result};
use crate::model::checksum::Checksum;
use crate::model::published::Base;
use crate::model::sources::Sources;
use crate::model::version::Version;

/// Files that are to be judged; nothing of them was read yet but names and object ids.
pub struct Judgement<'a> {
    project: &'a Project,
    /// The files.
    pub tree: Tree,
    source: Source,
    upstream: Option<Upstream>,
    /// Published versions that may differ this once.
    allow: Vec<Version>,
    /// New migrations go there and back, too.
    round_trip: bool,
}

/// How a judgement ended well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The same was proved before.
    Known,
    /// It is proved now; with what a person should know.
    Proved(Vec<String>),
}

impl<'a> Judgement<'a> {
    /// Of what a source holds, against `git.upstream` or against what `since` has.
    ///
    /// # Errors
    /// The files or the history cannot be read.
    pub fn open(project: &'a Project, source: &Source, since: Option<&str>) -> Result<Judgement<'a>> {
        let tree = project.tree(source)?;
        let upstream = upstream::find(project, &tree.config, source, since)?;
        Ok(Judgement { project, tree, source: source.clone(), upstream, allow: Vec::new(), round_trip: false })
    }

    /// Lets published migrations differ. What is proved so is not remembered.
    #[must_use]
    pub fn allowing(mut self, versions: Vec<Version>) -> Self {
        self.allow = versions;
        self
    }

    /// Asks for round trips of the new migrations as well.
    #[must_use]
    pub fn with_round_trip(mut self, round_trip: bool) -> Self {
        self.round_trip = round_trip;
        self
    }

    /// Whether exactly these files were proved before against the same published state. Reads none of them.
    pub fn is_known(&self) -> bool {
        let Ok(key) = self.tree_key() else { return false };
        self.allow.is_empty() && self.is_kept(key) && (!self.round_trip || self.is_kept(there_and_back(&key)))
    }

    /// Names the files as they are listed, and the published state; reads what access files take in, where there are any.
    fn tree_key(&self) -> Result<Checksum> {
        let hba = project::access_files(&self.tree.config);
        let has_access = hba.iter().any(|path| self.tree.entry(path).is_some());
        let taken_in = if has_access { self.texts().taken_in()? } else { String::new() };
        Ok(self.tree.key(&format!("{}{taken_in}", Upstream::key(self.upstream.as_ref()))))
    }

    fn texts(&self) -> Texts<'_> {
        Texts::of(self.project, &self.tree, &self.source)
    }

    fn is_kept(&self, key: Checksum) -> bool {
        self.project.cache.get(Kind::Verdict, &key).is_some()
    }

    /// The sources.
    ///
    /// # Errors
    /// All faults of files, names and directives.
    pub fn sources(&self) -> Result<Sources> {
        self.tree.sources(self.project)
    }

    /// The published state.
    ///
    /// # Errors
    /// Its files cannot be read.
    pub fn base(&self) -> Result<Option<Base>> {
        self.upstream.as_ref().map_or(Ok(None), |found| upstream::read(self.project, found))
    }

    /// The published state, for a baseline that is to be made: what may differ is recorded in the sources. With it come
    /// versions that another branch took, which verification refuses.
    ///
    /// # Errors
    /// A published migration was changed without leave.
    pub fn allowed(&self, sources: &mut Sources) -> Result<(Option<Base>, Vec<Error>)> {
        let base = self.base()?;
        let judged = rewrite::judge(self.project, base.as_ref(), sources, &self.allow)?;
        rewrite::record(sources, &judged.allowed);
        Ok((base, judged.taken))
    }

    /// Proves what was not proved before, and remembers the verdict; with `full` whatever was proved before. Access files are
    /// judged beside it, without logins.
    ///
    /// # Errors
    /// A rule is broken (status 1), or the baseline is not what the sources make (status 3).
    pub async fn verify(&self, sources: &Sources, full: bool, sink: Sink<'_>) -> Result<Verdict> {
        let base = self.base()?;
        let judged = rewrite::judge(self.project, base.as_ref(), sources, &self.allow)?;
        Error::all(judged.taken).map_or(Ok(()), Err)?;
        let key = prove::verdict_key(&self.tree.config, sources, base.as_ref());
        let known = !full && self.is_kept(key);
        let access = self.texts().question(None)?;
        let access_known = access.files.is_empty() || !full && self.is_kept(access.key);
        if known && access_known && (!self.round_trip || self.is_kept(there_and_back(&key))) {
            self.remember(sources, base.as_ref());
            return Ok(Verdict::Known);
        }
        let request = Request {
            config: &self.tree.config,
            sources,
            base: base.as_ref(),
            goal: Goal::Compare,
            cache: &self.project.cache,
            reuse: !full,
            sink,
        };
        let mut notes = Vec::new();
        let (proof, access) =
            tokio::join!(async { if known { Ok(None) } else { prove::prove(&request).await.map(Some) } }, async {
                if access_known { Ok(()) } else { self.judge_access(&access).await }
            },);
        match (proof, access) {
            (Ok(proof), Ok(())) => notes.extend(proof.into_iter().flat_map(|proof| proof.notes)),
            (Err(error), Ok(())) | (Ok(_), Err(error)) => return Err(error),
            (Err(one), Err(other)) => return Err(Error::all([one, other]).unwrap_or_else(|| Error::failed("refused"))),
        }
        if self.round_trip {
            notes.extend(prove::round_trips(&request).await?);
        }
        if self.allow.is_empty() {
            self.remember(sources, base.as_ref());
        }
        Ok(Verdict::Proved(notes))
    }

    async fn judge_access(&self, question: &Question) -> Result<()> {
        let report = check::answer(&self.tree.config, question, Logins::Left).await?;
        Error::all(report.faults(false)).map_or(Ok(()), |error| Err(error.help("`dbbuild hba check` shows more.")))?;
        self.project.cache.put(Kind::Verdict, &question.key, "proved");
        Ok(())
    }

    /// Keeps the verdict that these files are proved, unless something else than a proof stands against them.
    ///
    /// # Errors
    /// The published state cannot be read.
    pub fn remember_proof(&self, sources: &Sources) -> Result<()> {
        let base = self.base()?;
        if rewrite::judge(self.project, base.as_ref(), sources, &[]).is_ok_and(|judged| judged.taken.is_empty()) {
            self.remember(sources, base.as_ref());
        }
        Ok(())
    }

    fn remember(&self, sources: &Sources, base: Option<&Base>) {
        let texts = self.texts();
        let access = texts.question(None).is_ok_and(|asked| asked.files.is_empty() || self.is_kept(asked.key));
        let whole = self.tree_key().ok().filter(|_| access);
        let proved = prove::verdict_key(&self.tree.config, sources, base);
        for key in std::iter::once(proved).chain(whole) {
            self.project.cache.put(Kind::Verdict, &key, "proved");
            if self.round_trip {
                self.project.cache.put(Kind::Verdict, &there_and_back(&key), "proved");
            }
        }
    }
}

/// The key of the verdict that holds for round trips as well.
fn there_and_back(key: &Checksum) -> Checksum {
    Checksum::of_text(&format!("round trip {key}"))
}
