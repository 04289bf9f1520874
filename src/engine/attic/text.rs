//! Values as texts that can be compared: the same at keeping and at giving back, whatever the session or the types say.

use crate::model::sql::identifier;

/// Settings under which texts of values are the same at keeping and at giving back, whatever a script has set.
pub(super) const PINS: [(&str, &str); 11] = [
    ("search_path", "pg_catalog"),
    ("DateStyle", "ISO"),
    ("IntervalStyle", "postgres"),
    ("TimeZone", "UTC"),
    ("bytea_output", "hex"),
    ("extra_float_digits", "1"),
    ("xmloption", "content"),
    ("lc_monetary", "C"),
    ("row_security", "off"),
    ("synchronize_seqscans", "off"),
    ("statement_timeout", "0"),
];

/// `ROW(t."a"::text, …)`: to be compared with the same of other columns, whatever their types.
pub(super) fn texts<'n>(of: &str, names: impl IntoIterator<Item = &'n str>) -> String {
    let texts: Vec<String> =
        names.into_iter().map(|name| format!("{of}.{}::text COLLATE \"C\"", identifier(name))).collect();
    format!("ROW({})", texts.join(", "))
}

/// A number that stands for some columns of a row.
pub(super) fn hash<'n>(of: &str, names: impl IntoIterator<Item = &'n str>) -> String {
    format!("pg_catalog.hashtextextended({}::text COLLATE \"C\", 0)", texts(of, names))
}

/// A query for one text that stands for all rows of a table, of which the order does not count.
pub(super) fn digest(rows: &str, names: &[&str]) -> String {
    let mut names = names.to_vec();
    names.sort_unstable();
    format!(
        "SELECT pg_catalog.concat_ws(' ', pg_catalog.count(*), pg_catalog.sum({})) FROM {rows} t",
        hash("t", names.iter().copied())
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_of_any_type_are_compared_as_texts() {
        assert_eq!(texts("t", ["a", "b\""]), "ROW(t.\"a\"::text COLLATE \"C\", t.\"b\"\"\"::text COLLATE \"C\")");
    }
}
