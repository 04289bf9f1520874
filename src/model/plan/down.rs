//! The plan of a downgrade: what goes back, and the repeatable files that run after it.

use super::{Applied, FileKind, History, Plan, PlanOptions, Purpose, Reason, Step};
use crate::error::{Error, Result};
use crate::model::checksum::{Checksum, Digest};
use crate::model::draft::lacks_down;
use crate::model::reconcile::{Absent, Goal, Made, Obstacle, Reload, Stuck, TakeBack, Way, made_by};
use crate::model::sources::Sources;

/// What a downgrade is planned from.
#[derive(Debug, Clone, Copy)]
pub struct Downgrade<'a> {
    /// How.
    pub way: &'a Way,
    /// The files that are there then: the commit's, or those of the checkout.
    pub sources: &'a Sources,
    /// Those of the checkout, where something cannot be taken back: they tell what helps.
    pub here: &'a Sources,
    /// Texts, as they ran, of repeatable files that have another one there.
    pub ran: &'a Absent,
    /// The repeatable files are of another time than the schema, so that one may not load.
    pub lenient: bool,
}

/// Lists what a downgrade does.
///
/// # Errors
/// A migration on the way cannot be taken back; all of them are named.
pub fn plan_down(down: &Downgrade<'_>, history: &History, options: &PlanOptions) -> Result<Plan> {
    passable(down.way, down.here, options.protected)?;
    let mut steps = Vec::new();
    if !down.way.remove.is_empty() {
        steps.push(Step::Remove(down.way.remove.clone()));
    }
    steps.extend(down.way.back.iter().map(|back| Step::TakeBack(Box::new(back.clone()))));
    let moved = !steps.is_empty();
    for file in &down.sources.repeatable {
        let reason = match history.files.get(&(FileKind::Repeatable, file.name.clone())) {
            // An interrupted downgrade left it to this one.
            Some(seen) if moved || *seen == Checksum::STALE => Reason::AfterMigrations,
            _ if down.lenient && !moved => continue,
            None => Reason::New,
            Some(seen) if *seen != file.checksum => Reason::Changed,
            Some(_) => continue,
        };
        let old = down.ran.get(&file.name).map(|text| made_by(text)).unwrap_or_default();
        let reload = Reload { file: file.clone(), reason, old, lenient: down.lenient };
        steps.push(Step::Reload(Box::new(reload)));
    }
    Ok(Plan {
        environment: options.environment.clone(),
        steps,
        history: history.fingerprint(),
        notes: Vec::new(),
        install: false,
        purpose: Purpose::Downgrade,
    })
}

fn passable(way: &Way, here: &Sources, protected: bool) -> Result<()> {
    let fault = |stuck: &Stuck| {
        let error = Error::failed(format!("{}_{} cannot be taken back", stuck.row.version, stuck.row.name));
        let help = match stuck.why {
            Obstacle::NoDownPart => without_down_part(&stuck.row, here, protected),
            _ => "mend it, or go back less far".to_owned(),
        };
        error.cause(stuck.why).help(format!("{help}. Nothing was run."))
    };
    Error::all(way.stuck.iter().map(fault)).map_or(Ok(()), Err)
}

/// What helps where the version table keeps no down part: it takes a new one from a file of a local database alone.
fn without_down_part(row: &Applied, here: &Sources, protected: bool) -> String {
    let version = &row.version;
    match here.migration(version) {
        None => format!(
            "no file here has it: write a new migration that undoes it, or go back less far; \
             `git log --all -- '*{version}_{}.sql'` finds what it did",
            row.name
        ),
        Some(file) if !lacks_down(file) && !protected => {
            format!("{} has one by now: `dbbuild` records it, where the up part has the statements that ran", file.path)
        }
        Some(_) if protected => format!(
            "what is applied here gets no other text: write a new migration that undoes it; `dbbuild new --down {version}` drafts its statements"
        ),
        Some(_) => format!(
            "`dbbuild new --down {version}` writes a first draft of its down part to review; `dbbuild` then records it"
        ),
    }
}

impl Plan {
    /// Names the plan of a downgrade: the history that it starts from, where it leads, every text that it runs, and what it
    /// loses. Rows that are kept do not count, or nobody could print it from a database that is used.
    pub fn downgrade_fingerprint(&self, goal: &Goal, losses: &[String]) -> Checksum {
        let mut digest = Digest::new("dbbuild downgrade 1");
        digest.field(self.history.as_bytes()).field(goal.describe().as_bytes());
        for step in &self.steps {
            match step {
                Step::TakeBack(back) => digest.field(back.label().as_bytes()).field(back.down.text.as_bytes()),
                Step::Remove(files) => {
                    for file in files {
                        let objects: Vec<String> = file.objects.iter().map(|made| made.drop_statement()).collect();
                        digest.field(file.name.as_bytes()).field(objects.join(";").as_bytes());
                    }
                    &mut digest
                }
                Step::Reload(reload) => {
                    digest.field(reload.file.name.as_bytes()).field(reload.file.script.text.as_bytes())
                }
                _ => &mut digest,
            };
        }
        losses.iter().for_each(|loss| {
            digest.field(loss.as_bytes());
        });
        digest.finish()
    }
}

impl Plan {
    /// What a downgrade takes back, in order. What goes before it counts among what may stand in the way, since a
    /// rehearsal takes migrations back alone.
    pub fn take_backs(&self) -> Vec<TakeBack> {
        let removed = self.steps.iter().filter_map(|step| match step {
            Step::Remove(files) => Some(files),
            _ => None,
        });
        let removed: Vec<(String, Made)> = removed
            .flatten()
            .flat_map(|file| file.objects.iter().map(|made| (file.name.clone(), made.clone())))
            .collect();
        let backs = self.steps.iter().filter_map(|step| match step {
            Step::TakeBack(back) => {
                let views = back.views.iter().chain(&removed).cloned().collect();
                Some(TakeBack { views, ..back.as_ref().clone() })
            }
            _ => None,
        });
        backs.collect()
    }
}
