//! Who is a member of what, as the roles file declares it. It says nothing about roles that the file does not know.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::roles::Roles;

/// The roles that each declared role is a member of, however indirectly, whether it inherits their privileges or not.
pub fn members(roles: &Roles) -> BTreeMap<String, BTreeSet<String>> {
    roles.roles.keys().map(|name| (name.clone(), closure(name, roles))).collect()
}

fn closure(name: &str, roles: &Roles) -> BTreeSet<String> {
    let (mut found, mut open) = (BTreeSet::new(), vec![name]);
    while let Some(name) = open.pop() {
        for group in roles.roles.get(name).into_iter().flat_map(|role| &role.member_of) {
            if found.insert(group.role.clone()) {
                open.push(&group.role);
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::roles::parse;

    #[test]
    fn memberships_are_followed() {
        let text = "[role.a]\nmember_of = [\"b\", { role = \"c\", admin = true }]\n[role.b]\nmember_of = [\"d\"]\n\
                    [role.d]\n[role.e]\nlogin = true\n";
        let members = members(&parse(text, "db/roles.toml", &[]).unwrap());
        let of = |name: &str| members[name].iter().map(String::as_str).collect::<Vec<_>>();
        assert_eq!(of("a"), ["b", "c", "d"]);
        assert_eq!(of("e"), Vec::<&str>::new());
        assert!(!members.contains_key("c"), "not declared");
    }
}
