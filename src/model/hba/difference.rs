//! What differs between a server's rules or file and those of the repository.

use super::{Files, Rule};
use similar::{ChangeTag, TextDiff};

/// A rule that only one side has at its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleChange {
    /// The repository has it, and the server has not.
    pub added: bool,
    /// Where it stands; what only the server has below `server/`, as in a difference of the texts.
    pub place: String,
    /// The rule, as a server shows it.
    pub rule: String,
}

/// What must change in the first list so that it becomes the second; the order of rules counts. Both name the files as
/// `files` does.
pub fn rule_changes(server: &[Rule], wanted: &[Rule], files: &Files) -> Vec<RuleChange> {
    let shown = |rules: &[Rule]| rules.iter().map(|rule| format!("{}\n", rule.key)).collect::<Vec<_>>();
    let (old, new) = (shown(server), shown(wanted));
    let (old, new): (Vec<&str>, Vec<&str>) =
        (old.iter().map(String::as_str).collect(), new.iter().map(String::as_str).collect());
    let diff = TextDiff::from_slices(&old, &new);
    diff.iter_all_changes()
        .filter_map(|change| {
            let (added, rule) = match change.tag() {
                ChangeTag::Equal => return None,
                ChangeTag::Delete => (false, change.old_index().and_then(|at| server.get(at))),
                ChangeTag::Insert => (true, change.new_index().and_then(|at| wanted.get(at))),
            };
            rule.map(|rule| {
                let place = rule.place();
                let there = place.strip_prefix(&files.path("")).unwrap_or(&place);
                let place = if added { place } else { format!("server/{there}") };
                RuleChange { added, place, rule: rule.shown.clone() }
            })
        })
        .collect()
}

/// Options of a method whose values are secrets.
const SECRETS: [&str; 3] = ["ldapbindpasswd", "radiussecrets", "radiussecret"];

/// An option, or a line with options, without the values that are secrets.
pub fn discreet(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((at, name)) = SECRETS.iter().filter_map(|name| Some((rest.find(&format!("{name}="))?, name))).min() {
        let (before, value) = rest.split_at(at + name.len() + 1);
        out.push_str(before);
        out.push_str("***");
        // A value may hold spaces where it stands in quotes, as may the whole option.
        let quoted = value.starts_with('"') || before[..at].ends_with('"');
        let value = value.strip_prefix('"').unwrap_or(value);
        let end = if quoted { value.find('"').map(|end| end + 1) } else { value.find(char::is_whitespace) };
        rest = &value[end.unwrap_or(value.len())..];
    }
    out + rest
}

/// The unified difference of two texts, without secrets; empty where there is none.
pub fn unified(old: &str, new: &str, old_name: &str, new_name: &str) -> String {
    if old == new {
        return String::new();
    }
    let text = TextDiff::from_lines(old, new).unified_diff().context_radius(3).header(old_name, new_name).to_string();
    text.split_inclusive('\n').map(discreet).collect()
}

#[cfg(test)]
mod tests {
    use super::super::tests::rules;
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn rules_are_compared_in_order_and_without_their_lines() {
        let old = rules("local all all peer\nhost a b 10.0.0.0/8 md5\nhost c d all reject");
        let new = rules("# x\nlocal all all peer".lines().nth(1).unwrap());
        let files = Files { main: "db/pg_hba.conf".to_owned(), texts: BTreeMap::new() };
        assert_eq!(rule_changes(&old[..1], &new, &files), []);
        let new = rules("host c d all reject\nlocal all all peer\nhost a b 10.0.0.0/8 scram-sha-256");
        let changes = rule_changes(&old, &new, &files);
        let shown: Vec<String> =
            changes.iter().map(|c| format!("{}{}", if c.added { '+' } else { '-' }, c.place)).collect();
        let there = "server/pg_hba.conf";
        let file = "db/pg_hba.conf";
        assert_eq!(shown, [format!("+{file}:1"), format!("-{there}:2"), format!("-{there}:3"), format!("+{file}:3")]);
        assert!(unified("a\n", "b\n", "server", "db/pg_hba.conf").starts_with("--- server\n+++ db/pg_hba.conf\n@@"));
        assert_eq!(unified("a", "a", "x", "y"), "");
    }

    #[test]
    fn secrets_are_not_shown() {
        for (line, shown) in [
            ("host a b c ldap ldapbindpasswd=geheim ldapserver=x", "host a b c ldap ldapbindpasswd=*** ldapserver=x"),
            ("h radiussecrets=\"ge,heim x\" radiusservers=y\n", "h radiussecrets=*** radiusservers=y\n"),
            ("h \"ldapbindpasswd=ge heim\" ldapport=1", "h \"ldapbindpasswd=*** ldapport=1"),
            ("ldapbindpasswd=geheim", "ldapbindpasswd=***"),
            ("h ldap ldapbindpasswd=geheim\n", "h ldap ldapbindpasswd=***\n"),
            ("host all all all md5\n", "host all all all md5\n"),
        ] {
            assert_eq!(discreet(line), shown);
        }
        let diff = unified("a ldap ldapbindpasswd=geheim\n", "a ldap ldapbindpasswd=anders\n", "x", "y");
        assert!(!diff.contains("geheim") && !diff.contains("anders") && diff.contains("+a ldap"), "{diff}");
    }
}
