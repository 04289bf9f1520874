//! The plan: what the version table says against what the files say, one rule at a time.
//!
//! Sources are read from small snapshots as a command reads them, so that what identifies a file here is what does there.

use super::*;
use crate::error::Location;
use crate::error::Status;
use std::collections::BTreeSet;
use std::sync::Arc;

/// One file of each kind, and two of those whose order matters.
const TREE: &[(&str, &str)] = &[
    ("migrations/10_ten.sql", "TEN;"),
    ("migrations/9_nine.sql", "NINE;"),
    ("repeatable/b.sql", "-- dbbuild:after c.sql\nB;"),
    ("repeatable/c.sql", "C;"),
    ("init/i.sql", "I;"),
    ("init/dev/d.sql", "D;"),
    ("init/production/p.sql", "P;"),
    ("testdata/default/t.sql", "T;"),
    ("testdata/many/m.sql", "M;"),
    ("checks/k.sql", "SELECT 1;"),
];

fn sources(files: &[(&str, &str)]) -> Sources {
    Sources::of_files(files)
}

/// [`TREE`] with files added or replaced.
fn tree_with(files: &[(&str, &str)]) -> Sources {
    let kept = TREE.iter().filter(|(path, _)| files.iter().all(|(other, _)| other != path));
    sources(&kept.chain(files).copied().collect::<Vec<_>>())
}

fn options() -> PlanOptions {
    PlanOptions {
        environment: "dev".to_owned(),
        protected: false,
        mark: false,
        testdata: vec!["default".to_owned()],
        checks: true,
        to: None,
    }
}

/// The row of `VERSION_name` that was applied with this text.
fn row(label: &str, text: &str) -> Applied {
    let (version, name) = label.split_once('_').unwrap();
    Applied {
        version: Version::parse(version).unwrap(),
        name: name.to_owned(),
        checksum: Checksum::of_text(text),
        complete: true,
        has_text: true,
    }
}

fn history(applied: &[Applied], files: &[(FileKind, &str, &str)]) -> History {
    History {
        installed: true,
        applied: applied.to_vec(),
        files: files.iter().map(|(kind, name, text)| ((*kind, (*name).to_owned()), Checksum::of_text(text))).collect(),
    }
}

/// What stands after [`TREE`] was built for `dev` with the set `default`.
fn built() -> History {
    history(
        &[row("9_nine", "NINE;"), row("10_ten", "TEN;")],
        &[
            (FileKind::Repeatable, "b.sql", "-- dbbuild:after c.sql\nB;"),
            (FileKind::Repeatable, "c.sql", "C;"),
            (FileKind::Init, "i.sql", "I;"),
            (FileKind::Init, "dev/d.sql", "D;"),
            (FileKind::TestData, "default/t.sql", "T;"),
        ],
    )
}

/// The history after a plan ran to its end, as the runner writes it.
fn after(plan: &Plan, mut history: History) -> History {
    history.installed = true;
    for step in &plan.steps {
        match step {
            Step::Migration { migration, .. } => {
                history.applied.retain(|row| row.version != migration.version);
                let done = Applied {
                    version: migration.version.clone(),
                    name: migration.name.clone(),
                    checksum: migration.checksum,
                    complete: true,
                    has_text: true,
                };
                history.applied.push(done);
            }
            Step::File { kind, file, .. } => {
                history.files.insert((*kind, file.name.clone()), file.checksum);
            }
            Step::TakeBack(back) => history.applied.retain(|row| row.version != back.row.version),
            Step::Record(_) | Step::Remove(_) | Step::Reload(_) => unreachable!("no plan here has one"),
            Step::Mark { .. } | Step::Baseline { .. } | Step::Sequences | Step::Check { .. } => {}
        }
    }
    history
}

/// A plan's steps as words, to compare whole plans at a glance.
fn words(plan: &Plan) -> Vec<String> {
    let word = |step: &Step| match step {
        Step::Mark { environment, protected: true } => format!("mark {environment} protected"),
        Step::Mark { environment, protected: false } => format!("mark {environment}"),
        Step::Baseline { path, text } => format!("baseline {path} {text}"),
        Step::TakeBack(back) => format!("take back {}", back.label()),
        Step::Remove(files) => format!("remove {}", files.len()),
        Step::Record(migration) => format!("record {}", migration.label()),
        Step::Migration { migration, reason } => format!("{} {}", migration.label(), reason.as_str()),
        Step::File { kind, file, reason } => format!("{} {} {}", kind.as_str(), file.name, reason.as_str()),
        Step::Sequences => "sequences".to_owned(),
        Step::Reload(reload) => format!("reload {}", reload.file.name),
        Step::Check { file } => format!("check {}", file.name),
    };
    plan.steps.iter().map(word).collect()
}

/// The words of a plan without its checks, which stand in every plan.
fn writes(plan: &Plan) -> Vec<String> {
    words(plan).into_iter().filter(|word| !word.starts_with("check ")).collect()
}

fn planned(sources: &Sources, history: &History) -> Plan {
    plan(sources, history, &options()).unwrap()
}

#[test]
fn order_refuses_only_what_is_older_than_applied() {
    let sources = tree_with(&[]);
    let late = planned(&sources, &history(&[row("10_ten", "TEN;")], &[]));
    assert!(late.notes.iter().any(|note| note.contains("9_nine")), "{:?}", late.notes);
    let fault = in_order(&late, &history(&[row("10_ten", "TEN;")], &[])).unwrap_err();
    assert!(fault.message().contains("9_nine is older than 10_ten"), "{fault}");
    assert!(fault.helps()[0].contains("env.dev.order"), "{:?}", fault.helps());
    for known in [history(&[], &[]), history(&[row("9_nine", "NINE;")], &[])] {
        in_order(&planned(&sources, &known), &known).unwrap();
    }
    let mut interrupted = history(&[row("9_nine", "NINE;"), row("10_ten", "TEN;")], &[]);
    interrupted.applied[0].complete = false;
    in_order(&planned(&sources, &interrupted), &interrupted).unwrap();
}

#[test]
fn a_new_database_gets_everything_in_order() {
    let plan = plan(&tree_with(&[]), &History::default(), &PlanOptions { mark: true, ..options() }).unwrap();
    // The mark is written before the first migration; 9 is less than 10; b wants to come after c; another environment's
    // init data and a set that is not listed stay out; sequences are set between init and test data; checks come last.
    let expected = [
        "mark dev",
        "9_nine new",
        "10_ten new",
        "repeatable c.sql new",
        "repeatable b.sql new",
        "init i.sql new",
        "init dev/d.sql new",
        "sequences",
        "testdata default/t.sql new",
        "check k.sql",
    ];
    assert_eq!(words(&plan), expected);
    assert_eq!((plan.environment.as_str(), plan.purpose, plan.install), ("dev", Purpose::Migrate, true));
    assert_eq!(plan.migrations().map(Migration::label).collect::<Vec<_>>(), ["9_nine", "10_ten"]);
    assert_eq!(plan.notes, [""; 0]);
    assert_eq!(plan.history, History::default().fingerprint());
}

#[test]
fn what_was_built_is_left_alone() {
    let plan = planned(&tree_with(&[]), &built());
    assert_eq!(words(&plan), ["check k.sql"]);
    assert!(plan.is_empty() && plan.notes.is_empty() && !plan.install);
    // The order of application is not the order of versions where branches met; it changes nothing.
    let mut turned = built();
    turned.applied.reverse();
    assert!(planned(&tree_with(&[]), &turned).is_empty());
}

#[test]
fn a_second_run_of_any_plan_finds_nothing_to_do() {
    let sources = tree_with(&[]);
    for start in [History::default(), history(&[row("9_nine", "NINE;")], &[]), built()] {
        for environment in ["dev", "production", "elsewhere"] {
            let options = PlanOptions { environment: environment.to_owned(), ..options() };
            let first = plan(&sources, &start, &options).unwrap();
            let second = plan(&sources, &after(&first, start.clone()), &options).unwrap();
            assert!(second.is_empty(), "{environment}: {:?}", words(&second));
        }
    }
}

#[test]
fn versions_are_numbers_whatever_their_width() {
    let sources = sources(&[
        ("migrations/0010_c.sql", "C;"),
        ("migrations/2_a.sql", "A;"),
        ("migrations/20240101000000_d.sql", "D;"),
        ("migrations/9_b.sql", "B;"),
    ]);
    assert_eq!(
        writes(&planned(&sources, &History::default())),
        ["2_a new", "9_b new", "0010_c new", "20240101000000_d new"]
    );
    // A file that lost its leading zeros is still the migration that was applied.
    let plan = planned(&sources, &history(&[row("002_a", "A;"), row("10_c", "C;"), row("9_b", "B;")], &[]));
    assert_eq!(writes(&plan), ["20240101000000_d new"]);
    assert_eq!(plan.notes, [""; 0]);
}

#[test]
fn a_late_migration_runs_and_is_noted() {
    let plan = planned(&tree_with(&[]), &history(&[row("10_ten", "TEN;")], &[]));
    assert_eq!(words(&plan).first().map(String::as_str), Some("9_nine new"));
    assert_eq!(plan.notes, ["db/migrations/9_nine.sql is older than the newest applied migration and runs after it"]);
    // Nothing is late in a new database, nor where the newest is the pending one.
    assert_eq!(planned(&tree_with(&[]), &history(&[row("9_nine", "NINE;")], &[])).notes, [""; 0]);
}

#[test]
fn an_applied_migration_with_other_content_is_an_error_with_its_place() {
    let edited = tree_with(&[("migrations/9_nine.sql", "NINE AND A HALF;")]);
    let error = |protected| plan(&edited, &built(), &PlanOptions { protected, ..options() }).unwrap_err();
    for protected in [false, true] {
        let error = error(protected);
        assert_eq!(error.status(), Status::Failed);
        assert_eq!(error.location(), Some(&Location::file("db/migrations/9_nine.sql")));
        let (then, now) = (Checksum::of_text("NINE;"), Checksum::of_text("NINE AND A HALF;"));
        assert_eq!(
            error.message(),
            format!(
                "9_nine was applied to this database with other content (sha256 {} then, {} now)",
                &then.to_string()[..12],
                &now.to_string()[..12]
            )
        );
        assert!(error.others().is_empty());
        assert!(error.helps().join(" ").contains("Nothing was run"), "{:?}", error.helps());
    }
    // Only where the database is one's own may it be built anew.
    assert!(error(false).helps().join(" ").contains("`dbbuild reset`"));
    assert!(!error(true).helps().join(" ").contains("reset"));
}

#[test]
fn every_edited_migration_is_named_at_once() {
    let edited = tree_with(&[("migrations/9_nine.sql", "X;"), ("migrations/10_ten.sql", "Y;")]);
    let error = plan(&edited, &built(), &options()).unwrap_err();
    let places = std::iter::once(&error).chain(error.others()).map(|error| error.location().unwrap().path.clone());
    assert_eq!(places.collect::<Vec<_>>(), ["db/migrations/9_nine.sql", "db/migrations/10_ten.sql"]);
}

#[test]
fn versions_without_a_file_are_noted() {
    let mut history = built();
    history.applied.extend([row("8_gone", "X;"), row("11_other_branch", "X;")]);
    let plan = planned(&tree_with(&[]), &history);
    let notes =
        ["8_gone", "11_other_branch"].map(|row| format!("{row} is applied here, but no file of this tree has it"));
    assert_eq!(plan.notes, notes);
    assert!(plan.is_empty());
    // They count as applied: what is older than the newest of them comes late.
    history.applied.retain(|row| row.name != "ten");
    assert_eq!(planned(&tree_with(&[]), &history).notes.len(), 3);
}

#[test]
fn an_interrupted_migration_goes_on_before_what_follows() {
    let nine = Applied { complete: false, ..row("9_nine", "NINE;") };
    let plan = planned(&tree_with(&[]), &history(std::slice::from_ref(&nine), &[]));
    assert_eq!(words(&plan)[..2], ["9_nine resume", "10_ten new"]);
    assert_eq!(plan.notes, [""; 0]);
    // It began in its turn, even where a newer one was applied since; files run after it as after any migration.
    let mut history = built();
    history.applied = vec![nine, row("10_ten", "TEN;")];
    let plan = planned(&tree_with(&[]), &history);
    assert_eq!(words(&plan)[..2], ["9_nine resume", "repeatable c.sql after migrations"]);
    assert_eq!(plan.notes, [""; 0]);
}

#[test]
fn an_interrupted_migration_may_be_mended() {
    // The runner says of a failed one: "Fix the file from this statement on and run the same command again; it goes on here."
    // Statements that ran already are compared by the journal.
    let history = history(&[Applied { complete: false, ..row("9_nine", "NINE; WRONG;") }], &[]);
    let plan = plan(&tree_with(&[("migrations/9_nine.sql", "NINE; RIGHT;")]), &history, &options()).unwrap();
    assert_eq!(words(&plan)[0], "9_nine resume");
}

#[test]
fn repeatable_files_run_when_they_or_the_schema_changed() {
    // New: only the new one.
    let plan = planned(&tree_with(&[("repeatable/a.sql", "A;")]), &built());
    assert_eq!(writes(&plan), ["repeatable a.sql new"]);
    // Changed: only the changed one.
    let plan = planned(&tree_with(&[("repeatable/c.sql", "C2;")]), &built());
    assert_eq!(writes(&plan), ["repeatable c.sql changed"]);
    // After a migration: all of them, since it may have dropped a view; the changed one keeps its own reason.
    let sources = tree_with(&[("migrations/11_new.sql", "E;"), ("repeatable/c.sql", "C2;")]);
    let words = writes(&planned(&sources, &built()));
    assert_eq!(words[..3], ["11_new new", "repeatable c.sql changed", "repeatable b.sql after migrations"]);
    // Always: without any other reason, and in its place.
    let always = "-- dbbuild:run always\nC;";
    let sources = tree_with(&[("repeatable/c.sql", always)]);
    let mut history = built();
    history.files.insert((FileKind::Repeatable, "c.sql".to_owned()), Checksum::of_text(always));
    assert_eq!(writes(&planned(&sources, &history)), ["repeatable c.sql always"]);
    // A file that is gone is not run, and stops nothing: its objects are a migration's to drop.
    history = built();
    history.files.insert((FileKind::Repeatable, "gone.sql".to_owned()), Checksum::of_text("GONE;"));
    assert!(planned(&tree_with(&[]), &history).is_empty());
}

#[test]
fn line_endings_and_byte_order_marks_are_no_change() {
    let windows = tree_with(&[
        ("migrations/9_nine.sql", "\u{feff}NINE;"),
        ("repeatable/b.sql", "-- dbbuild:after c.sql\r\nB;"),
        ("testdata/default/t.sql", "\u{feff}T;"),
    ]);
    assert!(planned(&windows, &built()).is_empty());
}

#[test]
fn init_is_of_the_selected_environment_and_sequences_follow_it() {
    for (environment, files) in
        [("dev", vec!["i.sql", "dev/d.sql"]), ("production", vec!["i.sql", "production/p.sql"]), ("qa", vec!["i.sql"])]
    {
        let options = PlanOptions { environment: environment.to_owned(), testdata: Vec::new(), ..options() };
        let history = History { files: BTreeMap::new(), ..built() };
        let words = writes(&plan(&tree_with(&[]), &history, &options).unwrap());
        let init = files.iter().map(|file| format!("init {file} new")).chain(["sequences".to_owned()]);
        assert_eq!(words[2..], init.collect::<Vec<_>>(), "{environment}");
    }
    // One file is enough; none, none.
    assert_eq!(
        writes(&planned(&tree_with(&[("init/dev/d.sql", "D2;")]), &built())),
        ["init dev/d.sql changed", "sequences"]
    );
    let bare =
        sources(&[("migrations/9_nine.sql", "NINE;"), ("repeatable/c.sql", "C;"), ("testdata/default/t.sql", "T;")]);
    assert!(!words(&planned(&bare, &History::default())).contains(&"sequences".to_owned()));
}

#[test]
fn test_data_runs_once_per_content_and_only_from_listed_sets() {
    let testdata = |sources: &Sources, history: &History, sets: &[&str]| {
        let options = PlanOptions { testdata: sets.iter().map(|set| (*set).to_owned()).collect(), ..options() };
        let words = words(&plan(sources, history, &options).unwrap());
        words.into_iter().filter(|word| word.starts_with("testdata ")).collect::<Vec<_>>()
    };
    let tree = tree_with(&[]);
    assert_eq!(testdata(&tree, &History::default(), &[]), [""; 0]);
    // Sets come in the order in which they are listed, not by name.
    assert_eq!(
        testdata(&tree, &History::default(), &["many", "default"]),
        ["testdata many/m.sql new", "testdata default/t.sql new"]
    );
    assert_eq!(testdata(&tree, &built(), &["default", "many"]), ["testdata many/m.sql new"]);
    let changed = tree_with(&[("testdata/default/t.sql", "T2;")]);
    assert_eq!(testdata(&changed, &built(), &["default"]), ["testdata default/t.sql changed"]);
    // A migration does not load it again: rows that a person changed since would be in the way.
    let migrated = tree_with(&[("migrations/11_new.sql", "E;")]);
    assert_eq!(testdata(&migrated, &built(), &["default"]), [""; 0]);
}

#[test]
fn files_of_the_same_name_in_two_folders_are_two_files() {
    let twice: [&[(&str, &str)]; 2] = [
        &[("testdata/default/users.sql", "U1;"), ("testdata/many/users.sql", "U2;")],
        &[("init/users.sql", "U1;"), ("init/dev/users.sql", "U2;")],
    ];
    for files in twice {
        let options = PlanOptions { testdata: vec!["default".to_owned(), "many".to_owned()], ..options() };
        let first = plan(&sources(files), &History::default(), &options).unwrap();
        let second = plan(&sources(files), &after(&first, History::default()), &options).unwrap();
        assert_eq!(words(&second), [""; 0]);
    }
}

#[test]
fn the_mark_is_first_and_says_what_was_selected() {
    for (protected, word) in [(false, "mark dev"), (true, "mark dev protected")] {
        let options = PlanOptions { mark: true, protected, ..options() };
        let plan = plan(&tree_with(&[]), &built(), &options).unwrap();
        assert_eq!(words(&plan), [word, "check k.sql"]);
        // To write the mark is to write something.
        assert!(!plan.is_empty());
    }
}

#[test]
fn checks_run_last_or_not_at_all_and_write_nothing() {
    let sources = tree_with(&[("checks/j.sql", "SELECT 2;")]);
    let words_of = |checks| words(&plan(&sources, &History::default(), &PlanOptions { checks, ..options() }).unwrap());
    let with = words_of(true);
    assert_eq!(with[with.len() - 2..], ["check j.sql", "check k.sql"]);
    assert_eq!(words_of(false), with[..with.len() - 2]);
    assert!(plan(&sources, &built(), &PlanOptions { checks: false, ..options() }).unwrap().is_empty());
    assert!(planned(&sources, &built()).is_empty());
    // Every other step counts.
    for step in planned(&sources, &History::default()).steps {
        let check = matches!(step, Step::Check { .. });
        let alone = Plan { steps: vec![step], ..planned(&sources, &built()) };
        assert_eq!(alone.is_empty(), check, "{:?}", words(&alone));
    }
}

#[test]
fn a_plan_names_the_actions_that_the_guard_must_allow() {
    let tree = tree_with(&[]);
    assert_eq!(planned(&tree, &History::default()).actions(), [Action::Migrate, Action::TestData]);
    // Only steps count, not options: what ran already needs no leave.
    assert_eq!(planned(&tree, &built()).actions(), [Action::Migrate]);
    let seed = plan_seed(&tree, &built(), "dev", &["default".to_owned()]).unwrap();
    assert_eq!(seed.actions(), [Action::Seed]);
    let bootstrap = plan_bootstrap(&tree, ("db/baseline.sql", "B;".into()), &built(), &options()).unwrap();
    assert_eq!(bootstrap.actions(), [Action::Bootstrap]);
    let smuggled = Plan { purpose: Purpose::Bootstrap, ..planned(&tree, &History::default()) };
    assert_eq!(smuggled.actions(), [Action::Bootstrap, Action::TestData]);
}

#[test]
fn seeding_runs_the_files_of_the_sets_again() {
    let seed = |sets: &[&str]| {
        let sets: Vec<String> = sets.iter().map(|set| (*set).to_owned()).collect();
        plan_seed(&tree_with(&[]), &built(), "dev", &sets)
    };
    let plan = seed(&["many", "default"]).unwrap();
    assert_eq!(words(&plan), ["testdata many/m.sql requested", "testdata default/t.sql requested"]);
    assert_eq!((plan.purpose, plan.install, plan.history), (Purpose::Seed, false, built().fingerprint()));
    assert!(seed(&[]).unwrap().is_empty());

    let error = seed(&["default", "mnay"]).unwrap_err();
    assert_eq!(error.status(), Status::Usage);
    assert_eq!(error.message(), "there is no set of test data named mnay");
    assert_eq!(error.helps(), ["the sets are: default, many"]);
    let error = plan_seed(&sources(&[]), &History::default(), "dev", &["default".to_owned()]).unwrap_err();
    assert_eq!(error.helps(), ["the sets are: none"]);
}

#[test]
fn a_bootstrap_loads_the_baseline_then_what_it_does_not_hold() {
    let baseline: Arc<str> = "CREATE;".into();
    // The baseline never holds environments' init data; test data is not loaded, whatever the options say.
    let mut held = built();
    held.files.retain(|(kind, name), _| *kind != FileKind::TestData && name != "dev/d.sql");
    let bootstrap = |sources: &Sources, options: &PlanOptions| {
        plan_bootstrap(sources, ("db/baseline.sql", baseline.clone()), &held, options)
    };
    let options = PlanOptions { mark: true, protected: true, ..options() };
    let plan = bootstrap(&tree_with(&[]), &options).unwrap();
    let expected =
        ["mark dev protected", "baseline db/baseline.sql CREATE;", "init dev/d.sql new", "sequences", "check k.sql"];
    assert_eq!(words(&plan), expected);
    assert_eq!((plan.purpose, plan.install), (Purpose::Bootstrap, true));
    // Planned for a database that is still empty, not for what the baseline will make of it.
    assert_eq!(plan.history, History::default().fingerprint());

    // A stale baseline: newer migrations follow it, and notes are kept.
    held.applied.pop();
    held.applied.push(row("8_squashed", "X;"));
    let plan = plan_bootstrap(&tree_with(&[]), ("db/baseline.sql", baseline.clone()), &held, &options).unwrap();
    assert_eq!(words(&plan)[1..3], ["baseline db/baseline.sql CREATE;", "10_ten new"]);
    assert_eq!(plan.notes, ["8_squashed is applied here, but no file of this tree has it"]);

    // A baseline that was made from other text than the files have now would hide the difference for ever.
    let edited = tree_with(&[("migrations/9_nine.sql", "X;")]);
    let error = plan_bootstrap(&edited, ("db/baseline.sql", baseline), &held, &options).unwrap_err();
    assert_eq!(error.location(), Some(&Location::file("db/migrations/9_nine.sql")));
}

#[test]
fn the_fingerprint_holds_every_part_that_a_plan_depends_on() {
    let change = |change: &dyn Fn(&mut History)| {
        let mut history = built();
        change(&mut history);
        history.fingerprint()
    };
    let key = || (FileKind::Init, "i.sql".to_owned());
    let fingerprints = [
        built().fingerprint(),
        History::default().fingerprint(),
        change(&|h| h.applied[0].version = Version::parse("8").unwrap()),
        change(&|h| h.applied[0].name.push('x')),
        change(&|h| h.applied[0].checksum = Checksum::of_text("X;")),
        change(&|h| h.applied[0].complete = false),
        change(&|h| h.applied[1].complete = false),
        change(&|h| h.applied.reverse()),
        change(&|h| h.applied.truncate(1)),
        change(&|h| h.applied.push(row("11_new", "E;"))),
        change(&|h| h.files.clear()),
        change(&|h| h.files.retain(|file, _| *file != key())),
        change(&|h| h.files.extend([(key(), Checksum::of_text("X;"))])),
        change(&|h| {
            let sum = h.files.remove(&key()).unwrap();
            h.files.insert((FileKind::TestData, key().1), sum);
        }),
        change(&|h| {
            let sum = h.files.remove(&key()).unwrap();
            h.files.insert((FileKind::Init, "j.sql".to_owned()), sum);
        }),
    ];
    let distinct: BTreeSet<&Checksum> = fingerprints.iter().collect();
    assert_eq!(distinct.len(), fingerprints.len());
    assert_eq!(built().fingerprint(), change(&|_| {}));
    // A version table without rows plans the same steps as none, and is made only where it is missing; the texts of rows
    // are filled in without a plan.
    assert_eq!(History { installed: true, ..History::default() }.fingerprint(), History::default().fingerprint());
    assert_eq!(change(&|h| h.applied[0].has_text = false), built().fingerprint());
}

#[test]
fn names_of_kinds_read_back() {
    for kind in [FileKind::Repeatable, FileKind::Init, FileKind::TestData] {
        assert_eq!(FileKind::parse(kind.as_str()), Some(kind));
    }
    for text in ["", "Init", "checks", "migration"] {
        assert_eq!(FileKind::parse(text), None);
    }
}
