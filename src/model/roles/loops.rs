//! Memberships that lead back to where they began. PostgreSQL refuses the one that closes the loop; which one that is
//! would be chance.

use super::Roles;
use std::collections::BTreeSet;

/// The first loop, as the names on its way: the first one stands at its end again.
pub fn find(roles: &Roles) -> Option<Vec<String>> {
    let mut done = BTreeSet::new();
    roles.roles.keys().find_map(|name| visit(roles, name, &mut Vec::new(), &mut done))
}

fn visit<'r>(
    roles: &'r Roles,
    name: &'r str,
    way: &mut Vec<&'r str>,
    done: &mut BTreeSet<&'r str>,
) -> Option<Vec<String>> {
    if let Some(at) = way.iter().position(|known| *known == name) {
        return Some(way[at..].iter().chain([&name]).map(|name| (*name).to_owned()).collect());
    }
    if done.contains(name) {
        return None;
    }
    way.push(name);
    let groups = roles.roles.get(name).into_iter().flat_map(|role| &role.member_of);
    for group in groups {
        if let Some(found) = visit(roles, &group.role, way, done) {
            return Some(found);
        }
    }
    way.pop();
    done.insert(name);
    None
}
