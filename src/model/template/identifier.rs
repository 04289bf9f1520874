//! Names of PostgreSQL objects as templates need them: quoted where necessary, joined, shortened. It parses no SQL: a
//! name is taken as it is, with a dot between schema and object.

/// Words that cannot name a table or column without quotes.
const RESERVED: &str = " all analyse analyze and any array as asc asymmetric authorization binary both case cast check \
    collate collation column concurrently constraint create cross current_catalog current_date current_role \
    current_schema current_time current_timestamp current_user default deferrable desc distinct do else end except \
    false fetch for foreign freeze from full grant group having ilike in initially inner intersect into is isnull join \
    lateral leading left like limit localtime localtimestamp natural not notnull null offset on only or order outer \
    overlaps placing primary references returning right select session_user similar some symmetric system_user table \
    tablesample then to trailing true union unique user using variadic verbose when where window with ";

/// PostgreSQL cuts longer names off.
const LONGEST: usize = 63;

/// A name, perhaps with its schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name {
    schema: Option<String>,
    name: String,
}

impl Name {
    /// `sales.orders` or `orders`; the first dot divides.
    pub fn new(text: &str) -> Self {
        match text.split_once('.') {
            Some((schema, name)) if !schema.is_empty() && !name.is_empty() => {
                Name { schema: Some(schema.to_owned()), name: name.to_owned() }
            }
            _ => Name { schema: None, name: text.to_owned() },
        }
    }

    /// The name without its schema, unquoted.
    pub fn bare(&self) -> &str {
        &self.name
    }

    /// As SQL: `sales."Order"`.
    pub fn quoted(&self) -> String {
        format!("{}{}", self.schema_dot(), quote(&self.name))
    }

    /// The quoted schema and a dot, or nothing.
    pub fn schema_dot(&self) -> String {
        self.schema.as_deref().map(|schema| format!("{}.", quote(schema))).unwrap_or_default()
    }

    /// Another object beside this one: `orders` and `sync` give `orders_sync` in the same schema.
    pub fn beside(&self, parts: &[&str]) -> Name {
        Name { schema: self.schema.clone(), name: join(&self.name, parts) }
    }
}

/// Quotes an identifier where PostgreSQL would not read it back unchanged.
pub fn quote(name: &str) -> String {
    let plain = name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
        && !RESERVED.contains(&format!(" {name} "));
    if plain { name.to_owned() } else { crate::model::sql::identifier(name) }
}

/// `table`, `column` and what it is for, joined by `_` in at most 63 bytes; the table's name and then the column's give way.
fn join(first: &str, parts: &[&str]) -> String {
    let last: usize = parts.last().map_or(0, |part| part.len() + 1);
    let mut joined = first.to_owned();
    for part in parts.iter().take(parts.len().saturating_sub(1)) {
        joined = format!("{joined}_{part}");
    }
    let mut end = joined.len().min(LONGEST.saturating_sub(last));
    while !joined.is_char_boundary(end) {
        end -= 1;
    }
    joined.truncate(end);
    parts.last().map_or(joined.clone(), |part| format!("{joined}_{part}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_that_need_it_are_quoted() {
        for (name, expected) in [
            ("orders", "orders"),
            ("order", "\"order\""),
            ("Order Items", "\"Order Items\""),
            ("a\"b", "\"a\"\"b\""),
            ("2nd", "\"2nd\""),
            ("système", "\"système\""),
        ] {
            assert_eq!(quote(name), expected);
        }
    }

    #[test]
    fn a_schema_stays_with_its_object() {
        let name = Name::new("sales.Order");
        assert_eq!(name.quoted(), "sales.\"Order\"");
        assert_eq!(name.beside(&["id", "idx"]).quoted(), "sales.\"Order_id_idx\"");
        assert_eq!(Name::new("orders").schema_dot(), "");
    }

    #[test]
    fn long_names_keep_their_ending() {
        let name = Name::new(&"é".repeat(40)).beside(&["column", "fkey"]);
        assert!(name.bare().len() <= LONGEST);
        assert!(name.bare().ends_with("_fkey"));
    }
}
