//! Every file under `db/` is understood, known to be foreign, or named in an error.

use super::*;
use crate::model::snapshot::FileEntry;

fn snapshot(files: &[(&str, &str)]) -> Snapshot {
    let entry = |content: &str| match content.split_once(':') {
        Some(("link", target)) => FileEntry::Symlink { target: target.to_owned() },
        Some(("module", _)) => FileEntry::Submodule,
        _ => FileEntry::blob(content.as_bytes()),
    };
    files.iter().map(|(path, content)| (format!("db/{path}"), entry(content))).collect()
}

fn read(files: &[(&str, &str)]) -> Sources {
    Sources::read(&snapshot(files), &Paths::default()).unwrap()
}

fn faults(files: &[(&str, &str)]) -> Vec<String> {
    let error = Sources::read(&snapshot(files), &Paths::default()).unwrap_err();
    std::iter::once(&error)
        .chain(error.others())
        .map(|error| format!("{error} / {}", error.helps().join(" ")))
        .collect()
}

fn names(files: &[ScriptFile]) -> Vec<&str> {
    files.iter().map(|file| file.name.as_str()).collect()
}

const ALL: &[(&str, &str)] = &[
    ("migrations/10_b.sql", "B;"),
    ("migrations/9_a.SQL", "A;"),
    ("migrations/.gitkeep", ""),
    ("migrations/README", ""),
    ("migrations/notes.md", ""),
    ("migrations/.idea/x.txt", ""),
    ("repeatable/v.sql", "V;"),
    ("init/b.sql", "I;"),
    ("init/a.sql", "I;"),
    ("init/production/p.sql", "P;"),
    ("testdata/default/t.sql", "T;"),
    ("testdata/README.md", ""),
    ("checks/c.sql", "C;"),
    ("baseline.sql", "--"),
    ("roles.toml", "\u{feff}# r\r\n"),
    ("pg_hba.conf", ""),
    ("unrelated", "x"),
];

#[test]
fn everything_has_its_place_and_order() {
    let sources = read(ALL);
    assert_eq!(sources.migrations.iter().map(Migration::label).collect::<Vec<_>>(), ["9_a", "10_b"]);
    assert_eq!(names(&sources.init), ["a.sql", "b.sql"]);
    assert_eq!(names(&sources.env_init["production"]), ["production/p.sql"]);
    assert_eq!(names(&sources.testdata["default"]), ["default/t.sql"]);
    assert_eq!(names(&sources.checks), ["c.sql"]);
    assert_eq!(sources.baseline.as_deref(), Some(&b"--"[..]));
    assert_eq!(sources.roles.as_deref(), Some("# r\n"));
    assert_eq!(sources.hba.as_deref(), Some(""));
    assert_eq!(read(&[]), Sources::default());
}

#[test]
fn repeatable_files_run_by_name_and_after_what_they_name() {
    let sources = read(&[
        ("repeatable/a.sql", "-- dbbuild:after d\n-- dbbuild:after c.sql\nA;"),
        ("repeatable/b.sql", "B;"),
        ("repeatable/c.sql", "-- dbbuild:run always\nC;"),
        ("repeatable/d.sql", "-- dbbuild:after db/repeatable/c.sql\nD;"),
    ]);
    assert_eq!(names(&sources.repeatable), ["b.sql", "c.sql", "d.sql", "a.sql"]);
    assert_eq!(sources.repeatable[3].after, ["c.sql", "d.sql"]);
    assert!(sources.repeatable[1].run_always);
}

#[test]
fn a_circle_and_a_missing_target_are_errors() {
    let circle = faults(&[
        ("repeatable/a.sql", "-- dbbuild:after b\nA;"),
        ("repeatable/b.sql", "-- dbbuild:after c\nB;"),
        ("repeatable/c.sql", "-- dbbuild:after b\nC;"),
    ]);
    assert_eq!(
        circle,
        [
            "`-- dbbuild:after` goes in a circle: b.sql after c.sql after b.sql at db/repeatable/b.sql / take one of these \
          directives out"
        ]
    );
    let missing = faults(&[("repeatable/orders.sql", "A;"), ("repeatable/x.sql", "\n-- dbbuild:after order.sql\nA;")]);
    assert_eq!(
        missing,
        [
            "there is no repeatable file `order.sql` at db/repeatable/x.sql:2 / did you mean `-- dbbuild:after orders.sql`?"
        ]
    );
    assert_eq!(faults(&[("repeatable/a.sql", "-- dbbuild:after a\nA;")]).len(), 1);
}

#[test]
fn what_does_not_belong_is_an_error() {
    for (path, content, expect) in [
        ("migrations/add.sql", "A;", "the file name is not one of a migration at db/migrations/add.sql"),
        ("migrations/1_a.sql~", "A;", "not a file of SQL at db/migrations/1_a.sql~"),
        ("migrations/2024/1_a.sql", "A;", "this migration stands in a subfolder at db/migrations/2024/1_a.sql"),
        ("repeatable/views/a.sql", "A;", "this repeatable file stands in a subfolder at db/repeatable/views/a.sql"),
        ("init/a/b/c.sql", "A;", "this init file stands too deep at db/init/a/b/c.sql"),
        ("testdata/a.sql", "A;", "a test data file belongs to no set at db/testdata/a.sql"),
        ("checks/a.sql", " ", "the file is empty at db/checks/a.sql"),
        ("checks/a.sql", "link:/etc/passwd", "symbolic link out of the tree, to `/etc/passwd` at db/checks/a.sql"),
        ("checks/a.sql", "link:../../../x", "symbolic link out of the tree, to `../../../x` at db/checks/a.sql"),
        ("checks/a.sql", "link:missing", "symbolic link out of the tree, to `missing` at db/checks/a.sql"),
        ("checks/a.sql", "link:a.sql", "symbolic link out of the tree, to `a.sql` at db/checks/a.sql"),
        ("checks/a.sql", "module:", "is a submodule where a file should be at db/checks/a.sql"),
        ("checks", "module:", "is a submodule where a folder should be at db/checks"),
        ("init", "link:../x", "is a symbolic link where a folder should be at db/init"),
        ("migrations/1_new\nline.sql", "", "the file is empty at db/migrations/1_new\\nline.sql"),
    ] {
        let found = faults(&[(path, content)]);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].starts_with(&format!("{expect} / ")), "{found:?}");
    }
}

#[test]
fn a_link_within_the_tree_is_followed() {
    let sources = read(&[
        ("checks/a.sql", "link:../shared/x.sql"),
        ("checks/b.sql", "link:./a.sql"),
        ("shared/x.sql", "SELECT 1;"),
        ("checks/.#b.sql", "link:someone@host"),
    ]);
    assert_eq!(names(&sources.checks), ["a.sql", "b.sql"]);
    assert_eq!(&*sources.checks[1].script.text, "SELECT 1;");
}

#[test]
fn all_faults_are_listed_and_both_files_of_a_version_named() {
    let found = faults(&[
        ("migrations/1_a.sql", "A;"),
        ("migrations/001_b.sql", "-- dbbuild:nonsense\nB;"),
        ("migrations/01_c.sql", "C;"),
        ("checks/x.sql", ""),
    ]);
    assert_eq!(found.len(), 3);
    assert_eq!(
        found[1],
        "version 1 is used twice at db/migrations/1_a.sql / db/migrations/01_c.sql has it too; rename the newer one"
    );
}

#[test]
fn a_folder_may_hold_another() {
    let paths = Paths { migrations: "db".into(), ..Paths::default() };
    let sources = Sources::read(
        &snapshot(&[("1_a.sql", "A;"), ("checks/c.sql", "C;"), ("baseline.sql", "B"), ("roles.toml", "")]),
        &paths,
    );
    let sources = sources.unwrap();
    assert_eq!((sources.migrations.len(), sources.checks.len()), (1, 1));
}

#[test]
fn digests_see_what_they_should_and_nothing_else() {
    let digests = |files: &[(&str, &str)]| {
        let sources = read(files);
        (sources.inputs_digest("c", Some("r")), sources.proof_digest("c", Some("r")))
    };
    let base = digests(ALL);
    let with = |path: &str, content: &'static str| {
        let mut files: Vec<(&str, &str)> = ALL.iter().copied().filter(|(known, _)| *known != path).collect();
        files.push((path, content));
        digests(&files)
    };
    for path in ["migrations/10_b.sql", "migrations/11_c.sql", "repeatable/v.sql", "init/a.sql"] {
        let found = with(path, "changed;");
        assert!(found.0 != base.0 && found.1 != base.1, "{path}");
    }
    for path in ["init/production/p.sql", "testdata/other/t.sql", "checks/c.sql", "baseline.sql"] {
        let found = with(path, "changed;");
        assert!(found.0 == base.0 && found.1 != base.1, "{path}");
    }
    for path in ["pg_hba.conf", "migrations/README", "roles.toml", "unrelated"] {
        assert_eq!(with(path, "changed;"), base, "{path}");
    }
    assert_eq!(with("migrations/10_b.sql", "\u{feff}B;"), base);
    for (config, roles) in [("d", Some("r")), ("c", Some("other")), ("c", None)] {
        assert_ne!(read(ALL).inputs_digest(config, roles), base.0);
        assert_ne!(read(ALL).proof_digest(config, roles), base.1);
    }
}

impl Sources {
    /// Sources for tests of other modules, from files below `db/`.
    pub(crate) fn of_files(files: &[(&str, &str)]) -> Sources {
        let snapshot: Snapshot =
            files.iter().map(|(name, text)| (format!("db/{name}"), FileEntry::blob(text.as_bytes()))).collect();
        Sources::read(&snapshot, &Paths::default()).unwrap()
    }
}
