//! Which version each converted migration gets.
//!
//! A number of the tool's stays where that keeps the tool's order and where the next `dbbuild new`, named by the UTC
//! time to the second, comes after it. Numbers with more digits lose those behind the second; one that does not fit
//! between its neighbours becomes the neighbour's next; and where many do not fit, or there are no numbers, all are
//! counted from 1. The tool's own key stays in the record.

use std::collections::BTreeSet;

/// Digits of a UTC time to the second.
const LONGEST: usize = 14;

/// One in so many may get another number before all are counted anew.
const STRANGERS: usize = 20;

/// Gives versions in strictly increasing order to numbers in the tool's order.
pub fn assign(numbers: &[Option<&str>]) -> Vec<String> {
    if let Some(kept) = kept(numbers) {
        return kept;
    }
    adjusted(numbers).unwrap_or_else(|| counted(numbers.len()))
}

/// All numbers as they are.
fn kept(numbers: &[Option<&str>]) -> Option<Vec<String>> {
    let values: Vec<u64> = numbers.iter().map(|number| value((*number)?)).collect::<Option<_>>()?;
    let grows = values.windows(2).all(|pair| pair[0] < pair[1]);
    grows.then(|| numbers.iter().flatten().map(|number| (*number).to_owned()).collect())
}

/// The number, where it has at most [`LONGEST`] digits beside leading zeros.
fn value(number: &str) -> Option<u64> {
    let digits = number.trim_start_matches('0');
    if digits.len() > LONGEST {
        None
    } else if digits.is_empty() {
        Some(0)
    } else {
        digits.parse().ok()
    }
}

/// Numbers cut to the second, and few strangers among them put behind their neighbour.
fn adjusted(numbers: &[Option<&str>]) -> Option<Vec<String>> {
    let few = numbers.len().div_ceil(STRANGERS);
    let mut strangers = 0;
    let mut versions: Vec<(u64, String)> = Vec::with_capacity(numbers.len());
    for number in numbers {
        let number = (*number)?;
        let cut = number.get(..LONGEST).filter(|cut| number.len() > LONGEST && is_time(cut)).unwrap_or(number);
        let last = versions.last().map(|(last, _)| *last);
        match value(cut).filter(|wanted| last.is_none_or(|last| last < *wanted)) {
            Some(wanted) => versions.push((wanted, cut.to_owned())),
            None => {
                strangers += 1;
                let next = last.map_or(1, |last| last + 1);
                versions.push((next, next.to_string()));
            }
        }
    }
    (strangers <= few && versions.last().is_none_or(|(last, _)| last.to_string().len() <= LONGEST))
        .then(|| versions.into_iter().map(|(_, version)| version).collect())
}

/// Whether fourteen digits can be a time to the second; what goes on behind them is then a counter or a fraction.
fn is_time(digits: &str) -> bool {
    let part = |from: usize, most: u32| {
        digits.get(from..from + 2).and_then(|part| part.parse().ok()).is_some_and(|n: u32| n <= most)
    };
    part(4, 12) && part(6, 31) && part(8, 23) && part(10, 59) && part(12, 59)
}

/// 1, 2, 3 …, all of the same length so that a listing shows them in order.
fn counted(count: usize) -> Vec<String> {
    let width = count.to_string().len().max(4);
    (1..=count).map(|n| format!("{n:0width$}")).collect()
}

/// Numbers that are given twice.
pub fn twice<'a>(numbers: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    let mut seen = BTreeSet::new();
    numbers.into_iter().filter(|number| !seen.insert(number.trim_start_matches('0'))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::version::Version;
    use proptest::prelude::*;

    fn given(numbers: &[&str]) -> Vec<String> {
        assign(&numbers.iter().map(|number| Some(*number)).collect::<Vec<_>>())
    }

    #[test]
    fn numbers_stay_where_order_allows() {
        assert_eq!(given(&["0001", "2", "20240101120000"]), ["0001", "2", "20240101120000"]);
        assert_eq!(given(&["00000000000000", "20240101120000"]), ["00000000000000", "20240101120000"]);
    }

    #[test]
    fn longer_ones_are_cut_to_the_second() {
        let diesel = ["00000000000000", "20140924113530", "20190322170700", "202606261009020000", "202606261100130000"];
        assert_eq!(given(&diesel)[3..], ["20260626100902", "20260626110013"]);
    }

    #[test]
    fn a_slip_comes_behind_its_neighbour() {
        assert_eq!(given(&["20260101000000", "20260201000000", "202601016134308"])[2], "20260201000001");
    }

    #[test]
    fn what_has_no_number_or_no_order_is_counted() {
        assert_eq!(assign(&[None, Some("7")]), ["0001", "0002"]);
        assert_eq!(given(&["3", "2", "1"]), ["0001", "0002", "0003"]);
        assert!(assign(&[]).is_empty());
    }

    proptest! {
        #[test]
        fn order_is_always_the_tools_and_a_new_one_comes_last(numbers in prop::collection::vec("[0-9]{1,20}", 0..40)) {
            let numbers: Vec<&str> = numbers.iter().map(String::as_str).collect();
            let versions: Vec<Version> = given(&numbers).iter().map(|v| Version::parse(v).unwrap()).collect();
            prop_assert_eq!(versions.len(), numbers.len());
            prop_assert!(versions.windows(2).all(|pair| pair[0] < pair[1]));
            let end = Version::parse("100000000000000").unwrap();
            prop_assert!(versions.iter().all(|version| *version < end));
        }
    }
}
