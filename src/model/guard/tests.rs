//! The guard against every combination of what it is asked and what it finds.
//!
//! The expectation is a list of prohibitions, each a sentence of the product's description; whatever none of them forbids
//! is allowed. The guard itself is written as a decision tree, so the same slip is unlikely to be in both.

use super::*;
use crate::error::Status;
use crate::model::checksum::Checksum;
use crate::model::plan::{FileKind, History, Purpose, Reason};
use crate::model::script::Script;
use crate::model::sources::ScriptFile;

mod downgrade;

const DESCRIPTION: &str = "`shop` on db1:5432";

/// The environment that every case selects; what the configuration says of it differs.
const SELECTED: &str = "dev";
const OTHER: &str = "stage";

/// Where a mark was written.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Place {
    Here,
    OtherServer,
    OtherDatabase,
    OtherCopy,
}

const PLACES: [Place; 4] = [Place::Here, Place::OtherServer, Place::OtherDatabase, Place::OtherCopy];

/// A mark as a case has it.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Marked {
    place: Place,
    environment: &'static str,
    protected: bool,
}

/// A database and a selection.
#[derive(Debug, Clone, Copy)]
struct Case {
    mark: Option<Marked>,
    known: Option<(Protected, TestData)>,
    empty: bool,
    has_history: bool,
}

type Protected = bool;
type TestData = bool;

const BOTH: [bool; 2] = [false, true];
const KNOWN: [Option<(Protected, TestData)>; 5] =
    [Some((false, true)), Some((false, false)), Some((true, true)), Some((true, false)), None];

/// The database that every case is about.
fn here() -> Binding {
    Binding { system_identifier: "7001".to_owned(), database_oid: 16_384, server_id: Some("a1".to_owned()) }
}

fn at(place: Place) -> Binding {
    match place {
        Place::Here => here(),
        Place::OtherServer => Binding { system_identifier: "7002".to_owned(), ..here() },
        Place::OtherDatabase => Binding { database_oid: 16_385, ..here() },
        Place::OtherCopy => Binding { server_id: Some("b2".to_owned()), ..here() },
    }
}

impl Case {
    /// Every database with every selection: 17 marks, 5 selections, empty or not, with history or not.
    fn all() -> Vec<Case> {
        let mut marks = vec![None];
        for place in PLACES {
            for environment in [SELECTED, OTHER] {
                marks.extend(BOTH.map(|protected| Some(Marked { place, environment, protected })));
            }
        }
        let mut cases = Vec::new();
        for mark in marks {
            for known in KNOWN {
                for empty in BOTH {
                    cases.extend(BOTH.map(|has_history| Case { mark, known, empty, has_history }));
                }
            }
        }
        cases
    }

    fn facts(&self) -> TargetFacts {
        TargetFacts {
            description: DESCRIPTION.to_owned(),
            database: "shop".to_owned(),
            binding: here(),
            mark: self.mark.map(|mark| Mark {
                environment: mark.environment.to_owned(),
                protected: mark.protected,
                binding: at(mark.place),
            }),
            empty: self.empty,
            has_history: self.has_history,
        }
    }

    fn selected(&self) -> Selected {
        let known = self.known.map(|(protected, testdata)| Known { protected, testdata });
        Selected { name: SELECTED.to_owned(), known }
    }

    fn mark_is_valid(&self) -> bool {
        self.mark.is_some_and(|mark| mark.place == Place::Here)
    }

    fn mark_is_foreign(&self) -> bool {
        self.mark.is_some_and(|mark| mark.place != Place::Here)
    }

    fn mark_is_protected(&self) -> bool {
        self.mark.is_some_and(|mark| mark.protected)
    }

    /// The configuration allows writing freely; what it does not know, it does not allow.
    fn selection_is_free(&self) -> bool {
        matches!(self.known, Some((false, _)))
    }
}

fn destroys(action: Action) -> bool {
    matches!(action, Action::Reset | Action::Drop | Action::TakeBack | Action::Downgrade)
}

fn loads_test_data(action: Action) -> bool {
    action == Action::TestData || action == Action::Seed
}

/// A sentence and whether it forbids an action.
type Prohibition = (&'static str, fn(Action, &Case) -> bool);

const PROHIBITIONS: [Prohibition; 9] = [
    ("a mark that names another environment than the selected one refuses everything", |_, case| {
        case.mark_is_valid() && case.mark.is_some_and(|mark| mark.environment != SELECTED)
    }),
    ("a restored, upgraded or template copy must be marked again before anything runs in it", |_, case| {
        case.mark_is_foreign() && !case.empty
    }),
    ("an empty copy is marked by the run itself, but not from or to a protected environment", |_, case| {
        case.mark_is_foreign() && (case.mark_is_protected() || !case.selection_is_free())
    }),
    ("a copy is neither reset nor dropped: its mark says that it belongs elsewhere", |action, case| {
        case.mark_is_foreign() && destroys(action)
    }),
    (
        "a non-empty database without a mark counts as production: it is only ever migrated, where it has a version table \
         and the selected environment is known to be production as well",
        |action, case| {
            let upgrade = action == Action::Migrate && case.has_history && matches!(case.known, Some((true, _)));
            case.mark.is_none() && !case.empty && !upgrade
        },
    ),
    (
        "a protected or unknown environment never gets test data, and is neither seeded, reset nor dropped, whether the \
         mark or the configuration says so",
        |action, case| {
            (loads_test_data(action) || destroys(action)) && (case.mark_is_protected() || !case.selection_is_free())
        },
    ),
    ("migrations are taken back only in a database that carries its own mark", |action, case| {
        matches!(action, Action::TakeBack | Action::Downgrade) && case.mark.is_none()
    }),
    ("test data runs only if the configuration allows it, too", |action, case| {
        loads_test_data(action) && !matches!(case.known, Some((_, true)))
    }),
    ("a baseline is loaded only into an empty database, which has no history either", |action, case| {
        action == Action::Bootstrap && (!case.empty || case.has_history)
    }),
];

/// Everything that a refusal owes to whoever reads it.
fn assert_refusal_helps(error: &Error, context: &dyn std::fmt::Debug) {
    assert_eq!(error.status(), Status::Failed, "{context:?}");
    assert!(error.message().starts_with("refused to "), "{context:?}: {error}");
    assert!(error.message().contains(DESCRIPTION), "{context:?}: {error}");
    assert!(error.helps().iter().any(|help| !help.trim().is_empty()), "{context:?}: {error} has no help");
    let all = format!("{error} {}", error.helps().join(" "));
    assert!(!all.contains("{") && !all.contains("  "), "{context:?}: {all}");
}

#[test]
fn every_combination_gets_the_verdict_of_the_product_description() {
    let mut judged = 0;
    let mut allowed = [0; Action::ALL.len()];
    for (action, count) in Action::ALL.into_iter().zip(&mut allowed) {
        for case in Case::all() {
            let forbidden: Vec<&str> = PROHIBITIONS
                .iter()
                .filter(|(_, forbids)| forbids(action, &case))
                .map(|(sentence, _)| *sentence)
                .collect();
            let verdict = judge(action, &case.facts(), &case.selected());
            assert_eq!(verdict.is_ok(), forbidden.is_empty(), "{action:?} {case:?}: {verdict:?}, but: {forbidden:#?}");
            if let Err(error) = &verdict {
                assert_refusal_helps(error, &(action, case));
            }
            *count += usize::from(verdict.is_ok());
            judged += 1;
        }
    }
    // 8 actions × 17 marks × 5 selections × 2 × 2: whoever shortens the table has to say so here.
    assert_eq!(judged, 2720);
    // Counted by hand from the sentences, so that a prohibition that forbids too much or too little shows as well:
    // unmarked + valid + foreign for each action, in the order of `Action::ALL`.
    assert_eq!(allowed, [12 + 40 + 24, 5 + 10 + 12, 2 + 4 + 12, 2 + 4 + 12, 4 + 8, 4 + 8, 8, 8]);
}

#[test]
fn no_prohibition_is_idle() {
    for (sentence, _) in PROHIBITIONS {
        let decides = |action: Action, case: &Case| {
            PROHIBITIONS.iter().all(|(other, forbids)| forbids(action, case) == (*other == sentence))
        };
        let found = Action::ALL.into_iter().any(|action| Case::all().iter().any(|case| decides(action, case)));
        assert!(found, "nothing is refused for this reason alone: {sentence}");
    }
}

#[test]
fn a_mark_is_valid_only_where_all_three_parts_agree() {
    let ids = [None, Some("a1"), Some("b2")];
    let mut valid = 0;
    for (system, oid, marked, found) in BOTH
        .into_iter()
        .flat_map(|system| BOTH.map(|oid| (system, oid)))
        .flat_map(|(system, oid)| ids.map(|marked| (system, oid, marked)))
        .flat_map(|(system, oid, marked)| ids.map(|found| (system, oid, marked, found)))
    {
        let binding = |system: bool, oid: bool, id: Option<&str>| Binding {
            system_identifier: if system { "7001" } else { "7002" }.to_owned(),
            database_oid: if oid { 5 } else { 6 },
            server_id: id.map(str::to_owned),
        };
        let case = Case { mark: None, known: None, empty: false, has_history: true };
        let mark = Mark { environment: OTHER.to_owned(), protected: true, binding: binding(system, oid, marked) };
        let facts = TargetFacts { binding: binding(true, true, found), mark: Some(mark.clone()), ..case.facts() };
        let expected = match (system, oid, marked == found) {
            (true, true, true) => Standing::Valid(&mark),
            (false, ..) => Standing::Foreign(&mark, "it was written on another server"),
            (true, false, _) => Standing::Foreign(&mark, "it was written in another database of this server"),
            // A mark with an id in a server without one is a copy too, and so is the reverse.
            (true, true, false) => Standing::Foreign(&mark, "it was written on another copy of this server"),
        };
        assert_eq!(facts.standing(), expected);
        valid += usize::from(expected == Standing::Valid(&mark));
    }
    assert_eq!(valid, ids.len());
}

#[test]
fn names_of_environments_are_compared_as_they_are() {
    // "Dev" and "dev" may be two environments; what merely looks alike is no match.
    for name in ["Dev", "dev ", "de", "devel", ""] {
        let case = Case {
            mark: Some(Marked { place: Place::Here, environment: SELECTED, protected: false }),
            known: KNOWN[0],
            empty: false,
            has_history: true,
        };
        let selected = Selected { name: name.to_owned(), ..case.selected() };
        for action in Action::ALL {
            let error = judge(action, &case.facts(), &selected).unwrap_err();
            assert_eq!(error.helps(), ["select it with `--env dev`, or check the address."]);
        }
    }
}

#[test]
fn refusals_say_what_was_found_and_what_to_do() {
    let marked = |place, environment, protected| Some(Marked { place, environment, protected });
    let free = KNOWN[0];
    for (action, mark, known, empty, message, help) in [
        (
            Action::Reset,
            marked(Place::Here, OTHER, true),
            free,
            false,
            "it is marked stage, but the selected",
            "--env stage",
        ),
        (
            Action::Drop,
            marked(Place::Here, SELECTED, true),
            free,
            false,
            "it is marked dev, which is protected",
            "no flag",
        ),
        (Action::Seed, None, KNOWN[3], true, "the environment dev is protected", "test data loads only"),
        (Action::Seed, None, None, true, "does not know the environment dev", "test data loads only"),
        (Action::TestData, None, KNOWN[1], true, "the environment dev has no test data", "[env.dev] testdata"),
        (Action::Migrate, None, free, false, "carries no mark, so it counts as production", "dbbuild env mark"),
        (Action::Bootstrap, None, free, false, "it is not empty", "dbbuild apply"),
        (
            Action::Migrate,
            marked(Place::OtherServer, OTHER, false),
            free,
            false,
            "its mark (stage) does not belong to it: it was written on another server",
            "dbbuild env mark dev --confirm dev",
        ),
    ] {
        let case = Case { mark, known, empty, has_history: false };
        let error = judge(action, &case.facts(), &case.selected()).unwrap_err();
        assert!(error.message().contains(message), "{error}");
        assert!(error.helps().join(" ").contains(help), "{:?}", error.helps());
    }
    // The sentence begins with what was wanted.
    let case = Case { mark: None, known: None, empty: false, has_history: false };
    let seed = "load test data into";
    let verbs = ["migrate", "bootstrap", seed, seed, "reset", "drop", "take migrations back from", "downgrade"];
    for (action, verb) in Action::ALL.into_iter().zip(verbs) {
        let error = judge(action, &case.facts(), &case.selected()).unwrap_err();
        assert!(error.message().starts_with(&format!("refused to {verb} {DESCRIPTION}: ")), "{error}");
    }
}

/// A sentence and whether it forbids marking the database as [`SELECTED`], with what was given by `--confirm` and
/// `--unprotect`.
type MarkProhibition = (&'static str, fn(&Case, Option<&str>, Option<&str>) -> bool);

/// The mark's protection would end; the mark of a copy counts here, since protection may be right for the copy, too.
fn would_lift(case: &Case) -> bool {
    case.mark_is_protected() && case.selection_is_free()
}

const MARK_PROHIBITIONS: [MarkProhibition; 3] = [
    ("only what the configuration knows can be marked", |case, _, _| case.known.is_none()),
    ("protected to unprotected only by `--unprotect NAME`, the name of what it is", |case, _, unprotect| {
        would_lift(case) && unprotect != case.mark.map(|mark| mark.environment)
    }),
    (
        "a non-empty database wants the name confirmed; only where a protection was lifted by its name is that enough",
        |case, confirm, _| !case.empty && confirm != Some(SELECTED) && !would_lift(case),
    ),
];

#[test]
fn every_combination_of_marking_gets_the_verdict_of_the_product_description() {
    // There is no parameter for `--yes`, so it cannot answer either question.
    let confirms = [None, Some("devel"), Some(SELECTED)];
    let unprotects = [None, Some("production"), Some(SELECTED), Some(OTHER)];
    let (mut judged, mut allowed, mut decisive) = (0, 0, [0; MARK_PROHIBITIONS.len()]);
    for case in Case::all() {
        for confirm in confirms {
            for unprotect in unprotects {
                let forbids = MARK_PROHIBITIONS.map(|(_, forbids)| forbids(&case, confirm, unprotect));
                let verdict = judge_mark(&case.facts(), &case.selected(), confirm, unprotect);
                let context = (case, confirm, unprotect);
                assert_eq!(verdict.is_ok(), forbids == [false; 3], "{context:?}: {verdict:?} {forbids:?}");
                if let Err(error) = &verdict {
                    assert_refusal_helps(error, &context);
                }
                if forbids.iter().filter(|forbids| **forbids).count() == 1 {
                    decisive.iter_mut().zip(forbids).for_each(|(count, forbids)| *count += usize::from(forbids));
                }
                judged += 1;
                allowed += usize::from(verdict.is_ok());
            }
        }
    }
    // 340 cases × 3 confirmations × 4 names to unprotect.
    assert_eq!(judged, 4080);
    // By hand, for each of the 2 histories. Protection lifted (8 marks, 2 selections): 3 confirmations, 1 name, empty or
    // not. Otherwise (9 marks and 2 selections, 17 marks and 2 selections): 4 names, with 3 confirmations where it is
    // empty and 1 where it is not.
    assert_eq!(allowed, 2 * (8 * 2 * 3 * 2 + (9 * 2 + 17 * 2) * 4 * (3 + 1)));
    assert!(decisive.iter().all(|count| *count > 0), "a prohibition is idle: {decisive:?}");
}

#[test]
fn the_command_that_a_refusal_to_mark_names_is_accepted() {
    // The help holds the arguments; given back, they must be enough, or a person is sent in circles.
    let argument = |help: &str, option: &str| {
        let rest = help.split_once(option)?.1.trim_start();
        Some(rest.chars().take_while(|c| c.is_ascii_alphanumeric()).collect::<String>())
    };
    let mut followed = 0;
    for case in Case::all().into_iter().filter(|case| case.known.is_some()) {
        let (facts, selected) = (case.facts(), case.selected());
        let Err(error) = judge_mark(&facts, &selected, None, None) else { continue };
        let help = error.helps().join(" ");
        assert!(help.contains("`dbbuild env mark dev "), "{help}");
        let (confirm, unprotect) = (argument(&help, "--confirm"), argument(&help, "--unprotect"));
        judge_mark(&facts, &selected, confirm.as_deref(), unprotect.as_deref()).unwrap();
        followed += 1;
    }
    // Lifted protection, empty or not; and otherwise where it is not empty.
    assert_eq!(followed, 2 * (8 * 2 * 2 + (9 * 2 + 17 * 2)));
}

fn plan_of(purpose: Purpose, steps: Vec<Step>) -> Plan {
    Plan {
        environment: SELECTED.to_owned(),
        steps,
        history: History::default().fingerprint(),
        notes: vec!["kept".to_owned()],
        install: true,
        purpose,
    }
}

fn file_step(kind: FileKind) -> Step {
    let file = ScriptFile {
        path: "db/a.sql".to_owned(),
        name: "a.sql".to_owned(),
        checksum: Checksum::of_text("A;"),
        script: Script::of_file("db/a.sql".to_owned(), "A;"),
        run_always: false,
        after: Vec::new(),
        description: None,
    };
    Step::File { kind, file: Box::new(file), reason: Reason::New }
}

fn a_take_back() -> crate::model::reconcile::TakeBack {
    let row = crate::model::plan::Applied {
        version: crate::model::version::Version::parse("1").unwrap(),
        name: "a".to_owned(),
        checksum: Checksum::of_text("A;"),
        complete: true,
        has_text: true,
    };
    let down = Script::of_file("a", "DROP TABLE a;");
    crate::model::reconcile::TakeBack {
        row,
        down,
        reason: Reason::Phantom,
        tables: Default::default(),
        views: Vec::new(),
        lossless: false,
    }
}

#[test]
fn clearing_judges_every_action_of_the_plan() {
    let plans: [(Purpose, Option<FileKind>, &[Action]); 5] = [
        (Purpose::Migrate, Some(FileKind::Init), &[Action::Migrate]),
        (Purpose::Migrate, Some(FileKind::TestData), &[Action::Migrate, Action::TestData]),
        (Purpose::Bootstrap, None, &[Action::Bootstrap]),
        (Purpose::Bootstrap, Some(FileKind::TestData), &[Action::Bootstrap, Action::TestData]),
        (Purpose::Seed, Some(FileKind::TestData), &[Action::Seed]),
    ];
    let (mut cleared, mut refused) = (0, 0);
    for (purpose, kind, actions) in plans {
        for case in Case::all() {
            let (facts, selected) = (case.facts(), case.selected());
            let plan = plan_of(purpose, kind.map(file_step).into_iter().collect());
            let verdicts: Vec<_> = actions.iter().map(|action| judge(*action, &facts, &selected)).collect();
            match (clear(plan, &facts, &selected), verdicts.into_iter().find_map(Result::err)) {
                (Ok(clearance), None) => {
                    // What the runner gets is what was judged, tied to the database that it was judged for.
                    assert_eq!(clearance.binding(), &here());
                    assert_eq!(clearance.plan().steps.len(), usize::from(kind.is_some()));
                    assert_eq!((clearance.plan().purpose, clearance.plan().notes.len()), (purpose, 1));
                    cleared += 1;
                }
                (Err(error), Some(first)) => {
                    assert_eq!(error.to_string(), first.to_string());
                    refused += 1;
                }
                (verdict, expected) => panic!("{purpose:?} {kind:?} {case:?}: {verdict:?}, not {expected:?}"),
            }
        }
    }
    // The five plans allow what the narrowest of their actions does: 76 migrate, 18 with test data, 27 bootstrap, of
    // which 1 + 1 + 6 also take test data, 18 seed.
    assert_eq!((cleared, refused), (76 + 18 + 27 + 8 + 18, 5 * 340 - 147));
}

#[test]
fn a_run_marks_no_more_than_a_person_could_without_a_confirmation() {
    let mut refused = 0;
    for case in Case::all() {
        let (facts, selected) = (case.facts(), case.selected());
        for purpose in [Purpose::Migrate, Purpose::Bootstrap] {
            let mark = Step::Mark { environment: SELECTED.to_owned(), protected: selected.is_protected() };
            let bare = clear(plan_of(purpose, Vec::new()), &facts, &selected).is_ok();
            let marks = clear(plan_of(purpose, vec![mark]), &facts, &selected);
            let silently_lifts = would_lift(&case);
            assert_eq!(marks.is_ok(), bare && case.empty && !silently_lifts, "{purpose:?} {case:?}: {marks:?}");
            if let Err(error) = &marks {
                assert_refusal_helps(error, &case);
            }
            refused += usize::from(bare && marks.is_err());
        }
    }
    // Allowed but for the mark. On databases that are not empty: 2 unmarked ones and 20 with a valid mark; on empty ones
    // whose protection would end: 4 that migrate and 2 that bootstrap.
    assert_eq!(refused, 2 + 20 + 4 + 2);
}

#[test]
fn only_an_unprotected_database_with_a_mark_of_its_own_is_copied() {
    let mut allowed = 0;
    for case in Case::all() {
        let own = case.mark.is_some_and(|mark| mark.place == Place::Here && mark.environment == SELECTED);
        let expected = own && !case.mark_is_protected() && case.selection_is_free();
        let verdict = judge_copy(&case.facts(), &case.selected());
        assert_eq!(verdict.is_ok(), expected, "{case:?}: {verdict:?}");
        allowed += usize::from(expected);
    }
    // One mark, two selections, empty or not, with history or not.
    assert_eq!(allowed, 2 * 2 * 2);
}

#[test]
fn a_plan_that_takes_back_is_judged_as_one() {
    let back = a_take_back();
    let mut cleared = 0;
    for case in Case::all() {
        let plan = plan_of(Purpose::Migrate, vec![Step::TakeBack(Box::new(back.clone()))]);
        let verdict = clear(plan, &case.facts(), &case.selected());
        assert_eq!(verdict.is_ok(), judge(Action::TakeBack, &case.facts(), &case.selected()).is_ok(), "{case:?}");
        cleared += usize::from(verdict.is_ok());
    }
    assert_eq!(cleared, 8);
}
