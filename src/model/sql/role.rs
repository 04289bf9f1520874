//! Finds the roles that statements make.

use super::words::{WordKind, Words};

/// The names of the roles that a statement makes: `CREATE ROLE`, `CREATE USER` or `CREATE GROUP`, also inside a `DO`
/// block. What a block puts together from texts is not seen.
pub fn made_roles(statement: &str) -> Vec<String> {
    let mut words = Words::new(statement);
    if !words.eat(&["do"]) {
        return made(&mut words).into_iter().collect();
    }
    let mut found = Vec::new();
    for word in words {
        if word.kind == WordKind::Text && word.text.starts_with('$') {
            let tag = word.text[1..].find('$').map_or(0, |end| end + 2);
            let body = word.text.get(tag..word.text.len().saturating_sub(tag)).unwrap_or_default();
            let mut inner = Words::new(body);
            while inner.peek(0).is_some() {
                match made(&mut inner) {
                    Some(name) => found.push(name),
                    None => drop(inner.next()),
                }
            }
        }
    }
    found
}

/// Steps over the beginning of a statement that makes a role, if one begins here.
fn made(words: &mut Words<'_>) -> Option<String> {
    if !words.is(0, "create")
        || words.is(2, "mapping")
        || !["role", "user", "group"].iter().any(|word| words.is(1, word))
    {
        return None;
    }
    words.next();
    words.next();
    let name = words.name()?;
    Some(match name.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        Some(inner) => inner.replace("\"\"", "\""),
        None => name.to_lowercase(),
    })
}

#[cfg(test)]
mod tests {
    use super::made_roles;

    #[test]
    fn only_statements_that_make_a_role_name_one() {
        for (statement, names) in [
            ("CREATE ROLE App_Reader NOLOGIN", "app_reader"),
            ("-- first\ncreate user \"Odd \"\"one\"\"\"", "Odd \"one\""),
            ("CREATE GROUP g", "g"),
            ("CREATE USER MAPPING FOR app SERVER s", ""),
            ("ALTER ROLE app LOGIN", ""),
            ("CREATE TABLE role (id int)", ""),
            ("DO $$ BEGIN IF true THEN CREATE ROLE a; END IF; CREATE USER \"B\"; END $$", "a B"),
            ("DO LANGUAGE plpgsql $x$ BEGIN PERFORM 'CREATE ROLE no'; END $x$", ""),
            ("CREATE FUNCTION f() RETURNS void LANGUAGE plpgsql AS $$ BEGIN CREATE ROLE later; END $$", ""),
            ("DO $$", ""),
        ] {
            assert_eq!(made_roles(statement).join(" "), names, "{statement}");
        }
    }
}
