//! What counts as a change of a published migration.

use super::*;
use crate::model::baseline::Rewritten;

fn migrations(files: &[(&str, &str)]) -> Vec<Migration> {
    let parse = |(name, text): &(&str, &str)| Migration::parse(&format!("db/migrations/{name}.sql"), text.as_bytes());
    let mut found: Vec<_> = files.iter().map(|file| parse(file).unwrap()).collect();
    found.sort_by(|one, other| one.version.cmp(&other.version));
    found
}

fn base(published: &[(&str, &str)], ahead: &[(&str, &str)]) -> Base {
    Base {
        commit: "1".repeat(40),
        name: "origin/main".into(),
        config: Config::default(),
        sources: Sources { migrations: migrations(published), ..Sources::default() },
        tip: "2".repeat(40),
        ahead: migrations(ahead),
    }
}

/// What was found, as `Change published → judged`.
fn check(published: &[(&str, &str)], ahead: &[(&str, &str)], judged: &[(&str, &str)]) -> Vec<String> {
    let (base, judged) = (base(published, ahead), migrations(judged));
    let told = |v: &Violation<'_>| {
        let now = v.judged.map_or("nothing".to_owned(), Migration::label);
        format!("{:?} {} → {now}", v.change, v.published.label())
    };
    violations(&base, &judged.iter().collect::<Vec<_>>()).iter().map(told).collect()
}

const A: (&str, &str) = ("1_a", "SELECT 1;\n");
const B: (&str, &str) = ("2_b", "SELECT 2;\n");
const NONE: &[(&str, &str)] = &[];

#[test]
fn what_is_as_published_or_new_is_no_change() {
    assert_eq!(check(&[A, B], NONE, &[A, B, ("3_c", "SELECT 3")]), NONE_FOUND);
    assert_eq!(check(&[A], NONE, &[("1_a", "SELECT 1;\r\n")]), NONE_FOUND, "line ends do not count");
    assert_eq!(check(NONE, NONE, &[A]), NONE_FOUND);
}

const NONE_FOUND: [String; 0] = [];

#[test]
fn edits_renames_moves_and_removals_are_told_apart() {
    assert_eq!(check(&[A, B], NONE, &[A, ("2_b", "SELECT 3;\n")]), ["Edited 2_b → 2_b"]);
    assert_eq!(check(&[A, B], NONE, &[A, ("2_other", "SELECT 3;\n")]), ["Edited 2_b → 2_other"]);
    assert_eq!(check(&[A, B], NONE, &[A, ("2_other", B.1)]), ["Renamed 2_b → 2_other"]);
    assert_eq!(check(&[A, B], NONE, &[A, ("02_b", B.1)]), ["Renamed 2_b → 02_b"]);
    assert_eq!(check(&[A, B], NONE, &[A, ("3_b", B.1)]), ["Moved 2_b → 3_b"]);
    assert_eq!(check(&[A, B], NONE, &[A]), ["Removed 2_b → nothing"]);
    assert_eq!(check(&[A, B], NONE, NONE), ["Removed 1_a → nothing", "Removed 2_b → nothing"]);
    assert_eq!(check(&[A, B], NONE, &[("1_a", B.1), ("2_b", A.1)]), ["Edited 1_a → 1_a", "Edited 2_b → 2_b"]);
    let twin = ("1_a", B.1);
    assert_eq!(check(&[twin, B], NONE, &[twin]), ["Removed 2_b → nothing"], "another published one is no new place");
}

#[test]
fn a_version_that_upstream_took_since_is_found() {
    assert_eq!(check(&[A], &[B], &[A, ("2_mine", "SELECT 9")]), ["Taken 2_b → 2_mine"]);
    assert_eq!(check(&[A], &[B], &[A, ("2_mine", B.1)]), ["Taken 2_b → 2_mine"]);
    assert_eq!(check(&[A], &[B], &[A]), NONE_FOUND, "a branch need not have what came later");
    assert_eq!(check(&[A], &[B], &[A, B]), NONE_FOUND, "the same migration, picked");
    assert_eq!(check(&[A], &[("1_a", "SELECT 7")], &[A]), NONE_FOUND, "rewritten there, not here");
}

#[test]
fn leave_names_the_content_that_it_is_given_for() {
    let (base, edited) = (base(&[A, B], &[]), migrations(&[A, ("2_b", "SELECT 3;\n")]));
    let wanted = violations(&base, &edited.iter().collect::<Vec<_>>())[0].as_rewritten();
    let version = Version::parse("2").unwrap();
    assert_eq!(wanted, Rewritten { version: version.clone(), content: Some(edited[1].checksum) });
    let moved = migrations(&[A, ("3_b", B.1)]);
    assert_eq!(
        violations(&base, &moved.iter().collect::<Vec<_>>())[0].as_rewritten(),
        Rewritten { version, content: None }
    );
}

#[test]
fn the_next_version_is_greater_and_as_wide() {
    let next = |known: &[&str]| {
        let known: Vec<_> = known.iter().map(|text| Version::parse(text).unwrap()).collect();
        next_version(known.iter())
    };
    assert_eq!(next(&["0009", "0001"]), "0010");
    assert_eq!(next(&["999"]), "1000");
    assert_eq!(next(&["20240101120059"]), "20240101120060");
    assert_eq!(next(&[]), "1");
}

#[test]
fn what_a_squash_lists_may_go_and_nothing_else() {
    let rows: Vec<String> = migrations(&[A, B]).iter().flat_map(squash::rows).map(|row| row.to_string()).collect();
    let text = |rows: &[&String]| {
        let lines: Vec<String> = rows.iter().map(|row| format!("-- dbbuild:squashes {row}\n")).collect();
        format!("{}SELECT 3;\n", lines.concat())
    };
    let both = text(&[&rows[0], &rows[1]]);
    assert_eq!(check(&[A, B], NONE, &[("2_squashed", &both)]), NONE_FOUND);
    let last = text(&[&rows[1]]);
    assert_eq!(check(&[A, B], NONE, &[("2_squashed", &last)]), ["Removed 1_a → nothing"]);
    let edited = ("1_a", "SELECT 9;\n");
    assert_eq!(check(&[edited, B], NONE, &[("2_squashed", &both)]), ["Removed 1_a → nothing"]);
    // A published squash is as immutable as what it stands for, unless a later one takes it in.
    assert_eq!(check(&[("2_squashed", &both)], NONE, &[A, B]), ["Edited 2_squashed → 2_b"]);
    assert_eq!(check(&[("2_squashed", &both)], NONE, &[]), ["Removed 2_squashed → nothing"]);
    let c =
        migrations(&[("3_c", "SELECT 3;\n")]).iter().flat_map(squash::rows).map(|row| row.to_string()).next().unwrap();
    let three = text(&[&rows[0], &rows[1], &c]);
    assert_eq!(check(&[("2_squashed", &both), ("3_c", "SELECT 3;\n")], NONE, &[("3_squashed", &three)]), NONE_FOUND);
    // What was never published is told.
    let (base, judged) = (base(&[A], NONE), migrations(&[("2_squashed", &both)]));
    let strange: Vec<String> = unpublished(&base, &judged[0]).iter().map(|row| row.label()).collect();
    assert_eq!(strange, ["2_b"]);
}
