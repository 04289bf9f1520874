//! Rows and kept texts against files: what goes back, in which order, and what cannot.

use super::*;
use crate::model::plan::{self, PlanOptions, Step};

fn sources(files: &[(&str, &str)]) -> Sources {
    Sources::of_files(files)
}

/// What ran: label, up part and down part, in the order of application.
type Ran<'a> = (&'a str, &'a str, Option<&'a str>);

fn applied(ran: &[Ran<'_>]) -> (History, Texts) {
    let (mut history, mut texts) = (History { installed: true, ..History::default() }, Texts::new());
    for (label, up, down) in ran {
        let (version, name) = label.split_once('_').unwrap();
        let version = Version::parse(version).unwrap();
        let whole = down.map_or_else(|| (*up).to_owned(), |down| file(up, down));
        history.applied.push(Applied {
            version: version.clone(),
            name: name.to_owned(),
            checksum: Checksum::of_text(&whole),
            complete: true,
            has_text: true,
        });
        texts.insert(version, Kept { up: Some(Arc::from(*up)), down: down.map(Arc::from) });
    }
    (history, texts)
}

fn file(up: &str, down: &str) -> String {
    format!("-- migrate:up\n{up}\n-- migrate:down\n{down}\n")
}

/// "label reason" of what goes back, and "label: why" of what cannot.
fn outcome(files: &[(&str, &str)], ran: &[Ran<'_>]) -> (Vec<String>, Vec<String>) {
    let (history, texts) = applied(ran);
    let way = way(&sources(files), &history, &texts, &Absent::new());
    let back = way.back.iter().map(|back| format!("{} {}", back.label(), back.reason.as_str())).collect();
    let stuck = way.stuck.iter().map(|stuck| format!("{}_{}: {}", stuck.row.version, stuck.row.name, stuck.why));
    (back, stuck.collect())
}

const A: &str = "CREATE TABLE a (id int);";
const B: &str = "CREATE TABLE b (id int);";

#[test]
fn phantoms_go_back_with_the_last_applied_first() {
    let ran = [("1_a", A, None), ("3_c", B, Some("DROP TABLE b;")), ("2_b", B, Some("DROP TABLE c;"))];
    let (back, stuck) = outcome(&[("migrations/1_a.sql", A)], &ran);
    assert_eq!(back, ["2_b in no file here", "3_c in no file here"]);
    assert!(stuck.is_empty());
}

#[test]
fn what_cannot_be_taken_back_says_why() {
    let files = [("migrations/1_a.sql", A)];
    let ran = [("1_a", A, None), ("2_b", B, None), ("3_c", B, Some("-- nothing")), ("4_d", B, Some("DROP 'x"))];
    let (back, stuck) = outcome(&files, &ran);
    assert!(back.is_empty());
    assert_eq!(
        stuck,
        [
            "4_d: its down part is not sound SQL",
            "3_c: its down part holds no statement",
            "2_b: no down part of it is kept"
        ]
    );
    let (mut history, texts) = applied(&[("2_b", B, Some("DROP TABLE b;"))]);
    history.applied[0].complete = false;
    let found = way(&sources(&files), &history, &texts, &Absent::new());
    assert_eq!(found.stuck[0].why, Obstacle::Interrupted);
    assert!(!found.is_blocked(), "a phantom stands in nobody's way");
}

#[test]
fn an_edited_one_goes_with_those_later_ones_that_name_its_objects() {
    let edited = file("CREATE TABLE b (id bigint);", "DROP TABLE b;");
    let column = file("ALTER TABLE a ADD x int;", "ALTER TABLE a DROP x;");
    let view = file("CREATE VIEW v AS SELECT * FROM b;", "DROP VIEW v;");
    let body =
        file("CREATE FUNCTION f() RETURNS int LANGUAGE sql AS $$ SELECT count(*) FROM V $$;", "DROP FUNCTION f;");
    let files = [
        ("migrations/1_a.sql", A),
        ("migrations/2_b.sql", &*edited),
        ("migrations/3_x.sql", &*column),
        ("migrations/4_v.sql", &*view),
        ("migrations/5_f.sql", &*body),
    ];
    let ran = [
        ("1_a", A, None),
        ("2_b", B, Some("DROP TABLE b;")),
        (
            "5_f",
            "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS $$ SELECT count(*) FROM V $$;",
            Some("DROP FUNCTION f;"),
        ),
        ("3_x", "ALTER TABLE a ADD x int;", Some("ALTER TABLE a DROP x;")),
        ("4_v", "CREATE VIEW v AS SELECT * FROM b;", Some("DROP VIEW v;")),
    ];
    let (back, stuck) = outcome(&files, &ran);
    assert_eq!(back, ["4_v after an edited one", "5_f after an edited one", "2_b edited"]);
    assert!(stuck.is_empty());

    // The last one applied has no down part: then none of the edit's way is gone.
    let mut without = ran;
    without[4].2 = None;
    let files_without =
        files.map(|(path, text)| (path, if path.contains("4_v") { "CREATE VIEW v AS SELECT * FROM b;" } else { text }));
    let (back, stuck) = outcome(&files_without, &without);
    assert!(back.is_empty());
    assert_eq!(stuck, ["4_v: no down part of it is kept"]);
}

#[test]
fn after_a_statement_that_may_do_anything_every_later_one_goes() {
    let edited = file("DO $$BEGIN PERFORM 2; END$$;", "SELECT 1;");
    let column = file("ALTER TABLE a ADD x int;", "ALTER TABLE a DROP x;");
    let files = [("migrations/1_a.sql", A), ("migrations/2_b.sql", &*edited), ("migrations/3_x.sql", &*column)];
    let ran = [
        ("1_a", A, None),
        ("2_b", "DO $$BEGIN PERFORM 1; END$$;", Some("SELECT 1;")),
        ("3_x", "ALTER TABLE a ADD x int;", Some("ALTER TABLE a DROP x;")),
    ];
    assert_eq!(outcome(&files, &ran).0, ["3_x after an edited one", "2_b edited"]);
}

#[test]
fn an_edit_beside_the_statements_only_rewrites_the_row() {
    let (history, texts) = applied(&[("1_a", A, None), ("2_b", B, None)]);
    let commented = format!("-- why\n{B} -- and how\n");
    let tree = sources(&[("migrations/1_a.sql", A), ("migrations/2_b.sql", &commented)]);
    let found = way(&tree, &history, &texts, &Absent::new());
    assert_eq!((found.back.len(), found.stuck.len()), (0, 0));
    assert_eq!(found.record, [Version::parse("2").unwrap()]);
    let plan = plan::plan_back(&tree, &history, &options(), &found).unwrap();
    assert!(matches!(plan.steps.as_slice(), [Step::Record(migration)] if migration.label() == "2_b"));
    // COPY data is part of what runs.
    assert!(!same_statements("COPY b FROM stdin;\n1\n\\.\n", "COPY b FROM stdin;\n2\n\\.\n"));
}

fn options() -> PlanOptions {
    PlanOptions {
        environment: "dev".to_owned(),
        protected: false,
        mark: false,
        testdata: vec!["default".to_owned()],
        checks: false,
        to: None,
    }
}

#[test]
fn the_plan_takes_back_first_and_runs_again_what_fills_tables_made_anew() {
    let edited = file("CREATE TABLE b (id bigint);", "DROP TABLE b;");
    let tree = sources(&[
        ("migrations/1_a.sql", A),
        ("migrations/2_b.sql", &edited),
        ("repeatable/v.sql", "V;"),
        ("testdata/default/a.sql", "INSERT INTO a VALUES (1);"),
        ("testdata/default/b.sql", "INSERT INTO b VALUES (1);"),
    ]);
    let (mut history, texts) = applied(&[
        ("1_a", A, None),
        ("2_b", B, Some("DROP TABLE b;")),
        ("3_c", "CREATE TABLE c ();", Some("DROP TABLE c;")),
    ]);
    for (kind, file) in tree
        .repeatable
        .iter()
        .map(|file| (plan::FileKind::Repeatable, file))
        .chain(tree.testdata["default"].iter().map(|file| (plan::FileKind::TestData, file)))
    {
        history.files.insert((kind, file.name.clone()), file.checksum);
    }
    let found = way(&tree, &history, &texts, &Absent::new());
    let plan = plan::plan_back(&tree, &history, &options(), &found).unwrap();
    let words: Vec<String> = plan
        .steps
        .iter()
        .map(|step| match step {
            Step::TakeBack(back) => format!("back {}", back.label()),
            Step::Migration { migration, .. } => format!("up {}", migration.label()),
            Step::File { file, .. } => format!("file {}", file.name),
            other => format!("{other:?}"),
        })
        .collect();
    assert_eq!(words, ["back 3_c", "back 2_b", "up 2_b", "file v.sql", "file default/b.sql"]);
    assert_eq!(plan.history, history.fingerprint(), "the runner compares with what it finds");
    assert!(plan.actions().contains(&crate::model::guard::Action::TakeBack));
    // Without the way the edit is refused as ever.
    assert!(plan::plan(&tree, &history, &options()).is_err());
}

#[test]
fn names_are_found_as_words_wherever_they_stand() {
    let names: BTreeSet<String> = ["order", "two words"].map(str::to_owned).into();
    for text in ["SELECT * FROM Order", "$$ insert into shop.order $$", "-- order", "\"Two Words\""] {
        assert!(mentions(text, &names), "{text}");
    }
    for text in ["SELECT * FROM orders", "reorder", "two, words", ""] {
        assert!(!mentions(text, &names), "{text}");
    }
}

#[test]
fn objects_of_files_that_are_not_here_go_unless_another_file_makes_them() {
    let tree = sources(&[
        ("migrations/1_a.sql", A),
        ("repeatable/here.sql", "CREATE OR REPLACE VIEW moved AS SELECT 1; CREATE FUNCTION f() RETURNS int RETURN 1;"),
    ]);
    let text = "DROP VIEW IF EXISTS x.old;\nCREATE VIEW x.old AS SELECT 1;\nCREATE VIEW moved AS SELECT 2;\n\
        CREATE MATERIALIZED VIEW kept AS SELECT 1;\nGRANT SELECT ON kept TO PUBLIC;\nCREATE TABLE t ();";
    let (mut history, _) = applied(&[("1_a", A, None)]);
    history.files.insert((FileKind::Repeatable, "gone.sql".to_owned()), Checksum::of_text(text));
    history.files.insert((FileKind::TestData, "default/gone.sql".to_owned()), Checksum::of_text(text));
    assert_eq!(absent(&tree, &history), ["gone.sql"]);
    let texts = Absent::from([("gone.sql".to_owned(), Arc::from(text))]);
    let found = way(&tree, &history, &Texts::new(), &texts);
    let drops: Vec<String> = found.remove[0].objects.iter().map(Made::drop_statement).collect();
    assert_eq!(drops, ["DROP VIEW IF EXISTS x.old", "DROP MATERIALIZED VIEW IF EXISTS kept"]);
    assert!(!found.history_after(&history, &tree).files.contains_key(&(FileKind::Repeatable, "gone.sql".to_owned())));
    let views = files::views(&tree);
    assert_eq!(views, [("here.sql".to_owned(), Made { kind: "view", name: "moved".to_owned() })]);
}
