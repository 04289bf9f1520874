//! Access privileges as text: PostgreSQL's `{grantee=privileges/grantor,…}`, in an order that depends on no history.

use super::alias;
use std::collections::BTreeMap;

/// The order in which PostgreSQL writes privileges.
const ORDER: &str = "arwdDxtXUCTcsAm";

/// Sorts the items and names the owner by an alias. Text of another form is returned as it is.
pub(super) fn normalise(acl: &str, own_roles: &[String]) -> String {
    let Some(elements) = array_elements(acl) else { return acl.to_owned() };
    let mut items: Vec<String> = elements.iter().map(|item| normal_item(item, own_roles)).collect();
    items.sort();
    merged(&items).join(", ")
}

/// Items of several own roles became items of one grantee, who then has the privileges of all.
fn merged(sorted: &[String]) -> Vec<String> {
    let mut items: Vec<(String, String, BTreeMap<char, bool>)> = Vec::new();
    for item in sorted {
        let Some((grantee, rest)) = item.rsplit_once('=') else { return sorted.to_vec() };
        let (privileges, grantor) = rest.split_once('/').unwrap_or((rest, ""));
        let mut grants = BTreeMap::new();
        let mut chars = privileges.chars().peekable();
        while let Some(privilege) = chars.next() {
            grants.insert(privilege, chars.next_if_eq(&'*').is_some());
        }
        match items.iter_mut().find(|(known, by, _)| known == grantee && by == grantor) {
            Some((_, _, known)) => {
                grants.into_iter().for_each(|(privilege, option)| *known.entry(privilege).or_default() |= option);
            }
            None => items.push((grantee.to_owned(), grantor.to_owned(), grants)),
        }
    }
    if items.len() == sorted.len() {
        return sorted.to_vec();
    }
    let text = |grants: &BTreeMap<char, bool>| -> String {
        let in_order = ORDER.chars().filter_map(|privilege| grants.get(&privilege).map(|option| (privilege, option)));
        in_order.map(|(privilege, option)| format!("{privilege}{}", if *option { "*" } else { "" })).collect()
    };
    let by = |grantor: &str| if grantor.is_empty() { String::new() } else { format!("/{grantor}") };
    items.iter().map(|(grantee, grantor, grants)| format!("{grantee}={}{}", text(grants), by(grantor))).collect()
}

/// The elements of a one-dimensional array in PostgreSQL's text form.
fn array_elements(array: &str) -> Option<Vec<String>> {
    let inner = array.strip_prefix('{')?.strip_suffix('}')?;
    let mut elements = Vec::new();
    if inner.is_empty() {
        return Some(elements);
    }
    let mut current = String::new();
    let mut quoted = false;
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => current.extend(chars.next()),
            '"' => quoted = !quoted,
            ',' if !quoted => elements.push(std::mem::take(&mut current)),
            c => current.push(c),
        }
    }
    elements.push(current);
    Some(elements)
}

/// `grantee=privileges/grantor`, where names may be quoted.
fn normal_item(item: &str, own_roles: &[String]) -> String {
    let (grantee, rest) = take_name(item);
    let Some(rest) = rest.strip_prefix('=') else { return item.to_owned() };
    let (privileges, grantor) = rest.split_once('/').unwrap_or((rest, ""));
    let (grantor, _) = take_name(grantor);
    let grantee = if grantee.is_empty() { "PUBLIC" } else { alias(&grantee, own_roles) };
    let grantor = alias(&grantor, own_roles);
    if grantor == super::OWNER {
        format!("{grantee}={privileges}")
    } else {
        format!("{grantee}={privileges}/{grantor}")
    }
}

fn take_name(text: &str) -> (String, &str) {
    let mut name = String::new();
    let mut quoted = false;
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' if quoted && chars.peek().is_some_and(|(_, next)| *next == '"') => {
                chars.next();
                name.push('"');
            }
            '"' => quoted = !quoted,
            '=' | '/' if !quoted => return (name, &text[at..]),
            c => name.push(c),
        }
    }
    (name, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_order_do_not_matter() {
        let own = ["post gres".to_owned()];
        let acl = r#"{"\"post gres\"=arwd/\"post gres\"",=r/"\"post gres\"",b=r/a,"\"x\"\"=y\"=r/b"}"#;
        assert_eq!(normalise(acl, &own), "<owner>=arwd, PUBLIC=r, b=r/a, x\"=y=r/b");
        assert_eq!(normalise("{}", &own), "");
    }

    #[test]
    fn several_own_roles_are_one() {
        let own = ["boss".to_owned(), "root".to_owned()];
        let acl = "{root=arwdDxt/root,boss=r*w/root,x=r/boss,x=w/root}";
        assert_eq!(normalise(acl, &own), "<owner>=ar*wdDxt, x=rw");
    }
}
