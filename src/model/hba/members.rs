//! Who is a member of what, as the roles file declares it. It says nothing about roles that the file does not know.

use std::collections::{BTreeMap, BTreeSet};

use toml::{Table, Value};

/// The roles that each declared role is a member of, however indirectly. A file that is no TOML declares none: the
/// commands about roles say what is wrong with it.
pub fn members(roles: &str) -> BTreeMap<String, BTreeSet<String>> {
    let table = roles.parse::<Table>().unwrap_or_default();
    let declared = table.get("role").and_then(Value::as_table);
    let direct: BTreeMap<&str, BTreeSet<&str>> = declared
        .into_iter()
        .flatten()
        .map(|(name, role)| {
            let groups = role.get("member_of").and_then(Value::as_array);
            (name.as_str(), groups.into_iter().flatten().filter_map(group).collect())
        })
        .collect();
    direct.keys().map(|name| ((*name).to_owned(), closure(name, &direct))).collect()
}

/// `"name"`, or a table with the name and options.
fn group(item: &Value) -> Option<&str> {
    item.as_str().or_else(|| item.get("role")?.as_str())
}

fn closure(name: &str, direct: &BTreeMap<&str, BTreeSet<&str>>) -> BTreeSet<String> {
    let (mut found, mut open) = (BTreeSet::new(), vec![name]);
    while let Some(role) = open.pop() {
        for group in direct.get(role).into_iter().flatten() {
            if found.insert((*group).to_owned()) {
                open.push(group);
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memberships_are_followed() {
        let text = "[role.a]\nmember_of = [\"b\", { role = \"c\", admin = true }]\n[role.b]\nmember_of = [\"d\"]\n\
                    [role.d]\nmember_of = [\"a\"]\n[role.e]\nlogin = true\n";
        let members = members(text);
        let of = |name: &str| members[name].iter().map(String::as_str).collect::<Vec<_>>();
        assert_eq!(of("a"), ["a", "b", "c", "d"]);
        assert_eq!(of("e"), Vec::<&str>::new());
        assert!(!members.contains_key("c"), "not declared");
        assert!(super::members("not = toml = ").is_empty());
    }
}
