//! Finds the role that a statement makes.

use super::words::Words;

/// The name of the role that `CREATE ROLE`, `CREATE USER` or `CREATE GROUP` makes; `None` for every other statement.
pub fn made_role(statement: &str) -> Option<String> {
    let mut words = Words::new(statement);
    if !words.eat(&["create"]) || words.eat_any(&["role", "user", "group"]).is_none() || words.eat(&["mapping"]) {
        return None;
    }
    let name = words.name()?;
    Some(match name.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        Some(inner) => inner.replace("\"\"", "\""),
        None => name.to_lowercase(),
    })
}

#[cfg(test)]
mod tests {
    use super::made_role;

    #[test]
    fn only_statements_that_make_a_role_name_one() {
        for (statement, name) in [
            ("CREATE ROLE App_Reader NOLOGIN", Some("app_reader")),
            ("-- first\ncreate user \"Odd \"\"one\"\"\"", Some("Odd \"one\"")),
            ("CREATE GROUP g", Some("g")),
            ("CREATE USER MAPPING FOR app SERVER s", None),
            ("ALTER ROLE app LOGIN", None),
            ("CREATE TABLE role (id int)", None),
        ] {
            assert_eq!(made_role(statement).as_deref(), name, "{statement}");
        }
    }
}
