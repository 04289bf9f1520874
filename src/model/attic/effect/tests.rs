//! What two looks mean.

use super::*;

fn table(columns: &[(i16, &str)]) -> Relation {
    let shape = |kind: &str| Shape { kind: kind.trim_end_matches('*').to_owned(), generated: kind.ends_with('*') };
    let columns = columns.iter().map(|(number, kind)| (*number, shape(kind))).collect();
    Relation { kind: 'r', file: 7, columns, ..Relation::default() }
}

fn look(relations: &[(u32, Relation)]) -> Look {
    Look { relations: relations.iter().cloned().collect(), large_objects: 0 }
}

fn changed(old: Relation, new: Relation) -> Change {
    between(&look(&[(1, old)]), &look(&[(1, new)])).tables.remove(&1).unwrap_or_default()
}

#[test]
fn what_only_adds_loses_nothing() {
    let before = look(&[(1, table(&[(1, "int")]))]);
    let mut more = table(&[(1, "int"), (2, "text")]);
    more.counts = [9, 0, 0];
    let after = look(&[(1, more), (2, table(&[]))]);
    assert!(between(&before, &after).is_empty());
    // Counters of earlier transactions are no change.
    let busy = || Relation { counts: [5, 6, 7], ..table(&[]) };
    assert!(between(&look(&[(1, busy())]), &look(&[(1, busy())])).is_empty());
}

#[test]
fn each_kind_of_loss_is_seen() {
    let old = || table(&[(1, "int"), (2, "text"), (3, "int*")]);
    assert!(between(&look(&[(1, old())]), &look(&[])).tables[&1].gone);
    assert_eq!(changed(old(), table(&[(1, "int"), (3, "int*")])).dropped, [2].into());
    // What is generated comes again by itself.
    assert_eq!(changed(old(), table(&[(1, "int"), (2, "text")])), Change::default());
    let rewritten = changed(old(), Relation { file: 8, ..table(&[(1, "int"), (2, "varchar"), (3, "big*")]) });
    assert!(rewritten.rewritten && rewritten.retyped == [2].into(), "{rewritten:?}");
    // In the same file every value is as it was.
    assert_eq!(changed(old(), table(&[(1, "int"), (2, "varchar"), (3, "int*")])), Change::default());
    let touched = changed(old(), Relation { counts: [1, 2, 3], ..old() });
    assert_eq!((touched.counts, touched.touched()), ([1, 2, 3], 5));
}

#[test]
fn positions_of_sequences_count_when_they_go_back() {
    let at = |position| Relation { kind: 'S', file: 7, position, ..Relation::default() };
    let between = |old, new| between(&look(&[(1, at(old))]), &look(&[(1, at(new))])).sequences.len();
    assert_eq!(between(Some((5, true)), Some((9, true))), 0);
    assert_eq!(between(Some((5, true)), Some((4, true))), 1);
    assert_eq!(between(Some((5, true)), None), 1);
    assert_eq!(between(None, Some((5, true))), 0);
    assert_eq!(between(Some((-5, false)), Some((-9, false))), 0);
    assert_eq!(between(Some((-5, false)), Some((-4, false))), 1);
}

#[test]
fn what_cannot_be_kept_is_seen() {
    let before = look(&[(1, Relation { own: true, ..table(&[]) }), (2, Relation { kind: 'f', ..table(&[]) })]);
    let after = look(&[
        (1, Relation { own: true, counts: [0, 0, 1], ..table(&[]) }),
        (2, Relation { kind: 'f', locked_for_writing: true, ..table(&[]) }),
    ]);
    let effects = between(&before, &Look { large_objects: 1, ..after });
    assert!(effects.large_objects && effects.own == [1].into() && effects.foreign == [2].into(), "{effects:?}");
    assert!(!Effects::default().covers(&effects));
}

#[test]
fn a_second_run_must_do_nothing_new() {
    let before = look(&[(1, table(&[(1, "int")])), (2, table(&[]))]);
    let first =
        between(&before, &look(&[(1, Relation { counts: [0, 1, 0], ..table(&[(1, "int")]) }), (2, table(&[]))]));
    let more = between(&before, &look(&[(1, Relation { counts: [0, 9, 9], ..table(&[(1, "int")]) }), (2, table(&[]))]));
    assert!(first.covers(&more) && more.covers(&first));
    let other = between(&before, &look(&[(1, Relation { counts: [0, 1, 0], ..table(&[(1, "int")]) })]));
    assert!(!first.covers(&other));
    let mut both = first.clone();
    both.absorb(&other);
    assert!(both.covers(&other));
}

#[test]
fn partitions_belong_to_the_oldest_table_that_keeps_them() {
    let part = |parent| Relation { parent, ..table(&[]) };
    let before = look(&[(1, part(None)), (2, part(Some(1))), (3, part(Some(2)))]);
    let effects = Effects::default();
    assert_eq!(effects.root_of(&before, &before, 3), 1);
    let detached = look(&[(1, part(None)), (2, part(None)), (3, part(Some(2)))]);
    assert_eq!(effects.root_of(&before, &detached, 3), 2);
    assert_eq!(effects.root_of(&before, &look(&[]), 3), 3);
}
