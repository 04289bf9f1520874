//! Roles that nothing declares: told, or dropped when what they own has an heir.

use super::Attribute;
use super::change::{Change, Kind, Work};
use crate::error::Error;
use crate::model::sql::identifier;
use std::collections::{BTreeMap, BTreeSet};

impl<'w> Work<'w> {
    /// Tells which roles nothing declares, and gives those that are to be dropped.
    pub(super) fn undeclared(&mut self) -> Vec<&'w str> {
        let (roles, cluster) = (self.wish.roles, self.cluster);
        let mut drops = Vec::new();
        for (name, found) in &cluster.roles {
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
                None if roles.heir.as_ref() == Some(name) => Some("it is the heir".to_owned()),
                None if self.wish.owner == Some(name) => Some("it runs migrations (postgres.role)".to_owned()),
                None => {
                    drops.push(name.as_str());
                    continue;
                }
            };
            if let Some(why) = stays {
                self.found.notes.push(format!("`{name}` is left as it is: {why}"));
            }
            self.found.undeclared.push(name.clone());
        }
        drops
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

    /// Drops them, when what they own has an heir.
    pub(super) fn prune(&mut self, drops: &[&str]) {
        let mut elsewhere: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        let mut here: Vec<&str> = Vec::new();
        let cluster = self.cluster;
        for (name, found) in drops.iter().filter_map(|name| Some((*name, cluster.roles.get(*name)?))) {
            self.judge.drop(name, found);
            for database in found.holds_in.iter().flatten().filter(|name| **name != cluster.database) {
                elsewhere.entry(database).or_default().push(name);
            }
            if found.holds_in.iter().any(|place| place.as_ref().is_none_or(|name| *name == cluster.database)) {
                here.push(name);
            }
        }
        let mut moved = BTreeSet::new();
        let mut first = Vec::new();
        for (database, owners) in &elsewhere {
            let heir = self.heir(database, drops);
            for owner in owners {
                let databases = self.moved(owner, &heir, drops, moved.insert(*owner));
                first.extend(self.disown(owner, &heir, databases, Some(database)));
            }
        }
        let heir = self.heir(&cluster.database, drops);
        for owner in here {
            let databases = self.moved(owner, &heir, drops, moved.insert(owner));
            let changes = self.disown(owner, &heir, databases, None);
            self.found.changes.extend(changes);
        }
        drops.iter().for_each(|name| self.add(Kind::Drop, name, format!("DROP ROLE {}", identifier(name))));
        first.append(&mut self.found.changes);
        self.found.changes = first;
    }

    /// Gives away the databases that a role owns, before the heir of the first place that is visited gets them with all
    /// else.
    fn moved(&self, owner: &str, heir: &str, drops: &[&str], first: bool) -> Vec<String> {
        let owned = self.cluster.databases.iter().filter(|(_, of)| first && *of == owner);
        let heirs = owned.map(|(database, _)| (database, self.heir(database, drops)));
        let others = heirs.filter(|(_, own)| own != heir);
        others
            .map(|(database, own)| format!("ALTER DATABASE {} OWNER TO {}", identifier(database), identifier(&own)))
            .collect()
    }

    fn disown(&mut self, owner: &str, heir: &str, databases: Vec<String>, place: Option<&str>) -> Vec<Change> {
        let me = &self.cluster.me;
        let superuser = me.has(Attribute::Superuser);
        let declared = self.wish.roles.roles.get(heir).is_some_and(|one| one.is_for(self.wish.environment));
        if !self.cluster.roles.contains_key(heir) && (place.is_some() || !declared) {
            let message = format!("the heir of dropped roles, `{heir}`, does not exist");
            self.judge.fault(Error::failed(message).help("make it first, with `prune = false`; nothing was changed."));
        } else if !superuser && heir != me.name && !me.member_of.contains(heir) {
            let message = format!("the role `{}` may not give anything to `{heir}`", me.name);
            let error = Error::failed(message).cause("it is no member of that role");
            self.judge
                .fault(error.help("name another `heir` in the file, or connect as a superuser; nothing was changed."));
        }
        let name = identifier(owner);
        let with = if self.cluster.major >= 16 { " WITH INHERIT TRUE, SET TRUE" } else { "" };
        // Only a member may give away what a role owns.
        let mut statements = Vec::new();
        statements.extend((!superuser).then(|| format!("GRANT {name} TO CURRENT_USER{with}")));
        statements.extend(databases);
        statements.push(format!("REASSIGN OWNED BY {name} TO {}", identifier(heir)));
        statements.push(format!("DROP OWNED BY {name}"));
        // Here the role is dropped in the same transaction, and the membership with it.
        statements.extend((!superuser && place.is_some()).then(|| format!("REVOKE {name} FROM CURRENT_USER")));
        let change =
            |sql| Change { kind: Kind::Disown, role: owner.to_owned(), sql, database: place.map(str::to_owned) };
        statements.into_iter().map(change).collect()
    }
}
