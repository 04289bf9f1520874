//! `dbbuild plan --to`: a downgrade as it would run, with what it keeps and loses, found by running it in a transaction
//! that is rolled back.

use super::super::downgrade::to_json;
use crate::cli::{Context, Done};
use crate::engine::downgrade::{self, Destination, Rehearsed};
use crate::engine::fleet::target_option;
use crate::engine::history::Author;
use crate::engine::project::Project;
use crate::engine::sizes;
use crate::engine::target::Target;
use crate::engine::upgrade::{Work, plan_for, texts_for};
use crate::error::{Error, Result};
use crate::model::attic::HeldLock;
use crate::model::attic::given::OnConflict;
use crate::model::guard::{self, Proof};
use crate::model::plan::{Plan, short};
use crate::model::preview::{self, KeptView, LockView, Preview, lock_name};
use crate::model::review;
use crate::model::sources::Sources;
use std::collections::{BTreeMap, BTreeSet};

/// Plans a downgrade.
///
/// # Errors
/// There is no such version or commit, a migration has no down part, one fails, or the guard would refuse.
pub async fn run(context: &Context, project: &Project, here: &Sources, target: &Target, to: &str) -> Result<Done> {
    let (session, found) = target.look().await?;
    let Some(session) = session else {
        return Err(Error::failed(format!("there is no {} yet", target.describe())).help("nothing to go back from."));
    };
    let destination = Destination::find(project, here, &session, &found.history, to).await?;
    let work = Work {
        project,
        sources: &destination.sources,
        job: downgrade::job(&destination, None),
        author: &Author::default,
        check_first: false,
        on_conflict: OnConflict::Report,
        sink: &|_| {},
        begin: &|_| {},
    };
    let plan = plan_for(&work, target, &found, &texts_for(&work, &found, &session).await?)?;
    let mask = |error: Error| target.placeholders.mask_error(error);
    review::plan(&plan).map_err(mask)?;
    let rehearsed = downgrade::rehearse(&work, target, &plan).await.map_err(mask)?;
    let losses = rehearsed.losses();
    let fingerprint = short(&plan.downgrade_fingerprint(destination.goal(), &losses));
    let tables = rehearsed.locks().map(|lock| lock.relation.clone()).collect::<BTreeSet<_>>();
    let sizes = sizes::read(&session, &tables).await?;
    let mut preview = preview::preview(&plan, &target.describe(), &sizes, &|_| None).map_err(mask)?;
    preview.fingerprint.clone_from(&fingerprint);
    preview.notes.extend(destination.notes.iter().cloned());
    show_rehearsal(&mut preview, &rehearsed, &sizes);
    for step in &mut preview.steps {
        step.locks.iter_mut().for_each(|lock| lock.table = target.placeholders.mask(&lock.table));
    }
    show(context, &destination, &plan, &preview, &losses);
    // The plan speaks for itself: whoever gives its fingerprint gets this verdict.
    let proof = Proof { given: Some(fingerprint.clone()), fingerprint, losses: losses.clone() };
    let cleared = guard::clear_downgrade(plan, &found.facts, &target.selected, &proof);
    let mut json = serde_json::json!({
        "plan": preview,
        "to": to_json(&destination),
        "lacking": destination.lacking,
        "losses": losses,
        "refusal": cleared.as_ref().err().map(ToString::to_string),
    });
    json["rehearsed"] = serde_json::json!(rehearsed.found.untried.is_empty());
    context.output.json(&json);
    cleared.map(|_| Done::Well)
}

/// Puts what was found in the place of what the texts let expect.
fn show_rehearsal(preview: &mut Preview, rehearsed: &Rehearsed, sizes: &BTreeMap<String, preview::Size>) {
    for step in preview.steps.iter_mut().filter(|step| step.kind == "take-back") {
        let own = rehearsed.found.kept.iter().find(|kept| step.path.as_deref() == Some(&kept.label));
        let Some(kept) = own else { continue };
        let view = |lock: &HeldLock| {
            let size = sizes.get(&lock.relation).copied();
            Some(LockView { table: lock.relation.clone(), lock: lock_name(&lock.mode)?, size })
        };
        let mut locks: Vec<LockView> = kept.locks.iter().filter_map(view).collect();
        // A lock that an earlier step holds in the rehearsal this step takes anew in earnest.
        for expected in std::mem::take(&mut step.locks) {
            let named = |relation: &str| {
                relation == expected.table || relation.rsplit_once('.').is_some_and(|(_, name)| name == expected.table)
            };
            let held = rehearsed.found.locks.iter().find(|held| named(&held.relation));
            if let Some(held) = held.filter(|held| !locks.iter().any(|lock| lock.table == held.relation)) {
                let size = sizes.get(&held.relation).copied();
                locks.push(LockView { table: held.relation.clone(), size, ..expected });
            }
        }
        step.locks = locks;
        step.kept = kept.entries.iter().filter(|entry| entry.is_told()).map(KeptView::of).collect();
    }
}

fn show(context: &Context, destination: &Destination, plan: &Plan, preview: &Preview, losses: &[String]) {
    let (out, name) = (&context.output, &destination.name);
    out.answer(&format!(
        "plan {} for {} ({}), back to {name}",
        preview.fingerprint, preview.database, preview.environment
    ));
    preview.notes.iter().for_each(|note| out.note(note));
    if plan.is_empty() {
        out.answer(&format!("nothing to do: nothing is applied beyond {name}"));
        return;
    }
    preview.steps.iter().enumerate().for_each(|(n, step)| super::show_step(out, n, step));
    out.answer("found by running the down parts in a transaction that was rolled back; nothing was changed");
    losses.iter().for_each(|loss| out.answer(&format!("loses {loss}")));
    if losses.is_empty() {
        let env = &preview.environment;
        let target: String = context.globals.target.iter().map(|name| format!(" {}", target_option(name))).collect();
        out.answer(&format!(
            "loses nothing; `{} downgrade --env {env}{target} --to {name} --plan {}` runs it",
            context.program(),
            preview.fingerprint
        ));
    }
}
