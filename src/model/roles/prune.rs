//! Roles that nothing declares: told, or dropped when what they own has an heir.

use super::change::{Change, Kind, Work};
use super::sql::identifier;
use super::{Attribute, Found};
use crate::error::Error;
use std::collections::BTreeMap;

impl Work<'_> {
    pub(super) fn undeclared(&mut self) {
        let roles = self.wish.roles;
        let mut drops: Vec<(&str, &Found)> = Vec::new();
        for (name, found) in &self.cluster.roles {
            let declared = roles.roles.get(name);
            if found.system || roles.ignores(name) && declared.is_none() {
                continue;
            }
            let me = &self.cluster.me;
            let stays = match declared {
                Some(role) if role.is_for(self.wish.environment) => continue,
                Some(role) => {
                    let only = role.environments.join(", ");
                    self.found.notes.push(format!("`{name}` is left as it is: it is declared for {only} only"));
                    continue;
                }
                None if !roles.prune => None,
                None if *name == me.name || *name == me.session => Some("it is connected".to_owned()),
                None if self.wish.named.contains(name) => Some("the baseline names it".to_owned()),
                None if self.heir_is(name) => Some("it is the heir".to_owned()),
                None => {
                    drops.push((name, found));
                    continue;
                }
            };
            if let Some(why) = stays {
                self.found.notes.push(format!("`{name}` is left as it is: {why}"));
            }
            self.found.undeclared.push(name.clone());
        }
        self.prune(&drops);
    }

    fn heir_is(&self, name: &str) -> bool {
        self.wish.roles.heir.as_deref().or(self.wish.owner) == Some(name)
    }

    /// Who inherits in a database: whom the file names, whoever runs migrations, the database's owner, or who asks.
    fn heir(&self, database: &str, dropped: &[&str]) -> String {
        let known = |name: &&str| self.cluster.roles.contains_key(*name) && !dropped.contains(name);
        let owner = self.cluster.databases.get(database).map(String::as_str);
        let named = self.wish.roles.heir.as_deref();
        named
            .or_else(|| [self.wish.owner, owner].into_iter().flatten().find(known))
            .unwrap_or(&self.cluster.me.name)
            .to_owned()
    }

    fn prune(&mut self, drops: &[(&str, &Found)]) {
        let names: Vec<&str> = drops.iter().map(|(name, _)| *name).collect();
        let mut elsewhere: BTreeMap<String, Vec<&str>> = BTreeMap::new();
        let mut here: Vec<&str> = Vec::new();
        for (name, found) in drops {
            self.judge.drop(name, found);
            for database in found.holds_in.iter().flatten().filter(|name| **name != self.cluster.database) {
                elsewhere.entry(database.clone()).or_default().push(name);
            }
            if found.holds_in.iter().any(|place| place.as_ref().is_none_or(|name| *name == self.cluster.database)) {
                here.push(name);
            }
        }
        let mut first = Vec::new();
        for (database, owners) in &elsewhere {
            let heir = self.heir(database, &names);
            first.extend(self.disown(owners, &heir, Some(database)));
        }
        if !here.is_empty() {
            let heir = self.heir(&self.cluster.database, &names);
            let statements = self.disown(&here, &heir, None);
            self.found.changes.extend(statements);
        }
        names.iter().for_each(|name| self.add(Kind::Drop, name, format!("DROP ROLE {}", identifier(name))));
        first.append(&mut self.found.changes);
        self.found.changes = first;
    }

    fn disown(&mut self, owners: &[&str], heir: &str, database: Option<&String>) -> Vec<Change> {
        let me = &self.cluster.me;
        let superuser = me.has(Attribute::Superuser);
        let declared = self.wish.roles.roles.get(heir).is_some_and(|one| one.is_for(self.wish.environment));
        if !self.cluster.roles.contains_key(heir) && (database.is_some() || !declared) {
            let message = format!("the heir of dropped roles, `{heir}`, does not exist");
            self.judge.fault(Error::failed(message).help("make it first, with `prune = false`; nothing was changed."));
        } else if !superuser && heir != me.name && !me.member_of.contains(heir) {
            let message = format!("the role `{}` may not give anything to `{heir}`", me.name);
            let error = Error::failed(message).cause("it is no member of that role");
            self.judge
                .fault(error.help("name another `heir` in the file, or connect as a superuser; nothing was changed."));
        }
        let mut changes = Vec::new();
        for owner in owners {
            let name = identifier(owner);
            let with = if self.cluster.major >= 16 { " WITH INHERIT TRUE, SET TRUE" } else { "" };
            // Only a member may give away what a role owns.
            let member = (!superuser).then(|| format!("GRANT {name} TO CURRENT_USER{with}"));
            let statements = [
                member,
                Some(format!("REASSIGN OWNED BY {name} TO {}", identifier(heir))),
                Some(format!("DROP OWNED BY {name}")),
                // Here the role is dropped in the same transaction, and the membership with it.
                (!superuser && database.is_some()).then(|| format!("REVOKE {name} FROM CURRENT_USER")),
            ];
            changes.extend(statements.into_iter().flatten().map(|sql| Change {
                kind: Kind::Disown,
                role: (*owner).to_owned(),
                sql,
                database: database.cloned(),
            }));
        }
        changes
    }
}
