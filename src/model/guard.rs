//! The guard: may this action run on this database?
//!
//! The environment that counts is the one marked *inside* the database, bound to that very database. A flag, a URL or a
//! restored dump cannot change it. The verdict is a value: [`Cleared`] owns the plan and the target's identity, only
//! [`clear`] makes one for a user's database, and the runner runs nothing without it.
//!
//! The guard stops accidents, not intent: whoever may write to the database may also forge its mark.

use crate::error::{Error, Result};
use crate::model::attic::given::OnConflict;
use crate::model::plan::{Plan, Step};

/// What ties a mark to one database: a dump, a template copy or an upgrade changes at least one of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binding {
    /// `pg_control_system().system_identifier`.
    pub system_identifier: String,
    /// The database's OID in `pg_database`.
    pub database_oid: u32,
    /// The random id that dbbuild keeps beside the data of servers that it runs; none on other servers.
    pub server_id: Option<String>,
}

/// The row of `dbbuild.environment`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// Name of the environment.
    pub environment: String,
    /// Whether it was marked as protected.
    pub protected: bool,
    /// The database that it was written in.
    pub binding: Binding,
}

/// What the guard needs to know of a database; read by the engine, judged here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetFacts {
    /// How messages name it, without a password: "`shop` on db1:5432".
    pub description: String,
    /// The database's name.
    pub database: String,
    /// What it is now.
    pub binding: Binding,
    /// What its mark says, if there is one.
    pub mark: Option<Mark>,
    /// Nothing in it beyond what `template1` and extensions bring.
    pub empty: bool,
    /// It has a version table with rows.
    pub has_history: bool,
}

/// The environment that the command line and the configuration select.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selected {
    /// Its name.
    pub name: String,
    /// What the configuration says of it; none for an environment that the configuration does not know.
    pub known: Option<Known>,
}

/// An environment of the configuration, as far as the guard is concerned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// `protected = true`.
    pub protected: bool,
    /// The configuration names at least one set of test data.
    pub testdata: bool,
}

impl Selected {
    /// Protected by configuration, or unknown to it: both are treated as production.
    pub fn is_protected(&self) -> bool {
        self.known.as_ref().is_none_or(|known| known.protected)
    }
}

/// What somebody wants to do to a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// Run migrations, repeatable files and init data.
    Migrate,
    /// Load a baseline into a new database.
    Bootstrap,
    /// Load test data as part of a build.
    TestData,
    /// Load a set of test data on request.
    Seed,
    /// Drop the database and build it again.
    Reset,
    /// Drop the database.
    Drop,
    /// Run kept down parts, so that the database comes to another tree.
    TakeBack,
    /// Run kept down parts on request, also on a deployed database.
    Downgrade,
}

impl Action {
    /// All of them, for tables and tests.
    pub const ALL: [Action; 8] = [
        Action::Migrate,
        Action::Bootstrap,
        Action::TestData,
        Action::Seed,
        Action::Reset,
        Action::Drop,
        Action::TakeBack,
        Action::Downgrade,
    ];

    fn verb(self) -> &'static str {
        match self {
            Action::Migrate => "migrate",
            Action::Bootstrap => "bootstrap",
            Action::TestData | Action::Seed => "load test data into",
            Action::Reset => "reset",
            Action::Drop => "drop",
            Action::TakeBack => "take migrations back from",
            Action::Downgrade => "downgrade",
        }
    }

    fn destroys(self) -> bool {
        matches!(self, Action::Reset | Action::Drop | Action::TakeBack | Action::Downgrade)
    }
}

/// What a downgrade brings for its defence: the fingerprint that somebody gives, and the plan made now, under the lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proof {
    /// `--plan`.
    pub given: Option<String>,
    /// That of the plan, as it is printed.
    pub fingerprint: String,
    /// What the plan loses, in the older schema or out of the attic, in clauses.
    pub losses: Vec<String>,
}

impl Proof {
    /// A fingerprint that is given must be the plan's, wherever that runs; a protected database wants one, of a plan that
    /// loses nothing.
    fn judge(&self, protected: bool, refuse: impl Fn(String) -> Error) -> Result<()> {
        match &self.given {
            Some(given) if *given != self.fingerprint => {
                Err(refuse(format!("the plan is {} now, not {}", self.fingerprint, given.escape_debug()))
                    .help("`dbbuild plan --to TARGET` shows it as it is now. Nothing was run."))
            }
            None if protected => Err(no_plan(refuse)),
            _ if protected && !self.losses.is_empty() => Err(self
                .losses
                .iter()
                .fold(refuse("its plan loses something".to_owned()), |error, loss| error.cause(loss))
                .help("a downgrade of a protected database may lose nothing. Nothing was run.")),
            _ => Ok(()),
        }
    }
}

fn no_plan(refuse: impl Fn(String) -> Error) -> Error {
    refuse("it is protected, and no plan was given".to_owned())
        .help("`dbbuild plan --to TARGET` prints a fingerprint: give it by `--plan FINGERPRINT`. Nothing was run.")
}

/// How the mark stands to the database that holds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing<'a> {
    /// Nothing marked.
    Unmarked,
    /// Written in this very database.
    Valid(&'a Mark),
    /// Came here with a dump, a template or an upgrade; the words say which part differs.
    Foreign(&'a Mark, &'static str),
}

impl TargetFacts {
    /// Whether the mark was written in this very database.
    pub fn standing(&self) -> Standing<'_> {
        let Some(mark) = &self.mark else { return Standing::Unmarked };
        if mark.binding.system_identifier != self.binding.system_identifier {
            Standing::Foreign(mark, "it was written on another server")
        } else if mark.binding.database_oid != self.binding.database_oid {
            Standing::Foreign(mark, "it was written in another database of this server")
        } else if mark.binding.server_id != self.binding.server_id {
            Standing::Foreign(mark, "it was written on another copy of this server")
        } else {
            Standing::Valid(mark)
        }
    }
}

/// Judges one action. `Ok` means that nothing speaks against it. A downgrade of a protected database is refused here: only
/// [`clear_downgrade`] hears what speaks for it.
///
/// # Errors
/// A refusal (exit status 1) that names the database, what it is marked as, and the way out.
pub fn judge(action: Action, facts: &TargetFacts, selected: &Selected) -> Result<()> {
    judge_with(action, facts, selected, None)
}

/// Judges a downgrade before its plan is known: only `given` may still fail under the lock.
///
/// # Errors
/// As [`judge`].
pub fn judge_downgrade(facts: &TargetFacts, selected: &Selected, given: Option<&str>) -> Result<()> {
    let proof =
        given.map(|given| Proof { given: Some(given.to_owned()), fingerprint: given.to_owned(), losses: Vec::new() });
    judge_with(Action::Downgrade, facts, selected, proof.as_ref())
}

fn judge_with(action: Action, facts: &TargetFacts, selected: &Selected, proof: Option<&Proof>) -> Result<()> {
    let refuse = |why: String| Error::failed(format!("refused to {} {}: {why}", action.verb(), facts.description));
    match facts.standing() {
        Standing::Valid(mark) => {
            if mark.environment != selected.name {
                return Err(refuse(format!(
                    "it is marked {}, but the selected environment is {}",
                    mark.environment, selected.name
                ))
                .help(format!("select it with `--env {}`, or check the address.", mark.environment)));
            }
            if let (Action::Downgrade, Some(proof), Some(_)) = (action, proof, &selected.known) {
                return proof.judge(mark.protected || selected.is_protected(), refuse);
            }
            judge_marked(action, facts, selected, mark.protected, refuse)
        }
        Standing::Foreign(mark, why) => {
            // Nothing is lost in an empty copy, and the run marks it anew; but no run lifts a protection.
            if facts.empty && !mark.protected && !selected.is_protected() && !action.destroys() {
                return judge_marked(action, facts, selected, false, refuse);
            }
            Err(refuse(format!("its mark ({}) does not belong to it: {why}", mark.environment)).help(format!(
                "a restored, upgraded or template copy must be marked again: `dbbuild env mark {0} --confirm {0}`.",
                selected.name
            )))
        }
        // Nothing in an empty database was applied, whatever its version table says.
        Standing::Unmarked if facts.empty && matches!(action, Action::TakeBack | Action::Downgrade) => {
            Err(refuse("it carries no mark".to_owned()).help("`dbbuild reset` builds it anew; nothing was changed."))
        }
        Standing::Unmarked if facts.empty => judge_marked(action, facts, selected, false, refuse),
        Standing::Unmarked => match action {
            Action::Migrate if facts.has_history && selected.is_protected() && selected.known.is_some() => Ok(()),
            Action::Bootstrap => Err(not_empty(refuse)),
            _ => Err(refuse("it is not empty and carries no mark, so it counts as production".to_owned()).help(
                "if it is the right database, say what it is: `dbbuild env mark NAME --confirm NAME`; nothing was changed.",
            )),
        },
    }
}

fn not_empty(refuse: impl Fn(String) -> Error) -> Error {
    refuse("it is not empty".to_owned())
        .help("a baseline is for a new database; `dbbuild apply` upgrades an existing one. Nothing was changed.")
}

/// The rules once the mark, if any, agrees with the selection.
fn judge_marked(
    action: Action,
    facts: &TargetFacts,
    selected: &Selected,
    marked_protected: bool,
    refuse: impl Fn(String) -> Error,
) -> Result<()> {
    let protected = marked_protected || selected.is_protected();
    match action {
        Action::Migrate => Ok(()),
        Action::Bootstrap if facts.empty && !facts.has_history => Ok(()),
        Action::Bootstrap => Err(not_empty(refuse)),
        Action::Downgrade if protected && selected.known.is_some() => Err(no_plan(refuse)),
        Action::TestData | Action::Seed | Action::Reset | Action::Drop | Action::TakeBack | Action::Downgrade
            if protected =>
        {
            let why = match &selected.known {
                None => format!("the configuration does not know the environment {}", selected.name),
                Some(_) if marked_protected => format!("it is marked {}, which is protected", selected.name),
                Some(_) => format!("the environment {} is protected", selected.name),
            };
            let help = if action.destroys() {
                "no flag lifts this; `dbbuild env mark NAME --unprotect NAME` does, where the configuration agrees."
            } else {
                "test data loads only into databases marked with an environment that allows it."
            };
            Err(refuse(why).help(help))
        }
        Action::TestData | Action::Seed => match &selected.known {
            Some(known) if known.testdata => Ok(()),
            _ => Err(refuse(format!("the environment {} has no test data", selected.name))
                .help(format!("name the sets in dbbuild.toml: `[env.{}] testdata = [\"default\"]`.", selected.name))),
        },
        Action::Reset | Action::Drop | Action::TakeBack | Action::Downgrade => Ok(()),
    }
}

/// Judges the wish to drop something from the attic: of a protected environment only with its name said again.
///
/// # Errors
/// A refusal; nothing was dropped.
pub fn judge_drop_kept(facts: &TargetFacts, selected: &Selected, confirm: Option<&str>) -> Result<()> {
    judge(Action::Migrate, facts, selected)?;
    if is_guarded(facts, selected) && confirm != Some(selected.name.as_str()) {
        return Err(Error::failed(format!(
            "refused to drop from the attic of {}: the environment {} is protected",
            facts.description, selected.name
        ))
        .help(format!(
            "`dbbuild attic export` first; if you mean it: `--confirm {}`. Nothing was dropped.",
            selected.name
        )));
    }
    Ok(())
}

/// Judges the wish to give back later what the attic has: what decides conflicts of a protected environment, and so
/// overwrites or drops something, wants its name said again.
///
/// # Errors
/// A refusal; nothing was changed.
pub fn judge_restore_kept(
    facts: &TargetFacts,
    selected: &Selected,
    on_conflict: OnConflict,
    confirm: Option<&str>,
) -> Result<()> {
    judge(Action::Migrate, facts, selected)?;
    if on_conflict != OnConflict::Report && is_guarded(facts, selected) && confirm != Some(selected.name.as_str()) {
        return Err(Error::failed(format!(
            "refused to decide conflicts in the attic of {}: the environment {} is protected",
            facts.description, selected.name
        ))
        .help(format!(
            "`dbbuild attic show` and `dbbuild attic restore` without a decision tell what they are; if you mean it: \
             `--confirm {}`. Nothing was changed.",
            selected.name
        )));
    }
    Ok(())
}

/// Whether the selection or the mark says that it is protected.
fn is_guarded(facts: &TargetFacts, selected: &Selected) -> bool {
    selected.is_protected() || matches!(facts.standing(), Standing::Valid(mark) if mark.protected)
}

/// Judges the wish to copy a database for another branch and to mark the copy: only of an unprotected database that is
/// what it says.
///
/// # Errors
/// A refusal; nothing was copied.
pub fn judge_copy(facts: &TargetFacts, selected: &Selected) -> Result<()> {
    let refuse = |why: &str| Err(Error::failed(format!("refused to copy {}: {why}", facts.description)));
    match facts.standing() {
        Standing::Valid(mark) if mark.protected || selected.is_protected() => refuse("it is protected"),
        Standing::Valid(mark) if mark.environment != selected.name => refuse("it is marked as another environment"),
        Standing::Valid(_) => Ok(()),
        Standing::Foreign(..) | Standing::Unmarked => refuse("it carries no mark of its own"),
    }
}

/// Judges the wish to mark a database.
///
/// # Errors
/// A refusal that says which confirmation is missing.
pub fn judge_mark(facts: &TargetFacts, to: &Selected, confirm: Option<&str>, unprotect: Option<&str>) -> Result<()> {
    let refuse = |why: String| Error::failed(format!("refused to mark {} as {}: {why}", facts.description, to.name));
    let Some(known) = &to.known else {
        return Err(refuse("the configuration does not know that environment".to_owned())
            .help(format!("add `[env.{}]` to dbbuild.toml.", to.name)));
    };
    let protected_now = match facts.standing() {
        Standing::Valid(mark) => mark.protected.then(|| mark.environment.clone()),
        Standing::Foreign(mark, _) => mark.protected.then(|| mark.environment.clone()),
        Standing::Unmarked => None,
    };
    let lifted = protected_now.filter(|_| !known.protected);
    if let Some(old) = &lifted
        && unprotect != Some(old.as_str())
    {
        return Err(refuse(format!("it is marked {old}, which is protected"))
            .help(format!("if you mean it: `dbbuild env mark {} --unprotect {old}`.", to.name)));
    }
    if !facts.empty && confirm != Some(to.name.as_str()) && lifted.is_none() {
        return Err(refuse("it is not empty, and the name was not confirmed".to_owned())
            .help(format!("if you mean it: `dbbuild env mark {0} --confirm {0}`.", to.name)));
    }
    Ok(())
}

/// A plan that the guard let through, with the identity of the database that it was judged for.
#[derive(Debug)]
pub struct Cleared {
    plan: Plan,
    binding: Binding,
}

impl Cleared {
    /// The plan to run.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The database that was judged; the runner reads it again under the lock.
    pub fn binding(&self) -> &Binding {
        &self.binding
    }
}

/// Judges every action that the plan implies, and the mark that it writes.
///
/// # Errors
/// The first refusal; nothing was run.
pub fn clear(plan: Plan, facts: &TargetFacts, selected: &Selected) -> Result<Cleared> {
    clear_with(plan, facts, selected, None)
}

/// The same for the plan of a downgrade, with what was found by rehearsing that very plan.
///
/// # Errors
/// As [`clear`]; or the fingerprint is another, or a protected database would lose something.
pub fn clear_downgrade(mut plan: Plan, facts: &TargetFacts, selected: &Selected, proof: &Proof) -> Result<Cleared> {
    let protected = is_guarded(facts, selected);
    for step in &mut plan.steps {
        if let Step::TakeBack(back) = step {
            // What changes after the rehearsal is seen by the runner alone.
            back.lossless = protected;
        }
    }
    clear_with(plan, facts, selected, Some(proof))
}

fn clear_with(plan: Plan, facts: &TargetFacts, selected: &Selected, proof: Option<&Proof>) -> Result<Cleared> {
    for action in plan.actions() {
        judge_with(action, facts, selected, proof)?;
    }
    for step in &plan.steps {
        // Nobody confirms the mark that a run writes, so it may do no more than `env mark` without a confirmation.
        if let Step::Mark { environment, protected } = step {
            let known = Some(Known { protected: *protected, testdata: false });
            judge_mark(facts, &Selected { name: environment.clone(), known }, None, None)?;
        }
    }
    Ok(Cleared { plan, binding: facts.binding.clone() })
}

#[cfg(test)]
mod tests;
