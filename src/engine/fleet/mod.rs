//! The databases of an environment that has many: found, chosen, and worked through so many at once.
//!
//! What is done to one of them is another module's: each has its own lock, mark, guard and record.

mod common;
mod list;
mod pool;

pub use common::{Common, Note};
pub use pool::{Brake, Fate, Happened, Pace, run};

use crate::engine::project::Project;
use crate::engine::target::{Start, Target};
use crate::error::{Error, Result};
use crate::model::config::Targets;
use crate::model::directive::nearest;
use crate::model::glob;
use std::collections::BTreeSet;
use std::sync::Arc;

/// One of many databases.
#[derive(Debug, Clone)]
pub struct Member {
    /// What it is called: the label that a query gave, or the database's name, with its server where that is its own.
    pub name: String,
    /// The database.
    pub target: Target,
    /// It runs alone, before the others.
    pub canary: bool,
}

/// The databases of an environment, in the order in which they are worked through.
pub struct Fleet {
    /// The environment.
    pub environment: String,
    /// The databases, canaries first.
    pub members: Vec<Member>,
    /// The database at the environment's address.
    address: Target,
    /// What they share.
    common: Arc<Common>,
}

impl Fleet {
    /// Finds the databases of an environment; none where it has but one. `note` hears what is worth saying.
    ///
    /// # Errors
    /// The server cannot be asked, a pattern or a canary fits no database, or two databases have one name.
    pub async fn find(project: &Project, env: Option<&str>, start: Start, note: Note) -> Result<Option<Fleet>> {
        let Some(mut fleet) = Fleet::find_any(project, env, start, note).await? else { return Ok(None) };
        let configured = project.config.environment(&fleet.environment)?;
        if let (Some(Targets::Pattern(patterns)), []) = (&configured.targets, fleet.members.as_slice()) {
            return Err(list::fits_none(&fleet.address, patterns));
        }
        list::choose_canaries(&mut fleet.members, &configured.canaries)?;
        fleet.members.sort_by_key(|member| !member.canary);
        Ok(Some(fleet))
    }

    /// The same for who makes a further one: there may be none yet, and no canaries are chosen.
    ///
    /// # Errors
    /// As [`Fleet::find`], but for what fits no database.
    pub async fn find_any(project: &Project, env: Option<&str>, start: Start, note: Note) -> Result<Option<Fleet>> {
        let environment = env.unwrap_or(&project.config.default_env).to_owned();
        let Some(targets) = &project.config.environment(&environment)?.targets else { return Ok(None) };
        let mut address = Target::find_address(project, env, None, start).await?;
        let common = Arc::new(Common::new(note.clone()));
        address.common = Some(common.clone());
        let members = list::members(project, &address, targets, &note).await?;
        Ok(Some(Fleet { environment, members, address, common }))
    }

    /// The database that is asked which databases an environment has; none where the configuration says so itself.
    ///
    /// # Errors
    /// As [`Target::find_address`].
    pub async fn asked(project: &Project, env: Option<&str>, start: Start) -> Result<Option<Target>> {
        let targets = &project.config.environment(env.unwrap_or(&project.config.default_env))?.targets;
        let database = match targets {
            None | Some(Targets::List(_)) => return Ok(None),
            Some(Targets::Pattern(_)) => None,
            Some(Targets::Query { database, .. }) => database.as_deref(),
        };
        let address = Target::find_address(project, env, None, start).await?;
        Ok(Some(database.map_or_else(|| address.clone(), |name| address.beside(name))))
    }

    /// Leaves the databases that one of these names or patterns means.
    ///
    /// # Errors
    /// One of them means none (exit status 2).
    pub fn choose(&mut self, wanted: &[String]) -> Result<()> {
        if wanted.is_empty() {
            return Ok(());
        }
        let mut chosen = BTreeSet::new();
        for one in wanted {
            let meant = self.meant_by(one);
            if meant.is_empty() {
                return Err(self.unknown(one));
            }
            chosen.extend(meant);
        }
        let mut n = 0..;
        self.members.retain(|_| n.next().is_some_and(|n| chosen.contains(&n)));
        Ok(())
    }

    /// The one database that a name means.
    ///
    /// # Errors
    /// None is named, or not exactly one is meant (exit status 2).
    pub fn one(mut self, wanted: &[String]) -> Result<Target> {
        if wanted.is_empty() {
            let known = match self.members.as_slice() {
                [] => "it has none yet".to_owned(),
                members => format!("they are: {}", names(members.iter().map(|member| member.name.as_str()))),
            };
            return Err(Error::usage(format!("the environment {} has many databases", self.environment))
                .help(format!("this command works on one: name it with `--target NAME`; {known}.")));
        }
        self.choose(wanted)?;
        match self.members.as_slice() {
            [member] => Ok(alone(member.target.clone())),
            several => {
                let names = names(several.iter().map(|member| member.name.as_str()));
                Err(Error::usage("this command works on one database").help(format!("`--target` means {names}.")))
            }
        }
    }

    /// The database that a name means, also one that is still to be made.
    ///
    /// # Errors
    /// The environment would not have it (exit status 2).
    pub fn new_one(self, project: &Project, wanted: &[String]) -> Result<Target> {
        let [name] = wanted else { return self.one(wanted) };
        let may_be = match &project.config.environment(&self.environment)?.targets {
            Some(Targets::Pattern(patterns)) => patterns.iter().any(|pattern| glob::matches(pattern, name)),
            Some(Targets::Query { .. }) => true,
            _ => false,
        };
        if self.members.iter().any(|member| member.is_meant_by(name)) || !may_be || name.contains(['*', '?']) {
            return self.one(wanted);
        }
        Ok(alone(self.address.beside(name)))
    }

    /// The numbers of those that a name or pattern means: the one that is called so, whatever else it may fit.
    fn meant_by(&self, wanted: &str) -> Vec<usize> {
        match self.members.iter().position(|member| member.name == wanted) {
            Some(called) => vec![called],
            None => (0..).zip(&self.members).filter(|(_, member)| member.is_meant_by(wanted)).map(|(n, _)| n).collect(),
        }
    }

    fn unknown(&self, wanted: &str) -> Error {
        let known: BTreeSet<&str> = self.members.iter().map(|member| member.name.as_str()).collect();
        let error =
            Error::usage(format!("the environment {} has no database `{}`", self.environment, wanted.escape_debug()));
        let list = names(known.iter().copied());
        match nearest(wanted, known.iter().copied()) {
            Some(near) => error.help(format!("did you mean `{near}`? There are: {list}.")),
            None => error.help(format!("there are: {list}.")),
        }
    }
}

/// One that is worked on by itself shares nothing, and is asked for all that many are not.
fn alone(mut target: Target) -> Target {
    target.common = None;
    target
}

impl Member {
    /// The options that choose it, as a shell takes them: `--env production --target 'my shop'`.
    pub fn options(&self) -> String {
        format!("--env {} {}", self.target.selected.name, target_option(&self.name))
    }

    /// Whether a name or pattern of the command line means it.
    fn is_meant_by(&self, wanted: &str) -> bool {
        let database = self.target.settings.database();
        [self.name.as_str(), database].iter().any(|name| *name == wanted || glob::matches(wanted, name))
    }
}

/// `--target 'my shop'`, as a shell takes it.
pub fn target_option(name: &str) -> String {
    let between = if name.starts_with('-') { '=' } else { ' ' };
    format!("--target{between}{}", shell_words::quote(name))
}

/// "`a`, `b`, `c` and 997 more".
pub fn names<'a>(names: impl ExactSizeIterator<Item = &'a str>) -> String {
    const SHOWN: usize = 8;
    let total = names.len();
    let shown = if total <= SHOWN + 1 { total } else { SHOWN };
    let list: Vec<String> = names.take(shown).map(|name| format!("`{name}`")).collect();
    match total - shown {
        0 if total == 0 => "none".to_owned(),
        0 => list.join(", "),
        more => format!("{} and {more} more", list.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::{names, target_option};

    #[test]
    fn an_option_is_typed_as_it_stands() {
        for (name, option) in [
            ("tenant_a", "--target tenant_a"),
            ("My Shop", "--target 'My Shop'"),
            ("it's $HOME", r"--target 'it'\''s $HOME'"),
            ("日本*", "--target '日本*'"),
            ("-x y", "--target='-x y'"),
        ] {
            assert_eq!(target_option(name), option);
        }
    }

    #[test]
    fn long_lists_are_cut() {
        let list: Vec<String> = (1..=12).map(|n| format!("t{n}")).collect();
        let of = |n: usize| names(list[..n].iter().map(String::as_str));
        assert_eq!(of(0), "none");
        assert_eq!(of(2), "`t1`, `t2`");
        assert_eq!(of(9), "`t1`, `t2`, `t3`, `t4`, `t5`, `t6`, `t7`, `t8`, `t9`");
        assert_eq!(of(12), "`t1`, `t2`, `t3`, `t4`, `t5`, `t6`, `t7`, `t8` and 4 more");
    }
}
