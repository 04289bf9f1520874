//! Replays that differ, and baselines that agree with them or do not.

use super::super::dump::{self, Dump};
use super::*;
use proptest::prelude::*;

/// Tables `s.parent (id, at, name)` and `s.child (parent_id, n)`, linked by a foreign key.
fn dump(parents: &[(&str, &str, &str)], children: &[(&str, &str)]) -> Dump {
    let mut text = String::from(
        "--\n-- Name: parent; Type: TABLE DATA; Schema: s\n--\n\nCOPY s.parent (id, at, name) FROM stdin;\n",
    );
    let mut rows: Vec<String> = parents.iter().map(|(id, at, name)| format!("{id}\t{at}\t{name}\n")).collect();
    rows.sort();
    text.push_str(&rows.concat());
    text.push_str(
        "\\.\n\n--\n-- Name: child; Type: TABLE DATA; Schema: s\n--\n\nCOPY s.child (parent_id, n) FROM stdin;\n",
    );
    let mut rows: Vec<String> = children.iter().map(|(parent, n)| format!("{parent}\t{n}\n")).collect();
    rows.sort();
    text.push_str(&rows.concat());
    text.push_str(
        "\\.\n\n--\n-- Name: child child_fkey; Type: FK CONSTRAINT; Schema: s\n--\n\nALTER TABLE ONLY s.child\n    \
         ADD CONSTRAINT child_fkey FOREIGN KEY (parent_id) REFERENCES s.parent(id) ON DELETE CASCADE;\n",
    );
    Dump { entries: dump::parse(&text).unwrap().entries }
}

fn names(columns: &BTreeSet<ColumnName>) -> Vec<String> {
    columns.iter().map(ToString::to_string).collect()
}

#[test]
fn columns_that_differ_are_volatile() {
    let first = dump(&[("u1", "t1", "a"), ("u2", "t1", "b")], &[("u1", "1")]);
    let second = dump(&[("v1", "t2", "a"), ("v2", "t2", "b")], &[("v1", "1")]);
    assert_eq!(names(&volatility(&first, &second).columns), ["s.child.parent_id", "s.parent.at", "s.parent.id"]);
    assert_eq!(volatility(&first, &first), Volatility::default());
    let longer = dump(&[("v1", "t2", "a")], &[("v1", "1")]);
    assert_eq!(volatility(&first, &longer).unstable_tables.len(), 1);
}

#[test]
fn references_count_and_keys_do_not() {
    let first = dump(&[("u1", "t1", "a"), ("u2", "t1", "b")], &[("u1", "1"), ("u1", "2")]);
    let second = dump(&[("v1", "t2", "a"), ("v2", "t2", "b")], &[("v1", "1"), ("v1", "2")]);
    let same = dump(&[("z9", "t0", "a"), ("z1", "t3", "b")], &[("z9", "1"), ("z9", "2")]);
    assert_eq!(differing_rows(&same, &first, &second), BTreeSet::new());
    let elsewhere = dump(&[("z9", "t0", "a"), ("z1", "t0", "b")], &[("z1", "1"), ("z9", "2")]);
    assert!(differing_rows(&elsewhere, &first, &second).contains("s.child"));
    let renamed = dump(&[("z9", "t0", "a"), ("z1", "t0", "c")], &[("z9", "1"), ("z9", "2")]);
    assert!(differing_rows(&renamed, &first, &second).contains("s.parent"));
}

#[test]
fn stable_values_of_a_volatile_column_are_compared() {
    let first = dump(&[("1", "2024-01-01", "a"), ("2", "t1", "b")], &[]);
    let second = dump(&[("1", "2024-01-01", "a"), ("2", "t2", "b")], &[]);
    let same = dump(&[("1", "2024-01-01", "a"), ("2", "t3", "b")], &[]);
    let other = dump(&[("1", "2024-01-02", "a"), ("2", "t3", "b")], &[]);
    assert_eq!(differing_rows(&same, &first, &second), BTreeSet::new());
    assert!(differing_rows(&other, &first, &second).contains("s.parent"));
}

#[test]
fn committed_values_are_kept() {
    let first = dump(&[("u1", "t1", "a")], &[("u1", "1")]);
    let second = dump(&[("v1", "t2", "a")], &[("v1", "1")]);
    let committed = dump(&[("z9", "t0", "a")], &[("z9", "1")]);
    assert_eq!(keep_committed(&committed, &first, &second), committed);
    let changed = dump(&[("z9", "t0", "old")], &[("z9", "1")]);
    assert_eq!(keep_committed(&changed, &first, &second), first);
}

#[test]
fn random_values_of_few_kinds_are_left_alone() {
    let first = dump(&[("1", "t", "a"), ("2", "t", "a"), ("3", "f", "a")], &[]);
    let second = dump(&[("1", "t", "a"), ("2", "f", "a"), ("3", "f", "a")], &[]);
    let committed = dump(&[("1", "f", "a"), ("2", "f", "a"), ("3", "f", "a")], &[]);
    assert_eq!(differing_rows(&committed, &first, &second), BTreeSet::new());
}

proptest! {
    /// Renaming all keys of a random forest changes nothing; moving one child to another parent is seen.
    #[test]
    fn structure_is_compared(parents in 2usize..6, links in proptest::collection::vec(0usize..6, 1..12), moved in 0usize..12) {
        let build = |prefix: &str, links: &[usize]| {
            let keys: Vec<String> = (0..parents).map(|p| format!("{prefix}{}", (p * 7) % 11)).collect();
            let names: Vec<String> = (0..parents).map(|p| format!("name{p}")).collect();
            let numbers: Vec<String> = (0..links.len()).map(|n| n.to_string()).collect();
            let rows: Vec<_> = keys.iter().zip(&names).map(|(k, n)| (k.as_str(), prefix, n.as_str())).collect();
            let children: Vec<_> =
                links.iter().zip(&numbers).map(|(l, n)| (keys[l % parents].as_str(), n.as_str())).collect();
            dump(&rows, &children)
        };
        let (first, second, committed) = (build("u", &links), build("v", &links), build("z", &links));
        prop_assert_eq!(differing_rows(&committed, &first, &second), BTreeSet::new());
        let mut other = links.clone();
        let at = moved % links.len();
        other[at] += 1;
        prop_assert!(differing_rows(&build("z", &other), &first, &second).contains("s.child"));
    }
}
