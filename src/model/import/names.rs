//! Names of repeatable files that sort in the order in which the tool runs them.

use std::collections::BTreeSet;

/// The names as they are where sorting leaves them, else with a number in front of each.
pub fn in_order(names: impl IntoIterator<Item = String>) -> Vec<String> {
    let names: Vec<String> = names.into_iter().collect();
    let distinct = names.iter().collect::<BTreeSet<_>>().len() == names.len();
    if distinct && names.is_sorted() {
        return names;
    }
    let width = names.len().to_string().len().max(2);
    names.into_iter().enumerate().map(|(index, name)| format!("{:0width$}_{name}", index + 1)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_get_numbers_only_where_their_order_asks_for_it() {
        let of = |names: &[&str]| in_order(names.iter().map(|name| (*name).to_owned()));
        assert_eq!(of(&["a.sql", "b.sql"]), ["a.sql", "b.sql"]);
        assert_eq!(of(&["a_b.sql", "a1.sql"]), ["01_a_b.sql", "02_a1.sql"]);
        assert_eq!(of(&["a.sql", "a.sql"]), ["01_a.sql", "02_a.sql"]);
    }
}
