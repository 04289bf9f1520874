//! Downgrades, judged by the proof that they bring.

use super::*;

/// A sentence and whether it forbids a downgrade that comes with a proof.
type DowngradeProhibition = (&'static str, fn(&Case, &Proof) -> bool);

fn is_guarded(case: &Case) -> bool {
    case.mark_is_protected() || !case.selection_is_free()
}

const DOWNGRADE_PROHIBITIONS: [DowngradeProhibition; 6] = [
    ("a mark that names another environment than the selected one refuses everything", |case, _| {
        case.mark.is_some_and(|mark| mark.environment != SELECTED)
    }),
    ("migrations are taken back only in a database that carries its own mark", |case, _| !case.mark_is_valid()),
    ("an environment that the configuration does not know is not downgraded", |case, _| case.known.is_none()),
    ("a protected database wants the fingerprint of a plan", |case, proof| is_guarded(case) && proof.given.is_none()),
    ("a protected database runs only a plan that loses nothing", |case, proof| {
        is_guarded(case) && !proof.losses.is_empty()
    }),
    ("a fingerprint that is given must be that of the plan, wherever that runs", |_, proof| {
        proof.given.as_ref().is_some_and(|given| *given != proof.fingerprint)
    }),
];

#[test]
fn a_downgrade_is_judged_by_its_proof() {
    let given = [None, Some("1a2b3c4d5e6f"), Some("000000000000"), Some("1a2b")];
    let (mut allowed, mut judged, mut decisive) = (0, 0, [0; DOWNGRADE_PROHIBITIONS.len()]);
    for case in Case::all() {
        for given in given {
            for losses in [Vec::new(), vec!["2_b: 3 rows of public.a, deleted".to_owned()]] {
                let fingerprint = "1a2b3c4d5e6f".to_owned();
                let proof = Proof { given: given.map(str::to_owned), fingerprint, losses };
                let forbids = DOWNGRADE_PROHIBITIONS.map(|(_, forbids)| forbids(&case, &proof));
                let plan = plan_of(Purpose::Downgrade, vec![file_step(FileKind::Repeatable)]);
                let verdict = clear_downgrade(plan, &case.facts(), &case.selected(), &proof);
                let context = (case, &proof);
                assert_eq!(
                    verdict.is_ok(),
                    forbids.iter().all(|forbids| !forbids),
                    "{context:?}: {verdict:?} {forbids:?}"
                );
                if let Err(error) = &verdict {
                    assert_refusal_helps(error, &context);
                }
                if forbids.iter().filter(|forbids| **forbids).count() == 1 {
                    decisive.iter_mut().zip(forbids).for_each(|(count, forbids)| *count += usize::from(forbids));
                }
                // Before the plan is known, only what no plan could mend is refused.
                let early = judge_downgrade(&case.facts(), &case.selected(), proof.given.as_deref());
                assert!(early.is_ok() || verdict.is_err(), "{context:?}: {early:?}");
                judged += 1;
                allowed += usize::from(verdict.is_ok());
            }
        }
    }
    assert_eq!(judged, 340 * 4 * 2);
    // By hand: 2 marks of its own, empty or not, with history or not. Free (1 mark, 2 selections): no fingerprint or the
    // right one, whatever it loses. Protected (1 mark and 2 selections, 1 mark and 4): the right one, of a plan without loss.
    assert_eq!(allowed, 4 * (2 * 2 * 2 + 2 + 4));
    assert!(decisive.iter().enumerate().all(|(n, count)| *count > 0 || n == 0), "a prohibition is idle: {decisive:?}");
}

#[test]
fn the_runner_is_told_where_nothing_may_be_lost() {
    let proof = Proof { given: Some("a".to_owned()), fingerprint: "a".to_owned(), losses: Vec::new() };
    let mut told = [0, 0];
    for case in Case::all() {
        let plan = plan_of(Purpose::Downgrade, vec![Step::TakeBack(Box::new(a_take_back()))]);
        let Ok(cleared) = clear_downgrade(plan, &case.facts(), &case.selected(), &proof) else { continue };
        let [Step::TakeBack(back)] = cleared.plan().steps.as_slice() else { panic!("another plan") };
        assert_eq!(back.lossless, is_guarded(&case), "{case:?}");
        told[usize::from(back.lossless)] += 1;
    }
    assert_eq!(told, [4 * 2, 4 * (2 + 4)]);
}

#[test]
fn no_clearance_without_a_proof_reaches_a_protected_database() {
    for case in Case::all() {
        let plan = plan_of(Purpose::Downgrade, vec![file_step(FileKind::Repeatable)]);
        let verdict = clear(plan, &case.facts(), &case.selected());
        assert!(verdict.is_err() || !is_guarded(&case), "{case:?}");
        // Nothing to do is no downgrade.
        clear(plan_of(Purpose::Downgrade, Vec::new()), &case.facts(), &case.selected()).unwrap();
    }
}
