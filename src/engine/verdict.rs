//! A judgement from end to end: a set of files, the published state that it is measured against, and the verdict that is
//! kept for both.

use crate::engine::cache::Kind;
use crate::engine::git::Source;
use crate::engine::project::{Project, Tree};
use crate::engine::prove::{self, Goal, Request};
use crate::engine::runner::Sink;
use crate::engine::upstream::{self, Upstream};
use crate::error::Result;
use crate::model::published::Base;
use crate::model::sources::Sources;

/// Files that are to be judged; nothing of them was read yet but names and object ids.
pub struct Judgement<'a> {
    project: &'a Project,
    /// The files.
    pub tree: Tree,
    upstream: Option<Upstream>,
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
        Ok(Judgement { project, tree, upstream })
    }

    /// Whether exactly these files were proved before against the same published state. Reads none of them.
    pub fn is_known(&self) -> bool {
        self.project.cache.get(Kind::Verdict, &self.tree.key(&Upstream::key(self.upstream.as_ref()))).is_some()
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

    /// Proves what was not proved before, and remembers the verdict; with `full` whatever was proved before.
    ///
    /// # Errors
    /// A rule is broken (status 1), or the baseline is not what the sources make (status 3).
    pub async fn verify(&self, sources: &Sources, full: bool, sink: Sink<'_>) -> Result<Verdict> {
        let base = self.base()?;
        let key = prove::verdict_key(&self.tree.config, sources, base.as_ref());
        if !full && self.project.cache.get(Kind::Verdict, &key).is_some() {
            self.remember(sources, base.as_ref());
            return Ok(Verdict::Known);
        }
        let request = Request {
            config: &self.tree.config,
            sources,
            base: base.as_ref(),
            baseline_path: &self.tree.config.paths.baseline,
            goal: Goal::Compare,
            cache: &self.project.cache,
            reuse: !full,
            sink,
        };
        let proof = prove::prove(&request).await?;
        self.remember(sources, base.as_ref());
        Ok(Verdict::Proved(proof.notes))
    }

    /// Keeps the verdict that these files are proved.
    pub fn remember(&self, sources: &Sources, base: Option<&Base>) {
        let cache = &self.project.cache;
        cache.put(Kind::Verdict, &prove::verdict_key(&self.tree.config, sources, base), "proved");
        cache.put(Kind::Verdict, &self.tree.key(&Upstream::key(self.upstream.as_ref())), "proved");
    }
}
