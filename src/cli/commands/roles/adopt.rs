//! `dbbuild roles adopt`: the roles of a running server, written into the file.

use super::{baseline_is_stale, place};
use crate::cli::{Context, Done};
use crate::engine::target::Start;
use crate::engine::{files, roles};
use crate::error::{OrFailed, Result};
use crate::model::roles::{Role, Roles, write};
use serde_json::json;

pub(super) async fn run(context: &Context) -> Result<Done> {
    let project = context.project()?;
    let existing = roles::text(&project)?.unwrap_or_default();
    let file = roles::parsed(&project.config, &existing)?;
    let place = place(context, Start::Never).await?;
    let cluster = roles::read_cluster(&place.session).await?;
    let wanted = |name: &&String| {
        let found = cluster.roles.get(*name);
        file.roles.contains_key(*name) || !file.ignores(name) && found.is_some_and(|found| !found.system)
    };
    let list: Vec<Role> = cluster
        .roles
        .keys()
        .filter(wanted)
        .filter_map(|name| cluster.declared(name))
        .map(|role| own(role, &file))
        .collect();
    let environment = &place.target.selected.name;
    let written = write(&existing, &file, &list, environment)?;
    // What was written is read again before it takes the old one's place.
    roles::parsed(&project.config, &written.text)?;
    let path = &project.config.paths.roles;
    let full = project.root.join(path);
    let changed = written.text != existing;
    if changed {
        let folder = full.parent().unwrap_or(&project.root);
        std::fs::create_dir_all(folder).or_failed(|| format!("cannot make {}", folder.display()))?;
        files::replace(&full, written.text.as_bytes()).or_failed(|| format!("cannot write {path}"))?;
    }
    let out = &context.output;
    let absent: Vec<&str> = file
        .of(environment)
        .filter(|role| !cluster.roles.contains_key(&role.name))
        .map(|role| role.name.as_str())
        .collect();
    written.notes.iter().for_each(|note| out.note(note));
    if !absent.is_empty() {
        out.note(&format!("declared, and not on the server: {}; `dbbuild roles apply` makes them", absent.join(", ")));
    }
    out.line(&if changed { format!("wrote {path}") } else { format!("{path} says it already") });
    written.added.iter().for_each(|name| out.line(&format!("  new      {name}")));
    written.changed.iter().for_each(|name| out.line(&format!("  changed  {name}")));
    if changed && baseline_is_stale(&project) {
        out.line("next: `dbbuild` makes the baseline anew, whose files name some of these roles");
    }
    out.json(&json!({
        "path": path,
        "written": changed,
        "added": written.added,
        "changed": written.changed,
        "absent": absent,
        "notes": written.notes,
    }));
    Ok(Done::Well)
}

/// Without memberships in a service's roles that the file does not speak of: they are the service's.
fn own(mut role: Role, file: &Roles) -> Role {
    let known = file.roles.get(&role.name);
    role.member_of.retain(|one| {
        let spoken_of = known.is_some_and(|known| known.member_of.iter().any(|other| other.role == one.role));
        spoken_of || !file.leaves_members_of(&one.role)
    });
    role
}
