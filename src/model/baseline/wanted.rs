//! An object as people name it: `orders`, `shop.orders`, `orders.total`, `function shop.total(int)`.

use super::facts::ObjectName;
use super::names::{tokens, unquote};
use super::rows::split_list;
use super::scan::Token;
use crate::error::{Error, Result};

/// What was asked for. It may fit several objects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    kind: Option<&'static str>,
    parts: Vec<String>,
    arguments: Option<Vec<String>>,
    text: String,
}

/// Kinds that may stand before a name; longer ones first.
const KINDS: [&str; 22] = [
    "materialized view",
    "foreign table",
    "foreign key",
    "event trigger",
    "table",
    "view",
    "column",
    "index",
    "constraint",
    "trigger",
    "policy",
    "rule",
    "sequence",
    "function",
    "procedure",
    "aggregate",
    "schema",
    "extension",
    "domain",
    "type",
    "role",
    "statistics",
];

/// Types that people and `pg_dump` write differently.
const TYPES: [(&str, &str); 11] = [
    ("int", "integer"),
    ("int4", "integer"),
    ("int8", "bigint"),
    ("int2", "smallint"),
    ("bool", "boolean"),
    ("varchar", "character varying"),
    ("char", "character"),
    ("float8", "double precision"),
    ("float4", "real"),
    ("timestamptz", "timestamp with time zone"),
    ("timestamp", "timestamp without time zone"),
];

impl Wanted {
    /// Reads a name.
    ///
    /// # Errors
    /// It is none (exit status 2).
    pub fn parse(text: &str) -> Result<Wanted> {
        let text = text.trim();
        let kind = KINDS.into_iter().find(|kind| rest_after(text, kind).is_some());
        let name = kind.and_then(|kind| rest_after(text, kind)).unwrap_or(text);
        let malformed = || {
            Error::usage(format!("`{text}` is no name of an object")).help(
                "write `orders`, `shop.orders`, `orders.total`, `function shop.total(int)` or `index orders_by_date`.",
            )
        };
        let (path, arguments) = match name.split_once('(') {
            Some((path, list)) => (path, Some(list.strip_suffix(')').ok_or_else(malformed)?)),
            None => (name, None),
        };
        let mut parts = Vec::new();
        for (place, word) in tokens(path).iter().enumerate() {
            match &word.token {
                Token::Word(range) | Token::Quoted(range) if place % 2 == 0 => {
                    parts.push(unquote(&path[range.clone()]));
                }
                Token::Punctuation(b'.') if place % 2 == 1 => {}
                _ => return Err(malformed()),
            }
        }
        if parts.is_empty() || parts.len() > 3 || path.trim_end().ends_with('.') {
            return Err(malformed());
        }
        let arguments = arguments.map(|list| split_list(list).iter().map(|argument| plain_type(argument)).collect());
        Ok(Wanted { kind, parts, arguments, text: text.to_owned() })
    }

    /// As it was written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// A word that stands wherever such an object is spoken of.
    pub fn word(&self) -> &str {
        self.parts.last().map_or("", String::as_str)
    }

    /// The objects that it may mean: whole ones before what stands on a table, columns last.
    pub fn find<'a>(&self, names: impl Iterator<Item = &'a ObjectName>) -> Vec<ObjectName> {
        let mut found: Vec<(u8, &ObjectName)> =
            names.filter(|name| self.fits(name)).map(|name| (rank(name), name)).collect();
        found.sort();
        let best = found.first().map(|(rank, _)| *rank);
        found.into_iter().filter(|(rank, _)| Some(*rank) == best).map(|(_, name)| name.clone()).collect()
    }

    fn fits(&self, name: &ObjectName) -> bool {
        if self.kind.is_some_and(|kind| kind != name.kind) {
            return false;
        }
        let arguments = name.name.split_once('(').and_then(|(_, list)| list.strip_suffix(')'));
        if let Some(wanted) = &self.arguments {
            let have: Option<Vec<String>> =
                arguments.map(|list| split_list(list).iter().map(|argument| plain_type(argument)).collect());
            if have.as_ref() != Some(wanted) {
                return false;
            }
        }
        let own = if arguments.is_some() { name.base() } else { &name.name };
        let is = |part: &Option<String>, wanted: &str| part.as_deref() == Some(wanted);
        match self.parts.as_slice() {
            [one] => own == one,
            [above, one] => own == one && (is(&name.of, above) || is(&name.schema, above) && name.kind != "column"),
            [schema, table, one] => own == one && is(&name.of, table) && is(&name.schema, schema),
            _ => false,
        }
    }
}

fn rest_after<'a>(text: &'a str, kind: &str) -> Option<&'a str> {
    let head = text.get(..kind.len()).filter(|head| head.eq_ignore_ascii_case(kind))?;
    let rest = &text[head.len()..];
    rest.starts_with(char::is_whitespace).then(|| rest.trim_start()).filter(|rest| !rest.is_empty())
}

fn rank(name: &ObjectName) -> u8 {
    match (&name.of, name.kind.as_str()) {
        (None, _) => 0,
        (_, "column") => 2,
        _ => 1,
    }
}

fn plain_type(text: &str) -> String {
    let text = text.trim().to_lowercase();
    let (bare, array) = text.split_at(text.find('[').unwrap_or(text.len()));
    let bare = bare.trim().strip_prefix("pg_catalog.").unwrap_or(bare.trim());
    let known = TYPES.iter().find(|(people, _)| *people == bare).map_or(bare, |(_, dump)| dump);
    format!("{known}{array}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(kind: &str, of: Option<&str>, own: &str) -> ObjectName {
        ObjectName { schema: Some("shop".into()), kind: kind.into(), of: of.map(str::to_owned), name: own.into() }
    }

    #[test]
    fn a_name_finds_what_people_mean() {
        let all = [
            name("table", None, "orders"),
            name("column", Some("orders"), "total"),
            name("column", Some("invoices"), "total"),
            name("function", None, "total(integer, text[])"),
            name("function", None, "total(bigint)"),
            name("index", Some("orders"), "orders_by_date"),
            name("table", None, "Odd \"Name\""),
        ];
        let find = |text: &str| -> Vec<usize> {
            let found = Wanted::parse(text).unwrap().find(all.iter());
            all.iter().enumerate().filter(|(_, name)| found.contains(name)).map(|(at, _)| at).collect()
        };
        assert_eq!(find("orders"), [0]);
        assert_eq!(find("SHOP.Orders"), [0]);
        assert_eq!(find("orders.total"), [1]);
        assert_eq!(find("shop.orders.total"), [1]);
        assert_eq!(find("column total"), [1, 2]);
        assert_eq!(find("total"), [3, 4], "functions before columns");
        assert_eq!(find("function shop.total(int4, text[])"), [3]);
        assert_eq!(find("total(int8)"), [4]);
        assert_eq!(find("orders_by_date"), [5]);
        assert_eq!(find("shop.\"Odd \"\"Name\"\"\""), [6]);
        assert!(find("table total").is_empty());
        for wrong in ["", "a b c", "a.", "a.b.c.d", "f(int", "'x'"] {
            assert!(Wanted::parse(wrong).is_err(), "{wrong}");
        }
    }
}
