//! Sentences about differences, and what is kept of a catalog.

use super::*;

fn catalog(objects: &[(&str, &str, &str)]) -> Catalog {
    let mut catalog = Catalog::default();
    for (kind, identity, definition) in objects {
        catalog.insert(kind, identity, &definition.replace('|', "\u{1f}"), &["me".to_owned()]);
    }
    catalog
}

fn sentences(found: &Catalog, expected: &Catalog) -> Vec<String> {
    found.compare(expected).iter().map(ToString::to_string).collect()
}

#[test]
fn sentences_name_object_and_aspect() {
    let expected = catalog(&[
        ("index", "public.x_idx", "definition=CREATE INDEX"),
        ("column", "public.t.a", "type=bigint|default=1"),
        ("trigger", "public.t.g", "definition=d"),
    ]);
    let found = catalog(&[
        ("column", "public.t.a", "type=integer"),
        ("trigger", "public.t.g", "definition=d|enabled=disabled"),
        ("view", "public.v", "definition=v"),
        ("column", "public.v.a", "type=integer"),
    ]);
    assert_eq!(
        sentences(&found, &expected),
        [
            "column `public.t.a`: default is missing, expected `1`",
            "column `public.t.a`: type is `integer`, expected `bigint`",
            "trigger `public.t.g` is disabled",
            "view `public.v` is unexpected",
            "index `public.x_idx` is missing",
        ]
    );
    assert_eq!(sentences(&expected, &expected), [""; 0]);
}

#[test]
fn either_accepted_form_will_do() {
    let replayed = catalog(&[("view", "public.v", "definition=a")]);
    let settled = catalog(&[("view", "public.v", "definition=b")]);
    let other = catalog(&[("view", "public.v", "definition=c")]);
    assert!(drift(&settled, &[&replayed, &settled]).is_empty());
    assert_eq!(drift(&other, &[&replayed, &settled]).len(), 1);
}

#[test]
fn the_owner_has_no_name() {
    let mine = catalog(&[("table", "public.t", "owner=me|privileges={me=r/me,x=r/me}")]);
    assert_eq!(
        mine.iter().next().map(|(_, a)| a.values().cloned().collect::<Vec<_>>()),
        Some(vec!["<owner>".to_owned(), "<owner>=r, x=r".to_owned()])
    );
}

#[test]
fn survives_a_cache_file() {
    let before = catalog(&[("table", "public.t", "owner=me"), ("settings", "this database", "a=b=c")]);
    let after: Catalog = serde_json::from_str(&serde_json::to_string(&before).unwrap()).unwrap();
    assert_eq!(before.digest(), after.digest());
    assert_eq!(before, after);
}
